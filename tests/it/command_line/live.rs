//! Processes that go on until they are told to end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use super::{COUNTS, Folder, LOGS, Ran, assert_has, signal};

/// The next line of a process's standard output.
fn line(out: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    line
}

fn output_of(child: &mut Child) -> BufReader<ChildStdout> {
    BufReader::new(child.stdout.take().expect("a pipe"))
}

#[test]
fn follow_shows_rows_and_ends_in_order_when_it_is_asked_to() {
    for name in ["-INT", "-TERM"] {
        let folder = Folder::new();
        folder.ok(&["run", "-e", COUNTS]);
        assert_eq!(folder.run_with(&["topic", "produce", "logs"], LOGS).status, 0);
        let sql = "SELECT service_name, ts FROM logs EMIT CHANGES;";
        let mut child = folder.start(&["run", "-e", sql, "--follow", "--output", "json"]);
        let mut out = output_of(&mut child);
        let mut rows: Vec<String> = (0..4).map(|_| line(&mut out)).collect();
        rows.sort();
        assert_eq!(rows[0], "{\"SERVICE_NAME\":\"a\",\"TS\":1000}\n");
        let busy = folder.run(&["topic", "list"]);
        assert_eq!((busy.status, busy.out.as_str()), (3, ""));
        assert_has(&busy.err, &["is in use by another tidemill", "--data-dir"]);
        signal(&child, name);
        let ran = Ran::of(child.wait_with_output().expect("an end"));
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{name}");
        folder.ok(&["run", "--until-drained"]);
        assert_eq!(folder.records("COUNTS").len(), 2);
    }
}

#[test]
fn windows_behind_an_exchange_close_when_a_partition_stays_behind() {
    let folder = Folder::new();
    let made = "CREATE STREAM s (k INT KEY, v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=2, VALUE_FORMAT='JSON');
        CREATE TABLE o AS SELECT v, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY v EMIT FINAL;
        CREATE STREAM counts (c BIGINT) WITH (KAFKA_TOPIC='O', VALUE_FORMAT='JSON');";
    folder.ok(&["run", "-e", made]);
    let row = |partition, time| {
        format!("{{\"partition\":{partition},\"key\":1,\"value\":{{\"v\":\"a\"}},\"timestamp\":{time}}}\n")
    };
    let rows = [(0, 0), (1, 100), (1, 1500), (1, 9500)].map(|(partition, time)| row(partition, time)).concat();
    assert_eq!(folder.run_with(&["topic", "produce", "s", "--envelope"], &rows).status, 0);
    // No record comes any more: only the time at which the first partition counts as idle closes the windows.
    let sql = "SELECT c FROM counts EMIT CHANGES;";
    let mut child = folder.start(&["run", "-e", sql, "--follow", "--output", "json", "--set", "tidemill.idle.ms=300"]);
    let mut out = output_of(&mut child);
    assert_eq!([line(&mut out), line(&mut out)], ["{\"C\":2}\n", "{\"C\":1}\n"]);
    signal(&child, "-INT");
    assert_eq!(Ran::of(child.wait_with_output().expect("an end")).status, 0);
}

#[test]
fn consume_follows_until_it_is_interrupted() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t"]);
    folder.run_with(&["topic", "produce", "t"], "1\n");
    let mut child = folder.start(&["topic", "consume", "t", "--follow"]);
    let mut out = output_of(&mut child);
    assert_has(&line(&mut out), &["\"value\":1"]);
    signal(&child, "-INT");
    assert_eq!(Ran::of(child.wait_with_output().expect("an end")).status, 0);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let lines: String = (0..50_000).map(|n| format!("{n}\n")).collect();
    folder.run_with(&["topic", "produce", "t"], &lines);
    let mut command = folder.command(&["topic", "consume", "t"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    let mut out = output_of(&mut child);
    line(&mut out);
    drop(out);
    let mut err = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("text");
    assert_eq!((child.wait().expect("an end").code(), err.as_str()), (Some(0), ""));
}

#[test]
fn what_is_typed_into_produce_is_written_without_waiting_for_its_end() {
    use std::io::Write;
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let mut child = folder.start(&["topic", "produce", "t"]);
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"1\n2\n").expect("taken");
    input.flush().expect("taken");
    std::thread::sleep(std::time::Duration::from_millis(500));
    // The process is gone without having seen the end of its input.
    child.kill().expect("killed");
    child.wait().expect("an end");
    assert_eq!(folder.records("t").len(), 2);
}
