//! Kills: the real process, killed at random instants while it reads, computes and commits, goes on as if nothing had been.
//!
//! `KILLS` says how often, `KILL_ROWS` how many rows of each input there are, `KILL_MICROS` the most microseconds of a life.

use std::collections::{BTreeMap, HashMap};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tidemill::disk::double::Random;

use crate::command_line::Folder;

const STATEMENTS: &str = "
    CREATE STREAM logs (service VARCHAR, level VARCHAR, ts BIGINT)
      WITH (KAFKA_TOPIC='logs', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS=4);
    CREATE STREAM payments (id BIGINT, user_id VARCHAR, ts BIGINT)
      WITH (KAFKA_TOPIC='payments', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS=4);
    CREATE STREAM signals (id BIGINT, user_id VARCHAR, ts BIGINT)
      WITH (KAFKA_TOPIC='signals', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS=4);
    CREATE TABLE lists AS SELECT level, COLLECT_LIST(ts) AS l, COUNT_DISTINCT(ts) AS n FROM logs GROUP BY level;
    SET 'cache.max.bytes.buffering' = '0';
    CREATE TABLE counts AS SELECT service, COUNT(*) AS n FROM logs
      WINDOW TUMBLING (SIZE 5 MINUTES) WHERE level = 'ERROR' GROUP BY service;
    CREATE STREAM risk AS SELECT p.id AS payment, s.id AS signal FROM payments p
      LEFT JOIN signals s WITHIN 30 SECONDS ON p.user_id = s.user_id;
    CREATE STREAM risk_copy AS SELECT p_user_id, payment, signal FROM risk;";

const STEP_MS: i64 = 500;
const WITHIN_MS: i64 = 30_000;
const WINDOW_MS: i64 = 300_000;
const USERS: u64 = 40;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn time(row: u64) -> i64 {
    1_700_000_000_000 + row as i64 * STEP_MS
}

fn user(topic: u64, row: u64) -> u64 {
    Random::new(row << 2 | topic).below(USERS)
}

fn service(row: u64) -> u64 {
    Random::new(row << 2).below(100)
}

fn is_error(row: u64) -> bool {
    Random::new(row << 2 | 3).one_in(2)
}

fn line(topic: &str, row: u64) -> String {
    let ts = time(row);
    match topic {
        "logs" => {
            let level = if is_error(row) { "ERROR" } else { "INFO" };
            format!("{{\"service\":\"s{}\",\"level\":\"{level}\",\"ts\":{ts},\"row\":{row}}}\n", service(row))
        }
        "payments" => format!("{{\"id\":{row},\"user_id\":\"u{}\",\"ts\":{ts},\"row\":{row}}}\n", user(1, row)),
        _ => format!("{{\"id\":{row},\"user_id\":\"u{}\",\"ts\":{ts},\"row\":{row}}}\n", user(2, row)),
    }
}

/// Runs the program and kills it after so many microseconds, if it has not ended by then; whether it was killed.
fn kill_after(folder: &Folder, arguments: &[&str], micros: u64) -> bool {
    let mut command = folder.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program");
    std::thread::sleep(Duration::from_micros(micros));
    child.kill().expect("a signal");
    child.wait().expect("an end").code().is_none()
}

/// Fills a topic by processes of which the first ones are killed: what they have written is the first lines, each once.
fn load(folder: &Folder, topic: &str, rows: u64, random: &mut Random) {
    let mut written = 0;
    for attempt in 0..4 {
        let file = folder.file("rows.jsonl", (written..rows).map(|row| line(topic, row)).collect::<String>());
        let produce = ["topic", "produce", topic, &file];
        if attempt < 3 {
            kill_after(folder, &produce, random.below(200_000));
        } else {
            folder.ok(&produce);
        }
        let mut found: Vec<u64> = values(folder, topic).iter().filter_map(|value| value["row"].as_u64()).collect();
        found.sort_unstable();
        written = found.len() as u64;
        assert!(found.into_iter().eq(0..written), "{topic}: the first lines, each once");
    }
    assert_eq!(written, rows);
}

fn values(folder: &Folder, topic: &str) -> Vec<Value> {
    folder.records(topic).into_iter().map(|mut record| record["value"].take()).collect()
}

