//! Reads of tables: rows as of a commit, while the query that keeps the table goes on.
//!
//! A reader takes the lock of the query between two turns, for one piece: some keys, or the next few thousand rows of a
//! walk. A turn is stopped for keys at once, and for a walk that has had its first rows only after a while: each stop costs
//! the query more than the rows do. A reader sees the table as of the last commit, whatever the query has done since
//! ([`crate::operators::table`]). What a look-up needs is kept from the first one on, until there was none for a minute, and
//! what a walk needs until it is over. A reader for whom nothing was kept waits for the commit of the epoch that is open.
//!
//! While the query's state is still being read after a start, a read of keys takes their entries from runs and journal; a
//! walk waits.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Source;
use crate::config::Properties;
use crate::error::{Error, Result};
use crate::ids::EpochNumber;
use crate::locks::FairGuard;
use crate::operators::table::{Rows, WindowRange};
use crate::plan::Plan;
use crate::runtime::{Projection, QueryRun, TableWalk};
use crate::types::{Batch, Value};

use super::life::Life;
use super::push::PushQuery;
use super::running::Running;
use super::{Engine, Shared};

/// How long a walk waits for the end of a turn before the turn is stopped for it.
const PATIENCE: Duration = Duration::from_millis(20);

/// How many pieces of a few thousand rows it takes then; of as many partitions at once, if their order does not matter.
const PIECES: usize = 4;

/// A table as of one commit, which can be read while its query goes on.
///
/// What reading it needs is kept by the query until it is dropped.
pub struct TableSnapshot {
    shared: Arc<Shared>,
    query: Arc<Running>,
    walk: TableWalk,
}

/// A walk over a table as of one commit.
pub struct TableReader {
    table: TableSnapshot,
    windows: WindowRange,
    /// Whether all rows of a partition come before those of the next one.
    is_in_order: bool,
    /// `None` before the first read.
    projection: Option<Projection>,
}

/// A way to streams that outlives the call that it was made in.
#[derive(Clone)]
pub struct StreamReads(Arc<Shared>);

impl Engine {
    /// The rows of some keys of a table, as of its last commit, in no order.
    ///
    /// The columns of a batch are those of the table, then the start of the window if the table has windows; its times
    /// are those of the rows.
    ///
    /// # Errors
    /// Kind `Missing` if the query does not run, `Unsupported` if it keeps no table, `Backend` if the query or engine
    /// has failed, or the first read of a table waits for a commit and the disk is full.
    pub fn table_rows(&self, table: &Source, windows: &WindowRange, keys: &[Vec<Value>]) -> Result<Vec<Batch>> {
        let query = self.shared.keeper(table)?;
        // Until all of its state is read, what belongs to a few keys is read by itself.
        if let Some(found) = self.shared.look_up(&query, windows, keys)? {
            return present(found);
        }
        query.is_read(self.shared.now().monotonic_ns);
        present(self.shared.read_committed(&query, table, &mut |run, as_of| run.look_up(as_of, windows, keys))?)
    }

    /// Has the rows of a few keys of a table found as of its last commit, and given to `then`: on this thread if the query
    /// is free, and else on the one that has it, as soon as it may stop. `then` must be short.
    ///
    /// It gets `None` if more must be waited for: the query's state, or a commit.
    ///
    /// # Errors
    /// As for [`Engine::table_rows`]; later ones go to `then`.
    pub fn look_up_soon(
        &self,
        table: &Source,
        windows: WindowRange,
        keys: Vec<Vec<Value>>,
        then: Box<dyn FnOnce(Result<Option<Vec<Batch>>>) + Send>,
    ) -> Result<()> {
        let query = self.shared.keeper(table)?;
        if query.restoring().is_some() || matches!(query.life(), Life::Created) {
            then(Ok(None));
            return Ok(());
        }
        query.is_read(self.shared.now().monotonic_ns);
        let (shared, running) = (self.shared.clone(), query.clone());
        query.send(Box::new(move |run| then(shared.find(&running, run, (&windows, &keys)))));
        Ok(())
    }

    /// A table as of its last commit.
    ///
    /// # Errors
    /// As for [`Engine::table_rows`].
    pub fn snapshot(&self, table: &Source) -> Result<TableSnapshot> {
        let query = self.shared.keeper(table)?;
        let walk = self.shared.read_committed(&query, table, &mut |run, as_of| run.begin_walk(as_of))?;
        Ok(TableSnapshot { shared: self.shared.clone(), query, walk })
    }

    /// A way to the records of streams.
    pub fn stream_reads(&self) -> StreamReads {
        StreamReads(self.shared.clone())
    }
}

