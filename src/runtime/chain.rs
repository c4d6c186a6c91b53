//! The operators of a task: batches go through them as deep as they can before new ones are made, so that little waits.
//!
//! Two steps alternate: if an operator has something to do, the one furthest down works; else the next operator is
//! called for the end of the turn. So the memory between operators is bounded by what one call makes, and a batch is
//! still in the cache when the next operator gets it. When the end has no room, the chain stops between two calls and
//! goes on later at the same place.

use std::collections::VecDeque;

use super::program::{OperatorSpec, Target};
use crate::error::Result;
use crate::operators::{Context, Flow, Limit, Log, Operator, Origin, Output};
use crate::state::OperatorId;
use crate::types::Batch;

/// Operators, each with what waits for it. Every operator stands after those that feed it.
pub(super) struct Chain {
    nodes: Vec<Node>,
    /// Shared by all operators: it is emptied after every call.
    output: Output,
    /// What the operators are called for once all rows are through, and which call is next.
    call: Call,
    /// For [`Call::Flush`] it counts two calls for each operator: advance, then flush.
    next: usize,
}

struct Node {
    id: Option<OperatorId>,
    operator: Box<dyn Operator>,
    target: Target,
    /// For each port of the operator, the ports of the stage that its rows come from.
    inputs: Vec<Vec<usize>>,
    /// For each port of the operator, in milliseconds since the epoch.
    limits: Vec<i64>,
    /// With the port of each batch, in the order in which they came.
    waiting: VecDeque<(usize, Batch)>,
    /// The ordinal at which it left off, if its output had enough.
    left: Option<u64>,
}

/// What operators are called for besides rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Time may have passed.
    Advance,
    /// An epoch ends.
    Flush,
}

/// What a step of a task is given.
pub(super) struct Step<'a> {
    /// Of the wall clock, as of the turn's start.
    pub now_ms: i64,
    /// The ordinal of what no row caused.
    pub end: u64,
    /// The source record that a row of this ordinal comes from.
    pub origin: &'a dyn Fn(u64) -> Option<Origin>,
    /// How far the stream time of its source partition had come at a row of this ordinal.
    pub point_ms: &'a dyn Fn(u64) -> i64,
    pub log: &'a mut Log,
}

/// Where the rows go that come out at the end.
///
/// Implemented by a task: its exchange, or its sink.
pub(super) trait End {
    /// Takes rows.
    fn take(&mut self, batch: Batch, log: &mut Log) -> Result<()>;

    /// Whether more should be made.
    fn has_room(&self) -> bool;
}

impl Chain {
    /// The operators of a stage; in one call each makes about as much as `limit`.
    pub(super) fn new(specs: &[OperatorSpec], limit: Limit) -> Self {
        let node = |spec: &OperatorSpec| Node {
            id: spec.id,
            operator: (spec.make)(),
            target: spec.target,
            inputs: spec.inputs.clone(),
            limits: vec![i64::MAX; spec.inputs.len()],
            waiting: VecDeque::new(),
            left: None,
        };
        Chain { nodes: specs.iter().map(node).collect(), output: Output::new(limit), call: Call::Advance, next: 0 }
    }

    /// Sets how far the stream times may go, for each port of the stage.
    ///
    /// `limits` has one entry for each port of the stage. An operator's port gets the least of those that feed it.
    pub(super) fn set_limits(&mut self, limits: &[i64]) {
        for node in &mut self.nodes {
            for (limit, ports) in node.limits.iter_mut().zip(&node.inputs) {
                *limit = ports.iter().map(|port| limits[*port]).min().unwrap_or(i64::MAX);
            }
        }
    }

    /// Sets how many rows an operator makes in one call.
    pub(super) fn limit_rows(&mut self, rows: usize) {
        self.output.limit_rows(rows);
    }

    /// Begins a step: what operators are called for when all rows are through.
    pub(super) fn start(&mut self, call: Call) {
        (self.call, self.next) = (call, 0);
    }

    /// Adds a batch for whatever takes it.
    pub(super) fn push(&mut self, target: Target, batch: Batch, end: &mut dyn End, log: &mut Log) -> Result<()> {
        match target {
            Target::Operator { operator, port } => {
                self.nodes[operator].waiting.push_back((port, batch));
                Ok(())
            }
            Target::End => end.take(batch, log),
        }
    }

