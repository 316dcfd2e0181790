//! Writing an entry, and waiting for the answer of the bucket's stream.

use std::future::poll_fn;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use quartet_protocol::broker::headers::HeaderBlock;

use super::conditions::Conditions;
use super::{Bucket, Last, Operation};
use crate::delivery::{Effects, Listener, Message};
use crate::http::endpoint::{Context, Problem, problems};
use crate::stream::api::error::{self, ApiError};
use crate::stream::endpoints::{act, problem_of};
use crate::stream::{Incoming, Outcome, OwedOutcome, header_names};

/// What is to be written.
pub(super) struct Writing<'w> {
    pub(super) key: &'w str,
    pub(super) operation: Operation,
    /// The value; empty for a marker.
    pub(super) value: Bytes,
    /// The headers of the request.
    pub(super) headers: &'w HeaderMap,
    /// Seconds after which the value expires.
    pub(super) ttl: Option<u64>,
    pub(super) conditions: &'w Conditions,
    /// The last entry of the key, as far as it is known.
    pub(super) last: Option<Last>,
}

impl Writing<'_> {
    /// The headers of the entry.
    fn block(&self, expected: Option<u64>) -> Result<Vec<u8>, Problem> {
        let mut block = HeaderBlock::new();
        let mut push = |name: &str, value: &[u8]| {
            block
                .push(name.as_bytes(), value)
                .map_err(|invalid| Problem::invalid("headers", invalid.to_string()))
        };
        if let Some(word) = self.operation.word() {
            push(header_names::KEY_OPERATION, word)?;
        }
        if self.operation == Operation::Purge {
            push(header_names::ROLLUP, b"sub")?;
        }
        if let Some(expected) = expected {
            push(header_names::EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string().as_bytes())?;
        }
        if let Some(ttl) = self.ttl {
            push(header_names::LIFETIME, format!("{ttl}s").as_bytes())?;
        }
        // `curl -d` sends this type with any body, so it says nothing about the value.
        let is_form = |value: &[u8]| value.starts_with(crate::http::endpoint::media_type::FORM.as_bytes());
        let said = self.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
        if let Some(media_type) = said.filter(|value| self.operation == Operation::Put && !is_form(value)) {
            push("Content-Type", media_type)?;
        }
        Ok(if block.is_empty() { Vec::new() } else { block.finish() })
    }

    /// Writes it, and returns its revision once the disk has it.
    ///
    /// # Errors
    /// If a condition does not hold, or the stream refuses it.
    pub(super) async fn write(self, context: &Context, bucket: &Bucket) -> Result<u64, Problem> {
        let expected = self.conditions.expected(self.last)?;
        let block = self.block(expected)?;
        let most = context.services().settings.current().broker_max_payload;
        if block.len() + self.value.len() > most {
            let allowed = format!("at most {most} bytes of headers and payload");
            return Err(Problem::new(problems::MESSAGE_TOO_LARGE).with("allowed", allowed));
        }
        let stored = store(context, bucket, bucket.subject(self.key), block, self.value.clone()).await?;
        stored.map_err(|error| match expected {
            Some(_) if error.err_code == error::WRONG_LAST_SEQUENCE.number => self.conditions.failed(),
            _ => problem_of(&error),
        })
    }
}

/// Stores a message in the bucket's stream.  Plain subscribers get it once it is stored, so they see no value that was refused.
async fn store(
    context: &Context,
    bucket: &Bucket,
    subject: String,
    headers: Vec<u8>,
    payload: Bytes,
) -> Result<Result<u64, ApiError>, Problem> {
    let owed = act(context, |effects| {
        let incoming =
            Incoming { subject: subject.as_bytes(), headers: &headers, payload: &payload, left: None };
        let fan_out = context.services().fan_out.clone();
        let (subject, headers, payload) = (subject.clone(), headers.clone(), payload.clone());
        let told = move |outcome: &Outcome, effects: &mut Effects| {
            if outcome.as_ref().is_ok_and(|receipt| !receipt.is_duplicate) {
                let message = Message::new(subject.as_bytes(), &payload);
                let message = Message { headers: &headers, listener: Listener::Http, ..message };
                fan_out.publish_to_subscribers(&message, effects);
            }
        };
        OwedOutcome::of(&bucket.stream, &incoming, context.now(), told, effects)
    });
    let owed = owed.ok_or_else(|| problem_of(&error::STREAM_NOT_FOUND.error()))?;
    let outcome = context.wait_for(poll_fn(|task| owed.poll(task.waker()))).await?;
    Ok(outcome.map(|receipt| receipt.sequence))
}
