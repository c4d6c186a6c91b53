//! `CONCAT_WS`: strings or bytes with a separator between them.
//!
//! NULL only if the separator is NULL. Empty texts are not left out, so they leave two separators in a row.
//!
//! A call with fewer than two arguments fails each row, as it does in ksqlDB.

use crate::functions::call::Reader;
use crate::functions::fault::{check_size, joined_size};
use crate::functions::signature::{T, variadic};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "CONCAT_WS",
    shown: "concat_ws",
    category: "STRING",
    summary: "The arguments after the first, joined with the first between them; NULLs are left out.",
    examples: &[("CONCAT_WS(', ', 'a', CAST(NULL AS STRING), 'b')", "a, b")],
    overloads: &[
        Overload {
            params: &[variadic("inputs", T::String)],
            returns: Returns::Is(SqlType::String),
            body: |call| {
                let args: Vec<Reader> = call.readers();
                call.rows(|row| {
                    let [separator, inputs @ ..] = args.as_slice() else { return Err(TOO_FEW.into()) };
                    let Some(separator) = separator.get::<&str>(row) else { return Ok(None) };
                    if inputs.is_empty() {
                        return Err(TOO_FEW.into());
                    }
                    let given: Vec<&str> = inputs.iter().filter_map(|a| a.get(row)).collect();
                    check_size(joined_size(given.iter().map(|t| t.len()), separator.len()))?;
                    Ok(Some(given.join(separator)))
                })
            },
        },
        Overload {
            params: &[variadic("inputs", T::Bytes)],
            returns: Returns::Is(SqlType::Bytes),
            body: |call| {
                let args: Vec<Reader> = call.readers();
                call.rows(|row| {
                    let [separator, inputs @ ..] = args.as_slice() else { return Err(TOO_FEW.into()) };
                    let Some(separator) = separator.get::<&[u8]>(row) else { return Ok(None) };
                    if inputs.is_empty() {
                        return Err(TOO_FEW.into());
                    }
                    let given: Vec<&[u8]> = inputs.iter().filter_map(|a| a.get(row)).collect();
                    check_size(joined_size(given.iter().map(|b| b.len()), separator.len()))?;
                    Ok(Some(given.join(separator)))
                })
            },
        },
    ],
};

const TOO_FEW: &str = "CONCAT_WS expects at least two input arguments";
