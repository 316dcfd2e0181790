//! The table of the problems that HTTP clients can be told of.  A row is a stable address, a title, a status and what
//! the reader of the address learns.

use axum::http::StatusCode;

/// A kind of problem: one row of [`PROBLEMS`].
#[derive(Debug)]
pub struct ProblemKind {
    /// The last part of its address, `/problems/{slug}`.  Programs compare it, so it never changes.
    pub slug: &'static str,
    /// The status of a response that tells of it.
    pub status: StatusCode,
    /// The same for all problems of the kind.
    pub title: &'static str,
    /// When it happens and what to do, for the page at its address.
    pub description: &'static str,
}

macro_rules! problems {
    ($($name:ident = $status:ident $slug:literal $title:literal: $description:literal;)*) => {
        $(
            #[doc = $description]
            pub const $name: &ProblemKind = &ProblemKind {
                slug: $slug,
                status: StatusCode::$status,
                title: $title,
                description: $description,
            };
        )*

        /// Every kind of problem.
        pub const PROBLEMS: &[&ProblemKind] = &[$($name),*];
    };
}

problems! {
    INVALID_JSON = BAD_REQUEST "invalid-json" "The body is not valid JSON":
        "The body could not be read as JSON; the detail says where it stops being so.";
    INVALID_VALUE = BAD_REQUEST "invalid-value" "A value is not allowed":
        "A field of the body, a parameter of the query or a part of the path has a value that is not allowed, is \
         missing, or does not exist; `field` names it and `allowed` says what is allowed.";
    INVALID_REQUEST = BAD_REQUEST "invalid-request" "The request is not well-formed":
        "The request breaks a rule of HTTP; the detail names it.";
    UNAUTHORIZED = UNAUTHORIZED "unauthorized" "Authentication is required":
        "A password is set and the request carried none or a wrong one.  Send it by Basic authentication with the user \
         `default` or none, or as `Authorization: Bearer PASSWORD`.";
    TOO_MANY_ATTEMPTS = TOO_MANY_REQUESTS "too-many-attempts" "Too many wrong passwords came from this address":
        "The address has given more wrong passwords than one per second, so this one was not looked at.  Try again with \
         the right one after the seconds in Retry-After.";
    PROTECTED_MODE = FORBIDDEN "protected-mode" "Only clients on this machine are served":
        "The server is reachable from other machines but has no password.  Set one with --requirepass, or switch the \
         protection off with --protected-mode no if the network is trusted.";
    FOREIGN_ORIGIN = FORBIDDEN "foreign-origin" "Pages of other sites are not served":
        "A web page of another site made this request, or may have: it changes or takes something, and the browser does \
         not say that its own page asked.  Allow the site with --http-cors-origins if it should.";
    FOREIGN_HOST = FORBIDDEN "foreign-host" "The name of the host is not one of this machine":
        "No password is set, and the request was made to a name that is none of this machine, as happens when a web page \
         points a name of its own at it.  Use localhost or an address of the machine, allow the name with --http-hosts, \
         or set a password with --requirepass.";
    NOT_FOUND = NOT_FOUND "not-found" "Nothing is at this path":
        "The path is not one of the API's; /openapi.json lists them all and /docs shows them.";
    NO_SUCH_KEY = NOT_FOUND "no-such-key" "There is no such key":
        "The key was never set, was deleted, has expired or was evicted.";
    NO_SUCH_DATABASE = NOT_FOUND "no-such-database" "There is no database of this number":
        "The setting databases says how many there are; they are numbered from 0.";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method-not-allowed" "The path does not take this method":
        "The header Allow lists the methods that it takes.";
    NOT_ACCEPTABLE = NOT_ACCEPTABLE "not-acceptable" "No representation fits the header Accept":
        "The resource has none of the media types that the request accepts; the detail lists those it has.";
    REQUEST_TIMEOUT = REQUEST_TIMEOUT "request-timeout" "The body came too slowly":
        "The body of the request did not come as fast as the server is prepared to wait for.";
    TOO_LARGE = PAYLOAD_TOO_LARGE "too-large" "The body is too large":
        "The body is longer than the setting http-body-limit allows.";
    UNSUPPORTED_CODING = UNSUPPORTED_MEDIA_TYPE "unsupported-coding" "The body is compressed":
        "The header Content-Encoding names a coding, and bodies are only taken as they are: send it without one.";
    UNSUPPORTED_TRANSFER = NOT_IMPLEMENTED "unsupported-transfer" "The transfer coding is not understood":
        "The header Transfer-Encoding names a coding other than chunked, or names it twice.";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "The media type is not taken here":
        "The header Content-Type names a type that this resource does not take; the detail names those it does.";
    KEY_EXISTS = CONFLICT "key-exists" "The key is there already":
        "It was to be written only if it was absent.";
    NOT_AN_INTEGER = CONFLICT "not-an-integer" "The value is not an integer":
        "Only integers of 64 bits can be counted up and down, and their sum must be one.";
    PRECONDITION_FAILED = PRECONDITION_FAILED "precondition-failed" "The value is not what it was expected to be":
        "A header If-Match or If-None-Match does not hold: the value was changed, made or removed meanwhile.  Read it \
         again and decide anew.";
    WRONG_TYPE = CONFLICT "wrong-type" "The key holds another kind of value":
        "The key exists and holds a value on which this cannot be done.";
    NO_SUCH_RESERVATION = NOT_FOUND "no-such-reservation" "There is no such reservation":
        "The reservation was committed, cancelled, or ended by itself, or there never was one with this id.";
    NO_SUCH_SLOT = NOT_FOUND "no-such-slot" "The slot is not held":
        "The slot was left, or its time is over: somebody else may hold it.  There never may have been one of this name.";
    NO_SUCH_PATTERN = NOT_FOUND "no-such-pattern" "The pattern is not on the list":
        "It was taken off, or never put there.  GET /lists/{list} shows what is on the list.";
    NO_SUCH_POLICY = NOT_FOUND "no-such-policy" "There is no such policy":
        "No rate limit policy has this name.  GET /policies lists them all, and PUT /policies/{name} makes one.";
    QUOTA_EXCEEDED = TOO_MANY_REQUESTS "quota-exceeded" "The request is over a limit":
        "A limit of the policy refuses the request, or its key is blocked or denied.  `violated-policies` names the limits, \
         and nothing was taken from any.  The header Retry-After and `retry_after_ms` say when the same request succeeds \
         if nobody else takes anything; without them it never does.";
    LOCK_HELD = CONFLICT "lock-held" "The lock is held":
        "The resource is held, or promised to others that wait, and the request was not to wait, or has waited long enough.  `holder` says who holds it, \
         `queue_length` how many wait, and `retry_after_ms` when the lease ends unless it is renewed.";
    LOCK_NOT_GRANTED = CONFLICT "lock-not-granted" "The wait for the lock was ended":
        "An operator has cancelled the wait, or the same request was made again and waits in its place.";
    OWNER_WAITS = CONFLICT "owner-waits" "The owner waits already":
        "The owner has a request that waits.  An owner is one thread of control and waits for one thing at a time: give \
         each its own, or none to have one made up.  A retry repeats the Idempotency-Key of the request.";
    LOCK_NOT_HELD = CONFLICT "lock-not-held" "The lock is not held":
        "The lease has ended, was given back or taken away, or belongs to another grant.  Whatever it protected must \
         not be touched any more.";
    LOCK_MODE = CONFLICT "lock-mode" "The lock is held in another way":
        "The owner holds the lock, and what it asks for does not fit how it holds it; the detail says why.";
    KEY_USED = UNPROCESSABLE_ENTITY "idempotency-key-used" "The Idempotency-Key was used for another request":
        "A key stands for one request with all its fields, for two minutes after it succeeded.  Send every new request \
         with a key of its own, and a retry as it was sent first; only how long it waits may differ.";
    FENCED = CONFLICT "fenced" "The lock is not held under this fence":
        "The write was to happen only while a lock is held under a fence, and the lease with that fence has ended.  \
         Whoever holds the lock now may have written.";
    DEADLOCK = CONFLICT "deadlock" "Waiting would be a deadlock":
        "The owner holds what another needs that it would wait for; `cycle` names them all.  Give back what is held and \
         begin again, or acquire everything in one request.";
    NO_SUCH_SESSION = NOT_FOUND "no-such-session" "There is no such session":
        "The session was closed, or it was lost since it was not pinged in time.";
    TOO_MANY_LOCKS = SERVICE_UNAVAILABLE "too-many-locks" "A limit on locks is reached":
        "The server keeps as many locks, waiting requests or sessions as it is prepared to; the detail says which.";
    INTERNAL = INTERNAL_SERVER_ERROR "internal" "The server failed":
        "Something went wrong that is not the client's fault.  The log has a line with the id of the request.";
    UNAVAILABLE = SERVICE_UNAVAILABLE "unavailable" "The server cannot do this now":
        "The server is stopping, has too many connections, or cannot write to its disk.  Try again later or elsewhere.";
    TOO_MUCH_IN_FLIGHT = SERVICE_UNAVAILABLE "too-much-in-flight" "Too many bytes are in flight":
        "The connection, or all of them together, has as many bytes of unread responses or of unanswered requests as the \
         setting allows that `setting` names.  Read the responses that are on their way, and try again after the seconds in \
         Retry-After.";
    OUT_OF_MEMORY = INSUFFICIENT_STORAGE "out-of-memory" "The memory for data is used up":
        "The setting maxmemory is reached and the policy allows nothing to be evicted.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn addresses_are_unique_and_kebab_case() {
        let mut seen = HashSet::new();
        for kind in PROBLEMS {
            assert!(kind.slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", kind.slug);
            assert!(seen.insert(kind.slug), "{} is there twice", kind.slug);
            assert!(kind.status.as_u16() >= 400, "{}", kind.slug);
        }
    }
}
