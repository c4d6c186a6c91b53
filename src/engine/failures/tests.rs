//! Failed rows in an engine: the processing log and dead letters over kills, and what must not grow without bound.

use super::*;
use crate::clock::ManualClock;
use crate::disk::double::{End, ForgetfulDisk, Random};
use crate::engine::{Engine, Settings, Store};
use crate::statements::{self, Session};

const STATEMENTS: &str = "
    CREATE TOPIC 'log' WITH (PARTITIONS=1);
    CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=2, KEY_FORMAT='JSON', VALUE_FORMAT='JSON');
    SET 'tidemill.dead.letters.enable'='true';
    CREATE STREAM divided AS SELECT k, 100 / v AS q FROM s;
    CREATE TABLE counted AS SELECT k, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 0 SECONDS)
        GROUP BY k EMIT CHANGES;
    UNSET 'tidemill.dead.letters.enable';
    CREATE STREAM without AS SELECT k, 100 / v AS q FROM s;
    CREATE STREAM logged (logger VARCHAR, message STRUCT<type INT>) WITH (KAFKA_TOPIC='log', VALUE_FORMAT='JSON');
    CREATE STREAM reader AS SELECT 1 / (message->type - message->type) AS q FROM logged;";

fn open(machine: &ForgetfulDisk, clock: &Arc<ManualClock>) -> Result<Engine> {
    let store = Store::Folder { disk: machine.boot(), path: "/data".into() };
    let settings = Settings::new(store, clock.clone(), statements::compile_kept);
    let values = [
        (config::OFFSET_RESET, "earliest"),
        (config::TURN_BYTES, "1"),
        (config::BATCH_ROWS, "2"),
        (config::CACHE_BYTES, "0"),
        (config::JOURNAL_BYTES, "65536"),
        (config::LOG_TOPIC, "log"),
        (config::LOG_TOPIC_CREATE, "true"),
        (config::LOG_ROWS, "true"),
    ];
    Engine::open(settings.with(&values)?)
}

fn execute(engine: &Engine, text: &str) {
    statements::execute(engine, text).expect("done");
}

/// Record by record: bad JSON, a division by zero, a late row, rows that are good.
fn append(engine: &Engine) {
    let topic = engine.catalog().topic("s").expect("there").clone();
    for n in 0..24i64 {
        let (time, value) = match n % 4 {
            0 => (n * 1000, "{\"V\":5}".to_owned()),
            1 => (n * 1000, format!("bad {n}")),
            2 => (n * 1000, "{\"V\":0}".to_owned()),
            _ => (0, "{\"V\":7}".to_owned()),
        };
        let header = Header { key: "own".to_owned(), value: Some(n.to_string().into_bytes()) };
        let mut writer = BatchWriter::new();
        writer.push(time, Some(b"1"), Some(value.as_bytes()), &[header]);
        engine.insert(&topic, Some(b"1"), writer.finish().expect("a record")).expect("appended");
    }
}

/// The records of a topic's first partition: value and headers.
fn records(engine: &Engine, topic: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let id = PartitionId { topic: engine.catalog().topic(topic).expect("there").id, partition: 0 };
    let offsets: Vec<i64> = (0..engine.topics().end(id).expect("an end")).collect();
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let mut all = Vec::new();
    records_at(engine.topics().as_ref(), id, &offsets, &mut |_, record| {
        let record = record.expect("nothing was deleted");
        let headers = record.headers()?.into_iter().map(|h| (h.key, text(h.value.as_deref())));
        all.push((text(record.value), headers.collect()));
        Ok(())
    })
    .expect("readable");
    all
}

/// Offsets of dead letters with their reasons, in their order.
fn letters(engine: &Engine, query: &str) -> Vec<(i64, String)> {
    let letter = |(value, headers): (String, BTreeMap<String, String>)| {
        let offset: i64 = headers["tidemill.error.offset"].parse().expect("a number");
        assert_eq!(headers["own"], offset.to_string(), "its own headers come with it");
        assert_eq!(headers["tidemill.error.query"], query);
        let wanted = ["{\"V\":5}".to_owned(), format!("bad {offset}"), "{\"V\":0}".to_owned(), "{\"V\":7}".to_owned()];
        assert_eq!(value, wanted[offset as usize % 4]);
        (offset, headers["tidemill.error.reason"].clone())
    };
    records(engine, &dead_letter_topic(query)).into_iter().map(letter).collect()
}

