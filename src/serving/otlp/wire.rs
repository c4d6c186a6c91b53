//! The messages of OTLP.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tracing::Level;

use super::{Attribute, Signal};
use crate::serving::metrics::{Kind, Measured, Sample};

/// The longest text that is sent, in bytes: a client may say as much as it likes, and it waits in memory.
const MOST_TEXT: usize = 4_096;

/// What a request to the collector has.
pub(super) struct Load {
    pub bytes: Bytes,
    /// How many spans, events or points.
    pub items: u64,
}

/// Something that is said, by name.
pub(super) fn attribute(name: impl Into<String>, value: Attribute) -> KeyValue {
    let value = match value {
        Attribute::Text(text) => any_value::Value::StringValue(cut(text)),
        Attribute::Integer(number) => any_value::Value::IntValue(number),
        Attribute::Float(number) => any_value::Value::DoubleValue(number),
        Attribute::Flag(flag) => any_value::Value::BoolValue(flag),
    };
    KeyValue { key: name.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A text without what is too much.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MOST_TEXT));
    text.shrink_to_fit();
    text
}

/// What is said of the service.
pub(super) fn resource(pairs: &[(String, String)]) -> Resource {
    let attributes = pairs.iter().map(|(name, value)| attribute(name, Attribute::Text(value.clone()))).collect();
    Resource { attributes, ..Resource::default() }
}

fn scope() -> Option<InstrumentationScope> {
    let (name, version) = ("tidemill".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    Some(InstrumentationScope { name, version, ..InstrumentationScope::default() })
}

/// A request with metrics, as they are at a time.
pub(super) fn metrics(resource: &Resource, measured: &[Measured], now_ns: u64) -> Load {
    let metrics: Vec<Metric> = measured.iter().map(|measured| metric_of(measured, now_ns)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
    let resource = Some(resource.clone());
    let all = ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
    let bytes = ExportMetricsServiceRequest { resource_metrics: vec![all] }.encode_to_vec().into();
    Load { bytes, items: measured.iter().map(|measured| measured.samples.len() as u64).sum() }
}

fn metric_of(measured: &Measured, now_ns: u64) -> Metric {
    let family = measured.family;
    let data_points: Vec<NumberDataPoint> = measured.samples.iter().map(|sample| point(sample, now_ns)).collect();
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let data = match family.kind {
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points }),
        kind => {
            let is_monotonic = kind == Kind::Counter;
            metric::Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
        }
    };
    Metric {
        name: family.otlp.to_owned(),
        description: family.help.to_owned(),
        unit: family.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// A value. Since when it is counted stays open: most counters are older than the process.
fn point(sample: &Sample, now_ns: u64) -> NumberDataPoint {
    let labels = sample.labels.iter();
    NumberDataPoint {
        attributes: labels.map(|(label, value)| attribute(label.otlp, Attribute::Text(value.clone()))).collect(),
        time_unix_nano: now_ns,
        value: Some(number_data_point::Value::AsInt(sample.value)),
        ..NumberDataPoint::default()
    }
}

/// A request with spans.
pub(super) fn spans(resource: &Resource, spans: Vec<Span>) -> Load {
    let items = spans.len() as u64;
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
    let resource = Some(resource.clone());
    let all = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
    Load { bytes: ExportTraceServiceRequest { resource_spans: vec![all] }.encode_to_vec().into(), items }
}

/// A request with events.
pub(super) fn logs(resource: &Resource, log_records: Vec<LogRecord>) -> Load {
    let items = log_records.len() as u64;
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }];
    let resource = Some(resource.clone());
    let all = ResourceLogs { resource, scope_logs, ..ResourceLogs::default() };
    Load { bytes: ExportLogsServiceRequest { resource_logs: vec![all] }.encode_to_vec().into(), items }
}

/// An event that happened at a time.
pub(super) fn log_record(
    now_ns: u64,
    level: Level,
    message: String,
    attributes: Vec<(&'static str, Attribute)>,
) -> LogRecord {
    let severity = match level {
        Level::ERROR => SeverityNumber::Error,
        Level::WARN => SeverityNumber::Warn,
        Level::INFO => SeverityNumber::Info,
        Level::DEBUG => SeverityNumber::Debug,
        Level::TRACE => SeverityNumber::Trace,
    };
    LogRecord {
        time_unix_nano: now_ns,
        observed_time_unix_nano: now_ns,
        severity_number: severity.into(),
        severity_text: level.to_string(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(cut(message))) }),
        attributes: attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
        ..LogRecord::default()
    }
}

/// How much of a request the collector says it has not taken. An answer that is none says nothing of it.
pub(super) fn rejected(signal: Signal, answer: &[u8]) -> u64 {
    let rejected = match signal {
        Signal::Metrics => ExportMetricsServiceResponse::decode(answer)
            .map(|answer| answer.partial_success.map(|partial| partial.rejected_data_points)),
        Signal::Traces => ExportTraceServiceResponse::decode(answer)
            .map(|answer| answer.partial_success.map(|partial| partial.rejected_spans)),
        Signal::Logs => ExportLogsServiceResponse::decode(answer)
            .map(|answer| answer.partial_success.map(|partial| partial.rejected_log_records)),
    };
    rejected.ok().flatten().and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_two_characters() {
        assert_eq!(cut("a".repeat(MOST_TEXT)).len(), MOST_TEXT);
        assert_eq!(cut("a".repeat(MOST_TEXT - 1) + "ä").len(), MOST_TEXT - 1);
    }

    #[test]
    fn an_answer_says_how_much_was_rejected() {
        // A partial success with the number 5, as each of the three messages has it.
        let answer = [0x0a, 2, 0x08, 5];
        assert!(Signal::ALL.iter().all(|signal| rejected(*signal, &answer) == 5));
        assert_eq!((rejected(Signal::Logs, b""), rejected(Signal::Logs, b"{}")), (0, 0));
    }
}
