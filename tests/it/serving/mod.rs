//! The service as its clients see it: real sockets, a real process.

mod access;
mod assert;
mod backup;
pub(crate) mod client;
mod events;
mod headless;
mod hostile;
mod openapi;
mod other_clients;
mod otlp;
mod pg;
mod print;
mod repeated;
mod resumed;
mod tls;
mod told;
mod upgrade;
mod wire;
mod wording;

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::command_line::Folder;
use client::{Http, Server, post, request};

const STREAM: &str =
    "CREATE STREAM s (id INT KEY, v STRING) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');";
const COUNTS: &str = "SET 'auto.offset.reset'='earliest'; CREATE TABLE t AS SELECT v, COUNT(*) AS n FROM s GROUP BY v;";

/// Runs a test that talks to servers.
fn talk(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads").block_on(test);
}

#[test]
fn statements_are_answered_by_entities() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let entities =
            server.ksql(&format!("{STREAM} INSERT INTO s VALUES (1, 'a'); {COUNTS} LIST STREAMS; LIST QUERIES;")).await;
        let kinds: Vec<&str> = entities.iter().map(|entity| entity["@type"].as_str().expect("a type")).collect();
        assert_eq!(kinds, ["currentStatus", "currentStatus", "streams", "queries"]);
        assert_eq!(
            entities[0]["statementText"],
            "CREATE STREAM S (ID INTEGER KEY, V STRING) WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='s', \
             KEY_FORMAT='KAFKA', PARTITIONS=1, VALUE_FORMAT='JSON');"
        );
        assert_eq!(entities[0]["commandId"], "stream/`S`/create");
        let query = entities[1]["commandStatus"]["queryId"].as_str().expect("an id");
        assert!(query.starts_with("CTAS_T_"), "{query}");
        assert_eq!(
            entities[1]["statementText"],
            "CREATE TABLE T WITH (CLEANUP_POLICY='compact', KAFKA_TOPIC='T', PARTITIONS=1, REPLICAS=1, \
             RETENTION_MS=604800000) AS SELECT\n  S.V V,\n  COUNT(*) N\nFROM S S\nGROUP BY S.V\nEMIT CHANGES;"
        );
        assert!(entities[1]["commandSequenceNumber"].as_i64() > entities[0]["commandSequenceNumber"].as_i64());
        assert_eq!(entities[3]["queries"][0]["id"], query);
        let described = server.ksql("DESCRIBE t; EXPLAIN SELECT * FROM s EMIT CHANGES; SHOW PROPERTIES;").await;
        assert_eq!(described[0]["sourceDescription"]["writeQueries"][0]["id"], query);
        assert_eq!(described[0]["sourceDescription"]["fields"][0]["type"], "KEY");
        assert_eq!(described[1]["queryDescription"]["sources"], json!(["S"]));
        assert!(described[2]["properties"].as_array().is_some_and(|all| all.len() > 10));
        let status = server.answer(Http::One, request("GET", "/status/stream/%60S%60/create", &[], "")).await;
        assert_eq!(status.json(), json!({ "status": "SUCCESS", "message": "Stream created", "queryId": null }));
    });
}

#[test]
fn a_request_is_validated_whole_before_any_of_it_is_done() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let bad = format!("{STREAM} CREATE STREAM x AS SELECT nope FROM s;");
        let answer = server.answer(Http::One, post("/ksql", &json!({ "ksql": bad }))).await;
        assert_eq!((answer.status, &answer.json()["error_code"]), (400, &json!(40001)));
        assert_eq!(answer.json()["entities"], json!([]));
        assert_eq!(server.ksql("LIST STREAMS;").await[0]["streams"], json!([]));
    });
}

#[test]
fn a_function_is_described_by_its_signatures() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let described = server.ksql("DESCRIBE FUNCTION explode;").await.remove(0);
        assert_eq!(described["@type"], "describe_function");
        assert_eq!((&described["name"], &described["type"]), (&json!("EXPLODE"), &json!("TABLE")));
        let argument = json!({ "name": "list", "type": "ARRAY<T>", "description": "", "isVariadic": false });
        assert_eq!(described["functions"][0]["arguments"], json!([argument]));
        assert_eq!(described["functions"][0]["argumentTypes"], json!(["ARRAY<T>"]));
        assert_eq!(described["functions"][0]["returnType"], "T");
        let unknown = post("/ksql", &json!({ "ksql": "DESCRIBE FUNCTION nope;" }));
        let message = "Can't find any functions with the name 'NOPE'";
        let expected = json!({ "@type": "generic_error", "error_code": 40000, "message": message });
        assert_eq!(server.answer(Http::One, unknown).await.json(), expected);
    });
}

