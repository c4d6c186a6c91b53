//! The extended protocol: statements that are prepared, and portals from which rows are taken.

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete, PortalSuspended,
    TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::EmptyQueryResponse;

use super::conversation::{Conversation, Trouble, description};
use super::parameters;
use super::refused::{Refused, code};
use super::run::{Answer, Field, Parameter};
use super::statement::{Statement, split};
use crate::types::Value;

/// How many statements may be prepared, and how many portals be open, in a connection.
const MOST: usize = 1_000;

/// How many bytes the texts of prepared statements may have together.
const MOST_BYTES: usize = 16 << 20;

/// A prepared statement.
#[derive(Clone)]
pub(super) struct Prepared {
    /// None if the text is empty.
    statement: Option<Statement>,
    types: Vec<u32>,
    /// The columns of its rows, once a client has asked for them; None within if it has none.
    fields: Option<Option<Vec<Field>>>,
}

/// A statement with the values of its parameters, and what is left of its rows.
pub(super) struct Portal {
    prepared: Prepared,
    parameters: Vec<Parameter>,
    formats: Vec<i16>,
    /// None before it is executed.
    left: Option<Left>,
}

/// What is left of the rows of a portal.
struct Left {
    fields: Vec<Field>,
    rows: std::vec::IntoIter<Vec<Value>>,
}

impl Conversation {
    /// Prepares a statement.
    pub(super) async fn parse(&mut self, message: Parse) -> Result<(), Trouble> {
        let name = message.name.unwrap_or_default();
        let mut pieces = split(&message.query, self.cx.service.bounds())?;
        let bytes = |prepared: &Prepared| prepared.statement.as_ref().map_or(0, |statement| statement.text.len());
        let all: usize = self.prepared.values().map(bytes).sum();
        if self.prepared.len() >= MOST || all + message.query.len() > MOST_BYTES {
            return Err(Refused::new(code::TOO_MANY, "too many statements are prepared").hint("close some").into());
        }
        let (statement, types) = match (pieces.pop(), pieces.is_empty()) {
            (None, _) => (None, message.type_oids),
            (Some(piece), true) => {
                let statement = self.read(piece)?;
                let (asked, said) = (statement.clone(), message.type_oids);
                let types = self.away(move |cx| cx.types(&asked, &said)).await?;
                (Some(statement), types)
            }
            _ => {
                let message = "cannot insert multiple commands into a prepared statement";
                return Err(Refused::new(code::SYNTAX, message).into());
            }
        };
        self.prepared.insert(name, Prepared { statement, types, fields: None });
        Ok(self.wire.put(PgWireBackendMessage::ParseComplete(ParseComplete::new()))?)
    }

    /// Makes a portal of a prepared statement.
    pub(super) async fn bind(&mut self, message: Bind) -> Result<(), Trouble> {
        let prepared = self.prepared(message.statement_name.as_deref().unwrap_or_default())?.clone();
        if message.parameters.len() != prepared.types.len() {
            let (given, needed) = (message.parameters.len(), prepared.types.len());
            let text =
                format!("bind message supplies {given} parameters, but the prepared statement requires {needed}");
            return Err(Refused::new(code::PROTOCOL, text).into());
        }
        if self.portals.len() >= MOST {
            return Err(Refused::new(code::TOO_MANY, "too many portals are open").hint("close some").into());
        }
        let codes = &message.parameter_format_codes;
        let is_binary =
            |place: usize| codes.get(if codes.len() == 1 { 0 } else { place }).is_some_and(|code| *code == 1);
        let given = message.parameters.iter().zip(&prepared.types).enumerate();
        let parameters = given
            .map(|(place, (bytes, oid))| Ok((parameters::value(*oid, bytes.as_deref(), is_binary(place))?, *oid)))
            .collect::<Result<_, Refused>>()?;
        let formats = message.result_column_format_codes;
        let portal = Portal { prepared, parameters, formats, left: None };
        self.portals.insert(message.portal_name.unwrap_or_default(), portal);
        Ok(self.wire.put(PgWireBackendMessage::BindComplete(BindComplete::new()))?)
    }

