//! The way of entries to their decision: through the journal, or at once where topics are in memory.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::Shared;
use crate::error::{Error, Result};
use crate::journal::{Append, Decision, Done, Entry, Journal, Queue};
use crate::topics::record::RecordBatch;
use crate::topics::{Offset, PartitionId, TopicId, Topics};

/// What decides.
pub enum Commit {
    Journal {
        /// Boxed, since it is much larger than the other way.
        journal: Box<Mutex<Journal>>,
        queue: Queue,
    },
    /// Everything is decided as it comes; only the number of commands is kept.
    Memory { version: Mutex<u64>, topics: Arc<dyn Topics> },
}

impl Commit {
    /// Takes no more entries.
    pub fn close(&self) {
        if let Commit::Journal { queue, .. } = self {
            queue.close();
        }
    }

    /// The journal, if there is one.
    pub fn journal(&self) -> Option<&Mutex<Journal>> {
        match self {
            Commit::Journal { journal, .. } => Some(journal),
            Commit::Memory { .. } => None,
        }
    }

    fn decide_in_memory(version: &Mutex<u64>, topics: &dyn Topics, entry: Entry) -> Result<Decision> {
        match entry {
            Entry::Epoch(epoch) => Ok(Decision::Committed { offsets: topics.append(epoch.outputs)? }),
            Entry::Append(append) => Ok(Decision::Committed { offsets: topics.append(append.batches)? }),
            Entry::Command(command) => {
                let mut version = version.lock().unwrap_or_else(PoisonError::into_inner);
                if command.version != *version {
                    return Ok(Decision::Changed);
                }
                *version += 1;
                let offsets = command.resolve.iter().map(|id| topics.end(*id)).collect::<Result<_>>()?;
                Ok(Decision::Committed { offsets })
            }
        }
    }
}

impl Shared {
    /// Has an entry committed; `done` is called when it is decided.
    pub fn submit(self: &Arc<Self>, entry: Entry, done: Done) {
        match &self.commit {
            Commit::Journal { queue, .. } => queue.submit(entry, done),
            Commit::Memory { version, topics } => {
                let touched = entry.topics().collect();
                done(Commit::decide_in_memory(version, topics.as_ref(), entry));
                self.after_decision(&touched);
            }
        }
    }

    /// Has an entry committed and waits for it.
    pub fn submit_and_wait(self: &Arc<Self>, entry: Entry) -> Result<Decision> {
        let (send, receive) = mpsc::channel();
        self.submit(
            entry,
            Box::new(move |decision| {
                // Whoever asked may have given up waiting.
                let _ = send.send(decision);
            }),
        );
        if self.is_manual() {
            self.pump()?;
        }
        receive.recv().map_err(|_| Error::backend("the engine has ended before this was decided"))?
    }

    /// Makes rounds on this thread until nothing is in line; whether there was anything.
    pub fn pump(self: &Arc<Self>) -> Result<bool> {
        let Commit::Journal { journal, queue } = &self.commit else { return Ok(false) };
        let mut any = false;
        while queue.pump(journal, self.settings.when_full, &|touched| self.after_decision(touched))? {
            any = true;
        }
        self.make_checkpoint_if_due();
        Ok(any)
    }

    /// The work of the journal's thread.
    pub fn journal_loop(self: &Arc<Self>) {
        let Commit::Journal { journal, queue } = &self.commit else { return };
        if let Err(error) = queue.run(journal, self.settings.when_full, &|touched| self.after_decision(touched)) {
            self.fail(error);
        }
    }

    /// Wakes the queries that read what was decided, and whoever waits for a decision.
    fn after_decision(self: &Arc<Self>, touched: &BTreeSet<TopicId>) {
        self.announce();
        self.wake_short();
        if self.is_manual() || touched.is_empty() {
            return;
        }
        for query in self.running() {
            if query.reads.iter().any(|topic| touched.contains(topic)) {
                if let Commit::Journal { queue, .. } = &self.commit {
                    queue.woke();
                    query.lingered();
                }
                self.wake(&query);
            }
        }
    }

    /// A query that a decision has woken has run dry.
    pub fn ran_dry(&self) {
        if let Commit::Journal { queue, .. } = &self.commit {
            queue.ran_dry();
        }
    }

    /// Connects the log's appends with the journal.
    pub fn connect_append(&self, shared: &Arc<Shared>) {
        let Some(log) = &self.log else { return };
        let weak = Arc::downgrade(shared);
        log.set_append(Arc::new(move |batches: Vec<(PartitionId, RecordBatch)>| -> Result<Vec<Offset>> {
            let shared = weak.upgrade().ok_or_else(|| Error::backend("the engine has ended"))?;
            match shared.submit_and_wait(Entry::Append(Append { batches }))? {
                Decision::Committed { offsets } => Ok(offsets),
                refused => Err(refused.refusal().unwrap_or_else(|| Error::bug("a refusal without a reason"))),
            }
        }));
    }
}
