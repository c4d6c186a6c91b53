//! Where a command executes statements of its own: a server, or an engine over the data folder.
//!
//! Both answer with the same entities, those of ksqlDB's API, so that a command knows nothing of the difference.
//! A server may also be one of ksqlDB: nothing is sent to it that only Tidemill knows.

use serde_json::Value as Json;

use super::common::Common;
use super::connect::Credentials;
use super::failure::Failure;
use super::output::tell;
use super::remote::Remote;
use super::script::{Placed, Script, ScriptStatement};
use crate::config::Properties;
use crate::engine::{Drive, Engine};
use crate::error::Error;
use crate::journal::WhenFull;
use crate::sql::bounds::Bounds;
use crate::statements::{Outcome, Session};
use crate::types::Value;

/// How the names begin that a server gives to topics of its own; that of the data folder is the usual one.
const SERVICE_ID: &str = "default_";

/// A server, or an engine over the data folder.
pub(super) struct Peer {
    /// Over the data folder. With a server it holds nothing, and what belongs to the session is kept in it.
    engine: Engine,
    remote: Option<Remote>,
}

impl Peer {
    /// The server at an address, or else the data folder, whose queries run.
    ///
    /// # Errors
    /// The server does not answer or does not know the user; or the folder cannot be opened.
    pub(super) fn open(common: &Common, server: Option<&str>, credentials: &Credentials) -> Result<Peer, Failure> {
        let remote = server.map(|url| Remote::connect(url, credentials, false)).transpose()?;
        let engine = match &remote {
            Some(_) => common.open_empty("latest")?,
            None => common.open(Drive::Threads { start: true }, WhenFull::Refuse, "earliest")?,
        };
        Ok(Peer { engine, remote })
    }

    /// A session without properties and variables.
    pub(super) fn session(&self) -> Session<'_> {
        Session::new(&self.engine, Properties::default())
    }

    /// Whether it is a server, which checks a statement only when it executes it.
    pub(super) fn is_server(&self) -> bool {
        self.remote.is_some()
    }

    /// How the names of topics begin that belong to the service.
    ///
    /// # Errors
    /// The server does not say it.
    pub(super) fn service_id(&self) -> Result<String, Failure> {
        let Some(remote) = &self.remote else { return Ok(SERVICE_ID.to_owned()) };
        let info: Json = serde_json::from_str(&remote.text("/info")?).unwrap_or_default();
        let id = info["KsqlServerInfo"]["ksqlServiceId"].as_str();
        let id = id.ok_or_else(|| Error::backend("the server does not say its service id; is it one of ksqlDB?"))?;
        Ok(id.to_owned())
    }

    /// Executes a statement that shows no rows; the entities that answer it.
    ///
    /// What belongs to the session is not sent to a server.
    ///
    /// # Errors
    /// It is refused.
    pub(super) fn run(&self, session: &mut Session, statement: &ScriptStatement) -> Result<Vec<Json>, Failure> {
        if let Some(remote) = &self.remote
            && !statement.is_of_session()
        {
            let mut placed = Placed::default();
            placed.add(statement);
            return remote.entities(session, &placed);
        }
        match session.run(&statement.parsed).map_err(|error| statement.failure(error))? {
            Outcome::Reply(reply) => Ok(vec![Json::Object(reply.entity)]),
            Outcome::Changed { committed, .. } => {
                warn(&committed.change.warnings);
                Ok(Vec::new())
            }
            Outcome::Done { warnings, .. } => {
                warn(&warnings);
                Ok(Vec::new())
            }
            Outcome::Rows(_) | Outcome::Push { .. } | Outcome::Print { .. } => {
                Err(Error::bug("a statement that shows rows was executed as one that shows none").into())
            }
        }
    }

    /// Executes statements of the command's own; all entities that answer them.
    ///
    /// # Errors
    /// One of them is refused.
    pub(super) fn ask(&self, text: &str) -> Result<Vec<Json>, Failure> {
        let mut session = self.session();
        let mut entities = Vec::new();
        for statement in &own(text)?.statements {
            entities.extend(self.run(&mut session, statement)?);
        }
        Ok(entities)
    }

    /// The rows of a SELECT without EMIT, each with a value for each column.
    ///
    /// # Errors
    /// It is refused.
    pub(super) fn rows(&self, text: &str) -> Result<Vec<Vec<Value>>, Failure> {
        if let Some(remote) = &self.remote {
            return remote.rows(text);
        }
        let mut session = self.session();
        let mut rows = Vec::new();
        for statement in &own(text)?.statements {
            if let Outcome::Rows(found) = session.run(&statement.parsed)? {
                rows.extend(found.rows);
            }
        }
        Ok(rows)
    }

    /// Ends in order.
    ///
    /// # Errors
    /// The engine has failed meanwhile.
    pub(super) fn close(self) -> Result<(), Failure> {
        self.engine.close();
        self.engine.failure().map_or(Ok(()), |error| Err(error.clone().into()))
    }
}

/// The statements of a text of the command's own.
fn own(text: &str) -> Result<Script, Failure> {
    Script::parse("statement", text, Bounds::NONE).map_err(|mut errors| errors.remove(0).into())
}

fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
}
