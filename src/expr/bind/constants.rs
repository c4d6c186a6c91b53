//! Literals, and the values of expressions without columns.
//!
//! A constant is evaluated as every other expression is, over one row without columns, so that it gives what it would give in a
//! query. INSERT VALUES and the folding of constants evaluate strictly: a part that fails is not taken for NULL.

use crate::error::{Error, Result};
use crate::expr::{Compiled, Evaluation, Expr, Halt, Input};
use crate::sql::ast::Literal;
use crate::types::{Decimal, SqlType, Value};

/// The constant that a literal stands for.
pub(super) fn constant(literal: &Literal) -> Result<Expr> {
    Ok(match literal {
        Literal::Null => Expr::null(),
        Literal::Boolean(v) => Expr::constant(Value::Boolean(*v), SqlType::Boolean),
        Literal::Integer(v) => Expr::constant(Value::Integer(*v), SqlType::Integer),
        Literal::Bigint(v) => Expr::constant(Value::Bigint(*v), SqlType::Bigint),
        Literal::Double(v) => Expr::constant(Value::Double(*v), SqlType::Double),
        Literal::String(v) => Expr::constant(Value::String(v.clone()), SqlType::String),
        Literal::Decimal(text) => {
            let (value, sql_type) = decimal_literal(text)
                .ok_or_else(|| Error::unsupported(format!("a decimal number of more than 76 digits: {text}")))
                .map_err(|error| error.hint("write it as a DOUBLE, with an exponent: 1e80"))?;
            Expr::constant(Value::Decimal(value), sql_type)
        }
        Literal::Variable(text) => return Err(Error::missing(format!("The variable {text} is not defined."))),
    })
}

/// A decimal's type follows from its text: below 1 all digits are after the point, and there is one more before it.
///
/// `0.05` is DECIMAL(3, 2), `12.50` is DECIMAL(4, 2) and `1.` is DECIMAL(1, 0). `None` for more digits than a DECIMAL
/// can have.
fn decimal_literal(text: &str) -> Option<(Decimal, SqlType)> {
    let value = Decimal::parse(text)?;
    let scale = u8::try_from(value.scale).ok()?;
    let precision = u8::try_from(value.precision()).ok()?;
    let precision = if precision <= scale { scale.checked_add(1)? } else { precision };
    (precision <= crate::types::MAX_PRECISION).then(|| (value, SqlType::decimal(precision, scale)))
}

/// The value of an expression without columns, NULL in parts that cannot be computed; `None` if the whole cannot be.
///
/// # Errors
/// A bug; data never gives an error.
///
/// # Panics
/// If the expression reads a column.
pub fn evaluate_constant(expr: &Expr) -> Result<Option<Value>> {
    let evaluated = evaluate(&expr.compile(&[]))?;
    let value = || Value::at(evaluated.values.as_ref(), 0, &expr.result_type());
    Ok(evaluated.ended.is_none().then(value))
}

/// The value of an expression without columns, or why it, or a part of it, cannot be computed.
///
/// The outer error is a bug, the inner one a sentence for the user.
pub fn evaluate_strictly(expr: &Expr) -> Result<Result<Value, String>> {
    let compiled = expr.compile(&[]);
    let evaluated = evaluate(&compiled)?;
    if evaluated.failed.is_some() {
        return Ok(Err(compiled.reason(&Input::all(&[], 1), 0)));
    }
    if evaluated.ended.is_some() {
        return Ok(Err("an operand is NULL".to_owned()));
    }
    Ok(Ok(Value::at(evaluated.values.as_ref(), 0, &expr.result_type())))
}

/// What a compiled expression without columns gives for its only row.
fn evaluate(compiled: &Compiled) -> Result<Evaluation> {
    compiled.eval(&Input::all(&[], 1)).map_err(|halt| match halt {
        Halt::Bug(error) => error,
        Halt::TooMuch => Error::bug("one row is said to be too many"),
    })
}

/// The advice where a NULL has no type.
pub(super) const CAST_NULL: &str = "CAST a NULL to the type that is meant";
