//! `DROP STREAM` and `DROP TABLE`: a source goes, and with it the query that was made together with it.
//!
//! | there is | the statement |
//! |---|---|
//! | a query that reads it | is refused |
//! | a query that writes into it by INSERT INTO | is refused |
//! | its own query of CREATE AS | ends the query |
//! | another source over its topic, and DELETE TOPIC | is refused |
//! | another query whose dead letters its topic has, and DELETE TOPIC | is refused |
//!
//! Without DELETE TOPIC the topic and its records stay and can be declared again.

use std::fmt;

use super::drop_topic::refuse_dead_letters;
use super::{Action, Context, Kind, Reply, Right, Statement, Touched};
use crate::catalog::SourceKind;
use crate::engine::{Change, Effect};
use crate::error::{Error, Result};
use crate::sql::words::Ident;
use crate::types::quoted;

pub(super) const KIND: Kind = Kind {
    name: "DROP STREAM",
    summary: "Removes a stream or table, the query that fills it, and with DELETE TOPIC its records.",
    example: "DROP TABLE IF EXISTS t DELETE TOPIC;",
    begins: &["DROP"],
    needs: Right::Admin,
    parse: |cursor| {
        let kinds = [("DROP STREAM", SourceKind::Stream), ("DROP TABLE", SourceKind::Table)];
        let Some(kind) = cursor.take_one(&kinds) else { return Ok(None) };
        let if_exists = cursor.take("IF EXISTS");
        let name = cursor.source_name()?;
        let delete_topic = cursor.take("DELETE TOPIC");
        Ok(Some(Box::new(Drop { kind, if_exists, name, delete_topic })))
    },
};

#[derive(Debug, PartialEq)]
struct Drop {
    kind: SourceKind,
    if_exists: bool,
    name: Ident,
    delete_topic: bool,
}

impl fmt::Display for Drop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exists = if self.if_exists { "IF EXISTS " } else { "" };
        let delete = if self.delete_topic { " DELETE TOPIC" } else { "" };
        write!(f, "DROP {} {exists}{}{delete}", self.kind.name(), self.name)
    }
}

impl Statement for Drop {
    /// The effects come in this order: the query ends, the source goes, the topic goes. Without IF EXISTS a missing
    /// source is an error, with it only a message.
    ///
    /// # Errors
    /// Missing if there is no such source, invalid if it is of the other kind or read-only with DELETE TOPIC, and a
    /// conflict if others use it or its topic.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let name = &self.name.name;
        let Some(source) = cx.catalog.source(name) else {
            if self.if_exists {
                let message = format!("Source {} does not exist", quoted(name));
                let command = format!("{}/{name}/drop", self.kind.lower());
                return Ok(Action::Reply(Reply::nothing_changed(&command, message)));
            }
            let kind = if self.kind == SourceKind::Stream { "Stream " } else { "Table " };
            return Err(cx.catalog.no_source_that(name, |s| s.kind == self.kind).context(kind).at(self.name.span));
        };
        if source.kind != self.kind {
            let message = format!(
                "Incompatible data source type is {}, but statement was DROP {}",
                source.kind.lower(),
                self.kind.lower()
            );
            return Err(Error::invalid(message).at(self.name.span));
        }
        self.check_readers(cx)?;
        let mut drop_topic = None;
        if self.delete_topic {
            if source.read_only {
                let message = format!("Cannot delete topic for read-only source: {name}");
                return Err(Error::invalid(message).at(self.name.span));
            }
            let others: Vec<&str> = cx
                .catalog
                .sources()
                .filter(|s| s.topic == source.topic && s.name != *name)
                .map(|s| s.name.as_str())
                .collect();
            if !others.is_empty() {
                let message = format!(
                    "Refusing to delete topic. Found other data sources ({}) using topic {}",
                    others.join(", "),
                    source.topic
                );
                return Err(Error::conflict(message).at(self.name.span));
            }
            drop_topic = Some(source.topic.clone());
        }
        let ended: Vec<String> = source.query.iter().filter(|id| cx.catalog.query(id).is_some()).cloned().collect();
        if let Some(topic) = &drop_topic {
            refuse_dead_letters(topic, &ended, cx.catalog).map_err(|error| error.at(self.name.span))?;
        }
        let message = format!("Source {} (topic: {}) was dropped.", quoted(name), source.topic);
        let mut effects: Vec<Effect> = ended.into_iter().map(Effect::EndQuery).collect();
        effects.push(Effect::DropSource(name.clone()));
        effects.extend(drop_topic.map(Effect::DropTopic));
        let command = format!("{}/{name}/drop", self.kind.lower());
        // The topic goes with its own effect: what is shown is the statement without it, as ksqlDB does.
        let completed =
            self.delete_topic.then(|| format!("{};", Drop { name: self.name.clone(), delete_topic: false, ..*self }));
        Ok(Action::Change(Box::new(Change { completed, ..Change::new(command, effects, message) })))
    }

    fn touches(&self) -> Touched {
        Touched::name(&self.name.name)
    }
}

impl Drop {
    /// Refuses to drop what others read or write.
    ///
    /// # Errors
    /// A conflict with ksqlDB's message, which lists the queries or the sinks of the readers.
    fn check_readers(&self, cx: &Context) -> Result<()> {
        let name = &self.name.name;
        let (readers, writers) = cx.catalog.queries_of(name);
        let own = cx.catalog.source(name).and_then(|source| source.query.as_deref());
        let writers: Vec<&str> = writers.into_iter().filter(|id| Some(*id) != own).collect();
        if !writers.is_empty() {
            let message = format!(
                "Cannot drop {name}.\nThe following queries read from this source: [{}].\n\
                 The following queries write into this source: [{}].\nYou need to terminate them before dropping {name}.",
                readers.join(", "),
                writers.join(", ")
            );
            return Err(Error::conflict(message).at(self.name.span));
        }
        if readers.is_empty() {
            return Ok(());
        }
        let mut sinks: Vec<&str> = Vec::new();
        for query in readers.iter().filter_map(|id| cx.catalog.query(id)) {
            // Several queries may write to one.
            if !sinks.contains(&query.sink.as_str()) {
                sinks.push(&query.sink);
            }
        }
        let message = format!(
            "Cannot drop {name}.\nThe following streams and/or tables read from this source: [{}].\n\
             You need to drop them before dropping {name}.",
            sinks.join(", ")
        );
        Err(Error::conflict(message).at(self.name.span))
    }
}
