//! Queries to plans: a pure function of the syntax tree, a snapshot of the catalog and the properties.
//!
//! The order of a query's parts is fixed: sources and joins, WHERE, GROUP BY with its window and HAVING or PARTITION
//! BY, table functions, the projection.

mod aggregates;
pub mod explain;
mod group;
pub mod insert;
mod join;
pub mod node;
pub mod nodes;
mod partition;
pub mod pull;
pub mod pull_rules;
mod scope;
mod select;
pub mod sink;
pub mod table;
mod unnest;
mod window;
pub mod with;

pub use group::check_key_type;
pub use node::{Node, OutputColumn, Plan, Sink};

use crate::catalog::{Catalog, SourceKind};
use crate::config::Properties;
use crate::error::{Error, Result};
use crate::expr::bind::bind_condition;
use crate::expr::{ColumnId, Expr};
use crate::functions;
use crate::sql::ast;
use crate::sql::query::{Emit, Query, SelectItem};
use crate::types::Column;
use scope::{Columns, QueryScope, Relation};
use select::{KeyColumn, Selected, Strictness};

/// What a query is planned for.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A stream or table of this name; `timestamp` is the column of its records' time.
    Persistent {
        /// The name of the new stream or table.
        name: &'a str,
        /// Which of the two the statement makes; a query with another result is refused.
        kind: SourceKind,
        /// The name of a result column; `None` if records have the time of their rows.
        timestamp: Option<&'a str>,
    },
    /// An existing stream of this name.
    Existing {
        /// The name of the stream that gets the rows.
        name: &'a str,
    },
    /// A push query: rows for a client.
    Push,
}

impl Target<'_> {
    /// Whether names that only transient queries can use are refused.
    fn strictness(&self) -> Strictness {
        match self {
            Target::Persistent { .. } | Target::Existing { .. } => Strictness::Persistent,
            Target::Push => Strictness::Transient,
        }
    }

    /// The statement of a persistent query, for messages.
    fn statement(&self) -> Option<String> {
        match self {
            Target::Persistent { kind, .. } => Some(format!("CREATE {} AS SELECT", kind.name())),
            Target::Existing { .. } => Some("INSERT INTO … SELECT".to_owned()),
            Target::Push => None,
        }
    }
}

/// A query while it is planned.
struct Planner<'a> {
    query: &'a Query,
    catalog: &'a Catalog,
    properties: &'a Properties,
    target: Target<'a>,
    columns: &'a Columns,
    relations: &'a [Relation],
    warnings: Vec<String>,
}

/// The key that the rows have after the sources and joins.
struct KeyInfo {
    columns: Vec<KeyColumn>,
    /// What a message calls the columns: `key column`, `join expression`.
    what: &'static str,
    /// What a key that is not selected is called, where it may be added.
    added: Option<String>,
}

/// Plans a continuous query.
///
/// # Errors
/// A name is unknown or ambiguous, a type does not fit, a rule of ksqlDB is broken, or this version cannot plan the
/// query.
pub fn plan(query: &Query, catalog: &Catalog, properties: &Properties, target: Target) -> Result<Plan> {
    refuse_extensions(query)?;
    let columns = Columns::default();
    let written = std::iter::once(&query.from.first).chain(query.from.joins.iter().map(|j| &j.right));
    let relations: Vec<Relation> = written.map(|r| Relation::new(r, catalog, &columns)).collect::<Result<_>>()?;
    let planner =
        Planner { query, catalog, properties, target, columns: &columns, relations: &relations, warnings: Vec::new() };
    let mut plan = planner.run()?;
    let (all, warnings) = columns.into_inner();
    plan.columns = all;
    plan.warnings.extend(warnings);
    Ok(plan)
}

