//! A zipmap, in which Redis wrote small hashes before version 2.6: a byte with the number of its fields, the fields
//! with their values, and an end.
//!
//! A field is its length and bytes; a value is its length, a byte with the number of unused bytes behind it, and its bytes.

use super::{Item, split};
use crate::rdb::Fault;

/// What stands in the place of a further field.
const END: u8 = 0xff;

/// A length that is in the four bytes behind this one.
const LONG: u8 = 0xfe;

/// A number of fields that says nothing.
const MANY: u8 = 0xfe;

/// The fields of a zipmap, each followed by its value.
#[derive(Clone, Debug)]
pub(in crate::rdb) struct Zipmap<'b> {
    announced: u8,
    seen: usize,
    /// The items that are left, without the end.
    rest: &'b [u8],
}

impl<'b> Zipmap<'b> {
    pub(in crate::rdb) fn new(bytes: &'b [u8]) -> Result<Zipmap<'b>, Fault> {
        match bytes {
            [announced, rest @ .., END] => Ok(Zipmap { announced: *announced, seen: 0, rest }),
            _ => Err(Fault::Format),
        }
    }

    fn item(&mut self) -> Result<Item<'b>, Fault> {
        let (length, head) = decode_length(self.rest)?;
        let (_, rest) = split(self.rest, head)?;
        let is_value = !self.seen.is_multiple_of(2);
        let (unused, rest) = split(rest, usize::from(is_value))?;
        let (item, rest) = split(rest, length)?;
        (_, self.rest) = split(rest, unused.first().map_or(0, |&unused| usize::from(unused)))?;
        self.seen += 1;
        Ok(Item::Bytes(item))
    }

    fn ends_right(&self) -> bool {
        self.announced >= MANY || self.seen == 2 * usize::from(self.announced)
    }
}

impl<'b> Iterator for Zipmap<'b> {
    type Item = Result<Item<'b>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return if self.ends_right() { None } else { Some(Err(Fault::Format)) };
        }
        Some(self.item())
    }
}

/// The length that comes first, and how many bytes say so.
fn decode_length(bytes: &[u8]) -> Result<(usize, usize), Fault> {
    match bytes {
        [LONG, rest @ ..] => {
            let (length, _) = rest.split_first_chunk().ok_or(Fault::Format)?;
            Ok((usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Fault::Format)?, 5))
        }
        [END, ..] | [] => Err(Fault::Format),
        [length, ..] => Ok((usize::from(*length), 1)),
    }
}
