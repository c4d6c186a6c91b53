//! Hostile clients: floods of HTTP/2, slow ones, and bodies that are too much. Others are served meanwhile.
//!
//! `tests/hostile/run` has more of them, and takes longer.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Connection, Http, Server, post, request};
use super::{STREAM, talk};
use crate::command_line::Folder;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /info`, as HPACK writes it.
const INFO: &[u8] = b"\x82\x86\x44\x05/info\x41\x01a";

/// Sends what `make` gives for each number, until the server closes the connection.
async fn flooded(server: &Server, make: impl Fn(u32) -> Vec<u8>) {
    let mut stream = server.connect().await.expect("a connection");
    stream.write_all(PREFACE).await.expect("sent");
    let (mut read, mut write) = tokio::io::split(stream);
    let reading = async { tokio::io::copy(&mut read, &mut tokio::io::sink()).await };
    let writing = async {
        for number in 0..1_000_000 {
            if write.write_all(&make(number)).await.is_err() {
                return;
            }
        }
        panic!("the server takes all of it");
    };
    tokio::select! {
        _ = reading => {}
        () = writing => {}
    }
}

#[test]
fn a_flood_over_http_2_ends_its_connection_and_no_other() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let good = async {
            loop {
                assert_eq!(server.answer(Http::One, request("GET", "/info", &[], "")).await.status, 200);
                tokio::task::yield_now().await;
            }
        };
        let floods = async {
            let reset = |number: u32| {
                let stream = number * 2 + 1;
                [frame(HEADERS, 5, stream, INFO), frame(RESET, 0, stream, b"\0\0\0\x08")].concat()
            };
            flooded(&server, reset).await;
            let continued = |number| match number {
                0 => frame(HEADERS, 1, 1, INFO),
                _ => frame(CONTINUATION, 0, 1, &[&b"\0\x01x\x7f\x81\x3e"[..], &[b'y'; 8_064]].concat()),
            };
            flooded(&server, continued).await;
            flooded(
                &server,
                |number| if number == 0 { frame(HEADERS, 1, 1, INFO) } else { frame(CONTINUATION, 0, 1, b"") },
            )
            .await;
            flooded(&server, |_| frame(SETTINGS, 0, 0, b"x")).await;
            flooded(&server, |_| frame(HEADERS, 5, 2, INFO)).await;
        };
        tokio::select! {
            () = good => {}
            () = floods => {}
        }
        assert_eq!(server.answer(Http::Two, request("GET", "/info", &[], "")).await.status, 200);
    });
}

/// Clients send each row as a frame, as fast as the server lets them.
#[test]
fn rows_that_come_all_at_once_are_no_flood() {
    const ROWS: usize = 7_000;
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let large = (1_u32 << 30).to_be_bytes();
        let mut sent = PREFACE.to_vec();
        sent.extend(frame(SETTINGS, 0, 0, &[&[0, 4], &large[..]].concat()));
        sent.extend(frame(WINDOW, 0, 0, &large));
        sent.extend(frame(HEADERS, 4, 1, b"\x83\x86\x44\x0f/inserts-stream\x41\x01a"));
        sent.extend(frame(DATA, 0, 1, b"{\"target\":\"S\"}\n"));
        // All of it is within the window that a client has before it knows the server's.
        (0..ROWS).for_each(|_| sent.extend(frame(DATA, 0, 1, b"{\"ID\":1}\n")));
        sent.extend(frame(DATA, 1, 1, b""));
        let (mut read, mut write) = tokio::io::split(server.connect().await.expect("a connection"));
        let reading = async {
            let (mut answer, mut count) = (Vec::new(), 0);
            while count < ROWS {
                let more = read.read_buf(&mut answer).await.expect("an answer");
                assert!(
                    more > 0,
                    "it ends after {count}: {}",
                    String::from_utf8_lossy(&answer[answer.len().saturating_sub(200)..])
                );
                count = String::from_utf8_lossy(&answer).matches("\"status\":\"ok\"").count();
            }
        };
        let (_, written) = tokio::join!(reading, write.write_all(&sent));
        written.expect("sent");
    });
}

/// A connection with a request whose body is begun.
async fn begun(server: &Server, length: usize, sent: usize) -> Box<dyn Connection> {
    let mut stream = server.connect().await.expect("a connection");
    let head = format!("POST /ksql HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    // A server that refuses it reads no more, and its answer can be read all the same.
    let _ = stream.write_all(&vec![b' '; sent]).await;
    stream
}

/// The first line of an answer.
async fn status(mut stream: Box<dyn Connection>) -> String {
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.expect("an answer");
    String::from_utf8_lossy(&head).into_owned()
}

#[test]
fn large_bodies_have_a_budget_together_and_small_ones_are_read_all_the_same() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start_with(&folder, &["--set", "tidemill.request.memory.bytes=1048576"]);
        // Whichever is read first takes the budget; if it was the second one, both are tried again.
        let first = loop {
            let first = begun(&server, 2 << 20, 1_000_000).await;
            match status(begun(&server, 600_000, 600_000).await).await.as_str() {
                "HTTP/1.1 429" => break first,
                // Blanks are no request.
                other => assert_eq!(other, "HTTP/1.1 400"),
            }
        };
        server.ksql(STREAM).await;
        assert_eq!(server.answer(Http::Two, post("/ksql", &json!({ "ksql": "LIST STREAMS;" }))).await.status, 200);
        drop(first);
        while status(begun(&server, 600_000, 600_000).await).await != "HTTP/1.1 400" {}
    });
}

#[test]
fn a_statement_of_megabytes_is_refused_before_it_takes_much_memory() {
    const BYTES: usize = 8 << 20;
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let long = |one: &str| one.repeat(BYTES / one.len());
        let texts = [
            (format!("SHOW STREAMS; SELECT 1{} FROM s;", long("+1")), "1:15"),
            (format!("SELECT * FROM s WHERE id IN (1{});", long(",1")), "1:1"),
            (format!("CREATE STREAM c AS\n  SELECT {}id FROM s;", long("v,")), "1:1"),
            (long("/**/") + "SHOW STREAMS;", "1:4000001"),
            (long("SHOW TYPES;"), "1:3666664"),
        ];
        for ((text, place), (path, field)) in
            texts.iter().zip([("/ksql", "ksql"), ("/query-stream", "sql"), ("/query", "ksql")].iter().cycle())
        {
            let answer = server.answer(Http::One, post(path, &json!({ *field: text }))).await;
            let refusal = answer.json();
            assert_eq!((answer.status, &refusal["error_code"]), (400, &json!(40001)), "{path}");
            let message: String = refusal["message"].as_str().expect("a text").chars().take(200).collect();
            assert!(message.starts_with(&format!("line {place}: Syntax Error\nThe ")), "{message}");
            assert!(message.contains("; tidemill.statement.tokens allows more"), "{message}");
        }
        let Some(most) = server.most_memory() else {
            return crate::skip("the system does not say what memory is taken");
        };
        assert!(most < 300_000, "{most} KB");
    });
}

/// `tests/hostile/run` makes more of them, also for endpoints that wait for another command.
#[test]
fn requests_made_of_its_own_description_are_answered_as_it_says() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    // Kept from run to run, so that it is installed once.
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let made = Command::new("bash")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/described"))
        .arg(format!("http://{}", server.address()))
        .arg(program)
        .args(["--phases", "coverage,fuzzing", "--max-examples", "10", "--workers", "4"])
        .args(["--exclude-path", "/ksql", "--exclude-path", "/query"])
        // An index that does not answer at once is taken as not there.
        .envs([("PIP_RETRIES", "0"), ("PIP_DEFAULT_TIMEOUT", "20")])
        .output();
    let Ok(made) = made else { return crate::skip("there is no bash") };
    let said = String::from_utf8_lossy(&made.stdout);
    if made.status.code() == Some(75) {
        return crate::skip(said.trim_end());
    }
    assert!(made.status.success() && said.contains(" passed"), "{said}{}", String::from_utf8_lossy(&made.stderr));
}
