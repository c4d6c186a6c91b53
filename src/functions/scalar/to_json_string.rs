//! `TO_JSON_STRING`: a value as JSON.

use crate::functions::json;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value, compare_utf16, text};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "TO_JSON_STRING",
    shown: "TO_JSON_STRING",
    category: "JSON",
    summary: "Any value as a JSON text, the fields of structs and maps in the order of their names.",
    examples: &[
        ("TO_JSON_STRING(STRUCT(b := 1.50, a := 'x'))", "{\"A\":\"x\",\"B\":1.50}"),
        ("TO_JSON_STRING(NULL)", "null"),
    ],
    overloads: &[Overload {
        params: &[param("val", T::Any('T'))],
        returns: Returns::Is(SqlType::String),
        body: |call| call.values(|args| Ok(Some(Value::String(written(&args[0]))))),
    }],
};

/// | value | JSON |
/// |---|---|
/// | numbers | as a cast to STRING prints them; NaN and infinities as texts |
/// | BYTES | base64 |
/// | DATE, TIME, TIMESTAMP | their text in quotes |
/// | MAP | an object; keys that are no texts are printed as such |
/// | STRUCT | an object with the fields' names |
fn written(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Double(v) if !v.is_finite() => json::quote(&text::double(*v), out),
        Value::Null
        | Value::Boolean(_)
        | Value::Integer(_)
        | Value::Bigint(_)
        | Value::Double(_)
        | Value::Decimal(_) => {
            out.push_str(&value.to_text());
        }
        Value::String(text) => json::quote(text, out),
        Value::Bytes(bytes) => json::quote(&crate::types::parse::base64_text(bytes), out),
        Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => json::quote(&value.to_text(), out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => fields(entries.iter().map(|(k, v)| (k.to_text(), v)).collect(), out),
        Value::Struct(all) => fields(all.iter().map(|(k, v)| (k.clone(), v)).collect(), out),
    }
}

/// Sorted by Java's order of strings.
fn fields(mut fields: Vec<(String, &Value)>, out: &mut String) {
    fields.sort_by(|a, b| compare_utf16(&a.0, &b.0));
    out.push('{');
    for (at, (name, value)) in fields.iter().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        json::quote(name, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}
