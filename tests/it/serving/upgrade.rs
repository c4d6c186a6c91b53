//! HTTP/2 by upgrade, byte by byte: a client of a library would hide what is on the wire.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Connection, Server};
use super::{STREAM, talk};
use crate::command_line::Folder;

/// The kinds of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

/// `SETTINGS_INITIAL_WINDOW_SIZE` is 10 bytes, in base64.
const SMALL_WINDOW: &str = "AAQAAAAK";

type Wire = Box<dyn Connection>;

/// A request that asks for HTTP/2, as it stands on the wire.
fn asking(method: &str, path: &str, settings: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: {settings}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request and reads the head of its answer.
async fn head(wire: &mut Wire, request: &str) -> String {
    wire.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(wire.read_u8().await.expect("an answer"));
    }
    String::from_utf8(head).expect("text")
}

/// Reads a frame: kind, flags, stream, payload.
async fn frame(wire: &mut Wire) -> (u8, u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    wire.read_exact(&mut head).await.expect("a frame");
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    wire.read_exact(&mut payload).await.expect("its payload");
    (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload)
}

/// Sends a frame.
async fn send(wire: &mut Wire, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a small payload").to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    wire.write_all(&[&head, payload].concat()).await.expect("sent");
}

/// The answer on a stream to its end, whether its status is 200, and how many settings were confirmed meanwhile.
async fn answer(wire: &mut Wire, stream: u32) -> (String, bool, usize) {
    let (mut text, mut is_good, mut confirmed) = (Vec::new(), false, 0);
    loop {
        let (kind, flags, of, payload) = frame(wire).await;
        match kind {
            SETTINGS if flags & 1 != 0 => confirmed += 1,
            SETTINGS => send(wire, SETTINGS, 1, 0, &[]).await,
            // `:status: 200` is the eighth entry of the static table.
            HEADERS if of == stream => is_good = payload[0] == 0x88,
            DATA if of == stream => text.extend_from_slice(&payload),
            _ => {}
        }
        if of == stream && flags & 1 != 0 {
            return (String::from_utf8(text).expect("text"), is_good, confirmed);
        }
    }
}

#[test]
fn the_request_that_asks_for_http_2_is_answered_on_the_first_stream() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        for (method, path, body) in
            [("GET", "/info", String::new()), ("POST", "/ksql", json!({ "ksql": "SHOW STREAMS;" }).to_string())]
        {
            let mut wire = server.connect().await.expect("a connection");
            let switched = head(&mut wire, &asking(method, path, "AAMAAABkAAQAAP__", &body)).await;
            assert!(switched.starts_with("HTTP/1.1 101 ") && switched.contains("upgrade: h2c\r\n"), "{switched}");
            wire.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
            send(&mut wire, SETTINGS, 0, 0, &[]).await;
            let (text, is_good, mut confirmed) = answer(&mut wire, 1).await;
            assert!(is_good, "{text}");
            serde_json::from_str::<Value>(&text).expect("JSON");
            // The next request is one of HTTP/2: GET, http, and a literal path.
            let block = [&[0x82, 0x86, 0x04, 5][..], b"/info"].concat();
            send(&mut wire, HEADERS, 5, 3, &block).await;
            let (text, is_good, more) = answer(&mut wire, 3).await;
            assert!(is_good && text.contains("KsqlServerInfo"), "{text}");
            confirmed += more;
            assert_eq!(confirmed, 1, "the client has sent one frame of settings");
        }
    });
}

#[test]
fn the_settings_of_the_request_hold() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let mut wire = server.connect().await.expect("a connection");
        head(&mut wire, &asking("GET", "/info", SMALL_WINDOW, "")).await;
        wire.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
        send(&mut wire, SETTINGS, 0, 0, &[]).await;
        let first = loop {
            match frame(&mut wire).await {
                (DATA, _, 1, payload) => break payload,
                _ => continue,
            }
        };
        assert_eq!(first.len(), 10, "the window of the stream");
        // WINDOW_UPDATE lets the rest come.
        send(&mut wire, 8, 0, 1, &1_000u32.to_be_bytes()).await;
        assert!(answer(&mut wire, 1).await.0.contains("RUNNING"));
    });
}

#[test]
fn what_cannot_be_upgraded_is_answered_over_http_1() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let large = json!({ "ksql": "SHOW STREAMS;", "padding": "x".repeat(20_000) }).to_string();
        let good = asking("GET", "/info", SMALL_WINDOW, "");
        for (what, request) in [
            ("settings that are none", asking("GET", "/info", "AAQ", "")),
            ("a body that fits in no frame", asking("POST", "/ksql", SMALL_WINDOW, &large)),
            ("another protocol", good.replace("Upgrade: h2c", "Upgrade: h3c")),
            ("settings twice", good.replace("\r\n\r\n", "\r\nHTTP2-Settings: AAQAAAAK\r\n\r\n")),
            ("no word of it in Connection", good.replace("Upgrade, HTTP2-Settings", "keep-alive")),
        ] {
            let mut wire = server.connect().await.expect("a connection");
            // The connection goes on as it was.
            for _ in 0..2 {
                let answered = head(&mut wire, &request).await;
                assert!(answered.starts_with("HTTP/1.1 200 "), "{what}: {answered}");
                let length = answered.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.expect("a length").parse().expect("a number")];
                wire.read_exact(&mut body).await.expect("a body");
            }
        }
    });
}
