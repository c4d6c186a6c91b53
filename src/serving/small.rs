//! The small endpoints: what can be asked of a server besides statements.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::accept::{self, JSON, V1};
use super::refusal::Refusal;
use super::{Service, ksql, request};
use crate::catalog::SourceKind;
use crate::{config, statements};

/// The id of the service, which stands before the names of what belongs to it.
const SERVICE_ID: &str = "default_";

/// The property of this id, which nobody may change.
const SERVICE_ID_NAME: &str = "ksql.service.id";

/// The version of ksqlDB whose API this is.
///
/// Clients look at it to find out what a server can do.
const API_VERSION: &str = "7.9.9";

/// The id of the cluster that has the topics.
const CLUSTER_ID: &str = "tidemill";

/// The answer to a client that takes nothing of what there is.
pub(super) fn not_acceptable() -> Response {
    StatusCode::NOT_ACCEPTABLE.into_response()
}

/// A JSON value, if the client takes JSON.
pub(super) fn json_for(headers: &HeaderMap, value: &Value) -> Response {
    match accept::choose(headers, &[JSON, V1], JSON) {
        Some(_) => ([(header::CONTENT_TYPE, JSON)], value.to_string()).into_response(),
        None => not_acceptable(),
    }
}

/// `GET /`.
pub(super) async fn root() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/info")]).into_response()
}

/// `GET /info`.
pub(super) async fn info(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let status = if service.engine.failure().is_some() { "ERROR" } else { "RUNNING" };
    let info = json!({
        "version": API_VERSION,
        "kafkaClusterId": CLUSTER_ID,
        "ksqlServiceId": SERVICE_ID,
        "serverStatus": status,
    });
    json_for(&headers, &json!({ "KsqlServerInfo": info }))
}

/// `GET /healthcheck`.
pub(super) async fn health(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let is_healthy = service.engine.failure().is_none();
    let part = json!({ "isHealthy": is_healthy });
    let details = json!({ "metastore": part, "kafka": part, "commandRunner": part });
    json_for(&headers, &json!({ "isHealthy": is_healthy, "details": details, "serverState": "READY" }))
}

/// `GET /status`.
pub(super) async fn statuses(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let all: Map<String, Value> =
        service.commands.names().into_iter().map(|name| (name, Value::from("SUCCESS"))).collect();
    json_for(&headers, &json!({ "commandStatuses": all }))
}

/// `GET /status/{kind}/{entity}/{action}`.
pub(super) async fn status(
    State(service): State<Arc<Service>>,
    Path((kind, entity, action)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let kinds = ["topic", "stream", "table", "type", "terminate", "user", "cluster", "pause", "resume", "alter_system"];
    let actions = ["create", "drop", "execute", "alter", "terminate"];
    for (word, known, class) in [(&kind, &kinds[..], "Type"), (&action, &actions[..], "Action")] {
        if !known.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            let message =
                format!("No enum constant io.confluent.ksql.rest.entity.CommandId.{class}.{}", word.to_uppercase());
            return Err(Refusal::new(50000, message).untyped());
        }
    }
    let Some(status) = service.commands.get(&format!("{kind}/{entity}/{action}")) else {
        return Err(Refusal::new(40400, "Command not found"));
    };
    let status = json!({ "status": "SUCCESS", "message": status.message, "queryId": status.query });
    Ok(json_for(&headers, &status))
}

/// `GET /is_valid_property/{name}`: ksqlDB takes every name but those that nobody may set.
pub(super) async fn is_valid_property(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if service.denied().contains(&name) {
        return Err(Refusal::new(40000, statements::denied(&name)));
    }
    Ok(json_for(&headers, &Value::Bool(true)))
}

/// `GET /clusterStatus`: there is one node, and it is alive.
pub(super) async fn cluster_status(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    if !service.engine.properties().flag(config::HEARTBEAT) {
        return match accept::choose(&headers, &[JSON, V1], JSON) {
            Some(_) => switched_off(),
            None => not_acceptable(),
        };
    }
    let catalog = service.engine.catalog();
    let queries: Map<String, Value> = catalog
        .queries()
        .into_iter()
        .map(|query| {
            let topics = query.reads.iter().filter_map(|name| catalog.topic(&catalog.source(name)?.topic));
            let partitions = topics.flat_map(|topic| {
                (0..topic.partitions).map(|partition| json!({ "topic": topic.name, "partition": partition }))
            });
            let is_table = catalog.source(&query.sink).is_some_and(|sink| sink.kind == SourceKind::Table);
            let stores: &[&str] = if is_table { &["Aggregate-Aggregate-Materialize"] } else { &[] };
            let parts = json!({
                "activeStores": stores,
                "activePartitions": partitions.collect::<Vec<_>>(),
                "standByStores": [],
                "standByPartitions": [],
            });
            (query.id.clone(), parts)
        })
        .collect();
    let now_ms = service.engine.clock().wall_ms();
    let node = json!({
        "hostAlive": true,
        "lastStatusUpdateMs": now_ms,
        "activeStandbyPerQuery": queries,
        "hostStoreLags": { "stateStoreLags": {}, "updateTimeMs": now_ms, "size": 0 },
    });
    json_for(&headers, &json!({ "clusterStatus": { &service.setup.node: node } }))
}

