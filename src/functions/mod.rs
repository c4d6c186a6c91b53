//! The functions of the language: one file each, in a visible list.
//!
//! A scalar function is a [`Scalar`]: its names, its [`Overload`]s with their bodies over Arrow arrays, its documentation
//! and an example that is run as a test. To add one, write its file under `scalar` and its word in the list there. An
//! aggregate function is an [`aggregate::Aggregate`] with a file under `aggregate`.

pub mod aggregate;
pub mod call;
pub mod scalar;
pub mod signature;

use arrow::array::ArrayRef;

use crate::error::{Error, Result, nearest};
use crate::types::SqlType;
use call::Call;
use signature::{ArgType, Chosen, Generics, Param};

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
    pub overloads: &'static [Overload],
}

/// A signature with its body.
pub struct Overload {
    pub params: &'static [Param],
    pub returns: Returns,
    /// Makes a column of the result's type; a row that cannot be computed is noted as failed.
    pub body: fn(&mut Call) -> ArrayRef,
}

/// The type of a result.
pub enum Returns {
    Is(SqlType),
    /// What the generic letter stands for.
    Any(char),
    /// What depends on the arguments' types after widening.
    By(fn(&[SqlType], &Generics) -> Result<SqlType>),
}

/// A scalar function with the overload that was chosen for a call.
#[derive(Clone, Debug)]
pub struct BoundScalar {
    pub function: &'static Scalar,
    pub overload: &'static Overload,
    /// The types to which the arguments are widened before the call.
    pub args: Vec<SqlType>,
    pub returns: SqlType,
}

impl Scalar {
    /// Chooses the overload for arguments of these types.
    pub fn bind(&'static self, args: &[ArgType]) -> Result<BoundScalar> {
        let signatures: Vec<&[Param]> = self.overloads.iter().map(|o| o.params).collect();
        let Chosen { index, args, generics, unknown } = signature::choose(self.shown, &signatures, args)?;
        let overload = &self.overloads[index];
        if unknown && !matches!(overload.returns, Returns::Is(_)) {
            let message = format!("Function '{}': the type of a generic parameter is not known", self.shown);
            return Err(Error::invalid(message).hint("CAST the NULL to the type that is meant"));
        }
        let returns = match &overload.returns {
            Returns::Is(sql_type) => sql_type.clone(),
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

/// ksqlDB's functions that are known by name and not built yet.
const LATER: &[&str] = &[
    "CONVERT_TZ",
    "CUBE_EXPLODE",
    "DATETOSTRING",
    "ENCODE",
    "ENTRIES",
    "EXPLODE",
    "EXTRACTJSONFIELD",
    "FILTER",
    "FORMAT_DATE",
    "FORMAT_TIME",
    "FORMAT_TIMESTAMP",
    "FROM_BYTES",
    "JSON_ARRAY_CONTAINS",
    "JSON_ARRAY_LENGTH",
    "JSON_CONCAT",
    "JSON_ITEMS",
    "JSON_KEYS",
    "JSON_RECORDS",
    "MASK",
    "MASK_KEEP_LEFT",
    "MASK_KEEP_RIGHT",
    "MASK_LEFT",
    "MASK_RIGHT",
    "MD5",
    "PARSE_DATE",
    "PARSE_TIME",
    "PARSE_TIMESTAMP",
    "RANDOM",
    "REDUCE",
    "REGEXP_EXTRACT",
    "REGEXP_EXTRACT_ALL",
    "REGEXP_REPLACE",
    "REGEXP_SPLIT_TO_ARRAY",
    "STRINGTODATE",
    "STRINGTOTIMESTAMP",
    "TIMESTAMPTOSTRING",
    "TO_BYTES",
    "TO_JSON_STRING",
    "TRANSFORM",
    "URL_DECODE_PARAM",
    "URL_ENCODE_PARAM",
    "URL_EXTRACT_FRAGMENT",
    "URL_EXTRACT_HOST",
    "URL_EXTRACT_PARAMETER",
    "URL_EXTRACT_PATH",
    "URL_EXTRACT_PORT",
    "URL_EXTRACT_PROTOCOL",
    "URL_EXTRACT_QUERY",
    "UUID",
];

/// The refusal of a name that is no function.
pub fn unknown(name: &str) -> Error {
    if let Some(later) = LATER.iter().find(|later| later.eq_ignore_ascii_case(name)) {
        return Error::unsupported(format!("the function {later}"));
    }
    let known = scalar::ALL.iter().map(|f| f.name).chain(aggregate::ALL.iter().map(|f| f.name));
    let error = Error::missing(format!("Can't find any functions with the name '{name}'"));
    match nearest(name, known) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("SHOW FUNCTIONS lists them all"),
    }
}
