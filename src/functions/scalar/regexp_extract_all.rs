//! `REGEXP_EXTRACT_ALL`: all matches of a regular expression.

use arrow::array::ArrayRef;

use crate::functions::call::{Call, Reader};
use crate::functions::pattern_cache::{compiled, matches};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub const FUNCTION: Scalar = Scalar {
    name: "REGEXP_EXTRACT_ALL",
    shown: "regexp_extract_all",
    category: "STRING",
    summary: "All parts of a string that a regular expression matches, or a group of each.",
    examples: &[("REGEXP_EXTRACT_ALL('[a-z]([0-9])', 'a1 b2', 1)", "[1, 2]")],
    overloads: &[
        Overload {
            params: &[param("pattern", T::String), param("input", T::String)],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::String))),
            body: extract,
        },
        Overload {
            params: &[param("pattern", T::String), param("input", T::String), param("group", T::Int)],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::String))),
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
        let mut parts = Vec::new();
        for found in matches(&regex, text)? {
            let group = usize::try_from(group).map_err(|_| "a group has a number from 0 on")?;
            parts.push(found.get(group).map_or(Value::Null, |part| Value::String(part.as_str().to_owned())));
        }
        Ok(Some(Value::Array(parts)))
    })
}
