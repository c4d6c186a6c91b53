//! `ALTER STREAM` and `ALTER TABLE`: more columns for a source.
//!
//! Parsed and printed, not executed in this version: the refusal says what to do instead.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, Touched, not_yet};
use crate::catalog::SourceKind;
use crate::error::Result;
use crate::sql::print::layout;
use crate::sql::types::{TypeName, parse_type};
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "ALTER STREAM",
    summary: "Adds columns to a stream or table.",
    example: "ALTER TABLE users ADD COLUMN phone STRING, ADD address STRUCT<street STRING, city STRING>;",
    begins: &["ALTER"],
    needs: Right::Admin,
    parse: |cursor| {
        let kinds = [("ALTER STREAM", SourceKind::Stream), ("ALTER TABLE", SourceKind::Table)];
        let Some(kind) = cursor.take_one(&kinds) else { return Ok(None) };
        let name = cursor.source_name()?;
        let columns = cursor.list(|c| {
            c.expect("ADD")?;
            // A column may be called so.
            if !c.is_at(2, ",") && !c.is_at(2, ";") {
                c.take("COLUMN");
            }
            Ok((c.ident("the name of a column")?, parse_type(c)?))
        })?;
        Ok(Some(Box::new(Alter { kind, name, columns })))
    },
};

#[derive(Debug, PartialEq)]
struct Alter {
    kind: SourceKind,
    name: Ident,
    columns: Vec<(Ident, TypeName)>,
}

impl fmt::Display for Alter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout(f.alternate(), |p| {
            let head = format!("ALTER {} {} ", self.kind.name(), self.name);
            p.clause_list(&head, &self.columns, "", |p, (name, column_type)| {
                p.put(format_args!("ADD COLUMN {name} "));
                column_type.print(p);
            });
        }))
    }
}

impl Statement for Alter {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet(
            format!("ALTER {}", self.kind.name()),
            self.name.span,
            "DROP it, and CREATE it again with all its columns; its topic stays",
        ))
    }

    fn touches(&self) -> Touched {
        Touched::name(&self.name.name)
    }
}
