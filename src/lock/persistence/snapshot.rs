//! Writing the table down so that it can be rebuilt: in steps, between which it goes on.

use std::ops::Range;

use crate::lock::identifiers::SessionId;
use crate::lock::limits::{SNAPSHOT_PLACES_MAX, SNAPSHOT_RECORDS_MAX};
use crate::lock::records::{Granted, Record};
use crate::lock::scheduler::Core;

/// Where a snapshot has come to.
pub struct SnapshotWalk {
    stage: Stage,
    /// Records that one step writes at most.
    most: usize,
}

impl Default for SnapshotWalk {
    fn default() -> SnapshotWalk {
        SnapshotWalk::in_steps_of(SNAPSHOT_RECORDS_MAX)
    }
}

impl SnapshotWalk {
    /// One whose steps write so many records at most, and not none.
    pub fn in_steps_of(most: usize) -> SnapshotWalk {
        SnapshotWalk { stage: Stage::Begin, most: most.max(2) }
    }
}

enum Stage {
    Begin,
    /// Those at these places.  A lease that comes to another place later has records of its own.
    Leases(Range<usize>),
    /// Those that are left.  They come after the leases: the session of a lease was there when the lease was met, and
    /// if it is not any more, a later record says so.
    Sessions(Vec<SessionId>),
    /// Those with these numbers.
    Requests(Range<u64>),
    End,
}

impl Core {
    /// Gives `write` some of the records that rebuild the table, and returns whether they were the last.  All of them,
    /// and then all records from the first step on, rebuild the table as it is after the last of these.  The records of
    /// later changes come behind a record that marks the end; see [`Core::end_snapshot`].
    pub fn snapshot_step(&self, walk: &mut SnapshotWalk, mut write: impl FnMut(&[u8])) -> bool {
        let (mut bytes, mut written, most) = (Vec::new(), 0, walk.most);
        let mut emit = |record: &Record<'_>| {
            bytes.clear();
            record.write(&mut bytes);
            write(&bytes);
            written += 1;
            written < most
        };
        walk.stage = match std::mem::replace(&mut walk.stage, Stage::End) {
            Stage::Begin => {
                emit(&Record::SnapshotBegun);
                emit(&Record::FenceRange { upto: self.model.fences.upto() });
                Stage::Leases(0..self.model.leases.capacity())
            }
            Stage::Leases(mut places) => {
                for place in places.by_ref().take(SNAPSHOT_PLACES_MAX) {
                    if !self.emit_lease(place, &mut emit) {
                        break;
                    }
                }
                if places.is_empty() {
                    Stage::Sessions(self.model.sessions.keys().copied().collect())
                } else {
                    Stage::Leases(places)
                }
            }
            Stage::Sessions(mut left) => {
                while let Some(id) = left.pop()
                    && self.emit_session(id, &mut emit)
                {}
                if left.is_empty() {
                    Stage::Requests(self.model.request_ids.numbers())
                } else {
                    Stage::Sessions(left)
                }
            }
            Stage::Requests(mut numbers) => {
                for number in numbers.by_ref().take(SNAPSHOT_PLACES_MAX) {
                    if let Some((key, fingerprint, done)) = self.model.request_ids.done_at(number)
                        && !emit(&Record::RequestDone { key, fingerprint, done })
                    {
                        break;
                    }
                }
                if numbers.is_empty() { Stage::End } else { Stage::Requests(numbers) }
            }
            Stage::End => Stage::End,
        };
        matches!(walk.stage, Stage::End)
    }

    /// Writes down the lease at a place, if there is one; whether more may follow.
    fn emit_lease(&self, place: usize, emit: &mut impl FnMut(&Record<'_>) -> bool) -> bool {
        let Some(lease) = self.model.leases.get(place) else { return true };
        emit(&Record::Granted(Granted {
            fence: lease.fence,
            ttl: lease.ttl().unwrap_or(0),
            mode: lease.mode,
            holds: lease.holds,
            session: lease.session().map_or(0, |session| session.0),
            owner: self.model.owners.name(lease.owner),
            meta: &lease.meta,
            resources: [self.model.resources.name(lease.resource)].into_iter().collect(),
        }))
    }

    fn emit_session(&self, id: SessionId, emit: &mut impl FnMut(&Record<'_>) -> bool) -> bool {
        let Some(session) = self.model.sessions.get(&id) else { return true };
        emit(&Record::SessionOpened {
            session: id.0,
            ttl: session.ttl.unwrap_or(0),
            delay: session.delay,
            is_bound: session.is_bound,
        })
    }

    /// Gives `write` the record after which nothing comes that a part of the snapshot has seen.
    pub fn end_snapshot(write: impl FnOnce(&[u8])) {
        let mut bytes = Vec::new();
        Record::SnapshotEnded.write(&mut bytes);
        write(&bytes);
    }

    /// Gives `write` all the records at once; `with_leases` is false where only fences are kept.
    pub fn snapshot(&self, with_leases: bool, mut write: impl FnMut(&[u8])) {
        if with_leases {
            let mut walk = SnapshotWalk::default();
            while !self.snapshot_step(&mut walk, &mut write) {}
            return Core::end_snapshot(write);
        }
        let mut bytes = Vec::new();
        Record::FenceRange { upto: self.model.fences.upto() }.write(&mut bytes);
        write(&bytes);
    }
}
