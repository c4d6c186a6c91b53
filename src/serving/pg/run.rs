//! Executes one statement, and says what rows it has. Called on threads that may wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::catalog;
use super::parameters::{self, Bound, Placeholder, constant};
use super::refused::{Refused, code};
use super::settings::Settings;
use super::statement::{Asks, Statement, ours};
use super::types;
use crate::config::{self, Properties};
use crate::engine::PushQuery;
use crate::error::Error;
use crate::pull::{self, PullRows};
use crate::serving::Service;
use crate::sql::lexer::lex;
use crate::statements::{self, Nature, Outcome, Parsed, Right, Session, Shown, Until};
use crate::types::{Column, Value};

/// How long one look at a stream waits for rows.
const LOOK: Duration = Duration::from_millis(20);

/// A column of a result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub name: String,
    pub oid: u32,
    pub modifier: i32,
}

impl Field {
    /// A column of text.
    pub(super) fn text(name: &str) -> Field {
        Field { name: name.to_owned(), oid: types::TEXT, modifier: -1 }
    }

    fn of(column: &Column) -> Field {
        let (oid, modifier) = (types::of(&column.sql_type), types::modifier(&column.sql_type));
        Field { name: types::folded(&column.name), oid, modifier }
    }
}

/// Rows and their columns.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub fields: Vec<Field>,
    pub rows: Vec<Vec<Value>>,
}

/// The answer to a statement.
#[derive(Debug)]
pub(super) enum Answer {
    Rows(Table),
    /// Something was done, which is told by this tag.
    Done(String),
}

/// What a statement is executed under.
#[derive(Clone)]
pub(super) struct Cx {
    pub service: Arc<Service>,
    pub own: Properties,
    pub settings: Settings,
    pub user: Arc<str>,
    /// Whether the client does not want the answer any more.
    pub cancelled: Arc<AtomicBool>,
}

/// The value of a parameter, and its type.
pub(super) type Parameter = (Value, u32);

impl Cx {
    /// Executes a statement with the values of its parameters; properties that it sets are set in `self`.
    ///
    /// # Errors
    /// It is refused, or has failed.
    pub(super) fn run(&mut self, statement: &Statement, parameters: &[Parameter]) -> Result<Answer, Refused> {
        let answer = match &statement.asks {
            Asks::Catalog => self.catalog(statement, parameters, true).map(Answer::Rows),
            Asks::Ours => {
                let bound = Bound::new(&statement.text, |placeholder| given(placeholder, parameters))?;
                self.ours(statement, &bound.text).map_err(|refused| refused.placed(|at| bound.origin(at)))
            }
            _ => Ok(self.setting(statement)),
        };
        answer.map_err(|refused| refused.after(statement.before))
    }

    /// The columns of a statement's rows, or None if it has none. Parameters are of these types.
    ///
    /// # Errors
    /// It is refused.
    pub(super) fn describe(&mut self, statement: &Statement, types: &[u32]) -> Result<Option<Vec<Field>>, Refused> {
        let nulls: Vec<Parameter> = types.iter().map(|oid| (Value::Null, *oid)).collect();
        let described = match &statement.asks {
            Asks::Catalog => self.catalog(statement, &nulls, false).map(|table| Some(table.fields)),
            Asks::Ours => {
                let bound = Bound::new(&statement.text, |placeholder| sample(statement, placeholder, types))?;
                let described = self.describe_ours(statement, &bound.text);
                described.map_err(|refused| refused.placed(|at| bound.origin(at)))
            }
            _ => match self.setting(statement) {
                Answer::Rows(table) => Ok(Some(table.fields)),
                Answer::Done(_) => Ok(None),
            },
        };
        described.map_err(|refused| refused.after(statement.before))
    }

