//! Aggregates whose state is a few numbers: the frame around what a row changes of them.
//!
//! A [`Fold`] says what one row does to one state; [`Folds`] holds the states of all groups and does the rest of
//! [`States`]. The state is `Copy` and has no heap memory, so the memory of all groups is the capacity of one vector.

use super::{Failed, States};
use crate::error::{Error, Result};
use crate::types::row::Input;
use crate::types::{Builder, View, grow};

/// How one row after the other changes the state of a group, and what comes of it.
pub(super) trait Fold: Send + Sync {
    /// What is kept for a group: it holds no memory of its own.
    type State: Default + Copy + Send + Sync;

    /// Takes in the arguments of a row (sign 1), or takes them back (sign −1).
    ///
    /// # Errors
    /// Why the row cannot be taken in; the state is as before.
    fn change(&self, state: &mut Self::State, args: &[View], row: usize, sign: i64) -> Result<(), String>;

    /// Takes in the rows of another state, which came later.
    ///
    /// # Errors
    /// Why they cannot be taken in; the state is as before.
    fn merge(&self, state: &mut Self::State, other: Self::State) -> Result<(), String>;

    /// Appends the result.
    fn result(&self, state: &Self::State, out: &mut Builder);

    /// Appends the state as bytes.
    fn save(&self, state: &Self::State, out: &mut Vec<u8>);

    /// The state that [`Fold::save`] wrote.
    ///
    /// # Errors
    /// A bug: the bytes break off, or are no state that [`Fold::save`] could have written.
    fn load(&self, input: &mut Input) -> Result<Self::State>;
}

/// The states of a fold.
pub(super) struct Folds<F: Fold> {
    fold: F,
    states: Vec<F::State>,
    /// The first failure since the last report, and how many there were.
    failed: Option<Failed>,
}

impl<F: Fold + 'static> Folds<F> {
    /// Empty states of a fold.
    pub(super) fn boxed(fold: F) -> Box<dyn States>
    where
        F::State: 'static,
    {
        Box::new(Folds { fold, states: Vec::new(), failed: None })
    }

    /// A row that fails leaves its group as it was.
    #[inline]
    fn change(&mut self, group: u32, row: u32, args: &[View], sign: i64) {
        if let Err(message) = self.fold.change(&mut self.states[group as usize], args, row as usize, sign) {
            self.failed.get_or_insert_with(|| Failed { rows: Vec::new(), message }).rows.push(row);
        }
    }
}

impl<F: Fold + 'static> States for Folds<F>
where
    F::State: 'static,
{
    fn grow(&mut self, groups: usize) {
        grow::resize(&mut self.states, groups, F::State::default());
    }

    fn address(&self, group: u32) -> *const u8 {
        self.states.as_ptr().wrapping_add(group as usize).cast()
    }

    fn update(&mut self, groups: &[u32], rows: &[u32], args: &[View], mut after: Option<&mut Builder>) -> Result<()> {
        for (group, row) in groups.iter().zip(rows) {
            self.change(*group, *row, args, 1);
            if let Some(out) = &mut after {
                self.fold.result(&self.states[*group as usize], out);
            }
        }
        Ok(())
    }

    fn undo(&mut self, group: u32, row: u32, args: &[View]) -> Result<()> {
        self.change(group, row, args, -1);
        Ok(())
    }

    fn merge(&mut self, into: u32, from: u32) -> Result<()> {
        // The rows of `from` came first.
        let mut merged = std::mem::take(&mut self.states[from as usize]);
        let later = self.states[into as usize];
        self.fold.merge(&mut merged, later).map_err(Error::invalid)?;
        self.states[into as usize] = merged;
        Ok(())
    }

    fn result(&self, group: u32, out: &mut Builder) -> Result<()> {
        self.fold.result(&self.states[group as usize], out);
        Ok(())
    }

    fn encode(&self, group: u32, out: &mut Vec<u8>) {
        self.fold.save(&self.states[group as usize], out);
    }

    fn decode(&mut self, group: u32, input: &mut Input) -> Result<()> {
        self.states[group as usize] = self.fold.load(input)?;
        Ok(())
    }

    fn take_failed(&mut self) -> Option<Failed> {
        self.failed.take()
    }

    fn memory(&self) -> usize {
        self.states.capacity() * size_of::<F::State>()
    }
}
