//! Buckets of keys over HTTP.
//!
//! A bucket is a stream `KV_<bucket>`, a key is the last message on `$KV.<bucket>.<key>`, and its revision is that message's
//! sequence: exactly as the clients of NATS have it, so both see each other's keys.

mod buckets;
mod conditions;
mod entry;
mod keys;
mod watching;
mod writing;

use std::sync::Arc;

use crate::http::endpoint::{Context, OpenApiRouter, Problem, problems};
use crate::stream::{ReadError, Stream};
use conditions::Conditions;
use entry::{Entry, Operation};

/// The endpoints of buckets.
pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().merge(buckets::endpoints()).merge(keys::endpoints())
}

/// A bucket that exists.
struct Bucket {
    name: String,
    stream: Arc<Stream>,
}

impl Bucket {
    /// The bucket with this name.
    ///
    /// # Errors
    /// If there is no such bucket.
    fn find(context: &Context, name: String) -> Result<Bucket, Problem> {
        check_name(&name)?;
        let found = context.services().streams.find(&stream_name(&name));
        match found {
            Some(stream) => Ok(Bucket { name, stream }),
            None => Err(Problem::new(problems::NO_SUCH_STREAM).detail(format!("there is no bucket {name}"))),
        }
    }

    fn subject(&self, key: &str) -> String {
        format!("{}{key}", self.prefix())
    }

    /// The part of a key's subject before the key.
    fn prefix(&self) -> String {
        format!("$KV.{}.", self.name)
    }

    /// The last entry of a key, a value or a marker; none if the key never had one.
    ///
    /// # Errors
    /// If it cannot be read.
    fn last(&self, key: &str) -> Result<Option<Last>, Problem> {
        let wanted = crate::stream::api::get::MessageGet::Last(self.subject(key));
        let found = self.stream.get(&wanted, |message| Last {
            revision: message.sequence,
            is_there: Operation::of(message.headers) == Operation::Put,
        });
        found.map_err(|error: ReadError| super::messages::unreadable(error))
    }

    /// The same for whoever writes to the key: a write without conditions may take the place of an entry that nobody can read.
    ///
    /// # Errors
    /// If it cannot be read, and there are conditions.
    fn last_for(&self, conditions: &Conditions, key: &str) -> Result<Option<Last>, Problem> {
        match self.last(key) {
            Err(_) if conditions.are_none() => Ok(Some(Last { revision: 0, is_there: true })),
            last => last,
        }
    }
}

/// What is known of the last entry of a key.
#[derive(Clone, Copy)]
struct Last {
    revision: u64,
    /// Whether it is a value and not the marker of a deleted one.
    is_there: bool,
}

fn stream_name(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// Refuses a name of a bucket that clients of NATS would refuse.
fn check_name(name: &str) -> Result<(), Problem> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_allowed) {
        return Ok(());
    }
    Err(Problem::invalid("bucket", "letters, digits, `-` and `_`"))
}

/// Refuses a key that clients of NATS would refuse.
fn check_key(key: &str) -> Result<(), Problem> {
    refuse_unless(key.split('.').all(is_token))
}

/// The same for a key that may have wildcards: `*` for a token, and `>` at the end for all that follow.
fn check_key_pattern(pattern: &str) -> Result<(), Problem> {
    let is_pattern = quartet_protocol::broker::subject::is_valid_pattern(pattern.as_bytes());
    refuse_unless(
        is_pattern && pattern.split('.').all(|token| ["*", ">"].contains(&token) || is_token(token)),
    )
}

fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/_=".contains(&byte))
}

fn refuse_unless(is_right: bool) -> Result<(), Problem> {
    let allowed = "letters, digits and `-/_=` in tokens between full stops";
    if is_right { Ok(()) } else { Err(Problem::invalid("key", allowed)) }
}

/// Whether the query has a parameter that needs no value, like `?watch`.
fn is_set(parameter: Option<&str>, name: &str) -> Result<bool, Problem> {
    match parameter {
        None | Some("false") => Ok(false),
        Some("" | "true") => Ok(true),
        Some(_) => Err(Problem::invalid(name, "nothing, true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_clients_of_nats_take_for_keys() {
        for key in ["a", "a.b.c", "A-1_2/x=", "_kv.x"] {
            assert!(check_key(key).is_ok(), "{key}");
        }
        for key in ["", ".", "a.", ".a", "a..b", "a b", "a*", ">", "ä", "a\r\nb"] {
            assert!(check_key(key).is_err(), "{key}");
        }
        for pattern in [">", "a.*", "a.>", "*.b"] {
            assert!(check_key_pattern(pattern).is_ok(), "{pattern}");
        }
        for pattern in ["", "a*", "a.>.b", "a b"] {
            assert!(check_key_pattern(pattern).is_err(), "{pattern}");
        }
    }
}
