//! Changes: validated against a snapshot, committed, applied when they are decided.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};

use super::running::{Running, Status};
use super::{Applied, Change, Engine, Record, Shared};
use crate::catalog::{Catalog, SourceKind};
use crate::config::{self, Properties};
use crate::error::{Error, Result};
use crate::journal::{Command, Decision, Entry};
use crate::plan::Plan;
use crate::runtime::{self, Program, QueryRun, Target, TopicTarget};
use crate::topics::record::RecordBatch;
use crate::topics::{Offset, PartitionId, Topic, partition_of};

/// How often a change is validated again because another one came first.
const ATTEMPTS: usize = 100;

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

    /// Makes the change that a statement means; `make` is called again if the catalog has changed meanwhile. Returns the
    /// change when it has taken effect.
    pub fn change(&self, text: &str, own: &Properties, make: &dyn Fn(&Catalog) -> Result<Change>) -> Result<Change> {
        for _ in 0..ATTEMPTS {
            let catalog = self.shared.catalog();
            let change = make(&catalog)?;
            let mut next = Catalog::clone(&catalog);
            let applied = change.apply(&mut next, None)?;
            if self.shared.commit_change(text, own, &change, applied, next)? {
                return Ok(change);
            }
        }
        Err(Error::conflict("the catalog changes all the time; try again"))
    }
}

impl Shared {
    /// Commits a change and waits until it has taken effect; `false` if the catalog has changed meanwhile.
    fn commit_change(
        self: &Arc<Self>,
        text: &str,
        own: &Properties,
        change: &Change,
        applied: Applied,
        next: Catalog,
    ) -> Result<bool> {
        let program = match &change.query {
            Some(query) => Some(runtime::compile(&query.plan, &next, &self.properties(own))?),
            None => None,
        };
        let resolve = match &change.query {
            Some(query) => starts_latest(&query.plan, &next, &self.properties(own)),
            None => Vec::new(),
        };
        let mut record = Record {
            text: text.to_owned(),
            properties: own.overrides().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            ids: applied.ids(),
            fingerprint: program.as_ref().map_or(0, |p| p.fingerprint),
            ..Record::default()
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let command = Command {
            version: next.version - 1,
            bytes,
            resolve: resolve.clone(),
            ends: applied.ended.clone(),
            drops: applied.dropped.iter().map(|t| t.id).collect(),
        };
        let (send, receive) = mpsc::channel();
        let (shared, change, own) = (self.clone(), change.clone(), own.clone());
        self.submit(
            Entry::Command(command),
            Box::new(move |decision| {
                let done = match decision {
                    Ok(Decision::Committed { offsets }) => {
                        record.starts = resolve.into_iter().zip(offsets).collect();
                        let effect = Effect { change, applied, record, program, own };
                        shared.take_effect(effect, next).map(|()| true)
                    }
                    Ok(Decision::Changed | Decision::Ended) => Ok(false),
                    Err(error) => Err(error),
                };
                // Whoever asked may have given up waiting.
                let _ = send.send(done);
            }),
        );
        if self.is_manual() {
            self.pump()?;
        }
        receive.recv().map_err(|_| Error::backend("the engine has ended before this was decided"))?
    }

    /// A change is decided: topics are made and removed, queries started and stopped.
    fn take_effect(self: &Arc<Self>, effect: Effect, next: Catalog) -> Result<()> {
        for topic in &effect.applied.topics {
            self.topics.create(topic)?;
        }
        let catalog = Arc::new(next);
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.catalog = catalog.clone();
            state.records.push(effect.record.clone());
        }
        for number in &effect.applied.ended {
            self.end_query(*number);
        }
        for topic in &effect.applied.dropped {
            self.topics.delete(topic.id)?;
        }
        if let (Some(query), Some(program)) = (effect.applied.query, effect.program) {
            let sink = effect.change.query.as_ref().map(|q| q.sink.source.name.clone()).unwrap_or_default();
            let properties = self.properties(&effect.own);
            let run = self.new_run(&catalog, query.number, program, &sink, &properties, &effect.record.starts)?;
            self.start(Running::new(&query, None, run, &properties));
        }
        Ok(())
    }

    /// A query that writes a sink, as yet without any state.
    pub fn new_run(
        &self,
        catalog: &Catalog,
        number: u64,
        program: Program,
        sink: &str,
        properties: &Properties,
        starts: &[(PartitionId, Offset)],
    ) -> Result<QueryRun> {
        let source = catalog.expect_source(sink)?;
        let topic = catalog.topic(&source.topic).ok_or_else(|| catalog.no_topic(&source.topic))?;
        let target = Target::Topic(Arc::new(TopicTarget {
            source: crate::catalog::Source::clone(source),
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
