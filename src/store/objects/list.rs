//! Writing to lists.
//!
//! A list is packed while [`ListLimits`] let it be, and else a chain of blocks.  One that has shrunk to a block of half of the
//! limits is packed again, as in Redis.

use std::ops::Range;

use crate::store::entries::Entry;
use crate::store::lifetime::Lifetime;
use crate::store::object::{
    Block, Chain, Element, EncodedElement, List, ListLimits, Object, PACKED_SIZE_MAX, Packed, PackedKind,
    Side, end, find_equal, place,
};
use crate::store::recency::AccessContext;
use crate::store::shard::{Key, Shard};
use crate::store::value::WrongType;

/// A list that is written to.
pub struct ListWriter<'l> {
    entry: &'l mut Entry,
    limits: ListLimits,
    changed: bool,
    /// Parts that were cut off, to be freed when no lock is held.
    cut: Vec<Chain>,
}

impl Shard {
    /// Lets `write` change a list, an empty one if there is no such key.  A list that is left without elements is removed,
    /// and watchers are notified if anything was changed.
    ///
    /// # Errors
    /// If the key holds something else.
    pub fn write_list<R>(
        &mut self,
        key: &Key<'_>,
        limits: ListLimits,
        access: &AccessContext,
        write: impl FnOnce(&mut ListWriter<'_>) -> R,
    ) -> Result<R, WrongType> {
        let mut cut = Vec::new();
        let written = self.write_parts(key, PackedKind::List, access, |entry, _| {
            ListWriter::run(entry, limits, &mut cut, write)
        });
        self.discard_cut(cut);
        written
    }

    /// The same of a key that is there; none if it is not, and nothing is written then.
    ///
    /// # Errors
    /// If the key holds something else.
    pub fn change_list<R>(
        &mut self,
        key: &Key<'_>,
        limits: ListLimits,
        access: &AccessContext,
        write: impl FnOnce(&mut ListWriter<'_>) -> R,
    ) -> Result<Option<R>, WrongType> {
        let mut cut = Vec::new();
        let written = self.change_parts(key, PackedKind::List, access, |entry, _| {
            ListWriter::run(entry, limits, &mut cut, write)
        });
        self.discard_cut(cut);
        written
    }

    /// An entry for `key`, which is not put there, with the list that `write` makes.
    ///
    /// # Errors
    /// The refusal of `write`.
    pub fn make_list<E>(
        &self,
        key: &Key<'_>,
        limits: ListLimits,
        lifetime: Lifetime,
        access: &AccessContext,
        write: impl FnOnce(&mut ListWriter<'_>) -> Result<(), E>,
    ) -> Result<Entry, E> {
        self.make_parts(key, PackedKind::List, lifetime, access, |entry, _| {
            ListWriter::run(entry, limits, &mut Vec::new(), write).0
        })
    }

    /// Has what was cut off a list freed once the shard is unlocked, if it is large: it is a list of its own, without a name.
    fn discard_cut(&mut self, cut: Vec<Chain>) {
        for chain in cut {
            self.discard(Entry::new_object(b"", Box::new(Object::List(chain)), None));
        }
    }
}

impl<'l> ListWriter<'l> {
    /// Lets `write` write to the list of an entry; what it cuts off is added to `cut`.
    pub(super) fn run<R>(
        entry: &'l mut Entry,
        limits: ListLimits,
        cut: &mut Vec<Chain>,
        write: impl FnOnce(&mut ListWriter<'_>) -> R,
    ) -> (R, bool) {
        let mut writer = ListWriter { entry, limits, changed: false, cut: Vec::new() };
        let result = write(&mut writer);
        cut.append(&mut writer.cut);
        (result, writer.changed)
    }

    /// The list as it is.
    pub fn list(&self) -> List<'_> {
        self.entry.view().parts().and_then(|parts| parts.list()).expect("the entry is that of a list")
    }

    /// Adds these elements at one end, one after the other.
    pub fn push_all<'v>(&mut self, side: Side, values: impl Iterator<Item = &'v [u8]> + Clone) {
        let bytes = values.clone().map(<[u8]>::len).fold(0, usize::saturating_add);
        self.grow_by(bytes, values.clone().count());
        values.for_each(|value| self.push_element(side, value));
    }

    /// Adds an element at one end.
    pub fn push(&mut self, side: Side, value: &[u8]) {
        self.grow_by(value.len(), 1);
        self.push_element(side, value);
    }

    fn push_element(&mut self, side: Side, value: &[u8]) {
        self.changed = true;
        let (element, limits) = (EncodedElement::new(Element::new(value)), self.limits);
        match self.chain() {
            Some(chain) => chain.push(side, &element, limits),
            None => {
                let at = if side == Side::Left { 0 } else { self.packed().size() };
                self.splice(at..at, 0, Some(&element));
            }
        }
    }

    /// Takes out the element at one end and shows it to `take`; none if the list is empty.
    pub fn pop<R>(&mut self, side: Side, take: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let taken = match self.chain() {
            Some(chain) => chain.pop(side, take)?,
            None => {
                let (element, range) = end(self.packed().bytes(), side)?;
                let taken = take(element);
                self.splice(range, 1, None);
                taken
            }
        };
        self.changed = true;
        self.shrink();
        Some(taken)
    }

    /// Puts an element in the place of another.
    pub fn set(&mut self, index: usize, value: &[u8]) {
        debug_assert!(index < self.list().len());
        self.changed = true;
        self.grow_by(value.len(), 1);
        let (element, limits) = (EncodedElement::new(Element::new(value)), self.limits);
        match self.chain() {
            Some(chain) => chain.set(index, &element, limits),
            None => {
                let range = self.packed_place(index)..self.packed_place(index + 1);
                self.splice(range, 1, Some(&element));
            }
        }
        self.shrink();
    }

    /// Puts an element before the one at `index`, which may be the length.
    pub fn insert(&mut self, index: usize, value: &[u8]) {
        self.changed = true;
        self.grow_by(value.len(), 1);
        let (element, limits) = (EncodedElement::new(Element::new(value)), self.limits);
        match self.chain() {
            Some(chain) => chain.insert(index, &element, limits),
            None => {
                let at = self.packed_place(index);
                self.splice(at..at, 0, Some(&element));
            }
        }
    }

    /// Makes the list large if it would be with this element.
    pub fn grow_for(&mut self, value: &[u8]) {
        self.grow_by(value.len(), 1);
    }

    /// Takes the elements of a range out.
    pub fn remove_range(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.changed = true;
        let limits = self.limits;
        match self.chain() {
            Some(chain) => {
                let cut = chain.remove_range(range, limits);
                self.cut.extend((cut.len() > 0).then_some(cut));
            }
            None => {
                let bytes = self.packed_place(range.start)..self.packed_place(range.end);
                self.splice(bytes, range.len(), None);
            }
        }
        self.shrink();
    }

    /// Takes up to `limit` elements that equal `value` out, those nearest to one end, and returns how many there were.
    pub fn remove_equal(&mut self, value: &[u8], side: Side, limit: usize) -> usize {
        let (wanted, limits) = (EncodedElement::new(Element::new(value)), self.limits);
        let removed = match self.chain() {
            Some(chain) => chain.remove_equal(&wanted, side, limit, limits),
            None => self.remove_equal_packed(&wanted, side, limit),
        };
        if removed > 0 {
            self.changed = true;
            self.shrink();
        }
        removed
    }

    fn remove_equal_packed(&mut self, wanted: &EncodedElement<'_>, side: Side, limit: usize) -> usize {
        let packed = self.packed();
        let mut found = find_equal(packed.bytes(), wanted, side, limit);
        if side == Side::Right {
            found.reverse();
        }
        let (size, count) = (packed.size(), packed.count() - found.len());
        let mut kept = Vec::with_capacity(size);
        let mut start = 0;
        for range in &found {
            kept.extend_from_slice(&packed.bytes()[start..range.start]);
            start = range.end;
        }
        kept.extend_from_slice(&packed.bytes()[start..]);
        if !found.is_empty() {
            self.entry.splice_packed(0..size, &[&kept], count);
        }
        found.len()
    }

    fn chain(&mut self) -> Option<&mut Chain> {
        match self.entry.object_mut()? {
            Object::List(chain) => Some(chain),
            _ => None,
        }
    }

    /// The list in its small form.
    fn packed(&self) -> Packed<'_> {
        self.entry.view().packed().expect("a list that is no chain is packed")
    }

    fn packed_place(&self, index: usize) -> usize {
        let packed = self.packed();
        place(packed.bytes(), packed.count(), index)
    }

    /// Puts an element, if one is given, in the place of `replaced` elements of the small form.
    fn splice(&mut self, range: Range<usize>, replaced: usize, element: Option<&EncodedElement<'_>>) {
        let count = self.packed().count() - replaced + usize::from(element.is_some());
        let pieces = element.map(EncodedElement::pieces);
        self.entry.splice_packed(range, pieces.as_ref().map_or(&[], |pieces| &pieces[..]), count);
    }

    /// Makes the list large if it will be with so many more elements of so many bytes in all.
    fn grow_by(&mut self, bytes: usize, count: usize) {
        let Some(packed) = self.entry.view().packed() else { return };
        let size = packed.size().saturating_add(bytes);
        let fits = size.saturating_add(count * EncodedElement::OVERHEAD_MAX) <= PACKED_SIZE_MAX;
        if fits && self.limits.let_be(size, packed.count() + count) {
            return;
        }
        let chain = Chain::new(Block::new(packed.bytes(), packed.count()));
        self.entry.set_object(Box::new(Object::List(chain)));
    }

    /// Makes the list small if little is left of it.
    fn shrink(&mut self) {
        let limits = self.limits;
        let Some(chain) = self.chain() else { return };
        let is_small = |block: &Block| limits.let_be_small(block) && block.size() <= PACKED_SIZE_MAX;
        let Some(block) = chain.take_only(is_small) else { return };
        self.entry.set_packed(PackedKind::List, block.elements(), block.count());
    }
}
