//! Backups: a data folder of its own that holds what was decided at one moment, made while everything goes on.
//!
//! A backup is a checkpoint and nothing after it: the manifest, the runs that it names, the segments up to the decided
//! ends that it names, and an empty journal. So a start from it needs no more than a start after any checkpoint.
//!
//! What never changes any more is linked where the file system can do that: runs, and segments before the one with the
//! end. The last segment of a partition still grows, so its decided bytes are copied. Nobody writes to a linked file,
//! neither here nor in the backup: a start writes only to segments at or after the ends of its checkpoint.
//!
//! Meanwhile no statement changes what exists, so that no topic goes whose segments are still to be linked. Runs that a
//! merge replaces stay until nobody has them open. Commits go on.
//!
//! The format file comes last: a folder without it is refused, so a backup that broke off is never taken for one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::Checkpoints;
use super::{Engine, Shared, folder};
use crate::disk::{self, Disk, Open, SyncSite};
use crate::error::{Error, Result};
use crate::journal::{self, Manifest, begin, write_manifest};
use crate::locks::lock;
use crate::state::runs::{self, Run};
use crate::topics::log::{self, Log};

/// How many bytes are copied at once.
const PIECE: usize = 1 << 20;

/// What a backup has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    /// Files that share their bytes with the data folder.
    pub linked: u64,
    /// Files that have bytes of their own.
    pub copied: u64,
    /// The bytes that were copied.
    pub copied_bytes: u64,
}

impl Engine {
    /// Makes a backup in a folder that is not there yet, or empty. It has everything that was committed before the
    /// call, and what was committed until its checkpoint.
    ///
    /// # Errors
    /// Kind `Conflict`: there is something in the folder. Kind `Backend`: the checkpoint cannot be made, the folder
    /// cannot be written, or the engine ends; what was made of the folder is removed.
    pub fn backup(&self, target: &Path) -> Result<Backup> {
        let shared = &self.shared;
        let (Some(checkpoints), Some(log), Some(syncs)) = (&shared.checkpoints, &shared.log, &shared.syncs) else {
            return Err(Error::unsupported("a backup of what is in memory"));
        };
        // A sync that fails in the backup says nothing about the data folder.
        let disk = syncs.beneath().clone();
        let is_new = check_target(disk.as_ref(), target)?;
        let _changing = shared.world.change();
        let (manifest, runs) = shared.fresh_checkpoint(checkpoints)?;
        let seed = shared.settings.clock.random();
        let mut writing = Writing { shared, log, disk, target, backup: Backup::default() };
        match writing.write(&manifest, &runs, seed) {
            Ok(()) => Ok(writing.backup),
            Err(error) => {
                if is_new && let Err(left) = writing.disk.remove_dir(target) {
                    let note = format!("what was made of it stays in {}: {left}; ", target.display());
                    return Err(error.context(note));
                }
                Err(error)
            }
        }
    }
}

/// Whether the folder of a backup is still to be made.
///
/// # Errors
/// It has something in it, or cannot be looked at.
fn check_target(disk: &dyn Disk, target: &Path) -> Result<bool> {
    match disk.names(target) {
        Ok(names) if names.is_empty() => Ok(false),
        Ok(_) => Err(Error::conflict(format!("there is something in {}", target.display())).hint("name a new folder")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error.into()),
    }
}

impl Shared {
    /// A checkpoint that has everything that is decided now, and its runs. The caller holds the right to change what
    /// exists.
    fn fresh_checkpoint(self: &Arc<Self>, checkpoints: &Checkpoints) -> Result<(Manifest, Vec<Run>)> {
        let journal = self.commit.journal().ok_or_else(|| Error::bug("a folder without a journal"))?;
        let round = lock(journal).round();
        let mut seen = 0;
        loop {
            // None is made while the journal is read for states.
            self.checkpoint_over(0)?;
            let last = checkpoints.last();
            if last.0.round >= round {
                return Ok(last);
            }
            self.progress.check()?;
            if self.progress.is_closing() {
                return Err(Error::backend("the engine is shutting down"));
            }
            seen = self.progress.wait(seen);
        }
    }
}

/// A backup that is being written.
struct Writing<'a> {
    shared: &'a Shared,
    log: &'a Log,
    disk: Arc<dyn Disk>,
    target: &'a Path,
    backup: Backup,
}

impl Writing<'_> {
    fn write(&mut self, manifest: &Manifest, runs: &[Run], seed: u64) -> Result<()> {
        let target = self.target;
        folder::make(self.disk.as_ref(), target)?;
        for dir in [log::folder(target), runs::folder(target), journal::folder(target)] {
            self.disk.create_dir(&dir)?;
        }
        let (_, data) = self.shared.home()?;
        for run in runs {
            let path = |data: &Path| runs::path(&runs::folder(data), run.number());
            self.take(&path(data), &path(target), None)?;
        }
        self.sync_dir(&runs::folder(target))?;
        self.take_segments(data, manifest)?;
        // Without a checkpoint there was never a round.
        if *manifest != Manifest::default() {
            begin(self.disk.as_ref(), target, manifest, seed)?;
            self.sync_dir(&journal::folder(target))?;
            write_manifest(self.disk.as_ref(), target, manifest)?;
        }
        folder::sync_parents(self.disk.as_ref(), target)?;
        self.sync_dir(target)?;
        folder::write_format(self.disk.as_ref(), target)?;
        self.sync_dir(target)
    }

    /// Takes the segments of all partitions up to the ends of a checkpoint.
    fn take_segments(&mut self, data: &Path, manifest: &Manifest) -> Result<()> {
        let (from, to) = (log::folder(data), log::folder(self.target));
        let mut made: Vec<PathBuf> = Vec::new();
        for (id, end) in &manifest.ends {
            let dirs = [to.join(id.topic.to_string()), to.join(id.topic.to_string()).join(id.partition.to_string())];
            for dir in dirs {
                if self.disk.create_dir(&dir)? {
                    made.push(dir);
                }
            }
            for (path, bytes) in self.log.partition(*id)?.files_before(*end) {
                let below = path.strip_prefix(&from).map_err(|_| Error::bug("a segment outside of the log"))?;
                self.take(&path, &to.join(below), bytes)?;
            }
        }
        made.push(to);
        made.iter().try_for_each(|dir| self.sync_dir(dir))
    }

    /// Takes a file: links it if it never changes, else copies so many bytes of it.
    fn take(&mut self, from: &Path, to: &Path, bytes: Option<u64>) -> Result<()> {
        if self.shared.progress.is_closing() {
            return Err(Error::backend("the engine is shutting down"));
        }
        // Another file system, one without links, too many links: whatever is in the way of a link, a copy will do.
        if bytes.is_none() && self.disk.link(from, to).is_ok() {
            self.backup.linked += 1;
            return Ok(());
        }
        let source = self.disk.open(from, Open::Existing)?;
        let bytes = bytes.map_or_else(|| source.len(), Ok)?;
        let copy = self.disk.open(to, Open::New)?;
        let mut at = 0;
        while at < bytes {
            let piece = disk::read(source.as_ref(), at, PIECE.min((bytes - at) as usize))?;
            if piece.is_empty() {
                return Err(Error::backend(format!("{} is shorter than what was decided", from.display())));
            }
            copy.write_at(&piece, at)?;
            at += piece.len() as u64;
        }
        copy.sync(SyncSite::BackupFile)?;
        self.backup.copied += 1;
        self.backup.copied_bytes += bytes;
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        Ok(self.disk.sync_dir(dir, SyncSite::BackupDirectory)?)
    }
}
