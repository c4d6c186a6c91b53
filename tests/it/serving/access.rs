//! Who may ask for what: passwords, roles, and what is never shown.

use serde_json::{Value, json};

use super::client::{Answer, Http, Server, post, request};
use super::{STREAM, talk};
use crate::command_line::Folder;

/// The lines of users whose passwords are their names and an exclamation mark.
pub(super) fn users(folder: &Folder, all: &[(&str, &str)]) -> String {
    let line = |(name, role): &(&str, &str)| {
        let ran = folder.run_with(&["user", name, "--role", role], &format!("{name}!\n"));
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.out.starts_with(&format!("{name}:$argon2id$")) && ran.out.ends_with(&format!(":{role}\n")));
        ran.out
    };
    all.iter().map(line).collect()
}

/// A server that knows a reader, a writer and an admin.
fn guarded(folder: &Folder) -> Server {
    let lines = users(folder, &[("rita", "read"), ("will", "write"), ("ada", "admin")]);
    let file = format!("tidemill.users.location={}", folder.file("users", lines));
    Server::start_with(folder, &["--set", "authentication.method=BASIC", "--set", &file])
}

/// A request by somebody; `name:password` in base64 stands in the header.
async fn by(server: &Server, who: Option<&str>, method: &str, path: &str, body: &Value) -> Answer {
    let header = who.map(|who| format!("Basic {}", tidemill::types::parse::base64_text(who.as_bytes())));
    let headers: Vec<(&str, &str)> = header.iter().map(|header| ("authorization", header.as_str())).collect();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    // Streams of rows need it.
    let http = if path == "/inserts-stream" { Http::Two } else { Http::One };
    server.answer(http, request(method, path, &headers, body)).await
}

const RITA: Option<&str> = Some("rita:rita!");
const WILL: Option<&str> = Some("will:will!");
const ADA: Option<&str> = Some("ada:ada!");

#[test]
fn every_endpoint_asks_who_asks_but_those_of_probes() {
    talk(async {
        let folder = Folder::new();
        let server = guarded(&folder);
        let none = Value::Null;
        let unauthorized = json!({ "@type": "generic_error", "error_code": 40100, "message": "Unauthorized" });
        let all = [
            ("POST", "/ksql"),
            ("POST", "/ksql/terminate"),
            ("POST", "/query"),
            ("POST", "/query-stream"),
            ("POST", "/close-query"),
            ("POST", "/inserts-stream"),
            ("GET", "/ws/query"),
            ("GET", "/"),
            ("GET", "/info"),
            ("GET", "/healthcheck"),
            ("GET", "/status"),
            ("GET", "/is_valid_property/x"),
            ("GET", "/clusterStatus"),
            ("POST", "/heartbeat"),
            ("POST", "/lag"),
            ("GET", "/v1/metadata"),
            ("GET", "/metrics"),
            ("GET", "/export"),
            ("GET", "/nowhere"),
            ("GET", "/chc%2Flive"),
            ("GET", "/livez/../info"),
        ];
        for (method, path) in all {
            let answer = by(&server, None, method, path, &none).await;
            assert_eq!((answer.status, answer.json()), (401, unauthorized.clone()), "{path}");
            assert!(answer.asks_who.is_some_and(|asks| asks.starts_with("Basic realm=")), "{path}");
        }
        for who in ["rita:Rita!", "nobody:rita!", "rita:", "rita"] {
            assert_eq!(by(&server, Some(who), "GET", "/info", &none).await.status, 401, "{who}");
        }
        for path in ["/livez", "/readyz", "/chc/live", "/chc/ready"] {
            assert_eq!(by(&server, None, "GET", path, &none).await.status, 200, "{path}");
        }
        for path in ["/info", "/healthcheck", "/status", "/metrics", "/export", "/v1/metadata"] {
            assert_eq!(by(&server, RITA, "GET", path, &none).await.status, 200, "{path}");
        }
    });
}

