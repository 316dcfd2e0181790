//! A deadlock is refused to the owner that would close it, and nothing else is refused.

use quartet::lock::operation::{Acquire, Deadlocks};
use quartet::lock::{Acquired, Mode};

use super::table::{ASKING, Table, grant, waiter};

const LONG: u64 = 10_000;

/// The circle that was refused, as errors spell it.
fn circle(acquired: Acquired) -> String {
    match acquired {
        Acquired::Deadlock(deadlock) => deadlock.to_string(),
        other => panic!("no deadlock: {other:?}"),
    }
}

fn permits(count: u32, of: u32) -> Mode {
    Mode::Permits { count, of }
}

#[test]
fn two_owners_that_cross() {
    let mut table = Table::new();
    grant(table.lock("a", "x", 0));
    grant(table.lock("b", "y", 0));
    let waiting = waiter(table.lock("a", "y", LONG));
    assert_eq!(circle(table.lock("b", "x", LONG)), "b > x > a > y > b");
    // The refused owner keeps its leases, and the other goes on once they are released.
    assert_eq!(table.unlock("b", "y"), Ok(0));
    assert_eq!(table.granted(), [waiting]);
    let now = table.micros();
    assert_eq!(table.core.deadlocks(&Deadlocks { count: 10 }, now, &mut table.events).len(), 1);
}

#[test]
fn three_in_a_circle() {
    let mut table = Table::new();
    for (owner, resource) in [("a", "x"), ("b", "y"), ("c", "z")] {
        grant(table.lock(owner, resource, 0));
    }
    waiter(table.lock("a", "y", LONG));
    waiter(table.lock("b", "z", LONG));
    assert_eq!(circle(table.lock("c", "x", LONG)), "c > x > a > y > b > z > c");
}

#[test]
fn two_readers_that_both_want_to_write() {
    let mut table = Table::new();
    grant(table.lock_as(Mode::Shared, "a", "x", 0));
    grant(table.lock_as(Mode::Shared, "b", "x", 0));
    let upgrading = waiter(table.upgrade("a", "x", LONG).expect("it shares x"));
    let refused = table.upgrade("b", "x", LONG).expect("it shares x");
    assert_eq!(circle(refused), "b > x > a > x > b");
    assert_eq!(table.unlock("b", "x"), Ok(0));
    assert_eq!(table.granted(), [upgrading]);
}

#[test]
fn an_owner_that_waits_for_itself() {
    let mut table = Table::new();
    grant(table.lock("a", "x", 0));
    assert_eq!(table.lock("a", "x", 0), Acquired::Busy);
    assert_eq!(circle(table.lock("a", "x", LONG)), "a > x > a");
}

#[test]
fn a_circle_through_a_request_ahead_in_a_queue() {
    // c would share x with a.  Only b's earlier request is in its way, and b waits for a, which wants z from c.
    let mut table = Table::new();
    grant(table.lock_as(Mode::Shared, "a", "x", 0));
    grant(table.lock("c", "z", 0));
    waiter(table.lock("b", "x", LONG));
    waiter(table.lock_as(Mode::Shared, "c", "x", LONG));
    assert_eq!(circle(table.lock("a", "z", LONG)), "a > z > c > x > b > x > a");
}

#[test]
fn a_deadlock_of_semaphores() {
    let mut table = Table::new();
    // The holders of both permits of s wait for x and y, whose holders wait for permits.
    for owner in ["a", "b"] {
        grant(table.lock_as(permits(1, 2), owner, "s", 0));
    }
    grant(table.lock("c", "x", 0));
    waiter(table.lock("a", "x", LONG));
    waiter(table.lock("b", "x", LONG));
    let refused = circle(table.lock_as(permits(1, 2), "c", "s", LONG));
    assert!(refused == "c > s > a > x > c" || refused == "c > s > b > x > c", "{refused}");
}

