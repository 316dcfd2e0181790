//! The records from which the table of locks is rebuilt.
//!
//! A record is a byte that says which, followed by its numbers (eight bytes, little-endian) and texts (a length of
//! four bytes, then the bytes).  The bytes that say which never change their meaning: a test pins them.

use smallvec::SmallVec;

use super::identifiers::SessionId;
use super::mode::Mode;
use super::model::idempotency::Done;

/// A change of the table.  Leases are named by owner, resource and fence; earlier versions, where an owner had one
/// lease on a resource, did not write the fence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Record<'a> {
    /// Fences up to this may have been given out.
    FenceRange { upto: u64 },
    /// An owner has got resources, all of them together.
    Granted(Granted<'a>),
    /// A lease now lasts this long, in milliseconds.
    Renewed { owner: &'a [u8], resource: &'a [u8], fence: Option<u64>, ttl: u64 },
    /// An owner holds a resource so many times.
    Holds { owner: &'a [u8], resource: &'a [u8], fence: Option<u64>, holds: u32 },
    /// A lease has ended.
    Ended { owner: &'a [u8], resource: &'a [u8], fence: Option<u64> },
    /// A lease is now held in another mode and under this fence.
    ModeChanged { owner: &'a [u8], resource: &'a [u8], mode: Mode, fence: u64 },
    /// A session has begun.
    SessionOpened { session: u64, ttl: u64, delay: u64, is_bound: bool },
    /// A session has ended, with all its leases.
    SessionEnded { session: u64 },
    /// A request with an id came to this; it does not wait.
    RequestDone { key: &'a [u8], fingerprint: u64, done: Done },
    /// The grant of a request with an id was taken back unseen: the request may be made anew.
    RequestForgotten { key: &'a [u8] },
    /// A snapshot begins.  Its parts may have seen records that come later, up to [`Record::SnapshotEnded`].
    SnapshotBegun,
    /// No part of the snapshot has seen later records.
    SnapshotEnded,
    /// A record of earlier versions that this one has no use for: requests with ids of another form.
    Obsolete,
}

/// See [`Record::Granted`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Granted<'a> {
    pub(super) fence: u64,
    /// Milliseconds; 0 if the lease lasts as long as its session.
    pub(super) ttl: u64,
    pub(super) mode: Mode,
    pub(super) holds: u32,
    /// 0 if there is none.
    pub(super) session: u64,
    pub(super) owner: &'a [u8],
    pub(super) meta: &'a [u8],
    pub(super) resources: SmallVec<[&'a [u8]; 1]>,
}

const FENCE_RANGE: u8 = 1;
const GRANTED: u8 = 2;
const RENEWED: u8 = 3;
const HOLDS: u8 = 4;
const ENDED: u8 = 5;
const MODE_CHANGED: u8 = 6;
const SESSION_OPENED: u8 = 7;
const SESSION_ENDED: u8 = 8;
const REQUEST_GRANTED: u8 = 9;
const REQUEST_RELEASED: u8 = 10;
const REQUEST_WITHDRAWN: u8 = 11;
const REQUEST_DONE: u8 = 12;
const REQUEST_FORGOTTEN: u8 = 13;
const RENEWED_LEASE: u8 = 14;
const HOLDS_LEASE: u8 = 15;
const ENDED_LEASE: u8 = 16;
const SNAPSHOT_BEGUN: u8 = 17;
const SNAPSHOT_ENDED: u8 = 18;

const GRANTED_REQUEST: u64 = 1;
const COUNTED_REQUEST: u64 = 2;
const OPENED_REQUEST: u64 = 3;

/// Where earlier versions wrote the id of a request.
const NO_REQUEST: &[u8] = b"";

const EXCLUSIVE: u64 = 1;
const SHARED: u64 = 2;
const PERMITS: u64 = 3;

impl<'a> Record<'a> {
    /// Appends the record to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Record::FenceRange { upto } => {
                out.push(FENCE_RANGE);
                number(out, *upto);
            }
            Record::Granted(granted) => {
                out.push(GRANTED);
                number(out, granted.fence);
                number(out, granted.ttl);
                mode(out, granted.mode);
                number(out, u64::from(granted.holds));
                number(out, granted.session);
                text(out, granted.owner);
                text(out, granted.meta);
                text(out, NO_REQUEST);
                granted.resources.iter().for_each(|resource| text(out, resource));
            }
            Record::Renewed { owner, resource, fence, ttl } => {
                out.push(RENEWED_LEASE);
                lease(out, owner, resource, *fence);
                number(out, *ttl);
            }
            Record::Holds { owner, resource, fence, holds } => {
                out.push(HOLDS_LEASE);
                lease(out, owner, resource, *fence);
                number(out, u64::from(*holds));
            }
            Record::Ended { owner, resource, fence } => {
                out.push(ENDED_LEASE);
                lease(out, owner, resource, *fence);
            }
            Record::ModeChanged { owner, resource, mode: changed, fence } => {
                out.push(MODE_CHANGED);
                text(out, owner);
                text(out, resource);
                mode(out, *changed);
                number(out, *fence);
            }
            Record::SessionOpened { session, ttl, delay, is_bound } => {
                out.push(SESSION_OPENED);
                number(out, *session);
                number(out, *ttl);
                number(out, *delay);
                number(out, u64::from(*is_bound));
            }
            Record::SessionEnded { session } => {
                out.push(SESSION_ENDED);
                number(out, *session);
            }
            Record::RequestDone { key, fingerprint, done } => {
                let (which, value) = match *done {
                    Done::Granted(fence) => (GRANTED_REQUEST, fence),
                    Done::Counted(count) => (COUNTED_REQUEST, count),
                    Done::Opened(SessionId(session)) => (OPENED_REQUEST, session),
                    // A waiter asks again, and waits again.
                    Done::Waiting(_) => return,
                };
                out.push(REQUEST_DONE);
                text(out, key);
                number(out, *fingerprint);
                number(out, which);
                number(out, value);
            }
            Record::RequestForgotten { key } => {
                out.push(REQUEST_FORGOTTEN);
                text(out, key);
            }
            Record::SnapshotBegun => out.push(SNAPSHOT_BEGUN),
            Record::SnapshotEnded => out.push(SNAPSHOT_ENDED),
            Record::Obsolete => {}
        }
    }

    /// The record that these bytes are; none if they are no record that was ever written.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Record<'a>> {
        let (&which, rest) = bytes.split_first()?;
        let mut rest = Reader(rest);
        let record = match which {
            FENCE_RANGE => Record::FenceRange { upto: rest.number()? },
            GRANTED => {
                let mut granted = Granted {
                    fence: rest.number()?,
                    ttl: rest.number()?,
                    mode: rest.mode()?,
                    holds: rest.small()?,
                    session: rest.number()?,
                    owner: rest.text()?,
                    meta: rest.text()?,
                    resources: SmallVec::new(),
                };
                rest.text()?;
                granted.resources.push(rest.text()?);
                while !rest.0.is_empty() {
                    granted.resources.push(rest.text()?);
                }
                Record::Granted(granted)
            }
            RENEWED | RENEWED_LEASE => {
                let (owner, resource, fence) = rest.lease(which == RENEWED_LEASE)?;
                Record::Renewed { owner, resource, fence, ttl: rest.number()? }
            }
            HOLDS => {
                let (owner, resource, fence) = rest.lease(false)?;
                let holds = rest.small()?;
                rest.text()?;
                Record::Holds { owner, resource, fence, holds }
            }
            HOLDS_LEASE => {
                let (owner, resource, fence) = rest.lease(true)?;
                Record::Holds { owner, resource, fence, holds: rest.small()? }
            }
            ENDED => {
                let (owner, resource, fence) = rest.lease(false)?;
                rest.text()?;
                Record::Ended { owner, resource, fence }
            }
            ENDED_LEASE => {
                let (owner, resource, fence) = rest.lease(true)?;
                Record::Ended { owner, resource, fence }
            }
            MODE_CHANGED => Record::ModeChanged {
                owner: rest.text()?,
                resource: rest.text()?,
                mode: rest.mode()?,
                fence: rest.number()?,
            },
            SESSION_OPENED => Record::SessionOpened {
                session: rest.number()?,
                ttl: rest.number()?,
                delay: rest.number()?,
                is_bound: rest.number()? != 0,
            },
            SESSION_ENDED => Record::SessionEnded { session: rest.number()? },
            REQUEST_GRANTED | REQUEST_RELEASED => {
                let _ = (rest.text()?, rest.text()?, rest.number()?);
                Record::Obsolete
            }
            REQUEST_WITHDRAWN => {
                let _ = (rest.text()?, rest.text()?);
                Record::Obsolete
            }
            REQUEST_DONE => {
                Record::RequestDone { key: rest.text()?, fingerprint: rest.number()?, done: rest.done()? }
            }
            REQUEST_FORGOTTEN => Record::RequestForgotten { key: rest.text()? },
            SNAPSHOT_BEGUN => Record::SnapshotBegun,
            SNAPSHOT_ENDED => Record::SnapshotEnded,
            _ => return None,
        };
        rest.0.is_empty().then_some(record)
    }
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

