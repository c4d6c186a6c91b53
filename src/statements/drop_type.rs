//! `DROP TYPE`: the name of a type goes.

use std::fmt;

use super::{Action, Context, Kind, Reply, Right, Statement, Touched};
use crate::engine::{Change, Effect};
use crate::error::Result;
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "DROP TYPE",
    summary: "Removes the name of a type.",
    example: "DROP TYPE IF EXISTS address;",
    begins: &["DROP"],
    needs: Right::Admin,
    parse: |cursor| {
        if !cursor.take("DROP TYPE") {
            return Ok(None);
        }
        let if_exists = cursor.take("IF EXISTS");
        Ok(Some(Box::new(DropType { if_exists, name: cursor.ident("the name of a type")? })))
    },
};

#[derive(Debug, PartialEq)]
struct DropType {
    if_exists: bool,
    name: Ident,
}

impl fmt::Display for DropType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exists = if self.if_exists { "IF EXISTS " } else { "" };
        write!(f, "DROP TYPE {exists}{}", self.name)
    }
}

impl Statement for DropType {
    /// # Errors
    /// Missing if there is no such type and IF EXISTS was not written.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let name = self.name.name.to_uppercase();
        if cx.catalog.custom_type(&name).is_none() {
            if self.if_exists {
                let message = format!("Type '{name}' does not exist");
                return Ok(Action::Reply(Reply::nothing_changed(&format!("type/{name}/drop"), message)));
            }
            return Err(cx.catalog.no_type(&name).at(self.name.span));
        }
        // What was declared with it keeps the type that it stood for.
        let message = format!("Dropped type '{name}'");
        let command = format!("type/{name}/drop");
        Ok(Action::Change(Box::new(Change::new(command, vec![Effect::DropType(name)], message))))
    }

    fn touches(&self) -> Touched {
        Touched::name(&self.name.name.to_uppercase())
    }
}
