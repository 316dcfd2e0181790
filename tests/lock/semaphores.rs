//! Semaphores: several leases of one owner, and a number of permits that changes while some are taken.

use quartet::lock::operation::{Acquire, Check, Inspect, Release, Renew};
use quartet::lock::{Acquired, Mode, Refused, RequestId};

use super::table::{ASKING, Table, grant, snapshot, waiter};

const LONG: u64 = 10_000;

fn permits(count: u32, of: u32) -> Mode {
    Mode::Permits { count, of }
}

#[test]
fn an_owner_acquires_more_permits_as_long_as_there_are_some() {
    let mut table = Table::new();
    let first = grant(table.lock_as(permits(1, 3), "ann", "pool", 0));
    let second = grant(table.lock_as(permits(1, 3), "ann", "pool", LONG));
    assert!(second.fence > first.fence && second.holds == 1);
    // There are no two more, and never will be while the owner itself waits.
    assert_eq!(table.lock_as(permits(2, 3), "ann", "pool", 0), Acquired::Busy);
    assert!(matches!(table.lock_as(permits(2, 3), "ann", "pool", LONG), Acquired::Deadlock(_)));
    // The permits of another owner may be released.
    let other = grant(table.lock_as(permits(1, 3), "bob", "pool", 0));
    let waiting = waiter(table.lock_as(permits(1, 3), "ann", "pool", LONG));
    assert_eq!(table.unlock("bob", "pool"), Ok(0));
    assert_eq!(table.granted(), [waiting]);
    // Each is a lease with its own time and fence; the last is released first.
    let now = table.micros();
    for (fence, is_held) in [(first.fence, true), (second.fence, true), (other.fence, false)] {
        assert_eq!(
            table.core.check(&Check { resources: &[b"pool"], fence }, now, &mut table.events),
            is_held
        );
    }
    assert_eq!(table.unlock("ann", "pool"), Ok(2));
    let of_pool = Release { resource: b"pool", owner: b"ann", ..Release::default() };
    let of_first = Release { fence: Some(first.fence), ..of_pool };
    assert_eq!(table.core.release(&of_first, now, &mut table.events), Ok(1));
    assert!(table.core.check(&Check { resources: &[b"pool"], fence: second.fence }, now, &mut table.events));
    grant(table.lock_as(permits(1, 3), "ann", "pool", 0));
    let all = Release { all: true, ..of_pool };
    assert_eq!(table.core.release(&all, now, &mut table.events), Ok(0));
    assert_eq!(table.core.model().totals().resources, 0);
}

#[test]
fn all_leases_of_an_owner_are_renewed_unless_one_is_named() {
    let mut table = Table::new();
    let fences = [0; 3].map(|_| grant(table.lock_as(permits(1, 3), "ann", "pool", 0)).fence);
    let now = table.micros();
    let renew = |table: &mut Table, fence| {
        let request = RequestId::default();
        let renew = Renew { resources: &[b"pool"], owner: b"ann", ttl: LONG, fence, request };
        table.core.renew(&renew, now, &mut table.events)
    };
    assert_eq!(renew(&mut table, Some(fences[1])).map(|grant| grant.fence), Ok(fences[1]));
    table.keep_records();
    let left = |table: &mut Table| {
        let reports = table.core.inspect(&Inspect { resources: &[b"pool"] }, now, &mut table.events);
        let mut left: Vec<_> = reports[0].holders.iter().map(|holder| (holder.fence, holder.ttl)).collect();
        left.sort_unstable();
        left.into_iter().map(|(_, ttl)| ttl.expect("it has a time")).collect::<Vec<_>>()
    };
    assert_eq!(left(&mut table), [1000, LONG, 1000]);
    assert_eq!(renew(&mut table, None).map(|grant| grant.fence), Ok(fences[2]));
    assert_eq!(left(&mut table), [LONG, LONG, LONG]);
    table.keep_records();
    assert_eq!(snapshot(&table.replayed()), snapshot(&table.core));
}

#[test]
fn the_number_of_permits_changes_while_some_are_taken() {
    let mut table = Table::new();
    grant(table.lock_as(permits(3, 3), "ann", "pool", 0));
    let waiting = waiter(table.lock_as(permits(1, 3), "bob", "pool", LONG));
    // A larger total counts for all waiters, in their order.
    assert_eq!(table.lock_as(permits(1, 4), "cid", "pool", 0), Acquired::Busy);
    assert_eq!(table.granted(), [waiting]);
    grant(table.lock_as(permits(1, 5), "cid", "pool", 0));
    // A smaller total counts for new requests; holders and waiters keep to the one they named.
    assert_eq!(table.lock_as(permits(1, 2), "dan", "pool", 0), Acquired::Busy);
    let few = waiter(table.lock_as(permits(1, 2), "dan", "pool", LONG));
    assert_eq!(table.unlock("bob", "pool"), Ok(0));
    assert_eq!(table.granted(), []);
    assert_eq!(table.unlock("ann", "pool"), Ok(0));
    assert_eq!(table.granted(), [few]);
    table.keep_records();
    assert_eq!(snapshot(&table.replayed()), snapshot(&table.core));
}

#[test]
fn a_table_with_more_permits_taken_than_there_are_is_rebuilt_in_any_order() {
    let mut table = Table::new();
    grant(table.lock_as(permits(1, 1), "ann", "pool", 0));
    grant(table.lock_as(permits(4, 5), "bob", "pool", 0));
    let now = table.micros();
    for backwards in [false, true] {
        let mut records = Vec::new();
        table.core.snapshot(true, |record| records.push(record.to_vec()));
        if backwards {
            records.reverse();
        }
        let mut again = quartet::lock::Core::default();
        records.iter().for_each(|record| again.replay(record, now).expect("it can be followed"));
        assert_eq!(again.model().totals().leases, 2);
    }
}

#[test]
fn a_reentrant_request_adds_to_a_lease_of_as_many_permits() {
    let mut table = Table::new();
    let first = grant(table.lock_as(permits(1, 3), "ann", "pool", 0));
    let again = |table: &mut Table, mode| {
        let now = table.micros();
        let request = Acquire { owner: b"ann", resources: &[b"pool"], mode, is_reentrant: true, ..ASKING };
        table.core.acquire(&request, now, &mut table.events)
    };
    let held = grant(again(&mut table, permits(1, 4)).expect("it holds one"));
    assert_eq!((held.fence, held.holds), (first.fence, 2));
    let held = permits(1, 3);
    assert_eq!(again(&mut table, permits(2, 3)), Err(Refused::OtherMode { held, wanted: permits(2, 3) }));
    assert_eq!(again(&mut table, Mode::Shared), Err(Refused::OtherMode { held, wanted: Mode::Shared }));
    assert!(matches!(table.lock("ann", "pool", LONG), Acquired::Deadlock(_)));
}
