//! The promises of the table of locks, one by one, and its refusals.

use quartet::lock::limits::{
    DELAY_MAX, META_LENGTH_MAX, OWNER_LENGTH_MAX, RESOURCE_LENGTH_MAX, RESOURCES_PER_REQUEST_MAX, TTL_MAX,
    WAIT_MAX, WAITERS_PER_RESOURCE_MAX,
};
use quartet::lock::operation::{
    Acquire, CancelWait, Check, CloseSession, Disconnect, Downgrade, Force, Inspect, List, OpenSession,
    PingSession, Release, ReleaseMany, Renew, SessionTerms, Withdraw,
};
use quartet::lock::{
    Acquired, Core, Events, FENCE_RANGE, Mode, NoticeKind, Outcome, RequestId, SessionId, WaiterId,
};

use super::table::{ASKING, Table, grant, id, snapshot, waiter};

const LONG: u64 = 10_000;

#[test]
fn writers_do_not_starve_and_readers_go_together() {
    let mut table = Table::new();
    grant(table.lock_as(Mode::Shared, "r1", "x", 0));
    let writer = waiter(table.lock("w", "x", LONG));
    let readers: Vec<WaiterId> =
        ["r2", "r3"].map(|owner| waiter(table.lock_as(Mode::Shared, owner, "x", LONG))).into();
    assert_eq!(table.lock_as(Mode::Shared, "r4", "x", 0), Acquired::Busy);
    assert_eq!(table.unlock("r1", "x"), Ok(0));
    assert_eq!(table.granted(), [writer]);
    assert_eq!(table.unlock("w", "x"), Ok(0));
    assert_eq!(table.granted(), readers);
}

#[test]
fn the_same_grant_has_the_same_fence_and_every_other_a_larger_one() {
    let mut table = Table::new();
    let first = grant(table.lock("a", "x", 0));
    let again = Acquire { owner: b"a", resources: &[b"x"], is_reentrant: true, ..ASKING };
    let second = grant(table.ask(&again).expect("it makes sense"));
    assert_eq!((second.fence, second.holds), (first.fence, 2));
    assert_eq!(table.unlock("a", "x"), Ok(1));
    assert_eq!(table.unlock("a", "x"), Ok(0));
    assert_eq!(
        table.unlock("a", "x").map_err(|refusal| refusal.code().to_owned()),
        Err("NOTHELD".to_owned())
    );
    assert!(grant(table.lock("a", "x", 0)).fence > first.fence);
    // An upgrade is a new grant: others that shared may have had later fences.
    let early = grant(table.lock_as(Mode::Shared, "b", "y", 0));
    let late = grant(table.lock_as(Mode::Shared, "c", "y", 0));
    assert_eq!(table.unlock("c", "y"), Ok(0));
    let upgraded = grant(table.upgrade("b", "y", 0).expect("it shares y"));
    assert!(upgraded.fence > late.fence && late.fence > early.fence);
}

#[test]
fn a_check_accepts_only_the_present_grant() {
    let mut table = Table::new();
    let fence = grant(table.lock("a", "x", 0)).fence;
    let now = table.micros();
    assert!(table.core.check(&Check { resources: &[b"x"], fence }, now, &mut table.events));
    assert!(!table.core.check(&Check { resources: &[b"x"], fence: fence + 1 }, now, &mut table.events));
    assert!(!table.core.check(&Check { resources: &[b"y"], fence }, now, &mut table.events));
    // A lease counts until its last microsecond and no longer, whether or not the table was asked meanwhile.
    assert!(table.core.check(&Check { resources: &[b"x"], fence }, now + 999_999, &mut table.events));
    assert!(!table.core.check(&Check { resources: &[b"x"], fence }, now + 1_000_000, &mut table.events));
}

