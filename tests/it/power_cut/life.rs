//! The lives of an engine: what it is asked for until its process ends, and how the next one starts.

use std::sync::Arc;

use tidemill::clock::{Clock, ManualClock, SystemClock};
use tidemill::config::{self, Properties};
use tidemill::disk::SyncSite;
use tidemill::disk::double::{End, ForgetfulDisk, Random};
use tidemill::engine::{Drive, Engine, Settings, Store};
use tidemill::error::{Error, Kind, Result};
use tidemill::statements::{self, Outcome, Session};
use tidemill::topics::record::BatchWriter;
use tidemill::topics::{PartitionId, partition_of};
use tidemill::types::Value;

use super::model::{COMPACTED, Checked, Model, Pending, Seen, TRIMMED, topic_of};
use super::results;

/// The queries that every engine here has.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "LOGS",
        "CREATE STREAM logs (service VARCHAR, level VARCHAR) \
         WITH (KAFKA_TOPIC='logs', PARTITIONS=2, VALUE_FORMAT='JSON');",
    ),
    (
        "PAYMENTS",
        "CREATE STREAM payments (id VARCHAR KEY, user_id VARCHAR) \
         WITH (KAFKA_TOPIC='payments', PARTITIONS=2, VALUE_FORMAT='JSON');",
    ),
    (
        "SIGNALS",
        "CREATE STREAM signals (id VARCHAR, user_id VARCHAR) \
         WITH (KAFKA_TOPIC='signals', PARTITIONS=2, VALUE_FORMAT='JSON');",
    ),
    (
        "COUNTS",
        "CREATE TABLE counts AS SELECT service, COUNT(*) AS c FROM logs \
         WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 DAY) WHERE level = 'ERROR' GROUP BY service;",
    ),
    (
        "RISK",
        "CREATE STREAM risk AS SELECT p.id AS payment, s.id AS signal FROM payments p \
         LEFT JOIN signals s WITHIN 30 SECONDS ON p.user_id = s.user_id;",
    ),
    (
        "RISK_LATER",
        "CREATE STREAM risk_later AS SELECT p.id AS payment, s.id AS signal FROM payments p \
         LEFT JOIN signals s WITHIN 30 SECONDS GRACE PERIOD 1 HOUR ON p.user_id = s.user_id;",
    ),
    ("EVENTS", "CREATE STREAM events (id BIGINT) WITH (KAFKA_TOPIC='events', PARTITIONS=2, VALUE_FORMAT='JSON');"),
    (
        "KEYED",
        "CREATE STREAM keyed (k VARCHAR KEY, id BIGINT) WITH (KAFKA_TOPIC='keyed', PARTITIONS=2, VALUE_FORMAT='JSON');",
    ),
    ("KEPT", "CREATE STREAM kept AS SELECT k, id FROM keyed;"),
    ("SEEN", "CREATE STREAM seen AS SELECT id FROM events;"),
    ("COPY", "CREATE STREAM copy AS SELECT p_user_id, payment, signal FROM risk;"),
];

/// A machine with an engine on it, and what must be there.
pub(super) struct Machine {
    pub disk: ForgetfulDisk,
    pub random: Random,
    pub model: Model,
    properties: Properties,
    every_row: bool,
    /// Whether queries run by themselves, on threads of their own.
    threads: bool,
    engine: Option<Engine>,
    /// The clock of an engine that is told when to do what; it starts with the time of the last record.
    clock: Arc<ManualClock>,
    /// The time of the next record.
    time: i64,
    next_id: u64,
    /// What was done, for whoever looks for the cause of a failure.
    pub story: Vec<String>,
}

/// What has become of a request.
enum Asked<T> {
    Done(T),
    /// The process has ended over it.
    Ended,
}

