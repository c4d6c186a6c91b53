//! `MAP_UNION`: the entries of two maps.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::Value;

pub const FUNCTION: Scalar = Scalar {
    name: "MAP_UNION",
    shown: "map_union",
    category: "MAP",
    summary: "The entries of both maps; those of the second replace those of the first.",
    examples: &[("MAP_UNION(MAP('a' := 1), MAP('a' := 2))", "{a=2}")],
    overloads: &[Overload {
        params: &[param("map1", T::Map(&T::String, &T::Any('T'))), param("map2", T::Map(&T::String, &T::Any('T')))],
        returns: Returns::By(|args, _| Ok(args[0].clone())),
        body: |call| {
            call.values(|args| {
                let mut map: Vec<(Value, Value)> = Vec::new();
                let maps = args.iter().filter_map(|v| if let Value::Map(entries) = v { Some(entries) } else { None });
                for (key, value) in maps.flatten() {
                    match map.iter_mut().find(|(k, _)| k == key) {
                        Some(found) => found.1 = value.clone(),
                        None => map.push((key.clone(), value.clone())),
                    }
                }
                Ok((!args.iter().all(Value::is_null)).then_some(Value::Map(map)))
            })
        },
    }],
};
