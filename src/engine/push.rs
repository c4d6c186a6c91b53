//! Push queries: rows as they come.
//!
//! A push query is an ordinary query that writes to a channel and has no journal entries. Its reader sets the pace:
//! with 4096 rows or 4 MiB waiting the query takes no turns until some were taken. So a slow reader gets every row,
//! late, and the engine's memory stays bounded.
//!
//! It starts at the ends of its streams, unless `auto.offset.reset` is `earliest`, and ends when it is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use super::apply::starts_latest;
use super::life::Life;
use super::resume::{Bookmark, is_row_by_row, unnests};
use super::running::{Reader, Running};
use super::{Engine, Shared};
use crate::catalog::{Catalog, Query, SourceKind};
use crate::config::{self, Properties};
use crate::error::{Error, Result};
use crate::ids::QueryNumber;
use crate::locks::{lock, wait_while};
use crate::operators::Origin;
use crate::plan::Plan;
use crate::runtime::{self, QueryRun, Reset, Tap, Target};
use crate::topics::{Offset, PartitionId};
use crate::types::{Batch, Column, Role, Value};

/// With so many rows waiting for the reader of a push query, the query takes no more turns until the reader has taken
/// them.
const MOST_WAITING: usize = 4096;

/// The same for their bytes.
const MOST_WAITING_BYTES: usize = 4 << 20;

/// A row of a push query.
#[derive(Clone, Debug, PartialEq)]
pub struct PushRow {
    /// One value for each column. Of a deletion only those of the key say something; all others are NULL.
    pub values: Vec<Value>,
    /// Whether the key has no row any more.
    pub is_deletion: bool,
    /// The partition and offset of the record that the row was made of, if each row is made of one record alone.
    pub record: Option<(u32, Offset)>,
}

/// A push query: rows as they come, one by one or in batches.
pub struct PushQuery<T = PushRow> {
    shared: Arc<Shared>,
    running: Arc<Running>,
    channel: Arc<Channel<T>>,
    /// Where its sources ended when it began.
    ends: Vec<(PartitionId, Offset)>,
    /// Where its reader stood when it began, if each row is made of one record alone.
    begin: Option<Box<Bookmark>>,
    /// Whether its rows are to be told with tokens.
    pub tells_tokens: bool,
    /// The names and types of the result, in the order of the values in each row.
    pub columns: Vec<Column>,
}

/// Rows, or batches of rows, on their way to a reader.
#[derive(Debug)]
struct Channel<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
    closed: AtomicBool,
    /// Whether somebody else than the reader wants the end.
    ended: AtomicBool,
    listener: Listener,
}

impl<T> Default for Channel<T> {
    fn default() -> Self {
        Channel {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            listener: Listener::default(),
        }
    }
}

/// What a reader has not taken yet.
#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<T>,
    /// How many rows they have.
    rows: usize,
    /// About how many bytes they have.
    bytes: usize,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Waiting { items: VecDeque::new(), rows: 0, bytes: 0 }
    }
}

impl<T> Waiting<T> {
    /// Whether the reader should get more rows.
    fn has_room(&self) -> bool {
        self.rows < MOST_WAITING && self.bytes < MOST_WAITING_BYTES
    }
}

