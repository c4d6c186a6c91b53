//! Brings a query of PostgreSQL into the form in which DataFusion takes it.
//!
//! | PostgreSQL | here |
//! |---|---|
//! | `pg_catalog.f(x)` | `f(x)` |
//! | `x OPERATOR(pg_catalog.~) y COLLATE pg_catalog.default` | `x ~ y` |
//! | `x::regclass`, `x::regtype`, `x::name`, `x::oid` … | functions of ours, and casts to text and numbers |
//! | `(SELECT x FROM …)` as a value | `(SELECT max(x) FROM …)`: DataFusion wants to see that there is one |
//! | the same of a table that is empty here, or for its rows | NULL |
//! | `ARRAY(SELECT x FROM …)` | `(SELECT array_agg(x) FROM …)` |
//! | `x = ANY (list)`, `list[1]`, `ARRAY[…]` | functions of ours |
//! | `$1` | its value |

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Subscript, TableFactor,
    TableWithJoins, Value as Literal, visit_expressions_mut, visit_relations_mut,
};

use super::super::run::Parameter;
use super::super::types;
use super::super::values::text_of;
use super::relations;
use crate::types::Value;

/// Aggregates that give one row whatever there is.
const AGGREGATES: &[&str] = &["max", "min", "count", "sum", "avg", "string_agg", "array_agg", "bool_or", "bool_and"];

/// The name of a column that has none.
const NAMELESS: &str = "?column?";

