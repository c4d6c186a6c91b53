//! The aggregate functions: what they keep for a group, and what they make of it.
//!
//! A call of an aggregate keeps its groups in a [`States`]: a vector of states, one per group, in columnar form. The
//! operator has one for each bucket of windows. It maps keys to group numbers, which are dense and start at 0, and
//! hands over whole batches. A group's state therefore has no object of its own, and an update of a fixed-size state
//! is an array access.
//!
//! | kind | state of a group | functions | files |
//! |---|---|---|---|
//! | counts and sums | one number | COUNT, SUM of numbers | `count`, `sum` |
//! | folds | a few numbers | AVG, SUM of decimals, SUM_LIST, CORRELATION, the deviations | `fold`, `moments` |
//! | singles | one value, NULL or nothing | MIN, MAX, EARLIEST_BY_OFFSET, LATEST_BY_OFFSET | `single` |
//! | collections | many values, saved in parts | the rest | `collection`, `kept`, `sequence` |
//!
//! States are saved as bytes per group ([`States::encode`]) and restored in any order. Large collections are saved in
//! parts, so that an append to a list of a million items does not write the list again.
//!
//! Values are processed in the order of the rows. Where the result depends on the order (lists, first and last
//! values, equal values of MIN and MAX), the order of the rows decides, and a merge of two groups puts the rows of
//! one of them first.

macro_rules! shelf {
    ($($name:ident)*) => {
        $(mod $name;)*
        /// All of them.
        pub const ALL: &[&Aggregate] = &[$(&$name::FUNCTION),*];
    };
}

shelf! {
    attr
    avg
    collect_list
    collect_set
    correlation
    count
    count_distinct
    earliest_by_offset
    histogram
    latest_by_offset
    max
    min
    stddev_samp
    stddev_sample
    sum
    sum_list
    topk
    topkdistinct
}

mod by_offset;
mod collection;
mod counted;
mod extreme;
mod fold;
mod kept;
mod moments;
mod sequence;
mod single;
mod stored;
#[cfg(test)]
mod tests;

use super::signature::{self, ArgType, Param};
use crate::error::{Error, Result};
use crate::types::row::Input;
use crate::types::{Builder, SqlType, Value, View};

/// An aggregate function.
pub struct Aggregate {
    /// The name in upper case.
    pub name: &'static str,
    /// The name as messages show it.
    pub shown: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Values of the arguments, row after row, and the text of the result; run as a test.
    pub examples: &'static [(&'static str, &'static str)],
    /// The property that says how many values it keeps; its value is handed on behind the other constants.
    ///
    /// The names are ksqlDB's, for example `ksql.functions.collect_list.limit`.
    pub limit: Option<&'static str>,
    /// Whether a row can be taken back, so that a table can be aggregated.
    ///
    /// To aggregate a table, the old row of each change is taken back and the new one is taken in.
    pub undo: bool,
    /// All signatures, of which a call takes the one that fits best.
    pub overloads: &'static [AggregateOverload],
}

/// A signature with what it makes.
pub struct AggregateOverload {
    /// The arguments that change from row to row.
    ///
    /// For COUNT(*) the planner gives a column that is never NULL, so that every row counts.
    pub params: &'static [Param],
    /// Arguments behind those, which must be constants.
    ///
    /// The `k` of TOPK and the flag `ignoreNulls` are such arguments. They must be literals, since the shape of the
    /// state depends on them.
    pub constants: &'static [Param],
    /// The type of the result, from the arguments' types and the constants.
    ///
    /// Called with the types after widening. An `Err` refuses the statement, for example for LATEST_BY_OFFSET with an
    /// `n` below 1.
    pub returns: fn(&[SqlType], &[Value]) -> Result<SqlType>,
    /// Empty states for calls with these arguments' types and constants.
    ///
    /// Called whenever a new set of groups begins, and only after `returns` has accepted the constants, so it cannot
    /// fail.
    pub create: fn(&[SqlType], &[Value]) -> Box<dyn States>,
}

