//! The properties of a request: which are set, which change nothing here, and which are refused.

use serde_json::{Map, Value};

use super::foreign;
use super::refusal::Refusal;
use super::wording::{self, wrapped};
use crate::config::{self, Properties, Property, Scope, Takes};
use crate::statements;

/// How the names of the properties of a request alone begin.
const OF_REQUESTS: &str = "request.ksql.";

/// How the names begin that ksqlDB takes whatever follows: settings of functions, and of topics that it makes.
const FREE: [&str; 2] = ["ksql.functions.", "topic."];

/// What a name stands for.
enum Found {
    /// A property that statements may set here.
    Own(&'static Property),
    /// One that belongs to the process.
    Fixed(String),
    /// One that changes nothing here.
    Foreign(String, foreign::Type),
    /// The same, with any value.
    Free,
}

fn find(name: &str) -> Option<Found> {
    let bare = name.strip_prefix("ksql.streams.").unwrap_or(name);
    let of_client = ["consumer.", "producer."].iter().find_map(|prefix| bare.strip_prefix(prefix));
    let bare = of_client.unwrap_or(bare);
    if foreign::is_fixed(bare) {
        return Some(Found::Fixed(bare.to_owned()));
    }
    match config::find(bare) {
        Ok(property) if property.scope == Scope::Statement => return Some(Found::Own(property)),
        Ok(property) if property.name.starts_with("tidemill.") => return Some(Found::Fixed(bare.to_owned())),
        Ok(_) | Err(_) => {}
    }
    let foreign = foreign::find(bare).map(|kind| Found::Foreign(bare.to_owned(), kind));
    foreign.or_else(|| FREE.iter().any(|prefix| bare.starts_with(prefix)).then_some(Found::Free))
}

/// What Kafka would hold of the value of one of our properties.
///
/// # Errors
/// The property does not take it.
fn own_value(property: &Property, value: &str) -> Result<Value, String> {
    if let Some(why) = wording::misfit(property, value) {
        return Err(why);
    }
    // What fits is of the type.
    Ok(match property.takes {
        Takes::Number(..) => value.parse::<i64>().map_or(Value::Null, Value::from),
        Takes::Flag => value.eq_ignore_ascii_case("true").into(),
        _ => value.into(),
    })
}

/// The value of a property that changes nothing here.
///
/// # Errors
/// ksqlDB would not take it.
fn foreign_value(name: &str, kind: foreign::Type, value: &str) -> Result<Value, String> {
    if let Some(words) = foreign::choices(name).filter(|words| !words.contains(&value)) {
        return Err(format!("String must be one of: {}", words.join(", ")));
    }
    kind.read(value)
}

/// A value as a text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether the value of a property of Kafka or ksqlDB is nobody else's business, by its name.
fn is_secret(name: &str) -> bool {
    ["password", "secret", "jaas.config", "user.info", "keystore.key"].iter().any(|end| name.ends_with(end))
}

/// The value of a property as ksqlDB holds it.
///
/// # Errors
/// The property is unknown, belongs to the process, or does not take the value; `statement` is what was asked for.
fn held(name: &str, value: &Value, statement: &str) -> Result<Value, Refusal> {
    let Some(found) = find(name) else { return Err(unknown(name, statement)) };
    let value = text(value);
    let shown = if is_secret(name) { "[hidden]" } else { value.as_str() };
    let invalid = |why, bare: &str| format!("Invalid value {shown} for configuration {bare}: {why}");
    let refused = |why: String| {
        let cause = wrapped(&format!("Caused by: {why}"));
        Refusal::new(40000, format!("Failed to coerce type of value '{shown}' for key '{name}'\n{cause}"))
    };
    match found {
        Found::Fixed(bare) => Err(refused(format!("Cannot override property '{bare}'"))),
        Found::Own(property) => own_value(property, &value).map_err(|why| refused(invalid(why, property.name))),
        Found::Foreign(bare, kind) => foreign_value(&bare, kind, &value).map_err(|why| refused(invalid(why, &bare))),
        Found::Free => Ok(value.into()),
    }
}

fn unknown(name: &str, statement: &str) -> Refusal {
    let message = format!("Not recognizable as ksql, streams, consumer, or producer property: '{name}'");
    Refusal::statement(50000, message, statement)
}

/// The properties that a request sets.
///
/// # Errors
/// The first that is refused: it is `denied`, unknown, belongs to the process, or does not take its value.
pub(super) fn properties(
    given: &Map<String, Value>,
    denied: &[String],
    statement: &str,
) -> Result<Properties, Refusal> {
    let mut own = Properties::default();
    if let Some(name) = given.keys().find(|name| denied.contains(name)) {
        return Err(Refusal::new(40000, statements::denied(name)));
    }
    for (name, value) in given {
        held(name, value, statement)?;
        if let Some(Found::Own(property)) = find(name) {
            let fits = own.set_for_statements(property.name, &text(value));
            fits.map_err(|error| Refusal::new(40000, error.message()))?;
        }
    }
    Ok(own)
}

/// Checks the values of properties where unknown ones are taken, too.
///
/// # Errors
/// The first that is not one of its property.
pub(super) fn check_values(given: &Map<String, Value>) -> Result<(), Refusal> {
    let mut known = given.iter().filter(|(name, _)| find(name).is_some());
    known.try_for_each(|(name, value)| held(name, value, "").map(drop))
}

/// Checks the names of the properties that a request has for itself.
///
/// # Errors
/// The first that is none.
pub(super) fn check_names<'a>(names: impl Iterator<Item = &'a String>, statement: &str) -> Result<(), Refusal> {
    let mut others = names.filter(|name| !name.starts_with(OF_REQUESTS) && name.as_str() != super::SHOWN_AS);
    match others.find(|name| find(name).is_none()) {
        Some(name) => Err(unknown(name, statement)),
        None => Ok(()),
    }
}

