//! PRINT over the service.

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::client::{Answer, Http, Server, post, request};
use super::{STREAM, talk};
use crate::command_line::Folder;

const ROWS: &str = "INSERT INTO s (ROWTIME, id, v) VALUES (1600000000000, 1, 'a');
    INSERT INTO s (ROWTIME, id, v) VALUES (1600000001000, 2, NULL);";
const LINES: [&str; 2] = [
    "rowtime: 2020/09/13 12:26:40.000 Z, key: 1, value: {\"V\":\"a\"}, partition: 0\n",
    "rowtime: 2020/09/13 12:26:41.000 Z, key: 2, value: {\"V\":null}, partition: 0\n",
];
const FORMATS: [&str; 4] = ["Key format: ", "KAFKA_INT or KAFKA_STRING\n", "Value format: ", "JSON or KAFKA_STRING\n"];

/// A server with two records in the topic `s`.
async fn filled(folder: &Folder) -> Server {
    let server = Server::start(folder);
    server.ksql(&format!("{STREAM} {ROWS}")).await;
    server
}

async fn print(server: &Server, http: Http, path: &str, accept: &str, text: &str) -> Answer {
    let field = if path == "/query" { "ksql" } else { "sql" };
    let body = json!({ field: text }).to_string();
    server.answer(http, request("POST", path, &[("accept", accept)], body)).await
}

#[test]
fn records_are_printed_in_the_form_that_the_endpoint_has() {
    talk(async {
        let folder = Folder::new();
        let server = filled(&folder).await;
        let text = "PRINT s FROM BEGINNING LIMIT 2;";
        for accept in ["", "*/*", "application/json", "application/vnd.ksql.v1+json"] {
            let answer = print(&server, Http::One, "/query", accept, text).await;
            assert_eq!((answer.status, answer.content_type.as_deref()), (200, Some("application/json")), "{accept}");
            assert_eq!(answer.pieces, [&FORMATS[..], &LINES].concat(), "{accept}");
        }
        for (http, path) in [(Http::One, "/query-stream"), (Http::Two, "/query-stream"), (Http::Two, "/query")] {
            let answer = print(&server, http, path, "application/vnd.ksqlapi.delimited.v1", text).await;
            assert_eq!((answer.status, answer.content_type.as_deref()), (200, None), "{path}");
            assert_eq!(answer.pieces, LINES, "{path}");
        }
        for (path, accept, status) in [
            ("/query-stream", "application/json", 406),
            ("/query-stream", "application/vnd.ksql.v1+json", 406),
            ("/query", "application/vnd.ksql.v1+protobuf", 406),
            ("/query", "", 405),
        ] {
            let answer = print(&server, Http::Two, path, accept, text).await;
            assert_eq!((answer.status, answer.text().as_str()), (status, ""), "{path} {accept}");
        }
        let every_second = print(&server, Http::One, "/query", "", "PRINT s FROM BEGINNING INTERVAL 2 LIMIT 1;").await;
        assert_eq!(every_second.pieces[4..], LINES[..1]);
    });
}

#[test]
fn a_topic_that_is_not_there_is_refused_and_so_is_print_among_statements() {
    talk(async {
        let folder = Folder::new();
        let server = filled(&folder).await;
        let old = print(&server, Http::One, "/query", "", "PRINT S;").await.json();
        assert_eq!((&old["@type"], &old["error_code"]), (&json!("generic_error"), &json!(40000)));
        let message = "Could not find topic 'S', or the KSQL user does not have permissions to list the topic. Topic \
                       names are case-sensitive.\nDid you mean:\n\tprint s;";
        assert_eq!(old["message"], message);
        let new = print(&server, Http::One, "/query-stream", "", "PRINT nope;").await.json();
        let expected =
            json!({ "@type": "generic_error", "error_code": 40001, "message": "Topic does not exist: nope" });
        assert_eq!(new, expected);
        let answer = server.answer(Http::One, post("/ksql", &json!({ "ksql": "PRINT s;" }))).await;
        assert_eq!((answer.status, &answer.json()["error_code"]), (400, &json!(40002)));
    });
}

#[test]
fn an_open_print_shows_what_comes_and_ends_with_its_topic() {
    talk(async {
        let folder = Folder::new();
        let server = filled(&folder).await;
        let mut old = server.open(Http::One, post("/query", &json!({ "ksql": "PRINT s;" }))).await;
        let mut new = server.open(Http::Two, post("/query-stream", &json!({ "sql": "PRINT s;" }))).await;
        assert_eq!(old.next().await.as_deref(), Some("\n"), "the topic is silent");
        server.ksql("INSERT INTO s (ROWTIME, id, v) VALUES (1600000002000, 3, 'c');").await;
        let line = "rowtime: 2020/09/13 12:26:42.000 Z, key: 3, value: {\"V\":\"c\"}, partition: 0\n";
        let mut pieces = Vec::new();
        while pieces.last().is_none_or(|last| last != line) {
            pieces.extend(old.next().await.filter(|piece| piece != "\n"));
        }
        assert_eq!(pieces[..4], FORMATS);
        assert_eq!(new.next().await.as_deref(), Some(line));
        server.ksql("DROP STREAM s DELETE TOPIC;").await;
        assert_eq!(new.next().await, None);
        while let Some(piece) = old.next().await {
            assert_eq!(piece, "\n");
        }
    });
}

#[test]
fn a_web_socket_gets_each_record_as_a_text() {
    talk(async {
        let folder = Folder::new();
        let server = filled(&folder).await;
        let frames = async |text: &str| {
            let asked = json!({ "ksql": text }).to_string().replace(' ', "%20").replace('"', "%22");
            let url = format!("ws://{}/ws/query?request={asked}", server.address());
            let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("a WebSocket");
            let mut frames: Vec<Value> = Vec::new();
            while let Some(Ok(message)) = socket.next().await {
                if let Ok(text) = message.to_text().map(str::to_owned)
                    && message.is_text()
                {
                    frames.push(serde_json::from_str(&text).expect("JSON"));
                }
            }
            frames
        };
        let shown = frames("PRINT s FROM BEGINNING LIMIT 2;").await;
        assert_eq!(shown, [json!(LINES[0].trim_end()), json!(LINES[1].trim_end()), json!({ "error": "done" })]);
        let unknown = "Topic does not exist, or KSQL does not have permission to list the topic: nope";
        assert_eq!(frames("PRINT nope;").await, [json!({ "error": unknown })]);
    });
}

#[test]
fn the_shell_prints_what_a_server_has() {
    talk(async {
        let folder = Folder::new();
        let server = filled(&folder).await;
        let url = format!("http://{}", server.address());
        let shown = folder.ok(&["shell", "--server", &url, "-e", "PRINT s FROM BEGINNING LIMIT 2;"]);
        assert_eq!(shown, [&FORMATS[..], &LINES].concat().concat());
        let refused = folder.refused(1, &["shell", "--server", &url, "-e", "PRINT nope;"]);
        assert!(
            refused.contains("error: Could not find topic 'nope'.") && refused.contains(" --> -e:1:7"),
            "{refused}"
        );
    });
}
