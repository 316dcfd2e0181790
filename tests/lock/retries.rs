//! Every request that changes something can be sent again under its id: it has the same result, also after a restart,
//! and the id stands for no other request.

use quartet::lock::operation::{
    Acquire, CancelWait, CloseSession, Downgrade, Force, OpenSession, PingSession, Release, ReleaseMany,
    Renew, RenewAll, SessionTerms, Upgrade,
};
use quartet::lock::{Acquired, Core, Events, LockOperation, Mode, Refused, RequestId, SessionId};

use super::table::{ASKING, Table, grant, snapshot, waiter};

const LONG: u64 = 10_000;

/// The answer of an operation, as far as a client sees it.
pub(crate) type Answer = Result<String, Refused>;

/// An operation with an id.
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) run: fn(&mut Core, u64, &mut Events, RequestId<'_>) -> Answer,
}

/// A case with an id, as an operation of locks that are shared.
pub(crate) struct Running<'r> {
    pub(crate) case: &'r Case,
    pub(crate) request: RequestId<'r>,
}

impl LockOperation for Running<'_> {
    type Answer = Answer;

    fn run(&self, table: &mut quartet::lock::Table<'_>) -> Answer {
        table.admit()?;
        let (core, now, events) = table.parts();
        (self.case.run)(core, now, events, self.request)
    }
}

fn shown<T: std::fmt::Debug>(answer: Result<T, Refused>) -> Answer {
    answer.map(|answer| format!("{answer:?}"))
}

/// The fence and the hold count of an answer to a request for a lock.
fn fence(acquired: Result<Acquired, Refused>) -> Answer {
    acquired.map(|acquired| match acquired {
        Acquired::Granted(grant) => format!("{} {}", grant.fence, grant.holds),
        other => panic!("not granted: {other:?}"),
    })
}

/// Ann holds x and y exclusively, shares s and waits for nothing; bob waits for x; session 7 keeps z for ann.
pub(crate) const CASES: &[Case] = &[
    Case {
        what: "acquire",
        run: |core, now, events, request| {
            let asking = Acquire { owner: b"ann", resources: &[b"new"], request, ..ASKING };
            fence(core.acquire(&asking, now, events))
        },
    },
    Case {
        what: "acquire in another mode",
        run: |core, now, events, request| {
            let mode = Mode::Shared;
            let asking = Acquire { owner: b"ann", resources: &[b"new"], mode, request, ..ASKING };
            fence(core.acquire(&asking, now, events))
        },
    },
    Case {
        what: "acquire for another time",
        run: |core, now, events, request| {
            let ttl = Some(77);
            let asking = Acquire { owner: b"ann", resources: &[b"new"], ttl, request, ..ASKING };
            fence(core.acquire(&asking, now, events))
        },
    },
    Case {
        what: "acquire once more",
        run: |core, now, events, request| {
            let asking = Acquire { owner: b"ann", resources: &[b"x"], is_reentrant: true, request, ..ASKING };
            fence(core.acquire(&asking, now, events))
        },
    },
    Case {
        what: "upgrade",
        run: |core, now, events, request| {
            let upgrade = Upgrade { resource: b"s", owner: b"ann", fence: None, wait: 0, request };
            fence(core.upgrade(&upgrade, now, events))
        },
    },
    Case {
        what: "downgrade",
        run: |core, now, events, request| {
            let downgrade = Downgrade { resource: b"x", owner: b"ann", fence: None, request };
            shown(core.downgrade(&downgrade, now, events).map(|grant| grant.fence))
        },
    },
    Case {
        what: "renew",
        run: |core, now, events, request| {
            let renew = Renew { resources: &[b"x"], owner: b"ann", ttl: 5000, fence: None, request };
            shown(core.renew(&renew, now, events).map(|grant| grant.fence))
        },
    },
    Case {
        what: "renew all",
        run: |core, now, events, request| {
            shown(core.renew_all(&RenewAll { owner: b"ann", ttl: 5000, request }, now, events))
        },
    },
    Case {
        what: "release",
        run: |core, now, events, request| {
            let release = Release { resource: b"x", owner: b"ann", request, ..Release::default() };
            shown(core.release(&release, now, events))
        },
    },
    Case {
        what: "release another",
        run: |core, now, events, request| {
            let release = Release { resource: b"y", owner: b"ann", request, ..Release::default() };
            shown(core.release(&release, now, events))
        },
    },
    Case {
        what: "release several",
        run: |core, now, events, request| {
            let resources: &[&[u8]] = &[b"x", b"y"];
            let release = ReleaseMany { resources, owner: b"ann", request, ..ReleaseMany::default() };
            shown(core.release_many(&release, now, events))
        },
    },
    Case {
        what: "force",
        run: |core, now, events, request| {
            shown(core.force(&Force { resource: b"x", owner: None, reason: b"", request }, now, events))
        },
    },
    Case {
        what: "cancel",
        run: |core, now, events, request| {
            shown(core.cancel_wait(&CancelWait { resource: b"x", owner: b"bob", request }, now, events))
        },
    },
    Case {
        what: "open a session",
        run: |core, now, events, request| {
            let terms = SessionTerms { ttl: Some(1000), ..SessionTerms::default() };
            shown(core.open_session(&OpenSession { id: 70, terms, request }, now, events))
        },
    },
    Case {
        what: "ping a session",
        run: |core, now, events, request| {
            shown(core.ping_session(
                &PingSession { session: SessionId(7), connection: None, request },
                now,
                events,
            ))
        },
    },
    Case {
        what: "close a session",
        run: |core, now, events, request| {
            shown(core.close_session(&CloseSession { session: SessionId(7), request }, now, events))
        },
    },
];

