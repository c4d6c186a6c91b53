//! A case from its first statement to its last expected record.
//!
//! The steps: topics that the case or its statements name are made; the statements are executed; the input is written;
//! the queries run, one after the other in the order in which they were made; records and sources are compared. In
//! [`Mode::Resume`] the engine is over a folder and is opened anew after each commit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::case::{Case, CaseRecord, ExpectedException};
use super::{Verdict, compare, records, rest, topics};
use crate::catalog::Catalog;
use crate::clock::ManualClock;
use crate::config::{self, Properties};
use crate::disk::RealDisk;
use crate::engine::{Engine, Life, Settings, Store};
use crate::error::{Error, Kind, Result};
use crate::ids::TopicId;
use crate::runtime::Placement;
use crate::statements::{self, Outcome, Session};
use crate::topics::PartitionId;

/// How the rows of a case are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As many at once as there are.
    Whole,
    /// One at a time, each with a commit of its own.
    One,
    /// One at a time; after each commit the folder is closed and opened again.
    Resume,
}

/// How a case has come out.
///
/// The message is empty for a case that passed.
pub(super) type Judged = (Verdict, String);

/// Runs a case.
pub fn run_case(case: &Case, mode: Mode) -> Judged {
    if let Some(expected) = &case.rest {
        return rest::run_case(case, expected, mode);
    }
    let mut run = match Run::new(case, mode) {
        Ok(run) => run,
        Err(error) => return unexpected(&error),
    };
    let judged = run.judge(case);
    run.clean();
    judged
}

/// An error where none is expected: skipped if it comes of what is missing here.
pub(super) fn unexpected(error: &Error) -> Judged {
    match error.kind() {
        Kind::Unsupported => (Verdict::Skipped, error.message().to_owned()),
        _ => (Verdict::Failed, error.render(None)),
    }
}

/// What is said of a case that was accepted where a refusal is expected.
pub(super) const ACCEPTED_INSTEAD: &str = "accepted, but a refusal is expected";

/// Properties of the peer that change nothing here.
const WITHOUT_EFFECT: [&str; 4] = [
    "ksql.new.query.planner.enabled",
    "use.exact.numeric.comparison",
    "ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__",
    "ksql.streams.__emit.interval.ms.kstreams.outer.join.spurious.results.fix__",
];

/// The peer's switch for its old positions in SUBSTRING.
const LEGACY_SUBSTRING: &str = "ksql.functions.substring.legacy.args";

/// The place of the records of a case in the order in which they are taken, by topic.
///
/// Written while the input is fed, and read by the engine. The offset is the index.
#[derive(Default)]
struct Order(std::sync::RwLock<BTreeMap<TopicId, Vec<i64>>>);

/// All records are in the first partition, all rows go to the first task, and they are taken in the order of the case.
impl Placement for Order {
    fn partition(&self, _: Option<&[u8]>, _: u32, _: u32) -> u32 {
        0
    }

    fn order(&self, id: PartitionId, offset: i64) -> Option<i64> {
        let known = self.0.read().map(|o| o.get(&id.topic).and_then(|r| r.get(offset as usize).copied()));
        // What a query or INSERT wrote comes after all input, topic after topic.
        Some(known.ok().flatten().unwrap_or((1 << 50) + ((id.topic.get() as i64) << 32) + offset))
    }
}

/// A case at work.
struct Run {
    /// `None` only between a stop and the next start.
    engine: Option<Engine>,
    settings: Settings,
    mode: Mode,
    /// `None` if the topics are in memory.
    folder: Option<PathBuf>,
    order: Arc<Order>,
}

/// The path of a new folder for a case: in memory if the system has a file system there, since cases try what recovery
/// reads, not what the disk keeps.
pub(super) fn scratch_folder() -> PathBuf {
    static FOLDERS: AtomicU64 = AtomicU64::new(0);
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let number = FOLDERS.fetch_add(1, Ordering::SeqCst);
    parent.join(format!("tidemill-case-{}-{number}", std::process::id()))
}

