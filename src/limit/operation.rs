//! The operations of the limiter, as values: plain data with names in place of references, so that an operation can be
//! written down or sent to another machine.
//!
//! A door decodes a request into one of these, has [`Limiter::run`] do it, and encodes the answer.  The changes of operators
//! need no counters: they are a [`Change`] each, done by [`Limits::change`].

use super::Limits;
use super::algorithm::{Gcra, InvalidParameter, Limit, Nanos, SlotId};
use super::counters::{CounterStore, Held, NotACounter};
use super::definition::Definition;
use super::limiter::Limiter;
use super::lists::ListName;
use super::reservations::ReservationId;
use super::slots::SlotCounter;
use crate::journal::NotAdmitted;

/// An operation on counters; `'o` is how long its data and the policies live.
pub trait Operation<'o> {
    /// Its answer.
    type Answer;

    /// Does it.  It locks the counters that it needs, once.
    ///
    /// # Errors
    /// Why it was not done; nothing has changed then.
    fn run<C: CounterStore>(self, limiter: &mut Limiter<'o, C>) -> Result<Self::Answer, LimitError>;
}

/// Why an operation was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LimitError {
    /// There is no policy of this name.
    NoSuchPolicy(Box<[u8]>),
    /// A value is not allowed.
    Invalid(InvalidParameter),
    /// The key of a counter holds a value of another kind.
    NotACounter,
    /// There is no room for a counter.
    NoRoom,
    /// [`Mode::UpTo`] takes the same from all demands, but their costs differ.
    UnequalCosts,
    /// The policy of this name is not one limit with the algorithm `concurrency`.
    NotSlots(Box<str>),
    /// The change could not be written down.
    NotKept(NotAdmitted),
    /// Something that takes long holds a counter.
    Held,
}

impl From<Held> for LimitError {
    fn from(Held: Held) -> LimitError {
        LimitError::Held
    }
}

impl From<InvalidParameter> for LimitError {
    fn from(invalid: InvalidParameter) -> LimitError {
        LimitError::Invalid(invalid)
    }
}

impl From<NotACounter> for LimitError {
    fn from(NotACounter: NotACounter) -> LimitError {
        LimitError::NotACounter
    }
}

/// A cost that is asked of one policy, or of one limit outside a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Demand<'o> {
    /// The policy or the limit.
    pub rule: Rule<'o>,
    /// The client's key.
    pub key: &'o [u8],
    /// How much is asked for; a cost of 0 is always allowed.
    pub cost: u64,
}

impl<'o> Demand<'o> {
    /// A demand on the policy of this name.
    pub fn of_policy(name: &'o [u8], key: &'o [u8], cost: u64) -> Demand<'o> {
        Demand { rule: Rule::Policy(name), key, cost }
    }
}

/// The policy or the limit that decides a demand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule<'o> {
    /// The policy of this name.
    Policy(&'o [u8]),
    /// A limit that the request itself states.
    Inline(Limit),
}

/// How much a check takes, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// The cost, or nothing.
    Take,
    /// Nothing: it only tells what the answer would be.
    Peek,
    /// As much as is left, up to the cost.
    UpTo,
    /// The cost, once the limits allow it within this time and all earlier waiters are served.
    Wait(Nanos),
}

/// Takes from all limits of its demands, or from none.  Answers [`CheckAnswer`](super::admission::CheckAnswer).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Check<'d, 'o> {
    /// The demands.
    pub demands: &'d [Demand<'o>],
    /// How it is taken.
    pub mode: Mode,
}

/// Takes from a token bucket whose counter is the key itself.  Answers [`Decision`](super::algorithm::Decision).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Throttle<'o> {
    /// The key of the store that is the counter.
    pub key: &'o [u8],
    /// The token bucket.
    pub bucket: Gcra,
    /// How many tokens; 0 takes none and tells how many are left.
    pub cost: u64,
}

/// Gives back the latest costs.  Answers the [`Admission`](super::admission::Admission) of a check for nothing, which tells
/// how much is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refund<'o> {
    /// The policy it was taken from.
    pub policy: &'o [u8],
    /// The client's key.
    pub key: &'o [u8],
    /// How much.
    pub amount: u64,
}

