//! Commands that wait for keys: who is served, what becomes of those who have gone, and many of them on many threads.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use quartet::clock::{Clock, Now};
use quartet::command::executor::Executor;
use quartet::command::{BlockedCommand, Caller, Flow, Services};
use quartet::random::Random;
use quartet::server;
use quartet::settings::Settings;
use quartet::store::{Hold, Turn};
use quartet::wait::thread_waker;
use quartet_protocol::resp::Output;

use super::{owned, text};

/// More commands wait for one key than any loop over all of them for each push could serve in a test.
const CROWD: usize = 10_000;

/// Threads that push and threads that pop, and how many elements each of them.
const PAIRS: usize = 2;
const ELEMENTS: usize = 2_000;

/// A thread's conversation without a connection.
pub(super) struct Asking {
    pub(super) executor: Executor,
    pub(super) caller: Caller,
}

/// The reply to a request, or the command that waits for it.
enum Answer {
    Now(String),
    Later(Box<dyn BlockedCommand>),
}

pub(super) fn services(clock: Clock) -> Arc<Services> {
    let settings = Settings { threads: 2 * PAIRS, dir: None, ..Settings::default() };
    Arc::new(server::services(settings, clock, 1))
}

pub(super) fn still() -> Clock {
    Clock::manual(Now::at(Duration::from_secs(1), Duration::from_secs(1)))
}

