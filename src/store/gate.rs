//! The gate: any number of threads run commands at once, or one of them alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crossbeam_utils::CachePadded;

use super::long_holds::{HeldForLong, Inquiry, LongHolds, Patience};
use crate::lock_order::{self, Held, rank};
use crate::stand_in;

/// The slot of no thread.
const NOBODY: usize = usize::MAX;

/// Lets any number of threads run commands at once, or one of them alone.
///
/// Each thread has a slot, an uncontended lock of its own; being alone means holding all slots.  A thread that wants to
/// be alone gives up its own slot first, so two of them cannot block each other; the locks hand
/// themselves over fairly after half a millisecond, so no thread starves.
pub struct Gate {
    slots: Box<[CachePadded<Slot>]>,
    holds: Arc<LongHolds>,
    /// The slot of the thread that is alone, or keeps all others out until it is.  Whoever has the first slot sets it.
    alone: AtomicUsize,
}

/// The lock of one thread.
type Slot = lock_order::Mutex<(), { rank::GATE }>;

/// The right to run commands, given by [`Gate::enter`].
pub struct Entered<'g> {
    _slot: lock_order::MutexGuard<'g, ()>,
}

/// The right to run commands while no other thread does, given by [`Gate::enter_exclusive`].
pub struct Exclusive<'g> {
    _slots: Slots<'g>,
    _held: Held,
}

/// The slots, from the first one on, of a thread that is alone or about to be.  It lets go of the last one first.  So a thread that gets the first
/// slot waits for the threads of the other slots, and never for another thread that has been alone.
struct Slots<'g> {
    gate: &'g Gate,
    held: Vec<lock_order::MutexGuard<'g, ()>>,
}

impl Drop for Slots<'_> {
    fn drop(&mut self) {
        while let Some(slot) = self.held.pop() {
            if self.held.is_empty() {
                self.gate.alone.store(NOBODY, SeqCst);
            }
            drop(slot);
        }
    }
}

impl Gate {
    pub(super) fn new(slots: usize) -> Gate {
        let slots = (0..slots).map(|_| CachePadded::new(Slot::default())).collect();
        Gate { slots, holds: Arc::default(), alone: AtomicUsize::new(NOBODY) }
    }

    /// What scripts that run for long hold.
    pub fn holds(&self) -> &Arc<LongHolds> {
        &self.holds
    }

    /// Enters for a batch, however long that takes.  `slot` is the number of the thread.
    pub fn enter(&self, slot: usize) -> Entered<'_> {
        let is_held_up = || self.holds.has_all();
        let entered = self.slots[slot].lock_number_unless(slot as u64, || is_held_up() && stand_in::call());
        Entered { _slot: entered.unwrap_or_else(|| self.slots[slot].lock_number(slot as u64)) }
    }

    /// Enters for a batch, unless somebody is alone inside for longer than `patience` lasts.
    ///
    /// # Errors
    /// If somebody is.
    #[inline]
    pub fn enter_unless_held(&self, slot: usize, patience: Patience) -> Result<Entered<'_>, HeldForLong> {
        match self.slots[slot].lock_number_unless(slot as u64, || true) {
            Some(entered) => Ok(Entered { _slot: entered }),
            None => self.wait_to_enter(slot, patience),
        }
    }

    #[cold]
    fn wait_to_enter(&self, slot: usize, patience: Patience) -> Result<Entered<'_>, HeldForLong> {
        let inquiry = Inquiry::new(&self.holds, patience);
        let is_hopeless = || inquiry.is_hopeless(LongHolds::has_all, |_| self.is_alone_for_long(slot));
        let entered = self.slots[slot].lock_number_unless(slot as u64, is_hopeless);
        entered.map(|entered| Entered { _slot: entered }).ok_or_else(|| inquiry.reason())
    }

    /// Whether a thread is alone in a turn that takes long.  The thread of the slot `asker` calls this after it has waited long.
    fn is_alone_for_long(&self, asker: usize) -> bool {
        let slot = self.alone.load(SeqCst);
        let is_noted = || self.holds.is_in_long_turn(slot, Some(asker));
        slot != NOBODY && (is_noted() || self.holds.note_unwatched(slot, || self.alone.load(SeqCst) == slot))
    }

    /// Whether a thread could enter at once.
    pub fn is_open(&self, slot: usize) -> bool {
        self.slots[slot].try_lock().is_some()
    }

    /// Waits until no thread is inside, and keeps all others out.  The caller, the thread of `slot`, must not be inside.
    ///
    /// # Errors
    /// If somebody is inside for longer than `patience` lasts.
    pub fn enter_exclusive(&self, slot: usize, patience: Patience) -> Result<Exclusive<'_>, HeldForLong> {
        let lock = |number: usize| {
            let inquiry = Inquiry::new(&self.holds, patience);
            // Its thread has it, or somebody who is alone or about to be.
            let is_in_turn = |holds: &LongHolds| {
                holds.has_turns() || holds.note_unwatched(number, || !self.is_open(number))
            };
            let is_hopeless = || inquiry.is_hopeless(|holds| holds.has_slot(number), is_in_turn);
            let slot = self.slots[number].lock_number_unless(number as u64, is_hopeless);
            slot.ok_or_else(|| inquiry.reason())
        };
        let mut slots = Slots { gate: self, held: Vec::with_capacity(self.slots.len()) };
        for number in 0..self.slots.len() {
            slots.held.push(lock(number)?);
            if patience == Patience::Commands {
                self.alone.store(slot, SeqCst);
            }
        }
        self.alone.store(slot, SeqCst);
        Ok(Exclusive { _slots: slots, _held: Held::alone() })
    }
}
