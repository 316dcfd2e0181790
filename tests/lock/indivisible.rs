//! Operations of several records: a crash between any two records leaves the whole operation or nothing, and the same
//! request made again has the result that it would have had.

use std::sync::Arc;
use std::time::Duration;

use quartet::clock::Now;
use quartet::delivery::Effects;
use quartet::journal::Writer;
use quartet::journal::keeper::{JournalHandle, Keeper};
use quartet::lock::operation::{
    Acquire, CloseSession, Downgrade, Force, List, OpenSession, Release, ReleaseMany, RenewAll, SessionTerms,
    Upgrade,
};
use quartet::lock::{self, Asked, Durability, Locks, Mode, Refused, RequestId, SessionId};
use quartet::random::Random;

use super::table::{ASKING, look, snapshot};
use crate::support::kept_locks::KeptLocks;
use crate::support::segments::{FIRST_SEGMENT, SEGMENT_HEAD, boundaries};
use crate::support::simulated_disk::SimulatedDisk;

const OWNERS: &[&str] = &["ann", "ben", "cyd"];
const RESOURCES: &[&str] = &["r0", "r1", "r2", "r3", "r4", "r5"];

/// Where the sets of resources that are acquired together begin and end.
const SETS: &[std::ops::Range<usize>] = &[0..3, 0..3, 3..5, 5..6];
const SESSION: u64 = 77;
const TTL: u64 = 60_000;

pub(super) fn now() -> Now {
    Now::at(Duration::from_secs(1000), Duration::from_secs(1_700_001_000))
}

pub(super) struct Service {
    pub(super) locks: Locks,
    pub(super) keeper: Keeper,
    pub(super) writer: Writer,
    pub(super) journal: Arc<JournalHandle>,
}

/// A request of a client.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Acquire { owner: &'static str, resources: Vec<&'static str>, mode: Mode, in_session: bool, wait: u64 },
    Release { owner: &'static str, resources: Vec<&'static str>, all: bool },
    Upgrade { owner: &'static str, resource: &'static str },
    Downgrade { owner: &'static str, resource: &'static str },
    RenewAll { owner: &'static str, ttl: u64 },
    Force { resource: &'static str },
    OpenSession,
    CloseSession,
}

/// A reply to a client; with a fence only where it tells which grant it is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Reply {
    Granted { fence: u64, holds: u32 },
    Number(u64),
    Nothing,
    Refused(String),
}

impl Service {
    pub(super) fn start(disk: &SimulatedDisk) -> Service {
        let KeptLocks { locks, keeper, writer, journal } = KeptLocks::open(disk, Durability::Full, now())
            .unwrap_or_else(|error| panic!("it does not start: {error}"));
        Service { locks, keeper, writer, journal }
    }

    pub(super) fn ask<O: lock::LockOperation>(&self, operation: &O) -> O::Answer {
        self.locks.run(operation, now(), &mut Effects::default())
    }

    /// Everything that is kept, except the bound of the fences.
    pub(super) fn state(&self) -> Vec<Vec<u8>> {
        /// The first bytes of the records of that bound, and of the begin and the end of a snapshot.
        const OTHERS: [u8; 3] = [1, 17, 18];
        let mut records = look(&self.locks, now(), snapshot);
        records.retain(|record| !OTHERS.contains(&record[0]));
        records
    }

    /// The holdings of an owner, with their modes and counts.
    fn holdings(&self, owner: &str) -> Vec<String> {
        let (mut reports, mut cursor) = (Vec::new(), 0);
        loop {
            let owner = Some(owner.as_bytes());
            let page = self.ask(&List { cursor, pattern: None, owner });
            reports.extend(page.resources);
            cursor = page.next;
            if cursor == 0 {
                break;
            }
        }
        let of_owner = reports.iter().flat_map(|report| {
            let holders = report.holders.iter().filter(|holder| holder.owner == owner.as_bytes());
            holders.map(|holder| format!("{:?} {:?} {}", report.resource, holder.mode, holder.holds))
        });
        let mut held: Vec<String> = of_owner.collect();
        held.sort();
        held
    }

