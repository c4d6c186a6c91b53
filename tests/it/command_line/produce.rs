//! What `tidemill topic produce` reads besides lines of JSON, and how it ends.

use std::io::Write;

use serde_json::{Value, json};

use super::{Folder, Ran, assert_has, signal};

fn values(folder: &Folder, topic: &str) -> Vec<Value> {
    folder.records(topic).into_iter().map(|mut record| record["value"].take()).collect()
}

#[test]
fn comma_separated_values_become_objects() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let text = "\u{feff}id,name,price,at\r\n\
        7,\"Smith, \"\"J\"\"\",1.50,2020-01-01 10:00:00.123456\r\n\
        \r\n\
        008,\"two\r\nlines\",,2020-01-01T10:00:00Z\r\n";
    let file = folder.file("a.csv", text);
    let ran = folder.run(&["topic", "produce", "t", &file, "--csv", "--key", "id", "--timestamp", "at"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "2 records written to topic 't'\n"), "{ran:?}");
    let mut records = folder.records("t");
    records.sort_by_key(|record| record["offset"].as_i64());
    records.reverse();
    assert_eq!(records[0]["value"]["name"], json!("two\r\nlines"));
    assert_eq!(records[1]["value"]["name"], json!("Smith, \"J\""));
    assert_eq!((&records[0]["key"], &records[0]["value"]["price"]), (&json!("008"), &json!(null)));
    assert_eq!((&records[1]["key"], &records[1]["value"]["id"]), (&json!(7), &json!(7)));
    assert_eq!(records[1]["timestamp"], json!(1_577_872_800_123i64));
}

#[test]
fn comma_separated_values_are_what_the_declaration_says() {
    let folder = Folder::new();
    let make = "CREATE STREAM s (k BIGINT KEY, zip STRING, n INT, price DECIMAL(6,2), ok BOOLEAN, day DATE, moment TIMESTAMP) \
                WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='DELIMITED');";
    folder.ok(&["run", "-e", make]);
    let lines = "k,zip,n,price,ok,Day,moment\n1,00123,+5,2.25,TRUE,1970-01-02,1970-01-01 00:00:01\n2,,,,,,\n";
    let ran = folder.run_with(&["topic", "produce", "s", "--csv", "--key", "k"], lines);
    assert_eq!(ran.status, 0, "{ran:?}");
    let out = folder.ok(&["run", "-e", "SELECT * FROM s EMIT CHANGES LIMIT 2;", "--output", "json"]);
    assert_eq!(
        super::lines(&out),
        [
            json!({"K": 1, "ZIP": "00123", "N": 5, "PRICE": 2.25, "OK": true, "DAY": "1970-01-02",
                "MOMENT": "1970-01-01T00:00:01.000"}),
            json!({"K": 2, "ZIP": null, "N": null, "PRICE": null, "OK": null, "DAY": null, "MOMENT": null}),
        ]
    );
    let ran = folder.run_with(&["topic", "produce", "s", "--csv"], "zip,n\na,1\nb,1.5\n");
    assert_eq!((ran.status, ran.out.as_str()), (1, "1 records written to topic 's'\n"));
    assert_has(&ran.err, &["standard input, line 3: n: '1.5' is no INTEGER"]);
}

#[test]
fn comma_separated_values_that_are_not_are_refused_with_their_line() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    for (lines, reason) in [
        ("a,b\n1\n", "line 2: 1 fields, but the first line of the file names 2"),
        ("a,b\n1,2,3\n", "line 2: 3 fields"),
        ("a,a\n1,2\n", "line 1: there are two fields a"),
        ("a,\n1,2\n", "line 1: a field has no name"),
        ("a\n1\n\"x\n2\n3\n", "line 3: the quotes are not closed"),
        ("a\n5\" disk\n", "line 2: there is a quote in a field without quotes"),
        ("a\n\"x\" y\n", "line 2: there is text after the closing quote"),
    ] {
        let ran = folder.run_with(&["topic", "produce", "t", "--csv"], lines);
        assert_eq!(ran.status, 1, "{lines:?}: {ran:?}");
        assert_has(&ran.err, &[reason]);
    }
    let ran = folder.run_with(&["topic", "produce", "t", "--csv", "--key", "id"], "a\n1\n");
    assert_has(&ran.err, &["line 2: there is no field id with the key; the line has a"]);
    for wrong in [["--csv", "--raw"], ["--csv", "--envelope"], ["--raw", "--envelope"]] {
        folder.refused(2, &[&["topic", "produce", "t"], &wrong[..]].concat());
    }
    folder.refused(2, &["topic", "produce", "t", "--raw", "--key", "a"]);
}

