//! Compaction of a partition, against an oracle that looks at one record at a time, and with the power cut at every step.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::tests::{PARTITION, Process, settings};
use super::*;
use crate::disk::double::{End, ForgetfulDisk, Random};
use crate::error::Result;
use crate::ids::Version;
use crate::topics::compression::{Codec, compress};
use crate::topics::log::{Compaction, Work};
use crate::topics::record::{BatchWriter, RecordBatch};
use crate::topics::{Offset, Topics};

/// A record: its offset, time, key and value.
type Seen = (Offset, i64, Option<Vec<u8>>, Option<Vec<u8>>);

const SETTINGS: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.bytes", "700"),
    ("min.cleanable.dirty.ratio", "0"),
    ("delete.retention.ms", "1000"),
];

fn start(machine: &ForgetfulDisk) -> Result<Process> {
    Process::start_with(machine, Settings { inline_bytes: 200, ..settings() }, SETTINGS)
}

/// All records that readers see from an offset on.
fn read(process: &Process, from: Offset) -> Result<Vec<Seen>> {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    process.read(from, 1, |record| (record.offset, record.time, owned(record.key), owned(record.value)))
}

/// A batch of some records of a few keys, and what it holds from an offset on.
fn batch(random: &mut Random, first: Offset) -> (RecordBatch, Vec<Seen>) {
    let (mut writer, mut seen) = (BatchWriter::new(), Vec::new());
    for number in 0..=random.below(4) as i64 {
        let key = (!random.one_in(8)).then(|| format!("key {}", random.below(6)).into_bytes());
        let value = (!random.one_in(4)).then(|| vec![b'a' + random.below(3) as u8; random.below(120) as usize]);
        let time = (first + number) * 10;
        writer.push(time, key.as_deref(), value.as_deref(), &[]);
        seen.push((first + number, time, key, value));
    }
    let batch = writer.finish().expect("some records");
    let codec = [None, Some(Codec::Lz4), Some(Codec::Zstd(3))][random.below(3) as usize];
    (codec.map_or(batch.clone(), |codec| compress(batch, codec).expect("compressed")), seen)
}

/// Compacts up to an offset at a time; whether there was anything. `decided` is told of what was.
fn compact(process: &mut Process, now_ms: i64, until: Offset, decided: &dyn Fn(Compaction)) -> Result<bool> {
    let partition = process.log.partition(PARTITION)?;
    let journal = RefCell::new(&mut process.journal);
    let decide = |compaction| {
        let entry = Entry::Compact(Compact { version: Version::new(0), compaction });
        let decision = journal.borrow_mut().commit(&mut [entry]);
        let decision = decision.map_err(|_| crate::error::Error::backend("it has ended"))?;
        decided(compaction);
        partition.remove_dead()?;
        Ok(matches!(decision[0], Decision::Committed { .. }))
    };
    partition.compact(&Work { now_ms, until, pause: &|| Ok(()), decide: &decide })
}

fn append(process: &mut Process, random: &mut Random, all: &mut Vec<Seen>) -> bool {
    let (batch, seen) = batch(random, all.len() as Offset);
    let entry = Entry::Append(Append { batches: vec![(PARTITION, batch)] });
    let is_done = process.commit(entry).is_ok();
    all.extend(seen);
    is_done
}

/// A process after so many appends, and all records of them.
fn filled(machine: &ForgetfulDisk, seed: u64, appends: u64) -> (Process, Vec<Seen>) {
    let (mut process, mut random, mut all) = (start(machine).expect("a start"), Random::new(seed), Vec::new());
    (0..appends).for_each(|_| assert!(append(&mut process, &mut random, &mut all)));
    (process, all)
}

/// What is wrong with what is there: something that was never written, or the last record of a key is not there although it
/// is no tombstone. With `is_compacted` also anything that a later record before an offset has replaced.
fn check(found: &[Seen], all: &[Seen], compacted_to: Offset) {
    for record in found {
        assert_eq!(*record, all[record.0 as usize], "as it was written");
    }
    assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "in their order");
    let later = |record: &Seen, to: usize| {
        record.2.is_some() && all[record.0 as usize + 1..to.max(record.0 as usize + 1)].iter().any(|l| l.2 == record.2)
    };
    for record in all {
        let is_there = found.contains(record);
        assert!(is_there || later(record, all.len()) || record.3.is_none(), "{record:?} is lost");
        let is_replaced = record.0 < compacted_to && later(record, compacted_to as usize);
        assert!(!is_there || !is_replaced, "{record:?} is there, and a later one with its key was compacted too");
    }
}

