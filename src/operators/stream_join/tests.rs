//! What checkpoints and changes make of a join's state: whenever it is walked, it comes out whole.

use std::collections::BTreeMap;

use super::*;
use crate::disk::double::Random;
use crate::operators::Log;
use crate::types::{Value, array_of};

const COLUMNS: [SqlType; 2] = [SqlType::String, SqlType::Bigint];

fn join() -> StreamJoin {
    let side = |preserved| SideSpec { key: 0, columns: vec![(1, SqlType::Bigint)], preserved };
    StreamJoin::new(Spec {
        sides: [side(true), side(false)],
        key_type: SqlType::String,
        before_ms: 2_000,
        after_ms: 2_000,
        grace_ms: Some(1_000),
        implicit_grace_ms: 0,
        key_bytes: std::sync::Arc::new(|key| Ok(key.to_vec())),
    })
}

/// Takes one row; what came of it, as text.
fn take(join: &mut StreamJoin, side: Side, key: &str, time: i64, seq: u64) -> Vec<String> {
    let values = [Value::String(key.to_owned()), Value::Bigint(seq as i64)];
    let columns = values.iter().zip(&COLUMNS).map(|(value, t)| array_of([value], t)).collect();
    let row = Batch::new(columns, vec![time].into(), Seq::Each(vec![seq].into()));
    let mut ports = vec![Batch::default(), Batch::default()];
    ports[side as usize] = row;
    let (mut log, mut out) = (Log::default(), Vec::new());
    let limits = [i64::MAX; 2];
    join.process(ports, &mut Context { time_limits: &limits, log: &mut log }, &mut out).expect("no row is broken");
    let shown = |batch: &Batch, row: usize| {
        let value = |place: usize| Value::at(batch.columns[place].as_ref(), row, &SqlType::Bigint);
        format!("{:?} {:?} at {}", value(1), value(2), batch.time[row])
    };
    out.iter().flat_map(|batch| (0..batch.rows()).map(move |row| shown(batch, row))).collect()
}

/// A change or an entry of a file: bucket, key and value.
type Entry = (BucketId, Vec<u8>, Option<Vec<u8>>);

/// What is committed of an epoch.
struct Epoch {
    changes: Vec<Entry>,
    times: Vec<u8>,
}

fn end_epoch(join: &mut StreamJoin) -> Epoch {
    let (mut changes, mut times) = (Vec::new(), Vec::new());
    join.take_changes(&mut |bucket, key, value| changes.push((bucket, key.to_vec(), value.map(<[u8]>::to_vec))));
    join.save_times(&mut times);
    Epoch { changes, times }
}

/// The files of a checkpoint: of each bucket its version and its entries.
type Files = BTreeMap<BucketId, (u64, Vec<Entry>)>;

/// A join with all that a machine keeps of it.
struct Machine {
    random: Random,
    join: StreamJoin,
    files: Files,
    /// The epochs that the files do not have.
    epochs: Vec<Epoch>,
    seq: u64,
    time: [i64; 2],
}

impl Machine {
    /// Rows of one side or the other, one of which may be far behind the other.
    fn rows(&mut self) {
        for _ in 0..self.random.below(4) {
            let side = if self.random.one_in(2) { Side::Left } else { Side::Right };
            let time = &mut self.time[side as usize];
            let most = if self.random.one_in(8) { 9_000 } else { 60 };
            *time += self.random.below(most) as i64;
            let time = *time - self.random.below(200) as i64;
            let key = format!("k{}", self.random.below(3));
            self.seq += 1;
            take(&mut self.join, side, &key, time.max(0), self.seq);
        }
    }

