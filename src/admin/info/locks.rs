//! The section about locks.

use super::Page;
use crate::command::Services;
use crate::lock::Aftermath;

pub(super) fn locks(page: &mut Page, services: &Services) {
    let (totals, counts) =
        services.locks.act(services.clock.now(), &mut Aftermath::default(), |core, _, _| {
            (core.totals(), core.counts())
        });
    page.field("lock_resources", totals.resources);
    page.field("lock_owners", totals.owners);
    page.field("lock_leases", totals.leases);
    page.field("lock_waiters", totals.waiters);
    page.field("lock_sessions", totals.sessions);
    page.field("lock_request_ids", totals.request_ids);
    page.field("lock_memory", totals.memory);
    page.field("lock_maxmemory", services.settings.lock_maxmemory());
    page.field("lock_last_fence", totals.last_fence);
    page.field("locks_granted", counts.granted);
    page.field("locks_released", counts.released);
    page.field("locks_renewed", counts.renewed);
    page.field("locks_expired", counts.expired);
    page.field("locks_forced", counts.forced);
    page.field("locks_lost", counts.lost);
    page.field("locks_waited_for", counts.waited);
    page.field("locks_timed_out", counts.timed_out);
    page.field("locks_withdrawn", counts.withdrawn);
    page.field("locks_deadlocks", counts.deadlocks);
}
