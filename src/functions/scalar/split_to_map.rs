//! `SPLIT_TO_MAP`: entries of a map in a text.
//!
//! An entry without the second delimiter is left out, and what follows a further one is cut off: `a:1:2` is the value
//! `1` for `a`. NULL if a delimiter is empty or both are the same.

use crate::functions::call::rows3;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar, sets};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "SPLIT_TO_MAP",
    shown: "split_to_map",
    category: "STRING",
    summary: "A map of the entries in a string, cut by two delimiters; later keys replace earlier ones.",
    examples: &[("SPLIT_TO_MAP('a:1,b:2', ',', ':')", "{a=1, b=2}")],
    overloads: &[Overload {
        params: &[param("input", T::String), param("entryDelimiter", T::String), param("kvDelimiter", T::String)],
        returns: Returns::By(|_, _| Ok(SqlType::map(SqlType::String, SqlType::String))),
        body: |call| {
            rows3(call, |text: &str, entries: &str, pairs: &str| {
                if entries.is_empty() || pairs.is_empty() || entries == pairs {
                    return Ok(None);
                }
                let text_of = |part: &str| Value::String(part.to_owned());
                let pair = |entry: &str| {
                    let mut parts = entry.split(pairs);
                    parts.next().zip(parts.next()).map(|(key, value)| (text_of(key), text_of(value)))
                };
                Ok(Some(sets::map_of(text.split(entries).filter(|e| !e.is_empty()).filter_map(pair))))
            })
        },
    }],
};
