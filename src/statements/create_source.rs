//! `CREATE STREAM` and `CREATE TABLE` with columns: what the records of a topic are.
//!
//! | property | means | without it |
//! |---|---|---|
//! | `KAFKA_TOPIC` | the topic | refused |
//! | `VALUE_FORMAT`, `KEY_FORMAT`, `FORMAT` | how records are written | the defaults of the session |
//! | `PARTITIONS` | makes the topic if it does not exist | the topic must exist |
//! | `TIMESTAMP`, `TIMESTAMP_FORMAT` | the column with the row time | the record's own timestamp |
//! | `WINDOW_TYPE`, `WINDOW_SIZE` | the keys of the topic have windows | they have none |
//!
//! Nothing is read from the topic: records that do not fit fail when a query reads them. SOURCE makes it read-only:
//! INSERT INTO it and DELETE TOPIC are refused.

use std::collections::BTreeMap;
use std::fmt;

use super::{Action, Context, Kind, Right, Statement, Touched};
use crate::catalog::{PSEUDO_COLUMNS, Source, SourceKind};
use crate::config;
use crate::engine::{Change, Effect, NewTopic};
use crate::error::{Error, Result, Span};
use crate::formats::{self, Asked, Encoding, Part};
use crate::plan::sink::{check_timestamp, partitions_differ, value_encoding};
use crate::plan::with;
use crate::sql::ast::Literal;
use crate::sql::cursor::Cursor;
use crate::sql::print::{Printer, layout};
use crate::sql::properties::{Properties, Property, parse_with};
use crate::sql::spelled::{properties, type_name};
use crate::sql::types::{TypeName, parse_type, resolve};
use crate::sql::words::{Ident, string_literal};
use crate::types::{Column, Role, Schema, SqlType, quoted};

pub(super) const KIND: Kind = Kind {
    name: "CREATE STREAM",
    summary: "Declares what the records of a topic are: a stream of events, or the latest state of keys.",
    example: "CREATE OR REPLACE SOURCE STREAM IF NOT EXISTS s (id INT KEY, `v` ARRAY<STRING>, h BYTES HEADER('k')) \
              WITH (kafka_topic='t', value_format='JSON', partitions=4);",
    begins: &["CREATE"],
    needs: Right::Admin,
    parse: |cursor| {
        let Some(head) = CreateHead::parse(cursor)? else { return Ok(None) };
        let elements = parse_elements(cursor)?;
        let with = parse_with(cursor)?;
        Ok(Some(Box::new(CreateSource { head, elements, with })))
    },
};

/// What CREATE STREAM and CREATE TABLE start with, with or without AS.
///
/// Shared with CREATE AS, which begins alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CreateHead {
    pub replace: bool,
    /// Whether SOURCE was written, which makes the source read-only.
    pub source: bool,
    pub kind: SourceKind,
    pub if_not_exists: bool,
    pub name: Ident,
}

impl CreateHead {
    /// Parses up to the name.
    ///
    /// `None`, with the cursor where it was, if CREATE is followed by something else.
    ///
    /// # Errors
    /// OR REPLACE is followed by neither STREAM nor TABLE, or the name is no name of a source.
    pub(super) fn parse(cursor: &mut Cursor) -> Result<Option<CreateHead>> {
        let mark = cursor.mark();
        cursor.expect("CREATE")?;
        let replace = cursor.take("OR REPLACE");
        let source = !cursor.is_at(1, "CONNECTOR") && cursor.take("SOURCE");
        let Some(kind) = cursor.take_one(&[("STREAM", SourceKind::Stream), ("TABLE", SourceKind::Table)]) else {
            if replace {
                return Err(cursor.expected());
            }
            cursor.reset(mark);
            return Ok(None);
        };
        let if_not_exists = cursor.take("IF NOT EXISTS");
        Ok(Some(CreateHead { replace, source, kind, if_not_exists, name: cursor.source_name()? }))
    }

