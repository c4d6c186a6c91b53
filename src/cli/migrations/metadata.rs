//! What was applied: a stream of events, and a table with the last event of each version.
//!
//! Names, columns, keys and texts are those of `ksql-migrations`. Each event is written twice, under the version and
//! under `CURRENT`. Times are milliseconds since 1970 as texts. LATEST_BY_OFFSET passes over NULL, so nothing is NULL: an
//! event that has no end yet has an empty text there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::project::{MigrationFile, Project, REPLICAS, STREAM, STREAM_TOPIC, TABLE, TABLE_TOPIC};
use crate::cli::failure::Failure;
use crate::cli::peer::Peer;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::sql::words::string_literal;
use crate::types::Value;

/// The version before the first one.
pub(super) const NONE: &str = "<none>";
/// The key of the last event of all.
const CURRENT: &str = "CURRENT";
/// The reason of what has not failed.
const NO_ERROR: &str = "N/A";

/// The columns, the key first.
const COLUMNS: [&str; 9] =
    ["VERSION_KEY", "VERSION", "NAME", "STATE", "CHECKSUM", "STARTED_ON", "COMPLETED_ON", "PREVIOUS", "ERROR_REASON"];

/// How long the table may take to show an event.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked.
const LOOK: Duration = Duration::from_millis(20);

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Running,
    Migrated,
    Error,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Pending => "PENDING",
            State::Running => "RUNNING",
            State::Migrated => "MIGRATED",
            State::Error => "ERROR",
        }
    }

    fn of(name: &str) -> Option<State> {
        [State::Pending, State::Running, State::Migrated, State::Error].into_iter().find(|state| state.name() == name)
    }
}

/// The last event of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub version: String,
    pub name: String,
    pub state: State,
    pub checksum: String,
    /// Milliseconds since 1970.
    pub started_on: String,
    /// Milliseconds since 1970; empty while it runs.
    pub completed_on: String,
    /// The version that was applied before it.
    pub previous: String,
    pub error_reason: String,
}

impl Event {
    /// The event of a file that begins to be executed now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn started(file: &MigrationFile, previous: &str) -> Result<Event, Failure> {
        Ok(Event {
            version: file.version.to_string(),
            name: file.name.clone(),
            state: State::Running,
            checksum: file.checksum()?,
            started_on: now(),
            completed_on: String::new(),
            previous: previous.to_owned(),
            error_reason: NO_ERROR.to_owned(),
        })
    }

    /// The event of the version before the first one.
    pub(super) fn none() -> Event {
        let empty = String::new;
        Event {
            version: NONE.to_owned(),
            name: empty(),
            state: State::Pending,
            checksum: empty(),
            started_on: empty(),
            completed_on: empty(),
            previous: NONE.to_owned(),
            error_reason: NO_ERROR.to_owned(),
        }
    }

    /// The same version, at its end: with the reason if it has failed.
    pub(super) fn ended(mut self, state: State, reason: Option<&str>) -> Event {
        self.state = state;
        self.completed_on = now();
        self.error_reason = reason.unwrap_or(NO_ERROR).to_owned();
        self
    }
}

fn now() -> String {
    SystemClock::new().wall_ms().to_string()
}

/// What was applied, as of one look at the table.
#[derive(Debug, Default)]
pub(super) struct Applied {
    events: BTreeMap<String, Event>,
}

impl Applied {
    /// The version of the last event; [`NONE`] if there is none.
    pub(super) fn current(&self) -> &str {
        self.events.get(CURRENT).map_or(NONE, |event| event.version.as_str())
    }

    /// The last event of a version.
    pub(super) fn of(&self, version: &str) -> Option<&Event> {
        self.events.get(version)
    }

    /// The last version that was applied to its end; [`NONE`] if there is none.
    ///
    /// # Errors
    /// The versions do not follow each other: one that was applied names one that was not.
    pub(super) fn latest_migrated(&self) -> Result<&str, Error> {
        let current = self.current();
        let unknown =
            || Error::invalid(format!("the version {current} is the current one, and nothing else is known of it"));
        if current == NONE {
            return Ok(NONE);
        }
        let event = self.of(current).ok_or_else(unknown)?;
        if event.state == State::Migrated {
            return Ok(current);
        }
        self.migrated_before(event)
    }

