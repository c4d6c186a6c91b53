//! `REGEXP_SPLIT_TO_ARRAY`: the pieces between matches of a regular expression.
//!
//! There are two ways to cut, as in ksqlDB: an expression that matches the empty text is given to Java's
//! `Pattern.split`, all others to Guava's `Splitter`. They differ in empty pieces: `a1b2` cut by `[0-9]` keeps the
//! empty piece at its end, cut by `[0-9]*` it does not.

use fancy_regex::Regex;

use crate::functions::call::{Fault, rows2};
use crate::functions::meaning::Meaning;
use crate::functions::pattern_cache::{compiled, matches};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "REGEXP_SPLIT_TO_ARRAY",
    shown: "regexp_split_to_array",
    category: "REGULAR EXPRESSION",
    summary: "The pieces of a string between the matches of a regular expression.",
    examples: &[("REGEXP_SPLIT_TO_ARRAY('a1b22c', '[0-9]+')", "[a, b, c]")],
    overloads: &[Overload {
        params: &[param("str", T::String), param("regexp", T::String).meaning(Meaning::Regex)],
        returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::String))),
        body: |call| rows2(call, |text: &str, pattern: &str| pieces(text, pattern).map(|p| Some(Value::Array(p)))),
    }],
};

/// # Errors
/// The pattern is none, or the engine gave up on a search.
fn pieces(text: &str, pattern: &str) -> Result<Vec<Value>, Fault> {
    let regex = compiled(pattern)?;
    let matches_nothing = regex.find("").map_err(|e| e.to_string())?.is_some_and(|m| m.start() == m.end());
    let pieces = if matches_nothing { java_pieces(&regex, text)? } else { guava_pieces(&regex, text)? };
    Ok(pieces.into_iter().map(|piece| Value::String(piece.to_owned())).collect())
}

/// As Java's own split cuts: nothing found before the first character cuts nothing off, empty pieces at the end are dropped.
fn java_pieces<'t>(regex: &Regex, text: &'t str) -> Result<Vec<&'t str>, Fault> {
    let mut pieces = Vec::new();
    let mut done = 0;
    for found in matches(regex, text)?.iter().filter_map(|found| found.get(0)).filter(|found| found.end() > 0) {
        pieces.push(&text[done..found.start()]);
        done = found.end();
    }
    if done == 0 {
        return Ok(vec![text]);
    }
    pieces.push(&text[done..]);
    let kept = pieces.iter().rposition(|piece| !piece.is_empty()).map_or(0, |at| at + 1);
    pieces.truncate(kept);
    Ok(pieces)
}

/// As Guava's splitter cuts, which takes no expression that matches the empty text: empty pieces stay, and what is found
/// where a piece starts without having a length is passed over.
fn guava_pieces<'t>(regex: &Regex, text: &'t str) -> Result<Vec<&'t str>, Fault> {
    let mut pieces = Vec::new();
    let (mut start, mut from) = (0, 0);
    while from <= text.len() {
        let Some(found) = regex.find_from_pos(text, from).map_err(|e| e.to_string())? else {
            pieces.push(&text[start..]);
            break;
        };
        if found.end() == start {
            from = start + text[start..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        pieces.push(&text[start..found.start()]);
        (start, from) = (found.end(), found.end());
    }
    Ok(pieces)
}
