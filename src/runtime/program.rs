//! A plan cut into stages: which operators stand between two exchanges, where each column stands in a row, and who hands
//! rows to whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;

use crate::catalog::{Catalog, Encoding, Source, SourceKind};
use crate::config::{self, Properties};
use crate::error::{Error, Result};
use crate::expr::{ColumnId, Expr};
use crate::operators::aggregate::{self, Aggregate};
use crate::operators::compute::{Compute, Output};
use crate::operators::filter::Filter;
use crate::operators::stream_join::{self, StreamJoin};
use crate::operators::unnest::Unnest;
use crate::operators::{KeyBytes, Operator};
use crate::plan::node::{
    AggregateNode, Node, Plan, Rekey, SourceColumn, SourceNode, StreamJoinNode, implicit_grace_ms,
};
use crate::sql::query::JoinKind;
use crate::topics::TopicId;
use crate::types::row::Input;
use crate::types::{Builder, Column, SqlType, View, key};

/// A plan, ready to be run.
#[derive(Default)]
pub struct Program {
    pub sources: Vec<SourceSpec>,
    /// In the order in which rows flow: a stage reads only sources and earlier stages.
    pub stages: Vec<StageSpec>,
    /// The places of the result's columns in the rows of the last stage.
    pub output: Vec<usize>,
    /// The place of the start of the window, if the result's key has one.
    pub window_start: Option<usize>,
    /// Whether rows of several partitions meet, so that they must be taken in one order.
    pub merges: bool,
    /// That the rows have got another key.
    pub rekey: Option<Rekey>,
    /// Tells programs apart whose state does not fit each other.
    pub fingerprint: u64,
}

/// A source that is read.
pub struct SourceSpec {
    pub source: Arc<Source>,
    pub topic: TopicId,
    pub partitions: u32,
    /// What the columns of its rows are.
    pub columns: Vec<SourceColumn>,
}

/// The operators between two exchanges.
pub struct StageSpec {
    pub ports: Vec<Port>,
    pub operators: Vec<OperatorSpec>,
    pub output: StageOutput,
    /// The number of tasks.
    pub tasks: u32,
    /// For each port the sources that feed it, directly or through other stages.
    pub feeds: Vec<BTreeSet<usize>>,
    /// Whether a port of the stage is behind an exchange, for each port.
    pub exchanged: Vec<bool>,
}

/// Makes an operator for a task.
pub type OperatorSpec = Box<dyn Fn() -> Box<dyn Operator> + Send + Sync>;

/// Where the rows of a port come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The task reads the partition of its number.
    Source(usize),
    /// The task gets what the stage hands to its number.
    Stage(usize),
}

/// Where the rows of a stage go.
pub enum StageOutput {
    /// To the task of the same number.
    Direct,
    /// To the task that the key belongs to.
    Exchange { key: Vec<(usize, SqlType)>, encoding: Encoding },
    /// They are the result.
    Result,
}

/// Cuts a plan into stages.
pub fn compile(plan: &Plan, catalog: &Catalog, properties: &Properties) -> Result<Program> {
    let every_row = properties.number(config::CACHE_BYTES) == 0;
    let mut compiler =
        Compiler { plan, catalog, every_row, sources: Vec::new(), stages: Vec::new(), signature: String::new() };
    let mut needed: Vec<ColumnId> = plan.output.iter().map(|c| c.id).collect();
    needed.extend(plan.window.map(|w| w.start));
    let chain = compiler.node(&plan.root, &distinct(needed), false)?;
    let place = |id: ColumnId| place_of(&chain.layout, id);
    let output = plan.output.iter().map(|c| place(c.id)).collect::<Result<_>>()?;
    let window_start = plan.window.map(|w| place(w.start)).transpose()?;
    let merges = chain.ports.len() > 1
        || compiler.stages.iter().any(|s| !matches!(s.output, StageOutput::Direct) || s.ports.len() > 1);
    compiler.close(chain, StageOutput::Result)?;
    let fingerprint = fingerprint(&compiler.signature);
    Ok(Program {
        sources: compiler.sources,
        stages: compiler.stages,
        output,
        window_start,
        merges,
        rekey: plan.rekey.clone(),
        fingerprint,
    })
}

