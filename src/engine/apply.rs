//! Changes: validated against a snapshot, committed, applied when they are decided.
//!
//! One change at a time: its thread holds a lock from looking at the catalog to the effect. The journal checks the
//! version once more, so a change that was validated against another catalog is refused even so.
//!
//! What can fail is done before the decision: compiling, checking, making the folders of topics. After it there is no
//! way back. If an effect fails then, the engine stops, and the next start brings about what was decided.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use tracing::warn;

use super::running::{Reader, Running};
use super::{Applied, Change, Engine, Record, Shared};
use crate::catalog::{Catalog, Query, Source, SourceKind};
use crate::config::{self, Properties, Scope};
use crate::error::{Error, Result};
use crate::ids::{QueryNumber, Version};
use crate::journal::{Command, Decision, Entry};
use crate::plan::Plan;
use crate::runtime::{self, Program, QueryRun, Target, TopicTarget};
use crate::topics::record::RecordBatch;
use crate::topics::{Count, Offset, PartitionId, Topic};

/// A change that has taken effect.
#[derive(Clone, Debug)]
pub struct Committed {
    /// What was done.
    pub change: Change,
    /// The version of the catalog before it; each change has another, and later ones larger.
    pub version: Version,
    /// The id of the query that it started.
    pub query: Option<String>,
}

impl Engine {
    /// Appends the records of a batch that have one key, or none, to a topic: to the partition of the key, else to each in
    /// turn.
    ///
    /// Returns the offset of the first record, when all are durable.
    ///
    /// # Errors
    /// Kind `Missing` if the topic was dropped meanwhile, kind `Backend` if the disk is full or the engine ends.
    pub fn insert(&self, topic: &Topic, key: Option<&[u8]>, batch: RecordBatch) -> Result<Offset> {
        self.check_size(&batch)?;
        let offsets = self.shared.append(vec![(self.place(topic, key), batch)])?;
        offsets.first().copied().ok_or_else(|| Error::bug("an append without an offset"))
    }

    /// Appends records to a topic, each to the partition of its key, with one commit.
    ///
    /// # Errors
    /// As [`Engine::insert`]; then none of them is there.
    pub fn insert_all(&self, topic: &Topic, records: Vec<(Option<Vec<u8>>, RecordBatch)>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        records.iter().try_for_each(|(_, batch)| self.check_size(batch))?;
        let placed = |(key, batch): (Option<Vec<u8>>, RecordBatch)| (self.place(topic, key.as_deref()), batch);
        self.shared.append(records.into_iter().map(placed).collect()).map(|_| ())
    }

