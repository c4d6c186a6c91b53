//! Types as they are written, before the names of custom types are looked up.

use std::fmt;

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::words::Ident;
use crate::error::{Error, Result, Span};

/// A type as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TypeName {
    /// A base type or a custom one; parameters of other types than DECIMAL mean nothing and are dropped.
    Named(Ident),
    Decimal {
        precision: i64,
        scale: i64,
        span: Span,
    },
    Array(Box<TypeName>),
    Map(Box<TypeName>, Box<TypeName>),
    Struct(Vec<(Ident, TypeName)>, Span),
}

/// The tokens that are left of `>>` and `<>` after half of it was used.
#[derive(Default)]
struct Angles {
    /// A `>` of a `>>` that is still to be used.
    open_close: bool,
}

/// Parses a type.
pub fn parse_type(cursor: &mut Cursor) -> Result<TypeName> {
    let mut angles = Angles::default();
    let parsed = type_name(cursor, &mut angles)?;
    if angles.open_close { Err(cursor.unexpected("the end of the type")) } else { Ok(parsed) }
}

fn type_name(cursor: &mut Cursor, angles: &mut Angles) -> Result<TypeName> {
    let mut parsed = cursor.nested(|cursor| simple_type(cursor, angles))?;
    while !angles.open_close && cursor.take_keywords("ARRAY") {
        parsed = TypeName::Array(Box::new(parsed));
    }
    Ok(parsed)
}

fn simple_type(cursor: &mut Cursor, angles: &mut Angles) -> Result<TypeName> {
    let start = cursor.span();
    if cursor.take_keywords("DECIMAL") {
        return decimal(cursor, start);
    }
    let opens = matches!(cursor.peek_at(1), Some(Token::Lt | Token::Neq));
    if opens && cursor.take_keywords("ARRAY") {
        cursor.expect(&Token::Lt, "<")?;
        let item = type_name(cursor, angles)?;
        close(cursor, angles)?;
        return Ok(TypeName::Array(Box::new(item)));
    }
    if opens && cursor.take_keywords("MAP") {
        cursor.expect(&Token::Lt, "<")?;
        let key = type_name(cursor, angles)?;
        cursor.expect(&Token::Comma, "a comma between the types of keys and values")?;
        let value = type_name(cursor, angles)?;
        close(cursor, angles)?;
        return Ok(TypeName::Map(Box::new(key), Box::new(value)));
    }
    if opens && cursor.take_keywords("STRUCT") {
        return structure(cursor, angles, start);
    }
    let name = cursor.ident("a type")?;
    if cursor.take(&Token::LParen) {
        cursor.list(|c| match c.peek() {
            Some(Token::Number(..)) => c.unsigned("a number").map(|_| ()),
            _ => c.expect_keywords("STRING"),
        })?;
        cursor.expect(&Token::RParen, ")")?;
    }
    Ok(TypeName::Named(name))
}

fn decimal(cursor: &mut Cursor, start: Span) -> Result<TypeName> {
    cursor.expect(&Token::LParen, "precision and scale, as in DECIMAL(10, 2)")?;
    let precision = cursor.unsigned("the number of digits")?;
    cursor.expect(&Token::Comma, "a comma and the number of digits behind the point, as in DECIMAL(10, 2)")?;
    let scale = cursor.unsigned("the number of digits behind the point")?;
    cursor.expect(&Token::RParen, ")")?;
    Ok(TypeName::Decimal { precision, scale, span: cursor.since(start) })
}

fn structure(cursor: &mut Cursor, angles: &mut Angles, start: Span) -> Result<TypeName> {
    if cursor.take(&Token::Neq) {
        return Ok(TypeName::Struct(Vec::new(), cursor.since(start)));
    }
    cursor.expect(&Token::Lt, "<")?;
    let mut fields = Vec::new();
    if !cursor.take(&Token::Gt) {
        loop {
            fields.push((cursor.ident("the name of a field")?, type_name(cursor, angles)?));
            // With half of a `>>` in hand the struct ends here, and a comma belongs to what is around it.
            if angles.open_close || !cursor.take(&Token::Comma) {
                break;
            }
        }
        close(cursor, angles)?;
    }
    Ok(TypeName::Struct(fields, cursor.since(start)))
}

/// Takes a `>`, which may be half of a `>>`.
fn close(cursor: &mut Cursor, angles: &mut Angles) -> Result<()> {
    if std::mem::take(&mut angles.open_close) || cursor.take(&Token::Gt) {
        return Ok(());
    }
    angles.open_close = cursor.take(&Token::ShiftRight);
    if angles.open_close { Ok(()) } else { Err(cursor.unexpected(">")) }
}

