//! `MAP_KEYS`: the keys of a map.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::text::hash_map_order;
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "MAP_KEYS",
    shown: "map_keys",
    category: "MAP",
    summary: "The keys of a map, in the order in which Java's maps have them.",
    examples: &[("MAP_KEYS(MAP('a' := 1))", "[a]")],
    overloads: &[Overload {
        params: &[param("map", T::Map(&T::String, &T::Object))],
        returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::String))),
        body: |call| {
            call.values(|args| {
                let Value::Map(entries) = &args[0] else { return Ok(None) };
                let keys: Vec<String> = entries.iter().map(|(k, _)| k.to_text()).collect();
                let order = hash_map_order(keys.iter().map(String::as_str));
                Ok(Some(Value::Array(order.into_iter().map(|at| entries[at].0.clone()).collect())))
            })
        },
    }],
};
