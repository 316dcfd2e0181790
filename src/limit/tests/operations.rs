//! Operations of the limiter, on plain maps in place of the store.

use std::collections::HashMap;
use std::task::{Poll, Waker};

use super::{SECOND, START, limit, policy};
use crate::limit::Limits;
use crate::limit::admission::CheckAnswer;
use crate::limit::algorithm::{Gcra, NANOS_PER_MILLI, Nanos};
use crate::limit::counters::{CounterStore, Counters, Held, NotACounter};
use crate::limit::definition::Definition;
use crate::limit::limiter::Limiter;
use crate::limit::operation::{
    Change, Check, Demand, Enter, Lease, Leave, LimitError, Mode, Refund, Renew, Reserve, Reset, Settle,
    Slots, Throttle,
};
use crate::limit::policies::Table;
use crate::limit::queue::QueuedAnswer;
use crate::wait::Ticket;

/// Counters by database and name.  An operation may touch those that it has locked, and lock once.
#[derive(Default)]
struct Databases {
    counters: HashMap<(usize, Vec<u8>), Vec<u8>>,
    locked: Option<(usize, Vec<Vec<u8>>)>,
    now: Nanos,
}

impl Databases {
    fn place(&self, name: &[u8]) -> (usize, Vec<u8>) {
        let (database, names) = self.locked.as_ref().expect("counters are locked before they are touched");
        assert!(names.iter().any(|locked| locked == name), "only locked counters are touched");
        (*database, name.to_vec())
    }
}

impl CounterStore for &mut Databases {
    fn lock<'n>(&mut self, database: usize, names: impl Iterator<Item = &'n [u8]>) -> Result<(), Held> {
        assert!(self.locked.is_none(), "an operation locks once");
        self.locked = Some((database, names.map(<[u8]>::to_vec).collect()));
        Ok(())
    }

    fn time(&self) -> Nanos {
        self.now
    }
}

impl Counters for &mut Databases {
    fn state(&mut self, name: &[u8]) -> Result<&[u8], NotACounter> {
        let place = self.place(name);
        match self.counters.get(&place).map(Vec::as_slice) {
            Some(b"a value") => Err(NotACounter),
            state => Ok(state.unwrap_or_default()),
        }
    }

    fn keep(&mut self, name: &[u8], state: &[u8], kept_for: Nanos) {
        let place = self.place(name);
        match kept_for {
            0 => drop(self.counters.remove(&place)),
            _ => drop(self.counters.insert(place, state.to_vec())),
        }
    }
}

/// A limiter, its counters and the time.
struct House {
    limits: Limits,
    databases: Databases,
    database: usize,
    /// When the limiter has asked to be looked at, at the earliest.
    due: Option<Nanos>,
}

/// Runs a step with a limiter on the counters of the house.
macro_rules! with {
    ($house:expr, $limiter:ident => $step:expr) => {{
        let house: &mut House = $house;
        let table = house.limits.policies.load();
        let (limits, now, database) = (&house.limits, house.databases.now, house.database);
        let (policies, counters): (&Table, _) = (&table, &mut house.databases);
        let mut $limiter = Limiter { limits, policies, counters, database, now, thread: 0, due: None };
        let result = $step;
        house.due = house.due.into_iter().chain($limiter.due).min();
        house.databases.locked = None;
        result
    }};
}

/// Does an operation.
macro_rules! run {
    ($house:expr, $operation:expr) => {
        with!($house, limiter => limiter.run($operation))
    };
}

impl House {
    fn new(policies: &[(&str, Definition)]) -> House {
        let house = House {
            limits: Limits::new(1),
            databases: Databases { now: START, ..Databases::default() },
            database: 0,
            due: None,
        };
        for (name, definition) in policies {
            let change = Change::SetPolicy { name, definition: definition.clone() };
            assert_eq!(house.limits.change(change, START), Ok(1));
        }
        house
    }

