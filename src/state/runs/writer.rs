//! Writes a run: blocks of entries, after each group of blocks an index page, and at the end the contents and the trailer.
//!
//! The file is written once, from the front to the end, and synced once. Blocks end at about 16 KiB and groups at 512
//! KiB (up to 8 MiB in large runs), so that the index in memory stays small. A value larger than a block has a block of
//! its own and is never copied.
//!
//! Memory: one piece of 512 KiB, the hashes of one block and the index page of one group.
//!
//! Nothing refers to the file before the manifest names it. A crash leaves a file without a trailer or one that nobody
//! names; both are removed at the next start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::Builder;
use super::contents::{Contents, SectionCounter, Separator, Span};
use super::filter;
use super::format::{self, FRAME, RunFile, Trailer, io_error};
use super::key::{self, PREFIX, Prefix, common};
use super::{Entry, Run, Section};
use crate::disk::again;
use crate::disk::{Disk, DiskFile, Open, SyncSite};
use crate::error::{Error, Result};
use crate::ids::RunNumber;
use crate::state::BucketId;
use crate::types::row::put_varint;

/// The sizes of the parts of a run in bytes. They may differ from run to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// A block ends when it is so large. A larger entry has a block of its own.
    pub(super) block: usize,
    /// A group ends when its blocks are so large: the least and the most. In between, a run has about [`GROUPS`] groups, so
    /// that the upper level of the index stays small in memory.
    pub(super) group: (u64, u64),
    /// The file is written in pieces of about this size.
    pub(super) piece: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes { block: 16 << 10, group: (512 << 10, 8 << 20), piece: 512 << 10 }
    }
}

const GROUPS: u64 = 4096;

/// A run that is being written. Until it is finished, dropping it removes the file.
pub struct RunWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    number: RunNumber,
    /// Which of the named syncs the one at the end is.
    site: SyncSite,
    sizes: Sizes,
    /// `None` after a failure, and at the end.
    file: Option<Arc<dyn DiskFile>>,
    /// Bytes for the file from `written` on.
    out: Vec<u8>,
    /// Also the place in the file at which `out` begins.
    written: u64,
    /// `None` before the first entry.
    place: Option<Place>,
    block: Block,
    group: Group,
    /// The counters of the sections with entries in the block; the last one goes on in the next block.
    counters: Vec<SectionCounter>,
    contents: Contents,
    blocks: u64,
    /// A full key.
    key: Vec<u8>,
}

/// The section and the bucket of the last entry.
struct Place {
    section: Section,
    bucket: BucketId,
    prefix_hash: u32,
    /// The entries of the bucket that are not counted in a section yet.
    count: Span,
}

/// The block at hand.
#[derive(Default)]
struct Block {
    builder: Builder,
    /// Where it starts in the bytes that are not written yet, with its length and checksum.
    start: usize,
    separator: Vec<u8>,
    separator_is_cut: bool,
    hashes: Vec<u32>,
    /// Where the block before ended in the file.
    last_end: u64,
}

/// The group at hand.
#[derive(Default)]
struct Group {
    /// What the index page says of the blocks.
    page: Vec<u8>,
    blocks: u64,
    bytes: u64,
    entries: u64,
    separator: Vec<u8>,
    separator_is_cut: bool,
}

impl RunWriter {
    /// Makes the file of a new run of a checkpoint.
    ///
    /// The file has no name on disk before the folder is synced, which is the caller's part.
    ///
    /// # Errors
    /// The file exists or cannot be made.
    pub fn new(disk: &Arc<dyn Disk>, folder: &Path, number: RunNumber) -> Result<Self> {
        RunWriter::with_site(disk, folder, number, SyncSite::RunFile)
    }

    /// Makes the file of a run that will hold the entries of older runs.
    ///
    /// # Errors
    /// The file exists or cannot be made.
    pub fn for_merge(disk: &Arc<dyn Disk>, folder: &Path, number: RunNumber) -> Result<Self> {
        RunWriter::with_site(disk, folder, number, SyncSite::MergedRunFile)
    }

