//! `SUM`: the values added up.

use super::fold::{Fold, Folds};
use super::{Aggregate, AggregateOverload, States};
use crate::error::{Error, Result};
use crate::functions::call::{Get, Put};
use crate::functions::signature::{T, param};
use crate::types::row::Input;
use crate::types::{Builder, Decimal, SqlType, Value, View, grow};

pub const FUNCTION: Aggregate = Aggregate {
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
            create: |args, _| Folds::boxed(DecimalSum(args[0].clone()), args),
        },
    ],
};

/// A number that is added up in its own width.
pub trait Summand: for<'a> Get<'a> + Put + Copy + Default + Send {
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

struct Sums<N>(Vec<N>);

impl<N: Summand> States for Sums<N> {
    fn grow(&mut self, groups: usize) {
        grow::resize(&mut self.0, groups, N::default());
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

    fn result(&self, group: u32, out: &mut Builder) {
        self.0[group as usize].put(out);
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

/// A sum of decimals, which must keep their precision.
struct DecimalSum(SqlType);

impl DecimalSum {
    fn plus(&self, state: &mut Option<Decimal>, value: Decimal, sign: i64) -> Result<()> {
        let SqlType::Decimal { precision, scale } = self.0 else { return Err(Error::bug("a sum of no decimals")) };
        let sum = state.unwrap_or(Decimal { unscaled: 0.into(), scale: i32::from(scale) });
        let signed = value.unscaled.wrapping_mul(sign.into());
        let sum = Decimal { unscaled: sum.unscaled.wrapping_add(signed), ..sum };
        let overflow = || {
            let whole = precision - scale;
            let message = format!(
                "Numeric field overflow: A field with precision {precision} and scale {scale} must round to an \
                 absolute value less than 10^{whole}. Got {}",
                sum.plain()
            );
            Error::invalid(message)
        };
        *state = Some(sum.fit(precision, scale).ok_or_else(overflow)?);
        Ok(())
    }
}

impl Fold for DecimalSum {
    type State = Option<Decimal>;

    fn add(&self, state: &mut Self::State, args: Vec<Value>) -> Result<()> {
        if let [Value::Decimal(value)] = args.as_slice() { self.plus(state, *value, 1) } else { Ok(()) }
    }

    fn undo(&self, state: &mut Self::State, args: Vec<Value>) -> Result<()> {
        if let [Value::Decimal(value)] = args.as_slice() { self.plus(state, *value, -1) } else { Ok(()) }
    }

    fn merge(&self, state: &mut Self::State, other: Self::State) -> Result<()> {
        other.map_or(Ok(()), |value| self.plus(state, value, 1))
    }

    fn result(&self, state: &Self::State) -> Value {
        let SqlType::Decimal { scale, .. } = self.0 else { return Value::Null };
        Value::Decimal(state.unwrap_or(Decimal { unscaled: 0.into(), scale: i32::from(scale) }))
    }

    fn save(&self, state: &Self::State) -> Value {
        self.result(state)
    }

    fn load(&self, saved: Value) -> Self::State {
        if let Value::Decimal(sum) = saved { Some(sum) } else { None }
    }

    fn saved_type(&self) -> SqlType {
        self.0.clone()
    }
}
