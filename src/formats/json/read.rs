//! One JSON value into a column of a declared type, with ksqlDB's conversions; or only checked against it.

use super::scan::{Scan, Scanned, Start};
use super::text;
use crate::types::build::Values;
use crate::types::parse::DAY_MS;
use crate::types::{Builder, Decimal, SqlType, text as java};

/// Appends the value that comes next to `column`; whoever calls truncates the column if it fails.
pub fn read(scan: &mut Scan, sql_type: &SqlType, column: &mut Builder) -> Scanned<()> {
    if scan.take_null()? {
        column.null();
        return Ok(());
    }
    match (sql_type, column.values()) {
        (SqlType::String, Values::String(texts)) => {
            if scan.peek() == b'"' {
                scan.string()?.append_to(texts.open());
            } else {
                text::append_value(scan, texts.open())?;
            }
            texts.seal();
        }
        (SqlType::Integer, Values::Integer(to)) => to.push(integer(scan, sql_type)? as i32),
        (SqlType::Bigint, Values::Bigint(to)) => to.push(integer(scan, sql_type)?),
        (SqlType::Timestamp, Values::Timestamp(to)) => to.push(integer(scan, sql_type)?),
        (SqlType::Date, Values::Date(to)) => to.push(integer(scan, sql_type)? as i32),
        (SqlType::Time, Values::Time(to)) => to.push(time(scan)?),
        (SqlType::Double, Values::Double(to)) => to.push(double(scan)?),
        (SqlType::Boolean, Values::Boolean(to)) => to.append(boolean(scan)?),
        (SqlType::Decimal { precision, scale }, Values::Decimal128(to, ..)) => {
            let value = decimal(scan, *precision, *scale)?.unscaled.to_i128();
            to.push(value.ok_or("a decimal has too many digits")?);
        }
        (SqlType::Decimal { precision, scale }, Values::Decimal256(to, ..)) => {
            to.push(decimal(scan, *precision, *scale)?.unscaled);
        }
        (SqlType::Bytes, Values::Bytes(texts)) => texts.push(&bytes(scan)?),
        (SqlType::Array(item), Values::Array { offsets, items, .. }) => {
            each_item(scan, |scan| read(scan, item, items))?;
            offsets.push(items.len() as i32);
        }
        (SqlType::Map(_, item), Values::Map { offsets, keys, values, .. }) => {
            read_map(scan, item, keys, values, offsets[offsets.len() - 1] as usize)?;
            offsets.push(keys.len() as i32);
        }
        (SqlType::Struct(fields), Values::Struct { fields: columns, .. }) => {
            let row = column_length(columns);
            let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
            let mut set = Set::new(names.len());
            each_entry(scan, sql_type, |scan, name| match set.place(&names, name) {
                Some(place) => {
                    columns[place].truncate(row);
                    read(scan, &fields[place].sql_type, &mut columns[place])
                }
                None => scan.skip(),
            })?;
            columns.iter_mut().filter(|c| c.len() == row).for_each(Builder::null);
        }
        _ => return Err(format!("no way to read {sql_type}").into()),
    }
    column.valid();
    Ok(())
}

/// Every field of a struct has as many values as the struct has rows.
fn column_length(columns: &[Builder]) -> usize {
    columns.iter().map(Builder::len).min().unwrap_or(0)
}

/// Checks that the value that comes next could be read, and builds nothing.
pub fn check(scan: &mut Scan, sql_type: &SqlType) -> Scanned<()> {
    match (scan.start()?, sql_type) {
        (Start::Null, _) => scan.word("null"),
        (_, SqlType::String) => scan.skip(),
        (Start::Number, SqlType::Integer | SqlType::Bigint | SqlType::Double) => scan.number().map(|_| ()),
        (Start::Number, SqlType::Timestamp | SqlType::Date) => scan.number().map(|_| ()),
        _ => read(scan, sql_type, &mut Builder::new(sql_type, 1)),
    }
}

/// Which fields of an object have been found, and how well their names fit.
pub struct Set(Vec<Fit>);

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Fit {
    Missing,
    UpperCased,
    Exact,
}

impl Set {
    /// A set of `count` fields, none of them found.
    pub fn new(count: usize) -> Self {
        Set(vec![Fit::Missing; count])
    }

    /// Forgets what was found.
    pub fn clear(&mut self) {
        self.0.fill(Fit::Missing);
    }

    /// Whether the field at `place` was found already, or notes it as found by its upper-cased or exact name.
    pub fn take(&mut self, place: usize, exact: bool) -> bool {
        let fit = if exact { Fit::Exact } else { Fit::UpperCased };
        let better = fit >= self.0[place];
        if better {
            self.0[place] = fit;
        }
        better
    }

    /// The field that `name` means: by its exact name, else by the name in upper case. A later one replaces an earlier, but
    /// the exact name wins wherever it stands.
    pub fn place(&mut self, names: &[&str], name: &str) -> Option<usize> {
        let (place, exact) = find(names, name)?;
        self.take(place, exact).then_some(place)
    }
}

/// The place of the field that `name` means, and whether by its exact name.
pub fn find(names: &[&str], name: &str) -> Option<(usize, bool)> {
    if let Some(place) = names.iter().position(|n| *n == name) {
        return Some((place, true));
    }
    let upper = name.to_uppercase();
    names.iter().position(|n| *n == upper).map(|place| (place, false))
}

