//! What an HTTP client is told when a request cannot be done: problem details as in RFC 9457.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::problems::{ProblemKind, UNSUPPORTED_CODING};
use crate::glob::{PIECE_LENGTH_MAX, PatternTooComplex};

/// The media type of problems.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Seconds after which what cannot be done now may be tried again.
const RETRY_AFTER: u64 = 1;

/// The coding of bodies that are as they are, which is the only one.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// One problem of one request.  It is boxed, since results carry it that are hardly ever errors.
#[derive(Debug)]
pub struct Problem(Box<Contents>);

#[derive(Debug)]
struct Contents {
    kind: &'static ProblemKind,
    /// Seconds after which it is worth another try.
    retry_after: Option<u64>,
    members: Map<String, Value>,
}

/// What a problem looks like to a client, for the documentation of the API.
#[derive(utoipa::ToSchema, serde::Serialize)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The address of the kind of problem, relative to the server.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", examples("/problems/invalid-value"))]
    kind: String,
    /// The same for all problems of the kind.
    title: String,
    /// The status of the response.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    detail: Option<String>,
    /// The field, parameter or header at fault.
    field: Option<String>,
    /// What is allowed there.
    allowed: Option<String>,
}

/// The response with a problem, which the description of the API gives every operation.
#[derive(utoipa::ToResponse)]
#[response(description = "A problem", content_type = "application/problem+json")]
pub struct ProblemResponse(#[expect(dead_code, reason = "it is for the description")] ProblemBody);

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: &'static ProblemKind) -> Problem {
        let is_for_now = kind.status == StatusCode::SERVICE_UNAVAILABLE;
        let retry_after = is_for_now.then_some(RETRY_AFTER);
        Problem(Box::new(Contents { kind, retry_after, members: Map::new() }))
    }

    /// A value that is not allowed: which field has it, and what is allowed there.
    pub fn invalid(field: impl Into<String>, allowed: impl Into<String>) -> Problem {
        Problem::new(super::problems::INVALID_VALUE)
            .with("field", field.into())
            .with("allowed", allowed.into())
    }

    /// Says what happened this time.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Problem {
        self.with("detail", detail.into())
    }

    /// Says after how many seconds it is worth another try.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Problem {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Adds a member of its own for programs to read, such as who holds a lock.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Problem {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// What happened this time, if it says so.
    pub fn detail_text(&self) -> Option<&str> {
        self.0.members.get("detail")?.as_str()
    }

    /// Its kind.
    pub fn kind(&self) -> &'static ProblemKind {
        self.0.kind
    }

    /// The status of the response that tells of it.
    pub fn status(&self) -> StatusCode {
        self.kind().status
    }

    /// The document that a client gets.
    pub fn document(&self) -> String {
        let Contents { kind, members, .. } = &*self.0;
        let document = Document {
            address: format!("/problems/{}", kind.slug),
            title: kind.title,
            status: kind.status.as_u16(),
            members,
        };
        serde_json::to_string(&document).expect("it holds nothing that JSON cannot say")
    }
}

impl From<PatternTooComplex> for Problem {
    fn from(PatternTooComplex: PatternTooComplex) -> Problem {
        let allowed =
            format!("at most {PIECE_LENGTH_MAX} characters between two stars with `?` or `[` among them");
        Problem::invalid("match", allowed)
    }
}

/// What all problems say comes first.
#[derive(serde::Serialize)]
struct Document<'p> {
    #[serde(rename = "type")]
    address: String,
    title: &'static str,
    status: u16,
    #[serde(flatten)]
    members: &'p Map<String, Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.document();
        let mut response = (self.status(), [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if let Some(seconds) = self.0.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.kind().slug == UNSUPPORTED_CODING.slug {
            response.headers_mut().insert(header::ACCEPT_ENCODING, IDENTITY);
        }
        response
    }
}
