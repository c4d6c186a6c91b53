//! Calls of functions, with the lambdas among their arguments.
//!
//! The overload is chosen by the types of the arguments. A lambda has no type before that: its parameters get theirs from the
//! other arguments of the call, and then its body is bound. A call or field as an argument is a catch point.

use super::constants::CAST_NULL;
use super::{Binder, LambdaScope, bind, cast_to};
use crate::error::{Error, Result};
use crate::expr::{ColumnId, Expr, FIRST_PARAMETER, Kind};
use crate::functions::signature::{self, ArgType};
use crate::functions::{self, BoundScalar};
use crate::sql::ast::{self, Node};
use crate::types::{SqlType, Value};

impl Binder<'_> {
    /// A call by name.
    ///
    /// # Errors
    /// Missing if there is no scalar function of this name, with the nearest one that takes such arguments as a hint.
    pub(super) fn call(&self, name: &str, args: &[ast::Expr]) -> Result<Expr> {
        match functions::find_scalar(name) {
            Some(function) => self.call_of(function, args),
            None => Err(self.unknown(name, args)),
        }
    }

    /// The refusal of a name that is not a function. A scalar function is suggested only if it takes the arguments.
    fn unknown(&self, name: &str, args: &[ast::Expr]) -> Error {
        let arg_type = |arg: &ast::Expr| match &*arg.node {
            Node::Unit(_) => Some(ArgType::Unit),
            Node::Lambda { .. } => None,
            _ => self.bind(arg).ok().map(|bound| ArgType::Value(bound.sql_type)),
        };
        let types: Option<Vec<ArgType>> = args.iter().map(arg_type).collect();
        let no_lambda = |_: usize, _: &[SqlType]| Err(Error::bug("there is no lambda"));
        functions::unknown(name, |known| match (functions::find_scalar(known), &types) {
            (Some(function), Some(types)) => function.bind(types, no_lambda).is_ok(),
            _ => true,
        })
    }

    /// A call of a function that is known.
    pub(super) fn call_of(&self, function: &'static functions::Scalar, args: &[ast::Expr]) -> Result<Expr> {
        let mut types = Vec::new();
        let mut bound = Vec::new();
        for arg in args {
            match &*arg.node {
                Node::Unit(unit) => {
                    types.push(ArgType::Unit);
                    bound.push(Expr::constant(Value::String(unit.name().to_owned()), SqlType::String));
                }
                Node::Lambda { params, .. } => {
                    types.push(ArgType::Lambda(params.len()));
                    // The body can be bound when the types of the parameters are known.
                    bound.push(Expr::null());
                }
                _ => {
                    let arg = self.bind(arg)?;
                    types.push(ArgType::Value(arg.sql_type.clone()));
                    let catches = matches!(arg.kind, Kind::Call { .. } | Kind::Field { .. });
                    let sql_type = arg.sql_type.clone();
                    bound.push(if catches { Expr { kind: Kind::Catch(Box::new(arg)), sql_type } } else { arg });
                }
            }
        }
        let chosen = function.bind(&types, |at, params| {
            bound[at] = self.lambda(&args[at], params)?;
            Ok(bound[at].result_type())
        })?;
        self.check_constants(args, &chosen, &bound)?;
        let args = bound.into_iter().zip(&chosen.args).map(|(arg, to)| cast_to(arg, to.clone())).collect();
        let sql_type = Some(chosen.returns.clone());
        Ok(Expr { kind: Kind::Call { function: chosen, args }, sql_type })
    }

    /// A lambda whose parameters have these types.
    ///
    /// Parameters are numbered on from those of the lambdas around, so that a nested body reads all of them from one
    /// row.
    ///
    /// # Errors
    /// Invalid, with ksqlDB's messages: a parameter has the name of a column, of an outer parameter or of another one
    /// of its own.
    fn lambda(&self, written: &ast::Expr, types: &[SqlType]) -> Result<Expr> {
        let Node::Lambda { params, body } = &*written.node else {
            return Err(Error::bug(format!("{written} is not a lambda")));
        };
        let mut named = self.scope.parameters().to_vec();
        for (param, sql_type) in params.iter().zip(types) {
            if self.scope.column(None, param).is_ok() {
                let message = match self.scope.parameters().iter().any(|(name, _)| *name == param.name) {
                    true => "Reusing lambda arguments in nested lambda is not allowed".to_owned(),
                    false => format!("Lambda function argument can't be a column name: {}", param.name),
                };
                return Err(Error::invalid(message).at(param.span));
            }
            if named.iter().any(|(name, _)| *name == param.name) {
                let all: Vec<&str> = params.iter().map(|p| p.name.as_str()).collect();
                let message = format!("Lambda arguments have duplicates: [{}]", all.join(", "));
                return Err(Error::invalid(message).at(param.span));
            }
            let id = FIRST_PARAMETER + named.len() as ColumnId;
            named.push((param.name.clone(), Expr::column(id, sql_type.clone())));
        }
        let body = bind(body, &LambdaScope { outer: self.scope, named })?;
        let Some(sql_type) = body.sql_type.clone() else {
            return Err(Error::invalid("the result of the lambda is NULL and has no type")
                .at(written.span)
                .hint(CAST_NULL));
        };
        Ok(Expr { kind: Kind::Lambda(Box::new(body)), sql_type: Some(sql_type) })
    }

    /// Refuses constants with which every call would fail, or warns of them.
    ///
    /// Each constant is judged by what its parameter stands for, together with the constant before it.
    fn check_constants(&self, written: &[ast::Expr], call: &BoundScalar, args: &[Expr]) -> Result<()> {
        for (at, arg) in args.iter().enumerate() {
            let Some(value) = arg.as_constant() else { continue };
            let Some(param) = signature::parameter(call.overload.params, args.len(), at) else { continue };
            let before = at.checked_sub(1).and_then(|before| args[before].as_constant());
            let Err(misuse) = param.meaning.check(value, before) else { continue };
            let message = format!("{}: {}", call.function.name, misuse.message);
            if misuse.refused {
                return Err(Error::invalid(message).at(written[at].span).hint(misuse.hint));
            }
            self.scope.warn(format!("{message}, so that the result is always NULL; {}", misuse.hint));
        }
        Ok(())
    }
}
