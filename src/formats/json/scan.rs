//! A scanner over one JSON text: strict where Jackson is strict, no tree, no copies.

use std::borrow::Cow;

use super::digits::{EXACT_DIGITS, POWERS, few_digits, sixteen_digits};
use super::plain::plain_length;
use super::short::{Short, sixteen};

/// Why a text is not what it should be; short, since it becomes part of a message.
pub type Reason = Box<str>;

/// What scanning gives.
pub type Scanned<T> = Result<T, Reason>;

/// A place in a JSON text.
pub struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// A hint for readers of maps: one before had a key twice, so that the next should be searched for that first.
    pub has_duplicates: bool,
}

/// A string as it stands in the text, without its quotes.
#[derive(Clone, Copy)]
pub struct RawString<'a> {
    /// The characters between the quotes, with escapes not yet replaced.
    pub raw: &'a str,
    /// Whether there are escapes in it.
    pub escaped: bool,
}

/// What a value starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// An opening brace.
    Object,
    /// An opening bracket.
    Array,
    /// A double quote.
    String,
    /// A digit or a minus sign.
    Number,
    /// The word `true`.
    True,
    /// The word `false`.
    False,
    /// The word `null`.
    Null,
}

impl Start {
    /// The name that ksqlDB's messages give to a value of this kind.
    pub fn node(self) -> &'static str {
        match self {
            Start::Object => "ObjectNode",
            Start::Array => "ArrayNode",
            Start::String => "TextNode",
            Start::Number => "NumericNode",
            Start::True | Start::False => "BooleanNode",
            Start::Null => "NullNode",
        }
    }
}

