//! Cleaning up: records that are deleted from the start of topics, by their settings or on request.
//!
//! A thread looks at all partitions every `tidemill.cleanup.interval.ms`. What is to go is submitted to the journal, and
//! files are removed by this thread when that is decided; so neither queries nor commits wait for it.
//!
//! Compaction must not change what a query reads a second time: turns that were committed in part are repeated after a
//! restart, and must find the same rows. So only records are compacted that every persistent query over the topic has
//! passed with a decided whole epoch. A query that is made meanwhile changes the catalog, and the journal refuses a
//! compaction that was found out at another version of it. (What retention takes from such a query fails it with a clear
//! error; what compaction took nobody would see.)

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Shared};
use crate::catalog::Catalog;
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::journal::{Compact, Decision, Entry, Trim};
use crate::locks::lock;
use crate::runtime;
use crate::topics::log::{Partition, Work};
use crate::topics::{Offset, PartitionId, Topic};

/// How many partitions are trimmed with one entry.
const AT_ONCE: usize = 256;
/// How long a compaction rests after each MiB.
const PAUSE: Duration = Duration::from_millis(5);

impl Engine {
    /// Deletes and compacts what the settings of topics no longer keep, as of now; of how many partitions.
    ///
    /// # Errors
    /// A segment cannot be read or removed, or the engine cannot go on.
    pub fn clean(&self) -> Result<usize> {
        self.shared.clean()
    }

    /// Deletes all records of a topic before an offset, in one partition or in all. Returns the start of each of them
    /// when that is durable.
    ///
    /// Queries that have not read these records go on behind them, as `auto.offset.reset` says.
    ///
    /// # Errors
    /// Kind `Invalid`: there is no such partition, or the offset is after the end of the partition that is named. Kind
    /// `Missing`: the topic is gone. Kind `Backend`: the engine has ended, or files cannot be removed.
    pub fn delete_records(
        &self,
        topic: &Topic,
        partition: Option<u32>,
        before: Offset,
    ) -> Result<Vec<(PartitionId, Offset)>> {
        if let Some(number) = partition.filter(|number| *number >= topic.partitions) {
            let message =
                format!("topic '{}' has the partitions 0 to {}, not {number}", topic.name, topic.partitions - 1);
            return Err(Error::invalid(message));
        }
        let all = partition.map_or(0..topic.partitions, |number| number..number + 1);
        let ids: Vec<_> = all.map(|partition| PartitionId { topic: topic.id, partition }).collect();
        if let (Some(number), [id]) = (partition, &ids[..]) {
            let end = self.topics().end(*id)?;
            if before > end {
                let message = format!("offset {before} is after the end of partition {number}, which is {end}");
                return Err(Error::invalid(message));
            }
        }
        // A deletion and a compaction of one partition are never decided in one round.
        let _one = lock(&self.shared.upkeep.cleaning);
        let starts = self.shared.trim(ids.iter().map(|id| (*id, before)).collect())?;
        Ok(ids.into_iter().zip(starts).collect())
    }

    /// The bytes of a topic's records; `None` where topics are in memory.
    ///
    /// # Errors
    /// A segment cannot be asked for its length.
    pub fn topic_bytes(&self, topic: &Topic) -> Result<Option<u64>> {
        let Some(log) = &self.shared.log else { return Ok(None) };
        let mut sum = 0;
        for partition in 0..topic.partitions {
            sum += log.partition(PartitionId { topic: topic.id, partition })?.bytes()?;
        }
        Ok(Some(sum))
    }
}

impl Shared {
    /// The work of the cleaning thread.
    pub(crate) fn cleanup_loop(self: &Arc<Self>) {
        let interval_ns = self.settings.properties.number(config::CLEANUP_INTERVAL_MS) as u64 * 1_000_000;
        let due_ns = std::cell::Cell::new(self.now().monotonic_ns.saturating_add(interval_ns));
        self.tend(&self.upkeep.cleanup, || {
            let now_ns = self.now().monotonic_ns;
            if now_ns < due_ns.get() {
                return true;
            }
            let cleaned = self.clean().map_err(|error| self.failed_upkeep("cleaning up topics", error)).is_ok();
            if cleaned {
                due_ns.set(self.now().monotonic_ns.saturating_add(interval_ns));
            }
            cleaned
        });
    }

