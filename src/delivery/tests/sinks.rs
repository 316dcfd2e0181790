//! Sinks: what they take, what their publishers learn, and that sinks publish themselves.

use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::super::sink::NESTING_MAX;
use super::super::{ChannelSpace, Listener, Receivers, Sink, SinkId};
use super::*;
use crate::lock_order::{Mutex, rank};

/// A sink that remembers what it took, and answers if it is asked for that.
#[derive(Default)]
struct Noting {
    fan_out: Weak<FanOut>,
    taken: Mutex<Vec<String>, { rank::LOG }>,
}

impl Noting {
    fn on(fan_out: &Arc<FanOut>, pattern: &str) -> (SinkId, Arc<Noting>) {
        let noting = Arc::new(Noting { fan_out: Arc::downgrade(fan_out), ..Noting::default() });
        let sink = Arc::<Noting>::clone(&noting);
        (fan_out.add_sink(pattern.as_bytes(), sink), noting)
    }

    /// The subjects of what it has taken since the last call.
    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.taken.lock())
    }
}

impl Sink for Noting {
    fn take(&self, message: &Message<'_>, effects: &mut Effects) -> bool {
        self.taken.lock().push(String::from_utf8_lossy(message.subject).into_owned());
        if !message.reply.is_empty() {
            let fan_out = self.fan_out.upgrade().expect("it publishes");
            fan_out.publish(&Message::new(message.reply, b"taken"), effects);
        }
        true
    }
}

fn heard(fan_out: &FanOut, subject: &str, effects: &mut Effects) -> Receivers {
    fan_out.publish(&Message::new(subject.as_bytes(), b"{}"), effects)
}

#[test]
fn a_sink_takes_messages_without_a_subscriber_until_it_is_removed() {
    let (fan_out, mut effects) = (Arc::new(fan_out(0, 0, SlowConsumer::Disconnect)), Effects::default());
    let (id, noting) = Noting::on(&fan_out, "orders.*");
    let nobody = Receivers::default();
    let only_heard = Receivers { is_heard: true, ..nobody };
    for _ in 0..3 {
        assert_eq!(heard(&fan_out, "orders.1", &mut effects), only_heard);
    }
    assert_eq!(heard(&fan_out, "orders", &mut effects), nobody);
    assert!(only_heard.count == 0 && !only_heard.are_none() && nobody.are_none());
    assert!(fan_out.channels.has_interest(b"orders.1") && !fan_out.channels.has_interest(b"orders"));
    assert_eq!(noting.taken(), ["orders.1"; 3]);
    fan_out.remove_sink(id);
    assert_eq!(heard(&fan_out, "orders.1", &mut effects), nobody);
    assert!(noting.taken().is_empty());
    effects.forget_ended();
    assert_eq!(Arc::strong_count(&noting), 1, "nobody remembers it");
}

#[test]
fn sinks_are_no_subscriptions() {
    let fan_out = Arc::new(fan_out(0, 0, SlowConsumer::Disconnect));
    let (_exact, _) = Noting::on(&fan_out, "a");
    let (_wildcard, _) = Noting::on(&fan_out, "*");
    heard(&fan_out, "a", &mut Effects::default());
    let interest = &fan_out.channels;
    assert_eq!(
        (interest.subscription_count(), interest.subject_count(), interest.wildcard_count()),
        (0, 0, 0)
    );
    assert!(interest.subscribers_of(b"a").is_empty() && interest.subscriptions(0, 9).is_empty());
    assert!(interest.subjects(None).expect("no glob").is_empty());
    let report = interest.report();
    assert_eq!((report.subscriptions, report.started, report.ended, report.largest_fan_out), (0, 0, 0, 0));
    assert_eq!((fan_out.sent().messages, fan_out.traffic(Listener::Server).sent.messages), (0, 0));
}

#[test]
fn a_sink_takes_hidden_subjects_only_if_it_names_their_beginning() {
    let fan_out = Arc::new(fan_out(0, 0, SlowConsumer::Disconnect));
    let mut effects = Effects::default();
    let sinks = [">", "*.*", "$KV.>", "_INBOX.>", "$SYS.x"].map(|pattern| Noting::on(&fan_out, pattern));
    for subject in ["$KV.b", "_INBOX.1", "$SYS.x", "$JS.y", "a.b"] {
        heard(&fan_out, subject, &mut effects);
    }
    let taken = sinks.map(|(_, noting)| noting.taken());
    assert_eq!(taken, [vec!["a.b"], vec!["a.b"], vec!["$KV.b"], vec!["_INBOX.1"], vec!["$SYS.x"]]);
}

