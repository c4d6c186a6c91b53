//! Signatures and the choice among them, by ksqlDB's rules: first exact types, then implicit widening; the most specific
//! wins, and a tie is refused.
//!
//! The choice in steps:
//!
//! 1. All signatures that take the given types exactly, with each generic letter standing for one type.
//! 2. If there is none, all that take them after implicit widening.
//! 3. Of several, the most specific: without a variadic parameter before with one, then more parameters, then fewer
//!    generic ones.
//! 4. If two are equally specific the call is ambiguous and refused. Only a call without any argument takes the first
//!    one.
//!
//! | given | is taken for, when widened |
//! |---|---|
//! | INTEGER | BIGINT, DECIMAL, DOUBLE |
//! | BIGINT | DECIMAL, DOUBLE |
//! | DECIMAL | DOUBLE |
//! | STRING | BYTES, DATE, TIME, TIMESTAMP |
//! | an untyped NULL | everything but a unit and a lambda, exactly |
//!
//! So `ROUND(BIGINT, INTEGER)` is refused although ROUND has overloads for DOUBLE and for DECIMAL with a number of
//! digits: both fit after widening, and neither is more specific. ksqlDB's `UdfIndex` is the source of these rules.

use std::collections::BTreeMap;

use super::meaning::Meaning;
use crate::error::{Error, Result};
use crate::types::SqlType;

/// The type of a parameter.
///
/// The letters of [`T::Any`] are local to a signature. Widening also applies to the items of arrays and to the keys
/// and values of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum T {
    /// True or false.
    Boolean,
    /// 32-bit integers.
    Int,
    /// 64-bit integers.
    Bigint,
    /// Floating-point numbers of 64 bits.
    Double,
    /// Of any precision and scale.
    Decimal,
    /// Texts in UTF-8.
    String,
    /// Byte strings.
    Bytes,
    /// Days, without a time.
    Date,
    /// Times of a day, in milliseconds.
    Time,
    /// Instants, in milliseconds since the epoch.
    Timestamp,
    /// Arrays with items of this type.
    Array(&'static T),
    /// Maps with keys of the first type and values of the second.
    Map(&'static T, &'static T),
    /// Any type, the same wherever the letter stands.
    ///
    /// The first argument that has a type fixes the letter; later ones must have exactly that type. Widening does not
    /// apply: `COALESCE(1, 2.5)` is refused.
    Any(char),
    /// Whatever is given, each argument for itself.
    ///
    /// Used where only whether the value is NULL matters, or where every type prints.
    Object,
    /// A bare unit of time.
    Unit,
    /// A lambda: its parameters, and what it gives.
    ///
    /// Only the number of parameters counts for the choice. Types are given to the parameters afterwards.
    Lambda(&'static [T], &'static T),
}

/// How a parameter is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// The name in the function's documentation and in messages.
    pub name: &'static str,
    /// The types of argument that it accepts.
    pub kind: T,
    /// Takes any number of arguments, none included; at most one parameter of a signature is variadic.
    ///
    /// It need not be the last one: parameters after it take the last arguments.
    pub variadic: bool,
    /// What the argument stands for, by which constants are checked.
    pub meaning: Meaning,
}

impl Param {
    /// The same parameter for arguments that stand for something.
    pub const fn meaning(self, meaning: Meaning) -> Param {
        Param { meaning, ..self }
    }
}

/// A parameter that takes one argument.
pub const fn param(name: &'static str, kind: T) -> Param {
    Param { name, kind, variadic: false, meaning: Meaning::Any }
}

/// A parameter that takes any number of arguments.
pub const fn variadic(name: &'static str, kind: T) -> Param {
    Param { name, kind, variadic: true, meaning: Meaning::Any }
}

/// What is known of an argument before the call: its type, `None` for an untyped NULL, a bare unit of time, or how many
/// parameters a lambda has.
#[derive(Clone, Debug, PartialEq)]
pub enum ArgType {
    /// An ordinary argument of this type; `None` for an untyped NULL.
    Value(Option<SqlType>),
    /// A bare unit of time, such as `DAYS`.
    Unit,
    /// A lambda with this many parameters.
    Lambda(usize),
}

