//! Presence: who begins and who ceases to subscribe to a subject, told on a subject of its own.
//!
//! The events about the subscriptions to `room.1` are published on `$PRESENCE.room.1`, for the subscribers of every listener.
//! A connection that is cut ends its subscriptions, so its end is told too.  While nobody subscribes to such a subject,
//! nothing is published, and a subscription costs one look at a number.  There are no events about hidden subjects: neither
//! about those of presence nor about the inboxes of requests.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use quartet_protocol::broker::subject;
use serde::Serialize;

use super::{Effects, FanOut, Message, Subscription};

/// How the subjects of events begin; behind it stands the subject or pattern of the subscription.
const PREFIX: &[u8] = b"$PRESENCE.";

/// Counts those who want to know.
#[derive(Default)]
pub(super) struct Presence {
    /// Subscriptions and sinks that name the prefix.  One to everything gets the events too, but only while there is one of these.
    watchers: AtomicUsize,
}

/// An event.
#[derive(Serialize)]
struct Event<'e> {
    event: &'static str,
    subject: Cow<'e, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Cow<'e, str>>,
    client: u64,
    listener: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Arc<String>>,
}

/// The words of events, for a subscription that has begun and one that has ended.
const JOINED: &str = "joined";
const LEFT: &str = "left";

impl FanOut {
    /// Adds a subscription to subjects of the broker, and tells those who want to know.
    pub fn subscribe(&self, subscription: Arc<Subscription>, effects: &mut Effects) {
        self.presence.note_begin(subscription.topic().text());
        self.channels.subscribe(Arc::clone(&subscription));
        self.watches.tell(subscription.topic(), effects);
        self.tell(JOINED, &subscription, effects);
    }

    /// Ends a subscription to subjects of the broker for good, if it is there, and tells those who want to know.
    pub fn unsubscribe(&self, subscription: &Arc<Subscription>, effects: &mut Effects) {
        if !self.channels.unsubscribe(subscription) {
            return;
        }
        self.presence.note_end(subscription.topic().text());
        self.watches.tell(subscription.topic(), effects);
        self.tell(LEFT, subscription, effects);
    }

    #[inline]
    fn tell(&self, event: &'static str, subscription: &Subscription, effects: &mut Effects) {
        if self.presence.watchers.load(Relaxed) > 0 {
            self.publish_presence(event, subscription, effects);
        }
    }

    #[cold]
    fn publish_presence(&self, event: &'static str, subscription: &Subscription, effects: &mut Effects) {
        let text = subscription.topic().text();
        if subject::is_hidden(text) || subscription.options().only_events {
            return;
        }
        let receiver = subscription.outbox();
        let group = subscription.options().group.as_deref();
        let json = serde_json::to_vec(&Event {
            event,
            subject: String::from_utf8_lossy(text),
            group: group.map(String::from_utf8_lossy),
            client: receiver.id(),
            listener: receiver.listener().name(),
            name: receiver.name(),
        });
        let json = json.expect("it holds nothing that JSON cannot say");
        let subject = [PREFIX, text].concat();
        self.publish(&Message { kind: Some(event), ..Message::new(&subject, &json) }, effects);
    }
}

impl Presence {
    /// Notes a new subscription or sink of a subject or pattern.
    pub(super) fn note_begin(&self, pattern: &[u8]) {
        if pattern.starts_with(PREFIX) {
            self.watchers.fetch_add(1, Relaxed);
        }
    }

