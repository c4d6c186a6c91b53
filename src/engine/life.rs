//! The life of a query, from its statement to its end.
//!
//! ```text
//! Created → Running ⇄ Paused
//!    ↓         ↓        ↓
//!    Failed or Ended, for good; a failed query begins anew at the next start of the engine
//! ```

use crate::error::Error;

/// Where a query is in its life.
#[derive(Clone, Debug)]
pub enum Life {
    /// It exists, and its state is still to be read.
    Created,
    /// It takes turns whenever there is something to do.
    Running,
    /// It takes no turns until it is resumed.
    Paused,
    /// It cannot go on until the engine is started again.
    ///
    /// Its state and rows in memory are given up; what it committed stays.
    Failed(Error),
    /// It was terminated, or its client is gone.
    Ended,
}

impl Life {
    /// The word for it in SHOW QUERIES.
    pub fn name(&self) -> &'static str {
        match self {
            // As with ksqlDB: what reads its state runs.
            Life::Created | Life::Running => "RUNNING",
            Life::Paused => "PAUSED",
            Life::Failed(_) => "ERROR",
            Life::Ended => "TERMINATED",
        }
    }

    /// Whether it will take turns, now or when its state was read.
    pub fn is_active(&self) -> bool {
        matches!(self, Life::Created | Life::Running)
    }
}
