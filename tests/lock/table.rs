//! A table of locks as tests use it: strings for names, milliseconds for times.

use std::cell::Cell;

use quartet::clock::Now;
use quartet::delivery::Effects;
use quartet::lock::operation::{Acquire, OpenSession, Release, SessionTerms, Upgrade};
use quartet::lock::{
    Acquired, Core, Durability, Events, Grant, LockOperation, Locks, Mode, NoticeKind, Outcome, RequestId,
    SessionId, WaiterId,
};
use quartet::refusal::Refusal;

/// A request to start from: an exclusive lock for a second, without waiting.
pub(crate) const ASKING: Acquire<'static> = Acquire {
    owner: b"",
    is_owner_made_up: false,
    resources: &[],
    mode: Mode::Exclusive,
    ttl: Some(1000),
    wait: 0,
    is_reentrant: false,
    session: None,
    meta: b"",
    request: RequestId { scope: b"", id: b"" },
};

/// The id of a request of an owner.
pub(crate) fn id(owner: &'static str, id: &'static str) -> RequestId<'static> {
    RequestId { scope: owner.as_bytes(), id: id.as_bytes() }
}

/// A table with a clock that the test moves, and everything it has recorded.
pub(crate) struct Table {
    pub(crate) core: Core,
    pub(crate) events: Events,
    /// Milliseconds.
    pub(crate) now: u64,
    pub(crate) records: Vec<Vec<u8>>,
}

impl Table {
    pub(crate) fn new() -> Table {
        let mut events = Events::default();
        (events.wants_notices, events.keeps) = (true, Durability::Full);
        Table { core: Core::default(), events, now: 1_000_000, records: Vec::new() }
    }

    /// The time as the table takes it.
    pub(crate) fn micros(&self) -> u64 {
        self.now * 1000
    }

    pub(crate) fn ask(&mut self, request: &Acquire<'_>) -> Result<Acquired, Refusal> {
        let now = self.micros();
        let result = self.core.acquire(request, now, &mut self.events);
        self.keep_records();
        Ok(result?)
    }

    /// Asks for one resource, like `ASKING`, with a time to wait.
    pub(crate) fn lock(&mut self, owner: &str, resource: &str, wait: u64) -> Acquired {
        let request = Acquire { owner: owner.as_bytes(), resources: &[resource.as_bytes()], wait, ..ASKING };
        self.ask(&request).expect("the request makes sense")
    }

    /// Asks for one resource in a mode.
    pub(crate) fn lock_as(&mut self, mode: Mode, owner: &str, resource: &str, wait: u64) -> Acquired {
        let request =
            Acquire { owner: owner.as_bytes(), resources: &[resource.as_bytes()], wait, mode, ..ASKING };
        self.ask(&request).expect("the request makes sense")
    }

    pub(crate) fn unlock(&mut self, owner: &str, resource: &str) -> Result<u64, Refusal> {
        let now = self.micros();
        let (owner, resource) = (owner.as_bytes(), resource.as_bytes());
        let result =
            self.core.release(&Release { resource, owner, ..Release::default() }, now, &mut self.events);
        self.keep_records();
        Ok(result?)
    }

    pub(crate) fn upgrade(&mut self, owner: &str, resource: &str, wait: u64) -> Result<Acquired, Refusal> {
        let now = self.micros();
        let (resource, owner, request) = (resource.as_bytes(), owner.as_bytes(), RequestId::default());
        let upgrade = Upgrade { resource, owner, fence: None, wait, request };
        let result = self.core.upgrade(&upgrade, now, &mut self.events);
        self.keep_records();
        Ok(result?)
    }

    pub(crate) fn open(&mut self, id: u64, terms: SessionTerms) -> SessionId {
        let now = self.micros();
        let result = self.core.open_session(
            &OpenSession { id, terms, request: RequestId::default() },
            now,
            &mut self.events,
        );
        self.keep_records();
        result.expect("the session can be opened")
    }

    /// Lets milliseconds pass.
    pub(crate) fn advance(&mut self, millis: u64) {
        self.now += millis;
        let now = self.micros();
        self.core.advance(now, &mut self.events);
        self.keep_records();
    }

    /// The answers since the last call.
    pub(crate) fn answers(&mut self) -> Vec<(WaiterId, Outcome)> {
        std::mem::take(&mut self.events.answers)
    }

    /// The waiters that were granted something since the last call; there may be no other answers.
    pub(crate) fn granted(&mut self) -> Vec<WaiterId> {
        let granted = |(id, outcome)| match outcome {
            Outcome::Granted(_) => id,
            other => panic!("{id:?} was answered {other:?}"),
        };
        self.answers().into_iter().map(granted).collect()
    }

    /// The notices since the last call, without those of new waiters.
    pub(crate) fn notices(&mut self) -> Vec<(NoticeKind, String)> {
        let notices = std::mem::take(&mut self.events.notices);
        let named = notices.into_iter().filter(|notice| notice.kind != NoticeKind::Contended);
        named.map(|notice| (notice.kind, String::from_utf8(notice.owner).expect("tests use text"))).collect()
    }

    pub(crate) fn keep_records(&mut self) {
        self.records.extend(self.events.records().map(<[u8]>::to_vec));
        self.events.clear_records();
    }

    /// A table rebuilt from the records of this one.
    pub(crate) fn replayed(&self) -> Core {
        let mut core = Core::default();
        for record in &self.records {
            core.replay(record, self.micros()).expect("the record can be followed");
        }
        core
    }
}

/// The records of a snapshot of the table, sorted.
pub(crate) fn snapshot(core: &Core) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    core.snapshot(true, |record| records.push(record.to_vec()));
    records.sort();
    records
}

/// The grant in an answer to a request.
pub(crate) fn grant(acquired: Acquired) -> Grant {
    match acquired {
        Acquired::Granted(grant) => grant,
        other => panic!("not granted: {other:?}"),
    }
}

/// The waiter in an answer to a request.
pub(crate) fn waiter(acquired: Acquired) -> WaiterId {
    match acquired {
        Acquired::Waiting(id) => id,
        other => panic!("does not wait: {other:?}"),
    }
}

/// Looks at the table of locks that are shared.
pub(crate) fn look<R>(locks: &Locks, now: Now, look: impl FnOnce(&Core) -> R) -> R {
    struct Look<F>(Cell<Option<F>>);

    impl<R, F: FnOnce(&Core) -> R> LockOperation for Look<F> {
        type Answer = R;

        fn run(&self, table: &mut quartet::lock::Table<'_>) -> R {
            let look = self.0.take().expect("it is run once");
            look(table.core())
        }
    }

    locks.run(&Look(Cell::new(Some(look))), now, &mut Effects::default())
}