/// A signature that fits: which one, and the types to which the arguments are widened before the call.
///
/// `args` and the arguments of the call have the same length and order.
#[derive(Debug)]
pub struct Chosen {
    /// The place in the list of signatures.
    pub index: usize,
    /// For each argument the type that the body gets.
    pub args: Vec<SqlType>,
    /// What the letters of [`T::Any`] stand for.
    pub generics: Generics,
    /// Whether a letter stands for nothing that is known: only untyped NULLs were given for it.
    ///
    /// The letter is taken for STRING then. A caller whose result type depends on it must refuse the call.
    pub unknown: bool,
}

/// The types that generic letters stand for.
pub type Generics = BTreeMap<char, SqlType>;

/// Chooses among the signatures of the function that messages call `shown`.
///
/// Takes O(signatures × arguments).
///
/// # Errors
/// Invalid, with all signatures in the hint, if none fits or if several fit equally well.
pub fn choose(shown: &str, signatures: &[&[Param]], args: &[ArgType]) -> Result<Chosen> {
    for widening in [false, true] {
        let mut fits: Vec<(usize, Generics)> = Vec::new();
        for (index, params) in signatures.iter().enumerate() {
            if let Some(generics) = fit(params, args, widening) {
                fits.push((index, generics));
            }
        }
        fits.sort_by_key(|(index, _)| specificity(signatures[*index]));
        if args.is_empty() {
            // Nothing was given that could tell them apart: the first is meant.
            fits.dedup_by_key(|(index, _)| specificity(signatures[*index]));
        }
        match fits.as_slice() {
            [] => {}
            [.., (second, _), (first, _)] if specificity(signatures[*second]) == specificity(signatures[*first]) => {
                return Err(ambiguous(shown, signatures, args));
            }
            [.., (index, generics)] => {
                let unknown = unresolved(signatures[*index], args, generics) == Some(ArgType::Value(None));
                let args = argument_types(signatures[*index], args, generics);
                return Ok(Chosen { index: *index, args, generics: generics.clone(), unknown });
            }
        }
    }
    Err(refused(shown, signatures, args))
}

/// The refusal of arguments that no signature takes.
pub fn refused(shown: &str, signatures: &[&[Param]], args: &[ArgType]) -> Error {
    let message = format!("Function '{shown}' does not accept parameters ({})", arg_names(args));
    Error::invalid(message).hint(format!("it is called as {}", alternatives(shown, signatures)))
}

/// The parameter for each of `count` arguments, if that many can be given.
///
/// A signature of `(first, others...)` spread over three arguments gives first, others, others. `None` if there are
/// too few arguments, or too many without a variadic parameter.
fn spread(params: &[Param], count: usize) -> Option<Vec<&Param>> {
    let Some(at) = params.iter().position(|p| p.variadic) else {
        return (params.len() == count).then(|| params.iter().collect());
    };
    let many = (count + 1).checked_sub(params.len())?;
    let (head, tail) = (&params[..at], &params[at + 1..]);
    Some(head.iter().chain(std::iter::repeat_n(&params[at], many)).chain(tail).collect())
}

/// The generic letters as the arguments fix them, from left to right; `None` if an argument does not fit.
fn fit(params: &[Param], args: &[ArgType], widening: bool) -> Option<Generics> {
    let mut generics = Generics::new();
    let params = spread(params, args.len())?;
    params.iter().zip(args).all(|(p, arg)| accepts(p.kind, arg, widening, &mut generics)).then_some(generics)
}

/// An untyped NULL fits every parameter for values and fixes no letter.
fn accepts(kind: T, arg: &ArgType, widening: bool, generics: &mut Generics) -> bool {
    match (kind, arg) {
        (T::Unit, ArgType::Unit) => true,
        (T::Lambda(params, _), ArgType::Lambda(count)) => params.len() == *count,
        (T::Unit | T::Lambda(..), _) | (_, ArgType::Unit | ArgType::Lambda(_)) => false,
        (_, ArgType::Value(None)) => true,
        (kind, ArgType::Value(Some(given))) => matches_type(kind, given, widening, generics),
    }
}