/// What the processing log says of a query: the types of its entries, sorted.
fn logged(engine: &Engine, query: &str) -> Vec<i64> {
    let entry = |(value, _): (String, _)| {
        let entry: Json = serde_json::from_str(&value).expect("JSON");
        let is_of = entry["logger"].as_str().is_some_and(|name| name.starts_with(&format!("processing.{query}.")));
        is_of.then(|| entry["message"]["type"].as_i64().expect("a number"))
    };
    let mut all: Vec<i64> = records(engine, "log").into_iter().filter_map(entry).collect();
    all.sort_unstable();
    all
}

fn check(engine: &Engine) {
    let every = |rest: i64, reason: &str| (0..6).map(|n| (4 * n + rest, reason.to_owned())).collect::<Vec<_>>();
    let sorted = |mut all: Vec<(i64, String)>| {
        all.sort();
        all
    };
    let divided = sorted([every(1, "undecodable"), every(2, "expression-errors")].concat());
    assert_eq!(sorted(letters(engine, "CSAS_DIVIDED_0")), divided);
    // The first one moves no time back: it is late from the second on.
    let late: Vec<_> = every(3, "late");
    assert_eq!(sorted(letters(engine, "CTAS_COUNTED_1")), sorted([every(1, "undecodable"), late].concat()));
    for query in ["CSAS_DIVIDED_0", "CSAS_WITHOUT_2"] {
        assert_eq!(logged(engine, query), [[0; 6], [1; 6]].concat(), "{query}");
    }
    assert_eq!(logged(engine, "CSAS_READER_3"), [0; 0], "a reader of the log does not write to it");
}

#[test]
fn what_fails_is_in_the_log_and_among_the_dead_letters_once() {
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let engine = open(&machine, &clock).expect("an engine");
    execute(&engine, STATEMENTS);
    append(&engine);
    engine.settle().expect("settled");
    check(&engine);
    let dropped = statements::parse("DROP TOPIC 'CSAS_DIVIDED_0-dead-letters';").expect("a statement");
    let error = Session::new(&engine, Properties::default()).run(&dropped[0]).map(drop).expect_err("in use");
    assert!(error.to_string().contains("has the dead letters of query CSAS_DIVIDED_0"), "{error}");
    execute(&engine, "TERMINATE CSAS_DIVIDED_0; DROP TOPIC 'CSAS_DIVIDED_0-dead-letters';");
}

#[test]
fn what_fails_is_there_once_however_often_the_process_ends() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let (machine, clock) = (ForgetfulDisk::new(seed), Arc::new(ManualClock::new()));
        let engine = open(&machine, &clock).expect("an engine");
        execute(&engine, STATEMENTS);
        append(&engine);
        drop(engine);
        for _ in 0..12 {
            let Ok(engine) = open(&machine, &clock) else { continue };
            let end = if random.one_in(2) { End::Kill } else { End::Cut };
            machine.end_after(end, 1 + random.below(20));
            // It ends in the middle, or has nothing more to do.
            let _ = engine.settle();
        }
        let engine = open(&machine, &clock).expect("an engine");
        engine.settle().expect("settled");
        check(&engine);
    }
}

#[test]
fn a_log_that_is_dropped_takes_no_query_with_it() {
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let engine = open(&machine, &clock).expect("an engine");
    execute(&engine, STATEMENTS);
    execute(&engine, "TERMINATE CSAS_READER_3; DROP STREAM reader; DROP STREAM logged; DROP TOPIC 'log';");
    append(&engine);
    engine.settle().expect("settled");
    assert_eq!(letters(&engine, "CSAS_DIVIDED_0").len(), 12);
}

/// An operator makes the topic of dead letters with settings of his own, and drops it when the query is gone.
#[test]
fn a_topic_of_dead_letters_that_was_there_before_its_query_stays_dropped() {
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let engine = open(&machine, &clock).expect("an engine");
    execute(
        &engine,
        "CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, FORMAT='JSON');
         CREATE TOPIC 'CSAS_DIVIDED_0-dead-letters' WITH (PARTITIONS=1);
         SET 'tidemill.dead.letters.enable'='true';
         CREATE STREAM divided AS SELECT k, 100 / v AS q FROM s;
         TERMINATE CSAS_DIVIDED_0;
         DROP TOPIC 'CSAS_DIVIDED_0-dead-letters';
         CREATE TOPIC 'next' WITH (PARTITIONS=1);",
    );
    engine.checkpoint().expect("a checkpoint");
    let topics = |engine: &Engine| -> BTreeMap<String, TopicId> {
        engine.catalog().topics().map(|topic| (topic.name.clone(), topic.id)).collect()
    };
    let before = topics(&engine);
    drop(engine);
    machine.end(End::Kill);
    let engine = open(&machine, &clock).expect("an engine");
    assert_eq!(topics(&engine), before);
}

