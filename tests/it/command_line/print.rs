//! PRINT in the shell and in `run`.

use std::io::{BufRead, BufReader};

use super::{Folder, Ran, assert_has, signal};

/// A folder with three records in the topic `t`.
fn filled() -> Folder {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let records: String =
        (1..=3).map(|n| format!("{{\"key\":\"k{n}\",\"value\":{{\"n\":{n}}},\"timestamp\":{}}}\n", n * 1000)).collect();
    assert_eq!(folder.run_with(&["topic", "produce", "t", "--envelope"], &records).status, 0);
    folder
}

const FORMATS: &str = "Key format: KAFKA_STRING\nValue format: JSON or KAFKA_STRING\n";

fn line(n: u32) -> String {
    format!("rowtime: 1970/01/01 00:00:0{n}.000 Z, key: k{n}, value: {{\"n\":{n}}}, partition: 0\n")
}

#[test]
fn records_are_printed_until_there_are_enough() {
    let folder = filled();
    let shell = folder.run(&["shell", "-e", "PRINT t FROM BEGINNING INTERVAL 2 LIMIT 2;"]);
    assert_eq!((shell.status, shell.out), (0, format!("{FORMATS}{}{}", line(1), line(3))));
    assert_eq!(shell.err, "Limit Reached\nTopic printing ceased\n");
    // `run` reads from the start, as its queries do.
    assert_eq!(folder.ok(&["run", "-e", "PRINT t LIMIT 1;"]), format!("{FORMATS}{}", line(1)));
    let json = folder.ok(&["run", "--output", "json", "-e", "PRINT t LIMIT 1;"]);
    assert_has(&json, &["{\"message\":\"Key format: KAFKA_STRING\"}\n", "{\"record\":\"rowtime: 1970/01/01 "]);
}

#[test]
fn with_until_drained_all_records_that_there_are_are_printed() {
    let printed = filled().ok(&["run", "--until-drained", "-e", "PRINT t;"]);
    assert_eq!(printed, format!("{FORMATS}{}{}{}", line(1), line(2), line(3)));
}

#[test]
fn an_open_print_ends_when_it_is_interrupted() {
    for arguments in [&["run", "-e", "PRINT t;"][..], &["run", "--follow", "-e", "PRINT t;"]] {
        let folder = filled();
        let mut child = folder.start(arguments);
        let mut out = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert_eq!(out.nth(4).expect("a line").expect("text"), line(3).trim_end());
        signal(&child, "-INT");
        assert_eq!(Ran::of(child.wait_with_output().expect("an end")).status, 0, "{arguments:?}");
    }
}

#[test]
fn a_topic_that_is_not_there_is_named_with_the_nearest_one() {
    let refused = filled().refused(1, &["run", "-e", "PRINT T;"]);
    assert_has(
        &refused,
        &["error: Could not find topic 'T'.", "it is 't': upper and lower case matter", " --> -e:1:7"],
    );
}
