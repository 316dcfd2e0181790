//! Thirty records one behind the other: a part of a row.
//!
//! A record is a fixed number of items.  A page lies in one allocation:
//!
//! ```text
//! 0      u8  the length of each item, and 255 for a long one
//! HEAD       the bytes of each item; of a long one its number among the long ones, in four bytes
//! ```
//!
//! Where an item starts is the sum of the lengths before it, of which eight are added at a time.  Long items have
//! allocations of their own, so no change of a page moves many bytes.  An item that was not put there is empty.

use crate::allocator::block_size;
use crate::store::hash::{LINE, prefetch};
use crate::store::object::room::{block_of, give_back, reserve};

/// Records of a page.  With items of 16, 24 or 32 bytes and their lengths they nearly fill one of the allocator's blocks.
pub(super) const RECORDS: usize = 30;

/// The length, in the head, of an item of so many bytes or more.
const LONG: u8 = u8::MAX;

/// Bytes that a long item takes in the page.
const LONG_SIZE: usize = size_of::<u32>();

/// See the head of the file.
#[derive(Clone)]
pub(super) struct Page<const ITEMS: usize> {
    bytes: Vec<u8>,
    long: Option<Box<LongItems>>,
}

/// The long items of a page, in no order.
#[derive(Clone, Default)]
struct LongItems {
    items: Vec<Box<[u8]>>,
}

/// An item on its way into a page.
pub(super) enum Item<'i> {
    /// It is copied.
    Short(&'i [u8]),
    /// It is moved.
    Long(Box<[u8]>),
}

impl<'i> Item<'i> {
    /// The item of these bytes.
    pub(super) fn new(bytes: &'i [u8]) -> Item<'i> {
        if bytes.len() < usize::from(LONG) { Item::Short(bytes) } else { Item::Long(bytes.into()) }
    }
}

impl<const ITEMS: usize> Page<ITEMS> {
    /// Bytes before those of the items.
    const HEAD: usize = RECORDS * ITEMS;

    /// A page of empty items.
    pub(super) fn new() -> Page<ITEMS> {
        Page { bytes: vec![0; Self::HEAD], long: None }
    }

    /// Bytes of memory, without those of this value itself.
    pub(super) fn memory(&self) -> usize {
        block_of(&self.bytes) + self.long.as_ref().map_or(0, |long| long.memory())
    }

    /// The item at a place.
    pub(super) fn item(&self, at: usize) -> &[u8] {
        self.item_from(self.start(at), at).0
    }

    /// Brings the lengths closer.
    pub(super) fn prefetch(&self) {
        let start = self.bytes.as_ptr().addr();
        prefetch(start);
        prefetch(start + Self::HEAD - 1);
    }

    /// Brings the item at a place closer, and what lies behind it: the rest of a record.
    pub(super) fn prefetch_items(&self, at: usize) {
        let start = self.bytes.as_ptr().addr() + self.start(at);
        prefetch(start);
        prefetch(start + LINE);
    }

    /// The items in their order, the empty ones too.
    pub(super) fn items(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = Self::HEAD;
        (0..Self::HEAD).map(move |at| {
            let (item, end) = self.item_from(start, at);
            start = end;
            item
        })
    }

    /// Puts an item in the place of another.
    pub(super) fn put(&mut self, at: usize, item: Item<'_>) {
        if self.bytes[at] == LONG {
            self.remove_long(at);
        }
        match item {
            Item::Short(bytes) => self.splice(at, bytes.len() as u8, bytes),
            Item::Long(bytes) => {
                let long = &mut self.long.get_or_insert_default().items;
                long.push(bytes);
                let number = (long.len() - 1) as u32;
                self.splice(at, LONG, &number.to_le_bytes());
            }
        }
    }

    /// Puts a short item in the place of one as long, without a look at the rest of the page; false if it is not.
    #[inline]
    pub(super) fn overwrite(&mut self, at: usize, bytes: &[u8]) -> bool {
        let length = self.bytes[at];
        if length == LONG || usize::from(length) != bytes.len() {
            return false;
        }
        let start = self.start(at);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        true
    }

