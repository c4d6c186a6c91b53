//! Pull queries whose texts differ only in the key: each gets the row of its own key, whatever came before.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::client::{Http, Server, post};
use super::talk;
use crate::command_line::Folder;

/// The rows of a query once there is one, without the head.
async fn some(server: &Server, text: &str) -> Vec<String> {
    loop {
        // A request that sets something is planned each time.
        let answer = server.answer(Http::One, post("/query-stream", &json!({ "sql": text }))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let found: Vec<String> = answer.text().lines().skip(1).map(str::to_owned).collect();
        if !found.is_empty() {
            return found;
        }
    }
}

#[test]
fn texts_that_differ_in_their_key_find_their_own_rows() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server
            .ksql(
                "SET 'auto.offset.reset'='earliest';
                 CREATE STREAM s (k STRING KEY, i INT, b BIGINT, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=2,
                     VALUE_FORMAT='JSON');
                 CREATE TABLE texts AS SELECT k, COUNT(*) AS n, MAX(v) AS v FROM s GROUP BY k;
                 CREATE TABLE shorts AS SELECT i, COUNT(*) AS n, MAX(v) AS v FROM s GROUP BY i;
                 CREATE TABLE longs AS SELECT b, COUNT(*) AS n, MAX(v) AS v FROM s GROUP BY b;
                 INSERT INTO s VALUES ('a', 1, 10000000000, 7); INSERT INTO s VALUES ('B', 2, 2, 8);
                 INSERT INTO s VALUES ('A', 3, 3, 9);",
            )
            .await;
        // The second and later texts of a kind are not planned.
        for _ in 0..2 {
            for (text, row) in [
                ("SELECT * FROM texts WHERE k = 'a';", json!(["a", 1, 7])),
                ("SELECT * FROM texts WHERE k = 'B';", json!(["B", 1, 8])),
                ("SELECT v FROM texts WHERE k = 'a';", json!([7])),
                ("SELECT v FROM texts WHERE k = 'B';", json!([8])),
                ("SELECT v FROM texts WHERE 'B' = k;", json!([8])),
                ("SELECT v FROM texts WHERE k = UCASE('A');", json!([9])),
                ("SELECT v FROM texts WHERE k = UCASE('a');", json!([9])),
                ("SELECT k || '' FROM texts WHERE k = LCASE('A');", json!(["a"])),
                ("SELECT UCASE(k) AS u FROM texts WHERE k = 'a';", json!(["A"])),
                ("SELECT UCASE(k) AS u FROM texts WHERE k = 'B';", json!(["B"])),
                ("SELECT v, 8 FROM texts WHERE v = 8;", json!([8, 8])),
                ("SELECT v FROM texts WHERE v = 8;", json!([8])),
                ("SELECT v FROM texts WHERE v = 7;", json!([7])),
                ("SELECT v FROM shorts WHERE i = 1;", json!([7])),
                ("SELECT v FROM shorts WHERE i = 2;", json!([8])),
                ("SELECT v FROM shorts WHERE i = 02;", json!([8])),
                ("SELECT v FROM longs WHERE b = 2;", json!([8])),
                ("SELECT v FROM longs WHERE b = 3;", json!([9])),
                ("SELECT v FROM longs WHERE b = 10000000000;", json!([7])),
            ] {
                let found: Vec<Value> =
                    some(&server, text).await.iter().map(|row| serde_json::from_str(row).expect("JSON")).collect();
                assert_eq!(found, [row], "{text}");
            }
        }
        // However fast they come, no two have the same id.
        let mut ids = BTreeSet::new();
        let asked = json!({ "sql": "SELECT v FROM texts WHERE k = 'a';" });
        for _ in 0..20 {
            let answer = server.answer(Http::One, post("/query-stream", &asked)).await.text();
            let head: Value = serde_json::from_str(answer.lines().next().expect("a head")).expect("JSON");
            assert!(ids.insert(head["queryId"].as_str().expect("an id").to_owned()), "{head}");
        }
        for text in ["SELECT v FROM texts WHERE k = 'C';", "SELECT v FROM shorts WHERE i = 10000000000;"] {
            let none = server.answer(Http::One, post("/query-stream", &json!({ "sql": text }))).await;
            assert_eq!((none.status, none.text().lines().count()), (200, 1), "{none:?}");
        }
        // What a text of the same kind means is asked again when something else exists.
        server
            .ksql(
                "DROP TABLE texts; SET 'auto.offset.reset'='earliest';
             CREATE TABLE texts AS SELECT k, MAX(i) AS v, COUNT(*) AS n FROM s GROUP BY k;",
            )
            .await;
        assert_eq!(some(&server, "SELECT * FROM texts WHERE k = 'B';").await, ["[\"B\",2,1]"]);
        server.ksql("DROP TABLE texts;").await;
        let gone = json!({ "sql": "SELECT * FROM texts WHERE k = 'a';" });
        assert_eq!(server.answer(Http::One, post("/query-stream", &gone)).await.status, 400);
    });
}