    fn with_site(disk: &Arc<dyn Disk>, folder: &Path, number: RunNumber, site: SyncSite) -> Result<Self> {
        let path = format::path(folder, number);
        let file = again(|| disk.open(&path, Open::New)).map_err(|error| io_error("make", &path, &error))?;
        Ok(RunWriter {
            disk: disk.clone(),
            path,
            number,
            site,
            sizes: Sizes::default(),
            file: Some(file),
            out: format::head(number).to_vec(),
            written: 0,
            place: None,
            block: Block::default(),
            group: Group::default(),
            counters: Vec::new(),
            contents: Contents::default(),
            blocks: 0,
            key: Vec::new(),
        })
    }

    /// The same writer with parts of other sizes.
    #[cfg(test)]
    pub(super) fn with_sizes(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }

    /// Adds an entry, which must sort after all that were added before.
    ///
    /// Sorted means by section, bucket and key, each as in [`Section`] and [`Entry`].
    ///
    /// # Errors
    /// The entry does not sort after the last one, or is larger than 2 GiB, or the file cannot be written
    /// ([`Error::is_by_full_disk`] tells whether the disk is full). The file is then removed, and nothing can be added.
    #[inline]
    pub fn push(&mut self, entry: Entry) -> Result<()> {
        self.try_push(entry).map_err(|error| self.abandon(error))
    }

    /// Ends the file and makes its bytes durable. Its name is durable after a sync of the folder.
    ///
    /// A run without entries is a valid file.
    ///
    /// # Errors
    /// The file cannot be written or synced; it is then removed.
    pub fn finish(mut self) -> Result<Run> {
        self.try_finish().map_err(|error| self.abandon(error))
    }

    /// How many bytes the file has so far.
    pub fn bytes(&self) -> u64 {
        self.written + self.out.len() as u64
    }

    fn try_push(&mut self, entry: Entry) -> Result<()> {
        if self.file.is_none() {
            return Err(Error::bug("a run is written to after its writing has failed"));
        }
        let size = entry.key.len() + entry.value.map_or(0, <[u8]>::len);
        if size > self.sizes.block {
            self.end_block()?;
        }
        let is_same_place = self.place.as_ref().is_some_and(|p| p.bucket == entry.bucket && p.section == entry.section);
        if is_same_place && self.block.builder.entries() > 0 {
            let last = self.block.builder.last();
            let shared = PREFIX + common(&last[PREFIX..], entry.key);
            self.check_order(shared, entry.key.get(shared - PREFIX))?;
            self.append(entry, shared, &entry.key[shared - PREFIX..])
        } else {
            self.push_first(entry, is_same_place)
        }?;
        if size > self.sizes.block || self.out.len() - self.block.start >= self.sizes.block {
            self.end_block()
        } else {
            Ok(())
        }
    }

    /// Adds the first entry of a block or bucket.
    fn push_first(&mut self, entry: Entry, is_same_place: bool) -> Result<()> {
        if !is_same_place {
            self.key.clear();
            self.key.extend_from_slice(&key::prefix(entry.section, entry.bucket));
        }
        self.key.truncate(PREFIX);
        self.key.extend_from_slice(entry.key);
        let key = std::mem::take(&mut self.key);
        let shared = common(self.block.builder.last(), &key);
        self.check_order(shared, key.get(shared))?;
        if self.block.builder.entries() == 0 {
            self.start_block(Separator::new(shared, &key));
        }
        if !is_same_place {
            self.go_to(&entry, key[..PREFIX].try_into().expect("a full key starts with a prefix"));
        }
        self.append(entry, shared, &key[shared..])?;
        self.key = key;
        Ok(())
    }

    /// An error unless a key sorts after the last one; they share bytes, and `next` is the key's next byte.
    ///
    /// One comparison of a byte: what two keys share is known already from encoding the second.
    #[inline]
    fn check_order(&self, shared: usize, next: Option<&u8>) -> Result<()> {
        if next > self.block.builder.last().get(shared) {
            return Ok(());
        }
        Err(Error::bug("the entries of a run do not come in ascending order"))
    }

