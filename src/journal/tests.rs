//! The journal on a disk that forgets, fails and is full.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::disk::double::{End, ForgetfulDisk};
use crate::disk::{Disk, SyncSite};
use crate::error::Result;
use crate::ids::{EpochNumber, Generation, QueryNumber, RoundNumber, TopicId};
use crate::topics::log::{self, Log};
use crate::topics::record::{BatchWriter, Record, RecordBatch};
use crate::topics::{Offset, PartitionId, Topic, Topics};

pub(super) const PARTITION: PartitionId = PartitionId { topic: TopicId::new(0), partition: 0 };

/// What a process is started with, each with a seed of its own.
pub(super) fn settings() -> Settings {
    Settings { file_bytes: 4096, kept_files: 2, inline_bytes: 100_000, seed: ManualClock::new().random() }
}

/// A process with a journal and a topic of two partitions, of which most tests use the first.
pub(super) struct Process {
    pub disk: Arc<dyn Disk>,
    pub journal: Journal,
    pub log: Arc<Log>,
}

impl Process {
    pub(super) fn start(machine: &ForgetfulDisk) -> Result<Process> {
        Process::start_with(machine, settings(), &[])
    }

    /// With settings of the journal and of the topic.
    pub(super) fn start_with(machine: &ForgetfulDisk, settings: Settings, topic: &[(&str, &str)]) -> Result<Process> {
        let (disk, data): (Arc<dyn Disk>, _) = (machine.boot(), Path::new("/"));
        for dir in [folder(data), log::folder(data)] {
            disk.create_dir(&dir)?;
        }
        disk.sync_dir(data, SyncSite::FolderDirectory)?;
        let recovered = recover(&disk, data, settings)?;
        let log = Arc::new(Log::new(disk.clone(), log::folder(data), 100_000));
        let config = topic.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        log.create(&Topic { name: "t".to_owned(), id: TopicId::new(0), partitions: 2, config })?;
        let home = Home { disk: disk.clone(), data: data.to_owned(), settings };
        let journal = recovered.finish(home, log.clone(), &|_| true)?.journal;
        Ok(Process { disk, journal, log })
    }

    pub(super) fn commit(&mut self, entry: Entry) -> Result<Decision, RoundError> {
        self.journal.commit(&mut [entry]).map(|mut decisions| decisions.remove(0))
    }

    /// The number of committed records.
    pub(super) fn records(&self) -> i64 {
        self.log.end(PARTITION).expect("the partition is there")
    }

    /// What is found in each record that a reader sees from an offset on, fetching so many bytes at a time.
    pub(super) fn read<T>(&self, from: Offset, bytes: usize, found: impl Fn(&Record) -> T) -> Result<Vec<T>> {
        let mut reader = self.log.reader(PARTITION)?;
        let (mut next, mut all) = (from.max(self.log.start(PARTITION)?), Vec::new());
        loop {
            let fetch = reader.read(next, bytes)?;
            if fetch.bytes.is_empty() {
                return Ok(all);
            }
            next = fetch.each_record(next, |record| {
                all.push(found(record));
                Ok(())
            })?;
        }
    }
}

/// A batch of one record of so many bytes.
pub(super) fn batch(bytes: usize) -> RecordBatch {
    let mut writer = BatchWriter::new();
    writer.push(0, None, Some(&vec![b'x'; bytes]), &[]);
    writer.finish().expect("a record")
}

pub(super) fn append(bytes: usize) -> Entry {
    Entry::Append(Append { batches: vec![(PARTITION, batch(bytes))] })
}

pub(super) fn epoch(number: u64, bytes: usize) -> Entry {
    let head = EpochHead { query: QueryNumber::new(7), number: EpochNumber::new(number), bytes: Vec::new() };
    Entry::Epoch(Epoch { head, delta: Vec::new(), outputs: vec![(PARTITION, batch(bytes))], asides: Vec::new() })
}

#[test]
fn an_epoch_is_not_committed_without_the_one_before_it() {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    assert!(matches!(process.commit(epoch(1, 10)), Ok(Decision::Committed { .. })));
    machine.set_room(Some(1000));
    assert!(matches!(process.commit(epoch(2, 2000)), Err(RoundError::Full(_))));
    let decision = process.commit(epoch(3, 10));
    assert!(!matches!(decision, Ok(Decision::Committed { .. })), "what epoch 2 did is lost: {decision:?}");
    assert_eq!(process.records(), 1);
}