    /// The version that was applied before another one; [`NONE`] if there is none.
    ///
    /// # Errors
    /// It was not applied to its end.
    pub(super) fn migrated_before<'a>(&'a self, event: &'a Event) -> Result<&'a str, Error> {
        let previous = event.previous.as_str();
        let state = self.of(previous).map(|event| event.state);
        if previous == NONE || state == Some(State::Migrated) {
            return Ok(previous);
        }
        let found = state.map_or("unknown", State::name);
        Err(Error::invalid(format!(
            "the version {} was applied after the version {previous}, whose state is not MIGRATED but {found}",
            event.version
        )))
    }

    /// The versions that were applied to their ends, the first one first.
    ///
    /// # Errors
    /// As those of [`Applied::latest_migrated`].
    pub(super) fn migrated(&self) -> Result<Vec<&Event>, Error> {
        let mut events = Vec::new();
        let mut version = self.latest_migrated()?;
        while let Some(event) = self.of(version).filter(|_| version != NONE) {
            if events.len() > self.events.len() {
                return Err(Error::invalid("the versions that were applied follow each other in a circle"));
            }
            events.push(event);
            version = self.migrated_before(event)?;
        }
        events.reverse();
        Ok(events)
    }
}

/// The stream and the table.
pub(super) struct Metadata {
    pub stream: String,
    pub table: String,
    stream_topic: String,
    table_topic: String,
    replicas: String,
}

impl Metadata {
    /// As the project names them.
    pub(super) fn of(project: &Project, service_id: &str) -> Metadata {
        let text = |name: &str, usual: String| project.setting(name).map_or(usual, str::to_owned);
        let stream = text(STREAM, "MIGRATION_EVENTS".to_owned());
        let table = text(TABLE, "MIGRATION_SCHEMA_VERSIONS".to_owned());
        let stream_topic = text(STREAM_TOPIC, format!("{service_id}ksql_{stream}"));
        let table_topic = text(TABLE_TOPIC, format!("{service_id}ksql_{table}"));
        Metadata { stream, table, stream_topic, table_topic, replicas: text(REPLICAS, "1".to_owned()) }
    }

    /// Makes the stream and the table.
    ///
    /// # Errors
    /// They are there already, or a statement is refused.
    pub(super) fn make(&self, peer: &Peer) -> Result<(), Failure> {
        let columns = COLUMNS
            .map(|name| if name == COLUMNS[0] { format!("{name} STRING KEY") } else { format!("{name} STRING") });
        let latest = COLUMNS[1..].iter().map(|name| format!("LATEST_BY_OFFSET({name}) AS {name}"));
        peer.ask(&format!(
            "CREATE STREAM {} ({}) WITH (KAFKA_TOPIC={}, VALUE_FORMAT='JSON', PARTITIONS=1, REPLICAS={});",
            self.stream,
            columns.join(", "),
            string_literal(&self.stream_topic),
            self.replicas,
        ))?;
        peer.ask(&format!(
            "CREATE TABLE {} WITH (KAFKA_TOPIC={}) AS SELECT {}, {} FROM {} GROUP BY {};",
            self.table,
            string_literal(&self.table_topic),
            COLUMNS[0],
            latest.collect::<Vec<_>>().join(", "),
            self.stream,
            COLUMNS[0],
        ))?;
        Ok(())
    }

    /// Removes the table with its query, and the stream, with their topics; whether one of them was there.
    ///
    /// # Errors
    /// A statement is refused, since something else reads them.
    pub(super) fn remove(&self, peer: &Peer) -> Result<bool, Failure> {
        let entities = peer.ask("LIST STREAMS; LIST TABLES; LIST QUERIES;")?;
        let all = |field: &str| entities.iter().filter_map(move |e| e[field].as_array()).flatten().collect::<Vec<_>>();
        let has = |field, name: &str| all(field).iter().any(|s| s["name"].as_str().is_some_and(|n| is_same(n, name)));
        let (has_table, has_stream) = (has("tables", &self.table), has("streams", &self.stream));
        if has_table {
            for query in all("queries") {
                let sinks = query["sinks"].as_array().into_iter().flatten().filter_map(|sink| sink.as_str());
                if sinks.into_iter().any(|sink| is_same(sink, &self.table)) {
                    peer.ask(&format!("TERMINATE {};", query["id"].as_str().unwrap_or_default()))?;
                }
            }
            peer.ask(&format!("DROP TABLE {} DELETE TOPIC;", self.table))?;
        }
        if has_stream {
            peer.ask(&format!("DROP STREAM {} DELETE TOPIC;", self.stream))?;
        }
        Ok(has_table || has_stream)
    }

