//! Requests that come as messages: those of the API, acknowledgements, and answers to questions of flow control.
//!
//! A request of the API is carried out at the end of the batch in which it came, when no lock is held, since it may read the
//! disk.  The requests of one publisher are carried out in their order.  A request that only reads is answered at once; one that changes
//! something is answered when the disk has the change.  So answers come in the order of the requests, unless one waits for
//! the disk.

mod account;
mod acknowledgements;
mod answer;
mod consumers;
mod direct;
mod messages;
mod several;
mod streams;
#[cfg(test)]
pub(super) mod tests;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use quartet_protocol::broker::headers::Headers;

use self::answer::Asker;
use super::api::error;
use super::api::subjects::{Address, Operation};
use super::api::{Refusal, Request};
use super::shared::Stream;
use super::streams::Streams;
use crate::clock::Now;
use crate::delivery::{AfterBatch, Effects, Message, Sink};

pub(super) use self::acknowledgements::{AcknowledgementSink, FlowControlSink};

/// Takes the requests of the API.
pub(super) struct RequestSink(pub(super) Weak<Streams>);

impl Sink for RequestSink {
    fn take(&self, message: &Message<'_>, effects: &mut Effects) {
        let RequestSink(streams) = self;
        effects.after_batch(Arc::new(Call {
            streams: streams.clone(),
            subject: message.subject.into(),
            reply: message.reply.into(),
            headers: message.headers.into(),
            body: message.payload.into(),
        }));
    }
}

/// A request that is carried out at the end of the batch.
struct Call {
    streams: Weak<Streams>,
    subject: Box<[u8]>,
    reply: Arc<[u8]>,
    headers: Box<[u8]>,
    body: Box<[u8]>,
}

impl AfterBatch for Call {
    fn run(self: Arc<Self>, effects: &mut Effects) {
        let Some(streams) = self.streams.upgrade() else { return };
        let asked = Request::parse(&self.subject, Headers::new(&self.headers), &self.body);
        let hub = streams.hub();
        let asker = Asker::new(hub, asked.row, Arc::clone(&self.reply));
        let is_counted = asker.answers_with_json();
        let mut serving = Serving { streams: &streams, asker, now: hub.clock.now(), effects };
        match asked.request {
            Ok(request) => serving.serve(request),
            Err(_) if !serving.is_heard(&self.subject) => serving.refuse(Refusal::NoResponders),
            Err(refusal) => serving.refuse(refusal),
        }
        if is_counted {
            hub.requests.fetch_add(1, Relaxed);
        }
    }
}

/// One request while it is carried out.
struct Serving<'s> {
    streams: &'s Arc<Streams>,
    asker: Asker,
    now: Now,
    effects: &'s mut Effects,
}

impl Serving<'_> {
    fn serve(&mut self, request: Request) {
        match request {
            Request::AccountInfo => self.account_info(),
            Request::StreamCreate { definition, pedantic } => self.create_stream(*definition, pedantic),
            Request::StreamUpdate { definition, pedantic } => self.update_stream(*definition, pedantic),
            Request::StreamInfo { stream, deleted_details, subjects } => {
                self.stream_info(&stream, deleted_details, subjects.as_ref());
            }
            Request::StreamNames { list } => self.stream_names(&list),
            Request::StreamList { list } => self.stream_list(&list),
            Request::StreamDelete { stream } => self.delete_stream(&stream),
            Request::StreamPurge { stream, purge } => self.purge(&stream, purge),
            Request::MessageGet { stream, message } => self.get_message(&stream, &message),
            Request::MessageDelete { stream, sequence } => self.delete_message(&stream, sequence),
            Request::DirectGet { stream, get, no_headers } => self.get_direct(&stream, get, no_headers),
            Request::ConsumerCreate { stream, definition, action, pedantic } => {
                self.create_consumer(&stream, *definition, action, pedantic);
            }
            Request::ConsumerInfo { stream, consumer } => self.consumer_info(&stream, &consumer),
            Request::ConsumerNames { stream, offset } => self.consumer_names(&stream, offset),
            Request::ConsumerList { stream, offset } => self.consumer_list(&stream, offset),
            Request::ConsumerDelete { stream, consumer } => self.delete_consumer(&stream, &consumer),
            Request::ConsumerNext { stream, consumer, pull } => self.pull(&stream, &consumer, pull),
            Request::ConsumerPause { stream, consumer, until } => {
                self.pause_consumer(&stream, &consumer, until);
            }
            Request::ConsumerUnpin { stream, consumer, group } => self.unpin(&stream, &consumer, &group),
        }
    }

    /// Whether somebody hears a request on this subject.  Direct gets of a stream that does not allow them, and pulls of a
    /// consumer that does not exist, are heard by nobody.
    fn is_heard(&self, subject: &[u8]) -> bool {
        let Some(address) = Address::parse(subject) else { return true };
        match address.row.operation {
            Operation::DirectGet | Operation::DirectGetLast => self.responder(address.stream).is_some(),
            Operation::ConsumerNext => {
                let stream = self.streams.find(address.stream);
                stream.is_some_and(|stream| stream.has_consumer(address.consumer))
            }
            _ => true,
        }
    }

    fn refuse(&mut self, refusal: impl Into<Refusal>) {
        self.asker.refuse(refusal, self.effects);
    }

    /// The stream with this name.  If there is none, the request is answered with that error.
    fn stream(&mut self, name: &str) -> Option<Arc<Stream>> {
        let found = self.streams.find(name);
        if found.is_none() {
            self.refuse(error::STREAM_NOT_FOUND);
        }
        found
    }
}
