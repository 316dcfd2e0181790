//! Work for the end of a batch: when it is done, how often, and that none is lost.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Wake, Waker};

use super::super::after_batch::ROUNDS_MAX;
use super::super::{AfterBatch, Feed};
use super::*;
use crate::lock_order::{Mutex, rank};

/// Notes what is done, and in which order.
#[derive(Default)]
struct Journal(Mutex<Vec<String>, { rank::LOG }>);

impl Journal {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Wake for Journal {
    fn wake(self: Arc<Journal>) {
        self.note("woken");
    }
}

/// Publishes on the subject `a` and asks for itself again, so many times.
struct Task {
    name: &'static str,
    fan_out: Arc<FanOut>,
    journal: Arc<Journal>,
    again: AtomicUsize,
}

impl AfterBatch for Task {
    fn run(self: Arc<Task>, effects: &mut Effects) {
        self.journal.note(self.name);
        publish(&self.fan_out, "a", self.name.as_bytes(), effects);
        if self.again.load(Relaxed) > 0 {
            self.again.fetch_sub(1, Relaxed);
            effects.after_batch(self);
        }
    }
}

struct Place {
    fan_out: Arc<FanOut>,
    alarm: Arc<Alarm>,
    journal: Arc<Journal>,
    receiver: Receiver,
}

impl Place {
    /// A receiver of the subject `a` whose waking is noted.
    fn new() -> Place {
        let alarm = Arc::<Alarm>::default();
        let (fan_out, journal) = (Arc::new(FanOut::with_alarm(&alarm)), Arc::<Journal>::default());
        let receiver = Receiver::new(&fan_out, 1, Encoding::Json, &[("a", None)]);
        receiver.outbox.register(&Waker::from(Arc::clone(&journal)));
        Place { fan_out, alarm, journal, receiver }
    }

    fn task(&self, name: &'static str, again: usize) -> Arc<Task> {
        let (fan_out, journal) = (Arc::clone(&self.fan_out), Arc::clone(&self.journal));
        Arc::new(Task { name, fan_out, journal, again: AtomicUsize::new(again) })
    }

