//! How ksqlDB words what is refused, where errors say it in another way or in a hint.

use super::syntax;
use crate::config::{self, Property, Takes};
use crate::error::{Error, Kind, UNSUPPORTED};

/// What an answer names as the statement that is refused.
pub(super) enum Named {
    /// The statement with all that it leaves to defaults.
    Completed,
    /// The statement as it was written: what is refused is how it is written.
    Written,
    /// A part of it.
    Part(String),
}

/// What ksqlDB names of a statement that is refused for an error.
pub(super) fn named(error: &Error) -> Named {
    let message = error.message();
    let is_of_text = is_unprepared(message) || is_topic_conflict(message) || message.contains(NO_FORMAT);
    match wrong_key(message) {
        Some(column) => Named::Part(column.to_owned()),
        None if is_of_text => Named::Written,
        None => Named::Completed,
    }
}

/// Whether an error is one of the query in a completed CREATE … AS SELECT.
pub(super) fn is_of_query(error: &Error, text: &str) -> bool {
    let is_query = text.starts_with("CREATE ") && text.contains(" AS SELECT");
    let is_planned = error.kind() != Kind::Unsupported && !is_unknown_source(error.message());
    is_query && is_planned && matches!(named(error), Named::Completed)
}

/// How the messages begin of what is found when the text of a statement is read.
const OF_PREPARATION: &[&str] = &[
    "ASSERT SCHEMA statements must include a subject name or an id",
    "CREATE STREAM AS SELECT statements don't support LIMIT clause",
    "CREATE TABLE AS SELECT statements don't support LIMIT clause",
    "Cannot resolve unknown type: ",
    "Cannot supply both '",
    "Duplicate column names: ",
    "Invalid config variable(s) in the WITH clause: ",
    "Missing required property \"",
];

/// What is said of a source without a format.
const NO_FORMAT: &str = "Statement is missing the 'VALUE_FORMAT' property from the WITH clause.";

/// Whether it is found when the text of a statement is read. A value in quotes is one of SET.
fn is_unprepared(message: &str) -> bool {
    let value = message.strip_prefix("Invalid value ").filter(|rest| !rest.starts_with('\''));
    OF_PREPARATION.iter().any(|start| message.starts_with(start))
        || value.is_some_and(|rest| rest.contains(" for property "))
}

/// Whether a topic is there and has other settings.
pub(super) fn is_topic_conflict(message: &str) -> bool {
    message.starts_with("A Kafka topic with the name '") && message.contains("already exists, with different")
}

/// The column that is declared as the key of the other kind of source.
fn wrong_key(message: &str) -> Option<&str> {
    let (column, rest) = message.strip_prefix("Column ")?.split_once(" is a '")?;
    rest.contains("KEY' column: please use '").then_some(column)
}

/// The signatures of a function that does not take its arguments.
fn signatures(error: &Error) -> Option<String> {
    let signatures = error.advice()?.strip_prefix("it is called as ")?.replace("), ", ")\n");
    Some(format!(
        ".\nValid alternatives are:\n{signatures}\nFor detailed information on a function run: DESCRIBE FUNCTION \
         <Function-Name>;"
    ))
}

/// What ksqlDB says of an existing topic with other settings.
fn topic_conflict(message: &str) -> String {
    let message = message.replacen("partition/replica configuration", "partition/replica/retention configuration", 1);
    format!("{message}, 1 replication factor (topic has 1), and 604800000 retention (topic has 604800000).")
}

/// The messages that ksqlDB words in another way.
fn reworded(message: &str) -> Option<String> {
    if let Some((insert, function)) = message.split_once("'. Can't find any functions") {
        return Some(format!("{insert}'. Invalid insert value: Can't find any functions{function}."));
    }
    if message.contains(" statement does not support aggregate function [") {
        return Some(message.replace("COUNT(*)", "COUNT(ROWTIME)"));
    }
    match message {
        "The statement does not define any columns." => Some("No columns supplied.".to_owned()),
        _ if is_topic_conflict(message) => Some(topic_conflict(message)),
        _ => of_value(message),
    }
}

/// The format that a message says needs a registry of schemas, which there is none of.
pub(super) fn registered_format(error: &Error) -> Option<&str> {
    let format = error.message().strip_prefix(UNSUPPORTED)?.strip_prefix("the format ")?;
    ["AVRO", "JSON_SR", "PROTOBUF"].contains(&format).then_some(format)
}

/// How the refusal of a source that is not there begins.
pub(super) const UNPREPARED: &str = "Exception while preparing statement: ";

/// Whether a message says no more than that there is no source of a name.
pub(super) fn is_unknown_source(message: &str) -> bool {
    message.strip_suffix(" does not exist.").is_some_and(|name| !name.contains([' ', '\'']))
}

