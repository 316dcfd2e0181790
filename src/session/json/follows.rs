//! Streams that a client follows: their messages from a place on, and each that is stored later.
//!
//! A stream is read when the client has read what it was sent before, so nothing is kept for one that is slow.  What was removed
//! before it could be sent is told as a gap.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use quartet_protocol::broker::subject;
use quartet_protocol::buffer::Buffer;
use serde::Serialize;

use super::answer::{Answer, ErrorCode, Failure, write};
use super::request::Request;
use super::rights::Rights;
use super::run::{Run, violation};
use crate::access::Violation;
use crate::delivery::Outbox;
use crate::stream::endpoints::position::{From, resume};
use crate::stream::endpoints::{Gap, MessageObject};
use crate::stream::filter::Filter;
use crate::stream::{Follower, Portion, Seen, Stream};

/// Streams that a client may follow at a time.
pub(super) const FOLLOWS_MAX: usize = 64;

/// What is read of a stream at once; then the others have their turn.
const PORTION: Portion = Portion { messages: 64, bytes: 256 * 1024 };

/// A stream that is followed.
pub(super) struct Follow {
    pub(super) id: Box<str>,
    /// The subjects that are read, for which the client needs the right to subscribe.
    pub(super) patterns: Vec<Box<str>>,
    pub(super) follower: Follower,
}

/// The streams that a client follows.
#[derive(Default)]
pub(super) struct Follows {
    follows: Vec<Follow>,
    /// Whether there was more to read than the client had room for.
    waits_for_room: bool,
}

/// A message of a stream, or a gap, for the client.
#[derive(Serialize)]
struct Told<'t, T> {
    op: &'static str,
    id: &'t str,
    #[serde(flatten)]
    contents: T,
}

/// Wakes the connection of an outbox.
struct WakeConnection(Arc<Outbox>);

impl Wake for WakeConnection {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

impl Follows {
    pub(super) fn has(&self, id: &str) -> bool {
        self.follows.iter().any(|follow| &*follow.id == id)
    }

    pub(super) fn has_room(&self) -> bool {
        self.follows.len() < FOLLOWS_MAX
    }

    pub(super) fn add(&mut self, follow: Follow) {
        self.follows.push(follow);
    }

    /// Ends the one with this id; false if there is none.
    pub(super) fn end(&mut self, id: &str) -> bool {
        let before = self.follows.len();
        self.follows.retain(|follow| &*follow.id != id);
        self.follows.len() < before
    }

    /// Ends those that the client has no right to any more; their ids.
    pub(super) fn end_forbidden(&mut self, rights: &Rights) -> Vec<Box<str>> {
        let is_allowed = |follow: &Follow| may_follow(rights, &follow.patterns);
        let (kept, ended) = std::mem::take(&mut self.follows).into_iter().partition(is_allowed);
        self.follows = kept;
        let ended: Vec<Follow> = ended;
        ended.into_iter().map(|follow| follow.id).collect()
    }

    pub(super) fn clear(&mut self) {
        self.follows.clear();
    }

    /// Whether it waits until the client has read more.
    pub(super) fn waits_for_room(&self) -> bool {
        self.waits_for_room
    }

    /// Writes what there is to read, while the client has room: `has_room` says so for the bytes written so far.
    pub(super) fn read_on(
        &mut self,
        outbox: &Arc<Outbox>,
        output: &mut Buffer,
        has_room: impl Fn(usize) -> bool,
    ) {
        self.waits_for_room = false;
        if self.follows.is_empty() {
            return;
        }
        let waker = Waker::from(Arc::new(WakeConnection(Arc::clone(outbox))));
        let before = output.len();
        self.follows.retain_mut(|follow| {
            if !has_room(output.len() - before) {
                self.waits_for_room = true;
                return true;
            }
            let is_there = follow.read_on(output, &waker);
            if !is_there {
                write(output, &Answer::new("ended", Some(&follow.id)));
            }
            is_there
        });
        // Those that were read first are read last the next time.
        if !self.follows.is_empty() {
            self.follows.rotate_left(1);
        }
    }
}

impl Follow {
    /// Writes a portion; false once the stream has ended.  The connection is woken when there is more.
    fn read_on(&mut self, output: &mut Buffer, waker: &Waker) -> bool {
        let Follow { id, follower, .. } = self;
        let read = follower.read_on(PORTION, |seen: Seen<'_>| match Gap::seen(seen) {
            Ok(gap) => write(output, &Told { op: "gap", id, contents: gap }),
            Err(message) => {
                let contents = MessageObject::of(&message);
                write(output, &Told { op: "message", id, contents });
            }
        });
        match read {
            Ok(true) => match follower.poll_more(waker) {
                Poll::Ready(is_there) => {
                    waker.wake_by_ref();
                    is_there
                }
                Poll::Pending => true,
            },
            Ok(false) => {
                waker.wake_by_ref();
                true
            }
            Err(error) => {
                tracing::error!(%error, "a stream cannot be read");
                false
            }
        }
    }
}

