//! A conversation with a client: messages in, answers out, one statement at a time.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use pgwire::messages::data::{DataRow, FieldDescription, RowDescription};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::ParameterStatus;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::watch;

use super::extended::{Portal, Prepared};
use super::refused::{Refused, code};
use super::run::{Answer, Cx, Field, Parameter};
use super::start::Started;
use super::statement::{Asks, Statement, split};
use super::wire::Wire;
use super::{Cancellable, Door, types, values};
use crate::config::Properties;
use crate::types::Value;

/// Why a message is not answered as it wants.
pub(super) enum Trouble {
    /// The client is told, and goes on.
    Refused(Refused),
    /// The connection has failed, or is to end.
    Gone,
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Trouble {
        Trouble::Refused(refused)
    }
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Trouble {
        Trouble::Gone
    }
}

/// A conversation, and what is remembered in it.
pub(super) struct Conversation {
    pub(super) wire: Wire,
    pub(super) cx: Cx,
    pub(super) prepared: HashMap<String, Prepared>,
    pub(super) portals: HashMap<String, Portal>,
    status: TransactionStatus,
    /// Whether messages are passed over up to the next Sync, after an error.
    is_skipping: bool,
    stopping: watch::Receiver<bool>,
    _cancellable: Cancellable,
}

impl Conversation {
    /// A conversation with a client that was greeted.
    pub(super) fn new(door: Door, started: Started) -> Conversation {
        let Started { wire, settings, user, cancellable } = started;
        let (service, cancelled) = (door.service, cancellable.cancelled.clone());
        Conversation {
            wire,
            cx: Cx { service, own: Properties::default(), settings, user, cancelled },
            prepared: HashMap::new(),
            portals: HashMap::new(),
            status: TransactionStatus::Idle,
            is_skipping: false,
            stopping: door.stopping,
            _cancellable: cancellable,
        }
    }

