//! What holds for the interest as a whole, and for what threads remember of it.

use super::changes::Slots;
use super::*;
use crate::alarm::Alarm;
use crate::delivery::{Effects, FanOut, Message, Outbox, SubscriptionOptions};

fn outbox(client: u64) -> Arc<Outbox> {
    Arc::new(Outbox::new(client, "127.0.0.1:1".parse().expect("an address")))
}

fn glob(text: &str) -> Topic {
    Topic::glob(text.as_bytes()).expect("a simple glob")
}

fn subscribe(interest: &Interest, topic: Topic, client: u64, group: Option<&str>) -> Arc<Subscription> {
    let group = group.map(|name| name.as_bytes().into());
    let options = SubscriptionOptions { group, ..SubscriptionOptions::default() };
    let subscription = Subscription::new(topic, options, &outbox(client));
    interest.subscribe(Arc::clone(&subscription));
    subscription
}

fn found(interest: &Interest, subject: &str) -> Vec<(u64, String)> {
    let named = |subscription: &Arc<Subscription>| {
        let text = String::from_utf8_lossy(subscription.topic().text()).into_owned();
        (subscription.outbox().id(), text)
    };
    interest.find(subject.as_bytes()).each.iter().map(named).collect()
}

/// Publishes in a batch of its own.  Returns the number of receivers.
fn publish(fan_out: &FanOut, subject: &str, effects: &mut Effects) -> usize {
    let receivers = fan_out.publish(&Message::new(subject.as_bytes(), b"x"), effects);
    effects.deliver(&Alarm::default());
    receivers.count
}

/// The lookups that were not remembered.
fn misses(interest: &Interest, effects: &mut Effects) -> u64 {
    effects.forget_ended();
    let counts = &interest.shared.counts;
    counts.lookups.load(Relaxed) - counts.hits.load(Relaxed)
}

/// First tokens or subjects that share no generation.
fn apart(interest: &Interest, beginning: &str, slot: fn(u64) -> u16) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    let names = (0..200).map(|number| format!("{beginning}{number}"));
    names.filter(|name| taken.insert(slot(interest.hash(name.as_bytes())))).collect()
}

#[test]
fn nothing_is_left_of_subscriptions_that_ended() {
    let interest = Interest::default();
    let subscriptions = [
        subscribe(&interest, Topic::exact(b"news"), 1, None),
        subscribe(&interest, Topic::exact(b"news"), 2, None),
        subscribe(&interest, glob("n*"), 2, None),
        subscribe(&interest, glob("*"), 2, None),
        subscribe(&interest, Topic::of_pattern(b">"), 3, None),
    ];
    let expected = [(1, "news"), (2, "news"), (3, ">"), (2, "*"), (2, "n*")];
    assert_eq!(found(&interest, "news"), expected.map(|(client, text)| (client, text.to_owned())));
    assert_eq!(found(&interest, "two words"), [(2, "*".to_owned())]);
    assert_eq!((interest.subject_count(), interest.subscriber_count(b"news")), (1, 2));
    assert_eq!(interest.subscriptions(0, 9).len(), 5);
    assert_eq!((interest.subscriptions(1, 3).len(), interest.subscriptions(3, 9).len()), (3, 2));
    for subscription in &subscriptions {
        interest.unsubscribe(subscription);
        interest.unsubscribe(subscription);
    }
    assert_eq!(found(&interest, "news"), []);
    assert_eq!((interest.subject_count(), interest.glob_count(), interest.wildcard_count()), (0, 0, 0));
    assert!(!interest.may_want(b"news"));
    assert_eq!((interest.report().started, interest.report().ended), (5, 5));
}