    /// Works until nothing is left to do in this step, or the end has enough.
    ///
    /// # Errors
    /// The first error of an operator or of the end. The chain must not be used any more.
    pub(super) fn run(&mut self, step: &mut Step, end: &mut dyn End) -> Result<Flow> {
        loop {
            if let Some(node) = self.deepest() {
                if !end.has_room() {
                    return Ok(Flow::Left(self.progress(step.end)));
                }
                self.work(node, step, end)?;
            } else if let Some((node, call)) = self.next_call() {
                if !end.has_room() {
                    return Ok(Flow::Left(step.end));
                }
                self.next += 1;
                self.call(node, call, step, end)?;
            } else {
                return Ok(Flow::Done);
            }
        }
    }

    /// The last operator that has something to do.
    ///
    /// So rows leave the chain before new ones are made above them.
    fn deepest(&self) -> Option<usize> {
        self.nodes.iter().rposition(|node| node.left.is_some() || !node.waiting.is_empty())
    }

    /// The ordinal of the first row that is not through.
    ///
    /// Rows that are deeper come from earlier rows of the input, so the deepest operator decides.
    fn progress(&self, end: u64) -> u64 {
        let first = |node: &Node| node.left.or_else(|| node.waiting.front().map(|(_, batch)| batch.seq.at(0)));
        self.nodes.iter().rev().find_map(first).unwrap_or(end)
    }

    fn work(&mut self, at: usize, step: &mut Step, end: &mut dyn End) -> Result<()> {
        let node = &mut self.nodes[at];
        let mut cx = context(&node.limits, step);
        let flow = match (node.left.take(), node.waiting.front()) {
            (Some(_), _) => node.operator.resume(&mut cx, &mut self.output)?,
            (None, Some(_)) => match node.waiting.pop_front() {
                Some((port, batch)) => node.operator.process(port, batch, &mut cx, &mut self.output)?,
                None => Flow::Done,
            },
            (None, None) => Flow::Done,
        };
        self.deliver(at, flow, step, end)
    }

    /// The next operator to be called, and what for. At the end of an epoch what an operator hands on is worked off by those
    /// after it, so that each is called for both.
    fn next_call(&self) -> Option<(usize, Call)> {
        let (node, call) = match self.call {
            Call::Advance => (self.next, Call::Advance),
            Call::Flush if self.next.is_multiple_of(2) => (self.next / 2, Call::Advance),
            Call::Flush => (self.next / 2, Call::Flush),
        };
        (node < self.nodes.len()).then_some((node, call))
    }

    fn call(&mut self, at: usize, call: Call, step: &mut Step, end: &mut dyn End) -> Result<()> {
        let node = &mut self.nodes[at];
        let mut cx = context(&node.limits, step);
        let flow = match call {
            Call::Advance => node.operator.advance(&mut cx, &mut self.output)?,
            Call::Flush => node.operator.flush(&mut cx, &mut self.output)?,
        };
        self.deliver(at, flow, step, end)
    }

    /// Hands on what an operator made.
    fn deliver(&mut self, at: usize, flow: Flow, step: &mut Step, end: &mut dyn End) -> Result<()> {
        if let Flow::Left(seq) = flow {
            self.nodes[at].left = Some(seq);
        }
        match self.nodes[at].target {
            Target::End => self.output.drain().try_for_each(|batch| end.take(batch, step.log)),
            Target::Operator { operator, port } => {
                self.nodes[operator].waiting.extend(self.output.drain().map(|batch| (port, batch)));
                Ok(())
            }
        }
    }

    /// The operators.
    pub(super) fn operators(&self) -> impl Iterator<Item = &dyn Operator> {
        self.nodes.iter().map(|node| node.operator.as_ref())
    }

    /// The operators, to change them, each with its id if it keeps state.
    pub(super) fn operators_mut(&mut self) -> impl Iterator<Item = (Option<OperatorId>, &mut Box<dyn Operator>)> {
        self.nodes.iter_mut().map(|node| (node.id, &mut node.operator))
    }
}

fn context<'c>(limits: &'c [i64], step: &'c mut Step) -> Context<'c> {
    let Step { now_ms, end, origin, point_ms, .. } = *step;
    Context { limits, now_ms, end, origin, point_ms, log: step.log }
}