    /// Takes an item out, so that an empty one stays.  A short one is copied to `room`.
    pub(super) fn take<'i>(&mut self, at: usize, room: &'i mut ShortItem) -> Item<'i> {
        let taken = if self.bytes[at] == LONG {
            Item::Long(self.remove_long(at))
        } else {
            let item = self.item(at);
            room.0[..item.len()].copy_from_slice(item);
            Item::Short(&room.0[..item.len()])
        };
        self.splice(at, 0, &[]);
        taken
    }

    /// Where the bytes of an item start.
    #[inline]
    fn start(&self, at: usize) -> usize {
        let lengths = &self.bytes[..at];
        let before = if self.long.is_none() { sum(lengths) } else { sum_of_sizes(lengths) };
        Self::HEAD + before
    }

    /// The item at a place that starts there, and where its bytes end.
    #[inline]
    fn item_from(&self, start: usize, at: usize) -> (&[u8], usize) {
        let length = self.bytes[at];
        let end = start + size(length);
        let bytes = &self.bytes[start..end];
        if length == LONG { (self.long_item(bytes), end) } else { (bytes, end) }
    }

    #[cold]
    fn long_item(&self, number: &[u8]) -> &[u8] {
        let long = self.long.as_ref().expect("a page with a long item has a list of them");
        &long.items[long_number(number)]
    }

    /// Takes a long item out of the list of them; the last one gets its number.
    fn remove_long(&mut self, at: usize) -> Box<[u8]> {
        let start = self.start(at);
        let number = long_number(&self.bytes[start..start + LONG_SIZE]);
        let long = self.long.as_mut().expect("a page with a long item has a list of them");
        let last = long.items.len() - 1;
        let removed = long.items.swap_remove(number);
        if long.items.is_empty() {
            self.long = None;
        }
        if number != last {
            let starts =
                (0..Self::HEAD).filter(|&other| self.bytes[other] == LONG).map(|other| self.start(other));
            let moved =
                starts.into_iter().find(|&start| long_number(&self.bytes[start..start + LONG_SIZE]) == last);
            let start = moved.expect("each long item has a place");
            self.bytes[start..start + LONG_SIZE].copy_from_slice(&(number as u32).to_le_bytes());
        }
        removed
    }

    /// Puts bytes in the place of those of an item.
    fn splice(&mut self, at: usize, length: u8, bytes: &[u8]) {
        let (start, end) = (self.start(at), self.bytes.len());
        let (old, new) = (size(self.bytes[at]), bytes.len());
        self.bytes[at] = length;
        if new > old {
            reserve(&mut self.bytes, new - old);
            self.bytes.resize(end + new - old, 0);
        }
        self.bytes.copy_within(start + old..end, start + new);
        self.bytes.truncate(end + new - old);
        self.bytes[start..start + new].copy_from_slice(bytes);
        give_back(&mut self.bytes);
    }
}

impl LongItems {
    fn memory(&self) -> usize {
        let list = block_size(size_of::<LongItems>()) + block_of(&self.items);
        list + self.items.iter().map(|item| block_size(item.len())).sum::<usize>()
    }
}

/// Room for an item that is not long.
pub(super) struct ShortItem([u8; LONG as usize]);

impl ShortItem {
    pub(super) fn new() -> ShortItem {
        ShortItem([0; LONG as usize])
    }
}

/// Bytes that an item takes in the page.
#[inline]
fn size(length: u8) -> usize {
    if length == LONG { LONG_SIZE } else { usize::from(length) }
}

/// The sum of fewer bytes than 256, eight at a time: their sums in pairs stay apart in the four parts of a word.
#[inline]
fn sum(bytes: &[u8]) -> usize {
    const EVERY_OTHER: u64 = 0x00ff_00ff_00ff_00ff;
    let (words, rest) = bytes.as_chunks::<8>();
    let parts = words.iter().fold(0, |parts, word| {
        let word = u64::from_le_bytes(*word);
        parts + (word & EVERY_OTHER) + (word >> 8 & EVERY_OTHER)
    });
    let whole = (parts & 0xffff) + (parts >> 16 & 0xffff) + (parts >> 32 & 0xffff) + (parts >> 48);
    whole as usize + rest.iter().map(|&byte| usize::from(byte)).sum::<usize>()
}

/// Bytes that items of these lengths take in the page, where some are long.
#[inline(never)]
fn sum_of_sizes(lengths: &[u8]) -> usize {
    lengths.iter().map(|&length| size(length)).sum()
}

fn long_number(bytes: &[u8]) -> usize {
    u32::from_le_bytes(*bytes.first_chunk().expect("the number of a long item has four bytes")) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_page_is_an_array(steps in proptest::collection::vec((any::<bool>(), 0..2 * RECORDS, 0_usize..600), 1..300)) {
            let mut page: Page<2> = Page::new();
            let mut model = vec![Vec::new(); 2 * RECORDS];
            for (number, (puts, at, length)) in steps.into_iter().enumerate() {
                if puts {
                    let item = vec![number as u8; if number % 3 == 0 { length } else { length % 20 }];
                    let is_as_long = item.len() < usize::from(LONG) && item.len() == model[at].len();
                    prop_assert_eq!(page.overwrite(at, &item), is_as_long);
                    if !is_as_long {
                        page.put(at, Item::new(&item));
                    }
                    model[at] = item;
                } else {
                    let mut room = ShortItem::new();
                    let taken = match page.take(at, &mut room) {
                        Item::Short(bytes) => bytes.to_vec(),
                        Item::Long(bytes) => bytes.into(),
                    };
                    prop_assert_eq!(taken, std::mem::take(&mut model[at]));
                }
                prop_assert!(page.items().eq(model.iter().map(Vec::as_slice)));
                prop_assert_eq!(page.item(at), model[at].as_slice());
            }
            prop_assert!(page.clone().items().eq(model.iter().map(Vec::as_slice)));
            for at in 0..model.len() {
                page.put(at, Item::new(b""));
            }
            prop_assert!(page.memory() < 2 * Page::<2>::new().memory());
        }
    }
}
