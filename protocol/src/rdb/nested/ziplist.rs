//! A ziplist, which Redis wrote before it had listpacks: four bytes with its length, four with the place of its last
//! item, two with the number of items, the items, and an end.
//!
//! An item is the length of the one before it, its encoding and its bytes.

use super::{Count, Item, signed, split};
use crate::rdb::Fault;

/// Bytes before the first item.
const HEAD_LENGTH: usize = 10;

/// What stands in the place of a further item.
const END: u8 = 0xff;

/// A length of an item before that is in the four bytes behind this one.
const LONG_BEFORE: u8 = 0xfe;

/// First bytes of the encodings.
const LONG_STRING: u8 = 0x80;
const INTEGER_16: u8 = 0xc0;
const INTEGER_32: u8 = 0xd0;
const INTEGER_64: u8 = 0xe0;
const INTEGER_24: u8 = 0xf0;
const INTEGER_8: u8 = 0xfe;
/// And those of the integers from 0 to 12, which have no bytes.
const SMALLEST: u8 = 0xf1;
const LARGEST: u8 = 0xfd;

/// The items of a ziplist.
#[derive(Clone, Debug)]
pub(in crate::rdb) struct Ziplist<'b> {
    /// The items that are left, without the end.
    rest: &'b [u8],
    /// The place of the next item, and the length of the one before it.
    place: usize,
    before: usize,
    /// The place that the last item should have.
    last_place: usize,
    count: Count,
}

impl<'b> Ziplist<'b> {
    pub(in crate::rdb) fn new(bytes: &'b [u8]) -> Result<Ziplist<'b>, Fault> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_LENGTH>().ok_or(Fault::Format)?;
        let [l0, l1, l2, l3, t0, t1, t2, t3, count @ ..] = *head;
        let (&END, rest) = rest.split_last().ok_or(Fault::Format)? else { return Err(Fault::Format) };
        if bytes.len() as u64 != u64::from(u32::from_le_bytes([l0, l1, l2, l3])) {
            return Err(Fault::Format);
        }
        let last_place = usize::try_from(u32::from_le_bytes([t0, t1, t2, t3])).map_err(|_| Fault::Format)?;
        let count = Count::of(u16::from_le_bytes(count));
        Ok(Ziplist { rest, place: HEAD_LENGTH, before: 0, last_place, count })
    }

    fn item(&mut self) -> Result<Item<'b>, Fault> {
        let (before, head) = decode_before(self.rest)?;
        if before != self.before {
            return Err(Fault::Format);
        }
        let (item, length) = decode(&self.rest[head..])?;
        let length = head + length;
        let (_, rest) = split(self.rest, length)?;
        self.rest = rest;
        self.place += length;
        self.before = length;
        self.count.seen += 1;
        Ok(item)
    }

    fn ends_right(&self) -> bool {
        self.count.is_right() && self.place - self.before == self.last_place
    }
}

impl<'b> Iterator for Ziplist<'b> {
    type Item = Result<Item<'b>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return if self.ends_right() { None } else { Some(Err(Fault::Format)) };
        }
        Some(self.item())
    }
}

/// The length of the item before the first one, and how many bytes say so.
fn decode_before(bytes: &[u8]) -> Result<(usize, usize), Fault> {
    match bytes {
        [LONG_BEFORE, rest @ ..] => {
            let (length, _) = rest.split_first_chunk().ok_or(Fault::Format)?;
            Ok((usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Fault::Format)?, 5))
        }
        [END, ..] | [] => Err(Fault::Format),
        [length, ..] => Ok((usize::from(*length), 1)),
    }
}

/// The item whose encoding comes first, and how many bytes it has with it.
fn decode(bytes: &[u8]) -> Result<(Item<'_>, usize), Fault> {
    let (&first, rest) = bytes.split_first().ok_or(Fault::Format)?;
    let string = |head: usize, length: usize| {
        let (string, _) = split(&bytes[head..], length)?;
        Ok((Item::Bytes(string), head + length))
    };
    let integer = |width: usize| {
        let (integer, _) = split(rest, width)?;
        Ok((Item::Integer(signed(integer)), 1 + width))
    };
    match first {
        0x00..=0x3f => string(1, usize::from(first)),
        0x40..=0x7f => {
            let second = *rest.first().ok_or(Fault::Format)?;
            string(2, usize::from(u16::from_be_bytes([first & 0x3f, second])))
        }
        LONG_STRING => {
            let (length, _) = rest.split_first_chunk().ok_or(Fault::Format)?;
            string(5, usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Fault::Format)?)
        }
        INTEGER_16 => integer(2),
        INTEGER_24 => integer(3),
        INTEGER_32 => integer(4),
        INTEGER_64 => integer(8),
        INTEGER_8 => integer(1),
        SMALLEST..=LARGEST => Ok((Item::Integer(i64::from(first - SMALLEST)), 1)),
        _ => Err(Fault::Format),
    }
}
