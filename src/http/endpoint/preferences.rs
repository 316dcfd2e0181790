//! The header Prefer (RFC 7240), of which `wait` is supported.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::context::Context;
use super::lists::{members, split};
use super::problem::Problem;

static PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The preferences of a request.  As RFC 7240 asks, unknown and malformed ones are ignored, and the first of several with one
/// name counts.
#[derive(Debug, Default)]
pub struct Preferences {
    /// Seconds to wait for an answer.
    wait: Option<u64>,
}

impl Preferences {
    fn read(headers: &HeaderMap) -> Preferences {
        let named = members(headers, &PREFER).filter_map(|preference| {
            // Parameters of a preference follow a semicolon; `wait` has none.
            let preference = split(preference, b';').next()?;
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let is_wait = name.trim_end().eq_ignore_ascii_case("wait");
            is_wait.then(|| value.trim_start())
        });
        Preferences { wait: named.take(1).find_map(seconds) }
    }

    /// Milliseconds to wait, `longest` at most, if the client asks for a wait.
    pub fn wait_millis(&self, longest: u64) -> Option<u64> {
        self.wait.map(|seconds| seconds.saturating_mul(1000).min(longest))
    }

    /// The response of an endpoint, with the preferences that were applied.
    pub fn applied(&self, result: Result<Response, Problem>) -> Response {
        let mut response = result.into_response();
        if let Some(seconds) = self.wait
            && let Ok(applied) = HeaderValue::try_from(format!("wait={seconds}"))
        {
            response.headers_mut().insert(PREFERENCE_APPLIED, applied);
        }
        response
    }
}

/// A number of digits, in quotes or not; one that is too large is the largest.
fn seconds(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

impl FromRequestParts<Context> for Preferences {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<Preferences, Problem> {
        Ok(Preferences::read(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&'static str], wait: Option<u64>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&PREFER, HeaderValue::from_static(line));
        }
        assert_eq!(Preferences::read(&headers).wait, wait, "{lines:?}");
    }

    #[test]
    fn preferences_are_read_as_the_standard_says() {
        check(&[], None);
        for line in ["wait=1", "Wait=1", "WAIT = 1", "wait=\"1\"", "wait=1; a=b", "wait=1;a", ", ,wait=1,"] {
            check(&[line], Some(1));
        }
        check(&["respond-async, wait=10"], Some(10));
        check(&["foo; wait=5, return=\"a, wait=7\"", "wait=3"], Some(3));
        check(&["wait=3, wait=4"], Some(3));
        check(&["wait=99999999999999999999"], Some(u64::MAX));
        for line in ["wait", "wait=", "wait=x, wait=1", "wait=-1", "wait=1.5", "waits=1", "a=wait"] {
            check(&[line], None);
        }
    }

    #[test]
    fn a_wait_has_an_end() {
        let preferring = |wait| Preferences { wait };
        assert_eq!(preferring(None).wait_millis(5_000), None);
        assert_eq!(preferring(Some(4)).wait_millis(5_000), Some(4_000));
        assert_eq!(preferring(Some(u64::MAX)).wait_millis(5_000), Some(5_000));
    }
}
