//! Syntax trees to typed expressions: names are looked up, types checked, and widening and catch points put in.

use super::coerce::{arithmetic_type, can_cast};
use super::common::common;
use super::like::Pattern;
use super::{ColumnId, Expr, FIRST_PARAMETER, Kind, Rows};
use crate::error::{Error, Result};
use crate::functions;
use crate::functions::signature::ArgType;
use crate::sql::ast::{self, ArithmeticOp, CompareOp, Literal, Node};
use crate::sql::types::{TypeName, resolve};
use crate::sql::words::Ident;
use crate::types::{Decimal, SqlType, StructField, Value, parse};

/// What the names in an expression mean.
pub trait Scope {
    /// The column that is meant.
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr>;

    /// The column that stands for this whole expression, if one does: a grouping or an aggregate behind GROUP BY.
    fn substitute(&self, expr: &ast::Expr) -> Result<Option<Expr>> {
        let _ = expr;
        Ok(None)
    }

    /// Whether the column holds instants in milliseconds that may be compared with texts here.
    fn is_instant(&self, column: super::ColumnId) -> bool {
        let _ = column;
        false
    }

    /// The parameters of the lambdas around, from the outermost on.
    fn parameters(&self) -> &[(String, Expr)] {
        &[]
    }

    /// The type that a user gave this name (in upper case).
    fn custom_type(&self, name: &str) -> Option<SqlType> {
        let _ = name;
        None
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

    fn substitute(&self, expr: &ast::Expr) -> Result<Option<Expr>> {
        self.outer.substitute(expr)
    }

    fn is_instant(&self, column: ColumnId) -> bool {
        self.outer.is_instant(column)
    }

    fn parameters(&self) -> &[(String, Expr)] {
        &self.named
    }

    fn custom_type(&self, name: &str) -> Option<SqlType> {
        self.outer.custom_type(name)
    }
}

/// Makes a typed expression.
pub fn bind(expr: &ast::Expr, scope: &dyn Scope) -> Result<Expr> {
    Binder { scope }.bind(expr)
}

/// Makes a call of a function with these arguments.
pub fn bind_call(function: &'static functions::Scalar, args: &[ast::Expr], scope: &dyn Scope) -> Result<Expr> {
    Binder { scope }.call_of(function, args)
}

/// Makes a condition: an expression that is BOOLEAN; `clause` names it in the refusal.
pub fn bind_condition(expr: &ast::Expr, scope: &dyn Scope, clause: &str) -> Result<Expr> {
    let bound = bind(expr, scope)?;
    match &bound.sql_type {
        Some(SqlType::Boolean) | None => Ok(bound),
        Some(other) => {
            let message = format!(
                "Type error in {clause} expression: Should evaluate to boolean but is {expr} ({other}) instead."
            );
            Err(Error::invalid(message).at(expr.span))
        }
    }
}

/// The value of an expression without columns.
pub fn evaluate_constant(expr: &Expr) -> Result<Option<Value>> {
    let mut caught = super::Caught::default();
    let out = expr.compile(&[]).eval(&mut Rows { columns: &[], count: 1, caught: &mut caught })?;
    if out.failed.is_some() {
        return Ok(None);
    }
    Ok(Some(Value::at(out.values.array().as_ref(), 0, &expr.result_type())))
}

/// The same where a part that could not be computed fails the whole instead of being NULL.
pub fn evaluate_strictly(expr: &Expr) -> Result<Option<Value>> {
    let mut caught = super::Caught::default();
    let out = expr.compile(&[]).eval(&mut Rows { columns: &[], count: 1, caught: &mut caught })?;
    let failed = out.failed.is_some() || caught.count > 0;
    Ok((!failed).then(|| Value::at(out.values.array().as_ref(), 0, &expr.result_type())))
}

struct Binder<'a> {
    scope: &'a dyn Scope,
}

