//! Telemetry as a collector of OpenTelemetry gets it, and what a service does whose collector is no help.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value::{self, IntValue, StringValue};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::client::{Connection, Http, Server, post, request};
use super::tls::Authority;
use super::{COUNTS, STREAM, talk};
use crate::command_line::{Folder, assert_has};

/// Telemetry is sent as soon as there is any.
const SOON: [&str; 4] = ["--set", "tidemill.otlp.metrics.interval.ms=20", "--set", "tidemill.otlp.delay.ms=20"];

/// A request that a collector has got.
struct Got {
    path: String,
    headers: hyper::HeaderMap,
    body: Bytes,
}

/// What a collector does with a request.
#[derive(Clone)]
enum Manner {
    /// It answers with this status and body.
    Answer(u16, Vec<u8>),
    /// It never answers.
    Hang,
    /// It is not there for so many requests, and answers after them.
    Away(Arc<AtomicUsize>),
}

/// A collector of a test's own.
struct Collector {
    port: u16,
    got: mpsc::UnboundedReceiver<Got>,
}

impl Collector {
    async fn start(manner: Manner) -> Collector {
        Collector::start_over(None, manner).await
    }

    /// A collector that speaks TLS, if it is told how.
    async fn start_over(tls: Option<TlsAcceptor>, manner: Manner) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (send, got) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (send, manner, tls) = (send.clone(), manner.clone(), tls.clone());
                tokio::spawn(async move {
                    let stream: Box<dyn Connection> = match tls {
                        Some(tls) => Box::new(tls.accept(stream).await.expect("TLS")),
                        None => Box::new(stream),
                    };
                    let answer = hyper::service::service_fn(|request| take(request, &send, &manner));
                    // A client that has gone is none of the collector's business.
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Collector { port, got }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next request.
    async fn next(&mut self) -> Got {
        let next = tokio::time::timeout(Duration::from_secs(60), self.got.recv()).await;
        next.expect("a request in time").expect("a collector")
    }

    /// The next metrics; what else comes is skipped.
    async fn metrics(&mut self) -> Vec<Metric> {
        loop {
            let got = self.next().await;
            if got.path.ends_with("/v1/metrics") {
                return metrics_in(&got);
            }
        }
    }

    /// The spans up to one that is looked for; what else comes is skipped.
    async fn spans_to(&mut self, is_last: impl Fn(&Span) -> bool) -> Vec<Span> {
        let mut all: Vec<Span> = Vec::new();
        while !all.iter().any(&is_last) {
            let got = self.next().await;
            if got.path.ends_with("/v1/traces") {
                all.extend(spans_in(&got));
            }
        }
        all
    }
}

async fn take(
    request: hyper::Request<hyper::body::Incoming>,
    to: &mpsc::UnboundedSender<Got>,
    manner: &Manner,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (path, headers) = (request.uri().path().to_owned(), request.headers().clone());
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    // A test that is over listens no more.
    let _ = to.send(Got { path, headers, body });
    match manner {
        Manner::Answer(status, body) => {
            let answer = hyper::Response::builder().status(*status).body(Full::from(body.clone()));
            Ok(answer.expect("an answer"))
        }
        Manner::Hang => std::future::pending().await,
        Manner::Away(left) => {
            let is_away = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            let answer = hyper::Response::builder().status(if is_away { 503 } else { 200 }).body(Full::default());
            Ok(answer.expect("an answer"))
        }
    }
}

fn well() -> Manner {
    Manner::Answer(200, Vec::new())
}

fn metrics_in(got: &Got) -> Vec<Metric> {
    let all = ExportMetricsServiceRequest::decode(&*got.body).expect("metrics");
    all.resource_metrics.into_iter().flat_map(|all| all.scope_metrics).flat_map(|all| all.metrics).collect()
}

fn spans_in(got: &Got) -> Vec<Span> {
    let all = ExportTraceServiceRequest::decode(&*got.body).expect("spans");
    all.resource_spans.into_iter().flat_map(|all| all.scope_spans).flat_map(|all| all.spans).collect()
}

fn logs_in(got: &Got) -> Vec<LogRecord> {
    let all = ExportLogsServiceRequest::decode(&*got.body).expect("logs");
    all.resource_logs.into_iter().flat_map(|all| all.scope_logs).flat_map(|all| all.log_records).collect()
}

fn points(metric: &Metric) -> &[NumberDataPoint] {
    match metric.data.as_ref().expect("data") {
        Data::Gauge(gauge) => &gauge.data_points,
        Data::Sum(sum) => &sum.data_points,
        other => panic!("{other:?}"),
    }
}

/// What is said of something under a name.
fn said(attributes: &[KeyValue], name: &str) -> Option<Value> {
    let found = attributes.iter().find(|own| own.key == name)?;
    found.value.clone().and_then(|AnyValue { value }| value)
}

fn text(text: &str) -> Option<Value> {
    Some(StringValue(text.to_owned()))
}

/// The value of a metric that has one with this attribute.
fn value(metrics: &[Metric], name: &str, attribute: (&str, &str)) -> Option<i64> {
    let metric = metrics.iter().find(|metric| metric.name == name)?;
    let is_meant = |point: &&NumberDataPoint| said(&point.attributes, attribute.0) == text(attribute.1);
    match points(metric).iter().find(is_meant)?.value? {
        number_data_point::Value::AsInt(number) => Some(number),
        number_data_point::Value::AsDouble(_) => None,
    }
}

#[test]
fn a_collector_gets_what_prometheus_gets() {
    talk(async {
        let (folder, mut collector) = (Folder::new(), Collector::start(well()).await);
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url() + "/base/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,x=y".to_owned()),
            ("OTEL_SERVICE_NAME", "tides".to_owned()),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=not".to_owned()),
        ];
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let server = Server::start_in(&folder, &variables, &SOON);
        server.ksql(&format!("{STREAM} INSERT INTO s VALUES (1, 'a'); INSERT INTO s VALUES (2, 'b'); {COUNTS}")).await;
        let first = collector.next().await;
        assert!(["/base/v1/metrics", "/base/v1/traces"].contains(&first.path.as_str()), "{}", first.path);
        assert_eq!(first.headers["content-type"], "application/x-protobuf");
        assert_eq!([&first.headers["api-key"], &first.headers["x"]], ["a b", "y"]);
        let query = ("tidemill.query.id", "CTAS_T_0");
        let metrics = loop {
            let metrics = collector.metrics().await;
            if value(&metrics, "tidemill.query.rows.read", query) == Some(2) {
                break metrics;
            }
        };
        assert_eq!(value(&metrics, "tidemill.topic.offset.end", ("tidemill.topic.name", "s")), Some(2));
        assert_eq!(value(&metrics, "tidemill.query.lag", query), Some(0));
        assert_eq!(value(&metrics, "tidemill.query.status", ("tidemill.query.state", "running")), Some(1));
        let rows = metrics.iter().find(|metric| metric.name == "tidemill.query.rows.read").expect("rows");
        let Some(Data::Sum(sum)) = &rows.data else { panic!("{rows:?}") };
        // 2 is cumulative.
        assert_eq!((rows.unit.as_str(), sum.is_monotonic, sum.aggregation_temporality), ("{row}", true, 2));
        assert!(sum.data_points[0].time_unix_nano > 1_600_000_000_000_000_000, "{sum:?}");
        // The two ways out have the same list.
        let scraped = server.answer(Http::One, request("GET", "/metrics", &[], "")).await.text();
        let described = |prefix: &str| {
            let lines = scraped.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once(' '));
            lines.map(|(_, rest)| rest.to_owned()).collect::<Vec<_>>()
        };
        let helps: Vec<String> = metrics.iter().map(|metric| metric.description.clone()).collect();
        assert_eq!(helps, described("# HELP "));
        let kind = |metric: &Metric| match &metric.data {
            Some(Data::Sum(sum)) if sum.is_monotonic => "counter",
            _ => "gauge",
        };
        assert_eq!(metrics.iter().map(kind).collect::<Vec<_>>(), described("# TYPE "));
        let samples = scraped.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(metrics.iter().map(|metric| points(metric).len()).sum::<usize>(), samples, "{scraped}");
    });
}

