//! What clients ask and say about a connection with SHOW and SET.
//!
//! Nothing here changes an answer: what would is refused.

use std::collections::BTreeMap;

use super::refused::{Refused, code};

/// The version of PostgreSQL whose catalog and answers clients may expect.
pub(super) const VERSION: &str = concat!("14.0 (Tidemill ", env!("CARGO_PKG_VERSION"), ")");

/// The name of the only database.
pub(super) const DATABASE: &str = "tidemill";

/// The setting that says who is connected.
const USER: &str = "session_authorization";

/// How long values may be that are remembered, and how many of them there may be.
const MOST: usize = 200;

/// A setting that every connection has.
struct Setting {
    name: &'static str,
    value: &'static str,
    /// Whether a client is told of it when it connects.
    is_told: bool,
    /// The beginnings of the values that can be set, in lower case; any can if there are none.
    takes: &'static [&'static str],
}

const fn setting(name: &'static str, value: &'static str, is_told: bool, takes: &'static [&'static str]) -> Setting {
    Setting { name, value, is_told, takes }
}

const ON: &[&str] = &["on", "true", "1", "yes"];

const SETTINGS: &[Setting] = &[
    setting("server_version", VERSION, true, &["14.0"]),
    setting("server_version_num", "140000", false, &["140000"]),
    setting("server_encoding", "UTF8", true, &["utf"]),
    setting("client_encoding", "UTF8", true, &["utf", "unicode"]),
    setting("application_name", "", true, &[]),
    setting("is_superuser", "off", true, &["off"]),
    setting(USER, "", true, &[]),
    setting("DateStyle", "ISO, MDY", true, &["iso"]),
    setting("IntervalStyle", "postgres", true, &[]),
    setting("TimeZone", "UTC", true, &[]),
    setting("integer_datetimes", "on", true, ON),
    setting("standard_conforming_strings", "on", true, ON),
    setting("default_transaction_read_only", "on", true, ON),
    setting("transaction_read_only", "on", false, ON),
    setting("in_hot_standby", "off", true, &["off"]),
    setting("transaction_isolation", "read committed", false, &[]),
    setting("default_transaction_isolation", "read committed", false, &[]),
    setting("bytea_output", "hex", false, &["hex"]),
    setting("search_path", "public", false, &[]),
    setting("max_identifier_length", "63", false, &["63"]),
    setting("max_index_keys", "32", false, &["32"]),
    setting("lc_collate", "C", false, &[]),
    setting("lc_ctype", "C", false, &[]),
    setting("lc_monetary", "C", false, &[]),
    setting("extra_float_digits", "1", false, &[]),
    setting("statement_timeout", "0", false, &["0"]),
    setting("lock_timeout", "0", false, &[]),
];

/// The settings of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// By names in lower case.
    own: BTreeMap<String, String>,
    user: String,
}

impl Settings {
    /// The value of a setting; None if there is none of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        if name.eq_ignore_ascii_case(USER) {
            return Some(&self.user);
        }
        let own = self.own.get(&name.to_ascii_lowercase()).map(String::as_str);
        own.or_else(|| find(name).map(|setting| setting.value))
    }

    /// All that there are, with their values.
    pub(super) fn all(&self) -> Vec<(&str, &str)> {
        let others = self.own.iter().filter(|(name, _)| find(name).is_none());
        let known = SETTINGS.iter().map(|setting| (setting.name, self.get(setting.name).unwrap_or_default()));
        known.chain(others.map(|(name, value)| (name.as_str(), value.as_str()))).collect()
    }

    /// Gives a setting a value; its name as clients know it if they are to be told of the change.
    ///
    /// # Errors
    /// The value would change answers, or too much is to be remembered.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<Option<&'static str>, Refused> {
        let known = find(name);
        let lower = value.to_ascii_lowercase();
        let takes = known.map_or(&[][..], |setting| setting.takes);
        if !(takes.is_empty() || lower == "default" || takes.iter().any(|start| lower.starts_with(start))) {
            let message = format!("{name} is always {}", known.map_or("", |setting| setting.value));
            return Err(Refused::new(code::UNSUPPORTED, message));
        }
        if value.len() > MOST || name.len() > MOST || self.own.len() >= MOST {
            return Err(Refused::new(
                code::TOO_MANY,
                format!("{MOST} settings of {MOST} bytes are remembered at most"),
            ));
        }
        // What can be set to one value is that already.
        if lower == "default" {
            self.own.remove(&name.to_ascii_lowercase());
        } else if takes.is_empty() {
            self.own.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        Ok(known.filter(|setting| setting.is_told).map(|setting| setting.name))
    }

    /// Says who is connected.
    pub(super) fn own_user(&mut self, user: &str) {
        self.user = user.to_owned();
    }

    /// Forgets what was set.
    pub(super) fn reset(&mut self) {
        self.own.clear();
    }

    /// The settings that a client is told of when it connects.
    pub(super) fn told(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let told = SETTINGS.iter().filter(|setting| setting.is_told);
        told.map(|setting| (setting.name, self.get(setting.name).unwrap_or_default()))
    }
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_answers_is_refused() {
        let mut settings = Settings::default();
        assert_eq!(settings.set("datestyle", "ISO, DMY").expect("ISO"), Some("DateStyle"));
        settings.set("DateStyle", "German").expect_err("another style");
        settings.set("client_encoding", "latin1").expect_err("another encoding");
        settings.set("default_transaction_read_only", "off").expect_err("nothing can be written");
        assert_eq!(settings.set("Application_Name", "x").expect("any"), Some("application_name"));
        assert_eq!((settings.get("application_name"), settings.get("nope")), (Some("x"), None));
        settings.reset();
        assert_eq!(settings.get("application_name"), Some(""));
    }
}
