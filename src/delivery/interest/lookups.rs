//! What a publishing thread remembers of its lookups: the subscriptions that match the subjects it publishes to.
//!
//! A remembered lookup holds as long as the generations of its subject do, see `changes`.  A subject is remembered when it
//! comes for the second time, so subjects that are used once do not drive out those that are used all the time; inbox
//! subjects are never remembered.  The number of subjects and the subscriptions that they match are bounded.
//!
//! Remembered lookups hold subscriptions, and so their outboxes, beyond their end.  So a thread looks through them from
//! time to time, also when it has nothing to publish.

use std::sync::Arc;

use hashbrown::HashTable;

use super::super::{ChannelSpace, Interest};
use super::changes::{Slots, is_in_inbox};
use super::matches::Matches;
use super::{Shared, Sought, shrink};

/// Subjects that a thread remembers for each space.
const SUBJECTS_MAX: usize = 8192;

/// The subscriptions that all of them match.
const SUBSCRIPTIONS_MAX: usize = 1 << 18;

/// The sinks of a subject whose lookup is remembered.  Streams do not overlap, so there is seldom more than one.
const SINKS_MAX: usize = 16;

/// Subjects that were looked up and may come again.
const SIGHTINGS: usize = 4096;

/// A thread tells the others of its lookups after so many.
const UNTOLD_MAX: u64 = 64;

/// What is added for each turn of queue groups: 2⁶⁴ divided by the golden ratio.  Its multiples, and those of any of its
/// multiples, are spread evenly.
const TURN: u64 = 0x9e37_79b9_7f4a_7c15;

/// See the module's text.  A new one takes no memory, and neither does the first lookup.
#[derive(Default)]
pub(in super::super) struct Lookups {
    channels: Option<Box<Remembered>>,
    shard_channels: Option<Box<Remembered>>,
    /// Whether there was a lookup.
    has_looked_up: bool,
    /// Matches of a lookup that is not remembered.
    passing: Matches,
    turns: Turns,
}

/// Whose turn it is in queue groups.
#[derive(Default)]
pub(in super::super) struct Turns(u64);

/// The remembered lookups of one interest.
struct Remembered {
    shared: Arc<Shared>,
    lookups: HashTable<Lookup>,
    /// The number of subscriptions that they hold.
    subscriptions: usize,
    /// Parts of the hashes of subjects that were looked up.
    sightings: Box<[u32]>,
    /// The number of ended subscriptions and sinks when those that they leave behind were last looked for.
    ended: u64,
    untold: Untold,
}

struct Lookup {
    hash: u64,
    subject: Box<[u8]>,
    slots: Slots,
    /// The sum of the generations from before the lookup.
    generations: u64,
    /// Whether it was used since room was last made.
    is_used: bool,
    matches: Matches,
}

/// What the thread has counted and not told the others.
#[derive(Default)]
struct Untold {
    lookups: u64,
    hits: u64,
    /// Subjects and subscriptions that were told last.
    told: (usize, usize),
}

impl Lookups {
    /// The subscriptions that match a subject, and the turns of queue groups.  The caller ends its use of them with
    /// [`Lookups::release`].
    pub(in super::super) fn find(
        &mut self,
        space: ChannelSpace,
        interest: &Interest,
        subject: &[u8],
    ) -> (&Matches, &mut Turns) {
        let place = match space {
            ChannelSpace::Channels => &mut self.channels,
            ChannelSpace::ShardChannels => &mut self.shard_channels,
        };
        if !std::mem::replace(&mut self.has_looked_up, true) {
            // Many publish once with effects of their own.
            interest.shared.counts.add_lookups(1, 0);
            interest.find_into(&interest.sought(subject), &mut self.passing);
            return (&self.passing, &mut self.turns);
        }
        let remembered = place.get_or_insert_with(|| Box::new(Remembered::of(interest)));
        if !Arc::ptr_eq(&remembered.shared, &interest.shared) {
            **remembered = Remembered::of(interest);
        }
        (remembered.find(interest, subject, &mut self.passing), &mut self.turns)
    }

    /// The turns of queue groups.
    pub(in super::super) fn turns(&mut self) -> &mut Turns {
        &mut self.turns
    }

    /// Forgets the matches of the last lookup unless they are remembered.
    pub(in super::super) fn release(&mut self) {
        if !self.passing.is_empty() {
            self.passing.release();
        }
    }