impl Asking {
    pub(super) fn new(services: &Arc<Services>, slot: usize) -> Asking {
        let caller = Caller::new(None, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let executor = Executor::new(Arc::clone(services), slot, Random::with_seed(slot as u64));
        Asking { executor, caller }
    }

    fn ask(&mut self, line: &str) -> Answer {
        let mut output = Output::new();
        match self.executor.run(&mut self.caller, owned(line).as_arguments(), &mut output) {
            Flow::Continue => Answer::Now(text(&output)),
            Flow::Wait => Answer::Later(self.executor.take_blocked().expect("a command waits")),
            other => panic!("{line}: {other:?}"),
        }
    }

    /// The reply to a request that does not wait.
    pub(super) fn reply(&mut self, line: &str) -> String {
        match self.ask(line) {
            Answer::Now(reply) => reply,
            Answer::Later(_) => panic!("{line} waits"),
        }
    }

    /// The command of a request that waits.
    pub(super) fn wait(&mut self, line: &str) -> Box<dyn BlockedCommand> {
        match self.ask(line) {
            Answer::Now(reply) => panic!("{line}: {reply}"),
            Answer::Later(blocked) => blocked,
        }
    }

    /// The reply to a command that waits, if there is one.
    pub(super) fn poll(&mut self, blocked: &mut dyn BlockedCommand) -> Option<String> {
        let mut output = Output::new();
        match self.executor.poll_blocked(blocked, &thread_waker(), &mut output) {
            Poll::Ready(()) => Some(text(&output)),
            Poll::Pending => None,
        }
    }
}

#[test]
fn a_crowd_is_served_from_its_head_and_only_as_far_as_there_are_elements() {
    check_crowd("BLPOP key 0", "RPUSH key", |place| format!("*2 $3 key ${} {place}", digits(place)));
}

#[test]
fn a_crowd_that_waits_for_members_is_served_from_its_head() {
    let taken = |place| format!("*3 $3 key ${} {place} $1 0", digits(place));
    check_crowd("BZPOPMIN key 0", "ZADD key 0", taken);
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// How many waiters were woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Woken>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Has a crowd wait, adds something for half of them one by one, and expects each of these to have been told `taken` of its place.
/// Nobody else is woken: the others cost nothing.
fn check_crowd(wait: &str, add: &str, taken: impl Fn(usize) -> String) {
    let services = services(still());
    let mut asking = Asking::new(&services, 0);
    let mut crowd: Vec<_> = (0..CROWD).map(|_| asking.wait(wait)).collect();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    for blocked in &mut crowd {
        let polled = asking.executor.poll_blocked(&mut **blocked, &waker, &mut Output::new());
        assert!(polled.is_pending());
    }
    // None of these is anything to wait for.
    for _ in 0..CROWD {
        assert_eq!(asking.reply("SET key string"), "+OK");
        assert_eq!(asking.reply("DEL key"), ":1");
    }
    assert_eq!(woken.0.load(Relaxed), 0);
    for added in 0..CROWD / 2 {
        assert_eq!(asking.reply(&format!("{add} {added}")), ":1");
        assert_eq!(woken.0.load(Relaxed), added + 1);
    }
    for (place, blocked) in crowd.iter_mut().enumerate() {
        let expected = (place < CROWD / 2).then(|| taken(place));
        assert_eq!(asking.poll(&mut **blocked), expected, "{place}");
    }
    // Those at the end go first, and nobody is left.
    for blocked in crowd.drain(CROWD / 2..).rev() {
        asking.executor.cancel(blocked);
    }
    assert_eq!(asking.reply(&format!("{add} {CROWD}")), ":1");
    assert_eq!(asking.reply("EXISTS key"), ":1");
}

#[test]
fn what_a_client_that_has_gone_was_given_goes_to_the_next() {
    let services = services(still());
    let mut asking = Asking::new(&services, 0);
    let gone = asking.wait("BLMPOP 0 2 other key LEFT COUNT 2");
    let mut next = asking.wait("BLPOP key 0");
    assert_eq!(asking.reply("RPUSH key 1 2 3"), ":3");
    assert_eq!(asking.poll(&mut *next), Some("*2 $3 key $1 3".to_owned()));
    let mut third = asking.wait("BRPOP key 0");
    asking.executor.cancel(gone);
    assert_eq!(asking.poll(&mut *third), Some("*2 $3 key $1 2".to_owned()));
    assert_eq!(asking.reply("LRANGE key 0 -1"), "*1 $1 1");
    // What was moved stays where it was to go.
    let gone = asking.wait("BLMOVE from to LEFT RIGHT 0");
    assert_eq!(asking.reply("RPUSH from x"), ":1");
    asking.executor.cancel(gone);
    assert_eq!(asking.reply("LRANGE to 0 -1"), "*1 $1 x");
    // There is no place for it any more.
    let gone = asking.wait("BLPOP list 0");
    assert_eq!(asking.reply("RPUSH list x"), ":1");
    assert_eq!(asking.reply("SET list string"), "+OK");
    asking.executor.cancel(gone);
    assert_eq!(asking.reply("GET list"), "$6 string");
}

#[test]
fn members_of_a_client_that_has_gone_go_to_the_next() {
    let services = services(still());
    let mut asking = Asking::new(&services, 0);
    let gone = asking.wait("BZMPOP 0 2 other key MIN COUNT 2");
    let mut next = asking.wait("BZPOPMIN key 0");
    assert_eq!(asking.reply("ZADD key 1 a 2 b 3 c"), ":3");
    assert_eq!(asking.poll(&mut *next), Some("*3 $3 key $1 c $1 3".to_owned()));
    let mut third = asking.wait("BZPOPMAX key 0");
    asking.executor.cancel(gone);
    assert_eq!(asking.poll(&mut *third), Some("*3 $3 key $1 b $1 2".to_owned()));
    assert_eq!(asking.reply("ZRANGE key 0 -1 WITHSCORES"), "*2 $1 a $1 1");
    // A member that was written meanwhile keeps what was written.
    let gone = asking.wait("BZPOPMIN again 0");
    assert_eq!(asking.reply("ZADD again 1 a"), ":1");
    assert_eq!(asking.reply("ZADD again 5 a"), ":1");
    asking.executor.cancel(gone);
    assert_eq!(asking.reply("ZRANGE again 0 -1 WITHSCORES"), "*2 $1 a $1 5");
}

#[test]
fn a_wait_that_has_ended_leaves_no_trace() {
    let services = services(still());
    let mut asking = Asking::new(&services, 0);
    let mut served = asking.wait("BLPOP a b c 0");
    assert_eq!(asking.reply("RPUSH b 1"), ":1");
    assert!(asking.poll(&mut *served).is_some());
    let cancelled = asking.wait("BLPOP a b c 0");
    asking.executor.cancel(cancelled);
    let mut timed_out = asking.wait("BLPOP a b c 0.5");
    services.clock.advance(Duration::from_millis(499));
    asking.executor.advance();
    assert_eq!(asking.poll(&mut *timed_out), None);
    services.clock.advance(Duration::from_millis(1));
    asking.executor.advance();
    assert_eq!(asking.poll(&mut *timed_out), Some("*-1".to_owned()));
    for key in ["a", "b", "c"] {
        assert_eq!(asking.reply(&format!("RPUSH {key} 1")), ":1");
        assert_eq!(asking.reply(&format!("LLEN {key}")), ":1");
    }
    assert_eq!(services.key_waiters.next_deadline(), None);
}

#[test]
fn a_transaction_serves_the_commands_that_wait_for_its_keys() {
    let services = services(still());
    let mut asking = Asking::new(&services, 0);
    let as_one = |asking: &mut Asking, lines: &[&str]| {
        let requests: Vec<_> = lines.iter().map(|line| owned(line)).collect();
        let mut output = Output::new();
        let flow = asking.executor.run_transaction(&mut asking.caller, &requests, &mut output);
        assert_eq!(flow, Flow::Continue);
        text(&output)
    };
    let mut waiting = asking.wait("BLPOP key 0");
    assert_eq!(as_one(&mut asking, &["RPUSH key 1", "LLEN key"]), "*2 :1 :1");
    assert_eq!(asking.poll(&mut *waiting), Some("*2 $3 key $1 1".to_owned()));
    // As one that needs the whole store, and one that leaves nothing.
    let mut waiting = asking.wait("BLPOP key 0");
    assert_eq!(as_one(&mut asking, &["RPUSH key 1", "FLUSHALL"]), "*2 :1 +OK");
    assert_eq!(asking.poll(&mut *waiting), None);
    assert_eq!(as_one(&mut asking, &["FLUSHALL", "RPUSH key 2", "BLPOP other 0"]), "*3 +OK :1 *-1");
    assert_eq!(asking.poll(&mut *waiting), Some("*2 $3 key $1 2".to_owned()));
}

/// Pops over two lists, waiting where nothing is there, and returns the elements.
fn pop_all(services: &Arc<Services>, slot: usize) -> Vec<String> {
    let mut asking = Asking::new(services, slot);
    let mut popped = Vec::new();
    for _ in 0..ELEMENTS {
        let reply = match asking.ask("BLPOP one two 0") {
            Answer::Now(reply) => reply,
            Answer::Later(mut blocked) => loop {
                match asking.poll(&mut *blocked) {
                    Some(reply) => break reply,
                    None => std::thread::park_timeout(Duration::from_secs(60)),
                }
            },
        };
        popped.push(reply.rsplit(' ').next().unwrap_or_default().to_owned());
    }
    popped
}

#[test]
fn elements_of_many_threads_are_popped_once_each() {
    let services = services(Clock::machine());
    let poppers: Vec<_> = (0..PAIRS)
        .map(|pair| {
            let services = Arc::clone(&services);
            std::thread::spawn(move || pop_all(&services, pair))
        })
        .collect();
    let pushers: Vec<_> = (0..PAIRS)
        .map(|pair| {
            let services = Arc::clone(&services);
            std::thread::spawn(move || {
                let mut asking = Asking::new(&services, PAIRS + pair);
                for number in 0..ELEMENTS {
                    let (name, element) = (["one", "two"][number % 2], pair * ELEMENTS + number);
                    asking.reply(&format!("RPUSH {name} {element}"));
                }
            })
        })
        .collect();
    pushers.into_iter().for_each(|pusher| pusher.join().expect("it only pushes"));
    let mut popped: Vec<usize> = poppers
        .into_iter()
        .flat_map(|popper| popper.join().expect("it only pops"))
        .map(|element| element.parse().expect("elements are numbers"))
        .collect();
    popped.sort_unstable();
    assert_eq!(popped, (0..PAIRS * ELEMENTS).collect::<Vec<_>>());
}

#[test]
fn what_goes_back_to_a_key_that_is_held_for_long_goes_back_later() {
    let services = services(still());
    let mut asking = Asking::new(&services, 0);
    let gone = asking.wait("BLPOP key 0");
    assert_eq!(asking.reply("RPUSH key x"), ":1");
    let shard = services.store.shard_of(0, services.store.key(b"key").hash);
    let (held, ended) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let guard = services.store.lock(shard);
            services.store.holds().note(1, Hold::Shards([shard.number()].into_iter().collect()));
            held.wait();
            ended.wait();
            services.store.holds().forget(1, Turn::Ends);
            drop(guard);
        });
        held.wait();
        asking.executor.cancel(gone);
        asking.executor.end_postponed();
        ended.wait();
    });
    assert_eq!(asking.reply("EXISTS key"), ":0");
    asking.executor.end_postponed();
    assert_eq!(asking.reply("LRANGE key 0 -1"), "*1 $1 x");
}