    /// The name of the command.
    pub(super) fn command(&self) -> String {
        format!("{}/{}/create", self.kind.lower(), quoted(&self.name.name))
    }

    /// Refuses to replace a source that is there.
    pub(super) fn refuse_replacement(&self, cx: &Context) -> Result<()> {
        match cx.catalog.source(&self.name.name).filter(|_| self.replace) {
            Some(_) => {
                Err(Error::unsupported("CREATE OR REPLACE of what exists").at(self.name.span).hint("DROP it first"))
            }
            None => Ok(()),
        }
    }

    /// What to do about a source of this name that is there already: nothing more than to say so, or to refuse.
    ///
    /// `Ok(None)` if the name is free.
    ///
    /// # Errors
    /// A conflict with ksqlDB's message, unless IF NOT EXISTS was written.
    pub(super) fn existing(&self, cx: &Context) -> Result<Option<Action>> {
        let Some(existing) = cx.catalog.source(&self.name.name) else { return Ok(None) };
        let (kind, other) = (self.kind.lower(), existing.kind.lower());
        let article = |name: &str| format!("Cannot add {kind} {name}: A {other} with the same name already exists");
        if self.if_not_exists {
            return Ok(Some(Action::Reply(super::Reply::nothing_to_do(article(&quoted(&self.name.name))))));
        }
        let error = Error::conflict(article(&format!("'{}'", self.name.name))).at(self.name.span);
        Err(error.hint("DROP it first, or use IF NOT EXISTS"))
    }
}

impl fmt::Display for CreateHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_replace = if self.replace { "OR REPLACE " } else { "" };
        let source = if self.source { "SOURCE " } else { "" };
        let exists = if self.if_not_exists { "IF NOT EXISTS " } else { "" };
        write!(f, "CREATE {or_replace}{source}{} {exists}{}", self.kind.name(), self.name)
    }
}

#[derive(Debug, PartialEq)]
struct CreateSource {
    head: CreateHead,
    elements: Vec<Element>,
    with: Properties,
}

/// A column as it was written.
///
/// Types are still names here: a custom type is looked up when the statement is compiled.
#[derive(Debug, PartialEq)]
pub(super) struct Element {
    name: Ident,
    type_name: TypeName,
    role: ElementRole,
    span: Span,
}

/// KEY belongs to streams and PRIMARY KEY to tables; the other combination is refused with the right word.
#[derive(Clone, Debug, PartialEq)]
enum ElementRole {
    Value,
    Key,
    PrimaryKey,
    Headers,
    Header(String),
}

/// Parses columns in parentheses, if they come next.
///
/// Empty without parentheses. In ksqlDB the columns then come from a schema registry; here CREATE is refused without
/// any.
pub(super) fn parse_elements(cursor: &mut Cursor) -> Result<Vec<Element>> {
    if !cursor.take("(") {
        return Ok(Vec::new());
    }
    let elements = cursor.list(|cursor| {
        let start = cursor.span();
        if cursor.is_at(0, "WATERMARK") && cursor.is_at(1, "FOR") {
            return Err(cursor.unexpected("the name of a column"));
        }
        let name = cursor.ident("the name of a column")?;
        let type_name = parse_type(cursor)?;
        let role = if cursor.take("PRIMARY KEY") {
            ElementRole::PrimaryKey
        } else if cursor.take("KEY") {
            ElementRole::Key
        } else if cursor.take("HEADERS") {
            ElementRole::Headers
        } else if cursor.take("HEADER") {
            cursor.expect("(")?;
            let key = cursor.string("the name of a header in single quotes")?;
            cursor.expect(")")?;
            ElementRole::Header(key)
        } else {
            ElementRole::Value
        };
        Ok(Element { name, type_name, role, span: cursor.since(start) })
    })?;
    cursor.expect(")")?;
    Ok(elements)
}

impl Element {
    fn print(p: &mut Printer, element: &Element) {
        p.put(format_args!("{} ", element.name));
        element.type_name.print(p);
        p.put(&element.role);
    }
}

