//! The statements of a running server are taken over: of one that answers as ksqlDB was seen to, and of our own.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use super::{Folder, assert_has, exists};
use crate::serving::client::Server;
use crate::shared;

/// What ksqlDB 7.9 answers to what is asked, cut down to what matters.
const ANSWER: &str = r#"[
{"@type":"type_list","types":{"ADDRESS":{"type":"STRUCT","fields":[
  {"name":"STREET","schema":{"type":"STRING","fields":null,"memberSchema":null}},
  {"name":"ZIP","schema":{"type":"INTEGER","fields":null,"memberSchema":null}}],"memberSchema":null}},"warnings":[]},
{"@type":"source_descriptions","sourceDescriptions":[
  {"name":"S1","type":"STREAM","topic":"s1","partitions":2,"statement":"CREATE STREAM S1 (ID INTEGER KEY, NAME STRING, AMOUNT DOUBLE) WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='s1', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');"},
  {"name":"C1","type":"STREAM","topic":"C1","partitions":2,"statement":"CREATE STREAM C1 AS SELECT\n  S1.ID ID,\n  S1.NAME NAME\nFROM S1 S1\nEMIT CHANGES;"},
  {"name":"V1","type":"STREAM","topic":"v1","partitions":1,"statement":"CREATE STREAM V1 (ID INTEGER KEY, NAME STRING) WITH (KAFKA_TOPIC='v1', KEY_FORMAT='KAFKA', PARTITIONS=1, VALUE_FORMAT='AVRO');"}],"warnings":[]},
{"@type":"source_descriptions","sourceDescriptions":[
  {"name":"A1","type":"TABLE","topic":"a1","partitions":2,"statement":"CREATE TABLE A1 AS SELECT 1;"}],"warnings":[]},
{"@type":"query_descriptions","queryDescriptions":[
  {"id":"INSERTQUERY_47","statementText":"INSERT INTO C1 SELECT ID, NAME FROM S1;","sources":["S1"],"sinks":["C1"],"overriddenProperties":{"auto.offset.reset":"earliest"},"queryType":"PERSISTENT"},
  {"id":"CTAS_A1_39","statementText":"CREATE TABLE A1 WITH (CLEANUP_POLICY='compact', KAFKA_TOPIC='a1', PARTITIONS=2, REPLICAS=1, RETENTION_MS=604800000) AS SELECT\n  C1.ID ID,\n  COUNT(*) N\nFROM C1 C1\nGROUP BY C1.ID\nEMIT CHANGES;","sources":["C1"],"sinks":["A1"],"overriddenProperties":{"auto.offset.reset":"earliest","max.poll.records":"7"},"queryType":"PERSISTENT"},
  {"id":"CSAS_C1_35","statementText":"CREATE STREAM C1 WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='C1', PARTITIONS=2, REPLICAS=1, RETENTION_MS=604800000) AS SELECT\n  S1.ID ID,\n  S1.NAME NAME\nFROM S1 S1\nEMIT CHANGES;","sources":["S1"],"sinks":["C1"],"overriddenProperties":{},"state":"RUNNING","ksqlHostQueryStatus":{"127.0.0.1:8489":"PAUSED"},"queryType":"PERSISTENT"},
  {"id":"transient_S1_1","statementText":"SELECT * FROM S1 EMIT CHANGES;","sources":["S1"],"sinks":[],"overriddenProperties":{},"state":"RUNNING","ksqlHostQueryStatus":{"127.0.0.1:8489":"PAUSED"},"queryType":"PUSH"}],"warnings":[]}]"#;

/// A server that gives the same answer to every request; its address.
fn scripted(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                request.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&request).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |n| n.trim().parse().expect("a length"));
            stream.read_exact(&mut vec![0; length]).expect("a body");
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}", answer.len());
            stream.write_all(answer.as_bytes()).expect("an answer");
        }
    });
    format!("http://{address}")
}

