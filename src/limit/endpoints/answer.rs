//! What a check answers over HTTP: numbers in the body and in headers, or a problem.

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::headers;
use crate::http::endpoint::{Context, Json, Problem, problems};
use crate::limit::check::{Check, Demand, Mode, Outcome};
use crate::limit::nanos;
use crate::limit::stored::StoredCounters;
use crate::limit::summary::{LimitAnswer, Summary};
use crate::limit::waiting::Admission;

/// What a check came to.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Answer {
    /// Whether it may be done.
    allowed: bool,
    /// The limit that the numbers are of: the one with the least left, or of those that refuse the one that takes longest.
    policy: Option<String>,
    /// The most that can be had at once; -1 if there is no limit.
    limit: i64,
    /// What could still be had now; -1 if there is no limit.
    remaining: i64,
    /// Milliseconds after which the same request succeeds if nobody else takes anything; -1 if it succeeded, and
    /// also if it never will.
    retry_after_ms: i64,
    /// Milliseconds until all of the limit is back.
    reset_after_ms: u64,
    /// Milliseconds to wait before doing it, with the leaky bucket.
    delay_ms: u64,
    /// Whether a policy that only counts would have refused it.
    shadow: bool,
    /// How much was taken of each limit, where the request takes what is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    taken: Option<u64>,
    /// The answer of each limit.
    limits: Vec<ShownLimit>,
}

/// What one limit answers.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LimitAnswer)]
struct ShownLimit {
    /// Its name.
    policy: String,
    /// The place in the list of what it answers.
    check: usize,
    /// Whether it agrees.
    allowed: bool,
    /// The most that can be had at once.
    limit: u64,
    /// What could still be had now.
    remaining: u64,
    /// Milliseconds until it agrees; -1 if it does, and also if it never will.
    retry_after_ms: i64,
    /// Milliseconds until all of it is back.
    reset_after_ms: u64,
}

/// A check that was decided.
pub(super) struct Decided<'d> {
    pub(super) check: Check<'d>,
    pub(super) outcome: Outcome,
    /// Whether it takes what is left.
    pub(super) is_up_to: bool,
}

/// Makes out what is asked.
pub(super) fn make_out<'d>(
    context: &Context,
    demands: impl IntoIterator<Item = Demand<'d>>,
) -> Result<Check<'d>, Problem> {
    Ok(Check::new(demands, &context.services().limits, nanos(context.now()))?)
}

/// Decides a check on the counters in the first database.
pub(super) fn decide<'d>(context: &Context, check: Check<'d>, mode: Mode) -> Result<Decided<'d>, Problem> {
    let counters: Vec<&[u8]> = check.counters().collect();
    let outcome = context.read(0, &counters, |visit| {
        let now = nanos(visit.now());
        check.decide(&mut StoredCounters(&mut visit.keyspace), mode, now)
    });
    Ok(Decided { check, outcome: outcome?, is_up_to: false })
}

/// Has a check take what is left of its counters in the first database.
pub(super) fn decide_up_to<'d>(context: &Context, mut check: Check<'d>) -> Result<Decided<'d>, Problem> {
    if !check.has_one_cost() {
        return Err(Problem::invalid("cost", "the same in all checks, since `upto` takes the same from all"));
    }
    let counters: Vec<Vec<u8>> = check.counters().map(<[u8]>::to_vec).collect();
    let counters: Vec<&[u8]> = counters.iter().map(|counter| &**counter).collect();
    let outcome = context.read(0, &counters, |visit| {
        let now = nanos(visit.now());
        check.decide_up_to(&mut StoredCounters(&mut visit.keyspace), now)
    });
    Ok(Decided { check, outcome: outcome?, is_up_to: true })
}

/// What a check came to, decided at once or after a wait.
pub(super) struct Told<'t> {
    summary: Summary<'t>,
    limits: Vec<LimitAnswer<&'t str>>,
    taken: Option<u64>,
}

impl<'t> From<&'t Admission> for Told<'t> {
    fn from(admission: &'t Admission) -> Told<'t> {
        let borrowed = |answer: &'t LimitAnswer<Box<str>>| {
            let LimitAnswer { ref name, demand, limit, decision, refuses } = *answer;
            LimitAnswer { name: &**name, demand, limit, decision, refuses }
        };
        Told {
            summary: admission.summary(),
            limits: admission.limits.iter().map(borrowed).collect(),
            taken: None,
        }
    }
}

impl Told<'_> {
    /// The headers that tell of the limits.
    fn headers(&self) -> HeaderMap {
        let limits = self.limits.iter().map(|answer| (answer.name, answer.limit, answer.decision));
        headers::headers(limits, &self.summary)
    }

    /// Status 200, or the problem that refuses it.
    pub(super) fn into_response(self) -> Response {
        let mut response = match self.summary.allowed {
            true => Json(self.answer()).into_response(),
            false => self.problem().into_response(),
        };
        response.headers_mut().extend(self.headers());
        response
    }

    /// The problem of a check that was refused.
    fn problem(&self) -> Problem {
        let answer = self.answer();
        let refusing = self.limits.iter().filter(|answer| answer.refuses);
        let mut violated: Vec<String> = refusing.map(|answer| answer.name.to_owned()).collect();
        if violated.is_empty() {
            violated.extend(answer.policy.clone());
        }
        violated.dedup();
        answer.problem(violated)
    }

    /// What it came to, with the answer of each limit.
    fn answer(&self) -> Answer {
        let limits = self.limits.iter().map(|answer| ShownLimit {
            policy: answer.name.to_owned(),
            check: answer.demand,
            allowed: answer.decision.allowed,
            limit: answer.decision.limit,
            remaining: answer.decision.remaining,
            retry_after_ms: answer.decision.retry_after_millis(),
            reset_after_ms: answer.decision.reset_after_millis(),
        });
        Answer { taken: self.taken, ..Answer::of(&self.summary, limits.collect()) }
    }
}

impl Answer {
    fn of(summary: &Summary<'_>, limits: Vec<ShownLimit>) -> Answer {
        let delay = summary.decision.filter(|_| summary.allowed);
        Answer {
            allowed: summary.allowed,
            policy: summary.name.map(str::to_owned),
            limit: summary.limit(),
            remaining: summary.remaining(),
            retry_after_ms: summary.retry_after_millis(),
            reset_after_ms: summary.reset_after_millis(),
            delay_ms: delay.map_or(0, |decision| decision.delay_millis()),
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

impl<'d> Decided<'d> {
    /// Counts what each policy decided, if it was more than a look.
    pub(super) fn count(self, mode: Mode, context: &Context) -> Decided<'d> {
        if mode == Mode::Take {
            self.check.count(&self.outcome, context.slot(), &context.services().limits);
        }
        self
    }

    /// In short.
    pub(super) fn summary(&self) -> Summary<'d> {
        self.check.summary(&self.outcome)
    }

    /// What is told of it.
    fn told(&self) -> Told<'d> {
        let taken = self.is_up_to.then(|| self.check.taken(&self.outcome));
        Told { summary: self.summary(), limits: self.check.limit_answers(&self.outcome).collect(), taken }
    }

    /// The headers that tell of the limits.
    pub(super) fn headers(&self) -> HeaderMap {
        self.told().headers()
    }

    /// Status 200, or the problem that refuses it.
    pub(super) fn into_response(self) -> Response {
        self.told().into_response()
    }

    /// What it came to, with the answer of each limit.
    pub(super) fn answer(&self) -> Answer {
        self.told().answer()
    }
}
