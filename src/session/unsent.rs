//! Output that was not sent yet, with replies that wait for the disk.

use std::collections::VecDeque;
use std::mem;
use std::task::{Poll, Waker};

use quartet_protocol::buffer::Buffer;

use crate::command::HeldReply;
use crate::command::executor::Executor;
use crate::wait::Lost;

/// The unsent output of one connection, in order.  A reply that waits for the disk holds up the output behind it; when its
/// wait is over, it is written anew as it is true then.
#[derive(Default)]
pub struct Unsent {
    buffer: Buffer,
    /// The replies that wait, in their order, counted from the start of `buffer`.
    held: VecDeque<HeldReply>,
}

impl Unsent {
    /// The bytes.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// The buffer, for messages to be added at its end.
    pub fn messages(&mut self) -> &mut Buffer {
        &mut self.buffer
    }

    /// Whether everything is sent.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The number of bytes, with replies that wait for the disk.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Moves the bytes that the session has written to the end.
    pub fn append(&mut self, written: &mut Buffer, executor: &mut Executor) {
        let before = self.buffer.len();
        let held = executor.take_held().into_iter();
        self.held.extend(held.map(|held| HeldReply {
            start: before + held.start,
            end: before + held.end,
            ..held
        }));
        self.buffer.append(written);
    }

    /// Releases the replies whose wait is over, and returns how many bytes may be sent: up to the first reply that still
    /// waits.  `waker` is woken when its wait is over.  To be called when the bytes can be sent at once.
    pub fn release(&mut self, waker: &Waker, executor: &mut Executor) -> usize {
        let mut outcomes = Vec::new();
        for held in &self.held {
            match held.barrier.poll(waker) {
                Poll::Ready(outcome) => outcomes.push(outcome),
                Poll::Pending => break,
            }
        }
        self.settle(&outcomes, executor);
        self.held.front().map_or(usize::MAX, |held| held.start)
    }

    /// Writes the first replies anew, as far as that is needed.
    fn settle(&mut self, outcomes: &[Result<(), Lost>], executor: &mut Executor) {
        let stays =
            |(held, outcome): (&HeldReply, &Result<(), Lost>)| outcome.is_ok() && held.promise.is_none();
        if self.held.iter().zip(outcomes).all(stays) {
            self.held.drain(..outcomes.len());
            return;
        }
        // The last reply comes first: it may have changed the grants of earlier ones.
        for (held, outcome) in self.held.range_mut(..outcomes.len()).zip(outcomes).rev() {
            if outcome.is_err() {
                executor.withdraw_held(held);
                held.promise = None;
            }
        }
        let mut settled = Buffer::new();
        // Bytes that were taken out of `buffer`.
        let mut taken = 0;
        for (held, &outcome) in self.held.drain(..outcomes.len()).zip(outcomes) {
            if stays((&held, &outcome)) {
                continue;
            }
            settled.append(&mut self.buffer.split_to(held.start - taken));
            self.buffer.advance(held.end - held.start);
            taken = held.end;
            executor.write_held(held, outcome, &mut settled);
        }
        let now_before = settled.len();
        settled.append(&mut self.buffer);
        self.buffer = settled;
        for held in &mut self.held {
            (held.start, held.end) = (held.start - taken + now_before, held.end - taken + now_before);
        }
    }

    /// Withdraws the promises of the replies that still wait: the client has left, or has closed its sending side, which
    /// looks the same.  The last reply comes first: it may have changed the grants of earlier ones.
    pub fn withdraw(&mut self, executor: &mut Executor) {
        self.held.iter_mut().rev().for_each(|held| executor.withdraw_held(held));
    }

    /// Forgets the first `sent` bytes, which [`Unsent::release`] has allowed to be sent.
    pub fn advance(&mut self, sent: usize) {
        self.buffer.advance(sent);
        self.held.iter_mut().for_each(|held| (held.start, held.end) = (held.start - sent, held.end - sent));
    }

    /// Gives its memory to the thread once everything is sent.
    pub fn shrink(&mut self, executor: &mut Executor) {
        debug_assert!(self.is_empty() && self.held.is_empty());
        executor.give_back(mem::take(&mut self.buffer));
    }
}
