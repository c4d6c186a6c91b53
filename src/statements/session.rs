//! A session: the properties of one user, and the statements that run under them.
//!
//! A session belongs to one user: a shell, a run of a file, a client of the server. Its own properties (SET) and
//! variables (DEFINE) live as long as it does, and no other session sees them. What its statements make belongs to
//! the process.

use super::check::Touched;
use super::{Action, Asserted, Context, Parsed, Printed, RecordLines, Reply, Until, parse, with_variables};
use crate::catalog::Catalog;
use crate::config::{self, Properties};
use crate::engine::{Bookmark, Committed, Engine, Follower, PushQuery};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::plan::pull::Pull;
use crate::pull::{self, Asker, PullRows, Soon};
use crate::sql::variables::Variables;
use crate::types::Column;

/// The outcome of a statement.
pub enum Outcome {
    /// It has changed what exists.
    Changed {
        /// What was done.
        committed: Committed,
        /// Advice for a person at work, not for a script.
        hint: Option<String>,
    },
    /// It has done something else: what to tell the user, and what to warn of.
    Done {
        /// What to tell the user; may be empty.
        message: String,
        /// What to warn of; may be empty.
        warnings: Vec<String>,
    },
    /// It shows something.
    Reply(Reply),
    /// All rows of a pull query.
    Rows(PullRows),
    /// Rows as they come, at most so many.
    Push {
        /// The running query, from which the rows are taken.
        query: PushQuery,
        /// When it is over.
        until: Until,
        /// What to warn of before the first row.
        warnings: Vec<String>,
        /// Advice for a person at work, not for a script.
        hint: Option<String>,
    },
    /// The records of a topic as they come.
    Print {
        /// From which the records are taken.
        records: Follower,
        /// Makes lines of them, and says when there are enough.
        lines: RecordLines,
    },
}

/// Executes the statements of a text one after the other, in a session of its own.
///
/// For texts that the program itself writes: nobody is told what comes of each.
///
/// # Errors
/// The text is no list of statements: nothing is done then. Or a statement is refused: those before it are done.
pub fn execute(engine: &Engine, text: &str) -> Result<()> {
    let parsed = parse(text).map_err(|mut errors| errors.remove(0))?;
    let mut session = Session::new(engine, Properties::default());
    parsed.iter().try_for_each(|statement| session.run(statement).map(drop))
}

/// What a statement is, to one who has to decide when it is executed.
///
/// A runner of scripts uses it: rows must be shown where their statement stands, and statements after a change may
/// depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// It shows a table as it is at that moment.
    Pull,
    /// It shows the records of a stream, from the first to where it ends.
    Scan,
    /// It shows rows as they come.
    Push,
    /// It shows the records of a topic as they come.
    Print,
    /// It changes what exists.
    Change,
    /// Any other statement; it is finished when its execution returns.
    Other,
}

/// Statements that are checked against what those before them would change.
///
/// Holds copies of catalog, properties and variables, on which the effects of each checked statement are tried.
/// Dropping it undoes everything.
pub struct DryRun<'s> {
    session: &'s Session<'s>,
    catalog: Catalog,
    own: Properties,
    variables: Variables,
}