struct Compiler<'a> {
    plan: &'a Plan,
    catalog: &'a Catalog,
    every_row: bool,
    sources: Vec<SourceSpec>,
    stages: Vec<StageSpec>,
    /// Everything that the bytes of the state depend on.
    signature: String,
}

/// A stage that is still open at its end.
struct Chain {
    ports: Vec<Port>,
    operators: Vec<OperatorSpec>,
    layout: Vec<ColumnId>,
}

/// A side of a join.
struct JoinSide {
    port: Port,
    /// The place of the key in its rows.
    key: usize,
    /// The columns that it contributes to the result, and their places and types in its rows.
    ids: Vec<ColumnId>,
    columns: Vec<(usize, SqlType)>,
}

fn distinct(mut ids: Vec<ColumnId>) -> Vec<ColumnId> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn place_of(layout: &[ColumnId], id: ColumnId) -> Result<usize> {
    layout.iter().position(|l| *l == id).ok_or_else(|| Error::bug(format!("column {id} is not handed on")))
}

fn columns_of(expr: &Expr) -> Vec<ColumnId> {
    let mut all = Vec::new();
    expr.columns(&mut all);
    all
}

/// A number that changes with the text.
fn fingerprint(signature: &str) -> u64 {
    let (high, low) = (crc32c::crc32c(signature.as_bytes()), crc32c::crc32c_append(1, signature.as_bytes()));
    u64::from(high) << 32 | u64::from(low)
}

