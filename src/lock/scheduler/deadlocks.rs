//! Deadlocks: found when a request begins to wait, and refused to the owner that would close the circle.
//!
//! A waiting owner can release nothing, so the owners that wait for its resources, or stand behind it in a queue, wait
//! for it.  With semaphores and several resources a circle in that graph is not yet a deadlock: another holder may
//! release enough.  So the graph is reduced.  An owner that waits for nothing releases everything; an owner that can
//! then be granted its request waits for nothing; and so on.  The rest waits for ever.  If the new waiter is among
//! them, a circle through it is named.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

use crate::lock::deadlock::{Deadlock, Step};
use crate::lock::identifiers::WaiterId;
use crate::lock::limits::DEADLOCK_STEPS_MAX;
use crate::lock::mode::Mode;
use crate::lock::model::Model;
use crate::lock::model::load::Load;
use crate::lock::model::waiter::Waiter;

/// An owner that would wait for itself.
pub(super) fn of_one(model: &Model, owner: usize, resource: usize) -> Deadlock {
    Deadlock { at: model.now, steps: vec![step(model, owner, resource)] }
}

fn step(model: &Model, owner: usize, resource: usize) -> Step {
    Step { owner: model.owners.name(owner).into(), resource: model.resources.name(resource).into() }
}

/// The circle that a new waiter closes.
pub(super) fn find(model: &Model, id: WaiterId) -> Option<Deadlock> {
    let waiter = &model.waiters[&id];
    // Nobody waits for an owner that is last in its queues and holds nothing that others wait for.
    let is_waited_for =
        |&lease: &usize| model.resources[model.leases[lease].resource].queue.iter().any(|&other| other != id);
    if !model.owners[waiter.owner].leases.iter().any(is_waited_for) {
        return None;
    }
    let mut search = Search::new(model, id)?;
    search.reduce()?;
    search.circle(waiter.owner)
}

/// The part of the graph that can be reached from a waiter.
struct Search<'m> {
    model: &'m Model,
    /// The leases on each resource of owners that are not free.
    held: HashMap<usize, Load>,
    /// Owners that wait for nothing, or not for ever.
    free: HashSet<usize>,
    steps: usize,
}

