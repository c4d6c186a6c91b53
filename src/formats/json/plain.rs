//! The search for the end of a run of plain characters, many bytes at once.

/// Two bytes, 16 times each; a run of characters ends before one of them, or before a control character.
pub(super) struct Ends([u8; 16], [u8; 16]);

/// What ends the plain characters of a string.
pub(super) static STRING: Ends = Ends([b'"'; 16], [b'\\'; 16]);
/// What ends a number or a word in an object.
pub(super) static SCALAR: Ends = Ends([b','; 16], [b'}'; 16]);

/// The number of bytes from `from` on before the first quote, backslash or control character.
#[inline(always)]
pub(super) fn plain_length(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<32>) {
        let half = |half: Option<&[u8; 16]>| half.map_or(0, |bytes| marks(bytes, &STRING));
        let marks = half(chunk.first_chunk()) | half(chunk.last_chunk()) << 16;
        if marks != 0 {
            return at - from + marks.trailing_zeros() as usize;
        }
        at += 32;
    }
    if let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = marks(chunk, &STRING);
        if marks != 0 {
            return at - from + marks.trailing_zeros() as usize;
        }
        at += 16;
    }
    if let Some(last) = bytes.last_chunk() {
        // The last bytes once more, without those before `at`.
        let before = 16 - (bytes.len() - at);
        let marks = marks(last, &STRING) >> before;
        let length = if marks == 0 { bytes.len() - at } else { marks.trailing_zeros() as usize };
        return at - from + length;
    }
    at - from + bytes[at..].iter().take_while(|byte| !is_end(**byte, &STRING)).count()
}

fn is_end(byte: u8, ends: &Ends) -> bool {
    byte < 0x20 || byte == ends.0[0] || byte == ends.1[0]
}

/// A bit for each of the bytes that is an end.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn marks(bytes: &[u8; 16], ends: &Ends) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    let load = |bytes: &[u8; 16]| {
        // SAFETY: there are the 16 bytes that are loaded.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    };
    let (data, first, second) = (load(bytes), load(&ends.0), load(&ends.1));
    // SAFETY: SSE2 is part of every x86_64.
    unsafe {
        let control = _mm_cmpeq_epi8(_mm_min_epu8(data, _mm_set1_epi8(0x1F)), data);
        let end = _mm_or_si128(_mm_cmpeq_epi8(data, first), _mm_cmpeq_epi8(data, second));
        _mm_movemask_epi8(_mm_or_si128(control, end)) as u32
    }
}

/// A bit for each of the bytes that is an end.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn marks(bytes: &[u8; 16], ends: &Ends) -> u32 {
    bytes.iter().rev().fold(0, |marks, byte| marks << 1 | u32::from(is_end(*byte, ends)))
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
