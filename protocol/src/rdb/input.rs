//! Reads lengths and strings from the rest of a payload.

use std::borrow::Cow;

use super::{Fault, lzf};
use crate::resp::number::integer_text;

/// The first two bits of a length's first byte, and two whole ones.
const SHORT: u8 = 0b00;
const MEDIUM: u8 = 0b01;
const ENCODED: u8 = 0b11;
const LONG: u8 = 0x80;
const LONGEST: u8 = 0x81;

/// The encodings of a string that is not written as it is.
const INTEGER_8: u8 = 0;
const INTEGER_16: u8 = 1;
const INTEGER_32: u8 = 2;
const COMPRESSED: u8 = 3;

/// The bytes that are still to be read, and the most bytes that a string may have.
#[derive(Clone, Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    length_max: usize,
}

/// What stands where a length may stand.
enum Length {
    Of(u64),
    /// The encoding of the string that follows.
    Encoded(u8),
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8], length_max: usize) -> Input<'a> {
        Input { bytes, length_max }
    }

    /// Sets the most bytes that the strings from here on may have.
    pub(super) fn limit(&mut self, length_max: usize) {
        self.length_max = length_max;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Fault> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or(Fault::Format)?;
        self.bytes = rest;
        Ok(*array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn slice(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        let length = usize::try_from(length).map_err(|_| Fault::Format)?;
        let (slice, rest) = self.bytes.split_at_checked(length).ok_or(Fault::Format)?;
        self.bytes = rest;
        Ok(slice)
    }

    /// A length or another number.
    pub(super) fn length(&mut self) -> Result<u64, Fault> {
        match self.length_or_encoding()? {
            Length::Of(length) => Ok(length),
            Length::Encoded(_) => Err(Fault::Format),
        }
    }

    /// How many items follow, of which none has less than one byte, and there is none without items.
    pub(super) fn count(&mut self) -> Result<u64, Fault> {
        let count = self.length()?;
        if count == 0 || count > self.bytes.len() as u64 { Err(Fault::Format) } else { Ok(count) }
    }

    fn length_or_encoding(&mut self) -> Result<Length, Fault> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match first >> 6 {
            SHORT => Length::Of(u64::from(low)),
            MEDIUM => Length::Of(u64::from(u16::from_be_bytes([low, self.byte()?]))),
            ENCODED => Length::Encoded(low),
            _ => match first {
                LONG => Length::Of(u64::from(u32::from_be_bytes(self.array()?))),
                LONGEST => Length::Of(u64::from_be_bytes(self.array()?)),
                _ => return Err(Fault::Format),
            },
        })
    }

    /// A string, whatever its encoding.
    pub(super) fn string(&mut self) -> Result<Cow<'a, [u8]>, Fault> {
        let integer = match self.length_or_encoding()? {
            Length::Of(length) => {
                let string = self.slice(length)?;
                self.require_length(string.len())?;
                return Ok(Cow::Borrowed(string));
            }
            Length::Encoded(COMPRESSED) => return self.compressed().map(Cow::Owned),
            Length::Encoded(INTEGER_8) => i64::from(i8::from_le_bytes(self.array()?)),
            Length::Encoded(INTEGER_16) => i64::from(i16::from_le_bytes(self.array()?)),
            Length::Encoded(INTEGER_32) => i64::from(i32::from_le_bytes(self.array()?)),
            Length::Encoded(_) => return Err(Fault::Format),
        };
        Ok(Cow::Owned(integer_text(integer).to_vec()))
    }

    fn compressed(&mut self) -> Result<Vec<u8>, Fault> {
        let (compressed_length, length) = (self.length()?, self.length()?);
        let compressed = self.slice(compressed_length)?;
        let length = usize::try_from(length).map_err(|_| Fault::Format)?;
        self.require_length(length)?;
        lzf::decompress(compressed, length).ok_or(Fault::Format)
    }

    fn require_length(&self, length: usize) -> Result<(), Fault> {
        if length > self.length_max { Err(Fault::TooLong) } else { Ok(()) }
    }
}
