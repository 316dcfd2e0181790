//! What becomes of clients while another thread keeps theirs from the store for long.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::thread;

use quartet::client::Door;
use quartet::command::executor::Executor;
use quartet::command::{Flow, Services};
use quartet::random::Random;
use quartet::session::resp::Session;
use quartet::store::{AccessContext, Hold, Keyspace, LongHolds, Patience, Turn};
use quartet_protocol::resp::{Batch, Output};

use super::key_waits::{Asking, services, still};
use super::text;

/// The slot of the thread that is alone.
const ALONE: usize = 1;

/// A client of thread 0.
struct Connected {
    id: u64,
    session: Session,
    executor: Executor,
    batch: Batch,
}

impl Connected {
    fn new(services: &Arc<Services>) -> Connected {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
        let shared = services.clients.connect(Door::Resp, address, address, services.clock.now().millis());
        let executor = Executor::new(Arc::clone(services), 0, Random::with_seed(1));
        Connected { id: shared.id, session: Session::new(shared, true), executor, batch: Batch::new() }
    }

    fn say(&mut self, line: &str) -> (Flow, String) {
        let (mut input, mut output) = (format!("{line}\r\n").into_bytes(), Output::new());
        let flow = self.session.receive(&mut input, &mut self.executor, &mut self.batch, &mut output);
        (flow, text(&output))
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Woken>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A step with what is held for long.
type Step = fn(&LongHolds);

/// How it is noted that somebody takes long, and that this is over.
type Way = (Step, Step);

/// Runs `work` while another thread is alone at the store, which is noted and forgotten in this way.
fn beside_one_who_is_alone(services: &Services, (note, forget): Way, work: impl FnOnce()) {
    let (is_there, there) = channel();
    let (may_leave, leave) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let gate = services.store.gate().enter_exclusive(ALONE, Patience::Commands);
            note(services.store.holds());
            is_there.send(()).expect("the test waits");
            // Until the other end is dropped.
            let _ = leave.recv();
            drop(gate);
            forget(services.store.holds());
        });
        there.recv().expect("nobody else is inside");
        work();
        drop(may_leave);
    });
}

/// How a command that takes long is noted and forgotten, and how a script is.
const WAYS: [Way; 2] = [
    (|holds| holds.note_turn(ALONE), |holds| holds.forget_turn(ALONE)),
    (|holds| holds.note(ALONE, Hold::All), |holds| holds.forget(ALONE, Turn::Ends)),
];

#[test]
fn a_wait_that_is_to_be_cut_short_is_cut_once_the_store_is_free() {
    for (way, reply) in [("ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK"), ("TIMEOUT", "*-1")] {
        for holder in WAYS {
            let services = services(still());
            let mut client = Connected::new(&services);
            assert_eq!(client.say("BLPOP list 0"), (Flow::Wait, String::new()));
            let mut other = Asking::new(&services, 2);
            assert_eq!(other.reply(&format!("CLIENT UNBLOCK {} {way}", client.id)), ":1");
            let woken = Arc::new(Woken::default());
            let (waker, mut output) = (Waker::from(Arc::clone(&woken)), Output::new());
            beside_one_who_is_alone(&services, holder, || {
                for _ in 0..2 {
                    let polled = client.session.poll_blocked(&waker, &mut client.executor, &mut output);
                    assert!(polled.is_pending());
                }
                assert_eq!(woken.0.load(Relaxed), 0);
            });
            assert_eq!(woken.0.load(Relaxed), 1, "it may try again");
            assert!(client.session.poll_blocked(&waker, &mut client.executor, &mut output).is_ready());
            assert_eq!(text(&output), reply);
        }
    }
}

#[test]
fn a_client_that_leaves_waits_for_nobody() {
    let services = services(still());
    let mut client = Connected::new(&services);
    assert_eq!(client.say("SET k v").1, "+OK");
    // It is not even known that this one takes long.
    beside_one_who_is_alone(&services, (|_| (), |_| ()), || client.session.close(&mut client.executor));
}

#[test]
fn the_watches_of_a_client_that_leaves_end_once_the_store_is_free() {
    let services = services(still());
    let mut client = Connected::new(&services);
    assert_eq!(client.say("WATCH k").1, "+OK");
    beside_one_who_is_alone(&services, WAYS[0], || {
        client.session.close(&mut client.executor);
        assert!(services.key_waiters.has_postponed());
    });
    client.executor.end_postponed();
    assert!(!services.key_waiters.has_postponed());
    assert!(!has_interests(&services, b"k"));
}

/// A view of the store that has the shard of a key locked.
fn locked<'s>(services: &'s Services, key: &[u8]) -> Keyspace<'s> {
    let shard = services.store.shard_of(0, services.store.key(key).hash);
    let now = services.clock.now();
    let mut keyspace =
        Keyspace::new(&services.store, now, AccessContext::of(&services.settings.current(), now));
    keyspace.lock_one_unless_held(shard).expect("nobody has it");
    keyspace
}

/// Whether a client watches or waits for a key in the shard of this one.
fn has_interests(services: &Services, key: &[u8]) -> bool {
    locked(services, key).has_interests()
}

#[test]
fn watches_of_what_a_script_holds_end_once_it_lets_go() {
    let services = services(still());
    let mut client = Connected::new(&services);
    assert_eq!(client.say("WATCH k other").1, "+OK");
    let (is_there, there) = channel();
    let (may_leave, leave) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            let leave = leave;
            let keyspace = locked(&services, b"k");
            services.store.holds().note(ALONE, keyspace.hold());
            is_there.send(()).expect("the test waits");
            // Until the other end is dropped.
            let _ = leave.recv();
            drop(keyspace);
            services.store.holds().forget(ALONE, Turn::Ends);
        });
        there.recv().expect("nobody else has it");
        assert_eq!(client.say("UNWATCH").1, "+OK");
        assert!(!has_interests(&services, b"other"));
        client.executor.end_postponed();
        assert!(services.key_waiters.has_postponed(), "the script has it still");
        drop(may_leave);
    });
    client.executor.end_postponed();
    assert!(!services.key_waiters.has_postponed() && !has_interests(&services, b"k"));
}

#[test]
fn many_watches_of_what_a_script_holds_end_at_the_first_step_after_it() {
    let services = services(still());
    let mut client = Connected::new(&services);
    let keys: Vec<_> = (0..40).map(|number| format!("k{number}")).collect();
    assert_eq!(client.say(&format!("WATCH {}", keys.join(" "))).1, "+OK");
    let (is_there, there) = channel();
    let (may_leave, leave) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            let leave = leave;
            let mut keyspace = locked(&services, b"k0");
            keyspace.unlock();
            let shard = |key: &String| services.store.shard_of(0, services.store.key(key.as_bytes()).hash);
            let mut shards: Vec<_> = keys.iter().map(shard).collect();
            keyspace.lock_many_unless_held(&mut shards).expect("nobody has them");
            services.store.holds().note(ALONE, keyspace.hold());
            is_there.send(()).expect("the test waits");
            // Until the other end is dropped.
            let _ = leave.recv();
            drop(keyspace);
            services.store.holds().forget(ALONE, Turn::Ends);
        });
        there.recv().expect("nobody else has them");
        assert_eq!(client.say("UNWATCH").1, "+OK");
        for _ in 0..5 {
            client.executor.end_postponed();
            assert!(services.key_waiters.has_postponed(), "the script has them still");
        }
        drop(may_leave);
    });
    client.executor.end_postponed();
    assert!(!services.key_waiters.has_postponed());
    assert!(!keys.iter().any(|key| has_interests(&services, key.as_bytes())));
}
