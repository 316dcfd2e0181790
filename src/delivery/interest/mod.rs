//! Who wants which subjects.
//!
//! Subscriptions are kept by what they name: exact subjects in a hash table, wildcards in trees of tokens, globs by their
//! literal prefixes.  Sinks, the receivers within the server, are kept beside them in the same way, but for globs.  To add or remove one costs no more than its own length, however many there are.  A lookup visits only
//! what begins as the subject does.  Each publishing thread remembers the lookups of the subjects that it publishes to, so
//! that a message seldom needs one.
//!
//! No lock is held while a message goes out.  So a message that is published while a subscription ends may still reach it, but
//! one that is published afterwards does not.

mod changes;
mod counts;
mod exact;
mod globs;
mod lookups;
mod matches;
mod members;
mod sinks;
#[cfg(test)]
mod tests;
mod tree;
#[cfg(test)]
mod twin;
mod wildcards;

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hashbrown::HashTable;
use quartet_protocol::broker::subject;

use super::{Name, Subscription, SubscriptionOptions, Topic};
use crate::glob::{Pattern, PatternTooComplex};
use changes::Generations;
use counts::{Counts, Receivers};
use exact::ExactSubjects;
use globs::Globs;
use members::Members;
use sinks::Sinks;
use wildcards::Wildcards;

pub use counts::InterestReport;
pub(super) use lookups::{Lookups, Turns};
pub use matches::Matches;
pub(super) use sinks::PlacedSink;

/// See the module's text.
#[derive(Default)]
pub struct Interest {
    hasher: foldhash::fast::RandomState,
    exact: ExactSubjects,
    wildcards: Wildcards,
    globs: Globs,
    sinks: Sinks,
    shared: Arc<Shared>,
}

/// What threads keep beside the lookups that they remember.
#[derive(Default)]
struct Shared {
    generations: Generations,
    counts: Counts,
}

/// A subject that is looked up.
struct Sought<'s> {
    subject: &'s [u8],
    hash: u64,
    /// The hash of its first token.
    first_hash: u64,
}

impl Interest {
    /// Whether anybody may want a subject, or one with this beginning: false only if nobody does.  This costs a look at two
    /// numbers.
    #[inline]
    pub fn may_want(&self, subject: &[u8]) -> bool {
        let Receivers { subscriptions, sinks, hidden_sinks } = &*self.shared.counts.receivers;
        subscriptions.load(Relaxed) > 0
            || if subject::is_hidden(subject) { hidden_sinks } else { sinks }.load(Relaxed) > 0
    }

    /// Adds a subscription, which must be new.
    pub fn subscribe(&self, subscription: Arc<Subscription>) {
        self.shared.counts.receivers.subscriptions.fetch_add(1, Relaxed);
        self.shared.counts.started.fetch_add(1, Relaxed);
        let added = Arc::clone(&subscription);
        match subscription.topic() {
            Topic::Exact(text) => self.exact.add(self.hash(text), text, added),
            Topic::Wildcard(text) => self.wildcards.add(self.first_hash(text), text, added),
            Topic::Glob(text, pattern) => self.globs.add(text, pattern, added),
        }
        self.note_change(subscription.topic());
    }

    /// Ends a subscription for good; false if it is not there.
    pub fn unsubscribe(&self, subscription: &Arc<Subscription>) -> bool {
        // Publishers may have found it just now.
        subscription.end();
        let is_removed = match subscription.topic() {
            Topic::Exact(text) => self.exact.remove(self.hash(text), text, subscription),
            Topic::Wildcard(text) => self.wildcards.remove(self.first_hash(text), text, subscription),
            Topic::Glob(text, pattern) => self.globs.remove(text, pattern, subscription),
        };
        if is_removed {
            self.note_change(subscription.topic());
            self.shared.counts.receivers.subscriptions.fetch_sub(1, Relaxed);
        }
        is_removed
    }

    /// The subscriptions and sinks that match a subject.
    pub fn find(&self, subject: &[u8]) -> Matches {
        let mut matches = Matches::default();
        self.find_into(&self.sought(subject), &mut matches);
        matches
    }

    /// The [number](super::Sink::number) of a sink that takes the messages of a subject.
    pub fn numbered_sink(&self, subject: &[u8]) -> Option<u64> {
        let mut number = None;
        self.sinks.visit(&self.sought(subject), |sink| number = number.or_else(|| sink.number()));
        number
    }

    /// Whether somebody gets the messages that clients publish on a subject: a subscriber or a sink.
    pub fn has_interest(&self, subject: &[u8]) -> bool {
        let mut has_interest = self.has_subscriber(subject);
        self.sinks.visit(&self.sought(subject), |_| has_interest = true);
        has_interest
    }

    /// Whether a subscriber gets the messages of a subject.  Deliveries reach subscribers only.
    pub fn has_subscriber(&self, subject: &[u8]) -> bool {
        self.has_subscriber_that(subject, |_| true)
    }

    fn has_subscriber_that(&self, subject: &[u8], is_meant: impl Fn(&SubscriptionOptions) -> bool) -> bool {
        let mut has_interest = false;
        let is_system = subject::is_system(subject);
        self.visit(&self.sought(subject), |members, sees_all| {
            let is_wanted = |subscription: &Arc<Subscription>| {
                let options = subscription.options();
                (sees_all || (options.sees_hidden && !is_system)) && !options.only_events && is_meant(options)
            };
            has_interest = has_interest || members.iter().any(is_wanted);
        });
        has_interest
    }