    /// The types of the parameters of a statement, of which the client has said some; 0 is one that it has not.
    ///
    /// A type that is not said is the first one with which the statement can be planned.
    ///
    /// # Errors
    /// A parameter has a number that is none.
    pub(super) fn types(&self, statement: &Statement, said: &[u32]) -> Result<Vec<u32>, Refused> {
        let found = parameters::placeholders(&lex(&statement.text))?;
        let count = found.iter().map(|placeholder| placeholder.number + 1).max().unwrap_or(0).max(said.len());
        let open = |oid: u32| oid == 0 || oid == types::UNKNOWN;
        let mut all: Vec<u32> = (0..count).map(|number| said.get(number).copied().unwrap_or(0)).collect();
        if statement.asks != Asks::Ours {
            all.iter_mut().filter(|oid| open(**oid)).for_each(|oid| *oid = types::TEXT);
            return Ok(all);
        }
        let said = all.clone();
        // What the others may be matters little, but they have to be something that fits.
        let likely: Vec<Vec<u32>> = (0..count).map(|number| self.candidates(statement, &found, number)).collect();
        let is_open = |number: usize| open(said[number]);
        (0..count).filter(|number| is_open(*number)).for_each(|number| all[number] = likely[number][0]);
        for number in (0..count).filter(|number| is_open(*number)) {
            let fits = |oid: &u32| {
                let mut types = all.clone();
                types[number] = *oid;
                let bound = Bound::new(&statement.text, |placeholder| sample(statement, placeholder, &types));
                let parsed = bound.and_then(|bound| self.parsed(&bound.text));
                parsed.and_then(|(parsed, text)| self.columns(&parsed, &text)).is_ok()
            };
            let fitting = likely[number].iter().find(|oid| fits(oid)).copied();
            all[number] = fitting.unwrap_or(all[number]);
        }
        Ok(all)
    }

    /// The types that a parameter may have, the likely ones first: that of the column that it is compared with.
    fn candidates(&self, statement: &Statement, found: &[Placeholder], number: usize) -> Vec<u32> {
        const ORDER: [u32; 10] = [
            types::TEXT,
            types::INT4,
            types::INT8,
            types::FLOAT8,
            types::BOOL,
            types::NUMERIC,
            types::TIMESTAMP,
            types::DATE,
            types::TIME,
            types::BYTEA,
        ];
        let lexed = lex(&statement.text);
        let upper =
            |place: usize| lexed.lexemes.get(place).map(|lexeme| lexeme.text.trim_matches('"').to_ascii_uppercase());
        let catalog = self.service.engine.catalog();
        let named: Vec<String> = (0..lexed.lexemes.len()).filter_map(upper).collect();
        let column_types = |name: &str| {
            let sources = catalog.sources().filter(|source| named.contains(&source.name)).collect::<Vec<_>>();
            let found = sources
                .iter()
                .filter_map(|source| source.schema.find(name))
                .map(|(_, column)| types::of(&column.sql_type));
            found.collect::<Vec<_>>()
        };
        let places =
            found.iter().filter(|placeholder| placeholder.number == number).map(|placeholder| placeholder.before);
        // The nearest name before it: `name = $1`, `name IN ($1, $2)`; or after it: `$1 = name`.
        let near = places.flat_map(|place| (0..place).rev().take(8).chain([place + 3]).collect::<Vec<_>>());
        let is_count = found.iter().any(|one| one.number == number && is_count(statement, one));
        let named = || near.filter_map(upper).find_map(|name| column_types(&name).first().copied());
        let likely = if is_count { Some(types::INT8) } else { named() };
        likely.into_iter().chain(ORDER).collect()
    }

