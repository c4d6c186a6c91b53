//! `INSTR`: where a text occurs.

use arrow::array::ArrayRef;

use crate::functions::call::{Call, Reader};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "INSTR",
    shown: "instr",
    category: "STRING",
    summary: "The place of a text, counted from 1; from a position on, backwards if that is negative, and the n-th if asked \
              for; 0 if there is none.",
    examples: &[("INSTR('corporate floor', 'or')", "2"), ("INSTR('corporate floor', 'or', -3, 2)", "2")],
    overloads: &[
        Overload {
            params: &[param("str", T::String), param("substring", T::String)],
            returns: Returns::Is(SqlType::Integer),
            body: instr,
        },
        Overload {
            params: &[param("str", T::String), param("substring", T::String), param("position", T::Int)],
            returns: Returns::Is(SqlType::Integer),
            body: instr,
        },
        Overload {
            params: &[
                param("str", T::String),
                param("substring", T::String),
                param("position", T::Int),
                param("occurrence", T::Int),
            ],
            returns: Returns::Is(SqlType::Integer),
            body: instr,
        },
    ],
};

/// 0 for a NULL text, but NULL for a NULL position or occurrence, as in ksqlDB.
fn instr(call: &mut Call) -> ArrayRef {
    let args: Vec<Reader> = call.readers();
    call.rows(|row| {
        let number = |at: usize| args.get(at).map_or(Some(1), |a| a.get::<i32>(row));
        let (Some(position), Some(occurrence)) = (number(2), number(3)) else { return Ok(None) };
        let (Some(text), Some(wanted)) = (args[0].get::<&str>(row), args[1].get::<&str>(row)) else {
            return Ok(Some(0));
        };
        let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        Ok(Some(find(&units(text), &units(wanted), position, occurrence)))
    })
}

/// All numbers are in UTF-16 units and count from 1; 0 is "not found". A negative position searches backwards from
/// that far before the end: only matches that end at or before it count.
fn find(text: &[u16], wanted: &[u16], position: i32, occurrence: i32) -> i32 {
    let length = text.len() as i32;
    if position == 0 || position.unsigned_abs() as usize > text.len() || occurrence < 1 {
        return 0;
    }
    if wanted.is_empty() {
        // Nothing is found wherever the search starts, however often.
        return if position > 0 { position } else { length + position + 2 };
    }
    // Backwards, only the text up to the position counts.
    let text = if position < 0 { &text[..(length + position + 1) as usize] } else { text };
    let (nth, places) = (occurrence as usize - 1, places(text, wanted));
    let found = match position {
        position if position < 0 => places.iter().rev().nth(nth),
        position => places.iter().filter(|at| **at >= position as usize - 1).nth(nth),
    };
    found.map_or(0, |at| *at as i32 + 1)
}

/// All places where `wanted` begins, also those that overlap, by the algorithm of Knuth, Morris and Pratt: in one pass.
///
/// Takes O(text + wanted), however repetitive both are.
fn places(text: &[u16], wanted: &[u16]) -> Vec<usize> {
    // For each prefix of `wanted` the length of its longest proper prefix that it ends in.
    let mut borders = vec![0; wanted.len() + 1];
    let mut matched = 0;
    for (at, unit) in wanted.iter().enumerate().skip(1) {
        while matched > 0 && wanted[matched] != *unit {
            matched = borders[matched];
        }
        matched += usize::from(wanted[matched] == *unit);
        borders[at + 1] = matched;
    }
    let mut found = Vec::new();
    matched = 0;
    for (at, unit) in text.iter().enumerate() {
        while matched > 0 && (matched == wanted.len() || wanted[matched] != *unit) {
            matched = borders[matched];
        }
        matched += usize::from(wanted[matched] == *unit);
        if matched == wanted.len() {
            found.push(at + 1 - matched);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_overlap() {
        let find = |text: &str, wanted: &str| {
            let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
            places(&units(text), &units(wanted))
        };
        assert_eq!(find("aaaa", "aa"), [0, 1, 2]);
        assert_eq!(find("abababa", "aba"), [0, 2, 4]);
        assert_eq!(find("ab", "abc"), [] as [usize; 0]);
        assert_eq!(find("xé😀é", "é"), [1, 4]);
    }

    #[test]
    fn a_long_text_is_searched_in_one_pass() {
        let (text, wanted) = (vec![97; 1_000_000], [vec![97; 500_000], vec![98]].concat());
        assert_eq!(find(&text, &wanted, 1, 1), 0);
        assert_eq!(find(&text, &wanted[..500_000], -1, 500_001), 1);
    }
}
