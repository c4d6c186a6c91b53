//! A disk in memory that forgets unsynced changes: it stands for the machine's disk in tests of crashes.
//!
//! It keeps two pictures of everything. What a process sees is the first; what a power cut leaves is the second, in
//! which of everything since the last sync each sector of a write, each change of a length and each name may or may not
//! be there, the later without the earlier. A *kill* ends the process and keeps the first picture; a *cut* ends it and
//! keeps the second. Either comes when it is asked for, or at a given operation, in the middle of it.
//!
//! It can also be told to do nothing at the syncs of one [`SyncSite`], to fail a sync (what the sync was to make
//! durable is then lost at the next cut, although later syncs are said to be done), and to be full. A failed sync of a
//! directory is not among it: file systems take no more changes after that.
//!
//! The same seed and the same operations give the same outcome, so a failure can be repeated. An operation is anything
//! that changes something: a write, a sync, a name. Reads are not counted. Operations are made one after the other,
//! under one lock.
//!
//! It is harsher than disks are. A sector has 64 bytes, so that small files have several. It has no handles to spare,
//! so that files are closed and opened again all the time.

mod node;
mod tree;

pub use node::Random;

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use node::{Change, Dir, File};

use super::{Disk, DiskFile, Lock, Open, SyncSite};
use crate::locks::lock;

/// How a process ends that the disk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The process is killed; the machine goes on.
    Kill,
    /// The power goes.
    Cut,
}

/// The disk, as it lies in the machine.
#[derive(Clone)]
pub struct ForgetfulDisk(Arc<Mutex<World>>);

/// What the disk holds, and how it is to fail.
struct World {
    random: Random,
    /// Files and directories by number; the root is the first.
    nodes: Vec<Node>,
    locks: HashSet<PathBuf>,
    /// Counts the processes; only handles of the last one work.
    ///
    /// A handle of an earlier process gets an error at every call, as if it had been killed.
    process: u64,
    /// How the process ends, and after how many more operations.
    end: Option<(End, u64)>,
    /// Whether a process runs.
    runs: bool,
    ignored: Option<SyncSite>,
    /// After how many syncs of files one fails.
    failing_sync: Option<u64>,
    /// How many more bytes there is room for.
    ///
    /// In bytes; `None` if there is no limit. Files that grow take room; those that are cut, removed or replaced give it
    /// back.
    room: Option<u64>,
    operations: u64,
}

/// A file or a directory.
enum Node {
    File(File),
    Dir(Dir),
}

/// The error of every operation after the end of the process.
fn gone() -> io::Error {
    io::Error::other("the process has ended")
}

/// The error for a path that does not exist.
fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} is not there", path.display()))
}

/// The error of a full disk.
fn full() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}

impl World {
    /// Counts an operation that changes something; an error if the process ends at it. The operation itself may happen
    /// then.
    ///
    /// `Last` means: do it, or a part of it, and end the process.
    fn operate(&mut self, process: u64) -> Result<Happens, io::Error> {
        if !self.runs || process != self.process {
            return Err(gone());
        }
        self.operations += 1;
        let Some((end, left)) = &mut self.end else { return Ok(Happens::Whole) };
        if *left > 0 {
            *left -= 1;
            return Ok(Happens::Whole);
        }
        Ok(Happens::Last(*end))
    }

    /// Ends the process after the operation at which it was to end.
    fn finish<T>(&mut self, happens: Happens, result: io::Result<T>) -> io::Result<T> {
        match happens {
            Happens::Whole => result,
            Happens::Last(end) => {
                self.stop(end);
                Err(gone())
            }
        }
    }

    /// Ends the process; a power cut forgets changes that were not synced.
    ///
    /// Locks are free afterwards, whatever the end.
    fn stop(&mut self, end: End) {
        (self.runs, self.end) = (false, None);
        self.locks.clear();
        if end == End::Cut {
            for node in &mut self.nodes {
                match node {
                    Node::File(file) => file.forget(&mut self.random),
                    Node::Dir(dir) => dir.forget(&mut self.random),
                }
            }
        }
    }
}

