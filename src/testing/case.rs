//! Cases as files have them.
//!
//! The form is that of ksqlDB's query translation tests and REST query tests: JSON with Java's comments, `{FORMAT}` and
//! `{CONFIG}` as placeholders, and one case for each format and configuration named.

use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A case, expanded for one format and one configuration.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name without its ending.
    pub file: String,
    /// The name in the file, with the format and the configuration that were put in.
    ///
    /// As ksqlDB's runner names it: `name - FORMAT - property=value`.
    pub name: String,
    /// The statements, each with its semicolon, in the order of execution.
    pub statements: Vec<String>,
    /// Properties that are set before the first statement.
    pub properties: Map<String, Value>,
    /// Topics that exist before the first statement.
    pub topics: Vec<CaseTopic>,
    /// Records that are written to the topics, in this order.
    pub inputs: Vec<CaseRecord>,
    /// Records that must be in the topics afterwards.
    pub outputs: Vec<CaseRecord>,
    /// `None` if the statements must be accepted.
    pub expected_exception: Option<ExpectedException>,
    /// What must be in the catalog afterwards; `None` if the case does not say.
    pub post: Option<Post>,
    /// `None` for a case that does not go through the service.
    pub rest: Option<RestCase>,
}

/// What a case expects of the service.
#[derive(Clone, Debug, Default)]
pub struct RestCase {
    /// First those to statements, then those to queries, then those to queries whose rows are sent in Protobuf.
    pub responses: Vec<Response>,
    /// `None` if all statements and queries must be accepted.
    pub expected_error: Option<ExpectedError>,
    /// Whether the input comes only when the query is already running.
    pub waits_for_push: bool,
    /// Whether the order of rows counts.
    pub verifies_order: bool,
}

/// What is expected of one answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Response {
    /// The entity of a statement; fields that are not named are not compared.
    Admin(Value),
    /// The elements of a query's answer.
    Query(Vec<Value>),
    /// The same, with each row as the text of a Protobuf message.
    QueryProto(Vec<Value>),
}

/// The refusal by the service that is expected.
#[derive(Clone, Debug, Deserialize)]
pub struct ExpectedError {
    /// The class of ksqlDB's entity.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Only the names in its quotes are compared.
    pub message: Option<String>,
    /// The status of HTTP.
    pub status: Option<u16>,
}

#[derive(Deserialize)]
struct File {
    tests: Vec<RawCase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCase {
    name: String,
    statements: Vec<String>,
    #[serde(default)]
    format: Vec<String>,
    #[serde(default)]
    config: Vec<String>,
    #[serde(default)]
    properties: Map<String, Value>,
    #[serde(default)]
    topics: Vec<CaseTopic>,
    #[serde(default)]
    inputs: Vec<CaseRecord>,
    #[serde(default)]
    outputs: Vec<CaseRecord>,
    expected_exception: Option<ExpectedException>,
    post: Option<Post>,
    responses: Option<Vec<Response>>,
    expected_error: Option<ExpectedError>,
    input_conditions: Option<InputConditions>,
    output_conditions: Option<OutputConditions>,
    #[serde(default = "yes")]
    enabled: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InputConditions {
    #[serde(default)]
    wait_for_active_push_query: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutputConditions {
    #[serde(default)]
    verify_order: bool,
}

impl RawCase {
    /// What is expected of the service, if the case goes through it: it says so, or its statements make no query and no
    /// refusal of the engine is expected.
    fn rest(&self) -> Option<RestCase> {
        let says = self.responses.is_some()
            || self.expected_error.is_some()
            || self.input_conditions.is_some()
            || self.output_conditions.is_some();
        let makes_query = self.statements.iter().any(|s| s.to_ascii_uppercase().contains("SELECT"));
        (says || (!makes_query && self.expected_exception.is_none())).then(|| RestCase {
            responses: self.responses.clone().unwrap_or_default(),
            expected_error: self.expected_error.clone(),
            waits_for_push: self.input_conditions.as_ref().is_some_and(|c| c.wait_for_active_push_query),
            verifies_order: self.output_conditions.as_ref().is_some_and(|c| c.verify_order),
        })
    }
}

fn yes() -> bool {
    true
}

/// A topic that is there before the statements run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseTopic {
    pub name: String,
    /// 1 if it does not say.
    pub partitions: Option<u32>,
    /// Of a Schema Registry; a case with one is skipped.
    pub key_schema: Option<Value>,
    /// Likewise.
    pub value_schema: Option<Value>,
}

/// A record, given or expected.
#[derive(Clone, Debug, Deserialize)]
pub struct CaseRecord {
    /// By name; made with four partitions if nothing else makes it.
    pub topic: String,
    /// As JSON; `None` and `null` mean no key.
    pub key: Option<Box<RawValue>>,
    /// As JSON; `None` and `null` mean a tombstone.
    pub value: Option<Box<RawValue>>,
    /// Milliseconds since the epoch. Given: 0 if it does not say. Expected: any time will do if it does not say.
    pub timestamp: Option<i64>,
    /// Only expected records can have one.
    pub window: Option<CaseWindow>,
    #[serde(default)]
    pub headers: Vec<CaseHeader>,
}

/// The window of a record's key.
#[derive(Clone, Debug, Deserialize)]
pub struct CaseWindow {
    /// Milliseconds since the epoch, inside of the window.
    pub start: i64,
    /// Milliseconds since the epoch, outside of the window.
    pub end: i64,
    #[serde(rename = "type")]
    pub kind: String,
}

/// A header of a record.
#[derive(Clone, Debug, Deserialize)]
pub struct CaseHeader {
    #[serde(rename = "KEY")]
    pub key: String,
    /// In base64; `None` is a header without a value.
    #[serde(rename = "VALUE")]
    pub value: Option<String>,
}

/// The refusal that is expected.
#[derive(Clone, Debug, Deserialize)]
pub struct ExpectedException {
    /// The class of ksqlDB's exception; one of Kafka Streams means that the query fails while it runs.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Only the names in its quotes are compared.
    pub message: Option<String>,
}

/// What is expected besides records.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Post {
    /// Others may exist.
    #[serde(default)]
    pub sources: Vec<PostSource>,
}

/// A source that is expected.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostSource {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// The columns as a statement declares them.
    pub schema: Option<String>,
    pub key_format: Option<PostKeyFormat>,
    pub value_format: Option<String>,
}

