//! PostgreSQL's protocol, read only: pull queries for psql, drivers and tools that know nothing of ours.
//!
//! A connection is greeted (`start`), perhaps over TLS and with a password, and then answered message by message
//! (`conversation`, `extended`). Each statement is sorted (`statement`): what concerns the connection alone is answered
//! from its settings, queries of PostgreSQL's catalog run over tables that mirror ours (`catalog`), everything else
//! goes through our own parser and session (`run`). A connection runs one statement at a time, on a thread that may
//! wait; it counts among the connections of the service.

mod catalog;
mod conversation;
mod extended;
mod parameters;
mod refused;
mod run;
mod settings;
mod start;
mod statement;
mod types;
mod values;
mod wire;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Service;
use super::listen::Held;
use crate::locks::lock;
use conversation::Conversation;
use wire::Wire;

/// By what a client says which connection's query it cancels: a number and a secret.
pub(super) type Key = (i32, i32);

/// The connections whose queries can be cancelled.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<HashMap<Key, Arc<AtomicBool>>>>);

/// A connection among those whose queries can be cancelled, until it is dropped.
pub(super) struct Cancellable {
    connections: Connections,
    pub key: Key,
    /// Whether the query that runs was cancelled.
    pub cancelled: Arc<AtomicBool>,
}

impl Connections {
    /// Adds a connection under a key that nobody can guess; None if the system gives no random bytes.
    fn add(&self) -> Option<Cancellable> {
        let random = SystemRandom::new();
        loop {
            let mut bytes = [0; 8];
            random.fill(&mut bytes).ok()?;
            let number = u64::from_be_bytes(bytes);
            let key = ((number >> 33) as i32, number as i32);
            if let Entry::Vacant(free) = lock(&self.0).entry(key) {
                let cancelled = free.insert(Arc::default()).clone();
                return Some(Cancellable { connections: self.clone(), key, cancelled });
            }
        }
    }

    /// Cancels the query of a connection, if there is one.
    fn cancel(&self, key: Key) {
        if let Some(cancelled) = lock(&self.0).get(&key) {
            cancelled.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        lock(&self.connections.0).remove(&self.key);
    }
}

/// What the connections of a listener need.
#[derive(Clone)]
pub(super) struct Door {
    pub service: Arc<Service>,
    pub connections: Connections,
    /// Becomes true when the server is to end; connections hold it as long as they go on.
    pub stopping: watch::Receiver<bool>,
}

impl Door {
    /// Answers a connection until it ends.
    pub(super) async fn converse(self, stream: TcpStream, peer: SocketAddr, held: Held) {
        // It counts among the connections until it ends.
        let _held = held;
        if let Some(started) = start::greet(&self, Wire::new(stream), peer).await {
            Conversation::new(self, started).go_on().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_of_a_connection_cancels_its_query() {
        let connections = Connections::default();
        let (first, second) = (connections.add().expect("a key"), connections.add().expect("a key"));
        connections.cancel((first.key.0, first.key.1.wrapping_add(1)));
        connections.cancel(second.key);
        assert!(!first.cancelled.load(Ordering::Relaxed) && second.cancelled.load(Ordering::Relaxed));
        drop(first);
        assert_eq!(lock(&connections.0).len(), 1);
    }
}
