//! The list of all properties: name, default, allowed values and meaning.
//!
//! SHOW PROPERTIES, SET, `--set` and the configuration file use this list.

mod topic;

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Result};

pub use topic::check_topic_setting;

/// What a property takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Any text.
    Text,
    /// `true` or `false`, in any case.
    Flag,
    /// A whole number from the first to the second, both included.
    Number(i64, i64),
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
}

impl Takes {
    /// Whether a value is one of those that are taken.
    fn fits(self, value: &str) -> bool {
        match self {
            Takes::Text => true,
            Takes::Flag => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Takes::Number(low, high) => value.parse().is_ok_and(|n: i64| (low..=high).contains(&n)),
            Takes::Choice(words) => words.iter().any(|w| w.eq_ignore_ascii_case(value)),
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Takes::Text => f.write_str("a text"),
            Takes::Flag => f.write_str("true or false"),
            Takes::Number(low, ANY) => write!(f, "a whole number from {low}"),
            Takes::Number(low, high) => write!(f, "a whole number from {low} to {high}"),
            Takes::Choice(words) => f.write_str(&words.join(" or ")),
        }
    }
}

/// Where a property can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For the whole process, when it starts.
    Process,
    /// When the process starts, and by SET for the statements that follow.
    Statement,
}

/// A property.
pub struct Property {
    /// The name, without `ksql.streams.` before it.
    pub name: &'static str,
    /// The value of a property that is not set.
    pub default: &'static str,
    /// The values that it takes.
    pub takes: Takes,
    /// Where it can be set.
    pub scope: Scope,
    /// What it does, in a sentence.
    pub summary: &'static str,
}

/// Where a new query starts to read streams: `earliest` or `latest`.
pub const OFFSET_RESET: &str = "auto.offset.reset";
/// Bytes of changed groups that are held back until a commit; 0 gives a result for every row.
pub const CACHE_BYTES: &str = "cache.max.bytes.buffering";
/// The longest time between two commits of a busy query, in milliseconds.
pub const COMMIT_INTERVAL_MS: &str = "commit.interval.ms";
/// The memory budget of all queries, in bytes.
pub const MEMORY_BYTES: &str = "tidemill.memory.bytes";
/// Idle timeout of a source partition, in milliseconds.
pub const IDLE_MS: &str = "tidemill.idle.ms";
/// Whether EMIT FINAL is allowed.
pub const SUPPRESS_ENABLED: &str = "ksql.suppress.enabled";
/// Whether a join whose key is not selected is refused.
pub const JOIN_KEY_REQUIRED: &str = "tidemill.join.key.required";
/// The number of worker threads; 0 for one for each core.
pub const WORKERS: &str = "tidemill.workers";
/// The most bytes of a record's key and value together.
pub const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
/// The size of a segment, in bytes.
pub const SEGMENT_BYTES: &str = "tidemill.segment.bytes";
/// The size of a journal file, in bytes.
pub const JOURNAL_BYTES: &str = "tidemill.journal.bytes";
/// The length of the journal at which a checkpoint is made, in bytes.
pub const CHECKPOINT_BYTES: &str = "tidemill.checkpoint.bytes";
/// Up to how many bytes of a partition a frame repeats.
pub const INLINE_BYTES: &str = "tidemill.inline.bytes";
/// About how many bytes of results a query makes before they are committed.
pub const TURN_BYTES: &str = "tidemill.turn.bytes";
/// The most rows that are decoded at once.
pub const BATCH_ROWS: &str = "tidemill.batch.rows";
/// The prefix of topics that are made for results.
pub const OUTPUT_TOPIC_PREFIX: &str = "ksql.output.topic.name.prefix";
/// The format of keys where a statement does not name one.
pub const DEFAULT_KEY_FORMAT: &str = "ksql.persistence.default.format.key";
/// The format of values where a statement does not name one.
pub const DEFAULT_VALUE_FORMAT: &str = "ksql.persistence.default.format.value";
/// Whether a single value column is written as a field: `true`, `false`, or empty for the format's own way.
pub const WRAP_SINGLE_VALUES: &str = "ksql.persistence.wrap.single.values";
/// The most values that COLLECT_LIST keeps.
pub const COLLECT_LIST_LIMIT: &str = "ksql.functions.collect_list.limit";
/// The most values that COLLECT_SET keeps.
pub const COLLECT_SET_LIMIT: &str = "ksql.functions.collect_set.limit";
/// Whether INSERT INTO … VALUES is allowed.
pub const INSERT_VALUES_ENABLED: &str = "ksql.insert.into.values.enabled";
/// Whether `${name}` stands for the value of a variable.
pub const VARIABLE_SUBSTITUTION: &str = "ksql.variable.substitution.enable";