/// Rewrites a query; the names of its columns as PostgreSQL has them, or None if they cannot be told by the text.
pub(super) fn rewrite(query: &mut Query, parameters: &[Parameter]) -> Option<Vec<String>> {
    query.locks.clear();
    let names = name_columns(query);
    // Where the query itself has no rows, no query within is asked for its value.
    let is_empty = reads_nothing(query);
    // The closures never break off.
    let _ = visit_relations_mut(query, |name| {
        relation(name);
        ControlFlow::<()>::Continue(())
    });
    let _ = visit_expressions_mut(query, |expr| {
        match expr {
            Expr::Subquery(_) if is_empty => *expr = null(),
            Expr::Function(function) if is_empty && matches!(function.args, FunctionArguments::Subquery(_)) => {
                *expr = null();
            }
            _ => expression(expr, parameters),
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

/// Gives a name of its own to each column that has none, so that none is there twice.
fn name_columns(query: &mut Query) -> Option<Vec<String>> {
    let mut body = query.body.as_mut();
    while let SetExpr::SetOperation { left, .. } = body {
        body = left;
    }
    let SetExpr::Select(select) = body else { return None };
    let mut names = Vec::new();
    for (place, item) in select.projection.iter_mut().enumerate() {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => names.push(folded(alias)),
            SelectItem::UnnamedExpr(expr) => {
                names.push(name_of(expr));
                if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                    let alias = Ident::new(format!("?column?{place}"));
                    *item = SelectItem::ExprWithAlias {
                        expr: expr.clone(),
                        alias: Ident { quote_style: Some('"'), ..alias },
                    };
                }
            }
            _ => return None,
        }
    }
    Some(names)
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The name that PostgreSQL gives to a column without one.
fn name_of(expr: &Expr) -> String {
    let name = match expr {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(idents) => idents.last().map(folded),
        Expr::Function(function) => Some(last(&function.name)),
        Expr::Cast { expr, data_type, .. } => {
            let mut inner = expr.as_ref();
            while let Expr::Cast { expr, .. } = inner {
                inner = expr;
            }
            let of_type = || data_type.to_string().to_ascii_lowercase().trim_start_matches("pg_catalog.").to_owned();
            Some(name_of(inner)).filter(|name| name != NAMELESS).or_else(|| Some(of_type()))
        }
        Expr::Nested(expr) | Expr::Collate { expr, .. } => Some(name_of(expr)),
        Expr::Case { .. } => Some("case".to_owned()),
        Expr::Exists { .. } => Some("exists".to_owned()),
        _ => None,
    };
    name.unwrap_or_else(|| NAMELESS.to_owned())
}

/// The last part of a name.
fn last(name: &ObjectName) -> String {
    name.0.last().and_then(ObjectNamePart::as_ident).map(folded).unwrap_or_default()
}

/// Leaves the schema of a table out where DataFusion looks for a function that gives rows.
fn relation(name: &mut ObjectName) {
    if ["generate_series", "unnest"].contains(&last(name).as_str()) {
        name.0.drain(..name.0.len() - 1);
    }
}

fn expression(expr: &mut Expr, parameters: &[Parameter]) {
    match expr {
        Expr::Value(value) => {
            if let Literal::Placeholder(text) = &value.value {
                let number: Option<usize> = text.strip_prefix('$').and_then(|number| number.parse().ok());
                let parameter = number.and_then(|number| parameters.get(number.checked_sub(1)?));
                value.value = parameter.map_or(Literal::Null, |(value, oid)| literal(value, *oid));
            }
        }
        Expr::Collate { expr: inner, .. } => *expr = inner.as_ref().clone(),
        Expr::Function(function) => {
            if let Some(other) = called(function) {
                *expr = other;
            }
        }
        Expr::Subquery(query) => match is_aggregated(query) {
            true if unnests_column(query) => *expr = null(),
            true => {}
            false if reads_nothing(query) => *expr = null(),
            false => aggregate(query, "max"),
        },
        Expr::BinaryOp { op, .. } => {
            if let BinaryOperator::PGCustomBinaryOperator(parts) = op
                && let Some(known) = parts.last().and_then(|text| operator(text))
            {
                *op = known;
            }
        }
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
            *expr = match right.as_ref() {
                Expr::Subquery(query) => {
                    Expr::InSubquery { expr: left.clone(), subquery: query.clone(), negated: false }
                }
                list => call("is_any", vec![left.as_ref().clone(), list.clone()]),
            };
        }
        Expr::Array(array) => *expr = call("array_of", array.elem.clone()),
        Expr::CompoundFieldAccess { root, access_chain } => {
            if let [AccessExpr::Subscript(Subscript::Index { index })] = access_chain.as_slice() {
                *expr = call("array_item", vec![root.as_ref().clone(), index.clone()]);
            }
        }
        Expr::Substring { expr: text, substring_from, substring_for, .. } => {
            let from = substring_from.take().map_or_else(|| number("1"), |from| *from);
            let all = [Some(text.as_ref().clone()), Some(from), substring_for.take().map(|most| *most)];
            *expr = call("substring", all.into_iter().flatten().collect());
        }
        Expr::Cast { expr: inner, data_type, .. } => {
            let name = data_type.to_string().to_ascii_lowercase();
            *expr = converted(inner, name.strip_prefix("pg_catalog.").unwrap_or(&name), data_type);
        }
        _ => {}
    }
}

/// Calls a function by its name alone; what stands for it if it is none here.
fn called(function: &mut Function) -> Option<Expr> {
    let name = last(&function.name);
    if let FunctionArguments::Subquery(query) = &mut function.args
        && name == "array"
    {
        if reads_nothing(query) || unnests_column(query) {
            return Some(null());
        }
        aggregate(query, "array_agg");
        return Some(Expr::Subquery(query.clone()));
    }
    function.name.0.drain(..function.name.0.len() - 1);
    if matches!(function.args, FunctionArguments::None) {
        function.args = arguments(Vec::new());
    }
    None
}

/// An expression with a type of PostgreSQL.
fn converted(inner: &Expr, name: &str, data_type: &DataType) -> Expr {
    let is_text = matches!(inner, Expr::Value(value) if matches!(value.value, Literal::SingleQuotedString(_)));
    let argument = || vec![inner.clone()];
    match (name, is_text) {
        ("regclass", true) => call("regclass_oid", argument()),
        ("regclass", false) => call("regclass_name", argument()),
        ("regtype", true) => call("regtype_oid", argument()),
        ("regtype", false) => call("format_type", vec![inner.clone(), number("-1")]),
        ("regnamespace", true) => call("regnamespace_oid", argument()),
        ("oid" | "xid" | "cid", _) => cast(inner, DataType::IntegerUnsigned(None)),
        ("int2vector" | "oidvector" | "anyarray", _) => inner.clone(),
        (array, _) if array.ends_with("[]") || array.starts_with('_') => inner.clone(),
        (known, _) if is_datafusions(known) && !matches!(data_type, DataType::Custom(..)) => {
            cast(inner, data_type.clone())
        }
        ("int2", _) => cast(inner, DataType::Int2(None)),
        ("int4", _) => cast(inner, DataType::Int4(None)),
        ("int8", _) => cast(inner, DataType::Int8(None)),
        ("bool", _) => cast(inner, DataType::Bool),
        ("regproc", true) => {
            let text = inner.to_string();
            let text = text.trim_matches('\'').trim_start_matches("pg_catalog.");
            Expr::Value(Literal::SingleQuotedString(text.to_owned()).into())
        }
        _ => cast(inner, DataType::Text),
    }
}

/// Whether DataFusion knows a type by this name and means the same.
fn is_datafusions(name: &str) -> bool {
    const KNOWN: &[&str] = &[
        "int", "int2", "int4", "int8", "integer", "smallint", "bigint", "bool", "boolean", "real", "float4", "float8",
        "date", "text",
    ];
    KNOWN.contains(&name)
        || ["numeric", "decimal", "timestamp", "time", "double", "interval"].iter().any(|start| name.starts_with(start))
}

fn cast(inner: &Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(inner.clone()), data_type, array: false, format: None }
}

fn number(text: &str) -> Expr {
    Expr::Value(Literal::Number(text.to_owned(), false).into())
}

fn arguments(all: Vec<Expr>) -> FunctionArguments {
    let args = all.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() })
}

