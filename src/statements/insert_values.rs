//! `INSERT INTO … VALUES`: one record.
//!
//! The values are computed when the statement is compiled; the record is then committed like every other. Columns
//! that are not named are NULL. A table needs all its key columns. ROWTIME may be given, in milliseconds since the
//! epoch, and is otherwise the time of the process.
//!
//! A value must fit its column as ksqlDB demands: numbers widen but are never cut, texts are read as times, and a
//! DECIMAL must fit without rounding.

use std::fmt;

use arrow::array::ArrayRef;

use super::{Action, Context, Insert, Kind, Right, Statement};
use crate::catalog::Source;
use crate::config;
use crate::error::{Error, Result};
use crate::expr::bind::{Scope, bind, evaluate_strictly};
use crate::expr::{Expr, cast, widens};
use crate::sql::ast::{self, commas};
use crate::sql::expr::parse_value;
use crate::sql::print::layout;
use crate::sql::slips::DOUBLE_QUOTES;
use crate::sql::words::Ident;
use crate::topics::record::{BatchWriter, RecordBatch};
use crate::types::{Column, Role, SqlType, StructField, Value, View, array_of, quoted};

pub(super) const KIND: Kind = Kind {
    name: "INSERT INTO",
    summary: "Appends a record to the topic of a stream or table.",
    example: "INSERT INTO application_logs (rowtime, service_name, log_level) VALUES (1000, 'a', 'ERROR');",
    begins: &["INSERT"],
    needs: Right::Write,
    parse: |cursor| {
        cursor.expect("INSERT INTO")?;
        let target = cursor.source_name()?;
        let columns =
            if cursor.is("(") { cursor.list_in("(", ")", |c| c.ident("the name of a column"))? } else { Vec::new() };
        cursor.expect("VALUES")?;
        let values = cursor.list_in("(", ")", parse_value)?;
        if values.is_empty() {
            return Err(Error::syntax("Expected some values for INSERT INTO statement.").at(target.span));
        }
        if !columns.is_empty() && columns.len() != values.len() {
            let message = format!("Expected number columns and values to match: {}, {}", columns.len(), values.len());
            return Err(Error::syntax(message).at(target.span));
        }
        Ok(Some(Box::new(InsertValues { target, columns, values })))
    },
};

#[derive(Debug, PartialEq)]
struct InsertValues {
    target: Ident,
    columns: Vec<Ident>,
    values: Vec<ast::Expr>,
}

impl fmt::Display for InsertValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout(f.alternate(), |p| {
            p.put(format_args!("INSERT INTO {}", self.target));
            if !self.columns.is_empty() {
                p.clause_list(" (", &self.columns, ")", |p, name| p.put(name));
            }
            p.clause_list(" VALUES (", &self.values, ")", |p, value| p.value(value));
        }))
    }
}

/// Values have no columns to refer to.
///
/// A name in double quotes is the usual reason why one is found: other languages write texts so.
struct NoColumns;

impl Scope for NoColumns {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        if let Some(source) = source {
            let message = format!("'{}' is not a valid stream/table name or alias.", source.name);
            return Err(Error::missing(message).at(source.span));
        }
        let message = format!("Unsupported column reference in insert value: {name}");
        Err(Error::invalid(message).at(name.span).hint(DOUBLE_QUOTES))
    }
}

impl Statement for InsertValues {
    /// # Errors
    /// Invalid if INSERT VALUES is switched off by its property, the target is windowed or read-only, or a value does
    /// not fit; missing if there is no such target or column.
    fn compile(&self, cx: &Context) -> Result<Action> {
        if !cx.properties.flag(config::INSERT_VALUES_ENABLED) {
            let message = "The server has disabled INSERT INTO ... VALUES functionality.";
            return Err(Error::invalid(message).hint(format!("set {} to true", config::INSERT_VALUES_ENABLED)));
        }
        let name = &self.target.name;
        let source = cx.catalog.source(name).ok_or_else(|| {
            let message = format!("Cannot insert values into an unknown stream/table: {}", quoted(name));
            let error = cx.catalog.no_source_that(name, |s| s.window.is_none() && !s.read_only);
            error.saying(message).at(self.target.span)
        })?;
        if source.window.is_some() {
            return Err(Error::invalid("Cannot insert values into windowed stream/table!").at(self.target.span));
        }
        if source.read_only {
            let message = format!("Cannot insert values into read-only {}: {name}", source.kind.lower());
            return Err(Error::invalid(message).at(self.target.span));
        }
        let row = self.row(source).map_err(|error| match error.message().starts_with(HEADERS) {
            true => error,
            false => error.context(format!("Failed to insert values into '{name}'. ")),
        })?;
        let topic = cx.catalog.topic(&source.topic).ok_or_else(|| cx.catalog.no_topic(&source.topic))?;
        let (key, batch) = record(source, &row, cx.now_ms);
        let batch = batch.ok_or_else(|| Error::bug("a batch without its record"))?;
        Ok(Action::Insert(Insert { topic: topic.clone(), key, batch }))
    }

