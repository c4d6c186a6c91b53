//! Beside many queries: how long a small command takes in a folder in which much is.
//!
//! The processes are real ones, started like those of a user: what is measured is a start, the recovery of a folder and
//! one commit. The folder was left by a process that was killed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::bed::Folder;
use super::pipeline::Options;
use super::{Benchmark, Measured, percentiles};
use crate::error::{Error, Result};

/// One record that is produced.
pub(super) struct Produce;

const QUERIES: usize = 1_000;
const TIMES: usize = 5;

impl Benchmark for Produce {
    fn name(&self) -> &'static str {
        "produce_beside"
    }

    fn summary(&self) -> &'static str {
        "`topic produce` of one record in a folder with 1,000 queries and 10 MB of journal"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        let folder = Folder::new(options.folder, self.name());
        let mut script = String::from(
            "SET 'auto.offset.reset'='earliest'; \
             CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');",
        );
        for i in 0..QUERIES {
            script.push_str(&format!("CREATE TABLE t{i} AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;"));
        }
        run(folder.path(), &["run", "-e", &script], "")?;
        // What the queries have not taken stays in the journal; a process that is killed leaves it there.
        let records: String = (0..400).map(|i| format!("{{\"k\":{i},\"v\":1}}\n")).collect();
        run(folder.path(), &["topic", "produce", "s"], &records)?;
        let mut child = command(folder.path(), &["run", "--follow"]).stdin(Stdio::null()).spawn()?;
        std::thread::sleep(std::time::Duration::from_secs(5));
        child.kill()?;
        child.wait()?;
        let journal = folder.path().join("journal");
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let start = Instant::now();
            run(folder.path(), &["topic", "produce", "s"], "{\"k\":1,\"v\":1}\n")?;
            times.push(start.elapsed().as_nanos() as u64);
        }
        let files = std::fs::read_dir(journal)?.count();
        eprintln!("{}: {files} files of journal", self.name());
        Ok(Measured { latency_ms: Some(percentiles(times, false)), ..Measured::of(self.name(), &[]) })
    }
}

/// A command of this program over a folder, whose output nobody sees.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "tidemill".into());
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs a command to its end, with this as its input.
fn run(folder: &Path, arguments: &[&str], input: &str) -> Result<()> {
    let mut child = command(folder, arguments).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(Error::backend(format!("{} has failed", arguments[0]))) }
}
