//! Variables: `${name}` stands for a name, a constant, or a part of a text.
//!
//! | where `${name}` stands | what is put in | if it is not defined |
//! |---|---|---|
//! | alone, as a token | its value as a name, number, TRUE, FALSE or text in quotes | refused |
//! | inside of a text in single quotes | its value as characters | it stays as it is |
//! | inside of a text, as `$${name}` | `${name}` | the same |
//! | inside of a quoted name or a comment | nothing | it stays as it is |
//!
//! Values are put in once: a `${…}` in a value is not looked up again. A value cannot add clauses to a statement,
//! since alone it must be a single token, or a minus and a number.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::bounds::lex_few;
use super::lexer::{Lexed, Lexeme, Token, unquoted};
use super::words::{is_plain_name, string_literal};
use crate::error::{Error, Result, nearest};

/// The variables of a session; case does not matter in their names.
///
/// By name in upper case; each keeps the spelling with which it was defined last.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<String, Variable>);

#[derive(Clone, Debug)]
struct Variable {
    /// As it was written.
    name: String,
    value: String,
}

impl Variables {
    /// Gives a variable a value.
    ///
    /// A value that there was is replaced. Whether it fits shows only where it is used.
    pub fn define(&mut self, name: &str, value: &str) {
        let variable = Variable { name: name.to_owned(), value: value.to_owned() };
        self.0.insert(name.to_ascii_uppercase(), variable);
    }

    /// Removes a variable. Returns whether it was defined.
    pub fn undefine(&mut self, name: &str) -> bool {
        self.0.remove(&name.to_ascii_uppercase()).is_some()
    }

    /// All names and values, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.values().map(|v| (v.name.as_str(), v.value.as_str()))
    }

    /// The value of a variable, in any case of its name.
    fn value(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_uppercase()).map(|v| v.value.as_str())
    }

    /// The tokens with variables replaced by their values; the spans are those of the variables.
    ///
    /// # Errors
    /// A value cannot stand where its variable does, or the variable is not defined.
    ///
    /// Takes O(tokens · log variables). Texts without `${` are passed on untouched.
    pub fn put_into<'a>(&self, lexed: Lexed<'a>) -> Result<Lexed<'a>> {
        let mut lexemes = Vec::with_capacity(lexed.lexemes.len());
        for lexeme in lexed.lexemes {
            match lexeme.token {
                Token::Variable => lexemes.extend(self.tokens(&lexeme)?),
                Token::Text if lexeme.text.contains("${") => {
                    let text = string_literal(&self.within(&unquoted(&lexeme.text)));
                    lexemes.push(Lexeme { text: Cow::Owned(text), ..lexeme });
                }
                _ => lexemes.push(lexeme),
            }
        }
        Ok(Lexed { lexemes, ..lexed })
    }

    /// The text with each `${name}` of a variable replaced by its value as it is, whatever it stands in.
    ///
    /// For showing a statement, not for executing it. Values are put in once.
    pub fn spelled_into(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let found = after.split_once('}').and_then(|(name, after)| Some((self.value(name)?, after)));
            match found {
                Some((value, after)) => {
                    out.push_str(value);
                    rest = after;
                }
                None => {
                    out.push_str("${");
                    rest = after;
                }
            }
        }
        out + rest
    }

    /// The token that replaces a variable: a name or a constant.
    fn tokens(&self, variable: &Lexeme) -> Result<Vec<Lexeme<'static>>> {
        let name = &variable.text[2..variable.text.len() - 1];
        let value = self.value(name).ok_or_else(|| {
            let error = Error::missing(format!("The variable ${{{name}}} is not defined.")).at(variable.span);
            match nearest(name, self.iter().map(|(known, _)| known)) {
                Some(near) => error.hint(format!("did you mean ${{{near}}}?")),
                None => error.hint(format!("DEFINE {name} = '…'; gives it a value")),
            }
        })?;
        let tokens = lex_few(value).lexemes;
        let fits = match tokens.as_slice() {
            [one] => matches!(one.token, Token::Word | Token::Quoted | Token::Text | Token::Number),
            [minus, number] => minus.text == "-" && number.token == Token::Number,
            _ => false,
        };
        if !fits {
            let message = format!(
                "Illegal argument at Line: {}, Col: {}. The value of a variable is a name, a number, TRUE, FALSE or a text in \
                 single quotes. Got: '{value}'",
                variable.span.start.line, variable.span.start.column
            );
            return Err(Error::syntax(message).at(variable.span));
        }
        let owned = |l: &Lexeme| Lexeme { text: Cow::Owned(l.text.to_string()), span: variable.span, ..*l };
        Ok(tokens.iter().map(owned).collect())
    }

    /// A text with variables replaced by their values. `$${name}` becomes `${name}`; undefined variables stay.
    fn within(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            let name = from[2..]
                .split('}')
                .next()
                .filter(|name| is_plain_name(name) && from[2 + name.len()..].starts_with('}'));
            let Some(name) = name else {
                out.extend([before, "${"]);
                rest = &from[2..];
                continue;
            };
            let (whole, behind) = from.split_at(name.len() + 3);
            match (before.strip_suffix('$'), self.value(name)) {
                (Some(before), _) => out.extend([before, whole]),
                (None, value) => out.extend([before, value.unwrap_or(whole)]),
            }
            rest = behind;
        }
        out + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;

    fn put(text: &str) -> String {
        let mut variables = Variables::default();
        variables.define("Name", "abc");
        variables.define("text", "'it''s'");
        variables.define("n", "-5");
        variables.define("bad", "a b");
        match variables.put_into(lex(text)) {
            Ok(lexed) => lexed.lexemes.iter().map(|l| l.text.to_string()).collect::<Vec<_>>().join(" "),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn values_stand_in_the_places_of_variables() {
        assert_eq!(put("a ${name} ${TEXT} ${n}"), "a abc 'it''s' - 5");
        assert_eq!(put("'x ${name} $${name} ${none} ${n}y ${'"), "'x abc ${name} ${none} -5y ${'");
        assert_eq!(put("'${text}'"), "'''it''''s'''");
        assert_eq!(put(" ${nmae}"), "Missing: The variable ${nmae} is not defined. (at 1:2)");
        assert!(put("${bad}").starts_with("Syntax: Illegal argument at Line: 1, Col: 1."));
    }
}
