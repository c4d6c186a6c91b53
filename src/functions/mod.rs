//! The functions of the language: one file each, in a visible list.
//!
//! A scalar function is a [`Scalar`]: its names, its [`Overload`]s with their bodies over Arrow arrays, its documentation
//! and an example that is run as a test. To add one, write its file under `scalar` and its word in the list there. An
//! aggregate function is an [`aggregate::Aggregate`] with a file under `aggregate`, a table function a [`Scalar`] that returns an
//! array, under `table`.

pub mod aggregate;
pub mod call;
mod distance;
mod encoding;
mod entries;
mod extreme;
pub mod fault;
mod json;
mod json_path;
mod mask;
pub mod meaning;
mod pad;
mod pattern_cache;
mod patterns;
mod random;
mod recent;
pub mod scalar;
pub(crate) mod sets;
pub mod signature;
pub mod table;
mod units;
mod uri;

use arrow::array::ArrayRef;

use crate::error::{Error, Result, nearest};
use crate::types::SqlType;
use call::Call;
use signature::{ArgType, Chosen, Generics, Param, T};

/// A scalar function.
pub struct Scalar {
    /// The name in upper case.
    pub name: &'static str,
    /// The name as messages show it.
    pub shown: &'static str,
    /// What it belongs to: `STRING`, `MATHEMATICAL` …
    pub category: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Expressions and the text of their results, run as a test.
    pub examples: &'static [(&'static str, &'static str)],
    /// All signatures, of which a call takes the one that fits best.
    pub overloads: &'static [Overload],
}

/// A signature with its body.
pub struct Overload {
    /// What the arguments must be, in the order of the call.
    pub params: &'static [Param],
    /// How the type of the result is found.
    pub returns: Returns,
    /// Makes a column of the result's type; a row that cannot be computed is noted as failed.
    pub body: fn(&mut Call) -> ArrayRef,
}

/// The type of a result.
pub enum Returns {
    /// This type, whatever the arguments are; equal arguments give equal results.
    Is(SqlType),
    /// This type, with another value each time, whatever the arguments are.
    Fresh(SqlType),
    /// What the generic letter stands for.
    Any(char),
    /// What depends on the arguments' types after widening.
    By(fn(&[SqlType], &Generics) -> Result<SqlType>),
}

/// A scalar function with the overload that was chosen for a call.
#[derive(Clone, Debug)]
pub struct BoundScalar {
    /// The entry in the list of scalar functions.
    pub function: &'static Scalar,
    /// The one that was chosen among those of `function`.
    pub overload: &'static Overload,
    /// The types to which the arguments are widened before the call.
    pub args: Vec<SqlType>,
    /// The type of the result for these arguments.
    pub returns: SqlType,
}

impl BoundScalar {
    /// Whether it gives another value each time that it is called with the same arguments.
    pub fn is_fresh(&self) -> bool {
        matches!(self.overload.returns, Returns::Fresh(_))
    }
}

impl Scalar {
    /// Chooses the overload for arguments of these types. `lambda` is asked what the lambda at a place gives for parameters
    /// of these types.
    pub fn bind(
        &'static self,
        given: &[ArgType],
        mut lambda: impl FnMut(usize, &[SqlType]) -> Result<SqlType>,
    ) -> Result<BoundScalar> {
        let signatures: Vec<&[Param]> = self.overloads.iter().map(|o| o.params).collect();
        let Chosen { index, mut args, mut generics, unknown } = signature::choose(self.shown, &signatures, given)?;
        let overload = &self.overloads[index];
        for (at, arg) in given.iter().enumerate().filter(|(_, arg)| matches!(arg, ArgType::Lambda(_))) {
            let kind = signature::parameter(overload.params, given.len(), at).map(|param| param.kind);
            let Some(T::Lambda(params, result)) = kind else {
                return Err(Error::bug(format!("{}: {arg:?} is given for something else", self.name)));
            };
            let types: Vec<SqlType> = params.iter().map(|p| signature::type_for(*p, None, &generics)).collect();
            let found = lambda(at, &types)?;
            if let T::Any(letter) = result {
                generics.entry(*letter).or_insert_with(|| found.clone());
            }
            let wanted = signature::type_for(*result, None, &generics);
            if wanted != found {
                let shown: Vec<String> = types.iter().map(SqlType::to_string).collect();
                let message = format!(
                    "Function '{}' needs a lambda that gives {wanted}, LAMBDA ({}) => {found} does not",
                    self.shown,
                    shown.join(", ")
                );
                return Err(Error::invalid(message).hint("CAST the result of the lambda"));
            }
            args[at] = found;
        }
        if unknown && !matches!(overload.returns, Returns::Is(_) | Returns::Fresh(_)) {
            let message = format!("Function '{}': the type of a generic parameter is not known", self.shown);
            return Err(Error::invalid(message).hint("CAST the NULL to the type that is meant"));
        }
        let returns = match &overload.returns {
            Returns::Is(sql_type) | Returns::Fresh(sql_type) => sql_type.clone(),
            Returns::Any(letter) => {
                let found = generics.get(letter).cloned();
                found.ok_or_else(|| Error::bug(format!("{}: no argument tells the type of {letter}", self.name)))?
            }
            Returns::By(decide) => decide(&args, &generics)?,
        };
        Ok(BoundScalar { function: self, overload, args, returns })
    }
}

/// Calls of one function are equal if the same overload was chosen for the same types.
impl PartialEq for BoundScalar {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.function, other.function)
            && std::ptr::eq(self.overload, other.overload)
            && self.args == other.args
    }
}

impl std::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl std::fmt::Debug for Overload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.params)
    }
}

/// The scalar function of this name, in any case.
pub fn find_scalar(name: &str) -> Option<&'static Scalar> {
    scalar::ALL.iter().copied().find(|f| f.name.eq_ignore_ascii_case(name))
}

/// The aggregate function of this name, in any case.
pub fn find_aggregate(name: &str) -> Option<&'static aggregate::Aggregate> {
    aggregate::ALL.iter().copied().find(|f| f.name.eq_ignore_ascii_case(name))
}

/// The table function of this name, in any case.
pub fn find_table(name: &str) -> Option<&'static Scalar> {
    table::ALL.iter().copied().find(|f| f.name.eq_ignore_ascii_case(name))
}

/// The names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    let scalar = scalar::ALL.iter().chain(table::ALL).map(|f| f.name);
    scalar.chain(aggregate::ALL.iter().map(|f| f.name))
}

/// ksqlDB's functions that this version lacks, and what to use meanwhile.
const LATER: &[(&str, &str)] = &[("PARSE_DATE", "CAST(PARSE_TIMESTAMP(text, pattern) AS DATE)")];

/// The refusal of a name that is not a function. Of the known names only those that `fit` are suggested.
pub fn unknown(name: &str, fits: impl Fn(&str) -> bool) -> Error {
    if let Some((later, meanwhile)) = LATER.iter().find(|(later, _)| later.eq_ignore_ascii_case(name)) {
        return Error::unsupported(format!("the function {later}")).hint(format!("use {meanwhile}"));
    }
    let error = Error::missing(format!("Can't find any functions with the name '{name}'"));
    if find_table(name).is_some() {
        return error.hint("table functions are allowed in SELECT only, where they make rows of a row");
    }
    match nearest(name, names().filter(|known| fits(known))) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("SHOW FUNCTIONS lists them all"),
    }
}
