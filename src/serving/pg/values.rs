//! Values as PostgreSQL writes them, as text and in binary form.

use bytes::{BufMut, BytesMut};

use super::refused::{Refused, code};
use super::types::{self, PgType};
use crate::formats::answer::put_value;
use crate::types::{Decimal, Value, text};

/// The days from 1970-01-01 to 2000-01-01, where PostgreSQL's binary times begin.
pub(super) const EPOCH_DAYS: i32 = 10_957;

/// The milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// Appends a value of a column: its length, and the value in its form.
///
/// # Errors
/// It is too large for PostgreSQL's form of the type.
pub(super) fn put(value: &Value, oid: u32, is_binary: bool, out: &mut BytesMut) -> Result<(), Refused> {
    if value.is_null() {
        out.put_i32(-1);
        return Ok(());
    }
    let at = out.len();
    out.put_i32(0);
    match (is_binary, types::item(oid)) {
        (false, None) => out.extend_from_slice(text_of(value, oid).as_bytes()),
        (false, Some(item)) => out.extend_from_slice(array_text(value, item).as_bytes()),
        (true, None) => put_binary(value, oid, out)?,
        (true, Some(item)) => put_binary_array(value, item, out)?,
    }
    let length = i32::try_from(out.len() - at - 4).map_err(|_| too_large())?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn too_large() -> Refused {
    Refused::new(code::DATA, "a value is too large for its type in PostgreSQL's protocol")
}

/// A value that is not NULL as text.
pub(super) fn text_of(value: &Value, oid: u32) -> String {
    match value {
        _ if oid == types::JSON => json(value),
        Value::Boolean(true) => "t".to_owned(),
        Value::Boolean(false) => "f".to_owned(),
        Value::Double(number) => double(*number),
        Value::Decimal(number) => number.plain(),
        Value::Bytes(bytes) => format!("\\x{}", text::hex(bytes)),
        Value::Date(days) => date(*days, ""),
        Value::Time(ms) => time(i64::from(*ms)),
        Value::Timestamp(ms) => {
            let days = ms.div_euclid(DAY_MS);
            // Timestamps of 64 bits in milliseconds reach beyond the days of 32 bits.
            let days = days.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            date(days, &format!(" {}", time(ms.rem_euclid(DAY_MS))))
        }
        Value::Array(_) | Value::Map(_) | Value::Struct(_) => json(value),
        Value::Null | Value::Integer(_) | Value::Bigint(_) | Value::String(_) => value.to_text(),
    }
}

fn json(value: &Value) -> String {
    let mut out = Vec::new();
    put_value(value, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A double with the fewest digits that read back as the same, as PostgreSQL prints it.
fn double(value: f64) -> String {
    let size = value.abs();
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        _ if value.is_infinite() => if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        _ if size == 0.0 || (1e-4..1e15).contains(&size) => value.to_string(),
        _ => {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
    }
}

/// A date, then `rest`; years before the first are counted back from it.
fn date(days: i32, rest: &str) -> String {
    let written = text::date(days);
    let written = written.trim_start_matches('+');
    let Some((year, day)) = written.len().checked_sub(6).and_then(|at| written.split_at_checked(at)) else {
        return format!("{written}{rest}");
    };
    match year.parse::<i64>() {
        Ok(year) if year <= 0 => format!("{:04}{day}{rest} BC", 1 - year),
        _ => format!("{year}{day}{rest}"),
    }
}

/// A time of day.
fn time(ms: i64) -> String {
    let (second, ms) = (ms / 1000, ms % 1000);
    let text = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    if ms == 0 { text } else { format!("{text}.{ms:03}").trim_end_matches('0').to_owned() }
}

/// An array of scalars as text: `{1,NULL,"a b"}`.
fn array_text(value: &Value, item: &PgType) -> String {
    let Value::Array(items) = value else { return text_of(value, item.oid) };
    let written = items.iter().map(|one| {
        if one.is_null() {
            return "NULL".to_owned();
        }
        let text = text_of(one, item.oid);
        let needs_quotes = text.is_empty()
            || text.eq_ignore_ascii_case("null")
            || text.contains(|c: char| "{}\",\\".contains(c) || c.is_whitespace());
        let quoted = || format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        if needs_quotes { quoted() } else { text.clone() }
    });
    format!("{{{}}}", written.collect::<Vec<_>>().join(","))
}

fn put_binary_array(value: &Value, item: &PgType, out: &mut BytesMut) -> Result<(), Refused> {
    let Value::Array(items) = value else { return Err(too_large()) };
    out.put_i32(i32::from(!items.is_empty()));
    out.put_i32(i32::from(items.iter().any(Value::is_null)));
    out.put_u32(item.oid);
    if !items.is_empty() {
        out.put_i32(i32::try_from(items.len()).map_err(|_| too_large())?);
        out.put_i32(1);
    }
    items.iter().try_for_each(|one| put(one, item.oid, true, out))
}

fn put_binary(value: &Value, oid: u32, out: &mut BytesMut) -> Result<(), Refused> {
    match value {
        Value::Boolean(v) => out.put_u8(u8::from(*v)),
        Value::Integer(v) => match oid {
            types::INT2 => out.put_i16(i16::try_from(*v).map_err(|_| too_large())?),
            types::INT8 => out.put_i64(i64::from(*v)),
            _ => out.put_i32(*v),
        },
        Value::Bigint(v) if oid == types::OID => out.put_u32(u32::try_from(*v).map_err(|_| too_large())?),
        Value::Bigint(v) => out.put_i64(*v),
        Value::Double(v) => out.put_f64(*v),
        Value::Decimal(v) => put_numeric(v, out)?,
        Value::Bytes(v) => out.extend_from_slice(v),
        Value::Date(days) => out.put_i32(days.checked_sub(EPOCH_DAYS).ok_or_else(too_large)?),
        Value::Time(ms) => out.put_i64(i64::from(*ms) * 1000),
        Value::Timestamp(ms) => {
            let since = ms.checked_sub(i64::from(EPOCH_DAYS) * DAY_MS).and_then(|ms| ms.checked_mul(1000));
            out.put_i64(since.ok_or_else(too_large)?);
        }
        other => out.extend_from_slice(text_of(other, oid).as_bytes()),
    }
    Ok(())
}

/// A number as groups of four decimal digits: how many, the weight of the first, the sign, the digits after the point.
fn put_numeric(number: &Decimal, out: &mut BytesMut) -> Result<(), Refused> {
    let plain = number.plain();
    let (is_negative, digits) = plain.strip_prefix('-').map_or((false, plain.as_str()), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = format!(
        "{}{whole}{fraction}{}",
        "0".repeat((4 - whole.len() % 4) % 4),
        "0".repeat((4 - fraction.len() % 4) % 4)
    );
    let group = |group: &[u8]| group.iter().fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0'));
    let groups: Vec<i16> = padded.as_bytes().chunks(4).map(group).collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let trailing = groups.iter().rev().take_while(|group| **group == 0).count();
    let kept = if leading == groups.len() { &[][..] } else { &groups[leading..groups.len() - trailing] };
    let weight = whole.len().div_ceil(4) as i64 - 1 - leading as i64;
    let short = |number: i64| i16::try_from(number).map_err(|_| too_large());
    out.put_i16(short(kept.len() as i64)?);
    out.put_i16(if kept.is_empty() { 0 } else { short(weight)? });
    out.put_u16(if is_negative && !kept.is_empty() { 0x4000 } else { 0 });
    out.put_i16(short(fraction.len() as i64)?);
    kept.iter().for_each(|group| out.put_i16(*group));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Value {
        Value::Decimal(Decimal::parse(text).expect("a number"))
    }

    fn binary(value: &Value, oid: u32) -> Vec<u8> {
        let mut out = BytesMut::new();
        put(value, oid, true, &mut out).expect("a value");
        out[4..].to_vec()
    }

    #[test]
    fn values_are_written_as_postgresql_does() {
        let written = |value: Value, oid| text_of(&value, oid);
        assert_eq!(written(Value::Double(1.0), types::FLOAT8), "1");
        assert_eq!(written(Value::Double(1e300), types::FLOAT8), "1e+300");
        assert_eq!(written(Value::Double(-2.5e-7), types::FLOAT8), "-2.5e-07");
        assert_eq!(written(Value::Double(f64::NEG_INFINITY), types::FLOAT8), "-Infinity");
        assert_eq!(written(Value::Bytes(vec![0, 255]), types::BYTEA), "\\x00ff");
        assert_eq!(written(Value::Timestamp(0), types::TIMESTAMP), "1970-01-01 00:00:00");
        assert_eq!(written(Value::Timestamp(-1), types::TIMESTAMP), "1969-12-31 23:59:59.999");
        assert_eq!(written(Value::Time(36_000_120), types::TIME), "10:00:00.12");
        assert_eq!(written(Value::Date(-719_528), types::DATE), "0001-01-01 BC");
        assert_eq!(written(Value::Date(2_932_897), types::DATE), "10000-01-01");
        let items = ["", "a", "null", "a b", "\"\\"].map(|text| Value::String(text.to_owned())).to_vec();
        let array = Value::Array([items, vec![Value::Null]].concat());
        let text = types::find(types::TEXT).expect("text");
        assert_eq!(array_text(&array, text), r#"{"",a,"null","a b","\"\\",NULL}"#);
    }

    #[test]
    fn numbers_are_groups_of_four_digits() {
        let numeric = |text| {
            let bytes = binary(&decimal(text), types::NUMERIC);
            bytes.chunks(2).map(|two| i16::from_be_bytes([two[0], two[1]])).collect::<Vec<_>>()
        };
        assert_eq!(numeric("12345.678"), [3, 1, 0, 3, 1, 2345, 6780]);
        assert_eq!(numeric("-0.00012"), [2, -1, 0x4000, 5, 1, 2000]);
        assert_eq!(numeric("0.000012"), [1, -2, 0, 6, 1200]);
        assert_eq!(numeric("100000000"), [1, 2, 0, 0, 1]);
        assert_eq!(numeric("0.00"), [0, 0, 0, 2]);
    }

    #[test]
    fn binary_times_begin_in_2000() {
        assert_eq!(binary(&Value::Date(EPOCH_DAYS + 1), types::DATE), [0, 0, 0, 1]);
        assert_eq!(binary(&Value::Timestamp(946_684_800_001), types::TIMESTAMP), 1000i64.to_be_bytes());
        let mut out = BytesMut::new();
        put(&Value::Timestamp(i64::MAX), types::TIMESTAMP, true, &mut out).expect_err("too large");
    }
}
