//! What is held for long, so that others need not wait for it.
//!
//! A script notes what it holds once it is over `busy-reply-threshold`.  Of any other turn that takes long is only known that
//! it holds something: whoever watches over the thread notes that, and clients that find a lock taken meanwhile wait here
//! ([`LongHolds::park`]) instead of in their thread.  Only threads that find a lock taken look here.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use std::task::{Poll, Waker};

use smallvec::SmallVec;

use crate::lock_order::{Mutex, MutexGuard, rank};

/// Shards that a script holds before the list of them moves to the heap.
const INLINE_SHARDS: usize = 4;

/// What a script holds.
#[derive(Clone, Debug)]
pub enum Hold {
    /// Its slot at the gate, and the shards of these numbers.
    Shards(SmallVec<[u64; INLINE_SHARDS]>),
    /// The gate alone, and with it everything.
    All,
}

/// What is held for long that a command needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeldForLong {
    /// A script over its threshold, which may have no end.
    ByScript,
    /// Another command, which ends by itself.
    ByCommand {
        /// The changes before the last attempt to get it, for [`LongHolds::park`].
        seen: u64,
    },
}

/// What becomes of the turn in which a script has run for long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It has this thread to itself, and does more; [`LongHolds::forget_turn`] follows.
    Lasts,
    /// It ends, or keeps nobody waiting.
    Ends,
}

/// For whom a thread waits that needs a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// For all but scripts over their threshold.
    Commands,
    /// For nobody who takes long.
    Nobody,
}

/// How often a command that needs the store alone is held up before it waits in its thread and keeps others out meanwhile.
const ALONE_ATTEMPTS: u32 = 16;

impl Patience {
    /// For whom a thread waits that needs the store alone and was held up so many times: if commands that take long overlap all the
    /// time, the store is never free by itself.
    pub fn to_be_alone(attempts: u32) -> Patience {
        if attempts < ALONE_ATTEMPTS { Patience::Nobody } else { Patience::Commands }
    }
}

/// The place of a request among those that wait.  It keeps the place until it has run, so that requests which come later do not run
/// before it time and again.
#[derive(Clone, Copy, Default, Debug)]
pub struct Place(Option<u64>);

/// See the head of the file.
#[derive(Default)]
pub struct LongHolds {
    /// How many scripts and turns there are.
    scripts: AtomicUsize,
    turns: AtomicUsize,
    /// How often something has been let go of, or became better known.
    changes: AtomicU64,
    holders: Mutex<Holders, { rank::LONG_HOLDS }>,
}

#[derive(Default)]
struct Holders {
    /// By the slots of their threads.
    scripts: Vec<(usize, Hold)>,
    turns: Vec<usize>,
    /// The slots of the threads of each worker.
    workers: Vec<[usize; 2]>,
    /// The slots of threads that nobody ever watches over.
    unwatched: Vec<usize>,
    /// Those who wait for a change, by what tells their wakers apart, each with its place among them.
    parked: HashMap<(usize, usize), (u64, Waker)>,
    /// Those who have waited so far.
    places: u64,
}

impl Holders {
    fn is_empty(&self) -> bool {
        self.scripts.is_empty() && self.turns.is_empty()
    }

    /// Whether the thread of a slot is at something long.
    fn have(&self, slot: usize) -> bool {
        self.turns.contains(&slot) || self.scripts.iter().any(|(holder, _)| *holder == slot)
    }

    /// Whether nobody watches over the thread of a slot just now.
    fn leave_unwatched(&self, slot: usize) -> bool {
        self.unwatched.contains(&slot) || self.partner(slot).is_some_and(|partner| self.have(partner))
    }

    /// The other thread of the worker that a slot belongs to.
    fn partner(&self, slot: usize) -> Option<usize> {
        let worker = self.workers.iter().find(|worker| worker.contains(&slot));
        worker.map(|[one, other]| if *one == slot { *other } else { *one })
    }
}