#[test]
fn of_each_key_the_last_record_stays_whatever_is_compacted_when() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let machine = ForgetfulDisk::new(seed);
        let mut process = start(&machine).expect("a start");
        let mut all = Vec::new();
        for round in 0..6 {
            for _ in 0..random.below(12) {
                assert!(append(&mut process, &mut random, &mut all));
            }
            let until = if random.one_in(2) { Offset::MAX } else { random.below(all.len() as u64 + 1) as Offset };
            let to = RefCell::new(0);
            compact(&mut process, round * 700, until, &|done| *to.borrow_mut() = done.compacted.end)
                .expect("compacted");
            assert!(*to.borrow() <= until, "seed {seed}: somebody needs more");
            // What was written last is read from memory, where nothing is compacted, until the next start.
            check(&read(&process, 0).expect("readable"), &all, 0);
            machine.end(if random.one_in(2) { End::Cut } else { End::Kill });
            process = start(&machine).expect("a start");
            let found = read(&process, 0).expect("readable");
            check(&found, &all, *to.borrow());
            // From each offset on, in a gap too.
            for from in 0..=all.len() as Offset {
                let rest: Vec<Seen> = found.iter().filter(|record| record.0 >= from).cloned().collect();
                assert_eq!(read(&process, from).expect("readable"), rest, "seed {seed}, from {from}");
                let time = process.log.offset_for_time(PARTITION, from * 10).expect("readable");
                assert_eq!(time, rest.first().map_or(all.len() as Offset, |first| first.0), "seed {seed}");
            }
        }
    }
}

#[test]
fn tombstones_go_when_their_time_is_over() {
    let machine = ForgetfulDisk::new(0);
    let mut process = start(&machine).expect("a start");
    let put = |process: &mut Process, key: &str, value: Option<&[u8]>| {
        let mut writer = BatchWriter::new();
        writer.push(0, Some(key.as_bytes()), value, &[]);
        let batch = writer.finish().expect("a record");
        process.commit(Entry::Append(Append { batches: vec![(PARTITION, batch)] })).expect("committed");
    };
    put(&mut process, "gone", Some(b"x"));
    put(&mut process, "gone", None);
    let fill = |process: &mut Process| (0..3).for_each(|_| put(process, "other", Some(&[b'x'; 300])));
    fill(&mut process);
    let tombstones = |process: &Process| read(process, 0).expect("readable").iter().filter(|r| r.3.is_none()).count();
    let step = |process: &mut Process, now_ms| {
        fill(process);
        assert!(compact(process, now_ms, Offset::MAX, &|_| {}).expect("compacted"));
        tombstones(process)
    };
    assert_eq!(step(&mut process, 5000), 1);
    assert_eq!(step(&mut process, 5999), 1, "readers may not have seen it");
    machine.end(End::Cut);
    let mut process = start(&machine).expect("a start");
    assert_eq!(step(&mut process, 6000), 0);
}

#[test]
fn nothing_is_lost_whenever_the_power_is_cut() {
    for seed in 0..4 {
        for operations in 0..30 {
            let machine = ForgetfulDisk::new(operations);
            let (mut process, all) = filled(&machine, seed, 12);
            machine.end_after(End::Cut, operations);
            let to = RefCell::new(0);
            // It may end over it.
            let _ = compact(&mut process, 0, Offset::MAX, &|done| *to.borrow_mut() = done.compacted.end);
            if machine.runs() {
                process.commit(Entry::Trim(Trim { before: vec![(PARTITION, 1)] })).ok();
            }
            machine.end(End::Cut);
            let process = start(&machine).unwrap_or_else(|error| panic!("seed {seed}, {operations}: {error}"));
            let start = process.log.start(PARTITION).expect("there") as usize;
            let found = read(&process, 0).expect("readable");
            check(&found, &all[..], *to.borrow());
            assert!(start <= 1 && process.records() == all.len() as Offset);
        }
    }
}

