//! Deliveries as a whole: order, gaps, policies and the memory of what waits, with receivers that read as a test wants.

mod deliveries;
mod gaps;
mod groups;
mod relief;
mod sinks;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use quartet_protocol::buffer::Buffer;

use super::{
    Amount, Effects, Encoding, FanOut, Message, Outbox, ROOM, Subscription, SubscriptionOptions, Topic,
};
use crate::alarm::Alarm;
use crate::random::Random;
use crate::settings::{Settings, SlowConsumer};

/// A subject or pattern, and the policy for its messages.
type Wanted<'w> = (&'w str, Option<SlowConsumer>);

/// A receiver with a socket that takes what the test says.
struct Receiver {
    outbox: Arc<Outbox>,
    subscriptions: Vec<Arc<Subscription>>,
    /// What its connection holds.
    unsent: Buffer,
    /// What its client has read, if that matters.
    read: Option<Vec<u8>>,
}

impl Receiver {
    fn new(fan_out: &FanOut, id: u64, encoding: Encoding, topics: &[Wanted<'_>]) -> Receiver {
        let outbox = Arc::new(Outbox::new(id, "127.0.0.1:1".parse().expect("an address")));
        outbox.set_encoding(encoding);
        let subscribe = |(number, (topic, policy)): (usize, &Wanted<'_>)| {
            let options = SubscriptionOptions {
                id: number.to_string().into_bytes().into(),
                slow_consumer: *policy,
                ..SubscriptionOptions::default()
            };
            let subscription = Subscription::new(Topic::of_pattern(topic.as_bytes()), options, &outbox);
            fan_out.channels.subscribe(Arc::clone(&subscription));
            subscription
        };
        let subscriptions = topics.iter().enumerate().map(subscribe).collect();
        Receiver { outbox, subscriptions, unsent: Buffer::new(), read: Some(Vec::new()) }
    }

    /// One turn of its connection, whose socket takes up to so many bytes.
    fn turn(&mut self, taken: usize) {
        if self.outbox.is_closing() {
            return self.end();
        }
        self.outbox.collect(&mut self.unsent, ROOM);
        self.outbox.set_unsent(&self.unsent);
        let mut left = taken.min(self.unsent.len());
        if let Some(read) = &mut self.read {
            for part in self.unsent.parts() {
                let part = &part[..part.len().min(left)];
                read.extend_from_slice(part);
                left -= part.len();
            }
        }
        self.unsent.advance(taken.min(self.unsent.len()));
        self.outbox.set_unsent(&self.unsent);
    }

    /// Reads everything.
    fn catch_up(&mut self) {
        let has_more = |receiver: &Receiver| !(receiver.outbox.is_empty() && receiver.unsent.is_empty());
        while has_more(self) && !self.outbox.is_closing() {
            self.turn(usize::MAX);
        }
    }

    fn end(&mut self) {
        self.unsent = Buffer::new();
        self.outbox.discard();
    }

    /// What its client has read, as lines of JSON, since the last call.
    fn lines(&mut self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.read.replace(Vec::new()).unwrap_or_default()).expect("it is text");
        text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
    }
}

fn fan_out(memory_limit: usize, pending_max: usize, policy: SlowConsumer) -> FanOut {
    let fan_out = FanOut::default();
    fan_out.follow_settings(&Settings {
        broker_memory_limit: memory_limit,
        broker_max_pending: pending_max,
        broker_slow_consumer: policy,
        ..Settings::default()
    });
    fan_out
}

fn publish(fan_out: &FanOut, subject: &str, payload: &[u8], effects: &mut Effects) -> usize {
    fan_out.publish(&Message::new(subject.as_bytes(), payload), effects).count
}

fn deliver(effects: &mut Effects) {
    effects.deliver(&Alarm::default());
}

/// Checks what one subscription got: numbers that rise, with notices of exactly what lies between them.
#[derive(Default)]
struct Heard {
    last: Option<u64>,
    missed: u64,
    all_missed: u64,
    count: u64,
}

