//! Reads the entries of a run one after the other.
//!
//! Index pages are stepped over. While a scan goes through a whole group, it counts the entries and compares with what
//! the contents say, so that a block that was lost without a trace is noticed.

use std::ops::Range;

use super::block::Cursor;
use super::format::FRAME;
use super::key::{self, PREFIX, Prefix};
use super::{Entry, Run, Section};
use crate::error::{Error, Result};
use crate::ids::QueryNumber;
use crate::state::{BucketId, OperatorId, OperatorKind, OperatorTask};

/// The file is read in pieces of this size, small ones in tests; less where the scan needs less, more where a block is larger.
const PIECE_BYTES: u64 = if cfg!(test) { 1 << 10 } else { 1 << 20 };

/// A scan of a run, or of some sections of it. It stands before the first entry at first.
pub struct Scan {
    run: Run,
    /// Bytes of the file from `piece_at` on.
    piece: Vec<u8>,
    piece_at: u64,
    filled: usize,
    /// Where the content of the block at hand lies in the piece.
    block: Range<usize>,
    cursor: Cursor,
    /// The group that the next block is in.
    group: usize,
    /// Where the next block starts in the file, and where the last block ends.
    next: u64,
    end: u64,
    /// The number of entries of the group that were seen; `None` where some were skipped.
    ///
    /// Compared at the end of the group.
    seen: Option<u64>,
    /// Entries whose full key is less are skipped.
    from: Option<Prefix>,
    /// Entries whose full key is not less are not part of the scan.
    to: Option<Prefix>,
    section: Section,
    bucket: BucketId,
}

impl Scan {
    /// A scan of the blocks in a part of the file; of them only the entries from the first of two sections to the second.
    pub(super) fn new(run: Run, (from, end): (u64, u64), sections: Option<(Section, Section)>) -> Self {
        let operator = OperatorId { kind: OperatorKind::Aggregate, number: 0 };
        let group = run.groups().at(from);
        let starts_group = run.groups().get(group).is_some_and(|group| group.from == from);
        Scan {
            group,
            run,
            piece: Vec::new(),
            piece_at: from,
            filled: 0,
            block: 0..0,
            cursor: Cursor::default(),
            next: from,
            end,
            seen: (starts_group && sections.is_none()).then_some(0),
            from: sections.map(|(first, _)| key::prefix(first, BucketId::MIN)),
            to: sections.and_then(|(_, last)| key::after(key::prefix(last, BucketId::MAX))),
            section: Section { query: QueryNumber::default(), place: OperatorTask { operator, task: 0 } },
            bucket: 0,
        }
    }

