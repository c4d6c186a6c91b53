//! What exists, and the statements that made it.
//!
//! The catalog is an immutable snapshot: readers take it and go on with it, and a change puts a new one in its place.
//! Readers never wait for a change that is being made, only for the moment of the exchange.

use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use super::effect::Change;
use super::history::History;
use super::record::Record;
use crate::catalog::Catalog;
use crate::ids::QueryNumber;
use crate::locks::{lock, read, write};

/// What exists.
#[derive(Default)]
pub(super) struct World {
    now: RwLock<State>,
    /// Held by whoever changes what exists, from its validation to its effect.
    changing: Mutex<()>,
}

/// What exists and why. Catalog and records are replaced together, so that an image never has one without the other.
#[derive(Default)]
struct State {
    catalog: Arc<Catalog>,
    history: History,
}

impl World {
    /// A world that was made before.
    pub(super) fn new(catalog: Catalog, history: History) -> World {
        let state = State { catalog: Arc::new(catalog), history };
        World { now: RwLock::new(state), changing: Mutex::default() }
    }

    /// What exists now.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        read(&self.now).catalog.clone()
    }

    /// Takes the right to change what exists: one at a time, so that the catalog is still the same when a change is decided, and
    /// ids are given out once.
    pub(super) fn change(&self) -> MutexGuard<'_, ()> {
        lock(&self.changing)
    }

    /// Notes in a record what a change needs of earlier ones, and what it undoes of them.
    pub(super) fn relate(&self, record: &mut Record, change: &Change) {
        let state = read(&self.now);
        state.history.relate(record, change, &state.catalog);
    }

    /// A change was decided: this exists now.
    ///
    /// Called in the order of decisions. The caller holds the right to change.
    pub(super) fn replace(&self, catalog: Arc<Catalog>, record: Record) {
        let mut state = write(&self.now);
        state.catalog = catalog;
        state.history.push(record);
    }

    /// The statements without which what exists could not be made again, in the order in which they were executed.
    pub(super) fn statements(&self) -> Vec<Record> {
        let state = read(&self.now);
        let mut history = state.history.clone();
        history.forget(&state.catalog);
        history.into_records()
    }

    /// The properties that the statement of a query was executed with, but for those of the process.
    pub(super) fn properties_of(&self, query: QueryNumber) -> Vec<(String, String)> {
        let state = read(&self.now);
        let record = state.history.iter().find(|record| record.ids.query == Some(query));
        record.map_or_else(Vec::new, |record| record.properties.clone())
    }

    /// What exists as of now, as bytes: the statements without which it could not be made again.
    ///
    /// Also forgets the records that are not needed any more. Called while nothing is decided.
    pub(super) fn image(&self) -> Vec<u8> {
        let mut state = write(&self.now);
        let catalog = state.catalog.clone();
        state.history.forget(&catalog);
        state.history.image(&catalog)
    }
}
