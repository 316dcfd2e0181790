//! The interest against a list of all subscriptions and sinks, each of which is tried: random subscribing, ending, publishing
//! and delivering by several threads, each with what it remembers.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::alarm::Alarm;
use crate::delivery::{Effects, FanOut, Message, Outbox, Sink, SinkId, SubscriptionOptions};
use crate::glob;
use crate::random::Random;

const STEPS: usize = 3000;
const THREADS: usize = 3;

const SUBJECTS: &[&str] = &[
    "a",
    "b",
    "a.a",
    "a.b",
    "a.b.a",
    "a.b.a.b",
    "b.a",
    "b.b.b",
    "$S",
    "$S.a",
    "$SYS.a",
    "_INBOX",
    "_INBOX.a",
    "_INBOXES.a",
    "a..b",
    "",
    ".",
    "a b",
    "*",
    "a.*",
    "a.>",
    "[a].b",
    "\\",
];

/// So many of them are valid and without wildcards.
const LITERAL_SUBJECTS: usize = 14;

const WILDCARDS: &[&str] = &[
    "*", ">", "a.*", "a.>", "*.a", "*.b.*", "a.*.a", "a.*.>", "*.*", "*.>", "a.b.a.*", "$S.>", "$*.a",
    "_INBOX.>", "_INBOX.*", "b.b.>",
];

const GLOBS: &[&str] = &[
    "*", "a*", "a.*", "a?b", "a[.]b", "?", "", "a", "\\$S*", "$S.?", "_INBOX*", "_INBOX.*", "[$]S", "*b",
    "a\\.b", "\\[a].*", "\\\\", "\\", "a.[", "a.b*",
];

/// What the list says of one publishing.
#[derive(Default)]
struct Expected {
    each: Vec<usize>,
    /// The members of each group that may get it.
    groups: Vec<(Name, Vec<usize>)>,
}

struct Twin {
    random: Random,
    fan_out: FanOut,
    /// All subscriptions that have not ended.
    list: Vec<Arc<Subscription>>,
    /// All sinks by the subjects and wildcards that they take, some of them by several.
    sinks: Vec<(SinkId, Arc<Counting>)>,
    next_client: u64,
}

/// A sink that counts.
#[derive(Default)]
struct Counting(AtomicU64);

impl Sink for Counting {
    fn take(&self, _message: &Message<'_>, _effects: &mut Effects) -> bool {
        self.0.fetch_add(1, Relaxed);
        true
    }
}

