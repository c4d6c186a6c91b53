//! The files of the journal: numbered, each with the frames of successive rounds.

use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, Found, Frame};
use super::spare::{Spare, Spares};
use crate::disk::{self, Disk, DiskFile, Open, SyncSite};
use crate::error::{Error, Result};

/// The length of the head: magic, version of the format, the four numbers of [`Head`], checksum.
const HEAD: usize = 8 + 4 + 4 * 8 + 4;
const MAGIC: [u8; 8] = *b"TIDEJRNL";
const VERSION: u32 = 2;
/// The most bytes of a file that only commands may use.
const MOST_KEPT: u64 = 64 << 10;

/// A journal file that frames are appended to.
pub struct JournalFile {
    file: Arc<dyn DiskFile>,
    pub head: Head,
    /// Where the next frame goes.
    end: u64,
    size: u64,
}

/// What a file says of itself before its frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// The number of the file, as its name says.
    pub generation: u64,
    /// The first generation that the file replaces; its own if it replaces none.
    pub replaces: u64,
    /// The round behind which its frames come.
    pub behind: u64,
    /// What its frames begin with, and nothing else that was ever written: whatever an earlier use of the file has left, and
    /// whatever is in the records of a frame, is no frame of this file.
    pub mark: u64,
}

/// The name of a journal file.
fn name(generation: u64) -> String {
    format!("{generation:020}.journal")
}

/// The path of a journal file.
pub fn path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(name(generation))
}

/// The generation that a file's name says.
fn generation_of(name: &str) -> Option<u64> {
    name.strip_suffix(".journal").filter(|digits| digits.len() == 20)?.parse().ok()
}

impl Head {
    /// The head of a file of a process with this seed.
    pub fn new(generation: u64, replaces: u64, behind: u64, seed: u64) -> Self {
        let mark = foldhash::quality::FixedState::with_seed(seed).hash_one(generation);
        Head { generation, replaces, behind, mark }
    }

    fn encode(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEAD);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        for number in [self.generation, self.replaces, self.behind, self.mark] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        head.extend_from_slice(&crc32c::crc32c(&head).to_le_bytes());
        head
    }
}

impl JournalFile {
    /// Starts the file behind this one, with room for `size` bytes; it takes the place of this one if that has no frames.
    /// Its name is durable; its head is with its first frame. `behind` is the last decided round.
    pub fn next(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        spares: &mut Spares,
        size: u64,
        behind: u64,
        seed: u64,
    ) -> io::Result<JournalFile> {
        let generation = self.head.generation + 1;
        let replaces = if self.is_empty() { self.head.replaces } else { generation };
        let head = Head::new(generation, replaces, behind, seed);
        let Spare { path, file, size } = spares.take(size)?;
        file.write_at(&head.encode(), 0)?;
        disk.rename(&path, &dir.join(name(generation)))?;
        disk.sync_dir(dir, SyncSite::JournalDirectory)?;
        Ok(JournalFile { file, head, end: HEAD as u64, size })
    }

    /// Starts a file in the place of those that `head` names, with `frames` that were in them. It gets its name when it is
    /// whole and durable.
    pub fn replace(
        disk: &dyn Disk,
        dir: &Path,
        spares: &mut Spares,
        head: Head,
        frames: &[u8],
    ) -> io::Result<JournalFile> {
        let Spare { path, file, size } = spares.take(size_for(frames.len()))?;
        file.write_at(&[head.encode().as_slice(), frames].concat(), 0)?;
        file.sync(SyncSite::RecoveredTail)?;
        disk.rename(&path, &dir.join(name(head.generation)))?;
        disk.sync_dir(dir, SyncSite::RecoveredDirectory)?;
        Ok(JournalFile { file, head, end: (HEAD + frames.len()) as u64, size })
    }

    /// Whether there is no frame in it yet.
    pub fn is_empty(&self) -> bool {
        self.end == HEAD as u64
    }

    /// Whether more than half of it is used.
    pub fn is_half_full(&self) -> bool {
        self.end > self.size / 2
    }

    /// Whether a frame of this length fits, and leaves what is kept for commands if it has other entries: so that there is
    /// room for a DROP even if the disk has none for another file.
    pub fn has_room(&self, length: usize, only_commands: bool) -> bool {
        let kept = if only_commands { 0 } else { MOST_KEPT.min(self.size / 8) };
        self.end + length as u64 + kept <= self.size
    }

