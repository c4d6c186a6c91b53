//! Batch size is no parameter of meaning: the results are the same in whole batches, in batches of one row, and stopped after
//! each commit, opened again and resumed; and they are those of the definition.
//!
//! The streams are random: out of order, with rows that come too late, without keys and without values, over one partition
//! and over three. `BATCH_SEEDS` says how many of them there are.

mod oracle;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tidemill::clock::ManualClock;
use tidemill::config::{self, Properties};
use tidemill::disk::double::{ForgetfulDisk, Random};
use tidemill::engine::{Engine, Settings, Store};
use tidemill::statements::{self, Session};
use tidemill::topics::record::BatchWriter;
use tidemill::topics::{PartitionId, partition_of};

use oracle::{Counting, Joining, Kind, Record, Topic, Value};

/// How rows are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Whole,
    One,
    /// One row at a time; after each commit the engine is closed and opened again.
    Resume,
}

/// A topic's records for a seed: times go up on the whole, but not from row to row.
fn topic(random: &mut Random, partitions: usize, rows: u64) -> Topic {
    let mut topic = vec![Vec::new(); partitions];
    let mut time = 1_000_000;
    for number in 0..rows {
        time += random.below(3_000) as i64;
        if random.one_in(40) {
            time += 60_000;
        }
        let disorder = if random.one_in(4) { random.below(30_000) as i64 } else { 0 };
        let key = (!random.one_in(15)).then(|| format!("k{}", random.below(5)));
        let value = Value { key, number: number as i64, passes: !random.one_in(4) };
        let value = (!random.one_in(15)).then_some(value);
        let partition = random.below(partitions as u64) as usize;
        topic[partition].push(Record { time: time - disorder, value });
    }
    topic
}

/// A machine with the topics and the query.
struct Bed {
    disk: ForgetfulDisk,
    settings: Settings,
    engine: Option<Engine>,
}

impl Bed {
    fn new(mode: Mode, cache: bool, inputs: &[(&str, &Topic)], query: &str) -> Bed {
        let disk = ForgetfulDisk::new(0);
        let values = [
            (config::OFFSET_RESET, "earliest"),
            (config::CACHE_BYTES, if cache { "10000000" } else { "0" }),
            (config::BATCH_ROWS, if mode == Mode::Whole { "8192" } else { "1" }),
            (config::JOURNAL_BYTES, "65536"),
            (config::CHECKPOINT_BYTES, "20000"),
        ];
        let store = Store::Folder { disk: disk.boot(), path: "/data".into() };
        let settings = Settings::new(store, Arc::new(ManualClock::new()), statements::compile_kept);
        let settings = settings.with(&values).expect("properties");
        let engine = Engine::open(settings.clone()).expect("an engine");
        let mut bed = Bed { disk, settings, engine: Some(engine) };
        for (name, topic) in inputs {
            let partitions = topic.len();
            bed.execute(&format!(
                "CREATE STREAM {name} (k VARCHAR, n BIGINT, passes BOOLEAN) \
                 WITH (KAFKA_TOPIC='{name}', PARTITIONS={partitions}, VALUE_FORMAT='JSON');"
            ));
            bed.fill(name, topic);
        }
        bed.execute(query);
        bed
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it is only away while it is opened again")
    }

