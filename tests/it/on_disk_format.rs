//! The description of the bytes on disk is complete and right: a reader that was written from it alone, in another language,
//! finds what was written, and notices a wrong byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tidemill::clock::SystemClock;
use tidemill::disk::RealDisk;
use tidemill::engine::{Engine, Settings, Store};
use tidemill::statements::compile_kept;

use crate::command_line::{Folder, Ran};

/// A stream with two partitions, aggregates with and without windows, and a join that waits for partners.
const STATEMENTS: &str = "
CREATE STREAM l (k STRING KEY, a STRING, n INT) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON', PARTITIONS=2);
CREATE STREAM r (k STRING KEY, b STRING) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON', PARTITIONS=2);
CREATE STREAM gone (k STRING KEY) WITH (KAFKA_TOPIC='gone', VALUE_FORMAT='JSON', PARTITIONS=1);
CREATE TABLE windows AS SELECT a, COUNT(*) AS n, SUM(n) AS s FROM l WINDOW TUMBLING (SIZE 5 MINUTES) GROUP BY a;
CREATE TABLE counts AS SELECT k, COUNT(*) AS n FROM l GROUP BY k;
CREATE STREAM joined AS SELECT l.k, a, b FROM l LEFT JOIN r WITHIN 1 HOUR GRACE PERIOD 1 HOUR ON l.k = r.k;
DROP STREAM gone DELETE TOPIC;
";

/// Sizes that make many files of little data.
const SMALL: [&str; 4] = ["--set", "tidemill.segment.bytes=20000", "--set", "tidemill.checkpoint.bytes=20000"];

/// The records of the stream `l`, and how many more of them come after the checkpoint.
const RECORDS: (usize, usize) = (3_000, 1_000);

/// How many records of each partition of `l` are deleted in the end.
const DELETED: (usize, &str) = (700, "700");

/// Lines for `topic produce --envelope`; `value` makes the value of a number.
fn lines(numbers: std::ops::Range<usize>, value: impl Fn(usize) -> String) -> String {
    let line = |n: usize| {
        let (key, time) = (n % 700, 1_700_000_000_000 + n * 1000);
        format!("{{\"key\":\"k{key}\",\"value\":{},\"timestamp\":{time}}}\n", value(n))
    };
    numbers.map(line).collect()
}

fn produce(folder: &Folder, topic: &str, settings: &[&str], lines: &str) {
    let arguments = [&["topic", "produce", topic, "--envelope"], settings].concat();
    let ran = folder.run_with(&arguments, lines);
    assert_eq!(ran.status, 0, "{ran:?}");
}

/// What the reader says of a data folder; `None`, with a printed line, where there is no Python.
fn read(data: &Path) -> Option<Ran> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read-folder");
    match Command::new("python3").arg(script).arg(data).output() {
        Ok(output) => Some(Ran::of(output)),
        Err(error) => {
            crate::skip(format_args!("python3 cannot be run: {error}"));
            None
        }
    }
}

/// Makes a topic of few keys that no query reads, and compacts it.
fn compact(folder: &Folder) {
    let settings = ["cleanup.policy=compact", "segment.bytes=5000", "min.cleanable.dirty.ratio=0"];
    folder.ok(&[
        &["topic", "create", "keyed", "--partitions", "1"],
        &settings.map(|own| ["--config", own]).concat()[..],
    ]
    .concat());
    let value = |n: usize| if n.is_multiple_of(3) { "null".to_owned() } else { n.to_string() };
    (0..10).for_each(|round| produce(folder, "keyed", &[], &lines(round * 200..round * 200 + 200, value)));
    let store = Store::Folder { disk: Arc::new(RealDisk), path: folder.data() };
    let engine = Engine::open(Settings::new(store, Arc::new(SystemClock::new()), compile_kept)).expect("an engine");
    assert_eq!(engine.clean().expect("compacted"), 1);
    engine.close();
}

/// The largest file in a folder and those below it whose name ends so.
fn largest(folder: &Path, ending: &str) -> PathBuf {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.display().to_string().ends_with(ending) {
                found.push((entry.metadata().expect("a file").len(), path));
            }
        }
    }
    found.into_iter().max().expect("such a file").1
}

#[test]
fn a_reader_written_from_the_description_finds_what_was_written() {
    let folder = Folder::new();
    folder.ok(&[&["run", "-e", STATEMENTS], &SMALL[..]].concat());
    folder.ok(&["topic", "alter", "r", "--config", "compression.type=gzip"]);
    folder.ok(&["topic", "alter", "JOINED", "--config", "compression.type=zstd"]);
    let left = |n: usize| format!("{{\"a\":\"a{}\",\"n\":{n}}}", n % 100);
    produce(&folder, "l", &SMALL, &lines(0..RECORDS.0, left));
    produce(&folder, "r", &SMALL, &lines(0..500, |n| format!("{{\"b\":\"b{n}\"}}")));
    folder.ok(&[&["run", "--until-drained"], &SMALL[..]].concat());
    // In the manifest are these starts, and in the journal later ones, and a topic without any record.
    let delete =
        |topic, before| folder.ok(&[&["topic", "delete-records", topic, "--before", before], &SMALL[..]].concat());
    delete("l", "600");
    compact(&folder);
    folder
        .ok(&[&["run", "-e", "CREATE TYPE t AS INT;", "--set", "tidemill.checkpoint.bytes=1"][..], &SMALL[..2]]
            .concat());
    delete("l", DELETED.1);
    delete("r", "250");
    delete("COUNTS", "end");
    // Not enough for another checkpoint: these records are known by the journal alone.
    produce(&folder, "l", &SMALL[..2], &lines(0..RECORDS.1, left));

    let Some(whole) = read(&folder.data()) else { return };
    assert_eq!(whole.status, 0, "{whole:?}");
    let records =
        |line: &str| line.strip_prefix("topic 0 ")?.split(": ").nth(1)?.split(' ').next()?.parse::<usize>().ok();
    let found: usize = whole.out.lines().filter_map(records).sum();
    assert_eq!(found, RECORDS.0 + RECORDS.1 - 2 * DELETED.0, "{}", whole.out);
    let has = |start: &str, part: &str| whole.out.lines().any(|line| line.contains(start) && line.contains(part));
    assert!(has(".journal: ", ", 3 deletions"), "{}", whole.out);
    let compacted =
        whole.out.lines().find_map(|line| line.strip_prefix("topic 6 partition 0: ")?.strip_suffix(" records"));
    assert!(
        compacted.expect("the topic").parse::<usize>().is_ok_and(|count| (1..1500).contains(&count)),
        "{compacted:?}"
    );
    assert!(has("run ", " groups") && has(".journal: ", ", 1 appends"), "{}", whole.out);

    for name in ["manifest", ".run", ".log", "format"] {
        let path = largest(&folder.data(), name);
        let bytes = fs::read(&path).expect("a file");
        let mut wrong = bytes.clone();
        wrong[bytes.len() / 2] ^= 4;
        fs::write(&path, &wrong).expect("a file");
        let damaged = read(&folder.data()).expect("Python was there");
        assert_ne!(damaged.status, 0, "{}: {damaged:?}", path.display());
        fs::write(&path, &bytes).expect("a file");
    }
}
