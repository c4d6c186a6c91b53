//! Turns that stop for readers at random places, over kills and power cuts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::catalog::Source;
use crate::clock::ManualClock;
use crate::config::{self, Properties};
use crate::disk::double::{End, ForgetfulDisk, Random};
use crate::operators::table::WindowRange;
use crate::runtime::{Turned, records_at};
use crate::statements::{self, Session};
use crate::topics::PartitionId;
use crate::topics::record::BatchWriter;
use crate::types::{Batch, Value};

const STATEMENTS: &str = "
    CREATE STREAM a (k INT KEY, v INT) WITH (KAFKA_TOPIC='a', PARTITIONS=3, KEY_FORMAT='JSON', VALUE_FORMAT='JSON');
    CREATE STREAM b (k INT KEY, w INT) WITH (KAFKA_TOPIC='b', PARTITIONS=3, KEY_FORMAT='JSON', VALUE_FORMAT='JSON');
    CREATE STREAM j AS SELECT a.k, v, w FROM a JOIN b WITHIN 5 SECONDS GRACE PERIOD 5 SECONDS ON a.k = b.k;
    CREATE TABLE counted AS SELECT v, COUNT(*) AS c, SUM(k) AS s FROM a GROUP BY v EMIT CHANGES;
    CREATE TABLE final AS SELECT v, COUNT(*) AS c FROM a WINDOW TUMBLING (SIZE 2 SECONDS, GRACE PERIOD 1 SECOND)
        GROUP BY v EMIT FINAL;
    CREATE TABLE hopped AS SELECT v, COUNT(*) AS c FROM a
        WINDOW HOPPING (SIZE 4 SECONDS, ADVANCE BY 1 SECOND, GRACE PERIOD 1 SECOND) GROUP BY v EMIT CHANGES;
    CREATE STREAM jj AS SELECT a.v, w, b.k FROM a JOIN b WITHIN 5 SECONDS GRACE PERIOD 5 SECONDS ON a.v = b.w;";

fn open(machine: &ForgetfulDisk, clock: &Arc<ManualClock>, more: &[(&str, &str)]) -> Result<Engine> {
    let store = Store::Folder { disk: machine.boot(), path: "/data".into() };
    let settings = Settings::new(store, clock.clone(), statements::compile_kept);
    let mut values = vec![(config::OFFSET_RESET, "earliest"), (config::JOURNAL_BYTES, "65536")];
    values.extend_from_slice(more);
    Engine::open(settings.with(&values)?)
}

fn execute(engine: &Engine, text: &str) {
    statements::execute(engine, text).expect("done");
}

fn append(engine: &Engine, random: &mut Random, count: u64) {
    for n in 0..count {
        for (name, column) in [("a", "V"), ("b", "W")] {
            let topic = engine.catalog().topic(name).expect("there").clone();
            let key = random.below(4).to_string();
            let mut writer = BatchWriter::new();
            let time = (n * 150 + random.below(900)) as i64;
            writer.push(
                time,
                Some(key.as_bytes()),
                Some(format!("{{\"{column}\":{}}}", random.below(5)).as_bytes()),
                &[],
            );
            engine.insert(&topic, Some(key.as_bytes()), writer.finish().expect("a record")).expect("appended");
        }
    }
}

type Found = Vec<(String, String, i64)>;

fn records(engine: &Engine, topic: &str) -> BTreeMap<u32, Found> {
    let topic = engine.catalog().topic(topic).expect("there").clone();
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"null")).into_owned();
    (0..topic.partitions)
        .map(|partition| {
            let id = PartitionId { topic: topic.id, partition };
            let offsets: Vec<i64> = (0..engine.topics().end(id).expect("an end")).collect();
            let mut all = Vec::new();
            records_at(engine.topics().as_ref(), id, &offsets, &mut |_, record| {
                let record = record.expect("there");
                all.push((text(record.key), text(record.value), record.time));
                Ok(())
            })
            .expect("readable");
            (partition, all)
        })
        .collect()
}

const SINKS: [&str; 5] = ["J", "COUNTED", "FINAL", "HOPPED", "JJ"];

