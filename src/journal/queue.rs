//! What waits for the next round, and the thread that makes the rounds.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::entry::{Decision, Entry};
use super::round::{Journal, RoundError};
use crate::error::{Error, Result};
use crate::topics::TopicId;

/// Called with what has become of an entry, on the thread that made the round. With an error nobody knows what has become of
/// it: the process ends, and the next one finds out.
pub type Done = Box<dyn FnOnce(Result<Decision>) + Send>;

/// Called with the topics that a round has written to.
pub type OnDecided<'a> = dyn Fn(&BTreeSet<TopicId>) + 'a;

/// About how many bytes of entries make a round.
const ROUND_BYTES: usize = 8 << 20;
/// How long a round waits at most for tasks that the one before has woken.
const LINGER: Duration = Duration::from_micros(300);
/// How long entries wait that found the disk full, before they are tried again.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// What to do about entries for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Epochs are tried again until there is room.
    Retry,
    /// They are refused: the process is about to end with that.
    Refuse,
}

/// Entries that wait to be committed.
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Entry, Done)>,
    closed: bool,
    /// Why there will be no more rounds, if one has failed.
    failure: Option<Error>,
    /// Tasks that were woken by the last decision and have not run dry yet.
    awake: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

impl Queue {
    /// A queue in which nothing waits.
    pub fn new() -> Self {
        Queue { state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an entry in line; `done` is called when it is decided, or with why it never will be.
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

    /// A decision has woken a task: the next round waits a moment for it.
    pub fn woke(&self) {
        self.lock().awake += 1;
    }

    /// A task that was woken has run dry.
    pub fn ran_dry(&self) {
        let mut state = self.lock();
        state.awake = state.awake.saturating_sub(1);
        if state.awake == 0 {
            self.changed.notify_all();
        }
    }

    /// Takes no more entries; those in line are still committed.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// What makes the next round, without waiting.
    fn take(&self) -> Vec<(Entry, Done)> {
        let mut state = self.lock();
        let mut bytes = 0;
        let mut taken = Vec::new();
        while bytes < ROUND_BYTES {
            let Some((entry, done)) = state.waiting.pop_front() else { break };
            bytes += entry.size();
            taken.push((entry, done));
        }
        taken
    }

    /// Waits until a round is worth making; `false` when there will be no more.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let busy = |state: &mut State| state.awake > 0 && !state.closed;
        let waited = self.changed.wait_timeout_while(state, LINGER, busy);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.awake = 0;
        !state.waiting.is_empty()
    }

    /// Makes one round of what is in line, on this thread; whether there was anything. `decided` is called behind those who
    /// submitted the entries, with the topics that were written to.
    pub fn pump(&self, journal: &Mutex<Journal>, when_full: WhenFull, decided: &OnDecided) -> Result<bool> {
        let taken = self.take();
        if taken.is_empty() {
            return Ok(false);
        }
        if let Some((message, refused)) = commit(journal, taken, decided)? {
            // There may still be room for commands, above all for those that make room.
            let is_command = |(entry, _): &(Entry, Done)| matches!(entry, Entry::Command(_));
            let (commands, others): (Vec<_>, Vec<_>) = refused.into_iter().partition(is_command);
            let commands = match others.is_empty() {
                true => Some((message.clone(), commands)),
                false => commit(journal, commands, decided)?,
            };
            self.put_back(others, &message, when_full);
            let commands = commands.into_iter().flat_map(|(_, refused)| refused);
            commands.for_each(|(_, done)| done(Ok(Decision::Full(message.clone()))));
        }
        Ok(true)
    }

    /// Refuses what found no room, but for epochs that are to be tried again after a while; not at the end, which would never
    /// come.
    fn put_back(&self, refused: Vec<(Entry, Done)>, message: &str, when_full: WhenFull) {
        let tries = when_full == WhenFull::Retry && !self.lock().closed;
        let again = |(entry, _): &(Entry, Done)| matches!(entry, Entry::Epoch(_)) && tries;
        let (again, refused): (Vec<_>, Vec<_>) = refused.into_iter().partition(again);
        refused.into_iter().for_each(|(_, done)| done(Ok(Decision::Full(message.to_owned()))));
        if !again.is_empty() {
            std::thread::sleep(FULL_PAUSE);
            let mut state = self.lock();
            again.into_iter().rev().for_each(|entry| state.waiting.push_front(entry));
        }
    }

    /// Makes rounds until the queue is closed and empty. An error means that the process must end and recover.
    pub fn run(&self, journal: &Mutex<Journal>, when_full: WhenFull, decided: &OnDecided) -> Result<()> {
        while self.wait() {
            self.pump(journal, when_full, decided).inspect_err(|error| self.refuse_all(error))?;
        }
        Ok(())
    }

    /// Tells all who wait that there will be no more rounds, and all who come later.
    fn refuse_all(&self, error: &Error) {
        let waiting = {
            let mut state = self.lock();
            (state.closed, state.failure) = (true, Some(error.clone()));
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(|(_, done)| done(Err(error.clone())));
    }
}

/// What found no room, with what the disk said.
type Refused = (String, Vec<(Entry, Done)>);

/// Commits entries in one round and tells those who submitted them; gives them back if the disk is full.
fn commit(journal: &Mutex<Journal>, taken: Vec<(Entry, Done)>, decided: &OnDecided) -> Result<Option<Refused>> {
    let (mut entries, dones): (Vec<Entry>, Vec<Done>) = taken.into_iter().unzip();
    // Held until everybody has been told: whoever takes the journal next finds all effects of what was decided.
    let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
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
