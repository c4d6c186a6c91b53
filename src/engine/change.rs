//! Changes of what exists: what a statement does to the catalog, and the record of it that is kept.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Query, Source};
use crate::config::{Properties, Scope};
use crate::error::{Error, Result};
use crate::plan::{Plan, Sink};
use crate::topics::{Offset, PartitionId, Topic, TopicId};
use crate::types::SqlType;
use crate::types::row::{Input, put_bytes, put_varint};

/// A change of what exists, as a statement means it; it has no effect until it is applied.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Topics to be made, unless they are there.
    pub topics: Vec<NewTopic>,
    pub source: Option<Source>,
    /// A type that gets a name.
    pub new_type: Option<(String, SqlType)>,
    pub query: Option<NewQuery>,
    /// The source that goes.
    pub drop_source: Option<String>,
    /// The name of a type that goes.
    pub drop_type: Option<String>,
    /// The queries that end.
    pub end_queries: Vec<String>,
    /// The topics that go with all their records.
    pub drop_topics: Vec<String>,
    /// What the user is told when it is done.
    pub message: String,
    /// What the user should know besides.
    pub warnings: Vec<String>,
}

/// A topic to be made.
#[derive(Clone, Debug)]
pub struct NewTopic {
    pub name: String,
    pub partitions: u32,
    pub config: BTreeMap<String, String>,
}

/// A query to be started.
#[derive(Clone, Debug)]
pub struct NewQuery {
    pub id: NewId,
    pub plan: Plan,
    pub sink: Sink,
    /// Whether the sink is made with it, or is there already.
    pub makes_sink: bool,
    pub statement: String,
}

/// The id that a query is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewId {
    /// This and the query's number: `CTAS_NAME_7`.
    Numbered(String),
    /// The one that the user gave.
    Given(String),
}

impl NewId {
    /// The id of the query of this number.
    pub fn of(&self, number: u64) -> String {
        match self {
            NewId::Numbered(prefix) => format!("{prefix}_{number}"),
            NewId::Given(id) => id.clone(),
        }
    }
}

/// What a change has come to in a catalog.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The topics that were made.
    pub topics: Vec<Topic>,
    /// The query that was started.
    pub query: Option<Query>,
    /// The numbers of the queries that have ended.
    pub ended: Vec<u64>,
    pub dropped: Vec<Topic>,
}

/// Ids that were given out before and must be given again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub topics: Vec<TopicId>,
    pub query: Option<u64>,
}

impl Change {
    /// Applies the change to a catalog, under new ids or the given ones.
    pub fn apply(&self, catalog: &mut Catalog, ids: Option<&Ids>) -> Result<Applied> {
        let mut applied = Applied::default();
        for id in &self.end_queries {
            let query = catalog.remove_query(id).ok_or_else(|| Error::missing(format!("Unknown queryId: {id}")))?;
            applied.ended.push(query.number);
        }
        if let Some(name) = &self.drop_source {
            catalog.remove_source(name).ok_or_else(|| catalog.no_source(name))?;
        }
        if let Some(name) = &self.drop_type {
            catalog.remove_type(name).ok_or_else(|| catalog.no_type(name))?;
        }
        if let Some((name, sql_type)) = &self.new_type {
            catalog.add_type(name, sql_type.clone());
        }
        for name in &self.drop_topics {
            let topic = catalog.remove_topic(name).ok_or_else(|| catalog.no_topic(name))?;
            applied.dropped.push(Topic::clone(&topic));
        }
        let mut given = ids.map(|i| i.topics.iter().copied()).into_iter().flatten();
        for new in &self.topics {
            if catalog.topic(&new.name).is_none() {
                let topic = catalog.add_topic(&new.name, new.partitions, new.config.clone(), given.next());
                applied.topics.push(Topic::clone(&topic));
            }
        }
        let mut source = self.source.clone();
        if let Some(new) = &self.query {
            let number = ids.and_then(|i| i.query).unwrap_or_else(|| catalog.next_query());
            let query = Query {
                id: new.id.of(number),
                number,
                statement: new.statement.clone(),
                sink: new.sink.source.name.clone(),
                reads: new.plan.root.sources().into_iter().map(|s| s.name.clone()).collect(),
            };
            if new.makes_sink {
                source = Some(Source { query: Some(query.id.clone()), ..new.sink.source.clone() });
            }
            catalog.add_query(query.clone());
            applied.query = Some(query);
        }
        if let Some(source) = source {
            catalog.put_source(source);
        }
        catalog.version += 1;
        Ok(applied)
    }
}

