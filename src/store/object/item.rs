//! One item of a packed value: a short byte string, or a number in a few bytes.
//!
//! The first byte tells what follows:
//!
//! ```text
//! 0x00..=0x7f  a string of so many bytes
//! 0x80..=0xbf  a number from 0 to 63
//! 0xc0         a string, its length in two bytes before it
//! 0xc1..=0xc8  an integer of one to eight bytes, the lowest first
//! 0xc9         a floating-point number of eight bytes
//! ```
//!
//! A string that is the text of an integer is always kept as a number, so equal strings are equal items, and an item is
//! looked for by comparing bytes.

use std::ops::{Deref, Range};

use quartet_protocol::resp::number::{NumberText, double_text, integer_text, parse_integer};

const SHORT_MAX: usize = 0x7f;
const NUMBER: u8 = 0x80;
const NUMBER_MAX: i64 = 0x3f;
const LONG: u8 = 0xc0;
const INTEGER_MAX: u8 = LONG + size_of::<i64>() as u8;
const DOUBLE: u8 = INTEGER_MAX + 1;

/// Up to this size floating-point numbers without a fraction are kept as integers.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The most bytes of an item besides those of a string.
const HEAD_MAX: usize = 1 + size_of::<i64>();

/// The bytes of a part of a value: they lie there, or are the text of a number.
#[derive(Clone, Copy)]
pub enum Part<'p> {
    /// Bytes of the value.
    Bytes(&'p [u8]),
    /// A number's text.
    Number(NumberText),
}

impl Deref for Part<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Part::Bytes(bytes) => bytes,
            Part::Number(text) => text,
        }
    }
}

/// An item as it is written.
#[derive(Clone, Copy)]
pub(in crate::store) struct Encoded<'b> {
    head: [u8; HEAD_MAX],
    head_length: usize,
    /// The bytes of a string.
    bytes: &'b [u8],
}

impl<'b> Encoded<'b> {
    /// The most bytes of an item besides those of a string.
    pub(in crate::store) const HEAD_MAX: usize = HEAD_MAX;

    /// The item of these bytes, at most 65,535.
    pub(in crate::store) fn new(bytes: &'b [u8]) -> Encoded<'b> {
        if let Some(number) = parse_integer(bytes) {
            return Encoded::number(number);
        }
        let mut head = [0; HEAD_MAX];
        if bytes.len() <= SHORT_MAX {
            head[0] = bytes.len() as u8;
            return Encoded { head, head_length: 1, bytes };
        }
        let length = u16::try_from(bytes.len()).expect("a packed value has fewer bytes than this item");
        head[0] = LONG;
        head[1..3].copy_from_slice(&length.to_le_bytes());
        Encoded { head, head_length: 3, bytes }
    }

    /// The item of a number's text.
    pub(in crate::store) fn number(number: i64) -> Encoded<'b> {
        let mut head = [0; HEAD_MAX];
        if (0..=NUMBER_MAX).contains(&number) {
            head[0] = NUMBER + number as u8;
            return Encoded { head, head_length: 1, bytes: &[] };
        }
        let sign_bits = if number < 0 { number.leading_ones() } else { number.leading_zeros() };
        let length = (u64::BITS - sign_bits) as usize / 8 + 1;
        head[0] = LONG + length as u8;
        head[1..=length].copy_from_slice(&number.to_le_bytes()[..length]);
        Encoded { head, head_length: 1 + length, bytes: &[] }
    }

    /// The item of a floating-point number, which is no item of bytes even if it is kept as an integer.
    pub(in crate::store) fn double(number: f64) -> Encoded<'b> {
        if number.abs() <= WHOLE_MAX && number.trunc() == number {
            return Encoded::number(number as i64);
        }
        let mut head = [DOUBLE; HEAD_MAX];
        head[1..].copy_from_slice(&number.to_le_bytes());
        Encoded { head, head_length: HEAD_MAX, bytes: &[] }
    }

    /// Its bytes in two pieces.
    pub(in crate::store) fn pieces(&self) -> [&[u8]; 2] {
        [&self.head[..self.head_length], self.bytes]
    }

    /// Number of its bytes.
    pub(in crate::store) fn len(&self) -> usize {
        self.head_length + self.bytes.len()
    }
}

/// An item as it lies in a packed value.
#[derive(Clone, Debug)]
pub(in crate::store) struct Item<'p> {
    /// Where it lies among the items.
    pub(in crate::store) range: Range<usize>,
    raw: &'p [u8],
}

