//! The canonical text of a syntax tree.
//!
//! A list or an expression is written on one line if it fits; otherwise each part is on its own line, indented by two.
//! The layout depends on the tree alone, so formatting a formatted text changes nothing.
//!
//! How lines are broken: [`Printer::fit`] writes a part flat, as if there were room, and stops as soon as the line is
//! longer than `WIDTH`; then it takes back what it wrote and writes the part broken. What is beyond the width is
//! never written, so a try costs at most one line of text, however much is nested in the part.
//!
//! How tightly an expression binds decides about parentheses:
//!
//! | binding | expressions |
//! |---|---|
//! | 0 | lambdas |
//! | 1, 2, 3 | OR, AND, NOT |
//! | 4 | comparisons, IS NULL, BETWEEN, IN, LIKE |
//! | 5 | `\|\|` |
//! | 6, 7 | `+` and `-`; `*`, `/` and `%` |
//! | 8 | signs, negative literals |
//! | 9 | AT TIME ZONE |
//! | 10 | everything else: names, literals, calls, CASE, CAST, constructors |

use std::fmt::{self, Write};

use super::ast::{ArithmeticOp, Expr, Node};
use super::over::{Over, SortItem};
use super::words::string_literal;

/// The longest line in characters; longer content is spread over several lines.
const WIDTH: usize = 100;

/// The deepest indentation in characters, at any depth of nesting.
const DEEPEST: usize = 40;

/// Writes text that may be spread over lines.
pub struct Printer {
    out: String,
    indent: usize,
    line_start: usize,
    /// Whether everything stands on one line.
    flat: bool,
    /// How long that line may be.
    width: usize,
    /// Whether lists of clauses are spread over lines even if they fit on one, since comments will be inserted.
    spread: bool,
}

/// The text that `print` writes, on as many lines as it needs; `spread` if every part of a clause has its own.
///
/// No line break at the end.
pub fn layout(spread: bool, print: impl FnOnce(&mut Printer)) -> String {
    let mut printer = Printer { out: String::new(), indent: 0, line_start: 0, flat: false, width: WIDTH, spread };
    print(&mut printer);
    printer.out
}

/// The text that `print` writes, on one line.
pub fn one_line(print: impl FnOnce(&mut Printer)) -> String {
    let mut printer =
        Printer { out: String::new(), indent: 0, line_start: 0, flat: true, width: usize::MAX, spread: false };
    print(&mut printer);
    printer.out
}

impl Printer {
    /// Writes a piece of text that stands on one line.
    ///
    /// A piece with a line break in it, such as a text in quotes, makes the line longer than it is; it is never
    /// broken.
    pub fn put(&mut self, piece: impl fmt::Display) {
        if !self.is_over() {
            // Writing into a String cannot fail.
            let _ = write!(self.out, "{piece}");
        }
    }

    /// Goes to the next line.
    ///
    /// On one line it is a blank.
    pub fn line(&mut self) {
        if self.flat {
            self.out.push(' ');
            return;
        }
        self.out.push('\n');
        self.line_start = self.out.len();
        self.out.extend(std::iter::repeat_n(' ', self.indent.min(DEEPEST)));
    }

    /// Goes to the next line inside of a bracket.
    ///
    /// On one line it is nothing.
    pub fn edge(&mut self) {
        if !self.flat {
            self.line();
        }
    }

    /// Writes something whose further lines are indented more.
    pub fn indented(&mut self, print: impl FnOnce(&mut Self)) {
        self.indent += 2;
        print(self);
        self.indent -= 2;
    }

    /// Whether everything must be on one line and that line is too long already; further text need not be written.
    fn is_over(&self) -> bool {
        self.flat && self.out.len().saturating_sub(self.line_start) > self.width
    }

    /// Writes with `flat` if that fits on the line, else with `broken`.
    ///
    /// Both must write the same tokens.
    pub fn fit(&mut self, flat: impl FnOnce(&mut Self), broken: impl FnOnce(&mut Self)) {
        if self.flat {
            return flat(self);
        }
        let mark = self.out.len();
        self.flat = true;
        flat(self);
        let over = self.is_over();
        self.flat = false;
        if over {
            self.out.truncate(mark);
            broken(self);
        }
    }