#[test]
fn statements_need_the_role_of_their_kind() {
    talk(async {
        let folder = Folder::new();
        let server = guarded(&folder);
        let ksql = async |who, text: &str| by(&server, who, "POST", "/ksql", &json!({ "ksql": text })).await;
        let refused = ksql(WILL, STREAM).await;
        assert_eq!((refused.status, &refused.json()["error_code"]), (403, &json!(40300)));
        assert_eq!(refused.json()["message"], "CREATE STREAM needs the role admin; the user will has the role write");
        assert_eq!(ksql(ADA, STREAM).await.status, 200);
        let needs = [
            ("SHOW STREAMS; DESCRIBE s; EXPLAIN SELECT * FROM s EMIT CHANGES; SET 'auto.offset.reset'='earliest';", 0),
            ("INSERT INTO s VALUES (1, 'a');", 1),
            ("SHOW STREAMS; INSERT INTO s (id) VALUES (2);", 1),
            ("CREATE STREAM c AS SELECT * FROM s;", 2),
            ("INSERT INTO c SELECT * FROM s;", 2),
            ("PAUSE ALL;", 2),
            ("RESUME ALL;", 2),
            ("TERMINATE ALL;", 2),
            ("CREATE TYPE x AS INT;", 2),
            ("DROP TYPE x;", 2),
            ("DROP STREAM c;", 2),
        ];
        for (text, least) in needs {
            // The most powerful at last, since afterwards it is done.
            for (place, who) in [RITA, WILL, ADA].into_iter().enumerate() {
                let answer = ksql(who, text).await;
                assert_eq!(answer.status == 403, place < least, "{who:?} {text}: {answer:?}");
                assert!(place < least || answer.status == 200, "{who:?} {text}: {answer:?}");
            }
        }
        let select = json!({ "sql": "SELECT id FROM s;" });
        assert_eq!(by(&server, RITA, "POST", "/query-stream", &select).await.status, 200);
        let row = json!({ "target": "s" });
        assert_eq!(by(&server, RITA, "POST", "/inserts-stream", &row).await.status, 403);
        assert_eq!(by(&server, WILL, "POST", "/inserts-stream", &row).await.status, 200);
        for spelling in ["/ksql/terminate", "//ksql/./terminate/", "/ksql/%74erminate", "/chc/../ksql/terminate"] {
            assert_eq!(by(&server, WILL, "POST", spelling, &json!({})).await.status, 403, "{spelling}");
        }
        assert_eq!(by(&server, ADA, "POST", "/ksql/terminate", &json!({})).await.status, 200);
    });
}

#[test]
fn a_query_that_shows_rows_is_ended_by_its_user_or_an_admin() {
    talk(async {
        let folder = Folder::new();
        let server = guarded(&folder);
        assert_eq!(by(&server, ADA, "POST", "/ksql", &json!({ "ksql": STREAM })).await.status, 200);
        let header = |who: &str| format!("Basic {}", tidemill::types::parse::base64_text(who.as_bytes()));
        let close = async |who, id: &Value| by(&server, who, "POST", "/close-query", &json!({ "queryId": id })).await;
        let body = json!({ "sql": "SELECT id FROM s EMIT CHANGES;" }).to_string();
        for ender in [RITA, ADA] {
            let rita = header("rita:rita!");
            let asked = request("POST", "/query-stream", &[("authorization", &rita)], body.clone());
            let mut rows = server.open(Http::One, asked).await;
            let head: Value = serde_json::from_str(&rows.next().await.expect("a head")).expect("JSON");
            let id = head["queryId"].clone();
            let refused = close(WILL, &id).await;
            assert_eq!((refused.status, &refused.json()["error_code"]), (403, &json!(40300)), "{refused:?}");
            let text = id.as_str().expect("a text");
            let message = format!("The query {text} was not started by the user will; the role admin may end it, too");
            assert_eq!(refused.json()["message"], message);
            let terminate = json!({ "ksql": format!("TERMINATE `{text}`;") });
            assert_eq!(by(&server, WILL, "POST", "/ksql", &terminate).await.status, 403);
            assert_eq!(close(ender, &id).await.status, 200);
            assert_eq!(rows.next().await, None, "the rows end");
            assert_eq!(close(WILL, &json!("transient_S_77")).await.status, 400);
        }
    });
}

#[test]
fn a_websocket_asks_who_asks() {
    talk(async {
        let folder = Folder::new();
        let server = guarded(&folder);
        let url = |who: &str| format!("ws://{who}{}/ws/query?request=%7B%7D", server.address());
        let refused = tokio_tungstenite::connect_async(url("")).await.expect_err("no password").to_string();
        assert!(refused.contains("401"), "{refused}");
        let mut asked = tokio_tungstenite::tungstenite::ClientRequestBuilder::new(url("").parse().expect("an address"));
        let header = format!("Basic {}", tidemill::types::parse::base64_text(b"rita:rita!"));
        asked = asked.with_header("authorization", header);
        tokio_tungstenite::connect_async(asked).await.expect("a WebSocket");
    });
}

