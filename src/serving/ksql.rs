//! `POST /ksql`: statements, validated whole, executed in order, each durable before it is answered.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::accept::{self, JSON, V1};
use super::otlp::Trace;
use super::refusal::Refusal;
use super::request::{self, Asked};
use super::users::Caller;
use super::wording::{self, Named};
use super::{Service, overrides, small};
use crate::config;
use crate::engine::Committed;
use crate::error::Error;
use crate::ids::Version;
use crate::statements::{self, Nature, Outcome, Parsed, Reply, Session, Shown};
use crate::types::quoted;

/// How long a statement waits for the command that must come before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(10);

/// `POST /ksql`.
pub(super) async fn ksql(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Response> {
    if accept::choose(request.headers(), &[JSON, V1], JSON).is_none() {
        return Err(small::not_acceptable());
    }
    let trace = Trace::of(&request);
    let body = service.bodies.read(request.into_body()).await.map_err(Refusal::into_response)?;
    let asked = Asked::read(&body, request::OLD).map_err(Refusal::into_response)?.traced(trace);
    wait_for(&service, asked.sequence).await.map_err(Refusal::into_response)?;
    let entities = on_a_thread(move || execute(&service, &asked, &caller)).await.map_err(Refusal::into_response)?;
    Ok(([(header::CONTENT_TYPE, JSON)], Value::Array(entities).to_string()).into_response())
}

/// Does what may wait, away from the threads that serve connections.
pub(super) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Refusal::new(50000, "The server encountered an internal error.")))
}

/// Executes the statements of a request; an entity for each that has one.
fn execute(service: &Service, asked: &Asked, caller: &Caller) -> Result<Vec<Value>, Refusal> {
    let text = asked.text.as_deref().unwrap_or_default();
    let mut session = asked.session(service)?;
    let name = asked.shown_as.as_deref();
    let parsed = asked.trace.step("parse", || parse(service, text, name))?;
    asked.trace.has(&parsed);
    let access = &service.setup.access;
    parsed.iter().try_for_each(|statement| access.may(caller, statement.needs, &first_words(&statement.text)))?;
    asked.trace.step("plan", || check(service, &session, &parsed, asked))?;
    let mut entities = Vec::new();
    for statement in &parsed {
        match asked.trace.step_of("execute", Some(statement), || session.run(statement)) {
            Ok(outcome) => {
                let shown = name.map(|_| shown(&outcome));
                let text = |is_done: bool| match is_done {
                    true => session.completed(statement),
                    false => session.spelled(statement),
                };
                let Some(mut entity) = entity(service, outcome, text) else { continue };
                overrides::show(&asked.properties, &mut entity);
                if let Some(shown) = shown {
                    entity["shown"] = shown;
                }
                entities.push(entity);
            }
            Err(error) => {
                let error = error.at(statement.span);
                let named = named(&session, statement, &error, || session.completed(statement));
                let refusal = Refusal::of_statement(&error, &named, entities);
                return Err(refusal.shown_as(name, text, [&error]));
            }
        }
    }
    Ok(entities)
}

/// How a statement begins, to name it.
fn first_words(text: &str) -> String {
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// What a person is shown of an outcome.
fn shown(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Changed { committed, hint } => {
            json!({ "message": committed.change.message, "warnings": committed.change.warnings, "hint": hint })
        }
        Outcome::Done { message, warnings } => json!({ "message": message, "warnings": warnings }),
        Outcome::Reply(Reply { shown: Shown::Message(text), .. }) => json!({ "text": text }),
        Outcome::Reply(Reply { shown: Shown::Table { columns, rows }, .. }) => {
            json!({ "columns": columns, "rows": rows })
        }
        Outcome::Rows(_) | Outcome::Push { .. } | Outcome::Print { .. } => Value::Null,
    }
}

