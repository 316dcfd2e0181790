//! A plain model of the table of locks: lists that are searched from the start each time.

use std::collections::{BTreeMap, BTreeSet};

use quartet::lock::{Mode, WaiterId};

/// A lease of the model.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) owner: usize,
    pub(crate) resource: usize,
    pub(crate) mode: Mode,
    pub(crate) fence: u64,
    pub(crate) holds: u32,
    pub(crate) deadline: Option<u64>,
    pub(crate) session: Option<u64>,
}

/// A waiting request of the model.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) id: WaiterId,
    pub(crate) owner: usize,
    pub(crate) resources: Vec<usize>,
    pub(crate) mode: Mode,
    pub(crate) is_upgrade: bool,
    pub(crate) ttl: Option<u64>,
    pub(crate) session: Option<u64>,
    pub(crate) deadline: u64,
}

/// The model, with the waiters of all resources in one queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) leases: Vec<Lease>,
    pub(crate) waiters: Vec<Waiter>,
    /// Sessions with their time and its end.
    pub(crate) sessions: BTreeMap<u64, (u64, u64)>,
    /// Waiters that were granted something, or told that nothing will come, since this was last read.
    pub(crate) granted: Vec<WaiterId>,
    pub(crate) refused: BTreeSet<WaiterId>,
}

/// Whether one mode may be held beside others.
pub(crate) fn fits_beside(wanted: Mode, held: &[Mode]) -> bool {
    match wanted {
        Mode::Exclusive => held.is_empty(),
        Mode::Shared => held.iter().all(|mode| *mode == Mode::Shared),
        Mode::Permits { count, of } => {
            let counts = held.iter().map(|mode| match mode {
                Mode::Permits { count, .. } => Some(*count),
                _ => None,
            });
            counts.sum::<Option<u32>>().is_some_and(|taken| taken + count <= of)
        }
    }
}

impl Model {
    /// The last lease of an owner on a resource.
    pub(crate) fn lease(&mut self, owner: usize, resource: usize) -> Option<&mut Lease> {
        self.leases_of(owner, resource).last()
    }

    /// All leases of an owner on a resource; of permits there may be several.
    pub(crate) fn leases_of(
        &mut self,
        owner: usize,
        resource: usize,
    ) -> impl DoubleEndedIterator<Item = &mut Lease> {
        self.leases.iter_mut().filter(move |lease| lease.owner == owner && lease.resource == resource)
    }

    /// Whether leases of the owner itself keep its request from being granted.
    pub(crate) fn keeps_from_itself(&mut self, wanted: &Waiter) -> bool {
        wanted.resources.iter().any(|&resource| {
            let own: Vec<Mode> = self.leases_of(wanted.owner, resource).map(|lease| lease.mode).collect();
            let goes_besides = matches!(wanted.mode, Mode::Permits { .. }) && fits_beside(wanted.mode, &own);
            !(own.is_empty() || goes_besides)
        })
    }

    /// Every request for permits names their total.  A larger total counts for all requests that wait for this resource
    /// alone.
    pub(crate) fn resize(&mut self, wanted: &Waiter) {
        let Mode::Permits { of: size, .. } = wanted.mode else { return };
        for &resource in &wanted.resources {
            for waiter in self.waiters.iter_mut().filter(|waiter| waiter.resources == [resource]) {
                if let Mode::Permits { of, .. } = &mut waiter.mode {
                    *of = size.max(*of);
                }
            }
            self.settle();
        }
    }

    pub(crate) fn is_waiting(&self, owner: usize) -> bool {
        self.waiters.iter().any(|waiter| waiter.owner == owner)
    }

    /// Whether a request fits beside the leases and the first `ahead` waiters, both without those of `gone` owners.
    fn fits(&self, wanted: &Waiter, ahead: usize, gone: &BTreeSet<usize>) -> bool {
        wanted.resources.iter().all(|resource| {
            let held = self.leases.iter().filter(|lease| lease.resource == *resource);
            let held = held.filter(|lease| !(wanted.is_upgrade && lease.owner == wanted.owner));
            let held = held.filter(|lease| !gone.contains(&lease.owner)).map(|lease| lease.mode);
            let asked = self.waiters[..ahead].iter().filter(|waiter| waiter.resources.contains(resource));
            let asked = asked.filter(|waiter| !gone.contains(&waiter.owner)).map(|waiter| waiter.mode);
            let asked: Vec<Mode> = asked.collect();
            // A request that names a larger total does not overtake the waiters ahead of it.
            let limits = asked.iter().filter_map(|mode| match mode {
                Mode::Permits { of, .. } => Some(*of),
                _ => None,
            });
            let limit = limits.min().unwrap_or(u32::MAX);
            let mode = match wanted.mode {
                Mode::Permits { count, of } => Mode::Permits { count, of: of.min(limit) },
                mode => mode,
            };
            fits_beside(mode, &held.chain(asked).collect::<Vec<_>>())
        })
    }

