//! Requests that come as messages: those of the API, acknowledgements, and answers to questions of flow control.
//!
//! A request of the API is carried out by the thread on which it came, as soon as that holds no lock, since it may read the disk.
//! One that changes something is answered when the disk has the change; one that reads a stream waits until all that the same
//! client has stored there before is visible.  Until a request is answered, or waits as a pull for messages, nothing more is taken from
//! its client: so requests and messages that come with one write are answered as if the client had waited for each answer.

mod account;
mod acknowledgements;
mod answer;
mod audit;
mod consumers;
mod direct;
mod messages;
mod several;
mod streams;
#[cfg(test)]
pub(super) mod tests;

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::{Arc, Weak};

use crossbeam_utils::atomic::AtomicCell;
use quartet_protocol::broker::headers::Headers;

use self::answer::Asker;
use self::audit::Audit;
use super::api::error;
use super::api::subjects::{Address, Operation};
use super::api::{Asked, Refusal, Request};
use super::shared::Stream;
use super::streams::Streams;
use crate::clock::Now;
use crate::delivery::{AfterBatch, Effects, Message, Sink, Unfinished};
use crate::wait::{Lost, Position};

pub(super) use self::acknowledgements::{AcknowledgementSink, FlowControlSink};

/// Takes the requests of the API.
pub(super) struct RequestSink(pub(super) Weak<Streams>);

impl Sink for RequestSink {
    fn take(&self, message: &Message<'_>, effects: &mut Effects) -> bool {
        let RequestSink(streams) = self;
        let stored_until = effects.stored_until();
        effects.request(|unfinished| Call {
            streams: streams.clone(),
            subject: message.subject.into(),
            reply: message.reply.into(),
            headers: message.headers.into(),
            body: message.payload.into(),
            sender: message.sender,
            stored_until,
            unfinished: Arc::new(unfinished),
        });
        true
    }
}

/// A request that is carried out as soon as no lock is held.
struct Call {
    streams: Weak<Streams>,
    subject: Arc<[u8]>,
    reply: Arc<[u8]>,
    headers: Box<[u8]>,
    body: Box<[u8]>,
    sender: Option<u64>,
    /// Up to where its sender has stored something.
    stored_until: Option<Position>,
    unfinished: Arc<Unfinished>,
}

impl AfterBatch for Call {
    fn run(self: Arc<Self>, effects: &mut Effects) {
        let Some(streams) = self.streams.upgrade() else { return };
        let asked = Request::parse(&self.subject, Headers::new(&self.headers), &self.body);
        let Ok(request) = &asked.request else { return self.serve(asked, effects) };
        if let Some(stream) = request.decided_behind_pulls().and_then(|name| streams.find(name)) {
            stream.run_queued(effects);
        }
        match self.stored_until {
            Some(position) => {
                let read = streams.read_by(request);
                once_applied(read, position, Box::new(move |effects| self.serve(asked, effects)), effects);
            }
            None => self.serve(asked, effects),
        }
    }
}

impl Call {
    fn serve(&self, asked: Asked, effects: &mut Effects) {
        let Some(streams) = self.streams.upgrade() else { return };
        let hub = streams.hub();
        let audit = Audit::of(hub, &self.body, self.sender);
        let asker = Asker::new(hub, asked.row, [&self.subject, &self.reply], audit, &self.unfinished);
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

impl Streams {
    /// The streams whose contents a request shows.  One that changes something is decided behind all earlier changes anyway, and
    /// a pull that can wait gets what comes.
    fn read_by(&self, request: &Request) -> Vec<Arc<Stream>> {
        match request {
            Request::StreamInfo { stream, .. }
            | Request::MessageGet { stream, .. }
            | Request::DirectGet { stream, .. }
            | Request::ConsumerInfo { stream, .. }
            | Request::ConsumerList { stream, .. } => self.find(stream).into_iter().collect(),
            Request::ConsumerNext { stream, pull, .. } if pull.no_wait => {
                self.find(stream).into_iter().collect()
            }
            Request::AccountInfo | Request::StreamList { .. } => self.all(),
            _ => Vec::new(),
        }
    }
}

/// Calls `then` once these streams have applied what was stored up to `position`, at once if they have.
fn once_applied(
    streams: Vec<Arc<Stream>>,
    position: Position,
    then: Box<dyn FnOnce(&mut Effects) + Send>,
    effects: &mut Effects,
) {
    let behind: Vec<_> = streams.into_iter().filter(|stream| stream.is_behind(position)).collect();
    if behind.is_empty() {
        return then(effects);
    }
    // Side by side: one that began with the next would have as many calls within each other as there are streams.
    let left = Arc::new((AtomicUsize::new(behind.len()), AtomicCell::new(Some(then))));
    for stream in behind {
        let left = Arc::clone(&left);
        let count = move |_: &Arc<Stream>, _: Result<(), Lost>, effects: &mut Effects| {
            if left.0.fetch_sub(1, AcqRel) == 1
                && let Some(then) = left.1.take()
            {
                then(effects);
            }
        };
        stream.once_readable(Box::new(count), effects);
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
            Request::MessageGet { stream, message, no_headers } => {
                self.get_message(&stream, &message, no_headers);
            }
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
