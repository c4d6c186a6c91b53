//! Programs that tests build by hand, over topics in memory whose columns are all BIGINT.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;

use super::decode::Wanted;
use super::program::{FeedSpec, OperatorSpec, Port, PortOrigin, Program, StageOutput, StageSpec, Target as To};
use super::{Feeds, Now, Options, QueryRun, Reset, Sealed, Tap, Target, Turned, placement};
use crate::catalog::{Source, SourceKind};
use crate::formats::{Encoding, find};
use crate::ids::{QueryNumber, TopicId, Version};
use crate::locks::lock;
use crate::operators::{Operator, Origin};
use crate::plan::node::SourceColumn;
use crate::state::OperatorId;
use crate::topics::memory::MemoryTopics;
use crate::topics::record::BatchWriter;
use crate::topics::{PartitionId, Topic, Topics};
use crate::types::{Batch, Column, Schema, SqlType};

/// The columns of a row.
pub(super) type Row = Vec<Option<i64>>;

/// A record of a topic.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub topic: u64,
    pub partition: u32,
    pub time: i64,
    pub row: Row,
}

/// A source whose records have these columns in their values, and no keys.
pub(super) fn source(name: &str, columns: usize) -> Source {
    let columns: Vec<Column> =
        (0..columns).map(|number| Column::value(format!("C{number}"), SqlType::Bigint)).collect();
    Source {
        name: name.to_owned(),
        kind: SourceKind::Stream,
        key: Encoding::of_key(find("NONE").expect("a format"), &[]).expect("no columns"),
        value: Encoding::of_key(find("DELIMITED").expect("a format"), &columns).expect("columns that fit"),
        schema: Schema::new(columns),
        topic: name.to_owned(),
        timestamp: None,
        window: None,
        read_only: false,
        statement: String::new(),
        query: None,
        made_at: Version::new(0),
    }
}

/// The feed of the topic of this number.
fn feed(topic: usize, columns: usize, partitions: u32) -> FeedSpec {
    FeedSpec {
        source: Arc::new(source(&format!("s{topic}"), columns)),
        topic: TopicId::new(topic as u64),
        partitions,
        rank: topic,
        wanted: Arc::new(Wanted { columns: (0..columns).map(SourceColumn::Declared).collect(), headers: false }),
    }
}

/// A port that reads a feed of so many columns.
pub(super) fn reads(feed: usize, columns: usize, target: To) -> Port {
    let columns = (0..columns).map(SourceColumn::Declared).collect();
    Port { origin: PortOrigin::Feed { feed, columns }, target, feeds: [feed].into(), exchanged: false }
}

/// A port that gets what a stage hands over.
pub(super) fn follows(stage: usize, feeds: &[usize], target: To) -> Port {
    Port { origin: PortOrigin::Stage(stage), target, feeds: feeds.iter().copied().collect(), exchanged: true }
}

/// An exchange by the column at a place.
pub(super) fn exchange(place: usize) -> StageOutput {
    let column = [Column::key("K", SqlType::Bigint)];
    let encoding = Encoding::of_key(find("KAFKA").expect("a format"), &column).expect("a column that fits");
    StageOutput::Exchange { key: vec![(place, SqlType::Bigint)], encoding }
}

/// An operator of a stage that gets the rows of these ports, by its own ports. `make` is given the number of the task.
pub(super) fn operator(
    id: Option<OperatorId>,
    inputs: &[usize],
    target: To,
    make: impl Fn(u32) -> Box<dyn Operator> + Send + Sync + 'static,
    tasks: u32,
) -> OperatorSpec {
    let made = AtomicUsize::new(0);
    // A run makes the operators of all tasks in their order.
    let make = move || make(made.fetch_add(1, Ordering::Relaxed) as u32 % tasks);
    OperatorSpec { id, target, inputs: inputs.iter().map(|port| vec![*port]).collect(), make: Box::new(make) }
}

/// The operator of this number in its stage.
pub(super) fn to(operator: usize, port: usize) -> To {
    To::Operator { operator, port }
}

/// A program over topics with so many columns each, whose result has so many.
pub(super) fn program(topics: &[usize], partitions: u32, stages: Vec<StageSpec>, columns: usize) -> Program {
    Program {
        feeds: topics.iter().enumerate().map(|(number, columns)| feed(number, *columns, partitions)).collect(),
        topics: (0..topics.len()).map(|number| (TopicId::new(number as u64), format!("s{number}"))).collect(),
        stages,
        output: (0..columns).collect(),
        merges: true,
        ..Program::default()
    }
}

/// The columns of rows.
pub(super) fn columns(rows: &[Row], count: usize) -> Vec<ArrayRef> {
    let column = |place: usize| rows.iter().map(|row| row.get(place).copied().flatten()).collect::<Int64Array>();
    (0..count).map(|place| Arc::new(column(place)) as ArrayRef).collect()
}

/// A row of columns.
pub(super) fn row_at(columns: &[ArrayRef], row: usize) -> Row {
    let value = |column: &ArrayRef| column.is_valid(row).then(|| column.as_primitive::<Int64Type>().value(row));
    columns.iter().map(value).collect()
}

