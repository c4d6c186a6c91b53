//! Properties: what each of them takes, and the values that were set.
//!
//! SHOW PROPERTIES, SET, `--set` and the configuration file use the one list of them.

mod list;
mod topic;
mod url;

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Result};

use list::ANY;
pub use list::*;
pub use topic::{check_topic_setting, is_topic_setting_followed};
pub use url::Url;

/// What a property takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Any text.
    Text,
    /// Any text, which nobody is shown.
    Secret,
    /// `true` or `false`, in any case.
    Flag,
    /// A whole number from the first to the second, both included.
    Number(i64, i64),
    /// A number from 0 to 1.
    Fraction,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// A [`Url`], or nothing.
    Url,
}

impl Takes {
    /// Whether a value is one of those that are taken.
    fn fits(self, value: &str) -> bool {
        match self {
            Takes::Text | Takes::Secret => true,
            Takes::Flag => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Takes::Number(low, high) => value.parse().is_ok_and(|n: i64| (low..=high).contains(&n)),
            Takes::Fraction => value.parse().is_ok_and(|n: f64| (0.0..=1.0).contains(&n)),
            Takes::Choice(words) => words.iter().any(|w| w.eq_ignore_ascii_case(value)),
            Takes::Url => value.is_empty() || Url::parse(value).is_some(),
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Takes::Text | Takes::Secret => f.write_str("a text"),
            Takes::Flag => f.write_str("true or false"),
            Takes::Number(low, ANY) => write!(f, "a whole number from {low}"),
            Takes::Number(low, high) => write!(f, "a whole number from {low} to {high}"),
            Takes::Fraction => f.write_str("a number from 0 to 1"),
            Takes::Choice(words) => f.write_str(&words.join(" or ")),
            Takes::Url => f.write_str("http://HOST:PORT or https://HOST:PORT, with a path if there is one"),
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

/// The values of the properties that were set, and of those for which a command has a default of its own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    set: BTreeMap<&'static str, String>,
    assumed: BTreeMap<&'static str, String>,
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_set = |property: &&Property| self.origin(property) != Origin::Default;
        f.debug_map().entries(PROPERTIES.iter().filter(is_set).map(|p| (p.name, self.shown(p)))).finish()
    }
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
    let error = Error::invalid(format!("Unknown property: {name}"));
    let error = error.suggest(bare, PROPERTIES.iter().map(|p| p.name), |known| format!("'{known}'"));
    Err(error.hint("SHOW PROPERTIES lists them all"))
}

impl Property {
    /// A value as people may see it: a secret is hidden.
    pub fn masked<'v>(&self, value: &'v str) -> &'v str {
        if self.takes == Takes::Secret && !value.is_empty() { "[hidden]" } else { value }
    }

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
    pub fn assume(&mut self, name: &'static str, value: &str) {
        self.assumed.insert(name, value.to_owned());
    }

    /// Whether a property, by one of the constants of this module, was set: its value is nobody's default.
    pub fn is_set(&self, name: &'static str) -> bool {
        self.set.contains_key(name)
    }

    /// Where the value of a property comes from.
    pub fn origin(&self, property: &Property) -> Origin {
        match self.assumed.get(property.name) {
            _ if self.set.contains_key(property.name) => Origin::Set,
            Some(assumed) if assumed != property.default => Origin::Command,
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
        let assumed = || self.assumed.get(name).map_or_else(default, String::as_str);
        self.set.get(name).map_or_else(assumed, String::as_str)
    }

    /// The value of a property as people may see it: a secret that is set is hidden.
    pub fn shown(&self, property: &Property) -> &str {
        property.masked(self.text(property.name))
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
        self.set
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .chain(assumed.map(|(name, value)| (*name, value.as_str())))
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
        all.assumed.extend(others.assumed.iter().map(|(n, v)| (*n, v.clone())));
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
