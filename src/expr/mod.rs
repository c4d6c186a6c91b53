//! Typed expressions: ksqlDB's rules of types, NULLs and errors, evaluated over columns.
//!
//! [`bind`] makes a typed [`Expr`] of a syntax tree: its columns are ids, unique in a plan. [`Expr::compile`] makes a
//! [`Compiled`] of it for rows with a fixed layout: its columns are places. [`Compiled::eval`] makes a column, for many rows at once.
//!
//! # Life of an expression
//!
//! | step | where | from | to |
//! |---|---|---|---|
//! | bind | [`bind`](mod@bind) | a syntax tree and the names around it | [`Expr`], typed, or an error with a place |
//! | fold | [`bind`](mod@bind) | an operation on constants | its value, unless it fails |
//! | compile | [`Expr::compile`] | an [`Expr`] and a layout | [`Compiled`]: steps, one file each |
//! | evaluate | [`Compiled::eval`] | [`Input`]: columns of a batch | [`Evaluation`]: a column and the failed rows |
//! | explain | [`Compiled::reason`] | the same, and one failed row | a sentence for the processing log |
//!
//! # Errors and NULLs
//!
//! Data never makes an evaluation fail: a row that cannot be computed is NULL and marked in a bitmap, and the other rows go
//! on. Conditions and branches are evaluated only for the rows that reach them, so that the result of a row does not depend
//! on the batch it is in. Two things can end the computation of a row: an *error*, which is counted once and has a reason
//! ([`Compiled::reason`]), and a NULL operand, which is not counted. At a *catch point* (every CAST, a call or field as an
//! argument, each item of a constructor) the computation goes on with NULL.
//!
//! An example: with `I` NULL and `S` = `'x'`,
//!
//! * `I + 1` is NULL and no error;
//! * `CAST(S AS INT)` is NULL, and the row is counted as failed;
//! * `COALESCE(ABS(CAST(S AS INT)), 7)` is 7, and the row is counted as failed, once;
//! * `I IS NOT NULL AND CAST(S AS INT) > 0` is false and no error, since the row does not reach the CAST.
//!
//! # Size
//!
//! A column never gets more than [`MOST_COLUMN_BYTES`](crate::functions::fault::MOST_COLUMN_BYTES) unless a single row needs
//! it. An evaluation that would make more says [`Halt::TooMuch`], and [`in_parts`] tries again with half of the rows.

pub mod bind;
mod bits;
mod call;
pub mod cast;
mod coerce;
mod common;
mod compare;
mod compiled;
mod datum;
#[cfg(test)]
mod examples;
mod like;
mod logic;
mod nested;
mod number;
mod rows;
mod size;
#[cfg(test)]
mod tests;

pub use coerce::{can_cast, common_type, widens};
pub use compiled::{Compiled, Evaluation, Input};
pub use rows::Halt;
pub use size::in_parts;

use arrow::array::ArrayRef;

use crate::functions::BoundScalar;
use crate::sql::ast::{ArithmeticOp, CompareOp};
use crate::types::{SqlType, Value, array_of};

/// A column of a plan: an id that is unique in the query.
pub type ColumnId = u32;

/// Ids from here on are parameters of lambdas, numbered from the outermost lambda on. While a lambda is evaluated, the row
/// has its parameters after its own columns.
///
/// The planner gives smaller ids to columns, so the two never meet.
const FIRST_PARAMETER: ColumnId = 1 << 31;

/// A typed expression over columns with ids. It cannot be evaluated: see [`Compiled`].
///
/// Equal expressions give equal values for equal rows, unless they are fresh.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// The outermost operation, with its operands.
    pub kind: Kind,
    /// `None` for a NULL whose type is not known.
    pub sql_type: Option<SqlType>,
}

