//! Reports of the table, after everything due was done.

use super::Core;
use crate::lock::deadlock::Deadlock;
use crate::lock::model::events::Events;
use crate::lock::operation::{Deadlocks, Inspect, InspectSession, List, Waits};
use crate::lock::refused::Refused;
use crate::lock::report::{Page, ResourceReport, SessionReport, WaitReport};

impl Core {
    /// LOCK.INFO: see [`Inspect`].
    pub fn inspect(&mut self, inspect: &Inspect<'_>, now: u64, events: &mut Events) -> Vec<ResourceReport> {
        self.advance(now, events);
        self.model.inspect(inspect)
    }

    /// LOCK.LIST: see [`List`].
    pub fn list(&mut self, list: &List<'_>, now: u64, events: &mut Events) -> Page {
        self.advance(now, events);
        self.model.list(list)
    }

    /// LOCK.WAITS: see [`Waits`].
    pub fn waits(&mut self, waits: &Waits<'_>, now: u64, events: &mut Events) -> Vec<WaitReport> {
        self.advance(now, events);
        self.model.waits(waits)
    }

    /// LOCK.DEADLOCKS: see [`Deadlocks`].
    pub fn deadlocks(&mut self, deadlocks: &Deadlocks, now: u64, events: &mut Events) -> Vec<Deadlock> {
        self.advance(now, events);
        self.model.last_deadlocks(deadlocks)
    }

    /// LOCK.SESSION INFO: see [`InspectSession`].
    ///
    /// # Errors
    /// If there is no such session.
    pub fn inspect_session(
        &mut self,
        inspect: &InspectSession,
        now: u64,
        events: &mut Events,
    ) -> Result<SessionReport, Refused> {
        self.advance(now, events);
        self.model.inspect_session(inspect)
    }
}
