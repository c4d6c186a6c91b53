//! A wrapper around a disk that refuses every change once a sync has failed.
//!
//! When a sync fails, the kernel may drop the data that it could not write and report the next sync as successful. A
//! second try would report lost data as durable, and further writes would leave data that depends on a lost write. So
//! after a failed sync nothing is written or acknowledged any more: the process ends and recovers.
//!
//! Reading stays possible. See "fsyncgate" (PostgreSQL, 2018) for how databases came to this rule.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{Disk, DiskFile, Lock, Open, SyncSite};

/// A disk that refuses writes and syncs once a sync has failed.
///
/// Wrapped around the disk of a data folder, so that all its files share the one mark.
pub struct SyncOnce {
    disk: Arc<dyn Disk>,
    failure: Failure,
}

/// The error of the first sync that failed.
type Failure = Arc<OnceLock<String>>;

/// A file that refuses writes and syncs once a sync has failed.
struct OnceFile {
    file: Arc<dyn DiskFile>,
    failure: Failure,
}

impl SyncOnce {
    /// Wraps a disk.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        SyncOnce { disk, failure: Failure::default() }
    }

    /// The disk without the wrapper, for files that are none of the data folder's.
    pub fn beneath(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Whether a sync has failed.
    pub fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }
}

/// An error if a sync has failed.
///
/// The message names the first failure.
fn check(failure: &Failure) -> io::Result<()> {
    match failure.get() {
        Some(earlier) => {
            Err(io::Error::other(format!("an earlier sync failed ({earlier}): the process must end and recover")))
        }
        None => Ok(()),
    }
}

/// Makes a sync unless an earlier one has failed.
fn sync(failure: &Failure, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    check(failure)?;
    sync().inspect_err(|error| {
        // If two syncs fail at once, either may be noted.
        let _ = failure.set(error.to_string());
    })
}

impl DiskFile for OnceFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        check(&self.failure)?;
        self.file.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        check(&self.failure)?;
        self.file.set_len(len)
    }

    fn allocate(&self, part: Range<u64>) -> io::Result<()> {
        check(&self.failure)?;
        self.file.allocate(part)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        check(&self.failure)?;
        self.file.reserve(len)
    }

    fn sync(&self, site: SyncSite) -> io::Result<()> {
        sync(&self.failure, || self.file.sync(site))
    }
}

impl Disk for SyncOnce {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        if how != Open::Existing {
            check(&self.failure)?;
        }
        Ok(Arc::new(OnceFile { file: self.disk.open(path, how)?, failure: self.failure.clone() }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        check(&self.failure)?;
        self.disk.create_dir(path)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.names(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        check(&self.failure)?;
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        check(&self.failure)?;
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        check(&self.failure)?;
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path, site: SyncSite) -> io::Result<()> {
        check(&self.failure)?;
        match self.disk.sync_dir(dir, site) {
            // A folder that is gone, as its topic is: there is nothing whose loss would have to be feared.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
            other => sync(&self.failure, || other),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.disk.lock(path)
    }

    fn most_files(&self) -> usize {
        self.disk.most_files()
    }
}
