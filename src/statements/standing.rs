//! A script that says what is to exist: which of its statements stand already, and what there is besides them.
//!
//! A statement stands if an earlier process has executed one with the same canonical text, and what that made is still
//! there. The place in the script does not matter, since a data folder remembers which query has which state.

use super::session::{DryRun, Session};
use super::{Parsed, Right, parse};
use crate::catalog::Catalog;
use crate::config::{self, PROPERTIES, Properties, Scope};
use crate::engine::Record;
use crate::error::{Error, Result};
use crate::sql::lexer::lex;

/// What the statements may begin with.
const TAKEN: &[&str] = &["SET", "UNSET", "DEFINE", "UNDEFINE", "CREATE", "INSERT"];

/// What may stand after CREATE.
const CREATED: &[&str] = &["OR", "STREAM", "TABLE", "SOURCE", "TYPE"];

/// A script against what exists.
#[derive(Debug)]
pub struct Standing {
    /// Whether each of the statements stands, in their order. Those that only change the session do not.
    pub stands: Vec<bool>,
    /// Properties that statements keep with which they were executed, although other values are set now.
    pub kept: Vec<String>,
}

/// A statement that made something that is still there.
struct Made<'r> {
    record: &'r Record,
    text: String,
    /// What it made: the name of a source or a type, none of an INSERT.
    name: Option<String>,
    /// Whether the query that it started has ended.
    has_ended: bool,
    is_in_script: bool,
    /// The properties that the script sets for it.
    own: Properties,
}

impl Session<'_> {
    /// Finds which statements of a script stand, and checks that the others can be executed.
    ///
    /// # Errors
    /// Each refused statement by its place: its kind may not be in such a script, something of that name was made by
    /// another statement or with other properties, or it cannot be executed. With no place: what exists and is not in
    /// the script, or that the script starts no query.
    pub fn standing(&self, script: &[&Parsed]) -> Result<Standing, Vec<(Option<usize>, Error)>> {
        let (records, catalog) = (self.engine().statements(), self.engine().catalog());
        let mut made: Vec<Made> = records.iter().filter_map(|record| Made::of(record, &catalog)).collect();
        let (mut standing, mut errors) = (Standing { stands: Vec::new(), kept: Vec::new() }, Vec::new());
        let mut dry_run = self.dry_run();
        for (place, parsed) in script.iter().enumerate() {
            let stands = taken(parsed).and_then(|()| dry_run.stands(parsed, &mut made));
            standing.stands.push(matches!(stands, Ok(true)));
            errors.extend(stands.err().map(|error| (Some(place), error)));
        }
        if errors.is_empty() {
            let open = || script.iter().enumerate().filter(|(place, _)| !standing.stands[*place]);
            let places: Vec<usize> = open().map(|(place, _)| place).collect();
            let refused = self.dry_run().check_all(open().map(|(_, parsed)| *parsed)).err().unwrap_or_default();
            errors.extend(refused.into_iter().map(|(at, error)| (Some(places[at]), error)));
        }
        if !script.iter().any(|parsed| parsed.statement.touches().query.is_some()) {
            errors.push((None, Error::invalid(NO_QUERY)));
        }
        errors.extend(made.iter().filter(|made| !made.is_in_script).map(|made| (None, made.is_besides())));
        standing.kept = kept(&made, self.engine().properties());
        if errors.is_empty() { Ok(standing) } else { Err(errors) }
    }
}

/// ksqlDB's words for a script without a query.
const NO_QUERY: &str = "The SQL file does not contain any persistent queries. i.e. it contains no 'INSERT INTO', 'CREATE \
                        TABLE x AS SELECT' or 'CREATE STREAM x AS SELECT' style statements.";

/// # Errors
/// The statement is of a kind that may not be in such a script.
fn taken(parsed: &Parsed) -> Result<()> {
    let lexed = lex(&parsed.text);
    let is = |at: usize, words: &[&str]| {
        lexed.lexemes.get(at).is_some_and(|lexeme| words.iter().any(|word| lexeme.text.eq_ignore_ascii_case(word)))
    };
    // INSERT INTO … VALUES needs a lesser right than what starts a query; a connector is of a source or a sink.
    let is_row = parsed.needs == Right::Write;
    let is_other = is(0, &["CREATE"]) && (!is(1, CREATED) || is(2, &["CONNECTOR"]));
    if is(0, TAKEN) && !is_row && !is_other {
        return Ok(());
    }
    let error = Error::unsupported("this statement in a file of queries").at(parsed.span);
    Err(error.hint(
        "it takes SET, UNSET, DEFINE, UNDEFINE, CREATE STREAM, CREATE TABLE, CREATE TYPE, CREATE … AS SELECT and INSERT \
         INTO … SELECT",
    ))
}

