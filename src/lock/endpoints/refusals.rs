//! Refusals of the table of locks as HTTP clients see them: in the words of the API, by its fields.

use super::{SECOND, idempotency, text};
use crate::http::endpoint::{Problem, problems};
use crate::lock::limits::{
    DELAY_MAX, HOLDS_MAX, LEASES_MAX, META_LENGTH_MAX, OWNER_LENGTH_MAX, PERMITS_MAX, REQUEST_ID_LENGTH_MAX,
    RESOURCE_LENGTH_MAX, RESOURCES_PER_REQUEST_MAX, SESSIONS_MAX, TTL_MAX, WAIT_MAX, WAITERS_MAX,
    WAITERS_PER_RESOURCE_MAX,
};
use crate::lock::{Mode, Refused};

/// The problem for a refusal.  `resource` is the field that names the resources.
pub(super) fn problem_of(refused: &Refused, resource: &str) -> Problem {
    let invalid = |field: &str, allowed: String| Problem::invalid(field, allowed);
    let bytes = |least: usize, most: usize| format!("{least} to {most} bytes");
    let many = |detail: String| Problem::new(problems::TOO_MANY_LOCKS).detail(detail);
    let unfit = |detail: &str| Problem::new(problems::LOCK_MODE).detail(detail);
    let unavailable = |detail: &str| Problem::new(problems::UNAVAILABLE).detail(detail);
    match refused {
        Refused::EmptyOwner | Refused::LongOwner => invalid("owner", bytes(1, OWNER_LENGTH_MAX)),
        Refused::EmptyResource | Refused::LongResource => {
            invalid(resource, format!("names of {}", bytes(1, RESOURCE_LENGTH_MAX)))
        }
        Refused::ResourceCount => invalid(resource, format!("1 to {RESOURCES_PER_REQUEST_MAX} names")),
        Refused::ResourceTwice => invalid(resource, "each name once".to_owned()),
        Refused::LongMeta => invalid("meta", bytes(0, META_LENGTH_MAX)),
        Refused::LongRequestId => invalid(idempotency::HEADER, bytes(1, REQUEST_ID_LENGTH_MAX)),
        Refused::Ttl => invalid("ttl", format!("from 0.001 to {} seconds", TTL_MAX / SECOND)),
        Refused::NoTtl => {
            invalid("ttl", "ttl, ttl_ms or session: one of them has to end the lease".to_owned())
        }
        Refused::Wait => invalid("wait_ms", format!("at most {WAIT_MAX}")),
        Refused::Delay => invalid("delay", format!("at most {} seconds", DELAY_MAX / SECOND)),
        Refused::Permits => invalid("permits", format!("a count from 1 to of, and of at most {PERMITS_MAX}")),
        Refused::EndlessSession => invalid("ttl", "the seconds that the session lasts".to_owned()),
        Refused::NoSession => Problem::new(problems::NO_SUCH_SESSION),
        Refused::NotHeld => Problem::new(problems::LOCK_NOT_HELD)
            .detail("the owner does not hold it, or not under this fence"),
        Refused::GrantEnded(fence) => Problem::new(problems::LOCK_NOT_HELD)
            .detail(format!("this request was granted under fence {fence} before, and that grant has ended")),
        Refused::LeaseOfSession => unfit("the lease lasts as long as its session: ping the session instead"),
        Refused::UpgradeOfPermits => unfit("permits are not shared, and cannot become exclusive"),
        Refused::DowngradeOfPermits => unfit("permits are not exclusive, and cannot become shared"),
        Refused::HeldInPart => {
            unfit("the owner holds some of the resources, and not all of them under one fence")
        }
        Refused::OtherMode { held, wanted } => {
            unfit(&format!("the owner holds it as {}, not as {}", mode_text(*held), mode_text(*wanted)))
        }
        Refused::OwnerWaits(name) => {
            Problem::new(problems::OWNER_WAITS).detail(format!("the owner waits for {} already", text(name)))
        }
        Refused::RequestIdUsed => Problem::new(problems::KEY_USED).with("field", idempotency::HEADER),
        Refused::ManyLeases => many(format!("there are {LEASES_MAX} leases already")),
        Refused::ManyWaiters => many(format!("{WAITERS_MAX} requests wait already")),
        Refused::ManyWaitersForResource => {
            many(format!("{WAITERS_PER_RESOURCE_MAX} requests wait for the resource already"))
        }
        Refused::ManySessions => many(format!("there are {SESSIONS_MAX} sessions already")),
        Refused::NoMemory => many(
            "the locks take as much memory as lock-maxmemory allows: give some back, or raise it".to_owned(),
        ),
        Refused::ManyHolds => many(format!("the owner holds it {HOLDS_MAX} times already")),
        Refused::DiskBehind => {
            unavailable("the disk is behind with the journal of the locks: try again later")
        }
        Refused::DiskStalled => unavailable(
            "the journal of the locks cannot be written at the moment; the log says why.  It goes on by itself once that \
             has passed",
        ),
        Refused::DiskFailed => unavailable(
            "the journal of the locks cannot be written; the log says why.  Start the server anew once the disk is well",
        ),
        Refused::NoFolder(reason) => unavailable(reason),
    }
}