    /// Answers messages until the client goes, or the server ends.
    pub(super) async fn go_on(mut self) {
        if self.ready().await.is_err() {
            return;
        }
        loop {
            let message = tokio::select! {
                message = self.wire.next() => Some(message),
                _ = self.stopping.wait_for(|stopping| *stopping) => None,
            };
            let Some(message) = message else { return self.end(code::STOPPING, "the server ends").await };
            let message = match message {
                Ok(Some(PgWireFrontendMessage::Terminate(_)) | None) => return,
                Ok(Some(message)) => message,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return self.end(code::PROTOCOL, &format!("a message cannot be read: {error}")).await;
                }
                Err(_) => return,
            };
            if self.answer(message).await.is_err() {
                // What was said already is sent as far as it goes.
                return self.wire.close().await;
            }
        }
    }

    /// Tells why the connection ends, and ends it.
    async fn end(&mut self, code: &'static str, message: &str) {
        if self.wire.put(Refused::new(code, message).response(true)).is_ok() {
            self.wire.close().await;
        }
    }

    /// Answers a message; an error if the connection is to end.
    async fn answer(&mut self, message: PgWireFrontendMessage) -> Result<(), io::Error> {
        let is_extended = message.is_extended_query();
        if matches!(message, PgWireFrontendMessage::Sync(_)) {
            self.is_skipping = false;
            if self.status == TransactionStatus::Idle {
                self.portals.clear();
            }
            return self.ready().await;
        }
        if self.is_skipping && is_extended {
            return Ok(());
        }
        let answered = match message {
            PgWireFrontendMessage::Query(query) => self.simple(&query.query).await,
            PgWireFrontendMessage::Parse(parse) => self.parse(parse).await,
            PgWireFrontendMessage::Bind(bind) => self.bind(bind).await,
            PgWireFrontendMessage::Describe(describe) => self.describe(describe).await,
            PgWireFrontendMessage::Execute(execute) => self.execute(execute).await,
            PgWireFrontendMessage::Close(close) => self.close(close),
            PgWireFrontendMessage::Flush(_) => self.wire.flush().await.map_err(Trouble::from),
            // What may still come of a COPY that was refused.
            PgWireFrontendMessage::CopyData(_)
            | PgWireFrontendMessage::CopyDone(_)
            | PgWireFrontendMessage::CopyFail(_) => return Ok(()),
            _ => Err(Refused::new(code::PROTOCOL, "a message of this type is not expected here").into()),
        };
        match answered {
            Ok(()) => {}
            Err(Trouble::Refused(refused)) => {
                self.wire.put(refused.response(false))?;
                if self.status == TransactionStatus::Transaction {
                    self.status = TransactionStatus::Error;
                }
                self.is_skipping = is_extended;
                if is_extended {
                    self.wire.flush().await?;
                }
            }
            Err(Trouble::Gone) => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
        if is_extended { self.wire.make_room().await } else { self.ready().await }
    }

    /// Says that the next statement is waited for.
    async fn ready(&mut self) -> io::Result<()> {
        self.wire.put(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(self.status)))?;
        self.wire.flush().await
    }

    /// Executes the statements of a text, one after the other, up to the first that is refused.
    async fn simple(&mut self, text: &str) -> Result<(), Trouble> {
        let statements = split(text, self.cx.service.bounds())?;
        if statements.is_empty() {
            self.wire.put(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))?;
        }
        for piece in statements {
            let statement = self.read(piece)?;
            match self.run(statement, Vec::new()).await? {
                Answer::Done(tag) => self.done(tag)?,
                Answer::Rows(table) => {
                    let count = table.rows.len();
                    self.wire.put(description(&table.fields, &[]))?;
                    for row in &table.rows {
                        self.put_row(row, &table.fields, &[]).await?;
                    }
                    self.done(format!("SELECT {count}"))?;
                }
            }
        }
        Ok(())
    }

    /// What a text of one statement asks for.
    pub(super) fn read(&self, piece: (usize, &str)) -> Result<Statement, Refused> {
        Statement::read(piece, &self.cx.settings, &self.cx.service.engine.catalog())
    }

    /// Says that a statement is done.
    pub(super) fn done(&mut self, tag: String) -> Result<(), Trouble> {
        Ok(self.wire.put(PgWireBackendMessage::CommandComplete(CommandComplete::new(tag)))?)
    }

    /// Adds a row to the answer, its values in these forms.
    pub(super) async fn put_row(&mut self, row: &[Value], fields: &[Field], formats: &[i16]) -> Result<(), Trouble> {
        let mut data = BytesMut::new();
        for (place, (value, field)) in row.iter().zip(fields).enumerate() {
            values::put(value, field.oid, format(formats, place) == 1, &mut data)?;
        }
        self.wire.put(PgWireBackendMessage::DataRow(DataRow::new(data, fields.len() as i16)))?;
        Ok(self.wire.make_room().await?)
    }

    /// Executes a statement. It is cancelled when the client goes, wants that, or the server ends.
    pub(super) async fn run(&mut self, statement: Statement, parameters: Vec<Parameter>) -> Result<Answer, Trouble> {
        if self.status == TransactionStatus::Error && !matches!(statement.asks, Asks::End(_)) {
            let message = "the transaction was aborted by an error; statements are ignored until it ends";
            return Err(Refused::new(code::IN_FAILED, message).hint("end it with ROLLBACK").into());
        }
        match &statement.asks {
            Asks::Begin => self.status = TransactionStatus::Transaction,
            Asks::End(tag) => {
                let tag = if self.status == TransactionStatus::Error { "ROLLBACK" } else { tag };
                self.status = TransactionStatus::Idle;
                self.portals.clear();
                return Ok(Answer::Done(tag.to_owned()));
            }
            Asks::Set(name, value) => {
                if let Some(name) = self.cx.settings.set(name, value)? {
                    self.tell(name)?;
                }
            }
            Asks::Reset => {
                self.cx.settings.reset();
                self.cx.own = Properties::default();
                if statement.word == "DISCARD" {
                    self.prepared.clear();
                    return Ok(Answer::Done("DISCARD ALL".to_owned()));
                }
            }
            Asks::Deallocate(None) => self.prepared.clear(),
            Asks::Deallocate(Some(name)) => {
                self.prepared.remove(name);
            }
            _ => {}
        }
        self.away(move |cx| cx.run(&statement, &parameters)).await
    }

    /// Does what may wait on a thread of its own.
    pub(super) async fn away<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Cx) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Trouble> {
        let cancelled = self.cx.cancelled.clone();
        cancelled.store(false, Ordering::Relaxed);
        let mut cx = self.cx.clone();
        let mut task = tokio::task::spawn_blocking(move || {
            let done = work(&mut cx);
            (done, cx.own)
        });
        let (mut is_gone, mut is_stopping) = (false, false);
        loop {
            tokio::select! {
                done = &mut task => {
                    let Ok((done, own)) = done else {
                        return Err(Refused::new(code::BUG, "bug: the statement ended in a panic").into());
                    };
                    self.cx.own = own;
                    return if is_gone { Err(Trouble::Gone) } else { Ok(done?) };
                }
                () = self.wire.gone(), if !is_gone => is_gone = true,
                _ = self.stopping.wait_for(|stopping| *stopping), if !is_stopping => is_stopping = true,
            }
            cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// Tells the client the value of a setting.
    fn tell(&mut self, name: &'static str) -> io::Result<()> {
        let value = self.cx.settings.get(name).unwrap_or_default().to_owned();
        self.wire.put(PgWireBackendMessage::ParameterStatus(ParameterStatus::new(name.to_owned(), value)))
    }
}

/// The form of the values of a column: 1 is binary.
fn format(formats: &[i16], place: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(place).copied().unwrap_or(0),
    }
}

/// The message that says what columns rows have, and in which forms they come.
pub(super) fn description(fields: &[Field], formats: &[i16]) -> PgWireBackendMessage {
    let one = |(place, field): (usize, &Field)| {
        let size = types::find(field.oid).map_or(-1, |known| known.size);
        let format = format(formats, place);
        FieldDescription::new(field.name.clone(), 0, 0, field.oid, size, field.modifier, format)
    };
    PgWireBackendMessage::RowDescription(RowDescription::new(fields.iter().enumerate().map(one).collect()))
}
