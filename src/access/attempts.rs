//! Wrong passwords: the log and the metrics count them, and the addresses that send them are slowed down.
//!
//! An address may give [`FAILURES_MAX`] wrong passwords at once, and one more per [`RECOVERY`].  Beyond that its passwords are
//! not checked, so an attacker has one guess a second.  The passwords of an address that gave the right one lately are
//! always checked: a stranger with the same address, behind one proxy, must not lock it out.  Addresses do not affect
//! each other.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hashbrown::HashMap;

use crate::clock::Now;
use crate::lock_order::{Mutex, rank};

/// Wrong passwords that an address may give at once.
pub const FAILURES_MAX: u64 = 20;

/// The time after which an address may give one more.
pub const RECOVERY: Duration = Duration::from_secs(1);

/// The time for which the passwords of an address are checked after it gave the right one.
const TRUST: Duration = Duration::from_secs(60 * 60);

/// Addresses that are remembered.  Beyond that, those that tried longest ago are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// The least time between two lines of the log.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Bits of an IPv6 address that are a host's own, and that it can choose.
const IPV6_HOST_BITS: u32 = 64;

/// See the module's text.
#[derive(Default)]
pub struct Attempts {
    table: Mutex<Table, { rank::ATTEMPTS }>,
    failed: AtomicU64,
    unheard: AtomicU64,
}

#[derive(Default)]
struct Table {
    addresses: HashMap<IpAddr, Address>,
    /// The next line of the log.
    report: Option<Report>,
    /// When that line may be written, in microseconds.
    report_from: u64,
}

/// The wrong passwords of an address; all times are in microseconds of the server's clock.
#[derive(Clone, Copy, Default)]
struct Address {
    /// When all of its wrong passwords are forgotten.
    forgotten_at: u64,
    /// Until when its passwords are checked in any case.
    trusted_until: u64,
    last_heard_of: u64,
}

/// Wrong passwords since the last line of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Passwords that were wrong, or were not checked.
    pub failures: u64,
    /// The last address that gave one.
    pub last: IpAddr,
}

/// Whether the password of an address is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hearing {
    /// It is checked.
    Heard,
    /// It is checked, but if it is wrong the reply is to be delayed by this time.
    Slowed(Duration),
    /// It is not checked for this time.
    Unheard(Duration),
}

impl Attempts {
    /// Whether a password of this address is checked now.
    pub fn hearing(&self, address: IpAddr, now: Now) -> Hearing {
        let now = now.micros();
        let table = self.table.lock();
        let Some(address) = table.addresses.get(&host(address)) else { return Hearing::Heard };
        let full = (FAILURES_MAX - 1) * micros(RECOVERY);
        match address.forgotten_at.saturating_sub(now.saturating_add(full)) {
            0 => Hearing::Heard,
            left if address.trusted_until > now => Hearing::Slowed(Duration::from_micros(left)),
            left => Hearing::Unheard(Duration::from_micros(left)),
        }
    }

    /// Notes the right password.
    pub fn succeeded(&self, address: IpAddr, now: Now) {
        let now = now.micros();
        self.table.lock().entry(address, now).trusted_until = now + micros(TRUST);
    }

    /// Notes a wrong password.
    pub fn failed(&self, address: IpAddr, now: Now) {
        self.failed.fetch_add(1, Relaxed);
        let now = now.micros();
        let mut table = self.table.lock();
        let known = table.entry(address, now);
        // An address beyond its limit whose passwords are checked owes no more than one whose passwords are not.
        let most = now + FAILURES_MAX * micros(RECOVERY);
        known.forgotten_at = (known.forgotten_at.max(now) + micros(RECOVERY)).min(most);
        table.note(address);
    }

    /// Notes a password that was not checked.
    pub fn unheard(&self, address: IpAddr) {
        self.unheard.fetch_add(1, Relaxed);
        self.table.lock().note(address);
    }

    /// Wrong passwords since the start.
    pub fn failures(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Passwords since the start that were not checked.
    pub fn unheard_count(&self) -> u64 {
        self.unheard.load(Relaxed)
    }

    /// The line to log now, if there is one.
    pub fn take_report(&self, now: Now) -> Option<Report> {
        let mut table = self.table.lock();
        if now.micros() < table.report_from {
            return None;
        }
        let report = table.report.take()?;
        table.report_from = now.micros() + micros(REPORT_INTERVAL);
        Some(report)
    }
}

impl Table {
    fn entry(&mut self, address: IpAddr, now: u64) -> &mut Address {
        let address = host(address);
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&address) {
            self.addresses.retain(|_, known| known.forgotten_at > now || known.trusted_until > now);
            let oldest = self.addresses.iter().min_by_key(|(_, known)| known.last_heard_of);
            if let Some(oldest) =
                oldest.map(|(address, _)| *address).filter(|_| self.addresses.len() >= ADDRESSES_MAX)
            {
                self.addresses.remove(&oldest);
            }
        }
        let known = self.addresses.entry(address).or_default();
        known.last_heard_of = now;
        known
    }

