//! A task: the operators of a stage over the rows of one logical partition.

use super::exchange::Exchange;
use super::merge;
use super::piece::{Piece, Points};
use super::program::{StageOutput, StageSpec};
use crate::error::{Error, Result};
use crate::journal::OperatorId;
use crate::operators::{Context, Log, Operator};
use crate::state::BucketId;
use crate::types::row::{Input, put_bytes, put_varint};
use crate::types::{Batch, Seq};

/// A task of a stage.
pub struct Task {
    stage: u32,
    /// The number of the task in its stage.
    pub number: u32,
    operators: Vec<Box<dyn Operator>>,
    exchange: Option<Exchange>,
    /// Whether the places of rows are needed behind the task.
    places: bool,
    /// The ordinal of the next row.
    next_seq: u64,
    pub log: Log,
}

/// What a task hands on.
pub enum TaskOutput {
    /// To other tasks: each piece with the number of the task.
    Pieces(Vec<(u32, Piece)>),
    /// The result.
    Result(Vec<Batch>),
}

impl Task {
    /// A task that has done nothing yet.
    pub fn new(stage: u32, number: u32, spec: &StageSpec, targets: u32, single: bool) -> Self {
        let exchange = match &spec.output {
            StageOutput::Exchange { key, encoding } => Some(Exchange::new(key, encoding, targets, single)),
            StageOutput::Direct | StageOutput::Result => None,
        };
        Task {
            stage,
            number,
            operators: spec.operators.iter().map(|make| make()).collect(),
            exchange,
            places: !matches!(spec.output, StageOutput::Result),
            next_seq: 0,
            log: Log::default(),
        }
    }

    /// Takes the rows of a turn: the pieces for each port.
    pub fn turn(&mut self, ports: Vec<Vec<Piece>>, time_limits: &[i64]) -> Result<TaskOutput> {
        let start = self.next_seq;
        let mut inputs = Vec::with_capacity(ports.len());
        let mut empty = true;
        for pieces in ports {
            let merged = merge::merge(pieces)?;
            empty &= merged.is_none();
            inputs.push(merged);
        }
        if empty {
            return Ok(self.nothing());
        }
        let (batches, points) = self.number(inputs, start)?;
        let out = self.run(0, batches, time_limits)?;
        self.hand_on(out, &points, start)
    }

    fn nothing(&self) -> TaskOutput {
        if self.places { TaskOutput::Pieces(Vec::new()) } else { TaskOutput::Result(Vec::new()) }
    }

    /// Gives the rows their ordinals.
    fn number(&mut self, inputs: Vec<Option<(Batch, Points)>>, start: u64) -> Result<(Vec<Batch>, Points)> {
        let rows: usize = inputs.iter().flatten().map(|(batch, _)| batch.rows()).sum();
        self.next_seq += rows as u64;
        let template = inputs.len();
        let mut inputs: Vec<(Batch, Points)> = match template {
            1 => inputs.into_iter().flatten().collect(),
            _ => inputs.into_iter().map(Option::unwrap_or_default).collect(),
        };
        match inputs.as_mut_slice() {
            [(batch, _)] => {
                batch.seq = Seq::From(start);
                let (batch, points) = inputs.remove(0);
                Ok((vec![batch], points))
            }
            [(left, left_points), (right, right_points)] => {
                let all = merge::number([(left, left_points), (right, right_points)], start);
                Ok((inputs.into_iter().map(|(batch, _)| batch).collect(), all))
            }
            _ => Err(Error::bug("a stage has one or two inputs")),
        }
    }

    /// Runs the operators from `first` on.
    fn run(&mut self, first: usize, batches: Vec<Batch>, time_limits: &[i64]) -> Result<Vec<Batch>> {
        let mut current = batches;
        for operator in &mut self.operators[first..] {
            let mut out = Vec::new();
            operator.process(current, &mut Context { time_limits, log: &mut self.log }, &mut out)?;
            current = out;
            if current.is_empty() {
                break;
            }
        }
        Ok(current)
    }

    /// Sends the rows on, with the places of the rows that caused them.
    fn hand_on(&mut self, out: Vec<Batch>, points: &Points, start: u64) -> Result<TaskOutput> {
        if !self.places {
            return Ok(TaskOutput::Result(out));
        }
        let mut pieces = Vec::new();
        for batch in out {
            let mut own = Points::default();
            for row in 0..batch.rows() {
                own.push(points.at((batch.seq.at(row) - start) as usize));
            }
            match &mut self.exchange {
                Some(exchange) => pieces.extend(exchange.split(batch, own, self.number)),
                None => pieces.push((self.number, Piece { batch, points: own, rows: None })),
            }
        }
        Ok(TaskOutput::Pieces(pieces))
    }

