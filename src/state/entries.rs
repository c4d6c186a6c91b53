//! Entries of a bucket on their way into a store, many at a time.
//!
//! One buffer for all keys and one for all values: a batch of a thousand entries takes four allocations and not two
//! thousand, and [`super::KeyTable::find_or_insert`] takes the keys as they lie here.

/// Entries of one bucket, in the order in which they are to be set or deleted.
#[derive(Debug, Default)]
pub struct EntryBatch {
    keys: Vec<u8>,
    /// Where each key ends in `keys`.
    key_ends: Vec<usize>,
    values: Vec<u8>,
    /// Where each value ends in `values`, and whether there is one.
    value_ends: Vec<(usize, bool)>,
}

impl EntryBatch {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.key_ends.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.key_ends.is_empty()
    }

    /// About how many bytes the entries have.
    ///
    /// Of keys and values; the ends are not counted.
    pub fn bytes(&self) -> usize {
        self.keys.len() + self.values.len()
    }

    /// Adds an entry with its value, or its deletion.
    ///
    /// `None` deletes the key.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.keys.extend_from_slice(key);
        self.key_ends.push(self.keys.len());
        self.values.extend_from_slice(value.unwrap_or_default());
        self.value_ends.push((self.values.len(), value.is_some()));
    }

    /// Removes all entries, and keeps the memory.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.key_ends.clear();
        self.values.clear();
        self.value_ends.clear();
    }

    /// Whether an entry is deleted.
    pub fn deletes(&self) -> bool {
        self.value_ends.iter().any(|(_, there)| !there)
    }

    /// The keys one after the other, and where each ends.
    ///
    /// Key `i` begins where key `i − 1` ends; the first at 0.
    pub fn keys(&self) -> (&[u8], &[usize]) {
        (&self.keys, &self.key_ends)
    }

    /// The entries.
    ///
    /// In the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut starts = (0, 0);
        self.key_ends.iter().zip(&self.value_ends).map(move |(key_end, (value_end, there))| {
            let key = &self.keys[starts.0..*key_end];
            let value = &self.values[starts.1..*value_end];
            starts = (*key_end, *value_end);
            (key, there.then_some(value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_as_they_went_in() {
        let mut batch = EntryBatch::default();
        batch.push(b"a", Some(b"1"));
        assert!(!batch.deletes());
        batch.push(b"", None);
        batch.push(b"bc", Some(b""));
        let all: Vec<_> = batch.iter().collect();
        assert_eq!(all, [(&b"a"[..], Some(&b"1"[..])), (b"", None), (b"bc", Some(b""))]);
        assert_eq!((batch.keys(), batch.deletes()), ((&b"abc"[..], &[1, 1, 3][..]), true));
        batch.clear();
        assert!(batch.is_empty() && batch.iter().next().is_none());
    }
}
