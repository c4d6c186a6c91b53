//! The environment in the way: no room, no rights, a folder in use, an unknown format. What was there stays.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{COUNTS, Folder, LOGS, Ran, assert_has};

/// A small disk of its own over a folder; gone when it is dropped.
struct SmallDisk<'f>(&'f Path);

impl<'f> SmallDisk<'f> {
    /// `None`, with a printed line, where nobody may mount.
    fn new(path: &'f Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(path).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(path).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(SmallDisk(path));
        }
        crate::skip("no small disk can be mounted here");
        None
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

fn rows(count: usize) -> String {
    let text = "x".repeat(400);
    let row =
        |n| format!("{{\"service_name\":\"s{}\",\"log_level\":\"ERROR\",\"ts\":{n},\"text\":\"{text}\"}}\n", n % 7);
    (0..count).map(row).collect()
}

#[test]
fn a_full_disk_stops_with_a_clear_error_and_nothing_is_lost() {
    let folder = Folder::new();
    let data = folder.data();
    let Some(_disk) = SmallDisk::new(&data, "24m") else { return };
    folder.ok(&["run", "-e", COUNTS]);
    assert_eq!(folder.run_with(&["topic", "produce", "logs"], LOGS).status, 0);
    folder.ok(&["run", "--until-drained"]);
    folder.ok(&[
        "run",
        "-e",
        "CREATE STREAM spare (a INT) WITH (KAFKA_TOPIC='spare', PARTITIONS=1, VALUE_FORMAT='JSON');",
    ]);
    folder.run_with(&["topic", "produce", "spare"], &"\"something that takes room\"\n".repeat(20_000));
    let file = folder.file("rows.jsonl", rows(60_000));
    let ran = folder.run(&["topic", "produce", "logs", &file]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert_has(&ran.err, &["the disk is full", "make room and try again"]);
    let said = ran.out.split(' ').next().and_then(|count| count.parse::<usize>().ok()).expect("how many were written");
    assert_eq!(folder.records("logs").len(), 4 + said, "what was said to be written is there, and nothing else");
    // A query that finds no room stops too, and goes on when there is some.
    let drained = folder.run(&["run", "--until-drained"]);
    assert!([0, 3].contains(&drained.status), "{drained:?}");
    let dropped = folder.run(&["run", "-e", "DROP STREAM spare DELETE TOPIC;"]);
    assert_eq!(dropped.status, 0, "a full disk has room for what makes room: {dropped:?}");
    folder.ok(&["run", "--until-drained"]);
    let counted: i64 = super::lines(&folder.ok(&["run", "-e", "SELECT n FROM counts;", "--output", "json"]))
        .iter()
        .filter_map(|row| row["N"].as_i64())
        .sum();
    assert_eq!(counted as usize, 3 + said, "every error is counted once");
}

#[test]
fn a_folder_without_rights_is_named() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t"]);
    // A user whom nobody has given any rights; where that cannot be tried, there is nothing to see.
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.args(["topic", "list"]).env("TIDEMILL_DATA_DIR", folder.data()).uid(65_534).gid(65_534);
    let private = Command::new("chmod").args(["-R", "700"]).arg(folder.data()).status().expect("chmod");
    assert!(private.success());
    match command.output() {
        Ok(output) => {
            let ran = Ran::of(output);
            assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{ran:?}");
            assert_has(&ran.err, &["error: no rights to use the data folder", "--data-dir"]);
        }
        Err(error) => crate::skip(format_args!("no process of another user can be started here: {error}")),
    }
    folder.ok(&["topic", "list"]);
}

#[test]
fn commands_that_look_after_topics_keep_the_state_of_queries() {
    let folder = Folder::new();
    let small = ["--set", "tidemill.checkpoint.bytes=20000"];
    folder.ok(&["run", "-e", COUNTS]);
    for round in 1..=3 {
        let ran = folder.run_with(&[&small[..], &["topic", "produce", "logs"]].concat(), &rows(500));
        assert_eq!(ran.status, 0, "{ran:?}");
        folder.ok(&["topic", "create", &format!("t{round}")]);
        let sql = "SELECT SERVICE_NAME, N FROM counts;";
        let shown = folder.ok(&[&small[..], &["run", "--until-drained", "-e", sql, "--output", "json"]].concat());
        let counted: i64 = super::lines(&shown).iter().filter_map(|row| row["N"].as_i64()).sum();
        assert_eq!(counted, 500 * round, "round {round}");
    }
}