    pub(super) fn run(&self, operation: &Operation, request: &str) -> Reply {
        let refused = |refused: Refused| Reply::Refused(format!("{refused:?}"));
        let request =
            RequestId { scope: owner_of(operation).unwrap_or_default().as_bytes(), id: request.as_bytes() };
        let number = |result: Result<u64, _>| result.map_or_else(refused, Reply::Number);
        match operation {
            Operation::Acquire { owner, resources, mode, in_session, wait } => {
                let names: Vec<&[u8]> = resources.iter().map(|name| name.as_bytes()).collect();
                let asking = Acquire {
                    owner: owner.as_bytes(),
                    resources: &names,
                    mode: *mode,
                    ttl: Some(TTL).filter(|_| !in_session),
                    session: in_session.then_some(SessionId(SESSION)),
                    is_reentrant: *wait == 0,
                    wait: *wait,
                    request,
                    ..ASKING
                };
                match self.ask(&asking) {
                    Ok(Asked::Granted(grant)) => Reply::Granted { fence: grant.fence, holds: grant.holds },
                    Ok(_) => Reply::Nothing,
                    Err(refusal) => refused(refusal),
                }
            }
            Operation::Release { owner, resources, all } => {
                let (owner, all, fence) = (owner.as_bytes(), *all, None);
                let names: Vec<&[u8]> = resources.iter().map(|name| name.as_bytes()).collect();
                let resources = &names[..];
                number(match names[..] {
                    [resource] => self.ask(&Release { resource, owner, fence, all, request }),
                    _ => self.ask(&ReleaseMany { resources, owner, fence, all, skips_ended: false, request }),
                })
            }
            Operation::Upgrade { owner, resource } => {
                let (resource, owner) = (resource.as_bytes(), owner.as_bytes());
                match self.ask(&Upgrade { resource, owner, fence: None, wait: 0, request }) {
                    Ok(Asked::Granted(grant)) => Reply::Granted { fence: grant.fence, holds: grant.holds },
                    Ok(_) => Reply::Nothing,
                    Err(refusal) => refused(refusal),
                }
            }
            Operation::Downgrade { owner, resource } => {
                let (resource, owner) = (resource.as_bytes(), owner.as_bytes());
                let downgraded = self.ask(&Downgrade { resource, owner, fence: None, request });
                number(downgraded.map(|grant| grant.fence))
            }
            Operation::RenewAll { owner, ttl } => {
                number(self.ask(&RenewAll { owner: owner.as_bytes(), ttl: *ttl, request }))
            }
            Operation::Force { resource } => {
                let resource = resource.as_bytes();
                number(self.ask(&Force { resource, owner: None, reason: b"", request }))
            }
            Operation::OpenSession => {
                let terms = SessionTerms { ttl: Some(TTL), ..SessionTerms::default() };
                let opened = self.ask(&OpenSession { id: SESSION, terms, request });
                number(opened.map(|SessionId(id)| id))
            }
            Operation::CloseSession => {
                number(self.ask(&CloseSession { session: SessionId(SESSION), request }))
            }
        }
    }
}

pub(super) fn draw(random: &mut Random, step: usize) -> Operation {
    let owner = OWNERS[random.below(OWNERS.len())];
    let resource = RESOURCES[random.below(RESOURCES.len())];
    let several = |random: &mut Random| RESOURCES[SETS[random.below(SETS.len())].clone()].to_vec();
    if step == 0 {
        return Operation::OpenSession;
    }
    match random.below(16) {
        0..=5 => {
            let mode = [Mode::Exclusive, Mode::Exclusive, Mode::Shared, Mode::Permits { count: 1, of: 3 }]
                [random.below(4)];
            // Each waits under its own name, since an owner waits for one thing at a time.
            let wait = if random.below(4) == 0 { 50_000 } else { 0 };
            Operation::Acquire {
                owner,
                resources: several(random),
                mode,
                in_session: random.below(3) == 0,
                wait,
            }
        }
        6..=9 => Operation::Release { owner, resources: several(random), all: random.below(3) == 0 },
        10 => Operation::Upgrade { owner, resource },
        11 => Operation::Downgrade { owner, resource },
        12 => Operation::RenewAll { owner, ttl: TTL + step as u64 * 1000 },
        13 => Operation::Force { resource },
        14 => Operation::OpenSession,
        _ => Operation::CloseSession,
    }
}