impl StreamReads {
    /// Starts a query whose rows are taken in batches; see [`Engine::push`].
    ///
    /// # Errors
    /// The plan reads a topic that is not there, or the topic cannot be read.
    pub fn read(&self, text: &str, plan: &Plan, own: &Properties) -> Result<PushQuery<Batch>> {
        self.0.push(text, plan, own, None)
    }
}

impl TableSnapshot {
    /// The rows of some keys, as of [`Engine::table_rows`].
    ///
    /// # Errors
    /// Kind `Missing` if the query has ended, `Backend` if it or the engine has failed.
    pub fn look_up(&self, windows: &WindowRange, keys: &[Vec<Value>]) -> Result<Vec<Batch>> {
        present(self.checked(self.query.lock())?.look_up_in(&self.walk, windows, keys)?)
    }

    /// The same table as of the same commit once more.
    ///
    /// # Errors
    /// As for [`TableSnapshot::look_up`].
    pub fn again(&self) -> Result<TableSnapshot> {
        let walk = self.checked(self.query.lock())?.copy_walk(&self.walk)?;
        Ok(TableSnapshot { shared: self.shared.clone(), query: self.query.clone(), walk })
    }

    /// The query, if it can still be read.
    fn checked<'a>(&self, run: FairGuard<'a, QueryRun>) -> Result<FairGuard<'a, QueryRun>> {
        self.shared.check_readable(&self.query)?;
        if run.is_half_done() {
            return Err(Error::backend(format!("query {} has failed", self.query.id)));
        }
        Ok(run)
    }
}

impl TableReader {
    /// A walk over all rows of these windows, in any order.
    pub fn new(table: TableSnapshot, windows: WindowRange) -> TableReader {
        TableReader { table, windows, is_in_order: false, projection: None }
    }

    /// The same, partition by partition.
    pub fn in_order(table: TableSnapshot, windows: WindowRange) -> TableReader {
        TableReader { is_in_order: true, ..TableReader::new(table, windows) }
    }

    /// The first partition of which rows may come; `None` after the last.
    pub fn partition(&self) -> Option<usize> {
        self.table.walk.partition()
    }

    /// The next rows, in batches like those of [`Engine::table_rows`]; `None` after the last. There may be none although
    /// there is more.
    ///
    /// # Errors
    /// Kind `Missing` if the query has ended, `Backend` if it or the engine has failed.
    pub fn read(&mut self) -> Result<Option<Vec<Batch>>> {
        if self.partition().is_none() {
            return Ok(None);
        }
        let query = self.table.query.clone();
        // The first rows may be all that there are. For more the query is not stopped in the middle of something, and not
        // often.
        let (run, pieces) = match self.projection {
            None => (query.lock(), 1),
            Some(_) => (query.lock_within(PATIENCE), PIECES),
        };
        let mut run = self.table.checked(run)?;
        let taken = self.take(&mut run, pieces)?;
        let projection = self.projection.get_or_insert_with(|| run.projection());
        drop(run);
        let mut all = Vec::new();
        for rows in taken {
            all.extend(present(projection.rows(rows)?)?);
        }
        Ok(Some(all))
    }

    /// The next pieces, about so many; in order, none that is of another partition than the first.
    fn take(&mut self, run: &mut QueryRun, pieces: usize) -> Result<Vec<Rows>> {
        let threads = self.table.shared.workers.shared().filter(|_| !self.is_in_order && pieces > 1);
        let together = threads.map(|threads| (pieces, threads));
        let mut taken = Vec::new();
        while taken.len() < pieces {
            let rows = run.walk(&mut self.table.walk, &self.windows, together)?;
            if rows.is_empty() {
                break;
            }
            taken.extend(rows);
        }
        Ok(taken)
    }
}

impl Drop for TableSnapshot {
    fn drop(&mut self) {
        let mut run = self.query.lock_within(PATIENCE);
        run.end_walk(&self.walk);
        // What it kept counts no more.
        self.query.memory.set(run.memory());
        drop(run);
        self.shared.wake_short();
    }
}

/// The last commit of a query, if its table can be read as of that already; what only older reads need is dropped.
fn readable(query: &Running, run: &mut QueryRun) -> Option<EpochNumber> {
    let committed = query.committed();
    if run.readable_from().is_none_or(|from| from > committed) {
        return None;
    }
    run.forget_undo(committed);
    Some(committed)
}

/// The batches without the rows that HAVING leaves out.
fn present(batches: Vec<Batch>) -> Result<Vec<Batch>> {
    batches.into_iter().map(Batch::present).collect()
}

impl Shared {
    /// The query that keeps a table.
    fn keeper(&self, table: &Source) -> Result<Arc<Running>> {
        let id = table.query.as_deref().ok_or_else(|| Error::bug("a table without a query was read"))?;
        let gone = || Error::missing(format!("the query {id} that keeps the table does not run"));
        self.queries.get(id).ok_or_else(gone)
    }

