//! A service whose statements come from a file: what it takes, and how the file and the folder go together.

use serde_json::json;

use super::client::{Http, Server, post, request};
use super::{STREAM, rows, talk};
use crate::command_line::{Folder, assert_has};

const QUERY: &str = "SET 'auto.offset.reset'='earliest';\n\
                     CREATE TABLE t AS SELECT v, COUNT(*) AS n FROM s GROUP BY v;\n";

/// Serves a file, which must be refused; what is said.
fn refused(folder: &Folder, status: i32, text: &str) -> String {
    let file = folder.file("queries.sql", text);
    folder.refused(status, &["serve", "--listen", "127.0.0.1:0", "--queries-file", &file])
}

#[test]
fn the_statements_of_a_file_are_executed_once_and_clients_cannot_change_them() {
    talk(async {
        let folder = Folder::new();
        let file = folder.file("queries.sql", format!("{STREAM}\n{QUERY}"));
        let property = format!("ksql.queries.file={file}");
        for (round, arguments) in [["--queries-file", &file], ["--set", &property]].iter().enumerate() {
            let mut server = Server::start_with(&folder, arguments);
            for text in ["DROP TABLE t;", "TERMINATE ALL;", "PAUSE ALL;", "CREATE STREAM x AS SELECT * FROM s;"] {
                let answer = server.answer(Http::One, post("/ksql", &json!({ "ksql": text }))).await;
                assert_eq!((answer.status, &answer.json()["error_code"]), (403, &json!(40300)), "{text}");
                assert_has(&answer.text(), &["come from its file of queries"]);
            }
            let terminate = server.answer(Http::One, post("/ksql/terminate", &json!({}))).await;
            assert_eq!(terminate.status, 403);
            // Records come in, since there is no other way for them, and everything can be asked.
            server.ksql("INSERT INTO s VALUES (1, 'a'); LIST TABLES; SHOW QUERIES; EXPLAIN SELECT * FROM s;").await;
            let expected = format!("[\"a\",{}]\n", round + 1);
            while rows(&server, Http::One, "*/*", "SELECT * FROM t;").await[1..] != [expected.as_str()] {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            for path in ["/livez", "/readyz", "/metrics", "/info", "/export"] {
                assert_eq!(server.answer(Http::One, request("GET", path, &[], "")).await.status, 200, "{path}");
            }
            server.ask_to_end();
            assert!(server.ended().success());
        }
        // Statements behind those that there are, and between them, are executed; the order does not matter.
        let more = format!("CREATE TYPE money AS INT;\n{STREAM}\nINSERT INTO u SELECT * FROM s;\n{QUERY}");
        let refusal = refused(&folder, 1, &more);
        assert_has(&refusal, &[":3:"]);
        let more = format!("CREATE TYPE money AS INT;\n{STREAM}\nCREATE STREAM u AS SELECT * FROM s;\n{QUERY}");
        let server = Server::start_with(&folder, &["--queries-file", &folder.file("queries.sql", more)]);
        let listed = server.ksql("LIST QUERIES; LIST TYPES;").await;
        assert_eq!(listed[0]["queries"].as_array().map(Vec::len), Some(2));
        assert_eq!(listed[1]["types"].as_object().map(serde_json::Map::len), Some(1));
    });
}

#[test]
fn a_file_that_says_something_else_than_the_folder_is_refused_with_the_place() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", &format!("{STREAM} {QUERY}")]);
    let before = folder.ok(&["export"]);
    let other = refused(&folder, 1, &format!("{STREAM}\n{}", QUERY.replace("COUNT(*)", "MAX(id)")));
    assert_has(&other, &["T is there already, and was made by another statement: CREATE TABLE T", ":3:1"]);
    let unset = refused(&folder, 1, &format!("{STREAM}\nSET 'commit.interval.ms'='7';\n{QUERY}"));
    assert_has(&unset, &["executed with 'commit.interval.ms'='100', and the file sets '7'"]);
    let less = refused(&folder, 1, &format!("{STREAM}\nCREATE STREAM u AS SELECT * FROM s;"));
    assert_has(&less, &["the data folder has what is not in the file: CREATE TABLE T"]);
    // Nothing was changed by any of them.
    assert_eq!(folder.ok(&["export"]), before);
    folder.ok(&["run", "-e", "TERMINATE CTAS_T_0;"]);
    let ended = refused(&folder, 1, &format!("{STREAM}\n{QUERY}"));
    assert_has(&ended, &["the query of this statement was terminated"]);
}

#[test]
fn what_belongs_to_no_file_of_queries_is_refused() {
    let folder = Folder::new();
    for text in [
        "INSERT INTO s VALUES (1, 'a');",
        "SELECT * FROM s EMIT CHANGES;",
        "DROP TABLE t;",
        "CREATE TOPIC 'x';",
        "PAUSE ALL;",
        "CREATE SOURCE CONNECTOR c WITH ('a'='b');",
    ] {
        let said = refused(&folder, 1, &format!("{STREAM}\n{text}\n{QUERY}"));
        assert_has(&said, &["this statement in a file of queries", ":2:1"]);
    }
    assert_has(&refused(&folder, 1, STREAM), &["does not contain any persistent queries"]);
    let missing = folder.refused(2, &["serve", "--listen", "127.0.0.1:0", "--queries-file", "nowhere.sql"]);
    assert_has(&missing, &["there is no file nowhere.sql"]);
}
