//! The tail of the journal: the rounds after a checkpoint, read frame by frame.
//!
//! Where a file's frames end is found by reading: the first place at which no whole frame begins. If no whole frame
//! with the file's mark begins anywhere after it, this is a torn end or the bytes of an older use. If one does, a frame
//! in the middle is damaged, and everything is refused. The search for a later frame reads the rest of the file once.
//!
//! Rounds must follow each other without gaps, over the borders of files too, and must reach up to the round of the
//! checkpoint.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::file::{self, Head, OldFile};
use super::folder;
use super::frame::{self, EntryView, FrameHead};
use super::manifest::Manifest;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::ids::{Generation, RoundNumber};

/// The rounds after a checkpoint; their order and checksums were verified.
#[derive(Debug, Default)]
pub struct Tail {
    files: Vec<TailFile>,
    /// The last whole round, or that of the checkpoint.
    ///
    /// 0 if there is neither.
    pub round: RoundNumber,
    /// The bytes of its frames.
    ///
    /// Heads included; only frames after the checkpoint count.
    pub bytes: u64,
}

/// The frames of a file that belong to a tail.
#[derive(Debug)]
struct TailFile {
    file: OldFile,
    head: Head,
    /// Where the first frame of the tail begins.
    start: u64,
    /// Where the last one ends.
    end: u64,
}

/// The newest file as the last process left it.
pub struct Newest {
    /// The generation that its name says.
    pub generation: Generation,
    /// None if the file was only being started.
    pub head: Option<Head>,
    /// Where its last frame begins, if it has one.
    ///
    /// It may not be durable yet.
    pub last: Option<u64>,
    /// Where its frames end.
    pub end: u64,
}

/// Where bytes of a frame's body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The generation of the journal file.
    pub generation: Generation,
    /// The byte of the file.
    pub at: u64,
}

/// Takes the entries of frames: the round, where the body of its frame is, and the entry.
pub(super) type Visit<'a> = dyn FnMut(RoundNumber, Place, EntryView<'_>) -> Result<()> + 'a;

impl Tail {
    /// Reads the rounds after a checkpoint in the files before the generation `until`, and calls `visit` for their
    /// entries.
    ///
    /// A frame that breaks off is a torn end if nothing whole follows it and its file is the newest; anywhere else it
    /// is corruption, which is reported and never skipped.
    ///
    /// `until` is outside. Returns the newest file too, if there is any.
    ///
    /// # Errors
    /// Kind `Backend`: a file cannot be read, has another version or is corrupt, or a round is missing. What `visit`
    /// returns.
    pub fn read(
        disk: &dyn Disk,
        data: &Path,
        checkpoint: &Manifest,
        until: Generation,
        visit: &mut Visit,
    ) -> Result<(Tail, Option<Newest>)> {
        let range = checkpoint.generation..until;
        let all = file::list(disk, &folder(data))?;
        let files: Vec<OldFile> = all.into_iter().filter(|file| range.contains(&file.generation)).collect();
        if files.is_empty() && checkpoint.generation > Generation::default() && until > checkpoint.generation {
            return Err(missing(checkpoint.round.next(), "no file of the journal"));
        }
        let mut tail = Tail { files: Vec::new(), round: checkpoint.round, bytes: 0 };
        let mut newest = None;
        // The round that the next frame must follow; of the first file that is said by its head.
        let mut last = None;
        let count = files.len();
        for (index, file) in files.into_iter().enumerate() {
            let (opened, head) = file.open(disk)?;
            let Some(head) = head else {
                // The file was being started when the process ended: no frame of it was ever durable.
                if index + 1 < count || Reader::first_without_head(opened)?.is_some_and(|round| round > tail.round) {
                    return Err(file.corrupt(0));
                }
                let end = file::HEAD as u64;
                newest = Some(Newest { generation: file.generation, head: None, last: None, end });
                break;
            };
            if index == 0 && head.after > checkpoint.round {
                return Err(missing(checkpoint.round.next(), file.path.display()));
            }
            if last.is_some_and(|last| head.after != last) {
                return Err(missing(last.unwrap_or_default().next(), file.path.display()));
            }
            let mut last_round = head.after;
            let mut reader = Reader::new(opened, head.mark)?;
            let mut found = TailFile { start: reader.at, end: reader.at, file, head };
            let mut last_at = None;
            while let Some(frame) = reader.next()? {
                if frame.round != last_round.next() {
                    return Err(missing(last_round.next(), format_args!("round {}", frame.round)));
                }
                last_round = frame.round;
                last_at = Some(frame.at);
                if frame.round > checkpoint.round {
                    let place = Place { generation: found.head.generation, at: frame.at + frame::HEAD as u64 };
                    frame::entries(frame.body, &mut |entry| visit(frame.round, place, entry))?;
                    tail.round = frame.round;
                    tail.bytes += (frame::HEAD + frame.body.len()) as u64;
                } else {
                    found.start = frame.end();
                }
                found.end = frame.end();
            }
            if reader.any_later()? {
                return Err(found.file.corrupt(found.end));
            }
            last = Some(last_round);
            newest = Some(Newest { generation: head.generation, head: Some(head), last: last_at, end: found.end });
            tail.files.push(found);
        }
        if last.is_some_and(|last| last < checkpoint.round) {
            return Err(missing(
                last.unwrap_or_default().next(),
                format_args!("round {} of the checkpoint", checkpoint.round),
            ));
        }
        Ok((tail, newest))
    }

