//! Syntax trees to typed expressions: names are looked up, types checked, and widening and catch points put in.
//!
//! * [`Scope`] says what names mean. Each clause of a query has its own: a column before GROUP BY is another than after it.
//! * Types are checked from the leaves up; a refusal has the place of the smallest expression that is wrong.
//! * An operation on constants is computed at once, unless it fails: then it stays, and fails for every row that reaches it.
//! * A constant argument with which every call would fail is refused, or warned of where ksqlDB accepts it.
//!
//! One file each: `operators` for operators, comparisons, CASE and CAST, `calls` for functions and lambdas, `collections`
//! for arrays, maps and structs, `constants` for literals.

mod calls;
mod collections;
mod constants;
mod operators;

pub use constants::{evaluate_constant, evaluate_strictly};

use super::{Expr, Kind};
use crate::error::{Error, Result};
use crate::functions;
use crate::sql::ast::{self, CompareOp, Node};
use crate::sql::words::Ident;
use crate::types::{SqlType, Value};
use constants::constant;

/// What the names in an expression mean.
///
/// Names arrive as they are stored: in upper case unless they were quoted.
pub trait Scope {
    /// The column that is meant.
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr>;

    /// The names that these add to or take from: what is not said here is as there.
    fn outer(&self) -> Option<&dyn Scope> {
        None
    }

    /// The column that stands for this whole expression, if one does: after GROUP BY a grouping expression or an aggregate.
    fn substitute(&self, expr: &ast::Expr) -> Result<Option<Expr>> {
        self.outer().map_or(Ok(None), |outer| outer.substitute(expr))
    }

    /// Whether the column holds instants in milliseconds that may be compared with texts here.
    fn is_instant(&self, column: super::ColumnId) -> bool {
        self.outer().is_some_and(|outer| outer.is_instant(column))
    }

    /// The parameters of the lambdas around, from the outermost on.
    fn parameters(&self) -> &[(String, Expr)] {
        self.outer().map_or(&[], |outer| outer.parameters())
    }

    /// The type that a user gave this name (in upper case).
    fn custom_type(&self, name: &str) -> Option<SqlType> {
        self.outer()?.custom_type(name)
    }

    /// Takes something that the user should know although the expression is accepted.
    fn warn(&self, warning: String) {
        if let Some(outer) = self.outer() {
            outer.warn(warning);
        }
    }
}

/// The names inside of a lambda: its parameters, those of the lambdas around it, and those outside.
struct LambdaScope<'a> {
    outer: &'a dyn Scope,
    named: Vec<(String, Expr)>,
}

impl Scope for LambdaScope<'_> {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        let parameter = self.named.iter().find(|(n, _)| source.is_none() && *n == name.name);
        parameter.map_or_else(|| self.outer.column(source, name), |(_, expr)| Ok(expr.clone()))
    }

    fn outer(&self) -> Option<&dyn Scope> {
        Some(self.outer)
    }

    fn parameters(&self) -> &[(String, Expr)] {
        &self.named
    }
}

/// Makes a typed expression.
///
/// The depth of the tree is bounded by the parser, and the stack is grown where it is short.
///
/// # Errors
/// By remedy, with the place: missing names, types that do not fit, what this version does not do. Never because of
/// data, since nothing but constants is computed.
pub fn bind(expr: &ast::Expr, scope: &dyn Scope) -> Result<Expr> {
    Binder { scope, is_condition: false }.bind(expr)
}

/// Makes a call of a function with these arguments.
pub fn bind_call(function: &'static functions::Scalar, args: &[ast::Expr], scope: &dyn Scope) -> Result<Expr> {
    Binder { scope, is_condition: false }.call_of(function, args)
}

/// Makes a condition: an expression that is BOOLEAN; `clause` names it in the refusal.
///
/// An untyped NULL is accepted; it is true for no row.
///
/// # Errors
/// As for [`bind`], and invalid if the type is another.
pub fn bind_condition(expr: &ast::Expr, scope: &dyn Scope, clause: &'static str) -> Result<Expr> {
    let text = || expr.parenthesized();
    let bound = Binder { scope, is_condition: true }.bind(expr);
    let bound = bound.map_err(|error| error.in_condition(clause, text))?;
    match &bound.sql_type {
        Some(SqlType::Boolean) | None => Ok(bound),
        Some(other) => {
            let message = format!(
                "Type error in {clause} expression: Should evaluate to boolean but is {} ({other}) instead.",
                text()
            );
            Err(Error::invalid(message).at(expr.span).in_part(text))
        }
    }
}

