//! The locks as commands, endpoints and the timekeeper use them: what an operation leaves to be done is done here.

use serde::Serialize;

use super::{Awaited, Services};
use crate::clock::Now;
use crate::delivery::Effects;
use crate::lock::{Aftermath, Answer, Core, Events, Grant, Locks, Notice, WatchedEvent};
use crate::wait::{Barrier, Ticket};

/// What stands before the name of a resource in the channel of its events.
const CHANNEL_PREFIX: &[u8] = b"__lock__:";

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
        services.on_locks(now, effects, |locks, now, aftermath| locks.cancel(ticket, now, aftermath));
    }
}

impl Services {
    /// Runs an operation on the locks, publishes what it tells and sets the alarm; returns its result and what the reply
    /// has to wait for.
    pub fn on_locks<R>(
        &self,
        now: Now,
        effects: &mut Effects,
        operation: impl FnOnce(&Locks, Now, &mut Aftermath) -> R,
    ) -> (R, Option<Barrier>) {
        let wants_notices = self.broker.channels.has_subscribers() || !self.lock_watchers.is_empty();
        let mut aftermath = Aftermath { wants_notices, ..Aftermath::default() };
        let result = operation(&self.locks, now, &mut aftermath);
        if aftermath.has_notices {
            self.locks.tell(|notice| self.publish_notice(&notice, effects));
        }
        if let Some(deadline) = aftermath.next_deadline {
            effects.set_deadline(deadline);
        }
        (result, aftermath.barrier)
    }

    /// Runs an operation on the table of locks whose reply waits for nothing more.
    pub fn on_lock_table<R>(
        &self,
        now: Now,
        effects: &mut Effects,
        operation: impl FnOnce(&mut Core, u64, &mut Events) -> R,
    ) -> R {
        self.on_locks(now, effects, |locks, now, aftermath| locks.act(now, aftermath, operation)).0
    }

    /// What is to be said of a grant once the disk has it; none, and it is withdrawn, if it has ended meanwhile.
    pub fn confirm_grant(&self, grant: &Grant, now: Now, effects: &mut Effects) -> Option<Grant> {
        let confirm =
            || self.on_lock_table(now, effects, |core, now, events| core.confirm(grant, now, events));
        grant.at(now).or_else(confirm)
    }

    /// The same for a lease that its owner knew of: nothing is withdrawn.
    pub fn left_of_grant(&self, grant: &Grant, now: Now, effects: &mut Effects) -> Option<Grant> {
        let left = || self.on_lock_table(now, effects, |core, now, events| core.left_of(grant, now, events));
        grant.at(now).or_else(left)
    }

    /// Sends a notice to those who listen to the resource's channel, or watch the resource.
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
        let channel = [CHANNEL_PREFIX, &notice.resource].concat();
        self.publish(&channel, &payload, effects);
        if !self.lock_watchers.is_empty() {
            let event = WatchedEvent { word: notice.kind.word(), payload: payload.into() };
            self.lock_watchers.tell(&notice.resource, &event);
        }
    }
}
