//! `AS_MAP`: a map of two arrays.
//!
//! A key without a value gets NULL, and values without a key are left out. Of equal keys the last value counts. NULL
//! if an array is NULL.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar, sets};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "AS_MAP",
    shown: "as_map",
    category: "MAP",
    summary: "The map with the keys of one array and the values of another.",
    examples: &[("AS_MAP(ARRAY['a', 'b'], ARRAY[1, 2])", "{a=1, b=2}")],
    overloads: &[Overload {
        params: &[param("keys", T::Array(&T::String)), param("values", T::Array(&T::Any('T')))],
        returns: Returns::By(|_, generics| {
            Ok(SqlType::map(SqlType::String, generics.get(&'T').cloned().unwrap_or(SqlType::String)))
        }),
        body: |call| {
            call.values(|args| {
                let (Value::Array(keys), Value::Array(values)) = (&args[0], &args[1]) else { return Ok(None) };
                let value = |at: usize| values.get(at).cloned().unwrap_or(Value::Null);
                Ok(Some(sets::map_of(keys.iter().enumerate().map(|(at, key)| (key.clone(), value(at))))))
            })
        },
    }],
};
