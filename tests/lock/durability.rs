//! What outlives the server, wherever it was interrupted.

use std::collections::BTreeMap;
use std::task::{Poll, Waker};
use std::time::Duration;

use quartet::clock::Now;
use quartet::delivery::Effects;
use quartet::journal::Writer;
use quartet::lock::operation::{Acquire, Inspect, OpenSession, Release, SessionTerms};
use quartet::lock::{Asked, Durability, Locks, Mode, Refused, RequestId};
use quartet::random::Random;
use quartet::refusal::Refusal;
use quartet::wait::Lost;

use super::retries::{CASES, Running};
use super::table::{ASKING, look, snapshot};
use crate::support::kept_locks;
use crate::support::process::Folder;
use crate::support::simulated_disk::{SimulatedDisk, Survival, Trouble};

const TTL: u64 = 30_000;

/// A server's locks on a disk, as a client sees them: it gets a reply only once that may be sent.
struct Service {
    locks: Locks,
    writer: Writer,
    now: Now,
}

/// The text of a refusal for RESP clients.
fn text(refused: Refused) -> String {
    String::from_utf8_lossy(Refusal::from(refused).text()).into_owned()
}

/// A reply.
#[derive(Clone, PartialEq, Debug)]
enum Reply {
    Fence(u64),
    Busy,
    Released,
    Refused(String),
}

impl Service {
    fn start(disk: &SimulatedDisk, durability: Durability, seconds: u64) -> Option<Service> {
        let now = Now::at(Duration::from_secs(seconds), Duration::from_secs(1_700_000_000 + seconds));
        let (locks, writer) = kept_locks::open_on(disk, durability, now).ok()?;
        Some(Service { locks, writer, now })
    }

    /// The reply, if it is ever sent.
    fn hear(&mut self, reply: Reply, mut effects: Effects) -> Option<Reply> {
        let Some(barrier) = effects.take_barrier() else { return Some(reply) };
        assert_ne!(
            barrier.poll(Waker::noop()),
            Poll::Ready(Ok(())),
            "a reply whose records are on the disk does not wait"
        );
        self.writer.step();
        matches!(barrier.poll(Waker::noop()), Poll::Ready(Ok(()))).then_some(reply)
    }

    fn acquire(&mut self, owner: &str, resource: &str) -> Option<Reply> {
        let mut effects = Effects::default();
        let request =
            Acquire { owner: owner.as_bytes(), resources: &[resource.as_bytes()], ttl: Some(TTL), ..ASKING };
        let reply = match self.locks.run(&request, self.now, &mut effects) {
            Ok(Asked::Granted(grant)) => Reply::Fence(grant.fence),
            Ok(Asked::Busy) => Reply::Busy,
            Ok(Asked::Waiting(_) | Asked::Deadlock(_)) => panic!("nobody waits here"),
            Err(refused) => Reply::Refused(text(refused)),
        };
        self.hear(reply, effects)
    }

    fn release(&mut self, owner: &str, resource: &str) -> Option<Reply> {
        let mut effects = Effects::default();
        let release =
            Release { resource: resource.as_bytes(), owner: owner.as_bytes(), ..Release::default() };
        let released = self.locks.run(&release, self.now, &mut effects);
        let reply = match released {
            Ok(_) => Reply::Released,
            Err(refused) => Reply::Refused(text(refused)),
        };
        self.hear(reply, effects)
    }

    /// Owner, fence and remaining milliseconds of the lease on a resource.
    fn holder(&self, resource: &str) -> Option<(String, u64, u64)> {
        let inspect = Inspect { resources: &[resource.as_bytes()] };
        let report = self.locks.run(&inspect, self.now, &mut Effects::default()).pop()?;
        let holder = report.holders.first()?;
        Some((String::from_utf8_lossy(&holder.owner).into_owned(), holder.fence, holder.ttl?))
    }
}

/// What clients know about each resource: the last request and the last reply.
#[derive(Default)]
struct Known {
    /// Held for certain: nothing was asked about the resource since it was granted.
    held: BTreeMap<String, (String, u64)>,
    /// Free for certain.
    free: Vec<String>,
    highest_fence: u64,
}

impl Known {
    fn acquire(&mut self, service: &mut Service, owner: &str, resource: &str) -> bool {
        let was_free = !self.held.contains_key(resource);
        self.free.retain(|other| other != resource);
        match service.acquire(owner, resource) {
            Some(Reply::Fence(fence)) => {
                assert!(was_free, "{resource} was given to two");
                assert!(fence > self.highest_fence, "{fence} after {}", self.highest_fence);
                self.highest_fence = fence;
                self.held.insert(resource.to_owned(), (owner.to_owned(), fence));
                true
            }
            Some(Reply::Busy) => true,
            _ => false,
        }
    }

