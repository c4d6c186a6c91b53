//! One JSON value into a column of a declared type, with ksqlDB's conversions; or only checked against it.

use super::digits::POWERS;
use super::fields::Fields;
use super::map::Entries;
use super::scan::{Reason, Scan, Scanned};
use super::text::Rewriter;
use crate::types::build::Values;
use crate::types::parse::DAY_MS;
use crate::types::text::shortened;
use crate::types::{Builder, Decimal, SqlType, text as java};

/// A reader of values of one type.
pub(super) struct Reader {
    sql_type: SqlType,
    parts: Parts,
}

/// What a reader needs besides its type.
enum Parts {
    None,
    Text(Rewriter),
    Item(Box<Reader>),
    Entries(Box<Entries>),
    Fields(Box<Fields>),
}

impl Reader {
    /// A reader of values of this type.
    pub(super) fn new(sql_type: &SqlType) -> Self {
        let parts = match sql_type {
            SqlType::String => Parts::Text(Rewriter::default()),
            SqlType::Array(item) => Parts::Item(Box::new(Reader::new(item))),
            SqlType::Map(_, item) => Parts::Entries(Box::new(Entries::new(item))),
            SqlType::Struct(fields) => {
                Parts::Fields(Box::new(Fields::of_struct(fields.iter().map(|f| (f.name.as_str(), &f.sql_type)))))
            }
            _ => Parts::None,
        };
        Reader { sql_type: sql_type.clone(), parts }
    }

    /// Whether the type is STRING.
    pub(super) fn is_of_strings(&self) -> bool {
        self.sql_type == SqlType::String
    }

    /// Appends the value that comes next to `column`. If it fails, the caller truncates the column.
    #[inline]
    pub(super) fn read(&mut self, scan: &mut Scan, column: &mut Builder) -> Scanned<()> {
        if scan.take_null()? {
            column.null();
            return Ok(());
        }
        match (column.values(), &mut self.parts) {
            (Values::String(texts), Parts::Text(rewriter)) => {
                if scan.peek() == b'"' {
                    scan.string()?.each_piece(|piece| texts.append(piece));
                    texts.seal();
                } else {
                    texts.push(rewriter.text(scan)?);
                }
            }
            (Values::Integer(to) | Values::Date(to), _) => to.push(int(scan, &self.sql_type)?),
            (Values::Bigint(to) | Values::Timestamp(to), _) => to.push(integer(scan, &self.sql_type)?),
            (Values::Double(to), _) => to.push(double(scan)?),
            (Values::Boolean(to), _) => to.append(boolean(scan)?),
            (Values::Time(to), _) => to.push(time(scan)?),
            (Values::Decimal128(to, ..), _) => {
                let value = decimal(scan, &self.sql_type)?.unscaled.to_i128();
                to.push(value.ok_or("a decimal has too many digits")?);
            }
            (Values::Decimal256(to, ..), _) => to.push(decimal(scan, &self.sql_type)?.unscaled),
            (Values::Bytes(blobs), _) => blobs.push(&bytes(scan)?),
            (Values::Array { offsets, items, .. }, Parts::Item(reader)) => {
                each_item(scan, |scan| reader.read(scan, items))?;
                offsets.push(items.len());
            }
            (Values::Map { offsets, keys, values, .. }, Parts::Entries(entries)) => {
                entries.read(scan, keys, values)?;
                offsets.push(keys.len());
            }
            (Values::Struct { fields: columns, .. }, Parts::Fields(fields)) => {
                is_object(scan, "STRUCT")?;
                let row = columns.iter().map(Builder::len).min().unwrap_or(0);
                fields.read(scan, row, columns)?;
            }
            _ => return Err(format!("no way to read {}", self.sql_type).into()),
        }
        column.valid();
        Ok(())
    }

    /// The same for a string of plain characters, which ends before `end`.
    #[inline]
    pub(super) fn read_plain(&mut self, scan: &mut Scan, end: usize, column: &mut Builder) -> Scanned<()> {
        let Values::String(texts) = column.values() else { return self.read(scan, column) };
        texts.push(scan.plain_string(end));
        column.valid();
        Ok(())
    }

