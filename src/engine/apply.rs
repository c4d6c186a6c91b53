//! Changes: validated against a snapshot, committed, applied when they are decided.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};

use super::running::{Running, Status};
use super::{Applied, Change, Engine, Record, Shared};
use crate::catalog::{Catalog, Source, SourceKind};
use crate::config::{self, Properties, Scope};
use crate::error::{Error, Result};
use crate::journal::{Command, Decision, Entry};
use crate::plan::Plan;
use crate::runtime::{self, Program, QueryRun, Target, TopicTarget};
use crate::topics::record::RecordBatch;
use crate::topics::{Offset, PartitionId, Topic, partition_of};

impl Engine {
    /// Appends the records of a batch that have one key, or none, to a topic: to the partition of the key, else to each in
    /// turn.
    pub fn insert(&self, topic: &Topic, key: Option<&[u8]>, batch: RecordBatch) -> Result<Offset> {
        let partition = match key {
            _ if self.shared.settings.ranks.is_some() => 0,
            Some(key) => partition_of(key, topic.partitions),
            None => self.shared.next_partition.fetch_add(1, Ordering::Relaxed) % topic.partitions,
        };
        let offsets = self.shared.topics.append(vec![(PartitionId { topic: topic.id, partition }, batch)])?;
        offsets.first().copied().ok_or_else(|| Error::bug("an append without an offset"))
    }

    /// Makes the change that a statement means, which `make` finds out against the catalog as it is then. Returns the change
    /// when it has taken effect.
    pub fn change(&self, text: &str, own: &Properties, make: &dyn Fn(&Catalog) -> Result<Change>) -> Result<Change> {
        // One at a time: so the catalog is still the same when the command is decided, and ids are given out once.
        let _changing = self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let catalog = self.shared.catalog();
        let change = make(&catalog)?;
        let mut next = Catalog::clone(&catalog);
        let applied = change.apply(&mut next, None)?;
        self.shared.commit_change(text, own, &change, applied, next)?;
        Ok(change)
    }
}

