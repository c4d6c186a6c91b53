//! What a pull query may ask for: no columns that only records have, and no look at all rows of a table where that is
//! switched off.
//!
//! A condition is looked at as the alternatives that OR leaves. Each of them must name every key column with `=` or
//! `IN`; a single one may instead say from where to where the only key column is, if that is a text or bytes.

use crate::catalog::{Catalog, Source, SourceKind};
use crate::config::{self, Properties};
use crate::error::{Error, Result};
use crate::plan::pull::Rel;
use crate::sql::ast::{CompareOp, Expr, Node};
use crate::sql::query::{Query, SelectItem};
use crate::types::{SqlType, quoted};

/// Into how many alternatives a condition is taken apart.
const MOST_ALTERNATIVES: usize = 1_000;

/// What helps if a condition does not narrow the rows.
const NARROW: &str = "name every key column with = or IN, or set ksql.query.pull.table.scan.enabled to true";

/// Refuses ROWPARTITION and ROWOFFSET, which only records have.
///
/// # Errors
/// Kind `Invalid`: the first one, with its place.
pub fn refuse_record_columns(query: &Query) -> Result<()> {
    let selected = query.items.iter().filter_map(|item| match item {
        SelectItem::Expr { expr, .. } | SelectItem::Fields(expr) => Some((expr, "SELECT")),
        SelectItem::All(_) | SelectItem::AllOf(_) => None,
    });
    for (expr, clause) in selected.chain(query.filter.iter().map(|filter| (filter, "WHERE"))) {
        let mut found = None;
        expr.walk(&mut |expr| {
            let is_of_record = column(expr).is_some_and(|name| ["ROWPARTITION", "ROWOFFSET"].contains(&name));
            found = found.or(is_of_record.then_some(expr));
        });
        if let Some((name, span)) = found.and_then(|expr| Some((column(expr)?, expr.span))) {
            let message = format!("Pull queries don't support the following columns in {clause} clauses: `{name}`");
            return Err(Error::invalid(message).at(span));
        }
    }
    Ok(())
}

/// Refuses a look at a table that was declared with SOURCE.
///
/// # Errors
/// Kind `Unsupported`, with the place of the table's name.
pub fn refuse_source_table(query: &Query, catalog: &Catalog) -> Result<()> {
    let name = &query.from.first.name;
    let source = catalog.source(&name.name);
    match source.filter(|s| s.kind == SourceKind::Table && s.read_only && s.query.is_none()) {
        Some(source) => Err(Error::unsupported(format!("looking at the source table {}", source.name)).at(name.span)),
        None => Ok(()),
    }
}

/// Refuses a SELECT without EMIT that reads a stream, if the properties do not allow that.
///
/// # Errors
/// Kind `Invalid`, with the place of the query.
pub fn check_stream(query: &Query, properties: &Properties) -> Result<()> {
    if properties.flag(config::PULL_STREAM_ENABLED) {
        return Ok(());
    }
    let error = Error::invalid("Pull queries on streams are disabled.").at(query.span);
    let name = config::PULL_STREAM_ENABLED;
    Err(error.hint(format!("add EMIT CHANGES to issue a push query, or set {name} to true")))
}

/// Refuses a pull query of relations, which may read all rows of tables and streams, if the properties do not allow that.
///
/// # Errors
/// Kind `Invalid`, with the place of the query.
pub fn check_relations(query: &Query, root: &Rel, properties: &Properties) -> Result<()> {
    let sources = root.sources();
    if sources.iter().any(|source| source.kind == SourceKind::Stream) {
        check_stream(query, properties)?;
    }
    if sources.iter().any(|source| source.kind == SourceKind::Table) && !properties.flag(config::TABLE_SCAN_ENABLED) {
        let message = "Query requires table scan to be enabled.";
        return Err(Error::invalid(message).at(query.span).hint(NARROW));
    }
    Ok(())
}

/// Refuses a pull query that would look at all rows of a table, if the properties do not allow that.
///
/// # Errors
/// Kind `Invalid`, with what the condition lacks.
pub fn check_scan(query: &Query, source: &Source, properties: &Properties) -> Result<()> {
    if properties.flag(config::TABLE_SCAN_ENABLED) {
        return Ok(());
    }
    let narrow = |message: String| Error::invalid(message).at(query.span).hint(NARROW);
    let filter = query.filter.as_ref().ok_or_else(|| narrow("Missing WHERE clause.".to_owned()))?;
    let alternatives = alternatives(filter);
    let mut has_range = false;
    for alternative in alternatives.iter().flatten() {
        has_range |= bounds(alternative, source).map_err(|error| error.hint(NARROW))?;
    }
    let may_range = || {
        let keys = source.schema.keys();
        let is_bytes = matches!(keys, [key] if matches!(key.sql_type, SqlType::String | SqlType::Bytes));
        let is_one = alternatives.as_ref().is_some_and(|all| all.len() == 1);
        is_bytes && is_one && source.window.is_none() && properties.flag(config::RANGE_SCAN_ENABLED)
    };
    if alternatives.is_none() || (has_range && !may_range()) {
        return Err(narrow("Query requires table scan to be enabled.".to_owned()));
    }
    Ok(())
}

