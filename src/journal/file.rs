//! The files of the journal: numbered, each with the frames of successive rounds.
//!
//! ```text
//! bytes 0–7     "TIDEJRNL"
//! bytes 8–11    version of the format
//! bytes 12–19   generation, as in the name
//! bytes 20–27   the round before the first frame
//! bytes 28–35   mark
//! bytes 36–39   CRC32C of the bytes before
//! from 40 on    frames, one after the other
//! ```
//!
//! Numbers are little-endian. A name is the generation with 20 digits and `.journal`. A file has its full size from the
//! start, so a frame never waits for room on the disk, and its sync has no new length to write. What stands after the
//! last frame may be anything.

use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder;
use super::manifest::Manifest;
use super::spare::Spares;
use crate::disk::{self, Disk, DiskFile, Open, SyncSite};
use crate::error::{Error, Result};
use crate::ids::{Generation, RoundNumber};

/// The length of a file's head: magic, version of the format, the three numbers of [`Head`], checksum.
pub(super) const HEAD: usize = 8 + 4 + 3 * 8 + 4;
/// Starts a journal file.
const MAGIC: [u8; 8] = *b"TIDEJRNL";
/// The version of the journal's format that this program writes and reads.
const VERSION: u32 = 5;
/// The most bytes of a file that only commands may use.
///
/// An eighth of the file, if that is less.
const MOST_KEPT: u64 = 64 << 10;
/// A frame is written again in pieces of this size.
const PIECE: usize = 1 << 20;

/// A journal file that frames are appended to.
pub struct JournalFile {
    file: Arc<dyn DiskFile>,
    /// The head of the file.
    ///
    /// Written with the first frame.
    pub head: Head,
    /// Where the next frame goes.
    end: u64,
    /// The length of the file in bytes.
    size: u64,
}

/// What a file says of itself before its frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// The number of the file, as its name says.
    pub generation: Generation,
    /// The round that its first frame follows.
    ///
    /// 0 if the first frame is that of round 1.
    pub after: RoundNumber,
    /// A number that every frame of this file repeats. Bytes that an earlier use of the file left, and records inside
    /// of a frame, do not have it, so they are never taken for frames.
    pub mark: u64,
}

/// The name of a journal file.
fn name(generation: Generation) -> String {
    format!("{generation:020}.journal")
}

/// The path of a journal file.
pub(super) fn path(dir: &Path, generation: Generation) -> PathBuf {
    dir.join(name(generation))
}

/// The generation that a file's name says.
///
/// `None` for spares and for all other files of the folder.
fn generation_of(name: &str) -> Option<Generation> {
    name.strip_suffix(".journal").filter(|digits| digits.len() == 20)?.parse().ok().map(Generation::new)
}

impl Head {
    /// The head of a file of a process with this seed.
    ///
    /// The same seed and generation give the same mark, so the seed must be fresh for each process.
    pub fn new(generation: Generation, after: RoundNumber, seed: u64) -> Self {
        let mark = foldhash::quality::FixedState::with_seed(seed).hash_one(generation.get());
        Head { generation, after, mark }
    }

    /// The bytes of the head.
    fn encode(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEAD);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        for number in [self.generation.get(), self.after.get(), self.mark] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        head.extend_from_slice(&crc32c::crc32c(&head).to_le_bytes());
        head
    }
}

/// Begins the journal of a folder in which there is nothing but a checkpoint: a file with a head and no frame. The
/// folder of the journal is still to be synced.
///
/// # Errors
/// The disk is full, or the file cannot be made.
pub fn begin(disk: &dyn Disk, data: &Path, checkpoint: &Manifest, seed: u64) -> Result<()> {
    let head = Head::new(checkpoint.generation, checkpoint.round, seed);
    let file = disk.open(&path(&folder(data), head.generation), Open::New)?;
    file.write_at(&head.encode(), 0)?;
    Ok(file.sync(SyncSite::BackupFile)?)
}

impl JournalFile {
    /// Starts a file with room for `size` bytes. Its name is durable now, its head with the first frame.
    ///
    /// Up to the rename a failure leaves nothing but a spare. The sync of the folder is not undone: an error there
    /// means that the process must end.
    ///
    /// # Errors
    /// There is no room for the file, or it cannot be made.
    pub fn create(disk: &dyn Disk, dir: &Path, spares: &mut Spares, head: Head, size: u64) -> io::Result<JournalFile> {
        let spare = spares.take(size)?;
        let (file, size) = (spare.file.clone(), spare.size);
        let begun =
            file.write_at(&head.encode(), 0).and_then(|()| disk.rename(&spare.path, &path(dir, head.generation)));
        if let Err(error) = begun {
            spares.give_back(spare);
            return Err(error);
        }
        disk.sync_dir(dir, SyncSite::JournalDirectory)?;
        Ok(JournalFile { file, head, end: HEAD as u64, size })
    }

