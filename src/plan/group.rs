//! GROUP BY: aggregates, their window, and what may be said of a group.

use super::aggregates::{Aggregates, calls_of_aggregates, contains_aggregate, first_aggregate};
use super::node::{AggregateCall, AggregateNode, Node, Plan, WindowNode};
use super::scope::QueryScope;
use super::select::{self, KeyColumn};
use super::{KeyInfo, Planner, computed, is_aggregate, window};
use crate::catalog::{SourceKind, WindowType};
use crate::error::{Error, Result};
use crate::expr::bind::{Scope, bind, bind_condition};
use crate::expr::{ColumnId, Expr, Kind};
use crate::formats::{Encoding, json::Json};
use crate::functions::aggregate::BoundAggregate;
use crate::sql::ast::{self, Node as Ast};
use crate::sql::query::{Emit, SelectItem, WindowKind};
use crate::sql::words::Ident;
use crate::state::OperatorKind;
use crate::types::{Column, SqlType};

/// Plans the part after the sources of a query that groups.
///
/// # Errors
/// A key has an impossible type, or an expression is neither of the key nor in an aggregate function.
pub(super) fn plan(mut planner: Planner, input: Node) -> Result<Plan> {
    let query = planner.query;
    let (window, groups, names) = analyse(&planner)?;
    refuse_aggregates_in_keys(query.group_by.as_ref().map_or(&[], |g| &g.exprs))?;
    // COUNT(*) counts rows: it is given a column that is never NULL.
    let counted =
        planner.relations[0].column("ROWTIME").map_or_else(Expr::null, |column| planner.columns.expr(column.id));
    let calls = Calls {
        scope: planner.scope("SELECT"),
        groups: &groups,
        names,
        window,
        aggregates: Aggregates { properties: planner.properties, counted, nests: false },
        made: Default::default(),
    };
    let strictness = planner.target.strictness();
    let scope = planner.scope("SELECT");
    check_stars(&query.items, &scope, &groups)?;
    let selected = select::select(&query.items, &scope, &calls)?;
    select::check_reserved(&query.items, &scope, strictness)?;
    let having = query.having.as_ref().map(|h| having(h, &calls)).transpose()?;
    let made = calls.made.into_inner();
    if made.calls.is_empty() {
        let message = "GROUP BY requires aggregate functions in either the SELECT or HAVING clause.";
        return Err(Error::invalid(message).at(query.group_by.as_ref().map_or(query.span, |g| g.span)));
    }
    let (input, encoding) = exchanged(&planner, input, &groups, made.args)?;
    let last_only = (query.emit == Some(Emit::Final)).then_some(encoding);
    let keys: Vec<ColumnId> = groups.iter().map(|g| g.id).collect();
    let id = planner.columns.operator(OperatorKind::Aggregate);
    let mut node =
        Node::Aggregate(AggregateNode { id, input: Box::new(input), keys, calls: made.calls, window, last_only });
    if let Some(condition) = having {
        node = node.filter(condition);
    }
    let key = KeyInfo { columns: key_columns(&groups, &planner), what: "grouping expression", added: None };
    let (node, selected) = computed(node, selected, planner.columns);
    let output = planner.output(&selected, &key)?;
    planner.check_kind(SourceKind::Table)?;
    let warnings = std::mem::take(&mut planner.warnings);
    Ok(Plan { root: node, columns: Vec::new(), kind: SourceKind::Table, output, window, rekey: None, warnings })
}

/// A grouping expression and the column that holds it.
pub(super) struct Group {
    /// The column.
    pub id: ColumnId,
    /// The bound expression.
    pub bound: Expr,
    /// The expression as it is written.
    pub written: ast::Expr,
}

/// The window, the grouping expressions, and the names before grouping.
type Analysed<'a> = (Option<WindowNode>, Vec<Group>, QueryScope<'a>);

