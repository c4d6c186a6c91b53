//! Sums of numbers and of their products, from which deviations and correlations are computed.
//!
//! The deviations keep count, sum and the sum of squared distances from the mean, with the update of Youngs and
//! Cramer and the merge of Chan, Golub and LeVeque. This loses far fewer digits than plain sums of squares when the
//! mean is large and the spread is small. CORRELATION does keep plain sums. The order of the rows can change the last
//! digits of a result.
//!
//! | slot | deviations | CORRELATION |
//! |---|---|---|
//! | 0 | count | count |
//! | 1 | sum | sum of x |
//! | 2 | squared distances from the mean | sum of y |
//! | 3 | unused | sum of x² |
//! | 4 | unused | sum of y² |
//! | 5 | unused | sum of x·y |

use super::fold::Fold;
use crate::error::Result;
use crate::functions::call::Put;
use crate::types::row::Input;
use crate::types::view::ViewValues;
use crate::types::{Builder, View};

/// What has been added up.
///
/// Saved as six doubles, little-endian, in this order, unused ones too.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums(pub [f64; 6]);

/// An aggregate over such sums: what a row adds, how two states make one, and the result.
pub(super) struct Moments {
    /// Takes a row in (sign 1) or back (sign −1).
    pub change: fn(&mut Sums, &[f64], f64),
    /// The first state is that of the earlier rows.
    pub merge: fn(&mut Sums, &Sums),
    pub result: fn(&Sums) -> f64,
}

/// A number of any type as a double; `None` for NULL.
///
/// A BIGINT beyond 2^53 loses its last digits, as a cast to `double` does in Java.
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
///
/// Taking back the only value leaves a count of 0; rounding may then leave a small sum behind.
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
///
/// A state without rows adds nothing and does not divide by its count.
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
///
/// Divides by count − 1 (Bessel's correction). With fewer than two values it is 0, not NULL.
pub(super) fn variance(sums: &Sums) -> f64 {
    let [count, _, squares, ..] = sums.0;
    if count < 2.0 { 0.0 } else { squares / (count - 1.0) }
}
