//! `tidemill test`: what it says of cases that fail, and of cases that are not there.

use super::{Folder, assert_has};

/// A case with one input, and an output whose value is `value`.
fn case(value: &str) -> String {
    format!(
        r#"{{"tests": [{{"name": "one", "statements": [
            "CREATE STREAM s (k STRING KEY, a INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');",
            "CREATE STREAM o AS SELECT k, a + 1 AS b FROM s;"],
          "inputs": [{{"topic": "s", "key": "x", "value": {{"a": 1}}, "timestamp": 5}}],
          "outputs": [{{"topic": "O", "key": "x", "value": {value}, "timestamp": 5}}]}}]}}"#
    )
}

#[test]
fn nothing_to_test_is_an_error() {
    let folder = Folder::new();
    folder.refused(2, &["test"]);
    assert_has(&folder.refused(2, &["test", "nowhere"]), &["there is no file or folder nowhere"]);
    std::fs::create_dir(folder.path("cases")).expect("a folder");
    assert_has(&folder.refused(2, &["test", "cases"]), &["there is no file of cases in cases", ".json"]);
    folder.file("cases/none.json", r#"{"tests": []}"#);
    assert_has(&folder.refused(2, &["test", "cases"]), &["no case was found"]);
    folder.file("cases/one.json", case(r#"{"B": 2}"#));
    assert_has(&folder.refused(2, &["test", "cases", "--filter", "two"]), &["none of the 1 cases has the text"]);
    assert_eq!(folder.ok(&["test", "cases", "--filter", "one"]), "1 passed, 0 failed, 0 skipped, 0 listed\n");
}

#[test]
fn a_case_that_fails_shows_what_was_expected_and_what_was_found() {
    let folder = Folder::new();
    folder.file("a.json", case(r#"{"B": 3}"#));
    let ran = folder.run(&["test", "a.json"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    let text = "FAILED a - one\n  \
        topic O (1 expected, 1 found): record 1 has another value\n    \
        expected: key \"x\", value {\"B\":3}, timestamp 5\n    \
        found:    key \"x\", value {\"B\":2}, timestamp 5\n";
    assert_has(&ran.out, &[text, "0 passed, 1 failed"]);
    let two = r#"{"B": 2}}, {"topic": "O", "key": "y", "value": {"B": 9}"#;
    folder.file("a.json", case(two));
    let ran = folder.run(&["test", "a.json"]);
    assert_has(
        &ran.out,
        &[
            "(2 expected, 1 found): record 2 is missing",
            "expected: key \"y\", value {\"B\":9}, timestamp 5",
            "no record",
        ],
    );
}

#[test]
fn a_mistyped_field_of_a_case_is_refused() {
    let folder = Folder::new();
    folder.file("a.json", case("1").replace("outputs", "ouputs"));
    let error = folder.refused(1, &["test", "a.json"]);
    assert_has(&error, &["a.json: case 'one' has an unknown field 'ouputs'", "did you mean 'outputs'?"]);
    folder.file("b.json", "{\"tests\": [");
    assert_has(&folder.refused(1, &["test", "b.json"]), &["b.json is no file of cases"]);
}

/// A case that goes through the service, with what is expected of it.
fn rest_case(expected: &str) -> String {
    format!(
        r#"{{"tests": [{{"name": "one", "statements": [
            "CREATE STREAM s (k STRING KEY, a INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');",
            "INSERT INTO s VALUES ('x', 1);", "SELECT a FROM s;"], {expected}}}]}}"#
    )
}

#[test]
fn a_case_of_the_service_shows_what_was_answered() {
    let folder = Folder::new();
    let failed = |expected: &str| {
        folder.file("a.json", rest_case(expected));
        let ran = folder.run(&["test", "a.json"]);
        assert_eq!(ran.status, 1, "{ran:?}");
        ran.out
    };
    let head = r#"{"admin": {"@type": "currentStatus"}}, {"query": [{"header": {"schema": "`A` INTEGER"}}"#;
    let answered = |rows: &str| format!(r#""responses": [{head}, {rows} {{"finalMessage": "Query Completed"}}]}}]"#);
    folder.file("a.json", rest_case(&answered(r#"{"row": {"columns": [1]}},"#)));
    assert_eq!(folder.ok(&["test", "a.json"]), "1 passed, 0 failed, 0 skipped, 0 listed\n");
    let other = failed(&answered(r#"{"row": {"columns": [2]}},"#));
    assert_has(&other, &["FAILED a - one\n  answer 2: no row [2]\n", "found:    [{\"header\":", "{\"columns\":[1]}"]);
    assert_has(&failed(&answered("")), &["answer 2: 2 elements are expected, 3 are there"]);
    assert_has(
        &failed(r#""responses": [{"admin": {"@type": "x"}}]"#),
        &["'@type' is \"currentStatus\" instead of \"x\""],
    );
    assert_has(&failed(r#""expectedError": {"status": 400}"#), &["accepted, but a refusal is expected"]);
    let outputs = r#""responses": [], "outputs": [{"topic": "s", "key": "x", "value": {"A": 2}}]"#;
    assert_has(&failed(outputs), &["topic s (1 expected, 1 found): record 1 has another value"]);
    folder.file("a.json", rest_case(r#""expectedError": {"status": 400}"#).replace("SELECT a", "SELECT b"));
    folder.ok(&["test", "a.json"]);
    folder.file("a.json", rest_case(r#""expectedError": {"status": 404}"#).replace("SELECT a", "SELECT b"));
    assert_has(&folder.run(&["test", "a.json"]).out, &["a refusal with another status", "'B' cannot be resolved"]);
}
