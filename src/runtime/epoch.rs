//! Epochs: what a query commits, and how it resumes after a commit.
//!
//! A *whole* epoch has the positions, times and changes of state of all that was done since the last one. If the results of one
//! turn are too many to wait for that, a *part* is committed before: its records alone, with what it takes to make the same
//! records again. After a restart the turns of an unfinished epoch are repeated exactly, and the records that were
//! committed are left out. This needs results that depend on nothing but the rows and what a [`TurnRecord`] has.
//!
//! The head of an epoch, as the journal keeps it, is one of two. Numbers of 8 bytes are little-endian.
//!
//! ```text
//! whole   0
//!         for each source and partition   position (varint), stream time (8), 1 if idle (1)
//!         for each task                   next ordinal (varint); for each stateful operator its times (length, bytes);
//!                                         in the last stage stream time (8) and number of records (varint)
//!         rows taken                      varint
//!         rows dropped                    varint for each reason, in the order of `Reason::ALL`
//! part    1
//!         head of the last whole epoch    1 or 0 for whether there is one; length, bytes (without its first byte)
//!         whether the epoch was ending    1
//!         turns since then                number (varint), each as a turn record
//!         rows dealt with                 varint for each task of the last stage
//! ```
//!
//! The delta of a part is empty: state changes only with whole epochs.

use std::sync::atomic::Ordering;

use rayon::prelude::*;

use super::points::Point;
use super::query::QueryRun;
use super::stages::{Passed, Stages};
use super::task::Task;
use crate::error::{Error, Result};
use crate::journal::{Epoch, EpochHead};
use crate::operators::Reason;
use crate::topics::Offset;
use crate::types::row::{Input, put_bytes, put_varint};

/// What was begun and is not finished.
///
/// Of it a part of an epoch saves only whether the epoch was ending; a turn is begun again from its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// A turn that took so many rows.
    Turn { rows: usize },
    /// The end of an epoch.
    Flush,
}

/// What was saved of an epoch that ends. Its flush is over, and its tasks have handed over changes: it is saved to its end
/// before anything else is begun.
pub(super) struct Saving {
    head: Vec<u8>,
    /// In pieces, as in [`Epoch::delta`].
    delta: Vec<Vec<u8>>,
    /// How many tasks are saved.
    tasks: usize,
}

/// Everything that the results of a turn depend on besides the state and the rows.
///
/// ```text
/// now, point's time, code, offset    8 bytes each
/// limits                             number (varint), 8 bytes each
/// ends                               number (varint), varint each
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TurnRecord {
    pub now_ms: i64,
    /// Up to where rows were taken.
    ///
    /// Rows with this point are included.
    pub until: Point,
    /// How far each source let stream times go.
    pub limits: Vec<i64>,
    /// The positions of all partitions after the turn.
    ///
    /// Source by source and partition by partition; each is the first record that was not taken.
    pub ends: Vec<Offset>,
}

/// The result of ending an epoch.
///
/// Epochs of a query are numbered from 1 without gaps, parts included; the journal refuses any other.
pub enum Sealed {
    /// Nothing has happened.
    Nothing,
    /// Somebody waits for the query, to read it: the epoch goes on ending when they have come.
    Yielded,
    /// Records of an epoch that is not finished.
    Part(Epoch),
    /// Everything since the last whole epoch, changes of state included.
    Whole(Epoch),
}

const WHOLE: u8 = 0;
const PART: u8 = 1;

impl TurnRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.now_ms, self.until.time, i64::from(self.until.code), self.until.offset] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        put_varint(out, self.limits.len() as u64);
        self.limits.iter().for_each(|limit| out.extend_from_slice(&limit.to_le_bytes()));
        put_varint(out, self.ends.len() as u64);
        self.ends.iter().for_each(|end| put_varint(out, *end as u64));
    }

    fn decode(input: &mut Input) -> Result<TurnRecord> {
        let now_ms = input.i64()?;
        let until = Point { time: input.i64()?, code: input.i64()? as u32, offset: input.i64()? };
        let limits = (0..input.varint()?).map(|_| input.i64()).collect::<Result<_>>()?;
        let ends = (0..input.varint()?).map(|_| Ok(input.varint()? as Offset)).collect::<Result<_>>()?;
        Ok(TurnRecord { now_ms, until, limits, ends })
    }
}