/// What is answered to a SELECT in a layout: the pieces.
async fn rows(server: &Server, http: Http, accept: &str, select: &str) -> Vec<String> {
    let body = json!({ "sql": select, "properties": { "auto.offset.reset": "earliest" } }).to_string();
    let answer = server.answer(http, request("POST", "/query-stream", &[("accept", accept)], body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.pieces
}

#[test]
fn each_element_of_an_answer_is_a_frame() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} INSERT INTO s VALUES (1, 'a'); INSERT INTO s VALUES (2, 'b');")).await;
        let select = "SELECT id, v FROM s EMIT CHANGES LIMIT 2;";
        let v1 = rows(&server, Http::Two, "application/vnd.ksql.v1+json", select).await;
        assert!(v1[0].starts_with("[{\"header\":{\"queryId\":\"transient_S_"), "{v1:?}");
        assert!(v1[0].ends_with("\"schema\":\"`ID` INTEGER, `V` STRING\"}},\n"), "{v1:?}");
        let rest = ["{\"row\":{\"columns\":[1,\"a\"]}},\n", "{\"row\":{\"columns\":[2,\"b\"]}},\n"];
        assert_eq!(v1[1..3], rest);
        assert_eq!(v1[3..], ["{\"finalMessage\":\"Limit Reached\"}", "]"]);
        let lines = rows(&server, Http::Two, "*/*", select).await;
        assert_eq!(lines[1..], ["[1,\"a\"]\n", "[2,\"b\"]\n"]);
        let array = rows(&server, Http::One, "application/json", select).await;
        let array: Vec<Value> = serde_json::from_str(&array.concat()).expect("one array");
        assert_eq!(array[1..], [json!([1, "a"]), json!([2, "b"])]);
        // Without EMIT, a stream is read to where it ends.
        let bounded = rows(&server, Http::Two, "application/vnd.ksql.v1+json", "SELECT v FROM s WHERE id = 2;").await;
        assert_eq!(bounded[1..], ["{\"row\":{\"columns\":[\"b\"]}},\n", "{\"finalMessage\":\"Query Completed\"}", "]"]);
    });
}

#[test]
fn tables_are_pulled() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} INSERT INTO s VALUES (1, 'a'); INSERT INTO s VALUES (2, 'a'); {COUNTS}")).await;
        let pull = || post("/query", &json!({ "ksql": "SELECT * FROM t WHERE v = 'a';" }));
        let mut answer = server.answer(Http::One, pull()).await;
        // The query that counts may not have begun.
        while !answer.text().contains("\"a\",2") {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer = server.answer(Http::One, pull()).await;
        }
        assert_eq!(answer.content_type.as_deref(), Some("application/vnd.ksql.v1+json"));
        let answer = answer.json();
        assert_eq!(answer[0]["header"]["schema"], "`V` STRING KEY, `N` BIGINT");
        assert_eq!(answer[1], json!({ "row": { "columns": ["a", 2] } }));
        assert_eq!(answer.as_array().map(Vec::len), Some(2));
        // A client may ask which node has the rows.
        let debug = json!({ "ksql": "SELECT * FROM t WHERE v = 'a';",
            "requestProperties": { "request.ksql.debug.request": true } });
        let told = server.answer(Http::One, post("/query", &debug)).await.json();
        assert!(told[1]["sourceHost"].is_string() && told[1]["row"]["columns"] == json!(["a", 2]), "{told}");
        // A key that is named twice is looked up once, and LIMIT leaves the first rows in the order of their keys.
        server.ksql("INSERT INTO s VALUES (3, 'c'); INSERT INTO s VALUES (4, 'b');").await;
        let mut all = Vec::new();
        while all.len() < 4 {
            all = rows(&server, Http::One, "*/*", "SELECT v FROM t;").await;
        }
        let limited = rows(&server, Http::One, "*/*", "SELECT v FROM t LIMIT 2;").await;
        assert_eq!(limited[1..], ["[\"a\"]\n", "[\"b\"]\n"]);
        let twice = rows(&server, Http::One, "*/*", "SELECT v FROM t WHERE v IN ('b', 'a', 'b');").await;
        assert_eq!(twice.len(), 3);
    });
}