impl Heard {
    fn hear(&mut self, line: &serde_json::Value, are_gaps_exact: bool) {
        if let Some(missed) = line["missed"].as_u64() {
            self.missed += missed;
            self.all_missed += missed;
            return;
        }
        let number: u64 = line["payload"].as_str().and_then(|text| text[..8].parse().ok()).expect("a number");
        let next = self.last.map_or(0, |last| last + 1);
        assert!(number >= next, "{number} comes after {:?}", self.last);
        assert!(
            !are_gaps_exact || number - next == self.missed,
            "{} were missed before {number}",
            self.missed
        );
        (self.last, self.missed) = (Some(number), 0);
        self.count += 1;
    }
}

#[test]
fn a_receiver_gets_each_message_once_or_is_told_that_it_missed_it() {
    for seed in 0..8 {
        let mut random = Random::with_seed(seed);
        let policy = SlowConsumer::ALL[1 + random.below(3)];
        let fan_out = fan_out(0, 20_000 + random.below(500_000), policy);
        let topics = [("a", None), ("b", None), ("*", None)];
        let mut receivers: Vec<Receiver> =
            (1..4).map(|id| Receiver::new(&fan_out, id, Encoding::Json, &topics)).collect();
        let mut heard: HashMap<(usize, String, String), Heard> = HashMap::new();
        let mut numbers = [0u64; 2];
        let mut effects = Effects::default();
        for step in 0..200 {
            for _ in 0..random.below(60) {
                let subject = random.below(2);
                let payload = format!("{:08}{}", numbers[subject], "x".repeat(random.below(3000)));
                numbers[subject] += 1;
                assert_eq!(publish(&fan_out, ["a", "b"][subject], payload.as_bytes(), &mut effects), 6);
            }
            deliver(&mut effects);
            for receiver in &mut receivers {
                match random.below(4) {
                    0 => receiver.turn(0),
                    1 => receiver.turn(random.below(200_000)),
                    2 if random.below(20) == 0 => receiver.catch_up(),
                    _ => {}
                }
                if step == 199 {
                    receiver.catch_up();
                }
            }
        }
        for (place, receiver) in receivers.iter_mut().enumerate() {
            for line in receiver.lines() {
                let id = line["id"].as_str().expect("each line has it").to_owned();
                // A notice for the subscription to both does not say how many of which are missing.
                let wanted = match &*id {
                    "0" => "a",
                    "1" => "b",
                    _ => "both",
                };
                let subject = line["subject"].as_str().unwrap_or(wanted);
                let is_exact = id != "2" && policy == SlowConsumer::DropOldest;
                heard.entry((place, id.clone(), subject.to_owned())).or_default().hear(&line, is_exact);
            }
            for (number, subscription) in receiver.subscriptions.iter().enumerate() {
                let of = |subject: &str| heard.get(&(place, number.to_string(), subject.to_owned()));
                let parts: Vec<&Heard> = ["a", "b", "both"].into_iter().filter_map(of).collect();
                let count: u64 = parts.iter().map(|part| part.count).sum();
                let missed: u64 = parts.iter().map(|part| part.all_missed).sum();
                let published = [numbers[0], numbers[1], numbers[0] + numbers[1]][number];
                assert_eq!(missed, subscription.missed(), "seed {seed}, {policy:?}");
                assert_eq!(subscription.delivered(), published);
                assert_eq!(count + missed, published, "seed {seed}, {policy:?}");
            }
            assert!(receiver.outbox.is_empty());
        }
        assert_eq!(fan_out.waiting_bytes(), 0, "seed {seed}");
    }
}

#[test]
fn all_receivers_see_the_messages_of_several_threads_in_one_order() {
    const THREADS: usize = 4;
    const BATCHES: usize = 300;
    let fan_out = Arc::new(fan_out(0, 0, SlowConsumer::Disconnect));
    let mut receivers: Vec<Receiver> =
        (1..4).map(|id| Receiver::new(&fan_out, id, Encoding::JsonLine, &[("orders.>", None)])).collect();
    let publishers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let fan_out = Arc::clone(&fan_out);
            thread::spawn(move || {
                let mut effects = Effects::default();
                for number in 0..BATCHES {
                    for part in 0..3 {
                        let text = format!("{thread} {}", 3 * number + part);
                        publish(&fan_out, "orders.new", text.as_bytes(), &mut effects);
                    }
                    deliver(&mut effects);
                }
            })
        })
        .collect();
    while publishers.iter().any(|publisher| !publisher.is_finished()) {
        receivers.iter_mut().for_each(|receiver| receiver.turn(usize::MAX));
    }
    publishers.into_iter().for_each(|publisher| publisher.join().expect("it does not panic"));
    let mut orders: Vec<Vec<String>> = Vec::new();
    for receiver in &mut receivers {
        receiver.catch_up();
        let payload = |line: serde_json::Value| line["payload"].as_str().expect("each has one").to_owned();
        orders.push(receiver.lines().into_iter().map(payload).collect());
    }
    assert_eq!(orders[0].len(), THREADS * BATCHES * 3);
    assert!(orders.iter().all(|order| *order == orders[0]));
    for thread in 0..THREADS {
        let prefix = format!("{thread} ");
        let numbers: Vec<usize> =
            orders[0].iter().filter_map(|text| text.strip_prefix(&prefix)?.parse().ok()).collect();
        assert!(numbers.into_iter().eq(0..3 * BATCHES));
    }
}

