//! Transactions are seen whole by other threads, and watched keys lose no update, whatever else runs: transfers,
//! readers, SWAPDB and FLUSHALL on threads of their own, as the workers run them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use quartet::client::Door;
use quartet::clock::Clock;
use quartet::command::Services;
use quartet::command::executor::Executor;
use quartet::random::Random;
use quartet::server;
use quartet::session::resp::Session;
use quartet::settings::Settings;
use quartet_protocol::resp::{Batch, Output};
use redis_protocol::resp3::decode::complete::decode;
use redis_protocol::resp3::types::OwnedFrame;

use crate::support::client::{request, text};

/// Far more than there are transactions at once, so that they meet and miss each other; in shards of their own.
const ACCOUNTS: usize = 12;

/// What an account holds at first.
const DEPOSIT: i64 = 1000;

/// What each of the threads that change something does.
const ROUNDS: usize = 1500;

/// The same where each round is a script.
const SCRIPT_ROUNDS: usize = 300;

/// A client on a thread of its own.
struct Caller {
    session: Session,
    executor: Executor,
    batch: Batch,
    random: Random,
}

impl Caller {
    fn new(services: &Arc<Services>, slot: usize) -> Caller {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000 + slot as u16));
        let shared = services.clients.connect(Door::Resp, address, address, services.clock.now().millis());
        let executor = Executor::new(Arc::clone(services), slot, Random::with_seed(slot as u64));
        let session = Session::new(shared, true);
        let mut caller =
            Caller { session, executor, batch: Batch::new(), random: Random::with_seed(100 + slot as u64) };
        caller.ask(&["HELLO 3"]);
        caller
    }

    /// The replies to these commands, sent at once.
    fn ask(&mut self, lines: &[impl AsRef<str>]) -> Vec<OwnedFrame> {
        let line = |line: &str| request(&line.split_whitespace().collect::<Vec<_>>());
        self.send(lines.iter().flat_map(|text| line(text.as_ref())).collect(), lines.len())
    }

    /// The replies to so many commands.
    fn send(&mut self, mut input: Vec<u8>, count: usize) -> Vec<OwnedFrame> {
        let mut output = Output::new();
        self.session.receive(&mut input, &mut self.executor, &mut self.batch, &mut output);
        let bytes: Vec<u8> = output.parts().flatten().copied().collect();
        let mut rest = bytes.as_slice();
        let mut replies = Vec::new();
        while let Some((frame, length)) = decode(rest).expect("replies are RESP3") {
            replies.push(frame);
            rest = &rest[length..];
        }
        assert_eq!((replies.len(), rest.len()), (count, 0));
        replies
    }

    /// The reply to a script.
    fn eval(&mut self, script: &str, keys: &[&str], arguments: &[&str]) -> OwnedFrame {
        let count = keys.len().to_string();
        let words: Vec<&str> =
            ["EVAL", script, &count].iter().chain(keys).chain(arguments).copied().collect();
        self.send(request(&words), 1).swap_remove(0)
    }

    /// Two different accounts.
    fn two_accounts(&mut self) -> (usize, usize) {
        let from = self.random.below(ACCOUNTS);
        (from, (from + 1 + self.random.below(ACCOUNTS - 1)) % ACCOUNTS)
    }

    fn close(mut self) {
        self.session.close(&mut self.executor);
    }
}

fn names() -> String {
    (0..ACCOUNTS).map(|account| format!(" account:{account}")).collect()
}

fn deposits() -> String {
    let deposits: String = (0..ACCOUNTS).map(|account| format!(" account:{account} {DEPOSIT}")).collect();
    format!("MSET{deposits}")
}

fn numbers(frame: &OwnedFrame) -> Vec<i64> {
    let OwnedFrame::Array { data, .. } = frame else { panic!("not an array: {}", text(frame)) };
    data.iter().map(|item| text(item).parse().expect("every account holds a number")).collect()
}

fn services(threads: usize) -> Arc<Services> {
    let settings = Settings { threads, dir: None, ..Settings::default() };
    Arc::new(server::services(settings, Clock::machine(), 3))
}

/// Runs each of `tasks` so many times on its own thread, and `readers` until all tasks have.
fn run(
    services: &Arc<Services>,
    rounds: usize,
    tasks: &[&(dyn Fn(&mut Caller) + Sync)],
    readers: &[&(dyn Fn(&mut Caller) + Sync)],
) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let running: Vec<_> = tasks
            .iter()
            .enumerate()
            .map(|(slot, task)| {
                scope.spawn(move || {
                    let mut caller = Caller::new(services, slot);
                    (0..rounds).for_each(|_| task(&mut caller));
                    caller.close();
                })
            })
            .collect();
        for (number, reader) in readers.iter().enumerate() {
            let done = &done;
            scope.spawn(move || {
                let mut caller = Caller::new(services, tasks.len() + number);
                while !done.load(Ordering::Relaxed) {
                    reader(&mut caller);
                }
                caller.close();
            });
        }
        let ended: Vec<_> = running.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "a task has failed");
    });
}

/// Moves money in one transaction.
fn transfer(caller: &mut Caller) {
    let (from, to) = caller.two_accounts();
    let replies = caller.ask(&[
        "MULTI",
        &format!("DECRBY account:{from} 7"),
        &format!("INCRBY account:{to} 7"),
        "EXEC",
    ]);
    assert_eq!(numbers(&replies[3]).len(), 2);
}

