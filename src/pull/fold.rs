//! Our aggregate functions as those of DataFusion: over groups, and over the rows around each row.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Mutex;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, not_impl_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::{Limits, outside};
use crate::functions::aggregate::{BoundAggregate, States};
use crate::locks::lock;
use crate::types::{Builder, View};

/// An aggregate function with its constants.
pub(super) struct Fold {
    bound: BoundAggregate,
    signature: Signature,
    limits: Limits,
}

impl Fold {
    /// The function of a call.
    pub(super) fn function(bound: &BoundAggregate, limits: &Limits) -> AggregateUDF {
        let types = bound.args.iter().map(|sql_type| sql_type.arrow()).collect();
        let signature = Signature::exact(types, Volatility::Immutable);
        AggregateUDF::new_from_impl(Fold { bound: bound.clone(), signature, limits: limits.clone() })
    }
}

impl fmt::Debug for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{:?}", self.bound.function, self.bound.constants)
    }
}

impl PartialEq for Fold {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.bound.overload, other.bound.overload)
            && self.bound.args == other.bound.args
            && self.bound.constants == other.bound.constants
    }
}

impl Eq for Fold {}

impl Hash for Fold {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bound.function.name.hash(state);
    }
}

impl AggregateUDFImpl for Fold {
    fn name(&self) -> &str {
        self.bound.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.bound.returns.arrow())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Rows::new(&self.bound, &self.limits)))
    }

    fn create_sliding_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sliding { bound: self.bound.clone(), limits: self.limits.clone(), batches: VecDeque::new() }))
    }

    /// The result over no row: of a frame without rows.
    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Rows::new(&self.bound, &self.limits).evaluate()
    }

    /// Queries run in one partition and do not spill, so that there are no states of parts.
    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![args.return_field])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(&self.bound, &self.limits)))
    }
}

/// The states of groups.
struct Groups {
    bound: BoundAggregate,
    limits: Limits,
    states: Box<dyn States>,
    /// How many groups there are.
    count: usize,
    /// How many groups of the states were handed out: the group 0 is the one with this number.
    first: usize,
}

impl Groups {
    fn new(bound: &BoundAggregate, limits: &Limits) -> Groups {
        Groups { bound: bound.clone(), limits: limits.clone(), states: bound.states(), count: 0, first: 0 }
    }

    fn grow(&mut self, count: usize) {
        self.count = count;
        self.states.grow(self.first + count);
    }

    fn views<'a>(&self, values: &'a [ArrayRef]) -> Vec<View<'a>> {
        values.iter().zip(&self.bound.args).map(|(array, sql_type)| View::new(array.as_ref(), sql_type)).collect()
    }

    /// The results of the first groups.
    fn results(&self, count: usize) -> Result<ArrayRef> {
        let mut column = Builder::new(&self.bound.returns, count);
        for group in self.first..self.first + count {
            self.states.result(group as u32, &mut column).map_err(outside)?;
        }
        Ok(column.finish())
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.limits.check().map_err(outside)?;
        self.grow(total_num_groups);
        let is_taken = |row: &usize| opt_filter.is_none_or(|filter| filter.is_valid(*row) && filter.value(*row));
        let rows = (0..group_indices.len()).filter(is_taken);
        let (groups, rows): (Vec<u32>, Vec<u32>) =
            rows.map(|row| ((self.first + group_indices[row]) as u32, row as u32)).unzip();
        let views = self.views(values);
        self.states.update(&groups, &rows, &views, None).map_err(outside)?;
        // A row that an aggregate cannot take in leaves its group as it was, as in a continuous query.
        self.states.take_failed();
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let count = match emit_to {
            EmitTo::All => self.count,
            EmitTo::First(count) => count,
        };
        let results = self.results(count)?;
        (self.first, self.count) = (self.first + count, self.count - count);
        if self.count == 0 {
            (self.states, self.first) = (self.bound.states(), 0);
        }
        Ok(results)
    }

    fn state(&mut self, _: EmitTo) -> Result<Vec<ArrayRef>> {
        not_impl_err!("states of parts of a group")
    }

    fn merge_batch(&mut self, _: &[ArrayRef], _: &[usize], _: usize) -> Result<()> {
        not_impl_err!("states of parts of a group")
    }

    fn convert_to_state(&self, _: &[ArrayRef], _: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        not_impl_err!("states of parts of a group")
    }

    fn size(&self) -> usize {
        self.states.memory()
    }
}

/// One group.
struct Rows(
    /// Never contended: the trait wants accumulators that threads can share, and states cannot be.
    Mutex<Groups>,
);

impl Rows {
    fn new(bound: &BoundAggregate, limits: &Limits) -> Rows {
        let mut groups = Groups::new(bound, limits);
        groups.grow(1);
        Rows(Mutex::new(groups))
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(lock(&self.0).bound.function.name)
    }
}

impl Accumulator for Rows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |array| array.len());
        lock(&self.0).update_batch(values, &vec![0; rows], None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&lock(&self.0).results(1)?, 0)
    }

    fn size(&self) -> usize {
        lock(&self.0).states.memory()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        not_impl_err!("states of parts of a group")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        not_impl_err!("states of parts of a group")
    }
}

/// The rows of a frame that moves: they come at its end and go at its start.
///
/// The result is computed from all rows of the frame, since few aggregates can take their oldest row back.
struct Sliding {
    bound: BoundAggregate,
    limits: Limits,
    /// The rows in the frame, the oldest first.
    batches: VecDeque<Vec<ArrayRef>>,
}

impl fmt::Debug for Sliding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.bound.function.name)
    }
}

impl Accumulator for Sliding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.batches.push_back(values.to_vec());
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut left = values.first().map_or(0, |array| array.len());
        while let Some(batch) = self.batches.front_mut().filter(|_| left > 0) {
            let rows = batch.first().map_or(0, |array| array.len());
            if rows <= left {
                self.batches.pop_front();
            } else {
                batch.iter_mut().for_each(|array| *array = array.slice(left, rows - left));
            }
            left = left.saturating_sub(rows);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut rows = Rows::new(&self.bound, &self.limits);
        self.batches.iter().try_for_each(|batch| rows.update_batch(batch))?;
        rows.evaluate()
    }

    fn size(&self) -> usize {
        self.batches.iter().flatten().map(|array| array.get_array_memory_size()).sum()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        not_impl_err!("states of parts of a group")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        not_impl_err!("states of parts of a group")
    }
}
