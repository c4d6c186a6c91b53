//! Runs against a model: what was written is scanned, looked up and merged, whatever the entries are.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::writer::Sizes;
use super::{Entry, Keys, Merge, Run, RunWriter, Scan, Section, Sorter, Wanted};
use crate::disk::Disk;
use crate::disk::double::{ForgetfulDisk, Random};
use crate::error::Result;
use crate::ids::{QueryNumber, RunNumber};
use crate::state::{BucketId, OperatorId, OperatorKind, OperatorTask};

/// The key of an entry in the model.
pub(super) type Place = (Section, BucketId, Vec<u8>);
/// The model of a run.
pub(super) type Model = BTreeMap<Place, Option<Vec<u8>>>;

/// The disk and the folder of a test.
pub(super) fn disk() -> (ForgetfulDisk, Arc<dyn Disk>, PathBuf) {
    let machine = ForgetfulDisk::new(1);
    let disk = machine.boot();
    (machine, disk, PathBuf::from("/"))
}

pub(super) fn section(query: u64, number: u16) -> Section {
    let operator = OperatorId { kind: OperatorKind::Aggregate, number };
    Section { query: QueryNumber::new(query), place: OperatorTask { operator, task: 0 } }
}

pub(super) fn entry<'a>((section, bucket, key): &'a Place, value: &'a Option<Vec<u8>>) -> Entry<'a> {
    Entry { section: *section, bucket: *bucket, key, value: value.as_deref() }
}

pub(super) fn owned(entry: Entry) -> (Place, Option<Vec<u8>>) {
    ((entry.section, entry.bucket, entry.key.to_vec()), entry.value.map(<[u8]>::to_vec))
}

/// Writes a run.
pub(super) fn write(writer: RunWriter, model: &Model) -> Result<Run> {
    let mut writer = writer;
    model.iter().try_for_each(|(place, value)| writer.push(entry(place, value)))?;
    writer.finish()
}

/// All entries of a scan.
pub(super) fn read(mut scan: Scan) -> Result<Vec<(Place, Option<Vec<u8>>)>> {
    let mut all = Vec::new();
    while let Some(entry) = scan.next()? {
        all.push(owned(entry));
    }
    Ok(all)
}

/// What a test chooses by chance.
struct Chance {
    random: Random,
    /// How many buckets and keys there are to choose from.
    buckets: u64,
    keys: u64,
    sizes: Sizes,
}

impl Chance {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut choose = |from: &[u64]| from[random.below(from.len() as u64) as usize];
        let sizes = Sizes {
            block: choose(&[1, 60, 300]) as usize,
            group: (choose(&[1, 500, 4000]), choose(&[4000, 9000])),
            piece: choose(&[1, 200, 3000]) as usize,
        };
        let (buckets, keys) = (choose(&[1, 3, 40]), choose(&[3, 30, 300]));
        Chance { random, buckets, keys, sizes }
    }

    fn section(&mut self) -> Section {
        section(self.random.below(3), self.random.below(2) as u16)
    }

    fn bucket(&mut self) -> BucketId {
        let bucket = self.random.below(self.buckets) as i64 - 1;
        if self.random.one_in(20) {
            *[i64::MIN, i64::MAX].get(bucket as usize & 1).expect("one of two")
        } else {
            bucket
        }
    }

    /// Short and long keys, of which many share their starts.
    fn key(&mut self) -> Vec<u8> {
        let number = self.random.below(self.keys);
        match number % 7 {
            0 => Vec::new(),
            1 => number.to_be_bytes().to_vec(),
            2 => format!("key {number}").into_bytes(),
            3 => vec![255; number as usize % 40],
            4 => [&[b'x'; 300][..], &number.to_be_bytes()].concat(),
            5 => vec![b'k'; number as usize],
            _ => number.to_string().into_bytes(),
        }
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let length = match self.random.below(8) {
            0 => return None,
            1 => 0,
            2 => self.random.below(1000),
            _ => self.random.below(40),
        };
        Some((0..length).map(|_| self.random.below(256) as u8).collect())
    }

    fn model(&mut self) -> Model {
        let count = self.random.below(150);
        (0..count).map(|_| ((self.section(), self.bucket(), self.key()), self.value())).collect()
    }

    fn range(&mut self) -> RangeInclusive<BucketId> {
        if self.random.one_in(3) { i64::MIN..=i64::MAX } else { self.bucket()..=self.bucket() }
    }
}

fn expect_same(
    found: Vec<(Place, Option<Vec<u8>>)>,
    expected: impl Iterator<Item = (Place, Option<Vec<u8>>)>,
    what: &str,
) {
    let expected: Vec<_> = expected.collect();
    let same = found == expected;
    assert!(same, "{what}: {} entries found, {} expected\n{found:?}\n{expected:?}", found.len(), expected.len());
}

fn check_scans(chance: &mut Chance, run: &Run, model: &Model, seed: u64) {
    let all = || model.clone().into_iter();
    expect_same(read(run.scan()).expect("a scan"), all(), &format!("seed {seed}, scan"));
    let section = chance.section();
    let found = read(run.scan_section(section)).expect("a scan");
    expect_same(found, all().filter(|(place, _)| place.0 == section), &format!("seed {seed}, section"));
    let (a, b) = (chance.section(), chance.section());
    let found = read(run.scan_sections(a..b)).expect("a scan");
    expect_same(found, all().filter(|(place, _)| (a..b).contains(&place.0)), &format!("seed {seed}, sections"));
    let mut sections: Vec<Section> = model.keys().map(|place| place.0).collect();
    sections.dedup();
    assert_eq!(run.sections().iter().map(|stats| stats.section).collect::<Vec<_>>(), sections);
    for stats in run.sections() {
        let own = || model.iter().filter(|(place, _)| place.0 == stats.section);
        assert_eq!(stats.entries, own().count() as u64);
        assert_eq!(stats.tombstones, own().filter(|(_, value)| value.is_none()).count() as u64);
        let buckets = || own().map(|(place, _)| place.1);
        assert_eq!((Some(stats.least), Some(stats.greatest)), (buckets().min(), buckets().max()));
    }
}

