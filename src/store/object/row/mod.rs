//! Records that are found by their first item: the large form of sets, whose records are members, and of hashes, whose records
//! are fields with their values.
//!
//! The records lie in a row without gaps, in pages, beside a table that says at which place a record is.  So a random one takes
//! one step, and a removed one is replaced by the last.  Neither the row nor the table is ever copied to grow.
//!
//! A scan goes from the end of the row to its start.  Only the last record ever moves, and only towards the start, so a record
//! that is there all the time cannot get from the part that is still to come into the part already visited.

mod page;

use std::ops::Range;

use smallvec::SmallVec;

use super::members::MemberTable;
use crate::store::hash::{KeyHasher, PARTS_MAX, prefetch};
use page::{Item, Page, RECORDS, ShortItem};

/// Pages in a piece of their list.
const PIECE: usize = 64;

/// Pages that the first piece has room for at first.
const PIECE_MIN: usize = 4;

/// The most records: places have 32 bits.
pub(in crate::store) const LENGTH_MAX: usize = u32::MAX as usize;

/// See the head of the file.
pub(super) struct Row<const ITEMS: usize> {
    hasher: KeyHasher,
    pages: Vec<Vec<Page<ITEMS>>>,
    length: usize,
    table: MemberTable,
    /// Bytes that the pages hold.
    page_memory: usize,
}

impl<const ITEMS: usize> Row<ITEMS> {
    /// An empty one.
    pub(super) fn new(hasher: KeyHasher) -> Row<ITEMS> {
        Row { hasher, pages: Vec::new(), length: 0, table: MemberTable::default(), page_memory: 0 }
    }

    /// An empty one whose hashes are those of this one.
    pub(super) fn empty(&self) -> Row<ITEMS> {
        Row::new(self.hasher.clone())
    }

    /// Number of records.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Bytes of memory, without those of this value itself.
    pub(super) fn memory(&self) -> usize {
        // All pieces but the last are full.
        let unfilled = self.pages.last().map_or(0, |piece| PIECE - piece.capacity());
        let pages = (self.pages.len() * PIECE - unfilled) * size_of::<Page<ITEMS>>();
        pages + self.pages.capacity() * size_of::<Vec<Page<ITEMS>>>() + self.page_memory + self.table.memory()
    }

    /// The place of the record with this first item.
    pub(super) fn find(&self, first: &[u8]) -> Option<usize> {
        self.find_hashed(self.hash(first), first)
    }

    /// Brings the records with these first items closer.  Each step reads what the one before has asked for, of all of them.
    pub(super) fn prefetch(&self, firsts: &[&[u8]]) {
        let hashes: SmallVec<[u32; PARTS_MAX]> = firsts.iter().map(|first| self.hash(first)).collect();
        hashes.iter().for_each(|&hash| self.table.prefetch(hash));
        let places = hashes.iter().filter_map(|&hash| self.table.places(hash).next());
        let places: SmallVec<[usize; PARTS_MAX]> = places.map(|place| place as usize).collect();
        places.iter().for_each(|place| prefetch((&raw const *self.page(place / RECORDS)).addr()));
        places.iter().for_each(|place| self.page(place / RECORDS).prefetch());
        places.iter().for_each(|place| self.page(place / RECORDS).prefetch_items(place % RECORDS * ITEMS));
    }

    /// An item of the record at a place.
    pub(super) fn item(&self, place: usize, item: usize) -> &[u8] {
        debug_assert!(place < self.length && item < ITEMS);
        self.page(place / RECORDS).item(place % RECORDS * ITEMS + item)
    }

    /// The record at a place.
    pub(super) fn record(&self, place: usize) -> [&[u8]; ITEMS] {
        std::array::from_fn(|item| self.item(place, item))
    }

    /// All records, in the order of their places.
    pub(super) fn records(&self) -> impl Iterator<Item = [&[u8]; ITEMS]> {
        let pages = self.pages.iter().flatten();
        let records = pages.flat_map(|page| {
            let mut items = page.items();
            (0..RECORDS).map(move |_| std::array::from_fn(|_| items.next().expect("a page is full of items")))
        });
        records.take(self.length)
    }

    /// Adds a record, if there is none with this first item; else the place of that one.
    ///
    /// # Errors
    /// The place.
    pub(super) fn add(&mut self, record: [&[u8]; ITEMS]) -> Result<(), usize> {
        let hash = self.hash(record[0]);
        if let Some(place) = self.find_hashed(hash, record[0]) {
            return Err(place);
        }
        let place = self.length;
        if place.is_multiple_of(RECORDS) {
            self.add_page();
        }
        self.change(place / RECORDS, |page| {
            for (item, bytes) in record.into_iter().enumerate() {
                page.put(place % RECORDS * ITEMS + item, Item::new(bytes));
            }
        });
        self.table.insert(hash, u32::try_from(place).expect("a caller has asked for room"));
        self.length += 1;
        Ok(())
    }

