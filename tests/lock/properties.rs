//! Random requests: the table does what the plain model does, keeps its invariants, and is rebuilt from its records.

use std::collections::BTreeSet;

use proptest::prelude::*;
use quartet::lock::operation::{
    Acquire, CancelWait, CloseSession, Downgrade, Force, Inspect, PingSession, Release, Renew, SessionTerms,
};
use quartet::lock::{Acquired, Mode, Outcome, RequestId, SessionId, WaiterId};

use super::model::{Lease, Model, Waiter, fits_beside};
use super::table::{ASKING, Table, snapshot};

const OWNERS: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];
const RESOURCES: [&str; 3] = ["x", "y", "z"];
const MOST_PERMITS: u32 = 3;
const MODES: [Mode; 6] = [
    Mode::Exclusive,
    Mode::Shared,
    Mode::Permits { count: 1, of: 2 },
    Mode::Permits { count: 2, of: 2 },
    Mode::Permits { count: 1, of: MOST_PERMITS },
    Mode::Permits { count: 2, of: MOST_PERMITS },
];

#[derive(Clone, Debug)]
enum Step {
    Acquire {
        owner: usize,
        resources: BTreeSet<usize>,
        mode: Mode,
        ttl: u64,
        wait: u64,
        is_reentrant: bool,
        session: Option<u64>,
    },
    Upgrade {
        owner: usize,
        resource: usize,
        wait: u64,
    },
    Downgrade {
        owner: usize,
        resource: usize,
    },
    Release {
        owner: usize,
        resource: usize,
        all: bool,
    },
    Renew {
        owner: usize,
        resource: usize,
        ttl: u64,
    },
    Force {
        resource: usize,
    },
    Cancel {
        owner: usize,
        resource: usize,
    },
    Abandon {
        which: prop::sample::Index,
    },
    Advance {
        millis: u64,
        /// Whether it passes in one step, as when the alarm is late.
        at_once: bool,
    },
    OpenSession {
        session: u64,
        ttl: u64,
    },
    Ping {
        session: u64,
    },
    CloseSession {
        session: u64,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let owner = 0..OWNERS.len();
    let resource = 0..RESOURCES.len();
    let resources = prop::collection::btree_set(resource.clone(), 1..=2);
    let session = 1..3_u64;
    prop_oneof![
        12 => (owner.clone(), resources, prop::sample::select(&MODES), 1..60_u64, prop_oneof![Just(0), 1..60_u64],
               any::<bool>(), prop::option::weighted(0.3, session.clone()))
            .prop_map(|(owner, resources, mode, ttl, wait, is_reentrant, session)| Step::Acquire {
                owner, resources, mode, ttl, wait, is_reentrant, session
            }),
        3 => (owner.clone(), resource.clone(), prop_oneof![Just(0), 1..60_u64])
            .prop_map(|(owner, resource, wait)| Step::Upgrade { owner, resource, wait }),
        1 => (owner.clone(), resource.clone()).prop_map(|(owner, resource)| Step::Downgrade { owner, resource }),
        5 => (owner.clone(), resource.clone(), any::<bool>())
            .prop_map(|(owner, resource, all)| Step::Release { owner, resource, all }),
        2 => (owner.clone(), resource.clone(), 1..60_u64)
            .prop_map(|(owner, resource, ttl)| Step::Renew { owner, resource, ttl }),
        1 => resource.clone().prop_map(|resource| Step::Force { resource }),
        1 => (owner, resource).prop_map(|(owner, resource)| Step::Cancel { owner, resource }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::Abandon { which }),
        3 => (1..30_u64, any::<bool>()).prop_map(|(millis, at_once)| Step::Advance { millis, at_once }),
        2 => (session.clone(), 1..80_u64).prop_map(|(session, ttl)| Step::OpenSession { session, ttl }),
        1 => session.clone().prop_map(|session| Step::Ping { session }),
        1 => session.prop_map(|session| Step::CloseSession { session }),
    ]
}

/// The table and the model side by side.
struct Pair {
    table: Table,
    model: Model,
    last_fence: u64,
}

impl Pair {
    fn new() -> Pair {
        let table = Table::new();
        let model = Model { now: table.now, ..Model::default() };
        Pair { table, model, last_fence: 0 }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Acquire { owner, resources, mode, ttl, wait, is_reentrant, session } => {
                let wanted = Waiter {
                    id: WaiterId(0),
                    owner: *owner,
                    resources: resources.iter().copied().collect(),
                    mode: *mode,
                    is_upgrade: false,
                    // A lease of a session has a time of its own half of the time.
                    ttl: Some(*ttl).filter(|ttl| session.is_none() || ttl % 2 == 0),
                    session: *session,
                    deadline: self.model.now + wait,
                };
                self.acquire(wanted, *wait, *is_reentrant);
            }
            Step::Upgrade { owner, resource, wait } => self.upgrade(*owner, *resource, *wait),
            Step::Downgrade { owner, resource } => {
                let now = self.table.micros();
                let downgrade = Downgrade {
                    resource: RESOURCES[*resource].as_bytes(),
                    owner: OWNERS[*owner].as_bytes(),
                    fence: None,
                    request: RequestId::default(),
                };
                let result = self.table.core.downgrade(&downgrade, now, &mut self.table.events);
                let lease = self.model.lease(*owner, *resource);
                let may = lease.as_ref().is_some_and(|lease| !matches!(lease.mode, Mode::Permits { .. }));
                assert_eq!(result.is_ok(), may);
                if let Some(lease) = lease.filter(|_| may) {
                    lease.mode = Mode::Shared;
                }
                self.model.settle();
            }
            Step::Release { owner, resource, all } => {
                let now = self.table.micros();
                let (name, holder) = (RESOURCES[*resource].as_bytes(), OWNERS[*owner].as_bytes());
                let release = Release { resource: name, owner: holder, all: *all, ..Release::default() };
                let result = self.table.core.release(&release, now, &mut self.table.events);
                let before: u32 = self.model.leases_of(*owner, *resource).map(|lease| lease.holds).sum();
                if *all {
                    self.model.leases_of(*owner, *resource).for_each(|lease| lease.holds = 0);
                } else if let Some(lease) = self.model.lease(*owner, *resource) {
                    lease.holds -= 1;
                }
                let left: u32 = self.model.leases_of(*owner, *resource).map(|lease| lease.holds).sum();
                assert_eq!(result.ok(), (before > 0).then_some(left.into()));
                self.model.end(|lease| lease.holds == 0);
                self.model.settle();
            }
            Step::Renew { owner, resource, ttl } => {
                let now = self.table.micros();
                let (name, holder) = (RESOURCES[*resource].as_bytes(), OWNERS[*owner].as_bytes());
                let renew = Renew {
                    resources: &[name],
                    owner: holder,
                    ttl: *ttl,
                    fence: None,
                    request: RequestId::default(),
                };
                let result = self.table.core.renew(&renew, now, &mut self.table.events);
                let end = self.model.now + ttl;
                let deadlines = self.model.leases_of(*owner, *resource).map(|lease| lease.deadline.as_mut());
                let deadlines: Option<Vec<&mut u64>> = deadlines.collect();
                let deadlines = deadlines.filter(|deadlines| !deadlines.is_empty());
                assert_eq!(result.is_ok(), deadlines.is_some());
                deadlines.into_iter().flatten().for_each(|deadline| *deadline = end.max(*deadline));
            }
            Step::Force { resource } => {
                let now = self.table.micros();
                let name = RESOURCES[*resource].as_bytes();
                let count = self.table.core.force(
                    &Force { resource: name, owner: None, reason: b"", request: RequestId::default() },
                    now,
                    &mut self.table.events,
                );
                assert_eq!(
                    count,
                    Ok(self.model.leases.iter().filter(|lease| lease.resource == *resource).count() as u64)
                );
                self.model.end(|lease| lease.resource == *resource);
                self.model.settle();
            }
            Step::Cancel { owner, resource } => {
                let now = self.table.micros();
                let (name, holder) = (RESOURCES[*resource].as_bytes(), OWNERS[*owner].as_bytes());
                let cancelled = self.table.core.cancel_wait(
                    &CancelWait { resource: name, owner: holder, request: RequestId::default() },
                    now,
                    &mut self.table.events,
                );
                assert!(cancelled.is_ok());
                self.model.refuse(|waiter| waiter.owner == *owner && waiter.resources.contains(resource));
                self.model.settle();
            }
            Step::Abandon { which } => {
                if self.model.waiters.is_empty() {
                    return;
                }
                let id = self.model.waiters[which.index(self.model.waiters.len())].id;
                let now = self.table.micros();
                self.table.core.abandon(id, now, &mut self.table.events);
                self.model.waiters.retain(|waiter| waiter.id != id);
                self.model.settle();
            }
            Step::Advance { millis, at_once } => {
                let (steps, length) = if *at_once { (1, *millis) } else { (*millis, 1) };
                for _ in 0..steps {
                    self.table.advance(length);
                    self.model.advance(self.table.now);
                }
            }
            Step::OpenSession { session, ttl } => {
                if !self.model.sessions.contains_key(session) {
                    let opened = self
                        .table
                        .open(*session, SessionTerms { ttl: Some(*ttl), ..SessionTerms::default() });
                    assert_eq!(opened, SessionId(*session));
                    self.model.sessions.insert(*session, (*ttl, self.model.now + ttl));
                }
            }
            Step::Ping { session } => {
                let now = self.table.micros();
                let ping = PingSession {
                    session: SessionId(*session),
                    connection: None,
                    request: RequestId::default(),
                };
                let pinged = self.table.core.ping_session(&ping, now, &mut self.table.events);
                let now = self.model.now;
                let known = self.model.sessions.get_mut(session);
                assert_eq!(pinged.is_ok(), known.is_some());
                if let Some((ttl, end)) = known {
                    *end = now + *ttl;
                }
            }
            Step::CloseSession { session } => {
                let now = self.table.micros();
                let close = CloseSession { session: SessionId(*session), request: RequestId::default() };
                let closed = self.table.core.close_session(&close, now, &mut self.table.events);
                assert_eq!(closed.is_ok(), self.model.sessions.contains_key(session));
                if closed.is_ok() {
                    self.model.end_session(*session);
                    self.model.settle();
                }
            }
        }
        self.table.keep_records();
    }

