//! Faults of the disk and of the moment: who asks gets an answer, what is kept stays, and nothing is left behind.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tidemill::clock::{Clock, ManualClock, SystemClock};
use tidemill::config::{self, Properties};
use tidemill::disk::double::{End, ForgetfulDisk, Random};
use tidemill::disk::{Disk, DiskFile, Lock, Open, RealDisk, SyncSite};
use tidemill::engine::{Drive, Engine, Settings, Store};
use tidemill::error::Result;
use tidemill::journal::WhenFull;
use tidemill::statements::{self, Session};
use tidemill::topics::PartitionId;
use tidemill::topics::record::BatchWriter;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(15);

pub(crate) fn settings(disk: Arc<dyn Disk>, path: &Path, drive: Drive, own: &[(&str, &str)]) -> Settings {
    let usual = [(config::OFFSET_RESET, "earliest"), (config::JOURNAL_BYTES, "65536"), (config::CACHE_BYTES, "0")];
    let clock: Arc<dyn Clock> = match drive {
        Drive::Manual => Arc::new(ManualClock::new()),
        Drive::Threads { .. } => Arc::new(SystemClock::new()),
    };
    let settings = Settings {
        drive,
        when_full: WhenFull::Retry,
        events: crate::told::to(|message| println!("{message}")),
        ..Settings::new(Store::Folder { disk, path: path.to_owned() }, clock, statements::compile_kept)
    };
    settings.with(&usual).and_then(|settings| settings.with(own)).expect("properties")
}

pub(crate) fn open(disk: Arc<dyn Disk>, drive: Drive, own: &[(&str, &str)]) -> Arc<Engine> {
    Arc::new(Engine::open(settings(disk, Path::new("/data"), drive, own)).expect("an engine"))
}

pub(crate) fn execute(engine: &Engine, text: &str) -> Result<()> {
    let parsed = statements::parse(text).expect("statements");
    let mut session = Session::new(engine, Properties::default());
    parsed.iter().try_for_each(|statement| session.run(statement).map(drop))
}

/// What comes of something that another thread does; `None` if nothing does.
fn in_time<T: Send + 'static>(wait: Duration, make: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(make()));
    receive.recv_timeout(wait).ok()
}

/// Appends values to the first partition of a topic.
pub(crate) fn append(engine: &Engine, topic: &str, values: impl Iterator<Item = String>) {
    let topic = engine.catalog().topic(topic).expect("a topic").id;
    let mut writer = BatchWriter::new();
    values.enumerate().for_each(|(n, value)| writer.push(1000 + n as i64, None, Some(value.as_bytes()), &[]));
    let batch = writer.finish().expect("some records");
    engine.topics().append(vec![(PartitionId { topic, partition: 0 }, batch)]).expect("appended");
}

/// The values in the first partition of a topic.
pub(crate) fn values(engine: &Engine, topic: &str) -> Vec<String> {
    let topic = engine.catalog().topic(topic).expect("a topic").id;
    let mut reader = engine.topics().reader(PartitionId { topic, partition: 0 }).expect("a reader");
    let (mut all, mut next) = (Vec::new(), 0);
    loop {
        let fetch = reader.read(next, 1 << 20).expect("records");
        if fetch.bytes.is_empty() {
            return all;
        }
        let read = fetch.each_record(next, |record| {
            all.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
            Ok(())
        });
        next = read.expect("whole batches");
    }
}

const COUNTS: &str = "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
    CREATE TABLE counts AS SELECT v, COUNT(*) AS c, LATEST_BY_OFFSET(v) AS last FROM s GROUP BY v;";

/// One turn of a query, which is left before so many results are committed: with a text in each, few make a batch.
fn part_of_a_turn(engine: &Engine, id: &str, topic: &str, all: usize) {
    engine.turn(id).expect("a part of a turn");
    let committed = values(engine, topic).len();
    assert!(committed < all, "{committed} results are committed, not less than {all}");
}

fn rows(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("{{\"V\":\"key {}\"}}", n % 10))
}