impl Machine {
    pub(super) fn new(seed: u64, ignored: Option<SyncSite>, threads: bool) -> Machine {
        let mut random = Random::new(seed);
        let disk = ForgetfulDisk::new(seed.wrapping_add(1 << 32));
        if let Some(site) = ignored {
            disk.ignore(site);
        }
        let mut properties = Properties::default();
        let every_row = random.one_in(2);
        let inline = [0, 150, 600, 100_000][random.below(4) as usize];
        for (name, value) in [
            (config::OFFSET_RESET, "earliest".to_owned()),
            (config::CACHE_BYTES, if every_row { "0" } else { "10000000" }.to_owned()),
            (config::BATCH_ROWS, (1 + random.below(6)).to_string()),
            (config::JOURNAL_BYTES, [4096, 8192, 30_000][random.below(3) as usize].to_string()),
            (config::SEGMENT_BYTES, [1024, 2048, 100_000][random.below(3) as usize].to_string()),
            (config::CHECKPOINT_BYTES, [1000, 6000, 1 << 20][random.below(3) as usize].to_string()),
            (config::INLINE_BYTES, inline.to_string()),
            (config::CLEANUP_INTERVAL_MS, [1, 60_000][random.below(2) as usize].to_string()),
        ] {
            properties.set(name, &value).expect("a property");
        }
        if let Ok(bytes) = std::env::var("POWER_CUT_TURN_BYTES") {
            properties.set(config::TURN_BYTES, &bytes).expect("a property");
        }
        let story = vec![format!("{properties:?}")];
        let (model, engine) = (Model { cleans_itself: threads, ..Model::default() }, None);
        Machine {
            disk,
            random,
            model,
            properties,
            every_row,
            threads,
            engine,
            clock: Arc::default(),
            time: 1_700_000_000_000,
            next_id: 0,
            story,
        }
    }

    /// Starts an engine, in as many processes as it takes, and compares it with what must be there.
    pub(super) fn start(&mut self) -> Checked {
        for _ in 0..40 {
            self.clock = Arc::new(ManualClock::new());
            self.clock.advance_ms(self.time as u64);
            let store = Store::Folder { disk: self.disk.boot(), path: "/machine/data".into() };
            let (drive, clock): (_, Arc<dyn Clock>) = match self.threads {
                true => (Drive::Threads { start: true }, Arc::new(SystemClock::new())),
                false => (Drive::Manual, self.clock.clone()),
            };
            let usual = Settings::new(store, clock, statements::compile_kept);
            let settings = Settings { drive, properties: self.properties.clone(), ..usual };
            self.story.push("start".to_owned());
            match Engine::open(settings) {
                Ok(engine) => {
                    let checked = self.model.check(&engine);
                    let failed = engine.failed().into_iter().next();
                    self.engine = Some(engine);
                    if !self.disk.runs() {
                        continue;
                    }
                    match failed {
                        None => return checked,
                        // It has run by itself already, on a disk that something was done to.
                        Some((_, error)) if self.threads => checked.and(self.stop_at(&error))?,
                        Some((id, error)) => return Err(format!("{id} does not go on: {error}")),
                    }
                }
                Err(_) if !self.disk.runs() => {}
                Err(error) => self.stop_at(&error)?,
            }
        }
        Err("it never starts".to_owned())
    }

    /// An error while the process runs: only what was done to the disk may be its cause.
    fn stop_at(&mut self, error: &Error) -> Checked {
        let text = error.to_string();
        self.story.push(format!("  {text}"));
        let injected = text.contains("input/output error") || text.contains("an earlier sync failed");
        let full = text.contains("No space left");
        if !injected && !full || error.kind() == Kind::Bug {
            return Err(format!("refused: {text}"));
        }
        self.disk.set_room(None);
        let end = if self.random.one_in(2) { End::Kill } else { End::Cut };
        self.story.push(format!("  {end:?}"));
        self.disk.end(end);
        Ok(())
    }

    /// Asks the engine for something; an error must have a cause.
    fn ask<T>(&mut self, what: String, ask: impl FnOnce(&Engine) -> Result<T>) -> Checked<Asked<T>> {
        self.story.push(what);
        let engine = self.engine.as_ref().expect("an engine runs between two lives");
        match ask(engine) {
            // What was answered counts, even if the process ended right behind it.
            Ok(done) => Ok(Asked::Done(done)),
            Err(error) => {
                if self.disk.runs() {
                    self.stop_at(&error)?;
                }
                Ok(Asked::Ended)
            }
        }
    }

    /// Asks for something that has happened whole or not at all if the process ends over it.
    fn request(&mut self, what: String, pending: Pending, ask: impl FnOnce(&Engine) -> Result<()>) -> Checked {
        self.model.pending = Some(pending);
        if let Asked::Done(()) = self.ask(what, ask)? {
            self.model.happened();
        }
        Ok(())
    }

    fn statement(&mut self, text: &str, pending: Pending) -> Checked {
        self.request(text.to_owned(), pending, |engine| statements::execute(engine, text))
    }

    /// Makes what every engine has, as far as it is not there yet.
    fn make_all(&mut self) -> Checked {
        for (name, text) in STATEMENTS {
            if !self.disk.runs() {
                return Ok(());
            }
            if !self.model.sources.contains(*name) {
                self.statement(text, Pending::Create((*name).to_owned()))?;
            }
        }
        Ok(())
    }

