//! Push queries that go on behind the last row that an earlier one has shown.

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use super::client::{Http, Server, post, request};
use super::{percent, talk};
use crate::command_line::Folder;

const STREAM: &str =
    "CREATE STREAM s (k INT KEY, v INT, a ARRAY<INT>) WITH (KAFKA_TOPIC='s', PARTITIONS=3, VALUE_FORMAT='JSON');";
const DELIMITED: &str = "application/vnd.ksqlapi.delimited.v1";
/// Each record makes no row, or two.
const ROWS: &str = "SELECT k, v, EXPLODE(a) AS item FROM s WHERE v % 3 <> 0 EMIT CHANGES;";

/// Adds records with these values.
async fn insert(server: &Server, values: std::ops::Range<i64>) {
    let row = |v| format!("INSERT INTO s VALUES ({}, {v}, ARRAY[{v}, -{v}]);", v % 7);
    server.ksql(&values.map(row).collect::<String>()).await;
}

/// The rows that come of records with these values, in some order.
fn expected(values: std::ops::Range<i64>) -> Vec<Value> {
    sorted(values.filter(|v| v % 3 != 0).flat_map(|v| [json!([v % 7, v, v]), json!([v % 7, v, -v])]).collect())
}

fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| (row[1].as_i64(), row[2].as_i64().map(|item| -item)));
    rows
}

/// A request for the rows of a query with tokens, behind this one if there is one. Without it, the query begins as `reset`
/// says.
fn asking(layout: &str, sql: &str, (token, reset): (&str, &str)) -> hyper::Request<Full<Bytes>> {
    let body = json!({
        "sql": sql,
        "properties": { "auto.offset.reset": reset, "ksql.query.push.v2.continuation.tokens.enabled": true },
        "requestProperties": { "request.ksql.query.push.continuation.token": token },
    });
    request("POST", "/query-stream", &[("accept", layout)], body.to_string())
}

#[test]
fn a_browser_that_connects_again_gets_each_row_once() {
    talk(async {
        let folder = Folder::new();
        let mut server = Server::start(&folder);
        server.ksql(STREAM).await;
        insert(&server, 0..20).await;
        let properties = json!({ "auto.offset.reset": "earliest" }).to_string();
        let path = format!("/query-stream?sql={}&properties={}", percent(ROWS), percent(&properties));
        let (mut seen, mut last, mut inserted) = (Vec::new(), None::<String>, 20);
        // Each connection sees another number of rows, and so ends between two rows of one record, too.
        for round in 0..9 {
            let mut headers = vec![("accept", "text/event-stream")];
            headers.extend(last.as_deref().map(|id| ("last-event-id", id)));
            let http = if round % 2 == 0 { Http::One } else { Http::Two };
            let mut open = server.open(http, request("GET", &path, &headers, "")).await;
            let mut next = async || {
                let piece = open.next().await.expect("an event");
                let field = |name: &str| piece.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                (field("id: ").expect("an id"), field("data: ").expect("data"))
            };
            let begin = next().await.0;
            last = Some(begin);
            for _ in 0..round {
                let (id, data) = next().await;
                last = Some(id);
                seen.push(serde_json::from_str::<Value>(&data).expect("a row"));
            }
            insert(&server, inserted..inserted + 3).await;
            inserted += 3;
            match round % 4 {
                1 => {
                    server.ask_to_end();
                    // No event says that it is over.
                    while let Some(piece) = open.next().await {
                        assert!(!piece.contains("event: end"), "{piece}");
                    }
                    assert!(server.ended().success());
                    server = Server::start(&folder);
                }
                3 => {
                    server.kill();
                    server = Server::start(&folder);
                }
                _ => {}
            }
        }
        let rest = expected(0..inserted).len() - seen.len();
        let headers = [("accept", "text/event-stream"), ("last-event-id", last.as_deref().expect("an id"))];
        let mut open = server.open(Http::One, request("GET", &path, &headers, "")).await;
        open.next().await.expect("the header");
        for _ in 0..rest {
            let piece = open.next().await.expect("an event");
            let data = piece.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
            seen.push(serde_json::from_str(data).expect("a row"));
        }
        assert_eq!(sorted(seen), expected(0..inserted));
    });
}

#[test]
fn a_token_stands_behind_the_rows_that_it_counts() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        insert(&server, 0..10).await;
        let (mut seen, mut token, mut inserted) = (Vec::new(), String::new(), 10);
        let layouts = [DELIMITED, "application/json", "application/vnd.ksql.v1+json"];
        for layout in layouts.into_iter().cycle().take(6) {
            let mut open = server.open(Http::Two, asking(layout, ROWS, (&token, "earliest"))).await;
            open.next().await.expect("the head");
            // Rows count as seen when the token behind them has come; what is there comes together.
            let mut rows = Vec::new();
            loop {
                let piece = open.next().await.expect("a row or a token");
                let piece = piece.trim_matches([',', '\n']);
                let piece: Value = serde_json::from_str(piece).unwrap_or_else(|e| panic!("{e}: {piece}"));
                let told = &piece["continuationToken"];
                match told["continuationToken"].as_str().or(told.as_str()) {
                    // The first one says where it begins.
                    Some(told) if rows.is_empty() => assert!(token.is_empty() || told == token),
                    Some(told) => {
                        token = told.to_owned();
                        break;
                    }
                    None => rows.push(if piece.is_array() { piece } else { piece["row"]["columns"].clone() }),
                }
            }
            seen.append(&mut rows);
            insert(&server, inserted..inserted + 5).await;
            inserted += 5;
        }
        // What comes once with a token comes without one, too, as a whole answer.
        let body = json!({
            "sql": ROWS.replace(" EMIT CHANGES", ""),
            "requestProperties": { "request.ksql.query.push.continuation.token": token },
        });
        let rest = server.answer(Http::Two, post("/query-stream", &body)).await;
        let rows = rest.pieces[1..].iter().map(|piece| serde_json::from_str::<Value>(piece).expect("a row"));
        seen.extend(rows);
        assert_eq!(sorted(seen), expected(0..inserted));
    });
}