impl LongHolds {
    /// The threads of these slots belong to one worker: while one of them is at something long, nobody watches over the other one.
    pub fn add_worker(&self, slots: [usize; 2]) {
        self.holders.lock().workers.push(slots);
    }

    /// Nobody ever watches over the thread of a slot.
    pub fn add_unwatched(&self, slot: usize) {
        self.holders.lock().unwatched.push(slot);
    }

    /// Notes what the script on the thread of a slot holds.
    pub fn note(&self, slot: usize, hold: Hold) {
        let mut holders = self.holders.lock();
        holders.scripts.push((slot, hold));
        // From here on more is known than of its turn.
        holders.turns.retain(|holder| *holder != slot);
        self.count_and_wake(holders);
    }

    /// The script has ended.  If its turn lasts, it is only known again that this holds something.
    pub fn forget(&self, slot: usize, turn: Turn) {
        let mut holders = self.holders.lock();
        holders.scripts.retain(|(holder, _)| *holder != slot);
        if turn == Turn::Lasts {
            holders.turns.push(slot);
        }
        self.count_and_wake(holders);
    }

    /// Notes that the thread of a slot is at a turn that takes long, unless it runs a script that has noted what it holds.
    pub fn note_turn(&self, slot: usize) {
        let mut holders = self.holders.lock();
        if holders.scripts.iter().all(|(holder, _)| *holder != slot) {
            holders.turns.push(slot);
        }
        self.count(&holders);
    }

    /// The turn has ended, if there was one: those who have waited for it try again.
    pub fn forget_turn(&self, slot: usize) {
        let mut holders = self.holders.lock();
        holders.turns.retain(|holder| *holder != slot);
        self.count_and_wake(holders);
    }

    /// Notes that the thread of a slot is at a turn that takes long if nobody watches over it: a thread that has waited long calls this.
    /// The turn may have ended, so `still_holds` looks once more whether that thread has what is waited for; if not, the note is
    /// taken back.  False if nothing is noted.
    pub(super) fn note_unwatched(&self, slot: usize, still_holds: impl FnOnce() -> bool) -> bool {
        let mut holders = self.holders.lock();
        if holders.have(slot) || !holders.leave_unwatched(slot) {
            return false;
        }
        holders.turns.push(slot);
        self.count(&holders);
        drop(holders);
        // Either the look that follows finds that the lock was let go of, or `end_turn` finds the note.
        fence(SeqCst);
        let is_held = still_holds();
        if !is_held {
            self.forget_turn(slot);
        }
        is_held
    }

    /// The turn of a thread has ended, which nobody has taken anything over from, and all that it held is let go of.
    pub fn end_turn(&self, slot: usize) {
        fence(SeqCst);
        if self.has_turns() && self.holders.lock().turns.contains(&slot) {
            self.forget_turn(slot);
        }
    }

    /// Something was done for those who wait: they try again.
    pub(super) fn note_change(&self) {
        self.count_and_wake(self.holders.lock());
    }

    /// The changes so far, for [`LongHolds::park`].
    pub fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    /// Ready if there was a change since there were `seen` of them, or nothing is held for long; else `waker` is woken then.  Whoever
    /// counts the changes before it tries to get what it needs misses none.  Whoever has the first place is woken first.
    pub fn park(&self, seen: u64, place: &mut Place, waker: &Waker) -> Poll<()> {
        let mut holders = self.holders.lock();
        if holders.is_empty() || self.changes() != seen {
            return Poll::Ready(());
        }
        let place = *place.0.get_or_insert_with(|| {
            holders.places += 1;
            holders.places
        });
        holders.parked.entry(name_of(waker)).or_insert_with(|| (place, waker.clone()));
        Poll::Pending
    }

    /// Whoever has this waker waits no more.
    pub fn leave(&self, waker: &Waker) {
        if !self.is_empty() || self.has_turns() {
            self.holders.lock().parked.remove(&name_of(waker));
        }
    }

    /// Whether no script holds anything for long.
    pub fn is_empty(&self) -> bool {
        self.scripts.load(Relaxed) == 0
    }