impl Twin {
    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.random.below(texts.len())]
    }

    fn subscribe(&mut self) {
        let topic = match self.random.below(3) {
            0 => Topic::exact(self.pick(SUBJECTS).as_bytes()),
            1 => Topic::of_pattern(self.pick(WILDCARDS).as_bytes()),
            _ => Topic::glob(self.pick(GLOBS).as_bytes()).expect("a simple glob"),
        };
        let options = SubscriptionOptions {
            group: [None, None, Some("g"), Some("h")][self.random.below(4)]
                .map(|name| name.as_bytes().into()),
            echo: self.random.below(2) == 0,
            sees_hidden: self.random.below(2) == 0,
            only_events: self.random.below(8) == 0,
            ..SubscriptionOptions::default()
        };
        self.next_client += 1;
        let outbox = Arc::new(Outbox::new(self.next_client, "127.0.0.1:1".parse().expect("an address")));
        let subscription = Subscription::new(topic, options, &outbox);
        if self.random.below(4) == 0 {
            subscription.end_after(1 + self.random.below(5) as u64, &mut Effects::default());
        }
        self.fan_out.channels.subscribe(Arc::clone(&subscription));
        self.list.push(subscription);
    }

    fn unsubscribe(&mut self) {
        if !self.list.is_empty() {
            let place = self.random.below(self.list.len());
            self.fan_out.channels.unsubscribe(&self.list.swap_remove(place));
        }
    }

    fn add_sink(&mut self) {
        let pattern = match self.random.below(2) {
            0 => self.pick(&SUBJECTS[..LITERAL_SUBJECTS]),
            _ => self.pick(WILDCARDS),
        };
        let known = self.random.below(2 * self.sinks.len() + 1);
        let sink = self.sinks.get(known).map_or_else(Arc::default, |(_, sink)| Arc::clone(sink));
        let added = Arc::<Counting>::clone(&sink);
        self.sinks.push((self.fan_out.add_sink(pattern.as_bytes(), added), sink));
    }

    fn remove_sink(&mut self) {
        if !self.sinks.is_empty() {
            let place = self.random.below(self.sinks.len());
            self.fan_out.remove_sink(self.sinks.swap_remove(place).0);
        }
    }

    /// Whether a sink takes the messages of a subject.
    fn is_taken(&self, sink: &Arc<Counting>, subject: &[u8]) -> bool {
        self.sinks.iter().any(|(id, other)| Arc::ptr_eq(other, sink) && takes(id.pattern(), subject))
    }

    fn expected(&self, message: &Message<'_>, target: &[u8]) -> Expected {
        let mut expected = Expected::default();
        for (place, subscription) in self.list.iter().enumerate() {
            let (options, outbox) = (subscription.options(), subscription.outbox());
            let is_refused = (options.only_events && message.kind.is_none())
                || (!options.echo && message.sender == Some(outbox.id()))
                || outbox.is_closing();
            if is_refused || !matches(subscription, target) {
                continue;
            }
            let Some(name) = &options.group else {
                expected.each.push(place);
                continue;
            };
            match expected.groups.iter_mut().find(|(other, _)| other == name) {
                Some((_, members)) => members.push(place),
                None => expected.groups.push((Arc::clone(name), vec![place])),
            }
        }
        expected
    }

    fn publish(&mut self, effects: &mut Effects) {
        let subject = self.pick(SUBJECTS);
        let kind = [None, Some("event")][self.random.below(2)];
        let sender = Some(self.random.below(self.next_client as usize + 1) as u64);
        let is_delivery = self.random.below(4) == 0;
        let own = if is_delivery { self.pick(SUBJECTS) } else { subject };
        let message = Message { kind, sender, ..Message::new(own.as_bytes(), b"{}") };
        let expected = self.expected(&message, subject.as_bytes());
        let before: Vec<u64> = self.list.iter().map(|subscription| subscription.delivered()).collect();
        self.sinks.iter().for_each(|(_, sink)| sink.0.store(0, Relaxed));
        let receivers = match is_delivery {
            true => self.fan_out.send_to(subject.as_bytes(), &message, effects),
            false => self.fan_out.publish(&message, effects),
        };
        for (_, sink) in &self.sinks {
            let is_taken = !is_delivery && self.is_taken(sink, subject.as_bytes());
            assert_eq!(sink.0.load(Relaxed), u64::from(is_taken), "{subject:?}");
        }
        let is_heard = self.sinks.iter().any(|(_, sink)| sink.0.load(Relaxed) > 0);
        assert_eq!(receivers.is_heard, is_heard, "{subject:?}");
        effects.deliver(&Alarm::default());
        let received = |place: &usize| self.list[*place].delivered() - before[*place];
        assert_eq!(receivers.count, expected.each.len() + expected.groups.len(), "{subject:?}");
        assert!(expected.each.iter().all(|place| received(place) == 1), "{subject:?}");
        for (_, members) in &expected.groups {
            assert_eq!(members.iter().map(received).sum::<u64>(), 1, "{subject:?}");
        }
        let all: u64 = (0..self.list.len()).map(|place| received(&place)).sum();
        assert_eq!(all, receivers.count as u64, "{subject:?}");
        self.list.retain(|subscription| !subscription.is_spent());
    }

    fn check_counts(&self) {
        let interest = &self.fan_out.channels;
        let texts = |is_wanted: fn(&Topic) -> bool| {
            let topics = self.list.iter().map(|subscription| subscription.topic());
            let texts: std::collections::HashSet<_> =
                topics.filter(|topic| is_wanted(topic)).map(Topic::text).collect();
            texts.len()
        };
        assert_eq!(interest.subscription_count(), self.list.len());
        assert_eq!(interest.subject_count(), texts(|topic| matches!(topic, Topic::Exact(_))));
        assert_eq!(interest.wildcard_count(), texts(|topic| matches!(topic, Topic::Wildcard(_))));
        assert_eq!(interest.glob_count(), texts(|topic| matches!(topic, Topic::Glob(..))));
        assert_eq!(interest.subscriptions(0, usize::MAX).len(), self.list.len());
        for subject in SUBJECTS {
            let is_match = |subscription: &&Arc<Subscription>| matches(subscription, subject.as_bytes());
            let count = self.list.iter().filter(is_match).count();
            assert_eq!(interest.subscribers_of(subject.as_bytes()).len(), count, "{subject:?}");
            let is_taken = self.sinks.iter().any(|(id, _)| takes(id.pattern(), subject.as_bytes()));
            let is_heard = |subscription: &&Arc<Subscription>| !subscription.options().only_events;
            let has_interest = is_taken || self.list.iter().filter(is_match).any(|one| is_heard(&one));
            assert_eq!(interest.has_interest(subject.as_bytes()), has_interest, "{subject:?}");
            assert!(interest.may_want(subject.as_bytes()) || count == 0 && !is_taken, "{subject:?}");
        }
    }
}