#[test]
fn the_resource_is_what_the_settings_say() {
    talk(async {
        let (folder, mut collector) = (Folder::new(), Collector::start(well()).await);
        let url = collector.url();
        let variables = [("OTEL_SERVICE_NAME", "tides"), ("OTEL_RESOURCE_ATTRIBUTES", "a=b%2Cc,service.name=not")];
        let arguments =
            [&["--otlp-endpoint", url.as_str(), "--set", "tidemill.otlp.signals=metrics"], &SOON[..]].concat();
        let server = Server::start_in(&folder, &variables, &arguments);
        assert_eq!(server.try_get("/info").await, Some(200));
        for _ in 0..3 {
            let got = collector.next().await;
            assert_eq!(got.path, "/v1/metrics");
            let all = ExportMetricsServiceRequest::decode(&*got.body).expect("metrics").resource_metrics;
            let attributes = &all[0].resource.as_ref().expect("a resource").attributes;
            assert_eq!((said(attributes, "service.name"), said(attributes, "a")), (text("tides"), text("b,c")));
            assert_eq!(said(attributes, "service.version"), text(env!("CARGO_PKG_VERSION")));
        }
    });
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request to `/ksql` or the like with a parent, whose last two digits say whether it is kept.
fn traced(path: &str, body: &serde_json::Value, trace: &str, flags: &str) -> hyper::Request<Full<Bytes>> {
    let parent = format!("00-{trace}-{PARENT}-{flags}");
    request("POST", path, &[("traceparent", parent.as_str()), ("tracestate", "a=1")], body.to_string())
}

#[test]
fn a_request_is_a_span_of_its_clients_trace() {
    talk(async {
        let (folder, mut collector) = (Folder::new(), Collector::start(well()).await);
        let url = collector.url();
        let server = Server::start_with(&folder, &[&["--otlp-endpoint", url.as_str()], &SOON[..]].concat());
        // A client that does not keep its trace has none kept here, either.
        let dropped = "11111111111111111111111111111111";
        let body = json!({ "ksql": format!("{STREAM} {COUNTS}") });
        server.answer(Http::One, traced("/ksql", &json!({ "ksql": "SHOW STREAMS;" }), dropped, "00")).await;
        assert_eq!(server.answer(Http::Two, traced("/ksql/", &body, TRACE, "01")).await.status, 200);
        let spans = collector.spans_to(|span| span.name == "execute").await;
        assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:?}");
        let (root, steps) = spans.split_first().expect("a span");
        assert_eq!((root.name.as_str(), root.kind()), ("POST /ksql", SpanKind::Server));
        assert_eq!((hex(&root.parent_span_id), root.trace_state.as_str()), (PARENT.to_owned(), "a=1"));
        for (name, expected) in [
            ("http.request.method", text("POST")),
            ("http.route", text("/ksql")),
            ("http.response.status_code", Some(IntValue(200))),
            ("url.path", text("/ksql/")),
            ("url.scheme", text("http")),
            ("network.protocol.version", text("2")),
            ("server.address", text("127.0.0.1")),
            ("db.operation.name", text("BATCH")),
        ] {
            assert_eq!(said(&root.attributes, name), expected, "{name}");
        }
        let names: Vec<&str> = steps.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["parse", "plan", "execute", "execute", "execute"]);
        let kinds: Vec<_> = steps[2..].iter().map(|span| said(&span.attributes, "db.operation.name")).collect();
        assert_eq!(kinds, [text("CREATE STREAM"), text("SET"), text("CREATE TABLE")]);
        for step in steps {
            assert_eq!((&step.parent_span_id, step.kind()), (&root.span_id, SpanKind::Internal));
            assert!(root.start_time_unix_nano <= step.start_time_unix_nano, "{step:?}");
            assert!(step.start_time_unix_nano <= step.end_time_unix_nano, "{step:?}");
            assert!(step.end_time_unix_nano <= root.end_time_unix_nano, "{step:?}");
        }
        assert!(!format!("{spans:?}").contains("KAFKA_TOPIC"), "no text of a statement");
    });
}

