//! Queries as they are written: SELECT with its clauses, joins and windows.

use std::fmt;

use sqlparser::tokenizer::Token;

use super::ast::{Expr, commas};
use super::cursor::Cursor;
use super::expr::{parse_expr, parse_value};
use super::words::{Duration, Ident};
use crate::error::{Error, Result, Span};

/// A SELECT.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub items: Vec<SelectItem>,
    pub from: From,
    pub window: Option<Window>,
    pub filter: Option<Expr>,
    pub group_by: Option<Grouping>,
    pub partition_by: Option<Grouping>,
    pub having: Option<Expr>,
    pub emit: Option<Emit>,
    pub limit: Option<i64>,
    pub span: Span,
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
    Expr {
        expr: Expr,
        alias: Option<Ident>,
    },
}

/// A source and what is joined to it, from left to right.
#[derive(Clone, Debug, PartialEq)]
pub struct From {
    pub first: Relation,
    pub joins: Vec<Join>,
}

/// A source with the name that the query gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    pub name: Ident,
    pub alias: Option<Ident>,
}

/// A join with one more source.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    pub kind: JoinKind,
    pub right: Relation,
    pub within: Option<Within>,
    pub on: Expr,
    pub span: Span,
}

/// Which rows a join keeps although they have no partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

/// How far apart the rows of two streams may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Within {
    pub before: Duration,
    pub after: Duration,
    /// Whether the two bounds were written apart, in parentheses.
    pub two_sided: bool,
    pub grace: Option<Duration>,
}

/// Expressions of GROUP BY or PARTITION BY.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouping {
    pub exprs: Vec<Expr>,
    pub span: Span,
}

/// A window over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    pub name: Option<Ident>,
    pub kind: WindowKind,
    pub retention: Option<Duration>,
    pub grace: Option<Duration>,
    pub span: Span,
}

/// How a window lies in time.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowKind {
    Tumbling { size: Duration },
    Hopping { size: Duration, advance: Duration },
    Session { gap: Duration },
}

/// When results come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    Changes,
    Final,
}

/// Parses a query, from SELECT to LIMIT.
pub fn parse_query(cursor: &mut Cursor) -> Result<Query> {
    let start = cursor.span();
    cursor.expect_keywords("SELECT")?;
    let items = cursor.list(select_item)?;
    if !cursor.take_keywords("FROM") {
        return Err(cursor.unexpected("a comma or FROM"));
    }
    let from = parse_from(cursor)?;
    let window = if cursor.take_keywords("WINDOW") { Some(parse_window(cursor)?) } else { None };
    let filter = clause(cursor, "WHERE", parse_expr)?;
    let group_by = clause(cursor, "GROUP BY", grouping)?;
    let partition_by = clause(cursor, "PARTITION BY", grouping)?;
    let having = clause(cursor, "HAVING", parse_expr)?;
    let emit = clause(cursor, "EMIT", |c| {
        if c.take_keywords("CHANGES") {
            Ok(Emit::Changes)
        } else if c.take_keywords("FINAL") {
            Ok(Emit::Final)
        } else {
            Err(c.unexpected("CHANGES or FINAL"))
        }
    })?;
    let limit = clause(cursor, "LIMIT", |c| c.unsigned("the number of rows"))?;
    misplaced(cursor)?;
    let span = cursor.since(start);
    Ok(Query { items, from, window, filter, group_by, partition_by, having, emit, limit, span })
}

fn clause<T>(cursor: &mut Cursor, keywords: &str, parse: impl FnOnce(&mut Cursor) -> Result<T>) -> Result<Option<T>> {
    if cursor.take_keywords(keywords) { parse(cursor).map(Some) } else { Ok(None) }
}

/// Refuses a clause that came too late with the order of the clauses.
fn misplaced(cursor: &Cursor) -> Result<()> {
    const ORDER: &str = "the order is FROM, WINDOW, WHERE, GROUP BY, PARTITION BY, HAVING, EMIT, LIMIT";
    for keyword in ["WINDOW", "WHERE", "GROUP BY", "PARTITION BY", "HAVING", "EMIT"] {
        if cursor.is_keywords(keyword) {
            return Err(Error::syntax(format!("{keyword} comes too late in the query")).at(cursor.span()).hint(ORDER));
        }
    }
    Ok(())
}

