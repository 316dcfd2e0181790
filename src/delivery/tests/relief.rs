//! The budget of all that waits: what counts, and whose turn it is to give way.

use super::*;

/// Receivers that read nothing.
const STALLED: usize = 50;

#[test]
fn the_places_of_the_latest_messages_count() {
    const LIMIT: usize = 4 << 20;
    /// Queues and formatted bytes are counted in steps for each receiver.
    const UNCOUNTED: usize = STALLED * (32 << 10);
    const SUBJECTS: usize = 5_000;
    /// What each of them takes in a queue at least, and among the places.
    const ENTRY: usize = 2 * size_of::<usize>();
    const PLACE: usize = 2 * size_of::<u64>();
    let fan_out = fan_out(LIMIT, 64 << 20, SlowConsumer::KeepLatest);
    let mut receivers: Vec<Receiver> = (1..=STALLED as u64)
        .map(|id| Receiver::new(&fan_out, id, Encoding::JsonLine, &[("s.>", None)]))
        .collect();
    let mut effects = Effects::default();
    for number in 0..3 * SUBJECTS {
        publish(&fan_out, &format!("s.{}", number % SUBJECTS), b"x", &mut effects);
        if number % 100 == 99 {
            deliver(&mut effects);
        }
    }
    assert!(fan_out.waiting_bytes() <= LIMIT, "{}", fan_out.waiting_bytes());
    let kept: usize = receivers
        .iter_mut()
        .map(|receiver| {
            assert!(!receiver.outbox.is_closing());
            receiver.catch_up();
            receiver.lines().iter().filter(|line| line["subject"].is_string()).count()
        })
        .sum();
    assert!(kept * (ENTRY + PLACE) <= LIMIT + UNCOUNTED, "{kept} messages waited");
    assert!(kept > STALLED, "{kept} messages waited");
    drop((receivers, effects));
}

#[test]
fn of_those_that_are_equally_far_behind_the_one_that_holds_most_gives_way_first() {
    const LIMIT: usize = 2 << 20;
    let fan_out = fan_out(LIMIT, 64 << 20, SlowConsumer::Disconnect);
    let mut effects = Effects::default();
    let mut publish_batch = |subject: &str, messages: usize| {
        for _ in 0..messages {
            publish(&fan_out, subject, &[b'x'; 1000], &mut effects);
        }
        deliver(&mut effects);
    };
    // As long as messages are formatted at once, nobody is older than another.  The reader is the first to hold something.
    let mut reader = Receiver::new(&fan_out, 1, Encoding::JsonLine, &[("s", None), ("own", None)]);
    publish_batch("own", 20);
    let mut stalled: Vec<Receiver> = (2..=STALLED as u64)
        .map(|id| Receiver::new(&fan_out, id, Encoding::JsonLine, &[("s", None)]))
        .collect();
    publish_batch("s", 15);
    reader.catch_up();
    // One batch for all is more than the budget has left.
    publish_batch("s", 60);
    assert!(!reader.outbox.is_closing());
    assert!(stalled.iter().any(|receiver| receiver.outbox.is_closing()));
    stalled.iter_mut().for_each(Receiver::end);
    reader.catch_up();
    assert_eq!((reader.lines().len(), reader.subscriptions[0].missed()), (20 + 15 + 60, 0));
}

#[test]
fn a_batch_for_many_subscriptions_of_one_receiver_meets_its_policy_before_the_batch_ends() {
    const SUBSCRIPTIONS: usize = 1_000;
    const MESSAGES: usize = 500;
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest] {
        let fan_out = fan_out(0, 1 << 20, policy);
        let mut receiver = Receiver::new(&fan_out, 1, Encoding::JsonLine, &[("a", None); SUBSCRIPTIONS]);
        let mut effects = Effects::default();
        let taken: usize = (0..MESSAGES).map(|_| publish(&fan_out, "a", b"x", &mut effects)).sum();
        assert!(fan_out.missed() > 0 || receiver.outbox.is_closing(), "{policy:?}");
        if policy == SlowConsumer::Disconnect {
            assert!(taken < MESSAGES * SUBSCRIPTIONS / 2, "{taken} messages were staged");
        } else {
            deliver(&mut effects);
            receiver.catch_up();
            let missed: u64 = receiver.subscriptions.iter().map(|subscription| subscription.missed()).sum();
            let heard = receiver.lines().iter().filter(|line| line["subject"] == "a").count();
            assert_eq!(heard + missed as usize, MESSAGES * SUBSCRIPTIONS);
        }
    }
}

#[test]
fn a_receiver_that_reads_does_not_end_before_those_that_are_stalled_and_may_miss_messages() {
    const LIMIT: usize = 1 << 20;
    for policy in [SlowConsumer::DropOldest, SlowConsumer::DropNewest, SlowConsumer::KeepLatest] {
        let fan_out = fan_out(LIMIT, 64 << 20, SlowConsumer::Disconnect);
        let mut stalled: Vec<Receiver> = (2..=STALLED as u64)
            .map(|id| Receiver::new(&fan_out, id, Encoding::JsonLine, &[("s.>", Some(policy))]))
            .collect();
        for receiver in &stalled {
            receiver.outbox.set_policy(Some(policy));
        }
        let mut effects = Effects::default();
        let mut publish_batch = |stalled: &mut [Receiver], messages: usize| {
            for number in 0..messages {
                publish(&fan_out, &format!("s.{}", number % 10), &[b'x'; 1000], &mut effects);
            }
            deliver(&mut effects);
            stalled.iter_mut().for_each(|receiver| receiver.turn(0));
        };
        (0..40).for_each(|_| publish_batch(&mut stalled, 5));
        let mut reader = Receiver::new(&fan_out, 1, Encoding::JsonLine, &[("s.>", None)]);
        for batch in 0..200 {
            publish_batch(&mut stalled, 40);
            assert!(!reader.outbox.is_closing(), "{policy:?}, batch {batch}");
            reader.catch_up();
        }
        assert_eq!((reader.lines().len(), reader.subscriptions[0].missed()), (200 * 40, 0));
        stalled.iter_mut().for_each(Receiver::end);
        reader.end();
    }
}

#[test]
fn many_events_of_one_batch_stay_within_the_budget() {
    const LIMIT: usize = 8 << 20;
    /// Queues and formatted bytes are counted in steps for each receiver, and what was cut off is freed by its own thread.
    const UNCOUNTED: usize = 2 << 20;
    let fan_out = fan_out(LIMIT, 64 << 20, SlowConsumer::DropOldest);
    let _watchers: Vec<Receiver> = (1..=STALLED as u64)
        .map(|id| Receiver::new(&fan_out, id, Encoding::JsonLine, &[("room", None)]))
        .collect();
    let mut effects = Effects::default();
    for _ in 0..5_000 {
        fan_out.publish(&Message { kind: Some("left"), ..Message::new(b"room", &[b'x'; 200]) }, &mut effects);
        assert!(fan_out.waiting_bytes() <= LIMIT + UNCOUNTED, "{}", fan_out.waiting_bytes());
    }
    assert!(fan_out.missed() > 0);
}