impl fmt::Display for ElementRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ElementRole::Value => Ok(()),
            ElementRole::Key => f.write_str(" KEY"),
            ElementRole::PrimaryKey => f.write_str(" PRIMARY KEY"),
            ElementRole::Headers => f.write_str(" HEADERS"),
            ElementRole::Header(key) => write!(f, " HEADER({})", string_literal(key)),
        }
    }
}

/// Writes a head with columns and properties: on one line if it fits there, else with each of these on its own.
pub(super) fn print_declaration(p: &mut Printer, head: impl fmt::Display, elements: &[Element], with: &Properties) {
    p.put(head);
    p.fit_clause(
        |p| {
            if !elements.is_empty() {
                p.list(" (", elements, ")", Element::print);
            }
            with.print(p);
        },
        |p| {
            if !elements.is_empty() {
                p.spread_list(" (", elements, ")", Element::print);
            }
            if !with.is_empty() {
                p.spread_list(" WITH (", &with.items, ")", Property::print);
            }
        },
    );
}

impl fmt::Display for CreateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout(f.alternate(), |p| print_declaration(p, &self.head, &self.elements, &self.with)))
    }
}

impl Statement for CreateSource {
    /// The properties are checked first, then the columns, then formats, then the topic and the name: the first that
    /// is wrong is reported.
    ///
    /// # Errors
    /// Missing for a topic that does not exist without PARTITIONS, a conflict for a name that is taken, unsupported
    /// for OR REPLACE of what exists, and invalid for everything that does not go together.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let head = &self.head;
        let settings = with::settings(&self.with, true)?;
        let schema = self.schema(cx, settings.window.is_some())?;
        let topic = settings.topic.clone().ok_or_else(|| {
            Error::invalid("Missing required property \"KAFKA_TOPIC\" which has no default value.").at(head.name.span)
        })?;
        let key_format = match settings.key_format {
            Some(format) => format.find()?,
            None => formats::find(cx.properties.text(config::DEFAULT_KEY_FORMAT))?,
        };
        let value_format = match (settings.value_format, cx.properties.text(config::DEFAULT_VALUE_FORMAT)) {
            (Some(format), _) => format.find()?,
            (None, "") => {
                let message = "Statement is missing the 'VALUE_FORMAT' property from the WITH clause. Either provide one or set \
                               a default via the 'ksql.persistence.default.format.value' config.";
                return Err(Error::invalid(message).at(head.name.span).hint("e.g. VALUE_FORMAT='JSON'"));
            }
            (None, default) => formats::find(default)?,
        };
        if schema.columns().is_empty() {
            return Err(Error::invalid("The statement does not define any columns.").at(head.name.span));
        }
        schema.keys().iter().try_for_each(crate::plan::check_key_type)?;
        let key = Asked { part: Part::Key, columns: schema.keys(), settings: &settings.key };
        let key = Encoding::bind(key_format, key)?;
        let value = value_encoding(&schema, value_format, settings.value, cx.properties)?;
        if let Some(timestamp) = &settings.timestamp {
            check_timestamp(timestamp, &schema)?;
        }
        head.refuse_replacement(cx)?;
        if head.kind == SourceKind::Table && settings.window.is_none() {
            with::refuse_retention(&self.with)?;
        }
        let config = topic_settings(head.kind, settings.window.is_some(), settings.config);
        let topic_effect = new_topic(cx, &topic, settings.partitions, config)?;
        if let Some(done) = head.existing(cx)? {
            return Ok(done);
        }
        let completed = self.completed_with(cx);
        let source = Source {
            name: head.name.name.clone(),
            kind: head.kind,
            schema,
            topic,
            key,
            value,
            timestamp: settings.timestamp,
            window: settings.window,
            read_only: head.source,
            statement: completed.clone(),
            query: None,
            made_at: cx.catalog.version,
        };
        let message = match head.kind {
            SourceKind::Stream => "Stream created",
            SourceKind::Table => "Table created",
        };
        let mut effects: Vec<Effect> = topic_effect.into_iter().collect();
        effects.push(Effect::MakeSource(Box::new(source)));
        let change = Change::new(head.command(), effects, message);
        Ok(Action::Change(Box::new(Change { completed: Some(completed), ..change })))
    }

    fn completed(&self, cx: &Context) -> Option<String> {
        Some(self.completed_with(cx))
    }

    fn touches(&self) -> Touched {
        let topic = self.with.get("KAFKA_TOPIC").map(|topic| topic.text());
        Touched::name(&self.head.name.name).and(topic)
    }
}

