//! A failed sync is never tried again: the door behind which no sync succeeds once one has failed.
//!
//! When a sync fails, the kernel may drop what it could not write and report the next sync as done. So whoever tried again
//! would take for durable what is lost. Behind this door nothing can become durable any more, and nothing is acknowledged:
//! the process ends and recovers.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{Disk, DiskFile, Lock, Open, SyncSite};

/// A disk whose syncs all fail once one has failed.
pub struct SyncOnce {
    disk: Arc<dyn Disk>,
    failure: Failure,
}

/// What the first failed sync said.
type Failure = Arc<OnceLock<String>>;

struct OnceFile {
    file: Arc<dyn DiskFile>,
    failure: Failure,
}

impl SyncOnce {
    /// The same disk, behind this door.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        SyncOnce { disk, failure: Failure::default() }
    }

    /// Whether a sync has failed.
    pub fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }
}

/// Makes a sync unless an earlier one has failed.
fn sync(failure: &Failure, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    if let Some(earlier) = failure.get() {
        return Err(io::Error::other(format!("an earlier sync failed ({earlier}): the process must end and recover")));
    }
    sync().inspect_err(|error| {
        // Of two at once either may be the first.
        let _ = failure.set(error.to_string());
    })
}

impl DiskFile for OnceFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn sync(&self, site: SyncSite) -> io::Result<()> {
        sync(&self.failure, || self.file.sync(site))
    }
}

impl Disk for SyncOnce {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OnceFile { file: self.disk.open(path, how)?, failure: self.failure.clone() }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        self.disk.create_dir(path)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.names(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path, site: SyncSite) -> io::Result<()> {
        sync(&self.failure, || self.disk.sync_dir(dir, site))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.disk.lock(path)
    }
}
