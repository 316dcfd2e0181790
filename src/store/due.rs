//! What happens to keys, and to fields of hashes, whose deadlines have passed: whoever finds one that is due removes it, and the steps
//! of active expiry remove those that nobody looks for.

use super::entries::{Deadline, EntryRef, Position};
use super::interests::Change;
use super::object::{ExpiredFields, Object};
use super::recency::AccessContext;
use super::shard::{Key, Shard};

/// The most fields that are removed by a look at a hash because their deadlines have passed; the others are hidden and left to
/// later looks and to the steps of expiry, so that no client waits for a million of them.
const DUE_FIELDS_MAX: usize = 64;

impl Shard {
    /// Removes up to `limit` keys and fields whose deadline has passed and returns how many there were.
    pub fn expire_due(&mut self, access: &AccessContext, limit: usize) -> usize {
        let mut removed = 0;
        while removed < limit {
            let Some((position, hash)) = self.entries.due(access.now, &self.hasher) else { break };
            let deadline = self.entries.get(position).due().unwrap_or(access.now);
            self.counts.expiry_lag_max = self.counts.expiry_lag_max.max(access.now - deadline);
            let (_, fields) = self.fall_due(position, hash, access.now, limit - removed);
            // A key that goes counts as one of its fields.
            removed += fields.max(1);
        }
        removed
    }

    /// Where the entry of a key is, unless it has expired.
    pub(super) fn live_position(&mut self, key: &Key<'_>, access: &AccessContext) -> Option<Position> {
        self.live(key, access, |_| ()).map(|(position, ())| position)
    }

    /// The same with a look at the entry, which costs less here than getting it again.
    #[inline]
    pub(super) fn live<R>(
        &mut self,
        key: &Key<'_>,
        access: &AccessContext,
        look: impl FnOnce(EntryRef<'_>) -> R,
    ) -> Option<(Position, R)> {
        let (position, entry) = self.entries.find(key.hash, key.bytes)?;
        if entry.is_due(access.now) {
            let (is_there, _) = self.fall_due(position, key.hash, access.now, DUE_FIELDS_MAX);
            return is_there.then(|| (position, look(self.entries.get(position))));
        }
        Some((position, look(entry)))
    }

    /// Removes the key of an entry that is due, or up to `limit` fields of it if it is these that expire; nobody sees the others
    /// any more.  Whether the key is still there, and how many fields were removed.
    #[inline(never)]
    fn fall_due(&mut self, position: Position, hash: u64, now: Deadline, limit: usize) -> (bool, usize) {
        let entry = self.entries.get(position);
        // A hash that nothing is left of goes as a whole: a large one is freed once the shard is unlocked.
        if entry.expiring_hash().is_none_or(|fields| fields.is_gone(now)) {
            self.expire(position, hash);
            return (false, 0);
        }
        let key = Box::<[u8]>::from(entry.key());
        let expired = self.change(position, |entry, _| match entry.object_mut() {
            Some(Object::ExpiringHash(fields)) => Some(fields.expire(now, limit)),
            _ => None,
        });
        self.changed = true;
        self.entries.settle_due(position);
        let Some(ExpiredFields { removed, is_news }) = expired else { return (true, 0) };
        if is_news {
            self.touched(&Key { bytes: &key, hash });
        }
        (true, removed)
    }

    #[inline(never)]
    fn expire(&mut self, position: Position, hash: u64) {
        // An expired entry is not dirty: its record has the deadline.
        let entry = self.unlink(position, hash);
        self.usage.note_removal(hash);
        self.counts.expired += 1;
        self.notify(&Key { bytes: entry.view().key(), hash }, Change::Removed);
        self.discard(entry);
    }
}