    /// Says what parameters and columns a statement has, or what columns a portal has.
    pub(super) async fn describe(&mut self, message: Describe) -> Result<(), Trouble> {
        let name = message.name.unwrap_or_default();
        if message.target_type == TARGET_TYPE_BYTE_STATEMENT {
            let prepared = self.prepared(&name)?.clone();
            let fields = self.fields(prepared.clone()).await?;
            self.wire.put(PgWireBackendMessage::ParameterDescription(ParameterDescription::new(prepared.types)))?;
            self.put_fields(fields.as_deref(), &[])?;
            if let Some(prepared) = self.prepared.get_mut(&name) {
                prepared.fields = Some(fields);
            }
            return Ok(());
        }
        let portal = self.portals.get(&name).ok_or_else(|| no_portal(&name))?;
        let (prepared, formats) = (portal.prepared.clone(), portal.formats.clone());
        let fields = self.fields(prepared).await?;
        self.put_fields(fields.as_deref(), &formats)?;
        if let Some(portal) = self.portals.get_mut(&name) {
            portal.prepared.fields = Some(fields);
        }
        Ok(())
    }

    fn put_fields(&mut self, fields: Option<&[Field]>, formats: &[i16]) -> Result<(), Trouble> {
        let nothing = || PgWireBackendMessage::NoData(NoData::new());
        Ok(self.wire.put(fields.map_or_else(nothing, |fields| description(fields, formats)))?)
    }

    /// The columns of the rows of a statement.
    async fn fields(&mut self, prepared: Prepared) -> Result<Option<Vec<Field>>, Trouble> {
        match (prepared.fields, prepared.statement) {
            (Some(fields), _) => Ok(fields),
            (None, None) => Ok(None),
            (None, Some(statement)) => self.away(move |cx| cx.describe(&statement, &prepared.types)).await,
        }
    }

    /// Executes a portal, or takes more of its rows.
    pub(super) async fn execute(&mut self, message: Execute) -> Result<(), Trouble> {
        let name = message.name.unwrap_or_default();
        // It is taken out while it runs, so that an error closes it.
        let mut portal = self.portals.remove(&name).ok_or_else(|| no_portal(&name))?;
        let Some(statement) = portal.prepared.statement.clone() else {
            self.portals.insert(name, portal);
            return Ok(self.wire.put(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))?);
        };
        let mut left = match portal.left.take() {
            Some(left) => left,
            None => match self.run(statement, portal.parameters.clone()).await? {
                Answer::Done(tag) => return self.done(tag),
                Answer::Rows(table) => {
                    portal.check(&table.fields)?;
                    Left { fields: table.fields, rows: table.rows.into_iter() }
                }
            },
        };
        let most = usize::try_from(message.max_rows).ok().filter(|most| *most > 0).unwrap_or(usize::MAX);
        let mut count = 0;
        while count < most
            && let Some(row) = left.rows.next()
        {
            self.put_row(&row, &left.fields, &portal.formats).await?;
            count += 1;
        }
        // As PostgreSQL does, a limit that was just reached is told as one, whether or not more rows follow.
        if count == most {
            self.wire.put(PgWireBackendMessage::PortalSuspended(PortalSuspended::new()))?;
        } else {
            self.done(format!("SELECT {count}"))?;
        }
        portal.left = Some(left);
        self.portals.insert(name, portal);
        Ok(())
    }

    /// Forgets a prepared statement or a portal, if there is one of this name.
    pub(super) fn close(&mut self, message: Close) -> Result<(), Trouble> {
        let name = message.name.unwrap_or_default();
        if message.target_type == TARGET_TYPE_BYTE_STATEMENT {
            self.prepared.remove(&name);
        } else {
            self.portals.remove(&name);
        }
        Ok(self.wire.put(PgWireBackendMessage::CloseComplete(CloseComplete::new()))?)
    }

    fn prepared(&self, name: &str) -> Result<&Prepared, Refused> {
        let missing = || Refused::new(code::NO_STATEMENT, format!("prepared statement \"{name}\" does not exist"));
        self.prepared.get(name).ok_or_else(missing)
    }
}

impl Portal {
    /// # Errors
    /// A client was told of other columns.
    fn check(&self, fields: &[Field]) -> Result<(), Refused> {
        let Some(Some(told)) = &self.prepared.fields else { return Ok(()) };
        let oids = |fields: &[Field]| fields.iter().map(|field| field.oid).collect::<Vec<_>>();
        match oids(told) == oids(fields) {
            true => Ok(()),
            false => {
                Err(Refused::new(code::UNSUPPORTED, "cached plan must not change result type").hint("prepare it anew"))
            }
        }
    }
}

fn no_portal(name: &str) -> Refused {
    Refused::new(code::NO_PORTAL, format!("portal \"{name}\" does not exist"))
}