/// What fails in it would be read by it again, for ever.
#[test]
fn a_query_that_reads_its_own_dead_letters_writes_none() {
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let engine = open(&machine, &clock).expect("an engine");
    execute(
        &engine,
        "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='CSAS_DIVIDED_0-dead-letters', PARTITIONS=1, VALUE_FORMAT='JSON');
         SET 'tidemill.dead.letters.enable'='true';
         CREATE STREAM divided AS SELECT 100 / v AS q FROM s;
         INSERT INTO s (v) VALUES (0);",
    );
    for _ in 0..20 {
        engine.turn("CSAS_DIVIDED_0").expect("a turn");
    }
    assert_eq!(records(&engine, "CSAS_DIVIDED_0-dead-letters").len(), 1);
}

#[test]
fn a_topic_of_dead_letters_in_use_does_not_go_with_a_stream_over_it() {
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let engine = open(&machine, &clock).expect("an engine");
    execute(&engine, STATEMENTS);
    execute(
        &engine,
        "CREATE STREAM letters (v VARCHAR) WITH (KAFKA_TOPIC='CSAS_DIVIDED_0-dead-letters', VALUE_FORMAT='KAFKA');",
    );
    let dropped = statements::parse("DROP STREAM letters DELETE TOPIC;").expect("a statement");
    let error = Session::new(&engine, Properties::default()).run(&dropped[0]).map(drop).expect_err("in use");
    assert!(error.to_string().contains("has the dead letters of query CSAS_DIVIDED_0"), "{error}");
    execute(&engine, "TERMINATE CSAS_DIVIDED_0; DROP STREAM letters DELETE TOPIC;");
}

/// One record of which very many rows fail does not take memory for each.
#[test]
fn the_rows_of_one_record_are_kept_up_to_a_number() {
    let mut log = Log::new(true);
    let origin = |offset: i64| Some(Origin { topic: 0, partition: 0, offset });
    for offset in 0..3 {
        log.add(Reason::Expression, 0..100_000, |_| origin(offset), |row| row.to_string());
    }
    log.add(Reason::Late, 0..100_000, |_| None, |row| row.to_string());
    assert!(log.failures().len() < 1000, "{}", log.failures().len());
    assert_eq!(log.counts()[&Reason::Expression], 300_000);
    let first: Vec<i64> =
        log.failures().chunk_by(|a, b| a.origin == b.origin).filter_map(|f| Some(f[0].origin?.offset)).collect();
    assert_eq!(first, [0, 1, 2], "each record is there");
}