/// Binds expressions whose names mean what the scope says.
struct Binder<'a> {
    scope: &'a dyn Scope,
    /// Whether the expression is the condition of a clause, of which messages name the parts.
    is_condition: bool,
}

impl Binder<'_> {
    /// Binds an expression, and computes it if it is constant.
    fn bind(&self, expr: &ast::Expr) -> Result<Expr> {
        if let Some(column) = self.scope.substitute(expr)? {
            return Ok(column);
        }
        let bound = stacker::maybe_grow(128 << 10, 2 << 20, || self.node(expr)).map_err(|e| e.at(expr.span))?;
        fold(bound)
    }

    /// Binds an expression that no column stands for.
    fn node(&self, expr: &ast::Expr) -> Result<Expr> {
        let boolean = |kind| Ok(Expr { kind, sql_type: Some(SqlType::Boolean) });
        match &*expr.node {
            Node::Literal(literal) => constant(literal),
            Node::Column { source, name } => self.scope.column(source.as_ref(), name).map_err(Error::in_whole),
            Node::Negate(value) => {
                let (bound, sql_type) = self.signed(value)?;
                Ok(Expr { kind: Kind::Negate(Box::new(bound)), sql_type: Some(sql_type) })
            }
            Node::Plus(value) => Ok(self.signed(value)?.0),
            Node::Arithmetic { op, left, right } => self.arithmetic(*op, left, right),
            Node::Concat { left, right } => self.call("CONCAT", &[left.clone(), right.clone()]),
            Node::Compare { op, left, right } => self.compare(*op, left, right, expr),
            Node::And(items) => boolean(Kind::And(self.conditions(items)?)),
            Node::Or(items) => boolean(Kind::Or(self.conditions(items)?)),
            Node::Not(value) => boolean(Kind::Not(Box::new(self.condition(value)?))),
            Node::IsNull { value, negated } => {
                boolean(Kind::IsNull { value: Box::new(self.bind(value)?), negated: *negated })
            }
            Node::Between { value, low, high, negated } => {
                let low = self.compare(CompareOp::GreaterOrEqual, value, low, expr)?;
                let high = self.compare(CompareOp::LessOrEqual, value, high, expr)?;
                negate_if(*negated, Kind::And(vec![low, high]))
            }
            Node::In { value, list, negated } => self.is_in(value, list, *negated),
            Node::InQuery { .. } | Node::Exists(_) | Node::Query(_) => {
                let hint = "SELECT without EMIT takes one in SELECT, WHERE and HAVING; elsewhere, join with it";
                Err(Error::unsupported("a query in this expression").hint(hint))
            }
            Node::Like { value, pattern, escape, negated } => self.like(value, pattern, *escape, *negated),
            Node::Case { operand, branches, otherwise } => self.case(operand.as_ref(), branches, otherwise.as_ref()),
            Node::Cast { value, to } => self.cast(value, to),
            Node::Call { name, args } => self.call(&name.name, args),
            // `*` stands for rows, of which only aggregates make something.
            Node::CallStar { name } => self.call(&name.name, &[]),
            Node::CallDistinct { name, .. } => {
                let hint = "COUNT_DISTINCT counts different values, COLLECT_SET collects them";
                Err(Error::unsupported(format!("{}(DISTINCT …)", name.name)).hint(hint))
            }
            Node::Over { .. } => Err(Error::unsupported("OVER").hint("aggregate with GROUP BY, in a WINDOW")),
            Node::Unit(unit) => Err(Error::invalid(format!("{} is a unit of time, not a value", unit.name()))),
            Node::Lambda { .. } => Err(Error::invalid("a lambda is allowed only as an argument of a function")),
            Node::Subscript { base, index } => self.subscript(base, index),
            Node::Field { base, field } => self.field(base, field),
            Node::ArrayOf(items) => self.array(items),
            Node::MapOf(pairs) => self.map(pairs),
            Node::StructOf(fields) => self.structure(fields),
            Node::AtTimeZone { .. } => {
                Err(Error::unsupported("AT TIME ZONE").hint("use CONVERT_TZ(timestamp, 'UTC', 'Europe/Paris')"))
            }
        }
    }

    /// The operands of AND or OR.
    fn conditions(&self, items: &[ast::Expr]) -> Result<Vec<Expr>> {
        items.iter().map(|item| self.condition(item)).collect()
    }

    /// An operand that is BOOLEAN.
    fn condition(&self, item: &ast::Expr) -> Result<Expr> {
        let bound = self.bind(item)?;
        match &bound.sql_type {
            Some(SqlType::Boolean) | None => Ok(bound),
            Some(other) => Err(Error::invalid(format!("{item} is {other}, where a BOOLEAN is needed")).at(item.span)),
        }
    }
}