#[test]
fn an_open_query_ends_when_it_is_closed_and_when_its_client_goes() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        for http in [Http::One, Http::Two] {
            let select = json!({ "sql": "SELECT * FROM s EMIT CHANGES;" });
            let mut open = server.open(http, post("/query-stream", &select)).await;
            let head: Value = serde_json::from_str(&open.next().await.expect("a head")).expect("JSON");
            let id = head["queryId"].as_str().expect("an id");
            server.ksql("INSERT INTO s VALUES (7, 'x');").await;
            assert_eq!(open.next().await.as_deref(), Some("[7,\"x\"]\n"));
            let close = post("/close-query", &json!({ "queryId": id }));
            assert_eq!(server.answer(http, close).await.status, 200);
            assert_eq!(open.next().await, None);
            let gone = post("/close-query", &json!({ "queryId": id }));
            let mut answer = server.answer(http, gone).await;
            while answer.status == 200 {
                answer = server.answer(http, post("/close-query", &json!({ "queryId": id }))).await;
            }
            assert_eq!(answer.json()["message"], format!("No query with id {id}"));
            let mut open = server.open(http, post("/query-stream", &select)).await;
            let head: Value = serde_json::from_str(&open.next().await.expect("a head")).expect("JSON");
            drop(open);
            loop {
                let close = post("/close-query", &json!({ "queryId": head["queryId"] }));
                if server.answer(http, close).await.status == 400 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
}

#[test]
fn rows_are_inserted_as_lines_and_acknowledged() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let lines = "{\"target\":\"s\"}\n{\"id\":1,\"v\":\"a\"}\n{\"ID\":2}\n{\"id\":\"3\"}\n{\"id\":4}\n";
        let answer = server.answer(Http::Two, request("POST", "/inserts-stream", &[], lines)).await;
        let said: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(said[..2], [json!({ "seq": 0, "status": "ok" }), json!({ "seq": 1, "status": "ok" })]);
        assert_eq!((&said[2]["seq"], &said[2]["error_code"]), (&json!(2), &json!(40000)));
        assert_eq!(said[2]["message"], "Can't coerce a field of type class java.lang.String into type INTEGER");
        assert_eq!(said.len(), 3);
        let written = rows(&server, Http::Two, "*/*", "SELECT * FROM s;").await;
        assert_eq!(written[1..], ["[1,\"a\"]\n", "[2,null]\n"]);
        let old = server.answer(Http::One, request("POST", "/inserts-stream", &[], lines)).await;
        assert_eq!((old.status, &old.json()["error_code"]), (400, &json!(40004)));
        let nowhere = request("POST", "/inserts-stream", &[], "{\"target\":\"nope\"}\n");
        assert_eq!(server.answer(Http::Two, nowhere).await.json()["error_code"], 40001);
        // Properties change nothing of an insert, but a value that is none is refused.
        for (value, status) in [("latest", 200), ("x", 400)] {
            let first = json!({ "target": "s", "properties": { "auto.offset.reset": value, "nope": 1 } }).to_string();
            let answer = server.answer(Http::Two, request("POST", "/inserts-stream", &[], first)).await;
            assert_eq!(answer.status, status, "{answer:?}");
        }
    });
}

