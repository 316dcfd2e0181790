//! Deadlocks: found at the moment somebody begins to wait, and refused to the one who would close the circle.
//!
//! An owner that waits can give nothing back, so those who wait for what it holds, or stand behind it in a queue, wait
//! for it.  With semaphores and several resources a circle in that graph is not yet a deadlock: another holder may do.
//! So the graph is reduced: whoever waits for nothing gives everything back, whoever can be granted then waits for
//! nothing, and so on.  Who is left waits for ever, and if the new waiter is among them, a circle through it is named.
//!
//! An owner with several requests that wait is several threads of control; it counts as stuck only if all of them are.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

use super::core::Core;
use super::events::WaiterId;
use super::limits::{DEADLOCK_STEPS_MAX, DEADLOCKS_MAX, SHOWN_LENGTH_MAX};
use super::modes::{Load, Mode};

/// A circle of owners each of which waits for the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deadlock {
    /// When it was found, in microseconds of the server's clock.
    pub at: u64,
    /// The owners, beginning with the one that was refused, and what each would wait for.
    pub steps: Vec<Step>,
}

/// An owner and the resource it waits for, which the next owner keeps from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The owner that waits.
    pub owner: Vec<u8>,
    /// What it waits for.
    pub resource: Vec<u8>,
}

/// `owner > resource > owner > resource > owner`: as errors and notices name it.
impl fmt::Display for Deadlock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(formatter, "{} > {} > ", shown(&step.owner), shown(&step.resource))?;
        }
        formatter.write_str(&self.steps.first().map(|step| shown(&step.owner)).unwrap_or_default())
    }
}

/// A name as a line of text, cut to a bounded length.
fn shown(name: &[u8]) -> String {
    name[..name.len().min(SHOWN_LENGTH_MAX)].escape_ascii().to_string()
}

impl Deadlock {
    /// An owner that would wait for itself.
    pub(super) fn of_one(core: &Core, owner: usize, resource: usize) -> Deadlock {
        Deadlock { at: core.now, steps: vec![step(core, owner, resource)] }
    }
}

fn step(core: &Core, owner: usize, resource: usize) -> Step {
    Step { owner: core.owners.name(owner).into(), resource: core.resources.name(resource).into() }
}

impl Core {
    pub(super) fn remember_deadlock(&mut self, deadlock: Deadlock) {
        self.counts.deadlocks += 1;
        if self.deadlocks.len() == DEADLOCKS_MAX {
            self.deadlocks.pop_back();
        }
        self.deadlocks.push_front(deadlock);
    }
}

/// The circle that a waiter, which has just been entered, closes.
pub(super) fn find(core: &Core, id: WaiterId) -> Option<Deadlock> {
    let waiter = &core.waiters[&id];
    // Nobody can wait for one who is last in its queues and holds nothing that others wait for.
    let is_waited_for =
        |&lease: &usize| core.resources[core.leases[lease].resource].queue.iter().any(|&other| other != id);
    if !core.owners[waiter.owner].leases.iter().any(is_waited_for) {
        return None;
    }
    let mut search = Search::new(core, id)?;
    search.reduce()?;
    search.circle(waiter.owner)
}

/// The part of the graph that can be reached from a waiter.
struct Search<'c> {
    core: &'c Core,
    resources: Vec<usize>,
    /// Owners that wait for nothing, or would not for ever.
    free: HashSet<usize>,
    owners: HashSet<usize>,
    steps: usize,
}

