//! The limiter's records, which the next start reads back.
//!
//! ```text
//! 1  i64 wall microseconds, u64 moment            the time of the records behind it
//! 2  u32 database, u64 end, u32 length, key, state   a counter has this state, until that moment
//! 3  u32 database, key                            a counter says nothing any more
//! 4  u32 length, name, JSON                       a policy
//! 5  name                                         a policy is forgotten
//! 6  name                                         a policy is as on a fresh server: that of a file took its place
//! 7  u8 list, pattern                             a pattern is put on a list: 0 allows, 1 denies
//! 8  u8 list, pattern                             a pattern is taken off a list
//! 9  u64 end, key                                 a key is blocked until that moment
//! 10 key                                          a key is not blocked any more
//! 11 u64 id, reservation                          a reservation is open, see Reservation::encode
//! 12 u64 id                                       a reservation has ended
//! ```
//!
//! Policies that come from a file of settings are not written: the file has them.
//!
//! Numbers are little endian.  Moments are on the scale of the server that wrote them; the first record tells how that
//! lies to wall time.

use crate::limit::algorithm::Nanos;
use crate::limit::lists::ListName;
use crate::limit::reservations::ReservationId;

/// One record; its numbers are stored, so they never get another meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record<'r> {
    /// The time of the records behind it.
    Time {
        /// Microseconds of wall time.
        wall_micros: i64,
        /// The same on the limiter's scale.
        timestamp: Nanos,
    },
    /// The state of a counter.
    Counter {
        /// Its database.
        database: u32,
        /// When it says nothing any more.
        ends_at: Nanos,
        /// Its key.
        key: &'r [u8],
        /// Its state.
        state: &'r [u8],
    },
    /// A counter says nothing any more.
    Removed {
        /// Its database.
        database: u32,
        /// Its key.
        key: &'r [u8],
    },
    /// A policy.
    Policy {
        /// Its name.
        name: &'r str,
        /// Its definition as JSON.
        definition: &'r [u8],
    },
    /// A policy is forgotten.
    Forgotten {
        /// Its name.
        name: &'r str,
    },
    /// A policy is as on a fresh server, whatever earlier records say.
    Voided {
        /// Its name.
        name: &'r str,
    },
    /// A pattern is put on a list.
    Listed {
        /// The list.
        list: ListName,
        /// The pattern.
        pattern: &'r [u8],
    },
    /// A pattern is taken off a list.
    Unlisted {
        /// The list.
        list: ListName,
        /// The pattern.
        pattern: &'r [u8],
    },
    /// A key is blocked.
    Blocked {
        /// Until when.
        until: Nanos,
        /// The key.
        key: &'r [u8],
    },
    /// A key is not blocked any more.
    Unblocked {
        /// The key.
        key: &'r [u8],
    },
    /// A reservation is open.
    Reserved {
        /// Its id.
        id: ReservationId,
        /// Its contents; see [`Reservation::encode`](crate::limit::reservations::Reservation::encode).
        reservation: &'r [u8],
    },
    /// A reservation has ended.
    Ended {
        /// Its id.
        id: ReservationId,
    },
}

