//! What must be there whatever has happened: records and statements that were acknowledged, and results that were shown.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidemill::engine::Engine;
use tidemill::topics::record::{BatchHead, Records};
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
}

/// What must be there.
#[derive(Default)]
pub(super) struct Model {
    pub inputs: BTreeMap<String, Partitions>,
    pub sources: BTreeSet<String>,
    /// Those of them whose query was terminated.
    pub terminated: BTreeSet<String>,
    pub shown: BTreeMap<String, Partitions>,
    pub pending: Option<Pending>,
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
            None => {}
        }
    }

    /// Compares with what an engine has that was just opened.
    pub(super) fn check(&mut self, engine: &Engine) -> Checked {
        self.check_pending(engine)?;
        let names: BTreeSet<String> = engine.catalog().sources().map(|s| s.name.clone()).collect();
        if names != self.sources {
            return Err(format!("acknowledged sources {:?}, found {names:?}", self.sources));
        }
        let running: BTreeSet<String> = engine.catalog().queries().iter().map(|query| query.sink.clone()).collect();
        if let Some(name) = self.terminated.intersection(&running).next() {
            return Err(format!("the query of {name} was terminated, and is there"));
        }
        for (name, wanted) in &self.inputs {
            let found = all_records(engine, name)?;
            if found != *wanted {
                return Err(format!("acknowledged records of {name}: {}, found {}", shown(wanted), shown(&found)));
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
                let count = |all: &Partitions| all.values().map(Vec::len).sum::<usize>();
                count(&all_records(engine, topic)?) != self.inputs.get(topic).map_or(0, count)
            }
        };
        if happened {
            self.happened();
        }
        self.pending = None;
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
    let mut reader = engine.topics().reader(id)?;
    let mut all = Vec::new();
    let mut next = 0;
    loop {
        let fetch = reader.read(next, 1 << 16)?;
        if fetch.bytes.is_empty() {
            return Ok(all);
        }
        let mut rest = fetch.bytes.as_slice();
        while let Some(head) = BatchHead::parse(rest)? {
            let mut records = Records::new(&rest[..head.length], head);
            while let Some(record) = records.next_record()? {
                if record.offset >= next {
                    all.push((record.time, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec)));
                }
            }
            next = head.next_offset();
            rest = &rest[head.length..];
        }
    }
}

/// The value of a record as JSON.
pub(super) fn json(record: &Seen) -> Value {
    record.2.as_ref().map_or(Value::Null, |bytes| serde_json::from_slice(bytes).expect("a result is JSON"))
}