/// A call of a function.
fn call(name: &str, all: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: arguments(all),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn operator(text: &str) -> Option<BinaryOperator> {
    Some(match text {
        "~" => BinaryOperator::PGRegexMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "||" => BinaryOperator::StringConcat,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        _ => return None,
    })
}

/// The one select of a query, if it is one that reads something.
fn select_of(query: &mut Query) -> Option<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) if !select.from.is_empty() => Some(select),
        _ => None,
    }
}

/// Whether a query reads a table that has no rows. DataFusion could not relate all of them to the query around.
fn reads_nothing(query: &mut Query) -> bool {
    let Some(select) = select_of(query) else { return false };
    select.from.iter().any(|from| match &from.relation {
        TableFactor::Table { name, .. } => relations::is_empty(&last(name)),
        _ => false,
    })
}

/// Whether a query takes the items of a column. Only tables that are empty here have such columns.
fn unnests_column(query: &mut Query) -> bool {
    let is_column = |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let is_call = |from: &TableWithJoins| match &from.relation {
        TableFactor::Table { name, args: Some(arguments), .. } if last(name) == "unnest" => {
            arguments.args.iter().all(|one| match one {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => is_column(expr),
                _ => false,
            })
        }
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.iter().all(is_column),
        _ => false,
    };
    select_of(query).is_some_and(|select| select.from.iter().any(is_call))
}

fn null() -> Expr {
    cast(&Expr::Value(Literal::Null.into()), DataType::Text)
}

/// Whether a query gives one row by its aggregates.
fn is_aggregated(query: &mut Query) -> bool {
    let Some(select) = select_of(query) else { return true };
    select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(Expr::Function(function)) => AGGREGATES.contains(&last(&function.name).as_str()),
        SelectItem::ExprWithAlias { expr: Expr::Function(function), .. } => {
            AGGREGATES.contains(&last(&function.name).as_str())
        }
        _ => false,
    })
}

/// Puts an aggregate around the one column of a query.
fn aggregate(query: &mut Query, name: &str) {
    let Some(select) = select_of(query) else { return };
    if let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] = select.projection.as_slice() {
        select.projection = vec![SelectItem::UnnamedExpr(call(name, vec![expr.clone()]))];
        query.order_by = None;
        query.limit_clause = None;
    }
}

/// The value of a parameter.
fn literal(value: &Value, oid: u32) -> Literal {
    match value {
        Value::Null => Literal::Null,
        Value::Boolean(value) => Literal::Boolean(*value),
        Value::Integer(_) | Value::Bigint(_) if oid != types::TEXT => Literal::Number(value.to_text(), false),
        other => Literal::SingleQuotedString(text_of(other, oid)),
    }
}