    /// Calls `visit` once more for all entries.
    ///
    /// # Errors
    /// A file cannot be read, or has changed since it was read first; or `visit` returned an error.
    pub fn each(&self, disk: &dyn Disk, visit: &mut Visit) -> Result<()> {
        for tail in &self.files {
            let (opened, _) = tail.file.open(disk)?;
            let mut reader = Reader::new(opened, tail.head.mark)?;
            reader.at = tail.start;
            while reader.at < tail.end {
                let frame = reader.next()?.ok_or_else(|| tail.file.corrupt(tail.end))?;
                let place = Place { generation: tail.head.generation, at: frame.at + frame::HEAD as u64 };
                frame::entries(frame.body, &mut |entry| visit(frame.round, place, entry))?;
            }
        }
        Ok(())
    }
}

/// The error for a round that should be there and is not.
pub(super) fn missing(round: RoundNumber, there: impl fmt::Display) -> Error {
    let message = format!("the journal is corrupt: round {round} is missing, {there} is there");
    Error::backend(message).hint("restore the folder from a backup")
}

/// Reads the frames of a file one after the other.
struct Reader {
    file: Arc<dyn DiskFile>,
    mark: u64,
    length: u64,
    /// Where the next frame begins.
    at: u64,
    /// Bytes of the file, from `window_at` on.
    window: Vec<u8>,
    window_at: u64,
}

/// A whole frame in a file.
struct FrameView<'a> {
    round: RoundNumber,
    at: u64,
    body: &'a [u8],
}

impl FrameView<'_> {
    /// Where the frame ends in its file.
    fn end(&self) -> u64 {
        self.at + (frame::HEAD + self.body.len()) as u64
    }
}

/// How many bytes of a file are read at once, if a frame has no more.
const WINDOW: usize = 1 << 20;

impl Reader {
    fn new(file: Arc<dyn DiskFile>, mark: u64) -> Result<Reader> {
        let length = file.len()?;
        Ok(Reader { file, mark, length, at: file::HEAD as u64, window: Vec::new(), window_at: 0 })
    }

    /// The round of the first frame in a file whose head does not count. A file that was a spare may have an old one.
    ///
    /// `None` if no whole frame follows.
    fn first_without_head(file: Arc<dyn DiskFile>) -> Result<Option<RoundNumber>> {
        let bytes = crate::disk::read(file.as_ref(), file::HEAD as u64, frame::HEAD)?;
        let Some(head) = bytes.first_chunk() else { return Ok(None) };
        let mut reader = Reader::new(file, FrameHead::mark_in(head))?;
        Ok(reader.find(file::HEAD as u64)?.map(|frame| frame.round))
    }

    /// `count` bytes from a place of the file; `None` if it has fewer.
    ///
    /// The bytes are valid up to the next call, which may move the window.
    fn bytes(&mut self, at: u64, count: u64) -> Result<Option<&[u8]>> {
        if at.checked_add(count).is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let count = usize::try_from(count).map_err(|_| Error::backend("a frame of the journal is too large"))?;
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if !held.contains(&at) || at + count as u64 > held.end {
            let wanted = count.max(WINDOW).min((self.length - at) as usize);
            crate::disk::read_into(self.file.as_ref(), at, wanted, &mut self.window)?;
            self.window_at = at;
        }
        let from = (at - self.window_at) as usize;
        Ok(self.window.get(from..from + count))
    }

    /// The head of a frame at a place, if there is one.
    fn head(&mut self, at: u64) -> Result<Option<FrameHead>> {
        let mark = self.mark;
        let bytes = self.bytes(at, frame::HEAD as u64)?;
        Ok(bytes.and_then(|bytes| FrameHead::read(bytes.first_chunk()?, mark)))
    }

    /// The head of the frame at a place, if there is a whole one; its body is then in the window.
    fn find(&mut self, at: u64) -> Result<Option<FrameHead>> {
        let Some(head) = self.head(at)? else { return Ok(None) };
        let body = self.bytes(at + frame::HEAD as u64, head.length)?;
        Ok(body.is_some_and(|body| head.fits(body)).then_some(head))
    }

    /// The next frame; `None` where no whole one begins.
    fn next(&mut self) -> Result<Option<FrameView<'_>>> {
        let at = self.at;
        let Some(head) = self.find(at)? else { return Ok(None) };
        self.at = at + frame::HEAD as u64 + head.length;
        let body = self.bytes(at + frame::HEAD as u64, head.length)?.unwrap_or_default();
        Ok(Some(FrameView { round: head.round, at, body }))
    }

    /// Whether a whole frame begins anywhere after the place where none does.
    ///
    /// Costs one pass over the rest of the file, and a checksum for each place that looks like a frame of this file.
    fn any_later(&mut self) -> Result<bool> {
        let mut at = self.at + 1;
        while at + (frame::HEAD as u64) <= self.length {
            let count = (WINDOW as u64).min(self.length - at);
            let Some(bytes) = self.bytes(at, count)? else { return Ok(false) };
            let candidates: Vec<u64> = memchr::memmem::find_iter(bytes, &frame::MAGIC).map(|i| at + i as u64).collect();
            for candidate in candidates {
                if self.find(candidate)?.is_some() {
                    return Ok(true);
                }
            }
            // A magic may cross the end of these bytes.
            at += count - (frame::MAGIC.len() as u64 - 1).min(count - 1);
        }
        Ok(false)
    }
}
