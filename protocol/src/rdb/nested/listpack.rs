//! A listpack: four bytes with its length, two with the number of its items, the items, and an end.
//!
//! An item is its encoding and bytes, and then the number of both in seven bits to a byte, so that it can be read
//! from behind.

use super::{Count, Item, signed, split};
use crate::rdb::Fault;

/// Bytes before the first item.
const HEAD_LENGTH: usize = 6;

/// What stands in the place of a further item.
const END: u8 = 0xff;

/// First bytes that stand for an encoding by themselves.
const LONG_STRING: u8 = 0xf0;
const INTEGER_16: u8 = 0xf1;
const INTEGER_24: u8 = 0xf2;
const INTEGER_32: u8 = 0xf3;
const INTEGER_64: u8 = 0xf4;

/// The lengths of items from which on the length behind an item has a byte more.  Where they are what the bytes before can
/// just tell, Valkey still writes one less than Redis.
const BACKWARD_STEPS: [usize; 4] = [128, 16_383, 2_097_151, 268_435_455];

/// The items of a listpack.
#[derive(Clone, Debug)]
pub(in crate::rdb) struct Listpack<'b> {
    /// The items that are left, without the end.
    rest: &'b [u8],
    count: Count,
}

impl<'b> Listpack<'b> {
    pub(in crate::rdb) fn new(bytes: &'b [u8]) -> Result<Listpack<'b>, Fault> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_LENGTH>().ok_or(Fault::Format)?;
        let [l0, l1, l2, l3, count @ ..] = *head;
        let (&END, rest) = rest.split_last().ok_or(Fault::Format)? else { return Err(Fault::Format) };
        if bytes.len() as u64 != u64::from(u32::from_le_bytes([l0, l1, l2, l3])) {
            return Err(Fault::Format);
        }
        Ok(Listpack { rest, count: Count::of(u16::from_le_bytes(count)) })
    }

    fn item(&mut self) -> Result<Item<'b>, Fault> {
        let (item, length) = decode(self.rest)?;
        let (_, rest) = split(self.rest, length)?;
        let rest = behind_length(rest, length)?;
        self.rest = rest;
        self.count.seen += 1;
        Ok(item)
    }
}

impl<'b> Iterator for Listpack<'b> {
    type Item = Result<Item<'b>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return if self.count.is_right() { None } else { Some(Err(Fault::Format)) };
        }
        Some(self.item())
    }
}

/// The first item, and how many bytes it has with its encoding.
fn decode(bytes: &[u8]) -> Result<(Item<'_>, usize), Fault> {
    let (&first, rest) = bytes.split_first().ok_or(Fault::Format)?;
    let low = |mask: u8| usize::from(first & mask);
    let string = |head: usize, length: usize| {
        let (string, _) = split(&bytes[head..], length)?;
        Ok((Item::Bytes(string), head + length))
    };
    let integer = |width: usize| {
        let (integer, _) = split(rest, width)?;
        Ok((Item::Integer(signed(integer)), 1 + width))
    };
    let second = || rest.first().map(|&second| usize::from(second)).ok_or(Fault::Format);
    match first {
        0x00..=0x7f => Ok((Item::Integer(i64::from(first)), 1)),
        0x80..=0xbf => string(1, low(0x3f)),
        0xc0..=0xdf => {
            // Thirteen bits with a sign.
            let bits = (low(0x1f) << 8 | second()?) as i64;
            Ok((Item::Integer(bits << 51 >> 51), 2))
        }
        0xe0..=0xef => {
            let length = low(0x0f) << 8 | second()?;
            string(2, length)
        }
        LONG_STRING => {
            let (length, _) = rest.split_first_chunk().ok_or(Fault::Format)?;
            string(5, usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Fault::Format)?)
        }
        INTEGER_16 => integer(2),
        INTEGER_24 => integer(3),
        INTEGER_32 => integer(4),
        INTEGER_64 => integer(8),
        _ => Err(Fault::Format),
    }
}

/// The bytes after the length that follows an item.
fn behind_length(rest: &[u8], length: usize) -> Result<&[u8], Fault> {
    let long = BACKWARD_STEPS.iter().filter(|&&step| length >= step).count() + 1;
    let short = long - usize::from(length > 128 && BACKWARD_STEPS.contains(&length));
    [long, short]
        .into_iter()
        .find_map(|count| {
            let (written, rest) = rest.split_at_checked(count)?;
            is_backward(written, length).then_some(rest)
        })
        .ok_or(Fault::Format)
}

/// Whether these bytes are `length` as it stands behind an item: the highest bits first, and each byte but the first
/// marked, so that they can be read from behind.
fn is_backward(written: &[u8], length: usize) -> bool {
    let mut rest = length;
    let same = written.iter().rev().enumerate().all(|(place, &byte)| {
        let mark = if place + 1 < written.len() { 0x80 } else { 0 };
        let expected = (rest & 0x7f) as u8 | mark;
        rest >>= 7;
        byte == expected
    });
    same && rest == 0
}