    /// Starts to count the entries of another bucket.
    fn go_to(&mut self, entry: &Entry, prefix: Prefix) {
        let Entry { section, bucket, .. } = *entry;
        self.count();
        if self.place.as_ref().is_none_or(|place| place.section != section) {
            if self.block.builder.entries() == 0 {
                self.finish_counters(0, self.block.last_end);
            }
            self.counters.push(SectionCounter::new(section, self.written + self.block.start as u64));
        }
        let count = Span { least: bucket, greatest: bucket, entries: 0, tombstones: 0, bytes: 0 };
        self.place = Some(Place { section, bucket, prefix_hash: filter::hash_of_prefix(&prefix), count });
    }

    /// Counts the entries of the bucket at hand in its section.
    fn count(&mut self) {
        if let (Some(place), Some(counter)) = (&mut self.place, self.counters.last_mut()) {
            let none = Span { entries: 0, tombstones: 0, bytes: 0, ..place.count };
            counter.add(std::mem::replace(&mut place.count, none));
        }
    }

    /// Ends the counters of all sections but the last `kept`, which have no entries after `end`.
    fn finish_counters(&mut self, kept: usize, end: u64) {
        let ended = self.counters.len().saturating_sub(kept);
        let finished = self.counters.drain(..ended).filter_map(|counter| counter.finish(end));
        self.contents.sections.extend(finished);
    }

    fn start_block(&mut self, separator: Separator) {
        self.block.start = self.out.len();
        self.out.extend_from_slice(&[0; FRAME]);
        self.block.separator.clear();
        self.block.separator.extend_from_slice(separator.bytes);
        self.block.separator_is_cut = separator.is_cut;
    }

    /// Adds an entry to the block; its full key is the first `shared` bytes of the last one and `rest`.
    #[inline]
    fn append(&mut self, entry: Entry, shared: usize, rest: &[u8]) -> Result<()> {
        let place = self.place.as_mut().expect("an entry has a place");
        self.block.hashes.push(filter::hash(place.prefix_hash, entry.key));
        let before = self.out.len();
        let content = self.block.start + FRAME;
        self.block.builder.push(&mut self.out, content, (shared, rest), entry.value.map(<[u8]>::len));
        place.count.entries += 1;
        place.count.tombstones += u64::from(entry.value.is_none());
        place.count.bytes += (self.out.len() - before) as u64;
        let Some(value) = entry.value else { return Ok(()) };
        place.count.bytes += value.len() as u64;
        if value.len() <= self.sizes.block {
            self.out.extend_from_slice(value);
            return Ok(());
        }
        self.append_large(value)
    }

    /// Writes the block of one large value without copying it.
    ///
    /// The checksum is computed over the three parts, and the head of the frame is written before the value, so its
    /// length must be known first.
    fn append_large(&mut self, value: &[u8]) -> Result<()> {
        let mut tail = Vec::new();
        self.block.builder.end(&mut tail);
        let offset = self.written + self.block.start as u64;
        let content = &self.out[self.block.start + FRAME..];
        let length = (content.len() + value.len() + tail.len()) as u32;
        let seed = format::frame_seed(self.number, offset, length);
        let checksum = [content, value, &tail].into_iter().fold(seed, crc32c::crc32c_append);
        let head = format::join_frame_head(length, checksum);
        self.out[self.block.start..][..FRAME].copy_from_slice(&head);
        self.write_out()?;
        for piece in value.chunks(self.sizes.piece) {
            self.write(piece)?;
        }
        self.out.extend_from_slice(&tail);
        self.add_to_page(FRAME as u64 + u64::from(length), 1);
        Ok(())
    }

    /// Ends the block if it has entries.
    ///
    /// Also ends the group where that is large enough, and writes a piece where enough bytes wait.
    fn end_block(&mut self) -> Result<()> {
        let entries = self.block.builder.entries();
        if entries > 0 {
            self.block.builder.end(&mut self.out);
            self.frame(self.block.start);
            self.add_to_page((self.out.len() - self.block.start) as u64, entries as u64);
        }
        if self.block.hashes.is_empty() {
            return Ok(());
        }
        self.block.hashes.clear();
        self.block.last_end = self.bytes();
        self.count();
        self.finish_counters(1, self.block.last_end);
        let limit = (self.written / GROUPS).clamp(self.sizes.group.0, self.sizes.group.1);
        if self.group.bytes >= limit {
            self.end_group();
        }
        if self.out.len() >= self.sizes.piece { self.write_out() } else { Ok(()) }
    }

