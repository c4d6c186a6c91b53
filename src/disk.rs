//! The door to the disk: the few calls through which everything durable passes.
//!
//! A write is durable only after a sync of its file, and a name (made, renamed or removed) only after a sync of its
//! directory. Every sync names its [`SyncSite`], so that a test can leave one out and see what breaks.

pub mod double;
mod once;

pub use once::SyncOnce;

use std::fs;
use std::io;
use std::ops::Range;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Why a sync is made; one name for each place in the code that needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncSite {
    /// The directory that holds the data folder, after the data folder was made in it.
    FolderParent,
    /// The file that names the folder's format version.
    Format,
    /// The data folder, after the format file and the directories in it were made.
    FolderDirectory,
    /// The journal's directory, after a new journal file was made.
    JournalDirectory,
    /// The head of a journal file without a frame, before a next file is started.
    EmptyJournalFile,
    /// The frame that commits a round.
    JournalFrame,
    /// The last frame, which recovery writes again before anything of it is shown.
    RecoveredFrame,
    /// The journal's directory at recovery, since the newest name may not be durable.
    RecoveredDirectory,
    /// A segment that a round wrote much to, before the frame that refers to it.
    RoundSegment,
    /// A full segment, before its successor is made.
    SealedSegment,
    /// A partition's directory, after a new segment was made.
    SegmentDirectory,
    /// The directories of a new topic.
    TopicDirectory,
    /// A run of state.
    RunFile,
    /// The directory of the runs, after a checkpoint made files in it.
    RunDirectory,
    /// A run of state that was made of older runs.
    MergedRunFile,
    /// The directory of the runs, after a merge made a file in it.
    MergedRunDirectory,
    /// A segment that a checkpoint relies on.
    CheckpointSegment,
    /// The manifest, before it is renamed into place.
    Manifest,
    /// The directory of the manifest, after the rename.
    ManifestDirectory,
}

impl SyncSite {
    /// All places at which the engine syncs, for tests that try each of them.
    pub const ALL: &[SyncSite] = &[
        SyncSite::FolderParent,
        SyncSite::Format,
        SyncSite::FolderDirectory,
        SyncSite::JournalDirectory,
        SyncSite::EmptyJournalFile,
        SyncSite::JournalFrame,
        SyncSite::RecoveredFrame,
        SyncSite::RecoveredDirectory,
        SyncSite::RoundSegment,
        SyncSite::SealedSegment,
        SyncSite::SegmentDirectory,
        SyncSite::TopicDirectory,
        SyncSite::RunFile,
        SyncSite::RunDirectory,
        SyncSite::MergedRunFile,
        SyncSite::MergedRunDirectory,
        SyncSite::CheckpointSegment,
        SyncSite::Manifest,
        SyncSite::ManifestDirectory,
    ];
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It must exist; for reading and writing.
    Existing,
    /// It must not exist and is made.
    New,
}

/// A file. Every method may be called from several threads, and returns the error of the operating system.
pub trait DiskFile: Send + Sync {
    /// Reads up to `into.len()` bytes from `offset`; fewer only at the end of the file.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file if need be.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or grows it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Allocates the next `part` of a new file by writing it. Later writes into it need no further room, and their
    /// syncs change no metadata. A power cut may leave any part of it until the file is synced.
    fn allocate(&self, part: Range<u64>) -> io::Result<()>;

    /// Reserves room for a file of this length at once, mostly without writing. The sync after the first write to a
    /// place takes longer than in a part that [`DiskFile::allocate`] wrote.
    fn reserve(&self, len: u64) -> io::Result<()>;

    /// Makes everything written so far durable. After an error nobody knows what is durable: the process must end and
    /// recover.
    fn sync(&self, site: SyncSite) -> io::Result<()>;
}

/// A lock that is held; dropping it releases the lock.
pub trait Lock: Send + Sync {}

/// A file system. Every method returns the error of the operating system.
pub trait Disk: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a directory in one that exists. Returns whether it was made; `false` if it existed.
    fn create_dir(&self, path: &Path) -> io::Result<bool>;

    /// The names in a directory, sorted.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Renames a file, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with all that is in it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path, site: SyncSite) -> io::Result<()>;

    /// Locks the file at `path`; `None` if another process holds the lock.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
}

/// The disk of the machine.
pub struct RealDisk;

impl DiskFile for fs::File {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match FileExt::read_at(self, &mut into[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        fs::File::set_len(self, len)
    }

    fn allocate(&self, part: Range<u64>) -> io::Result<()> {
        // The first write to a block that is only reserved changes metadata, and the next sync would wait for that.
        let zeros = vec![0; ALLOCATED_AT_ONCE.min((part.end - part.start) as usize)];
        let mut at = part.start;
        while at < part.end {
            let count = (part.end - at).min(ALLOCATED_AT_ONCE as u64);
            self.write_all_at(&zeros[..count as usize], at)?;
            at += count;
        }
        self.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, len: u64) -> io::Result<()> {
        let length = libc::off_t::try_from(len).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open as long as the file is.
        match unsafe { libc::posix_fallocate(self.as_raw_fd(), 0, length) } {
            0 => self.sync_data(),
            libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL => self.allocate(DiskFile::len(self)?..len),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&self, len: u64) -> io::Result<()> {
        self.allocate(DiskFile::len(self)?..len)
    }

    fn sync(&self, _: SyncSite) -> io::Result<()> {
        self.sync_data()
    }
}

/// Zeros are written in pieces of this size.
const ALLOCATED_AT_ONCE: usize = 1 << 20;

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(how == Open::New);
        Ok(Arc::new(options.open(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        match fs::create_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path, _: SyncSite) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(FileLock(file)))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
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

/// The bytes of a file from `offset`, at most `len`, fewer at its end.
pub fn read(file: &dyn DiskFile, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(file, offset, len, &mut bytes)?;
    Ok(bytes)
}

/// Like [`read`], into memory that is used again: the content of `bytes` is replaced.
pub fn read_into(file: &dyn DiskFile, offset: u64, len: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.resize(len, 0);
    let count = file.read_at(bytes, offset)?;
    bytes.truncate(count);
    Ok(())
}

/// Whether the error says that the disk has no room. The operation can be tried again when there is room.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG))
}
