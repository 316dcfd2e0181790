//! What the limiter writes into its journal, and reads back at the next start.
//!
//! ```text
//! 1  i64 wall microseconds, u64 moment            the time of the records behind it
//! 2  u32 database, u64 end, u32 length, key, state   what a counter says, until that moment
//! 3  u32 database, key                            a counter says nothing any more
//! 4  u32 length, name, JSON                       a policy
//! 5  name                                         a policy is forgotten
//! ```
//!
//! Numbers are little endian.  Moments are on the scale of the server that wrote them; the first record tells how that
//! lies to wall time.

use super::algorithm::Nanos;

/// One record; its numbers are stored, so they never get another meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record<'r> {
    /// The time of the records behind it.
    Time {
        /// Microseconds of wall time.
        wall_micros: i64,
        /// The same on the limiter's scale.
        moment: Nanos,
    },
    /// What a counter says.
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
}

impl<'r> Record<'r> {
    /// Writes it over `bytes`.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        match *self {
            Record::Time { wall_micros, moment } => {
                bytes.push(1);
                bytes.extend_from_slice(&wall_micros.to_le_bytes());
                bytes.extend_from_slice(&moment.to_le_bytes());
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
        }
    }

    /// Reads a record; none if it is none.
    pub fn decode(bytes: &'r [u8]) -> Option<Record<'r>> {
        let (kind, mut rest) = bytes.split_first()?;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        Some(match kind {
            1 => Record::Time {
                wall_micros: i64::from_le_bytes(take(&mut rest)?),
                moment: u64::from_le_bytes(take(&mut rest)?),
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
            _ => return None,
        })
    }
}

fn take<const WIDTH: usize>(rest: &mut &[u8]) -> Option<[u8; WIDTH]> {
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
            Record::Time { wall_micros: -5, moment: 1 << 61 },
            Record::Counter { database: 3, ends_at: 99, key: b"rl:api:x", state: &[1, 0, 2] },
            Record::Removed { database: 0, key: b"rl:api:x" },
            Record::Policy { name: "api", definition: b"{}" },
            Record::Forgotten { name: "api" },
        ];
        let mut bytes = Vec::new();
        for (number, record) in records.iter().enumerate() {
            record.encode(&mut bytes);
            assert_eq!((bytes[0] as usize, Record::decode(&bytes)), (number + 1, Some(*record)));
        }
        assert_eq!(Record::decode(&[]), None);
        assert_eq!(Record::decode(&[9, 1]), None);
        assert_eq!(Record::decode(&[4, 200, 0, 0, 0, 1]), None);
    }
}