    fn release(&mut self, service: &mut Service, resource: &str) -> bool {
        let Some((owner, _)) = self.held.remove(resource) else { return true };
        let heard = service.release(&owner, resource) == Some(Reply::Released);
        if heard {
            self.free.push(resource.to_owned());
        }
        heard
    }

    /// Owners come and go until a reply does not come.
    fn work(&mut self, service: &mut Service, name: &str) {
        for round in 0..3 {
            for resource in ["a", "b", "c"] {
                if !self.acquire(service, &format!("{name}{round}"), resource) {
                    return;
                }
            }
            for resource in ["a", "c"] {
                if !self.release(service, resource) {
                    return;
                }
            }
        }
    }
}

fn operations_of_work(durability: Durability) -> u64 {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk, durability, 1000).expect("the disk is empty");
    Known::default().work(&mut service, "owner");
    disk.operations()
}

#[test]
fn a_durable_grant_outlives_every_crash_and_is_not_given_twice() {
    let mut random = Random::with_seed(1);
    // In the last round all replies are sent before the power is lost.
    for at in 1..=operations_of_work(Durability::Full) + 1 {
        for trouble in [Trouble::PowerLostBefore(at), Trouble::PowerLostAfter(at), Trouble::Error(at)] {
            let disk = SimulatedDisk::default();
            disk.expect_trouble(trouble);
            let mut known = Known::default();
            if let Some(mut service) = Service::start(&disk, Durability::Full, 1000) {
                known.work(&mut service, "owner");
            }
            for survival in
                [Survival::Nothing, Survival::Everything, Survival::Blocks(8), Survival::Blocks(1)]
            {
                let context = format!("{trouble:?}, {survival:?}");
                let survivor = disk.after_power_loss(survival, &mut random);
                // The leases last their full time again.
                let service = Service::start(&survivor, Durability::Full, 1029);
                let mut service = service.unwrap_or_else(|| panic!("{context}: it does not start"));
                for (resource, (owner, fence)) in &known.held {
                    let expected = Some((owner.clone(), *fence, TTL));
                    assert_eq!(service.holder(resource), expected, "{context}: {resource}");
                    assert_eq!(service.acquire("other", resource), Some(Reply::Busy), "{context}");
                }
                for resource in &known.free {
                    assert_eq!(service.holder(resource), None, "{context}: {resource} was given back");
                }
                let Some(Reply::Fence(fence)) = service.acquire("other", "new") else {
                    panic!("{context}: nothing is granted any more");
                };
                assert!(fence > known.highest_fence, "{context}: {fence} after {}", known.highest_fence);
            }
        }
    }
}

#[test]
fn with_durability_fence_no_fence_is_given_twice_and_leases_end_with_the_server() {
    let mut random = Random::with_seed(2);
    for at in 1..=operations_of_work(Durability::Fence) + 1 {
        for trouble in [Trouble::PowerLostBefore(at), Trouble::PowerLostAfter(at)] {
            let disk = SimulatedDisk::default();
            disk.expect_trouble(trouble);
            let mut known = Known::default();
            if let Some(mut service) = Service::start(&disk, Durability::Fence, 1000) {
                known.work(&mut service, "owner");
            }
            let survivor = disk.after_power_loss(Survival::Blocks(4), &mut random);
            let mut service = Service::start(&survivor, Durability::Fence, 1001).expect("it starts");
            known.held.clear();
            for resource in ["a", "b", "c"] {
                assert!(known.acquire(&mut service, "other", resource), "{trouble:?}");
            }
        }
    }
}

#[test]
fn while_the_disk_is_full_only_fences_on_it_are_given_out() {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk, Durability::Fence, 0).expect("the disk is well");
    let ask = |owner, wait| Acquire { owner, resources: &[b"x"], ttl: Some(TTL), wait, ..ASKING };
    let acquire = |owner, wait| {
        let asked = service.locks.run(&ask(owner, wait), service.now, &mut Effects::default());
        asked.expect("it makes sense")
    };
    assert!(matches!(acquire(b"a", 0), Asked::Granted(_)));
    let Asked::Waiting(ticket) = acquire(b"b", 2 * TTL) else { panic!("it waits") };
    disk.expect_trouble(Trouble::Full(0, u64::MAX));
    service.writer.step();
    service.now = Now::at(Duration::from_millis(TTL + 1), Duration::ZERO);
    assert!(service.holder("x").is_some_and(|(owner, ..)| owner == "b"), "the first lease has ended");
    let Poll::Ready(answer) = ticket.poll(Waker::noop()) else { panic!("it was granted") };
    let barrier = answer.barrier.expect("the disk has no range of fences");
    assert_eq!(barrier.poll(Waker::noop()), Poll::Ready(Err(Lost)));
    // A report is answered.
    let mut effects = Effects::default();
    service.locks.run(&Inspect { resources: &[b"x"] }, service.now, &mut effects);
    assert!(effects.take_barrier().is_none());
}