impl Binder<'_> {
    fn bind(&self, expr: &ast::Expr) -> Result<Expr> {
        if let Some(column) = self.scope.substitute(expr)? {
            return Ok(column);
        }
        let bound = stacker::maybe_grow(128 << 10, 2 << 20, || self.node(expr)).map_err(|e| e.at(expr.span))?;
        fold(bound)
    }

    fn node(&self, expr: &ast::Expr) -> Result<Expr> {
        let boolean = |kind| Ok(Expr { kind, sql_type: Some(SqlType::Boolean) });
        match &*expr.node {
            Node::Literal(literal) => constant(literal),
            Node::Column { source, name } => self.scope.column(source.as_ref(), name),
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
            Node::Like { value, pattern, escape, negated } => self.like(value, pattern, *escape, *negated),
            Node::Case { operand, branches, otherwise } => self.case(operand.as_ref(), branches, otherwise.as_ref()),
            Node::Cast { value, to } => self.cast(value, to),
            Node::Call { name, args } => self.call(&name.name, args),
            // `*` stands for rows, of which only aggregates make something.
            Node::CallStar { name } => self.call(&name.name, &[]),
            Node::CallDistinct { name, .. } => Err(Error::unsupported(format!("{}(DISTINCT …)", name.name))),
            Node::Over { .. } => Err(Error::unsupported("OVER")),
            Node::Unit(unit) => Err(Error::invalid(format!("{} is no value", unit.name()))),
            Node::Lambda { .. } => Err(Error::invalid("a lambda stands only as an argument of a function")),
            Node::Subscript { base, index } => self.subscript(base, index),
            Node::Field { base, field } => self.field(base, field),
            Node::ArrayOf(items) => self.array(items),
            Node::MapOf(pairs) => self.map(pairs),
            Node::StructOf(fields) => self.structure(fields),
            Node::AtTimeZone { .. } => Err(Error::unsupported("AT TIME ZONE")),
        }
    }

    fn conditions(&self, items: &[ast::Expr]) -> Result<Vec<Expr>> {
        items.iter().map(|item| self.condition(item)).collect()
    }

    fn condition(&self, item: &ast::Expr) -> Result<Expr> {
        let bound = self.bind(item)?;
        match &bound.sql_type {
            Some(SqlType::Boolean) | None => Ok(bound),
            Some(other) => Err(Error::invalid(format!("{item} is {other}, where a BOOLEAN is needed")).at(item.span)),
        }
    }

    /// What has a sign before it, and its type.
    fn signed(&self, value: &ast::Expr) -> Result<(Expr, SqlType)> {
        let bound = self.bind(value)?;
        match bound.sql_type.clone().filter(SqlType::is_numeric) {
            Some(sql_type) => Ok((bound, sql_type)),
            None => {
                let message = format!("{value} is {}, no number to have a sign", shown(&bound));
                Err(Error::invalid(message).at(value.span))
            }
        }
    }

    fn arithmetic(&self, op: ArithmeticOp, left: &ast::Expr, right: &ast::Expr) -> Result<Expr> {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        let (Some(l), Some(r)) = (&left.sql_type, &right.sql_type) else {
            let message = format!("Arithmetic on types {} and {} are not supported.", shown(&left), shown(&right));
            return Err(Error::invalid(message));
        };
        let Some(sql_type) = arithmetic_type(op, l, r) else {
            return Err(Error::invalid(format!("Unsupported arithmetic types. {l} {r}")));
        };
        let kind = Kind::Arithmetic { op, left: Box::new(left), right: Box::new(right) };
        Ok(Expr { kind, sql_type: Some(sql_type) })
    }

    /// A comparison; a written text that is compared with an instant's milliseconds is read as an instant.
    fn compare(&self, op: CompareOp, left: &ast::Expr, right: &ast::Expr, expr: &ast::Expr) -> Result<Expr> {
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
        compare(op, read(bound_left, left, to_left)?, read(bound_right, right, to_right)?, expr)
    }

    fn is_in(&self, value: &ast::Expr, list: &[ast::Expr], negated: bool) -> Result<Expr> {
        let value = self.bind(value)?;
        let items: Vec<Expr> = list.iter().map(|item| self.bind(item)).collect::<Result<_>>()?;
        let items = items.into_iter().filter(|item| item.sql_type.is_some());
        let mut all = common(std::iter::once(value).chain(items).collect())?;
        let value = Box::new(all.remove(0));
        negate_if(negated, Kind::In { value, list: all })
    }

    fn like(&self, value: &ast::Expr, pattern: &ast::Expr, escape: Option<char>, negated: bool) -> Result<Expr> {
        let text = |e: &ast::Expr| -> Result<Box<Expr>> {
            let bound = self.bind(e)?;
            match &bound.sql_type {
                Some(SqlType::String) | None => Ok(Box::new(bound)),
                Some(other) => {
                    Err(Error::invalid(format!("{value} LIKE {pattern} compares strings, {e} is {other}")).at(e.span))
                }
            }
        };
        let (value, pattern) = (text(value)?, text(pattern)?);
        let fixed = match pattern.as_constant() {
            Some(Value::String(text)) => Pattern::new(text, escape),
            _ => None,
        };
        negate_if(negated, Kind::Like { value, pattern, escape, fixed })
    }

    fn case(
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

    fn cast(&self, value: &ast::Expr, to: &TypeName) -> Result<Expr> {
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

    fn call(&self, name: &str, args: &[ast::Expr]) -> Result<Expr> {
        self.call_of(functions::find_scalar(name).ok_or_else(|| functions::unknown(name))?, args)
    }

    fn call_of(&self, function: &'static functions::Scalar, args: &[ast::Expr]) -> Result<Expr> {
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
        let args = bound.into_iter().zip(&chosen.args).map(|(arg, to)| cast_to(arg, to.clone())).collect();
        let sql_type = Some(chosen.returns.clone());
        Ok(Expr { kind: Kind::Call { function: chosen, args }, sql_type })
    }

    /// A lambda whose parameters have these types.
    fn lambda(&self, written: &ast::Expr, types: &[SqlType]) -> Result<Expr> {
        let Node::Lambda { params, body } = &*written.node else {
            return Err(Error::bug(format!("{written} is no lambda")));
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
            return Err(Error::invalid("what the lambda gives is NULL and has no type")
                .at(written.span)
                .hint(CAST_NULL));
        };
        Ok(Expr { kind: Kind::Lambda(Box::new(body)), sql_type: Some(sql_type) })
    }

    fn subscript(&self, base: &ast::Expr, index: &ast::Expr) -> Result<Expr> {
        let (bound, mut at) = (self.bind(base)?, self.bind(index)?);
        if let (Some(SqlType::Array(_)), Some(Value::Bigint(place))) = (&bound.sql_type, at.as_constant()) {
            // Java cuts a constant to 32 bits, and refuses to cut anything else.
            at = Expr::constant(Value::Integer(*place as i32), SqlType::Integer);
        }
        match bound.sql_type.clone() {
            Some(SqlType::Array(item)) if at.sql_type == Some(SqlType::Integer) => {
                let kind = Kind::Index { base: Box::new(bound), index: Box::new(at) };
                Ok(Expr { kind, sql_type: Some(*item) })
            }
            Some(SqlType::Array(_)) => {
                Err(Error::invalid(format!("the index of an array is an INTEGER, {index} is {}", shown(&at))))
            }
            Some(SqlType::Map(_, value)) => {
                let kind = Kind::Lookup { base: Box::new(bound), key: Box::new(at) };
                Ok(Expr { kind, sql_type: Some(*value) })
            }
            Some(sql_type @ SqlType::Struct(_)) => Err(Error::invalid(format!(
                "Subscript expression ({base}[{index}]) do not apply to {sql_type}. Use the dereference operator for STRUCTS"
            ))),
            _ => Err(Error::invalid(format!("{base} is {}, neither ARRAY nor MAP", shown(&bound)))),
        }
    }

    fn field(&self, base: &ast::Expr, field: &Ident) -> Result<Expr> {
        let bound = self.bind(base)?;
        let Some(SqlType::Struct(fields)) = &bound.sql_type else {
            return Err(Error::invalid(format!("Expected STRUCT type, got: {}", shown(&bound))));
        };
        let Some(index) = fields.iter().position(|f| f.name == field.name) else {
            let message = format!("Could not find field '{}' in '{}'.", field.name, base.parenthesized());
            let error = Error::missing(message).at(field.span);
            let near = crate::error::nearest(&field.name, fields.iter().map(|f| f.name.as_str()));
            return Err(near.map_or(error.clone(), |n| error.hint(format!("did you mean {n}?"))));
        };
        let sql_type = Some(fields[index].sql_type.clone());
        Ok(Expr { kind: Kind::Field { base: Box::new(bound), index }, sql_type })
    }

    fn array(&self, items: &[ast::Expr]) -> Result<Expr> {
        if items.is_empty() {
            let message = "Array constructor cannot be empty. Please supply at least one element";
            return Err(Error::invalid(message).hint("CAST an array of NULL to make an empty array's type known"));
        }
        let items = common(items.iter().map(|e| self.bind(e)).collect::<Result<_>>()?)?;
        let Some(item) = items[0].sql_type.clone() else {
            return Err(Error::invalid("Cannot construct an array with all NULL elements").hint(CAST_NULL));
        };
        Ok(Expr { kind: Kind::Array(items), sql_type: Some(SqlType::array(item)) })
    }

    fn map(&self, pairs: &[(ast::Expr, ast::Expr)]) -> Result<Expr> {
        if pairs.is_empty() {
            let message = "Map constructor cannot be empty. Please supply at least one key value pair";
            return Err(Error::invalid(message));
        }
        let bind_all = |side: fn(&(ast::Expr, ast::Expr)) -> &ast::Expr| -> Result<Vec<Expr>> {
            common(pairs.iter().map(|pair| self.bind(side(pair))).collect::<Result<_>>()?)
        };
        let (keys, values) = (bind_all(|p| &p.0)?, bind_all(|p| &p.1)?);
        let Some(key) = keys[0].sql_type.clone() else {
            return Err(Error::invalid("Cannot construct a map with all NULL keys").hint(CAST_NULL));
        };
        let Some(value) = values[0].sql_type.clone() else {
            return Err(Error::invalid("Cannot construct a map with all NULL values").hint(CAST_NULL));
        };
        if let Some(twice) = keys.iter().enumerate().find(|(i, k)| k.as_constant().is_some() && keys[..*i].contains(k))
        {
            return Err(Error::invalid(format!("Multiple entries with same key: {}", pairs[twice.0].0)));
        }
        let pairs = keys.into_iter().zip(values).collect();
        Ok(Expr { kind: Kind::Map(pairs), sql_type: Some(SqlType::map(key, value)) })
    }

    fn structure(&self, fields: &[(Ident, ast::Expr)]) -> Result<Expr> {
        let mut types: Vec<StructField> = Vec::new();
        let mut items = Vec::new();
        for (name, value) in fields {
            let item = self.bind(value)?;
            if let (Some(earlier), Some(sql_type)) = (types.iter().find(|t| t.name == name.name), &item.sql_type) {
                let message = format!(
                    "Duplicate field names found in STRUCT: '`{0}` {1}' and '`{0}` {sql_type}'",
                    name.name, earlier.sql_type
                );
                return Err(Error::invalid(message).at(name.span));
            }
            let Some(sql_type) = item.sql_type.clone() else {
                let message = format!("the field '{}' is NULL and has no type", name.name);
                return Err(Error::invalid(message).hint(CAST_NULL));
            };
            types.push(StructField { name: name.name.clone(), sql_type });
            items.push(item);
        }
        Ok(Expr { kind: Kind::Struct(items), sql_type: Some(SqlType::Struct(types)) })
    }
}

/// The refusal of a text that is no instant, with what it was completed to.
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

const CAST_NULL: &str = "CAST a NULL to the type that is meant";

/// The type as messages show it.
fn shown(expr: &Expr) -> String {
    expr.sql_type.as_ref().map_or_else(|| "null".to_owned(), SqlType::to_string)
}

fn negate_if(negated: bool, kind: Kind) -> Result<Expr> {
    let sql_type = Some(SqlType::Boolean);
    let expr = Expr { kind, sql_type: sql_type.clone() };
    Ok(if negated { Expr { kind: Kind::Not(Box::new(expr)), sql_type } } else { expr })
}

fn constant(literal: &Literal) -> Result<Expr> {
    Ok(match literal {
        Literal::Null => Expr::null(),
        Literal::Boolean(v) => Expr::constant(Value::Boolean(*v), SqlType::Boolean),
        Literal::Integer(v) => Expr::constant(Value::Integer(*v), SqlType::Integer),
        Literal::Bigint(v) => Expr::constant(Value::Bigint(*v), SqlType::Bigint),
        Literal::Double(v) => Expr::constant(Value::Double(*v), SqlType::Double),
        Literal::String(v) => Expr::constant(Value::String(v.clone()), SqlType::String),
        Literal::Decimal(text) => {
            let (value, sql_type) = decimal_literal(text)
                .ok_or_else(|| Error::unsupported(format!("a decimal number of more than 76 digits: {text}")))?;
            Expr::constant(Value::Decimal(value), sql_type)
        }
        Literal::Variable(text) => return Err(Error::missing(format!("The variable {text} is not defined."))),
    })
}

/// A decimal's type is read off its text: below 1 all digits are behind the point, and one more before it.
fn decimal_literal(text: &str) -> Option<(Decimal, SqlType)> {
    let value = Decimal::parse(text)?;
    let scale = u8::try_from(value.scale).ok()?;
    let precision = u8::try_from(value.precision()).ok()?;
    let precision = if precision <= scale { scale.checked_add(1)? } else { precision };
    (precision <= crate::types::MAX_PRECISION).then(|| (value, SqlType::decimal(precision, scale)))
}

/// The expression as one of type `to`.
pub(super) fn cast_to(expr: Expr, to: SqlType) -> Expr {
    match &expr.sql_type {
        None => Expr::constant(Value::Null, to),
        Some(from) if *from == to => expr,
        _ => Expr { kind: Kind::Cast { value: Box::new(expr), to: to.clone() }, sql_type: Some(to) },
    }
}

fn compare(op: CompareOp, left: Expr, right: Expr, expr: &ast::Expr) -> Result<Expr> {
    let (Some(l), Some(r)) = (&left.sql_type, &right.sql_type) else {
        let message = format!("Comparison with NULL not supported: {} {} {}", shown(&left), op.symbol(), shown(&right));
        return Err(Error::invalid(message).at(expr.span).hint("use IS NULL or IS NOT NULL"));
    };
    if !comparable(op, l, r) {
        let message = format!("Cannot compare {l} to {r} with {}: {expr}", op.name());
        return Err(Error::invalid(message).at(expr.span).hint("CAST one side to the other's type"));
    }
    let kind = Kind::Compare { op, left: Box::new(left), right: Box::new(right) };
    Ok(Expr { kind, sql_type: Some(SqlType::Boolean) })
}

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

/// Evaluates an expression of constants, unless something in it fails or a function without arguments is in it.
fn fold(expr: Expr) -> Result<Expr> {
    let children = expr.children();
    if children.is_empty() || expr.sql_type.is_none() || !children.iter().all(|c| c.as_constant().is_some()) {
        return Ok(expr);
    }
    let sql_type = expr.result_type();
    Ok(match evaluate_strictly(&expr)? {
        Some(value) => Expr::constant(value, sql_type),
        None => expr,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let null = arrow::array::new_null_array(&SqlType::Integer.arrow(), 1);
        let mut caught = crate::expr::Caught::default();
        let mut rows = Rows { columns: &[null], count: 1, caught: &mut caught };
        let (array, failed) = expr.eval_column(&mut rows).expect("no bug");
        let value = Value::at(array.as_ref(), 0, &expr.result_type()).to_text();
        if failed.is_some_and(|f| f.value(0)) { format!("{value}!") } else { value }
    }

    #[test]
    fn null_and_errors_are_ksqldbs() {
        for (text, result) in [
            ("I + 1", "null!"),
            ("NOT (I = 1)", "true"),
            ("I NOT IN (1, 2)", "true"),
            ("I IS NULL", "true"),
            ("I = 1 AND I + 1 = 2", "false"),
            ("I + 1 = 2 AND I = 1", "null!"),
            ("1 / 0", "null!"),
            ("COALESCE(ABS(I + 1), 7)", "7"),
            ("COALESCE(I + 1, 7)", "null!"),
            ("CAST(I + 1 AS STRING)", "null"),
            ("CAST('x' AS INT)", "null"),
            ("CASE WHEN I = 1 THEN 'a' ELSE 'b' END", "b"),
            ("ARRAY[1, I / 0][1]", "1"),
            ("ARRAY[1, 2][-1]", "2"),
            ("MAP('a' := 1)['b']", "null"),
            ("STRUCT(A := 1.50)->A", "1.50"),
            ("10.00 / 4", "2.5000000000000"),
            ("10.00 / 3", "null!"),
            ("'a' LIKE '_' AND 2 BETWEEN 1 AND 3", "true"),
            ("1 IN ('1', 2)", "true"),
            ("1 = 'a'", "Cannot compare INTEGER to STRING with EQUAL: 1 = 'a'"),
            ("FOO(1)", "Can't find any functions with the name 'FOO'"),
        ] {
            assert_eq!(run(text), result, "{text}");
        }
    }
}