impl DryRun<'_> {
    /// Whether the next statement stands; one that only changes the session is executed.
    fn stands(&mut self, parsed: &Parsed, made: &mut [Made]) -> Result<bool> {
        if parsed.needs == Right::Read {
            return self.check(parsed).map(|_| false);
        }
        let (text, touched) = self.canonical(parsed)?;
        let name = touched.names.into_iter().next();
        let same = |made: &&mut Made| !made.is_in_script && made.text == text;
        if let Some(found) = made.iter_mut().find(same) {
            found.is_in_script = true;
            found.own = self.own().clone();
            return found.check().map(|()| true).map_err(|error| error.at(parsed.span));
        }
        let other = |made: &&mut Made| !made.is_in_script && name.is_some() && made.name == name;
        match made.iter_mut().find(other) {
            Some(found) => {
                found.is_in_script = true;
                Err(found.differs().at(parsed.span))
            }
            None => Ok(false),
        }
    }
}

impl<'r> Made<'r> {
    /// What a record made, if that is still there; records of topics and pauses say nothing about it.
    fn of(record: &'r Record, catalog: &Catalog) -> Option<Made<'r>> {
        let is_source = catalog.sources().any(|source| source.made_at == record.version);
        let is_type = catalog.custom_types().any(|(_, custom)| custom.made_at == record.version);
        let runs = record.ids.query.is_some_and(|number| catalog.queries().iter().any(|query| query.number == number));
        if !(is_source || is_type || runs) {
            return None;
        }
        // A text that is kept was compiled when the folder was opened.
        let parsed = parse(&record.text).ok()?.pop()?;
        let touched = parsed.statement.touches();
        Some(Made {
            record,
            text: parsed.statement.to_string(),
            name: touched.names.into_iter().next(),
            has_ended: record.ids.query.is_some() && !runs,
            is_in_script: false,
            own: Properties::default(),
        })
    }

    /// Checks that it was executed with the properties that are set for it.
    fn check(&self) -> Result<()> {
        if self.has_ended {
            let error = Error::conflict("the query of this statement was terminated, and what it made is still there");
            return Err(error.hint(HOW_TO_CHANGE));
        }
        match self.own.overrides().find(|(name, value)| self.had(name) != *value) {
            None => Ok(()),
            Some((name, value)) => {
                let old = self.had(name);
                let message = format!("this statement was executed with '{name}'='{old}', and the file sets '{value}'");
                Err(Error::conflict(message).hint(HOW_TO_CHANGE))
            }
        }
    }

    /// The value of a property with which it was executed.
    fn had(&self, name: &str) -> &str {
        let kept = self.record.properties.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        kept.unwrap_or_else(|| config::find(name).map_or("", |property| property.default))
    }

    fn differs(&self) -> Error {
        let name = self.name.as_deref().unwrap_or_default();
        let message = format!("{name} is there already, and was made by another statement: {}", one_line(&self.text));
        Error::conflict(message).hint(HOW_TO_CHANGE)
    }

    fn is_besides(&self) -> Error {
        let message = format!("the data folder has what is not in the file: {}", one_line(&self.text));
        Error::conflict(message).hint(HOW_TO_CHANGE)
    }
}

/// What to do about a difference.
const HOW_TO_CHANGE: &str = "'tidemill run -e' takes DROP and TERMINATE while the service is stopped; or put the \
                             statement into the file as it was";

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Tells of properties with whose other values queries were started than hold now.
///
/// Where reading started matters only when a query is started.
fn kept(made: &[Made], process: &Properties) -> Vec<String> {
    let matters = |name: &str| ![config::OFFSET_RESET, config::IDLE_MS].contains(&name);
    let of_statements = PROPERTIES.iter().filter(|p| p.scope == Scope::Statement && matters(p.name));
    let told = of_statements.filter_map(|property| {
        let now = process.text(property.name);
        let is_other = |made: &&Made| {
            let is_set = made.own.overrides().any(|(name, _)| name == property.name);
            made.record.ids.query.is_some() && !is_set && made.had(property.name) != now
        };
        let count = made.iter().filter(is_other).count();
        let name = property.name;
        (count > 0).then(|| format!("'{name}'='{now}' does not hold for {count} queries that were started before"))
    });
    told.collect()
}
