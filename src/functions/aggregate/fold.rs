//! Aggregates that are written as a fold over single values: the frame around them.

use std::marker::PhantomData;

use super::States;
use crate::error::Result;
use crate::types::row::{self, Input};
use crate::types::{Builder, SqlType, Value, View, array_of, grow};

/// How one row after the other changes the state of a group, and what comes of it.
pub trait Fold: Send + Sync {
    /// What is kept for a group.
    type State: Default + Send;

    /// Takes in the arguments of a row.
    fn add(&self, state: &mut Self::State, args: Vec<Value>) -> Result<()>;

    /// Takes a row back; only where the aggregate says that this can be done.
    fn undo(&self, state: &mut Self::State, args: Vec<Value>) -> Result<()> {
        let _ = (state, args);
        Err(crate::error::Error::bug("an aggregate that cannot take a row back was asked to"))
    }

    /// Takes in the rows of another state, which came later.
    fn merge(&self, state: &mut Self::State, other: Self::State) -> Result<()>;

    /// The result.
    fn result(&self, state: &Self::State) -> Value;

    /// The state as a value of [`Fold::saved_type`].
    fn save(&self, state: &Self::State) -> Value;

    /// The state that [`Fold::save`] wrote.
    fn load(&self, saved: Value) -> Self::State;

    /// The type of saved states.
    fn saved_type(&self) -> SqlType;
}

/// The states of a fold.
pub struct Folds<F: Fold> {
    fold: F,
    args: Vec<SqlType>,
    saved_type: SqlType,
    states: Vec<F::State>,
    _own: PhantomData<F::State>,
}

impl<F: Fold + 'static> Folds<F> {
    /// Empty states of a fold over arguments of these types.
    pub fn boxed(fold: F, args: &[SqlType]) -> Box<dyn States>
    where
        F::State: 'static,
    {
        let saved_type = fold.saved_type();
        Box::new(Folds { fold, args: args.to_vec(), saved_type, states: Vec::new(), _own: PhantomData })
    }

    fn values(&self, row: u32, args: &[View]) -> Vec<Value> {
        args.iter().zip(&self.args).map(|(view, sql_type)| view.value(row as usize, sql_type)).collect()
    }
}

impl<F: Fold + 'static> States for Folds<F>
where
    F::State: 'static,
{
    fn grow(&mut self, groups: usize) {
        let more = groups.saturating_sub(self.states.len());
        grow::reserve(&mut self.states, more);
        self.states.resize_with(groups, F::State::default);
    }

    fn update(&mut self, groups: &[u32], rows: &[u32], args: &[View], after: Option<&mut Builder>) -> Result<()> {
        let mut after = after;
        for (group, row) in groups.iter().zip(rows) {
            let values = self.values(*row, args);
            let state = &mut self.states[*group as usize];
            self.fold.add(state, values)?;
            if let Some(out) = &mut after {
                out.push(&self.fold.result(state));
            }
        }
        Ok(())
    }

    fn undo(&mut self, group: u32, row: u32, args: &[View]) -> Result<()> {
        let values = self.values(row, args);
        self.fold.undo(&mut self.states[group as usize], values)
    }

    fn merge(&mut self, into: u32, from: u32) -> Result<()> {
        // The rows of `from` came first.
        let later = std::mem::take(&mut self.states[into as usize]);
        let first = std::mem::take(&mut self.states[from as usize]);
        let state = &mut self.states[into as usize];
        *state = first;
        self.fold.merge(state, later)
    }

    fn result(&self, group: u32, out: &mut Builder) {
        out.push(&self.fold.result(&self.states[group as usize]));
    }

    fn encode(&self, group: u32, out: &mut Vec<u8>) {
        let saved = array_of([&self.fold.save(&self.states[group as usize])], &self.saved_type);
        row::encode(&[View::new(saved.as_ref(), &self.saved_type)], 0, out);
    }

    fn decode(&mut self, group: u32, input: &mut Input) -> Result<()> {
        let mut column = [Builder::new(&self.saved_type, 1)];
        row::decode_next(input, &mut column)?;
        let [column] = column;
        let saved = Value::at(column.finish().as_ref(), 0, &self.saved_type);
        self.states[group as usize] = self.fold.load(saved);
        Ok(())
    }

    fn memory(&self) -> usize {
        // What collections hold is not counted value by value: their entries are taken to be small.
        self.states.len() * (size_of::<F::State>() + STATE_BYTES)
    }
}

/// What a state is taken to hold beside its own structure.
const STATE_BYTES: usize = 32;

/// A value as the items of a list; a NULL has none.
pub fn items(value: Value) -> Vec<Value> {
    if let Value::Array(items) = value { items } else { Vec::new() }
}
