//! Tickets: each lets one request in that cannot carry a password, such as the ones that a browser makes for an EventSource
//! or a WebSocket.
//!
//! A ticket stands in an address, and addresses end in logs and histories.  So it is good for one request and for
//! [`LIFETIME`].  Whoever has the password may ask for one.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hashbrown::HashMap;

use super::login::same;
use crate::clock::Now;
use crate::lock_order::{Mutex, rank};

/// The time within which a ticket must be used.
pub const LIFETIME: Duration = Duration::from_secs(30);

/// Tickets that are out at a time.
pub(super) const TICKETS_MAX: usize = 10_000;

/// Bytes by which a ticket is found.  The time that this takes may tell something about them.
const NAME_LENGTH: usize = 8;

/// Bytes that are compared in constant time.
const SECRET_LENGTH: usize = 16;

/// Random bytes of a ticket.
pub const TICKET_LENGTH: usize = NAME_LENGTH + SECRET_LENGTH;

type Name = [u8; NAME_LENGTH];

/// The tickets that are out.
#[derive(Default)]
pub struct Tickets {
    table: Mutex<Table, { rank::TICKETS }>,
}

#[derive(Default)]
struct Table {
    tickets: HashMap<Name, Ticket>,
    /// The names of tickets in the order in which they end.  Those that were used may stand here too.
    order: VecDeque<Name>,
}

struct Ticket {
    secret: [u8; SECRET_LENGTH],
    /// In milliseconds of the server's clock.
    ends_at: u64,
}

impl Tickets {
    /// Makes a ticket of random bytes that nobody can guess.
    ///
    /// # Errors
    /// With the time after which there is room for another, if too many are out.
    pub fn issue(&self, random: [u8; TICKET_LENGTH], now: Now) -> Result<String, Duration> {
        let (name, secret) = parts(&random);
        let now = now.millis();
        let mut table = self.table.lock();
        table.forget(now);
        if table.tickets.len() >= TICKETS_MAX {
            let first = table.order.front().and_then(|name| table.tickets.get(name));
            let left = first.map_or(0, |ticket| ticket.ends_at.saturating_sub(now));
            return Err(Duration::from_millis(left));
        }
        let ends_at = now + LIFETIME.as_millis() as u64;
        table.tickets.insert(name, Ticket { secret, ends_at });
        table.order.push_back(name);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(random))
    }

    /// Whether `text` is a ticket that is good, which it is not any more afterwards.
    pub fn take(&self, text: &str, now: Now) -> bool {
        let mut random = [0; TICKET_LENGTH];
        if BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut random) != Ok(TICKET_LENGTH) {
            return false;
        }
        let (name, secret) = parts(&random);
        let mut table = self.table.lock();
        let is_right = table.tickets.get(&name).is_some_and(|ticket| same(&ticket.secret, &secret));
        let taken = if is_right { table.tickets.remove(&name) } else { None };
        taken.is_some_and(|ticket| now.millis() < ticket.ends_at)
    }
}

impl Table {
    /// Forgets the tickets that have ended.
    fn forget(&mut self, now: u64) {
        while let Some(name) = self.order.front() {
            if self.tickets.get(name).is_some_and(|ticket| now < ticket.ends_at) {
                break;
            }
            self.tickets.remove(name);
            self.order.pop_front();
        }
        // Behind one ticket that nobody uses, many may be used.
        if self.order.len() >= 2 * TICKETS_MAX {
            let Table { tickets, order } = self;
            order.retain(|name| tickets.contains_key(name));
        }
    }
}

fn parts(random: &[u8; TICKET_LENGTH]) -> (Name, [u8; SECRET_LENGTH]) {
    let (mut name, mut secret) = ([0; NAME_LENGTH], [0; SECRET_LENGTH]);
    name.copy_from_slice(&random[..NAME_LENGTH]);
    secret.copy_from_slice(&random[NAME_LENGTH..]);
    (name, secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now::at(Duration::from_millis(1_000_000 + millis), Duration::ZERO)
    }

    /// Bytes that differ by their number in the part that names a ticket.
    fn random(number: u64) -> [u8; TICKET_LENGTH] {
        let mut random = [7; TICKET_LENGTH];
        random[..NAME_LENGTH].copy_from_slice(&number.to_le_bytes());
        random
    }

    #[test]
    fn a_ticket_is_good_once_and_for_a_time() {
        let tickets = Tickets::default();
        let [one, two, late] =
            [1, 2, 3].map(|number| tickets.issue(random(number), at(number)).expect("there is room"));
        assert_eq!(one.len(), 32);
        assert!(tickets.take(&two, at(5)) && !tickets.take(&two, at(5)));
        assert!(tickets.take(&one, at(30_000)));
        assert!(!tickets.take(&late, at(30_003)), "its time is over");
        assert!(!tickets.take(&late, at(5)), "and it was tried");
    }

    #[test]
    fn what_is_no_ticket_is_refused_and_burns_none() {
        let tickets = Tickets::default();
        let ticket = tickets.issue(random(1), at(0)).expect("there is room");
        let mut other = random(1);
        other[TICKET_LENGTH - 1] ^= 1;
        let forged = BASE64_URL_SAFE_NO_PAD.encode(other);
        for wrong in ["", "x", &ticket[1..], &format!("{ticket}A"), &format!("{ticket}="), &forged] {
            assert!(!tickets.take(wrong, at(0)), "{wrong}");
        }
        assert!(tickets.take(&ticket, at(0)));
    }

    #[test]
    fn only_so_many_are_out_at_a_time() {
        let tickets = Tickets::default();
        let most = TICKETS_MAX as u64;
        let issued: Vec<String> = (0..most)
            .map(|number| tickets.issue(random(number), at(number)).expect("there is room"))
            .collect();
        assert_eq!(tickets.issue(random(most), at(most)), Err(Duration::from_millis(30_000 - most)));
        assert!(tickets.take(&issued[5], at(most)));
        assert!(tickets.issue(random(most), at(most)).is_ok(), "a used one makes room");
        assert!(tickets.issue(random(most + 1), at(most)).is_err());
        assert!(tickets.issue(random(most + 1), at(30_000)).is_ok(), "and so does one that has ended");
    }

    #[test]
    fn used_tickets_take_bounded_room_behind_one_that_is_not() {
        let tickets = Tickets::default();
        let unused = tickets.issue(random(0), at(0)).expect("there is room");
        for number in 1..=3 * TICKETS_MAX as u64 {
            let ticket = tickets.issue(random(number), at(0)).expect("there is room");
            assert!(tickets.take(&ticket, at(0)));
        }
        assert!(tickets.table.lock().order.len() <= 2 * TICKETS_MAX);
        assert!(tickets.take(&unused, at(0)));
    }
}
