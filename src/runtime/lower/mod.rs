//! Plans to programs: operators are made of the nodes, one file each, and the plan is cut into stages at its exchanges.
//!
//! Lowering goes from the root to the leaves. Each node is told which columns are needed above it and whether old sides of
//! changes are; it gives a [`Chain`], a stage that is still open at its end.
//!
//! Columns are known by their ids in the plan and by their places in rows; lowering is where ids become places. A
//! column that nobody needs above a node is not made below it, down to the decoder. Cutting at exchanges gives stages;
//! each stage has as many tasks as its input has partitions.

mod aggregate;
mod compute;
mod exchange;
mod filter;
mod source;
mod stream_join;
mod unnest;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::decode::Wanted;
use super::program::{FeedSpec, MakeOperator, OperatorSpec, Port, PortOrigin, Program, StageOutput, StageSpec, Target};
use crate::catalog::Catalog;
use crate::config::{self, Properties};
use crate::error::{Error, Result};
use crate::expr::{ColumnId, Expr};
use crate::formats::Encoding;
use crate::operators::KeyBytes;
use crate::plan::node::{Node, Plan, SourceColumn, with_node};
use crate::state::OperatorId;
use crate::types::row::Input;
use crate::types::{Builder, Column, SqlType, View, key};

/// Makes a program of a plan.
///
/// The same plan, catalog and properties always give the same program, with the same ids and fingerprints of stateful
/// operators: kept state is matched with them after a restart.
///
/// # Errors
/// A topic that is not in the catalog (kind `Missing`), or a bug of the planner.
pub fn compile(plan: &Plan, catalog: &Catalog, properties: &Properties) -> Result<Program> {
    let every_row = properties.number(config::CACHE_BYTES) == 0;
    let mut lowering = Lowering { plan, catalog, every_row, program: Program::default(), headers: true };
    let mut needed: Vec<ColumnId> = plan.output.iter().map(|c| c.id).collect();
    needed.extend(plan.window.map(|w| w.start));
    let chain = lowering.node(&plan.root, &Needs { columns: distinct(needed), old: false })?;
    let mut program = std::mem::take(&mut lowering.program);
    program.output = plan.output.iter().map(|c| chain.place(c.id)).collect::<Result<_>>()?;
    program.window_start = plan.window.map(|w| chain.place(w.start)).transpose()?;
    program.rekey = plan.rekey.clone();
    lowering.program = program;
    lowering.close(chain, StageOutput::Result)?;
    let mut program = lowering.program;
    let meets = |stage: &StageSpec| stage.ports.len() > 1 || matches!(stage.output, StageOutput::Exchange { .. });
    program.merges = program.stages.iter().any(meets);
    Ok(program)
}

/// What is needed above a node.
#[derive(Clone, Debug)]
pub(super) struct Needs {
    /// Sorted, each once.
    pub columns: Vec<ColumnId>,
    /// Whether the old sides of changes are.
    pub old: bool,
}

impl Needs {
    /// The same with further columns.
    fn and(&self, more: impl IntoIterator<Item = ColumnId>) -> Needs {
        Needs { columns: distinct(self.columns.iter().copied().chain(more).collect()), old: self.old }
    }
}

/// A plan on its way to a program.
pub(super) struct Lowering<'a> {
    plan: &'a Plan,
    catalog: &'a Catalog,
    /// Whether every row of an aggregation gives a result.
    every_row: bool,
    /// Whether the headers of source rows reach the result from where lowering stands.
    ///
    /// Cleared below a node that merges rows. If it is still true at a source, its headers are read.
    headers: bool,
    program: Program,
}

/// A stage that is still open at its end.
pub(super) struct Chain {
    ports: Vec<Port>,
    operators: Vec<OperatorSpec>,
    /// What the columns of its rows are.
    ///
    /// In the order of the columns; may have more than what was asked for.
    layout: Vec<ColumnId>,
}

/// A node that can be lowered.
///
/// One file for each node of the plan; the file says everything about how that node runs.
pub(super) trait Lower {
    /// The chain of the node, whose rows have at least the columns that are needed.
    fn lower(&self, cx: &mut Lowering, needs: &Needs) -> Result<Chain>;
}