    /// Forgets lookups that do not hold any more, if subscriptions have ended since the last time, and tells the others what
    /// was counted.
    pub(in super::super) fn forget_ended(&mut self) {
        for remembered in [&mut self.channels, &mut self.shard_channels].into_iter().flatten() {
            remembered.forget_ended();
        }
    }
}

impl Turns {
    /// The place of the member whose turn it is among so many, at least one.
    pub(in super::super) fn next(&mut self, members: usize) -> usize {
        self.0 = self.0.wrapping_add(TURN);
        ((u128::from(self.0) * members as u128) >> 64) as usize
    }
}

impl Remembered {
    fn of(interest: &Interest) -> Remembered {
        Remembered {
            shared: Arc::clone(&interest.shared),
            lookups: HashTable::new(),
            subscriptions: 0,
            sightings: vec![0; SIGHTINGS].into(),
            ended: 0,
            untold: Untold::default(),
        }
    }

    fn find<'m>(&'m mut self, interest: &Interest, subject: &[u8], passing: &'m mut Matches) -> &'m Matches {
        self.untold.lookups += 1;
        if self.untold.lookups == UNTOLD_MAX {
            self.tell();
        }
        let hash = interest.hash(subject);
        let Some(place) = self.lookups.find_bucket_index(hash, |lookup| *lookup.subject == *subject) else {
            return self.look_up(interest, subject, None, passing);
        };
        let holds = |lookup: &mut Lookup| {
            lookup.is_used = true;
            lookup.generations == self.shared.generations.sum(lookup.slots)
        };
        if self.lookups.get_bucket_mut(place).is_some_and(holds) {
            self.untold.hits += 1;
            return &self.lookups.get_bucket(place).expect("it was just found").matches;
        }
        let stale = self.lookups.get_bucket_entry(place).ok().map(|entry| entry.remove().0);
        self.look_up(interest, subject, stale, passing)
    }