/// An operation that was done, and the state after it.
struct Done {
    operation: Operation,
    request: String,
    reply: Reply,
    /// Of the owner, after it.
    holdings: Vec<String>,
    state: Vec<Vec<u8>>,
    /// Bytes of the segment once it was written down.
    end: usize,
}

fn owner_of(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::Acquire { owner, .. }
        | Operation::Release { owner, .. }
        | Operation::Upgrade { owner, .. }
        | Operation::Downgrade { owner, .. }
        | Operation::RenewAll { owner, .. } => Some(owner),
        Operation::Force { .. } | Operation::OpenSession | Operation::CloseSession => None,
    }
}

fn done(seed: u64, steps: usize) -> (SimulatedDisk, Vec<Done>) {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk);
    let mut random = Random::with_seed(seed);
    let mut history = Vec::new();
    for step in 0..steps {
        let operation = draw(&mut random, step);
        let request = format!("request-{step}");
        let reply = service.run(&operation, &request);
        service.writer.step();
        let holdings = owner_of(&operation).map(|owner| service.holdings(owner)).unwrap_or_default();
        let (state, end) = (service.state(), disk.contents(FIRST_SEGMENT).len());
        history.push(Done { operation, request, reply, holdings, state, end });
    }
    (disk, history)
}

/// Cuts the journal, starts again, compares the state, and makes the request again whose reply was lost.
fn check(disk: &SimulatedDisk, history: &[Done], cut: usize) {
    let segment = disk.contents(FIRST_SEGMENT);
    let cut_disk = disk.with(FIRST_SEGMENT, Some(segment[..cut].to_vec()));
    let whole = history.iter().take_while(|done| done.end <= cut).count();
    let service = Service::start(&cut_disk);
    let expected = whole.checked_sub(1).map_or(&[][..], |last| &history[last].state[..]);
    assert!(service.state() == expected, "cut at {cut}, after {whole} of the operations");
    // The reply to the last operation on the disk may have been lost, or the next one may not have reached the disk.
    let last = whole.checked_sub(1).filter(|&last| !matches!(history[last].reply, Reply::Refused(_)));
    for (index, is_done) in [last.map(|last| (last, true)), Some((whole, false))].into_iter().flatten() {
        let Some(Done { operation, request, reply, holdings, .. }) = history.get(index) else { continue };
        let Some(owner) = owner_of(operation) else { continue };
        if matches!(reply, Reply::Nothing) {
            // It waited, or was not granted: a waiter that does not ask again holds nothing.
            continue;
        }
        let again = service.run(operation, request);
        match (&again, reply) {
            (Reply::Granted { holds, .. }, Reply::Granted { holds: before, .. }) if !is_done => {
                assert_eq!(holds, before, "cut at {cut}: {operation:?}");
            }
            (again, reply) => assert_eq!(again, reply, "cut at {cut}: {operation:?}, done: {is_done}"),
        }
        assert_eq!(&service.holdings(owner), holdings, "cut at {cut}: {operation:?}, done: {is_done}");
    }
}

#[test]
fn a_cut_between_any_two_records_leaves_whole_operations() {
    let mut within = 0;
    for seed in 0..60 {
        let (disk, history) = done(seed, 40);
        let cuts = boundaries(&disk.contents(FIRST_SEGMENT));
        within += cuts.iter().filter(|&&cut| history.iter().all(|done| done.end != cut)).count();
        cuts.into_iter().for_each(|cut| check(&disk, &history, cut));
    }
    assert!(within > 300, "only {within} of the cuts are within an operation");
}

