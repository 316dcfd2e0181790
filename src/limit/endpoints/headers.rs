//! The headers of the IETF's draft "RateLimit header fields for HTTP": the limits, and how much is left of them.

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::limit::admission::Report;
use crate::limit::algorithm::{Limit, NANOS_PER_SECOND};

/// How much is left: for each limit its name, `r` the remaining amount, `t` the seconds until there is more.
pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The limits: for each its name, `q` the amount, `w` the seconds of its window.
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The headers for the limits of a report.  Names contain no character that needs an escape.
pub(super) fn headers(report: &Report<impl AsRef<str>>) -> HeaderMap {
    let (mut policies, mut left) = (String::new(), String::new());
    for answer in &report.limits {
        let (name, limit, decision) = (answer.name.as_ref(), answer.limit, answer.decision);
        let separator = if policies.is_empty() { "" } else { ", " };
        let window = limit.window().div_ceil(NANOS_PER_SECOND);
        let unit = if matches!(limit, Limit::Concurrency(_)) { ";qu=\"concurrent-requests\"" } else { "" };
        // A refused client is told when to retry, since Retry-After must not be earlier than `t`.
        let seconds = match decision.retry_after {
            Some(nanos) => nanos.div_ceil(NANOS_PER_SECOND),
            None => decision.reset_after_seconds(),
        };
        let remaining = decision.remaining;
        let written = write!(policies, "{separator}\"{name}\";q={}{unit};w={window}", decision.limit)
            .and(write!(left, "{separator}\"{name}\";r={remaining};t={seconds}"));
        written.expect("a string takes everything");
    }
    let retry_after = report.summary.retry_after.map(|nanos| nanos.div_ceil(NANOS_PER_SECOND).to_string());
    let mut headers = HeaderMap::new();
    let mut add = |name, text: String| {
        if !text.is_empty() {
            headers.insert(name, HeaderValue::try_from(text).expect("names and numbers are visible text"));
        }
    };
    add(RATE_LIMIT_POLICY, policies);
    add(RATE_LIMIT, left);
    add(header::RETRY_AFTER, retry_after.unwrap_or_default());
    headers
}