/// The type as messages show it.
fn shown(expr: &Expr) -> String {
    expr.sql_type.as_ref().map_or_else(|| "null".to_owned(), SqlType::to_string)
}

/// A condition, or its opposite.
fn negate_if(negated: bool, kind: Kind) -> Result<Expr> {
    let sql_type = Some(SqlType::Boolean);
    let expr = Expr { kind, sql_type: sql_type.clone() };
    Ok(if negated { Expr { kind: Kind::Not(Box::new(expr)), sql_type } } else { expr })
}

/// The expression as one of type `to`.
///
/// An untyped NULL becomes a typed one, and an expression of the type stays as it is. Whether the cast is allowed is
/// the caller's business.
pub(super) fn cast_to(expr: Expr, to: SqlType) -> Expr {
    match &expr.sql_type {
        None => Expr::constant(Value::Null, to),
        Some(from) if *from == to => expr,
        _ => Expr { kind: Kind::Cast { value: Box::new(expr), to: to.clone() }, sql_type: Some(to) },
    }
}

/// Evaluates an expression of constants, unless something in it fails or a function without arguments is in it.
///
/// Children are folded before, so a constant subtree of any depth becomes one constant. An expression that fails
/// stays: a CASE may never reach it.
fn fold(expr: Expr) -> Result<Expr> {
    let children = expr.children();
    if children.is_empty() || expr.sql_type.is_none() || !children.iter().all(|c| c.as_constant().is_some()) {
        return Ok(expr);
    }
    let sql_type = expr.result_type();
    Ok(match evaluate_strictly(&expr)? {
        Ok(value) => Expr::constant(value, sql_type),
        Err(_) => expr,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Input;
    use crate::sql::cursor::Cursor;
    use crate::sql::expr::parse_expr;
    use crate::sql::lexer::lex;

    /// A scope with one INTEGER column `I` that is NULL.
    struct OneNull;

    impl Scope for OneNull {
        fn column(&self, _: Option<&Ident>, _: &Ident) -> Result<Expr> {
            Ok(Expr::column(0, SqlType::Integer))
        }
    }

    fn run(text: &str) -> String {
        let lexed = lex(text);
        let expr = match bind(&parse_expr(&mut Cursor::new(&lexed)).expect("an expression"), &OneNull) {
            Ok(expr) => expr,
            Err(error) => return error.to_string(),
        };
        let columns = [arrow::array::new_null_array(&SqlType::Integer.arrow(), 1)];
        let evaluated = expr.compile(&[0]).eval(&Input::all(&columns, 1)).expect("no bug");
        let value = Value::at(evaluated.values.as_ref(), 0, &expr.result_type()).to_text();
        match (evaluated.ended.is_some_and(|e| e.value(0)), evaluated.failed.is_some_and(|f| f.value(0))) {
            (_, true) => format!("{value}!"),
            (true, false) => format!("{value}?"),
            (false, false) => value,
        }
    }

    /// A `!` after a value marks an error, a `?` that a NULL operand ended the row.
    #[test]
    fn null_and_errors_are_ksqldbs() {
        for (text, result) in [
            ("I + 1", "null?"),
            ("NOT (I = 1)", "true"),
            ("I NOT IN (1, 2)", "true"),
            ("I IS NULL", "true"),
            ("I = 1 AND I + 1 = 2", "false"),
            ("I + 1 = 2 AND I = 1", "null?"),
            ("1 / 0", "null!"),
            ("COALESCE(ABS(I + 1), 7)", "7"),
            ("COALESCE(I + 1, 7)", "null?"),
            ("CAST(I + 1 AS STRING)", "null"),
            ("CAST('x' AS INT)", "null!"),
            ("CASE WHEN I = 1 THEN 'a' ELSE 'b' END", "b"),
            ("ARRAY[1, I / 0][1]", "1"),
            ("ARRAY[1, 1 / 0][1]", "1!"),
            ("ARRAY[1, 2][-1]", "2"),
            ("MAP('a' := 1)['b']", "null"),
            ("STRUCT(A := 1.50)->A", "1.50"),
            ("10.00 / 4", "2.5000000000000"),
            ("10.00 / 3", "3.3333333333333"),
            ("'a' LIKE '_' AND 2 BETWEEN 1 AND 3", "true"),
            ("1 IN ('1', 2)", "true"),
            ("1 = 'a'", "Cannot compare INTEGER to STRING with EQUAL."),
            ("FOO(1)", "Can't find any functions with the name 'FOO'"),
        ] {
            assert_eq!(run(text), result, "{text}");
        }
    }
}