impl Run {
    fn new(case: &Case, mode: Mode) -> Result<Run> {
        let mut properties = Properties::default();
        let mut set = |name: &str, value: &str| properties.set(name, value);
        set(config::OFFSET_RESET, "earliest")?;
        set(config::CACHE_BYTES, "0")?;
        set(config::JOIN_KEY_REQUIRED, "true")?;
        // What is tried is recovery itself: a small journal is read and written faster.
        set(config::JOURNAL_BYTES, "65536")?;
        if mode != Mode::Whole {
            set(config::BATCH_ROWS, "1")?;
        }
        let matters = |name: &str, value: &serde_json::Value| {
            // Switched off it says what is so anyway.
            !WITHOUT_EFFECT.contains(&name) && (name != LEGACY_SUBSTRING || value.to_string().contains("true"))
        };
        for (name, value) in case.properties.iter().filter(|(name, value)| matters(name, value)) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            config::find(name).map_err(|_| Error::unsupported(format!("the property {name}")))?;
            set(name, &text)?;
        }
        if case.properties.get("ksql.new.query.planner.enabled").is_some_and(|v| v.as_str() == Some("true")) {
            return Err(Error::unsupported("the peer's unfinished second planner"));
        }
        let folder = (mode == Mode::Resume).then(scratch_folder);
        let store = match &folder {
            Some(path) => Store::Folder { disk: Arc::new(RealDisk), path: path.clone() },
            None => Store::Memory,
        };
        let order = Arc::new(Order::default());
        let settings = Settings {
            properties,
            placement: order.clone(),
            ..Settings::new(store, Arc::new(ManualClock::new()), statements::compile_kept)
        };
        let engine = Some(Engine::open(settings.clone())?);
        Ok(Run { engine, settings, mode, folder, order })
    }

    fn clean(&mut self) {
        self.engine = None;
        if let Some(folder) = &self.folder {
            // A folder that stays behind does no harm; the system's own cleaning takes it.
            let _ = std::fs::remove_dir_all(folder);
        }
    }

    fn engine(&self) -> Result<&Engine> {
        self.engine.as_ref().ok_or_else(|| Error::bug("the engine is closed"))
    }

    fn judge(&mut self, case: &Case) -> Judged {
        match (self.execute(case), &case.expected_exception) {
            (Ok(()), None) => self.check(case),
            (Ok(()), Some(_)) => (Verdict::Failed, ACCEPTED_INSTEAD.to_owned()),
            (Err(stop), None) => unexpected(&stop.error),
            (Err(stop), Some(expected)) => refused(&stop, expected),
        }
    }

    /// # Errors
    /// The error with the stage at which it came, which decides whether it is the refusal that is expected.
    fn execute(&mut self, case: &Case) -> Result<(), Stop> {
        let before = |error| Stop { error, stage: Stage::Before };
        self.make_topics(case).map_err(before)?;
        let last = case.statements.len().saturating_sub(1);
        for (index, text) in case.statements.iter().enumerate() {
            let stage = if index == last { Stage::Statement } else { Stage::Before };
            self.statement(text).map_err(|error| Stop { error, stage })?;
        }
        let queries = self.engine().map_err(before)?.catalog().queries().len();
        if queries == 0 && case.expected_exception.is_none() {
            return Err(before(Error::invalid("test did not generate any queries.")));
        }
        self.feed(&case.inputs).map_err(before)?;
        self.drain().map_err(|error| Stop { error, stage: Stage::Run })
    }

    fn statement(&self, text: &str) -> Result<()> {
        let parsed = statements::parse(text).map_err(|mut errors| errors.remove(0))?;
        let mut session = Session::new(self.engine()?, Properties::default());
        for statement in &parsed {
            match session.run(statement)? {
                Outcome::Changed { .. } | Outcome::Done { .. } | Outcome::Reply(_) => {}
                Outcome::Rows(_) | Outcome::Push { .. } | Outcome::Print { .. } => {
                    return Err(Error::invalid("a case's statements write to topics"));
                }
            }
        }
        Ok(())
    }

    /// Makes the topics that are there before the first statement. Rows are all in the first partition.
    fn make_topics(&self, case: &Case) -> Result<()> {
        topics::statements(case)?.iter().try_for_each(|text| self.statement(text))
    }

    /// Writes the input records, in their order, to the first partition of their topics.
    fn feed(&self, inputs: &[CaseRecord]) -> Result<()> {
        let engine = self.engine()?;
        let catalog = engine.catalog();
        for (rank, record) in inputs.iter().enumerate() {
            let topic = catalog.topic(&record.topic).ok_or_else(|| catalog.no_topic(&record.topic))?;
            let (_, batch) = records::encode(record, records::source_of(&catalog, &record.topic))?;
            let offset = engine.insert(topic, None, batch)?;
            if let Ok(mut order) = self.order.0.write() {
                let ranks = order.entry(topic.id).or_default();
                // Records that INSERT wrote earlier come behind all input.
                ranks.resize(offset as usize, (1 << 50) + ((topic.id.get() as i64) << 32) + offset);
                ranks.push(rank as i64);
            }
        }
        Ok(())
    }

    /// Runs the queries, one after the other, each until nothing is left for it.
    fn drain(&mut self) -> Result<()> {
        let queries: Vec<String> = self.engine()?.catalog().queries().into_iter().map(|q| q.id.clone()).collect();
        for id in queries {
            match self.mode {
                Mode::Whole => {
                    self.engine()?.settle_query(&id)?;
                }
                Mode::One => while self.engine()?.turn(&id)? {},
                Mode::Resume => {
                    while self.engine()?.turn(&id)? {
                        self.engine = None;
                        self.engine = Some(Engine::open(self.settings.clone())?);
                    }
                }
            }
            if let Some(Life::Failed(error)) = self.engine()?.life(&id) {
                return Err(error);
            }
        }
        Ok(())
    }

    fn check(&self, case: &Case) -> Judged {
        match self.compare(case) {
            Ok(Ok(())) => (Verdict::Passed, String::new()),
            Ok(Err(why)) => (Verdict::Failed, why),
            Err(error) => unexpected(&error),
        }
    }

    fn compare(&self, case: &Case) -> Result<Result<(), String>> {
        let engine = self.engine()?;
        let catalog: Arc<Catalog> = engine.catalog();
        let mut expected: BTreeMap<&str, Vec<&CaseRecord>> = BTreeMap::new();
        for record in &case.outputs {
            expected.entry(&record.topic).or_default().push(record);
        }
        let exact =
            !case.properties.get("use.exact.numeric.comparison").is_some_and(|v| v.to_string().contains("false"));
        for (name, wanted) in expected {
            let Some(topic) = catalog.topic(name) else { return Ok(Err(format!("there is no topic {name}"))) };
            let source = records::source_of(&catalog, name);
            let actual = records::read_all(engine.topics().as_ref(), topic.id, topic.partitions, source)?;
            if let Err(why) = compare::records(name, &wanted, &actual, !case.inputs.is_empty(), exact) {
                return Ok(Err(why));
            }
        }
        Ok(case.post.as_ref().map_or(Ok(()), |post| compare::post(post, &catalog)))
    }
}

