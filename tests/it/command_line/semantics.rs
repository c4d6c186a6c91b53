//! What statements mean: refusals that are all told at once, hints that hold, groups, and errors of rows with their reasons.

use super::{Folder, assert_has};

const STREAM: &str = "CREATE STREAM s (id INT, k STRING, d DATE, x DOUBLE) \
                      WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=3);";

/// A folder with the stream and its records.
fn filled(records: &str) -> Folder {
    let folder = Folder::new();
    folder.ok(&["run", "-e", STREAM]);
    assert_eq!(folder.run_with(&["topic", "produce", "s"], records).status, 0);
    folder
}

/// The rows of a push query, as JSON.
fn rows(folder: &Folder, query: &str) -> Vec<serde_json::Value> {
    let out = folder.ok(&["run", "--until-drained", "--output", "json", "-e", query]);
    out.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

#[test]
fn all_refused_statements_of_a_script_are_told_at_once() {
    let folder = Folder::new();
    let script = format!(
        "{STREAM}
CREATE STREAM bad AS SELECT nope FROM s;
CREATE STREAM good AS SELECT id FROM s;
CREATE STREAM after_bad AS SELECT whatever FROM bad;
CREATE TABLE after_after AS SELECT k, COUNT(*) AS n FROM after_bad GROUP BY k;
INSERT INTO bad (a) VALUES (1);
DROP STREAM after_bad;
CREATE STREAM worse AS SELECT FOO(id) FROM good;
CREATE TYPE point AS STRUCT<x INTEGR>;
CREATE STREAM points (p point) WITH (KAFKA_TOPIC='points', VALUE_FORMAT='JSON', PARTITIONS=1);
TERMINATE CSAS_BAD_1;
TERMINATE CSAS_GOOD_1;
SELECT missing FROM good EMIT CHANGES;"
    );
    let err = folder.refused(1, &["run", "-e", &script]);
    let places: Vec<&str> = err.lines().filter_map(|l| l.strip_prefix(" --> -e:")).collect();
    assert_eq!(places, ["2:29", "8:31", "9:31", "13:8"], "{err}");
    assert_eq!(folder.ok(&["run", "-e", "SHOW STREAMS;", "--output", "json"]), "", "nothing of the script is applied");
}

#[test]
fn queries_keep_their_numbers_when_one_before_them_is_refused() {
    let folder = Folder::new();
    let script = format!(
        "{STREAM} CREATE STREAM a AS SELECT nope FROM s; CREATE STREAM b AS SELECT id FROM s; TERMINATE CSAS_B_1;"
    );
    let err = folder.refused(1, &["run", "-e", &script]);
    assert_has(&err, &["'NOPE'"]);
    assert!(!err.contains("queryId"), "{err}");
}

#[test]
fn a_hint_is_not_what_was_written_and_leads_to_no_refusal() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", STREAM]);
    let more =
        "CREATE STREAM r (id INT, `lower` INT, id_r INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON', PARTITIONS=3);
        CREATE TABLE nodes AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;";
    folder.ok(&["run", "-e", more]);
    for (refused, hint, followed) in [
        ("SELECT lower FROM r", "it is `lower`: upper and lower case matter", "SELECT `lower` FROM r"),
        ("SELECT r.idd FROM r", "did you mean ID?", "SELECT r.id FROM r"),
        ("SELECT * FROM S WHERE k LIKE 'a!' ESCAPE '!'", "write !!", "SELECT * FROM S WHERE k LIKE 'a!!' ESCAPE '!'"),
        (
            "SELECT PARSE_TIMESTAMP(k, 'yyyy-MM-ddTHH:mm') FROM s",
            "'yyyy-MM-dd''T''HH:mm'",
            "SELECT PARSE_TIMESTAMP(k, 'yyyy-MM-dd''T''HH:mm') FROM s",
        ),
        (
            "SELECT PARSE_TIMESTAMP(k, 'yyyy', 'europe/paris') FROM s",
            "it is 'Europe/Paris'",
            "SELECT PARSE_TIMESTAMP(k, 'yyyy', 'Europe/Paris') FROM s",
        ),
        ("SELECT LENN(k) FROM s", "did you mean LEN?", "SELECT LEN(k) FROM s"),
        ("SELECT id FROM s HAVING id > 1", "use WHERE", "SELECT id FROM s WHERE id > 1"),
        (
            "SELECT PARSE_DATE(k, 'yyyy') FROM s",
            "use CAST(PARSE_TIMESTAMP",
            "SELECT CAST(PARSE_TIMESTAMP(k, 'yyyy') AS DATE) FROM s",
        ),
    ] {
        let emitted = |query: &str| format!("{query} EMIT CHANGES;");
        assert_has(&folder.refused(1, &["run", "--until-drained", "-e", &emitted(refused)]), &[hint]);
        folder.ok(&["run", "--until-drained", "-e", &emitted(followed)]);
    }
    // What would be refused in turn is not suggested: the name of another kind of source, or one that two sources have.
    for statement in [
        "DROP STREAM node;",
        "INSERT INTO node SELECT id FROM s;",
        "SELECT idd FROM s JOIN r WITHIN 1 HOUR ON s.id = r.id EMIT CHANGES;",
        "SELECT LENN(id) FROM s EMIT CHANGES;",
        "CREATE STREAM y (a INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='AVROO');",
    ] {
        let err = folder.refused(1, &["run", "-e", statement]);
        assert!(!err.contains("did you mean"), "{err}");
    }
}

