//! The end of an epoch: the results of the groups that were touched in it.

use super::bucket::Bucket;
use super::{Aggregate, Group, Left, Spec, results};
use crate::error::Result;
use crate::operators::{Flow, Output};
use crate::state::BucketId;
use crate::types::{Builder, OldSide, Seq};

/// The results of groups before their first touch in an epoch, in the order of these touches.
///
/// Kept in pieces of at most 64 MiB. Each piece becomes columns of its own when the epoch ends or somebody reads it, so
/// a batch of results never reaches over the border of two pieces.
#[derive(Default)]
pub(super) struct Before {
    closed: Vec<OldSide>,
    /// Takes the next results. `None` if the next one begins a piece.
    open: Option<Piece>,
    /// About how many bytes all results have, and those of the open piece.
    bytes: (usize, usize),
}

/// Results of some groups, and whether there was none.
struct Piece {
    columns: Vec<Builder>,
    /// `true` for a group that had no row before the epoch.
    absent: Vec<bool>,
}

/// Where the results of a group are.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub piece: u32,
    pub row: u32,
    /// The largest time of a row in the group before the epoch.
    pub time: i64,
}

/// A piece takes no further result beyond so many bytes, so that its columns never get too large.
pub(super) const PIECE_BYTES: usize = 64 << 20;

impl Before {
    /// Notes the results of a group that is about to be touched for the first time in an epoch, and tells where they
    /// are.
    ///
    /// Must be called in the order in which the groups are added to the epoch's list: [`Flush`] pairs both lists by
    /// their places.
    pub(super) fn push(&mut self, spec: &Spec, bucket: &Bucket, group: u32) -> Result<Spot> {
        let bytes = bucket.result_bytes(group);
        if self.bytes.1 + bytes > PIECE_BYTES {
            self.close();
        }
        self.bytes = (self.bytes.0 + bytes, self.bytes.1 + bytes);
        let new = || Piece { columns: results::builders(spec, 0), absent: Vec::new() };
        let piece = self.open.get_or_insert_with(new);
        let row = piece.absent.len() as u32;
        piece.absent.push(bucket.is_new(group));
        bucket.results(group, &mut piece.columns)?;
        Ok(Spot { piece: self.closed.len() as u32, row, time: bucket.times[group as usize] })
    }

    /// Makes columns of the open piece.
    pub(super) fn close(&mut self) {
        let Some(piece) = self.open.take() else { return };
        let columns = piece.columns.into_iter().map(Builder::finish).collect();
        self.closed.push(OldSide { columns, absent: Some(piece.absent.into()) });
        self.bytes.1 = 0;
    }

    /// A piece that is closed.
    pub(super) fn side(&self, piece: u32) -> &OldSide {
        &self.closed[piece as usize]
    }

    /// The pieces, closed.
    pub(super) fn into_sides(mut self) -> Vec<OldSide> {
        self.close();
        self.closed
    }

    /// Adds a piece.
    pub(super) fn append(&mut self, side: OldSide) {
        self.close();
        self.bytes.0 += side.bytes();
        self.closed.push(side);
    }

    /// The same results once more; the memory of columns is shared.
    ///
    /// What takes results must be closed.
    pub(super) fn copy(&self) -> Before {
        debug_assert!(self.open.is_none(), "results would be lost");
        Before { closed: self.closed.clone(), open: None, bytes: self.bytes }
    }

    /// The pieces that are closed.
    pub(super) fn sides(&self) -> &[OldSide] {
        &self.closed
    }

    /// About how many bytes the results have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.0
    }
}

/// The results that are handed on at the end of an epoch, from the group `next` on.
///
/// Kept by the operator while the output has no room; `next` says how far it has come.
pub(super) struct Flush {
    groups: Vec<Group>,
    next: usize,
    /// The results before, for the next groups first, if they are asked for.
    ///
    /// Their rows, taken from the last piece to the first, are as many as the groups from `next` on.
    before: Option<Vec<OldSide>>,
}

impl Flush {
    /// The results of these groups, with those before.
    pub(super) fn new(groups: Vec<Group>, before: Option<Before>) -> Self {
        // The next piece stands last.
        let before = before.map(|mut before| {
            before.close();
            before.closed.into_iter().rev().collect()
        });
        Flush { groups, next: 0, before }
    }