/// Analyses WINDOW and GROUP BY; refuses what cannot be a key.
fn analyse<'a>(planner: &Planner<'a>) -> Result<Analysed<'a>> {
    let query = planner.query;
    let window = match &query.window {
        Some(written) => Some(WindowNode {
            window: window::time_window(written, query.emit)?,
            kind: match written.kind {
                WindowKind::Tumbling { .. } => WindowType::Tumbling,
                WindowKind::Hopping { .. } => WindowType::Hopping,
                WindowKind::Session { .. } => WindowType::Session,
            },
            start: planner.columns.add("WINDOWSTART", SqlType::Bigint),
            end: planner.columns.add("WINDOWEND", SqlType::Bigint),
        }),
        None => None,
    };
    let scope = planner.scope("GROUP BY");
    let Some(grouping) = &query.group_by else {
        check_without_grouping(planner)?;
        return Ok((window, Vec::new(), scope));
    };
    if grouping.exprs.is_empty() {
        return Err(Error::invalid("GROUP BY requires at least one expression").at(grouping.span));
    }
    let groups = groups(&grouping.exprs, &scope)?;
    for relation in planner.relations {
        if !relation.source().value.format.joins() {
            let message = format!(
                "Source(s) {} are using the '{}' value format. This format does not yet support GROUP BY.",
                relation.source().name,
                relation.source().value.format.name()
            );
            return Err(Error::invalid(message).at(grouping.span).hint(COPY_AS_JSON));
        }
    }
    Ok((window, groups, scope))
}

/// Binds grouping expressions, and gives each a column.
///
/// # Errors
/// An expression cannot be bound, or stands there twice.
pub(super) fn groups(exprs: &[ast::Expr], scope: &QueryScope) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    for written in exprs {
        let bound = if contains_aggregate(written) { Expr::null() } else { bind(written, scope)? };
        if groups.iter().any(|g| g.bound == bound) {
            return Err(Error::invalid(format!("Duplicate GROUP BY expression: {written}")).at(written.span));
        }
        let id = match bound.kind {
            Kind::Column(id) => id,
            _ => scope.columns.add(written.to_string(), bound.result_type()),
        };
        groups.push(Group { id, bound, written: written.clone() });
    }
    Ok(groups)
}

/// Refuses aggregate functions inside of grouping expressions.
pub(super) fn refuse_aggregates_in_keys(exprs: &[ast::Expr]) -> Result<()> {
    match exprs.iter().find_map(first_aggregate) {
        Some((name, span)) => {
            let message = format!("GROUP BY does not support aggregate functions: {name} is an aggregate function.");
            Err(Error::invalid(message).at(span))
        }
        None => Ok(()),
    }
}

/// What to do about values in a format that nothing can be grouped or joined by.
pub(super) const COPY_AS_JSON: &str = "copy the stream first: CREATE STREAM <new-stream-name> WITH(VALUE_FORMAT='Avro') AS \
                                SELECT * FROM <existing-kafka-formatted-stream-name>;";

/// Refuses aggregates without GROUP BY in a persistent query: its result would have no key.
fn check_without_grouping(planner: &Planner) -> Result<()> {
    let lone = planner.query.items.iter().find_map(|item| match item {
        select_item @ SelectItem::Expr { expr, .. } if !contains_aggregate(expr) => Some(select_item),
        _ => None,
    });
    if let Some(item) = lone {
        let message = format!("Non-aggregate SELECT expression(s) not part of GROUP BY: {item}");
        return Err(Error::invalid(message).hint("add a GROUP BY clause"));
    }
    let Some(statement) = planner.target.statement() else { return Ok(()) };
    let calls = planner.expressions().into_iter().flat_map(|(_, expr)| calls_of_aggregates(expr));
    let calls = calls.map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let message =
        format!("{statement} statement does not support aggregate function [{calls}] without a GROUP BY clause.");
    Err(Error::invalid(message).at(planner.query.span))
}

/// Refuses `*` where it stands for columns that are no grouping expressions.
pub(super) fn check_stars(items: &[SelectItem], scope: &QueryScope, groups: &[Group]) -> Result<()> {
    for item in items {
        let (relations, span) = match item {
            SelectItem::All(span) => (scope.relations.iter().collect(), *span),
            SelectItem::AllOf(source) => (vec![scope.relation(source)?], source.span),
            SelectItem::Fields(_) | SelectItem::Expr { .. } => continue,
        };
        let columns = relations.into_iter().flat_map(super::scope::Relation::declared);
        let loose: Vec<&str> =
            columns.filter(|c| groups.iter().all(|g| g.id != c.id)).map(|c| c.name.as_str()).collect();
        if !loose.is_empty() {
            let message = format!("Non-aggregate SELECT expression(s) not part of GROUP BY: {}", loose.join(", "));
            let hint = "add the columns to the GROUP BY or remove them from the SELECT";
            return Err(Error::invalid(message).at(span).hint(hint));
        }
    }
    Ok(())
}

