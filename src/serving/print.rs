//! The records of a topic for PRINT: text, a line for each.
//!
//! `POST /query` sends the formats first, and a line feed after each second without a record; a client can so tell a
//! silent topic from a lost server. `POST /query-stream` sends the lines alone.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use super::accept::{self, DELIMITED, JSON, V1};
use super::ksql::on_a_thread;
use super::query::{WAITING, received};
use super::refusal::Refusal;
use super::small;
use crate::engine::Follower;
use crate::statements::{Portion, RecordLines};

/// How long a topic may be silent before that is said.
const SILENCE: Duration = Duration::from_secs(1);

/// How a refusal begins whose topic is not there, before the topic in quotes.
pub(super) const NOT_FOUND: &str = "Could not find topic '";

/// A topic that is being printed.
pub(super) struct Printing {
    /// None while a thread reads.
    topic: Option<(Follower, RecordLines)>,
    woken: Arc<Notify>,
}

impl Printing {
    /// Prints the records that come from now on.
    pub(super) fn new(records: Follower, lines: RecordLines) -> Printing {
        let woken = Arc::new(Notify::new());
        let waker = woken.clone();
        records.listen(Box::new(move || waker.notify_one()));
        Printing { topic: Some((records, lines)), woken }
    }

    /// The next lines; none of them after a second of silence. None if it is over, or nobody takes lines any more.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub(super) async fn next<T>(&mut self, to: &mpsc::Sender<T>) -> Result<Option<Portion>, Refusal> {
        loop {
            let Some((records, lines)) = self.topic.take() else { return Ok(None) };
            if lines.is_complete() || records.is_over() || to.is_closed() {
                return Ok(None);
            }
            let (topic, found) = on_a_thread(move || read(records, lines)).await?;
            self.topic = Some(topic);
            match found {
                Some(portion) if portion.lines.is_empty() => {}
                Some(portion) => return Ok(Some(portion)),
                None => tokio::select! {
                    () = to.closed() => return Ok(None),
                    woken = tokio::time::timeout(SILENCE, self.woken.notified()) => if woken.is_err() {
                        return Ok(Some(Portion::default()));
                    },
                },
            }
        }
    }
}

type Read = ((Follower, RecordLines), Option<Portion>);

/// The next lines; None if there is no record.
fn read(mut records: Follower, mut lines: RecordLines) -> Result<Read, Refusal> {
    let found = records.records().map_err(|error| Refusal::new(50000, error.message()))?;
    let portion = (!found.is_empty()).then(|| lines.add(&found));
    Ok(((records, lines), portion))
}

/// How a PRINT is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// Formats, lines, and line feeds for silence.
    WithFormats,
    /// Lines alone.
    Lines,
    /// There is nothing that the client takes.
    NotAcceptable,
    /// Not over this version of HTTP.
    NotAllowed,
}

impl Form {
    /// The form for a request. `is_old` is `POST /query`, which has lines alone only for a client that names them.
    pub(super) fn wanted(request: &Request, is_old: bool) -> Form {
        let (offered, default) = if is_old { (&[V1, JSON, DELIMITED][..], V1) } else { (&[DELIMITED][..], DELIMITED) };
        match accept::choose(request.headers(), offered, default) {
            None => Form::NotAcceptable,
            Some(DELIMITED) => Form::Lines,
            Some(_) if request.version() == Version::HTTP_2 => Form::NotAllowed,
            Some(_) => Form::WithFormats,
        }
    }
}

/// The answer to a PRINT.
pub(super) fn answer(records: Follower, lines: RecordLines, form: Form) -> Response {
    let typed = [(header::CONTENT_TYPE, JSON)];
    match form {
        Form::NotAcceptable => return small::not_acceptable(),
        Form::NotAllowed => return (StatusCode::METHOD_NOT_ALLOWED, typed, "").into_response(),
        Form::WithFormats | Form::Lines => {}
    }
    let (send, receive) = mpsc::channel(WAITING);
    let with_formats = form == Form::WithFormats;
    tokio::spawn(print(Printing::new(records, lines), with_formats, send));
    let body = received(receive);
    if with_formats { (typed, body).into_response() } else { body.into_response() }
}

/// Sends lines until it is over.
async fn print(mut printing: Printing, with_formats: bool, to: mpsc::Sender<Bytes>) {
    loop {
        let pieces = match printing.next(&to).await {
            Ok(Some(portion)) => pieces(portion, with_formats),
            Ok(None) => return,
            Err(refusal) => vec![format!("{}\n", refusal.body())],
        };
        for piece in pieces {
            if to.send(piece.into()).await.is_err() {
                return;
            }
        }
    }
}

/// The pieces of an answer, each a chunk of its own.
fn pieces(portion: Portion, with_formats: bool) -> Vec<String> {
    let mut pieces = Vec::new();
    if portion.lines.is_empty() && with_formats {
        pieces.push("\n".to_owned());
    }
    if let Some([keys, values]) = portion.formats.filter(|_| with_formats) {
        let (keys, values) = (format!("{keys}\n"), format!("{values}\n"));
        pieces.extend(["Key format: ".to_owned(), keys, "Value format: ".to_owned(), values]);
    }
    pieces.extend(portion.lines.into_iter().map(|line| line + "\n"));
    pieces
}

/// The refusal as it is if it is about anything but a topic to print that is not there; else as an endpoint says that.
pub(super) fn refusal(refusal: Refusal, said: &str) -> Refusal {
    let name = refusal.message.strip_prefix(NOT_FOUND).and_then(|rest| rest.split('\'').next()).map(str::to_owned);
    match name {
        Some(_) if said == NOT_FOUND => refusal.typed(),
        Some(name) => Refusal::new(40001, format!("{said}{name}")),
        None => refusal,
    }
}
