//! The threads on which queries take turns, with one line for all of them: a job that is sent again waits behind every other.
//!
//! The line is first in, first out. Nobody steals and nothing has priority, so a query that always has work cannot keep
//! others from theirs. If no one waits, a large turn may use the threads of a second pool for its parts.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};

use crate::error::{Error, Result};
use crate::locks::{lock, wait};

/// The stack of a thread, in bytes.
///
/// Expressions can be nested deeply, and are evaluated by recursion.
const STACK_BYTES: usize = 8 << 20;

/// The threads, if there are any.
#[derive(Default)]
pub(super) struct Workers {
    line: Option<Arc<Line>>,
    /// Threads for the parts of one turn, if there are several.
    shared: Option<rayon::ThreadPool>,
}

/// The jobs in line.
#[derive(Default)]
struct Line {
    state: Mutex<State>,
    /// A job has come, or the end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    at_work: usize,
    /// How many threads have nothing to do.
    resting: usize,
    closed: bool,
}

/// What a worker does.
type Job = Box<dyn FnOnce() + Send>;

impl Workers {
    /// So many threads.
    pub(super) fn new(count: usize) -> Result<Workers> {
        let line = Arc::new(Line::default());
        let workers = Workers { line: Some(line.clone()), shared: (count > 1).then(|| pool(count)).transpose()? };
        for number in 0..count {
            let line = line.clone();
            let thread = std::thread::Builder::new().name(format!("worker {number}")).stack_size(STACK_BYTES);
            thread.spawn(move || line.work()).map_err(no_threads)?;
        }
        Ok(workers)
    }

    /// Whether there are any.
    pub(super) fn exist(&self) -> bool {
        self.line.is_some()
    }

    /// Threads for the parts of one turn, if there are several and no other query waits for its turn.
    ///
    /// Other queries come first: parts of one turn would only take time from them.
    pub(super) fn shared(&self) -> Option<&rayon::ThreadPool> {
        let is_wanted = |line: &Arc<Line>| !lock(&line.state).waiting.is_empty();
        self.shared.as_ref().filter(|_| !self.line.as_ref().is_some_and(is_wanted))
    }

    /// How many jobs wait or are at work.
    pub(super) fn jobs(&self) -> usize {
        let Some(line) = &self.line else { return 0 };
        let state = lock(&line.state);
        state.waiting.len() + state.at_work
    }

    /// Queues a job after all others. Without threads, runs it at once.
    pub(super) fn send(&self, job: impl FnOnce() + Send + 'static) {
        let Some(line) = &self.line else { return job() };
        let mut state = lock(&line.state);
        state.waiting.push_back(Box::new(job));
        if state.resting > 0 {
            line.changed.notify_one();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            lock(&line.state).closed = true;
            line.changed.notify_all();
        }
    }
}

fn pool(count: usize) -> Result<rayon::ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(count).stack_size(STACK_BYTES);
    builder.thread_name(|n| format!("turns {n}")).build().map_err(no_threads)
}

fn no_threads(error: impl std::error::Error) -> Error {
    Error::backend(format!("no worker threads: {error}"))
}

impl Line {
    /// The work of a thread.
    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            match state.waiting.pop_front() {
                Some(job) => {
                    state.at_work += 1;
                    drop(state);
                    // The sender of a job handles its panics; the thread continues.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                    state = lock(&self.state);
                    state.at_work -= 1;
                }
                None if state.closed => return,
                None => {
                    state.resting += 1;
                    state = wait(&self.changed, state);
                    state.resting -= 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_job_that_sends_itself_again_waits_behind_those_that_came_meanwhile() {
        let workers = Arc::new(Workers::new(1).expect("a thread"));
        let (tell, told) = mpsc::channel();
        let (come, came) = mpsc::channel();
        let (again, tell_again) = (workers.clone(), tell.clone());
        workers.send(move || {
            came.recv().expect("the other has come");
            again.send(move || tell_again.send("again").expect("somebody listens"));
        });
        workers.send(move || tell.send("other").expect("somebody listens"));
        come.send(()).expect("the first job waits for it");
        assert_eq!(told.iter().collect::<Vec<_>>(), ["other", "again"]);
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_with_it() {
        let workers = Workers::new(1).expect("a thread");
        workers.send(|| std::panic::resume_unwind(Box::new("on purpose")));
        let (tell, told) = mpsc::channel();
        workers.send(move || tell.send("there").expect("somebody listens"));
        assert_eq!(told.recv(), Ok("there"));
    }
}
