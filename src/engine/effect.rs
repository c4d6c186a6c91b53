//! What a statement does to the world: a list of effects, and what each of them means.
//!
//! A statement is a list of these effects and nothing else. Each has two meanings: what it does to a catalog (`apply`,
//! without any input or output), and how it relates to earlier statements (`relate`), from which follows which of the
//! kept texts are still needed.

use std::collections::{BTreeMap, BTreeSet};

use super::History;
use super::letters::{self, dead_letter_topic};
use crate::catalog::{Catalog, Query, Source, check_topic_name};
use crate::error::{Error, Result};
use crate::ids::{QueryNumber, TopicId, Version};
use crate::plan::{Plan, Sink};
use crate::topics::Topic;
use crate::types::SqlType;

/// What a statement does, in order; nothing of it has happened until it is applied.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Applied one after the other; each sees what those before it changed.
    pub effects: Vec<Effect>,
    /// The name by which its state can be asked, `type/entity/action`, as ksqlDB names commands.
    pub command: String,
    /// The statement with everything in it that it leaves to defaults, where that differs from what was written.
    pub completed: Option<String>,
    /// What the user is told when it is done.
    pub message: String,
    /// What the user should know besides.
    pub warnings: Vec<String>,
}

/// A change of one thing that exists.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Makes a topic, unless it is there.
    MakeTopic(NewTopic),
    /// Removes a topic with all its records.
    DropTopic(String),
    /// Gives settings of a topic other values.
    AlterTopic {
        /// The name of the topic.
        name: String,
        /// The settings that change, by Kafka's names; all others stay.
        config: BTreeMap<String, String>,
    },
    /// Puts a stream or table into the catalog, in place of an older one of that name.
    MakeSource(Box<Source>),
    /// Removes the stream or table of this name from the catalog; its topic stays.
    DropSource(String),
    /// Gives a type a name.
    MakeType(String, SqlType),
    /// Removes the custom type of this name.
    DropType(String),
    /// Starts a query, and makes its sink and its topic of dead letters unless they are there.
    ///
    /// A change has at most one of these.
    StartQuery(Box<NewQuery>),
    /// Ends a query; what it has written stays.
    EndQuery(String),
    /// Pauses or resumes a query.
    PauseQuery {
        /// The id of the query, such as `CTAS_NAME_7`.
        id: String,
        /// True to pause the query, false to resume it.
        paused: bool,
    },
}

/// A topic to be made.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// By which statements call the topic.
    pub name: String,
    /// How many partitions it gets, at least 1.
    pub partitions: u32,
    /// Settings that differ from the default, by Kafka's names.
    pub config: BTreeMap<String, String>,
}

/// A query to be started.
#[derive(Clone, Debug)]
pub struct NewQuery {
    /// How the query's id is found when it starts.
    pub id: NewId,
    /// What the query does to its rows.
    pub plan: Plan,
    /// The stream or table that it writes, with the topic's number of partitions.
    ///
    /// Names and formats as the statement says, or as they follow from the sources.
    pub sink: Sink,
    /// Whether the sink is made with it, or is there already.
    pub makes_sink: bool,
    /// Whether records of which rows fail go to a topic of its own, which is made with it unless it is there.
    pub dead_letters: bool,
    /// The statement that starts the query, completed, for users to read.
    pub statement: String,
    /// The text of the statement as it was written.
    pub text: String,
}

/// The id that a query is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewId {
    /// This and the query's number: `CTAS_NAME_7`.
    Numbered(String),
    /// The one that the user gave.
    Given(String),
}

impl NewId {
    /// The id of the query of this number.
    pub fn of(&self, number: QueryNumber) -> String {
        match self {
            NewId::Numbered(prefix) => format!("{prefix}_{number}"),
            NewId::Given(id) => id.clone(),
        }
    }
}

/// What applying a change did to a catalog.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The topics that were made.
    ///
    /// Not those that were there already.
    pub topics: Vec<Topic>,
    /// The query that was started.
    pub query: Option<Query>,
    /// The numbers of the queries that have ended.
    pub ended: Vec<QueryNumber>,
    /// The topics that were removed.
    pub dropped: Vec<Topic>,
    /// The topics that have other settings.
    pub altered: Vec<Topic>,
    /// The ids of queries that were paused or resumed.
    ///
    /// True for one that was paused.
    pub paused: Vec<(String, bool)>,
}

