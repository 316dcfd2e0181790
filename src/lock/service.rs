//! The locks as a service: their row, their section of INFO and their metrics, and how operations run among the
//! services.

use serde::Serialize;

use super::notice::CHANNEL_PREFIX;
use super::operation::{Advance, Confirm, Remaining};
use super::{Answer, Grant, LockOperation, Locks, Notice, channel_of, commands, endpoints};
use crate::clock::Now;
use crate::command::{Awaited, Services};
use crate::delivery::{Effects, Message};
use crate::metrics::exposition::Exposition;
use crate::service::{Page, Persistence, Section, Service};
use crate::wait::Ticket;

/// The service's row.
pub const SERVICE: Service = Service {
    name: "locks",
    commands: &[
        commands::acquire::COMMANDS,
        commands::holders::COMMANDS,
        commands::sessions::COMMANDS,
        commands::reports::COMMANDS,
        commands::fenced::COMMANDS,
    ],
    endpoints: endpoints::endpoints,
    info: &[Section::by_default("locks", "Locks", info)],
    metrics,
    figures,
    health: Some(|services| services.journal_health("locks")),
    advance: |services, now, effects| services.run_settled_lock(&Advance, now, effects),
    follow_settings: |services| services.locks.limit_memory(services.settings.current().lock_maxmemory),
    disconnect: |services, client, now, effects| {
        let connection = client.shared.id;
        // Its sessions end, and their locks with them.  No reply waits for that.
        services.with_locks(effects, |locks, effects| locks.disconnect(connection, now, effects));
    },
    persistence: Some(Persistence {
        journal: |services| services.locks.journal(),
        persistent: |services| services.locks.persistent(),
    }),
    ..Service::ROW
};

fn info(page: &mut Page, services: &Services) {
    let (totals, counts) = services.locks.counted();
    page.field("lock_resources", totals.resources);
    page.field("lock_owners", totals.owners);
    page.field("lock_leases", totals.leases);
    page.field("lock_waiters", totals.waiters);
    page.field("lock_sessions", totals.sessions);
    page.field("lock_request_ids", totals.request_ids);
    page.field("lock_memory", totals.memory);
    page.field("lock_maxmemory", services.settings.current().lock_maxmemory);
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

fn metrics(text: &mut Exposition, services: &Services) {
    let (totals, counts) = services.locks.counted();
    text.gauge("quartet_locks", "Resources, owners, leases, waiters and sessions of the locks.").values(
        "kind",
        [
            ("resource", totals.resources),
            ("owner", totals.owners),
            ("lease", totals.leases),
            ("waiter", totals.waiters),
            ("session", totals.sessions),
        ],
    );
    text.gauge("quartet_lock_memory_bytes", "Memory of the locks, about.").value(totals.memory);
    text.gauge("quartet_lock_memory_limit_bytes", "The limit for the memory of the locks; 0 for none.")
        .value(services.settings.current().lock_maxmemory);
    text.counter("quartet_lock_events_total", "Events of locks, by kind.").values(
        "event",
        [
            ("granted", counts.granted),
            ("released", counts.released),
            ("renewed", counts.renewed),
            ("expired", counts.expired),
            ("forced", counts.forced),
            ("lost", counts.lost),
            ("waited", counts.waited),
            ("timed_out", counts.timed_out),
            ("withdrawn", counts.withdrawn),
            ("deadlock", counts.deadlocks),
        ],
    );
}

fn figures(services: &Services) -> serde_json::Value {
    let (totals, counts) = services.locks.counted();
    serde_json::json!({
        "resources": totals.resources,
        "owners": totals.owners,
        "leases": totals.leases,
        "waiters": totals.waiters,
        "sessions": totals.sessions,
        "memory_bytes": totals.memory,
        "granted": counts.granted,
        "released": counts.released,
        "renewed": counts.renewed,
        "expired": counts.expired,
        "forced": counts.forced,
        "waited": counts.waited,
        "timed_out": counts.timed_out,
        "deadlocks": counts.deadlocks,
    })
}

/// A notice as it is published, in JSON.
#[derive(Serialize)]
struct Event<'n> {
    event: &'static str,
    resource: &'n str,
    #[serde(skip_serializing_if = "str::is_empty")]
    owner: &'n str,
    #[serde(skip_serializing_if = "is_zero")]
    fence: u64,
    waiters: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'n str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Awaited for Answer {
    fn cancel(ticket: &Ticket<Answer>, services: &Services, now: Now, effects: &mut Effects) {
        services.with_locks(effects, |locks, effects| locks.cancel(ticket, now, effects));
    }
}

impl Services {
    /// Runs an operation of the locks and publishes its notices.  The barrier of the reply is in `effects` then.
    pub fn run_lock<O: LockOperation>(&self, operation: &O, now: Now, effects: &mut Effects) -> O::Answer {
        self.with_locks(effects, |locks, effects| locks.run(operation, now, effects))
    }

    /// The same for an operation without a reply, or with one that does not wait.
    pub fn run_settled_lock<O: LockOperation>(
        &self,
        operation: &O,
        now: Now,
        effects: &mut Effects,
    ) -> O::Answer {
        let answer = self.run_lock(operation, now, effects);
        effects.take_barrier();
        answer
    }

    /// A new grant as its owner is told of it once the disk has it; none, and it is withdrawn, if it has ended
    /// meanwhile.
    pub fn confirm_grant(&self, grant: &Grant, now: Now, effects: &mut Effects) -> Option<Grant> {
        grant.at(now).or_else(|| self.run_settled_lock(&Confirm { grant }, now, effects))
    }

    /// The same for a lease that its owner knew before: nothing is withdrawn.
    pub fn remaining_grant(&self, grant: &Grant, now: Now, effects: &mut Effects) -> Option<Grant> {
        grant.at(now).or_else(|| self.run_settled_lock(&Remaining { grant }, now, effects))
    }

    fn with_locks<R>(&self, effects: &mut Effects, work: impl FnOnce(&Locks, &mut Effects) -> R) -> R {
        effects.wants_notices = self.fan_out.channels.may_want(CHANNEL_PREFIX);
        let result = work(&self.locks, effects);
        if std::mem::take(&mut effects.has_notices) {
            self.locks.publish_notices(|notice| self.publish_notice(&notice, effects));
        }
        result
    }

    /// Publishes a notice on the resource's channel.
    fn publish_notice(&self, notice: &Notice, effects: &mut Effects) {
        let text = |bytes| String::from_utf8_lossy(bytes);
        let event = Event {
            event: notice.kind.word(),
            resource: &text(&notice.resource),
            owner: &text(&notice.owner),
            fence: notice.fence,
            waiters: notice.waiters,
            reason: &text(&notice.reason),
        };
        let payload = serde_json::to_vec(&event).expect("it holds nothing that JSON cannot say");
        let channel = channel_of(&notice.resource);
        let message = Message { kind: Some(notice.kind.word()), ..Message::new(&channel, &payload) };
        self.fan_out.publish(&message, effects);
    }
}
