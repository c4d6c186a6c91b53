//! Calls of aggregate functions: where they stand, and what they mean.

use super::is_aggregate;
use crate::config::Properties;
use crate::error::{Error, Result, Span};
use crate::expr::bind::{Scope, bind};
use crate::expr::{Expr, Kind};
use crate::functions::signature::ArgType;
use crate::functions::{self, aggregate::BoundAggregate};
use crate::sql::ast::{self, Node as Ast};
use crate::types::{SqlType, Value};

/// Whether an aggregate function is called anywhere in the expression.
pub(super) fn contains_aggregate(expr: &ast::Expr) -> bool {
    first_aggregate(expr).is_some()
}

/// The first call of an aggregate function. A function over rows is none, but its arguments may have one.
pub(super) fn first_aggregate(expr: &ast::Expr) -> Option<(&str, Span)> {
    match &*expr.node {
        Ast::Over { call, over } => {
            let keys = over.partition_by.iter().chain(over.order_by.iter().map(|item| &item.expr));
            call.children().into_iter().chain(keys).find_map(first_aggregate)
        }
        Ast::Call { name, .. } | Ast::CallStar { name } if is_aggregate(&name.name) => Some((&name.name, expr.span)),
        _ => expr.children().into_iter().find_map(first_aggregate),
    }
}

/// The calls of aggregate functions in an expression, as they are written.
pub(super) fn calls_of_aggregates(expr: &ast::Expr) -> Vec<&ast::Expr> {
    match &*expr.node {
        Ast::Call { name, .. } | Ast::CallStar { name } if is_aggregate(&name.name) => vec![expr],
        _ => expr.children().into_iter().flat_map(calls_of_aggregates).collect(),
    }
}

/// How calls of aggregate functions are bound.
pub(super) struct Aggregates<'a> {
    /// Some functions have a limit among the properties.
    pub properties: &'a Properties,
    /// An expression that is never NULL: what COUNT(*) counts.
    pub counted: Expr,
    /// Whether an argument may call an aggregate function itself: where functions over rows take groups.
    pub nests: bool,
}

/// What the user of STDDEV_SAMP should know.
const NOT_THE_DEVIATION: &str =
    "STDDEV_SAMP gives the sample variance, as in ksqlDB; STDDEV_SAMPLE gives the standard deviation";

impl Aggregates<'_> {
    /// The function that a call means, with its arguments as the types that it takes.
    ///
    /// # Errors
    /// There is no such function, an argument cannot be bound, or the function does not take it.
    pub(super) fn bind(
        &self,
        name: &str,
        args: &[ast::Expr],
        names: &dyn Scope,
        span: Span,
    ) -> Result<(BoundAggregate, Vec<Expr>)> {
        let function = functions::find_aggregate(name).ok_or_else(|| functions::unknown(name, |_| true))?;
        if function.name == "STDDEV_SAMP" {
            names.warn(NOT_THE_DEVIATION.to_owned());
        }
        let mut bound = Vec::new();
        for arg in args {
            if let Some((inner, span)) = first_aggregate(arg).filter(|_| !self.nests) {
                let message = format!("Aggregate functions can not be nested: {name}({inner}())");
                return Err(Error::invalid(message).at(span));
            }
            let bound_arg = bind(arg, names).map_err(|e| e.at(arg.span))?;
            if bound_arg.sql_type.is_none() {
                return Err(Error::invalid("NULL expression not supported. expression: null").at(arg.span));
            }
            bound.push(bound_arg);
        }
        if bound.is_empty() {
            bound.push(self.counted.clone());
        }
        let types: Vec<ArgType> = bound.iter().map(|b| ArgType::Value(b.sql_type.clone())).collect();
        let literal = |(arg, bound): (&ast::Expr, &Expr)| match (&*arg.node, bound.as_constant()) {
            (Ast::Literal(_), Some(value)) => Ok(value.clone()),
            _ => Err(arg.parenthesized()),
        };
        let literals: Vec<Result<Value, String>> = args.iter().zip(&bound).map(literal).collect();
        let mut function = function.bind(&types, &literals).map_err(|e| e.at(span))?;
        if let Some(limit) = function.function.limit {
            function.constants.push(Value::Bigint(self.properties.number(limit)));
        }
        let args = bound.into_iter().zip(&function.args).map(|(arg, sql_type)| widened(arg, sql_type)).collect();
        Ok((function, args))
    }
}

/// The argument as the type that the function takes.
pub(super) fn widened(expr: Expr, to: &SqlType) -> Expr {
    match &expr.sql_type {
        None => Expr::constant(Value::Null, to.clone()),
        Some(from) if from == to => expr,
        Some(_) => Expr { kind: Kind::Cast { value: Box::new(expr), to: to.clone() }, sql_type: Some(to.clone()) },
    }
}
