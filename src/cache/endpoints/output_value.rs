//! The value that was found under a key, copied or shared, so that the lock is released before a response is made.

use bytes::Bytes;

use crate::http::endpoint::{Problem, problems};
use crate::store::{Deadline, EntryRef, Store, Value};

/// The content type of values that were put as JSON other than a string.
pub(super) const JSON: &str = crate::http::endpoint::media_type::JSON;

/// A string with its content type and deadline.
pub(super) struct OutputValue {
    pub(super) bytes: Bytes,
    /// None for a value that was written as a string or over RESP.
    pub(super) content_type: Option<Box<str>>,
    pub(super) deadline: Option<Deadline>,
}

impl OutputValue {
    /// The string that an entry of the store holds.
    ///
    /// # Errors
    /// If it holds something else.
    pub(super) fn of(store: &Store, entry: EntryRef<'_>) -> Result<OutputValue, Problem> {
        let bytes = match entry.string().map_err(|_| wrong_type(store, entry))? {
            Value::Inline(bytes) => Bytes::copy_from_slice(bytes),
            Value::Shared(bytes) => bytes.clone(),
        };
        Ok(OutputValue {
            bytes,
            content_type: entry.content_type().map(Box::from),
            deadline: entry.deadline(),
        })
    }

    /// Whether it was put as JSON other than a string.
    pub(super) fn is_json(&self) -> bool {
        self.content_type.as_deref() == Some(JSON)
    }
}

/// The problem with a key that holds no string.
fn wrong_type(store: &Store, entry: EntryRef<'_>) -> Problem {
    Problem::new(problems::WRONG_TYPE)
        .detail(format!("the key holds a {}", store.type_name(entry.value_type())))
}
