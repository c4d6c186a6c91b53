//! Parameters of prepared statements: values in PostgreSQL's forms, and constants of our language that take the place
//! of `$1` in a statement, token by token.

use std::fmt::Write;

use crate::sql::lexer::{Lexed, Lexeme, Token, lex};

use super::refused::{Refused, code};
use super::types;
use super::values::{DAY_MS, EPOCH_DAYS};
use crate::types::{Decimal, Value, parse, text};

/// The most parameters that a statement may have: a message counts them in 16 bits.
const MOST: usize = 65_535;

/// A parameter in a text.
pub(super) struct Placeholder {
    /// Its number, from 0.
    pub number: usize,
    /// The byte at which it begins, and the one after its end.
    pub at: (usize, usize),
    /// How many tokens stand before it.
    pub before: usize,
}

/// The parameters of a text in their order. What stands in quotes and comments is none.
///
/// # Errors
/// The number of one is 0 or too large.
pub(super) fn placeholders(lexed: &Lexed) -> Result<Vec<Placeholder>, Refused> {
    let mut found = Vec::new();
    for (before, two) in lexed.lexemes.windows(2).enumerate() {
        let [dollar, number] = two else { continue };
        let is_one = is_dollar(dollar) && number.token == Token::Number && number.at == dollar.at + 1;
        if !is_one {
            continue;
        }
        let wrong = || Refused::new(code::SYNTAX, format!("there is no parameter ${}", number.text));
        let counted: usize = number.text.parse().map_err(|_| wrong())?;
        let counted = counted.checked_sub(1).filter(|number| *number < MOST).ok_or_else(wrong)?;
        found.push(Placeholder { number: counted, at: (dollar.at, number.at + number.text.len()), before });
    }
    Ok(found)
}

fn is_dollar(lexeme: &Lexeme) -> bool {
    lexeme.token == Token::Unknown && lexeme.text == "$"
}

/// A text in which constants have taken the places of parameters.
pub(super) struct Bound {
    pub text: String,
    /// Where constants stand: the character after each in the new text, and by how many the text before has grown.
    shifts: Vec<(usize, isize)>,
}

impl Bound {
    /// Puts a constant in the place of each parameter.
    pub(super) fn new(
        text: &str,
        constant: impl Fn(&Placeholder) -> Result<String, Refused>,
    ) -> Result<Bound, Refused> {
        let (mut bound, mut from) = (Bound { text: String::with_capacity(text.len()), shifts: Vec::new() }, 0);
        let mut shift = 0;
        for placeholder in placeholders(&lex(text))? {
            let (start, end) = placeholder.at;
            bound.text.push_str(&text[from..start]);
            let constant = constant(&placeholder)?;
            bound.text.push_str(&constant);
            shift += constant.chars().count() as isize - (end - start) as isize;
            bound.shifts.push((bound.text.chars().count(), shift));
            from = end;
        }
        bound.text.push_str(&text[from..]);
        Ok(bound)
    }

    /// The place in the client's text that a place in the new one stands for; both count characters from 1.
    pub(super) fn origin(&self, position: usize) -> usize {
        let before = self.shifts.iter().take_while(|(after, _)| *after < position).last();
        position.saturating_add_signed(-before.map_or(0, |(_, shift)| *shift)).max(1)
    }
}

/// The value of a parameter of a type; None for the bytes is NULL.
///
/// # Errors
/// The type is not known, or the bytes are none of it.
pub(super) fn value(oid: u32, bytes: Option<&[u8]>, is_binary: bool) -> Result<Value, Refused> {
    if !is_known(oid) {
        return Err(Refused::new(
            code::UNSUPPORTED,
            format!("parameters of the type with OID {oid} are not supported"),
        ));
    }
    let Some(bytes) = bytes else { return Ok(Value::Null) };
    let parsed = if is_binary { from_binary(oid, bytes) } else { from_text(oid, bytes) };
    let name = types::find(oid).map_or("", |known| known.name);
    parsed.ok_or_else(|| Refused::new(code::BAD_PARAMETER, format!("the value of a parameter is no {name}")))
}

/// Whether parameters may have the type.
fn is_known(oid: u32) -> bool {
    types::find(oid).is_some() && oid != types::CHAR
}

