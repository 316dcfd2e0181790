//! Threads that settle streams wake up whenever there is something to settle.
//!
//! Nobody looks after the streams but the threads that were woken, so a wake-up that is lost stops the test: a message is not
//! acknowledged however long its publisher waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use quartet::clock::Clock;
use quartet::delivery::{Effects, FanOut};
use quartet::stream::{Incoming, Publisher, Stream, Streams};

use crate::support::kept_streams::KeptStreams;

const WORKERS: usize = 3;
const ROUNDS: usize = 3_000;

/// Far longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Wakes a worker.
struct Bell(Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // The worker may have ended.
        let _ = self.0.send(());
    }
}

/// A worker, which publishes, and settles whenever it is woken.
struct Worker {
    bell: Arc<Bell>,
    rung: Receiver<()>,
    streams: Arc<Streams>,
    fan_out: Arc<FanOut>,
    clock: Arc<Clock>,
    effects: Effects,
}

impl Worker {
    /// Publishes a message on each stream, and sleeps until all are acknowledged.
    fn publish(&mut self, kept: &[Arc<Stream>]) {
        let told = Arc::new(AtomicUsize::new(0));
        for stream in kept {
            let (told, bell) = (Arc::clone(&told), Arc::clone(&self.bell));
            let publisher = Publisher::Caller(Box::new(move |_, outcome, _| {
                outcome.expect("it is stored");
                told.fetch_add(1, Ordering::AcqRel);
                bell.wake();
            }));
            let incoming = Incoming { subject: b"x", payload: b"x", ..Incoming::default() };
            stream.store(&incoming, self.clock.now(), publisher, &mut self.effects);
        }
        self.fan_out.deliver(&mut self.effects);
        while told.load(Ordering::Acquire) < kept.len() {
            self.rung.recv_timeout(PATIENCE).expect("no wake-up is lost");
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.streams.settle(&mut self.effects);
        self.fan_out.deliver(&mut self.effects);
    }
}

#[test]
fn what_a_busy_worker_was_to_settle_is_settled_when_the_alarm_rings() {
    let mut kept = KeptStreams::new();
    kept.create("A", r#""subjects":["a"]"#);
    // The worker that publishes is woken when the disk has the message, and does not come to it.
    kept.after(1000);
    let due = kept.clock.now().millis() + 20;
    kept.alarm.ring(due);
    kept.publish("a", "_INBOX.told", "", "x");
    assert_eq!(kept.alarm.next(), Some(due));
    kept.write();
    assert!(kept.got().is_empty());
    kept.clock.advance(Duration::from_millis(20));
    assert!(kept.alarm.ring(kept.clock.now().millis()));
    kept.advance_unwritten();
    let told: Vec<String> = kept.got().into_iter().map(|got| got.contents).collect();
    assert_eq!(told, [r#"{"stream":"A","seq":1}"#]);
    assert_eq!(kept.alarm.next(), None, "nothing is left to be settled");
}

#[test]
fn while_the_disk_is_slow_the_alarm_rings_again() {
    let mut kept = KeptStreams::new();
    kept.create("A", r#""subjects":["a"]"#);
    kept.after(1000);
    kept.alarm.ring(u64::MAX);
    kept.publish("a", "_INBOX.told", "", "x");
    for _ in 0..3 {
        kept.clock.advance(Duration::from_millis(20));
        assert!(kept.alarm.ring(kept.clock.now().millis()));
        kept.advance_unwritten();
        assert!(kept.got().is_empty());
    }
    kept.write();
    kept.clock.advance(Duration::from_millis(20));
    kept.advance_unwritten();
    assert_eq!(kept.got().len(), 1);
}

#[test]
fn a_long_purge_gives_the_lock_up_between_its_steps() {
    // So many are removed at a time, so often before the thread does something else.
    const STEP: u64 = 1024;
    const STEPS: u64 = 8;
    const MESSAGES: u64 = 20_000;
    let mut kept = KeptStreams::new();
    kept.create("A", r#""subjects":["a","b"]"#);
    let stream = kept.streams.find("A").expect("it is there");
    let now = kept.clock.now();
    for number in 0..MESSAGES + 10 {
        let subject = if number < MESSAGES { "a" } else { "b" };
        let incoming = Incoming { subject: subject.as_bytes(), payload: b"x", ..Incoming::default() };
        stream.store(&incoming, now, Publisher::Nobody, &mut Effects::default());
    }
    let messages = || stream.describe(quartet::stream::Details::default(), now).state.messages;
    while messages() < MESSAGES + 10 {
        kept.carry_on();
    }
    kept.publish("$JS.API.STREAM.PURGE.A", "_INBOX.purged", "", r#"{"filter":"a"}"#);
    kept.write();
    let mut effects = Effects::default();
    kept.streams.settle(&mut effects);
    assert_eq!(messages(), MESSAGES + 10 - STEPS * STEP);
    assert!(kept.got().is_empty());
    while messages() > 10 {
        effects.deliver(&kept.alarm);
    }
    effects.deliver(&kept.alarm);
    let told: Vec<String> = kept.got().into_iter().map(|got| got.contents).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(r#""success":true,"purged":20000"#), "{told:?}");
}

#[test]
fn no_wake_up_is_lost_when_threads_settle_the_same_streams() {
    let mut kept = KeptStreams::new();
    kept.create("A", r#""subjects":["a"]"#);
    kept.create("B", r#""subjects":["b"],"persist_mode":"async""#);
    let clock = Arc::clone(&kept.clock);
    let (streams, mut writer, fan_out, _keeper) = kept.into_parts();
    let names = ["A", "B"];
    let kept: Vec<Arc<Stream>> = names.iter().map(|name| streams.find(name).expect("it is there")).collect();
    let (is_over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (streams, fan_out) = (Arc::clone(&streams), Arc::clone(&fan_out));
            let (bell, rung) = channel();
            let (bell, clock, effects) = (Arc::new(Bell(bell)), Arc::clone(&clock), Effects::default());
            let mut worker = Worker { bell, rung, streams, fan_out, clock, effects };
            let (kept, is_over, done) = (&kept, &is_over, &done);
            scope.spawn(move || {
                worker.streams.add_settler(Waker::from(Arc::clone(&worker.bell)));
                for round in 0..ROUNDS {
                    worker.publish(&kept[..1 + round % 2]);
                }
                worker.streams.remove_settler();
                if done.fetch_add(1, Ordering::AcqRel) + 1 == WORKERS {
                    is_over.store(true, Ordering::Release);
                }
            });
        }
        while !is_over.load(Ordering::Acquire) {
            writer.step();
            thread::yield_now();
        }
    });
    let stored = kept[0].describe(quartet::stream::Details::default(), clock.now()).state.messages;
    assert_eq!(stored, (WORKERS * ROUNDS) as u64);
}
