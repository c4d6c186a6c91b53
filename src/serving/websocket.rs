//! `GET /ws/query`: the rows of one SELECT, or the records of one PRINT, as frames of a WebSocket.
//!
//! The first frame of a SELECT has the columns, each further one a row; those of a PRINT have a record each. At the end
//! stand a frame `{"error":"done"}` and a close. Errors are a frame and a close, too.

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::sync::mpsc;

use super::listen::Held;
use super::query::{Followed, Following, Shown, select};
use super::request::{self, Asked};
use super::users::Caller;
use super::waits::Waits;
use super::{Service, ksql, print, rows, stalls, target};
use crate::engine::PushRow;
use crate::pull::PullRows;
use crate::types::{Column, Role};

/// The codes with which a WebSocket is closed.
const DONE: u16 = 1000;
const BAD_REQUEST: u16 = 1003;
const SERVER_ERROR: u16 = 1011;
const TRY_LATER: u16 = 1013;

/// The longest reason that a close may have, in bytes.
const MOST_REASON: usize = 123;

/// The longest message of a client, in bytes: none of them says anything but that it goes.
const MOST_MESSAGE: usize = 64 << 10;

/// Why a WebSocket is closed.
struct End {
    code: u16,
    message: String,
}

impl End {
    fn new(code: u16, message: impl Into<String>) -> End {
        End { code, message: message.into() }
    }

    /// The reason of the close, cut where it is too long.
    fn reason(&self) -> String {
        if self.message.len() <= MOST_REASON {
            return self.message.clone();
        }
        let mut end = MOST_REASON - 3;
        while !self.message.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}...", &self.message[..end])
    }
}

/// `GET /ws/query`.
pub(super) async fn query(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let uri = request.uri().clone();
    let (mut parts, _) = request.into_parts();
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        let body = axum::body::Body::from("\"Connection\" header must be \"Upgrade\".");
        return (StatusCode::BAD_REQUEST, body).into_response();
    };
    let version = target::parameter(&uri, "version");
    let asked = target::parameter(&uri, "request");
    let held = parts.extensions.get::<Held>().cloned();
    let upgrade = upgrade.max_message_size(MOST_MESSAGE).max_frame_size(MOST_MESSAGE);
    upgrade.on_upgrade(async move |socket| {
        serve((service, caller), socket, version, asked).await;
        drop(held);
    })
}

async fn serve(by: (Arc<Service>, Caller), socket: WebSocket, version: Option<String>, asked: Option<String>) {
    let (mut sink, mut source) = socket.split();
    let (send, mut receive) = mpsc::channel::<String>(16);
    let showing = async {
        let end = show(&by, version, asked, &send).await;
        drop(send);
        end
    };
    let writing = async {
        while let Some(text) = receive.recv().await {
            if sink.send(Message::Text(text.into())).await.is_err() {
                return sink;
            }
        }
        sink
    };
    // A client that closes, or goes, ends its query.
    let listening = async {
        while let Some(Ok(message)) = source.next().await {
            if matches!(message, Message::Close(_)) {
                break;
            }
        }
    };
    let both = async { tokio::join!(showing, writing) };
    let (end, mut sink) = tokio::select! {
        both = both => both,
        () = listening => return,
    };
    let Some(end) = end else { return };
    let last = json!({ "error": end.message }).to_string();
    let close = CloseFrame { code: end.code, reason: end.reason().into() };
    if sink.send(Message::Text(last.into())).await.is_ok() {
        // The client may have gone meanwhile.
        let _ = sink.send(Message::Close(Some(close))).await;
    }
}

/// Sends columns and rows; why it is over, or None if nobody listens any more.
async fn show(
    (service, caller): &(Arc<Service>, Caller),
    version: Option<String>,
    asked: Option<String>,
    to: &mpsc::Sender<String>,
) -> Option<End> {
    if let Some(version) = version.filter(|version| version != "1") {
        return Some(End::new(BAD_REQUEST, format!("Received invalid api version: {version}")));
    }
    let Some(asked) = asked else {
        return Some(End::new(BAD_REQUEST, "Error parsing request: missing request parameter"));
    };
    let asked = match Asked::read(asked.as_bytes(), request::OLD) {
        // Variables are not replaced here, as on ksqlDB's server.
        Ok(asked) => Asked { variables: Vec::new(), ..asked },
        Err(refusal) => {
            let why = refusal.message.strip_prefix(request::INVALID).unwrap_or(&refusal.message);
            return Some(End::new(BAD_REQUEST, format!("Error parsing request: {why}")));
        }
    };
    if asked.text.as_deref().unwrap_or_default().is_empty() {
        return Some(End::new(BAD_REQUEST, "Error parsing request: \"ksql\" field of \"request\" must be populated"));
    }
    if let Err(refusal) = asked.session(service) {
        return Some(End::new(BAD_REQUEST, format!("Error parsing request: {}", refusal.message)));
    }
    if let Err(refusal) = ksql::wait_for(service, asked.sequence).await {
        return Some(End::new(TRY_LATER, refusal.message));
    }
    let (asker, caller) = (service.clone(), caller.clone());
    // The client is there as long as somebody wants the answer.
    let waits = Waits::default();
    let is_gone = waits.is_over();
    match ksql::on_a_thread(move || select(&asker, &asked, &caller, &is_gone)).await {
        Ok(Shown::Rows(_, PullRows { columns, rows })) => {
            to.send(header(&columns, true)).await.ok()?;
            for values in rows {
                stalls::give(to, row(&PushRow { values, is_deletion: false, record: None }), service.patience())
                    .await?;
            }
            Some(End::new(DONE, "done"))
        }
        Ok(Shown::Query(running, until)) => {
            let query = &running.query;
            to.send(header(&query.columns, false)).await.ok()?;
            let mut following = Following::new(query, until);
            loop {
                match following.next(to).await? {
                    Followed::Row(deleted) if deleted.is_deletion => {}
                    Followed::Row(shown) => to.send(row(&shown)).await.ok()?,
                    Followed::Over(_) => return Some(End::new(DONE, "done")),
                    Followed::Failed(refusal) => return Some(End::new(SERVER_ERROR, refusal.message)),
                }
            }
        }
        Ok(Shown::Topic(records, lines)) => {
            let mut printing = print::Printing::new(records, lines);
            loop {
                match printing.next(to).await {
                    Ok(Some(portion)) => {
                        for line in portion.lines {
                            to.send(json!(line).to_string()).await.ok()?;
                        }
                    }
                    Ok(None) => return Some(End::new(DONE, "done")),
                    Err(refusal) => return Some(End::new(SERVER_ERROR, refusal.message)),
                }
            }
        }
        Err(refusal) => {
            let unknown = "Topic does not exist, or KSQL does not have permission to list the topic: ";
            let refusal = print::refusal(refusal, unknown);
            let code = if refusal.code >= 50000 { SERVER_ERROR } else { BAD_REQUEST };
            Some(End::new(code, refusal.on_websocket()))
        }
    }
}

/// The columns, as ksqlDB's fields.
fn header(columns: &[Column], marks_keys: bool) -> String {
    let columns: Vec<Column> = columns
        .iter()
        .map(|column| match marks_keys {
            true => column.clone(),
            false => Column { role: Role::Value, ..column.clone() },
        })
        .collect();
    crate::statements::fields(&columns).to_string()
}

fn row(row: &PushRow) -> String {
    let mut out = b"{\"row\":{\"columns\":".to_vec();
    rows::columns(&row.values, &mut out);
    out.extend_from_slice(b"}}");
    String::from_utf8_lossy(&out).into_owned()
}
