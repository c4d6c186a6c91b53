//! Whole numbers of a JSON text, eight digits at once.

/// How many digits a number has at most that a double holds exactly, whatever they are.
pub(super) const EXACT_DIGITS: usize = 15;

/// The powers of ten up to that of 15.
pub(super) const POWERS: [i64; EXACT_DIGITS + 1] = {
    let mut powers = [1; EXACT_DIGITS + 1];
    let mut exponent = 1;
    while exponent <= EXACT_DIGITS {
        powers[exponent] = 10 * powers[exponent - 1];
        exponent += 1;
    }
    powers
};

/// The number that the digits at the front make, and how many they are.
#[inline(always)]
pub(super) fn sixteen_digits(bytes: u128) -> (i64, usize) {
    match eight_digits(bytes as u64) {
        (upper, 8) => {
            let (lower, length) = eight_digits((bytes >> 64) as u64);
            (upper * POWERS[length] + lower, 8 + length)
        }
        few => few,
    }
}

/// The same of eight bytes, without a branch for each.
#[inline(always)]
fn eight_digits(bytes: u64) -> (i64, usize) {
    // Digits become 0 to 9. Of the others the first has its highest bit, in itself or in the sum.
    let values = bytes ^ 0x3030_3030_3030_3030;
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    let length = others.trailing_zeros() as usize / 8;
    if length == 0 {
        return (0, 0);
    }
    // The digits with zeros before them; then sums of two, four and eight.
    let padded = values << (64 - 8 * length);
    let pairs = (padded.wrapping_mul(10) + (padded >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    let number = (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xFFFF_FFFF;
    (number as i64, length)
}

/// The same of fewer than 16 bytes.
pub(super) fn few_digits(bytes: &[u8]) -> (i64, usize) {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold((0, 0), |(value, length), byte| (value * 10 + i64::from(byte - b'0'), length + 1))
}
