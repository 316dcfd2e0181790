//! What a thread's batch has for members of queue groups, once more as it was published: if a member has ended before the
//! batch is handed over, another one of its group gets its messages.
//!
//! Only messages for groups are copied here, and only those that were formatted already: for a receiver that has fallen
//! behind the message is kept anyway.

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::publication::Publication;
use super::staging::{Place, Stages};
use super::{ChannelSpace, Interest, Listener, Message, Name, SharedMessage};

/// Room for copies above this is given back at the end of a batch.
const KEPT_CAPACITY_MAX: usize = 64 * 1024;

/// See the module's text.
#[derive(Default)]
pub(super) struct Spares {
    /// The texts of all of them.
    text: Vec<u8>,
    spares: Vec<Spare>,
}

/// A copy of a message, and where it was staged.
struct Spare {
    place: Place,
    /// Where its subject begins, and where subject, reply subject, headers, a short payload, and the subject by which its
    /// receivers were found end; the last is empty if it is the first.
    ends: [usize; 6],
    long_payload: Option<Bytes>,
    kind: Option<&'static str>,
    sender: Option<u64>,
    listener: Listener,
}

/// A message that did not reach a member of a group, and the group.
pub(super) enum Returned {
    /// One that was formatted: its number among the copies.
    Formatted(usize, Name),
    /// One that was kept.
    Kept(Arc<SharedMessage>, Name),
}

impl Spares {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.spares.is_empty()
    }

    /// Copies a message that is staged at `place`.
    pub(super) fn add(&mut self, publication: &Publication<'_>, long_payload: Option<Bytes>, place: Place) {
        let message = publication.message;
        let short_payload = if long_payload.is_some() { &[] } else { message.payload };
        let mut ends = [self.text.len(); 6];
        let target = publication.other_target();
        let parts = [message.subject, message.reply, message.headers, short_payload, target];
        for (part, end) in parts.into_iter().zip(&mut ends[1..]) {
            self.text.extend_from_slice(part);
            *end = self.text.len();
        }
        let Message { kind, sender, listener, .. } = *message;
        self.spares.push(Spare { place, ends, long_payload, kind, sender, listener });
    }

    /// The places of all copies.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.spares.iter().map(|spare| spare.place)
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.spares.clear();
        self.text.clear();
        self.text.shrink_to(KEPT_CAPACITY_MAX);
        self.spares.shrink_to(KEPT_CAPACITY_MAX / size_of::<Spare>());
    }

    fn part(&self, number: usize, part: usize) -> &[u8] {
        let ends = &self.spares[number].ends;
        &self.text[Range { start: ends[part], end: ends[part + 1] }]
    }

    /// The subject by which its receivers were found.
    fn target(&self, number: usize) -> &[u8] {
        let other = self.part(number, 4);
        if other.is_empty() { self.part(number, 0) } else { other }
    }

    fn message(&self, number: usize) -> Message<'_> {
        let Spare { long_payload, kind, sender, listener, .. } = &self.spares[number];
        let part = |part| self.part(number, part);
        Message {
            space: ChannelSpace::Channels,
            subject: part(0),
            reply: part(1),
            headers: part(2),
            payload: long_payload.as_deref().unwrap_or_else(|| part(3)),
            shared_payload: long_payload.as_ref(),
            kind: *kind,
            sender: *sender,
            listener: *listener,
        }
    }
}

impl Stages {
    /// Stages messages that members of groups did not take for other members, as far as there are any.  They come behind what
    /// those have of the same batch.
    #[cold]
    pub(super) fn pass_on(&mut self, returned: Vec<Returned>, interest: &Interest) {
        let spares = mem::take(&mut self.spares);
        for returned in &returned {
            match returned {
                Returned::Formatted(number, group) => {
                    self.pass_on_message(&spares.message(*number), spares.target(*number), group, interest);
                }
                Returned::Kept(message, group) => {
                    self.pass_on_message(&message.as_message(), message.target(), group, interest);
                }
            }
        }
    }

    fn pass_on_message(&mut self, message: &Message<'_>, target: &[u8], group: &Name, interest: &Interest) {
        let Some(backlog) = self.backlog() else { return };
        let matches = interest.find(target);
        let Some(members) = matches.members_of(group) else { return };
        let mut publication = Publication::new(message, target, &backlog);
        let (before, from_first) = members.split_at(self.next_turn(members.len()));
        from_first
            .iter()
            .chain(before)
            .any(|member| publication.concerns(member) && self.put_for_group(&mut publication, member));
    }
}
