//! Refusals: what a client is told when there is no answer, with ksqlDB's statuses, codes and texts.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::accept::JSON;
use super::wording;
use crate::error::{Error, Kind};

/// What stands in the way of an answer.
#[derive(Debug)]
pub(super) struct Refusal {
    /// ksqlDB's code; its first three digits are the status of HTTP.
    pub code: u32,
    pub message: String,
    /// The statement that is refused, where the answer names it.
    statement: Option<String>,
    /// The entities of the statements before it.
    entities: Vec<Value>,
    /// Whether the text as a whole is what is wrong.
    is_of_text: bool,
    /// The error as a person reads it, for a client that shows it so.
    rendered: Option<String>,
    /// Whether the answer says that it is JSON: some of ksqlDB's endpoints do not.
    is_typed: bool,
}

impl Refusal {
    pub(super) fn new(code: u32, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
            statement: None,
            entities: Vec::new(),
            is_of_text: false,
            rendered: None,
            is_typed: true,
        }
    }

    /// The refusal of a statement, after those before it gave `entities`.
    pub(super) fn of_statement(error: &Error, text: &str, entities: Vec<Value>) -> Refusal {
        if let Some(format) = wording::registered_format(error) {
            return Refusal::new(42801, unregistered(format, text));
        }
        let code = match code(error) {
            // It names the statement where a function is called.
            40001 if is_unknown_function(error) && begins_with_describe(text) => 40000,
            code => code,
        };
        // ksqlDB names the statement only where it is what is wrong.
        let statement = (![40000, 41700].contains(&code)).then(|| text.to_owned());
        let message = wording::message(error, text);
        let message = match code == 40001 && wording::is_of_query(error, text) {
            true => format!("Could not determine output schema for query due to error: {message}"),
            false => message,
        };
        Refusal { statement, entities, ..Refusal::new(code, message) }
    }

    /// The refusal of a statement by a code of its own.
    pub(super) fn statement(code: u32, message: impl Into<String>, text: &str) -> Refusal {
        Refusal { statement: Some(text.to_owned()), ..Refusal::new(code, message) }
    }

    /// The message on a WebSocket, which says whether the text cannot be read.
    pub(super) fn on_websocket(self) -> String {
        if self.is_unread() { format!("Error parsing query: {}", self.message) } else { self.message }
    }

    /// Whether the text could not be read, or names what is not there.
    pub(super) fn is_unread(&self) -> bool {
        self.is_of_text || self.message.starts_with(wording::UNPREPARED)
    }

    /// The same without the statement.
    pub(super) fn unnamed(self) -> Refusal {
        Refusal { statement: None, ..self }
    }

    /// The same without a content type.
    pub(super) fn untyped(mut self) -> Refusal {
        self.is_typed = false;
        self
    }

    /// The same with a content type.
    pub(super) fn typed(mut self) -> Refusal {
        self.is_typed = true;
        self
    }

    /// The refusal of a text that is no statement, or not one.
    pub(super) fn of_text(code: u32, message: impl Into<String>, text: &str) -> Refusal {
        Refusal { is_of_text: true, ..Refusal::statement(code, message, text) }
    }

    /// The refusal of a text of which a statement cannot be read.
    pub(super) fn unread(error: &Error, text: &str) -> Refusal {
        let message = wording::message(error, text);
        match wording::wrong_name(error) {
            Some(name) => Refusal::statement(40001, message, name),
            None => Refusal::of_text(40001, message, text),
        }
    }

    /// The same with the text at the end of its message if the text is what is wrong, as the endpoints of queries have
    /// it.
    pub(super) fn with_text(mut self) -> Refusal {
        if let Some(text) = self.statement.as_ref().filter(|_| self.is_of_text) {
            self.message = format!("{}\nStatement: {text}", self.message);
        }
        self
    }

    /// The same with the place of a syntax error as its cause.
    pub(super) fn with_cause(mut self) -> Refusal {
        let place = self.message.strip_prefix("line ").and_then(|rest| rest.split_once(": Syntax Error"));
        if let Some((place, _)) = place.filter(|_| self.is_of_text) {
            let cause = format!("line {place}: Syntax error at line {place}");
            self = self.with_text();
            self.message = format!("{}\nCaused by: {cause}", self.message);
        }
        self
    }

    /// The same with errors as a person reads them, in a text, if the client shows them so.
    pub(super) fn shown_as<'a>(
        mut self,
        name: Option<&str>,
        text: &str,
        errors: impl IntoIterator<Item = &'a Error>,
    ) -> Refusal {
        let rendered = |error: &Error| error.clone().in_source(text).render(name);
        self.rendered = name.map(|_| errors.into_iter().map(rendered).collect::<Vec<_>>().join("\n\n"));
        self
    }

    /// The object that is answered.
    pub(super) fn body(&self) -> Value {
        let mut body = self.fields();
        if let Some(rendered) = &self.rendered {
            body["rendered"] = rendered.as_str().into();
            // Where ksqlDB does not say them: for a client that shows them.
            body["entities"] = self.entities.as_slice().into();
        }
        body
    }

    fn fields(&self) -> Value {
        let (code, message) = (self.code, &self.message);
        match &self.statement {
            None => json!({ "@type": "generic_error", "error_code": code, "message": message }),
            Some(text) => json!({
                "@type": "statement_error",
                "error_code": code,
                "message": message,
                "statementText": text,
                "entities": self.entities,
            }),
        }
    }
}

/// How a client is asked who it is.
const ASKS_WHO: &str = "Basic realm=\"tidemill\", charset=\"UTF-8\"";

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = u16::try_from(self.code / 100).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let mut response =
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), self.body().to_string()).into_response();
        response.headers_mut().remove(header::CONTENT_TYPE);
        if self.code == 40100 {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static(ASKS_WHO));
        }
        if self.is_typed {
            response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(JSON));
        }
        response
    }
}

/// ksqlDB's code for an error of a statement.
fn code(error: &Error) -> u32 {
    match error.kind() {
        Kind::Backend | Kind::Bug => 50000,
        Kind::Assertion => 41700,
        Kind::Conflict if wording::is_topic_conflict(error.message()) => 50000,
        _ if GENERIC.iter().any(|start| error.message().starts_with(start)) => 40000,
        _ => 40001,
    }
}

/// What is said of a format that needs a registry of schemas; `text` is the completed statement.
fn unregistered(format: &str, text: &str) -> String {
    let topic = text.split_once("KAFKA_TOPIC='").and_then(|(_, rest)| rest.split('\'').next()).unwrap_or_default();
    format!("Cannot create topic '{topic}' with format {format} without configuring 'ksql.schema.registry.url'")
}

fn is_unknown_function(error: &Error) -> bool {
    error.message().starts_with("Can't find any functions with the name")
}

fn begins_with_describe(text: &str) -> bool {
    text.get(..8).is_some_and(|word| word.eq_ignore_ascii_case("DESCRIBE"))
}

/// How the messages begin that ksqlDB sends without the statement: what is wrong is not its text.
const GENERIC: &[&str] = &[
    "Topic '",
    "Cannot insert values into an unknown",
    "Cannot insert into ",
    "Cannot delete topic for read-only",
    "Could not find topic '",
    "Key format does not support schema",
    "Invalid config variable in the WITH clause",
];
