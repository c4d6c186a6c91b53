//! What the parts of a run's file have in common: its name, head and trailer, checksums, and the errors of a bad file.
//!
//! ```text
//! head      bytes 0–7 "TIDESRUN", 8–11 version, 12–19 number of the run, 20–23 CRC32C of the bytes before
//! frame     bytes 0–3 length of the content, 4–7 checksum, then the content; a block or an index page
//! trailer   bytes 0–7 number of the run, 8–15 entries, 16–23 tombstones, 24–31 blocks, 32–39 where the contents start,
//!           40–43 checksum of the contents, 44–47 version, 48–55 "TIDESRUN", 56–59 checksum
//! ```
//!
//! All numbers are little-endian. Every checksum but that of the head covers the number of the run and the place in the
//! file too.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, Open, again, is_full, names_its_file};
use crate::error::{Error, Result};
use crate::ids::RunNumber;

const MAGIC: [u8; 8] = *b"TIDESRUN";
/// The version of the format that this program writes and reads.
pub(super) const VERSION: u32 = 1;
/// Magic, version, number of the run, checksum.
pub(super) const HEAD: usize = 24;
/// The length of a block or page and its checksum.
pub(super) const FRAME: usize = 8;
/// What [`Trailer::encode`] makes.
pub(super) const TRAILER: usize = 60;
/// The most bytes that the key and the value of an entry have together.
///
/// 2³¹ − 1. A section of a delta refuses a larger entry ([`crate::state::delta::SectionWriter::finish`]), so none
/// reaches a run.
pub const MOST_ENTRY_BYTES: usize = i32::MAX as usize;

const SUFFIX: &str = ".run";

/// The path of a run's file.
pub(super) fn path(folder: &Path, number: RunNumber) -> PathBuf {
    folder.join(format!("{number:020}{SUFFIX}"))
}

/// The number of the run whose file has this name.
///
/// `None` for a name that [`path`] does not make, such as one with fewer digits.
pub(super) fn number(name: &str) -> Option<RunNumber> {
    let number = name.strip_suffix(SUFFIX)?.parse().ok().map(RunNumber::new)?;
    (path(Path::new(""), number) == Path::new(name)).then_some(number)
}

/// The checksum of bytes at a place of a run's file. Bytes of another run or place have another checksum, so that a block
/// that the disk wrote to the wrong place, or not at all, is noticed.
pub(super) fn checksum(number: RunNumber, offset: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(seed(number, offset), bytes)
}

/// The checksum of no bytes at a place, to which `crc32c_append` adds bytes.
pub(super) fn seed(number: RunNumber, offset: u64) -> u32 {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&number.get().to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c(&place)
}

/// The first bytes of the file of a run.
pub(super) fn head(number: RunNumber) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&number.get().to_le_bytes());
    let checksum = crc32c::crc32c(&head[..20]);
    head[20..].copy_from_slice(&checksum.to_le_bytes());
    head
}

/// The last bytes of a file: what the file must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) number: RunNumber,
    pub(super) entries: u64,
    pub(super) tombstones: u64,
    pub(super) blocks: u64,
    /// Where the contents start; they end where the trailer starts.
    pub(super) contents: u64,
    pub(super) contents_checksum: u32,
}

impl Trailer {
    /// The bytes of a trailer that stands at `offset`.
    pub(super) fn encode(&self, offset: u64) -> [u8; TRAILER] {
        let mut bytes = Vec::with_capacity(TRAILER);
        for number in [self.number.get(), self.entries, self.tombstones, self.blocks, self.contents] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.contents_checksum.to_le_bytes());
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&MAGIC);
        let checksum = checksum(self.number, offset, &bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.try_into().expect("all parts of the trailer")
    }
    /// The trailer of its bytes, which stand at `offset`; `None` if a byte of them is wrong.
    pub(super) fn decode(bytes: &[u8; TRAILER], offset: u64) -> Option<Trailer> {
        let number = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let trailer = Trailer {
            number: RunNumber::new(number(0)?),
            entries: number(8)?,
            tombstones: number(16)?,
            blocks: number(24)?,
            contents: number(32)?,
            contents_checksum: u32::from_le_bytes(*bytes.get(40..)?.first_chunk()?),
        };
        (trailer.encode(offset) == *bytes).then_some(trailer)
    }
}

/// The file of a run, opened for reading.
pub(super) struct RunFile {
    pub(super) number: RunNumber,
    pub(super) path: PathBuf,
    file: Arc<dyn DiskFile>,
}

impl RunFile {
    /// A file that is open already.
    pub(super) fn new(number: RunNumber, path: PathBuf, file: Arc<dyn DiskFile>) -> Self {
        RunFile { number, path, file }
    }

