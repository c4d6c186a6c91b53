//! `ASSERT STREAM` and `ASSERT TABLE`: what a source is, in tests.
//!
//! Parsed and printed, not executed in this version. As the last kind that begins with ASSERT it refuses what no
//! other kind has taken.

use std::fmt;

use super::create_source::{Element, parse_elements, print_declaration};
use super::{Action, Context, Kind, Right, Statement, not_yet};
use crate::catalog::SourceKind;
use crate::error::Result;
use crate::sql::print::layout;
use crate::sql::properties::{Properties, parse_with};
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "ASSERT STREAM",
    summary: "In tests: fails unless a stream or table is declared like this.",
    example: "ASSERT TABLE users (id INT PRIMARY KEY, name STRING) WITH (kafka_topic='users', value_format='JSON');",
    begins: &["ASSERT"],
    needs: Right::Read,
    parse: |cursor| {
        let kinds = [("ASSERT STREAM", SourceKind::Stream), ("ASSERT TABLE", SourceKind::Table)];
        let Some(kind) = cursor.take_one(&kinds) else {
            cursor.advance();
            return Err(cursor.unexpected("TOPIC, SCHEMA, STREAM, TABLE, VALUES, NULL VALUES or NOT EXISTS"));
        };
        let name = cursor.source_name()?;
        let elements = parse_elements(cursor)?;
        Ok(Some(Box::new(AssertSource { kind, name, elements, with: parse_with(cursor)? })))
    },
};

#[derive(Debug, PartialEq)]
struct AssertSource {
    kind: SourceKind,
    name: Ident,
    elements: Vec<Element>,
    with: Properties,
}

impl fmt::Display for AssertSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout(f.alternate(), |p| {
            let head = format!("ASSERT {} {}", self.kind.name(), self.name);
            print_declaration(p, head, &self.elements, &self.with);
        }))
    }
}

impl Statement for AssertSource {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet(
            format!("ASSERT {}", self.kind.name()),
            self.name.span,
            "DESCRIBE shows the columns of a stream or table",
        ))
    }
}