/// Whether a sink of this subject or wildcard takes a subject, by the plain rules.
fn takes(pattern: &[u8], subject: &[u8]) -> bool {
    let is_match = match subject::has_wildcard(pattern) {
        true => subject::is_valid_subject(subject) && subject::matches(pattern, subject),
        false => pattern == subject,
    };
    is_match && (!subject::is_hidden(subject) || subject::is_hidden(pattern))
}

/// Whether a subscription wants a subject, by the plain rules.
fn matches(subscription: &Subscription, subject: &[u8]) -> bool {
    let sees = |names_hidden: bool| {
        let sees_hidden = subscription.options().sees_hidden && !subject::is_system(subject);
        !subject::is_hidden(subject) || names_hidden || sees_hidden
    };
    match subscription.topic() {
        Topic::Exact(text) => **text == *subject,
        Topic::Wildcard(text) => {
            let is_match = subject::is_valid_subject(subject) && subject::matches(text, subject);
            is_match && sees(subject::is_hidden(text))
        }
        Topic::Glob(text, _) => {
            let names_hidden =
                ["$", "\\$", "_INBOX.", "_INBOX*"].iter().any(|start| text.starts_with(start.as_bytes()));
            let is_match = glob::matches(text, subject) && (text.is_empty() || !subject.is_empty());
            is_match && sees(names_hidden)
        }
    }
}

#[test]
fn it_finds_what_a_list_of_all_subscriptions_finds() {
    for seed in 0..8 {
        let random = Random::with_seed(seed);
        let mut twin =
            Twin { random, fan_out: FanOut::default(), list: Vec::new(), sinks: Vec::new(), next_client: 0 };
        let mut threads: Vec<Effects> = (0..THREADS).map(|_| Effects::default()).collect();
        for step in 0..STEPS {
            match twin.random.below(18) {
                0 => twin.subscribe(),
                1 => twin.unsubscribe(),
                12 => twin.add_sink(),
                13 => twin.remove_sink(),
                2 if twin.random.below(20) == 0 && !twin.list.is_empty() => {
                    let place = twin.random.below(twin.list.len());
                    twin.list[place].outbox().close();
                }
                _ => {
                    let thread = twin.random.below(THREADS);
                    twin.publish(&mut threads[thread]);
                }
            }
            if step % 100 == 0 {
                twin.check_counts();
                threads.iter_mut().for_each(Effects::forget_ended);
            }
        }
        let report = twin.fan_out.channels.report();
        assert!(report.hit_rate > 0.1, "the threads remember: {report:?}");
        let ended = twin.list.clone();
        let ended_sinks: Vec<_> = twin.sinks.iter().map(|(_, sink)| Arc::downgrade(sink)).collect();
        while !twin.sinks.is_empty() {
            twin.remove_sink();
        }
        while !twin.list.is_empty() {
            twin.unsubscribe();
        }
        twin.check_counts();
        threads.iter_mut().for_each(Effects::forget_ended);
        assert!(ended.iter().all(|subscription| Arc::strong_count(subscription) == 1));
        assert!(ended_sinks.iter().all(|sink| sink.strong_count() == 0));
    }
}