    /// Opens the file of a run and reads its head.
    ///
    /// # Errors
    /// Kind `Backend`: the file is not there or cannot be read, its head is damaged, or it has another version or
    /// number.
    pub(super) fn open(disk: &dyn Disk, folder: &Path, number: RunNumber) -> Result<Self> {
        let path = path(folder, number);
        let file = again(|| disk.open(&path, Open::Existing)).map_err(|error| io_error("open", &path, &error))?;
        let file = RunFile { number, path, file };
        let mut bytes = [0; HEAD];
        file.read(&mut bytes, 0)?;
        if bytes == head(number) { Ok(file) } else { Err(file.wrong_head(&bytes)) }
    }

    /// Why the head is not the one that was expected.
    fn wrong_head(&self, bytes: &[u8; HEAD]) -> Error {
        let sound = bytes[..8] == MAGIC && bytes[20..] == crc32c::crc32c(&bytes[..20]).to_le_bytes();
        if !sound {
            return self.damage(0, "its head is not that of a run");
        }
        let version = u32::from_le_bytes(*bytes[8..].first_chunk().expect("a head has a version"));
        let number = u64::from_le_bytes(*bytes[12..].first_chunk().expect("a head has a number"));
        if version != VERSION {
            let message = format!("{} has the format version {version}", self.path.display());
            return Error::backend(message)
                .hint(format!("use a program that reads it; this one reads version {VERSION}"));
        }
        self.damage(0, &format!("it is the file of run {number}"))
    }

    /// Fills `into` with the bytes from `offset` on.
    ///
    /// # Errors
    /// Kind `Backend`: the disk says so, or the file ends before `into` is full.
    pub(super) fn read(&self, into: &mut [u8], offset: u64) -> Result<()> {
        let count = again(|| self.file.read_at(into, offset)).map_err(|error| io_error("read", &self.path, &error))?;
        if count == into.len() { Ok(()) } else { Err(self.damage(offset + count as u64, "it ends too early")) }
    }

    /// The length of the file in bytes.
    pub(super) fn len(&self) -> Result<u64> {
        again(|| self.file.len()).map_err(|error| io_error("read the length of", &self.path, &error))
    }

    /// The content of a block or page that starts at `offset`, whose bytes including length and checksum are `frame`.
    ///
    /// # Errors
    /// Kind `Backend`: the length or the checksum is wrong.
    pub(super) fn content<'f>(&self, frame: &'f [u8], offset: u64) -> Result<&'f [u8]> {
        let wrong = || self.damage(offset, "a checksum is wrong");
        let (head, content) = frame.split_first_chunk::<FRAME>().ok_or_else(wrong)?;
        if *head == frame_head(self.number, offset, content) { Ok(content) } else { Err(wrong()) }
    }

    /// The error for a file that does not hold what was written.
    ///
    /// Kind `Backend`. `offset` is where the damaged part begins.
    pub(super) fn damage(&self, offset: u64, what: &str) -> Error {
        let path = self.path.display();
        Error::backend(format!("{path} is damaged at byte {offset}: {what}")).hint("restore the folder from a backup")
    }
}

/// The length and the checksum that stand before the content of a block or page, which starts with them at `offset`.
pub(super) fn frame_head(number: RunNumber, offset: u64, content: &[u8]) -> [u8; FRAME] {
    let length = content.len() as u32;
    let checksum = crc32c::crc32c_append(frame_seed(number, offset, length), content);
    join_frame_head(length, checksum)
}

/// The checksum of a frame's length alone, to which `crc32c_append` adds the content.
pub(super) fn frame_seed(number: RunNumber, offset: u64, length: u32) -> u32 {
    checksum(number, offset, &length.to_le_bytes())
}

/// The bytes before the content of a frame.
pub(super) fn join_frame_head(length: u32, checksum: u32) -> [u8; FRAME] {
    (u64::from(checksum) << 32 | u64::from(length)).to_le_bytes()
}

/// The error of an operation on a file or folder.
///
/// Kind `Backend`; a full disk is marked, so that the caller can wait for room.
pub(super) fn io_error(operation: &str, path: &Path, error: &io::Error) -> Error {
    let message = match names_its_file(error) {
        true => error.to_string(),
        false => format!("cannot {operation} {}: {error}", path.display()),
    };
    let message = Error::backend(message);
    if is_full(error) { message.by_full_disk() } else { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_bit_of_a_trailer_is_noticed() {
        let trailer = Trailer {
            number: RunNumber::new(7),
            entries: 3,
            tombstones: 1,
            blocks: 1,
            contents: 100,
            contents_checksum: 0xABCD,
        };
        let bytes = trailer.encode(130);
        assert_eq!(Trailer::decode(&bytes, 130), Some(trailer));
        assert_eq!(Trailer::decode(&bytes, 131), None);
        for bit in 0..TRAILER * 8 {
            let mut wrong = bytes;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Trailer::decode(&wrong, 130), None);
        }
    }

    #[test]
    fn names_of_other_files_are_no_runs() {
        assert_eq!(path(Path::new("/d"), RunNumber::new(7)), Path::new("/d/00000000000000000007.run"));
        assert_eq!(number("00000000000000000007.run"), Some(RunNumber::new(7)));
        assert_eq!((number("7.runs"), number("x.run"), number("+7.run")), (None, None, None));
    }
}
