//! The queries whose rows are being shown: by their ids they can be ended from outside.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::Notify;

use super::refusal::Refusal;
use super::{Service, request};
use crate::locks::lock;

/// The queries that are open.
#[derive(Default)]
pub(super) struct OpenQueries(Mutex<HashMap<String, Arc<Closing>>>);

/// The wish that a query ends.
#[derive(Default)]
pub(super) struct Closing {
    is_asked: AtomicBool,
    asked: Notify,
}

/// An open query; dropping it takes it from the list.
pub(super) struct Open {
    service: Arc<Service>,
    id: String,
    pub closing: Arc<Closing>,
}

impl Closing {
    fn ask(&self) {
        self.is_asked.store(true, Ordering::SeqCst);
        self.asked.notify_waiters();
    }

    /// Whether the query is to end.
    pub(super) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::SeqCst)
    }

    /// Waits until it may be.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }
}

impl OpenQueries {
    /// Ends a query; whether there was one.
    pub(super) fn close(&self, id: &str) -> bool {
        let query = lock(&self.0).get(id).cloned();
        query.inspect(|query| query.ask()).is_some()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        lock(&self.0).len()
    }

    /// Ends all queries.
    pub(super) fn close_all(&self) {
        lock(&self.0).values().for_each(|query| query.ask());
    }
}

impl Open {
    /// Adds a query to the list.
    pub(super) fn new(service: &Arc<Service>, id: &str) -> Open {
        let closing = Arc::new(Closing::default());
        lock(&service.queries.0).insert(id.to_owned(), closing.clone());
        Open { service: service.clone(), id: id.to_owned(), closing }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.service.queries.0).remove(&self.id);
    }
}

/// `POST /close-query`.
pub(super) async fn close_query(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let body = request::all(request.into_body()).await?;
    let fields = request::object(&body)?;
    let Some(Value::String(id)) = fields.get("queryId") else {
        return Err(Refusal::new(40000, "Invalid JSON in request: \"queryId\" must be a text").untyped());
    };
    match service.queries.close(id) {
        true => Ok(StatusCode::OK.into_response()),
        false => Err(Refusal::new(40000, format!("No query with id {id}")).untyped()),
    }
}