#[test]
fn what_cannot_go_on_is_refused_with_the_reason() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let counts = "SET 'auto.offset.reset'='earliest'; CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;";
        server.ksql(&format!("{STREAM} {counts}")).await;
        insert(&server, 0..6).await;
        let ask =
            async |sql: &str, token: &str| server.answer(Http::Two, asking(DELIMITED, sql, (token, "earliest"))).await;
        let all = ask("SELECT v FROM s EMIT CHANGES LIMIT 6;", "").await;
        let told: Value = serde_json::from_str(all.pieces.last().expect("a token")).expect("JSON");
        let token = told["continuationToken"].as_str().unwrap_or_else(|| panic!("{all:?}"));
        let refused = [
            ("SELECT v FROM s EMIT CHANGES;", "nonsense", "this is no token of a push query"),
            // Places at offset 99 of partition 0, and in partition 9.
            ("SELECT v FROM s EMIT CHANGES;", "r1.AAEAYwA=", "which ends at"),
            ("SELECT v FROM s EMIT CHANGES;", "r1.AAEJAAA=", "partitions that the topic does not have"),
            (
                "SELECT k, COUNT(*) FROM s GROUP BY k EMIT CHANGES;",
                token,
                "a query that joins, groups or aggregates cannot go on",
            ),
            ("SELECT * FROM t WHERE k = 1;", token, "only a query over a stream can go on"),
            ("PRINT s;", token, "only a query over a stream can go on"),
        ];
        for (sql, token, reason) in refused {
            let answer = ask(sql, token).await;
            assert_eq!(answer.status, 400, "{sql}: {answer:?}");
            assert!(answer.text().contains(reason), "{sql}: {}", answer.text());
        }
        server.ksql("DROP TABLE t; DROP STREAM s DELETE TOPIC;").await;
        server.ksql(STREAM).await;
        let answer = ask("SELECT v FROM s EMIT CHANGES;", token).await;
        assert!(answer.status == 400 && answer.text().contains("or of one that was dropped"), "{answer:?}");
    });
}

#[test]
fn a_reader_that_falls_behind_is_counted_and_gets_every_row() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server
            .ksql("CREATE STREAM s (k INT KEY, v STRING) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');")
            .await;
        let body = json!({ "sql": "SELECT k, v FROM s EMIT CHANGES;" });
        let mut slow = server.open(Http::One, post("/query-stream", &body)).await;
        slow.next().await.expect("the head");
        let behind = async || {
            let metrics = server.answer(Http::Two, request("GET", "/metrics", &[], "")).await.text();
            metrics.lines().any(|line| line == "tidemill_push_queries_behind 1")
        };
        assert!(!behind().await);
        // More than sockets and buffers on the way hold, until the query waits.
        let wide = "x".repeat(20_000);
        let mut sent = 0;
        while !behind().await {
            assert!(sent < 10_000, "the reader is never behind");
            server
                .ksql(&(sent..sent + 100).map(|k| format!("INSERT INTO s VALUES ({k}, '{wide}');")).collect::<String>())
                .await;
            sent += 100;
        }
        let mut text = String::new();
        while text.lines().count() < sent || !text.ends_with('\n') {
            text += &slow.next().await.expect("rows");
        }
        for (k, row) in text.lines().enumerate() {
            let row: Value = serde_json::from_str(row).expect("JSON");
            assert_eq!(row[0], k);
        }
        assert!(!behind().await);
    });
}

#[test]
fn rows_that_a_limit_leaves_and_the_first_ones_come_once() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let ask = |sql: &str, token: &str| asking(DELIMITED, sql, (token, "latest"));
        // It begins at the end, and its first token says where that was.
        let mut open = server.open(Http::Two, ask("SELECT v FROM s EMIT CHANGES;", "")).await;
        open.next().await.expect("the head");
        let first: Value = serde_json::from_str(&open.next().await.expect("a token")).expect("JSON");
        drop(open);
        let mut token = first["continuationToken"].as_str().expect("a token").to_owned();
        insert(&server, 0..10).await;
        let mut seen = Vec::new();
        for _ in 0..5 {
            let page = server.answer(Http::Two, ask("SELECT v FROM s EMIT CHANGES LIMIT 2;", &token)).await;
            for piece in &page.pieces[1..] {
                let told: Value = serde_json::from_str(piece).expect("JSON");
                match told["continuationToken"].as_str() {
                    Some(told) => token = told.to_owned(),
                    None => seen.push(told[0].as_i64().expect("a number")),
                }
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    });
}
