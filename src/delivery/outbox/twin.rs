//! The queue beside a naive one, which does by searching lists what the queue does with places and indices.

use std::sync::Arc;

use smallvec::SmallVec;

use super::queue::{Bound, Entry, Queue, Taken};
use crate::delivery::budget::Budget;
use crate::delivery::{Message, Outbox, SharedMessage, Subscription, SubscriptionOptions, Topic};
use crate::random::Random;
use crate::settings::SlowConsumer;

const SUBJECTS: &[&str] = &["a", "b", "c"];
const SUBSCRIPTIONS: usize = 4;
const STEPS: usize = 3000;

/// A message by the number of its subscription, its subject, its own number and its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Waiting {
    subscription: usize,
    subject: usize,
    number: usize,
    length: usize,
}

/// What a receiver gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Got {
    Message(Waiting),
    Gap { subscription: usize, missed: u64 },
}

#[derive(Default)]
struct Twin {
    waiting: Vec<Waiting>,
    /// Messages that were missed, and the place from which on the notice may come, by subscription.
    gaps: [(u64, usize); SUBSCRIPTIONS],
    /// Subscriptions with a notice that comes when nothing else waits, in order.
    listed: Vec<usize>,
    /// Messages that have left at the front.
    first: usize,
    /// A message has waited that may give way to a later one, and such messages do, since something has waited all the time.
    has_latest: bool,
    keeps_latest: bool,
    missed: u64,
}

/// The policies and the most bytes.
struct Rules {
    policies: [SlowConsumer; SUBSCRIPTIONS],
    bytes_max: usize,
}

impl Twin {
    fn bytes(&self) -> usize {
        self.waiting.iter().map(|message| message.length).sum()
    }

    fn miss(&mut self, subscription: usize, place: usize) {
        self.missed += 1;
        let gap = &mut self.gaps[subscription];
        *gap = (gap.0 + 1, if gap.0 == 0 { place } else { place.min(gap.1) });
        if !self.listed.contains(&subscription) {
            self.listed.push(subscription);
        }
    }

    fn replace(&mut self, message: Waiting, rules: &Rules) -> bool {
        let keeps_latest = |of: usize| rules.policies[of] == SlowConsumer::KeepLatest;
        let is_same =
            |other: &Waiting| other.subscription == message.subscription && other.subject == message.subject;
        if !self.keeps_latest || !keeps_latest(message.subscription) {
            return false;
        }
        let Some(place) = self.waiting.iter().position(is_same) else { return false };
        self.waiting[place] = message;
        self.miss(message.subscription, self.first + place);
        true
    }

    fn add(&mut self, message: Waiting, unsent: usize, rules: &Rules) -> bool {
        let policy = rules.policies[message.subscription];
        if self.replace(message, rules) {
            self.make_room(0, rules);
            return true;
        }
        let length = message.length + if policy == SlowConsumer::Disconnect { unsent } else { 0 };
        if policy != SlowConsumer::DropNewest {
            self.make_room(length, rules);
            if self.replace(message, rules) {
                return true;
            }
        }
        if self.bytes() + length > rules.bytes_max {
            if policy == SlowConsumer::Disconnect {
                return false;
            }
            self.miss(message.subscription, self.first + self.waiting.len());
            return true;
        }
        self.has_latest |= policy == SlowConsumer::KeepLatest;
        self.waiting.push(message);
        true
    }

    /// Drops the last message, as when the budget of all receivers is exceeded.
    fn drop_last(&mut self) {
        let Some(dropped) = self.waiting.pop() else { return };
        let end = self.first + self.waiting.len();
        self.miss(dropped.subscription, end);
        self.gaps.iter_mut().for_each(|gap| gap.1 = gap.1.min(end));
    }

    fn note_empty(&mut self) {
        if self.waiting.is_empty() {
            (self.has_latest, self.keeps_latest) = (false, false);
        }
    }

    fn make_room(&mut self, length: usize, rules: &Rules) {
        if self.bytes() + length <= rules.bytes_max {
            return;
        }
        let is_droppable = |message: &Waiting| {
            matches!(
                rules.policies[message.subscription],
                SlowConsumer::DropOldest | SlowConsumer::KeepLatest
            )
        };
        if self.has_latest && !self.keeps_latest {
            self.keep_latest(rules);
        }
        while self.bytes() + length > rules.bytes_max && self.waiting.first().is_some_and(is_droppable) {
            let dropped = self.waiting.remove(0);
            self.first += 1;
            self.miss(dropped.subscription, 0);
            self.note_empty();
        }
        if self.bytes() + length > rules.bytes_max {
            while self.bytes() + length > rules.bytes_max - rules.bytes_max / 8
                && let Some(place) = self.waiting.iter().position(is_droppable)
            {
                let dropped = self.waiting.remove(place);
                // What is missing behind it moves with the messages there.
                let place = self.first + place;
                self.gaps.iter_mut().filter(|gap| gap.1 > place).for_each(|gap| gap.1 -= 1);
                self.miss(dropped.subscription, 0);
            }
        }
    }

