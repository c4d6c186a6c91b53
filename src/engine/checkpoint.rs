//! Checkpoints: the state in files, so that the journal can be dropped up to there.
//!
//! The state is walked while queries go on: a bucket's file may hold what was done after the round that the checkpoint
//! names, even what is not decided yet. So the checkpoint counts only when all that it caught is decided: then the journal
//! behind the named round has every change that was caught halfway, and since changes are absolute, applying them makes
//! the state whole. If the lights go out before, the checkpoint before it still counts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::running::{Running, Status};
use super::{Engine, Shared, State, Store};
use crate::config;
use crate::disk::{Disk, SyncSite};
use crate::error::{Error, Result};
use crate::journal::{BucketFile, Manifest, OperatorId, QueryState, write_manifest};
use crate::state::{BucketId, buckets};

/// Journals smaller than this are left to be read at the next start.
const SMALL_BYTES: u64 = 1 << 20;

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
        let mut seen = 0;
        while !self.is_closing() {
            if let Err(error) = self.checkpoint_if_due() {
                if self.syncs.as_ref().is_some_and(|syncs| syncs.has_failed()) {
                    return self.fail(error);
                }
                (self.settings.report)(&format!("a checkpoint failed and will be tried again: {error}"));
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
            seen = self.wait_decision(seen);
        }
    }

    /// Makes a checkpoint if the journal is long enough.
    pub fn checkpoint_if_due(self: &Arc<Self>) -> Result<()> {
        let limit = self.settings.properties.size(config::CHECKPOINT_BYTES) as u64;
        self.checkpoint_over(limit)
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
        let mut caught = Vec::new();
        for query in self.running().into_iter().filter(|q| q.persistent && snapshot.heads.contains_key(&q.number)) {
            caught.push(self.catch(disk, path, query, &mut known)?);
        }
        buckets::sync_names(disk, path)?;
        for partition in log.partitions() {
            partition.sync(SyncSite::CheckpointSegment)?;
        }
        self.wait_for(&caught)?;
        let state = |(number, head): (u64, _)| {
            let files = caught.iter().find(|c| c.query.number == number).map(|c| c.files.clone());
            QueryState { head, buckets: files.unwrap_or_default() }
        };
        let queries: Vec<QueryState> = snapshot.heads.into_iter().map(state).collect();
        let (round, version, generation, ends) = (snapshot.round, snapshot.version, snapshot.generation, snapshot.ends);
        write_manifest(disk, path, &Manifest { round, version, generation, ends, image, queries })?;
        journal.lock().unwrap_or_else(PoisonError::into_inner).drop_before(generation)?;
        let used: Vec<u64> = caught.iter().flat_map(|c| c.files.iter().map(|f| f.file)).collect();
        for number in buckets::list(disk, path)?.into_iter().filter(|n| !used.contains(n)) {
            buckets::remove(disk, path, number)?;
        }
        known.retain(|_, (_, file)| used.contains(file));
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Writes the buckets of a query that have changed since the last checkpoint, one at a time.
    fn catch(&self, disk: &dyn Disk, path: &Path, query: Arc<Running>, known: &mut Files) -> Result<Caught> {
        let all: Vec<(OperatorId, BucketId)> = {
            let mut run = query.lock();
            run.states().iter().flat_map(|(id, state)| state.buckets().into_iter().map(|b| (*id, b))).collect()
        };
        let mut files = Vec::new();
        for (operator, bucket) in all {
            let mut writer = buckets::BucketWriter::new();
            let version = {
                let mut run = query.lock();
                let mut states = run.states();
                let Some((_, state)) = states.iter_mut().find(|(id, _)| *id == operator) else { continue };
                let version = state.version(bucket);
                if let Some((_, file)) = known.get(&(query.number, operator, bucket)).filter(|(v, _)| *v == version) {
                    files.push(BucketFile { operator, bucket, file: *file });
                    continue;
                }
                state.dump(bucket, &mut |key, value| writer.push(key, value));
                version
            };
            let file = self.next_file.fetch_add(1, Ordering::SeqCst);
            writer.write(disk, path, file)?;
            known.insert((query.number, operator, bucket), (version, file));
            files.push(BucketFile { operator, bucket, file });
        }
        let run = query.lock();
        let epoch = run.epoch() + u64::from(run.is_dirty());
        drop(run);
        Ok(Caught { query, files, epoch })
    }

    /// Waits until everything that was caught is decided.
    fn wait_for(self: &Arc<Self>, caught: &[Caught]) -> Result<()> {
        let mut seen = 0;
        for Caught { query, epoch, .. } in caught {
            while query.decided_epoch() < *epoch {
                match query.status() {
                    Status::Ended => break,
                    Status::Failed(_) => {
                        let message = format!("query {} has failed with work that is not decided", query.id);
                        return Err(Error::backend(message).hint("start the engine again, or terminate the query"));
                    }
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
        Ok(())
    }
}