/// A second query behind the one that reads the processing log would feed it for ever.
#[test]
fn a_query_that_reads_what_another_made_of_the_log_does_not_write_to_it() {
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let engine = open(&machine, &clock).expect("an engine");
    execute(
        &engine,
        "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM bad AS SELECT 1 / v AS q FROM s;
         CREATE STREAM log (logger VARCHAR) WITH (KAFKA_TOPIC='log', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM copied AS SELECT logger FROM log;
         CREATE STREAM failing AS SELECT CAST(logger AS INT) AS q FROM copied;
         INSERT INTO s (v) VALUES (0);",
    );
    for _ in 0..20 {
        for query in engine.catalog().queries() {
            engine.turn(&query.id).expect("a turn");
        }
    }
    assert_eq!(records(&engine, "log").len(), 1);
}

/// Statements in any order, of which many are refused: what exists is the same after a restart.
#[test]
fn topics_of_dead_letters_are_the_same_after_a_restart() {
    let pool = [
        "SET 'tidemill.dead.letters.enable'='true';",
        "SET 'tidemill.dead.letters.enable'='true';",
        "UNSET 'tidemill.dead.letters.enable';",
        "CREATE TOPIC 'Q-dead-letters' WITH (PARTITIONS=2);",
        "CREATE TOPIC 'CSAS_D_#-dead-letters' WITH (PARTITIONS=1);",
        "DROP TOPIC 'Q-dead-letters';",
        "DROP TOPIC 'CSAS_D_#-dead-letters';",
        "DROP TOPIC 'INSERTQUERY_#-dead-letters';",
        "CREATE STREAM d AS SELECT k, 100 / v AS q FROM s;",
        "CREATE STREAM d WITH (KAFKA_TOPIC='Q-dead-letters') AS SELECT k, 100 / v AS q FROM s;",
        "CREATE STREAM d WITH (KAFKA_TOPIC='CSAS_D_#-dead-letters') AS SELECT k, 100 / v AS q FROM s;",
        "INSERT INTO d WITH (QUERY_ID='q') SELECT k, 100 / v AS q FROM s;",
        "INSERT INTO d SELECT k, 100 / v AS q FROM s;",
        "CREATE STREAM l (k INT KEY, v INT) WITH (KAFKA_TOPIC='Q-dead-letters', FORMAT='JSON');",
        "CREATE STREAM l (k INT KEY, v INT) WITH (KAFKA_TOPIC='CSAS_D_#-dead-letters', FORMAT='JSON');",
        "CREATE STREAM d AS SELECT k, 100 / v AS q FROM l;",
        "TERMINATE Q;",
        "TERMINATE CSAS_D_#;",
        "TERMINATE INSERTQUERY_#;",
        "TERMINATE ALL;",
        "DROP STREAM d;",
        "DROP STREAM d DELETE TOPIC;",
        "DROP STREAM l DELETE TOPIC;",
        "DROP STREAM l;",
        "PAUSE ALL;",
        "INSERT INTO s (k, v) VALUES (1, 0);",
    ];
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let (machine, clock) = (ForgetfulDisk::new(seed), Arc::new(ManualClock::new()));
        let mut engine = open(&machine, &clock).expect("an engine");
        execute(
            &engine,
            "CREATE TOPIC 'log' WITH (PARTITIONS=1);
            CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, FORMAT='JSON');",
        );
        let what = |engine: &Engine| {
            let catalog = engine.catalog();
            let topics: BTreeMap<TopicId, String> = catalog.topics().map(|t| (t.id, t.name.clone())).collect();
            assert_eq!(topics.len(), catalog.topics().count(), "seed {seed}");
            let queries: Vec<String> = catalog.queries().iter().map(|q| format!("{} {:?}", q.id, q.number)).collect();
            let letters: Vec<usize> = topics.values().map(|name| records(engine, name).len()).collect();
            (topics, queries, letters)
        };
        for _ in 0..5 {
            let mut session = Session::new(&engine, Properties::default());
            for _ in 0..random.below(14) {
                let text = pool[random.below(pool.len() as u64) as usize].replace('#', &random.below(4).to_string());
                let parsed = statements::parse(&text).expect("a statement");
                let _ = session.run(&parsed[0]);
                for query in engine.catalog().queries() {
                    engine.turn(&query.id).expect("a turn");
                }
            }
            drop(session);
            if random.one_in(2) {
                engine.checkpoint().expect("a checkpoint");
            }
            let before = what(&engine);
            drop(engine);
            machine.end(if random.one_in(2) { End::Kill } else { End::Cut });
            engine = open(&machine, &clock).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(what(&engine), before, "seed {seed}");
        }
    }
}

/// A record that is deleted between the turn in which it fails and the end of its epoch leaves a letter without value.
#[test]
fn a_record_that_is_deleted_before_it_is_copied_has_a_letter() {
    for all in [false, true] {
        let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
        let engine = open(&machine, &clock).expect("an engine");
        execute(
            &engine,
            "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
             SET 'tidemill.dead.letters.enable'='true';
             CREATE STREAM divided AS SELECT v FROM s WHERE 100 / v > 0;
             INSERT INTO s (v) VALUES (0); INSERT INTO s (v) VALUES (0); INSERT INTO s (v) VALUES (0);",
        );
        let query = engine.shared.queries.get("CSAS_DIVIDED_0").expect("there");
        for _ in 0..3 {
            query.lock().turn(engine.shared.now(), None).expect("a turn");
        }
        let topic = engine.catalog().topic("s").expect("there").clone();
        let before = if all { 3 } else { 2 };
        let trim = crate::journal::Trim { before: vec![(PartitionId { topic: topic.id, partition: 0 }, before)] };
        engine.shared.submit_and_wait(Entry::Trim(trim)).expect("trimmed");
        engine.settle().expect("settled");
        let letters = records(&engine, "CSAS_DIVIDED_0-dead-letters");
        let gone = letters.iter().filter(|(_, headers)| headers.contains_key("tidemill.error.record")).count();
        assert_eq!((letters.len(), gone as i64), (3, before));
    }
}

