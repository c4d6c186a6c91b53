//! Arrays as sets, whose items keep the order in which they first stand: what the functions of sets have in common.

use arrow::array::ArrayRef;

use super::call::Call;
use super::signature::{T, param};
use super::{Overload, Returns};
use crate::types::Value;

/// Two arrays of one type, of which another one is made.
pub const fn overload(body: fn(&mut Call) -> ArrayRef) -> Overload {
    Overload {
        params: const { &[param("left", T::Array(&T::Any('T'))), param("right", T::Array(&T::Any('T')))] },
        returns: Returns::By(|args, _| Ok(args[0].clone())),
        body,
    }
}

/// What `items` makes of the two arrays of each row, every item once.
pub fn combined(call: &mut Call, items: fn(&[Value], &[Value]) -> Vec<Value>) -> ArrayRef {
    call.values(|args| {
        let (Value::Array(left), Value::Array(right)) = (&args[0], &args[1]) else { return Ok(None) };
        Ok(Some(distinct(items(left, right))))
    })
}

/// The array of the items, every one once.
pub fn distinct(items: impl IntoIterator<Item = Value>) -> Value {
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    Value::Array(kept)
}
