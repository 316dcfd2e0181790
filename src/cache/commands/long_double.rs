//! Floating-point numbers of 80 bits, in which INCRBYFLOAT counts.
//!
//! Redis adds in C's `long double`, which on x86-64 has 64 bits of mantissa.  That is why 0.1 and 0.2 make 0.3 there,
//! and clients see it, so the numbers here are the same: read to the nearest, added to the nearest (ties to even),
//! written with at most 17 digits after the point.  Exponents are not bounded below: a number that would underflow in C is far
//! below the 17th digit, except that a number too small to be told from zero is refused, as in Redis.

use std::cmp::Ordering;

use num_bigint::BigUint;

/// The bytes of a number's text; longer ones are refused, as in Redis.
pub(super) const TEXT_LENGTH_MAX: usize = 5 * 1024 - 1;

/// Digits after the point that are written.
const FRACTION_DIGITS: usize = 17;

/// A finite number: `mantissa` times two to the power of `exponent`, and its sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongDouble {
    negative: bool,
    /// Zero, or with its highest bit set.
    mantissa: u64,
    exponent: i32,
}

/// The number that a text spells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spelled {
    /// A number.
    Finite(LongDouble),
    /// `inf`, with any sign.
    Infinite,
}

/// The largest exponent of a mantissa whose highest bit is set.
const EXPONENT_MAX: i32 = 16_383 - 63;

/// With this exponent every number is beyond the range of doubles, and with its opposite nearer to zero than to any of them.
const DOUBLE_EXPONENT_MAX: i32 = 1_200;

/// Half the smallest number of C, 2^-16446: numbers up to this are zero there.
const ZERO_MAX: LongDouble = LongDouble { negative: false, mantissa: 1 << 63, exponent: -16_446 - 63 };

impl LongDouble {
    /// Zero.
    pub(super) const ZERO: LongDouble = LongDouble { negative: false, mantissa: 0, exponent: 0 };

    /// The largest number, or the smallest if `negative`.
    pub(super) fn largest(negative: bool) -> LongDouble {
        LongDouble { negative, mantissa: u64::MAX, exponent: EXPONENT_MAX }
    }

    /// Reads what C's `strtold` reads: decimal or hexadecimal, with an exponent, `inf`.  None for anything else, for
    /// `nan`, and for numbers too large or too close to zero.
    pub(super) fn parse(text: &[u8]) -> Option<Spelled> {
        if text.len() > TEXT_LENGTH_MAX {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(Spelled::Infinite);
        }
        let magnitude = match text {
            [b'0', b'x' | b'X', rest @ ..] => parse_hexadecimal(rest)?,
            decimal => parse_decimal(decimal)?,
        };
        Some(Spelled::Finite(LongDouble { negative, ..magnitude }))
    }

    /// The sum; none if it is too large.
    pub(super) fn add(self, other: LongDouble) -> Option<LongDouble> {
        let (large, small) =
            if self.compare_magnitude(other).is_ge() { (self, other) } else { (other, self) };
        if small.mantissa == 0 {
            return Some(if large.mantissa == 0 { LongDouble::ZERO } else { large });
        }
        // The larger number gets 63 more bits; what the smaller one loses beyond them is remembered in its last bit,
        // which is too far below the 64 bits of the sum to decide anything but a tie.
        let distance = large.exponent.abs_diff(small.exponent);
        let wide = u128::from(large.mantissa) << 63;
        let other = u128::from(small.mantissa) << 63;
        let shifted = other.checked_shr(distance).unwrap_or(0);
        let lost = shifted.checked_shl(distance).unwrap_or(0) != other;
        let shifted = shifted | u128::from(lost);
        let sum = if large.negative == small.negative { wide + shifted } else { wide - shifted };
        let sum = rounded(sum, false, large.exponent - 63)?;
        Some(LongDouble { negative: large.negative && sum.mantissa != 0, ..sum })
    }

    /// The same number with the other sign.
    pub(super) fn negated(self) -> LongDouble {
        LongDouble { negative: !self.negative, ..self }
    }

    /// Which of two numbers is larger.
    pub(super) fn compare(self, other: LongDouble) -> Ordering {
        let sign = |number: LongDouble| match (number.mantissa, number.negative) {
            (0, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            -1 => other.compare_magnitude(self),
            _ => self.compare_magnitude(other),
        })
    }

    /// The double that [`LongDouble::text`] spells, or infinity beyond the range of doubles.
    pub(super) fn to_double(self) -> f64 {
        self.text().parse().expect("the text is that of a number")
    }

