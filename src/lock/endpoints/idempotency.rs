//! The header Idempotency-Key: a client that missed a response can send the request again under the same key.
//!
//! By its draft standard a key is unique on the whole server, for all clients, and answered with 422 if it comes with
//! another request.  Every endpoint of the locks that changes something takes it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::endpoint::{Context, Problem};
use crate::lock::RequestId;

/// The header's name in problems.
pub(super) const HEADER: &str = "Idempotency-Key";

/// The key of a request; empty if it has none.
pub(super) struct IdempotencyKey(Vec<u8>);

impl IdempotencyKey {
    pub(super) fn request(&self) -> RequestId<'_> {
        RequestId { scope: b"", id: &self.0 }
    }
}

impl FromRequestParts<Context> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<IdempotencyKey, Problem> {
        let mut keys = parts.headers.get_all(HEADER).iter();
        match (keys.next(), keys.next()) {
            (None, _) => Ok(IdempotencyKey(Vec::new())),
            // An empty key comes from a variable that was never set: the retry would be taken for a new request.
            (Some(key), None) if !key.is_empty() => Ok(IdempotencyKey(key.as_bytes().to_vec())),
            _ => Err(Problem::invalid(HEADER, "one key that is not empty")),
        }
    }
}