/// How the keys of an expected source are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostKeyFormat {
    pub format: Option<String>,
    pub window_type: Option<String>,
    /// In milliseconds; `None` for sessions.
    pub window_size: Option<i64>,
}

/// The cases of a file, expanded.
///
/// Cases with `"enabled": false` are left out.
///
/// # Errors
/// Kind `Backend` if the file cannot be read, `Invalid` if it is not of this form or a case has an unknown field.
pub(super) fn load(path: &Path) -> Result<Vec<Case>> {
    let text =
        std::fs::read_to_string(path).map_err(|e| Error::backend(format!("{} cannot be read: {e}", path.display())))?;
    let text = without_comments(&text);
    let wrong = |e| Error::invalid(format!("{} is no file of cases: {e}", path.display()));
    check_fields(&text, path)?;
    let file: File = serde_json::from_str(&text).map_err(wrong)?;
    let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let enabled = file.tests.into_iter().filter(|case| case.enabled);
    Ok(enabled.flat_map(|case| expand(&name, case)).collect())
}

/// The fields that a case may have. Those of ksqlDB's tests that say nothing about records are read over.
const FIELDS: &[&str] = &[
    "comments",
    "config",
    "description",
    "enabled",
    "expectedError",
    "expectedException",
    "format",
    "inputConditions",
    "inputs",
    "name",
    "outputConditions",
    "outputs",
    "post",
    "properties",
    "responses",
    "statements",
    "testPullWithProtoFormat",
    "topics",
    "versions",
];

/// Refuses cases with fields that no case has: a mistyped `outputs` would pass without a look at any record.
fn check_fields(text: &str, path: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Names {
        #[serde(default)]
        tests: Vec<Map<String, Value>>,
    }
    // What is not even JSON is reported by whoever reads the cases.
    let Ok(Names { tests }) = serde_json::from_str(text) else { return Ok(()) };
    for (place, case) in tests.iter().enumerate() {
        let Some(name) = case.keys().find(|name| !FIELDS.contains(&name.as_str())) else { continue };
        let number = (place + 1).to_string();
        let title = case.get("name").and_then(Value::as_str).unwrap_or(&number);
        let error = Error::invalid(format!("{}: case '{title}' has an unknown field '{name}'", path.display()));
        return Err(error.suggest(name, FIELDS.iter().copied(), |known| format!("'{known}'")));
    }
    Ok(())
}

/// One case for every format and every configuration.
fn expand(file: &str, raw: RawCase) -> Vec<Case> {
    let alternatives = |all: &[String]| -> Vec<Option<String>> {
        if all.is_empty() { vec![None] } else { all.iter().cloned().map(Some).collect() }
    };
    let rest = raw.rest();
    let mut cases = Vec::new();
    for format in alternatives(&raw.format) {
        for config in alternatives(&raw.config) {
            let mut name = raw.name.clone();
            let mut properties = raw.properties.clone();
            if let Some(format) = &format {
                name.push_str(&format!(" - {format}"));
            }
            if let Some(config) = &config {
                for (property, value) in &mut properties {
                    if value.as_str().is_some_and(|v| v.eq_ignore_ascii_case("{CONFIG}")) {
                        *value = Value::String(config.clone());
                        name.push_str(&format!(" - {property}={config}"));
                    }
                }
            }
            let replace = |s: &String| format.as_ref().map_or_else(|| s.clone(), |f| s.replace("{FORMAT}", f));
            cases.push(Case {
                file: file.to_owned(),
                name,
                statements: raw.statements.iter().map(replace).collect(),
                properties,
                topics: raw.topics.clone(),
                inputs: raw.inputs.clone(),
                outputs: raw.outputs.clone(),
                expected_exception: raw.expected_exception.clone(),
                post: raw.post.clone(),
                rest: rest.clone(),
            });
        }
    }
    cases
}

/// The text with comments in the manner of Java replaced by blanks.
///
/// Comments in quotes stay. Line ends stay too, so places in error messages are right.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quoted = false;
    while let Some(c) = rest.chars().next() {
        let skip = if quoted && c == '\\' {
            2
        } else if c == '"' {
            quoted = !quoted;
            1
        } else if !quoted && rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |at| &rest[at..]);
            continue;
        } else if !quoted && rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |at| &rest[at + 2..]);
            continue;
        } else {
            1
        };
        let length: usize = rest.chars().take(skip).map(char::len_utf8).sum();
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_left_out_but_not_in_texts() {
        assert_eq!(
            without_comments("{\"a\": \"//\\\"/*\" /* x */, // y\n\"b\": 1}"),
            "{\"a\": \"//\\\"/*\" , \n\"b\": 1}"
        );
    }
}
