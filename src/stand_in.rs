//! A thread that something holds up for long lets another one stand in for it.
//!
//! A worker registers how its connections are handed over.  A script that runs for long, and a wait for what such a script
//! holds, call the stand-in from wherever they are, and know neither workers nor connections.

use std::cell::RefCell;

/// The means of a thread to be relieved.
pub trait StandIn {
    /// Who could stand in.
    fn cover(&self) -> Cover;

    /// Leaves everything but the work in hand to that thread; false if none is free.  Nothing happens if that is done
    /// already.
    fn take_over(&self) -> bool;
}

/// Who could stand in for a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cover {
    /// Another thread, which is free.
    Free,
    /// Another thread, which does so already.
    StandsIn,
    /// Nobody just now: this thread stands in itself, for the thread of this slot at the gate.
    Away(usize),
    /// Nobody ever.
    Never,
}

thread_local! {
    static STAND_IN: RefCell<Option<Box<dyn StandIn>>> = const { RefCell::new(None) };
}

/// Says how this thread is relieved from now on.
pub fn register(stand_in: Box<dyn StandIn>) {
    STAND_IN.set(Some(stand_in));
}

/// Who could stand in for this thread.
pub fn cover() -> Cover {
    STAND_IN.with_borrow(|stand_in| stand_in.as_ref().map_or(Cover::Never, |stand_in| stand_in.cover()))
}

/// Has another thread stand in for this one; false if none can.
pub fn call() -> bool {
    STAND_IN.with_borrow(|stand_in| stand_in.as_ref().is_some_and(|stand_in| stand_in.take_over()))
}
