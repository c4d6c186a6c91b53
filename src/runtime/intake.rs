//! Decoding ahead: every partition of a query has rows before a turn takes them, on one thread or on several.
//!
//! A turn stops where the first partition has no more decoded rows, so partitions that have none would make turns
//! small. Each is filled until it has about half of what is decoded at once, in at most four batches.
//!
//! Whoever waits for the query, to read it, waits for one batch: then decoding stops, and goes on when they have come. At
//! least one batch is decoded each time, so that readers do not hold up the query for ever.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::cursor::Cursor;
use crate::error::{Error, Result};
use crate::locks::lock;

/// How many batches are decoded for a partition in a turn, at most: they may be small, or have no good record.
const BATCHES: usize = 4;

/// Decodes rows for all partitions that have few; false if it stopped for those who wait.
pub(super) fn fill(cursors: &mut [Vec<Cursor>], waiting: &AtomicUsize) -> Result<bool> {
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
        has_begun: AtomicBool::new(false),
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

/// What several threads decode together.
struct Intake<'w> {
    /// How many wait for the query.
    waiting: &'w AtomicUsize,
    /// Whether a batch is being decoded, or was.
    has_begun: AtomicBool,
    /// Whether it stopped for those who wait.
    is_left: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl Intake<'_> {
    /// Decodes a batch for a partition, and sends itself again for the next one: the smaller what a thread does at once, the
    /// sooner all are done.
    fn refill<'a>(&'a self, cursor: &'a mut Cursor, batches: usize, scope: &rayon::Scope<'a>) {
        if self.has_begun.swap(true, Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) > 0 {
            return self.is_left.store(true, Ordering::Relaxed);
        }
        match cursor.fill() {
            Ok(true) if batches > 1 && cursor.wants_more() => {
                scope.spawn(move |scope| self.refill(cursor, batches - 1, scope));
            }
            Ok(_) => {}
            Err(error) => *lock(&self.failure) = Some(error),
        }
    }
}
