//! The trace of a request: a span for the request, and one for each of its steps.
//!
//! Attributes are those of OpenTelemetry's conventions for servers of HTTP. Texts of statements are in none of them,
//! and nothing of the query of an address: both may have secrets.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Version, header};
use axum::response::Response;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::{Attribute, Signal, Telemetry, wire};
use crate::clock::Clock;
use crate::locks::lock;
use crate::serving::{endpoints, target};
use crate::statements::Parsed;

/// The longest `tracestate` that is handed on, in bytes.
const MOST_STATE: usize = 512;

/// How many steps of a request have a span; a script may have any number of statements.
const MOST_STEPS: usize = 128;

/// A span is part of a trace that is kept.
const SAMPLED: u32 = 0x1;
/// The next flag is known.
const KNOWS_IS_REMOTE: u32 = 0x100;
/// The parent is in another process.
const IS_REMOTE: u32 = 0x200;

/// What the kind of a statement is called.
const OPERATION: &str = "db.operation.name";

/// The trace of a request, or none. It does nothing if the request is not traced.
#[derive(Clone, Default)]
pub(in crate::serving) struct Trace(Option<Arc<Traced>>);

struct Traced {
    telemetry: Telemetry,
    /// What is added to the monotonic time to get the time of day.
    offset_ns: u64,
    /// That of the request, without its end.
    root: Span,
    /// What is added to it, and the spans of its steps.
    notes: Mutex<(Vec<KeyValue>, Vec<Span>)>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trace").field(&self.0.is_some()).finish()
    }
}

impl Trace {
    /// Begins the trace of a request, which is then found in its extensions. `scheme` is http or https.
    pub(in crate::serving) fn begin(
        telemetry: Option<&Telemetry>,
        scheme: &'static str,
        request: &mut Request,
    ) -> Trace {
        let Some(telemetry) = telemetry.filter(|own| own.0.settings.sends(Signal::Traces)) else {
            return Trace::default();
        };
        let clock = &*telemetry.0.clock;
        let parent = Parent::of(request.headers());
        let trace_id = parent.as_ref().map_or_else(|| new_trace_id(clock), |parent| parent.trace_id);
        let is_wanted =
            parent.as_ref().map_or_else(|| is_chosen(trace_id, telemetry.0.settings.ratio), |p| p.is_sampled);
        if !is_wanted {
            return Trace::default();
        }
        let offset_ns = clock.wall_ns().saturating_sub(clock.monotonic_ns());
        let mut root = Span {
            trace_id: trace_id.to_be_bytes().to_vec(),
            span_id: new_span_id(clock),
            flags: SAMPLED,
            kind: SpanKind::Server.into(),
            start_time_unix_nano: offset_ns + clock.monotonic_ns(),
            ..Span::default()
        };
        if let Some(parent) = parent {
            root.parent_span_id = parent.span_id.to_be_bytes().to_vec();
            root.trace_state = parent.state;
            root.flags |= KNOWS_IS_REMOTE | IS_REMOTE;
        }
        describe(&mut root, scheme, request);
        let trace =
            Trace(Some(Arc::new(Traced { telemetry: telemetry.clone(), offset_ns, root, notes: Mutex::default() })));
        request.extensions_mut().insert(trace.clone());
        trace
    }

    /// The trace of a request that has begun.
    pub(in crate::serving) fn of(request: &Request) -> Trace {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Whether the request is traced.
    pub(in crate::serving) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Does a step of the request's work, and notes how long it took and whether it failed.
    pub(in crate::serving) fn step<T, E>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.step_of(name, None, work)
    }

    /// Does a step that concerns one statement.
    pub(in crate::serving) fn step_of<T, E>(
        &self,
        name: &'static str,
        statement: Option<&Parsed>,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let began = self.now();
        let done = work();
        self.took(name, statement, began..self.now(), done.is_err());
        done
    }

    /// The time of day, in nanoseconds; 0 if the request is not traced.
    pub(in crate::serving) fn now(&self) -> u64 {
        self.0.as_ref().map_or(0, |traced| traced.now())
    }

    /// Notes a step that was done.
    pub(in crate::serving) fn took(
        &self,
        name: &'static str,
        statement: Option<&Parsed>,
        time: Range<u64>,
        has_failed: bool,
    ) {
        let Some(traced) = &self.0 else { return };
        let attributes = statement.map(operation).map(|operation| text(OPERATION, operation));
        let span = Span {
            trace_id: traced.root.trace_id.clone(),
            span_id: new_span_id(&*traced.telemetry.0.clock),
            parent_span_id: traced.root.span_id.clone(),
            flags: SAMPLED | KNOWS_IS_REMOTE,
            name: name.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: time.start,
            end_time_unix_nano: time.end,
            attributes: attributes.into_iter().collect(),
            status: has_failed.then(failed),
            ..Span::default()
        };
        let steps = &mut lock(&traced.notes).1;
        if steps.len() < MOST_STEPS {
            steps.push(span);
        } else {
            traced.telemetry.count(Signal::Traces, 1);
        }
    }

