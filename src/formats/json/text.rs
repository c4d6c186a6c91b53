//! JSON values as text for STRING columns: numbers as Java prints them, objects compact, arrays with blanks.

use std::collections::hash_map::Entry;

use foldhash::{HashMap, HashSet};

use super::read::each_item;
use super::scan::{RawString, Scan, Scanned, Start};
use crate::types::Decimal;

/// Appends the text of the value that comes next, which is neither a string nor `null`.
pub fn append_value(scan: &mut Scan, out: &mut Vec<u8>) -> Scanned<()> {
    match scan.start()? {
        Start::Array => array_text(scan, out),
        _ => json(scan, out),
    }
}

/// An array's items as text, joined by `, ` between brackets.
fn array_text(scan: &mut Scan, out: &mut Vec<u8>) -> Scanned<()> {
    out.push(b'[');
    let mut first = true;
    each_item(scan, |scan| {
        if !std::mem::take(&mut first) {
            out.extend_from_slice(b", ");
        }
        match scan.start()? {
            Start::String => scan.string()?.append_to(out),
            Start::Array => array_text(scan, out)?,
            _ => json(scan, out)?,
        }
        Ok(())
    })?;
    out.push(b']');
    Ok(())
}

/// Compact JSON, with the numbers printed anew.
fn json(scan: &mut Scan, out: &mut Vec<u8>) -> Scanned<()> {
    match scan.start()? {
        Start::Number => {
            let text = scan.number()?;
            let text = std::str::from_utf8(text).unwrap_or_default();
            match Decimal::parse(text) {
                Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
                None => out.extend_from_slice(text.as_bytes()),
            }
        }
        Start::String => quoted(scan.string()?, out),
        Start::True => literal(scan, "true", out)?,
        Start::False => literal(scan, "false", out)?,
        Start::Null => literal(scan, "null", out)?,
        Start::Array => {
            out.push(b'[');
            let mut first = true;
            each_item(scan, |scan| {
                comma(&mut first, out);
                json(scan, out)
            })?;
            out.push(b']');
        }
        Start::Object => object(scan, out)?,
    }
    Ok(())
}

fn object(scan: &mut Scan, out: &mut Vec<u8>) -> Scanned<()> {
    scan.expect(b'{')?;
    let start = out.len();
    out.push(b'{');
    // Where the fields stand: the start of the name, and that of the value.
    let mut fields: Vec<(usize, usize)> = Vec::new();
    while !scan.take(b'}') {
        if !fields.is_empty() {
            scan.expect(b',')?;
            out.push(b',');
        }
        let name = out.len();
        quoted(scan.string()?, out);
        scan.expect(b':')?;
        out.push(b':');
        fields.push((name, out.len()));
        json(scan, out)?;
    }
    out.push(b'}');
    let mut names = HashSet::default();
    if !fields.iter().all(|(name, value)| names.insert(&out[*name..*value])) {
        without_duplicates(&fields, start, out);
    }
    Ok(())
}

/// Writes the object from `start` on anew, a field that comes again replacing the value of the earlier one.
#[cold]
fn without_duplicates(fields: &[(usize, usize)], start: usize, out: &mut Vec<u8>) {
    let text = out.split_off(start);
    let mut kept: Vec<(&[u8], &[u8])> = Vec::new();
    let mut places: HashMap<&[u8], usize> = HashMap::default();
    for (at, (name, value)) in fields.iter().enumerate() {
        let end = fields.get(at + 1).map_or(start + text.len(), |next| next.0) - 1;
        let (name, value) = (&text[name - start..value - start], &text[value - start..end - start]);
        match places.entry(name) {
            Entry::Occupied(place) => kept[*place.get()].1 = value,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push((name, value));
            }
        }
    }
    out.push(b'{');
    for (at, (name, value)) in kept.into_iter().enumerate() {
        out.extend_from_slice(if at > 0 { b"," } else { b"" });
        out.extend_from_slice(name);
        out.extend_from_slice(value);
    }
    out.push(b'}');
}

fn comma(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

fn literal(scan: &mut Scan, word: &'static str, out: &mut Vec<u8>) -> Scanned<()> {
    scan.word(word)?;
    out.extend_from_slice(word.as_bytes());
    Ok(())
}

fn quoted(string: RawString, out: &mut Vec<u8>) {
    let text = string.text();
    match text.bytes().any(|b| b >= 0xF0) {
        true => quoted_with_pairs(&text, out),
        false => super::encode::put_string(text.as_bytes(), out),
    }
}

/// A string with characters beyond U+FFFF, which are escaped in output but not in a text that was made of JSON.
#[cold]
fn quoted_with_pairs(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).as_bytes();
        if c > '\u{FFFF}' {
            out.extend_from_slice(bytes);
        } else {
            let start = out.len();
            super::encode::put_string(bytes, out);
            out.remove(start);
            out.pop();
        }
    }
    out.push(b'"');
}