    /// One life: random requests until the process ends or there have been enough.
    pub(super) fn live(&mut self) -> Checked {
        let end = if self.random.one_in(3) { End::Kill } else { End::Cut };
        let range = [10, 60, 300, 1500][self.random.below(4) as usize];
        let operations = self.random.below(range);
        self.story.push(format!("life: {end:?} after {operations}"));
        self.disk.end_after(end, operations);
        if self.random.one_in(6) {
            let syncs = self.random.below(12);
            self.story.push(format!("a sync fails after {syncs}"));
            self.disk.fail_sync_after(Some(syncs));
        }
        if self.random.one_in(6) {
            let room = self.random.below(20_000);
            self.story.push(format!("there is room for {room} bytes"));
            self.disk.set_room(Some(room));
        }
        self.start()?;
        self.make_all()?;
        for _ in 0..30 {
            if !self.disk.runs() {
                break;
            }
            self.act()?;
        }
        self.engine = None;
        self.disk.fail_sync_after(None);
        self.disk.set_room(None);
        if self.disk.runs() {
            let end = if self.random.one_in(3) { End::Kill } else { End::Cut };
            self.story.push(format!("  {end:?}"));
            self.disk.end(end);
        }
        Ok(())
    }

    fn act(&mut self) -> Checked {
        match self.random.below(34) {
            31..34 => self.append_keyed(),
            25..27 => self.clean(),
            27..29 => self.delete_records(),
            29 => self.alter_topic(),
            0..8 => self.append(),
            8..10 => self.insert(),
            10..14 => self.turn(),
            14 => self.settle(),
            15 => self.ask("checkpoint".to_owned(), Engine::checkpoint).map(drop),
            16..18 => self.look(),
            18..20 => self.create_or_drop(),
            20 => self.terminate(),
            21 => {
                self.pass_hours();
                Ok(())
            }
            _ => self.pull(),
        }
    }

