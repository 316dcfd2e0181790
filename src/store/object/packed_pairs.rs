//! Pairs of short items one behind the other, in a block of their own: the values of a small hash that is an object because some of
//! its fields expire.

use super::item::Encoded;
use super::packed::{PACKED_SIZE_MAX, Packed, PackedKind};
use super::room::{block_of, copied, give_back, reserve};

/// See the head of the file.
#[derive(Clone)]
pub(super) struct PackedPairs {
    items: Vec<u8>,
    /// Number of items.
    count: usize,
}

impl PackedPairs {
    /// A copy of the pairs of a packed hash.
    pub(super) fn new(packed: Packed<'_>) -> PackedPairs {
        PackedPairs { items: copied(packed.bytes()), count: packed.count() }
    }

    /// The same as it is read.
    pub(super) fn packed(&self) -> Packed<'_> {
        Packed::of(PackedKind::Hash, self.count, &self.items)
    }

    /// Bytes of memory, without those of this value itself.
    pub(super) fn memory(&self) -> usize {
        block_of(&self.items)
    }

    /// Writes the value of a field, if there are no more than so many fields then; true if the field is new, and none if there
    /// is no room for it.
    pub(super) fn set(&mut self, field: &[u8], value: &[u8], fields_max: usize) -> Option<bool> {
        let found = self.packed().find_pair(field).map(|(_, value)| value.range);
        let is_new = found.is_none();
        let [field, value] = [Encoded::new(field), Encoded::new(value)];
        let added = value.len() + if is_new { field.len() } else { 0 };
        if self.count / 2 + usize::from(is_new) > fields_max || self.items.len() + added > PACKED_SIZE_MAX {
            return None;
        }
        let end = self.items.len();
        let range = found.unwrap_or(end..end);
        if range.len() < added {
            reserve(&mut self.items, added - range.len());
        }
        let [field, value] = [field.pieces(), value.pieces()];
        let field = field.into_iter().take(if is_new { 2 } else { 0 });
        self.items.splice(range, field.chain(value).flatten().copied());
        self.count += if is_new { 2 } else { 0 };
        give_back(&mut self.items);
        Some(is_new)
    }

    /// Removes a field; false if there is none.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let found = self.packed().find_pair(field);
        let Some(range) = found.map(|(field, value)| field.range.start..value.range.end) else {
            return false;
        };
        self.items.drain(range);
        self.count -= 2;
        give_back(&mut self.items);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn pairs_are_a_map_in_the_order_in_which_they_came() {
        let mut random = Random::with_seed(5);
        let mut pairs = PackedPairs { items: Vec::new(), count: 0 };
        let mut model: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for step in 0..20_000_usize {
            let field = [&b"field"[..], b""][step % 2].to_vec();
            let field = [field, random.below(60).to_string().into_bytes()].concat();
            let place = model.iter().position(|(other, _)| *other == field);
            if random.below(3) == 0 {
                assert_eq!(pairs.remove(&field), place.map(|place| model.remove(place)).is_some());
            } else {
                let value = vec![b'0'; random.below(40)];
                let expected = match place {
                    Some(place) => {
                        model[place].1.clone_from(&value);
                        Some(false)
                    }
                    None if model.len() < 50 => {
                        model.push((field.clone(), value.clone()));
                        Some(true)
                    }
                    None => None,
                };
                assert_eq!(pairs.set(&field, &value, 50), expected);
            }
            let held: Vec<_> = pairs
                .packed()
                .pairs()
                .map(|(field, value)| (field.part().to_vec(), value.part().to_vec()))
                .collect();
            assert_eq!(held, model);
            assert!(pairs.memory() <= 2 * crate::allocator::block_size(pairs.items.len()).max(16));
        }
        assert_eq!(pairs.set(b"long", &vec![b'x'; PACKED_SIZE_MAX], 60), None);
    }
}
