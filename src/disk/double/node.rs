//! A file and a directory of the double, each in two pictures, and what a power cut makes of them.
//!
//! `now` is what processes read. `durable` is what was synced. `pending` holds the changes in between, in their order;
//! a power cut picks some of them, applies them to `durable` and makes that the new `now`.

use std::collections::BTreeMap;

/// What is written whole or not at all; less than real disks have, so that small files have many.
pub(super) const SECTOR: usize = 64;

/// A number generator whose whole state is a number, so that what happened can happen again.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// The step of SplitMix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The function of SplitMix64.
fn mixed(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Random {
    /// The numbers of a seed. Those of neighbouring seeds have nothing in common.
    pub fn new(seed: u64) -> Self {
        // Without mixing, the numbers of a seed would be those of the seed before it, from the second one on.
        Random(mixed(seed.wrapping_add(STEP)))
    }

    /// The next number below `end`.
    ///
    /// 0 for `end` 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0) % end.max(1)
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A file: as processes see it, as it is durable, and what makes the one of the other.
#[derive(Default)]
pub(super) struct File {
    /// The bytes as processes see them.
    pub now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// A change of a file since its last sync.
pub(super) enum Change {
    /// Bytes were written.
    Write {
        /// Where they begin in the file.
        offset: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The file was cut, or grown with zeros, to this length.
    Length(usize),
}

/// A directory: the node of each name, as processes see it and as it is durable.
#[derive(Default)]
pub(super) struct Dir {
    /// The node of each name, as processes see it.
    pub now: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    pending: Vec<Naming>,
}

/// A change of a directory's names since its last sync, whole or not at all: each name with the node that it has from now on.
pub(super) type Naming = Vec<(String, Option<usize>)>;

impl Change {
    /// Makes the change in a picture of the file.
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Length(length) => to.resize(*length, 0),
            Change::Write { offset, bytes } => put(to, *offset, bytes),
        }
    }
}

/// Writes bytes at a place, growing the file if need be.
fn put(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if to.len() < offset + bytes.len() {
        to.resize(offset + bytes.len(), 0);
    }
    to[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl File {
    /// What was to be made durable is lost: it is taken for clean from now on.
    pub(super) fn fail_sync(&mut self) {
        self.pending.clear();
    }

    /// Changes the file.
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.pending.push(change);
    }

    /// What a power cut leaves: of the changes since the last sync all, none, the first ones, or any sectors of any of them.
    ///
    /// Sectors of later changes can be there without those of earlier ones.
    pub(super) fn forget(&mut self, random: &mut Random) {
        let kept = match random.below(4) {
            0 => 0,
            1 => self.pending.len(),
            2 => random.below(self.pending.len() as u64 + 1) as usize,
            _ => {
                self.forget_sectors(random);
                0
            }
        };
        for change in self.pending.drain(..).take(kept) {
            change.apply(&mut self.durable);
        }
        self.pending.clear();
        self.now = self.durable.clone();
    }

    /// Keeps any sectors of the changes since the last sync, and forgets the others.
    ///
    /// Two of three sectors are kept, and half of the changes of length.
    fn forget_sectors(&mut self, random: &mut Random) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Length(_) if random.one_in(2) => {}
                Change::Length(_) => change.apply(&mut self.durable),
                Change::Write { offset, bytes } => {
                    let mut at = 0;
                    while at < bytes.len() {
                        let end = ((offset + at) / SECTOR + 1) * SECTOR - offset;
                        let end = end.min(bytes.len());
                        if !random.one_in(3) {
                            put(&mut self.durable, offset + at, &bytes[at..end]);
                        }
                        at = end;
                    }
                }
            }
        }
    }

    /// Makes all changes durable.
    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }
}

/// Makes a change of names in a picture of the directory.
fn rename_all(naming: &Naming, to: &mut BTreeMap<String, usize>) {
    for (name, node) in naming {
        match node {
            Some(node) => to.insert(name.clone(), *node),
            None => to.remove(name),
        };
    }
}

impl Dir {
    /// Changes names.
    pub(super) fn change(&mut self, naming: Naming) {
        rename_all(&naming, &mut self.now);
        self.pending.push(naming);
    }

    /// What a power cut leaves: of the changes since the last sync all, none, or any.
    pub(super) fn forget(&mut self, random: &mut Random) {
        let all = random.below(3);
        for naming in self.pending.drain(..) {
            if all == 0 || all == 1 && random.one_in(2) {
                rename_all(&naming, &mut self.durable);
            }
        }
        self.now = self.durable.clone();
    }

    /// Makes all names durable.
    pub(super) fn sync(&mut self) {
        for naming in self.pending.drain(..) {
            rename_all(&naming, &mut self.durable);
        }
    }
}