/// Removes the counters that a key has of its own under a policy.  Answers how many there were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reset<'o> {
    /// The policy.
    pub policy: &'o [u8],
    /// The client's key.
    pub key: &'o [u8],
}

/// Takes as [`Check`] does, and remembers the costs until [`Settle`] or for a time.  Answers
/// [`Admission`](super::admission::Admission): the reservation is open if it is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reserve<'d, 'o> {
    /// The id of the reservation, drawn at random.
    pub id: ReservationId,
    /// The demands.
    pub demands: &'d [Demand<'o>],
    /// How long the reservation is open.
    pub span: Nanos,
}

/// Ends a reservation: charges or gives back the difference between the reserved and the used amount.  Answers whether it
/// was open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settle {
    /// The id of the reservation.
    pub id: ReservationId,
    /// How much was used of each limit; 0 gives back everything.
    pub used: u64,
}

/// Takes a slot.  Answers [`Entered`](super::slots::Entered).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Enter<'o> {
    /// The policy, of one limit with the algorithm `concurrency`.
    pub policy: &'o [u8],
    /// The client's key.
    pub key: &'o [u8],
    /// The time until the slot ends by itself.
    pub lease: Lease,
}

/// Starts the lease of a slot anew.  Answers whether the slot was held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Renew<'o> {
    /// Where the slot is.
    pub slots: Slots<'o>,
    /// The slot; none is never held.
    pub slot: Option<SlotId>,
    /// The time until it ends by itself.
    pub lease: Lease,
}

/// Gives a slot back.  Answers whether it was held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leave<'o> {
    /// Where the slot is.
    pub slots: Slots<'o>,
    /// The slot; none is never held.
    pub slot: Option<SlotId>,
}

/// Which slots an operation is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slots<'o> {
    /// The slots of a key under a policy.
    Of {
        /// The policy, of one limit with the algorithm `concurrency`.
        policy: &'o [u8],
        /// The client's key.
        key: &'o [u8],
    },
    /// The slots of the counter in [`Entered`](super::slots::Entered), even if its policy has changed or gone since.
    In(&'o SlotCounter),
}

/// How long a slot is leased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lease {
    /// So long.
    For(Nanos),
    /// As long as the policy says, but at least so long.
    OfPolicy(Nanos),
}

/// A change by an operator.  Answers how many entries it changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change<'c> {
    /// Makes or replaces a policy.
    SetPolicy {
        /// Its name.
        name: &'c str,
        /// Its definition.
        definition: Definition,
    },
    /// Removes policies.
    RemovePolicies {
        /// Their names.
        names: Vec<&'c [u8]>,
    },
    /// Puts a pattern on a list.
    AddPattern {
        /// The list.
        list: ListName,
        /// The pattern.
        pattern: &'c [u8],
    },
    /// Takes a pattern off a list.
    RemovePattern {
        /// The list.
        list: ListName,
        /// The pattern.
        pattern: &'c [u8],
    },
    /// Blocks a key under every policy, and with an address its whole host.
    Block {
        /// The client's key.
        key: &'c [u8],
        /// For how long; zero ends a block.
        span: Nanos,
    },
}

impl Limits {
    /// Makes a change of an operator.  The reply waits for [`Persistence::barrier`](super::persistence::Persistence::barrier).
    ///
    /// # Errors
    /// If a value is not allowed, or the change could not be written down; nothing has changed then.
    pub fn change(&self, change: Change<'_>, now: Nanos) -> Result<usize, LimitError> {
        self.persistence.admit().map_err(LimitError::NotKept)?;
        Ok(match change {
            Change::SetPolicy { name, definition } => {
                self.policies.set(name, definition)?;
                1
            }
            Change::RemovePolicies { names } => self.policies.remove_all(names),
            Change::AddPattern { list, pattern } => usize::from(self.lists.add(list, pattern)?),
            Change::RemovePattern { list, pattern } => usize::from(self.lists.remove(list, pattern)),
            Change::Block { key, span } => {
                self.lists.block(key, now + span, now)?;
                1
            }
        })
    }
}