    /// Whether threads are at turns that take long.
    pub fn has_turns(&self) -> bool {
        self.turns.load(Relaxed) > 0
    }

    /// Whether a script holds everything.
    pub fn has_all(&self) -> bool {
        self.has(|_, hold| matches!(hold, Hold::All))
    }

    /// Whether a script holds the shard of a number.
    pub fn has_shard(&self, number: u64) -> bool {
        self.has(|_, hold| match hold {
            Hold::Shards(shards) => shards.contains(&number),
            Hold::All => true,
        })
    }

    /// Whether a script holds a slot at the gate.
    pub fn has_slot(&self, slot: usize) -> bool {
        self.has(|holder, hold| holder == slot || matches!(hold, Hold::All))
    }

    /// Whether the thread of a slot, which holds what `asker` waits for, is at a turn that takes long; or at one that nobody watches
    /// over because of the asker, so that the two wait for each other.
    pub(super) fn is_in_long_turn(&self, slot: usize, asker: Option<usize>) -> bool {
        if self.is_empty() && !self.has_turns() {
            return false;
        }
        let holders = self.holders.lock();
        let waits_for_asker = |partner| asker == Some(partner) && holders.have(partner);
        holders.turns.contains(&slot) || holders.partner(slot).is_some_and(waits_for_asker)
    }

    fn has(&self, is_it: impl Fn(usize, &Hold) -> bool) -> bool {
        !self.is_empty() && self.holders.lock().scripts.iter().any(|(slot, hold)| is_it(*slot, hold))
    }

    fn count(&self, holders: &Holders) {
        self.scripts.store(holders.scripts.len(), Relaxed);
        self.turns.store(holders.turns.len(), Relaxed);
    }

