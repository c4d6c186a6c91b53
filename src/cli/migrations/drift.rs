//! Drift: what exists and no migration made, and what a migration made and is gone.
//!
//! The statements of all versions that were applied say what should exist: streams, tables, custom types, and how many
//! queries write each of them. The texts are read and nothing is executed, so this holds for any server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::Work;
use super::apply::{Variables, read, session};
use super::metadata::Event;
use crate::cli::failure::Failure;
use crate::cli::made::{ALL, Made, made};

/// What a server makes by itself.
const OWN: &str = "KSQL_PROCESSING_LOG";

/// Things by kind and name.
#[derive(Default)]
struct Things {
    /// The version that made each.
    made: BTreeMap<(&'static str, String), String>,
    /// How many queries write each source.
    queries: BTreeMap<String, usize>,
    /// Whether that is not known: a query was ended by an id that does not say what it writes.
    is_query_unknown: bool,
}

/// The differences, a line each.
///
/// # Errors
/// A file cannot be read, or uses variables that are not given.
pub(super) fn differences(work: &Work, migrated: &[&Event], variables: &Variables) -> Result<Vec<String>, Failure> {
    let wanted = wanted(work, migrated, variables)?;
    let found = found(work)?;
    let mut lines = Vec::new();
    for ((kind, name), version) in wanted.made.iter().filter(|(thing, _)| !found.made.contains_key(*thing)) {
        lines.push(format!("The {kind} {name} of version {version} is gone."));
    }
    for (kind, name) in found.made.keys().filter(|thing| !wanted.made.contains_key(*thing)) {
        lines.push(format!("The {kind} {name} exists, and no migration made it."));
    }
    if wanted.is_query_unknown {
        return Ok(lines);
    }
    let names: BTreeSet<&String> = wanted.queries.keys().chain(found.queries.keys()).collect();
    let is_known = |name: &str| wanted.made.keys().any(|(_, known)| known == name);
    for name in names.into_iter().filter(|name| is_known(name)) {
        let count = |things: &Things| things.queries.get(name).copied().unwrap_or_default();
        let (should, are) = (count(&wanted), count(&found));
        if should != are && found.made.keys().any(|(_, known)| known == name) {
            lines.push(format!("{name} is written by {are} queries, and by {should} as migrations made it."));
        }
    }
    Ok(lines)
}

/// What the versions that were applied made.
fn wanted(work: &Work, migrated: &[&Event], variables: &Variables) -> Result<Things, Failure> {
    let mut things = Things::default();
    let files = work.project.files()?;
    for event in migrated {
        let Some(file) = files.iter().find(|file| file.version.to_string() == event.version) else { continue };
        let mut session = session(work, variables);
        for statement in &read(file)?.statements {
            if statement.begins_with(&["DEFINE", "UNDEFINE"]) {
                session.run(&statement.parsed).map_err(|error| statement.failure(error))?;
            }
            let text = session.spelled(&statement.parsed);
            things.add(&made(&text).map_err(|error| statement.failure(error))?, &event.version);
        }
    }
    Ok(things)
}

impl Things {
    fn add(&mut self, made: &Made, version: &str) {
        let version = version.to_owned();
        match made {
            Made::Source { is_table, name, is_query } => {
                let kind = if *is_table { "table" } else { "stream" };
                self.made.insert((kind, name.clone()), version);
                // A statement that replaces a source replaces its query.
                self.queries.insert(name.clone(), usize::from(*is_query));
            }
            Made::Type(name) => {
                self.made.insert(("type", name.clone()), version);
            }
            Made::Insert(sink) => *self.queries.entry(sink.clone()).or_default() += 1,
            Made::DropSource(name) => {
                self.made.retain(|(kind, known), _| *kind == "type" || known != name);
                self.queries.remove(name);
            }
            Made::DropType(name) => {
                self.made.remove(&("type", name.clone()));
            }
            Made::Terminate(id) if id == ALL => self.queries.clear(),
            Made::Terminate(id) => match sink_of(id).and_then(|sink| self.queries.get_mut(sink)) {
                Some(count) => *count = count.saturating_sub(1),
                None => self.is_query_unknown = true,
            },
            Made::Nothing => {}
        }
    }
}

/// The source that a query writes, as its id says it: CSAS_NAME_1.
fn sink_of(id: &str) -> Option<&str> {
    let rest = id.strip_prefix("CSAS_").or_else(|| id.strip_prefix("CTAS_"))?;
    rest.rsplit_once('_').map(|(name, _)| name)
}

/// What exists, without what remembers the migrations.
fn found(work: &Work) -> Result<Things, Failure> {
    let entities = work.peer.ask("LIST STREAMS; LIST TABLES; LIST TYPES; LIST QUERIES;")?;
    let mut things = Things::default();
    let is_other = |name: &str| name != OWN && !work.metadata.has(name);
    for (field, kind) in [("streams", "stream"), ("tables", "table")] {
        for name in all(&entities, field).filter_map(|source| source["name"].as_str()).filter(|name| is_other(name)) {
            things.made.insert((kind, name.to_owned()), String::new());
        }
    }
    for types in entities.iter().filter_map(|entity| entity["types"].as_object()) {
        things.made.extend(types.keys().map(|name| (("type", name.clone()), String::new())));
    }
    for query in all(&entities, "queries") {
        // The query of a CREATE SOURCE TABLE writes nothing.
        let id = query["id"].as_str().unwrap_or_default();
        let is_kept = query["queryType"].as_str() == Some("PERSISTENT") && !id.starts_with("CST_");
        let sinks = query["sinks"].as_array().into_iter().flatten().filter_map(|sink| sink.as_str());
        for sink in sinks.filter(|sink| is_kept && is_other(sink)) {
            *things.queries.entry(sink.to_owned()).or_default() += 1;
        }
    }
    Ok(things)
}

/// The elements of a field of all entities.
fn all<'a>(entities: &'a [Json], field: &'a str) -> impl Iterator<Item = &'a Json> {
    entities.iter().filter_map(move |entity| entity[field].as_array()).flatten()
}
