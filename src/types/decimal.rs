//! Exact decimal numbers: an integer of up to 256 bits and the number of its digits after the point.
//!
//! All arithmetic is checked: a result that needs more than 256 bits is `None`, never a wrapped number. 256 bits hold
//! every number of 76 digits. The type of a column limits precision and scale; a value on its own knows only its
//! scale.

use std::cmp::Ordering;
use std::fmt;

use arrow::datatypes::{Decimal256Type, DecimalType, i256};

/// `unscaled · 10^-scale`. The scale is part of the value (`1.0` prints otherwise than `1.00`) but not of comparisons
/// by [`Decimal::compare`]; it may be negative while a number is parsed or computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// All digits as an integer, with the sign.
    pub unscaled: i256,
    /// The number of digits after the point.
    pub scale: i32,
}

/// How the digits that do not fit are dropped.
///
/// To whole numbers:
///
/// | number | HalfUp | HalfDown | Down | Ceiling | Floor | Exact |
/// |---|---|---|---|---|---|---|
/// | 2.5 | 3 | 2 | 2 | 3 | 2 | none |
/// | -2.5 | -3 | -2 | -2 | -2 | -3 | none |
/// | 2.6 | 3 | 3 | 2 | 3 | 2 | none |
/// | 2.0 | 2 | 2 | 2 | 2 | 2 | 2 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest; a half goes away from zero.
    HalfUp,
    /// To the nearest; a half goes towards zero.
    HalfDown,
    /// Towards zero.
    Down,
    /// Towards positive infinity.
    Ceiling,
    /// Towards negative infinity.
    Floor,
    /// None may be dropped: an inexact result is no result.
    Exact,
}

impl Decimal {
    /// `unscaled · 10^-scale`.
    pub fn new(unscaled: i256, scale: i32) -> Self {
        Decimal { unscaled, scale }
    }

    /// An integer.
    pub fn from_i64(value: i64) -> Self {
        Decimal::new(i256::from_i128(i128::from(value)), 0)
    }

