//! The settings of the process: the properties, and from where each has its value.
//!
//! There are four places, and the later one wins: the defaults, the file of `--config`, the environment, `--set`. What
//! a session or a statement sets wins over all of them.
//!
//! The file has one `KEY=VALUE` a line, as Java's property files; blank lines and lines that start with `#` or `!` are
//! skipped. Escapes and continued lines are not known.
//!
//! Variables of the environment are named as those of ksqlDB's container images: `KSQL_`, then the name of the property
//! in upper case with `_` in place of a dot and `___` in place of an underscore. Some of OpenTelemetry's own count, too.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use super::failure::{Failure, USAGE};
use crate::config::{self, PROPERTIES, Properties, Property};
use crate::error::{Error, Result};

/// How the variables begin that set a property.
const PREFIX: &str = "KSQL_";

/// The variables of OpenTelemetry that set a property. A variable of the property's own wins over them.
const OF_OPENTELEMETRY: &[(&str, &str)] = &[
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", config::OTLP_CERTIFICATE),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", config::OTLP_ENDPOINT),
    ("OTEL_EXPORTER_OTLP_HEADERS", config::OTLP_HEADERS),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", config::OTLP_PROTOCOL),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", config::OTLP_TIMEOUT_MS),
    ("OTEL_BSP_SCHEDULE_DELAY", config::OTLP_DELAY_MS),
    ("OTEL_METRIC_EXPORT_INTERVAL", config::OTLP_INTERVAL_MS),
    ("OTEL_RESOURCE_ATTRIBUTES", config::OTLP_RESOURCE),
    ("OTEL_SERVICE_NAME", config::OTLP_SERVICE_NAME),
];

/// From where a property has its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody has set it.
    Default,
    /// A line of a file.
    Line(String, usize),
    /// A variable of the environment.
    Variable(String),
    /// An argument `--set`.
    Argument,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::Line(file, line) => write!(f, "{file}, line {line}"),
            Place::Variable(name) => f.write_str(name),
            Place::Argument => f.write_str("--set"),
        }
    }
}

/// The properties of the process.
#[derive(Default)]
pub(super) struct ProcessSettings {
    pub properties: Properties,
    places: BTreeMap<&'static str, Place>,
    /// What cannot be used, each with its place.
    errors: Vec<Error>,
}

impl ProcessSettings {
    /// Reads the file, then the variables, then the arguments of `--set`.
    ///
    /// # Errors
    /// Status 2 with everything that is wrong: the file is not there, or a line, a variable or an argument names no
    /// property or a value that it does not take. Status 3: the file cannot be read.
    pub(super) fn read(
        file: Option<&Path>,
        variables: impl Iterator<Item = (OsString, OsString)>,
        arguments: &[String],
    ) -> Result<ProcessSettings, Failure> {
        let mut settings = ProcessSettings::default();
        if let Some(path) = file {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|e| Failure::unreadable(&name, &e))?;
            settings.add_file(&name, &text);
        }
        settings.add_variables(variables);
        for text in arguments {
            settings.add(Place::Argument, pair(text));
        }
        match settings.errors.is_empty() {
            true => Ok(settings),
            false => {
                let texts: Vec<String> = settings.errors.iter().map(|error| error.render(None)).collect();
                Err(Failure { status: USAGE, text: texts.join("\n") })
            }
        }
    }

    fn add_file(&mut self, name: &str, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with(['#', '!']) {
                self.add(Place::Line(name.to_owned(), number + 1), pair(line));
            }
        }
    }

    fn add_variables(&mut self, variables: impl Iterator<Item = (OsString, OsString)>) {
        let known = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            let property = match OF_OPENTELEMETRY.iter().find(|(own, _)| *own == name) {
                // OpenTelemetry has an empty variable mean the same as none.
                Some((_, property)) if !value.is_empty() => (1, (*property).to_owned()),
                None if name.starts_with(PREFIX) && !is_of_kubernetes(&name) => (2, property_of(&name)),
                _ => return None,
            };
            Some((property, (name, value)))
        };
        // In the order of their names, so that errors come in the same order each time.
        let mut known: Vec<_> = variables.filter_map(known).collect();
        known.sort_by(|(a, named), (b, other)| (a.0, &named.0).cmp(&(b.0, &other.0)));
        for ((_, property), (name, value)) in known {
            let value = value.into_string().map_err(|_| Error::invalid("the value is not UTF-8"));
            let pair = value.map(|value| (property, value.trim().to_owned()));
            self.add(Place::Variable(name), pair);
        }
    }

    /// Sets a property, or notes why that cannot be.
    fn add(&mut self, place: Place, pair: Result<(String, String)>) {
        let set = pair.and_then(|(name, value)| {
            self.properties.set(&name, &value)?;
            self.places.insert(config::find(&name)?.name, place.clone());
            Ok(())
        });
        self.errors.extend(set.err().map(|error| error.context(format!("{place}: "))));
    }

    /// From where a property has its value.
    pub(super) fn place(&self, property: &Property) -> Place {
        self.places.get(property.name).cloned().unwrap_or(Place::Default)
    }

    /// All properties, by name: name, value and place. Secrets are hidden.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let row = |property: &Property| {
            let value = self.properties.shown(property).to_owned();
            vec![property.name.to_owned(), value, self.place(property).to_string()]
        };
        let mut rows: Vec<Vec<String>> = PROPERTIES.iter().map(row).collect();
        rows.sort();
        rows
    }
}

