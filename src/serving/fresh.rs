//! What is read from files, and read anew when they change: certificates and users.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};

use crate::error::Result;
use crate::locks::{lock, read, write};

/// A value and the files that it comes from.
pub(super) struct Fresh<T> {
    files: Vec<PathBuf>,
    make: Box<dyn Fn() -> Result<T> + Send + Sync>,
    now: RwLock<Arc<T>>,
    /// The files as they were when they were last read.
    seen: Mutex<Vec<Option<Stamp>>>,
}

/// By what a change of a file is noticed: when it was changed, its size, and which file it is.
type Stamp = (i64, i64, u64, u64);

impl<T> Fresh<T> {
    /// Reads the value, which `make` makes of the files.
    ///
    /// # Errors
    /// That of `make`.
    pub(super) fn read(files: Vec<PathBuf>, make: impl Fn() -> Result<T> + Send + Sync + 'static) -> Result<Fresh<T>> {
        // Before they are read: what is written meanwhile is seen the next time.
        let seen = Mutex::new(stamps(&files));
        Ok(Fresh { files, now: RwLock::new(Arc::new(make()?)), make: Box::new(make), seen })
    }

    /// The value as it was last read.
    pub(super) fn now(&self) -> Arc<T> {
        read(&self.now).clone()
    }

    /// Reads the files anew if they have changed; whether that was so.
    ///
    /// # Errors
    /// They have changed and cannot be read. The value stays as it was, and the next look tries again.
    pub(super) fn look(&self) -> Result<bool> {
        let stamps = stamps(&self.files);
        if *lock(&self.seen) == stamps {
            return Ok(false);
        }
        let value = Arc::new((self.make)()?);
        *write(&self.now) = value;
        *lock(&self.seen) = stamps;
        Ok(true)
    }
}

/// The files as they are; None for one that is not there.
fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |m: std::fs::Metadata| (m.ctime(), m.ctime_nsec(), m.size(), m.ino());
    files.iter().map(|file| std::fs::metadata(file).ok().map(stamp)).collect()
}
