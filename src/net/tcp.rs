//! One connection: moves bytes between a socket and a session.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::task::{Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use quartet_protocol::buffer::Buffer;

use super::thread_state::ThreadState;
use crate::command::Flow;
use crate::command::executor::Executor;
use crate::delivery::Slowed;
use crate::session::{Scratch, Session, Unsent};

/// Parts of the output given to the system in one call.
const PARTS_PER_WRITE: usize = 16;

/// Reads in a row before other connections of the worker get their turn.
const READS_PER_TURN: usize = 4;

/// Steps in a row: a receiver of messages may write more than a publisher reads, so that it can catch up.
const STEPS_PER_TURN: usize = 4 * READS_PER_TURN;

/// How long a connection that has ended reads, and drops, the input that its client still sends.
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);

/// A connection, which reads, runs and writes as far as it can in each of its turns.
pub(super) struct Connection {
    stream: TcpStream,
    /// The readiness that the system has reported of the socket and no call has contradicted yet.
    readable: bool,
    writable: bool,
    /// The peer has closed its side.  The system reports nothing more, and the input ends there.
    hung_up: bool,
    /// Input that was read before the connection came here.
    early: Bytes,
    session: Session,
    /// Reads of this turn.
    reads: usize,
    /// Leads to another turn.
    waker: Waker,
    /// Replies the socket has not taken yet.
    unsent: Unsent,
    /// Nothing is written or run before this time, in microseconds.
    paused_until: Option<u64>,
    /// No more input is read or run during this: the disk cannot take what the client publishes.
    slowed: Option<Slowed>,
    /// The client sends no more; its requests so far are still answered.
    at_end: bool,
    /// No more is run; the connection ends when everything is written.
    ending: bool,
    /// Everything is written, and the connection lasts until this time, in microseconds, at most.
    lingers_until: Option<u64>,
}

/// The worker's next action on a connection, after its turn.
pub(super) enum NextAction {
    /// Waits for the socket or the waker.
    Wait,
    /// The same, and until this time in microseconds at most.
    Pause(u64),
    /// Gives it another turn after the others.
    Again,
    /// Closes it.
    End,
}

/// The connection is over, for whatever reason.
struct Ended;

impl Connection {
    /// A connection on a socket that does not block, from which `early` was read already.
    pub(super) fn new(stream: TcpStream, early: Bytes, session: Session, waker: Waker) -> Connection {
        session.outbox().register(&waker);
        Connection {
            stream,
            readable: false,
            writable: false,
            hung_up: false,
            early,
            session,
            reads: 0,
            waker,
            unsent: Unsent::default(),
            paused_until: None,
            slowed: None,
            at_end: false,
            ending: false,
            lingers_until: None,
        }
    }