impl Shared {
    /// Commits a change and waits until it has taken effect.
    fn commit_change(
        self: &Arc<Self>,
        text: &str,
        own: &Properties,
        change: &Change,
        applied: Applied,
        next: Catalog,
    ) -> Result<()> {
        let properties = self.properties(own);
        let (program, resolve) = match &change.query {
            Some(query) => {
                let program = runtime::compile(&query.plan, &next, &properties)?;
                (Some(program), starts_latest(&query.plan, &next, &properties))
            }
            None => (None, Vec::new()),
        };
        let mut record = Record {
            version: next.version - 1,
            text: text.to_owned(),
            properties: properties
                .only(Scope::Statement)
                .overrides()
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect(),
            ids: applied.ids(),
            fingerprint: program.as_ref().map_or(0, |p| p.fingerprint),
            ..Record::default()
        };
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            state.history.relate(&mut record, change, &applied, &state.catalog);
        }
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let command = Command {
            version: record.version,
            bytes,
            resolve: resolve.clone(),
            ends: applied.ended.clone(),
            drops: applied.dropped.iter().map(|t| t.id).collect(),
        };
        // What needs room on the disk is made before the decision: behind it nothing may fail. Folders that no decided
        // command has made are removed at the next start.
        if let Err(error) = applied.topics.iter().try_for_each(|topic| self.topics.create(topic)) {
            applied.topics.iter().for_each(|topic| self.remove_topic(topic));
            return Err(error);
        }
        let effect = Effect { change: change.clone(), applied, record, program, own: own.clone() };
        self.decide_change(command, effect, resolve, next)
    }

    /// Has a command decided, and waits until its effect has been taken.
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
                    effect.record.starts = resolve.into_iter().zip(offsets).collect();
                    // The statement is decided: if its effect fails here, only a new start has what was decided.
                    shared.take_effect(effect, next).inspect_err(|error| shared.fail(error.clone()))
                }
                Ok(refused) => {
                    effect.applied.topics.iter().for_each(|topic| shared.remove_topic(topic));
                    Err(refused.refusal().unwrap_or_else(|| Error::bug("a refusal without a reason")))
                }
                Err(error) => Err(error),
            };
            // Whoever asked may have given up waiting.
            let _ = send.send(done);
        };
        self.submit(Entry::Command(command), Box::new(decided));
        if self.is_manual() {
            self.pump()?;
        }
        receive.recv().map_err(|_| Error::backend("the engine has ended before this was decided"))?
    }

    /// Removes a topic's records from the disk. What cannot be removed is in nobody's way, and goes at the next start.
    fn remove_topic(&self, topic: &Topic) {
        if let Err(error) = self.topics.delete(topic.id) {
            (self.settings.report)(&format!("the folder of topic '{}' cannot be removed yet: {error}", topic.name));
        }
    }

    /// A change is decided: the catalog is replaced, queries start and stop, topics go.
    fn take_effect(self: &Arc<Self>, effect: Effect, next: Catalog) -> Result<()> {
        let Effect { change, applied, record, program, own } = effect;
        let catalog = Arc::new(next);
        let starts = record.starts.clone();
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.catalog = catalog.clone();
            state.history.push(record);
        }
        applied.ended.iter().for_each(|number| self.end_query(*number));
        applied.dropped.iter().for_each(|topic| self.remove_topic(topic));
        if let (Some(query), Some(new), Some(program)) = (applied.query, change.query, program) {
            let properties = self.properties(&own);
            let run = self.new_run(&catalog, query.number, program, &new.sink.source, &properties, &starts)?;
            self.start(Running::new(&query, None, run, &properties, self.memory.share()));
        }
        Ok(())
    }

    /// A query that writes a sink, as yet without any state.
    pub fn new_run(
        &self,
        catalog: &Catalog,
        number: u64,
        program: Program,
        sink: &Source,
        properties: &Properties,
        starts: &[(PartitionId, Offset)],
    ) -> Result<QueryRun> {
        let topic = catalog.topic(&sink.topic).ok_or_else(|| catalog.no_topic(&sink.topic))?;
        let target = Target::Topic(Arc::new(TopicTarget {
            source: sink.clone(),
            topic: topic.id,
            partitions: topic.partitions,
            most_bytes: self.settings.properties.size(config::MAX_MESSAGE_BYTES),
            single: self.settings.ranks.is_some(),
            rekey: program.rekey.clone(),
        }));
        let start = |id: PartitionId| match starts.iter().find(|(own, _)| *own == id) {
            Some((_, offset)) => Ok(*offset),
            None => self.topics.start(id),
        };
        let options = self.run_options(properties);
        QueryRun::new(number, Arc::new(program), &target, self.topics.as_ref(), &start, options)
    }

    /// Has a query run.
    pub fn start(self: &Arc<Self>, running: Running) {
        let running = Arc::new(running);
        let mut queries = self.queries.write().unwrap_or_else(PoisonError::into_inner);
        queries.insert(running.id.clone(), running.clone());
        drop(queries);
        self.wake(&running);
    }

    /// Stops a query for good.
    pub fn end_query(&self, number: u64) {
        let mut queries = self.queries.write().unwrap_or_else(PoisonError::into_inner);
        for query in queries.values().filter(|q| q.number == number && q.persistent) {
            query.set_status(Status::Ended);
        }
        queries.retain(|_, q| q.number != number || !q.persistent);
        drop(queries);
        self.announce();
    }
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
pub fn starts_latest(plan: &Plan, catalog: &Catalog, properties: &Properties) -> Vec<PartitionId> {
    if properties.text(config::OFFSET_RESET).eq_ignore_ascii_case("earliest") {
        return Vec::new();
    }
    let sources = plan.root.sources();
    let streams = sources.into_iter().filter(|s| s.kind == SourceKind::Stream);
    let topics = streams.filter_map(|s| catalog.topic(&s.topic));
    topics.flat_map(|t| (0..t.partitions).map(|partition| PartitionId { topic: t.id, partition })).collect()
}