/// Called when there is something new, for a reader that does not wait by itself.
#[derive(Default)]
pub(super) struct Listener(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl Listener {
    /// Sets what is called; the first one stays.
    pub(super) fn set(&self, listener: Box<dyn Fn() + Send + Sync>) {
        let _ = self.0.set(listener);
    }

    pub(super) fn call(&self) {
        if let Some(listener) = self.0.get() {
            listener();
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listener({})", self.0.get().is_some())
    }
}

/// A query whose rows are being shown.
#[derive(Clone, Debug)]
pub struct ShownQuery {
    /// Its id.
    pub id: String,
    /// The statement.
    pub text: String,
    /// The way to its reader.
    reader: Arc<dyn Ending>,
}

/// What can be told that no more rows are wanted.
trait Ending: Send + Sync + std::fmt::Debug {
    fn end(&self);

    /// Whether rows wait for it, as many as may.
    fn is_behind(&self) -> bool;
}

impl<T: Send> Reader for Channel<T> {
    fn has_room(&self) -> bool {
        self.lock().has_room()
    }

    fn tell(&self) {
        self.changed.notify_all();
        self.listener.call();
    }
}

impl<T: Send + std::fmt::Debug> Ending for Channel<T> {
    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.tell();
    }

    fn is_behind(&self) -> bool {
        !self.has_room()
    }
}

impl ShownQuery {
    fn end(&self) {
        self.reader.end();
    }

    /// Whether the query waits for its reader, which takes rows more slowly than they come.
    pub fn is_behind(&self) -> bool {
        self.reader.is_behind()
    }
}

/// Numbers the push queries.
static NEXT_PUSH: AtomicU64 = AtomicU64::new(0);

impl Engine {
    /// The queries whose rows are being shown, in the order in which they began.
    pub fn shown_queries(&self) -> Vec<ShownQuery> {
        lock(&self.shared.shown).values().cloned().collect()
    }

    /// Ends a query whose rows are being shown; whether there was one of this id.
    ///
    /// Its reader takes no more rows, and drops it.
    pub fn end_shown(&self, id: &str) -> bool {
        let query = lock(&self.shared.shown).values().find(|query| query.id == id).cloned();
        query.inspect(ShownQuery::end).is_some()
    }

    /// Ends all queries whose rows are being shown, and all that follow a topic.
    pub fn end_all_shown(&self) {
        self.shared.followers.end_all();
        lock(&self.shared.shown).values().for_each(ShownQuery::end);
    }

    /// The same because the process ends: those who want to go on ask again.
    pub fn stop_showing(&self) {
        self.shared.stops_showing.store(true, Ordering::SeqCst);
        self.end_all_shown();
    }

    /// Starts a query whose rows are shown as they come.
    ///
    /// # Errors
    /// The plan reads a topic that is not there, or the topic cannot be read.
    pub fn push(&self, text: &str, plan: &Plan, own: &Properties) -> Result<PushQuery> {
        self.shared.push(text, plan, own, None)
    }

    /// Starts a query whose rows are shown as they come, behind the last row that an earlier reader has seen.
    ///
    /// # Errors
    /// Those of [`Engine::push`]; the query needs more than one record for a row; the place is one of another topic; records
    /// behind it were deleted.
    pub fn push_from(&self, text: &str, plan: &Plan, own: &Properties, from: &Bookmark) -> Result<PushQuery> {
        self.shared.push(text, plan, own, Some(from))
    }
}

impl Shared {
    /// Starts a query whose rows are taken as they come.
    pub(super) fn push<T: Carried>(
        self: &Arc<Self>,
        text: &str,
        plan: &Plan,
        own: &Properties,
        from: Option<&Bookmark>,
    ) -> Result<PushQuery<T>> {
        let shared = self;
        let catalog = shared.world.catalog();
        let properties = shared.properties(own);
        let program = runtime::compile(plan, &catalog, &properties)?;
        let latest = starts_latest(plan, &catalog, &properties);
        let channel = Arc::new(Channel::<T>::default());
        let columns: Vec<Column> = plan.output.iter().map(|c| c.column.clone()).collect();
        let shows_deletions = plan.kind == SourceKind::Table;
        let (tells_records, unnests) = (is_row_by_row(&plan.root), unnests(&plan.root));
        if from.is_some() && !tells_records {
            return Err(Error::invalid(
                "a query that joins, groups or aggregates cannot go on behind a row that was seen",
            )
            .hint("start it without a token"));
        }
        let tap = ClientTap { channel: channel.clone(), columns: columns.clone(), shows_deletions, tells_records };
        let target = Target::Tap(Arc::new(tap));
        let (mut starts, mut ends) = (BTreeMap::new(), Vec::new());
        for topic in plan.root.sources().into_iter().filter_map(|source| catalog.topic(&source.topic)) {
            for partition in 0..topic.partitions {
                let id = PartitionId { topic: topic.id, partition };
                let (first, end) = (shared.topics.start(id)?, shared.topics.end(id)?);
                let start = match from {
                    Some(from) => from.start(id, (first, end), unnests)?.unwrap_or(first),
                    None if latest.contains(&id) => end,
                    None => first,
                };
                starts.insert(id, start);
                ends.push((id, end));
            }
        }
        let start = |id: PartitionId| starts.get(&id).map_or_else(|| shared.topics.start(id), |start| Ok(*start));
        if from.is_some_and(|from| from.exceeds(starts.len())) {
            return Err(Error::invalid("the token has places in partitions that the topic does not have"));
        }
        let begin = if tells_records { from.cloned().or_else(|| Bookmark::at(&starts)).map(Box::new) } else { None };
        let number = QueryNumber::new(NEXT_PUSH.fetch_add(1, Ordering::Relaxed));
        let sources = plan.root.sources();
        let is_new = properties.flag(config::PUSH_V2_ENABLED) && !latest.is_empty();
        let kind = if is_new && is_scalable(plan, &catalog) { "SCALABLE_PUSH_QUERY" } else { "transient" };
        let query = Query {
            id: format!("{kind}_{}_{number}", sources[0].name),
            number,
            statement: text.to_owned(),
            text: text.to_owned(),
            sink: String::new(),
            reads: sources.iter().map(|s| s.name.clone()).collect(),
            dead_letters: false,
            pauses: Vec::new(),
        };
        let mut options = shared.run_options(&properties);
        let tells_tokens = tells_records && properties.flag(config::PUSH_TOKENS);
        if tells_tokens || from.is_some() {
            // Who counts on every row is told if some are gone.
            options.reset = Reset::None;
        }
        let run = QueryRun::new(number, Arc::new(program), &target, (&shared.feeds, &start), options)?;
        let running = shared.start(shared.query_of(&query, Some(channel.clone()), &properties), run);
        let shown = ShownQuery { id: query.id, text: query.text, reader: channel.clone() };
        lock(&shared.shown).insert(number, shown);
        Ok(PushQuery { shared: shared.clone(), running, channel, ends, begin, tells_tokens, columns })
    }
}

/// Whether ksqlDB could have many clients share the reading of a push query's source: each row is shown by itself, and
/// exactly one query writes them.
fn is_scalable(plan: &Plan, catalog: &Catalog) -> bool {
    let sources = plan.root.sources();
    let writes = |query: &Arc<Query>| sources.iter().any(|source| source.name == query.sink);
    is_row_by_row(&plan.root)
        && !unnests(&plan.root)
        && catalog.queries().into_iter().filter(|query| writes(query)).count() == 1
}

/// What a reader takes.
pub(super) trait Carried: Send + std::fmt::Debug + Sized + 'static {
    /// What a batch is made of. Rows that are absent may be left out unless they are deletions of a table. `record` gives
    /// the partition and offset of the record that a row is made of.
    fn of(
        batch: &Batch,
        tap: &ClientTap<Self>,
        record: impl Fn(usize) -> Option<(u32, Offset)>,
    ) -> impl Iterator<Item = Self>;
}

