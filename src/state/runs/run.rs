//! An open run: its statistics, and the ways to its entries.

use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::contents::{Contents, Groups};
use super::format::{HEAD, RunFile, TRAILER, Trailer, checksum};
use super::{Scan, Section, SectionStats, Stats};
use crate::disk::Disk;
use crate::disk::again;
use crate::error::Result;
use crate::ids::RunNumber;
use crate::state::BucketId;

/// An open run; clones are the same run. Only its head and its contents are in memory.
///
/// Reading needs no lock: the file never changes, and every scan has a place of its own.
#[derive(Clone)]
pub struct Run(Arc<Opened>);

struct Opened {
    disk: Arc<dyn Disk>,
    file: RunFile,
    trailer: Trailer,
    contents: Contents,
    /// The length of the file.
    bytes: u64,
    /// The file is removed when the last clone, scans included, is dropped. Until then those who read it go on.
    is_obsolete: AtomicBool,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if *self.is_obsolete.get_mut() {
            // If this fails, a file is left that nothing refers to; the owner of the folder removes such files at its start.
            let _ = again(|| self.disk.remove_file(&self.file.path));
        }
    }
}

impl Run {
    /// A run whose file is written completely.
    pub(super) fn new(disk: Arc<dyn Disk>, file: RunFile, trailer: Trailer, contents: Contents, bytes: u64) -> Self {
        Run(Arc::new(Opened { disk, file, trailer, contents, bytes, is_obsolete: AtomicBool::new(false) }))
    }

    /// Opens a run and reads its contents, which take about 100 bytes for each 512 KiB of the file, and for each section.
    ///
    /// # Errors
    /// The file cannot be read, is damaged or incomplete, belongs to a run of another number, or has another format version.
    pub fn open(disk: &Arc<dyn Disk>, folder: &Path, number: RunNumber) -> Result<Self> {
        let file = RunFile::open(disk.as_ref(), folder, number)?;
        let length = file.len()?;
        let end = length.checked_sub(TRAILER as u64).filter(|end| *end >= HEAD as u64);
        let end = end.ok_or_else(|| file.damage(length, "it ends too early"))?;
        let mut bytes = [0; TRAILER];
        file.read(&mut bytes, end)?;
        let trailer =
            Trailer::decode(&bytes, end).filter(|trailer| trailer.number == number && trailer.contents <= end);
        let trailer = trailer.ok_or_else(|| file.damage(end, "its end is not that of the run"))?;
        let mut contents = vec![0; (end - trailer.contents) as usize];
        file.read(&mut contents, trailer.contents)?;
        if checksum(number, trailer.contents, &contents) != trailer.contents_checksum {
            return Err(file.damage(trailer.contents, "a checksum is wrong"));
        }
        let contents = Contents::decode(&contents, &file, &trailer)?;
        Ok(Run::new(disk.clone(), file, trailer, contents, length))
    }

    /// The number that names the file.
    pub fn number(&self) -> RunNumber {
        self.0.file.number
    }

    /// The length of the file in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The number of entries, tombstones among them.
    pub fn entries(&self) -> u64 {
        self.0.trailer.entries
    }

    /// The sections that have entries, in ascending order.
    pub fn sections(&self) -> &[SectionStats] {
        &self.0.contents.sections
    }

    /// Removes the file when the run and its scans are dropped.
    ///
    /// Call it only after a manifest that does not name the run is durable.
    pub fn mark_obsolete(&self) {
        self.0.is_obsolete.store(true, Ordering::Relaxed);
    }

    /// All entries, in ascending order.
    ///
    /// Nothing is read before the first entry is asked for.
    pub fn scan(&self) -> Scan {
        Scan::new(self.clone(), (HEAD as u64, self.groups().end()), None)
    }

    /// The entries of a section, in ascending order.
    pub fn scan_section(&self, section: Section) -> Scan {
        self.scan_sections(section..=section)
    }

    /// The entries of some sections, in ascending order. Blocks of other sections are not read.
    ///
    /// The sections of the range that the run lacks are skipped. Without any, the scan is empty and reads nothing.
    pub fn scan_sections(&self, sections: impl RangeBounds<Section>) -> Scan {
        let found = self.sections();
        let start = found.partition_point(|stats| match sections.start_bound() {
            Bound::Included(least) => stats.section < *least,
            Bound::Excluded(below) => stats.section <= *below,
            Bound::Unbounded => false,
        });
        let found = &found[start..];
        let count = found.iter().take_while(|stats| sections.contains(&stats.section)).count();
        match &found[..count] {
            [] => Scan::new(self.clone(), (HEAD as u64, HEAD as u64), None),
            found => {
                let (first, last) = (&found[0], &found[count - 1]);
                Scan::new(self.clone(), (first.from, last.to), Some((first.section, last.section)))
            }
        }
    }

    /// What [`super::choose`] needs to know of the run. `is_dead` says of a section and a bucket whether nobody needs the
    /// entries of this and of lower buckets any more.
    ///
    /// `is_dead(section, bucket)` must be true for all lower buckets too if it is for one.
    pub fn stats(&self, is_dead: &dyn Fn(Section, BucketId) -> bool) -> Stats {
        Stats::new(self.bytes(), self.sections(), is_dead)
    }

    pub(super) fn file(&self) -> &RunFile {
        &self.0.file
    }

    pub(super) fn groups(&self) -> &Groups {
        &self.0.contents.groups
    }
}