/// The positions of a query with so many source partitions after its last whole epoch: what is before them is never read
/// again. In the order of [`QueryRun::positions`]; `None` if there was no whole epoch yet.
///
/// # Errors
/// The bytes are not those of a head.
pub fn whole_positions(head: &EpochHead, partitions: usize) -> Result<Option<Vec<Offset>>> {
    let mut input = Input(&head.bytes);
    let bytes = match input.byte()? == WHOLE {
        true => input.0,
        false if input.byte()? == 1 => input.bytes()?,
        false => return Ok(None),
    };
    let mut input = Input(bytes);
    let mut position = || {
        let position = input.varint()? as Offset;
        input.i64()?;
        input.byte()?;
        Ok(position)
    };
    (0..partitions).map(|_| position()).collect::<Result<_>>().map(Some)
}

impl QueryRun {
    /// What [`QueryRun::seal`] does.
    pub(super) fn end_epoch(&mut self, threads: Option<&rayon::ThreadPool>) -> Result<Sealed> {
        if !self.dirty {
            return Ok(Sealed::Nothing);
        }
        if !self.redo.0.is_empty() {
            // A part is committed after whole turns and the beginning of one more. So what the turns before the last one make
            // again was committed.
            debug_assert_eq!(self.pending_bytes(), 0, "repeated turns have made what is not committed");
            return Ok(Sealed::Nothing);
        }
        if self.saving.is_none() {
            let is_turn = matches!(self.open, Some((Open::Turn { .. }, _)));
            match if is_turn { Passed::Full } else { self.flush(threads)? } {
                Passed::Whole => {}
                Passed::Full => return Ok(self.part()),
                Passed::Yielded => return Ok(Sealed::Yielded),
            }
            if self.stages.iter().filter_map(Task::sink).any(|sink| sink.skip > 0) {
                return Err(Error::bug("repeated turns made fewer results than before"));
            }
            self.collect_log();
        }
        let Some((head, delta)) = self.save(threads)? else { return Ok(Sealed::Yielded) };
        self.turns.clear();
        (self.redo.1, self.must_end) = (false, false);
        self.cursors.iter_mut().flatten().for_each(|cursor| cursor.taken_bytes = 0);
        self.stages.iter_mut().filter_map(Task::sink_mut).for_each(|sink| sink.emitted = 0);
        self.dirty = false;
        let mut bytes = vec![WHOLE];
        bytes.extend_from_slice(&head);
        self.base = Some(head);
        let epoch = self.epoch_of(bytes, delta);
        self.end_undo(epoch.head.number);
        Ok(Sealed::Whole(epoch))
    }

    /// The records that were made, with what it takes to make them again.
    ///
    /// The turns in it are those since the last whole epoch, so a long turn that is committed in many parts repeats a
    /// small record each time, and never its rows.
    fn part(&mut self) -> Sealed {
        if self.pending_bytes() == 0 {
            return Sealed::Nothing;
        }
        let mut bytes = vec![PART, u8::from(self.base.is_some())];
        put_bytes(&mut bytes, self.base.as_deref().unwrap_or_default());
        bytes.push(u8::from(matches!(self.open, Some((Open::Flush, _)))));
        put_varint(&mut bytes, self.turns.len() as u64);
        self.turns.iter().for_each(|turn| turn.encode(&mut bytes));
        for sink in self.stages.iter().filter_map(Task::sink) {
            put_varint(&mut bytes, sink.emitted + sink.skip);
        }
        Sealed::Part(self.epoch_of(bytes, Vec::new()))
    }

    fn epoch_of(&mut self, bytes: Vec<u8>, delta: Vec<Vec<u8>>) -> Epoch {
        self.epoch = self.epoch.next();
        let outputs = self.stages.iter_mut().filter_map(Task::sink_mut).flat_map(|sink| sink.take_records()).collect();
        Epoch { head: EpochHead { query: self.number, number: self.epoch, bytes }, delta, outputs, asides: Vec::new() }
    }

    /// The head and the delta of a whole epoch, or `None` if somebody waits for the query: then a further call goes on. With
    /// threads, the tasks are saved at the same time and put together in their order, so the bytes are the same.
    fn save(&mut self, threads: Option<&rayon::ThreadPool>) -> Result<Option<(Vec<u8>, Vec<Vec<u8>>)>> {
        let mut saving = self.saving.take().unwrap_or_else(|| self.begin_saving());
        match threads.filter(|_| self.is_large) {
            Some(threads) => self.save_together(&mut saving, threads)?,
            None if self.save_one_by_one(&mut saving)? => {}
            None => {
                self.saving = Some(saving);
                return Ok(None);
            }
        }
        let Saving { mut head, delta, .. } = saving;
        put_varint(&mut head, self.rows);
        for reason in Reason::ALL {
            put_varint(&mut head, self.totals.get(&reason).copied().unwrap_or_default());
        }
        Ok(Some((head, delta)))
    }

