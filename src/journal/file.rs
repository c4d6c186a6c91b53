//! The files of the journal: preallocated, numbered, each with the frames of successive rounds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, Found, Frame};
use crate::disk::{self, Disk, DiskFile, Open, SyncSite};
use crate::error::{Error, Result};

/// What stands before the frames: magic, version of the format, generation, whether the file starts with everything since
/// the checkpoint, checksum.
const HEAD: u64 = 8 + 4 + 8 + 1 + 4;
const MAGIC: [u8; 8] = *b"TIDEJRNL";
const VERSION: u32 = 1;

/// The most bytes of a file that only commands may use.
const MOST_KEPT: u64 = 64 << 10;

/// A journal file that frames are appended to.
pub struct JournalFile {
    file: Arc<dyn DiskFile>,
    /// The number of the file; never used again in a folder.
    pub generation: u64,
    /// Where the next frame goes.
    end: u64,
    size: u64,
}

/// The name of a journal file.
pub fn name(generation: u64) -> String {
    format!("{generation:020}.journal")
}

/// The generation that a file's name says.
pub fn generation_of(name: &str) -> Option<u64> {
    name.strip_suffix(".journal").filter(|digits| digits.len() == 20)?.parse().ok()
}

impl JournalFile {
    /// Makes a file with room for `size` bytes. Its name is durable; its head is with its first frame.
    pub fn create(disk: &dyn Disk, dir: &Path, generation: u64, size: u64) -> io::Result<JournalFile> {
        let path = dir.join(name(generation));
        let made = Self::fill(disk, &path, generation, size, None).and_then(|file| {
            disk.sync_dir(dir, SyncSite::JournalDirectory)?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(JournalFile { file, generation, end: HEAD, size }),
            Err(error) => {
                // Half a file would only be in the way; if it cannot be removed either, the next start does it.
                let _ = disk.remove_file(&path);
                Err(error)
            }
        }
    }

    /// Makes a file that starts with `frames`, which are everything since the checkpoint. It gets its name when it is
    /// whole and durable.
    pub fn create_base(
        disk: &dyn Disk,
        dir: &Path,
        generation: u64,
        size: u64,
        frames: &[u8],
    ) -> io::Result<JournalFile> {
        let beside = dir.join("tail.new");
        match disk.remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = Self::fill(disk, &beside, generation, size, Some(frames))?;
        file.sync(SyncSite::RecoveredTail)?;
        disk.rename(&beside, &dir.join(name(generation)))?;
        disk.sync_dir(dir, SyncSite::RecoveredDirectory)?;
        Ok(JournalFile { file, generation, end: HEAD + frames.len() as u64, size })
    }

    fn fill(
        disk: &dyn Disk,
        path: &Path,
        generation: u64,
        size: u64,
        base: Option<&[u8]>,
    ) -> io::Result<Arc<dyn DiskFile>> {
        let file = disk.open(path, Open::New)?;
        let mut head = Vec::with_capacity(HEAD as usize);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&generation.to_le_bytes());
        head.push(u8::from(base.is_some()));
        head.extend_from_slice(&crc32c::crc32c(&head).to_le_bytes());
        file.allocate(size)?;
        file.write_at(&head, 0)?;
        file.write_at(base.unwrap_or_default(), HEAD)?;
        Ok(file)
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

/// The size that a file needs for frames of this many bytes together.
pub fn size_for(bytes: usize) -> u64 {
    HEAD + bytes as u64
}

/// The journal files of a folder, the oldest first.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let names = disk.names(dir)?;
    let mut files: Vec<(u64, PathBuf)> =
        names.iter().filter_map(|n| generation_of(n).map(|g| (g, dir.join(n)))).collect();
    files.sort();
    Ok(files)
}

/// The frames of a file with rounds behind `after`, in their order. A frame that breaks off is a torn tail if nothing whole
/// follows it and the file is the `newest`; anywhere else it is corruption, which is reported and never skipped.
pub fn read(disk: &dyn Disk, path: &Path, newest: bool) -> Result<Vec<Frame>> {
    let file = disk.open(path, Open::Existing)?;
    let length = usize::try_from(file.len()?).map_err(|_| Error::backend("a journal file is too large"))?;
    let bytes = disk::read(file.as_ref(), 0, length)?;
    let Some((generation, _)) = check_head(&bytes, path)? else {
        // The file was being made when the lights went out: no frame was ever in it.
        return if newest { Ok(Vec::new()) } else { Err(corrupt(path, 0)) };
    };
    let mut at = HEAD as usize;
    let mut frames = Vec::new();
    while let Found::Frame(frame, used) = frame::decode(&bytes[at.min(bytes.len())..], generation)? {
        frames.push(frame);
        at += used;
    }
    if frame::any_later(&bytes[at.min(bytes.len())..], generation) {
        return Err(corrupt(path, at));
    }
    Ok(frames)
}

/// Whether a file starts with everything since the checkpoint.
pub fn is_base(disk: &dyn Disk, path: &Path) -> Result<bool> {
    let file = disk.open(path, Open::Existing)?;
    let head = check_head(&disk::read(file.as_ref(), 0, HEAD as usize)?, path)?;
    Ok(head.is_some_and(|(_, base)| base))
}

/// The generation of a file and whether it is a base; `None` if it has no whole head.
fn check_head(bytes: &[u8], path: &Path) -> Result<Option<(u64, bool)>> {
    let Some(head) = bytes.get(..HEAD as usize) else { return Ok(None) };
    let short = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if head[..8] != MAGIC || crc32c::crc32c(&head[..21]) != short(21) {
        return Ok(None);
    }
    if short(8) != VERSION {
        let message = format!("{} has the unknown version {} of the journal's format", path.display(), short(8));
        return Err(Error::backend(message).hint("it was written by a newer Tidemill; use that one"));
    }
    Ok(Some((head[12..20].iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)), head[20] != 0)))
}

fn corrupt(path: &Path, at: usize) -> Error {
    Error::backend(format!("{} is corrupt at byte {at}: a frame is damaged and later ones are whole", path.display()))
        .hint("restore the folder from a backup; nothing behind the damage is used, since it may build on what is lost")
}
