//! Tidemill.
pub mod clock;
pub mod disk;
pub mod error;
pub mod expr;
pub mod formats;
pub mod functions;
pub mod sql;
pub mod types;
