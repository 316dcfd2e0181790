//! Running the commands of one request: one after the other, with the waits of those that wait for others or for the disk.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use quartet_protocol::resp::{Output, OwnedArguments};
use tokio::time::Sleep;

use super::Visitor;
use super::attempt::{Attempt, Earlier, OnRunner, Part, Task, withdraw};
use super::permission::Permission;
use super::refused::Refused;
use super::reply::{REPLIES_LENGTH_MAX, Value};
use super::request::Encoding;
use crate::command::executor::{BATCH_LIMIT, Executor};
use crate::command::{BlockedCommand, Caller, Flow, HeldReply};
use crate::http::endpoint::{Context, Problem, on_disk};
use crate::store::Place;
use crate::wait::{Barrier, Lost};

/// How long the commands of a request may wait together before they are answered as if their own time were over: less than
/// proxies wait for a response.
const WAIT_MAX: Duration = Duration::from_secs(50);

/// The outcome of one command, or of one transaction.
pub(super) enum Outcome {
    /// The bytes of its reply.
    Reply(Vec<u8>),
    /// It did not run, or its reply is too long to be sent.
    Refused(Refused),
}

impl Outcome {
    /// The value to send, in this encoding.
    pub(super) fn value(&self, encoding: Encoding) -> Value<'_> {
        match self {
            Outcome::Refused(refused) => Value::error(refused.text()),
            Outcome::Reply(reply) => match Value::read(reply) {
                Some(value) if value.fits(encoding) => value,
                Some(_) => {
                    Value::error("ERR the reply is not UTF-8: ask for it with Upstash-Encoding: base64")
                }
                None => Value::error("ERR the reply is not well-formed"),
            },
        }
    }

    /// Bytes of the reply.
    pub(super) fn length(&self) -> usize {
        match self {
            Outcome::Reply(reply) => reply.len(),
            Outcome::Refused(_) => 0,
        }
    }
}

/// The commands of one request.  If the client leaves before they are done, this is dropped: waits end, and grants that nobody
/// was told of are withdrawn.
pub(super) struct Run {
    context: Context,
    executor: Executor,
    caller: Caller,
    permission: Permission,
    /// The attempt that a runner makes.
    on_runner: Option<OnRunner>,
    /// The command that waits for others.
    blocked: Option<Box<dyn BlockedCommand>>,
    /// How long all waits may take together, counted from the first one.
    wait_max: Duration,
    patience: Option<Pin<Box<Sleep>>>,
    ran: Vec<Ran>,
    /// Bytes of all replies.
    length: usize,
}

/// A command that ran, or was refused instead.
struct Ran {
    output: Output,
    /// The parts of the output that wait for the disk.
    held: Vec<HeldReply>,
    refused: Option<Refused>,
}

impl Run {
    pub(super) fn new(context: &Context, visitor: &Visitor, permission: Permission) -> Run {
        Run {
            context: context.clone(),
            executor: context.executor(),
            caller: Caller::new(None, visitor.address),
            permission,
            on_runner: None,
            blocked: None,
            wait_max: WAIT_MAX,
            patience: None,
            ran: Vec::new(),
            length: 0,
        }
    }

    /// Runs commands one after the other; other clients may run commands in between.
    ///
    /// # Errors
    /// If the server stops meanwhile.
    pub(super) async fn each(mut self, commands: &Arc<[OwnedArguments]>) -> Result<Vec<Outcome>, Problem> {
        for place in 0..commands.len() {
            if place % BATCH_LIMIT == BATCH_LIMIT - 1 {
                // Other requests of the thread have their turn.
                tokio::task::yield_now().await;
            }
            self.one(commands, place).await?;
        }
        self.settle().await
    }

    /// Runs commands that others see as one.  If one may not run, none does.
    ///
    /// # Errors
    /// If a command may not run, or the server stops meanwhile.
    pub(super) async fn together(mut self, commands: &Arc<[OwnedArguments]>) -> Result<Outcome, Refused> {
        let (services, slot) = (self.context.services(), self.context.slot());
        for command in commands.iter() {
            self.permission.check(command.as_arguments(), services, slot)?;
        }
        let attempt = self.run(Task { commands: Arc::clone(commands), part: Part::All }).await?;
        self.keep(attempt.output, attempt.held, attempt.flow);
        let mut outcomes = self.settle().await?;
        Ok(outcomes.pop().unwrap_or_else(|| Outcome::Refused(Refused::new("ERR there is no command"))))
    }