    /// Checks that the value that comes next could be read, and builds nothing.
    #[inline]
    pub(super) fn check(&mut self, scan: &mut Scan) -> Scanned<()> {
        if scan.take_null()? {
            return Ok(());
        }
        let sql_type = &self.sql_type;
        match (sql_type, &mut self.parts) {
            (SqlType::String, _) if scan.peek() == b'"' => scan.string().map(drop),
            (SqlType::String, _) => scan.skip(),
            (SqlType::Integer | SqlType::Date, _) => int(scan, sql_type).map(drop),
            (SqlType::Bigint | SqlType::Timestamp, _) => integer(scan, sql_type).map(drop),
            (SqlType::Double, _) if scan.peek() != b'"' => number(scan, sql_type).map(drop),
            (SqlType::Double, _) => double(scan).map(drop),
            (SqlType::Boolean, _) => boolean(scan).map(drop),
            (SqlType::Time, _) => time(scan).map(drop),
            (SqlType::Decimal { .. }, _) => decimal(scan, sql_type).map(drop),
            (SqlType::Bytes, _) => bytes(scan).map(drop),
            (_, Parts::Item(reader)) => each_item(scan, |scan| reader.check(scan)),
            (_, Parts::Entries(entries)) => entries.check(scan),
            (_, Parts::Fields(fields)) => {
                is_object(scan, "STRUCT")?;
                fields.check(scan)
            }
            _ => Err(format!("no way to read {sql_type}").into()),
        }
    }
}

/// Refuses a value that is no object.
#[inline]
pub(super) fn is_object(scan: &mut Scan, required: &str) -> Scanned<()> {
    if scan.peek() == b'{' { Ok(()) } else { Err(mismatch(scan, required)) }
}

/// Calls `item` before each item of the array that comes next.
fn each_item<'a>(scan: &mut Scan<'a>, mut item: impl FnMut(&mut Scan<'a>) -> Scanned<()>) -> Scanned<()> {
    if scan.peek() != b'[' {
        return Err(mismatch(scan, "ARRAY"));
    }
    scan.expect(b'[')?;
    if scan.take(b']') {
        return Ok(());
    }
    loop {
        item(scan)?;
        if !scan.take(b',') {
            return scan.expect(b']');
        }
    }
}

#[cold]
fn mismatch(scan: &mut Scan, required: &str) -> Reason {
    match scan.start() {
        Ok(start) => format!("Can't convert type. sourceType: {}, requiredType: {required}", start.node()).into(),
        Err(reason) => reason,
    }
}

/// Steps over a number.
#[inline]
fn number<'a>(scan: &mut Scan<'a>, required: &SqlType) -> Scanned<&'a str> {
    match scan.peek() {
        b'-' | b'0'..=b'9' => scan.number(),
        _ => Err(mismatch(scan, required.base_name())),
    }
}

#[cold]
fn no_number(text: &str, required: &SqlType) -> Reason {
    let (required, text) = (required.base_name(), shortened(text));
    format!("Can't coerce string to type. targetType: {required}, text: '{text}'").into()
}

#[cold]
fn out_of_range(number: &str, required: &SqlType) -> Reason {
    format!("{} is out of the range of {}", shortened(number), required.base_name()).into()
}

/// A whole number of 32 bits; a fraction is cut off.
#[inline]
fn int(scan: &mut Scan, required: &SqlType) -> Scanned<i32> {
    scan.peek();
    let start = scan.at();
    let value = integer(scan, required)?;
    i32::try_from(value).map_err(|_| {
        let text = scan.since(start);
        if text.starts_with('"') { no_number(text.trim_matches('"'), required) } else { out_of_range(text, required) }
    })
}

/// A whole number of 64 bits; a fraction is cut off.
#[inline]
fn integer(scan: &mut Scan, required: &SqlType) -> Scanned<i64> {
    match scan.small_integer() {
        Some(value) => Ok(value),
        None => other_integer(scan, required),
    }
}

#[cold]
fn other_integer(scan: &mut Scan, required: &SqlType) -> Scanned<i64> {
    if scan.peek() == b'"' {
        let text = scan.string()?.text();
        return java::parse_i64(&text).ok_or_else(|| no_number(&text, required));
    }
    let digits = number(scan, required)?;
    whole_part(digits).ok_or_else(|| out_of_range(digits, required))
}

/// The whole part of a JSON number, which may have any number of digits; nothing if 64 bits do not hold it.
fn whole_part(number: &str) -> Option<i64> {
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], number[at + 1..].strip_prefix('+').unwrap_or(&number[at + 1..])),
        None => (number, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let significant = || whole.bytes().chain(fraction.bytes());
    let zeros = significant().take_while(|digit| *digit == b'0').count();
    if zeros == whole.len() + fraction.len() {
        return Some(0);
    }
    // An exponent that 64 bits do not hold outweighs any number of digits.
    let exponent = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX });
    let digits = exponent.saturating_add(whole.len() as i64 - zeros as i64);
    if digits > 19 {
        return None;
    }
    let padded = significant().skip(zeros).chain(std::iter::repeat(b'0')).take(digits.max(0) as usize);
    let value = padded.fold(0i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    i64::try_from(if is_negative { -value } else { value }).ok()
}

