//! The door to the disk: the few calls through which everything durable passes.
//!
//! A write is durable only after a sync of its file, and a name (made, renamed or removed) only after a sync of its
//! directory. Every sync names its [`SyncSite`], so that a test can leave one out and see what breaks.
//!
//! The implementations: [`RealDisk`] is the machine's disk, [`SyncOnce`] refuses everything after a failed sync,
//! [`Handles`] keeps few files open, and [`double`] forgets what was not synced. Code that writes knows none of them.
//!
//! What may be relied on after a power cut:
//!
//! ```text
//! done                                  durable
//! write, no sync                        any sectors of it, or none, in any order
//! write, then sync of the file          all of it
//! file made, synced, folder not synced  the bytes, perhaps without a name
//! rename, folder not synced             the old name or the new one, never none
//! ```

pub mod double;
mod handles;
mod once;
mod real;

pub use handles::Handles;
pub use once::SyncOnce;
pub use real::RealDisk;

use std::io;
use std::ops::Range;
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
    /// A partition's directory at recovery, since the names of its segments may not be durable.
    RecoveredSegmentDirectory,
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
    /// A file that is to take the place of segments.
    CompactedSegment,
    /// A partition's directory, after a compaction made a file in it.
    CompactedDirectory,
    /// A file that is closed to make room for another.
    ClosedFile,
    /// The manifest, before it is renamed into place.
    Manifest,
    /// The directory of the manifest, after the rename.
    ManifestDirectory,
    /// A file that was copied to a backup.
    BackupFile,
    /// A directory of a backup.
    BackupDirectory,
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
        SyncSite::RecoveredSegmentDirectory,
        SyncSite::TopicDirectory,
        SyncSite::RunFile,
        SyncSite::RunDirectory,
        SyncSite::MergedRunFile,
        SyncSite::MergedRunDirectory,
        SyncSite::CheckpointSegment,
        SyncSite::CompactedSegment,
        SyncSite::CompactedDirectory,
        SyncSite::ClosedFile,
        SyncSite::Manifest,
        SyncSite::ManifestDirectory,
        SyncSite::BackupFile,
        SyncSite::BackupDirectory,
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
///
/// Offsets and lengths are in bytes. Writes to different parts of a file do not disturb each other.
pub trait DiskFile: Send + Sync {
    /// Reads up to `into.len()` bytes from `offset`; fewer only at the end of the file.
    ///
    /// 0 at or after the end of the file.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file if need be.
    ///
    /// After an error any part of the bytes may be there. A gap between the old end and `offset` reads as zeros.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or grows it with zeros.
    ///
    /// Cutting gives room back; growing takes none on most file systems.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Allocates the next `part` of a new file by writing it. Later writes into it need no further room, and their
    /// syncs change no metadata. A power cut may leave any part of it until the file is synced.
    ///
    /// # Errors
    /// A full disk; what was written of the part stays.
    fn allocate(&self, part: Range<u64>) -> io::Result<()>;

    /// Reserves room for a file of this length at once, mostly without writing. The sync after the first write to a
    /// place takes longer than in a part that [`DiskFile::allocate`] wrote.
    fn reserve(&self, len: u64) -> io::Result<()>;

    /// Makes everything written so far durable. After an error nobody knows what is durable: the process must end and
    /// recover.
    fn sync(&self, site: SyncSite) -> io::Result<()>;
}

/// A lock that is held; dropping it releases the lock.
///
/// A lock is also released when its process ends, however it ends.
pub trait Lock: Send + Sync {}

/// A file system. Every method returns the error of the operating system.
///
/// Paths are taken as they are; nothing here knows the layout of a data folder.
pub trait Disk: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a directory in one that exists. Returns whether it was made; `false` if it existed.
    ///
    /// # Errors
    /// Kind `NotFound` if the parent does not exist. The name is durable after a sync of the parent.
    fn create_dir(&self, path: &Path) -> io::Result<bool>;

    /// The names in a directory, sorted.
    ///
    /// Files and directories alike; names that are not UTF-8 come with replacement characters.
    ///
    /// # Errors
    /// Kind `NotADirectory` if it is a file.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Renames a file, replacing the target.
    ///
    /// At once for everybody who looks: there is no moment without either file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name. The name is durable after a sync of its directory.
    ///
    /// # Errors
    /// The file system or the disk cannot do that, between these two folders or at all.
    fn link(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes a file.
    ///
    /// A file that is open stays readable until it is closed.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with all that is in it.
    ///
    /// Not at once: a crash may leave a part of it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path, site: SyncSite) -> io::Result<()>;

    /// Locks the file at `path`; `None` if another process holds the lock.
    ///
    /// Never waits. The file is made if it is missing.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;

    /// How many files may be open at once in the process.
    fn most_files(&self) -> usize;
}

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

/// Repeats a call of the operating system that a signal interrupted.
///
/// Such a call has done nothing.
pub fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Whether the error says that the disk has no room. The operation can be tried again when there is room.
///
/// That is no space, a quota that is used up, or a file that is too large.
pub fn is_full(error: &io::Error) -> bool {
    matches!(real::code_of(error), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG))
}

/// Whether the error says that the process, or the machine, has no more handles of files.
pub fn is_out_of_handles(error: &io::Error) -> bool {
    matches!(real::code_of(error), Some(libc::EMFILE | libc::ENFILE))
}

/// Whether the error says itself which file and which operation it is about.
pub fn names_its_file(error: &io::Error) -> bool {
    real::is_named(error)
}
