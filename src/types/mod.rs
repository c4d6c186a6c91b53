//! SQL types, schemas, values, and the batches of rows that move between operators.
//!
//! A column of rows exists in three forms, and everything moves between them:
//!
//! | form | type | for |
//! |---|---|---|
//! | finished | an Arrow array | kept in a [`Batch`], sliced and handed on without copying |
//! | being filled | [`Builder`] | decoders, functions, results of aggregates |
//! | being read | [`View`] | loops over rows that must not ask for the type in each row |
//!
//! A single [`Value`] is the slow and general way, for constants, keys to look up and rows to show. As bytes, a row
//! has two encodings: [`row`] is compact and for storing, [`key`] sorts as the values do and is for looking up. What
//! prints and parses follows Java, since ksqlDB's output is compared byte for byte.

pub mod batch;
pub mod build;
pub mod calendar;
mod decimal;
pub mod grow;
pub mod key;
pub mod parse;
pub mod pattern;
pub mod row;
mod schema;
mod size;
mod sql_type;
pub mod text;
mod unit;
mod value;
pub mod view;
pub mod window;

pub use batch::{Batch, OldSide, Seq, arrow_error, with_nulls};
pub use build::{Builder, array_of};
pub use decimal::{Decimal, Rounding, divide, power_of_ten};
pub use schema::{Column, Role, Schema, quoted};
pub use size::size_of_entries;
pub use sql_type::{
    MAX_PRECISION, NARROW_PRECISION, SqlType, StructField, entries_field, entry_fields, item_field, struct_fields,
};
pub use unit::TimeUnit;
pub use value::{Value, compare_doubles, compare_signed_bytes, compare_utf16, decimal_at, double_to_i64};
pub use view::View;