impl Applied {
    /// The ids that were given out.
    pub fn ids(&self) -> Ids {
        Ids { topics: self.topics.iter().map(|t| t.id).collect(), query: self.query.as_ref().map(|q| q.number) }
    }
}

/// A statement that changed what exists, as it is kept: its text and everything that its meaning depended on. Never a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The version of the catalog that it was understood at, which no other record has.
    pub version: u64,
    pub text: String,
    /// The properties that the statement was executed with, but for those of the process.
    pub properties: Vec<(String, String)>,
    pub ids: Ids,
    /// Where its query started to read, where that was not the start of the partition.
    pub starts: Vec<(PartitionId, Offset)>,
    /// Tells whether the query's state fits the plan that the text has today.
    pub fingerprint: u64,
    /// The versions of the records without which the text could not be understood again.
    pub needs: Vec<u64>,
    /// The versions of the records of whose effect it has undone something.
    pub undoes: Vec<u64>,
}

impl Record {
    /// The properties that the statement is executed with in a process of these: whatever else is set there now, it means the
    /// same.
    pub fn properties(&self, process: &Properties) -> Result<Properties> {
        let mut all = process.only(Scope::Process);
        self.properties.iter().try_for_each(|(name, value)| all.set(name, value))?;
        Ok(all)
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.version);
        put_bytes(out, self.text.as_bytes());
        put_varint(out, self.properties.len() as u64);
        for (name, value) in &self.properties {
            put_bytes(out, name.as_bytes());
            put_bytes(out, value.as_bytes());
        }
        put_numbers(out, &self.ids.topics);
        put_varint(out, self.ids.query.map_or(0, |q| q + 1));
        put_varint(out, self.starts.len() as u64);
        for (id, offset) in &self.starts {
            put_varint(out, id.topic);
            put_varint(out, u64::from(id.partition));
            put_varint(out, *offset as u64);
        }
        out.extend_from_slice(&self.fingerprint.to_le_bytes());
        put_numbers(out, &self.needs);
        put_numbers(out, &self.undoes);
    }

    /// Reads what [`Record::encode`] wrote.
    pub fn decode(input: &mut Input) -> Result<Record> {
        let mut record = Record { version: input.varint()?, text: input.text()?, ..Record::default() };
        for _ in 0..input.varint()? {
            record.properties.push((input.text()?, input.text()?));
        }
        record.ids.topics = take_numbers(input)?;
        record.ids.query = input.varint()?.checked_sub(1);
        for _ in 0..input.varint()? {
            let id = PartitionId { topic: input.varint()?, partition: input.varint()? as u32 };
            record.starts.push((id, input.varint()? as i64));
        }
        record.fingerprint = input.i64()? as u64;
        record.needs = take_numbers(input)?;
        record.undoes = take_numbers(input)?;
        Ok(record)
    }
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    put_varint(out, numbers.len() as u64);
    numbers.iter().for_each(|number| put_varint(out, *number));
}

fn take_numbers(input: &mut Input) -> Result<Vec<u64>> {
    (0..input.varint()?).map(|_| input.varint()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_way_through_bytes() {
        let record = Record {
            version: 12,
            text: "CREATE …".into(),
            properties: vec![("auto.offset.reset".into(), "earliest".into())],
            ids: Ids { topics: vec![3], query: Some(0) },
            starts: vec![(PartitionId { topic: 1, partition: 2 }, 9)],
            fingerprint: u64::MAX,
            needs: vec![4, 11],
            undoes: vec![],
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Record::decode(&mut Input(&bytes)).expect("whole"), record);
    }
}
