//! The times of a conversation: until when the client has to give its password, and when it is pinged.
//!
//! A client is pinged soon after it has connected, which tells how far away it is, and then whenever it has been silent for the
//! interval.  Anything that it sends shows that it is alive.

use std::time::Duration;

use crate::client::{BrokerFacts, CloseReason};
use crate::clock::Now;
use crate::settings::Settings;

/// When a client is pinged for the first time, in milliseconds after it has connected.
const FIRST_PING: u64 = 2_000;

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// The client is to be pinged.
    Ping,
    /// The conversation ends with this error.
    End(&'static str),
    /// Neither.
    Nothing,
}

/// See the module's text.  All times are on the server's clock.
pub(super) struct KeepAlive {
    connected_at: u64,
    is_authenticated: bool,
    /// Pings since the client last sent anything.
    pings_out: u32,
    /// When it is pinged next unless it sends something, in milliseconds.
    ping_at: u64,
    /// When the last ping was sent that has no answer, in microseconds; 0 if all have one.
    pinged_at: u64,
}

impl KeepAlive {
    /// The times of a client that has connected at `connected_at`, in milliseconds.
    pub(super) fn new(connected_at: u64, is_authenticated: bool) -> KeepAlive {
        let ping_at = connected_at + FIRST_PING;
        KeepAlive { connected_at, is_authenticated, pings_out: 0, ping_at, pinged_at: 0 }
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.is_authenticated
    }

    /// Notes that the client has given its password.
    pub(super) fn note_authenticated(&mut self) {
        self.is_authenticated = true;
    }

    /// Sets the first deadline.
    pub(super) fn begin(&mut self, facts: &BrokerFacts, settings: &Settings) {
        let interval = settings.broker_ping_interval.as_millis() as u64;
        self.ping_at = self.ping_at.min(self.connected_at + interval);
        self.set_deadline(facts, settings);
    }

    /// Notes that the client has sent something.
    pub(super) fn note_input(&mut self) {
        self.pings_out = 0;
    }

    /// Notes a PONG.
    pub(super) fn note_pong(&mut self, facts: &BrokerFacts, now: Now) {
        if self.pinged_at != 0 {
            facts.set_round_trip(Duration::from_micros(now.micros().saturating_sub(self.pinged_at)));
            self.pinged_at = 0;
        }
    }

    /// What is due now.  Sets the next deadline.
    pub(super) fn look(
        &mut self,
        facts: &BrokerFacts,
        last_active: u64,
        now: Now,
        settings: &Settings,
    ) -> Due {
        if !self.is_authenticated && now.millis() >= self.authenticated_by(settings) {
            facts.set_close_reason(CloseReason::AuthenticationTimeout);
            return Due::End("Authentication Timeout");
        }
        let mut due = Due::Nothing;
        let interval = settings.broker_ping_interval.as_millis() as u64;
        let has_round_trip = facts.round_trip().is_some();
        if self.ping_at <= now.millis() {
            if has_round_trip && now.millis() < last_active + interval {
                self.ping_at = last_active + interval;
            } else if self.pings_out >= settings.broker_max_pings_out {
                facts.set_close_reason(CloseReason::Stale);
                return Due::End("Stale Connection");
            } else {
                due = Due::Ping;
                self.pings_out += 1;
                self.pinged_at = now.micros();
                self.ping_at = now.millis() + interval;
            }
        }
        self.set_deadline(facts, settings);
        due
    }

    fn set_deadline(&self, facts: &BrokerFacts, settings: &Settings) {
        let by = if self.is_authenticated {
            self.ping_at
        } else {
            self.authenticated_by(settings).min(self.ping_at)
        };
        facts.set_deadline(by);
    }

    /// When a client that has not given its password is cut off.
    fn authenticated_by(&self, settings: &Settings) -> u64 {
        self.connected_at + settings.broker_auth_timeout.as_millis() as u64
    }
}
