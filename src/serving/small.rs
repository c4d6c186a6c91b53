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

/// The id of the service, which stands before the names of what belongs to it.
const SERVICE_ID: &str = "default_";

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
fn json_for(headers: &HeaderMap, value: &Value) -> Response {
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
pub(super) async fn is_valid_property(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    if name == "ksql.service.id" {
        let message = format!(
            "One or more properties overrides set locally are prohibited by the KSQL server (use UNSET to reset their \
             default value): [{name}]"
        );
        return Err(Refusal::new(40000, message));
    }
    Ok(json_for(&headers, &Value::Bool(true)))
}

/// `GET /clusterStatus`, where there is one node only.
pub(super) async fn no_cluster(headers: HeaderMap) -> Response {
    match accept::choose(&headers, &[JSON, V1], JSON) {
        Some(_) => (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, JSON)]).into_response(),
        None => not_acceptable(),
    }
}

/// `POST /heartbeat` and `POST /lag`, where there are no other nodes.
pub(super) async fn no_peer(request: Request) -> Result<Response, Refusal> {
    request::object(&request::all(request.into_body()).await?)?;
    Ok((StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, JSON)]).into_response())
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

/// `POST /ksql/terminate`: ends all queries and takes no more requests; deletes the topics that are named of sources
/// that queries made.
pub(super) async fn terminate(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let fields = request::object(&request::all(request.into_body()).await?)?;
    let patterns = match fields.get("deleteTopicList") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(all)) => all.iter().filter_map(|pattern| pattern.as_str().map(str::to_owned)).collect(),
        Some(_) => {
            let message = "Invalid JSON in request: \"deleteTopicList\" must be a list of texts";
            return Err(Refusal::new(40000, message).untyped());
        }
    };
    let entity = ksql::on_a_thread(move || ksql::terminate_cluster(&service, &patterns)).await?;
    Ok(([(header::CONTENT_TYPE, JSON)], json!([entity]).to_string()).into_response())
}

impl Service {
    /// Refuses everything from now on.
    pub(super) fn terminated(&self) {
        self.is_terminated.store(true, Ordering::SeqCst);
    }
}
