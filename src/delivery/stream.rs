//! Streams of events: subscribers without a connection of their own, for example HTTP responses that stay open.
//!
//! A stream takes one event at a time.  If it falls behind, its waiting events are dropped and it ends: later events would
//! mislead a reader that does not know of the missing ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Poll, Wake, Waker};

use atomic_waker::AtomicWaker;
use bytes::Bytes;

use super::{Encoding, FanOut, Outbox, Subscription, SubscriptionOptions, Topic};

/// Streams at a time.
const STREAMS_MAX: usize = 10_000;

/// Events that wait for one stream.
pub(super) const EVENTS_MAX: usize = 1024;

/// Bytes of events that wait for one stream.
pub(super) const EVENT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of events that wait for all streams together.
const ALL_EVENT_BYTES_MAX: usize = 64 << 20;

/// The number of streams and the bytes that wait for them.
#[derive(Default)]
pub(super) struct Streams {
    count: AtomicUsize,
    /// Bytes of events that wait for them.
    waiting_bytes: AtomicUsize,
    last_id: AtomicU64,
}

impl Streams {
    /// Makes room for so many bytes, if there is any.
    pub(super) fn take_room(&self, bytes: usize) -> bool {
        let fits = self.waiting_bytes.fetch_add(bytes, Relaxed) + bytes <= ALL_EVENT_BYTES_MAX;
        if !fits {
            self.give_room_back(bytes);
        }
        fits
    }

    /// Takes note that so many bytes wait no more.
    pub(super) fn give_room_back(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Relaxed);
    }
}

/// The reader's end of a stream.  It is subscribed to its channel until it is dropped.
pub struct Stream {
    fan_out: Arc<FanOut>,
    subscriptions: Vec<Arc<Subscription>>,
    outbox: Arc<Outbox>,
    reader: Arc<Reader>,
}

/// Wakes the task that reads the stream, which may change.
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

impl Stream {
    /// Opens a stream of the messages of all `topics`; none if there are too many streams.
    pub fn open(
        fan_out: &Arc<FanOut>,
        topics: Vec<Topic>,
        encoding: Encoding,
        options: &SubscriptionOptions,
    ) -> Option<Stream> {
        let streams = &fan_out.streams;
        if streams.count.fetch_add(1, Relaxed) >= STREAMS_MAX {
            streams.count.fetch_sub(1, Relaxed);
            return None;
        }
        let id = streams.last_id.fetch_add(1, Relaxed) + 1;
        let outbox = Arc::new(Outbox::of_stream(id, encoding, Arc::clone(streams)));
        let reader = Arc::<Reader>::default();
        outbox.register(&Waker::from(Arc::clone(&reader)));
        let subscribe = |topic| Subscription::new(topic, options.clone(), &outbox);
        let subscriptions: Vec<_> = topics.into_iter().map(subscribe).collect();
        subscriptions.iter().for_each(|subscription| fan_out.channels.subscribe(Arc::clone(subscription)));
        Some(Stream { fan_out: Arc::clone(fan_out), subscriptions, outbox, reader })
    }

    /// Opens a stream of the events that services publish on a channel; none if there are too many streams.
    pub fn open_events(fan_out: &Arc<FanOut>, channel: &[u8]) -> Option<Stream> {
        let options = SubscriptionOptions { only_events: true, ..SubscriptionOptions::default() };
        Stream::open(fan_out, vec![Topic::exact(channel)], Encoding::Event, &options)
    }

