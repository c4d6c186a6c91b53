//! Queries as they are written: SELECT with its clauses, joins and windows.

use super::ast::Expr;
use super::cursor::Cursor;
use super::expr::{parse_expr, parse_value};
use super::from::parse_from;
use super::over::{SortItem, parse_order_by};
use super::properties::Properties;
use super::words::{Duration, Ident};
use crate::error::{Error, Result, Span};

/// A SELECT.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The queries that have names in this one: `WITH name AS (…)`.
    pub named: Vec<NamedQuery>,
    /// Whether DISTINCT was written.
    pub distinct: bool,
    /// What it asks for; at least one.
    pub items: Vec<SelectItem>,
    /// The sources.
    pub from: From,
    /// WINDOW.
    pub window: Option<Window>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// GROUP BY.
    pub group_by: Option<Grouping>,
    /// PARTITION BY.
    pub partition_by: Option<Grouping>,
    /// HAVING.
    pub having: Option<Expr>,
    /// The queries after UNION; they have no clauses of their own from ORDER BY on.
    pub unions: Vec<Union>,
    /// ORDER BY; empty without it.
    pub order_by: Vec<SortItem>,
    /// EMIT; without it the query shows a table as it is now, or is part of a statement that needs no EMIT.
    pub emit: Option<Emit>,
    /// How often results come.
    pub every: Option<Duration>,
    /// LIMIT: the most rows.
    pub limit: Option<i64>,
    /// OFFSET: how many rows are left out first.
    pub offset: Option<i64>,
    /// Where it stands.
    pub span: Span,
}

/// A query after UNION.
#[derive(Clone, Debug, PartialEq)]
pub struct Union {
    /// Whether ALL was written: then rows may repeat.
    pub all: bool,
    /// The query.
    pub query: Query,
}

/// A query with a name: `name AS (SELECT …)`.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedQuery {
    /// The name.
    pub name: Ident,
    /// The query that it stands for.
    pub query: Query,
}

/// What a query asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectItem {
    /// `*`.
    All(Span),
    /// `source.*`.
    AllOf(Ident),
    /// `struct->*`.
    Fields(Expr),
    /// `expression [AS alias]`.
    Expr {
        /// The expression.
        expr: Expr,
        /// The name that it gets.
        alias: Option<Ident>,
    },
}

/// A source and what is joined to it, from left to right.
#[derive(Clone, Debug, PartialEq)]
pub struct From {
    /// The first source.
    pub first: Relation,
    /// The sources that are joined to it, in their order.
    pub joins: Vec<Join>,
}

/// A source with the name that the query gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    /// The name of the source; of a query in its place, the name that it has here.
    pub name: Ident,
    /// The name by which the query calls it, if one was written.
    pub alias: Option<Ident>,
    /// The query that stands in the place of a source.
    pub derived: Option<Box<Query>>,
    /// Where reading starts and the like: `WITH (START = …)`.
    pub with: Properties,
}

/// A join with one more source.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Which rows without a partner are kept.
    pub kind: JoinKind,
    /// The source that is joined.
    pub right: Relation,
    /// WITHIN: how far apart the rows of two streams may be.
    pub within: Option<Within>,
    /// ON: the condition.
    pub on: Expr,
    /// Where the join stands.
    pub span: Span,
}

/// Which rows a join keeps although they have no partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left side.
    Left,
    /// Those of the right side.
    Right,
    /// Those of both sides.
    Full,
}

/// How far apart the rows of two streams may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Within {
    /// How far before the left row the right one may be.
    pub before: Duration,
    /// How far after the left row the right one may be.
    pub after: Duration,
    /// Whether the two bounds were written apart, in parentheses.
    pub two_sided: bool,
    /// GRACE PERIOD: how late rows may be.
    pub grace: Option<Duration>,
}

/// Expressions of GROUP BY or PARTITION BY.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouping {
    /// The expressions; at least one.
    pub exprs: Vec<Expr>,
    /// Where the clause stands.
    pub span: Span,
}

/// A window over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The name before the kind, which means nothing.
    pub name: Option<Ident>,
    /// How the windows lie in time.
    pub kind: WindowKind,
    /// RETENTION: how long the state of a window is kept.
    pub retention: Option<Duration>,
    /// GRACE PERIOD: how late rows may be.
    pub grace: Option<Duration>,
    /// Where the clause stands.
    pub span: Span,
}

/// How a window lies in time.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowKind {
    /// Windows of one size that follow each other without gaps.
    Tumbling {
        /// The size of each.
        size: Duration,
    },
    /// Windows of one size that may overlap.
    Hopping {
        /// The size of each.
        size: Duration,
        /// From the start of one to the start of the next.
        advance: Duration,
    },
    /// Windows that last as long as rows of a key follow each other closely.
    Session {
        /// The longest time between two rows of a session.
        gap: Duration,
    },
}

