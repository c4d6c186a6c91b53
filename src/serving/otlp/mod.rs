//! Telemetry for a collector of OpenTelemetry: metrics, traces of requests, and events as logs, by OTLP over HTTP.
//!
//! | file | what |
//! |---|---|
//! | `settings` | what the properties say, read and checked |
//! | `trace` | the spans of a request, and the trace that a client says it belongs to |
//! | `wire` | the messages of the protocol |
//! | `collector` | a request to the collector |
//! | `export` | what waits is sent, in the background |
//!
//! Nobody waits for the collector. Spans and events go to queues of a fixed length; what finds a queue full, and what
//! the collector does not take, is dropped and counted. The SDK of OpenTelemetry has such queues, too, but tells
//! nobody how much it drops, and asks for the time and for random numbers by itself.

mod collector;
mod export;
mod settings;
mod trace;
mod wire;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::Notify;
use tracing::Level;

use crate::clock::Clock;
use crate::config::Properties;
use crate::error::{Error, Result};
use crate::locks::lock;
use settings::Settings;

pub(super) use export::Exporter;
pub(super) use trace::Trace;

/// How many spans, and how many events, may wait for the collector.
const MOST_WAITING: usize = 2_048;

/// How many of them a request to the collector has at most.
const MOST_AT_ONCE: usize = 512;

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Metrics,
    Traces,
    Logs,
}

impl Signal {
    /// All of them.
    pub(super) const ALL: [Signal; 3] = [Signal::Metrics, Signal::Traces, Signal::Logs];

    /// Its name, which is also the last part of its path at the collector.
    pub(super) fn name(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Traces => "traces",
            Signal::Logs => "logs",
        }
    }
}

/// The value of something that is said of a span or an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Flag(bool),
}

/// What waits for the collector, and how much of it was dropped.
#[derive(Clone)]
pub struct Telemetry(Arc<Shared>);

struct Shared {
    settings: Settings,
    clock: Arc<dyn Clock>,
    spans: Queue<Span>,
    logs: Queue<LogRecord>,
    /// By signal, in the order of [`Signal::ALL`].
    dropped: [AtomicU64; 3],
}

/// What waits, the oldest first.
struct Queue<T> {
    waiting: Mutex<VecDeque<T>>,
    /// Woken when there is enough for a request.
    enough: Notify,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { waiting: Mutex::default(), enough: Notify::new() }
    }
}

impl<T> Queue<T> {
    /// Adds all of these that there is room for; how many there was no room for.
    fn add(&self, items: impl IntoIterator<Item = T>) -> u64 {
        let mut waiting = lock(&self.waiting);
        let mut dropped = 0;
        for item in items {
            if waiting.len() < MOST_WAITING {
                waiting.push_back(item);
            } else {
                dropped += 1;
            }
        }
        if waiting.len() >= MOST_AT_ONCE {
            self.enough.notify_one();
        }
        dropped
    }

    /// Takes the oldest, as many as a request may have.
    fn take(&self) -> Vec<T> {
        let mut waiting = lock(&self.waiting);
        let count = waiting.len().min(MOST_AT_ONCE);
        waiting.drain(..count).collect()
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// What the properties say of it; None if they name no collector. `clock` says when something happened.
    ///
    /// # Errors
    /// Kind `Invalid`: a property, or the file that one names, cannot be used.
    pub fn read(properties: &Properties, clock: Arc<dyn Clock>) -> Result<Option<Telemetry>> {
        let Some(settings) = Settings::read(properties)? else { return Ok(None) };
        let (spans, logs, dropped) = (Queue::default(), Queue::default(), Default::default());
        Ok(Some(Telemetry(Arc::new(Shared { settings, clock, spans, logs, dropped }))))
    }

    /// Notes an event.
    pub fn log(&self, level: Level, message: String, attributes: Vec<(&'static str, Attribute)>) {
        if self.0.settings.sends(Signal::Logs) {
            let record = wire::log_record(self.0.clock.wall_ns(), level, message, attributes);
            self.count(Signal::Logs, self.0.logs.add([record]));
        }
    }

    /// How much was dropped of each signal that is sent.
    pub(super) fn dropped(&self) -> impl Iterator<Item = (Signal, u64)> {
        let sent = Signal::ALL.into_iter().filter(|signal| self.0.settings.sends(*signal));
        sent.map(|signal| (signal, self.0.dropped[signal as usize].load(Ordering::Relaxed)))
    }

    /// Notes that something was dropped.
    fn count(&self, signal: Signal, dropped: u64) {
        self.0.dropped[signal as usize].fetch_add(dropped, Ordering::Relaxed);
    }
}

/// What the properties say of it and cannot be used.
pub(super) fn check(properties: &Properties) -> Option<Error> {
    Settings::read(properties).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_dropped_and_the_rest_is_sent_in_order() {
        let queue = Queue::default();
        assert_eq!(queue.add(0..MOST_WAITING + 3), 3);
        assert_eq!(queue.take(), (0..MOST_AT_ONCE).collect::<Vec<_>>());
        assert_eq!(queue.add([9]), 0);
        let rest: Vec<usize> = std::iter::repeat_with(|| queue.take()).take(4).flatten().collect();
        assert_eq!(rest.len(), MOST_WAITING - MOST_AT_ONCE + 1);
        assert_eq!(rest.last(), Some(&9));
    }
}
