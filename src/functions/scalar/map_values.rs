//! `MAP_VALUES`: the values of a map.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::text::hash_map_order;
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "MAP_VALUES",
    shown: "map_values",
    category: "MAP",
    summary: "The values of a map, in the order in which Java's maps have them.",
    examples: &[("MAP_VALUES(MAP('a' := 1))", "[1]")],
    overloads: &[Overload {
        params: &[param("map", T::Map(&T::String, &T::Any('T')))],
        returns: Returns::By(|_, generics| Ok(SqlType::array(generics.get(&'T').cloned().unwrap_or(SqlType::String)))),
        body: |call| {
            call.values(|args| {
                let Value::Map(entries) = &args[0] else { return Ok(None) };
                let keys: Vec<String> = entries.iter().map(|(k, _)| k.to_text()).collect();
                let order = hash_map_order(keys.iter().map(String::as_str));
                Ok(Some(Value::Array(order.into_iter().map(|at| entries[at].1.clone()).collect())))
            })
        },
    }],
};
