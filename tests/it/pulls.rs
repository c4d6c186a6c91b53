//! Pull queries against continuous ones, and while the queries go on that keep the tables.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tidemill::clock::{ManualClock, SystemClock};
use tidemill::config::{self, Properties};
use tidemill::disk::double::{ForgetfulDisk, Random};
use tidemill::engine::{Drive, Engine, Settings, Store};
use tidemill::error::Result;
use tidemill::functions::aggregate;
use tidemill::journal::WhenFull;
use tidemill::statements::{self, Outcome, Session};
use tidemill::topics::PartitionId;
use tidemill::topics::record::BatchWriter;
use tidemill::types::Value;

fn execute(engine: &Engine, text: &str) -> Result<()> {
    let parsed = statements::parse(text).expect("statements");
    let mut session = Session::new(engine, Properties::default());
    parsed.iter().try_for_each(|statement| session.run(statement).map(drop))
}

/// The rows of a pull query, by their first value.
fn rows(engine: &Engine, text: &str) -> Result<BTreeMap<String, Vec<Value>>> {
    let parsed = statements::parse(text).expect("a statement");
    match Session::new(engine, Properties::default()).run(&parsed[0])? {
        Outcome::Rows(found) => Ok(found.rows.into_iter().map(|row| (row[0].to_text(), row)).collect()),
        _ => panic!("'{text}' is no pull query"),
    }
}

fn append(engine: &Engine, topic: &str, records: impl Iterator<Item = (String, String)>) {
    let mut writer = BatchWriter::new();
    records.for_each(|(key, value)| writer.push(1_000, Some(key.as_bytes()), Some(value.as_bytes()), &[]));
    let topic = engine.catalog().topic(topic).expect("a topic").id;
    let batch = writer.finish().expect("records");
    engine.topics().append(vec![(PartitionId { topic, partition: 0 }, batch)]).expect("appended");
}

/// Columns of many types, each as JSON of a random number.
const COLUMNS: &[(&str, &str, fn(u64) -> String)] = &[
    ("i", "INT", |n| n.to_string()),
    ("b", "BIGINT", |n| (n << 33).to_string()),
    ("d", "DOUBLE", |n| format!("{n}.5")),
    ("x", "DECIMAL(6, 2)", |n| format!("{n}.25")),
    ("t", "VARCHAR", |n| format!("\"text {n}\"")),
    ("o", "BOOLEAN", |n| (n % 2 == 0).to_string()),
    ("a", "ARRAY<INT>", |n| format!("[{n}, null, {}]", n + 1)),
    ("m", "MAP<VARCHAR, INT>", |n| format!("{{\"k{}\": {n}}}", n % 3)),
    ("s", "STRUCT<f INT>", |n| format!("{{\"F\": {n}}}")),
];

#[test]
fn every_aggregate_gives_in_a_pull_query_what_it_gives_in_a_continuous_one() {
    let settings = Settings::new(Store::Memory, Arc::new(ManualClock::new()), statements::compile_kept);
    let engine = Engine::open(settings.with(&[(config::OFFSET_RESET, "earliest")]).expect("a property"));
    let engine = engine.expect("an engine");
    let columns: Vec<String> = COLUMNS.iter().map(|(name, sql_type, _)| format!("{name} {sql_type}")).collect();
    let columns = columns.join(", ");
    let stream = format!(
        "CREATE STREAM s (k VARCHAR KEY, {columns}) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');"
    );
    execute(&engine, &stream).expect("a stream");
    let mut random = Random::new(1);
    let mut row = |_| {
        let value = |(name, _, make): &(&str, &str, fn(u64) -> String)| {
            let value = if random.one_in(6) { "null".to_owned() } else { make(random.below(20)) };
            format!("\"{}\": {value}", name.to_uppercase())
        };
        let fields: Vec<String> = COLUMNS.iter().map(value).collect();
        (format!("k{}", random.below(5)), format!("{{{}}}", fields.join(", ")))
    };
    append(&engine, "s", (0..200).map(&mut row));
    let mut compared = 0;
    for function in aggregate::ALL {
        for (name, ..) in COLUMNS {
            for call in [format!("{}({name})", function.name), format!("{}({name}, 3)", function.name)] {
                let grouped = format!("SELECT k, {call} AS r FROM s GROUP BY k");
                if execute(&engine, &format!("CREATE TABLE t AS {grouped};")).is_err() {
                    rows(&engine, &format!("{grouped};")).expect_err("both are refused");
                    continue;
                }
                engine.settle().expect("settled");
                let kept = rows(&engine, "SELECT * FROM t;").expect("a table");
                assert_eq!(rows(&engine, &format!("{grouped};")).expect("an answer"), kept, "{call}");
                execute(&engine, "DROP TABLE t DELETE TOPIC;").expect("dropped");
                compared += 1;
            }
        }
    }
    assert!(compared > aggregate::ALL.len(), "{compared} calls were compared");
}

