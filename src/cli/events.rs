//! Events on the standard error: lines for people, or a JSON object a line.

use std::fmt;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Event, Subscriber, info};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use super::output;

/// The target of what a command says in any case.
const SAID: &str = "tidemill::said";

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// The message alone.
    Text,
    /// An object with time, level, message and fields.
    Json,
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Level::Off => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
        }
    }
}

/// What takes events of this level and above.
pub(super) fn dispatch(level: Level, format: LogFormat) -> Dispatch {
    let said = if level == Level::Off { LevelFilter::OFF } else { LevelFilter::DEBUG };
    let filter = Targets::new().with_default(level.filter()).with_target(SAID, said);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let events = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => Dispatch::new(events.with(layer.event_format(Lines))),
        LogFormat::Json => Dispatch::new(events.with(layer.json().flatten_event(true))),
    }
}

/// What takes what somebody should see, as lines.
pub(super) fn warnings() -> Dispatch {
    dispatch(Level::Warn, LogFormat::Text)
}

/// Says something that is no result, whatever the level: as a line, or as an event where those are JSON.
pub(super) fn say(level: Level, format: LogFormat, text: &str) {
    match format {
        LogFormat::Text => output::tell(text),
        LogFormat::Json if text.is_empty() => {}
        LogFormat::Json => {
            tracing::dispatcher::with_default(&dispatch(level, format), || info!(target: SAID, "{text}"))
        }
    }
}

/// The message of an event alone, as a line.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut message = Message(String::new());
        event.record(&mut message);
        writeln!(to, "{}", message.0)
    }
}

/// The message of an event.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