#[test]
fn time_that_runs_back_between_threads_shortens_no_lease() {
    let mut table = Table::new();
    table.advance(10);
    let fence = grant(table.lock("a", "x", 0)).fence;
    table.now -= 10;
    let other = grant(table.lock("b", "y", 0)).fence;
    let end = table.micros() + 1_010_000;
    assert!(table.core.check(&Check { resources: &[b"y"], fence: other }, end - 1, &mut table.events));
    assert!(!table.core.check(&Check { resources: &[b"x"], fence }, end, &mut table.events));
}

#[test]
fn a_session_keeps_its_leases_until_it_ends() {
    let mut table = Table::new();
    let session = table.open(7, SessionTerms { ttl: Some(100), ..SessionTerms::default() });
    let kept = Acquire { owner: b"a", ttl: None, session: Some(session), ..ASKING };
    for resource in [&b"x"[..], b"y"] {
        grant(table.ask(&Acquire { resources: &[resource], ..kept }).expect("it makes sense"));
    }
    let waiting = waiter(table.lock("b", "x", LONG));
    for _ in 0..5 {
        table.advance(99);
        let now = table.micros();
        assert_eq!(
            table.core.ping_session(
                &PingSession { session, connection: None, request: RequestId::default() },
                now,
                &mut table.events
            ),
            Ok(Some(100))
        );
    }
    assert_eq!(table.granted(), []);
    table.advance(100);
    assert_eq!(table.granted(), [waiting]);
    let lost = table.notices();
    assert_eq!(lost.iter().filter(|(kind, _)| *kind == NoticeKind::Lost).count(), 2);
    let refused = table.ask(&Acquire { resources: &[b"z"], ..kept }).expect_err("the session is gone");
    assert_eq!(refused.code(), "NOSESSION");
}

#[test]
fn after_its_connection_ended_a_session_can_come_back_within_the_delay() {
    let mut table = Table::new();
    let terms = SessionTerms { ttl: None, delay: 50, connection: Some(1) };
    let session = table.open(7, terms);
    let kept = Acquire { owner: b"a", resources: &[b"x"], ttl: None, session: Some(session), ..ASKING };
    grant(table.ask(&kept).expect("it makes sense"));
    table.advance(LONG * 1000);
    let waiting = waiter(table.lock("b", "x", TTL_MAX));
    let now = table.micros();
    table.core.disconnect(&Disconnect { connection: 1 }, now, &mut table.events);
    table.advance(49);
    assert_eq!(table.granted(), []);
    // Back on another connection, in time.
    let now = table.micros();
    assert_eq!(
        table.core.ping_session(
            &PingSession { session, connection: Some(2), request: RequestId::default() },
            now,
            &mut table.events
        ),
        Ok(None)
    );
    table.advance(LONG);
    assert_eq!(table.granted(), []);
    // Its former connection has no effect any more; its present one has.
    table.core.disconnect(&Disconnect { connection: 1 }, now, &mut table.events);
    table.advance(LONG);
    assert_eq!(table.granted(), []);
    let now = table.micros();
    table.core.disconnect(&Disconnect { connection: 2 }, now, &mut table.events);
    table.advance(50);
    assert_eq!(table.granted(), [waiting]);
}

