//! The statements that made what exists, in their order, and which of them must be kept to make it again.
//!
//! Nothing else is kept of what exists: no plan, no schema. A start compiles all records in their order. So the list
//! must stay short: a statement is forgotten as soon as nothing that exists depends on it. A record that undoes
//! something of a kept one must be kept too, or the replay would bring back what was dropped.

use std::collections::HashSet;

use super::effect::{Change, Related};
use super::record::Record;
use crate::catalog::Catalog;
use crate::ids::{QueryNumber, TopicId, Version};
use crate::types::row::put_varint;

/// The records of statements, by their versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// By rising version.
    records: Vec<Record>,
}

impl History {
    /// Adds the next record.
    pub(crate) fn push(&mut self, record: Record) {
        debug_assert!(self.records.last().is_none_or(|last| last.version < record.version));
        self.records.push(record);
    }

    /// The records, by rising version.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// The records, in the order in which they were decided.
    pub(crate) fn into_records(self) -> Vec<Record> {
        self.records
    }

    /// Notes in a record what a change needs of earlier ones, and what it undoes of them. `before` is the catalog that the
    /// change was made against.
    ///
    /// Needing too much only keeps a record longer; needing too little would break a start. So a type counts as needed
    /// if its name occurs anywhere in the text.
    pub(crate) fn relate(&self, record: &mut Record, change: &Change, before: &Catalog) {
        let mut related = Related::default();
        change.effects.iter().for_each(|effect| effect.relate(before, self, &mut related));
        // A text that does not say the name of a type cannot depend on it.
        let text = record.text.to_uppercase();
        let said = |name: &str| name.contains('`') || text.contains(name);
        let types = before.custom_types().filter(|(name, _)| said(name));
        related.needs.extend(types.map(|(_, custom)| custom.made_at));
        record.needs = related.needs.into_iter().collect();
        record.undoes = related.undoes.into_iter().collect();
    }

    /// The version of the record that made a topic.
    pub(crate) fn maker_of_topic(&self, id: TopicId) -> Option<Version> {
        self.records.iter().find(|r| r.ids.topics.contains(&id)).map(|r| r.version)
    }

    /// The version of the record that started a query.
    pub(crate) fn maker_of_query(&self, number: QueryNumber) -> Option<Version> {
        self.records.iter().find(|r| r.ids.query == Some(number)).map(|r| r.version)
    }

    /// Drops records that replay does not need. Kept are records of which something still exists, records that kept
    /// ones need, records that undo something of kept ones, and all else that these undo.
    ///
    /// Example: DROP STREAM A DELETE TOPIC undoes the statement that made A and the one that made its topic. If the
    /// topic's is kept, the drop is, and then A must have been made when it is executed again.
    ///
    /// Repeats until nothing more is kept: needs and undoings form chains. Costs O(records) for each link of the
    /// longest chain.
    pub(crate) fn forget(&mut self, catalog: &Catalog) {
        let topics: HashSet<TopicId> = catalog.topics().map(|t| t.id).collect();
        let queries: HashSet<QueryNumber> = catalog.queries().iter().map(|q| q.number).collect();
        let sources: HashSet<Version> = catalog.sources().map(|s| s.made_at).collect();
        let types: HashSet<Version> = catalog.custom_types().map(|(_, custom)| custom.made_at).collect();
        let pauses: HashSet<Version> = catalog.queries().iter().filter_map(|q| q.pauses.first().copied()).collect();
        let altered: HashSet<Version> = topics.iter().flat_map(|id| catalog.alterations(*id)).collect();
        let exists = |r: &Record| {
            altered.contains(&r.version)
                || pauses.contains(&r.version)
                || sources.contains(&r.version)
                || types.contains(&r.version)
                || r.ids.topics.iter().any(|id| topics.contains(id))
                || r.ids.query.is_some_and(|number| queries.contains(&number))
        };
        let mut kept: HashSet<Version> = self.records.iter().filter(|r| exists(r)).map(|r| r.version).collect();
        loop {
            let before = kept.len();
            for record in self.records.iter().rev() {
                if record.undoes.iter().any(|version| kept.contains(version)) {
                    kept.insert(record.version);
                }
                if kept.contains(&record.version) {
                    kept.extend(record.needs.iter().chain(&record.undoes));
                }
            }
            if kept.len() == before {
                break;
            }
        }
        self.records.retain(|record| kept.contains(&record.version));
    }

    /// What exists, as bytes: the ids that come next, and the records.
    ///
    /// ```text
    /// next topic id, next query number, number of records    varint each
    /// each record                                            see `Record::encode`
    /// ```
    pub(crate) fn image(&self, catalog: &Catalog) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [catalog.next_topic().get(), catalog.next_query().get(), self.records.len() as u64] {
            put_varint(&mut out, number);
        }
        self.records.iter().for_each(|record| record.encode(&mut out));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Ids;

    fn record(version: u64, needs: &[u64], undoes: &[u64], topics: &[u64]) -> Record {
        let versions = |all: &[u64]| all.iter().copied().map(Version::new).collect();
        let ids = Ids { topics: topics.iter().copied().map(TopicId::new).collect(), query: None };
        let version = Version::new(version);
        Record { version, needs: versions(needs), undoes: versions(undoes), ids, ..Record::default() }
    }

    #[test]
    fn what_others_were_made_of_is_kept_with_its_end() {
        let mut history = History::default();
        // A stream with a topic; another over it; the first goes, but not its topic; a third comes and goes with its topic.
        history.push(record(1, &[], &[], &[0]));
        history.push(record(2, &[1], &[], &[1]));
        history.push(record(3, &[], &[1], &[]));
        history.push(record(4, &[], &[], &[2]));
        history.push(record(5, &[], &[4], &[]));
        let mut catalog = Catalog::default();
        catalog.add_topic("b", 1, Default::default(), Some(TopicId::new(1)));
        history.forget(&catalog);
        assert_eq!(history.records.iter().map(|r| r.version.get()).collect::<Vec<_>>(), [1, 2, 3]);
        history.forget(&Catalog::default());
        assert!(history.records.is_empty());
    }
}
