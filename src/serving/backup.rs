//! `POST /backup`: a copy of the data folder as of one moment, in a folder of the server.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::accept::JSON;
use super::refusal::Refusal;
use super::{Service, ksql, request};
use crate::config;
use crate::engine::Backup;
use crate::error::Kind;

/// `POST /backup`: the body names the backup, which becomes a folder below the one of the property.
pub(super) async fn backup(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let fields = request::object(&service.bodies.read(request.into_body()).await?)?;
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !is_name(&name) {
        let message = "\"name\" must be the name of a backup: letters, digits, '-', '_' and '.', not first";
        return Err(Refusal::new(40000, message));
    }
    let location = service.engine.properties().text(config::BACKUPS).to_owned();
    if location.is_empty() {
        return Err(Refusal::new(40000, format!("the service makes no backups: {} is not set", config::BACKUPS)));
    }
    let target = Path::new(&location).join(&name);
    let made = ksql::on_a_thread(move || {
        let code = |kind| if kind == Kind::Conflict { 40000 } else { 50000 };
        service.engine.backup(&target).map_err(|error| Refusal::new(code(error.kind()), error.to_string()))
    });
    let Backup { linked, copied, copied_bytes } = made.await?;
    let made = json!({ "name": name, "filesLinked": linked, "filesCopied": copied, "bytesCopied": copied_bytes });
    Ok(([(header::CONTENT_TYPE, JSON)], format!("{made}\n")).into_response())
}

/// Whether a text names a folder and leads nowhere else.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.len() <= 255 && !text.starts_with('.') && text.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_has_a_name_and_no_path() {
        assert!(["2026-11-30", "a", "a.b_c"].into_iter().all(is_name));
        assert!(!["", ".", "..", ".a", "a/b", "/a", "a\\b", "a b", "ä"].into_iter().any(is_name));
    }
}
