//! What of the locks outlives the server, wherever it was interrupted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use quartet::clock::Now;
use quartet::journal::Writer;
use quartet::lock::{
    Aftermath, Asked, Core, Durability, Events, Locks, Mode, Refused, Release, Request, RequestId,
    SessionTerms,
};
use quartet::random::Random;
use quartet::refusal::Refusal;
use quartet::wait::Lost;

use super::retries::{CASES, Case};
use super::table::{ASKING, snapshot};
use crate::support::process::Folder;
use crate::support::simulated_disk::{SimulatedDisk, Survival, Trouble};

const TTL: u64 = 30_000;

/// A server's locks on a disk, as a client meets them: it hears a reply only once that may be sent.
struct Service {
    locks: Locks,
    writer: Writer,
    now: Now,
}

/// What a RESP client reads.
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
        let (locks, writer) = Locks::open_on(Arc::new(disk.clone()), durability, now).ok()?;
        Some(Service { locks, writer, now })
    }

    /// The reply, if it is ever sent.
    fn hear(&mut self, reply: Reply, aftermath: Aftermath) -> Option<Reply> {
        let Some(hold) = aftermath.barrier else { return Some(reply) };
        assert_ne!(
            hold.poll(Waker::noop()),
            Poll::Ready(Ok(())),
            "what is on the disk need not be waited for"
        );
        self.writer.step();
        matches!(hold.poll(Waker::noop()), Poll::Ready(Ok(()))).then_some(reply)
    }

    fn acquire(&mut self, owner: &str, resource: &str) -> Option<Reply> {
        let mut aftermath = Aftermath::default();
        let request =
            Request { owner: owner.as_bytes(), resources: &[resource.as_bytes()], ttl: Some(TTL), ..ASKING };
        let reply = match self.locks.acquire(&request, self.now, &mut aftermath) {
            Ok(Asked::Granted(grant)) => Reply::Fence(grant.fence),
            Ok(Asked::Busy) => Reply::Busy,
            Ok(Asked::Waiting(_) | Asked::Deadlock(_)) => panic!("nobody waits here"),
            Err(refused) => Reply::Refused(text(refused)),
        };
        self.hear(reply, aftermath)
    }

    fn release(&mut self, owner: &str, resource: &str) -> Option<Reply> {
        let mut aftermath = Aftermath::default();
        let released = self.locks.change(self.now, &mut aftermath, |core, now, events| {
            core.release(resource.as_bytes(), owner.as_bytes(), Release::default(), now, events)
        });
        let reply = match released {
            Ok(_) => Reply::Released,
            Err(refused) => Reply::Refused(text(refused)),
        };
        self.hear(reply, aftermath)
    }

    /// Owner, fence and remaining milliseconds of the lease on a resource.
    fn holder(&self, resource: &str) -> Option<(String, u64, u64)> {
        let inspect = |core: &mut quartet::lock::Core, now, events: &mut _| {
            core.inspect(resource.as_bytes(), now, events)
        };
        let report = self.locks.act(self.now, &mut Aftermath::default(), inspect)?;
        let holder = report.holders.first()?;
        Some((String::from_utf8_lossy(&holder.owner).into_owned(), holder.fence, holder.ttl?))
    }
}

/// What clients know: of each resource what was last asked and what was heard.
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
    // At the last one everything has been heard before the power is lost.
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
                // Nearly as long after as the leases lasted: they last their full time again.
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
fn while_the_disk_is_full_no_fence_is_given_out_that_it_does_not_have() {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk, Durability::Fence, 0).expect("the disk is well");
    let ask = |owner, wait| Request { owner, resources: &[b"x"], ttl: Some(TTL), wait, ..ASKING };
    let acquire = |owner, wait| {
        let asked = service.locks.acquire(&ask(owner, wait), service.now, &mut Aftermath::default());
        asked.expect("it makes sense")
    };
    assert!(matches!(acquire(b"a", 0), Asked::Granted(_)));
    let Asked::Waiting(ticket) = acquire(b"b", 2 * TTL) else { panic!("it waits") };
    disk.expect_trouble(Trouble::Full(0, u64::MAX));
    service.writer.step();
    service.now = Now::at(Duration::from_millis(TTL + 1), Duration::ZERO);
    assert!(service.holder("x").is_some_and(|(owner, ..)| owner == "b"), "the first lease has ended");
    let Poll::Ready(answer) = ticket.poll(Waker::noop()) else { panic!("it was granted") };
    let hold = answer.barrier.expect("the disk has no range of fences");
    assert_eq!(hold.poll(Waker::noop()), Poll::Ready(Err(Lost)));
    // Who only looks is answered.
    let mut aftermath = Aftermath::default();
    service.locks.act(service.now, &mut aftermath, |core, now, events| core.inspect(b"x", now, events));
    assert!(aftermath.barrier.is_none());
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
fn a_change_of_the_durability_leaves_no_leases_of_long_ago() {
    let folder = Folder::new();
    let path = folder.path().join("locks");
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
        let locks = Locks::open(&path, durability, now).expect("the folder can be used");
        let request = Request { owner: b"owner", resources: &[b"resource"], ttl: Some(TTL), ..ASKING };
        let asked = locks.acquire(&request, now, &mut Aftermath::default());
        let Ok(Asked::Granted(grant)) = asked else { panic!("it is free at start {start}") };
        fences.push(grant.fence);
        if let Some(journal) = locks.journal() {
            journal.close();
        }
    }
    assert!(fences.is_sorted_by(|before, after| before < after), "{fences:?}");
}