#[inline]
fn double(scan: &mut Scan) -> Scanned<f64> {
    match scan.small_number() {
        // Both are exact, so that their quotient is rounded once, to the double that is nearest to the text.
        Some((digits, places)) => Ok(digits as f64 / POWERS[places] as f64),
        None => other_double(scan),
    }
}

#[inline(never)]
fn other_double(scan: &mut Scan) -> Scanned<f64> {
    if scan.peek() == b'"' {
        let text = scan.string()?.text();
        return java::parse_f64(&text).ok_or_else(|| no_number(&text, &SqlType::Double));
    }
    // -0.0 is read as 0.0: Jackson reads exact decimals, which have no negative zero.
    Ok(number(scan, &SqlType::Double)?.parse::<f64>().map_err(|e| e.to_string())? + 0.0)
}

fn decimal(scan: &mut Scan, required: &SqlType) -> Scanned<Decimal> {
    let SqlType::Decimal { precision, scale } = required else {
        return Err(format!("no way to read {required} as a decimal").into());
    };
    let parsed = if scan.peek() == b'"' {
        let text = scan.string()?.text();
        Decimal::parse(&text).ok_or_else(|| no_number(&text, required))?
    } else {
        let digits = number(scan, required)?;
        Decimal::parse(digits)
            .ok_or_else(|| format!("{} has more digits than a DECIMAL can hold", shortened(digits)))?
    };
    let fitted = parsed.fit_exactly(*precision, *scale);
    fitted.ok_or_else(|| format!("Cannot fit decimal '{parsed}' into {required} without rounding.").into())
}

fn boolean(scan: &mut Scan) -> Scanned<bool> {
    match scan.peek() {
        b't' => scan.word("true").map(|()| true),
        b'f' => scan.word("false").map(|()| false),
        _ => Err(mismatch(scan, "BOOLEAN")),
    }
}

fn time(scan: &mut Scan) -> Scanned<i32> {
    let ms = integer(scan, &SqlType::Time)?;
    if (0..=DAY_MS).contains(&ms) { Ok(ms as i32) } else { Err(format!("{ms} is no time of day").into()) }
}

/// Base64 with its padding; blanks alone are no bytes.
fn bytes(scan: &mut Scan) -> Scanned<Vec<u8>> {
    use base64::Engine;
    if scan.peek() != b'"' {
        return Err(mismatch(scan, "BYTES"));
    }
    let text = scan.string()?.text();
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(text.as_bytes());
    decoded.map_err(|e| format!("'{}' is no base64: {e}", shortened(&text)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::double::Random;

    #[test]
    fn doubles_are_those_nearest_to_their_texts() {
        let mut random = Random::new(1);
        for _ in 0..200_000 {
            let most = 10u64.pow(random.below(18) as u32);
            let sign = if random.one_in(2) { "-" } else { "" };
            let whole = random.below(most);
            let places = random.below(18) as usize;
            let fraction = format!(".{:017}", random.below(10u64.pow(17)));
            let text = format!("{sign}{whole}{}", if places == 0 { "" } else { &fraction[..=places] });
            let read = double(&mut Scan::new(&text)).expect("a number");
            assert_eq!(read.to_bits(), (text.parse::<f64>().expect("a number") + 0.0).to_bits(), "{text}");
        }
    }

    #[test]
    fn the_whole_part_of_a_number_is_exact_or_out_of_range() {
        let long = |digits: usize| "9".repeat(digits);
        for (number, whole) in [
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("0e99999999999999999999", Some(0)),
            ("1.9", Some(1)),
            ("-1.9", Some(-1)),
            ("1e3", Some(1000)),
            ("1.2345E+2", Some(123)),
            ("12345e-3", Some(12)),
            ("12345e-99999999999999999999", Some(0)),
            ("0.00001e5", Some(1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775807.999", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("1e19", None),
            ("1e99999999999999999999", None),
            (&long(77), None),
            (&long(400), None),
            (&format!("1.{}", long(400)), Some(1)),
            (&format!("{}e-400", long(400)), Some(0)),
            (&format!("{}e-398", long(400)), Some(99)),
        ] {
            assert_eq!(whole_part(number), whole, "{number}");
        }
    }
}
