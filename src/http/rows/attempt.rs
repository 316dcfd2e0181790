//! One attempt to run what a request asks for, on the thread that it has come to or on a runner.
//!
//! The connections of an HTTP thread wait while it runs a command.  So it runs only those that are over soon, and gives all others to a
//! runner.

use std::sync::Arc;

use quartet_protocol::resp::{Output, OwnedArguments};
use tokio::sync::oneshot;

use crate::command::executor::{BATCH_LIMIT, Executor};
use crate::command::{BlockedCommand, Caller, Flags, Flow, HeldReply, Services, SoFar};
use crate::delivery::Slowed;
use crate::http::endpoint::runners::Runners;
use crate::lock_order::{Mutex, rank};

/// The commands of a request, and which of them an attempt runs.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) commands: Arc<[OwnedArguments]>,
    pub(super) part: Part,
}

/// A part of the commands of a request.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// The command at this place.
    One(usize),
    /// All of them, which others see as one.
    All,
}

/// What attempts before have left, all of which were held up.
#[derive(Default)]
pub(super) struct Earlier {
    attempts: u32,
    so_far: Option<SoFar>,
}

/// What an attempt has come to.
pub(super) struct Attempt {
    pub(super) flow: Flow,
    pub(super) output: Output,
    /// The command that waits for its reply.
    pub(super) blocked: Option<Box<dyn BlockedCommand>>,
    /// The parts of the output that wait for the disk.
    pub(super) held: Vec<HeldReply>,
    /// The pause that the request should have.
    pub(super) slowed: Option<Slowed>,
    /// What the next attempt needs if this one was held up.
    pub(super) earlier: Earlier,
}

/// An attempt that a runner makes.
pub(super) struct OnRunner {
    made: oneshot::Receiver<Attempt>,
    stage: Arc<Mutex<Stage, { rank::RUNNERS_TASK }>>,
}

/// How far a runner has come with an attempt.
enum Stage {
    /// It was not begun.
    Given(Box<Given>),
    /// It was begun.
    Begun,
    /// It was begun, and the client has left since: these promises of commands before it are to be withdrawn after its own.
    Left(Vec<HeldReply>),
}

/// What a runner needs for an attempt.
struct Given {
    task: Task,
    caller: Caller,
    earlier: Earlier,
}

impl Task {
    /// Whether it is over soon, however large the values of its keys are.
    pub(super) fn is_over_soon(&self, services: &Services) -> bool {
        // Within a transaction such a command needs the whole store.
        let never = if matches!(self.part, Part::All) { Flags::SELF_LOCKING } else { Flags::empty() };
        let is_over_soon = |command: &OwnedArguments| {
            let command = command.as_arguments();
            let row = services.commands.resolve(command.at(0), command.get(1));
            row.is_none_or(|row| row.is_over_soon(command.len()) && !row.command.flags.intersects(never))
        };
        match self.part {
            Part::One(place) => is_over_soon(&self.commands[place]),
            Part::All => self.commands.len() <= BATCH_LIMIT && self.commands.iter().all(is_over_soon),
        }
    }

    /// Makes an attempt on this thread, which must not be inside the gate.
    pub(super) fn attempt(
        &self,
        executor: &mut Executor,
        caller: &mut Caller,
        Earlier { attempts, so_far }: Earlier,
    ) -> Attempt {
        executor.begin_turn();
        executor.try_again(attempts, so_far);
        let mut output = Output::new();
        let flow = match self.part {
            Part::One(place) => executor.run(caller, self.commands[place].as_arguments(), &mut output),
            Part::All => executor.run_transaction(caller, &self.commands, &mut output),
        };
        let mut earlier = Earlier::default();
        if flow.is_held_up() {
            (earlier.attempts, earlier.so_far) = executor.take_attempts();
        }
        let (blocked, held) = (executor.take_blocked(), executor.take_held());
        Attempt { flow, output, blocked, held, slowed: executor.slowed(), earlier }
    }

    /// Has a runner make an attempt.
    pub(super) fn attempt_on(&self, runners: &Runners, caller: &Caller, earlier: Earlier) -> OnRunner {
        let given = Given { task: self.clone(), caller: caller.clone(), earlier };
        let stage = Arc::new(Mutex::new(Stage::Given(Box::new(given))));
        let (answer, made) = oneshot::channel();
        let shared = Arc::clone(&stage);
        runners.give(Box::new(move |executor| {
            let Stage::Given(given) = std::mem::replace(&mut *shared.lock(), Stage::Begun) else { return };
            let Given { task, mut caller, earlier } = *given;
            let attempt = task.attempt(executor, &mut caller, earlier);
            let mut stage = shared.lock();
            let unheard = answer.send(attempt).err();
            let left = std::mem::replace(&mut *stage, Stage::Begun);
            drop(stage);
            if let Some(unheard) = unheard {
                unheard.take_back(executor);
            }
            if let Stage::Left(mut held) = left {
                withdraw(&mut held, executor);
            }
        }));
        OnRunner { made, stage }
    }
}

impl Attempt {
    /// Takes back what would only be of use to a client that has left: its place among those who wait, and grants that it does not
    /// know of.
    fn take_back(mut self, executor: &mut Executor) {
        if let Some(blocked) = self.blocked {
            executor.cancel(blocked);
        }
        withdraw(&mut self.held, executor);
    }
}

/// Withdraws promises, the last first: a retry of a request goes before the request.
pub(super) fn withdraw(held: &mut [HeldReply], executor: &mut Executor) {
    held.iter_mut().rev().for_each(|held| executor.withdraw_held(held));
}

impl OnRunner {
    /// The attempt, once it was made; none if the runners have ended before.
    pub(super) async fn made(&mut self) -> Option<Attempt> {
        (&mut self.made).await.ok()
    }

    /// The client has left: an attempt that was not begun is not made, and one that was made is taken back.  Then the promises of
    /// the commands before it are withdrawn, by the runner if it is still at work.
    pub(super) fn give_up(mut self, mut held: Vec<HeldReply>, executor: &mut Executor) {
        let mut stage = self.stage.lock();
        self.made.close();
        let made = self.made.try_recv().ok();
        if made.is_none() && matches!(*stage, Stage::Begun) {
            *stage = Stage::Left(held);
            return;
        }
        // An attempt that was not begun is dropped here, and the memory of the request with it.
        let given = std::mem::replace(&mut *stage, Stage::Begun);
        drop(stage);
        drop(given);
        if let Some(made) = made {
            made.take_back(executor);
        }
        withdraw(&mut held, executor);
    }
}