impl Compiler<'_> {
    fn type_of(&self, id: ColumnId) -> SqlType {
        self.plan.columns[id as usize].1.clone()
    }

    fn name_of(&self, id: ColumnId) -> String {
        self.plan.columns[id as usize].0.clone()
    }

    /// The chain of a node that hands on at least the needed columns; `old` if the old side of changes is asked for.
    fn node(&mut self, node: &Node, needed: &[ColumnId], old: bool) -> Result<Chain> {
        match node {
            Node::Source(node) => self.source(node, needed),
            Node::Filter { input, condition } => self.filter(input, condition, needed),
            Node::Compute { input, columns } => self.compute(input, columns, needed, old),
            Node::Unnest { input, columns } => self.unnest(input, columns, needed),
            Node::Exchange { input, key, encoding } => {
                let below = distinct([needed, key].concat());
                let chain = self.node(input, &below, false)?;
                let places = key.iter().map(|id| Ok((place_of(&chain.layout, *id)?, self.type_of(*id))));
                let output = StageOutput::Exchange { key: places.collect::<Result<_>>()?, encoding: encoding.clone() };
                let layout = chain.layout.clone();
                let stage = self.close(chain, output)?;
                Ok(Chain { ports: vec![Port::Stage(stage)], operators: Vec::new(), layout })
            }
            Node::Aggregate(node) => self.aggregate(node, old),
            Node::StreamJoin(node) => self.join(node, needed),
        }
    }

    fn source(&mut self, node: &SourceNode, needed: &[ColumnId]) -> Result<Chain> {
        let name = &node.source.topic;
        let topic = self.catalog.topic(name).ok_or_else(|| self.catalog.no_topic(name))?;
        let read: Vec<_> = node.columns.iter().filter(|(id, _)| needed.contains(id)).collect();
        let layout = read.iter().map(|(id, _)| *id).collect();
        let columns = read.iter().map(|(_, origin)| origin.clone()).collect();
        let spec = SourceSpec { source: node.source.clone(), topic: topic.id, partitions: topic.partitions, columns };
        self.sources.push(spec);
        Ok(Chain { ports: vec![Port::Source(self.sources.len() - 1)], operators: Vec::new(), layout })
    }

    fn filter(&mut self, input: &Node, condition: &Expr, needed: &[ColumnId]) -> Result<Chain> {
        let below = distinct([needed, &columns_of(condition)].concat());
        // Only changes of a table have an old side; a stream's rows have none, whoever asks.
        let mut chain = self.node(input, &below, true)?;
        let compiled = condition.compile(&chain.layout);
        let keep: Vec<usize> = needed.iter().map(|id| place_of(&chain.layout, *id)).collect::<Result<_>>()?;
        let reads: Vec<String> = distinct(columns_of(condition)).into_iter().map(|id| self.name_of(id)).collect();
        let written = format!("over {}", reads.join(", "));
        chain.operators.push(Box::new(move || {
            Box::new(Filter::new(compiled.clone(), written.clone(), keep.clone())) as Box<dyn Operator>
        }));
        chain.layout = needed.to_vec();
        Ok(chain)
    }

    fn compute(&mut self, input: &Node, columns: &[(ColumnId, Expr)], needed: &[ColumnId], old: bool) -> Result<Chain> {
        let made: Vec<_> = columns.iter().filter(|(id, _)| needed.contains(id)).collect();
        let kept: Vec<ColumnId> = needed.iter().copied().filter(|id| !made.iter().any(|(m, _)| m == id)).collect();
        let read: Vec<ColumnId> = made.iter().flat_map(|(_, expr)| columns_of(expr)).collect();
        let mut chain = self.node(input, &distinct([kept.as_slice(), &read].concat()), old)?;
        let mut layout = kept.clone();
        let mut places: Vec<usize> = kept.iter().map(|id| place_of(&chain.layout, *id)).collect::<Result<_>>()?;
        let made: Vec<(Expr, String)> = made
            .into_iter()
            .map(|(id, expr)| {
                layout.push(*id);
                (expr.compile(&chain.layout), self.name_of(*id))
            })
            .collect();
        places.shrink_to_fit();
        chain.operators.push(Box::new(move || {
            let keep = places.iter().map(|place| Output::Keep(*place));
            let make = made.iter().map(|(expr, name)| Output::Make(expr.clone(), name.clone()));
            Box::new(Compute::new(keep.chain(make).collect()))
        }));
        chain.layout = layout;
        Ok(chain)
    }

    /// All arrays are read, whoever needs their items: the longest says how many rows there are.
    fn unnest(&mut self, input: &Node, columns: &[(ColumnId, ColumnId)], needed: &[ColumnId]) -> Result<Chain> {
        let made = |id: &ColumnId| columns.iter().any(|(item, _)| item == id);
        let kept: Vec<ColumnId> = needed.iter().copied().filter(|id| !made(id)).collect();
        let arrays: Vec<ColumnId> = columns.iter().map(|(_, array)| *array).collect();
        let mut chain = self.node(input, &distinct([kept.as_slice(), &arrays].concat()), false)?;
        let places = |ids: &[ColumnId]| ids.iter().map(|id| place_of(&chain.layout, *id)).collect::<Result<Vec<_>>>();
        let (keep, arrays) = (places(&kept)?, places(&arrays)?);
        chain.operators.push(Box::new(move || Box::new(Unnest::new(keep.clone(), arrays.clone()))));
        chain.layout = kept;
        chain.layout.extend(columns.iter().map(|(item, _)| *item));
        Ok(chain)
    }

    fn aggregate(&mut self, node: &AggregateNode, old: bool) -> Result<Chain> {
        let args = node.calls.iter().flat_map(|c| c.args.iter().copied());
        let below = distinct(node.keys.iter().copied().chain(args).collect());
        let mut chain = self.node(&node.input, &below, false)?;
        let keys: Vec<(usize, SqlType)> =
            node.keys.iter().map(|id| Ok((place_of(&chain.layout, *id)?, self.type_of(*id)))).collect::<Result<_>>()?;
        let mut calls = Vec::new();
        for call in &node.calls {
            let places: Vec<usize> = call.args.iter().map(|id| place_of(&chain.layout, *id)).collect::<Result<_>>()?;
            calls.push((call.function.clone(), places));
        }
        let window = node.window.map(|w| w.window);
        let types: Vec<&SqlType> = keys.iter().map(|(_, t)| t).collect();
        let functions: Vec<String> = calls.iter().map(|(f, _)| format!("{f:?}")).collect();
        self.signature.push_str(&format!("aggregate by {types:?} of {functions:?} in {window:?};"));
        if node.last_only.is_some() {
            self.signature.push_str("only the last;");
        }
        let key_types: Vec<SqlType> = keys.iter().map(|(_, t)| t.clone()).collect();
        let last_only = node.last_only.as_ref().map(|encoding| key_bytes(&key_types, encoding));
        let every_row = self.every_row && last_only.is_none();
        // Before the last result of a window there was none.
        let old = old && last_only.is_none();
        chain.operators.push(Box::new(move || {
            let call = |(function, args): &(_, Vec<usize>)| aggregate::Call {
                function: Clone::clone(function),
                args: args.clone(),
            };
            let calls = calls.iter().map(call).collect();
            let (keys, last_only) = (keys.clone(), last_only.clone());
            Box::new(Aggregate::new(aggregate::Spec { keys, calls, window, every_row, last_only, old }))
        }));
        chain.layout = node.keys.clone();
        chain.layout.extend(node.window.iter().flat_map(|w| [w.start, w.end]));
        chain.layout.extend(node.calls.iter().map(|c| c.id));
        Ok(chain)
    }

    fn join(&mut self, node: &StreamJoinNode, needed: &[ColumnId]) -> Result<Chain> {
        let left = self.join_side(&node.left, node.left_key, needed)?;
        let right = self.join_side(&node.right, node.right_key, needed)?;
        let key_type = self.type_of(node.key);
        // As in ksqlDB a RIGHT JOIN is a LEFT JOIN of the right stream with the left one, within the same bounds.
        let (first, second, preserved) = match node.kind {
            JoinKind::Inner => (left, right, [false, false]),
            JoinKind::Left => (left, right, [true, false]),
            JoinKind::Right => (right, left, [true, false]),
            JoinKind::Full => (left, right, [true, true]),
        };
        let layout = [&[node.key], first.ids.as_slice(), second.ids.as_slice()].concat();
        let ports = vec![first.port, second.port];
        let (before_ms, after_ms, grace_ms) = (node.before_ms, node.after_ms, node.grace_ms);
        let types = |side: &JoinSide| side.columns.iter().map(|(_, t)| t.to_string()).collect::<Vec<_>>();
        self.signature.push_str(&format!(
            "{:?} join by {key_type} of {:?} and {:?} within {before_ms} {after_ms} {grace_ms:?};",
            node.kind,
            types(&first),
            types(&second)
        ));
        let key_bytes = key_bytes(std::slice::from_ref(&key_type), &node.encoding);
        let join: OperatorSpec = Box::new(move || {
            let side = |side: &JoinSide, preserved| stream_join::SideSpec {
                key: side.key,
                columns: side.columns.clone(),
                preserved,
            };
            Box::new(StreamJoin::new(stream_join::Spec {
                sides: [side(&first, preserved[0]), side(&second, preserved[1])],
                key_type: key_type.clone(),
                before_ms,
                after_ms,
                grace_ms,
                implicit_grace_ms: implicit_grace_ms(before_ms),
                key_bytes: key_bytes.clone(),
            }))
        });
        Ok(Chain { ports, operators: vec![join], layout })
    }

    fn join_side(&mut self, input: &Node, key: ColumnId, needed: &[ColumnId]) -> Result<JoinSide> {
        let own = made_by(input);
        let ids: Vec<ColumnId> = needed.iter().copied().filter(|id| own.contains(id)).collect();
        let chain = self.node(input, &distinct([ids.as_slice(), &[key]].concat()), false)?;
        let key = place_of(&chain.layout, key)?;
        let columns =
            ids.iter().map(|id| Ok((place_of(&chain.layout, *id)?, self.type_of(*id)))).collect::<Result<_>>()?;
        let port = match chain.ports.as_slice() {
            [port] if chain.operators.is_empty() => *port,
            _ => Port::Stage(self.close(chain, StageOutput::Direct)?),
        };
        Ok(JoinSide { port, key, ids, columns })
    }

    /// Ends a stage; its number.
    fn close(&mut self, chain: Chain, output: StageOutput) -> Result<usize> {
        let mut tasks = None;
        let (mut feeds, mut exchanged) = (Vec::new(), Vec::new());
        for port in &chain.ports {
            let count = match port {
                Port::Source(source) => {
                    feeds.push(BTreeSet::from([*source]));
                    exchanged.push(false);
                    self.sources[*source].partitions
                }
                Port::Stage(stage) => {
                    let below = &self.stages[*stage];
                    feeds.push(below.feeds.iter().flatten().copied().collect());
                    exchanged
                        .push(matches!(below.output, StageOutput::Exchange { .. }) || below.exchanged.contains(&true));
                    below.tasks
                }
            };
            if tasks.is_some_and(|tasks| tasks != count) {
                return Err(Error::bug("the inputs of a stage are cut differently"));
            }
            tasks = Some(count);
        }
        let tasks = tasks.ok_or_else(|| Error::bug("a stage without inputs"))?;
        self.stages.push(StageSpec { ports: chain.ports, operators: chain.operators, output, tasks, feeds, exchanged });
        Ok(self.stages.len() - 1)
    }
}

