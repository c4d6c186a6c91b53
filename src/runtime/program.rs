//! A program: a plan cut into stages, with the place of every column in the rows and who hands rows to whom.
//!
//! A program never changes and is shared by all tasks. Everything in it is a number: places of columns, ports,
//! operators, stages. Names appear only where messages need them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::decode::Wanted;
use crate::catalog::{Source, SourceKind};
use crate::formats::Encoding;
use crate::ids::TopicId;
use crate::operators::Operator;
use crate::plan::node::{Rekey, SourceColumn};
use crate::state::OperatorId;
use crate::types::SqlType;

/// A plan, ready to be run. [`super::compile`] makes it.
#[derive(Default)]
pub struct Program {
    /// The sources that are read, each once however often the plan names it.
    pub(super) feeds: Vec<FeedSpec>,
    /// The topics of the sources. Their places are their ranks in the order of rows.
    pub(super) topics: Vec<(TopicId, String)>,
    /// In the order in which rows flow: a stage reads only sources and earlier stages.
    pub(super) stages: Vec<StageSpec>,
    /// The places of the result's columns in the rows of the last stage.
    pub(super) output: Vec<usize>,
    /// The place of the start of the window, if the result's key has one.
    ///
    /// The sink appends it to the key, as 8 bytes in milliseconds since the epoch, as Kafka Streams' windowed keys have
    /// it.
    pub(super) window_start: Option<usize>,
    /// Whether rows of several partitions meet, so that they must be taken in one order.
    pub(super) merges: bool,
    /// Whether rows would be other ones if they were made again from the same records.
    ///
    /// Some functions give another value at each call (RANDOM, UUID). Then a turn cannot be committed in parts, since
    /// repeating it would give other rows.
    pub(super) is_fresh: bool,
    /// Set if the rows have another key than those of their source.
    pub rekey: Option<Rekey>,
    /// The stateful operators, each with what tells whether kept state fits it.
    ///
    /// The number is a fingerprint of everything that the bytes of the state depend on.
    pub operators: Vec<(OperatorId, u64)>,
}

/// A source that is read.
pub(super) struct FeedSpec {
    pub source: Arc<Source>,
    pub topic: TopicId,
    pub partitions: u32,
    /// The place of the topic among those of the program.
    pub rank: usize,
    pub wanted: Arc<Wanted>,
}

impl FeedSpec {
    /// Whether the source is a stream; else it is a table.
    pub(super) fn is_stream(&self) -> bool {
        self.source.kind == SourceKind::Stream
    }
}

/// The operators between two exchanges.
pub(super) struct StageSpec {
    pub ports: Vec<Port>,
    /// Each after those that feed it.
    pub operators: Vec<OperatorSpec>,
    pub output: StageOutput,
    /// The number of tasks.
    pub tasks: u32,
}

/// Where the rows of a port come from, and where they go.
pub(super) struct Port {
    pub origin: PortOrigin,
    pub target: Target,
    /// The sources that feed it, directly or through other stages.
    ///
    /// Numbers of [`Program::feeds`].
    pub feeds: BTreeSet<usize>,
    /// Whether the rows have come through an exchange.
    pub exchanged: bool,
}

/// Where the rows of a port come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PortOrigin {
    /// The task reads the partition of its number, and of its rows these columns.
    ///
    /// `columns` are the operator's; the feed may decode more.
    Feed { feed: usize, columns: Vec<SourceColumn> },
    /// The task gets what the stage hands to its number.
    Stage(usize),
}

/// Who takes rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A port of an operator of the stage.
    Operator { operator: usize, port: usize },
    /// The end of the stage.
    End,
}

/// An operator of a stage.
pub(super) struct OperatorSpec {
    /// Set if it keeps state.
    pub id: Option<OperatorId>,
    /// Who takes its rows.
    pub target: Target,
    /// For each of its ports, the ports of the stage that its rows come from.
    ///
    /// Used for the limits of stream time alone; rows go by `target`.
    pub inputs: Vec<Vec<usize>>,
    /// Makes an operator for a task.
    ///
    /// Called once for each task; each call gives an operator without state.
    pub make: MakeOperator,
}

/// Makes an operator for a task.
pub(super) type MakeOperator = Box<dyn Fn() -> Box<dyn Operator> + Send + Sync>;

/// Where the rows of a stage go.
pub(super) enum StageOutput {
    /// To the task that the key belongs to.
    Exchange { key: Vec<(usize, SqlType)>, encoding: Encoding },
    /// They are the result.
    Result,
}
