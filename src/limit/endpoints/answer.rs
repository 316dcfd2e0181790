//! Responses to checks: numbers in the body and in headers, or a problem.

use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::headers::headers;
use crate::http::endpoint::{Json, Problem, problems};
use crate::limit::admission::{Report, Summary};

/// The answer to a check.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Answer {
    /// Whether the request is allowed.
    allowed: bool,
    /// The limit that the numbers are about: the one with the least left, or the refusing one with the longest wait.
    policy: Option<String>,
    /// The most that can be had at once; -1 if there is no limit.
    limit: i64,
    /// What could still be had now; -1 if there is no limit.
    remaining: i64,
    /// Milliseconds after which the same request succeeds if nobody else takes anything; -1 if it is allowed, and also if
    /// it never will be.
    retry_after_ms: i64,
    /// Milliseconds until all of the limit is back.
    reset_after_ms: u64,
    /// Milliseconds to wait before going on, with the leaky bucket.
    delay_ms: u64,
    /// Whether a policy in shadow mode would have refused it.
    shadow: bool,
    /// How much was taken from each limit, if the request takes as much as is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    taken: Option<u64>,
    /// The answer of each limit.
    limits: Vec<ShownLimit>,
}

/// The answer of one limit.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LimitAnswer)]
struct ShownLimit {
    /// Its name.
    policy: String,
    /// The position of its check in the list, from 0.
    check: usize,
    /// Whether it allows the request.
    allowed: bool,
    /// The most that can be had at once.
    limit: u64,
    /// What could still be had now.
    remaining: u64,
    /// Milliseconds until it allows the request; -1 if it does, and also if it never will.
    retry_after_ms: i64,
    /// Milliseconds until all of it is back.
    reset_after_ms: u64,
}

impl Answer {
    /// A report in full.
    pub(super) fn of(report: &Report<impl AsRef<str>>) -> Answer {
        let limits = report.limits.iter().map(|answer| ShownLimit {
            policy: answer.name.as_ref().to_owned(),
            check: answer.demand,
            allowed: answer.decision.allowed,
            limit: answer.decision.limit,
            remaining: answer.decision.remaining,
            retry_after_ms: answer.decision.retry_after_millis(),
            reset_after_ms: answer.decision.reset_after_millis(),
        });
        Answer { taken: report.taken, ..Answer::new(&report.summary, limits.collect()) }
    }

    fn new(summary: &Summary<impl AsRef<str>>, limits: Vec<ShownLimit>) -> Answer {
        Answer {
            allowed: summary.allowed,
            policy: summary.name.as_ref().map(|name| name.as_ref().to_owned()),
            limit: summary.limit(),
            remaining: summary.remaining(),
            retry_after_ms: summary.retry_after_millis(),
            reset_after_ms: summary.reset_after_millis(),
            delay_ms: summary.delay_millis(),
            shadow: summary.is_shadow,
            taken: None,
            limits,
        }
    }

    /// The problem of a check that these limits refuse.
    fn problem(self, violated: Vec<String>) -> Problem {
        let detail = match (&self.policy, self.retry_after_ms) {
            (Some(name), -1) => format!("{name} refuses it, however long you wait"),
            (Some(name), millis) => format!("{name} refuses it for {millis} ms"),
            (None, _) => "it is refused".to_owned(),
        };
        let limits = serde_json::to_value(self.limits).expect("it holds nothing that JSON cannot say");
        let problem = Problem::new(problems::QUOTA_EXCEEDED)
            .detail(detail)
            .with("violated-policies", violated)
            .with("policy", self.policy)
            .with("limit", self.limit)
            .with("remaining", self.remaining)
            .with("retry_after_ms", self.retry_after_ms)
            .with("reset_after_ms", self.reset_after_ms)
            .with("limits", limits);
        match self.taken {
            Some(taken) => problem.with("taken", taken),
            None => problem,
        }
    }
}

/// Status 200 with all numbers, or the problem that says which limits refuse; with the headers in either case.
pub(super) fn respond(report: &Report<impl AsRef<str>>) -> Response {
    let mut response = match report.summary.allowed {
        true => Json(Answer::of(report)).into_response(),
        false => problem(report).into_response(),
    };
    response.headers_mut().extend(headers(report));
    response
}

/// The problem of a check that is refused.
fn problem(report: &Report<impl AsRef<str>>) -> Problem {
    let answer = Answer::of(report);
    let refusing = report.limits.iter().filter(|answer| answer.refuses);
    let mut violated: Vec<String> = refusing.map(|answer| answer.name.as_ref().to_owned()).collect();
    if violated.is_empty() {
        violated.extend(answer.policy.clone());
    }
    violated.dedup();
    answer.problem(violated)
}
