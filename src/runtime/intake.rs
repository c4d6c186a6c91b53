//! Decoding ahead: every partition of a query has rows before a turn takes them, on one thread or on several.
//!
//! A turn stops where the first partition has no more decoded rows, so partitions that have none would make turns
//! small. Each is filled until it has about half of what is decoded at once, in at most four batches.

use std::sync::{Mutex, PoisonError};

use super::cursor::Cursor;
use crate::error::{Error, Result};
use crate::locks::lock;

/// How many batches are decoded for a partition in a turn, at most: they may be small, or have no good record.
const BATCHES: usize = 4;

/// Decodes rows for a partition that has few.
pub(super) fn fill(cursor: &mut Cursor) -> Result<()> {
    for _ in 0..BATCHES {
        if !cursor.wants_more() || !cursor.fill()? {
            break;
        }
    }
    Ok(())
}

/// Decodes ahead for all partitions that have few rows, on the threads of the pool.
///
/// # Errors
/// That of one partition that failed; the others are filled all the same.
pub(super) fn refill(cursors: &mut [Vec<Cursor>]) -> Result<()> {
    let failure = Mutex::new(None);
    rayon::scope(|scope| {
        let hungry = cursors.iter_mut().flatten().filter(|cursor| cursor.wants_more());
        hungry.for_each(|cursor| scope.spawn(|scope| refill_one(cursor, BATCHES, scope, &failure)));
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Decodes a batch for a partition, and sends itself again for the next one: the smaller what a thread does at once, the sooner
/// all are done.
fn refill_one<'a>(cursor: &'a mut Cursor, batches: usize, scope: &rayon::Scope<'a>, failure: &'a Mutex<Option<Error>>) {
    match cursor.fill() {
        Ok(true) if batches > 1 && cursor.wants_more() => {
            scope.spawn(move |scope| refill_one(cursor, batches - 1, scope, failure));
        }
        Ok(_) => {}
        Err(error) => *lock(failure) = Some(error),
    }
}