#[test]
fn what_has_changed_meanwhile_is_not_replaced() {
    let machine = ForgetfulDisk::new(0);
    let (mut process, all) = filled(&machine, 3, 20);
    let partition = process.log.partition(PARTITION).expect("there");
    let journal = RefCell::new(&mut process.journal);
    let decide = |compaction: Compaction| {
        // A deletion comes first, of all that it is about.
        let before = vec![(PARTITION, compaction.compacted.end)];
        let trim = Entry::Trim(Trim { before });
        let mut entries = vec![trim, Entry::Compact(Compact { version: Version::new(1), compaction })];
        let decisions = journal.borrow_mut().commit(&mut entries).expect("a round");
        assert_eq!(decisions[1], Decision::Changed, "another version of the catalog");
        let again = Entry::Compact(Compact { version: Version::new(0), compaction });
        let decisions = journal.borrow_mut().commit(&mut [again]).expect("a round");
        assert_eq!(decisions[0], Decision::Changed, "the segments are gone");
        Ok(false)
    };
    let work = Work { now_ms: 0, until: Offset::MAX, pause: &|| Ok(()), decide: &decide };
    assert!(partition.compact(&work).expect("tried"));
    partition.remove_dead().expect("removed");
    let names = process.disk.names(&crate::topics::log::folder(std::path::Path::new("/")).join("0/0")).expect("there");
    assert!(names.iter().all(|name| name.len() == "00000000000000000000.log".len()), "{names:?}");
    let found = read(&process, 0).expect("readable");
    let start_there = process.log.start(PARTITION).expect("there") as usize;
    assert_eq!(found, all[start_there..], "nothing was compacted");
}

#[test]
fn a_deletion_of_the_same_round_keeps_the_file_that_holds_its_offset() {
    let mut of_several_segments = 0;
    for seed in 0..12 {
        let machine = ForgetfulDisk::new(0);
        let (mut process, mut all) = filled(&machine, seed, 10);
        // The first compaction leaves little of each segment, so that the second one makes one of several.
        for times in [40, 20] {
            for _ in 0..times {
                let (offset, value) = (all.len() as Offset, vec![b'x'; 100]);
                let mut writer = BatchWriter::new();
                // Some stay, in every segment.
                let key = if offset % 3 == 0 { format!("once {offset}") } else { "often".to_owned() }.into_bytes();
                writer.push(offset * 10, Some(&key), Some(&value), &[]);
                let batch = writer.finish().expect("a record");
                process.commit(Entry::Append(Append { batches: vec![(PARTITION, batch)] })).expect("committed");
                all.push((offset, offset * 10, Some(key), Some(value)));
            }
            assert!(times == 20 || compact(&mut process, 0, Offset::MAX, &|_| {}).expect("compacted"));
        }
        let partition = process.log.partition(PARTITION).expect("there");
        let journal = RefCell::new(&mut process.journal);
        let starts = RefCell::new(Vec::new());
        let decide = |compaction: Compaction| {
            let before = partition.front_at(compaction.compacted.end - 1).segment;
            let mut entries = vec![Entry::Compact(Compact { version: Version::new(0), compaction })];
            if before != compaction.first {
                entries.insert(0, Entry::Trim(Trim { before: vec![(PARTITION, before)] }));
                starts.borrow_mut().push(before);
            }
            let decisions = journal.borrow_mut().commit(&mut entries).expect("a round");
            assert!(decisions.iter().all(|decision| matches!(decision, Decision::Committed { .. })));
            Ok(true)
        };
        partition
            .compact(&Work { now_ms: 0, until: Offset::MAX, pause: &|| Ok(()), decide: &decide })
            .expect("compacted");
        partition.remove_dead().expect("removed");
        let start_there = starts.borrow().last().copied().unwrap_or_default();
        of_several_segments += starts.borrow().len();
        let found = read(&process, 0).expect("readable");
        assert!(found.iter().all(|record| record.0 >= start_there && *record == all[record.0 as usize]));
        let last_of_keys: BTreeMap<_, _> = all.iter().filter_map(|r| Some((r.2.clone()?, r.0))).collect();
        let wanted = last_of_keys.into_values().filter(|offset| *offset >= start_there);
        wanted
            .for_each(|offset| assert!(found.iter().any(|record| record.0 == offset), "seed {seed}: {offset} is lost"));
        machine.end(End::Cut);
        let process = start(&machine).expect("a start");
        let again = (process.log.start(PARTITION).expect("there"), read(&process, 0).expect("readable"));
        assert_eq!(again, (start_there, found), "seed {seed}");
    }
    assert!(of_several_segments > 0, "segments became one");
}