    /// # Errors
    /// The stream or the table is not there.
    pub(super) fn require(&self, peer: &Peer) -> Result<(), Failure> {
        let entities = peer.ask("LIST STREAMS; LIST TABLES;")?;
        for (field, name) in [("streams", &self.stream), ("tables", &self.table)] {
            let mut all = entities.iter().filter_map(|entity| entity[field].as_array()).flatten();
            if !all.any(|source| source["name"].as_str().is_some_and(|known| is_same(known, name))) {
                let error = Error::missing(format!("there is no {name}, which remembers what was applied"));
                return Err(error.hint("tidemill migrations initialize-metadata makes it").into());
            }
        }
        Ok(())
    }

    /// Whether a source is one of these two.
    pub(super) fn has(&self, name: &str) -> bool {
        is_same(name, &self.stream) || is_same(name, &self.table)
    }

    /// What was applied.
    ///
    /// # Errors
    /// The table cannot be read, or holds something else.
    pub(super) fn applied(&self, peer: &Peer) -> Result<Applied, Failure> {
        let rows = peer.rows(&format!("SELECT {} FROM {};", COLUMNS.join(", "), self.table))?;
        let mut events = BTreeMap::new();
        for row in rows {
            let texts: Vec<String> = row.iter().map(text).collect();
            let Ok([key, version, name, state, checksum, started_on, completed_on, previous, error_reason]) =
                <[String; 9]>::try_from(texts)
            else {
                return Err(Error::invalid(format!("{} has other columns than it should have", self.table)).into());
            };
            let unknown = || Error::invalid(format!("{} has a version in the state '{state}'", self.table));
            let state = State::of(&state).ok_or_else(unknown)?;
            events.insert(
                key,
                Event { version, name, state, checksum, started_on, completed_on, previous, error_reason },
            );
        }
        Ok(Applied { events })
    }

    /// Writes an event under its version and as the current one, and waits until the table shows it.
    ///
    /// # Errors
    /// It is refused, or the table does not show it.
    pub(super) fn write(&self, peer: &Peer, event: &Event) -> Result<(), Failure> {
        self.write_both(peer, event, event)
    }

    /// Writes an event under its version, and another one as the current one.
    ///
    /// # Errors
    /// As those of [`Metadata::write`].
    pub(super) fn write_both(&self, peer: &Peer, event: &Event, current: &Event) -> Result<(), Failure> {
        for (key, event) in [(CURRENT, current), (event.version.as_str(), event)] {
            peer.ask(&self.insert(key, event))?;
        }
        let clock = SystemClock::new();
        let start = clock.monotonic_ns();
        while u128::from(clock.monotonic_ns() - start) < PATIENCE.as_nanos() {
            let applied = self.applied(peer)?;
            if applied.of(&event.version) == Some(&stored(event)) && applied.of(CURRENT) == Some(&stored(current)) {
                return Ok(());
            }
            clock.sleep(LOOK);
        }
        let message = format!("{} does not show what was written to {}", self.table, self.stream);
        Err(Error::backend(message).hint("look whether its query is running").into())
    }

    fn insert(&self, key: &str, event: &Event) -> String {
        let event = stored(event);
        let values = [
            key,
            &event.version,
            &event.name,
            event.state.name(),
            &event.checksum,
            &event.started_on,
            &event.completed_on,
            &event.previous,
            &event.error_reason,
        ];
        let values = values.map(string_literal);
        format!("INSERT INTO {} ({}) VALUES ({});", self.stream, COLUMNS.join(", "), values.join(", "))
    }
}

/// The event as it is written: nothing in it looks like a variable.
fn stored(event: &Event) -> Event {
    let plain = |text: &str| text.replace("${", "$ {");
    Event { name: plain(&event.name), error_reason: plain(&event.error_reason), ..event.clone() }
}

/// Whether a setting names a source: as statements do, in upper case unless it is quoted.
fn is_same(source: &str, written: &str) -> bool {
    match written.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        Some(quoted) => source == quoted,
        None => source == written.to_uppercase(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => value.to_text(),
    }
}