/// Each append has a row for every key, so a table as of a commit never goes back, and never has a row that nobody has
/// appended.
#[test]
fn readers_see_commits_and_never_go_back_while_the_query_goes_on() {
    let store = Store::Folder { disk: ForgetfulDisk::new(1).boot(), path: PathBuf::from("/data") };
    let settings = Settings {
        drive: Drive::Threads { start: true },
        when_full: WhenFull::Retry,
        ..Settings::new(store, Arc::new(SystemClock::new()), statements::compile_kept)
    };
    let values = [(config::OFFSET_RESET, "earliest"), (config::BATCH_ROWS, "7"), (config::WORKERS, "2")];
    let engine = Engine::open(settings.with(&values).expect("properties")).expect("an engine");
    execute(
        &engine,
        "CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;",
    )
    .expect("executed");
    const KEYS: usize = 20;
    const ROUNDS: i64 = 300;
    let (appended, over) = (AtomicI64::new(0), AtomicBool::new(false));
    let count = |row: &[Value]| match row[1] {
        Value::Bigint(count) => count,
        ref other => panic!("{other:?} is no count"),
    };
    let read = |question: &dyn Fn(u64) -> String| {
        let (mut last, mut reads) = (BTreeMap::<String, i64>::new(), 0);
        while !over.load(Ordering::SeqCst) {
            let found = rows(&engine, &question(reads)).expect("an answer");
            let most = appended.load(Ordering::SeqCst);
            for (key, row) in found {
                let before = last.insert(key, count(&row)).unwrap_or_default();
                assert!((before..=most).contains(&count(&row)), "{row:?} after {before} of {most}");
            }
            reads += 1;
        }
        reads
    };
    std::thread::scope(|scope| {
        let all = scope.spawn(|| read(&|_| "SELECT * FROM t;".to_owned()));
        let one = scope.spawn(|| read(&|nth| format!("SELECT * FROM t WHERE k = 'k{}';", nth % KEYS as u64)));
        let both = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let question = "SELECT a.k AS k FROM t a FULL JOIN t b ON a.k = b.k WHERE a.n <> b.n OR a.n IS NULL;";
                assert_eq!(rows(&engine, question).expect("an answer").len(), 0, "two commits in one query");
            }
        });
        for _ in 0..ROUNDS {
            appended.fetch_add(1, Ordering::SeqCst);
            append(&engine, "s", (0..KEYS).map(|key| (format!("k{key}"), "{\"V\": 1}".to_owned())));
        }
        let is_done = || rows(&engine, "SELECT * FROM t;").expect("an answer").values().all(|row| count(row) == ROUNDS);
        let mut seen = 0;
        while !is_done() {
            seen = engine.wait_decision(seen);
        }
        over.store(true, Ordering::SeqCst);
        let reads = all.join().expect("a reader").min(one.join().expect("a reader"));
        both.join().expect("a reader");
        assert!(reads > 3, "{reads} reads");
    });
}

#[test]
fn a_question_takes_no_more_memory_and_time_than_it_may() {
    let settings = Settings::new(Store::Memory, Arc::new(SystemClock::new()), statements::compile_kept);
    let engine = Engine::open(settings.with(&[(config::OFFSET_RESET, "earliest")]).expect("a property"));
    let engine = engine.expect("an engine");
    execute(
        &engine,
        "CREATE STREAM s (k VARCHAR KEY, v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE TABLE t AS SELECT k, LATEST_BY_OFFSET(v) AS v FROM s GROUP BY k;",
    )
    .expect("executed");
    append(&engine, "s", (0..4_000).map(|key| (format!("k{key}"), format!("{{\"V\": \"{}\"}}", "x".repeat(500)))));
    engine.settle().expect("settled");
    let ask = |set: &[(&str, &str)], is_gone: &dyn Fn() -> bool, text: &str| {
        let mut own = Properties::default();
        set.iter().for_each(|(name, value)| own.set(name, value).expect("a property"));
        let parsed = statements::parse(text).expect("a statement");
        let mut session = Session::new(&engine, own).stopping(is_gone);
        session.run(&parsed[0]).map(drop).map_err(|error| error.to_string())
    };
    let (stays, leaves) = (|| false, || true);
    let little = [(config::PULL_MEMORY_BYTES, "1048576")];
    let questions = [
        "SELECT * FROM t;",
        "SELECT * FROM t ORDER BY v;",
        "SELECT v, COLLECT_LIST(k) AS keys, COLLECT_LIST(v) AS texts FROM s GROUP BY v;",
    ];
    for question in questions {
        ask(&[], &stays, question).expect("it has room");
        let refused = ask(&little, &stays, question).expect_err("it has no room");
        assert!(refused.contains("more memory than it may"), "{question}: {refused}");
        let ended = ask(&[], &leaves, question).expect_err("nobody waits");
        assert!(ended.contains("cancelled by its client"), "{question}: {ended}");
    }
    ask(&little, &stays, "SELECT COUNT(*) AS n FROM t;").expect("a small result of many rows has room");
    let pairs = "SELECT COUNT(*) AS n FROM t a JOIN t b ON a.v <> b.v JOIN t c ON b.v <> c.v;";
    let ended = ask(&[(config::PULL_TIMEOUT_MS, "1")], &stays, pairs).expect_err("it takes long");
    assert!(ended.contains("more time than it may"), "{ended}");
}