    fn session(&self) -> Session<'_> {
        // Values of parameters may have `${`, which would otherwise be replaced.
        let mut own = self.own.clone();
        own.set(config::VARIABLE_SUBSTITUTION, "false").expect("the property takes false");
        let denied = [self.service.denied(), vec![config::VARIABLE_SUBSTITUTION.to_owned()]].concat();
        Session::new(&self.service.engine, own).denying(denied)
    }

    /// The one statement of a text, and the text as our language has it.
    fn parsed(&self, text: &str) -> Result<(Parsed, String), Refused> {
        let text = ours(text, &self.service.engine.catalog());
        let mut parsed =
            statements::parse_within(&text, self.service.bounds()).map_err(|errors| match errors.first() {
                Some(error) => Refused::of(error, &text),
                None => Refused::new(code::SYNTAX, "the text is no statement"),
            })?;
        match (parsed.pop(), parsed.len()) {
            (Some(parsed), 0) if parsed.needs > Right::Read => {
                Err(Refused::new(code::READ_ONLY, "the statement would change something, and this protocol only reads"))
            }
            (Some(parsed), 0) => Ok((parsed, text)),
            _ => Err(Refused::new(code::SYNTAX, "exactly one statement is expected")),
        }
    }

    fn columns(&self, parsed: &Parsed, text: &str) -> Result<Option<Vec<Field>>, Refused> {
        let columns = self.session().columns(parsed).map_err(|error| Refused::of(&error.at(parsed.span), text))?;
        Ok(columns.map(|columns| columns.iter().map(Field::of).collect()))
    }

    fn describe_ours(&mut self, statement: &Statement, text: &str) -> Result<Option<Vec<Field>>, Refused> {
        let (parsed, text) = self.parsed(text)?;
        if let Some(fields) = self.columns(&parsed, &text)? {
            return Ok(Some(fields));
        }
        match statement.word.as_str() {
            "SET" | "UNSET" | "ASSERT" => Ok(None),
            _ => match self.replied(statement, &parsed, &text)? {
                Answer::Rows(table) => Ok(Some(table.fields)),
                Answer::Done(_) => Ok(None),
            },
        }
    }

    /// Executes a statement of our language.
    fn ours(&mut self, statement: &Statement, text: &str) -> Result<Answer, Refused> {
        let (parsed, text) = self.parsed(text)?;
        let cancelled = self.cancelled.clone();
        let is_gone = move || cancelled.load(Ordering::Relaxed);
        let session = self.session().stopping(&is_gone);
        let (mut slot, mut refused) = (None, None);
        let mut may = |nature| match nature {
            Nature::Pull => true,
            Nature::Scan => {
                let limit = self.service.engine.properties().size(config::MAX_PUSH_QUERIES);
                match self.service.slots.take(limit) {
                    Ok(taken) => slot = Some(taken),
                    Err(_) => refused = Some(Refused::new(code::TOO_MANY, "too many queries show rows; try again")),
                }
                slot.is_some()
            }
            _ => {
                let message = "queries that go on, with EMIT CHANGES, are not answered over this protocol";
                let hint = "leave EMIT CHANGES out, or ask over HTTP: POST /query-stream";
                refused = Some(Refused::new(code::UNSUPPORTED, message).hint(hint));
                false
            }
        };
        let failed = |error: Error| Refused::of(&error.at(parsed.span), &text);
        let outcome = session.rows(&parsed, &mut may).map_err(failed)?;
        match (outcome, refused) {
            (_, Some(refused)) => Err(refused),
            (Some(Outcome::Rows(PullRows { columns, rows })), None) => {
                Ok(Answer::Rows(Table { fields: columns.iter().map(Field::of).collect(), rows }))
            }
            (Some(Outcome::Push { query, until, .. }), None) => {
                let fields = query.columns.iter().map(Field::of).collect();
                self.scan(&query, until).map(|rows| Answer::Rows(Table { fields, rows })).map_err(failed)
            }
            (_, None) => self.replied(statement, &parsed, &text),
        }
    }

    /// All rows of a stream, from its start to its end.
    fn scan(&self, query: &PushQuery, until: Until) -> Result<Vec<Vec<Value>>, Error> {
        let most = self.service.engine.properties().with(&self.own).size(config::PULL_MEMORY_BYTES);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let limit = until.rows.unwrap_or(usize::MAX);
        loop {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(pull::cancelled());
            }
            for row in query.rows(LOOK)? {
                bytes += row.values.iter().map(Value::size).sum::<usize>();
                rows.push(row.values);
            }
            if bytes > most {
                return Err(pull::too_much());
            }
            if rows.len() >= limit || query.has_read_all() || query.is_over() {
                rows.truncate(limit);
                return Ok(rows);
            }
        }
    }

    /// Executes a statement that shows no rows of streams and tables.
    fn replied(&mut self, statement: &Statement, parsed: &Parsed, text: &str) -> Result<Answer, Refused> {
        let mut session = self.session();
        let outcome = session.run(parsed).map_err(|error| Refused::of(&error.at(parsed.span), text))?;
        let mut own = session.own().clone();
        own.unset(config::VARIABLE_SUBSTITUTION).expect("the property is known");
        let done = || Ok(Answer::Done(statement.word.clone()));
        let answer = match outcome {
            Outcome::Reply(_) if statement.word == "ASSERT" => done(),
            Outcome::Reply(reply) => Ok(Answer::Rows(shown(reply.shown))),
            Outcome::Done { .. } => done(),
            _ => Err(Refused::new(code::UNSUPPORTED, "this statement is not supported by this protocol")),
        };
        self.own = own;
        answer
    }

    fn catalog(&self, statement: &Statement, parameters: &[Parameter], with_rows: bool) -> Result<Table, Refused> {
        let catalog = self.service.engine.catalog();
        let query = catalog::Query { text: &statement.text, parameters, with_rows };
        let cx =
            catalog::Cx { catalog: &catalog, settings: &self.settings, user: &self.user, cancelled: &self.cancelled };
        query.run(&cx)
    }

    /// Answers what is about the connection alone.
    fn setting(&self, statement: &Statement) -> Answer {
        let text = |text: &str| Value::String(text.to_owned());
        match &statement.asks {
            Asks::Show(name) => {
                let value = text(self.settings.get(name).unwrap_or_default());
                Answer::Rows(Table { fields: vec![Field::text(name)], rows: vec![vec![value]] })
            }
            Asks::ShowAll => {
                let rows = self.settings.all().into_iter().map(|(name, value)| vec![text(name), text(value)]);
                Answer::Rows(Table { fields: vec![Field::text("name"), Field::text("setting")], rows: rows.collect() })
            }
            Asks::Begin => Answer::Done("BEGIN".to_owned()),
            Asks::End(tag) | Asks::Nothing(tag) => Answer::Done((*tag).to_owned()),
            _ => Answer::Done(statement.word.clone()),
        }
    }
}

