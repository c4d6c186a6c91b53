//! The functions of the language: one file each, in a visible list.
//!
//! A scalar function is a [`Scalar`]: its names, its [`Overload`]s with their bodies over Arrow arrays, its documentation
//! and an example that is run as a test. To add one, write its file under `scalar` and its word in the list there. An
//! aggregate function is an [`aggregate::Aggregate`] with a file under `aggregate`, a table function a [`Scalar`] that returns an
//! array, under `table`.
//!
//! A call passes three stations. `bind` chooses the [`Overload`] by the types of the arguments ([`signature`]) and
//! fixes the type of the result. Constant arguments are checked against what their parameter stands for
//! ([`meaning`]). The body then gets a [`call::Call`]: all rows of a batch at once, with every argument widened to
//! the parameter's type. It gives a column with one entry per row.
//!
//! What a body owes its caller:
//!
//! * one entry for every row, also for rows that it skips or fails;
//! * NULL for a row that it cannot compute, noted with a [`call::Fault`]; data never makes a call panic or end with
//!   an error;
//! * the same result for equal arguments, unless the overload is [`Returns::Fresh`]; constants are folded because of
//!   this promise;
//! * no state between calls but caches, since tasks share the function.
//!
//! Which rows are computed at all is decided by the caller, with [`call::Call::skipping`]: rows that nothing asks for
//! and rows with a failed argument are left out. What a NULL argument does is up to the body.

pub mod aggregate;
pub mod call;
pub mod describe;
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
///
/// Functions are constants in the lists `scalar::ALL` and `table::ALL`, so that a reference to one lives as long as
/// the program. Two bound calls are of one function if their references are the same.
pub struct Scalar {
    /// The name in upper case.
    pub name: &'static str,
    /// The name as messages show it.
    ///
    /// ksqlDB's messages write some names in lower case and some in upper case; this is the form that it uses.
    pub shown: &'static str,
    /// What it belongs to: `STRING`, `MATHEMATICAL` …
    pub category: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Expressions and the text of their results, run as a test.
    ///
    /// The result is written as a cast to STRING prints it. In a result that is an array, texts stand without quotes.
    pub examples: &'static [(&'static str, &'static str)],
    /// All signatures, of which a call takes the one that fits best.
    pub overloads: &'static [Overload],
}

/// A signature with its body.
pub struct Overload {
    /// What the arguments must be, in the order of the call.
    ///
    /// Its parameters decide which arguments are widened: the body never sees an INTEGER where the parameter is
    /// BIGINT.
    pub params: &'static [Param],
    /// How the type of the result is found.
    pub returns: Returns,
    /// Makes a column of the result's type; a row that cannot be computed is noted as failed.
    ///
    /// The column has [`Call::rows`] entries of the type that `returns` gives. Entries of rows that the call skips
    /// may have any value.
    pub body: fn(&mut Call) -> ArrayRef,
}

/// The type of a result.
///
/// An overload with [`Returns::Any`] or [`Returns::By`] needs arguments with known types. A call that gives only
/// untyped NULLs for a generic letter is refused, with the advice to CAST.
pub enum Returns {
    /// This type, whatever the arguments are; equal arguments give equal results.
    Is(SqlType),
    /// This type, with another value each time, whatever the arguments are.
    ///
    /// A call of such an overload is never folded to a constant: `UUID()` differs from row to row.
    Fresh(SqlType),
    /// What the generic letter stands for.
    ///
    /// The letter must occur in a parameter, or as the result of a lambda parameter.
    Any(char),
    /// What depends on the arguments' types after widening.
    ///
    /// The first argument has one type per argument of the call, variadic ones included. An `Err` refuses the
    /// statement, for example for a DECIMAL of more digits than there can be.
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
    ///
    /// One type per argument of the call. For a lambda it is the type that its body gives.
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
    ///
    /// The lambda's parameters get their types from the other arguments, so the overload must be known before the
    /// body of a lambda can be bound. That is why `lambda` is a callback: it is called once per lambda, from left to
    /// right, after the choice. A later lambda sees generic letters that an earlier lambda has fixed.
    ///
    /// # Errors
    /// Invalid, each with a remedy: no signature fits, two fit equally well, a lambda gives another type than the
    /// parameter demands, or a generic parameter got only untyped NULLs. Errors of `lambda` and of [`Returns::By`]
    /// are passed on. A bug if a signature names a letter that no argument tells.
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
///
/// Takes time in proportion to the list; it is asked once per call in a statement.
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
///
/// Scalar functions come first, then table functions, then aggregates, each in the order of its list.
pub fn names() -> impl Iterator<Item = &'static str> {
    let scalar = scalar::ALL.iter().chain(table::ALL).map(|f| f.name);
    scalar.chain(aggregate::ALL.iter().map(|f| f.name))
}

/// ksqlDB's functions that this version lacks, and what to use meanwhile.
const LATER: &[(&str, &str)] = &[("PARSE_DATE", "CAST(PARSE_TIMESTAMP(text, pattern) AS DATE)")];

/// The refusal of a name that is not a function. Of the known names only those that `fit` are suggested.
///
/// Unsupported with the replacement for a function of ksqlDB that is still to come, else missing. A table function in
/// the wrong place gets a hint that says where it may stand; other names get the nearest known name, or the advice to
/// list them all.
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
