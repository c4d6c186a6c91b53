//! Large collections in groups: they survive restarts, are read by key, and their memory and their results are bounded.

use super::{Folder, assert_has};

const STREAM: &str = "CREATE STREAM s (k STRING, v STRING, d DECIMAL(4, 1)) \
                      WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=2);";
const TABLE: &str = "SET 'auto.offset.reset'='earliest'; \
    CREATE TABLE t AS SELECT k, COLLECT_LIST(v) AS l, COLLECT_SET(v) AS s, HISTOGRAM(v) AS h, TOPKDISTINCT(v, 100) AS t, \
    LATEST_BY_OFFSET(v, 50) AS n, COUNT_DISTINCT(v) AS c FROM s GROUP BY k;";

fn value(number: usize) -> String {
    format!("{:0>60}", number % 350)
}

/// Records of two keys in turn, numbered from `from` on.
fn records(from: usize, count: usize) -> String {
    let record = |i: usize| format!("{{\"k\":\"k{}\",\"v\":\"{}\"}}\n", i % 2, value(i));
    (from..from + count).map(record).collect()
}

#[test]
fn large_collections_survive_restarts_and_are_read_by_key() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", &format!("{STREAM} {TABLE}")]);
    let all = 1_000;
    for from in (0..all).step_by(200) {
        assert_eq!(folder.run_with(&["topic", "produce", "s", "--key", "k"], &records(from, 200)).status, 0);
        folder.ok(&["run", "--until-drained"]);
    }
    let pull = "SELECT l, s, h, t, n, c FROM t WHERE k = 'k1';";
    let out = folder.ok(&["run", "--output", "json", "-e", pull]);
    let row: serde_json::Value = serde_json::from_str(out.trim()).expect("a row");
    let came: Vec<String> = (0..all).filter(|i| i % 2 == 1).map(value).collect();
    let mut set: Vec<String> = Vec::new();
    came.iter().for_each(|v| {
        if !set.contains(v) {
            set.push(v.clone())
        }
    });
    let mut sorted = set.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(row["L"], serde_json::json!(came));
    assert_eq!(row["S"], serde_json::json!(set));
    assert_eq!(row["T"], serde_json::json!(sorted[..100]));
    assert_eq!(row["N"], serde_json::json!(came[came.len() - 50..]));
    assert_eq!(row["C"], serde_json::json!(set.len()));
    let histogram = row["H"].as_object().expect("a map");
    assert_eq!(histogram.len(), set.len());
    assert_eq!(histogram.values().filter_map(|n| n.as_u64()).sum::<u64>(), came.len() as u64);
}

#[test]
fn the_memory_of_collections_is_in_the_budget() {
    let folder = Folder::new();
    let table =
        "SET 'auto.offset.reset'='earliest'; CREATE TABLE t AS SELECT k, COLLECT_LIST(v) AS l FROM s GROUP BY k;";
    folder.ok(&["run", "-e", &format!("{STREAM} {table}")]);
    let record = format!("{{\"k\":\"k\",\"v\":\"{}\"}}\n", "x".repeat(1_000));
    assert_eq!(folder.run_with(&["topic", "produce", "s"], &record.repeat(6_000)).status, 0);
    let few = ["run", "--until-drained", "--set", "tidemill.memory.bytes=4000000"];
    let err = folder.refused(3, &few);
    assert_has(&err, &["the states of all queries take", "of 4000000 bytes"]);
}

#[test]
fn a_sum_of_decimals_that_overflows_does_not_end_the_query() {
    let folder = Folder::new();
    let table =
        "SET 'auto.offset.reset'='earliest'; CREATE TABLE t AS SELECT k, SUM(d) AS d, COUNT(*) AS n FROM s GROUP BY k;";
    folder.ok(&["run", "-e", &format!("{STREAM} {table}")]);
    let numbers = ["999.0", "1.0", "0.9", "-9.0"];
    let records: String = numbers.iter().map(|d| format!("{{\"k\":\"k\",\"d\":{d}}}\n")).collect();
    assert_eq!(folder.run_with(&["topic", "produce", "s", "--key", "k"], &records).status, 0);
    let ran = folder.run(&["run", "--until-drained"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_has(&ran.err, &["expression-errors", "SUM: Numeric field overflow", "Got 1000.0", "offset 1"]);
    let out = folder.ok(&["run", "--output", "json", "-e", "SELECT d, n FROM t;"]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(out.trim()).expect("a row"),
        serde_json::json!({"D": 990.9, "N": 4})
    );
    let described = folder.ok(&["run", "-e", "DESCRIBE t EXTENDED;"]);
    assert_has(&described, &["expression-errors 1"]);
}