    fn keep_latest(&mut self, rules: &Rules) {
        self.keeps_latest = true;
        let (before, mut gone) = (self.gaps, Vec::new());
        for (index, message) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            if self.replace(message, rules) {
                gone.push(self.first + index);
            } else {
                self.waiting.push(message);
            }
        }
        for (gap, (missed, place)) in self.gaps.iter_mut().zip(before) {
            let moved = gone.iter().filter(|gone| **gone < place).count();
            if missed > 0 {
                gap.1 = gap.1.min(place - moved);
            }
        }
    }

    fn take(&mut self, mut left: usize) -> Vec<Got> {
        let mut got = Vec::new();
        let had_room = left > 0;
        while left > 0 && !self.waiting.is_empty() {
            let message = self.waiting.remove(0);
            left = left.saturating_sub(message.length);
            let gap = &mut self.gaps[message.subscription];
            if gap.0 > 0 && gap.1 <= self.first {
                got.push(Got::Gap { subscription: message.subscription, missed: gap.0 });
                gap.0 = 0;
            }
            self.first += 1;
            got.push(Got::Message(message));
        }
        self.note_empty();
        if self.waiting.is_empty() && had_room {
            for subscription in std::mem::take(&mut self.listed) {
                let missed = std::mem::take(&mut self.gaps[subscription].0);
                if missed > 0 {
                    got.push(Got::Gap { subscription, missed });
                }
            }
        }
        got
    }
}

/// The queue with the subscriptions of its receiver.
struct Real {
    queue: Queue,
    subscriptions: Vec<Arc<Subscription>>,
    budget: Arc<Budget>,
}

impl Real {
    fn new(policies: [SlowConsumer; SUBSCRIPTIONS]) -> Real {
        let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
        let subscription = |policy: SlowConsumer| {
            let options =
                SubscriptionOptions { slow_consumer: Some(policy), ..SubscriptionOptions::default() };
            Subscription::new(Topic::of_pattern(b">"), options, &outbox)
        };
        let subscriptions = policies.into_iter().map(subscription).collect();
        Real { queue: Queue::default(), subscriptions, budget: Arc::default() }
    }

    fn message(&self, subject: usize, number: usize, padding: usize) -> Arc<SharedMessage> {
        let payload = format!("{number:08}{}", "x".repeat(padding));
        let message = Message::new(SUBJECTS[subject].as_bytes(), payload.as_bytes());
        Arc::new(SharedMessage::new(&message, &[], None, &self.budget))
    }

    fn number_of(&self, subscription: &Arc<Subscription>) -> usize {
        let is_same = |other: &Arc<Subscription>| Arc::ptr_eq(other, subscription);
        self.subscriptions.iter().position(is_same).expect("it is one of them")
    }

    fn take(&mut self, length: usize) -> Vec<Got> {
        let mut taken = SmallVec::new();
        self.queue.take(length, &mut taken);
        let got = |taken: &Taken| match taken {
            Taken::Gap(missed, subscription) => {
                Got::Gap { subscription: self.number_of(subscription), missed: *missed }
            }
            Taken::Entry(Entry::Message(message, subscription)) => {
                let text = std::str::from_utf8(message.as_message().payload).expect("it is text");
                let is_subject = |subject: &&str| subject.as_bytes() == message.subject();
                Got::Message(Waiting {
                    subscription: self.number_of(subscription),
                    subject: SUBJECTS.iter().position(is_subject).expect("it is one of them"),
                    number: text[..8].parse().expect("it is a number"),
                    length: message.length(),
                })
            }
            Taken::Entry(Entry::Ready(_)) => unreachable!("nothing was ready"),
        };
        taken.iter().map(got).collect()
    }
}

fn compare(seed: u64, policies: [SlowConsumer; SUBSCRIPTIONS]) {
    let mut random = Random::with_seed(seed);
    let (mut real, mut twin) = (Real::new(policies), Twin::default());
    let rules = Rules { policies, bytes_max: 300 + random.below(3000) };
    let bound = Bound { bytes_max: rules.bytes_max, policy: SlowConsumer::Disconnect };
    for number in 0..STEPS {
        let context = format!("seed {seed}, step {number}, {policies:?}");
        if random.below(6) == 0 {
            let length = [0, 1, 100, 1000, 1 << 20][random.below(5)];
            // The queue may stop earlier, since it takes a bounded number at a time.
            assert_eq!(real.take(length), twin.take(length), "{context}");
        } else if random.below(12) == 0 {
            for _ in 1..twin.waiting.len().min(1 + random.below(5)) {
                assert!(real.queue.drop_last());
                twin.drop_last();
            }
            real.queue.end_gaps();
        } else {
            let (subscription, subject) = (random.below(SUBSCRIPTIONS), random.below(SUBJECTS.len()));
            let (padding, unsent) = (random.below(80), random.below(2) * 100);
            let message = real.message(subject, number, padding);
            let length = message.length();
            let of = Arc::clone(&real.subscriptions[subscription]);
            let stays = real.queue.add(message, of, (&bound, unsent));
            assert_eq!(
                stays,
                twin.add(Waiting { subscription, subject, number, length }, unsent, &rules),
                "{context}"
            );
        }
        assert_eq!(real.queue.bytes(), twin.bytes(), "{context}");
        assert_eq!(real.queue.missed, twin.missed, "{context}");
        assert!(twin.bytes() <= rules.bytes_max, "{context}");
    }
    assert_eq!(real.take(usize::MAX), twin.take(usize::MAX));
    let missed: u64 = real.subscriptions.iter().map(|subscription| subscription.missed()).sum();
    assert_eq!(missed, twin.missed);
    drop(real.queue);
    assert_eq!(real.budget.used(), 0);
}

#[test]
fn a_queue_drops_what_a_naive_one_drops() {
    for &policy in SlowConsumer::ALL {
        (0..6).for_each(|seed| compare(seed, [policy; SUBSCRIPTIONS]));
    }
    for seed in 0..60 {
        let mut random = Random::with_seed(1000 + seed);
        compare(seed, std::array::from_fn(|_| SlowConsumer::ALL[random.below(SlowConsumer::ALL.len())]));
    }
}