/// What is said of an epoch is written behind its results, and left out if its topic is gone: the epoch stands without.
#[test]
fn what_is_said_of_an_epoch_needs_no_topic() {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    let with_aside = |number: u64, to: PartitionId| {
        let Entry::Epoch(epoch) = epoch(number, 10) else { unreachable!("an epoch") };
        Entry::Epoch(Epoch { asides: vec![(to, batch(20))], ..epoch })
    };
    process.commit(with_aside(1, PARTITION)).expect("committed");
    assert_eq!(process.records(), 2, "both are there");
    let gone = TopicId::new(9);
    let drop = Command { drops: vec![gone], ..Command::default() };
    assert!(matches!(process.commit(Entry::Command(drop)), Ok(Decision::Committed { .. })));
    let committed = process.commit(with_aside(2, PartitionId { topic: gone, partition: 0 }));
    assert!(matches!(committed, Ok(Decision::Committed { .. })), "{committed:?}");
    machine.end(End::Kill);
    assert_eq!(Process::start(&machine).expect("a start").records(), 3);
}

/// A round that drops the topic and finds no room has not dropped it: what is said of the epoch is not lost.
#[test]
fn what_is_said_of_an_epoch_outlives_a_drop_that_found_no_room() {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    let other = Topic { name: "letters".to_owned(), id: TopicId::new(1), partitions: 1, config: Default::default() };
    process.log.create(&other).expect("created");
    let letters = PartitionId { topic: other.id, partition: 0 };
    let Entry::Epoch(epoch) = epoch(1, 2000) else { unreachable!("an epoch") };
    let dropping = Entry::Command(Command { drops: vec![other.id], ..Command::default() });
    let mut entries = [dropping, Entry::Epoch(Epoch { asides: vec![(letters, batch(20))], ..epoch })];
    machine.set_room(Some(1000));
    assert!(matches!(process.journal.commit(&mut entries), Err(RoundError::Full(_))));
    machine.set_room(None);
    let [_, epoch] = entries;
    assert!(matches!(process.commit(epoch), Ok(Decision::Committed { .. })));
    assert_eq!(process.log.end(letters).expect("it is there"), 1);
}

/// What goes wrong where the power is cut while an empty file gives way to a larger one.
fn replace_an_empty_file(ignored: Option<SyncSite>) -> Result<(), String> {
    for seed in 0..40 {
        for operations in 0..12 {
            let machine = ForgetfulDisk::new(seed);
            ignored.iter().for_each(|site| machine.ignore(*site));
            let mut process = Process::start(&machine).expect("a start");
            process.commit(append(10)).expect("committed");
            process.journal.snapshot().expect("the next file");
            machine.end_after(End::Cut, operations);
            // The frame is too large for the file, which has none yet.
            let committed = process.commit(append(5000)).is_ok();
            machine.end(End::Cut);
            let wrong = |what: String| format!("seed {seed}, {operations} operations: {what}");
            let process = Process::start(&machine).map_err(|error| wrong(error.to_string()))?;
            if process.records() != 2 && (committed || process.records() != 1) {
                return Err(wrong(format!("{} records", process.records())));
            }
        }
    }
    Ok(())
}

/// What goes wrong where a process is killed before its frame is durable, and the power is cut when the next one has recovered
/// and shown it.
fn cut_after_a_recovery(ignored: Option<SyncSite>) -> Result<(), String> {
    for seed in 0..40 {
        let machine = ForgetfulDisk::new(seed);
        let mut process = Process::start(&machine).expect("a start");
        process.commit(append(10)).expect("committed");
        machine.ignore(SyncSite::JournalFrame);
        process.commit(append(10)).expect("written");
        // Only one site is ignored at a time.
        machine.ignore(ignored.unwrap_or(SyncSite::Format));
        machine.end(End::Kill);
        let shown = Process::start(&machine).expect("a start").records();
        machine.end(End::Cut);
        let found = Process::start(&machine).map_err(|error| format!("seed {seed}: {error}"))?.records();
        if found < shown {
            return Err(format!("seed {seed}: {shown} records were shown, {found} are there"));
        }
    }
    Ok(())
}

