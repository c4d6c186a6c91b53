//! Server-sent events: what a browser's EventSource gets.

use serde_json::{Value, json};

use super::client::{Answer, Http, Server, post, request};
use super::{COUNTS, STREAM, percent, talk};
use crate::command_line::Folder;

const EVENTS: (&str, &str) = ("accept", "text/event-stream");

/// An event: its id, its name, and its data.
type Event = (String, Option<String>, Value);

/// The event that a piece is.
fn event(piece: &str) -> Event {
    let field = |name: &str| piece.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    assert!(piece.ends_with("\n\n"), "{piece:?}");
    let data = field("data: ").unwrap_or_else(|| panic!("{piece:?}"));
    (field("id: ").expect("an id"), field("event: "), serde_json::from_str(&data).expect("JSON"))
}

async fn get(server: &Server, http: Http, query: &str, headers: &[(&str, &str)]) -> Answer {
    server.answer(http, request("GET", &format!("/query-stream?{query}"), headers, "")).await
}

#[test]
fn rows_come_as_events() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} INSERT INTO s VALUES (1, 'a\nb'); INSERT INTO s VALUES (2, 'c');")).await;
        let sql = "SELECT id, v FROM s EMIT CHANGES LIMIT 2;";
        let properties = json!({ "auto.offset.reset": "earliest" });
        let body = json!({ "sql": sql, "properties": properties }).to_string();
        let address = format!("sql={}&properties={}", percent(sql), percent(&properties.to_string()));
        for http in [Http::One, Http::Two] {
            let posted = server.answer(http, request("POST", "/query-stream", &[EVENTS], body.clone())).await;
            for answer in [posted, get(&server, http, &address, &[EVENTS]).await] {
                assert_eq!((answer.status, answer.content_type.as_deref()), (200, Some("text/event-stream")));
                let all: Vec<Event> = answer.pieces.iter().map(|piece| event(piece)).collect();
                assert_eq!(all[0].1.as_deref(), Some("header"));
                assert_eq!(all[0].2["columnNames"], json!(["ID", "V"]));
                let shown: Vec<_> = all[1..3].iter().map(|(_, name, data)| (name.as_deref(), data.clone())).collect();
                assert_eq!(shown, [(None, json!([1, "a\nb"])), (None, json!([2, "c"]))]);
                // Behind each of them a browser that connects again can go on.
                assert!(all[..3].iter().all(|(id, ..)| id.starts_with("r1.")) && all[1].0 != all[2].0);
                let end = ("end".to_owned(), Some("end".to_owned()), json!({ "message": "Limit Reached" }));
                assert_eq!(all[3..], [end]);
            }
        }
        // A browser that has seen the end is told not to connect again.
        let again = get(&server, Http::One, &address, &[EVENTS, ("last-event-id", "end")]).await;
        assert_eq!((again.status, again.text().as_str()), (204, ""));
        assert_eq!(get(&server, Http::One, &address, &[EVENTS, ("last-event-id", "1")]).await.status, 200);
    });
}

#[test]
fn tables_deletions_and_failures_are_events_too() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} {COUNTS} INSERT INTO s VALUES (1, 'a');")).await;
        let address = |sql: &str| format!("sql={}", percent(sql));
        // A table that is pulled has an end, too.
        let mut all = Vec::new();
        // The query that counts may not have begun.
        while all.len() < 3 {
            let pulled = get(&server, Http::One, &address("SELECT * FROM t WHERE v = 'a';"), &[EVENTS]).await;
            all = pulled.pieces.iter().map(|piece| event(piece)).collect::<Vec<Event>>();
        }
        assert_eq!((all[1].2.clone(), all[2].0.as_str()), (json!(["a", 1]), "end"));
        server.ksql("DROP TABLE t;").await;
        let counts = "SELECT v, COUNT(*) AS n FROM s GROUP BY v HAVING COUNT(*) < 2 EMIT CHANGES;";
        let path = format!("/query-stream?{}", address(counts));
        let mut open = server.open(Http::One, request("GET", &path, &[EVENTS], "")).await;
        let mut next = async || event(&open.next().await.expect("an event"));
        assert_eq!(next().await.1.as_deref(), Some("header"));
        server.ksql("INSERT INTO s VALUES (2, 'b');").await;
        assert_eq!(next().await, ("1".to_owned(), None, json!(["b", 1])));
        server.ksql("INSERT INTO s VALUES (3, 'b');").await;
        let (id, name, values) = next().await;
        assert_eq!((id.as_str(), name.as_deref(), values.as_array().map(Vec::len)), ("2", Some("deletion"), Some(2)));
        server.ksql("DROP STREAM s DELETE TOPIC;").await;
        let (id, name, data) = next().await;
        assert_eq!((id.as_str(), name.as_deref()), ("end", Some("failure")));
        assert_eq!(data["message"], "the topic 's' has been deleted");
    });
}

#[test]
fn only_those_who_want_events_get_them() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let sql = format!("sql={}", percent("SELECT id FROM s;"));
        for headers in [&[][..], &[("accept", "*/*")], &[("accept", "application/json")]] {
            let answer = get(&server, Http::One, &sql, headers).await;
            assert_eq!((answer.status, answer.allow.as_deref()), (405, Some("POST")), "{headers:?}");
        }
        let any = server.answer(Http::One, post("/query-stream", &json!({ "sql": "SELECT id FROM s;" }))).await;
        assert_eq!(any.content_type.as_deref(), Some("application/vnd.ksqlapi.delimited.v1"));
        let refused = get(&server, Http::One, &format!("sql={}", percent("DROP STREAM s;")), &[EVENTS]).await;
        assert_eq!((refused.status, &refused.json()["error_code"]), (400, &json!(40001)));
        let refused = get(&server, Http::One, &format!("{sql}&properties=nope"), &[EVENTS]).await;
        assert_eq!((refused.status, &refused.json()["error_code"]), (400, &json!(40000)));
        let print = get(&server, Http::One, &format!("sql={}", percent("PRINT s;")), &[EVENTS]).await;
        assert_eq!(print.status, 406);
    });
}