/// Binds HAVING, in which the aggregates and keys of a group can be used.
fn having(written: &ast::Expr, calls: &Calls) -> Result<Expr> {
    let calls = Having(calls);
    bind_condition(written, &calls, "HAVING")
}

/// What a group's expressions may use: its keys, its aggregates, and in SELECT the bounds of its window.
pub(super) struct Calls<'a> {
    /// The names in SELECT.
    pub scope: QueryScope<'a>,
    /// The grouping expressions.
    pub groups: &'a [Group],
    /// The names before grouping, for the expressions inside of aggregates and for finding grouping expressions.
    pub names: QueryScope<'a>,
    /// The window, if there is one.
    pub window: Option<WindowNode>,
    /// How aggregates are bound.
    pub aggregates: Aggregates<'a>,
    /// The calls that were found.
    pub made: std::cell::RefCell<Made>,
}

/// The calls of aggregate functions so far, and their arguments.
#[derive(Default)]
pub(super) struct Made {
    /// The calls, each with the column of its result.
    pub calls: Vec<AggregateCall>,
    /// The computed arguments of the calls.
    pub args: Vec<(ColumnId, Expr)>,
}

/// The same names in HAVING, where a window has no bounds.
pub(super) struct Having<'a>(pub &'a Calls<'a>);

impl Scope for Having<'_> {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        if bound_of_window(source, name) {
            return Err(window_bounds(name));
        }
        let shown = source.map_or_else(|| name.to_string(), |s| format!("{s}.{name}"));
        let message = format!("Non-aggregate HAVING expression not part of GROUP BY: {shown}");
        Err(Error::invalid(message).at(name.span).hint("a WHERE clause judges rows before they are grouped"))
    }

    fn outer(&self) -> Option<&dyn Scope> {
        Some(self.0)
    }
}

/// Whether a name means a bound of the window.
fn bound_of_window(source: Option<&Ident>, name: &Ident) -> bool {
    source.is_none() && ["WINDOWSTART", "WINDOWEND"].contains(&name.name.as_str())
}

/// The refusal of a window's bound where it cannot be used.
fn window_bounds(name: &Ident) -> Error {
    let message = format!(
        "Window bounds column {} can only be used in the SELECT clause of windowed aggregations and can not be passed to \
         aggregate functions.",
        name.name
    );
    Error::invalid(message).at(name.span)
}

impl Scope for Calls<'_> {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        if bound_of_window(source, name) {
            let Some(window) = self.window else { return self.scope.column(source, name) };
            let id = if name.name == "WINDOWSTART" { window.start } else { window.end };
            return Ok(self.scope.columns.expr(id));
        }
        let shown = source.map_or_else(|| name.to_string(), |s| format!("{s}.{name}"));
        let message = format!("Non-aggregate SELECT expression(s) not part of GROUP BY: {shown}");
        let hint = "add the column to the GROUP BY or remove it from the SELECT";
        Err(Error::invalid(message).at(name.span).hint(hint))
    }

    fn substitute(&self, expr: &ast::Expr) -> Result<Option<Expr>> {
        if matches!(*expr.node, Ast::Unit(_) | Ast::Lambda { .. }) {
            return Ok(None);
        }
        if let Ast::Call { name, args } = &*expr.node
            && is_aggregate(&name.name)
        {
            return self.aggregate(&name.name, args, expr).map(Some);
        }
        if let Ast::CallStar { name } = &*expr.node
            && is_aggregate(&name.name)
        {
            return self.aggregate(&name.name, &[], expr).map(Some);
        }
        if contains_aggregate(expr) {
            return Ok(None);
        }
        // What cannot be bound before grouping is not a grouping expression.
        let Ok(bound) = bind(expr, &self.names) else { return Ok(None) };
        Ok(self.groups.iter().find(|g| g.bound == bound).map(|g| self.scope.columns.expr(g.id)))
    }

    fn outer(&self) -> Option<&dyn Scope> {
        Some(&self.scope)
    }
}

