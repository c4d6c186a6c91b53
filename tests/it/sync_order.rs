//! The order of syncs, as the kernel sees it: the segments that a round refers to are synced before its frame, the frame
//! before anything is shown.

use std::process::Command;

use crate::command_line::Folder;

/// A call of the process that matters here, in the order in which the calls returned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// Bytes were written to a segment of this topic.
    Segment(String),
    SegmentSynced(String),
    /// The names in a folder were made durable: its path in the data folder.
    FolderSynced(String),
    Frame,
    FrameSynced,
    /// A row was shown.
    Shown,
}

/// What a line of strace tells.
fn event(line: &str) -> Option<Event> {
    let call = line.split_once(' ')?.1.trim_start();
    let path = || call.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
    let topic = || path().split_once("/topics/").map(|(_, rest)| rest.split('/').next().unwrap_or_default().to_owned());
    // Spare files lie there too.
    let journal = || path().ends_with(".journal");
    if call.starts_with("pwrite64(") {
        return if journal() { Some(Event::Frame) } else { topic().map(Event::Segment) };
    }
    if call.starts_with("fdatasync(") {
        return if journal() { Some(Event::FrameSynced) } else { topic().map(Event::SegmentSynced) };
    }
    if call.starts_with("fsync(") {
        return path().rsplit_once("/data").map(|(_, folder)| Event::FolderSynced(folder.to_owned()));
    }
    (call.starts_with("write(1<") && call.contains("shown")).then_some(Event::Shown)
}

/// What happens while a row goes through a query to a push SELECT of the same process.
fn events(folder: &Folder, inline_bytes: &str) -> Option<Vec<Event>> {
    let trace = folder.path("trace");
    let sql = "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
        CREATE STREAM t AS SELECT v FROM s;
        INSERT INTO s (v) VALUES ('shown');
        SELECT v FROM t EMIT CHANGES LIMIT 1;";
    let program = folder.command(&[]);
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "200", "-e", "trace=pwrite64,fdatasync,fsync,write", "-o"]).arg(&trace);
    command.arg(program.get_program()).args(["--set", &format!("tidemill.inline.bytes={inline_bytes}")]);
    command.args(["run", "--output", "csv", "-e", sql]).env("TIDEMILL_DATA_DIR", folder.data());
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            crate::skip(format_args!("strace cannot run here: {}", String::from_utf8_lossy(&output.stderr)));
            return None;
        }
        Err(error) => {
            crate::skip(format_args!("strace cannot be started: {error}"));
            return None;
        }
    }
    let text = std::fs::read_to_string(trace).expect("the trace");
    // A call that another thread's calls interrupt stands in two lines; the second has no path: it is put to the first.
    let mut open: Vec<(String, String)> = Vec::new();
    let mut all = Vec::new();
    for line in text.lines() {
        let thread = line.split(' ').next().unwrap_or_default().to_owned();
        if let Some(start) = line.strip_suffix(" <unfinished ...>") {
            open.push((thread, start.to_owned()));
        } else if line.contains(" resumed>") {
            let at = open.iter().position(|(other, _)| *other == thread);
            all.extend(at.and_then(|at| event(&open.remove(at).1)));
        } else {
            all.extend(event(line));
        }
    }
    Some(all)
}

fn last(events: &[Event], wanted: &Event) -> usize {
    events.iter().rposition(|event| event == wanted).unwrap_or_else(|| panic!("no {wanted:?} in {events:?}"))
}

#[test]
fn a_row_is_shown_behind_the_sync_of_the_frame_that_decides_it() {
    let folder = Folder::new();
    let Some(events) = events(&folder, "0") else { return };
    let shown = last(&events, &Event::Shown);
    let before = &events[..shown];
    for topic in ["0", "1"] {
        let written = last(before, &Event::Segment(topic.to_owned()));
        let synced = last(before, &Event::SegmentSynced(topic.to_owned()));
        let frame = synced + last(&before[synced..], &Event::Frame);
        let decided = frame + last(&before[frame..], &Event::FrameSynced);
        assert!(written < synced && synced < frame && frame < decided, "topic {topic}: {events:?}");
    }
}

#[test]
fn names_are_durable_before_a_row_is_shown() {
    let folder = Folder::new();
    let Some(events) = events(&folder, "0") else { return };
    let shown = last(&events, &Event::Shown);
    for name in ["", "/journal", "/topics", "/topics/0", "/topics/1"] {
        last(&events[..shown], &Event::FolderSynced(name.to_owned()));
    }
    for topic in ["0", "1"] {
        let named = last(&events[..shown], &Event::FolderSynced(format!("/topics/{topic}/0")));
        let written = last(&events[..shown], &Event::Segment(topic.to_owned()));
        assert!(
            named < written,
            "the segment of topic {topic} has a durable name before its records count: {events:?}"
        );
    }
}

#[test]
fn a_small_round_takes_one_sync() {
    let folder = Folder::new();
    let Some(events) = events(&folder, "262144") else { return };
    let shown = last(&events, &Event::Shown);
    let written = last(&events[..shown], &Event::Segment("1".to_owned()));
    let round = &events[written..shown];
    assert!(!round.iter().any(|event| matches!(event, Event::SegmentSynced(_))), "{round:?}");
    assert!(last(round, &Event::Frame) < last(round, &Event::FrameSynced), "{round:?}");
}
