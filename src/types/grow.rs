//! Vectors that hold state: the large ones grow by a quarter instead of doubling, since what they reserve is memory that
//! a query keeps for months.
//!
//! Growing by a quarter still costs O(1) per entry in the long run, a few copies more than doubling. A vector of 1
//! GiB then reserves at most 256 MiB that it does not use, instead of 1 GiB.

/// Up to here vectors double as usual.
const SMALL_BYTES: usize = 64 << 10;

/// Makes room for `more` entries.
///
/// At most one allocation. A vector below 64 KiB doubles as usual, since its unused space does not matter.
pub fn reserve<T>(entries: &mut Vec<T>, more: usize) {
    let (length, room) = (entries.len(), entries.capacity());
    if length + more <= room {
        return;
    }
    if room * size_of::<T>() < SMALL_BYTES {
        entries.reserve(more);
    } else {
        entries.reserve_exact(more.max(room / 4));
    }
}

/// Makes the vector longer, up to `length` entries of this value.
///
/// A `length` below the present one would cut the vector off; callers give a total that only grows.
pub fn resize<T: Clone>(entries: &mut Vec<T>, length: usize, value: T) {
    reserve(entries, length.saturating_sub(entries.len()));
    entries.resize(length, value);
}

/// Drops all entries. Their room stays for the next ones, unless less than half of it was used: it was made for more.
pub fn clear<T>(entries: &mut Vec<T>) {
    if entries.capacity() > 2 * entries.len() {
        *entries = Vec::new();
    }
    entries.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_was_used_stays_and_other_room_goes() {
        let mut entries: Vec<u8> = Vec::with_capacity(100);
        entries.resize(50, 7);
        clear(&mut entries);
        assert_eq!((entries.len(), entries.capacity()), (0, 100));
        entries.resize(49, 7);
        clear(&mut entries);
        assert_eq!((entries.len(), entries.capacity()), (0, 0));
    }
}