/// The alternatives of a condition, each with the conditions that hold together in it; None if there are too many.
fn alternatives(condition: &Expr) -> Option<Vec<Vec<&Expr>>> {
    let all = match &*condition.node {
        Node::Or(items) => items.iter().map(alternatives).collect::<Option<Vec<_>>>()?.concat(),
        Node::And(items) => {
            let mut all = vec![Vec::new()];
            for item in items {
                let own = alternatives(item)?;
                if all.len() * own.len() > MOST_ALTERNATIVES {
                    return None;
                }
                let joined = |so_far: &Vec<_>| own.iter().map(|o| [so_far.as_slice(), o].concat()).collect::<Vec<_>>();
                all = all.iter().flat_map(joined).collect();
            }
            all
        }
        _ => vec![vec![condition]],
    };
    (all.len() <= MOST_ALTERNATIVES).then_some(all)
}

/// What a condition says of a key column.
enum Bound<'a> {
    /// Its value, or a few of them.
    Equal(&'a str),
    /// From where or to where it is.
    Range(&'a str),
}

/// Whether an alternative bounds a key column by a range.
///
/// # Errors
/// It does not say of each key column, once, what it is.
fn bounds(alternative: &[&Expr], source: &Source) -> Result<bool> {
    let keys = source.schema.keys();
    let mut seen: Vec<&str> = Vec::new();
    let mut has_range = false;
    for condition in alternative {
        for bound in bounds_of(condition, source)? {
            let (Bound::Equal(name) | Bound::Range(name)) = bound;
            if seen.contains(&name) {
                let message = "A comparison condition on the key column cannot be combined with other comparisons such \
                               as an IN predicate.";
                return Err(Error::invalid(message).at(condition.span));
            }
            seen.push(name);
            has_range |= matches!(bound, Bound::Range(_));
        }
    }
    if seen.is_empty() {
        let text = match alternative {
            [one] => one.parenthesized(),
            several => format!("({})", several.iter().map(|c| c.parenthesized()).collect::<Vec<_>>().join(" AND ")),
        };
        return Err(Error::invalid(format!("WHERE clause missing key column for disjunct: {text}.")));
    }
    if seen.len() < keys.len() {
        let specified = seen.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let expected = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let message = format!(
            "Multi-column sources must specify every key in the WHERE clause. Specified: [{specified}] Expected: \
             [{expected}]."
        );
        return Err(Error::invalid(message));
    }
    Ok(has_range)
}

/// What one condition says of key columns; nothing if it is about other columns.
fn bounds_of<'a>(condition: &'a Expr, source: &'a Source) -> Result<Vec<Bound<'a>>> {
    use CompareOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let keys = source.schema.keys();
    let unsupported = || {
        let message = format!("Unsupported expression in WHERE clause: {}.", condition.parenthesized());
        Error::invalid(message).at(condition.span)
    };
    let key = |name: &'a str| keys.iter().any(|key| key.name == name).then_some(name);
    Ok(match &*condition.node {
        Node::Compare { op, left, right } => match (key(compared(left, right)?), op) {
            (Some(name), Equal) => vec![Bound::Equal(name)],
            (Some(name), Less | LessOrEqual | Greater | GreaterOrEqual) => vec![Bound::Range(name)],
            (Some(_), _) => {
                let columns = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let message = format!("Bound on key columns '[{columns}]' must currently be '='.");
                return Err(Error::invalid(message).at(condition.span));
            }
            (None, _) => Vec::new(),
        },
        Node::In { value, list, negated: false } => {
            let names = list.iter().map(|item| compared(value, item)).collect::<Result<Vec<_>>>()?;
            names.first().and_then(|name| key(name)).map(Bound::Equal).into_iter().collect()
        }
        Node::Between { value, low, high, negated: false } => {
            let (low, high) = (compared(value, low)?, compared(value, high)?);
            [low, high].into_iter().filter_map(key).map(Bound::Range).collect()
        }
        Node::Like { negated: false, .. } => Vec::new(),
        _ => return Err(unsupported()),
    })
}

/// The column that is compared with a value that does not depend on the row.
fn compared<'a>(left: &'a Expr, right: &'a Expr) -> Result<&'a str> {
    match (depends(left), depends(right)) {
        (true, true) => {
            let message = "A comparison must be between a key column and a resolvable expression.";
            Err(Error::invalid(message).at(left.span))
        }
        _ => column(left)
            .or_else(|| column(right))
            .ok_or_else(|| Error::invalid("A comparison must directly reference a key column.").at(left.span)),
    }
}

/// Whether a value depends on the row.
fn depends(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |expr| found |= column(expr).is_some());
    found
}

/// The name of the column that an expression is.
fn column(expr: &Expr) -> Option<&str> {
    match &*expr.node {
        Node::Column { name, .. } => Some(&name.name),
        _ => None,
    }
}
