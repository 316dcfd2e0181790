//! Refusals of the table of locks as RESP clients see them.

use crate::lock::limits::{
    DELAY_MAX, HOLDS_MAX, LEASES_MAX, META_LENGTH_MAX, OWNER_LENGTH_MAX, PERMITS_MAX, REQUEST_ID_LENGTH_MAX,
    RESOURCE_LENGTH_MAX, RESOURCES_PER_REQUEST_MAX, SESSIONS_MAX, SHOWN_LENGTH_MAX, TTL_MAX, WAIT_MAX,
    WAITERS_MAX, WAITERS_PER_RESOURCE_MAX,
};
use crate::lock::{Mode, Refused};
use crate::refusal::Refusal;

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Refusal {
        Refusal::new(match refused {
            Refused::NoSession => return Refusal::NO_LOCK_SESSION,
            Refused::NotHeld => return Refusal::LOCK_NOT_HELD,
            Refused::LeaseOfSession => return Refusal::LOCK_OF_SESSION,
            Refused::EmptyOwner => "ERR the owner is empty".to_owned(),
            Refused::LongOwner => format!("ERR the owner is longer than {OWNER_LENGTH_MAX} bytes"),
            Refused::EmptyResource => "ERR the name of a resource is empty".to_owned(),
            Refused::LongResource => {
                format!("ERR the name of a resource is longer than {RESOURCE_LENGTH_MAX} bytes")
            }
            Refused::ResourceCount => {
                format!("ERR a request names between 1 and {RESOURCES_PER_REQUEST_MAX} resources")
            }
            Refused::ResourceTwice => "ERR a resource is named twice".to_owned(),
            Refused::LongMeta => format!("ERR META is longer than {META_LENGTH_MAX} bytes"),
            Refused::LongRequestId => format!("ERR REQID is longer than {REQUEST_ID_LENGTH_MAX} bytes"),
            Refused::Ttl => format!("ERR TTL must be between 1 and {TTL_MAX} milliseconds"),
            Refused::NoTtl => "ERR a lease needs TTL, or SESSION".to_owned(),
            Refused::Wait => format!("ERR WAIT must be at most {WAIT_MAX} milliseconds"),
            Refused::Delay => format!("ERR DELAY must be at most {DELAY_MAX} milliseconds"),
            Refused::Permits => {
                format!("ERR PERMITS must be between 1 and their number, which is at most {PERMITS_MAX}")
            }
            Refused::EndlessSession => "ERR a session needs TTL, or CONN".to_owned(),
            Refused::GrantEnded(fence) => {
                format!("NOTHELD the request was granted under fence {fence}, and that has ended")
            }
            Refused::UpgradeOfPermits => "LOCKMODE permits cannot be upgraded".to_owned(),
            Refused::DowngradeOfPermits => "LOCKMODE permits cannot be downgraded".to_owned(),
            Refused::HeldInPart => {
                "LOCKMODE the owner holds some of the resources, and not all of them under one fence"
                    .to_owned()
            }
            Refused::OtherMode { held, wanted } => {
                let (held, wanted) = (mode_text(held), mode_text(wanted));
                format!("LOCKMODE the owner holds the resource in mode {held}, not {wanted}")
            }
            Refused::OwnerWaits(resource) => {
                let resource = resource[..resource.len().min(SHOWN_LENGTH_MAX)].escape_ascii();
                format!(
                    "LOCKWAITS the owner waits for {resource} already: each thread of control needs an owner of its \
                     own, and a retry the REQID of the request"
                )
            }
            Refused::RequestIdUsed => {
                "REQIDUSED the REQID was used for another request: each request needs its own".to_owned()
            }
            Refused::ManyLeases => format!("LOCKFULL there are {LEASES_MAX} leases already"),
            Refused::ManyWaiters => format!("LOCKFULL {WAITERS_MAX} requests wait already"),
            Refused::ManyWaitersForResource => {
                format!("LOCKFULL {WAITERS_PER_RESOURCE_MAX} requests wait for the resource already")
            }
            Refused::ManySessions => format!("LOCKFULL there are {SESSIONS_MAX} sessions already"),
            Refused::NoMemory => {
                "OOM the locks take as much memory as lock-maxmemory allows: release some, or raise it".to_owned()
            }
            Refused::ManyHolds => format!("LOCKFULL the owner holds the resource {HOLDS_MAX} times"),
            Refused::DiskBehind => "TRYAGAIN the disk is behind with the journal of the locks".to_owned(),
            Refused::DiskStalled => {
                "TRYAGAIN the journal of the locks cannot be written at the moment; the log says why.  It goes on by \
                 itself once that has passed"
                    .to_owned()
            }
            Refused::DiskFailed => {
                "MISCONF the journal of the locks cannot be written; the log says why.  Start the \
                                    server anew once the disk is well"
                    .to_owned()
            }
            Refused::NoFolder(reason) => format!("MISCONF {reason}"),
        })
    }
}

/// A mode as replies spell it: `permits 2 of 3`.
pub(super) fn mode_text(mode: Mode) -> String {
    match mode {
        Mode::Permits { count, of } => format!("permits {count} of {of}"),
        Mode::Exclusive | Mode::Shared => mode.word().to_owned(),
    }
}