#[test]
fn a_column_is_named_once_in_an_insert() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", STREAM]);
    let err = folder.refused(1, &["run", "-e", "INSERT INTO s (id, k, id) VALUES (1, 'a', 2);"]);
    assert_has(&err, &["Column `ID` is named twice, with two values.", " --> -e:1:23"]);
    let err = folder.refused(1, &["run", "-e", "INSERT INTO s (id, ROWTIME, ROWTIME) VALUES (1, 2, 3);"]);
    assert_has(&err, &["Column `ROWTIME` is named twice, with two values."]);
    folder.ok(&["run", "-e", "INSERT INTO s (id, k, id) VALUES (1, 'a', 1);"]);
}

#[test]
fn aggregates_without_group_by_are_of_one_group_over_all_partitions() {
    let records: String = (1..=8).map(|id| format!("{{\"id\":{id},\"k\":\"a\"}}\n")).collect();
    let folder = filled(&records);
    let all = rows(&folder, "SELECT COUNT(*) AS n, SUM(id) AS total FROM s EMIT CHANGES;");
    assert_eq!(all.last(), Some(&serde_json::json!({"N": 8, "TOTAL": 36})));
    let some = rows(&folder, "SELECT COUNT(*) AS n FROM s HAVING COUNT(*) > 7 EMIT CHANGES;");
    assert_eq!(some, [serde_json::json!({"N": 8})]);
}

#[test]
fn having_without_groups_is_refused() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", STREAM]);
    for query in ["SELECT id FROM s HAVING id > 1 EMIT CHANGES;", "CREATE STREAM o AS SELECT id FROM s HAVING id > 1;"]
    {
        let err = folder.refused(1, &["run", "-e", query]);
        assert_has(&err, &["HAVING needs a GROUP BY or an aggregate", "use WHERE"]);
    }
}

#[test]
fn having_is_not_tried_on_a_group_that_is_not_there_yet() {
    let folder = filled("{\"id\":2,\"k\":\"a\"}\n{\"id\":3,\"k\":\"b\"}\n");
    let table =
        "CREATE TABLE o AS SELECT k, SUM(id) / COUNT(id) AS mean FROM s GROUP BY k HAVING SUM(id) / COUNT(id) < 45;";
    let ran = folder.run(&["run", "--until-drained", "-e", table]);
    assert!(!ran.err.contains("expression-errors"), "{}", ran.err);
    let described = folder.ok(&["run", "-e", "DESCRIBE o EXTENDED;"]);
    assert!(!described.contains("expression-errors"), "{described}");
    assert_eq!(folder.records("O").len(), 2);
}

