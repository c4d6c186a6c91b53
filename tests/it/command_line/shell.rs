//! `tidemill shell`.

use std::io::{BufRead, BufReader, Write};

use super::{COUNTS, Folder, LOGS, Ran, assert_has, signal};

#[test]
fn statements_may_take_several_lines_and_errors_do_not_end_the_shell() {
    let folder = Folder::new();
    let typed = "SHOW STREAMS;\nCREATE STREAM s (a INT)\n  WITH (KAFKA_TOPIC='s', -- not yet;\n PARTITIONS=1,\n VALUE_FORMAT='JSON')\n;\n\
        SELECT nope;\noutput json\nSHOW STREAMS;\nexit\nSHOW TABLES;\n";
    let ran = folder.run_with(&["shell"], typed);
    assert_has(
        &ran.out,
        &[
            " Stream Name | Kafka Topic | Key Format | Value Format | Windowed \n",
            " Message        \n----------------\n Stream created \n----------------\n",
            "Output format set to JSON\n{\"Stream Name\":\"S\",\"Kafka Topic\":\"s\",",
        ],
    );
    assert!(!ran.out.contains("Table Name"), "nothing comes after exit");
    assert_has(&ran.err, &["error: "]);
    assert_eq!(ran.status, 1, "a statement failed, and nobody was there to see it");
}

#[test]
fn the_shells_own_commands_need_no_semicolon() {
    let folder = Folder::new();
    let script = folder.file("a b.sql", "SHOW TOPICS;");
    let typed = format!("help\nVERSION\noutput\noutput xml\nrun script '{script}';\nrun script 'none.sql'\nspool x\n");
    let ran = folder.run_with(&["shell"], &typed);
    assert_has(
        &ran.out,
        &["run script 'FILE'", "CREATE", "Version: 0.", "Current output format: TABLE", " Kafka Topic | Partitions "],
    );
    assert_has(
        &ran.err,
        &[
            "Invalid output format: 'xml'",
            "Failed to read file: none.sql",
            "spool is not supported by this version yet",
        ],
    );
}

#[test]
fn reading_starts_at_the_end_and_says_so() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", COUNTS]);
    folder.run_with(&["topic", "produce", "logs"], LOGS);
    let latest = "SELECT ts FROM logs EMIT CHANGES LIMIT 0;";
    let ran = folder.run_with(&["shell"], &format!("{latest}\nCREATE STREAM c AS SELECT * FROM logs;\n"));
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(ran.err.matches("hint: 4 records were there before").count(), 2, "{}", ran.err);
    let typed = "SET 'auto.offset.reset'='earliest';\nSELECT ts FROM logs EMIT CHANGES LIMIT 4;\n";
    let ran = folder.run_with(&["shell", "--output", "csv"], typed);
    assert!(!ran.err.contains("hint"), "{}", ran.err);
    assert_eq!(ran.out.lines().filter(|l| l.ends_with("000")).count(), 4, "{}", ran.out);
}

#[test]
fn statements_and_files_of_the_command_line_are_run_and_the_shell_leaves() {
    let folder = Folder::new();
    let file = folder.file("make.sql", COUNTS);
    assert_has(&folder.ok(&["shell", "-f", &file, "-e", "SHOW TABLES"]), &["Stream created", "COUNTS"]);
    assert_has(&folder.refused(1, &["shell", "-e", "SHOW TABLES; SELECT x FROM nope"]), &["NOPE does not exist."]);
    assert_has(&folder.refused(1, &["shell", "--server", "http://localhost:8088"]), &["not supported"]);
}

#[test]
fn an_interrupt_ends_the_query_and_not_the_shell() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", COUNTS]);
    folder.run_with(&["topic", "produce", "logs"], LOGS);
    let mut child = folder.start(&["shell", "--output", "csv", "--set", "auto.offset.reset=earliest"]);
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"SELECT ts FROM logs EMIT CHANGES;\nSHOW STREAMS;\n").expect("taken");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut seen = String::new();
    for _ in 0..5 {
        out.read_line(&mut seen).expect("a line");
    }
    signal(&child, "-INT");
    let mut answer = String::new();
    out.read_line(&mut answer).expect("a line");
    out.read_line(&mut answer).expect("a line");
    assert_has(&answer, &["Stream Name,", "LOGS,logs"]);
    drop(input);
    let ran = Ran::of(child.wait_with_output().expect("an end"));
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_has(&ran.err, &["Query terminated"]);
}