fn distinct(mut ids: Vec<ColumnId>) -> Vec<ColumnId> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The columns that an expression reads.
fn columns_of(expr: &Expr) -> Vec<ColumnId> {
    let mut all = Vec::new();
    expr.columns(&mut all);
    all
}

/// A number that changes with the text.
///
/// 64 bits of two CRC32C with different starts: the same on all machines and in all versions. It is kept with the
/// statement, and state is refused if it differs.
fn fingerprint(signature: &str) -> u64 {
    let (high, low) = (crc32c::crc32c(signature.as_bytes()), crc32c::crc32c_append(1, signature.as_bytes()));
    u64::from(high) << 32 | u64::from(low)
}

impl Chain {
    /// The place of a column in the rows.
    fn place(&self, id: ColumnId) -> Result<usize> {
        let place = self.layout.iter().position(|l| *l == id);
        place.ok_or_else(|| Error::bug(format!("column {id} is not handed on")))
    }

    fn places(&self, ids: &[ColumnId]) -> Result<Vec<usize>> {
        ids.iter().map(|id| self.place(*id)).collect()
    }

    /// Adds an operator with one port, whose rows have the columns `layout`.
    fn push(&mut self, id: Option<OperatorId>, layout: Vec<ColumnId>, make: MakeOperator) {
        let inputs = vec![(0..self.ports.len()).collect()];
        self.redirect(Target::Operator { operator: self.operators.len(), port: 0 });
        self.operators.push(OperatorSpec { id, target: Target::End, inputs, make });
        self.layout = layout;
    }

    /// Sends the rows at the end of the chain to another target.
    fn redirect(&mut self, target: Target) {
        let ends = self.operators.iter_mut().map(|operator| &mut operator.target);
        let ends = ends.chain(self.ports.iter_mut().map(|port| &mut port.target));
        ends.filter(|end| **end == Target::End).for_each(|end| *end = target);
    }

    /// One chain of two, whose rows go to the two ports of an operator.
    ///
    /// Ports and operators of the right chain are numbered after those of the left one.
    fn join(mut self, mut right: Chain, id: Option<OperatorId>, layout: Vec<ColumnId>, make: MakeOperator) -> Chain {
        let (ports, operators) = (self.ports.len(), self.operators.len());
        let joining = operators + right.operators.len();
        let shift = |target: &mut Target| {
            if let Target::Operator { operator, .. } = target {
                *operator += operators;
            }
        };
        right.ports.iter_mut().for_each(|port| shift(&mut port.target));
        for operator in &mut right.operators {
            shift(&mut operator.target);
            operator.inputs.iter_mut().flatten().for_each(|port| *port += ports);
        }
        self.redirect(Target::Operator { operator: joining, port: 0 });
        right.redirect(Target::Operator { operator: joining, port: 1 });
        let inputs = vec![(0..ports).collect(), (ports..ports + right.ports.len()).collect()];
        self.ports.extend(right.ports);
        self.operators.extend(right.operators);
        self.operators.push(OperatorSpec { id, target: Target::End, inputs, make });
        Chain { layout, ..self }
    }
}

