//! JSON of clients, and how ksqlDB words what is wrong with it.
//!
//! A text that is no JSON is scanned a second time, for the words of the reader that ksqlDB has (Jackson). Its words
//! for a value of a wrong type name classes of Java; ours name the field.

use serde_json::{Map, Value};

/// How deep values may be in each other.
const MOST_DEPTH: usize = 128;

/// What can stand where a value is expected.
const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

/// The object that a text is; what follows it is ignored, as ksqlDB does.
///
/// # Errors
/// It is no JSON, or something else than an object: the words for it.
pub(super) fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(Value::Object(fields))) => Ok(fields),
        Some(Ok(other)) => Err(format!("Cannot deserialize an object from {}{}", named(&other), place(text, 0))),
        Some(Err(error)) => Err(complaint(text).unwrap_or_else(|| error.to_string())),
        None => Err(format!("No content to map due to end-of-input{}", place(text, 0))),
    }
}

/// What a value is.
pub(super) fn named(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => format!("Boolean value ({value})"),
        Value::Number(_) => format!("Number value ({value})"),
        Value::String(text) => format!("String value ('{text}')"),
        Value::Array(_) => "Array value".to_owned(),
        Value::Object(_) => "Object value".to_owned(),
    }
}

/// Where something stands: line and column of the byte with this number, from 1.
fn place(text: &[u8], at: usize) -> String {
    let before = &text[..at.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let column = 1 + String::from_utf8_lossy(&before[start..]).chars().count();
    format!("\n at {}", source(line, column))
}

fn source(line: usize, column: usize) -> String {
    format!(
        "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, column: {column}]"
    )
}

/// Why the first value of a text is no JSON; None if that cannot be said.
fn complaint(text: &[u8]) -> Option<String> {
    let mut scan = Scan { text, at: 0, depth: 0 };
    match scan.value() {
        Ok(()) => None,
        Err(what) => what.map(|what| format!("{what}{}", place(text, scan.at))),
    }
}

/// What is wrong; None if the text is too deep to say.
type Wrong = Option<String>;

/// A text that is scanned up to the first byte that cannot stand where it does.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl Scan<'_> {
    /// The next byte.
    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is no blank.
    fn token(&mut self) -> Option<u8> {
        while self.next().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
        self.next()
    }

    /// The refusal of the next character, which is stepped over.
    fn unexpected(&mut self, why: &str) -> Wrong {
        let rest = String::from_utf8_lossy(&self.text[self.at..]);
        let Some(found) = rest.chars().next() else { return Some("Unexpected end-of-input".to_owned()) };
        self.at += found.len_utf8();
        let code = u32::from(found);
        Some(match code {
            0..=31 => format!(
                "Illegal character ((CTRL-CHAR, code {code})): only regular white space (\\r, \\n, \\t) is allowed \
                 between tokens"
            ),
            _ => format!("Unexpected character ('{found}' (code {code})): {why}"),
        })
    }

    fn value(&mut self) -> Result<(), Wrong> {
        match self.token() {
            None => Err(Some("Unexpected end-of-input within/between Object entries".to_owned())),
            Some(b'{') => self.nested("Object", b'}'),
            Some(b'[') => self.nested("Array", b']'),
            Some(b'"') => self.string("VALUE_STRING"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(byte) if byte.is_ascii_alphabetic() || b"_$".contains(&byte) => self.word(),
            Some(_) => Err(self.unexpected(&format!("expected a valid value {VALUES}"))),
        }
    }

    /// An object or array, whose first byte comes next.
    fn nested(&mut self, kind: &str, close: u8) -> Result<(), Wrong> {
        if self.depth == MOST_DEPTH {
            return Err(None);
        }
        self.depth += 1;
        let start = self.at;
        self.at += 1;
        let mut is_first = true;
        loop {
            match self.token() {
                None => return Err(self.unclosed(kind, start)),
                Some(byte) if byte == close => break,
                Some(b',') if !is_first => self.at += 1,
                Some(_) if !is_first => {
                    return Err(self.unexpected(&format!("was expecting comma to separate {kind} entries")));
                }
                Some(_) => {}
            }
            is_first = false;
            if kind == "Object" {
                self.name(start)?;
            }
            self.value()?;
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    fn unclosed(&self, kind: &str, start: usize) -> Wrong {
        let start = place(self.text, start);
        let start = start.trim_start_matches("\n at ");
        Some(format!("Unexpected end-of-input: expected close marker for {kind} (start marker at {start})"))
    }

    /// The name of a field, and the colon after it, in the object that starts at `start`.
    fn name(&mut self, start: usize) -> Result<(), Wrong> {
        match self.token() {
            None => return Err(self.unclosed("Object", start)),
            Some(b'"') => self.string("field name")?,
            Some(_) => return Err(self.unexpected("was expecting double-quote to start field name")),
        }
        match self.token() {
            None => Err(Some("Unexpected end-of-input within/between Object entries".to_owned())),
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.unexpected("was expecting a colon to separate field name and value")),
        }
    }

    /// A text in quotes, of which the first comes next.
    fn string(&mut self, what: &str) -> Result<(), Wrong> {
        self.at += 1;
        loop {
            match self.next() {
                None => return Err(Some(format!("Unexpected end-of-input in {what}"))),
                Some(b'"') => break,
                Some(b'\\') => self.at += 1,
                Some(code @ 0..=31) => {
                    self.at += 1;
                    return Err(Some(format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {code})): has to be escaped using backslash to \
                         be included in string value"
                    )));
                }
                Some(_) => {}
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Wrong> {
        while self.next().is_some_and(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
            self.at += 1;
        }
        Ok(())
    }

    /// `true`, `false`, `null` or something that is none of them.
    fn word(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_$".contains(&byte);
        while self.next().is_some_and(is_part) {
            self.at += 1;
        }
        let word = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        if ["true", "false", "null"].contains(&word.as_str()) {
            return Ok(());
        }
        // The byte after it has been read, too.
        self.at += usize::from(self.at < self.text.len());
        Err(Some(format!("Unrecognized token '{word}': was expecting {VALUES}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a text, and the column at which it is told.
    fn wrong(text: &str) -> (String, String) {
        let message = object(text.as_bytes()).expect_err(text);
        let (what, place) = message.rsplit_once("\n at ").expect("a place");
        let column = place.rsplit_once("column: ").expect("a column").1.trim_end_matches(']');
        (what.to_owned(), column.to_owned())
    }

    #[test]
    fn what_is_no_json_is_worded_as_ksqldb_does() {
        let expecting = "was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
        assert_eq!(wrong("this is not JSON"), (format!("Unrecognized token 'this': {expecting}"), "6".to_owned()));
        assert_eq!(wrong("xyz"), (format!("Unrecognized token 'xyz': {expecting}"), "4".to_owned()));
        let cut = "Unexpected end-of-input in VALUE_STRING".to_owned();
        assert_eq!(wrong("{\"ksql\": \"LIST"), (cut, "15".to_owned()));
        assert_eq!(
            wrong("\u{1f}").0,
            "Illegal character ((CTRL-CHAR, code 31)): only regular white space (\\r, \\n, \\t) is allowed between \
             tokens"
        );
        let unexpected = |text: &str| wrong(text).0;
        assert_eq!(
            unexpected("{a:1}"),
            "Unexpected character ('a' (code 97)): was expecting double-quote to start field name"
        );
        assert_eq!(
            unexpected("{\"a\" 1}"),
            "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value"
        );
        assert_eq!(
            unexpected("{\"a\":[1 2]}"),
            "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries"
        );
        assert!(unexpected("{\"a\":1").starts_with("Unexpected end-of-input: expected close marker for Object"));
        assert!(unexpected("{\"a\":").ends_with("within/between Object entries"));
        assert_eq!(unexpected(""), "No content to map due to end-of-input");
    }

    #[test]
    fn what_is_no_object_and_what_is_too_deep_are_refused() {
        assert_eq!(wrong("[1]").0, "Cannot deserialize an object from Array value");
        assert_eq!(wrong("\"x\"").0, "Cannot deserialize an object from String value ('x')");
        assert!(object("[".repeat(1000).as_bytes()).is_err());
        assert_eq!(object(b"{\"a\":1} more").expect("an object").len(), 1);
    }
}
