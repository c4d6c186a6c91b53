//! The topics that are there before the first statement of a case.

use std::collections::BTreeMap;

use super::case::Case;
use crate::error::{Error, Result};
use crate::sql::lexer::{Lexeme, Token, lex, unquoted};
use crate::sql::words::string_literal;

/// The statements that make them, one for each.
///
/// One partition for a topic that the case lists without a number, else four.
///
/// # Errors
/// Kind `Unsupported`: a topic has a schema.
pub(super) fn statements(case: &Case) -> Result<Vec<String>> {
    if case.topics.iter().any(|t| t.key_schema.is_some() || t.value_schema.is_some()) {
        return Err(Error::unsupported("schemas of a Schema Registry"));
    }
    let mut wanted: BTreeMap<String, u32> = BTreeMap::new();
    for topic in &case.topics {
        wanted.insert(topic.name.clone(), topic.partitions.unwrap_or(1));
    }
    for text in &case.statements {
        if let Some((topic, partitions)) = declared_topic(text) {
            wanted.entry(topic).or_insert(partitions.unwrap_or(4));
        }
    }
    for record in &case.inputs {
        wanted.entry(record.topic.clone()).or_insert(4);
    }
    let statement = |(name, partitions): (String, u32)| {
        format!("CREATE TOPIC {} WITH (PARTITIONS={partitions});", string_literal(&name))
    };
    Ok(wanted.into_iter().map(statement).collect())
}

/// The topic and the partitions that a CREATE with columns says.
///
/// `None` for CREATE … AS SELECT and for statements that make no source.
fn declared_topic(text: &str) -> Option<(String, Option<u32>)> {
    let lexed = lex(text);
    let is_word = |l: &Lexeme, word: &str| l.token == Token::Word && l.text.eq_ignore_ascii_case(word);
    if !is_word(lexed.lexemes.first()?, "CREATE") || lexed.lexemes.iter().any(|l| is_word(l, "SELECT")) {
        return None;
    }
    let value = |name: &str| {
        let at = lexed.lexemes.iter().position(|l| is_word(l, name))?;
        lexed.lexemes.get(at + 1).filter(|l| l.text == "=").and(lexed.lexemes.get(at + 2))
    };
    let topic = value("KAFKA_TOPIC").filter(|l| l.token == Token::Text)?;
    let partitions = value("PARTITIONS").and_then(|l| l.text.trim_matches('\'').parse().ok());
    Some((unquoted(&topic.text), partitions))
}
