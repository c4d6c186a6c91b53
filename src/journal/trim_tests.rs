//! Records that are deleted from the start of a partition, with the power cut at every step.

use super::tests::{PARTITION, Process, append, settings};
use super::*;
use crate::disk::double::{End, ForgetfulDisk};
use crate::error::Result;
use crate::topics::{Offset, Topics, log};

/// Three records of 100 bytes in each segment.
const SMALL: &[(&str, &str)] = &[("segment.bytes", "600")];
/// How many records there are before something is deleted.
const RECORDS: i64 = 10;

fn trim(before: Offset) -> Entry {
    Entry::Trim(Trim { before: vec![(PARTITION, before)] })
}

/// The offsets that a reader finds.
fn offsets(process: &Process) -> Result<Vec<Offset>> {
    process.read(0, 1 << 20, |record| record.offset)
}

/// A process with records in several segments, whose journal repeats records if they have at most so many bytes.
fn filled(machine: &ForgetfulDisk, inline_bytes: usize) -> Process {
    let mut process = start(machine, inline_bytes).expect("a start");
    (0..RECORDS).for_each(|_| drop(process.commit(append(100)).expect("committed")));
    process
}

fn start(machine: &ForgetfulDisk, inline_bytes: usize) -> Result<Process> {
    Process::start_with(machine, Settings { inline_bytes, ..settings() }, SMALL)
}

/// Deletes records and appends one, and says whether both were acknowledged.
fn delete_and_append(process: &mut Process, before: Offset) -> (bool, bool) {
    let deleted = process.commit(trim(before)).is_ok();
    let partition = process.log.partition(PARTITION).expect("there");
    // A file that stays does no harm.
    let _ = partition.remove_dead();
    (deleted, process.commit(append(100)).is_ok())
}

#[test]
fn what_was_deleted_stays_so_and_all_else_is_there_whenever_the_power_is_cut() {
    for (inline_bytes, before) in [(0, 5), (100_000, 5), (0, 9), (100_000, RECORDS), (0, RECORDS)] {
        for operations in 0..24 {
            let machine = ForgetfulDisk::new(operations);
            let mut process = filled(&machine, inline_bytes);
            machine.end_after(End::Cut, operations);
            let (deleted, appended) = delete_and_append(&mut process, before);
            machine.end(End::Cut);
            // The recovery is cut off, too.
            machine.end_after(End::Cut, operations % 7);
            let at = format!("inline {inline_bytes}, before {before}, {operations} operations, {deleted} {appended}");
            match start(&machine, inline_bytes) {
                Err(error) if machine.runs() => panic!("{at}: {error}"),
                _ => machine.end(End::Cut),
            }
            let mut process = start(&machine, inline_bytes).unwrap_or_else(|error| panic!("{at}: {error}"));
            let start = process.log.start(PARTITION).expect("there");
            assert!(start == before || start == 0 && !deleted, "{at}: starts at {start}");
            let end = process.records();
            assert!(end == RECORDS + 1 || end == RECORDS && !appended, "{at}: ends at {end}");
            assert_eq!(offsets(&process).expect(&at), (start..end).collect::<Vec<_>>(), "{at}");
            // The offsets go on.
            process.commit(append(100)).expect(&at);
            assert_eq!(offsets(&process).expect(&at), (start..=end).collect::<Vec<_>>(), "{at}");
        }
    }
}

#[test]
fn files_go_with_their_segments_and_the_last_one_too() {
    let machine = ForgetfulDisk::new(0);
    let mut process = filled(&machine, 0);
    let files = |process: &Process| {
        let names = process.disk.names(&log::folder(std::path::Path::new("/")).join("0/0")).expect("a folder");
        names.iter().map(|name| name[..20].parse().expect("a number")).collect::<Vec<i64>>()
    };
    assert_eq!(files(&process), [0, 3, 6, 9]);
    assert_eq!(delete_and_append(&mut process, 7), (true, true));
    assert_eq!(files(&process), [6, 9], "the segment that holds the first record stays");
    assert_eq!(delete_and_append(&mut process, 11), (true, true));
    assert_eq!(files(&process), [11]);
    // An earlier offset deletes nothing, and one after the end means the end.
    assert_eq!(delete_and_append(&mut process, 3), (true, true));
    let started = process.commit(trim(1000)).expect("decided");
    assert_eq!(started, Decision::Committed { offsets: vec![13] });
}

#[test]
fn a_deletion_and_appends_of_one_round_are_decided_together() {
    for before in [9, RECORDS, RECORDS + 1, RECORDS + 2] {
        let machine = ForgetfulDisk::new(0);
        let mut process = filled(&machine, 0);
        process.journal.commit(&mut [append(100), trim(before), append(100), trim(2)]).expect("decided");
        let wanted: Vec<i64> = (before..RECORDS + 2).collect();
        assert_eq!(offsets(&process).expect("readable"), wanted);
        machine.end(End::Cut);
        let process = start(&machine, 0).expect("a start");
        assert_eq!((process.records(), offsets(&process).expect("readable")), (RECORDS + 2, wanted));
    }
}

#[test]
fn what_frees_room_needs_none_on_a_full_disk() {
    let machine = ForgetfulDisk::new(0);
    let mut process = filled(&machine, 100_000);
    machine.set_room(Some(0));
    while process.commit(append(1000)).is_ok() {}
    assert_eq!(process.commit(trim(RECORDS)).expect("decided"), Decision::Committed { offsets: vec![RECORDS] });
}