    /// Values are masked: messages go to logs, and rows are nobody's business there.
    fn completed(&self, _: &Context) -> Option<String> {
        let columns = self.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
        let columns = if columns.is_empty() { columns } else { format!(" ({columns})") };
        let values = vec!["'[value]'"; self.values.len()].join(", ");
        Some(format!("INSERT INTO {}{columns} VALUES ({values});", quoted(&self.target.name)))
    }
}

/// How the refusal of a header begins; it is the same however rows are written.
const HEADERS: &str = "Cannot insert into HEADER columns: ";

/// The values of a record.
struct Row {
    /// One for every column of the schema.
    values: Vec<Value>,
    /// Milliseconds since the epoch, not negative; `None` is the time of the process.
    time: Option<i64>,
}

impl InsertValues {
    /// # Errors
    /// A column is unknown, named twice with two values, a header or a pseudo column other than ROWTIME; the number of values is
    /// wrong; or a value cannot be computed or does not fit.
    fn row(&self, source: &Source) -> Result<Row> {
        let schema = &source.schema;
        let insertable = |c: &&Column| !matches!(c.role, Role::Headers(_));
        let names: Vec<Ident> = match self.columns.as_slice() {
            [] => schema.columns().iter().map(|c| Ident::new(&c.name)).collect(),
            named => named.to_vec(),
        };
        let headers = names.iter().filter_map(|n| schema.find(&n.name)).find(|(_, c)| !insertable(c));
        if let Some((_, header)) = headers {
            return Err(Error::invalid(format!("{HEADERS}{}", header.name)));
        }
        if names.len() != self.values.len() {
            let message = format!(
                "Expected a value for each column. Expected Columns: [{}]. Got {} values",
                commas(&names),
                self.values.len()
            );
            return Err(Error::invalid(message).at(self.target.span));
        }
        let mut row = Row { values: vec![Value::Null; schema.columns().len()], time: None };
        for (at, (name, written)) in names.iter().zip(&self.values).enumerate() {
            let is_again = names[..at].contains(name);
            let differs = || {
                let message = format!("Column {} is named twice, with two values.", quoted(&name.name));
                Error::invalid(message).at(name.span).hint("name each column once")
            };
            let expr = bind(written, &NoColumns)?;
            if name.name == "ROWTIME" {
                let time = Some(row_time(&expr, written)?);
                if is_again && time != row.time {
                    return Err(differs());
                }
                row.time = time;
                continue;
            }
            if ["ROWPARTITION", "ROWOFFSET"].contains(&name.name.as_str()) {
                let message = format!("Inserting into column {} is not allowed.", quoted(&name.name));
                return Err(Error::invalid(message).at(name.span));
            }
            let Some((place, column)) = schema.find(&name.name) else {
                let error = Error::missing(format!("Column name {} does not exist.", quoted(&name.name))).at(name.span);
                let known = schema.columns().iter().map(|c| c.name.as_str());
                return Err(error.suggest(&name.name, known, |known| Ident::new(known).to_string()));
            };
            let value = coerced(&expr, column, written)?;
            if is_again && value != row.values[place] {
                return Err(differs());
            }
            row.values[place] = value;
        }
        self.check_keys(source, &names)?;
        Ok(row)
    }

