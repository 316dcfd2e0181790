//! The objects of a shard: writing to values with parts.

use super::entries::Entry;
use super::hash::KeyHasher;
use super::lifetime::Lifetime;
use super::object::{Hash, HashLimits, HashWriter, Object};
use super::recency::AccessContext;
use super::shard::{Key, Shard};
use super::value::WrongType;

impl Shard {
    /// Lets `write` change a hash, an empty one if there is no such key.  A hash that is left without fields is removed,
    /// and watchers are notified if anything was changed.
    ///
    /// # Errors
    /// If the key holds something else.
    pub fn write_hash<R>(
        &mut self,
        key: &Key<'_>,
        limits: HashLimits,
        access: &AccessContext,
        write: impl FnOnce(&mut HashWriter<'_>) -> R,
    ) -> Result<R, WrongType> {
        self.write_object(
            key,
            access,
            || Object::Hash(Hash::new()),
            |object, hasher| {
                let mut writer = HashWriter::new(object.hash_mut()?, limits, hasher);
                let result = write(&mut writer);
                Ok((result, writer.has_changed()))
            },
        )
    }

    /// Lets `write` change an object, one that `make` makes if there is no such key, and tell whether it has changed it.
    fn write_object<R>(
        &mut self,
        key: &Key<'_>,
        access: &AccessContext,
        make: impl FnOnce() -> Object,
        write: impl FnOnce(&mut Object, &KeyHasher) -> Result<(R, bool), WrongType>,
    ) -> Result<R, WrongType> {
        let Some(position) = self.live_position(key, access) else {
            let mut object = Box::new(make());
            let (result, _) = write(&mut object, &self.hasher)?;
            if !object.is_empty() {
                let deadline = access.lifetimes.written(Lifetime::Forever, None, access.now);
                self.insert(key, Entry::new_object(key.bytes, object, deadline), access);
            }
            return Ok(result);
        };
        self.note_access(position, access);
        self.entries.get(position).object()?;
        let (result, has_changed, is_empty) = self.change(position, |entry, hasher| {
            let object = entry.object_mut().ok_or(WrongType)?;
            let (result, has_changed) = write(object, hasher)?;
            Ok((result, has_changed, object.is_empty()))
        })?;
        if has_changed {
            self.note_write(position, key, access);
        }
        if is_empty {
            let emptied = self.take_out(position, key.hash);
            self.discard(emptied);
        }
        Ok(result)
    }
}
