//! `REGEXP_SPLIT_TO_ARRAY`: the pieces between matches of a regular expression.

use crate::functions::call::{Fault, rows2};
use crate::functions::pattern_cache::{compiled, matches};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub const FUNCTION: Scalar = Scalar {
    name: "REGEXP_SPLIT_TO_ARRAY",
    shown: "regexp_split_to_array",
    category: "STRING",
    summary: "The pieces of a string between the matches of a regular expression.",
    examples: &[("REGEXP_SPLIT_TO_ARRAY('a1b22c', '[0-9]+')", "[a, b, c]")],
    overloads: &[
        Overload {
            params: &[param("str", T::String), param("regexp", T::String)],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::String))),
            body: |call| rows2(call, |text: &str, pattern: &str| pieces(text, pattern).map(|p| Some(Value::Array(p)))),
        },
    ],
};

fn pieces(text: &str, pattern: &str) -> Result<Vec<Value>, Fault> {
    let regex = compiled(pattern)?;
    let matches_nothing = regex.find("").map_err(|e| e.to_string())?.is_some();
    let mut pieces = Vec::new();
    let mut done = 0;
    for found in matches(&regex, text)?.iter().filter_map(|found| found.get(0)) {
        // Nothing found before the first character cuts nothing off.
        if found.end() == 0 {
            continue;
        }
        pieces.push(&text[done..found.start()]);
        done = found.end();
    }
    pieces.push(&text[done..]);
    if matches_nothing && pieces.len() > 1 {
        // Java's own split drops empty pieces at the end, where Guava's, which takes no such expression, keeps them.
        let kept = pieces.iter().rposition(|piece| !piece.is_empty()).map_or(0, |at| at + 1);
        pieces.truncate(kept);
    }
    Ok(pieces.into_iter().map(|piece| Value::String(piece.to_owned())).collect())
}
