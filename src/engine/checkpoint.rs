//! Checkpoints: the state in files, so that the journal can be dropped up to there.
//!
//! The state is walked while queries go on: a bucket's file may hold what was done after the round that the checkpoint
//! names, even what is not decided yet. So the checkpoint counts only when all that it caught is decided: then the journal
//! behind the named round has every change that was caught halfway, and since changes are absolute, applying them makes
//! the state whole. If the lights go out before, the checkpoint before it still counts.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::memory::give_back;
use super::running::{Running, Status};
use super::{Engine, Shared, State, Store};
use crate::config;
use crate::disk::{Disk, SyncSite};
use crate::error::{Error, Result};
use crate::journal::{self, BucketFile, EpochHead, Haste, Manifest, OperatorId, QueryState, Snapshot, write_manifest};
use crate::operators;
use crate::state::buckets::{self, BucketWriter};
use crate::state::{BucketId, Place};

/// Journals smaller than this are left to be read at the next start.
const SMALL_BYTES: u64 = 1 << 20;

/// How long to wait before a checkpoint that failed is tried again, the first time and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// While there is time, the making of a spare pauses this many times as long as it uses the disk.
const SPARE_PAUSES: u32 = 8;
/// The longest such pause: the end of the engine waits for it.
const MOST_PAUSE: Duration = Duration::from_millis(50);

/// The files of the last checkpoint, each with the version of the bucket that is in it.
pub type Files = HashMap<(u64, OperatorId, BucketId), (u64, u64)>;

/// What a checkpoint has caught of a query.
struct Caught {
    query: Arc<Running>,
    files: Vec<BucketFile>,
    /// The epoch whose decision makes all of it decided.
    epoch: u64,
}

impl Engine {
    /// Makes a checkpoint now, whatever the length of the journal.
    pub fn checkpoint(&self) -> Result<()> {
        self.shared.checkpoint_over(0)
    }
}