    /// Replaces an item, which is not the first, of the record at a place.
    pub(super) fn overwrite(&mut self, place: usize, item: usize, bytes: &[u8]) {
        debug_assert!(place < self.length && (1..ITEMS).contains(&item));
        let page = &mut self.pages[place / RECORDS / PIECE][place / RECORDS % PIECE];
        if page.overwrite(place % RECORDS * ITEMS + item, bytes) {
            return;
        }
        self.change(place / RECORDS, |page| page.put(place % RECORDS * ITEMS + item, Item::new(bytes)));
    }

    /// Removes the record with this first item; false if there is none.
    pub(super) fn remove(&mut self, first: &[u8]) -> bool {
        let hash = self.hash(first);
        let Some(place) = self.find_hashed(hash, first) else { return false };
        self.table.remove(hash, place as u32);
        let last = self.length - 1;
        if place != last {
            self.table.replace(self.hash(self.item(last, 0)), last as u32, place as u32);
        }
        let mut room = ShortItem::new();
        for item in 0..ITEMS {
            let page = &mut self.pages[last / RECORDS / PIECE][last / RECORDS % PIECE];
            let before = page.memory();
            let moved = page.take(last % RECORDS * ITEMS + item, &mut room);
            let after = page.memory();
            self.page_memory = self.page_memory + after - before;
            if place != last {
                self.change(place / RECORDS, |page| page.put(place % RECORDS * ITEMS + item, moved));
            }
        }
        self.length -= 1;
        if last.is_multiple_of(RECORDS) {
            self.remove_page();
        }
        true
    }

    /// The places that a scan visits next, the last one first, for `cursor` (0 to start), and the next cursor, 0 at the end.  See
    /// the head of the file for the promise.
    pub(super) fn scan(&self, cursor: u64, count: usize) -> (Range<usize>, u64) {
        let end = match usize::try_from(cursor) {
            Ok(place) if place > 0 => place.min(self.length),
            _ => self.length,
        };
        let start = end.saturating_sub(count);
        (start..end, start as u64)
    }

    fn hash(&self, first: &[u8]) -> u32 {
        self.hasher.hash(first) as u32
    }

    fn find_hashed(&self, hash: u32, first: &[u8]) -> Option<usize> {
        let mut places = self.table.places(hash).map(|place| place as usize);
        places.find(|&place| self.item(place, 0) == first)
    }

    fn page(&self, number: usize) -> &Page<ITEMS> {
        &self.pages[number / PIECE][number % PIECE]
    }

    /// Changes a page and keeps the account of its memory.
    fn change(&mut self, number: usize, change: impl FnOnce(&mut Page<ITEMS>)) {
        let page = &mut self.pages[number / PIECE][number % PIECE];
        let before = page.memory();
        change(page);
        let after = page.memory();
        self.page_memory = self.page_memory + after - before;
    }

    fn add_page(&mut self) {
        let page = Page::new();
        self.page_memory += page.memory();
        if self.pages.last().is_none_or(|piece| piece.len() == PIECE) {
            self.pages.push(Vec::new());
        }
        let is_first = self.pages.len() == 1;
        let piece = self.pages.last_mut().expect("there is a piece with room");
        if piece.len() == piece.capacity() {
            let capacity = if is_first { (2 * piece.len()).clamp(PIECE_MIN, PIECE) } else { PIECE };
            piece.reserve_exact(capacity - piece.len());
        }
        piece.push(page);
    }

    fn remove_page(&mut self) {
        let piece = self.pages.last_mut().expect("there is a page");
        let page = piece.pop().expect("no piece is empty");
        self.page_memory -= page.memory();
        if piece.is_empty() {
            self.pages.pop();
        }
    }
}

impl<const ITEMS: usize> Clone for Row<ITEMS> {
    fn clone(&self) -> Row<ITEMS> {
        let pages = self.pages.clone();
        // A copy has no room besides that of its blocks.
        let page_memory = pages.iter().flatten().map(Page::memory).sum();
        let (hasher, table) = (self.hasher.clone(), self.table.clone());
        Row { hasher, pages, length: self.length, table, page_memory }
    }
}

#[cfg(test)]
impl<const ITEMS: usize> Row<ITEMS> {
    /// Checks that the row, the table and the accounts agree.
    pub(super) fn check(&self) {
        let pages = self.pages.iter().flatten();
        assert_eq!(pages.clone().count(), self.length.div_ceil(RECORDS));
        assert_eq!(self.page_memory, pages.map(Page::memory).sum::<usize>());
        let full = self.pages.len().saturating_sub(1);
        assert!(self.pages[..full].iter().all(|piece| (piece.len(), piece.capacity()) == (PIECE, PIECE)));
        assert_eq!(self.records().count(), self.length);
        for (place, record) in self.records().enumerate() {
            assert_eq!(record, self.record(place));
            assert_eq!(self.find(record[0]), Some(place));
        }
    }
}
