//! The executor runs commands: look up, check, lock, run, measure, unlock.
//!
//! An [`Executor`] belongs to one thread.  It takes requests in batches, so that the clock is read, the gate entered and
//! clients woken once for many commands, and so that the memory of all keys of a batch is on its way before the first
//! command needs it.  It runs commands for any [`Caller`]; only commands about a connection need the connection's
//! [`Client`] too.
//!
//! | entry | runs |
//! |---|---|
//! | [`Executor::run`] | one command of a caller that is no connection |
//! | [`Executor::run_for`] and [`Executor::run_batch`] | one command, or a batch of them, of a connection |
//! | [`Executor::run_transaction`] | commands that others see as one, without MULTI |
//! | [`Call::execute`](super::Call::execute) | a command inside another one, under the locks that are held already |
//! | [`Queue::run`] | the queue of EXEC, likewise |

mod batch;
mod housekeeping;
mod instrumentation;
mod lookup;
mod nested;
mod transaction;
pub mod unknown;

use std::sync::Arc;
use std::task::{Poll, Waker, ready};

use quartet_protocol::buffer::Buffer;
use quartet_protocol::resp::{Arguments, Batch, Output, OwnedArguments};
use smallvec::SmallVec;

use super::{BlockedCommand, Caller, Client, Continuation, Flow, HeldReply, Services, SoFar};
use crate::clock::Now;
use crate::delivery::{Effects, Slowed};
use crate::random::Random;
use crate::refusal::Refusal;
use crate::settings::{Settings, Snapshot};
use crate::store::eviction;
use crate::store::{AccessContext, Keyspace, Place};
use crate::wait::Lost;
use batch::BatchExecutor;

pub use nested::{Executed, Inside};
pub use transaction::{Queue, discarded};

/// Requests taken together.  More would not hide more latency and would let one client hold the thread longer.
pub const BATCH_LIMIT: usize = 32;

/// Replies of so many bytes are handed out before more requests of a connection are run, so that a pipeline does not have all its
/// replies in memory at once.
pub const OUTPUT_MAX: usize = 1024 * 1024;

/// One thread's means to run commands.
pub struct Executor {
    services: Arc<Services>,
    workspace: Workspace,
    /// The number of the worker whose share of active expiry it has.
    share: usize,
    /// Where the next step of active expiry begins.
    expiry_cursor: usize,
    /// Ticks since ended subscriptions were looked for.
    ticks: u32,
    eviction: eviction::Housekeeping,
}

/// The parts of an executor that its commands work with.
struct Workspace {
    /// The number of the thread at the gate and in the metrics.
    slot: usize,
    random: Random,
    effects: Effects,
    continuation: Continuation,
    settings: Snapshot,
}

/// What a conversation works with that publishes and subscribes without commands.  It takes no lock of the store.
pub struct Publisher<'e> {
    /// What all threads share.
    pub services: &'e Arc<Services>,
    /// The settings as they are now.
    pub settings: &'e Settings,
    /// The effects of the batch: to be delivered at its end.
    pub effects: &'e mut Effects,
}

/// How far a batch came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ran {
    /// Requests done; fewer than the batch holds only if `flow` is not [`Flow::Continue`], the output has [`OUTPUT_MAX`] bytes, or the
    /// next one [has to wait](Executor::has_to_wait).
    pub done: usize,
    /// What becomes of the connection.
    pub flow: Flow,
}

impl Executor {
    /// The executor of thread number `slot`.
    pub fn new(services: Arc<Services>, slot: usize, random: Random) -> Executor {
        let workspace = Workspace {
            slot,
            random,
            effects: Effects::default(),
            continuation: Continuation::default(),
            settings: services.settings.snapshot(),
        };
        let eviction = eviction::Housekeeping::default();
        Executor { services, workspace, share: slot, expiry_cursor: 0, ticks: 0, eviction }
    }

    /// The same for a thread that does a worker's share of expiry.
    pub fn with_share(self, share: usize) -> Executor {
        Executor { share, ..self }
    }

    /// What all threads share.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// The settings as they are now.
    pub fn settings(&mut self) -> &Settings {
        self.workspace.settings.refresh(&self.services.settings);
        &self.workspace.settings
    }