/// Of every service and window the counts go up by one; the last of each is `complete` the number of its errors.
fn check_counts(folder: &Folder, rows: u64, complete: bool) {
    let mut wanted: HashMap<(String, i64), i64> = HashMap::new();
    for row in (0..rows).filter(|row| is_error(*row)) {
        *wanted.entry((format!("s{}", service(row)), time(row) / WINDOW_MS * WINDOW_MS)).or_default() += 1;
    }
    let mut last: HashMap<(String, i64), i64> = HashMap::new();
    for record in folder.records("COUNTS") {
        let start = record["key"]["window"]["start"].as_i64().expect("a window");
        let group = (record["key"]["key"].as_str().expect("a service").to_owned(), start);
        let count = last.entry(group).or_default();
        *count += 1;
        assert_eq!(record["value"]["N"].as_i64(), Some(*count), "{record}");
    }
    assert!(last.iter().all(|(group, count)| wanted[group] >= *count));
    assert!(!complete || last == wanted, "every error is counted");
}

/// The lists of both levels have every row once, in the order of time.
fn check_lists(folder: &Folder, rows: u64) {
    let out = folder.ok(&["run", "--output", "json", "-e", "SELECT level, l, n FROM lists;"]);
    let mut found = 0;
    for line in out.lines() {
        let row: Value = serde_json::from_str(line).expect("a row");
        let is_wanted = |number: &u64| is_error(*number) == (row["LEVEL"] == "ERROR");
        let wanted: Vec<i64> = (0..rows).filter(is_wanted).map(time).collect();
        let list: Vec<i64> = row["L"].as_array().expect("a list").iter().filter_map(Value::as_i64).collect();
        assert!(list == wanted, "{}: {} rows of {}", row["LEVEL"], list.len(), wanted.len());
        assert_eq!(row["N"], wanted.len());
        found += 1;
    }
    assert_eq!(found, 2, "two levels");
}

/// How often each payment met each signal, none for a payment that met nobody.
type Met = BTreeMap<(u64, Option<u64>), u64>;

fn met(folder: &Folder, topic: &str) -> Met {
    let mut all = Met::new();
    for value in values(folder, topic) {
        let payment = value["PAYMENT"].as_u64().expect("a payment");
        *all.entry((payment, value["SIGNAL"].as_u64())).or_default() += 1;
    }
    all
}

/// Rows are taken in the order of time, of one time the payments first: a payment is padded if no signal was there then.
fn wanted_pairs(rows: u64) -> Met {
    let reach = (WITHIN_MS / STEP_MS) as u64;
    let mut all = Met::new();
    for payment in 0..rows {
        let near = payment.saturating_sub(reach)..(payment + reach + 1).min(rows);
        let partners: Vec<u64> = near.filter(|signal| user(1, payment) == user(2, *signal)).collect();
        if partners.iter().all(|signal| *signal >= payment) {
            all.insert((payment, None), 1);
        }
        all.extend(partners.into_iter().map(|signal| ((payment, Some(signal)), 1)));
    }
    all
}

#[test]
fn every_result_once_whenever_the_process_is_killed() {
    let (kills, rows) = (setting("KILLS", 20), setting("KILL_ROWS", 20_000));
    let mut random = Random::new(setting("KILL_SEED", 1));
    let folder = Folder::new();
    folder.ok(&["run", "-e", STATEMENTS]);
    for topic in ["logs", "payments", "signals"] {
        load(&folder, topic, rows, &mut random);
    }
    let small = ["tidemill.checkpoint.bytes=300000", "tidemill.journal.bytes=100000", "tidemill.inline.bytes=20000"];
    let sets: Vec<&str> = small.iter().flat_map(|set| ["--set", set]).collect();
    let drain = [sets.as_slice(), &["run", "--until-drained"]].concat();
    let (mut killed, mut most) = (0, setting("KILL_MICROS", 400_000));
    for number in 0..kills {
        if kill_after(&folder, &drain, random.below(most)) {
            killed += 1;
        } else {
            // It was done before: the others are to be killed while there is still something to do.
            most /= 2;
        }
        if number % (kills / 4).max(1) == 0 {
            check_counts(&folder, rows, false);
        }
    }
    println!("{killed} of {kills} processes were killed before they had ended");
    assert!(killed * 2 > kills, "{killed} of {kills} were killed");
    folder.ok(&drain);
    check_counts(&folder, rows, true);
    check_lists(&folder, rows);
    let wanted = wanted_pairs(rows);
    for topic in ["RISK", "RISK_COPY"] {
        let met = met(&folder, topic);
        let wrong = wanted.iter().find(|(pair, count)| met.get(pair) != Some(count));
        assert!(wrong.is_none() && met.len() == wanted.len(), "{topic}: {wrong:?}, {} and {}", met.len(), wanted.len());
    }
}