    async fn one(&mut self, commands: &Arc<[OwnedArguments]>, place: usize) -> Result<(), Problem> {
        if self.length > REPLIES_LENGTH_MAX {
            let text = format!(
                "ERR this command did not run: the replies before it are over {REPLIES_LENGTH_MAX} bytes already"
            );
            self.refuse(Refused::new(text));
            return Ok(());
        }
        let (services, slot) = (self.context.services(), self.context.slot());
        if let Err(refused) = self.permission.check(commands[place].as_arguments(), services, slot) {
            self.refuse(refused);
            return Ok(());
        }
        let task = Task { commands: Arc::clone(commands), part: Part::One(place) };
        let Attempt { flow, mut output, blocked, mut held, slowed, .. } = self.run(task).await?;
        if blocked.is_some() {
            self.blocked = blocked;
            self.wait(&mut output).await?;
            held.append(&mut self.executor.take_held());
        }
        self.keep(output, held, flow);
        if let Some(slowed) = slowed {
            self.context.wait_while_crowded(slowed).await;
        }
        Ok(())
    }

    /// Runs this, once nothing that it needs is held for long.
    async fn run(&mut self, task: Task) -> Result<Attempt, Problem> {
        let runners = self.context.runners().filter(|_| !task.is_over_soon(self.context.services())).cloned();
        let (mut earlier, mut place) = (Earlier::default(), Place::default());
        loop {
            let attempt = match &runners {
                Some(runners) => {
                    let on_runner = task.attempt_on(runners, &self.caller, earlier);
                    // No matter whether the server stops: a client learns what its command did.
                    let made = self.on_runner.insert(on_runner).made().await;
                    self.on_runner = None;
                    made.ok_or_else(Problem::stopping)?
                }
                None => {
                    let _turn = self.context.turn();
                    task.attempt(&mut self.executor, &mut self.caller, earlier)
                }
            };
            let Flow::HeldUp { seen } = attempt.flow else { return Ok(attempt) };
            earlier = attempt.earlier;
            self.context.wait_for_release(seen, &mut place).await?;
        }
    }