impl<'r> Record<'r> {
    /// The record as bytes of its own.
    pub fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }

    /// Writes it over `bytes`.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        match *self {
            Record::Time { wall_micros, timestamp } => {
                bytes.push(1);
                bytes.extend_from_slice(&wall_micros.to_le_bytes());
                bytes.extend_from_slice(&timestamp.to_le_bytes());
            }
            Record::Counter { database, ends_at, key, state } => {
                bytes.push(2);
                bytes.extend_from_slice(&database.to_le_bytes());
                bytes.extend_from_slice(&ends_at.to_le_bytes());
                bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
                bytes.extend_from_slice(key);
                bytes.extend_from_slice(state);
            }
            Record::Removed { database, key } => {
                bytes.push(3);
                bytes.extend_from_slice(&database.to_le_bytes());
                bytes.extend_from_slice(key);
            }
            Record::Policy { name, definition } => {
                bytes.push(4);
                bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
                bytes.extend_from_slice(name.as_bytes());
                bytes.extend_from_slice(definition);
            }
            Record::Forgotten { name } => {
                bytes.push(5);
                bytes.extend_from_slice(name.as_bytes());
            }
            Record::Voided { name } => {
                bytes.push(6);
                bytes.extend_from_slice(name.as_bytes());
            }
            Record::Listed { list, pattern } => {
                bytes.extend_from_slice(&[7, number_of(list)]);
                bytes.extend_from_slice(pattern);
            }
            Record::Unlisted { list, pattern } => {
                bytes.extend_from_slice(&[8, number_of(list)]);
                bytes.extend_from_slice(pattern);
            }
            Record::Blocked { until, key } => {
                bytes.push(9);
                bytes.extend_from_slice(&until.to_le_bytes());
                bytes.extend_from_slice(key);
            }
            Record::Unblocked { key } => {
                bytes.push(10);
                bytes.extend_from_slice(key);
            }
            Record::Reserved { id, reservation } => {
                bytes.push(11);
                bytes.extend_from_slice(&id.to_le_bytes());
                bytes.extend_from_slice(reservation);
            }
            Record::Ended { id } => {
                bytes.push(12);
                bytes.extend_from_slice(&id.to_le_bytes());
            }
        }
    }

    /// Reads a record; none if it is none.
    pub fn decode(bytes: &'r [u8]) -> Option<Record<'r>> {
        let (kind, mut rest) = bytes.split_first()?;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        Some(match kind {
            1 => Record::Time {
                wall_micros: i64::from_le_bytes(take(&mut rest)?),
                timestamp: u64::from_le_bytes(take(&mut rest)?),
            },
            2 => {
                let database = u32::from_le_bytes(take(&mut rest)?);
                let ends_at = u64::from_le_bytes(take(&mut rest)?);
                let length = u32::from_le_bytes(take(&mut rest)?) as usize;
                let (key, state) = rest.split_at_checked(length)?;
                Record::Counter { database, ends_at, key, state }
            }
            3 => Record::Removed { database: u32::from_le_bytes(take(&mut rest)?), key: rest },
            4 => {
                let length = u32::from_le_bytes(take(&mut rest)?) as usize;
                let (name, definition) = rest.split_at_checked(length)?;
                Record::Policy { name: text(name)?, definition }
            }
            5 => Record::Forgotten { name: text(rest)? },
            6 => Record::Voided { name: text(rest)? },
            7 => Record::Listed { list: list_of(take(&mut rest)?)?, pattern: rest },
            8 => Record::Unlisted { list: list_of(take(&mut rest)?)?, pattern: rest },
            9 => Record::Blocked { until: u64::from_le_bytes(take(&mut rest)?), key: rest },
            10 => Record::Unblocked { key: rest },
            11 => Record::Reserved { id: u64::from_le_bytes(take(&mut rest)?), reservation: rest },
            12 => Record::Ended { id: u64::from_le_bytes(take(&mut rest)?) },
            _ => return None,
        })
    }
}

fn number_of(list: ListName) -> u8 {
    match list {
        ListName::Allow => 0,
        ListName::Deny => 1,
    }
}

fn list_of([number]: [u8; 1]) -> Option<ListName> {
    match number {
        0 => Some(ListName::Allow),
        1 => Some(ListName::Deny),
        _ => None,
    }
}

/// The first bytes of `rest`, which is moved behind them.
pub(in crate::limit) fn take<const WIDTH: usize>(rest: &mut &[u8]) -> Option<[u8; WIDTH]> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let records = [
            Record::Time { wall_micros: -5, timestamp: 1 << 61 },
            Record::Counter { database: 3, ends_at: 99, key: b"rl:api:x", state: &[1, 0, 2] },
            Record::Removed { database: 0, key: b"rl:api:x" },
            Record::Policy { name: "api", definition: b"{}" },
            Record::Forgotten { name: "api" },
            Record::Voided { name: "default" },
            Record::Listed { list: ListName::Allow, pattern: b"office-*" },
            Record::Unlisted { list: ListName::Deny, pattern: b"\xff" },
            Record::Blocked { until: 77, key: b"eve" },
            Record::Unblocked { key: b"eve" },
            Record::Reserved { id: 1 << 63, reservation: b"what was taken" },
            Record::Ended { id: 5 },
        ];
        let mut bytes = Vec::new();
        for (number, record) in records.iter().enumerate() {
            record.encode(&mut bytes);
            assert_eq!((bytes[0] as usize, Record::decode(&bytes)), (number + 1, Some(*record)));
        }
        assert_eq!(Record::decode(&[]), None);
        assert_eq!(Record::decode(&[9, 1]), None);
        assert_eq!(Record::decode(&[7, 2]), None);
        assert_eq!(Record::decode(&[200, 1]), None);
        assert_eq!(Record::decode(&[4, 200, 0, 0, 0, 1]), None);
    }
}
