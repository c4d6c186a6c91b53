//! What a recovery takes over, writes again, cuts and removes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::spare::Spares;
use super::tests::{PARTITION, Process, append, batch, epoch, settings};
use super::*;
use crate::disk::double::{End, ForgetfulDisk};
use crate::disk::{Disk, Open, SyncSite};
use crate::ids::{Generation, RoundNumber, Version};

/// Makes a checkpoint of what is decided, and drops the journal before it if `drops`.
fn checkpoint(process: &mut Process, drops: bool) {
    let Snapshot { round, version, generation, ends, bytes, .. } = process.journal.snapshot().expect("the next file");
    let manifest = Manifest { round, version, generation, ends, ..Manifest::default() };
    write_manifest(process.disk.as_ref(), Path::new("/"), &manifest).expect("written");
    if drops {
        process.journal.drop_before(generation, bytes).expect("dropped");
    }
}

/// The segments of the partition, with their lengths.
fn segments(disk: &dyn Disk) -> Vec<(String, u64)> {
    let dir = Path::new("/topics/0/0");
    let length = |name: &String| disk.open(&dir.join(name), Open::Existing).and_then(|file| file.len());
    let names = disk.names(dir).expect("the partition").into_iter();
    names.map(|name| (name.clone(), length(&name).expect("a segment"))).collect()
}

/// Kills a process in whose partition a round was written and not decided; the segments before that round, and after a restart.
fn killed_in_a_round(before: impl Fn(&mut Process)) -> (Vec<(String, u64)>, Vec<(String, u64)>) {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    before(&mut process);
    let decided = segments(process.disk.as_ref());
    process.log.partition(PARTITION).expect("a partition").write(&mut batch(500)).expect("written");
    machine.end(End::Kill);
    let process = Process::start(&machine).expect("a start");
    (decided, segments(process.disk.as_ref()))
}

#[test]
fn bytes_after_the_last_decided_round_are_cut() {
    let (decided, found) = killed_in_a_round(|process| drop(process.commit(append(10)).expect("committed")));
    assert_eq!(found, decided);
}

#[test]
fn bytes_after_the_decided_end_are_cut_where_no_round_since_the_checkpoint_names_the_partition() {
    let (decided, found) = killed_in_a_round(|process| {
        process.commit(append(10)).expect("committed");
        checkpoint(process, true);
    });
    assert_eq!(found, decided);
}

#[test]
fn a_segment_in_which_nothing_was_decided_is_removed() {
    let (decided, found) = killed_in_a_round(|_| {});
    assert_eq!(found, decided);
}

#[test]
fn only_rounds_after_the_checkpoint_are_taken_from_a_file_that_has_earlier_ones() {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    process.commit(epoch(1, 10)).expect("committed");
    process.commit(Entry::Command(Command::default())).expect("committed");
    let ends = [(PARTITION, process.log.partition(PARTITION).expect("a partition").decided())].into();
    process.commit(Entry::Command(Command { version: Version::new(1), ..Command::default() })).expect("committed");
    process.commit(epoch(2, 10)).expect("committed");
    let manifest = Manifest {
        round: RoundNumber::new(2),
        version: Version::new(1),
        generation: Generation::new(1),
        ends,
        ..Manifest::default()
    };
    let mut read = Vec::new();
    let disk = process.disk.as_ref();
    let note = &mut |round, _: tail::Place, _: EntryView<'_>| {
        read.push(round);
        Ok(())
    };
    let (tail, _) = Tail::read(disk, Path::new("/"), &manifest, Generation::new(u64::MAX), note).expect("read");
    tail.each(disk, note).expect("read again");
    assert_eq!(
        (read, tail.round),
        ([3, 4, 3, 4].map(RoundNumber::new).to_vec(), RoundNumber::new(4)),
        "each of them once in each reading"
    );
}

/// What goes wrong where the power takes the name of a segment, a recovery writes the segment again, and the power goes after
/// the next checkpoint.
fn cut_after_a_recovery_that_made_a_segment(ignored: Option<SyncSite>) -> Result<(), String> {
    for seed in 0..40 {
        let machine = ForgetfulDisk::new(seed);
        let mut process = Process::start(&machine).expect("a start");
        machine.ignore(SyncSite::SegmentDirectory);
        process.commit(append(10)).expect("committed");
        machine.end(End::Cut);
        // Only one site is ignored at a time.
        machine.ignore(ignored.unwrap_or(SyncSite::Format));
        let mut process = Process::start(&machine).expect("a start");
        process.log.partition(PARTITION).expect("a partition").sync(SyncSite::CheckpointSegment).expect("synced");
        checkpoint(&mut process, true);
        machine.end(End::Cut);
        let found = Process::start(&machine).map_err(|error| format!("seed {seed}: {error}"))?.records();
        if found != 1 {
            return Err(format!("seed {seed}: {found} records"));
        }
    }
    Ok(())
}

#[test]
fn names_of_segments_that_a_recovery_made_are_durable_before_a_checkpoint_relies_on_them() {
    assert_eq!(cut_after_a_recovery_that_made_a_segment(None), Ok(()));
    let without = cut_after_a_recovery_that_made_a_segment(Some(SyncSite::RecoveredSegmentDirectory));
    assert!(without.is_err(), "the sync is not needed");
}

