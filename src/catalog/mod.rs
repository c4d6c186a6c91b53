//! What exists: streams and tables, topics, custom types and queries; an immutable snapshot.
//!
//! A statement is validated against a snapshot and changes a copy of it; a script is validated by changing one copy
//! statement by statement, so that nothing of a bad script is applied.

mod source;

pub use source::{PSEUDO_COLUMNS, Source, SourceKind, TimestampColumn, WindowInfo, WindowType};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Result, Span, nearest};
use crate::ids::{QueryNumber, TopicId, Version};
use crate::sql::words::{Ident, string_literal};
use crate::topics::Topic;
use crate::types::SqlType;

/// A query that runs until it is terminated.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `CTAS_NAME_7`.
    pub id: String,
    /// The number in the id; never used again.
    pub number: QueryNumber,
    /// The statement that made it, with everything in it that was left to defaults.
    pub statement: String,
    /// The text of the statement as it was written.
    pub text: String,
    /// The source that it writes.
    pub sink: String,
    /// The sources that it reads.
    pub reads: Vec<String>,
    /// Whether records of which rows fail go to a topic of its own.
    pub dead_letters: bool,
    /// The versions of the catalog at which it was paused since it last ran; none if it runs.
    pub pauses: Vec<Version>,
}

/// Refuses what cannot be the name of a topic.
///
/// # Errors
/// Invalid: Kafka would not take it.
pub fn check_topic_name(name: &str) -> Result<()> {
    const LONGEST: usize = 249;
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_valid) {
        return Ok(());
    }
    let hint = format!("a name has up to {LONGEST} letters, digits, dots, underscores and hyphens");
    Err(Error::invalid(format!("'{name}' cannot be the name of a topic")).hint(hint))
}

/// A type that a user gave a name.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomType {
    /// The type that the name stands for.
    pub sql_type: SqlType,
    /// The version of the catalog at which it was made.
    pub made_at: Version,
}

/// A snapshot of what exists.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The number of changes so far. A statement that was validated at another version is validated again.
    pub version: Version,
    sources: BTreeMap<String, Arc<Source>>,
    topics: BTreeMap<String, Arc<Topic>>,
    /// For each setting of a topic that was altered the version of the catalog before the last such change.
    altered: BTreeMap<TopicId, BTreeMap<String, Version>>,
    queries: BTreeMap<String, Arc<Query>>,
    types: BTreeMap<String, CustomType>,
    next_topic: TopicId,
    next_query: QueryNumber,
}

impl Catalog {
    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&Arc<Source>> {
        self.sources.get(name)
    }

    /// All sources, by name.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.sources.values()
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The query of this id.
    pub fn query(&self, id: &str) -> Option<&Arc<Query>> {
        self.queries.get(id)
    }

    /// All queries, in the order in which they were made.
    pub fn queries(&self) -> Vec<&Arc<Query>> {
        let mut all: Vec<_> = self.queries.values().collect();
        all.sort_by_key(|q| q.number);
        all
    }

    /// The ids of all queries, or of the one that a statement names at a place of its text.
    ///
    /// # Errors
    /// There is no query of this id.
    pub fn query_ids(&self, named: Option<(&str, Span)>) -> Result<Vec<String>> {
        match named {
            None => Ok(self.queries().into_iter().map(|query| query.id.clone()).collect()),
            Some((id, _)) if self.queries.contains_key(id) => Ok(vec![id.to_owned()]),
            Some((id, span)) => {
                let error = Error::missing(format!("Unknown queryId: {id}")).at(span);
                let known = self.queries.keys().map(String::as_str);
                let error = error.suggest(id, known, |known| Ident::new(known).to_string());
                Err(error.hint("SHOW QUERIES lists them all"))
            }
        }
    }

    /// The type that a user gave this name, in upper case.
    pub fn custom_type(&self, name: &str) -> Option<&SqlType> {
        self.types.get(name).map(|custom| &custom.sql_type)
    }

    /// All types that users gave names, by name.
    pub fn custom_types(&self) -> impl Iterator<Item = (&str, &CustomType)> {
        self.types.iter().map(|(name, custom)| (name.as_str(), custom))
    }

    /// Gives a type a name, in upper case.
    pub fn add_type(&mut self, name: &str, sql_type: SqlType) {
        self.types.insert(name.to_owned(), CustomType { sql_type, made_at: self.version });
    }

    /// Removes the name of a type.
    pub fn remove_type(&mut self, name: &str) -> Option<CustomType> {
        self.types.remove(name)
    }