#[test]
fn a_file_that_was_replaced_before_it_was_durable_is_in_nobodys_way() {
    assert_eq!(replace_an_empty_file(None), Ok(()));
    assert!(replace_an_empty_file(Some(SyncSite::EmptyJournalFile)).is_err(), "the sync is not needed");
}

#[test]
fn what_a_recovery_has_shown_stays() {
    assert_eq!(cut_after_a_recovery(None), Ok(()));
    assert!(cut_after_a_recovery(Some(SyncSite::RecoveredFrame)).is_err(), "the sync is not needed");
}

#[test]
fn what_one_recovery_has_not_found_no_later_one_finds() {
    for seed in 0..200 {
        for operations in 2..9 {
            let machine = ForgetfulDisk::new(seed);
            let mut process = Process::start(&machine).expect("a start");
            process.commit(append(10)).expect("committed");
            // The process is killed between the write of a frame and its sync.
            machine.ignore(SyncSite::JournalFrame);
            process.commit(append(10)).expect("written");
            machine.ignore(SyncSite::Format);
            machine.end(End::Kill);
            drop(process);
            // The power goes while the next one recovers.
            machine.end_after(End::Cut, operations);
            let _ = Process::start(&machine);
            machine.end(End::Cut);
            let found = Process::start(&machine).expect("a start").records();
            machine.end(End::Kill);
            let later = Process::start(&machine).expect("a start").records();
            assert_eq!(later, found, "seed {seed}, {operations} operations");
        }
    }
}

/// The bytes of a frame that the file of this generation could have.
fn forged(generation: u64) -> Vec<u8> {
    let mut frame = frame::FrameWriter::new(RoundNumber::new(1), Vec::new());
    frame.append(&[]);
    frame.seal(generation).to_vec()
}

#[test]
fn a_record_that_looks_like_a_frame_is_a_record() {
    for files in 1..6 {
        let machine = ForgetfulDisk::new(0);
        let mut process = Process::start(&machine).expect("a start");
        let forged: Vec<u8> = (2..20).flat_map(forged).collect();
        let mut writer = BatchWriter::new();
        writer.push(0, None, Some(&forged), &[]);
        let batches = vec![(PARTITION, writer.finish().expect("a record"))];
        process.commit(append(1)).expect("committed");
        process.commit(Entry::Append(Append { batches })).expect("committed");
        for _ in 0..files {
            let snapshot = process.journal.snapshot().expect("the next file");
            let Snapshot { round, generation, bytes, ends, .. } = snapshot;
            let manifest = Manifest { round, generation, ends, ..Manifest::default() };
            write_manifest(process.disk.as_ref(), Path::new("/"), &manifest).expect("written");
            process.journal.drop_before(generation, bytes).expect("dropped");
            process.commit(append(1)).expect("committed");
        }
        machine.end(End::Kill);
        let process = Process::start(&machine).unwrap_or_else(|error| panic!("it does not start: {error}"));
        assert_eq!(process.records(), 2 + files);
    }
}

#[test]
fn a_round_that_is_damaged_in_a_file_that_is_not_the_newest_is_missed() {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    process.commit(append(10)).expect("committed");
    process.commit(append(10)).expect("committed");
    process.journal.snapshot().expect("the next file");
    machine.end(End::Kill);
    let disk = machine.boot();
    let path = file::path(&folder(Path::new("/")), Generation::new(1));
    let damaged = disk.open(&path, crate::disk::Open::Existing).expect("the first file");
    let bytes = crate::disk::read(damaged.as_ref(), 0, 4096).expect("read");
    let last = bytes.iter().rposition(|byte| *byte == b'x').expect("the record of the second round");
    damaged.write_at(b"y", last as u64).expect("written");
    machine.end(End::Kill);
    assert!(Process::start(&machine).is_err(), "what was acknowledged is gone, and nobody says so");
}

/// A byte of the newest file is changed after two rounds: what the next start says.
fn start_after_damage(at: impl Fn(&[u8]) -> usize) -> Result<Process> {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    process.commit(append(10)).expect("committed");
    process.commit(append(10)).expect("committed");
    machine.end(End::Kill);
    let path = file::path(&folder(Path::new("/")), Generation::new(1));
    let damaged = machine.boot().open(&path, crate::disk::Open::Existing).expect("the first file");
    let bytes = crate::disk::read(damaged.as_ref(), 0, 4096).expect("read");
    let at = at(&bytes);
    damaged.write_at(&[!bytes[at]], at as u64).expect("written");
    machine.end(End::Kill);
    Process::start(&machine)
}