    /// Checks one demand.  Ready with whether it is allowed, or pending with its ticket.
    fn check(&mut self, demand: (&str, &str, u64), mode: Mode) -> Result<bool, Ticket<QueuedAnswer>> {
        let (name, key, cost) = demand;
        let demands = [Demand::of_policy(name.as_bytes(), key.as_bytes(), cost)];
        with!(self, limiter => match limiter.run(Check { demands: &demands, mode }) {
            Ok(CheckAnswer::Decided(admission)) => Ok(admission.is_allowed()),
            Ok(CheckAnswer::Waits { ticket, .. }) => Err(ticket),
            Err(error) => panic!("{error:?}"),
        })
    }

    fn wait(&mut self, demand: (&str, &str, u64)) -> Ticket<QueuedAnswer> {
        self.check(demand, Mode::Wait(60 * SECOND)).expect_err("it has to wait")
    }

    fn take(&mut self, demand: (&str, &str, u64)) -> bool {
        self.check(demand, Mode::Take).ok().expect("it does not wait")
    }

    fn refund(&mut self, policy: &str, key: &str, amount: u64) {
        let refund = Refund { policy: policy.as_bytes(), key: key.as_bytes(), amount };
        with!(self, limiter => limiter.run(refund).map(drop)).expect("it is given back");
    }

    /// Does everything that is due by now.
    fn advance(&mut self) {
        while let Some(check) = self.limits.queue.take_unclaimed() {
            with!(self, limiter => limiter.take_back(&check)).expect("nothing is held for long");
        }
        while let Some(waiter) = self.limits.queue.due(self.databases.now) {
            with!(self, limiter => limiter.serve(&waiter));
        }
        let now = self.databases.now;
        while let Some((_, reservation)) = self.limits.reservations.close_due(now) {
            self.database = reservation.database;
            with!(self, limiter => limiter.expire(&reservation)).expect("its counters are counters");
        }
        self.due = self.limits.next_due();
    }
}

/// Whether a waiter was admitted; none while it waits.
fn heard(ticket: &Ticket<QueuedAnswer>) -> Option<bool> {
    match ticket.poll(Waker::noop()) {
        Poll::Ready(answer) => Some(answer.result.expect("its policies are there").summary.allowed),
        Poll::Pending => None,
    }
}

fn ten_a_day() -> House {
    House::new(&[("day", policy([limit("log", 10, 86_400_000)]))])
}

#[test]
fn waiters_are_admitted_in_their_order() {
    let mut house = ten_a_day();
    assert!(house.take(("day", "x", 10)));
    let (first, second) = (house.wait(("day", "x", 3)), house.wait(("day", "x", 1)));
    assert!(house.due.is_some(), "the limiter asks to be looked at");
    house.refund("day", "x", 2);
    house.advance();
    assert_eq!((heard(&first), heard(&second)), (None, None), "the second stays behind the first");
    assert!(house.take(("day", "x", 1)), "a check that does not wait is decided at once");
    house.refund("day", "x", 2);
    house.advance();
    assert_eq!((heard(&first), heard(&second)), (Some(true), None));
    house.refund("day", "x", 1);
    house.advance();
    assert_eq!(heard(&second), Some(true));
    assert_eq!(house.limits.queue.count(), 0);
}

#[test]
fn a_grant_that_nobody_hears_is_given_back() {
    let mut house = ten_a_day();
    assert!(house.take(("day", "x", 10)));
    let ticket = house.wait(("day", "x", 10));
    house.refund("day", "x", 10);
    house.advance();
    house.limits.queue.leave(&ticket);
    assert!(!house.take(("day", "x", 1)), "the grant still counts");
    house.advance();
    assert!(house.take(("day", "x", 10)));
}

#[test]
fn a_waiter_that_leaves_lets_those_behind_it_pass() {
    let mut house = ten_a_day();
    assert!(house.take(("day", "x", 8)));
    let (first, second) = (house.wait(("day", "x", 9)), house.wait(("day", "x", 2)));
    house.advance();
    assert_eq!(heard(&second), None);
    house.limits.queue.leave(&first);
    house.advance();
    assert_eq!(heard(&second), Some(true));
}

