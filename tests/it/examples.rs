//! The examples do what they say: their statements over their input give the results that were computed otherwise.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command_line::Folder;

/// A record as `topic consume` prints it: its key and its value.
pub(crate) type Record = (Value, Value);

/// The lines of a file, plain or gzip.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).expect("gzip");
    } else {
        text = String::from_utf8(bytes).expect("text");
    }
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The same whatever the text of its numbers: they are compared as doubles.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64().expect("a double")),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), plain(v))).collect(),
        other => other.clone(),
    }
}

/// Records in an order that does not depend on partitions.
pub(crate) fn sorted(records: Vec<Record>) -> Vec<String> {
    let mut all: Vec<String> = records.iter().map(|(k, v)| format!("{} {}", plain(k), plain(v))).collect();
    all.sort();
    all
}

/// The records of a topic, partition by partition.
pub(crate) fn consumed(folder: &Folder, topic: &str) -> Vec<Record> {
    let ran = folder.run(&["topic", "consume", topic]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let record = |line: &str| {
        let mut record: Value = serde_json::from_str(line).expect("JSON");
        (record["key"].take(), record["value"].take())
    };
    ran.out.lines().map(record).collect()
}

/// The last record of each key.
pub(crate) fn last(records: Vec<Record>) -> Vec<Record> {
    let mut last: BTreeMap<String, Record> = BTreeMap::new();
    for record in records {
        last.insert(record.0.to_string(), record);
    }
    last.into_values().collect()
}

/// Runs the program and expects that it does what it is asked to.
pub(crate) fn run(folder: &Folder, arguments: &[&str]) -> String {
    let ran = folder.run(arguments);
    assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    ran.out
}

fn folder_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn check(name: &str) {
    let (folder, example) = (Folder::new(), folder_of(name));
    let path = |file: &str| example.join(file).display().to_string();
    run(&folder, &["run", &path("statements.sql")]);
    let conf = std::fs::read_to_string(path("example.conf")).expect("the example's parts");
    let parts: Vec<Vec<&str>> = conf.lines().map(|line| line.split(' ').collect()).collect();
    for part in parts.iter().filter(|p| p[0] == "input") {
        run(&folder, &["topic", "produce", part[1], &path(part[2])]);
    }
    run(&folder, &["run", "--until-drained"]);
    for part in parts.iter().filter(|p| p[0] == "result") {
        let found = consumed(&folder, part[1]);
        let found = if part[3] == "last" { last(found) } else { found };
        let record = |mut line: Value| (line["key"].take(), line["value"].take());
        let expected: Vec<Record> = lines(&example.join(part[2])).into_iter().map(record).collect();
        let (found, expected) = (sorted(found), sorted(expected));
        assert_eq!(found.len(), expected.len(), "{name}: records of {}", part[1]);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{name}: {}", part[1]);
        }
    }
}

#[test]
fn error_counts() {
    check("error_counts");
}

#[test]
fn payment_risk() {
    check("payment_risk");
}

#[test]
fn flights() {
    check("flights");
}