    /// Notes what the system reports of the socket; it reports each change once.
    pub(super) fn note_ready(&mut self, event: &Event) {
        self.hung_up |= event.is_read_closed() || event.is_error();
        self.readable |= event.is_readable() || self.hung_up;
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// Has the system report again what is ready.
    ///
    /// # Errors
    /// If the system does not.
    pub(super) fn register_again(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        registry.reregister(&mut self.stream, token, interest)
    }

    /// Ends everything that the client had begun, and withdraws grants whose replies were not sent.
    pub(super) fn close(&mut self, executor: &mut Executor) {
        self.unsent.withdraw(executor);
        self.session.close(executor);
        executor.services().store.holds().leave(&self.waker);
        self.session.outbox().discard();
        self.go_on(executor);
    }

    /// Whether output waits for the end of a pause, as does the reply of a command that sleeps.
    fn is_paused(&self) -> bool {
        self.paused_until.is_some() && !self.ending
    }

    /// Whether requests are only taken in, since an earlier one has no reply yet.
    fn is_waiting(&self) -> bool {
        self.paused_until.is_some() || self.session.is_blocked()
    }

    /// Whether it has read enough of its replies for more requests to be run.
    fn has_read(&self) -> bool {
        self.session.has_read(self.unsent.len())
    }

    /// Reads, runs and writes as far as that goes.
    pub(super) fn turn(&mut self, state: &mut ThreadState) -> NextAction {
        if !self.ending {
            let flow = self.session.tend(&mut state.executor, &mut state.scratch);
            self.apply(flow, state);
            self.keep(&mut state.executor, state.scratch.written());
        }
        if self.session.outbox().is_ending() {
            self.ending = true;
        }
        self.collect(&mut state.scratch);
        self.reads = 0;
        state.executor.begin_turn();
        self.end_slowing(&mut state.executor);
        for _ in 0..STEPS_PER_TURN {
            let step = self.step(state);
            self.note_slowed(&state.executor);
            match step {
                Poll::Ready(Ok(())) if self.may_go_on(&state.executor) => {}
                Poll::Ready(Ok(())) => return NextAction::Again,
                Poll::Ready(Err(Ended)) => return NextAction::End,
                Poll::Pending => return self.pending_action(),
            }
        }
        NextAction::Again
    }

    /// Begins to hold input back if the last step has published more than the disk can take now.
    fn note_slowed(&mut self, executor: &Executor) {
        if self.slowed.is_none() {
            self.slowed = executor.slowed();
        }
    }

    /// Ends that if it is time.
    fn end_slowing(&mut self, executor: &mut Executor) {
        let Some(slowed) = &mut self.slowed else { return };
        let now = executor.services().clock.now();
        if slowed.is_over(now) {
            if slowed.has_waited_long(now) {
                executor.press_on();
            }
            self.slowed = None;
        }
    }

    /// Whether its turn may have one more step.  While its input is held back, it only writes.
    fn may_go_on(&self, executor: &Executor) -> bool {
        self.slowed.is_some() || (self.reads < READS_PER_TURN && !executor.is_turn_over())
    }

    /// The worker's next action if there is nothing to do now.
    fn pending_action(&self) -> NextAction {
        let due =
            || self.session.deadline().into_iter().chain(self.slowed.as_ref().map(Slowed::look_at)).min();
        let due = if self.ending { None } else { due() };
        let until = self.lingers_until.or(self.paused_until).or(due);
        until.map_or(NextAction::Wait, NextAction::Pause)
    }

    /// Writes what may be written, then does one thing more.
    fn step(&mut self, state: &mut ThreadState) -> Poll<Result<(), Ended>> {
        if self.at_end {
            // A client that has left looks like one that only sends no more, and nothing may be granted to the former.
            self.unsent.withdraw(&mut state.executor);
        }
        if self.ending {
            self.session.say_goodbye(self.unsent.messages());
        }
        if !self.unsent.is_empty() && !self.is_paused() {
            match self.flush(&mut state.executor)? {
                Poll::Ready(()) => {}
                // A client that is to be cut off is not waited for.
                Poll::Pending if self.session.outbox().is_closing() => return Poll::Ready(Err(Ended)),
                // Input of an unauthenticated client is not taken in before it has read its replies.
                Poll::Pending if !self.session.is_authenticated() && (self.ending || !self.has_read()) => {
                    return Poll::Pending;
                }
                Poll::Pending if self.ending => return self.read(&mut state.input).map_ok(drop),
                Poll::Pending => {}
            }
        }
        if self.collect(&mut state.scratch) {
            return Poll::Ready(Ok(()));
        }
        if self.unsent.is_empty() && self.go_on(&mut state.executor) {
            return Poll::Ready(Ok(()));
        }
        if self.ending {
            return self.linger(state);
        }
        let was_waiting = self.is_waiting();
        if was_waiting && self.poll_waited(state).is_ready() {
            // The reply goes first: a client that does not read it gets no more.
            return Poll::Ready(Ok(()));
        }
        if self.slowed.is_some() || self.session.poll_requests(&self.waker, &state.executor).is_pending() {
            return Poll::Pending;
        }
        if !was_waiting && self.session.is_behind() && self.has_read() {
            self.resume(state);
            return Poll::Ready(Ok(()));
        }
        if self.at_end {
            if self.session.is_blocked() {
                // A client that left while it waited is given nothing, but earlier replies are still written.
                self.session.give_up(&mut state.executor);
                self.ending = true;
                return Poll::Ready(Ok(()));
            }
            if was_waiting || self.session.is_behind() {
                return Poll::Pending;
            }
            self.ending = true;
            return Poll::Ready(Ok(()));
        }
        self.receive(state)
    }

    /// Ready once the pause is over or the command that waits has written its reply.
    fn poll_waited(&mut self, state: &mut ThreadState) -> Poll<()> {
        let ThreadState { executor, scratch, .. } = state;
        if let Some(until) = self.paused_until {
            if executor.services().clock.now().micros() < until {
                return Poll::Pending;
            }
            self.paused_until = None;
            return Poll::Ready(());
        }
        ready!(self.session.poll_blocked(&self.waker, executor, scratch));
        self.keep(executor, scratch.written());
        Poll::Ready(())
    }

    /// Reads once and runs the requests that came, or only takes them in if the client reads too slowly.
    fn receive(&mut self, state: &mut ThreadState) -> Poll<Result<(), Ended>> {
        let is_run = self.has_read() && !self.is_waiting();
        if !is_run && self.session.is_full(&mut state.executor) {
            // Further requests wait in the client's socket, where it notices.
            if !(self.hung_up && self.session.is_blocked()) {
                return Poll::Pending;
            }
            self.at_end = true;
            return Poll::Ready(Ok(()));
        }
        let length = match ready!(self.read(&mut state.input)) {
            Ok(0) => return Poll::Ready(Ok(())),
            Ok(length) => length,
            Err(Ended) => return Poll::Ready(Err(Ended)),
        };
        let ThreadState { executor, input, scratch, .. } = state;
        let received = &mut input[..length];
        executor.count_received(length);
        let flow = if is_run {
            self.session.receive(received, executor, scratch)
        } else {
            self.session.put_off(received, executor)
        };
        self.apply(flow, state);
        let sent = self.send(state);
        // The buffer is shared: output of a lost connection would reach the next one.
        state.scratch.written().clear();
        Poll::Ready(sent)
    }

    /// Reads once.  Zero if the read was interrupted or the client sends no more.
    fn read(&mut self, input: &mut [u8]) -> Poll<Result<usize, Ended>> {
        if !self.early.is_empty() {
            let length = self.early.len().min(input.len());
            self.early.copy_to_slice(&mut input[..length]);
            if self.early.is_empty() {
                // Gives its buffer back.
                self.early = Bytes::new();
            }
            return Poll::Ready(Ok(length));
        }
        if !self.readable || self.at_end {
            return Poll::Pending;
        }
        self.reads += 1;
        match self.stream.read(input) {
            Ok(length) => {
                self.at_end = length == 0;
                // A full buffer may leave more to read; a partly filled one does not, which spares a call.
                self.readable = length == input.len() || self.hung_up;
                Poll::Ready(Ok(length))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Poll::Pending
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Poll::Ready(Ok(0)),
            Err(_) => Poll::Ready(Err(Ended)),
        }
    }

    /// Ends once everything is written.  A socket that is closed while input is unread drops what it has not sent yet
    /// (RFC 2525, 2.17).  So the sending side is closed first, and input is taken in for a while.
    fn linger(&mut self, state: &mut ThreadState) -> Poll<Result<(), Ended>> {
        let now = state.executor.services().clock.now();
        if self.lingers_until.is_none() {
            self.readable = true;
            let is_heard_out = self.session.is_authenticated() && !self.session.outbox().is_closing();
            if !is_heard_out || self.read(&mut state.input)?.is_pending() || self.at_end {
                return Poll::Ready(Err(Ended));
            }
            if self.stream.shutdown(Shutdown::Write).is_err() {
                return Poll::Ready(Err(Ended));
            }
            self.lingers_until = Some(now.after(LINGER_TIME_MAX).micros());
        }
        if self.at_end || self.lingers_until.is_some_and(|until| until <= now.micros()) {
            return Poll::Ready(Err(Ended));
        }
        self.read(&mut state.input).map_ok(drop)
    }

    /// Runs requests that a pause or a slow reader has held back.
    fn resume(&mut self, state: &mut ThreadState) {
        let ThreadState { executor, scratch, .. } = state;
        let flow = self.session.resume(executor, scratch);
        self.apply(flow, state);
        self.keep(&mut state.executor, state.scratch.written());
    }

    /// Takes messages for the client if little is unwritten; the others wait where its policy applies to them.  True if there
    /// is something to write now.
    fn collect(&mut self, scratch: &mut Scratch) -> bool {
        let outbox = self.session.outbox();
        if outbox.is_empty() || outbox.is_closing() {
            return false;
        }
        let before = self.unsent.len();
        self.session.collect(scratch, self.unsent.messages());
        self.note_unsent();
        self.unsent.len() > before && !self.is_paused()
    }

    /// Wakes whoever waited for the client to take all its messages; false if nobody waited.
    fn go_on(&self, executor: &mut Executor) -> bool {
        let works = self.session.outbox().take_works();
        let are_some = !works.is_empty();
        if are_some {
            executor.go_on(works);
        }
        are_some
    }

    fn note_unsent(&self) {
        self.session.outbox().set_unsent(self.unsent.buffer());
    }

    /// Appends output to the bytes that are not written yet.
    fn keep(&mut self, executor: &mut Executor, written: &mut Buffer) {
        self.unsent.append(written, executor);
        self.note_unsent();
    }

    fn apply(&mut self, flow: Flow, state: &ThreadState) {
        match flow {
            Flow::Continue | Flow::Wait | Flow::HeldUp { .. } => {}
            Flow::Close => self.ending = true,
            Flow::Pause(duration) => {
                self.paused_until = Some(state.executor.services().clock.now().after(duration).micros());
            }
            Flow::Shutdown => {
                self.ending = true;
                state.shutdown.cancel();
            }
        }
    }

    /// Writes the replies of a batch, straight from the scratch buffer if nothing waits before them and none is held.
    fn send(&mut self, state: &mut ThreadState) -> Result<(), Ended> {
        let ThreadState { executor, scratch, .. } = state;
        let output = scratch.written();
        if output.is_empty() && !executor.has_held() {
            return Ok(());
        }
        let mut written = 0;
        if self.unsent.is_empty() && !executor.has_held() && !self.is_paused() {
            match write(&mut self.stream, output, usize::MAX) {
                Ok(count) => {
                    executor.count_sent(count);
                    self.session.note_sent(count, count == output.len());
                    written = count;
                }
                Err(error) if is_temporary(&error) => {}
                Err(_) => return Err(Ended),
            }
        }
        if written < output.len() || executor.has_held() {
            let mut rest = output.split_off_unwritten(written);
            self.keep(executor, &mut rest);
        }
        Ok(())
    }

    /// Writes waiting output, as far as it may be written and the socket takes it.
    fn flush(&mut self, executor: &mut Executor) -> Result<Poll<()>, Ended> {
        while !self.unsent.is_empty() {
            if !self.writable {
                return Ok(Poll::Pending);
            }
            let allowed = self.unsent.release(&self.waker, executor);
            if allowed == 0 {
                return Ok(Poll::Pending);
            }
            match write(&mut self.stream, self.unsent.buffer(), allowed) {
                Ok(count) => {
                    executor.count_sent(count);
                    // A client that reads slowly is not idle.
                    self.session.note_active(executor.services().clock.now());
                    self.unsent.advance(count);
                    self.session.note_sent(count, self.unsent.is_empty());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Ended),
            }
            self.note_unsent();
        }
        self.unsent.shrink(executor);
        Ok(Poll::Ready(()))
    }
}

fn is_temporary(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Writes as many of the first `allowed` bytes as the socket takes.
fn write(stream: &mut TcpStream, output: &Buffer, mut allowed: usize) -> std::io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); PARTS_PER_WRITE];
    let mut count = 0;
    for (slice, part) in slices.iter_mut().zip(output.parts()) {
        let part = &part[..part.len().min(allowed)];
        if part.is_empty() {
            break;
        }
        allowed -= part.len();
        *slice = IoSlice::new(part);
        count += 1;
    }
    match &slices[..count] {
        [one] => stream.write(one),
        several => stream.write_vectored(several),
    }
}

#[cfg(test)]
mod tests;
