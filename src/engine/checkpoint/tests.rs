//! Checkpoints and merges while rounds go on: what the runs hold afterwards.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::disk::double::ForgetfulDisk;
use crate::ids::EpochNumber;
use crate::journal::{self, Entry as Committed, Epoch, EpochHead, Home, Settings};
use crate::state::delta::SectionWriter;
use crate::state::{OperatorId, OperatorKind};
use crate::topics::log;

const QUERY: QueryNumber = QueryNumber::new(7);
const PLACE: OperatorTask = OperatorTask { operator: OperatorId { kind: OperatorKind::Aggregate, number: 0 }, task: 0 };

/// A journal with one query, and its checkpoints.
struct Process {
    journal: Mutex<Journal>,
    log: Arc<Log>,
    checkpoints: Checkpoints,
    epochs: AtomicU64,
}

/// Keys with their new values; `None` deletes.
type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

impl Process {
    fn start() -> Process {
        let (disk, data): (Arc<dyn Disk>, _) = (ForgetfulDisk::new(0).boot(), Path::new("/"));
        for dir in [journal::folder(data), log::folder(data), runs::folder(data)] {
            disk.create_dir(&dir).expect("a folder");
        }
        let seed = ManualClock::new().random();
        let settings = Settings { file_bytes: 1 << 20, kept_files: 2, inline_bytes: 1000, seed };
        let recovered = journal::recover(&disk, data, settings).expect("nothing to recover");
        let log = Arc::new(Log::new(disk.clone(), log::folder(data), 100_000));
        let home = Home { disk: disk.clone(), data: data.to_owned(), settings };
        let finished = recovered.finish(home, log.clone(), &|_| true).expect("a journal");
        let checkpoints = Checkpoints::open(disk, data.to_owned(), Manifest::default()).expect("no checkpoint");
        Process { journal: Mutex::new(finished.journal), log, checkpoints, epochs: AtomicU64::new(0) }
    }

    /// Commits an epoch.
    fn commit(&self, changes: Changes) {
        let mut delta = Vec::new();
        let mut section = SectionWriter::new(PLACE, &mut delta);
        changes.iter().for_each(|(key, value)| section.push(0, key.as_bytes(), value.map(str::as_bytes)));
        section.finish(0).expect("small");
        let number = EpochNumber::new(self.epochs.fetch_add(1, Ordering::SeqCst) + 1);
        let head = EpochHead { query: QUERY, number, bytes: Vec::new() };
        let epoch = Committed::Epoch(Epoch { head, delta: vec![delta], outputs: Vec::new(), asides: Vec::new() });
        lock(&self.journal).commit(&mut [epoch]).expect("committed");
    }

    fn checkpoint(&self) {
        self.checkpoints.make(&self.journal, &self.log, &Vec::new).expect("a checkpoint");
    }

    /// The state in the runs of the last checkpoint.
    fn state(&self) -> BTreeMap<String, String> {
        let runs = self.checkpoints.runs(QUERY).0;
        state_in(&runs)
    }
}

/// The state in runs, the oldest first.
fn state_in(runs: &[Run]) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut all = BTreeMap::new();
    let merge = Merge::new(runs.iter().map(Run::scan).collect()).drop_tombstones();
    let mut keep = |entry: Entry| {
        all.insert(text(entry.key), text(entry.value.unwrap_or_default()));
        Ok(())
    };
    merge.each(&|_, _| true, &mut keep).expect("readable");
    all
}

/// Many keys, each with this value.
fn filled(process: &Process, keys: usize, value: &str) {
    let keys: Vec<String> = (0..keys).map(|key| format!("many {key}")).collect();
    let changes: Vec<(&str, Option<&str>)> = keys.iter().map(|key| (key.as_str(), Some(value))).collect();
    process.commit(&changes);
}

#[test]
fn what_exists_is_noted_while_nothing_can_be_decided() {
    let process = Process::start();
    process.commit(&[("a", Some("1"))]);
    let image = || {
        assert!(process.journal.try_lock().is_err(), "a round may come between the image and what else is noted");
        b"image".to_vec()
    };
    process.checkpoints.make(&process.journal, &process.log, &image).expect("a checkpoint");
    assert_eq!(lock(&process.checkpoints.saved).manifest.image, b"image");
}

#[test]
fn a_checkpoint_has_nothing_of_rounds_after_it() {
    let process = Process::start();
    process.commit(&[("a", Some("1"))]);
    let snapshot = lock(&process.journal).snapshot().expect("the next file");
    // It may be lost yet, since the frame may not be durable.
    process.commit(&[("a", Some("2")), ("b", Some("2"))]);
    let mut fresh = Fresh(Vec::new());
    process.checkpoints.write_changes(&Manifest::default(), &snapshot, &mut fresh).expect("written");
    assert_eq!(state_in(&fresh.0), [("a".to_owned(), "1".to_owned())].into());
}

#[test]
fn horizons_stay_over_checkpoints_in_which_nothing_of_them_changes() {
    let process = Process::start();
    process.commit(&[("a", Some("1"))]);
    process.checkpoint();
    process.checkpoint();
    assert_eq!(process.checkpoints.runs(QUERY).1, [(PLACE, 0)].into());
}

#[test]
fn a_run_that_was_written_during_a_merge_overrides_the_merged_one() {
    let process = Process::start();
    for value in ["1", "2", "3", "4"] {
        filled(&process, 2 * ENTRIES, value);
        process.commit(&[("a", Some(value))]);
        process.checkpoint();
    }
    let made = std::cell::Cell::new(false);
    let meanwhile = || {
        if !made.replace(true) {
            process.commit(&[("a", Some("5"))]);
            process.checkpoint();
        }
        false
    };
    assert!(process.checkpoints.merge(&meanwhile).expect("merged"), "there was something to merge");
    assert!(made.get(), "a checkpoint was made during the merge");
    assert_eq!(process.checkpoints.runs(QUERY).0.len(), 2, "the merged run and the new one");
    assert_eq!(process.state()["a"], "5");
}

#[test]
fn a_deleted_entry_stays_deleted_where_newer_runs_are_merged_without_the_oldest() {
    let process = Process::start();
    filled(&process, ENTRIES, "1");
    process.commit(&[("a", Some("1")), ("b", Some("1"))]);
    process.checkpoint();
    for value in ["2", "3", "4", "5", "6"] {
        process.commit(&[("a", None), ("b", Some(value))]);
        process.checkpoint();
    }
    assert!(process.checkpoints.merge(&|| false).expect("merged"), "there was something to merge");
    assert_eq!(process.checkpoints.runs(QUERY).0.len(), 2, "the oldest run and the merged one");
    let state = process.state();
    assert_eq!((state.get("a"), state["b"].as_str()), (None, "6"));
}