#[test]
fn a_stalled_receiver_costs_the_others_nothing() {
    let fan_out = fan_out(0, 1 << 20, SlowConsumer::DropOldest);
    let mut receivers: Vec<Receiver> =
        (1..=8).map(|id| Receiver::new(&fan_out, id, Encoding::JsonLine, &[("a", None)])).collect();
    let mut effects = Effects::default();
    for number in 0..20_000 {
        let payload = format!("{number:08}{}", "x".repeat(200));
        assert_eq!(publish(&fan_out, "a", payload.as_bytes(), &mut effects), 8);
        if number % 50 == 49 {
            deliver(&mut effects);
            receivers[1..].iter_mut().for_each(|receiver| receiver.turn(usize::MAX));
        }
    }
    for receiver in &mut receivers[1..] {
        receiver.catch_up();
        assert_eq!(receiver.subscriptions[0].missed(), 0);
        assert_eq!(receiver.lines().len(), 20_000);
    }
    let stalled = &mut receivers[0];
    let missed = stalled.subscriptions[0].missed();
    assert!(missed > 10_000, "{missed} were missed");
    stalled.catch_up();
    let mut heard = Heard::default();
    stalled.lines().iter().for_each(|line| heard.hear(line, true));
    assert_eq!((heard.count + missed, heard.last), (20_000, Some(19_999)));
    assert_eq!(fan_out.slow_receivers().collect::<Vec<_>>()[1], ("drop-oldest", 1));
}

/// A thousand readers that stall read one message more and leave it half read.
fn stall(policy: SlowConsumer, stalls_at: impl Fn(usize) -> usize, subject_of: impl Fn(usize) -> usize) {
    const READERS: usize = 1000;
    const LENGTH: usize = 1 << 20;
    const LIMIT: usize = 128 << 20;
    let fan_out = fan_out(LIMIT, 64 << 20, policy);
    let topics: Vec<String> = (0..READERS).map(|reader| format!("s.{}", subject_of(reader))).collect();
    let mut readers: Vec<Receiver> = (0..READERS)
        .map(|reader| {
            let topics = [(topics[reader].as_str(), None)];
            let receiver = Receiver::new(&fan_out, reader as u64 + 1, Encoding::Frames, &topics);
            Receiver { read: None, ..receiver }
        })
        .collect();
    let subjects = (0..READERS).map(&subject_of).max().map_or(0, |last| last + 1);
    let payload = vec![b'x'; LENGTH];
    let mut effects = Effects::default();
    let rounds = (0..READERS).map(&stalls_at).max().map_or(0, |last| last + 150);
    for round in 0..rounds {
        let payload = &payload[..];
        publish(&fan_out, &format!("s.{}", round % subjects), payload, &mut effects);
        deliver(&mut effects);
        for (reader, receiver) in readers.iter_mut().enumerate() {
            if receiver.outbox.is_closing() {
                receiver.end();
            } else if round < stalls_at(reader) {
                receiver.catch_up();
            } else if receiver.unsent.is_empty() {
                receiver.turn(10);
            }
        }
        let used = fan_out.waiting_bytes();
        assert!(used <= LIMIT + 2 * LENGTH, "{used} bytes in round {round} with {policy:?}");
    }
    if policy != SlowConsumer::Disconnect {
        let left = readers.iter().filter(|receiver| !receiver.outbox.is_closing()).count();
        assert!(left >= LIMIT / LENGTH / 2, "{left} readers are left");
    }
    for receiver in &mut readers {
        receiver.catch_up();
        receiver.end();
        receiver.subscriptions.iter().for_each(|ended| assert!(fan_out.channels.unsubscribe(ended)));
    }
    drop((readers, effects));
    assert_eq!(fan_out.waiting_bytes(), 0);
}

