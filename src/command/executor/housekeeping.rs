//! The work of a thread between batches: due deadlines of services, expired keys, ended subscriptions, eviction.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{Executor, access};
use crate::delivery::AfterBatch;
use crate::metrics::latency::Event;
use crate::store::Patience;

/// Ticks after which a thread looks through all that it remembers, while subscriptions come and go.
const FORGETTING_TICKS: u32 = 50;

impl Executor {
    /// Does everything that has fallen due in the services.
    pub fn advance(&mut self) {
        let now = self.services.clock.now();
        if self.services.alarm.ring(now.millis()) {
            self.services.advance(now, &mut self.workspace.effects);
            self.services.fan_out.deliver(&mut self.workspace.effects);
        }
    }

    /// Tells publishers which messages the disk has, and lets consumers continue.
    pub fn settle(&mut self) {
        self.services.streams.settle(&mut self.workspace.effects);
        self.services.fan_out.deliver(&mut self.workspace.effects);
    }

    /// Does work that has waited for a connection of this thread.
    pub fn go_on(&mut self, works: Vec<Arc<dyn AfterBatch>>) {
        works.into_iter().for_each(|work| self.workspace.effects.after_batch(work));
        self.services.fan_out.deliver(&mut self.workspace.effects);
    }

    /// Does what had to be put off because of what was held for long: the ends of waits, and what is given back.
    pub fn end_postponed(&mut self) {
        if self.services.key_waiters.has_postponed() {
            // Where this thread may not go the work waits on.
            self.visit(|services, keyspace, _| services.key_waiters.do_postponed(keyspace));
        }
        if !self.services.store.holds().has_all() {
            let postponed = std::mem::take(&mut *self.services.postponed.lock());
            postponed.into_iter().for_each(|blocked| self.cancel(blocked));
        }
    }

    /// Frees the memory of expired keys, for the shards that this thread looks after, in steps of bounded length.
    /// Returns the number of keys it has removed.
    pub fn expire(&mut self) -> usize {
        let services = &*self.services;
        if !services.active_expiry.load(Relaxed) {
            return 0;
        }
        self.workspace.settings.refresh(&services.settings);
        let gate = services.store.gate().enter_unless_held(self.workspace.slot, Patience::Nobody);
        let Ok(gate) = gate else { return 0 };
        let began = services.clock.now();
        let access = access(&self.workspace.settings, began, true);
        let (removed, memory) = services.store.expire_due(self.share, &mut self.expiry_cursor, &access);
        drop(gate);
        services.add_memory(memory);
        let threshold = self.workspace.settings.latency_monitor_threshold;
        if threshold > 0 {
            let now = services.clock.now();
            let micros = now.micros().saturating_sub(began.micros());
            services.metrics.latency.note(Event::ExpireCycle, now, micros, threshold);
        }
        removed
    }

    /// Lets go of subscriptions that have ended, which the thread may remember from its publishing: about once a second.  To
    /// be called at each tick of the thread.
    pub fn forget_ended(&mut self) {
        self.ticks += 1;
        if self.ticks == FORGETTING_TICKS {
            self.ticks = 0;
            self.workspace.effects.forget_ended();
        }
    }

    /// Evicts a bounded number of keys if the store is over its memory limit.  True if there is more to do at once.
    pub fn evict(&mut self) -> bool {
        let services = &*self.services;
        self.workspace.settings.refresh(&services.settings);
        let gate = services.store.gate().enter_unless_held(self.workspace.slot, Patience::Nobody);
        let Ok(_gate) = gate else { return false };
        let access = access(&self.workspace.settings, services.clock.now(), true);
        self.eviction.step(&services.store, &self.workspace.settings, &mut self.workspace.random, &access)
    }
}
