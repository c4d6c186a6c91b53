//! Checkpoints: the decided state in runs, so that the journal can be dropped up to there.
//!
//! A checkpoint is made of what is decided, and of nothing else: the changes that the epochs of the journal have, sorted and
//! written as runs. So it does not ask queries for anything, and running, paused, failed and not yet started queries
//! are all the same to it. The manifest says which runs there are; when it is durable, the journal before it is not
//! needed any more.
//!
//! The steps of one:
//!
//! * Under the journal's lock: the last decided round, the ends of all partitions, where the queries stand, and what
//!   exists. The next round goes to a new file of the journal.
//! * The journal from the last checkpoint up to that file is read, its deltas are sorted in pieces of 64 MiB, and each
//!   piece is written as a run. No query is held up.
//! * The folder of the runs and the segments of all topics are synced.
//! * The manifest is written beside the old one and renamed.
//! * The files of the journal before the new one are recycled.
//!
//! A crash before the rename leaves the old checkpoint and some runs that nobody names. Costs: the changes are read and
//! written once here, and again by merges (see [`runs::choose`]).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::disk::{Disk, SyncSite};
use crate::error::{Error, Result};
use crate::ids::{Generation, QueryNumber, RunNumber};
use crate::journal::{EntryView, Journal, Manifest, QueryState, Snapshot, Tail, write_manifest};
use crate::locks::lock;
use crate::state::delta::{self, Change};
use crate::state::runs::{self, Entry, Merge, Run, RunWriter, Section, Sorter, Stats};
use crate::state::{BucketId, OperatorTask};
use crate::topics::log::Log;

/// About how many bytes of changes are sorted at once.
const SORT_BYTES: usize = 64 << 20;
/// After so many entries of a merge it is asked whether the engine ends.
const ENTRIES: usize = 4096;

/// The checkpoints of a data folder.
pub(crate) struct Checkpoints {
    disk: Arc<dyn Disk>,
    /// The data folder.
    data: PathBuf,
    saved: Mutex<Saved>,
    /// The number of the next run.
    next_run: AtomicU64,
    /// Held while a checkpoint is made.
    working: Mutex<()>,
    /// Held while runs are merged.
    merging: Mutex<()>,
}

/// The last checkpoint.
struct Saved {
    manifest: Manifest,
    /// The runs that the manifest names, the oldest first.
    runs: Vec<Run>,
}

/// What of the journal a checkpoint covers.
pub(crate) struct Covered {
    /// The first generation that it does not cover.
    pub generation: Generation,
    /// The bytes of the files before.
    pub bytes: u64,
}

/// Horizons of operator tasks, by query.
type Horizons = BTreeMap<QueryNumber, BTreeMap<OperatorTask, BucketId>>;

/// Whether nothing of a section up to a bucket lives any more.
///
/// A query that does not exist any more has no horizons, so all of its entries are dead.
fn is_dead(horizons: &Horizons, section: Section, greatest: BucketId) -> bool {
    let Some(query) = horizons.get(&section.query) else { return true };
    query.get(&section.place).is_some_and(|horizon| greatest < *horizon)
}

fn horizons_of(manifest: &Manifest) -> Horizons {
    manifest.queries.iter().map(|query| (query.head.query, query.horizons.clone())).collect()
}

impl Checkpoints {
    /// The checkpoints of a folder, of which this is the last; runs that it does not name are removed.
    ///
    /// # Errors
    /// A run that the manifest names is missing or damaged, or one that it does not name cannot be removed.
    pub(crate) fn open(disk: Arc<dyn Disk>, data: PathBuf, manifest: Manifest) -> Result<Checkpoints> {
        let folder = runs::folder(&data);
        let mut next_run = RunNumber::new(1);
        for number in runs::list(disk.as_ref(), &folder)? {
            next_run = next_run.max(number.next());
            if !manifest.runs.contains(&number) {
                runs::remove(disk.as_ref(), &folder, number)?;
            }
        }
        let open = |number: &RunNumber| Run::open(&disk, &folder, *number);
        let runs = manifest.runs.iter().map(open).collect::<Result<_>>()?;
        Ok(Checkpoints {
            disk,
            data,
            saved: Mutex::new(Saved { manifest, runs }),
            next_run: AtomicU64::new(next_run.get()),
            working: Mutex::default(),
            merging: Mutex::default(),
        })
    }

