//! The events of an engine, for tests that look at them.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Hands the message of every event to `take`, on the thread that it comes from.
pub(crate) fn to(take: impl Fn(&str) + Send + Sync + 'static) -> Dispatch {
    Dispatch::new(tracing_subscriber::registry().with(Told(take)))
}

struct Told<F>(F);

impl<S: Subscriber, F: Fn(&str) + Send + Sync + 'static> Layer<S> for Told<F> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Message(&self.0));
    }
}

struct Message<'a, F>(&'a F);

impl<F: Fn(&str)> Visit for Message<'_, F> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            (self.0)(&format!("{value:?}"));
        }
    }
}
