//! Sends what waits to the collector, in the background.
//!
//! Each signal has a task of its own, so that one that the collector does not take holds up no other.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::collector::Fault;
use super::wire::{self, Load};
use super::{Signal, Telemetry};
use crate::locks::lock;
use crate::serving::{Service, metrics};

/// How long it may take at the end to send what waits.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// The tasks that send telemetry.
pub(in crate::serving) struct Exporter {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Exporter {
    /// Starts the tasks, inside of a runtime of tokio.
    pub(in crate::serving) fn start(service: &Arc<Service>) -> Exporter {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        if let Some(telemetry) = &service.setup.telemetry {
            let resource = wire::resource(&telemetry.0.settings.resource);
            for signal in Signal::ALL.into_iter().filter(|signal| telemetry.0.settings.sends(*signal)) {
                let lane = Lane {
                    signal,
                    telemetry: telemetry.clone(),
                    service: service.clone(),
                    resource: resource.clone(),
                    pending: None,
                    is_failing: false,
                    dropped_by_failures: 0,
                    has_told_of_haste: false,
                };
                tasks.spawn(lane.follow(stopped.clone()));
            }
        }
        Exporter { stop, tasks }
    }

    /// Sends what waits and ends; takes a few seconds at most.
    pub(in crate::serving) async fn finish(mut self) {
        // Without a task, nobody listens.
        let _ = self.stop.send(true);
        // A task that has panicked has said so.
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The way of one signal to the collector.
struct Lane {
    signal: Signal,
    telemetry: Telemetry,
    service: Arc<Service>,
    resource: Resource,
    /// What is being sent, or will be sent again.
    pending: Option<Load>,
    /// Whether the last request failed, which was told then.
    is_failing: bool,
    /// How much had been dropped when the collector took something again after a failure.
    dropped_by_failures: u64,
    /// Whether it was told that something was dropped without a failure.
    has_told_of_haste: bool,
}

impl Lane {
    /// Sends what waits again and again until it is stopped, and then once more.
    async fn follow(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                // What was being sent is still pending.
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = self.turn() => {}
            }
        }
        // What could not be sent in time is counted below.
        let _ = tokio::time::timeout(LAST_FLUSH, self.send_all()).await;
        self.give_up();
    }

    /// Waits until something is to be sent, and sends it.
    async fn turn(&mut self) {
        self.wait().await;
        self.send_all().await;
        self.tell_of_haste();
    }

    /// Waits until something is to be sent: for a while, or until there is much if the collector takes it.
    async fn wait(&self) {
        let shared = &self.telemetry.0;
        let (delay, enough) = match self.signal {
            Signal::Metrics => (shared.settings.interval, None),
            Signal::Traces => (shared.settings.delay, Some(&shared.spans.enough)),
            Signal::Logs => (shared.settings.delay, Some(&shared.logs.enough)),
        };
        let woken = async {
            match enough.filter(|_| !self.is_failing) {
                Some(enough) => enough.notified().await,
                None => std::future::pending().await,
            }
        };
        // Either of the two is a reason to go on.
        let _ = tokio::time::timeout(delay, woken).await;
    }

    /// Sends everything that waits, up to the first failure.
    async fn send_all(&mut self) {
        loop {
            if self.pending.is_none() {
                self.pending = self.next().await;
            }
            let Some(load) = &self.pending else { return };
            let sent = self.telemetry.0.settings.collector.post(self.signal, load.bytes.clone()).await;
            let items = load.items;
            // Metrics are measured anew; the next ones have all that these had.
            let is_whole = self.signal == Signal::Metrics;
            match sent {
                Ok(answer) => {
                    self.telemetry.count(self.signal, wire::rejected(self.signal, &answer));
                    self.pending = None;
                    self.tell_of_success();
                    if is_whole {
                        return;
                    }
                }
                Err(fault) => {
                    if is_whole || !fault.is_passing {
                        self.telemetry.count(self.signal, items);
                        self.pending = None;
                    }
                    return self.tell_of_failure(&fault);
                }
            }
        }
    }

    /// What is to be sent next; None if there is nothing.
    async fn next(&self) -> Option<Load> {
        let shared = &self.telemetry.0;
        let load = match self.signal {
            Signal::Metrics => {
                let service = self.service.clone();
                // Each query is asked between two of its turns, which may take a moment.
                let measured = tokio::task::spawn_blocking(move || metrics::measured(&service)).await.ok()?;
                wire::metrics(&self.resource, &measured, shared.clock.wall_ns())
            }
            Signal::Traces => wire::spans(&self.resource, shared.spans.take()),
            Signal::Logs => wire::logs(&self.resource, shared.logs.take()),
        };
        (load.items > 0).then_some(load)
    }

    /// Counts what is left at the end as dropped.
    fn give_up(&mut self) {
        let left = match self.signal {
            Signal::Metrics => 0,
            Signal::Traces => lock(&self.telemetry.0.spans.waiting).len() as u64,
            Signal::Logs => lock(&self.telemetry.0.logs.waiting).len() as u64,
        };
        let left = left + self.pending.take().map_or(0, |load| load.items);
        self.telemetry.count(self.signal, left);
        let name = self.signal.name();
        if left > 0 {
            self.service.setup.tell(|| warn!(signal = name, count = left, "{name}: {left} were not sent at the end"));
        }
    }

    /// How much of the signal was dropped so far.
    fn dropped(&self) -> u64 {
        self.telemetry.dropped().find(|(signal, _)| *signal == self.signal).map_or(0, |(_, dropped)| dropped)
    }

    fn tell_of_failure(&mut self, fault: &Fault) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let (name, why) = (self.signal.name(), &fault.why);
            let to = self.telemetry.0.settings.collector.address(self.signal);
            self.service.setup.tell(|| {
                warn!(
                    signal = name,
                    "{name} cannot be sent to {to}: {why}; it is tried again, and what is dropped is counted in {}",
                    metrics::OTLP_DROPPED
                )
            });
        }
    }

    fn tell_of_success(&mut self) {
        if std::mem::replace(&mut self.is_failing, false) {
            self.dropped_by_failures = self.dropped();
            let name = self.signal.name();
            self.service.setup.tell(|| info!(signal = name, "{name} are sent again"));
        }
    }

    /// Tells once that something was dropped although the collector takes what it gets.
    fn tell_of_haste(&mut self) {
        let dropped = self.dropped() - self.dropped_by_failures;
        if dropped > 0 && !self.is_failing && !std::mem::replace(&mut self.has_told_of_haste, true) {
            let name = self.signal.name();
            self.service.setup.tell(|| {
                warn!(
                    signal = name,
                    count = dropped,
                    "{name}: {dropped} were dropped, since the collector is slow or has rejected them; more are only \
                     counted in {}",
                    metrics::OTLP_DROPPED
                )
            });
        }
    }
}