fn mode_text(mode: Mode) -> String {
    match mode {
        Mode::Permits { count, of } => format!("{count} of {of} permits"),
        Mode::Exclusive | Mode::Shared => mode.word().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What a request can contain: fields of bodies, parts of paths, headers.
    const FIELDS: &[&str] =
        &["owner", "resource", "meta", "ttl", "wait_ms", "delay", "permits", idempotency::HEADER];

    /// Words of RESP commands.
    const FOREIGN: &[&str] =
        &["TTL", "WAIT", "SESSION", "PERMITS", "META", "DELAY", "CONN", "REQID", "FENCE", "OF"];

    /// Every refusal.
    fn all() -> Vec<Refused> {
        let held = Mode::Permits { count: 1, of: 3 };
        vec![
            Refused::EmptyOwner,
            Refused::LongOwner,
            Refused::EmptyResource,
            Refused::LongResource,
            Refused::ResourceCount,
            Refused::ResourceTwice,
            Refused::LongMeta,
            Refused::LongRequestId,
            Refused::Ttl,
            Refused::NoTtl,
            Refused::Wait,
            Refused::Delay,
            Refused::Permits,
            Refused::EndlessSession,
            Refused::NoSession,
            Refused::NotHeld,
            Refused::GrantEnded(7),
            Refused::LeaseOfSession,
            Refused::UpgradeOfPermits,
            Refused::DowngradeOfPermits,
            Refused::HeldInPart,
            Refused::OtherMode { held, wanted: Mode::Shared },
            Refused::OwnerWaits(b"x".into()),
            Refused::RequestIdUsed,
            Refused::ManyLeases,
            Refused::ManyWaiters,
            Refused::ManyWaitersForResource,
            Refused::ManySessions,
            Refused::ManyHolds,
            Refused::NoMemory,
            Refused::DiskBehind,
            Refused::DiskStalled,
            Refused::DiskFailed,
            Refused::NoFolder("a reason".to_owned()),
        ]
    }

    #[test]
    fn problems_speak_of_the_fields_of_the_request() {
        for refused in all() {
            let problem = problem_of(&refused, "resource");
            let body: Value = serde_json::from_str(&problem.document()).expect("it is JSON");
            if let Some(field) = body.get("field") {
                assert!(FIELDS.iter().any(|known| field == known), "{body}");
            }
            let words = problem.document();
            let mut words = words.split(|character: char| !character.is_ascii_alphabetic());
            assert!(!words.any(|word| FOREIGN.contains(&word)), "{body}");
        }
    }
}
