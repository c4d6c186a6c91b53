//! Text to syntax trees and back: what all statements share of ksqlDB's language.
//!
//! A statement's own syntax is in its file under `statements`; here are expressions, queries, types and properties, the
//! [`cursor::Cursor`] that all parsers move, and the [`print::Printer`] that lays out the canonical text of everything:
//! text → tree → text → tree is an identity, and the text is a fixed point.
//!
//! # A new statement
//!
//! One file in `statements` with a `KIND`: the words it begins with, how it is parsed, its tree, its text, what it does; and
//! the file's name in the list of `statements/mod.rs`. Parsing goes from word to word:
//!
//! ```text
//! parse: |cursor| {
//!     if !cursor.take("DROP TYPE") { return Ok(None); }      // another kind begins so, too
//!     let if_exists = cursor.take("IF EXISTS");
//!     Ok(Some(Box::new(DropType { if_exists, name: cursor.ident("the name of a type")? })))
//! }
//! ```
//!
//! Nothing else is to be told of it: what `take` looks for is what a refusal says was expected, where a misspelt word is
//! recognised, and what the shell completes. Help loops over the list, and so do the tests that parse and print each
//! kind's example. A word that is new to the language goes into the lists of [`words`], which a test demands.

pub mod ast;
pub mod cursor;
pub mod expr;
mod layout;
pub mod lexer;
pub mod over;
pub mod print;
pub mod properties;
pub mod query;
pub mod slips;
pub mod types;
pub mod variables;
pub mod weave;
pub mod words;
