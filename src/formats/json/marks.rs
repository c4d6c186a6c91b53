//! Where the separators of a JSON text stand, found 64 bytes at once.

/// The bytes that are looked at together.
pub(super) const BLOCK: usize = 64;

/// The most separators that are found.
pub(super) const MOST_SEPARATORS: usize = 256;

/// So many separators are written down at once.
const AT_ONCE: usize = 8;

/// The colons, commas, brackets and braces of a text that stand outside of its strings.
pub(super) struct Separators {
    places: [u32; MOST_SEPARATORS],
    count: usize,
    /// How many quotes the text has.
    pub quotes: u32,
    /// Whether the processor can do what [`Separators::find_wide`] asks of it.
    #[cfg(target_arch = "x86_64")]
    is_wide: bool,
}

impl Separators {
    pub(super) fn new() -> Self {
        Separators {
            places: [0; MOST_SEPARATORS],
            count: 0,
            quotes: 0,
            #[cfg(target_arch = "x86_64")]
            is_wide: is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("pclmulqdq")
                && is_x86_feature_detected!("popcnt"),
        }
    }

    /// Where they stand, in pairs, without the last one if their number is odd.
    #[inline(always)]
    pub(super) fn pairs(&self) -> &[[u32; 2]] {
        self.places[..self.count].as_chunks().0
    }

    /// Finds those of a text of at least 64 bytes; `false` if there are too many, or escapes or control characters.
    #[inline(always)]
    pub(super) fn find(&mut self, text: &[u8]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self.is_wide {
            // SAFETY: the processor can do it.
            return unsafe { self.find_wide(text) };
        }
        self.find_by(text, Marks::of, parities)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
    fn find_wide(&mut self, text: &[u8]) -> bool {
        self.find_by(text, |block| wide::marks(block), |bits| wide::parities(bits))
    }

    #[inline(always)]
    fn find_by(
        &mut self,
        text: &[u8],
        marks_of: impl Fn(&[u8; BLOCK]) -> Marks,
        parities: impl Fn(u64) -> u64,
    ) -> bool {
        (self.count, self.quotes) = (0, 0);
        // All bits set if the block before ends in a string.
        let (mut in_string, mut odd) = (0, 0);
        for from in (0..text.len()).step_by(BLOCK) {
            // The last block once more has bytes of the one before it, whose marks are shifted out.
            let start = from.min(text.len() - BLOCK);
            let Some(block) = text[start..].first_chunk() else { return false };
            let marks = marks_of(block).behind(from - start);
            odd |= marks.odd;
            self.quotes += marks.quotes.count_ones();
            let inside = parities(marks.quotes) ^ in_string;
            in_string = (inside as i64 >> 63) as u64;
            if !self.note(from as u32, marks.separators & !inside) {
                return false;
            }
        }
        odd == 0
    }

    /// Notes the separators of the block that begins at a place; `false` if there are too many.
    #[inline(always)]
    fn note(&mut self, from: u32, mut separators: u64) -> bool {
        let Some(room) = self.places[self.count..].first_chunk_mut::<BLOCK>() else { return false };
        let count = separators.count_ones() as usize;
        // So many at once whether they are there or not: a branch for each would often be guessed wrong.
        for some in room[..count.next_multiple_of(AT_ONCE)].chunks_exact_mut(AT_ONCE) {
            for place in some {
                *place = from + separators.trailing_zeros();
                separators &= separators.wrapping_sub(1);
            }
        }
        self.count += count;
        true
    }
}

/// What 64 bytes mean: a bit for each byte, the lowest for the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    /// Quotes.
    quotes: u64,
    /// Colons, commas, brackets and braces, also those in strings.
    separators: u64,
    /// Backslashes and control characters.
    odd: u64,
}

impl Marks {
    /// The marks of a block, on any processor.
    #[inline(always)]
    fn of(block: &[u8; BLOCK]) -> Marks {
        let (words, _) = block.as_chunks::<8>();
        words.iter().rev().fold(Marks::default(), |marks, word| {
            let word = u64::from_le_bytes(*word);
            let is = |byte: u8| zeros(word ^ each(byte));
            // Brackets and braces differ in this bit alone; no other characters become one of them.
            let folded_is = |byte: u8| zeros((word | each(0x20)) ^ each(byte));
            // Control characters are the bytes with none of the upper three bits.
            let control = zeros(word & each(0xE0));
            Marks {
                quotes: marks.quotes << 8 | gathered(is(b'"')),
                separators: marks.separators << 8 | gathered(folded_is(b'{') | folded_is(b'}') | is(b':') | is(b',')),
                odd: marks.odd << 8 | gathered(control | is(b'\\')),
            }
        })
    }

