//! Sums of numbers and of their products, from which deviations and correlations are computed.

use super::fold::Fold;
use crate::error::Result;
use crate::functions::call::Put;
use crate::types::row::Input;
use crate::types::view::ViewValues;
use crate::types::{Builder, View};

/// What has been added up.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums(pub [f64; 6]);

/// An aggregate over such sums: what a row adds, how two states make one, and the result.
pub(super) struct Moments {
    /// Takes a row in (sign 1) or back (sign −1).
    pub change: fn(&mut Sums, &[f64], f64),
    pub merge: fn(&mut Sums, &Sums),
    pub result: fn(&Sums) -> f64,
}

/// A number of any type as a double; `None` for NULL.
fn number(view: &View, row: usize) -> Option<f64> {
    match &view.values {
        _ if view.is_null(row) => None,
        ViewValues::Integer(v) => Some(f64::from(v[row])),
        ViewValues::Bigint(v) => Some(v[row] as f64),
        ViewValues::Double(v) => Some(v[row]),
        _ => None,
    }
}

impl Fold for Moments {
    type State = Sums;

    fn change(&self, state: &mut Sums, args: &[View], row: usize, sign: i64) -> Result<(), String> {
        // A row with a NULL is left out.
        let mut numbers = [0.0; 2];
        for (own, view) in numbers.iter_mut().zip(args) {
            let Some(number) = number(view, row) else { return Ok(()) };
            *own = number;
        }
        (self.change)(state, &numbers, sign as f64);
        Ok(())
    }

    fn merge(&self, state: &mut Sums, other: Sums) -> Result<(), String> {
        (self.merge)(state, &other);
        Ok(())
    }

    fn result(&self, state: &Sums, out: &mut Builder) {
        (self.result)(state).put(out);
    }

    fn save(&self, state: &Sums, out: &mut Vec<u8>) {
        state.0.iter().for_each(|sum| out.extend_from_slice(&sum.to_le_bytes()));
    }

    fn load(&self, input: &mut Input) -> Result<Sums> {
        let mut sums = Sums::default();
        for sum in &mut sums.0 {
            *sum = f64::from_le_bytes(input.array()?);
        }
        Ok(sums)
    }
}

/// Count, sum, and the sum of squared distances from the mean, changed by one value.
pub(super) fn spread(sums: &mut Sums, numbers: &[f64], sign: f64) {
    let [count, sum, squares, ..] = &mut sums.0;
    let value = numbers[0];
    if sign > 0.0 {
        *count += 1.0;
        *sum += value;
        if *count > 1.0 {
            *squares += (*count * value - *sum).powi(2) / (*count * (*count - 1.0));
        }
        return;
    }
    if *count > 1.0 {
        *squares -= (*count * value - *sum).powi(2) / (*count * (*count - 1.0));
    }
    *count -= 1.0;
    *sum -= value;
}

/// The same for two spreads.
pub(super) fn merge_spreads(sums: &mut Sums, other: &Sums) {
    let ([count, sum, squares, ..], [other_count, other_sum, other_squares, ..]) = (&mut sums.0, &other.0);
    let both = *count + other_count;
    let between = match (*count > 0.0, *other_count > 0.0) {
        (true, true) => (other_count / *count * *sum - other_sum).powi(2) * (*count / (other_count * both)),
        _ => 0.0,
    };
    *squares += other_squares + between;
    *count = both;
    *sum += other_sum;
}

/// The variance of a sample.
pub(super) fn variance(sums: &Sums) -> f64 {
    let [count, _, squares, ..] = sums.0;
    if count < 2.0 { 0.0 } else { squares / (count - 1.0) }
}
