//! What names mean in a query: the columns of its sources, and the refusals of unknown and ambiguous names.

use std::cell::RefCell;
use std::sync::Arc;

use crate::catalog::{Catalog, Source};
use crate::error::{Error, Result};
use crate::expr::bind::Scope;
use crate::expr::{ColumnId, Expr};
use crate::sql::query;
use crate::sql::slips::DOUBLE_QUOTES;
use crate::sql::words::Ident;
use crate::state::{OperatorId, OperatorKind};
use crate::types::SqlType;

use super::node::{Node, SourceColumn, SourceNode};

/// The columns of a plan, by their ids, its stateful operators, and what the user should know of its expressions.
#[derive(Default)]
pub(super) struct Columns {
    all: RefCell<Vec<(String, SqlType)>>,
    operators: RefCell<Vec<OperatorKind>>,
    warnings: RefCell<Vec<String>>,
}

impl Columns {
    /// The id of a new stateful operator. Each kind is counted by itself: if a query changes, operators keep their ids
    /// as long as those of their kind come in the same order.
    pub(super) fn operator(&self, kind: OperatorKind) -> OperatorId {
        let mut operators = self.operators.borrow_mut();
        operators.push(kind);
        OperatorId { kind, number: operators.iter().filter(|other| **other == kind).count() as u16 - 1 }
    }

    /// A new column.
    pub(super) fn add(&self, name: impl Into<String>, sql_type: SqlType) -> ColumnId {
        let mut all = self.all.borrow_mut();
        all.push((name.into(), sql_type));
        (all.len() - 1) as ColumnId
    }

    /// The column as an expression.
    pub(super) fn expr(&self, id: ColumnId) -> Expr {
        Expr::column(id, self.all.borrow()[id as usize].1.clone())
    }

    /// Adds a warning, once.
    pub(super) fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// All columns, and the warnings.
    pub(super) fn into_inner(self) -> (Vec<(String, SqlType)>, Vec<String>) {
        (self.all.into_inner(), self.warnings.into_inner())
    }
}

/// A source in FROM.
pub(super) struct Relation {
    /// The name by which expressions call it.
    pub called: String,
    /// The stream or table; `None` for a query that stands in the place of one.
    of: Option<Arc<Source>>,
    /// The columns that expressions can name: the declared ones first, then the pseudo columns.
    pub columns: Vec<RelationColumn>,
}

/// A column that a source in FROM offers.
#[derive(Clone, Debug)]
pub(super) struct RelationColumn {
    /// The name, as it is kept.
    pub name: String,
    /// The id in the plan.
    pub id: ColumnId,
    /// Where the column comes from.
    pub origin: SourceColumn,
}

impl Relation {
    /// The relation of a name in FROM, with ids for all its columns.
    ///
    /// # Errors
    /// There is no such source.
    pub(super) fn new(written: &query::Relation, catalog: &Catalog, columns: &Columns) -> Result<Relation> {
        let source = catalog.expect_source(&written.name.name).map_err(|e| e.at(written.name.span))?.clone();
        let mut offered = Vec::new();
        let mut offer = |name: &str, sql_type: SqlType, origin| {
            offered.push(RelationColumn { name: name.to_owned(), id: columns.add(name, sql_type), origin });
        };
        for (place, column) in source.schema.columns().iter().enumerate() {
            offer(&column.name, column.sql_type.clone(), SourceColumn::Declared(place));
        }
        offer("ROWTIME", SqlType::Bigint, SourceColumn::RowTime);
        offer("ROWPARTITION", SqlType::Integer, SourceColumn::RowPartition);
        offer("ROWOFFSET", SqlType::Bigint, SourceColumn::RowOffset);
        Ok(Relation { called: written.called().name.clone(), of: Some(source), columns: offered })
    }

    /// The relation of a query in FROM, which offers the columns of its result.
    pub(super) fn derived(called: &Ident, columns: impl Iterator<Item = (String, ColumnId)>) -> Relation {
        let offered = |(place, (name, id))| RelationColumn { name, id, origin: SourceColumn::Declared(place) };
        Relation { called: called.name.clone(), of: None, columns: columns.enumerate().map(offered).collect() }
    }

    /// The stream or table.
    ///
    /// # Panics
    /// The relation is a query. Only pull queries have such relations.
    pub(super) fn source(&self) -> &Arc<Source> {
        self.of.as_ref().expect("a continuous query reads streams and tables")
    }

    /// The stream or table, if the relation is one.
    pub(super) fn as_source(&self) -> Option<&Arc<Source>> {
        self.of.as_ref()
    }

    /// The leaf of the plan.
    pub(super) fn node(&self) -> Node {
        let columns = self.columns.iter().map(|c| (c.id, c.origin.clone())).collect();
        Node::Source(SourceNode { source: self.source().clone(), columns })
    }

    /// The column of this name.
    pub(super) fn column(&self, name: &str) -> Option<&RelationColumn> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The columns that were declared, keys first.
    pub(super) fn declared(&self) -> impl Iterator<Item = &RelationColumn> {
        self.columns.iter().filter(|c| matches!(c.origin, SourceColumn::Declared(_)))
    }

    /// The columns of the key.
    pub(super) fn keys(&self) -> impl Iterator<Item = &RelationColumn> {
        self.declared().take(self.of.as_ref().map_or(0, |source| source.schema.keys().len()))
    }
}