fn from_text(oid: u32, bytes: &[u8]) -> Option<Value> {
    let written = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))?;
    let trimmed = written.trim();
    Some(match oid {
        types::BOOL => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Value::Boolean(true),
            "f" | "false" | "n" | "no" | "off" | "0" => Value::Boolean(false),
            _ => return None,
        },
        types::INT2 | types::INT4 => Value::Integer(trimmed.parse().ok()?),
        types::INT8 | types::OID => Value::Bigint(trimmed.parse().ok()?),
        types::FLOAT4 | types::FLOAT8 => Value::Double(trimmed.parse().ok()?),
        types::NUMERIC => Value::Decimal(Decimal::parse(trimmed)?),
        types::BYTEA => Value::Bytes(from_hex(trimmed.strip_prefix("\\x")?)?),
        types::DATE => Value::Date(parse::date(trimmed)?),
        types::TIME => Value::Time(parse::time(trimmed)?),
        types::TIMESTAMP | types::TIMESTAMPTZ => Value::Timestamp(parse::timestamp(&trimmed.replacen(' ', "T", 1))?),
        types::TEXT | types::VARCHAR | types::BPCHAR | types::NAME | types::UNKNOWN | types::JSON => {
            Value::String(written.to_owned())
        }
        _ => return None,
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect())
}

fn from_binary(oid: u32, bytes: &[u8]) -> Option<Value> {
    let millis = |bytes: &[u8]| Some(i64::from_be_bytes(bytes.try_into().ok()?).div_euclid(1000));
    Some(match oid {
        types::BOOL => Value::Boolean(*bytes.first()? != 0),
        types::INT2 => Value::Integer(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        types::INT4 => Value::Integer(i32::from_be_bytes(bytes.try_into().ok()?)),
        types::INT8 => Value::Bigint(i64::from_be_bytes(bytes.try_into().ok()?)),
        types::OID => Value::Bigint(u32::from_be_bytes(bytes.try_into().ok()?).into()),
        types::FLOAT4 => Value::Double(f32::from_be_bytes(bytes.try_into().ok()?).into()),
        types::FLOAT8 => Value::Double(f64::from_be_bytes(bytes.try_into().ok()?)),
        types::NUMERIC => Value::Decimal(numeric(bytes)?),
        types::BYTEA => Value::Bytes(bytes.to_vec()),
        types::DATE => Value::Date(i32::from_be_bytes(bytes.try_into().ok()?).checked_add(EPOCH_DAYS)?),
        types::TIME => Value::Time(i32::try_from(millis(bytes)?).ok()?),
        types::TIMESTAMP | types::TIMESTAMPTZ => {
            Value::Timestamp(millis(bytes)?.checked_add(i64::from(EPOCH_DAYS) * DAY_MS)?)
        }
        _ => return from_text(oid, bytes),
    })
}

/// A number of groups of four digits; None for NaN and infinities, too.
fn numeric(bytes: &[u8]) -> Option<Decimal> {
    /// Our decimals have fewer digits.
    const MOST_GROUPS: i16 = 32;
    let shorts: Vec<i16> =
        bytes.chunks(2).map(|two| two.try_into().ok().map(i16::from_be_bytes)).collect::<Option<_>>()?;
    let [count, weight, sign, scale, groups @ ..] = shorts.as_slice() else { return None };
    let fits =
        *count as usize == groups.len() && (-MOST_GROUPS..MOST_GROUPS).contains(weight) && (0..100).contains(scale);
    let negative = match *sign {
        0 => "",
        0x4000 => "-",
        _ => return None,
    };
    if !fits || groups.len() > MOST_GROUPS as usize {
        return None;
    }
    let group =
        |place: i16| groups.get(usize::try_from(weight - place).ok()?).filter(|group| (0..10_000).contains(*group));
    let digits = |places: std::ops::RangeInclusive<i16>| {
        places.rev().fold(String::new(), |mut out, place| {
            // Writing to a text cannot fail.
            let _ = write!(out, "{:04}", group(place).unwrap_or(&0));
            out
        })
    };
    let whole = digits(0..=(*weight).max(0));
    let fraction: String = digits(-(scale / 4 + 1)..=-1).chars().take(*scale as usize).collect();
    let point = if fraction.is_empty() { "" } else { "." };
    Decimal::parse(&format!("{negative}{whole}{point}{fraction}"))
}

/// A constant of our language with this value. It stands in brackets where it could run together with what is around.
pub(super) fn constant(value: &Value, oid: u32) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let cast = |text: String, sql_type: &str| format!("CAST({} AS {sql_type})", quoted(&text));
    match value {
        Value::Null => format!("CAST(NULL AS {})", sql_type(oid)),
        Value::Boolean(value) => value.to_string().to_ascii_uppercase(),
        Value::Integer(number) if *number >= 0 => number.to_string(),
        Value::Bigint(number) if *number >= 0 => number.to_string(),
        Value::Integer(_) | Value::Bigint(_) => cast(value.to_text(), sql_type(oid)),
        Value::Double(number) => cast(text::double(*number), "DOUBLE"),
        Value::Decimal(number) => {
            let precision = number.precision().max(number.scale.unsigned_abs()).max(1);
            cast(number.plain(), &format!("DECIMAL({precision}, {})", number.scale))
        }
        Value::Bytes(bytes) => format!("TO_BYTES({}, 'hex')", quoted(&text::hex(bytes))),
        Value::Date(days) => cast(text::date(*days), "DATE"),
        Value::Time(ms) => cast(text::time(*ms), "TIME"),
        Value::Timestamp(ms) => cast(text::timestamp(*ms), "TIMESTAMP"),
        other => quoted(&other.to_text()),
    }
}

