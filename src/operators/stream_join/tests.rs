//! What is kept of a join's state, and what becomes of it: a join that was made anew gives the same as one that never ended.

use std::collections::BTreeMap;

use super::*;
use crate::disk::double::Random;
use crate::operators::{Limit, Log};
use crate::state::{BucketId, EntryBatch};
use crate::types::row::Input;
use crate::types::{Seq, Value, array_of};

const COLUMNS: [SqlType; 2] = [SqlType::String, SqlType::Bigint];

fn join() -> StreamJoin {
    join_within(2_000, 2_000, 1_000)
}

fn join_within(before_ms: i64, after_ms: i64, grace_ms: i64) -> StreamJoin {
    let side = |preserved| SideSpec { key: 0, columns: vec![(1, SqlType::Bigint)], preserved };
    StreamJoin::new(Spec {
        sides: [side(true), side(false)],
        key_type: SqlType::String,
        before_ms,
        after_ms,
        grace_ms: Some(grace_ms),
        implicit_grace_ms: 0,
        key_bytes: std::sync::Arc::new(|keys| Ok(keys.iter().map(|key| key.to_vec()).collect())),
    })
}

/// Takes one row; what came of it, as text.
fn take(join: &mut StreamJoin, side: Side, key: &str, time: i64, seq: u64) -> Vec<String> {
    let values = [Value::String(key.to_owned()), Value::Bigint(seq as i64)];
    let columns = values.iter().zip(&COLUMNS).map(|(value, t)| array_of([value], t)).collect();
    let row = Batch::new(columns, vec![time].into(), Seq::Each(vec![seq].into()));
    let (mut log, mut out) = (Log::default(), Output::new(Limit { rows: usize::MAX, bytes: usize::MAX }));
    let limits = [i64::MAX; 2];
    let mut cx =
        Context { limits: &limits, now_ms: 0, end: seq + 1, origin: &|_| None, point_ms: &|_| i64::MAX, log: &mut log };
    let flow = join.process(side as usize, row, &mut cx, &mut out).expect("no row is broken");
    assert_eq!(flow, Flow::Done);
    assert_eq!(join.advance(&mut cx, &mut out).expect("no row is broken"), Flow::Done);
    let out: Vec<Batch> = out.drain().collect();
    let shown = |batch: &Batch, row: usize| {
        let value = |place: usize| Value::at(batch.columns[place].as_ref(), row, &SqlType::Bigint);
        format!("{:?} {:?} at {}", value(1), value(2), batch.time[row])
    };
    out.iter().flat_map(|batch| (0..batch.rows()).map(move |row| shown(batch, row))).collect()
}

/// What is committed of an epoch.
struct Epoch {
    changes: Vec<(BucketId, Vec<u8>, Option<Vec<u8>>)>,
    times: Vec<u8>,
    horizon: BucketId,
}

fn end_epoch(join: &mut StreamJoin) -> Epoch {
    let (mut changes, mut times) = (Vec::new(), Vec::new());
    join.take_changes(&mut |bucket, key, value| changes.push((bucket, key.to_vec(), value.map(<[u8]>::to_vec))));
    join.save_times(&mut times);
    Epoch { changes, times, horizon: join.horizon() }
}

/// Two joins that get the same rows. One of them lives on, the other is lost again and again and made anew from what is kept.
struct Machine {
    random: Random,
    lives: StreamJoin,
    join: StreamJoin,
    /// The entries of the last checkpoint.
    kept: BTreeMap<(BucketId, Vec<u8>), Vec<u8>>,
    /// The epochs after it.
    epochs: Vec<Epoch>,
    /// The rows since the last epoch.
    rows: Vec<(Side, String, i64, u64)>,
    seq: u64,
    time: [i64; 2],
}

impl Machine {
    fn new(seed: u64) -> Self {
        Machine {
            random: Random::new(seed),
            lives: join(),
            join: join(),
            kept: BTreeMap::new(),
            epochs: Vec::new(),
            rows: Vec::new(),
            seq: 0,
            time: [100; 2],
        }
    }

    /// Rows of one side or the other, one of which may be far behind the other.
    fn take_rows(&mut self, step: usize) {
        for _ in 0..self.random.below(4) {
            let side = if self.random.one_in(2) { Side::Left } else { Side::Right };
            let time = &mut self.time[side as usize];
            let most = if self.random.one_in(8) { 9_000 } else { 60 };
            *time += self.random.below(most) as i64;
            let time = (*time - self.random.below(200) as i64).max(0);
            let key = format!("k{}", self.random.below(3));
            self.seq += 1;
            let wanted = take(&mut self.lives, side, &key, time, self.seq);
            assert_eq!(take(&mut self.join, side, &key, time, self.seq), wanted, "step {step}");
            self.rows.push((side, key, time, self.seq));
        }
    }

    fn end(&mut self) {
        end_epoch(&mut self.lives);
        let epoch = end_epoch(&mut self.join);
        self.epochs.push(epoch);
        self.rows.clear();
    }

