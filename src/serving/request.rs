//! The bodies of requests: JSON objects with statements, properties and variables.

use std::fmt;

use axum::http::Uri;
use serde_json::{Map, Value};

use super::otlp::Trace;
use super::refusal::Refusal;
use super::{Service, json, overrides, target};
use crate::engine::Bookmark;
use crate::statements::Session;

/// A request with statements.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The text of the statements; None if the field is missing or null.
    pub text: Option<String>,
    /// Properties that hold for its statements.
    pub properties: Map<String, Value>,
    /// The names of the properties of the request itself.
    pub of_request: Vec<String>,
    /// Values of variables, in their order.
    pub variables: Vec<(String, String)>,
    /// The command that must have been executed before.
    pub sequence: Option<i64>,
    /// Whether the rows of a table are to be told with the node that has them.
    pub wants_host: bool,
    /// Where the reader of an earlier push query stood, behind which this one goes on: a token.
    pub token: Option<String>,
    /// Whether it has the fields of `/ksql`, `/query` and WebSockets.
    pub is_old: bool,
    /// What the client calls the text, if it wants to show answers and errors as this program's own shell does.
    ///
    /// A property of the request, [`SHOWN_AS`]; ksqlDB's clients do not have it.
    pub shown_as: Option<String>,
    /// What notes how long its steps take.
    pub trace: Trace,
}

/// The property of a request by which answers get what a person is shown.
pub const SHOWN_AS: &str = "tidemill.shown.as";

/// The property of a request by which rows of tables are told with the node that has them.
const DEBUG: &str = "request.ksql.debug.request";

/// The property of a request by which a push query goes on behind the last row that was seen.
const TOKEN: &str = "request.ksql.query.push.continuation.token";

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
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(invalid("the body is empty"));
    }
    json::object(body).map_err(invalid)
}

/// The refusal of a request whose JSON is none, or not what it should be.
pub(super) fn invalid(why: impl fmt::Display) -> Refusal {
    Refusal::new(40000, format!("{INVALID}{why}")).untyped()
}

/// How that refusal begins.
pub(super) const INVALID: &str = "Invalid JSON in request: ";

/// The body of a request whose fields stand in the query of its address: the text as it is, others as JSON.
///
/// # Errors
/// A field is no JSON.
pub(super) fn of_address(uri: &Uri, names: Fields) -> Result<String, Refusal> {
    let mut fields = Map::new();
    fields.extend(target::parameter(uri, names.text).map(|text| (names.text.to_owned(), Value::String(text))));
    for name in [names.properties, VARIABLES] {
        if let Some(text) = target::parameter(uri, name) {
            let invalid = |why| invalid(format!("{name}: {why}"));
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
        let is_old = names.text == OLD.text;
        let text = match fields.remove(names.text) {
            None if !is_old => return Err(missing(names.text)),
            Some(Value::Null) if !is_old => return Err(wrong(names.text, &Value::Null, "a text")),
            None | Some(Value::Null) => None,
            Some(value) => Some(text_of(names.text, value)?),
        };
        let properties = map(&mut fields, names.properties)?;
        if let Some((name, _)) = properties.iter().find(|(_, value)| value.is_null()) {
            return Err(wrong(name, &Value::Null, "a value"));
        }
        let variables = map(&mut fields, VARIABLES)?;
        let variables = variables.into_iter().map(|(name, value)| Ok((name, text_of(VARIABLES, value)?)));
        let variables = variables.collect::<Result<_, _>>()?;
        let sequence = sequence(fields.remove("commandSequenceNumber"))?;
        let own = map(&mut fields, "requestProperties")?;
        let shown_as = own.get(SHOWN_AS).and_then(Value::as_str).map(str::to_owned);
        let wants_host = own.get(DEBUG) == Some(&Value::Bool(true));
        let token = match own.get(TOKEN) {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) => Some(token.clone()).filter(|token| !token.is_empty()),
            Some(other) => return Err(wrong(TOKEN, other, "a text")),
        };
        let of_request = own.into_iter().map(|(name, _)| name).collect();
        Ok(Asked {
            text,
            properties,
            of_request,
            variables,
            sequence,
            wants_host,
            token,
            is_old,
            shown_as,
            trace: Trace::default(),
        })
    }

    /// Whether it has nothing but a text, and nothing is noted of it.
    pub(super) fn sets_nothing(&self) -> bool {
        let is_bare = self.properties.is_empty() && self.of_request.is_empty() && self.variables.is_empty();
        is_bare && self.token.is_none() && !self.trace.is_on()
    }

    /// The same, with the trace of the request.
    pub(super) fn traced(self, trace: Trace) -> Asked {
        Asked { trace, ..self }
    }

    /// A session with the request's properties and variables.
    ///
    /// # Errors
    /// A property is unknown, belongs to the process, or does not take the value; the token is none.
    pub(super) fn session<'e>(&self, service: &'e Service) -> Result<Session<'e>, Refusal> {
        let text = self.text.as_deref().unwrap_or_default();
        let denied = service.denied();
        let own = overrides::properties(&self.properties, &denied, text)?;
        overrides::check_names(self.of_request.iter(), text)?;
        let from = self.token.as_deref().map(Bookmark::parse).transpose();
        let from = from.map_err(|error| Refusal::of_text(40001, error.message(), text))?;
        let mut session = Session::new(&service.engine, own).denying(denied).resuming(from);
        self.variables.iter().for_each(|(name, value)| session.define(name, value));
        Ok(session)
    }
}

/// The field with the variables.
const VARIABLES: &str = "sessionVariables";

/// The refusal of a request that lacks a field.
pub(super) fn missing(name: &str) -> Refusal {
    invalid(format!("Missing required creator property '{name}'"))
}

/// The refusal of a field whose value is not what it should be.
pub(super) fn wrong(name: &str, value: &Value, wanted: &str) -> Refusal {
    invalid(format!("\"{name}\" must be {wanted}, not {}", json::named(value)))
}

/// The text that a field has. A number or a truth value is taken as its text.
fn text_of(name: &str, value: Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        other => Err(wrong(name, &other, "a text")),
    }
}

/// The object that a field has; an empty one if there is none.
fn map(fields: &mut Map<String, Value>, name: &str) -> Result<Map<String, Value>, Refusal> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(other) => Err(wrong(name, &other, "an object")),
    }
}

/// The number of the command that must have been executed; a text with digits is taken, too.
fn sequence(value: Option<Value>) -> Result<Option<i64>, Refusal> {
    let number = match &value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    number.map(Some).ok_or_else(|| wrong("commandSequenceNumber", &value.unwrap_or_default(), "a whole number"))
}
