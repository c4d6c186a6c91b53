//! What a statement shows: to a person as text or a table, to a program as an entity of ksqlDB's REST API.
//!
//! Both are made of the same facts by the statement itself. An entity is a JSON object whose field `@type` says which;
//! the service adds the statement's text and its warnings.

use serde_json::{Map, Value, json};

use super::Context;
use crate::catalog::{Query, Source};
use crate::engine::{Life, ShownQuery};
use crate::types::{Column, Role, SqlType};

/// An object of the REST API, without the fields that all of them have.
pub type Entity = Map<String, Value>;

/// What a statement shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// As a person reads it.
    pub shown: Shown,
    /// As a program reads it.
    pub entity: Entity,
}

/// What a person is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// A text, shown as it is.
    Message(String),
    /// Named columns, and rows with one text for each.
    Table {
        /// The headings.
        columns: Vec<&'static str>,
        /// The rows, in the order in which they are shown.
        rows: Vec<Vec<String>>,
    },
}

impl Reply {
    /// A text and its entity.
    pub(super) fn text(text: String, kind: &str, fields: Value) -> Reply {
        Reply { shown: Shown::Message(text), entity: entity(kind, fields) }
    }

    /// Rows under headings and their entity.
    pub(super) fn table(listed: Listed, kind: &str, fields: Value) -> Reply {
        let (columns, rows) = listed;
        Reply { shown: Shown::Table { columns, rows }, entity: entity(kind, fields) }
    }

    /// What TERMINATE says of a query whose rows were shown.
    pub(super) fn terminated(id: &str, was_there: bool) -> Reply {
        let fields = json!({ "queryId": id, "wasTerminated": was_there });
        Reply::text("Query terminated.".to_owned(), "terminate_query", fields)
    }

    /// What IF EXISTS and IF NOT EXISTS say when there is nothing to do.
    pub(super) fn nothing_to_do(message: String) -> Reply {
        let fields = json!({ "message": format!("{message}.") });
        Reply { shown: Shown::Message(message), entity: entity("warning_entity", fields) }
    }

    /// What is answered to a command that changes nothing, because it is so already.
    pub(super) fn nothing_changed(command: &str, message: String) -> Reply {
        let status = json!({ "status": "SUCCESS", "message": format!("{message}."), "queryId": null });
        let fields = json!({ "commandId": command, "commandStatus": status });
        Reply { shown: Shown::Message(message), entity: entity("currentStatus", fields) }
    }
}

/// Headings and rows; each row has a text for each heading.
pub(super) type Listed = (Vec<&'static str>, Vec<Vec<String>>);

fn entity(kind: &str, fields: Value) -> Entity {
    let mut entity = Map::new();
    entity.insert("@type".to_owned(), kind.into());
    if let Value::Object(fields) = fields {
        entity.extend(fields);
    }
    entity
}

/// A type as ksqlDB's `schemaInfo`: the base name, and what it is made of.
pub(super) fn schema_info(sql_type: &SqlType) -> Value {
    let (mut fields, mut member) = (Value::Null, Value::Null);
    match sql_type {
        SqlType::Struct(all) => {
            fields = all.iter().map(|f| json!({ "name": f.name, "schema": schema_info(&f.sql_type) })).collect();
        }
        SqlType::Array(item) | SqlType::Map(_, item) => member = schema_info(item),
        _ => {}
    }
    let mut info = json!({ "type": sql_type.base_name(), "fields": fields, "memberSchema": member });
    if let SqlType::Decimal { precision, scale } = sql_type {
        info["parameters"] = json!({ "precision": precision, "scale": scale });
    }
    info
}

/// Columns as ksqlDB's `fields`: the key first, each with its role unless it is a value.
pub fn fields(columns: &[Column]) -> Value {
    let field = |column: &Column| {
        let mut field = json!({ "name": column.name, "schema": schema_info(&column.sql_type) });
        match &column.role {
            Role::Key => field["type"] = "KEY".into(),
            Role::Value => {}
            Role::Headers(key) => {
                if let Some(key) = key {
                    field["headerKey"] = key.as_str().into();
                }
                field["type"] = "HEADER".into();
            }
        }
        field
    };
    columns.iter().map(field).collect()
}

/// A running query as lists of queries have it.
pub(super) fn query_state(query: &Query, cx: &Context) -> Value {
    let topic = cx.catalog.source(&query.sink).map(|sink| sink.topic.as_str());
    let is_failed = matches!(cx.engine.and_then(|engine| engine.life(&query.id)), Some(Life::Failed(_)));
    let (state, counted) = match query.pauses.is_empty() {
        _ if is_failed => ("ERROR", "ERROR"),
        true => ("RUNNING", "RUNNING"),
        false => ("RUNNING", "PAUSED"),
    };
    json!({
        "queryString": query.statement,
        "sinks": [query.sink],
        "sinkKafkaTopics": topic.into_iter().collect::<Vec<_>>(),
        "id": query.id,
        "statusCount": { counted: 1 },
        "queryType": "PERSISTENT",
        "state": state,
    })
}

/// A query whose rows are shown, as lists of queries have it.
pub(super) fn shown_query(query: &ShownQuery) -> Value {
    json!({
        "queryString": query.text,
        "sinks": [],
        "sinkKafkaTopics": [],
        "id": query.id,
        "statusCount": { "RUNNING": 1 },
        "queryType": "PUSH",
        "state": "RUNNING",
    })
}

/// A stream or table as lists of them have it.
pub(super) fn listed_source(source: &Source) -> Value {
    json!({
        "type": source.kind.name(),
        "name": source.name,
        "topic": source.topic,
        "keyFormat": source.key.format.name(),
        "valueFormat": source.value.format.name(),
        "isWindowed": source.window.is_some(),
    })
}

/// A stream or table with all that is known of it.
pub(super) fn source_description(source: &Source, cx: &Context, extended: bool) -> Value {
    let (readers, writers) = cx.catalog.queries_of(&source.name);
    let queries = |ids: &[&str]| -> Value {
        ids.iter().filter_map(|id| cx.catalog.query(id)).map(|query| query_state(query, cx)).collect()
    };
    let sinks = readers.iter().filter_map(|id| cx.catalog.query(id)).map(|query| query.sink.as_str());
    let mut constraints: Vec<&str> =
        sinks.filter(|sink| cx.catalog.source(sink).is_some_and(|s| s.query.is_some())).collect();
    constraints.dedup();
    json!({
        "name": source.name,
        "windowType": source.window.map(|window| window.kind.name()),
        "readQueries": queries(&readers),
        "writeQueries": queries(&writers),
        "fields": fields(source.schema.columns()),
        "type": source.kind.name(),
        "timestamp": source.timestamp.as_ref().map_or("", |timestamp| timestamp.column.as_str()),
        "statistics": "",
        "errorStats": "",
        "extended": extended,
        "keyFormat": source.key.format.name(),
        "valueFormat": source.value.format.name(),
        "topic": source.topic,
        "partitions": cx.catalog.topic(&source.topic).map_or(0, |topic| topic.partitions),
        "replication": 1,
        "statement": source.statement,
        "queryOffsetSummaries": [],
        "sourceConstraints": constraints,
        "clusterStatistics": [],
        "clusterErrorStats": [],
    })
}
