//! JSON values as text for STRING columns: numbers as Java prints them, objects compact, arrays with blanks.

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
    out.push(b'{');
    let mut first = true;
    while !scan.take(b'}') {
        if !first {
            scan.expect(b',')?;
        }
        comma(&mut first, out);
        quoted(scan.string()?, out);
        scan.expect(b':')?;
        out.push(b':');
        json(scan, out)?;
    }
    out.push(b'}');
    Ok(())
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
    super::encode::put_string(string.text().as_bytes(), out);
}
