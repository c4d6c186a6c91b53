//! Sums of numbers and of their products, from which deviations and correlations are computed.

use super::fold::Fold;
use crate::error::Result;
use crate::types::{SqlType, Value};

/// What has been added up.
#[derive(Clone, Copy, Default)]
pub struct Sums(pub [f64; 6]);

/// An aggregate over such sums: what a row adds, how two states make one, and the result.
pub struct Moments {
    /// Takes a row in (sign 1) or back (sign −1).
    pub change: fn(&mut Sums, &[f64], f64),
    pub merge: fn(&mut Sums, &Sums),
    pub result: fn(&Sums) -> f64,
}

/// A number of any type as a double.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(v) => Some(f64::from(*v)),
        Value::Bigint(v) => Some(*v as f64),
        Value::Double(v) => Some(*v),
        _ => None,
    }
}

impl Moments {
    fn apply(&self, state: &mut Sums, args: &[Value], sign: f64) {
        // A row with a NULL is left out.
        if let Some(numbers) = args.iter().map(number).collect::<Option<Vec<f64>>>() {
            (self.change)(state, &numbers, sign);
        }
    }
}

impl Fold for Moments {
    type State = Sums;

    fn add(&self, state: &mut Sums, args: Vec<Value>) -> Result<()> {
        self.apply(state, &args, 1.0);
        Ok(())
    }

    fn undo(&self, state: &mut Sums, args: Vec<Value>) -> Result<()> {
        self.apply(state, &args, -1.0);
        Ok(())
    }

    fn merge(&self, state: &mut Sums, other: Sums) -> Result<()> {
        (self.merge)(state, &other);
        Ok(())
    }

    fn result(&self, state: &Sums) -> Value {
        Value::Double((self.result)(state))
    }

    fn save(&self, state: &Sums) -> Value {
        Value::Array(state.0.iter().map(|v| Value::Double(*v)).collect())
    }

    fn load(&self, saved: Value) -> Sums {
        let mut sums = Sums::default();
        let numbers = super::fold::items(saved);
        sums.0.iter_mut().zip(&numbers).for_each(|(sum, v)| *sum = number(v).unwrap_or_default());
        sums
    }

    fn saved_type(&self) -> SqlType {
        SqlType::array(SqlType::Double)
    }
}

/// Count, sum, and the sum of squared distances from the mean, changed by one value.
pub fn spread(sums: &mut Sums, numbers: &[f64], sign: f64) {
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
pub fn merge_spreads(sums: &mut Sums, other: &Sums) {
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
pub fn variance(sums: &Sums) -> f64 {
    let [count, _, squares, ..] = sums.0;
    if count < 2.0 { 0.0 } else { squares / (count - 1.0) }
}
