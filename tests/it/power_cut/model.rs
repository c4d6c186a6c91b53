//! What must be there whatever has happened: records and statements that were acknowledged, and results that were shown.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidemill::engine::Engine;
use tidemill::topics::{PartitionId, Topic};

/// A record as a reader sees it: its time, key and value.
pub(super) type Seen = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

/// The records of a topic, partition by partition.
pub(super) type Partitions = BTreeMap<u32, Vec<Seen>>;

/// Something that was asked for and not answered before the process ended: it has happened whole, or not at all.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    Append {
        topic: String,
        records: Vec<(u32, Seen)>,
    },
    Create(String),
    Drop(String),
    /// The end of the query that writes this source.
    Terminate(String),
    /// The deletion of what settings no longer keep.
    Clean,
    /// The deletion of records before an offset, in a partition of the topic of which some are deleted.
    Delete {
        partition: u32,
        before: i64,
    },
    /// Another value of a setting of that topic.
    Alter {
        name: String,
        value: String,
    },
}

/// The topic of which only the last record of a key stays.
pub(super) const COMPACTED: &str = "keyed";
/// The topic of which records are deleted.
pub(super) const TRIMMED: &str = "events";

/// What must be there.
#[derive(Default)]
pub(super) struct Model {
    pub inputs: BTreeMap<String, Partitions>,
    pub sources: BTreeSet<String>,
    /// Those of them whose query was terminated.
    pub terminated: BTreeSet<String>,
    pub shown: BTreeMap<String, Partitions>,
    pub pending: Option<Pending>,
    /// The settings of the topic of which records are deleted.
    pub settings: BTreeMap<String, String>,
    /// From where on its partitions have records, as was acknowledged or seen.
    pub starts: BTreeMap<u32, i64>,
    /// Whether engines delete by themselves what settings no longer keep.
    pub cleans_itself: bool,
}

/// What a check finds wrong.
pub(super) type Checked<T = ()> = Result<T, String>;

impl Model {
    /// A pending request was answered, or is found to have happened.
    pub(super) fn happened(&mut self) {
        match self.pending.take() {
            Some(Pending::Append { topic, records }) => {
                let partitions = self.inputs.entry(topic).or_default();
                for (partition, record) in records {
                    partitions.entry(partition).or_default().push(record);
                }
            }
            Some(Pending::Create(name)) => {
                self.sources.insert(name);
            }
            Some(Pending::Drop(name)) => {
                self.sources.remove(&name);
                self.terminated.remove(&name);
                self.shown.remove(&name);
            }
            Some(Pending::Terminate(name)) => {
                self.terminated.insert(name);
            }
            Some(Pending::Delete { partition, before }) => {
                let start = self.starts.entry(partition).or_default();
                *start = before.max(*start);
            }
            Some(Pending::Alter { name, value }) => {
                self.settings.insert(name, value);
            }
            // From where on there are records is noted afterwards.
            Some(Pending::Clean) | None => {}
        }
    }

    /// Compares with what an engine has that was just opened.
    pub(super) fn check(&mut self, engine: &Engine) -> Checked {
        let may_delete = self.cleans_itself || matches!(self.pending, Some(Pending::Clean));
        self.check_pending(engine)?;
        self.check_trimmed(engine, may_delete)?;
        let names: BTreeSet<String> = engine.catalog().sources().map(|s| s.name.clone()).collect();
        if names != self.sources {
            return Err(format!("acknowledged sources {:?}, found {names:?}", self.sources));
        }
        let running: BTreeSet<String> = engine.catalog().queries().iter().map(|query| query.sink.clone()).collect();
        if let Some(name) = self.terminated.intersection(&running).next() {
            return Err(format!("the query of {name} was terminated, and is there"));
        }
        self.check_compacted(engine)?;
        for (name, wanted) in self.inputs.iter().filter(|(name, _)| *name != COMPACTED) {
            let mut wanted = wanted.clone();
            if name == TRIMMED {
                for (partition, start) in &self.starts {
                    wanted.entry(*partition).and_modify(|records| drop(records.drain(..*start as usize)));
                }
                wanted.retain(|_, records| !records.is_empty());
            }
            let found = all_records(engine, name)?;
            if found != wanted {
                return Err(format!("acknowledged records of {name}: {}, found {}", shown(&wanted), shown(&found)));
            }
        }
        for (name, wanted) in &self.shown {
            let found = all_records(engine, name)?;
            for (partition, wanted) in wanted {
                if !found.get(partition).is_some_and(|found| found.starts_with(wanted)) {
                    let wanted = BTreeMap::from([(*partition, wanted.clone())]);
                    return Err(format!("shown records of {name}: {}, found {}", shown(&wanted), shown(&found)));
                }
            }
        }
        Ok(())
    }

