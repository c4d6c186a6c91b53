//! The endpoints: which paths there are, what answers at each, and what is said of it in the description of the API.
//!
//! One list: the routes, the description (`openapi`) and its test are loops over it.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::accept::{DELIMITED, EVENTS, JSON, PROTOBUF, V1};
use super::{Service, backup, close, inserts, ksql, metrics, openapi, query, small, websocket};

/// What stands at a path.
pub(super) struct Endpoint {
    /// With names in brackets for what is not fixed.
    pub path: &'static str,
    pub operations: &'static [Operation],
    route: fn() -> MethodRouter<Arc<Service>>,
}

/// What a method does at a path.
pub(super) struct Operation {
    /// In lower case.
    pub method: &'static str,
    pub summary: &'static str,
    /// What a request brings besides the path.
    pub asked: Asked,
    /// The media types of an answer; none for an answer without a body.
    pub answers: &'static [&'static str],
    /// The statuses of answers that are neither 200 nor one that every endpoint may give.
    pub others: &'static [u16],
}

/// What a request brings.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    Nothing,
    /// A JSON object with these fields.
    Object(&'static [Field]),
    /// Lines of JSON, over HTTP/2.
    Lines,
    /// These fields in the query of the address.
    Address(&'static [Field]),
}

/// A field of a request.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub name: &'static str,
    /// `string`, `object` and the like, as OpenAPI calls them.
    pub kind: &'static str,
    pub is_required: bool,
    pub summary: &'static str,
}

const fn field(name: &'static str, kind: &'static str, summary: &'static str) -> Field {
    Field { name, kind, is_required: false, summary }
}

const fn required(name: &'static str, kind: &'static str, summary: &'static str) -> Field {
    Field { name, kind, is_required: true, summary }
}

const VARIABLES: Field = field("sessionVariables", "object", "values of variables, by their names");
const SEQUENCE: Field = field("commandSequenceNumber", "integer", "the command that must have been executed before");
const SETTINGS: &str = "properties that hold for this request, by their names";

const OLD_STATEMENTS: &[Field] = &[
    required("ksql", "string", "the statements"),
    field("streamsProperties", "object", SETTINGS),
    VARIABLES,
    SEQUENCE,
];
const NEW_STATEMENTS: &[Field] =
    &[required("sql", "string", "the statement"), field("properties", "object", SETTINGS), VARIABLES];
const WEB_SOCKET: &[Field] = &[
    field("request", "string", "a JSON object with the fields of /query"),
    field("version", "string", "1, if anything"),
];
const TEXT: &str = "text/plain; charset=utf-8";
const ROWS: &[&str] = &[V1, DELIMITED, PROTOBUF];

const fn gets(summary: &'static str, answers: &'static [&'static str], others: &'static [u16]) -> Operation {
    Operation { method: "get", summary, asked: Asked::Nothing, answers, others }
}

const fn posts(
    summary: &'static str,
    asked: Asked,
    answers: &'static [&'static str],
    others: &'static [u16],
) -> Operation {
    Operation { method: "post", summary, asked, answers, others }
}

