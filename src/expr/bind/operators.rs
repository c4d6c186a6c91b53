//! Operators, comparisons, CASE and CAST: which operands they take and what type they give.
//!
//! | expression | operands | type |
//! |---|---|---|
//! | `+ - * / %` | numbers; two texts for `+` | see [`arithmetic_type`] |
//! | `= <> < <= > >=`, IS DISTINCT FROM | comparable types: see [`comparable`] | BOOLEAN |
//! | BETWEEN | as `>=` and `<=` | BOOLEAN |
//! | IN | types with a common one | BOOLEAN |
//! | LIKE | texts | BOOLEAN |
//! | CASE | conditions, and values of one type | the type of the values |
//! | CAST | see [`can_cast`] | the type that is written |
//!
//! An untyped NULL is refused where its type would matter, as ksqlDB does.

use super::{Binder, cast_to, negate_if, shown};
use crate::error::{Error, Result};
use crate::expr::coerce::{arithmetic_type, can_cast};
use crate::expr::common::common;
use crate::expr::compare::no_instant;
use crate::expr::like::Pattern;
use crate::expr::{Expr, Kind};
use crate::functions::fault;
use crate::sql::ast::{self, ArithmeticOp, CompareOp, Literal, Node};
use crate::sql::types::{TypeName, resolve};
use crate::types::{SqlType, Value, parse};

