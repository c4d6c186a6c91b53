//! `POST /inserts-stream`: rows as lines of JSON, each acknowledged when it is durable.
//!
//! The first line names the target; the answer begins when it is known to be good. All rows that came together are
//! committed together. After a row that is refused, nothing more is read.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::Version;
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use super::accept::{self, DELIMITED, JSON};
use super::refusal::Refusal;
use super::wording;
use super::{Service, coerce, ksql, overrides, request, small};
use crate::catalog::Source;
use crate::config;
use crate::engine::Engine;
use crate::statements;
use crate::types::quoted;

/// How many acknowledgements may wait for their client.
const WAITING: usize = 64;

/// About how many bytes of lines are committed together at most, with what they take besides.
const MOST_TOGETHER: usize = 1 << 20;

/// The longest line, in bytes.
const MOST_LINE: usize = 16 << 20;

/// `POST /inserts-stream`.
pub(super) async fn inserts_stream(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Response> {
    if request.version() != Version::HTTP_2 {
        let message = "This endpoint is only available when using HTTP2";
        return Err(Refusal::new(40004, message).untyped().into_response());
    }
    let Some(chosen) = accept::choose(request.headers(), &[DELIMITED, JSON], DELIMITED) else {
        return Err(small::not_acceptable());
    };
    let mut lines = Lines {
        body: request.into_body().into_data_stream(),
        rest: BytesMut::new(),
        searched: 0,
        is_over: false,
        broken: None,
    };
    let first = lines.next().await.map_err(|refusal| refusal.untyped().into_response())?;
    let source = target(&service, first.first()).map_err(|refusal| refusal.untyped().into_response())?;
    let (send, receive) = mpsc::channel::<Bytes>(WAITING);
    let answer = Acknowledgements { to: send, is_array: chosen == JSON, count: 0 };
    tokio::spawn(insert(service, source, lines, first.into_iter().skip(1).collect(), answer));
    let pieces = stream::unfold(receive, async |mut receive| {
        receive.recv().await.map(|piece| (Ok::<_, std::convert::Infallible>(piece), receive))
    });
    Ok(Body::from_stream(pieces).into_response())
}

/// The lines of a body, as they come.
struct Lines {
    body: BodyDataStream,
    rest: BytesMut,
    /// So many bytes of `rest` have no line end.
    searched: usize,
    is_over: bool,
    /// Why the body broke off behind lines that have come.
    broken: Option<Refusal>,
}

impl Lines {
    /// The lines that have come until now, at least one; none at the end.
    ///
    /// # Errors
    /// A line is too long, or the client stops in its middle.
    async fn next(&mut self) -> Result<Vec<Bytes>, Refusal> {
        let (mut lines, mut bytes) = (Vec::<Bytes>::new(), 0);
        loop {
            let known = lines.len();
            while let Some(end) = memchr::memchr(b'\n', &self.rest[self.searched..]) {
                lines.push(self.rest.split_to(self.searched + end).freeze());
                self.rest.advance(1);
                self.searched = 0;
            }
            self.searched = self.rest.len();
            // Also empty lines take memory.
            bytes += lines[known..].iter().map(|line| size_of::<Bytes>() + line.len()).sum::<usize>();
            if !lines.is_empty() && (self.is_over || self.broken.is_some() || bytes > MOST_TOGETHER) {
                return Ok(lines);
            }
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
            if self.is_over {
                let last = std::mem::take(&mut self.rest);
                self.searched = 0;
                return Ok(if last.is_empty() { Vec::new() } else { vec![last.freeze()] });
            }
            let frame = match lines.is_empty() {
                true => self.body.next().await,
                // More that is here already is committed with them.
                false => match self.body.next().now_or_never() {
                    Some(frame) => frame,
                    None => return Ok(lines),
                },
            };
            match frame {
                Some(Ok(frame)) => self.rest.extend_from_slice(&frame),
                Some(Err(error)) => {
                    self.broken = Some(Refusal::new(40000, format!("the request has broken off: {error}")));
                }
                None => self.is_over = true,
            }
            if self.searched > MOST_LINE {
                let refusal = Refusal::new(41300, format!("a line has at most {MOST_LINE} bytes"));
                if lines.is_empty() {
                    return Err(refusal);
                }
                self.broken = Some(refusal);
                self.rest.clear();
                self.searched = 0;
            }
        }
    }
}

/// The stream or table that the first line names.
///
/// # Errors
/// The line is no object with a target, or there is no such source, or nothing can be inserted into it.
fn target(service: &Service, line: Option<&Bytes>) -> Result<Arc<Source>, Refusal> {
    let fields = request::object(line.map_or(&[][..], |line| line))?;
    let written = match fields.get("target") {
        Some(Json::String(written)) if !written.is_empty() => written.clone(),
        Some(Json::Number(number)) => number.to_string(),
        _ => return Err(Refusal::new(40000, "Invalid JSON in request: \"target\" must name a stream or table")),
    };
    // Properties change nothing of an insert.
    if let Some(Json::Object(properties)) = fields.get("properties") {
        overrides::check_values(properties)?;
    }
    if !service.engine.properties().flag(config::INSERT_VALUES_ENABLED) {
        return Err(Refusal::new(40000, "The server has disabled INSERT INTO ... VALUES functionality."));
    }
    let name = coerce::identifier(&written);
    let catalog = service.engine.catalog();
    let Some(source) = catalog.source(&name) else {
        let mut message = format!("Cannot insert values into an unknown stream/table: {}", quoted(&name));
        let other = catalog.sources().find(|source| source.name.eq_ignore_ascii_case(&name));
        message.extend(other.map(|other| wording::did_you_mean(&other.name)));
        return Err(Refusal::new(40001, message));
    };
    if source.window.is_some() {
        return Err(Refusal::new(40001, "Cannot insert values into windowed stream/table"));
    }
    Ok(source.clone())
}

/// What a client is told of its rows.
struct Acknowledgements {
    to: mpsc::Sender<Bytes>,
    /// Whether they are the items of an array, or lines.
    is_array: bool,
    /// How many rows were answered.
    count: u64,
}

impl Acknowledgements {
    /// Whether the client still listens.
    async fn send(&mut self, value: &Json) -> bool {
        let piece = match (self.is_array, self.count) {
            (false, _) => format!("{value}\n"),
            (true, 0) => format!("[{value}"),
            (true, _) => format!(",{value}"),
        };
        self.count += 1;
        self.to.send(piece.into()).await.is_ok()
    }

    async fn refuse(&mut self, refusal: &Refusal) {
        let error = json!({
            "@type": "InsertError",
            "status": "error",
            "seq": self.count,
            "message": refusal.message,
            "error_code": refusal.code,
        });
        self.send(&error).await;
    }

    /// Ends an array.
    async fn end(self) {
        if self.is_array {
            let end = if self.count == 0 { "[]" } else { "]" };
            // The client may have gone, and then needs no end.
            let _ = self.to.send(Bytes::from_static(end.as_bytes())).await;
        }
    }
}

/// Inserts rows until there are no more, one is refused, or the client has gone.
async fn insert(
    service: Arc<Service>,
    source: Arc<Source>,
    mut lines: Lines,
    mut rows: Vec<Bytes>,
    mut answer: Acknowledgements,
) {
    loop {
        let (service, target) = (service.clone(), source.clone());
        let done = ksql::on_a_thread(move || Ok(insert_all(&service.engine, &target, &rows))).await;
        let (inserted, refused) = done.unwrap_or_else(|refusal| (0, Some(refusal)));
        for _ in 0..inserted {
            if !answer.send(&json!({ "seq": answer.count, "status": "ok" })).await {
                return;
            }
        }
        if let Some(refusal) = refused {
            answer.refuse(&refusal).await;
            break;
        }
        match lines.next().await {
            Ok(next) if next.is_empty() => break,
            Ok(next) => rows = next,
            Err(refusal) => {
                answer.refuse(&refusal).await;
                break;
            }
        }
    }
    answer.end().await;
}

/// Inserts the rows of lines, all with one commit: how many from the first on, and why no more.
fn insert_all(engine: &Engine, source: &Source, lines: &[Bytes]) -> (usize, Option<Refusal>) {
    let catalog = engine.catalog();
    let is_same = catalog.source(&source.name).is_some_and(|now| now.made_at == source.made_at);
    let Some(topic) = catalog.topic(&source.topic).filter(|_| is_same) else {
        let message = format!("{} is not what it was when the request began", quoted(&source.name));
        return (0, Some(Refusal::new(40000, message)));
    };
    let now_ms = engine.clock().wall_ms();
    let record = |line: &Bytes| {
        let values = coerce::row(source, line)?;
        let record =
            statements::record_of(source, values, now_ms).map_err(|error| Refusal::new(40000, error.message()))?;
        engine.check_size(&record.1).map_err(|error| Refusal::new(50000, wording::message(&error, "")))?;
        Ok(record)
    };
    let (mut records, mut refused) = (Vec::new(), None);
    for line in lines {
        match record(line) {
            Ok(record) => records.push(record),
            Err(refusal) => {
                refused = Some(refusal);
                break;
            }
        }
    }
    let count = records.len();
    match engine.insert_all(topic, records) {
        Ok(()) => (count, refused),
        Err(error) => (0, Some(Refusal::new(50000, wording::message(&error, "")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Properties;
    use crate::engine::{Settings, Store};
    use crate::statements::Session;
    use crate::topics::PartitionId;

    fn lines_of(frames: impl IntoIterator<Item = Bytes, IntoIter: Send + 'static>) -> Lines {
        let frames = stream::iter(frames.into_iter().map(Ok::<_, std::convert::Infallible>));
        let body = Body::from_stream(frames).into_data_stream();
        Lines { body, rest: BytesMut::new(), searched: 0, is_over: false, broken: None }
    }

    #[tokio::test]
    async fn lines_without_anything_in_them_are_not_taken_without_end() {
        let mut lines = lines_of((0..200).map(|_| Bytes::from(vec![b'\n'; 10_000])));
        let taken = lines.next().await.expect("lines").len();
        assert!(taken * size_of::<Bytes>() < 2 * MOST_TOGETHER, "{taken}");
    }

    #[test]
    fn rows_before_one_that_is_too_large_are_inserted() {
        let settings = Settings::new(Store::Memory, Arc::new(ManualClock::new()), statements::compile_kept);
        let engine = Engine::open(settings).expect("an engine");
        let made = "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');";
        let parsed = statements::parse(made).expect("a statement");
        Session::new(&engine, Properties::default()).run(&parsed[0]).map(drop).expect("made");
        let source = engine.catalog().source("S").expect("there").clone();
        let row = |bytes: usize| Bytes::from(json!({ "V": "x".repeat(bytes) }).to_string());
        let (inserted, refused) = insert_all(&engine, &source, &[row(1), row(2), row(3 << 20), row(4)]);
        assert_eq!(inserted, 2);
        assert_eq!(refused.expect("the third is refused").code, 50000);
        let id = PartitionId { topic: engine.catalog().topic("s").expect("there").id, partition: 0 };
        assert_eq!(engine.topics().end(id).expect("an end"), 2);
    }
}
