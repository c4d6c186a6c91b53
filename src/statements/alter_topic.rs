//! `ALTER TOPIC`: other settings for a topic that exists; an extension of ksqlDB's language.

use std::fmt;

use super::create_topic::{setting, without_effect};
use super::{Action, Context, Kind, Right, Statement, Touched};
use crate::engine::{Change, Effect};
use crate::error::{Error, Result, Span};
use crate::sql::print::layout;
use crate::sql::properties::{Properties, parse_with};
use crate::sql::words::string_literal;

pub(super) const KIND: Kind = Kind {
    name: "ALTER TOPIC",
    summary: "Changes settings of a topic.",
    example: "ALTER TOPIC 'application_logs' WITH ('retention.ms'='86400000');",
    begins: &["ALTER"],
    needs: Right::Admin,
    parse: |cursor| {
        if !cursor.take("ALTER TOPIC") {
            return Ok(None);
        }
        let span = cursor.span();
        let name = cursor.string("the name of a topic in single quotes")?;
        let with = parse_with(cursor)?;
        if with.items.is_empty() {
            return Err(cursor.expected());
        }
        Ok(Some(Box::new(AlterTopic { name, span, with })))
    },
};

#[derive(Debug, PartialEq)]
struct AlterTopic {
    name: String,
    span: Span,
    with: Properties,
}

impl fmt::Display for AlterTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout(f.alternate(), |p| {
            p.put(format_args!("ALTER TOPIC {}", string_literal(&self.name)));
            self.with.print(p);
        }))
    }
}

impl Statement for AlterTopic {
    /// Settings that are not named stay as they are.
    ///
    /// # Errors
    /// Missing if there is no such topic; invalid for a bad setting, and for PARTITIONS, which a topic keeps.
    fn compile(&self, cx: &Context) -> Result<Action> {
        if cx.catalog.topic(&self.name).is_none() {
            return Err(cx.catalog.no_topic(&self.name).at(self.span));
        }
        if let Some(property) = self.with.get("PARTITIONS") {
            let error = Error::invalid("the number of partitions of a topic cannot be changed").at(property.span);
            return Err(error.hint("make another topic, and copy the records with INSERT INTO … SELECT"));
        }
        let settings = self.with.items.iter().map(setting).collect::<Result<_>>()?;
        let warning = without_effect(&settings);
        let message = format!("Topic '{}' altered.", self.name);
        let command = format!("topic/{}/alter", self.name);
        let effect = Effect::AlterTopic { name: self.name.clone(), config: settings };
        let mut change = Change::new(command, vec![effect], message);
        change.warnings.extend(warning);
        Ok(Action::Change(Box::new(change)))
    }

    fn touches(&self) -> Touched {
        Touched::name(&self.name)
    }
}