/// The property that a variable sets.
fn property_of(variable: &str) -> String {
    let name = variable.strip_prefix(PREFIX).unwrap_or(variable).to_ascii_lowercase();
    name.split("___").map(|part| part.replace('_', ".")).collect::<Vec<_>>().join("_")
}

/// Whether Kubernetes has set a variable, since there is a service whose name begins with `ksql`.
fn is_of_kubernetes(variable: &str) -> bool {
    let is_service = variable.ends_with("_SERVICE_HOST") || variable.contains("_SERVICE_PORT");
    is_service || variable.ends_with("_PORT") || variable.contains("_PORT_")
}

/// The name and the value of a text `KEY=VALUE`. Blanks around them are cut off.
///
/// # Errors
/// Kind `Invalid`: there is no `=`.
fn pair(text: &str) -> Result<(String, String)> {
    let Some((name, value)) = text.split_once('=') else {
        // What follows the first word may be a secret.
        let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let more = if rest.is_empty() { "" } else { " …" };
        return Err(Error::invalid(format!("'{first}{more}' is not KEY=VALUE")));
    };
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)], arguments: &[&str]) -> ProcessSettings {
        let mut settings = ProcessSettings::default();
        settings.add_file("f", text);
        settings.add_variables(variables.iter().map(|(name, value)| (name.into(), value.into())));
        arguments.iter().for_each(|text| settings.add(Place::Argument, pair(text)));
        settings
    }

    fn place(settings: &ProcessSettings, name: &str) -> String {
        settings.place(config::find(name).expect("known")).to_string()
    }

    #[test]
    fn the_later_place_wins() {
        let text = "# a remark\ncommit.interval.ms=1\ntidemill.workers = 2\nlisteners=http://a:1\n";
        let variables = [("KSQL_TIDEMILL_WORKERS", "3"), ("KSQL_LISTENERS", "http://b:2"), ("HOME", "/")];
        let settings = read(text, &variables, &["listeners=http://c:3"]);
        assert!(settings.errors.is_empty(), "{:?}", settings.errors);
        let found = ["commit.interval.ms", "tidemill.workers", "listeners", "max.message.bytes"]
            .map(|name| (settings.properties.text(config::find(name).expect("known").name), place(&settings, name)));
        let expected =
            [("1", "f, line 2"), ("3", "KSQL_TIDEMILL_WORKERS"), ("http://c:3", "--set"), ("1048588", "default")];
        assert_eq!(found, expected.map(|(value, place)| (value, place.to_owned())));
    }

    #[test]
    fn variables_of_opentelemetry_are_settings() {
        let variables = [
            ("OTEL_SERVICE_NAME", "a"),
            ("KSQL_TIDEMILL_OTLP_SERVICE_NAME", "b"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
            ("OTEL_EXPORTER_OTLP_HEADERS", ""),
            ("OTEL_SOMETHING", "else"),
        ];
        let settings = read("tidemill.otlp.headers=a=b", &variables, &[]);
        let texts: Vec<String> = settings.errors.iter().map(|error| error.render(None)).collect();
        assert!(texts.len() == 1 && texts[0].contains("OTEL_EXPORTER_OTLP_ENDPOINT: "), "{texts:?}");
        assert!(texts[0].contains("'localhost:4317'") && texts[0].contains("http://HOST:PORT"), "{texts:?}");
        assert_eq!(settings.properties.text(config::OTLP_SERVICE_NAME), "b");
        assert_eq!(place(&settings, config::OTLP_SERVICE_NAME), "KSQL_TIDEMILL_OTLP_SERVICE_NAME");
        assert_eq!(place(&settings, config::OTLP_HEADERS), "f, line 1");
    }

    #[test]
    fn every_property_has_a_variable() {
        for property in PROPERTIES {
            let name = property.name.replace('_', "___").replace('.', "_").to_ascii_uppercase();
            let variable = format!("{PREFIX}{name}");
            assert!(!is_of_kubernetes(&variable), "{variable}");
            assert_eq!(property_of(&variable), property.name);
        }
        assert_eq!(property_of("KSQL_KSQL_STREAMS_AUTO_OFFSET_RESET"), "ksql.streams.auto.offset.reset");
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let variables = [("KSQL_LISTENER", "x"), ("KSQL_PORT_8088_TCP", "tcp://1"), ("KSQL_SERVICE_HOST", "h")];
        let settings = read("nonsense\ntidemill.workers=many\n", &variables, &["commit.interval=1"]);
        let texts: Vec<String> = settings.errors.iter().map(|error| error.render(None)).collect();
        assert_eq!(texts.len(), 4, "{texts:?}");
        for (text, part) in texts.iter().zip(["f, line 1: ", "f, line 2: ", "KSQL_LISTENER: ", "--set: "]) {
            assert!(text.contains(part), "{text}");
        }
        assert!(texts[2].contains("did you mean 'listeners'?"), "{}", texts[2]);
    }
}
