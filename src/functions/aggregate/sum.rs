//! `SUM`: the values added up.
//!
//! | type of the argument | type of the sum | too large |
//! |---|---|---|
//! | INTEGER | INTEGER | wraps around in 32 bits, as Java's `int` does |
//! | BIGINT | BIGINT | wraps around in 64 bits, as Java's `long` does |
//! | DOUBLE | DOUBLE | becomes an infinity |
//! | DECIMAL(p, s) | DECIMAL(p, s) | the row fails and the sum stays |
//!
//! The sum of no values is 0, not NULL. Taking back doubles can leave a rounding error: after 1e16, 1 and the taking
//! back of 1e16 the sum is 0, not 1.

use arrow::datatypes::i256;

use super::fold::{Fold, Folds};
use super::{Aggregate, AggregateOverload, States};
use crate::error::{Error, Result};
use crate::functions::call::{Get, Put};
use crate::functions::signature::{T, param};
use crate::types::build::Values;
use crate::types::row::Input;
use crate::types::view::ViewValues;
use crate::types::{Builder, Decimal, SqlType, View, grow};

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "SUM",
    shown: "SUM",
    summary: "The sum of the values that are not NULL; of none it is 0. Whole numbers wrap around.",
    examples: &[("1, NULL, 3", "4"), ("1.5, 2.25", "3.75")],
    undo: true,
    limit: None,
    overloads: &[
        AggregateOverload {
            params: &[param("val", T::Int)],
            constants: &[],
            returns: |_, _| Ok(SqlType::Integer),
            create: |_, _| Box::new(Sums::<i32>(Vec::new())),
        },
        AggregateOverload {
            params: &[param("val", T::Bigint)],
            constants: &[],
            returns: |_, _| Ok(SqlType::Bigint),
            create: |_, _| Box::new(Sums::<i64>(Vec::new())),
        },
        AggregateOverload {
            params: &[param("val", T::Double)],
            constants: &[],
            returns: |_, _| Ok(SqlType::Double),
            create: |_, _| Box::new(Sums::<f64>(Vec::new())),
        },
        AggregateOverload {
            params: &[param("val", T::Decimal)],
            constants: &[],
            returns: |args, _| Ok(args[0].clone()),
            create: |args, _| match args {
                [SqlType::Decimal { precision, scale }] => {
                    Folds::boxed(DecimalSum { precision: *precision, scale: *scale })
                }
                _ => unreachable!("the parameter is a decimal"),
            },
        },
    ],
};

/// A number that is added up in its own width.
///
/// Saved little-endian in its own width.
pub(super) trait Summand: for<'a> Get<'a> + Put + Copy + Default + Send + Sync {
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn save(self, out: &mut Vec<u8>);
    fn load(input: &mut Input) -> Result<Self>;
}

macro_rules! summand {
    ($rust:ty, $plus:expr, $minus:expr) => {
        impl Summand for $rust {
            fn plus(self, other: Self) -> Self {
                $plus(self, other)
            }

            fn minus(self, other: Self) -> Self {
                $minus(self, other)
            }

            fn save(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn load(input: &mut Input) -> Result<Self> {
                Ok(Self::from_le_bytes(input.array()?))
            }
        }
    };
}

summand!(i32, i32::wrapping_add, i32::wrapping_sub);
summand!(i64, i64::wrapping_add, i64::wrapping_sub);
summand!(f64, |a, b| a + b, |a, b| a - b);

/// One sum per group.
struct Sums<N>(Vec<N>);

impl<N: Summand> States for Sums<N> {
    fn grow(&mut self, groups: usize) {
        grow::resize(&mut self.0, groups, N::default());
    }

    fn address(&self, group: u32) -> *const u8 {
        self.0.as_ptr().wrapping_add(group as usize).cast()
    }

    fn update(&mut self, groups: &[u32], rows: &[u32], args: &[View], after: Option<&mut Builder>) -> Result<()> {
        let mut after = after;
        for (group, row) in groups.iter().zip(rows) {
            let sum = &mut self.0[*group as usize];
            if let Some(value) = N::get(&args[0], *row as usize, &SqlType::Bigint) {
                *sum = sum.plus(value);
            }
            if let Some(out) = &mut after {
                (*sum).put(out);
            }
        }
        Ok(())
    }

    fn undo(&mut self, group: u32, row: u32, args: &[View]) -> Result<()> {
        if let Some(value) = N::get(&args[0], row as usize, &SqlType::Bigint) {
            let sum = &mut self.0[group as usize];
            *sum = sum.minus(value);
        }
        Ok(())
    }

    fn merge(&mut self, into: u32, from: u32) -> Result<()> {
        self.0[into as usize] = self.0[from as usize].plus(self.0[into as usize]);
        Ok(())
    }

    fn result(&self, group: u32, out: &mut Builder) -> Result<()> {
        self.0[group as usize].put(out);
        Ok(())
    }

    fn encode(&self, group: u32, out: &mut Vec<u8>) {
        self.0[group as usize].save(out);
    }

    fn decode(&mut self, group: u32, input: &mut Input) -> Result<()> {
        self.0[group as usize] = N::load(input)?;
        Ok(())
    }

    fn memory(&self) -> usize {
        self.0.capacity() * size_of::<N>()
    }
}

/// A sum of decimals of a precision and a scale, which it must keep.
///
/// The state is the unscaled number in 256 bits, which no addition of two fitting sums can overflow.
struct DecimalSum {
    precision: u8,
    scale: u8,
}

impl DecimalSum {
    /// # Errors
    /// The sum has more digits than the precision, with ksqlDB's message for it. `state` stays as it was.
    fn plus(&self, state: &mut i256, value: i256) -> Result<(), String> {
        let DecimalSum { precision, scale } = *self;
        let sum = Decimal::new(state.wrapping_add(value), i32::from(scale));
        if sum.fit(precision, scale).is_none() {
            let whole = precision - scale;
            return Err(format!(
                "Numeric field overflow: A field with precision {precision} and scale {scale} must round to an \
                 absolute value less than 10^{whole}. Got {}",
                sum.plain()
            ));
        }
        *state = sum.unscaled;
        Ok(())
    }
}

impl Fold for DecimalSum {
    type State = i256;

    fn change(&self, state: &mut i256, args: &[View], row: usize, sign: i64) -> Result<(), String> {
        let value = match &args[0].values {
            _ if args[0].is_null(row) => return Ok(()),
            ViewValues::Decimal128(v, _) => i256::from_i128(v[row]),
            ViewValues::Decimal256(v, _) => v[row],
            _ => return Ok(()),
        };
        self.plus(state, if sign < 0 { value.wrapping_neg() } else { value })
    }

    fn merge(&self, state: &mut i256, other: i256) -> Result<(), String> {
        self.plus(state, other)
    }

    fn result(&self, state: &i256, out: &mut Builder) {
        match out.values() {
            Values::Decimal128(v, ..) => v.push(state.to_i128().expect("a sum fits its precision")),
            Values::Decimal256(v, ..) => v.push(*state),
            _ => unreachable!("a sum has the type of what is added up"),
        }
        out.valid();
    }

    fn save(&self, state: &i256, out: &mut Vec<u8>) {
        out.extend_from_slice(&state.to_le_bytes());
    }

    fn load(&self, input: &mut Input) -> Result<i256> {
        let sum = i256::from_le_bytes(input.array()?);
        let fits = Decimal::new(sum, i32::from(self.scale)).fit(self.precision, self.scale).is_some();
        if fits { Ok(sum) } else { Err(Error::bug("a stored sum does not fit its precision")) }
    }
}