/// Ids that were given out before and must be given again.
///
/// Ids are never used again. A kept statement gets those that it had, so that segments and state are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// One id for each topic, in the order in which the topics were made.
    pub topics: Vec<TopicId>,
    /// The number of the query that was started; `None` if the change starts no query.
    pub query: Option<QueryNumber>,
}

impl Applied {
    /// The ids that were given out.
    pub fn ids(&self) -> Ids {
        Ids { topics: self.topics.iter().map(|t| t.id).collect(), query: self.query.as_ref().map(|q| q.number) }
    }
}

impl Change {
    /// A change with its command and what the user is told.
    pub fn new(command: String, effects: Vec<Effect>, message: impl Into<String>) -> Change {
        Change { effects, command, message: message.into(), ..Change::default() }
    }

    /// The query that it starts.
    pub fn query(&self) -> Option<&NewQuery> {
        let started = |effect: &Effect| matches!(effect, Effect::StartQuery(_));
        match self.effects.iter().find(|effect| started(effect)) {
            Some(Effect::StartQuery(query)) => Some(query),
            _ => None,
        }
    }

    /// Applies the change to a catalog, under new ids or the given ones.
    ///
    /// The version of the catalog rises by one for each change, whatever its effects.
    ///
    /// # Errors
    /// Kind `Missing`: an effect refers to something that is not there. Under new ids also: a topic cannot have its name,
    /// or topics of dead letters stand against a query. The catalog may then be half changed, so it must be a copy.
    pub fn apply(&self, catalog: &mut Catalog, ids: Option<&Ids>) -> Result<Applied> {
        let mut applied = Applied::default();
        for effect in &self.effects {
            effect.apply(catalog, ids, &mut applied)?;
        }
        catalog.version = catalog.version.next();
        Ok(applied)
    }
}

impl NewQuery {
    /// Puts the query into a catalog, with its sink and its topic of dead letters.
    ///
    /// # Errors
    /// Under new ids: its topic of dead letters cannot have its name, or topics of dead letters stand against it.
    fn start(&self, catalog: &mut Catalog, ids: Option<&Ids>, applied: &mut Applied) -> Result<()> {
        let number = ids.and_then(|i| i.query).unwrap_or_else(|| catalog.next_query());
        let query = Query {
            id: self.id.of(number),
            number,
            statement: self.statement.clone(),
            text: self.text.clone(),
            sink: self.sink.source.name.clone(),
            reads: self.plan.root.sources().into_iter().map(|s| s.name.clone()).collect(),
            dead_letters: self.dead_letters,
            pauses: Vec::new(),
        };
        let dead_letters = self.dead_letters.then(|| dead_letter_topic(&query.id));
        if let Some(name) = dead_letters {
            let topic = NewTopic { name, partitions: 1, config: BTreeMap::new() };
            Effect::MakeTopic(topic).apply(catalog, ids, applied)?;
        }
        if self.makes_sink {
            catalog.put_source(Source { query: Some(query.id.clone()), ..self.sink.source.clone() });
        }
        catalog.put_query(query.clone());
        // A kept statement was checked when it was executed.
        if ids.is_none() {
            letters::check(&query, catalog)?;
        }
        applied.query = Some(query);
        Ok(())
    }
}

