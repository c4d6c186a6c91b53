//! What becomes of each statement: it is taken as it is, changed, or refused, each with its reason.
//!
//! Changes are few and keep the meaning: PARTITIONS is added where a topic is not here yet, and a property that only
//! Kafka knows is left out. Each statement is checked as if those before it had been executed.

use std::fmt;

use super::found::Found;
use crate::config::Properties;
use crate::engine::Engine;
use crate::error::Error;
use crate::sql::lexer::lex;
use crate::sql::words::string_literal;
use crate::statements::{self, DryRun, Parsed, Session};

/// What becomes of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// With how and why.
    Changed(Vec<String>),
    /// With the reason.
    Refused(String),
}

impl Verdict {
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Verdict::Refused(_))
    }
}

/// A statement, and what becomes of it.
pub(super) struct Judged {
    pub verdict: Verdict,
    text: String,
    pub parsed: Vec<Parsed>,
    /// Those that it is executed with.
    pub properties: Properties,
}

/// Judges all statements, in their order.
pub(super) fn judge(engine: &Engine, all: Vec<Found>) -> Vec<Judged> {
    let session = Session::new(engine, Properties::default());
    let mut dry_run = session.dry_run();
    let mut topics: Vec<String> = engine.catalog().topics().map(|topic| topic.name.clone()).collect();
    let mut judged = Vec::new();
    for found in all {
        let topic = found.topic.as_ref().map(|(name, _)| name.clone());
        let one = one(&mut dry_run, found, &topics);
        if !one.verdict.is_refused() {
            topics.extend(topic);
        }
        judged.push(one);
    }
    judged
}

fn one(dry_run: &mut DryRun, found: Found, topics: &[String]) -> Judged {
    let (mut changes, mut properties) = (Vec::new(), Properties::default());
    for (name, value) in &found.properties {
        if let Err(error) = properties.set_for_statements(name, value) {
            changes.push(format!("the property {name} is left out: {}", error.message()));
        }
    }
    let mut text = without_added(found.text);
    if let Some((topic, partitions)) = &found.topic
        && !topics.contains(topic)
        && let Some(longer) = with_partitions(&text, *partitions)
    {
        text = longer;
        changes.push(format!("PARTITIONS={partitions} is added, since the topic {topic} is not here yet"));
    }
    if found.is_paused {
        changes.push("it is paused on the server, and runs here until PAUSE".to_owned());
    }
    let checked = match found.refused {
        Some(reason) => Err(reason),
        None => check(dry_run, &text, &properties).map_err(|error| said(&error)),
    };
    let (verdict, parsed) = match checked {
        Err(reason) => (Verdict::Refused(reason), Vec::new()),
        Ok(parsed) if changes.is_empty() => (Verdict::Taken, parsed),
        Ok(parsed) => (Verdict::Changed(changes), parsed),
    };
    Judged { verdict, text, parsed, properties }
}

/// Checks a statement with its properties, which do not hold for the next one.
fn check(dry_run: &mut DryRun, text: &str, properties: &Properties) -> Result<Vec<Parsed>, Error> {
    let parse = |text: &str| statements::parse(text).map_err(|mut errors| errors.remove(0));
    for (name, value) in properties.overrides() {
        for set in parse(&format!("SET {}={};", string_literal(name), string_literal(value)))? {
            dry_run.check(&set)?;
        }
    }
    let parsed = parse(text)?;
    let checked = parsed.iter().try_for_each(|statement| dry_run.check(statement).map(|_| ()));
    for (name, _) in properties.overrides() {
        for unset in parse(&format!("UNSET {};", string_literal(name)))? {
            dry_run.check(&unset)?;
        }
    }
    checked.map(|()| parsed)
}

/// An error in one line.
fn said(error: &Error) -> String {
    let message = error.message().replace('\n', " ");
    error.advice().map_or(message.clone(), |advice| format!("{message} ({advice})"))
}

/// The statement without what a server adds to texts and does not accept in them: CLEANUP_POLICY, and RETENTION_MS of
/// tables without windows.
fn without_added(text: String) -> String {
    let text = without(text, "CLEANUP_POLICY");
    let lexed = lex(&text);
    let says = |word: &str| lexed.lexemes.iter().any(|lexeme| lexeme.text.eq_ignore_ascii_case(word));
    let is_plain_table = lexed.lexemes.get(1).is_some_and(|kind| kind.text.eq_ignore_ascii_case("TABLE"));
    if is_plain_table && !says("WINDOW") { without(text, "RETENTION_MS") } else { text }
}

