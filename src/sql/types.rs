//! Types as they are written, before the names of custom types are looked up.
//!
//! Two steps, since custom types are in the catalog and the parser does not know it: [`parse_type`] makes a
//! [`TypeName`], [`resolve`] makes an [`SqlType`] of it when the statement is compiled.
//!
//! | written | means |
//! |---|---|
//! | `INT`, `INTEGER` | INTEGER |
//! | `STRING`, `VARCHAR`, `VARCHAR(10)` | STRING, of any length |
//! | `DECIMAL(10, 2)` | ten digits, two of them after the point; both numbers are needed |
//! | `ARRAY<INT>`, `INT ARRAY` | ARRAY |
//! | `MAP<STRING, INT>` | MAP |
//! | `STRUCT<a INT, b STRING>` | STRUCT |
//! | any other name | a custom type |

use std::fmt;

use super::cursor::{Cursor, MAX_DEPTH};
use super::lexer::Token;
use super::print::{Printer, one_line};
use super::words::Ident;
use crate::error::{Error, Result, Span, nearest};
use crate::types::{MAX_PRECISION, SqlType, StructField};

/// A type as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TypeName {
    /// A base type or a custom one; parameters of other types than DECIMAL mean nothing and are dropped.
    Named(Ident),
    /// `DECIMAL(precision, scale)`.
    Decimal {
        /// The number of digits.
        precision: i64,
        /// The number of digits after the point.
        scale: i64,
        /// Where it stands.
        span: Span,
    },
    /// `ARRAY<item>`.
    Array(Box<TypeName>),
    /// `MAP<key, value>`.
    Map(Box<TypeName>, Box<TypeName>),
    /// `STRUCT<name type, …>`, and where it stands.
    Struct(Vec<(Ident, TypeName)>, Span),
}

/// Parses a type.
///
/// # Errors
/// The text is no type.
///
/// Types nest up to the depth of all syntax trees, counting `ARRAY` after a type too.
pub fn parse_type(cursor: &mut Cursor) -> Result<TypeName> {
    let mut parsed = cursor.nested(simple_type)?;
    let mut depth = 0;
    while cursor.take("ARRAY") {
        parsed = TypeName::Array(Box::new(parsed));
        depth += 1;
        if depth > MAX_DEPTH {
            return Err(cursor.too_deep());
        }
    }
    Ok(parsed)
}

/// A type, without `ARRAY` after it.
fn simple_type(cursor: &mut Cursor) -> Result<TypeName> {
    let start = cursor.span();
    if cursor.take("DECIMAL") {
        return decimal(cursor, start);
    }
    if cursor.take("ARRAY <") {
        let item = parse_type(cursor)?;
        cursor.expect(">")?;
        return Ok(TypeName::Array(Box::new(item)));
    }
    if cursor.take("MAP <") {
        let key = parse_type(cursor)?;
        if !cursor.take(",") {
            return Err(cursor.unexpected("a comma between the types of keys and values"));
        }
        let value = parse_type(cursor)?;
        cursor.expect(">")?;
        return Ok(TypeName::Map(Box::new(key), Box::new(value)));
    }
    if cursor.take("STRUCT <>") {
        return Ok(TypeName::Struct(Vec::new(), cursor.since(start)));
    }
    if cursor.is("STRUCT <") {
        cursor.advance();
        let fields = cursor.list_in("<", ">", |c| Ok((c.ident("the name of a field")?, parse_type(c)?)))?;
        return Ok(TypeName::Struct(fields, cursor.since(start)));
    }
    let name = cursor.ident("a type")?;
    if cursor.is("(") {
        parameters(cursor, &name)?;
    }
    Ok(TypeName::Named(name))
}

/// The parameters of a type such as `VARCHAR(10)`: they mean nothing.
fn parameters(cursor: &mut Cursor, name: &Ident) -> Result<()> {
    cursor.expect("(")?;
    cursor.list(|c| {
        if c.token() == Some(Token::Number) {
            return c.unsigned("a number").map(|_| ());
        }
        if c.take("STRING") {
            return Ok(());
        }
        let error = c.unexpected("a number or STRING");
        Err(match name.name.as_str() {
            "ARRAY" | "MAP" | "STRUCT" => {
                error.hint(format!("what is in it stands in angle brackets: {}<…>", name.name))
            }
            "KEY" => error.hint("KEY stands behind the type of its column: id INT PRIMARY KEY"),
            _ => error,
        })
    })?;
    cursor.expect(")")
}

