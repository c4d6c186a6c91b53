//! Entries that wait for the next round, and the thread that makes the rounds.
//!
//! A round takes what waits when it begins. While it is written, further entries come together, so a slow disk makes
//! larger rounds and not a longer line. After a decision the queue waits up to 0.3 ms for the queries that it has
//! woken: what they do in that time goes into one round, and a chain of queries does not cost a sync for each link.
//!
//! On a full disk, commands are tried once more without the rest (a DROP makes room), epochs wait and are tried again
//! twice a second or after a command has made room, and appends are refused; with [`WhenFull::Refuse`] epochs are
//! refused too. Epochs of a query never overtake each other: while some wait for room, later ones join them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::entry::{Decision, Entry};
use super::round::{Journal, RoundError};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::ids::TopicId;
use crate::locks::{lock, wait, wait_for, wait_while};

/// Called with the outcome of an entry, on the thread that made the round. After an error the outcome is unknown: the
/// process ends, and recovery finds out.
pub type Done = Box<dyn FnOnce(Result<Decision>) + Send>;

/// Called with the topics that a round has written to.
pub(super) type OnDecided<'a> = dyn Fn(&BTreeSet<TopicId>) + 'a;

/// About how many bytes of entries make a round.
///
/// The last entry may pass it.
const ROUND_BYTES: usize = 8 << 20;
/// The longest time that a round waits for tasks that the last decision woke.
const LINGER: Duration = Duration::from_micros(300);
/// How long entries wait after they found the disk full, before they are tried again.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// What to do about entries for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Epochs are tried again until there is room.
    Retry,
    /// They are refused, since the process ends with that error.
    Refuse,
}

/// Entries that wait to be committed.
pub struct Queue {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Condvar,
}

/// What waits, and the state of the disk.
#[derive(Default)]
struct State {
    /// In the order of submission.
    waiting: VecDeque<Waiting>,
    /// Epochs that found no room. They are tried again before everything that waits, so that epochs of a query stay in
    /// order.
    refused: VecDeque<Waiting>,
    /// Whether the refused epochs are to be tried again at once, and when they will be else.
    is_due: bool,
    /// Of the monotonic clock.
    due_at_ns: Option<u64>,
    /// The error of the full disk; `None` when there is room.
    full: Option<String>,
    /// True after [`Queue::close`] and after a failure.
    closed: bool,
    /// Why there will be no more rounds, if one has failed.
    failure: Option<Error>,
    /// Tasks that were woken by the last decision and still have input.
    awake: usize,
}

/// An entry, and the callback for its outcome.
type Waiting = (Entry, Done);

/// Whether the entry is an epoch.
fn is_epoch((entry, _): &Waiting) -> bool {
    matches!(entry, Entry::Epoch(_))
}

/// Whether the entry may make room.
fn frees_room((entry, _): &Waiting) -> bool {
    entry.frees_room()
}

