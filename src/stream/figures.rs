//! Figures of all streams and their consumers, for monitoring.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::shared::Stream;
use super::store::{Outcome, Receipt};
use super::streams::Streams;

/// What has happened to messages since the start, in all streams together.
#[derive(Default)]
pub(super) struct Totals {
    stored: AtomicU64,
    removed: AtomicU64,
    duplicates: AtomicU64,
    refused: AtomicU64,
    unreadable: AtomicU64,
    untold: AtomicU64,
}

impl Totals {
    /// Counts a message by its outcome.
    pub(super) fn note(&self, outcome: &Outcome) {
        let counter = match outcome {
            Ok(Receipt { is_duplicate: false, .. }) => &self.stored,
            Ok(Receipt { is_duplicate: true, .. }) => &self.duplicates,
            Err(_) => &self.refused,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts a message that could not be stored.
    pub(super) fn note_refusal(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// Counts a message that a consumer has passed over since it cannot be read.
    pub(super) fn note_unreadable(&self) {
        self.unreadable.fetch_add(1, Relaxed);
    }

    /// Counts a message that was refused and whose publisher is not told.
    pub(super) fn note_untold(&self) {
        self.untold.fetch_add(1, Relaxed);
    }

    /// Counts messages that were removed.
    pub(super) fn note_removed(&self, count: u64) {
        if count > 0 {
            self.removed.fetch_add(count, Relaxed);
        }
    }
}

/// What has happened since the start, in all streams together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    /// Messages that were accepted.
    pub stored: u64,
    /// Messages that were removed, for any reason.
    pub removed: u64,
    /// Messages that were stored already.
    pub duplicates: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Messages that consumers have passed over since they cannot be read.
    pub unreadable: u64,
    /// Messages among the refused whose publishers wanted no answer, those that a stream publishes again among them.
    pub untold: u64,
    /// Requests of the API.
    pub requests: u64,
    /// Requests of the API that were refused.
    pub refusals: u64,
}

/// The figures of a stream at a moment.
#[derive(Clone, Debug)]
pub struct StreamFigures {
    /// Its name.
    pub name: Arc<str>,
    /// Its messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The sequence of its first message, or of the next if it has none.
    pub first: u64,
    /// The last sequence that it has given.
    pub last: u64,
    /// When its last message was stored, in nanoseconds since 1970; zero if none was yet.
    pub last_time: i64,
    /// The subjects of its messages.
    pub subjects: u64,
    /// Messages that are appended to the journal and wait for the disk, so that nobody sees them yet.
    pub unapplied: u64,
    /// Messages that are still in the journal only, until a snapshot moves them.
    pub journaled: u64,
    /// Its files.
    pub files: u64,
    /// Those of its files in which damage was found at the start.
    pub damaged: Vec<Box<str>>,
    /// Its consumers, in the order of their names.
    pub consumers: Vec<ConsumerFigures>,
}

/// The figures of a consumer at a moment.
#[derive(Clone, Debug)]
pub struct ConsumerFigures {
    /// Its name.
    pub name: Arc<str>,
    /// The sequence up to which every message was delivered or passed over.
    pub delivered: u64,
    /// The sequence up to which every message was acknowledged.
    pub floor: u64,
    /// Messages that are to be delivered for the first time.
    pub pending: u64,
    /// Messages that wait for their acknowledgement.
    pub ack_pending: u64,
    /// Messages among these that were delivered more than once.
    pub redelivered: u64,
    /// Requests that wait for messages.
    pub waiting: u64,
}

impl Streams {
    /// What has happened since the start.
    pub fn counted(&self) -> Counted {
        let hub = self.hub();
        Counted {
            stored: hub.totals.stored.load(Relaxed),
            removed: hub.totals.removed.load(Relaxed),
            duplicates: hub.totals.duplicates.load(Relaxed),
            refused: hub.totals.refused.load(Relaxed),
            unreadable: hub.totals.unreadable.load(Relaxed),
            untold: hub.totals.untold.load(Relaxed),
            requests: hub.requests.load(Relaxed),
            refusals: hub.refusals.load(Relaxed),
        }
    }

    /// The figures of all streams, in the order of their names.
    pub fn figures(&self) -> Vec<StreamFigures> {
        self.all().iter().map(|stream| stream.figures()).collect()
    }
}

impl Stream {
    /// Its figures at this moment, found without reading the disk.
    pub fn figures(&self) -> StreamFigures {
        let state = self.state.lock();
        let (index, contents) = (state.data.index(), state.data.contents());
        let files = contents.segments.from(0);
        let damaged = files.iter().filter(|file| file.is_damaged()).map(|file| file.place().into());
        let consumers = state.consumers.in_order().map(|slot| {
            let report = slot.report(&state.data);
            ConsumerFigures {
                name: Arc::clone(&slot.name),
                delivered: report.delivered_stream,
                floor: report.floor_stream,
                pending: report.pending,
                ack_pending: report.ack_pending as u64,
                redelivered: report.redelivered as u64,
                waiting: report.waiting as u64,
            }
        });
        StreamFigures {
            name: Arc::clone(self.name()),
            messages: index.messages(),
            bytes: index.bytes(),
            first: index.first(),
            last: index.last(),
            last_time: state.data.last_time(),
            subjects: index.subjects(),
            unapplied: state.unapplied.stored().0,
            journaled: contents.journaled.len() as u64,
            files: files.len() as u64,
            damaged: damaged.collect(),
            consumers: consumers.collect(),
        }
    }
}
