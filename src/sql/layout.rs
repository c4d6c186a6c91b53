//! The canonical text of queries: a clause on each line.
//!
//! Each method writes to a [`Printer`], which decides where lines break. Keywords are in upper case, names as they
//! must be written to be read back. What was written in two ways has one form: `LEFT OUTER JOIN` becomes `LEFT JOIN`,
//! and an alias always has its AS.

use std::fmt;

use super::ast::Expr;
use super::print::{Printer, one_line};
use super::query::{Emit, Grouping, Join, Query, Relation, SelectItem, Union, Window, WindowKind, Within};

impl Relation {
    fn print(&self, p: &mut Printer) {
        if let Some(query) = &self.derived {
            query.print_in_brackets(p);
            return p.put(format_args!(" AS {}", self.name));
        }
        p.put(&self.name);
        if let Some(alias) = &self.alias {
            p.put(format_args!(" AS {alias}"));
        }
        self.with.print(p);
    }
}

impl SelectItem {
    fn print(p: &mut Printer, item: &SelectItem) {
        match item {
            SelectItem::All(_) => p.put("*"),
            SelectItem::AllOf(source) => p.put(format_args!("{source}.*")),
            SelectItem::Fields(expr) => {
                p.expr(expr, 10);
                p.put("->*");
            }
            SelectItem::Expr { expr, alias } => {
                p.expr(expr, 0);
                if let Some(alias) = alias {
                    p.put(format_args!(" AS {alias}"));
                }
            }
        }
    }
}

/// The text of the item, on one line.
impl fmt::Display for SelectItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(|p| SelectItem::print(p, self)))
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

impl Query {
    /// Writes the query over several lines, a clause on each.
    pub fn print(&self, p: &mut Printer) {
        for (place, named) in self.named.iter().enumerate() {
            p.put(if place == 0 { "WITH " } else { "" });
            p.put(format_args!("{} AS ", named.name));
            named.query.print_in_brackets(p);
            p.put(if place + 1 < self.named.len() { "," } else { "" });
            p.line();
        }
        self.print_core(p);
        for Union { all, query } in &self.unions {
            p.line();
            p.put(if *all { "UNION ALL" } else { "UNION" });
            p.line();
            query.print_core(p);
        }
        if !self.order_by.is_empty() {
            p.line();
            p.sort_items(&self.order_by);
        }
        if let Some(emit) = self.emit {
            p.line();
            p.put(if emit == Emit::Changes { "EMIT CHANGES" } else { "EMIT FINAL" });
            if let Some(every) = &self.every {
                p.put(format_args!(" EVERY {every}"));
            }
        }
        for (word, count) in [("LIMIT", self.limit), ("OFFSET", self.offset)] {
            if let Some(count) = count {
                p.line();
                p.put(format_args!("{word} {count}"));
            }
        }
    }

    /// The brackets stand on lines of their own, the query between them is indented.
    pub(super) fn print_in_brackets(&self, p: &mut Printer) {
        p.put("(");
        p.indented(|p| {
            p.edge();
            self.print(p);
        });
        p.edge();
        p.put(")");
    }

    /// From SELECT to HAVING: the part that every query of a UNION has for itself.
    fn print_core(&self, p: &mut Printer) {
        let open = if self.distinct { "SELECT DISTINCT " } else { "SELECT " };
        p.clause_list(open, &self.items, "", SelectItem::print);
        p.line();
        p.put("FROM ");
        self.from.first.print(p);
        p.indented(|p| self.from.joins.iter().for_each(|join| join.print(p)));
        if let Some(window) = &self.window {
            p.line();
            p.put(format_args!("WINDOW {window}"));
        }
        condition(p, "WHERE ", self.filter.as_ref());
        for (keywords, grouping) in [("GROUP BY ", &self.group_by), ("PARTITION BY ", &self.partition_by)] {
            if let Some(grouping) = grouping {
                p.line();
                grouping.print(keywords, p);
            }
        }
        condition(p, "HAVING ", self.having.as_ref());
    }
}

fn condition(p: &mut Printer, keyword: &str, condition: Option<&Expr>) {
    if let Some(condition) = condition {
        p.line();
        p.put(keyword);
        p.clause_expr(condition);
    }
}

impl Join {
    fn print(&self, p: &mut Printer) {
        p.line();
        p.put(format_args!("{} ", self.kind.name()));
        self.right.print(p);
        if let Some(within) = &self.within {
            p.put(format_args!(" {within}"));
        }
        p.put(" ON ");
        p.expr(&self.on, 0);
    }
}

impl Grouping {
    /// `keywords` ends in a blank.
    fn print(&self, keywords: &str, p: &mut Printer) {
        if self.exprs.is_empty() {
            return p.put(format_args!("{keywords}()"));
        }
        // A comparison is no value of the grammar: alone it needs its own parentheses.
        p.list(keywords, &self.exprs, "", |p, e| p.value(e));
    }
}