#[test]
fn members_of_a_group_are_found_together() {
    let interest = Interest::default();
    subscribe(&interest, Topic::exact(b"jobs.mail"), 1, Some("workers"));
    subscribe(&interest, Topic::of_pattern(b"jobs.*"), 2, Some("workers"));
    subscribe(&interest, Topic::of_pattern(b"jobs.>"), 3, Some("others"));
    let groups = interest.find(b"jobs.mail").groups;
    assert_eq!(groups.iter().map(|group| group.members.len()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(interest.subscribers_of(b"jobs.mail").len(), 3);
}

#[test]
fn hidden_subjects_are_seen_by_those_who_name_them() {
    let interest = Interest::default();
    let wildcard = |text: &str| Topic::of_pattern(text.as_bytes());
    let topics =
        [glob("*"), glob("$*"), glob("_INBOX.*"), wildcard(">"), wildcard("$SYS.*"), wildcard("_INBOX.>")];
    for (client, topic) in (1..).zip(topics) {
        subscribe(&interest, topic, client, None);
    }
    let clients =
        |subject| found(&interest, subject).into_iter().map(|(client, _)| client).collect::<Vec<_>>();
    assert_eq!(clients("$SYS.x"), [5, 2]);
    assert_eq!(clients("_INBOX.x"), [6, 3]);
    assert_eq!(clients("x"), [4, 1]);
    assert!(interest.has_interest(b"$JS"));
    assert!(!interest.has_interest(b"_INBOX"));
}

#[test]
fn subscriptions_to_events_alone_are_no_interest_in_what_clients_publish() {
    let interest = Interest::default();
    let options = SubscriptionOptions { only_events: true, ..SubscriptionOptions::default() };
    interest.subscribe(Subscription::new(Topic::exact(b"__lock__:x"), options, &outbox(1)));
    assert!(!interest.has_interest(b"__lock__:x"));
    subscribe(&interest, glob("__lock__:?"), 2, Some("group"));
    assert!(interest.has_interest(b"__lock__:x"));
}

#[test]
fn churn_elsewhere_leaves_a_remembered_lookup_alone() {
    let (fan_out, mut effects) = (FanOut::default(), Effects::default());
    let interest = &fan_out.channels;
    let tokens = apart(interest, "orders", |hash| Slots::of(0, hash).first_token);
    let subjects = apart(interest, &format!("{}.", tokens[0]), |hash| Slots::of(hash, 0).subject);
    subscribe(interest, Topic::of_pattern(format!("{}.*", tokens[0]).as_bytes()), 1, None);
    for _ in 0..3 {
        assert_eq!(publish(&fan_out, &subjects[0], &mut effects), 1);
    }
    let before = misses(interest, &mut effects);
    let churn = |topics: &[String]| {
        topics.iter().map(|text| subscribe(interest, Topic::of_pattern(text.as_bytes()), 2, None)).collect()
    };
    let mut effects_after = |topics: &[String]| {
        let added: Vec<_> = churn(topics);
        assert_eq!(publish(&fan_out, &subjects[0], &mut effects), 1, "{topics:?}");
        assert!(added.iter().all(|subscription| interest.unsubscribe(subscription)));
        assert_eq!(publish(&fan_out, &subjects[0], &mut effects), 1, "{topics:?}");
        effects.forget_ended();
        misses(interest, &mut effects)
    };
    assert_eq!(effects_after(&["_INBOX.1.*".to_owned(), "_INBOX.2".to_owned()]), before, "inboxes");
    assert_eq!(effects_after(&[format!("{}.>", tokens[1]), format!("{}.*.x", tokens[2])]), before, "others");
    assert_eq!(effects_after(&subjects[1..9]), before, "exact subjects with the same first token");
    // Of what concerns the subject the next publisher hears.
    assert_eq!(publish(&fan_out, &subjects[0], &mut effects), 1);
    for topic in
        [Topic::of_pattern(b"*.>"), glob(&format!("{}*", tokens[0])), Topic::exact(subjects[0].as_bytes())]
    {
        let added = subscribe(interest, topic, 3, None);
        assert_eq!(publish(&fan_out, &subjects[0], &mut effects), 2);
        interest.unsubscribe(&added);
        assert_eq!(publish(&fan_out, &subjects[0], &mut effects), 1);
    }
}

#[test]
fn ended_subscriptions_are_not_kept_by_a_thread_that_publishes_nothing_more() {
    let (fan_out, mut effects) = (FanOut::default(), Effects::default());
    let subscriptions =
        [b"news".as_slice(), b"*"].map(|text| subscribe(&fan_out.channels, Topic::of_pattern(text), 1, None));
    for _ in 0..4 {
        assert_eq!(publish(&fan_out, "news", &mut effects), 2);
    }
    assert_eq!(Arc::strong_count(&subscriptions[0]), 3);
    subscriptions.iter().for_each(|ended| assert!(fan_out.channels.unsubscribe(ended)));
    effects.forget_ended();
    assert!(subscriptions.iter().all(|ended| Arc::strong_count(ended) == 1));
    assert_eq!(fan_out.channels.report().remembered, 0);
}

#[test]
fn a_subject_is_remembered_at_its_second_sight_and_an_inbox_never() {
    let (fan_out, mut effects) = (FanOut::default(), Effects::default());
    subscribe(&fan_out.channels, Topic::of_pattern(b"_INBOX.>"), 1, None);
    publish(&fan_out, "first.lookup.is.not.noted", &mut effects);
    let mut remembered_after = |subject: &str| {
        publish(&fan_out, subject, &mut effects);
        effects.forget_ended();
        fan_out.channels.report().remembered
    };
    assert_eq!([(); 3].map(|()| remembered_after("_INBOX.x")), [0, 0, 0]);
    assert_eq!([(); 3].map(|()| remembered_after("news")), [0, 1, 1]);
    let report = fan_out.channels.report();
    assert_eq!((report.lookups, report.hit_rate), (7, 1.0 / 7.0));
    drop(effects);
    assert_eq!(fan_out.channels.report().remembered, 0);
}

#[test]
fn what_was_looked_up_elsewhere_does_not_count_here() {
    let (one, other, mut effects) = (FanOut::default(), FanOut::default(), Effects::default());
    subscribe(&one.channels, Topic::exact(b"news"), 1, None);
    subscribe(&one.shard_channels, Topic::exact(b"news"), 2, None);
    subscribe(&other.channels, Topic::exact(b"news"), 3, None);
    subscribe(&other.channels, Topic::exact(b"news"), 4, None);
    for _ in 0..4 {
        assert_eq!(publish(&one, "news", &mut effects), 1);
    }
    for _ in 0..4 {
        assert_eq!(publish(&other, "news", &mut effects), 2);
        assert_eq!(publish(&one, "news", &mut effects), 1);
    }
}

#[test]
fn turns_of_a_group_are_even_also_if_only_every_other_one_is_seen() {
    let mut turns = lookups::Turns::default();
    for members in [2, 3, 5, 8] {
        let mut counts = vec![[0usize; 2]; members];
        for number in 0..8000 {
            counts[turns.next(members)][number % 2] += 1;
        }
        let fair = 4000 / members;
        assert!(counts.iter().flatten().all(|count| count.abs_diff(fair) <= 4), "{members}: {counts:?}");
    }
}

#[test]
fn a_member_that_takes_nothing_is_passed_over() {
    let (fan_out, mut effects) = (FanOut::default(), Effects::default());
    let members: Vec<_> = (1..=3)
        .map(|client| subscribe(&fan_out.channels, Topic::exact(b"jobs"), client, Some("workers")))
        .collect();
    members[0].outbox().close();
    members[1].end_after(2, &mut effects);
    for _ in 0..10 {
        assert_eq!(publish(&fan_out, "jobs", &mut effects), 1);
    }
    assert_eq!(members.iter().map(|member| member.delivered()).collect::<Vec<_>>(), [0, 2, 8]);
    assert_eq!(fan_out.channels.subscription_count(), 2, "the one that had its two has ended");
}

#[test]
fn all_threads_that_publish_afterwards_see_a_subscription_and_its_end() {
    const THREADS: usize = 3;
    const ROUNDS: usize = 200;
    let (fan_out, rounds) = (FanOut::default(), std::sync::Barrier::new(THREADS + 1));
    let topic_of = |round: usize| match round % 3 {
        0 => Topic::exact(b"orders.new"),
        1 => Topic::of_pattern(b"orders.*"),
        _ => glob("*.new"),
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut effects = Effects::default();
                for round in 0..2 * ROUNDS {
                    rounds.wait();
                    assert_eq!(publish(&fan_out, "orders.new", &mut effects), 1 - round % 2, "round {round}");
                    rounds.wait();
                    // Meanwhile the subscription is added or ends.
                    publish(&fan_out, "orders.new", &mut effects);
                }
            });
        }
        for round in 0..ROUNDS {
            let added = subscribe(&fan_out.channels, topic_of(round), 1, None);
            rounds.wait();
            rounds.wait();
            fan_out.channels.unsubscribe(&added);
            rounds.wait();
            rounds.wait();
        }
    });
    assert_eq!(fan_out.channels.report().remembered, 0, "the threads have ended");
}
