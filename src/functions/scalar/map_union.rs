//! `MAP_UNION`: the entries of two maps.
//!
//! NULL only if both maps are NULL; one that is NULL counts as empty. A key keeps the place at which it came first.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar, sets};
use crate::types::Value;

pub(super) const FUNCTION: Scalar = Scalar {
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
                let maps = args.iter().filter_map(|v| if let Value::Map(entries) = v { Some(entries) } else { None });
                Ok((!args.iter().all(Value::is_null)).then(|| sets::map_of(maps.flatten().cloned())))
            })
        },
    }],
};