impl Effect {
    fn apply(&self, catalog: &mut Catalog, ids: Option<&Ids>, applied: &mut Applied) -> Result<()> {
        let unknown = |id: &str| Error::missing(format!("Unknown queryId: {id}"));
        match self {
            Effect::MakeTopic(new) if catalog.topic(&new.name).is_some() => {}
            Effect::MakeTopic(new) => {
                if ids.is_none() {
                    check_topic_name(&new.name)?;
                }
                let id = ids.and_then(|ids| ids.topics.get(applied.topics.len()).copied());
                let topic = catalog.add_topic(&new.name, new.partitions, new.config.clone(), id);
                applied.topics.push(Topic::clone(&topic));
            }
            Effect::DropTopic(name) => {
                let topic = catalog.remove_topic(name).ok_or_else(|| catalog.no_topic(name))?;
                applied.dropped.push(Topic::clone(&topic));
            }
            Effect::AlterTopic { name, config } => {
                let topic = catalog.alter_topic(name, config).ok_or_else(|| catalog.no_topic(name))?;
                applied.altered.push(Topic::clone(&topic));
            }
            Effect::MakeSource(source) => catalog.put_source(Source::clone(source)),
            Effect::DropSource(name) => {
                catalog.remove_source(name).ok_or_else(|| catalog.no_source(name))?;
            }
            Effect::MakeType(name, sql_type) => catalog.add_type(name, sql_type.clone()),
            Effect::DropType(name) => {
                catalog.remove_type(name).ok_or_else(|| catalog.no_type(name))?;
            }
            Effect::StartQuery(new) => new.start(catalog, ids, applied)?,
            Effect::EndQuery(id) => {
                let query = catalog.remove_query(id).ok_or_else(|| unknown(id))?;
                applied.ended.push(query.number);
            }
            Effect::PauseQuery { id, paused } => {
                let query = catalog.query(id).ok_or_else(|| unknown(id))?;
                let mut next = Query::clone(query);
                match paused {
                    true => next.pauses.push(catalog.version),
                    false => next.pauses.clear(),
                }
                catalog.put_query(next);
                applied.paused.push((id.clone(), *paused));
            }
        }
        Ok(())
    }

    /// Adds the versions at which things were made that the effect needs, and the versions at which things were made
    /// that it undoes. `before` is the catalog that the change was made against.
    ///
    /// Example: CREATE STREAM S over topic T needs the statement that made T. DROP STREAM S undoes the one that made S.
    pub(super) fn relate(&self, before: &Catalog, history: &History, related: &mut Related) {
        let Related { needs, undoes } = related;
        match self {
            Effect::MakeTopic(_) | Effect::MakeType(..) => {}
            Effect::MakeSource(source) => needs.extend(topic_maker(&source.topic, before, history)),
            Effect::StartQuery(new) => {
                let sink = &new.sink.source;
                needs.extend(topic_maker(&sink.topic, before, history));
                needs.extend((!new.makes_sink).then_some(sink.made_at));
                if new.dead_letters {
                    let id = new.id.of(before.next_query());
                    needs.extend(topic_maker(&dead_letter_topic(&id), before, history));
                }
                needs.extend(new.plan.root.sources().iter().map(|source| source.made_at));
                // The settings of its topic may follow from those of a source's topic.
                let read = new.plan.root.sources().into_iter().filter_map(|source| before.topic(&source.topic));
                needs.extend(read.flat_map(|topic| before.alterations(topic.id)));
            }
            Effect::AlterTopic { name, .. } => needs.extend(topic_maker(name, before, history)),
            Effect::DropTopic(name) => undoes.extend(topic_maker(name, before, history)),
            Effect::DropSource(name) => undoes.extend(before.source(name).map(|source| source.made_at)),
            Effect::DropType(name) => {
                let dropped = before.custom_types().find(|(own, _)| own == name);
                undoes.extend(dropped.map(|(_, custom)| custom.made_at));
            }
            Effect::EndQuery(id) => undoes.extend(query_maker(id, before, history)),
            Effect::PauseQuery { id, paused: true } => needs.extend(query_maker(id, before, history)),
            Effect::PauseQuery { id, paused: false } => {
                undoes.extend(before.query(id).iter().flat_map(|query| &query.pauses));
            }
        }
    }
}

/// What a change needs of earlier ones, and what it undoes of them, by their versions.
#[derive(Debug, Default)]
pub(super) struct Related {
    /// Versions of the catalog, which name statements.
    pub needs: BTreeSet<Version>,
    pub undoes: BTreeSet<Version>,
}

/// The version of the statement that made a topic; `None` if no statement that is kept made it.
fn topic_maker(name: &str, before: &Catalog, history: &History) -> Option<Version> {
    before.topic(name).and_then(|topic| history.maker_of_topic(topic.id))
}

fn query_maker(id: &str, before: &Catalog, history: &History) -> Option<Version> {
    before.query(id).and_then(|query| history.maker_of_query(query.number))
}