    /// Finds out whether what was not answered has happened.
    fn check_pending(&mut self, engine: &Engine) -> Checked {
        let happened = match &self.pending {
            None => return Ok(()),
            Some(Pending::Create(name)) => engine.catalog().source(name).is_some(),
            Some(Pending::Drop(name)) => engine.catalog().source(name).is_none(),
            Some(Pending::Terminate(name)) => engine.catalog().queries().iter().all(|query| query.sink != *name),
            Some(Pending::Append { topic, .. }) => {
                let count = |all: &Partitions| all.values().map(Vec::len).sum::<usize>() as i64;
                ends(engine, topic)? != self.inputs.get(topic).map_or(0, count)
            }
            // Where it starts says so afterwards; nothing else depends on it.
            Some(Pending::Clean) => true,
            Some(Pending::Delete { partition, before }) => {
                let known = self.starts.get(partition).copied().unwrap_or_default();
                start(engine, *partition)? >= known.max(*before)
            }
            Some(Pending::Alter { name, value }) => topic_of(engine, TRIMMED)?.config.get(name) == Some(value),
        };
        if happened {
            self.happened();
        }
        self.pending = None;
        Ok(())
    }

    /// The topic of which records are deleted has its settings, and starts where it must.
    fn check_trimmed(&mut self, engine: &Engine, may_delete: bool) -> Checked {
        let Ok(topic) = topic_of(engine, TRIMMED) else { return Ok(()) };
        if topic.config != self.settings {
            return Err(format!("acknowledged settings {:?}, found {:?}", self.settings, topic.config));
        }
        let known = self.starts.clone();
        self.note_starts(engine)?;
        for (partition, start) in &self.starts {
            let known = known.get(partition).copied().unwrap_or_default();
            if *start != known && !may_delete {
                return Err(format!("partition {partition} started at {known}, and starts at {start}"));
            }
        }
        Ok(())
    }

    /// Of the topic that is compacted, nothing is there that was not written, and of each key the last record with what
    /// comes after it.
    fn check_compacted(&self, engine: &Engine) -> Checked {
        for (partition, wanted) in self.inputs.get(COMPACTED).into_iter().flatten() {
            let id = PartitionId { topic: topic_of(engine, COMPACTED)?.id, partition: *partition };
            let found = read_with_offsets(engine, id).map_err(|e| format!("{COMPACTED}: {e}"))?;
            let end = engine.topics().end(id).map_err(|e| e.to_string())?;
            let is_part = found.windows(2).all(|pair| pair[0].0 < pair[1].0)
                && found.iter().all(|(offset, record)| wanted.get(*offset as usize) == Some(record));
            let is_last =
                |(offset, record): &(usize, &Seen)| !wanted[offset + 1..].iter().any(|later| later.1 == record.1);
            // A tombstone may go.
            let last = wanted.iter().enumerate().filter(is_last).filter(|(_, record)| record.2.is_some());
            let mut lost = last.filter(|(offset, _)| found.iter().all(|(found, _)| *found != *offset as i64));
            if !is_part || end != wanted.len() as i64 || lost.next().is_some() {
                let records = BTreeMap::from([(*partition, wanted.clone())]);
                return Err(format!("{COMPACTED}: {}, found {found:?} up to {end}", shown(&records)));
            }
        }
        Ok(())
    }