impl<'m> Search<'m> {
    /// Collects that part; none if it is too large.
    fn new(model: &'m Model, id: WaiterId) -> Option<Search<'m>> {
        let mut search = Search { model, held: HashMap::new(), free: HashSet::new(), steps: 0 };
        let mut next: VecDeque<usize> = model.waiters[&id].resources.iter().copied().collect();
        while let Some(resource) = next.pop_front() {
            if search.held.contains_key(&resource) {
                continue;
            }
            let mut held = Load::default();
            for &lease in &model.resources[resource].holders {
                search.count_step()?;
                let lease = &model.leases[lease];
                match model.owners[lease.owner].wait {
                    Some(wait) => {
                        held.add(lease.mode);
                        next.extend(&model.waiters[&wait].resources);
                    }
                    None => drop(search.free.insert(lease.owner)),
                }
            }
            for waiter in model.resources[resource].queue.iter() {
                search.count_step()?;
                let others = model.waiters[waiter].resources.iter().filter(|&&other| other != resource);
                next.extend(others);
            }
            search.held.insert(resource, held);
        }
        Some(search)
    }

    fn count_step(&mut self) -> Option<()> {
        self.steps += 1;
        (self.steps <= DEADLOCK_STEPS_MAX).then_some(())
    }

    /// Frees owners until no more can be freed; none if that takes too many steps.
    fn reduce(&mut self) -> Option<()> {
        let mut again: VecDeque<usize> = self.held.keys().copied().collect();
        let mut is_queued: HashSet<usize> = again.iter().copied().collect();
        while let Some(resource) = again.pop_front() {
            is_queued.remove(&resource);
            // The resources of the freed owners, and their positions in queues, are free for others now.
            for touched in self.free_at(resource)? {
                if touched != resource && self.held.contains_key(&touched) && is_queued.insert(touched) {
                    again.push_back(touched);
                }
            }
        }
        Some(())
    }

    /// Goes through a queue as if all free owners had gone, and frees the owners that could be granted their request.
    /// Returns the resources that these held or waited for.
    fn free_at(&mut self, resource: usize) -> Option<Vec<usize>> {
        let model = self.model;
        let mut touched = Vec::new();
        let mut load = self.held[&resource];
        let mut position = 0;
        while let Some(id) = model.resources[resource].queue.get(position)
            && !load.is_full(model.resources[resource].most_permits)
        {
            position += 1;
            self.count_step()?;
            let waiter = &model.waiters[&id];
            if self.free.contains(&waiter.owner) {
                continue;
            }
            if !waiter.fits(&load) || !self.fits_elsewhere(waiter, id, resource)? {
                load.add_ahead(waiter.mode);
                continue;
            }
            touched.extend(&waiter.resources);
            let held = self.held[&resource];
            self.free(waiter.owner, &mut touched)?;
            if held != self.held[&resource] {
                // It was an upgrade: its shared lease is gone, which may be enough for a waiter before it.
                load = self.held[&resource];
                position = 0;
            }
        }
        Some(touched)
    }

    /// Releases everything that an owner holds.
    fn free(&mut self, owner: usize, touched: &mut Vec<usize>) -> Option<()> {
        self.free.insert(owner);
        for &lease in &self.model.owners[owner].leases {
            self.count_step()?;
            let lease = &self.model.leases[lease];
            if let Some(held) = self.held.get_mut(&lease.resource) {
                held.remove(lease.mode);
                touched.push(lease.resource);
            }
        }
        Some(())
    }

    /// Whether a waiter fits into all its other resources, behind the waiters ahead of it there.
    fn fits_elsewhere(&mut self, waiter: &Waiter, id: WaiterId, here: usize) -> Option<bool> {
        let model = self.model;
        for other in waiter.resources.iter().filter(|&&other| other != here) {
            let mut load = self.held[other];
            if !waiter.fits(&load) {
                return Some(false);
            }
            for ahead in model.resources[*other].queue.iter().take_while(|&&ahead| ahead != id) {
                self.count_step()?;
                let ahead = &model.waiters[ahead];
                if self.free.contains(&ahead.owner) {
                    continue;
                }
                load.add_ahead(ahead.mode);
                if !waiter.fits(&load) {
                    return Some(false);
                }
            }
        }
        Some(true)
    }

    /// The shortest circle through an owner, among the owners that wait for ever.
    fn circle(&self, start: usize) -> Option<Deadlock> {
        if self.free.contains(&start) {
            return None;
        }
        // For each owner, the owner before it and the resource between them.
        let mut reached: HashMap<usize, (usize, usize)> = HashMap::new();
        let mut seen = Seen::default();
        let mut next = VecDeque::from([start]);
        while let Some(owner) = next.pop_front() {
            // The first owner's blockers are searched apart: it passes over itself, so what it has seen is incomplete.
            let blockers = match owner == start {
                true => self.blockers(owner, &mut Seen::default()),
                false => self.blockers(owner, &mut seen),
            };
            for (blocker, resource) in blockers {
                if blocker == start {
                    return Some(self.way_back(start, owner, resource, &reached));
                }
                if let Entry::Vacant(entry) = reached.entry(blocker) {
                    entry.insert((owner, resource));
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
        let mut steps = vec![step(self.model, last, resource)];
        let mut owner = last;
        while owner != start {
            let (before, resource) = reached[&owner];
            steps.push(step(self.model, before, resource));
            owner = before;
        }
        steps.reverse();
        Deadlock { at: self.model.now, steps }
    }

    /// The owners that an owner waits for, and the resources, without blockers that were seen before.
    fn blockers(&self, owner: usize, seen: &mut Seen) -> Vec<(usize, usize)> {
        let model = self.model;
        let mut blockers = Vec::new();
        let Some(id) = model.owners[owner].wait else { return blockers };
        let waiter = &model.waiters[&id];
        for &resource in &waiter.resources {
            let wanted = &model.resources[resource];
            let mut add = |other: usize, mode: Mode| {
                if other != owner && !self.free.contains(&other) && mode.conflicts(waiter.mode) {
                    blockers.push((other, resource));
                }
            };
            // All sharing waiters have the same blockers, and so do all others.
            let view = (resource, waiter.mode == Mode::Shared);
            let upto = seen.positions.entry(view).or_insert_with(|| {
                let held = wanted.holders.iter().map(|&lease| &model.leases[lease]);
                held.for_each(|lease| add(lease.owner, lease.mode));
                0
            });
            if seen.waiters.contains(&(view, id)) {
                continue;
            }
            for other in wanted.queue.iter_from(*upto).take_while(|&&other| other != id) {
                seen.waiters.insert((view, *other));
                *upto += 1;
                let ahead = &model.waiters[other];
                add(ahead.owner, ahead.mode);
            }
        }
        blockers
    }
}

/// How far each queue was searched: the search for a circle goes through each only once.
#[derive(Default)]
struct Seen {
    /// The number of waiters seen at the front of each queue, by resource and by whether the viewer shares.
    positions: HashMap<(usize, bool), usize>,
    /// Those waiters.
    waiters: HashSet<((usize, bool), WaiterId)>,
}
