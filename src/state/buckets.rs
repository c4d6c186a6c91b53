//! The files of a checkpoint: the entries of a bucket in blocks with checksums, written once and never changed.

use std::path::{Path, PathBuf};

use crate::disk::{self, Disk, Open, SyncSite};
use crate::error::{Error, Result};
use crate::types::row::{Input, put_bytes};

const MAGIC: [u8; 8] = *b"TIDEBCKT";
const VERSION: u32 = 1;
const HEAD: usize = 12;
/// The length of a block and its checksum.
const BLOCK_HEAD: usize = 8;
/// A block is about this large.
const BLOCK_BYTES: usize = 256 << 10;

/// The folder of the files in a data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("buckets")
}

/// The path of a file.
fn path(data: &Path, number: u64) -> PathBuf {
    folder(data).join(format!("{number:020}.bucket"))
}

/// The entries of a bucket while they are collected.
pub struct BucketWriter {
    bytes: Vec<u8>,
    block: Vec<u8>,
}

impl Default for BucketWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl BucketWriter {
    /// A bucket without entries.
    pub fn new() -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        BucketWriter { bytes, block: Vec::new() }
    }

    /// Adds an entry.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        put_bytes(&mut self.block, key);
        put_bytes(&mut self.block, value);
        if self.block.len() >= BLOCK_BYTES {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        self.bytes.extend_from_slice(&(self.block.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&crc32c::crc32c(&self.block).to_le_bytes());
        self.bytes.append(&mut self.block);
    }

    /// Writes the file and makes its content durable; its name is, after [`sync_names`].
    pub fn write(mut self, disk: &dyn Disk, data: &Path, number: u64) -> Result<()> {
        if !self.block.is_empty() {
            self.end_block();
        }
        // An empty block ends the file, so that one that was cut off at a block is seen.
        self.end_block();
        let file = disk.open(&path(data, number), Open::New)?;
        file.write_at(&self.bytes, 0)?;
        Ok(file.sync(SyncSite::BucketFile)?)
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