impl Carried for PushRow {
    fn of(
        batch: &Batch,
        tap: &ClientTap<Self>,
        record: impl Fn(usize) -> Option<(u32, Offset)>,
    ) -> impl Iterator<Item = Self> {
        let row = move |row: usize| {
            let is_deletion = batch.is_absent(row);
            let value =
                |(column, array): (&Column, &arrow::array::ArrayRef)| match is_deletion && column.role != Role::Key {
                    true => Value::Null,
                    false => Value::at(array.as_ref(), row, &column.sql_type),
                };
            let values = tap.columns.iter().zip(&batch.columns).map(value).collect();
            PushRow { values, is_deletion, record: record(row) }
        };
        (0..batch.rows()).filter(|row| tap.shows_deletions || !batch.is_absent(*row)).map(row)
    }
}

impl Carried for Batch {
    fn of(
        batch: &Batch,
        _: &ClientTap<Self>,
        _: impl Fn(usize) -> Option<(u32, Offset)>,
    ) -> impl Iterator<Item = Self> {
        std::iter::once(batch.clone())
    }
}

/// The way of a push query's rows to its client.
pub(super) struct ClientTap<T> {
    channel: Arc<Channel<T>>,
    columns: Vec<Column>,
    /// Whether rows of a table are shown. A record of a stream that has no value is no row, and deletes nothing.
    shows_deletions: bool,
    /// Whether rows say of which record they are made.
    tells_records: bool,
}

impl<T: Carried> Tap for ClientTap<T> {
    fn take(&self, batch: &Batch, origin: &dyn Fn(usize) -> Option<Origin>) {
        let of = |origin: Origin| (origin.partition, origin.offset);
        let record = |row| if self.tells_records { origin(row).map(of) } else { None };
        let items = T::of(batch, self, record);
        self.channel.push(items, (batch.rows(), batch.bytes()));
    }

