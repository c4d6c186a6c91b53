//! The command line as scripts see it: exit status, standard output, standard error, and what is left in the folder.

mod bad_input;
mod collections;
mod config;
mod datagen;
mod environment;
mod folder;
mod import;
mod live;
mod migrations;
mod print;
mod produce;
mod run;
mod semantics;
mod shell;
mod test_cases;
mod topic;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder of one test, gone with it.
pub(crate) struct Folder(PathBuf);

static NEXT: AtomicU64 = AtomicU64::new(0);

/// What a run of the program has come to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("tidemill-it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a file; its path.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        command.args(arguments).env("TIDEMILL_DATA_DIR", self.data()).env("HOME", &self.0).current_dir(&self.0);
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs the program with something on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self.start(arguments);
        let taken = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        // A program that refuses its input may end before it has read all of it.
        let ended_early = |error: std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
        assert!(taken.map_or_else(ended_early, |()| true), "the input cannot be written");
        Ran::of(child.wait_with_output().expect("an end"))
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program")
    }

    /// Runs the program, which must do what it is asked; its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
        ran.out
    }

    /// Runs the program, which must refuse with this status; its standard error.
    pub(crate) fn refused(&self, status: i32, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, status, "{arguments:?}: {ran:?}");
        ran.err
    }

    /// The records of a topic, as they are printed.
    pub(crate) fn records(&self, topic: &str) -> Vec<serde_json::Value> {
        lines(&self.ok(&["topic", "consume", topic]))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ran { status: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The lines of a text as JSON.
pub(crate) fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

/// Asserts that a text contains others.
#[track_caller]
pub(crate) fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing in:\n{text}");
    }
}

/// Sends a signal to a process of this test.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("kill").success());
}

pub(crate) fn exists(path: &Path) -> bool {
    path.try_exists().expect("a look at the disk")
}

/// A stream over four records of logs, and a table that counts the errors in it.
pub(crate) const COUNTS: &str = "
CREATE STREAM logs (service_name STRING, log_level STRING, ts BIGINT)
  WITH (KAFKA_TOPIC='logs', PARTITIONS=2, VALUE_FORMAT='JSON', TIMESTAMP='ts');
CREATE TABLE counts AS
  SELECT service_name, COUNT(*) AS n FROM logs WHERE log_level = 'ERROR' GROUP BY service_name EMIT CHANGES;
";

pub(crate) const LOGS: &str = r#"{"service_name":"a","log_level":"ERROR","ts":1000}
{"service_name":"b","log_level":"INFO","ts":2000}
{"service_name":"a","log_level":"ERROR","ts":3000}
{"service_name":"c","log_level":"ERROR","ts":4000}
"#;
