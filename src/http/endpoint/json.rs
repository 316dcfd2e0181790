//! Bodies as JSON: read strictly, with problems that name the field at fault, and written.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::Body;
use super::context::Context;
use super::problem::Problem;
use super::problems;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// A body in JSON.
///
/// As an argument it is the request's body.  The media type may be missing, that of JSON, or that of a form, which is
/// what `curl -d` says of any body unless it is told otherwise.  Types should be marked
/// `#[serde(deny_unknown_fields)]`, so that a misspelt field is refused instead of ignored.
///
/// As a result it is a response with status 200.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Context> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, context: &Context) -> Result<Json<T>, Problem> {
        if !may_be_json(request.headers()) {
            return Err(Problem::new(problems::UNSUPPORTED_MEDIA_TYPE).detail("send application/json"));
        }
        let Body(bytes) = Body::from_request(request, context).await?;
        parse(&bytes).map(Json)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
            Err(error) => {
                tracing::error!(%error, "a response cannot be written as JSON");
                Problem::new(problems::INTERNAL).into_response()
            }
        }
    }
}

/// A response with `body` and another status than 200.
pub fn json_with_status(status: StatusCode, body: impl Serialize) -> Response {
    let mut response = Json(body).into_response();
    if response.status().is_success() {
        *response.status_mut() = status;
    }
    response
}

/// Bytes as JSON can hold them: as text, or in base64, which the second value then says.
pub fn text_or_base64(bytes: &[u8]) -> (String, Option<&'static str>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (STANDARD.encode(bytes), Some("base64")),
    }
}

/// Whether the body is JSON, or is not said to be something else.
pub fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || essence == "application/x-www-form-urlencoded"
        || essence.starts_with("application/") && essence.ends_with("+json")
}

/// Reads a value from a JSON object.  No body at all stands for an object without fields.  A list is refused, since serde would take its items for the fields in order.
///
/// # Errors
/// A problem that says where the JSON is broken, or which field is at fault and what is allowed there.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(problems::INVALID_VALUE).with("allowed", "an object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            return refused_value(&path, &error.to_string());
        }
        Problem::new(problems::INVALID_JSON).detail(error.to_string())
    })?;
    reader.end().map_err(|error| Problem::new(problems::INVALID_JSON).detail(error.to_string()))?;
    Ok(value)
}

/// The problem for what serde says of a value.  Its messages name an unknown or missing field in backticks and then
/// what was expected, which is all that `field` and `allowed` need.
pub(super) fn refused_value(path: &str, message: &str) -> Problem {
    let message = message.split(" at line ").next().unwrap_or_default();
    let (fault, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| fault.strip_prefix(start)?.strip_suffix('`'));
    let outer = if path == "." { "" } else { path };
    let field = match named {
        Some(name) if outer.is_empty() || outer == name || outer.ends_with(&format!(".{name}")) => {
            if outer.is_empty() { name.to_owned() } else { outer.to_owned() }
        }
        Some(name) => format!("{outer}.{name}"),
        None => outer.to_owned(),
    };
    let problem = Problem::new(problems::INVALID_VALUE).detail(message);
    let problem = if field.is_empty() { problem } else { problem.with("field", field) };
    let spoken = SPOKEN.iter().find(|(start, _)| fault.starts_with(start));
    match (expected, spoken) {
        ("", None) => problem,
        ("", Some((_, allowed))) => problem.with("allowed", *allowed),
        _ => problem.with("allowed", in_words(expected)),
    }
}

/// How messages begin that do not say what was expected, and what that is.
const SPOKEN: &[(&str, &str)] = &[
    ("missing field", "any value that fits; it must be there"),
    ("duplicate field", "one value"),
    ("invalid digit", "an integer"),
    ("number too ", "a smaller number"),
    ("cannot parse integer", "an integer"),
    ("cannot parse float", "a number"),
    ("invalid float", "a number"),
    ("provided string was not", "true or false"),
];

/// What serde expected, for people who do not write Rust.
fn in_words(expected: &str) -> String {
    let words = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "an integer of at least 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "an integer",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        _ if expected.starts_with("struct ") || expected == "a map" => "an object",
        _ => return expected.replace('`', ""),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors matter here")]
    struct Order {
        count: u32,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors matter here")]
    struct Inner {
        name: String,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors matter here")]
    struct Patience {
        wait: Option<u32>,
    }

    #[track_caller]
    fn check(text: &'static str, kind: &str, field: Value, allowed: Value) {
        let problem = parse::<Order>(text.as_bytes()).expect_err("it is refused");
        let body: Value = serde_json::from_str(&problem.document()).expect("it is JSON");
        assert_eq!(
            (problem.kind().slug, &body["field"], &body["allowed"]),
            (kind, &field, &allowed),
            "{body}"
        );
    }

    #[test]
    fn the_field_at_fault_is_named() {
        check(r#"{"count": 1, "ttx": 2}"#, "invalid-value", json!("ttx"), json!("count or inner"));
        let missing = json!("any value that fits; it must be there");
        check(r#"{"inner": null}"#, "invalid-value", json!("count"), missing.clone());
        check(r#"{"count": -1}"#, "invalid-value", json!("count"), json!("an integer of at least 0"));
        check(r#"{"count": "1"}"#, "invalid-value", json!("count"), json!("an integer of at least 0"));
        check(r#"{"count": 1, "inner": {"nam": 1}}"#, "invalid-value", json!("inner.nam"), json!("name"));
        check(r#"{"count": 1, "inner": {}}"#, "invalid-value", json!("inner.name"), missing.clone());
        check(r#"{"count": 1, "count": 1}"#, "invalid-value", json!("count"), json!("one value"));
        for empty in ["", " ", "\r\n", "{}"] {
            check(empty, "invalid-value", json!("count"), missing.clone());
            assert!(parse::<Patience>(empty.as_bytes()).is_ok(), "{empty:?}");
        }
        check("[1]", "invalid-value", Value::Null, json!("an object"));
        check("7", "invalid-value", Value::Null, json!("an object"));
    }

    #[test]
    fn broken_json_is_told_from_a_wrong_value() {
        for text in ["{", r#"{"count": 1} x"#, r#"{count: 1}"#, "\u{1}"] {
            check(text, "invalid-json", Value::Null, Value::Null);
        }
    }

    #[test]
    fn forms_pass_for_json_and_text_does_not() {
        let with = |text| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(text))]);
        assert!(may_be_json(&HeaderMap::new()));
        assert!(may_be_json(&with("application/json; charset=utf-8")));
        assert!(may_be_json(&with("application/x-www-form-urlencoded")));
        assert!(may_be_json(&with("application/vnd.limits+json")));
        assert!(!may_be_json(&with("text/plain")));
        assert!(!may_be_json(&with("application/octet-stream")));
    }
}
