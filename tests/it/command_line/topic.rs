//! `tidemill topic`.

use std::io::Write;

use serde_json::json;

use super::{Folder, assert_has, lines};

#[test]
fn topics_are_made_listed_described_and_deleted() {
    let folder = Folder::new();
    let made = folder.ok(&["topic", "create", "logs", "--partitions", "3", "--config", "retention.ms=1000"]);
    assert_eq!(made, "Topic 'logs' created with 3 partitions.\n");
    assert_has(&folder.ok(&["topic", "list"]), &["logs", "3"]);
    assert_eq!(
        lines(&folder.ok(&["topic", "list", "--output", "json"])),
        [json!({"Kafka Topic": "logs", "Partitions": "3", "Records": "0"})]
    );
    assert_has(&folder.ok(&["topic", "describe", "logs"]), &["retention.ms", "1000", " 2         | 0"]);
    assert_has(&folder.refused(1, &["topic", "create", "logs"]), &["Topic 'logs' already exists."]);
    folder.ok(&["topic", "delete", "logs"]);
    assert_eq!(folder.ok(&["topic", "list", "--output", "json"]), "");
    assert_has(&folder.refused(1, &["topic", "delete", "logs"]), &["Topic 'logs' does not exist."]);
    assert_has(&folder.refused(1, &["topic", "create", "a b"]), &["'a b' cannot be the name of a topic"]);
}

#[test]
fn settings_that_no_topic_has_are_refused() {
    let folder = Folder::new();
    let with = |setting: &str| folder.refused(2, &["topic", "create", "t", "--config", setting]);
    assert_has(
        &with("retnetion.ms=5"),
        &["Unknown setting of a topic: 'retnetion.ms'", "did you mean 'retention.ms'?"],
    );
    assert_has(&with("retention.ms=soon"), &["'soon'", "a whole number from -1"]);
    assert_has(&with("retention.ms"), &["'retention.ms' is not KEY=VALUE"]);
    folder.refused(1, &["topic", "create", "t", "--partitions", "0"]);
    folder.refused(1, &["topic", "create", "a b"]);
    assert!(!super::exists(&folder.data()), "nothing is made for a command that is wrong");
    let sql = "CREATE TOPIC 't' WITH ('cleanup.polcy'='compact');";
    assert_has(&folder.refused(1, &["run", "-e", sql]), &["'cleanup.polcy'", "did you mean 'cleanup.policy'?", "1 |"]);
    let ran = folder.run(&["topic", "create", "t", "--config", "retention.ms=5", "--config", "flush.ms=5"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_has(&ran.err, &["warning: kept with the topic, but without effect in this version: 'flush.ms'\n"]);
}

#[test]
fn settings_are_changed_and_records_deleted() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "2"]);
    assert_eq!(folder.ok(&["topic", "alter", "t", "--config", "retention.bytes=9"]), "Topic 't' altered.\n");
    assert_has(&folder.ok(&["topic", "describe", "t"]), &["retention.bytes", "9", "Bytes"]);
    assert_has(&folder.refused(2, &["topic", "alter", "t", "--config", "retnetion.ms=5"]), &["'retention.ms'?"]);
    assert_has(&folder.refused(1, &["topic", "alter", "u", "--config", "retention.ms=5"]), &["'u' does not exist"]);
    let lines =
        [1, 2, 3].map(|n| format!("{{\"partition\":{},\"value\":{n},\"timestamp\":{n}}}\n", 1 - n % 2)).concat();
    assert_eq!(folder.run_with(&["topic", "produce", "t", "--envelope"], &lines).status, 0);
    let deleted = folder.ok(&["topic", "delete-records", "t", "--before", "1", "--partition", "0"]);
    assert_has(&deleted, &["Partition", "Start Offset", "0         | 1"]);
    let values = |folder: &Folder| folder.records("t").iter().map(|record| record["value"].clone()).collect::<Vec<_>>();
    assert_eq!(values(&folder), [json!(2), json!(3)]);
    let refused = folder.refused(1, &["topic", "delete-records", "t", "--before", "3", "--partition", "0"]);
    assert_has(&refused, &["offset 3 is after the end of partition 0, which is 2"]);
    folder.refused(1, &["topic", "delete-records", "t", "--before", "0", "--partition", "2"]);
    folder.refused(2, &["topic", "delete-records", "t", "--before", "-1"]);
    folder.ok(&["topic", "delete-records", "t", "--before", "end"]);
    assert_eq!(values(&folder), Vec::<serde_json::Value>::new());
    assert_has(
        &folder.ok(&["topic", "describe", "t"]),
        &[" 0         | 2            | 2", " 1         | 1            | 1"],
    );
}