/// An aggregate function with the overload that was chosen for a call.
#[derive(Clone, Debug)]
pub struct BoundAggregate {
    /// The entry in the list of aggregate functions.
    pub function: &'static Aggregate,
    /// The one that was chosen among those of `function`.
    pub overload: &'static AggregateOverload,
    /// The types to which the changing arguments are widened.
    pub args: Vec<SqlType>,
    /// The values of the constant arguments, then that of the property named by the function's `limit`.
    pub constants: Vec<Value>,
    /// The type of the result.
    pub returns: SqlType,
}

impl BoundAggregate {
    /// Empty states for this call.
    pub fn states(&self) -> Box<dyn States> {
        (self.overload.create)(&self.args, &self.constants)
    }
}

/// What one call of an aggregate keeps: a state for each group, the groups numbered from 0.
///
/// Group numbers are below the last `groups` given to [`States::grow`]. A single group is never taken out; all groups
/// of a bucket go together.
///
/// The methods are called by one thread at a time. Errors are bugs or full results, never bad rows: those are
/// reported by [`States::take_failed`] and the other rows go on.
pub trait States: Send + Sync {
    /// Makes room for `groups` groups; new ones are empty.
    ///
    /// `groups` is a total, not a number to add. Existing states stay as they are.
    fn grow(&mut self, groups: usize);

    /// Takes row `rows[i]` of the arguments into group `groups[i]`, one after the other; with `after`, appends the
    /// group's result after each.
    ///
    /// `groups` and `rows` have the same length, and a group may occur many times. `args` has one view per changing
    /// argument, each over the whole batch. With `after`, exactly one result per row is appended, in the order of
    /// `rows`: queries that hand on every update need it.
    ///
    /// # Errors
    /// A result is too large, or a bug. Rows before it have been taken in.
    fn update(&mut self, groups: &[u32], rows: &[u32], args: &[View], after: Option<&mut Builder>) -> Result<()>;

    /// Takes a row back that was taken in before; only where [`Aggregate::undo`] says so.
    ///
    /// Where equal values can be kept several times, as in COLLECT_LIST, the last of them goes.
    ///
    /// # Errors
    /// A bug if the aggregate cannot undo.
    fn undo(&mut self, group: u32, row: u32, args: &[View]) -> Result<()> {
        let _ = (group, row, args);
        Err(Error::bug("an aggregate that cannot take a row back was asked to"))
    }

    /// Takes the state of group `from` into group `into`, as if its rows had come there first.
    ///
    /// This is what two session windows need to become one. `from` is empty afterwards.
    ///
    /// # Errors
    /// The merged state cannot be represented, for example a DECIMAL sum with too many digits. The caller must not go
    /// on with either group.
    fn merge(&mut self, into: u32, from: u32) -> Result<()>;

    /// Where the group's state lies, so that its memory can be asked for before it is needed; null if that is of no use.
    fn address(&self, group: u32) -> *const u8 {
        let _ = group;
        std::ptr::null()
    }

    /// Appends the group's result.
    ///
    /// # Errors
    /// The result is too large to be handed on.
    ///
    /// Exactly one value, NULL included. The state does not change.
    fn result(&self, group: u32, out: &mut Builder) -> Result<()>;

    /// Appends the results of groups, in their order.
    ///
    /// # Errors
    /// As for [`States::result`].
    fn results(&self, groups: &[u32], out: &mut Builder) -> Result<()> {
        groups.iter().try_for_each(|group| self.result(*group, out))
    }

    /// About how many bytes the group's result has.
    ///
    /// By this the operator ends a batch before its column becomes too large.
    fn result_bytes(&self, group: u32) -> usize {
        let _ = group;
        size_of::<i64>()
    }

    /// Appends the group's state as bytes, without its parts.
    ///
    /// The bytes are part of the format on disk: see `docs/on-disk-format.md`. Several states may be written one
    /// after the other, so each must know its own end.
    fn encode(&self, group: u32, out: &mut Vec<u8>);

    /// Sets the group's state from what [`States::encode`] wrote.
    ///
    /// The group's former state is replaced. `input` stands at the byte after the state afterwards.
    ///
    /// # Errors
    /// A bug: the bytes break off or cannot be a state.
    fn decode(&mut self, group: u32, input: &mut Input) -> Result<()>;

