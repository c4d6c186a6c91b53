//! Decoding ahead: every partition of a query has rows before a turn takes them, on one thread or on several.
//!
//! A turn stops where the first partition has no more decoded rows, so partitions that have none would make turns
//! small. Each is filled until it has about half of what is decoded at once, in at most four batches.
//!
//! Whoever waits for the query, to read it, waits for one batch: then decoding stops, and goes on when they have come. How
//! often it may stop before a turn begins is for the caller to say.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::cursor::Cursor;
use super::query::QueryRun;
use super::stages::NOBODY;
use crate::error::{Error, Result};
use crate::locks::lock;
use crate::topics::Offset;

/// How many batches are decoded for a partition in a turn, at most: they may be small, or have no good record.
const BATCHES: usize = 4;

/// Decodes rows for all partitions that have few; false if it stopped for those who wait.
fn fill(cursors: &mut [Vec<Cursor>], waiting: &AtomicUsize) -> Result<bool> {
    for cursor in cursors.iter_mut().flatten() {
        for _ in 0..BATCHES {
            if !cursor.wants_more() || !cursor.fill()? {
                break;
            }
            if waiting.load(Ordering::Relaxed) > 0 {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The same on the threads of the pool.
///
/// # Errors
/// That of one partition that failed; the others are filled all the same.
pub(super) fn refill(cursors: &mut [Vec<Cursor>], waiting: &AtomicUsize) -> Result<bool> {
    let intake = Intake {
        waiting,
        has_decoded: AtomicBool::new(false),
        is_left: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    rayon::scope(|scope| {
        let hungry = cursors.iter_mut().flatten().filter(|cursor| cursor.wants_more());
        hungry.for_each(|cursor| scope.spawn(|scope| intake.refill(cursor, BATCHES, scope)));
    });
    let is_left = intake.is_left.into_inner();
    intake.failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(!is_left), Err)
}

impl QueryRun {
    /// Has every partition decode rows that has few, unless it stands at its end; false if it stopped for those who
    /// wait. It stops for them as often as there are partitions, and then not before a turn has begun.
    pub(super) fn fill(&mut self, threads: Option<&rayon::ThreadPool>) -> Result<bool> {
        // Rows that come all the time, and readers that do, must not keep a turn from beginning.
        let partitions = self.cursors.iter().map(Vec::len).sum();
        let waiting: &AtomicUsize = if self.stops < partitions { &self.stages.waiting } else { &NOBODY };
        match threads.filter(|_| self.is_large) {
            Some(threads) => threads.install(|| refill(&mut self.cursors, waiting)),
            None => fill(&mut self.cursors, waiting),
        }
    }

    /// Has every partition decode rows up to an offset.
    pub(super) fn fill_to(&mut self, ends: &[Offset]) -> Result<()> {
        self.cursors.iter_mut().flatten().zip(ends).try_for_each(|(cursor, end)| cursor.fill_to(*end))
    }
}

/// What several threads decode together.
struct Intake<'w> {
    /// How many wait for the query.
    waiting: &'w AtomicUsize,
    /// Whether a batch was decoded.
    has_decoded: AtomicBool,
    /// Whether it stopped for those who wait.
    is_left: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl Intake<'_> {
    /// Decodes a batch for a partition, and sends itself again for the next one: the smaller what a thread does at once, the
    /// sooner all are done.
    fn refill<'a>(&'a self, cursor: &'a mut Cursor, batches: usize, scope: &rayon::Scope<'a>) {
        if self.has_decoded.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) > 0 {
            return self.is_left.store(true, Ordering::Relaxed);
        }
        match cursor.fill() {
            Ok(true) => {
                self.has_decoded.store(true, Ordering::Relaxed);
                if batches > 1 && cursor.wants_more() {
                    scope.spawn(move |scope| self.refill(cursor, batches - 1, scope));
                }
            }
            Ok(false) => {}
            Err(error) => *lock(&self.failure) = Some(error),
        }
    }
}