/// What follows DECIMAL: precision and scale in parentheses.
fn decimal(cursor: &mut Cursor, start: Span) -> Result<TypeName> {
    const EXAMPLE: &str = "a DECIMAL has a precision and a scale, as in DECIMAL(10, 2)";
    let with_example = |error: Error| error.hint(EXAMPLE);
    cursor.expect("(").map_err(with_example)?;
    let precision = cursor.unsigned("the number of digits")?;
    cursor.expect(",").map_err(with_example)?;
    let scale = cursor.unsigned("the number of digits behind the point")?;
    cursor.expect(")")?;
    Ok(TypeName::Decimal { precision, scale, span: cursor.since(start) })
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

impl TypeName {
    /// Writes the canonical text.
    pub fn print(&self, p: &mut Printer) {
        match self {
            TypeName::Named(name) => p.put(name),
            TypeName::Decimal { precision, scale, .. } => p.put(format_args!("DECIMAL({precision}, {scale})")),
            TypeName::Array(item) => {
                p.put("ARRAY<");
                item.print(p);
                p.put(">");
            }
            TypeName::Map(key, value) => {
                p.put("MAP<");
                key.print(p);
                p.put(", ");
                value.print(p);
                p.put(">");
            }
            TypeName::Struct(fields, _) => p.list("STRUCT<", fields, ">", |p, (name, field_type)| {
                p.put(format_args!("{name} "));
                field_type.print(p);
            }),
        }
    }
}

/// The text of the type, on one line.
impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(|p| self.print(p)))
    }
}

/// The base types and their names.
const BASE_TYPES: &[(&str, SqlType)] = &[
    ("BOOLEAN", SqlType::Boolean),
    ("INT", SqlType::Integer),
    ("INTEGER", SqlType::Integer),
    ("BIGINT", SqlType::Bigint),
    ("DOUBLE", SqlType::Double),
    ("STRING", SqlType::String),
    ("VARCHAR", SqlType::String),
    ("BYTES", SqlType::Bytes),
    ("DATE", SqlType::Date),
    ("TIME", SqlType::Time),
    ("TIMESTAMP", SqlType::Timestamp),
];

/// The base type that `name` (in upper case) means, if it is one.
///
/// DECIMAL, ARRAY, MAP and STRUCT are not among them, as they need parameters.
pub fn base_type(name: &str) -> Option<SqlType> {
    BASE_TYPES.iter().find(|(known, _)| *known == name).map(|(_, found)| found.clone())
}

/// The SQL type that `written` means; `custom` looks up the types that users made.
///
/// # Errors
/// A type is unknown, or a DECIMAL has an impossible precision or scale.
///
/// A base type wins over a custom type of the same name. `custom` gets names in upper case.
pub fn resolve(written: &TypeName, custom: &dyn Fn(&str) -> Option<SqlType>) -> Result<SqlType> {
    Ok(match written {
        TypeName::Named(ident) => {
            let upper = ident.name.to_uppercase();
            match base_type(&upper).or_else(|| custom(&upper)) {
                Some(found) => found,
                None => {
                    let error = Error::missing(format!("Cannot resolve unknown type: {}", ident.name)).at(ident.span);
                    let near = nearest(&upper, BASE_TYPES.iter().map(|(known, _)| *known));
                    return Err(near.map_or(error.clone(), |near| error.hint(format!("did you mean {near}?"))));
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
        let lexed = lex("x STRUCT<a INT, n STRUCT<b INT>>, y MAP<STRING, ARRAY<INT>>");
        let mut cursor = Cursor::new(&lexed);
        let columns = cursor.list(|c| Ok((c.ident("a name")?, parse_type(c)?))).expect("two columns");
        let shown: Vec<String> = columns.iter().map(|(name, t)| format!("{name} {t}")).collect();
        assert_eq!(shown, ["X STRUCT<A INT, N STRUCT<B INT>>", "Y MAP<STRING, ARRAY<INT>>"]);
    }
}
