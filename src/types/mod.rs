//! SQL types, schemas, values, and the batches of rows that move between operators.

mod decimal;
mod schema;
mod sql_type;
pub mod text;

pub use decimal::{Decimal, Rounding, divide, power_of_ten};
pub use schema::{Column, Role, Schema, quoted};
pub use sql_type::{
    MAX_PRECISION, NARROW_PRECISION, SqlType, StructField, entries_field, entry_fields, item_field, struct_fields,
};