    /// The next event, or none if the stream has fallen behind.  Until there is one, `waker` is woken when it comes.
    pub fn poll_next(&self, waker: &Waker) -> Poll<Option<Bytes>> {
        self.reader.0.register(waker);
        if self.outbox.is_closing() {
            return Poll::Ready(None);
        }
        match self.outbox.take_first() {
            Some(event) => Poll::Ready(Some(event)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.subscriptions.iter().for_each(|ended| self.fan_out.channels.unsubscribe(ended));
        self.fan_out.streams.count.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Effects, Message};
    use super::*;
    use crate::alarm::Alarm;

    /// Publishes an event whose encoded form has so many bytes.
    fn publish(fan_out: &FanOut, channel: &[u8], bytes: usize) {
        let payload = vec![b'x'; bytes - "event: acquired\ndata: \n\n".len()];
        let message = Message { kind: Some("acquired"), ..Message::new(channel, &payload) };
        let mut effects = Effects::default();
        fan_out.publish(&message, &mut effects);
        effects.deliver(&Alarm::default());
    }

    fn open(fan_out: &Arc<FanOut>, channel: &[u8]) -> Stream {
        Stream::open_events(fan_out, channel).expect("there are few")
    }

    /// The length of the next event; none at the end.
    fn next(stream: &Stream) -> Poll<Option<usize>> {
        stream.poll_next(Waker::noop()).map(|event| event.map(|event| event.len()))
    }

    fn waiting_bytes(fan_out: &FanOut) -> usize {
        fan_out.streams.waiting_bytes.load(Relaxed)
    }

    #[test]
    fn an_event_reaches_the_streams_of_its_channel() {
        let fan_out = Arc::new(FanOut::default());
        let stream = open(&fan_out, b"x");
        publish(&fan_out, b"y", 100);
        assert_eq!(next(&stream), Poll::Pending);
        publish(&fan_out, b"x", 100);
        assert_eq!(next(&stream), Poll::Ready(Some(100)));
        assert_eq!(next(&stream), Poll::Pending);
        drop(stream);
        assert!(!fan_out.channels.has_subscribers());
        assert_eq!(fan_out.streams.count.load(Relaxed), 0);
    }

    #[test]
    fn a_client_cannot_forge_an_event() {
        let fan_out = Arc::new(FanOut::default());
        let stream = open(&fan_out, b"x");
        let message = Message::new(b"x", b"\n\nevent: forced\ndata: {}");
        let mut effects = Effects::default();
        let receivers = fan_out.publish(&message, &mut effects);
        assert_eq!((receivers.count, next(&stream)), (0, Poll::Pending));
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
        let stream = open(&fan_out, b"x");
        for _ in 0..2 {
            let flag = Arc::new(Flag(AtomicUsize::new(0)));
            assert!(stream.poll_next(&Waker::from(Arc::clone(&flag))).is_pending());
            publish(&fan_out, b"x", 100);
            assert_eq!(flag.0.load(Relaxed), 1);
            assert_eq!(next(&stream), Poll::Ready(Some(100)));
        }
    }

    #[test]
    fn waiting_bytes_are_bounded() {
        const QUARTER: usize = EVENT_BYTES_MAX / 4;
        let fan_out = Arc::new(FanOut::default());
        let stream = open(&fan_out, b"x");
        for _ in 0..4 {
            publish(&fan_out, b"x", QUARTER);
        }
        assert_eq!(next(&stream), Poll::Ready(Some(QUARTER)));
        publish(&fan_out, b"x", QUARTER);
        assert_eq!(waiting_bytes(&fan_out), EVENT_BYTES_MAX);
        publish(&fan_out, b"x", QUARTER);
        assert_eq!(next(&stream), Poll::Ready(None));
        assert_eq!(waiting_bytes(&fan_out), 0);

        let streams: Vec<_> = (0..ALL_EVENT_BYTES_MAX / EVENT_BYTES_MAX)
            .map(|number| (number, open(&fan_out, &number.to_ne_bytes())))
            .collect();
        for (number, _) in streams.iter().flat_map(|stream| [stream; 4]) {
            publish(&fan_out, &number.to_ne_bytes(), QUARTER);
        }
        let late = open(&fan_out, b"late");
        publish(&fan_out, b"late", QUARTER);
        assert_eq!(next(&late), Poll::Ready(None));
        assert_eq!(next(&streams[0].1), Poll::Ready(Some(QUARTER)));
        drop(streams);
        assert_eq!(waiting_bytes(&fan_out), 0);
    }

    #[test]
    fn a_slow_stream_ends_when_it_has_lost_events() {
        let fan_out = Arc::new(FanOut::default());
        let stream = open(&fan_out, b"x");
        for _ in 0..=EVENTS_MAX {
            publish(&fan_out, b"x", 100);
        }
        publish(&fan_out, b"x", 100);
        assert_eq!(next(&stream), Poll::Ready(None));
    }

    #[test]
    fn streams_are_bounded() {
        let fan_out = Arc::new(FanOut::default());
        let streams: Vec<_> = (0..STREAMS_MAX).map(|_| open(&fan_out, b"x")).collect();
        assert!(Stream::open_events(&fan_out, b"x").is_none());
        drop(streams);
        open(&fan_out, b"x");
    }
}
