//! `DESCRIBE FUNCTION`: what a function does.

use std::fmt;

use serde_json::{Value, json};

use super::{Action, Context, Kind, Reply, Right, Statement};
use crate::error::Result;
use crate::functions;
use crate::functions::describe::{Description, Signature, describe};
use crate::functions::signature::Param;
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "DESCRIBE FUNCTION",
    summary: "Shows what a function does and takes.",
    example: "DESCRIBE FUNCTION substring;",
    begins: &["DESCRIBE"],
    needs: Right::Read,
    parse: |cursor| {
        // A stream may be called so.
        if !cursor.is("DESCRIBE FUNCTION") || !cursor.is_ident_at(2) {
            return Ok(None);
        }
        cursor.expect("DESCRIBE FUNCTION")?;
        Ok(Some(Box::new(DescribeFunction { name: cursor.ident("the name of a function")? })))
    },
};

#[derive(Debug, PartialEq)]
struct DescribeFunction {
    name: Ident,
}

impl fmt::Display for DescribeFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DESCRIBE FUNCTION {}", self.name)
    }
}

impl Statement for DescribeFunction {
    fn compile(&self, _: &Context) -> Result<Action> {
        let found = describe(&self.name.name).ok_or_else(|| functions::unknown(&self.name.name, |_| true));
        let described = found.map_err(|error| error.at(self.name.span))?;
        Ok(Action::Reply(Reply::text(text(&described), "describe_function", entity(&described))))
    }
}

fn entity(described: &Description) -> Value {
    let argument = |param: &Param| {
        json!({
            "name": param.name,
            "type": param.kind.to_string(),
            "description": "",
            "isVariadic": param.variadic,
        })
    };
    let function = |signature: &Signature| {
        json!({
            "arguments": signature.params.iter().map(argument).collect::<Vec<_>>(),
            "returnType": signature.returns,
            "description": described.summary,
            "argumentTypes": signature.params.iter().map(|param| param.kind.to_string()).collect::<Vec<_>>(),
        })
    };
    json!({
        "name": described.name,
        "description": described.summary,
        "author": "Tidemill",
        "version": "",
        "path": "internal",
        "functions": described.signatures.iter().map(function).collect::<Vec<_>>(),
        "type": described.kind,
    })
}

/// A description as a person reads it.
fn text(described: &Description) -> String {
    let Description { name, kind, category, summary, .. } = described;
    let mut text = format!("Name     : {name}\nOverview : {summary}\nType     : {kind}\nCategory : {category}\n");
    for signature in &described.signatures {
        let param = |param: &Param| {
            let many = if param.variadic { "..." } else { "" };
            format!("{} {}{many}", param.name, param.kind)
        };
        let params: Vec<String> = signature.params.iter().map(param).collect();
        text.push_str(&format!("\n{name}({}) returns {}", params.join(", "), signature.returns));
    }
    if !described.examples.is_empty() {
        text.push_str("\n\nExamples:");
    }
    for (call, result) in described.examples {
        text.push_str(&format!("\n  {call} is {result}"));
    }
    text
}
