//! ASSERT over the service.

use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Answer, Http, Server, post};
use super::{STREAM, talk};
use crate::command_line::Folder;

async fn ask(server: &Server, text: &str) -> Answer {
    server.answer(Http::One, post("/ksql", &json!({ "ksql": text }))).await
}

#[test]
fn what_is_so_is_an_entity_and_what_is_not_fails() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let entities =
            server.ksql(&format!("{STREAM} ASSERT TOPIC s WITH (PARTITIONS=1, REPLICAS=1); LIST STREAMS;")).await;
        let expected = json!({
            "@type": "assert_topic",
            "statementText": "ASSERT TOPIC s WITH (PARTITIONS=1, REPLICAS=1);",
            "topicName": "s",
            "exists": true,
            "warnings": [],
        });
        assert_eq!((&entities[1], entities.len()), (&expected, 3));
        assert_eq!(server.ksql("ASSERT NOT EXISTS TOPIC nope;").await[0]["exists"], json!(false));
        let mismatch = "Mismatched configuration for topic s: For config partitions, expected 5 got 1\n\
                        Mismatched configuration for topic s: For config replicas, expected 3 got 1";
        for (text, message) in [
            ("ASSERT TOPIC nope TIMEOUT 0 SECONDS;", "Topic nope does not exist"),
            ("ASSERT NOT EXISTS TOPIC s TIMEOUT 0 SECONDS;", "Topic s exists"),
            ("ASSERT TOPIC s WITH (PARTITIONS=5, REPLICAS=3) TIMEOUT 0 SECONDS;", mismatch),
            ("ASSERT TOPIC s WITH (COLOUR=5);", "Cannot assert unknown topic property: COLOUR"),
            (
                "ASSERT SCHEMA SUBJECT 's-value';",
                "Cannot check schema existence: KSQL is not configured to use a schema registry.",
            ),
        ] {
            let answer = ask(&server, text).await;
            let expected = json!({ "@type": "generic_error", "error_code": 41700, "message": message });
            assert_eq!((answer.status, answer.json()), (417, expected), "{text}");
        }
        // Statements before one that fails stay in effect.
        let text = "CREATE TYPE kept AS INT; ASSERT TOPIC nope TIMEOUT 0 SECONDS; CREATE TYPE never AS INT;";
        assert_eq!(ask(&server, text).await.status, 417);
        let types = server.ksql("LIST TYPES;").await[0]["types"].clone();
        assert_eq!(types.as_object().map(|types| types.keys().cloned().collect()), Some(vec!["KEPT".to_owned()]));
    });
}

#[test]
fn the_shell_shows_what_was_done_before_an_assertion_fails() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let url = format!("http://{}", server.address());
        let text = "ASSERT NOT EXISTS TOPIC nope; ASSERT TOPIC nope TIMEOUT 0 SECONDS; ASSERT TOPIC never;";
        let ran = folder.run(&["shell", "--server", &url, "-e", text]);
        assert_eq!((ran.status, ran.out.as_str()), (1, "Topic nope does not exist.\n"));
        assert!(ran.err.contains("error: Topic nope does not exist\n --> -e:1:31"), "{ran:?}");
    });
}

#[test]
fn a_topic_may_come_while_it_is_waited_for() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let start = Instant::now();
        let (asserted, made) = tokio::join!(ask(&server, "ASSERT TOPIC s TIMEOUT 1 HOUR;"), async {
            // Nothing else waits.
            server.ksql("LIST STREAMS;").await;
            server.ksql(STREAM).await
        });
        assert_eq!((asserted.status, made.len()), (200, 1));
        assert!(start.elapsed() < Duration::from_secs(60));
        let start = Instant::now();
        assert_eq!(ask(&server, "ASSERT NOT EXISTS TOPIC s;").await.status, 417);
        assert!(start.elapsed() >= Duration::from_secs(1), "it waits for a second");
    });
}