#[test]
fn bad_requests_get_the_statuses_of_ksqldb() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let ask = async |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
            let answer = server.answer(Http::One, request(method, path, headers, body.to_owned())).await;
            let code = serde_json::from_str::<Value>(&answer.text()).ok().and_then(|body| body["error_code"].as_i64());
            (answer.status, code, answer.allow)
        };
        let allow = |method: &str| Some(method.to_owned());
        for (method, path, headers, body, expected) in [
            ("GET", "/nope", &[][..], "", (404, None, None)),
            ("GET", "/INFO", &[], "", (404, None, None)),
            ("GET", "/ksql/", &[], "", (405, None, allow("POST"))),
            ("POST", "//info", &[], "", (405, None, allow("GET"))),
            ("HEAD", "/info", &[], "", (405, None, None)),
            ("GET", "/info", &[("accept", "text/html")], "", (406, None, None)),
            ("GET", "/%zz", &[], "", (400, None, None)),
            ("GET", "/is_valid_property/ksql.service.id", &[], "", (400, Some(40000), None)),
            ("GET", "/status/stream/%60NOPE%60/create", &[], "", (404, Some(40400), None)),
            ("GET", "/clusterStatus", &[], "", (404, None, None)),
            ("POST", "/ksql", &[], "{\"ksql\": \"LIST", (400, Some(40000), None)),
            ("POST", "/ksql", &[], "[1]", (400, Some(40000), None)),
            ("POST", "/ksql", &[], "", (400, Some(40000), None)),
            ("POST", "/ksql", &[], "{\"ksql\":\"LIST TYPES;\",\"streamsProperties\":[]}", (400, Some(40000), None)),
            ("POST", "/ksql", &[], "{\"ksql\":\"LIST TYPES\"}", (400, Some(40001), None)),
            ("POST", "/ksql", &[], "{\"ksql\":\"SELECT * FROM s;\"}", (400, Some(40002), None)),
            ("POST", "/ksql", &[], "{\"ksql\":\"DESCRIBE nope;\"}", (400, Some(40001), None)),
            ("POST", "/query", &[], "{\"ksql\":\"SELECT * FROM s; SELECT * FROM s;\"}", (400, Some(40001), None)),
            ("POST", "/query-stream", &[], "{\"sql\":\"LIST STREAMS;\"}", (400, Some(40001), None)),
            ("POST", "/query-stream", &[], "{\"sql\":\"SELECT nope FROM s EMIT CHANGES;\"}", (400, Some(40001), None)),
            ("POST", "/close-query", &[], "{\"queryId\":5}", (400, Some(40000), None)),
            ("POST", "/ksql/terminate", &[], "{\"deleteTopicList\":[\"[a\"]}", (400, Some(40000), None)),
        ] {
            assert_eq!(ask(method, path, headers, body).await, expected, "{method} {path} {headers:?} {body}");
        }
        let long = format!("/info?{}", "x".repeat(5_000));
        assert_eq!(ask("GET", &long, &[], "").await.0, 414);
        let large = "x".repeat(9_000);
        assert_eq!(ask("GET", "/info", &[("x-large", &large)], "").await.0, 431);
        // What is only unusual is taken.
        assert_eq!(ask("POST", "/ksql", &[], "{}").await.0, 200);
        assert_eq!(ask("POST", "/ksql", &[("accept", "")], "{\"ksql\":\"LIST TYPES;\",\"other\":1}").await.0, 200);
        assert_eq!(ask("GET", "/%2e%2e/info", &[], "").await.0, 200);
    });
}

#[test]
fn a_statement_waits_for_the_command_that_must_come_before_it() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let number = server.ksql(STREAM).await[0]["commandSequenceNumber"].as_i64().expect("a number");
        let list = |number: i64| post("/ksql", &json!({ "ksql": "LIST STREAMS;", "commandSequenceNumber": number }));
        assert_eq!(server.answer(Http::One, list(number)).await.status, 200);
        let answer = server.answer(Http::One, list(number + 100)).await;
        assert_eq!((answer.status, &answer.json()["error_code"]), (503, &json!(50301)));
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} INSERT INTO s VALUES (1, 'a');")).await;
        let lines = "{\"target\":\"s\"}\n{\"id\":2,\"v\":\"b\"}\n";
        server.answer(Http::Two, request("POST", "/inserts-stream", &[], lines)).await;
        server.kill();
        let server = Server::start(&folder);
        let written = rows(&server, Http::Two, "*/*", "SELECT * FROM s;").await;
        assert_eq!(written[1..], ["[1,\"a\"]\n", "[2,\"b\"]\n"]);
        let status = server.answer(Http::One, request("GET", "/status", &[], "")).await.json();
        assert_eq!(status, json!({ "commandStatuses": { "stream/`S`/create": "SUCCESS" } }));
    });
}

#[test]
fn the_end_of_the_server_is_told_to_its_clients() {
    talk(async {
        let folder = Folder::new();
        let mut server = Server::start(&folder);
        server.ksql(STREAM).await;
        let select = json!({ "ksql": "SELECT * FROM s EMIT CHANGES;" });
        let mut open = server.open(Http::One, post("/query", &select)).await;
        assert!(open.next().await.is_some_and(|head| head.contains("header")));
        server.ask_to_end();
        assert_eq!(open.next().await.as_deref(), Some("{\"finalMessage\":\"Query Completed\"}"));
        assert_eq!(open.next().await.as_deref(), Some("]"));
        assert_eq!(open.next().await, None);
        assert!(server.ended().success());
    });
}