impl Binder<'_> {
    /// The operand of a sign, and its type.
    pub(super) fn signed(&self, value: &ast::Expr) -> Result<(Expr, SqlType)> {
        let bound = self.bind(value)?;
        match bound.sql_type.clone().filter(SqlType::is_numeric) {
            Some(sql_type) => Ok((bound, sql_type)),
            None => {
                let message = format!("{value} is {}; only a number has a sign", shown(&bound));
                Err(Error::invalid(message).at(value.span))
            }
        }
    }

    /// `left op right` of numbers, or of texts.
    pub(super) fn arithmetic(&self, op: ArithmeticOp, left: &ast::Expr, right: &ast::Expr) -> Result<Expr> {
        let text = || format!("({} {} {})", left.parenthesized(), op.symbol(), right.parenthesized());
        let place = left.span;
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        let (Some(l), Some(r)) = (&left.sql_type, &right.sql_type) else {
            let types = format!("Arithmetic on types {} and {} are not supported.", shown(&left), shown(&right));
            return Err(Error::invalid(format!("Error processing expression: {}. {types}", text())).at(place));
        };
        let Some(sql_type) = arithmetic_type(op, l, r) else {
            return Err(Error::invalid(format!("Unsupported arithmetic types. {l} {r}")));
        };
        let kind = Kind::Arithmetic { op, left: Box::new(left), right: Box::new(right) };
        Ok(Expr { kind, sql_type: Some(sql_type) })
    }

    /// A comparison; a written text that is compared with an instant's milliseconds is read as an instant.
    ///
    /// So `WHERE ROWTIME > '2020-05-26'` compares milliseconds.
    ///
    /// # Errors
    /// Invalid: one side is an untyped NULL, the types do not compare, or the text is no instant.
    pub(super) fn compare(&self, op: CompareOp, left: &ast::Expr, right: &ast::Expr, expr: &ast::Expr) -> Result<Expr> {
        let (bound_left, bound_right) = (self.bind(left)?, self.bind(right)?);
        let instant = |e: &Expr| matches!(e.kind, Kind::Column(id) if self.scope.is_instant(id));
        let (to_left, to_right) = (instant(&bound_right), instant(&bound_left));
        let read = |bound: Expr, written: &ast::Expr, wanted: bool| -> Result<Expr> {
            match &*written.node {
                Node::Literal(Literal::String(text)) if wanted => {
                    let ms = parse::timestamp(text).ok_or_else(|| no_timestamp(text).at(written.span))?;
                    Ok(Expr::constant(Value::Bigint(ms), SqlType::Bigint))
                }
                _ => Ok(bound),
            }
        };
        let written = (left, right);
        let (left, right) = (read(bound_left, left, to_left)?, read(bound_right, right, to_right)?);
        self.warn_of_no_instant(&left, &right);
        self.warn_of_no_instant(&right, &left);
        let sides = [(&left, written.0), (&right, written.1)];
        self.check_comparable(op, sides, expr).map_err(|error| error.at(expr.span))?;
        let kind = Kind::Compare { op, left: Box::new(left), right: Box::new(right) };
        Ok(Expr { kind, sql_type: Some(SqlType::Boolean) })
    }

    /// Refuses types that cannot be compared. In a condition, the message has the operands, too.
    fn check_comparable(
        &self,
        op: CompareOp,
        [left, right]: [(&Expr, &ast::Expr); 2],
        comparison: &ast::Expr,
    ) -> Result<()> {
        let (Some(left_type), Some(right_type)) = (&left.0.sql_type, &right.0.sql_type) else {
            let shown = |side: &Expr| side.sql_type.as_ref().map_or_else(|| "NULL".to_owned(), SqlType::to_string);
            let (left, right) = (shown(left.0), shown(right.0));
            let message = format!("Comparison with NULL not supported: {left} {} {right}", op.symbol());
            return Err(Error::invalid(message).hint("use IS NULL or IS NOT NULL"));
        };
        if comparable(op, left_type, right_type) {
            return Ok(());
        }
        let shown = |written: &ast::Expr, sql_type: &SqlType| match self.is_condition {
            true => format!("{} ({sql_type})", written.parenthesized()),
            false => sql_type.to_string(),
        };
        let (left, right) = (shown(left.1, left_type), shown(right.1, right_type));
        let message = format!("Cannot compare {left} to {right} with {}.", op.name());
        let error = Error::invalid(message).hint("CAST one side to the other's type");
        Err(if self.is_condition { error.in_part(|| comparison.parenthesized()) } else { error })
    }

    /// Warns of a constant text that is compared with times and is none, which ksqlDB accepts.
    fn warn_of_no_instant(&self, text: &Expr, time: &Expr) {
        if let (Some(value), Some(time)) = (text.as_constant(), time.sql_type.as_ref().filter(|t| t.is_temporal()))
            && let Some(why) = no_instant(value, time)
        {
            self.scope.warn(format!("{why}, so that the result is always NULL; {}", time_form(time)));
        }
    }

    /// `value [NOT] IN (list)`: untyped NULLs in the list equal nothing and are left out.
    pub(super) fn is_in(&self, value: &ast::Expr, list: &[ast::Expr], negated: bool) -> Result<Expr> {
        let value = self.bind(value)?;
        let items: Vec<Expr> = list.iter().map(|item| self.bind(item)).collect::<Result<_>>()?;
        let items = items.into_iter().filter(|item| item.sql_type.is_some());
        let mut all = common(std::iter::once(value).chain(items).collect())?;
        let value = Box::new(all.remove(0));
        negate_if(negated, Kind::In { value, list: all })
    }

    /// `value [NOT] LIKE pattern`. A constant pattern that ends in its escape character is refused.
    pub(super) fn like(
        &self,
        value: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<char>,
        negated: bool,
    ) -> Result<Expr> {
        let text = |e: &ast::Expr| -> Result<Box<Expr>> {
            let bound = self.bind(e)?;
            match &bound.sql_type {
                Some(SqlType::String) | None => Ok(Box::new(bound)),
                Some(other) => {
                    Err(Error::invalid(format!("{value} LIKE {pattern} compares strings, {e} is {other}")).at(e.span))
                }
            }
        };
        let (value, written, pattern) = (text(value)?, pattern, text(pattern)?);
        if let (Some(Value::String(text)), Some(escape)) = (pattern.as_constant(), escape)
            && Pattern::new(text, Some(escape)).is_none()
        {
            let message = format!(
                "the pattern {} ends in its escape character {escape}",
                fault::shown(&Value::String(text.clone()))
            );
            let hint = format!("write {escape}{escape} for the character itself, or escape with another one");
            return Err(Error::invalid(message).at(written.span).hint(hint));
        }
        negate_if(negated, Kind::Like { value, pattern, escape })
    }

    /// All conditions are BOOLEAN, and all values have one type: CASE does not widen, as in ksqlDB.
    pub(super) fn case(
        &self,
        operand: Option<&ast::Expr>,
        branches: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let mut bound = Vec::new();
        for (when, then) in branches {
            let condition = match operand {
                Some(operand) => self.compare(CompareOp::Equal, operand, when, when)?,
                None => self.bind(when)?,
            };
            if condition.sql_type.as_ref().is_none_or(|t| *t != SqlType::Boolean) {
                let message =
                    format!("WHEN operand type should be boolean.\nType for '{when}' is {}", shown(&condition));
                return Err(Error::invalid(message).at(when.span));
            }
            bound.push((condition, self.bind(then)?));
        }
        let otherwise = otherwise.map(|e| self.bind(e)).transpose()?;
        let mut types = bound.iter().map(|(_, then)| then).filter_map(|then| then.sql_type.as_ref());
        let then_type = types.next().cloned();
        if types.any(|t| Some(t) != then_type.as_ref()) {
            let odd = bound
                .iter()
                .zip(branches)
                .find(|((_, then), _)| then.sql_type.as_ref().is_some_and(|t| Some(t) != then_type.as_ref()));
            let (clause, other) = odd.map_or_else(Default::default, |((_, then), (when, written))| {
                (format!("WHEN {} THEN {written}", when.parenthesized()), shown(then))
            });
            let earlier = then_type.map(|t| t.to_string()).unwrap_or_default();
            let message = format!(
                "Invalid Case expression. Type for all 'THEN' clauses should be the same.\n\
                 THEN expression '{clause}' has type: {other}.\nPrevious THEN expression(s) type: {earlier}."
            );
            return Err(Error::invalid(message).hint("CAST the branches to one type"));
        }
        let else_type = otherwise.as_ref().and_then(|e| e.sql_type.clone());
        if then_type.is_some() && else_type.is_some() && then_type != else_type {
            let message =
                "Invalid Case expression. Type for the default clause should be the same as for 'THEN' clauses.";
            return Err(Error::invalid(message).hint("CAST the branches to one type"));
        }
        let Some(sql_type) = then_type.or(else_type) else {
            return Err(Error::invalid("Invalid Case expression. All case branches have NULL type"));
        };
        let kind = Kind::Case { branches: bound, otherwise: otherwise.map(Box::new) };
        Ok(Expr { kind, sql_type: Some(sql_type) })
    }

    /// `CAST(value AS to)`.
    pub(super) fn cast(&self, value: &ast::Expr, to: &TypeName) -> Result<Expr> {
        let to = resolve(to, &|name| self.scope.custom_type(name))?;
        let bound = self.bind(value)?;
        if let Some(from) = &bound.sql_type
            && !can_cast(from, &to)
        {
            return Err(Error::invalid(format!("Cast of {from} to {to} is not supported")));
        }
        // A written CAST is a catch point even if it changes nothing; only what cannot fail needs none.
        if bound.sql_type.as_ref() == Some(&to) && !matches!(bound.kind, Kind::Column(_) | Kind::Constant(_)) {
            return Ok(Expr { kind: Kind::Cast { value: Box::new(bound), to: to.clone() }, sql_type: Some(to) });
        }
        Ok(cast_to(bound, to))
    }
}

