//! `INSTR`: where a text occurs.

use arrow::array::ArrayRef;

use crate::functions::call::{Call, Reader};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub const FUNCTION: Scalar = Scalar {
    name: "INSTR",
    shown: "instr",
    category: "STRING",
    summary: "The place of a text, counted from 1; from a position on, backwards if that is negative, and the n-th if asked for; 0 if there is none.",
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
    let matches = |at: &i32| text[*at as usize..].starts_with(wanted);
    let (nth, places) = (occurrence as usize - 1, 0..=text.len() as i32);
    let found = match position {
        position if position < 0 => places.rev().filter(matches).nth(nth),
        position => places.skip(position as usize - 1).filter(matches).nth(nth),
    };
    found.map_or(0, |at| at + 1)
}