/// Whoever asks for a key gets what is committed, or is told why not. All its rows came in one turn.
fn is_answered(engine: Arc<Engine>) {
    let asked = in_time(LONG, move || {
        let parsed = statements::parse("SELECT c FROM counts WHERE v = 'key 1';").expect("a statement");
        Session::new(&engine, Properties::default()).run(&parsed[0]).map(|outcome| match outcome {
            statements::Outcome::Rows(rows) => format!("{:?}", rows.rows),
            _ => "no rows".to_owned(),
        })
    });
    let asked = asked.expect("no answer");
    assert!(asked.as_ref().map_or(true, |rows| rows == "[]" || rows == "[[Bigint(50)]]"), "{asked:?}");
}

#[test]
fn a_table_whose_query_is_in_the_middle_of_a_turn_can_be_read() {
    let machine = ForgetfulDisk::new(0);
    let engine = open(machine.boot(), Drive::Manual, &[(config::TURN_BYTES, "200")]);
    execute(&engine, COUNTS).expect("made");
    append(&engine, "s", rows(500));
    part_of_a_turn(&engine, "CTAS_COUNTS_0", "COUNTS", 500);
    is_answered(engine);
}

#[test]
fn a_table_whose_query_rests_in_the_middle_of_a_turn_can_be_read() {
    let machine = ForgetfulDisk::new(0);
    let engine = open(machine.boot(), Drive::Manual, &[(config::TURN_BYTES, "200")]);
    execute(&engine, COUNTS).expect("made");
    append(&engine, "s", rows(500));
    part_of_a_turn(&engine, "CTAS_COUNTS_0", "COUNTS", 500);
    execute(&engine, "PAUSE CTAS_COUNTS_0;").expect("paused");
    is_answered(engine);
}

#[test]
fn a_table_whose_query_repeats_turns_after_a_restart_can_be_read() {
    let machine = ForgetfulDisk::new(0);
    let engine = open(machine.boot(), Drive::Manual, &[(config::TURN_BYTES, "200")]);
    execute(&engine, COUNTS).expect("made");
    append(&engine, "s", rows(500));
    part_of_a_turn(&engine, "CTAS_COUNTS_0", "COUNTS", 500);
    machine.end(End::Kill);
    drop(engine);
    let engine = open(machine.boot(), Drive::Manual, &[(config::TURN_BYTES, "200")]);
    is_answered(engine);
}

/// The results of small rows behind some large ones, all and different ones, where a turn was left under one limit of records
/// and is repeated under another.
fn repeated(before: &str, after: &str) -> (usize, usize) {
    let machine = ForgetfulDisk::new(0);
    let own = |most| [(config::TURN_BYTES, "2000"), (config::MAX_MESSAGE_BYTES, most)];
    let engine = open(machine.boot(), Drive::Manual, &own(before));
    execute(
        &engine,
        "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE TABLE t AS SELECT v, LATEST_BY_OFFSET(v + v) AS w FROM s GROUP BY v;",
    )
    .expect("made");
    // Of the first rows the results are large.
    let row = |n: usize| format!("{{\"V\":\"{n:03}{}\"}}", if n < 3 { "x".repeat(700) } else { "y".repeat(20) });
    append(&engine, "s", (0..300).map(row));
    part_of_a_turn(&engine, "CTAS_T_0", "T", 250);
    machine.end(End::Kill);
    drop(engine);
    let engine = open(machine.boot(), Drive::Manual, &own(after));
    engine.settle().expect("settled");
    append(&engine, "s", (300..310).map(row));
    engine.settle().expect("settled");
    let mut found: Vec<String> = values(&engine, "T").into_iter().filter(|value| value.contains('y')).collect();
    let count = found.len();
    found.sort();
    found.dedup();
    (count, found.len())
}

#[test]
fn no_result_is_doubled_under_a_larger_limit_of_records() {
    assert_eq!(repeated("1024", "4096"), (307, 307), "records, and different ones");
}

#[test]
fn no_result_is_lost_under_a_smaller_limit_of_records() {
    assert_eq!(repeated("4096", "1024"), (307, 307), "records, and different ones");
}