#[test]
fn a_thousand_stalled_readers_stay_within_the_budget() {
    stall(SlowConsumer::Disconnect, |_| 3, |_| 0);
    stall(SlowConsumer::DropOldest, |reader| reader / 10, |_| 0);
}

#[test]
fn a_thousand_stalled_readers_of_different_messages_stay_within_the_budget() {
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropNewest, SlowConsumer::KeepLatest] {
        stall(policy, |_| 0, |reader| reader);
    }
}

#[test]
fn a_long_payload_exists_once_for_all_receivers() {
    const LENGTH: usize = 100_000;
    let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
    let encodings = [Encoding::Frames, Encoding::FramesWithoutHeaders, Encoding::Resp2, Encoding::Resp3];
    let mut receivers: Vec<Receiver> = encodings
        .into_iter()
        .zip(1..)
        .map(|(encoding, id)| Receiver::new(&fan_out, id, encoding, &[("a", None)]))
        .collect();
    let mut effects = Effects::default();
    for round in 1..=10 {
        publish(&fan_out, "a", &[b'x'; LENGTH], &mut effects);
        deliver(&mut effects);
        receivers.iter_mut().for_each(|receiver| receiver.turn(0));
        let used = fan_out.waiting_bytes();
        assert!((round * LENGTH..round * (LENGTH + 1000)).contains(&used), "{used} bytes in round {round}");
    }
    for receiver in &mut receivers {
        receiver.catch_up();
        assert!(receiver.read.as_ref().is_some_and(|read| read.len() > 10 * LENGTH));
    }
    assert_eq!(fan_out.waiting_bytes(), 0);
}

#[test]
fn a_silent_subscription_gets_nothing_that_others_have_not_handed_over() {
    let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
    let mut all = Amount::default();
    // Messages are formatted, or most of them are kept.
    for (length, copies) in [(10, 1), (10_000, 40)] {
        let mut receiver = Receiver::new(&fan_out, 1, Encoding::Json, &[("a", None), ("b", None)]);
        let mut effects = Effects::default();
        for subject in ["a", "b", "a", "b", "b", "a"] {
            (0..copies)
                .for_each(|_| assert_eq!(publish(&fan_out, subject, &vec![b'x'; length], &mut effects), 1));
        }
        receiver.subscriptions[1].silence();
        deliver(&mut effects);
        receiver.catch_up();
        let lines = receiver.lines();
        assert!(lines.iter().all(|line| line["subject"] == "a"));
        assert_eq!(lines.len(), 3 * copies);
        // What nobody gets does not count as sent.
        let sent = Amount { messages: 3 * copies as u64, bytes: (3 * copies * length) as u64 };
        all += sent;
        assert_eq!((receiver.outbox.sent(), fan_out.sent()), (sent, all));
        receiver.subscriptions.iter().for_each(|ended| assert!(fan_out.channels.unsubscribe(ended)));
    }
}

#[test]
fn a_last_message_is_the_last_also_within_a_batch() {
    let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
    let mut receiver = Receiver::new(&fan_out, 1, Encoding::Json, &[("a", None), ("a", None)]);
    let mut effects = Effects::default();
    let mut counts = (0..2).map(|_| publish(&fan_out, "a", b"x", &mut effects)).collect::<Vec<_>>();
    assert!(receiver.subscriptions[0].end_after(2, &mut effects));
    fan_out.channels.unsubscribe(&receiver.subscriptions[0]);
    assert!(!receiver.subscriptions[1].end_after(4, &mut effects));
    counts.extend((0..3).map(|_| publish(&fan_out, "a", b"x", &mut effects)));
    assert_eq!(counts, [2, 2, 1, 1, 0]);
    deliver(&mut effects);
    receiver.catch_up();
    assert_eq!(receiver.lines().len(), 6);
    assert!(fan_out.channels.subscription_count() == 0);
}