/// What goes wrong where a process is killed while it starts a journal file, and the power goes when the next one has committed
/// a round to it.
fn cut_after_a_recovery_in_a_new_file(ignored: Option<SyncSite>) -> Result<(), String> {
    for seed in 0..20 {
        for operations in 0..12 {
            let machine = ForgetfulDisk::new(seed);
            let mut process = Process::start(&machine).expect("a start");
            process.commit(append(10)).expect("committed");
            machine.end_after(End::Kill, operations);
            let _ = process.journal.snapshot();
            machine.end(End::Kill);
            // Only one site is ignored at a time.
            machine.ignore(ignored.unwrap_or(SyncSite::Format));
            Process::start(&machine).expect("a start").commit(append(10)).expect("committed");
            machine.end(End::Cut);
            let wrong = |what: String| format!("seed {seed}, {operations} operations: {what}");
            let found = Process::start(&machine).map_err(|error| wrong(error.to_string()))?.records();
            if found != 2 {
                return Err(wrong(format!("{found} records")));
            }
        }
    }
    Ok(())
}

#[test]
fn the_name_of_the_newest_journal_file_is_durable_before_a_recovery_goes_on_in_it() {
    assert_eq!(cut_after_a_recovery_in_a_new_file(None), Ok(()));
    let without = cut_after_a_recovery_in_a_new_file(Some(SyncSite::RecoveredDirectory));
    assert!(without.is_err(), "the sync is not needed");
}

/// The lengths of the spares in the folder of the journal.
fn spares(disk: &dyn Disk) -> Vec<u64> {
    let dir = folder(Path::new("/"));
    let names = disk.names(&dir).expect("the journal").into_iter().filter(|name| name.ends_with(".spare"));
    names.map(|name| disk.open(&dir.join(name), Open::Existing).and_then(|file| file.len()).expect("a spare")).collect()
}

/// A machine whose process was killed after a round, and then `change` made something of the folder of its journal.
fn changed(change: impl Fn(&dyn Disk, &dyn Fn(usize) -> PathBuf)) -> ForgetfulDisk {
    let machine = ForgetfulDisk::new(0);
    Process::start(&machine).expect("a start").commit(append(10)).expect("committed");
    machine.end(End::Kill);
    let dir = folder(Path::new("/"));
    change(machine.boot().as_ref(), &|number| dir.join(format!("{number:020}.spare")));
    machine.end(End::Kill);
    machine
}

/// Adds spares of these lengths.
fn add_spares(disk: &dyn Disk, path: &dyn Fn(usize) -> PathBuf, lengths: &[u64]) {
    for (number, length) in lengths.iter().enumerate() {
        let file = disk.open(&path(100 + number), Open::New).expect("a new file");
        file.allocate(0..*length).expect("allocated");
    }
}

#[test]
fn spares_that_are_too_short_are_removed_at_the_start() {
    let machine = changed(|disk, path| add_spares(disk, path, &[0, 100, 4095]));
    let process = Process::start(&machine).expect("a start");
    let found = spares(process.disk.as_ref());
    assert!(found.iter().all(|length| *length >= 4096), "{found:?}");
}

#[test]
fn spares_beyond_the_limit_are_removed_at_the_start() {
    let machine = changed(|disk, path| add_spares(disk, path, &[4096; 5]));
    let process = Process::start(&machine).expect("a start");
    assert_eq!(spares(process.disk.as_ref()), [4096; 2]);
}

#[test]
fn a_journal_goes_on_without_spares() {
    let machine = changed(|disk, _| {
        let dir = folder(Path::new("/"));
        let names = disk.names(&dir).expect("the journal").into_iter().filter(|name| name.ends_with(".spare"));
        names.for_each(|name| disk.remove_file(&dir.join(name)).expect("removed"));
    });
    let mut process = Process::start(&machine).expect("a start");
    // More than one file has room for.
    (0..20).for_each(|_| drop(process.commit(append(1000)).expect("committed")));
    machine.end(End::Cut);
    assert_eq!(Process::start(&machine).expect("a start").records(), 21);
}

#[test]
fn no_more_spares_are_kept_than_the_limit_however_long_the_journal_was() {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    for _ in 0..3 {
        (0..20).for_each(|_| drop(process.commit(append(1000)).expect("committed")));
        checkpoint(&mut process, true);
        assert!(spares(process.disk.as_ref()).len() <= 2, "{:?}", spares(process.disk.as_ref()));
    }
    // The same where a process ended between its checkpoint and the removal of the files.
    (0..20).for_each(|_| drop(process.commit(append(1000)).expect("committed")));
    checkpoint(&mut process, false);
    machine.end(End::Kill);
    let process = Process::start(&machine).expect("a start");
    assert!(spares(process.disk.as_ref()).len() <= 2, "{:?}", spares(process.disk.as_ref()));
    assert_eq!(process.records(), 80);
}

#[test]
fn a_file_for_a_large_frame_is_large_enough_from_the_start() {
    let disk: Arc<dyn Disk> = ForgetfulDisk::new(0).boot();
    let size = settings().file_bytes;
    let mut spares = Spares::open(disk, Path::new("/"), size, 2).expect("a folder");
    spares.have(2).expect("made");
    let lengths =
        [0, 3 * size, size].map(|wanted| spares.take(wanted).and_then(|spare| spare.file.len()).expect("one"));
    assert_eq!(lengths, [size, 3 * size, size]);
}
