//! Text to syntax trees and back: what all statements share of ksqlDB's language.
//!
//! A statement's own syntax is in its file under `statements`; here are expressions, queries, types and properties, the
//! [`cursor::Cursor`] that all parsers move, and the [`print::Printer`] that lays out the canonical text of everything:
//! text → tree → text → tree is an identity, and the text is a fixed point.
//!
//! # A new statement
//!
//! One file in `statements` with a `KIND`: the words it begins with, how it is parsed, its tree, its text, what it
//! does; and the file's name in the list of `statements/mod.rs`. Parsing goes from word to word:
//!
//! ```text
//! parse: |cursor| {
//!     if !cursor.take("DROP TYPE") { return Ok(None); }      // another kind also begins with DROP
//!     let if_exists = cursor.take("IF EXISTS");
//!     Ok(Some(Box::new(DropType { if_exists, name: cursor.ident("the name of a type")? })))
//! }
//! ```
//!
//! Nothing else is needed. The words that `take` looks for are also used for messages ("expected …"), for misspelt
//! words and for completion in the shell. Help and the tests of parsing and printing loop over the list. A word that is
//! new to the language must be added to the lists in [`words`]; a test checks that.

pub mod ast;
pub mod bounds;
pub mod cursor;
pub mod expr;
mod from;
mod layout;
pub mod lexer;
mod literal;
pub mod over;
pub mod print;
pub mod properties;
pub mod query;
pub mod slips;
pub mod spelled;
pub mod types;
pub mod variables;
pub mod weave;
pub mod words;