    /// Waits for the reply of the command that waits, for as long as the request may still wait.
    async fn wait(&mut self, output: &mut Output) -> Result<(), Problem> {
        let Run { context, executor, blocked, wait_max, patience, .. } = self;
        let Some(command) = blocked else { return Ok(()) };
        let patience = patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(*wait_max)));
        let answered = poll_fn(|task| match executor.poll_blocked(&mut **command, task.waker(), output) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => patience.as_mut().poll(task).map(|()| false),
        });
        let is_answered = context.wait_for(answered).await?;
        if !is_answered {
            let cut = poll_fn(|task| {
                let _turn = context.turn();
                executor.poll_cut_short(&mut **command, task.waker())
            });
            if context.wait_for(cut).await? {
                command.write_timeout(output);
            } else {
                let answered = poll_fn(|task| executor.poll_blocked(&mut **command, task.waker(), output));
                context.wait_for(answered).await?;
            }
        }
        self.blocked = None;
        Ok(())
    }

    fn refuse(&mut self, refused: Refused) {
        self.ran.push(Ran { output: Output::new(), held: Vec::new(), refused: Some(refused) });
    }

    /// Keeps a reply until all are sent.
    fn keep(&mut self, output: Output, held: Vec<HeldReply>, flow: Flow) {
        let refused = match flow {
            Flow::Shutdown => Some(Refused::new(
                "ERR SHUTDOWN is not obeyed over HTTP: send it by the Redis protocol, or SIGTERM",
            )),
            _ if output.len() > REPLIES_LENGTH_MAX => Some(Refused::new(format!(
                "ERR the command ran, but its reply of {} bytes is over {REPLIES_LENGTH_MAX}: read long values with \
                 GET /cache/KEY",
                output.len()
            ))),
            _ => None,
        };
        self.length += if refused.is_none() { output.len() } else { 0 };
        self.ran.push(Ran { output, held, refused });
    }

    /// Waits until the disk has what the replies promise, and returns them as they are true then.
    async fn settle(mut self) -> Result<Vec<Outcome>, Problem> {
        let held = self.ran.iter().flat_map(|ran| &ran.held);
        let barriers: Vec<Barrier> = held.map(|held| held.barrier.clone()).collect();
        let mut kept = Vec::with_capacity(barriers.len());
        for barrier in &barriers {
            kept.push(on_disk(barrier).await.map_err(|_| Lost));
        }
        // The last reply comes first: it may have changed the grants of earlier ones.
        let held = self.ran.iter_mut().flat_map(|ran| &mut ran.held).rev();
        for (held, _) in held.zip(kept.iter().rev()).filter(|(_, outcome)| outcome.is_err()) {
            self.executor.withdraw_held(held);
            held.promise = None;
        }
        let mut kept = kept.into_iter();
        let mut outcomes = Vec::with_capacity(self.ran.len());
        for place in 0..self.ran.len() {
            while !self.ran[place].held.is_empty() {
                let held = self.ran[place].held.remove(0);
                self.replace(place, held, kept.next().unwrap_or(Err(Lost)));
            }
            let Ran { output, refused, .. } = std::mem::replace(
                &mut self.ran[place],
                Ran { output: Output::new(), held: Vec::new(), refused: None },
            );
            outcomes.push(match refused {
                Some(refused) => Outcome::Refused(refused),
                None => Outcome::Reply(output.parts().collect::<Vec<_>>().concat()),
            });
        }
        Ok(outcomes)
    }

    /// Writes a reply anew where time or the disk has made it untrue, and moves those behind it.
    fn replace(&mut self, place: usize, held: HeldReply, outcome: Result<(), Lost>) {
        if outcome.is_ok() && held.promise.is_none() {
            return;
        }
        let (start, end) = (held.start, held.end);
        let mut anew = Output::new();
        self.executor.write_held(held, outcome, &mut anew);
        let length = anew.len();
        let ran = &mut self.ran[place];
        let mut before = ran.output.split_to(start);
        drop(ran.output.split_to(end - start));
        before.append(&mut anew);
        before.append(&mut ran.output);
        *ran.output = before;
        for later in &mut ran.held {
            later.start = later.start - end + start + length;
            later.end = later.end - end + start + length;
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _turn = self.context.turn();
        let mut held: Vec<HeldReply> = self.ran.drain(..).flat_map(|ran| ran.held).collect();
        if let Some(on_runner) = self.on_runner.take() {
            return on_runner.give_up(held, &mut self.executor);
        }
        if let Some(command) = self.blocked.take() {
            self.executor.cancel(command);
        }
        withdraw(&mut held, &mut self.executor);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::task::Waker;

    use futures_util::FutureExt;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::clock::{Clock, Now};
    use crate::command::{Continuation, Promise, Services};
    use crate::delivery::Effects;
    use crate::random::Random;
    use crate::server;
    use crate::settings::Settings;
    use crate::store::Keyspace;
    use crate::wait::{Barrier, Durable, Position};

    fn command(words: &[&str]) -> OwnedArguments {
        OwnedArguments::from_slices(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>())
    }

    fn run(context: &Context) -> Run {
        let visitor = Visitor { address: ([127, 0, 0, 1], 50_000).into(), is_operator: false };
        Run::new(context, &visitor, Permission { only_reads: false, is_operator: false })
    }

    fn context(stopping: &CancellationToken) -> Context {
        let services = Arc::new(server::services(Settings::default(), Clock::machine(), 7));
        Context::new(services, 0, Random::with_seed(7), stopping.clone(), None)
    }

    /// A lock that somebody else holds, asked for with the longest patience.
    async fn ask_in_vain(context: &Context, wait: Duration) -> (Run, Result<(), Problem>) {
        let hold = command(&["LOCK.ACQUIRE", "job", "holder", "TTL", "60000"]);
        run(context).each(&[hold].into()).await.expect("it is free");
        let ask = command(&["LOCK.ACQUIRE", "job", "waiter", "TTL", "60000", "WAIT", "60000"]);
        let mut waiting = run(context);
        waiting.wait_max = wait;
        let result = waiting.one(&[ask].into(), 0).await;
        (waiting, result)
    }

    #[tokio::test]
    async fn a_wait_ends_when_its_time_at_the_door_is_over() {
        let context = context(&CancellationToken::new());
        let (waiting, result) = ask_in_vain(&context, Duration::ZERO).await;
        result.expect("it is answered");
        assert!(waiting.blocked.is_none());
        let outcomes = waiting.settle().await.expect("nothing waits for the disk");
        assert_eq!(outcomes[0].value(Encoding::Text), Value::Null);
    }

    /// A promise that notes when it is withdrawn, on a disk that never has it.
    struct Noting(u32, Sender<u32>);

    impl Promise for Noting {
        fn write(&mut self, _: &Services, _: Now, _: &mut Output, _: &mut Effects) {}

        fn withdraw(&mut self, _: &Services, _: Now, _: &mut Effects) {
            self.1.send(self.0).expect("the test receives it");
        }
    }

    impl Durable for Noting {
        fn poll_synced(&self, _: Position, _: &Waker) -> Poll<Result<(), Lost>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn the_last_promise_is_withdrawn_first() {
        let (sender, withdrawn) = channel();
        let promise = |number| {
            let noting = || Noting(number, sender.clone());
            let barrier = Barrier { journal: Arc::new(noting()), position: Position(1) };
            HeldReply { promise: Some(Box::new(noting())), ..HeldReply::opened(&Output::new(), barrier) }
        };
        let mut run = run(&context(&CancellationToken::new()));
        for held in [vec![promise(1), promise(2)], vec![promise(3)]] {
            run.ran.push(Ran { output: Output::new(), held, refused: None });
        }
        drop(run);
        assert_eq!(withdrawn.try_iter().collect::<Vec<_>>(), [3, 2, 1]);
    }

    /// A command that never has a reply.  Whenever its wait is ended, somebody waits for what the thread holds meanwhile.
    struct Holding(Sender<bool>);

    impl BlockedCommand for Holding {
        fn poll(&mut self, _: &Waker, _: &mut Output, _: &mut Continuation) -> Poll<()> {
            Poll::Pending
        }

        fn write_timeout(&self, _: &mut Output) {}

        fn cancel(&self, services: &Services, _: &mut Keyspace<'_>, _: &mut Effects) {
            services.store.holds().note_turn(0);
            self.0.send(services.store.holds().has_turns()).expect("the test receives it");
        }
    }

    #[tokio::test]
    async fn the_end_of_a_wait_is_a_turn_that_ends() {
        let (sender, noted) = channel();
        let context = context(&CancellationToken::new());
        let holds = context.services().store.holds();
        let mut leaving = run(&context);
        leaving.blocked = Some(Box::new(Holding(sender.clone())));
        drop(leaving);
        assert!(!holds.has_turns(), "its client has left");
        let mut waiting = run(&context);
        waiting.wait_max = Duration::ZERO;
        waiting.blocked = Some(Box::new(Holding(sender)));
        waiting.wait(&mut Output::new()).await.expect("it is cut short");
        assert!(waiting.blocked.is_none() && !holds.has_turns());
        assert_eq!(noted.try_iter().collect::<Vec<_>>(), [true, true]);
    }

    #[tokio::test]
    async fn the_waits_of_a_request_have_one_time_together() {
        let context = context(&CancellationToken::new());
        let (mut waiting, _) = ask_in_vain(&context, Duration::ZERO).await;
        waiting.wait_max = WAIT_MAX;
        let again = command(&["LOCK.ACQUIRE", "job", "another", "TTL", "60000", "WAIT", "60000"]);
        waiting.one(&[again].into(), 0).now_or_never().expect("no time is left").expect("it is answered");
        let outcomes = waiting.settle().await.expect("nothing waits for the disk");
        assert_eq!(outcomes.iter().filter(|it| it.value(Encoding::Text) == Value::Null).count(), 2);
    }

    #[tokio::test]
    async fn a_wait_ends_when_the_server_stops() {
        let stopping = CancellationToken::new();
        stopping.cancel();
        let (waiting, result) = ask_in_vain(&context(&stopping), WAIT_MAX).await;
        assert_eq!(result.map_err(|problem| problem.kind().slug), Err("unavailable"));
        assert!(waiting.blocked.is_some(), "dropping it ends the wait");
    }
}
