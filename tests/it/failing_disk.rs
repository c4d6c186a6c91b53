//! An engine with its threads over a disk that fails or is full: everybody gets an answer, and the next start works.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, Weak, mpsc};
use std::time::Duration;

use tracing::Dispatch;

use crate::told;
use tidemill::clock::SystemClock;
use tidemill::config::{self, Properties};
use tidemill::disk::double::{End, ForgetfulDisk};
use tidemill::disk::{Disk, Open};
use tidemill::engine::{Drive, Engine, Settings, Store};
use tidemill::error::Result;
use tidemill::journal::WhenFull;
use tidemill::statements::{self, Session};

const STATEMENTS: &str = "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
    CREATE STREAM t AS SELECT v + v + v + v + v + v + v + v + v + v AS long FROM s;";

/// A row whose result is ten times as long.
const ROW: &str =
    "INSERT INTO s (v) VALUES ('0123456789012345678901234567890123456789012345678901234567890123456789');";

/// The size of a journal file.
const JOURNAL_BYTES: &str = "200000";

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

fn settings(disk: &Arc<dyn Disk>, when_full: WhenFull, events: Dispatch) -> Settings {
    let store = Store::Folder { disk: disk.clone(), path: "/data".into() };
    let usual = Settings::new(store, Arc::new(SystemClock::new()), statements::compile_kept);
    let settings = Settings { drive: Drive::Threads { start: true }, when_full, events, ..usual };
    let values = [(config::OFFSET_RESET, "earliest"), (config::JOURNAL_BYTES, JOURNAL_BYTES)];
    settings.with(&values).expect("properties")
}

fn open(disk: &Arc<dyn Disk>, when_full: WhenFull) -> Arc<Engine> {
    Arc::new(Engine::open(settings(disk, when_full, Dispatch::none())).expect("an engine"))
}

fn execute(engine: &Engine, text: &str) -> Result<()> {
    let parsed = statements::parse(text).expect("statements");
    let mut session = Session::new(engine, Properties::default());
    parsed.iter().try_for_each(|statement| session.run(statement).map(drop))
}

/// Leaves room for so many bytes more, once no spare of the journal is in the making: that takes room, too.
fn leave_room(machine: &ForgetfulDisk, disk: &dyn Disk, bytes: u64) {
    let dir = Path::new("/data/journal");
    let is_whole = |name: &String| {
        let file = disk.open(&dir.join(name), Open::Existing).expect("a spare");
        file.len().expect("its length").to_string() == JOURNAL_BYTES
    };
    until("the spares", || {
        let names = disk.names(dir).expect("a folder").into_iter();
        let spares: Vec<String> = names.filter(|name| name.ends_with(".spare")).collect();
        !spares.is_empty() && spares.iter().all(is_whole)
    });
    machine.set_room(Some(bytes));
}

/// What comes of something that another thread does; `None` if nothing does.
fn in_time<T: Send + 'static>(wait: Duration, make: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(make()));
    receive.recv_timeout(wait).ok()
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("in vain waited for: {what}");
}

#[test]
fn whoever_comes_behind_a_failed_sync_gets_an_error() {
    let machine = ForgetfulDisk::new(0);
    let disk = machine.boot();
    let engine = open(&disk, WhenFull::Retry);
    execute(&engine, STATEMENTS).expect("made");
    machine.fail_sync_after(Some(0));
    until("the failure", || execute(&engine, ROW).is_err() && engine.failure().is_some());
    let other = engine.clone();
    let asked = in_time(LONG, move || execute(&other, ROW));
    assert!(matches!(asked, Some(Err(_))), "no answer, or the wrong one: {asked:?}");
}