fn results(engine: &Engine) -> Vec<(&'static str, BTreeMap<u32, Found>)> {
    SINKS.into_iter().map(|sink| (sink, records(engine, sink))).collect()
}

/// Compares a read between two turns with what the topic of the table says; how often.
fn check_reads(engine: &Engine) -> usize {
    let parsed = statements::parse("SELECT v, c, s FROM counted WHERE v IN (0, 1, 2, 3, 4);").expect("a query");
    let session = Session::new(engine, Properties::default());
    let look = session.soon(&parsed[0]).expect("a query").expect("of a few keys");
    let Some(found) = look.wait(engine).expect("rows") else { return 0 };
    let mut found: Vec<String> = found
        .rows
        .iter()
        .map(|row| format!("{row:?}").replace("Integer(", "").replace("Bigint(", "").replace(')', ""))
        .collect();
    found.sort();
    let mut last = BTreeMap::new();
    for (key, value, _) in records(engine, "COUNTED").into_values().flatten() {
        last.insert(key, value);
    }
    let wanted: Vec<String> = last
        .into_iter()
        .map(|(key, value)| {
            let value: serde_json::Value = serde_json::from_str(&value).expect("JSON");
            format!("[{}, {}, {}]", key.trim_start_matches("{\"V\":").trim_end_matches('}'), value["C"], value["S"])
        })
        .collect();
    assert_eq!(found, wanted);
    1
}

/// Steps that stop at random, with reads between them.
fn disturb(engine: &Engine, random: &mut Random, waiting: &Arc<AtomicUsize>, reads: bool) -> usize {
    let mut seen = 0;
    for _ in 0..random.below(80) {
        for query in engine.shared.queries.all() {
            waiting.store(usize::from(random.one_in(2)), Ordering::Relaxed);
            engine.shared.step(&query);
            if reads {
                seen += check_reads(engine);
            }
            if random.one_in(3) && engine.shared.pump().is_err() {
                return seen;
            }
            if reads {
                seen += check_reads(engine);
            }
        }
    }
    seen
}

fn listen(engine: &Engine, waiting: &Arc<AtomicUsize>) {
    engine.shared.queries.all().iter().for_each(|query| query.lock().yields_to(waiting.clone()));
}

#[test]
fn turns_that_stop_anywhere_make_the_same() {
    let mut seen = 0;
    for seed in 0..16 {
        let (calm, clock) = (ForgetfulDisk::new(seed), Arc::new(ManualClock::new()));
        let rows = ["1", "2", "7", "100"][seed as usize % 4];
        let turn = ["1", "300", "1000000"][seed as usize % 3];
        let cache = ["0", "100000"][seed as usize % 2];
        let engine = open(&calm, &clock, &[(config::CACHE_BYTES, "0")]).expect("an engine");
        execute(&engine, STATEMENTS);
        append(&engine, &mut Random::new(seed), 60);
        engine.settle().expect("settled");
        let wanted = results(&engine);
        drop(engine);
        let (machine, clock) = (ForgetfulDisk::new(seed + 1000), Arc::new(ManualClock::new()));
        let more = [(config::BATCH_ROWS, rows), (config::TURN_BYTES, turn), (config::CACHE_BYTES, cache)];
        let mut random = Random::new(seed + 77);
        let engine = open(&machine, &clock, &more).expect("an engine");
        let waiting = Arc::<AtomicUsize>::default();
        execute(&engine, STATEMENTS);
        append(&engine, &mut Random::new(seed), 60);
        listen(&engine, &waiting);
        let reads = turn == "1000000";
        seen += disturb(&engine, &mut random, &waiting, reads);
        drop(engine);
        for _ in 0..6 {
            let end = if random.one_in(2) { End::Kill } else { End::Cut };
            // Rows are worked off in other portions after each restart.
            let rows = ["1", "2", "7", "100"][random.below(4) as usize];
            let more = [(config::BATCH_ROWS, rows), (config::TURN_BYTES, turn), (config::CACHE_BYTES, cache)];
            let Ok(engine) = open(&machine, &clock, &more) else { continue };
            listen(&engine, &waiting);
            machine.end_after(end, 1 + random.below(40));
            disturb(&engine, &mut random, &waiting, false);
        }
        machine.end(End::Kill);
        let engine = open(&machine, &clock, &more).expect("an engine");
        listen(&engine, &waiting);
        waiting.store(usize::from(random.one_in(2)), Ordering::Relaxed);
        engine.settle().expect("settled");
        for query in engine.shared.queries.all() {
            assert!(query.is_running(), "{:?}", query.id);
        }
        assert_eq!(check_reads(&engine), 1, "the state is what its topic says");
        let made = results(&engine);
        for ((sink, wanted), (_, made)) in wanted.iter().zip(&made) {
            if cache != "0" && (*sink == "COUNTED" || *sink == "HOPPED") {
                continue;
            }
            assert_eq!(wanted, made, "seed {seed}: {sink}");
        }
    }
    assert!(seen > 200, "{seen}");
}

