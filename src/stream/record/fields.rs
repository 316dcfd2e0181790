//! The parts that records are made of.

use crate::stream::numbers::{put_number, take_number};

/// Writes the parts of a record.
pub(super) struct Writer<'w>(pub(super) &'w mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        put_number(number, self.0);
        self
    }

    /// A signed number, folded so that small ones are short.
    pub(super) fn signed(&mut self, number: i64) -> &mut Self {
        self.number(((number << 1) ^ (number >> 63)) as u64)
    }

    /// An optional number: none is written as zero, a number as its successor.
    pub(super) fn option(&mut self, number: Option<u64>) -> &mut Self {
        match number {
            None => self.byte(0),
            Some(number) => self.byte(1).number(number),
        }
    }

    /// A time of a message or a part of a seed, which is hardly ever short.
    pub(super) fn eight(&mut self, bytes: [u8; 8]) -> &mut Self {
        self.raw(&bytes)
    }

    /// Bytes whose end the reader knows.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes with their length before them.
    pub(super) fn part(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64).raw(bytes)
    }
}

/// Reads the parts of a record; a part that is not whole is none.
pub(super) struct Fields<'r>(pub(super) &'r [u8]);

impl<'r> Fields<'r> {
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.0.split_off_first().copied()
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        take_number(&mut self.0)
    }

    /// A number that fits into 32 bits.
    pub(super) fn short(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let folded = self.number()?;
        Some((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    pub(super) fn option(&mut self) -> Option<Option<u64>> {
        Some(if self.flag()? { Some(self.number()?) } else { None })
    }

    pub(super) fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn eight(&mut self) -> Option<[u8; 8]> {
        self.array()
    }

    pub(super) fn seed(&mut self) -> Option<[u64; 2]> {
        Some([u64::from_le_bytes(self.eight()?), u64::from_le_bytes(self.eight()?)])
    }

    /// So many bytes.
    pub(super) fn raw(&mut self, length: u64) -> Option<&'r [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn part(&mut self) -> Option<&'r [u8]> {
        let length = self.number()?;
        self.raw(length)
    }

    pub(super) fn text(&mut self) -> Option<&'r str> {
        std::str::from_utf8(self.part()?).ok()
    }

    /// The rest of the record.
    pub(super) fn rest(&mut self) -> &'r [u8] {
        std::mem::take(&mut self.0)
    }

    /// Items up to the end, each of which takes `least` bytes or more, and `max` at most.
    pub(super) fn items<T>(
        &mut self,
        least: usize,
        max: usize,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        // No room is taken that the bytes cannot fill.
        let mut items = Vec::with_capacity((self.0.len() / least).min(max));
        while !self.is_at_end() {
            if items.len() == max {
                return None;
            }
            items.push(item(self)?);
        }
        Some(items)
    }
}
