//! What is said of statements: refusals name them and word the reason as ksqlDB does, EXPLAIN shows them as written.

use serde_json::{Value, json};

use super::client::{Http, Server, post};
use super::{COUNTS, STREAM, talk};
use crate::command_line::Folder;

/// The status, the message and the statement of a refusal.
async fn refused(server: &Server, text: &str) -> (u16, String, Value) {
    let answer = server.answer(Http::One, post("/ksql", &json!({ "ksql": text }))).await;
    let body = answer.json();
    (answer.status, body["message"].as_str().unwrap_or_default().to_owned(), body["statementText"].clone())
}

#[test]
fn a_refusal_names_the_statement_as_it_was_understood() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let with = "WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='O', PARTITIONS=1, REPLICAS=1, RETENTION_MS=604800000)";
        let (status, message, statement) = refused(&server, "CREATE STREAM o AS SELECT id, nope(v) FROM s;").await;
        let expected = "Could not determine output schema for query due to error: Can't find any functions with the \
                        name 'NOPE'";
        assert_eq!((status, message.as_str()), (400, expected));
        let select = "SELECT\n  S.ID ID,\n  NOPE(S.V) KSQL_COL_0\nFROM S S\nEMIT CHANGES;";
        assert_eq!(statement, format!("CREATE STREAM O {with} AS {select}"));
        // What is wrong with the text itself is told of the text as it was written.
        for (text, begin) in [
            ("CREATE STREAM o AS SELECT * FROM s LIMIT 5;", "Failed to prepare statement: CREATE STREAM AS SELECT"),
            ("CREATE STREAM o (a INT) WITH (VALUE_FORMAT='JSON');", "Failed to prepare statement: Missing required"),
            ("CREATE STREAM o (a INT) WITH (KAFKA_TOPIC='s');", "Statement is missing the 'VALUE_FORMAT' property"),
            ("CREATE STREAM o AS SELECT * FROM nope;", "Exception while preparing statement: NOPE does not exist."),
        ] {
            let (status, message, statement) = refused(&server, text).await;
            assert!(message.starts_with(begin), "{message}");
            assert_eq!((status, statement), (400, json!(text)));
        }
        let (_, message, statement) =
            refused(&server, "CREATE STREAM o (a INT PRIMARY KEY) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');").await;
        assert!(message.starts_with("Line: 1, Col: 18: Column `A` is a 'PRIMARY KEY' column: "), "{message}");
        assert_eq!(statement, "`A`");
    });
}

#[test]
fn a_topic_with_other_settings_is_the_fault_of_the_server() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let text = "CREATE STREAM o (a INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=7);";
        let (status, message, statement) = refused(&server, text).await;
        assert!(message.starts_with("A Kafka topic with the name 's' already exists, with different"), "{message}");
        assert_eq!((status, statement), (500, json!(text)));
    });
}

#[test]
fn headers_cannot_be_inserted_and_a_column_has_one_value() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server
            .ksql(
                "CREATE STREAM s (id INT KEY, v STRING, h BYTES HEADER('h')) WITH (KAFKA_TOPIC='s', PARTITIONS=1, \
                 VALUE_FORMAT='JSON'); INSERT INTO s (id, id, v) VALUES (1, 1, 'a');",
            )
            .await;
        let (_, message, statement) = refused(&server, "INSERT INTO s (id, h) VALUES (1, 'aa');").await;
        assert_eq!((message.as_str(), statement), ("Cannot insert into HEADER columns: H", Value::Null));
        let (_, message, statement) = refused(&server, "INSERT INTO s (id, id) VALUES (1, 2);").await;
        assert!(message.contains("Column `ID` is named twice, with two values."), "{message}");
        assert_eq!(statement, "INSERT INTO `S` (`ID`, `ID`) VALUES ('[value]', '[value]');");
    });
}