/// What the topic of a table says of it, as lines of numbers: the key, the count, the sum.
fn committed(engine: &Engine) -> BTreeMap<i64, Vec<i64>> {
    let mut all = BTreeMap::new();
    for (key, value, _) in records(engine, "COUNTED").into_values().flatten() {
        let value: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        let number = |name: &str| value[name].as_i64().expect("a number");
        let key = key.trim_start_matches("{\"V\":").trim_end_matches('}').parse().expect("a number");
        all.insert(key, vec![number("C"), number("S")]);
    }
    all
}

fn numbers(rows: Vec<Vec<Value>>) -> BTreeMap<i64, Vec<i64>> {
    let number = |value: &Value| match value {
        Value::Integer(number) => i64::from(*number),
        Value::Bigint(number) => *number,
        other => panic!("{other:?}"),
    };
    rows.iter().map(|row| (number(&row[0]), row[1..].iter().map(number).collect())).collect()
}

/// A reader that is never content: as often as its look is answered, another one waits.
struct Looks {
    engine: Engine,
    left: AtomicUsize,
    /// How many saw a table, and how many were told to come later.
    seen: (AtomicUsize, AtomicUsize),
    wrong: Mutex<Vec<String>>,
}

impl Looks {
    fn look(self: &Arc<Self>) {
        let Ok(_) = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) else {
            return;
        };
        let parsed = statements::parse("SELECT v, c, s FROM counted WHERE v IN (0, 1, 2, 3, 4);").expect("a query");
        let look = Session::new(&self.engine, Properties::default())
            .soon(&parsed[0])
            .expect("a query")
            .expect("of a few keys");
        let (own, shown) = (self.clone(), look.another());
        let then = move |found: Result<Option<Vec<Batch>>>| {
            match found.expect("no bug") {
                None => drop(own.seen.1.fetch_add(1, Ordering::Relaxed)),
                Some(found) => {
                    let (found, wanted) = (numbers(shown.rows(found).expect("rows").rows), committed(&own.engine));
                    own.seen.0.fetch_add(1, Ordering::Relaxed);
                    if found != wanted {
                        lock(&own.wrong).push(format!("{found:?} and not {wanted:?}"));
                    }
                }
            }
            own.look();
        };
        look.find(&self.engine, Box::new(then)).expect("it runs");
    }
}

