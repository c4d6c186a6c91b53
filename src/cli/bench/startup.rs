//! Start-up: how long a new process takes to its first answer, and how much memory an idle one has in use.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::bed::Folder;
use super::pipeline::Options;
use super::{Benchmark, Measured, percentiles, usage};
use crate::error::{Error, Result};

const NAME: &str = "startup";
/// How many processes are started.
const STARTS: usize = 20;

/// Processes that are started.
pub(super) struct Startup;

impl Benchmark for Startup {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "a new process to its first answer, and an idle one"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        let folder = Folder::new(options.folder, NAME);
        measure(folder.path())
    }
}

fn measure(folder: &Path) -> Result<Measured> {
    let program = std::env::current_exe()?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("--data-dir").arg(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let start = Instant::now();
        if !command(&["run", "-e", "SHOW STREAMS;"]).status()?.success() {
            return Err(Error::backend("a process that shows the streams has failed"));
        }
        times.push(start.elapsed().as_nanos() as u64);
    }
    let mut idle = command(&["run", "--follow"]).spawn()?;
    std::thread::sleep(Duration::from_secs(2));
    let resident = usage::resident_bytes(Some(idle.id()));
    idle.kill()?;
    idle.wait()?;
    eprintln!("{NAME}: an idle process has {:.1} MB in use", resident as f64 / 1e6);
    Ok(Measured {
        name: NAME,
        peak_rss_bytes: Some(resident),
        latency_ms: Some(percentiles(times, false)),
        ..Measured::default()
    })
}