/// The settings of a topic that is made for a source. The rows of a table without windows do not age: the last record of
/// a key counts, however old it is. So the topic is compacted and nothing is deleted by age, as in ksqlDB.
pub(super) fn topic_settings(
    kind: SourceKind,
    is_windowed: bool,
    mut config: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    if kind == SourceKind::Table && !is_windowed && !config.is_empty() {
        config.insert("cleanup.policy".to_owned(), "compact".to_owned());
    }
    config
}

/// The topic to be made, if it is not there.
///
/// `None` if it is there.
///
/// # Errors
/// It is there with another number of partitions, or it is not there and no number is given.
fn new_topic(
    cx: &Context,
    name: &str,
    partitions: Option<u32>,
    config: BTreeMap<String, String>,
) -> Result<Option<Effect>> {
    match (cx.catalog.topic(name), partitions) {
        (Some(topic), Some(wanted)) if topic.partitions != wanted => {
            Err(partitions_differ(name, wanted, topic.partitions))
        }
        (Some(_), _) => Ok(None),
        (None, Some(partitions)) => Ok(Some(Effect::MakeTopic(NewTopic { name: name.to_owned(), partitions, config }))),
        (None, None) => {
            let message = format!(
                "Topic '{name}' does not exist. If you want to create a new topic for the stream/table please re-run the \
                 statement providing the required 'PARTITIONS' configuration in the WITH clause (and optionally 'REPLICAS')."
            );
            let error = Error::missing(message);
            let known: Vec<&str> = cx.catalog.topics().map(|t| t.name.as_str()).collect();
            Err(error.suggest(name, known, string_literal).hint("e.g. PARTITIONS=4"))
        }
    }
}

/// The properties of a declaration, and behind them those that were added and are not written.
pub(super) fn completed_properties(with: &Properties, added: &[(&str, Literal)]) -> Properties {
    let mut items = with.items.clone();
    for (name, value) in added {
        if with.get(name).is_none() {
            items.push(Property { name: (*name).to_owned(), value: value.clone(), span: Span::default() });
        }
    }
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Properties { items, span: with.span }
}

impl CreateSource {
    /// The statement as it is shown: with types in full and the properties that it leaves to defaults.
    ///
    /// A type that is unknown stays as it is written.
    fn completed_with(&self, cx: &Context) -> String {
        let text = |text: &str| Literal::String(text.to_owned());
        let policy = if self.head.kind == SourceKind::Stream { "delete" } else { "compact" };
        let mut added = vec![("CLEANUP_POLICY", text(policy))];
        if self.with.get("FORMAT").is_none() {
            added.push(("KEY_FORMAT", text(cx.properties.text(config::DEFAULT_KEY_FORMAT))));
            added.push(("VALUE_FORMAT", text(cx.properties.text(config::DEFAULT_VALUE_FORMAT))));
        }
        let with = completed_properties(&self.with, &added);
        let column = |element: &Element| {
            let sql_type = resolve(&element.type_name, &|name| cx.catalog.custom_type(name).cloned());
            let sql_type = sql_type.map_or_else(|_| element.type_name.to_string(), |known| type_name(&known));
            format!("{} {sql_type}{}", element.name, element.role)
        };
        let columns = self.elements.iter().map(column).collect::<Vec<_>>().join(", ");
        let columns = if columns.is_empty() { columns } else { format!(" ({columns})") };
        format!("{}{columns} {};", self.head, properties(&with))
    }

