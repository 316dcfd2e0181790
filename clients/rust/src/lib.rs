//! Locks that renew themselves, semaphores, sessions and rate limits of a Quartet server, on redis-rs and tokio.
//!
//! A [`Lease`] is renewed until it is released.  If it is lost, [`Lease::lost`] resolves before the server can grant the lock
//! to anybody else, and the future inside [`Lock::hold`] is dropped, which then returns [`Error::Lost`].

mod client;
mod error;
mod holding;
mod lease;
mod limiter;
mod lock;
mod renewal;
mod reply;
mod term;
#[cfg(feature = "tower")]
mod tower;
mod transport;

pub use client::{Quartet, Session};
pub use error::Error;
pub use lease::{Lease, Slot};
pub use limiter::{Check, Limiter, Rate, Reservation};
pub use lock::Lock;
pub use reply::Decision;
#[cfg(feature = "tower")]
pub use tower::{RateLimit, RateLimitLayer, Unreachable};

/// What may fail.
pub type Result<T> = std::result::Result<T, Error>;
