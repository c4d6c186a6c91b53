//! The groups of a stretch of event time, with a state for each call and the largest time of a row in each.

use crate::error::Result;
use crate::functions::aggregate::{BoundAggregate, States};
use crate::state::KeyTable;
use crate::types::Builder;
use crate::types::row::Input;

/// The bytes that the start of a window takes at the end of a key.
pub const WINDOW_BYTES: usize = 8;

/// Groups by their keys.
pub struct Bucket {
    pub table: KeyTable,
    /// The largest time of a row in each group.
    pub times: Vec<i64>,
    /// The epoch in which each group was last touched; 0 for one that has just been made.
    pub touched: Vec<u32>,
    pub states: Vec<Box<dyn States>>,
    /// Counts the changes.
    pub version: u64,
}

impl Bucket {
    /// A bucket without groups.
    pub fn new<'a>(calls: impl Iterator<Item = &'a BoundAggregate>) -> Self {
        let states = calls.map(BoundAggregate::states).collect();
        Bucket { table: KeyTable::new(), times: Vec::new(), touched: Vec::new(), states, version: 0 }
    }

    /// Appends the group of each key to `groups`, which is about to change; those that are not there are made.
    pub fn groups(&mut self, keys: &[u8], ends: &[usize], groups: &mut Vec<u32>) {
        self.table.find_or_insert(keys, ends, groups);
        self.version += 1;
        self.grow();
    }

    fn grow(&mut self) {
        let count = self.table.len();
        if count > self.times.len() {
            self.times.resize(count, -1);
            self.touched.resize(count, 0);
            self.states.iter_mut().for_each(|s| s.grow(count));
        }
    }

    /// Whether no row has come into the group yet.
    pub fn is_new(&self, group: u32) -> bool {
        self.times[group as usize] < 0
    }

    /// Appends the group's results to a column for each call.
    pub fn results(&self, group: u32, columns: &mut [Builder]) {
        self.states.iter().zip(columns).for_each(|(states, column)| states.result(group, column));
    }

    /// Appends the group's time and states.
    pub fn encode(&self, group: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.times[group as usize].to_le_bytes());
        self.states.iter().for_each(|s| s.encode(group, out));
    }

    /// Sets a group from what [`Bucket::encode`] wrote.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut groups = Vec::with_capacity(1);
        self.groups(key, &[key.len()], &mut groups);
        let mut input = Input(value);
        self.times[groups[0] as usize] = input.i64()?;
        self.states.iter_mut().try_for_each(|s| s.decode(groups[0], &mut input))
    }

    /// The bytes of memory that the bucket takes.
    pub fn memory(&self) -> usize {
        let own = self.times.capacity() * size_of::<i64>() + self.touched.capacity() * size_of::<u32>();
        self.table.memory() + own + self.states.iter().map(|s| s.memory()).sum::<usize>()
    }
}