    fn acquire(&mut self, mut wanted: Waiter, wait: u64, is_reentrant: bool) {
        let names: Vec<&[u8]> = wanted.resources.iter().map(|&id| RESOURCES[id].as_bytes()).collect();
        let result = self.table.ask(&Acquire {
            owner: OWNERS[wanted.owner].as_bytes(),
            resources: &names,
            mode: wanted.mode,
            ttl: wanted.ttl,
            wait,
            is_reentrant,
            session: wanted.session.map(SessionId),
            ..ASKING
        });
        if wanted.session.is_some_and(|session| !self.model.sessions.contains_key(&session)) {
            assert!(result.is_err());
            return;
        }
        self.model.resize(&wanted);
        let holds = wanted.resources.iter().any(|&id| self.model.lease(wanted.owner, id).is_some());
        if holds && is_reentrant {
            return self.hold_again(&wanted, result.ok());
        }
        let held = self.model.keeps_from_itself(&wanted);
        let can_grant = !held && self.model.can_grant(&wanted);
        if self.model.is_waiting(wanted.owner) && !held && !can_grant && wait > 0 {
            assert_eq!(result.expect_err("it waits for one thing at a time").code(), "LOCKWAITS");
            return;
        }
        let result = result.expect("the request makes sense");
        if held {
            assert_eq!(matches!(result, Acquired::Deadlock(_)), wait > 0, "{result:?}");
        } else if can_grant {
            let Acquired::Granted(grant) = result else { panic!("not granted: {result:?}") };
            self.note_fence(grant.fence);
            self.model.hold(&wanted, grant.fence);
        } else if wait == 0 {
            assert_eq!(result, Acquired::Busy);
        } else if self.model.is_deadlock(&wanted) {
            assert!(matches!(result, Acquired::Deadlock(_)), "{result:?}");
        } else {
            let Acquired::Waiting(id) = result else { panic!("does not wait: {result:?}") };
            wanted.id = id;
            self.model.enqueue(wanted);
        }
    }