#[test]
fn a_repeated_request_has_the_same_result() {
    let mut table = Table::new();
    let ask = Acquire { owner: b"a", resources: &[b"x"], wait: LONG, request: id("a", "r1"), ..ASKING };
    let first = grant(table.ask(&ask).expect("it makes sense"));
    let again = grant(table.ask(&ask).expect("it makes sense"));
    assert_eq!((again.fence, again.holds), (first.fence, 1));
    // One that waits keeps its place.
    let ask_b = Acquire { owner: b"b", request: id("b", "r2"), ..ask };
    let waiting = waiter(table.ask(&ask_b).expect("it makes sense"));
    let behind = waiter(table.lock("c", "x", LONG));
    assert_eq!(table.ask(&ask_b), Ok(Acquired::Rejoined(waiting)));
    let now = table.micros();
    let release = Release { resource: b"x", owner: b"a", request: id("a", "r3"), ..Release::default() };
    for _ in 0..2 {
        assert_eq!(table.core.release(&release, now, &mut table.events), Ok(0));
    }
    assert_eq!(table.granted(), [waiting]);
    assert_eq!(table.unlock("b", "x"), Ok(0));
    assert_eq!(table.granted(), [behind]);
    // A late copy of the request does not acquire the released resource.
    assert_eq!(table.unlock("c", "x"), Ok(0));
    let late = table.ask(&ask).expect_err("it was granted and has ended");
    assert_eq!(
        String::from_utf8_lossy(late.text()),
        format!("NOTHELD the request was granted under fence {}, and that has ended", first.fence)
    );
}

#[test]
fn a_retry_that_does_not_wait_leaves_the_wait_alone() {
    let mut table = Table::new();
    grant(table.lock("a", "x", 0));
    let ask = Acquire { owner: b"b", resources: &[b"x"], wait: 100, request: id("b", "r1"), ..ASKING };
    let waiting = waiter(table.ask(&ask).expect("it makes sense"));
    assert_eq!(table.ask(&Acquire { wait: 0, ..ask }), Ok(Acquired::Busy));
    table.advance(99);
    assert_eq!(table.unlock("a", "x"), Ok(0));
    assert_eq!(table.granted(), [waiting]);
}

#[test]
fn the_id_of_a_waiting_request_names_no_other_request() {
    let mut table = Table::new();
    grant(table.lock("a", "x", 0));
    let ask = Acquire { owner: b"b", resources: &[b"x"], wait: 100, request: id("b", "r1"), ..ASKING };
    waiter(table.ask(&ask).expect("it makes sense"));
    for other in [
        Acquire { resources: &[b"y"], ..ask },
        Acquire { resources: &[b"x", b"y"], ..ask },
        Acquire { mode: Mode::Shared, ..ask },
    ] {
        assert_eq!(table.ask(&other).expect_err("it is another request").code(), "REQIDUSED");
    }
    assert_eq!(table.core.model().totals().resources, 1);
}

#[test]
fn a_grant_that_a_retry_was_told_of_is_not_withdrawn_with_the_first_try() {
    let mut table = Table::new();
    grant(table.lock("a", "x", 0));
    let ask = Acquire { owner: b"b", resources: &[b"x"], wait: LONG, request: id("b", "r1"), ..ASKING };
    waiter(table.ask(&ask).expect("it makes sense"));
    waiter(table.lock("c", "x", LONG));
    assert_eq!(table.unlock("a", "x"), Ok(0));
    let [(_, Outcome::Granted(given))] = &table.answers()[..] else { panic!("one is granted") };
    let again = grant(table.ask(&ask).expect("it is a retry"));
    assert_eq!(again.fence, given.fence);
    let now = table.micros();
    table.core.withdraw(&Withdraw { grant: given }, now, &mut table.events);
    assert!(table.core.check(&Check { resources: &[b"x"], fence: given.fence }, now, &mut table.events));
    assert_eq!(table.granted(), []);
}

#[test]
fn a_retry_after_a_withdrawal_is_a_new_request() {
    let mut table = Table::new();
    grant(table.lock("a", "x", 0));
    let ask = Acquire { owner: b"b", resources: &[b"x"], wait: LONG, request: id("b", "r1"), ..ASKING };
    waiter(table.ask(&ask).expect("it makes sense"));
    assert_eq!(table.unlock("a", "x"), Ok(0));
    let [(_, Outcome::Granted(given))] = &table.answers()[..] else { panic!("one is granted") };
    let now = table.micros();
    table.core.withdraw(&Withdraw { grant: given }, now, &mut table.events);
    table.keep_records();
    let mut replayed = table.replayed();
    for (core, events) in [(&mut table.core, &mut table.events), (&mut replayed, &mut Events::default())] {
        let fence = grant(core.acquire(&ask, now, events).expect("it is free")).fence;
        assert!(fence > given.fence);
    }
}

