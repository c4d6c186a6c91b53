//! Tidemill: a streaming SQL engine. It speaks ksqlDB's language, keeps topics in an embedded log, and gives every result
//! exactly once.
//!
//! # Words
//!
//! **Record**: bytes in a topic (key, value, headers, time, partition, offset). **Row**: a decoded record. **Batch**: rows in
//! Arrow columns ([`types::Batch`]). **Source**: a stream or table in the [`catalog`]. **Query**: what runs
//! ([`runtime::QueryRun`]). **Stage**: the operators of a query between two exchanges. **Task**: a running instance of a stage,
//! one per logical partition. **Stream time**: the largest row time that an operator has seen
//! ([`operators::OperatorTime`]). **Turn**: what a query takes from all its source partitions at once. **Epoch**: what a query
//! does between two commits. **Round**: one write of the [`journal`] that commits the epochs of many queries together.
//!
//! # The journey of a statement
//!
//! 1. [`sql`] cuts the text into tokens and has the syntax that statements share; [`statements::parse`] makes a syntax tree
//!    of each statement, one kind a file.
//! 2. A [`statements::Statement`] compiles against a snapshot of the [`catalog`]: names and types are looked up by
//!    [`expr::bind`](mod@expr::bind), queries become a [`plan::node::Plan`]. Nothing is done yet, so that a script can be checked before any of
//!    it is applied.
//! 3. What changes something is a [`engine::Change`]; the [`engine::Engine`] has it committed as a command by the journal,
//!    and applies it when it is decided: topics are made, the catalog is replaced, a query starts.
//!
//! # The journey of a row
//!
//! 1. A [`topics::Reader`] gives record batches as they lie in the log; a feed, shared by the queries that read them, decodes
//!    them into columns by a [`formats::Decoder`], setting aside what cannot be read.
//! 2. A turn hands the rows to the tasks in an order that does not depend on who came first; the [`operators`] filter,
//!    compute, aggregate and join. An exchange passes rows to the task that their key belongs to.
//! 3. The end of the query encodes results ([`formats::Encoder`]) into record batches, which wait in memory.
//! 4. At the end of the epoch the results, the positions in the sources and the changes of the [`state`] go to the
//!    [`journal`] together. Its frame decides; only then are results seen by readers.
//! 5. After a crash the engine reads the last checkpoint and the journal after it, and every query continues after its last
//!    decided epoch.
//!
//! `docs/architecture.md` follows both journeys in detail, and explains merge points, epochs, checkpoints and restarts.
//!
//! # Layers
//!
//! Each module uses only those above it; a test reads the source and holds us to it.
//!
//! | layer | modules |
//! |---|---|
//! | 0 | [`error`], [`ids`], [`clock`], [`config`], [`disk`] |
//! | 1 | [`types`] |
//! | 2 | [`sql`], [`functions`], [`formats`], [`topics`], [`state`]; then [`journal`] |
//! | 3 | [`expr`], [`catalog`] |
//! | 4 | [`plan`] |
//! | 5 | [`operators`] |
//! | 6 | [`runtime`] |
//! | 7 | [`engine`] |
//! | 8 | [`pull`] |
//! | 9 | [`statements`] |
//! | 10 | [`serving`]; then [`testing`] |
//! | 11 | [`cli`] |
//!
//! To add a function, a format, a statement or an operator: one file, and one word in the list of its folder.

pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod disk;
pub mod engine;
pub mod error;
pub mod expr;
pub mod formats;
pub mod functions;
pub mod ids;
pub mod journal;
pub mod locks;
pub mod operators;
pub mod plan;
mod process;
pub mod pull;
pub mod runtime;
pub mod serving;
pub mod sql;
pub mod state;
pub mod statements;
pub mod testing;
#[cfg(test)]
mod tidy;
pub mod topics;
pub mod types;