#[test]
fn raw_lines_are_written_as_they_are() {
    let folder = Folder::new();
    let make =
        "CREATE STREAM s (a INT, b INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON', KEY_FORMAT='JSON');";
    folder.ok(&["run", "-e", make]);
    let file = folder.file("a.txt", b"{\"a\":\n\nnull\n  x \r\n\xff\xfe\nlast");
    let ran = folder.run(&["topic", "produce", "s", &file, "--raw"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "6 records written to topic 's'\n"), "{ran:?}");
    let raw: Vec<Value> = super::lines(&folder.ok(&["topic", "consume", "s", "--raw"]))
        .into_iter()
        .map(|mut record| record["value"].take())
        .collect();
    assert_eq!(
        raw,
        [json!("{\"a\":"), json!(""), json!("null"), json!("  x "), json!({"base64": "//4="}), json!("last")]
    );
}

#[test]
fn a_line_without_the_field_of_its_key_is_refused() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let ran = folder.run_with(&["topic", "produce", "t", "--key", "id"], "{\"id\":1}\n{\"id\":null}\n{\"ID\":3}\n");
    assert_eq!((ran.status, ran.out.as_str()), (1, "2 records written to topic 't'\n"));
    assert_has(&ran.err, &["line 3: there is no field id with the key; it is ID: upper and lower case matter"]);
    assert_eq!(values(&folder, "t"), [json!({"id": 1}), json!({"id": null})]);
}

#[test]
fn an_interrupt_ends_produce_which_says_how_many_records_it_wrote() {
    for name in ["-INT", "-TERM"] {
        let folder = Folder::new();
        folder.ok(&["topic", "create", "t", "--partitions", "1"]);
        let mut child = folder.start(&["topic", "produce", "t"]);
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(b"1\n2\n3").expect("taken");
        input.flush().expect("taken");
        // The signal comes while the process waits for the rest of the third line.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        signal(&child, name);
        let ran = Ran::of(child.wait_with_output().expect("an end"));
        drop(input);
        assert_eq!((ran.status, ran.out.as_str()), (1, "2 records written to topic 't'\n"), "{name}: {ran:?}");
        assert_has(&ran.err, &["interrupted before everything was read; what was read before is written"]);
        assert_eq!(values(&folder, "t"), [json!(1), json!(2)], "{name}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_not_made_by_a_command_that_looks() {
    let folder = Folder::new();
    let missing = folder.path("mistyped").display().to_string();
    for command in [
        &["topic", "list"][..],
        &["topic", "describe", "t"],
        &["topic", "delete", "t"],
        &["topic", "consume", "t"],
        &["topic", "produce", "t"],
        &["run", "--until-drained"],
        &["run", "--follow"],
    ] {
        let error = folder.refused(2, &[command, &["--data-dir", &missing]].concat());
        assert_has(&error, &["there is no data folder ", "mistyped", "--data-dir"]);
        assert!(!super::exists(&folder.path("mistyped")), "{command:?}");
    }
    for command in ["run", "shell"] {
        let ran = folder.run(&[command, "-e", "SHOW STREAMS; SHOW TOPICS;", "--data-dir", &missing]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert_has(&ran.err, &["note: the data folder ", "mistyped is not there"]);
        assert!(!super::exists(&folder.path("mistyped")), "{command}");
    }
    let error = folder.refused(1, &["run", "-e", "SELECT * FROM nope;", "--data-dir", &missing]);
    assert_has(&error, &["NOPE does not exist", "= note: the data folder ", "is not there"]);
    assert!(!super::exists(&folder.path("mistyped")), "a script that is refused makes nothing");
    // A folder of something else stays as it is.
    let other = folder.path("").display().to_string();
    folder.file("letter.txt", "mine");
    assert_has(&folder.refused(2, &["topic", "list", "--data-dir", &other]), &["is no data folder of tidemill"]);
    let file = folder.path("letter.txt").display().to_string();
    assert_has(&folder.refused(3, &["topic", "list", "--data-dir", &file]), &["letter.txt cannot be used"]);
    assert_eq!(std::fs::read_dir(folder.path("")).expect("a folder").count(), 1);
    folder.ok(&["topic", "create", "t"]);
    folder.ok(&["topic", "list"]);
}
