//! The bodies of requests: JSON objects with statements, properties and variables.

use axum::http::Uri;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::{Service, target};
use crate::config::Properties;
use crate::statements::{self, Session};

/// A request with statements.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The text of the statements; None if the field is missing or null.
    pub text: Option<String>,
    /// Properties that hold for this request.
    pub properties: Map<String, Value>,
    /// Values of variables, in their order.
    pub variables: Vec<(String, String)>,
    /// The command that must have been executed before.
    pub sequence: Option<i64>,
    /// Whether it has the fields of `/ksql`, `/query` and WebSockets.
    pub is_old: bool,
    /// What the client calls the text, if it wants to show answers and errors as this program's own shell does.
    ///
    /// A property of the request, [`SHOWN_AS`]; ksqlDB's clients do not have it.
    pub shown_as: Option<String>,
}

/// The property of a request by which answers get what a person is shown.
pub const SHOWN_AS: &str = "tidemill.shown.as";

/// The names of the fields, which differ between the endpoints.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub text: &'static str,
    pub properties: &'static str,
}

/// Those of `/ksql`, `/query` and WebSockets.
pub(super) const OLD: Fields = Fields { text: "ksql", properties: "streamsProperties" };
/// Those of `/query-stream`.
pub(super) const NEW: Fields = Fields { text: "sql", properties: "properties" };

/// The object that a body is.
///
/// # Errors
/// It is no JSON, or something else than an object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let invalid = |why: String| Refusal::new(40000, format!("Invalid JSON in request: {why}")).untyped();
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(invalid("the body is empty".to_owned()));
    }
    // What follows the object is ignored, as ksqlDB does.
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    match values.next() {
        Some(Ok(Value::Object(fields))) => Ok(fields),
        Some(Ok(_)) => Err(invalid("it is no object".to_owned())),
        Some(Err(error)) => Err(invalid(error.to_string())),
        None => Err(invalid("there is none".to_owned())),
    }
}

/// The body of a request whose fields stand in the query of its address: the text as it is, others as JSON.
///
/// # Errors
/// A field is no JSON.
pub(super) fn of_address(uri: &Uri, names: Fields) -> Result<String, Refusal> {
    let mut fields = Map::new();
    fields.extend(target::parameter(uri, names.text).map(|text| (names.text.to_owned(), Value::String(text))));
    for name in [names.properties, "sessionVariables"] {
        if let Some(text) = target::parameter(uri, name) {
            let invalid = |why| Refusal::new(40000, format!("Invalid JSON in request: {name}: {why}")).untyped();
            fields.insert(name.to_owned(), serde_json::from_str(&text).map_err(invalid)?);
        }
    }
    Ok(Value::Object(fields).to_string())
}

impl Asked {
    /// Reads a request; unknown fields say nothing.
    ///
    /// # Errors
    /// A field is of the wrong type.
    pub(super) fn read(body: &[u8], names: Fields) -> Result<Asked, Refusal> {
        let mut fields = object(body)?;
        let wrong =
            |name: &str| Refusal::new(40000, format!("Invalid JSON in request: wrong type of \"{name}\"")).untyped();
        let text = match fields.remove(names.text) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            // A number or a truth value is taken as its text.
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
            Some(_) => return Err(wrong(names.text)),
        };
        let properties = match fields.remove(names.properties) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(properties)) => properties,
            Some(_) => return Err(wrong(names.properties)),
        };
        let variables = match fields.remove("sessionVariables") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(all)) => all
                .into_iter()
                .map(|(name, value)| match value {
                    Value::String(text) => Ok((name, text)),
                    Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
                    _ => Err(wrong("sessionVariables")),
                })
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(wrong("sessionVariables")),
        };
        let sequence = match fields.remove("commandSequenceNumber") {
            None | Some(Value::Null) => None,
            Some(Value::Number(number)) => Some(number.as_i64().ok_or_else(|| wrong("commandSequenceNumber"))?),
            Some(Value::String(text)) => Some(text.trim().parse().map_err(|_| wrong("commandSequenceNumber"))?),
            Some(_) => return Err(wrong("commandSequenceNumber")),
        };
        let shown_as = fields.get("requestProperties").and_then(|all| all.get(SHOWN_AS)?.as_str().map(str::to_owned));
        Ok(Asked { text, properties, variables, sequence, is_old: names.text == OLD.text, shown_as })
    }

    /// A session with the request's properties and variables.
    ///
    /// # Errors
    /// A property is unknown, belongs to the process, or does not take the value.
    pub(super) fn session<'e>(&self, service: &'e Service) -> Result<Session<'e>, Refusal> {
        let mut own = Properties::default();
        let text = self.text.as_deref().unwrap_or_default();
        let denied = service.denied();
        for (name, value) in &self.properties {
            if denied.contains(name) {
                return Err(Refusal::new(40000, statements::denied(name)));
            }
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let Ok(property) = crate::config::find(name) else {
                let message = format!("Not recognizable as ksql, streams, consumer, or producer property: '{name}'");
                return Err(Refusal::statement(50000, message, text));
            };
            own.set_for_statements(name, &value).map_err(|error| {
                let value = property.masked(&value);
                let message = format!("Failed to coerce type of value '{value}' for key '{name}'\nCaused by: {error}");
                Refusal::new(40000, message)
            })?;
        }
        let mut session = Session::new(&service.engine, own).denying(denied);
        self.variables.iter().for_each(|(name, value)| session.define(name, value));
        Ok(session)
    }
}