#[test]
fn a_round_that_is_damaged_in_the_middle_of_the_newest_file_is_missed() {
    let first_record = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'x').expect("a record");
    assert!(start_after_damage(first_record).is_err(), "what was acknowledged is gone, and nobody says so");
}

#[test]
fn rounds_are_missed_whose_file_has_a_damaged_head() {
    for at in [0, 12, 20, 28, file::HEAD - 1] {
        let records = start_after_damage(|_| at).map(|process| process.records()).ok();
        assert_eq!(records, None, "byte {at} is damaged: what was acknowledged is gone, and nobody says so");
    }
}

#[test]
fn epochs_that_found_no_room_are_tried_again_although_others_come() {
    let machine = ForgetfulDisk::new(0);
    let journal = std::sync::Mutex::new(Process::start(&machine).expect("a start").journal);
    let queue = Queue::new(Arc::new(crate::clock::SystemClock::new()));
    let pause = std::time::Duration::from_millis(10);
    let decided = std::thread::scope(|scope| {
        scope.spawn(|| queue.run(&journal, WhenFull::Retry, &|_| {}));
        let (send, receive) = std::sync::mpsc::channel();
        machine.set_room(Some(0));
        queue.submit(epoch(1, 10), Box::new(move |decision| drop(send.send(decision))));
        while queue.full().is_none() {
            std::thread::sleep(pause);
        }
        machine.set_room(None);
        let decided = (0..400).find_map(|_| {
            queue.submit(append(1), Box::new(|_| {}));
            receive.recv_timeout(pause).ok()
        });
        queue.close();
        decided
    });
    assert!(matches!(decided, Some(Ok(Decision::Committed { .. }))), "after 4 s with room: {decided:?}");
}

#[test]
fn rounds_are_made_after_a_command_found_room_and_an_append_none() {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    process.commit(append(10)).expect("committed");
    let journal = std::sync::Mutex::new(process.journal);
    let queue = Queue::new(Arc::new(crate::clock::SystemClock::new()));
    let (send, receive) = std::sync::mpsc::channel();
    let submit = |entry| {
        let send = send.clone();
        queue.submit(entry, Box::new(move |decision| drop(send.send(decision))));
    };
    let decided = std::thread::scope(|scope| {
        machine.set_room(Some(0));
        // Both are in one round.
        submit(append(10));
        submit(Entry::Command(Command::default()));
        scope.spawn(|| queue.run(&journal, WhenFull::Retry, &|_| {}));
        let wait = std::time::Duration::from_secs(5);
        let both: Vec<_> = (0..2).map(|_| receive.recv_timeout(wait)).collect();
        machine.set_room(None);
        std::thread::sleep(std::time::Duration::from_millis(100));
        submit(append(10));
        let last = receive.recv_timeout(wait);
        queue.close();
        (both, last)
    });
    assert!(matches!(decided.1, Ok(Ok(Decision::Committed { .. }))), "{decided:?}");
}

/// A decision that is to come.
type Coming = std::sync::mpsc::Receiver<Result<Decision>>;

/// A callback that sends its decision.
fn sends() -> (Done, Coming) {
    let (send, receive) = std::sync::mpsc::channel();
    (Box::new(move |decision| drop(send.send(decision))), receive)
}

#[test]
fn epochs_that_found_no_room_stay_before_later_ones() {
    let machine = ForgetfulDisk::new(0);
    let journal = std::sync::Mutex::new(Process::start(&machine).expect("a start").journal);
    let queue = Arc::new(Queue::new(Arc::new(crate::clock::SystemClock::new())));
    let pump = |again: bool| match again {
        true => queue.pump_again(&journal, WhenFull::Retry, &|_| {}).expect("a round"),
        false => queue.pump(&journal, WhenFull::Retry, &|_| {}).expect("a round"),
    };
    let ((first, one), (second, two), (third, three)) = (sends(), sends(), sends());
    machine.set_room(Some(0));
    queue.submit(epoch(1, 10), first);
    pump(false);
    // The second comes while the first waits for room; the third while both are tried again in vain.
    queue.submit(epoch(2, 10), second);
    pump(false);
    let late = queue.clone();
    let command = Entry::Command(Command::default());
    queue.submit(command, Box::new(move |_| late.submit(epoch(3, 10), third)));
    pump(true);
    machine.set_room(None);
    while pump(true) {}
    for (number, decision) in [one, two, three].iter().map(Coming::try_recv).enumerate() {
        assert!(matches!(decision, Ok(Ok(Decision::Committed { .. }))), "epoch {}: {decision:?}", number + 1);
    }
}