    /// Goes to the next entry and returns it; `None` at the end.
    ///
    /// The entry borrows from the scan, so it must be used or copied before the next call.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    #[expect(
        clippy::should_implement_trait,
        reason = "the entry borrows from the scan, which an iterator's item cannot"
    )]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        Ok(if self.advance()? { Some(self.entry()) } else { None })
    }

    /// Goes to the next entry; `false` at the end.
    ///
    /// Most entries share the first 24 bytes with the one before; then section and bucket stay as they are and are not
    /// parsed.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<bool> {
        match self.cursor.advance(&self.piece[self.block.clone()]) {
            Some(true) if self.cursor.shared() >= PREFIX => Ok(true),
            Some(true) => self.arrive(),
            Some(false) => self.go_on(),
            None => Err(self.malformed()),
        }
    }

    /// The entry at which the scan stands.
    #[inline]
    pub(super) fn entry(&self) -> Entry<'_> {
        let block = &self.piece[self.block.clone()];
        let value = self.cursor.value().map(|value| &block[value]);
        Entry { section: self.section, bucket: self.bucket, key: &self.cursor.key()[PREFIX..], value }
    }

    /// The full key of the entry at which the scan stands.
    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        self.cursor.key()
    }

    /// Goes to the first entry whose full key is not less than `prefix`, if it stands before that; `false` at the end. Groups
    /// in between are not read.
    ///
    /// Never goes back.
    pub(super) fn skip_to(&mut self, prefix: &Prefix) -> Result<bool> {
        self.seen = None;
        if self.cursor.seek(&self.piece[self.block.clone()], prefix).ok_or_else(|| self.malformed())? {
            return self.arrive();
        }
        let group = self.run.groups().find(prefix);
        if let Some(found) = self.run.groups().get(group)
            && group > self.group
        {
            (self.group, self.next) = (group, found.from);
        }
        self.from = Some(*prefix);
        self.go_on()
    }

    /// Goes to the first entry of the following blocks.
    #[cold]
    fn go_on(&mut self) -> Result<bool> {
        while self.read_block()? {
            let block = &self.piece[self.block.clone()];
            let found = match &self.from {
                Some(from) => self.cursor.seek(block, from),
                None => self.cursor.advance(block),
            };
            if found.ok_or_else(|| self.malformed())? {
                self.from = None;
                return self.arrive();
            }
        }
        Ok(false)
    }

    /// Notes the section and the bucket of the entry; `false` if it is not part of the scan.
    fn arrive(&mut self) -> Result<bool> {
        let key = self.cursor.key();
        if self.to.as_ref().is_some_and(|to| *key >= to[..]) {
            self.next = self.end;
            self.block = 0..0;
            self.cursor.close();
            return Ok(false);
        }
        (self.section, self.bucket) = key::parse(key).ok_or_else(|| self.malformed())?;
        Ok(true)
    }

    /// Reads the next block; `false` after the last one.
    fn read_block(&mut self) -> Result<bool> {
        self.seen = self.seen.map(|seen| seen + self.cursor.passed());
        self.cursor.close();
        self.block = 0..0;
        while self.next < self.end {
            let group = *self.run.groups().get(self.group).ok_or_else(|| self.malformed())?;
            if self.next == group.page {
                if self.seen.is_some_and(|seen| seen != group.entries) {
                    return Err(self.run.file().damage(group.page, "entries are missing before it"));
                }
                (self.group, self.next, self.seen) = (self.group + 1, group.to, Some(0));
                continue;
            }
            self.read_frame(group.page)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Reads the block at `next`, which ends at `limit` or before.
    fn read_frame(&mut self, limit: u64) -> Result<()> {
        let start = self.fetch(FRAME as u64, limit)?;
        let length = u32::from_le_bytes(*self.piece[start..].first_chunk().expect("a frame's head was fetched"));
        let total = FRAME as u64 + u64::from(length);
        let start = self.fetch(total, limit)?;
        let frame = start..start + total as usize;
        let content = self.run.file().content(&self.piece[frame.clone()], self.next)?;
        self.cursor.open(content).ok_or_else(|| self.malformed())?;
        self.block = frame.start + FRAME..frame.end;
        self.next += total;
        Ok(())
    }

    /// Makes sure that the piece has `count` bytes from `next` on; where they start in it.
    ///
    /// `limit` is the place in the file at which the blocks of the group end. What was read already is moved to the
    /// front and not read again.
    fn fetch(&mut self, count: u64, limit: u64) -> Result<usize> {
        if count > limit.saturating_sub(self.next) {
            return Err(self.run.file().damage(self.next, "a block does not end where it must"));
        }
        let there = (self.piece_at..=self.piece_at + self.filled as u64).contains(&self.next);
        let start = if there { (self.next - self.piece_at) as usize } else { self.filled };
        let kept = self.filled - start;
        if kept as u64 >= count {
            return Ok(start);
        }
        self.piece.copy_within(start..self.filled, 0);
        let wanted = count.max(PIECE_BYTES.min(self.end.saturating_sub(self.next))) as usize;
        if self.piece.len() < wanted || self.piece.len() as u64 > PIECE_BYTES.max(wanted as u64) {
            self.piece.resize(wanted, 0);
            self.piece.shrink_to_fit();
        }
        (self.piece_at, self.filled) = (self.next, 0);
        self.run.file().read(&mut self.piece[kept..wanted], self.next + kept as u64)?;
        self.filled = wanted;
        Ok(0)
    }

    #[cold]
    fn malformed(&self) -> Error {
        self.run.file().damage(self.next, "the entries before it are malformed")
    }
}
