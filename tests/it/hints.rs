//! Hints that are followed: what a refusal tells to write is not refused again.

use tidemill::error::{Error, Position};
use tidemill::statements::parse;

use crate::grammar::cases::texts;

/// What a refusal tells to write in the place that it shows, if it says that.
fn replacement(error: &Error) -> Option<&str> {
    let advice = error.advice()?;
    let after = |start: &str| advice.find(start).map(|at| &advice[at + start.len()..]);
    let upto = |rest: &'_ str, end: &str| rest.find(end).map(|at| rest[..at].len());
    if let Some(rest) = after("did you mean ") {
        return upto(rest, "?").map(|end| &rest[..end]);
    }
    if let Some(rest) = after("write it as ") {
        return upto(rest, " in back-ticks").map(|end| &rest[..end]);
    }
    let rest = advice.strip_prefix("write ")?;
    let end = rest.find([' ', ';', ',']).unwrap_or(rest.len());
    let is_whole = |words: &str| words.chars().all(|c| c.is_ascii_uppercase() || "<>=".contains(c));
    match rest {
        "GROUP BY" | "ORDER BY" | "INSERT INTO" => Some(rest),
        _ if is_whole(&rest[..end]) && !rest.contains(", or") && !rest.starts_with("LIMIT") => Some(&rest[..end]),
        _ => None,
    }
}

/// The byte of a text that a position stands for.
fn byte(text: &str, position: Position) -> usize {
    let line: usize = text.split_inclusive('\n').take(position.line as usize - 1).map(str::len).sum();
    let rest = &text[line..];
    line + rest.char_indices().nth(position.column as usize - 1).map_or(rest.len(), |(at, _)| at)
}

/// The text with the hint of an error followed, and the place that it was for.
fn followed(text: &str, error: &Error) -> Option<(String, usize)> {
    let (words, span) = (replacement(error)?, error.span()?);
    let (start, mut end) = (byte(text, span.start), byte(text, span.end));
    // Two signs that should be one other: the second is the one that is shown.
    let two = words.len() == 2 && words.ends_with('=') && text[..start].trim_end().ends_with('=');
    let start = if two { text[..start].trim_end().len() - 1 } else { start };
    end = end.max(start);
    // OVERWRITE stands after INSERT, which is a part of what is to be written.
    let start = if words == "INSERT INTO" { text[..start].trim_end().len() - "INSERT".len() } else { start };
    Some((format!("{}{words}{}", &text[..start], &text[end..]), start))
}

#[test]
fn what_a_hint_tells_to_write_is_accepted_there() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for text in &texts("") {
        let Err(errors) = parse(text) else { continue };
        for error in &errors {
            let Some((corrected, start)) = followed(text, error) else { continue };
            tried += 1;
            let again = match parse(&corrected) {
                Ok(_) => continue,
                Err(again) => again,
            };
            // What was wrong elsewhere still is; nothing may be wrong with what was written in its place.
            let others: Vec<usize> = errors.iter().filter_map(|e| e.span()).map(|s| byte(text, s.start)).collect();
            let place = |e: &Error| e.span().map_or(0, |s| byte(&corrected, s.start));
            if again.iter().any(|e| place(e) <= start && !others.contains(&place(e)) || place(e) == start) {
                wrong.push(format!("{}\n{corrected}\n{}", error.render(None), again[0].render(None)));
            }
        }
    }
    assert!(tried > 50, "only {tried} hints");
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n\n"));
}