#[test]
fn a_checkpoint_that_finds_no_room_for_its_manifest_leaves_no_run() {
    let machine = ForgetfulDisk::new(0);
    let disk = machine.boot();
    let engine = open(disk.clone(), Drive::Manual, &[]);
    execute(&engine, COUNTS).expect("made");
    append(&engine, "s", rows(500));
    engine.settle().expect("settled");
    // Enough for the spare file that a checkpoint needs, and for nothing besides.
    machine.set_room(Some(65_540));
    engine.checkpoint().expect_err("there is no room for a run");
    for room in (0..200_000).step_by(20) {
        machine.set_room(Some(room));
        let done = engine.checkpoint();
        if done.is_ok() {
            return;
        }
        let left = disk.names(Path::new("/data/state")).expect("the folder of the runs");
        assert!(left.is_empty(), "with room for {room} bytes: {left:?} are left, since {}", done.expect_err("none"));
    }
    panic!("no checkpoint");
}

/// A folder on the machine's own disk, gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("tidemill-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_somebody_else_put_into_the_folder_of_topics_stays() {
    let scratch = Scratch::new("strangers");
    let start = || Engine::open(settings(Arc::new(RealDisk), &scratch.0, Drive::Manual, &[])).map(drop);
    start().expect("an engine");
    std::fs::create_dir(scratch.0.join("topics/my notes")).expect("made");
    std::fs::write(scratch.0.join("topics/my notes/a"), "mine").expect("written");
    start().expect("an engine");
    assert!(scratch.0.join("topics/my notes/a").exists(), "a folder that we did not make is gone");
}

#[test]
fn a_file_that_somebody_put_into_the_folder_of_topics_is_in_nobodys_way() {
    let scratch = Scratch::new("stranger");
    let start = || Engine::open(settings(Arc::new(RealDisk), &scratch.0, Drive::Manual, &[])).map(drop);
    start().expect("an engine");
    std::fs::write(scratch.0.join("topics/.DS_Store"), "mine").expect("written");
    start().unwrap_or_else(|error| panic!("it does not start: {error}"));
}

#[test]
fn a_folder_without_its_journal_is_not_taken_for_a_new_one() {
    let machine = ForgetfulDisk::new(0);
    let disk = machine.boot();
    let engine = open(disk.clone(), Drive::Manual, &[]);
    execute(&engine, COUNTS).expect("made");
    append(&engine, "s", rows(5));
    machine.end(End::Kill);
    drop(engine);
    let disk = machine.boot();
    let folder = Path::new("/data/journal");
    for name in disk.names(folder).expect("the journal") {
        disk.remove_file(&folder.join(name)).expect("removed");
    }
    let opened = Engine::open(settings(disk.clone(), Path::new("/data"), Drive::Manual, &[]));
    let topics = disk.names(Path::new("/data/topics")).expect("topics");
    assert!(opened.is_err() && !topics.is_empty(), "opened: {}, topics: {topics:?}", opened.is_ok());
}

/// A disk that fails the next reservation as a signal would, the next renaming of a file to a spare, or the next write to a
/// file of the journal.
#[derive(Clone)]
struct Faulty {
    disk: Arc<dyn Disk>,
    interrupts: Arc<AtomicBool>,
    fails_rename: Arc<AtomicBool>,
    /// The number of the error; 0 for none.
    fails_frame: Arc<AtomicI32>,
}

impl Faulty {
    fn new(disk: Arc<dyn Disk>) -> Faulty {
        Faulty { disk, interrupts: Arc::default(), fails_rename: Arc::default(), fails_frame: Arc::default() }
    }
}

/// A file on such a disk.
struct FaultyFile(Arc<dyn DiskFile>, Faulty);

impl DiskFile for FaultyFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match bytes.starts_with(b"TMFR").then(|| self.1.fails_frame.swap(0, Ordering::SeqCst)) {
            None | Some(0) => self.0.write_at(bytes, offset),
            Some(error) => Err(io::Error::from_raw_os_error(error)),
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, part: Range<u64>) -> io::Result<()> {
        self.0.allocate(part)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        match self.1.interrupts.swap(false, Ordering::SeqCst) {
            true => Err(io::Error::from_raw_os_error(libc::EINTR)),
            false => self.0.reserve(len),
        }
    }

    fn sync(&self, site: SyncSite) -> io::Result<()> {
        self.0.sync(site)
    }
}