    /// Whether large states are saved in parts, each with an entry of its own.
    fn has_parts(&self) -> bool {
        false
    }

    /// Hands over the parts of the group's state that changed since the last call, each with its number: its bytes, or that
    /// it is gone.
    ///
    /// Called after [`States::encode`] for the same save. Until the next change nothing is handed over again. The
    /// bytes are borrowed only during the callback.
    fn take_parts(&mut self, group: u32, part: &mut dyn FnMut(u64, Option<&[u8]>)) {
        let _ = (group, part);
    }

    /// Sets or removes a part of the group's state that [`States::take_parts`] gave.
    ///
    /// Parts may come before or after the group's own entry, and in any order.
    ///
    /// # Errors
    /// A bug: the bytes are not whole items, or the aggregate has no parts.
    fn load_part(&mut self, group: u32, number: u64, bytes: Option<&[u8]>) -> Result<()> {
        let _ = (group, number, bytes);
        Err(Error::bug("there is a part of a state that has none"))
    }

    /// All states and their parts are loaded.
    ///
    /// # Errors
    /// A bug: parts are missing.
    fn loaded(&self) -> Result<()> {
        Ok(())
    }

    /// Rows of the last [`States::update`] or [`States::undo`] that could not be taken in; their groups are as before.
    ///
    /// Clears the report: a second call gives `None` until another row fails.
    fn take_failed(&mut self) -> Option<Failed> {
        None
    }

    /// The bytes of memory that all states take.
    ///
    /// Reserved space counts too. It is asked for often, so it must take O(1), not O(groups).
    fn memory(&self) -> usize;
}

/// Rows that an aggregate could not take in.
#[derive(Debug, PartialEq, Eq)]
pub struct Failed {
    /// Which rows, at least one, as the operator numbered them in the batch.
    pub rows: Vec<u32>,
    /// Why the first one failed, for the processing log.
    pub message: String,
}

impl Aggregate {
    /// Chooses the overload for changing arguments of these types, followed by `constants`.
    ///
    /// `args` has all arguments' types, `literals` the values of those that are literals (by place), of the others the text.
    ///
    /// A scalar function would take a DECIMAL for a DOUBLE parameter; an aggregate does not.
    ///
    /// # Errors
    /// Invalid: no signature fits, several fit equally well, or a constant argument is not a literal. The errors of
    /// [`AggregateOverload::returns`] are passed on.
    pub fn bind(&'static self, args: &[ArgType], literals: &[Result<Value, String>]) -> Result<BoundAggregate> {
        let all: Vec<Vec<Param>> =
            self.overloads.iter().map(|o| o.params.iter().chain(o.constants).copied().collect()).collect();
        let signatures: Vec<&[Param]> = all.iter().map(Vec::as_slice).collect();
        let chosen = signature::choose(self.shown, &signatures, args)?;
        let overload = &self.overloads[chosen.index];
        // Unlike a scalar function, an aggregate takes no DECIMAL for a DOUBLE.
        let narrowed = args.iter().zip(&chosen.args).any(|(given, taken)| {
            matches!(given, ArgType::Value(Some(SqlType::Decimal { .. }))) && *taken == SqlType::Double
        });
        if narrowed {
            return Err(signature::refused(self.shown, &signatures, args));
        }
        let changing = args.len() - overload.constants.len();
        let mut values = Vec::new();
        for (at, literal) in literals.iter().enumerate().skip(changing) {
            let value = literal.clone().map_err(|text| {
                let parameter = format!("Parameter {} passed to function {}", at + 1, self.name);
                Error::invalid(format!("{parameter} must be a literal constant, but was expression: '{text}'"))
            })?;
            values.push(value);
        }
        let types = &chosen.args[..changing];
        let returns = (overload.returns)(types, &values)?;
        Ok(BoundAggregate { function: self, overload, args: types.to_vec(), constants: values, returns })
    }
}

impl std::fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl std::fmt::Debug for AggregateOverload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.params, self.constants)
    }
}