/// Looks at every place at which an epoch that ends lets others have the query, the first of them and a walk included: all see
/// what is committed.
#[test]
fn looks_in_the_middle_of_the_ends_of_epochs_see_what_is_committed() {
    let (mut seen, mut later, mut walked) = (0, 0, 0);
    for seed in 0..24 {
        let (machine, clock, mut random) = (ForgetfulDisk::new(seed), Arc::new(ManualClock::new()), Random::new(seed));
        let turn = ["1", "300", "1000000"][seed as usize % 3];
        let more = [(config::CACHE_BYTES, "100000"), (config::TURN_BYTES, turn), (config::BATCH_ROWS, "3")];
        let engine = open(&machine, &clock, &more).expect("an engine");
        execute(&engine, STATEMENTS);
        let looks = Looks { engine, left: AtomicUsize::new(0), seen: Default::default(), wrong: Mutex::default() };
        let looks = Arc::new(looks);
        let engine = &looks.engine;
        let query =
            engine.shared.queries.all().into_iter().find(|query| query.id.starts_with("CTAS_COUNTED")).expect("there");
        let table = engine.catalog().source("COUNTED").expect("there").clone();
        let mut walk = None;
        for _ in 0..40 {
            let count = 1 + random.below(3);
            append(engine, &mut random, count);
            let mut run = query.lock();
            if random.one_in(6) {
                run.end_reading();
            }
            while !run.is_ending() && run.turn(engine.shared.now(), None).expect("a turn") != Turned::Drained {
                if run.is_left() && random.one_in(2) {
                    break;
                }
            }
            looks.left.store(random.below(20) as usize, Ordering::Relaxed);
            looks.look();
            engine.shared.seal_if_possible(&query, &mut run, engine.shared.now()).expect("no bug");
            drop(run);
            if turn == "1000000" {
                walked += go_on(engine, &table, &mut walk, &mut random);
            }
            if random.one_in(2) {
                engine.shared.pump().expect("committed");
            }
        }
        // A part of an epoch has records of some groups: the topic says no whole table then.
        let wrong = lock(&looks.wrong);
        assert!(turn != "1000000" || wrong.is_empty(), "seed {seed}: {wrong:?}");
        seen += looks.seen.0.load(Ordering::Relaxed);
        later += looks.seen.1.load(Ordering::Relaxed);
    }
    assert!(seen > 500 && later > 50 && walked > 20, "{seen} {later} {walked}");
}

/// A walk that goes on a little, or another one that begins: it shows what was committed then.
fn go_on(engine: &Engine, table: &Arc<Source>, walk: &mut Option<Walked>, random: &mut Random) -> usize {
    let Some((reader, rows, wanted)) = walk else {
        if engine.shared.pump().is_ok() && !committed(engine).is_empty() {
            // The first one waits for a commit.
            let reader = TableReader::new(engine.snapshot(table).expect("a table"), WindowRange::default());
            *walk = Some((reader, Vec::new(), committed(engine)));
        }
        return 0;
    };
    if random.one_in(2) {
        return 0;
    }
    match reader.read().expect("rows") {
        Some(batches) => {
            rows.extend(batches);
            0
        }
        None => {
            let own = |batch: &Batch, row: usize| {
                (0..3)
                    .map(|at| Value::at(batch.columns[at].as_ref(), row, &table.schema.columns()[at].sql_type))
                    .collect()
            };
            let all = rows.iter().flat_map(|batch| (0..batch.rows()).map(|row| own(batch, row)));
            assert_eq!(numbers(all.collect()), *wanted);
            *walk = None;
            1
        }
    }
}

/// A walk, what it has found, and what it should find.
type Walked = (TableReader, Vec<Batch>, BTreeMap<i64, Vec<i64>>);

/// Between two batches nothing has happened yet: neither is a row taken, nor has an epoch begun.
#[test]
fn decoding_stops_for_those_who_wait_and_goes_on() {
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let engine = open(&machine, &clock, &[(config::BATCH_ROWS, "4")]).expect("an engine");
    execute(&engine, STATEMENTS);
    append(&engine, &mut Random::new(1), 60);
    let query = engine.shared.queries.all().into_iter().find(|query| query.id.starts_with("CSAS_J_")).expect("there");
    let mut run = query.lock();
    run.yields_to(Arc::new(AtomicUsize::new(1)));
    let begin = run.positions();
    let mut stops = 0;
    while run.turn(engine.shared.now(), None).expect("a turn") == Turned::Yielded && !run.is_dirty() {
        assert_eq!(run.positions(), begin);
        stops += 1;
    }
    // Not more often than there are partitions: whoever waits all the time keeps no turn from beginning.
    assert!((4..=6).contains(&stops), "{stops}");
    assert!(run.is_dirty() && run.rows() > 0);
}