    fn count_and_wake(&self, mut holders: MutexGuard<'_, Holders>) {
        self.count(&holders);
        self.changes.fetch_add(1, Relaxed);
        let parked = std::mem::take(&mut holders.parked);
        drop(holders);
        let mut parked: Vec<(u64, Waker)> = parked.into_values().collect();
        parked.sort_unstable_by_key(|(place, _)| *place);
        parked.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// Two wakers of one name wake the same.
fn name_of(waker: &Waker) -> (usize, usize) {
    (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr())
}

/// What a thread asks between its attempts to get a lock that somebody else has.
pub(super) struct Inquiry<'h> {
    holds: &'h LongHolds,
    patience: Patience,
    /// The changes before the last attempt.  What ends from then on is one that [`LongHolds::park`] does not miss.
    seen: Cell<Option<u64>>,
    reason: Cell<HeldForLong>,
}

impl<'h> Inquiry<'h> {
    /// One that gives up for a turn only after it was asked once and an attempt has followed: whoever has the lock may have it for
    /// a moment, although its turn, or somebody else's, takes long.
    pub(super) fn new(holds: &'h LongHolds, patience: Patience) -> Inquiry<'h> {
        Inquiry { holds, patience, seen: Cell::new(None), reason: Cell::new(HeldForLong::ByScript) }
    }

    /// Whether a script has the lock, or a turn that takes longer than the thread's patience lasts.
    pub(super) fn is_hopeless(
        &self,
        by_script: impl FnOnce(&LongHolds) -> bool,
        by_turn: impl FnOnce(&LongHolds) -> bool,
    ) -> bool {
        let seen = self.seen.replace(Some(self.holds.changes()));
        if by_script(self.holds) {
            self.reason.set(HeldForLong::ByScript);
            return true;
        }
        let Some(seen) = seen else { return false };
        self.reason.set(HeldForLong::ByCommand { seen });
        self.patience == Patience::Nobody && by_turn(self.holds)
    }

    /// Why the thread has given up.
    pub(super) fn reason(&self) -> HeldForLong {
        self.reason.get()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use smallvec::smallvec;

    use super::*;

    #[test]
    fn what_is_noted_is_held_until_it_is_forgotten() {
        let holds = LongHolds::default();
        assert!(holds.is_empty() && !holds.has_shard(7));
        holds.note(1, Hold::Shards(smallvec![7]));
        assert!(holds.has_shard(7) && !holds.has_shard(8) && !holds.has_all());
        assert!(holds.has_slot(1) && !holds.has_slot(0));
        holds.note(0, Hold::All);
        assert!(holds.has_shard(8) && holds.has_all() && holds.has_slot(0) && holds.has_slot(5));
        holds.forget(0, Turn::Ends);
        assert!(holds.has_shard(7) && !holds.has_all());
        holds.forget(1, Turn::Ends);
        assert!(holds.is_empty());
    }

    #[test]
    fn who_waits_for_a_turn_is_woken_when_it_ends_or_when_it_is_known_what_it_holds() {
        let holds = LongHolds::default();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let is_parked = || holds.park(holds.changes(), &mut Place::default(), &waker).is_pending();
        assert!(!is_parked(), "there is nothing to wait for");
        holds.note_turn(3);
        assert!(holds.has_turns() && is_parked() && is_parked());
        holds.note_turn(4);
        let seen = holds.changes();
        holds.forget_turn(3);
        assert!(holds.park(seen, &mut Place::default(), &waker).is_ready(), "what it waits for may be free");
        assert_eq!(woken.0.load(Relaxed), 1, "one that waits is woken once");
        assert!(is_parked(), "another turn takes long still");
        holds.note(4, Hold::Shards(smallvec![7]));
        assert_eq!(woken.0.load(Relaxed), 2);
        holds.note_turn(4);
        assert!(!holds.has_turns(), "it is known what the script holds");
        assert!(is_parked(), "the script lasts");
        holds.forget(4, Turn::Ends);
        assert_eq!(woken.0.load(Relaxed), 3);
        assert!(!is_parked(), "nothing is held any more");
    }

    /// The turn that it has met may end before it parks, while another one lasts.
    #[test]
    fn what_ends_between_an_attempt_and_parking_is_not_missed() {
        let holds = LongHolds::default();
        holds.note_turn(3);
        holds.note_turn(4);
        let inquiry = Inquiry::new(&holds, Patience::Nobody);
        let ask = || inquiry.is_hopeless(|_| false, |holds| holds.is_in_long_turn(3, None));
        assert!(!ask(), "no attempt has followed");
        holds.forget_turn(4);
        assert!(ask());
        let HeldForLong::ByCommand { seen } = inquiry.reason() else { panic!("it is no script") };
        assert!(
            holds.park(seen, &mut Place::default(), Waker::noop()).is_ready(),
            "turn 4 may have had what was tried for in between"
        );
        assert!(ask());
        let HeldForLong::ByCommand { seen } = inquiry.reason() else { panic!("it is no script") };
        assert!(holds.park(seen, &mut Place::default(), Waker::noop()).is_pending());
        holds.note_turn(4);
        holds.forget_turn(3);
        assert!(holds.park(seen, &mut Place::default(), Waker::noop()).is_ready(), "turn 3 had it");
    }

    #[test]
    fn the_turn_of_a_thread_that_nobody_watches_over_is_noted_by_one_who_waits() {
        let holds = LongHolds::default();
        holds.add_worker([0, 4]);
        holds.add_worker([1, 5]);
        holds.add_unwatched(2);
        let noted = || {
            [0, 1, 2, 4, 5]
                .into_iter()
                .filter(|slot| holds.note_unwatched(*slot, || true))
                .collect::<Vec<_>>()
        };
        assert_eq!(noted(), [2], "nobody ever watches over this one");
        assert!(noted().is_empty(), "it is noted");
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert!(holds.park(holds.changes(), &mut Place::default(), &waker).is_pending());
        holds.end_turn(1);
        assert_eq!(woken.0.load(Relaxed), 0, "it was not noted");
        holds.end_turn(2);
        assert_eq!(woken.0.load(Relaxed), 1);
        for note in [(|holds| holds.note_turn(0)) as fn(&LongHolds), |holds| holds.note(0, Hold::All)] {
            note(&holds);
            assert_eq!(noted(), [2, 4], "who would watch over it is at something long");
            assert!(holds.is_in_long_turn(4, Some(1)));
            holds.end_turn(4);
            holds.end_turn(2);
            assert!(!holds.is_in_long_turn(4, Some(1)));
            assert!(holds.is_in_long_turn(4, Some(0)), "the one who waits would watch over it");
        }
        holds.forget(0, Turn::Ends);
        assert!(!holds.is_in_long_turn(4, Some(0)));
    }

    /// Or one that needs a key for which others come all the time might never have it.
    #[test]
    fn those_who_wait_are_woken_in_the_order_in_which_they_came() {
        let (holds, order) = (LongHolds::default(), Arc::default());
        holds.note_turn(3);
        for number in 0..100 {
            let waker = Waker::from(Arc::new(Order(number, Arc::clone(&order))));
            assert!(holds.park(holds.changes(), &mut Place::default(), &waker).is_pending());
        }
        holds.forget_turn(3);
        assert!(order.lock().iter().copied().eq(0..100));
    }

    #[test]
    fn whoever_is_held_up_again_keeps_the_place() {
        let (holds, order) = (LongHolds::default(), Arc::default());
        let mut places = [Place::default(); 3];
        let wakers = [0, 1, 2].map(|number| Waker::from(Arc::new(Order(number, Arc::clone(&order)))));
        let mut park = |number: usize| {
            assert!(holds.park(holds.changes(), &mut places[number], &wakers[number]).is_pending());
        };
        holds.note_turn(3);
        park(0);
        park(1);
        holds.forget_turn(3);
        holds.note_turn(4);
        for number in [2, 1, 0] {
            park(number);
        }
        holds.forget_turn(4);
        assert_eq!(*order.lock(), [0, 1, 0, 1, 2]);
    }

    #[test]
    fn each_of_a_crowd_is_parked_once_and_not_after_it_has_left() {
        let holds = LongHolds::default();
        holds.note_turn(3);
        let crowd: Vec<_> = (0..1_000).map(|_| Arc::new(Woken::default())).collect();
        for (number, woken) in crowd.iter().enumerate() {
            let waker = Waker::from(Arc::clone(woken));
            for _ in 0..2 {
                assert!(holds.park(holds.changes(), &mut Place::default(), &waker).is_pending());
            }
            if number % 2 == 1 {
                holds.leave(&waker);
            }
        }
        assert_eq!(holds.holders.lock().parked.len(), crowd.len() / 2);
        holds.forget_turn(3);
        for (number, woken) in crowd.iter().enumerate() {
            assert_eq!(woken.0.load(Relaxed), 1 - number % 2, "client {number}");
        }
    }

    /// What follows in the turn, such as the rest of a pipeline, may hold the same, and nobody watches over it any more.
    #[test]
    fn a_turn_that_outlasts_its_script_is_held_for_long_until_it_ends() {
        let holds = LongHolds::default();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        holds.note_turn(3);
        holds.note(3, Hold::Shards(smallvec![7]));
        holds.forget(3, Turn::Lasts);
        assert!(holds.is_empty() && holds.has_turns());
        assert!(holds.is_in_long_turn(3, None) && !holds.has_shard(7));
        assert!(holds.park(holds.changes(), &mut Place::default(), &waker).is_pending());
        // The next script of the turn.
        holds.note(3, Hold::All);
        assert!(holds.has_all() && !holds.has_turns());
        holds.forget(3, Turn::Lasts);
        assert_eq!(woken.0.load(Relaxed), 1);
        assert!(holds.park(holds.changes(), &mut Place::default(), &waker).is_pending());
        holds.forget_turn(3);
        assert_eq!(woken.0.load(Relaxed), 2);
        assert!(holds.is_empty() && !holds.has_turns());
    }

    /// One who notes that he was woken.
    struct Order(usize, Arc<Mutex<Vec<usize>, { rank::WOKEN }>>);

    impl std::task::Wake for Order {
        fn wake(self: Arc<Order>) {
            self.1.lock().push(self.0);
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Woken>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
}