/// What a person is shown, as rows of texts.
fn shown(shown: Shown) -> Table {
    match shown {
        Shown::Message(text) => {
            let rows = text.lines().map(|line| vec![Value::String(line.to_owned())]).collect();
            Table { fields: vec![Field::text("message")], rows }
        }
        Shown::Table { columns, rows } => {
            let fields = columns.iter().map(|name| Field::text(&name.to_lowercase())).collect();
            let row = |row: Vec<String>| row.into_iter().map(Value::String).collect();
            Table { fields, rows: rows.into_iter().map(row).collect() }
        }
    }
}

/// Whether a parameter says how many rows there are: it is then no expression.
fn is_count(statement: &Statement, placeholder: &Placeholder) -> bool {
    let lexed = lex(&statement.text);
    let before = placeholder.before.checked_sub(1).and_then(|place| lexed.lexemes.get(place));
    before.is_some_and(|word| ["LIMIT", "OFFSET"].iter().any(|count| word.text.eq_ignore_ascii_case(count)))
}

/// The constant of a parameter that was given.
fn given(placeholder: &Placeholder, parameters: &[Parameter]) -> Result<String, Refused> {
    match parameters.get(placeholder.number) {
        Some((value, oid)) => Ok(constant(value, *oid)),
        None => Err(Refused::new(code::SYNTAX, format!("there is no parameter ${}", placeholder.number + 1))),
    }
}

/// A constant of a parameter's type, for a statement that is only planned.
fn sample(statement: &Statement, placeholder: &Placeholder, types: &[u32]) -> Result<String, Refused> {
    let oid = types.get(placeholder.number).copied().unwrap_or(types::TEXT);
    Ok(sample_of(statement, placeholder, oid))
}

fn sample_of(statement: &Statement, placeholder: &Placeholder, oid: u32) -> String {
    let is_integer = [types::INT2, types::INT4, types::INT8].contains(&oid);
    if is_count(statement, placeholder) && is_integer { "1".to_owned() } else { constant(&Value::Null, oid) }
}
