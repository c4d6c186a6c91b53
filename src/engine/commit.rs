//! The way of entries to their decision: through the journal, or at once where topics are in memory.
//!
//! With a folder the entry waits in a queue, the journal's thread makes a round of all that waits, and the callbacks
//! are called on that thread. In memory there is no round: the entry is decided by the thread that submits it.
//!
//! After a decision the topics written to are known, and their readers are woken. If the journal has grown to twice the
//! length at which a checkpoint is due, epochs wait until it is made: then commits cannot outrun the checkpoint.
//! Appends and commands go on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use super::Shared;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::ids::{TopicId, Version};
use crate::journal::{Append, Decision, Done, Entry, Journal, Meter, Queue};
use crate::locks::lock;
use crate::topics::memory::MemoryTopics;
use crate::topics::record::RecordBatch;
use crate::topics::{Offset, PartitionId, Topics};

/// What decides.
pub(super) enum Commit {
    Journal(Box<Journaled>),
    /// Everything is decided as it comes; only the number of commands is kept.
    Memory {
        version: Mutex<Version>,
        topics: Arc<MemoryTopics>,
    },
}

/// Decisions by a journal.
pub(super) struct Journaled {
    pub journal: Mutex<Journal>,
    pub queue: Queue,
    /// What is known of the journal without waiting for its rounds.
    pub meter: Arc<Meter>,
    /// Whether the journal is so long that epochs must wait for the next checkpoint.
    pressed: AtomicBool,
}

impl Commit {
    /// Decisions by this journal.
    pub(super) fn by(journal: Journal, clock: Arc<dyn Clock>) -> Commit {
        let (meter, journal) = (journal.meter().clone(), Mutex::new(journal));
        let queue = Queue::new(clock);
        Commit::Journal(Box::new(Journaled { journal, queue, meter, pressed: AtomicBool::new(false) }))
    }

    /// Takes no more entries.
    pub(super) fn close(&self) {
        if let Commit::Journal(journaled) = self {
            journaled.queue.close();
        }
    }

    /// The journal, if there is one.
    pub(super) fn journal(&self) -> Option<&Mutex<Journal>> {
        match self {
            Commit::Journal(journaled) => Some(&journaled.journal),
            Commit::Memory { .. } => None,
        }
    }

    /// A decision has woken a query: the next round waits a moment for what it does.
    pub(super) fn woke(&self) {
        if let Commit::Journal(journaled) = self {
            journaled.queue.woke();
        }
    }

    /// A query that a decision has woken has no more input.
    pub(super) fn ran_dry(&self) {
        if let Commit::Journal(journaled) = self {
            journaled.queue.ran_dry();
        }
    }

    /// What the disk said, if what queries have done found no room.
    pub(super) fn full(&self) -> Option<String> {
        match self {
            Commit::Journal(journaled) => journaled.queue.full(),
            Commit::Memory { .. } => None,
        }
    }

    /// Whether epochs must wait, since the journal is long and the checkpoint that makes it shorter is not done.
    pub(super) fn is_pressed(&self) -> bool {
        matches!(self, Commit::Journal(journaled) if journaled.pressed.load(Ordering::Relaxed))
    }

    /// The bytes of journal since the last checkpoint.
    pub(super) fn journal_bytes(&self) -> u64 {
        match self {
            Commit::Journal(journaled) => journaled.meter.bytes(),
            Commit::Memory { .. } => 0,
        }
    }

    /// Sets whether epochs must wait; whether they had to before.
    pub(super) fn press(&self, pressed: bool) -> bool {
        matches!(self, Commit::Journal(journaled) if journaled.pressed.swap(pressed, Ordering::Relaxed))
    }

    /// Decides an entry at once. A command is checked against the version as the journal does.
    fn decide_in_memory(version: &Mutex<Version>, topics: &MemoryTopics, entry: Entry) -> Result<Decision> {
        match entry {
            Entry::Epoch(epoch) => {
                Ok(Decision::Committed { offsets: topics.append_with(epoch.outputs, epoch.asides)? })
            }
            Entry::Append(append) => Ok(Decision::Committed { offsets: topics.append(append.batches)? }),
            Entry::Command(command) => {
                let mut version = lock(version);
                if command.version != *version {
                    return Ok(Decision::Changed);
                }
                *version = version.next();
                let offsets = command.resolve.iter().map(|id| topics.end(*id)).collect::<Result<_>>()?;
                Ok(Decision::Committed { offsets })
            }
            // Topics in memory have no segments.
            Entry::Compact(_) => Ok(Decision::Changed),
            Entry::Trim(trim) => {
                let start = |(id, before): &(PartitionId, Offset)| topics.delete_before(*id, *before);
                Ok(Decision::Committed { offsets: trim.before.iter().map(start).collect::<Result<_>>()? })
            }
        }
    }
}

