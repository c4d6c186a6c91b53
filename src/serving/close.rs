//! `POST /close-query`: ends a query whose rows are being shown.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::refusal::Refusal;
use super::users::Caller;
use super::{Service, request};

/// `POST /close-query`.
pub(super) async fn close_query(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = service.bodies.read(request.into_body()).await?;
    let fields = request::object(&body)?;
    let id = match fields.get("queryId") {
        Some(Value::String(id)) => id,
        Some(other) => return Err(request::wrong("queryId", other, "a text")),
        None => return Err(request::missing("queryId")),
    };
    let is_there = service.engine.shown_queries().iter().any(|query| query.id == *id);
    if is_there {
        service.owners.may_end(id, &caller)?;
    }
    match is_there && service.engine.end_shown(id) {
        true => Ok(StatusCode::OK.into_response()),
        false => Err(Refusal::new(40000, format!("No query with id {id}")).untyped()),
    }
}
