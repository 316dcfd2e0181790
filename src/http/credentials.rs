//! Who a request says that it comes from: the header Authorization.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::access::DEFAULT_USER;

/// The longest `Authorization` that is read: the longest password, encoded.
const LENGTH_MAX: usize = 4096;

/// The credentials of a request: a bearer token, or a password with the name of a user or none.
pub(super) struct Credentials {
    pub(super) user: Option<Vec<u8>>,
    pub(super) password: Vec<u8>,
    pub(super) is_bearer: bool,
}

impl Credentials {
    /// Those of a request; none if it has none that are understood.  A header ends before spaces at its end, so a token can
    /// neither begin nor end with one.
    pub(super) fn of(headers: &HeaderMap) -> Option<Credentials> {
        let value = headers.get(header::AUTHORIZATION)?;
        let text = std::str::from_utf8(value.as_bytes()).ok().filter(|_| value.len() <= LENGTH_MAX)?;
        let (scheme, credentials) = text.split_once(' ')?;
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            let password = credentials.as_bytes().to_vec();
            return Some(Credentials { user: None, password, is_bearer: true });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE64_STANDARD.decode(credentials).ok()?;
        let colon = decoded.iter().position(|&byte| byte == b':')?;
        let user = Some(decoded[..colon].to_vec()).filter(|user| !user.is_empty());
        Some(Credentials { user, password: decoded[colon + 1..].to_vec(), is_bearer: false })
    }

    /// The user that they name, if that is another one than the default user.
    pub(super) fn other_user(&self) -> Option<&[u8]> {
        self.user.as_deref().filter(|user| *user != DEFAULT_USER.as_bytes())
    }
}
