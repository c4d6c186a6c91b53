//! `CREATE TYPE`: a name for a type.
//!
//! A custom type is an abbreviation: where it is used, the type that it stands for is put in its place at once. So a
//! later DROP TYPE, or another type of that name, changes nothing that exists.

use std::fmt;

use super::{Action, Context, Kind, Reply, Right, Statement, Touched};
use crate::engine::{Change, Effect};
use crate::error::{Error, Result};
use crate::sql::print::layout;
use crate::sql::types::{TypeName, parse_type, resolve};
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "CREATE TYPE",
    summary: "Gives a type a name.",
    example: "CREATE TYPE IF NOT EXISTS address AS STRUCT<street VARCHAR, city VARCHAR>;",
    begins: &["CREATE"],
    needs: Right::Admin,
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
    /// # Errors
    /// Missing if the meaning names an unknown type, a conflict if the name is taken and IF NOT EXISTS was not
    /// written.
    fn compile(&self, cx: &Context) -> Result<Action> {
        // The names of types ignore case, in back-ticks too.
        let name = self.name.name.to_uppercase();
        let sql_type = resolve(&self.meaning, &|name| cx.catalog.custom_type(name).cloned())?;
        if let Some(there) = cx.catalog.custom_type(&name) {
            if self.if_not_exists {
                let message = format!("{name} is already registered with type {there}");
                return Ok(Action::Reply(Reply::nothing_changed(&format!("type/{name}/create"), message)));
            }
            let message =
                format!("Cannot register custom type '{name}' since it is already registered with type: {there}");
            return Err(Error::conflict(message).at(self.name.span).hint("DROP TYPE it first, or use IF NOT EXISTS"));
        }
        let message = format!("Registered custom type with name '{name}' and SQL type {sql_type}");
        let command = format!("type/{name}/create");
        let change = Change::new(command, vec![Effect::MakeType(name, sql_type)], message);
        Ok(Action::Change(Box::new(change)))
    }

    fn touches(&self) -> Touched {
        Touched::name(&self.name.name.to_uppercase())
    }
}