    /// The last life, in which nothing goes wrong: everything that is left to do is done, and every result is there once.
    pub(super) fn finish(&mut self) -> Checked {
        for round in 0..2 {
            self.story.push(format!("finish {round}"));
            self.start()?;
            self.make_all()?;
            let engine = self.engine.take().expect("an engine that was started");
            let settled = if self.threads { engine.wait_drained(&|| false) } else { engine.settle() };
            settled.map_err(|e| format!("settle: {e}"))?;
            if let Some((id, error)) = engine.failed().into_iter().next() {
                return Err(format!("query {id} has failed: {error}"));
            }
            results::check(&engine, &self.model, self.every_row)?;
            self.model.look(&engine)?;
            drop(engine);
        }
        Ok(())
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A record, and the topic and partition that it belongs to.
    fn row(&mut self) -> (&'static str, (u32, Seen)) {
        self.time += self.random.below(4_000) as i64;
        let id = self.id();
        let user = format!("u{}", self.random.below(4));
        let partition = self.random.below(2) as u32;
        match self.random.below(5) {
            4 => {
                let key = format!("k{}", self.random.below(5));
                let (partition, (time, key, value)) = placed(self.time, Some(&key), &serde_json::json!({"ID": id}), 0);
                let value = value.filter(|_| !self.random.one_in(4));
                (COMPACTED, (partition, (time, key, value)))
            }
            3 => ("events", placed(self.time, None, &serde_json::json!({"ID": id}), partition)),
            0 => {
                let level = if self.random.one_in(3) { "INFO" } else { "ERROR" };
                let service = format!("service {}", self.random.below(5));
                let value = serde_json::json!({"SERVICE": service, "LEVEL": level, "id": id});
                ("logs", placed(self.time, None, &value, partition))
            }
            1 => ("payments", placed(self.time, Some(&format!("p{id}")), &serde_json::json!({"USER_ID": user}), 0)),
            _ => {
                let value = serde_json::json!({"ID": format!("s{id}"), "USER_ID": user});
                ("signals", placed(self.time, None, &value, partition))
            }
        }
    }

    fn append(&mut self) -> Checked {
        let (topic, first) = self.row();
        let mut records = vec![first];
        for _ in 0..self.random.below(8) {
            let (other, record) = self.row();
            if other == topic {
                records.push(record);
            }
        }
        let pending = Pending::Append { topic: topic.to_owned(), records: records.clone() };
        self.request(format!("append {} to {topic}", records.len()), pending, |engine| append(engine, topic, &records))
    }

    /// Appends records of few keys, so that there is something to compact.
    fn append_keyed(&mut self) -> Checked {
        let mut records = Vec::new();
        while records.len() < 12 {
            let (topic, record) = self.row();
            records.extend((topic == COMPACTED).then_some(record));
        }
        let pending = Pending::Append { topic: COMPACTED.to_owned(), records: records.clone() };
        self.request("append to keyed".to_owned(), pending, |engine| append(engine, COMPACTED, &records))
    }

    fn insert(&mut self) -> Checked {
        let (id, user) = (format!("p{}", self.id()), format!("u{}", self.random.below(4)));
        let text = format!("INSERT INTO payments (ROWTIME, id, user_id) VALUES ({}, '{id}', '{user}');", self.time);
        let records = vec![placed(self.time, Some(&id), &serde_json::json!({"USER_ID": user}), 0)];
        self.statement(&text, Pending::Append { topic: "payments".to_owned(), records })
    }

    fn turn(&mut self) -> Checked {
        if self.threads {
            std::thread::sleep(std::time::Duration::from_millis(self.random.below(4)));
            return Ok(());
        }
        let engine = self.engine.as_ref().expect("an engine runs between two lives");
        let ids: Vec<String> = engine.catalog().queries().iter().map(|q| q.id.clone()).collect();
        let Some(id) = ids.get(self.random.below(ids.len() as u64) as usize).cloned() else { return Ok(()) };
        self.ask(format!("turn of {id}"), |engine| engine.turn(&id)).map(drop)
    }

    fn settle(&mut self) -> Checked {
        let (threads, disk) = (self.threads, self.disk.clone());
        let settle = |engine: &Engine| if threads { engine.wait_drained(&|| !disk.runs()) } else { engine.settle() };
        self.ask("settle".to_owned(), settle).map(drop)
    }

    fn look(&mut self) -> Checked {
        self.story.push("look".to_owned());
        let engine = self.engine.as_ref().expect("an engine runs between two lives");
        match self.model.look(engine) {
            // It has ended while somebody looked.
            Err(_) if !self.disk.runs() => Ok(()),
            looked => looked,
        }
    }

    /// Deletes what the settings of topics no longer keep.
    fn clean(&mut self) -> Checked {
        let engine = self.engine.as_ref().expect("an engine runs between two lives");
        if engine.catalog().topic(TRIMMED).is_none() {
            return Ok(());
        }
        self.request("clean".to_owned(), Pending::Clean, |engine| engine.clean().map(drop))?;
        self.note_starts()
    }

    /// Deletes records from the start of a partition that nothing is computed of, up to any of them.
    fn delete_records(&mut self) -> Checked {
        let engine = self.engine.as_ref().expect("an engine runs between two lives");
        let Ok(topic) = topic_of(engine, TRIMMED) else { return Ok(()) };
        let partition = self.random.below(2) as u32;
        let end = self.model.inputs.get(TRIMMED).and_then(|all| all.get(&partition)).map_or(0, Vec::len) as u64;
        let before = if self.random.one_in(4) { end } else { self.random.below(end + 1) } as i64;
        let pending = Pending::Delete { partition, before };
        self.request(format!("delete before {before} of {partition}"), pending, |engine| {
            engine.delete_records(&topic, Some(partition), before).map(drop)
        })?;
        self.note_starts()
    }

    /// From where on records were seen to be there: nothing before it comes back.
    fn note_starts(&mut self) -> Checked {
        let engine = self.engine.as_ref().expect("an engine runs between two lives");
        match self.model.note_starts(engine) {
            // It has ended meanwhile.
            Err(_) if !self.disk.runs() => Ok(()),
            noted => noted,
        }
    }

    fn alter_topic(&mut self) -> Checked {
        let engine = self.engine.as_ref().expect("an engine runs between two lives");
        if engine.catalog().topic(TRIMMED).is_none() || engine.catalog().topic(COMPACTED).is_none() {
            return Ok(());
        }
        let choices: [(&str, &[&str]); 5] = [
            ("compression.type", &["gzip", "snappy", "lz4", "zstd", "producer"]),
            ("retention.bytes", &["-1", "300", "2000"]),
            ("retention.ms", &["-1", "5000", "3600000"]),
            ("segment.bytes", &["200", "600", "100000"]),
            ("segment.ms", &["1000", "1000000"]),
        ];
        let (name, values) = choices[self.random.below(5) as usize];
        let value = values[self.random.below(values.len() as u64) as usize];
        let text = format!("ALTER TOPIC '{TRIMMED}' WITH ('{name}'='{value}');");
        self.statement(&text, Pending::Alter { name: name.to_owned(), value: value.to_owned() })?;
        let choices: [(&str, &[&str]); 5] = [
            ("cleanup.policy", &["compact", "compact", "delete"]),
            ("compression.type", &["gzip", "snappy", "lz4", "zstd", "producer"]),
            ("segment.bytes", &["200", "600", "2000"]),
            ("min.cleanable.dirty.ratio", &["0", "0.5"]),
            ("delete.retention.ms", &["0", "1000", "100000000"]),
        ];
        let (name, values) = choices[self.random.below(5) as usize];
        let value = values[self.random.below(values.len() as u64) as usize];
        if self.disk.runs() {
            let text = format!("ALTER TOPIC '{COMPACTED}' WITH ('{name}'='{value}');");
            self.ask(text.clone(), |engine| statements::execute(engine, &text))?;
        }
        Ok(())
    }

    /// Nothing happens for hours: windows close, and what is kept for late rows goes.
    fn pass_hours(&mut self) {
        let hours = 1 + self.random.below(30);
        self.story.push(format!("{hours} hours pass"));
        let ms = hours * 3_600_000;
        self.time += ms as i64;
        self.clock.advance_ms(ms);
    }

    /// Somebody looks at the table: what is shown must be committed, and stay.
    fn pull(&mut self) -> Checked {
        let Asked::Done(shown) = self.ask("pull".to_owned(), pull)? else { return Ok(()) };
        let engine = self.engine.as_ref().expect("an engine runs between two lives");
        match results::pulled(engine, &shown, self.threads).and_then(|()| self.model.look(engine)) {
            // It has ended while somebody looked.
            Err(_) if !self.disk.runs() => Ok(()),
            looked => looked,
        }
    }

    /// Ends the query of a source, which stays with what the query has written.
    fn terminate(&mut self) -> Checked {
        let name = format!("X{}", self.random.below(2));
        let engine = self.engine.as_ref().expect("an engine runs between two lives");
        let id = engine.catalog().queries().iter().find(|query| query.sink == name).map(|query| query.id.clone());
        let Some(id) = id else { return Ok(()) };
        self.statement(&format!("TERMINATE {id};"), Pending::Terminate(name))
    }

    /// Makes a source with a query, or drops the one that there is; always by the same text.
    fn create_or_drop(&mut self) -> Checked {
        let name = format!("X{}", self.random.below(2));
        if self.model.sources.contains(&name) {
            return self.statement(&format!("DROP STREAM {name} DELETE TOPIC;"), Pending::Drop(name.clone()));
        }
        self.statement(
            &format!("CREATE STREAM {name} AS SELECT service, level FROM logs;"),
            Pending::Create(name.clone()),
        )
    }
}

/// A record in the partition of its key, if it has one.
fn placed(time: i64, key: Option<&str>, value: &serde_json::Value, partition: u32) -> (u32, Seen) {
    let partition = key.map_or(partition, |key| partition_of(key.as_bytes(), 2));
    (partition, (time, key.map(|k| k.as_bytes().to_vec()), Some(value.to_string().into_bytes())))
}

/// Appends records as one request.
fn append(engine: &Engine, topic: &str, records: &[(u32, Seen)]) -> Result<()> {
    let topic = topic_of(engine, topic).map_err(Error::missing)?;
    let mut writers: Vec<BatchWriter> = (0..topic.partitions).map(|_| BatchWriter::new()).collect();
    for (partition, (time, key, value)) in records {
        writers[*partition as usize].push(*time, key.as_deref(), value.as_deref(), &[]);
    }
    let id = |partition: usize| PartitionId { topic: topic.id, partition: partition as u32 };
    let batches = writers.into_iter().enumerate().filter_map(|(p, w)| w.finish().map(|batch| (id(p), batch)));
    engine.topics().append(batches.collect()).map(drop)
}

/// What a pull query shows of COUNTS: the services and the starts of the windows, with their counts.
fn pull(engine: &Engine) -> Result<Vec<((String, i64), i64)>> {
    let parsed =
        statements::parse("SELECT service, WINDOWSTART AS start, c FROM counts;").map_err(|mut e| e.remove(0))?;
    let outcome = Session::new(engine, Properties::default()).run(&parsed[0])?;
    let Outcome::Rows(shown) = outcome else { return Err(Error::bug("a pull query without rows")) };
    let row = |row: &Vec<Value>| match &row[..] {
        [Value::String(service), Value::Bigint(start), Value::Bigint(count)] => ((service.to_string(), *start), *count),
        other => panic!("{other:?} is no row of the table"),
    };
    Ok(shown.rows.iter().map(row).collect())
}