    /// Notes which statements the request has.
    pub(in crate::serving) fn has(&self, statements: &[Parsed]) {
        let Some(traced) = &self.0 else { return };
        let Some((first, others)) = statements.split_first() else { return };
        let first = operation(first);
        let name = match others {
            [] => first,
            others if others.iter().all(|other| operation(other) == first) => format!("BATCH {first}"),
            _ => "BATCH".to_owned(),
        };
        lock(&traced.notes).0.push(text(OPERATION, name));
    }

    /// Ends the trace with the head of the answer.
    pub(in crate::serving) fn end(self, response: &Response) {
        let Some(traced) = self.0 else { return };
        let (noted, steps) = std::mem::take(&mut *lock(&traced.notes));
        let status = response.status();
        let mut root = traced.root.clone();
        root.end_time_unix_nano = traced.now();
        root.attributes.push(wire::attribute("http.response.status_code", Attribute::Integer(status.as_u16().into())));
        root.attributes.extend(noted);
        if status.is_server_error() {
            root.attributes.push(text("error.type", status.as_u16().to_string()));
            root.status = Some(failed());
        }
        let dropped = traced.telemetry.0.spans.add(std::iter::once(root).chain(steps));
        traced.telemetry.count(Signal::Traces, dropped);
    }
}

impl Traced {
    /// The time of day, which does not go back within a trace.
    fn now(&self) -> u64 {
        self.offset_ns + self.telemetry.0.clock.monotonic_ns()
    }
}

fn text(name: &str, value: impl Into<String>) -> KeyValue {
    wire::attribute(name, Attribute::Text(value.into()))
}

fn failed() -> Status {
    Status { code: StatusCode::Error.into(), ..Status::default() }
}

/// Says what is asked.
fn describe(span: &mut Span, scheme: &str, request: &Request) {
    let uri = request.uri();
    // Other methods are not shown, so that a client cannot make as many names as it likes.
    let known = Method::is_safe(request.method()) || Method::is_idempotent(request.method());
    let is_known = known || [Method::POST, Method::PATCH, Method::CONNECT].contains(request.method());
    let method = if is_known { request.method().as_str() } else { "_OTHER" };
    let route = target::normalised(uri.path()).and_then(|path| endpoints::route_of(&path));
    let shown = if is_known { method } else { "HTTP" };
    span.name = route.map_or_else(|| shown.to_owned(), |route| format!("{shown} {route}"));
    span.attributes = vec![
        text("http.request.method", method),
        text("url.scheme", scheme),
        text("url.path", uri.path()),
        text("network.protocol.version", version_of(request)),
    ];
    span.attributes.extend(route.map(|route| text("http.route", route)));
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    span.attributes.extend(header(header::USER_AGENT).map(|agent| text("user_agent.original", agent)));
    if let Some((host, port)) = uri.authority().map(|own| own.as_str()).or(header(header::HOST)).map(host_and_port) {
        span.attributes.push(text("server.address", host));
        span.attributes.extend(port.map(|port| wire::attribute("server.port", Attribute::Integer(port.into()))));
    }
}

/// The version of HTTP, as the conventions name it.
fn version_of(request: &Request) -> &'static str {
    match request.version() {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// The two parts of a text HOST:PORT.
fn host_and_port(text: &str) -> (&str, Option<u16>) {
    let (host, port) = match text.rsplit_once(':').map(|(host, port)| (host, port.parse().ok())) {
        Some((host, Some(port))) => (host, Some(port)),
        _ => (text, None),
    };
    (host.trim_matches(['[', ']']), port)
}

/// The kind of a statement: the words that it begins with, of a fixed set.
fn operation(parsed: &Parsed) -> String {
    let text = parsed.statement.to_string();
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let has_object = ["ALTER", "ASSERT", "CREATE", "DROP", "INSERT"].contains(&first);
    let object = words.take(6).find(|word| OBJECTS.contains(word)).filter(|_| has_object);
    object.map_or_else(|| first.to_owned(), |object| format!("{first} {object}"))
}

/// What statements are about.
const OBJECTS: [&str; 9] = ["STREAM", "TABLE", "TOPIC", "TYPE", "CONNECTOR", "SYSTEM", "SCHEMA", "VALUES", "INTO"];

/// The span of a client that a request belongs to.
#[derive(Debug, PartialEq)]
struct Parent {
    trace_id: u128,
    span_id: u64,
    is_sampled: bool,
    /// What other systems say of the trace.
    state: String,
}

impl Parent {
    /// Reads the headers of W3C's Trace Context; None if there is no parent, or its header cannot be read.
    fn of(headers: &HeaderMap) -> Option<Parent> {
        let mut all = headers.get_all("traceparent").iter();
        let (Some(one), None) = (all.next(), all.next()) else { return None };
        let mut parent = Parent::read(one.to_str().ok()?.trim())?;
        let states = headers.get_all("tracestate").iter().filter_map(|state| state.to_str().ok());
        parent.state = states.collect::<Vec<_>>().join(",");
        if parent.state.len() > MOST_STATE {
            parent.state.clear();
        }
        Some(parent)
    }

    fn read(text: &str) -> Option<Parent> {
        let mut parts = text.split('-');
        let version = parts.next().filter(|version| is_hex(version, 2) && *version != "ff")?;
        let trace_id = parts.next().filter(|id| is_hex(id, 32))?;
        let span_id = parts.next().filter(|id| is_hex(id, 16))?;
        let flags = parts.next().filter(|flags| is_hex(flags, 2))?;
        // A later version may have more parts.
        if version == "00" && parts.next().is_some() {
            return None;
        }
        let trace_id = u128::from_str_radix(trace_id, 16).ok().filter(|id| *id != 0)?;
        let span_id = u64::from_str_radix(span_id, 16).ok().filter(|id| *id != 0)?;
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Parent { trace_id, span_id, is_sampled, state: String::new() })
    }
}