impl<'a> Planner<'a> {
    /// The names that a clause can use: the columns of all sources.
    fn scope(&self, clause: &'static str) -> QueryScope<'a> {
        QueryScope { relations: self.relations, catalog: self.catalog, columns: self.columns, join_key: None, clause }
    }

    /// Plans the query, clause by clause.
    fn run(mut self) -> Result<Plan> {
        unnest::check(&self)?;
        self.refuse_unsupported()?;
        self.check_names()?;
        let aggregates = self.has_aggregates();
        let (mut node, key, join_key) = match self.query.from.joins.as_slice() {
            [] => (self.relations[0].node(), self.source_key(), None),
            [join] => {
                let joined = join::plan(&self, join)?;
                (joined.node, joined.key, joined.synthetic)
            }
            [_, second, ..] => {
                let hint = "join two of them with CREATE STREAM … AS SELECT, and that stream with the third";
                return Err(Error::unsupported("joins of more than two sources").at(second.span).hint(hint));
            }
        };
        if let Some(filter) = &self.query.filter {
            node = filtered(node, filter, &self.scope("WHERE"), "WHERE")?;
        }
        if let (Some(_), Some(partition_by)) = (&self.query.group_by, &self.query.partition_by) {
            let message = "Queries only support one of PARTITION BY and GROUP BY";
            return Err(Error::invalid(message).at(partition_by.span));
        }
        if self.query.group_by.is_some() || aggregates {
            return group::plan(self, node);
        }
        if let Some(window) = &self.query.window {
            return Err(Error::invalid("WINDOW clause requires a GROUP BY clause.").at(window.span));
        }
        if let Some(partition_by) = &self.query.partition_by {
            return partition::plan(self, node, partition_by);
        }
        if let Some(having) = &self.query.having {
            let message = "HAVING needs a GROUP BY or an aggregate";
            return Err(Error::invalid(message).at(having.span).hint("use WHERE"));
        }
        let join_key = join_key.as_ref().map(|(name, id): &(String, ColumnId)| (name.as_str(), *id));
        let scope = QueryScope { join_key, ..self.scope("SELECT") };
        let calls = unnest::Calls::new(&scope, self.columns);
        let selected = select::select(&self.query.items, &scope, &calls)?;
        select::check_reserved(&self.query.items, &scope, self.target.strictness())?;
        let (node, selected) = computed(calls.unnested(node), selected, self.columns);
        let output = self.output(&selected, &key)?;
        self.check_kind(SourceKind::Stream)?;
        let warnings = std::mem::take(&mut self.warnings);
        Ok(Plan {
            root: node,
            columns: Vec::new(),
            kind: SourceKind::Stream,
            output,
            window: None,
            rekey: None,
            warnings,
        })
    }

    /// Refuses what this version cannot execute; the message names it.
    fn refuse_unsupported(&self) -> Result<()> {
        if self.query.emit == Some(Emit::Final) {
            if self.query.window.is_none() {
                return Err(Error::invalid("EMIT FINAL is only supported for windowed aggregations."));
            }
            if !self.properties.flag(crate::config::SUPPRESS_ENABLED) {
                let message =
                    "Suppression is currently disabled. You can enable it by setting ksql.suppress.enabled to true";
                return Err(Error::invalid(message));
            }
        }
        for relation in self.relations {
            let called = &relation.source().name;
            if relation.source().window.is_some() {
                let error = Error::unsupported(format!("the windowed source {called} in a continuous query"));
                return Err(error.hint("aggregate the stream itself in a query of its own"));
            }
            if relation.source().kind == SourceKind::Table {
                let error = Error::unsupported(format!("the table {called} as a source of a continuous query"));
                let hint = "a stream that is declared over the topic of the table reads its changes as rows";
                return Err(error.hint(hint));
            }
        }
        for (_, expr) in self.expressions() {
            refuse_over(expr)?;
        }
        if let (Some(_), Some(statement)) = (self.query.limit, self.target.statement()) {
            let message = format!("{statement} statements don't support LIMIT clause.");
            return Err(Error::invalid(message).at(self.query.span));
        }
        Ok(())
    }

    /// The expressions of the query, each with its clause, in the order in which unknown names are reported.
    fn expressions(&self) -> Vec<(&'static str, &'a ast::Expr)> {
        let query = self.query;
        let mut all: Vec<(&'static str, &ast::Expr)> = query.filter.iter().map(|e| ("WHERE", e)).collect();
        all.extend(query.group_by.iter().flat_map(|g| &g.exprs).map(|e| ("GROUP BY", e)));
        all.extend(query.partition_by.iter().flat_map(|g| &g.exprs).map(|e| ("PARTITION BY", e)));
        all.extend(query.having.iter().map(|e| ("HAVING", e)));
        all.extend(query.items.iter().filter_map(|item| match item {
            SelectItem::Fields(expr) | SelectItem::Expr { expr, .. } => Some(("SELECT", expr)),
            SelectItem::All(_) | SelectItem::AllOf(_) => None,
        }));
        all
    }

    /// Refuses ambiguous names first, then unknown ones, before anything else is looked at.
    fn check_names(&self) -> Result<()> {
        let mut unknown = None;
        for (clause, expr) in self.expressions() {
            let scope = self.scope(clause);
            for (source, name) in free_columns(expr) {
                let special = source.is_none()
                    && (clause != "WHERE" && ["WINDOWSTART", "WINDOWEND"].contains(&name.name.as_str())
                        || clause == "SELECT" && name.name.starts_with("ROWKEY"));
                match scope.find(source, name) {
                    Err(error) if error.kind() == crate::error::Kind::Invalid => return Err(error),
                    Err(error) if !special => {
                        unknown.get_or_insert(error);
                    }
                    _ => {}
                }
            }
        }
        unknown.map_or(Ok(()), Err)
    }

    /// Whether an aggregate function is called anywhere in the query.
    fn has_aggregates(&self) -> bool {
        self.expressions().into_iter().any(|(_, expr)| aggregates::contains_aggregate(expr))
    }

    /// The key of a single source.
    fn source_key(&self) -> KeyInfo {
        let relation = &self.relations[0];
        let key = |c: &scope::RelationColumn| KeyColumn {
            candidates: vec![c.id],
            id: c.id,
            sql_type: self.columns.expr(c.id).result_type(),
            shown: c.name.clone(),
            called: c.name.clone(),
        };
        KeyInfo { columns: relation.keys().map(key).collect(), what: "key column", added: None }
    }

    /// The columns of the result.
    fn output(&mut self, selected: &[Selected], key: &KeyInfo) -> Result<Vec<OutputColumn>> {
        let (name, timestamp) = match self.target {
            Target::Persistent { name, timestamp, .. } => (name, timestamp),
            Target::Existing { name } => (name, None),
            Target::Push => return Ok(shown(selected)),
        };
        if let Some(missing) = timestamp.filter(|t| selected.iter().all(|s| s.name != *t)) {
            return Err(sink::no_timestamp_column(missing));
        }
        let required = self.properties.flag(crate::config::JOIN_KEY_REQUIRED);
        let added = key.added.as_deref().filter(|_| !required);
        let output = select::output(selected, &key.columns, name, key.what, added)?;
        let kept = |c: &KeyColumn| c.candidates.iter().any(|id| selected.iter().any(|s| s.column() == Some(*id)));
        if let (Some(added), false) = (added, key.columns.iter().all(kept)) {
            self.warnings.push(format!(
                "the projection does not select the key of the join; it is kept as the key column {added}"
            ));
        }
        Ok(output)
    }

    /// Refuses a result that is a table where the statement makes a stream, or the other way round.
    fn check_kind(&self, result: SourceKind) -> Result<()> {
        let message = match self.target {
            Target::Persistent { kind, .. } if kind != result => {
                let result = result.name();
                format!(
                    "Invalid result type. Your SELECT query produces a {result}. Please use CREATE {result} AS SELECT \
                     statement instead."
                )
            }
            Target::Existing { name } if result == SourceKind::Table => format!(
                "Incompatible data sink and query result. Data sink ({name}) type is KSTREAM but select query result is \
                 KTABLE."
            ),
            _ => return Ok(()),
        };
        Err(Error::invalid(message).at(self.query.span))
    }
}

/// Refuses parts of the language that go beyond ksqlDB's and that this version cannot plan; the message names them.
fn refuse_extensions(query: &Query) -> Result<()> {
    let relations = || std::iter::once(&query.from.first).chain(query.from.joins.iter().map(|join| &join.right));
    const OWN_STREAM: &str = "make a stream of it with CREATE STREAM … AS SELECT, and select from that";
    let extensions = [
        (!query.named.is_empty(), "WITH … AS (SELECT …)", OWN_STREAM),
        (query.distinct, "SELECT DISTINCT", "GROUP BY the columns, with COUNT(*)"),
        (relations().any(|r| r.derived.is_some()), "a query in FROM", OWN_STREAM),
        (relations().any(|r| !r.with.is_empty()), "WITH (START = …)", "SET 'auto.offset.reset' to earliest or latest"),
        (!query.unions.is_empty(), "UNION", "CREATE STREAM … AS SELECT one, and INSERT INTO it SELECT the other"),
        (!query.order_by.is_empty(), "ORDER BY", "sort the rows where they are shown"),
        (query.every.is_some(), "EMIT … EVERY", "the property commit.interval.ms says how often results come"),
        (query.offset.is_some(), "OFFSET", "use LIMIT, and leave out the first rows where they are shown"),
    ];
    let first = extensions.iter().find(|(there, ..)| *there);
    first.map_or(Ok(()), |(_, name, meanwhile)| Err(Error::unsupported(name).at(query.span).hint(*meanwhile)))
}

/// The columns of an expression that are not parameters of a lambda around them.
fn free_columns(expr: &ast::Expr) -> Vec<(Option<&crate::sql::words::Ident>, &crate::sql::words::Ident)> {
    fn collect<'e>(
        expr: &'e ast::Expr,
        bound: &mut Vec<&'e str>,
        found: &mut Vec<(Option<&'e crate::sql::words::Ident>, &'e crate::sql::words::Ident)>,
    ) {
        let before = bound.len();
        match &*expr.node {
            ast::Node::Column { source, name } if source.is_some() || !bound.contains(&name.name.as_str()) => {
                found.push((source.as_ref(), name));
            }
            ast::Node::Lambda { params, .. } => bound.extend(params.iter().map(|p| p.name.as_str())),
            _ => {}
        }
        expr.children().into_iter().for_each(|child| collect(child, bound, found));
        bound.truncate(before);
    }
    let mut found = Vec::new();
    collect(expr, &mut Vec::new(), &mut found);
    found
}

/// The projection as it is shown: every item in its place, none of them a key.
fn shown(selected: &[Selected]) -> Vec<OutputColumn> {
    let column = |item: &Selected| OutputColumn {
        id: item.column().unwrap_or_default(),
        column: Column::value(item.name.clone(), item.expr.result_type()),
    };
    selected.iter().map(column).collect()
}

/// The rows for which a condition is true.
fn filtered(
    node: Node,
    written: &ast::Expr,
    names: &dyn crate::expr::bind::Scope,
    clause: &'static str,
) -> Result<Node> {
    refuse_aggregates(written)?;
    let condition = bind_condition(written, names, clause)?;
    Ok(node.filter(condition))
}

/// Refuses aggregate functions where there is nothing to aggregate: they are no functions there.
fn refuse_aggregates(expr: &ast::Expr) -> Result<()> {
    match aggregates::first_aggregate(expr) {
        Some((name, span)) => Err(Error::invalid(format!("Can't find any functions with the name '{name}'"))
            .at(span)
            .hint("aggregate functions stand in SELECT and HAVING")),
        None => Ok(()),
    }
}

/// What to use instead of a function over a window of rows.
const GROUP_INSTEAD: &str = "aggregate with GROUP BY, in a WINDOW where time matters";

/// Refuses functions over windows of rows wherever they stand.
fn refuse_over(expr: &ast::Expr) -> Result<()> {
    if matches!(*expr.node, ast::Node::Over { .. }) {
        return Err(Error::unsupported("OVER").at(expr.span).hint(GROUP_INSTEAD));
    }
    expr.children().into_iter().try_for_each(refuse_over)
}

/// Gives every item that is not a column already a column of its own.
fn computed(node: Node, selected: Vec<Selected>, columns: &Columns) -> (Node, Vec<Selected>) {
    let mut made: Vec<(ColumnId, Expr)> = Vec::new();
    let selected = selected
        .into_iter()
        .map(|item| match item.column() {
            Some(_) => item,
            None => {
                let id = columns.add(item.name.clone(), item.expr.result_type());
                made.push((id, item.expr.clone()));
                Selected { expr: columns.expr(id), ..item }
            }
        })
        .collect();
    (node.compute(made), selected)
}

/// Whether a name is one of an aggregate function.
fn is_aggregate(name: &str) -> bool {
    functions::find_aggregate(name).is_some()
}
