//! Replies about locks that can become untrue while they wait for the disk.

use quartet_protocol::resp::Output;

use super::write_grant;
use crate::clock::Now;
use crate::command::{Call, Promise, Services};
use crate::delivery::Effects;
use crate::lock::operation::{CountRenewable, SessionRemaining, Withdraw, WithdrawSession};
use crate::lock::{Aging, Grant, SessionId};
use crate::refusal::Refusal;

/// A grant that its owner does not know of yet.
pub(super) struct Granted {
    grant: Grant,
    is_withdrawn: bool,
}

impl Granted {
    pub(super) fn new(grant: Grant) -> Granted {
        Granted { grant, is_withdrawn: false }
    }
}

impl Promise for Granted {
    fn write(&mut self, services: &Services, now: Now, output: &mut Output, effects: &mut Effects) {
        if self.is_withdrawn {
            return output.error(Refusal::WITHDRAWN.text());
        }
        write_left(output, services.confirm_grant(&self.grant, now, effects).as_ref());
    }

    fn withdraw(&mut self, services: &Services, now: Now, effects: &mut Effects) {
        if !std::mem::replace(&mut self.is_withdrawn, true) {
            services.run_settled_lock(&Withdraw { grant: &self.grant }, now, effects);
        }
    }
}

/// A lease that its owner knows of and has changed.
pub(super) struct Changed(pub(super) Grant);

impl Promise for Changed {
    fn write(&mut self, services: &Services, now: Now, output: &mut Output, effects: &mut Effects) {
        write_left(output, services.remaining_grant(&self.0, now, effects).as_ref());
    }

    fn withdraw(&mut self, _: &Services, _: Now, _: &mut Effects) {}
}

fn write_left(output: &mut Output, left: Option<&Grant>) {
    match left {
        Some(grant) => write_grant(output, grant),
        None => output.error(Refusal::TOO_LATE.text()),
    }
}

/// All leases of an owner that have a time of their own.
pub(super) struct AllRenewed {
    owner: Box<[u8]>,
    renewed: u64,
    /// They last at least until then, in microseconds.
    until: u64,
}

impl AllRenewed {
    /// `ttl` in milliseconds from `now`.
    pub(super) fn new(owner: &[u8], renewed: u64, ttl: u64, now: Now) -> AllRenewed {
        AllRenewed { owner: owner.into(), renewed, until: now.micros() + ttl * 1000 }
    }
}

impl Promise for AllRenewed {
    fn write(&mut self, services: &Services, now: Now, output: &mut Output, effects: &mut Effects) {
        let count = CountRenewable { owner: &self.owner };
        let still = if now.micros() < self.until {
            self.renewed
        } else {
            services.run_settled_lock(&count, now, effects).min(self.renewed)
        };
        match still {
            0 if self.renewed > 0 => output.error(Refusal::TOO_LATE.text()),
            still => output.integer(still as i64),
        }
    }

    fn withdraw(&mut self, _: &Services, _: Now, _: &mut Effects) {}
}

/// A session that was opened or pinged.
pub(super) struct SessionKept {
    session: SessionId,
    is_new: bool,
    is_withdrawn: bool,
}

impl SessionKept {
    pub(super) fn opened(session: SessionId) -> SessionKept {
        SessionKept { session, is_new: true, is_withdrawn: false }
    }

    pub(super) fn pinged(session: SessionId) -> SessionKept {
        SessionKept { session, is_new: false, is_withdrawn: false }
    }
}

impl Promise for SessionKept {
    fn write(&mut self, services: &Services, now: Now, output: &mut Output, effects: &mut Effects) {
        if self.is_withdrawn {
            return output.error(Refusal::WITHDRAWN.text());
        }
        let id = self.session;
        let left = services.run_settled_lock(&SessionRemaining { session: id }, now, effects);
        match left {
            None => output.error(Refusal::TOO_LATE.text()),
            Some(_) if self.is_new => output.bulk(id.to_string().as_bytes()),
            Some(Some(left)) => output.integer(left as i64),
            Some(None) => output.null(),
        }
    }

    fn withdraw(&mut self, services: &Services, now: Now, effects: &mut Effects) {
        if self.is_new && !std::mem::replace(&mut self.is_withdrawn, true) {
            services.run_settled_lock(&WithdrawSession { session: self.session }, now, effects);
        }
    }
}

/// A report whose times count down.
struct Reported<R> {
    report: R,
    /// When its times were counted from.
    since: Now,
    write: fn(&mut Output, &R),
}

impl<R: Aging + Send> Promise for Reported<R> {
    fn write(&mut self, _: &Services, now: Now, output: &mut Output, _: &mut Effects) {
        self.report.age((now.millis()).saturating_sub(self.since.millis()));
        self.since = now;
        (self.write)(output, &self.report);
    }

    fn withdraw(&mut self, _: &Services, _: Now, _: &mut Effects) {}
}

/// Writes a report.  Its remaining times are counted from when it is sent.
pub(super) fn report<R: Aging + Send + 'static>(
    call: &mut Call<'_, '_>,
    report: R,
    write: fn(&mut Output, &R),
) {
    write(call.output, &report);
    let since = call.now();
    call.promise(|| Reported { report, since, write });
}