#[test]
fn each_statement_of_ksqldb_is_taken_changed_or_refused() {
    let (folder, url) = (Folder::new(), scripted(ANSWER.to_owned()));
    let ran = folder.run(&["import", "--ksqldb", &url]);
    assert_eq!((ran.status, exists(&folder.data())), (1, false), "{ran:?}");
    assert_has(&ran.err, &["2 statements taken as they are, 3 changed, 1 refused"]);
    let parts = [
        "-- taken as it is\nCREATE TYPE ADDRESS AS STRUCT<STREET STRING, ZIP INTEGER>;",
        "-- refused: ",
        "-- CREATE STREAM V1",
        "-- changed: PARTITIONS=2 is added, since the topic s1 is not here yet\nCREATE STREAM S1",
        "-- changed: it is paused on the server, and runs here until PAUSE\nSET 'auto.offset.reset'='latest';\n\
         CREATE STREAM C1",
        "-- changed: the property max.poll.records is left out",
        "SET 'auto.offset.reset'='earliest';\nCREATE TABLE A1",
        "UNSET 'auto.offset.reset';\n-- taken as it is\nSET 'auto.offset.reset'='earliest';\nINSERT INTO C1",
    ];
    assert_has(&ran.out, &parts);
    let places: Vec<usize> = parts.iter().map(|part| ran.out.find(part).expect("a part")).collect();
    assert!(places.is_sorted(), "{}", ran.out);
    // The script is one that can be executed, and says the same as what is applied.
    let script = folder.file("script.sql", &ran.out);
    folder.ok(&["run", &script]);
    let other = Folder::new();
    assert_eq!(other.run(&["import", "--ksqldb", &url, "--apply"]).status, 1);
    assert_eq!(folder.ok(&["export"]), other.ok(&["export"]));
}

/// What the real server answers to a statement in a group of recorded exchanges.
fn answer(folder: &Path, group: &str, statement: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(group)).expect("a group");
    let mut exchanges = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an exchange"));
    let found = exchanges.find(|exchange| exchange["request"]["body"]["ksql"] == statement).expect("the statement");
    let body = found["response"]["body"].as_str().expect("a text");
    serde_json::from_str(body).expect("entities")
}

#[test]
fn what_a_real_server_was_seen_to_answer_is_taken_over() {
    let Some(exchanges) = shared("conformance/wire/exchanges") else { return };
    let answers = [
        ("statements-types.jsonl", "LIST TYPES;"),
        ("statements-describe.jsonl", "DESCRIBE STREAMS;"),
        ("statements-describe.jsonl", "DESCRIBE TABLES EXTENDED;"),
        ("statements-list.jsonl", "LIST QUERIES EXTENDED;"),
        ("statements-properties.jsonl", "LIST PROPERTIES;"),
    ];
    let entities: Vec<Value> = answers.iter().flat_map(|(group, asked)| answer(&exchanges, group, asked)).collect();
    let (folder, url) = (Folder::new(), scripted(Value::Array(entities).to_string()));
    let ran = folder.run(&["import", "--ksqldb", &url, "--apply"]);
    // The statements are 21, of which this version refuses what it does not have.
    let marks = |mark: &str| ran.out.lines().filter(|line| line.starts_with(mark)).count();
    assert_eq!((marks("-- changed"), marks("-- taken") + marks("-- refused")), (0, 21), "{ran:?}");
    assert_eq!(marks("-- refused"), marks("-- refused: not supported by this version: "), "{ran:?}");
    assert!(marks("-- taken") >= 19, "{ran:?}");
    assert_has(&folder.ok(&["run", "-e", "SHOW QUERIES;"]), &["CSAS_C1_", "CTAS_AW_", "INSERTQUERY_", "MY_INSERT"]);
    let other = Folder::new();
    other.ok(&["run", &other.file("script.sql", &ran.out)]);
    assert_eq!(folder.ok(&["export"]), other.ok(&["export"]));
}

#[test]
fn our_own_server_is_taken_over() {
    let (there, here) = (Folder::new(), Folder::new());
    let server = Server::start(&there);
    let url = format!("http://{}", server.address());
    let sql = "CREATE TYPE money AS DECIMAL(12, 2);
        CREATE STREAM s (id INT KEY, paid money) WITH (KAFKA_TOPIC='s', PARTITIONS=3, VALUE_FORMAT='JSON');
        SET 'auto.offset.reset'='earliest';
        CREATE TABLE t AS SELECT id, SUM(paid) AS total FROM s GROUP BY id;
        CREATE STREAM c AS SELECT id, paid FROM s;
        UNSET 'auto.offset.reset';
        INSERT INTO c WITH (QUERY_ID='more') SELECT id, paid FROM s;
        PAUSE more;";
    here.ok(&["run", "--server", &url, "-e", sql]);
    let ran = here.run(&["import", "--ksqldb", &url, "--apply"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_has(&ran.err, &["4 statements taken as they are, 1 changed, 0 refused"]);
    assert_has(&here.ok(&["run", "-e", "SHOW QUERIES;"]), &["CTAS_T_", "CSAS_C_", "MORE"]);
    assert_has(&here.ok(&["run", "-e", "SHOW TYPES;"]), &["MONEY"]);
}
