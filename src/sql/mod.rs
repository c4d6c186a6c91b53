//! Text to syntax trees and back: what all statements share of ksqlDB's language.
//!
//! A statement's own syntax is in its file under `statements`; here are expressions, queries, types and properties, the
//! [`cursor::Cursor`] that all parsers move, and the canonical text of everything (`Display`): text → tree → text → tree
//! is an identity.

pub mod ast;
pub mod cursor;
pub mod expr;
pub mod lexer;
pub mod print;
pub mod properties;
pub mod query;
pub mod slips;
pub mod types;
pub mod variables;
pub mod weave;
pub mod words;
