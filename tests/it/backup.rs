//! Backups: of a folder that is written to all the time, of a stopped one, and by a service. What was committed before
//! is in them, and what their queries go on to write is there once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tidemill::disk::double::{End, ForgetfulDisk};
use tidemill::disk::{Disk, RealDisk, SyncSite};
use tidemill::engine::{Backup, Drive, Engine};

use crate::command_line::{Folder, assert_has};
use crate::storage_faults::{append, execute, open, settings, values};

const QUERIES: &str = "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
    CREATE STREAM copy AS SELECT v FROM s;
    CREATE TABLE t WITH (PARTITIONS=1) AS SELECT SUBSTRING(v, 1, 1) AS k, COUNT(*) AS n FROM s
    GROUP BY SUBSTRING(v, 1, 1);";

/// Sizes so small that segments, journal files, checkpoints and merges come all the time.
const SMALL: &[(&str, &str)] = &[
    ("tidemill.segment.bytes", "20000"),
    ("tidemill.checkpoint.bytes", "60000"),
    ("tidemill.journal.bytes", "16384"),
    ("commit.interval.ms", "5"),
];

fn record(number: usize) -> String {
    format!("{{\"V\":\"{}{number}\"}}", number % 10)
}

/// Checks an engine whose queries have read everything: the records in their order, each once in both results.
fn check(engine: &Engine, what: &str) -> usize {
    engine.wait_drained(&|| false).expect("drained");
    let source = values(engine, "s");
    let expected: Vec<String> = (0..source.len()).map(record).collect();
    assert_eq!(source, expected, "{what}: the source");
    assert_eq!(values(engine, "COPY"), expected, "{what}: the copies");
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for value in values(engine, "T") {
        let row: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        // With the cache off, every input row gives the next count of its key.
        let count = row["N"].as_u64().expect("a count");
        *counts.entry(count.to_string()).or_default() += 1;
    }
    let most = source.len().div_ceil(10) as u64;
    for count in 1..=most {
        let keys = (0..10).filter(|key| (source.len() + 9 - key) / 10 >= count as usize).count() as u64;
        assert_eq!(counts.remove(&count.to_string()), Some(keys), "{what}: counts of {count}");
    }
    assert!(counts.is_empty(), "{what}: counts that cannot be: {counts:?}");
    source.len()
}

fn open_at(path: &Path) -> Arc<Engine> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    Arc::new(Engine::open(settings(disk, path, Drive::Threads { start: true }, SMALL)).expect("an engine"))
}

#[test]
fn backups_under_load_have_what_was_committed_and_go_on_exactly() {
    let folder = Folder::new();
    let engine = open_at(&folder.data());
    execute(&engine, QUERIES).expect("made");
    let (committed, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut linked = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // A check that fails does not say that it is over.
            while !is_over.load(Ordering::SeqCst) && committed.load(Ordering::SeqCst) < 200_000 {
                let from = committed.load(Ordering::SeqCst);
                append(&engine, "s", (from..from + 50).map(record));
                committed.store(from + 50, Ordering::SeqCst);
            }
        });
        for round in 0..8 {
            let enough = 300 * (round + 1);
            while committed.load(Ordering::SeqCst) < enough {
                engine.wait_decision(u64::MAX);
            }
            let before = committed.load(Ordering::SeqCst);
            let target = folder.path(&format!("backup-{round}"));
            let Backup { linked: now, .. } = engine.backup(&target).expect("a backup");
            linked += now;
            let after = committed.load(Ordering::SeqCst) + 50;
            let restored = open_at(&target);
            let found = values(&restored, "s").len();
            assert!(
                (before..=after).contains(&found),
                "{before} were committed before, {after} after, {found} are there"
            );
            assert_eq!(check(&restored, &format!("backup {round}")), found);
            // It goes on by itself, also after another start.
            append(&restored, "s", (found..found + 25).map(record));
            check(&restored, &format!("backup {round} with more"));
            restored.close();
            drop(restored);
            assert_eq!(check(&open_at(&target), &format!("backup {round} once more")), found + 25);
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert!(linked > 0, "nothing that does not change any more was linked");
    // What the copies have done has not touched the folder.
    check(&engine, "the folder");
    engine.close();
    drop(engine);
    check(&open_at(&folder.data()), "the folder after a restart");
}

/// A backup on a disk that forgets what was not synced, after a power cut; whether it is whole.
fn survives(seed: u64, ignored: Option<SyncSite>) -> bool {
    let machine = ForgetfulDisk::new(seed);
    let engine = open(machine.boot(), Drive::Manual, SMALL);
    execute(&engine, QUERIES).expect("made");
    for from in 0..12 {
        append(&engine, "s", (from * 40..from * 40 + 40).map(record));
        engine.settle().expect("settled");
    }
    if let Some(site) = ignored {
        machine.ignore(site);
    }
    engine.backup(Path::new("/backup")).expect("a backup");
    machine.end(End::Cut);
    drop(engine);
    let opened = Engine::open(settings(machine.boot(), Path::new("/backup"), Drive::Manual, SMALL));
    let Ok(engine) = opened else { return false };
    let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        engine.settle().expect("settled");
        values(&engine, "s").len() == 480 && values(&engine, "COPY").len() == 480 && values(&engine, "T").len() == 480
    }));
    whole.unwrap_or(false)
}

#[test]
fn a_backup_is_durable_when_it_is_done() {
    for seed in 0..10 {
        assert!(survives(seed, None), "seed {seed}");
    }
    for site in [SyncSite::BackupFile, SyncSite::BackupDirectory] {
        assert!((0..10).any(|seed| !survives(seed, Some(site))), "no seed misses the sync {site:?}");
    }
}

#[test]
fn a_backup_that_is_cut_off_is_refused_or_whole() {
    for operations in 0..60 {
        let machine = ForgetfulDisk::new(operations);
        let engine = open(machine.boot(), Drive::Manual, SMALL);
        execute(&engine, QUERIES).expect("made");
        append(&engine, "s", (0..100).map(record));
        engine.settle().expect("settled");
        engine.checkpoint().expect("a checkpoint");
        machine.end_after(End::Kill, operations);
        let done = engine.backup(Path::new("/backup")).is_ok();
        machine.end(End::Kill);
        drop(engine);
        let opened = Engine::open(settings(machine.boot(), Path::new("/backup"), Drive::Manual, SMALL));
        match opened {
            Ok(engine) if engine.catalog().topic("s").is_some() => assert_eq!(values(&engine, "s").len(), 100),
            // Nothing of it was there yet, so a new folder was made.
            Ok(engine) => assert!(!done && engine.statements().is_empty()),
            Err(error) => assert!(!done, "{error:?}"),
        }
    }
}

#[test]
fn a_stopped_folder_is_backed_up_by_the_command() {
    let folder = Folder::new();
    folder.ok(&["run", "--until-drained", "-e", &format!("{QUERIES} INSERT INTO s VALUES ('a');")]);
    let target = folder.path("backup").display().to_string();
    assert_has(&folder.ok(&["backup", &target]), &["files linked", "copied"]);
    assert_has(&folder.refused(1, &["backup", &target]), &["there is something in"]);
    let consumed = |data: &str| folder.ok(&["topic", "consume", "COPY", "--data-dir", data]);
    assert_eq!(consumed(&target), consumed(&folder.data().display().to_string()));
    assert_eq!(folder.ok(&["export", "--data-dir", &target]), folder.ok(&["export"]));
    let nowhere = folder.path("nowhere").display().to_string();
    folder.refused(2, &["backup", "--data-dir", &nowhere, &folder.path("other").display().to_string()]);
}
