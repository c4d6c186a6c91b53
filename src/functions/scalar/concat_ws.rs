//! `CONCAT_WS`: strings or bytes with a separator between them.

use crate::functions::call::{Reader};
use crate::functions::signature::{T, param, variadic};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType};

pub const FUNCTION: Scalar = Scalar {
    name: "CONCAT_WS",
    shown: "concat_ws",
    category: "STRING",
    summary: "The arguments behind the first, one after the other with the first between them; NULLs are left out.",
    examples: &[("CONCAT_WS(', ', 'a', CAST(NULL AS STRING), 'b')", "a, b")],
    overloads: &[
        Overload {
            params: &[param("separator", T::String), param("first", T::String), variadic("inputs", T::String)],
            returns: Returns::Is(SqlType::String),
            body: |call| {
                let args: Vec<Reader> = call.readers();
                call.rows(|row| {
                    let Some(separator) = args[0].get::<&str>(row) else { return Ok(None) };
                    Ok(Some(args[1..].iter().filter_map(|a| a.get::<&str>(row)).collect::<Vec<_>>().join(separator)))
                })
            },
        },
        Overload {
            params: &[param("separator", T::Bytes), param("first", T::Bytes), variadic("inputs", T::Bytes)],
            returns: Returns::Is(SqlType::Bytes),
            body: |call| {
                let args: Vec<Reader> = call.readers();
                call.rows(|row| {
                    let Some(separator) = args[0].get::<&[u8]>(row) else { return Ok(None) };
                    Ok(Some(args[1..].iter().filter_map(|a| a.get::<&[u8]>(row)).collect::<Vec<_>>().join(separator)))
                })
            },
        },
    ],
};
