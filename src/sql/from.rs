//! FROM: sources, queries in their place, and joins.

use super::cursor::Cursor;
use super::expr::parse_expr;
use super::properties::{Properties, parse_with};
use super::query::{From, Join, JoinKind, Relation, Within, clause, query_in_brackets};
use crate::error::{Error, Result};

/// The words of joins.
const JOINS: &[(&str, JoinKind)] = &[
    ("JOIN", JoinKind::Inner),
    ("INNER JOIN", JoinKind::Inner),
    ("LEFT JOIN", JoinKind::Left),
    ("LEFT OUTER JOIN", JoinKind::Left),
    ("RIGHT JOIN", JoinKind::Right),
    ("RIGHT OUTER JOIN", JoinKind::Right),
    ("FULL JOIN", JoinKind::Full),
    ("FULL OUTER JOIN", JoinKind::Full),
];

/// Parses what follows FROM, up to the next clause.
///
/// # Errors
/// A source or a condition is missing.
pub(super) fn parse_from(cursor: &mut Cursor) -> Result<From> {
    let first = relation(cursor, false)?;
    let mut joins = Vec::new();
    loop {
        let Some(kind) = cursor.take_one(JOINS) else {
            if ["INNER", "LEFT", "RIGHT", "FULL"].iter().any(|word| cursor.is(word)) {
                cursor.advance();
                return Err(cursor.expected());
            }
            return Ok(From { first, joins });
        };
        let start = cursor.last_span();
        let right = relation(cursor, true)?;
        let within = clause(cursor, "WITHIN", parse_within)?;
        cursor.expect("ON")?;
        let on = parse_expr(cursor)?;
        joins.push(Join { kind, right, within, on, span: cursor.since(start) });
    }
}

fn relation(cursor: &mut Cursor, joined: bool) -> Result<Relation> {
    if cursor.is("(") {
        let query = query_in_brackets(cursor)?;
        cursor.take("AS");
        let name = cursor.source_name()?;
        return Ok(Relation { name, alias: None, derived: Some(Box::new(query)), with: Properties::default() });
    }
    let name = cursor.source_name()?;
    let aliased = cursor.take("AS") || (!starts_clause(cursor, joined) && cursor.is_ident());
    let alias = if aliased { Some(cursor.source_name()?) } else { None };
    let with = parse_with(cursor)?;
    if let Some(unknown) = with.items.iter().find(|item| item.name != "START") {
        let error = Error::syntax(format!("expected START, found {}", unknown.name)).at(unknown.span);
        return Err(error.hint("other properties stand behind the name of what is created"));
    }
    Ok(Relation { name, alias, derived: None, with })
}

/// Some words are names too: they are taken for a clause unless they end the query.
fn starts_clause(cursor: &mut Cursor, joined: bool) -> bool {
    let ends = |ahead: usize| matches!(cursor.text_at(ahead).0, "" | ";" | ")");
    if cursor.is("EMIT") && !ends(1) || cursor.is("OFFSET") && !ends(1) {
        return true;
    }
    if ["PARTITION BY", "ORDER BY", "UNION ALL", "UNION DISTINCT", "UNION SELECT"].iter().any(|words| cursor.is(words))
    {
        return true;
    }
    // What is taken for a name now may be one of these, misspelt.
    const FIRST: [&str; 8] = ["WINDOW", "WHERE", "GROUP BY", "PARTITION BY", "HAVING", "ORDER BY", "UNION ALL", "EMIT"];
    let meant: &[&str] = if joined { &["WITHIN", "ON"] } else { &FIRST };
    meant.iter().for_each(|words| cursor.take_none(words));
    if !joined {
        JOINS.iter().for_each(|(words, _)| cursor.take_none(words));
    }
    false
}

fn parse_within(cursor: &mut Cursor) -> Result<Within> {
    let start = cursor.span();
    let two_sided = cursor.take("(");
    let before = cursor.duration()?;
    let mut after = before;
    if two_sided {
        cursor.expect(",")?;
        after = cursor.duration()?;
        cursor.expect(")")?;
    }
    if before.ms().saturating_add(after.ms()) < 0 {
        let message = "Window interval (ie, beforeMs+afterMs) must not be negative.";
        return Err(Error::syntax(message).at(cursor.since(start)));
    }
    let grace = clause(cursor, "GRACE PERIOD", |c| c.duration())?;
    Ok(Within { before, after, two_sided, grace })
}