    /// The double that is nearest, or infinity beyond the range of doubles.
    pub(super) fn nearest_double(self) -> f64 {
        // In two steps, neither of which leaves the range of a double if the result does not.
        let exponent = self.exponent.clamp(-DOUBLE_EXPONENT_MAX, DOUBLE_EXPONENT_MAX);
        let first = exponent / 2;
        let magnitude = self.mantissa as f64 * 2f64.powi(first) * 2f64.powi(exponent - first);
        if self.negative { -magnitude } else { magnitude }
    }

    fn compare_magnitude(self, other: LongDouble) -> Ordering {
        match (self.mantissa, other.mantissa) {
            (0, _) | (_, 0) => self.mantissa.cmp(&other.mantissa),
            _ => (self.exponent, self.mantissa).cmp(&(other.exponent, other.mantissa)),
        }
    }

    /// The decimal text, without exponent and without needless zeros.
    pub(super) fn text(self) -> String {
        let unit = 10u128.pow(FRACTION_DIGITS as u32);
        let sign = if self.negative { "-" } else { "" };
        if self.exponent > 0 {
            return format!("{sign}{}", BigUint::from(self.mantissa) << self.exponent.unsigned_abs());
        }
        // At most 121 bits: 64 of the mantissa and 57 of the unit.
        let scaled = u128::from(self.mantissa) * unit;
        let units = shift_right_to_even(scaled, self.exponent.unsigned_abs(), false);
        if units == 0 {
            return "0".to_owned();
        }
        let text = format!("{sign}{}.{:0width$}", units / unit, units % unit, width = FRACTION_DIGITS);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// The nearest number to `bits` times two to the power of `exponent`; `more` says that a bit below them is set.  None
/// if it is too large.
fn rounded(bits: u128, more: bool, exponent: i32) -> Option<LongDouble> {
    if bits == 0 {
        return Some(LongDouble::ZERO);
    }
    let surplus = 64 - bits.leading_zeros() as i32;
    if surplus <= 0 {
        let mantissa = (bits << surplus.unsigned_abs()) as u64;
        return checked(mantissa, exponent + surplus);
    }
    let mantissa = shift_right_to_even(bits, surplus.unsigned_abs(), more);
    match u64::try_from(mantissa) {
        Ok(mantissa) => checked(mantissa, exponent + surplus),
        // It was rounded up to a power of two.
        Err(_) => checked(1 << 63, exponent + surplus + 1),
    }
}

fn checked(mantissa: u64, exponent: i32) -> Option<LongDouble> {
    (exponent <= EXPONENT_MAX).then_some(LongDouble { negative: false, mantissa, exponent })
}

/// Halves `bits` `count` times and rounds to the nearest, a tie to the even one.
fn shift_right_to_even(bits: u128, count: u32, more: bool) -> u128 {
    if count == 0 {
        return bits;
    }
    if count > 127 {
        return 0;
    }
    let kept = bits >> count;
    let lost = bits & ((1 << count) - 1);
    let half = 1 << (count - 1);
    let up = lost > half || lost == half && (more || kept & 1 == 1);
    kept + u128::from(up)
}

/// Mantissa digits with at most one point among them, and the exponent behind `mark`.
struct Parts {
    digits: Vec<u8>,
    /// How many of the digits stand behind the point.
    fraction: i64,
    exponent: i64,
}

impl Parts {
    fn split(text: &[u8], mark: u8, is_digit: impl Fn(&u8) -> bool) -> Option<Parts> {
        let end = text.iter().position(|byte| byte.eq_ignore_ascii_case(&mark)).unwrap_or(text.len());
        let exponent = match text.get(end + 1..) {
            Some(exponent) => parse_exponent(exponent)?,
            None => 0,
        };
        let mantissa = &text[..end];
        let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
        let whole = &mantissa[..point];
        let fraction = mantissa.get(point + 1..).unwrap_or_default();
        let digits = [whole, fraction].concat();
        let valid = !digits.is_empty() && digits.iter().all(is_digit);
        valid.then_some(Parts { digits, fraction: fraction.len() as i64, exponent })
    }
}

/// An exponent; one of many digits is cut to a size that is out of range all the same.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    const CUT: i64 = 1_000_000;
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |value: i64, digit| (value * 10 + i64::from(digit - b'0')).min(CUT));
    Some(if negative { -value } else { value })
}

fn parse_decimal(text: &[u8]) -> Option<LongDouble> {
    // Outside these powers of ten every number is refused; inside them the arithmetic stays small.
    const POWER_MIN: i64 = -4_960;
    const POWER_MAX: i64 = 4_940;
    let parts = Parts::split(text, b'e', u8::is_ascii_digit)?;
    let Some(leading) = parts.digits.iter().position(|&digit| digit != b'0') else {
        return Some(LongDouble::ZERO);
    };
    let digits = &parts.digits[leading..];
    let power = parts.exponent - parts.fraction;
    let highest = power + digits.len() as i64;
    if !(POWER_MIN..=POWER_MAX).contains(&highest) {
        return None;
    }
    let digits = BigUint::parse_bytes(digits, 10)?;
    let scale = BigUint::from(10u32).pow(u32::try_from(power.unsigned_abs()).ok()?);
    let one = BigUint::from(1u32);
    if power < 0 { nearest(digits, &scale, 0) } else { nearest(digits * scale, &one, 0) }
}