    /// Continues the newest file of an earlier process after its frames, which end at `end`.
    ///
    /// The last frame, which begins at `last`, may never have been synced, or its sync may have failed. Then it can be
    /// read but is only in the page cache, and no later sync would write it. So it is written over itself and synced.
    /// All earlier frames were durable before it was written. This needs no room on the disk.
    ///
    /// Writes the head too, which may be missing.
    ///
    /// # Errors
    /// The file cannot be read, written or synced.
    pub fn go_on(disk: &dyn Disk, dir: &Path, head: Head, last: Option<u64>, end: u64) -> io::Result<JournalFile> {
        let file = disk.open(&path(dir, head.generation), Open::Existing)?;
        file.write_at(&head.encode(), 0)?;
        let mut at = last.unwrap_or(end);
        while at < end {
            let piece = disk::read(file.as_ref(), at, PIECE.min((end - at) as usize))?;
            file.write_at(&piece, at)?;
            at += piece.len() as u64;
        }
        file.sync(SyncSite::RecoveredFrame)?;
        disk.sync_dir(dir, SyncSite::RecoveredDirectory)?;
        let size = file.len()?;
        Ok(JournalFile { file, head, end, size })
    }

    /// Whether there is no frame in it yet.
    pub fn is_empty(&self) -> bool {
        self.end == HEAD as u64
    }

    /// Whether more than half of it is used.
    pub fn is_half_full(&self) -> bool {
        self.end > self.size / 2
    }

    /// Whether a frame of this length fits. A frame with other entries than commands must leave some room: then a DROP
    /// still fits even if the disk is full.
    ///
    /// `length` is that of the whole frame, in bytes.
    pub fn has_room(&self, length: usize, only_commands: bool) -> bool {
        let kept = if only_commands { 0 } else { MOST_KEPT.min(self.size / 8) };
        self.end + length as u64 + kept <= self.size
    }

    /// Writes a frame after the others; it counts only after [`JournalFile::sync`].
    ///
    /// The first one is written in one piece with the head: no power cut leaves a frame in a file without a head. So a
    /// file with a frame and no head is damaged.
    ///
    /// After an error the place is still the same, and a frame can be written there again.
    ///
    /// # Errors
    /// The disk is full, or the file cannot be written.
    pub fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        if self.is_empty() {
            let mut both = self.head.encode();
            both.extend_from_slice(frame);
            self.file.write_at(&both, 0)?;
        } else {
            self.file.write_at(frame, self.end)?;
        }
        self.end += frame.len() as u64;
        Ok(())
    }

    /// Makes the frames durable.
    ///
    /// # Errors
    /// The frames may or may not be durable: the process must end.
    pub fn sync(&self, site: SyncSite) -> io::Result<()> {
        self.file.sync(site)
    }
}

/// The size of a file for frames of this many bytes, with the room that is kept for commands.
///
/// Head included; the room for commands is a seventh more, at most 64 KiB.
pub(super) fn size_for(bytes: usize) -> u64 {
    let needed = (HEAD + bytes) as u64;
    needed + needed.div_ceil(7).min(MOST_KEPT)
}

/// A journal file as it was found.
#[derive(Clone, Debug)]
pub(super) struct OldFile {
    /// The generation that its name says.
    pub generation: Generation,
    /// Where it is.
    pub path: PathBuf,
}

/// The journal files of a folder, the oldest first.
///
/// Generations may have gaps at the front only: files are dropped from the oldest on.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<OldFile>> {
    let found = disk.names(dir)?.into_iter().filter_map(|name| {
        let generation = generation_of(&name)?;
        Some(OldFile { generation, path: dir.join(name) })
    });
    let mut files: Vec<OldFile> = found.collect();
    files.sort_by_key(|file| file.generation);
    Ok(files)
}

impl OldFile {
    /// Opens the file and reads its head; `None` if it has no whole head of its own.
    ///
    /// # Errors
    /// The file cannot be read, or another version wrote it.
    pub(super) fn open(&self, disk: &dyn Disk) -> Result<(Arc<dyn DiskFile>, Option<Head>)> {
        let opened = disk.open(&self.path, Open::Existing)?;
        let head = self.check_head(&disk::read(opened.as_ref(), 0, HEAD)?)?;
        Ok((opened, head))
    }

    /// Reads the head from the first bytes of the file. An error if another version wrote it; `None` if it is not whole
    /// or names another generation.
    ///
    /// The version is looked at before all else, so that an unknown one is never taken for damage.
    fn check_head(&self, bytes: &[u8]) -> Result<Option<Head>> {
        let Some(found) = bytes.get(..HEAD) else { return Ok(None) };
        let short = |at: usize| u32::from_le_bytes([found[at], found[at + 1], found[at + 2], found[at + 3]]);
        let number = |at: usize| found[at..at + 8].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
        if found[..8] != MAGIC {
            return Ok(None);
        }
        // Checked before the checksum, which another version may have elsewhere.
        if short(8) != VERSION {
            let message =
                format!("{} has the unknown version {} of the journal's format", self.path.display(), short(8));
            return Err(Error::backend(message).hint("it was written by another version of Tidemill; use that one"));
        }
        let body = HEAD - 4;
        if crc32c::crc32c(&found[..body]) != short(body) {
            return Ok(None);
        }
        let (generation, after) = (Generation::new(number(12)), RoundNumber::new(number(20)));
        let head = Head { generation, after, mark: number(28) };
        // A spare still has the head of the file that it was before.
        Ok((head.generation == self.generation).then_some(head))
    }

    /// The error for a file that is damaged at this byte.
    ///
    /// Kind `Backend`.
    pub(super) fn corrupt(&self, at: u64) -> Error {
        let message =
            format!("{} is corrupt at byte {at}: a frame is damaged and later ones are whole", self.path.display());
        Error::backend(message).hint(
            "restore the folder from a backup; nothing after the damage is used, since it may build on what is lost",
        )
    }
}
