//! Refusals as clients of this convention read them: `{"error": "ERR ..."}`, in problems too.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::endpoint::{Problem, json_with_status};

/// A request that is refused whole.
#[derive(Debug)]
pub(super) struct Refused(Box<Reason>);

#[derive(Debug)]
enum Reason {
    /// In the words of a reply.
    Error(StatusCode, String),
    /// As other endpoints refuse it.
    Problem(Problem),
}

/// The body of a refusal.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(as = CommandError)]
pub(super) struct ErrorBody {
    /// The error reply: a code and a sentence.
    #[schema(examples("ERR unknown command 'FOO', with args beginning with: "))]
    error: String,
}

impl Refused {
    pub(super) fn new(text: impl Into<String>) -> Refused {
        Refused::with_status(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn with_status(status: StatusCode, text: impl Into<String>) -> Refused {
        Refused(Box::new(Reason::Error(status, text.into())))
    }

    /// The error.
    pub(super) fn text(&self) -> String {
        match &*self.0 {
            Reason::Error(_, text) => text.clone(),
            Reason::Problem(problem) => error_of(problem),
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Refused {
        Refused(Box::new(Reason::Problem(problem)))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match *self.0 {
            Reason::Error(status, error) => json_with_status(status, ErrorBody { error }),
            Reason::Problem(problem) => with_error(problem).into_response(),
        }
    }
}

/// The problem with a member `error`, the only one that clients of this convention read.
pub(in crate::http) fn with_error(problem: Problem) -> Problem {
    let error = error_of(&problem);
    problem.with("error", error)
}

fn error_of(problem: &Problem) -> String {
    if problem.status() == StatusCode::UNAUTHORIZED {
        return "WRONGPASS invalid or missing auth token".to_owned();
    }
    let title = problem.kind().title;
    match problem.detail_text() {
        Some(detail) => format!("ERR {title}: {detail}"),
        None => format!("ERR {title}"),
    }
}