/// No upper bound.
const ANY: i64 = i64::MAX;

/// All properties, sorted by name.
pub const PROPERTIES: &[Property] = &[
    Property {
        name: OFFSET_RESET,
        default: "latest",
        takes: Takes::Choice(&["earliest", "latest"]),
        scope: Scope::Statement,
        summary: "Where a new query starts to read a stream.",
    },
    Property {
        name: CACHE_BYTES,
        default: "10000000",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "How many bytes of changed groups are held back to merge the results of a key; 0 gives a result for every row.",
    },
    Property {
        name: COMMIT_INTERVAL_MS,
        default: "100",
        takes: Takes::Number(1, ANY),
        scope: Scope::Statement,
        summary: "The longest time from one commit of a busy query to the next, in milliseconds.",
    },
    Property {
        name: COLLECT_LIST_LIMIT,
        default: "2147483647",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "The most values that COLLECT_LIST keeps.",
    },
    Property {
        name: COLLECT_SET_LIMIT,
        default: "2147483647",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "The most values that COLLECT_SET keeps.",
    },
    Property {
        name: INSERT_VALUES_ENABLED,
        default: "true",
        takes: Takes::Flag,
        scope: Scope::Process,
        summary: "Whether INSERT INTO … VALUES is allowed.",
    },
    Property {
        name: OUTPUT_TOPIC_PREFIX,
        default: "",
        takes: Takes::Text,
        scope: Scope::Statement,
        summary: "What stands before the names of topics that are made for the results of queries.",
    },
    Property {
        name: DEFAULT_KEY_FORMAT,
        default: "KAFKA",
        takes: Takes::Text,
        scope: Scope::Statement,
        summary: "The format of keys where a statement does not say.",
    },
    Property {
        name: DEFAULT_VALUE_FORMAT,
        default: "",
        takes: Takes::Text,
        scope: Scope::Statement,
        summary: "The format of values where a statement does not say.",
    },
    Property {
        name: WRAP_SINGLE_VALUES,
        default: "",
        takes: Takes::Text,
        scope: Scope::Statement,
        summary: "Whether a single value column is written inside of an object where the format leaves the choice.",
    },
    Property {
        name: SUPPRESS_ENABLED,
        default: "true",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether queries may hand on only the last result of a window (EMIT FINAL).",
    },
    Property {
        name: VARIABLE_SUBSTITUTION,
        default: "true",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether ${name} in statements stands for the value of a variable.",
    },
    Property {
        name: MAX_MESSAGE_BYTES,
        default: "1048588",
        takes: Takes::Number(1024, 1 << 30),
        scope: Scope::Process,
        summary: "The most bytes of key and value that a record may have.",
    },
    Property {
        name: BATCH_ROWS,
        default: "8192",
        takes: Takes::Number(1, 1 << 20),
        scope: Scope::Process,
        summary: "The most rows that are decoded at once.",
    },
    Property {
        name: CHECKPOINT_BYTES,
        default: "134217728",
        takes: Takes::Number(1, ANY),
        scope: Scope::Process,
        summary: "How many bytes of journal there may be before the state is written to a checkpoint and their files are used again.",
    },
    Property {
        name: IDLE_MS,
        default: "10000",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "After how long at its end a source partition no longer holds back the stream time of the others.",
    },
    Property {
        name: INLINE_BYTES,
        default: "262144",
        takes: Takes::Number(0, ANY),
        scope: Scope::Process,
        summary: "Up to how many bytes of a partition a commit repeats in the journal instead of syncing its segment.",
    },
    Property {
        name: JOIN_KEY_REQUIRED,
        default: "false",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether a join whose key is not selected is refused instead of keeping the key.",
    },
    Property {
        name: JOURNAL_BYTES,
        default: "8388608",
        takes: Takes::Number(4096, ANY),
        scope: Scope::Process,
        summary: "The size of a journal file.",
    },
    Property {
        name: MEMORY_BYTES,
        default: "4294967296",
        takes: Takes::Number(1 << 16, ANY),
        scope: Scope::Process,
        summary: "The memory that the state of all queries and what is in flight may take.",
    },
    Property {
        name: SEGMENT_BYTES,
        default: "134217728",
        takes: Takes::Number(1024, 1 << 30),
        scope: Scope::Process,
        summary: "The size after which a topic's partition starts a new segment.",
    },
    Property {
        name: TURN_BYTES,
        default: "16777216",
        takes: Takes::Number(1, 1 << 30),
        scope: Scope::Process,
        summary: "About how many bytes of results a query makes before it commits them, even in the middle of its work.",
    },
    Property {
        name: WORKERS,
        default: "0",
        takes: Takes::Number(0, 1024),
        scope: Scope::Process,
        summary: "The number of worker threads; 0 for one a core.",
    },
];

