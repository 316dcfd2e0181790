//! Problem details (RFC 9457): the response to a request that cannot be done.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::problems::{self, ProblemKind, UNSUPPORTED_CODING};
use crate::glob::{PIECE_LENGTH_MAX, PatternTooComplex};

/// The media type of problems.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Seconds after which a client may try again what the server cannot do now.
const RETRY_AFTER: u64 = 1;

/// The only coding of bodies: none.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// One problem of one request.  It is boxed to keep results small, which hardly ever are errors.
#[derive(Debug)]
pub struct Problem(Box<Contents>);

#[derive(Debug)]
struct Contents {
    kind: &'static ProblemKind,
    /// Seconds after which a retry may succeed.
    retry_after: Option<u64>,
    members: Map<String, Value>,
}

/// Why a request failed (RFC 9457).
#[derive(utoipa::ToSchema, serde::Serialize)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The address of the kind of problem, relative to the server.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", examples("/problems/invalid-value"))]
    kind: String,
    /// The title of the kind of problem.
    title: String,
    /// The status of the response.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Details of this occurrence.
    detail: Option<String>,
    /// The field, parameter or header at fault.
    field: Option<String>,
    /// The values that are allowed there.
    allowed: Option<String>,
}

/// The response with a problem, which every operation in the description of the API has.
#[derive(utoipa::ToResponse)]
#[response(description = "A problem", content_type = "application/problem+json")]
pub struct ProblemResponse(#[expect(dead_code, reason = "it is for the description")] ProblemBody);

impl Problem {
    /// The server stops before the request is done.
    pub fn stopping() -> Problem {
        Problem::new(problems::UNAVAILABLE).detail("the server is stopping")
    }

    /// A problem of this kind.
    pub fn new(kind: &'static ProblemKind) -> Problem {
        let is_for_now = kind.status == StatusCode::SERVICE_UNAVAILABLE;
        let retry_after = is_for_now.then_some(RETRY_AFTER);
        Problem(Box::new(Contents { kind, retry_after, members: Map::new() }))
    }

    /// The problem of a value that is not allowed, with its field and the allowed values.
    pub fn invalid(field: impl Into<String>, allowed: impl Into<String>) -> Problem {
        Problem::new(super::problems::INVALID_VALUE)
            .with("field", field.into())
            .with("allowed", allowed.into())
    }

    /// Adds details of this occurrence.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Problem {
        self.with("detail", detail.into())
    }

    /// Says after how many seconds a retry may succeed.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Problem {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Adds a member for programs, for example the holder of a lock.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Problem {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// The details of this occurrence, if it has any.
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

/// The members of all problems come first.
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