#[test]
fn a_sink_takes_events_of_services_and_never_those_of_shard_channels() {
    let fan_out = Arc::new(fan_out(0, 0, SlowConsumer::Disconnect));
    let mut effects = Effects::default();
    let (_id, noting) = Noting::on(&fan_out, "__lock__:x");
    let event = Message { kind: Some("acquired"), ..Message::new(b"__lock__:x", b"{}") };
    assert!(fan_out.publish(&event, &mut effects).is_heard);
    let shard = Message { space: ChannelSpace::ShardChannels, ..Message::new(b"__lock__:x", b"{}") };
    assert!(fan_out.publish(&shard, &mut effects).are_none());
    assert_eq!(noting.taken().len(), 1);
    let (_id, noting) = Noting::on(&fan_out, "$PRESENCE.>");
    let _receiver = Receiver::new(&fan_out, 1, Encoding::Json, &[]);
    let subscription = Subscription::new(
        Topic::exact(b"news"),
        SubscriptionOptions::default(),
        &Arc::new(Outbox::new(2, "127.0.0.1:1".parse().expect("an address"))),
    );
    fan_out.subscribe(subscription, &mut effects);
    assert_eq!(noting.taken(), ["$PRESENCE.news"]);
}

#[test]
fn a_sink_for_several_patterns_takes_a_message_once() {
    let fan_out = Arc::new(fan_out(0, 0, SlowConsumer::Disconnect));
    let (first, noting) = Noting::on(&fan_out, "a.*");
    let sink = Arc::<Noting>::clone(&noting);
    let second = fan_out.add_sink(b"*.b", sink);
    let mut effects = Effects::default();
    let mut taken = || {
        heard(&fan_out, "a.b", &mut effects);
        noting.taken().len()
    };
    assert_eq!(taken(), 1);
    fan_out.remove_sink(first);
    assert_eq!(taken(), 1);
    fan_out.remove_sink(second);
    assert_eq!(taken(), 0);
}

#[test]
fn what_a_sink_publishes_follows_the_message_at_its_subscribers() {
    let fan_out = Arc::new(fan_out(0, 0, SlowConsumer::Disconnect));
    let (_id, _noting) = Noting::on(&fan_out, "a");
    let mut receiver = Receiver::new(&fan_out, 1, Encoding::Json, &[("a", None), ("answers", None)]);
    let mut effects = Effects::default();
    for _ in 0..2 {
        let message = Message { reply: b"answers", ..Message::new(b"a", b"asked") };
        let expected = Receivers { count: 1, is_heard: true, has_sender: false };
        assert_eq!(fan_out.publish(&message, &mut effects), expected);
    }
    deliver(&mut effects);
    receiver.catch_up();
    let payload = |line: serde_json::Value| line["payload"].as_str().map(str::to_owned);
    let payloads: Vec<_> = receiver.lines().into_iter().filter_map(payload).collect();
    assert_eq!(payloads, ["asked", "taken", "asked", "taken"]);
}

/// Publishes what it takes once more, on the same subject.
struct Echo(Weak<FanOut>, AtomicUsize);

impl Sink for Echo {
    fn take(&self, message: &Message<'_>, effects: &mut Effects) -> bool {
        self.1.fetch_add(1, Relaxed);
        self.0.upgrade().expect("it publishes").publish(message, effects);
        true
    }
}

#[test]
fn sinks_publish_within_one_another_up_to_a_limit() {
    let fan_out = Arc::new(fan_out(0, 0, SlowConsumer::Disconnect));
    let echo = Arc::new(Echo(Arc::downgrade(&fan_out), AtomicUsize::new(0)));
    let sink = Arc::<Echo>::clone(&echo);
    let _id = fan_out.add_sink(b"a", sink);
    let mut receiver = Receiver::new(&fan_out, 1, Encoding::Json, &[("a", None)]);
    let mut effects = Effects::default();
    for round in 1..3 {
        assert!(heard(&fan_out, "a", &mut effects).is_heard);
        deliver(&mut effects);
        receiver.catch_up();
        assert_eq!(receiver.lines().len(), 1 + usize::from(NESTING_MAX), "subscribers get all of them");
        assert_eq!(echo.1.load(Relaxed), round * usize::from(NESTING_MAX));
    }
}
