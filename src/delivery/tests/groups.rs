//! Queue groups whose members end while others publish: no message is lost to the group as long as it has a member.

use std::sync::Barrier;

use super::*;

const SUBJECT: &str = "jobs";

impl Receiver {
    /// Has the receiver be a member of the queue group.
    fn join(&mut self, fan_out: &FanOut, echo: bool) {
        let options =
            SubscriptionOptions { group: Some(b"g"[..].into()), echo, ..SubscriptionOptions::default() };
        let member = Subscription::new(Topic::of_pattern(b"jobs"), options, &self.outbox);
        fan_out.subscribe(Arc::clone(&member), &mut Effects::default());
        self.subscriptions.push(member);
    }

    /// Ends its last subscription.
    fn leave(&mut self, fan_out: &FanOut) {
        let ended = self.subscriptions.pop().expect("it has one");
        fan_out.unsubscribe(&ended, &mut Effects::default());
        ended.silence();
    }

    /// The numbers with which the payloads of its messages begin.
    fn numbers(&mut self) -> Vec<usize> {
        self.catch_up();
        let number = |line: serde_json::Value| {
            let payload = line["payload"].as_str().expect("it is a message");
            payload.trim_end_matches('x').parse().expect("it begins with a number")
        };
        self.lines().into_iter().map(number).collect()
    }
}

fn members(fan_out: &FanOut, count: u64) -> Vec<Receiver> {
    let member = |id| {
        let mut receiver = Receiver::new(fan_out, id, Encoding::Json, &[]);
        receiver.join(fan_out, true);
        receiver
    };
    (1..=count).map(member).collect()
}

/// Publishes messages with numbers as the payloads, which are so long.
fn publish_all(fan_out: &FanOut, numbers: std::ops::Range<usize>, length: usize, effects: &mut Effects) {
    for number in numbers {
        let payload = format!("{number}{}", "x".repeat(length));
        assert_eq!(publish(fan_out, SUBJECT, payload.as_bytes(), effects), 1);
    }
}

/// Publishes so many messages of a length, has a member end before they are handed over, and checks that the others get all
/// of them.
fn check(count: usize, length: usize, end: impl Fn(&FanOut, &mut Receiver)) {
    let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
    let mut receivers = members(&fan_out, 3);
    let (mut one, mut other) = (Effects::default(), Effects::default());
    publish_all(&fan_out, 0..count, length, &mut one);
    end(&fan_out, &mut receivers[0]);
    // Another thread finds the member no more.
    publish_all(&fan_out, count..2 * count, length, &mut other);
    deliver(&mut other);
    deliver(&mut one);
    assert_eq!(receivers[0].numbers(), Vec::<usize>::new());
    let mut all = receivers[1].numbers();
    assert!(!all.is_empty());
    all.extend(receivers[2].numbers());
    all.sort_unstable();
    assert!(all.into_iter().eq(0..2 * count), "{count} messages of {length} bytes");
    assert_eq!(fan_out.sent().messages, 2 * count as u64, "each counts for the member that gets it");
    // Nothing of the batch stays behind.
    publish_all(&fan_out, 0..1, length, &mut one);
    deliver(&mut one);
    let rest: Vec<usize> = receivers.iter_mut().flat_map(Receiver::numbers).collect();
    assert_eq!(rest, [0]);
    drop((one, other));
    receivers.iter_mut().for_each(Receiver::end);
    assert_eq!(fan_out.waiting_bytes(), 0);
}

/// Formatted, formatted with shared payloads, and more than is formatted at once.
const BATCHES: [(usize, usize); 3] = [(1000, 3), (20, 5000), (400, 5000)];

#[test]
fn what_a_member_was_to_get_goes_to_others_when_it_unsubscribes() {
    for (count, length) in BATCHES {
        check(count, length, |fan_out, receiver| receiver.leave(fan_out));
    }
}

#[test]
fn what_a_member_was_to_get_goes_to_others_when_its_connection_ends() {
    for (count, length) in BATCHES {
        check(count, length, |fan_out, receiver| {
            receiver.end();
            receiver.leave(fan_out);
        });
    }
}

#[test]
fn what_is_passed_on_obeys_the_options_of_who_gets_it() {
    let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
    for length in [3, 5000] {
        let mut receivers = members(&fan_out, 1);
        let mut sender = Receiver::new(&fan_out, 9, Encoding::Json, &[]);
        sender.join(&fan_out, false);
        let mut limited = members(&fan_out, 1);
        assert!(!limited[0].subscriptions[0].end_after(2, &mut Effects::default()));
        let mut effects = Effects::default();
        let payload = "7".to_owned() + &"x".repeat(length);
        for _ in 0..100 {
            let message = Message { sender: Some(9), ..Message::new(b"jobs", payload.as_bytes()) };
            assert_eq!(fan_out.publish(&message, &mut effects).count, 1);
        }
        receivers[0].leave(&fan_out);
        deliver(&mut effects);
        // Nobody else may take more.
        assert_eq!((sender.numbers().len(), limited[0].numbers().len()), (0, 2));
        let message = Message { sender: Some(9), ..Message::new(b"jobs", payload.as_bytes()) };
        assert_eq!(fan_out.publish(&message, &mut effects).count, 0);
        assert_eq!(fan_out.channels.subscription_count(), 1, "the limited one was removed");
        sender.leave(&fan_out);
    }
}

#[test]
fn a_group_loses_nothing_while_members_come_and_go() {
    const PUBLISHERS: usize = 2;
    const EACH: usize = 6_000;
    const BATCH: usize = 20;
    let fan_out = Arc::new(fan_out(0, 0, SlowConsumer::Disconnect));
    // It stays, so that there is always one.
    let mut receivers = members(&fan_out, 1);
    let start = Arc::new(Barrier::new(PUBLISHERS + 1));
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let (fan_out, start) = (Arc::clone(&fan_out), Arc::clone(&start));
            thread::spawn(move || {
                let mut effects = Effects::default();
                start.wait();
                for batch in 0..EACH / BATCH {
                    let first = publisher * EACH + batch * BATCH;
                    publish_all(&fan_out, first..first + BATCH, 3, &mut effects);
                    deliver(&mut effects);
                }
            })
        })
        .collect();
    start.wait();
    let mut all = Vec::new();
    while publishers.iter().any(|publisher| !publisher.is_finished()) {
        let mut passing = members(&fan_out, 2);
        receivers[0].turn(usize::MAX);
        for receiver in &mut passing {
            all.extend(receiver.numbers());
            receiver.leave(&fan_out);
            // What came before is in its outbox, and nothing comes later.
            all.extend(receiver.numbers());
            receiver.end();
        }
    }
    publishers.into_iter().for_each(|publisher| publisher.join().expect("it does not panic"));
    all.extend(receivers[0].numbers());
    all.sort_unstable();
    assert!(all.into_iter().eq(0..PUBLISHERS * EACH));
}