/// The type of ours that parameters of a type have.
pub(super) fn sql_type(oid: u32) -> &'static str {
    match oid {
        types::BOOL => "BOOLEAN",
        types::INT2 | types::INT4 => "INTEGER",
        types::INT8 | types::OID => "BIGINT",
        types::FLOAT4 | types::FLOAT8 => "DOUBLE",
        types::NUMERIC => "DECIMAL(38, 10)",
        types::BYTEA => "BYTES",
        types::DATE => "DATE",
        types::TIME => "TIME",
        types::TIMESTAMP | types::TIMESTAMPTZ => "TIMESTAMP",
        _ => "STRING",
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::values;
    use super::*;

    #[test]
    fn parameters_in_quotes_and_comments_are_none() {
        let text = "SELECT '$1', \"$1\", $2 -- $1\n FROM t /* $3 */ WHERE a=$1;";
        let bound = Bound::new(text, |placeholder| Ok(format!("<{}>", placeholder.number))).expect("a text");
        assert_eq!(bound.text, "SELECT '$1', \"$1\", <1> -- $1\n FROM t /* $3 */ WHERE a=<0>;");
        assert!(Bound::new("SELECT $0;", |_| Ok(String::new())).is_err());
        assert!(Bound::new("SELECT $1.5;", |_| Ok(String::new())).is_err());
    }

    #[test]
    fn places_after_a_constant_are_those_of_the_text_without_it() {
        let text = "a $1 b $2 c";
        let bound = Bound::new(text, |_| Ok("'ää long'".to_owned())).expect("a text");
        let place = |text: &str, one: char| text.chars().position(|c| c == one).expect("there") + 1;
        for one in ['a', 'b', 'c'] {
            let found = bound.text.chars().enumerate().filter(|(_, c)| *c == one).map(|(at, _)| at + 1);
            assert!(found.map(|at| bound.origin(at)).any(|at| at == place(text, one)), "{one}");
        }
    }

    #[test]
    fn constants_cannot_leave_their_quotes() {
        let value = from_text(types::TEXT, b"x'; DROP TABLE t; --").expect("a text");
        assert_eq!(constant(&value, types::TEXT), "'x''; DROP TABLE t; --'");
        assert_eq!(constant(&Value::Integer(-5), types::INT4), "CAST('-5' AS INTEGER)");
        assert_eq!(constant(&Value::Null, types::INT8), "CAST(NULL AS BIGINT)");
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        let numbers = ["0", "12345.678", "-0.00012", "100000000", "0.10", "9999", "-10000.5"];
        let numbers = numbers.map(|text| (types::NUMERIC, Value::Decimal(Decimal::parse(text).expect("a number"))));
        let others = [
            (types::BOOL, Value::Boolean(true)),
            (types::INT2, Value::Integer(-3)),
            (types::INT4, Value::Integer(i32::MIN)),
            (types::INT8, Value::Bigint(i64::MAX)),
            (types::FLOAT8, Value::Double(-1.5e-7)),
            (types::TEXT, Value::String("ä'\\".to_owned())),
            (types::BYTEA, Value::Bytes(vec![0, 254])),
            (types::DATE, Value::Date(-1)),
            (types::TIME, Value::Time(1_001)),
            (types::TIMESTAMP, Value::Timestamp(-1)),
        ];
        for (oid, expected) in numbers.into_iter().chain(others) {
            for is_binary in [false, true] {
                let mut out = BytesMut::new();
                values::put(&expected, oid, is_binary, &mut out).expect("written");
                let read = value(oid, Some(&out[4..]), is_binary).expect("read");
                assert_eq!(read, expected, "{oid} {is_binary}");
            }
        }
        assert!(value(types::INT4, Some(b"x"), false).is_err());
        assert!(value(600, Some(b"x"), false).is_err());
    }
}
