//! The strings of a shard: writing them whole and in part.

use bytes::{Bytes, BytesMut};

use super::entries::{Deadline, Entry, INLINE_VALUE_MAX, Position};
use super::lifetime::Lifetime;
use super::recency::AccessContext;
use super::shard::{Key, Shard};
use super::value::{ContentType, WrongType};

/// Where a string goes.
enum Destination {
    /// Over the string that is there.
    Over(Position),
    /// Into a new entry with this deadline.
    New(Option<Deadline>),
}

/// The facts about an entry that writing its value leaves as they were.
struct Kept {
    deadline: Option<Deadline>,
    recency: u32,
}

impl Kept {
    fn of(entry: &Entry) -> Kept {
        let view = entry.view();
        Kept { deadline: view.deadline(), recency: view.recency() }
    }
}

impl Shard {
    /// Writes a string, whatever the key held.
    pub fn set(&mut self, key: &Key<'_>, value: &[u8], lifetime: Lifetime, access: &AccessContext) {
        match self.destination(key, lifetime, access) {
            Destination::New(deadline) => self.insert(key, Entry::new(key.bytes, value, deadline), access),
            Destination::Over(position) => {
                let kept = self.change(position, |entry, _| {
                    entry.set_value(value);
                    Kept::of(entry)
                });
                self.finish_overwrite(key, position, kept, lifetime, access);
            }
        }
    }

    /// Writes a string that is already shared, without copying it.
    pub fn set_shared(&mut self, key: &Key<'_>, value: Bytes, lifetime: Lifetime, access: &AccessContext) {
        self.set_typed(key, value, None, lifetime, access);
    }

    /// Writes a string that is already shared, without copying it, with a content type, which stays until the string is
    /// next written to.
    pub fn set_typed(
        &mut self,
        key: &Key<'_>,
        value: Bytes,
        content_type: Option<ContentType<'_>>,
        lifetime: Lifetime,
        access: &AccessContext,
    ) {
        match self.destination(key, lifetime, access) {
            Destination::New(deadline) => {
                self.insert(key, Entry::new_typed(key.bytes, value, content_type, deadline), access);
            }
            Destination::Over(position) => {
                let kept = self.change(position, |entry, _| {
                    entry.set_shared(value, content_type);
                    Kept::of(entry)
                });
                self.finish_overwrite(key, position, kept, lifetime, access);
            }
        }
    }

    /// An entry for `key`, which is not put there, with a string.
    pub fn make_string(
        &self,
        key: &Key<'_>,
        value: Bytes,
        lifetime: Lifetime,
        access: &AccessContext,
    ) -> Entry {
        Entry::new_shared(key.bytes, value, access.lifetimes.written(lifetime, None, access.now))
    }

    /// Where a string goes that may overwrite anything.  A value of another type is removed.
    fn destination(&mut self, key: &Key<'_>, lifetime: Lifetime, access: &AccessContext) -> Destination {
        let Some((position, is_string)) = self.live(key, access, |entry| entry.is_string()) else {
            return Destination::New(access.lifetimes.written(lifetime, None, access.now));
        };
        if is_string {
            return Destination::Over(position);
        }
        let replaced = self.take_out(position, key.hash);
        let old = replaced.view().deadline();
        self.discard(replaced);
        Destination::New(access.lifetimes.written(lifetime, old, access.now))
    }

    fn finish_overwrite(
        &mut self,
        key: &Key<'_>,
        position: Position,
        Kept { deadline: old, recency }: Kept,
        lifetime: Lifetime,
        access: &AccessContext,
    ) {
        let new = match lifetime {
            Lifetime::Keep => old,
            _ => access.lifetimes.written(lifetime, old, access.now),
        };
        if new != old {
            self.change_deadline(position, new);
        }
        self.note_write_after(position, recency, key, access);
    }

    /// Notes a write to an existing value.
    pub(super) fn note_write(&mut self, position: Position, key: &Key<'_>, access: &AccessContext) {
        let recency = self.entries.get(position).recency();
        self.note_write_after(position, recency, key, access);
    }

    /// The same where the recency of the entry is known.
    fn note_write_after(&mut self, position: Position, recency: u32, key: &Key<'_>, access: &AccessContext) {
        self.note_access_after(position, recency, access);
        self.usage.note_overwrite(&self.entries, position, key.hash, access);
        self.touched(key);
    }

    /// Writes the string that `revise` makes of the old one (none if there is no such key), keeping the deadline.  Nothing is
    /// written if it refuses (an access it is even so), and nothing allocated if the new value takes the room of the old one.
    ///
    /// # Errors
    /// The refusal of `revise`, or that the key holds no string.
    pub fn revise<T: AsRef<[u8]>, E: From<WrongType>>(
        &mut self,
        key: &Key<'_>,
        access: &AccessContext,
        revise: impl FnOnce(Option<&[u8]>) -> Result<T, E>,
    ) -> Result<(), E> {
        let Some(position) = self.live_position(key, access) else {
            let value = revise(None)?;
            let deadline = access.lifetimes.written(Lifetime::Forever, None, access.now);
            self.insert(key, Entry::new(key.bytes, value.as_ref(), deadline), access);
            return Ok(());
        };
        self.note_access(position, access);
        let value = revise(Some(self.entries.get(position).string()?.bytes()))?;
        self.change(position, |entry, _| entry.set_value(value.as_ref()));
        self.touched(key);
        Ok(())
    }

    /// Changes the bytes of an existing string in part, keeping its deadline.  `change` gets the string as a
    /// buffer whose spare capacity survives between calls for long values; a long value that is not shared is not
    /// copied.  None if there is no such key.
    ///
    /// # Errors
    /// If the key holds no string.
    pub fn edit<R>(
        &mut self,
        key: &Key<'_>,
        access: &AccessContext,
        change: impl FnOnce(&mut BytesMut) -> R,
    ) -> Result<Option<R>, WrongType> {
        let Some(position) = self.live_position(key, access) else { return Ok(None) };
        self.entries.get(position).string()?;
        let result = self.change(position, |entry, _| {
            let mut value = match entry.take_shared() {
                Some(shared) => shared.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..])),
                None => BytesMut::from(entry.view().bytes()),
            };
            let result = change(&mut value);
            if value.len() > INLINE_VALUE_MAX {
                entry.set_shared(value.freeze(), None);
            } else {
                entry.set_value(&value);
            }
            entry.mark_modified();
            result
        });
        self.note_write(position, key, access);
        Ok(Some(result))
    }

    /// Appends to an existing string and returns its new length; none if there is no such key.
    ///
    /// # Errors
    /// If the key holds no string.
    pub fn append(
        &mut self,
        key: &Key<'_>,
        suffix: &[u8],
        access: &AccessContext,
    ) -> Result<Option<usize>, WrongType> {
        let Some(position) = self.live_position(key, access) else { return Ok(None) };
        self.entries.get(position).string()?;
        if self.change(position, |entry, _| entry.append_in_place(suffix)) {
            self.note_write(position, key, access);
            return Ok(Some(self.entries.get(position).bytes().len()));
        }
        self.edit(key, access, |bytes| {
            bytes.extend_from_slice(suffix);
            bytes.len()
        })
    }
}