/// Calls `item` before each item of the array that comes next.
pub fn each_item<'a>(scan: &mut Scan<'a>, mut item: impl FnMut(&mut Scan<'a>) -> Scanned<()>) -> Scanned<()> {
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

/// Calls `entry` with the name of each entry of the object that comes next, before its value.
fn each_entry<'a>(
    scan: &mut Scan<'a>,
    sql_type: &SqlType,
    mut entry: impl FnMut(&mut Scan<'a>, &str) -> Scanned<()>,
) -> Scanned<()> {
    if scan.peek() != b'{' {
        return Err(mismatch(scan, sql_type.base_name()));
    }
    scan.expect(b'{')?;
    if scan.take(b'}') {
        return Ok(());
    }
    loop {
        let name = scan.string()?.text();
        scan.expect(b':')?;
        entry(scan, &name)?;
        if !scan.take(b',') {
            return scan.expect(b'}');
        }
    }
}

/// Reads the entries of a map; a later one replaces an earlier one with the same key.
fn read_map(scan: &mut Scan, item: &SqlType, keys: &mut Builder, values: &mut Builder, start: usize) -> Scanned<()> {
    let mut names: Vec<String> = Vec::new();
    let mut twice = false;
    let map = SqlType::map(SqlType::String, item.clone());
    each_entry(scan, &map, |scan, name| {
        twice |= names.iter().any(|n| n == name);
        names.push(name.to_owned());
        read(scan, item, values)
    })?;
    if twice {
        let all = std::mem::replace(values, Builder::new(item, 0)).finish();
        let kept: Vec<usize> = (0..names.len()).filter(|i| !names[i + 1..].contains(&names[*i])).collect();
        for row in 0..start {
            values.push(&crate::types::Value::at(all.as_ref(), row, item));
        }
        for i in &kept {
            values.push(&crate::types::Value::at(all.as_ref(), start + i, item));
        }
        names = kept.into_iter().map(|i| std::mem::take(&mut names[i])).collect();
    }
    for name in names {
        let Values::String(texts) = keys.values() else { return Err("the key of a MAP is a STRING".into()) };
        texts.push(name.as_bytes());
        keys.valid();
    }
    Ok(())
}

#[cold]
fn mismatch(scan: &mut Scan, required: &str) -> super::scan::Reason {
    match scan.start() {
        Ok(start) => format!("Can't convert type. sourceType: {}, requiredType: {required}", start.node()).into(),
        Err(reason) => reason,
    }
}

/// A number, or a string that holds one.
enum Numeric<'a> {
    Number(&'a [u8]),
    Text(String),
}

#[inline]
fn numeric<'a>(scan: &mut Scan<'a>, required: &SqlType) -> Scanned<Numeric<'a>> {
    match scan.peek() {
        b'-' | b'0'..=b'9' => Ok(Numeric::Number(scan.number()?)),
        b'"' => Ok(Numeric::Text(scan.string()?.text())),
        _ => Err(mismatch(scan, required.base_name())),
    }
}

#[cold]
fn no_number(text: &str, required: &str) -> super::scan::Reason {
    format!("Can't coerce string to type. targetType: {required}, text: '{text}'").into()
}

/// A whole number: a fraction is cut off, and only the low 64 bits are kept.
#[inline]
fn integer(scan: &mut Scan, required: &SqlType) -> Scanned<i64> {
    match numeric(scan, required)? {
        Numeric::Number(digits) => {
            if digits.len() <= 18 && digits.iter().skip(usize::from(digits[0] == b'-')).all(u8::is_ascii_digit) {
                let magnitude = |d: &[u8]| d.iter().fold(0, |v, b| v * 10 + i64::from(b - b'0'));
                return Ok(if digits[0] == b'-' { -magnitude(&digits[1..]) } else { magnitude(digits) });
            }
            Ok(big_integer(digits))
        }
        Numeric::Text(text) if *required == SqlType::Integer => {
            java::parse_i32(&text).map(i64::from).ok_or_else(|| no_number(&text, required.base_name()))
        }
        Numeric::Text(text) => java::parse_i64(&text).ok_or_else(|| no_number(&text, required.base_name())),
    }
}

/// A number that is not simply a few digits; of one beyond 256 bits nothing is left.
#[cold]
fn big_integer(digits: &[u8]) -> i64 {
    ascii(digits).parse().unwrap_or_else(|_| Decimal::parse(ascii(digits)).map_or(0, |d| d.to_i64_wrapping()))
}

/// The text of a number: its bytes were seen to be ASCII.
fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

fn double(scan: &mut Scan) -> Scanned<f64> {
    match numeric(scan, &SqlType::Double)? {
        // -0.0 is read as 0.0: Jackson reads exact decimals, which have no negative zero.
        Numeric::Number(digits) => Ok(ascii(digits).parse::<f64>().map_err(|e| e.to_string())? + 0.0),
        Numeric::Text(text) => java::parse_f64(&text).ok_or_else(|| no_number(&text, "DOUBLE")),
    }
}

fn decimal(scan: &mut Scan, precision: u8, scale: u8) -> Scanned<Decimal> {
    let required = SqlType::decimal(precision, scale);
    let parsed = match numeric(scan, &required)? {
        Numeric::Number(digits) => Decimal::parse(ascii(digits)).ok_or_else(|| no_number(ascii(digits), "DECIMAL"))?,
        Numeric::Text(text) => Decimal::parse(&text).ok_or_else(|| no_number(&text, "DECIMAL"))?,
    };
    let fitted = parsed.fit_exactly(precision, scale);
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
    base64::engine::general_purpose::STANDARD.decode(&text).map_err(|e| format!("'{text}' is no base64: {e}").into())
}
