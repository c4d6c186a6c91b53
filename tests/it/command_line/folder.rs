//! The data folder: what others put into it, and how many of its files are open.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{Folder, Ran, assert_has};

#[test]
fn files_that_the_log_has_not_written_stay_and_are_told() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "one"]);
    folder.ok(&["topic", "create", "two"]);
    let topics = folder.data().join("topics");
    let put = |path: &str| {
        let path = topics.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, "mine").expect("written");
        path
    };
    let mine = [put("notes.txt"), put("letters/a.txt"), put("9000/0/notes.txt"), put("77"), put("0/0/notes.txt")];
    let ran = folder.run(&["topic", "delete", "one"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_has(
        &ran.err,
        &["notes.txt is not of the log", "letters is not", "9000/0/notes.txt is not", "topics/77 is not"],
    );
    assert_has(&ran.err, &["cannot be removed yet", "0/0/notes.txt is one"]);
    assert_eq!(folder.ok(&["topic", "list"]).lines().filter(|line| line.contains("one")).count(), 0);
    for path in &mine {
        assert_eq!(std::fs::read_to_string(path).expect("it is still there"), "mine", "{path:?}");
    }
    assert!(!topics.join("0/0/00000000000000000000.log").exists(), "the records of a topic that was deleted");
}

#[test]
fn a_process_with_few_handles_has_many_partitions() {
    const PARTITIONS: usize = 400;
    let folder = Folder::new();
    let run = |arguments: &str, input: &str| {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n 100; exec {} {arguments}", env!("CARGO_BIN_EXE_tidemill"));
        shell.args(["-c", &script]).env("TIDEMILL_DATA_DIR", folder.data()).env("HOME", folder.path(""));
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("taken");
        let ran = Ran::of(child.wait_with_output().expect("an end"));
        assert_eq!(ran.status, 0, "{arguments}: {ran:?}");
        ran.out
    };
    run(&format!("topic create wide --partitions {PARTITIONS}"), "");
    let records: String = (0..4 * PARTITIONS).map(|i| format!("{{\"n\": {i}}}\n")).collect();
    run("topic produce wide -", &records);
    let query = "CREATE STREAM wide (n INT) WITH (KAFKA_TOPIC='wide', VALUE_FORMAT='JSON'); \
                 CREATE STREAM copy AS SELECT n FROM wide;";
    run(&format!("run --until-drained --set auto.offset.reset=earliest -e \"{query}\""), "");
    let copied = run("topic consume COPY", "");
    assert_eq!(copied.lines().count(), 4 * PARTITIONS);
    run("run -e \"DROP STREAM copy DELETE TOPIC; DROP STREAM wide DELETE TOPIC;\"", "");
}
