//! JSON values as text for STRING columns: numbers as Java prints them, objects compact, arrays with blanks.
//!
//! Nothing here recurses, so that texts of any depth are read.

use foldhash::{HashSet, HashSetExt};

use super::distinct;
use super::scan::{RawString, Scan, Scanned, Start};
use crate::types::Decimal;

/// Writes JSON values anew, one after the other.
#[derive(Default)]
pub(super) struct Rewriter {
    out: String,
    /// The objects and arrays that are open.
    open: Vec<Open>,
    /// Where the names of the fields of all open objects stand in `out`.
    names: Vec<(usize, usize)>,
}

/// An object or array whose end is still to come.
#[derive(Clone, Copy)]
enum Open {
    List(List),
    /// With the number of names before its own.
    Object(usize),
}

/// How an array is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum List {
    /// `[a, b]`: an array that stands in no object, with its strings as they are.
    Plain,
    /// `["a","b"]`: an array in an object.
    Json,
}

impl List {
    /// What stands between the items.
    pub(super) fn separator(self) -> &'static str {
        if self == List::Plain { ", " } else { "," }
    }
}

/// Up to so many names of an object are compared with each other; more are hashed.
const FEW_NAMES: usize = 8;

impl Rewriter {
    /// The text of the value that comes next.
    pub(super) fn text(&mut self, scan: &mut Scan) -> Scanned<&str> {
        self.out.clear();
        self.open.clear();
        self.names.clear();
        let start = scan.at();
        if self.value(scan)? {
            return Ok(&self.out);
        }
        self.out.clear();
        scan.back_to(start);
        distinct::append_value(scan, &mut self.out)?;
        Ok(&self.out)
    }

    /// Appends the value that comes next; whether no object in it has a name twice.
    fn value(&mut self, scan: &mut Scan) -> Scanned<bool> {
        let mut is_distinct = true;
        loop {
            let is_open = match scan.start()? {
                Start::Object => self.object(scan)?,
                Start::Array => self.array(scan)?,
                _ => {
                    let is_plain = !matches!(self.open.last(), Some(Open::Object(_) | Open::List(List::Json)));
                    append_leaf(scan, is_plain, &mut self.out)?;
                    false
                }
            };
            if is_open {
                continue;
            }
            loop {
                let Some(open) = self.open.last().copied() else { return Ok(is_distinct) };
                if scan.take(b',') {
                    match open {
                        Open::List(list) => self.out.push_str(list.separator()),
                        Open::Object(_) => {
                            self.out.push(',');
                            self.name(scan)?;
                        }
                    }
                    break;
                }
                match open {
                    Open::List(_) => {
                        scan.expect(b']')?;
                        self.out.push(']');
                    }
                    Open::Object(before) => {
                        scan.expect(b'}')?;
                        self.out.push('}');
                        is_distinct &= self.are_distinct(before);
                        self.names.truncate(before);
                    }
                }
                self.open.pop();
            }
        }
    }

    /// Begins an object; whether its first value comes next.
    fn object(&mut self, scan: &mut Scan) -> Scanned<bool> {
        scan.expect(b'{')?;
        self.out.push('{');
        if scan.take(b'}') {
            self.out.push('}');
            return Ok(false);
        }
        self.open.push(Open::Object(self.names.len()));
        self.name(scan)?;
        Ok(true)
    }

    /// Begins an array; whether its first item comes next.
    fn array(&mut self, scan: &mut Scan) -> Scanned<bool> {
        scan.expect(b'[')?;
        self.out.push('[');
        if scan.take(b']') {
            self.out.push(']');
            return Ok(false);
        }
        self.open.push(Open::List(match self.open.last() {
            None | Some(Open::List(List::Plain)) => List::Plain,
            Some(_) => List::Json,
        }));
        Ok(true)
    }

    fn name(&mut self, scan: &mut Scan) -> Scanned<()> {
        let start = self.out.len();
        append_quoted(&scan.string()?, &mut self.out);
        self.names.push((start, self.out.len()));
        scan.expect(b':')?;
        self.out.push(':');
        Ok(())
    }

