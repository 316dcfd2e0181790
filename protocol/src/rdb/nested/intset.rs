//! An intset: four bytes with the width of its integers, four with their number, and the integers in ascending order.

use super::{Item, signed};
use crate::rdb::Fault;

/// Bytes before the first integer.
const HEAD_LENGTH: usize = 8;

/// The integers of an intset.
#[derive(Clone, Debug)]
pub(in crate::rdb) struct Intset<'b> {
    integers: std::slice::ChunksExact<'b, u8>,
    last: Option<i64>,
}

impl<'b> Intset<'b> {
    pub(in crate::rdb) fn new(bytes: &'b [u8]) -> Result<Intset<'b>, Fault> {
        let (head, integers) = bytes.split_first_chunk::<HEAD_LENGTH>().ok_or(Fault::Format)?;
        let [w0, w1, w2, w3, count @ ..] = *head;
        let width @ (2 | 4 | 8) = u32::from_le_bytes([w0, w1, w2, w3]) else { return Err(Fault::Format) };
        let count = u64::from(u32::from_le_bytes(count));
        if integers.len() as u64 != u64::from(width) * count {
            return Err(Fault::Format);
        }
        Ok(Intset { integers: integers.chunks_exact(width as usize), last: None })
    }
}

impl<'b> Iterator for Intset<'b> {
    type Item = Result<Item<'b>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let integer = signed(self.integers.next()?);
        if self.last.is_some_and(|last| integer <= last) {
            return Some(Err(Fault::Format));
        }
        self.last = Some(integer);
        Some(Ok(Item::Integer(integer)))
    }
}
