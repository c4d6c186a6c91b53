//! `ENTRIES`: the entries of a map as an array.

use arrow::array::ArrayRef;

use crate::functions::call::Call;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value, compare_utf16, text};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ENTRIES",
    shown: "ENTRIES",
    category: "MAP",
    summary: "The entries of a map as an array of structs of K and V, in the order of the keys if asked for.",
    examples: &[("ENTRIES(MAP('b' := 1, 'a' := 2), true)", "[Struct{K=a,V=2}, Struct{K=b,V=1}]")],
    overloads: &[
        Overload {
            params: &[param("map", T::Map(&T::String, &T::Int)), param("sorted", T::Boolean)],
            returns: Returns::By(|args, _| Ok(entry_type(args))),
            body: entries,
        },
        Overload {
            params: &[param("map", T::Map(&T::String, &T::Bigint)), param("sorted", T::Boolean)],
            returns: Returns::By(|args, _| Ok(entry_type(args))),
            body: entries,
        },
        Overload {
            params: &[param("map", T::Map(&T::String, &T::Double)), param("sorted", T::Boolean)],
            returns: Returns::By(|args, _| Ok(entry_type(args))),
            body: entries,
        },
        Overload {
            params: &[param("map", T::Map(&T::String, &T::Boolean)), param("sorted", T::Boolean)],
            returns: Returns::By(|args, _| Ok(entry_type(args))),
            body: entries,
        },
        Overload {
            params: &[param("map", T::Map(&T::String, &T::String)), param("sorted", T::Boolean)],
            returns: Returns::By(|args, _| Ok(entry_type(args))),
            body: entries,
        },
    ],
};

fn entry_type(args: &[SqlType]) -> SqlType {
    let value = if let SqlType::Map(_, value) = &args[0] { (**value).clone() } else { SqlType::String };
    SqlType::array(SqlType::structure([("K", SqlType::String), ("V", value)]))
}

fn entries(call: &mut Call) -> ArrayRef {
    call.values(|args| {
        let Value::Boolean(sorted) = args[1] else { return Err("whether the entries are sorted is NULL".into()) };
        let Value::Map(entries) = &args[0] else { return Ok(None) };
        let keys: Vec<String> = entries.iter().map(|(k, _)| k.to_text()).collect();
        let mut order = text::hash_map_order(keys.iter().map(String::as_str));
        if sorted {
            order.sort_by(|a, b| compare_utf16(&keys[*a], &keys[*b]));
        }
        let entry = |at: usize| {
            let (key, value) = entries[at].clone();
            Value::Struct(vec![("K".to_owned(), key), ("V".to_owned(), value)])
        };
        Ok(Some(Value::Array(order.into_iter().map(entry).collect())))
    })
}
