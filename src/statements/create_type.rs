//! `CREATE TYPE`: a name for a type.

use std::fmt;

use super::{Action, Context, Kind, Statement, not_yet};
use crate::error::Result;
use crate::sql::print::layout;
use crate::sql::types::{TypeName, parse_type};
use crate::sql::words::Ident;

pub const KIND: Kind = Kind {
    name: "CREATE TYPE",
    summary: "Gives a type a name.",
    example: "CREATE TYPE IF NOT EXISTS address AS STRUCT<street VARCHAR, city VARCHAR>;",
    begins: &["CREATE"],
    parse: |cursor| {
        if !cursor.take("CREATE TYPE") {
            return Ok(None);
        }
        let if_not_exists = cursor.take("IF NOT EXISTS");
        let name = cursor.ident("the name of a type")?;
        cursor.expect("AS")?;
        Ok(Some(Box::new(CreateType { if_not_exists, name, meaning: parse_type(cursor)? })))
    },
};

#[derive(Debug, PartialEq)]
struct CreateType {
    if_not_exists: bool,
    name: Ident,
    meaning: TypeName,
}

impl fmt::Display for CreateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exists = if self.if_not_exists { "IF NOT EXISTS " } else { "" };
        f.write_str(&layout(f.alternate(), |p| {
            p.put(format_args!("CREATE TYPE {exists}{} AS ", self.name));
            self.meaning.print(p);
        }))
    }
}

impl Statement for CreateType {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet("CREATE TYPE", self.name.span))
    }
}