#[test]
fn a_failed_row_is_counted_once_with_its_reason() {
    let folder = filled("{\"id\":0,\"k\":\"x\"}\n{\"id\":1,\"k\":\"12\"}\n{\"id\":null,\"k\":null}\n");
    let ran = folder.run(&[
        "run",
        "--until-drained",
        "-e",
        "SET 'auto.offset.reset'='earliest';
         CREATE STREAM a AS SELECT ARRAY[CAST(k AS INT), CAST(k AS INT) + 1] AS v, id FROM s;
         CREATE STREAM b AS SELECT id FROM s WHERE 12 / id > 1 AND k LIKE '1%';
         CREATE STREAM c AS SELECT CASE WHEN id > 0 THEN 12 / id ELSE 0 END AS v FROM s WHERE id IS NOT NULL;
         CREATE STREAM d AS SELECT id FROM s WHERE id + 1 > 1 AND NOT (k LIKE 'z%') AND id BETWEEN 0 AND 9;",
    ]);
    assert_has(&ran.err, &["column V with index 1: CAST: 'x' is not an INTEGER", "division by zero: 12 / 0"]);
    let left_out = |name: &str| {
        let text = folder.ok(&["run", "-e", &format!("DESCRIBE {name} EXTENDED")]);
        let counts: Vec<&str> = text.lines().filter_map(|l| l.split_once("left out      : ").map(|l| l.1)).collect();
        counts.join(", ")
    };
    assert_eq!(["a", "b", "c", "d"].map(left_out), ["expression-errors 1", "expression-errors 1", "", ""]);
}

#[test]
fn stddev_samp_warns_of_what_it_gives() {
    let folder = filled("{\"id\":1,\"k\":\"a\",\"x\":0}\n{\"id\":1,\"k\":\"a\",\"x\":10}\n");
    let warning =
        "warning: STDDEV_SAMP gives the sample variance, as in ksqlDB; STDDEV_SAMPLE gives the standard deviation";
    for statement in [
        "SELECT k, STDDEV_SAMP(x) AS a FROM s GROUP BY k EMIT CHANGES;",
        "CREATE TABLE v AS SELECT k, STDDEV_SAMP(x) AS a FROM s GROUP BY k;",
    ] {
        let ran = folder.run(&["run", "--until-drained", "-e", statement]);
        assert_eq!(ran.err.matches(warning).count(), 1, "{}", ran.err);
    }
    let ran = folder.run(&["run", "-e", "CREATE TABLE w AS SELECT k, STDDEV_SAMPLE(x) AS a FROM s GROUP BY k;"]);
    assert!(!ran.err.contains("warning"), "{}", ran.err);
}

#[test]
fn a_constant_that_ksqldb_accepts_and_that_always_fails_is_warned_of() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", STREAM]);
    for (name, expr, why, remedy) in [
        ("a", "TO_BYTES(k, 'utf-8')", "TO_BYTES: Unknown encoding type 'utf-8'", "use 'hex', 'utf8'"),
        (
            "b",
            "FORMAT_TIMESTAMP(FROM_UNIXTIME(0), 'yyyyT')",
            "FORMAT_TIMESTAMP: 'yyyyT' is not a date-time pattern: Unknown pattern letter: T",
            "with two quotes each: 'yyyy''T''",
        ),
        (
            "c",
            "FORMAT_DATE(FROM_DAYS(0), 'HH')",
            "FORMAT_DATE: the pattern 'HH' does not fit the type",
            "only the letters of dates",
        ),
        (
            "d",
            "FORMAT_TIME(PARSE_TIME('1', 'H'), 'dd')",
            "the pattern 'dd' does not fit the type",
            "only those of times",
        ),
        ("e", "CONVERT_TZ(FROM_UNIXTIME(0), 'utc', 'UTC')", "CONVERT_TZ: Unknown time-zone ID: 'utc'", "it is 'UTC'"),
        (
            "f",
            "TIMESTAMPTOSTRING(0, 'yyyy', 'Europe/Pariss')",
            "Unknown time-zone ID: 'Europe/Pariss'",
            "did you mean 'Europe/Paris'?",
        ),
    ] {
        let ran = folder.run(&["run", "-e", &format!("CREATE STREAM {name} AS SELECT {expr} AS b FROM s;")]);
        assert_eq!(ran.status, 0, "{expr}: {}", ran.err);
        assert_has(&ran.err, &["warning: ", why, ", so that the result is always NULL; ", remedy]);
    }
}