/// Names the properties of a request as it does in what EXPLAIN says of a query that would have them.
pub(super) fn show(given: &Map<String, Value>, entity: &mut Value) {
    let Some(description) = entity.get_mut("queryDescription").filter(|query| query["state"].is_null()) else { return };
    let Some(shown) = description["overriddenProperties"].as_object_mut() else { return };
    for (name, value) in given {
        if let Some(Found::Own(property)) = find(name) {
            shown.remove(property.name);
        }
        // What was executed has been held before.
        shown.extend(held(name, value, "").ok().map(|value| (name.clone(), value)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(name: &str, value: Value) -> Map<String, Value> {
        Map::from_iter([(name.to_owned(), value)])
    }

    fn refusal(name: &str, value: Value) -> Refusal {
        properties(&given(name, value), &["denied".to_owned()], "LIST TYPES;").expect_err(name)
    }

    #[test]
    fn properties_are_set_whatever_stands_before_their_names() {
        for prefix in ["", "ksql.streams.", "ksql.streams.consumer.", "consumer."] {
            let set = properties(&given(&format!("{prefix}auto.offset.reset"), json!("earliest")), &[], "");
            assert_eq!(set.expect("known").text(config::OFFSET_RESET), "earliest");
        }
    }

    #[test]
    fn what_changes_nothing_here_is_taken_if_ksqldb_would_take_it() {
        for (name, value) in [
            ("num.stream.threads", json!(0)),
            ("ksql.streams.state.dir", json!("/x")),
            ("topic.retention.ms", json!(5)),
            ("ksql.functions.my.thing", json!("x")),
            ("producer.linger.ms", json!("5")),
        ] {
            properties(&given(name, value), &[], "").expect(name);
        }
        assert_eq!(
            refusal("processing.guarantee", json!("nonsense")).message,
            "Failed to coerce type of value 'nonsense' for key 'processing.guarantee'\nCaused by: Invalid value nonsense \
             for configuration processing.guarantee: String\n\tmust be one of: at_least_once, exactly_once, \
             exactly_once_beta, exactly_once_v2"
        );
    }

    #[test]
    fn refusals_are_ksqldbs() {
        let unknown = refusal("no.such", json!(1));
        assert_eq!(unknown.code, 50000);
        assert_eq!(refusal("listeners", json!("http://x:1")).code, 50000);
        assert_eq!(
            refusal("ksql.streams.ssl.key.password", json!("x")).message,
            "Failed to coerce type of value '[hidden]' for key 'ksql.streams.ssl.key.password'\nCaused by: Cannot \
             override property 'ssl.key.password'"
        );
        assert!(refusal("tidemill.workers", json!(2)).message.ends_with("Cannot override property 'tidemill.workers'"));
        assert!(refusal("denied", json!(2)).message.contains("prohibited"));
        assert!(refusal("commit.interval.ms", json!(1.5)).message.ends_with("Not a number\n\tof type LONG"));
    }

    #[test]
    fn properties_of_requests_alone_have_a_name_of_their_own() {
        let check = |name: &str| check_names([name.to_owned()].iter(), "LIST TYPES;");
        check("request.ksql.debug.request").expect("one of requests");
        check("auto.offset.reset").expect("known");
        assert_eq!(check("x").expect_err("unknown").code, 50000);
    }
}
