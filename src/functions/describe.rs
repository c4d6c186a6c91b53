//! What is known of a function, for those who ask: its kind, its signatures, and the types of their results.
//!
//! Some results depend on the types of the arguments, by code. Their types are found by asking the code with types that
//! stand for the letters of the signature: a structure with one field of that name.

use super::aggregate::AggregateOverload;
use super::signature::{Generics, Param, T};
use super::{Overload, Returns, find_aggregate, find_scalar, find_table};
use crate::error::Result;
use crate::types::{SqlType, Value};

/// A function as it is described.
pub struct Description {
    /// In upper case.
    pub name: &'static str,
    /// SCALAR, TABLE or AGGREGATE.
    pub kind: &'static str,
    /// What it belongs to.
    pub category: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// How it can be called.
    pub signatures: Vec<Signature>,
    /// Calls and the text of their results.
    pub examples: &'static [(&'static str, &'static str)],
}

/// A way to call a function.
pub struct Signature {
    /// What it takes, in the order of the call.
    pub params: Vec<Param>,
    /// The type of the result. Letters and ANY are those of the parameters.
    pub returns: String,
}

/// The function of this name, in any case.
pub fn describe(name: &str) -> Option<Description> {
    if let Some(found) = find_aggregate(name) {
        let signatures = found.overloads.iter().map(of_aggregate).collect();
        // Their examples are rows of arguments, and no calls.
        let (name, summary) = (found.name, found.summary);
        return Some(Description { name, kind: AGGREGATE, category: AGGREGATE, summary, signatures, examples: &[] });
    }
    let (found, kind) = match find_scalar(name) {
        Some(found) => (found, "SCALAR"),
        None => (find_table(name)?, "TABLE"),
    };
    let is_table = kind == "TABLE";
    Some(Description {
        name: found.name,
        kind,
        category: found.category,
        summary: found.summary,
        signatures: found.overloads.iter().map(|overload| of_overload(overload, is_table)).collect(),
        // What is written of a table function is the array of all its rows.
        examples: if is_table { &[] } else { found.examples },
    })
}

/// The kind and the category of aggregate functions.
const AGGREGATE: &str = "AGGREGATE";

fn of_overload(overload: &Overload, is_table: bool) -> Signature {
    let returns = match &overload.returns {
        Returns::Is(sql_type) | Returns::Fresh(sql_type) => Ok(sql_type.clone()),
        Returns::Any(letter) => Ok(stand_in(letter.to_string())),
        Returns::By(decide) => {
            let args: Vec<SqlType> = overload.params.iter().map(|param| sample(param.kind)).collect();
            let mut generics = Generics::new();
            overload.params.iter().for_each(|param| note_letters(param.kind, &mut generics));
            decide(&args, &generics)
        }
    };
    let item = |sql_type| match sql_type {
        // A table function gives a row for each item.
        SqlType::Array(item) if is_table => *item,
        other => other,
    };
    Signature { params: overload.params.to_vec(), returns: shown(returns.map(item)) }
}

fn of_aggregate(overload: &AggregateOverload) -> Signature {
    let args: Vec<SqlType> = overload.params.iter().map(|param| sample(param.kind)).collect();
    let constant = |param: &Param| match param.kind {
        T::Boolean => Value::Boolean(true),
        T::Bigint => Value::Bigint(1),
        _ => Value::Integer(1),
    };
    let constants: Vec<Value> = overload.constants.iter().map(constant).collect();
    let params = overload.params.iter().chain(overload.constants).copied().collect();
    Signature { params, returns: shown((overload.returns)(&args, &constants)) }
}

/// A type that stands for one that the signature leaves open.
fn stand_in(name: String) -> SqlType {
    SqlType::structure([(name, SqlType::Boolean)])
}

/// A type that a parameter takes.
fn sample(kind: T) -> SqlType {
    match kind {
        T::Boolean => SqlType::Boolean,
        T::Int => SqlType::Integer,
        T::Bigint => SqlType::Bigint,
        T::Double => SqlType::Double,
        T::Decimal => SqlType::decimal(10, 2),
        T::String | T::Unit => SqlType::String,
        T::Bytes => SqlType::Bytes,
        T::Date => SqlType::Date,
        T::Time => SqlType::Time,
        T::Timestamp => SqlType::Timestamp,
        T::Array(item) => SqlType::array(sample(*item)),
        T::Map(key, value) => SqlType::map(sample(*key), sample(*value)),
        T::Lambda(_, result) => sample(*result),
        T::Any(_) | T::Object => stand_in(kind.to_string()),
    }
}

fn note_letters(kind: T, generics: &mut Generics) {
    match kind {
        T::Any(letter) => drop(generics.insert(letter, sample(kind))),
        T::Array(item) => note_letters(*item, generics),
        T::Map(key, value) => [*key, *value].into_iter().for_each(|kind| note_letters(kind, generics)),
        T::Lambda(params, result) => {
            params.iter().chain([result]).for_each(|kind| note_letters(*kind, generics));
        }
        _ => {}
    }
}

/// A type as signatures write it.
///
/// What the code refuses to say of the types that stand for others is ANY.
fn shown(sql_type: Result<SqlType>) -> String {
    sql_type.map_or_else(|_| T::Object.to_string(), |sql_type| name(&sql_type))
}

fn name(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Integer => T::Int.to_string(),
        SqlType::String => T::String.to_string(),
        SqlType::Decimal { .. } => T::Decimal.to_string(),
        SqlType::Array(item) => format!("ARRAY<{}>", name(item)),
        SqlType::Map(key, value) => format!("MAP<{}, {}>", name(key), name(value)),
        SqlType::Struct(fields) => match fields.as_slice() {
            [only] if only.sql_type == SqlType::Boolean => only.name.clone(),
            fields => {
                let fields: Vec<String> = fields.iter().map(|f| format!("{} {}", f.name, name(&f.sql_type))).collect();
                format!("STRUCT<{}>", fields.join(", "))
            }
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signatures(name: &str) -> Vec<String> {
        let described = describe(name).expect("a function");
        let one = |signature: &Signature| {
            let params: Vec<String> = signature.params.iter().map(Param::to_string).collect();
            format!("({}) {}", params.join(", "), signature.returns)
        };
        described.signatures.iter().map(one).collect()
    }

    #[test]
    fn every_function_can_be_described() {
        for name in super::super::names() {
            let described = describe(&name.to_lowercase()).unwrap_or_else(|| panic!("{name}"));
            assert!(described.name == name && !described.signatures.is_empty(), "{name}");
        }
        assert!(describe("NOPE").is_none());
    }

    #[test]
    fn results_are_written_in_the_letters_of_the_parameters() {
        assert_eq!(signatures("coalesce"), ["(T first, T... others) T"]);
        assert_eq!(signatures("explode"), ["(ARRAY<T> list) T"]);
        assert_eq!(signatures("collect_list"), ["(T val) ARRAY<T>"]);
        assert_eq!(signatures("sum")[3], "(DECIMAL val) DECIMAL");
        assert_eq!(signatures("transform")[0], "(ARRAY<T> array, LAMBDA (T) => R lambda) ARRAY<R>");
    }
}