#[test]
fn users_are_read_anew_when_their_file_changes() {
    talk(async {
        let folder = Folder::new();
        let server = guarded(&folder);
        assert_eq!(by(&server, RITA, "GET", "/info", &Value::Null).await.status, 200);
        folder.file("users", users(&folder, &[("ada", "admin")]));
        while by(&server, RITA, "GET", "/info", &Value::Null).await.status != 401 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        // A file that is no good changes nothing.
        folder.file("users", "ada:ada!:admin");
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        assert_eq!(by(&server, ADA, "GET", "/info", &Value::Null).await.status, 200);
    });
}

#[test]
fn the_command_line_says_who_asks() {
    talk(async {
        let folder = Folder::new();
        let server = guarded(&folder);
        let url = format!("http://{}", server.address());
        let list = ["shell", "--server", &url, "-e", "SHOW STREAMS;"];
        let refused = folder.refused(1, &list);
        assert!(refused.contains("asks for a user and the right password") && refused.contains("--user"), "{refused}");
        let secret = folder.file("secret", "rita!\n");
        let as_rita = ["--user", "rita", "--password-file", &secret];
        folder.ok(&[&list[..], &as_rita].concat());
        folder.ok(&[&["export", "--server", &url], &as_rita[..]].concat());
        let denied = folder.refused(1, &[&["run", "--server", &url, "-e", STREAM], &as_rita[..]].concat());
        assert!(denied.contains("CREATE STREAM needs the role admin; the user rita has the role read"), "{denied}");
        let mut by_variable = folder.command(&[&list[..], &["--user", "rita"]].concat());
        let ran = by_variable.env("TIDEMILL_PASSWORD", "rita!").output().expect("an end");
        assert!(ran.status.success(), "{ran:?}");
        let wrong = folder.command(&[&list[..], &["--user", "ada"]].concat()).env("TIDEMILL_PASSWORD", "x").output();
        assert_eq!(wrong.expect("an end").status.code(), Some(1));
    });
}

#[test]
fn secrets_are_not_shown() {
    talk(async {
        let folder = Folder::new();
        let config = folder.file("server.properties", "ssl.key.password=tide-and-time\n");
        let server = Server::start_with(&folder, &["--config", &config]);
        let listed = server.answer(Http::One, post("/ksql", &json!({ "ksql": "SHOW PROPERTIES;" }))).await.text();
        assert!(listed.contains("[hidden]") && !listed.contains("tide-and-time"), "{listed}");
        let shown = folder.ok(&["shell", "--server", server.address(), "-e", "SHOW PROPERTIES;"]);
        assert!(shown.contains("[hidden]") && !shown.contains("tide-and-time"), "{shown}");
        let own = json!({ "ksql": "SHOW STREAMS;", "streamsProperties": { "ssl.key.password": "tide-and-time" } });
        let refused = server.answer(Http::One, post("/ksql", &own)).await;
        assert!(refused.status == 400 && !refused.text().contains("tide-and-time"), "{refused:?}");
        let other = Folder::new();
        let wrong = other.file("wrong.properties", "ssl.key.password tide-and-time\n");
        let refused = other.refused(2, &["serve", "--config", &wrong]);
        assert!(refused.contains("line 1: 'ssl.key.password …' is not KEY=VALUE"), "{refused}");
        let shown = other.ok(&["shell", "--config", &config, "-e", "SHOW PROPERTIES;"]);
        assert!(shown.contains("[hidden]") && !shown.contains("tide-and-time"), "{shown}");
    });
}

#[test]
fn a_page_of_another_origin_is_told_that_it_must_say_who_asks() {
    talk(async {
        let folder = Folder::new();
        let file = format!("tidemill.users.location={}", folder.file("users", users(&folder, &[("ada", "admin")])));
        let origin = "access.control.allow.origin=http://a.example";
        let server =
            Server::start_with(&folder, &["--set", "authentication.method=basic", "--set", &file, "--set", origin]);
        let asks = [("origin", "http://a.example"), ("access-control-request-method", "POST")];
        assert_eq!(server.answer(Http::One, request("OPTIONS", "/ksql", &asks, "")).await.status, 204);
        let refused = server.answer(Http::One, request("GET", "/info", &asks[..1], "")).await;
        assert_eq!((refused.status, refused.origin.as_deref()), (401, Some("http://a.example")));
    });
}