    /// Refuses a record that [`Engine::insert`] would refuse for its size.
    ///
    /// # Errors
    /// Kind `Invalid`: a record is larger than a topic takes.
    pub fn check_size(&self, batch: &RecordBatch) -> Result<()> {
        /// More than what a batch has besides the key and the value of its only record.
        const HEAD: usize = 128;
        let most = self.shared.settings.properties.size(config::MAX_MESSAGE_BYTES);
        let bytes = batch.bytes().len();
        if batch.records() == 1 && bytes > most + HEAD {
            let message = format!("a record of {bytes} bytes is larger than {}, {most}", config::MAX_MESSAGE_BYTES);
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// The partition of a record.
    fn place(&self, topic: &Topic, key: Option<&[u8]>) -> PartitionId {
        // Records without a key go to each partition in turn.
        let next = if key.is_none() { self.shared.next_partition.fetch_add(1, Ordering::Relaxed) } else { 0 };
        PartitionId {
            topic: topic.id,
            partition: self.shared.settings.placement.partition(key, next, topic.partitions),
        }
    }

    /// Makes the change that a statement means, which `make` finds out against the catalog as it is then. Returns what was
    /// done, when it has taken effect.
    ///
    /// `make` may be called with a newer catalog than the caller has seen.
    ///
    /// # Errors
    /// What `make` says; kind `Conflict` if the catalog has changed; kind `Backend` if the disk is full or the engine
    /// has ended. Nothing has changed then, except that after an engine's failure the outcome is unknown.
    pub fn change(&self, text: &str, own: &Properties, make: &dyn Fn(&Catalog) -> Result<Change>) -> Result<Committed> {
        let _changing = self.shared.world.change();
        let catalog = self.shared.world.catalog();
        let change = make(&catalog)?;
        let mut next = Catalog::clone(&catalog);
        let applied = change.apply(&mut next, None)?;
        let (version, query) = (catalog.version, applied.query.as_ref().map(|query| query.id.clone()));
        self.shared.commit_change(Statement { text, own, change: &change }, applied, next)?;
        Ok(Committed { change, version, query })
    }

    /// Refuses a plan that the engine cannot run.
    ///
    /// # Errors
    /// The plan reads a topic that is not in the catalog, or a bug.
    pub fn check(&self, plan: &Plan, catalog: &Catalog, own: &Properties) -> Result<()> {
        runtime::compile(plan, catalog, &self.shared.properties(own)).map(|_| ())
    }

    /// How many records a query of this plan would not see, since it would start after them.
    ///
    /// The sum over the partitions that would be read from their ends; none with `auto.offset.reset` = `earliest`.
    ///
    /// # Errors
    /// The topics cannot be asked.
    pub fn skipped(&self, plan: &Plan, own: &Properties) -> Result<Count> {
        let (shared, topics) = (&self.shared, self.topics());
        let latest = starts_latest(plan, &shared.world.catalog(), &shared.properties(own));
        latest.into_iter().try_fold(Count::NONE, |sum, id| Ok(sum + topics.count(id)?))
    }

    /// How many records a topic has.
    ///
    /// # Errors
    /// The topic cannot be asked.
    pub fn records(&self, topic: &Topic) -> Result<Count> {
        let id = |partition| PartitionId { topic: topic.id, partition };
        (0..topic.partitions).try_fold(Count::NONE, |sum, partition| Ok(sum + self.topics().count(id(partition))?))
    }
}

/// A statement that changes what exists.
struct Statement<'a> {
    text: &'a str,
    /// The properties that were set for it.
    own: &'a Properties,
    change: &'a Change,
}

impl Shared {
    /// Commits a change and waits until it has taken effect.
    ///
    /// The record gets everything that the text alone does not say: version, properties, ids, starts.
    fn commit_change(self: &Arc<Self>, statement: Statement, applied: Applied, next: Catalog) -> Result<()> {
        let Statement { text, own, change } = statement;
        let properties = self.properties(own);
        let (program, resolve, starts) = match change.query() {
            Some(query) => {
                let program = runtime::compile(&query.plan, &next, &properties)?;
                let latest = starts_latest(&query.plan, &next, &properties);
                let starts = self.starts_trimmed(&query.plan, &next, &latest)?;
                (Some(program), latest, starts)
            }
            None => (None, Vec::new(), Vec::new()),
        };
        let kept = properties.only(Scope::Statement);
        let mut record = Record {
            version: Version::new(next.version.get() - 1),
            text: text.to_owned(),
            properties: kept.overrides().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            assumed: kept.overrides().filter(|(n, _)| !kept.is_set(n)).map(|(n, _)| n.to_owned()).collect(),
            ids: applied.ids(),
            starts,
            operators: program.as_ref().map_or_else(Vec::new, |p| p.operators.clone()),
            ..Record::default()
        };
        self.world.relate(&mut record, change);
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let command = Command {
            version: record.version,
            bytes,
            resolve: resolve.clone(),
            ends: applied.ended.clone(),
            drops: applied.dropped.iter().map(|t| t.id).collect(),
        };
        // What needs room on the disk is made before the decision: after it nothing may fail. Folders that no decided
        // command has made are removed at the next start.
        if let Err(error) = applied.topics.iter().try_for_each(|topic| self.topics.create(topic)) {
            applied.topics.iter().for_each(|topic| self.remove_topic(topic));
            return Err(error);
        }
        let effect = Effect { change: change.clone(), applied, record, program, own: own.clone() };
        self.decide_change(command, effect, resolve, next)
    }

