//! Sinks by the subjects and wildcards that they take.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use quartet_protocol::broker::subject;
use smallvec::SmallVec;

use super::super::{Name, Sink, SinkId, Topic};
use super::exact::ExactSubjects;
use super::members::Wanting;
use super::wildcards::Wildcards;
use super::{Interest, Sought};

/// See the module's text.  Without a sink it takes no memory, and lookups pass it by.
#[derive(Default)]
pub(super) struct Sinks(OnceLock<Box<Kept>>);

#[derive(Default)]
struct Kept {
    exact: ExactSubjects<List>,
    /// Subjects of `exact`, about: while it is 0, nobody takes a lock to search them.
    exact_count: AtomicUsize,
    wildcards: Wildcards<List>,
}

/// A sink and the subject or wildcard that it takes.
pub(in super::super) struct PlacedSink {
    pattern: Name,
    sink: Arc<dyn Sink>,
}

impl PlacedSink {
    /// The subject or wildcard that it takes.
    pub(in super::super) fn pattern(&self) -> &[u8] {
        &self.pattern
    }
}

/// There is seldom more than one, since streams do not overlap.
type List = SmallVec<[Arc<PlacedSink>; 1]>;

impl Wanting for List {
    type Receiver = Arc<PlacedSink>;

    fn is_empty(&self) -> bool {
        SmallVec::is_empty(self)
    }

    fn add(&mut self, sink: Arc<PlacedSink>) {
        self.push(sink);
    }

    fn remove(&mut self, sink: &Arc<PlacedSink>) -> bool {
        let before = self.len();
        self.retain(|other| !Arc::ptr_eq(other, sink));
        self.len() < before
    }
}

impl Interest {
    /// Adds a sink for the messages of a subject or wildcard.
    pub(in super::super) fn add_sink(&self, pattern: &[u8], sink: Arc<dyn Sink>) -> SinkId {
        let placed = Arc::new(PlacedSink { pattern: pattern.into(), sink });
        self.sink_count(pattern).fetch_add(1, Relaxed);
        self.sinks.0.get_or_init(Box::default).add(self, Arc::clone(&placed));
        self.note_change(&Topic::of_pattern(pattern));
        SinkId(placed)
    }

    /// Removes a sink from the subject or wildcard that it was added for.
    pub(in super::super) fn remove_sink(&self, SinkId(placed): SinkId) {
        let is_removed = self.sinks.0.get().is_some_and(|kept| kept.remove(self, &placed));
        if is_removed {
            self.note_change(&Topic::of_pattern(&placed.pattern));
            self.sink_count(&placed.pattern).fetch_sub(1, Relaxed);
            self.shared.counts.sinks_ended.fetch_add(1, Relaxed);
        }
    }

    fn sink_count(&self, pattern: &[u8]) -> &AtomicUsize {
        let receivers = &self.shared.counts.receivers;
        if subject::is_hidden(pattern) { &receivers.hidden_sinks } else { &receivers.sinks }
    }
}

impl Sinks {
    /// Shows the sinks that take a subject, some perhaps twice.  A hidden subject is taken only by those that name its
    /// beginning.
    pub(super) fn visit(&self, sought: &Sought<'_>, mut see: impl FnMut(&Arc<dyn Sink>)) {
        let Some(kept) = self.0.get() else { return };
        let mut see_all = |list: &List| list.iter().for_each(|placed| see(&placed.sink));
        if kept.exact_count.load(Relaxed) > 0 {
            kept.exact.look_up(sought.hash, sought.subject, &mut see_all);
        }
        let is_visible = !subject::is_hidden(sought.subject);
        kept.wildcards.look_up(sought.first_hash, sought.subject, |list, names_first| {
            if is_visible || names_first {
                see_all(list);
            }
        });
    }
}

impl Kept {
    fn add(&self, interest: &Interest, placed: Arc<PlacedSink>) {
        let pattern = Arc::clone(&placed.pattern);
        if subject::has_wildcard(&pattern) {
            self.wildcards.add(interest.first_hash(&pattern), &pattern, placed);
        } else {
            self.exact_count.fetch_add(1, Relaxed);
            self.exact.add(interest.hash(&pattern), &pattern, placed);
        }
    }

    fn remove(&self, interest: &Interest, placed: &Arc<PlacedSink>) -> bool {
        let pattern = &placed.pattern;
        if subject::has_wildcard(pattern) {
            return self.wildcards.remove(interest.first_hash(pattern), pattern, placed);
        }
        let is_removed = self.exact.remove(interest.hash(pattern), pattern, placed);
        self.exact_count.fetch_sub(usize::from(is_removed), Relaxed);
        is_removed
    }
}
