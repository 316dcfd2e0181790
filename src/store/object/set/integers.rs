//! The smallest form of a set: integers in their order, all of one width, so that one is found by halving.
//!
//! The items of the packed value are a byte with the width (two, four or eight bytes) and the integers, the lowest byte first.

use crate::store::object::packed::Packed;

/// See the head of the file.
#[derive(Clone, Copy)]
pub(in crate::store) struct Integers<'s> {
    width: usize,
    bytes: &'s [u8],
}

impl<'s> Integers<'s> {
    /// The integers in a packed value.
    pub(in crate::store) fn new(packed: Packed<'s>) -> Integers<'s> {
        match packed.bytes() {
            [] => Integers { width: width_of(0), bytes: &[] },
            [width, bytes @ ..] => Integers { width: usize::from(*width), bytes },
        }
    }

    /// Number of integers.
    pub(in crate::store) fn len(self) -> usize {
        self.bytes.len() / self.width
    }

    /// The integer at a place.
    pub(in crate::store) fn at(self, place: usize) -> i64 {
        let bytes = &self.bytes[place * self.width..][..self.width];
        let is_negative = bytes[self.width - 1] >= 0x80;
        let mut word = if is_negative { [0xff; size_of::<i64>()] } else { [0; size_of::<i64>()] };
        word[..self.width].copy_from_slice(bytes);
        i64::from_le_bytes(word)
    }

    /// The integers in their order.
    pub(in crate::store) fn iter(self) -> impl Iterator<Item = i64> {
        (0..self.len()).map(move |place| self.at(place))
    }

    /// The place of an integer, or that before which it belongs.
    pub(in crate::store) fn find(self, integer: i64) -> Result<usize, usize> {
        let (mut start, mut end) = (0, self.len());
        while start < end {
            let middle = start.midpoint(end);
            match self.at(middle).cmp(&integer) {
                std::cmp::Ordering::Less => start = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => end = middle,
            }
        }
        Err(start)
    }

    /// Where the integers from one place to another lie among the items.
    pub(in crate::store) fn range(self, start: usize, end: usize) -> std::ops::Range<usize> {
        1 + start * self.width..1 + end * self.width
    }

    /// The bytes of an integer that is no wider than these; none if it is, or if there are none yet.
    pub(in crate::store) fn encoded(self, integer: i64) -> Option<([u8; size_of::<i64>()], usize)> {
        let fits = width_of(integer) <= self.width && !self.bytes.is_empty();
        fits.then(|| (integer.to_le_bytes(), self.width))
    }

    /// The items of these integers and a wider one, put before the one at a place.
    pub(in crate::store) fn widened(self, place: usize, integer: i64) -> Vec<u8> {
        let width = width_of(integer).max(self.width);
        let mut items = Vec::with_capacity(1 + (self.len() + 1) * width);
        items.push(width as u8);
        let before = self.iter().take(place);
        for integer in before.chain([integer]).chain(self.iter().skip(place)) {
            items.extend_from_slice(&integer.to_le_bytes()[..width]);
        }
        items
    }
}

/// Bytes that an integer takes: two, four or eight.
fn width_of(integer: i64) -> usize {
    if i16::try_from(integer).is_ok() {
        size_of::<i16>()
    } else if i32::try_from(integer).is_ok() {
        size_of::<i32>()
    } else {
        size_of::<i64>()
    }
}
