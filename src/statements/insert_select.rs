//! `INSERT INTO … SELECT`: a query that writes into a stream that is there already.

use std::fmt;

use super::{Action, Context, Kind, Statement, not_yet};
use crate::error::Result;
use crate::sql::print::layout;
use crate::sql::properties::{Properties, parse_with};
use crate::sql::query::{Query, is_query, parse_query};
use crate::sql::words::Ident;

pub const KIND: Kind = Kind {
    name: "INSERT INTO SELECT",
    summary: "Starts a query that writes into a stream that is there already.",
    example: "INSERT INTO all_orders WITH (query_id='web') SELECT * FROM web_orders;",
    begins: &["INSERT"],
    parse: |cursor| {
        let mark = cursor.mark();
        cursor.expect("INSERT INTO")?;
        let target = cursor.source_name()?;
        let with = parse_with(cursor)?;
        if !is_query(cursor) {
            if !with.is_empty() {
                cursor.expect("SELECT")?;
            }
            cursor.take_none("SELECT");
            cursor.reset(mark);
            return Ok(None);
        }
        Ok(Some(Box::new(InsertSelect { target, with, query: parse_query(cursor)? })))
    },
};

#[derive(Debug, PartialEq)]
struct InsertSelect {
    target: Ident,
    with: Properties,
    query: Query,
}

impl fmt::Display for InsertSelect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout(f.alternate(), |p| {
            p.put(format_args!("INSERT INTO {}", self.target));
            self.with.print(p);
            p.line();
            self.query.print(p);
        }))
    }
}

impl Statement for InsertSelect {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet("INSERT INTO … SELECT", self.target.span))
    }
}
