//! The text of a query with every name and every default written out, as ksqlDB shows the statements of queries.
//!
//! Columns have the name of their source before them, results have names, operators stand in parentheses, and each
//! clause begins a line:
//!
//! ```text
//! SELECT id, count(*) FROM s WHERE v > 0 GROUP BY id
//!
//! SELECT
//!   S.ID ID,
//!   COUNT(*) KSQL_COL_0
//! FROM S S
//! WHERE (S.V > 0)
//! GROUP BY S.ID
//! EMIT CHANGES
//! ```

use std::fmt::Write;

use super::ast::{Expr, Literal, Node};
use super::properties::Properties;
use super::query::{Emit, Grouping, Join, JoinKind, Query, Relation, SelectItem, Window, WindowKind};
use super::words::{Duration, Ident, string_literal};
use crate::types::SqlType;

/// The text of a query that writes a stream or table. `owns` says whether the source of a name has a column of a name.
pub fn spelled(query: &Query, owns: &dyn Fn(&str, &str) -> bool) -> String {
    let relations: Vec<&Relation> =
        std::iter::once(&query.from.first).chain(query.from.joins.iter().map(|join| &join.right)).collect();
    Speller { relations, owns }.query(query)
}

/// The name of a type as statements write it: without back-ticks where none are needed.
pub fn type_name(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Array(item) => format!("ARRAY<{}>", type_name(item)),
        SqlType::Map(key, item) => format!("MAP<{}, {}>", type_name(key), type_name(item)),
        SqlType::Struct(fields) => {
            let fields = fields.iter().map(|f| format!("{} {}", Ident::new(&f.name), type_name(&f.sql_type)));
            format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A WITH clause as ksqlDB shows it, without blanks around `=`.
pub fn properties(with: &Properties) -> String {
    let items = with.items.iter().map(|property| format!("{}={}", property.name, literal(&property.value)));
    format!("WITH ({})", items.collect::<Vec<_>>().join(", "))
}

/// A constant: words are in lower case.
fn literal(value: &Literal) -> String {
    match value {
        Literal::Null | Literal::Boolean(_) => value.to_string().to_lowercase(),
        other => other.to_string(),
    }
}

/// The names that a query knows.
struct Speller<'a> {
    relations: Vec<&'a Relation>,
    owns: &'a dyn Fn(&str, &str) -> bool,
}

impl Speller<'_> {
    fn query(&self, query: &Query) -> String {
        let mut out = "SELECT".to_owned();
        let items: Vec<String> = self.items(&query.items);
        match items.as_slice() {
            [only] => out.push_str(&format!(" {only}")),
            several => out.push_str(&format!("\n  {}", several.join(",\n  "))),
        }
        let _ = write!(out, "\nFROM {}", relation(&query.from.first));
        for join in &query.from.joins {
            out.push('\n');
            out.push_str(&self.join(join));
        }
        if let Some(window) = &query.window {
            let _ = write!(out, "\nWINDOW {} ", spelled_window(window));
        }
        self.clause(&mut out, "WHERE", query.filter.as_ref());
        self.grouping(&mut out, "GROUP BY", query.group_by.as_ref());
        self.grouping(&mut out, "PARTITION BY", query.partition_by.as_ref());
        self.clause(&mut out, "HAVING", query.having.as_ref());
        let emit = if query.emit == Some(Emit::Final) { "FINAL" } else { "CHANGES" };
        let _ = write!(out, "\nEMIT {emit}");
        if let Some(limit) = query.limit {
            let _ = write!(out, "\nLIMIT {limit}");
        }
        out
    }

    fn items(&self, items: &[SelectItem]) -> Vec<String> {
        let mut unnamed = 0;
        let mut names: Vec<String> = Vec::new();
        let mut item = |item: &SelectItem| match item {
            SelectItem::All(_) => "*".to_owned(),
            SelectItem::AllOf(source) => format!("{source}.*"),
            SelectItem::Fields(base) => format!("{}->*", self.expr(base)),
            SelectItem::Expr { expr, alias } => {
                let name = alias.clone().or_else(|| self.own_name(expr, &names)).unwrap_or_else(|| {
                    unnamed += 1;
                    Ident::new(format!("KSQL_COL_{}", unnamed - 1))
                });
                names.push(name.name.clone());
                format!("{} {name}", self.expr(expr))
            }
        };
        items.iter().map(&mut item).collect()
    }

    /// The name that a column or field gives to what selects it.
    ///
    /// In a join, a column that several sources have gets the name of its source before its own.
    fn own_name(&self, expr: &Expr, taken: &[String]) -> Option<Ident> {
        match &*expr.node {
            Node::Column { source, name } => {
                let holders = self.relations.iter().filter(|r| (self.owns)(&r.name.name, &name.name)).count();
                match self.source_of(source.as_ref(), name).filter(|_| holders > 1) {
                    Some(source) => Some(Ident::new(format!("{}_{}", source.name, name.name))),
                    None => Some(name.clone()),
                }
            }
            Node::Field { field, .. } => Some(field.clone()).filter(|field| !taken.contains(&field.name)),
            _ => None,
        }
    }

    /// What a column is qualified with: what was written, else the source that has it.
    fn source_of(&self, source: Option<&Ident>, name: &Ident) -> Option<Ident> {
        let called = |relation: &&Relation| relation.alias.clone().unwrap_or_else(|| relation.name.clone());
        if let Some(source) = source {
            return Some(source.clone());
        }
        let mut holders = self.relations.iter().filter(|r| (self.owns)(&r.name.name, &name.name));
        match (holders.next(), self.relations.as_slice()) {
            (Some(holder), _) => Some(called(holder)),
            // Columns of every source, such as ROWTIME, are not among those of its schema.
            (None, [only]) if name.name.starts_with("ROW") => Some(called(only)),
            (None, _) => None,
        }
    }

    fn join(&self, join: &Join) -> String {
        let kind = match join.kind {
            JoinKind::Inner => "INNER",
            JoinKind::Left => "LEFT OUTER",
            JoinKind::Right => "RIGHT OUTER",
            JoinKind::Full => "FULL OUTER",
        };
        let mut out = format!("{kind} JOIN {}", relation(&join.right));
        if let Some(within) = &join.within {
            let _ = match within.two_sided {
                true => write!(out, " WITHIN ({}, {})", length(&within.before), length(&within.after)),
                false => write!(out, " WITHIN {}", length(&within.before)),
            };
            if let Some(grace) = &within.grace {
                let _ = write!(out, " GRACE PERIOD {}", length(grace));
            }
        }
        let _ = write!(out, " ON ({})", self.expr(&join.on));
        out
    }

    fn clause(&self, out: &mut String, word: &str, expr: Option<&Expr>) {
        if let Some(expr) = expr {
            let _ = write!(out, "\n{word} {}", self.expr(expr));
        }
    }

    fn grouping(&self, out: &mut String, word: &str, grouping: Option<&Grouping>) {
        if let Some(grouping) = grouping {
            let _ = write!(out, "\n{word} {}", self.list(&grouping.exprs));
        }
    }

    fn list(&self, exprs: &[Expr]) -> String {
        exprs.iter().map(|expr| self.expr(expr)).collect::<Vec<_>>().join(", ")
    }

    fn expr(&self, expr: &Expr) -> String {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match &*expr.node {
            Node::Column { source, name } => match self.source_of(source.as_ref(), name) {
                Some(source) => format!("{source}.{name}"),
                None => name.to_string(),
            },
            Node::Negate(value) => match self.expr(value) {
                // Two of them would begin a comment.
                negative if negative.starts_with('-') => format!("-({negative})"),
                other => format!("-{other}"),
            },
            Node::Plus(value) => format!("+{}", self.expr(value)),
            Node::Arithmetic { op, left, right } => {
                format!("({} {} {})", self.expr(left), op.symbol(), self.expr(right))
            }
            Node::Concat { left, right } => format!("concat({}, {})", self.expr(left), self.expr(right)),
            Node::Compare { op, left, right } => format!("({} {} {})", self.expr(left), op.symbol(), self.expr(right)),
            Node::And(items) => self.chain(items, "AND"),
            Node::Or(items) => self.chain(items, "OR"),
            Node::Not(value) => format!("(NOT {})", self.expr(value)),
            Node::IsNull { value, negated } => format!("({} IS {}NULL)", self.expr(value), not(negated)),
            Node::Between { value, low, high, negated } => {
                let (value, low, high) = (self.expr(value), self.expr(low), self.expr(high));
                format!("({value} {}BETWEEN {low} AND {high})", not(negated))
            }
            Node::In { value, list, negated } => {
                format!("({} {}IN ({}))", self.expr(value), not(negated), self.list(list))
            }
            Node::Like { value, pattern, escape, negated } => {
                let escape = escape.map_or(String::new(), |c| format!(" ESCAPE {}", string_literal(&c.to_string())));
                format!("({} {}LIKE {}{escape})", self.expr(value), not(negated), self.expr(pattern))
            }
            Node::Case { operand, branches, otherwise } => self.case(operand.as_ref(), branches, otherwise.as_ref()),
            _ => self.nested(expr),
        }
    }

    fn chain(&self, items: &[Expr], word: &str) -> String {
        let mut items = items.iter().map(|item| self.expr(item));
        let first = items.next().unwrap_or_default();
        items.fold(first, |left, right| format!("({left} {word} {right})"))
    }

    fn case(&self, operand: Option<&Expr>, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> String {
        let mut out = "(CASE".to_owned();
        if let Some(operand) = operand {
            let _ = write!(out, " {}", self.expr(operand));
        }
        for (when, then) in branches {
            let _ = write!(out, " WHEN {} THEN {}", self.expr(when), self.expr(then));
        }
        if let Some(otherwise) = otherwise {
            let _ = write!(out, " ELSE {}", self.expr(otherwise));
        }
        out + " END)"
    }

    /// What is made of other expressions without an operator; all else is written as in canonical text.
    fn nested(&self, expr: &Expr) -> String {
        match &*expr.node {
            Node::Literal(value) => literal(value),
            Node::Call { name, args } => format!("{name}({})", self.list(args)),
            Node::CallDistinct { name, args } => format!("{name}(DISTINCT {})", self.list(args)),
            Node::Cast { value, to } => format!("CAST({} AS {to})", self.expr(value)),
            Node::Subscript { base, index } => format!("{}[{}]", self.expr(base), self.expr(index)),
            Node::Field { base, field } => format!("{}->{field}", self.expr(base)),
            Node::ArrayOf(items) => format!("ARRAY[{}]", self.list(items)),
            Node::MapOf(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| format!("{}:={}", self.expr(key), self.expr(value)));
                format!("MAP({})", pairs.collect::<Vec<_>>().join(", "))
            }
            Node::StructOf(fields) => {
                let fields = fields.iter().map(|(name, value)| format!("{name}:={}", self.expr(value)));
                format!("STRUCT({})", fields.collect::<Vec<_>>().join(", "))
            }
            _ => expr.to_string(),
        }
    }
}

