//! `REGEXP_REPLACE`: matches of a regular expression replaced.

use fancy_regex::{Captures, Regex};

use crate::functions::call::{Fault, rows3};
use crate::functions::fault::check_size;
use crate::functions::meaning::Meaning;
use crate::functions::pattern_cache::{compiled, matches};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "REGEXP_REPLACE",
    shown: "regexp_replace",
    category: "REGULAR EXPRESSION",
    summary: "The string with every match of a regular expression replaced; $1 stands for the first group.",
    examples: &[("REGEXP_REPLACE('a1b2', '([a-z])([0-9])', '$2$1')", "1a2b")],
    overloads: &[Overload {
        params: &[
            param("str", T::String),
            param("regexp", T::String).meaning(Meaning::Regex),
            param("newStr", T::String),
        ],
        returns: Returns::Is(SqlType::String),
        body: |call| {
            rows3(call, |text: &str, pattern: &str, new: &str| {
                let regex = compiled(pattern)?;
                let mut out = String::with_capacity(text.len());
                let mut done = 0;
                for found in matches(&regex, text)? {
                    let Some(whole) = found.get(0) else { continue };
                    out.push_str(&text[done..whole.start()]);
                    expand(new, &regex, &found, &mut out)?;
                    check_size(out.len())?;
                    done = whole.end();
                }
                out.push_str(&text[done..]);
                Ok(Some(out))
            })
        },
    }],
};

/// Appends a replacement as Java writes it: `$1` and `${name}` stand for groups, a backslash quotes the next character.
///
/// As `Matcher.appendReplacement` reads it: `$12` is group 12 if there is one, else group 1 followed by `2`. A group
/// that took no part in the match stands for nothing.
///
/// # Errors
/// With Java's messages: there is no such group, `$` stands before something else, or a backslash is last.
fn expand(new: &str, regex: &Regex, found: &Captures<'_, str>, out: &mut String) -> Result<(), Fault> {
    let mut chars = new.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().ok_or("the character to be escaped is missing")?),
            '$' if chars.peek() == Some(&'{') => {
                chars.next();
                let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                if !regex.capture_names().flatten().any(|known| known == name) {
                    return Err(format!("No group with name {{{name}}}").into());
                }
                out.push_str(found.name(&name).map_or("", |part| part.as_str()));
            }
            '$' => {
                let digit = |c: &char| c.to_digit(10).map(|d| d as usize);
                let mut group = chars.next().as_ref().and_then(digit).ok_or("Illegal group reference")?;
                if group >= regex.captures_len() {
                    return Err(format!("No group {group}").into());
                }
                while let Some(next) = chars.peek().and_then(digit).filter(|d| group * 10 + d < regex.captures_len()) {
                    group = group * 10 + next;
                    chars.next();
                }
                out.push_str(found.get(group).map_or("", |part| part.as_str()));
            }
            other => out.push(other),
        }
    }
    Ok(())
}
