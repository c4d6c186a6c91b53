//! What a service tells of its work: the processing log as a stream, and events as JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Http, Server};
use super::{STREAM, rows, talk};
use crate::command_line::Folder;

const LOG: [&str; 4] = [
    "--set",
    "ksql.logging.processing.topic.auto.create=true",
    "--set",
    "ksql.logging.processing.stream.auto.create=true",
];

#[test]
fn the_processing_log_is_a_stream_that_can_be_asked() {
    talk(async {
        let folder = Folder::new();
        let mut server = Server::start_with(&folder, &LOG);
        let listed = server.ksql("LIST STREAMS;").await;
        assert_eq!(listed[0]["streams"][0]["name"], "KSQL_PROCESSING_LOG");
        assert_eq!(listed[0]["streams"][0]["topic"], "default_ksql_processing_log");
        server.ksql(&format!("{STREAM} CREATE STREAM q AS SELECT id, 10 / (id - 1) AS x FROM s;")).await;
        server.ksql("INSERT INTO s VALUES (1, 'a'); INSERT INTO s VALUES (2, 'b');").await;
        let select = "SELECT logger, level, message->type, message->recordProcessingError->errorMessage \
                      FROM KSQL_PROCESSING_LOG;";
        let entries = loop {
            let all = rows(&server, Http::One, "*/*", select).await;
            if all.len() > 1 {
                break all;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let entry: Value = serde_json::from_str(&entries[1]).expect("a row");
        let id = server.ksql("LIST QUERIES;").await[0]["queries"][0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(entry[0], json!(format!("processing.{id}.expression-errors")));
        assert_eq!((&entry[1], &entry[2]), (&json!("ERROR"), &json!(1)));
        let message = entry[3].as_str().expect("a text");
        assert!(message.starts_with("topic s partition 0 offset 0: "), "{message}");
        server.ask_to_end();
        assert!(server.ended().success());
        // What is there stays as it is.
        let server = Server::start_with(&folder, &LOG);
        // Before them stands the id of the query, which counts those of a process.
        assert_eq!(rows(&server, Http::One, "*/*", select).await[1..], entries[1..]);
    });
}

#[test]
fn events_are_json_where_that_is_asked_for() {
    let folder = Folder::new();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log", "info", "--log-format", "json"];
    let mut child = folder.start(&arguments);
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("an event").expect("text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let started = next();
    let address = started["message"].as_str().and_then(|text| text.strip_prefix("serving at http://"));
    let mut client = TcpStream::connect(address.expect("an address")).expect("a connection");
    client.write_all(b"GET /info HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
    client.read_to_end(&mut Vec::new()).expect("an answer");
    let asked = next();
    assert_eq!(asked["message"], "GET /info: 200");
    assert_eq!([&asked["method"], &asked["path"]], ["GET", "/info"]);
    assert_eq!((&asked["status"], &asked["level"]), (&json!(200), &json!("INFO")));
    assert!(asked["timestamp"].is_string() && asked["ms"].is_u64(), "{asked}");
    child.kill().expect("killed");
    child.wait().expect("ended");
}