#[test]
fn what_this_version_lacks_is_said_with_what_to_use_meanwhile() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", STREAM]);
    for (statement, what, meanwhile) in [
        ("SELECT * FROM s ORDER BY id EMIT CHANGES;", "ORDER BY", "sort the rows where they are shown"),
        ("SELECT DISTINCT k FROM s EMIT CHANGES;", "SELECT DISTINCT", "GROUP BY the columns"),
        (
            "SELECT k, COUNT(*) FROM s WINDOW SESSION (5 MINUTES) GROUP BY k EMIT CHANGES;",
            "session windows",
            "TUMBLING",
        ),
        ("SELECT k, COUNT(DISTINCT id) FROM s GROUP BY k EMIT CHANGES;", "COUNT(DISTINCT …)", "COUNT_DISTINCT"),
    ] {
        let err = folder.refused(1, &["run", "-e", statement]);
        assert_has(&err, &[&format!("error: not supported by this version: {what}"), meanwhile]);
    }
}

#[test]
fn a_script_may_assert_that_a_topic_is_there() {
    let folder = Folder::new();
    let script = format!("{STREAM} ASSERT TOPIC s; ASSERT NOT EXISTS TOPIC t;");
    assert_has(&folder.ok(&["run", "-e", &script]), &["Topic s exists.\n", "Topic t does not exist.\n"]);
    let failed = folder.refused(1, &["run", "-e", "ASSERT TOPIC t TIMEOUT 10 MILLISECONDS;"]);
    assert_has(&failed, &["error: Topic t does not exist\n --> -e:1:1"]);
    let set = "SET 'ksql.assert.topic.default.timeout.ms'='1'; ASSERT TOPIC s WITH (PARTITIONS=9);";
    assert_has(&folder.refused(1, &["shell", "-e", set]), &["For config partitions, expected 9 got "]);
}

#[test]
fn a_function_is_described() {
    let folder = Folder::new();
    let shown = folder.ok(&["shell", "-e", "DESCRIBE FUNCTION concat_ws;"]);
    let call = "CONCAT_WS(inputs VARCHAR...) returns VARCHAR\n";
    assert_has(&shown, &["Name     : CONCAT_WS\n", "Type     : SCALAR\n", call, "Examples:\n"]);
    let unknown = folder.refused(1, &["shell", "-e", "DESCRIBE FUNCTION substrin;"]);
    assert_has(
        &unknown,
        &["Can't find any functions with the name 'SUBSTRIN'", " --> -e:1:19", "did you mean SUBSTRING?"],
    );
}

#[test]
fn without_emit_a_stream_is_shown_from_its_start_to_its_end() {
    let records: String = (0..5).map(|id| format!("{{\"id\":{id},\"k\":\"a\"}}\n")).collect();
    let folder = filled(&records);
    assert_eq!(rows(&folder, "SELECT id FROM s WHERE id > 1;").len(), 3);
    assert_eq!(rows(&folder, "SELECT id FROM s LIMIT 2;").len(), 2);
    let shown = folder.ok(&["shell", "--output", "csv", "-e", "SELECT id, k FROM s WHERE id < 2;"]);
    assert_eq!(shown, "ID,K\n0,a\n1,a\n");
}

#[test]
fn a_large_result_is_made_in_parts() {
    let records: String = (0..2_000).map(|id| format!("{{\"id\":{id},\"k\":\"a\"}}\n")).collect();
    let folder = filled(&records);
    let query = "SELECT id, LEN(LPAD(k, 50000, 'x')) AS n FROM s WHERE LEN(RPAD(k, 50000, 'x')) = 50000 EMIT CHANGES;";
    let all = rows(&folder, query);
    assert_eq!(all.len(), 2_000);
    assert!(all.iter().all(|row| row["N"] == 50_000));
}