fn parse_hexadecimal(text: &[u8]) -> Option<LongDouble> {
    let parts = Parts::split(text, b'p', u8::is_ascii_hexdigit)?;
    let digits = BigUint::parse_bytes(&parts.digits, 16)?;
    let exponent = i32::try_from(parts.exponent - 4 * parts.fraction).ok()?;
    nearest(digits, &BigUint::from(1u32), exponent)
}

/// The nearest number to a quotient times two to the power of `exponent`.
fn nearest(numerator: BigUint, denominator: &BigUint, exponent: i32) -> Option<LongDouble> {
    // Two bits more than the mantissa has are enough to round, with the remainder told as one more.
    const QUOTIENT_BITS: u64 = 66;
    if numerator == BigUint::ZERO {
        return Some(LongDouble::ZERO);
    }
    let shift = (denominator.bits() + QUOTIENT_BITS).saturating_sub(numerator.bits());
    let shifted = numerator << shift;
    let mut quotient = &shifted / denominator;
    let mut more = &quotient * denominator != shifted;
    let surplus = quotient.bits().saturating_sub(QUOTIENT_BITS);
    if surplus > 0 {
        more |= quotient.trailing_zeros().is_some_and(|zeros| zeros < surplus);
        quotient >>= surplus;
    }
    let bits = u128::try_from(quotient).expect("it was cut to 66 bits");
    let exponent = exponent + i32::try_from(surplus).ok()? - i32::try_from(shift).ok()?;
    rounded(bits, more, exponent).filter(|number| number.compare_magnitude(ZERO_MAX).is_gt())
}

#[cfg(test)]
mod tests {
    use super::{LongDouble, Spelled};

    fn number(text: &str) -> LongDouble {
        match LongDouble::parse(text.as_bytes()) {
            Some(Spelled::Finite(number)) => number,
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn sums_are_those_of_long_double() {
        for (left, right, sum) in [
            ("0.1", "0.2", "0.3"),
            ("0.3", "-0.3", "0"),
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3.0", "1.000000000000000005", "4.00000000000000001"),
            ("1e17", "1", "100000000000000001"),
            ("100000000000000000", "0.5", "100000000000000000.5"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("18446744073709551615", "0.5", "18446744073709551616"),
            ("18446744073709551615", "2", "18446744073709551616"),
            ("1e30", "-1e-30", "1000000000000000000024696061952"),
            ("-0", "-0", "0"),
            ("-0.000000000000000001", "0", "0"),
            ("0x10", "0x.8p1", "17"),
            ("1", "0x1p-64", "1"),
        ] {
            let text = number(left).add(number(right)).expect("finite").text();
            assert_eq!(text, sum, "{left} + {right}");
        }
        let largest = LongDouble::largest(false);
        assert!(largest.add(largest).is_none());
        assert_eq!(largest.add(largest.negated()).expect("zero").text(), "0");
    }

    #[test]
    fn spellings_are_those_of_strtold() {
        for text in [
            "1",
            "+1",
            ".5",
            "5.",
            "1e5",
            "1E+5",
            "1e-5",
            "0x1F",
            "0X.8P-3",
            "1e4932",
            "1e-4950",
            "0e9999999",
        ] {
            assert!(matches!(LongDouble::parse(text.as_bytes()), Some(Spelled::Finite(_))), "{text}");
        }
        for text in ["inf", "-INF", "+Infinity"] {
            assert!(matches!(LongDouble::parse(text.as_bytes()), Some(Spelled::Infinite)), "{text}");
        }
        for text in [
            "", ".", "-", "e5", "1e", "1e+", "0x", "0x.", " 1", "1 ", "1.2.3", "nan", "1e5000", "1e-5000",
            "--1", "1p3",
        ] {
            assert!(LongDouble::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(LongDouble::parse(&[b'1'; super::TEXT_LENGTH_MAX + 1]).is_none());
    }

    #[test]
    fn numbers_are_ordered() {
        let ordered = ["-1e10", "-2", "-1.5", "-0.001", "0", "1e-20", "1", "1.5", "2", "1e10"];
        for (place, left) in ordered.iter().enumerate() {
            for (other_place, right) in ordered.iter().enumerate() {
                assert_eq!(number(left).compare(number(right)), place.cmp(&other_place), "{left} {right}");
            }
        }
    }
}