/// The statements of a text.
///
/// # Errors
/// The first syntax error; the whole text is named as the statement, as ksqlDB does.
pub(super) fn parse(service: &Service, text: &str, shown_as: Option<&str>) -> Result<Vec<Parsed>, Refusal> {
    statements::parse_within(text, service.bounds()).map_err(|errors| match errors.first() {
        Some(error) => Refusal::unread(error, text).shown_as(shown_as, text, &errors),
        None => Refusal::new(50000, "a text without errors was refused"),
    })
}

/// The number by which a client refers to the command that was executed at this version of the catalog.
///
/// ksqlDB counts the markers of transactions too, so that numbers rise by two.
fn sequence_number(version: Version) -> i64 {
    version.get() as i64 * 2
}

/// Waits until a command has been executed.
///
/// # Errors
/// It was not in time.
pub(super) async fn wait_for(service: &Service, sequence: Option<i64>) -> Result<(), Refusal> {
    let Some(sequence) = sequence.filter(|sequence| *sequence >= 0) else { return Ok(()) };
    let mut waited = Duration::ZERO;
    while sequence_number(service.engine.catalog().version) <= sequence {
        if waited >= PATIENCE {
            let message = format!(
                "Timed out while waiting for a previous command to execute. command sequence number: {sequence}"
            );
            return Err(Refusal::new(50301, message));
        }
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
    Ok(())
}

/// Checks all statements before any is executed.
///
/// # Errors
/// The first refusal.
fn check(service: &Service, session: &Session, parsed: &[Parsed], asked: &Asked) -> Result<(), Refusal> {
    let text = asked.text.as_deref().unwrap_or_default();
    let mut dry_run = session.dry_run();
    for statement in parsed {
        match dry_run.check(statement) {
            Ok(Nature::Pull | Nature::Scan | Nature::Push | Nature::Print) => {
                let message = "The following statement types should be issued to the websocket endpoint '/query':\n\t* \
                               PRINT\n\t* SELECT";
                return Err(Refusal::statement(40002, message, &statement.text));
            }
            Ok(Nature::Change | Nature::Other) => {}
            Err(error) => {
                let error = denied(service, error);
                let named = named(session, statement, &error, || dry_run.completed(statement));
                let refusal = Refusal::of_statement(&error, &named, Vec::new());
                let Some(name) = asked.shown_as.as_deref() else { return Err(refusal) };
                let all = session.dry_run().check_all(parsed.iter()).err().unwrap_or_default();
                let all: Vec<Error> = all.into_iter().map(|(place, error)| error.at(parsed[place].span)).collect();
                return Err(refusal.shown_as(Some(name), text, &all));
            }
        }
    }
    let (limit, before) = (service.engine.properties().size(config::ACTIVE_LIMIT), service.engine.catalog());
    let count = dry_run.queries();
    if count > limit && count > before.queries().len() {
        let message = format!(
            "Not executing statement(s) '{text}' as it would cause the number of active, persistent queries to exceed the \
             configured limit. Use the TERMINATE command to terminate existing queries, or increase the \
             'ksql.query.persistent.active.limit' setting via the 'ksql-server.properties' file. Current persistent query \
             count: {count}. Configured limit: {limit}.\nStatement: {text}"
        );
        return Err(Refusal::new(40000, message));
    }
    Ok(())
}

/// The refusal of a property that is unknown here, if it is one that nobody may set.
fn denied(service: &Service, error: Error) -> Error {
    let name = error.message().strip_prefix("Unknown property: ").map(str::to_owned);
    match name.filter(|name| service.denied().contains(name)) {
        Some(name) => error.saying(statements::denied(&name)),
        None => error,
    }
}

/// The statement as its refusal names it.
fn named(session: &Session, statement: &Parsed, error: &Error, completed: impl FnOnce() -> String) -> String {
    match wording::named(error) {
        Named::Completed => completed(),
        Named::Written => session.spelled(statement),
        Named::Part(part) => part,
    }
}

/// What is answered of a statement; nothing of those that only change the session or append a record. `text` is the
/// statement, completed if it was done.
fn entity(service: &Service, outcome: Outcome, text: impl FnOnce(bool) -> String) -> Option<Value> {
    match outcome {
        Outcome::Changed { committed, .. } => {
            service.commands.executed(&committed);
            Some(current_status(&committed, || text(true)))
        }
        Outcome::Done { warnings, .. } => {
            let message = warnings.into_iter().next()?;
            let fields = Map::from_iter([("message".to_owned(), message.into())]);
            Some(with_text("warning_entity", fields, text(false)))
        }
        Outcome::Reply(reply) => {
            let mut fields = reply.entity;
            let kind = fields.remove("@type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
            if kind == "currentStatus" {
                // It comes after the last command and before the next.
                let number = (sequence_number(service.engine.catalog().version) - 1).max(0);
                fields.insert("commandSequenceNumber".to_owned(), number.into());
            }
            let text = text(kind != "warning_entity");
            Some(with_text(&kind, fields, text))
        }
        // The check has refused what shows rows.
        Outcome::Rows(_) | Outcome::Push { .. } | Outcome::Print { .. } => None,
    }
}

/// An entity with the fields that all of them have.
fn with_text(kind: &str, fields: Map<String, Value>, text: String) -> Value {
    let mut entity = Map::new();
    entity.insert("@type".to_owned(), kind.into());
    entity.insert("statementText".to_owned(), text.into());
    entity.extend(fields);
    entity.insert("warnings".to_owned(), json!([]));
    Value::Object(entity)
}

/// The state of a command that was executed.
fn current_status(committed: &Committed, text: impl FnOnce() -> String) -> Value {
    let change = &committed.change;
    let warnings: Vec<Value> = change.warnings.iter().map(|warning| json!({ "message": warning })).collect();
    json!({
        "@type": "currentStatus",
        "statementText": change.completed.clone().unwrap_or_else(text),
        "commandId": change.command,
        "commandStatus": { "status": "SUCCESS", "message": change.message, "queryId": committed.query },
        "commandSequenceNumber": sequence_number(committed.version),
        "warnings": warnings,
    })
}

/// Ends all queries and removes what they made; topics whose names fit one of the patterns are deleted with it.
///
/// # Errors
/// A pattern is none, or the engine cannot commit.
pub(super) fn terminate_cluster(service: &Service, patterns: &[String]) -> Result<Value, Refusal> {
    let invalid = |pattern: &String| Refusal::new(40000, format!("Invalid pattern: {pattern}"));
    let patterns: Vec<fancy_regex::Regex> = patterns
        .iter()
        .map(|pattern| fancy_regex::Regex::new(&format!("^(?:{pattern})$")).map_err(|_| invalid(pattern)))
        .collect::<Result<_, _>>()?;
    let version = service.engine.catalog().version;
    let mut session = Session::new(&service.engine, crate::config::Properties::default());
    let mut run = |text: &str| -> Result<(), Refusal> {
        for statement in &parse(service, text, None)? {
            session.run(statement).map_err(|error| Refusal::of_statement(&error, text, Vec::new()))?;
        }
        Ok(())
    };
    run("TERMINATE ALL;")?;
    let catalog = service.engine.catalog();
    for source in catalog.sources().filter(|source| source.query.is_some()) {
        let deletes = patterns.iter().any(|pattern| pattern.is_match(&source.topic).unwrap_or(false));
        let delete = if deletes { " DELETE TOPIC" } else { "" };
        let drop = |delete: &str| format!("DROP {} IF EXISTS {}{delete};", source.kind.name(), quoted(&source.name));
        // A topic that others are over stays, and so does a source that others read.
        if run(&drop(delete)).is_err() {
            let _ = run(&drop(""));
        }
    }
    service.terminated();
    service.engine.end_all_shown();
    let status = json!({ "status": "QUEUED", "message": "Statement written to command topic", "queryId": null });
    Ok(json!({
        "@type": "currentStatus",
        "statementText": "TERMINATE CLUSTER;",
        "commandId": "terminate/CLUSTER/execute",
        "commandStatus": status,
        "commandSequenceNumber": sequence_number(version),
        "warnings": [],
    }))
}