    fn note(&mut self, address: IpAddr) {
        let failures = self.report.map_or(0, |report| report.failures) + 1;
        self.report = Some(Report { failures, last: address.to_canonical() });
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The address by which a host is known.
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> IPV6_HOST_BITS << IPV6_HOST_BITS))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now::at(Duration::from_secs(1000 + seconds), Duration::ZERO)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("it is an address")
    }

    fn fail(attempts: &Attempts, from: &str, seconds: u64, times: u64) {
        (0..times).for_each(|_| attempts.failed(address(from), at(seconds)));
    }

    #[test]
    fn an_address_that_guesses_is_slowed_and_others_are_not() {
        let attempts = Attempts::default();
        fail(&attempts, "192.0.2.1", 0, FAILURES_MAX - 1);
        assert_eq!(attempts.hearing(address("192.0.2.1"), at(0)), Hearing::Heard);
        fail(&attempts, "192.0.2.1", 0, 1);
        for spelled in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert_eq!(attempts.hearing(address(spelled), at(0)), Hearing::Unheard(RECOVERY), "{spelled}");
        }
        for other in ["192.0.2.2", "2001:db8::1"] {
            assert_eq!(attempts.hearing(address(other), at(0)), Hearing::Heard, "{other}");
        }
        assert_eq!(attempts.hearing(address("192.0.2.1"), at(1)), Hearing::Heard, "one more each second");
        fail(&attempts, "192.0.2.1", 1, 1);
        assert_eq!(attempts.hearing(address("192.0.2.1"), at(1)), Hearing::Unheard(RECOVERY));
        assert_eq!(attempts.hearing(address("192.0.2.1"), at(60)), Hearing::Heard);
        fail(&attempts, "2001:db8::1", 0, FAILURES_MAX);
        assert_eq!(attempts.hearing(address("2001:db8::ffff:0:0:2"), at(0)), Hearing::Unheard(RECOVERY));
    }

    #[test]
    fn a_right_password_is_checked_beside_wrong_ones() {
        let attempts = Attempts::default();
        attempts.succeeded(address("127.0.0.1"), at(0));
        fail(&attempts, "127.0.0.1", 0, 1_000_000);
        assert_eq!(attempts.hearing(address("127.0.0.1"), at(0)), Hearing::Slowed(RECOVERY));
        assert_eq!(
            attempts.hearing(address("127.0.0.1"), at(1)),
            Hearing::Heard,
            "there is no debt without end"
        );
        fail(&attempts, "127.0.0.1", 3600, FAILURES_MAX);
        assert_eq!(attempts.hearing(address("127.0.0.1"), at(3600)), Hearing::Unheard(RECOVERY));
    }

    #[test]
    fn the_table_is_bounded() {
        let attempts = Attempts::default();
        fail(&attempts, "192.0.2.1", 0, FAILURES_MAX);
        for number in 0..2 * ADDRESSES_MAX as u32 {
            attempts.failed(IpAddr::from(number.to_be_bytes()), at(1));
        }
        assert_eq!(attempts.table.lock().addresses.len(), ADDRESSES_MAX);
        assert_eq!(attempts.failures(), FAILURES_MAX + 2 * ADDRESSES_MAX as u64);
    }

    #[test]
    fn the_log_has_a_line_now_and_then() {
        let attempts = Attempts::default();
        assert_eq!(attempts.take_report(at(0)), None);
        fail(&attempts, "192.0.2.1", 0, 1);
        let last = address("192.0.2.1");
        assert_eq!(attempts.take_report(at(0)), Some(Report { failures: 1, last }));
        fail(&attempts, "192.0.2.2", 1, 5);
        attempts.unheard(last);
        assert_eq!(attempts.take_report(at(9)), None);
        assert_eq!(attempts.take_report(at(10)), Some(Report { failures: 6, last }));
        assert_eq!(attempts.take_report(at(30)), None);
    }
}