    fn execute(&self, text: &str) {
        let parsed = statements::parse(text).expect("statements");
        let mut session = Session::new(self.engine(), Properties::default());
        for statement in &parsed {
            session.run(statement).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
    }

    fn fill(&mut self, name: &str, topic: &Topic) {
        let id = self.engine().catalog().topic(name).expect("a topic").id;
        for (partition, records) in topic.iter().enumerate() {
            let mut writer = BatchWriter::new();
            for record in records {
                let value = record.value.as_ref().map(|v| json!({"K": v.key, "N": v.number, "PASSES": v.passes}));
                let bytes = value.map(|v| v.to_string().into_bytes());
                writer.push(record.time, None, bytes.as_deref(), &[]);
            }
            let batches = writer.finish().map(|batch| (PartitionId { topic: id, partition: partition as u32 }, batch));
            self.engine().topics().append(batches.into_iter().collect()).expect("appended");
        }
    }

    /// One turn of the query, and its commit; whether there was anything to do.
    fn turn(&mut self, mode: Mode) -> bool {
        let id = self.engine().catalog().queries()[0].id.clone();
        let took = self.engine().turn(&id).expect("a turn");
        if mode == Mode::Resume {
            self.engine = None;
            self.settings.store = Store::Folder { disk: self.disk.boot(), path: "/data".into() };
            self.engine = Some(Engine::open(self.settings.clone()).expect("an engine"));
        }
        took
    }

    /// The results so far, partition by partition: time, key and value of each.
    fn results(&self) -> Vec<Vec<Shown>> {
        let catalog = self.engine().catalog();
        let topic = catalog.topic("RESULT").expect("the sink");
        let read = |partition| {
            let id = PartitionId { topic: topic.id, partition };
            let mut reader = self.engine().topics().reader(id).expect("a reader");
            let mut all = Vec::new();
            let mut next = 0;
            loop {
                let fetch = reader.read(next, 1 << 20).expect("records");
                if fetch.bytes.is_empty() {
                    return all;
                }
                let read = fetch.each_record(next, |record| {
                    let value = serde_json::from_slice(record.value.expect("a value")).expect("JSON");
                    all.push((record.time, record.key.map(<[u8]>::to_vec), value));
                    Ok(())
                });
                next = read.expect("whole batches");
            }
        };
        (0..topic.partitions).map(read).collect()
    }
}

type Shown = (i64, Option<Vec<u8>>, serde_json::Value);

fn seeds() -> u64 {
    std::env::var("BATCH_SEEDS").ok().map_or(8, |text| text.parse().expect("BATCH_SEEDS is a number"))
}

fn run(mode: Mode, inputs: &[(&str, &Topic)], query: &str) -> Vec<Vec<Shown>> {
    let mut bed = Bed::new(mode, false, inputs, query);
    while bed.turn(mode) {}
    bed.results()
}

/// Runs a query in all modes and compares with the definition's results, in order.
fn check(what: &str, inputs: &[(&str, &Topic)], query: &str, wanted: &[Vec<Shown>]) {
    for mode in [Mode::Whole, Mode::One, Mode::Resume] {
        let found = run(mode, inputs, query);
        for (partition, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            let differs = (0..found.len().max(wanted.len())).find(|i| found.get(*i) != wanted.get(*i));
            if let Some(at) = differs {
                let (found, wanted) = (found.get(at), wanted.get(at));
                panic!("{what}, {mode:?}, partition {partition}, result {at}: {found:?}, wanted {wanted:?}");
            }
        }
    }
}

fn counting(random: &mut Random, last_only: bool) -> (Counting, String) {
    let size_ms = 10_000;
    let advance_ms = [10_000, 4_000][random.below(2) as usize];
    let grace_ms = [0, 3_000, 20_000][random.below(3) as usize];
    let window = match advance_ms == size_ms {
        true => format!("TUMBLING (SIZE 10 SECONDS, GRACE PERIOD {grace_ms} MILLISECONDS)"),
        false => format!("HOPPING (SIZE 10 SECONDS, ADVANCE BY 4 SECONDS, GRACE PERIOD {grace_ms} MILLISECONDS)"),
    };
    let query = format!(
        "CREATE TABLE result AS SELECT k, COUNT(*) AS c, SUM(n) AS s, MAX(n) AS m FROM a WINDOW {window} \
         WHERE passes GROUP BY k EMIT {};",
        if last_only { "FINAL" } else { "CHANGES" }
    );
    (Counting { size_ms, advance_ms, grace_ms, last_only }, query)
}

/// The task and partition of a key.
fn task_of(partitions: usize) -> impl Fn(&str) -> usize {
    move |key| partition_of(key.as_bytes(), partitions as u32) as usize
}

#[test]
fn counts_do_not_depend_on_the_size_of_batches() {
    for seed in 0..seeds() {
        let mut random = Random::new(seed);
        let partitions = [1, 3][(seed % 2) as usize];
        let input = topic(&mut random, partitions, 120);
        let last_only = random.one_in(3);
        let (counting, query) = counting(&mut random, last_only);
        let shown = |(key, start, count, sum, most, time): &oracle::Counted| -> Shown {
            let key = [key.as_bytes(), &start.to_be_bytes()].concat();
            (*time, Some(key), json!({"C": count, "S": sum, "M": most}))
        };
        let wanted: Vec<Vec<Shown>> = oracle::count(&input, counting, &task_of(partitions))
            .iter()
            .map(|results| results.iter().map(shown).collect())
            .collect();
        check(&format!("seed {seed}, {counting:?}"), &[("a", &input)], &query, &wanted);
    }
}

#[test]
fn joins_do_not_depend_on_the_size_of_batches() {
    for seed in 0..seeds() {
        let mut random = Random::new(seed + 1000);
        let partitions = [1, 3][(seed % 2) as usize];
        let (left, right) = (topic(&mut random, partitions, 90), topic(&mut random, partitions, 90));
        let joining = Joining {
            kind: [Kind::Inner, Kind::Left, Kind::Right, Kind::Full][random.below(4) as usize],
            before_ms: [5_000, 20_000][random.below(2) as usize],
            after_ms: [0, 5_000, 15_000][random.below(3) as usize],
            grace_ms: [None, Some(0), Some(10_000)][random.below(3) as usize],
        };
        let grace = joining.grace_ms.map_or_else(String::new, |ms| format!("GRACE PERIOD {ms} MILLISECONDS"));
        let query = format!(
            "CREATE STREAM result AS SELECT a.n AS l, b.n AS r FROM a {} JOIN b \
             WITHIN ({} MILLISECONDS, {} MILLISECONDS) {grace} ON a.k = b.k;",
            format!("{:?}", joining.kind).to_uppercase(),
            joining.before_ms,
            joining.after_ms
        );
        let shown = |(key, left, right, time): &oracle::Joined| -> Shown {
            (*time, key.as_ref().map(|k| k.clone().into_bytes()), json!({"L": left, "R": right}))
        };
        let wanted: Vec<Vec<Shown>> = oracle::join([&left, &right], joining, &task_of(partitions))
            .iter()
            .map(|results| results.iter().map(shown).collect())
            .collect();
        check(&format!("seed {seed}, {joining:?}"), &[("a", &left), ("b", &right)], &query, &wanted);
    }
}

/// With the cache a commit has the last result of each group that it would have without.
#[test]
fn the_cache_keeps_the_last_result_of_a_group_and_commit() {
    for seed in 0..seeds() {
        let mut random = Random::new(seed + 2000);
        let mode = [Mode::Whole, Mode::One, Mode::Resume][(seed % 3) as usize];
        let input = topic(&mut random, 3, 120);
        let (_, query) = counting(&mut random, false);
        let inputs = [("a", &input)];
        let (mut cached, mut every) = (Bed::new(mode, true, &inputs, &query), Bed::new(mode, false, &inputs, &query));
        let mut seen = [(0, 0); 3];
        loop {
            let more = cached.turn(mode);
            assert_eq!(more, every.turn(mode), "seed {seed}: both take the same turns");
            for (partition, (merged, all)) in cached.results().iter().zip(every.results()).enumerate() {
                let (from_merged, from_all) = seen[partition];
                let last: BTreeMap<_, _> = all[from_all..].iter().map(|r| (r.1.clone(), r.clone())).collect();
                let merged_now: BTreeMap<_, _> =
                    merged[from_merged..].iter().map(|r| (r.1.clone(), r.clone())).collect();
                assert_eq!(merged_now.len(), merged.len() - from_merged, "seed {seed}: a group once in a commit");
                assert_eq!(merged_now, last, "seed {seed}, {mode:?}, partition {partition}");
                seen[partition] = (merged.len(), all.len());
            }
            if !more {
                break;
            }
        }
        assert!(seen.iter().any(|(merged, _)| *merged > 0));
    }
}

/// What a process of any settings makes of the query until it is killed: some turns, most of which are left in the middle.
fn live(bed: &mut Bed, random: &mut Random) -> bool {
    let rows = [1, 2, 7, 8192][random.below(4) as usize];
    let bytes = [1, 40, 300, 2_000, 16 << 20][random.below(5) as usize];
    for (name, value) in [(config::BATCH_ROWS, rows), (config::TURN_BYTES, bytes)] {
        bed.settings.properties.set(name, &value.to_string()).expect("a property");
    }
    bed.engine = None;
    bed.settings.store = Store::Folder { disk: bed.disk.boot(), path: "/data".into() };
    bed.engine = Some(Engine::open(bed.settings.clone()).expect("an engine"));
    if random.one_in(5) {
        bed.engine().checkpoint().expect("a checkpoint");
    }
    (0..1 + random.below(6)).all(|_| bed.turn(Mode::Whole))
}

/// The results of a query whose turns are left in the middle, in one process after the other.
fn in_parts(bed: &mut Bed, random: &mut Random) -> Vec<Vec<Shown>> {
    for _ in 0..20_000 {
        if !live(bed, random) {
            return bed.results();
        }
    }
    panic!("it never ends");
}

#[test]
fn turns_that_are_left_in_the_middle_change_no_result() {
    for seed in 0..4 * seeds() {
        let mut random = Random::new(seed + 3000);
        let partitions = [1, 3][(seed % 2) as usize];
        let (a, b) = (topic(&mut random, partitions, 60), topic(&mut random, partitions, 60));
        let inputs = [("a", &a), ("b", &b)];
        let last_only = random.one_in(3);
        let query = match random.below(4) {
            0 => counting(&mut random, last_only).1,
            1 => "CREATE STREAM result AS SELECT a.n AS l, b.n AS r FROM a FULL JOIN b \
                  WITHIN 30 SECONDS GRACE PERIOD 5 SECONDS ON a.k = b.k;"
                .to_owned(),
            2 => "CREATE TABLE result AS SELECT a.k, COUNT(*) AS c, SUM(b.n) AS s FROM a JOIN b \
                  WITHIN 30 SECONDS GRACE PERIOD 5 SECONDS ON a.k = b.k GROUP BY a.k;"
                .to_owned(),
            _ => "CREATE TABLE result AS SELECT b.n, COUNT(*) AS c, SUM(a.n) AS s FROM a LEFT JOIN b \
                  WITHIN 30 SECONDS GRACE PERIOD 5 SECONDS ON a.k = b.k GROUP BY b.n;"
                .to_owned(),
        };
        let wanted = run(Mode::Whole, &inputs, &query);
        let mut bed = Bed::new(Mode::Whole, false, &inputs, &query);
        let found = in_parts(&mut bed, &mut random);
        for (partition, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            let differs = (0..found.len().max(wanted.len())).find(|i| found.get(*i) != wanted.get(*i));
            if let Some(at) = differs {
                let (found, wanted) = (found.get(at), wanted.get(at));
                panic!("seed {seed}, {query}, partition {partition}, result {at}: {found:?}, wanted {wanted:?}");
            }
        }
        // With the cache the last result of each group is the same.
        if query.contains("TABLE") && !query.contains("FINAL") {
            let mut bed = Bed::new(Mode::Whole, true, &inputs, &query);
            let found = in_parts(&mut bed, &mut random);
            let last = |all: &Vec<Shown>| all.iter().map(|r| (r.1.clone(), r.clone())).collect::<BTreeMap<_, _>>();
            for (found, wanted) in found.iter().zip(&wanted) {
                assert_eq!(last(found), last(wanted), "seed {seed}, {query}, with the cache");
            }
        }
    }
}
