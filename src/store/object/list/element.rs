//! One element of a list as it lies in a block: the format of Redis' listpacks, so that a block is what DUMP has to write,
//! and so that a list outgrows its small form where Redis says it does.
//!
//! An element is a head that says what follows, its bytes, and the number of bytes of both, by which it is found from behind:
//!
//! ```text
//! 0xxxxxxx                    a number from 0 to 127
//! 110xxxxx x                  a signed number of 13 bits
//! 11110001 .. 11110100        a signed number of 2, 3, 4 or 8 bytes, the lowest first
//! 10xxxxxx                    a string of up to 63 bytes
//! 1110xxxx x                  a string of up to 4,095 bytes
//! 11110000 xxxx               any other string
//! ```
//!
//! A string that is the text of a number is always kept as one, so equal strings are equal elements.

use std::ops::Range;

use quartet_protocol::resp::Output;
use quartet_protocol::resp::number::{integer_text, parse_integer};

use super::side::Side;

const STRING_6: u8 = 0x80;
const NUMBER_13: u8 = 0xc0;
const STRING_12: u8 = 0xe0;
const STRING_32: u8 = 0xf0;
const NUMBER_16: u8 = 0xf1;
const NUMBER_24: u8 = 0xf2;
const NUMBER_32: u8 = 0xf3;
const NUMBER_64: u8 = 0xf4;

/// The most bytes of a head with a number.
const HEAD_MAX: usize = 1 + size_of::<i64>();

/// The most bytes of the length behind an element.
const TAIL_MAX: usize = 5;

/// The lengths from which on the length behind an element has a byte more.
const TAIL_STEPS: [usize; TAIL_MAX - 1] = [128, 16_383, 2_097_151, 268_435_455];

/// What an element is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Element<'e> {
    /// These bytes.
    Bytes(&'e [u8]),
    /// The text of a number.
    Number(i64),
}

impl<'e> Element<'e> {
    /// The element that is made of these bytes.
    pub fn new(bytes: &'e [u8]) -> Element<'e> {
        parse_integer(bytes).map_or(Element::Bytes(bytes), Element::Number)
    }

    /// A copy of its bytes.
    pub fn to_vec(self) -> Vec<u8> {
        match self {
            Element::Bytes(bytes) => bytes.to_vec(),
            Element::Number(number) => integer_text(number).to_vec(),
        }
    }

    /// Writes it as a reply.
    #[inline]
    pub fn write(self, output: &mut Output) {
        match self {
            Element::Bytes(bytes) => output.bulk(bytes),
            Element::Number(number) => output.bulk_integer(number),
        }
    }
}

/// An element as it is written.
#[derive(Clone, Copy)]
pub(in crate::store) struct Encoded<'b> {
    head: [u8; HEAD_MAX],
    head_length: u8,
    /// The bytes of a string.
    bytes: &'b [u8],
    tail: [u8; TAIL_MAX],
    tail_length: u8,
}

impl<'b> Encoded<'b> {
    /// The most bytes that an element takes besides those it is made of.
    pub(in crate::store) const OVERHEAD_MAX: usize = HEAD_MAX + TAIL_MAX;

