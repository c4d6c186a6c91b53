//! `ASSERT TOPIC`: waits until a topic is there, or gone.
//!
//! The settings that it names are compared with those of the topic. A topic has one replica.

use std::fmt;

use serde_json::json;

use super::{Action, Context, Kind, Reply, Right, Statement};
use crate::catalog::Catalog;
use crate::config;
use crate::error::{Error, Result};
use crate::sql::print::layout;
use crate::sql::properties::{Properties, parse_with};
use crate::sql::words::{Duration, string_literal};

pub(super) const KIND: Kind = Kind {
    name: "ASSERT TOPIC",
    summary: "Fails unless a topic is there, or is not, after a while.",
    example: "ASSERT NOT EXISTS TOPIC orders WITH (partitions=4) TIMEOUT 10 SECONDS;",
    begins: &["ASSERT"],
    needs: Right::Read,
    parse: |cursor| {
        let forms = [("ASSERT TOPIC", true), ("ASSERT NOT EXISTS TOPIC", false)];
        let Some(exists) = cursor.take_one(&forms) else { return Ok(None) };
        let topic = cursor.resource("the name of a topic")?;
        let with = parse_with(cursor)?;
        let timeout = if cursor.take("TIMEOUT") { Some(cursor.duration()?) } else { None };
        Ok(Some(Box::new(AssertTopic { exists, topic, with, timeout })))
    },
};

#[derive(Debug, PartialEq)]
struct AssertTopic {
    exists: bool,
    topic: String,
    with: Properties,
    timeout: Option<Duration>,
}

impl fmt::Display for AssertTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exists = if self.exists { "" } else { "NOT EXISTS " };
        f.write_str(&layout(f.alternate(), |p| {
            p.put(format_args!("ASSERT {exists}TOPIC {}", string_literal(&self.topic)));
            self.with.print(p);
            if let Some(timeout) = self.timeout {
                p.put(format_args!(" TIMEOUT {timeout}"));
            }
        }))
    }
}

impl Statement for AssertTopic {
    fn compile(&self, cx: &Context) -> Result<Action> {
        let mut settings = Vec::new();
        for property in self.with.items.iter().filter(|_| self.exists) {
            if !["PARTITIONS", "REPLICAS"].contains(&property.name.as_str()) {
                let message = format!("Cannot assert unknown topic property: {}", property.name);
                return Err(Error::assertion(message)
                    .at(property.span)
                    .hint("PARTITIONS and REPLICAS can be asserted"));
            }
            settings.push((property.name.to_lowercase(), property.text()));
        }
        let default_ms = cx.properties.number(config::ASSERT_TOPIC_TIMEOUT_MS);
        let timeout_ms = self.timeout.map_or(default_ms, |timeout| timeout.ms());
        let timeout = std::time::Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        Ok(Action::Assert(Asserted { topic: self.topic.clone(), exists: self.exists, settings, timeout }))
    }
}

/// What is said of a topic.
pub struct Asserted {
    topic: String,
    exists: bool,
    /// In lower case, with the values that are expected.
    settings: Vec<(String, String)>,
    /// How long it may take to become so.
    pub timeout: std::time::Duration,
}

impl Asserted {
    /// Whether it is so.
    ///
    /// # Errors
    /// What is not so.
    pub(super) fn check(&self, catalog: &Catalog) -> Result<()> {
        let name = &self.topic;
        let topic = match (catalog.topic(name), self.exists) {
            (None, false) => return Ok(()),
            (None, true) => return Err(Error::assertion(format!("Topic {name} does not exist"))),
            (Some(_), false) => return Err(Error::assertion(format!("Topic {name} exists"))),
            (Some(topic), true) => topic,
        };
        let is = |setting: &str| if setting == "partitions" { topic.partitions } else { 1 };
        let differs = |(setting, expected): &(String, String)| {
            let is = is(setting).to_string();
            (is != *expected).then(|| {
                format!("Mismatched configuration for topic {name}: For config {setting}, expected {expected} got {is}")
            })
        };
        let differences: Vec<String> = self.settings.iter().filter_map(differs).collect();
        if differences.is_empty() { Ok(()) } else { Err(Error::assertion(differences.join("\n"))) }
    }

    /// What is said if it is so.
    pub(super) fn reply(&self) -> Reply {
        let is = if self.exists { "exists" } else { "does not exist" };
        let fields = json!({ "topicName": self.topic, "exists": self.exists });
        Reply::text(format!("Topic {} {is}.", self.topic), "assert_topic", fields)
    }
}
