//! `ELT`: the n-th string.
//!
//! A NULL number fails the row; a number below 1 or beyond the strings gives NULL.

use crate::functions::call::Reader;
use crate::functions::signature::{T, param, variadic};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ELT",
    shown: "elt",
    category: "STRING",
    summary: "The n-th of the strings, counted from 1; NULL if there is none.",
    examples: &[("ELT(2, 'a', 'b')", "b")],
    overloads: &[Overload {
        params: &[param("n", T::Int), variadic("args", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| {
            let args: Vec<Reader> = call.readers();
            call.rows(|row| {
                let n = args[0].get::<i32>(row).ok_or("the number of the string is NULL")?;
                let found = usize::try_from(n).ok().filter(|n| *n >= 1).and_then(|n| args.get(n));
                Ok(found.and_then(|a| a.get::<&str>(row)))
            })
        },
    }],
};