impl Lowering<'_> {
    fn type_of(&self, id: ColumnId) -> SqlType {
        self.plan.columns[id as usize].1.clone()
    }

    fn name_of(&self, id: ColumnId) -> String {
        self.plan.columns[id as usize].0.clone()
    }

    /// The chain of a node.
    fn node(&mut self, node: &Node, needs: &Needs) -> Result<Chain> {
        with_node!(node, node => node.lower(self, needs))
    }

    /// The place and the type of each column in the rows of a chain.
    fn typed(&self, chain: &Chain, ids: &[ColumnId]) -> Result<Vec<(usize, SqlType)>> {
        ids.iter().map(|id| Ok((chain.place(*id)?, self.type_of(*id)))).collect()
    }

    /// Notes a stateful operator; the signature has everything that the bytes of its state depend on.
    fn stateful(&mut self, id: OperatorId, signature: &str) {
        self.program.operators.push((id, fingerprint(signature)));
    }

    /// The place of a source among those that are read; it is read once, however often it is asked for.
    ///
    /// Two nodes that read the same source share a feed, and the feed reads the columns of both.
    fn feed(&mut self, source: &Arc<crate::catalog::Source>, columns: &[SourceColumn]) -> Result<usize> {
        let headers = self.headers;
        let wanted = Wanted { columns: columns.iter().cloned().collect(), headers };
        let same = |feed: &FeedSpec| feed.source.name == source.name && feed.source.made_at == source.made_at;
        if let Some(place) = self.program.feeds.iter().position(same) {
            Arc::make_mut(&mut self.program.feeds[place].wanted).add(&wanted);
            return Ok(place);
        }
        let topic = self.catalog.topic(&source.topic).ok_or_else(|| self.catalog.no_topic(&source.topic))?;
        let topics = &mut self.program.topics;
        let rank = topics.iter().position(|(id, _)| *id == topic.id).unwrap_or_else(|| {
            topics.push((topic.id, topic.name.clone()));
            topics.len() - 1
        });
        let (topic, partitions) = (topic.id, topic.partitions);
        self.program.feeds.push(FeedSpec { source: source.clone(), topic, partitions, rank, wanted: Arc::new(wanted) });
        Ok(self.program.feeds.len() - 1)
    }

    /// Ends a stage; its number.
    ///
    /// All ports must come from inputs with the same number of partitions; the planner sees to that with exchanges.
    fn close(&mut self, chain: Chain, output: StageOutput) -> Result<usize> {
        let mut tasks = None;
        for port in &chain.ports {
            let count = match port.origin {
                PortOrigin::Feed { feed, .. } => self.program.feeds[feed].partitions,
                PortOrigin::Stage(stage) => self.program.stages[stage].tasks,
            };
            if tasks.is_some_and(|tasks| tasks != count) {
                return Err(Error::bug("the inputs of a stage have different numbers of partitions"));
            }
            tasks = Some(count);
        }
        let tasks = tasks.ok_or_else(|| Error::bug("a stage without inputs"))?;
        let Chain { ports, operators, .. } = chain;
        self.program.stages.push(StageSpec { ports, operators, output, tasks });
        Ok(self.program.stages.len() - 1)
    }

    /// A new chain that gets the rows of a stage.
    ///
    /// `exchanged` stays true for all later stages: rows once mixed stay mixed.
    fn after(&self, stage: usize, layout: Vec<ColumnId>, exchanged: bool) -> Chain {
        let before = &self.program.stages[stage].ports;
        let port = Port {
            origin: PortOrigin::Stage(stage),
            target: Target::End,
            feeds: before.iter().flat_map(|port| port.feeds.iter().copied()).collect::<BTreeSet<usize>>(),
            exchanged: exchanged || before.iter().any(|port| port.exchanged),
        };
        Chain { ports: vec![port], operators: Vec::new(), layout }
    }
}

/// Keys of columns of these types as their encoding writes them.
///
/// For sorting only; costs a decoding and an encoding for each key.
fn key_bytes(types: &[SqlType], encoding: &Encoding) -> KeyBytes {
    let columns: Vec<Column> = types.iter().map(|sql_type| Column::key("", sql_type.clone())).collect();
    let encoding = encoding.clone();
    Arc::new(move |keys| {
        let mut builders: Vec<Builder> = columns.iter().map(|c| Builder::new(&c.sql_type, keys.len())).collect();
        keys.iter().try_for_each(|key| key::decode(&mut Input(key), &mut builders))?;
        let arrays: Vec<arrow::array::ArrayRef> = builders.into_iter().map(Builder::finish).collect();
        let views: Vec<View> = arrays.iter().zip(&columns).map(|(a, c)| View::new(a.as_ref(), &c.sql_type)).collect();
        let mut encoder = encoding.encoder();
        let encoded = (0..keys.len()).map(|row| {
            let mut bytes = Vec::new();
            encoder.encode(&views, row, &mut bytes);
            bytes
        });
        Ok(encoded.collect())
    })
}
