//! Following a topic: its records as they are, from its start or its end, as they are decided.
//!
//! A follower reads when it is asked to, so it sets the pace by itself and nothing is kept for it. A decision about its
//! topic wakes it. It is over when it is ended, when its topic is deleted, and when the engine closes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::push::Listener;
use super::{Engine, Shared};
use crate::error::Result;
use crate::ids::TopicId;
use crate::locks::{lock, wait_while};
use crate::topics::{Offset, PartitionId, Reader, Topic};

/// About how many bytes of a partition are read at once.
const READ_BYTES: usize = 64 << 10;

/// A record of a topic that is followed.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicRecord {
    /// The number of its partition.
    pub partition: u32,
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// The key, if it has one.
    pub key: Option<Vec<u8>>,
    /// The value; None is a deletion.
    pub value: Option<Vec<u8>>,
}

/// A reader of all partitions of a topic that waits for more at their ends.
pub struct Follower {
    shared: Arc<Shared>,
    number: u64,
    topic: TopicId,
    partitions: Vec<Place>,
    bell: Arc<Bell>,
}

/// Where a partition is being read.
struct Place {
    id: PartitionId,
    reader: Box<dyn Reader>,
    next: Offset,
}

/// How a follower hears that there may be something new.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
    ended: AtomicBool,
    listener: Listener,
}

impl Bell {
    fn ring(&self) {
        *lock(&self.rung) = true;
        self.changed.notify_all();
        self.listener.call();
    }

    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.ring();
    }
}

/// The followers of all topics, by their numbers.
#[derive(Default)]
pub(super) struct Followers(Mutex<BTreeMap<u64, (TopicId, Arc<Bell>)>>);

impl Followers {
    /// Has the followers of a topic look again.
    pub(super) fn ring(&self, topic: TopicId) {
        lock(&self.0).values().filter(|(own, _)| *own == topic).for_each(|(_, bell)| bell.ring());
    }

    /// Ends the followers of a topic.
    pub(super) fn end(&self, topic: TopicId) {
        lock(&self.0).values().filter(|(own, _)| *own == topic).for_each(|(_, bell)| bell.end());
    }

    /// Ends them all.
    pub(super) fn end_all(&self) {
        lock(&self.0).values().for_each(|(_, bell)| bell.end());
    }
}

/// Numbers the followers.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Engine {
    /// Follows a topic, from its first record or from its end.
    ///
    /// # Errors
    /// The topic is not there, or cannot be read.
    pub fn follow(&self, topic: &Topic, from_beginning: bool) -> Result<Follower> {
        let (shared, bell) = (self.shared.clone(), Arc::new(Bell::default()));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        lock(&shared.followers.0).insert(number, (topic.id, bell.clone()));
        let mut follower = Follower { shared, number, topic: topic.id, partitions: Vec::new(), bell };
        // Looked at after it was listed, so that a topic that is deleted from here on ends it.
        if follower.is_topic_gone() {
            return Err(self.catalog().no_topic(&topic.name));
        }
        let topics = &follower.shared.topics;
        let place = |partition| {
            let id = PartitionId { topic: topic.id, partition };
            let next = if from_beginning { topics.start(id)? } else { topics.end(id)? };
            Ok(Place { id, reader: topics.reader(id)?, next })
        };
        follower.partitions = (0..topic.partitions).map(place).collect::<Result<_>>()?;
        Ok(follower)
    }
}

