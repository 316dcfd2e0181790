//! Deliveries: messages that reach the subscribers of one subject with another subject on them.

use super::super::Listener;
use super::*;

/// The form in which a receiver gets a stream's message, which is delivered to a subject of its own.
fn form(encoding: Encoding, topic: Topic) -> String {
    let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
    let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
    outbox.set_encoding(encoding);
    let options = SubscriptionOptions { id: (*b"7").into(), ..SubscriptionOptions::default() };
    fan_out.channels.subscribe(Subscription::new(topic, options, &outbox));
    let mut effects = Effects::default();
    let message = Message { reply: b"$JS.ACK.1", ..Message::new(b"orders.1", b"x") };
    let receivers = fan_out.send_to(b"to.me", &message, &mut effects);
    assert_eq!((receivers.count, receivers.is_heard, receivers.has_sender), (1, false, false));
    let mut buffer = Buffer::new();
    effects.take_messages(&outbox, &mut buffer);
    String::from_utf8(buffer.into_bytes().to_vec()).expect("it is text").replace("\r\n", " ")
}

#[test]
fn every_encoding_shows_the_messages_own_subject() {
    let exact = || Topic::exact(b"to.me");
    assert_eq!(form(Encoding::Frames, exact()), "MSG orders.1 7 $JS.ACK.1 1 x ");
    assert_eq!(form(Encoding::FramesWithoutHeaders, exact()), "MSG orders.1 7 $JS.ACK.1 1 x ");
    assert_eq!(form(Encoding::Resp2, exact()), "*3 $7 message $8 orders.1 $1 x ");
    let wildcard = Topic::of_pattern(b"to.*");
    assert_eq!(form(Encoding::Resp3, wildcard), ">4 $8 pmessage $4 to.* $8 orders.1 $1 x ");
    for encoding in [Encoding::Json, Encoding::JsonLine, Encoding::MessageEvent] {
        let text = form(encoding, exact());
        assert!(text.contains(r#""subject":"orders.1","reply":"$JS.ACK.1""#), "{text}");
    }
}

#[test]
fn a_delivery_is_sent_but_not_published_and_no_event() {
    let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
    let mut effects = Effects::default();
    let mut receiver = Receiver::new(&fan_out, 1, Encoding::Json, &[("to.me", None)]);
    let options = SubscriptionOptions { only_events: true, ..SubscriptionOptions::default() };
    fan_out.channels.subscribe(Subscription::new(Topic::exact(b"to.me"), options, &receiver.outbox));
    assert_eq!(fan_out.send_to(b"to.me", &Message::new(b"orders.1", b"12345"), &mut effects).count, 1);
    assert_eq!(fan_out.send_to(b"orders.1", &Message::new(b"to.me", b"12345"), &mut effects).count, 0);
    deliver(&mut effects);
    receiver.catch_up();
    assert_eq!(receiver.lines().len(), 1);
    assert_eq!(fan_out.sent(), Amount { messages: 1, bytes: 5 });
    let published = Listener::ALL.iter().map(|listener| fan_out.traffic(*listener).published);
    assert_eq!(published.sum::<Amount>(), Amount::default());
}

#[test]
fn whether_a_wildcard_sees_a_delivery_depends_on_the_target() {
    let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
    let _receiver = Receiver::new(&fan_out, 1, Encoding::Json, &[(">", None)]);
    let mut effects = Effects::default();
    let mut count = |target: &[u8], subject: &[u8]| {
        fan_out.send_to(target, &Message::new(subject, b"x"), &mut effects).count
    };
    assert_eq!([count(b"_INBOX.1", b"orders.1"), count(b"to.me", b"$KV.b.key")], [0, 1]);
}

#[test]
fn the_latest_of_each_message_subject_waits_for_a_slow_receiver() {
    let fan_out = fan_out(0, 1000, SlowConsumer::KeepLatest);
    let mut receiver = Receiver::new(&fan_out, 1, Encoding::Json, &[("to.me", None)]);
    let mut effects = Effects::default();
    let padding = "x".repeat(400);
    for number in 0..10 {
        let (subject, payload) = (format!("orders.{}", number % 2), format!("{number}{padding}"));
        fan_out.send_to(b"to.me", &Message::new(subject.as_bytes(), payload.as_bytes()), &mut effects);
        deliver(&mut effects);
    }
    receiver.catch_up();
    let lines = receiver.lines();
    let is_gap = |line: &&serde_json::Value| line["op"] == "gap";
    let missed: u64 = lines.iter().filter(is_gap).filter_map(|line| line["missed"].as_u64()).sum();
    let got: Vec<&serde_json::Value> = lines.iter().filter(|line| !is_gap(line)).collect();
    assert_eq!(missed + got.len() as u64, 10, "its gap counts what it has missed");
    assert!(missed > 0);
    let last = |subject: &str| {
        let found = got.iter().rev().find(|line| line["subject"] == subject);
        found.and_then(|line| line["payload"].as_str()).map(|payload| payload[..1].to_owned())
    };
    assert_eq!([last("orders.0"), last("orders.1")], [Some("8".to_owned()), Some("9".to_owned())]);
}

/// A delivery for a member of a queue group that has ended meanwhile goes to another one, who is found by the target.
#[test]
fn a_group_loses_no_delivery_when_a_member_ends() {
    for length in [1, 5000, 400_000] {
        let fan_out = fan_out(0, 0, SlowConsumer::Disconnect);
        let join = |id| {
            let mut receiver = Receiver::new(&fan_out, id, Encoding::Json, &[]);
            let options =
                SubscriptionOptions { group: Some(b"g"[..].into()), ..SubscriptionOptions::default() };
            let member = Subscription::new(Topic::exact(b"to.group"), options, &receiver.outbox);
            fan_out.channels.subscribe(Arc::clone(&member));
            receiver.subscriptions.push(member);
            receiver
        };
        let (first, mut second) = (join(1), join(2));
        let mut effects = Effects::default();
        let payload = "x".repeat(length);
        for number in 0..10 {
            let subject = format!("orders.{number}");
            let message = Message::new(subject.as_bytes(), payload.as_bytes());
            assert_eq!(fan_out.send_to(b"to.group", &message, &mut effects).count, 1);
        }
        fan_out.channels.unsubscribe(&first.subscriptions[0]);
        first.subscriptions[0].silence();
        deliver(&mut effects);
        second.catch_up();
        let mut subjects: Vec<String> = second
            .lines()
            .iter()
            .map(|line| line["subject"].as_str().unwrap_or_default().to_owned())
            .collect();
        subjects.sort_unstable();
        assert!(subjects.into_iter().eq((0..10).map(|number| format!("orders.{number}"))), "{length}");
    }
}