#[test]
fn a_terminated_cluster_takes_no_more_requests() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} {COUNTS}")).await;
        let terminate = post("/ksql/terminate", &json!({ "deleteTopicList": ["T"] }));
        let answer = server.answer(Http::One, terminate).await.json();
        assert_eq!(answer[0]["commandId"], "terminate/CLUSTER/execute");
        let info = server.answer(Http::One, request("GET", "/info", &[], "")).await;
        assert_eq!((info.status, &info.json()["error_code"]), (503, &json!(50303)));
        assert_eq!(server.answer(Http::One, request("GET", "/chc/live", &[], "")).await.status, 200);
    });
}

/// The frames of a WebSocket to its end, and the close.
async fn frames(server: &Server, path: &str) -> (Vec<String>, Option<(u16, String)>) {
    let address = format!("ws://{}{path}", server.address());
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.expect("a WebSocket");
    let mut frames = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => frames.push(text.to_string()),
            Message::Close(close) => {
                return (frames, close.map(|close| (close.code.into(), close.reason.to_string())));
            }
            _ => {}
        }
    }
    // It has gone without a word.
    let _ = socket.close(None).await;
    (frames, None)
}

#[test]
fn rows_come_over_a_websocket() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} INSERT INTO s VALUES (1, 'a');")).await;
        let ask = |request: &Value| format!("/ws/query?request={}", percent(&request.to_string()));
        let select = ask(&json!({ "ksql": "SELECT id FROM s;" }));
        let (frames_, close) = frames(&server, &select).await;
        let header = json!([{ "name": "ID", "schema": { "type": "INTEGER", "fields": null, "memberSchema": null } }]);
        assert_eq!(serde_json::from_str::<Value>(&frames_[0]).expect("JSON"), header);
        assert_eq!(frames_[1..], ["{\"row\":{\"columns\":[1]}}", "{\"error\":\"done\"}"]);
        assert_eq!(close, Some((1000, "done".to_owned())));
        let (refused, close) = frames(&server, &ask(&json!({ "ksql": "SELECT nope FROM s;" }))).await;
        assert_eq!((refused.len(), close.map(|close| close.0)), (1, Some(1003)));
        let (_, close) = frames(&server, "/ws/query").await;
        assert_eq!(close, Some((1003, "Error parsing request: missing request parameter".to_owned())));
        let plain = server.answer(Http::One, request("GET", "/ws/query", &[], "")).await;
        assert_eq!((plain.status, plain.text().as_str()), (400, "\"Connection\" header must be \"Upgrade\"."));
    });
}

/// A text as a value in an address.
fn percent(text: &str) -> String {
    let encoded = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

#[test]
fn what_clients_may_do_is_set_by_properties() {
    talk(async {
        let folder = Folder::new();
        let settings = "ksql.max.push.queries=1\nksql.query.persistent.active.limit=1\n\
                        ksql.properties.overrides.denylist=commit.interval.ms\naccess.control.allow.origin=http://a.example\n\
                        access.control.allow.methods=GET,POST\n";
        let config = folder.file("server.properties", settings);
        let server = Server::start_with(&folder, &["--config", &config]);
        server.ksql(&format!("{STREAM} {COUNTS}")).await;
        let ksql = |body: Value| post("/ksql", &body);
        let code = async |request| server.answer(Http::One, request).await.json()["error_code"].as_i64();
        let denied = json!({ "ksql": "LIST TYPES;", "streamsProperties": { "commit.interval.ms": 5 } });
        assert_eq!(code(ksql(denied)).await, Some(40000));
        assert_eq!(code(ksql(json!({ "ksql": "SET 'commit.interval.ms'='5';" }))).await, Some(40001));
        assert_eq!(code(request("GET", "/is_valid_property/commit.interval.ms", &[], "")).await, Some(40000));
        assert_eq!(code(ksql(json!({ "ksql": "CREATE STREAM u AS SELECT * FROM s;" }))).await, Some(40000));
        let select = json!({ "sql": "SELECT * FROM s EMIT CHANGES;" });
        let mut open = server.open(Http::Two, post("/query-stream", &select)).await;
        open.next().await.expect("a head");
        assert_eq!(code(post("/query-stream", &select)).await, Some(40001));
        let listed = server.ksql("LIST QUERIES;").await;
        let kinds: Vec<&str> = listed[0]["queries"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|query| query["queryType"].as_str())
            .collect();
        assert_eq!(kinds, ["PERSISTENT", "PUSH"]);
        drop(open);
        let from = |origin| request("GET", "/info", &[("origin", origin)], "");
        assert_eq!(
            server.answer(Http::One, from("http://a.example")).await.origin.as_deref(),
            Some("http://a.example")
        );
        assert_eq!(server.answer(Http::One, from("http://b.example")).await.origin, None);
        let headers = [("origin", "http://a.example"), ("access-control-request-method", "POST")];
        assert_eq!(server.answer(Http::One, request("OPTIONS", "/ksql", &headers, "")).await.status, 204);
    });
}

#[test]
fn a_query_over_a_topic_that_is_deleted_ends_with_the_reason() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let mut open =
            server.open(Http::Two, post("/query", &json!({ "ksql": "SELECT * FROM s EMIT CHANGES;" }))).await;
        open.next().await.expect("a head");
        server.ksql("DROP STREAM s DELETE TOPIC;").await;
        let last: Value = serde_json::from_str(&open.next().await.expect("an error")).expect("JSON");
        assert_eq!(last["errorMessage"]["message"], "the topic 's' has been deleted");
        assert_eq!((open.next().await.as_deref(), open.next().await), (Some("]"), None));
    });
}