impl<'c> Search<'c> {
    /// Collects what can be reached; none if that is too much.
    fn new(core: &'c Core, id: WaiterId) -> Option<Search<'c>> {
        let mut search =
            Search { core, resources: Vec::new(), free: HashSet::new(), owners: HashSet::new(), steps: 0 };
        let mut seen: HashSet<usize> = HashSet::new();
        let mut next: VecDeque<usize> = core.waiters[&id].resources.iter().copied().collect();
        while let Some(resource) = next.pop_front() {
            if !seen.insert(resource) {
                continue;
            }
            search.resources.push(resource);
            let place = &core.resources[resource];
            let holders = place.holders.iter().map(|&lease| core.leases[lease].owner);
            let waiters = place.queue.iter().map(|waiter| core.waiters[waiter].owner);
            for owner in holders.chain(waiters) {
                search.count_step()?;
                if !search.owners.insert(owner) {
                    continue;
                }
                let waits = &core.owners[owner].waits;
                if waits.is_empty() {
                    search.free.insert(owner);
                }
                next.extend(waits.iter().flat_map(|wait| &core.waiters[wait].resources));
            }
        }
        Some(search)
    }

    fn count_step(&mut self) -> Option<()> {
        self.steps += 1;
        (self.steps <= DEADLOCK_STEPS_MAX).then_some(())
    }

    /// Frees owners until no more can be freed; none if that takes too long.
    fn reduce(&mut self) -> Option<()> {
        let mut again: VecDeque<usize> = self.resources.iter().copied().collect();
        let mut is_queued: HashSet<usize> = again.iter().copied().collect();
        while let Some(resource) = again.pop_front() {
            is_queued.remove(&resource);
            for owner in self.freed_at(resource)? {
                // What it holds and where it stands in a queue is free for others now.
                let known = &self.core.owners[owner];
                let held = known.leases.iter().map(|&lease| self.core.leases[lease].resource);
                let waited = known.waits.iter().flat_map(|wait| &self.core.waiters[wait].resources).copied();
                for touched in held.chain(waited) {
                    if touched != resource && is_queued.insert(touched) {
                        again.push_back(touched);
                    }
                }
            }
        }
        Some(())
    }

    /// Goes through a queue as if all free owners had gone, and frees those who could be granted.
    fn freed_at(&mut self, resource: usize) -> Option<Vec<usize>> {
        let mut freed = Vec::new();
        let mut load = self.held(resource)?;
        let core = self.core;
        let mut place = 0;
        while let Some(&id) = core.resources[resource].queue.get(place) {
            place += 1;
            self.count_step()?;
            let waiter = &core.waiters[&id];
            if self.free.contains(&waiter.owner) {
                continue;
            }
            let mut fits = waiter.fits(&load);
            for &other in waiter.resources.iter().filter(|&&other| other != resource) {
                fits = fits && waiter.fits(&self.ahead(other, id)?);
            }
            if fits {
                self.free.insert(waiter.owner);
                freed.push(waiter.owner);
                // What the owner holds of this very resource has gone with it, and so have its places in the queue.
                load = self.held(resource)?;
                place = 0;
            } else {
                load.add(waiter.mode);
            }
        }
        Some(freed)
    }

    fn held(&mut self, resource: usize) -> Option<Load> {
        let mut load = Load::default();
        for &lease in &self.core.resources[resource].holders {
            self.count_step()?;
            let lease = &self.core.leases[lease];
            if !self.free.contains(&lease.owner) {
                load.add(lease.mode);
            }
        }
        Some(load)
    }

    fn ahead(&mut self, resource: usize, end: WaiterId) -> Option<Load> {
        let mut load = self.held(resource)?;
        for &id in &self.core.resources[resource].queue {
            self.count_step()?;
            let waiter = &self.core.waiters[&id];
            if id == end {
                break;
            }
            if !self.free.contains(&waiter.owner) {
                load.add(waiter.mode);
            }
        }
        Some(load)
    }

    /// The shortest circle through an owner, among those who wait for ever.
    fn circle(&self, start: usize) -> Option<Deadlock> {
        if self.free.contains(&start) {
            return None;
        }
        // From whom each owner was reached, and over which resource.
        let mut reached: HashMap<usize, (usize, usize)> = HashMap::new();
        let mut next = VecDeque::from([start]);
        while let Some(owner) = next.pop_front() {
            for (blocker, resource) in self.blockers(owner) {
                if blocker == start {
                    return Some(self.way_back(start, owner, resource, &reached));
                }
                if let Entry::Vacant(place) = reached.entry(blocker) {
                    place.insert((owner, resource));
                    next.push_back(blocker);
                }
            }
        }
        None
    }

    fn way_back(
        &self,
        start: usize,
        last: usize,
        resource: usize,
        reached: &HashMap<usize, (usize, usize)>,
    ) -> Deadlock {
        let mut steps = vec![step(self.core, last, resource)];
        let mut owner = last;
        while owner != start {
            let (before, resource) = reached[&owner];
            steps.push(step(self.core, before, resource));
            owner = before;
        }
        steps.reverse();
        Deadlock { at: self.core.now, steps }
    }

    /// Whom an owner waits for, and over which resource.
    fn blockers(&self, owner: usize) -> Vec<(usize, usize)> {
        let core = self.core;
        let mut blockers = Vec::new();
        for id in &core.owners[owner].waits {
            let waiter = &core.waiters[id];
            for &resource in &waiter.resources {
                let place = &core.resources[resource];
                let held = place.holders.iter().map(|&lease| &core.leases[lease]);
                let held = held.map(|lease| (lease.owner, lease.mode));
                let ahead =
                    place.queue.iter().take_while(|other| *other != id).map(|other| &core.waiters[other]);
                let ahead = ahead.map(|waiter| (waiter.owner, waiter.mode));
                let is_in_the_way = |&(other, mode): &(usize, Mode)| {
                    other != owner && !self.free.contains(&other) && mode.conflicts(waiter.mode)
                };
                blockers.extend(held.chain(ahead).filter(is_in_the_way).map(|(other, _)| (other, resource)));
            }
        }
        blockers
    }
}