fn select_item(cursor: &mut Cursor) -> Result<SelectItem> {
    let start = cursor.span();
    if cursor.take(&Token::Mul) {
        return Ok(SelectItem::All(start));
    }
    if cursor.peek_at(1) == Some(&Token::Period) && cursor.peek_at(2) == Some(&Token::Mul) {
        let source = cursor.ident("the name of a source")?;
        cursor.advance();
        cursor.advance();
        return Ok(SelectItem::AllOf(source));
    }
    let expr = parse_expr(cursor)?;
    if cursor.peek() == Some(&Token::Arrow) && cursor.peek_at(1) == Some(&Token::Mul) {
        cursor.advance();
        cursor.advance();
        return Ok(SelectItem::Fields(expr));
    }
    let alias = if cursor.take_keywords("AS") || cursor.is_ident() { Some(cursor.ident("a name")?) } else { None };
    Ok(SelectItem::Expr { expr, alias })
}

fn parse_from(cursor: &mut Cursor) -> Result<From> {
    let first = relation(cursor)?;
    let mut joins = Vec::new();
    while let Some(kind) = join_kind(cursor)? {
        let start = cursor.last_span();
        let right = relation(cursor)?;
        let within = clause(cursor, "WITHIN", parse_within)?;
        if !cursor.take_keywords("ON") {
            return Err(cursor.unexpected(if within.is_some() { "ON" } else { "WITHIN or ON" }));
        }
        let on = parse_expr(cursor)?;
        joins.push(Join { kind, right, within, on, span: cursor.since(start) });
    }
    Ok(From { first, joins })
}

fn relation(cursor: &mut Cursor) -> Result<Relation> {
    let name = cursor.source_name()?;
    let aliased = cursor.take_keywords("AS") || (cursor.is_ident() && !starts_clause(cursor));
    let alias = if aliased { Some(cursor.source_name()?) } else { None };
    Ok(Relation { name, alias })
}

/// EMIT and PARTITION are names too: they are taken for a clause unless they end the query.
fn starts_clause(cursor: &Cursor) -> bool {
    let emit = cursor.is_keywords("EMIT") && !matches!(cursor.peek_at(1), None | Some(Token::SemiColon));
    emit || cursor.is_keywords("PARTITION BY")
}

fn join_kind(cursor: &mut Cursor) -> Result<Option<JoinKind>> {
    let kind = if cursor.take_keywords("JOIN") {
        return Ok(Some(JoinKind::Inner));
    } else if cursor.take_keywords("INNER") {
        JoinKind::Inner
    } else if cursor.take_keywords("LEFT") {
        JoinKind::Left
    } else if cursor.take_keywords("RIGHT") {
        JoinKind::Right
    } else if cursor.take_keywords("FULL") {
        JoinKind::Full
    } else {
        return Ok(None);
    };
    if kind != JoinKind::Inner {
        cursor.take_keywords("OUTER");
    }
    cursor.expect_keywords("JOIN")?;
    Ok(Some(kind))
}

fn parse_within(cursor: &mut Cursor) -> Result<Within> {
    let start = cursor.span();
    let two_sided = cursor.take(&Token::LParen);
    let before = cursor.duration()?;
    let mut after = before;
    if two_sided {
        cursor.expect(&Token::Comma, "a comma and the second bound")?;
        after = cursor.duration()?;
        cursor.expect(&Token::RParen, ")")?;
    }
    if before.ms().saturating_add(after.ms()) < 0 {
        let message = "Window interval (ie, beforeMs+afterMs) must not be negative.";
        return Err(Error::syntax(message).at(cursor.since(start)));
    }
    let grace = clause(cursor, "GRACE PERIOD", |c| c.duration())?;
    Ok(Within { before, after, two_sided, grace })
}

