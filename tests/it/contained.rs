//! A panic in one query: it fails with what panicked, and the others go on.

use std::sync::{Arc, Mutex};

use crate::told;
use tidemill::clock::SystemClock;
use tidemill::config::{self, Properties};
use tidemill::engine::{Drive, Engine, Life, Settings, Store};
use tidemill::error::Result;
use tidemill::journal::WhenFull;
use tidemill::runtime::{Placement, placement};
use tidemill::statements::{self, Session};
use tidemill::topics::PartitionId;

/// The usual places, but for a key at which somebody made a mistake.
struct Mistaken(Arc<dyn Placement>);

impl Placement for Mistaken {
    fn partition(&self, key: Option<&[u8]>, nth: u32, partitions: u32) -> u32 {
        assert!(key != Some(b"boom"), "a mistake on purpose");
        self.0.partition(key, nth, partitions)
    }
}

fn execute(engine: &Engine, text: &str) -> Result<()> {
    let parsed = statements::parse(text).expect("statements");
    let mut session = Session::new(engine, Properties::default());
    parsed.iter().try_for_each(|statement| session.run(statement).map(drop))
}

#[test]
fn a_panic_in_a_worker_fails_its_query_and_no_other() {
    let reports: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = reports.clone();
    let settings = Settings {
        drive: Drive::Threads { start: true },
        when_full: WhenFull::Retry,
        placement: Arc::new(Mistaken(placement::usual())),
        events: told::to(move |message| told.lock().expect("no panic").push(message.to_owned())),
        ..Settings::new(Store::Memory, Arc::new(SystemClock::new()), statements::compile_kept)
    };
    let settings = settings.with(&[(config::OFFSET_RESET, "earliest")]).expect("a property");
    let engine = Engine::open(settings).expect("an engine");
    execute(
        &engine,
        "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=2, VALUE_FORMAT='JSON');
         CREATE TABLE bad AS SELECT v, COUNT(*) AS c FROM s GROUP BY v;
         CREATE STREAM good AS SELECT v FROM s;
         INSERT INTO s (v) VALUES ('boom');
         INSERT INTO s (v) VALUES ('after');",
    )
    .expect("executed");
    let topic = engine.catalog().topic("GOOD").expect("the sink").id;
    let end = |partition| engine.topics().end(PartitionId { topic, partition }).expect("there");
    let failed = || matches!(engine.life("CTAS_BAD_0"), Some(Life::Failed(_)));
    let mut seen = 0;
    while !failed() || end(0) + end(1) < 2 {
        seen = engine.wait_decision(seen);
    }
    let Some(Life::Failed(error)) = engine.life("CTAS_BAD_0") else { panic!("it has failed") };
    assert!(error.to_string().contains("a mistake on purpose"), "{error}");
    assert!(engine.failure().is_none(), "the engine goes on");
    let reports = reports.lock().expect("no panic");
    assert_eq!(reports.iter().filter(|told| told.contains("CTAS_BAD_0 has failed")).count(), 1, "{reports:?}");
}