    /// The same for a clause: it is spread if that is asked for, although it may fit.
    pub fn fit_clause(&mut self, flat: impl FnOnce(&mut Self), broken: impl FnOnce(&mut Self)) {
        if self.spread && !self.flat { broken(self) } else { self.fit(flat, broken) }
    }

    /// Items with commas between them, on one line or on one each.
    fn items<T>(&mut self, items: &[T], item: &impl Fn(&mut Self, &T)) {
        for (place, one) in items.iter().enumerate() {
            if place > 0 {
                self.put(",");
                self.line();
            }
            item(self, one);
            if self.is_over() {
                return;
            }
        }
    }

    /// `open`, items and `close`; on lines of their own if they do not fit.
    ///
    /// `open` ends in a blank or a bracket. Without items only `open` and `close` are written.
    pub fn list<T>(&mut self, open: &str, items: &[T], close: &str, item: impl Fn(&mut Self, &T)) {
        self.fit(
            |p| {
                p.put(open);
                p.items(items, &item);
                p.put(close);
            },
            |p| p.spread_list(open, items, close, &item),
        );
    }

    /// A list that is a part of a clause: it is spread if that is asked for, although it may fit.
    pub fn clause_list<T>(&mut self, open: &str, items: &[T], close: &str, item: impl Fn(&mut Self, &T)) {
        if self.spread && !self.flat {
            self.spread_list(open, items, close, &item);
        } else {
            self.list(open, items, close, item);
        }
    }

    /// `open`, items each on its own line, and `close`.
    pub fn spread_list<T>(&mut self, open: &str, items: &[T], close: &str, item: impl Fn(&mut Self, &T)) {
        self.put(open.trim_end());
        if !items.is_empty() {
            self.indented(|p| {
                p.line();
                p.items(items, &item);
            });
            if !close.is_empty() {
                self.line();
            }
        }
        self.put(close);
    }

    /// An expression, in parentheses if it binds less than its place needs.
    ///
    /// `binding` of 0 never makes parentheses.
    pub fn expr(&mut self, expr: &Expr, binding: u8) {
        if self.is_over() {
            return;
        }
        if expr.binding() < binding {
            self.put("(");
            self.expr(expr, 0);
            self.put(")");
            return;
        }
        self.fit(|p| p.node(expr), |p| p.node(expr));
    }

    /// The expression of a clause: it is spread if that is asked for, although it may fit.
    pub fn clause_expr(&mut self, expr: &Expr) {
        if self.spread && !self.flat { self.node(expr) } else { self.expr(expr, 0) }
    }

    /// An expression where only a value may stand: comparisons and logic get parentheses.
    pub fn value(&mut self, expr: &Expr) {
        self.expr(expr, 5);
    }

    fn node(&mut self, expr: &Expr) {
        match &*expr.node {
            Node::Literal(literal) => self.put(literal),
            Node::Column { source: Some(source), name } => self.put(format_args!("{source}.{name}")),
            Node::Column { source: None, name } => self.put(name),
            Node::CallStar { name } => self.put(format_args!("{name}(*)")),
            Node::Unit(unit) => self.put(unit.name()),
            Node::Negate(e) => {
                self.put("-");
                // `-5` would be read as a constant.
                let constant = matches!(&*e.node, Node::Literal(literal) if literal.is_number());
                self.expr(e, if constant { u8::MAX } else { 9 });
            }
            Node::Plus(e) => {
                self.put("+");
                self.expr(e, 9);
            }
            Node::Not(e) => {
                self.put("NOT ");
                self.expr(e, 3);
            }
            Node::Arithmetic { .. } | Node::Concat { .. } | Node::And(_) | Node::Or(_) => self.chain(expr),
            Node::Compare { op, left, right } => {
                self.value(left);
                self.put(format_args!(" {} ", op.symbol()));
                self.value(right);
            }
            Node::IsNull { .. } | Node::Between { .. } | Node::In { .. } | Node::InQuery { .. } | Node::Like { .. } => {
                self.predicate(&expr.node)
            }
            Node::AtTimeZone { value, zone } => {
                self.expr(value, 9);
                self.put(format_args!(" AT TIME ZONE {}", string_literal(zone)));
            }
            _ => self.primary(&expr.node),
        }
    }

