//! Bad input: what the message says, and what must not be lost.

use serde_json::json;

use super::{COUNTS, Folder, LOGS, assert_has, lines};

#[test]
fn a_line_that_is_no_json_is_named_and_the_lines_before_it_are_written() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    for (bad, reason) in [
        ("{\"a\":1", "',' or '}'"),
        ("{\"a\":1} {\"a\":2}", "the end of the line expected"),
        ("{'a':1}", "expected"),
        ("nope", "expected"),
    ] {
        let file = folder.file("bad.jsonl", format!("{{\"ok\":1}}\n\n{{\"ok\":2}}\n{bad}\n{{\"ok\":3}}\n"));
        let before = folder.records("t").len();
        let ran = folder.run(&["topic", "produce", "t", &file]);
        assert_eq!((ran.status, ran.out.as_str()), (1, "2 records written to topic 't'\n"), "{bad}");
        assert_has(&ran.err, &["bad.jsonl, line 4: ", "the lines before it were written"]);
        assert!(ran.err.contains(reason) || ran.err.contains("expected"), "{}", ran.err);
        assert_eq!(folder.records("t").len(), before + 2);
    }
    let file = folder.file("binary.jsonl", b"\"\xff\xfe\"\n");
    assert_has(&folder.refused(1, &["topic", "produce", "t", &file]), &["line 1: the line is not UTF-8"]);
}

#[test]
fn a_damaged_archive_is_the_environments_fault() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t"]);
    let file = folder.file("cut.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab");
    let ran = folder.run(&["topic", "produce", "t", &file]);
    assert_eq!((ran.status, ran.out.as_str()), (3, "0 records written to topic 't'\n"));
    assert_has(&ran.err, &["cannot read", "cut.gz"]);
}

#[test]
fn missing_files_and_topics_are_found_before_anything_is_written() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "logs", "--partitions", "1"]);
    let file = folder.file("good.jsonl", "1\n");
    assert_has(
        &folder.refused(2, &["topic", "produce", "logs", &file, "none.jsonl"]),
        &["there is no file none.jsonl"],
    );
    assert_eq!(folder.records("logs").len(), 0);
    let err = folder.refused(1, &["topic", "produce", "log", &file]);
    assert_has(&err, &["Topic 'log' does not exist.", "did you mean 'logs'?"]);
}

#[test]
fn fields_that_are_missing_are_told_from_fields_that_are_null() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let file = folder.file("a.jsonl", "{\"id\":null}\n{\"other\":1}\n");
    let err = folder.refused(1, &["topic", "produce", "t", &file, "--key", "id"]);
    assert_has(&err, &["a.jsonl, line 2: there is no field id with the key; the line has other"]);
    let keys: Vec<_> = folder.records("t").iter().map(|r| r["key"].clone()).collect();
    assert_eq!(keys, [json!(null)], "a record whose key is null is a record");
    let err = folder.refused(1, &["topic", "produce", "t", &file, "--timestamp", "at"]);
    assert_has(&err, &["a.jsonl, line 1: there is no field at with the time"]);
    let err = folder.refused(1, &["topic", "produce", "t", &file, "--timestamp", "id"]);
    assert_has(&err, &["line 1: null is no time"]);
    let ran = folder.run_with(&["topic", "produce", "t", "--envelope"], "{\"key\":1}\n");
    assert_has(&ran.err, &["standard input, line 1: there is no field value in the envelope"]);
    let ran = folder.run_with(&["topic", "produce", "t", "--envelope"], "{\"value\":1,\"partition\":4}\n");
    assert_has(&ran.err, &["line 1: there is no partition 4: the topic has 1"]);
}

#[test]
fn records_that_are_too_large_are_refused() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "t", "--partitions", "1"]);
    let small = ["--set", "max.message.bytes=2000"];
    let input = format!("1\n\"{}\"\n", "x".repeat(2001));
    let ran = folder.run_with(&[&["topic", "produce", "t"], &small[..]].concat(), &input);
    assert_eq!((ran.status, ran.out.as_str()), (1, "1 records written to topic 't'\n"));
    assert_has(&ran.err, &["line 2: a record of 2001 bytes is larger than max.message.bytes, 2000"]);
    let input = format!("\"{}\"\n", "x".repeat(100_000));
    let ran = folder.run_with(&[&["topic", "produce", "t"], &small[..]].concat(), &input);
    assert_has(&ran.err, &["line 1: a record of", "larger than max.message.bytes"]);
    assert_eq!(folder.records("t").len(), 1);
}

