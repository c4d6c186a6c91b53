//! Looks keys up in a run without reading the rest of it.
//!
//! Three levels lead to an entry: the groups in memory, the index page of a group, and the block. The separator of a
//! block says that no earlier key is in it; its filter says for most absent keys that they are not there. Keys are
//! asked in ascending order, so that the cursor only moves forward, and a page or block that is read serves all keys
//! that fall into it.
//!
//! Costs: for `k` whole keys in one bucket about `k` blocks and `k` pages at most; with many buckets that for each
//! bucket with entries. So a look-up over a long range of small buckets is dear, and a scan may be cheaper.

use std::ops::RangeInclusive;

use super::block::Cursor;
use super::contents::Separator;
use super::filter;
use super::format::FRAME;
use super::key::{self, PREFIX, SECTION};
use super::{Entry, Run, Section};
use crate::error::{Error, Result};
use crate::state::BucketId;
use crate::types::row::Input;

/// What is looked up: keys of a section in a range of buckets.
#[derive(Clone, Debug)]
pub struct Wanted<'a, K> {
    /// The only section that is searched.
    pub section: Section,
    /// The first and the last bucket that are searched.
    ///
    /// Both ends are included; an empty range finds nothing.
    pub buckets: RangeInclusive<BucketId>,
    /// In ascending order.
    ///
    /// A key may come twice; its entries come once.
    pub keys: &'a [K],
    /// How a key is compared with those of entries.
    pub by: Keys,
}

/// Which entries a key finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// The entry with exactly this key. Most blocks that lack it are not read.
    Whole,
    /// All entries whose keys start with these bytes.
    ///
    /// Of keys of which one starts with the other, only the shorter one is looked up.
    Starts,
}

impl Run {
    /// Calls `each` for all entries that `wanted` finds, tombstones among them, by bucket and then by key. An entry that
    /// several keys find comes once. Each block of the run is read at most once.
    ///
    /// A run without the section costs a binary search in memory.
    ///
    /// # Errors
    /// The keys are not in ascending order, the file cannot be read or is damaged, or `each` returned an error.
    pub fn look_up<K: AsRef<[u8]>>(
        &self,
        wanted: &Wanted<'_, K>,
        each: &mut dyn FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        if !wanted.keys.is_sorted_by(|a, b| a.as_ref() <= b.as_ref()) {
            return Err(Error::bug("the keys to look up are not in ascending order"));
        }
        let Ok(found) = self.sections().binary_search_by_key(&wanted.section, |stats| stats.section) else {
            return Ok(());
        };
        let (least, greatest) = (*wanted.buckets.start(), *wanted.buckets.end());
        let mut finder = Finder::new(self);
        for span in &self.sections()[found].spans {
            let mut next = Some(span.least.max(least));
            let last = span.greatest.min(greatest);
            while let Some(from) = next.filter(|from| *from <= last) {
                let is_one = span.least == span.greatest;
                let bucket = if is_one { Some(from) } else { finder.bucket_from(wanted.section, from)? };
                let Some(bucket) = bucket.filter(|bucket| *bucket <= last) else { break };
                finder.look_up_in(bucket, wanted, each)?;
                next = bucket.checked_add(1);
            }
        }
        Ok(())
    }
}

/// A place in a run that moves to the keys that are looked up.
struct Finder<'r> {
    run: &'r Run,
    /// The group whose index page is read, with its blocks.
    ///
    /// `None` before the first read and after one that failed.
    group: Option<usize>,
    /// With its head; the places in `blocks` count from there.
    page: Vec<u8>,
    blocks: Vec<Block>,
    /// The block of that group that is read.
    block: Option<usize>,
    frame: Vec<u8>,
    cursor: Cursor,
    /// The full key that is looked up.
    key: Vec<u8>,
}

/// What an index page says of a block.
struct Block {
    /// Where it starts in the file, and its length with the frame's head.
    offset: u64,
    length: usize,
    /// Places in the page.
    separator: (usize, usize),
    is_cut: bool,
    filter: (usize, usize),
}

