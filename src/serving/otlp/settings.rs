//! What the properties say of telemetry, read and checked.

use std::fmt;
use std::time::Duration;

use super::Signal;
use super::collector::Collector;
use crate::config::{self, Properties, Url};
use crate::error::{Error, Result};
use crate::serving::target;

/// The one way in which OTLP is spoken.
const PROTOCOL: &str = "http/protobuf";

/// How telemetry is sent.
pub(super) struct Settings {
    pub collector: Collector,
    signals: Vec<Signal>,
    /// What is said of the service, by name.
    pub resource: Vec<(String, String)>,
    /// How often metrics are sent.
    pub interval: Duration,
    /// How long spans and events wait at most.
    pub delay: Duration,
    /// The share of requests that are traced, of those that belong to no trace.
    pub ratio: f64,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("signals", &self.signals).finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads them; None if no collector is named.
    ///
    /// # Errors
    /// Kind `Invalid`: a property, or the file that one names, cannot be used.
    pub(super) fn read(properties: &Properties) -> Result<Option<Settings>> {
        let endpoint = properties.text(config::OTLP_ENDPOINT);
        if endpoint.is_empty() {
            return Ok(None);
        }
        let refused = || Error::invalid(format!("{}={endpoint} is no address", config::OTLP_ENDPOINT));
        let url = Url::parse(endpoint).ok_or_else(refused)?;
        check_protocol(properties.text(config::OTLP_PROTOCOL))?;
        let headers = pairs(config::OTLP_HEADERS, properties.text(config::OTLP_HEADERS))?;
        let duration = |name| Duration::from_millis(properties.number(name).unsigned_abs());
        let timeout = duration(config::OTLP_TIMEOUT_MS);
        Ok(Some(Settings {
            collector: Collector::new(url, &headers, properties.text(config::OTLP_CERTIFICATE), timeout)?,
            signals: signals(properties.text(config::OTLP_SIGNALS))?,
            resource: resource(properties)?,
            interval: duration(config::OTLP_INTERVAL_MS),
            delay: duration(config::OTLP_DELAY_MS),
            ratio: properties.text(config::OTLP_TRACES_RATIO).parse().unwrap_or(1.0),
        }))
    }

    /// Whether a kind of telemetry is sent.
    pub(super) fn sends(&self, signal: Signal) -> bool {
        self.signals.contains(&signal)
    }
}

/// Refuses a way of speaking OTLP that is not known here.
fn check_protocol(protocol: &str) -> Result<()> {
    if protocol == PROTOCOL {
        return Ok(());
    }
    let error = Error::invalid(format!("{}={protocol} cannot be spoken, only {PROTOCOL}", config::OTLP_PROTOCOL));
    Err(error.hint("a collector takes it at another port than gRPC, most often 4318"))
}

/// The kinds of telemetry of a list with commas.
fn signals(list: &str) -> Result<Vec<Signal>> {
    let unknown = |name: &str| {
        let message = format!("'{name}' in {} is none of metrics, traces, logs", config::OTLP_SIGNALS);
        Error::invalid(message)
    };
    let find = |name: &str| Signal::ALL.into_iter().find(|signal| signal.name() == name).ok_or_else(|| unknown(name));
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(find).collect()
}

/// What is said of the service.
fn resource(properties: &Properties) -> Result<Vec<(String, String)>> {
    let mut all = pairs(config::OTLP_RESOURCE, properties.text(config::OTLP_RESOURCE))?;
    // A name that is set wins over one among the attributes, and that over the default.
    if properties.is_set(config::OTLP_SERVICE_NAME) {
        all.retain(|(name, _)| name != SERVICE_NAME);
    }
    let own = [(SERVICE_NAME, properties.text(config::OTLP_SERVICE_NAME)), (VERSION, env!("CARGO_PKG_VERSION"))];
    for (name, value) in own {
        if all.iter().all(|(given, _)| given != name) {
            all.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(all)
}

const SERVICE_NAME: &str = "service.name";
const VERSION: &str = "service.version";

/// The pairs NAME=VALUE of a list with commas. Percent signs stand for bytes, as in W3C's baggage.
///
/// The value may be a secret, so the error does not show it.
fn pairs(property: &str, list: &str) -> Result<Vec<(String, String)>> {
    let listed = list.split(',').map(str::trim).enumerate().filter(|(_, one)| !one.is_empty());
    let read = |(place, one): (usize, &str)| {
        pair(one).ok_or_else(|| Error::invalid(format!("part {} of {property} is not NAME=VALUE", place + 1)))
    };
    listed.map(read).collect()
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (target::decoded(name.trim())?, target::decoded(value.trim())?);
    (!name.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Option<Settings>> {
        let mut properties = Properties::default();
        set.iter().try_for_each(|(name, value)| properties.set(name, value)).expect("properties");
        Settings::read(&properties)
    }

    const ENDPOINT: (&str, &str) = (config::OTLP_ENDPOINT, "http://localhost:4318");

    #[test]
    fn without_a_collector_nothing_is_looked_at() {
        assert!(read(&[(config::OTLP_PROTOCOL, "grpc"), (config::OTLP_HEADERS, "x")]).expect("read").is_none());
    }

    #[test]
    fn what_cannot_be_used_is_named_and_secrets_are_not_shown() {
        for (name, value, said) in [
            (config::OTLP_PROTOCOL, "grpc", "tidemill.otlp.protocol=grpc cannot be spoken"),
            (config::OTLP_HEADERS, "a=b,secret", "part 2 of tidemill.otlp.headers is not NAME=VALUE"),
            (config::OTLP_HEADERS, "a b=secret", "a header of tidemill.otlp.headers cannot be sent"),
            (config::OTLP_RESOURCE, "a=%zz", "part 1 of tidemill.otlp.resource.attributes is not NAME=VALUE"),
            (config::OTLP_SIGNALS, "traces,metric", "'metric' in tidemill.otlp.signals"),
            (config::OTLP_CERTIFICATE, "/nowhere.pem", "/nowhere.pem"),
        ] {
            let endpoint = (config::OTLP_ENDPOINT, "https://localhost:4318");
            let error = read(&[endpoint, (name, value)]).map(|_| ()).expect_err(said);
            let text = error.render(None);
            assert!(text.contains(said) && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn the_name_of_the_service_has_an_order_of_places() {
        let name = |set: &[(&str, &str)]| {
            let settings = read(&[&[ENDPOINT], set].concat()).expect("read").expect("a collector");
            let names = settings.resource.iter().filter(|(name, _)| name == "service.name");
            names.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let (own, among) = ((config::OTLP_SERVICE_NAME, "own"), (config::OTLP_RESOURCE, "service.name=a%20b,x=y"));
        assert_eq!(name(&[]), ["tidemill"]);
        assert_eq!(name(&[among]), ["a b"]);
        assert_eq!(name(&[among, own]), ["own"]);
    }
}