    /// About how many bytes of changes wait for the end of the epoch.
    pub fn held_bytes(&self) -> usize {
        self.operators.iter().map(|o| o.held_bytes()).sum()
    }

    /// Ends an epoch: what operators held back, as results.
    pub fn flush(&mut self) -> Result<Vec<Batch>> {
        let limits = [i64::MAX; 2];
        let mut results = Vec::new();
        for index in 0..self.operators.len() {
            let mut out = Vec::new();
            self.operators[index].flush(&mut Context { time_limits: &limits, log: &mut self.log }, &mut out)?;
            if !out.is_empty() {
                results.extend(self.run(index + 1, out, &limits)?);
            }
        }
        if self.places && !results.is_empty() {
            return Err(Error::bug("what is held back for an epoch goes to the result, not to another stage"));
        }
        Ok(results)
    }

    /// Appends the changes of the state since the last call, and the times, for [`Task::apply`] and [`Task::load_head`].
    pub fn save(&mut self, head: &mut Vec<u8>, delta: &mut Vec<u8>) {
        put_varint(head, self.next_seq);
        let mut times = Vec::new();
        for (place, operator) in self.operators.iter_mut().enumerate() {
            let Some(state) = operator.state() else { continue };
            let mut entries = Vec::new();
            let mut count = 0u64;
            state.take_changes(&mut |bucket, key, value| {
                count += 1;
                put_entry(&mut entries, bucket, key, value);
            });
            if count > 0 {
                for number in [u64::from(self.stage), u64::from(self.number), place as u64, count] {
                    put_varint(delta, number);
                }
                delta.extend_from_slice(&entries);
            }
            times.clear();
            state.save_times(&mut times);
            put_bytes(head, &times);
        }
    }

    /// Reads what [`Task::save`] wrote to the head.
    pub fn load_head(&mut self, input: &mut Input) -> Result<()> {
        self.next_seq = input.varint()?;
        for operator in &mut self.operators {
            if let Some(state) = operator.state() {
                state.load_times(&mut Input(input.bytes()?))?;
            }
        }
        Ok(())
    }

    /// Sets an entry of an operator's state.
    pub fn load(&mut self, place: u32, bucket: BucketId, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let state = self.operators.get_mut(place as usize).and_then(|o| o.state());
        state.ok_or_else(|| Error::bug("state for an operator that keeps none"))?.load(bucket, key, value)
    }

    /// The operators that keep state, with their ids.
    pub fn states(&mut self) -> impl Iterator<Item = (OperatorId, &mut dyn crate::operators::State)> {
        let (stage, task) = (self.stage, self.number);
        self.operators.iter_mut().enumerate().filter_map(move |(place, operator)| {
            operator.state().map(|state| (OperatorId { stage, task, place: place as u32 }, state))
        })
    }

    /// Runs the operators behind the one at `place` over rows, without remembering anything of it: for looking at a table.
    pub fn project(&mut self, place: u32, batches: Vec<Batch>) -> Result<Vec<Batch>> {
        let limits = [i64::MAX; 2];
        let mut log = Log::default();
        let mut current = batches;
        for operator in &mut self.operators[place as usize + 1..] {
            let mut out = Vec::new();
            operator.process(current, &mut Context { time_limits: &limits, log: &mut log }, &mut out)?;
            current = out;
        }
        Ok(current)
    }
}

fn put_entry(out: &mut Vec<u8>, bucket: BucketId, key: &[u8], value: Option<&[u8]>) {
    out.extend_from_slice(&bucket.to_le_bytes());
    put_bytes(out, key);
    match value {
        Some(value) => {
            out.push(1);
            put_bytes(out, value);
        }
        None => out.push(0),
    }
}

/// An entry of a delta.
pub struct DeltaEntry<'a> {
    pub operator: OperatorId,
    pub bucket: BucketId,
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// Calls `each` for every entry that [`Task::save`] wrote to a delta.
pub fn read_delta(delta: &[u8], each: &mut dyn FnMut(DeltaEntry) -> Result<()>) -> Result<()> {
    let mut input = Input(delta);
    while !input.0.is_empty() {
        let mut number = || input.varint();
        let (stage, task, place, count) = (number()? as u32, number()? as u32, number()? as u32, number()?);
        for _ in 0..count {
            let bucket = input.i64()?;
            let key = input.bytes()?;
            let value = if input.byte()? == 1 { Some(input.bytes()?) } else { None };
            each(DeltaEntry { operator: OperatorId { stage, task, place }, bucket, key, value })?;
        }
    }
    Ok(())
}