impl Disk for Faulty {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(FaultyFile(self.disk.open(path, how)?, self.clone())))
    }

    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        self.disk.create_dir(path)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.names(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let is_spare = to.extension().is_some_and(|extension| extension == "spare");
        if is_spare && self.fails_rename.swap(false, Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path, site: SyncSite) -> io::Result<()> {
        self.disk.sync_dir(dir, site)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.disk.lock(path)
    }

    fn most_files(&self) -> usize {
        self.disk.most_files()
    }
}

#[test]
fn a_spare_in_which_a_signal_came_is_made_again() {
    let machine = ForgetfulDisk::new(0);
    let disk = Faulty::new(machine.boot());
    let engine = open(Arc::new(disk.clone()), Drive::Manual, &[]);
    execute(&engine, COUNTS).expect("made");
    append(&engine, "s", rows(5));
    disk.interrupts.store(true, Ordering::SeqCst);
    // Enough for another journal file.
    (0..8).for_each(|_| append(&engine, "s", rows(1000)));
    assert!(!disk.interrupts.load(Ordering::SeqCst), "a spare was made");
}

/// What comes of two rows if the write of the first one's frame fails, and the number of rows after a restart.
fn failing_frame(error: i32) -> (Result<()>, Result<()>, bool, usize) {
    let machine = ForgetfulDisk::new(0);
    let disk = Faulty::new(machine.boot());
    let engine = open(Arc::new(disk.clone()), Drive::Threads { start: true }, &[]);
    execute(&engine, "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');")
        .expect("made");
    disk.fails_frame.store(error, Ordering::SeqCst);
    let rows = ["first", "second"].map(|v| execute(&engine, &format!("INSERT INTO s (v) VALUES ('{v}');")));
    // The journal's thread says so after it has answered.
    let failed = (0..if error == libc::EIO { 500 } else { 1 }).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        engine.failure().is_some()
    });
    machine.end(End::Kill);
    drop(engine);
    let engine = open(machine.boot(), Drive::Manual, &[]);
    let [first, second] = rows;
    (first, second, failed, values(&engine, "s").len())
}

#[test]
fn a_frame_that_cannot_be_written_ends_the_engine() {
    let (first, second, failed, rows) = failing_frame(libc::EIO);
    assert!(first.is_err() && second.is_err() && failed && rows == 0, "{first:?} {second:?} {failed} {rows}");
}

#[test]
fn a_frame_that_finds_no_room_is_refused_and_nothing_else() {
    let (first, second, failed, rows) = failing_frame(libc::ENOSPC);
    assert!(first.is_err() && second.is_ok() && !failed && rows == 1, "{first:?} {second:?} {failed} {rows}");
}

#[test]
fn queries_go_on_after_a_checkpoint_that_could_not_recycle_the_journal() {
    let machine = ForgetfulDisk::new(0);
    let disk = Faulty::new(machine.boot());
    // While the engine is filled, no checkpoint comes through.
    let engine = open(Arc::new(disk.clone()), Drive::Threads { start: true }, &[(config::CHECKPOINT_BYTES, "100000")]);
    execute(&engine, COUNTS).expect("made");
    disk.fails_rename.store(true, Ordering::SeqCst);
    // More than twice as much in one round: epochs wait for the checkpoint.
    append(&engine, "s", rows(10_000));
    let waited = engine.clone();
    let drained = in_time(LONG, move || waited.wait_drained(&|| false));
    assert!(!disk.fails_rename.load(Ordering::SeqCst), "a renaming has failed");
    assert!(matches!(drained, Some(Ok(()))), "the query stands still: {:?}", engine.stats("CTAS_COUNTS_0"));
}

/// Appends values with their times to a partition of a topic.
pub(crate) fn append_at(engine: &Engine, topic: &str, partition: u32, values: &[(i64, &str)]) {
    let topic = engine.catalog().topic(topic).expect("a topic").id;
    let mut writer = BatchWriter::new();
    for (time, value) in values {
        writer.push(*time, None, Some(format!("{{\"V\":\"{value}\"}}").as_bytes()), &[]);
    }
    let batch = writer.finish().expect("some records");
    engine.topics().append(vec![(PartitionId { topic, partition }, batch)]).expect("appended");
}

