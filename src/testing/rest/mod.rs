//! Cases that go through the service: their statements and queries are sent over real HTTP.
//!
//! The form is that of ksqlDB's REST query tests. The steps: topics are made; all statements are sent in one request;
//! the input is written, topic after topic, and the persistent queries take it to its end; each query is sent in a
//! request of its own and its answer read to its end; records and answers are compared. A case that says so has its input
//! written only when its query runs. The clock is that of the machine.
//!
//! In [`Mode::Resume`] the engine is over a folder, and the service ends and starts again after the statements and
//! after the input.

mod answers;
mod message;
mod service;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::case::{Case, CaseRecord, ExpectedError, Response, RestCase};
use super::run::{ACCEPTED_INSTEAD, Judged, Mode, quoted_names};
use super::{Verdict, compare, records, topics};
use crate::config;
use crate::error::{Error, Kind, UNSUPPORTED};
use crate::serving::client::{Answer, Call, Http};
use answers::Given;
use service::Service;

/// How long an answer, and the work of the persistent queries, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// All records are there when a query is sent, so it need not wait long for others.
const IDLE_MS: u64 = 50;

const V1: &str = "application/vnd.ksql.v1+json";
const PROTOBUF: &str = "application/vnd.ksql.v1+protobuf";

/// Why a case has not passed.
enum Fault {
    /// It needs this, which is missing here.
    Skipped(String),
    /// This differs from what is expected.
    Failed(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        match error.kind() {
            Kind::Unsupported => Fault::Skipped(error.message().to_owned()),
            _ => Fault::Failed(error.render(None)),
        }
    }
}

/// Runs a case that goes through the service.
pub(super) fn run_case(case: &Case, expected: &RestCase, mode: Mode) -> Judged {
    match run(case, expected, mode) {
        Ok(()) => (Verdict::Passed, String::new()),
        Err(Fault::Skipped(what)) => (Verdict::Skipped, what),
        Err(Fault::Failed(why)) => (Verdict::Failed, why),
    }
}

fn run(case: &Case, expected: &RestCase, mode: Mode) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::from)?;
    let mut talk = Talk { case, expected, runtime, service: Service::start(mode)? };
    let result = talk.run(mode == Mode::Resume);
    // With it go the connections, for whose end the service would wait.
    drop(talk.runtime);
    let ended = talk.service.end();
    result?;
    Ok(ended?)
}

/// A case at work.
struct Talk<'a> {
    case: &'a Case,
    expected: &'a RestCase,
    runtime: tokio::runtime::Runtime,
    service: Service,
}