/// The answer of what is switched off.
fn switched_off() -> Response {
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, JSON)]).into_response()
}

/// `POST /heartbeat`: taken, since other nodes may be told of this one; nothing is done.
pub(super) async fn heartbeat(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    request::object(&service.bodies.read(request.into_body()).await?)?;
    Ok(told(&service, config::HEARTBEAT))
}

/// `POST /lag`: the same.
pub(super) async fn lag(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    request::object(&service.bodies.read(request.into_body()).await?)?;
    Ok(told(&service, config::LAG_REPORTING))
}

fn told(service: &Service, switch: &'static str) -> Response {
    match service.engine.properties().flag(switch) {
        true => ([(header::CONTENT_TYPE, JSON)], json!({ "isOk": true }).to_string()).into_response(),
        false => switched_off(),
    }
}

fn cluster() -> Value {
    let clusters = json!({ "kafka-cluster": CLUSTER_ID, "ksql-cluster": SERVICE_ID });
    json!({ "scope": { "path": [], "clusters": clusters }, "id": "" })
}

/// `GET /v1/metadata`.
pub(super) async fn metadata(headers: HeaderMap) -> Response {
    json_for(&headers, &json!({ "version": API_VERSION, "clusterId": cluster() }))
}

/// `GET /v1/metadata/id`.
pub(super) async fn metadata_id(headers: HeaderMap) -> Response {
    json_for(&headers, &cluster())
}

/// `GET /chc/ready` and `GET /chc/live`.
pub(super) async fn alive(headers: HeaderMap) -> Response {
    json_for(&headers, &json!({}))
}

/// `GET /export`: the statements that made what exists, as a script.
pub(super) async fn export(State(service): State<Arc<Service>>) -> Response {
    statements::export(&service.engine.statements()).into_response()
}

/// `GET /livez`: whether the process is worth keeping.
pub(super) async fn live(State(service): State<Arc<Service>>) -> Response {
    ok_unless_failed(&service, StatusCode::INTERNAL_SERVER_ERROR)
}

/// `GET /readyz`: whether requests should be sent here. A query whose state is still being read does not stand in the
/// way: others answer.
pub(super) async fn ready(State(service): State<Arc<Service>>) -> Response {
    ok_unless_failed(&service, StatusCode::SERVICE_UNAVAILABLE)
}

/// Why the engine has failed, with this status, or that it has not.
fn ok_unless_failed(service: &Service, failed: StatusCode) -> Response {
    match service.engine.failure() {
        None => "ok\n".into_response(),
        Some(error) => (failed, format!("{error}\n")).into_response(),
    }
}

/// `POST /ksql/terminate`: ends all queries and takes no more requests; deletes the topics that are named of sources
/// that queries made.
pub(super) async fn terminate(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let fields = request::object(&service.bodies.read(request.into_body()).await?)?;
    let patterns = match fields.get("deleteTopicList") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(all)) => all.iter().filter_map(|pattern| pattern.as_str().map(str::to_owned)).collect(),
        Some(other) => return Err(request::wrong("deleteTopicList", other, "a list of texts")),
    };
    let entity = ksql::on_a_thread(move || ksql::terminate_cluster(&service, &patterns)).await?;
    Ok(([(header::CONTENT_TYPE, JSON)], json!([entity]).to_string()).into_response())
}

impl Service {
    /// The names of the properties that clients may not set.
    pub(super) fn denied(&self) -> Vec<String> {
        let listed = self.engine.properties().text(config::DENY_LIST).split(',').map(str::trim);
        listed.filter(|name| !name.is_empty()).chain([SERVICE_ID_NAME]).map(str::to_owned).collect()
    }

    /// Refuses everything from now on.
    pub(super) fn terminated(&self) {
        self.is_terminated.store(true, Ordering::SeqCst);
    }
}
