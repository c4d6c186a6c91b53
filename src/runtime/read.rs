//! Reads of the table that a query keeps, between two turns, as of a commit.
//!
//! A reader never waits for a turn to be undone or stops a query: the operators keep what a reader needs of rows that change
//! ([`crate::operators::table`]), and a read takes what was before the epochs that are not committed.

use rayon::prelude::*;

use super::projection::Projection;
use super::query::QueryRun;
use super::task::Task;
use crate::error::Result;
use crate::ids::{EpochNumber, WalkId};
use crate::operators::table::{AsOf, Rows, Table, WindowRange};
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
    /// The last walk that was begun.
    last: WalkId,
    /// Made with the first look-up.
    projection: Option<Projection>,
}

/// A walk over the table of a query.
#[derive(Debug)]
pub struct TableWalk {
    walk: WalkId,
    /// The tasks that may have more rows, in their order.
    left: Vec<usize>,
}

impl TableWalk {
    /// The first partition that may have more rows; `None` if there are no more.
    pub fn partition(&self) -> Option<usize> {
        self.left.first().copied()
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
        tasks.filter_map(Task::table)
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

    /// Keeps no undo maps any more. Walks go on.
    pub fn end_reading(&mut self) {
        if self.undo.keeps {
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
        if self.undo.keeps {
            self.undo.from.get_or_insert(number);
            self.tables().for_each(|table| table.end_epoch(number));
        }
    }

    /// Drops undo maps that nobody needs, now that this epoch is committed.
    pub fn forget_undo(&mut self, committed: EpochNumber) {
        if self.undo.keeps {
            self.tables().for_each(|table| table.forget_undo(committed));
        }
    }

    /// The rows of some keys: the result's columns, then the start of the window if the key has one.
    ///
    /// # Errors
    /// A bug, or damaged state.
    pub fn look_up(&mut self, as_of: EpochNumber, windows: &WindowRange, keys: &[Vec<Value>]) -> Result<Vec<Batch>> {
        self.stages.is_looked_at = true;
        self.find(AsOf::Epoch(as_of), windows, keys)
    }

    /// The same as of a walk that has not handed on anything.
    ///
    /// # Errors
    /// As for [`QueryRun::look_up`].
    pub fn look_up_in(&mut self, walk: &TableWalk, windows: &WindowRange, keys: &[Vec<Value>]) -> Result<Vec<Batch>> {
        self.find(AsOf::Walk(walk.walk), windows, keys)
    }

    fn find(&mut self, as_of: AsOf, windows: &WindowRange, keys: &[Vec<Value>]) -> Result<Vec<Batch>> {
        let projection = self.undo.projection.get_or_insert_with(|| Projection::new(&self.program));
        let mut all = Vec::new();
        for table in self.stages.tasks.last_mut().into_iter().flatten().filter_map(Task::table) {
            for rows in table.look_up(as_of, windows, keys)? {
                all.extend(projection.rows(rows)?);
            }
        }
        Ok(all)
    }

    /// Begins a walk as of an epoch. The caller ends it, however far it has come.
    ///
    /// # Errors
    /// A bug.
    pub fn begin_walk(&mut self, as_of: EpochNumber) -> Result<TableWalk> {
        self.begin(AsOf::Epoch(as_of))
    }

    /// Begins a walk as of the same epoch as one that has not handed on anything.
    ///
    /// # Errors
    /// A bug.
    pub fn copy_walk(&mut self, walk: &TableWalk) -> Result<TableWalk> {
        self.begin(AsOf::Walk(walk.walk))
    }

    fn begin(&mut self, as_of: AsOf) -> Result<TableWalk> {
        let walk = self.undo.last.next();
        self.undo.last = walk;
        self.tables().try_for_each(|table| table.begin_walk(walk, as_of))?;
        Ok(TableWalk { walk, left: (0..self.stages.tasks.last().map_or(0, Vec::len)).collect() })
    }

    /// What makes rows of the result of those that a walk takes.
    pub fn projection(&self) -> Projection {
        Projection::new(&self.program)
    }

    /// Takes the next rows of a walk: a piece of its first partition, or one of each of so many, on these threads. None if those
    /// have no more, and others follow, if there are any. Between two calls the query may take turns.
    ///
    /// # Errors
    /// As for [`QueryRun::look_up`].
    pub fn walk(
        &mut self,
        walk: &mut TableWalk,
        windows: &WindowRange,
        together: Option<(usize, &rayon::ThreadPool)>,
    ) -> Result<Vec<Rows>> {
        let partitions = together.map_or(1, |(partitions, _)| partitions);
        let first: Vec<usize> = walk.left.iter().take(partitions).copied().collect();
        let tasks = self.stages.tasks.last_mut().into_iter().flatten().enumerate();
        let tasks: Vec<&mut Task> = tasks.filter(|(number, _)| first.contains(number)).map(|(_, task)| task).collect();
        let id = walk.walk;
        let step = |task: &mut Task| {
            let Some(table) = task.table() else { return Ok(None) };
            let rows = table.walk(id, windows)?;
            if rows.is_none() {
                table.end_walk(id);
            }
            Ok(rows)
        };
        let stepped: Vec<Result<Option<Rows>>> = match together {
            Some((_, threads)) => self.intake.beside(threads, |_| tasks.into_par_iter().map(step).collect()),
            None => tasks.into_iter().map(step).collect(),
        };
        let (mut found, mut left) = (Vec::new(), Vec::new());
        for (task, rows) in first.iter().zip(stepped) {
            if let Some(rows) = rows? {
                found.push(rows);
                left.push(*task);
            }
        }
        left.extend_from_slice(&walk.left[first.len()..]);
        walk.left = left;
        Ok(found)
    }

    /// Ends a walk.
    pub fn end_walk(&mut self, walk: &TableWalk) {
        self.tables().for_each(|table| table.end_walk(walk.walk));
    }
}