impl Shared {
    /// Has an entry committed; `done` is called when it is decided.
    ///
    /// `done` is called exactly once: at once in memory, else by the thread of the journal.
    pub(crate) fn submit(self: &Arc<Self>, entry: Entry, done: Done) {
        match &self.commit {
            Commit::Journal(journaled) => journaled.queue.submit(entry, done),
            Commit::Memory { version, topics } => {
                let touched = entry.topics().collect();
                done(Commit::decide_in_memory(version, topics.as_ref(), entry));
                self.after_decision(&touched);
            }
        }
    }

    /// Has an entry committed and waits for it.
    ///
    /// # Errors
    /// Kind `Backend`: the engine has ended or cannot go on; the outcome is then unknown.
    pub(crate) fn submit_and_wait(self: &Arc<Self>, entry: Entry) -> Result<Decision> {
        self.submit_and_wait_with(entry, Box::new(|| {}))
    }

    /// The same; `committed` is called once it is committed, before anything that is decided later has an effect.
    ///
    /// # Errors
    /// As those of [`Shared::submit_and_wait`].
    pub(super) fn submit_and_wait_with(
        self: &Arc<Self>,
        entry: Entry,
        committed: Box<dyn FnOnce() + Send>,
    ) -> Result<Decision> {
        let (send, receive) = mpsc::channel();
        self.submit(
            entry,
            Box::new(move |decision| {
                if matches!(decision, Ok(Decision::Committed { .. })) {
                    committed();
                }
                // The caller may have stopped waiting.
                let _ = send.send(decision);
            }),
        );
        if self.is_manual() {
            self.pump()?;
        }
        receive.recv().map_err(|_| Error::backend("the engine has ended before this was decided"))?
    }

    /// Makes rounds on this thread until nothing is in line, or the disk is full; whether there was anything.
    ///
    /// For [`super::Drive::Manual`]. Epochs that found no room are tried once in each call.
    ///
    /// # Errors
    /// The engine cannot go on.
    pub(crate) fn pump(self: &Arc<Self>) -> Result<bool> {
        let Commit::Journal(journaled) = &self.commit else { return Ok(false) };
        let mut any = false;
        let decided = |touched: &BTreeSet<TopicId>| self.after_decision(touched);
        while journaled.queue.pump_again(&journaled.journal, self.settings.when_full, &decided)? {
            any = true;
        }
        self.checkpoint_if_due();
        Ok(any)
    }

    /// The work of the journal's thread.
    pub(crate) fn journal_loop(self: &Arc<Self>) {
        let Commit::Journal(journaled) = &self.commit else { return };
        let decided = |touched: &BTreeSet<TopicId>| self.after_decision(touched);
        if let Err(error) = journaled.queue.run(&journaled.journal, self.settings.when_full, &decided) {
            self.fail(error);
        }
    }

    /// Wakes the queries that read what was decided, and all who wait for a decision.
    fn after_decision(self: &Arc<Self>, touched: &BTreeSet<TopicId>) {
        self.progress.announce();
        self.wake_short();
        if let Commit::Journal(journaled) = &self.commit {
            let (bytes, limit) = (journaled.meter.bytes(), self.checkpoint_bytes());
            if bytes > limit || journaled.meter.wants_spare() {
                self.upkeep.poke();
            }
            // Twice the wanted length: then a checkpoint is late, and what is committed must not outrun it for ever.
            if bytes > 2 * limit {
                self.commit.press(true);
            }
        }
        touched.iter().for_each(|topic| self.wake_readers(*topic));
    }

    /// Connects the log's appends with the journal.
    pub(crate) fn connect_append(&self, shared: &Arc<Shared>) {
        let Some(log) = &self.log else { return };
        let weak = Arc::downgrade(shared);
        log.set_append(Arc::new(move |batches: Vec<(PartitionId, RecordBatch)>| -> Result<Vec<Offset>> {
            let shared = weak.upgrade().ok_or_else(|| Error::backend("the engine has ended"))?;
            shared.append(batches)
        }));
    }

    /// Compresses batches as the settings of their topics say, on this thread: not on the one that writes them.
    ///
    /// # Errors
    /// A bug.
    pub(super) fn compress(&self, batches: &mut [(PartitionId, RecordBatch)]) -> Result<()> {
        self.log.as_ref().map_or(Ok(()), |log| log.compress(batches))
    }

    /// Has batches of records committed, whether topics are in a folder or in memory; their offsets.
    ///
    /// One offset for each batch, that of its first record.
    ///
    /// # Errors
    /// The topic was dropped, the disk is full, or the engine has ended.
    pub(super) fn append(self: &Arc<Self>, mut batches: Vec<(PartitionId, RecordBatch)>) -> Result<Vec<Offset>> {
        self.compress(&mut batches)?;
        match self.submit_and_wait(Entry::Append(Append { batches }))? {
            Decision::Committed { offsets } => Ok(offsets),
            refused => Err(refused.refusal().unwrap_or_else(|| Error::bug("a refusal without a reason"))),
        }
    }
}