fn relation(relation: &Relation) -> String {
    format!("{} {}", relation.name, relation.alias.as_ref().unwrap_or(&relation.name))
}

/// The unit is always in the plural.
fn length(duration: &Duration) -> String {
    format!("{} {}", duration.count, duration.unit.name())
}

fn spelled_window(window: &Window) -> String {
    let (kind, mut parts) = match &window.kind {
        WindowKind::Tumbling { size } => ("TUMBLING", vec![format!("SIZE {}", length(size))]),
        WindowKind::Hopping { size, advance } => {
            ("HOPPING", vec![format!("SIZE {}", length(size)), format!("ADVANCE BY {}", length(advance))])
        }
        WindowKind::Session { gap } => ("SESSION", vec![length(gap)]),
    };
    parts.extend(window.retention.as_ref().map(|retention| format!("RETENTION {}", length(retention))));
    parts.extend(window.grace.as_ref().map(|grace| format!("GRACE PERIOD {}", length(grace))));
    format!("{kind} ( {} )", parts.join(" , "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::cursor::Cursor;
    use crate::sql::lexer::lex;
    use crate::sql::query::parse_query;

    fn spelled_out(text: &str) -> String {
        let lexed = lex(text);
        let query = parse_query(&mut Cursor::new(&lexed)).expect("a query");
        let owns = |source: &str, column: &str| match source {
            "S" => ["ID", "NAME", "V"].contains(&column),
            _ => ["ID", "V", "W"].contains(&column),
        };
        spelled(&query, &owns)
    }

    #[test]
    fn names_and_defaults_are_written_out() {
        assert_eq!(
            spelled_out("select id, count(*), name as `n` from s where v + 1 > 0 and not name like 'a%' group by id"),
            "SELECT\n  S.ID ID,\n  COUNT(*) KSQL_COL_0,\n  S.NAME `n`\nFROM S S\n\
             WHERE (((S.V + 1) > 0) AND (NOT (S.NAME LIKE 'a%')))\nGROUP BY S.ID\nEMIT CHANGES"
        );
    }

    #[test]
    fn windows_and_joins_are_written_as_ksqldb_does() {
        assert_eq!(spelled_out("select - -v x from s"), "SELECT -(-S.V) X\nFROM S S\nEMIT CHANGES");
        assert_eq!(
            spelled_out("select name from s window hopping (size 1 hour, advance by 10 minutes) group by name"),
            "SELECT S.NAME NAME\nFROM S S\nWINDOW HOPPING ( SIZE 1 HOURS , ADVANCE BY 10 MINUTES ) \n\
             GROUP BY S.NAME\nEMIT CHANGES"
        );
        assert_eq!(
            spelled_out("select a.id, w, b.v from s a left join t b within 1 hour on a.id = b.id emit changes"),
            "SELECT\n  A.ID A_ID,\n  B.W W,\n  B.V B_V\nFROM S A\n\
             LEFT OUTER JOIN T B WITHIN 1 HOURS ON ((A.ID = B.ID))\nEMIT CHANGES"
        );
    }
}