#[test]
fn pulls_and_refusals_are_spans_too() {
    talk(async {
        let (folder, mut collector) = (Folder::new(), Collector::start(well()).await);
        let url = collector.url();
        let server = Server::start_with(&folder, &[&["--otlp-endpoint", url.as_str()], &SOON[..]].concat());
        server.ksql(&format!("{STREAM} {COUNTS}")).await;
        let ask = async |sql: &str| {
            let body = json!({ "sql": sql });
            server.answer(Http::One, traced("/query-stream", &body, TRACE, "01")).await.status
        };
        let names = |spans: &[Span]| -> Vec<(String, Option<Value>, i32)> {
            let own = spans.iter().filter(|span| hex(&span.trace_id) == TRACE);
            let code = |span: &Span| span.status.as_ref().map_or(0, |status| status.code);
            own.map(|span| (span.name.clone(), said(&span.attributes, "db.operation.name"), code(span))).collect()
        };
        let named = |name: &str, operation: Option<&str>, code| (name.to_owned(), operation.and_then(text), code);
        for sql in ["SELECT n FROM t WHERE v = 'a';", "SELECT COUNT(*) FROM t GROUP BY n;"] {
            assert_eq!(ask(sql).await, 200);
            let spans = collector.spans_to(|span| span.name == "execute" && hex(&span.trace_id) == TRACE).await;
            let root = named("POST /query-stream", Some("SELECT"), 0);
            assert_eq!(names(&spans), [root, named("parse", None, 0), named("execute", Some("SELECT"), 0)], "{sql}");
        }
        assert_eq!(ask("SELECT nope FROM t;").await, 400);
        // 2 is an error. That of the request is the client's, which is none of the server.
        let spans = collector.spans_to(|span| span.name == "execute" && hex(&span.trace_id) == TRACE).await;
        let root = named("POST /query-stream", Some("SELECT"), 0);
        assert_eq!(names(&spans), [root, named("parse", None, 0), named("execute", Some("SELECT"), 2)]);
        // What stands nowhere has no route, and a method that nobody knows no name.
        server.answer(Http::One, request("BREW", "/nowhere", &[], "")).await;
        let spans = collector.spans_to(|span| span.name == "HTTP").await;
        let last = spans.last().expect("a span");
        assert_eq!(said(&last.attributes, "http.request.method"), text("_OTHER"));
        assert!(last.parent_span_id.is_empty() && hex(&last.trace_id) != TRACE, "{last:?}");
        assert_eq!(said(&last.attributes, "http.route"), None);
    });
}