/// Whether an operation is the last of its process.
#[derive(Clone, Copy)]
enum Happens {
    Whole,
    Last(End),
}

impl ForgetfulDisk {
    /// An empty disk; everything that it does by chance follows from the seed.
    ///
    /// No process runs yet: call [`ForgetfulDisk::boot`].
    pub fn new(seed: u64) -> Self {
        ForgetfulDisk(Arc::new(Mutex::new(World {
            random: Random::new(seed),
            nodes: vec![Node::Dir(Dir::default())],
            locks: HashSet::new(),
            process: 0,
            end: None,
            runs: false,
            ignored: None,
            failing_sync: None,
            room: None,
            operations: 0,
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.0)
    }

    /// The disk for a new process, which ends the one before if that still runs.
    ///
    /// Locks that the one before held are free.
    pub fn boot(&self) -> Arc<dyn Disk> {
        let mut world = self.world();
        if world.runs {
            world.stop(End::Kill);
        }
        world.process += 1;
        world.runs = true;
        Arc::new(Door { disk: self.clone(), process: world.process })
    }

    /// Ends the process now.
    pub fn end(&self, end: End) {
        self.world().stop(end);
    }

    /// Ends the process, if one still runs, at the operation that comes after so many others.
    ///
    /// `operations` is 0 for the next one. What the last operation was to do may be done, in part or not at all.
    pub fn end_after(&self, end: End, operations: u64) {
        self.world().end = Some((end, operations));
    }

    /// Whether a process runs.
    pub fn runs(&self) -> bool {
        self.world().runs
    }

    /// Does nothing at the syncs of this place from now on.
    ///
    /// For one site at a time: a further call replaces it.
    pub fn ignore(&self, site: SyncSite) {
        self.world().ignored = Some(site);
    }

    /// Fails the sync of a file that comes after so many others; nothing fails with `None`.
    ///
    /// 0 for the next one. It fails once; later syncs report success without making the lost bytes durable.
    pub fn fail_sync_after(&self, syncs: Option<u64>) {
        self.world().failing_sync = syncs;
    }

    /// Has room for so many bytes more; for any number with `None`.
    ///
    /// A write that needs more fails with `ENOSPC` and writes nothing.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.world().room = bytes;
    }

    /// How many operations have changed something.
    ///
    /// Since the disk was made, over all processes. Tests count a run first and then end another one at each number
    /// below.
    pub fn operations(&self) -> u64 {
        self.world().operations
    }
}

/// The disk as one process sees it.
struct Door {
    disk: ForgetfulDisk,
    process: u64,
}

impl Door {
    /// An operation that changes something.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.disk.world();
        let happens = world.operate(self.process)?;
        let result = change(&mut world);
        world.finish(happens, result)
    }

    /// Makes an operation that changes nothing.
    fn look<T>(&self, look: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.disk.world();
        if !world.runs || world.process != self.process {
            return Err(gone());
        }
        look(&mut world)
    }
}

/// A file as one process sees it.
struct Handle {
    door: Door,
    node: usize,
}

impl DiskFile for Handle {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.door.look(|world| {
            let now = &world.file(self.node).now;
            let from = now.get(offset as usize..).unwrap_or_default();
            let count = from.len().min(into.len());
            into[..count].copy_from_slice(&from[..count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.door.disk.world();
        let happens = world.operate(self.door.process)?;
        // A process that ends in a write has written a part of it.
        let kept = match happens {
            Happens::Whole => bytes.len(),
            Happens::Last(_) => world.random.below(bytes.len() as u64 + 1) as usize,
        };
        let grows = (offset as usize + kept).saturating_sub(world.file(self.node).now.len());
        let written = world.take_room(grows).map(|()| {
            let change = Change::Write { offset: offset as usize, bytes: bytes[..kept].to_vec() };
            world.file(self.node).change(change);
        });
        world.finish(happens, written)
    }

    fn len(&self) -> io::Result<u64> {
        self.door.look(|world| Ok(world.file(self.node).now.len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.door.change(|world| {
            let before = world.file(self.node).now.len() as u64;
            if let Some(room) = &mut world.room {
                *room += before.saturating_sub(len);
            }
            world.file(self.node).change(Change::Length(len as usize));
            Ok(())
        })
    }

    fn allocate(&self, part: Range<u64>) -> io::Result<()> {
        self.reserve(part.end)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.door.change(|world| {
            let grows = (len as usize).saturating_sub(world.file(self.node).now.len());
            world.take_room(grows)?;
            world.file(self.node).change(Change::Length(len as usize));
            Ok(())
        })
    }

    fn sync(&self, site: SyncSite) -> io::Result<()> {
        self.door.change(|world| {
            if world.ignored == Some(site) {
                return Ok(());
            }
            match &mut world.failing_sync {
                Some(0) => {
                    world.failing_sync = None;
                    // What could not be written is clean from now on: no later sync will try it.
                    world.file(self.node).fail_sync();
                    return Err(io::Error::other("input/output error"));
                }
                Some(left) => *left -= 1,
                None => {}
            }
            world.file(self.node).sync();
            Ok(())
        })
    }
}

impl Disk for Door {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let handle = |node| -> Arc<dyn DiskFile> {
            Arc::new(Handle { door: Door { disk: self.disk.clone(), process: self.process }, node })
        };
        match how {
            Open::Existing => self.look(|world| {
                let node = world.find(path)?;
                if let Node::Dir(_) = world.nodes[node] { Err(not_found(path)) } else { Ok(handle(node)) }
            }),
            Open::New => self.change(|world| world.add(path, Node::File(File::default())).map(handle)),
        }
    }

    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        if self.look(|world| Ok(world.dir(path).is_ok()))? {
            return Ok(false);
        }
        self.change(|world| world.add(path, Node::Dir(Dir::default())).map(|_| true))
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.look(|world| Ok(world.dir(dir)?.now.keys().cloned().collect()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|world| world.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(|world| {
            let node = world.find(path)?;
            world.free(node);
            let (dir, name) = world.place(path)?;
            dir.change(vec![(name.to_owned(), None)]);
            Ok(())
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|world| world.remove_tree(path))
    }

    fn sync_dir(&self, dir: &Path, site: SyncSite) -> io::Result<()> {
        self.change(|world| {
            if world.ignored != Some(site) {
                world.dir(dir)?.sync();
            }
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.look(|world| {
            let free = world.locks.insert(path.to_owned());
            let door = Door { disk: self.disk.clone(), process: self.process };
            Ok(free.then(|| Box::new(Held { door, path: path.to_owned() }) as Box<dyn Lock>))
        })
    }

    /// Few, so that files are closed and opened again all the time.
    fn most_files(&self) -> usize {
        0
    }
}

/// A lock that ends with its process, if it is not given back before.
struct Held {
    door: Door,
    path: PathBuf,
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        // The locks of a process that has ended are free already.
        let _ = self.door.look(|world| Ok(world.locks.remove(&self.path)));
    }
}

#[cfg(test)]
mod tests {
    use super::node::SECTOR;
    use super::*;
    use crate::disk::read;

    fn path(name: &str) -> PathBuf {
        Path::new("/").join(name)
    }

    #[test]
    fn neighbouring_seeds_have_no_numbers_in_common() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.below(u64::MAX)).collect::<HashSet<_>>()
        };
        assert!(numbers(7).is_disjoint(&numbers(8)));
    }

    #[test]
    fn what_was_synced_survives_and_of_the_rest_anything_may() {
        let mut outcomes = HashSet::new();
        for seed in 0..50 {
            let machine = ForgetfulDisk::new(seed);
            let disk = machine.boot();
            let file = disk.open(&path("a"), Open::New).expect("made");
            file.write_at(b"synced", 0).expect("written");
            file.sync(SyncSite::Format).expect("synced");
            disk.sync_dir(Path::new("/"), SyncSite::Format).expect("synced");
            file.write_at(&[b'x'; 3 * SECTOR], 6).expect("written");
            disk.rename(&path("a"), &path("b")).expect("renamed");
            machine.end(End::Cut);
            assert!(file.len().is_err(), "the process has ended");
            let disk = machine.boot();
            let names = disk.names(Path::new("/")).expect("the root");
            assert_eq!(names.len(), 1, "renamed or not");
            let file = disk.open(&path(&names[0]), Open::Existing).expect("there");
            let bytes = read(file.as_ref(), 0, 1000).expect("read");
            assert!(bytes.starts_with(b"synced"));
            outcomes.insert((names, bytes.len()));
        }
        assert!(outcomes.len() > 4, "{outcomes:?}");
    }

    #[test]
    fn a_killed_process_leaves_what_it_wrote_and_a_failed_sync_loses_it() {
        let machine = ForgetfulDisk::new(1);
        let disk = machine.boot();
        let file = disk.open(&path("a"), Open::New).expect("made");
        disk.sync_dir(Path::new("/"), SyncSite::Format).expect("synced");
        file.write_at(b"bytes", 0).expect("written");
        machine.fail_sync_after(Some(0));
        assert!(file.sync(SyncSite::Format).is_err());
        machine.end(End::Kill);
        let file = machine.boot().open(&path("a"), Open::Existing).expect("there");
        assert_eq!(read(file.as_ref(), 0, 9).expect("read"), b"bytes");
        file.sync(SyncSite::Format).expect("said to be done");
        machine.end(End::Cut);
        let file = machine.boot().open(&path("a"), Open::Existing).expect("there");
        assert_eq!(file.len().expect("a length"), 0);
    }

    #[test]
    fn files_that_are_replaced_or_removed_give_room_back() {
        let machine = ForgetfulDisk::new(2);
        let disk = machine.boot();
        let write = |name: &str, bytes: usize| {
            let file = disk.open(&path(name), Open::New)?;
            file.write_at(&vec![0; bytes], 0)
        };
        disk.create_dir(&path("d")).expect("made");
        disk.create_dir(&path("d/e")).expect("made");
        write("a", 100).expect("written");
        write("b", 10).expect("written");
        write("d/a", 30).expect("written");
        write("d/e/a", 20).expect("written");
        machine.set_room(Some(0));
        assert!(write("c", 1).is_err(), "the disk is full");
        disk.rename(&path("b"), &path("a")).expect("renamed");
        write("e", 100).expect("the file that was replaced is gone");
        assert!(write("f", 1).is_err(), "the disk is full");
        disk.rename(&path("a"), &path("a")).expect("nothing happens");
        assert!(write("g", 1).is_err(), "the file is still there");
        disk.remove_dir(&path("d")).expect("removed");
        write("h", 50).expect("all files below are gone");
        assert!(write("i", 1).is_err(), "the disk is full");
        disk.remove_file(&path("h")).expect("removed");
        write("j", 50).expect("the file is gone");
    }

    #[test]
    fn a_file_is_renamed_only_to_where_it_can_be() {
        let machine = ForgetfulDisk::new(3);
        let disk = machine.boot();
        disk.open(&path("a"), Open::New).expect("made");
        disk.create_dir(&path("d")).expect("made");
        let refused = |to: &str| disk.rename(&path("a"), &path(to)).expect_err("refused").kind();
        assert_eq!(refused("missing/b"), io::ErrorKind::NotFound);
        assert_eq!(refused("d/b"), io::ErrorKind::Unsupported);
        assert_eq!(refused("d"), io::ErrorKind::IsADirectory);
        assert_eq!(disk.names(Path::new("/")).expect("the root"), ["a", "d"]);
    }
}