#[test]
fn what_a_round_wrote_that_found_no_room_is_undone() {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    // Enough for the record in its segment, and not for the spare file of the journal.
    machine.set_room(Some(1000));
    assert!(matches!(process.commit(append(10)), Err(RoundError::Full(_))));
    machine.set_room(None);
    assert!(matches!(process.commit(append(10)), Ok(Decision::Committed { .. })));
    assert_eq!(process.records(), 1);
    machine.end(End::Kill);
    assert_eq!(Process::start(&machine).expect("a start").records(), 1);
}

#[test]
fn what_a_round_wrote_that_found_no_room_is_undone_in_all_partitions() {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    let other = PartitionId { partition: 1, ..PARTITION };
    machine.set_room(Some(1000));
    let batches = vec![(PARTITION, batch(10)), (other, batch(10))];
    assert!(matches!(process.commit(Entry::Append(Append { batches })), Err(RoundError::Full(_))));
    for id in [PARTITION, other] {
        let partition = process.log.partition(id).expect("a partition");
        assert_eq!(partition.written(), partition.decided(), "{id:?}");
    }
}

#[test]
fn epochs_of_a_query_that_has_ended_are_refused() {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    let ends = Entry::Command(Command { ends: vec![QueryNumber::new(7)], ..Command::default() });
    let decisions = process.journal.commit(&mut [epoch(1, 10), ends, epoch(2, 10)]).expect("a round");
    assert!(matches!(decisions[..], [Decision::Committed { .. }, Decision::Committed { .. }, Decision::Ended]));
    assert!(matches!(process.commit(epoch(2, 10)), Ok(Decision::Ended)), "in a later round");
    assert_eq!(process.records(), 1);
}

/// A process with three journal files, of two rounds each but for the last; what the next start says after `damage`.
fn start_with_files(damage: impl Fn(&dyn Disk, &Path)) -> Result<Process> {
    let machine = ForgetfulDisk::new(0);
    let mut process = Process::start(&machine).expect("a start");
    for _ in 0..2 {
        process.commit(append(10)).expect("committed");
        process.commit(append(10)).expect("committed");
        process.journal.snapshot().expect("the next file");
    }
    process.commit(append(10)).expect("committed");
    machine.end(End::Kill);
    damage(machine.boot().as_ref(), &folder(Path::new("/")));
    machine.end(End::Kill);
    Process::start(&machine)
}

#[test]
fn a_journal_with_a_hole_is_refused() {
    assert_eq!(start_with_files(|_, _| {}).expect("nothing is missing").records(), 5);
    for generation in [1, 2].map(Generation::new) {
        let gone = |disk: &dyn Disk, dir: &Path| disk.remove_file(&file::path(dir, generation)).expect("removed");
        assert!(start_with_files(gone).is_err(), "file {generation} is gone");
        let headless = |disk: &dyn Disk, dir: &Path| {
            let file = disk.open(&file::path(dir, generation), crate::disk::Open::Existing).expect("a file");
            file.write_at(&[0; file::HEAD], 0).expect("written");
        };
        assert!(start_with_files(headless).is_err(), "file {generation} has no head");
    }
    let skips = |disk: &dyn Disk, dir: &Path| {
        let file = file::list(disk, dir).expect("files").pop().expect("the newest");
        let (opened, head) = file.open(disk).expect("a file");
        let head = head.expect("a head");
        let mut frame = frame::FrameWriter::new(RoundNumber::new(5 + 2), Vec::new());
        frame.append(&[]);
        // Behind the only frame of the file.
        let bytes = crate::disk::read(opened.as_ref(), 0, 4096).expect("read");
        let length = u64::from_le_bytes(bytes[file::HEAD + 20..][..8].try_into().expect("8 bytes"));
        let end = (file::HEAD + frame::HEAD) as u64 + length;
        opened.write_at(frame.seal(head.mark), end).expect("written");
    };
    assert!(start_with_files(skips).is_err(), "a round is missing");
}