/// When results come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Each change, as it comes.
    Changes,
    /// Only the last result of each window.
    Final,
}

/// The words between two queries, and whether rows may repeat.
const UNIONS: &[(&str, bool)] = &[("UNION ALL", true), ("UNION DISTINCT", false), ("UNION", false)];

/// Parses a query, from WITH or SELECT to LIMIT.
pub fn parse_query(cursor: &mut Cursor) -> Result<Query> {
    cursor.nested(|cursor| {
        let start = cursor.span();
        let named = if cursor.is("WITH") { named_queries(cursor)? } else { Vec::new() };
        let mut query = core(cursor)?;
        query.named = named;
        while let Some(all) = cursor.take_one(UNIONS) {
            query.unions.push(Union { all, query: core(cursor)? });
        }
        query.order_by = parse_order_by(cursor)?;
        if cursor.take("EMIT") {
            let kinds = [("CHANGES", Emit::Changes), ("FINAL", Emit::Final)];
            query.emit = Some(cursor.take_one(&kinds).ok_or_else(|| cursor.expected())?);
            query.every = clause(cursor, "EVERY", |c| c.duration())?;
        }
        query.limit = clause(cursor, "LIMIT", |c| c.unsigned("the number of rows"))?;
        query.offset = clause(cursor, "OFFSET", |c| c.unsigned("the number of rows"))?;
        misplaced(cursor)?;
        query.span = cursor.since(start);
        Ok(query)
    })
}

/// Whether a query comes next.
pub fn is_query(cursor: &Cursor) -> bool {
    cursor.is("SELECT") || cursor.is("WITH") && cursor.is_ident_at(1)
}

fn named_queries(cursor: &mut Cursor) -> Result<Vec<NamedQuery>> {
    cursor.expect("WITH")?;
    cursor.list(|cursor| {
        let name = cursor.source_name()?;
        cursor.expect("AS")?;
        Ok(NamedQuery { name, query: query_in_brackets(cursor)? })
    })
}

/// Whether a query in brackets comes next.
pub fn is_query_in_brackets(cursor: &Cursor) -> bool {
    cursor.is("( SELECT") || cursor.is("( WITH")
}

/// Parses a query in brackets.
///
/// # Errors
/// Something else comes next.
pub fn query_in_brackets(cursor: &mut Cursor) -> Result<Query> {
    cursor.expect("(")?;
    let query = parse_query(cursor)?;
    cursor.expect(")")?;
    Ok(query)
}

/// From SELECT to HAVING.
fn core(cursor: &mut Cursor) -> Result<Query> {
    let start = cursor.span();
    cursor.expect("SELECT")?;
    let distinct = cursor.is("DISTINCT");
    if distinct {
        cursor.advance();
    }
    let items = cursor.list(select_item)?;
    cursor.expect("FROM")?;
    Ok(Query {
        named: Vec::new(),
        distinct,
        items,
        from: parse_from(cursor)?,
        window: clause(cursor, "WINDOW", parse_window)?,
        filter: clause(cursor, "WHERE", parse_expr)?,
        group_by: clause(cursor, "GROUP BY", grouping)?,
        partition_by: clause(cursor, "PARTITION BY", grouping)?,
        having: clause(cursor, "HAVING", parse_expr)?,
        unions: Vec::new(),
        order_by: Vec::new(),
        emit: None,
        every: None,
        limit: None,
        offset: None,
        span: cursor.since(start),
    })
}

pub(super) fn clause<T>(
    cursor: &mut Cursor,
    keywords: &'static str,
    parse: impl FnOnce(&mut Cursor) -> Result<T>,
) -> Result<Option<T>> {
    let first = keywords.split(' ').next().unwrap_or_default();
    if cursor.take(keywords) {
        return parse(cursor).map(Some);
    }
    // PARTITION can also be a name; GROUP cannot, so BY must follow it.
    if first != keywords && first != "PARTITION" && cursor.is(first) {
        cursor.expect(keywords)?;
    }
    Ok(None)
}

/// Refuses a clause that came too late with the order of the clauses.
fn misplaced(cursor: &Cursor) -> Result<()> {
    const ORDER: &str =
        "the order is FROM, WINDOW, WHERE, GROUP BY, PARTITION BY, HAVING, ORDER BY, EMIT, LIMIT, OFFSET";
    let hint = |error: Error, keyword: &str| match keyword {
        "WITHIN" => error.hint("WITHIN stands before ON: JOIN … WITHIN … ON …"),
        _ => error.hint(ORDER),
    };
    for keyword in ["WINDOW", "WHERE", "GROUP BY", "PARTITION BY", "HAVING", "ORDER BY", "EMIT", "WITHIN"] {
        if cursor.is(keyword) {
            let error = Error::syntax(format!("{keyword} comes too late in the query, or twice")).at(cursor.span());
            return Err(hint(error, keyword));
        }
    }
    Ok(())
}

