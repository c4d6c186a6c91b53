//! What 64 bytes of a JSON text mean for its structure: a bit for each byte.

/// The bytes that are looked at together.
pub(super) const BLOCK: usize = 64;

/// A bit for each byte of a block, the lowest for the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Quotes.
    pub quotes: u64,
    /// Colons, commas, brackets and braces, also those in strings.
    pub separators: u64,
    /// Backslashes and control characters.
    pub odd: u64,
}

impl Marks {
    /// The marks of a block.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn of(block: &[u8; BLOCK]) -> Marks {
        let (parts, _) = block.as_chunks::<16>();
        parts.iter().rev().fold(Marks::default(), |marks, part| {
            let [quotes, separators, odd] = marks_of(part);
            Marks {
                quotes: marks.quotes << 16 | quotes,
                separators: marks.separators << 16 | separators,
                odd: marks.odd << 16 | odd,
            }
        })
    }

    /// The marks of a block.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn of(block: &[u8; BLOCK]) -> Marks {
        let bits = |is: fn(u8) -> bool| block.iter().rev().fold(0, |bits, byte| bits << 1 | u64::from(is(*byte)));
        Marks {
            quotes: bits(|byte| byte == b'"'),
            separators: bits(|byte| matches!(byte, b':' | b',' | b'[' | b']' | b'{' | b'}')),
            odd: bits(|byte| byte < 0x20 || byte == b'\\'),
        }
    }

    /// The separators outside of strings. `in_string` is whether the block begins in a string, and then whether it ends in
    /// one.
    #[inline(always)]
    pub(super) fn outside(&self, in_string: &mut bool) -> u64 {
        // Bit by bit, whether the number of quotes up to there is odd.
        let mut inside = self.quotes;
        for shift in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << shift;
        }
        if *in_string {
            inside = !inside;
        }
        *in_string = inside >> 63 == 1;
        self.separators & !inside
    }
}

/// The marks of 16 bytes: quotes, separators, what is odd.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn marks_of(bytes: &[u8; 16]) -> [u64; 3] {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: there are the 16 bytes that are loaded, and SSE2 is part of every x86_64.
    unsafe {
        let data = _mm_loadu_si128(bytes.as_ptr().cast());
        let is = |byte: u8| _mm_cmpeq_epi8(data, _mm_set1_epi8(byte as i8));
        // Brackets and braces differ in this bit alone; no other characters become one of them.
        let folded = _mm_or_si128(data, _mm_set1_epi8(0x20));
        let folded_is = |byte: u8| _mm_cmpeq_epi8(folded, _mm_set1_epi8(byte as i8));
        let around = _mm_or_si128(folded_is(b'{'), folded_is(b'}'));
        let separators = _mm_or_si128(around, _mm_or_si128(is(b':'), is(b',')));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(data, _mm_set1_epi8(0x1F)), data);
        let odd = _mm_or_si128(control, is(b'\\'));
        [is(b'"'), separators, odd].map(|marks| _mm_movemask_epi8(marks) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_mark_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK {
                let mut block = [b'x'; BLOCK];
                block[place] = byte;
                let bit = |is: bool| u64::from(is) << place;
                let expected = Marks {
                    quotes: bit(byte == b'"'),
                    separators: bit(b":,[]{}".contains(&byte)),
                    odd: bit(byte < 0x20 || byte == b'\\'),
                };
                assert_eq!(Marks::of(&block), expected, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn separators_in_strings_are_none() {
        let text = format!("{:64}{:64}", r#"{"a":"b,c", "d"#, r#"":[1,"}"]"#);
        let (blocks, _) = text.as_bytes().as_chunks::<BLOCK>();
        let mut in_string = false;
        let outside: Vec<Vec<usize>> = blocks
            .iter()
            .map(|block| {
                let outside = Marks::of(block).outside(&mut in_string);
                (0..BLOCK).filter(|place| outside >> place & 1 == 1).collect()
            })
            .collect();
        assert_eq!(outside, [vec![0, 4, 10], vec![1, 2, 4, 8]]);
        assert!(!in_string);
    }
}