#[test]
fn records_that_cannot_be_used_are_counted_by_reason_and_the_others_go_on() {
    let folder = Folder::new();
    folder.ok(&["topic", "create", "logs", "--partitions", "2"]);
    // Nobody has declared the topic yet: strings are written as they are.
    let broken = "\"{\\\"service_name\\\":\"\n\"no json\"\n";
    assert_eq!(folder.run_with(&["topic", "produce", "logs"], broken).status, 0);
    let sql = COUNTS.replace("PARTITIONS=2, ", "");
    folder.ok(&["run", "-e", &sql]);
    let input = format!(
        "{LOGS}{}",
        concat!(
            "{\"service_name\":\"a\",\"log_level\":\"ERROR\",\"ts\":\"soon\"}\n",
            "{\"service_name\":[1],\"log_level\":{\"x\":1},\"ts\":[]}\n",
            "{\"service_name\":\"a\",\"log_level\":\"ERROR\"}\n",
            "{\"service_name\":null,\"log_level\":\"ERROR\",\"ts\":1}\n",
            "null\n",
        )
    );
    assert_eq!(folder.run_with(&["topic", "produce", "logs"], &input).status, 0);
    let ran = folder.run(&["run", "-e", "SELECT service_name, n FROM counts", "--until-drained", "--output", "json"]);
    let mut rows = lines(&ran.out);
    rows.sort_by_key(|r| r["SERVICE_NAME"].to_string());
    assert_eq!(rows, [json!({"SERVICE_NAME":"a","N":2}), json!({"SERVICE_NAME":"c","N":1})]);
    assert_has(&ran.err, &["query CTAS_COUNTS_0: undecodable: topic logs partition ", "value: "]);
    assert_has(&ran.err, &["without-time: topic logs partition ", "column TS says no valid time: null"]);
    let described = folder.ok(&["run", "-e", "DESCRIBE counts EXTENDED"]);
    assert_has(&described, &["left out      : undecodable 4", "without-time 2", "without-group 1"]);
    assert_eq!(folder.records("logs").len(), 11, "what cannot be used stays in its topic");
    let quiet = folder.run(&["run", "--until-drained", "--log", "error"]);
    assert_eq!((quiet.status, quiet.err.as_str()), (0, ""));
}

#[test]
fn rows_that_come_to_nothing_behind_the_source_are_counted_by_reason_too() {
    let folder = Folder::new();
    folder.ok(&[
        "run",
        "-e",
        "CREATE STREAM a (id STRING, x INT, words ARRAY<STRING>) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON', PARTITIONS=1);
         CREATE STREAM b (id STRING, y INT) WITH (KAFKA_TOPIC='b', VALUE_FORMAT='JSON', PARTITIONS=1);
         SET 'auto.offset.reset'='earliest';
         CREATE STREAM ab AS SELECT a.id, x, y FROM a LEFT JOIN b WITHIN 1 SECOND GRACE PERIOD 0 SECONDS ON a.id = b.id;
         CREATE STREAM c AS SELECT id, 12 / x AS z FROM a;
         CREATE TABLE d AS SELECT id, COUNT(*) AS n FROM a WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 0 SECONDS) GROUP BY id;
         CREATE STREAM e WITH (KAFKA_TOPIC='e') AS SELECT id, CONCAT(words[1], words[1], words[1], words[1]) AS w FROM a;",
    ]);
    let large = "w".repeat(1_000);
    let a = [
        json!({"timestamp": 10_000, "key": null, "value": {"id": "p", "x": 0, "words": [large]}}),
        json!({"timestamp": 10_001, "key": null, "value": {"id": null, "x": 1}}),
        json!({"timestamp": 10_002, "key": null, "value": null}),
        json!({"timestamp": 20_000, "key": null, "value": {"id": "q", "x": 2, "words": ["v"]}}),
        json!({"timestamp": 11_000, "key": null, "value": {"id": "q", "x": 3}}),
    ];
    let a: String = a.iter().map(|line| format!("{line}\n")).collect();
    let b = "{\"timestamp\":10500,\"key\":null,\"value\":{\"id\":\"p\",\"y\":7}}\n\
             {\"timestamp\":10600,\"key\":null,\"value\":{\"y\":8}}\n";
    assert_eq!(folder.run_with(&["topic", "produce", "b", "--envelope"], b).status, 0);
    assert_eq!(folder.run_with(&["topic", "produce", "a", "--envelope"], &a).status, 0);
    let ran = folder.run(&["run", "--until-drained", "--set", "max.message.bytes=2000"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let left_out = |name: &str| {
        let text = folder.ok(&["run", "-e", &format!("DESCRIBE {name} EXTENDED")]);
        let counts: Vec<&str> = text.lines().filter_map(|l| l.split_once("left out      : ").map(|l| l.1)).collect();
        counts.join(", ")
    };
    // A left row without a key has no partner, and one without a value is no row.
    assert_eq!(left_out("ab"), "without-value 1, without-key 1");
    assert_eq!(folder.records("AB").len(), 3);
    assert_eq!(left_out("c"), "expression-errors 1");
    assert_eq!(left_out("d"), "without-value 1, without-group 1, late 1");
    assert_eq!(left_out("e"), "too-large 1");
}

#[test]
fn statements_that_name_what_is_not_there_get_the_nearest_name() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", COUNTS]);
    for (sql, parts) in [
        ("SELECT * FROM count;", ["COUNT does not exist.", "did you mean COUNTS?"]),
        ("SELECT nn FROM counts;", ["NN", "1:8"]),
        (
            "SET 'auto.ofset.reset'='earliest';",
            ["Unknown property: auto.ofset.reset", "did you mean 'auto.offset.reset'?"],
        ),
        ("SET 'auto.offset.reset'='never';", ["Invalid value 'never'", "latest or earliest or none"]),
        ("CREATE STREAM x AS SELECT UCAS(service_name) FROM logs;", ["UCAS", "UCASE"]),
        ("INSERT INTO logs (servce_name) VALUES ('a');", ["`SERVCE_NAME`", "did you mean SERVICE_NAME?"]),
        ("INSERT INTO logs (ts) VALUES ('a');", ["Expected type BIGINT", "1:31"]),
        (
            "CREATE STREAM y (a INT) WITH (KAFKA_TOPIC='none', VALUE_FORMAT='JSON');",
            ["Topic 'none' does not exist", "PARTITIONS"],
        ),
        (
            "CREATE STREAM y (a INT) WITH (KAFKA_TOPIC='logs', VALUE_FORMAT='JSONN');",
            ["Unknown format: JSONN", "did you mean JSON?"],
        ),
        ("DROP STREAM logs;", ["LOGS", "COUNTS"]),
    ] {
        let err = folder.refused(1, &["run", "-e", sql]);
        assert_has(&err, &parts);
        assert_has(&err, &["error: ", " --> -e:1:"]);
    }
    assert_eq!(folder.ok(&["run", "-e", "SHOW STREAMS; SHOW TABLES", "--output", "json"]).lines().count(), 2);
}

