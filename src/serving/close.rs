//! `POST /close-query`: ends a query whose rows are being shown.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::refusal::Refusal;
use super::{Service, request};

/// `POST /close-query`.
pub(super) async fn close_query(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let body = service.bodies.read(request.into_body()).await?;
    let fields = request::object(&body)?;
    let Some(Value::String(id)) = fields.get("queryId") else {
        return Err(Refusal::new(40000, "Invalid JSON in request: \"queryId\" must be a text").untyped());
    };
    match service.engine.end_shown(id) {
        true => Ok(StatusCode::OK.into_response()),
        false => Err(Refusal::new(40000, format!("No query with id {id}")).untyped()),
    }
}