    /// Operands with an operator between them. If they do not fit, each is on its own line after its operator.
    ///
    /// `a - b - c` needs no parentheses, `a - (b - c)` does: only the left operand may bind as tightly as the
    /// operator. A long chain is walked in a loop, not by recursion.
    fn chain(&mut self, expr: &Expr) {
        let mut operators = Vec::new();
        let mut operands = Vec::new();
        let level = expr.binding();
        let first = match &*expr.node {
            Node::And(items) | Node::Or(items) => {
                let word = if level == 2 { "AND" } else { "OR" };
                operands.extend(items.iter().skip(1).rev());
                operators.resize(operands.len(), word);
                &items[0]
            }
            // A chain is left-associative, so it is taken apart from its end.
            _ => {
                let mut first = expr;
                while let Some((operator, left, right)) = first.binary().filter(|_| first.binding() == level) {
                    operators.push(operator);
                    operands.push(right);
                    first = left;
                }
                first
            }
        };
        let logic = level < 3;
        self.expr(first, if logic { level + 1 } else { level });
        self.indented(|p| {
            for (operator, operand) in operators.iter().rev().zip(operands.iter().rev()) {
                p.line();
                p.put(format_args!("{operator} "));
                p.expr(operand, level + 1);
                if p.is_over() {
                    return;
                }
            }
        });
    }

    /// Writes IS NULL, BETWEEN, IN or LIKE.
    fn predicate(&mut self, node: &Node) {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match node {
            Node::IsNull { value, negated } => {
                self.value(value);
                self.put(format_args!(" IS {}NULL", not(negated)));
            }
            Node::Between { value, low, high, negated } => {
                self.value(value);
                self.put(format_args!(" {}BETWEEN ", not(negated)));
                self.value(low);
                self.put(" AND ");
                self.value(high);
            }
            Node::In { value, list, negated } => {
                self.value(value);
                self.list(&format!(" {}IN (", not(negated)), list, ")", |p, e| p.expr(e, 0));
            }
            Node::InQuery { value, query, negated } => {
                self.value(value);
                self.put(format_args!(" {}IN ", not(negated)));
                query.print_in_brackets(self);
            }
            Node::Like { value, pattern, escape, negated } => {
                self.value(value);
                self.put(format_args!(" {}LIKE ", not(negated)));
                self.value(pattern);
                if let Some(c) = escape {
                    self.put(format_args!(" ESCAPE {}", string_literal(&c.to_string())));
                }
            }
            _ => {}
        }
    }

    fn primary(&mut self, node: &Node) {
        match node {
            Node::Case { operand, branches, otherwise } => self.case(operand.as_ref(), branches, otherwise.as_ref()),
            Node::Cast { value, to } => {
                self.put("CAST(");
                self.expr(value, 0);
                self.put(" AS ");
                to.print(self);
                self.put(")");
            }
            Node::Call { name, args } => self.list(&format!("{name}("), args, ")", |p, e| p.expr(e, 0)),
            Node::CallDistinct { name, args } => {
                self.list(&format!("{name}(DISTINCT "), args, ")", |p, e| p.expr(e, 0));
            }
            Node::Exists(query) => {
                self.put("EXISTS ");
                query.print_in_brackets(self);
            }
            Node::Query(query) => query.print_in_brackets(self),
            Node::Over { call, over } => {
                self.expr(call, 10);
                self.over(over);
            }
            Node::Lambda { params, body } => {
                match params.as_slice() {
                    [only] => self.put(only),
                    several => self.list("(", several, ")", |p, name| p.put(name)),
                }
                self.put(" => ");
                self.expr(body, 0);
            }
            Node::Subscript { base, index } => {
                self.expr(base, 10);
                self.put("[");
                self.value(index);
                self.put("]");
            }
            Node::Field { base, field } => {
                self.expr(base, 10);
                self.put(format_args!("->{field}"));
            }
            Node::ArrayOf(items) => self.list("ARRAY[", items, "]", |p, e| p.expr(e, 0)),
            Node::MapOf(pairs) => self.list("MAP(", pairs, ")", |p, (key, value)| {
                p.expr(key, 0);
                p.put(" := ");
                p.expr(value, 0);
            }),
            Node::StructOf(fields) => self.list("STRUCT(", fields, ")", |p, (name, value)| {
                p.put(format_args!("{name} := "));
                p.expr(value, 0);
            }),
            _ => {}
        }
    }