    /// The refusal of a name that is not a type.
    pub fn no_type(&self, name: &str) -> Error {
        let error = Error::missing(format!("Type {name} does not exist."));
        match nearest(name, self.types.keys().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("SHOW TYPES lists what there is"),
        }
    }

    /// The queries that read or write a source.
    pub fn queries_of(&self, source: &str) -> (Vec<&str>, Vec<&str>) {
        let ids = |test: &dyn Fn(&Query) -> bool| -> Vec<&str> {
            self.queries().into_iter().filter(|q| test(q)).map(|q| q.id.as_str()).collect()
        };
        (ids(&|q| q.reads.iter().any(|r| r == source)), ids(&|q| q.sink == source))
    }

    /// The refusal of a name that is not a source.
    pub fn no_source(&self, name: &str) -> Error {
        self.no_source_that(name, |_| true)
    }

    /// Like [`Catalog::no_source`], but only sources that `fit` are suggested.
    pub fn no_source_that(&self, name: &str, fits: impl Fn(&Source) -> bool) -> Error {
        let error = Error::missing(format!("{name} does not exist."));
        let known: Vec<&str> = self.sources().filter(|s| fits(s)).map(|s| s.name.as_str()).collect();
        let error = error.suggest(name, known, |known| Ident::new(known).to_string());
        error.hint("SHOW STREAMS and SHOW TABLES list what there is")
    }

    /// The source of this name, or the refusal.
    pub fn expect_source(&self, name: &str) -> Result<&Arc<Source>> {
        self.source(name).ok_or_else(|| self.no_source(name))
    }

    /// The refusal of a name that is not a topic.
    pub fn no_topic(&self, name: &str) -> Error {
        let error = Error::missing(format!("Topic '{name}' does not exist."));
        let error = error.suggest(name, self.topics.keys().map(String::as_str), string_literal);
        error.hint(format!("tidemill topic create {name} makes it"))
    }

    /// Adds a topic under a new id, or one that it had before.
    pub fn add_topic(
        &mut self,
        name: &str,
        partitions: u32,
        config: BTreeMap<String, String>,
        id: Option<TopicId>,
    ) -> Arc<Topic> {
        let id = id.unwrap_or(self.next_topic);
        self.next_topic = self.next_topic.max(id.next());
        let topic = Arc::new(Topic { name: name.to_owned(), id, partitions, config });
        self.topics.insert(name.to_owned(), topic.clone());
        topic
    }

    /// Gives settings of a topic other values; `None` if there is no such topic.
    pub fn alter_topic(&mut self, name: &str, config: &BTreeMap<String, String>) -> Option<Arc<Topic>> {
        let topic = self.topics.get_mut(name)?;
        let mut next = Topic::clone(topic);
        next.config.extend(config.iter().map(|(name, value)| (name.clone(), value.clone())));
        *topic = Arc::new(next);
        let changes = self.altered.entry(topic.id).or_default();
        changes.extend(config.keys().map(|name| (name.clone(), self.version)));
        Some(topic.clone())
    }

    /// The versions of the changes that gave a topic the settings that it has, without the one that made it.
    pub fn alterations(&self, topic: TopicId) -> impl Iterator<Item = Version> {
        self.altered.get(&topic).into_iter().flat_map(|changes| changes.values().copied())
    }

    /// Removes a topic.
    pub fn remove_topic(&mut self, name: &str) -> Option<Arc<Topic>> {
        let removed = self.topics.remove(name)?;
        self.altered.remove(&removed.id);
        Some(removed)
    }

    /// Adds a source, or replaces the one of its name.
    pub fn put_source(&mut self, source: Source) {
        self.sources.insert(source.name.clone(), Arc::new(source));
    }

    /// Removes a source.
    pub fn remove_source(&mut self, name: &str) -> Option<Arc<Source>> {
        self.sources.remove(name)
    }

    /// The number that the next query gets.
    pub fn next_query(&self) -> QueryNumber {
        self.next_query
    }

    /// The id that the next topic gets.
    pub fn next_topic(&self) -> TopicId {
        self.next_topic
    }

    /// Makes sure that ids below these are not given out.
    pub fn skip_ids(&mut self, topic: TopicId, query: QueryNumber) {
        self.next_topic = self.next_topic.max(topic);
        self.next_query = self.next_query.max(query);
    }

    /// Adds a query, or replaces the one of its id. Its number is not given out again.
    pub fn put_query(&mut self, query: Query) {
        self.next_query = self.next_query.max(query.number.next());
        self.queries.insert(query.id.clone(), Arc::new(query));
    }

    /// Removes a query.
    pub fn remove_query(&mut self, id: &str) -> Option<Arc<Query>> {
        self.queries.remove(id)
    }
}
