//! Where a query goes on: the same results in the same order as if it had never stopped, and no look at what may not stay.

use std::sync::Arc;

use tidemill::config::{self, Properties};
use tidemill::disk::double::ForgetfulDisk;
use tidemill::engine::{Drive, Engine};
use tidemill::error::Result;
use tidemill::statements::{self, Outcome, Session};
use tidemill::topics::PartitionId;
use tidemill::topics::record::BatchWriter;
use tidemill::types::Value;

use crate::storage_faults::{again, append, append_at, execute, open, values};

const WINDOWS: &str = "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE TABLE t WITH (PARTITIONS=1) AS SELECT SUBSTRING(v, 1, 0) AS one, LATEST_BY_OFFSET(v) AS name FROM s
    WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY SUBSTRING(v, 1, 0);";

/// Rows that come at once: the partition, the time and the value of each.
type Rows<'a> = &'a [(u32, i64, &'a str)];

/// The values that `WINDOWS` counts, in their order, where `steps` come one after the other and the process is killed before
/// one of them.
fn counted(steps: &[Rows], killed_before: Option<usize>) -> Vec<String> {
    let machine = ForgetfulDisk::new(0);
    let mut engine = open(machine.boot(), Drive::Manual, &[]);
    execute(&engine, WINDOWS).expect("made");
    for (number, rows) in steps.iter().enumerate() {
        if killed_before == Some(number) {
            engine = again(&machine, engine, &[]);
        }
        rows.iter().for_each(|(partition, time, value)| append_at(&engine, "s", *partition, &[(*time, value)]));
        engine.settle().expect("settled");
    }
    values(&engine, "T").iter().map(|value| field(value, "NAME")).collect()
}

/// A field of a result.
fn field(value: &str, name: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(value).expect("a result is JSON");
    value[name].as_str().map_or_else(|| value[name].to_string(), str::to_owned)
}

/// The rows of `steps` that are counted are these, wherever the process is killed between two of them.
fn are_counted(steps: &[Rows], wanted: &[&str]) {
    assert_eq!(counted(steps, None), wanted, "without a restart");
    for killed_before in 1..steps.len() {
        assert_eq!(counted(steps, Some(killed_before)), wanted, "with a restart before step {killed_before}");
    }
}

#[test]
fn a_partition_that_was_idle_holds_back_no_time_after_a_restart() {
    are_counted(&[&[(0, 1_000, "a")], &[(0, 100_000, "b")], &[(0, 5_000, "late")]], &["a", "b"]);
}

#[test]
fn a_partition_that_was_not_idle_holds_back_time_after_a_restart() {
    let steps: [Rows; 4] = [&[(0, 1_000, "a")], &[(1, 1_000, "b")], &[(0, 100_000, "c")], &[(1, 2_000, "d")]];
    are_counted(&steps, &["a", "b", "c", "d"]);
}

#[test]
fn a_partition_holds_back_time_to_where_it_stood_before_a_restart_and_no_further() {
    let steps: [Rows; 5] = [
        &[(0, 1_000, "a"), (1, 1_000, "b")],
        &[(1, 50_000, "c")],
        // Time goes on to where the second partition stands.
        &[(0, 100_000, "d")],
        &[(0, 30_000, "late")],
        &[(1, 60_000, "e")],
    ];
    are_counted(&steps, &["a", "b", "c", "d", "e"]);
}

#[test]
fn a_row_that_is_out_of_order_in_its_partition_does_not_overtake_others_after_a_restart() {
    let steps: [Rows; 2] = [&[(0, 58_000, "a"), (1, 51_000, "b")], &[(0, 52_000, "d"), (1, 55_000, "c")]];
    are_counted(&steps, &["b", "a", "c", "d"]);
}

/// The results have texts, so that few of them make a batch.
const NAMED: &str = "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE TABLE t WITH (PARTITIONS=1) AS SELECT v, LATEST_BY_OFFSET(v) AS name, COUNT(*) AS c FROM s GROUP BY v;";

/// The same of a stream whose rows are counted where they are read, since they have the key already.
const KEYED: &str = "CREATE STREAM s (v VARCHAR KEY, w VARCHAR)
    WITH (KAFKA_TOPIC='s', PARTITIONS=1, KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
    CREATE TABLE t AS SELECT v, LATEST_BY_OFFSET(w) AS name, COUNT(*) AS c FROM s GROUP BY v;";

/// How many names there are.
const NAMES: usize = 50;

/// The results where rows come, a part of their epoch is committed, the process is killed so many times, each time after
/// another part, and the same rows come again.
fn counted_twice(text: &str, kills: usize) -> Vec<String> {
    let machine = ForgetfulDisk::new(0);
    let own = [(config::TURN_BYTES, "200"), (config::CACHE_BYTES, "10000000")];
    let mut engine = open(machine.boot(), Drive::Manual, &own);
    execute(&engine, text).expect("made");
    let come = |engine: &Engine| {
        let topic = engine.catalog().topic("s").expect("a topic").id;
        let mut writer = BatchWriter::new();
        for number in 0..NAMES {
            let (key, value) =
                (format!("name {number}"), format!("{{\"V\":\"name {number}\",\"W\":\"name {number}\"}}"));
            writer.push(1_000, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        }
        let batch = writer.finish().expect("some records");
        engine.topics().append(vec![(PartitionId { topic, partition: 0 }, batch)]).expect("appended");
    };
    come(&engine);
    engine.turn("CTAS_T_0").expect("a part of an epoch");
    for kill in 0..=kills {
        let part = values(&engine, "T").len();
        assert!(part > 0 && part < NAMES, "{part} of {NAMES} results are committed");
        if kill == kills {
            break;
        }
        engine = again(&machine, engine, &own);
        if kill + 1 < kills {
            let another = (0..10).any(|_| {
                engine.turn("CTAS_T_0").expect("another part of the epoch");
                values(&engine, "T").len() > part
            });
            assert!(another, "no other part is committed");
        }
    }
    come(&engine);
    engine.settle().expect("settled");
    values(&engine, "T")
}

#[test]
fn an_epoch_that_had_begun_to_end_takes_no_more_rows_after_a_restart() {
    let results = counted_twice(NAMED, 0);
    assert_eq!(results.len(), 2 * NAMES, "each name is counted in both epochs");
    assert_eq!(counted_twice(NAMED, 1), results);
}

#[test]
fn an_epoch_whose_parts_are_committed_by_several_processes_is_whole() {
    for text in [NAMED, KEYED] {
        let results = counted_twice(text, 0);
        for kills in 2..4 {
            assert_eq!(counted_twice(text, kills), results, "{kills} kills");
        }
    }
}

#[test]
fn a_turn_that_is_repeated_takes_the_rows_that_it_took_before() {
    // Nothing but the ends that were noted bounds such a turn.
    let results = counted_twice(KEYED, 0);
    assert_eq!(results.len(), 2 * NAMES, "each name is counted in both epochs");
    assert_eq!(counted_twice(KEYED, 1), results);
}

#[test]
fn what_a_query_has_counted_goes_on_after_a_restart() {
    let machine = ForgetfulDisk::new(0);
    let engine = open(machine.boot(), Drive::Manual, &[]);
    execute(&engine, WINDOWS).expect("made");
    append_at(&engine, "s", 0, &[(100_000, "a"), (1_000, "late"), (100_001, "b")]);
    engine.settle().expect("settled");
    let counted = |engine: &Engine| {
        let stats = engine.stats("CTAS_T_0").expect("a query");
        let left_out: u64 = stats.totals.values().sum();
        (stats.rows, stats.records, left_out, stats.epoch, stats.positions)
    };
    let before = counted(&engine);
    assert_eq!((before.0, before.1, before.2), (3, 2, 1), "rows, results and rows left out");
    let engine = again(&machine, engine, &[]);
    assert_eq!(counted(&engine), before);
}

/// What a pull query shows: all counts.
fn pulled(engine: &Engine) -> Result<Vec<i64>> {
    let parsed = statements::parse("SELECT c FROM t;").expect("a statement");
    let outcome = Session::new(engine, Properties::default()).run(&parsed[0])?;
    let Outcome::Rows(shown) = outcome else { panic!("no rows") };
    let count = |row: &Vec<Value>| match row[..] {
        [Value::Bigint(count)] => count,
        _ => panic!("{row:?} is no count"),
    };
    let mut counts: Vec<i64> = shown.rows.iter().map(count).collect();
    counts.sort_unstable();
    Ok(counts)
}

/// An engine that counts, over a machine whose disk can be made full.
fn counting(machine: &ForgetfulDisk, own: &[(&str, &str)]) -> Arc<Engine> {
    let engine = open(machine.boot(), Drive::Manual, own);
    execute(&engine, NAMED).expect("made");
    append(&engine, "s", (0..3).map(|_| "{\"V\":\"a\"}".to_owned()));
    engine.settle().expect("settled");
    engine
}

#[test]
fn a_table_is_not_shown_while_what_its_query_did_waits_for_its_commit() {
    let machine = ForgetfulDisk::new(0);
    let engine = counting(&machine, &[]);
    append(&engine, "s", ["{\"V\":\"a\"}".to_owned()].into_iter());
    machine.set_room(Some(0));
    engine.turn("CTAS_T_0").expect("an epoch that waits for room");
    let shown = pulled(&engine);
    assert!(shown.is_err(), "it may be lost yet: {shown:?}");
    machine.set_room(None);
    engine.settle().expect("settled");
    assert_eq!(pulled(&engine).expect("rows"), [4]);
}

#[test]
fn a_table_is_not_shown_in_the_middle_of_a_turn() {
    let machine = ForgetfulDisk::new(0);
    let engine = counting(&machine, &[(config::TURN_BYTES, "200")]);
    append(&engine, "s", (0..60).map(|number| format!("{{\"V\":\"{}\"}}", number % 2)));
    engine.turn("CTAS_T_0").expect("a part of a turn");
    assert!(values(&engine, "T").len() < 63, "only a part of the turn is committed");
    assert_eq!(pulled(&engine).expect("rows"), [3, 30, 30]);
}
