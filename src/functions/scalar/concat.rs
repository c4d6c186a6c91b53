//! `CONCAT`: strings or bytes, one after the other.
//!
//! Without anything but NULLs the result is empty, not NULL. The operator `||` is this function.

use crate::functions::call::Reader;
use crate::functions::fault::check_size;
use crate::functions::signature::{T, variadic};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "CONCAT",
    shown: "concat",
    category: "STRING",
    summary: "The arguments one after the other; NULLs are left out.",
    examples: &[("CONCAT('a', CAST(NULL AS STRING), 'b')", "ab")],
    overloads: &[
        Overload {
            params: &[variadic("input", T::String)],
            returns: Returns::Is(SqlType::String),
            body: |call| {
                let pieces: Vec<Reader> = call.readers();
                call.rows(|row| {
                    let given = || pieces.iter().filter_map(|p| p.get::<&str>(row));
                    check_size(given().map(str::len).sum())?;
                    Ok(Some(given().collect::<String>()))
                })
            },
        },
        Overload {
            params: &[variadic("input", T::Bytes)],
            returns: Returns::Is(SqlType::Bytes),
            body: |call| {
                let pieces: Vec<Reader> = call.readers();
                call.rows(|row| {
                    let given = || pieces.iter().filter_map(|p| p.get::<&[u8]>(row));
                    check_size(given().map(<[u8]>::len).sum())?;
                    Ok(Some(given().flatten().copied().collect::<Vec<u8>>()))
                })
            },
        },
    ],
};