impl<'a> Scan<'a> {
    /// A scan from the start of a text; a byte order mark is stepped over.
    pub fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        Scan { text, bytes: text.as_bytes(), at: 0, has_duplicates: false }
    }

    /// A scan of bytes, if they are UTF-8.
    pub fn of_bytes(bytes: &'a [u8]) -> Scanned<Self> {
        match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => Ok(Scan::new(text)),
            Err(_) => Err("the payload is not UTF-8".into()),
        }
    }

    /// Where the scan stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes back to a place where the scan stood before.
    pub fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The bytes from where the scan stands up to the end.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The text from a place up to where the scan stands.
    #[inline]
    pub fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// Steps over a label, which is not empty, if it comes next byte for byte.
    #[inline]
    pub fn take_label(&mut self, label: &str) -> bool {
        let bytes = self.bytes.get(self.at..self.at + label.len());
        let found = !label.is_empty() && bytes.is_some_and(|bytes| is_same(bytes, label.as_bytes()));
        self.at += if found { label.len() } else { 0 };
        found
    }

    /// The next byte that is no white space, without stepping over it; 0 at the end.
    #[inline(always)]
    pub fn peek(&mut self) -> u8 {
        match self.bytes.get(self.at) {
            Some(byte) if *byte > b' ' => *byte,
            _ => self.peek_behind_blanks(),
        }
    }

    fn peek_behind_blanks(&mut self) -> u8 {
        let blanks = self.bytes[self.at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.at += blanks.count();
        self.byte()
    }

    /// Steps over `byte` if it is the next that is no white space.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    /// Steps over `byte` or refuses what stands there.
    #[inline(always)]
    pub fn expect(&mut self, byte: u8) -> Scanned<()> {
        if self.take(byte) { Ok(()) } else { Err(self.missing(byte)) }
    }

    #[cold]
    fn missing(&mut self, byte: u8) -> Reason {
        self.unexpected(&format!("'{}'", byte as char))
    }

    /// What the next value starts with.
    #[inline]
    pub fn start(&mut self) -> Scanned<Start> {
        Ok(match self.peek() {
            b'"' => Start::String,
            b'-' | b'0'..=b'9' => Start::Number,
            b'{' => Start::Object,
            b'[' => Start::Array,
            b't' => Start::True,
            b'f' => Start::False,
            b'n' => Start::Null,
            _ => return Err(self.unexpected("a value")),
        })
    }

    /// Steps over `true`, `false` or `null`.
    #[inline]
    pub fn word(&mut self, word: &'static str) -> Scanned<()> {
        self.peek();
        let ends = |b: Option<&u8>| !b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if self.bytes[self.at..].starts_with(word.as_bytes()) && ends(self.bytes.get(self.at + word.len())) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.unexpected(word))
    }

    /// Steps over `null` if it comes next.
    #[inline]
    pub fn take_null(&mut self) -> Scanned<bool> {
        if self.peek() == b'n' { self.word("null").map(|()| true) } else { Ok(false) }
    }

    /// Steps over a string.
    #[inline(always)]
    pub fn string(&mut self) -> Scanned<RawString<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        self.at += plain_length(self.bytes, start);
        if self.bytes.get(self.at) == Some(&b'"') {
            let raw = self.since(start);
            self.at += 1;
            return Ok(RawString { raw, escaped: false });
        }
        self.escaped_string(start)
    }

    /// Steps over a string that comes next and that is known to be one of plain characters, and to end before `end`.
    #[inline]
    pub fn plain_string(&mut self, end: usize) -> &'a str {
        let text = &self.text[self.at + 1..end - 1];
        self.at = end;
        text
    }

    /// Steps over a short string; nothing if something else comes next, or fewer than 16 bytes.
    #[inline(always)]
    pub(super) fn short_string(&mut self) -> Option<Short> {
        let bytes = self.bytes.get(self.at..self.at + 16)?;
        let length = 1 + plain_length(bytes, 1);
        if bytes[0] != b'"' || bytes.get(length) != Some(&b'"') {
            return None;
        }
        self.at += length + 1;
        Short::new(u128::from_le_bytes(bytes.try_into().ok()?), length + 1)
    }

    /// Steps over the rest of a string that begins at `start` and in which something else than plain characters comes next.
    #[cold]
    fn escaped_string(&mut self, start: usize) -> Scanned<RawString<'a>> {
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let raw = self.since(start);
                    self.at += 1;
                    return Ok(RawString { raw, escaped: true });
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err("a control character stands in a string".into()),
                None => return Err("a string has no end".into()),
            }
            self.at += plain_length(self.bytes, self.at);
        }
    }

    fn escape(&mut self) -> Scanned<()> {
        let length = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err("a \\u escape needs four hexadecimal digits".into());
                }
                6
            }
            _ => return Err("an unknown escape stands in a string".into()),
        };
        self.at += length;
        Ok(())
    }

    /// Steps over a number and gives its text.
    #[inline]
    pub fn number(&mut self) -> Scanned<&'a str> {
        self.peek();
        let start = self.at;
        self.at += usize::from(self.byte() == b'-');
        match self.byte() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.unexpected("a digit")),
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), b'+' | b'-'));
            self.some_digits()?;
        }
        if self.byte().is_ascii_alphanumeric() || matches!(self.byte(), b'_' | b'.' | b'+' | b'-') {
            return Err(self.unexpected("the end of the number"));
        }
        Ok(self.since(start))
    }

    /// Steps over a number of at most 16 digits without fraction and exponent; nothing if something else comes next.
    #[inline]
    pub fn small_integer(&mut self) -> Option<i64> {
        let (is_negative, value, end) = self.small_whole()?;
        self.step_over_number(end)?;
        Some(if is_negative { -value } else { value })
    }

    /// Steps over a number of at most 15 digits without exponent, or of 16 if it has no fraction: its digits as a whole number,
    /// and how many of them are behind the point. Nothing if something else comes next.
    #[inline]
    pub fn small_number(&mut self) -> Option<(i64, usize)> {
        let (is_negative, mut digits, mut end) = self.small_whole()?;
        let mut places = 0;
        if self.byte_at(end) == b'.' {
            let (fraction, length) = self.leading_digits(end + 1);
            if length == 0 || length > EXACT_DIGITS || digits >= POWERS[EXACT_DIGITS - length] {
                return None;
            }
            digits = digits * POWERS[length] + fraction;
            (places, end) = (length, end + 1 + length);
        }
        self.step_over_number(end)?;
        Some((if is_negative { -digits } else { digits }, places))
    }

    /// Whether a number is negative, its digits before a point or end, at most 16, and where they end.
    #[inline]
    fn small_whole(&mut self) -> Option<(bool, i64, usize)> {
        let is_negative = self.peek() == b'-';
        let start = self.at + usize::from(is_negative);
        let (value, length) = self.leading_digits(start);
        let has_leading_zero = length > 1 && self.byte_at(start) == b'0';
        (length > 0 && !has_leading_zero).then_some((is_negative, value, start + length))
    }

    /// The first digits at a place, at most 16 where more text follows, and how many they are.
    #[inline]
    fn leading_digits(&self, start: usize) -> (i64, usize) {
        match sixteen(self.bytes, start) {
            Some(bytes) => sixteen_digits(bytes),
            None => few_digits(self.bytes.get(start..).unwrap_or_default()),
        }
    }

    /// Steps over a number that ends at a place, if it does.
    #[inline]
    fn step_over_number(&mut self, end: usize) -> Option<()> {
        let ends = matches!(self.bytes.get(end), None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
        ends.then(|| self.at = end)
    }

    #[inline]
    fn byte_at(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn byte(&self) -> u8 {
        self.byte_at(self.at)
    }

    #[inline]
    fn digits(&mut self) {
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Scanned<()> {
        if !self.byte().is_ascii_digit() {
            return Err(self.unexpected("a digit"));
        }
        self.digits();
        Ok(())
    }

    /// Steps over a value of any kind, checking its syntax.
    #[inline]
    pub fn skip(&mut self) -> Scanned<()> {
        if self.peek() == b'"' {
            return self.string().map(drop);
        }
        if self.small_number().is_some() { Ok(()) } else { self.skip_any() }
    }

    fn skip_any(&mut self) -> Scanned<()> {
        // The kinds of the open collections: true for an object.
        let mut open: Vec<bool> = Vec::new();
        loop {
            match self.start()? {
                Start::String => self.string().map(|_| ())?,
                Start::Number => self.number().map(|_| ())?,
                Start::True => self.word("true")?,
                Start::False => self.word("false")?,
                Start::Null => self.word("null")?,
                Start::Object => {
                    self.at += 1;
                    if !self.take(b'}') {
                        self.string()?;
                        self.expect(b':')?;
                        open.push(true);
                        continue;
                    }
                }
                Start::Array => {
                    self.at += 1;
                    if !self.take(b']') {
                        open.push(false);
                        continue;
                    }
                }
            }
            loop {
                let Some(object) = open.last() else { return Ok(()) };
                if self.take(b',') {
                    if *object {
                        self.string()?;
                        self.expect(b':')?;
                    }
                    break;
                }
                self.expect(if *object { b'}' } else { b']' })?;
                open.pop();
            }
        }
    }

    /// Whether nothing but white space is left.
    pub fn is_at_end(&mut self) -> bool {
        self.peek() == 0 && self.at == self.bytes.len()
    }

    /// A refusal that says what stands where something else is expected.
    #[cold]
    pub fn unexpected(&mut self, what: &str) -> Reason {
        let found = self.text.get(self.at..).unwrap_or_default().chars().take(12).collect::<String>();
        let found = if found.is_empty() { "the end".to_owned() } else { format!("'{found}'") };
        format!("{what} expected, found {found} at byte {}", self.at).into()
    }
}

/// Whether two short texts of the same length are the same, without a call.
#[inline]
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let length = left.len();
    if length < 8 {
        return left.iter().eq(right);
    }
    let mut at = 0;
    while at + 8 < length {
        if word(left, at) != word(right, at) {
            return false;
        }
        at += 8;
    }
    word(left, length - 8) == word(right, length - 8)
}

impl<'a> RawString<'a> {
    /// Calls `piece` with the pieces of the string, escapes resolved; half of a surrogate pair becomes U+FFFD.
    #[inline]
    pub fn each_piece(&self, mut piece: impl FnMut(&str)) {
        let mut rest = self.raw;
        while self.escaped
            && let Some(at) = memchr::memchr(b'\\', rest.as_bytes())
        {
            piece(&rest[..at]);
            let (c, length) = unescape(&rest.as_bytes()[at..]);
            piece(c.encode_utf8(&mut [0; 4]));
            rest = &rest[at + length..];
        }
        piece(rest);
    }

    /// The string's characters; copied only where escapes are resolved.
    pub fn text(&self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut out = String::with_capacity(self.raw.len());
        self.each_piece(|piece| out.push_str(piece));
        Cow::Owned(out)
    }
}

/// The character of the escape at the front, and how many bytes it takes.
fn unescape(bytes: &[u8]) -> (char, usize) {
    let simple = match bytes[1] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = hex(&bytes[2..6]);
            if (0xD800..0xDC00).contains(&first) && bytes[6..].starts_with(b"\\u") {
                let second = hex(&bytes[8..12]);
                if (0xDC00..0xE000).contains(&second) {
                    let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                    return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
                }
            }
            return (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
        }
        other => other as char,
    };
    (simple, 2)
}