/// The values of the properties that were set, and of those for which a command has a default of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    set: BTreeMap<&'static str, String>,
    assumed: BTreeMap<&'static str, &'static str>,
}

/// Where the value of a property comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is the property's default.
    Default,
    /// It is the default of the command that runs.
    Command,
    /// It was set, on the command line, in a file or by SET.
    Set,
}

/// The property of this name; `ksql.streams.` may stand before it.
///
/// # Errors
/// There is no such property; the error suggests the nearest name.
pub fn find(name: &str) -> Result<&'static Property> {
    let bare = name.strip_prefix("ksql.streams.").unwrap_or(name);
    if let Some(property) = PROPERTIES.iter().find(|p| p.name == bare) {
        return Ok(property);
    }
    let error = Error::invalid(format!("Unknown property: '{name}'"));
    let error = error.suggest(bare, PROPERTIES.iter().map(|p| p.name), |known| format!("'{known}'"));
    Err(error.hint("SHOW PROPERTIES lists them all"))
}

impl Property {
    /// Refuses a value that the property does not take.
    pub fn check(&self, value: &str) -> Result<()> {
        if self.takes.fits(value) {
            return Ok(());
        }
        let (name, takes) = (self.name, self.takes);
        Err(Error::invalid(format!("Invalid value '{value}' for property '{name}': it takes {takes}")))
    }
}

