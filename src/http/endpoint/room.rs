//! Room for a large response, which an endpoint asks for before it makes the response: making a response only to refuse it
//! would cost as much as sending it, and a client can ask for many at once.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::context::Context;
use super::problem::Problem;

/// Knows how much a connection leaves unread.
pub trait Unread: Send + Sync {
    /// Lets a response of this many bytes begin.
    ///
    /// # Errors
    /// If it is large and a limit is already reached.
    fn admit_response(&self, bytes: usize) -> Result<(), Problem>;
}

/// The extension of a request that comes when there is no room for large responses.  Other requests do not have it.
#[derive(Clone)]
pub struct Crowded(pub Arc<dyn Unread>);

/// Whether the response to a request has room.
pub struct Room(Option<Crowded>);

impl Room {
    /// Lets a response of at least this many bytes be made.
    ///
    /// # Errors
    /// If the response would be refused.
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