fn matches_type(kind: T, given: &SqlType, widening: bool, generics: &mut Generics) -> bool {
    match (kind, given) {
        (T::Object, _) => true,
        (T::Any(letter), _) => generics.entry(letter).or_insert_with(|| given.clone()) == given,
        (T::Array(item), SqlType::Array(given)) => matches_type(*item, given, widening, generics),
        (T::Map(key, value), SqlType::Map(given_key, given_value)) => {
            matches_type(*key, given_key, widening, generics) && matches_type(*value, given_value, widening, generics)
        }
        (T::Boolean, SqlType::Boolean)
        | (T::Int, SqlType::Integer)
        | (T::Bigint, SqlType::Bigint)
        | (T::Double, SqlType::Double)
        | (T::Decimal, SqlType::Decimal { .. })
        | (T::String, SqlType::String)
        | (T::Bytes, SqlType::Bytes)
        | (T::Date, SqlType::Date)
        | (T::Time, SqlType::Time)
        | (T::Timestamp, SqlType::Timestamp) => true,
        (T::Bigint | T::Decimal | T::Double, SqlType::Integer)
        | (T::Decimal | T::Double, SqlType::Bigint)
        | (T::Double, SqlType::Decimal { .. })
        | (T::Bytes | T::Date | T::Time | T::Timestamp, SqlType::String) => widening,
        _ => false,
    }
}

/// Not variadic before variadic, then more parameters, then fewer generic ones.
///
/// Compared as a tuple: the largest is the most specific.
fn specificity(params: &[Param]) -> (bool, usize, i32) {
    let generic = params.iter().map(|p| generics_in(p.kind)).sum::<i32>();
    (!params.iter().any(|p| p.variadic), params.len(), -generic)
}

fn generics_in(kind: T) -> i32 {
    match kind {
        T::Any(_) | T::Object => 1,
        T::Array(item) => generics_in(*item),
        T::Map(key, value) => generics_in(*key) + generics_in(*value),
        _ => 0,
    }
}

/// An argument whose generic type no argument tells.
///
/// An untyped NULL gives `ArgType::Value(None)`. A lambda is never unresolved by this function, since its letters are
/// known after its body is bound.
fn unresolved(params: &[Param], args: &[ArgType], generics: &Generics) -> Option<ArgType> {
    let params = spread(params, args.len())?;
    let unknown = |kind: T| letters(kind).iter().any(|letter| !generics.contains_key(letter));
    params.iter().zip(args).find(|(p, _)| unknown(p.kind)).map(|(_, arg)| arg.clone())
}

fn letters(kind: T) -> Vec<char> {
    match kind {
        T::Any(letter) => vec![letter],
        T::Array(item) => letters(*item),
        T::Map(key, value) => letters(*key).into_iter().chain(letters(*value)).collect(),
        _ => Vec::new(),
    }
}

