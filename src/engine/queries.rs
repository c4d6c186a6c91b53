//! The queries of an engine: by their ids, and by the topics that they read.
//!
//! With a thousand queries on one topic, waking each for every commit would cost more than the work. So a topic's
//! readers are not woken again for a while, 40 µs for each of them and 40 ms at most. The commits of that time are
//! processed together. Up to four readers are always woken at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, RwLock};

use super::running::Running;
use crate::ids::TopicId;
use crate::locks::{lock, read, write};

/// The queries at work.
#[derive(Default)]
pub(super) struct Queries {
    by_id: RwLock<BTreeMap<String, Arc<Running>>>,
    readers: RwLock<HashMap<TopicId, Arc<Readers>>>,
}

/// The queries that read a topic.
#[derive(Default)]
pub(super) struct Readers {
    queries: RwLock<Vec<Arc<Running>>>,
    pace: Mutex<Pace>,
}

/// When the readers of a topic were woken.
#[derive(Default)]
struct Pace {
    last_ns: Option<u64>,
    /// Whether they will be woken anyway.
    planned: bool,
}

/// When the readers of a topic are to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Now,
    /// At this time of the monotonic clock.
    At(u64),
    /// That was planned before.
    Planned,
}

/// How long a topic's readers are not woken again, for each reader. Waking one takes about this long, and the commits
/// of that time are processed together.
const PACE_NS: u64 = 40_000;
/// The longest time for which readers are not woken again.
const MOST_PACE_NS: u64 = 40_000_000;
/// Up to this many readers are always woken at once.
const FEW: usize = 4;

impl Queries {
    /// All queries, in the order in which they were made.
    ///
    /// By number. Costs O(n log n).
    pub(super) fn all(&self) -> Vec<Arc<Running>> {
        let mut all: Vec<_> = read(&self.by_id).values().cloned().collect();
        all.sort_by_key(|query| query.number);
        all
    }

    /// The query of an id.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Running>> {
        read(&self.by_id).get(id).cloned()
    }

    /// Adds a query.
    pub(super) fn add(&self, query: &Arc<Running>) {
        write(&self.by_id).insert(query.id.clone(), query.clone());
        let mut topics = write(&self.readers);
        for topic in &query.reads {
            write(&topics.entry(*topic).or_default().queries).push(query.clone());
        }
    }

    /// Removes a query.
    ///
    /// Does nothing if another query has that id by now.
    pub(super) fn remove(&self, query: &Running) {
        let mut by_id = write(&self.by_id);
        if by_id.get(&query.id).is_some_and(|found| std::ptr::eq(found.as_ref(), query)) {
            by_id.remove(&query.id);
        }
        drop(by_id);
        let mut topics = write(&self.readers);
        for topic in &query.reads {
            let Some(readers) = topics.get(topic) else { continue };
            let mut queries = write(&readers.queries);
            queries.retain(|reader| !std::ptr::eq(reader.as_ref(), query));
            let is_last = queries.is_empty();
            drop(queries);
            if is_last {
                topics.remove(topic);
            }
        }
    }

    /// The readers of a topic, if there are any.
    pub(super) fn readers(&self, topic: TopicId) -> Option<Arc<Readers>> {
        read(&self.readers).get(&topic).cloned()
    }
}

impl Readers {
    /// The queries.
    pub(super) fn queries(&self) -> Vec<Arc<Running>> {
        read(&self.queries).clone()
    }

    /// Something was decided for the topic: when its readers are to be woken. Whoever is told a time wakes them then, with
    /// [`Readers::woken`].
    ///
    /// `now_ns` is of the monotonic clock.
    pub(super) fn when(&self, now_ns: u64) -> When {
        let count = read(&self.queries).len();
        let mut pace = lock(&self.pace);
        if pace.planned {
            return When::Planned;
        }
        let next = pace.last_ns.map_or(0, |last| last + (count as u64 * PACE_NS).min(MOST_PACE_NS));
        if count <= FEW || next <= now_ns {
            pace.last_ns = Some(now_ns);
            return When::Now;
        }
        pace.planned = true;
        When::At(next)
    }

    /// The readers are woken as planned.
    pub(super) fn woken(&self, now_ns: u64) {
        *lock(&self.pace) = Pace { last_ns: Some(now_ns), planned: false };
    }
}