impl<'r> Finder<'r> {
    fn new(run: &'r Run) -> Self {
        Finder {
            run,
            group: None,
            page: Vec::new(),
            blocks: Vec::new(),
            block: None,
            frame: Vec::new(),
            cursor: Cursor::default(),
            key: Vec::new(),
        }
    }

    /// The first bucket of a section, from `least` on, that has entries.
    fn bucket_from(&mut self, section: Section, least: BucketId) -> Result<Option<BucketId>> {
        self.key.clear();
        self.key.extend_from_slice(&key::prefix(section, least));
        if !self.seek(SECTION, None)? {
            return Ok(None);
        }
        let (_, bucket) = key::parse(self.cursor.key()).ok_or_else(|| self.malformed())?;
        Ok(Some(bucket))
    }

    /// Looks the keys up in one bucket. It continues where the last key was found: the page and the block stay read.
    fn look_up_in<K: AsRef<[u8]>>(
        &mut self,
        bucket: BucketId,
        wanted: &Wanted<'_, K>,
        each: &mut dyn FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        let prefix = key::prefix(wanted.section, bucket);
        let prefix_hash = filter::hash_of_prefix(&prefix);
        let mut before: Option<&[u8]> = None;
        for key in wanted.keys.iter().map(AsRef::as_ref) {
            let is_done = match wanted.by {
                Keys::Whole => before == Some(key),
                Keys::Starts => before.is_some_and(|before| key.starts_with(before)),
            };
            if is_done {
                continue;
            }
            before = Some(key);
            self.key.clear();
            self.key.extend_from_slice(&prefix);
            self.key.extend_from_slice(key);
            let hash = (wanted.by == Keys::Whole).then(|| filter::hash(prefix_hash, key));
            let mut found = self.seek(self.key.len(), hash)?;
            while found && (wanted.by == Keys::Starts || self.cursor.key().len() == self.key.len()) {
                let value = self.cursor.value().map(|value| &self.frame[FRAME..][value]);
                each(Entry { section: wanted.section, bucket, key: &self.cursor.key()[PREFIX..], value })?;
                found = wanted.by == Keys::Starts && self.next()?;
            }
        }
        Ok(())
    }