/// Whether a text has so many digits of hexadecimal numbers, and nothing else.
fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Whether a trace is one of the share that is kept. All servers with the same share choose the same traces.
fn is_chosen(trace_id: u128, ratio: f64) -> bool {
    // The conversion ends at the largest number, so that a ratio of 1 takes all but one of 2⁶⁴ traces.
    ratio >= 1.0 || (trace_id as u64) < (ratio * u64::MAX as f64) as u64
}

fn new_trace_id(clock: &dyn Clock) -> u128 {
    (u128::from(clock.random()) << 64 | u128::from(clock.random())).max(1)
}

fn new_span_id(clock: &dyn Clock) -> Vec<u8> {
    clock.random().max(1).to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_as_w3c_says() {
        let id = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        let read = |text: &str| Parent::read(text).map(|parent| (parent.trace_id, parent.span_id, parent.is_sampled));
        let expected = |is_sampled| Some((0x0af7651916cd43dd8448eb211c80319c, 0xb7ad6b7169203331, is_sampled));
        assert_eq!(read(&format!("00-{id}-01")), expected(true));
        assert_eq!(read(&format!("00-{id}-00")), expected(false));
        assert_eq!(read(&format!("00-{id}-03")), expected(true));
        assert_eq!(read(&format!("cc-{id}-01-later")), expected(true));
        for text in [
            format!("00-{id}-01-more"),
            format!("ff-{id}-01"),
            format!("00-{id}"),
            format!("00-{}-01", id.to_uppercase()),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01".to_owned(),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01".to_owned(),
            "00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }

    #[test]
    fn two_parents_are_none() {
        let mut headers = HeaderMap::new();
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().expect("a value");
        headers.append("traceparent", parent);
        headers.append("tracestate", "a=1".parse().expect("a value"));
        headers.append("tracestate", "b=2".parse().expect("a value"));
        assert_eq!(Parent::of(&headers).expect("a parent").state, "a=1,b=2");
        let again = headers.get("traceparent").cloned().expect("one");
        headers.append("traceparent", again);
        assert_eq!(Parent::of(&headers), None);
    }

    #[test]
    fn a_share_of_traces_is_chosen_by_their_ids() {
        assert!(is_chosen(u128::MAX, 1.0) && !is_chosen(0, 0.0));
        assert!(is_chosen(u128::from(u64::MAX / 2 - 1), 0.5) && !is_chosen(u128::from(u64::MAX / 2 + 2), 0.5));
    }

    #[test]
    fn kinds_of_statements_are_few() {
        let kind = |text: &str| operation(&crate::statements::parse(text).expect(text)[0]);
        for (statement, expected) in [
            ("create or replace stream s as select * from t;", "CREATE STREAM"),
            (
                "CREATE TABLE IF NOT EXISTS t (a INT PRIMARY KEY) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');",
                "CREATE TABLE",
            ),
            ("-- a remark\nSELECT `TABLE` FROM t;", "SELECT"),
            ("INSERT INTO t VALUES (1);", "INSERT INTO"),
            ("DROP TABLE IF EXISTS t DELETE TOPIC;", "DROP TABLE"),
            ("SHOW STREAMS;", "SHOW"),
            ("TERMINATE ALL;", "TERMINATE"),
        ] {
            assert_eq!(kind(statement), expected);
        }
    }

    #[test]
    fn hosts_are_taken_apart() {
        assert_eq!(host_and_port("tides:8088"), ("tides", Some(8088)));
        assert_eq!(host_and_port("[::1]:1"), ("::1", Some(1)));
        assert_eq!(host_and_port("[::1]"), ("::1", None));
        assert_eq!(host_and_port("tides"), ("tides", None));
    }
}