    /// Whether a new request could be granted now.
    pub(crate) fn can_grant(&self, wanted: &Waiter) -> bool {
        let is_waited_for = |resource: &usize| {
            self.waiters
                .iter()
                .any(|waiter| waiter.owner == wanted.owner && waiter.resources.contains(resource))
        };
        !wanted.resources.iter().any(is_waited_for) && self.fits(wanted, self.waiters.len(), &BTreeSet::new())
    }

    /// Whether the owner would wait for ever if this request waited: it is left over when all owners that can end have
    /// ended.
    pub(crate) fn is_deadlock(&self, wanted: &Waiter) -> bool {
        let mut with = self.clone();
        with.enqueue(wanted.clone());
        let owners: BTreeSet<usize> = with.leases.iter().map(|lease| lease.owner).collect();
        let mut gone: BTreeSet<usize> = owners.into_iter().filter(|&owner| !with.is_waiting(owner)).collect();
        loop {
            let freed =
                with.waiters.iter().enumerate().find(|(place, waiter)| {
                    !gone.contains(&waiter.owner) && with.fits(waiter, *place, &gone)
                });
            let Some((_, waiter)) = freed else { break };
            gone.insert(waiter.owner);
        }
        !gone.contains(&wanted.owner)
    }

    pub(crate) fn enqueue(&mut self, waiter: Waiter) {
        if waiter.is_upgrade {
            self.waiters.insert(0, waiter);
        } else {
            self.waiters.push(waiter);
        }
    }

    /// Grants all requests that can be granted, each as soon as it can; `fence` is set later.
    pub(crate) fn settle(&mut self) {
        let none = BTreeSet::new();
        while let Some(place) =
            (0..self.waiters.len()).find(|&place| self.fits(&self.waiters[place], place, &none))
        {
            let waiter = self.waiters.remove(place);
            self.granted.push(waiter.id);
            self.hold(&waiter, 0);
        }
    }

    pub(crate) fn hold(&mut self, waiter: &Waiter, fence: u64) {
        if waiter.is_upgrade {
            let lease = self.lease(waiter.owner, waiter.resources[0]).expect("an upgrade has a lease");
            (lease.mode, lease.fence) = (Mode::Exclusive, fence);
            return;
        }
        for &resource in &waiter.resources {
            self.leases.push(Lease {
                owner: waiter.owner,
                resource,
                mode: waiter.mode,
                fence,
                holds: 1,
                deadline: waiter.ttl.map(|ttl| self.now + ttl),
                session: waiter.session,
            });
        }
    }

    /// Ends leases, and the waiting upgrades of them.
    pub(crate) fn end(&mut self, ends: impl Fn(&Lease) -> bool) {
        let ended: Vec<(usize, usize)> = self
            .leases
            .iter()
            .filter(|lease| ends(lease))
            .map(|lease| (lease.owner, lease.resource))
            .collect();
        self.leases.retain(|lease| !ends(lease));
        self.refuse(|waiter| waiter.is_upgrade && ended.contains(&(waiter.owner, waiter.resources[0])));
    }

    /// Ends waits.
    pub(crate) fn refuse(&mut self, ends: impl Fn(&Waiter) -> bool) {
        let refused = self.waiters.iter().filter(|waiter| ends(waiter)).map(|waiter| waiter.id);
        self.refused.extend(refused);
        self.waiters.retain(|waiter| !ends(waiter));
    }

    /// Ends a session with its leases and waits.
    pub(crate) fn end_session(&mut self, session: u64) {
        self.sessions.remove(&session);
        self.refuse(|waiter| waiter.session == Some(session));
        self.end(|lease| lease.session == Some(session));
    }

    /// Lets time pass up to `now` in one step: first leases and sessions end, then requests are granted.
    pub(crate) fn advance(&mut self, now: u64) {
        self.now = now;
        self.end(|lease| lease.deadline.is_some_and(|deadline| deadline <= now));
        let over: Vec<u64> =
            self.sessions.iter().filter(|(_, (_, end))| *end <= now).map(|(&id, _)| id).collect();
        for session in over {
            self.end_session(session);
        }
        self.settle();
        // One after the other: the end of one wait may be the turn of the next.
        let mut over: Vec<(u64, WaiterId)> = self
            .waiters
            .iter()
            .filter(|waiter| waiter.deadline <= now)
            .map(|waiter| (waiter.deadline, waiter.id))
            .collect();
        over.sort_unstable();
        for (_, id) in over {
            self.refuse(|waiter| waiter.id == id);
            self.settle();
        }
    }
}
