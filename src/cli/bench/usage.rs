//! What a benchmark uses: processor time, memory, and the disk through a door that counts.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::disk::{Disk, DiskFile, Lock, Open, RealDisk, SyncSite};
use crate::locks::lock;
use crate::process;

/// The seconds of processor time that this process has used, in user and system mode.
pub(super) fn cpu_seconds() -> f64 {
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    // SAFETY: the structure is plain data, and the call fills it.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The bytes of memory that a process has in use now: this one, or the one with this id.
///
/// Linux only; 0 elsewhere. Pages are taken to have 4096 bytes.
pub(super) fn resident_bytes(process: Option<u32>) -> u64 {
    let path = process.map_or("/proc/self/statm".to_owned(), |id| format!("/proc/{id}/statm"));
    let pages = std::fs::read_to_string(path).ok().and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or_default() * 4096
}

/// The most bytes of memory that this process ever had in use.
///
/// Linux only; 0 elsewhere.
pub(super) fn peak_resident_bytes() -> u64 {
    process::memory_bytes("VmHWM").unwrap_or_default()
}

/// The peak of memory is measured from now on.
pub(super) fn forget_peak() {
    // Where the kernel does not know this, the peak is that of the whole process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The disk of the machine, with a count of what is written and how long each sync of the journal's frames takes.
#[derive(Default)]
pub(super) struct Meter {
    /// Bytes of writes and of files that are filled with zeros; what is only reserved does not count.
    written: AtomicU64,
    syncs_ns: Mutex<Vec<u64>>,
}

impl Meter {
    /// The bytes written so far.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// How long the syncs of frames since the last call took, in nanoseconds.
    pub(super) fn take_syncs_ns(&self) -> Vec<u64> {
        std::mem::take(&mut lock(&self.syncs_ns))
    }
}

/// The door to the disk with a meter.
pub(super) struct MeteredDisk(pub Arc<Meter>);

struct MeteredFile(Arc<dyn DiskFile>, Arc<Meter>);

impl DiskFile for MeteredFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.1.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.0.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, part: Range<u64>) -> io::Result<()> {
        self.1.written.fetch_add(part.end - part.start, Ordering::Relaxed);
        self.0.allocate(part)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.0.reserve(len)
    }

    fn sync(&self, site: SyncSite) -> io::Result<()> {
        let start = Instant::now();
        let result = self.0.sync(site);
        if site == SyncSite::JournalFrame {
            let took = start.elapsed().as_nanos() as u64;
            lock(&self.1.syncs_ns).push(took);
        }
        result
    }
}

impl Disk for MeteredDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(MeteredFile(RealDisk.open(path, how)?, self.0.clone())))
    }

    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        RealDisk.create_dir(path)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.names(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path, site: SyncSite) -> io::Result<()> {
        RealDisk.sync_dir(dir, site)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        RealDisk.lock(path)
    }

    fn most_files(&self) -> usize {
        RealDisk.most_files()
    }
}
