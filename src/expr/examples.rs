//! The examples that functions are documented with, computed.

use super::bind::{Scope, bind, bind_call, evaluate_constant};
use super::coerce::common_type;
use super::{ColumnId, Expr};
use crate::error::{Error, Result};
use crate::functions::signature::ArgType;
use crate::functions::{aggregate, scalar, table};
use crate::sql::ast;
use crate::sql::cursor::Cursor;
use crate::sql::expr::parse_expr;
use crate::sql::lexer::lex;
use crate::sql::words::Ident;
use crate::types::{Builder, SqlType, Value, View, array_of};

struct NoColumns;

impl Scope for NoColumns {
    fn column(&self, _: Option<&Ident>, name: &Ident) -> Result<Expr> {
        Err(Error::missing(format!("there is no column {name}")).at(name.span))
    }

    fn is_instant(&self, _: ColumnId) -> bool {
        false
    }
}

fn parse(text: &str) -> Vec<ast::Expr> {
    let lexed = lex(text);
    Cursor::new(&lexed).list(parse_expr).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn constant(written: &ast::Expr) -> (Value, Option<SqlType>) {
    let bound = bind(written, &NoColumns).unwrap_or_else(|e| panic!("{written}: {e}"));
    (evaluate_constant(&bound).expect("no bug").unwrap_or(Value::Null), bound.sql_type)
}

#[test]
fn scalar_functions_do_what_their_examples_say() {
    for function in scalar::ALL {
        for (text, expected) in function.examples {
            let (value, _) = constant(&parse(text)[0]);
            assert_eq!(value.to_text(), *expected, "{text}");
        }
    }
}

#[test]
fn table_functions_do_what_their_examples_say() {
    for function in table::ALL {
        for (text, expected) in function.examples {
            let written = &parse(text)[0];
            let ast::Node::Call { args, .. } = &*written.node else { panic!("{text} is no call") };
            let bound = bind_call(function, args, &NoColumns).unwrap_or_else(|e| panic!("{text}: {e}"));
            let value = evaluate_constant(&bound).expect("no bug").expect("a value");
            assert_eq!(value.to_text(), *expected, "{text}");
        }
    }
}

#[test]
fn aggregate_functions_do_what_their_examples_say() {
    for function in aggregate::ALL {
        for (text, expected) in function.examples {
            let found: Vec<(Value, Option<SqlType>)> = parse(text).iter().map(constant).collect();
            let types = found.iter().filter_map(|(_, t)| t.clone());
            let sql_type = types.reduce(|a, b| common_type(&a, &b).expect("values of one kind")).expect("a value");
            let bound =
                function.bind(&[ArgType::Value(Some(sql_type.clone()))], &[Err(String::new())]).expect("a signature");
            let cast = |v: &Value| super::cast::cast(v, &sql_type).expect("the same value");
            let column = array_of(&found.iter().map(|(v, _)| cast(v)).collect::<Vec<_>>(), &sql_type);
            let args = [View::new(column.as_ref(), &sql_type)];
            let mut states = bound.states();
            states.grow(2);
            let rows: Vec<u32> = (0..found.len() as u32).collect();
            states.update(&vec![0; rows.len()], &rows, &args, None).expect("no bug");
            // The result is the same behind a checkpoint.
            let mut saved = Vec::new();
            states.encode(0, &mut saved);
            states.decode(1, &mut crate::types::row::Input(&saved)).expect("what was saved");
            for group in 0..2 {
                let mut out = Builder::new(&bound.returns, 1);
                states.result(group, &mut out).expect("small");
                let result = Value::at(out.finish().as_ref(), 0, &bound.returns);
                assert_eq!(result.to_text(), *expected, "{} of {text}", function.name);
            }
        }
    }
}
