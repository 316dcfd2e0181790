//! Writing to sets.
//!
//! A set of integers is a row of them while they are few; other sets are packed while their members are few and short.  One that
//! outgrows [`SetLimits`] becomes a table and stays one, as in Redis.

use quartet_protocol::resp::number::{integer_text, parse_integer};

use crate::store::entries::Entry;
use crate::store::hash::KeyHasher;
use crate::store::lifetime::Lifetime;
use crate::store::object::{
    Encoded, Integers, Object, PACKED_SIZE_MAX, Packed, PackedKind, ROW_LENGTH_MAX, Set, SetTable,
};
use crate::store::recency::AccessContext;
use crate::store::shard::{Key, Shard};
use crate::store::value::WrongType;

/// Up to where a set has which small form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetLimits {
    /// Most integers of a set without other members: the setting `set-max-intset-entries`.
    pub integers: usize,
    /// Most members of a packed set: the setting `set-max-listpack-entries`.
    pub entries: usize,
    /// Most bytes of a member of a packed set: the setting `set-max-listpack-value`.
    pub value: usize,
}

/// A set that is written to.
pub struct SetWriter<'s> {
    entry: &'s mut Entry,
    limits: SetLimits,
    hasher: &'s KeyHasher,
    changed: bool,
}

impl Shard {
    /// Lets `write` change a set, an empty one if there is no such key.  A set that is left without members is removed, and
    /// watchers are notified if anything was changed.
    ///
    /// # Errors
    /// If the key holds something else.
    pub fn write_set<R>(
        &mut self,
        key: &Key<'_>,
        limits: SetLimits,
        access: &AccessContext,
        write: impl FnOnce(&mut SetWriter<'_>) -> R,
    ) -> Result<R, WrongType> {
        self.write_parts(key, PackedKind::Integers, access, |entry, hasher| {
            let mut writer = SetWriter { entry, limits, hasher, changed: false };
            let result = write(&mut writer);
            (result, writer.changed)
        })
    }

    /// An entry for `key`, which is not put there, with a set that `write` makes of an empty one.
    ///
    /// # Errors
    /// The refusal of `write`.
    pub fn make_set<E>(
        &self,
        key: &Key<'_>,
        limits: SetLimits,
        lifetime: Lifetime,
        access: &AccessContext,
        write: impl FnOnce(&mut SetWriter<'_>) -> Result<(), E>,
    ) -> Result<Entry, E> {
        self.make_parts(key, PackedKind::Integers, lifetime, access, |entry, hasher| {
            write(&mut SetWriter { entry, limits, hasher, changed: false })
        })
    }
}

impl SetWriter<'_> {
    /// The set as it is.
    pub fn set(&self) -> Set<'_> {
        self.entry.view().parts().and_then(|parts| parts.set()).expect("the entry is that of a set")
    }

    /// Whether so many further members can be added.
    pub fn has_room(&self, members: usize) -> bool {
        members <= ROW_LENGTH_MAX - self.set().len()
    }

    /// Adds a member; false if it is there already.
    pub fn add(&mut self, member: &[u8]) -> bool {
        let is_new = self.add_any(member);
        self.changed |= is_new;
        is_new
    }

    /// Removes a member; false if there is none.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let is_removed = match self.table() {
            Some(table) => table.remove(member),
            None => self.remove_packed(member),
        };
        self.changed |= is_removed;
        is_removed
    }

    fn add_any(&mut self, member: &[u8]) -> bool {
        if let Some(table) = self.table() {
            return table.add(member);
        }
        if self.set().contains(member) {
            return false;
        }
        if self.packed().kind() == PackedKind::Integers {
            if let Some(integer) = parse_integer(member) {
                self.add_integer(integer);
                return true;
            }
            self.leave_integers(member);
        }
        self.add_packed(member)
    }

    /// Adds an integer that is not there to a set of integers.
    fn add_integer(&mut self, integer: i64) {
        let packed = self.packed();
        let (count, size, integers) = (packed.count(), packed.size(), Integers::new(packed));
        let place = integers.find(integer).unwrap_or_else(|place| place);
        if count >= self.limits.integers || size + 1 > PACKED_SIZE_MAX / 8 {
            self.make_table();
            self.table().expect("it was just made").add(&integer_text(integer));
            return;
        }
        match integers.encoded(integer) {
            Some((bytes, width)) => {
                let range = integers.range(place, place);
                self.entry.splice_packed(range, &[&bytes[..width]], count + 1);
            }
            None => {
                let items = integers.widened(place, integer);
                self.entry.splice_packed(0..size, &[&items], count + 1);
            }
        }
    }

    /// Has a set of integers, to which something else is to be added, keep its members as any.
    fn leave_integers(&mut self, added: &[u8]) {
        let (packed, limits) = (self.packed(), self.limits);
        let integers = Integers::new(packed);
        let mut items = Vec::with_capacity(packed.size());
        let mut is_too_long = packed.count() >= limits.entries || added.len() > limits.value;
        for integer in integers.iter() {
            is_too_long |= integer_text(integer).len() > limits.value;
            Encoded::number(integer).pieces().iter().for_each(|piece| items.extend_from_slice(piece));
        }
        if is_too_long {
            self.make_table();
        } else {
            let count = packed.count();
            self.entry.replace_packed(PackedKind::Set, &items, count);
        }
    }

    /// Adds a member that is not there to a set that may be packed.
    fn add_packed(&mut self, member: &[u8]) -> bool {
        if self.table().is_none() {
            let (count, size) = (self.packed().count(), self.packed().size());
            let is_short = member.len() <= self.limits.value.min(PACKED_SIZE_MAX);
            if is_short && count < self.limits.entries {
                let item = Encoded::new(member);
                if size + item.len() <= PACKED_SIZE_MAX {
                    self.entry.splice_packed(size..size, &item.pieces(), count + 1);
                    return true;
                }
            }
            self.make_table();
        }
        self.table().expect("it was just made").add(member)
    }

    fn remove_packed(&mut self, member: &[u8]) -> bool {
        let packed = self.packed();
        let count = packed.count();
        let found = if packed.kind() == PackedKind::Integers {
            let integers = Integers::new(packed);
            let place = parse_integer(member).and_then(|integer| integers.find(integer).ok());
            place.map(|place| integers.range(place, place + 1))
        } else if self.set().contains(member) {
            let wanted = Encoded::new(member);
            packed.items().find(|item| item.is(&wanted)).map(|item| item.range)
        } else {
            None
        };
        let Some(range) = found else { return false };
        self.entry.splice_packed(range, &[], count - 1);
        true
    }

    fn table(&mut self) -> Option<&mut SetTable> {
        match self.entry.object_mut()? {
            Object::Set(table) => Some(table),
            _ => None,
        }
    }

    /// The set in a small form.
    fn packed(&self) -> Packed<'_> {
        self.entry.view().packed().expect("a set that is no table is packed")
    }

    fn make_table(&mut self) {
        let mut table = SetTable::new(self.hasher.clone());
        self.set().for_each(|member| {
            table.add(member);
        });
        self.entry.set_object(Box::new(Object::Set(Box::new(table))));
    }
}

#[cfg(test)]
impl<'s> SetWriter<'s> {
    /// Writes to the set in an entry that is in no shard.
    pub(super) fn over(entry: &'s mut Entry, limits: SetLimits, hasher: &'s KeyHasher) -> SetWriter<'s> {
        SetWriter { entry, limits, hasher, changed: false }
    }
}
