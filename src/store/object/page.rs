//! Up to some tens of members one behind the other: a part of a large sorted set.
//!
//! Each member has a head of two bytes, eight bits of its hash and its length, so a member is looked for in a row of bytes
//! that a processor passes over quickly, and costs little more memory than it is long.

use std::ops::Range;

use super::room::{block_of, copied, give_back, reserve};
use crate::store::hash::{LINE, prefetch};

/// The length in the head of a member that is as long or longer: its length lies in four bytes before it.
const LONG: u8 = u8::MAX;
const LONG_HEAD: usize = size_of::<u32>();

/// The most lines of members that are asked for at once.
const LINES_MAX: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Head {
    tag: u8,
    length: u8,
}

/// See the head of the file.
#[derive(Clone, Default, Debug)]
pub(in crate::store) struct Page {
    heads: Vec<Head>,
    bytes: Vec<u8>,
    /// Number of members of [`LONG`] bytes and more.
    long: u32,
}

impl Page {
    /// Bytes of all members.
    pub(in crate::store) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        block_of(&self.heads) + block_of(&self.bytes)
    }

    /// Brings what a member is found by closer: the heads, and the first bytes of the members.
    pub(in crate::store) fn prefetch(&self) {
        let (heads, bytes) = (self.heads.as_ptr().addr(), self.bytes.as_ptr().addr());
        prefetch(heads);
        prefetch(heads + LINE);
        (0..self.bytes.len()).step_by(LINE).take(LINES_MAX).for_each(|at| prefetch(bytes + at));
    }

    /// The member at a place.
    pub(in crate::store) fn member(&self, at: usize) -> &[u8] {
        &self.bytes[self.range(at)]
    }

    /// The members from a place on.
    pub(in crate::store) fn members_from(&self, at: usize) -> impl Iterator<Item = &[u8]> {
        let mut start = self.start(at);
        self.heads[at..].iter().map(move |head| {
            let range = self.range_at(start, *head);
            start = range.end;
            &self.bytes[range]
        })
    }

    /// The place of a member with this hash.
    pub(in crate::store) fn find(&self, hash: u32, member: &[u8]) -> Option<usize> {
        let head = Head::of(hash, member);
        let mut start = 0;
        for (at, other) in self.heads.iter().enumerate() {
            let range = self.range_at(start, *other);
            start = range.end;
            if other.tag == head.tag && other.length == head.length && self.bytes[range] == *member {
                return Some(at);
            }
        }
        None
    }

    /// Calls `visit` with the members whose tag is that of this hash.
    pub(in crate::store) fn for_each_tagged(&self, hash: u32, mut visit: impl FnMut(usize, &[u8])) {
        for (at, member) in self.members_from(0).enumerate() {
            if self.heads[at].tag == tag(hash) {
                visit(at, member);
            }
        }
    }

    /// The place of the first member from `range` on that is not below, as `is_below` tells, which is true of a number of
    /// members from the start of the range on.
    pub(in crate::store) fn partition(&self, range: Range<usize>, is_below: impl Fn(&[u8]) -> bool) -> usize {
        let Range { mut start, mut end } = range;
        while start < end {
            let middle = start.midpoint(end);
            if is_below(self.member(middle)) {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }

    /// Puts a member before the one at a place.
    pub(in crate::store) fn insert(&mut self, at: usize, hash: u32, member: &[u8]) {
        let (head, start) = (Head::of(hash, member), self.start(at));
        let long_head = if head.length == LONG { LONG_HEAD } else { 0 };
        let (old, added) = (self.bytes.len(), long_head + member.len());
        reserve(&mut self.heads, 1);
        self.heads.insert(at, head);
        reserve(&mut self.bytes, added);
        self.bytes.resize(old + added, 0);
        self.bytes.copy_within(start..old, start + added);
        if head.length == LONG {
            let length = u32::try_from(member.len()).expect("members are bounded by the bulk length limit");
            self.bytes[start..start + LONG_HEAD].copy_from_slice(&length.to_le_bytes());
            self.long += 1;
        }
        self.bytes[start + long_head..start + added].copy_from_slice(member);
    }

    /// Takes the member at a place out.
    pub(in crate::store) fn remove(&mut self, at: usize) {
        let (start, head) = (self.start(at), self.heads.remove(at));
        let end = self.range_at(start, head).end;
        self.bytes.drain(start..end);
        self.long -= u32::from(head.length == LONG);
        give_back(&mut self.heads);
        give_back(&mut self.bytes);
    }

    /// Takes the members from a place on out, into a page of their own.
    pub(in crate::store) fn split_off(&mut self, at: usize) -> Page {
        let start = self.start(at);
        let heads = copied(&self.heads[at..]);
        let bytes = copied(&self.bytes[start..]);
        self.heads.truncate(at);
        self.bytes.truncate(start);
        let long = heads.iter().filter(|head| head.length == LONG).count() as u32;
        self.long -= long;
        give_back(&mut self.heads);
        give_back(&mut self.bytes);
        Page { heads, bytes, long }
    }

    /// Adds the members of another page behind its own.
    pub(in crate::store) fn append(&mut self, other: &Page) {
        reserve(&mut self.heads, other.heads.len());
        reserve(&mut self.bytes, other.bytes.len());
        self.heads.extend_from_slice(&other.heads);
        self.bytes.extend_from_slice(&other.bytes);
        self.long += other.long;
    }

    /// Where the member at a place starts, or that behind the last would.
    fn start(&self, at: usize) -> usize {
        if self.long == 0 {
            return self.heads[..at].iter().map(|head| usize::from(head.length)).sum();
        }
        self.heads[..at].iter().fold(0, |start, head| self.range_at(start, *head).end)
    }

    fn range(&self, at: usize) -> Range<usize> {
        self.range_at(self.start(at), self.heads[at])
    }

    /// Where the bytes of a member are that starts there.
    #[inline]
    fn range_at(&self, start: usize, head: Head) -> Range<usize> {
        if head.length != LONG {
            return start..start + usize::from(head.length);
        }
        let length = self.bytes[start..].first_chunk().expect("a long member has a length");
        let start = start + LONG_HEAD;
        start..start + u32::from_le_bytes(*length) as usize
    }
}

impl Head {
    fn of(hash: u32, member: &[u8]) -> Head {
        Head { tag: tag(hash), length: u8::try_from(member.len()).unwrap_or(LONG) }
    }
}

/// The bits of a hash that tables use last.
fn tag(hash: u32) -> u8 {
    (hash >> 24) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_page_is_a_list(steps in proptest::collection::vec((0_u8..8, any::<u16>(), 0_usize..700), 1..100)) {
            let mut page = Page::default();
            let mut model: Vec<(u32, Vec<u8>)> = Vec::new();
            for (number, (step, at, length)) in steps.into_iter().enumerate() {
                let at = usize::from(at) % (model.len() + 1);
                let (hash, member) = ((number as u32) << 22, vec![number as u8; if step % 2 == 0 { length } else { length % 20 }]);
                match step {
                    0 | 1 if at < model.len() => {
                        page.remove(at);
                        model.remove(at);
                    }
                    2 => {
                        let other = page.split_off(at);
                        prop_assert_eq!((page.heads.len(), other.heads.len()), (at, model.len() - at));
                        page.append(&other);
                    }
                    _ => {
                        page.insert(at, hash, &member);
                        model.insert(at, (hash, member));
                    }
                }
                let members: Vec<&[u8]> = page.members_from(0).collect();
                let expected: Vec<&[u8]> = model.iter().map(|(_, member)| member.as_slice()).collect();
                prop_assert_eq!(&members, &expected);
                for (at, (hash, member)) in model.iter().enumerate() {
                    let found = page.find(*hash, member).expect("it is there");
                    prop_assert!(found <= at && page.member(found) == member.as_slice());
                }
                prop_assert_eq!(page.find(1 << 31, b"missing"), None);
            }
        }
    }
}
