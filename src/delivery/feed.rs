//! Feeds of messages: subscribers without a connection of their own, for example HTTP responses that stay open.  They keep nothing,
//! unlike the durable streams.
//!
//! A feed of a service's events ends if it falls behind: later events would mislead a reader that does not know of the
//! missing ones.  A feed of other messages has a policy like any receiver, and learns how many it has missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Poll, Wake, Waker};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use quartet_protocol::buffer::Buffer;

use super::outbox::Bound;
use super::{Effects, Encoding, FanOut, Outbox, ROOM, Subscription, SubscriptionOptions, Topic};

/// The most feeds at a time.
const FEEDS_MAX: usize = 10_000;

/// Bytes of events that wait for one feed of events.
const EVENT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of messages that wait for one feed of messages, or so many of the longest ones if these take more.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
const MESSAGES_MIN: usize = 2;

/// How many feeds there are, and were.
#[derive(Default)]
pub(super) struct Feeds {
    count: AtomicUsize,
    last_id: AtomicU64,
}

/// The reader's end of a feed.  It is subscribed to its channel until it is dropped.
pub struct Feed {
    fan_out: Arc<FanOut>,
    subscriptions: Vec<Arc<Subscription>>,
    outbox: Arc<Outbox>,
    reader: Arc<Reader>,
}

/// Wakes the task that reads the feed, which may change.
#[derive(Default)]
struct Reader(AtomicWaker);

impl Wake for Reader {
    fn wake(self: Arc<Reader>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Reader>) {
        self.0.wake();
    }
}

impl Feed {
    /// Opens a feed of the messages of all `topics`; none if there are too many feeds.  A feed whose options name no
    /// policy ends when it falls behind.  `name` is that of its reader, for those who ask who is subscribed.
    pub fn open(
        fan_out: &Arc<FanOut>,
        topics: Vec<Topic>,
        encoding: Encoding,
        options: &SubscriptionOptions,
        name: Option<&str>,
    ) -> Option<Feed> {
        let feeds = &fan_out.feeds;
        if feeds.count.fetch_add(1, Relaxed) >= FEEDS_MAX {
            feeds.count.fetch_sub(1, Relaxed);
            return None;
        }
        let id = feeds.last_id.fetch_add(1, Relaxed) + 1;
        let messages_max = || MESSAGE_BYTES_MAX.max(MESSAGES_MIN * fan_out.backlog.payload_max());
        let bytes_max = if options.only_events { EVENT_BYTES_MAX } else { messages_max() };
        let bound = Bound { bytes_max, policy: options.slow_consumer.unwrap_or_default() };
        let outbox = Arc::new(Outbox::of_feed(id, encoding, bound));
        name.into_iter().for_each(|name| outbox.set_name(name));
        let reader = Arc::<Reader>::default();
        outbox.register(&Waker::from(Arc::clone(&reader)));
        let subscribe = |topic| Subscription::new(topic, options.clone(), &outbox);
        let subscriptions: Vec<_> = topics.into_iter().map(subscribe).collect();
        let mut effects = Effects::default();
        for subscription in &subscriptions {
            fan_out.subscribe(Arc::clone(subscription), &mut effects);
        }
        fan_out.deliver(&mut effects);
        Some(Feed { fan_out: Arc::clone(fan_out), subscriptions, outbox, reader })
    }

    /// Opens a feed of the events that services publish on a channel; none if there are too many feeds.
    pub fn open_events(fan_out: &Arc<FanOut>, channel: &[u8]) -> Option<Feed> {
        let options = SubscriptionOptions { only_events: true, ..SubscriptionOptions::default() };
        Feed::open(fan_out, vec![Topic::exact(channel)], Encoding::Event, &options, None)
    }

