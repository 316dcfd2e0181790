//! The context of an endpoint: the services, and access to the store.

use std::future::poll_fn;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use super::problems;
use crate::clock::Now;
use crate::command::Services;
use crate::command::executor::Executor;
use crate::delivery::Effects;
use crate::lock_order::{Mutex, rank};
use crate::random::Random;
use crate::store::eviction;
use crate::store::{AccessContext, HeldForLong, Key, Keyspace, Patience};

/// The context of one thread's endpoints.  Cheap to clone.
///
/// [`read`](Context::read), [`write`](Context::write) and [`walk`](Context::walk) enter the gate on the thread's slot
/// while their closure runs.  A closure cannot await, so the gate and the locks are never held across an await.  It must not use
/// the context again, since the slot is taken.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    services: Arc<Services>,
    slot: usize,
    random: Mutex<Random, { rank::ENDPOINT_RANDOM }>,
    stopping: CancellationToken,
}

/// A turn of the thread, given by [`Context::turn`]: once this is dropped, those who wait for what the thread held try again.
#[must_use]
pub struct Turn<'c>(&'c Context);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Context(inner) = self.0;
        inner.services.store.holds().end_turn(inner.slot);
    }
}

/// The store and the other tools of a step while the gate is entered.
pub struct Visit<'v, 's> {
    /// The data, with the shards of the named keys locked.
    pub keyspace: Keyspace<'s>,
    /// The thread's source of randomness.
    pub random: &'v mut Random,
    /// Effects that happen once the locks are released.
    pub effects: &'v mut Effects,
    /// The state that all threads share.
    pub services: &'s Services,
    /// The number of the thread.
    pub slot: usize,
}

impl<'s> Visit<'_, 's> {
    /// A key with its hash.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.services.store.key(bytes)
    }

    /// The time, which stands still during the visit.
    pub fn now(&self) -> Now {
        self.keyspace.now()
    }
}

impl Context {
    /// The context of the thread that has this slot at the gate; `stopping` is cancelled when the server stops.
    pub fn new(services: Arc<Services>, slot: usize, random: Random, stopping: CancellationToken) -> Context {
        services.store.holds().add_unwatched(slot);
        Context(Arc::new(Inner { services, slot, random: Mutex::new(random), stopping }))
    }

    /// Cancelled when the server stops; then nothing should wait any more.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// The state that all threads share.
    pub fn services(&self) -> &Arc<Services> {
        &self.0.services
    }

    /// The number of the thread at the gate and in the metrics.
    pub fn slot(&self) -> usize {
        self.0.slot
    }

    /// The time.
    pub fn now(&self) -> Now {
        self.0.services.clock.now()
    }

    /// Random bits, to name something that has no name.
    pub fn draw(&self) -> u128 {
        let mut random = self.0.random.lock();
        u128::from(random.draw()) << 64 | u128::from(random.draw())
    }