fn check_look_ups(chance: &mut Chance, run: &Run, model: &Model, seed: u64) {
    let section = chance.section();
    let mut keys: Vec<Vec<u8>> = (0..chance.random.below(8)).map(|_| chance.key()).collect();
    for key in &mut keys {
        key.truncate(if chance.random.one_in(3) { 2 } else { usize::MAX });
    }
    keys.sort();
    for by in [Keys::Whole, Keys::Starts] {
        let buckets = chance.range();
        let mut found = Vec::new();
        let wanted = Wanted { section, buckets: buckets.clone(), keys: &keys, by };
        run.look_up(&wanted, &mut |entry| {
            found.push(owned(entry));
            Ok(())
        })
        .expect("a look-up");
        let is_wanted = |place: &Place| {
            let matches = |key: &Vec<u8>| if by == Keys::Whole { place.2 == *key } else { place.2.starts_with(key) };
            place.0 == section && buckets.contains(&place.1) && keys.iter().any(matches)
        };
        let expected = model.clone().into_iter().filter(|(place, _)| is_wanted(place));
        expect_same(found, expected, &format!("seed {seed}, {by:?} {buckets:?} {keys:?}"));
    }
}

fn check_merge(chance: &mut Chance, runs: &[(Run, Model)], seed: u64) {
    let dead = (chance.section(), chance.bucket(), chance.random.below(3) as i64);
    let keep = |section: Section, bucket: BucketId| match dead.2 {
        0 => true,
        1 => section != dead.0,
        _ => bucket > dead.1,
    };
    let drops = chance.random.one_in(2);
    let mut merge = Merge::new(runs.iter().map(|(run, _)| run.scan()).collect());
    if drops {
        merge = merge.drop_tombstones();
    }
    let (mut found, asked) = (Vec::new(), std::cell::RefCell::new(Vec::new()));
    let ask = |section, bucket| {
        asked.borrow_mut().push((section, bucket));
        keep(section, bucket)
    };
    merge
        .each(&ask, &mut |entry| {
            found.push(owned(entry));
            Ok(())
        })
        .expect("a merge");
    let merged: Model = runs.iter().flat_map(|(_, model)| model.clone()).collect();
    let mut buckets: Vec<_> = merged.keys().map(|place| (place.0, place.1)).collect();
    buckets.dedup();
    assert_eq!(asked.into_inner(), buckets, "seed {seed}: each bucket is asked for once");
    let expected = merged.into_iter().filter(|(place, value)| keep(place.0, place.1) && !(drops && value.is_none()));
    expect_same(found, expected, &format!("seed {seed}, merge"));
}

fn check(seed: u64) {
    let (_, disk, folder) = disk();
    let mut chance = Chance::new(seed);
    let mut runs = Vec::new();
    for number in (0..1 + chance.random.below(4)).map(RunNumber::new) {
        let model = chance.model();
        let writer = RunWriter::new(&disk, &folder, number).expect("made").with_sizes(chance.sizes);
        let run = write(writer, &model).expect("written");
        assert_eq!(run.bytes(), length_of(disk.as_ref(), &folder, number));
        let run = if chance.random.one_in(2) { run } else { Run::open(&disk, &folder, number).expect("opened") };
        check_scans(&mut chance, &run, &model, seed);
        for _ in 0..4 {
            check_look_ups(&mut chance, &run, &model, seed);
        }
        runs.push((run, model));
    }
    check_merge(&mut chance, &runs, seed);
}

fn length_of(disk: &dyn Disk, folder: &Path, number: RunNumber) -> u64 {
    let path = super::format::path(folder, number);
    disk.open(&path, crate::disk::Open::Existing).and_then(|file| file.len()).expect("a file")
}

#[test]
fn runs_hold_what_was_written() {
    let seeds = std::env::var("RUN_SEEDS").map_or(2000, |seeds| seeds.parse().expect("RUN_SEEDS is a number"));
    (0..seeds).for_each(check);
}

/// Changes come in any order and replace earlier ones of their keys; in the run they are as a map would have them.
#[test]
fn sorted_changes_are_those_of_a_map() {
    for seed in 0..1000 {
        let (_, disk, folder) = disk();
        let mut chance = Chance::new(seed);
        let (mut sorter, mut model) = (Sorter::new(), Model::new());
        for round in 0..2 {
            for _ in 0..chance.random.below(200) {
                let (place, value) = ((chance.section(), chance.bucket(), chance.key()), chance.value());
                sorter.push(entry(&place, &value)).expect("small");
                model.insert(place, value);
            }
            let dead = if chance.random.one_in(4) { i64::MAX } else { chance.bucket() };
            sorter.retain(&|_, bucket| bucket > dead);
            model.retain(|place, _| place.1 > dead);
            assert_eq!(sorter.is_empty(), model.is_empty());
            if model.is_empty() {
                assert_eq!(sorter.bytes(), 0, "what is dead is forgotten");
                continue;
            }
            let writer = RunWriter::new(&disk, &folder, RunNumber::new(round)).expect("made");
            let run = sorter.write(writer).expect("written");
            expect_same(read(run.scan()).expect("a scan"), std::mem::take(&mut model).into_iter(), &format!("{seed}"));
            assert!(sorter.is_empty() && sorter.bytes() == 0);
        }
    }
}