    /// The form of an element.
    pub(in crate::store) fn new(element: Element<'b>) -> Encoded<'b> {
        let (head, head_length, bytes) = match element {
            Element::Number(number) => number_head(number),
            Element::Bytes(bytes) => string_head(bytes),
        };
        let (tail, tail_length) = tail(head_length + bytes.len());
        Encoded { head, head_length: head_length as u8, bytes, tail, tail_length: tail_length as u8 }
    }

    /// Number of its bytes.
    pub(in crate::store) fn len(&self) -> usize {
        usize::from(self.head_length) + self.bytes.len() + usize::from(self.tail_length)
    }

    /// Number of bytes that it was made of, of a number those of its form.
    pub(in crate::store) fn string_length(&self) -> usize {
        if self.bytes.is_empty() { usize::from(self.head_length) } else { self.bytes.len() }
    }

    /// Its bytes in pieces.
    pub(in crate::store) fn pieces(&self) -> [&[u8]; 3] {
        [&self.head[..usize::from(self.head_length)], self.bytes, &self.tail[..usize::from(self.tail_length)]]
    }

    /// Writes it to memory of its length.
    pub(in crate::store) fn write_to(&self, memory: &mut [u8]) {
        let mut at = 0;
        for piece in self.pieces() {
            memory[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
    }

    /// Whether the element that lies in these bytes is this one.
    pub(in crate::store) fn lies_in(&self, bytes: &[u8]) -> bool {
        let [head, string, _] = self.pieces();
        bytes.len() == self.len() && bytes.starts_with(head) && bytes[head.len()..].starts_with(string)
    }
}

fn number_head<'b>(number: i64) -> ([u8; HEAD_MAX], usize, &'b [u8]) {
    let mut head = [0; HEAD_MAX];
    let length = match number {
        0..=127 => {
            head[0] = number as u8;
            1
        }
        -4096..=4095 => {
            head[0] = NUMBER_13 | (number >> 8) as u8 & 0x1f;
            head[1] = number as u8;
            2
        }
        _ => {
            let (mark, length) = match number {
                -0x8000..=0x7fff => (NUMBER_16, 2),
                -0x80_0000..=0x7f_ffff => (NUMBER_24, 3),
                -0x8000_0000..=0x7fff_ffff => (NUMBER_32, 4),
                _ => (NUMBER_64, 8),
            };
            head[0] = mark;
            head[1..=length].copy_from_slice(&number.to_le_bytes()[..length]);
            1 + length
        }
    };
    (head, length, &[])
}

fn string_head(bytes: &[u8]) -> ([u8; HEAD_MAX], usize, &[u8]) {
    let mut head = [0; HEAD_MAX];
    let length = match bytes.len() {
        length @ ..64 => {
            head[0] = STRING_6 | length as u8;
            1
        }
        length @ ..4096 => {
            head[0] = STRING_12 | (length >> 8) as u8;
            head[1] = length as u8;
            2
        }
        length => {
            let length = u32::try_from(length).expect("elements are bounded by the bulk length limit");
            head[0] = STRING_32;
            head[1..5].copy_from_slice(&length.to_le_bytes());
            5
        }
    };
    (head, length, bytes)
}

/// The length behind an element: seven bits to a byte with the highest first, each but the first marked by the eighth.
fn tail(length: usize) -> ([u8; TAIL_MAX], usize) {
    let count = tail_length(length);
    let mut tail = [0; TAIL_MAX];
    for (place, byte) in tail[..count].iter_mut().enumerate() {
        let mark = if place == 0 { 0 } else { 0x80 };
        *byte = (length >> (7 * (count - 1 - place))) as u8 & 0x7f | mark;
    }
    (tail, count)
}

fn tail_length(length: usize) -> usize {
    1 + TAIL_STEPS.iter().take_while(|&&step| length >= step).count()
}

/// The element at the start of `bytes`, and how many of them it takes.
#[inline]
pub(in crate::store) fn first(bytes: &[u8]) -> (Element<'_>, usize) {
    let (element, length) = decoded(bytes);
    (element, length + tail_length(length))
}

/// The element at the end of `bytes`, and how many of them it takes.
#[inline]
pub(in crate::store) fn last(bytes: &[u8]) -> (Element<'_>, usize) {
    let size = last_size(bytes);
    (decoded(&bytes[bytes.len() - size..]).0, size)
}

/// The element at one end of `elements`, and where it lies among them; none if there are none.
#[inline]
pub(in crate::store) fn end(elements: &[u8], side: Side) -> Option<(Element<'_>, Range<usize>)> {
    if elements.is_empty() {
        return None;
    }
    Some(match side {
        Side::Left => {
            let (element, size) = first(elements);
            (element, 0..size)
        }
        Side::Right => {
            let (element, size) = last(elements);
            (element, elements.len() - size..elements.len())
        }
    })
}

/// How many bytes the element at the start of `bytes` takes.
#[inline]
pub(in crate::store) fn first_size(bytes: &[u8]) -> usize {
    let length = match bytes[0] {
        ..STRING_6 => 1,
        head @ STRING_6..NUMBER_13 => 1 + usize::from(head & 0x3f),
        NUMBER_13..STRING_12 => 2,
        _ => decoded(bytes).1,
    };
    length + tail_length(length)
}

/// How many bytes the element at the end of `bytes` takes.
#[inline]
pub(in crate::store) fn last_size(bytes: &[u8]) -> usize {
    let (mut length, mut count) = (0, 0);
    for &byte in bytes.iter().rev() {
        length |= usize::from(byte & 0x7f) << (7 * count);
        count += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    length + count
}

/// Where the element at `index` of so many begins among the bytes of all; their end for the number of elements.
pub(in crate::store) fn place(elements: &[u8], count: usize, index: usize) -> usize {
    if index <= count / 2 {
        let mut at = 0;
        for _ in 0..index {
            at += first_size(&elements[at..]);
        }
        return at;
    }
    let mut end = elements.len();
    for _ in index..count {
        end -= last_size(&elements[..end]);
    }
    end
}

/// Where equal elements lie, up to `limit` of them, in the order in which they are met from one end.
pub(in crate::store) fn find_equal(
    elements: &[u8],
    wanted: &Encoded<'_>,
    side: Side,
    limit: usize,
) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut start, mut end) = (0, elements.len());
    while start < end && found.len() < limit {
        let range = match side {
            Side::Left => start..start + first_size(&elements[start..]),
            Side::Right => end - last_size(&elements[..end])..end,
        };
        match side {
            Side::Left => start = range.end,
            Side::Right => end = range.start,
        }
        if wanted.lies_in(&elements[range.clone()]) {
            found.push(range);
        }
    }
    found
}

/// The element at the start of `bytes`, and how many of them it takes without the length behind it.
#[inline]
fn decoded(bytes: &[u8]) -> (Element<'_>, usize) {
    let string = |head: usize, length: usize| (Element::Bytes(&bytes[head..head + length]), head + length);
    let number = |length: usize| (Element::Number(signed(&bytes[1..=length])), 1 + length);
    match bytes[0] {
        head @ ..STRING_6 => (Element::Number(head.into()), 1),
        head @ STRING_6..NUMBER_13 => string(1, usize::from(head & 0x3f)),
        head @ NUMBER_13..STRING_12 => {
            let bits = i16::from(head & 0x1f) << 8 | i16::from(bytes[1]);
            // The highest of thirteen bits is the sign.
            (Element::Number((bits << 3 >> 3).into()), 2)
        }
        head @ STRING_12..STRING_32 => string(2, usize::from(head & 0xf) << 8 | usize::from(bytes[1])),
        STRING_32 => {
            let length = bytes[1..].first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
            string(5, length as usize)
        }
        NUMBER_16 => number(2),
        NUMBER_24 => number(3),
        NUMBER_32 => number(4),
        _ => number(8),
    }
}

/// The signed number of up to eight bytes.
fn signed(bytes: &[u8]) -> i64 {
    let is_negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let mut word = if is_negative { [0xff; size_of::<i64>()] } else { [0; size_of::<i64>()] };
    word[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let number = (any::<i64>(), 0_u32..64).prop_map(|(number, shift)| number >> shift);
        prop_oneof![
            4 => number.prop_map(|number| number.to_string().into_bytes()),
            4 => proptest::collection::vec(any::<u8>(), 0..300),
            1 => (4_000_usize..20_000).prop_map(|length| vec![b'1'; length]),
        ]
    }

    proptest! {
        #[test]
        fn elements_are_read_from_either_end(strings in proptest::collection::vec(bytes(), 1..20)) {
            let mut packed = Vec::new();
            for string in &strings {
                let encoded = Encoded::new(Element::new(string));
                packed.extend(encoded.pieces().concat());
                prop_assert!(encoded.lies_in(&packed[packed.len() - encoded.len()..]));
            }
            let mut rest = packed.as_slice();
            for string in &strings {
                let (element, size) = first(rest);
                prop_assert_eq!((&element.to_vec(), size), (string, first_size(rest)));
                rest = &rest[size..];
            }
            prop_assert!(rest.is_empty());
            let mut rest = packed.as_slice();
            for string in strings.iter().rev() {
                let (element, size) = last(rest);
                prop_assert_eq!((&element.to_vec(), size), (string, last_size(rest)));
                rest = &rest[..rest.len() - size];
            }
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn elements_take_as_many_bytes_as_in_redis() {
        let size = |text: &str| Encoded::new(Element::new(text.as_bytes())).len();
        let sizes = [
            ("0", 2),
            ("127", 2),
            ("128", 3),
            ("-1", 3),
            ("-4096", 3),
            ("4095", 3),
            ("4096", 4),
            ("-32768", 4),
            ("32768", 5),
            ("8388608", 6),
            ("2147483648", 10),
            ("-9223372036854775808", 10),
            ("", 2),
            ("a", 3),
            ("007", 5),
            ("-0", 4),
            ("9223372036854775808", 21),
        ];
        for (text, expected) in sizes {
            assert_eq!(size(text), expected, "{text}");
        }
        let lengths =
            [(63, 65), (64, 67), (125, 128), (126, 130), (4095, 4099), (4096, 4103), (16_378, 16_386)];
        for (length, expected) in lengths {
            assert_eq!(size(&"x".repeat(length)), expected, "{length}");
        }
    }
}