    /// Looks a subject up, and remembers the lookup if the subject has been seen before.
    fn look_up<'m>(
        &'m mut self,
        interest: &Interest,
        subject: &[u8],
        stale: Option<Lookup>,
        passing: &'m mut Matches,
    ) -> &'m Matches {
        let sought = interest.sought(subject);
        let slots = Slots::of(sought.hash, sought.first_hash);
        // From before the lookup: a change meanwhile may be in it or not.
        let generations = self.shared.generations.sum(slots);
        let is_known = stale.is_some() || self.is_second_sight(&sought);
        let is_used = stale.is_some();
        let (subject, mut matches) = match stale {
            Some(stale) => {
                self.subscriptions -= stale.matches.len();
                (Some(stale.subject), stale.matches)
            }
            None => (None, std::mem::take(passing)),
        };
        matches.clear();
        interest.find_into(&sought, &mut matches);
        let count = matches.len();
        if !is_known || count > SUBSCRIPTIONS_MAX || matches.sinks.len() > SINKS_MAX {
            *passing = matches;
            return passing;
        }
        self.make_room(count);
        self.subscriptions += count;
        let subject = subject.unwrap_or_else(|| sought.subject.into());
        let lookup = Lookup { hash: sought.hash, subject, slots, generations, is_used, matches };
        &self.lookups.insert_unique(sought.hash, lookup, |lookup| lookup.hash).into_mut().matches
    }

    /// Whether the subject may be remembered and seems to have been looked up before.
    fn is_second_sight(&mut self, sought: &Sought<'_>) -> bool {
        let sighting = &mut self.sightings[(sought.hash >> 16) as usize % SIGHTINGS];
        let mark = (sought.hash >> 32) as u32 | 1;
        std::mem::replace(sighting, mark) == mark && !is_in_inbox(sought.subject)
    }

    /// Forgets lookups that have not been used for long until another one fits, or all if there are too few of those.
    fn make_room(&mut self, count: usize) {
        let fits = |remembered: &Remembered, part: usize| {
            remembered.lookups.len() < SUBJECTS_MAX / part
                && remembered.subscriptions + count <= SUBSCRIPTIONS_MAX / part
        };
        if fits(self, 1) {
            return;
        }
        let generations = &self.shared.generations;
        self.lookups.retain(|lookup| {
            std::mem::take(&mut lookup.is_used) && lookup.generations == generations.sum(lookup.slots)
        });
        self.count_subscriptions();
        if !fits(self, 2) {
            self.lookups.clear();
            self.subscriptions = 0;
        }
    }

    fn forget_ended(&mut self) {
        let ended = self.shared.counts.receivers_ended();
        if std::mem::replace(&mut self.ended, ended) != ended {
            let generations = &self.shared.generations;
            self.lookups.retain(|lookup| lookup.generations == generations.sum(lookup.slots));
            shrink(&mut self.lookups, |lookup| lookup.hash);
            self.count_subscriptions();
        }
        self.tell();
    }

    fn count_subscriptions(&mut self) {
        self.subscriptions = self.lookups.iter().map(|lookup| lookup.matches.len()).sum();
    }

    /// Adds what was counted to the counts of all threads.
    fn tell(&mut self) {
        let now = (self.lookups.len(), self.subscriptions);
        let Untold { lookups, hits, told } = std::mem::take(&mut self.untold);
        self.untold.told = now;
        self.shared.counts.add_lookups(lookups, hits);
        self.shared.counts.change_remembered(told, now);
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        self.lookups.clear();
        self.subscriptions = 0;
        self.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Outbox, Subscription, SubscriptionOptions, Topic};
    use super::*;

    fn subscribe(interest: &Interest, count: usize) {
        let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
        for _ in 0..count {
            let topic = Topic::of_pattern(b"*");
            interest.subscribe(Subscription::new(topic, SubscriptionOptions::default(), &outbox));
        }
    }

    /// Looks a subject up for the first and second time.  Returns the number of subscriptions found.
    fn find_twice(lookups: &mut Lookups, interest: &Interest, subject: usize) -> usize {
        let subject = subject.to_string();
        let counts = [(); 2].map(|()| {
            let count = lookups.find(ChannelSpace::Channels, interest, subject.as_bytes()).0.len();
            lookups.release();
            count
        });
        assert_eq!(counts[0], counts[1]);
        counts[0]
    }

    fn remembered(lookups: &Lookups) -> &Remembered {
        lookups.channels.as_ref().expect("there were lookups")
    }

    #[test]
    fn the_number_of_remembered_subjects_is_bounded_and_those_in_use_stay() {
        let (interest, mut lookups) = (Interest::default(), Lookups::default());
        subscribe(&interest, 1);
        for subject in 1..3 * SUBJECTS_MAX {
            assert_eq!(find_twice(&mut lookups, &interest, subject), 1);
            assert_eq!(find_twice(&mut lookups, &interest, 0), 1);
            assert!(remembered(&lookups).lookups.len() <= SUBJECTS_MAX);
        }
        let hits = |lookups: &mut Lookups| {
            lookups.forget_ended();
            interest.report().lookups as f64 * interest.report().hit_rate
        };
        let before = hits(&mut lookups);
        find_twice(&mut lookups, &interest, 0);
        assert_eq!(hits(&mut lookups) - before, 2.0);
        assert!(before >= 2.0 * (3 * SUBJECTS_MAX - 4) as f64, "the subject in use was always remembered");
    }

    #[test]
    fn the_subscriptions_of_remembered_subjects_are_bounded() {
        let (interest, mut lookups) = (Interest::default(), Lookups::default());
        let each = SUBSCRIPTIONS_MAX / 16;
        subscribe(&interest, each);
        find_twice(&mut lookups, &interest, 99);
        for subject in 0..40 {
            assert_eq!(find_twice(&mut lookups, &interest, subject), each);
            let remembered = remembered(&lookups);
            assert_eq!(remembered.subscriptions, remembered.lookups.len() * each);
            assert!(remembered.subscriptions <= SUBSCRIPTIONS_MAX);
        }
        assert_eq!(remembered(&lookups).lookups.len(), 40 % 16);
    }

    #[test]
    fn a_subject_with_too_many_subscriptions_is_looked_up_each_time() {
        let (interest, mut lookups) = (Interest::default(), Lookups::default());
        subscribe(&interest, SUBSCRIPTIONS_MAX);
        find_twice(&mut lookups, &interest, 0);
        find_twice(&mut lookups, &interest, 0);
        assert_eq!(remembered(&lookups).lookups.len(), 1);
        subscribe(&interest, 1);
        assert_eq!(find_twice(&mut lookups, &interest, 0), SUBSCRIPTIONS_MAX + 1);
        assert_eq!((remembered(&lookups).lookups.len(), remembered(&lookups).subscriptions), (0, 0));
        assert!(lookups.passing.is_empty() && lookups.passing.each.capacity() <= 1024);
    }
}
