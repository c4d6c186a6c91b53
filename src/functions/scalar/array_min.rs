//! `ARRAY_MIN`: the smallest item of an array.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::functions::signature::Generics;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub const FUNCTION: Scalar = Scalar {
    name: "ARRAY_MIN",
    shown: "array_min",
    category: "ARRAY",
    summary: "The smallest item that is not NULL.",
    examples: &[("ARRAY_MIN(ARRAY[2, 3, 1])", "1")],
    overloads: &[
        Overload {
            params: &[param("array", T::Array(&T::Any('T')))],
            returns: Returns::By(comparable),
            body: |call| {
                call.values(|args| {
                    let Value::Array(items) = &args[0] else { return Ok(None) };
                    let mut best: Option<&Value> = None;
                    for item in items.iter().filter(|i| !i.is_null()) {
                        if best.is_none_or(|best| item.compare(best) == Ordering::Less) {
                            best = Some(item);
                        }
                    }
                    Ok(best.cloned())
                })
            },
        },
    ],
};

fn comparable(args: &[SqlType], generics: &Generics) -> Result<SqlType> {
    match generics.get(&'T') {
        None | Some(SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_)) => {
            let given = args.first().map(SqlType::to_string).unwrap_or_default();
            Err(Error::invalid(format!("Function 'array_min' does not accept parameters ({given})")))
        }
        Some(item) => Ok(item.clone()),
    }
}
