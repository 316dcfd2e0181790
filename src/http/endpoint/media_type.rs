//! Media types as headers name them.

use axum::http::{HeaderMap, header};

/// That of JSON.
pub const JSON: &str = "application/json";

/// That of JSON objects on lines of their own.
pub const JSON_LINES: &str = "application/x-ndjson";

/// That of a form, which `curl -d` says of any body unless it is told otherwise.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A media type without its parameters, in lower case: `text/html` of `Text/HTML; charset=utf-8`.
pub fn essence(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The type that Content-Type says, without its parameters; empty if it is not text, and none if nothing is said.
pub fn content_type(headers: &HeaderMap) -> Option<String> {
    headers.get(header::CONTENT_TYPE).map(|value| essence(value.to_str().unwrap_or_default()))
}
