//! Pulls by key while state is still read: they see what the state will be when it is.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::{Drive, Engine, Settings, Store, open};
use super::*;
use crate::clock::ManualClock;
use crate::config::{self, Properties};
use crate::disk::double::{End, ForgetfulDisk, Random};
use crate::engine::workers::Workers;
use crate::journal::WhenFull;
use crate::statements;
use crate::topics::PartitionId;
use crate::topics::record::BatchWriter;
use crate::types::SqlType;

fn settings(disk: Arc<dyn Disk>) -> Settings {
    let mut properties = Properties::default();
    properties.set(config::OFFSET_RESET, "earliest").expect("a property");
    Settings {
        store: Store::Folder { disk, path: Path::new("/data").to_owned() },
        drive: Drive::Manual,
        clock: Arc::new(ManualClock::new()),
        properties,
        compile: statements::compile_kept,
        when_full: WhenFull::Retry,
        placement: crate::runtime::placement::usual(),
        events: tracing::Dispatch::none(),
    }
}

const TABLE: &str =
    "CREATE STREAM s (v VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
    CREATE TABLE t AS SELECT v, COUNT(*) AS c, LATEST_BY_OFFSET(n) AS n FROM s GROUP BY v;";

/// Of each key how many rows there are and the number of the last one.
type Counts = BTreeMap<String, (i64, i64)>;

/// Appends a row for each of some keys, has them counted and committed.
fn count(engine: &Engine, counts: &mut Counts, keys: &[u64]) {
    let mut writer = BatchWriter::new();
    for key in keys {
        let key = format!("key {key}");
        let number = counts.values().map(|(count, _)| count).sum();
        let value = format!("{{\"N\":{number}}}");
        writer.push(1_000, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        let (count, last) = counts.entry(key).or_default();
        (*count, *last) = (*count + 1, number);
    }
    let topic = engine.catalog().topic("s").expect("a topic").id;
    let batch = writer.finish().expect("some records");
    engine.topics().append(vec![(PartitionId { topic, partition: 0 }, batch)]).expect("appended");
    engine.settle().expect("settled");
}

/// What is found for some keys.
fn found(shared: &Shared, query: &Running, keys: &[&str]) -> Counts {
    let keys: Vec<Vec<Value>> = keys.iter().map(|key| vec![Value::String((*key).to_owned())]).collect();
    let batches =
        shared.look_up(query, &WindowRange::default(), &keys).expect("readable").expect("its state is being read");
    let number =
        |batch: &Batch, place: usize, row: usize| match Value::at(batch.columns[place].as_ref(), row, &SqlType::Bigint)
        {
            Value::Bigint(number) => number,
            other => panic!("{other:?} is no number"),
        };
    let row = |batch: &Batch, row: usize| {
        let key = Value::at(batch.columns[0].as_ref(), row, &SqlType::String).to_text();
        (key, (number(batch, 1, row), number(batch, 2, row)))
    };
    batches.iter().flat_map(|batch| (0..batch.rows()).map(move |at| row(batch, at))).collect()
}

#[test]
fn a_key_is_looked_up_in_the_runs_from_old_to_new_and_then_in_the_journal() {
    for seed in 0..4 {
        let (machine, mut random) = (ForgetfulDisk::new(seed), Random::new(seed));
        let engine = Engine::open(settings(machine.boot())).expect("an engine");
        statements::execute(&engine, TABLE).expect("done");
        let mut counts = Counts::new();
        // Each checkpoint makes a run that is much smaller than the one before, so that they are not merged.
        for rows in [400, 30, 3] {
            let keys: Vec<u64> = (0..rows).map(|_| random.below(20)).collect();
            count(&engine, &mut counts, &keys);
            engine.checkpoint().expect("a checkpoint");
        }
        // The journal has two changes of one key.
        for _ in 0..2 {
            count(&engine, &mut counts, &[seed, random.below(22)]);
        }
        machine.end(End::Kill);
        drop(engine);
        let (shared, mut restoring) = open::open(settings(machine.boot()), Workers::default()).expect("opened");
        let restoring = Arc::new(restoring.pop().expect("a query that goes on"));
        assert!(restoring.runs.len() > 1 && restoring.state.deltas.len() > 1, "old entries are overridden");
        let query = shared.query_of(&restoring.query, None, &Properties::default());
        query.restores(Some(restoring));
        for key in (0..23).map(|key| format!("key {key}")) {
            let wanted: Counts = counts.get_key_value(&key).map(|(k, v)| (k.clone(), *v)).into_iter().collect();
            assert_eq!(found(&shared, &query, &[&key]), wanted, "seed {seed}");
        }
        let all: Vec<&str> = counts.keys().map(String::as_str).collect();
        assert_eq!(found(&shared, &query, &all), counts, "seed {seed}, all keys at once");
    }
}