/// What ksqlDB says after the name of a source that is not there, if one is called the same in letters of other cases.
fn other_case(error: &Error) -> String {
    let name = error.advice().and_then(|advice| advice.strip_prefix("it is ")?.split_once(": upper and lower case"));
    name.map_or_else(String::new, |(name, _)| did_you_mean(name.trim_matches('`')))
}

/// The source that was probably meant, and how to write its name.
pub(super) fn did_you_mean(name: &str) -> String {
    match name.chars().any(char::is_lowercase) {
        true => {
            format!("\nDid you mean \"{name}\"? Hint: wrap the source name in double quotes to make it case-sensitive.")
        }
        false => format!("\nDid you mean {name}? Hint: try removing double quotes from the source name."),
    }
}

/// What ksqlDB says after some messages of queries, where there is a hint in place of it.
fn completion(message: &str) -> String {
    const MORE: &str =
        " See https://cnfl.io/queries for more info.\nAdd EMIT CHANGES if you intended to issue a push query.";
    let queryable = || message.strip_prefix("The `")?.strip_suffix("` table isn't queryable.");
    if let Some(name) = queryable() {
        let derived = format!("CREATE TABLE QUERYABLE_{name} AS SELECT * FROM {name}");
        return format!(" To derive a queryable table, you can do '{derived}'.{MORE}");
    }
    if message.starts_with("Comparison with NULL not supported") {
        return "\nUse 'IS NULL' or 'IS NOT NULL' instead.".to_owned();
    }
    match message {
        _ if NARROWING.iter().any(|start| message.starts_with(start)) => format!(" {MORE}{NARROW}"),
        _ if message.starts_with("Pull queries don't support the following columns") => format!("\n{MORE}"),
        _ if message.starts_with("Pull queries don't support") => MORE.to_owned(),
        _ if message.starts_with("Query requires table scan to be enabled") => {
            " Table scans can be enabled by setting ksql.query.pull.table.scan.enabled=true".to_owned()
        }
        _ => String::new(),
    }
}

/// How many characters a line of a cause has.
const WIDTH: usize = 80;

/// A cause as ksqlDB breaks it into lines.
pub(super) fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            out.push_str("\n\t");
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out
}

/// Why a property does not take a value, as Kafka says it; None if it does.
pub(super) fn misfit(property: &Property, value: &str) -> Option<String> {
    property.check(value).err()?;
    Some(match property.takes {
        Takes::Number(low, high) => match value.parse::<i64>() {
            Ok(number) if number < low => format!("Value must be at least {low}"),
            Ok(_) => format!("Value must be no more than {high}"),
            Err(_) => "Not a number of type LONG".to_owned(),
        },
        Takes::Flag => "Expected value to be either true or false".to_owned(),
        Takes::Fraction => "Not a number of type DOUBLE".to_owned(),
        Takes::Choice(words) => format!("String must be one of: {}", words.join(", ")),
        Takes::Text | Takes::Secret | Takes::Url => return None,
    })
}

/// What ksqlDB says of a value that SET gives to a property that does not take it.
fn of_value(message: &str) -> Option<String> {
    let (value, rest) = message.strip_prefix("Invalid value '")?.split_once("' for property '")?;
    let property = config::find(rest.split_once('\'')?.0).ok()?;
    Some(format!("Invalid value {value} for configuration {}: {}", property.name, misfit(property, value)?))
}

/// What keys are.
const KEYS: &str = "\nTables have PRIMARY KEYs, which are unique and NON NULL.\nStreams have KEYs, which have no uniqueness \
                    or NON NULL constraints.";

/// How the messages begin that say what the condition of a pull query lacks.
const NARROWING: &[&str] = &[
    "Missing WHERE clause.",
    "WHERE clause missing key column for disjunct: ",
    "Multi-column sources must specify every key in the WHERE clause.",
    "Bound on key columns '",
    "A comparison condition on the key column cannot be combined",
    "A comparison must ",
    "Unsupported expression in WHERE clause: ",
];