/// Topics in memory to which a test appends.
pub(super) struct Bed {
    pub topics: Arc<MemoryTopics>,
    pub feeds: Feeds,
}

impl Bed {
    /// So many topics.
    pub(super) fn new(topics: usize, partitions: u32) -> Bed {
        let memory = Arc::new(MemoryTopics::new());
        for number in 0..topics {
            let topic = Topic {
                name: format!("s{number}"),
                id: TopicId::new(number as u64),
                partitions,
                config: Default::default(),
            };
            memory.create(&topic).expect("created");
        }
        Bed { feeds: Feeds::new(memory.clone(), placement::usual()), topics: memory }
    }

    /// Appends records, each partition's in their order.
    pub(super) fn append(&self, given: &[Given]) {
        let mut writers = std::collections::BTreeMap::<PartitionId, BatchWriter>::new();
        for Given { topic, partition, time, row } in given {
            let value = row.iter().map(|v| v.map_or(String::new(), |v| v.to_string())).collect::<Vec<_>>().join(",");
            let id = PartitionId { topic: TopicId::new(*topic), partition: *partition };
            writers.entry(id).or_default().push(*time, None, Some(value.as_bytes()), &[]);
        }
        let batches = writers.into_iter().filter_map(|(id, writer)| Some((id, writer.finish()?))).collect();
        self.topics.append(batches).expect("appended");
    }
}

/// How a program is run; the result may not depend on it.
#[derive(Clone, Debug)]
pub(super) struct How {
    pub batch_rows: usize,
    pub turn_bytes: usize,
    /// The client takes about so many rows before it wants a break.
    pub tap_rows: usize,
    pub workers: usize,
    pub idle_ns: u64,
    /// How many wait for the query all the time.
    pub waiting: usize,
}

/// Everything at once, on one thread.
pub(super) const WHOLE: How =
    How { batch_rows: 1 << 16, turn_bytes: 1 << 20, tap_rows: usize::MAX, workers: 1, idle_ns: 0, waiting: 0 };

/// A row of the result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shown {
    pub time: i64,
    /// The columns of the new side, whether or not it is absent.
    pub row: Row,
    pub absent: bool,
    pub old: Option<Row>,
}

/// Takes the rows of the result.
#[derive(Default)]
struct Taken {
    rows: Mutex<Vec<Shown>>,
    since: AtomicUsize,
    most: usize,
}

impl Tap for Taken {
    fn take(&self, batch: &Batch, _: &dyn Fn(usize) -> Option<Origin>) {
        self.since.fetch_add(batch.rows(), Ordering::Relaxed);
        let old = |row: usize| {
            let old = batch.old.as_ref().filter(|_| !batch.is_old_absent(row));
            old.map(|old| row_at(&old.columns, row))
        };
        let shown = |row: usize| Shown {
            time: batch.time[row],
            row: row_at(&batch.columns, row),
            absent: batch.is_absent(row),
            old: old(row),
        };
        lock(&self.rows).extend((0..batch.rows()).map(shown));
    }

    fn has_room(&self) -> bool {
        self.since.load(Ordering::Relaxed) < self.most
    }

    fn is_wanted(&self) -> bool {
        true
    }
}

/// A program that runs for a client.
pub(super) struct Run {
    query: QueryRun,
    taken: Arc<Taken>,
    threads: Option<rayon::ThreadPool>,
}

impl Run {
    pub(super) fn new(bed: &Bed, program: Program, how: &How) -> Run {
        let taken = Arc::new(Taken { most: how.tap_rows, ..Taken::default() });
        let How { batch_rows, turn_bytes, idle_ns, workers, .. } = *how;
        let starts = |_| Ok(0);
        let target = Target::Tap(taken.clone());
        let options = Options { batch_rows, idle_ns, turn_bytes, reset: Reset::Earliest, keeps_failures: false };
        let mut query = QueryRun::new(QueryNumber::new(1), Arc::new(program), &target, (&bed.feeds, &starts), options)
            .expect("a query");
        query.yields_to(Arc::new(AtomicUsize::new(how.waiting)));
        (query.is_large, query.parallel_rows) = (true, 1);
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("threads");
        Run { query, taken, threads: (workers > 1).then(pool) }
    }

    /// Takes turns until nothing waits, at this time of both clocks.
    pub(super) fn drain(&mut self, now_ms: u64) {
        let now = Now { monotonic_ns: now_ms * 1_000_000, wall_ms: now_ms as i64 };
        loop {
            match self.query.turn(now, self.threads.as_ref()).expect("no bug") {
                Turned::Drained => return,
                Turned::Took(_) | Turned::Yielded => {}
                Turned::Left => self.taken.since.store(0, Ordering::Relaxed),
            }
        }
    }

    /// Ends the epoch.
    pub(super) fn seal(&mut self) {
        while self.query.is_dirty() {
            match self.query.seal(self.threads.as_ref()).expect("no bug") {
                Sealed::Whole(_) => return,
                Sealed::Nothing | Sealed::Yielded | Sealed::Part(_) => self.taken.since.store(0, Ordering::Relaxed),
            }
        }
    }

    /// The rows of the result since the last call.
    pub(super) fn take(&self) -> Vec<Shown> {
        std::mem::take(&mut lock(&self.taken.rows))
    }
}