    fn has_room(&self) -> bool {
        self.channel.has_room()
    }

    fn is_wanted(&self) -> bool {
        !self.channel.closed.load(Ordering::SeqCst)
    }
}

impl<T: Send> Channel<T> {
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        lock(&self.waiting)
    }

    /// Adds what has so many rows and about so many bytes together.
    fn push(&self, items: impl Iterator<Item = T>, (rows, bytes): (usize, usize)) {
        let mut waiting = self.lock();
        waiting.items.extend(items);
        waiting.rows += rows;
        waiting.bytes += bytes;
        drop(waiting);
        self.tell();
    }
}

impl<T: Send> PushQuery<T> {
    /// The id of the query: `transient_` or `SCALABLE_PUSH_QUERY_`, its first source, and a number.
    pub fn id(&self) -> &str {
        &self.running.id
    }

    /// Where the reader stood when the query began; nothing if a later query could not go on behind a row of this one.
    pub fn begin(&self) -> Option<&Bookmark> {
        self.begin.as_deref()
    }

    /// Has `listener` called whenever rows have come. It is called by the query's own thread, and must not wait.
    ///
    /// The first listener stays.
    pub fn listen(&self, listener: Box<dyn Fn() + Send + Sync>) {
        self.channel.listener.set(listener);
    }

    /// Whether somebody else has ended the query: no more rows are to be taken.
    pub fn is_ended(&self) -> bool {
        self.channel.ended.load(Ordering::SeqCst)
    }

    /// Whether all rows of the records that were there when the query began have been taken.
    pub fn has_read_all(&self) -> bool {
        let run = self.running.lock();
        if run.is_dirty() {
            return false;
        }
        let end = |id: PartitionId| self.ends.iter().find(|(other, _)| *other == id).map_or(0, |(_, end)| *end);
        let behind = run.positions().into_iter().any(|(id, position)| position < end(id));
        !behind && self.channel.lock().items.is_empty()
    }

    /// All rows that have come and were not taken yet. If there are none, waits up to `wait` for the first.
    ///
    /// Where nothing happens by itself, the query takes a few turns first. Does not wait if the query runs no more, but still returns the rows that it left. An empty result means that no row
    /// came in time, or that none will come ([`PushQuery::is_over`]).
    ///
    /// # Errors
    /// The query has failed, and all its rows were taken.
    pub fn rows(&self, wait: Duration) -> Result<VecDeque<T>> {
        if self.shared.is_manual() {
            self.shared.step(&self.running);
        }
        let waiting = self.channel.lock();
        let waits = |waiting: &mut Waiting<T>| waiting.items.is_empty() && self.running.is_running() && !self.is_over();
        let taken = std::mem::take(&mut *wait_while(&self.channel.changed, waiting, wait, waits));
        if let (true, Life::Failed(error)) = (taken.items.is_empty(), self.running.life()) {
            return Err(error);
        }
        if !taken.has_room() {
            self.shared.wake(&self.running);
        }
        Ok(taken.items)
    }

    /// Whether the query was ended: no more rows will come than those that wait.
    pub fn is_over(&self) -> bool {
        self.is_ended() || matches!(self.running.life(), Life::Ended) || self.is_closing()
    }

    /// Whether the process ends.
    pub fn is_closing(&self) -> bool {
        self.shared.stops_showing.load(Ordering::SeqCst) || self.shared.progress.is_closing()
    }

    /// Whether the query stands at the ends of its sources and all its rows were taken.
    ///
    /// May wake the query to let time pass, and is then false.
    ///
    /// # Errors
    /// The end of a topic cannot be asked.
    pub fn is_drained(&self) -> Result<bool> {
        let mut run = self.running.lock();
        if run.is_dirty() {
            return Ok(false);
        }
        for (id, position) in run.positions() {
            if position < self.shared.topics.end(id)? {
                return Ok(false);
            }
        }
        if run.declare_idle() {
            drop(run);
            self.shared.wake(&self.running);
            return Ok(false);
        }
        drop(run);
        Ok(self.channel.lock().items.is_empty())
    }
}

impl<T> Drop for PushQuery<T> {
    fn drop(&mut self) {
        self.channel.closed.store(true, Ordering::SeqCst);
        self.channel.changed.notify_all();
        self.running.end();
        lock(&self.shared.shown).remove(&self.running.number);
        self.shared.queries.remove(&self.running);
    }
}
