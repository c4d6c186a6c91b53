//! A session: the properties of one user, and the statements that run under them.

use super::{Action, Context, Parsed, Reply};
use crate::catalog::Catalog;
use crate::config::Properties;
use crate::engine::{Engine, PullRows, PushQuery};
use crate::error::{Error, Result};

/// What has come of a statement.
pub enum Outcome {
    /// It has done something: what to tell the user, and what to warn of.
    Done {
        message: String,
        warnings: Vec<String>,
    },
    /// It shows something.
    Reply(Reply),
    Rows(PullRows),
    /// Rows as they come, at most so many.
    Push(PushQuery, Option<usize>),
}

/// The properties of one user, over those of the process.
pub struct Session<'e> {
    engine: &'e Engine,
    own: Properties,
}

impl<'e> Session<'e> {
    /// A session with these properties set.
    pub fn new(engine: &'e Engine, own: Properties) -> Self {
        Session { engine, own }
    }

    /// Checks that all statements can be executed one after the other, without doing any of it.
    pub fn validate(&self, script: &[Parsed]) -> Result<()> {
        let mut catalog = Catalog::clone(&self.engine.catalog());
        let mut own = self.own.clone();
        for parsed in script {
            match self.compile(parsed, &catalog, &own)? {
                Action::Change(change) => {
                    change.apply(&mut catalog, None)?;
                }
                Action::Set(name, value) => own.set_for_statements(&name, &value)?,
                Action::Unset(name) => own.unset(&name)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Executes a statement.
    pub fn run(&mut self, parsed: &Parsed) -> Result<Outcome> {
        let done = |message: String| Outcome::Done { message, warnings: Vec::new() };
        let catalog = self.engine.catalog();
        Ok(match self.compile(parsed, &catalog, &self.own)? {
            Action::Change(_) => {
                // The catalog may change before the statement's turn comes: then it is compiled again.
                let make = |catalog: &Catalog| match self.compile(parsed, catalog, &self.own)? {
                    Action::Change(change) => Ok(*change),
                    _ => Err(Error::conflict("what the statement refers to has changed meanwhile; try again")),
                };
                let change = self.engine.change(&parsed.text, &self.own, &make)?;
                Outcome::Done { message: change.message, warnings: change.warnings }
            }
            Action::Insert(insert) => {
                self.engine.insert(&insert.topic, insert.key.as_deref(), insert.batch)?;
                done(String::new())
            }
            Action::Reply(reply) => Outcome::Reply(reply),
            Action::Set(name, value) => {
                self.own.set_for_statements(&name, &value)?;
                done(format!("Successfully changed local property '{name}' to '{value}'."))
            }
            Action::Unset(name) => {
                self.own.unset(&name)?;
                done(format!("Successfully unset local property '{name}'."))
            }
            Action::Pull(pull) => Outcome::Rows(self.engine.pull(&pull)?),
            Action::Push(plan, limit) => Outcome::Push(self.engine.push(&plan, &self.own)?, limit),
        })
    }

    fn compile(&self, parsed: &Parsed, catalog: &Catalog, own: &Properties) -> Result<Action> {
        let properties = self.engine.properties().with(own);
        let now_ms = self.engine.clock().wall_ms();
        let cx = Context { text: &parsed.text, catalog, properties: &properties, engine: Some(self.engine), now_ms };
        parsed.statement.compile(&cx)
    }
}