#[test]
fn messages_have_the_form_that_the_receiver_has_when_it_takes_them() {
    let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
    let mut receiver = Receiver::new(&fan_out, 1, Encoding::Resp2, &[("a", None)]);
    let mut effects = Effects::default();
    (0..40).for_each(|_| assert_eq!(publish(&fan_out, "a", &[b'x'; 10_000], &mut effects), 1));
    deliver(&mut effects);
    receiver.turn(usize::MAX);
    receiver.outbox.set_encoding(Encoding::Resp3);
    receiver.catch_up();
    let read = receiver.read.take().expect("it is kept");
    let count = |start: &[u8]| read.windows(start.len()).filter(|window| *window == start).count();
    let (before, after) = (count(b"*3\r\n$7\r\nmessage"), count(b">3\r\n$7\r\nmessage"));
    assert!(before > 0 && after > 0 && before + after == 40, "{before} and {after}");
}

#[test]
fn events_of_services_are_handed_over_at_once_with_all_before_them() {
    let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
    let mut receivers: Vec<Receiver> = (1..3)
        .map(|id| Receiver::new(&fan_out, id, Encoding::JsonLine, &[("a", None), ("b", None)]))
        .collect();
    let mut effects = Effects::default();
    publish(&fan_out, "a", b"x", &mut effects);
    receivers.iter_mut().for_each(|receiver| assert!(receiver.outbox.is_empty()));
    fan_out.publish(&Message { kind: Some("acquired"), ..Message::new(b"b", b"{}") }, &mut effects);
    for receiver in &mut receivers {
        receiver.catch_up();
        assert_eq!(receiver.lines().len(), 2);
    }
}

#[test]
fn short_messages_for_a_receiver_that_may_miss_none_take_little_more_than_their_bytes() {
    const PENDING_MAX: usize = 4 << 20;
    let fan_out = fan_out(0, PENDING_MAX, SlowConsumer::Disconnect);
    let mut receiver = Receiver::new(&fan_out, 1, Encoding::JsonLine, &[("a", None)]);
    let mut effects = Effects::default();
    let (mut published, mut highest) = (0, 0);
    // It stalls until it is nearly too far behind, twice.
    for round in 0..2 {
        while receiver.outbox.bytes() < PENDING_MAX * 9 / 10 {
            for _ in 0..100 {
                publish(&fan_out, "a", format!("{published:08}").as_bytes(), &mut effects);
                published += 1;
            }
            deliver(&mut effects);
            receiver.turn(if round == 0 { 0 } else { 100 });
            highest = highest.max(fan_out.waiting_bytes());
        }
        receiver.catch_up();
    }
    assert!(highest < PENDING_MAX * 5 / 4, "{highest} bytes of memory");
    assert!(!receiver.outbox.is_closing() && fan_out.waiting_bytes() == 0);
    let mut heard = Heard::default();
    receiver.lines().iter().for_each(|line| heard.hear(line, true));
    assert_eq!((heard.count, heard.missed), (published, 0));
    while !receiver.outbox.is_closing() {
        publish(&fan_out, "a", b"more", &mut effects);
        deliver(&mut effects);
        assert!(receiver.outbox.bytes() <= PENDING_MAX);
    }
    assert!(receiver.outbox.bytes() > PENDING_MAX - 200);
    receiver.end();
    assert_eq!(fan_out.waiting_bytes(), 0);
}

#[test]
fn short_and_long_messages_keep_their_order_however_far_a_receiver_is_behind() {
    for seed in 0..8 {
        let mut random = Random::with_seed(seed);
        let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
        let topics = [("a", None), ("b", Some(SlowConsumer::DropOldest))];
        let mut receiver = Receiver::new(&fan_out, 1, Encoding::JsonLine, &topics);
        let mut effects = Effects::default();
        let mut published = Vec::new();
        for _ in 0..300 {
            for _ in 0..random.below(100) {
                let padding = [0, 0, 40, 2000, 20_000][random.below(5)];
                let payload = format!("{:08}{}", published.len(), "x".repeat(random.below(padding + 1)));
                publish(&fan_out, ["a", "b"][random.below(2)], payload.as_bytes(), &mut effects);
                published.push(payload);
            }
            deliver(&mut effects);
            receiver.turn(random.below(200_000));
        }
        receiver.catch_up();
        let payloads =
            receiver.lines().into_iter().map(|line| line["payload"].as_str().unwrap_or_default().to_owned());
        assert!(payloads.eq(published), "seed {seed}");
        assert_eq!(fan_out.waiting_bytes(), 0);
    }
}