impl Properties {
    /// Sets a property for the whole process.
    ///
    /// # Errors
    /// There is no such property, or it does not take the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let property = find(name)?;
        property.check(value)?;
        self.set.insert(property.name, value.to_owned());
        Ok(())
    }

    /// Gives a property, by one of the constants of this module, another default.
    pub fn assume(&mut self, name: &'static str, value: &'static str) {
        self.assumed.insert(name, value);
    }

    /// Where the value of a property comes from.
    pub fn origin(&self, property: &Property) -> Origin {
        match self.assumed.get(property.name) {
            _ if self.set.contains_key(property.name) => Origin::Set,
            Some(assumed) if *assumed != property.default => Origin::Command,
            _ => Origin::Default,
        }
    }

    /// Sets a property for the statements that follow.
    ///
    /// # Errors
    /// There is no such property, it belongs to the process, or it does not take the value.
    pub fn set_for_statements(&mut self, name: &str, value: &str) -> Result<()> {
        if find(name)?.scope == Scope::Process {
            let error = Error::invalid(format!("Cannot override property '{name}'"));
            return Err(error.hint("it belongs to the whole process: give it at the start with --set"));
        }
        self.set(name, value)
    }

    /// Resets a property to its default.
    ///
    /// # Errors
    /// There is no such property.
    pub fn unset(&mut self, name: &str) -> Result<()> {
        self.set.remove(find(name)?.name);
        Ok(())
    }

    /// The value of a property, by one of the constants of this module.
    pub fn text(&self, name: &'static str) -> &str {
        let default = || PROPERTIES.iter().find(|p| p.name == name).map_or("", |p| p.default);
        let assumed = || self.assumed.get(name).copied().unwrap_or_else(default);
        self.set.get(name).map_or_else(assumed, String::as_str)
    }

    /// The value of a property that is a number.
    pub fn number(&self, name: &'static str) -> i64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// The value of a property that is a number of bytes or things.
    pub fn size(&self, name: &'static str) -> usize {
        usize::try_from(self.number(name)).unwrap_or_default()
    }

    /// The value of a property that is true or false.
    pub fn flag(&self, name: &'static str) -> bool {
        self.text(name).eq_ignore_ascii_case("true")
    }

    /// The properties that were set, and those for which a command has a default of its own.
    pub fn overrides(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let assumed = self.assumed.iter().filter(|(name, _)| !self.set.contains_key(*name));
        self.set.iter().map(|(name, value)| (*name, value.as_str())).chain(assumed.map(|(name, value)| (*name, *value)))
    }

    /// The properties of this scope.
    pub fn only(&self, scope: Scope) -> Properties {
        let here = |name: &str| PROPERTIES.iter().any(|property| property.name == name && property.scope == scope);
        let mut only = self.clone();
        only.set.retain(|name, _| here(name));
        only.assumed.retain(|name, _| here(name));
        only
    }

    /// These properties, overridden by `others`.
    pub fn with(&self, others: &Properties) -> Properties {
        let mut all = self.clone();
        all.set.extend(others.set.iter().map(|(n, v)| (*n, v.clone())));
        all.assumed.extend(others.assumed.iter());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_values_that_the_properties_take() {
        for property in PROPERTIES {
            property.check(property.default).expect(property.name);
            assert!(property.summary.ends_with('.'), "{}", property.name);
        }
    }

    #[test]
    fn a_command_may_have_a_default_of_its_own() {
        let mut properties = Properties::default();
        let property = find(OFFSET_RESET).expect("known");
        assert_eq!((properties.text(OFFSET_RESET), properties.origin(property)), ("latest", Origin::Default));
        properties.assume(OFFSET_RESET, "earliest");
        assert_eq!((properties.text(OFFSET_RESET), properties.origin(property)), ("earliest", Origin::Command));
        let mut own = Properties::default();
        own.set(OFFSET_RESET, "latest").expect("known");
        let both = properties.with(&own);
        assert_eq!((both.text(OFFSET_RESET), both.origin(property)), ("latest", Origin::Set));
    }

    #[test]
    fn settings_of_topics_are_kafkas_and_their_values_fit() {
        check_topic_setting("retention.ms", "-1").expect("Kafka's");
        check_topic_setting("cleanup.policy", "compact,delete").expect("Kafka's");
        let advice = |name: &str, value: &str| {
            let error = check_topic_setting(name, value).expect_err(name);
            (error.message().to_owned(), error.advice().map(str::to_owned))
        };
        assert_eq!(advice("retnetion.ms", "1").1.as_deref(), Some("did you mean 'retention.ms'?"));
        assert_eq!(advice("foo", "1").0, "Unknown setting of a topic: 'foo'");
        assert!(advice("retention.ms", "a week").0.contains("whole number from -1"));
        assert!(advice("cleanup.policy", "shred").0.contains("compact or delete"));
    }

    #[test]
    fn properties_are_refused_with_the_nearest_name() {
        let mut properties = Properties::default();
        let error = properties.set("auto.ofset.reset", "earliest").expect_err("unknown");
        assert_eq!(error.advice(), Some("did you mean 'auto.offset.reset'?"));
        assert!(properties.set("auto.offset.reset", "now").is_err());
        assert!(properties.set_for_statements(WORKERS, "2").is_err());
        properties.set("ksql.streams.auto.offset.reset", "earliest").expect("known");
        assert_eq!(properties.text(OFFSET_RESET), "earliest");
    }
}