    /// Writes a frame behind the others; it counts only after [`JournalFile::sync`].
    pub fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.write_at(frame, self.end)?;
        self.end += frame.len() as u64;
        Ok(())
    }

    /// Makes the frames durable.
    pub fn sync(&self, site: SyncSite) -> io::Result<()> {
        self.file.sync(site)
    }
}

/// The size that a file needs for frames of this many bytes, and what is kept for commands behind them.
pub fn size_for(bytes: usize) -> u64 {
    let needed = (HEAD + bytes) as u64;
    needed + needed.div_ceil(7).min(MOST_KEPT)
}

/// A journal file as it was found.
#[derive(Clone)]
pub struct OldFile {
    pub generation: u64,
    pub path: PathBuf,
}

/// The journal files of a folder, the oldest first.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<OldFile>> {
    let found = disk.names(dir)?.into_iter().filter_map(|name| {
        let generation = generation_of(&name)?;
        Some(OldFile { generation, path: dir.join(name) })
    });
    let mut files: Vec<OldFile> = found.collect();
    files.sort_by_key(|file| file.generation);
    Ok(files)
}

/// What a file holds.
pub struct Contents {
    /// None if the file was only being started.
    pub head: Option<Head>,
    pub frames: Vec<Frame>,
    /// The length of the frames.
    pub bytes: u64,
}

/// Reads a file. A frame that breaks off is a torn tail if nothing whole follows it and the file is the `newest`; anywhere
/// else it is corruption, which is reported and never skipped.
pub fn read(disk: &dyn Disk, file: &OldFile, newest: bool) -> Result<Contents> {
    let path = &file.path;
    let opened = disk.open(path, Open::Existing)?;
    let length = usize::try_from(opened.len()?).map_err(|_| Error::backend("a journal file is too large"))?;
    let bytes = disk::read(opened.as_ref(), 0, length)?;
    let Some(head) = check_head(&bytes, file)? else {
        // The file was being started when the lights went out: no frame was ever in it.
        let nothing = Contents { head: None, frames: Vec::new(), bytes: 0 };
        return if newest { Ok(nothing) } else { Err(corrupt(path, 0)) };
    };
    let body = &bytes[HEAD..];
    let mut at = 0;
    let mut frames = Vec::new();
    while let Found::Frame(frame, used) = frame::decode(&body[at..], head.mark)? {
        frames.push(frame);
        at += used;
    }
    if frame::any_later(&body[at..], head.mark) {
        return Err(corrupt(path, HEAD + at));
    }
    Ok(Contents { head: Some(head), frames, bytes: at as u64 })
}

/// What a file says of itself; `None` if it has no whole head of its own.
pub fn head(disk: &dyn Disk, file: &OldFile) -> Result<Option<Head>> {
    let opened = disk.open(&file.path, Open::Existing)?;
    check_head(&disk::read(opened.as_ref(), 0, HEAD)?, file)
}

fn check_head(bytes: &[u8], file: &OldFile) -> Result<Option<Head>> {
    let Some(found) = bytes.get(..HEAD) else { return Ok(None) };
    let short = |at: usize| u32::from_le_bytes([found[at], found[at + 1], found[at + 2], found[at + 3]]);
    let number = |at: usize| found[at..at + 8].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    if found[..8] != MAGIC {
        return Ok(None);
    }
    // Before the checksum, which may be elsewhere in another version.
    if short(8) != VERSION {
        let message = format!("{} has the unknown version {} of the journal's format", file.path.display(), short(8));
        return Err(Error::backend(message).hint("it was written by another Tidemill; use that one"));
    }
    let body = HEAD - 4;
    if crc32c::crc32c(&found[..body]) != short(body) {
        return Ok(None);
    }
    let head = Head { generation: number(12), replaces: number(20), behind: number(28), mark: number(36) };
    // A spare keeps the head of the file that it was, until it gets its own.
    Ok((head.generation == file.generation).then_some(head))
}

fn corrupt(path: &Path, at: usize) -> Error {
    Error::backend(format!("{} is corrupt at byte {at}: a frame is damaged and later ones are whole", path.display()))
        .hint("restore the folder from a backup; nothing behind the damage is used, since it may build on what is lost")
}