#[test]
fn fences_need_one_sync_for_many() {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk, Durability::Fence, 1000).expect("the disk is empty");
    assert!(matches!(service.acquire("first", "first"), Some(Reply::Fence(_))));
    let before = disk.operations();
    for number in 0..1000 {
        let resource = number.to_string();
        assert!(matches!(service.acquire("owner", &resource), Some(Reply::Fence(_))));
        assert_eq!(service.release("owner", &resource), Some(Reply::Released));
    }
    assert_eq!(disk.operations(), before);
}

#[test]
fn a_change_of_the_durability_leaves_no_old_leases() {
    let folder = Folder::new();
    let mut fences = Vec::new();
    let kept = [
        Durability::None,
        Durability::Full,
        Durability::Fence,
        Durability::Full,
        Durability::None,
        Durability::Full,
    ];
    for (start, durability) in kept.into_iter().enumerate() {
        let start = start as u64;
        let now = Now::at(Duration::from_secs(start), Duration::from_secs(1_700_000_000 + start));
        let (locks, keeper) =
            kept_locks::open(folder.path(), durability, now).expect("the folder can be used");
        let request = Acquire { owner: b"owner", resources: &[b"resource"], ttl: Some(TTL), ..ASKING };
        let asked = locks.run(&request, now, &mut Effects::default());
        let Ok(Asked::Granted(grant)) = asked else { panic!("it is free at start {start}") };
        fences.push(grant.fence);
        if let Some(keeper) = keeper {
            keeper.close();
        }
    }
    assert!(fences.is_sorted_by(|before, after| before < after), "{fences:?}");
}

#[test]
fn the_folder_is_made_for_the_first_lock() {
    let folder = Folder::new();
    let (path, journal) = (folder.path().join("data"), folder.path().join("data/journal"));
    let now = Now::at(Duration::from_secs(1), Duration::from_secs(1_700_000_000));
    let (locks, keeper) = kept_locks::open(&path, Durability::Full, now).expect("there is nothing yet");
    let mut keeper = keeper.expect("leases are to be kept");
    let inspect = Inspect { resources: &[b"resource"] };
    assert_eq!(locks.run(&inspect, now, &mut Effects::default()), []);
    keeper.tick();
    assert!(!path.exists());
    let request = Acquire { owner: b"owner", resources: &[b"resource"], ..ASKING };
    assert!(matches!(locks.run(&request, now, &mut Effects::default()), Ok(Asked::Granted(_))));
    keeper.tick();
    assert!(journal.exists(), "there is something to keep");
    keeper.close();
    drop(locks);
    let (again, _keeper) = kept_locks::open(&path, Durability::Full, now).expect("the folder is sound");
    let reports = again.run(&inspect, now, &mut Effects::default());
    assert_eq!(reports.iter().map(|report| report.holders.len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_failed_disk_is_reported_at_once() {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk, Durability::Full, 1000).expect("the disk is empty");
    disk.expect_trouble(Trouble::Error(disk.operations() + 2));
    assert_eq!(service.acquire("owner", "resource"), None, "the reply is not sent");
    let Some(Reply::Refused(refusal)) = service.acquire("owner", "other") else { panic!("it is refused") };
    assert!(refusal.starts_with("MISCONF the journal of the locks cannot be written"), "{refusal}");
}

#[test]
fn an_operation_that_cannot_be_written_down_is_refused_and_changes_nothing() {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk, Durability::Full, 1000).expect("the disk is empty");
    for resource in ["x", "y"] {
        assert!(matches!(service.acquire("ann", resource), Some(Reply::Fence(_))));
    }
    let shared = Acquire { owner: b"ann", resources: &[b"s"], mode: Mode::Shared, ..ASKING };
    assert!(service.locks.run(&shared, service.now, &mut Effects::default()).is_ok());
    let waiting = Acquire { owner: b"bob", resources: &[b"x"], wait: TTL, ..ASKING };
    assert!(service.locks.run(&waiting, service.now, &mut Effects::default()).is_ok());
    let terms = SessionTerms { ttl: Some(TTL), ..SessionTerms::default() };
    let open = OpenSession { id: 7, terms, request: RequestId::default() };
    service.locks.run(&open, service.now, &mut Effects::default()).expect("the disk is well");
    disk.expect_trouble(Trouble::Error(disk.operations() + 1));
    service.writer.step();
    let state =
        |service: &Service| look(&service.locks, service.now, |core| (snapshot(core), core.model().totals()));
    let before = state(&service);
    for case in CASES {
        let what = case.what;
        for request in [RequestId::default(), RequestId { scope: b"", id: b"id" }] {
            let mut effects = Effects::default();
            let answer = service.locks.run(&Running { case, request }, service.now, &mut effects);
            assert_eq!(answer, Err(Refused::DiskFailed), "{what}");
            assert!(effects.take_barrier().is_none(), "{what} is answered at once");
            assert_eq!(state(&service), before, "{what}");
        }
    }
}