/// A SELECT that is refused, by the old endpoint or the new one: the type of the answer, the message and the statement.
async fn refused_select(server: &Server, is_old: bool, text: &str) -> (Option<String>, String, Value) {
    let request = match is_old {
        true => post("/query", &json!({ "ksql": text })),
        false => post("/query-stream", &json!({ "sql": text })),
    };
    let answer = server.answer(Http::One, request).await;
    assert_eq!(answer.status, 400, "{text}: {answer:?}");
    let body = answer.json();
    (answer.content_type, body["message"].as_str().unwrap_or_default().to_owned(), body["statementText"].clone())
}

#[test]
fn a_refusal_names_the_part_of_a_condition_that_is_wrong() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} {COUNTS}")).await;
        let compared = "Error in WHERE expression: Cannot compare V (STRING) to 5 (INTEGER) with EQUAL.\n\
                        Statement: (V = 5)\nStatement: ((V = 5) AND (NOT (V IS NULL)))";
        for (source, emit) in [("s", " EMIT CHANGES"), ("t", "")] {
            for is_old in [true, false] {
                let text = |condition: &str| format!("SELECT * FROM {source} WHERE {condition}{emit};");
                // Of a look at a table, the statement stands at the end.
                let told = |message: &str, condition: &str, part: &str| match emit {
                    "" => (format!("{message}\nStatement: {}", text(condition)), json!(text(condition))),
                    _ => (message.to_owned(), json!(part)),
                };
                for (condition, message, part) in [
                    ("v = 5 AND NOT v IS NULL", compared, "((V = 5) AND (NOT (V IS NULL)))"),
                    (
                        "v = NULL",
                        "Error in WHERE expression: Comparison with NULL not supported: STRING = NULL\n\
                         Use 'IS NULL' or 'IS NOT NULL' instead.\nStatement: (V = null)",
                        "(V = null)",
                    ),
                    (
                        "v",
                        "Type error in WHERE expression: Should evaluate to boolean but is V (STRING) instead.\n\
                         Statement: V",
                        "V",
                    ),
                ] {
                    let (content_type, got, statement) = refused_select(&server, is_old, &text(condition)).await;
                    assert_eq!((content_type, (got, statement)), (None, told(message, condition, part)));
                }
                // A column that is not there is found before conditions are looked at.
                let (_, message, _) = refused_select(&server, is_old, &text("nope = 5")).await;
                assert!(message.ends_with("WHERE column 'NOPE' cannot be resolved."), "{message}");
            }
        }
        let create = "CREATE STREAM o AS SELECT * FROM s WHERE v = 5;";
        let (_, message, statement) = refused(&server, create).await;
        let begin =
            "Could not determine output schema for query due to error: Error in WHERE expression: Cannot compare";
        assert!(
            message.starts_with(begin) && message.ends_with("\nStatement: (V = 5)\nStatement: (V = 5)"),
            "{message}"
        );
        assert!(statement.as_str().is_some_and(|text| text.starts_with("CREATE STREAM O WITH (")), "{statement}");
        // Outside of conditions it is only the types that are told.
        let (_, message, _) = refused(&server, "CREATE STREAM o AS SELECT id, v = 5 AS e FROM s;").await;
        assert!(message.ends_with("to error: Cannot compare STRING to INTEGER with EQUAL."), "{message}");
    });
}

#[test]
fn a_name_in_letters_of_other_cases_is_suggested() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let with = "WITH (KAFKA_TOPIC='low', PARTITIONS=1, VALUE_FORMAT='JSON')";
        server.ksql(&format!("{STREAM} CREATE STREAM `low` (v STRING) {with};")).await;
        let low = "\nDid you mean \"low\"? Hint: wrap the source name in double quotes to make it case-sensitive.";
        let plain = "\nDid you mean S? Hint: try removing double quotes from the source name.";
        for (select, name, suggested) in [
            ("SELECT * FROM low;", "LOW", low),
            ("SELECT * FROM `s` EMIT CHANGES;", "s", plain),
            ("SELECT * FROM nope;", "NOPE", ""),
        ] {
            let expected = format!("Exception while preparing statement: {name} does not exist.{suggested}");
            // The old endpoint says that this answer is JSON, as it does of all that it cannot read.
            for (is_old, json) in [(true, Some("application/json")), (false, None)] {
                let (content_type, message, _) = refused_select(&server, is_old, select).await;
                assert_eq!((content_type.as_deref(), message), (json, expected.clone()));
            }
        }
        let (_, message, _) = refused(&server, "DESCRIBE `s`;").await;
        assert_eq!(message, format!("Could not find STREAM/TABLE 's' in the Metastore{plain}"));
    });
}

