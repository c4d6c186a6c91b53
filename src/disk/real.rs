//! The disk of the machine. Its errors say what could not be done to which file.
//!
//! `sync` is `fdatasync`: the bytes and the length, not the times of the file. `sync_dir` is `fsync` of the directory.
//! Calls that a signal interrupts are repeated by the caller ([`super::again`]) or, for reads and writes, here. Works
//! on Unix systems only.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskFile, Lock, Open, SyncSite};

/// The disk of the machine.
pub struct RealDisk;

/// An error with the operation and the file.
#[derive(Debug)]
struct Named {
    /// What could not be done.
    operation: &'static str,
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.operation, self.path.display(), self.error)
    }
}

impl std::error::Error for Named {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Adds the operation and the file to an error, whose kind stays that of the system.
fn named<T>(operation: &'static str, path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), Named { operation, path: path.to_owned(), error }))
}

fn named_in(error: &io::Error) -> Option<&Named> {
    error.get_ref()?.downcast_ref()
}

/// Whether an error has its operation and its file.
pub(super) fn is_named(error: &io::Error) -> bool {
    named_in(error).is_some()
}

/// The number that the operating system gave an error.
///
/// `None` for errors that do not come from the system.
pub(super) fn code_of(error: &io::Error) -> Option<i32> {
    named_in(error).map_or(error, |named| &named.error).raw_os_error()
}

impl RealDisk {
    /// How many handles the process may have. What the system allows is made use of first.
    ///
    /// The soft limit is raised to the hard one, once and for the whole process.
    pub fn most_handles() -> usize {
        /// Where the system does not say.
        const USUAL: usize = 256;
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the call writes to the struct that it is given.
        if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
            return USUAL;
        }
        if limit.rlim_cur < limit.rlim_max {
            let more = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
            // SAFETY: the call reads the struct that it is given.
            if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const more) } == 0 {
                limit = more;
            }
        }
        usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
    }
}

struct RealFile {
    file: fs::File,
    /// The name by which it was opened.
    path: PathBuf,
}

impl RealFile {
    /// Names the file in an error, by the name that it has now where the system can tell.
    fn named<T>(&self, operation: &'static str, result: io::Result<T>) -> io::Result<T> {
        result.or_else(|error| named(operation, &self.path_now(), Err(error)))
    }

    #[cfg(target_os = "linux")]
    fn path_now(&self) -> PathBuf {
        fs::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd())).unwrap_or_else(|_| self.path.clone())
    }

    #[cfg(not(target_os = "linux"))]
    fn path_now(&self) -> PathBuf {
        self.path.clone()
    }

    /// Writes zeros to a part of the file, and makes them durable.
    ///
    /// In pieces of 1 MiB.
    fn write_zeros(&self, part: Range<u64>) -> io::Result<()> {
        // The first write to a block that is only reserved changes metadata, and the next sync would wait for that.
        let zeros = vec![0; ALLOCATED_AT_ONCE.min(part.end.saturating_sub(part.start) as usize)];
        let mut at = part.start;
        while at < part.end {
            let count = (part.end - at).min(ALLOCATED_AT_ONCE as u64);
            self.file.write_all_at(&zeros[..count as usize], at)?;
            at += count;
        }
        self.file.sync_data()
    }

    /// Reserves room up to a length; on file systems that cannot reserve it writes zeros.
    #[cfg(target_os = "linux")]
    fn fallocate(&self, len: u64) -> io::Result<()> {
        let length = libc::off_t::try_from(len).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open as long as the file is.
        match unsafe { libc::posix_fallocate(self.file.as_raw_fd(), 0, length) } {
            0 => self.file.sync_data(),
            libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL => self.write_zeros(self.file.metadata()?.len()..len),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn fallocate(&self, len: u64) -> io::Result<()> {
        self.write_zeros(self.file.metadata()?.len()..len)
    }

    /// Reads until the memory is full or the file ends.
    ///
    /// Returns the number of bytes read.
    fn read_all(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match self.file.read_at(&mut into[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.named("read", self.read_all(into, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.named("write", self.file.write_all_at(bytes, offset))
    }

    fn len(&self) -> io::Result<u64> {
        self.named("find the length of", self.file.metadata().map(|data| data.len()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.named("cut", self.file.set_len(len))
    }

    fn allocate(&self, part: Range<u64>) -> io::Result<()> {
        self.named("allocate room for", self.write_zeros(part))
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.named("reserve room for", self.fallocate(len))
    }

    fn sync(&self, _: SyncSite) -> io::Result<()> {
        self.named("sync", self.file.sync_data())
    }
}

/// Zeros are written in pieces of this size.
const ALLOCATED_AT_ONCE: usize = 1 << 20;

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(how == Open::New);
        let operation = if how == Open::New { "make" } else { "open" };
        let file = named(operation, path, options.open(path))?;
        Ok(Arc::new(RealFile { file, path: path.to_owned() }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        match fs::create_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
            Err(error) => named("make the folder", path, Err(error)),
        }
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names = || -> io::Result<Vec<String>> {
            fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        let mut names = named("read the folder", dir, names())?;
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        named("rename", from, fs::rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        named("link", from, fs::hard_link(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        named("remove", path, fs::remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        named("remove the folder", path, fs::remove_dir_all(path))
    }

    fn sync_dir(&self, dir: &Path, _: SyncSite) -> io::Result<()> {
        named("sync the folder", dir, fs::File::open(dir).and_then(|dir| dir.sync_all()))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut options = fs::OpenOptions::new();
        let file = named("open", path, options.read(true).write(true).create(true).truncate(false).open(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(FileLock(file)))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => named("lock", path, Err(error)),
        }
    }

    fn most_files(&self) -> usize {
        RealDisk::most_handles()
    }
}

/// A lock that the kernel releases when the process ends, however it ends.
struct FileLock(fs::File);

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file would not release the lock while a forked child, which has not started its program yet, has
        // the file open too. If unlocking fails, the lock is released when that child and this process have ended.
        let _ = self.0.unlock();
    }
}

impl Lock for FileLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_operation_and_the_file_and_stays_what_it_is() {
        let path = Path::new("/proc/nothing/here");
        let error = RealDisk.open(path, Open::Existing).err().expect("there is no such file");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("cannot open /proc/nothing/here: "), "{error}");
        let full = named::<()>("write", path, Err(io::Error::from_raw_os_error(libc::ENOSPC))).expect_err("given");
        assert!(super::super::is_full(&full) && is_named(&full), "{full}");
    }
}
