//! `CREATE TOPIC`: a topic without saying what its records are; an extension of ksqlDB's language.

use std::collections::BTreeMap;
use std::fmt;

use super::{Action, Context, Kind, Right, Statement, Touched};
use crate::catalog::check_topic_name;
use crate::config;
use crate::engine::{Change, Effect, NewTopic};
use crate::error::{Error, Result, Span};
use crate::plan::with::MOST_PARTITIONS;
use crate::sql::ast::Literal;
use crate::sql::print::layout;
use crate::sql::properties::{Properties, Property, parse_with};
use crate::sql::words::string_literal;

pub(super) const KIND: Kind = Kind {
    name: "CREATE TOPIC",
    summary: "Makes a topic.",
    example: "CREATE TOPIC 'application_logs' WITH (PARTITIONS=4, 'retention.ms'='1000');",
    begins: &["CREATE"],
    needs: Right::Admin,
    parse: |cursor| {
        if !cursor.take("CREATE TOPIC") {
            return Ok(None);
        }
        let span = cursor.span();
        let name = cursor.string("the name of a topic in single quotes")?;
        Ok(Some(Box::new(CreateTopic { name, span, with: parse_with(cursor)? })))
    },
};

/// The partitions of a topic where nothing is said.
///
/// ksqlDB has no such statement, so the number is this engine's own.
const PARTITIONS: u32 = 4;

#[derive(Debug, PartialEq)]
struct CreateTopic {
    name: String,
    span: Span,
    with: Properties,
}

impl fmt::Display for CreateTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout(f.alternate(), |p| {
            p.put(format_args!("CREATE TOPIC {}", string_literal(&self.name)));
            self.with.print(p);
        }))
    }
}

impl Statement for CreateTopic {
    /// All settings but PARTITIONS are Kafka's names in lower case. Those that this version knows and does not follow
    /// are kept with the topic and warned of.
    ///
    /// # Errors
    /// Invalid for a bad name, number of partitions or setting; a conflict if the topic exists. There is no IF NOT
    /// EXISTS.
    fn compile(&self, cx: &Context) -> Result<Action> {
        check_topic_name(&self.name).map_err(|error| error.at(self.span))?;
        if cx.catalog.topic(&self.name).is_some() {
            return Err(Error::conflict(format!("Topic '{}' already exists.", self.name)).at(self.span));
        }
        let mut partitions = PARTITIONS;
        let mut settings = BTreeMap::new();
        for property in &self.with.items {
            if property.name == "PARTITIONS" {
                let text = text_of(property);
                let count = text.parse().ok().filter(|count| (1..=MOST_PARTITIONS).contains(count));
                partitions = count.ok_or_else(|| {
                    let message = format!("a topic has from 1 to {MOST_PARTITIONS} partitions, not {text}");
                    Error::invalid(message).at(property.span)
                })?;
            } else {
                settings.extend([setting(property)?]);
            }
        }
        let warning = without_effect(&settings);
        let topic = NewTopic { name: self.name.clone(), partitions, config: settings };
        let message = format!("Topic '{}' created with {partitions} partitions.", self.name);
        let command = format!("topic/{}/create", self.name);
        let mut change = Change::new(command, vec![Effect::MakeTopic(topic)], message);
        change.warnings.extend(warning);
        Ok(Action::Change(Box::new(change)))
    }

    fn touches(&self) -> Touched {
        Touched::name(&self.name)
    }
}

fn text_of(property: &Property) -> String {
    match &property.value {
        Literal::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A setting of a topic, by Kafka's name in lower case.
///
/// # Errors
/// Invalid: there is no such setting, or it does not take the value.
pub(super) fn setting(property: &Property) -> Result<(String, String)> {
    let (name, text) = (property.name.to_lowercase(), text_of(property));
    config::check_topic_setting(&name, &text).map_err(|e| e.at(property.span))?;
    Ok((name, text))
}

/// The warning of settings that this version does not follow, if there are any.
pub(super) fn without_effect(settings: &BTreeMap<String, String>) -> Option<String> {
    let names = settings.keys().filter(|name| !config::is_topic_setting_followed(name));
    let names: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    (!names.is_empty())
        .then(|| format!("kept with the topic, but without effect in this version: {}", names.join(", ")))
}
