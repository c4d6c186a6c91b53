//! The record of a statement that changed what exists.
//!
//! The bytes, in this order (a text is its length as a varint and UTF-8):
//!
//! ```text
//! version                       varint
//! text                          text
//! properties                    number, then name and value as text, each
//! those that were not set       number, then name as text, each
//! topics that were made         number, then the id of each, varints
//! query                         varint: 0 for none, else its number + 1
//! starts                        number, then topic, partition and offset, varints
//! stateful operators            number, then id (varint) and fingerprint (8 bytes, little-endian)
//! needs, undoes                 number and versions, varints, each
//! ```
//!
//! Properties with their values are those that decide what the statement means. Those of the process (ports, sizes,
//! threads) are not kept.

use super::Ids;
use crate::config::{self, Properties, Scope};
use crate::error::{Error, Result};
use crate::ids::{QueryNumber, TopicId, Version};
use crate::state::OperatorId;
use crate::topics::{Offset, PartitionId};
use crate::types::row::{Input, put_bytes, put_varint};

/// A statement that changed what exists, as it is kept: its text and everything that its meaning depended on. Never a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The version of the catalog that it was understood at, which no other record has.
    ///
    /// The version of the catalog before the statement; it rises by one with each.
    pub version: Version,
    /// The statement as SQL, from which its meaning is made again at each start.
    pub text: String,
    /// The properties that the statement was executed with, but for those of the process.
    ///
    /// Only those that were set.
    pub properties: Vec<(String, String)>,
    /// The names of those of them that nobody had set: the command that executed it has them as a default of its own.
    pub assumed: Vec<String>,
    /// The ids of the topics and the query that the statement made.
    pub ids: Ids,
    /// Where its query started to read, where that was not offset 0.
    pub starts: Vec<(PartitionId, Offset)>,
    /// The query's stateful operators, each with what tells whether its state fits the plan that the text has today.
    pub operators: Vec<(OperatorId, u64)>,
    /// The versions of the records that must be replayed before the text can be compiled.
    pub needs: Vec<Version>,
    /// The versions of the records whose effects it has undone, wholly or in part.
    pub undoes: Vec<Version>,
}

impl Record {
    /// The properties for executing the statement again in a process with these properties. The kept values decide what
    /// the statement means, whatever the process has now. Only the idle timeout may come from the process, if the
    /// statement has none: it decides when results come, not what they are.
    ///
    /// # Errors
    /// A kept value is not valid in this version.
    pub fn properties(&self, process: &Properties) -> Result<Properties> {
        let mut all = process.only(Scope::Process);
        if let Some((name, value)) = process.overrides().find(|(name, _)| *name == config::IDLE_MS) {
            all.set(name, value)?;
        }
        for (name, value) in &self.properties {
            match self.assumed.contains(name) {
                true => all.assume(config::find(name)?.name, value),
                false => all.set(name, value)?,
            }
        }
        Ok(all)
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.version.get());
        put_bytes(out, self.text.as_bytes());
        put_varint(out, self.properties.len() as u64);
        for (name, value) in &self.properties {
            put_bytes(out, name.as_bytes());
            put_bytes(out, value.as_bytes());
        }
        put_varint(out, self.assumed.len() as u64);
        self.assumed.iter().for_each(|name| put_bytes(out, name.as_bytes()));
        put_numbers(out, self.ids.topics.iter().map(|topic| topic.get()));
        put_varint(out, self.ids.query.map_or(0, |q| q.get() + 1));
        put_varint(out, self.starts.len() as u64);
        for (id, offset) in &self.starts {
            put_varint(out, id.topic.get());
            put_varint(out, u64::from(id.partition));
            put_varint(out, *offset as u64);
        }
        put_varint(out, self.operators.len() as u64);
        for (id, fingerprint) in &self.operators {
            put_varint(out, u64::from(id.encode()));
            out.extend_from_slice(&fingerprint.to_le_bytes());
        }
        put_numbers(out, self.needs.iter().map(|version| version.get()));
        put_numbers(out, self.undoes.iter().map(|version| version.get()));
    }

    /// Reads what [`Record::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are too short, a text is not UTF-8, or an operator has an unknown kind.
    pub fn decode(input: &mut Input) -> Result<Record> {
        let mut record = Record { version: Version::new(input.varint()?), text: input.text()?, ..Record::default() };
        for _ in 0..input.varint()? {
            record.properties.push((input.text()?, input.text()?));
        }
        record.assumed = (0..input.varint()?).map(|_| input.text()).collect::<Result<_>>()?;
        record.ids.topics = take_numbers(input, TopicId::new)?;
        record.ids.query = input.varint()?.checked_sub(1).map(QueryNumber::new);
        for _ in 0..input.varint()? {
            let id = PartitionId { topic: TopicId::new(input.varint()?), partition: input.varint()? as u32 };
            record.starts.push((id, input.varint()? as i64));
        }
        for _ in 0..input.varint()? {
            let id = input.varint()? as u32;
            let id = OperatorId::decode(id).ok_or_else(|| Error::backend(format!("{id} is no operator")))?;
            record.operators.push((id, input.i64()? as u64));
        }
        record.needs = take_numbers(input, Version::new)?;
        record.undoes = take_numbers(input, Version::new)?;
        Ok(record)
    }
}

fn put_numbers(out: &mut Vec<u8>, numbers: impl ExactSizeIterator<Item = u64>) {
    put_varint(out, numbers.len() as u64);
    numbers.for_each(|number| put_varint(out, number));
}

fn take_numbers<T>(input: &mut Input, id: fn(u64) -> T) -> Result<Vec<T>> {
    (0..input.varint()?).map(|_| input.varint().map(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::OperatorKind;

    #[test]
    fn a_process_says_how_long_time_is_held_back_where_the_statement_does_not() {
        let mut process = Properties::default();
        for (name, value) in [(config::IDLE_MS, "500"), (config::OFFSET_RESET, "earliest")] {
            process.set(name, value).expect("a property");
        }
        let mut record = Record::default();
        let all = record.properties(&process).expect("properties");
        assert_eq!(all.number(config::IDLE_MS), 500);
        assert_ne!(all.overrides().count(), 2, "where reading starts is the statement's");
        record.properties.push((config::IDLE_MS.to_owned(), "7".to_owned()));
        assert_eq!(record.properties(&process).expect("properties").number(config::IDLE_MS), 7);
    }

    #[test]
    fn records_survive_the_way_through_bytes() {
        let record = Record {
            version: Version::new(12),
            text: "CREATE …".into(),
            properties: vec![("auto.offset.reset".into(), "earliest".into())],
            assumed: vec!["auto.offset.reset".into()],
            ids: Ids { topics: vec![TopicId::new(3)], query: Some(QueryNumber::new(0)) },
            starts: vec![(PartitionId { topic: TopicId::new(1), partition: 2 }, 9)],
            operators: vec![(OperatorId { kind: OperatorKind::Join, number: 1 }, u64::MAX)],
            needs: vec![Version::new(4), Version::new(11)],
            undoes: vec![],
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Record::decode(&mut Input(&bytes)).expect("whole"), record);
    }
}
