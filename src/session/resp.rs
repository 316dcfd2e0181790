//! A conversation in RESP: splits the input into requests, runs them, and keeps unfinished ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker, ready};

use bytes::Bytes;
use quartet_protocol::buffer::Buffer;
use quartet_protocol::limits::KEPT_LENGTH_MIN;
use quartet_protocol::resp::{Batch, Outcome, Output, OwnedArguments, Parser, RequestLimits};

use crate::client::{SharedClient, Waiting};
use crate::command::executor::{BATCH_LIMIT, Executor, OUTPUT_MAX};
use crate::command::{BlockedCommand, Caller, Client, Flow, LongRequest, Replies, SoFar};
use crate::delivery::ROOM;
use crate::store::Place;

/// Batches run in a row before other connections of the worker get their turn: some milliseconds' worth.
const BATCHES_IN_A_ROW: usize = 256;

/// An argument that lacks so many bytes is read into a buffer of its own.
const MISSING_MIN: usize = 32 * 1024;

/// The reply to a client of another machine while there is no password.
pub(super) const PROTECTED: &[u8] = b"-DENIED Quartet is running in protected mode because protected mode is enabled and no \
password is set. Only clients on this machine are served. To serve others, set a password with --requirepass (or \
CONFIG SET requirepass), or, if the network is trusted, switch the protection off with --protected-mode no.\r\n";

/// The reply to a client when there are too many.
pub(super) const FULL: &[u8] = b"-ERR max number of clients reached\r\n";

/// One client's conversation.
pub struct Session {
    caller: Caller,
    client: Client,
    parser: Parser,
    /// Input that was not run yet: the start of a request whose end has not come, or requests put off.  A request that
    /// outgrows the setting `client-query-buffer-limit` ends the conversation; while requests put off have reached it, no
    /// more is taken in.
    pending: Vec<u8>,
    /// How many bytes of `pending` are done with.
    pending_done: usize,
    /// `pending` may hold whole requests.
    is_behind: bool,
    /// How many bytes the long argument at the end of `pending` still lacks.  They are read as they come, and commands may keep
    /// the buffer they have filled.  Zero if no such argument is under way.
    missing: usize,
    /// `pending` is the start of a request with a long argument, whose end is under way.
    is_long: bool,
    /// The long arguments before the last one, copied one by one as they came, so that none of many is copied while the
    /// command runs.  Together they are no longer than `pending`.
    copied: Vec<(usize, Bytes)>,
    /// Requests of a batch from one on that has to wait, or behind one that made the connection pause or wait, or filled the output; no
    /// more than [`BATCH_LIMIT`].
    deferred: VecDeque<OwnedArguments>,
    /// The command that waits for its reply.
    blocked: Option<Box<dyn BlockedCommand>>,
    /// The first request that is put off needs what another thread's command holds for long: the changes to what is held that
    /// were seen.
    held_up_at: Option<u64>,
    /// Its place among those that are held up.
    place: Place,
    /// What that request has found so far, and how often it was tried.
    so_far: Option<SoFar>,
    attempts: u32,
}

impl Session {
    /// A conversation that has just begun.
    pub fn new(client: Arc<SharedClient>, authenticated: bool) -> Session {
        let (caller, client) = Client::new(client, authenticated);
        Session {
            caller,
            client,
            parser: Parser::new(),
            pending: Vec::new(),
            pending_done: 0,
            is_behind: false,
            missing: 0,
            is_long: false,
            copied: Vec::new(),
            deferred: VecDeque::new(),
            blocked: None,
            held_up_at: None,
            place: Place::default(),
            so_far: None,
            attempts: 0,
        }
    }

    /// The client as others see it.
    pub fn shared(&self) -> &Arc<SharedClient> {
        &self.client.shared
    }

    /// Whether the client may run commands.
    pub fn is_authenticated(&self) -> bool {
        self.client.authenticated
    }