    /// The marks without those of the first bytes, fewer than 64.
    #[inline(always)]
    fn behind(self, bytes: usize) -> Marks {
        let Marks { quotes, separators, odd } = self;
        Marks { quotes: quotes >> bytes, separators: separators >> bytes, odd: odd >> bytes }
    }
}

/// Bit by bit, whether the number of bits that are set up to there is odd.
#[inline(always)]
fn parities(bits: u64) -> u64 {
    [1, 2, 4, 8, 16, 32].iter().fold(bits, |sums, shift| sums ^ sums << shift)
}

/// A word of eight times the same byte.
#[inline(always)]
fn each(byte: u8) -> u64 {
    u64::from(byte) * 0x0101_0101_0101_0101
}

/// The highest bit of each byte that is 0, and no other bit.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    let lower = each(0x7F);
    !(((word & lower) + lower) | word | lower)
}

/// The highest bits of the bytes, the lowest bit for the first.
#[inline(always)]
fn gathered(bits: u64) -> u64 {
    (bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{
        __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8, _mm256_cmpeq_epi8,
        _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    };

    use super::{BLOCK, Marks};

    /// The marks of a block.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn marks(block: &[u8; BLOCK]) -> Marks {
        let (halves, _) = block.as_chunks::<32>();
        halves.iter().rev().fold(Marks::default(), |marks, half| {
            let [quotes, separators, odd] = half_marks(half);
            Marks {
                quotes: marks.quotes << 32 | quotes,
                separators: marks.separators << 32 | separators,
                odd: marks.odd << 32 | odd,
            }
        })
    }

    /// Bit by bit, whether the number of bits that are set up to there is odd.
    #[target_feature(enable = "pclmulqdq")]
    #[inline]
    pub(super) fn parities(bits: u64) -> u64 {
        let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product) as u64
    }

    /// The marks of half a block: quotes, separators, what is odd.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn half_marks(bytes: &[u8; 32]) -> [u64; 3] {
        // SAFETY: there are the 32 bytes that are loaded.
        let data = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        let is = |data: __m256i, byte: u8| _mm256_cmpeq_epi8(data, _mm256_set1_epi8(byte as i8));
        // Brackets and braces differ in this bit alone; no other characters become one of them.
        let folded = _mm256_or_si256(data, _mm256_set1_epi8(0x20));
        let around = _mm256_or_si256(is(folded, b'{'), is(folded, b'}'));
        let separators = _mm256_or_si256(around, _mm256_or_si256(is(data, b':'), is(data, b',')));
        let control = _mm256_cmpeq_epi8(_mm256_min_epu8(data, _mm256_set1_epi8(0x1F)), data);
        let odd = _mm256_or_si256(control, is(data, b'\\'));
        [is(data, b'"'), separators, odd].map(|marks| u64::from(_mm256_movemask_epi8(marks) as u32))
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
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has it.
                    assert_eq!(unsafe { wide::marks(&block) }, expected, "{byte} at {place}");
                }
            }
        }
    }

    #[test]
    fn separators_in_strings_are_none() {
        let text = format!("{:64}{:10}", r#"{"a":"b,c", "d"#, r#"":[1,"}"]"#).into_bytes();
        let (mut found, mut plainly) = (Separators::new(), Separators::new());
        assert!(found.find(&text) && plainly.find_by(&text, Marks::of, parities));
        for found in [found, plainly] {
            assert_eq!(found.places[..found.count], [0, 4, 10, 65, 66, 68, 72]);
            assert_eq!(found.pairs(), [[0, 4], [10, 65], [66, 68]]);
            assert_eq!(found.quotes, 8);
        }
    }

    #[test]
    fn texts_with_escapes_or_too_many_separators_are_refused() {
        let mut found = Separators::new();
        assert!(found.find(&[b'a'; BLOCK]) && found.pairs().is_empty());
        for escape in 0..2 * BLOCK {
            let mut text = [b'a'; 2 * BLOCK];
            text[escape] = b'\\';
            for end in BLOCK..=2 * BLOCK {
                assert_eq!(found.find(&text[..end]), escape >= end, "{escape} of {end}");
            }
        }
        assert!(found.find(&[b','; MOST_SEPARATORS]) && found.pairs().len() == MOST_SEPARATORS / 2);
        assert!(!found.find(&[b','; MOST_SEPARATORS + 1]));
    }
}