    /// Whether a subscriber of this queue group, or one that is in no group, gets the messages of a subject.
    pub fn has_subscriber_in(&self, group: Option<&[u8]>, subject: &[u8]) -> bool {
        self.has_subscriber_that(subject, |options| options.group.as_deref() == group)
    }

    /// All subscriptions that match a subject, every member of a queue group among them.
    pub fn subscribers_of(&self, subject: &[u8]) -> Vec<Arc<Subscription>> {
        self.find(subject).into_subscriptions()
    }

    /// Up to `count` subscriptions behind the first `skipped`, in an order that stays the same while none is added or ends.
    pub fn subscriptions(&self, skipped: usize, count: usize) -> Vec<Arc<Subscription>> {
        let (mut left, mut found) = (skipped, Vec::new());
        let mut see = |members: &Members| {
            let passed = left.min(members.len());
            left -= passed;
            found.extend(members.iter().skip(passed).take(count - found.len()).cloned());
        };
        self.exact.visit(|_, members| see(members));
        self.wildcards.visit(&mut see);
        self.globs.visit(&mut see);
        found
    }

    /// The number of exact subjects with a subscription.
    pub fn subject_count(&self) -> usize {
        self.exact.len()
    }

    /// The exact subjects that have a subscription and match the glob, in the order of their bytes.
    ///
    /// # Errors
    /// If the glob is too complex.
    pub fn subjects(&self, glob: Option<&[u8]>) -> Result<Vec<Name>, PatternTooComplex> {
        let read = glob.map(|text| Ok((text, Pattern::new(text)?))).transpose()?;
        let is_wanted =
            |name: &Name| read.as_ref().is_none_or(|(text, read)| globs::matches(read, text, name));
        let mut subjects = Vec::new();
        self.exact.visit(|name, _| subjects.extend(is_wanted(name).then(|| Arc::clone(name))));
        subjects.sort_unstable();
        Ok(subjects)
    }

    /// The number of subscriptions to exactly this subject, without those of wildcards and globs.
    pub fn subscriber_count(&self, subject: &[u8]) -> usize {
        self.exact.look_up(self.hash(subject), subject, Members::len).unwrap_or(0)
    }

    /// The number of different globs.
    pub fn glob_count(&self) -> usize {
        self.globs.len()
    }

    /// The number of different wildcards.
    pub fn wildcard_count(&self) -> usize {
        self.wildcards.len()
    }

    /// The number of subscriptions of any kind.
    pub fn subscription_count(&self) -> usize {
        self.shared.counts.receivers.subscriptions.load(Relaxed)
    }

    /// Counts of subscriptions and lookups.
    pub fn report(&self) -> InterestReport {
        self.shared.counts.report()
    }

    #[inline]
    fn hash(&self, text: &[u8]) -> u64 {
        self.hasher.hash_one(text)
    }

    fn first_hash(&self, text: &[u8]) -> u64 {
        self.hash(subject::first_token(text))
    }

    fn sought<'s>(&self, subject: &'s [u8]) -> Sought<'s> {
        Sought { subject, hash: self.hash(subject), first_hash: self.first_hash(subject) }
    }

    /// Adds the subscriptions and sinks that match a subject to `matches`.
    fn find_into(&self, sought: &Sought<'_>, matches: &mut Matches) {
        let is_system = subject::is_system(sought.subject);
        self.visit(sought, |members, sees_all| {
            let sees = |options: &SubscriptionOptions| sees_all || (options.sees_hidden && !is_system);
            matches.add(members, |subscription| sees(subscription.options()));
        });
        self.sinks.visit(sought, |sink| matches.add_sink(sink));
        self.shared.counts.note_found(matches.len());
    }

    /// Shows the subscriptions that match a subject.  The second argument says whether they do so whatever their options:
    /// the subject is hidden otherwise, and their wildcard or glob does not name its beginning.
    fn visit(&self, sought: &Sought<'_>, mut see: impl FnMut(&Members, bool)) {
        let Sought { subject, hash, first_hash } = *sought;
        let is_visible = !subject::is_hidden(subject);
        self.exact.look_up(hash, subject, |members| see(members, true));
        self.wildcards.look_up(first_hash, subject, |members, names_first| {
            see(members, is_visible || names_first);
        });
        self.globs.look_up(subject, |members, names_hidden| see(members, is_visible || names_hidden));
    }

    /// Notes that the subscriptions to a topic have changed, for the threads that remember lookups.
    fn note_change(&self, topic: &Topic) {
        let generations = &self.shared.generations;
        let change_first_token =
            |text: &[u8]| generations.change_first_token(subject::first_token(text), self.first_hash(text));
        match topic {
            Topic::Exact(text) => generations.change_subject(text, self.hash(text)),
            Topic::Wildcard(text) if wildcards::begins_with_wildcard(text) => generations.change_any(),
            Topic::Wildcard(text) => change_first_token(text),
            Topic::Glob(_, pattern) => {
                let prefix = pattern.literal_prefix();
                let names_first_token = pattern.is_literal() || prefix.contains(&b'.');
                if names_first_token { change_first_token(&prefix) } else { generations.change_any() }
            }
        }
    }
}

/// Gives memory of a table back once it needs only a small part of it.
fn shrink<T>(table: &mut HashTable<T>, hash: impl Fn(&T) -> u64) {
    if table.len() < table.capacity() / 8 {
        table.shrink_to(2 * table.len(), hash);
    }
}