impl Calls<'_> {
    /// The column of a call's result; a call that was made before is not made again.
    fn aggregate(&self, name: &str, args: &[ast::Expr], written: &ast::Expr) -> Result<Expr> {
        let (function, bound) = self.aggregates.bind(name, args, &Arguments(&self.names), written.span)?;
        Ok(self.call(function, bound, written))
    }

    /// The result of a call of an aggregate function. Equal calls and equal arguments are computed once.
    fn call(&self, function: BoundAggregate, bound: Vec<Expr>, written: &ast::Expr) -> Expr {
        let mut made = self.made.borrow_mut();
        let mut ids = Vec::new();
        for expr in bound {
            let id = match expr.kind {
                Kind::Column(id) => id,
                _ => match made.args.iter().find(|(_, e)| *e == expr) {
                    Some((id, _)) => *id,
                    None => {
                        let id = self.scope.columns.add(format!("argument of {written}"), expr.result_type());
                        made.args.push((id, expr));
                        id
                    }
                },
            };
            ids.push(id);
        }
        let same = |c: &&AggregateCall| {
            std::ptr::eq(c.function.function, function.function)
                && c.args == ids
                && c.function.constants == function.constants
        };
        if let Some(earlier) = made.calls.iter().find(same) {
            return self.scope.columns.expr(earlier.id);
        }
        let id = self.scope.columns.add(written.to_string(), function.returns.clone());
        made.calls.push(AggregateCall { id, function, args: ids });
        self.scope.columns.expr(id)
    }
}

/// The names inside of an aggregate: those before grouping, but no bounds of windows.
struct Arguments<'a>(&'a QueryScope<'a>);

impl Scope for Arguments<'_> {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        if bound_of_window(source, name) {
            return Err(window_bounds(name));
        }
        self.0.clause("SELECT").column(source, name)
    }

    fn outer(&self) -> Option<&dyn Scope> {
        Some(self.0)
    }
}

/// The rows with their grouping columns and arguments, each at the task of its group.
///
/// Also how the key of a group stands in records.
fn exchanged(
    planner: &Planner,
    input: Node,
    groups: &[Group],
    args: Vec<(ColumnId, Expr)>,
) -> Result<(Node, Encoding)> {
    let mut computed: Vec<(ColumnId, Expr)> = Vec::new();
    for group in groups {
        if !matches!(group.bound.kind, Kind::Column(_)) {
            computed.push((group.id, group.bound.clone()));
        }
    }
    computed.extend(args);
    let input = input.compute(computed);
    if already_keyed(planner, groups) {
        return Ok((input, planner.relations[0].source().key.clone()));
    }
    let mut computed = 0..;
    let name = |group: &Group| match (&*group.written.node, &group.bound.kind) {
        (Ast::Column { name, .. }, Kind::Column(_)) => name.name.clone(),
        _ => format!("KSQL_COL_{}", computed.next().unwrap_or(0)),
    };
    let names: Vec<String> = groups.iter().map(name).collect();
    let columns: Vec<Column> =
        groups.iter().zip(names).map(|(g, name)| Column::key(name, g.bound.result_type())).collect();
    columns.iter().try_for_each(check_key_type)?;
    let inherited = planner.relations[0].source().key.format;
    let encoding = Encoding::of_key(inherited, &columns).or_else(|_| Encoding::of_key(&Json, &columns))?;
    let key = groups.iter().map(|g| g.id).collect();
    Ok((input.exchange(key, encoding.clone()), encoding))
}

/// Refuses a key in which a MAP occurs: its bytes would depend on the order of the entries.
pub fn check_key_type(column: &Column) -> Result<()> {
    if !column.sql_type.contains_map() {
        return Ok(());
    }
    let message = format!(
        "Map keys, including types that contain maps, are not supported as they may lead to unexpected behavior due to \
         inconsistent serialization. Key column name: `{}`. Column type: {}.",
        column.name, column.sql_type
    );
    Err(Error::invalid(message))
}

/// Whether the rows stand at the task of their group already: grouped by the source's single key column and nothing
/// else.
fn already_keyed(planner: &Planner, groups: &[Group]) -> bool {
    let [relation] = planner.relations else { return false };
    let mut keys = relation.keys();
    match (groups, keys.next(), keys.next()) {
        ([group], Some(key), None) => group.bound.kind == Kind::Column(key.id),
        ([], ..) => false,
        _ => false,
    }
}

/// The columns of the key: one for each grouping expression.
fn key_columns(groups: &[Group], planner: &Planner) -> Vec<KeyColumn> {
    let column = |g: &Group| KeyColumn {
        candidates: vec![g.id],
        id: g.id,
        sql_type: planner.columns.expr(g.id).result_type(),
        shown: g.written.to_string(),
        called: g.written.to_string(),
    };
    groups.iter().map(column).collect()
}