    /// Begins a turn of the thread, which ends when this is dropped.  No other thread watches this one, so a client that waits for what it
    /// holds may have noted the turn.
    pub fn turn(&self) -> Turn<'_> {
        Turn(self)
    }

    /// The executor of one request's commands on this thread.  It enters the gate itself: within a [`Context::turn`].
    pub fn executor(&self) -> Executor {
        Executor::new(Arc::clone(&self.0.services), self.0.slot, Random::with_seed(self.draw() as u64))
    }

    /// Runs `step` with the shards of all `keys` in `database` locked, so that others see it whole.
    ///
    /// # Errors
    /// If a script that runs for long holds one of them.
    pub fn read<R>(
        &self,
        database: usize,
        keys: &[&[u8]],
        step: impl FnOnce(&mut Visit<'_, '_>) -> R,
    ) -> Result<R, Problem> {
        self.enter(|visit| {
            visit.keyspace.database = database;
            lock(visit, database, keys)?;
            Ok(step(visit))
        })
    }

    /// As [`Context::read`], for steps that may need memory: makes room first.
    ///
    /// # Errors
    /// If the memory for data is used up and nothing may be evicted, or a script that runs for long holds a key.
    pub fn write<R>(
        &self,
        database: usize,
        keys: &[&[u8]],
        step: impl FnOnce(&mut Visit<'_, '_>) -> R,
    ) -> Result<R, Problem> {
        self.enter(|visit| {
            let services = visit.services;
            let settings = services.settings.current();
            if !eviction::make_room(&services.store, &settings, visit.random, &visit.keyspace.access) {
                return Err(Problem::new(problems::OUT_OF_MEMORY));
            }
            visit.keyspace.database = database;
            lock(visit, database, keys)?;
            Ok(step(visit))
        })
    }

    /// Runs `step` with nothing locked: for services that lock themselves.
    ///
    /// # Errors
    /// If a script that runs for long is alone at the store.
    pub fn unlocked<R>(
        &self,
        database: usize,
        step: impl FnOnce(&mut Visit<'_, '_>) -> R,
    ) -> Result<R, Problem> {
        self.enter(|visit| {
            visit.keyspace.database = database;
            Ok(step(visit))
        })
    }

    /// Runs `step` with nothing locked: for scans of the store shard by shard.  If it begins where a command is at work that takes long,
    /// the request waits without the thread, and `step` runs again.
    ///
    /// # Errors
    /// If it begins where a script is at work that runs for long.
    pub async fn walk<R>(
        &self,
        database: usize,
        mut step: impl FnMut(&mut Visit<'_, '_>) -> Result<R, HeldForLong>,
    ) -> Result<R, Problem> {
        loop {
            let walked = self.unlocked(database, |visit| {
                visit.keyspace.patience = Patience::Nobody;
                step(visit)
            });
            let seen = match walked? {
                Ok(result) => return Ok(result),
                Err(HeldForLong::ByCommand { seen }) => seen,
                Err(HeldForLong::ByScript) => return Err(Problem::new(problems::BUSY)),
            };
            let holds = self.0.services.store.holds();
            self.wait_for(poll_fn(|task| holds.park(seen, task.waker()))).await?;
        }
    }

    /// Runs `step` while no other thread is at the store, for steps that touch all keys and must be seen whole.  Shards are locked
    /// as they are met.
    ///
    /// # Errors
    /// If a script that runs for long is there.
    pub fn exclusive<R>(
        &self,
        database: usize,
        step: impl FnOnce(&mut Visit<'_, '_>) -> R,
    ) -> Result<R, Problem> {
        let gate = self.0.services.store.gate().enter_exclusive(Patience::Commands);
        let gate = gate.map_err(|_| Problem::new(problems::BUSY))?;
        Ok(self.run(gate, |visit| {
            visit.keyspace.set_exclusive(true);
            visit.keyspace.database = database;
            step(visit)
        }))
    }

    fn enter<R>(&self, step: impl FnOnce(&mut Visit<'_, '_>) -> Result<R, Problem>) -> Result<R, Problem> {
        let gate = self.0.services.store.gate().enter_unless_held(self.0.slot, Patience::Commands);
        self.run(gate.map_err(|_| Problem::new(problems::BUSY))?, step)
    }

    /// Runs `step` inside `gate`, then leaves it and delivers the step's effects.
    fn run<G, R>(&self, gate: G, step: impl FnOnce(&mut Visit<'_, '_>) -> R) -> R {
        let turn = self.turn();
        let services = &*self.0.services;
        let mut random = self.0.random.lock();
        let mut effects = Effects::default();
        // The time is read inside: entering may have taken long.
        let now = services.clock.now();
        let access = AccessContext::of(&services.settings.current(), now);
        let mut visit = Visit {
            keyspace: Keyspace::new(&services.store, now, access).of_slot(self.0.slot),
            random: &mut random,
            effects: &mut effects,
            services,
            slot: self.0.slot,
        };
        let result = step(&mut visit);
        visit.keyspace.unlock();
        services.key_waiters.serve(&mut visit.keyspace);
        services.settle(self.0.slot, &mut visit.keyspace);
        drop((gate, random, turn));
        services.fan_out.deliver(&mut effects);
        result
    }
}

fn lock(visit: &mut Visit<'_, '_>, database: usize, keys: &[&[u8]]) -> Result<(), Problem> {
    let store = &visit.services.store;
    let shard = |key: &&[u8]| store.shard_of(database, store.key(key).hash);
    let locked = match keys {
        [] => Ok(()),
        [key] => visit.keyspace.lock_one_unless_held(shard(key)),
        keys => visit.keyspace.lock_many_unless_held(&mut keys.iter().map(shard).collect::<Vec<_>>()),
    };
    locked.map_err(|_| Problem::new(problems::BUSY))
}
