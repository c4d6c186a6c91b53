//! `EXTRACTJSONFIELD`: a part of a JSON text.

use crate::functions::call::{Fault, rows2};
use crate::functions::json::{self, Numbers};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub const FUNCTION: Scalar = Scalar {
    name: "EXTRACTJSONFIELD",
    shown: "extractjsonfield",
    category: "JSON",
    summary: "The part of a JSON text at a path like $.a[0].b: a string as it is, everything else as JSON.",
    examples: &[("EXTRACTJSONFIELD('{\"a\": [{\"b\": \"x\"}]}', '$.a[0].b')", "x")],
    overloads: &[Overload {
        params: &[param("input", T::String), param("path", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| {
            rows2(call, |text: &str, path: &str| {
                let path = steps(path).ok_or_else(|| Fault(format!("Invalid JSON path: '{path}'")))?;
                if text.trim().is_empty() {
                    // Jackson reads nothing at all as a node that is missing, which prints as nothing.
                    return Ok(path.is_empty().then(String::new));
                }
                let parsed = json::first(text)?;
                let found = path.iter().try_fold(&parsed, |value, step| match value.as_array() {
                    Some(items) => items.get(step.parse::<usize>().ok()?),
                    None => value.get(step),
                });
                Ok(found.map(|value| json::bare(value, Numbers::Java)))
            })
        },
    }],
};

/// The names and places on a path: `$`, then `.name`, `[0]`, `[name]` or `["name"]`, any number of times.
fn steps(path: &str) -> Option<Vec<String>> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '@');
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$')?;
    while !rest.is_empty() {
        let (step, behind) = if let Some(name) = rest.strip_prefix('.') {
            name.split_at(name.find(|c| !is_name(c)).unwrap_or(name.len()))
        } else if let Some(quoted) = rest.strip_prefix("[\"") {
            let (name, behind) = quoted_name(quoted)?;
            steps.push(name);
            rest = behind.strip_prefix(']')?;
            continue;
        } else {
            let name = rest.strip_prefix('[')?;
            let (name, behind) = name.split_at(name.find(|c| !is_name(c)).unwrap_or(name.len()));
            (name, behind.strip_prefix(']')?)
        };
        if step.is_empty() {
            return None;
        }
        steps.push(step.to_owned());
        rest = behind;
    }
    Some(steps)
}

/// A name whose opening quote was taken, and what stands behind its closing one.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((name, &text[at + 1..])),
            '\\' => name.push(chars.next()?.1),
            other => name.push(other),
        }
    }
    None
}
