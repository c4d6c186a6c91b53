//! Running queries: programs, turns, tasks, exchanges and epochs.

pub mod exchange;
pub mod intake;
mod merge;
pub mod piece;
pub mod program;
pub mod query;
mod row_time;
pub mod sink;
mod task;

pub use intake::Ranks;
pub use program::{Program, compile};
pub use query::{Options, QueryRun, Turn};
pub use sink::{Tap, Target, TopicTarget};