impl<'p> Item<'p> {
    /// The bytes that were put there.
    pub(in crate::store) fn part(&self) -> Part<'p> {
        let (head, rest) = (self.raw[0], &self.raw[1..]);
        match head {
            ..NUMBER => Part::Bytes(rest),
            NUMBER..LONG => Part::Number(integer_text(i64::from(head - NUMBER))),
            LONG => Part::Bytes(&rest[2..]),
            DOUBLE => Part::Number(double_text(self.double())),
            _ => Part::Number(integer_text(integer(rest))),
        }
    }

    /// The floating-point number that was put there.
    pub(in crate::store) fn double(&self) -> f64 {
        let (head, rest) = (self.raw[0], &self.raw[1..]);
        match head {
            NUMBER..LONG => f64::from(head - NUMBER),
            DOUBLE => f64::from_le_bytes(*rest.first_chunk().expect("a double has eight bytes")),
            _ => integer(rest) as f64,
        }
    }

    /// Whether it is this item.
    pub(in crate::store) fn is(&self, other: &Encoded<'_>) -> bool {
        let [head, bytes] = other.pieces();
        self.raw.len() == other.len() && self.raw.starts_with(head) && self.raw.ends_with(bytes)
    }
}

/// The integer of one to eight bytes.
fn integer(bytes: &[u8]) -> i64 {
    let is_negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let mut word = if is_negative { [0xff; size_of::<i64>()] } else { [0; size_of::<i64>()] };
    word[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(word)
}

/// Items one behind the other, in their order.
#[derive(Clone, Debug)]
pub(in crate::store) struct Items<'p> {
    bytes: &'p [u8],
    at: usize,
}

impl<'p> Items<'p> {
    /// The items in these bytes.
    pub(in crate::store) fn new(bytes: &'p [u8]) -> Items<'p> {
        Items { bytes, at: 0 }
    }
}

impl<'p> Iterator for Items<'p> {
    type Item = Item<'p>;

    #[inline]
    fn next(&mut self) -> Option<Item<'p>> {
        let (start, head) = (self.at, *self.bytes.get(self.at)?);
        let length = match head {
            ..NUMBER => 1 + usize::from(head),
            NUMBER..LONG => 1,
            LONG => {
                let length = self.bytes[start + 1..].first_chunk().expect("a long string has a length");
                3 + usize::from(u16::from_le_bytes(*length))
            }
            DOUBLE => 1 + size_of::<f64>(),
            _ => {
                debug_assert!(head <= INTEGER_MAX);
                1 + usize::from(head - LONG)
            }
        };
        self.at += length;
        Some(Item { range: start..self.at, raw: &self.bytes[start..self.at] })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(encoded: &Encoded<'_>) -> Vec<u8> {
        encoded.pieces().concat()
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let number = (any::<i64>(), 0_u32..64).prop_map(|(number, shift)| number >> shift);
        prop_oneof![
            number.prop_map(|number| number.to_string().into_bytes()),
            (0_usize..300).prop_map(|length| vec![b'1'; length]),
            proptest::collection::vec(any::<u8>(), 0..4),
        ]
    }

    proptest! {
        #[test]
        fn items_are_a_list_of_strings(strings in proptest::collection::vec(bytes(), 0..20), other in bytes()) {
            let packed: Vec<u8> = strings.iter().flat_map(|bytes| raw(&Encoded::new(bytes))).collect();
            let mut end = 0;
            for (item, bytes) in Items::new(&packed).zip(&strings) {
                prop_assert_eq!(&*item.part(), bytes.as_slice());
                prop_assert!(item.is(&Encoded::new(bytes)));
                prop_assert_eq!(item.is(&Encoded::new(&other)), other == *bytes);
                prop_assert_eq!(item.range.start, end);
                end = item.range.end;
            }
            prop_assert_eq!(Items::new(&packed).count(), strings.len());
        }
    }

    #[test]
    fn numbers_take_few_bytes() {
        let sizes = [
            ("0", 1),
            ("63", 1),
            ("64", 2),
            ("127", 2),
            ("128", 3),
            ("-1", 2),
            ("-128", 2),
            ("-129", 3),
            ("32767", 3),
            ("8388607", 4),
            ("9223372036854775807", 9),
            ("-9223372036854775808", 9),
            ("007", 4),
            ("-0", 3),
            ("9223372036854775808", 20),
        ];
        for (text, size) in sizes {
            assert_eq!(Encoded::new(text.as_bytes()).len(), size, "{text}");
        }
        for (number, size) in [(0.0, 1), (-0.0, 1), (7e15, 8), (0.1, 9), (1e300, 9), (f64::NEG_INFINITY, 9)] {
            let encoded = Encoded::double(number);
            assert_eq!(encoded.len(), size, "{number}");
            let packed = raw(&encoded);
            assert_eq!(Items::new(&packed).map(|item| item.double()).collect::<Vec<_>>(), [number]);
        }
        assert_eq!(Encoded::new(&[7; 127]).len(), 128);
        assert_eq!(Encoded::new(&[7; 128]).len(), 131);
    }
}
