//! A subscription: what one receiver wants, and how it gets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::{Name, Outbox};
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
        let is_wildcard = |token: &[u8]| matches!(token, b"*" | b">");
        match pattern.split(|&byte| byte == b'.').any(is_wildcard) {
            true => Topic::Wildcard(pattern.into()),
            false => Topic::Exact(pattern.into()),
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
    /// Whether a wildcard or glob that does not name their prefix matches hidden subjects (`$...`, `_INBOX.`) too.
    pub sees_hidden: bool,
    /// Whether it gets only the events of services, which clients cannot publish.
    pub only_events: bool,
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

    /// Messages that were sent to it so far.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    /// Ends it once `maximum` messages were sent since its start.  True if that is so already: the caller then removes it
    /// from the interest.
    pub fn end_after(&self, maximum: u64) -> bool {
        self.maximum.store(maximum, Relaxed);
        self.delivered() >= maximum
    }

    /// Ends it now: it takes no more messages, though a publisher may have found it before.
    pub(super) fn end(&self) {
        self.maximum.store(0, Relaxed);
    }

    /// Whether it has had all its messages.
    pub fn is_spent(&self) -> bool {
        self.delivered() >= self.maximum.load(Relaxed)
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
}