/// A key of columns of these types as its encoding writes it.
fn key_bytes(types: &[SqlType], encoding: &Encoding) -> KeyBytes {
    let columns: Vec<Column> = types.iter().map(|sql_type| Column::key("", sql_type.clone())).collect();
    let encoding = encoding.clone();
    Arc::new(move |key| {
        let mut builders: Vec<Builder> = columns.iter().map(|c| Builder::new(&c.sql_type, 1)).collect();
        key::decode(&mut Input(key), &mut builders)?;
        let arrays: Vec<ArrayRef> = builders.into_iter().map(Builder::finish).collect();
        let views: Vec<View> = arrays.iter().zip(&columns).map(|(a, c)| View::new(a.as_ref(), &c.sql_type)).collect();
        let mut bytes = Vec::new();
        encoding.encoder(&columns).encode(&views, 0, &mut bytes);
        Ok(bytes)
    })
}

/// The columns that a node or one below it makes.
fn made_by(node: &Node) -> BTreeSet<ColumnId> {
    let own: Vec<ColumnId> = match node {
        Node::Source(node) => node.columns.iter().map(|(id, _)| *id).collect(),
        Node::Compute { columns, .. } => columns.iter().map(|(id, _)| *id).collect(),
        Node::Unnest { columns, .. } => columns.iter().map(|(id, _)| *id).collect(),
        Node::Aggregate(node) => {
            node.calls.iter().map(|c| c.id).chain(node.window.iter().flat_map(|w| [w.start, w.end])).collect()
        }
        Node::StreamJoin(node) => vec![node.key],
        Node::Filter { .. } | Node::Exchange { .. } => Vec::new(),
    };
    own.into_iter().chain(node.inputs().into_iter().flat_map(made_by)).collect()
}

impl SourceSpec {
    /// The place of the source in the order in which rows of one time are taken: tables come before streams.
    pub fn code(&self, input: usize, partition: u32) -> u32 {
        let stream = u32::from(self.source.kind == SourceKind::Stream);
        stream << 31 | (input as u32) << 20 | partition
    }
}
