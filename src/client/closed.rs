//! The clients of the broker that have gone last, for those who look why.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{ClientReport, CloseReason, SharedClient};
use crate::lock_order::{Mutex, rank};

/// Clients that are remembered; older ones are forgotten.
const KEPT_MAX: usize = 1000;

/// See the module's text.
#[derive(Default)]
pub struct ClosedClients {
    reports: Mutex<VecDeque<ClientReport>, { rank::CLOSED_CLIENTS }>,
    /// How many have gone, by reason.
    counts: [AtomicU64; CloseReason::ALL.len()],
}

impl ClosedClients {
    /// Notes that a client has gone at this time, in milliseconds of the server's clock.
    pub(super) fn note(&self, client: &SharedClient, now: u64) {
        let Some(report) = ClientReport::of(client) else { return };
        let reason = client.close_reason();
        tracing::debug!(
            client = client.id,
            address = %report.address,
            listener = client.door.name(),
            reason = reason.text(),
            "a client of the broker has gone"
        );
        self.counts[reason as usize].fetch_add(1, Relaxed);
        let report = ClientReport { end: Some((now, reason)), ..report };
        let mut reports = self.reports.lock();
        if reports.len() == KEPT_MAX {
            reports.pop_front();
        }
        reports.push_back(report);
    }

    /// Their facts when they went, the last one at the end.
    pub fn reports(&self) -> Vec<ClientReport> {
        self.reports.lock().iter().cloned().collect()
    }

    /// How many have gone for this reason.
    pub fn count(&self, reason: CloseReason) -> u64 {
        self.counts[reason as usize].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Clients, Door};

    #[test]
    fn the_last_clients_are_remembered() {
        let (clients, address) = (Clients::default(), "127.0.0.1:1".parse().expect("an address"));
        for now in 0..KEPT_MAX as u64 + 2 {
            let client = clients.connect(Door::Broker, address, address, now);
            clients.connect(Door::Resp, address, address, now);
            if now == 5 {
                client.broker().expect("it is one").set_close_reason(CloseReason::Stale);
            }
            clients.disconnect(client.id, now + 1);
            clients.disconnect(client.id, now + 2);
        }
        let reports = clients.closed.reports();
        assert_eq!(
            (reports.len(), reports[0].connected_at, clients.closed.count(CloseReason::Stale)),
            (KEPT_MAX, 2, 1)
        );
        assert_eq!(reports[0].end, Some((3, CloseReason::ClientClosed)));
        assert_eq!(reports[3].end, Some((6, CloseReason::Stale)));
    }
}