    /// Puts length and checksum before the content of a frame that starts at a place of `out`.
    fn frame(&mut self, start: usize) {
        let (head, content) = self.out[start..].split_at_mut(FRAME);
        head.copy_from_slice(&format::frame_head(self.number, self.written + start as u64, content));
    }

    /// Adds a block to the index page.
    fn add_to_page(&mut self, bytes: u64, entries: u64) {
        let Self { block, group, .. } = self;
        let separator = Separator { bytes: &block.separator, is_cut: block.separator_is_cut };
        if group.blocks == 0 {
            group.separator.clone_from(&block.separator);
            group.separator_is_cut = block.separator_is_cut;
        }
        put_varint(&mut group.page, bytes);
        put_varint(&mut group.page, entries);
        separator.encode(&mut group.page);
        filter::build(&block.hashes, &mut group.page);
        group.blocks += 1;
        group.bytes += bytes;
        group.entries += entries;
        self.blocks += 1;
    }

    /// Puts the index page after the blocks of a group.
    ///
    /// The page is framed like a block, with a checksum of its own.
    fn end_group(&mut self) {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; FRAME]);
        put_varint(&mut self.out, self.group.blocks);
        self.out.extend_from_slice(&self.group.page);
        self.frame(start);
        let (page, to) = (self.written + start as u64, self.bytes());
        let Group { separator, separator_is_cut, entries, .. } = &self.group;
        let separator = Separator { bytes: separator, is_cut: *separator_is_cut };
        self.contents.groups.push((page, to), *entries, separator);
        self.group.page.clear();
        (self.group.blocks, self.group.bytes, self.group.entries) = (0, 0, 0);
    }

    fn try_finish(&mut self) -> Result<Run> {
        if self.file.is_none() {
            return Err(Error::bug("a run is finished after its writing has failed"));
        }
        self.end_block()?;
        self.count();
        self.finish_counters(0, self.block.last_end);
        if self.group.blocks > 0 {
            self.end_group();
        }
        let contents = self.contents.encode();
        let at = self.bytes();
        let sum = |of: fn(&super::SectionStats) -> u64| self.contents.sections.iter().map(of).sum();
        let trailer = Trailer {
            number: self.number,
            entries: sum(|section| section.entries),
            tombstones: sum(|section| section.tombstones),
            blocks: self.blocks,
            contents: at,
            contents_checksum: format::checksum(self.number, at, &contents),
        };
        self.out.extend_from_slice(&contents);
        self.out.extend_from_slice(&trailer.encode(at + contents.len() as u64));
        self.write_out()?;
        let file = self.file.as_ref().expect("the file was there at the start");
        file.sync(self.site).map_err(|error| io_error("sync", &self.path, &error))?;
        let file = self.file.take().expect("the file was there at the start");
        let file = RunFile::new(self.number, std::mem::take(&mut self.path), file);
        Ok(Run::new(self.disk.clone(), file, trailer, std::mem::take(&mut self.contents), self.written))
    }

    /// Writes what is not written yet.
    fn write_out(&mut self) -> Result<()> {
        let mut out = std::mem::take(&mut self.out);
        let written = self.write(&out);
        out.clear();
        self.out = out;
        self.block.start = 0;
        written
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let file = self.file.as_ref().ok_or_else(|| Error::bug("a run is written to after its end"))?;
        again(|| file.write_at(bytes, self.written)).map_err(|error| io_error("write", &self.path, &error))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Removes the file, since it cannot be completed because of `error`.
    ///
    /// Returns the error, with a second one added where the file could not be removed.
    fn abandon(&mut self, error: Error) -> Error {
        if self.file.take().is_none() {
            return error;
        }
        match again(|| self.disk.remove_file(&self.path)) {
            Ok(()) => error,
            Err(more) => {
                error.context(format!("an incomplete file is left, since {}: ", io_error("remove", &self.path, &more)))
            }
        }
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // If this fails, a file is left that nothing refers to; the owner of the folder removes such files at its start.
            let _ = again(|| self.disk.remove_file(&self.path));
        }
    }
}