impl Queue {
    /// A queue in which nothing waits.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Queue { clock, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Whether it is time to try the refused epochs again.
    fn is_due(&self, state: &State) -> bool {
        state.is_due || state.due_at_ns.is_some_and(|at| at <= self.clock.monotonic_ns())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Adds an entry. `done` is called when it is decided, or with the reason why it never will be.
    ///
    /// `done` must not submit and wait: it runs on the thread that makes the rounds, with the journal locked.
    pub fn submit(&self, entry: Entry, done: Done) {
        let mut state = self.lock();
        if state.closed {
            let error = state.failure.clone().unwrap_or_else(|| Error::backend("the engine is shutting down"));
            drop(state);
            return done(Err(error));
        }
        state.waiting.push_back((entry, done));
        self.changed.notify_all();
    }

    /// Notes that a decision woke a task; the next round waits a moment for it.
    ///
    /// Each call must be answered by [`Queue::ran_dry`]; a missing answer costs 0.3 ms and no more.
    pub fn woke(&self) {
        self.lock().awake += 1;
    }

    /// Notes that a woken task has nothing left to do.
    pub fn ran_dry(&self) {
        let mut state = self.lock();
        state.awake = state.awake.saturating_sub(1);
        if state.awake == 0 {
            self.changed.notify_all();
        }
    }

    /// The error of the full disk while epochs wait for room; `None` otherwise.
    pub fn full(&self) -> Option<String> {
        self.lock().full.clone()
    }

    /// Refuses further entries; waiting ones are still committed.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Takes the entries of the next round, without waiting.
    ///
    /// At least one, if any waits; at most the one that passes 8 MiB.
    fn take(&self) -> Vec<Waiting> {
        let mut state = self.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        if self.is_due(&state) || state.closed {
            while bytes < ROUND_BYTES {
                let Some(next) = state.refused.pop_front() else { break };
                bytes += next.0.size();
                taken.push(next);
            }
            // What is left comes with the rounds that follow, if there is room for this one.
            (state.is_due, state.due_at_ns) = (!state.refused.is_empty(), None);
        }
        while bytes < ROUND_BYTES {
            let Some(next) = state.waiting.pop_front() else { break };
            if is_epoch(&next) && !state.refused.is_empty() {
                state.refused.push_back(next);
                continue;
            }
            bytes += next.0.size();
            taken.push(next);
        }
        taken
    }

    /// Waits until there is something for a round; `false` when the queue is closed and empty.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.closed && (state.refused.is_empty() || !self.is_due(&state)) {
            state = match state.due_at_ns.filter(|_| !state.refused.is_empty()) {
                None => wait(&self.changed, state),
                Some(at) => {
                    let pause = Duration::from_nanos(at.saturating_sub(self.clock.monotonic_ns()));
                    wait_for(&self.changed, state, pause).0
                }
            };
        }
        let busy = |state: &mut State| state.awake > 0 && !state.closed;
        let mut state = wait_while(&self.changed, state, LINGER, busy);
        state.awake = 0;
        !state.closed || !state.waiting.is_empty() || !state.refused.is_empty()
    }

    /// Makes one round of waiting entries on this thread. Returns whether anything was committed or refused. `decided`
    /// is called after the callbacks of the entries, with the topics that were written to.
    ///
    /// # Errors
    /// The journal has failed: the process must end and recover.
    pub fn pump(&self, journal: &Mutex<Journal>, when_full: WhenFull, decided: &OnDecided) -> Result<bool> {
        let taken = self.take();
        if taken.is_empty() {
            return Ok(false);
        }
        let Some((message, refused)) = commit(journal, taken, decided)? else {
            self.has_room();
            return Ok(true);
        };
        // There may still be room for commands and deletions, above all for a DROP.
        let (commands, others): (Vec<_>, Vec<_>) = refused.into_iter().partition(frees_room);
        let mut progress = !commands.is_empty();
        let mut made_room = false;
        let commands = match others.is_empty() || commands.is_empty() {
            true => commands,
            false => {
                let left = commit(journal, commands, decided)?;
                made_room = left.is_none();
                left.map(|(_, commands)| commands).unwrap_or_default()
            }
        };
        commands.into_iter().for_each(|(_, done)| done(Ok(Decision::Full(message.clone()))));
        progress |= self.put_back(others, &message, when_full);
        // A DROP may have made room: entries that were put back are tried at once.
        self.lock().is_due |= made_room;
        Ok(progress)
    }

    /// Like [`Queue::pump`], and tries epochs again that found no room.
    pub fn pump_again(&self, journal: &Mutex<Journal>, when_full: WhenFull, decided: &OnDecided) -> Result<bool> {
        self.lock().is_due = true;
        self.pump(journal, when_full, decided)
    }

    /// Notes that a round was committed: unless refused epochs still wait, the disk has room.
    fn has_room(&self) {
        let mut state = self.lock();
        if state.refused.is_empty() {
            state.full = None;
        }
    }

    /// Keeps epochs that are to be tried again after a while, and refuses the rest. A closed queue refuses all, or it
    /// would never end. Returns whether anything was refused.
    fn put_back(&self, refused: Vec<Waiting>, message: &str, when_full: WhenFull) -> bool {
        let mut state = self.lock();
        let tries = when_full == WhenFull::Retry && !state.closed;
        let (again, refused): (Vec<_>, Vec<_>) = refused.into_iter().partition(|waiting| tries && is_epoch(waiting));
        if !again.is_empty() {
            state.full = Some(message.to_owned());
            state.is_due = false;
            state.due_at_ns = Some(self.clock.monotonic_ns() + FULL_PAUSE.as_nanos() as u64);
        }
        again.into_iter().rev().for_each(|waiting| state.refused.push_front(waiting));
        drop(state);
        let any = !refused.is_empty();
        refused.into_iter().for_each(|(_, done)| done(Ok(Decision::Full(message.to_owned()))));
        any
    }

    /// Makes rounds until the queue is closed and empty. An error means that the process must end and recover.
    ///
    /// Returns without an error after [`Queue::close`].
    pub fn run(&self, journal: &Mutex<Journal>, when_full: WhenFull, decided: &OnDecided) -> Result<()> {
        // However it ends, by a panic too, nobody waits for a round that never comes.
        let _end = End(self);
        while self.wait() {
            self.pump(journal, when_full, decided).inspect_err(|error| self.refuse_all(error))?;
        }
        Ok(())
    }

    /// Tells all who wait that there will be no more rounds, and all who come later.
    ///
    /// Every callback is called once.
    fn refuse_all(&self, error: &Error) {
        let waiting: Vec<Waiting> = {
            let mut state = self.lock();
            state.closed = true;
            state.failure.get_or_insert_with(|| error.clone());
            let refused = std::mem::take(&mut state.refused);
            refused.into_iter().chain(std::mem::take(&mut state.waiting)).collect()
        };
        waiting.into_iter().for_each(|(_, done)| done(Err(error.clone())));
    }
}

/// The end of the rounds.
struct End<'a>(&'a Queue);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.refuse_all(&Error::backend("the engine is shutting down"));
    }
}

/// Entries that found no room, with the error of the disk.
type Refused = (String, Vec<Waiting>);

/// Commits entries in one round and calls their callbacks. If the disk is full, returns the entries.
///
/// An error is fatal, and all callbacks have got it.
fn commit(journal: &Mutex<Journal>, taken: Vec<Waiting>, decided: &OnDecided) -> Result<Option<Refused>> {
    let (mut entries, dones): (Vec<Entry>, Vec<Done>) = taken.into_iter().unzip();
    // Held until all callbacks have run, so that the next holder of the journal sees all effects of the decision.
    let mut journal = lock(journal);
    match journal.commit(&mut entries) {
        Ok(decisions) => {
            let touched = entries.iter().flat_map(Entry::topics).collect();
            for (done, decision) in dones.into_iter().zip(decisions) {
                done(Ok(decision));
            }
            decided(&touched);
            Ok(None)
        }
        Err(RoundError::Full(message)) => Ok(Some((message, entries.into_iter().zip(dones).collect()))),
        Err(RoundError::Fatal(error)) => {
            dones.into_iter().for_each(|done| done(Err(error.clone())));
            Err(error)
        }
    }
}