impl DryRun<'_> {
    /// What exists after the statements checked so far.
    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The same, to change it.
    pub(super) fn catalog_mut(&mut self) -> &mut Catalog {
        &mut self.catalog
    }

    /// The properties that the statements checked so far have set.
    pub(super) fn own(&self) -> &Properties {
        &self.own
    }

    /// The canonical text of the next statement, with the values of variables, and what it would touch.
    pub(super) fn canonical(&self, parsed: &Parsed) -> Result<(String, Touched)> {
        let bound = self.session.bound(parsed, &self.own, &self.variables)?;
        let statement = &bound.as_ref().unwrap_or(parsed).statement;
        Ok((statement.to_string(), statement.touches()))
    }

    /// The text of the next statement with everything in it that it leaves to defaults, as [`Session::completed`].
    pub fn completed(&self, written: &Parsed) -> String {
        self.session.completed_in(written, &self.catalog, &self.own, &self.variables)
    }

    /// How many queries there are after the statements checked so far.
    pub fn queries(&self) -> usize {
        self.catalog.queries().len()
    }

    /// Checks the next statement.
    ///
    /// Statements are checked in their order: one sees what those before it would make.
    ///
    /// # Errors
    /// Why the statement would be refused.
    pub fn check(&mut self, parsed: &Parsed) -> Result<Nature> {
        let engine = self.session.engine;
        let bound = self.session.bound(parsed, &self.own, &self.variables)?;
        match self.session.compile(bound.as_ref().unwrap_or(parsed), &self.catalog, &self.own, &self.variables)? {
            Action::Change(change) => {
                // A refused statement leaves nothing for those after it.
                let mut next = self.catalog.clone();
                change.apply(&mut next, None)?;
                if let Some(query) = change.query() {
                    engine.check(&query.plan, &next, &self.own)?;
                }
                self.catalog = next;
                Ok(Nature::Change)
            }
            Action::Set(name, value) => {
                self.session.check_denied(&name)?;
                self.own.set_for_statements(&name, &value).map(|()| Nature::Other)
            }
            Action::Unset(name) => self.own.unset(&name).map(|()| Nature::Other),
            Action::Define(name, value) => {
                self.variables.define(&name, &value);
                Ok(Nature::Other)
            }
            Action::Undefine(name) => {
                self.variables.undefine(&name);
                Ok(Nature::Other)
            }
            Action::Insert(_) | Action::Reply(_) | Action::Assert(_) | Action::EndShown(_) => Ok(Nature::Other),
            Action::Pull(_) => Ok(Nature::Pull),
            Action::Print(_) => Ok(Nature::Print),
            Action::Push(plan, until) => {
                engine.check(&plan, &self.catalog, &self.own)?;
                Ok(until.nature())
            }
        }
    }
}

/// What is said of a property that may not be set.
pub fn denied(name: &str) -> String {
    format!(
        "One or more properties overrides set locally are prohibited by the KSQL server (use UNSET to reset their default \
         value): [{name}]"
    )
}

/// The properties of one user, over those of the process.
///
/// Not shared between threads: one statement runs at a time.
pub struct Session<'e> {
    engine: &'e Engine,
    own: Properties,
    variables: Variables,
    /// The names of properties that may not be set.
    denied: Vec<String>,
    /// Whether a statement that waits, or computes an answer, is to give up.
    stop: &'e dyn Fn() -> bool,
    /// Where the reader of an earlier push query stood, behind which those of this session go on.
    from: Option<Bookmark>,
}

impl<'e> Session<'e> {
    /// A session with these properties set.
    ///
    /// Without variables.
    pub fn new(engine: &'e Engine, own: Properties) -> Self {
        Session { engine, own, variables: Variables::default(), denied: Vec::new(), stop: &|| false, from: None }
    }

    /// The same session, in which these properties may not be set.
    pub fn denying(self, denied: Vec<String>) -> Self {
        Session { denied, ..self }
    }

    /// The same session, whose statements stop waiting, and pull queries end, when this says so.
    pub fn stopping(self, stop: &'e dyn Fn() -> bool) -> Self {
        Session { stop, ..self }
    }

    /// The same session, whose push queries go on behind the last row that an earlier reader has seen.
    pub fn resuming(self, from: Option<Bookmark>) -> Self {
        Session { from, ..self }
    }

    /// # Errors
    /// The property may not be set in this session.
    fn check_denied(&self, name: &str) -> Result<()> {
        match self.denied.iter().any(|denied| denied == name) {
            true => Err(Error::invalid(denied(name))),
            false => Ok(()),
        }
    }

    /// The value that the session has set a property to, as people may see it.
    ///
    /// # Errors
    /// There is no such property.
    fn set_value(&self, name: &str) -> Result<Option<String>> {
        let property = config::find(name)?;
        Ok(self.own.is_set(property.name).then(|| self.own.shown(property).to_owned()))
    }

    /// The engine that executes the statements.
    pub(super) fn engine(&self) -> &Engine {
        self.engine
    }

    /// The properties that were set.
    pub fn own(&self) -> &Properties {
        &self.own
    }