    /// Streams may have records without a key.
    fn check_keys(&self, source: &Source, names: &[Ident]) -> Result<()> {
        if source.kind != crate::catalog::SourceKind::Table {
            return Ok(());
        }
        let keys = source.schema.keys().iter();
        let missing: Vec<&str> =
            keys.filter(|k| !names.iter().any(|n| n.name == k.name)).map(|k| k.name.as_str()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("Value for primary key column(s) {} is required for tables", missing.join(", "));
        Err(Error::invalid(message).at(self.target.span))
    }
}

fn row_time(expr: &Expr, written: &ast::Expr) -> Result<i64> {
    let column = Column::value("ROWTIME", SqlType::Bigint);
    let time = if let Value::Bigint(time) = coerced(expr, &column, written)? { time } else { -1 };
    if time < 0 {
        let message = format!("Invalid timestamp: {written}. Timestamp should always be non-negative or null.");
        return Err(Error::invalid(message).at(written.span));
    }
    Ok(time)
}

/// The value as one of the column's type, if nothing is lost on the way.
///
/// # Errors
/// The value fails to compute, is of a type that does not widen, or would lose digits.
fn coerced(expr: &Expr, column: &Column, written: &ast::Expr) -> Result<Value> {
    let failed = |why| Error::invalid(format!("the value {written} cannot be computed: {why}")).at(written.span);
    let value = evaluate_strictly(expr)?.map_err(failed)?;
    let refused = |from: &SqlType| {
        let (to, name) = (&column.sql_type, quoted(&column.name));
        let hint = match to {
            SqlType::Timestamp => "Timestamp format must be yyyy-mm-ddThh:mm:ss[.S]",
            SqlType::Time => "Time format must be hh:mm:ss[.S]",
            SqlType::Date => "Date format must be yyyy-mm-dd",
            _ => "CAST the value to the column's type",
        };
        let message = format!("Expected type {to} for field {name} but got {}({})", from.base_name(), value.to_text());
        Error::invalid(message).at(written.span).hint(hint)
    };
    match &expr.sql_type {
        None => Ok(Value::Null),
        Some(from) if fits(from, &column.sql_type) => {
            if let (Value::Decimal(value), SqlType::Decimal { precision, scale }) = (&value, &column.sql_type) {
                return value.fit_exactly(*precision, *scale).map(Value::Decimal).ok_or_else(|| refused(from));
            }
            cast::cast(&value, &column.sql_type).map_err(|_| refused(from))
        }
        Some(from) => Err(refused(from)),
    }
}

/// Whether values of a type may be inserted into a column of another: as they widen, also inside of collections. Decimals
/// may have other digits, as long as the value has room.
fn fits(from: &SqlType, to: &SqlType) -> bool {
    match (from, to) {
        (SqlType::Array(from), SqlType::Array(to)) => fits(from, to),
        (SqlType::Map(fk, fv), SqlType::Map(tk, tv)) => fits(fk, tk) && fits(fv, tv),
        (SqlType::Struct(from), SqlType::Struct(to)) => {
            let field = |f: &StructField| to.iter().find(|t| t.name == f.name);
            from.iter().all(|f| field(f).is_none_or(|t| fits(&f.sql_type, &t.sql_type)))
        }
        (SqlType::Integer | SqlType::Bigint | SqlType::Decimal { .. }, SqlType::Decimal { .. }) => true,
        (from, to) => widens(from, to),
    }
}

/// The record of a row with one value for every column of a source, at this time.
///
/// # Errors
/// A bug.
pub fn record_of(source: &Source, values: Vec<Value>, now_ms: i64) -> Result<(Option<Vec<u8>>, RecordBatch)> {
    let (key, batch) = record(source, &Row { values, time: None }, now_ms);
    Ok((key, batch.ok_or_else(|| Error::bug("a batch without its record"))?))
}

/// No key for a record whose key columns give none, such as a stream without a key.
type Made = (Option<Vec<u8>>, Option<RecordBatch>);

/// The key and the batch of the record.
///
/// Values of headers are never written.
fn record(source: &Source, row: &Row, now_ms: i64) -> Made {
    let schema = &source.schema;
    let arrays: Vec<ArrayRef> =
        schema.columns().iter().zip(&row.values).map(|(c, v)| array_of([v], &c.sql_type)).collect();
    let views: Vec<View> =
        arrays.iter().zip(schema.columns()).map(|(a, c)| View::new(a.as_ref(), &c.sql_type)).collect();
    let (keys, rest) = views.split_at(schema.keys().len());
    let values = &rest[..schema.values().len()];
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let keyed = source.key.encoder().encode(keys, 0, &mut key);
    let valued = source.value.encoder().encode(values, 0, &mut value);
    let mut writer = BatchWriter::new();
    let key = keyed.then_some(key);
    writer.push(row.time.unwrap_or(now_ms), key.as_deref(), valued.then_some(value.as_slice()), &[]);
    (key, writer.finish())
}
