//! Looks at shards that are held for long, which others take for those who wait.
//!
//! A command that walks the keys could try again whenever somebody lets go of something.  But its thread may be busy just then, and when it
//! comes round somebody else has the shard, time and again.  So it leaves its look here, and whoever ends a turn and finds the
//! shard free takes it: its place is before all who come later.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};

use smallvec::SmallVec;

use super::long_holds::HeldForLong;
use super::shard::Shard;
use super::shard_id::ShardId;
use crate::lock_order::{Mutex, rank};

/// Looks that are left at most: as many as clients wait and shards are held in the worst case that is worth a place.  Beyond it
/// commands try again by themselves.
const LOOKS_MAX: usize = 10_000;

/// A look that was left, as the one who wants to know what it finds has it.  If that is dropped, nobody takes it.
pub struct Look<T> {
    found: Arc<OnceLock<T>>,
    pub(super) shard: ShardId,
    /// The number of changes that [`LongHolds`](super::LongHolds) had counted before the last attempt.
    pub(super) seen: u64,
}

/// The outcome of a look.
pub enum Looked<T> {
    /// What it has found.
    Found(T),
    /// Nobody could take it yet.
    Left(Look<T>),
    /// It is of no use: the shard is held for this reason.
    Held(HeldForLong),
}

/// The looks that are left.
#[derive(Default)]
pub(super) struct Looks {
    count: AtomicUsize,
    left: Mutex<Vec<Left>, { rank::LOOKS }>,
}

struct Left {
    shard: ShardId,
    /// What it finds goes there, as long as anybody wants it.
    wanted: Weak<dyn Any + Send + Sync>,
    take: Option<Take>,
}

/// How a look is taken at its locked shard.
pub(super) type Take = Box<dyn FnOnce(&mut Shard) + Send>;

impl<T> Look<T> {
    /// The shard.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Why nobody could take it yet.
    pub fn reason(&self) -> HeldForLong {
        HeldForLong::ByCommand { seen: self.seen }
    }

    /// What it has found.
    pub(super) fn into_found(self) -> Result<T, Look<T>> {
        // Whoever looks has it beside this, until a moment after it has found something.
        if self.found.get().is_none() {
            return Err(self);
        }
        let Look { found, shard, seen } = self;
        match Arc::try_unwrap(found).map(OnceLock::into_inner) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => unreachable!("it was there"),
            Err(found) => Err(Look { found, shard, seen }),
        }
    }
}

impl Looks {
    /// Leaves a look at a shard; none if there are too many.
    pub(super) fn leave<T: Send + Sync + 'static>(
        &self,
        shard: ShardId,
        seen: u64,
        look: impl FnOnce(&mut Shard) -> T + Send + 'static,
    ) -> Option<Look<T>> {
        let found = Arc::new(OnceLock::new());
        let place = Arc::downgrade(&found);
        let wanted: Weak<dyn Any + Send + Sync> = place.clone();
        let take = move |shard: &mut Shard| {
            if let Some(found) = place.upgrade() {
                // Only this sets it.
                let _ = found.set(look(shard));
            }
        };
        let mut left = self.left.lock();
        if left.len() >= LOOKS_MAX {
            return None;
        }
        left.push(Left { shard, wanted, take: Some(Box::new(take)) });
        self.count.store(left.len(), Relaxed);
        Some(Look { found, shard, seen })
    }

    /// Whether any is left.
    pub(super) fn are_left(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    /// Has looks taken, the first one first; those that are given back stay, and so do those at the same shards.  True if any was
    /// taken.
    pub(super) fn take(&self, mut take: impl FnMut(ShardId, Take) -> Result<(), Take>) -> bool {
        // Held meanwhile, so that a thread that has just let go of a shard finds all looks at it.
        let mut left = self.left.lock();
        let (mut is_any_taken, mut held) = (false, SmallVec::<[ShardId; 8]>::new());
        left.retain_mut(|look| {
            if look.wanted.strong_count() == 0 {
                return false;
            }
            if held.contains(&look.shard) {
                return true;
            }
            let Some(taking) = look.take.take() else { return false };
            look.take = take(look.shard, taking).err();
            match look.take {
                Some(_) => held.push(look.shard),
                None => is_any_taken = true,
            }
            look.take.is_some()
        });
        self.count.store(left.len(), Relaxed);
        is_any_taken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::super::keyspace::tests::ACCESS;
    use super::super::long_holds::Patience;
    use super::*;
    use crate::clock::Now;
    use crate::store::{Keyspace, Lifetime, Store};

    fn view(store: &Store) -> Keyspace<'_> {
        let now = Now::at(std::time::Duration::ZERO, std::time::Duration::ZERO);
        let mut keyspace = Keyspace::new(store, now, ACCESS);
        keyspace.patience = Patience::Nobody;
        keyspace
    }

    #[test]
    fn a_look_is_taken_by_whoever_finds_the_shard_free() {
        let store = Store::new(1, 1, 2, 7);
        let key = store.key(b"held");
        let id = store.shard_of(0, key.hash);
        view(&store).with_shard(id, |shard, access| shard.set(&key, b"value", Lifetime::Forever, access));
        store.holds().note_turn(1);
        let mut keyspace = view(&store);
        let (is_there, there) = channel();
        let (may_leave, leave) = channel::<()>();
        let look = thread::scope(|scope| {
            let store = &store;
            scope.spawn(move || {
                let _held = store.lock(id);
                is_there.send(()).expect("the test waits");
                // Until the other end is dropped.
                let _ = leave.recv();
            });
            there.recv().expect("nobody else has it");
            let Looked::Left(look) = keyspace.look(id, |shard, _| shard.len()) else {
                panic!("somebody has it for long")
            };
            assert!(
                matches!(keyspace.look(id, |_, _| ()), Looked::Left(_)),
                "and drops it, so nobody takes it"
            );
            view(store).take_looks();
            assert!(store.has_looks(), "it is held still");
            drop(may_leave);
            look
        });
        let before = store.holds().changes();
        view(&store).take_looks();
        assert!(!store.has_looks());
        assert_eq!(store.holds().changes(), before + 1, "those who wait are told");
        // The look shows the shard as it was then, so a later removal does not count.
        view(&store).with_shard(id, |shard, access| assert!(shard.remove(&key, access)));
        assert!(matches!(keyspace.finish_look(look), Looked::Found(1)));
    }

    #[test]
    fn no_more_looks_are_left_than_the_limit_allows() {
        let store = Store::new(1, 1, 1, 7);
        let id = store.shard_number(0, 0);
        let leave = || store.looks().leave(id, 0, |_| ());
        let looks: Vec<_> = (0..LOOKS_MAX).map(|_| leave()).collect();
        assert!(looks.iter().all(Option::is_some) && leave().is_none());
        view(&store).take_looks();
        assert!(leave().is_some());
    }

    #[test]
    fn looks_that_nobody_wants_any_more_make_room() {
        let store = Store::new(1, 1, 1, 7);
        let id = store.shard_number(0, 0);
        let wanted = store.looks().leave(id, 0, |_| ());
        drop(store.looks().leave(id, 0, |_| ()));
        assert!(!store.looks().take(|_, take| Err(take)), "none is taken");
        assert_eq!(store.looks().count.load(Relaxed), 1);
        view(&store).take_looks();
        assert!(wanted.is_some_and(|look| look.into_found().is_ok()));
    }
}
