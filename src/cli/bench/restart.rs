//! Restart: what a process that was killed has left, with a large table and a full journal; how soon the next one answers.
//!
//! The folder is copied while its process still has it, which is what a kill at that moment would leave. The time to
//! the first answer is that of one pull by key, which does not wait for the whole state; caught up means that the query
//! takes rows again.

use std::path::Path;
use std::time::Instant;

use super::bed::{Bed, Folder};
use super::pipeline::Options;
use super::{Benchmark, Measured, state, usage};
use crate::config::{self, Properties};
use crate::error::{Error, Result};
use crate::process;
use crate::statements::{self, Outcome, Session};

/// A table that is read again.
pub(super) struct Restart;

/// How many keys the table has, unless the user says so.
const KEYS: u64 = 10_000_000;

impl Benchmark for Restart {
    fn name(&self) -> &'static str {
        "restart"
    }

    fn summary(&self) -> &'static str {
        "a process after one that was killed with a table of 10,000,000 keys and a full journal"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        let keys = options.rows.unwrap_or(KEYS);
        let copy = Folder::new(options.folder, "restart-copy");
        leave(keys, options, copy.path())?;
        process::give_back();
        let before = usage::resident_bytes(None);
        usage::forget_peak();
        let (start, cpu) = (Instant::now(), usage::cpu_seconds());
        let bed = Bed::open(copy, options.properties)?;
        let opened = start.elapsed().as_secs_f64();
        let found = pull(&bed, "SELECT c FROM t WHERE k = 5;")?;
        let answered = start.elapsed().as_secs_f64();
        if found != 1 {
            return Err(Error::bug(format!("a pull by key shows {found} rows")));
        }
        bed.engine.wait_drained(&|| false)?;
        let caught_up = start.elapsed().as_secs_f64();
        let cpu = usage::cpu_seconds() - cpu;
        let grown = usage::peak_resident_bytes().saturating_sub(before);
        let kept = bed.engine.stats("CTAS_T_0").map_or(0, |stats| stats.memory as u64);
        let beyond = grown.saturating_sub(kept);
        eprintln!(
            "{}: open after {opened:.2} s, first answer after {answered:.2} s, caught up after {caught_up:.2} s ({cpu:.2} s of \
             processor); {:.0} MB of state, {:.0} MB more in use at most",
            self.name(),
            kept as f64 / 1e6,
            beyond as f64 / 1e6
        );
        let figures = [
            ("keys", keys as f64),
            ("first_answer_seconds", answered),
            ("caught_up_seconds", caught_up),
            ("state_bytes", kept as f64),
            ("bytes_beyond_state", beyond as f64),
        ];
        Ok(Measured { peak_rss_bytes: Some(usage::peak_resident_bytes()), ..Measured::of(self.name(), &figures) })
    }
}

/// Leaves in `copy` what a process leaves that is killed: a table in a checkpoint, and a journal that nearly calls for the next.
fn leave(keys: u64, options: &Options, copy: &Path) -> Result<()> {
    let bed = Bed::new(options.folder, "restart", options.properties)?;
    bed.execute(state::TABLE, Properties::default())?;
    state::count(&bed, 0..keys)?;
    bed.engine.checkpoint()?;
    let full = options.properties.size(config::CHECKPOINT_BYTES) as u64 * 9 / 10;
    let mut round = 0;
    while bed.engine.journal_bytes() < full {
        let step = keys / 100;
        state::count(&bed, (0..step).map(|i| state::mix(round * step + i) % keys))?;
        round += 1;
    }
    eprintln!("restart: {:.0} MB of journal after the checkpoint", bed.engine.journal_bytes() as f64 / 1e6);
    copy_folder(bed.folder.path(), copy)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The number of rows that a pull query shows.
fn pull(bed: &Bed, text: &str) -> Result<usize> {
    let parsed = statements::parse(text).map_err(|mut errors| errors.remove(0))?;
    match Session::new(&bed.engine, Properties::default()).run(&parsed[0])? {
        Outcome::Rows(rows) => Ok(rows.rows.len()),
        _ => Err(Error::bug("a pull query shows rows")),
    }
}