impl TypeName {
    /// Where the type was written, for messages.
    pub fn span(&self) -> Span {
        match self {
            TypeName::Named(name) => name.span,
            TypeName::Decimal { span, .. } | TypeName::Struct(_, span) => *span,
            TypeName::Array(item) => item.span(),
            TypeName::Map(key, value) => key.span().to(value.span()),
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeName::Named(name) => write!(f, "{name}"),
            TypeName::Decimal { precision, scale, .. } => write!(f, "DECIMAL({precision}, {scale})"),
            TypeName::Array(item) => write!(f, "ARRAY<{item}>"),
            TypeName::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            TypeName::Struct(fields, _) => {
                f.write_str("STRUCT<")?;
                for (i, (name, field_type)) in fields.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}{name} {field_type}")?;
                }
                f.write_str(">")
            }
        }
    }
}

/// The base type that `name` (in upper case) means, if it is one.
pub fn base_type(name: &str) -> Option<crate::types::SqlType> {
    use crate::types::SqlType;
    Some(match name {
        "BOOLEAN" => SqlType::Boolean,
        "INT" | "INTEGER" => SqlType::Integer,
        "BIGINT" => SqlType::Bigint,
        "DOUBLE" => SqlType::Double,
        "STRING" | "VARCHAR" => SqlType::String,
        "BYTES" => SqlType::Bytes,
        "DATE" => SqlType::Date,
        "TIME" => SqlType::Time,
        "TIMESTAMP" => SqlType::Timestamp,
        _ => return None,
    })
}

/// The SQL type that `written` means; `custom` looks up the types that users made.
pub fn resolve(
    written: &TypeName,
    custom: &dyn Fn(&str) -> Option<crate::types::SqlType>,
) -> Result<crate::types::SqlType> {
    use crate::types::{MAX_PRECISION, SqlType, StructField};
    Ok(match written {
        TypeName::Named(ident) => {
            let upper = ident.name.to_uppercase();
            match base_type(&upper).or_else(|| custom(&upper)) {
                Some(found) => found,
                None => {
                    return Err(Error::missing(format!("Cannot resolve unknown type: {}", ident.name)).at(ident.span));
                }
            }
        }
        TypeName::Decimal { precision, scale, span } => {
            let shown = format!("DECIMAL({precision},{scale})");
            let broken = if *precision < 1 {
                format!("DECIMAL precision must be >= 1: {shown}")
            } else if precision < scale {
                format!("DECIMAL precision must be >= scale: {shown}")
            } else if *precision > i64::from(MAX_PRECISION) {
                return Err(
                    Error::unsupported(format!("DECIMAL with more than {MAX_PRECISION} digits: {shown}")).at(*span)
                );
            } else {
                return Ok(SqlType::decimal(*precision as u8, *scale as u8));
            };
            return Err(Error::invalid(broken).at(*span));
        }
        TypeName::Array(item) => SqlType::array(resolve(item, custom)?),
        TypeName::Map(key, value) => SqlType::map(resolve(key, custom)?, resolve(value, custom)?),
        TypeName::Struct(fields, span) => {
            let mut resolved: Vec<StructField> = Vec::new();
            for (name, field_type) in fields {
                let sql_type = resolve(field_type, custom)?;
                if let Some(earlier) = resolved.iter().find(|f| f.name == name.name) {
                    let message = format!(
                        "Duplicate field names found in STRUCT: '`{0}` {1}' and '`{0}` {sql_type}'",
                        name.name, earlier.sql_type
                    );
                    return Err(Error::invalid(message).at(*span));
                }
                resolved.push(StructField { name: name.name.clone(), sql_type });
            }
            SqlType::Struct(resolved)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;

    #[test]
    fn two_closing_brackets_end_two_types() {
        let lexed = lex("x STRUCT<a INT, n STRUCT<b INT>>, y MAP<STRING, ARRAY<INT>>").expect("tokens");
        let mut cursor = Cursor::new(&lexed.lexemes, lexed.end);
        let columns = cursor.list(|c| Ok((c.ident("a name")?, parse_type(c)?))).expect("two columns");
        let shown: Vec<String> = columns.iter().map(|(name, t)| format!("{name} {t}")).collect();
        assert_eq!(shown, ["X STRUCT<A INT, N STRUCT<B INT>>", "Y MAP<STRING, ARRAY<INT>>"]);
    }
}