#[test]
fn the_shell_and_run_talk_to_a_server() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let url = format!("http://{}", server.address());
        let other = Folder::new();
        let script = format!("{STREAM}\nINSERT INTO s VALUES (1, 'a');\nINSERT INTO s VALUES (2, '${{x}}');");
        let file = other.file("script.sql", format!("DEFINE x = 'it';\n{script}"));
        other.ok(&["run", "--server", &url, &file]);
        assert!(!other.data().exists());
        let select = "SET 'auto.offset.reset'='earliest'; SELECT * FROM s EMIT CHANGES LIMIT 2;";
        let shown = other.ok(&["shell", "--server", &url, "--output", "csv", "-e", select]);
        assert_eq!(shown, "ID,V\n1,a\n2,it\n");
        let listed = other.ok(&["shell", "--server", &url, "-e", "SHOW STREAMS;"]);
        let own = words(&listed);
        assert!(own.contains(&"S") && own.contains(&"JSON"), "{listed}");
        // Errors show the place, as they do without a server.
        let refused = other.refused(1, &["shell", "--server", &url, "-e", "SELECT vv FROM s EMIT CHANGES;"]);
        assert!(refused.contains(" --> -e:1:8") && refused.contains("did you mean V?"), "{refused}");
        let refused = other.refused(1, &["run", "--server", &url, "-e", "SHOW STREAMS; DESCRIBE nope;"]);
        assert!(refused.contains(" --> -e:1:24"), "{refused}");
        let nobody = other.refused(3, &["shell", "--server", "http://127.0.0.1:1", "-e", "SHOW STREAMS;"]);
        assert!(nobody.contains("no answer from 127.0.0.1:1"), "{nobody}");
    });
}

/// The words of a listing.
fn words(text: &str) -> Vec<&str> {
    text.split([' ', '|', '\n']).filter(|word| !word.is_empty()).collect()
}

#[test]
fn what_the_engine_counts_can_be_scraped() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} INSERT INTO s VALUES (1, 'a'); INSERT INTO s VALUES (2, 'b'); {COUNTS}")).await;
        let scrape = async || server.answer(Http::One, request("GET", "/metrics", &[], "")).await;
        let is_read =
            |text: &str| text.lines().any(|l| l.starts_with("tidemill_query_rows_read_total{") && l.ends_with(" 2"));
        let mut answer = scrape().await;
        while !is_read(&answer.text()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer = scrape().await;
        }
        assert_eq!(answer.content_type.as_deref(), Some("text/plain; version=0.0.4; charset=utf-8"));
        let text = answer.text();
        for line in
            ["tidemill_up 1", "# TYPE tidemill_query_lag_records gauge", "tidemill_topic_end_offset{topic=\"s\"} 2"]
        {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.contains("{query=\"CTAS_T_0\",topic=\"s\"} 0"), "{text}");
        for path in ["/livez", "/readyz"] {
            assert_eq!(server.answer(Http::One, request("GET", path, &[], "")).await.text(), "ok\n");
        }
    });
}

