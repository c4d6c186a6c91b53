//! Real data: the results do not depend on how topics are cut and how many workers there are, and equal the oracle's.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command_line::Folder;
use crate::examples::{Record, consumed, last, lines, run, sorted};
use crate::{oracle, shared};

fn statements(partitions: u32) -> String {
    format!(
        "CREATE STREAM flights (ts BIGINT, carrier VARCHAR, flight INT, origin VARCHAR, dest VARCHAR, dep_delay INT)
           WITH (KAFKA_TOPIC='flights', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS={partitions});
         CREATE STREAM weather (ts BIGINT, origin VARCHAR, temp DOUBLE, wind_speed DOUBLE, visib DOUBLE)
           WITH (KAFKA_TOPIC='weather', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS={partitions});
         CREATE TABLE delays AS SELECT origin, COUNT(*) AS flights, AVG(dep_delay) AS mean_delay, MAX(dep_delay) AS worst
           FROM flights WINDOW TUMBLING (SIZE 1 HOUR) WHERE dep_delay IS NOT NULL GROUP BY origin;
         CREATE STREAM inner_weather AS
           SELECT f.origin AS origin, f.carrier, f.flight, f.dep_delay, w.wind_speed, w.visib FROM flights f
           INNER JOIN weather w WITHIN (59 MINUTES, 0 SECONDS) ON f.origin = w.origin;
         CREATE STREAM left_weather AS
           SELECT f.origin AS origin, f.carrier, f.flight, f.dep_delay, w.wind_speed, w.visib FROM flights f
           LEFT JOIN weather w WITHIN (59 MINUTES, 0 SECONDS) ON f.origin = w.origin;"
    )
}

fn assert_same(what: &str, found: Vec<Record>, expected: Vec<Record>) {
    let (found, expected) = (sorted(found), sorted(expected));
    assert_eq!(found.len(), expected.len(), "{what}: the number of records");
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "{what}");
    }
}

/// Runs all queries over flights and weather and compares with the oracle.
fn check(data: &Path, partitions: u32, workers: &str) {
    let folder = Folder::new();
    let path = |file: &str| data.join(file).display().to_string();
    run(&folder, &["run", "-e", &statements(partitions)]);
    run(&folder, &["topic", "produce", "flights", &path("flights.jsonl.gz")]);
    run(&folder, &["topic", "produce", "weather", &path("weather.jsonl.gz")]);
    run(&folder, &["--set", &format!("tidemill.workers={workers}"), "run", "--until-drained"]);
    let rows = |file: &str| lines(&data.join(file));
    let (flights, weather): (Vec<Value>, Vec<Value>) = (rows("flights.jsonl.gz"), rows("weather.jsonl.gz"));
    let what = |query: &str| format!("{query} with {partitions} partitions and {workers} workers");
    assert_same(&what("delays"), last(consumed(&folder, "DELAYS")), oracle::delays(&flights));
    let inner = oracle::weather_of_flights(&flights, &weather, false);
    assert_same(&what("inner join"), consumed(&folder, "INNER_WEATHER"), inner);
    let left = oracle::weather_of_flights(&flights, &weather, true);
    assert_same(&what("left join"), consumed(&folder, "LEFT_WEATHER"), left);
}

fn january() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/flights")
}

#[test]
fn results_do_not_depend_on_partitions_and_workers() {
    for partitions in [1, 4, 7] {
        for workers in ["1", "2"] {
            check(&january(), partitions, workers);
        }
    }
}

#[test]
fn all_flights_of_a_year() {
    if let Some(data) = shared("data") {
        check(&data, 4, "2");
    }
}

#[test]
fn error_counts_of_a_cluster() {
    let Some(data) = shared("data") else { return };
    let folder = Folder::new();
    let logs = data.join("application_logs.jsonl");
    let source = "CREATE STREAM application_logs (ts BIGINT, service_name VARCHAR, log_level VARCHAR) \
                  WITH (KAFKA_TOPIC='application_logs', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS=4);";
    let query = "CREATE TABLE error_counts AS SELECT service_name, COUNT(*) as error_count FROM application_logs \
                 WINDOW TUMBLING (SIZE 5 MINUTES) WHERE log_level = 'ERROR' GROUP BY service_name;";
    run(&folder, &["run", "-e", source, "-e", query]);
    run(&folder, &["topic", "produce", "application_logs", &logs.display().to_string()]);
    run(&folder, &["run", "--until-drained"]);
    let found = last(consumed(&folder, "ERROR_COUNTS"));
    let counted: i64 = found.iter().filter_map(|(_, value)| value["ERROR_COUNT"].as_i64()).sum();
    assert_eq!((found.len(), counted), (5, 150));
    assert_same("errors of a cluster", found, oracle::error_counts(&lines(&logs)));
}