#[test]
fn a_circle_of_semaphores_is_no_deadlock_while_another_holder_may_end() {
    let mut table = Table::new();
    for owner in ["a", "b"] {
        grant(table.lock_as(permits(1, 2), owner, "s", 0));
    }
    grant(table.lock("c", "x", 0));
    waiter(table.lock("a", "x", LONG));
    // b waits for nothing, and its permit is enough for c.
    let waiting = waiter(table.lock_as(permits(1, 2), "c", "s", LONG));
    assert_eq!(table.unlock("b", "s"), Ok(0));
    assert_eq!(table.granted(), [waiting]);
}

#[test]
fn paths_that_meet_again_are_no_circle() {
    let mut table = Table::new();
    grant(table.lock("d", "w", 0));
    grant(table.lock("b", "x", 0));
    grant(table.lock("c", "y", 0));
    grant(table.lock("a", "z", 0));
    waiter(table.lock("e", "z", LONG));
    waiter(table.lock("b", "w", LONG));
    waiter(table.lock("c", "w", LONG));
    // a waits for b and c.  Both wait for d, which waits for nobody.
    let both = Acquire { owner: b"a", resources: &[b"x", b"y"], wait: LONG, ..ASKING };
    let waiting = waiter(table.ask(&both).expect("it makes sense"));
    for (owner, resource) in [("d", "w"), ("b", "x"), ("b", "w"), ("c", "y")] {
        assert_eq!(table.unlock(owner, resource), Ok(0));
    }
    assert_eq!(table.granted().last(), Some(&waiting));
}

#[test]
fn several_resources_close_a_circle_like_one() {
    let mut table = Table::new();
    grant(table.lock("a", "x", 0));
    grant(table.lock("b", "y", 0));
    let both = Acquire { owner: b"b", resources: &[b"w", b"x"], wait: LONG, ..ASKING };
    waiter(table.ask(&both).expect("it makes sense"));
    assert_eq!(circle(table.lock("a", "y", LONG)), "a > y > b > x > a");
    // w is free, but kept for b, which waits for a.
    assert_eq!(circle(table.lock("a", "w", LONG)), "a > w > b > x > a");
}

#[test]
fn acquiring_together_prevents_a_circle_of_acquiring_one_by_one() {
    let mut table = Table::new();
    let ask = |table: &mut Table, owner: &'static str, resources: &[&[u8]]| {
        table
            .ask(&Acquire { owner: owner.as_bytes(), resources, wait: LONG, ..ASKING })
            .expect("it makes sense")
    };
    grant(ask(&mut table, "a", &[b"x", b"y"]));
    let waiting = waiter(ask(&mut table, "b", &[b"y", b"x"]));
    assert_eq!(table.unlock("a", "x"), Ok(0));
    assert_eq!(table.granted(), []);
    assert_eq!(table.unlock("a", "y"), Ok(0));
    assert_eq!(table.granted(), [waiting]);
}

#[test]
fn a_circle_is_found_among_thousands_of_other_waiters() {
    let mut table = Table::new();
    // Thousands share x after the writer ahead of them, which waits for an owner that waits for nothing.
    grant(table.lock("free", "w", 0));
    grant(table.lock_as(Mode::Shared, "a", "x", 0));
    let both = Acquire { owner: b"writer", resources: &[b"w", b"x"], wait: LONG, ..ASKING };
    waiter(table.ask(&both).expect("it makes sense"));
    for number in 0..10_000 {
        waiter(table.lock_as(Mode::Shared, &format!("r{number}"), "x", LONG));
    }
    grant(table.lock("b", "y", 0));
    waiter(table.lock_as(Mode::Shared, "b", "x", LONG));
    assert_eq!(circle(table.lock("a", "y", LONG)), "a > y > b > x > writer > x > a");
}

#[test]
fn an_owner_that_holds_nothing_is_never_refused() {
    let mut table = Table::new();
    grant(table.lock("a", "x", 0));
    grant(table.lock("b", "y", 0));
    waiter(table.lock("a", "y", LONG));
    assert!(matches!(table.lock("b", "x", LONG), Acquired::Deadlock(_)));
    for number in 0..100 {
        waiter(table.lock(&format!("c{number}"), ["x", "y"][number % 2], LONG));
    }
}