impl Run<'_> {
    /// Begins to follow a stream.
    pub(super) fn follow(&mut self, request: &Request<'_>, id: Option<&str>) -> Result<(), Failure> {
        let invalid = |message: String| Failure::new(ErrorCode::InvalidField, message);
        let name = request.stream.as_deref();
        let name =
            name.ok_or_else(|| invalid("stream: the name of a stream; it must be there".to_owned()))?;
        let stream = self.publisher.services.streams.find(name).ok_or_else(|| {
            Failure::new(ErrorCode::NoSuchStream, format!("stream: there is no stream {name}"))
        })?;
        let pattern = request.subject.as_deref();
        if pattern.is_some_and(|pattern| !subject::is_valid_pattern(pattern.as_bytes())) {
            return Err(invalid("subject: a subject or a pattern, without blanks".to_owned()));
        }
        let patterns: Vec<Box<str>> = match pattern {
            Some(pattern) => vec![pattern.into()],
            None => stream.definition().subjects.iter().map(|subject| (&**subject).into()).collect(),
        };
        if let Some(forbidden) =
            patterns.iter().find(|pattern| !may_follow(&self.session.rights, &[(*pattern).clone()]))
        {
            return Err(violation(&Violation::Subscription { pattern: forbidden.as_bytes(), group: None }));
        }
        if patterns.is_empty() {
            return Err(invalid("subject: the stream takes no subjects, so one must be named".to_owned()));
        }
        let (next, gap) = place_of(request, &stream)?;
        let id = self.free_id(id)?;
        if !self.session.follows.has_room() {
            let message = format!("a client may follow {FOLLOWS_MAX} streams at a time");
            return Err(Failure::new(ErrorCode::TooMany, message));
        }
        // Also without a pattern: the rights were checked for these subjects, and a stream may have others later.
        let filter = Filter::of(patterns.iter().map(|pattern| pattern.as_bytes()));
        let follower = Follower::new(&stream, filter, next).ok_or_else(|| {
            Failure::new(ErrorCode::TooMany, "all clients together follow as many streams as they may")
        })?;
        self.session.follows.add(Follow { id: id.as_str().into(), patterns, follower });
        let epoch = stream.epoch();
        self.answer(&Answer {
            stream: Some(stream.name()),
            epoch: Some(&epoch),
            next: Some(next),
            ..Answer::new("following", Some(&id))
        });
        if let Some(gap) = gap {
            self.tell(&Told { op: "gap", id: &id, contents: gap });
        }
        // It is read when the connection is tended next.
        self.session.shared().outbox.wake();
        Ok(())
    }
}

/// The sequence at which a client wants to begin, and what is missing there.  With an epoch the client says that it has seen
/// what is before.
fn place_of(request: &Request<'_>, stream: &Stream) -> Result<(u64, Option<Gap>), Failure> {
    let place = request.from();
    let place = place.as_deref().map_or(Some(From::First), From::parse).ok_or_else(|| {
        Failure::new(ErrorCode::InvalidField, "from: a sequence, a time as in RFC 3339, first or new")
    })?;
    if let (Some(epoch), From::Sequence(next)) = (&request.epoch, place) {
        return Ok(resume(stream, epoch, next.saturating_sub(1)));
    }
    let next = place.find(stream).map_err(|error| {
        tracing::error!(%error, "a stream cannot be read");
        Failure::new(ErrorCode::Internal, "the stream cannot be read")
    })?;
    Ok((next, None))
}

/// Whether a client with these rights may read messages on these subjects.
pub(super) fn may_follow(rights: &Rights, patterns: &[Box<str>]) -> bool {
    patterns.iter().all(|pattern| rights.may_subscribe(pattern.as_bytes(), None))
}
