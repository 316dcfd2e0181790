//! Counters as keys of the store: reading one, deciding, writing it.

use crate::cache::{Deadline, Key, Keyspace, WrongKind};
use crate::clock::Now;
use crate::limit::algorithm::{Decision, Limit, NANOS_PER_MILLI, Nanos, StateBytes};
use crate::limit::nanos;

const NANOS_PER_MICRO: Nanos = 1_000;

/// Takes `cost` from a limit whose counter is `key`, if it may be had; a cost of zero only asks.
pub(super) fn take(
    keyspace: &mut Keyspace<'_>,
    key: &Key<'_>,
    limit: &Limit,
    cost: u64,
) -> Result<Decision, WrongKind> {
    let (now, moment) = (keyspace.now(), keyspace.moment);
    let shard = keyspace.shard(key);
    let state = shard.counter(key, &moment)?.unwrap_or_default();
    if cost == 0 {
        return Ok(limit.peek(state, cost, nanos(now)));
    }
    let mut changed = StateBytes::new();
    let decision = limit.take(state, cost, nanos(now), &mut changed);
    if decision.allowed {
        let deadline = deadline_after(now, decision.reset_after);
        shard.set_counter(key, &changed, Some(deadline), &moment);
    }
    Ok(decision)
}

/// The first whole millisecond of the store's clock at which this time has passed.
fn deadline_after(now: Now, span: Nanos) -> Deadline {
    (now.micros() * NANOS_PER_MICRO + span).div_ceil(NANOS_PER_MILLI)
}