impl Talk<'_> {
    /// Sends everything, and compares what comes of it.
    fn run(&mut self, restarts: bool) -> Result<(), Fault> {
        for text in topics::statements(self.case)? {
            self.service.execute(&text)?;
        }
        let mut given = match self.talk(restarts) {
            Ok(given) => given,
            Err(refused) => return refused.judged(self.expected.expected_error.as_ref(), &self.last_statement()),
        };
        if self.expected.expected_error.is_some() {
            return Err(Fault::Failed(ACCEPTED_INSTEAD.to_owned()));
        }
        self.check_outputs()?;
        given.sort_by_key(Given::rank);
        answers::compare(self.expected, &given, &self.case.statements).map_err(Fault::Failed)
    }

    /// The last statement of the case, as answers have it: values are masked.
    fn last_statement(&self) -> String {
        let last = self.case.statements.last().map_or("", String::as_str);
        self.service.masked(last).unwrap_or_else(|| last.to_owned())
    }

    /// Sends the statements and the queries; what is answered to them.
    fn talk(&mut self, restarts: bool) -> Result<Vec<Given>, Refused> {
        let is_query = |text: &&String| text.starts_with("SELECT ");
        let (queries, statements): (Vec<&String>, Vec<&String>) = self.case.statements.iter().partition(is_query);
        let mut given = self.statements(&statements)?;
        if restarts {
            self.service.restart()?;
        }
        if !self.expected.waits_for_push {
            self.feed()?;
            if restarts {
                self.service.restart()?;
                self.drain()?;
            }
        }
        for query in &queries {
            given.push(Given::Query(self.query(query, Http::One, self.expected.waits_for_push)?));
        }
        let wants_proto = self.expected.responses.iter().any(|r| matches!(r, Response::QueryProto(_)));
        for query in queries.iter().filter(|_| wants_proto) {
            given.push(Given::QueryProto(message::texts(self.query(query, Http::Two, false)?).map_err(Fault::Failed)?));
        }
        Ok(given)
    }

    /// Sends all statements that are no queries in one request.
    fn statements(&self, statements: &[&String]) -> Result<Vec<Given>, Refused> {
        if statements.is_empty() {
            return Ok(Vec::new());
        }
        let text: Vec<&str> = statements.iter().map(|text| text.as_str()).collect();
        let body = json!({ "ksql": text.join("\n"), "streamsProperties": self.case.properties });
        let answer = self.send(Http::One, "/ksql", V1, &body)?;
        match self.elements(answer, Vec::new())? {
            Value::Array(entities) => Ok(entities.into_iter().map(Given::Admin).collect()),
            other => Err(Fault::Failed(format!("the statements are answered by {other}")).into()),
        }
    }

    /// Sends a query and reads its answer to its end; the input is written in the middle if it waits for that.
    fn query(&self, text: &str, http: Http, feeds: bool) -> Result<Vec<Value>, Refused> {
        let mut properties: Map<String, Value> = self.case.properties.clone();
        properties.entry(config::IDLE_MS).or_insert(IDLE_MS.into());
        let mut answer = match http {
            Http::One => self.send(http, "/query", V1, &json!({ "ksql": text, "streamsProperties": properties })),
            Http::Two => self.send(http, "/query-stream", PROTOBUF, &json!({ "sql": text, "properties": properties })),
        }?;
        let mut begun = Vec::new();
        if feeds && answer.is_good() {
            // The query runs when its head has come.
            let head = self.in_time(answer.line())?;
            begun.extend(head.map_err(Fault::from)?.unwrap_or_default());
            self.feed()?;
        }
        match self.elements(answer, begun)? {
            Value::Array(elements) => Ok(elements),
            other => Err(Fault::Failed(format!("the query is answered by {other}")).into()),
        }
    }

    fn send(&self, http: Http, path: &str, accept: &str, body: &Value) -> Result<Answer, Fault> {
        let body = body.to_string();
        let call = Call { http, method: "POST", path, accept, authorization: None, body: &body };
        Ok(self.in_time(self.service.send(call))??)
    }

    /// The JSON of an answer that began with `begun`.
    ///
    /// # Errors
    /// A refusal, or it does not come to its end.
    fn elements(&self, mut answer: Answer, mut begun: Vec<u8>) -> Result<Value, Refused> {
        let status = answer.status;
        let is_good = answer.is_good();
        let read = self.in_time(async {
            while let Some(line) = answer.line().await? {
                begun.extend(line);
            }
            Ok::<_, Error>(())
        });
        let text = String::from_utf8_lossy(&begun);
        match read {
            Err(Fault::Failed(why)) => return Err(Fault::Failed(format!("{why}; so far it has {text}")).into()),
            Err(fault) => return Err(fault.into()),
            Ok(read) => read.map_err(Fault::from)?,
        }
        let body = serde_json::from_str(&text).map_err(|e| Fault::Failed(format!("no JSON ({e}): {text}")))?;
        if is_good { Ok(body) } else { Err(Refused::Answer { status, body }) }
    }

    /// Waits for something, but not for ever.
    fn in_time<T>(&self, wait: impl Future<Output = T>) -> Result<T, Fault> {
        let in_time = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, wait).await });
        in_time.map_err(|_| Fault::Failed(format!("an answer has not ended in {} s", PATIENCE.as_secs())))
    }

    /// Writes the input, and has the persistent queries take it.
    fn feed(&self) -> Result<(), Fault> {
        let engine = self.service.engine()?;
        let catalog = engine.catalog();
        let mut by_topic: Vec<(&str, Vec<&CaseRecord>)> = Vec::new();
        for record in &self.case.inputs {
            match by_topic.iter_mut().find(|(topic, _)| *topic == record.topic) {
                Some((_, all)) => all.push(record),
                None => by_topic.push((&record.topic, vec![record])),
            }
        }
        for (name, all) in by_topic {
            let topic = catalog.topic(name).ok_or_else(|| catalog.no_topic(name))?;
            let source = records::source_of(&catalog, name);
            let encoded: Result<Vec<_>, Error> = all.into_iter().map(|r| records::encode(r, source)).collect();
            engine.insert_all(topic, encoded?)?;
        }
        self.drain()
    }

    /// Waits until the persistent queries have taken all records.
    fn drain(&self) -> Result<(), Fault> {
        let engine = self.service.engine()?;
        let end = engine.clock().monotonic_ns() + PATIENCE.as_nanos() as u64;
        let is_late = || engine.clock().monotonic_ns() >= end;
        engine.wait_drained(&is_late)?;
        match is_late() {
            true => Err(Fault::Failed("the queries have not come to the end of the input in time".to_owned())),
            false => Ok(()),
        }
    }

    fn check_outputs(&self) -> Result<(), Fault> {
        let engine = self.service.engine()?;
        let catalog = engine.catalog();
        let mut expected: BTreeMap<&str, Vec<&CaseRecord>> = BTreeMap::new();
        for record in &self.case.outputs {
            expected.entry(&record.topic).or_default().push(record);
        }
        for (name, wanted) in expected {
            let topic = catalog.topic(name).ok_or_else(|| catalog.no_topic(name))?;
            let source = records::source_of(&catalog, name);
            let actual = records::read_all(engine.topics().as_ref(), topic.id, topic.partitions, source)?;
            let has_inputs = !self.case.inputs.is_empty();
            compare::records(name, &wanted, &actual, has_inputs, true).map_err(Fault::Failed)?;
        }
        Ok(())
    }
}