    /// Deletes and compacts what the settings of topics no longer keep; of how many partitions. One that cannot be read is
    /// in nobody else's way.
    fn clean(self: &Arc<Self>) -> Result<usize> {
        let Some(log) = &self.log else { return Ok(0) };
        let _one = lock(&self.upkeep.cleaning);
        let now_ms = self.now().wall_ms;
        let (mut cleaned, mut failures, mut before) = (0, Vec::new(), Vec::new());
        let partitions = log.partitions();
        let all = || partitions.iter().take_while(|_| !self.progress.is_closing());
        for partition in all() {
            // What an earlier call could not remove goes first.
            match partition.remove_dead().map_err(Error::from).and_then(|()| partition.expired(now_ms)) {
                Ok(found) => before.extend(found.map(|offset| (partition.id, offset))),
                Err(error) => failures.push((partition.id, error)),
            }
        }
        for some in before.chunks(AT_ONCE) {
            match self.trim(some.to_vec()) {
                Ok(starts) => cleaned += starts.len(),
                Err(error) => failures.extend(some.first().map(|(id, _)| (*id, error))),
            }
        }
        for partition in all().filter(|partition| partition.is_compacted()) {
            match self.compact(partition, now_ms) {
                Ok(was_worth_it) => cleaned += usize::from(was_worth_it),
                Err(error) => failures.push((partition.id, error)),
            }
        }
        // A topic that was deleted meanwhile has failed in nothing.
        failures.retain(|(id, error)| error.kind() != Kind::Missing && self.topics.end(*id).is_ok());
        failures.into_iter().next().map_or(Ok(cleaned), |(_, error)| Err(error))
    }

    /// Compacts a partition if it is worth it; whether it was.
    fn compact(self: &Arc<Self>, partition: &Partition, now_ms: i64) -> Result<bool> {
        let catalog = self.world.catalog();
        let pause = || match self.progress.is_closing() {
            true => Err(Error::backend("the engine is shutting down")),
            false if self.is_manual() => Ok(()),
            false => {
                self.settings.clock.sleep(PAUSE);
                Ok(())
            }
        };
        let decide = |compaction| {
            let entry = Entry::Compact(Compact { version: catalog.version, compaction });
            let (shared, id) = (self.clone(), partition.id);
            // Before the effect of any later entry, so before a query that must not see what is gone.
            let decided = Box::new(move || shared.feeds.forget(id));
            match self.submit_and_wait_with(entry, decided)? {
                Decision::Committed { .. } => {}
                Decision::Changed | Decision::Ended => return Ok(false),
                refused => return Err(refused.refusal().unwrap_or_else(|| Error::bug("a refusal without a reason"))),
            }
            partition.remove_dead()?;
            Ok(true)
        };
        let until = self.passed_by_all(&catalog, partition.id)?;
        partition.compact(&Work { now_ms, until, pause: &pause, decide: &decide })
    }

    /// Up to which offset of a partition no persistent query reads anything again.
    fn passed_by_all(&self, catalog: &Catalog, id: PartitionId) -> Result<Offset> {
        let reads = |name: &String| {
            let topic = catalog.source(name).and_then(|source| catalog.topic(&source.topic));
            topic.is_some_and(|topic| topic.id == id.topic)
        };
        let mut least = Offset::MAX;
        for query in catalog.queries().into_iter().filter(|query| query.reads.iter().any(reads)) {
            // One that does not run here, or whose state is still being read, has not passed anything that is known.
            let running = self.queries.get(&query.id);
            let ids = running.map(|running| running.lock().positions()).unwrap_or_default();
            let head = self.commit.journal().and_then(|journal| lock(journal).head(query.number).cloned());
            let passed = head.map(|head| runtime::whole_positions(&head, ids.len())).transpose()?.flatten();
            let own = ids.iter().zip(passed.unwrap_or_default()).filter(|((own, _), _)| *own == id);
            least = least.min(own.map(|(_, position)| position).min().unwrap_or_default());
        }
        Ok(least)
    }