    /// Reads what Java's `BigDecimal` reads: sign, digits (of any script), a point, an exponent. `None` if the text is
    /// no number or has more digits than 256 bits hold.
    ///
    /// `1.50` has scale 2, `15e-1` scale 1, `1e3` scale -3. Blanks are not allowed.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let mut unscaled = i256::ZERO;
        let (mut fraction, mut seen_point, mut seen_digit) = (0i32, false, false);
        for c in digits.chars() {
            if c == '.' && !seen_point {
                seen_point = true;
                continue;
            }
            let digit = super::text::digit(c)?;
            seen_digit = true;
            fraction += i32::from(seen_point);
            unscaled = unscaled.checked_mul(i256::from_i128(10))?.checked_add(i256::from_i128(i128::from(digit)))?;
        }
        let scale = fraction.checked_sub(exponent)?;
        let unscaled = if negative { unscaled.checked_neg()? } else { unscaled };
        seen_digit.then_some(Decimal { unscaled, scale })
    }

    /// The number of digits of the unscaled value; that of zero is 1.
    pub fn precision(&self) -> u32 {
        digits(self.unscaled)
    }

    /// Whether the unscaled value has at most so many digits.
    ///
    /// `precision` is from 1 to 76. Compares with a limit from a table, so it is cheap.
    pub fn has_at_most(&self, precision: u8) -> bool {
        Decimal256Type::is_valid_decimal_precision(self.unscaled, precision)
    }

    /// The same number with `scale` digits after the point; `None` if it does not fit or would be inexact and must not.
    ///
    /// With more digits than before the value is the same and `rounding` is not used.
    pub fn rescale(&self, scale: i32, rounding: Rounding) -> Option<Decimal> {
        // Scales may lie farther apart than their type is wide; any number of digits is too many then.
        let shift = scale.saturating_sub(self.scale);
        if shift >= 0 {
            if self.unscaled == i256::ZERO {
                return Some(Decimal { unscaled: i256::ZERO, scale });
            }
            let unscaled = self.unscaled.checked_mul(power_of_ten(shift as u32)?)?;
            return Some(Decimal { unscaled, scale });
        }
        let unscaled = match power_of_ten(shift.unsigned_abs()) {
            Some(divisor) => divide(self.unscaled, divisor, rounding)?,
            None if self.unscaled == i256::ZERO => i256::ZERO,
            None if rounding == Rounding::Exact => return None,
            None => i256::ZERO,
        };
        Some(Decimal { unscaled, scale })
    }

    /// The same number with at most `precision` digits, rounded.
    ///
    /// The scale may become negative: 1234 with two digits is 12·10^2. Rounding 99.9 to two digits carries over and
    /// gives 10·10^1.
    pub fn round_to_precision(&self, precision: u32, rounding: Rounding) -> Option<Decimal> {
        let excess = self.precision().saturating_sub(precision) as i32;
        if excess == 0 {
            return Some(*self);
        }
        let rounded = self.rescale(self.scale - excess, rounding)?;
        if rounded.precision() > precision { rounded.rescale(rounded.scale - 1, rounding) } else { Some(rounded) }
    }

    /// The number as a value of DECIMAL(precision, scale): rounded half up, `None` if it has too many integer digits.
    /// The size is judged before rounding, as ksqlDB's CAST does.
    pub fn fit(&self, precision: u8, scale: u8) -> Option<Decimal> {
        let integer_digits = i64::from(self.precision()) - i64::from(self.scale);
        if self.unscaled != i256::ZERO && integer_digits > i64::from(precision) - i64::from(scale) {
            return None;
        }
        self.rescale(i32::from(scale), Rounding::HalfUp)
    }

    /// The number as a value of DECIMAL(precision, scale) without rounding; `None` if it does not fit exactly.
    ///
    /// 1.50 fits DECIMAL(2, 1), 1.55 does not.
    pub fn fit_exactly(&self, precision: u8, scale: u8) -> Option<Decimal> {
        let exact = self.rescale(i32::from(scale), Rounding::Exact)?;
        (exact.has_at_most(precision) || exact.unscaled == i256::ZERO).then_some(exact)
    }

    /// Compares by value, whatever the scales.
    ///
    /// Numbers so far apart in scale that 256 bits do not hold both are compared as doubles.
    pub fn compare(&self, other: &Decimal) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.rescale(scale, Rounding::Exact), other.rescale(scale, Rounding::Exact)) {
            (Some(a), Some(b)) => a.unscaled.cmp(&b.unscaled),
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }

    /// The nearest double.
    pub fn to_f64(&self) -> f64 {
        format!("{}e{}", self.unscaled, -i64::from(self.scale)).parse().unwrap_or(f64::NAN)
    }

    /// The shortest decimal that prints as this double does; `None` if it is not finite or too large.
    ///
    /// 0.1 gives 0.1, as `BigDecimal.valueOf` does.
    pub fn from_f64(value: f64) -> Option<Decimal> {
        value.is_finite().then(|| Decimal::parse(&super::text::double(value)))?
    }

    /// The double's exact binary value, rounded half up to `precision` digits.
    ///
    /// 0.1 to 20 digits gives 0.10000000000000000555, as `new BigDecimal(double)` does before it is rounded.
    pub fn from_f64_exact(value: f64, precision: u32) -> Option<Decimal> {
        if !value.is_finite() {
            return None;
        }
        // A double has at most 767 significant digits, so that this text is exact.
        let text = format!("{value:.766e}");
        let (mantissa, exponent) = text.split_once('e')?;
        let exponent: i32 = exponent.parse().ok()?;
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let kept = (precision as usize).min(digits.len());
        let mut unscaled = i256::from_string(&digits[..kept])?;
        if digits.as_bytes().get(kept).is_some_and(|d| *d >= b'5') {
            unscaled = unscaled.checked_add(i256::ONE)?;
        }
        let unscaled = if mantissa.starts_with('-') { unscaled.checked_neg()? } else { unscaled };
        Some(Decimal { unscaled, scale: kept as i32 - 1 - exponent })
    }

    /// The integer part; `None` if 64 bits do not hold it.
    pub fn to_i64(&self) -> Option<i64> {
        self.rescale(0, Rounding::Down)?.unscaled.to_i128()?.try_into().ok()
    }

    /// The integer part, with the low 64 bits if it is larger.
    ///
    /// `BigDecimal.longValue` does the same. A number that cannot be brought to scale 0 gives 0.
    pub fn to_i64_wrapping(&self) -> i64 {
        self.rescale(0, Rounding::Down).map_or(0, |d| d.unscaled.to_parts().0 as i64)
    }

    /// The quotient with `scale` digits after the point, rounded half up; `None` for a division by zero, or if the dividend
    /// with that many digits needs more than 256 bits.
    ///
    /// 10 / 4 with scale 0 is 3, -10 / 4 is -3.
    pub fn divide(&self, divisor: Decimal, scale: i32) -> Option<Decimal> {
        if self.unscaled == i256::ZERO && divisor.unscaled != i256::ZERO {
            return Some(Decimal { unscaled: i256::ZERO, scale });
        }
        let shift = scale + divisor.scale - self.scale;
        let negative = divisor.unscaled < i256::ZERO;
        let (dividend, mut by) = match negative {
            true => (self.unscaled.checked_neg()?, divisor.unscaled.checked_neg()?),
            false => (self.unscaled, divisor.unscaled),
        };
        let mut shifted = dividend;
        match shift {
            0.. => shifted = shifted.checked_mul(power_of_ten(shift as u32)?)?,
            _ => by = by.checked_mul(power_of_ten(shift.unsigned_abs())?)?,
        }
        divide(shifted, by, Rounding::HalfUp).map(|unscaled| Decimal { unscaled, scale })
    }

    /// Without exponent, with all digits of the scale: `1.10`, `0.0000001`.
    pub fn plain(&self) -> String {
        let negative = self.unscaled < i256::ZERO;
        let digits = self.unscaled.to_string();
        let digits = digits.trim_start_matches('-');
        let sign = if negative { "-" } else { "" };
        if self.scale <= 0 {
            let zeros = if self.unscaled == i256::ZERO { 0 } else { self.scale.unsigned_abs() as usize };
            return format!("{sign}{digits}{}", "0".repeat(zeros));
        }
        let scale = self.scale as usize;
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (integer, fraction) = padded.split_at(padded.len() - scale);
        format!("{sign}{integer}.{fraction}")
    }
}