/// The disk is full now and then.
#[test]
fn what_fails_is_there_once_however_often_the_disk_is_full() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let (machine, clock) = (ForgetfulDisk::new(seed), Arc::new(ManualClock::new()));
        let mut engine = open(&machine, &clock).expect("an engine");
        execute(&engine, STATEMENTS);
        append(&engine);
        for _ in 0..12 {
            machine.set_room(Some(random.below(4000)));
            let _ = engine.settle();
            machine.set_room(None);
            if random.one_in(3) {
                drop(engine);
                machine.end(if random.one_in(2) { End::Kill } else { End::Cut });
                engine = open(&machine, &clock).expect("an engine");
            }
        }
        drop(engine);
        let engine = open(&machine, &clock).expect("an engine");
        engine.settle().expect("settled");
        check(&engine);
    }
}

/// A commit copies the records that failed since the last one: an epoch ends before these are many bytes, however long it
/// might go on otherwise.
#[test]
fn large_records_that_fail_are_copied_some_at_a_time() {
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let engine = open(&machine, &clock).expect("an engine");
    execute(&engine, "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let topic = engine.catalog().topic("s").expect("there").clone();
    for n in 0..50 {
        let mut writer = BatchWriter::new();
        writer.push(n, None, Some(&vec![b'x'; 1_000_000]), &[]);
        engine.insert(&topic, None, writer.finish().expect("a record")).expect("appended");
    }
    let long = "SET 'tidemill.dead.letters.enable'='true'; SET 'commit.interval.ms'='1000000';";
    execute(&engine, &format!("{long} CREATE STREAM t AS SELECT v FROM s;"));
    engine.settle().expect("settled");
    assert_eq!(records(&engine, &dead_letter_topic("CSAS_T_0")).len(), 50);
    let epochs = engine.stats("CSAS_T_0").expect("a query").epoch.get();
    assert!(epochs >= 3, "50 MB were copied in {epochs} epochs");
}

/// What a statement is refused with.
fn refused(engine: &Engine, text: &str) -> String {
    let parsed = statements::parse(text).expect("statements");
    let mut session = Session::new(engine, Properties::default());
    let (last, first) = parsed.split_last().expect("a statement");
    first.iter().for_each(|statement| session.run(statement).map(drop).expect("done"));
    let checked = session.dry_run().check(last).map(drop).expect_err("refused when it is checked");
    let error = session.run(last).map(drop).expect_err("refused");
    assert_eq!(error.message(), checked.message());
    error.message().to_owned()
}

const WITH_LETTERS: &str = "SET 'tidemill.dead.letters.enable'='true';";

/// A declaration of a stream over a topic that need not be there.
fn declared(name: &str, topic: &str) -> String {
    format!("CREATE STREAM {name} (k INT KEY, v INT) WITH (KAFKA_TOPIC='{topic}', PARTITIONS=1, FORMAT='JSON');")
}

/// A record that fails in each of the queries would never come to rest.
#[test]
fn dead_letters_that_would_go_in_a_circle_are_refused() {
    for length in 2..5 {
        let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
        let engine = open(&machine, &clock).expect("an engine");
        for n in 0..length {
            execute(&engine, &declared(&format!("l{n}"), &format!("CSAS_Q{n}_{n}-dead-letters")));
        }
        let query = |n: usize| {
            let read = (n + length - 1) % length;
            format!("CREATE STREAM q{n} AS SELECT k, 100 / v AS q FROM l{read};")
        };
        (0..length - 1).for_each(|n| execute(&engine, &format!("{WITH_LETTERS} {}", query(n))));
        let last = length - 1;
        let around: String = (0..length).map(|n| format!(" -> CSAS_Q{n}_{n}")).collect();
        let message = format!("Dead letters would go in a circle: CSAS_Q{last}_{last}{around}");
        assert_eq!(refused(&engine, &format!("{WITH_LETTERS} {}", query(last))), message);
        execute(&engine, &query(last));
        let queries = engine.catalog().queries().len();
        drop(engine);
        machine.end(End::Kill);
        assert_eq!(open(&machine, &clock).expect("an engine").catalog().queries().len(), queries);
    }
}

#[test]
fn a_circle_of_letters_and_results_is_refused_and_what_is_none_is_not() {
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let engine = open(&machine, &clock).expect("an engine");
    execute(&engine, &declared("s", "s"));
    execute(&engine, &declared("other", "other"));
    execute(&engine, &declared("l", "CSAS_A_0-dead-letters"));
    execute(&engine, &format!("{WITH_LETTERS} CREATE STREAM a AS SELECT k, 100 / v AS v FROM s;"));
    execute(&engine, "CREATE STREAM repaired AS SELECT k, v FROM l;");
    let message = refused(&engine, "INSERT INTO s SELECT k, v FROM repaired;");
    assert!(message.ends_with("INSERTQUERY_2 -> CSAS_A_0 -> CSAS_REPAIRED_1 -> INSERTQUERY_2"), "{message}");
    // Results alone may go in a circle, and letters may be read by any number of queries.
    execute(&engine, &format!("{WITH_LETTERS} INSERT INTO other SELECT k, v FROM repaired;"));
    execute(&engine, "INSERT INTO other SELECT k, v FROM other;");
    execute(&engine, "INSERT INTO a SELECT k, v FROM l;");
}

#[test]
fn topics_of_dead_letters_are_called_and_used_as_topics_may_be() {
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let engine = open(&machine, &clock).expect("an engine");
    execute(&engine, &declared("s", "s"));
    let refused = |text: &str| refused(&engine, &format!("{WITH_LETTERS} {text}"));
    let long = "x".repeat(240);
    let message = refused(&format!("CREATE STREAM {long} WITH (KAFKA_TOPIC='t') AS SELECT k, v FROM s;"));
    assert!(message.contains("X_0-dead-letters' cannot be the name of a topic"), "{message}");
    let message = refused("CREATE STREAM x WITH (KAFKA_TOPIC='a b') AS SELECT k, v FROM s;");
    assert_eq!(message, "'a b' cannot be the name of a topic", "as those of results are checked");
    let message = refused("CREATE STREAM a WITH (KAFKA_TOPIC='CSAS_A_0-dead-letters') AS SELECT k, v FROM s;");
    assert_eq!(message, "Topic 'CSAS_A_0-dead-letters' is for the dead letters of query CSAS_A_0");
    execute(&engine, "CREATE STREAM a WITH (KAFKA_TOPIC='CSAS_B_1-dead-letters') AS SELECT k, v FROM s;");
    let message = refused("CREATE STREAM b AS SELECT k, v FROM s;");
    assert_eq!(message, "Topic 'CSAS_B_1-dead-letters' is for the dead letters of query CSAS_B_1");
    execute(&engine, &format!("{WITH_LETTERS} CREATE STREAM c AS SELECT k, v FROM s;"));
    let message = refused("CREATE STREAM d WITH (KAFKA_TOPIC='CSAS_C_1-dead-letters') AS SELECT k, v FROM s;");
    assert_eq!(message, "Topic 'CSAS_C_1-dead-letters' is for the dead letters of query CSAS_C_1");
    execute(&engine, &declared("over", "CSAS_C_1-dead-letters"));
    assert!(refused("INSERT INTO over SELECT k, v FROM s;").contains("is for the dead letters of query CSAS_C_1"));
}

/// However many records of a batch cannot be read.
#[test]
fn every_undecodable_record_has_its_own_reason_in_its_letter() {
    const RECORDS: usize = 300;
    let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
    let store = Store::Folder { disk: machine.boot(), path: "/data".into() };
    let settings = Settings::new(store, clock.clone(), statements::compile_kept);
    let engine = Engine::open(settings.with(&[(config::OFFSET_RESET, "earliest")]).expect("set")).expect("an engine");
    execute(
        &engine,
        "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         SET 'tidemill.dead.letters.enable'='true';
         CREATE STREAM t AS SELECT v FROM s;",
    );
    let topic = engine.catalog().topic("s").expect("there").clone();
    let mut writer = BatchWriter::new();
    for n in 0..RECORDS {
        writer.push(0, None, Some(format!("{{\"V\":\"x{n}\"}}").as_bytes()), &[]);
    }
    engine.insert(&topic, None, writer.finish().expect("records")).expect("appended");
    engine.settle().expect("settled");
    let letters = records(&engine, &dead_letter_topic("CSAS_T_0"));
    assert_eq!(letters.len(), RECORDS);
    for (n, (_, headers)) in letters.iter().enumerate() {
        let message = &headers["tidemill.error.message"];
        assert!(message.contains(&format!("x{n}")), "{n}: {message}");
    }
}
