//! The statements of a running server are taken over: of one that answers as ksqlDB was seen to, and of our own.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::{Folder, assert_has, exists};
use crate::serving::client::Server;

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
  {"id":"CSAS_C1_35","statementText":"CREATE STREAM C1 WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='C1', PARTITIONS=2, REPLICAS=1, RETENTION_MS=604800000) AS SELECT\n  S1.ID ID,\n  S1.NAME NAME\nFROM S1 S1\nEMIT CHANGES;","sources":["S1"],"sinks":["C1"],"overriddenProperties":{},"queryType":"PERSISTENT"},
  {"id":"transient_S1_1","statementText":"SELECT * FROM S1 EMIT CHANGES;","sources":["S1"],"sinks":[],"overriddenProperties":{},"queryType":"PUSH"}],"warnings":[]}]"#;

/// A server that gives the same answer to every request; its address.
fn recorded() -> String {
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
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{ANSWER}", ANSWER.len());
            stream.write_all(answer.as_bytes()).expect("an answer");
        }
    });
    format!("http://{address}")
}

#[test]
fn each_statement_of_ksqldb_is_taken_changed_or_refused() {
    let (folder, url) = (Folder::new(), recorded());
    let ran = folder.run(&["import", "--ksqldb", &url]);
    assert_eq!((ran.status, exists(&folder.data())), (1, false), "{ran:?}");
    assert_has(&ran.err, &["3 statements taken as they are, 2 changed, 1 refused"]);
    let parts = [
        "-- taken as it is\nCREATE TYPE ADDRESS AS STRUCT<STREET STRING, ZIP INTEGER>;",
        "-- changed: PARTITIONS=2 is added, since the topic s1 is not here yet\nCREATE STREAM S1",
        "-- refused: ",
        "-- CREATE STREAM V1",
        "-- taken as it is\nCREATE STREAM C1 WITH",
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
        INSERT INTO c SELECT id, paid FROM s;";
    here.ok(&["run", "--server", &url, "-e", sql]);
    let ran = here.run(&["import", "--ksqldb", &url, "--apply"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_has(&ran.err, &["5 statements taken as they are, 0 changed, 0 refused"]);
    assert_has(&here.ok(&["run", "-e", "SHOW QUERIES;"]), &["CTAS_T_", "CSAS_C_", "INSERTQUERY_"]);
    assert_has(&here.ok(&["run", "-e", "SHOW TYPES;"]), &["MONEY"]);
}
