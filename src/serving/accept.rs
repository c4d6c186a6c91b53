//! Content negotiation: which of the media types that an endpoint has a client takes.

use axum::http::{HeaderMap, header};

/// JSON.
pub(super) const JSON: &str = "application/json";
/// ksqlDB's own JSON.
pub(super) const V1: &str = "application/vnd.ksql.v1+json";
/// ksqlDB's own JSON with rows in Protobuf.
pub(super) const PROTOBUF: &str = "application/vnd.ksql.v1+protobuf";
/// One JSON value a line.
pub(super) const DELIMITED: &str = "application/vnd.ksqlapi.delimited.v1";
/// Events of a browser's EventSource.
pub(super) const EVENTS: &str = "text/event-stream";

/// The first of the types in `offered` that the client wants most; None if it takes none of them.
///
/// Without an Accept header, or with an empty one, `default`. As on ksqlDB's server, `q=0` does not refuse a type, and
/// other parameters say nothing.
pub(super) fn choose(headers: &HeaderMap, offered: &[&'static str], default: &'static str) -> Option<&'static str> {
    let written: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let written = written.join(",");
    if written.trim().is_empty() {
        return Some(default);
    }
    let mut wanted: Vec<(&str, f64)> = written.split(',').map(range).collect();
    // The sort is stable: of types that are wanted alike, the one that is named first.
    wanted.sort_by(|a, b| b.1.total_cmp(&a.1));
    wanted.iter().find_map(|(range, _)| offered.iter().find(|offered| matches(range, offered)).copied())
}

/// A media range and how much it is wanted.
fn range(written: &str) -> (&str, f64) {
    let mut parts = written.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
    (range, quality.unwrap_or(1.0))
}

fn matches(range: &str, offered: &str) -> bool {
    match range.strip_suffix('*') {
        Some("*/") => true,
        Some(kind) if kind.ends_with('/') => offered.starts_with(kind),
        _ => range.eq_ignore_ascii_case(offered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_decides_between_what_there_is() {
        let chosen = |accept: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|accept| (header::ACCEPT, accept.parse().expect("a header"))));
            choose(&headers, &[DELIMITED, JSON, V1], V1)
        };
        assert_eq!(chosen(None), Some(V1));
        assert_eq!(chosen(Some("")), Some(V1));
        assert_eq!(chosen(Some("*/*")), Some(DELIMITED));
        assert_eq!(chosen(Some("application/*")), Some(DELIMITED));
        assert_eq!(chosen(Some("application/json;q=0")), Some(JSON));
        assert_eq!(chosen(Some("application/json;q=0.1, application/vnd.ksql.v1+json;q=0.9")), Some(V1));
        assert_eq!(chosen(Some("text/html, */*;q=0.1")), Some(DELIMITED));
        assert_eq!(chosen(Some("text/*")), None);
        assert_eq!(chosen(Some("garbage")), None);
    }
}
