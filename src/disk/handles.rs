//! Files that are open only while they are used: of many files, few take a handle of the operating system.
//!
//! A thousand topics with 64 partitions have more segments than a process may have open files. Here a file looks open
//! all the time, and takes a handle only while it is used or was used lately.
//!
//! The choice of what to close is the clock algorithm: files stand in a ring, and one that was used since the last look
//! gets another round. A file with unsynced bytes is synced before it is closed, since a handle that is opened later
//! may not hear of a write that failed before. A failed sync is kept and told at the next [`DiskFile::sync`].

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::{Disk, DiskFile, Open, SyncSite, is_out_of_handles};
use crate::locks::lock;

/// Files of a disk of which only so many are open.
pub struct Handles {
    disk: Arc<dyn Disk>,
    open: Arc<Ring>,
}

/// The files that are open, those that were opened first in front.
struct Ring {
    /// At least 1.
    most: usize,
    files: Mutex<VecDeque<Weak<LazyFile>>>,
}

/// A file that is opened when it is used. Its name must not change.
struct LazyFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    ring: Arc<Ring>,
    /// `None` while it is closed.
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    /// Whether it was used since the ring looked at it last.
    used: AtomicBool,
    /// Whether something was written and not synced.
    dirty: AtomicBool,
    /// Why what was written is perhaps not durable: the sync failed when the file was closed.
    failure: Mutex<Option<io::Error>>,
    this: Weak<LazyFile>,
}

impl Handles {
    /// Files of a disk of which at most `most` are open at once, besides those in use at the moment.
    ///
    /// In use means: a call has taken the file and is not done with it.
    pub fn new(disk: Arc<dyn Disk>, most: usize) -> Self {
        Handles { disk, open: Arc::new(Ring { most: most.max(1), files: Mutex::default() }) }
    }

    /// Files of a disk that leave some of its handles to the rest of the process.
    ///
    /// Three quarters of what is left after 64 handles, at least 8.
    pub fn sharing(disk: Arc<dyn Disk>) -> Self {
        /// What the rest of the process needs.
        const OTHERS: usize = 64;
        /// The least that is taken, however few there are.
        const LEAST: usize = 8;
        let most = disk.most_files().saturating_sub(OTHERS) / 4 * 3;
        Handles::new(disk, most.max(LEAST))
    }

    /// The disk.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// A file that keeps its name as long as it is used. One that exists is opened with the first use, and whether it is there
    /// shows only then.
    ///
    /// # Errors
    /// A new file cannot be made.
    pub fn file(&self, path: PathBuf, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let made = match how {
            Open::Existing => None,
            Open::New => Some(self.open.open(self.disk.as_ref(), &path, how)?),
        };
        let is_open = made.is_some();
        let file = Arc::new_cyclic(|this| LazyFile {
            disk: self.disk.clone(),
            path,
            ring: self.open.clone(),
            file: Mutex::new(made),
            used: AtomicBool::new(true),
            dirty: AtomicBool::new(false),
            failure: Mutex::default(),
            this: this.clone(),
        });
        if is_open {
            self.open.add(Arc::downgrade(&file));
        }
        Ok(file)
    }
}

