//! What the client of a request may do with the broker's subjects.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::context::Context;
use super::problem::Problem;
use super::problems;
use crate::access::Permissions;

/// The rights of a client: those of its user, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(Option<Arc<Permissions>>);

impl Rights {
    /// Those of a user with these permissions; all without.
    pub fn of(permissions: Option<Arc<Permissions>>) -> Rights {
        Rights(permissions)
    }

    /// Lets a message be published on this subject.
    ///
    /// # Errors
    /// If the client's user may not.
    pub fn check_publish(&self, subject: &str) -> Result<(), Problem> {
        if self.0.as_ref().is_none_or(|permissions| permissions.may_publish(subject.as_bytes())) {
            return Ok(());
        }
        let detail = format!("the user's `publish` does not allow {}", subject.escape_debug());
        Err(Problem::new(problems::SUBJECT_NOT_ALLOWED).detail(detail).with("field", "subject"))
    }
}

impl FromRequestParts<Context> for Rights {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<Rights, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}