/// Moves money by writing what was read, if nobody else wrote meanwhile.
fn watched_transfer(caller: &mut Caller) {
    let (from, to) = caller.two_accounts();
    let read = caller
        .ask(&[format!("WATCH account:{from} account:{to}"), format!("MGET account:{from} account:{to}")]);
    let held = numbers(&read[1]);
    caller.ask(&[
        "MULTI",
        &format!("SET account:{from} {}", held[0] - 3),
        &format!("SET account:{to} {}", held[1] + 3),
        "EXEC",
    ]);
}

fn read_in_transaction(caller: &mut Caller) {
    let replies = caller.ask(&["MULTI".to_owned(), format!("MGET{}", names()), "EXEC".to_owned()]);
    let OwnedFrame::Array { data, .. } = &replies[2] else { panic!("not an array: {}", text(&replies[2])) };
    assert_eq!(numbers(&data[0]).iter().sum::<i64>(), ACCOUNTS as i64 * DEPOSIT);
}

fn read_at_once(caller: &mut Caller) {
    let replies = caller.ask(&[format!("MGET{}", names())]);
    assert_eq!(numbers(&replies[0]).iter().sum::<i64>(), ACCOUNTS as i64 * DEPOSIT);
}

/// Empties everything and pays in anew, seen whole.
fn flush(caller: &mut Caller) {
    let deposits = deposits();
    caller.ask(&["MULTI", "FLUSHALL", &deposits, "SELECT 1", &deposits, "SELECT 0", "EXEC"]);
}

fn swap(caller: &mut Caller) {
    caller.ask(&["SWAPDB 0 1"]);
}

#[test]
fn the_sum_of_all_accounts_stays() {
    let services = services(7);
    flush(&mut Caller::new(&services, 0));
    run(
        &services,
        ROUNDS,
        &[&transfer, &watched_transfer, &watched_transfer, &flush, &swap],
        &[&read_in_transaction, &read_at_once],
    );
    let mut last = Caller::new(&services, 0);
    read_at_once(&mut last);
    last.ask(&["SELECT 1"]);
    read_at_once(&mut last);
    assert_eq!(text(&last.ask(&["DBSIZE"])[0]), ACCOUNTS.to_string());
}

/// Adds one by writing what was read, until nobody else wrote meanwhile.
fn watched_increment(caller: &mut Caller) {
    loop {
        let read = caller.ask(&["WATCH counter", "GET counter"]);
        let count: i64 = text(&read[1]).parse().expect("the counter is a number");
        let written = caller.ask(&["MULTI", &format!("SET counter {}", count + 1), "EXEC"]);
        if written[2] != OwnedFrame::Null {
            return;
        }
    }
}

#[test]
fn no_watched_update_is_lost() {
    let services = services(5);
    Caller::new(&services, 0).ask(&["SET counter 0", "SELECT 1", "SET counter 0"]);
    run(
        &services,
        ROUNDS,
        &[&watched_increment, &watched_increment, &watched_increment, &swap],
        &[&|caller| {
            caller.ask(&["WATCH counter", "UNWATCH"]);
        }],
    );
    let mut last = Caller::new(&services, 0);
    let counts = last.ask(&["GET counter", "SELECT 1", "GET counter"]);
    let count = |place: usize| text(&counts[place]).parse::<usize>().expect("the counter is a number");
    assert_eq!(count(0) + count(2), 3 * ROUNDS);
}

/// Moves money by a script that declares its keys.
fn scripted_transfer(caller: &mut Caller) {
    let (from, to) = caller.two_accounts();
    let script = "redis.call('DECRBY', KEYS[1], 5) redis.call('INCRBY', KEYS[2], 5) return 'moved'";
    let keys = [format!("account:{from}"), format!("account:{to}")];
    assert_eq!(text(&caller.eval(script, &[&keys[0], &keys[1]], &[])), "moved");
}

/// Moves money by a script that computes one of its keys and has written by then: a new script each time, so that the server
/// does not know that it has to run alone.
fn computing_transfer(caller: &mut Caller) {
    let (from, to) = caller.two_accounts();
    let number = caller.random.draw();
    let script = format!(
        "redis.call('DECRBY', KEYS[1], 2) redis.call('INCRBY', 'account:' .. ARGV[1], 2) return 'moved' -- {number}"
    );
    let reply = caller.eval(&script, &[&format!("account:{from}")], &[&to.to_string()]);
    assert_eq!(text(&reply), "moved");
}

/// The same with a script that the server knows.
fn computed_transfer(caller: &mut Caller) {
    let (from, to) = caller.two_accounts();
    let script = "for place, change in pairs({-3, 3}) do \
                      redis.call('INCRBY', 'account:' .. ARGV[place], change) end return 'moved'";
    assert_eq!(text(&caller.eval(script, &[], &[&from.to_string(), &to.to_string()])), "moved");
}

fn read_in_script(caller: &mut Caller) {
    let script = "local sum = 0 for _, held in ipairs(redis.call('MGET', unpack(KEYS))) do sum = sum + held end return sum";
    let names = names();
    let keys: Vec<&str> = names.split_whitespace().collect();
    assert_eq!(text(&caller.eval(script, &keys, &[])), (ACCOUNTS as i64 * DEPOSIT).to_string());
}

#[test]
fn scripts_are_seen_whole() {
    let services = services(7);
    flush(&mut Caller::new(&services, 0));
    run(
        &services,
        SCRIPT_ROUNDS,
        &[&scripted_transfer, &computing_transfer, &computed_transfer, &transfer, &swap],
        &[&read_in_script, &read_at_once],
    );
    let mut last = Caller::new(&services, 0);
    read_at_once(&mut last);
    last.ask(&["SELECT 1"]);
    read_at_once(&mut last);
}
