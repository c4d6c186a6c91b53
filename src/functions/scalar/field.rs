//! `FIELD`: the place of a string.
//!
//! A NULL is found nowhere, so it gives 0 and not NULL.

use crate::functions::call::Reader;
use crate::functions::signature::{T, param, variadic};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "FIELD",
    shown: "field",
    category: "STRING",
    summary: "The place of the first string among the others, counted from 1; 0 if it is not there.",
    examples: &[("FIELD('b', 'a', 'b')", "2")],
    overloads: &[Overload {
        params: &[param("str", T::String), variadic("args", T::String)],
        returns: Returns::Is(SqlType::Integer),
        body: |call| {
            let args: Vec<Reader> = call.readers();
            call.rows(|row| {
                let wanted = args[0].get::<&str>(row);
                let at = args[1..].iter().position(|a| wanted.is_some() && a.get::<&str>(row) == wanted);
                Ok(Some(at.map_or(0, |at| at as i32 + 1)))
            })
        },
    }],
};
