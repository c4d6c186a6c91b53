//! `CREATE SOURCE CONNECTOR` and `CREATE SINK CONNECTOR`: a connector of Kafka Connect.
//!
//! Parsed and printed, not executed in this version. Names of properties keep their case, since those of Kafka
//! Connect are in lower case.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, not_yet};
use crate::error::Result;
use crate::sql::ast::Literal;
use crate::sql::print::layout;
use crate::sql::properties::{Properties, Property, parse_with_exact_names};
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "CREATE CONNECTOR",
    summary: "Makes a connector of Kafka Connect that fills a topic or empties one.",
    example: "CREATE SINK CONNECTOR IF NOT EXISTS search WITH ('connector.class'='Elastic', 'topics'='orders');",
    begins: &["CREATE"],
    needs: Right::Admin,
    parse: |cursor| {
        let kinds = [("CREATE SOURCE CONNECTOR", "SOURCE"), ("CREATE SINK CONNECTOR", "SINK")];
        let Some(kind) = cursor.take_one(&kinds) else { return Ok(None) };
        let if_not_exists = cursor.take("IF NOT EXISTS");
        let name = cursor.ident("the name of a connector")?;
        let with = parse_with_exact_names(cursor)?;
        if with.is_empty() {
            return Err(cursor.unexpected("WITH and the connector's properties in parentheses"));
        }
        Ok(Some(Box::new(CreateConnector { kind, if_not_exists, name, with })))
    },
};

#[derive(Debug, PartialEq)]
struct CreateConnector {
    kind: &'static str,
    if_not_exists: bool,
    name: Ident,
    with: Properties,
}

impl fmt::Display for CreateConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exists = if self.if_not_exists { "IF NOT EXISTS " } else { "" };
        f.write_str(&layout(f.alternate(), |p| {
            let head = format!("CREATE {} CONNECTOR {exists}{} WITH (", self.kind, self.name);
            p.clause_list(&head, &self.with.items, ")", Property::print);
        }))
    }
}

impl Statement for CreateConnector {
    /// Values are masked, since some are passwords; the class of the connector is not.
    fn completed(&self, _: &Context) -> Option<String> {
        let masked = |property: &Property| match property.name.as_str() {
            "connector.class" => property.clone(),
            _ => Property { value: Literal::String("[string]".to_owned()), ..property.clone() },
        };
        let with = Properties { items: self.with.items.iter().map(masked).collect(), ..self.with.clone() };
        Some(format!("{};", CreateConnector { name: self.name.clone(), with, ..*self }))
    }

    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet(
            "CREATE CONNECTOR",
            self.name.span,
            "topic produce and topic consume move records between topics and files",
        ))
    }
}
