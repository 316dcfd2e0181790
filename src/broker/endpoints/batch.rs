//! Batches of messages: a JSON object per line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{check_length, problem_of};
use crate::broker::header_values::{HeadersByName, block_of};
use crate::broker::subjects::{check_reply, check_subject};
use crate::delivery::Message;
use crate::http::endpoint::{Context, JsonText, Problem, Rights, parse};

/// Most messages in a batch: the thread serves no other request during a turn of it.
const MESSAGES_MAX: usize = 10_000;

/// A message of a batch.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// Its subject; that of the path if it is missing.
    #[schema(example = "news.eu")]
    subject: Option<String>,
    /// Its payload, if that is text.  Without any of the three the payload is empty.
    #[schema(example = "hello")]
    payload: Option<String>,
    /// Its payload, if that is JSON: any value, which is published as it is spelled.
    #[schema(value_type = Option<serde_json::Value>)]
    json: Option<JsonText>,
    /// Its payload in base64 with padding.
    base64: Option<String>,
    /// Its headers: a text or a list of texts by each name.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, serde_json::Value>>)]
    headers: HeadersByName,
    /// The subject on which answers should be published.
    reply: Option<String>,
}

/// A message that was read and checked.
pub(super) struct Entry {
    /// The number of its line.
    pub(super) line: usize,
    subject: String,
    reply: String,
    headers: Vec<u8>,
    payload: Vec<u8>,
}

impl Entry {
    /// The message.
    pub(super) fn message(&self) -> Message<'_> {
        Message {
            reply: self.reply.as_bytes(),
            headers: &self.headers,
            ..Message::new(self.subject.as_bytes(), &self.payload)
        }
    }

    fn of(
        number: usize,
        line: Line,
        subject: Option<&str>,
        context: &Context,
        rights: &Rights,
    ) -> Result<Entry, Problem> {
        let Some(subject) = line.subject.or_else(|| subject.map(str::to_owned)) else {
            return Err(Problem::invalid("subject", "a subject; it must be there"));
        };
        check_subject(subject.as_bytes()).map_err(|refused| problem_of(refused, "subject"))?;
        rights.check_publish(&subject)?;
        let reply = line.reply.unwrap_or_default();
        if !reply.is_empty() {
            check_reply(reply.as_bytes()).map_err(|refused| problem_of(refused, "reply"))?;
        }
        let payload = match (line.payload, line.json, line.base64) {
            (payload, None, None) => payload.unwrap_or_default().into_bytes(),
            (None, Some(JsonText(json)), None) => json.into_bytes(),
            (None, None, Some(base64)) => STANDARD.decode(base64).map_err(|error| {
                Problem::invalid("base64", "base64 with padding").detail(error.to_string())
            })?,
            _ => return Err(Problem::invalid("payload", "one of payload, json and base64")),
        };
        let headers = block_of(&line.headers)
            .map_err(|(field, invalid)| Problem::invalid(field, invalid.to_string()))?;
        check_length(context, headers.len(), payload.len())?;
        Ok(Entry { line: number, subject, reply, headers, payload })
    }
}

/// Reads all lines that are not blank, of a client with these rights.  `subject` is that of lines without one.
///
/// # Errors
/// If a line is at fault; the problem has its number, from 1 on.
pub(super) fn read(
    context: &Context,
    rights: &Rights,
    body: &[u8],
    subject: Option<&str>,
) -> Result<Vec<Entry>, Problem> {
    let mut entries = Vec::new();
    for (line, number) in body.split(|&byte| byte == b'\n').zip(1..) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if entries.len() == MESSAGES_MAX {
            return Err(
                Problem::invalid("line", format!("at most {MESSAGES_MAX} lines")).with("line", number)
            );
        }
        let entry = parse(line).and_then(|line| Entry::of(number, line, subject, context, rights));
        entries.push(entry.map_err(|problem| problem.with("line", number))?);
    }
    Ok(entries)
}
