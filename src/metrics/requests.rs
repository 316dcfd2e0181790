//! HTTP requests by method and route.  Each thread counts its own, without shared writes, and a reader adds them up.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use hashbrown::{Equivalent, HashMap};

use crate::lock_order::{RwLock, rank};

use super::{Counter, Distribution, Histogram};

/// Classes of status: 1xx to 5xx.
const STATUS_CLASSES: usize = 5;

/// The HTTP requests and connections.
#[derive(Debug, Default)]
pub struct Requests {
    /// Routes are those of the API, so there are a few dozen.
    routes: RwLock<HashMap<RouteKey, RouteCounters>, { rank::REQUEST_COUNTS }>,
    /// Connections that exist.
    pub connections: AtomicUsize,
    /// Connections that were accepted since the start.
    pub accepted: AtomicU64,
    /// Connections that were refused since the start.
    pub rejected: AtomicU64,
    /// Bytes of bodies of requests that are not answered yet.
    pub request_bytes: AtomicUsize,
    /// Bytes of responses that clients have not read yet.
    pub response_bytes: AtomicUsize,
}

#[derive(Debug, PartialEq, Eq)]
struct RouteKey {
    slot: usize,
    method: &'static str,
    route: Box<str>,
}

/// A [`RouteKey`] for lookups, without an allocation.
struct Asked<'r>(usize, &'static str, &'r str);

impl Hash for RouteKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked(self.slot, self.method, &self.route).hash(state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1, self.2).hash(state);
    }
}

impl Equivalent<RouteKey> for Asked<'_> {
    fn equivalent(&self, key: &RouteKey) -> bool {
        self.0 == key.slot && self.1 == key.method && self.2 == &*key.route
    }
}

#[derive(Debug, Default)]
struct RouteCounters {
    by_status: [Counter; STATUS_CLASSES],
    durations: Histogram,
}

impl RouteCounters {
    fn count(&self, status: u16, micros: u64) {
        let class = usize::from(status / 100).clamp(1, STATUS_CLASSES) - 1;
        self.by_status[class].add(1);
        self.durations.record(micros);
    }
}

/// The requests of one method and route.
#[derive(Clone, Debug, Default)]
pub struct RouteTotals {
    /// How many were answered with a status of each class, 1xx to 5xx.
    pub by_status: [u64; STATUS_CLASSES],
    /// How long they took.
    pub durations: Distribution,
}

impl Requests {
    /// Counts a request that thread `slot` has answered.  Only that thread may use its number.
    pub fn count(&self, slot: usize, method: &'static str, route: &str, status: u16, micros: u64) {
        if let Some(counters) = self.routes.read().get(&Asked(slot, method, route)) {
            return counters.count(status, micros);
        }
        let key = RouteKey { slot, method, route: route.into() };
        self.routes.write().entry(key).or_default().count(status, micros);
    }

    /// All methods and routes that were requested, with their counts.
    pub fn totals(&self) -> BTreeMap<(&'static str, String), RouteTotals> {
        let mut sums: BTreeMap<_, RouteTotals> = BTreeMap::new();
        for (key, counters) in self.routes.read().iter() {
            let sum = sums.entry((key.method, key.route.to_string())).or_default();
            for (sum, counter) in sum.by_status.iter_mut().zip(&counters.by_status) {
                *sum += counter.get();
            }
            sum.durations.add(&counters.durations);
        }
        sums
    }

    /// Accepts a connection if there are fewer than `limit`.
    pub fn admit(&self, limit: usize) -> bool {
        let admitted = self
            .connections
            .fetch_update(Relaxed, Relaxed, |count| (count < limit).then_some(count + 1))
            .is_ok();
        let counter = if admitted { &self.accepted } else { &self.rejected };
        counter.fetch_add(1, Relaxed);
        admitted
    }

    /// Notes the end of a connection that was accepted.
    pub fn part(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_added_up() {
        let requests = Requests::default();
        requests.count(0, "GET", "/cache/{key}", 200, 10);
        requests.count(0, "GET", "/cache/{key}", 404, 10);
        requests.count(1, "GET", "/cache/{key}", 200, 30);
        requests.count(1, "PUT", "/cache/{key}", 507, 30);
        let totals = requests.totals();
        let get = &totals[&("GET", "/cache/{key}".to_owned())];
        assert_eq!((get.by_status, get.durations.len()), ([0, 2, 0, 1, 0], 3));
        assert_eq!(totals[&("PUT", "/cache/{key}".to_owned())].by_status, [0, 0, 0, 0, 1]);
    }

    #[test]
    fn connections_beyond_the_limit_are_refused() {
        let requests = Requests::default();
        assert!(requests.admit(1) && !requests.admit(1));
        requests.part();
        assert!(requests.admit(1));
        assert_eq!((requests.accepted.into_inner(), requests.rejected.into_inner()), (2, 1));
    }
}
