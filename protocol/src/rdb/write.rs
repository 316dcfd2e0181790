//! Writing payloads.

use super::footer::{self, EXPIRING_VERSION, VERSION};
use super::types::{EXPIRING_HASH, Kind};
use crate::resp::number::parse_integer;

/// The longest text of a number that is written as one: that of 32 bits with a sign.
const INTEGER_LENGTH_MAX: usize = 11;

/// The most bytes of a length.
const LENGTH_LENGTH_MAX: usize = 9;

/// First bytes of lengths, and of strings that are integers.
const MEDIUM: u16 = 0x4000;
const LONG: u8 = 0x80;
const LONGEST: u8 = 0x81;
const INTEGER_8: u8 = 0xc0;
const INTEGER_16: u8 = 0xc1;
const INTEGER_32: u8 = 0xc2;

/// A payload that is being written, in the form that every version of Redis since 4.0 reads.  Nothing is compressed.
///
/// The one who writes sees to it that as many strings and scores are written as were announced: one string for each
/// element or member, one and a score for each member of a sorted set, two for each field.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    version: u16,
    /// When the first field of a hash expires, if any does.
    earliest: u64,
}

impl Writer {
    /// The payload of a string.
    pub fn string(string: &[u8]) -> Vec<u8> {
        let mut writer = Writer::with_capacity(1 + LENGTH_LENGTH_MAX + string.len() + 10);
        writer.bytes.push(Kind::String.code());
        writer.text(string);
        writer.finish()
    }

    /// The start of a payload of `count` elements, members or fields; `size` bytes are expected in all.
    pub fn new(kind: Kind, count: usize, size: usize) -> Writer {
        debug_assert!(kind != Kind::String && count > 0);
        let mut writer = Writer::with_capacity(size);
        writer.bytes.push(kind.code());
        writer.length(count);
        writer
    }

    /// The start of a payload of anything else.
    pub(super) fn empty() -> Writer {
        Writer::with_capacity(0)
    }

    /// A text that its type stands before.
    pub(super) fn typed_text(&mut self, code: u8, text: &[u8]) {
        self.bytes.push(code);
        self.text(text);
    }

    /// The start of a payload of a hash of `count` fields some of which expire, the first of them at `earliest`, in milliseconds
    /// since 1970.  Before each field comes [`Writer::expires`].
    pub fn expiring_hash(count: usize, size: usize, earliest: u64) -> Writer {
        let mut writer = Writer { version: EXPIRING_VERSION, earliest, ..Writer::with_capacity(size) };
        writer.bytes.push(EXPIRING_HASH);
        writer.bytes.extend_from_slice(&earliest.to_le_bytes());
        writer.length(count);
        writer
    }

    /// When the field that is written next expires, which is not before the earliest.
    pub fn expires(&mut self, expires: Option<u64>) {
        self.length(expires.map_or(0, |expires| (expires - self.earliest + 1) as usize));
    }

    fn with_capacity(size: usize) -> Writer {
        Writer { bytes: Vec::with_capacity(size), version: VERSION, earliest: 0 }
    }

    /// An element, a member, a field or a value.
    pub fn text(&mut self, text: &[u8]) {
        if !self.integer(text) {
            self.length(text.len());
            self.bytes.extend_from_slice(text);
        }
    }

    /// The score of the member that was written before.
    pub fn score(&mut self, score: f64) {
        self.bytes.extend_from_slice(&score.to_le_bytes());
    }

    /// The whole payload.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        footer::close(&mut bytes, self.version);
        bytes
    }

    fn length(&mut self, length: usize) {
        match length {
            0..=0x3f => self.bytes.push(length as u8),
            0x40..=0x3fff => self.bytes.extend_from_slice(&(MEDIUM | length as u16).to_be_bytes()),
            _ => match u32::try_from(length) {
                Ok(length) => self.tagged(LONG, &length.to_be_bytes()),
                Err(_) => self.tagged(LONGEST, &(length as u64).to_be_bytes()),
            },
        }
    }

    /// Writes a text as the integer that it spells, if it does and the integer is short.
    fn integer(&mut self, text: &[u8]) -> bool {
        let integer = if text.len() > INTEGER_LENGTH_MAX { None } else { parse_integer(text) };
        let Some(integer) = integer.and_then(|integer| i32::try_from(integer).ok()) else { return false };
        if let Ok(integer) = i8::try_from(integer) {
            self.tagged(INTEGER_8, &integer.to_le_bytes());
        } else if let Ok(integer) = i16::try_from(integer) {
            self.tagged(INTEGER_16, &integer.to_le_bytes());
        } else {
            self.tagged(INTEGER_32, &integer.to_le_bytes());
        }
        true
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(bytes);
    }
}