    /// Writes CASE, each branch on its own line if they do not fit on one.
    fn case(&mut self, operand: Option<&Expr>, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) {
        self.put("CASE");
        if let Some(operand) = operand {
            self.put(" ");
            self.expr(operand, 0);
        }
        self.indented(|p| {
            for (when, then) in branches {
                p.line();
                p.put("WHEN ");
                p.expr(when, 0);
                p.put(" THEN ");
                p.expr(then, 0);
            }
            if let Some(otherwise) = otherwise {
                p.line();
                p.put("ELSE ");
                p.expr(otherwise, 0);
            }
        });
        self.line();
        self.put("END");
    }

    /// Writes the parentheses after OVER.
    fn over(&mut self, over: &Over) {
        let mut clauses: Vec<Box<dyn Fn(&mut Self) + '_>> = Vec::new();
        if !over.partition_by.is_empty() {
            clauses.push(Box::new(|p| p.list("PARTITION BY ", &over.partition_by, "", |p, e| p.value(e))));
        }
        if !over.order_by.is_empty() {
            clauses.push(Box::new(|p| p.sort_items(&over.order_by)));
        }
        if let Some(frame) = &over.frame {
            clauses.push(Box::new(move |p| p.put(frame)));
        }
        self.put(" OVER (");
        for (place, clause) in clauses.iter().enumerate() {
            if place > 0 {
                self.put(" ");
            }
            clause(self);
        }
        self.put(")");
    }

    /// `ORDER BY` and what rows are sorted by.
    pub fn sort_items(&mut self, items: &[SortItem]) {
        self.list("ORDER BY ", items, "", |p, item| {
            p.expr(&item.expr, 0);
            p.put(if item.descending { " DESC" } else { "" });
            p.put(item.nulls_first.map_or("", |first| if first { " NULLS FIRST" } else { " NULLS LAST" }));
        });
    }
}

impl Expr {
    /// The operator and the operands of a left-associative chain.
    fn binary(&self) -> Option<(&'static str, &Expr, &Expr)> {
        match &*self.node {
            Node::Arithmetic { op, left, right } => Some((op.symbol(), left, right)),
            Node::Concat { left, right } => Some(("||", left, right)),
            _ => None,
        }
    }

    /// The text of the expression, on one line, where only a value may stand.
    pub fn as_value(&self) -> String {
        one_line(|p| p.value(self))
    }

    /// How tightly the expression binds: an operand that binds less than its place needs parentheses.
    fn binding(&self) -> u8 {
        match &*self.node {
            Node::Lambda { .. } => 0,
            Node::Or(..) => 1,
            Node::And(..) => 2,
            Node::Not(_) => 3,
            Node::Compare { .. }
            | Node::IsNull { .. }
            | Node::Between { .. }
            | Node::In { .. }
            | Node::InQuery { .. }
            | Node::Like { .. } => 4,
            Node::Concat { .. } => 5,
            Node::Arithmetic { op: ArithmeticOp::Add | ArithmeticOp::Subtract, .. } => 6,
            Node::Arithmetic { .. } => 7,
            Node::Negate(_) | Node::Plus(_) => 8,
            Node::Literal(literal) if literal.is_negative() => 8,
            Node::AtTimeZone { .. } => 9,
            _ => 10,
        }
    }
}

/// The text of the expression, on one line.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(|p| p.expr(self, 0)))
    }
}