#[test]
fn an_owner_waits_for_one_thing_at_a_time() {
    let mut table = Table::new();
    for (owner, resource) in [("a", "x"), ("a", "y")] {
        grant(table.lock_as(Mode::Shared, owner, resource, 0));
    }
    grant(table.lock_as(Mode::Shared, "b", "x", 0));
    let upgrade = waiter(table.upgrade("b", "x", LONG).expect("it shares x"));
    let again = table.upgrade("b", "x", LONG).expect_err("it waits for that already");
    assert_eq!(
        String::from_utf8_lossy(again.text()),
        "LOCKWAITS the owner waits for x already: each thread of control needs an owner of its own, and a retry the \
         REQID of the request"
    );
    let other = Acquire { owner: b"b", resources: &[b"y"], wait: LONG, ..ASKING };
    assert_eq!(table.ask(&other).expect_err("it waits for x").code(), "LOCKWAITS");
    // It may acquire a free resource, but not the one that it waits for.
    assert_eq!(table.ask(&Acquire { wait: 0, ..other }), Ok(Acquired::Busy));
    grant(table.lock_as(Mode::Shared, "b", "y", 0));
    assert_eq!(table.core.model().totals().waiters, 1);
    // The lease ends, and its waiting upgrade with it.
    assert_eq!(table.unlock("b", "x"), Ok(0));
    assert_eq!(table.answers(), [(upgrade, Outcome::LeaseLost)]);
    grant(table.lock("c", "z", 0));
    let both: &[&[u8]] = &[b"v", b"z"];
    let shared = Acquire { owner: b"b", resources: both, mode: Mode::Shared, wait: LONG, ..ASKING };
    let waiting = waiter(table.ask(&shared).expect("it makes sense"));
    assert_eq!(table.lock_as(Mode::Shared, "b", "v", 0), Acquired::Busy);
    assert_eq!(table.unlock("c", "z"), Ok(0));
    assert_eq!(table.granted(), [waiting]);
    assert_eq!(snapshot(&table.replayed()), snapshot(&table.core));
}

#[test]
fn a_snapshot_has_the_results_of_requests() {
    let mut table = Table::new();
    let ask = Acquire { owner: b"a", resources: &[b"x", b"y"], request: id("a", "r1"), ..ASKING };
    let first = grant(table.ask(&ask).expect("it makes sense"));
    grant(table.ask(&Acquire { owner: b"b", resources: &[b"v", b"w"], ..ASKING }).expect("it makes sense"));
    let now = table.micros();
    let release = ReleaseMany {
        resources: &[b"v", b"w"],
        owner: b"b",
        request: id("b", "r2"),
        ..ReleaseMany::default()
    };
    assert_eq!(table.core.release_many(&release, now, &mut table.events), Ok(2));
    table.keep_records();
    let mut from_snapshot = Core::default();
    for record in snapshot(&table.core) {
        from_snapshot.replay(&record, now).expect("the record can be followed");
    }
    for mut core in [table.replayed(), from_snapshot] {
        let mut events = Events::default();
        let again = grant(core.acquire(&ask, now, &mut events).expect("it is a retry"));
        assert_eq!((again.fence, again.holds), (first.fence, 1));
        assert_eq!(core.release_many(&release, now, &mut events), Ok(2));
    }
}