/// Where a case has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before its last statement, or outside of any.
    Before,
    /// At its last statement.
    Statement,
    /// While its queries ran.
    Run,
}

struct Stop {
    error: Error,
    stage: Stage,
}

/// Whether a refusal is the expected one: of the last statement, at the stage that the expected class belongs to, by an
/// error of the user's making, with all names that the expected message quotes.
///
/// The stage is the run for Kafka Streams' exceptions, else the last statement.
fn refused(stop: &Stop, expected: &ExpectedException) -> Judged {
    let Stop { error, stage } = stop;
    let rendered = error.render(None);
    match error.kind() {
        Kind::Unsupported => return (Verdict::Skipped, error.message().to_owned()),
        Kind::Bug | Kind::Backend => return (Verdict::Failed, format!("no error of the user's making: {rendered}")),
        _ => {}
    }
    let class = expected.kind.as_deref().unwrap_or_default();
    let wanted = if class.contains("StreamsException") { Stage::Run } else { Stage::Statement };
    if *stage != wanted {
        return (Verdict::Failed, format!("refused at another stage ({stage:?} instead of {wanted:?}): {rendered}"));
    }
    let missing: Vec<String> = quoted_names(expected.message.as_deref().unwrap_or_default())
        .into_iter()
        .filter(|n| !rendered.contains(n))
        .collect();
    if missing.is_empty() {
        return (Verdict::Passed, String::new());
    }
    (Verdict::Failed, format!("the refusal does not name {}: {rendered}", missing.join(", ")))
}

/// What a message puts in back-ticks or single quotes; an apostrophe within a word is no quote.
///
/// Nothing is unescaped.
pub(super) fn quoted_names(message: &str) -> Vec<String> {
    let chars: Vec<char> = message.chars().collect();
    let mut names = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let opens = matches!(chars[at], '\'' | '`') && (at == 0 || !chars[at - 1].is_alphanumeric());
        let close = (at + 1..chars.len())
            .find(|i| chars[*i] == chars[at] && chars.get(i + 1).is_none_or(|next| !next.is_alphanumeric()));
        match (opens, close) {
            (true, Some(close)) => {
                names.push(chars[at + 1..close].iter().collect());
                at = close + 1;
            }
            _ => at += 1,
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apostrophes_are_no_quotes() {
        let names = quoted_names("it can't be, but 'X' and `Y Z` are; don't");
        assert_eq!(names, ["X", "Y Z"]);
    }
}