    fn received(&mut self) -> Vec<String> {
        self.receiver.catch_up();
        let payload = |line: serde_json::Value| line["payload"].as_str().unwrap_or_default().to_owned();
        self.receiver.lines().into_iter().map(payload).collect()
    }
}

#[test]
fn work_is_done_once_in_the_order_of_asking_and_before_receivers_are_woken() {
    let mut place = Place::new();
    let (one, other) = (place.task("one", 0), place.task("other", 0));
    let mut effects = Effects::default();
    for _ in 0..3 {
        for task in [&other, &one, &one] {
            publish(&place.fan_out, "a", b"first", &mut effects);
            let work = Arc::<Task>::clone(task);
            effects.after_batch(work);
        }
    }
    assert!(effects.has_work_left() && place.journal.take().is_empty(), "not before the end");
    place.fan_out.deliver(&mut effects);
    assert_eq!(place.journal.take(), ["other", "one", "woken"]);
    let mut expected = vec!["first"; 9];
    expected.extend(["other", "one"]);
    assert_eq!(place.received(), expected);
    assert!(!effects.has_work_left() && place.alarm.next().is_none());
    place.fan_out.deliver(&mut effects);
    assert!(place.journal.take().is_empty());
    assert_eq!((Arc::strong_count(&one), Arc::strong_count(&other)), (1, 1));
}

#[test]
fn work_without_end_is_left_to_whom_the_alarm_wakes_and_none_is_lost() {
    let mut place = Place::new();
    let again = 3 * ROUNDS_MAX + 5;
    let mut rounds = Vec::new();
    {
        // Its effects are gone when the work goes on.
        let mut effects = Effects::default();
        effects.after_batch(place.task("long", again));
        effects.after_batch(place.task("short", 0));
        place.fan_out.deliver(&mut effects);
        assert!(!effects.has_work_left());
        rounds.push(place.journal.take().iter().filter(|text| *text == "long").count());
    }
    while place.alarm.ring(0) {
        let mut effects = Effects::default();
        place.fan_out.take_over_work(&mut effects);
        place.fan_out.deliver(&mut effects);
        rounds.push(place.journal.take().iter().filter(|text| *text == "long").count());
    }
    assert_eq!(rounds, [ROUNDS_MAX, ROUNDS_MAX, ROUNDS_MAX, 6]);
    let received = place.received();
    assert_eq!((received.len(), received.iter().filter(|text| *text == "short").count()), (again + 2, 1));
}

#[test]
fn effects_keep_work_that_is_left_over_if_there_is_nobody_to_leave_it_to() {
    let place = Place::new();
    let mut effects = Effects::default();
    effects.after_batch(place.task("long", ROUNDS_MAX));
    deliver(&mut effects);
    assert!(effects.has_work_left());
    deliver(&mut effects);
    assert!(!effects.has_work_left());
}

#[test]
fn work_sets_deadlines_and_what_it_discards_is_freed() {
    struct Deadline(Arc<()>);
    impl AfterBatch for Deadline {
        fn run(self: Arc<Deadline>, effects: &mut Effects) {
            effects.set_deadline(10_000);
            effects.discard(Arc::clone(&self.0), 0);
        }
    }
    let (place, memory, mut effects) = (Place::new(), Arc::new(()), Effects::default());
    effects.after_batch(Arc::new(Deadline(Arc::clone(&memory))));
    place.fan_out.deliver(&mut effects);
    assert_eq!((place.alarm.next(), Arc::strong_count(&memory)), (Some(10), 1));
}

#[test]
fn work_waits_until_a_receiver_has_taken_everything() {
    let mut place = Place::new();
    let (outbox, task) = (Arc::clone(&place.receiver.outbox), place.task("more", 0));
    let work: Arc<dyn AfterBatch> = task;
    assert!(!outbox.once_taken(&work), "nothing waits");
    let mut effects = Effects::default();
    publish(&place.fan_out, "a", b"first", &mut effects);
    place.fan_out.deliver(&mut effects);
    assert!(outbox.once_taken(&work) && outbox.once_taken(&work));
    assert_eq!(place.received(), ["first"]);
    assert_eq!(outbox.take_works().len(), 1);
    assert!(outbox.take_works().is_empty());
    outbox.close();
    assert!(!outbox.once_taken(&work), "nothing is taken any more");
}

#[test]
fn a_feed_leaves_the_work_that_has_waited_for_it_to_whom_the_alarm_wakes() {
    let place = Place::new();
    let feed =
        Feed::open(&place.fan_out, vec![Topic::exact(b"a")], Encoding::Json, &Default::default(), None);
    let feed = feed.expect("there are few");
    let subscriptions = place.fan_out.channels.find(b"a").each;
    let outboxes = subscriptions.iter().map(|subscription| Arc::clone(subscription.outbox()));
    let mut outboxes = outboxes.filter(|outbox| !Arc::ptr_eq(outbox, &place.receiver.outbox));
    let outbox = outboxes.next().expect("the feed is subscribed");
    let mut effects = Effects::default();
    for is_dropped in [false, true] {
        publish(&place.fan_out, "a", b"first", &mut effects);
        place.fan_out.deliver(&mut effects);
        let work: Arc<dyn AfterBatch> = place.task("more", 0);
        assert!(outbox.once_taken(&work));
        assert_eq!(place.alarm.next(), None);
        if is_dropped {
            break;
        }
        assert!(feed.poll_next(Waker::noop()).is_ready());
        assert!(place.alarm.ring(0));
        place.fan_out.take_over_work(&mut effects);
        place.fan_out.deliver(&mut effects);
        assert!(feed.poll_next(Waker::noop()).is_ready(), "it has more");
    }
    drop(feed);
    assert!(place.alarm.ring(0));
}