/// The refusal of a text that is not an instant, with the text that it was completed to.
fn no_timestamp(text: &str) -> Error {
    let completed = match text.split_once('T') {
        Some(_) => text.to_owned(),
        None => {
            let missing = match text.split('-').count() {
                1 => "-01-01",
                2 => "-01",
                _ => "",
            };
            format!("{text}{missing}T00:00:00.000")
        }
    };
    let message = format!("Failed to parse timestamp '{text}': Text '{completed}' could not be parsed");
    Error::invalid(message).hint(
        "the required format is \"yyyy-MM-dd'T'HH:mm:ss.SSS\", with an optional numeric 4-digit timezone, for example: \
         '2020-05-26T23:59:58.000' or with tz: '2020-05-26T23:59:58.000+0200'. A trailing 'Z' instead of tz indicates the \
         zero UTC offset. Partials are also supported, for example \"2020-05-26\"",
    )
}

/// How the text of a time is written.
fn time_form(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Date => "a DATE is written '2020-05-26'",
        SqlType::Time => "a TIME is written '23:59:58.000'",
        _ => "a TIMESTAMP is written '2020-05-26T23:59:58.000', with an offset like +0200 after it if it is not in UTC",
    }
}

/// Whether an operator compares values of these types. Collections and booleans are equal or not, but have no order.
///
/// A text compares with times but not with numbers or BYTES.
fn comparable(op: CompareOp, left: &SqlType, right: &SqlType) -> bool {
    use SqlType::{Array, Boolean, Bytes, Date, Map, String, Struct, Time, Timestamp};
    let equality = matches!(op, CompareOp::Equal | CompareOp::NotEqual | CompareOp::Distinct | CompareOp::NotDistinct);
    match (left, right) {
        (l, r) if l.is_numeric() && r.is_numeric() => true,
        (String, String) | (Bytes, Bytes) | (Time, Time) => true,
        (String, t) | (t, String) if t.is_temporal() => true,
        (Date | Timestamp, Date | Timestamp) => true,
        (Boolean, Boolean) | (Array(_), Array(_)) | (Map(..), Map(..)) | (Struct(_), Struct(_)) => equality,
        _ => false,
    }
}