const WINDOWS: &str = "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE TABLE t WITH (PARTITIONS=1) AS SELECT v, COUNT(*) AS c, LATEST_BY_OFFSET(v) AS last FROM s
    WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY v;";

/// The number of results where one partition lags behind; with a restart in the middle of a turn, or without.
fn lagging(restarts: bool) -> usize {
    let machine = ForgetfulDisk::new(0);
    let own = [(config::TURN_BYTES, "200")];
    let mut engine = open(machine.boot(), Drive::Manual, &own);
    execute(&engine, WINDOWS).expect("made");
    append_at(&engine, "s", 0, &[(1_000, "a")]);
    engine.settle().expect("settled");
    // The second partition has stood at its end from the start; now it brings rows, too many for one commit.
    append_at(&engine, "s", 1, &[(1_000, "a"); 50]);
    part_of_a_turn(&engine, "CTAS_T_0", "T", 51);
    if restarts {
        machine.end(End::Kill);
        drop(engine);
        engine = open(machine.boot(), Drive::Manual, &own);
    }
    engine.settle().expect("settled");
    append_at(&engine, "s", 0, &[(100_000, "a")]);
    engine.settle().expect("settled");
    append_at(&engine, "s", 0, &[(5_000, "a")]);
    engine.settle().expect("settled");
    values(&engine, "T").len()
}

#[test]
fn a_partition_that_is_not_idle_any_more_holds_back_time_after_a_restart_too() {
    assert_eq!(lagging(false), 53, "the lagging partition holds back time");
    assert_eq!(lagging(true), 53, "and does so after a restart");
}

#[test]
fn a_row_of_a_partition_that_holds_back_time_is_not_late() {
    let machine = ForgetfulDisk::new(0);
    let engine = open(machine.boot(), Drive::Manual, &[]);
    execute(&engine, WINDOWS).expect("made");
    for (partition, time) in [(0, 1_000), (1, 1_000), (0, 100_000), (1, 2_000)] {
        append_at(&engine, "s", partition, &[(time, "a")]);
        engine.settle().expect("settled");
    }
    assert_eq!(values(&engine, "T").len(), 4, "the last row is late although its partition was not idle");
}

/// Kills the process and starts another one.
pub(crate) fn again(machine: &ForgetfulDisk, engine: Arc<Engine>, own: &[(&str, &str)]) -> Arc<Engine> {
    machine.end(End::Kill);
    drop(engine);
    open(machine.boot(), Drive::Manual, own)
}

#[test]
fn counts_are_right_after_many_checkpoints_and_merges() {
    let machine = ForgetfulDisk::new(0);
    let mut random = Random::new(0);
    let mut engine = open(machine.boot(), Drive::Manual, &[]);
    execute(&engine, COUNTS).expect("made");
    let mut wanted = std::collections::BTreeMap::new();
    for round in 0..60 {
        let count = [1, 3, 40, 600][random.below(4) as usize];
        let keys: Vec<String> = (0..count).map(|_| format!("key {}", random.below(800))).collect();
        keys.iter().for_each(|key| *wanted.entry(key.clone()).or_insert(0) += 1);
        append(&engine, "s", keys.iter().map(|key| format!("{{\"V\":\"{key}\"}}")));
        engine.settle().expect("settled");
        engine.checkpoint().expect("a checkpoint");
        if round % 5 == 4 {
            engine = again(&machine, engine, &[]);
            let parsed = statements::parse("SELECT v, c FROM counts;").expect("a statement");
            let outcome = Session::new(&engine, Properties::default()).run(&parsed[0]).expect("rows");
            let statements::Outcome::Rows(shown) = outcome else { panic!("no rows") };
            let mut found: Vec<String> = shown.rows.iter().map(|row| format!("{row:?}")).collect();
            let mut all: Vec<String> =
                wanted.iter().map(|(key, count)| format!("[String({key:?}), Bigint({count})]")).collect();
            found.sort();
            all.sort();
            assert_eq!(found, all, "round {round}");
        }
    }
}

