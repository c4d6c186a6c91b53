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
    /// The directory that holds the data folder, behind the folder's own name.
    FolderParent,
    /// The file that names the folder's format version.
    Format,
    /// The data folder, behind the names of the format file and of the directories in it.
    FolderDirectory,
    /// The journal's directory, behind a new journal file.
    JournalDirectory,
    /// The head of a journal file that is left without a frame, before another one follows it.
    EmptyJournalFile,
    /// The frame that commits a round.
    JournalFrame,
    /// The last frame, written once more at recovery before anything of it is shown.
    RecoveredFrame,
    /// The journal's directory, whose newest name may not have been synced before.
    RecoveredDirectory,
    /// A segment that got much in a round, before the frame that refers to it.
    RoundSegment,
    /// A full segment, before its successor is made.
    SealedSegment,
    /// A partition's directory, behind a new segment.
    SegmentDirectory,
    /// The directories of a new topic.
    TopicDirectory,
    /// A run of state.
    RunFile,
    /// The directory of the runs, after a checkpoint made names in it.
    RunDirectory,
    /// A run of state that was made of older runs.
    MergedRunFile,
    /// The directory of the runs, after a merge made a name in it.
    MergedRunDirectory,
    /// A segment that a checkpoint relies on.
    CheckpointSegment,
    /// The manifest, before it is renamed into place.
    Manifest,
    /// The directory of the manifest, behind the rename.
    ManifestDirectory,
}

impl SyncSite {
    /// All places at which the engine syncs, for tests that go through them. It writes no runs of state yet, so their
    /// places are not among these.
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

/// A file; every method may be called from several threads.
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

    /// Gives a new file the next `part` of its final length, so that later writes into it need no room that may be lacking and
    /// their syncs no change of what the file system knows of the file. Nothing is promised of what a power cut leaves of it:
    /// that takes a sync.
    fn allocate(&self, part: Range<u64>) -> io::Result<()>;

    /// Gives a file its final length at once, with the room for it. That takes no writing where the file system can do without,
    /// but the sync behind the first write to a place has more to do than in an allocated one.
    fn reserve(&self, len: u64) -> io::Result<()>;

    /// Makes everything written so far durable. After a failure nothing may be assumed of what was written: the
    /// process must end and recover.
    fn sync(&self, site: SyncSite) -> io::Result<()>;
}

/// Whoever holds this owns what it was taken for; dropping it gives it back.
pub trait Lock: Send + Sync {}

/// A file system.
pub trait Disk: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a directory in one that exists; whether it was not there before.
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

    /// Takes the lock file at `path`; `None` if another process holds it.
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
        // The first write to a block that is only reserved is a change of metadata, which every sync would wait for.
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

/// A lock that the kernel gives back when the process ends, however it ends.
struct FileLock(fs::File);

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file would not do: a child that was forked and has not come to its program yet has it open too. If it
        // fails, the end of that child and of this process still give the lock back.
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

/// The same into memory that is used again: what was in `bytes` is replaced.
pub fn read_into(file: &dyn DiskFile, offset: u64, len: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.resize(len, 0);
    let count = file.read_at(bytes, offset)?;
    bytes.truncate(count);
    Ok(())
}

/// Whether the disk refuses to take more: what was tried can be tried again when there is room.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG))
}
