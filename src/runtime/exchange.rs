//! The exchange: each row to the task that its key belongs to, without leaving memory.

use super::piece::{Piece, Points};
use crate::catalog::Encoding;
use crate::formats::Encoder;
use crate::topics::partition_of;
use crate::types::{Batch, Column, SqlType, View};

/// Finds the task of each row.
pub struct Exchange {
    key: Vec<(usize, SqlType)>,
    encoder: Box<dyn Encoder>,
    targets: u32,
    /// Every row goes to the first task: for tests that know one order only.
    single: bool,
    scratch: Vec<u8>,
}

impl Exchange {
    /// An exchange by the columns at these places, cut as a topic with keys in this encoding would be.
    pub fn new(key: &[(usize, SqlType)], encoding: &Encoding, targets: u32, single: bool) -> Self {
        let columns: Vec<Column> = key.iter().map(|(_, t)| Column::key("KEY", t.clone())).collect();
        let encoder = encoding.encoder(&columns);
        Exchange { key: key.to_vec(), encoder, targets, single, scratch: Vec::new() }
    }

    /// A piece for each task that gets rows. A row without a key goes where it comes from.
    pub fn split(&mut self, batch: Batch, points: Points, from: u32) -> Vec<(u32, Piece)> {
        if self.single || self.targets == 1 {
            return vec![(0, Piece { batch, points, rows: None })];
        }
        let views: Vec<View> = self.key.iter().map(|(p, t)| View::new(batch.columns[*p].as_ref(), t)).collect();
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); self.targets as usize];
        for row in 0..batch.rows() {
            self.scratch.clear();
            let target = match self.encoder.encode(&views, row, &mut self.scratch) {
                true => partition_of(&self.scratch, self.targets),
                false => from % self.targets,
            };
            rows[target as usize].push(row as u32);
        }
        let all = rows.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty());
        all.map(|(target, rows)| {
            (target as u32, Piece { batch: batch.clone(), points: points.clone(), rows: Some(rows) })
        })
        .collect()
    }
}