#[test]
fn rows_that_found_no_partner_are_padded_once_over_many_checkpoints_and_merges() {
    let machine = ForgetfulDisk::new(0);
    let mut random = Random::new(0);
    let mut engine = open(machine.boot(), Drive::Manual, &[]);
    execute(
        &engine,
        "CREATE STREAM a (v VARCHAR) WITH (KAFKA_TOPIC='a', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM b (v VARCHAR) WITH (KAFKA_TOPIC='b', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM t AS SELECT a.v AS l, b.v AS r FROM a LEFT JOIN b WITHIN 20 SECONDS GRACE PERIOD 0 SECONDS ON a.v = b.v;",
    )
    .expect("made");
    let (mut time, mut rows) = (1_000_000, 0);
    for round in 0..60 {
        for _ in 0..[1, 2, 9, 60][random.below(4) as usize] {
            time += 700;
            rows += 1;
            append_at(&engine, "a", 0, &[(time, format!("row {rows}").as_str())]);
            append_at(&engine, "b", 0, &[(time, "no partner")]);
        }
        engine.settle().expect("settled");
        engine.checkpoint().expect("a checkpoint");
        if round % 5 == 4 {
            engine = again(&machine, engine, &[]);
        }
    }
    // Time passes far enough for all of them.
    append_at(&engine, "a", 0, &[(time + 1_000_000, "last")]);
    append_at(&engine, "b", 0, &[(time + 1_000_000, "no partner")]);
    engine.settle().expect("settled");
    assert_eq!(values(&engine, "T").len(), rows, "each row is padded once, but for the last");
}

/// What exists, and in which state.
fn world(engine: &Engine) -> Vec<String> {
    let catalog = engine.catalog();
    let mut all: Vec<String> = Vec::new();
    all.extend(catalog.topics().map(|topic| format!("topic {} {} {}", topic.name, topic.id, topic.partitions)));
    all.extend(catalog.sources().map(|source| format!("source {} {:?} {:?}", source.name, source.topic, source.query)));
    all.extend(catalog.custom_types().map(|(name, custom)| format!("type {name} {:?}", custom.sql_type)));
    for query in catalog.queries() {
        let life = engine.life(&query.id).map(|life| life.name());
        all.push(format!("query {} {} {} {life:?}", query.id, query.number, !query.pauses.is_empty()));
    }
    all
}

/// Executes statements, makes a checkpoint, and starts again: what is there before and after.
fn kept(text: &str) -> (Vec<String>, Vec<String>) {
    let machine = ForgetfulDisk::new(0);
    let engine = open(machine.boot(), Drive::Manual, &[]);
    execute(&engine, text).unwrap_or_else(|error| panic!("{error}"));
    engine.checkpoint().expect("a checkpoint");
    let before = world(&engine);
    machine.end(End::Kill);
    drop(engine);
    let opened = Engine::open(settings(machine.boot(), Path::new("/data"), Drive::Manual, &[]));
    (before, world(&opened.unwrap_or_else(|error| panic!("it does not start: {error}"))))
}

#[test]
fn a_query_that_was_paused_twice_and_resumed_runs_after_a_restart() {
    let (before, after) = kept(
        "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM a AS SELECT v FROM s;
         CREATE STREAM b AS SELECT v FROM s;
         PAUSE CSAS_A_0;
         PAUSE ALL;
         RESUME CSAS_A_0;",
    );
    assert_eq!(after, before);
}

#[test]
fn numbers_are_not_given_out_again_after_a_restart() {
    let machine = ForgetfulDisk::new(0);
    let engine = open(machine.boot(), Drive::Manual, &[]);
    execute(&engine, COUNTS).expect("made");
    execute(&engine, "DROP TABLE counts DELETE TOPIC;").expect("dropped");
    engine.checkpoint().expect("a checkpoint");
    machine.end(End::Kill);
    drop(engine);
    let engine = open(machine.boot(), Drive::Manual, &[]);
    execute(&engine, "CREATE TABLE counts AS SELECT v, COUNT(*) AS c FROM s GROUP BY v;").expect("made");
    let (topic, query) = (engine.catalog().topic("COUNTS").expect("a topic").id, engine.catalog().queries()[0].number);
    assert_eq!((topic.get(), query.get()), (2, 1));
}

