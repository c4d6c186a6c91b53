//! `GET /openapi.json`: the description of the API, made of the list of endpoints.

use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::endpoints::{self, Asked, Endpoint, Field, Operation};
use super::{access, small};
use crate::statements::Right;

/// The version of OpenAPI.
const OPENAPI: &str = "3.0.3";

/// The statuses that any endpoint may answer with, and when.
const ALWAYS: [(u16, &str); 12] = [
    (400, "the request, or a statement of it, is wrong"),
    (401, "a user and the right password are missing"),
    (403, "the user has another role than is needed"),
    (406, "the client takes none of the media types"),
    (408, "the body has not come in time"),
    (413, "the body is too large"),
    (414, "path and query are too long"),
    (417, "the request cannot be met as it is"),
    (429, "too much is asked at once"),
    (431, "the headers are too long"),
    (500, "the server has failed"),
    (503, "the server is shutting down, or has failed"),
];

/// `GET /openapi.json`.
pub(super) async fn openapi(headers: HeaderMap) -> Response {
    small::json_for(&headers, &described())
}

/// The description of all endpoints.
fn described() -> Value {
    let paths: Map<String, Value> =
        endpoints::ALL.iter().map(|endpoint| (endpoint.path.to_owned(), path(endpoint))).collect();
    json!({
        "openapi": OPENAPI,
        "info": {
            "title": "Tidemill",
            "description": "ksqlDB's API, and what Tidemill adds to it.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "basic": { "type": "http", "scheme": "basic" } },
            "schemas": { "Error": {
                "type": "object",
                "properties": { "error_code": { "type": "integer" }, "message": { "type": "string" } },
            } },
        },
    })
}

fn path(endpoint: &Endpoint) -> Value {
    let operations = endpoint.operations.iter();
    operations.map(|operation| (operation.method.to_owned(), described_at(endpoint.path, operation))).collect()
}

fn described_at(path: &str, operation: &Operation) -> Value {
    let mut description = json!({
        "summary": operation.summary,
        "operationId": format!("{} {path}", operation.method),
        "parameters": parameters(path, operation.asked),
        "responses": answers(operation),
    });
    if let Some(body) = body(operation.asked) {
        description["requestBody"] = body;
    }
    // Who asks has to be said only where there are users.
    if !access::is_open(path) {
        description["security"] = json!([{}, { "basic": [] }]);
    }
    let needed = access::needed(path);
    if needed > Right::Read {
        description["description"] = format!("Needs the role {}.", needed.name()).into();
    }
    description
}

/// The names in a path's brackets, and the fields in the query of an address.
fn parameters(path: &str, asked: Asked) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let fields = if let Asked::Address(fields) = asked { fields } else { &[] };
    // What is not a text stands there as JSON.
    let schema = |field: &Field| match field.kind {
        "string" => json!({ "schema": { "type": "string" } }),
        kind => json!({ "content": { "application/json": { "schema": { "type": kind } } } }),
    };
    let in_query = fields.iter().map(|field| {
        let mut parameter = schema(field);
        parameter["name"] = field.name.into();
        parameter["in"] = "query".into();
        parameter["description"] = field.summary.into();
        parameter["required"] = field.is_required.into();
        parameter
    });
    in_path.chain(in_query).collect()
}

fn body(asked: Asked) -> Option<Value> {
    let (media, schema) = match asked {
        Asked::Nothing | Asked::Address(_) => return None,
        Asked::Lines => ("application/json", json!({ "type": "string" })),
        Asked::Object(fields) => {
            let property = |field: &Field| {
                let mut schema = json!({ "type": field.kind, "description": field.summary });
                if field.kind == "array" {
                    schema["items"] = json!({ "type": "string" });
                }
                (field.name.to_owned(), schema)
            };
            let properties: Map<String, Value> = fields.iter().map(property).collect();
            let required: Vec<&str> = fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
            let mut schema = json!({ "type": "object", "properties": properties });
            if !required.is_empty() {
                schema["required"] = required.into();
            }
            ("application/json", schema)
        }
    };
    Some(json!({ "required": true, "content": { media: { "schema": schema } } }))
}

fn answers(operation: &Operation) -> Value {
    let error = json!({ "schema": { "$ref": "#/components/schemas/Error" } });
    let refusal = |(status, when): (u16, &str)| {
        (status.to_string(), json!({ "description": when, "content": { "application/json": error } }))
    };
    let content: Map<String, Value> =
        operation.answers.iter().map(|media| ((*media).to_owned(), json!({ "schema": {} }))).collect();
    let mut answers: Map<String, Value> = ALWAYS.into_iter().map(refusal).collect();
    let others = operation.others.iter().map(|status| (status.to_string(), json!({ "description": meaning(*status) })));
    answers.extend(others);
    if !operation.others.contains(&307) && !operation.others.contains(&101) {
        answers.insert("200".to_owned(), json!({ "description": "done", "content": content }));
    }
    answers.into()
}

/// What a status says that not every endpoint answers with.
fn meaning(status: u16) -> &'static str {
    match status {
        101 => "the WebSocket is open",
        204 => "nothing more comes: the browser has seen the last event",
        307 => "the same is found elsewhere",
        404 => "there is none, or it is switched off",
        405 => "the client does not take events",
        _ => "see the documentation",
    }
}