#[test]
fn refusals_of_functions_and_keys_are_those_of_ksqldb() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(&format!("{STREAM} {COUNTS}")).await;
        let (_, message, _) = refused_select(&server, true, "SELECT EXPLODE(ARRAY[n]) FROM t;").await;
        assert_eq!(message, "Table source is not supported with table functions");
        let (_, message, _) = refused_select(&server, true, "SELECT * FROM t EMIT FINAL;").await;
        assert_eq!(message, "EMIT FINAL is only supported for windowed aggregations.");
        let with = "WITH (KAFKA_TOPIC='x', PARTITIONS=1, VALUE_FORMAT='JSON'";
        let two = format!("CREATE STREAM x (a INT KEY, b BOOLEAN KEY) {with});");
        let (_, message, _) = refused(&server, &two).await;
        let schema = "schema: Persistence{columns=[`A` INTEGER KEY, `B` BOOLEAN KEY], features=[]}";
        assert!(message.contains(schema), "{message}");
        let bare = format!("CREATE STREAM x (a INT KEY, m MAP<INT, INT>) {with}, WRAP_SINGLE_VALUE=FALSE);");
        let (_, message, statement) = refused(&server, &bare).await;
        assert!(message.contains("columns=[`M` MAP<INTEGER, INTEGER>], features=[UNWRAP_SINGLES]}"), "{message}");
        assert!(statement.is_null() || statement.to_string().contains("WRAP_SINGLE_VALUE=false"), "{statement}");
    });
}

#[test]
fn explain_shows_the_key_the_text_and_the_properties_of_a_query() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let earliest = json!({ "auto.offset.reset": "earliest" });
        let ask = async |text: &str| {
            let body = json!({ "ksql": text, "streamsProperties": earliest });
            server.answer(Http::One, post("/ksql", &body)).await.json()[0]["queryDescription"].clone()
        };
        let field = |name: &str, sql_type: &str| json!({ "name": name, "schema": { "type": sql_type, "fields": null, "memberSchema": null } });
        let mut key = field("ID", "INTEGER");
        key["type"] = "KEY".into();
        let shown = ask("EXPLAIN  select v from s where id > 3 emit changes;").await;
        assert_eq!(shown["statementText"], "select v from s where id > 3 emit changes;");
        assert_eq!(shown["fields"], json!([key, field("V", "STRING")]));
        assert_eq!(shown["overriddenProperties"], earliest);
        let shown = ask("EXPLAIN SELECT EXPLODE(ARRAY[v]) AS e FROM s EMIT CHANGES;").await;
        assert_eq!(shown["fields"], json!([key, field("E", "STRING")]));
        let body = json!({ "ksql": "CREATE TABLE t AS SELECT id, COUNT(*) n FROM s GROUP BY id;",
            "streamsProperties": earliest });
        server.answer(Http::One, post("/ksql", &body)).await;
        let shown = ask("EXPLAIN SELECT n FROM t WHERE id = 3;").await;
        assert_eq!(shown["fields"], json!([key, field("N", "BIGINT")]));
        assert_eq!((&shown["id"], &shown["sources"]), (&json!("transient_T_0"), &json!(["T"])));
        // A query that runs has the properties of its statement, whoever asks.
        let running = server.ksql("EXPLAIN ctas_t_0;").await;
        assert_eq!(running[0]["queryDescription"]["overriddenProperties"], earliest);
        let shown = ask("EXPLAIN CREATE STREAM o AS SELECT * FROM s;").await;
        assert_eq!(shown["statementText"], "CREATE STREAM o AS SELECT * FROM s;");
    });
}