/// What such a condition needs.
const NARROW: &str = "
Pull queries require a WHERE clause that:
 - includes a key equality expression, e.g. `SELECT * FROM X WHERE <key-column> = Y;`.
 - in the case of a multi-column key, is a conjunction of equality expressions that cover all key columns.
 - to support range expressions, e.g.,  SELECT * FROM X WHERE <key-column> < Y;`, range scans need to be enabled by \
setting ksql.query.pull.range.scan.enabled=true
If more flexible queries are needed, , table scans can be enabled by setting ksql.query.pull.table.scan.enabled=true.";

/// The name that cannot be one of a source.
pub(super) fn wrong_name(error: &Error) -> Option<&str> {
    let rest = error.message().strip_prefix("Illegal argument at Line: ")?;
    rest.split_once(". Got: '")?.1.strip_suffix('\'')
}

/// What is said of a topic to print that is not there.
fn no_topic(error: &Error) -> String {
    let message = error.message().replacen(
        "'. Topic names",
        "', or the KSQL user does not have permissions to list the topic. Topic names",
        1,
    );
    let other = error.advice().and_then(|advice| advice.strip_prefix("it is '")?.split_once("':"));
    other.map_or(message.clone(), |(name, _)| format!("{message}\nDid you mean:\n\tprint {name};"))
}

/// A message with the clause and the parts of the statement to which its error was traced, or the statement that it is
/// about, if there is one.
fn traced(error: &Error, message: &str, about: &str) -> String {
    let begin = error.clause().map_or_else(String::new, |clause| format!("Error in {clause} expression: "));
    let parts = error.parts().iter().map(String::as_str).chain(Some(about).filter(|about| !about.is_empty()));
    let parts = parts.map(|part| format!("\nStatement: {part}"));
    format!("{begin}{message}{}", parts.collect::<String>())
}

/// The text of an error, as ksqlDB has it: a syntax error begins with its place. `text` is what is refused: the text that
/// the place is in, or the completed statement.
pub(super) fn message(error: &Error, text: &str) -> String {
    let message = error.message();
    let is_syntax = error.kind() == Kind::Syntax && !is_unprepared(message) && wrong_name(error).is_none();
    let Some(span) = error.span().filter(|_| is_syntax) else {
        return match error.span() {
            Some(span) if message.ends_with("cannot be resolved.") => {
                format!("Line: {}, Col: {}: {message}", span.start.line, span.start.column)
            }
            _ if error.kind() == Kind::Missing && is_unknown_source(message) => {
                format!("{UNPREPARED}{message}{}", other_case(error))
            }
            _ if message.starts_with("Could not find topic '") => no_topic(error),
            Some(span) if wrong_key(message).is_some() => {
                format!("Line: {}, Col: {}: {message}{KEYS}", span.start.line, span.start.column)
            }
            _ if is_unprepared(message) => format!("Failed to prepare statement: {message}"),
            _ if let Some(message) = reworded(message) => message,
            _ => {
                // A blank stands there at the end of the line.
                let message = message.replacen("projection (ie, SELECT).\n", "projection (ie, SELECT). \n", 1);
                let other = if error.kind() == Kind::Missing { other_case(error) } else { String::new() };
                let more = if other.is_empty() { signatures(error).unwrap_or_default() } else { other };
                let about = if message.starts_with("Invalid result type. ") { text } else { "" };
                traced(error, &format!("{message}{}{more}", completion(&message)), about)
            }
        };
    };
    let what = syntax::worded(error, text).unwrap_or_else(|| own_words(error));
    format!("line {}:{}: Syntax Error\n{what}", span.start.line, span.start.column)
}

/// A syntax error at a place where ksqlDB has none, in our own words.
fn own_words(error: &Error) -> String {
    let near = error.advice().and_then(|advice| advice.strip_prefix("did you mean "));
    let near = near.map(|near| format!("\nDid you mean '{}'?", near.trim_end_matches('?').trim_matches('\'')));
    format!("{}{}", error.message(), near.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_broken_into_lines() {
        let words = "of ".repeat(60);
        let lines = wrapped(words.trim());
        assert!(lines.split("\n\t").all(|line| line.len() <= 80), "{lines}");
        assert_eq!(lines.replace("\n\t", " "), words.trim());
    }

    #[test]
    fn a_name_in_other_letters_is_suggested_with_ksqldbs_hint() {
        let missing = |name: &str, known: &str| {
            let shown = |known: &str| if known == "s" { "`s`".to_owned() } else { known.to_owned() };
            message(&Error::missing(format!("{name} does not exist.")).suggest(name, [known], shown), "")
        };
        assert_eq!(
            missing("s", "S"),
            "Exception while preparing statement: s does not exist.\nDid you mean S? Hint: try removing double quotes \
             from the source name."
        );
        assert!(missing("S", "s").ends_with("wrap the source name in double quotes to make it case-sensitive."));
    }

    #[test]
    fn the_signatures_of_a_function_are_told() {
        let error = Error::invalid("Function 'f' does not accept parameters (INTEGER)");
        assert_eq!(
            message(&error.hint("it is called as F(VARCHAR str), F(BYTES b, INT n)"), ""),
            "Function 'f' does not accept parameters (INTEGER).\nValid alternatives are:\nF(VARCHAR str)\n\
             F(BYTES b, INT n)\nFor detailed information on a function run: DESCRIBE FUNCTION <Function-Name>;"
        );
    }

    #[test]
    fn a_function_that_is_unknown_is_an_invalid_value_to_insert() {
        let error = Error::invalid("Failed to insert values into 'S'. Can't find any functions with the name 'NOPE'");
        assert!(
            message(&error, "").ends_with("'S'. Invalid insert value: Can't find any functions with the name 'NOPE'.")
        );
    }
}
