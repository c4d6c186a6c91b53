//! Tidemill.
pub mod catalog;
pub mod clock;
pub mod config;
pub mod disk;
pub mod error;
pub mod expr;
pub mod formats;
pub mod functions;
pub mod journal;
pub mod operators;
pub mod plan;
pub mod sql;
pub mod state;
pub mod topics;
pub mod types;
