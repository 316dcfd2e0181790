//! A conversation in RESP: splits the input into requests, runs them, and keeps what is unfinished.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::resp::{Batch, Outcome, Output, OwnedArguments, Parser, RequestLimits};

use crate::client::Client;
use crate::command::Flow;
use crate::dispatch::{BATCH_LIMIT, Runner};

/// Input buffers larger than this are given back once their request is done, so that idle connections stay small.
const IDLE_INPUT_CAPACITY: usize = 0;

/// One client's conversation.
pub struct Session {
    client: Client,
    parser: Parser,
    /// The start of a request whose end has not come yet.
    pending: Vec<u8>,
    /// Requests that came after one that made the connection pause.
    deferred: VecDeque<OwnedArguments>,
}

impl Session {
    /// A conversation that has just begun.
    pub fn new(client: Client) -> Session {
        Session { client, parser: Parser::new(), pending: Vec::new(), deferred: VecDeque::new() }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Takes input as it comes, runs every request that is complete, appends the replies to `output`, and says what
    /// becomes of the connection.  `input` is changed in place; `batch` is scratch space.
    ///
    /// After [`Flow::Pause`] the caller calls [`Session::resume`] before it brings more input.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        runner: &mut Runner,
        batch: &mut Batch,
        output: &mut Output,
    ) -> Flow {
        output.set_version(self.client.version);
        if self.pending.is_empty() {
            let (consumed, flow) = self.run_complete(input, runner, batch, output);
            if flow != Flow::Close {
                self.pending.extend_from_slice(&input[consumed..]);
            }
            return self.bound(flow, runner, output);
        }
        self.pending.extend_from_slice(input);
        let mut pending = std::mem::take(&mut self.pending);
        let (consumed, flow) = self.run_complete(&mut pending, runner, batch, output);
        if consumed == pending.len() && pending.capacity() > IDLE_INPUT_CAPACITY {
            pending = Vec::new();
        } else {
            pending.drain(..consumed);
        }
        self.pending = pending;
        self.bound(flow, runner, output)
    }

    /// Goes on after a pause.
    pub fn resume(&mut self, runner: &mut Runner, output: &mut Output) -> Flow {
        output.set_version(self.client.version);
        while let Some(request) = self.deferred.pop_front() {
            let flow = runner.run_one(&mut self.client, request.as_arguments(), output);
            if flow != Flow::Continue {
                return flow;
            }
        }
        Flow::Continue
    }

    /// Takes what others have put into the client's outbox.
    pub fn collect(&self, output: &mut Output) {
        self.client.shared.outbox.drain_into(output);
    }

    /// Ends what the client had begun.
    pub fn close(&mut self, runner: &mut Runner) {
        runner.disconnect(&mut self.client);
    }

    fn run_complete(
        &mut self,
        input: &mut [u8],
        runner: &mut Runner,
        batch: &mut Batch,
        output: &mut Output,
    ) -> (usize, Flow) {
        let mut consumed = 0;
        loop {
            let limits = self.limits(runner);
            let rest = &mut input[consumed..];
            let progress = self.parser.parse(rest, batch, self.batch_limit(), &limits);
            if !batch.is_empty() {
                let ran = runner.run(&mut self.client, batch, rest, output);
                // Messages that the batch has caused for the client itself follow its replies.
                self.collect(output);
                if ran.flow != Flow::Continue {
                    let rest = &input[consumed..];
                    self.deferred
                        .extend((ran.done..batch.len()).map(|index| batch.arguments(index, rest).to_owned()));
                    consumed += progress.consumed;
                    if let Flow::Pause(_) = ran.flow
                        && progress.outcome == Outcome::BatchFull
                    {
                        self.defer_rest(&mut input[consumed..], runner, batch, &mut consumed);
                    }
                    return (consumed, ran.flow);
                }
            }
            consumed += progress.consumed;
            match progress.outcome {
                Outcome::BatchFull => {}
                Outcome::NeedMore { .. } => return (consumed, Flow::Continue),
                Outcome::Malformed(error) => {
                    output.protocol_error(error);
                    return (input.len(), Flow::Close);
                }
            }
        }
    }

    /// Parses what follows a pause now, while the parser's place in the input is known.
    fn defer_rest(&mut self, rest: &mut [u8], runner: &Runner, batch: &mut Batch, consumed: &mut usize) {
        let mut done = 0;
        loop {
            let limits = self.limits(runner);
            let progress = self.parser.parse(&mut rest[done..], batch, BATCH_LIMIT, &limits);
            let rest = &rest[done..];
            self.deferred.extend((0..batch.len()).map(|index| batch.arguments(index, rest).to_owned()));
            done += progress.consumed;
            *consumed += progress.consumed;
            if progress.outcome != Outcome::BatchFull {
                return;
            }
        }
    }

    /// Requests to take together: one at a time until the client has authenticated, which lifts the limits for
    /// the requests after it.
    fn batch_limit(&self) -> usize {
        if self.client.authenticated { BATCH_LIMIT } else { 1 }
    }

    fn limits(&self, runner: &Runner) -> RequestLimits {
        let limits =
            if self.client.authenticated { RequestLimits::NORMAL } else { RequestLimits::UNAUTHENTICATED };
        RequestLimits { bulk_length: runner.services().settings.proto_max_bulk_len(), ..limits }
    }

    /// Ends a conversation whose unfinished request has outgrown the setting.
    fn bound(&mut self, flow: Flow, runner: &Runner, output: &mut Output) -> Flow {
        let _ = output;
        self.client.shared.pending_input.store(self.pending.len(), Relaxed);
        if self.pending.len() > runner.services().settings.client_query_buffer_limit() {
            tracing::warn!(client = self.client.shared.id, "closing: query buffer limit reached");
            return Flow::Close;
        }
        flow
    }
}
