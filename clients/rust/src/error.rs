//! What can go wrong.

use std::fmt;
use std::sync::Arc;

use redis::{RedisError, ServerError};

use crate::reply::Decision;

/// What can go wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The lease has ended, or may have, before its holder released it: somebody else may hold the resource.
    Lost {
        /// The name of what the client has lost.
        label: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// The resource was not granted in the time that the caller was willing to wait.
    NotAcquired,
    /// A release was asked of a lock that this owner does not hold.
    NotHeld,
    /// The wait would never have ended.
    Deadlock {
        /// Owners and resources in turn, from this owner back to it.
        waits: Vec<String>,
    },
    /// The owner waits already.  Two tasks that wait need two owners.
    OwnerWaits,
    /// Somebody has ended this wait with LOCK.CANCEL.
    WaitCancelled,
    /// A limit refuses the request.
    RateLimited(Decision),
    /// The server has not answered in time.
    Timeout,
    /// The server does not know the commands of Quartet.
    NotQuartet {
        /// What it answered.
        answer: String,
    },
    /// A limit that the request states has no name, which this needs.
    NoPolicy,
    /// The connection failed, or the server answered an error that has no case of its own.
    Redis(RedisError),
}

impl Error {
    /// Whether this says that something is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Error::Lost { .. })
    }

    pub(crate) fn lost(label: &str, reason: &str) -> Error {
        Error::Lost { label: label.into(), reason: reason.into() }
    }

    /// The case for an error that the server has answered.
    pub(crate) fn of_server(error: &ServerError) -> Error {
        let detail = error.details().unwrap_or_default();
        if detail.to_ascii_lowercase().contains("unknown command") {
            return Error::NotQuartet { answer: detail.trim().to_owned() };
        }
        match error.code() {
            "DEADLOCK" => Error::Deadlock { waits: detail.split(" > ").map(str::to_owned).collect() },
            "LOCKWAITS" => Error::OwnerWaits,
            "NOTHELD" => Error::NotHeld,
            "NOSESSION" => Error::lost("the session", "it has ended, and its locks with it"),
            "FENCED" => Error::lost("the resource", "this fencing token is refused, and nothing was written"),
            "CANCELLED" => Error::WaitCancelled,
            _ => Error::Redis(error.clone().into()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Lost { label, reason } => write!(to, "{label} is lost: {reason}"),
            Error::NotAcquired => to.write_str("not granted in time"),
            Error::NotHeld => to.write_str("not held by this owner"),
            Error::Deadlock { waits } => write!(to, "deadlock: {}", waits.join(" > ")),
            Error::OwnerWaits => {
                to.write_str("the owner waits already: give each task that waits an owner of its own")
            }
            Error::WaitCancelled => to.write_str("the wait was ended with LOCK.CANCEL"),
            Error::RateLimited(decision) => {
                let name = decision.policy.as_deref().unwrap_or("of this request");
                write!(to, "the limit {name} refuses it")?;
                decision.retry_after.map_or(Ok(()), |after| write!(to, "; retry after {after:?}"))
            }
            Error::Timeout => to.write_str("the server has not answered in time"),
            Error::NotQuartet { answer } => write!(
                to,
                "the server is not Quartet, or is older than 0.1 ({answer}): give the client the address of a Quartet \
                 server, whose port for the Redis protocol is 6379 unless changed"
            ),
            Error::NoPolicy => to.write_str("this needs a policy of the server, which has a name"),
            Error::Redis(error) => error.fmt(to),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Redis(error) => Some(error),
            _ => None,
        }
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Error {
        Error::Redis(error)
    }
}
