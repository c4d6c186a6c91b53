//! The front of a partition: how records are deleted from its start, by retention or on request.
//!
//! The **start** is the first offset that readers see. Segments that have only records before it are not part of the
//! log any more; if the start is the end, no segment is. Both are decided by the journal ([`Front`] is in a frame, and
//! in the manifest), never read off the names of files.
//!
//! ```text
//! step                                   what a crash after it leaves
//! frame with the front written           the old front, or the new one: recovery makes durable what it can read
//! frame synced, front moved in memory    the new front; files before it are removed by recovery
//! files removed                          the same; a name that comes back after a power cut is removed again
//! ```
//!
//! So files go only after a durable frame says that nobody needs them, and their removal needs no sync. Recovery learns
//! the last front of all before it writes any record again: records of segments before it are neither made anew nor
//! missed.
//!
//! When everything is deleted, the newest segment goes too, and the decided end is a place without bytes
//! ([`Place::empty_at`]). The next batch begins a segment there, so the offsets go on.

use std::io;

use super::layout::Layout;
use super::partition::{Partition, Place};
use super::segment::{self, Segment};
use crate::topics::Offset;

/// Where a partition begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Front {
    /// The first offset that readers see.
    ///
    /// Never falls.
    pub start: Offset,
    /// The base offset of the first segment that is kept; the end if none is.
    pub segment: Offset,
}

impl Front {
    /// The front if both are decided, in any order.
    pub fn later(self, other: Front) -> Front {
        // A later start never needs an earlier segment.
        if other.start > self.start { other } else { self }
    }

    /// The decided end after the front was decided. With the last front and the last end it is right in whatever order
    /// they came: a segment that begins at the end has no record.
    pub fn cut(self, end: Place) -> Place {
        if self.segment == end.offset { Place::empty_at(end.offset) } else { end }
    }
}

impl Partition {
    /// Where it begins.
    pub fn front(&self) -> Front {
        self.lock().layout.front
    }

    /// What of it was deleted and compacted.
    pub fn layout(&self) -> Layout {
        self.lock().layout.clone()
    }

    /// The front if the records before an offset go. All that was written counts as decided, and an offset after that is
    /// the end.
    pub fn front_at(&self, before: Offset) -> Front {
        let state = self.lock();
        let start = before.clamp(state.layout.front.start, state.written.offset);
        let holds = state.segments.iter().rev().find(|segment| segment.base <= start);
        let segment = holds.map_or(start, |segment| segment.base);
        Front { start, segment: if start == state.written.offset { start } else { segment } }
    }

    /// A front was decided: records before it are not seen any more, and segments before it are not part of the log.
    ///
    /// Their files stay until [`Partition::remove_dead`]. Called with everything written decided.
    pub fn advance(&self, front: Front) {
        let mut state = self.lock();
        if front.start <= state.layout.front.start {
            return;
        }
        state.layout.trim(front);
        state.layouts += 1;
        let after = state.segments.partition_point(|segment| segment.base < front.segment);
        let dead: Vec<_> = state.segments.drain(..after).map(|segment| segment.id()).collect();
        state.dirty.retain(|segment, _| *segment >= front.segment);
        state.decided = front.cut(state.decided);
        state.written = front.cut(state.written);
        if state.segments.is_empty() {
            state.tail.clear();
        }
        state.dead.extend(dead);
    }

    /// Removes the files that are not part of the log any more.
    ///
    /// # Errors
    /// A file cannot be removed. Those that are left are tried again by the next call, or the next start.
    pub fn remove_dead(&self) -> io::Result<()> {
        loop {
            let Some(id) = self.lock().dead.last().copied() else { return Ok(()) };
            match self.handles.disk().remove_file(&self.dir.join(segment::file_name(id))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                // Gone, or its topic is.
                _ => self.lock().dead.retain(|dead| *dead != id),
            }
        }
    }

    /// Takes the files that are part of the log by a layout that is durable, and removes the others: at recovery, before
    /// any record is written again.
    ///
    /// # Errors
    /// A file that took the place of others is missing or too short, or one that does not count cannot be removed.
    pub fn recover(&self, layout: Layout) -> io::Result<()> {
        let mut state = self.lock();
        let (live, dead): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.segments).into_iter().partition(|segment| layout.has_file(segment.id()));
        for (first, compacted) in &layout.compacted {
            let found = live.iter().find(|segment| segment.base == *first);
            let length = found.map(|segment| segment.len()).transpose()?;
            if length.is_none_or(|length| length < compacted.length) {
                let what = if length.is_some() { "shorter than what was decided" } else { "missing" };
                let message = format!("{}: segment {first} is {what}", self.id);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        let last = live.iter().chain(&dead).map(|segment| segment.generation).max();
        state.next_generation = last.unwrap_or_default() + 1;
        state.segments = live;
        state.dead = dead.iter().map(|segment| segment.id()).collect();
        state.layout = layout;
        drop(state);
        self.remove_dead()
    }

    /// Whether a segment is part of the log as it was written.
    pub fn keeps(&self, segment: Offset) -> bool {
        self.lock().layout.keeps(segment)
    }

    /// Whether this file is part of the log.
    pub(super) fn has(&self, segment: &Segment) -> bool {
        self.lock().segments.iter().any(|own| own.id() == segment.id())
    }

    /// The bytes of all decided records, with those of the first segment that are before the start.
    ///
    /// # Errors
    /// A segment cannot be asked for its length.
    pub fn bytes(&self) -> io::Result<u64> {
        let (segments, decided) = self.decided_segments();
        let sealed = segments.iter().filter(|segment| segment.base != decided.segment);
        sealed.map(|segment| segment.len()).try_fold(decided.byte, |sum, length| Ok(sum + length?))
    }
}
