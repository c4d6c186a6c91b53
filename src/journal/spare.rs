//! Spare files: files that are kept ready for the journal, so that it waits neither for room on the disk nor for a new
//! file.
//!
//! A spare may hold any bytes: frames have the mark of their file, so leftovers of an earlier file mean nothing.
//!
//! A commit that had to make a file would wait for its bytes and for a sync of its size. So files that a checkpoint has
//! made superfluous are kept, and a thread of the upkeep makes one where none is left. Their names are a number with 20
//! digits and `.spare`; a rename makes a journal file of one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{self, Disk, DiskFile, Open};

/// The files that are ready.
pub struct Spares {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The least size of a spare.
    ///
    /// In bytes.
    size: u64,
    ready: Vec<Spare>,
    /// How many are to be ready.
    ///
    /// Rises to 2 with the first full file or the first checkpoint, and stays.
    wanted: usize,
    /// How many are kept at most.
    most: usize,
    next: u64,
}

/// A file that is ready.
pub struct Spare {
    /// Where it is.
    pub path: PathBuf,
    /// The file, open for writing.
    pub file: Arc<dyn DiskFile>,
    /// Its length in bytes.
    pub size: u64,
}

/// A spare that is to be made, on any thread that has time.
pub struct Order {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    size: u64,
}

impl Order {
    /// Makes the spare at once.
    fn make(self) -> io::Result<Spare> {
        self.make_slowly(|| Ok(Haste::Now))
    }

    /// Makes the spare in small pieces, so that syncs of other files never wait long for one. `wait` is called before
    /// each piece: it may sleep, give up with an error, or say that the spare is needed now; then the rest is only
    /// reserved.
    ///
    /// Written and not only reserved where there is time: then a later sync has no new blocks to note.
    ///
    /// # Errors
    /// The disk is full or fails, or `wait` says so. The file is removed.
    pub fn make_slowly(self, mut wait: impl FnMut() -> io::Result<Haste>) -> io::Result<Spare> {
        let file = self.disk.open(&self.path, Open::New)?;
        let piece = self.size.div_ceil(PIECES).max(LEAST_PIECE);
        let mut make = || {
            let mut at = 0;
            while at < self.size {
                let end = match wait()? {
                    Haste::No => self.size.min(at + piece),
                    Haste::Now => return disk::again(|| file.reserve(self.size)),
                };
                file.allocate(at..end)?;
                at = end;
            }
            Ok(())
        };
        match make() {
            Ok(()) => Ok(Spare { path: self.path, file, size: self.size }),
            Err(error) => {
                // An incomplete file only takes room. If it cannot be removed, the next start removes it.
                let _ = self.disk.remove_file(&self.path);
                Err(error)
            }
        }
    }
}

/// Whether a spare is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// There is time: the spare is written in small pieces.
    No,
    /// It is needed at once: what is missing is only reserved.
    Now,
}

/// The ending of a spare's file name.
const ENDING: &str = ".spare";
/// In how many pieces a spare is made when there is time, and the least bytes of one.
const PIECES: u64 = 128;
const LEAST_PIECE: u64 = 1 << 10;

impl Spares {
    /// The spares of a folder. Files that are too short, and those beyond the limit, are removed.
    ///
    /// # Errors
    /// The folder or a file cannot be read, or one cannot be removed.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, size: u64, most: usize) -> io::Result<Spares> {
        let mut spares = Spares { disk, dir: dir.to_owned(), size, ready: Vec::new(), wanted: 1, most, next: 0 };
        for name in spares.disk.names(dir)? {
            let Some(number) = name.strip_suffix(ENDING) else { continue };
            spares.next = spares.next.max(number.parse::<u64>().map_or(0, |number| number + 1));
            let path = dir.join(&name);
            let file = spares.disk.open(&path, Open::Existing)?;
            let length = file.len()?;
            spares.keep_or_remove(Spare { path, file, size: length })?;
        }
        Ok(spares)
    }

    /// Whether a file of this size is kept. Of files that were made for a large frame only as many are kept as must be
    /// ready.
    fn has_use_for(&self, size: u64) -> bool {
        let most = if size <= 2 * self.size { self.most.max(self.wanted) } else { self.wanted };
        size >= self.size && self.ready.len() < most
    }

    /// Adds a spare, or removes its file if there is no use for it.
    fn keep_or_remove(&mut self, spare: Spare) -> io::Result<()> {
        if self.has_use_for(spare.size) {
            self.ready.push(spare);
            return Ok(());
        }
        self.disk.remove_file(&spare.path)
    }

    /// The path of the next spare.
    fn next_path(&mut self) -> PathBuf {
        self.next += 1;
        self.dir.join(format!("{:020}{ENDING}", self.next - 1))
    }

    /// Makes spares until `count` are ready.
    ///
    /// # Errors
    /// There is no room. Those that were made stay.
    pub fn have(&mut self, count: usize) -> io::Result<()> {
        self.wanted = self.wanted.max(count);
        while self.ready.len() < count {
            let spare = Order { disk: self.disk.clone(), path: self.next_path(), size: self.size }.make()?;
            self.ready.push(spare);
        }
        Ok(())
    }

    /// What is still to be made.
    ///
    /// `None` if enough are ready.
    pub fn order(&mut self) -> Option<Order> {
        let wants = self.ready.len() < self.wanted;
        wants.then(|| Order { disk: self.disk.clone(), path: self.next_path(), size: self.size })
    }

    /// Adds a spare that was made.
    pub fn add(&mut self, spare: Spare) -> io::Result<()> {
        self.keep_or_remove(spare)
    }

    /// A file of at least this size: a spare, or else one that is made now.
    ///
    /// # Errors
    /// There is no spare of that size and no room for a new one.
    pub fn take(&mut self, size: u64) -> io::Result<Spare> {
        match self.ready.iter().position(|spare| spare.size >= size) {
            Some(at) => Ok(self.ready.remove(at)),
            None => Order { disk: self.disk.clone(), path: self.next_path(), size: size.max(self.size) }.make(),
        }
    }

    /// Takes back a spare that could not be used.
    pub fn give_back(&mut self, spare: Spare) {
        self.ready.insert(0, spare);
    }

    /// Makes a spare of a file that the journal does not need any more, or removes it.
    ///
    /// The name of the journal file is gone afterwards.
    ///
    /// # Errors
    /// The file cannot be opened, renamed or removed.
    pub fn recycle(&mut self, path: &Path) -> io::Result<()> {
        let file = self.disk.open(path, Open::Existing)?;
        let size = file.len()?;
        let path = if self.has_use_for(size) {
            let spare = self.next_path();
            self.disk.rename(path, &spare)?;
            spare
        } else {
            path.to_owned()
        };
        self.keep_or_remove(Spare { path, file, size })
    }
}