    /// The runs of the last checkpoint, the oldest first, and the horizons of a query's state in them.
    ///
    /// Clones of open runs: they stay readable after a later checkpoint has dropped them.
    pub(crate) fn runs(&self, query: QueryNumber) -> (Vec<Run>, BTreeMap<OperatorTask, BucketId>) {
        let saved = lock(&self.saved);
        let found = saved.manifest.queries.iter().find(|state| state.head.query == query);
        (saved.runs.clone(), found.map(|state| state.horizons.clone()).unwrap_or_default())
    }

    /// The last checkpoint and its runs, which stay readable as long as the caller has them.
    pub(crate) fn last(&self) -> (Manifest, Vec<Run>) {
        let saved = lock(&self.saved);
        (saved.manifest.clone(), saved.runs.clone())
    }

    /// Makes a checkpoint of all that is decided. `image` gives what exists, and is called while nothing is decided.
    ///
    /// # Errors
    /// The disk is full or fails. The old checkpoint still counts, and what was written is removed.
    pub(crate) fn make(&self, journal: &Mutex<Journal>, log: &Log, image: &dyn Fn() -> Vec<u8>) -> Result<Covered> {
        let _one = lock(&self.working);
        let (snapshot, image) = {
            // Under the journal's lock nothing is decided, and the effects of all that was decided have been taken.
            let mut journal = lock(journal);
            (journal.snapshot()?, image())
        };
        let before = lock(&self.saved).manifest.clone();
        let mut fresh = Fresh(Vec::new());
        let horizons = self.write_changes(&before, &snapshot, &mut fresh)?;
        if !fresh.0.is_empty() {
            self.disk.sync_dir(&runs::folder(&self.data), SyncSite::RunDirectory)?;
        }
        log.sync(SyncSite::CheckpointSegment)?;
        let Snapshot { round, version, generation, bytes, ends, layouts, heads } = snapshot;
        let state = |(query, head)| {
            let horizons = horizons.get(&query).cloned().unwrap_or_default();
            QueryState { head, horizons }
        };
        let queries = heads.into_iter().map(state).collect();
        let manifest = Manifest { round, version, generation, ends, layouts, image, queries, runs: Vec::new() };
        self.replace(|saved| {
            saved.manifest = manifest;
            saved.runs.extend_from_slice(&fresh.0);
        })?;
        // Only now nothing takes them away again.
        fresh.0.clear();
        Ok(Covered { generation, bytes })
    }

    /// Writes the changes between two checkpoints as runs; the horizons of all state after them.
    ///
    /// The horizons are those after the last delta, so that entries that died in the meantime are not even written.
    fn write_changes(&self, before: &Manifest, snapshot: &Snapshot, fresh: &mut Fresh) -> Result<Horizons> {
        let mut horizons = horizons_of(before);
        for query in snapshot.heads.keys() {
            horizons.entry(*query).or_default();
        }
        horizons.retain(|query, _| snapshot.heads.contains_key(query));
        let mut sorter = Sorter::new();
        Tail::read(self.disk.as_ref(), &self.data, before, snapshot.generation, &mut |_, _, entry| {
            let EntryView::Epoch(epoch) = entry else { return Ok(()) };
            let Some(known) = horizons.get_mut(&epoch.query) else { return Ok(()) };
            delta::read(epoch.delta, &mut |place, change| match change {
                Change::Horizon(horizon) => {
                    known.insert(place, horizon);
                    Ok(())
                }
                Change::Entry { bucket, key, value } => {
                    let section = Section { query: epoch.query, place };
                    sorter.push(Entry { section, bucket, key, value })
                }
            })?;
            if sorter.bytes() >= SORT_BYTES {
                fresh.0.extend(self.write(&mut sorter, &horizons)?);
            }
            Ok(())
        })?;
        fresh.0.extend(self.write(&mut sorter, &horizons)?);
        Ok(horizons)
    }

