//! For each operation, the method of the scheduler that runs it, and its answer.

use super::deadlock::Deadlock;
use super::grant::Grant;
use super::identifiers::SessionId;
use super::operation::{
    Acquire, Advance, CancelWait, Check, CloseSession, Confirm, CountRenewable, Deadlocks, Disconnect,
    Downgrade, Force, Inspect, InspectSession, List, OpenSession, PingSession, Release, ReleaseMany,
    Remaining, Renew, RenewAll, SessionRemaining, Upgrade, Waits, Withdraw, WithdrawSession,
};
use super::refused::Refused;
use super::report::{Page, ResourceReport, SessionReport, WaitReport};
use super::shared::{Asked, LockOperation, Table};

/// Operations that may wait.  Like all changes, they are refused if the disk cannot take them.
macro_rules! requests {
    ($($operation:ty: $method:ident;)*) => {$(
        impl LockOperation for $operation {
            type Answer = Result<Asked, Refused>;

            fn run(&self, table: &mut Table<'_>) -> Result<Asked, Refused> {
                table.admit()?;
                let (core, now, events) = table.parts();
                let acquired = core.$method(self, now, events)?;
                Ok(table.with_ticket(acquired))
            }
        }
    )*};
}

/// Operations that change the table.  They are refused, and change nothing, if the disk cannot take the change.
macro_rules! changes {
    ($($operation:ty: $method:ident -> $answer:ty;)*) => {$(
        impl LockOperation for $operation {
            type Answer = Result<$answer, Refused>;

            fn run(&self, table: &mut Table<'_>) -> Result<$answer, Refused> {
                table.admit()?;
                let (core, now, events) = table.parts();
                core.$method(self, now, events)
            }
        }
    )*};
}

/// Operations that only look at the table, or that nothing can refuse.
macro_rules! looks {
    ($($operation:ty: $method:ident -> $answer:ty;)*) => {$(
        impl LockOperation for $operation {
            type Answer = $answer;

            fn run(&self, table: &mut Table<'_>) -> $answer {
                let (core, now, events) = table.parts();
                core.$method(self, now, events)
            }
        }
    )*};
}

requests! {
    Acquire<'_>: acquire;
    Upgrade<'_>: upgrade;
}

changes! {
    Downgrade<'_>: downgrade -> Grant;
    Renew<'_>: renew -> Grant;
    RenewAll<'_>: renew_all -> u64;
    Release<'_>: release -> u64;
    ReleaseMany<'_>: release_many -> u64;
    Force<'_>: force -> u64;
    CancelWait<'_>: cancel_wait -> u64;
    OpenSession<'_>: open_session -> SessionId;
    PingSession<'_>: ping_session -> Option<u64>;
    CloseSession<'_>: close_session -> u64;
}

looks! {
    Check<'_>: check -> bool;
    Inspect<'_>: inspect -> Vec<ResourceReport>;
    List<'_>: list -> Page;
    Waits<'_>: waits -> Vec<WaitReport>;
    InspectSession: inspect_session -> Result<SessionReport, Refused>;
    Deadlocks: deadlocks -> Vec<Deadlock>;
    Confirm<'_>: confirm -> Option<Grant>;
    Remaining<'_>: remaining -> Option<Grant>;
    Withdraw<'_>: withdraw -> ();
    CountRenewable<'_>: count_renewable -> u64;
    SessionRemaining: session_remaining -> Option<Option<u64>>;
    WithdrawSession: withdraw_session -> ();
    Disconnect: disconnect -> ();
}

impl LockOperation for Advance {
    type Answer = ();

    fn run(&self, table: &mut Table<'_>) {
        let (core, now, events) = table.parts();
        core.advance(now, events);
    }
}
