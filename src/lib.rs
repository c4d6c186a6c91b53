//! Tidemill.
pub mod clock;
pub mod disk;
pub mod error;
pub mod sql;
pub mod types;