    /// The next messages, each of them whole, or none if the feed has ended since it has fallen behind.  Until there are
    /// some, `waker` is woken when they come.
    pub fn poll_next(&self, waker: &Waker) -> Poll<Option<Bytes>> {
        self.reader.0.register(waker);
        if self.outbox.is_closing() {
            return Poll::Ready(None);
        }
        let mut messages = Buffer::new();
        self.outbox.collect(&mut messages, ROOM);
        if self.outbox.is_empty() {
            self.fan_out.leave_work(self.outbox.take_works());
        }
        if messages.is_empty() { Poll::Pending } else { Poll::Ready(Some(messages.into_bytes())) }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut effects = Effects::default();
        for ended in &self.subscriptions {
            self.fan_out.unsubscribe(ended, &mut effects);
            ended.silence();
        }
        self.fan_out.deliver(&mut effects);
        self.outbox.discard();
        self.fan_out.leave_work(self.outbox.take_works());
        self.fan_out.feeds.count.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;
    use crate::alarm::Alarm;
    use crate::settings::{Settings, SlowConsumer};

    /// Publishes an event whose encoded form has so many bytes.
    fn publish(fan_out: &FanOut, channel: &[u8], bytes: usize) {
        let payload = vec![b'x'; bytes - "event: acquired\ndata: \n\n".len()];
        let message = Message { kind: Some("acquired"), ..Message::new(channel, &payload) };
        let mut effects = Effects::default();
        fan_out.publish(&message, &mut effects);
        effects.deliver(&Alarm::default());
    }

    fn open(fan_out: &Arc<FanOut>, channel: &[u8]) -> Feed {
        Feed::open_events(fan_out, channel).expect("there are few")
    }

    /// The length of the next event; none at the end.
    fn next(feed: &Feed) -> Poll<Option<usize>> {
        feed.poll_next(Waker::noop()).map(|event| event.map(|event| event.len()))
    }

    #[test]
    fn an_event_reaches_the_streams_of_its_channel() {
        let fan_out = Arc::new(FanOut::default());
        let feed = open(&fan_out, b"x");
        publish(&fan_out, b"y", 100);
        assert_eq!(next(&feed), Poll::Pending);
        publish(&fan_out, b"x", 100);
        assert_eq!(next(&feed), Poll::Ready(Some(100)));
        assert_eq!(next(&feed), Poll::Pending);
        drop(feed);
        assert_eq!(fan_out.channels.subscription_count(), 0);
        assert_eq!(fan_out.feeds.count.load(Relaxed), 0);
    }

    #[test]
    fn a_client_cannot_forge_an_event() {
        let fan_out = Arc::new(FanOut::default());
        let feed = open(&fan_out, b"x");
        let message = Message::new(b"x", b"\n\nevent: forced\ndata: {}");
        let mut effects = Effects::default();
        let receivers = fan_out.publish(&message, &mut effects);
        assert_eq!((receivers.count, next(&feed)), (0, Poll::Pending));
    }

    #[test]
    fn a_reader_is_woken_wherever_it_reads() {
        struct Flag(AtomicUsize);
        impl Wake for Flag {
            fn wake(self: Arc<Flag>) {
                self.0.fetch_add(1, Relaxed);
            }
        }
        let fan_out = Arc::new(FanOut::default());
        let feed = open(&fan_out, b"x");
        for _ in 0..2 {
            let flag = Arc::new(Flag(AtomicUsize::new(0)));
            assert!(feed.poll_next(&Waker::from(Arc::clone(&flag))).is_pending());
            publish(&fan_out, b"x", 100);
            assert_eq!(flag.0.load(Relaxed), 1);
            assert_eq!(next(&feed), Poll::Ready(Some(100)));
        }
    }

    #[test]
    fn a_stream_of_events_ends_when_it_falls_behind() {
        const QUARTER: usize = EVENT_BYTES_MAX / 4;
        let fan_out = Arc::new(FanOut::default());
        let feed = open(&fan_out, b"x");
        for _ in 0..3 {
            publish(&fan_out, b"x", QUARTER);
        }
        let mut taken = 0;
        while let Poll::Ready(Some(bytes)) = next(&feed) {
            taken += bytes;
        }
        assert_eq!(taken, 3 * QUARTER);
        for _ in 0..5 {
            publish(&fan_out, b"x", QUARTER);
        }
        publish(&fan_out, b"x", 100);
        assert_eq!(next(&feed), Poll::Ready(None));
        assert_eq!(fan_out.slow_receivers().next(), Some(("disconnect", 1)));
        drop(feed);
        assert_eq!(fan_out.waiting_bytes(), 0);
    }

    #[test]
    fn a_stream_of_messages_is_told_what_it_has_missed() {
        let fan_out = Arc::new(FanOut::default());
        let options = SubscriptionOptions {
            slow_consumer: Some(SlowConsumer::DropOldest),
            ..SubscriptionOptions::default()
        };
        let topics = vec![Topic::of_pattern(b"x.>")];
        let feed = Feed::open(&fan_out, topics, Encoding::JsonLine, &options, None).expect("there are few");
        let payload = "p".repeat(MESSAGE_BYTES_MAX / 4);
        let mut effects = Effects::default();
        for number in 0..6 {
            let subject = format!("x.{number}");
            fan_out.publish(&Message::new(subject.as_bytes(), payload.as_bytes()), &mut effects);
            effects.deliver(&Alarm::default());
        }
        let mut lines = Vec::new();
        while let Poll::Ready(Some(taken)) = feed.poll_next(Waker::noop()) {
            let text = String::from_utf8(taken.to_vec()).expect("it is JSON");
            lines.extend(text.lines().map(|line| line.replace(&payload, "…")));
        }
        let gap = r#"{"op":"gap","missed":3}"#.to_owned();
        let message = |number| format!(r#"{{"subject":"x.{number}","payload":"…"}}"#);
        assert_eq!(lines, [gap, message(3), message(4), message(5)]);
        assert_eq!((fan_out.missed(), feed.subscriptions[0].missed()), (3, 3));
        drop((feed, effects));
        assert_eq!(fan_out.waiting_bytes(), 0);
    }

    #[test]
    fn a_stream_takes_the_longest_message_that_a_client_may_publish() {
        let fan_out = Arc::new(FanOut::default());
        let settings = Settings { broker_max_payload: 2 * MESSAGE_BYTES_MAX, ..Settings::default() };
        fan_out.follow_settings(&settings);
        let payload = "p".repeat(settings.broker_max_payload);
        for policy in SlowConsumer::ALL {
            let options =
                SubscriptionOptions { slow_consumer: Some(*policy), ..SubscriptionOptions::default() };
            let topics = vec![Topic::exact(b"x")];
            let feed =
                Feed::open(&fan_out, topics, Encoding::JsonLine, &options, None).expect("there are few");
            let mut effects = Effects::default();
            fan_out.publish(&Message::new(b"x", payload.as_bytes()), &mut effects);
            effects.deliver(&Alarm::default());
            let Poll::Ready(Some(taken)) = feed.poll_next(Waker::noop()) else { panic!("{policy:?}") };
            assert!(taken.len() > payload.len());
        }
    }

    #[test]
    fn streams_are_bounded() {
        let fan_out = Arc::new(FanOut::default());
        let feeds: Vec<_> = (0..FEEDS_MAX).map(|_| open(&fan_out, b"x")).collect();
        assert!(Feed::open_events(&fan_out, b"x").is_none());
        drop(feeds);
        open(&fan_out, b"x");
    }
}