    /// Keeps all that is decided, but for the last epochs: as a checkpoint does that others overtake.
    fn checkpoint(&mut self) {
        let count = self.random.below(1 + self.epochs.len() as u64) as usize;
        let last = self.epochs.iter().take(count).map(|epoch| epoch.horizon).max();
        for (bucket, key, value) in self.epochs.drain(..count).flat_map(|epoch| epoch.changes) {
            match value {
                Some(value) => self.kept.insert((bucket, key), value),
                None => self.kept.remove(&(bucket, key)),
            };
        }
        self.kept.retain(|(bucket, _), _| last.is_none_or(|horizon| *bucket >= horizon));
    }

    /// The join as the next process has it: from what is kept, and with the rows that were not committed once more.
    fn restart(&mut self, times: &[u8]) {
        self.join = join();
        let kept = self.kept.iter().map(|((bucket, key), value)| (*bucket, key.as_slice(), Some(value.as_slice())));
        let changes = self.epochs.iter().flat_map(|epoch| &epoch.changes);
        for (bucket, key, value) in kept.chain(changes.map(|(b, k, v)| (*b, k.as_slice(), v.as_deref()))) {
            let mut batch = EntryBatch::default();
            batch.push(key, value);
            self.join.load(bucket, &batch).expect("no entry is broken");
        }
        self.join.load_times(&mut Input(times)).expect("whole times");
        for (side, key, time, seq) in &self.rows {
            take(&mut self.join, *side, key, *time, *seq);
        }
    }
}

#[test]
fn a_join_goes_on_from_what_was_kept_as_if_it_had_never_ended() {
    for seed in 0..300 {
        let mut machine = Machine::new(seed);
        let mut times = None;
        for step in 0..60 {
            machine.take_rows(step);
            match machine.random.below(5) {
                0 => machine.checkpoint(),
                1 | 2 => {
                    machine.end();
                    times = machine.epochs.last().map(|epoch| epoch.times.clone());
                }
                3 if times.is_some() => machine.restart(times.as_deref().unwrap_or_default()),
                _ => {}
            }
        }
    }
}

#[test]
fn a_row_that_found_its_partner_in_the_epoch_in_which_it_was_saved_does_not_wait_after_a_restart() {
    let mut join = join();
    take(&mut join, Side::Left, "k", 100, 1);
    let first = end_epoch(&mut join);
    assert_eq!(take(&mut join, Side::Right, "k", 105, 2).len(), 1, "a pair");
    let second = end_epoch(&mut join);
    let mut next = self::join();
    for (bucket, key, value) in first.changes.iter().chain(&second.changes) {
        let mut batch = EntryBatch::default();
        batch.push(key, value.as_deref());
        next.load(*bucket, &batch).expect("no entry is broken");
    }
    next.load_times(&mut Input(&second.times)).expect("whole times");
    let shown = take(&mut next, Side::Right, "other", 50_000, 3);
    assert!(shown.is_empty(), "the row has had its pair, and is shown without a partner besides: {shown:?}");
}

#[test]
fn the_horizon_is_that_of_the_side_that_is_behind() {
    let mut join = join();
    take(&mut join, Side::Left, "k", 100, 1);
    take(&mut join, Side::Right, "k", 100, 2);
    end_epoch(&mut join);
    take(&mut join, Side::Left, "k", 90_000, 3);
    let early = end_epoch(&mut join).horizon;
    take(&mut join, Side::Right, "k", 110, 4);
    assert!(end_epoch(&mut join).changes.iter().all(|(bucket, _, _)| *bucket >= early), "a row of the right side");
    take(&mut join, Side::Right, "k", 90_000, 5);
    assert!(end_epoch(&mut join).horizon > early);
}

#[test]
fn a_row_that_is_expired_and_must_wait_does_not_bring_its_bucket_back() {
    let mut join = join_within(0, 2_000, 0);
    let border = crate::state::bucket_ms(2_000, 1) - 1;
    assert_eq!(take(&mut join, Side::Left, "a", border, 1), [""; 0]);
    end_epoch(&mut join);
    assert_eq!(take(&mut join, Side::Right, "a", border, 2).len(), 1, "it waits no more");
    assert_eq!(take(&mut join, Side::Left, "b", border + 2_000, 3), [""; 0]);
    assert_eq!(take(&mut join, Side::Right, "z", border + 2_000, 4), [""; 0]);
    let before = end_epoch(&mut join);
    assert!(before.horizon > join.store.bucket(border), "its bucket is dropped");
    // Just expired, and yet not over: it waits.
    assert_eq!(take(&mut join, Side::Left, "c", border, 5), [""; 0]);
    let after = end_epoch(&mut join);
    assert!(after.horizon >= before.horizon, "{} after {}", after.horizon, before.horizon);
    let mut copy = join_within(0, 2_000, 0);
    for (bucket, key, value) in &after.changes {
        let mut entry = EntryBatch::default();
        entry.push(key, value.as_deref());
        copy.load(*bucket, &entry).expect("an entry");
    }
    copy.load_times(&mut Input(&after.times)).expect("the times");
    let alone = take(&mut join, Side::Right, "x", border + 2_001, 6);
    assert_eq!(alone.len(), 1, "{alone:?}");
    assert_eq!(take(&mut copy, Side::Right, "x", border + 2_001, 6), alone);
}