    /// The owner holds some of the wanted resources already.
    fn hold_again(&mut self, wanted: &Waiter, acquired: Option<Acquired>) {
        let end = wanted.ttl.map(|ttl| self.model.now + ttl);
        let places: Vec<usize> =
            wanted.resources.iter().filter_map(|&id| self.place_for(wanted, id)).collect();
        let leases: Vec<Lease> = places.iter().map(|&place| self.model.leases[place].clone()).collect();
        let fits = leases.len() == wanted.resources.len()
            && leases.iter().all(|lease| is_like(lease.mode, wanted.mode) || lease.mode == Mode::Exclusive);
        // Leases that the model grants to waiters have no fence there.
        let mut fences: Vec<u64> =
            leases.iter().map(|lease| lease.fence).filter(|&fence| fence > 0).collect();
        fences.dedup();
        let Some(acquired) = acquired else {
            let are_known = leases.iter().all(|lease| lease.fence > 0);
            assert!(!fits || fences.len() > 1 || (leases.len() > 1 && !are_known), "{wanted:?} is refused");
            return;
        };
        let Acquired::Granted(grant) = acquired else { panic!("not granted: {acquired:?}") };
        assert!(fits && fences.iter().all(|&fence| fence == grant.fence), "{wanted:?} is granted");
        for place in places {
            let lease = &mut self.model.leases[place];
            lease.holds += 1;
            lease.deadline = lease.deadline.map(|old| end.unwrap_or(0).max(old));
        }
        let holds: Vec<u32> = leases.iter().map(|lease| lease.holds + 1).collect();
        assert!(holds.contains(&grant.holds), "{holds:?} {grant:?}");
    }

