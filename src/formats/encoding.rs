//! An encoding: a format that is bound to the columns of a key or value and to what a statement says of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Codec, Decoder, Encoder, Format, Part};
use crate::error::{Error, Result};
use crate::types::Column;

/// What a statement says of how a part is written, besides its format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether a single value column is a field of something or stands bare; the format decides if nothing is said.
    pub wrap: Option<bool>,
    /// The values of the formats' own properties, by their names in messages.
    pub own: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Nothing but whether a single value column is a field.
    pub fn wrapping(wrap: Option<bool>) -> Settings {
        Settings { wrap, ..Settings::default() }
    }

    /// With the values of `other` for properties of which nothing is said here.
    pub fn or(mut self, other: &BTreeMap<&'static str, String>) -> Settings {
        for (name, value) in other {
            self.own.entry(name).or_insert_with(|| value.clone());
        }
        self
    }
}

/// What a format is bound to.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The key or the value.
    pub part: Part,
    /// Its columns, in their order.
    pub columns: &'a [Column],
    /// What the statement says.
    pub settings: &'a Settings,
}

impl Asked<'_> {
    /// Whether the columns are fields of something; else there is at most one, and it stands bare. `chooses` is whether the
    /// format leaves that to the statement. A single key column is never a field.
    pub fn is_wrapped(&self, chooses: bool) -> bool {
        match (chooses, self.part) {
            (true, Part::Value) => self.columns.len() != 1 || self.settings.wrap.unwrap_or(true),
            (false, _) | (true, Part::Key) => self.columns.len() > 1,
        }
    }
}

/// How the keys or the values of a topic are written.
///
/// Two encodings are equal if they write the same values as the same bytes; what a column is called does not matter where it
/// stands bare.
#[derive(Clone)]
pub struct Encoding {
    /// The format of the bytes.
    pub format: &'static dyn Format,
    /// The values of the format's own properties that are not the usual ones.
    pub own: BTreeMap<&'static str, String>,
    /// The names of the columns, if they are fields of something.
    fields: Vec<String>,
    codec: Arc<dyn Codec>,
}

impl Encoding {
    /// Binds a format.
    ///
    /// # Errors
    /// The format cannot hold the columns, or lacks a property of which the statement says something.
    pub fn bind(format: &'static dyn Format, asked: Asked) -> Result<Encoding> {
        let Asked { columns, settings, .. } = asked;
        if let Some(wrap) = settings.wrap {
            if columns.len() != 1 {
                return Err(Error::invalid("'WRAP_SINGLE_VALUE' is only valid for single-field value schemas"));
            }
            if wrap && !format.chooses_wrapping() {
                let message = format!("Format '{}' does not support 'WRAP_SINGLE_VALUE' set to 'true'.", format.name());
                return Err(Error::invalid(message));
            }
        }
        let codec = format.bind(&asked).and_then(|codec| refuse_foreign(format, settings).map(|()| codec));
        let codec = codec.map_err(|error| error.context(unsupported(format, asked)))?;
        let fields = if asked.is_wrapped(format.chooses_wrapping()) { columns } else { &[] };
        let fields = fields.iter().map(|column| column.name.clone()).collect();
        let is_usual =
            |name: &str, value: &str| format.properties().iter().any(|p| p.shown == name && p.usual == value);
        let own = settings.own.iter().filter(|(name, value)| !is_usual(name, value)).map(|(n, v)| (*n, v.clone()));
        Ok(Encoding { format, own: own.collect(), fields, codec: codec.into() })
    }

    /// Binds a format to the columns of a key of which a statement says nothing.
    ///
    /// # Errors
    /// The format cannot hold the columns.
    pub fn of_key(format: &'static dyn Format, columns: &[Column]) -> Result<Encoding> {
        Encoding::bind(format, Asked { part: Part::Key, columns, settings: &Settings::default() })
    }

    /// A decoder of the columns, of which only the `needed` ones are built.
    pub fn decoder(&self, needed: &[bool]) -> Box<dyn Decoder> {
        self.codec.decoder(needed)
    }

    /// An encoder of the columns.
    pub fn encoder(&self) -> Box<dyn Encoder> {
        self.codec.encoder()
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.format.name()).field("fields", &self.fields).field("own", &self.own).finish()
    }
}

impl PartialEq for Encoding {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format && self.fields == other.fields && self.own == other.own
    }
}

/// Refuses properties that another format has.
fn refuse_foreign(format: &'static dyn Format, settings: &Settings) -> Result<()> {
    let is_own = |name: &str| format.properties().iter().any(|property| property.shown == name);
    let foreign: Vec<&str> = settings.own.keys().copied().filter(|name| !is_own(name)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let (name, foreign) = (format.name(), foreign.join(", "));
    Err(Error::invalid(format!("{name} does not support the following configs: [{foreign}]")))
}

/// The start of the message for what a format cannot do.
fn unsupported(format: &'static dyn Format, asked: Asked) -> String {
    let (name, part) = (format.name(), asked.part);
    let shown: Vec<String> = asked.columns.iter().map(Column::to_string).collect();
    let shown = shown.join(", ");
    let features = features(format, asked);
    format!(
        "{part} format does not support schema.\nformat: {name}\nschema: Persistence{{columns=[{shown}], \
         features=[{features}]}}\nreason: "
    )
}

/// What ksqlDB calls how a single column is written, where that was decided.
fn features(format: &'static dyn Format, asked: Asked) -> &'static str {
    let decided = match asked.part {
        Part::Key => Some(false),
        Part::Value => asked.settings.wrap,
    };
    match decided.filter(|_| format.chooses_wrapping() && asked.columns.len() == 1) {
        Some(true) => "WRAP_SINGLES",
        Some(false) => "UNWRAP_SINGLES",
        None => "",
    }
}