    /// Where a query starts to read partitions from their first record, of those of which records were deleted. It has not
    /// missed what was deleted before it was made.
    fn starts_trimmed(
        &self,
        plan: &Plan,
        catalog: &Catalog,
        latest: &[PartitionId],
    ) -> Result<Vec<(PartitionId, Offset)>> {
        let topics = plan.root.sources().into_iter().filter_map(|source| catalog.topic(&source.topic));
        let all = topics.flat_map(|t| (0..t.partitions).map(|partition| PartitionId { topic: t.id, partition }));
        let mut starts = BTreeMap::new();
        for id in all.filter(|id| !latest.contains(id)) {
            // A topic that is made with the query has no records yet.
            let start = self.topics.start(id).unwrap_or_default();
            starts.extend((start > 0).then_some((id, start)));
        }
        Ok(starts.into_iter().collect())
    }

    /// Has a command decided, and waits until its effect has been taken.
    ///
    /// Topics that were made for a change that is refused are removed again.
    fn decide_change(
        self: &Arc<Self>,
        command: Command,
        mut effect: Effect,
        resolve: Vec<PartitionId>,
        next: Catalog,
    ) -> Result<()> {
        let (send, receive) = mpsc::channel();
        let shared = self.clone();
        let decided = move |decision| {
            let done = match decision {
                Ok(Decision::Committed { offsets }) => {
                    effect.record.starts.extend(resolve.into_iter().zip(offsets));
                    // The statement is decided: if its effect fails here, only the next start can apply it.
                    shared.take_effect(effect, next).inspect_err(|error| shared.fail(error.clone()))
                }
                Ok(refused) => {
                    effect.applied.topics.iter().for_each(|topic| shared.remove_topic(topic));
                    Err(refused.refusal().unwrap_or_else(|| Error::bug("a refusal without a reason")))
                }
                Err(error) => Err(error),
            };
            // The caller may have stopped waiting.
            let _ = send.send(done);
        };
        self.submit(Entry::Command(command), Box::new(decided));
        if self.is_manual() {
            self.pump()?;
        }
        receive.recv().map_err(|_| Error::backend("the engine has ended before this was decided"))?
    }

    /// Removes a topic's records from the disk. A folder that cannot be removed does no harm; the next start removes
    /// it.
    fn remove_topic(&self, topic: &Topic) {
        if let Err(error) = self.topics.delete(topic.id) {
            let name = &topic.name;
            self.settings.tell(|| warn!(topic = name, "the folder of topic '{name}' cannot be removed yet: {error}"));
        }
    }

    /// A change is decided: the catalog is replaced, queries start, rest and stop, topics go.
    ///
    /// Runs on the thread that made the round, before any later decision. The catalog is replaced first, so that
    /// queries that are woken see it.
    fn take_effect(self: &Arc<Self>, effect: Effect, next: Catalog) -> Result<()> {
        let Effect { change, applied, record, program, own } = effect;
        let starts = record.starts.clone();
        self.world.replace(Arc::new(next), record);
        applied.ended.iter().for_each(|number| self.end_query(*number));
        for (id, paused) in &applied.paused {
            if let Some(query) = self.queries.get(id) {
                query.pause(*paused);
                self.wake(&query);
            }
        }
        for topic in &applied.altered {
            self.log.iter().for_each(|log| log.configure(topic));
        }
        for topic in &applied.dropped {
            self.end_readers(topic);
            self.remove_topic(topic);
        }
        if let (Some(query), Some(new), Some(program)) = (applied.query, change.query(), program) {
            let (sink, properties) = (&new.sink.source, self.properties(&own));
            let run = Startable { number: query.number, program, sink, properties: &properties, starts: &starts };
            let run = self.new_run(run)?;
            self.start(self.query_of(&query, None, &properties), run);
        }
        Ok(())
    }