fn hex(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, d| value << 4 | (*d as char).to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_stepped_over_with_their_syntax_checked() {
        for good in [r#"{"a":[1,-2.5e3,{"b":null}],"c":"\u00e9\n"} x"#, " [ ] ", "0", "true", r#""""#] {
            assert_eq!(Scan::new(good).skip(), Ok(()), "{good}");
        }
        for bad in [
            "",
            "nul",
            "01",
            "+1",
            ".5",
            "1.",
            "1e",
            "NaN",
            "'a'",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "[1",
            "\"\\x\"",
            "\"\n\"",
            "{\"a\" 1}",
            "1_000",
            "\"a",
            "truex",
        ] {
            assert!(Scan::new(bad).skip().is_err(), "{bad}");
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(Scan::new(&deep).skip(), Ok(()));
    }

    #[test]
    fn small_integers_are_read_wherever_they_stand() {
        let read = |text: &str| {
            let mut scan = Scan::new(text);
            (scan.small_integer(), scan.at())
        };
        for digits in 1..=16 {
            for number in ["1234567890123456", "9999999999999999", "1000000000000000"] {
                let number: i64 = number[..digits].parse().expect("a number");
                for (number, text) in [(number, number.to_string()), (-number, (-number).to_string())] {
                    for behind in ["", ",", "} ", "]     ", " \"a\":12345678901234567890", "\t", "\n"] {
                        assert_eq!(read(&format!("{text}{behind}")), (Some(number), text.len()), "{text}{behind}");
                    }
                    for behind in [".5", "e1", "x", ":", "/", "é, and more text behind it", "\0", "-"] {
                        assert_eq!(read(&format!("{text}{behind}")), (None, 0), "{text}{behind}");
                    }
                }
            }
        }
        for none in
            ["", "-", "-,", "a", "01", "-01", "00000000000000000000", "12345678901234567", "12345678901234567890,"]
        {
            assert_eq!(read(none), (None, 0), "{none}");
        }
        assert_eq!(read("0,                   "), (Some(0), 1));
        assert_eq!(read("-0"), (Some(0), 2));
    }

    #[test]
    fn small_numbers_are_read_wherever_they_stand() {
        let read = |text: &str| {
            let mut scan = Scan::new(text);
            (scan.small_number(), scan.at())
        };
        let all = "1234567890123456";
        for (whole, places) in (1..=15).flat_map(|whole| (1..=15 - whole).map(move |places| (whole, places))) {
            let (before, after) = (&all[..whole], &all[whole..whole + places]);
            let digits: i64 = all[..whole + places].parse().expect("a number");
            for (sign, digits) in [("", digits), ("-", -digits)] {
                let text = format!("{sign}{before}.{after}");
                for behind in ["", ",", "} ", "]     ", " \"a\":1.5", "\t", "\n"] {
                    assert_eq!(
                        read(&format!("{text}{behind}")),
                        (Some((digits, places)), text.len()),
                        "{text}{behind}"
                    );
                }
                for behind in [".5", "e1", "E-1", "x", ":", "/", "é, and more text behind it", "\0", "-"] {
                    assert_eq!(read(&format!("{text}{behind}")), (None, 0), "{text}{behind}");
                }
            }
        }
        for none in [
            "",
            "-",
            ".5",
            "1.",
            "1.,",
            "-.5",
            "01.5",
            "1.x",
            "1234567.890123456",
            "0.1234567890123456,  ",
            "1234567890123456.5",
        ] {
            assert_eq!(read(none), (None, 0), "{none}");
        }
        assert_eq!(read("1234567890123456,"), (Some((1_234_567_890_123_456, 0)), 16));
        assert_eq!(read("0.000000000000001,"), (Some((1, 15)), 17));
        assert_eq!(read("-0.00"), (Some((0, 2)), 5));
    }

    #[test]
    fn escapes_are_resolved() {
        let text = |s: &'static str| Scan::new(s).string().map(|s| s.text());
        assert_eq!(text(r#""a long enough text, \"quoted\"""#).as_deref(), Ok("a long enough text, \"quoted\""));
        assert_eq!(text(r#""\ud83d\ude00\ud83d""#).as_deref(), Ok("😀\u{fffd}"));
    }
}
