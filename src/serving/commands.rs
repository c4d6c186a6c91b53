//! What has become of commands, for `/status`: of the last ones, since clients use ever new names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::catalog::{Catalog, Source, SourceKind};
use crate::engine::Committed;
use crate::locks::lock;
use crate::types::quoted;

/// How many commands are remembered; of more, those that were executed last.
const MOST: usize = 10_000;

/// What has become of commands.
pub(super) struct Commands(Mutex<Remembered>);

/// What has become of a command.
#[derive(Clone)]
pub(super) struct Status {
    pub message: String,
    pub query: Option<String>,
}

#[derive(Default)]
struct Remembered {
    /// By name, each with its number in the order of execution.
    by_name: BTreeMap<String, (u64, Status)>,
    /// The names by these numbers.
    by_age: BTreeMap<u64, String>,
    next: u64,
}

impl Remembered {
    fn add(&mut self, name: String, status: Status) {
        let number = self.next;
        self.next += 1;
        if let Some((before, _)) = self.by_name.insert(name.clone(), (number, status)) {
            self.by_age.remove(&before);
        }
        self.by_age.insert(number, name);
        if self.by_age.len() > MOST
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_name.remove(&oldest);
        }
    }
}

impl Commands {
    /// The commands that made what exists.
    pub(super) fn of(catalog: &Catalog) -> Commands {
        let made = |source: &Arc<Source>| {
            let message = match &source.query {
                Some(id) => format!("Created query with ID {id}"),
                None if source.kind == SourceKind::Stream => "Stream created".to_owned(),
                None => "Table created".to_owned(),
            };
            let command = format!("{}/{}/create", source.kind.lower(), quoted(&source.name));
            (command, Status { message, query: source.query.clone() })
        };
        let mut remembered = Remembered::default();
        catalog.sources().map(made).for_each(|(name, status)| remembered.add(name, status));
        Commands(Mutex::new(remembered))
    }

    /// What has become of a command; None of one that was never executed, or long ago.
    pub(super) fn get(&self, name: &str) -> Option<Status> {
        lock(&self.0).by_name.get(name).map(|(_, status)| status.clone())
    }

    /// The names of all commands that are remembered.
    pub(super) fn names(&self) -> Vec<String> {
        lock(&self.0).by_name.keys().cloned().collect()
    }

    pub(super) fn executed(&self, committed: &Committed) {
        let status = Status { message: committed.change.message.clone(), query: committed.query.clone() };
        lock(&self.0).add(committed.change.command.clone(), status);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_that_were_executed_last_are_remembered() {
        let mut remembered = Remembered::default();
        let mut add = |name: &str| remembered.add(name.to_owned(), Status { message: String::new(), query: None });
        (0..MOST).for_each(|number| add(&format!("stream/{number}/create")));
        add("stream/0/create");
        add("stream/new/create");
        assert_eq!((remembered.by_name.len(), remembered.by_age.len()), (MOST, MOST));
        assert!(remembered.by_name.contains_key("stream/0/create"), "it was executed again");
        assert!(!remembered.by_name.contains_key("stream/1/create"), "it is the oldest");
    }
}
