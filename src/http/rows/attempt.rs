//! One attempt to run what a request asks for, on the thread that it has come to or on a worker.
//!
//! The connections of an HTTP thread wait while it runs a command.  So it runs only those that are over soon, and gives all others to a
//! worker, whose second thread takes the clients over that would have to wait.

use std::sync::Arc;

use quartet_protocol::resp::{Output, OwnedArguments};
use tokio::sync::oneshot;

use crate::command::executor::{BATCH_LIMIT, Executor};
use crate::command::{BlockedCommand, Caller, Flow, HeldReply, Services, SoFar, Workers};
use crate::delivery::Slowed;

/// What is to be run of the commands of a request.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) commands: Arc<[OwnedArguments]>,
    pub(super) part: Part,
}

/// A part of the commands of a request.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// The command at this place.
    One(usize),
    /// All of them, which others see as one.
    Together,
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

/// An attempt that a worker makes.
pub(super) struct Elsewhere(oneshot::Receiver<Attempt>);

impl Work {
    /// Whether it is over soon, however large the values of its keys are.
    pub(super) fn is_over_soon(&self, services: &Services) -> bool {
        let is_over_soon = |command: &OwnedArguments| {
            let command = command.as_arguments();
            let row = services.commands.resolve(command.at(0), command.get(1));
            row.is_none_or(|row| row.is_over_soon(command.len()))
        };
        match self.part {
            Part::One(place) => is_over_soon(&self.commands[place]),
            Part::Together => self.commands.len() <= BATCH_LIMIT && self.commands.iter().all(is_over_soon),
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
            Part::Together => executor.run_transaction(caller, &self.commands, &mut output),
        };
        let mut earlier = Earlier::default();
        if flow.is_held_up() {
            (earlier.attempts, earlier.so_far) = executor.take_attempts();
        }
        let (blocked, held) = (executor.take_blocked(), executor.take_held());
        Attempt { flow, output, blocked, held, slowed: executor.slowed(), earlier }
    }

    /// Has a worker make an attempt.
    pub(super) fn attempt_elsewhere(
        &self,
        workers: &dyn Workers,
        caller: &Caller,
        earlier: Earlier,
    ) -> Elsewhere {
        let (work, mut caller) = (self.clone(), caller.clone());
        let (answer, attempt) = oneshot::channel();
        workers.give_work(Box::new(move |executor| {
            if answer.is_closed() {
                // The client has left before.
                return;
            }
            let attempt = work.attempt(executor, &mut caller, earlier);
            if let Err(unheard) = answer.send(attempt) {
                unheard.take_back(executor);
            }
        }));
        Elsewhere(attempt)
    }
}

impl Attempt {
    /// Takes back what would only be of use to a client that has left: its place among those who wait, and grants that it does not
    /// know of.
    fn take_back(mut self, executor: &mut Executor) {
        if let Some(blocked) = self.blocked {
            executor.cancel(blocked);
        }
        self.held.iter_mut().rev().for_each(|held| executor.withdraw_held(held));
    }
}

impl Elsewhere {
    /// The attempt, once it was made; none if the worker has ended before.
    pub(super) async fn made(&mut self) -> Option<Attempt> {
        (&mut self.0).await.ok()
    }

    /// The client has left: an attempt that was not begun is not made, and one that was made is taken back.
    pub(super) fn give_up(mut self, executor: &mut Executor) {
        self.0.close();
        if let Ok(made) = self.0.try_recv() {
            made.take_back(executor);
        }
    }
}
