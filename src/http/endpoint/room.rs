//! Room for a large response, which is asked for before the response is made: to spell a long value only to refuse it
//! would cost as much as to send it, and a client can ask for many of them at once.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::context::Context;
use super::problem::Problem;

/// What knows how much a connection leaves unread.
pub trait Unread: Send + Sync {
    /// Lets a response of so many bytes begin.
    ///
    /// # Errors
    /// If it is large and a limit is reached without it.
    fn admit_response(&self, bytes: usize) -> Result<(), Problem>;
}

/// The extension of a request that comes when there is no room for large responses.  All other requests go without.
#[derive(Clone)]
pub struct Crowded(pub Arc<dyn Unread>);

/// Whether the response to a request has room.
pub struct Room(Option<Crowded>);

impl Room {
    /// Lets a response of at least so many bytes be made.
    ///
    /// # Errors
    /// If it would be refused once it is made.
    pub fn admit(&self, bytes: usize) -> Result<(), Problem> {
        self.0.as_ref().map_or(Ok(()), |Crowded(unread)| unread.admit_response(bytes))
    }
}

impl FromRequestParts<Context> for Room {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<Room, Infallible> {
        Ok(Room(parts.extensions.get().cloned()))
    }
}
