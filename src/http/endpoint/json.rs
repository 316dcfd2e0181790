//! Bodies as JSON: read strictly, with problems that name the field at fault, and written.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::body::Body;
use super::context::Context;
use super::fault::Fault;
use super::media_type;
use super::problem::Problem;
use super::problems;
use super::value::Value;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static(media_type::JSON);

/// A body in JSON.
///
/// As an argument it is the request's body.  The media type may be missing, that of JSON, or that of a form, which `curl -d`
/// sends by default.  Types should be marked
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

/// Bytes for JSON: as text, or in base64, and then the second value says so.
pub fn text_or_base64(bytes: &[u8]) -> (String, Option<&'static str>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (STANDARD.encode(bytes), Some("base64")),
    }
}

/// Whether the body may be JSON: no other type is said of it.
pub fn may_be_json(headers: &HeaderMap) -> bool {
    media_type::content_type(headers).is_none_or(|essence| {
        essence == media_type::JSON
            || essence == media_type::FORM
            || essence.starts_with("application/") && essence.ends_with("+json")
    })
}

/// Reads a value from a JSON object.  No body at all stands for an object without fields.
///
/// # Errors
/// A problem that says where the JSON is broken, or which field is at fault and what is allowed there.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    let value: &RawValue = serde_json::from_slice(bytes).map_err(|error| Fault::broken(&error))?;
    Ok(T::deserialize(Value(value))?)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value as Json, json};

    use super::{HeaderMap, HeaderValue, header, may_be_json, parse};

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
    fn check(text: &'static str, kind: &str, field: Json, allowed: Json) {
        let problem = parse::<Order>(text.as_bytes()).expect_err("it is refused");
        let body: Json = serde_json::from_str(&problem.document()).expect("it is JSON");
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
        check("[1]", "invalid-value", Json::Null, json!("an object"));
        check("7", "invalid-value", Json::Null, json!("an object"));
    }

    #[test]
    fn broken_json_is_told_from_a_wrong_value() {
        for text in ["{", r#"{"count": 1} x"#, r#"{count: 1}"#, "\u{1}"] {
            check(text, "invalid-json", Json::Null, Json::Null);
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
