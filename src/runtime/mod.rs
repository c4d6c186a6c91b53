//! Running queries: programs, turns, tasks, exchanges and epochs.
//!
//! The way of rows through a query:
//!
//! ```text
//! topic → feed      a partition is read and decoded once for all queries that stand near each other
//!       → cursor    what one query has taken of it, and what waits
//!       → merge     rows of several partitions in the one order of merge points
//!       → chain     the operators of a task, deepest first
//!       → exchange  to the task that the row's key belongs to, then merge and chain again
//!       → sink      records, kept until the epoch is decided, or rows for a client
//! ```
//!
//! A plan becomes a [`Program`] once ([`compile`]); a [`QueryRun`] runs it. It is driven from outside: the engine calls
//! [`QueryRun::turn`] and [`QueryRun::seal`], gives the wall clock and threads, and commits what comes out. Nothing in
//! here waits for a clock, writes to a topic or starts a thread.
//!
//! The result depends on the records, the plan and what a turn notes of its surroundings, and on nothing else: not on
//! the size of batches, the number of threads, or when a commit comes. A restart relies on that.

#[cfg(test)]
mod built_tests;
mod chain;
#[cfg(test)]
mod change_tests;
mod cursor;
mod decode;
mod epoch;
mod exchange;
mod failures;
mod feed;
mod idle;
mod intake;
#[cfg(test)]
mod intake_tests;
mod lower;
mod merge;
pub mod placement;
mod points;
mod program;
mod projection;
mod query;
mod read;
#[cfg(test)]
mod redo_tests;
mod reset;
mod row_time;
mod sink;
mod stages;
mod steps;
mod task;
#[cfg(test)]
mod timer_tests;

pub use epoch::{Sealed, whole_positions};
pub use failures::records_at;
pub use feed::Feeds;
pub use lower::compile;
pub use placement::Placement;
pub use program::Program;
pub use projection::Projection;
pub use query::{Now, Options, QueryRun, Turned};
pub use read::TableWalk;
pub use reset::Reset;
pub use sink::{Tap, Target, TopicTarget};