    /// How many of the next groups have their results before in one piece.
    ///
    /// All that are left where no results before are asked for.
    fn together(&self) -> usize {
        let piece = self.before.as_ref().and_then(|pieces| pieces.last()?.absent.as_ref());
        piece.map_or(self.groups.len() - self.next, |absent| absent.len())
    }

    /// Takes the results before of the next groups out.
    ///
    /// `count` must not be more than [`Flush::together`] says.
    fn take_before(&mut self, count: usize) -> Option<OldSide> {
        let pieces = self.before.as_mut()?;
        let piece = pieces.pop()?;
        let rows = piece.rows();
        if count < rows {
            pieces.push(piece.slice(count, rows - count));
        }
        Some(piece.slice(0, count))
    }
}

/// The group that comes so many after the one at a place, if it is in the same bucket.
pub(super) fn next_in(groups: &[Group], at: usize) -> impl Fn(usize) -> Option<u32> {
    let id = groups[at].0;
    move |ahead| groups.get(at + ahead).filter(|(other, _)| *other == id).map(|(_, group)| *group)
}

impl Aggregate {
    /// Hands on the results of an epoch's groups, and notes that their entries are to be saved.
    ///
    /// All results of an epoch have the ordinal `end`: no single row caused them. The groups come in the order of their
    /// first touch, which does not depend on the size of batches.
    pub(super) fn take_flush(&mut self, mut flush: Flush, end: u64, out: &mut Output) -> Result<Flow> {
        while flush.next < flush.groups.len() {
            if !out.has_room() {
                self.left = Some(Left::Flush(flush));
                return Ok(Flow::Left(end));
            }
            let next = flush.next..flush.next + flush.together();
            let count = self.fitting(&flush.groups[next], out);
            let mut made = self.batch_of(&flush.groups[flush.next..flush.next + count])?;
            made.seq = Seq::Each(vec![end; count].into());
            if let Some(before) = flush.take_before(count) {
                let shared = made.columns[..made.columns.len() - before.columns.len()].to_vec();
                let columns = shared.into_iter().chain(before.columns).collect();
                made.old = Some(Box::new(OldSide { columns, absent: before.absent }));
            }
            let bytes = if self.sized { made.bytes() } else { 0 };
            out.push_sized(made, bytes);
            flush.next += count;
        }
        self.settle(&flush.groups);
        Ok(Flow::Done)
    }

    /// How many of these groups fit into a batch of results.
    ///
    /// At least one, even if it is larger than a batch should be, so that the flush always gets on.
    pub(super) fn fitting(&self, groups: &[Group], out: &Output) -> usize {
        self.together(|id| self.buckets.get(&id), groups, (out.batch_rows(), out.batch_bytes().min(PIECE_BYTES)))
    }

    /// How many of these groups have together no more rows and bytes than that; at least one.
    ///
    /// Bytes are only counted where results can be large. `bucket` finds the bucket of a group.
    pub(super) fn together<'b>(
        &self,
        bucket: impl Fn(BucketId) -> Option<&'b Bucket>,
        groups: &[Group],
        (rows, limit): (usize, usize),
    ) -> usize {
        let most = groups.len().min(rows);
        if !self.sized {
            return most;
        }
        let mut bytes = 0;
        let fits = |(at, (id, group)): &(usize, &Group)| {
            let result = |bucket: &Bucket| {
                bucket.prefetch(next_in(groups, *at));
                bucket.table.key(*group).len() + bucket.result_bytes(*group)
            };
            bytes += bucket(*id).map_or(0, result);
            bytes <= limit
        };
        groups[..most].iter().enumerate().take_while(fits).count().max(1)
    }

    /// A new epoch begins: the groups touched in the last one are to be saved.
    ///
    /// Clears the marks of the groups, so that the next touch counts as the first of its epoch.
    pub(super) fn settle(&mut self, groups: &[Group]) {
        for (id, group) in groups {
            if let Some(bucket) = self.buckets.get_mut(id) {
                bucket.untouch(*group);
                self.changed.push((*id, *group));
            }
        }
    }
}