#[test]
fn a_wait_ends_with_a_refusal_when_its_patience_ends() {
    let mut house = ten_a_day();
    assert!(house.take(("day", "x", 10)));
    let ticket = house.check(("day", "x", 1), Mode::Wait(SECOND)).expect_err("it has to wait");
    house.databases.now += SECOND - 1;
    house.advance();
    assert_eq!(heard(&ticket), None);
    house.databases.now += 1;
    house.advance();
    assert_eq!(heard(&ticket), Some(false));
    let totals = house.limits.policies.get(b"day").expect("it is there").statistics.totals();
    assert_eq!((totals.allowed, totals.refused), (1, 1), "a wait is one decision");
}

#[test]
fn a_check_that_can_never_be_allowed_does_not_wait_behind_others() {
    let mut house = ten_a_day();
    assert!(house.take(("day", "x", 10)));
    let _waiter = house.wait(("day", "x", 1));
    assert_eq!(house.check(("day", "x", 11), Mode::Wait(SECOND)).ok(), Some(false));
    let totals = house.limits.policies.get(b"day").expect("it is there").statistics.totals();
    assert_eq!((totals.allowed, totals.refused), (1, 1));
}

#[test]
fn a_waiter_whose_policy_is_removed_is_decided_by_the_policy_as_it_was() {
    let mut house = ten_a_day();
    assert!(house.take(("day", "x", 10)));
    let ticket = house.wait(("day", "x", 1));
    house.refund("day", "x", 1);
    let removed = house.limits.change(Change::RemovePolicies { names: vec![b"day"] }, START);
    assert_eq!(removed, Ok(1));
    house.advance();
    assert_eq!(heard(&ticket), Some(true));
    let check = with!(&mut house, limiter => {
        let demands = [Demand::of_policy(b"day", b"x", 1)];
        limiter.run(Check { demands: &demands, mode: Mode::Take }).err()
    });
    assert_eq!(check, Some(LimitError::NoSuchPolicy(b"day"[..].into())));
}

#[test]
fn a_reservation_is_settled_in_the_database_that_it_was_taken_from() {
    let mut house = ten_a_day();
    let reserve = |house: &mut House, id, span| {
        let demands = [Demand::of_policy(b"day", b"x", 10)];
        let reserve = Reserve { id, demands: &demands, span };
        with!(house, limiter => limiter.run(reserve).map(|admission| admission.is_allowed()))
    };
    house.database = 3;
    assert_eq!(reserve(&mut house, 7, SECOND), Ok(true));
    assert_eq!(house.due, Some(START + SECOND), "it ends by itself then");
    assert_eq!(reserve(&mut house, 8, SECOND), Ok(false));
    assert_eq!(house.limits.reservations.count(), 1, "a refusal opens nothing");
    house.database = 0;
    assert_eq!(run!(&mut house, Settle { id: 7, used: 4 }), Ok(true));
    assert_eq!(run!(&mut house, Settle { id: 7, used: 4 }), Ok(false));
    house.database = 3;
    assert!(house.take(("day", "x", 6)) && !house.take(("day", "x", 1)));
}

#[test]
fn a_reservation_stays_open_if_it_cannot_be_settled() {
    let mut house = ten_a_day();
    let demands = [Demand::of_policy(b"day", b"x", 10)];
    let reserve = Reserve { id: 7, demands: &demands, span: SECOND };
    assert!(with!(&mut house, limiter => limiter.run(reserve).is_ok_and(|admission| admission.is_allowed())));
    let counter = (0, b"rl:day:x".to_vec());
    house.databases.counters.insert(counter.clone(), b"a value".to_vec());
    assert_eq!(run!(&mut house, Settle { id: 7, used: 0 }), Err(LimitError::NotACounter));
    house.databases.counters.remove(&counter);
    assert_eq!(run!(&mut house, Settle { id: 7, used: 0 }), Ok(true));
}

