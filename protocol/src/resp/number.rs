//! Numbers as Redis reads and writes them: strict decimal integers, and doubles in the fewest digits that
//! read back to the same value.

use std::fmt::{self, Write};
use std::ops::Deref;

/// The integer that `text` spells, in the only spelling Redis accepts: no plus sign, no leading zero, no
/// space, no `-0`, within 64 bits.
#[inline]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= INTEGER_DIGITS_MAX => {}
        _ => return None,
    }
    let mut magnitude: u64 = 0;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Nineteen digits stay below 10^19, which fits.
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

const INTEGER_DIGITS_MAX: usize = 19;

/// More than the longest text has: `-1.7976931348623157e+308`, a double, takes 24 bytes.
const TEXT_LENGTH_MAX: usize = 32;

/// The text of a number, held without allocating.  Dereferences to its bytes.
#[derive(Clone, Copy)]
pub struct NumberText {
    bytes: [u8; TEXT_LENGTH_MAX],
    start: u8,
    end: u8,
}

impl Deref for NumberText {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..usize::from(self.end)]
    }
}

impl AsRef<[u8]> for NumberText {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// The decimal text of an integer.
#[inline]
pub fn integer_text(value: i64) -> NumberText {
    let mut text = unsigned_text(value.unsigned_abs());
    if value < 0 {
        text.start -= 1;
        text.bytes[usize::from(text.start)] = b'-';
    }
    text
}

/// The decimal text of an integer without a sign.
#[inline]
pub fn unsigned_text(mut value: u64) -> NumberText {
    let mut bytes = [0; TEXT_LENGTH_MAX];
    let mut start = TEXT_LENGTH_MAX;
    while value >= 100 {
        start -= 2;
        bytes[start..start + 2].copy_from_slice(&TWO_DIGITS[(value % 100) as usize]);
        value /= 100;
    }
    if value >= 10 {
        start -= 2;
        bytes[start..start + 2].copy_from_slice(&TWO_DIGITS[value as usize]);
    } else {
        start -= 1;
        bytes[start] = b'0' + value as u8;
    }
    NumberText { bytes, start: start as u8, end: TEXT_LENGTH_MAX as u8 }
}

/// The texts of the numbers below a hundred, all with two digits: a text takes half as many divisions as with one for each
/// digit.
const TWO_DIGITS: [[u8; 2]; 100] = {
    let mut texts = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < texts.len() {
        texts[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    texts
};

/// The text of a double as Redis 7.2 replies it: `inf`, `-inf`, `nan`, an integer without a point, else the
/// fewest digits that read back to the same value, in Redis' choice of notation.
///
/// Redis' own search for the fewest digits gives up in about one of four hundred cases and then prints a digit
/// more or a less close last one; these texts are always the shortest and, among those, the closest.
pub fn double_text(value: f64) -> NumberText {
    if value.is_nan() {
        return literal_text(b"nan");
    }
    if value.is_infinite() {
        return literal_text(if value < 0.0 { b"-inf" } else { b"inf" });
    }
    if value == 0.0 {
        return literal_text(if value.is_sign_negative() { b"-0" } else { b"0" });
    }
    if value.abs() <= INTEGER_TEXT_MAX && value.trunc() == value {
        return integer_text(value as i64);
    }
    let (digits, exponent) = shortest_digits(value.abs());
    let mut text = TextWriter::default();
    if value < 0.0 {
        text.push(b"-");
    }
    lay_out(&mut text, &digits, exponent);
    text.finish()
}

/// 2^62: up to here Redis prints a double without a fraction as the integer it is, digit by digit.
const INTEGER_TEXT_MAX: f64 = 4_611_686_018_427_387_904.0;

/// The significant digits of a positive finite value and the power of ten of the last of them.
fn shortest_digits(value: f64) -> (NumberText, i32) {
    few_decimals(value).unwrap_or_else(|| printed_digits(value))
}

/// The same of any value.
fn printed_digits(value: f64) -> (NumberText, i32) {
    let mut scientific = TextWriter::default();
    write!(scientific, "{value:e}").expect("a double's text fits");
    let scientific = scientific.finish();
    let text = std::str::from_utf8(&scientific).expect("a double's text is ASCII");
    let (mantissa, exponent) = text.split_once('e').expect("LowerExp always writes an exponent");
    let exponent: i32 = exponent.parse().expect("LowerExp writes a decimal exponent");
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = TextWriter::default();
    digits.push(whole.as_bytes());
    digits.push(fraction.as_bytes());
    (digits.finish(), exponent - fraction.len() as i32)
}

/// The same of a value with up to three decimals, as most scores and amounts are, in a fraction of the time.
///
/// Fifteen digits tell any two decimals apart, so a decimal of no more that reads back to the value is the only one.
fn few_decimals(value: f64) -> Option<(NumberText, i32)> {
    const DIGITS_APART: f64 = 1e15;
    [(10.0, -1), (100.0, -2), (1000.0, -3)].into_iter().find_map(|(scale, exponent)| {
        let scaled = value * scale;
        let is_decimal = scaled < DIGITS_APART && scaled.trunc() == scaled && scaled / scale == value;
        (is_decimal && scaled % 10.0 != 0.0).then(|| (integer_text(scaled as i64), exponent))
    })
}

/// Chooses between plain and scientific notation by the rules of the formatter Redis uses (fpconv).
fn lay_out(text: &mut TextWriter, digits: &[u8], last: i32) {
    let count = digits.len() as i32;
    let first = last + count - 1;
    if last >= 0 && first.abs() < count + 7 {
        text.push(digits);
        text.zeros(last as usize);
    } else if last < 0 && (-7 < last || first.abs() < 4) {
        let whole = count + last;
        if whole <= 0 {
            text.push(b"0.");
            text.zeros(whole.unsigned_abs() as usize);
            text.push(digits);
        } else {
            text.push(&digits[..whole as usize]);
            text.push(b".");
            text.push(&digits[whole as usize..]);
        }
    } else {
        text.push(&digits[..1]);
        if count > 1 {
            text.push(b".");
            text.push(&digits[1..]);
        }
        text.push(if first < 0 { b"e-" } else { b"e+" });
        text.push(&unsigned_text(u64::from(first.unsigned_abs())));
    }
}

fn literal_text(literal: &[u8]) -> NumberText {
    let mut text = TextWriter::default();
    text.push(literal);
    text.finish()
}

#[derive(Default)]
struct TextWriter {
    bytes: [u8; TEXT_LENGTH_MAX],
    length: usize,
}

impl fmt::Write for TextWriter {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.push(part.as_bytes());
        Ok(())
    }
}

impl TextWriter {
    fn push(&mut self, part: &[u8]) {
        self.bytes[self.length..self.length + part.len()].copy_from_slice(part);
        self.length += part.len();
    }

    fn zeros(&mut self, count: usize) {
        self.bytes[self.length..self.length + count].fill(b'0');
        self.length += count;
    }

    fn finish(self) -> NumberText {
        NumberText { bytes: self.bytes, start: 0, end: self.length as u8 }
    }
}

#[cfg(test)]
mod tests {
    use super::{double_text, few_decimals, integer_text, parse_integer, printed_digits};

    #[test]
    fn integers_have_one_spelling() {
        for (text, value) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("-7", Some(-7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("+1", None),
            ("01", None),
            (" 1", None),
            ("1 ", None),
            ("1.0", None),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn integers_read_back() {
        let lengths =
            (0..19).map(|digits| 10_i64.pow(digits)).flat_map(|least| [least - 1, least, least + 7, -least]);
        for value in lengths.chain((0..=1000).chain([12_345, i64::MAX, i64::MIN])) {
            assert_eq!(&*integer_text(value), value.to_string().as_bytes());
            assert_eq!(parse_integer(&integer_text(value)), Some(value));
        }
    }

    #[test]
    fn few_decimals_have_the_digits_that_any_value_has() {
        let mut quick = 0;
        for number in 1..100_000_u64 {
            let whole = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (number % 50 + 10);
            for scale in [10.0, 100.0, 1000.0, 7.0, 1e4] {
                let value = whole as f64 / scale;
                let value = if number % 3 == 0 { value.next_up() } else { value };
                if let Some((digits, exponent)) = few_decimals(value) {
                    let (all, last) = printed_digits(value);
                    assert_eq!((&*digits, exponent), (&*all, last), "{value}");
                    quick += 1;
                }
            }
        }
        assert!(quick > 50_000, "{quick}");
    }

    #[test]
    fn doubles_look_as_in_redis() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (3.1, "3.1"),
            (-0.5, "-0.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (8.4e17, "840000000000000000"),
            (314_865_936_940_678_144.0, "314865936940678144"),
            (9e18, "9e+18"),
            (1e20, "1e+20"),
            (1.5e300, "1.5e+300"),
            (1e-7, "1e-7"),
            (0.0001, "0.0001"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(String::from_utf8_lossy(&double_text(value)), text);
        }
    }
}
