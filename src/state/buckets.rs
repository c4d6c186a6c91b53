//! The files of a checkpoint: the entries of a bucket in blocks with checksums, written once and never changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{self, Disk, DiskFile, Open, SyncSite};
use crate::error::{Error, Result};
use crate::types::row::{Input, put_bytes};

const MAGIC: [u8; 8] = *b"TIDEBCKT";
const VERSION: u32 = 1;
const HEAD: usize = 12;
/// The length of a block and its checksum.
const BLOCK_HEAD: usize = 8;
/// A block is about this large at most, and in small checkpoints a part of what calls for one.
const BLOCK_BYTES: (u64, u64) = (64, 256 << 10);
const BLOCKS: u64 = 256;

/// The folder of the files in a data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("buckets")
}

/// The path of a file.
fn path(data: &Path, number: u64) -> PathBuf {
    folder(data).join(format!("{number:020}.bucket"))
}

/// A file of entries while it is written, block after block.
pub struct BucketWriter {
    file: Arc<dyn DiskFile>,
    at: u64,
    block: Vec<u8>,
    block_bytes: usize,
}

impl BucketWriter {
    /// A file without entries, of a checkpoint that is made after so many bytes of journal.
    pub fn new(disk: &dyn Disk, data: &Path, number: u64, checkpoint_bytes: u64) -> Result<Self> {
        let file = disk.open(&path(data, number), Open::New)?;
        file.write_at(&[&MAGIC[..], &VERSION.to_le_bytes()].concat(), 0)?;
        let block_bytes = (checkpoint_bytes / BLOCKS).clamp(BLOCK_BYTES.0, BLOCK_BYTES.1) as usize;
        Ok(BucketWriter { file, at: HEAD as u64, block: Vec::new(), block_bytes })
    }

    /// Adds an entry to the block; whether there is room for more, else [`BucketWriter::end_block`] is to be called.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> bool {
        put_bytes(&mut self.block, key);
        put_bytes(&mut self.block, value);
        self.block.len() < self.block_bytes
    }

    /// Writes the block, if there is anything in it.
    pub fn end_block(&mut self) -> Result<()> {
        if self.block.is_empty() { Ok(()) } else { self.write_block() }
    }

    fn write_block(&mut self) -> Result<()> {
        let mut head = [0; BLOCK_HEAD];
        head[..4].copy_from_slice(&(self.block.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc32c::crc32c(&self.block).to_le_bytes());
        self.file.write_at(&head, self.at)?;
        self.file.write_at(&self.block, self.at + BLOCK_HEAD as u64)?;
        self.at += (BLOCK_HEAD + self.block.len()) as u64;
        self.block.clear();
        Ok(())
    }

    /// Ends the file and makes its content durable; its name is, after [`sync_names`].
    pub fn finish(mut self) -> Result<()> {
        self.end_block()?;
        // An empty block ends the file, so that one that was cut off at a block is seen.
        self.write_block()?;
        Ok(self.file.sync(SyncSite::BucketFile)?)
    }
}

/// Makes the names of new files durable.
pub fn sync_names(disk: &dyn Disk, data: &Path) -> Result<()> {
    Ok(disk.sync_dir(&folder(data), SyncSite::BucketDirectory)?)
}

/// Calls `each` for every entry of a file.
pub fn read(disk: &dyn Disk, data: &Path, number: u64, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
    let path = path(data, number);
    let damaged = || Error::backend(format!("{} is damaged", path.display())).hint("restore the folder from a backup");
    let file = disk.open(&path, Open::Existing)?;
    let head = disk::read(file.as_ref(), 0, HEAD)?;
    if head.len() < HEAD || head[..8] != MAGIC || head[8..] != VERSION.to_le_bytes() {
        return Err(damaged());
    }
    let mut at = HEAD as u64;
    loop {
        let head = disk::read(file.as_ref(), at, BLOCK_HEAD)?;
        let (length, crc) = head.split_first_chunk::<4>().ok_or_else(damaged)?;
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 {
            return Ok(());
        }
        let block = disk::read(file.as_ref(), at + BLOCK_HEAD as u64, length)?;
        if block.len() < length || crc != crc32c::crc32c(&block).to_le_bytes() {
            return Err(damaged());
        }
        let mut input = Input(&block);
        while !input.0.is_empty() {
            let key = input.bytes()?;
            each(key, input.bytes()?)?;
        }
        at += (BLOCK_HEAD + length) as u64;
    }
}

/// The numbers of the files that there are.
pub fn list(disk: &dyn Disk, data: &Path) -> Result<Vec<u64>> {
    let names = disk.names(&folder(data))?;
    Ok(names.iter().filter_map(|n| n.strip_suffix(".bucket")?.parse().ok()).collect())
}

/// Removes a file.
pub fn remove(disk: &dyn Disk, data: &Path, number: u64) -> Result<()> {
    Ok(disk.remove_file(&path(data, number))?)
}