/// As Java's `BigDecimal.toString`: with an exponent when the number is below 10^-6 or its scale is negative.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled.to_string();
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", digits.as_str()),
        };
        let adjusted = digits.len() as i64 - 1 - i64::from(self.scale);
        if self.scale >= 0 && adjusted >= -6 {
            return f.write_str(&self.plain());
        }
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        write!(f, "{sign}{first}{point}{rest}")?;
        if adjusted == 0 { Ok(()) } else { write!(f, "E{adjusted:+}") }
    }
}

fn parse_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn digits(value: i256) -> u32 {
    let text = value.to_string();
    text.trim_start_matches('-').len() as u32
}

/// 10 to the `exponent`, if 256 bits hold it.
///
/// Up to 76.
pub fn power_of_ten(exponent: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(exponent)
}

/// `value / divisor` for a positive divisor.
///
/// `None` for a divisor of 0, or if rounding is [`Rounding::Exact`] and something is left.
pub fn divide(value: i256, divisor: i256, rounding: Rounding) -> Option<i256> {
    let quotient = value.checked_div(divisor)?;
    let rest = value.checked_rem(divisor)?;
    if rest == i256::ZERO {
        return Some(quotient);
    }
    let negative = value < i256::ZERO;
    let rest = rest.wrapping_abs();
    // Twice the rest might need more bits than there are.
    let missing = divisor.wrapping_sub(rest);
    let away = match rounding {
        Rounding::Exact => return None,
        Rounding::Down => false,
        Rounding::HalfUp => rest >= missing,
        Rounding::HalfDown => rest > missing,
        Rounding::Ceiling => !negative,
        Rounding::Floor => negative,
    };
    match (away, negative) {
        (false, _) => Some(quotient),
        (true, false) => quotient.checked_add(i256::ONE),
        (true, true) => quotient.checked_sub(i256::ONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Decimal {
        Decimal::parse(text).expect("a number")
    }

    #[test]
    fn decimals_print_as_java_prints_them() {
        for text in ["0", "1.10", "-0.05", "1E-10", "0E-10", "-1.000E-7", "0.0000010000", "1E+5", "1.5E+3"] {
            assert_eq!(parse(text).to_string(), text);
        }
        assert_eq!(parse("100e-2").to_string(), "1.00");
        assert_eq!(parse("1e3").plain(), "1000");
        assert_eq!(parse("1E-8").plain(), "0.00000001");
        assert_eq!(Decimal::parse("1.2.3"), None);
        assert_eq!(Decimal::parse(" 1"), None);
    }

    #[test]
    fn fitting_judges_the_size_before_rounding() {
        assert_eq!(parse("99.995").fit(4, 2).expect("fits").to_string(), "100.00");
        assert_eq!(parse("100").fit(4, 2), None);
        assert_eq!(parse("1.005").fit_exactly(4, 2), None);
        assert_eq!(parse("0.000").fit_exactly(2, 2).expect("fits").to_string(), "0.00");
    }

    #[test]
    fn doubles_are_taken_exactly_or_as_they_print() {
        assert_eq!(Decimal::from_f64(0.1).expect("finite").to_string(), "0.1");
        let exact = |v, p| Decimal::from_f64_exact(v, p).expect("finite").to_string();
        assert_eq!(exact(0.15, 1), "0.1");
        assert_eq!(exact(0.15, 2), "0.15");
        assert_eq!(exact(99.995, 4), "100.00");
        assert_eq!(exact(-2.5, 1), "-3");
    }
}