/// The names that a clause of a query can use.
pub(super) struct QueryScope<'a> {
    /// The sources in FROM.
    pub relations: &'a [Relation],
    /// What exists.
    pub catalog: &'a Catalog,
    /// The columns of the plan so far.
    pub columns: &'a Columns,
    /// The key of a join of which neither side is a column: it has a name, but only in SELECT.
    pub join_key: Option<(&'a str, ColumnId)>,
    /// The clause, for messages: `SELECT`, `WHERE` …
    pub clause: &'static str,
}

impl<'a> QueryScope<'a> {
    /// The same names in another clause.
    pub(super) fn clause(&self, clause: &'static str) -> QueryScope<'a> {
        QueryScope { clause, ..*self }
    }

    /// The relation that an expression calls so.
    ///
    /// # Errors
    /// No source has this name or alias.
    pub(super) fn relation(&self, called: &Ident) -> Result<&'a Relation> {
        self.relations.iter().find(|r| r.called == called.name).ok_or_else(|| {
            let error = Error::missing(format!("'{}' is not a valid stream/table name or alias.", called.name));
            let known = self.relations.iter().map(|r| r.called.as_str());
            error.at(called.span).suggest(&called.name, known, |known| Ident::new(known).to_string())
        })
    }

    /// Whether this is the name of a source that has an alias, by which it must be called.
    fn is_aliased(&self, called: &Ident) -> bool {
        let named = |r: &Relation| r.of.as_ref().is_some_and(|source| source.name == called.name);
        self.relations.iter().any(named) && self.relations.iter().all(|r| r.called != called.name)
    }

    /// The column that is meant, and the relation that offers it.
    ///
    /// # Errors
    /// No source has such a column, or several have.
    pub(super) fn find(&self, source: Option<&Ident>, name: &Ident) -> Result<(&'a Relation, &'a RelationColumn)> {
        let candidates: Vec<&Relation> = match source {
            // A source that has an alias cannot be called by its own name, but that name is known.
            Some(called) if self.is_aliased(called) => return Err(self.unresolved(source, name)),
            Some(called) => vec![self.relation(called)?],
            None => self.relations.iter().collect(),
        };
        let mut found = candidates.iter().filter_map(|r| r.column(&name.name).map(|c| (*r, c)));
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => {
                let mut owners: Vec<String> = self
                    .relations
                    .iter()
                    .filter(|r| r.column(&name.name).is_some())
                    .map(|r| format!("{}.{}", r.called, name.name))
                    .collect();
                owners.sort();
                let message = format!("Column '{}' is ambiguous. Could be {}.", name.name, or_list(&owners));
                Err(Error::invalid(message).at(name.span).hint("write the source before the column"))
            }
            _ => Err(self.unresolved(source, name)),
        }
    }

    /// The refusal of an unknown column, with the nearest known name.
    fn unresolved(&self, source: Option<&Ident>, name: &Ident) -> Error {
        let shown = source.map_or_else(|| name.name.clone(), |s| format!("{}.{}", s.name, name.name));
        let span = source.map_or(name.span, |s| s.span.to(name.span));
        let mut message = format!("{} column '{shown}' cannot be resolved.", self.clause);
        if self.clause == "PARTITION BY" {
            message.push_str(" It must be a column in the source schema since PARTITION BY is applied on the input.");
        }
        let error = Error::missing(message).at(span);
        if name.quotes.double {
            return error.hint(DOUBLE_QUOTES);
        }
        let error = error.suggest(&name.name, self.offered(source), |known| Ident::new(known).to_string());
        match UNITS_OF_OTHERS.contains(&name.name.as_str()) {
            true => error.hint("the units of time are MILLISECONDS, SECONDS, MINUTES, HOURS and DAYS"),
            false => error,
        }
    }

    /// The columns that can be named: those of one source, or of all those that only one source has.
    fn offered(&self, source: Option<&Ident>) -> Vec<&'a str> {
        let relations = || self.relations.iter().filter(|r| source.is_none_or(|s| r.called == s.name));
        let owners = |name: &str| relations().filter(|r| r.column(name).is_some()).count();
        let names = relations().flat_map(|r| r.columns.iter().map(|c| c.name.as_str()));
        names.filter(|name| owners(name) == 1).collect()
    }
}

/// Names of units of time that functions do not take: in the singular, or of other engines.
const UNITS_OF_OTHERS: [&str; 14] = [
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "WEEK",
    "WEEKS",
    "MONTH",
    "MONTHS",
    "QUARTER",
    "YEAR",
    "YEARS",
    "MICROSECOND",
    "MICROSECONDS",
    "NANOSECONDS",
];

/// `A`, `A or B`, `A, B, or C`.
fn or_list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [a, b] => format!("{a} or {b}"),
        [init @ .., last] => format!("{}, or {last}", init.join(", ")),
    }
}

impl Scope for QueryScope<'_> {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        if let (None, Some((key, id)), "SELECT") = (source, self.join_key, self.clause)
            && name.name == key
        {
            return Ok(self.columns.expr(id));
        }
        let (_, column) = self.find(source, name)?;
        Ok(self.columns.expr(column.id))
    }

    fn is_instant(&self, column: ColumnId) -> bool {
        let is_time = |c: &RelationColumn| c.id == column && c.origin == SourceColumn::RowTime;
        self.clause == "WHERE" && self.relations.iter().flat_map(|r| &r.columns).any(is_time)
    }

    fn custom_type(&self, name: &str) -> Option<SqlType> {
        self.catalog.custom_type(name).cloned()
    }

    fn warn(&self, warning: String) {
        self.columns.warn(warning);
    }
}
