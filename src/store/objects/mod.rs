//! The values with parts of a shard, as they are written to: a file per type.

mod hash;
#[cfg(test)]
mod hash_deadline_tests;
#[cfg(test)]
mod hash_tests;
mod list;
#[cfg(test)]
mod list_tests;
mod set;
#[cfg(test)]
mod set_tests;
mod sorted_set;
#[cfg(test)]
mod sorted_set_tests;

pub use hash::{HashLimits, HashWriter};
pub use list::ListWriter;
pub use set::{SetLimits, SetWriter};
pub use sorted_set::{SortedSetLimits, SortedSetWriter, TakenMembers};

use super::entries::{Entry, Position};
use super::hash::KeyHasher;
use super::lifetime::Lifetime;
use super::object::PackedKind;
use super::recency::AccessContext;
use super::shard::{Key, Shard};
use super::value::{ValueType, WrongType};

/// A key that is there, as a write finds it.
struct FoundParts {
    position: Position,
    value_type: ValueType,
    recency: u32,
}

impl Shard {
    /// An entry for `key`, which is not put there, with a value with parts that `write` makes of a packed one without
    /// items.
    ///
    /// # Errors
    /// The refusal of `write`.
    pub(super) fn make_parts<E>(
        &self,
        key: &Key<'_>,
        kind: PackedKind,
        lifetime: Lifetime,
        access: &AccessContext,
        write: impl FnOnce(&mut Entry, &KeyHasher) -> Result<(), E>,
    ) -> Result<Entry, E> {
        let deadline = access.lifetimes.written(lifetime, None, access.now);
        let mut entry = Entry::new_packed(key.bytes, kind, deadline);
        write(&mut entry, &self.hasher)?;
        entry.settle_due();
        Ok(entry)
    }

    /// Lets `write` change a value with parts of the type of `kind` and tell whether it has changed it.  If there is no such
    /// key it gets a packed value of this kind without items.  A key whose value is left without parts is removed, and watchers are
    /// notified if anything was changed.
    ///
    /// # Errors
    /// If the key holds something else.
    pub(super) fn write_parts<R>(
        &mut self,
        key: &Key<'_>,
        kind: PackedKind,
        access: &AccessContext,
        write: impl FnOnce(&mut Entry, &KeyHasher) -> (R, bool),
    ) -> Result<R, WrongType> {
        let Some(found) = self.find_parts(key, access) else {
            let deadline = access.lifetimes.written(Lifetime::Forever, None, access.now);
            let mut entry = Entry::new_packed(key.bytes, kind, deadline);
            let (result, _) = write(&mut entry, &self.hasher);
            entry.settle_due();
            if !is_empty(&entry) {
                self.insert(key, entry, access);
            }
            return Ok(result);
        };
        self.change_found(key, found, kind, access, write)
    }

    /// The same of a key that is there; none if it is not, and nothing is written then.
    ///
    /// # Errors
    /// If the key holds something else.
    pub(super) fn change_parts<R>(
        &mut self,
        key: &Key<'_>,
        kind: PackedKind,
        access: &AccessContext,
        write: impl FnOnce(&mut Entry, &KeyHasher) -> (R, bool),
    ) -> Result<Option<R>, WrongType> {
        let Some(found) = self.find_parts(key, access) else { return Ok(None) };
        self.change_found(key, found, kind, access, write).map(Some)
    }

    fn find_parts(&mut self, key: &Key<'_>, access: &AccessContext) -> Option<FoundParts> {
        let found = self.live(key, access, |entry| (entry.value_type(), entry.recency()));
        found.map(|(position, (value_type, recency))| FoundParts { position, value_type, recency })
    }

    /// The same of a key that was just found.
    fn change_found<R>(
        &mut self,
        key: &Key<'_>,
        found: FoundParts,
        kind: PackedKind,
        access: &AccessContext,
        write: impl FnOnce(&mut Entry, &KeyHasher) -> (R, bool),
    ) -> Result<R, WrongType> {
        let FoundParts { position, value_type, recency } = found;
        self.note_access_after(position, recency, access);
        if value_type != kind.value_type() {
            return Err(WrongType);
        }
        let (result, has_changed, is_empty) = self.change(position, |entry, hasher| {
            let (result, has_changed) = write(entry, hasher);
            (result, has_changed, is_empty(entry))
        });
        if has_changed {
            self.changed |= self.entries.settle_due(position);
            self.note_write(position, key, access);
        }
        if is_empty {
            let emptied = self.take_out(position, key.hash);
            self.discard(emptied);
        }
        Ok(result)
    }
}

fn is_empty(entry: &Entry) -> bool {
    entry.view().parts().is_ok_and(|parts| parts.is_empty())
}