    /// The variables and their values.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Gives a variable a value.
    pub fn define(&mut self, name: &str, value: &str) {
        self.variables.define(name, value);
    }

    /// The text of a statement with everything in it that it leaves to defaults; as it is written where that cannot be
    /// said.
    pub fn completed(&self, written: &Parsed) -> String {
        self.completed_in(written, &self.engine.catalog(), &self.own, &self.variables)
    }

    fn completed_in(&self, written: &Parsed, catalog: &Catalog, own: &Properties, variables: &Variables) -> String {
        let bound = self.bound(written, own, variables).ok().flatten();
        let parsed = bound.as_ref().unwrap_or(written);
        let properties = &self.engine.properties().with(own);
        let cx = self.context(&parsed.text, catalog, properties, variables);
        parsed.statement.completed(&cx).unwrap_or_else(|| self.spelled(written))
    }

    /// The text of a statement as it is written, with the values of variables.
    pub fn spelled(&self, written: &Parsed) -> String {
        match self.bound(written, &self.own, &self.variables).ok().flatten() {
            Some(_) => self.variables.spelled_into(&written.text),
            None => written.text.clone(),
        }
    }

    /// Checks that statements can be executed one after the other, without doing any of it.
    pub fn dry_run(&self) -> DryRun<'_> {
        let catalog = Catalog::clone(&self.engine.catalog());
        DryRun { session: self, catalog, own: self.own.clone(), variables: self.variables.clone() }
    }

    /// Executes a statement.
    ///
    /// Returns when the effects are durable. A push query has only begun then: its rows are taken from the outcome.
    ///
    /// # Errors
    /// The statement is refused, with nothing done, or the engine could not commit it. If the catalog changes between
    /// compiling and committing, the statement is compiled again; what then means something else is refused as a
    /// conflict.
    pub fn run(&mut self, parsed: &Parsed) -> Result<Outcome> {
        let done = |message: String| Outcome::Done { message, warnings: Vec::new() };
        let catalog = self.engine.catalog();
        let bound = self.bound(parsed, &self.own, &self.variables)?;
        let parsed = bound.as_ref().unwrap_or(parsed);
        Ok(match self.compile(parsed, &catalog, &self.own, &self.variables)? {
            Action::Change(change) => {
                let plan = change.query().map(|query| &query.plan);
                let hint = plan.map_or(Ok(None), |plan| self.skipped(plan, &self.own))?;
                // The catalog may change before the statement's turn comes: then it is compiled again.
                let make = |catalog: &Catalog| match self.compile(parsed, catalog, &self.own, &self.variables)? {
                    Action::Change(change) => Ok(*change),
                    _ => Err(Error::conflict("what the statement refers to has changed meanwhile; try again")),
                };
                Outcome::Changed { committed: self.engine.change(&parsed.text, &self.own, &make)?, hint }
            }
            Action::Insert(insert) => {
                self.engine.insert(&insert.topic, insert.key.as_deref(), insert.batch)?;
                done(String::new())
            }
            Action::Reply(reply) => Outcome::Reply(reply),
            Action::EndShown(id) => Outcome::Reply(Reply::terminated(&id, self.engine.end_shown(&id))),
            Action::Assert(asserted) => Outcome::Reply(self.assert(&asserted)?),
            Action::Set(name, value) => {
                self.check_denied(&name)?;
                let before = self.set_value(&name)?;
                self.own.set_for_statements(&name, &value)?;
                done(match before {
                    Some(before) => {
                        format!("Successfully changed local property '{name}' from '{before}' to '{value}'.")
                    }
                    None => format!(
                        "Successfully changed local property '{name}' to '{value}'. Use the UNSET command to revert your \
                         change."
                    ),
                })
            }
            Action::Unset(name) => {
                let before = self.set_value(&name)?;
                self.own.unset(&name)?;
                done(match before {
                    Some(before) => format!("Successfully unset local property '{name}' (value was '{before}')."),
                    None => format!("Cannot unset local property '{name}' which was never set in the first place"),
                })
            }
            Action::Define(name, value) => {
                self.variables.define(&name, &value);
                done(String::new())
            }
            Action::Undefine(name) => {
                let known = self.variables.undefine(&name);
                let warning = format!("Cannot undefine variable '{name}' which was never defined");
                let warnings = if known { Vec::new() } else { vec![warning] };
                Outcome::Done { message: String::new(), warnings }
            }
            Action::Pull(pull) => Outcome::Rows(self.pull(&pull)?),
            Action::Push(plan, until) => self.push(&parsed.text, *plan, until)?,
            Action::Print(printed) => self.print(&printed)?,
        })
    }

    /// Executes a statement if it shows rows and `may` agrees; else nothing is done.
    ///
    /// # Errors
    /// As those of [`Session::run`].
    pub fn rows(&self, parsed: &Parsed, may: &mut dyn FnMut(Nature) -> bool) -> Result<Option<Outcome>> {
        let bound = self.bound(parsed, &self.own, &self.variables)?;
        let parsed = bound.as_ref().unwrap_or(parsed);
        match self.compile(parsed, &self.engine.catalog(), &self.own, &self.variables)? {
            Action::Pull(_) | Action::Print(_) if self.from.is_some() => {
                Err(Error::invalid("only a query over a stream can go on behind a row that was seen"))
            }
            Action::Pull(pull) if may(Nature::Pull) => Ok(Some(Outcome::Rows(self.pull(&pull)?))),
            Action::Push(plan, until) if may(until.nature()) => self.push(&parsed.text, *plan, until).map(Some),
            Action::Print(printed) if may(Nature::Print) => self.print(&printed).map(Some),
            _ => Ok(None),
        }
    }

    /// The look of a SELECT at a few keys of a table; `None` for every other statement.
    ///
    /// # Errors
    /// As for [`Session::rows`].
    pub fn soon(&self, parsed: &Parsed) -> Result<Option<Soon>> {
        let bound = self.bound(parsed, &self.own, &self.variables)?;
        let parsed = bound.as_ref().unwrap_or(parsed);
        match self.compile(parsed, &self.engine.catalog(), &self.own, &self.variables)? {
            Action::Pull(pull) => Ok(pull::soon(self.engine, *pull, &self.own)),
            _ => Ok(None),
        }
    }

    /// All rows of a pull query.
    fn pull(&self, pull: &Pull) -> Result<PullRows> {
        pull::rows(self.engine, pull, Asker { own: &self.own, is_gone: self.stop })
    }

    /// The columns of the rows that a statement would show; None if it shows none.
    ///
    /// # Errors
    /// Why the statement would be refused.
    pub fn columns(&self, parsed: &Parsed) -> Result<Option<Vec<Column>>> {
        let bound = self.bound(parsed, &self.own, &self.variables)?;
        let parsed = bound.as_ref().unwrap_or(parsed);
        Ok(match self.compile(parsed, &self.engine.catalog(), &self.own, &self.variables)? {
            Action::Pull(pull) => Some(pull.columns()),
            Action::Push(plan, _) => Some(plan.output.iter().map(|output| output.column.clone()).collect()),
            _ => None,
        })
    }

    /// Starts a query whose rows are shown.
    fn push(&self, text: &str, plan: Plan, until: Until) -> Result<Outcome> {
        let mut own = self.own.clone();
        if until.is_at_ends {
            own.set(config::OFFSET_RESET, "earliest")?;
        }
        let (query, hint) = match &self.from {
            Some(from) => (self.engine.push_from(text, &plan, &own, from)?, None),
            None => (self.engine.push(text, &plan, &own)?, self.skipped(&plan, &own)?),
        };
        Ok(Outcome::Push { query, until, warnings: plan.warnings, hint })
    }

    /// Waits until it is as asserted.
    fn assert(&self, asserted: &Asserted) -> Result<Reply> {
        let holds = |catalog: &Catalog| asserted.check(catalog).is_ok();
        self.engine.wait_until(asserted.timeout, &holds, self.stop);
        asserted.check(&self.engine.catalog())?;
        Ok(asserted.reply())
    }

    /// Starts to show the records of a topic.
    fn print(&self, printed: &Printed) -> Result<Outcome> {
        let records = self.engine.follow(&printed.topic, printed.from_beginning)?;
        Ok(Outcome::Print { records, lines: RecordLines::new(printed.interval, printed.limit) })
    }

    /// What should be said of records that a new query does not see, since it starts after them.
    ///
    /// `None` if there are none.
    fn skipped(&self, plan: &Plan, own: &Properties) -> Result<Option<String>> {
        let count = self.engine.skipped(plan, own)?;
        let hint = format!(
            "{count} records were there before and are not read: SET '{0}'='earliest'; before the statement reads them",
            config::OFFSET_RESET
        );
        Ok((count.most() > 0).then_some(hint))
    }

    /// The statement with the values of variables in their places, if there are any.
    ///
    /// Nothing is replaced if the property `ksql.variable.substitution.enable` is false.
    fn bound(&self, parsed: &Parsed, own: &Properties, variables: &Variables) -> Result<Option<Parsed>> {
        let substitutes = self.engine.properties().with(own).flag(config::VARIABLE_SUBSTITUTION);
        if substitutes { with_variables(parsed, variables) } else { Ok(None) }
    }

    fn compile(&self, parsed: &Parsed, catalog: &Catalog, own: &Properties, variables: &Variables) -> Result<Action> {
        let properties = &self.engine.properties().with(own);
        parsed.statement.compile(&self.context(&parsed.text, catalog, properties, variables))
    }

    fn context<'a>(
        &'a self,
        text: &'a str,
        catalog: &'a Catalog,
        properties: &'a Properties,
        variables: &'a Variables,
    ) -> Context<'a> {
        let now_ms = self.engine.clock().wall_ms();
        Context { text, catalog, properties, variables, engine: Some(self.engine), now_ms }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::engine::{Settings, Store};
    use crate::statements;
    use crate::types::Value;

    fn engine() -> Engine {
        let settings = Settings::new(Store::Memory, Arc::new(ManualClock::new()), statements::compile_kept);
        Engine::open(settings).expect("an engine")
    }

    #[test]
    fn a_query_that_the_engine_refuses_leaves_nothing_in_a_dry_run() {
        let engine = engine();
        let text = "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='JSON');
            CREATE STREAM c AS SELECT * FROM s;
            CREATE STREAM c (v INT) WITH (KAFKA_TOPIC='c', PARTITIONS=1, VALUE_FORMAT='JSON');";
        let parsed = statements::parse(text).expect("statements");
        let session = Session::new(&engine, Properties::default());
        let mut dry_run = session.dry_run();
        dry_run.check(&parsed[0]).expect("a stream");
        // No statement removes a topic that a stream is over: only what the engine finds is refused here.
        dry_run.catalog_mut().remove_topic("t").expect("a topic");
        let before = (dry_run.catalog().version, dry_run.catalog().next_query(), dry_run.catalog().next_topic());
        dry_run.check(&parsed[1]).expect_err("the topic is gone");
        let catalog = dry_run.catalog();
        assert_eq!((catalog.version, catalog.next_query(), catalog.next_topic()), before);
        dry_run.check(&parsed[2]).expect("there is no other C");
    }

    #[test]
    fn a_key_of_a_wider_type_than_the_constant_is_looked_up() {
        let engine = engine();
        let text = "CREATE STREAM s (k BIGINT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
            CREATE TABLE t AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;
            SELECT c FROM t WHERE k = 5; SELECT c FROM t WHERE k IN (5, 3000000000);";
        let parsed = statements::parse(text).expect("statements");
        let mut session = Session::new(&engine, Properties::default());
        parsed[..2].iter().try_for_each(|statement| session.run(statement).map(drop)).expect("done");
        let keys = |statement| match session.compile(statement, &engine.catalog(), &session.own, &session.variables) {
            Ok(Action::Pull(pull)) => match *pull {
                Pull::Table(look) => look.keys,
                Pull::Relations(_) => panic!("a look at one table"),
            },
            _ => panic!("a pull query"),
        };
        assert_eq!(keys(&parsed[2]), Some(vec![vec![Value::Bigint(5)]]));
        assert_eq!(keys(&parsed[3]), Some(vec![vec![Value::Bigint(5)], vec![Value::Bigint(3_000_000_000)]]));
    }
}
