//! Rows that are made: quickstarts, schemas and columns, into a folder, a server and the standard output.

use serde_json::Value;

use super::{Folder, assert_has, exists, lines};
use crate::serving::client::Server;

#[test]
fn a_quickstart_fills_a_topic_of_a_folder() {
    let folder = Folder::new();
    let made = folder.run(&["datagen", "quickstart=orders", "topic=orders", "iterations=700", "printRows=false"]);
    assert_eq!((made.status, made.out.as_str()), (0, ""), "{made:?}");
    assert_has(&made.err, &["700 records written to topic 'orders'"]);
    let declared = "CREATE STREAM o (orderid INT KEY, ordertime BIGINT, itemid STRING, orderunits DOUBLE,
          address STRUCT<city STRING, state STRING, zipcode BIGINT>) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON');
        CREATE TABLE n AS SELECT 1 AS one, COUNT(*) AS n, MAX(orderid) AS last, MIN(address->zipcode) AS least
          FROM o GROUP BY 1;";
    folder.ok(&["run", "-e", declared, "--until-drained"]);
    let row = lines(&folder.ok(&["run", "-e", "SELECT n, last, least FROM n;", "--output", "json"])).remove(0);
    assert_eq!((&row["N"], &row["LAST"]), (&700.into(), &699.into()));
    assert!(row["LEAST"].as_i64().is_some_and(|zip| (10_000..99_999).contains(&zip)), "{row}");
}

#[test]
fn a_seed_makes_the_same_rows_each_time() {
    let folder = Folder::new();
    let made =
        |seed| folder.ok(&["datagen", "quickstart=users_", "iterations=20", "nThreads=2", "--seed", seed, "--stdout"]);
    let rows = made("5");
    assert_eq!(rows, made("5"));
    assert_ne!(rows, made("6"));
    let rows = lines(&rows);
    assert_eq!(rows.len(), 40, "each thread makes its iterations");
    assert!(rows.iter().all(|row| row["key"] == row["value"]["userid"] && row["value"]["interests"].is_array()));
    assert!(!exists(&folder.data()));
}

#[test]
fn what_stands_on_the_standard_output_can_be_produced() {
    let folder = Folder::new();
    let arguments = ["datagen", "topic=t", "key=ID", "timestamp=TIME_MS", "format=json", "iterations=3", "--stdout"];
    let made = folder.ok(&[&arguments[..], &["--columns", "id INT, name STRING, time_ms BIGINT"]].concat());
    folder.ok(&["topic", "create", "t"]);
    assert_eq!(folder.run_with(&["topic", "produce", "t", "--envelope"], &made).status, 0);
    let (written, sent) = (folder.records("t"), lines(&made));
    for row in &sent {
        let is_there =
            |record: &Value| record["value"] == row["value"] && record["timestamp"] == row["value"]["TIME_MS"];
        assert!(written.iter().any(is_there), "{row}");
    }
}

#[test]
fn a_schema_is_written_with_delimiters_and_shown() {
    let folder = Folder::new();
    let schema = r#"{"type": "record", "fields": [
        {"name": "id", "type": {"type": "long", "arg.properties": {"iteration": {"start": 7}}}},
        {"name": "text", "type": {"type": "string", "arg.properties": {"options": ["a|\"b"]}}}]}"#;
    let file = format!("schema={}", folder.file("rows.avro", schema));
    let out =
        folder.ok(&["datagen", &file, "topic=d", "key=id", "format=delimited", "valueDelimiter=|", "iterations=2"]);
    assert_eq!(out, "7 --> 7|\"a|\"\"b\"\n8 --> 8|\"a|\"\"b\"\n");
    let sql = "CREATE STREAM d (k BIGINT KEY, id BIGINT, text STRING)
        WITH (KAFKA_TOPIC='d', VALUE_FORMAT='DELIMITED', VALUE_DELIMITER='|');";
    folder.ok(&["run", "-e", sql]);
    let rows = lines(&folder.ok(&["run", "-e", "SELECT k, id, text FROM d;", "--output", "json"]));
    assert_eq!((&rows[1]["K"], &rows[1]["TEXT"]), (&8.into(), &"a|\"b".into()));
}

#[test]
fn a_server_gets_rows_for_the_stream_over_the_topic() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let (url, other) = (format!("http://{}", server.address()), Folder::new());
    let arguments =
        ["datagen", "quickstart=users_", "topic=users", "iterations=9", "printRows=false", "--server", &url];
    assert_has(&other.refused(1, &arguments), &["no stream or table over the topic users"]);
    let sql = "CREATE STREAM people (userid STRING KEY, registertime BIGINT, regionid STRING, gender STRING,
        interests ARRAY<STRING>, contactinfo MAP<STRING, STRING>)
        WITH (KAFKA_TOPIC='users', PARTITIONS=1, VALUE_FORMAT='JSON');";
    other.ok(&["run", "--server", &url, "-e", sql]);
    assert_has(&other.run(&arguments).err, &["9 rows inserted into PEOPLE"]);
    let select = "SELECT userid, contactinfo['state'] AS state FROM people;";
    let rows = lines(&other.ok(&["run", "--server", &url, "-e", select, "--output", "json"]));
    assert!(rows.len() == 9 && rows.iter().all(|row| row["STATE"] == "CA"), "{rows:?}");
}

#[test]
fn what_cannot_be_made_is_refused_by_name() {
    let folder = Folder::new();
    for (arguments, named) in [
        (["quickstart=orders", "format=avro"], "AVRO"),
        (["quickstart=orders", "format=delimited"], "does not support type 'STRUCT'"),
        (["quickstart=users", "format=delimited,"], "Unknown format"),
        (["quickstart=users", "valueDelimiter=|"], "JSON have no delimiter"),
        (["quickstart=users", "timestamp=gender"], "milliseconds"),
        (["quickstart=nobody", "printRows=false"], "there are orders"),
    ] {
        let ran = folder.run(&[&["datagen", "iterations=1"], &arguments[..]].concat());
        assert_ne!(ran.status, 0, "{ran:?}");
        assert_has(&ran.err, &[named]);
    }
}
