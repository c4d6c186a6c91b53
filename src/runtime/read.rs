//! Reads of the table that a query keeps, between two turns, as of a commit.
//!
//! A reader never waits for a turn to be undone or stops a query: the operators keep undo maps while somebody reads
//! ([`crate::operators::table`]), and a read takes what was before the epochs that are not committed.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::query::QueryRun;
use super::task::Task;
use crate::error::Result;
use crate::ids::EpochNumber;
use crate::operators::table::{Table, Walk, WindowRange};
use crate::types::{Batch, Value};

/// What a query keeps for readers of its table.
#[derive(Default)]
pub(super) struct Undo {
    /// Whether undo maps are kept.
    keeps: bool,
    /// The first epoch as of which the table can be read.
    ///
    /// `None` before the end of the epoch in which the maps were begun.
    from: Option<EpochNumber>,
    /// How many walks there are as of each epoch.
    pins: BTreeMap<EpochNumber, usize>,
}

/// Where a walk over the table of a query goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableWalk {
    task: usize,
    place: Walk,
}

impl TableWalk {
    /// Before the first row.
    pub const START: TableWalk = TableWalk { task: 0, place: Walk::START };

    /// The partition of the rows that come next.
    pub fn partition(&self) -> usize {
        self.task
    }
}

impl QueryRun {
    /// Whether the query keeps a table.
    pub fn keeps_table(&mut self) -> bool {
        self.tables().next().is_some()
    }

    /// The parts of the table that readers see: those of the tasks of the last stage.
    fn tables(&mut self) -> impl Iterator<Item = &mut dyn Table> {
        let tasks = self.stages.tasks.last_mut().into_iter().flatten();
        tasks.filter_map(|task| task.table().map(|(_, table)| table))
    }

    /// The first epoch as of which the table can be read: that one must be committed. Undo maps are kept from the first
    /// call on. `None` as long as the epoch has not ended that was open then, and if the query has failed.
    pub fn readable_from(&mut self) -> Option<EpochNumber> {
        if self.is_half_done() {
            return None;
        }
        if !self.undo.keeps {
            self.set_undo(true);
            self.undo.from = (!self.dirty).then_some(self.epoch);
        }
        self.undo.from
    }

    /// Keeps no undo maps any more, unless a walk needs them.
    pub fn end_reading(&mut self) {
        if self.undo.keeps && self.undo.pins.is_empty() {
            self.set_undo(false);
            self.undo.from = None;
        }
    }

    fn set_undo(&mut self, keeps: bool) {
        self.undo.keeps = keeps;
        self.stages.is_looked_at &= keeps;
        self.tables().for_each(|table| table.keep_undo(keeps));
    }

    /// A whole epoch has ended.
    pub(super) fn end_undo(&mut self, number: EpochNumber) {
        if !self.undo.keeps {
            return;
        }
        self.undo.from.get_or_insert(number);
        self.tables().for_each(|table| table.end_epoch(number));
    }

    /// Drops undo maps that no reader needs, now that this epoch is committed, and merges those that none tells apart. With
    /// threads, the maps of all tasks at the same time.
    ///
    /// # Errors
    /// A bug.
    pub fn forget_undo(&mut self, committed: EpochNumber, threads: Option<&rayon::ThreadPool>) -> Result<()> {
        if !self.undo.keeps {
            return Ok(());
        }
        let mut readers: Vec<EpochNumber> = self.undo.pins.range(..committed).map(|(epoch, _)| *epoch).collect();
        readers.push(committed);
        let forget = |task: &mut Task| task.table().map_or(Ok(()), |(_, table)| table.forget_undo(&readers));
        let tasks = self.stages.tasks.last_mut().map(Vec::as_mut_slice).unwrap_or_default();
        match threads.filter(|_| self.is_large) {
            Some(threads) => threads.install(|| tasks.par_iter_mut().try_for_each(forget)),
            None => tasks.iter_mut().try_for_each(forget),
        }
    }

    /// Keeps what a walk as of an epoch needs, until [`QueryRun::unpin`].
    pub fn pin(&mut self, as_of: EpochNumber) {
        *self.undo.pins.entry(as_of).or_default() += 1;
    }

    /// A walk as of an epoch is over.
    pub fn unpin(&mut self, as_of: EpochNumber) {
        if let Some(count) = self.undo.pins.get_mut(&as_of) {
            *count -= 1;
            if *count == 0 {
                self.undo.pins.remove(&as_of);
            }
        }
    }

    /// The rows of some keys as of an epoch: the result's columns, then the start of the window if the key has one.
    ///
    /// # Errors
    /// A bug, or damaged state.
    pub fn look_up(&mut self, as_of: EpochNumber, windows: &WindowRange, keys: &[Vec<Value>]) -> Result<Vec<Batch>> {
        self.stages.is_looked_at = true;
        let places = self.table_columns();
        let mut all = Vec::new();
        for task in self.stages.tasks.last_mut().into_iter().flatten() {
            let Some((operator, table)) = task.table() else { continue };
            let rows = table.look_up(as_of, windows, keys)?;
            all.extend(task.project(operator, rows)?.iter().map(|batch| batch.project(&places)));
        }
        Ok(all)
    }

    /// The next rows of a walk over the table as of an epoch, and where it goes on, `None` if it is over. Between two
    /// calls the query may take turns, if the epoch is pinned.
    ///
    /// # Errors
    /// As for [`QueryRun::look_up`].
    pub fn walk(
        &mut self,
        as_of: EpochNumber,
        windows: &WindowRange,
        from: TableWalk,
    ) -> Result<(Vec<Batch>, Option<TableWalk>)> {
        let places = self.table_columns();
        let tasks = self.stages.tasks.last_mut().map(Vec::as_mut_slice).unwrap_or_default();
        let count = tasks.len();
        let Some(task) = tasks.get_mut(from.task) else { return Ok((Vec::new(), None)) };
        let after = (from.task + 1 < count).then_some(TableWalk { task: from.task + 1, place: Walk::START });
        let Some((operator, table)) = Task::table(task) else { return Ok((Vec::new(), after)) };
        let (batch, next) = table.walk(as_of, windows, from.place)?;
        let rows = task.project(operator, vec![batch])?;
        let rows = rows.iter().map(|batch| batch.project(&places)).collect();
        Ok((rows, next.map(|place| TableWalk { place, ..from }).or(after)))
    }

    /// The columns of the table, and that with the start of the window.
    fn table_columns(&self) -> Vec<usize> {
        self.program.output.iter().copied().chain(self.program.window_start).collect()
    }
}