#[test]
fn a_topic_in_use_is_not_deleted() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", super::COUNTS]);
    assert_has(&folder.refused(1, &["topic", "delete", "logs"]), &["Topic 'logs' is used by LOGS."]);
    assert_has(&folder.ok(&["topic", "describe", "logs"]), &["STREAM", "LOGS", "JSON"]);
}

#[test]
fn lines_become_records_and_records_lines() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let file = folder.file("a.jsonl", "{\"id\":\"x\",\"at\":5}\n\n{\"id\":7,\"at\":\"1970-01-01T00:00:00.006Z\"}\n");
    let ran = folder.run(&["topic", "produce", "t", &file, "--key", "id", "--timestamp", "at"]);
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "2 records written to topic 't'\n", ""));
    assert_eq!(
        folder.records("t"),
        [
            json!({"partition":0,"offset":0,"timestamp":5,"key":"x","value":{"id":"x","at":5},"headers":[]}),
            json!({"partition":0,"offset":1,"timestamp":6,"key":7,"value":{"id":7,"at":"1970-01-01T00:00:00.006Z"},
                "headers":[]}),
        ]
    );
}

#[test]
fn files_may_be_compressed_and_standard_input_is_a_file() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"1\n2\n").expect("packed");
    let packed = folder.file("b.jsonl.gz", packed.finish().expect("packed"));
    let plain = folder.file("c.jsonl", "\"three\"\nnull");
    let ran = folder.run_with(&["topic", "produce", "t", &packed, "-", &plain], "\"in\"\n");
    assert_eq!((ran.status, ran.out.as_str()), (0, "5 records written to topic 't'\n"));
    let values: Vec<_> = folder.records("t").iter().map(|r| r["value"].clone()).collect();
    assert_eq!(values, [json!(1), json!(2), json!("in"), json!("three"), json!(null)]);
    let ran = folder.run_with(&["topic", "produce", "t"], "4\n");
    assert_eq!((ran.status, ran.out.as_str()), (0, "1 records written to topic 't'\n"));
}

#[test]
fn an_envelope_says_all_of_a_record_and_what_is_consumed_can_be_produced_again() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "2"]);
    folder.ok(&["topic", "create", "again", "--partitions", "2"]);
    let line = r#"{"partition":1,"key":"k","value":{"a":1.50},"timestamp":9,"headers":[{"key":"h","value":"x"},
        {"key":"b","value":{"base64":"/w=="}},{"key":"n","value":null}]}"#;
    let ran = folder.run_with(&["topic", "produce", "t", "--envelope"], &line.replace('\n', ""));
    assert_eq!(ran.status, 0, "{ran:?}");
    let printed = folder.ok(&["topic", "consume", "t"]);
    assert_eq!(
        printed.trim_end(),
        concat!(
            r#"{"partition":1,"offset":0,"timestamp":9,"key":"k","value":{"a":1.50},"headers":[{"key":"h","value":"x"},"#,
            r#"{"key":"b","value":{"base64":"/w=="}},{"key":"n","value":null}]}"#
        )
    );
    assert_eq!(folder.run_with(&["topic", "produce", "again", "--envelope"], &printed).status, 0);
    assert_eq!(folder.ok(&["topic", "consume", "again"]), printed);
}