impl Shared {
    /// The work of the checkpoint's thread.
    pub fn checkpoint_loop(self: &Arc<Self>) {
        let (mut seen, mut pause) = (0, PAUSE.0);
        let clock = &self.settings.clock;
        let mut again_ns = 0;
        while !self.is_closing() {
            if clock.monotonic_ns() >= again_ns {
                if self.make_checkpoint_if_due() && self.make_spare_if_wanted() {
                    pause = PAUSE.0;
                } else {
                    again_ns = clock.monotonic_ns() + pause.as_nanos() as u64;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
            seen = self.wait_decision(seen);
        }
    }

    /// Makes a checkpoint if the journal is long enough. `false` if that failed: the one before still counts, and what was
    /// tried can be tried again, unless it was a sync that failed.
    pub fn make_checkpoint_if_due(self: &Arc<Self>) -> bool {
        let limit = self.settings.properties.size(config::CHECKPOINT_BYTES) as u64;
        let Err(error) = self.checkpoint_over(limit) else { return true };
        if self.syncs.as_ref().is_some_and(|syncs| syncs.has_failed()) {
            self.fail(error);
        } else {
            (self.settings.report)(&format!("a checkpoint failed and will be tried again: {error}"));
        }
        false
    }

    /// Makes a spare file for the journal if one is wanted. `false` if there is no room for it: whoever needs one will say so.
    fn make_spare_if_wanted(&self) -> bool {
        let Some(journal) = self.commit.journal() else { return true };
        let lock = || journal.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(order) = lock().spare_order() else { return true };
        let clock = &self.settings.clock;
        let mut last_ns = clock.monotonic_ns();
        // Made without the lock, so that no commit waits for it; and mostly the disk is left to the commits.
        let made = order.make_slowly(|| {
            let took = Duration::from_nanos(clock.monotonic_ns() - last_ns);
            if self.is_closing() {
                return Err(io::Error::other("the engine is shutting down"));
            }
            let haste = lock().needs_spare();
            if haste == Haste::No {
                std::thread::sleep((took * SPARE_PAUSES).min(MOST_PAUSE));
            }
            last_ns = clock.monotonic_ns();
            Ok(haste)
        });
        made.is_ok_and(|spare| lock().add_spare(spare).is_ok())
    }

    /// Makes a checkpoint when the engine ends, unless there is little to read at the next start.
    pub fn checkpoint_at_end(self: &Arc<Self>) {
        let limit = (self.settings.properties.size(config::CHECKPOINT_BYTES) as u64).min(SMALL_BYTES);
        if let Err(error) = self.checkpoint_over(limit) {
            (self.settings.report)(&format!("no checkpoint at the end: {error}"));
        }
    }

    fn checkpoint_over(self: &Arc<Self>, limit: u64) -> Result<()> {
        let Store::Folder { disk, path } = &self.settings.store else { return Ok(()) };
        let Some(journal) = self.commit.journal() else { return Ok(()) };
        let bytes = journal.lock().unwrap_or_else(PoisonError::into_inner).bytes();
        if bytes <= limit || self.checkpointing.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let result = self.checkpoint(disk.as_ref(), path);
        self.checkpointing.store(false, Ordering::SeqCst);
        give_back();
        result
    }

    fn checkpoint(self: &Arc<Self>, disk: &dyn Disk, path: &Path) -> Result<()> {
        let (Some(journal), Some(log)) = (self.commit.journal(), &self.log) else { return Ok(()) };
        let (snapshot, image) = {
            // Under the journal's lock nothing is decided, and the effects of all that was decided have been taken.
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            let snapshot = journal.snapshot()?;
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let State { catalog, history } = &mut *state;
            history.forget(catalog);
            (snapshot, history.image(catalog))
        };
        let mut known = std::mem::take(&mut *self.files.lock().unwrap_or_else(PoisonError::into_inner));
        let Snapshot { round, version, generation, bytes, ends, heads } = snapshot;
        let running = self.running();
        let mut caught = Vec::new();
        for head in heads.into_values() {
            let query = running.iter().find(|q| q.persistent && q.number == head.query);
            let caught_of = query.map(|query| self.catch(disk, path, query.clone(), &mut known)).transpose()?;
            caught.push((head, caught_of));
        }
        let mut states = Vec::new();
        for (head, caught) in caught {
            states.push(match caught {
                Some(caught) if self.wait_for(&caught)? => {
                    QueryState { head, buckets: caught.files, changes: Vec::new() }
                }
                _ => self.carry_on(disk, path, head, generation)?,
            });
        }
        buckets::sync_names(disk, path)?;
        for partition in log.partitions() {
            partition.sync(SyncSite::CheckpointSegment)?;
        }
        let used: HashSet<u64> = states.iter().flat_map(QueryState::files).collect();
        let manifest = Manifest { round, version, generation, ends, image, queries: states };
        write_manifest(disk, path, &manifest)?;
        *self.checkpointed.lock().unwrap_or_else(PoisonError::into_inner) = manifest;
        journal.lock().unwrap_or_else(PoisonError::into_inner).drop_before(generation, bytes)?;
        for number in buckets::list(disk, path)?.into_iter().filter(|n| !used.contains(n)) {
            buckets::remove(disk, path, number)?;
        }
        known.retain(|_, (_, file)| used.contains(file));
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// The state of a query that does not run, or has failed: what the checkpoint before had, and the changes since from the
    /// journal. In memory there is nothing of use: it may be of an epoch that was never decided.
    fn carry_on(&self, disk: &dyn Disk, path: &Path, head: EpochHead, end: u64) -> Result<QueryState> {
        let before = self.checkpointed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let earlier = before.queries.iter().find(|q| q.head.query == head.query);
        let (buckets, mut files) = earlier.map_or_else(Default::default, |q| (q.buckets.clone(), q.changes.clone()));
        let changes = journal::changes(disk, path, &before, end, head.query)?;
        if !changes.is_empty() {
            let file = self.next_file.fetch_add(1, Ordering::SeqCst);
            let mut writer = self.bucket_writer(disk, path, file)?;
            for delta in &changes {
                if !writer.push(&[], delta) {
                    writer.end_block()?;
                }
            }
            writer.finish()?;
            files.push(file);
        }
        Ok(QueryState { head, buckets, changes: files })
    }

    /// Writes the buckets of a query that have changed since the last checkpoint, one at a time.
    fn catch(&self, disk: &dyn Disk, path: &Path, query: Arc<Running>, known: &mut Files) -> Result<Caught> {
        let all: Vec<(OperatorId, BucketId)> = {
            let mut run = query.lock();
            run.states().iter().flat_map(|(id, state)| state.buckets().into_iter().map(|b| (*id, b))).collect()
        };
        let mut files = Vec::new();
        for (operator, bucket) in all {
            let Some(version) = with_state(&query, operator, |state| state.version(bucket)) else { continue };
            let place = (query.number, operator, bucket);
            if let Some((_, file)) = known.get(&place).filter(|(v, _)| *v == version) {
                files.push(BucketFile { operator, bucket, file: *file });
                continue;
            }
            let file = self.next_file.fetch_add(1, Ordering::SeqCst);
            let mut writer = self.bucket_writer(disk, path, file)?;
            let mut next = Some(Place::START);
            while let Some(from) = next {
                // A block at a time, so that the query never waits long.
                let dumped = with_state(&query, operator, |state| {
                    state.dump(bucket, from, &mut |key, value| writer.push(key, value))
                });
                next = dumped.flatten();
                writer.end_block()?;
            }
            writer.finish()?;
            known.insert(place, (version, file));
            files.push(BucketFile { operator, bucket, file });
        }
        let run = query.lock();
        let epoch = run.epoch() + u64::from(run.is_dirty());
        drop(run);
        Ok(Caught { query, files, epoch })
    }

    fn bucket_writer(&self, disk: &dyn Disk, path: &Path, file: u64) -> Result<BucketWriter> {
        BucketWriter::new(disk, path, file, self.settings.properties.size(config::CHECKPOINT_BYTES) as u64)
    }

    /// Waits until everything that was caught of a query is decided; `false` if it has failed and that will never be.
    fn wait_for(self: &Arc<Self>, caught: &Caught) -> Result<bool> {
        let Caught { query, epoch, .. } = caught;
        let mut seen = 0;
        loop {
            match query.status() {
                Status::Failed(_) => return Ok(false),
                Status::Ended => return Ok(true),
                Status::Running if query.decided_epoch() >= *epoch => return Ok(true),
                Status::Running => {}
            }
            if let Some(error) = self.fatal.get() {
                return Err(error.clone());
            }
            if self.is_manual() {
                self.finish_epoch(query)?;
            } else {
                if self.is_closing() {
                    return Err(Error::backend("the engine is shutting down"));
                }
                seen = self.wait_decision(seen);
            }
        }
    }
}

/// What `look` sees of an operator's state, while the query waits; `None` if the query has forgotten it, since it failed.
fn with_state<T>(
    query: &Running,
    operator: OperatorId,
    look: impl FnOnce(&mut dyn operators::State) -> T,
) -> Option<T> {
    let mut run = query.lock();
    let mut states = run.states();
    let (_, state) = states.iter_mut().find(|(id, _)| *id == operator)?;
    Some(look(*state))
}