    /// The lease that a reentrant request adds to: the last of as many permits, or the last.
    fn place_for(&self, wanted: &Waiter, resource: usize) -> Option<usize> {
        let all = self.model.leases.iter().enumerate();
        let own = all.filter(|(_, lease)| lease.owner == wanted.owner && lease.resource == resource);
        own.max_by_key(|(place, lease)| (is_like(lease.mode, wanted.mode), *place)).map(|(place, _)| place)
    }

    fn upgrade(&mut self, owner: usize, resource: usize, wait: u64) {
        let result = self.table.upgrade(OWNERS[owner], RESOURCES[resource], wait);
        let Some(lease) = self.model.lease(owner, resource).cloned() else {
            assert!(result.is_err());
            return;
        };
        match lease.mode {
            Mode::Permits { .. } => assert!(result.is_err()),
            Mode::Exclusive => assert!(matches!(result, Ok(Acquired::Granted(_)))),
            Mode::Shared => {
                let mut wanted = Waiter {
                    id: WaiterId(0),
                    owner,
                    resources: vec![resource],
                    mode: Mode::Exclusive,
                    is_upgrade: true,
                    ttl: None,
                    session: lease.session,
                    deadline: self.model.now + wait,
                };
                let is_alone =
                    self.model.leases.iter().filter(|lease| lease.resource == resource).count() == 1;
                if self.model.is_waiting(owner) && !is_alone && wait > 0 {
                    assert_eq!(result.expect_err("it waits for one thing at a time").code(), "LOCKWAITS");
                    return;
                }
                match result.expect("the lease is shared") {
                    Acquired::Granted(grant) => {
                        assert!(is_alone);
                        self.note_fence(grant.fence);
                        self.model.hold(&wanted, grant.fence);
                    }
                    Acquired::Busy => assert!(!is_alone && wait == 0),
                    Acquired::Deadlock(_) => assert!(self.model.is_deadlock(&wanted)),
                    Acquired::Waiting(id) => {
                        assert!(!self.model.is_deadlock(&wanted));
                        wanted.id = id;
                        self.model.enqueue(wanted);
                    }
                    Acquired::Rejoined(_) => panic!("nothing was asked twice"),
                }
            }
        }
    }

    fn note_fence(&mut self, fence: u64) {
        assert!(fence > self.last_fence, "fence {fence} after {}", self.last_fence);
        self.last_fence = fence;
    }