#[test]
fn the_spans_of_a_long_script_are_bounded() {
    talk(async {
        let (folder, mut collector) = (Folder::new(), Collector::start(well()).await);
        let url = collector.url();
        let server = Server::start_with(&folder, &[&["--otlp-endpoint", url.as_str()], &SOON[..]].concat());
        let body = json!({ "ksql": "SHOW STREAMS;".repeat(200) });
        assert_eq!(server.answer(Http::One, traced("/ksql", &body, TRACE, "01")).await.status, 200);
        let spans = collector.spans_to(|span| span.name == "execute").await;
        assert_eq!(spans.iter().filter(|span| hex(&span.trace_id) == TRACE).count(), 1 + 128);
        assert_eq!(said(&spans[0].attributes, "db.operation.name"), text("BATCH SHOW"));
        // The check of all of them, the parsing, and one for each.
        assert_eq!(dropped(&server, "traces").await, 2 + 200 - 128);
    });
}

#[test]
fn what_waits_is_sent_at_the_end() {
    talk(async {
        let (folder, mut collector) = (Folder::new(), Collector::start(well()).await);
        let url = collector.url();
        let later = ["--set", "tidemill.otlp.metrics.interval.ms=3600000", "--set", "tidemill.otlp.delay.ms=3600000"];
        let arguments = [&["--otlp-endpoint", url.as_str(), "--log", "info"], &later[..]].concat();
        let mut server = Server::start_with(&folder, &arguments);
        server.answer(Http::One, traced("/ksql", &json!({ "ksql": "SHOW STREAMS;" }), TRACE, "01")).await;
        server.ask_to_end();
        assert!(server.ended().success());
        let mut paths = Vec::new();
        while let Ok(got) = collector.got.try_recv() {
            match got.path.as_str() {
                "/v1/traces" => assert_eq!(spans_in(&got)[0].name, "POST /ksql"),
                "/v1/metrics" => assert_eq!(metrics_in(&got)[0].name, "tidemill.up"),
                _ => {
                    let log = &logs_in(&got)[0];
                    let body = log.body.clone().and_then(|body| body.value);
                    assert_eq!((body, log.severity_text.as_str()), (text("POST /ksql: 200"), "INFO"));
                    assert_eq!(said(&log.attributes, "path"), text("/ksql"));
                    assert!(log.time_unix_nano > 1_600_000_000_000_000_000, "{log:?}");
                }
            }
            paths.push(got.path);
        }
        paths.sort();
        assert_eq!(paths, ["/v1/logs", "/v1/metrics", "/v1/traces"]);
    });
}

