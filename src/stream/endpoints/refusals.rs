//! Refusals of streams as HTTP clients see them.

use crate::http::endpoint::problems::ProblemKind;
use crate::http::endpoint::{Problem, problems};
use crate::stream::api::error::{self, ApiError, Known};
use crate::stream::index::limits::Full;

/// The errors that have a kind of problem of their own.
const KINDS: &[(Known, &ProblemKind)] = &[
    (error::STREAM_NOT_FOUND, problems::NO_SUCH_STREAM),
    (error::CONSUMER_NOT_FOUND, problems::NO_SUCH_CONSUMER),
    (error::CONSUMER_DOES_NOT_EXIST, problems::NO_SUCH_CONSUMER),
    (error::NO_MESSAGE_FOUND, problems::NO_SUCH_MESSAGE),
    (error::SEQUENCE_NOT_FOUND, problems::NO_SUCH_MESSAGE),
    (error::STREAM_NAME_IN_USE, problems::STREAM_CONFLICT),
    (error::STREAM_SUBJECTS_OVERLAP, problems::STREAM_CONFLICT),
    (error::CONSUMER_ALREADY_EXISTS, problems::STREAM_CONFLICT),
    (error::CONSUMER_NAME_IN_USE, problems::STREAM_CONFLICT),
    (error::CONSUMER_EXISTING_ACTIVE, problems::STREAM_CONFLICT),
    (error::CONSUMER_WORK_QUEUE_NOT_UNIQUE, problems::STREAM_CONFLICT),
    (error::CONSUMER_WORK_QUEUE_MULTIPLE_UNFILTERED, problems::STREAM_CONFLICT),
    (error::STREAM_SEALED, problems::STREAM_FORBIDS),
    (error::STREAM_PURGE_FAILED, problems::STREAM_FORBIDS),
    (error::STREAM_NOT_MATCH, problems::UNEXPECTED_SEQUENCE),
    (error::WRONG_LAST_SEQUENCE, problems::UNEXPECTED_SEQUENCE),
    (error::WRONG_LAST_MESSAGE_ID, problems::UNEXPECTED_SEQUENCE),
    (error::DUPLICATE_IN_PROCESS, problems::STREAM_CONFLICT),
    (error::MESSAGE_TOO_LARGE, problems::MESSAGE_TOO_LARGE),
    (error::HEADERS_TOO_LARGE, problems::MESSAGE_TOO_LARGE),
    (error::STORAGE_RESOURCES_EXCEEDED, problems::STREAM_FULL),
    (error::MEMORY_RESOURCES_EXCEEDED, problems::STREAM_FULL),
    (error::MAXIMUM_STREAMS, problems::STREAM_LIMIT),
    (error::MAXIMUM_CONSUMERS, problems::STREAM_LIMIT),
    (error::TOO_MANY_REQUESTS, problems::STREAM_LIMIT),
    (error::INSUFFICIENT_RESOURCES, problems::UNAVAILABLE),
];

/// Refusals to delete a message, which only their texts (those of NATS) tell apart.
const DELETE_TEXTS: &[(&str, &ProblemKind)] = &[
    ("message delete not permitted", problems::STREAM_FORBIDS),
    ("stream store EOF", problems::NO_SUCH_MESSAGE),
    ("no message found", problems::NO_SUCH_MESSAGE),
];

/// The problem of an error of the API.
pub(crate) fn problem_of(error: &ApiError) -> Problem {
    Problem::new(kind_of(error)).detail(error.description.clone()).with("err_code", error.err_code)
}

fn kind_of(error: &ApiError) -> &'static ProblemKind {
    let is_it = |known: &Known| error.err_code == known.number && error.code == known.code;
    if let Some((_, kind)) = KINDS.iter().find(|(known, _)| is_it(known)) {
        return kind;
    }
    let text = &*error.description;
    if is_it(&error::STORE_FAILED) {
        let full = [Full::Messages, Full::Bytes, Full::Subject].iter().any(|full| full.to_string() == text);
        return if full { problems::STREAM_FULL } else { problems::UNAVAILABLE };
    }
    if is_it(&error::MESSAGE_DELETE_FAILED)
        && let Some((_, kind)) = DELETE_TEXTS.iter().find(|(known, _)| *known == text)
    {
        return kind;
    }
    // The errors of definitions have codes of all kinds.
    if error.code == 503 { problems::UNAVAILABLE } else { problems::STREAM_REFUSES }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_statuses_that_clients_of_http_expect() {
        for (error, status) in [
            (error::STREAM_NOT_FOUND.error(), 404),
            (error::WRONG_LAST_SEQUENCE.with(7), 412),
            (error::MESSAGE_TOO_LARGE.error(), 413),
            (error::STREAM_SEALED.error(), 409),
            (error::STORE_FAILED.with(Full::Bytes), 507),
            (error::STORE_FAILED.with(crate::wait::Lost), 503),
            (error::STORAGE_RESOURCES_EXCEEDED.error(), 507),
            (error::MESSAGE_DELETE_FAILED.with("stream store EOF"), 404),
            (error::STREAM_INVALID_CONFIG.with("no"), 400),
            (error::INVALID_JSON.with("no"), 400),
        ] {
            assert_eq!(problem_of(&error).status().as_u16(), status, "{error}");
        }
    }
}
