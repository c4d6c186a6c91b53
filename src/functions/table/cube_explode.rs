//! `CUBE_EXPLODE`: a row for every choice among the items of an array.

use crate::functions::call::Fault;
use crate::functions::fault::check_size;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

/// The most items that can be chosen among: that makes a million rows.
///
/// The limit is this engine's own: more would fill the memory from a single row.
const MOST_CHOICES: usize = 20;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "CUBE_EXPLODE",
    shown: "cube_explode",
    category: "TABLE",
    summary: "A row for every choice among the items of an array, with NULL for those that are left out.",
    examples: &[("CUBE_EXPLODE(ARRAY[1, 2])", "[[null, null], [null, 2], [1, null], [1, 2]]")],
    overloads: &[Overload {
        params: &[param("columns", T::Array(&T::Any('T')))],
        returns: Returns::By(|args, _| Ok(SqlType::Array(Box::new(args[0].clone())))),
        body: |call| {
            call.values(|args| {
                let Value::Array(items) = &args[0] else { return Ok(None) };
                let chosen = items.iter().filter(|item| **item != Value::Null).count();
                if chosen > MOST_CHOICES {
                    let message = format!("{chosen} items to choose among are too many; the limit is {MOST_CHOICES}");
                    return Err(Fault::shown(message));
                }
                check_size(items.iter().map(Value::size).sum::<usize>().saturating_mul(1 << chosen))?;
                Ok(Some(Value::Array(cube(items))))
            })
        },
    }],
};

/// All choices, the last item changing first. An item that is NULL is not chosen or left out.
///
/// For `[1, 2]`: neither, 2 alone, 1 alone, both. There are 2^n rows for n items that are not NULL.
fn cube(items: &[Value]) -> Vec<Value> {
    let choices = items.iter().filter(|item| **item != Value::Null).count();
    let choice = |chosen: u32| {
        let mut bits = (0..choices).rev().map(|bit| chosen >> bit & 1 == 1);
        let item = |item: &Value| match item {
            Value::Null => Value::Null,
            item => bits.next().filter(|taken| *taken).map_or(Value::Null, |_| item.clone()),
        };
        Value::Array(items.iter().map(item).collect())
    };
    (0..1 << choices).map(choice).collect()
}
