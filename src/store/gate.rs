//! The gate: any number of threads run commands at once, or one of them alone.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::long_holds::{HeldForLong, Inquiry, LongHolds, Patience};
use crate::lock_order::{self, Held, rank};
use crate::stand_in;

/// Lets any number of threads run commands at once, or one of them alone.
///
/// Each thread has a slot, an uncontended lock of its own; being alone means holding all slots.  A thread that wants to
/// be alone gives up its own slot first, so two of them cannot block each other; the locks hand
/// themselves over fairly after half a millisecond, so no thread starves.
pub struct Gate {
    slots: Box<[CachePadded<Slot>]>,
    holds: Arc<LongHolds>,
}

/// The lock of one thread.
type Slot = lock_order::Mutex<(), { rank::GATE }>;

/// The right to run commands, given by [`Gate::enter`].
pub struct Entered<'g> {
    _slot: lock_order::MutexGuard<'g, ()>,
}

/// The right to run commands while no other thread does, given by [`Gate::enter_exclusive`].
pub struct Exclusive<'g> {
    _slots: Vec<lock_order::MutexGuard<'g, ()>>,
    _held: Held,
}

impl Gate {
    pub(super) fn new(slots: usize) -> Gate {
        Gate { slots: (0..slots).map(|_| CachePadded::new(Slot::default())).collect(), holds: Arc::default() }
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
        let is_hopeless = || inquiry.is_hopeless(LongHolds::has_all, LongHolds::has_turns);
        let entered = self.slots[slot].lock_number_unless(slot as u64, is_hopeless);
        entered.map(|entered| Entered { _slot: entered }).ok_or_else(|| inquiry.reason())
    }

    /// Whether a thread could enter at once.
    pub fn is_open(&self, slot: usize) -> bool {
        self.slots[slot].try_lock().is_some()
    }

    /// Waits until no thread is inside, and keeps all others out.  The caller must not be inside.
    ///
    /// # Errors
    /// If somebody is inside for longer than `patience` lasts.
    pub fn enter_exclusive(&self, patience: Patience) -> Result<Exclusive<'_>, HeldForLong> {
        let lock = |number: usize| {
            let inquiry = Inquiry::new(&self.holds, patience);
            // Its thread has it, or somebody who is alone or about to be.
            let is_in_turn = |holds: &LongHolds| holds.has_turns() || self.note_unwatched(number);
            let is_hopeless = || inquiry.is_hopeless(|holds| holds.has_slot(number), is_in_turn);
            let slot = self.slots[number].lock_number_unless(number as u64, is_hopeless);
            slot.ok_or_else(|| inquiry.reason())
        };
        let slots: Result<Vec<_>, _> = (0..self.slots.len()).map(lock).collect();
        Ok(Exclusive { _slots: slots?, _held: Held::alone() })
    }

    /// Notes that the thread of a slot is at something long if nobody watches over it: for one who has waited long for the slot, has all
    /// slots before it, and so waits for that thread.  False if it has left by now.
    fn note_unwatched(&self, slot: usize) -> bool {
        if !self.holds.note_unwatched(slot) {
            return false;
        }
        let lasts = !self.is_open(slot);
        if !lasts {
            self.holds.forget_turn(slot);
        }
        lasts
    }
}