#[test]
fn a_withdrawn_grant_goes_to_the_next_waiter() {
    let mut table = Table::new();
    grant(table.lock("a", "x", 0));
    waiter(table.lock("b", "x", LONG));
    let next = waiter(table.lock("c", "x", LONG));
    assert_eq!(table.unlock("a", "x"), Ok(0));
    let [(_, Outcome::Granted(given))] = &table.answers()[..] else { panic!("one is granted") };
    let now = table.micros();
    table.core.withdraw(&Withdraw { grant: given }, now, &mut table.events);
    assert_eq!(table.granted(), [next]);
    // A second withdrawal changes nothing, even if another lease has the slot of the first.
    table.core.withdraw(&Withdraw { grant: given }, now, &mut table.events);
    assert_eq!(table.unlock("c", "x"), Ok(0));
}

#[test]
fn a_withdrawn_upgrade_makes_the_lease_shared_again() {
    let mut table = Table::new();
    let shared = grant(table.lock_as(Mode::Shared, "a", "x", 0));
    grant(table.lock_as(Mode::Shared, "b", "x", 0));
    waiter(table.upgrade("a", "x", LONG).expect("it shares x"));
    assert_eq!(table.unlock("b", "x"), Ok(0));
    let [(_, Outcome::Granted(given))] = &table.answers()[..] else { panic!("one is granted") };
    let now = table.micros();
    table.core.withdraw(&Withdraw { grant: given }, now, &mut table.events);
    assert!(table.core.check(&Check { resources: &[b"x"], fence: shared.fence }, now, &mut table.events));
    grant(table.lock_as(Mode::Shared, "b", "x", 0));
}

#[test]
fn nothing_is_granted_on_expired_leases_or_sessions() {
    let mut table = Table::new();
    table.open(1, SessionTerms { ttl: Some(15), ..SessionTerms::default() });
    let shared = Acquire { resources: &[b"x"], mode: Mode::Shared, ..ASKING };
    table.ask(&Acquire { owner: b"a", ttl: Some(10), ..shared }).expect("it is free");
    table.ask(&Acquire { owner: b"b", ttl: Some(14), ..shared }).expect("it can be shared");
    let upgrade = waiter(table.upgrade("b", "x", LONG).expect("it shares x"));
    let session = Some(SessionId(1));
    let of_session = Acquire { owner: b"c", wait: LONG, ttl: None, session, ..shared };
    let of_session = waiter(table.ask(&of_session).expect("the session is there"));
    let next = waiter(table.lock("d", "x", 12));
    // The alarm is late: all leases, the session and the last wait have expired.
    table.advance(20);
    let [first, second, (third, Outcome::Granted(_))] = &table.answers()[..] else {
        panic!("one is granted")
    };
    assert_eq!((first, second), (&(upgrade, Outcome::LeaseLost), &(of_session, Outcome::SessionEnded)));
    assert_eq!(*third, next);
}

#[test]
fn ten_thousand_wait_for_one_key_in_their_order() {
    let mut table = Table::new();
    grant(table.lock("first", "x", 0));
    let mut waiting: Vec<WaiterId> =
        (0..10_000).map(|number| waiter(table.lock(&format!("w{number}"), "x", LONG))).collect();
    assert_eq!(table.unlock("first", "x"), Ok(0));
    for number in 0..5_000 {
        assert_eq!(table.unlock(&format!("w{number}"), "x"), Ok(0));
    }
    let granted = table.granted();
    assert_eq!(granted, waiting.drain(..granted.len()).collect::<Vec<_>>());
    assert_eq!(granted.len(), 5_001);
    // The other waits end at once, except one that has its turn when the lease before it ends.
    table.advance(1_000);
    assert_eq!(table.granted(), [waiting.remove(0)]);
    table.advance(LONG);
    table.advance(1_000);
    assert_eq!(table.core.model().totals().resources, 0);
}

#[test]
fn a_full_queue_refuses_requests() {
    let mut table = Table::new();
    grant(table.lock("first", "x", 0));
    for number in 0..WAITERS_PER_RESOURCE_MAX {
        waiter(table.lock(&format!("w{number}"), "x", LONG));
    }
    let ask = Acquire { owner: b"late", resources: &[b"x"], wait: LONG, ..ASKING };
    assert_eq!(table.ask(&ask).expect_err("the queue is full").code(), "LOCKFULL");
    assert_eq!(table.ask(&Acquire { wait: 0, ..ask }), Ok(Acquired::Busy));
    assert_eq!(table.core.model().totals().owners, WAITERS_PER_RESOURCE_MAX + 1);
}

