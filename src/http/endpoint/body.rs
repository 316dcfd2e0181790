//! The body of a request as bytes, bounded in length and in time.

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::context::Context;
use super::lists::members;
use super::problem::Problem;
use super::problems;

/// Bytes per second at which bodies and responses must move on average, after the time of `http-request-timeout`.
pub const BODY_RATE_MIN: u64 = 64 * 1024;

/// Bytes of a body that must have come before its announced length is allocated.
const TRUSTED_FROM: usize = 64 * 1024;

/// A longer body came in pieces and has a buffer of its own: the buffers that connections read into are shorter.
pub const PIECE_LENGTH_MAX: usize = 256 * 1024;

/// Why a body is not read further: an error that the body given to [`Body`] may end with.
#[derive(Debug)]
pub struct BodyRefused(pub Problem);

impl fmt::Display for BodyRefused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.kind().title)
    }
}

impl std::error::Error for BodyRefused {}

/// The whole body, at most as long as the setting `http-body-limit` allows.
#[derive(Debug)]
pub struct Body(pub Bytes);

impl FromRequest<Context> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, context: &Context) -> Result<Body, Problem> {
        check_codings(request.headers())?;
        let limit = context.services().settings.current().http_body_limit;
        let mut body = request.into_body();
        let announced = body.size_hint().lower();
        if announced > limit {
            return Err(too_large(limit));
        }
        if body.is_end_stream() {
            return Ok(Body(Bytes::new()));
        }
        let time = context.services().settings.current().http_request_timeout;
        collect(&mut body, announced, limit, time).await
    }
}

/// Refuses an encoded body: stored as it is, it would later be sent without its encoding.
fn check_codings(headers: &HeaderMap) -> Result<(), Problem> {
    let is_other = |name, known: &str| {
        members(headers, name).find(|coding| !coding.eq_ignore_ascii_case(known)).map(str::to_owned)
    };
    if let Some(coding) = is_other(&header::CONTENT_ENCODING, "identity") {
        return Err(Problem::new(problems::UNSUPPORTED_CODING).detail(format!("the body is in {coding}")));
    }
    let refuse = |coding: &str| {
        Err(Problem::new(problems::UNSUPPORTED_TRANSFER).detail(format!("the body is in {coding}")))
    };
    if let Some(coding) = is_other(&header::TRANSFER_ENCODING, "chunked") {
        return refuse(&coding);
    }
    if members(headers, &header::TRANSFER_ENCODING).nth(1).is_some() {
        return refuse("chunks within chunks");
    }
    Ok(())
}

async fn collect(
    body: &mut axum::body::Body,
    announced: u64,
    limit: u64,
    time: Duration,
) -> Result<Body, Problem> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut received = 0;
    let mut patience = pin!(tokio::time::sleep(time));
    let began = patience.deadline();
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = &mut patience => return Err(Problem::new(problems::REQUEST_TIMEOUT)),
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| match error.into_inner().downcast::<BodyRefused>() {
            Ok(refused) => refused.0,
            Err(error) => {
                Problem::new(problems::INVALID_REQUEST).detail(format!("the body ended early: {error}"))
            }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        received += data.len() as u64;
        if received > limit {
            return Err(too_large(limit));
        }
        patience.as_mut().reset(began + Duration::from_secs(received / BODY_RATE_MIN));
        let Some(before) = &first else {
            first = Some(data);
            continue;
        };
        if rest.is_empty() {
            rest.reserve(announced.min(TRUSTED_FROM as u64) as usize);
            rest.extend_from_slice(before);
        }
        if rest.capacity() < rest.len() + data.len() && rest.len() >= TRUSTED_FROM {
            // It grows once, so it is not copied again and again.
            rest.reserve((announced as usize).saturating_sub(rest.len()));
        }
        rest.extend_from_slice(&data);
    }
    // A body that came in one piece, as most do, is not copied.
    Ok(Body(if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() }))
}

fn too_large(limit: u64) -> Problem {
    Problem::new(problems::TOO_LARGE).with("allowed", format!("at most {limit} bytes"))
}