    /// The thread's number.
    pub fn slot(&self) -> usize {
        self.workspace.slot
    }

    /// What a conversation works with that publishes and subscribes without commands.
    pub fn publisher(&mut self) -> Publisher<'_> {
        let Executor { services, workspace, .. } = self;
        workspace.settings.refresh(&services.settings);
        Publisher { services, settings: &workspace.settings, effects: &mut workspace.effects }
    }

    /// Says that the turn of a connection begins.
    pub fn begin_turn(&mut self) {
        self.workspace.effects.begin_turn();
    }

    /// Whether others should have their turns before more is run for the connection; see [`Effects::is_turn_over`].
    pub fn is_turn_over(&self) -> bool {
        self.workspace.effects.is_turn_over()
    }

    /// The pause of the connection before more is run for it, if it should have one; see [`Effects::slow_down`].
    pub fn slowed(&self) -> Option<Slowed> {
        let crowd = self.workspace.effects.slowed_by()?;
        Some(Slowed::new(crowd, self.services.clock.now()))
    }

    /// Says that the connection has paused for as long as it may; see [`Effects::press_on`].
    pub fn press_on(&mut self) {
        self.workspace.effects.press_on();
    }

    /// Counts bytes that came from a client.
    pub fn count_received(&self, bytes: usize) {
        self.services.metrics.thread(self.workspace.slot).bytes_in.add(bytes as u64);
    }

    /// Counts bytes that a client's socket has taken.
    pub fn count_sent(&self, bytes: usize) {
        self.services.metrics.thread(self.workspace.slot).bytes_out.add(bytes as u64);
    }

    /// Runs one request of a caller that is no connection, and writes its one reply in the caller's version of the
    /// protocol.  A command that works on a connection is refused.
    ///
    /// The thread must not be inside the gate.  [`Flow::Wait`] comes only to a caller that may block: the reply is then
    /// that of [`Executor::take_blocked`].  Replies that wait for the disk are found by [`Executor::take_held`].  After
    /// [`Flow::HeldUp`] the request is run again later.
    pub fn run(&mut self, caller: &mut Caller, arguments: Arguments<'_>, output: &mut Output) -> Flow {
        output.set_version(caller.version);
        self.run_one(caller, None, arguments, output)
    }

    /// Runs one request of a connection.
    pub fn run_for(
        &mut self,
        caller: &mut Caller,
        client: &mut Client,
        arguments: Arguments<'_>,
        output: &mut Output,
    ) -> Flow {
        self.run_one(caller, Some(client), arguments, output)
    }

    /// The next request was held up so many times, and has found something so far.
    pub fn try_again(&mut self, attempts: u32, so_far: Option<SoFar>) {
        (self.workspace.continuation.attempts, self.workspace.continuation.so_far) = (attempts, so_far);
    }

    /// How often the last request was held up, and what it has found so far: right after [`Flow::HeldUp`].
    pub fn take_attempts(&mut self) -> (u32, Option<SoFar>) {
        let Continuation { attempts, so_far, .. } = &mut self.workspace.continuation;
        (std::mem::take(attempts) + 1, so_far.take())
    }

    #[inline]
    fn run_one(
        &mut self,
        caller: &mut Caller,
        client: Option<&mut Client>,
        arguments: Arguments<'_>,
        output: &mut Output,
    ) -> Flow {
        let Executor { services, workspace, .. } = self;
        let found = lookup::find(services, caller.database, arguments);
        let (gate, mut keyspace) = batch::enter(services, workspace, caller.leaves_traces);
        let mut batch =
            BatchExecutor::new(services, (gate, &mut keyspace), workspace, (caller, client), output);
        batch.run(arguments, &found);
        batch.finish()
    }

    /// Whether a request publishes to a crowded stream, which has to write first: the request runs later.
    #[inline]
    pub fn has_to_wait(&mut self, caller: &Caller, client: &Client, arguments: Arguments<'_>) -> bool {
        let Executor { services, workspace, .. } = self;
        if !services.streams.are_crowded() {
            return false;
        }
        let found = lookup::find(services, caller.database, arguments);
        batch::has_to_wait(services, (caller, Some(client)), found.row, arguments, &mut workspace.effects)
    }

    /// Runs the requests of a connection's batch in order.  Others see each of them whole.
    pub fn run_batch(
        &mut self,
        caller: &mut Caller,
        client: &mut Client,
        requests: &Batch,
        buffer: &[u8],
        output: &mut Output,
    ) -> Ran {
        if requests.len() == 1 {
            if self.has_to_wait(caller, client, requests.arguments(0, buffer)) {
                return Ran { done: 0, flow: Flow::Continue };
            }
            let flow = self.run_one(caller, Some(client), requests.arguments(0, buffer), output);
            return Ran { done: usize::from(!flow.is_held_up()), flow };
        }
        let Executor { services, workspace, .. } = self;
        let mut found = SmallVec::new();
        lookup::find_batch(services, caller.database, requests, buffer, &mut found);
        let (gate, mut keyspace) = batch::enter(services, workspace, caller.leaves_traces);
        let mut batch =
            BatchExecutor::new(services, (gate, &mut keyspace), workspace, (caller, Some(client)), output);
        let (mut done, mut asked_for) = (0, 0);
        let may_have_to_wait = services.streams.are_crowded();
        while done < requests.len() && batch.flow() == Flow::Continue && batch.output_length() < OUTPUT_MAX {
            let arguments = requests.arguments(done, buffer);
            if may_have_to_wait && batch.has_to_wait(arguments, &found[done]) {
                break;
            }
            if done == asked_for {
                asked_for = lookup::prefetch_parts(&services.store, requests, buffer, &found, done);
            }
            batch.run(arguments, &found[done]);
            done += usize::from(!batch.flow().is_held_up());
        }
        Ran { done, flow: batch.finish() }
    }

    /// Runs commands that others see as one, as EXEC does, for a caller that is no connection; writes an array of their
    /// replies.  If one of them may not be queued, none runs, and the one reply is the error.  After [`Flow::HeldUp`] they are
    /// run again later.
    pub fn run_transaction(
        &mut self,
        caller: &mut Caller,
        requests: &[OwnedArguments],
        output: &mut Output,
    ) -> Flow {
        output.set_version(caller.version);
        let Executor { services, workspace, .. } = self;
        let (gate, mut keyspace) = batch::enter(services, workspace, caller.leaves_traces);
        let mut batch =
            BatchExecutor::new(services, (gate, &mut keyspace), workspace, (caller, None), output);
        batch.run_transaction(requests);
        batch.finish()
    }

    /// Takes the memory of bytes that are sent, for other ones.
    pub fn give_back(&mut self, buffer: Buffer) {
        self.workspace.effects.give_back(buffer);
    }

    /// The command that waits, right after [`Flow::Wait`].
    pub fn take_blocked(&mut self) -> Option<Box<dyn BlockedCommand>> {
        self.workspace.continuation.blocked.take()
    }

    /// Whether replies that were written since [`Executor::take_held`] wait for the disk.
    pub fn has_held(&self) -> bool {
        !self.workspace.continuation.held.is_empty()
    }

    /// The replies that were written since this was last asked and wait for the disk, in their order.
    pub fn take_held(&mut self) -> Vec<HeldReply> {
        std::mem::take(&mut self.workspace.continuation.held)
    }

    /// Forgets replies that wait for the disk and were cut off behind the first `length` bytes of the output.
    pub fn forget_held(&mut self, length: usize) {
        self.workspace.continuation.forget_held(length);
    }

    /// Appends to `buffer` a reply whose wait for the disk is over, as it is true now.
    pub fn write_held(&mut self, held: HeldReply, outcome: Result<(), Lost>, buffer: &mut Buffer) {
        let HeldReply { promise, version, .. } = held;
        let now = self.services.clock.now();
        let mut output = Output::over(std::mem::take(buffer), version);
        match (outcome, promise) {
            (Ok(()), Some(mut promise)) => {
                promise.write(&self.services, now, &mut output, &mut self.workspace.effects)
            }
            (Ok(()), None) => debug_assert!(false, "a reply that stays true is not written anew"),
            (Err(Lost), promise) => {
                output.error(Refusal::NOT_KEPT.text());
                if let Some(mut promise) = promise {
                    promise.withdraw(&self.services, now, &mut self.workspace.effects);
                }
            }
        }
        *buffer = output.into_buffer();
        self.services.fan_out.deliver(&mut self.workspace.effects);
    }

    /// Takes back the promise of a reply that its client will not get in time.
    pub fn withdraw_held(&mut self, held: &mut HeldReply) {
        if let Some(promise) = &mut held.promise {
            promise.withdraw(&self.services, self.services.clock.now(), &mut self.workspace.effects);
            self.services.fan_out.deliver(&mut self.workspace.effects);
        }
    }

    /// Ready once a command that waits has written its reply; until then `waker` is woken when it may have one.
    pub fn poll_blocked(
        &mut self,
        blocked: &mut dyn BlockedCommand,
        waker: &Waker,
        output: &mut Output,
    ) -> Poll<()> {
        blocked.poll(waker, output, &mut self.workspace.continuation)
    }

    /// Ends the waiting of a command: later, if somebody keeps this thread from the store for long.
    pub fn cancel(&mut self, blocked: Box<dyn BlockedCommand>) {
        if self.visit(|services, keyspace, effects| blocked.cancel(services, keyspace, effects)).is_none() {
            self.services.postponed.lock().push(blocked);
        }
    }

    /// Ends the waiting of a command without an answer; false if its answer is on its way, which is then to be polled for.  While
    /// somebody keeps this thread from the store for long, `waker` is woken when that may be over.
    pub fn poll_cut_short(&mut self, blocked: &mut dyn BlockedCommand, waker: &Waker) -> Poll<bool> {
        loop {
            let seen = self.services.store.holds().changes();
            let cut =
                self.visit(|services, keyspace, effects| blocked.cut_short(services, keyspace, effects));
            if let Some(is_cut) = cut {
                return Poll::Ready(is_cut);
            }
            ready!(self.services.store.holds().park(seen, &mut Place::default(), waker));
        }
    }

    /// Lets `step` work on the store within the gate, without a command; none if somebody keeps this thread out for long.
    fn visit<R>(&mut self, step: impl FnOnce(&Services, &mut Keyspace<'_>, &mut Effects) -> R) -> Option<R> {
        let Executor { services, workspace, .. } = self;
        let (gate, mut keyspace) = batch::enter(services, workspace, true);
        let gate = gate.ok()?;
        let result = step(services, &mut keyspace, &mut workspace.effects);
        services.key_waiters.serve(&mut keyspace);
        services.settle(workspace.slot, &mut keyspace);
        keyspace.free_discarded();
        drop(gate);
        services.fan_out.deliver(&mut workspace.effects);
        Some(result)
    }

    /// Takes the looks at shards that commands have left which were held up, if these are free now.
    #[inline]
    pub fn take_looks(&mut self) {
        if self.services.store.has_looks() {
            self.visit(|_, keyspace, _| keyspace.take_looks());
        }
    }

    /// Ends the transaction of a client that has gone, and all that it holds in services.  Somebody who keeps this thread from the
    /// store for long is not waited for.
    pub fn disconnect(&mut self, client: &mut Client) {
        let mut transaction = client.take_transaction();
        if transaction.is_some() {
            self.visit(|services, keyspace, _| {
                transaction.take().map(|transaction| services.key_waiters.end_watches(*transaction, keyspace))
            });
        }
        if let Some(transaction) = transaction {
            self.services.key_waiters.postpone_watches(*transaction);
        }
        let Executor { services, workspace, .. } = self;
        let now = services.clock.now();
        for service in services.rows {
            (service.disconnect)(services, client, now, &mut workspace.effects);
        }
        services.fan_out.deliver(&mut workspace.effects);
        services.clients.disconnect(client.shared.id, now.millis());
    }
}

/// How the commands of a caller touch keys at this time.
fn access(settings: &Settings, now: Now, leaves_traces: bool) -> AccessContext {
    let access = AccessContext::of(settings, now);
    let recency = if leaves_traces { access.recency } else { access.recency.without_traces() };
    AccessContext { recency, ..access }
}
