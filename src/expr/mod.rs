//! Typed expressions: ksqlDB's rules of types, NULLs and errors, evaluated over columns.
//!
//! [`bind`] makes a typed [`Expr`] of a syntax tree; [`Expr::eval`] makes a column of it. Data never makes an evaluation
//! fail: rows that cannot be computed are marked in a bitmap, and the rest goes on. Both sides of AND, OR and CASE are
//! evaluated for all rows, and what a row would not have reached is masked out, so that the result of a row does not depend
//! on the batch it is in. A *catch point* (every CAST, a call or field as an argument, each item of a constructor) turns
//! failed rows into NULL and counts them.

pub mod bind;
mod bits;
pub mod cast;
mod coerce;
mod common;
mod compare;
mod eval;
#[cfg(test)]
mod examples;
mod like;
mod logic;
mod nested;
mod number;

pub use coerce::{can_cast, common_type, widens};
pub use eval::{Caught, Datum, Out, Rows};

use arrow::array::ArrayRef;

use crate::functions::BoundScalar;
use crate::sql::ast::{ArithmeticOp, CompareOp};
use crate::types::{SqlType, Value, array_of};
use like::Pattern;

/// A column: while planning an id that is unique in the query, when compiled the place in the input.
pub type ColumnId = u32;

/// The ids from here on are parameters of lambdas, numbered through those around: the row has them behind its own columns
/// while a lambda is evaluated.
const FIRST_PARAMETER: ColumnId = 1 << 31;

/// A typed expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub kind: Kind,
    /// `None` for a NULL that nothing gives a type.
    pub sql_type: Option<SqlType>,
}

/// What an expression does.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Column(ColumnId),
    Constant(Constant),
    Negate(Box<Expr>),
    /// The operands have any numeric types, or both are strings.
    Arithmetic {
        op: ArithmeticOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// The operands have comparable types.
    Compare {
        op: CompareOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull {
        value: Box<Expr>,
        negated: bool,
    },
    /// The items have the value's type; NULLs are not among them.
    In {
        value: Box<Expr>,
        list: Vec<Expr>,
    },
    Like {
        value: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<char>,
        fixed: Option<Pattern>,
    },
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    /// A catch point.
    Cast {
        value: Box<Expr>,
        to: SqlType,
    },
    /// A catch point without effect on values.
    Catch(Box<Expr>),
    Call {
        function: BoundScalar,
        args: Vec<Expr>,
    },
    /// An argument that the function calls itself, with columns in the places behind those of the row.
    Lambda(Box<Expr>),
    Index {
        base: Box<Expr>,
        index: Box<Expr>,
    },
    Lookup {
        base: Box<Expr>,
        key: Box<Expr>,
    },
    Field {
        base: Box<Expr>,
        index: usize,
    },
    Array(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Struct(Vec<Expr>),
}

/// A constant, with the column of one row that holds it.
#[derive(Clone, Debug)]
pub struct Constant {
    pub value: Value,
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
    pub fn constant(value: Value, sql_type: SqlType) -> Expr {
        let array = array_of([&value], &sql_type);
        Expr { kind: Kind::Constant(Constant { value, array }), sql_type: Some(sql_type) }
    }

    /// A NULL without a type.
    pub fn null() -> Expr {
        let array = array_of([&Value::Null], &SqlType::String);
        Expr { kind: Kind::Constant(Constant { value: Value::Null, array }), sql_type: None }
    }

    /// The type, STRING for a NULL that has none: its column is all NULL anyway.
    pub fn result_type(&self) -> SqlType {
        self.sql_type.clone().unwrap_or(SqlType::String)
    }

    /// The value, if the expression is a constant.
    pub fn as_constant(&self) -> Option<&Value> {
        if let Kind::Constant(constant) = &self.kind { Some(&constant.value) } else { None }
    }

    /// The expressions directly below.
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

    /// The expressions directly below, to change them.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.kind {
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
            Kind::And(items) | Kind::Or(items) | Kind::Array(items) | Kind::Struct(items) => items.iter_mut().collect(),
            Kind::Call { args, .. } => args.iter_mut().collect(),
            Kind::In { value, list } => std::iter::once(value.as_mut()).chain(list).collect(),
            Kind::Case { branches, otherwise } => {
                branches.iter_mut().flat_map(|(when, then)| [when, then]).chain(otherwise.as_deref_mut()).collect()
            }
            Kind::Map(pairs) => pairs.iter_mut().flat_map(|(k, v)| [k, v]).collect(),
        }
    }

    /// Adds the columns that the expression reads to `into`.
    pub fn columns(&self, into: &mut Vec<ColumnId>) {
        if let Kind::Column(id) = self.kind
            && id < FIRST_PARAMETER
        {
            into.push(id);
        }
        self.children().into_iter().for_each(|child| child.columns(into));
    }

    /// The same expression over a row whose columns are `layout`, in that order: ids become places.
    ///
    /// # Panics
    /// If a column is not in the layout: the planner puts every column there that something reads.
    pub fn compile(&self, layout: &[ColumnId]) -> Expr {
        let mut compiled = self.clone();
        compiled.place(layout);
        compiled
    }

    fn place(&mut self, layout: &[ColumnId]) {
        if let Kind::Column(id) = &mut self.kind {
            if *id >= FIRST_PARAMETER {
                *id = layout.len() as ColumnId + (*id - FIRST_PARAMETER);
                return;
            }
            *id = layout.iter().position(|l| l == id).expect("a layout has the columns that are read") as ColumnId;
        }
        self.children_mut().into_iter().for_each(|child| child.place(layout));
    }
}
