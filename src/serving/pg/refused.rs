//! Errors as PostgreSQL's clients know them: a code of five characters, a message, a hint, a place.

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::ErrorResponse;

use crate::error::{Error, Kind, Limit};

/// Codes of SQLSTATE that are used.
pub(super) mod code {
    pub(in crate::serving::pg) const PROTOCOL: &str = "08P01";
    pub(in crate::serving::pg) const UNSUPPORTED: &str = "0A000";
    pub(in crate::serving::pg) const DATA: &str = "22000";
    pub(in crate::serving::pg) const BAD_PARAMETER: &str = "22P02";
    pub(in crate::serving::pg) const READ_ONLY: &str = "25006";
    pub(in crate::serving::pg) const IN_FAILED: &str = "25P02";
    pub(in crate::serving::pg) const NO_STATEMENT: &str = "26000";
    pub(in crate::serving::pg) const REFUSED_USER: &str = "28000";
    pub(in crate::serving::pg) const BAD_PASSWORD: &str = "28P01";
    pub(in crate::serving::pg) const NO_PORTAL: &str = "34000";
    pub(in crate::serving::pg) const INVALID: &str = "42000";
    pub(in crate::serving::pg) const SYNTAX: &str = "42601";
    pub(in crate::serving::pg) const MISSING: &str = "42P01";
    pub(in crate::serving::pg) const TOO_MANY: &str = "53400";
    pub(in crate::serving::pg) const MEMORY: &str = "53200";
    pub(in crate::serving::pg) const CONFLICT: &str = "55006";
    pub(in crate::serving::pg) const CANCELLED: &str = "57014";
    pub(in crate::serving::pg) const STOPPING: &str = "57P01";
    pub(in crate::serving::pg) const TERMINATED: &str = "57P03";
    pub(in crate::serving::pg) const BACKEND: &str = "58000";
    pub(in crate::serving::pg) const ASSERTION: &str = "P0004";
    pub(in crate::serving::pg) const BUG: &str = "XX000";
}

/// The most characters of a message: a client may take no more than 30,000 bytes.
const LONGEST: usize = 5_000;

/// Why something is not done.
#[derive(Debug)]
pub(super) struct Refused {
    code: &'static str,
    message: String,
    hint: Option<String>,
    /// The character of the query at which the reason stands; the first is 1.
    position: Option<usize>,
}

impl Refused {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Refused {
        Refused { code, message: message.into(), hint: None, position: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Refused {
        Refused { hint: Some(hint.into()), ..self }
    }

    /// The same refusal, `characters` further on in the text.
    pub(super) fn after(self, characters: usize) -> Refused {
        Refused { position: self.position.map(|position| position + characters), ..self }
    }

    /// The same refusal with a place that was found in a text after `changed` made it of the client's.
    pub(super) fn placed(self, changed: impl Fn(usize) -> usize) -> Refused {
        Refused { position: self.position.map(changed), ..self }
    }

    /// What is refused by an error; its place is one in `text`.
    pub(super) fn of(error: &Error, text: &str) -> Refused {
        let code = match (error.limit(), error.kind()) {
            (Some(Limit::Memory), _) => code::MEMORY,
            (Some(Limit::Time | Limit::Cancelled), _) => code::CANCELLED,
            (None, Kind::Syntax) => code::SYNTAX,
            (None, Kind::Invalid) => code::INVALID,
            (None, Kind::Missing) => code::MISSING,
            (None, Kind::Conflict) => code::CONFLICT,
            (None, Kind::Assertion) => code::ASSERTION,
            (None, Kind::BadRecord) => code::DATA,
            (None, Kind::Unsupported) => code::UNSUPPORTED,
            (None, Kind::Backend) => code::BACKEND,
            (None, Kind::Bug) => code::BUG,
        };
        let position = error.span().map(|span| {
            let before = text.split_inclusive('\n').take(span.start.line.saturating_sub(1) as usize);
            before.map(|line| line.chars().count()).sum::<usize>() + span.start.column.max(1) as usize
        });
        Refused { code, message: error.message().to_owned(), hint: error.advice().map(str::to_owned), position }
    }

    /// The message that tells it. A fatal one ends the connection.
    pub(super) fn response(self, is_fatal: bool) -> PgWireBackendMessage {
        let severity = if is_fatal { "FATAL" } else { "ERROR" };
        let cut = |text: String| text.chars().filter(|c| *c != '\0').take(LONGEST).collect::<String>();
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.code.to_owned()),
            (b'M', cut(self.message)),
        ];
        fields.extend(self.hint.map(|hint| (b'H', cut(hint))));
        fields.extend(self.position.map(|position| (b'P', position.to_string())));
        PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements;

    #[test]
    fn a_place_is_counted_in_characters_of_the_whole_text() {
        let text = "SELECT 'ä',\n  x FORM t;";
        let errors = statements::parse(text).expect_err("FORM is no keyword");
        let refused = Refused::of(&errors[0], text);
        assert_eq!((refused.code, refused.position), (code::SYNTAX, Some(17)), "{refused:?}");
        assert_eq!(refused.after(5).position, Some(22));
    }
}
