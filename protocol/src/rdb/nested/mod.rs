//! The encodings that small values have within a string: they are read to the last byte, and none is trusted.
//!
//! Each is an iterator of items that ends with a fault if the bytes are not what they must be.

mod intset;
mod listpack;
mod ziplist;
mod zipmap;

use std::borrow::Cow;

use super::Fault;
use crate::resp::number::integer_text;

pub(super) use intset::Intset;
pub(super) use listpack::Listpack;
pub(super) use ziplist::Ziplist;
pub(super) use zipmap::Zipmap;

/// One string of an encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Item<'b> {
    Bytes(&'b [u8]),
    /// The decimal text of this is meant.
    Integer(i64),
}

impl<'b> Item<'b> {
    /// Its bytes.
    pub(super) fn text(self) -> Cow<'b, [u8]> {
        match self {
            Item::Bytes(bytes) => Cow::Borrowed(bytes),
            Item::Integer(integer) => Cow::Owned(integer_text(integer).to_vec()),
        }
    }
}

/// The integer of up to eight bytes with a sign, the lowest byte first.
fn signed(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[8 - bytes.len()..].copy_from_slice(bytes);
    i64::from_le_bytes(wide) >> (64 - 8 * bytes.len())
}

/// How many items the head of an encoding says there are, if it has room for the number.
#[derive(Clone, Copy, Debug)]
struct Count {
    announced: Option<usize>,
    seen: usize,
}

impl Count {
    fn of(announced: u16) -> Count {
        Count { announced: (announced != u16::MAX).then_some(usize::from(announced)), seen: 0 }
    }

    /// Whether as many items were seen as there should be.
    fn is_right(self) -> bool {
        self.announced.is_none_or(|announced| announced == self.seen)
    }
}

/// Splits `length` bytes from the start of `bytes`.
fn split(bytes: &[u8], length: usize) -> Result<(&[u8], &[u8]), Fault> {
    bytes.split_at_checked(length).ok_or(Fault::Format)
}
