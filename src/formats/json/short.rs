//! Short strings of a JSON text, as two words.

/// A string of at most 14 bytes without escapes and control characters, in its quotes, with zeros after it: compared and hashed
/// without a loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Short([u64; 2]);

/// For each length the bits of so many bytes.
const KEPT: [[u64; 2]; 17] = {
    let mut kept = [[u64::MAX; 2]; 17];
    let mut length = 0;
    while length < 16 {
        let bits = (1u128 << (8 * length)) - 1;
        kept[length] = [bits as u64, (bits >> 64) as u64];
        length += 1;
    }
    kept
};

impl Short {
    /// The first `length` of some bytes, which are the string if it is one; nothing if it is longer.
    #[inline(always)]
    pub(super) fn new(bytes: u128, length: usize) -> Option<Short> {
        let [first, second] = KEPT.get(length)?;
        Some(Short([bytes as u64 & first, (bytes >> 64) as u64 & second]))
    }

    /// The text, if it is one.
    pub(super) fn of(text: &[u8]) -> Option<Short> {
        let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
        let mut quoted = [0; 16];
        let room = quoted.get_mut(..text.len() + 2).filter(|_| text.iter().all(is_plain))?;
        room.fill(b'"');
        room[1..=text.len()].copy_from_slice(text);
        Short::new(u128::from_le_bytes(quoted), text.len() + 2)
    }

    /// Spreads texts over numbers.
    #[inline(always)]
    pub(super) fn hash(&self) -> usize {
        let [first, second] = self.0;
        ((first ^ second.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
    }
}

/// The 16 bytes from a place in a text on, the first as the lowest, with zeros behind the end of the text; nothing if it has
/// fewer, or ends before that.
#[inline(always)]
pub(super) fn sixteen(text: &[u8], at: usize) -> Option<u128> {
    match text.get(at..at + 16) {
        Some(bytes) => Some(u128::from_le_bytes(bytes.try_into().ok()?)),
        None => last_sixteen(text, at),
    }
}

/// The same where fewer come: the last 16 of the text, without those before.
#[inline(never)]
fn last_sixteen(text: &[u8], at: usize) -> Option<u128> {
    let bytes = text.last_chunk()?;
    u128::from_le_bytes(*bytes).checked_shr(8 * (at + 16 - text.len()) as u32)
}
