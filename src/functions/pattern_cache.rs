//! Regular expressions in Java's dialect, compiled once.
//!
//! ksqlDB's patterns are those of `java.util.regex`. They are translated into the dialect of the `fancy-regex`
//! engine, which knows look-around and back-references; what neither the translation nor the engine knows is refused
//! as an invalid pattern. Each thread keeps the last few compiled patterns, so a constant pattern is compiled once
//! per thread.
//!
//! Matching can backtrack for patterns with look-around or back-references. The engine gives up after a bounded
//! number of steps, and the row fails.

use std::rc::Rc;

use arrow::array::ArrayRef;
use fancy_regex::{Captures, Regex};

use super::call::{Call, Fault, Outcome, Put};
use super::fault::shortened;
use super::recent::Recent;

thread_local! {
    static RECENT: Recent<Regex> = const { Recent::new() };
}

/// The expression of this text.
///
/// # Errors
/// The text is no expression that the engine knows; the reason shows it.
pub(super) fn compiled(pattern: &str) -> Result<Rc<Regex>, Fault> {
    let compile = |pattern: &str| {
        Regex::new(&translated(pattern))
            .map_err(|e| Fault::shown(format!("Invalid regular expression pattern '{}': {e}", shortened(pattern))))
    };
    RECENT.with(|recent| recent.get(pattern, compile))
}

/// A column with the result of `extract` for the expression and the text of each row and the number of a group: 0, which is the
/// whole match, unless a third argument gives another. NULL where the expression has no such group.
pub(super) fn extraction<'a, R: Put>(
    call: &mut Call<'a>,
    mut extract: impl FnMut(&Regex, &'a str, i32) -> Outcome<R>,
) -> ArrayRef {
    let args = call.readers();
    call.rows(|row| {
        let (Some(pattern), Some(text)) = (args[0].get::<&str>(row), args[1].get::<&'a str>(row)) else {
            return Ok(None);
        };
        let Some(group) = args.get(2).map_or(Some(0), |a| a.get::<i32>(row)) else { return Ok(None) };
        let regex = compiled(pattern)?;
        if group >= regex.captures_len() as i32 { Ok(None) } else { extract(&regex, text, group) }
    })
}

/// The group of this number of a match, if it took part in it.
///
/// `Ok(None)` for a group in a branch that the match did not take: `(a)|(b)` on `b` has no group 1.
///
/// # Errors
/// The number is negative.
pub(super) fn group_of<'t>(found: &Captures<'t, str>, group: i32) -> Result<Option<&'t str>, Fault> {
    let group = usize::try_from(group).map_err(|_| "the number of a group is negative")?;
    Ok(found.get(group).map(|part| part.as_str()))
}

/// All matches, as Java finds them: the next search starts where the last match ended, one character on if it was empty.
///
/// For `a*` on `ba` these are the empty match at 0, `a` at 1 and the empty match at 2, as Java's `Matcher.find` gives
/// them.
///
/// # Errors
/// The engine gave up on a search.
pub(super) fn matches<'t>(regex: &Regex, text: &'t str) -> Result<Vec<Captures<'t, str>>, Fault> {
    let mut all = Vec::new();
    let mut from = 0;
    while from <= text.len() {
        let Some(found) = regex.captures_from_pos(text, from).map_err(|e| e.to_string())? else { break };
        let Some(whole) = found.get(0) else { break };
        from = match whole.start() == whole.end() {
            true => whole.end() + text[whole.end()..].chars().next().map_or(1, char::len_utf8),
            false => whole.end(),
        };
        all.push(found);
    }
    Ok(all)
}

/// Java's dialect in that of the engine: `\d`, `\w` and `\s` are ASCII, `.` stops at every line terminator, `\Q…\E` quotes.
///
/// | Java | engine |
/// |---|---|
/// | `\d`, `\w`, `\s` and their opposites | classes of ASCII characters |
/// | `.` without `(?s)` | all but `\n`, `\r`, U+0085, U+2028 and U+2029 |
/// | `\Q…\E` | each character for itself |
/// | `\uXXXX` | `\u{XXXX}` |
/// | `\p{Upper}` and the other POSIX names | ASCII classes |
/// | `\p{IsLatin}` | `\p{Latin}` |
///
/// `(?s)` anywhere makes every dot match all: a simplification, since in Java it holds from its place on.
fn translated(pattern: &str) -> String {
    let dot_matches_all = pattern.contains("(?s");
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut depth = 0u32;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str("[ \\t\\n\\x0B\\f\\r]"),
                Some('S') => out.push_str("[^ \\t\\n\\x0B\\f\\r]"),
                Some('Q') => quoted(&mut chars, &mut out),
                Some('u') => {
                    let digits: String =
                        std::iter::from_fn(|| chars.next_if(char::is_ascii_hexdigit)).take(4).collect();
                    out.push_str(&format!("\\u{{{digits}}}"));
                }
                Some('p') if chars.peek() == Some(&'{') => property(false, &mut chars, &mut out),
                Some('P') if chars.peek() == Some(&'{') => property(true, &mut chars, &mut out),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' => {
                depth += 1;
                out.push('[');
            }
            ']' => {
                depth = depth.saturating_sub(1);
                out.push(']');
            }
            '.' if depth == 0 && !dot_matches_all => out.push_str("[^\\n\\r\\u{85}\\u{2028}\\u{2029}]"),
            other => out.push(other),
        }
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// The characters between `\Q` and `\E`, each for itself.
///
/// A missing `\E` quotes up to the end, as in Java.
fn quoted(chars: &mut Chars, out: &mut String) {
    while let Some(c) = chars.next() {
        if c == '\\' && chars.peek() == Some(&'E') {
            chars.next();
            return;
        }
        if !c.is_alphanumeric() && c.is_ascii() {
            out.push('\\');
        }
        out.push(c);
    }
}

/// A class in braces; Java's POSIX names are those of ASCII classes.
fn property(negated: bool, chars: &mut Chars, out: &mut String) {
    chars.next();
    let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
    let class = match name.as_str() {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "Alpha" => "A-Za-z",
        "Digit" => "0-9",
        "Alnum" => "0-9A-Za-z",
        "Punct" => "!-/:-@\\[-`{-~",
        "Space" => " \\t\\n\\x0B\\f\\r",
        "XDigit" => "0-9A-Fa-f",
        "ASCII" => "\\x00-\\x7F",
        name => {
            let sign = if negated { 'P' } else { 'p' };
            let name = name.strip_prefix("Is").unwrap_or(name);
            return out.push_str(&format!("\\{sign}{{{name}}}"));
        }
    };
    out.push_str(&format!("[{}{class}]", if negated { "^" } else { "" }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_s_classes_are_ascii() {
        let matches = |pattern: &str, text: &str| compiled(pattern).expect("a pattern").is_match(text).expect("an end");
        assert!(!matches("^\\d$", "٣"));
        assert!(matches("^[\\d_]+$", "1_2"));
        assert!(!matches("^.$", "\r"));
        assert!(matches("^\\Qa.b\\E$", "a.b"));
        assert!(!matches("^\\Qa.b\\E$", "axb"));
        assert!(matches("^\\p{Upper}$", "A"));
        assert!(matches("(a)\\1", "aa"));
        assert!(compiled("(").is_err());
    }
}