#[test]
fn invalid_requests_are_refused_and_leave_nothing() {
    let mut table = Table::new();
    let long = vec![b'n'; 4096];
    let many: Vec<Vec<u8>> =
        (0..=RESOURCES_PER_REQUEST_MAX).map(|number| number.to_string().into()).collect();
    let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    let ok = Acquire { owner: b"a", resources: &[b"x"], ..ASKING };
    let permits = |count, of| Acquire { mode: Mode::Permits { count, of }, ..ok };
    let bad = [
        Acquire { ttl: Some(0), ..ok },
        Acquire { ttl: Some(TTL_MAX + 1), ..ok },
        Acquire { ttl: Some(u64::MAX), ..ok },
        Acquire { ttl: None, ..ok },
        Acquire { wait: WAIT_MAX + 1, ..ok },
        Acquire { owner: &long[..OWNER_LENGTH_MAX + 1], ..ok },
        Acquire { resources: &[&long[..RESOURCE_LENGTH_MAX + 1]], ..ok },
        Acquire { meta: &long[..META_LENGTH_MAX + 1], ..ok },
        Acquire { request: RequestId { scope: b"a", id: &long[..129] }, ..ok },
        Acquire { owner: b"", ..ok },
        Acquire { resources: &[], ..ok },
        Acquire { resources: &[b"x", b""], ..ok },
        Acquire { resources: &[b"x", b"y", b"x"], ..ok },
        Acquire { resources: &many, ..ok },
        permits(0, 3),
        permits(4, 3),
        permits(1, u32::MAX),
        Acquire { session: Some(SessionId(99)), ..ok },
    ];
    for request in bad {
        assert!(table.ask(&request).is_err(), "{request:?}");
    }
    let now = table.micros();
    let open = |table: &mut Table, terms| {
        table
            .core
            .open_session(
                &OpenSession { id: 1, terms, request: RequestId::default() },
                now,
                &mut table.events,
            )
            .is_err()
    };
    assert!(open(&mut table, SessionTerms::default()));
    assert!(open(&mut table, SessionTerms { ttl: Some(0), ..SessionTerms::default() }));
    assert!(open(&mut table, SessionTerms { ttl: Some(1), delay: DELAY_MAX + 1, connection: None }));
    assert!(
        table
            .core
            .ping_session(
                &PingSession { session: SessionId(5), connection: None, request: RequestId::default() },
                now,
                &mut table.events
            )
            .is_err()
    );
    assert!(
        table
            .core
            .close_session(
                &CloseSession { session: SessionId(5), request: RequestId::default() },
                now,
                &mut table.events
            )
            .is_err()
    );
    let totals = table.core.model().totals();
    assert_eq!((totals.resources, totals.owners, totals.sessions), (0, 0, 0));
    // The longest values are accepted.
    for request in [
        Acquire { ttl: Some(TTL_MAX), wait: WAIT_MAX, ..ok },
        Acquire { owner: &long[..OWNER_LENGTH_MAX], resources: &[&long[..RESOURCE_LENGTH_MAX]], ..ok },
        Acquire { resources: &many[1..], ..ok },
    ] {
        grant(table.ask(&request).expect("it makes sense"));
    }
}

