//! `REGEXP_EXTRACT`: the first match of a regular expression.

use arrow::array::ArrayRef;

use crate::functions::call::{Call, Reader};
use crate::functions::pattern_cache::compiled;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub const FUNCTION: Scalar = Scalar {
    name: "REGEXP_EXTRACT",
    shown: "regexp_extract",
    category: "STRING",
    summary: "The first part of a string that a regular expression matches, or a group of it.",
    examples: &[("REGEXP_EXTRACT('(.*) (.*)', 'hello there', 2)", "there")],
    overloads: &[
        Overload {
            params: &[param("pattern", T::String), param("input", T::String)],
            returns: Returns::Is(SqlType::String),
            body: extract,
        },
        Overload {
            params: &[param("pattern", T::String), param("input", T::String), param("group", T::Int)],
            returns: Returns::Is(SqlType::String),
            body: extract,
        },
    ],
};

fn extract(call: &mut Call) -> ArrayRef {
    let args: Vec<Reader> = call.readers();
    call.rows(|row| {
        let (Some(pattern), Some(text)) = (args[0].get::<&str>(row), args[1].get::<&str>(row)) else { return Ok(None) };
        let Some(group) = args.get(2).map_or(Some(0), |a| a.get::<i32>(row)) else { return Ok(None) };
        let regex = compiled(pattern)?;
        if group >= regex.captures_len() as i32 {
            return Ok(None);
        }
        let Some(found) = regex.captures(text).map_err(|e| e.to_string())? else { return Ok(None) };
        let group = usize::try_from(group).map_err(|_| "a group has a number from 0 on")?;
        Ok(found.get(group).map(|part| part.as_str()))
    })
}
