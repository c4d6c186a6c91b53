//! Arrays, maps and structs: taken apart and made.
//!
//! The items of an array, and the keys and the values of a map, are brought to one type each. What could have no type, such as an
//! empty array or one of NULLs alone, is refused with the advice to CAST.

use super::constants::CAST_NULL;
use super::{Binder, shown};
use crate::error::{Error, Result};
use crate::expr::common::common;
use crate::expr::{Expr, Kind};
use crate::sql::ast;
use crate::sql::words::Ident;
use crate::types::{SqlType, StructField, Value};

impl Binder<'_> {
    /// `base[index]` of an array or a map.
    pub(super) fn subscript(&self, base: &ast::Expr, index: &ast::Expr) -> Result<Expr> {
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

    /// `base->field`.
    pub(super) fn field(&self, base: &ast::Expr, field: &Ident) -> Result<Expr> {
        let bound = self.bind(base)?;
        let Some(SqlType::Struct(fields)) = &bound.sql_type else {
            return Err(Error::invalid(format!("Expected STRUCT type, got: {}", shown(&bound))));
        };
        let Some(index) = fields.iter().position(|f| f.name == field.name) else {
            let message = format!("Could not find field '{}' in '{}'.", field.name, base.parenthesized());
            let error = Error::missing(message).at(field.span);
            let known = fields.iter().map(|f| f.name.as_str());
            return Err(error.suggest(&field.name, known, |known| Ident::new(known).to_string()));
        };
        let sql_type = Some(fields[index].sql_type.clone());
        Ok(Expr { kind: Kind::Field { base: Box::new(bound), index }, sql_type })
    }

    /// `ARRAY[items]`.
    pub(super) fn array(&self, items: &[ast::Expr]) -> Result<Expr> {
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

    /// `MAP(key := value, …)`. Constant keys must differ.
    pub(super) fn map(&self, pairs: &[(ast::Expr, ast::Expr)]) -> Result<Expr> {
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

    /// `STRUCT(name := value, …)`. Names must differ.
    pub(super) fn structure(&self, fields: &[(Ident, ast::Expr)]) -> Result<Expr> {
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
