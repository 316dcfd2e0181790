//! A write and the serving of those who wait for it are one step; what ends a wait and what answers it do not mix.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use quartet::clock::Clock;
use quartet::command::{BlockedCommand, FURTHER_KEYS_MAX, Flow, Services};
use quartet_protocol::resp::Output;

use super::key_waits::{Asking, services, still};
use super::{owned, text};

/// Elements that are pushed one by one, each to a key with a waiter.
const PUSHES: usize = 1_000;

/// Has a client wait for each element, in each of these ways in turn, and pushes the elements one by one.  Another thread, which tries to take
/// them all the time, must not get any.
fn check_nothing_is_taken_between(waits: &[String], push: &str, take: &str) {
    let services = services(Clock::machine());
    let mut asking = Asking::new(&services, 0);
    let lines = waits.iter().cycle().take(PUSHES);
    let mut crowd: Vec<Box<dyn BlockedCommand>> = lines.map(|line| asking.wait(line)).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let taker = {
        let (services, is_over, take) = (Arc::clone(&services), Arc::clone(&is_over), take.to_owned());
        std::thread::spawn(move || taken_until(&services, &is_over, &take))
    };
    for number in 0..PUSHES {
        asking.reply(&format!("{push} {number}"));
    }
    is_over.store(true, Ordering::Release);
    assert_eq!(taker.join().expect("it only takes"), 0, "{take} took what others waited for");
    for blocked in &mut crowd {
        assert!(asking.poll(&mut **blocked).is_some(), "everybody is served");
    }
}

/// How many elements a thread could take before the others were done.
fn taken_until(services: &Arc<Services>, is_over: &AtomicBool, take: &str) -> usize {
    let mut asking = Asking::new(services, 1);
    let mut taken = 0;
    while !is_over.load(Ordering::Acquire) {
        taken += usize::from(!matches!(asking.reply(take).as_str(), "$-1" | "*0" | "*-1"));
    }
    taken
}

#[test]
fn nobody_takes_what_others_wait_for() {
    check_nothing_is_taken_between(&["BLPOP key 0".to_owned()], "RPUSH key", "LPOP key");
    check_nothing_is_taken_between(&["BZPOPMIN key 0".to_owned()], "ZADD key 1", "ZPOPMIN key");
}

#[test]
fn nobody_takes_what_others_wait_to_move() {
    check_nothing_is_taken_between(&["BLMOVE key to LEFT RIGHT 0".to_owned()], "RPUSH key", "LPOP key");
    for further in [FURTHER_KEYS_MAX, FURTHER_KEYS_MAX + 1] {
        let waits: Vec<_> =
            (0..further).map(|number| format!("BLMOVE key to{number} LEFT RIGHT 0")).collect();
        check_nothing_is_taken_between(&waits, "RPUSH key", "LPOP key");
    }
}

#[test]
fn what_is_moved_on_is_not_seen_between() {
    let services = services(Clock::machine());
    let mut asking = Asking::new(&services, 0);
    let is_over = Arc::new(AtomicBool::new(false));
    let taker = {
        let (services, is_over) = (Arc::clone(&services), Arc::clone(&is_over));
        std::thread::spawn(move || taken_until(&services, &is_over, "LPOP second"))
    };
    for number in 0..PUSHES {
        let mut waiting = [
            asking.wait("BLMOVE first second LEFT LEFT 0"),
            asking.wait("BLMOVE second third LEFT LEFT 0"),
            asking.wait("BLPOP third 0"),
        ];
        asking.reply(&format!("EVAL return{{redis.call('RPUSH',KEYS[1],ARGV[1])}} 1 first {number}"));
        for blocked in &mut waiting {
            assert!(asking.poll(&mut **blocked).is_some(), "{number}");
        }
    }
    is_over.store(true, Ordering::Release);
    assert_eq!(taker.join().expect("it only takes"), 0);
}

#[test]
fn a_wait_that_is_cut_short_takes_nothing_and_one_that_was_served_has_its_answer() {
    let services = services(still());
    let mut asking = Asking::new(&services, 0);
    let waits = ["BLMOVE key to LEFT RIGHT 0", "BLPOP key 0", "BRPOPLPUSH key to 0", "BLMPOP 0 1 key LEFT"];
    for line in waits {
        let mut served = asking.wait(line);
        assert_eq!(asking.reply("RPUSH key 1"), ":1");
        assert_eq!(asking.executor.poll_cut_short(&mut *served, Waker::noop()), Poll::Ready(false), "{line}");
        let reply = asking.poll(&mut *served).expect("it was served");
        assert!(reply.ends_with("$1 1"), "{line}: {reply}");
        let mut cut = asking.wait(line);
        assert_eq!(asking.executor.poll_cut_short(&mut *cut, Waker::noop()), Poll::Ready(true), "{line}");
        assert_eq!(asking.reply("RPUSH key 2"), ":1");
        assert_eq!(asking.reply("LPOP key"), "$1 2");
        asking.reply("DEL to");
    }
}

#[test]
fn what_is_given_back_lives_as_long_as_before() {
    let services = services(still());
    let mut asking = Asking::new(&services, 0);
    for (wait, push, left) in
        [("BLPOP key 0", "RPUSH key 1", "LLEN key"), ("BZPOPMAX key 0", "ZADD key 1 a", "ZCARD key")]
    {
        let gone = asking.wait(wait);
        let requests = [push, "PEXPIRE key 5000"].map(owned);
        let mut output = Output::new();
        let flow = asking.executor.run_transaction(&mut asking.caller, &requests, &mut output);
        assert_eq!((flow, text(&output)), (Flow::Continue, "*2 :1 :1".to_owned()));
        assert_eq!(asking.reply("EXISTS key"), ":0");
        services.clock.advance(Duration::from_millis(1_000));
        asking.executor.cancel(gone);
        assert_eq!(asking.reply(left), ":1");
        assert_eq!(asking.reply("PTTL key"), ":4000");
        services.clock.advance(Duration::from_millis(4_001));
        assert_eq!(asking.reply("EXISTS key"), ":0");
        // One that has a value by now keeps its own time.
        let gone = asking.wait(wait);
        let mut output = Output::new();
        asking.executor.run_transaction(&mut asking.caller, &requests, &mut output);
        assert_eq!(asking.reply(&push.replace('1', "2")), ":1");
        asking.executor.cancel(gone);
        assert_eq!(asking.reply("PTTL key"), ":-1");
        asking.reply("DEL key");
    }
}