/// Threads that read all the time while a query works: every read sees a commit, commits only go on, and the end comes.
#[test]
fn steady_readers_see_commits_and_hold_nobody_up() {
    for (cache, merges) in [("0", false), ("100000", true)] {
        let values = [
            (config::OFFSET_RESET, "earliest"),
            (config::COMMIT_INTERVAL_MS, "5"),
            (config::WORKERS, "2"),
            (config::CACHE_BYTES, cache),
            (config::BATCH_ROWS, "200"),
        ];
        let store = Store::Folder { disk: ForgetfulDisk::new(0).boot(), path: "/data".into() };
        let settings = Settings {
            drive: Drive::Threads { start: true },
            ..Settings::new(store, Arc::new(crate::clock::SystemClock::new()), statements::compile_kept)
        };
        let engine = Engine::open(settings.with(&values).expect("properties")).expect("an engine");
        execute(&engine, "CREATE STREAM a (k INT KEY, v INT) WITH (KAFKA_TOPIC='a', PARTITIONS=3, FORMAT='JSON');");
        execute(
            &engine,
            match merges {
                false => "CREATE TABLE t AS SELECT k, COUNT(*) AS c, SUM(v) AS s FROM a GROUP BY k;",
                true => "CREATE TABLE t AS SELECT v AS k, COUNT(*) AS c, SUM(v) AS s FROM a GROUP BY v;",
            },
        );
        let (stop, soon) = (AtomicBool::new(false), AtomicUsize::new(0));
        let number = |value: &crate::types::Value| -> i64 {
            let text: String = format!("{value:?}").chars().filter(|c| c.is_ascii_digit()).collect();
            text.parse().expect("a number")
        };
        std::thread::scope(|scope| {
            for reader in 0..4 {
                let (engine, stop, soon, number) = (&engine, &stop, &soon, &number);
                scope.spawn(move || {
                    let text = match reader {
                        0 => "SELECT k, c, s FROM t;",
                        _ => "SELECT k, c, s FROM t WHERE k IN (0, 1, 2, 3, 4, 5, 6);",
                    };
                    let parsed = statements::parse(text).expect("a query");
                    let session = Session::new(engine, Properties::default());
                    let mut last = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let look = session.soon(&parsed[0]).expect("a query");
                        let rows = match look.and_then(|look| look.wait(engine).expect("rows")) {
                            Some(rows) => {
                                soon.fetch_add(1, Ordering::Relaxed);
                                rows.rows
                            }
                            None => {
                                let Ok(Some(statements::Outcome::Rows(rows))) = session.rows(&parsed[0], &mut |_| true)
                                else {
                                    panic!("rows")
                                };
                                rows.rows
                            }
                        };
                        // Every value is the key, so a sum is the count times the key: also in what is half done.
                        for row in &rows {
                            assert_eq!(number(&row[2]), number(&row[1]) * number(&row[0]), "{row:?}");
                        }
                        let sum: i64 = rows.iter().map(|row| number(&row[1])).sum();
                        assert!(sum >= last, "{sum} after {last}");
                        last = sum;
                    }
                });
            }
            let topic = engine.catalog().topic("a").expect("there").clone();
            for n in 0..400 {
                let records = (0..500).map(|i| {
                    let key = ((n + i) % 7).to_string();
                    let mut writer = BatchWriter::new();
                    writer.push(0, Some(key.as_bytes()), Some(format!("{{\"V\":{key}}}").as_bytes()), &[]);
                    (Some(key.into_bytes()), writer.finish().expect("a record"))
                });
                engine.insert_all(&topic, records.collect()).expect("appended");
            }
            engine.wait_drained(&|| false).expect("drained");
            stop.store(true, Ordering::Relaxed);
        });
        let parsed = statements::parse("SELECT k, c, s FROM t;").expect("a query");
        let session = Session::new(&engine, Properties::default());
        let Ok(Some(statements::Outcome::Rows(rows))) = session.rows(&parsed[0], &mut |_| true) else { panic!("rows") };
        assert_eq!(rows.rows.iter().map(|row| number(&row[1])).sum::<i64>(), 200_000);
        assert!(soon.load(Ordering::Relaxed) > 0, "some reads waited for nothing but turns");
        engine.close();
    }
}
