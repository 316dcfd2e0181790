//! Who watches what happens to a resource, other than by subscribing to its channel: streams of events over HTTP.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Poll, Waker};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use dashmap::DashMap;

use crate::lock_order::{Held, Mutex, rank};

/// Events that wait for one watcher.  One that is behind by more has its stream ended, and begins again.
const EVENTS_MAX: usize = 1024;

/// Bytes of events that wait for one watcher, with the same end.
const EVENT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of events that wait for all watchers together: whoever would get one beyond them has its stream ended.
const ALL_EVENT_BYTES_MAX: usize = 64 << 20;

/// Watchers of all resources together.
const WATCHERS_MAX: usize = 10_000;

/// An event as watchers get it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchedEvent {
    /// Its kind.
    pub word: &'static str,
    /// What subscribers of the channel get.
    pub payload: Bytes,
}

/// All watchers, by the resource they watch.
#[derive(Default)]
pub struct Watchers {
    resources: DashMap<Box<[u8]>, Vec<Arc<Queue>>>,
    count: AtomicUsize,
    /// Bytes of events that wait for them.
    waiting_bytes: AtomicUsize,
}

/// What waits for one watcher.
#[derive(Default)]
struct Queue {
    events: Mutex<Events, { rank::WATCHED_EVENTS }>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct Events {
    waiting: VecDeque<WatchedEvent>,
    /// Bytes of what waits.
    bytes: usize,
    /// Some were lost, so the rest would mislead.
    has_lost: bool,
}

/// One watcher's end, which stops watching when it is dropped.
pub struct Watch {
    watchers: Arc<Watchers>,
    resource: Box<[u8]>,
    queue: Arc<Queue>,
}

impl Watchers {
    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Begins to watch a resource; none if too many watch already.
    pub fn watch(self: &Arc<Watchers>, resource: &[u8]) -> Option<Watch> {
        if self.count.fetch_add(1, Relaxed) >= WATCHERS_MAX {
            self.count.fetch_sub(1, Relaxed);
            return None;
        }
        let queue = Arc::new(Queue::default());
        let _held = held();
        self.resources.entry(resource.into()).or_default().push(Arc::clone(&queue));
        Some(Watch { watchers: Arc::clone(self), resource: resource.into(), queue })
    }

    /// Tells those who watch a resource.
    pub fn tell(&self, resource: &[u8], event: &WatchedEvent) {
        let _held = held();
        let Some(queues) = self.resources.get(resource) else { return };
        for queue in queues.iter() {
            let mut events = queue.events.lock();
            let bytes = event.payload.len();
            let is_full = events.waiting.len() == EVENTS_MAX
                || events.bytes + bytes > EVENT_BYTES_MAX
                || self.waiting_bytes.load(Relaxed) + bytes > ALL_EVENT_BYTES_MAX;
            if is_full && !events.has_lost {
                self.waiting_bytes.fetch_sub(events.bytes, Relaxed);
                *events = Events { has_lost: true, ..Events::default() };
            } else if !events.has_lost {
                self.waiting_bytes.fetch_add(bytes, Relaxed);
                events.bytes += bytes;
                events.waiting.push_back(event.clone());
            }
            drop(events);
            queue.waker.wake();
        }
    }
}

impl Watch {
    /// The next event, or none if some were lost; until there is one, `waker` is woken when it comes.
    pub fn poll_next(&self, waker: &Waker) -> Poll<Option<WatchedEvent>> {
        self.queue.waker.register(waker);
        let mut events = self.queue.events.lock();
        match events.waiting.pop_front() {
            Some(event) => {
                events.bytes -= event.payload.len();
                self.watchers.waiting_bytes.fetch_sub(event.payload.len(), Relaxed);
                Poll::Ready(Some(event))
            }
            None if events.has_lost => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watchers.count.fetch_sub(1, Relaxed);
        let _held = held();
        if let Some(mut queues) = self.watchers.resources.get_mut(&self.resource) {
            queues.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        }
        self.watchers.resources.remove_if(&self.resource, |_, queues| queues.is_empty());
        // Nobody adds to it any more.
        let bytes = std::mem::take(&mut *self.queue.events.lock()).bytes;
        self.watchers.waiting_bytes.fetch_sub(bytes, Relaxed);
    }
}

/// Notes that a part of the map is about to be locked.
fn held() -> Held {
    Held::new(rank::WATCHERS, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(word: &'static str) -> WatchedEvent {
        WatchedEvent { word, payload: Bytes::new() }
    }

    #[test]
    fn events_reach_those_who_watch_the_resource() {
        let watchers = Arc::new(Watchers::default());
        let watch = watchers.watch(b"x").expect("there are few");
        watchers.tell(b"y", &event("acquired"));
        assert_eq!(watch.poll_next(Waker::noop()), Poll::Pending);
        watchers.tell(b"x", &event("released"));
        assert_eq!(watch.poll_next(Waker::noop()), Poll::Ready(Some(event("released"))));
        drop(watch);
        assert!(watchers.is_empty() && watchers.resources.is_empty());
    }

    #[test]
    fn bytes_that_wait_are_bounded() {
        let watchers = Arc::new(Watchers::default());
        let event = WatchedEvent { word: "acquired", payload: vec![b'x'; EVENT_BYTES_MAX / 4].into() };
        let watch = watchers.watch(b"x").expect("there are few");
        for _ in 0..4 {
            watchers.tell(b"x", &event);
        }
        assert_eq!(watch.poll_next(Waker::noop()), Poll::Ready(Some(event.clone())));
        watchers.tell(b"x", &event);
        assert_eq!(watchers.waiting_bytes.load(Relaxed), EVENT_BYTES_MAX);
        watchers.tell(b"x", &event);
        assert_eq!(watch.poll_next(Waker::noop()), Poll::Ready(None));
        assert_eq!(watchers.waiting_bytes.load(Relaxed), 0);

        let watches: Vec<_> = (0..ALL_EVENT_BYTES_MAX / EVENT_BYTES_MAX)
            .map(|number| (number, watchers.watch(&number.to_ne_bytes()).expect("there are few")))
            .collect();
        for (number, _) in watches.iter().flat_map(|watch| [watch; 4]) {
            watchers.tell(&number.to_ne_bytes(), &event);
        }
        let late = watchers.watch(b"late").expect("there are few");
        watchers.tell(b"late", &event);
        assert_eq!(late.poll_next(Waker::noop()), Poll::Ready(None));
        assert_eq!(watches[0].1.poll_next(Waker::noop()), Poll::Ready(Some(event)));
        drop(watches);
        assert_eq!(watchers.waiting_bytes.load(Relaxed), 0);
    }

    #[test]
    fn who_is_too_slow_is_told_that_events_were_lost() {
        let watchers = Arc::new(Watchers::default());
        let watch = watchers.watch(b"x").expect("there are few");
        for _ in 0..=EVENTS_MAX {
            watchers.tell(b"x", &event("acquired"));
        }
        watchers.tell(b"x", &event("released"));
        assert_eq!(watch.poll_next(Waker::noop()), Poll::Ready(None));
    }
}