    /// # Errors
    /// The query cannot be read any more.
    fn check_readable(&self, query: &Running) -> Result<()> {
        self.progress.check()?;
        match query.life() {
            Life::Failed(error) => Err(error.context(format!("query {} has failed: ", query.id))),
            // What it did last will never be committed.
            Life::Ended => Err(Error::missing(format!("the query {} has ended", query.id))),
            _ if self.progress.is_closing() => Err(Error::backend("the engine is shutting down")),
            Life::Created | Life::Running | Life::Paused => Ok(()),
        }
    }

    /// What is found in a query as of its last commit; `None` if it cannot be read yet.
    fn find(
        &self,
        query: &Running,
        run: &mut QueryRun,
        (windows, keys): (&WindowRange, &[Vec<Value>]),
    ) -> Result<Option<Vec<Batch>>> {
        self.check_readable(query)?;
        let as_of = if run.keeps_table() { readable(query, run) } else { None };
        as_of.map(|as_of| present(run.look_up(as_of, windows, keys)?)).transpose()
    }

    /// Reads the table of a query as of its last commit.
    fn read_committed<T>(
        self: &Arc<Self>,
        query: &Arc<Running>,
        table: &Source,
        read: &mut dyn FnMut(&mut QueryRun, EpochNumber) -> Result<T>,
    ) -> Result<T> {
        let _waits = query.waits_for_commit();
        let mut seen = 0;
        loop {
            self.check_readable(query)?;
            if !matches!(query.life(), Life::Created) {
                let mut run = query.lock();
                // Asked again now that the query cannot go on: what was refused has ended it, and one that has failed has
                // forgotten its tables.
                self.check_readable(query)?;
                if !run.keeps_table() {
                    let message = format!("looking at the table {}, whose query keeps no state", table.name);
                    return Err(Error::unsupported(message));
                }
                if let Some(as_of) = readable(query, &mut run) {
                    return read(&mut run, as_of);
                }
            }
            seen = self.await_commit(query, seen)?;
        }
    }

    /// Waits for a commit of a query, or a moment.
    fn await_commit(self: &Arc<Self>, query: &Arc<Running>, seen: u64) -> Result<u64> {
        let seen = if self.is_manual() {
            self.step(query);
            self.pump()?;
            seen
        } else {
            self.wake(query);
            self.progress.wait(seen)
        };
        match self.blocked() {
            None => Ok(seen),
            Some(reason) => {
                let message = format!("the results of query {} cannot be committed now: {reason}", query.id);
                Err(Error::backend(message).hint("make room on the disk; it goes on by itself"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::SystemClock;
    use crate::config;
    use crate::disk::double::ForgetfulDisk;
    use crate::engine::{Drive, Settings, Store};
    use crate::statements;

    /// The counts by key of all rows, and how many reads brought rows of how many partitions at most.
    fn read(mut reader: TableReader) -> (BTreeMap<String, String>, usize) {
        let (mut found, mut most) = (BTreeMap::new(), 0);
        while let Some(batches) = reader.read().expect("rows") {
            most = most.max(batches.len());
            for (batch, row) in batches.iter().flat_map(|batch| (0..batch.rows()).map(move |row| (batch, row))) {
                let text = |at: usize| format!("{:?}", batch.columns[at].slice(row, 1));
                assert_eq!(found.insert(text(0), text(1)), None, "each row comes once");
            }
        }
        (found, most)
    }

    #[test]
    fn a_walk_in_any_order_takes_rows_of_several_partitions_at_once_and_each_row_once() {
        let settings = Settings {
            drive: Drive::Threads { start: true },
            ..Settings::new(
                Store::Folder { disk: ForgetfulDisk::new(0).boot(), path: "/data".into() },
                Arc::new(SystemClock::new()),
                statements::compile_kept,
            )
        };
        let values = [(config::OFFSET_RESET, "earliest"), (config::WORKERS, "2")];
        let engine = Engine::open(settings.with(&values).expect("properties")).expect("an engine");
        let mut text = "CREATE STREAM s (k INT KEY) WITH (KAFKA_TOPIC='s', PARTITIONS=7, VALUE_FORMAT='JSON');
            CREATE TABLE t AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;"
            .to_owned();
        // Enough that every partition has some, and some keys twice.
        text.extend((0..100).map(|n| format!("INSERT INTO s (k) VALUES ({});", n % 70)));
        statements::execute(&engine, &text).expect("done");
        engine.wait_drained(&|| false).expect("drained");
        let table = engine.catalog().source("T").expect("a table").clone();
        let snapshot = || engine.snapshot(&table).expect("a table");
        let (any, most) = read(TableReader::new(snapshot(), WindowRange::default()));
        assert_eq!((any.len(), most), (70, PIECES));
        assert_eq!(read(TableReader::in_order(snapshot(), WindowRange::default())), (any, 1));
    }
}