/// Why there is no answer to a request.
enum Refused {
    /// The service says so.
    Answer { status: u16, body: Value },
    /// Something else is wrong.
    Fault(Fault),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        Refused::Fault(fault)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Fault(error.into())
    }
}

impl Refused {
    /// Whether it is the refusal that is expected: by its status, by the kind of its entity, and by the names that the
    /// expected message quotes.
    fn judged(self, expected: Option<&ExpectedError>, last: &str) -> Result<(), Fault> {
        let (status, body) = match self {
            Refused::Fault(fault) => return Err(fault),
            Refused::Answer { status, body } => (status, body),
        };
        let message = body["message"].as_str().unwrap_or_default();
        // A format that needs a registry of schemas is refused with a code of its own.
        if message.starts_with(UNSUPPORTED) || body["error_code"] == 42801 {
            return Err(Fault::Skipped(message.to_owned()));
        }
        let differs = |what: &str| Err(Fault::Failed(format!("{what}: {body} with status {status}")));
        let Some(expected) = expected else { return differs("a refusal") };
        if expected.status.is_some_and(|wanted| wanted != status) || !(400..500).contains(&status) {
            return differs("a refusal with another status");
        }
        let wanted = expected.kind.as_deref().unwrap_or_default();
        let is_statement = body["@type"] == "statement_error";
        if wanted.ends_with("KsqlStatementErrorMessage") && !is_statement {
            return differs("a refusal that does not name the statement");
        }
        if is_statement && !body["statementText"].as_str().is_some_and(|text| text.contains(last)) {
            return differs("a refusal of another statement");
        }
        let quoted = quoted_names(expected.message.as_deref().unwrap_or_default());
        match quoted.into_iter().find(|name| !message.contains(name)) {
            Some(name) => differs(&format!("a refusal that does not name {name}")),
            None => Ok(()),
        }
    }
}