#[test]
fn a_stream_that_was_dropped_with_the_topic_of_another_statement_does_not_hinder_a_restart() {
    let (before, after) = kept(
        "CREATE STREAM b (v VARCHAR) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM x AS SELECT v FROM b;
         TERMINATE CSAS_X_0;
         DROP STREAM b;
         CREATE STREAM a (v VARCHAR) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');
         DROP STREAM a DELETE TOPIC;",
    );
    assert_eq!(after, before);
}

#[test]
fn a_type_with_small_letters_is_kept_for_what_was_made_of_it() {
    let (before, after) = kept(
        "CREATE TYPE `Address` AS STRUCT<street VARCHAR>;
         CREATE STREAM s (a `Address`) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         DROP TYPE `Address`;",
    );
    assert_eq!(after, before);
}

/// Statements that make, end, pause and drop things, some of them refused.
fn statement(random: &mut Random, ids: &[String]) -> String {
    let name = |random: &mut Random| ["a", "b", "c"][random.below(3) as usize];
    let other = |random: &mut Random| ["x", "y"][random.below(2) as usize];
    let query = |random: &mut Random| match random.below(4 * ids.len() as u64 + 1) {
        0 => "ALL".to_owned(),
        n => ids[n as usize % ids.len()].clone(),
    };
    match random.below(24) {
        0..3 => {
            let (own, topic) = (name(random), name(random));
            let column = ["VARCHAR", "t", "u"][random.below(3) as usize];
            format!("CREATE STREAM {own} (v {column}) WITH (KAFKA_TOPIC='{topic}', PARTITIONS=1, VALUE_FORMAT='JSON');")
        }
        3..7 => format!("CREATE STREAM {} AS SELECT * FROM {};", other(random), name(random)),
        7..9 => format!("INSERT INTO {} SELECT * FROM {};", other(random), name(random)),
        9 => format!("DROP STREAM {};", name(random)),
        10 => format!("DROP STREAM {} DELETE TOPIC;", name(random)),
        11 => format!("DROP STREAM {};", other(random)),
        12 => format!("TERMINATE {};", query(random)),
        13..16 => format!("PAUSE {};", query(random)),
        16..18 => "PAUSE ALL;".to_owned(),
        18..20 => format!("RESUME {};", query(random)),
        20..22 => {
            let of = ["VARCHAR", "BIGINT", "ARRAY<t>", "STRUCT<f VARCHAR>"][random.below(4) as usize];
            format!("CREATE TYPE {} AS {of};", ["t", "u"][random.below(2) as usize])
        }
        _ => format!("DROP TYPE {};", ["t", "u"][random.below(2) as usize]),
    }
}

#[test]
fn what_exists_is_the_same_after_every_restart() {
    let seeds = std::env::var("KEPT_SEEDS").map_or(40, |text| text.parse().expect("KEPT_SEEDS is a number"));
    for seed in 0..seeds {
        let mut random = Random::new(seed);
        let machine = ForgetfulDisk::new(seed);
        let mut engine = open(machine.boot(), Drive::Manual, &[]);
        let mut story = Vec::new();
        for name in ["a", "b", "c"] {
            let with = format!("WITH (KAFKA_TOPIC='{name}', PARTITIONS=1, VALUE_FORMAT='JSON')");
            execute(&engine, &format!("CREATE STREAM {name} (v VARCHAR) {with};")).expect("made");
        }
        for _ in 0..120 {
            match random.below(12) {
                0 => {
                    story.push("checkpoint".to_owned());
                    engine.checkpoint().expect("a checkpoint");
                }
                1 => {
                    story.push("restart".to_owned());
                    let before = world(&engine);
                    drop(engine);
                    let opened = Engine::open(settings(machine.boot(), Path::new("/data"), Drive::Manual, &[]));
                    let told = |error| panic!("seed {seed}: it does not start: {error}\n{}", story.join("\n"));
                    engine = Arc::new(opened.unwrap_or_else(told));
                    assert_eq!(world(&engine), before, "seed {seed}\n{}", story.join("\n"));
                }
                _ => {
                    let ids: Vec<String> = engine.catalog().queries().iter().map(|query| query.id.clone()).collect();
                    let text = statement(&mut random, &ids);
                    let done = execute(&engine, &text);
                    story.push(format!(
                        "{text} {}",
                        done.map_or_else(|error| format!("-- {error}"), |()| String::new())
                    ));
                }
            }
        }
    }
}
