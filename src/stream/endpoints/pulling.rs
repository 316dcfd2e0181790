//! Pulling messages from a consumer for one response.
//!
//! First the messages that are ready are taken; if there are none and the client waits, the first one that comes, with the others that are there
//! by then.  If the client leaves before its messages are sent, they are returned to the consumer at once.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use quartet_protocol::broker::headers::Headers;

use super::{act, problem_of};
use crate::broker::endpoints::{Delivered, Inbox};
use crate::clock::Now;
use crate::http::endpoint::{Context, Problem, problems};
use crate::stream::api::error;
use crate::stream::consumer::request::PullRequest;
use crate::stream::{DeliveryNumbers, LeaseAnswer, Stream};

/// Bytes of messages in one response, or the longest message that clients may publish.
const BYTES_MAX: usize = 2 << 20;

/// Bytes that subject, reply subject and statuses of a message may take beside its content.
const BESIDE_CONTENT: usize = 4096;

/// A message under a lease.
pub(super) struct Leased {
    pub(super) delivered: Delivered,
    pub(super) lease: DeliveryNumbers,
    /// When it came.
    pub(super) at: Now,
}

/// A status that ends a request.
struct Ended {
    code: u16,
    description: String,
}

/// See the module's text.
pub(super) struct Pulling<'c> {
    context: &'c Context,
    stream: &'c Arc<Stream>,
    consumer: &'c str,
    group: Option<&'c str>,
    inbox: Inbox,
    messages: Vec<Leased>,
}

impl<'c> Pulling<'c> {
    pub(super) fn new(
        context: &'c Context,
        stream: &'c Arc<Stream>,
        consumer: &'c str,
        group: Option<&'c str>,
    ) -> Result<Pulling<'c>, Problem> {
        let inbox = Inbox::open(context)?;
        Ok(Pulling { context, stream, consumer, group, inbox, messages: Vec::new() })
    }

    /// Up to `batch` messages; if there are none, those that come within `wait`.
    ///
    /// # Errors
    /// If the consumer delivers nothing to such a request.
    pub(super) async fn pull(&mut self, batch: u32, wait: Duration) -> Result<(), Problem> {
        self.request(batch, None)?;
        self.collect(batch).await?;
        if !self.messages.is_empty() || wait.is_zero() {
            return Ok(());
        }
        self.request(1, Some(wait))?;
        self.collect(1).await?;
        if !self.messages.is_empty() && batch > 1 {
            self.request(batch - 1, None)?;
            self.collect(batch).await?;
        }
        Ok(())
    }

    /// The messages, which the caller sends.
    pub(super) fn into_messages(mut self) -> Vec<Leased> {
        std::mem::take(&mut self.messages)
    }

    fn request(&self, batch: u32, wait: Option<Duration>) -> Result<(), Problem> {
        let payload_max = self.context.services().settings.current().broker_max_payload;
        let request = PullRequest {
            expires: wait,
            no_wait: wait.is_none(),
            max_bytes: BYTES_MAX.max(payload_max + BESIDE_CONTENT),
            group: self.group.map(|group| group.as_bytes().into()),
            ..PullRequest::plain(self.inbox.subject().as_bytes().into(), batch)
        };
        let is_there = act(self.context, |effects| self.stream.request(self.consumer, request, effects));
        is_there.then_some(()).ok_or_else(|| problem_of(&error::CONSUMER_NOT_FOUND.error()))
    }

    /// Takes messages until there are so many, or the request has ended.
    async fn collect(&mut self, most: u32) -> Result<(), Problem> {
        while self.messages.len() < most as usize {
            let context = self.context;
            let next = poll_fn(|task| self.inbox.poll(task.waker()));
            let delivered = context.wait_for(next).await??;
            if let Some(ended) = self.take(delivered) {
                return problem_of_status(&ended);
            }
        }
        Ok(())
    }

    /// Adds a message; returns a status, if it is one.
    fn take(&mut self, delivered: Delivered) -> Option<Ended> {
        let lease = DeliveryNumbers::read(&delivered.reply, self.stream.name(), self.consumer);
        if let Some(lease) = lease {
            self.messages.push(Leased { delivered, lease, at: self.context.now() });
            return None;
        }
        let headers = Headers::new(&delivered.headers)?;
        let description = String::from_utf8_lossy(headers.description()).into_owned();
        let ended = Ended { code: headers.status()?, description };
        // It follows the last message of the request before.
        (ended.description != "Batch Completed").then_some(ended)
    }
}

impl Drop for Pulling<'_> {
    fn drop(&mut self) {
        while let Poll::Ready(Ok(delivered)) = self.inbox.poll(Waker::noop()) {
            self.take(delivered);
        }
        let leases: Vec<DeliveryNumbers> = self.messages.iter().map(|message| message.lease).collect();
        if !leases.is_empty() {
            act(self.context, |effects| {
                let (again, ignored) = (LeaseAnswer::Again(None), Box::new(|_, _: &mut _| ()));
                self.stream.answer_leases(self.consumer, &leases, &again, ignored, effects);
            });
        }
    }
}

/// The problem of a status that is more than the end of what there is.
fn problem_of_status(Ended { code, description }: &Ended) -> Result<(), Problem> {
    let kind = match (code, &**description) {
        (500, _) => problems::UNAVAILABLE,
        (404 | 408, _) | (409, "Message Size Exceeds MaxBytes") => return Ok(()),
        (409, "Consumer Deleted") => problems::NO_SUCH_CONSUMER,
        (409, "Consumer is push based") => problems::STREAM_FORBIDS,
        (409, "Exceeded MaxWaiting") => problems::STREAM_LIMIT,
        (409, "Server Shutdown") => problems::UNAVAILABLE,
        _ => problems::STREAM_REFUSES,
    };
    Err(Problem::new(kind).detail(description.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_more_than_the_end_of_what_there_is_is_a_problem() {
        for (code, description, status) in [
            (404, "No Messages", None),
            (408, "Request Timeout", None),
            (409, "Message Size Exceeds MaxBytes", None),
            (409, "Consumer Deleted", Some(404)),
            (409, "Exceeded MaxWaiting", Some(503)),
            (500, "Cannot Read Messages of ORDERS", Some(503)),
        ] {
            let ended = Ended { code, description: description.to_owned() };
            let problem = problem_of_status(&ended).err();
            assert_eq!(problem.map(|problem| problem.status().as_u16()), status, "{description}");
        }
    }
}