    /// Whether all names from the one of this number on differ.
    fn are_distinct(&self, first: usize) -> bool {
        let names = &self.names[first..];
        let text = |(start, end): (usize, usize)| &self.out[start..end];
        if names.len() <= FEW_NAMES {
            return names.iter().enumerate().all(|(at, name)| names[..at].iter().all(|n| text(*n) != text(*name)));
        }
        let mut seen = HashSet::with_capacity(names.len());
        names.iter().all(|name| seen.insert(text(*name)))
    }
}

/// Appends the number, string or literal that comes next. A string is quoted unless it is the item of a plain array.
pub(super) fn append_leaf(scan: &mut Scan, is_plain: bool, out: &mut String) -> Scanned<()> {
    match scan.start()? {
        Start::String => {
            let string = scan.string()?;
            match is_plain {
                true => string.each_piece(|piece| out.push_str(piece)),
                false => append_quoted(&string, out),
            }
        }
        Start::Number => append_number(scan.number()?, out),
        Start::True => append_word(scan, "true", out)?,
        Start::False => append_word(scan, "false", out)?,
        Start::Null => append_word(scan, "null", out)?,
        Start::Object | Start::Array => return Err("a value of another kind was expected".into()),
    }
    Ok(())
}

fn append_word(scan: &mut Scan, word: &'static str, out: &mut String) -> Scanned<()> {
    scan.word(word)?;
    out.push_str(word);
    Ok(())
}

/// Appends a number as Java's `BigDecimal` prints it.
fn append_number(number: &str, out: &mut String) {
    let is_short = number.bytes().all(|b| b.is_ascii_digit());
    match Decimal::parse(number).filter(|_| !is_short) {
        Some(decimal) => out.push_str(&decimal.to_string()),
        None => out.push_str(number),
    }
}

/// Appends a string in quotes. Characters beyond U+FFFF are escaped in output, but not in a text that was made of JSON.
pub(super) fn append_quoted(string: &RawString, out: &mut String) {
    let text = string.text();
    let mut rest = text.as_ref();
    out.push('"');
    while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(&rest[..at]);
        super::encode::put_escape(rest.as_bytes()[at], out);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        let mut scan = Scan::new(json);
        let text = Rewriter::default().text(&mut scan).expect("a value").to_owned();
        assert!(scan.is_at_end(), "{json}");
        text
    }

    #[test]
    fn values_are_written_as_the_real_engine_writes_them() {
        for (json, written) in [
            (
                r#"[ 1 , "a\"b" , null , [true, "x"], { "k" : [ "y" , 2 ] } ]"#,
                r#"[1, a"b, null, [true, x], {"k":["y",2]}]"#,
            ),
            (r#"{"a":"\u00e9\ud83d\ude00\u0001\n\/","b":{}, "c":[]}"#, r#"{"a":"é😀\u0001\n/","b":{},"c":[]}"#),
            ("[1E5, -0, 1.50, 0.0000001, 01]".replace("01]", "10]").as_str(), "[1E+5, 0, 1.50, 1E-7, 10]"),
            (r#"{"a":1,"b":2,"a":{"c":3,"c":[4]}}"#, r#"{"a":{"c":[4]},"b":2}"#),
            (r#"[{"a":1,"\u0061":"x"}, "y"]"#, r#"[{"a":"x"}, y]"#),
        ] {
            assert_eq!(text(json), written, "{json}");
        }
        for wrong in ["[1,]", "{\"a\"}", "{\"a\":1,}", "[1", "{", "[1 2]", "{\"a\":1]"] {
            assert!(Rewriter::default().text(&mut Scan::new(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_may_be_of_any_depth() {
        let depth = 300_000;
        for (open, inner, close) in
            [("[", "1", "]"), ("{\"a\":", "[]", "}"), ("{\"a\":1,\"a\":", "[\"x\"]", "}"), ("[{\"a\":", "1", "}]")]
        {
            let json = open.repeat(depth) + inner + &close.repeat(depth);
            let kept = if open.contains(',') { "{\"a\":" } else { open };
            assert_eq!(text(&json), kept.repeat(depth) + inner + &close.repeat(depth));
        }
    }
}
