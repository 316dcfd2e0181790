//! The context of an endpoint: the services, and access to the store.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use super::problems;
use super::runners::Runners;
use crate::clock::Now;
use crate::command::Services;
use crate::command::executor::Executor;
use crate::delivery::Effects;
use crate::lock_order::{Mutex, rank};
use crate::random::Random;
use crate::store::eviction;
use crate::store::{AccessContext, HeldForLong, Key, Keyspace, Patience, Place};

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
    runners: Option<Arc<Runners>>,
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
    /// The context of the thread that has this slot at the gate; `stopping` is cancelled when the server stops.  Work that may take
    /// long is for the runners; without them the thread does it itself.
    pub fn new(
        services: Arc<Services>,
        slot: usize,
        random: Random,
        stopping: CancellationToken,
        runners: Option<Arc<Runners>>,
    ) -> Context {
        services.store.holds().add_unwatched(slot);
        Context(Arc::new(Inner { services, slot, random: Mutex::new(random), stopping, runners }))
    }

    /// The threads for what may take long, if there are some.
    pub fn runners(&self) -> Option<&Arc<Runners>> {
        self.0.runners.as_ref()
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

    /// Runs `step` with the shards of all `keys` in `database` locked, so that others see it whole.  If a command that takes long holds
    /// one of them, the request waits without the thread.
    ///
    /// # Errors
    /// If a script that runs for long holds one of them, or the server stops meanwhile.
    pub async fn read<R>(
        &self,
        database: usize,
        keys: &[&[u8]],
        step: impl FnOnce(&mut Visit<'_, '_>) -> R,
    ) -> Result<R, Problem> {
        self.visit(false, (database, keys), step).await
    }

    /// As [`Context::read`], for steps that may need memory: makes room first.
    ///
    /// # Errors
    /// If the memory for data is used up and nothing may be evicted, a script that runs for long holds a key, or the server stops
    /// meanwhile.
    pub async fn write<R>(
        &self,
        database: usize,
        keys: &[&[u8]],
        step: impl FnOnce(&mut Visit<'_, '_>) -> R,
    ) -> Result<R, Problem> {
        self.visit(true, (database, keys), step).await
    }

    async fn visit<R>(
        &self,
        needs_memory: bool,
        (database, keys): (usize, &[&[u8]]),
        step: impl FnOnce(&mut Visit<'_, '_>) -> R,
    ) -> Result<R, Problem> {
        let mut step = Some(step);
        let mut visit = |visit: &mut Visit<'_, '_>| {
            if needs_memory && !has_room(visit) {
                return Ok(Err(Problem::new(problems::OUT_OF_MEMORY)));
            }
            visit.keyspace.database = database;
            lock(visit, database, keys)?;
            Ok(step.take().map(|step| step(visit)).ok_or_else(|| Problem::new(problems::INTERNAL)))
        };
        self.once_free(|| self.attempt(&mut visit)).await?
    }

    /// Runs `step` with nothing locked: for scans of the store shard by shard, and for services that lock themselves.  If it does
    /// nothing because of a command that takes long, the request waits without the thread, and `step` runs again.
    ///
    /// # Errors
    /// If it does nothing because of a script that runs for long, or the server stops meanwhile.
    pub async fn walk<R>(
        &self,
        database: usize,
        mut step: impl FnMut(&mut Visit<'_, '_>) -> Result<R, HeldForLong>,
    ) -> Result<R, Problem> {
        let mut visit = |visit: &mut Visit<'_, '_>| {
            visit.keyspace.database = database;
            step(visit)
        };
        self.once_free(|| self.attempt(&mut visit)).await
    }

    /// Runs `step` while no other thread is at the store, for steps that touch all keys and must be seen whole.  Shards are locked
    /// as they are met.  A runner does that.  While a command that takes long is at the store, the request waits without a thread, but
    /// not for ever: see [`Patience::to_be_alone`].
    ///
    /// # Errors
    /// If a script that runs for long is there, or the server stops meanwhile.
    pub async fn exclusive<R: Send + 'static>(
        &self,
        database: usize,
        step: impl FnOnce(&mut Visit<'_, '_>) -> R + Clone + Send + 'static,
    ) -> Result<R, Problem> {
        let (mut attempts, mut place) = (0, Place::default());
        loop {
            let (services, step) = (Arc::clone(&self.0.services), step.clone());
            let (patience, seed) = (Patience::to_be_alone(attempts), self.draw() as u64);
            let attempt = move |slot| {
                let gate = services.store.gate().enter_exclusive(slot, patience)?;
                Ok(visit_on_runner(&services, (slot, seed), gate, |visit| {
                    visit.keyspace.set_exclusive(true);
                    visit.keyspace.database = database;
                    step(visit)
                }))
            };
            let reason = match self.do_on_runner(attempt).await? {
                Ok(done) => return Ok(done),
                Err(reason) => reason,
            };
            attempts += 1;
            self.wait_until_free(reason, &mut place).await?;
        }
    }

    /// Has a runner run `step` with nothing locked, which waits there for commands that take long.
    ///
    /// # Errors
    /// If a script that runs for long holds what it needs, or the server stops before.
    pub async fn patiently<R: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Visit<'_, '_>) -> Result<R, HeldForLong> + Send + 'static,
    ) -> Result<R, Problem> {
        let (services, seed) = (Arc::clone(&self.0.services), self.draw() as u64);
        let patiently = move |slot| {
            let gate = services.store.gate().enter_unless_held(slot, Patience::Commands)?;
            visit_on_runner(&services, (slot, seed), gate, |visit| {
                visit.keyspace.patience = Patience::Commands;
                step(visit)
            })
        };
        self.do_on_runner(patiently).await?.map_err(|_| Problem::new(problems::BUSY))
    }

    /// Makes one attempt to run `step` with nothing locked.
    ///
    /// # Errors
    /// If something that takes long holds what it needs.
    pub fn attempt<R>(
        &self,
        step: impl FnOnce(&mut Visit<'_, '_>) -> Result<R, HeldForLong>,
    ) -> Result<R, HeldForLong> {
        let gate = self.0.services.store.gate().enter_unless_held(self.0.slot, Patience::Nobody)?;
        self.run(gate, step)
    }

    /// Has a runner do this, which is told its slot, and returns the result; without runners this thread does it.
    ///
    /// # Errors
    /// If the server stops before.
    pub async fn do_on_runner<R: Send + 'static>(
        &self,
        work: impl FnOnce(usize) -> R + Send + 'static,
    ) -> Result<R, Problem> {
        let Some(runners) = &self.0.runners else { return Ok(work(self.0.slot)) };
        let (answer, answered) = oneshot::channel();
        let shared = Arc::new(Mutex::<_, { rank::RUNNERS_TASK }>::new(Some(work)));
        // If its client leaves before a runner comes to it, nothing of the request stays.
        let _given = Given(Arc::clone(&shared));
        runners.give(Box::new(move |executor| {
            let work = shared.lock().take();
            if let Some(work) = work {
                // Nobody hears it if the client leaves meanwhile.
                let _ = answer.send(work(executor.slot()));
            }
        }));
        answered.await.map_err(|_| Problem::stopping())
    }

    /// Returns what `attempt` does, once nothing that it needs is held for long.
    async fn once_free<R>(&self, mut attempt: impl FnMut() -> Result<R, HeldForLong>) -> Result<R, Problem> {
        let mut place = Place::default();
        loop {
            let reason = match attempt() {
                Ok(done) => return Ok(done),
                Err(reason) => reason,
            };
            self.wait_until_free(reason, &mut place).await?;
        }
    }

    /// Returns once it makes sense to try again after an attempt that has failed for this reason.
    async fn wait_until_free(&self, reason: HeldForLong, place: &mut Place) -> Result<(), Problem> {
        match reason {
            HeldForLong::ByCommand { seen } => self.wait_for_release(seen, place).await,
            HeldForLong::ByScript => Err(Problem::new(problems::BUSY)),
        }
    }

    /// Returns once something that is held for long is let go of, or nothing is, counted from `seen` changes.
    ///
    /// # Errors
    /// If the server stops meanwhile.
    pub async fn wait_for_release(&self, seen: u64, place: &mut Place) -> Result<(), Problem> {
        let holds = self.0.services.store.holds();
        self.wait_for(poll_fn(|task| holds.park(seen, place, task.waker()))).await
    }

    /// Runs `step` inside `gate` on the thread of this context, in a turn of it.
    fn run<G, R>(&self, gate: G, step: impl FnOnce(&mut Visit<'_, '_>) -> R) -> R {
        let turn = self.turn();
        let mut random = self.0.random.lock();
        let services = &self.0.services;
        let (result, mut effects) = visit(services, (self.0.slot, &mut random), gate, step);
        drop((random, turn));
        services.fan_out.deliver(&mut effects);
        result
    }
}