/// The parameter that takes the argument at a place, one of `args`.
pub fn parameter(params: &'static [Param], args: usize, at: usize) -> Option<&'static Param> {
    spread(params, args).map(|all| all[at])
}

fn argument_types(params: &[Param], args: &[ArgType], generics: &Generics) -> Vec<SqlType> {
    let params = spread(params, args.len()).unwrap_or_default();
    let given = |arg: &ArgType| match arg {
        ArgType::Value(Some(sql_type)) => Some(sql_type.clone()),
        _ => None,
    };
    params.iter().zip(args).map(|(p, arg)| type_for(p.kind, given(arg).as_ref(), generics)).collect()
}

/// The SQL type of a parameter when `given` is passed to it.
///
/// A DECIMAL parameter keeps a decimal's own precision and scale; INTEGER becomes DECIMAL(10, 0) and BIGINT
/// DECIMAL(19, 0), which hold all their values. A letter that stands for nothing becomes STRING, and so does an
/// untyped NULL for [`T::Object`]. Units arrive as their name.
pub fn type_for(kind: T, given: Option<&SqlType>, generics: &Generics) -> SqlType {
    match kind {
        T::Boolean => SqlType::Boolean,
        T::Int => SqlType::Integer,
        T::Bigint => SqlType::Bigint,
        T::Double => SqlType::Double,
        T::Decimal => match given {
            Some(SqlType::Integer) => SqlType::decimal(10, 0),
            Some(SqlType::Bigint) => SqlType::decimal(19, 0),
            Some(decimal @ SqlType::Decimal { .. }) => decimal.clone(),
            _ => SqlType::decimal(1, 0),
        },
        T::String | T::Unit => SqlType::String,
        T::Bytes => SqlType::Bytes,
        T::Date => SqlType::Date,
        T::Time => SqlType::Time,
        T::Timestamp => SqlType::Timestamp,
        T::Array(item) => {
            let given = given.and_then(|g| if let SqlType::Array(item) = g { Some(item.as_ref()) } else { None });
            SqlType::array(type_for(*item, given, generics))
        }
        T::Map(key, value) => {
            let given = given.and_then(|g| if let SqlType::Map(k, v) = g { Some((k, v)) } else { None });
            let key = type_for(*key, given.map(|(k, _)| k.as_ref()), generics);
            SqlType::map(key, type_for(*value, given.map(|(_, v)| v.as_ref()), generics))
        }
        T::Any(letter) => generics.get(&letter).cloned().unwrap_or(SqlType::String),
        T::Lambda(_, result) => type_for(*result, None, generics),
        T::Object => given.cloned().unwrap_or(SqlType::String),
    }
}

fn ambiguous(shown: &str, signatures: &[&[Param]], args: &[ArgType]) -> Error {
    let message =
        format!("Function '{shown}' cannot be resolved due to ambiguous method parameters ({})", arg_names(args));
    Error::invalid(message).hint(format!("use CAST to choose one of {}", alternatives(shown, signatures)))
}

fn arg_names(args: &[ArgType]) -> String {
    let name = |arg: &ArgType| match arg {
        ArgType::Value(Some(sql_type)) => sql_type.to_string(),
        ArgType::Lambda(_) => "LAMBDA".to_owned(),
        _ => "null".to_owned(),
    };
    args.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn alternatives(shown: &str, signatures: &[&[Param]]) -> String {
    let one = |params: &&[Param]| {
        let params: Vec<String> = params.iter().map(Param::to_string).collect();
        format!("{}({})", shown.to_uppercase(), params.join(", "))
    };
    signatures.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl std::fmt::Display for Param {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{} {}", self.kind, if self.variadic { "..." } else { "" }, self.name)
    }
}

impl std::fmt::Display for T {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            T::Boolean => "BOOLEAN",
            T::Int => "INT",
            T::Bigint => "BIGINT",
            T::Double => "DOUBLE",
            T::Decimal => "DECIMAL",
            T::String => "VARCHAR",
            T::Bytes => "BYTES",
            T::Date => "DATE",
            T::Time => "TIME",
            T::Timestamp => "TIMESTAMP",
            T::Unit => "INTERVALUNIT",
            T::Object => "ANY",
            T::Any(letter) => return write!(f, "{letter}"),
            T::Array(item) => return write!(f, "ARRAY<{item}>"),
            T::Map(key, value) => return write!(f, "MAP<{key}, {value}>"),
            T::Lambda(params, result) => {
                let params: Vec<String> = params.iter().map(T::to_string).collect();
                return write!(f, "LAMBDA ({}) => {result}", params.join(", "));
            }
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: &[&[Param]] = &[
        &[param("v", T::Bigint)],
        &[param("v", T::Double)],
        &[param("v", T::Double), param("n", T::Int)],
        &[param("v", T::Decimal), param("n", T::Int)],
    ];

    fn value(sql_type: SqlType) -> ArgType {
        ArgType::Value(Some(sql_type))
    }

    #[test]
    fn exact_types_win_and_ties_are_refused() {
        let chosen = choose("Round", ROUND, &[value(SqlType::Double)]).expect("fits");
        assert_eq!(chosen.index, 1);
        let error = choose("Round", ROUND, &[value(SqlType::Bigint), value(SqlType::Integer)]).expect_err("a tie");
        assert!(error.message().contains("ambiguous method parameters (BIGINT, INTEGER)"));
        let error = choose("Round", ROUND, &[value(SqlType::String)]).expect_err("no fit");
        assert_eq!(error.message(), "Function 'Round' does not accept parameters (STRING)");
    }

    #[test]
    fn generics_are_one_type() {
        let coalesce: &[&[Param]] = &[&[param("first", T::Any('T')), variadic("others", T::Any('T'))]];
        let int = || value(SqlType::Integer);
        assert_eq!(choose("COALESCE", coalesce, &[int(), int()]).expect("fits").args, vec![SqlType::Integer; 2]);
        assert!(choose("COALESCE", coalesce, &[int(), value(SqlType::Bigint)]).is_err());
        assert!(choose("COALESCE", coalesce, &[ArgType::Value(None)]).expect("fits").unknown);
    }
}
