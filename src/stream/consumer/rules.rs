//! What a consumer's definition says about its behaviour: numbers and choices that were checked already, without JSON.

use std::time::Duration;

use super::limits::{PENDING_MAX, WAITING_MAX};
use crate::stream::filter::Filter;

/// See the module's text.  The default is a pull consumer of all messages with explicit acknowledgements.
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    /// Where a new consumer begins.
    pub start: Start,
    /// Which messages it delivers.
    pub filter: Filter,
    /// Who gets them.
    pub mode: Mode,
    /// What is to be acknowledged.
    pub acknowledgements: Acknowledgements,
    /// How long a receiver has for an acknowledgement.
    pub ack_wait: Duration,
    /// How long it has for each delivery of a message, the last for all further ones; empty for `ack_wait`.
    pub backoff: Vec<Duration>,
    /// How often a message is delivered at most; none for any number of times.
    pub max_deliver: Option<u32>,
    /// Messages out without an acknowledgement at most; none for [`PENDING_MAX`].
    pub max_ack_pending: Option<usize>,
    /// How fast old messages are delivered.
    pub replay: Replay,
    /// Whether receivers get headers only, with the payload's size.
    pub headers_only: bool,
    /// After how long without interest the consumer is to be deleted; none for never.
    pub inactive_threshold: Option<Duration>,
    /// Until when nothing is delivered, in microseconds since 1970.
    pub pause_until: Option<i64>,
    /// What the stream does with messages that its consumers are done with.
    pub retention: Retention,
    /// Whether messages that can be delivered no more go to a dead-letter subject.
    pub has_dead_letters: bool,
    /// The share of positive acknowledgements whose duration is reported, in percent.
    pub sampled_percent: u8,
    /// Whether its changes are kept over a restart.
    pub is_kept: bool,
    /// Bytes of the stream's and the consumer's name, which count as parts of each message's reply subject.
    pub name_bytes: usize,
    /// From what the ids of pinned clients are made; another number at each start.
    pub seed: u64,
}

/// Where a new consumer begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// With the first message of the stream.
    All,
    /// With the last message that matches.
    Last,
    /// With the next message that is published.
    New,
    /// With this sequence.
    Sequence(u64),
    /// With the first message stored at or after this time, in nanoseconds since 1970.
    Time(i64),
    /// With the last message of each subject, and then with all that are published after its creation.
    LastPerSubject,
}

impl Start {
    /// The last sequence that a consumer passes over whether or not its stream has come so far.
    pub(super) fn passed(self) -> u64 {
        match self {
            Start::Sequence(sequence) => sequence.saturating_sub(1),
            _ => 0,
        }
    }
}

/// Who gets the messages.
#[derive(Clone, PartialEq, Debug)]
pub enum Mode {
    /// The receivers that request messages.
    Pull(Pull),
    /// Whoever subscribes to a subject.
    Push(Push),
}

/// What is special about pull consumers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pull {
    /// Requests that wait at most.
    pub max_waiting: usize,
    /// The largest batch of one request.
    pub max_batch: Option<u32>,
    /// How long a request may wait.
    pub max_expires: Option<Duration>,
    /// The most bytes that a request may ask for.
    pub max_bytes: Option<u64>,
    /// Which of the requests goes first.
    pub priority: Priority,
    /// The groups that requests may name.
    pub groups: Vec<Box<[u8]>>,
}

/// Which of the waiting requests goes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Priority {
    /// All in turn.
    None,
    /// A request can say how much must be pending before it is served.
    Overflow,
    /// One client gets everything until it has not asked for this long.
    PinnedClient(Duration),
}

/// What is special about push consumers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Push {
    /// The subject that messages are delivered on.
    pub subject: Box<[u8]>,
    /// The queue group whose members share the messages.
    pub group: Option<Box<[u8]>>,
    /// After how long without a message a heartbeat is sent.
    pub idle_heartbeat: Option<Duration>,
    /// Whether the receiver is asked how far it is, so that no more is on its way than it can take.
    pub flow_control: bool,
    /// Bits per second at most.
    pub rate_limit: Option<u64>,
}

/// What is to be acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acknowledgements {
    /// Nothing: what was delivered is done with.
    None,
    /// A message, and with it all before it.
    All,
    /// Each message.
    Explicit,
}

/// How fast messages are delivered that were there before the consumer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replay {
    /// As fast as they are taken.
    Instant,
    /// With the pauses in which they were published.
    Original,
}

/// What a stream does with messages that its consumers are done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retention {
    /// Nothing: only limits remove messages.
    Limits,
    /// It removes a message when no consumer needs it any more; its consumers say what they are done with.
    Consumed,
}

impl Default for Pull {
    fn default() -> Pull {
        Pull {
            max_waiting: 512,
            max_batch: None,
            max_expires: None,
            max_bytes: None,
            priority: Priority::None,
            groups: Vec::new(),
        }
    }
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            start: Start::All,
            filter: Filter::all(),
            mode: Mode::Pull(Pull::default()),
            acknowledgements: Acknowledgements::Explicit,
            ack_wait: Duration::from_secs(30),
            backoff: Vec::new(),
            max_deliver: None,
            max_ack_pending: Some(1000),
            replay: Replay::Instant,
            headers_only: false,
            inactive_threshold: None,
            pause_until: None,
            retention: Retention::Limits,
            has_dead_letters: false,
            sampled_percent: 0,
            is_kept: true,
            name_bytes: 0,
            seed: 0,
        }
    }
}

impl Rules {
    /// Messages that may be out without an acknowledgement.
    pub fn outstanding_max(&self) -> usize {
        self.max_ack_pending.unwrap_or(PENDING_MAX).min(PENDING_MAX)
    }

    /// How long a receiver has after the delivery of this number, in microseconds.
    pub(super) fn wait_micros(&self, deliveries: u32) -> u64 {
        let last = self.backoff.len().saturating_sub(1);
        let wait = self.backoff.get(last.min(deliveries.saturating_sub(1) as usize));
        micros(*wait.unwrap_or(&self.ack_wait))
    }

    /// Whether a message that was delivered this often is delivered no more.
    pub(super) fn is_last_delivery(&self, deliveries: u32) -> bool {
        self.max_deliver.is_some_and(|max| deliveries >= max)
    }

    /// Whether receivers are to acknowledge messages.
    pub fn expects_acknowledgements(&self) -> bool {
        self.acknowledgements != Acknowledgements::None
    }

    pub(super) fn pull(&self) -> Option<&Pull> {
        match &self.mode {
            Mode::Pull(pull) => Some(pull),
            Mode::Push(_) => None,
        }
    }

    pub(super) fn push(&self) -> Option<&Push> {
        match &self.mode {
            Mode::Pull(_) => None,
            Mode::Push(push) => Some(push),
        }
    }

    pub(super) fn priority(&self) -> Priority {
        self.pull().map_or(Priority::None, |pull| pull.priority)
    }
}

impl Pull {
    /// Requests that may wait.
    pub(super) fn waiting_max(&self) -> usize {
        self.max_waiting.min(WAITING_MAX)
    }
}

/// A span in the unit of the clock of deadlines.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