    /// Has records before an offset deleted in each of some partitions: the starts of these.
    fn trim(self: &Arc<Self>, before: Vec<(PartitionId, Offset)>) -> Result<Vec<Offset>> {
        let ids: Vec<PartitionId> = before.iter().map(|(id, _)| *id).collect();
        let offsets = match self.submit_and_wait(Entry::Trim(Trim { before }))? {
            Decision::Committed { offsets } => offsets,
            refused => return Err(refused.refusal().unwrap_or_else(|| Error::bug("a refusal without a reason"))),
        };
        if let Some(log) = &self.log {
            let mut partitions = ids.iter().filter_map(|id| log.partition(*id).ok());
            partitions.try_for_each(|partition| partition.remove_dead())?;
        }
        Ok(offsets)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::ManualClock;
    use crate::disk::Open;
    use crate::disk::double::ForgetfulDisk;
    use crate::engine::{Life, Settings, Store};
    use crate::operators::Reason;
    use crate::statements;
    use crate::topics::Count;
    use crate::topics::record::BatchWriter;

    /// An engine that is driven by hand, with a stream of one partition, two records in each segment, and a copy of it.
    struct Bed {
        engine: Engine,
        clock: Arc<ManualClock>,
        machine: ForgetfulDisk,
    }

    impl Bed {
        fn new(reset: Option<&str>) -> Bed {
            let machine = ForgetfulDisk::new(0);
            let clock = Arc::new(ManualClock::new());
            let bed = Bed { engine: open(&machine, &clock), clock, machine };
            let reset = reset.map(|value| format!("SET 'auto.offset.reset'='{value}';")).unwrap_or_default();
            bed.execute(&format!(
                "CREATE TOPIC 's' WITH (PARTITIONS=1, 'segment.bytes'='260');
                 CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
                 {reset} CREATE STREAM copy AS SELECT v FROM s;"
            ));
            bed
        }

        fn start_again(&mut self) {
            self.engine.close();
            self.engine = open(&self.machine, &self.clock);
        }

        fn execute(&self, text: &str) {
            statements::execute(&self.engine, text).expect("done");
        }

        /// Appends records of 100 bytes with these times.
        fn append(&self, times: impl IntoIterator<Item = i64>) {
            for time in times {
                let mut writer = BatchWriter::new();
                writer.push(time, None, Some(format!("{{\"V\":1,\"x\":\"{}\"}}", "x".repeat(20)).as_bytes()), &[]);
                let batch = writer.finish().expect("a record");
                self.engine.insert(&self.topic(), None, batch).expect("appended");
            }
        }

        fn topic(&self) -> Topic {
            Topic::clone(self.engine.catalog().topic("s").expect("there"))
        }

        fn start(&self) -> Offset {
            self.engine.topics().start(PartitionId { topic: self.topic().id, partition: 0 }).expect("there")
        }

        fn deleted(&self) -> u64 {
            let stats = self.engine.stats("CSAS_COPY_0").expect("a query");
            stats.totals.get(&Reason::Deleted).copied().unwrap_or_default()
        }

        fn copied(&self) -> Count {
            self.engine.records(self.engine.catalog().topic("COPY").expect("there")).expect("counted")
        }
    }

    fn open(machine: &ForgetfulDisk, clock: &Arc<ManualClock>) -> Engine {
        let store = Store::Folder { disk: machine.boot(), path: "/data".into() };
        let mut settings = Settings::new(store, clock.clone(), statements::compile_kept);
        // As the shell has it; nobody has set it.
        settings.properties.assume(config::OFFSET_RESET, "latest");
        Engine::open(settings).expect("an engine")
    }

    #[test]
    fn old_records_go_by_segments_and_the_newest_segment_too() {
        let mut bed = Bed::new(None);
        bed.append([0, 10, 20, 30, 40]);
        bed.clock.advance_ms(120);
        assert_eq!(bed.engine.clean().expect("cleaned"), 0, "kept for ever");
        bed.execute("ALTER TOPIC 's' WITH ('retention.ms'='100');");
        assert_eq!((bed.engine.clean().expect("cleaned"), bed.start()), (1, 2), "the record at 20 is young enough");
        bed.start_again();
        assert_eq!((bed.engine.clean().expect("cleaned"), bed.start()), (0, 2));
        bed.clock.advance_ms(1000);
        assert_eq!((bed.engine.clean().expect("cleaned"), bed.start()), (1, 5));
        bed.start_again();
        bed.append([1100]);
        assert_eq!((bed.engine.clean().expect("cleaned"), bed.start()), (0, 5), "the offsets go on");
        assert_eq!(bed.engine.records(&bed.topic()).expect("counted"), Count::Exactly(1));
    }

    #[test]
    fn the_oldest_segments_go_while_those_after_them_are_large_enough() {
        let bed = Bed::new(None);
        bed.append(0..7);
        let bytes = bed.engine.topic_bytes(&bed.topic()).expect("asked").expect("a folder");
        bed.execute("ALTER TOPIC 's' WITH ('retention.bytes'='400');");
        assert_eq!(bed.engine.clean().expect("cleaned"), 1);
        let left = bed.engine.topic_bytes(&bed.topic()).expect("asked").expect("a folder");
        assert_eq!(bed.start() % 2, 0, "at the start of a segment");
        assert!(bytes > 700 && (400..400 + 260).contains(&left), "{bytes} bytes, then {left}");
        bed.execute("ALTER TOPIC 's' WITH ('cleanup.policy'='compact', 'retention.bytes'='0');");
        assert_eq!(bed.engine.clean().expect("cleaned"), 0, "a topic that is only compacted keeps them");
    }

    #[test]
    fn a_batch_that_is_much_later_begins_a_segment() {
        let mut bed = Bed::new(None);
        bed.execute("ALTER TOPIC 's' WITH ('segment.ms'='50', 'segment.bytes'='100000', 'retention.ms'='1');");
        bed.append([0, 50]);
        bed.start_again();
        bed.append([51, 60]);
        bed.clock.advance_ms(60);
        bed.engine.clean().expect("cleaned");
        assert_eq!(bed.start(), 2, "the first two are in a segment of their own");
    }

    #[test]
    fn a_query_counts_what_was_deleted_before_it_read_it() {
        for (reset, copied, deleted) in [(Some("earliest"), 2, 3), (None, 2, 3), (Some("latest"), 0, 5)] {
            let mut bed = Bed::new(reset);
            bed.append(0..5);
            bed.engine.delete_records(&bed.topic(), Some(0), 3).expect("deleted");
            // It has never read anything, and it was there before.
            bed.start_again();
            bed.engine.settle().expect("settled");
            assert_eq!((bed.copied(), bed.deleted()), (Count::Exactly(copied), deleted), "{reset:?}");
            bed.append([6]);
            bed.engine.settle().expect("settled");
            bed.start_again();
            bed.engine.settle().expect("settled");
            assert_eq!((bed.copied(), bed.deleted()), (Count::Exactly(copied + 1), deleted), "{reset:?}: counted once");
        }
    }

    #[test]
    fn a_query_that_is_to_miss_nothing_fails() {
        let bed = Bed::new(Some("none"));
        bed.append(0..5);
        bed.engine.delete_records(&bed.topic(), None, 3).expect("deleted");
        // The engine goes on, and the query does not.
        let _ = bed.engine.settle();
        let Some(Life::Failed(error)) = bed.engine.life("CSAS_COPY_0") else { panic!("it goes on") };
        assert!(error.to_string().contains("topic s partition 0 offset 0 was deleted before it was read"), "{error}");
    }

    #[test]
    fn a_query_misses_nothing_of_what_was_deleted_before_it_was_made() {
        let mut bed = Bed::new(Some("earliest"));
        bed.append(0..5);
        bed.engine.settle().expect("settled");
        bed.engine.delete_records(&bed.topic(), None, 3).expect("deleted");
        bed.execute("SET 'auto.offset.reset'='earliest'; CREATE STREAM later AS SELECT v FROM s;");
        bed.start_again();
        bed.engine.settle().expect("settled");
        assert_eq!((bed.copied(), bed.deleted()), (Count::Exactly(5), 0));
        let later = bed.engine.records(bed.engine.catalog().topic("LATER").expect("there")).expect("counted");
        assert_eq!(later, Count::Exactly(2));
        let stats = bed.engine.stats("CSAS_LATER_1").expect("a query");
        assert_eq!(stats.totals.get(&Reason::Deleted).copied().unwrap_or_default(), 0);
    }

    #[test]
    fn records_are_deleted_in_memory_too() {
        let settings = Settings::new(Store::Memory, Arc::new(ManualClock::new()), statements::compile_kept);
        let bed = Bed {
            engine: Engine::open(settings).expect("an engine"),
            clock: Arc::default(),
            machine: ForgetfulDisk::new(0),
        };
        bed.execute("CREATE TOPIC 's' WITH (PARTITIONS=1);");
        bed.append(0..5);
        let mut follower = bed.engine.follow(&bed.topic(), true).expect("a follower");
        assert_eq!(bed.engine.delete_records(&bed.topic(), None, 3).expect("deleted").len(), 1);
        assert_eq!((bed.start(), bed.engine.clean().expect("cleaned")), (3, 0));
        assert_eq!(follower.records().expect("read").len() + follower.records().expect("read").len(), 2);
        assert!(bed.engine.delete_records(&bed.topic(), Some(0), 6).is_err(), "after the end");
        assert!(bed.engine.delete_records(&bed.topic(), Some(1), 0).is_err(), "no such partition");
    }

    #[test]
    fn settings_outlive_restarts_and_what_follows_from_them_too() {
        let mut bed = Bed::new(None);
        bed.execute(
            "ALTER TOPIC 's' WITH ('retention.ms'='7');
             CREATE STREAM short AS SELECT v FROM s;
             CREATE TABLE counts AS SELECT v, COUNT(*) AS n FROM s GROUP BY v;
             ALTER TOPIC 's' WITH ('retention.ms'='8', 'retention.bytes'='9');",
        );
        for _ in 0..2 {
            let config = |topic: &str| bed.engine.catalog().topic(topic).expect("there").config.clone();
            let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let wanted =
                [setting("retention.bytes", "9"), setting("retention.ms", "8"), setting("segment.bytes", "260")];
            assert_eq!(config("s"), BTreeMap::from(wanted));
            assert_eq!(config("SHORT"), BTreeMap::from([setting("retention.ms", "7")]), "as the source's was then");
            let compacted = setting("cleanup.policy", "compact");
            let wanted = BTreeMap::from([compacted, setting("retention.ms", "7")]);
            assert_eq!(config("COUNTS"), wanted, "the rows of a table do not age");
            // Statements that nothing needs any more are forgotten.
            bed.engine.checkpoint().expect("a checkpoint");
            bed.start_again();
        }
    }
    #[test]
    fn a_damaged_segment_is_in_no_other_topics_way() {
        let mut bed = Bed::new(None);
        bed.append(0..5);
        bed.execute("CREATE TOPIC 'a' WITH (PARTITIONS=1, 'retention.ms'='1');");
        let other = Topic::clone(bed.engine.catalog().topic("a").expect("there"));
        let mut writer = BatchWriter::new();
        writer.push(0, None, Some(b"x"), &[]);
        bed.engine.insert(&other, None, writer.finish().expect("a record")).expect("appended");
        bed.execute("ALTER TOPIC 's' WITH ('retention.ms'='1');");
        // Else the records come from the journal again.
        bed.engine.checkpoint().expect("a checkpoint");
        bed.start_again();
        let path = format!("/data/topics/{}/0/00000000000000000000.log", bed.topic().id);
        let disk = bed.engine.shared.home().expect("a folder").0;
        disk.open(path.as_ref(), Open::Existing).and_then(|file| file.write_at(&[9; 60], 0)).expect("damaged");
        bed.clock.advance_ms(1000);
        assert!(bed.engine.clean().is_err());
        let start = bed.engine.topics().start(PartitionId { topic: other.id, partition: 0 }).expect("there");
        assert_eq!((bed.start(), start), (0, 1));
    }

    #[test]
    fn compaction_waits_for_queries_and_leaves_what_they_have_not_committed() {
        let mut bed = Bed::new(Some("earliest"));
        bed.execute("ALTER TOPIC 's' WITH ('cleanup.policy'='compact', 'min.cleanable.dirty.ratio'='0');");
        let put = |bed: &Bed| {
            for n in 0..20 {
                let mut writer = BatchWriter::new();
                writer.push(n, Some(b"key"), Some(format!("{{\"V\":{n}}}").as_bytes()), &[]);
                bed.engine.insert(&bed.topic(), Some(b"key"), writer.finish().expect("a record")).expect("appended");
            }
        };
        put(&bed);
        assert_eq!(bed.engine.clean().expect("cleaned"), 0, "nothing was read yet");
        bed.engine.settle().expect("settled");
        bed.execute("PAUSE CSAS_COPY_0;");
        put(&bed);
        assert_eq!(bed.engine.clean().expect("cleaned"), 1);
        let bytes = |bed: &Bed| bed.engine.topic_bytes(&bed.topic()).expect("asked").expect("a folder");
        let half = bytes(&bed);
        bed.start_again();
        bed.execute("RESUME CSAS_COPY_0;");
        bed.engine.settle().expect("settled");
        assert_eq!((bed.copied(), bed.deleted()), (Count::Exactly(40), 0), "what was not read was not compacted");
        assert_eq!(bed.engine.clean().expect("cleaned"), 1);
        assert!(bytes(&bed) < half / 2, "{} of {half} bytes", bytes(&bed));
        bed.start_again();
        bed.execute("SET 'auto.offset.reset'='earliest'; CREATE STREAM later AS SELECT v FROM s;");
        bed.engine.settle().expect("settled");
        let later = bed.engine.records(bed.engine.catalog().topic("LATER").expect("there")).expect("counted").most();
        assert!((1..10).contains(&later), "{later} records were left");
        let stats = bed.engine.stats("CSAS_LATER_1").expect("a query");
        assert_eq!(stats.totals.get(&Reason::Deleted).copied().unwrap_or_default(), 0, "a gap is no loss");
        assert!(matches!(bed.engine.records(&bed.topic()), Ok(Count::AtMost(40))));
    }

    #[test]
    fn who_counts_on_every_row_is_told_when_some_are_gone() {
        for tells_tokens in [true, false] {
            let bed = Bed::new(None);
            let parsed = statements::parse("SELECT v FROM s EMIT CHANGES;").expect("a query");
            let mut own = crate::config::Properties::default();
            own.set(config::OFFSET_RESET, "earliest").expect("a property");
            own.set(config::PUSH_TOKENS, &tells_tokens.to_string()).expect("a property");
            let statements::Outcome::Push { query, .. } =
                statements::Session::new(&bed.engine, own).run(&parsed[0]).expect("begun")
            else {
                panic!("a push query")
            };
            bed.append(0..6);
            bed.engine.delete_records(&bed.topic(), None, 3).expect("deleted");
            let rows = query.rows(std::time::Duration::ZERO).and_then(|rows| {
                let more = query.rows(std::time::Duration::ZERO)?;
                Ok(rows.len() + more.len())
            });
            match tells_tokens {
                true => assert!(rows.expect_err("a failure").to_string().contains("was deleted before it was read")),
                false => assert_eq!(rows.expect("rows"), 3),
            }
        }
    }

    /// A query that is slow, and need not be waited for, has others keep decoded rows for it.
    #[test]
    fn what_was_decoded_before_a_compaction_reaches_no_query_that_is_made_after_it() {
        let bed = Bed::new(Some("earliest"));
        bed.execute("ALTER TOPIC 's' WITH ('cleanup.policy'='compact', 'min.cleanable.dirty.ratio'='0');");
        let parsed = statements::parse("SELECT v FROM s EMIT CHANGES;").expect("a query");
        let mut own = crate::config::Properties::default();
        own.set(config::OFFSET_RESET, "earliest").expect("a property");
        let shown = statements::Session::new(&bed.engine, own).run(&parsed[0]).expect("begun");
        for n in 0..20 {
            let mut writer = BatchWriter::new();
            writer.push(n, Some(b"key"), Some(format!("{{\"V\":{n}}}").as_bytes()), &[]);
            bed.engine.insert(&bed.topic(), Some(b"key"), writer.finish().expect("a record")).expect("appended");
        }
        let mut cleaned = 0;
        while cleaned == 0 {
            bed.engine.turn("CSAS_COPY_0").expect("a turn");
            bed.engine.shared.pump().expect("committed");
            cleaned = bed.engine.clean().expect("cleaned");
        }
        bed.execute("SET 'auto.offset.reset'='earliest'; CREATE STREAM later AS SELECT v FROM s;");
        for _ in 0..20 {
            bed.engine.turn("CSAS_LATER_1").expect("a turn");
        }
        bed.engine.settle().expect("settled");
        let later = bed.engine.records(bed.engine.catalog().topic("LATER").expect("there")).expect("counted").most();
        assert!((1..10).contains(&later), "{later} records reached it");
        drop(shown);
    }

    #[test]
    fn a_topic_that_is_dropped_while_it_is_compacted_takes_nothing_with_it() {
        let bed = Bed::new(None);
        bed.execute("ALTER TOPIC 's' WITH ('cleanup.policy'='compact', 'min.cleanable.dirty.ratio'='0');");
        bed.append(0..7);
        let id = PartitionId { topic: bed.topic().id, partition: 0 };
        let partition = bed.engine.shared.log.as_ref().expect("a folder").partition(id).expect("there");
        let decisions = std::cell::RefCell::new(Vec::new());
        let decide = |compaction| {
            if decisions.borrow().is_empty() {
                bed.execute("DROP STREAM copy; DROP STREAM s DELETE TOPIC;");
            }
            // Made with the catalog as it is now, so that this is not what it is refused for.
            let version = bed.engine.catalog().version;
            decisions
                .borrow_mut()
                .push(bed.engine.shared.submit_and_wait(Entry::Compact(Compact { version, compaction })));
            Ok(false)
        };
        let work = Work { now_ms: 0, until: Offset::MAX, pause: &|| Ok(()), decide: &decide };
        // The folder of the topic is gone, or still there.
        let _ = partition.compact(&work);
        let decisions = decisions.into_inner();
        assert!(matches!(decisions[..], [Ok(Decision::Ended)]), "{decisions:?}");
        bed.execute("CREATE TOPIC 'next' WITH (PARTITIONS=1);");
        assert!(bed.engine.failure().is_none());
    }

    #[test]
    fn compressed_records_are_read_from_files_and_from_memory() {
        for codec in ["gzip", "snappy", "lz4", "zstd"] {
            let mut bed = Bed::new(Some("earliest"));
            bed.execute(&format!(
                "ALTER TOPIC 's' WITH ('compression.type'='{codec}', 'segment.bytes'='100000');
                 ALTER TOPIC 'COPY' WITH ('compression.type'='{codec}');"
            ));
            let batch = |records: i64, first: i64| {
                let mut writer = BatchWriter::new();
                (0..records).for_each(|n| writer.push(first + n, None, Some(b"{\"V\":1234567}"), &[]));
                writer.finish().expect("some records")
            };
            let plain = batch(500, 0).bytes().len() as u64;
            for n in 0..4 {
                bed.engine.insert(&bed.topic(), None, batch(500, n * 500)).expect("appended");
            }
            let bytes = bed.engine.topic_bytes(&bed.topic()).expect("asked").expect("a folder");
            assert!(bytes < 2 * plain, "{codec}: {bytes} for four batches of {plain}");
            bed.engine.settle().expect("settled");
            assert_eq!(bed.copied(), Count::Exactly(2000), "{codec}: from memory");
            bed.start_again();
            bed.execute("SET 'auto.offset.reset'='earliest'; CREATE STREAM later AS SELECT v FROM s;");
            bed.engine.settle().expect("settled");
            let later = bed.engine.records(bed.engine.catalog().topic("LATER").expect("there")).expect("counted");
            assert_eq!(later, Count::Exactly(2000), "{codec}: from the file");
            let id = PartitionId { topic: bed.topic().id, partition: 0 };
            assert_eq!(bed.engine.topics().offset_for_time(id, 1234).expect("found"), 1234, "{codec}");
        }
    }
}