    /// # Errors
    /// A type is unknown, a name occurs twice or belongs to a pseudo column such as ROWTIME, a header column has the
    /// wrong type, or a key is needed and missing.
    fn schema(&self, cx: &Context, windowed: bool) -> Result<Schema> {
        let mut columns: Vec<Column> = Vec::new();
        for element in &self.elements {
            let sql_type = resolve(&element.type_name, &|name| cx.catalog.custom_type(name).cloned())?;
            let role = self.role(element, &sql_type)?;
            if PSEUDO_COLUMNS.contains(&element.name.name.as_str()) {
                let message = format!(
                    "'{}' is a reserved column name. You cannot use it as a name for a column.",
                    element.name.name
                );
                return Err(Error::invalid(message).at(element.name.span));
            }
            if columns.iter().any(|c| c.name == element.name.name) {
                let message = format!("Duplicate column names: {}", quoted(&element.name.name));
                return Err(Error::invalid(message).at(element.name.span));
            }
            check_headers(&columns, &role, &sql_type, element.span)?;
            columns.push(Column { name: element.name.name.clone(), sql_type, role });
        }
        let schema = Schema::new(columns);
        if self.head.kind == SourceKind::Table && schema.keys().is_empty() {
            let error = Error::invalid("Tables require a PRIMARY KEY. Please define the PRIMARY KEY.");
            return Err(error.at(self.head.name.span));
        }
        if windowed && schema.keys().is_empty() {
            return Err(Error::invalid("Windowed sources require a key column.").at(self.head.name.span));
        }
        Ok(schema)
    }

    fn role(&self, element: &Element, sql_type: &SqlType) -> Result<Role> {
        let _ = sql_type;
        let column = quoted(&element.name.name);
        let wrong = match (&element.role, self.head.kind) {
            (ElementRole::PrimaryKey, SourceKind::Stream) => {
                format!("Column {column} is a 'PRIMARY KEY' column: please use 'KEY' for streams.")
            }
            (ElementRole::Key, SourceKind::Table) => {
                format!("Column {column} is a 'KEY' column: please use 'PRIMARY KEY' for tables.")
            }
            (ElementRole::Key | ElementRole::PrimaryKey, _) => return Ok(Role::Key),
            (ElementRole::Value, _) => return Ok(Role::Value),
            (ElementRole::Headers, _) => return Ok(Role::Headers(None)),
            (ElementRole::Header(key), _) if key.trim().is_empty() => {
                "Header column must have a non-empty header key name defined".to_owned()
            }
            (ElementRole::Header(key), _) => return Ok(Role::Headers(Some(key.trim().to_owned()))),
        };
        Err(Error::invalid(wrong).at(element.span))
    }
}

/// The rules of header columns: their types, and which can stand together.
///
/// HEADERS is an `ARRAY<STRUCT<KEY STRING, VALUE BYTES>>` and stands alone; HEADER('name') is BYTES, and each name
/// occurs once.
fn check_headers(earlier: &[Column], role: &Role, sql_type: &SqlType, span: Span) -> Result<()> {
    let Role::Headers(key) = role else { return Ok(()) };
    let expected = match key {
        Some(_) => SqlType::Bytes,
        None => SqlType::headers(),
    };
    if *sql_type != expected {
        let shown = key.as_ref().map_or("HEADERS".to_owned(), |k| format!("HEADER('{k}')"));
        let message = format!("Invalid type for {shown} column: expected {expected}, got {sql_type}");
        return Err(Error::invalid(message).at(span));
    }
    let there = |test: &dyn Fn(&Option<String>) -> bool| {
        earlier.iter().any(|c| matches!(&c.role, Role::Headers(other) if test(other)))
    };
    if there(&|other| other.is_none()) {
        return Err(Error::invalid("Schema already contains a HEADERS column.").at(span));
    }
    if let Some(key) = key
        && there(&|other| other.as_ref() == Some(key))
    {
        return Err(Error::invalid(format!("Schema already contains a HEADER('{key}') column.")).at(span));
    }
    Ok(())
}