#[test]
fn keys_are_written_as_the_catalog_declares_them() {
    let folder = Folder::new();
    let make = "CREATE STREAM s (k BIGINT KEY, v STRING) WITH (KAFKA_TOPIC='s', PARTITIONS=4, VALUE_FORMAT='JSON');";
    folder.ok(&["run", "-e", make]);
    let ran = folder.run_with(&["topic", "produce", "s", "--key", "k"], "{\"k\":42,\"v\":\"x\"}\n{\"k\":null}\n");
    assert_eq!(ran.status, 0, "{ran:?}");
    let raw = lines(&folder.ok(&["topic", "consume", "s", "--raw"]));
    let keyed = raw.iter().find(|r| !r["key"].is_null()).expect("a key");
    assert_eq!(keyed["key"], json!("\0\0\0\0\0\0\0*"));
    assert_eq!(keyed["value"], json!("{\"k\":42,\"v\":\"x\"}"));
    let out = folder.ok(&["run", "-e", "SELECT * FROM s EMIT CHANGES LIMIT 2", "--output", "json"]);
    let mut rows = lines(&out);
    rows.sort_by_key(|r| r["K"].is_null());
    assert_eq!(rows, [json!({"K": 42, "V": "x"}), json!({"K": null, "V": null})]);
    let ran = folder.run_with(&["topic", "produce", "s", "--key", "k"], "{\"k\":\"no number\"}\n");
    assert_eq!((ran.status, ran.out.as_str()), (1, "0 records written to topic 's'\n"));
    assert_has(&ran.err, &["standard input, line 1: key: \"no number\" is no BIGINT"]);
}

#[test]
fn reading_starts_where_it_is_asked_to() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let lines: String = (0..10).map(|n| format!("{{\"n\":{n},\"at\":{}}}\n", 2_000_000_000_000i64 + n)).collect();
    assert_eq!(folder.run_with(&["topic", "produce", "t", "--timestamp", "at"], &lines).status, 0);
    let read = |arguments: &[&str]| -> Vec<i64> {
        let all = [&["topic", "consume", "t"], arguments].concat();
        super::lines(&folder.ok(&all)).iter().filter_map(|r| r["value"]["n"].as_i64()).collect()
    };
    assert_eq!(read(&["--limit", "2"]), [0, 1]);
    assert_eq!(read(&["--from", "beginning", "--limit", "1"]), [0]);
    assert_eq!(read(&["--from", "8"]), [8, 9]);
    assert_eq!(read(&["--from", "end"]), [0i64; 0]);
    assert_eq!(read(&["--from", "2000000000007"]), [7, 8, 9]);
    assert_eq!(read(&["--from", "2033-05-18T03:33:20.009Z"]), [9]);
    assert_has(&folder.refused(2, &["topic", "consume", "t", "--from", "soon"]), &["expected beginning, end"]);
    assert_has(&folder.refused(1, &["topic", "consume", "nope"]), &["Topic 'nope' does not exist."]);
}

#[test]
fn records_without_a_key_go_round_robin_over_several_calls() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "3"]);
    for _ in 0..2 {
        folder.run_with(&["topic", "produce", "t"], "1\n2\n");
    }
    let mut partitions: Vec<_> = folder.records("t").iter().filter_map(|r| r["partition"].as_i64()).collect();
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 0, 1, 2]);
}

#[test]
fn what_was_written_is_there_however_often_the_folder_is_opened() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let text = "x".repeat(1000);
    let lines: String = (0..2000).map(|n| format!("{{\"n\":{n},\"text\":\"{text}\"}}\n")).collect();
    assert_eq!(folder.run_with(&["topic", "produce", "t"], &lines).status, 0);
    for _ in 0..3 {
        let records = folder.records("t");
        assert_eq!(records.len(), 2000);
        assert_eq!(records[1999]["value"]["n"], json!(1999));
    }
}