#[test]
fn refusals_have_ksqldbs_codes_and_name_what_is_wrong() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let (status, message, statement) =
            refused(&server, "CREATE STREAM o WITH (VALUE_FORMAT='AVRO') AS SELECT * FROM s;").await;
        let registry = "Cannot create topic 'O' with format AVRO without configuring 'ksql.schema.registry.url'";
        assert_eq!((status, message.as_str(), statement), (428, registry, Value::Null));
        let (_, message, statement) =
            refused(&server, "CREATE STREAM `a b` (a INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');").await;
        assert!(message.starts_with("Illegal argument at Line: 1, Col: 15. Source names"), "{message}");
        assert_eq!(statement, "a b");
        let (_, message, _) = refused(&server, "SET 'ksql.service.id'='x';").await;
        assert!(message.ends_with("[ksql.service.id]"), "{message}");
        let (_, _, statement) =
            refused(&server, "CREATE SOURCE CONNECTOR c WITH ('connector.class'='x', 'password'='secret');").await;
        assert_eq!(statement, "CREATE SOURCE CONNECTOR C WITH ('connector.class' = 'x', 'password' = '[string]');");
        // What a statement of the same request would have made is known.
        let text = "CREATE STREAM m AS SELECT id, v FROM s; CREATE STREAM n AS SELECT nope FROM m;";
        let (_, _, statement) = refused(&server, text).await;
        assert!(statement.as_str().is_some_and(|text| text.ends_with("AS SELECT NOPE NOPE\nFROM M M\nEMIT CHANGES;")));
    });
}

#[test]
fn a_condition_of_wrong_types_is_named() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let query = json!({ "sql": "SELECT * FROM s WHERE v = 5 EMIT CHANGES;" });
        let answer = server.answer(Http::One, post("/query-stream", &query)).await.json();
        assert_eq!(
            answer["message"],
            "Error in WHERE expression: Cannot compare V (STRING) to 5 (INTEGER) with EQUAL.\nStatement: (V = 5)\n\
             Statement: (V = 5)"
        );
        assert_eq!(answer["statementText"], "(V = 5)");
    });
}

#[test]
fn what_is_so_already_is_a_command_too() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let first = &server.ksql(STREAM).await[0];
        let text = "DROP TABLE IF EXISTS nope; DROP TYPE IF EXISTS nope;
            CREATE STREAM IF NOT EXISTS s (a INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
        let entities = server.ksql(text).await;
        assert_eq!(entities[0]["commandId"], "table/NOPE/drop");
        assert_eq!(entities[0]["commandStatus"]["message"], "Source `NOPE` does not exist.");
        assert!(entities[0]["commandSequenceNumber"].as_i64() > first["commandSequenceNumber"].as_i64());
        assert_eq!(entities[1]["commandId"], "type/NOPE/drop");
        assert_eq!(entities[2]["@type"], "warning_entity");
        let next = &server.ksql("DROP STREAM s;").await[0];
        assert!(next["commandSequenceNumber"].as_i64() > entities[1]["commandSequenceNumber"].as_i64());
    });
}

#[test]
fn properties_without_effect_are_taken_in_requests_and_shown_as_given() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        server.ksql(STREAM).await;
        let properties = json!({ "ksql.streams.num.stream.threads": 1, "ksql.streams.auto.offset.reset": "earliest" });
        let asked = json!({ "ksql": "EXPLAIN SELECT * FROM s EMIT CHANGES;", "streamsProperties": properties });
        let answer = server.answer(Http::One, post("/ksql", &asked)).await.json();
        assert_eq!(answer[0]["queryDescription"]["overriddenProperties"], properties);
        let unknown = json!({ "ksql": "LIST TYPES;", "streamsProperties": { "no.such": 1 } });
        let answer = server.answer(Http::One, post("/ksql", &unknown)).await;
        assert_eq!((answer.status, &answer.json()["@type"]), (500, &json!("statement_error")));
    });
}