#[test]
fn foreign_owners_can_do_nothing() {
    let mut table = Table::new();
    let fence = grant(table.lock("a", "x", 0)).fence;
    let now = table.micros();
    assert!(table.unlock("b", "x").is_err());
    let request = RequestId::default();
    for (owner, fence) in [(&b"b"[..], None), (b"a", Some(fence + 1))] {
        let renew = Renew { resources: &[b"x"], owner, ttl: 1000, fence, request };
        assert!(table.core.renew(&renew, now, &mut table.events).is_err());
    }
    assert!(table.upgrade("b", "x", 0).is_err());
    assert!(
        table
            .core
            .downgrade(
                &Downgrade { resource: b"x", owner: b"b", fence: None, request },
                now,
                &mut table.events
            )
            .is_err()
    );
    assert_eq!(
        table.core.cancel_wait(&CancelWait { resource: b"x", owner: b"b", request }, now, &mut table.events),
        Ok(0)
    );
    assert_eq!(
        table.core.force(
            &Force { resource: b"x", owner: Some(b"b"), reason: b"", request },
            now,
            &mut table.events
        ),
        Ok(0)
    );
    let stale = Release { resource: b"x", owner: b"a", fence: Some(fence + 1), ..Release::default() };
    assert!(table.core.release(&stale, now, &mut table.events).is_err());
}

#[test]
fn leases_start_anew_with_their_full_time_after_a_restart() {
    let mut table = Table::new();
    grant(table.lock("a", "x", 0));
    table.advance(600);
    let now = table.micros();
    assert!(
        table
            .core
            .renew(
                &Renew {
                    resources: &[b"x"],
                    owner: b"a",
                    ttl: 3000,
                    fence: None,
                    request: RequestId::default()
                },
                now,
                &mut table.events
            )
            .is_ok()
    );
    table.keep_records();
    let mut again = table.replayed();
    assert_eq!(snapshot(&again), snapshot(&table.core));
    let mut events = quartet::lock::Events::default();
    let later = now + 1_000_000_000;
    again.recovered(later, &mut events);
    let inspect = Inspect { resources: &[b"x"] };
    assert_eq!(
        again.inspect(&inspect, later, &mut events),
        [],
        "the time of the recovery is given to replay"
    );
    let mut again = quartet::lock::Core::default();
    for record in &table.records {
        again.replay(record, later).expect("the record can be followed");
    }
    again.recovered(later, &mut events);
    let holder = &again.inspect(&inspect, later, &mut events)[0].holders[0];
    assert_eq!(holder.ttl, Some(3000));
}

#[test]
fn fences_grow_after_their_leases_are_forgotten() {
    let mut table = Table::new();
    table.core.reserve_fences();
    let mut last = 0;
    for _ in 0..10 {
        let fence = grant(table.lock("a", "x", 0)).fence;
        assert!(fence > last);
        last = fence;
        assert_eq!(table.unlock("a", "x"), Ok(0));
    }
    // Only the ranges are replayed, and that is enough.
    let mut again = quartet::lock::Core::default();
    let mut events = quartet::lock::Events::default();
    let ranges = table.records.iter().filter(|record| record[0] == 1);
    ranges.for_each(|record| again.replay(record, 0).expect("the record can be followed"));
    again.reserve_fences();
    let request = Acquire { owner: b"b", resources: &[b"x"], ..ASKING };
    let fence = grant(again.acquire(&request, 0, &mut events).expect("it makes sense")).fence;
    assert!(fence > last && fence <= last + 2 * FENCE_RANGE);
}

#[test]
fn a_step_of_a_list_names_a_thousand_holders_and_not_many_more() {
    let mut table = Table::new();
    let names: Vec<String> = (0..5).map(|number| format!("r{number}")).collect();
    for resource in &names {
        for owner in 0..400 {
            grant(table.lock_as(Mode::Shared, &format!("o{owner}"), resource, 0));
        }
    }
    let (mut cursor, mut steps, now) = (0, Vec::new(), table.micros());
    loop {
        let page = table.core.list(&List { cursor, pattern: None, owner: None }, now, &mut table.events);
        steps.push(page.resources.len());
        cursor = page.next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(steps, [3, 2]);
}