    /// Walks the state a few entries at a time, as a checkpoint does, while rows come and epochs end.
    fn checkpoint(&mut self) {
        let before = self.epochs.len();
        let mut files = Files::new();
        for bucket in self.join.buckets() {
            self.rows();
            let version = self.join.version(bucket);
            if let Some(known) = self.files.get(&bucket).filter(|(known, _)| *known == version) {
                files.insert(bucket, known.clone());
                continue;
            }
            let (mut entries, mut next) = (Vec::new(), Some(Place::START));
            while let Some(from) = next {
                let mut room = 1 + self.random.below(4);
                next = self.join.dump(bucket, from, &mut |key, value| {
                    entries.push((bucket, key.to_vec(), Some(value.to_vec())));
                    room -= 1;
                    room > 0
                });
                self.rows();
                if self.random.one_in(3) {
                    self.end();
                }
            }
            files.insert(bucket, (version, entries));
        }
        // It counts when all that it caught is decided; what was decided before it is not needed any more.
        self.end();
        self.epochs.drain(..before);
        self.files = files;
    }

    fn end(&mut self) {
        let epoch = end_epoch(&mut self.join);
        self.epochs.push(epoch);
    }

    /// The join as the next process has it.
    fn recovered(&self) -> StreamJoin {
        let mut join = join();
        let entries = self.files.values().flat_map(|(_, entries)| entries);
        for (bucket, key, value) in entries.chain(self.epochs.iter().flat_map(|epoch| &epoch.changes)) {
            join.load(*bucket, key, value.as_deref()).expect("no entry is broken");
        }
        if let Some(last) = self.epochs.last() {
            join.load_times(&mut Input(&last.times)).expect("whole times");
        }
        join
    }
}

/// All entries, each with its bucket.
fn entries(join: &StreamJoin) -> Vec<Entry> {
    let mut all = Vec::new();
    for bucket in join.buckets() {
        join.dump(bucket, Place::START, &mut |key, value| {
            all.push((bucket, key.to_vec(), Some(value.to_vec())));
            true
        });
    }
    all
}

#[test]
fn a_checkpoint_and_the_changes_behind_it_make_the_state_whole() {
    for seed in 0..300 {
        let (random, files, epochs) = (Random::new(seed), Files::new(), Vec::new());
        let mut machine = Machine { random, join: join(), files, epochs, seq: 0, time: [100; 2] };
        for step in 0..60 {
            machine.rows();
            match machine.random.below(4) {
                0 => machine.checkpoint(),
                1 | 2 => machine.end(),
                _ => continue,
            }
            let recovered = machine.recovered();
            assert_eq!(entries(&recovered), entries(&machine.join), "seed {seed}, step {step}");
            if machine.random.one_in(2) {
                machine.join = recovered;
                // The next process knows of no file what it holds.
                machine.files.values_mut().for_each(|(version, _)| *version = u64::MAX);
            }
        }
    }
}

#[test]
fn a_row_that_found_its_partner_in_the_epoch_in_which_it_was_walked_does_not_wait_after_a_restart() {
    let mut join = join();
    take(&mut join, Side::Left, "k", 100, 1);
    let caught = entries(&join);
    assert_eq!(take(&mut join, Side::Right, "k", 105, 2).len(), 1, "a pair");
    let epoch = end_epoch(&mut join);
    let mut next = self::join();
    for (bucket, key, value) in caught.iter().chain(&epoch.changes) {
        next.load(*bucket, key, value.as_deref()).expect("no entry is broken");
    }
    next.load_times(&mut Input(&epoch.times)).expect("whole times");
    let shown = take(&mut next, Side::Right, "other", 50_000, 3);
    assert!(shown.is_empty(), "the row has had its pair, and is shown without a partner besides: {shown:?}");
}

#[test]
fn a_bucket_that_one_side_has_left_is_another_one() {
    let mut join = join();
    take(&mut join, Side::Left, "k", 100, 1);
    end_epoch(&mut join);
    let [bucket, PARKED] = join.buckets()[..] else { panic!("{:?}", join.buckets()) };
    let version = join.version(bucket);
    // The left side goes far ahead, the right one has an early row.
    take(&mut join, Side::Left, "k", 10_000, 2);
    end_epoch(&mut join);
    take(&mut join, Side::Right, "k", 100, 3);
    end_epoch(&mut join);
    assert!(join.buckets().contains(&bucket));
    assert_ne!(join.version(bucket), version, "a file of the left row would be taken for one of the right row");
}