#[test]
fn an_engine_over_a_full_disk_can_be_closed() {
    let machine = ForgetfulDisk::new(0);
    let disk = machine.boot();
    let engine = open(&disk, WhenFull::Retry);
    execute(&engine, STATEMENTS).expect("made");
    execute(&engine, ROW).expect("there is room");
    engine.wait_drained(&|| false).expect("drained");
    leave_room(&machine, disk.as_ref(), 600);
    execute(&engine, ROW).expect("there is still room for the row");
    until("an epoch", || engine.stats("CSAS_T_0").is_some_and(|stats| stats.epoch.get() == 2));
    let closed = engine.clone();
    assert!(in_time(LONG, move || closed.close()).is_some(), "the engine does not end");
    machine.end(End::Kill);
    machine.set_room(None);
    let engine = open(&machine.boot(), WhenFull::Refuse);
    engine.wait_drained(&|| false).expect("drained");
    let topic = engine.catalog().topic("T").expect("the sink").id;
    let partition = tidemill::topics::PartitionId { topic, partition: 0 };
    assert_eq!(engine.topics().end(partition).expect("there"), 2, "what was not committed was done again");
}

#[test]
fn an_epoch_that_was_refused_is_not_taken_for_committed() {
    let machine = ForgetfulDisk::new(0);
    let engine: Arc<OnceLock<Weak<Engine>>> = Arc::default();
    let drained: Arc<Mutex<Option<mpsc::Receiver<Result<()>>>>> = Arc::default();
    let (own, looked) = (engine.clone(), drained.clone());
    // On the thread that has refused the epoch, before the query's failure is known: somebody asks whether all is done.
    let report = move |message: &str| {
        let Some(engine) = own.get().and_then(Weak::upgrade).filter(|_| message.contains("has failed")) else { return };
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || send.send(engine.wait_drained(&|| false)));
        *looked.lock().expect("no panic") = Some(receive);
        std::thread::sleep(Duration::from_millis(200));
    };
    let disk = machine.boot();
    let opened = Arc::new(Engine::open(settings(&disk, WhenFull::Refuse, told::to(report))).expect("an engine"));
    engine.set(Arc::downgrade(&opened)).expect("the first");
    execute(&opened, STATEMENTS).expect("made");
    execute(&opened, ROW).expect("there is room");
    opened.wait_drained(&|| false).expect("drained");
    leave_room(&machine, disk.as_ref(), 600);
    execute(&opened, ROW).expect("there is still room for the row");
    until("the refusal", || drained.lock().expect("no panic").is_some());
    let asked = drained.lock().expect("no panic").take().expect("somebody has asked").recv_timeout(LONG);
    assert!(matches!(asked, Ok(Err(_))), "its results are not there: {asked:?}");
}

#[test]
fn a_checkpoint_that_finds_the_disk_full_leaves_room_for_the_next_start() {
    let machine = ForgetfulDisk::new(0);
    let disk = machine.boot();
    let engine = open(&disk, WhenFull::Retry);
    execute(&engine, STATEMENTS).expect("made");
    execute(&engine, ROW).expect("there is room");
    engine.wait_drained(&|| false).expect("drained");
    leave_room(&machine, disk.as_ref(), 0);
    engine.checkpoint().expect_err("there is no room");
    machine.end(End::Kill);
    drop(engine);
    let settings = settings(&machine.boot(), WhenFull::Retry, Dispatch::none());
    let engine = Engine::open(settings).unwrap_or_else(|error| panic!("it does not start: {error}"));
    execute(&engine, "DROP STREAM t DELETE TOPIC;").expect("what makes room finds room");
}

#[test]
fn a_table_does_not_show_what_finds_no_room() {
    let machine = ForgetfulDisk::new(0);
    let disk = machine.boot();
    let engine = open(&disk, WhenFull::Retry);
    execute(
        &engine,
        "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE TABLE c AS SELECT v, COUNT(*) AS n FROM s GROUP BY v;",
    )
    .expect("made");
    execute(&engine, ROW).expect("there is room");
    engine.wait_drained(&|| false).expect("drained");
    leave_room(&machine, disk.as_ref(), 200);
    execute(&engine, ROW).expect("there is still room for the row");
    until("the row", || engine.stats("CTAS_C_0").is_some_and(|stats| stats.rows == 2));
    let ask = |engine: Arc<Engine>| in_time(LONG, move || execute(&engine, "SELECT * FROM c;"));
    let answer = ask(engine.clone());
    assert!(matches!(&answer, Some(Err(error)) if error.to_string().contains("committed")), "{answer:?}");
    machine.set_room(None);
    until("room", || matches!(ask(engine.clone()), Some(Ok(()))));
}