    /// A reader looks from where on there are records; an earlier one must not come back.
    pub(super) fn note_starts(&mut self, engine: &Engine) -> Checked {
        if topic_of(engine, TRIMMED).is_err() {
            return Ok(());
        }
        for partition in 0..2 {
            let (found, known) = (start(engine, partition)?, self.starts.entry(partition).or_default());
            if found < *known {
                return Err(format!("partition {partition} started at {known}, and starts at {found}"));
            }
            *known = found;
        }
        Ok(())
    }

    /// A reader looks at all results: from now on they must stay.
    pub(super) fn look(&mut self, engine: &Engine) -> Checked {
        for source in engine.catalog().sources().filter(|s| s.query.is_some()) {
            self.shown.insert(source.topic.clone(), all_records(engine, &source.topic)?);
        }
        Ok(())
    }
}

fn shown(partitions: &Partitions) -> String {
    let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|b| String::from_utf8_lossy(b).into_owned());
    let one = |(time, key, value): &Seen| format!("{time} {:?} {:?}", text(key), text(value));
    let all = partitions.iter().map(|(p, records)| format!("{p}: {:?}", records.iter().map(one).collect::<Vec<_>>()));
    all.collect::<Vec<_>>().join("; ")
}

/// The topic of this name.
pub(super) fn topic_of(engine: &Engine, name: &str) -> Checked<Topic> {
    let catalog = engine.catalog();
    catalog.topic(name).map(|t| Topic::clone(t)).ok_or_else(|| format!("there is no topic {name}"))
}

/// The start of a partition of the topic of which records are deleted.
fn start(engine: &Engine, partition: u32) -> Checked<i64> {
    let id = PartitionId { topic: topic_of(engine, TRIMMED)?.id, partition };
    engine.topics().start(id).map_err(|e| e.to_string())
}

/// The sum of the end offsets of a topic.
fn ends(engine: &Engine, name: &str) -> Checked<i64> {
    let topic = topic_of(engine, name)?;
    let end = |partition| engine.topics().end(PartitionId { topic: topic.id, partition }).map_err(|e| e.to_string());
    (0..topic.partitions).try_fold(0, |sum, partition| Ok(sum + end(partition)?))
}

/// All committed records of a topic; partitions without any are left out.
pub(super) fn all_records(engine: &Engine, name: &str) -> Checked<Partitions> {
    let topic = topic_of(engine, name)?;
    let mut all = Partitions::new();
    for partition in 0..topic.partitions {
        let records = read(engine, PartitionId { topic: topic.id, partition }).map_err(|e| format!("{name}: {e}"))?;
        if !records.is_empty() {
            all.insert(partition, records);
        }
    }
    Ok(all)
}

fn read(engine: &Engine, id: PartitionId) -> tidemill::error::Result<Vec<Seen>> {
    Ok(read_with_offsets(engine, id)?.into_iter().map(|(_, record)| record).collect())
}

fn read_with_offsets(engine: &Engine, id: PartitionId) -> tidemill::error::Result<Vec<(i64, Seen)>> {
    let mut reader = engine.topics().reader(id)?;
    let mut all = Vec::new();
    let mut next = engine.topics().start(id)?;
    loop {
        let fetch = reader.read(next, 1 << 16)?;
        if let Some(start) = fetch.start {
            // What is deleted meanwhile is not looked at.
            (next, all) = (start, Vec::new());
            continue;
        }
        if fetch.bytes.is_empty() {
            return Ok(all);
        }
        next = fetch.each_record(next, |record| {
            let seen = (record.time, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
            all.push((record.offset, seen));
            Ok(())
        })?;
    }
}

/// The value of a record as JSON.
pub(super) fn json(record: &Seen) -> Value {
    record.2.as_ref().map_or(Value::Null, |bytes| serde_json::from_slice(bytes).expect("a result is JSON"))
}
