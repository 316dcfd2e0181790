//! Concurrency: so many at the same time, each holding a slot until it leaves or its lease ends.
//!
//! A check takes slots that nobody can give back, so they end with their lease; `enter` names the slot it takes.
//!
//! Promise: at most `limit` slots are held at any time.  A slot is held until it is given back or its lease ends, whichever
//! comes first, so a client that died blocks a slot for one lease.
//!
//! Error: none.  Memory is bounded by 800 leases of 20 bytes, the highest number of slots.

use smallvec::SmallVec;

use super::parameters::{InvalidParameter, Nanos, Parameters, checked_span, without_bucket};
use super::state::{StateBytes, Tag, begin, pad, put, shifted, tagged, take};
use super::{Algorithm, Limit};

/// The most slots; see the head of the file.
pub const SLOTS_MAX: usize = 800;

/// Bytes of a lease.
const WIDTH: usize = 20;

/// See the head of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Concurrency {
    limit: u64,
    lease: Nanos,
}

/// Names a slot among those of its counter; no later slot gets the same name.
pub type SlotId = u64;

impl Concurrency {
    /// `limit` at the same time, each for at most the period.
    pub fn new(parameters: Parameters) -> Result<Concurrency, InvalidParameter> {
        without_bucket("concurrency", parameters)?;
        let lease = checked_span("period", parameters.period_millis)?;
        match usize::try_from(parameters.limit) {
            Ok(limit @ 1..=SLOTS_MAX) => Ok(Concurrency { limit: limit as u64, lease }),
            _ => Err(InvalidParameter::new("limit", parameters.limit, format!("1 to {SLOTS_MAX}"))),
        }
    }

    /// Its part of [`Limit::numbers`].
    pub(super) fn numbers(&self) -> (u64, Nanos) {
        (self.limit, self.lease)
    }

    /// The limit with these numbers.
    pub(super) fn of_numbers(limit: u64, lease: Nanos) -> Concurrency {
        Concurrency { limit, lease }
    }

    /// As a limit.
    pub fn limit(self) -> Limit {
        Limit::Concurrency(self)
    }

    /// How long a slot is leased unless its holder says otherwise.
    pub fn lease(&self) -> Nanos {
        self.lease
    }

    /// Takes `weight` slots for `lease`, which must be free.  The name is for [`Concurrency::leave`].
    pub fn enter(&self, state: &mut Slots, weight: u64, lease: Nanos, now: Nanos) -> SlotId {
        self.forget(state, now);
        let weight = weight.min(u64::from(u32::MAX)) as u32;
        // Time goes on, so a timestamp is a name that is never given twice.
        let slot = state.0.iter().map(|lease| lease.slot + 1).fold(now, Nanos::max);
        let lease = Lease { ends_at: now + lease, slot, weight };
        let position = state.0.partition_point(|other| other.ends_at <= lease.ends_at);
        state.0.insert(position, lease);
        if state.0.len() > SLOTS_MAX {
            // This happens only after charges over the limit or a change of the policy.
            let first = state.0.remove(0);
            state.0[0].weight = state.0[0].weight.saturating_add(first.weight);
        }
        slot
    }

    /// Gives a slot back; false if it was no longer held.
    pub fn leave(&self, state: &mut Slots, slot: SlotId, now: Nanos) -> bool {
        self.forget(state, now);
        let held = state.0.len();
        state.0.retain(|lease| lease.slot != slot);
        state.0.len() < held
    }

    /// Starts the lease of a slot anew; false if it was no longer held.
    pub fn renew(&self, state: &mut Slots, slot: SlotId, lease: Nanos, now: Nanos) -> bool {
        self.forget(state, now);
        let Some(position) = state.0.iter().position(|lease| lease.slot == slot) else { return false };
        state.0[position].ends_at = now + lease;
        state.0.sort_by_key(|lease| lease.ends_at);
        true
    }

    fn held<'a>(&self, slots: &'a Slots, now: Nanos) -> &'a [Lease] {
        let gone = slots.0.partition_point(|lease| lease.ends_at <= now);
        &slots.0[gone..]
    }

    fn forget(&self, slots: &mut Slots, now: Nanos) {
        let gone = slots.0.len() - self.held(slots, now).len();
        slots.0.drain(..gone);
    }
}

/// One lease of slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Lease {
    ends_at: Nanos,
    slot: SlotId,
    weight: u32,
}

fn sum(leases: &[Lease]) -> u64 {
    leases.iter().map(|lease| u64::from(lease.weight)).sum()
}

/// The leases, in the order in which they end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Slots(SmallVec<[Lease; 8]>);

impl Algorithm for Concurrency {
    type State = Slots;

    fn limit(&self) -> u64 {
        self.limit
    }

    fn decode(bytes: &[u8]) -> Option<Slots> {
        let mut fields = tagged(bytes, Tag::Concurrency)?;
        let mut slots = Slots::default();
        while !fields.is_empty() {
            let (ends_at, slot) = (take(&mut fields, 8)?, take(&mut fields, 8)?);
            let weight = u32::try_from(take(&mut fields, 4)?).ok()?;
            if weight == 0 {
                break;
            }
            slots.0.push(Lease { ends_at, slot, weight });
        }
        Some(slots)
    }

    fn encode(state: &Slots, bytes: &mut StateBytes) {
        begin(bytes, Tag::Concurrency);
        for lease in &state.0 {
            put(bytes, lease.ends_at, 8);
            put(bytes, lease.slot, 8);
            put(bytes, u64::from(lease.weight), 4);
        }
        pad(bytes, state.0.len(), WIDTH, SLOTS_MAX);
    }

    fn wait(&self, state: &Slots, cost: u64, now: Nanos) -> Option<Nanos> {
        if cost == 0 {
            return Some(0);
        }
        let others = self.limit.checked_sub(cost)?;
        let leases = self.held(state, now);
        let mut held = sum(leases);
        if held <= others {
            return Some(0);
        }
        let last_to_end = leases.iter().find(|lease| {
            held -= u64::from(lease.weight);
            held <= others
        });
        last_to_end.map(|lease| lease.ends_at - now)
    }

    fn remaining(&self, state: &Slots, now: Nanos) -> u64 {
        self.limit.saturating_sub(sum(self.held(state, now)))
    }

    fn reset_after(&self, state: &Slots, now: Nanos) -> Nanos {
        self.held(state, now).last().map_or(0, |lease| lease.ends_at - now)
    }

    fn charge(&self, state: &mut Slots, cost: u64, now: Nanos) {
        if cost > 0 {
            self.enter(state, cost, self.lease, now);
        }
    }

    fn refund(&self, state: &mut Slots, amount: u64, taken_at: Nanos, now: Nanos) {
        self.forget(state, now);
        let mut left = u32::try_from(amount).unwrap_or(u32::MAX);
        // A slot's name is the timestamp at which it was taken, or a little after it.
        state.0.sort_by_key(|lease| lease.slot);
        for lease in
            state.0.iter_mut().rev().filter(|lease| lease.slot <= taken_at.saturating_add(SLOTS_MAX as u64))
        {
            let given_back = lease.weight.min(left);
            lease.weight -= given_back;
            left -= given_back;
        }
        state.0.retain(|lease| lease.weight > 0);
        state.0.sort_by_key(|lease| lease.ends_at);
    }

    fn window(&self) -> Nanos {
        self.lease
    }

    fn shift(state: &mut Slots, by: i64) {
        for lease in &mut state.0 {
            lease.ends_at = shifted(lease.ends_at, by);
        }
    }
}