#[test]
fn a_cut_at_any_byte_leaves_whole_operations() {
    for seed in 100..102 {
        let (disk, history) = done(seed, 14);
        (SEGMENT_HEAD..=disk.contents(FIRST_SEGMENT).len()).for_each(|cut| check(&disk, &history, cut));
    }
}

#[test]
fn many_resources_are_released_together_or_not_at_all() {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk);
    let names: Vec<&'static str> = (0..64).map(|number| &*format!("r{number}").leak()).collect();
    let resources = || names.clone();
    let asking = Operation::Acquire {
        owner: "o",
        resources: resources(),
        mode: Mode::Exclusive,
        in_session: false,
        wait: 0,
    };
    assert!(matches!(service.run(&asking, "take"), Reply::Granted { .. }));
    service.writer.step();
    let granted = disk.contents(FIRST_SEGMENT).len();
    let releasing = Operation::Release { owner: "o", resources: resources(), all: false };
    assert_eq!(service.run(&releasing, "give"), Reply::Number(64));
    service.writer.step();
    let segment = disk.contents(FIRST_SEGMENT);
    for cut in boundaries(&segment).into_iter().filter(|&cut| cut >= granted) {
        let service = Service::start(&disk.with(FIRST_SEGMENT, Some(segment[..cut].to_vec())));
        let expected = if cut == segment.len() { 0 } else { 64 };
        assert_eq!(service.holdings("o").len(), expected, "cut at {cut}");
        assert_eq!(service.run(&releasing, "give"), Reply::Number(64), "cut at {cut}");
        assert!(service.holdings("o").is_empty());
    }
}

#[test]
fn a_session_of_many_leases_passes_them_on_together() {
    const LEASES: usize = 3000;
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk);
    service.run(&Operation::OpenSession, "");
    let mut waiting = Vec::new();
    for number in 0..LEASES {
        let name = format!("leased-{number}");
        let names: [&[u8]; 1] = [name.as_bytes()];
        let holder = Acquire {
            owner: b"holder",
            resources: &names,
            ttl: None,
            session: Some(SessionId(SESSION)),
            ..ASKING
        };
        let granted = service.ask(&holder);
        assert!(matches!(granted, Ok(Asked::Granted(_))));
        let owner = format!("waiter-{number}");
        let waiter = Acquire { owner: owner.as_bytes(), resources: &names, wait: 1000, ..ASKING };
        let Ok(Asked::Waiting(ticket)) = service.ask(&waiter) else {
            panic!("it is held");
        };
        waiting.push(ticket);
    }
    service.writer.step();
    let before = disk.contents(FIRST_SEGMENT).len();
    assert_eq!(service.run(&Operation::CloseSession, ""), Reply::Number(LEASES as u64));
    service.writer.step();
    let segment = disk.contents(FIRST_SEGMENT);
    let cuts: Vec<usize> = boundaries(&segment).into_iter().filter(|&cut| cut >= before).collect();
    assert_eq!(cuts.len(), LEASES + 2, "the end of the session, and a grant for each waiter");
    for cut in [cuts[0], cuts[1], cuts[LEASES / 2], cuts[LEASES], cuts[LEASES + 1]] {
        let service = Service::start(&disk.with(FIRST_SEGMENT, Some(segment[..cut].to_vec())));
        let is_whole = cut == segment.len();
        assert_eq!(service.holdings("holder").is_empty(), is_whole, "cut at {cut}");
        assert_eq!(service.holdings("waiter-0").len(), usize::from(is_whole), "cut at {cut}");
        let last = format!("waiter-{}", LEASES - 1);
        assert_eq!(service.holdings(&last).len(), usize::from(is_whole), "cut at {cut}");
    }
}
