//! The search for the end of a run of plain characters, many bytes at once.

/// The number of bytes from `from` on before the first quote, backslash or control character.
#[inline(always)]
pub(super) fn plain_length(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    #[cfg(target_arch = "x86_64")]
    {
        while let Some(chunk) = bytes.get(at..at + 32) {
            // SAFETY: the chunk has the 32 bytes that are loaded.
            let special = unsafe { special(chunk.as_ptr()) | special(chunk.as_ptr().add(16)) << 16 };
            if special != 0 {
                return at - from + special.trailing_zeros() as usize;
            }
            at += 32;
        }
        if let Some(chunk) = bytes.get(at..at + 16) {
            // SAFETY: the chunk has the 16 bytes that are loaded.
            let special = unsafe { special(chunk.as_ptr()) };
            if special != 0 {
                return at - from + special.trailing_zeros() as usize;
            }
            at += 16;
        }
        if let Some(last) = bytes.last_chunk::<16>() {
            // The last bytes once more, without those before `at`.
            let before = 16 - (bytes.len() - at);
            // SAFETY: there are the 16 bytes that are loaded.
            let special = unsafe { special(last.as_ptr()) } >> before;
            let length = if special == 0 { bytes.len() - at } else { special.trailing_zeros() as usize };
            return at - from + length;
        }
    }
    at - from + bytes[at..].iter().take_while(|b| **b >= 0x20 && **b != b'"' && **b != b'\\').count()
}

/// A bit for each of 16 bytes that is a quote, a backslash or a control character.
///
/// # Safety
/// There are 16 bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn special(bytes: *const u8) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: the caller has the bytes, and SSE2 is part of every x86_64.
    unsafe {
        let data = _mm_loadu_si128(bytes.cast());
        let control = _mm_cmpeq_epi8(_mm_min_epu8(data, _mm_set1_epi8(0x1F)), data);
        let quote = _mm_cmpeq_epi8(data, _mm_set1_epi8(b'"' as i8));
        let backslash = _mm_cmpeq_epi8(data, _mm_set1_epi8(b'\\' as i8));
        _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash))) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_wherever_it_stands() {
        for length in 0..100 {
            for from in 0..=length {
                let mut bytes = vec![b'a'; length];
                assert_eq!(plain_length(&bytes, from), length - from, "no end in {length} from {from}");
                for at in 0..length {
                    for special in [b'"', b'\\', 0, 0x1F] {
                        bytes[at] = special;
                        let plain = if at < from { length - from } else { at - from };
                        assert_eq!(plain_length(&bytes, from), plain, "{special} at {at} of {length} from {from}");
                    }
                    bytes[at] = b' ';
                }
            }
        }
    }
}