#[test]
fn a_collector_is_found_over_tls() {
    talk(async {
        let (folder, authority) = (Folder::new(), Authority::new());
        let certified = authority.certify("localhost");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(certified.chain(), certified.key())
            .expect("a certificate");
        let tls = TlsAcceptor::from(Arc::new(config));
        let mut collector = Collector::start_over(Some(tls), well()).await;
        let (url, file) = (format!("https://localhost:{}", collector.port), folder.file("ca.pem", authority.pem()));
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_EXPORTER_OTLP_CERTIFICATE", &file)];
        let server = Server::start_in(&folder, &variables, &SOON);
        assert_eq!(server.try_get("/info").await, Some(200));
        assert_eq!(collector.metrics().await[0].name, "tidemill.up");
    });
}

/// How much the service says that it has dropped of a signal.
async fn dropped(server: &Server, signal: &str) -> u64 {
    let scraped = server.answer(Http::One, request("GET", "/metrics", &[], "")).await.text();
    let start = format!("tidemill_otlp_dropped_total{{signal=\"{signal}\"}} ");
    let count = scraped.lines().find_map(|line| line.strip_prefix(&start)).expect("a count");
    count.parse().expect("a number")
}

/// What the service has told, once a part is in it.
async fn told_with(server: &Server, part: &str) -> Vec<String> {
    let told = async {
        loop {
            let told = server.told();
            if told.iter().any(|line| line.contains(part)) {
                return told;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.unwrap_or_else(|_| panic!("{part} was not told"))
}

/// A service with this collector answers, counts what it drops, tells it once, and ends.
async fn goes_on_with(url: &str, why: &str, signals: &[&str]) {
    let folder = Folder::new();
    let arguments = [&["--otlp-endpoint", url, "--set", "tidemill.otlp.timeout.ms=50"], &SOON[..]].concat();
    let mut server = Server::start_with(&folder, &arguments);
    server.ksql(&format!("{STREAM} {COUNTS} INSERT INTO s VALUES (1, 'a');")).await;
    // Several times, each of which could have been told.
    let all_count = async {
        for signal in signals.iter().cycle().take(3 * signals.len()) {
            let before = dropped(&server, signal).await;
            while dropped(&server, signal).await == before {
                server.ksql("SHOW STREAMS;").await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_count).await.expect("what is dropped is counted");
    let pulled = post("/query-stream", &json!({ "sql": "SELECT n FROM t WHERE v = 'a';" }));
    assert_eq!(server.answer(Http::One, pulled).await.status, 200);
    for signal in signals {
        let told = told_with(&server, &format!("{signal} cannot be")).await;
        let of_signal: Vec<_> = told.iter().filter(|line| line.starts_with(&format!("{signal} cannot be"))).collect();
        assert_eq!(of_signal.len(), 1, "{told:?}");
        assert_has(of_signal[0], &[&format!("{url}/v1/{signal}"), why, "tidemill_otlp_dropped_total"]);
    }
    server.ask_to_end();
    assert!(server.ended().success());
}

#[test]
fn a_collector_that_answers_with_errors_disturbs_nobody() {
    talk(async {
        let collector = Collector::start(Manner::Answer(500, Vec::new())).await;
        goes_on_with(&collector.url(), "status 500", &["metrics", "traces"]).await;
    });
}

#[test]
fn a_collector_that_is_away_disturbs_nobody() {
    talk(async {
        // Nobody listens at the port of a listener that is gone.
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
        goes_on_with(&format!("http://127.0.0.1:{port}"), "refused", &["metrics"]).await;
    });
}

#[test]
fn a_collector_that_hangs_disturbs_nobody() {
    talk(async {
        let collector = Collector::start(Manner::Hang).await;
        goes_on_with(&collector.url(), "no answer within 50 ms", &["metrics"]).await;
    });
}

#[test]
fn the_end_does_not_wait_for_a_collector_that_hangs() {
    talk(async {
        let (folder, mut collector) = (Folder::new(), Collector::start(Manner::Hang).await);
        let url = collector.url();
        let patient = ["--otlp-endpoint", url.as_str(), "--set", "tidemill.otlp.timeout.ms=3600000"];
        let mut server = Server::start_with(&folder, &[&patient[..], &SOON[..]].concat());
        server.ksql(STREAM).await;
        // Both are being sent.
        let mut paths = [collector.next().await.path, collector.next().await.path];
        paths.sort();
        assert_eq!(paths, ["/v1/metrics", "/v1/traces"]);
        server.ask_to_end();
        let end = async {
            loop {
                match server.has_ended() {
                    Some(status) => return status,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), end).await.expect("an end").success());
        let told = told_with(&server, " were not sent at the end").await;
        assert!(
            told.iter().any(|line| line.starts_with("traces: ") && line.ends_with(" were not sent at the end")),
            "{told:?}"
        );
    });
}

#[test]
fn a_collector_that_comes_back_gets_what_has_waited() {
    talk(async {
        let folder = Folder::new();
        let mut collector = Collector::start(Manner::Away(Arc::new(AtomicUsize::new(3)))).await;
        let url = collector.url();
        let signals = ["--otlp-endpoint", url.as_str(), "--set", "tidemill.otlp.signals=traces", "--log", "info"];
        let server = Server::start_with(&folder, &[&signals[..], &SOON[..]].concat());
        let show = json!({ "ksql": "SHOW STREAMS;" });
        server.answer(Http::One, traced("/ksql", &show, TRACE, "01")).await;
        let first = collector.next().await.body;
        for _ in 0..3 {
            assert_eq!(collector.next().await.body, first);
        }
        let other = "22222222222222222222222222222222";
        server.answer(Http::One, traced("/ksql", &show, other, "01")).await;
        assert!(spans_in(&collector.next().await).iter().all(|span| hex(&span.trace_id) == other));
        let told = told_with(&server, "traces are sent again").await;
        assert_eq!(told.iter().filter(|line| line.contains("cannot be sent") && line.contains("503")).count(), 1);
        assert_eq!(told.iter().filter(|line| *line == "traces are sent again").count(), 1);
        assert_eq!(dropped(&server, "traces").await, 0);
    });
}

#[test]
fn what_a_collector_rejects_is_counted() {
    talk(async {
        let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "too many".to_owned() };
        let answer = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let folder = Folder::new();
        let mut collector = Collector::start(Manner::Answer(200, answer)).await;
        let url = collector.url();
        let signals = ["--otlp-endpoint", url.as_str(), "--set", "tidemill.otlp.signals=traces"];
        let server = Server::start_with(&folder, &[&signals[..], &SOON[..]].concat());
        server.ksql("SHOW STREAMS;").await;
        collector.spans_to(|span| span.name == "execute").await;
        let is_counted = async { while dropped(&server, "traces").await < 2 {} };
        tokio::time::timeout(Duration::from_secs(60), is_counted).await.expect("what is rejected is counted");
        let told = told_with(&server, " were dropped, since the collector is slow or has rejected them").await;
        assert!(told.iter().any(|line| line.starts_with("traces: ")), "{told:?}");
    });
}

#[test]
fn a_wrong_address_is_refused_with_its_place() {
    let folder = Folder::new();
    let file = folder.file("tidemill.conf", "# telemetry\ntidemill.otlp.endpoint=localhost:4317\n");
    let said = folder.refused(2, &["check-config", "--config", &file]);
    assert_has(&said, &["tidemill.conf, line 2: ", "'localhost:4317'", "http://HOST:PORT"]);
    let mut command = folder.command(&["check-config"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://x:1");
    let output = command.output().expect("the program");
    assert_eq!(output.status.code(), Some(2));
    assert_has(&String::from_utf8_lossy(&output.stderr), &["OTEL_EXPORTER_OTLP_ENDPOINT: ", "'grpc://x:1'"]);
    let said = folder.refused(2, &["serve", "--otlp-endpoint", "http://ann:secret@x", "--listen", "127.0.0.1:0"]);
    assert_has(&said, &["--otlp-endpoint: ", "http://HOST:PORT"]);
    let set = ["--set", "tidemill.otlp.endpoint=http://x:4317", "--set", "tidemill.otlp.protocol=grpc"];
    for command in [&["check-config"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let said = folder.refused(2, &[command, &set[..]].concat());
        assert_has(&said, &["tidemill.otlp.protocol=grpc", "http/protobuf", "4318"]);
    }
    assert!(!folder.data().exists(), "nothing is made");
}
