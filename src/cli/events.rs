//! Events on the standard error: lines for people, or a JSON object a line.

use std::fmt;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Event, Subscriber, info};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::output;
use crate::serving::{Attribute, Telemetry};

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

/// What takes events of this level and above; a collector gets them, too, if there is one.
pub(super) fn dispatch(level: Level, format: LogFormat, telemetry: Option<Telemetry>) -> Dispatch {
    let said = if level == Level::Off { LevelFilter::OFF } else { LevelFilter::DEBUG };
    let filter = Targets::new().with_default(level.filter()).with_target(SAID, said);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let events = tracing_subscriber::registry().with(filter).with(telemetry.map(Exported));
    match format {
        LogFormat::Text => Dispatch::new(events.with(layer.event_format(Lines))),
        LogFormat::Json => Dispatch::new(events.with(layer.json().flatten_event(true))),
    }
}

/// What takes what somebody should see, as lines.
pub(super) fn warnings() -> Dispatch {
    dispatch(Level::Warn, LogFormat::Text, None)
}

/// Says something that is no result, whatever the level: as a line, or as an event where those are JSON.
pub(super) fn say(level: Level, format: LogFormat, text: &str) {
    match format {
        LogFormat::Text => output::tell(text),
        LogFormat::Json if text.is_empty() => {}
        LogFormat::Json => {
            tracing::dispatcher::with_default(&dispatch(level, format, None), || info!(target: SAID, "{text}"))
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

/// Hands events to what sends them to a collector.
struct Exported(Telemetry);

impl<S: Subscriber> Layer<S> for Exported {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut noted = Noted::default();
        event.record(&mut noted);
        self.0.log(*event.metadata().level(), noted.message, noted.attributes);
    }
}

/// The message of an event and its fields.
#[derive(Default)]
struct Noted {
    message: String,
    attributes: Vec<(&'static str, Attribute)>,
}

impl Visit for Noted {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.attributes.push((name, Attribute::Text(value.to_owned()))),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attributes.push((field.name(), Attribute::Integer(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // OTLP has no larger numbers.
        self.attributes.push((field.name(), Attribute::Integer(i64::try_from(value).unwrap_or(i64::MAX))));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attributes.push((field.name(), Attribute::Float(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attributes.push((field.name(), Attribute::Flag(value)));
    }
}