impl Follower {
    /// The next records: of each partition about 64 KiB, or one batch. Empty if there is none yet, or it is over.
    ///
    /// Does not wait; those of one partition stand together, in their order.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn records(&mut self) -> Result<Vec<TopicRecord>> {
        // Before reading: what is decided meanwhile rings again.
        *lock(&self.bell.rung) = false;
        let mut records = Vec::new();
        if self.bell.ended.load(Ordering::SeqCst) {
            return Ok(records);
        }
        let read = self.partitions.iter_mut().try_for_each(|place| place.read(&mut records));
        match read {
            // It was deleted meanwhile, which is the end and no failure.
            Err(_) if self.is_topic_gone() => self.bell.end(),
            read => read?,
        }
        Ok(records)
    }

    fn is_topic_gone(&self) -> bool {
        self.shared.world.catalog().topics().all(|topic| topic.id != self.topic)
    }

    /// Waits until there may be more, or it is over, or `most` has passed.
    pub fn wait(&self, most: Duration) {
        let waits = |rung: &mut bool| !*rung && !self.is_over();
        drop(wait_while(&self.bell.changed, lock(&self.bell.rung), most, waits));
    }

    /// Has `listener` called whenever there may be more, or it is over. It is called by threads of the engine, and must
    /// not wait.
    ///
    /// The first listener stays.
    pub fn listen(&self, listener: Box<dyn Fn() + Send + Sync>) {
        self.bell.listener.set(listener);
    }

    /// Whether no more records will come.
    pub fn is_over(&self) -> bool {
        self.bell.ended.load(Ordering::SeqCst) || self.shared.progress.is_closing()
    }

    /// Whether all records that are decided have been taken.
    ///
    /// # Errors
    /// The end of the topic cannot be asked.
    pub fn is_drained(&self) -> Result<bool> {
        for place in &self.partitions {
            if place.next < self.shared.topics.end(place.id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        lock(&self.shared.followers.0).remove(&self.number);
    }
}

impl Place {
    /// Adds the records of the next fetch.
    fn read(&mut self, to: &mut Vec<TopicRecord>) -> Result<()> {
        let fetch = self.reader.read(self.next, READ_BYTES)?;
        // Records that were deleted before they were read are not shown.
        self.next = fetch.start.unwrap_or(self.next);
        self.next = fetch.each_record(self.next, |record| {
            to.push(TopicRecord {
                partition: self.id.partition,
                time_ms: record.time,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
            });
            Ok(())
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::clock::ManualClock;
    use crate::config::Properties;
    use crate::engine::{Change, Effect, NewTopic, Settings, Store};
    use crate::error::Error;
    use crate::topics::record::BatchWriter;

    fn engine() -> (Engine, Arc<Topic>) {
        let compile = |_: &str, _: &Catalog, _: &Properties| Err(Error::bug("nothing is kept"));
        let engine = Engine::open(Settings::new(Store::Memory, Arc::new(ManualClock::new()), compile)).expect("opens");
        let topic = NewTopic { name: "t".to_owned(), partitions: 2, config: BTreeMap::new() };
        let make = |_: &Catalog| {
            Ok(Change::new("topic/t/create".to_owned(), vec![Effect::MakeTopic(topic.clone())], String::new()))
        };
        engine.change("CREATE TOPIC 't';", &Properties::default(), &make).expect("made");
        let topic = engine.catalog().topic("t").expect("there").clone();
        (engine, topic)
    }

    fn append(engine: &Engine, topic: &Topic, partition: u32, value: &str) {
        let mut writer = BatchWriter::new();
        writer.push(7, None, Some(value.as_bytes()), &[]);
        let batch = writer.finish().expect("a batch");
        engine.shared.append(vec![(PartitionId { topic: topic.id, partition }, batch)]).expect("appended");
    }

    fn values(follower: &mut Follower) -> Vec<String> {
        let records = follower.records().expect("read");
        records.into_iter().map(|r| String::from_utf8(r.value.unwrap_or_default()).expect("text")).collect()
    }

    #[test]
    fn records_come_from_the_start_or_the_end_and_wake_the_reader() {
        let (engine, topic) = engine();
        append(&engine, &topic, 1, "a");
        let mut all = engine.follow(&topic, true).expect("a follower");
        let mut new = engine.follow(&topic, false).expect("a follower");
        let rung = Arc::new(AtomicU64::new(0));
        let counter = rung.clone();
        new.listen(Box::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        }));
        assert_eq!((values(&mut all), values(&mut new)), (vec!["a".to_owned()], Vec::new()));
        append(&engine, &topic, 0, "b");
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        new.wait(Duration::from_secs(3600));
        assert_eq!((values(&mut all), values(&mut new)), (vec!["b".to_owned()], vec!["b".to_owned()]));
        assert!(new.is_drained().expect("ends") && !new.is_over());
        drop((all, new));
        assert!(lock(&engine.shared.followers.0).is_empty());
    }

    #[test]
    fn a_follower_is_over_when_it_is_ended_and_when_its_topic_is_deleted() {
        let (engine, topic) = engine();
        let ended = engine.follow(&topic, true).expect("a follower");
        engine.end_all_shown();
        assert!(ended.is_over());
        let mut left = engine.follow(&topic, true).expect("a follower");
        assert!(!left.is_over());
        let make = |_: &Catalog| {
            let effects = vec![Effect::DropTopic("t".to_owned())];
            Ok(Change::new("topic/t/drop".to_owned(), effects, String::new()))
        };
        engine.change("DROP TOPIC 't';", &Properties::default(), &make).expect("dropped");
        assert!(left.is_over());
        assert_eq!(values(&mut left), Vec::<String>::new());
        let error = engine.follow(&topic, true).map(drop).expect_err("gone");
        assert_eq!(error.message(), "Topic 't' does not exist.");
        drop((ended, left));
        assert!(lock(&engine.shared.followers.0).is_empty());
    }
}