/// All endpoints.
pub(super) const ALL: &[Endpoint] = &[
    Endpoint {
        path: "/ksql",
        operations: &[posts("executes statements", Asked::Object(OLD_STATEMENTS), &[JSON], &[])],
        route: || post(ksql::ksql),
    },
    Endpoint {
        path: "/ksql/terminate",
        operations: &[posts(
            "ends all queries and takes no more requests",
            Asked::Object(&[field("deleteTopicList", "array", "patterns of topics that are deleted, too")]),
            &[JSON],
            &[],
        )],
        route: || post(small::terminate),
    },
    Endpoint {
        path: "/query",
        operations: &[posts("the rows of a SELECT, or a PRINT", Asked::Object(OLD_STATEMENTS), ROWS, &[404])],
        route: || post(query::query),
    },
    Endpoint {
        path: "/query-stream",
        operations: &[
            posts(
                "the rows of a SELECT, or a PRINT",
                Asked::Object(NEW_STATEMENTS),
                &[DELIMITED, JSON, V1, PROTOBUF, EVENTS],
                &[204],
            ),
            Operation {
                method: "get",
                summary: "the rows of a SELECT, as events for a browser",
                asked: Asked::Address(NEW_STATEMENTS),
                answers: &[EVENTS],
                others: &[204, 405],
            },
        ],
        route: || post(query::query_stream).on(MethodFilter::GET, query::events),
    },
    Endpoint {
        path: "/close-query",
        operations: &[posts(
            "ends a query that shows rows",
            Asked::Object(&[required("queryId", "string", "the id of the query")]),
            &[],
            &[],
        )],
        route: || post(close::close_query),
    },
    Endpoint {
        path: "/inserts-stream",
        operations: &[posts("inserts rows, acknowledged one by one", Asked::Lines, &[DELIMITED, JSON], &[])],
        route: || post(inserts::inserts_stream),
    },
    Endpoint {
        path: "/ws/query",
        operations: &[Operation {
            method: "get",
            summary: "opens a WebSocket with the rows of a SELECT as frames",
            asked: Asked::Address(WEB_SOCKET),
            answers: &[],
            others: &[101],
        }],
        route: || get(websocket::query),
    },
    Endpoint { path: "/", operations: &[gets("leads to /info", &[], &[307])], route: || get(small::root) },
    Endpoint {
        path: "/info",
        operations: &[gets("the version and the state of the server", &[JSON], &[])],
        route: || get(small::info),
    },
    Endpoint {
        path: "/healthcheck",
        operations: &[gets("whether the server is healthy", &[JSON], &[])],
        route: || get(small::health),
    },
    Endpoint {
        path: "/status",
        operations: &[gets("the last commands", &[JSON], &[])],
        route: || get(small::statuses),
    },
    Endpoint {
        path: "/status/{kind}/{entity}/{action}",
        operations: &[gets("a command", &[JSON], &[404])],
        route: || get(small::status),
    },
    Endpoint {
        path: "/is_valid_property/{name}",
        operations: &[gets("whether a property may be set", &[JSON], &[])],
        route: || get(small::is_valid_property),
    },
    Endpoint {
        path: "/clusterStatus",
        operations: &[gets("the nodes, if heartbeats are switched on", &[JSON], &[404])],
        route: || get(small::cluster_status),
    },
    Endpoint {
        path: "/heartbeat",
        operations: &[posts("takes a heartbeat, if they are switched on", Asked::Object(&[]), &[JSON], &[404])],
        route: || post(small::heartbeat),
    },
    Endpoint {
        path: "/lag",
        operations: &[posts("takes a report of lags, if they are switched on", Asked::Object(&[]), &[JSON], &[404])],
        route: || post(small::lag),
    },
    Endpoint {
        path: "/v1/metadata",
        operations: &[gets("the version and the ids of the server", &[JSON], &[])],
        route: || get(small::metadata),
    },
    Endpoint {
        path: "/v1/metadata/id",
        operations: &[gets("the ids of the server", &[JSON], &[])],
        route: || get(small::metadata_id),
    },
    Endpoint {
        path: "/backup",
        operations: &[posts(
            "makes a backup below the folder of backups",
            Asked::Object(&[required("name", "string", "the name of the backup")]),
            &[JSON],
            &[],
        )],
        route: || post(backup::backup),
    },
    Endpoint {
        path: "/metrics",
        operations: &[gets("what is measured, as Prometheus reads it", &[metrics::TEXT], &[])],
        route: || get(metrics::metrics),
    },
    Endpoint {
        path: "/export",
        operations: &[gets("the statements that made what exists", &[TEXT], &[])],
        route: || get(small::export),
    },
    Endpoint {
        path: "/openapi.json",
        operations: &[gets("this description", &[JSON], &[])],
        route: || get(openapi::openapi),
    },
    Endpoint {
        path: "/livez",
        operations: &[gets("whether the process is worth keeping", &[TEXT], &[])],
        route: || get(small::live),
    },
    Endpoint {
        path: "/readyz",
        operations: &[gets("whether requests should be sent here", &[TEXT], &[])],
        route: || get(small::ready),
    },
    Endpoint {
        path: "/chc/ready",
        operations: &[gets("whether the process is there", &[JSON], &[])],
        route: || get(small::alive),
    },
    Endpoint {
        path: "/chc/live",
        operations: &[gets("whether the process is there", &[JSON], &[])],
        route: || get(small::alive),
    },
];

/// What answers at which path.
pub(super) fn routes(service: &Arc<Service>) -> Router {
    let add = |router: Router<Arc<Service>>, endpoint: &Endpoint| router.route(endpoint.path, (endpoint.route)());
    ALL.iter().fold(Router::new(), add).fallback(|| async { not_found() }).with_state(service.clone())
}

/// The path of the endpoint that answers at a path; None if there is none.
pub(super) fn route_of(path: &str) -> Option<&'static str> {
    let is_at = |endpoint: &&Endpoint| {
        let (own, parts) = (endpoint.path.split('/'), path.split('/'));
        own.clone().count() == parts.clone().count()
            && own.zip(parts).all(|(own, part)| own == part || own.starts_with('{'))
    };
    ALL.iter().find(is_at).map(|endpoint| endpoint.path)
}

/// GET alone.
fn get<T: 'static>(handler: impl Handler<T, Arc<Service>>) -> MethodRouter<Arc<Service>> {
    only(on(MethodFilter::GET, handler), "GET")
}

/// POST alone.
fn post<T: 'static>(handler: impl Handler<T, Arc<Service>>) -> MethodRouter<Arc<Service>> {
    only(on(MethodFilter::POST, handler), "POST")
}

/// Any other method is refused, and the right one named.
fn only(route: MethodRouter<Arc<Service>>, method: &'static str) -> MethodRouter<Arc<Service>> {
    route.fallback(move || async move { not_allowed(method) })
}

/// The answer to another method than the one that is taken.
pub(super) fn not_allowed(method: &'static str) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, method)]).into_response()
}

/// The answer to what stands nowhere.
fn not_found() -> Response {
    let page = "<html><body><h1>Resource not found</h1></body></html>";
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_route_that_answers_it() {
        assert_eq!(route_of("/ksql"), Some("/ksql"));
        assert_eq!(route_of("/"), Some("/"));
        assert_eq!(route_of("/status/stream/S/create"), Some("/status/{kind}/{entity}/{action}"));
        assert_eq!((route_of("/status/stream"), route_of("/nowhere")), (None, None));
    }
}