fn table() -> Table {
    let mut table = Table::new();
    grant(table.lock("ann", "x", 0));
    grant(table.lock("ann", "y", 0));
    grant(table.lock_as(Mode::Shared, "ann", "s", 0));
    let session = table.open(7, SessionTerms { ttl: Some(LONG), ..SessionTerms::default() });
    let kept = Acquire { owner: b"ann", resources: &[b"z"], ttl: None, session: Some(session), ..ASKING };
    grant(table.ask(&kept).expect("the session is there"));
    waiter(table.lock("bob", "x", LONG));
    table
}

fn run(table: &mut Table, case: &Case, id: &str) -> Answer {
    let now = table.micros();
    let request = RequestId { scope: b"", id: id.as_bytes() };
    let answer = (case.run)(&mut table.core, now, &mut table.events, request);
    table.keep_records();
    answer
}

#[test]
fn a_retry_has_the_same_result_and_changes_nothing() {
    for case in CASES {
        let mut table = table();
        let first = run(&mut table, case, "id");
        assert!(first.is_ok(), "{}: {first:?}", case.what);
        let after = snapshot(&table.core);
        assert_eq!(run(&mut table, case, "id"), first, "{}", case.what);
        assert_eq!(snapshot(&table.core).len(), after.len(), "{}", case.what);
        let totals = table.core.model().totals();
        // After a restart, from records and from a snapshot, as well.
        let (now, request) = (table.micros(), RequestId { scope: b"", id: b"id" });
        let mut from_snapshot = Core::default();
        table.core.snapshot(true, |record| {
            from_snapshot.replay(record, now).expect("the record can be followed");
        });
        for mut core in [table.replayed(), from_snapshot] {
            assert_eq!((case.run)(&mut core, now, &mut Events::default(), request), first, "{}", case.what);
            assert_eq!(core.model().totals().leases, totals.leases, "{}", case.what);
        }
    }
}

#[test]
fn an_id_stands_for_one_request() {
    for first in CASES {
        for second in CASES {
            let mut table = table();
            run(&mut table, first, "id").expect("it is possible");
            let after = snapshot(&table.core);
            let answer = run(&mut table, second, "id");
            if first.what == second.what {
                assert!(answer.is_ok(), "{}", first.what);
            } else {
                assert_eq!(answer, Err(Refused::RequestIdUsed), "{} after {}", second.what, first.what);
                assert_eq!(snapshot(&table.core), after, "{} after {}", second.what, first.what);
            }
        }
    }
}

#[test]
fn a_refused_request_does_not_use_up_its_id() {
    let mut table = table();
    let request = RequestId { scope: b"cid", id: b"id" };
    let asking = Acquire { owner: b"cid", resources: &[b"x"], request, ..ASKING };
    assert_eq!(table.ask(&asking), Ok(Acquired::Busy));
    grant(table.ask(&Acquire { resources: &[b"free"], ..asking }).expect("it is free"));
}

#[test]
fn a_retry_without_an_owner_is_known_by_its_id() {
    let mut table = Table::new();
    let request = RequestId { scope: b"", id: b"id" };
    let first =
        Acquire { owner: b"made-up-1", is_owner_made_up: true, resources: &[b"x"], request, ..ASKING };
    let retry = Acquire { owner: b"made-up-2", ..first };
    let fence = grant(table.ask(&first).expect("it is free")).fence;
    let again = grant(table.ask(&retry).expect("it is a retry"));
    assert_eq!((again.fence, again.owner.as_deref()), (fence, Some(&b"made-up-1"[..])));
    // A waiter is recognized by it as well, and is told its owner.
    let request = RequestId { scope: b"", id: b"other" };
    let waits = Acquire { owner: b"made-up-3", wait: LONG, request, ..first };
    let waiting = waiter(table.ask(&waits).expect("it waits"));
    assert_eq!(table.ask(&Acquire { owner: b"made-up-4", ..waits }), Ok(Acquired::Rejoined(waiting)));
    assert_eq!(table.core.model().totals().owners, 2);
    assert_eq!(table.unlock("made-up-1", "x"), Ok(0));
    let [(_, quartet::lock::Outcome::Granted(given))] = &table.answers()[..] else {
        panic!("one is granted")
    };
    assert_eq!(given.owner.as_deref(), Some(&b"made-up-3"[..]));
}

#[test]
fn an_upgrade_that_waits_can_be_sent_again() {
    let mut table = Table::new();
    let shared = grant(table.lock_as(Mode::Shared, "ann", "x", 0)).fence;
    grant(table.lock_as(Mode::Shared, "bob", "x", 0));
    let ask = |table: &mut Table| {
        let (now, request) = (table.micros(), RequestId { scope: b"ann", id: b"id" });
        let upgrade = Upgrade { resource: b"x", owner: b"ann", fence: Some(shared), wait: LONG, request };
        table.core.upgrade(&upgrade, now, &mut table.events)
    };
    let Ok(Acquired::Waiting(waiting)) = ask(&mut table) else { panic!("bob shares it") };
    assert_eq!(ask(&mut table), Ok(Acquired::Rejoined(waiting)));
    assert_eq!(table.unlock("bob", "x"), Ok(0));
    assert_eq!(table.granted(), [waiting]);
    let Ok(Acquired::Granted(again)) = ask(&mut table) else { panic!("it is a retry") };
    assert!(again.fence > shared);
    // The lease ends, and a late copy of the request is refused.
    assert_eq!(table.unlock("ann", "x"), Ok(0));
    assert_eq!(ask(&mut table), Err(Refused::GrantEnded(again.fence)));
}
