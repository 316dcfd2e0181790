//! The counters as an operation sees them, wherever they are stored.

use super::algorithm::{Nanos, StateBytes};
use super::policy::CounterName;

/// The key of a counter holds a value of another kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotACounter;

/// A state that a decision has made of another.
pub struct Changed {
    /// The state.
    pub state: StateBytes,
    /// For how many nanoseconds it matters; zero removes the counter.
    pub kept_for: Nanos,
    /// Whether it may count less than the one before.
    pub is_decrease: bool,
}

/// Something that takes long holds a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held;

/// Where an operation finds its counters.
pub trait CounterStore: Counters {
    /// Locks these counters of a database until the operation ends.
    ///
    /// # Errors
    /// If one of them is held for long; none is locked then.
    fn lock<'n>(&mut self, database: usize, names: impl Iterator<Item = &'n [u8]>) -> Result<(), Held>;

    /// The time now, which no change to a locked counter is ahead of.
    fn time(&self) -> Nanos;
}

/// Counters of one database that are locked.
pub trait Counters {
    /// The state of a counter; empty if there is none.
    ///
    /// # Errors
    /// If the key holds a value of another kind.
    fn state(&mut self, name: &[u8]) -> Result<&[u8], NotACounter>;

    /// Keeps a state for `kept_for` nanoseconds; zero removes the counter.
    fn keep(&mut self, name: &[u8], state: &[u8], kept_for: Nanos);

    /// Decides on the state of a counter, and keeps the state that the decision makes of it, if any.
    ///
    /// # Errors
    /// If the key holds a value of another kind.
    fn update<R>(
        &mut self,
        name: &[u8],
        decide: impl FnOnce(&[u8]) -> (R, Option<Changed>),
    ) -> Result<R, NotACounter> {
        let (result, changed) = decide(self.state(name)?);
        if let Some(Changed { state, kept_for, is_decrease }) = changed {
            self.keep(name, &state, kept_for);
            if is_decrease {
                self.note_decrease(name);
            }
        }
        Ok(result)
    }

    /// Notes that the state just kept counts less than the one before, as after a refund.
    fn note_decrease(&mut self, _name: &[u8]) {}

    /// Checks that all of these are counters, so that a change is made to all of them or to none.
    ///
    /// # Errors
    /// If one of the keys holds a value of another kind.
    fn check_kinds<'n>(&mut self, names: impl IntoIterator<Item = &'n [u8]>) -> Result<(), NotACounter> {
        names.into_iter().try_for_each(|name| self.state(name).map(drop))
    }

    /// Removes all of these counters and returns how many there were.
    ///
    /// # Errors
    /// If one of the keys holds a value of another kind; nothing is removed then.
    fn remove_all(&mut self, names: &[CounterName]) -> Result<usize, NotACounter> {
        self.check_kinds(names.iter().map(|name| name.as_slice()))?;
        let mut removed = 0;
        for name in names {
            removed += usize::from(!self.state(name)?.is_empty());
            self.keep(name, &[], 0);
        }
        Ok(removed)
    }

    /// Keeps a state that a limit has adopted from other parameters, see
    /// [`Limit::adopt`](super::algorithm::Limit::adopt).  The time that a client is told to wait is true only if the
    /// new parameters apply from now on, so the state is kept before the client is told, even if nothing is taken.
    fn keep_adopted(&mut self, name: &[u8], state: &[u8], kept_for: Nanos) {
        self.keep(name, state, kept_for);
        // It may count less than before.
        self.note_decrease(name);
    }
}