/// Runs `step` inside `gate` on the thread of this slot, then leaves it.  The effects are to be delivered.
fn visit<G, R>(
    services: &Services,
    (slot, random): (usize, &mut Random),
    gate: G,
    step: impl FnOnce(&mut Visit<'_, '_>) -> R,
) -> (R, Effects) {
    let mut effects = Effects::default();
    // The time is read inside: entering may have taken long.
    let now = services.clock.now();
    let access = AccessContext::of(&services.settings.current(), now);
    let mut keyspace = Keyspace::new(&services.store, now, access).of_slot(slot);
    keyspace.patience = Patience::Nobody;
    let mut visit = Visit { keyspace, random, effects: &mut effects, services, slot };
    let result = step(&mut visit);
    visit.keyspace.unlock();
    services.key_waiters.serve(&mut visit.keyspace);
    services.settle(slot, &mut visit.keyspace);
    drop(gate);
    (result, effects)
}

/// Runs `step` inside `gate` on the runner of this slot, with randomness of this seed.
fn visit_on_runner<G, R>(
    services: &Services,
    (slot, seed): (usize, u64),
    gate: G,
    step: impl FnOnce(&mut Visit<'_, '_>) -> R,
) -> R {
    let (result, mut effects) = visit(services, (slot, &mut Random::with_seed(seed)), gate, step);
    services.fan_out.deliver(&mut effects);
    result
}

/// Work that a runner may not have begun.
struct Given<W>(Arc<Mutex<Option<W>, { rank::RUNNERS_TASK }>>);

impl<W> Drop for Given<W> {
    fn drop(&mut self) {
        let work = self.0.lock().take();
        drop(work);
    }
}

/// Makes room for a step that may need memory; false if nothing may be evicted.
fn has_room(visit: &mut Visit<'_, '_>) -> bool {
    let services = visit.services;
    let settings = services.settings.current();
    eviction::make_room(&services.store, &settings, visit.random, &visit.keyspace.access)
}

fn lock(visit: &mut Visit<'_, '_>, database: usize, keys: &[&[u8]]) -> Result<(), HeldForLong> {
    let store = &visit.services.store;
    let shard = |key: &&[u8]| store.shard_of(database, store.key(key).hash);
    match keys {
        [] => Ok(()),
        [key] => visit.keyspace.lock_one_unless_held(shard(key)),
        keys => visit.keyspace.lock_many_unless_held(&mut keys.iter().map(shard).collect::<Vec<_>>()),
    }
}