fn grouping(cursor: &mut Cursor) -> Result<Grouping> {
    let start = cursor.span();
    let mark = cursor.mark();
    // `(a, b)` is a list in parentheses, `(a + b) * 2` an expression that starts with one: try the list first.
    if cursor.take(&Token::LParen) {
        let exprs = if cursor.peek() == Some(&Token::RParen) { Ok(Vec::new()) } else { cursor.list(parse_value) };
        if let Ok(exprs) = exprs
            && cursor.take(&Token::RParen)
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
    cursor.at_end()
        || cursor.peek() == Some(&Token::SemiColon)
        || ["PARTITION", "HAVING", "EMIT", "LIMIT"].iter().any(|k| cursor.is_keywords(k))
}

fn parse_window(cursor: &mut Cursor) -> Result<Window> {
    let start = cursor.span();
    let kinds = ["TUMBLING", "HOPPING", "SESSION"];
    let named = !(kinds.iter().any(|k| cursor.is_keywords(k)) && cursor.peek_at(1) == Some(&Token::LParen));
    let name = if named && cursor.is_ident() { Some(cursor.ident("the name of the window")?) } else { None };
    let Some(kind) = kinds.into_iter().find(|k| cursor.take_keywords(k)) else {
        return Err(cursor.unexpected("TUMBLING, HOPPING or SESSION"));
    };
    cursor.expect(&Token::LParen, "(")?;
    let kind = match kind {
        "SESSION" => WindowKind::Session { gap: cursor.duration()? },
        other => {
            cursor.expect_keywords("SIZE")?;
            let size = cursor.duration()?;
            if other == "TUMBLING" {
                WindowKind::Tumbling { size }
            } else {
                cursor.expect(&Token::Comma, "a comma and ADVANCE BY")?;
                cursor.expect_keywords("ADVANCE BY")?;
                WindowKind::Hopping { size, advance: cursor.duration()? }
            }
        }
    };
    let option = |cursor: &mut Cursor, keywords: &str| {
        let next = cursor.peek() == Some(&Token::Comma) && cursor.is_keyword_at(1, keywords.split(' ').next()?);
        next.then(|| {
            cursor.advance();
            cursor.expect_keywords(keywords)?;
            cursor.duration()
        })
    };
    let retention = option(cursor, "RETENTION").transpose()?;
    let grace = option(cursor, "GRACE PERIOD").transpose()?;
    cursor.expect(&Token::RParen, "a comma or )")?;
    Ok(Window { name, kind, retention, grace, span: cursor.since(start) })
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

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        self.alias.as_ref().map_or(Ok(()), |alias| write!(f, " AS {alias}"))
    }
}

impl fmt::Display for SelectItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelectItem::All(_) => f.write_str("*"),
            SelectItem::AllOf(source) => write!(f, "{source}.*"),
            SelectItem::Fields(expr) => write!(f, "{expr}->*"),
            SelectItem::Expr { expr, alias: Some(alias) } => write!(f, "{expr} AS {alias}"),
            SelectItem::Expr { expr, alias: None } => write!(f, "{expr}"),
        }
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.two_sided {
            write!(f, "WITHIN ({}, {})", self.before, self.after)?;
        } else {
            write!(f, "WITHIN {}", self.before)?;
        }
        self.grace.map_or(Ok(()), |grace| write!(f, " GRACE PERIOD {grace}"))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name} ")?;
        }
        match self.kind {
            WindowKind::Tumbling { size } => write!(f, "TUMBLING (SIZE {size}")?,
            WindowKind::Hopping { size, advance } => write!(f, "HOPPING (SIZE {size}, ADVANCE BY {advance}")?,
            WindowKind::Session { gap } => write!(f, "SESSION ({gap}")?,
        }
        if let Some(retention) = self.retention {
            write!(f, ", RETENTION {retention}")?;
        }
        if let Some(grace) = self.grace {
            write!(f, ", GRACE PERIOD {grace}")?;
        }
        f.write_str(")")
    }
}

/// The query over several lines, as a person would lay it out.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SELECT {}\nFROM {}", commas(&self.items), self.from.first)?;
        for join in &self.from.joins {
            write!(f, "\n  {} {}", join.kind.name(), join.right)?;
            if let Some(within) = &join.within {
                write!(f, " {within}")?;
            }
            write!(f, " ON {}", join.on)?;
        }
        if let Some(window) = &self.window {
            write!(f, "\nWINDOW {window}")?;
        }
        if let Some(filter) = &self.filter {
            write!(f, "\nWHERE {filter}")?;
        }
        for (keywords, grouping) in [("GROUP BY", &self.group_by), ("PARTITION BY", &self.partition_by)] {
            if let Some(grouping) = grouping {
                write!(f, "\n{keywords} {grouping}")?;
            }
        }
        if let Some(having) = &self.having {
            write!(f, "\nHAVING {having}")?;
        }
        match self.emit {
            Some(Emit::Changes) => f.write_str("\nEMIT CHANGES")?,
            Some(Emit::Final) => f.write_str("\nEMIT FINAL")?,
            None => {}
        }
        self.limit.map_or(Ok(()), |limit| write!(f, "\nLIMIT {limit}"))
    }
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exprs.is_empty() {
            return f.write_str("()");
        }
        // A comparison is no value of the grammar: alone it needs its own parentheses.
        let texts: Vec<String> = self.exprs.iter().map(Expr::as_value).collect();
        f.write_str(&texts.join(", "))
    }
}