#[test]
fn the_folder_is_made_for_the_first_lock() {
    let folder = Folder::new();
    let path = folder.path().join("data/locks");
    let now = Now::at(Duration::from_secs(1), Duration::from_secs(1_700_000_000));
    let locks = Locks::open(&path, Durability::Full, now).expect("there is nothing yet");
    let look = |core: &mut quartet::lock::Core, now, events: &mut _| core.inspect(b"resource", now, events);
    assert_eq!(locks.act(now, &mut Aftermath::default(), look), None);
    assert!(!path.exists());
    let request = Request { owner: b"owner", resources: &[b"resource"], ..ASKING };
    assert!(matches!(locks.acquire(&request, now, &mut Aftermath::default()), Ok(Asked::Granted(_))));
    locks.journal().expect("there is something to keep").close();
    drop(locks);
    let again = Locks::open(&path, Durability::Full, now).expect("the folder is sound");
    let report = again.act(now, &mut Aftermath::default(), look).expect("the lease is there again");
    assert_eq!(report.holders.len(), 1);
}

#[test]
fn a_failed_disk_is_said_at_once() {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk, Durability::Full, 1000).expect("the disk is empty");
    disk.expect_trouble(Trouble::Error(disk.operations() + 2));
    assert_eq!(service.acquire("owner", "resource"), None, "the reply is not sent");
    let Some(Reply::Refused(refusal)) = service.acquire("owner", "other") else { panic!("it is refused") };
    assert!(refusal.starts_with("MISCONF the journal of the locks cannot be written"), "{refusal}");
}

#[test]
fn what_cannot_be_written_down_is_refused_and_changes_nothing() {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk, Durability::Full, 1000).expect("the disk is empty");
    for resource in ["x", "y"] {
        assert!(matches!(service.acquire("ann", resource), Some(Reply::Fence(_))));
    }
    let shared = Request { owner: b"ann", resources: &[b"s"], mode: Mode::Shared, ..ASKING };
    assert!(service.locks.acquire(&shared, service.now, &mut Aftermath::default()).is_ok());
    let waiting = Request { owner: b"bob", resources: &[b"x"], wait: TTL, ..ASKING };
    assert!(service.locks.acquire(&waiting, service.now, &mut Aftermath::default()).is_ok());
    let open = |core: &mut Core, now, events: &mut Events| {
        let terms = SessionTerms { ttl: Some(TTL), ..SessionTerms::default() };
        core.open_session(7, terms, RequestId::default(), now, events)
    };
    service.locks.change(service.now, &mut Aftermath::default(), open).expect("the disk is well");
    disk.expect_trouble(Trouble::Error(disk.operations() + 1));
    service.writer.step();
    let state = |service: &Service| {
        let look = |core: &mut Core, _, _: &mut Events| (snapshot(core), core.totals());
        service.locks.act(service.now, &mut Aftermath::default(), look)
    };
    let before = state(&service);
    for Case { what, run } in CASES {
        for request in [RequestId::default(), RequestId { scope: b"", id: b"id" }] {
            let mut aftermath = Aftermath::default();
            let answer = service
                .locks
                .change(service.now, &mut aftermath, |core, now, events| run(core, now, events, request));
            assert_eq!(answer, Err(Refused::DiskFailed), "{what}");
            assert!(aftermath.barrier.is_none(), "{what} is answered at once");
            assert_eq!(state(&service), before, "{what}");
        }
    }
}