fn select_item(cursor: &mut Cursor) -> Result<SelectItem> {
    let start = cursor.span();
    if cursor.is("*") {
        cursor.advance();
        return Ok(SelectItem::All(start));
    }
    if cursor.is_at(1, ".") && cursor.is_at(2, "*") {
        let source = cursor.ident("the name of a source")?;
        cursor.expect(". *")?;
        return Ok(SelectItem::AllOf(source));
    }
    let expr = parse_expr(cursor)?;
    if cursor.is("-> *") {
        cursor.expect("-> *")?;
        return Ok(SelectItem::Fields(expr));
    }
    let named = cursor.take("AS");
    // What is taken for a name now may be FROM, misspelt.
    cursor.take_none("FROM");
    let alias = if named || cursor.is_ident() { Some(cursor.ident("a name")?) } else { None };
    Ok(SelectItem::Expr { expr, alias })
}

fn grouping(cursor: &mut Cursor) -> Result<Grouping> {
    let start = cursor.span();
    let mark = cursor.mark();
    // `(a, b)` is a list in parentheses, `(a + b) * 2` an expression that starts with one: try the list first.
    if cursor.is("(") {
        cursor.advance();
        let exprs = if cursor.is(")") { Ok(Vec::new()) } else { cursor.list(parse_value) };
        if let Ok(exprs) = exprs
            && cursor.take(")")
            && grouping_ends(cursor)
        {
            return Ok(Grouping { exprs, span: cursor.since(start) });
        }
        cursor.reset(mark);
    }
    let exprs = cursor.list(parse_value)?;
    Ok(Grouping { exprs, span: cursor.since(start) })
}

fn grouping_ends(cursor: &Cursor) -> bool {
    let next = ["", ";", ")"].contains(&cursor.text());
    next || ["PARTITION", "HAVING", "EMIT", "LIMIT", "ORDER", "UNION", "OFFSET"].iter().any(|k| cursor.is(k))
}

fn parse_window(cursor: &mut Cursor) -> Result<Window> {
    const KINDS: &[(&str, &str)] = &[("TUMBLING", "TUMBLING"), ("HOPPING", "HOPPING"), ("SESSION", "SESSION")];
    let start = cursor.span();
    let named = cursor.is_ident() && !cursor.is_at(1, "(");
    let name = if named { Some(cursor.ident("the name of the window")?) } else { None };
    let kind = cursor.take_one(KINDS).ok_or_else(|| cursor.expected())?;
    cursor.expect("(")?;
    let kind = match kind {
        "SESSION" if cursor.is("SIZE") => {
            let hint = "a session has a gap alone: SESSION (5 MINUTES)";
            return Err(cursor.unexpected("the length of the gap").hint(hint));
        }
        "SESSION" => WindowKind::Session { gap: cursor.duration()? },
        other => {
            cursor.expect("SIZE")?;
            let size = cursor.duration()?;
            if other == "TUMBLING" {
                WindowKind::Tumbling { size }
            } else {
                cursor.expect(", ADVANCE BY")?;
                WindowKind::Hopping { size, advance: cursor.duration()? }
            }
        }
    };
    let retention = option(cursor, ", RETENTION")?;
    let grace = option(cursor, ", GRACE PERIOD")?;
    if cursor.is(", RETENTION") {
        cursor.advance();
        return Err(cursor.unexpected(")").hint("the order is SIZE, ADVANCE BY, RETENTION, GRACE PERIOD"));
    }
    cursor.expect(")")?;
    Ok(Window { name, kind, retention, grace, span: cursor.since(start) })
}

fn option(cursor: &mut Cursor, keywords: &'static str) -> Result<Option<Duration>> {
    let (_, first) = keywords.split_once(' ').unwrap_or_default();
    let first = first.split(' ').next().unwrap_or_default();
    if !cursor.is(",") || !cursor.is_at(1, first) {
        return Ok(None);
    }
    cursor.expect(keywords)?;
    cursor.duration().map(Some)
}

impl Relation {
    /// The name by which the query's expressions call the source.
    pub fn called(&self) -> &Ident {
        self.alias.as_ref().unwrap_or(&self.name)
    }
}

impl JoinKind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            JoinKind::Inner => "INNER JOIN",
            JoinKind::Left => "LEFT JOIN",
            JoinKind::Right => "RIGHT JOIN",
            JoinKind::Full => "FULL JOIN",
        }
    }
}