/// What an expression does.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The column of this id, or a parameter of a lambda.
    Column(ColumnId),
    /// The same value for every row.
    Constant(Constant),
    /// The number with the other sign.
    Negate(Box<Expr>),
    /// The operands have any numeric types, or both are strings.
    Arithmetic {
        /// Which of the arithmetic operators.
        op: ArithmeticOp,
        /// The first operand.
        left: Box<Expr>,
        /// The second operand.
        right: Box<Expr>,
    },
    /// The operands have comparable types.
    Compare {
        /// Which of the comparisons.
        op: CompareOp,
        /// The first operand.
        left: Box<Expr>,
        /// The second operand.
        right: Box<Expr>,
    },
    /// True where all conditions are; the first that is false decides the row.
    And(Vec<Expr>),
    /// True where one condition is; the first that is true decides the row.
    Or(Vec<Expr>),
    /// The opposite of a condition.
    Not(Box<Expr>),
    /// IS NULL, or IS NOT NULL if negated.
    IsNull {
        /// The operand that is tested.
        value: Box<Expr>,
        /// True for IS NOT NULL.
        negated: bool,
    },
    /// The items have the value's type; untyped NULLs are left out.
    In {
        /// The operand that is searched for.
        value: Box<Expr>,
        /// The items that it is compared with.
        list: Vec<Expr>,
    },
    /// Both operands are strings.
    Like {
        /// The text that is tested.
        value: Box<Expr>,
        /// The pattern, in which `%` stands for any text and `_` for one character.
        pattern: Box<Expr>,
        /// The character that takes its meaning from the one after it.
        escape: Option<char>,
    },
    /// Conditions with their values; all values have one type.
    Case {
        /// Each condition after WHEN with its value after THEN; the first condition that is true decides.
        branches: Vec<(Expr, Expr)>,
        /// The value after ELSE; `None` gives NULL.
        otherwise: Option<Box<Expr>>,
    },
    /// A catch point.
    Cast {
        /// The operand.
        value: Box<Expr>,
        /// The type of the result.
        to: SqlType,
    },
    /// A catch point that leaves values as they are.
    Catch(Box<Expr>),
    /// A call of the overload that was chosen for these arguments, which have its types.
    Call {
        /// The function with its overload.
        function: BoundScalar,
        /// The arguments in the order of the call, lambdas among them.
        args: Vec<Expr>,
    },
    /// The body of a lambda: an argument that the function calls itself.
    Lambda(Box<Expr>),
    /// `array[index]`.
    Index {
        /// The array.
        base: Box<Expr>,
        /// The place, counted from 1, or from the end if it is negative.
        index: Box<Expr>,
    },
    /// `map[key]`.
    Lookup {
        /// The map.
        base: Box<Expr>,
        /// The key whose value is wanted.
        key: Box<Expr>,
    },
    /// `struct->field`, by the field's place in the type.
    Field {
        /// The struct.
        base: Box<Expr>,
        /// The place of the field, counted from 0.
        index: usize,
    },
    /// `ARRAY[…]`; each item is a catch point.
    Array(Vec<Expr>),
    /// `MAP(…)`; each key and each value is a catch point.
    Map(Vec<(Expr, Expr)>),
    /// `STRUCT(…)`, in the order of the type's fields; each is a catch point.
    Struct(Vec<Expr>),
}

/// A constant, with the column of one row that holds it.
#[derive(Clone, Debug)]
pub struct Constant {
    /// The constant as a single value.
    pub value: Value,
    /// An array of one row.
    array: ArrayRef,
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Expr {
    /// A column of this type.
    pub fn column(id: ColumnId, sql_type: SqlType) -> Expr {
        Expr { kind: Kind::Column(id), sql_type: Some(sql_type) }
    }

    /// A constant of this type.
    ///
    /// # Panics
    /// If the value is not of the type.
    pub fn constant(value: Value, sql_type: SqlType) -> Expr {
        let array = array_of([&value], &sql_type);
        Expr { kind: Kind::Constant(Constant { value, array }), sql_type: Some(sql_type) }
    }

    /// A NULL without a type.
    pub fn null() -> Expr {
        let array = array_of([&Value::Null], &SqlType::String);
        Expr { kind: Kind::Constant(Constant { value: Value::Null, array }), sql_type: None }
    }

    /// The type. STRING for a NULL that has none, whose column is all NULL anyway.
    pub fn result_type(&self) -> SqlType {
        self.sql_type.clone().unwrap_or(SqlType::String)
    }

    /// The value, if the expression is a constant.
    pub fn as_constant(&self) -> Option<&Value> {
        if let Kind::Constant(constant) = &self.kind { Some(&constant.value) } else { None }
    }

    /// The expressions directly below.
    ///
    /// In the order in which they are written. A column and a constant have none; a lambda's body is a child of the
    /// lambda.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            Kind::Column(_) | Kind::Constant(_) => Vec::new(),
            Kind::Negate(e)
            | Kind::Not(e)
            | Kind::IsNull { value: e, .. }
            | Kind::Cast { value: e, .. }
            | Kind::Catch(e)
            | Kind::Lambda(e)
            | Kind::Field { base: e, .. } => vec![e],
            Kind::Arithmetic { left, right, .. }
            | Kind::Compare { left, right, .. }
            | Kind::Like { value: left, pattern: right, .. }
            | Kind::Index { base: left, index: right }
            | Kind::Lookup { base: left, key: right } => vec![left, right],
            Kind::And(items) | Kind::Or(items) | Kind::Array(items) | Kind::Struct(items) => items.iter().collect(),
            Kind::Call { args, .. } => args.iter().collect(),
            Kind::In { value, list } => std::iter::once(value.as_ref()).chain(list).collect(),
            Kind::Case { branches, otherwise } => {
                branches.iter().flat_map(|(when, then)| [when, then]).chain(otherwise.as_deref()).collect()
            }
            Kind::Map(pairs) => pairs.iter().flat_map(|(k, v)| [k, v]).collect(),
        }
    }

    /// Adds the columns that the expression reads to `into`.
    ///
    /// In the order of the expression, repeated if read repeatedly. Parameters of lambdas are not columns.
    pub fn columns(&self, into: &mut Vec<ColumnId>) {
        if let Kind::Column(id) = self.kind
            && id < FIRST_PARAMETER
        {
            into.push(id);
        }
        self.children().into_iter().for_each(|child| child.columns(into));
    }

    /// Whether the expression gives another value each time that it is evaluated over the same row.
    ///
    /// Two such expressions must not be taken for one, although they are equal.
    pub fn is_fresh(&self) -> bool {
        let own = matches!(&self.kind, Kind::Call { function, .. } if function.is_fresh());
        own || self.children().into_iter().any(Expr::is_fresh)
    }
}