#[test]
fn what_exists_can_be_made_again_elsewhere() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} CREATE STREAM first AS SELECT * FROM s;")).await;
        server.ksql("DROP STREAM first DELETE TOPIC;").await;
        server
            .ksql(&format!(
                "{COUNTS} PAUSE CTAS_T_1; CREATE STREAM gone (x INT) WITH (KAFKA_TOPIC='gone', PARTITIONS=1, \
                              VALUE_FORMAT='JSON'); DROP STREAM gone DELETE TOPIC; CREATE TYPE money AS DECIMAL(9, 2);"
            ))
            .await;
        let url = format!("http://{}", server.address());
        let script = folder.ok(&["export", "--server", &url]);
        assert!(!script.contains("gone") && script.contains("PAUSE CTAS_T_0;"), "{script}");
        let other = Folder::new();
        let file = other.file("all.sql", &script);
        other.ok(&["run", &file]);
        assert_eq!(other.ok(&["export"]), script);
        let server_there = Server::start(&other);
        let show = "LIST STREAMS; LIST TABLES; LIST TOPICS; LIST TYPES;";
        assert_eq!(server_there.ksql(show).await, server.ksql(show).await);
    });
}

#[test]
fn rows_of_a_source_that_was_replaced_are_refused_and_so_are_large_ones() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let (send, body) = client::lines();
        send.send("{\"target\":\"s\"}\n{\"id\":1}\n".to_owned()).await.expect("sent");
        let mut answer = server.open_stream("/inserts-stream", body).await;
        assert!(answer.next().await.is_some_and(|said| said.contains("\"status\":\"ok\"")));
        server.ksql("DROP STREAM s DELETE TOPIC; CREATE STREAM s (k STRING KEY) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='DELIMITED');").await;
        send.send("{\"id\":2}\n".to_owned()).await.expect("sent");
        assert!(answer.next().await.is_some_and(|said| said.contains("is not what it was")));
        let large = json!({ "ksql": format!("INSERT INTO s VALUES ('{}');", "x".repeat(2 << 20)) });
        let answer = server.answer(Http::One, post("/ksql", &large)).await;
        assert_eq!(answer.status, 400, "{:.300}", answer.text());
    });
}

#[test]
fn values_of_variables_are_put_in_once() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let mut variables: serde_json::Map<String, Value> =
            (0..40).map(|n| (format!("v{n:02}"), format!("${{v{0:02}}}${{v{0:02}}}", n + 1).into())).collect();
        variables.insert("v40".to_owned(), "x".repeat(1 << 20).into());
        variables.insert("name".to_owned(), "n".into());
        let statements = "LIST STREAMS /* ${v00} */; DROP STREAM IF EXISTS ${name};";
        let body = json!({ "ksql": statements, "sessionVariables": variables });
        let answer = server.answer(Http::One, post("/ksql", &body)).await;
        assert_eq!(answer.status, 200, "{:.300}", answer.text());
        assert!(answer.text().len() < 1_000);
    });
}

#[test]
fn no_more_queries_show_rows_than_may_however_many_come_at_once() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start_with(&folder, &["--set", "ksql.max.push.queries=3"]);
        server.ksql(STREAM).await;
        let select = || post("/query-stream", &json!({ "sql": "SELECT * FROM s EMIT CHANGES;" }));
        for round in 0..5 {
            let asked = futures_util::future::join_all((0..40).map(|_| server.head(Http::Two, select()))).await;
            let open: Vec<_> = asked.into_iter().filter(|answer| answer.status() == 200).collect();
            // Later the server may not have seen yet that clients have gone.
            assert!(open.len() == 3 || (round > 0 && open.len() < 3), "{} are open", open.len());
        }
        while server.head(Http::Two, select()).await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn web_sockets_count_as_connections_as_long_as_they_are_open() {
    talk(async {
        let folder = Folder::new();
        // Half of them are for connections.
        let server = Server::start_with_handles(&folder, 100);
        server.ksql(STREAM).await;
        let request = json!({ "ksql": "SELECT * FROM s EMIT CHANGES;" }).to_string();
        let address = format!("ws://{}/ws/query?request={}", server.address(), percent(&request));
        let mut open = Vec::new();
        while let Ok((socket, _)) = tokio_tungstenite::connect_async(&address).await {
            open.push(socket);
            assert!(open.len() <= 50, "one more than there may be");
        }
        assert!(open.len() >= 48, "{} are open", open.len());
        drop(open);
        // When the server has seen that they have gone, there is room again.
        while tokio_tungstenite::connect_async(&address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}