    /// Saves the tasks that are left, one after the other; false if it stopped for those who wait.
    ///
    /// Something is saved in each call, so that it ends however often somebody comes.
    fn save_one_by_one(&mut self, saving: &mut Saving) -> Result<bool> {
        let may_yield = self.stages.may_yield();
        let Stages { tasks, waiting, is_looked_at, .. } = &mut self.stages;
        let stops = || may_yield && waiting.load(Ordering::Relaxed) > 0;
        let mut has_saved = false;
        for task in tasks.iter_mut().flatten().skip(saving.tasks) {
            let mut is_left = true;
            while is_left {
                if has_saved && stops() {
                    return Ok(false);
                }
                let some = if *is_looked_at { task.save_some()? } else { None };
                is_left = some.is_some();
                saving.delta.extend(some);
                has_saved = true;
            }
            let delta = task.save(&mut saving.head)?;
            saving.delta.extend((!delta.is_empty()).then_some(delta));
            saving.tasks += 1;
        }
        Ok(true)
    }

    /// Saves the tasks that are left at the same time.
    fn save_together(&mut self, saving: &mut Saving, threads: &rayon::ThreadPool) -> Result<()> {
        let tasks: Vec<&mut Task> = self.stages.iter_mut().skip(saving.tasks).collect();
        let save = |task: &mut Task| {
            let mut head = Vec::new();
            task.save(&mut head).map(|delta| (head, delta))
        };
        let saved: Result<Vec<_>> = self.intake.beside(threads, |_| tasks.into_par_iter().map(save).collect());
        for (own_head, own_delta) in saved? {
            saving.head.extend_from_slice(&own_head);
            saving.delta.extend((!own_delta.is_empty()).then_some(own_delta));
        }
        Ok(())
    }

    /// The positions of an epoch, before what its tasks save.
    fn begin_saving(&self) -> Saving {
        let mut head = Vec::new();
        for cursor in self.cursors.iter().flatten() {
            put_varint(&mut head, cursor.position() as u64);
            head.extend_from_slice(&cursor.stream_time().to_le_bytes());
            head.push(u8::from(cursor.idle));
        }
        Saving { head, delta: Vec::new(), tasks: 0 }
    }

    /// Resumes after an epoch whose state has been loaded.
    ///
    /// Afterwards turns are repeated until those of the head are done; their first records are not written again.
    ///
    /// # Errors
    /// The bytes are not those of a head of this program.
    pub fn resume(&mut self, head: &EpochHead) -> Result<()> {
        let mut input = Input(&head.bytes);
        self.epoch = head.number;
        if input.byte()? == WHOLE {
            self.base = Some(input.0.to_vec());
            return self.load_head(&mut input);
        }
        let has_base = input.byte()? == 1;
        let base = input.bytes()?;
        if has_base {
            self.base = Some(base.to_vec());
            self.load_head(&mut Input(base))?;
        }
        self.redo.1 = input.byte()? == 1;
        for _ in 0..input.varint()? {
            self.redo.0.push_back(TurnRecord::decode(&mut input)?);
        }
        for sink in self.stages.iter_mut().filter_map(Task::sink_mut) {
            sink.skip = input.varint()?;
        }
        self.dirty = true;
        Ok(())
    }

    /// Reads in exactly the order in which [`QueryRun::save`] writes.
    fn load_head(&mut self, input: &mut Input) -> Result<()> {
        for cursor in self.cursors.iter_mut().flatten() {
            let position = input.varint()? as i64;
            let stream_time = input.i64()?;
            cursor.resume(position, stream_time, input.byte()? != 0);
        }
        for task in self.stages.iter_mut() {
            task.load_head(input)?;
        }
        self.rows = input.varint()?;
        for reason in Reason::ALL {
            self.totals.insert(reason, input.varint()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_survive_the_way_through_bytes() {
        let until = Point { time: -1, code: u32::MAX, offset: i64::MAX };
        let turn = TurnRecord { now_ms: 7, until, limits: vec![i64::MAX, 3], ends: vec![0, 9] };
        let mut bytes = Vec::new();
        turn.encode(&mut bytes);
        assert_eq!(TurnRecord::decode(&mut Input(&bytes)).expect("whole"), turn);
    }
}
