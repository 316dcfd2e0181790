//! A subscription: what one receiver wants, and how it gets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use quartet_protocol::broker::subject;

use super::gap::Gap;
use super::{Effects, Name, Outbox};
use crate::glob::{Pattern, PatternTooComplex};
use crate::settings::SlowConsumer;

/// The subjects that a subscription wants.
#[derive(Clone, Debug)]
pub enum Topic {
    /// One subject, or any text that RESP takes for a channel.
    Exact(Name),
    /// The subjects that match a pattern of tokens, in which `*` stands for one token and `>` for the rest.
    Wildcard(Name),
    /// The subjects that match a glob, as in PSUBSCRIBE.
    Glob(Name, Arc<Pattern>),
}

impl Topic {
    /// The topic of SUBSCRIBE: one subject, whatever bytes it has.
    pub fn exact(subject: &[u8]) -> Topic {
        Topic::Exact(subject.into())
    }

    /// The topic of SUB and of HTTP: a subject, or a pattern of tokens if it has a wildcard.  The text must be a valid
    /// pattern.
    pub fn of_pattern(pattern: &[u8]) -> Topic {
        if subject::has_wildcard(pattern) {
            Topic::Wildcard(pattern.into())
        } else {
            Topic::Exact(pattern.into())
        }
    }

    /// The topic of PSUBSCRIBE.
    ///
    /// # Errors
    /// If the glob is too complex to be looked for in subjects.
    pub fn glob(glob: &[u8]) -> Result<Topic, PatternTooComplex> {
        Ok(Topic::Glob(glob.into(), Arc::new(Pattern::new(glob)?)))
    }

    /// Its text.
    pub fn text(&self) -> &Name {
        let (Topic::Exact(text) | Topic::Wildcard(text) | Topic::Glob(text, _)) = self;
        text
    }
}

/// How a subscription's messages are chosen and kept.
#[derive(Clone, Debug)]
pub struct SubscriptionOptions {
    /// The queue group that it is in: of each message, one member of a group gets it.
    pub group: Option<Name>,
    /// The receiver's own name for it, which its messages carry (the `sid` of NATS); empty for none.
    pub id: Box<[u8]>,
    /// Whether it gets messages that its own client publishes.
    pub echo: bool,
    /// Whether a wildcard or glob that does not name their prefix matches hidden subjects (`$...`, `_INBOX.`) too, but
    /// for those of the server itself (`$SYS.`).
    pub sees_hidden: bool,
    /// Whether it gets only the events of services, which clients cannot publish.
    pub only_events: bool,
    /// Whether it is there for the answer to a request, which the JSON form of WebSocket tells from other messages.
    pub answers: bool,
    /// Another way of dealing with a slow receiver than its outbox has.
    pub slow_consumer: Option<SlowConsumer>,
}

impl Default for SubscriptionOptions {
    fn default() -> SubscriptionOptions {
        SubscriptionOptions {
            group: None,
            id: Box::default(),
            echo: true,
            sees_hidden: false,
            only_events: false,
            answers: false,
            slow_consumer: None,
        }
    }
}

/// See the module's text.
pub struct Subscription {
    topic: Topic,
    options: SubscriptionOptions,
    outbox: Arc<Outbox>,
    /// Messages that were sent to it.
    delivered: AtomicU64,
    /// It ends once so many were sent; [`u64::MAX`] for never.
    maximum: AtomicU64,
    /// Messages that its receiver was too slow for.
    missed: AtomicU64,
    gap: Gap,
    /// Its receiver gets nothing more.
    is_silent: AtomicBool,
    /// Where it stands in its list of the interest, so that it is found again at once.  Changed under the lock of the list.
    pub(super) place: AtomicUsize,
}

impl Subscription {
    /// A subscription whose messages go to `outbox`, in the outbox's encoding.
    pub fn new(topic: Topic, options: SubscriptionOptions, outbox: &Arc<Outbox>) -> Arc<Subscription> {
        Arc::new(Subscription {
            topic,
            options,
            outbox: Arc::clone(outbox),
            delivered: AtomicU64::new(0),
            maximum: AtomicU64::new(u64::MAX),
            missed: AtomicU64::new(0),
            gap: Gap::default(),
            is_silent: AtomicBool::new(false),
            place: AtomicUsize::new(0),
        })
    }

    /// The subjects that it wants.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// How its messages are chosen and kept.
    pub fn options(&self) -> &SubscriptionOptions {
        &self.options
    }

    /// Where its messages go.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Messages that were sent to it so far, besides those of batches that have not ended.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    /// Messages of these that its receiver was too slow for.
    pub fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    /// Ends it once `maximum` messages were sent since its start, those of the caller's batch included.  True if that is so
    /// already: the caller then removes it from the interest.
    pub fn end_after(&self, maximum: u64, effects: &mut Effects) -> bool {
        effects.count_deliveries();
        self.maximum.store(maximum, Relaxed);
        self.delivered() >= maximum
    }

    /// Ends it now: it takes no more messages, though a publisher may have found it before.
    pub(super) fn end(&self) {
        self.maximum.store(0, Relaxed);
    }

    /// Whether it has had all its messages.
    #[inline]
    pub fn is_spent(&self) -> bool {
        self.has_maximum() && self.delivered() >= self.maximum.load(Relaxed)
    }

    /// Has its receiver get nothing more than what waits in its outbox, although publishers may have more for it that they
    /// have not handed over yet: that goes to another member of its queue group, if it is in one.  To be called when it has
    /// been removed from the interest.
    pub fn silence(&self) {
        self.outbox.silence(&self.is_silent);
    }

    /// Whether its receiver gets nothing more.
    pub(super) fn is_silent(&self) -> bool {
        self.is_silent.load(Relaxed)
    }

    /// Whether it has a last message.
    #[inline]
    pub(super) fn has_maximum(&self) -> bool {
        self.maximum.load(Relaxed) != u64::MAX
    }

    /// Counts one more message; false if it has had all of them.
    pub(super) fn admit(&self) -> bool {
        let maximum = self.maximum.load(Relaxed);
        let admitted = self.delivered.fetch_add(1, Relaxed) < maximum;
        if !admitted {
            self.delivered.fetch_sub(1, Relaxed);
        }
        admitted
    }

    /// Counts more messages.
    pub(super) fn count_delivered(&self, messages: u64) {
        self.delivered.fetch_add(messages, Relaxed);
    }

    /// Counts a message that its receiver was too slow for.  To be called under the lock of the outbox.
    pub(super) fn count_missed(&self) {
        self.missed.store(self.missed() + 1, Relaxed);
    }

    /// Messages that were missed and that its receiver was not told of yet.
    pub(super) fn gap(&self) -> &Gap {
        &self.gap
    }
}
