//! Whether answers are the expected ones, by the rules of ksqlDB's own runner.
//!
//! Of objects only the fields that are expected are compared; `name|starts_with` compares the beginning of a text. All
//! else must be equal, numbers with their digits. The order of rows does not count unless the case says so.

use serde_json::{Number, Value};

use crate::testing::case::{Response, RestCase};
use crate::testing::compare::is_same_number;

/// What is answered to a request.
pub(super) enum Given {
    /// The entity of a statement.
    Admin(Value),
    /// The elements of a query's answer.
    Query(Vec<Value>),
    /// The same, with each row as the text of a Protobuf message.
    QueryProto(Vec<Value>),
}

impl Given {
    /// Its place among all: statements, then queries, then queries in Protobuf.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Given::Admin(_) => 0,
            Given::Query(_) => 1,
            Given::QueryProto(_) => 2,
        }
    }
}

/// Why the answers are not those that are expected; there may be more of them.
pub(super) fn compare(expected: &RestCase, given: &[Given], statements: &[String]) -> Result<(), String> {
    for (place, wanted) in expected.responses.iter().enumerate() {
        let found = given.get(place).ok_or_else(|| format!("answer {} is missing", place + 1))?;
        let text = statements.get(place).map_or("", String::as_str);
        let same = match (wanted, found) {
            (Response::Admin(wanted), Given::Admin(found)) => matches(&filled(wanted, text), found),
            (Response::Query(wanted), Given::Query(found))
            | (Response::QueryProto(wanted), Given::QueryProto(found)) => {
                let wanted: Vec<Value> = wanted.iter().map(|element| filled(element, text)).collect();
                elements(&wanted, found, expected.verifies_order)
            }
            _ => Err("it belongs to another kind of request".to_owned()),
        };
        same.map_err(|why| format!("answer {}: {why}\n  expected: {}\n  found:    {}", place + 1, wanted, found))?;
    }
    Ok(())
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Given::Admin(entity) => write!(f, "{entity}"),
            Given::Query(elements) | Given::QueryProto(elements) => write!(f, "{}", Value::from(elements.as_slice())),
        }
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Response::Admin(entity) => write!(f, "{entity}"),
            Response::Query(elements) | Response::QueryProto(elements) => {
                write!(f, "{}", Value::from(elements.as_slice()))
            }
        }
    }
}

/// An expected value with the statement in the place of `{STATEMENT}`.
fn filled(value: &Value, statement: &str) -> Value {
    match value {
        Value::String(text) => text.replace("{STATEMENT}", statement).into(),
        Value::Array(items) => items.iter().map(|item| filled(item, statement)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, v)| (name.clone(), filled(v, statement))).collect(),
        other => other.clone(),
    }
}

/// Compares the elements of a query's answer; rows are compared without order unless it counts.
fn elements(expected: &[Value], found: &[Value], verifies_order: bool) -> Result<(), String> {
    if expected.len() != found.len() {
        return Err(format!("{} elements are expected, {} are there", expected.len(), found.len()));
    }
    if verifies_order {
        return expected.iter().zip(found).try_for_each(|(expected, found)| matches(expected, found));
    }
    let (plain, rows): (Vec<Value>, Vec<Value>) = expected.iter().map(without_row).unzip();
    let (plain_found, rows_found): (Vec<Value>, Vec<Value>) = found.iter().map(without_row).unzip();
    plain.iter().zip(&plain_found).try_for_each(|(expected, found)| matches(expected, found))?;
    let mut left: Vec<&Value> = rows_found.iter().collect();
    for row in &rows {
        let place = left.iter().position(|found| is_equal(row, found)).ok_or_else(|| format!("no row {row}"))?;
        left.remove(place);
    }
    Ok(())
}

/// An element without the values of its row, and these values.
fn without_row(element: &Value) -> (Value, Value) {
    let mut element = element.clone();
    let row = match element.get_mut("row") {
        Some(Value::Object(fields)) => fields.get_mut("columns").map(Value::take),
        Some(row @ Value::String(_)) => Some(row.take()),
        _ => None,
    };
    (element, row.unwrap_or(Value::Null))
}

/// Whether what is found has all that is expected.
fn matches(expected: &Value, found: &Value) -> Result<(), String> {
    let Value::Object(fields) = expected else {
        return match is_equal(expected, found) {
            true => Ok(()),
            false => Err(format!("{found} instead of {expected}")),
        };
    };
    for (name, wanted) in fields {
        let (name, operator) = name.split_once('|').unwrap_or((name, "equals"));
        let value = found.get(name).ok_or_else(|| format!("there is no '{name}' in {found}"))?;
        let is_right = match operator.to_ascii_lowercase().as_str() {
            "starts_with" => value.as_str().zip(wanted.as_str()).is_some_and(|(v, w)| v.starts_with(w)),
            _ => matches(wanted, value).is_ok(),
        };
        if !is_right {
            return Err(format!("'{name}' is {value} instead of {wanted}"));
        }
    }
    Ok(())
}

/// Whether two values are equal; numbers with their digits.
fn is_equal(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Number(expected), Value::Number(found)) => is_equal_number(expected, found),
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(e, f)| is_equal(e, f))
        }
        (Value::Object(expected), Value::Object(found)) => {
            let has = |(name, value): (&String, &Value)| found.get(name).is_some_and(|found| is_equal(value, found));
            expected.len() == found.len() && expected.iter().all(has)
        }
        (expected, found) => expected == found,
    }
}

fn is_equal_number(expected: &Number, found: &Number) -> bool {
    let is_integer = |number: &Number| !number.to_string().contains(['.', 'e', 'E']);
    is_integer(expected) == is_integer(found) && is_same_number(expected, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compared(expected: Value, found: Value) -> Result<(), String> {
        let list = |value: Value| value.as_array().expect("a list").clone();
        elements(&list(expected), &list(found), false)
    }

    #[test]
    fn rows_may_come_in_any_order_and_all_else_may_not() {
        let row = |value: i32| json!({ "row": { "columns": [value] } });
        let end = json!({ "finalMessage": "Limit Reached" });
        assert_eq!(compared(json!([row(1), row(2), end]), json!([row(2), row(1), end])), Ok(()));
        assert!(compared(json!([row(1), row(1), end]), json!([row(1), row(2), end])).is_err());
        assert!(compared(json!([row(1), end]), json!([end, row(1)])).is_err());
        assert!(compared(json!([row(1)]), json!([row(1), end])).is_err());
    }

    #[test]
    fn only_what_is_expected_is_compared() {
        let found = json!({ "queryId": "transient_S_1", "schema": "`A` INTEGER" });
        assert_eq!(matches(&json!({ "queryId|starts_with": "transient_S" }), &found), Ok(()));
        assert!(matches(&json!({ "queryId": "transient_S" }), &found).is_err());
        assert!(matches(&json!({ "id": 1 }), &found).is_err());
    }

    #[test]
    fn numbers_are_equal_with_their_digits() {
        let number = |text: &str| serde_json::from_str::<Value>(text).expect("a number");
        assert!(is_equal(&number("1.0"), &number("1.0")));
        assert!(!is_equal(&number("1.0"), &number("1")));
        assert!(!is_equal(&number("1.0"), &number("1.00")));
    }
}