#[test]
fn table_functions_stand_in_select_and_nowhere_else() {
    let folder = Folder::new();
    let stream = "CREATE STREAM s (k INT, a ARRAY<INT>) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);
        CREATE TABLE t (k INT PRIMARY KEY, a ARRAY<INT>) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON', PARTITIONS=1);";
    folder.ok(&["run", "-e", stream]);
    for (query, parts) in [
        ("SELECT EXPLODE(CUBE_EXPLODE(a)) FROM s", ["cannot be nested: EXPLODE(CUBE_EXPLODE())", "1:16"]),
        ("SELECT CASE WHEN EXPLODE(a) > 1 THEN 1 ELSE 2 END FROM s", ["cannot be used in CASE", "1:18"]),
        ("SELECT k, COUNT(*), EXPLODE(a) FROM s GROUP BY k", ["cannot be used with aggregations", "1:21"]),
        ("SELECT k, COUNT(*) FROM s GROUP BY k, EXPLODE(a)", ["cannot be used with aggregations", "1:39"]),
        ("SELECT EXPLODE(a) FROM t", ["Table source is not supported with table functions", "1:8"]),
        ("SELECT k FROM s WHERE EXPLODE(a) > 1", ["'EXPLODE'", "table functions are allowed in SELECT only"]),
        ("SELECT k FROM s PARTITION BY EXPLODE(a)", ["'EXPLODE'", "table functions are allowed in SELECT only"]),
        ("SELECT TRANSFORM(a, x => EXPLODE(a)) FROM s", ["'EXPLODE'", "table functions are allowed in SELECT only"]),
    ] {
        assert_has(&folder.refused(1, &["run", "-e", &format!("{query} EMIT CHANGES;")]), &parts);
    }
}

