//! The large form of a set: its members in pages, which lie in a row without gaps, beside a table that says which page a member
//! is in.
//!
//! All pages but the last are full, so a random member takes one step, and a removed member is replaced by the last.  A scan
//! goes from the end of the row to its start, as that of a hash does (see `fields`).

use crate::store::hash::KeyHasher;
use crate::store::object::members::MemberTable;
use crate::store::object::page::Page;

/// Members of a full page.
const PAGE: usize = 32;

/// Pages in a piece of their row.
const PIECE: usize = 64;

/// The most members: numbers of pages have 32 bits.
pub(in crate::store) const LENGTH_MAX: usize = u32::MAX as usize;

/// See the head of the file.
pub struct SetTable {
    hasher: KeyHasher,
    pages: Vec<Vec<Page>>,
    page_count: usize,
    length: usize,
    table: MemberTable,
    /// Bytes that the pages hold.
    page_memory: usize,
}

impl SetTable {
    /// An empty one.
    pub(in crate::store) fn new(hasher: KeyHasher) -> SetTable {
        let table = MemberTable::default();
        SetTable { hasher, pages: Vec::new(), page_count: 0, length: 0, table, page_memory: 0 }
    }

    /// Number of members.
    pub(in crate::store) fn len(&self) -> usize {
        self.length
    }

    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        let pages =
            self.pages.len() * PIECE * size_of::<Page>() + self.pages.capacity() * size_of::<Vec<Page>>();
        pages + self.page_memory + self.table.memory()
    }

    /// Whether it has a member.
    pub(in crate::store) fn contains(&self, member: &[u8]) -> bool {
        self.find(self.hash(member), member).is_some()
    }

    /// The member at a place in the row.
    pub(in crate::store) fn member(&self, place: usize) -> &[u8] {
        self.page(place / PAGE).member(place % PAGE)
    }

    /// All members.
    pub(in crate::store) fn members(&self) -> impl Iterator<Item = &[u8]> {
        self.pages.iter().flatten().flat_map(|page| page.members_from(0))
    }

    /// Adds a member; false if it is there already.
    pub(in crate::store) fn add(&mut self, member: &[u8]) -> bool {
        let hash = self.hash(member);
        if self.find(hash, member).is_some() {
            return false;
        }
        if self.length.is_multiple_of(PAGE) {
            if self.page_count.is_multiple_of(PIECE) {
                self.pages.push(Vec::with_capacity(PIECE));
            }
            self.pages.last_mut().expect("there is a piece with room").push(Page::default());
            self.page_count += 1;
        }
        let last = self.page_count - 1;
        self.change(last, |page| {
            page.insert(page.len(), hash, member);
            if page.len() == PAGE {
                page.fit();
            }
        });
        self.length += 1;
        self.table.insert(hash, last as u32);
        true
    }

    /// Removes a member; false if there is none.
    pub(in crate::store) fn remove(&mut self, member: &[u8]) -> bool {
        let hash = self.hash(member);
        let Some((number, at)) = self.find(hash, member) else { return false };
        let last = self.page_count - 1;
        self.table.remove(hash, number as u32);
        self.change(number, |page| page.remove(at));
        if number != last {
            let moved = self.page(last).member(self.page(last).len() - 1).to_vec();
            let moved_hash = self.hash(&moved);
            self.change(last, |page| page.remove(page.len() - 1));
            self.change(number, |page| page.insert(at, moved_hash, &moved));
            self.table.replace(moved_hash, last as u32, number as u32);
        } else if at < self.page(last).len() {
            self.move_last(last, at);
        }
        self.length -= 1;
        if self.page(last).len() == 0 {
            self.pop_page();
        }
        true
    }

    /// Visits about `count` members for `cursor` (0 to start) and returns the next cursor, 0 at the end; see the head of
    /// the file.
    pub(in crate::store) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8])) -> u64 {
        let end = match usize::try_from(cursor) {
            Ok(place) if place > 0 => place.min(self.length),
            _ => self.length,
        };
        let start = end.saturating_sub(count);
        (start..end).rev().for_each(|place| visit(self.member(place)));
        start as u64
    }

    fn hash(&self, member: &[u8]) -> u32 {
        self.hasher.hash(member) as u32
    }

    fn page(&self, number: usize) -> &Page {
        &self.pages[number / PIECE][number % PIECE]
    }

    fn find(&self, hash: u32, member: &[u8]) -> Option<(usize, usize)> {
        self.table.places(hash).find_map(|number| {
            let number = number as usize;
            Some((number, self.page(number).find(hash, member)?))
        })
    }

    /// Changes a page and keeps the account of its memory.
    fn change(&mut self, number: usize, change: impl FnOnce(&mut Page)) {
        let page = &mut self.pages[number / PIECE][number % PIECE];
        let before = page.memory();
        change(page);
        let after = page.memory();
        self.page_memory = self.page_memory + after - before;
    }

    /// Has the last member of a page take the place of one that has gone from before it, as if it came from another page: members
    /// that stay never move towards the end.
    fn move_last(&mut self, number: usize, at: usize) {
        let page = self.page(number);
        let moved = page.member(page.len() - 1).to_vec();
        let hash = self.hash(&moved);
        self.change(number, |page| {
            page.remove(page.len() - 1);
            page.insert(at, hash, &moved);
        });
    }

    fn pop_page(&mut self) {
        self.change(self.page_count - 1, |page| *page = Page::default());
        let piece = self.pages.last_mut().expect("there is a page");
        piece.pop();
        if piece.is_empty() {
            self.pages.pop();
        }
        self.page_count -= 1;
    }
}

impl Clone for SetTable {
    fn clone(&self) -> SetTable {
        let piece = |pages: &Vec<Page>| {
            let mut copy = Vec::with_capacity(PIECE);
            copy.extend_from_slice(pages);
            copy
        };
        let pages: Vec<Vec<Page>> = self.pages.iter().map(piece).collect();
        SetTable {
            hasher: self.hasher.clone(),
            page_memory: pages.iter().flatten().map(Page::memory).sum(),
            pages,
            page_count: self.page_count,
            length: self.length,
            table: self.table.clone(),
        }
    }
}

#[cfg(test)]
impl SetTable {
    /// Checks that the row, the table and the accounts agree.
    pub(in crate::store) fn check(&self) {
        for (number, page) in self.pages.iter().flatten().enumerate() {
            assert!(page.len() == PAGE || number + 1 == self.page_count);
            for member in page.members_from(0) {
                assert!(self.table.places(self.hash(member)).any(|place| place as usize == number));
            }
        }
        assert_eq!(self.members().count(), self.length);
        assert_eq!(self.page_memory, self.pages.iter().flatten().map(Page::memory).sum::<usize>());
    }
}