    /// Goes to the first entry whose full key is not less than `self.key`; whether there is one that has the first `start`
    /// bytes in common with it. Where `hash` is given, only the entry with exactly this key is of interest.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    fn seek(&mut self, start: usize, hash: Option<u32>) -> Result<bool> {
        let key = std::mem::take(&mut self.key);
        let found = self.seek_key(&key, start, hash);
        self.key = key;
        found
    }

    fn seek_key(&mut self, key: &[u8], start: usize, hash: Option<u32>) -> Result<bool> {
        let is_past = |separator: Separator| *separator.bytes > *key && !separator.bytes.starts_with(&key[..start]);
        let groups = self.run.groups();
        let first = groups.find(key);
        for group in first..groups.len() {
            if is_past(groups.separator(group)) {
                return Ok(false);
            }
            self.read_page(group)?;
            let from = if group == first { Separator::find(self.blocks.len(), |n| self.separator(n), key) } else { 0 };
            for block in from..self.blocks.len() {
                if is_past(self.separator(block)) {
                    return Ok(false);
                }
                let (filter_start, filter_end) = self.blocks[block].filter;
                if hash.is_some_and(|hash| !filter::may_contain(&self.page[filter_start..filter_end], hash)) {
                    continue;
                }
                self.read_block(block)?;
                if self.cursor.seek(&self.frame[FRAME..], key).ok_or_else(|| self.malformed())? {
                    return Ok(self.cursor.key().starts_with(&key[..start]));
                }
            }
        }
        Ok(false)
    }

    /// Goes to the next entry; whether there is one that starts with `self.key`.
    fn next(&mut self) -> Result<bool> {
        loop {
            if self.cursor.advance(&self.frame[FRAME..]).ok_or_else(|| self.malformed())? {
                return Ok(self.cursor.key().starts_with(&self.key));
            }
            let is_past =
                |separator: Separator| *separator.bytes > *self.key && !separator.bytes.starts_with(&self.key);
            let (group, block) = (self.group.unwrap_or(0), self.block.map_or(0, |block| block + 1));
            if block < self.blocks.len() {
                if is_past(self.separator(block)) {
                    return Ok(false);
                }
                self.read_block(block)?;
            } else {
                let groups = self.run.groups();
                if group + 1 == groups.len() || is_past(groups.separator(group + 1)) {
                    return Ok(false);
                }
                self.read_page(group + 1)?;
                self.read_block(0)?;
            }
        }
    }

    fn separator(&self, block: usize) -> Separator<'_> {
        let Block { separator: (start, end), is_cut, .. } = self.blocks[block];
        Separator { bytes: &self.page[start..end], is_cut }
    }

    /// Reads the index page of a group, unless it is read already.
    fn read_page(&mut self, number: usize) -> Result<()> {
        if self.group == Some(number) {
            return Ok(());
        }
        (self.group, self.block) = (None, None);
        let group = *self.run.groups().get(number).ok_or_else(|| self.malformed())?;
        self.page.resize((group.to - group.page) as usize, 0);
        self.run.file().read(&mut self.page, group.page)?;
        self.run.file().content(&self.page, group.page)?;
        let end = parse_page(&self.page, group.from, &mut self.blocks)
            .map_err(|_| self.run.file().damage(group.page, "the index page is malformed"))?;
        if end != group.page || self.blocks.is_empty() {
            return Err(self.run.file().damage(group.page, "the index page is that of another group"));
        }
        self.group = Some(number);
        Ok(())
    }

    /// Reads a block of the group, unless it is read already.
    fn read_block(&mut self, number: usize) -> Result<()> {
        if self.block != Some(number) {
            self.block = None;
            let Block { offset, length, .. } = self.blocks[number];
            self.frame.resize(length, 0);
            self.run.file().read(&mut self.frame, offset)?;
            self.run.file().content(&self.frame, offset)?;
            self.block = Some(number);
        }
        self.cursor.open(&self.frame[FRAME..]).ok_or_else(|| self.malformed())
    }

    fn malformed(&self) -> Error {
        let offset = self.block.map_or(0, |block| self.blocks[block].offset);
        self.run.file().damage(offset, "the block is malformed")
    }
}

/// Reads the index page of the group that starts at `from` into `blocks`; where the last block ends.
///
/// ```text
/// number of blocks    varint
///   bytes             varint: the length of the block with the head of its frame
///   entries           varint
///   separator         see `Separator::encode`
///   filter            as many bytes as `filter::bytes` says for that many entries
/// ```
///
/// # Errors
/// The page ends too early or has bytes left.
fn parse_page(page: &[u8], from: u64, blocks: &mut Vec<Block>) -> Result<u64> {
    blocks.clear();
    let mut input = Input(page);
    input.take(FRAME)?;
    let mut offset = from;
    for _ in 0..input.varint()? {
        let length = input.varint()?;
        let entries = input.varint()?;
        let place = |rest: &[u8]| page.len() - rest.len();
        let separator = Separator::decode(&mut input)?;
        let separator_end = place(input.0);
        input.take(filter::bytes(entries))?;
        blocks.push(Block {
            offset,
            length: usize::try_from(length).map_err(|_| Error::bug("a block is too long"))?,
            separator: (separator_end - separator.bytes.len(), separator_end),
            is_cut: separator.is_cut,
            filter: (separator_end, place(input.0)),
        });
        offset = offset.checked_add(length).ok_or_else(|| Error::bug("a block is too long"))?;
    }
    if input.0.is_empty() { Ok(offset) } else { Err(Error::bug("bytes are left")) }
}