#[test]
fn slots_are_left_under_a_policy_that_was_removed() {
    let mut house = House::new(&[("jobs", policy([limit("concurrency", 1, 60_000)]))]);
    let enter = |house: &mut House, lease| {
        with!(house, limiter => {
            let entered = limiter.run(Enter { policy: b"jobs", key: b"x", lease }).expect("it is decided");
            (entered.slot, entered.counter, entered.lease)
        })
    };
    let (slot, counter, lease) = enter(&mut house, Lease::OfPolicy(90 * SECOND));
    assert!(slot.is_some());
    assert_eq!(lease, 90 * SECOND, "the policy's minute is shorter than the least");
    assert_eq!(enter(&mut house, Lease::For(SECOND)).0, None);
    let of = Slots::Of { policy: b"jobs", key: b"x" };
    assert_eq!(run!(&mut house, Renew { slots: of, slot, lease: Lease::OfPolicy(0) }), Ok(true));
    let removed = house.limits.change(Change::RemovePolicies { names: vec![b"jobs"] }, START);
    assert_eq!(removed, Ok(1));
    assert_eq!(
        run!(&mut house, Leave { slots: of, slot }),
        Err(LimitError::NoSuchPolicy(b"jobs"[..].into()))
    );
    assert_eq!(run!(&mut house, Leave { slots: Slots::In(&counter), slot: None }), Ok(false));
    assert_eq!(run!(&mut house, Leave { slots: Slots::In(&counter), slot }), Ok(true));
    assert_eq!(run!(&mut house, Leave { slots: Slots::In(&counter), slot }), Ok(false));
}

#[test]
fn a_reset_removes_the_counters_of_one_key() {
    let both = policy([limit("log", 5, 60_000), limit("log", 50, 60_000).global()]);
    let mut house = House::new(&[("both", both)]);
    assert!(house.take(("both", "x", 5)) && house.take(("both", "y", 5)));
    assert_eq!(run!(&mut house, Reset { policy: b"both", key: b"x" }), Ok(1));
    assert!(house.take(("both", "x", 5)) && !house.take(("both", "y", 1)));
    assert_eq!(house.databases.counters.len(), 3);
}

#[test]
fn as_much_as_is_left_is_taken_only_at_equal_costs() {
    let mut house = ten_a_day();
    assert!(house.take(("day", "x", 8)));
    let mut check = |costs: [u64; 2]| {
        let demands = [Demand::of_policy(b"day", b"x", costs[0]), Demand::of_policy(b"day", b"y", costs[1])];
        with!(&mut house, limiter => limiter.run(Check { demands: &demands, mode: Mode::UpTo }).map(|answer| match answer {
            CheckAnswer::Decided(admission) => admission.taken(),
            CheckAnswer::Waits { .. } => panic!("it does not wait"),
        }))
    };
    assert_eq!(check([5, 4]), Err(LimitError::UnequalCosts));
    assert_eq!(check([5, 5]), Ok(Some(2)));
    assert_eq!(check([5, 5]), Ok(Some(0)));
}

#[test]
fn a_throttle_keeps_its_state_under_the_key_itself() {
    let mut house = House::new(&[]);
    let bucket = Gcra::throttle(1, 1, 1).expect("it is allowed");
    house.databases.locked = Some((0, vec![b"key".to_vec()]));
    let mut throttle = |cost, limits: &Limits, after| {
        let throttle = Throttle { key: b"key", bucket, cost };
        let decision = throttle.decide(limits, &mut &mut house.databases, START + after)?;
        Ok((decision.allowed, decision.remaining, decision.retry_after_millis()))
    };
    let limits = Limits::new(1);
    limits.budget.set_exhausted(true);
    assert_eq!(throttle(0, &limits, 0), Ok((true, 2, -1)));
    assert_eq!(throttle(1, &limits, 0), Err(LimitError::NoRoom));
    limits.budget.set_exhausted(false);
    assert_eq!(throttle(1, &limits, 0), Ok((true, 1, -1)));
    limits.budget.set_exhausted(true);
    assert_eq!(throttle(1, &limits, 0), Ok((true, 0, -1)), "a counter that is there goes on");
    assert_eq!(throttle(1, &limits, NANOS_PER_MILLI), Ok((false, 0, 999)));
    assert_eq!(throttle(1, &limits, SECOND), Ok((true, 0, -1)));
}