    /// Ends the queries and followers that show a topic that is gone. Those that are kept have ended before: a topic that they
    /// read cannot be dropped.
    fn end_readers(self: &Arc<Self>, topic: &Topic) {
        self.followers.end(topic.id);
        let readers = self.queries.readers(topic.id).map(|readers| readers.queries()).unwrap_or_default();
        for query in readers {
            self.fail_query(&query, Error::missing(format!("the topic '{}' has been deleted", topic.name)));
        }
    }

    /// The run of a query that writes a sink, without any state yet.
    pub(crate) fn new_run(&self, query: Startable) -> Result<QueryRun> {
        let Startable { number, program, sink, properties, starts } = query;
        let catalog = self.world.catalog();
        let topic = catalog.topic(&sink.topic).ok_or_else(|| catalog.no_topic(&sink.topic))?;
        let target = Target::Topic(Arc::new(TopicTarget {
            source: sink.clone(),
            topic: topic.id,
            partitions: topic.partitions,
            most_bytes: self.settings.properties.size(config::MAX_MESSAGE_BYTES),
            rekey: program.rekey.clone(),
            placement: self.settings.placement.clone(),
        }));
        let start = |id: PartitionId| Ok(starts.iter().find(|(own, _)| *own == id).map_or(0, |(_, offset)| *offset));
        let options = self.run_options(properties);
        QueryRun::new(number, Arc::new(program), &target, (&self.feeds, &start), options)
    }

    /// A query that will run. One that is not kept has a reader.
    pub(super) fn query_of(&self, query: &Query, reader: Option<Arc<dyn Reader>>, properties: &Properties) -> Running {
        let catalog = self.world.catalog();
        let topic = |name: &String| catalog.source(name).and_then(|source| catalog.topic(&source.topic));
        let mut reads: Vec<_> = query.reads.iter().filter_map(topic).map(|topic| topic.id).collect();
        reads.sort_unstable();
        reads.dedup();
        Running::new(query, reads, reader, properties, self.memory.share())
    }

    /// Has a query run.
    pub(crate) fn start(self: &Arc<Self>, query: Running, run: QueryRun) -> Arc<Running> {
        let query = Arc::new(query);
        query.begin(run);
        self.queries.add(&query);
        self.wake(&query);
        query
    }

    /// Stops a query for good.
    ///
    /// What it has submitted and what was not decided is refused by the journal.
    pub(crate) fn end_query(&self, number: QueryNumber) {
        for query in self.queries.all().into_iter().filter(|q| q.number == number && q.persistent) {
            query.end();
            self.queries.remove(&query);
        }
        self.progress.announce();
    }
}

/// A persistent query that is about to run.
pub(crate) struct Startable<'a> {
    pub number: QueryNumber,
    pub program: Program,
    pub sink: &'a Source,
    pub properties: &'a Properties,
    /// Where reading starts. Partitions that are not named are read from offset 0: what was deleted of them has been
    /// missed.
    pub starts: &'a [(PartitionId, Offset)],
}

/// A change with all that its effect needs.
struct Effect {
    change: Change,
    applied: Applied,
    record: Record,
    program: Option<Program>,
    own: Properties,
}

/// The partitions that a query reads from their ends: those of streams, unless it is to read from the start.
///
/// Tables are always read from the start, as in ksqlDB: a table is what all its records say.
pub(super) fn starts_latest(plan: &Plan, catalog: &Catalog, properties: &Properties) -> Vec<PartitionId> {
    if !properties.text(config::OFFSET_RESET).eq_ignore_ascii_case("latest") {
        return Vec::new();
    }
    let sources = plan.root.sources();
    let streams = sources.into_iter().filter(|s| s.kind == SourceKind::Stream);
    let topics = streams.filter_map(|s| catalog.topic(&s.topic));
    topics.flat_map(|t| (0..t.partitions).map(|partition| PartitionId { topic: t.id, partition })).collect()
}