/// The statement without a property of its WITH clause.
fn without(text: String, name: &str) -> String {
    let lexed = lex(&text);
    let all = &lexed.lexemes;
    let Some(at) = all.iter().position(|lexeme| lexeme.text.eq_ignore_ascii_case(name)) else { return text.clone() };
    let is_comma = |place: usize| all.get(place).is_some_and(|lexeme| lexeme.text == ",");
    // Name, equals sign and value, with the comma behind them, or else that before.
    let (from, to) = match is_comma(at + 3) {
        true => (at, at + 4),
        false if is_comma(at - 1) => (at - 1, at + 3),
        false => return text.clone(),
    };
    all.get(to).map_or(text.clone(), |next| format!("{}{}", &text[..all[from].at], &text[next.at..]))
}

/// The statement with PARTITIONS at the end of its WITH clause; None if it has that already, or no such clause.
fn with_partitions(text: &str, partitions: u64) -> Option<String> {
    let lexed = lex(text);
    let place = |word: &str| lexed.lexemes.iter().position(|lexeme| lexeme.text.eq_ignore_ascii_case(word));
    if place("PARTITIONS").is_some() || place("AS").is_some() {
        return None;
    }
    // A clause of properties has no brackets but its own.
    let end = lexed.lexemes[place("WITH")?..].iter().find(|lexeme| lexeme.text == ")")?;
    Some(format!("{}, PARTITIONS={partitions}{}", &text[..end.at], &text[end.at..]))
}

impl fmt::Display for Judged {
    /// The statement as a part of a script, with what becomes of it before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.trim();
        match &self.verdict {
            Verdict::Taken => writeln!(f, "-- taken as it is")?,
            Verdict::Changed(changes) => changes.iter().try_for_each(|change| writeln!(f, "-- changed: {change}"))?,
            Verdict::Refused(reason) => {
                writeln!(f, "-- refused: {reason}")?;
                return write!(f, "-- {}", text.replace('\n', "\n-- "));
            }
        }
        for (name, value) in self.properties.overrides() {
            writeln!(f, "SET {}={};", string_literal(name), string_literal(value))?;
        }
        f.write_str(text)?;
        self.properties.overrides().try_for_each(|(name, _)| write!(f, "\nUNSET {};", string_literal(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_adds_is_left_out() {
        let added = |text: &str| without_added(text.to_owned());
        let text = "CREATE STREAM S WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='a', RETENTION_MS=5) AS SELECT 1;";
        assert_eq!(added(text), "CREATE STREAM S WITH (KAFKA_TOPIC='a', RETENTION_MS=5) AS SELECT 1;");
        let text = "CREATE TABLE T WITH (CLEANUP_POLICY='compact', KAFKA_TOPIC='a', RETENTION_MS=5) AS SELECT 1;";
        assert_eq!(added(text), "CREATE TABLE T WITH (KAFKA_TOPIC='a') AS SELECT 1;");
        let windowed = "CREATE TABLE T WITH (RETENTION_MS=5) AS SELECT 1 FROM S WINDOW TUMBLING (SIZE 1 DAY);";
        assert_eq!(added(windowed), windowed);
    }

    #[test]
    fn partitions_are_added_where_they_are_missing() {
        let text = "CREATE STREAM S (A DECIMAL(4, 2)) WITH (KAFKA_TOPIC='a)');";
        let expected = "CREATE STREAM S (A DECIMAL(4, 2)) WITH (KAFKA_TOPIC='a)', PARTITIONS=2);";
        assert_eq!(with_partitions(text, 2).as_deref(), Some(expected));
        assert_eq!(with_partitions(expected, 2), None);
        let altered =
            |with: &str| format!("CREATE STREAM S WITH ({with});\nALTER STREAM S ADD COLUMN B DECIMAL(4, 2);");
        let longer = with_partitions(&altered("KAFKA_TOPIC='a'"), 3);
        assert_eq!(longer, Some(altered("KAFKA_TOPIC='a', PARTITIONS=3")));
    }
}
