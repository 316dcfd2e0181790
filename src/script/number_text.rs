//! The text of doubles as C prints it with `%.14g` and its kin, which is how Lua and its libraries write numbers, and how they read
//! plain ones.

use quartet_protocol::resp::number::unsigned_text;

/// A whole number below this has all its digits in a double.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// From here on numbers are not written with an exponent.
const FIXED_MIN: f64 = 1e-4;

/// The most significant digits that are asked for.
const DIGITS_MAX: usize = 17;

/// Zeros between the point and the first other digit of a number that is written without an exponent.
const ZEROS_MAX: usize = 3;

/// Decimals of such a number.
const DECIMALS_MAX: usize = DIGITS_MAX + ZEROS_MAX;

/// The powers of ten up to that.
const POWERS: [u128; DECIMALS_MAX + 1] = {
    let mut powers = [1; DECIMALS_MAX + 1];
    let mut at = 1;
    while at <= DECIMALS_MAX {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// Bytes of a text that is read as a plain number.
const PLAIN_MAX: usize = 32;

/// So many digits always spell a number that a double has exactly.
const WHOLE_DIGITS: usize = 15;

/// A text that needs no memory besides.
#[derive(Clone, Copy)]
pub(crate) struct ShortText {
    bytes: [u8; ShortText::LENGTH_MAX],
    length: usize,
}

impl ShortText {
    /// A sign, a zero and a point before the decimals.
    const LENGTH_MAX: usize = 3 + DECIMALS_MAX;

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// The bytes of the text.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The text of a number that is written without an exponent and is not too large for this: found with whole numbers, exactly.
pub(crate) fn fixed_text(value: f64, digits: usize) -> Option<ShortText> {
    let size = value.abs();
    if !(FIXED_MIN..WHOLE_MAX).contains(&size) || digits > DIGITS_MAX {
        return None;
    }
    let decimals = if size >= 1.0 {
        digits.checked_sub((size as u64).ilog10() as usize + 1)?
    } else {
        digits + [0.1, 0.01, 0.001].iter().filter(|&&bound| size < bound).count()
    };
    // The number is this many halves of halves and so on, and has no more bits than 53.
    let bits = size.to_bits();
    let halvings = 1075 - (bits >> 52) as u32;
    let parts = u128::from(bits & ((1 << 52) - 1) | 1 << 52) * POWERS[decimals];
    let (cut, rest) = (parts >> halvings, parts & ((1 << halvings) - 1));
    let half = (1_u128 << halvings) >> 1;
    let is_up = rest > half || (rest == half && half > 0 && cut % 2 == 1);
    let rounded = cut + u128::from(is_up);
    // With another number of digits it would be written in another way.
    if !(POWERS[digits - 1]..POWERS[digits]).contains(&rounded) {
        return None;
    }
    let text = unsigned_text(rounded as u64);
    let mut short = ShortText { bytes: [b'0'; ShortText::LENGTH_MAX], length: 0 };
    if value < 0.0 {
        short.push(b"-");
    }
    let whole = text.len().saturating_sub(decimals);
    short.push(if whole == 0 { b"0" } else { &text[..whole] });
    let last = text.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
    if last > whole {
        short.push(b".");
        // There are zeros already.
        short.length += decimals.saturating_sub(text.len());
        short.push(&text[whole..last]);
    }
    Some(short)
}

/// The number that a text of digits spells, perhaps with a sign and a point, if it is not long; none if it is anything else.
pub(crate) fn plain_number(text: &[u8]) -> Option<f64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || text.len() > PLAIN_MAX {
        return None;
    }
    if digits.len() <= WHOLE_DIGITS && digits.iter().all(u8::is_ascii_digit) {
        let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')) as f64;
        return Some(if digits.len() < text.len() { -number } else { number });
    }
    let is_plain = digits.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// The text of `value` with so many significant digits.
pub(crate) fn general_text(value: f64, digits: usize) -> String {
    match fixed_text(value, digits) {
        Some(text) => String::from_utf8_lossy(text.bytes()).into_owned(),
        None => any_text(value, digits),
    }
}

/// The same for every number, step by step.
fn any_text(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.unsigned_abs());
    }
    let decimals = (digits as i32 - 1 - exponent) as usize;
    without_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{any_text, fixed_text, general_text, plain_number};

    #[test]
    fn texts_are_those_of_c() {
        for (value, digits, text) in [
            (0.1, 17, "0.10000000000000001"),
            (0.1, 14, "0.1"),
            (3.5, 17, "3.5"),
            (1e15, 14, "1e+15"),
            (1e14, 14, "1e+14"),
            (12_345_678_901_234.0, 14, "12345678901234"),
            (1e-5, 14, "1e-05"),
            (0.0001, 14, "0.0001"),
            (1.5e300, 17, "1.5000000000000001e+300"),
            (-2.5, 17, "-2.5"),
            (-0.0, 17, "-0"),
            (f64::NEG_INFINITY, 17, "-inf"),
            (9.999_999_999_999_99e9, 14, "10000000000"),
        ] {
            assert_eq!(general_text(value, digits), text);
        }
    }

    #[test]
    fn what_is_found_with_whole_numbers_is_the_same_text() {
        let odd =
            [0.5_f64, 0.25, 0.999_999_999_999_999_9, 9.5, 99.999_999_999_999_99, 0.000_1, 0.001, 1e15, 0.1];
        for value in odd.into_iter().chain([1.0, 2.5, 123_456_789_012_345.6, 9_007_199_254_740_991.0, 0.3]) {
            for digits in 1..=17 {
                for value in [value, value.next_up(), value.next_down(), -value] {
                    if let Some(text) = fixed_text(value, digits) {
                        assert_eq!(String::from_utf8_lossy(text.bytes()), any_text(value, digits));
                    }
                }
            }
        }
        assert!(fixed_text(298_765_432.123_456_8, 17).is_some() && fixed_text(0.6, 14).is_some());
    }

    #[test]
    fn plain_numbers_are_read_and_others_left() {
        for (text, number) in [
            ("0", Some(0.0)),
            ("100", Some(100.0)),
            ("-42", Some(-42.0)),
            ("999999999999999", Some(999_999_999_999_999.0)),
            ("298765432.12345678", Some(298_765_432.123_456_8)),
            ("1.", Some(1.0)),
            (".5", Some(0.5)),
            ("12345678901234567890", Some(12_345_678_901_234_567_890.0)),
            ("", None),
            ("-", None),
            (".", None),
            ("--1", None),
            ("1.2.3", None),
            ("1e5", None),
            ("0x10", None),
            (" 1", None),
            ("+1", None),
            ("inf", None),
            ("nan", None),
            ("000000000000000000000000000000001", None),
        ] {
            assert_eq!(plain_number(text.as_bytes()), number, "{text}");
        }
        assert!(plain_number(b"-0").is_some_and(f64::is_sign_negative));
    }

    proptest! {
        #[test]
        fn texts_of_random_numbers_are_the_same(bits: u64, size in -20_i32..60, digits in 1_usize..=17) {
            for value in [f64::from_bits(bits), (bits >> 11) as f64 * 2_f64.powi(size - 53)] {
                if let Some(text) = fixed_text(value, digits) {
                    prop_assert_eq!(String::from_utf8_lossy(text.bytes()), any_text(value, digits));
                }
            }
        }
    }
}
