//! Running queries: programs, turns, tasks, exchanges and epochs.

mod chain;
mod cursor;
mod decode;
mod epoch;
mod exchange;
mod feed;
mod idle;
mod intake;
mod lower;
mod merge;
pub mod placement;
mod points;
mod program;
mod query;
mod row_time;
mod sink;
mod stages;
mod task;

pub use epoch::Sealed;
pub use feed::Feeds;
pub use lower::compile;
pub use placement::Placement;
pub use program::Program;
pub use query::{Now, Options, QueryRun, Turned};
pub use sink::{Tap, Target, TopicTarget};