    /// Notes the end of a subscription or sink of a subject or pattern.
    pub(super) fn note_end(&self, pattern: &[u8]) {
        if pattern.starts_with(PREFIX) {
            self.watchers.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use quartet_protocol::buffer::Buffer;

    use super::*;
    use crate::alarm::Alarm;
    use crate::delivery::{Encoding, Listener, Outbox, SubscriptionOptions, Topic};

    /// A fan-out with what it leaves to be done.
    #[derive(Default)]
    struct Place {
        fan_out: FanOut,
        effects: Effects,
    }

    impl Place {
        fn subscribe(
            &mut self,
            outbox: &Arc<Outbox>,
            topic: Topic,
            group: Option<&str>,
        ) -> Arc<Subscription> {
            let group = group.map(|name| name.as_bytes().into());
            let options = SubscriptionOptions { group, ..SubscriptionOptions::default() };
            let subscription = Subscription::new(topic, options, outbox);
            self.fan_out.subscribe(Arc::clone(&subscription), &mut self.effects);
            subscription
        }

        fn unsubscribe(&mut self, subscription: &Arc<Subscription>) {
            self.fan_out.unsubscribe(subscription, &mut self.effects);
        }

        /// What the receiver has got since it was last asked.
        fn taken(&mut self, outbox: &Outbox) -> String {
            self.effects.deliver(&Alarm::default());
            let mut buffer = Buffer::new();
            outbox.drain_into(&mut buffer);
            String::from_utf8(buffer.into_bytes().into()).expect("it is text")
        }
    }

    fn receiver(id: u64) -> Arc<Outbox> {
        let outbox = Outbox::new(id, "127.0.0.1:1".parse().expect("an address")).of(Listener::Broker);
        outbox.set_encoding(Encoding::JsonLine);
        Arc::new(outbox)
    }

    #[test]
    fn who_comes_and_goes_is_told_while_somebody_wants_to_know() {
        let mut place = Place::default();
        let (watcher, guest) = (receiver(1), receiver(2));
        guest.set_name("ann");
        let early = place.subscribe(&guest, Topic::of_pattern(b"room.1"), None);
        let watch = place.subscribe(&watcher, Topic::of_pattern(b"$PRESENCE.>"), None);
        assert_eq!(place.taken(&watcher), "");
        let joined = place.subscribe(&guest, Topic::of_pattern(b"room.*"), Some("g"));
        let line = |event: &str, subject: &str, group: &str| {
            let payload = format!(
                r#"{{\"event\":\"{event}\",\"subject\":\"{subject}\",{group}\"client\":2,\"listener\":\"broker\",\"name\":\"ann\"}}"#
            );
            format!("{{\"subject\":\"$PRESENCE.{subject}\",\"payload\":\"{payload}\"}}\n")
        };
        let group = r#"\"group\":\"g\","#;
        assert_eq!(place.taken(&watcher), line("joined", "room.*", group));
        place.unsubscribe(&joined);
        place.unsubscribe(&joined);
        place.unsubscribe(&early);
        assert_eq!(place.taken(&watcher), line("left", "room.*", group) + &line("left", "room.1", ""));
        place.unsubscribe(&watch);
        place.subscribe(&guest, Topic::of_pattern(b"room.1"), None);
        assert_eq!(place.taken(&watcher), "");
        assert_eq!(place.fan_out.presence.watchers.load(Relaxed), 0);
    }

    #[test]
    fn hidden_subjects_have_no_presence() {
        let mut place = Place::default();
        let watcher = receiver(1);
        let glob = |text: &[u8]| Topic::glob(text).expect("a simple glob");
        place.subscribe(&watcher, glob(b"$PRESENCE.*"), None);
        for topic in [Topic::exact(b"_INBOX.x"), Topic::exact(b"$SYS.x"), Topic::of_pattern(b"$PRESENCE.a")] {
            let hidden = place.subscribe(&receiver(2), topic, None);
            place.unsubscribe(&hidden);
        }
        assert_eq!(place.taken(&watcher), "");
        place.subscribe(&receiver(3), Topic::exact(b"two words"), None);
        assert!(
            place
                .taken(&watcher)
                .contains(r#"\"subject\":\"two words\",\"client\":3,\"listener\":\"broker\"}"#)
        );
    }

    #[test]
    fn a_subscription_that_has_had_its_last_message_has_left() {
        let mut place = Place::default();
        let (watcher, guest) = (receiver(1), receiver(2));
        place.subscribe(&watcher, Topic::of_pattern(b"$PRESENCE.room.1"), None);
        let limited = place.subscribe(&guest, Topic::of_pattern(b"room.1"), None);
        limited.end_after(1, &mut place.effects);
        assert!(place.taken(&watcher).contains("joined"));
        place.fan_out.publish(&Message::new(b"room.1", b"x"), &mut place.effects);
        assert!(place.taken(&watcher).contains("left"));
        place.unsubscribe(&limited);
        assert_eq!(place.taken(&watcher), "");
    }
}