#[test]
fn a_query_inserts_only_into_a_stream_that_its_rows_fit() {
    let folder = Folder::new();
    let sources = "CREATE STREAM s (k INT KEY, a INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);
        CREATE STREAM w (k INT KEY, a BIGINT) WITH (KAFKA_TOPIC='w', VALUE_FORMAT='JSON', PARTITIONS=1);
        CREATE STREAM h (k INT KEY, x BYTES HEADER('x')) WITH (KAFKA_TOPIC='h', VALUE_FORMAT='JSON', PARTITIONS=1);
        CREATE TABLE t (k INT PRIMARY KEY, a INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON', PARTITIONS=1);
        INSERT INTO s WITH (query_id='mine') SELECT * FROM s WHERE a > 9;";
    folder.ok(&["run", "-e", sources]);
    for (insert, parts) in [
        ("INTO ss SELECT * FROM s", ["SS does not exist", "did you mean S?"]),
        ("INTO t SELECT * FROM s", ["T is a table", "1:13"]),
        ("INTO h SELECT * FROM s", ["H because it has header columns", "1:13"]),
        ("INTO w SELECT * FROM s", ["Sink schema is `K` INTEGER KEY, `A` BIGINT", "CAST gives them types"]),
        ("INTO s SELECT k, a AS b FROM s", ["Result schema is `K` INTEGER KEY, `B` INTEGER", "1:13"]),
        ("INTO s SELECT k, COUNT(*) AS a FROM s GROUP BY k", ["(S) type is KSTREAM", "KTABLE"]),
        ("INTO s SELECT * FROM s LIMIT 3", ["INSERT INTO … SELECT statements don't support LIMIT", "1:15"]),
        ("INTO s WITH (query_id='a b') SELECT * FROM s", ["only alphanumeric characters", "'A B'"]),
        ("INTO s WITH (query_id='csas_s') SELECT * FROM s", ["reserved query ID prefix", "'CSAS_S'"]),
        ("INTO s WITH (query_id='Mine') SELECT * FROM s", ["Query ID 'MINE' already exists.", "1:15"]),
        ("INTO s WITH (partitions=2) SELECT * FROM s", ["Invalid config variable(s)", "PARTITIONS"]),
    ] {
        assert_has(&folder.refused(1, &["run", "-e", &format!("INSERT {insert};")]), &parts);
    }
}

#[test]
fn usual_slips_are_told_with_what_to_write_instead() {
    let folder = Folder::new();
    let logs = "CREATE STREAM application_logs (log_level VARCHAR, ts BIGINT) \
                WITH (KAFKA_TOPIC='logs', VALUE_FORMAT='JSON', PARTITIONS=1);";
    folder.ok(&["run", "-e", logs]);
    folder.ok(&["run", "-e", &logs.replace("application_logs", "others")]);
    for (statement, help) in [
        ("SELECT * FROM application_logs WHERE log_level = \"ERROR\" EMIT CHANGES;", "text stands in single quotes"),
        ("SHOW STREAMS SHOW TABLES;", "a statement ends with a semicolon"),
        ("CREATE STREAM j AS SELECT * FROM application_logs a JOIN others b ON a.ts = b.ts;", "WITHIN"),
        ("CREATE TABLE c AS SELECT log_level, COUNT(*) FROM application_logs;", "add a GROUP BY clause"),
        (
            "CREATE TABLE c AS SELECT COUNT(*) FROM application_logs GROUP BY log_level WINDOW TUMBLING (SIZE 1 HOUR);",
            "the order is FROM, WINDOW, WHERE",
        ),
        ("CREATE STREAM r (from VARCHAR) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');", "`from` in back-ticks"),
        ("CREATE STREAM r (a BIGINTT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');", "did you mean BIGINT?"),
        ("SELECT IFNUL(log_level, '') FROM application_logs EMIT CHANGES;", "did you mean IFNULL?"),
        ("SELECT log_levl FROM application_logs EMIT CHANGES;", "did you mean LOG_LEVEL?"),
        ("SELECT * FROM TABLE(TUMBLE(TABLE logs, DESCRIPTOR(ts), INTERVAL '5' MINUTES));", "WINDOW TUMBLING"),
        ("CREATE TABLE t (id INT AUTO_INCREMENT);", "a column has a name, a type"),
    ] {
        assert_has(&folder.refused(1, &["run", "-e", statement]), &["error: ", "help: ", help]);
    }
}

#[test]
fn a_statement_of_too_many_tokens_is_refused_beside_all_others() {
    let folder = Folder::new();
    let text = format!("SHOW TYPES;\n  SELECT 1{} FROM s;\nSHOW TOPICSS;\n", " + 1".repeat(100));
    let file = folder.file("long.sql", &text);
    let bound = "tidemill.statement.tokens=100";
    let err = folder.refused(1, &["run", "--set", bound, &file]);
    assert_has(
        &err,
        &[
            "The statement has more than 100 tokens; tidemill.statement.tokens allows more",
            "long.sql:2:3",
            "make several statements of it, or put its values into a topic",
            "long.sql:3:",
        ],
    );
    // A text of one's own may have any number of statements.
    let many = folder.file("many.sql", "SHOW TYPES;".repeat(1_000));
    folder.ok(&["run", "--set", bound, &many]);
}