    /// Takes input as it comes, runs the requests that are complete, appends the replies to `output`, and says what
    /// becomes of the connection.  `input` is changed in place; `batch` is scratch space.
    ///
    /// After [`Flow::Pause`], after [`Flow::Wait`] once the wait is over, and as long as the session [is
    /// behind](Session::is_behind), the caller goes on with [`Session::resume`], or puts input off, and brings no more
    /// to run.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        executor: &mut Executor,
        batch: &mut Batch,
        output: &mut Output,
    ) -> Flow {
        output.set_version(self.caller.version);
        let (flow, input) = self.receive_missing(input, executor, batch, output);
        let flow = if flow != Flow::Continue || input.is_empty() {
            self.pending.extend_from_slice(input);
            flow
        } else if self.is_long {
            self.receive_end(input, executor, batch, output)
        } else if self.pending.is_empty() {
            let (consumed, flow) = self.run_complete(input, executor, batch, output);
            self.pending.extend_from_slice(&input[consumed..]);
            flow
        } else {
            self.pending.extend_from_slice(input);
            self.run_pending(executor, batch, output)
        };
        self.make_room();
        self.bound(flow, executor)
    }

    /// Takes the bytes that complete a long argument; the rest is left to the caller.
    fn receive_missing<'i>(
        &mut self,
        input: &'i mut [u8],
        executor: &mut Executor,
        batch: &mut Batch,
        output: &mut Output,
    ) -> (Flow, &'i mut [u8]) {
        let (missing, rest) = input.split_at_mut(self.missing.min(input.len()));
        if missing.is_empty() {
            return (Flow::Continue, rest);
        }
        self.pending.extend_from_slice(missing);
        self.missing -= missing.len();
        if self.missing > 0 {
            return (Flow::Continue, rest);
        }
        (self.run_long(executor, batch, output), rest)
    }

    /// Takes bytes that may complete a request with a long argument.
    fn receive_end(
        &mut self,
        input: &[u8],
        executor: &mut Executor,
        batch: &mut Batch,
        output: &mut Output,
    ) -> Flow {
        self.pending.reserve_exact(input.len());
        self.pending.extend_from_slice(input);
        let flow = self.run_long(executor, batch, output);
        if flow != Flow::Continue || self.is_long || self.pending.is_empty() {
            return flow;
        }
        self.run_pending(executor, batch, output)
    }

    /// Runs the request with a long argument, if it is complete.  Commands may keep its buffer.
    fn run_long(&mut self, executor: &mut Executor, batch: &mut Batch, output: &mut Output) -> Flow {
        let (mut pending, done) = (std::mem::take(&mut self.pending), std::mem::take(&mut self.pending_done));
        let limits = self.limits(executor);
        let progress = self.parser.parse(&mut pending[done..], batch, 1, &limits);
        self.is_long = batch.is_empty();
        if let Outcome::Malformed(error) = progress.outcome {
            output.protocol_error(error);
            return Flow::Close;
        }
        if self.is_long {
            (self.pending, self.pending_done) = (pending, done);
            self.note_missing(progress.outcome);
            if self.missing > 0 {
                self.copy_long_arguments();
            }
            return Flow::Continue;
        }
        let buffer = Bytes::from(pending).slice(done..);
        let copied = std::mem::take(&mut self.copied);
        self.caller.request = Some(LongRequest { buffer: buffer.clone(), copied });
        let flow = self.run_batch(&buffer, executor, batch, output);
        self.caller.request = None;
        self.is_behind = flow != Flow::Continue || !self.deferred.is_empty();
        self.pending = buffer[progress.consumed..].to_vec();
        flow
    }

    /// Copies the long arguments that have come, another being under way.
    fn copy_long_arguments(&mut self) {
        let from = self.copied.last().map_or(0, |(start, copy)| start + copy.len());
        let request = &self.pending[self.pending_done..];
        for span in self.parser.partial_arguments() {
            let (start, length) = (span.start as usize, span.length as usize);
            if start >= from && length >= KEPT_LENGTH_MIN {
                self.copied.push((start, Bytes::copy_from_slice(&request[start..start + length])));
            }
        }
    }

    /// Remembers that a long argument is under way, if one is.
    fn note_missing(&mut self, outcome: Outcome) {
        self.missing = match outcome {
            Outcome::NeedMore { at_least } if at_least >= MISSING_MIN => at_least,
            _ => 0,
        };
    }

    /// Sets room aside for a long argument that is under way, which takes memory only as it comes.
    fn make_room(&mut self) {
        if self.missing > 0 && self.pending.capacity() - self.pending.len() < self.missing {
            self.pending.drain(..std::mem::take(&mut self.pending_done));
            // Without room it grows as it comes.  A request of many long arguments does not move for each of them.
            let _ = match self.is_long {
                true => self.pending.try_reserve(self.missing),
                false => self.pending.try_reserve_exact(self.missing),
            };
        }
    }

    /// Takes input without running it, from a client that sends and does not read.  If the input stayed in the socket, a client
    /// that writes a whole pipeline before it reads the first reply would wait for ever.
    pub fn put_off(&mut self, input: &[u8], executor: &mut Executor) -> Flow {
        self.is_behind = true;
        (self.missing, self.is_long) = (0, false);
        self.copied = Vec::new();
        self.pending.extend_from_slice(input);
        self.bound(Flow::Continue, executor)
    }

    /// Whether requests may wait that were received and not run.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Whether so many requests wait that some must run before more is read.
    pub fn is_full(&self, executor: &mut Executor) -> bool {
        self.is_behind && self.waiting_input() >= executor.settings().client_query_buffer_limit
    }

    /// Bytes that were received and not run.
    pub fn waiting_input(&self) -> usize {
        self.pending.len() - self.pending_done
    }

    /// Whether a command waits for its reply.
    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Ready once the command that waits has written its reply to `output`; until then `waker` is woken when it may have one.
    pub fn poll_blocked(&mut self, waker: &Waker, executor: &mut Executor, output: &mut Output) -> Poll<()> {
        let Some(blocked) = &mut self.blocked else { return Poll::Ready(()) };
        output.set_version(self.caller.version);
        let (before, length) = (output.mark(), output.len());
        let waiting = self.client.resp().waiting();
        if executor.poll_blocked(blocked.as_mut(), waker, output).is_pending() {
            if matches!(waiting, Waiting::Yes | Waiting::No) {
                return Poll::Pending;
            }
            if !ready!(executor.poll_cut_short(blocked.as_mut(), waker)) {
                ready!(executor.poll_blocked(blocked.as_mut(), waker, output));
            } else if waiting == Waiting::TimeOut {
                blocked.write_timeout(output);
            } else {
                output.error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
            }
        }
        if self.client.replies != Replies::On {
            output.truncate(before);
            executor.forget_held(length);
        }
        if self.client.replies == Replies::SkipThis {
            self.client.replies = Replies::On;
            self.caller.state = self.client.state();
        }
        self.blocked = None;
        let shared = &self.client.shared;
        shared.last_active.store(executor.services().clock.now().millis(), Relaxed);
        self.client.resp().set_waiting(false);
        Poll::Ready(())
    }

    /// Ends the wait of a client that has gone: it gets nothing.
    pub fn give_up(&mut self, executor: &mut Executor) {
        self.stop_waiting(executor);
        self.client.resp().set_waiting(false);
    }

    fn stop_waiting(&mut self, executor: &mut Executor) {
        if let Some(blocked) = self.blocked.take() {
            executor.cancel(blocked);
        }
    }

    /// Goes on after a pause or a wait, or when earlier replies were handed out.
    pub fn resume(&mut self, executor: &mut Executor, batch: &mut Batch, output: &mut Output) -> Flow {
        output.set_version(self.caller.version);
        while let Some(request) = self.deferred.pop_front() {
            let has_to_wait = executor.has_to_wait(&self.caller, &self.client, request.as_arguments());
            if has_to_wait || output.len() >= OUTPUT_MAX {
                self.deferred.push_front(request);
                self.is_behind = true;
                return self.bound(Flow::Continue, executor);
            }
            executor.try_again(std::mem::take(&mut self.attempts), self.so_far.take());
            let flow = executor.run_for(&mut self.caller, &mut self.client, request.as_arguments(), output);
            if flow != Flow::Continue {
                if flow.is_held_up() {
                    self.deferred.push_front(request);
                    self.is_behind = true;
                }
                self.note_wait(flow, executor);
                return flow;
            }
            self.place = Place::default();
        }
        let flow = self.run_pending(executor, batch, output);
        self.make_room();
        self.bound(flow, executor)
    }

    /// Ready unless the next request needs what another thread's command holds for long; then `waker` is woken when it ends.
    pub fn poll_requests(&mut self, waker: &Waker, executor: &Executor) -> Poll<()> {
        if let Some(seen) = self.held_up_at {
            ready!(executor.services().store.holds().park(seen, &mut self.place, waker));
            self.held_up_at = None;
        }
        Poll::Ready(())
    }

    /// Takes messages for the client, each of them whole, while `buffer` is not too long.
    pub fn collect(&self, buffer: &mut Buffer) {
        self.client.shared.outbox.collect(buffer, ROOM);
    }

    /// Ends the client's transaction, subscriptions, waits and locks.
    pub fn close(&mut self, executor: &mut Executor) {
        self.stop_waiting(executor);
        executor.disconnect(&mut self.client);
    }

    /// Runs the complete requests of the pending input.  Bytes that are done with go once they are more than half, so that each
    /// byte is moved for no more than one that is done with, and the memory shrinks with its contents.
    fn run_pending(&mut self, executor: &mut Executor, batch: &mut Batch, output: &mut Output) -> Flow {
        let mut pending = std::mem::take(&mut self.pending);
        let (consumed, flow) = self.run_complete(&mut pending[self.pending_done..], executor, batch, output);
        self.pending_done += consumed;
        if self.pending_done > pending.len() / 2 {
            pending = pending[self.pending_done..].to_vec();
            self.pending_done = 0;
        }
        self.pending = pending;
        flow
    }

    /// Runs requests until the input has no whole one left, the output is full or the connection may not go on; returns
    /// the number of bytes that are done with.
    fn run_complete(
        &mut self,
        input: &mut [u8],
        executor: &mut Executor,
        batch: &mut Batch,
        output: &mut Output,
    ) -> (usize, Flow) {
        let mut consumed = 0;
        self.is_behind = true;
        for _ in 0..BATCHES_IN_A_ROW {
            if output.len() >= OUTPUT_MAX || executor.is_turn_over() {
                break;
            }
            let limits = self.limits(executor);
            let rest = &mut input[consumed..];
            let progress = self.parser.parse(rest, batch, self.batch_limit(), &limits);
            if !batch.is_empty() {
                let flow = self.run_batch(rest, executor, batch, output);
                if flow != Flow::Continue || !self.deferred.is_empty() {
                    return (consumed + progress.consumed, flow);
                }
            }
            consumed += progress.consumed;
            match progress.outcome {
                Outcome::BatchFull => {}
                Outcome::NeedMore { .. } => {
                    self.is_behind = false;
                    self.note_missing(progress.outcome);
                    return (consumed, Flow::Continue);
                }
                Outcome::Malformed(error) => {
                    output.protocol_error(error);
                    return (input.len(), Flow::Close);
                }
            }
        }
        (consumed, Flow::Continue)
    }

    /// Runs the requests of a batch; those that may not run yet are put off.
    fn run_batch(
        &mut self,
        buffer: &[u8],
        executor: &mut Executor,
        batch: &mut Batch,
        output: &mut Output,
    ) -> Flow {
        let ran = executor.run_batch(&mut self.caller, &mut self.client, batch, buffer, output);
        // Messages that the batch has caused for the client itself follow its replies.
        let outbox = &self.client.shared.outbox;
        outbox.collect(output, ROOM.saturating_sub(outbox.unsent()));
        if ran.done < batch.len() {
            // They cannot be parsed again: words in quotes were changed in place.
            let shared = self.caller.request.as_ref().map(|request| &request.buffer);
            let deferred =
                (ran.done..batch.len()).map(|index| batch.arguments(index, buffer).to_owned_from(shared));
            self.deferred.extend(deferred);
        }
        self.note_wait(ran.flow, executor);
        ran.flow
    }

    fn note_wait(&mut self, flow: Flow, executor: &mut Executor) {
        if let Flow::HeldUp { seen } = flow {
            self.held_up_at = Some(seen);
            (self.attempts, self.so_far) = executor.take_attempts();
        }
        if flow == Flow::Wait {
            self.blocked = executor.take_blocked();
            self.client.resp().set_waiting(true);
        }
    }

    /// Requests to take together: one at a time until the client has authenticated, which lifts the limits for
    /// the requests after it.
    fn batch_limit(&self) -> usize {
        if self.client.authenticated { BATCH_LIMIT } else { 1 }
    }

    fn limits(&self, executor: &mut Executor) -> RequestLimits {
        let limits =
            if self.client.authenticated { RequestLimits::NORMAL } else { RequestLimits::UNAUTHENTICATED };
        RequestLimits { bulk_length: executor.settings().proto_max_bulk_len, ..limits }
    }

    /// Ends a conversation whose unfinished request, with its transaction, has outgrown the setting.
    fn bound(&mut self, flow: Flow, executor: &mut Executor) -> Flow {
        let pending = self.waiting_input();
        let shared = &self.client.shared;
        shared.pending_input.store(pending, Relaxed);
        if pending > 0 {
            // A client that sends slowly is not idle.
            shared.last_active.store(executor.services().clock.now().millis(), Relaxed);
        }
        let held = self.client.transaction_bytes();
        // Whole requests that wait are held back instead, see `is_full`.
        let unfinished = if self.is_behind { 0 } else { pending };
        if unfinished + held > executor.settings().client_query_buffer_limit {
            tracing::warn!(client = self.client.shared.id, "closing: query buffer limit reached");
            self.pending = Vec::new();
            self.pending_done = 0;
            return Flow::Close;
        }
        flow
    }
}