impl Ring {
    /// Opens a file; where there is no handle left, others are closed first.
    ///
    /// # Errors
    /// The file cannot be opened. No handle is left, and nothing could be closed.
    fn open(&self, disk: &dyn Disk, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        loop {
            match disk.open(path, how) {
                Err(error) if is_out_of_handles(&error) => {
                    let half = lock(&self.files).len().div_ceil(2);
                    if half == 0 || !self.close(half) {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }

    /// Adds a file that was opened, and closes others if there are too many.
    fn add(&self, file: Weak<LazyFile>) {
        let many = {
            let mut files = lock(&self.files);
            files.push_back(file);
            files.len().saturating_sub(self.most)
        };
        if many > 0 {
            self.close(many);
        }
    }

    /// Closes files that were not used for long; whether there were any.
    fn close(&self, count: usize) -> bool {
        let (mut closed, mut chances) = (0, lock(&self.files).len());
        while closed < count {
            let Some(file) = lock(&self.files).pop_front() else { break };
            let Some(file) = file.upgrade() else {
                closed += 1;
                continue;
            };
            if file.used.swap(false, Ordering::Relaxed) && chances > 0 {
                chances -= 1;
                lock(&self.files).push_back(file.this.clone());
                continue;
            }
            file.close();
            closed += 1;
        }
        closed > 0
    }
}

impl LazyFile {
    /// The open file. It stays open as long as the caller has it, even if the ring closes it meanwhile.
    fn get(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.used.store(true, Ordering::Relaxed);
        if let Some(file) = lock(&self.file).as_ref() {
            return Ok(file.clone());
        }
        // Without the lock, since room may be made by closing others. Two threads may open it at once: one wins.
        let opened = self.ring.open(self.disk.as_ref(), &self.path, Open::Existing)?;
        let mut slot = lock(&self.file);
        if let Some(file) = slot.as_ref() {
            return Ok(file.clone());
        }
        *slot = Some(opened.clone());
        drop(slot);
        self.ring.add(self.this.clone());
        Ok(opened)
    }

    /// Closes the file. What was written is synced before: once it is closed, nobody might be told that writing it has failed.
    fn close(&self) {
        let Some(file) = lock(&self.file).take() else { return };
        if self.dirty.swap(false, Ordering::SeqCst)
            && let Err(error) = file.sync(SyncSite::ClosedFile)
        {
            *lock(&self.failure) = Some(error);
        }
    }

    /// Writes and marks the file as dirty, before and after: whichever comes last, the write or the closing, the next
    /// sync reaches the disk.
    fn write(&self, write: impl FnOnce(&dyn DiskFile) -> io::Result<()>) -> io::Result<()> {
        let file = self.get()?;
        self.dirty.store(true, Ordering::SeqCst);
        let done = write(file.as_ref());
        // It may have been closed meanwhile, after a sync that came too early.
        self.dirty.store(true, Ordering::SeqCst);
        done
    }
}

impl DiskFile for LazyFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.get()?.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write(|file| file.write_at(bytes, offset))
    }

    fn len(&self) -> io::Result<u64> {
        self.get()?.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.write(|file| file.set_len(len))
    }

    fn allocate(&self, part: Range<u64>) -> io::Result<()> {
        self.write(|file| file.allocate(part))
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.write(|file| file.reserve(len))
    }

    fn sync(&self, site: SyncSite) -> io::Result<()> {
        let file = self.get()?;
        self.dirty.store(false, Ordering::SeqCst);
        if let Some(error) = lock(&self.failure).take() {
            return Err(error);
        }
        file.sync(site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::double::ForgetfulDisk;
    use crate::disk::read;

    fn files(machine: &ForgetfulDisk, most: usize, count: usize) -> (Handles, Vec<Arc<dyn DiskFile>>) {
        let handles = Handles::new(machine.boot(), most);
        let make = |i: usize| handles.file(PathBuf::from(format!("/{i}")), Open::New).expect("made");
        let files = (0..count).map(make).collect();
        (handles, files)
    }

    #[test]
    fn many_files_are_read_and_written_through_few_handles() {
        let machine = ForgetfulDisk::new(0);
        let (handles, files) = files(&machine, 4, 50);
        for round in 0..3_u8 {
            for (i, file) in files.iter().enumerate() {
                file.write_at(&[i as u8 + round], u64::from(round)).expect("written");
                assert!(lock(&handles.open.files).len() <= 4, "too many are open");
            }
        }
        for (i, file) in files.iter().enumerate() {
            let i = i as u8;
            assert_eq!(read(file.as_ref(), 0, 9).expect("read"), [i, i + 1, i + 2]);
        }
        let again = handles.file(PathBuf::from("/7"), Open::Existing).expect("not opened yet");
        assert_eq!(again.len().expect("it is there"), 3);
        assert!(handles.file(PathBuf::from("/none"), Open::Existing).expect("not opened yet").len().is_err());
    }

    #[test]
    fn a_sync_that_fails_while_a_file_is_closed_is_told_by_the_next_one() {
        let machine = ForgetfulDisk::new(0);
        let (_handles, files) = files(&machine, 1, 2);
        files[0].write_at(b"x", 0).expect("written");
        machine.fail_sync_after(Some(0));
        // Takes the only handle.
        files[1].write_at(b"y", 0).expect("written");
        assert!(files[0].sync(SyncSite::CheckpointSegment).is_err(), "nobody knows whether it is durable");
        assert!(files[1].sync(SyncSite::CheckpointSegment).is_ok());
    }
}
