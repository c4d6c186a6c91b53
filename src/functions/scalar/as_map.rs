//! `AS_MAP`: a map of two arrays.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub const FUNCTION: Scalar = Scalar {
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
                let mut map: Vec<(Value, Value)> = Vec::new();
                for (at, key) in keys.iter().enumerate() {
                    let value = values.get(at).cloned().unwrap_or(Value::Null);
                    match map.iter_mut().find(|(k, _)| k == key) {
                        Some(found) => found.1 = value,
                        None => map.push((key.clone(), value)),
                    }
                }
                Ok(Some(Value::Map(map)))
            })
        },
    }],
};
