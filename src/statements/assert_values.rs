//! `ASSERT VALUES` and `ASSERT NULL VALUES`: the next record of a source, in tests.
//!
//! Parsed and printed, not executed in this version: the refusal says what to do instead.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, not_yet};
use crate::error::Result;
use crate::sql::ast::Expr;
use crate::sql::expr::parse_value;
use crate::sql::print::layout;
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "ASSERT VALUES",
    summary: "In tests: fails unless the next record of a stream or table is this one.",
    example: "ASSERT NULL VALUES error_counts (service_name) KEY ('a');",
    begins: &["ASSERT"],
    needs: Right::Read,
    parse: |cursor| {
        let forms = [("ASSERT VALUES", false), ("ASSERT NULL VALUES", true)];
        let Some(is_null) = cursor.take_one(&forms) else { return Ok(None) };
        let source = cursor.source_name()?;
        let named = cursor.is("(");
        let columns = if named { cursor.list_in("(", ")", |c| c.ident("the name of a column"))? } else { Vec::new() };
        cursor.expect(if is_null { "KEY" } else { "VALUES" })?;
        let values = cursor.list_in("(", ")", parse_value)?;
        Ok(Some(Box::new(AssertValues { is_null, source, columns, values })))
    },
};

#[derive(Debug, PartialEq)]
struct AssertValues {
    /// Whether the record has a key alone.
    is_null: bool,
    source: Ident,
    columns: Vec<Ident>,
    values: Vec<Expr>,
}

impl fmt::Display for AssertValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (null, behind) = if self.is_null { ("NULL ", " KEY (") } else { ("", " VALUES (") };
        f.write_str(&layout(f.alternate(), |p| {
            p.put(format_args!("ASSERT {null}VALUES {}", self.source));
            if !self.columns.is_empty() {
                p.list(" (", &self.columns, ")", |p, name| p.put(name));
            }
            p.list(behind, &self.values, ")", |p, value| p.value(value));
        }))
    }
}

impl Statement for AssertValues {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet("ASSERT VALUES", self.source.span, "topic consume shows the records of a topic, to be compared"))
    }
}