fn lease(out: &mut Vec<u8>, owner: &[u8], resource: &[u8], fence: Option<u64>) {
    text(out, owner);
    text(out, resource);
    number(out, fence.unwrap_or(0));
}

fn mode(out: &mut Vec<u8>, mode: Mode) {
    let (which, count, of) = match mode {
        Mode::Exclusive => (EXCLUSIVE, 0, 0),
        Mode::Shared => (SHARED, 0, 0),
        Mode::Permits { count, of } => (PERMITS, count, of),
    };
    number(out, which);
    number(out, u64::from(count) << 32 | u64::from(of));
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some(text)
    }

    /// Owner, resource and fence of a lease.
    fn lease(&mut self, has_fence: bool) -> Option<(&'a [u8], &'a [u8], Option<u64>)> {
        let (owner, resource) = (self.text()?, self.text()?);
        Some((owner, resource, if has_fence { Some(self.number()?) } else { None }))
    }

    fn done(&mut self) -> Option<Done> {
        let (which, value) = (self.number()?, self.number()?);
        match which {
            GRANTED_REQUEST => Some(Done::Granted(value)),
            COUNTED_REQUEST => Some(Done::Counted(value)),
            OPENED_REQUEST => Some(Done::Opened(SessionId(value))),
            _ => None,
        }
    }

    fn mode(&mut self) -> Option<Mode> {
        let (which, permits) = (self.number()?, self.number()?);
        match which {
            EXCLUSIVE => Some(Mode::Exclusive),
            SHARED => Some(Mode::Shared),
            PERMITS => Some(Mode::Permits { count: (permits >> 32) as u32, of: permits as u32 }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    fn examples() -> Vec<Record<'static>> {
        let (owner, resource): (&[u8], &[u8]) = (b"owner", b"resource");
        let (key, fingerprint): (&[u8], u64) = (b"key", 77);
        vec![
            Record::FenceRange { upto: 1 << 20 },
            Record::Granted(Granted {
                fence: 7,
                ttl: 30_000,
                mode: Mode::Permits { count: 2, of: 5 },
                holds: 1,
                session: 9,
                owner,
                meta: b"meta\0",
                resources: smallvec![resource, &b""[..]],
            }),
            Record::Renewed { owner, resource, fence: Some(7), ttl: 1 },
            Record::Holds { owner, resource, fence: Some(7), holds: 2 },
            Record::Ended { owner, resource, fence: Some(7) },
            Record::ModeChanged { owner, resource, mode: Mode::Exclusive, fence: 8 },
            Record::SessionOpened { session: 9, ttl: 5, delay: 0, is_bound: true },
            Record::SessionEnded { session: 9 },
            Record::RequestDone { key, fingerprint, done: Done::Granted(7) },
            Record::RequestDone { key, fingerprint, done: Done::Counted(0) },
            Record::RequestDone { key, fingerprint, done: Done::Opened(SessionId(9)) },
            Record::RequestForgotten { key },
            Record::SnapshotBegun,
            Record::SnapshotEnded,
        ]
    }

    #[test]
    fn records_are_read_back_and_nothing_shorter_is_one() {
        for record in examples() {
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            assert_eq!(format!("{:?}", Record::read(&bytes)), format!("{:?}", Some(&record)));
            // A set of resources that loses its last is told by the journal's checksum, not here.
            if !matches!(record, Record::Granted(_)) {
                for length in 0..bytes.len() {
                    assert!(Record::read(&bytes[..length]).is_none(), "{record:?} cut at {length}");
                }
            }
            bytes.push(0);
            assert!(Record::read(&bytes).is_none());
        }
    }

    #[test]
    fn first_bytes_never_change() {
        let first = |record: Record<'_>| {
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            bytes[0]
        };
        let firsts: Vec<u8> = examples().into_iter().map(first).collect();
        assert_eq!(firsts, [1, 2, 14, 15, 16, 6, 7, 8, 12, 12, 12, 13, 17, 18]);
    }
}