    /// The number of the next run.
    fn number(&self) -> RunNumber {
        RunNumber::new(self.next_run.fetch_add(1, Ordering::SeqCst))
    }

    /// Writes sorted changes as a run, without those that are dead already. `None` if all are dead.
    fn write(&self, sorter: &mut Sorter, horizons: &Horizons) -> Result<Option<Run>> {
        sorter.retain(&|section, bucket| !is_dead(horizons, section, bucket));
        if sorter.is_empty() {
            return Ok(None);
        }
        sorter.write(RunWriter::new(&self.disk, &runs::folder(&self.data), self.number())?).map(Some)
    }

    /// Changes the last checkpoint and writes its manifest, without runs whose entries are all dead. Their files are
    /// removed when no reader has them open.
    ///
    /// The manifest is durable before the old runs are marked; the other way round a crash could lose them.
    fn replace(&self, change: impl FnOnce(&mut Saved)) -> Result<()> {
        let mut saved = lock(&self.saved);
        let mut next = Saved { manifest: saved.manifest.clone(), runs: saved.runs.clone() };
        change(&mut next);
        let horizons = horizons_of(&next.manifest);
        next.runs.retain(|run| !run.stats(&|section, bucket| is_dead(&horizons, section, bucket)).is_dead());
        next.manifest.runs = next.runs.iter().map(|run| run.number()).collect();
        write_manifest(self.disk.as_ref(), &self.data, &next.manifest)?;
        let kept = |run: &Run| next.manifest.runs.contains(&run.number());
        saved.runs.iter().filter(|run| !kept(run)).for_each(Run::mark_obsolete);
        *saved = next;
        Ok(())
    }

    /// Merges runs where there are too many or too much of them is dead; whether there was anything to merge. Gives up when
    /// the engine ends.
    ///
    /// `false` where the runs are well as they are. Only one merge runs at a time; checkpoints go on beside it.
    ///
    /// # Errors
    /// The disk is full or fails, or the engine ends. The runs stay as they were.
    pub(crate) fn merge(&self, is_closing: &dyn Fn() -> bool) -> Result<bool> {
        let _one = lock(&self.merging);
        let (runs, horizons) = {
            let saved = lock(&self.saved);
            (saved.runs.clone(), horizons_of(&saved.manifest))
        };
        let stats: Vec<Stats> = runs.iter().map(|run| run.stats(&|s, bucket| is_dead(&horizons, s, bucket))).collect();
        let Some(range) = runs::choose(&stats) else { return Ok(false) };
        let merged = &runs[range.clone()];
        let merge = Merge::new(merged.iter().map(Run::scan).collect());
        let merge = if range.start == 0 { merge.drop_tombstones() } else { merge };
        let mut writer = RunWriter::for_merge(&self.disk, &runs::folder(&self.data), self.number())?;
        let mut count = 0;
        merge.each(&|section, bucket| !is_dead(&horizons, section, bucket), &mut |entry| {
            count += 1;
            if count % ENTRIES == 0 && is_closing() {
                return Err(Error::backend("the engine is shutting down"));
            }
            writer.push(entry)
        })?;
        let mut fresh = Fresh(if count > 0 { vec![writer.finish()?] } else { Vec::new() });
        self.disk.sync_dir(&runs::folder(&self.data), SyncSite::MergedRunDirectory)?;
        let gone: Vec<RunNumber> = merged.iter().map(|run| run.number()).collect();
        self.replace(|saved| {
            // Checkpoints that were made meanwhile have only added runs, and removed dead ones.
            let at = saved.runs.iter().position(|run| gone.contains(&run.number())).unwrap_or(saved.runs.len());
            saved.runs.retain(|run| !gone.contains(&run.number()));
            saved.runs.splice(at..at, fresh.0.iter().cloned());
        })?;
        fresh.0.clear();
        Ok(true)
    }
}

#[cfg(test)]
mod tests;

/// Runs that were written and are not in the manifest yet. They are removed unless the manifest is written.
///
/// Emptied when the manifest names them.
struct Fresh(Vec<Run>);

impl Drop for Fresh {
    fn drop(&mut self) {
        self.0.iter().for_each(Run::mark_obsolete);
    }
}
