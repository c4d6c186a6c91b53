//! The aggregate functions: what they keep for a group, and what they make of it.

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
    pub limit: Option<&'static str>,
    /// Whether a row can be taken back, so that a table can be aggregated.
    pub undo: bool,
    /// All signatures, of which a call takes the one that fits best.
    pub overloads: &'static [AggregateOverload],
}

/// A signature with what it makes.
pub struct AggregateOverload {
    /// The arguments that change from row to row.
    pub params: &'static [Param],
    /// Arguments behind those, which must be constants.
    pub constants: &'static [Param],
    /// The type of the result, from the arguments' types and the constants.
    pub returns: fn(&[SqlType], &[Value]) -> Result<SqlType>,
    /// Empty states for calls with these arguments' types and constants.
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
pub trait States: Send {
    /// Makes room for `groups` groups; new ones are empty.
    fn grow(&mut self, groups: usize);

    /// Takes row `rows[i]` of the arguments into group `groups[i]`, one after the other; with `after`, appends the
    /// group's result after each.
    fn update(&mut self, groups: &[u32], rows: &[u32], args: &[View], after: Option<&mut Builder>) -> Result<()>;

    /// Takes a row back that was taken in before; only where [`Aggregate::undo`] says so.
    fn undo(&mut self, group: u32, row: u32, args: &[View]) -> Result<()> {
        let _ = (group, row, args);
        Err(Error::bug("an aggregate that cannot take a row back was asked to"))
    }

    /// Takes the state of group `from` into group `into`, as if its rows had come there first.
    fn merge(&mut self, into: u32, from: u32) -> Result<()>;

    /// Appends the group's result.
    ///
    /// # Errors
    /// The result is too large to be handed on.
    fn result(&self, group: u32, out: &mut Builder) -> Result<()>;

    /// About how many bytes the group's result has.
    fn result_bytes(&self, group: u32) -> usize {
        let _ = group;
        size_of::<i64>()
    }

    /// Appends the group's state as bytes, without its parts.
    fn encode(&self, group: u32, out: &mut Vec<u8>);

    /// Sets the group's state from what [`States::encode`] wrote.
    fn decode(&mut self, group: u32, input: &mut Input) -> Result<()>;

    /// Whether large states are saved in parts, each with an entry of its own.
    fn has_parts(&self) -> bool {
        false
    }

    /// Hands over the parts of the group's state that changed since the last call, each with its number: its bytes, or that
    /// it is gone.
    fn take_parts(&mut self, group: u32, part: &mut dyn FnMut(u64, Option<&[u8]>)) {
        let _ = (group, part);
    }

    /// Sets or removes a part of the group's state that [`States::take_parts`] gave.
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
    fn take_failed(&mut self) -> Option<Failed> {
        None
    }

    /// The bytes of memory that all states take.
    fn memory(&self) -> usize;
}

/// Rows that an aggregate could not take in.
#[derive(Debug, PartialEq, Eq)]
pub struct Failed {
    /// How many rows.
    pub count: u64,
    /// The first of them, and why.
    pub row: u32,
    /// The cause, for the processing log.
    pub message: String,
}

impl Aggregate {
    /// Chooses the overload for changing arguments of these types, followed by `constants`.
    ///
    /// `args` has all arguments' types, `literals` the values of those that are literals (by place), of the others the text.
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
