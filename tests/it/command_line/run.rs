//! `tidemill run`.

use serde_json::json;

use super::{COUNTS, Folder, LOGS, assert_has, exists, lines};

/// A folder in which the counts are kept of records that have not been read yet.
fn with_logs() -> Folder {
    let folder = Folder::new();
    folder.ok(&["run", "-e", COUNTS]);
    let ran = folder.run_with(&["topic", "produce", "logs"], LOGS);
    assert_eq!(ran.status, 0, "{ran:?}");
    folder
}

#[test]
fn queries_of_earlier_runs_are_drained_and_tables_are_looked_at_after_that() {
    let folder = with_logs();
    let sql = "SELECT service_name, n FROM counts;";
    let ran = folder.run(&["run", "-e", sql, "--until-drained", "--output", "json"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let mut rows = lines(&ran.out);
    rows.sort_by_key(|r| r["SERVICE_NAME"].to_string());
    assert_eq!(rows, [json!({"SERVICE_NAME":"a","N":2}), json!({"SERVICE_NAME":"c","N":1})]);
    assert_eq!(folder.records("COUNTS").len(), 2);
    assert_eq!(folder.run(&["run", "--until-drained"]).status, 0);
    assert_eq!(folder.records("COUNTS").len(), 2, "nothing is done twice");
}

#[test]
fn several_files_are_one_script_in_their_order() {
    let folder = Folder::new();
    let first = folder.file("first.sql", COUNTS);
    let second = folder.file(
        "second.sql",
        "INSERT INTO logs (service_name, log_level, ts) VALUES ('z', 'ERROR', 5);\nSELECT n FROM counts;",
    );
    let out = folder.ok(&["run", &first, &second, "-e", "SELECT service_name FROM counts", "--until-drained"]);
    assert_eq!(
        out,
        "+-+\n|N|\n+-+\n|1|\n+-+\n+------------+\n|SERVICE_NAME|\n+------------+\n|z           |\n+------------+\n"
    );
}

#[test]
fn nothing_of_a_bad_script_is_applied() {
    let folder = Folder::new();
    let good = folder.file("good.sql", COUNTS);
    let bad = folder.file("bad.sql", "SHOW STREAMS;\n\nCREATE STREAM x AS\n  SELECT nme FROM logs;\n");
    let ran = folder.run(&["run", &good, &bad, "--until-drained"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    let place = format!(" --> {bad}:4:10");
    assert_has(&ran.err, &["error: ", "'NME'", &place, "4 |   SELECT nme FROM logs;", "  |          ^^^"]);
    assert_eq!(folder.ok(&["run", "-e", "SHOW STREAMS; SHOW TABLES; SHOW QUERIES", "--output", "json"]), "");
    assert!(!exists(&folder.data()), "a script that is refused makes no folder");
}

#[test]
fn all_syntax_errors_of_all_files_are_told() {
    let folder = Folder::new();
    let first = folder.file("first.sql", "SELECT FROM;\nSHOW STREAMS;\nCRATE STREAM s;");
    let ran = folder.run(&["run", &first, "-e", "SELEC 1"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert_has(&ran.err, &["first.sql:1:8", "first.sql:3:1", "did you mean CREATE?", "-e:1:1", "did you mean SELECT?"]);
    assert!(!exists(&folder.data()), "a script that cannot be read needs no folder");
}

#[test]
fn results_are_written_in_the_form_that_is_asked_for() {
    let folder = with_logs();
    folder.ok(&["run", "--until-drained"]);
    let sql = "SELECT n, service_name FROM counts WHERE service_name = 'a'";
    assert_eq!(
        folder.ok(&["run", "-e", sql]),
        "+-+------------+\n|N|SERVICE_NAME|\n+-+------------+\n|2|a           |\n+-+------------+\n"
    );
    assert_eq!(folder.ok(&["run", "-e", sql, "--output", "csv"]), "N,SERVICE_NAME\n2,a\n");
    assert_eq!(folder.ok(&["run", "-e", sql, "--output", "json"]), "{\"N\":2,\"SERVICE_NAME\":\"a\"}\n");
    assert_has(&folder.refused(2, &["run", "-e", sql, "--output", "xml"]), &["xml", "json"]);
}

#[test]
fn replies_of_statements_go_to_the_standard_error_and_results_do_not() {
    let folder = Folder::new();
    let ran = folder.run(&["run", "-e", COUNTS]);
    assert_eq!((ran.status, ran.out.as_str()), (0, ""));
    assert_has(&ran.err, &["Stream created", "Created query with ID CTAS_COUNTS_0"]);
}

#[test]
fn a_push_query_ends_with_its_limit_or_when_all_is_read() {
    let folder = with_logs();
    let limited = folder.ok(&["run", "-e", "SELECT ts FROM logs EMIT CHANGES LIMIT 3", "--output", "json"]);
    assert_eq!(lines(&limited).len(), 3);
    let sql = "SELECT ts FROM logs EMIT CHANGES; SELECT n FROM counts WHERE service_name = 'a';";
    let all = lines(&folder.ok(&["run", "-e", sql, "--until-drained", "--output", "json"]));
    let mut times: Vec<_> = all[..4].iter().filter_map(|r| r["TS"].as_i64()).collect();
    times.sort_unstable();
    assert_eq!((times, &all[4]), (vec![1000, 2000, 3000, 4000], &json!({"N": 2})), "in the order of the script");
}

#[test]
fn many_rows_for_a_push_query_do_not_stop_others() {
    let folder = with_logs();
    let lines: String =
        (0..30_000).map(|n| format!("{{\"service_name\":\"x\",\"log_level\":\"ERROR\",\"ts\":{n}}}\n")).collect();
    assert_eq!(folder.run_with(&["topic", "produce", "logs"], &lines).status, 0);
    // The rows of both wait until the counts are made, which takes the one worker.
    let sql = "SELECT ts FROM logs EMIT CHANGES; SELECT ts FROM logs EMIT CHANGES; SELECT n FROM counts WHERE service_name = 'x';";
    let out = folder.ok(&["run", "-e", sql, "--until-drained", "--output", "csv", "--set", "tidemill.workers=1"]);
    assert_eq!(out.lines().count(), 2 * 30_005 + 2);
    assert!(out.ends_with("N\n30000\n"));
}

#[test]
fn wrong_usage_has_a_status_of_its_own() {
    let folder = Folder::new();
    assert_has(&folder.refused(2, &["run"]), &["nothing to run"]);
    assert_has(
        &folder.refused(2, &["run", "-e", "SHOW STREAMS", "--follow", "--until-drained"]),
        &["cannot be used with"],
    );
    assert_has(&folder.refused(2, &["run", "nope.sql"]), &["there is no file nope.sql"]);
    assert_has(&folder.refused(2, &["fly"]), &["unrecognized subcommand 'fly'"]);
    assert_has(
        &folder.refused(2, &["run", "--config", "nope.conf", "-e", "SHOW STREAMS"]),
        &["there is no file nope.conf"],
    );
    assert_has(&folder.refused(2, &["--set", "workers=2", "topic", "list"]), &["--set: Unknown property: workers"]);
    assert_has(
        &folder.refused(2, &["topic", "list", "--set", "auto.ofset.reset=latest"]),
        &["did you mean 'auto.offset.reset'?"],
    );
    assert_has(&folder.refused(2, &["topic", "list", "--set", "tidemill.workers=many"]), &["it takes a whole number"]);
    assert_has(&folder.refused(2, &["bench", "nope"]), &["there is no benchmark nope"]);
    assert!(!exists(&folder.data()));
    assert_has(&folder.ok(&["--help"]), &["run", "shell", "topic"]);
}

#[test]
fn properties_come_from_the_file_and_the_command_line_wins() {
    let folder = Folder::new();
    let file = folder
        .file("tidemill.properties", "# ours\ncommit.interval.ms=250\n\nksql.streams.auto.offset.reset = latest\n");
    let origin = |command: &str, arguments: &[&str]| {
        let all = [&[command, "-e", "SHOW PROPERTIES", "--output", "csv"], arguments].concat();
        let shown = folder.ok(&all);
        let line = shown.lines().find(|l| l.starts_with("auto.offset.reset")).expect("a property").to_owned();
        line.split(',').skip(1).take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(origin("run", &[]), "earliest default of this command");
    assert_eq!(origin("run", &["--set", "auto.offset.reset=earliest"]), "earliest set");
    assert_eq!(origin("shell", &[]), "latest default");
    assert_eq!(origin("shell", &["--config", &file]), "latest set");
    let shown = |arguments: &[&str]| {
        let all = [&["run", "-e", "SHOW PROPERTIES", "--output", "csv"], arguments].concat();
        folder
            .ok(&all)
            .lines()
            .filter(|l| l.starts_with("commit.") || l.starts_with("auto."))
            .map(|l| l.split(',').nth(1).unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&[]), ["earliest", "100"]);
    assert_eq!(shown(&["--config", &file]), ["latest", "250"]);
    assert_eq!(shown(&["--config", &file, "--set", "commit.interval.ms=7"]), ["latest", "7"]);
    let bad = folder.file("bad.properties", "commit.interval.ms=1\nnonsense\n");
    assert_has(
        &folder.refused(2, &["--config", &bad, "topic", "list"]),
        &["bad.properties, line 2: 'nonsense' is not KEY=VALUE"],
    );
}

#[test]
fn the_environment_in_the_way_has_a_status_of_its_own() {
    let folder = Folder::new();
    let file = folder.file("a-file", "");
    let err = folder.refused(3, &["--data-dir", &file, "topic", "list"]);
    assert_has(&err, &["error: the data folder", "a-file cannot be used"]);
    folder.ok(&["topic", "create", "t"]);
    folder.file("data/format", "tidemill data folder, format 99\n");
    assert_has(&folder.refused(3, &["topic", "list"]), &["unknown format"]);
}

#[test]
fn a_row_is_made_of_every_item_of_an_array() {
    let folder = Folder::new();
    let script = "CREATE STREAM orders (id INT KEY, items ARRAY<STRING>, prices ARRAY<INT>)
          WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=1);
        CREATE STREAM lines AS SELECT id, UCASE(EXPLODE(items)) AS item, EXPLODE(prices) * 2 AS price FROM orders
          WHERE id < 4;
        INSERT INTO orders VALUES (1, ARRAY['a', 'b', NULL], ARRAY[5]);
        INSERT INTO orders VALUES (2, ARRAY['c'], NULL);
        INSERT INTO orders (id) VALUES (3);
        INSERT INTO orders VALUES (4, ARRAY['d'], ARRAY[1]);";
    folder.ok(&["run", "-e", script, "--until-drained", "--set", "auto.offset.reset=earliest"]);
    let rows: Vec<_> = folder.records("LINES").iter().map(|r| (r["key"].clone(), r["value"].clone())).collect();
    let line = |id: i32, item, price| (json!(id), json!({"ITEM": item, "PRICE": price}));
    let expected = [
        line(1, json!("A"), json!(10)),
        line(1, json!("B"), json!(null)),
        line(1, json!(null), json!(null)),
        line(2, json!("C"), json!(null)),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn several_queries_insert_into_one_stream_and_go_on_at_a_later_start() {
    let folder = Folder::new();
    // So that every start finds a checkpoint, and only what that has kept of the statements.
    let run = |sql: &str| {
        let set = ["--set", "auto.offset.reset=earliest", "--set", "tidemill.checkpoint.bytes=1"];
        folder.ok(&[&["run", "-e", sql, "--until-drained", "--output", "json"], &set[..]].concat())
    };
    run("CREATE STREAM web (id INT KEY, price DECIMAL(6, 2)) WITH (KAFKA_TOPIC='web', VALUE_FORMAT='JSON', PARTITIONS=2);
         CREATE STREAM shop (price DECIMAL(8, 3), id INT) WITH (KAFKA_TOPIC='shop', VALUE_FORMAT='DELIMITED', PARTITIONS=3);
         CREATE STREAM gone (id INT) WITH (KAFKA_TOPIC='gone', VALUE_FORMAT='JSON', PARTITIONS=1);
         CREATE STREAM orders (id INT KEY, price DECIMAL(8, 3)) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=4);
         INSERT INTO orders SELECT * FROM web;
         INSERT INTO orders WITH (query_id='shops') SELECT id, price FROM shop PARTITION BY id;
         DROP STREAM gone;
         INSERT INTO web VALUES (1, 10.25);
         INSERT INTO shop VALUES (7.125, 2);");
    run("INSERT INTO web VALUES (3, 5.5); INSERT INTO orders VALUES (4, 1);");
    let rows = || {
        let records = folder.records("orders");
        let mut rows: Vec<_> =
            records.iter().map(|r| (r["key"].to_string(), r["value"]["PRICE"].to_string())).collect();
        rows.sort();
        rows
    };
    let row = |id: &str, price: &str| (id.to_owned(), price.to_owned());
    assert_eq!(rows(), [row("1", "10.250"), row("2", "7.125"), row("3", "5.500"), row("4", "1.000")]);
    let queries = run("SHOW QUERIES;");
    assert_has(&queries, &["INSERTQUERY_0", "SHOPS"]);
    let err = folder.refused(1, &["run", "-e", "DROP STREAM orders;"]);
    assert_has(&err, &["queries write into this source: [INSERTQUERY_0, SHOPS]", "terminate them"]);
    assert_has(&run("EXPLAIN shops;"), &["STREAM", "SHOP topic 'shop'"]);
    run("TERMINATE shops; INSERT INTO shop VALUES (9, 9);");
    assert_eq!(rows().len(), 4, "the other one has ended");
    run("TERMINATE insertquery_0; DROP STREAM orders; DROP STREAM web;");
}

#[test]
fn a_type_has_a_name_until_it_is_dropped_and_sources_keep_what_it_stood_for() {
    let folder = Folder::new();
    let run = |sql: &str| {
        let set = ["--set", "auto.offset.reset=earliest", "--set", "tidemill.checkpoint.bytes=1"];
        folder.ok(&[&["run", "-e", sql, "--until-drained", "--output", "json"], &set[..]].concat())
    };
    run(
        "CREATE TYPE money AS DECIMAL(10, 2); CREATE TYPE `Line` AS STRUCT<item STRING, price money>;
         CREATE STREAM orders (id INT KEY, line1 line) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=1);",
    );
    run(
        "DROP TYPE line; CREATE TYPE line AS INT; DROP TYPE IF EXISTS nothing; CREATE TYPE IF NOT EXISTS money AS INT;",
    );
    let types = lines(&run("SHOW TYPES;"));
    let expected = [("LINE", "INTEGER"), ("MONEY", "DECIMAL(10, 2)")];
    assert_eq!(types, expected.map(|(name, shown)| json!({"Type Name": name, "Schema": shown})));
    run("CREATE STREAM prices AS SELECT id, line1->price * 2 AS twice, CAST(id AS money) AS m FROM orders;
         INSERT INTO orders VALUES (3, STRUCT(item := 'a', price := 1.25));");
    assert_eq!(folder.records("PRICES")[0]["value"].to_string(), r#"{"TWICE":2.50,"M":3.00}"#);
    let refused = |sql: &str| folder.refused(1, &["run", "-e", sql]);
    assert_has(&refused("CREATE TYPE money AS INT;"), &["already registered with type: DECIMAL(10, 2)", "1:13"]);
    assert_has(&refused("DROP TYPE moneyy;"), &["Type MONEYY does not exist.", "did you mean MONEY?", "1:11"]);
    assert_has(&refused("CREATE TYPE a AS ARRAY<b>;"), &["Cannot resolve unknown type: B", "1:24"]);
}

#[test]
fn variables_stand_for_names_and_constants() {
    let folder = Folder::new();
    let script = "DEFINE name = 'orders'; DEFINE n = '3'; DEFINE other = '${name}_too';
        CREATE STREAM ${name} (a INT, b STRING) WITH (kafka_topic='${other}', value_format='JSON', partitions=${n});
        INSERT INTO ${name} VALUES (${n}, '$${name} is ${name}');
        UNDEFINE n; SHOW VARIABLES; DESCRIBE ${name};";
    let out = folder.ok(&["run", "-e", script]);
    assert_has(&out, &["orders_too", "A", "B"]);
    let consumed = folder.ok(&["topic", "consume", "orders_too", "--limit", "1"]);
    assert_has(&consumed, &["${name} is orders"]);
    let err = folder.refused(1, &["run", "-e", "DEFINE a = 'x';\nSHOW STREAMS;\nDROP STREAM ${b};"]);
    assert_has(&err, &["The variable ${b} is not defined.", "--> -e:3:13"]);
}

#[test]
fn statements_are_printed_in_their_canonical_form() {
    let folder = Folder::new();
    let ran = folder.run_with(&["fmt", "-"], "show  streams; -- all\nselect A,b from `s`\n where a=1 emit changes;");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_has(&ran.out, &["SHOW STREAMS;", "SELECT A, B"]);
    let again = folder.run_with(&["fmt", "-"], &ran.out);
    assert_eq!(again.out, ran.out);
    assert_has(&ran.out, &["SHOW STREAMS; -- all\n"]);
    assert_eq!(folder.run_with(&["fmt", "--check", "-"], &ran.out).status, 0);
    let other = folder.run_with(&["fmt", "--check", "-"], "show streams;");
    assert_eq!((other.status, other.out.as_str()), (1, ""));
    assert_has(&other.err, &["- is not in canonical form"]);
    let bad = folder.run_with(&["fmt", "-"], "SHOW STREAMS;\nSHOW;");
    assert_eq!((bad.status, bad.out.as_str()), (1, ""));
    assert_has(&bad.err, &[" --> -:2:5"]);
}

#[test]
fn a_statement_means_the_same_whatever_is_set_at_a_later_start() {
    let folder = Folder::new();
    let text = "CREATE STREAM s (a VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1);
        CREATE STREAM t AS SELECT a FROM s;";
    let json = ["--set", "ksql.persistence.default.format.value=JSON"];
    let named = ["--set", "ksql.output.topic.name.prefix=first_"];
    folder.ok(&[&json[..], &named[..], &["run", "-e", text]].concat());
    folder.ok(&["run", "-e", "INSERT INTO s (a) VALUES ('x');"]);
    let later = ["--set", "ksql.output.topic.name.prefix=second_"];
    folder.ok(&[&later[..], &["run", "--until-drained"]].concat());
    let records = folder.records("first_T");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["value"], serde_json::json!({"A": "x"}));
}