    /// Compares answers and states.
    fn compare(&mut self) {
        let (mut granted, mut refused) = (Vec::new(), BTreeSet::new());
        for (id, outcome) in self.table.answers() {
            match outcome {
                Outcome::Granted(grant) => {
                    self.note_fence(grant.fence);
                    granted.push(id);
                }
                _ => drop(refused.insert(id)),
            }
        }
        granted.sort_unstable();
        self.model.granted.sort_unstable();
        assert_eq!(granted, std::mem::take(&mut self.model.granted));
        assert_eq!(refused, std::mem::take(&mut self.model.refused));
        let now = self.table.micros();
        for (id, name) in RESOURCES.iter().enumerate() {
            let mut report = self.table.core.inspect(
                &Inspect { resources: &[name.as_bytes()] },
                now,
                &mut self.table.events,
            );
            let (holders, waiters) =
                report.pop().map_or((Vec::new(), 0), |report| (report.holders, report.waiters));
            let mut holders: Vec<_> = holders
                .into_iter()
                .map(|holder| {
                    (String::from_utf8(holder.owner).expect("tests use text"), holder.mode, holder.holds)
                })
                .collect();
            let here: Vec<_> = self.model.leases.iter().filter(|lease| lease.resource == id).collect();
            let mut expected: Vec<_> =
                here.iter().map(|lease| (OWNERS[lease.owner].to_owned(), lease.mode, lease.holds)).collect();
            let modes: Vec<Mode> = here.iter().map(|lease| lease.mode).collect();
            let are_together = modes.split_first().is_none_or(|(mode, others)| match *mode {
                Mode::Permits { count, .. } => fits_beside(Mode::Permits { count, of: MOST_PERMITS }, others),
                mode => fits_beside(mode, others),
            });
            assert!(are_together, "{modes:?} are held together");
            holders.sort_by_key(|holder| format!("{holder:?}"));
            expected.sort_by_key(|holder| format!("{holder:?}"));
            assert_eq!(holders, expected);
            assert_eq!(
                waiters,
                self.model.waiters.iter().filter(|waiter| waiter.resources.contains(&id)).count()
            );
        }
        let totals = self.table.core.model().totals();
        assert_eq!(totals.leases, self.model.leases.len());
        assert_eq!(totals.waiters, self.model.waiters.len());
        assert_eq!(totals.sessions, self.model.sessions.len());
        assert_eq!(totals.resources == 0, self.model.leases.is_empty() && self.model.waiters.is_empty());
    }
}

/// Whether one mode is as good as the other: as many permits count as the same.
fn is_like(held: Mode, wanted: Mode) -> bool {
    match (held, wanted) {
        (Mode::Permits { count, .. }, Mode::Permits { count: wanted, .. }) => count == wanted,
        _ => held == wanted,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_table_does_what_the_model_does(steps in prop::collection::vec(steps(), 1..80)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.take(step);
            pair.compare();
        }
        prop_assert_eq!(snapshot(&pair.table.replayed()), snapshot(&pair.table.core));
        // A snapshot rebuilds the same table.
        let mut again = quartet::lock::Core::default();
        let now = pair.table.micros();
        let mut whole = Vec::new();
        pair.table.core.snapshot(true, |record| whole.push(record.to_vec()));
        for record in &whole {
            prop_assert_eq!(again.replay(record, now), Ok(()));
        }
        prop_assert_eq!(snapshot(&again), snapshot(&pair.table.core));
    }

    #[test]
    fn a_snapshot_in_steps_and_the_records_since_rebuild_the_table(
        steps in prop::collection::vec(steps(), 1..60),
        begin in 0_usize..30,
        paces in prop::collection::vec(0_usize..3, 60),
    ) {
        let mut pair = Pair::new();
        let (mut walk, mut parts, mut since, mut at_end) =
            (quartet::lock::SnapshotWalk::in_steps_of(2), Vec::new(), 0, None);
        for (number, step) in steps.iter().enumerate() {
            if number == begin {
                since = pair.table.records.len();
            }
            let pace = if number < begin || at_end.is_some() { 0 } else { paces[number] };
            for _ in 0..pace {
                if pair.table.core.snapshot_step(&mut walk, |record| parts.push(record.to_vec())) {
                    at_end = Some((pair.table.records.len(), snapshot(&pair.table.core)));
                    break;
                }
            }
            pair.take(step);
            pair.compare();
        }
        let (end, at_end) = at_end.unwrap_or_else(|| {
            while !pair.table.core.snapshot_step(&mut walk, |record| parts.push(record.to_vec())) {}
            (pair.table.records.len(), snapshot(&pair.table.core))
        });
        let now = pair.table.micros();
        let mut again = quartet::lock::Core::default();
        for record in parts.iter().chain(&pair.table.records[since..end]) {
            prop_assert_eq!(again.replay(record, now), Ok(()));
        }
        let mut marker = Vec::new();
        quartet::lock::Core::end_snapshot(|record| marker.extend_from_slice(record));
        prop_assert_eq!(again.replay(&marker, now), Ok(()));
        prop_assert_eq!(snapshot(&again), at_end);
        for record in &pair.table.records[end..] {
            prop_assert_eq!(again.replay(record, now), Ok(()));
        }
        prop_assert_eq!(snapshot(&again), snapshot(&pair.table.core));
    }
}
