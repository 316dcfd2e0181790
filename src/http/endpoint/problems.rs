//! The table of problems that HTTP clients may get.  A row is a stable address, a title, a status and the text of the page
//! at the address.

use axum::http::StatusCode;

/// A kind of problem: one row of [`PROBLEMS`].
#[derive(Debug)]
pub struct ProblemKind {
    /// The last part of its address, `/problems/{slug}`.  Programs compare it, so it never changes.
    pub slug: &'static str,
    /// The status of a response that tells of it.
    pub status: StatusCode,
    /// The title of all problems of the kind.
    pub title: &'static str,
    /// When the problem occurs and what to do, for the page at its address.
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
        "The body is not valid JSON; the detail says where the error is.";
    INVALID_VALUE = BAD_REQUEST "invalid-value" "A value is not allowed":
        "A field of the body, a parameter of the query or a part of the path is unknown, is missing, or has a \
         value that is not allowed.  `field` names it, and `allowed` says what is allowed.";
    INVALID_REQUEST = BAD_REQUEST "invalid-request" "The request is not well-formed":
        "The request breaks a rule of HTTP; the detail names it.";
    BUSY = SERVICE_UNAVAILABLE "busy" "A script that runs for long holds the data":
        "A script of another client has run for longer than busy-reply-threshold, and holds the keys of this request or \
         all keys.  Nothing was changed: try again, or stop the script with SCRIPT KILL.";
    UNAUTHORIZED = UNAUTHORIZED "unauthorized" "Authentication is required":
        "A password is set, and the request has none or a wrong one.  Send it by Basic authentication with the \
         user `default` or none, or as `Authorization: Bearer PASSWORD`.  Where a page cannot do so, POST /tickets \
         gives a ticket for the query.";
    TOO_MANY_ATTEMPTS = TOO_MANY_REQUESTS "too-many-attempts" "Too many wrong passwords came from this address":
        "The address has sent more than one wrong password per second, so this one was not checked.  Try again \
         with the right one after the seconds in Retry-After.";
    TOO_MANY_TICKETS = SERVICE_UNAVAILABLE "too-many-tickets" "Too many tickets are out":
        "Ten thousand tickets were made and neither used nor too old yet.  Try again after the seconds in Retry-After.";
    PROTECTED_MODE = FORBIDDEN "protected-mode" "Only clients on this machine are served":
        "The server is reachable from other machines but has no password.  Set one with --requirepass, or switch \
         the protection off with --protected-mode no if the network is trusted.";
    FOREIGN_ORIGIN = FORBIDDEN "foreign-origin" "Pages of other sites are not served":
        "A web page of another site made this request, or may have made it: the request changes or takes \
         something, and the browser does not say that a page of this server asks.  Allow the site with \
         --http-cors-origins if it should ask.";
    FOREIGN_HOST = FORBIDDEN "foreign-host" "The host name is not one of this machine":
        "No password is set, and the request names a host that is not this machine.  A web page that points its \
         own name at this machine sends such requests.  Use localhost or an address of the machine, allow the name \
         with --http-hosts, or set a password with --requirepass.";
    NOT_FOUND = NOT_FOUND "not-found" "Nothing is at this path":
        "The path is not part of the API; /openapi.json lists all paths, and /docs shows them.";
    NO_SUCH_KEY = NOT_FOUND "no-such-key" "There is no such key":
        "The key was never set, was deleted, has expired or was evicted.";
    NO_SUCH_DATABASE = NOT_FOUND "no-such-database" "There is no database with this number":
        "Databases are numbered from 0; the setting `databases` says how many there are.";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method-not-allowed" "The path does not take this method":
        "The header Allow lists the methods of the path.";
    NOT_ACCEPTABLE = NOT_ACCEPTABLE "not-acceptable" "No representation fits the header Accept":
        "The resource has none of the media types that the request accepts; the detail lists those it has.";
    REQUEST_TIMEOUT = REQUEST_TIMEOUT "request-timeout" "The body came too slowly":
        "The body of the request came more slowly than the server waits for.";
    TOO_LARGE = PAYLOAD_TOO_LARGE "too-large" "The body is too large":
        "The body is longer than the setting http-body-limit allows.";
    UPGRADE_REQUIRED = UPGRADE_REQUIRED "upgrade-required" "The path is a WebSocket":
        "The request does not ask for a WebSocket of version 13 as RFC 6455 says, or came over HTTP/2, where none is \
         served; the detail says what is missing.  Browsers do it right with `new WebSocket(address)`.";
    UNSUPPORTED_CODING = UNSUPPORTED_MEDIA_TYPE "unsupported-coding" "The body is compressed":
        "The header Content-Encoding names a coding, but bodies are taken only without one.";
    UNSUPPORTED_TRANSFER = NOT_IMPLEMENTED "unsupported-transfer" "The transfer coding is not understood":
        "The header Transfer-Encoding names a coding other than chunked, or names it twice.";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "The media type is not taken here":
        "The header Content-Type names a type that this resource does not take; the detail names the types that it \
         takes.";
    KEY_EXISTS = CONFLICT "key-exists" "The key exists already":
        "The key should be written only if it did not exist.";
    NOT_AN_INTEGER = CONFLICT "not-an-integer" "The value is not an integer":
        "Only integers of 64 bits can be counted up and down, and the sum must be one.";
    PRECONDITION_FAILED = PRECONDITION_FAILED "precondition-failed" "The value is not the expected one":
        "A header If-Match or If-None-Match does not hold: another client has changed, created or removed the \
         value.  Read it again and decide anew.";
    WRONG_TYPE = CONFLICT "wrong-type" "The key holds another kind of value":
        "The key holds a value of a kind for which the operation does not work.";
    NO_SUCH_RESERVATION = NOT_FOUND "no-such-reservation" "There is no such reservation":
        "The reservation was committed or cancelled, has ended by itself, or never existed.";
    NO_SUCH_SLOT = NOT_FOUND "no-such-slot" "The slot is not held":
        "The slot was left, its time is over, or it never existed.  Another client may hold it.";
    NO_SUCH_PATTERN = NOT_FOUND "no-such-pattern" "The pattern is not on the list":
        "The pattern was taken off the list, or was never on it.  GET /lists/{list} shows the list.";
    NO_SUCH_POLICY = NOT_FOUND "no-such-policy" "There is no such policy":
        "No rate limit policy has this name.  GET /policies lists all policies, and PUT /policies/{name} makes one.";
    QUOTA_EXCEEDED = TOO_MANY_REQUESTS "quota-exceeded" "The request is over a limit":
        "A limit of the policy refuses the request, or its key is blocked or denied.  `violated-policies` names \
         the limits; nothing was taken from any limit.  The header Retry-After and `retry_after_ms` say when the \
         same request succeeds if nobody else takes anything.  Without them it never succeeds.";
    LOCK_HELD = CONFLICT "lock-held" "The lock is held":
        "The resource is held, or waiters are ahead of the request, and the request does not wait or has waited \
         long enough.  `holder` names the holder, `queue_length` counts the waiters, and `retry_after_ms` says \
         when the lease ends unless it is renewed.";
    LOCK_NOT_GRANTED = CONFLICT "lock-not-granted" "The wait for the lock was ended":
        "An operator has cancelled the wait, or the same request was sent again and waits in its place.";
    OWNER_WAITS = CONFLICT "owner-waits" "The owner waits already":
        "The owner has a request that waits.  An owner is one thread of control and waits for one thing at a time: \
         give each its own owner, or leave the owner out to have one made.  A retry repeats the Idempotency-Key of \
         the request.";
    LOCK_NOT_HELD = CONFLICT "lock-not-held" "The lock is not held":
        "The lease has ended, was released or taken away, or belongs to another grant.  Do not touch the protected \
         resource any more.";
    LOCK_MODE = CONFLICT "lock-mode" "The lock is held in another way":
        "The owner holds the lock in a way that does not fit the request; the detail says why.";
    KEY_USED = UNPROCESSABLE_ENTITY "idempotency-key-used" "The Idempotency-Key was used for another request":
        "A key stands for one request with all its fields, until two minutes after the request succeeded; for a message, as \
         long as its stream's duplicate_window says.  Send every new request with its own key, and a retry exactly as before; \
         only the time to wait may differ.";
    FENCED = CONFLICT "fenced" "The lock is not held under this fence":
        "The write needs a lock under a fence, and the lease with that fence has ended.  The present holder of the \
         lock may have written.";
    DEADLOCK = CONFLICT "deadlock" "Waiting would be a deadlock":
        "The owner holds a resource for which another owner waits, directly or through others, and now asks for \
         one of theirs; `cycle` lists them.  Release the held resources and begin again, or acquire all of them in \
         one request.";
    NO_SUCH_SESSION = NOT_FOUND "no-such-session" "There is no such session":
        "The session was closed, or was lost because no ping came in time.";
    TOO_MANY_LOCKS = SERVICE_UNAVAILABLE "too-many-locks" "A limit on locks is reached":
        "The server has reached a limit on locks, waiting requests or sessions; the detail says which.";
    CLOSED_SUBJECT = FORBIDDEN "closed-subject" "The subject is closed to publishing over HTTP":
        "Subjects that begin with `$` or `_INBOX.` belong to the talk between NATS clients and the server.  Choose another \
         subject, or publish with a NATS client.";
    NOT_FOR_USERS = FORBIDDEN "not-for-users" "The call needs the password of the server":
        "Users of the settings may publish messages and send requests over HTTP, and use WebSockets.  All else takes the \
         password that --requirepass sets.";
    SUBJECT_NOT_ALLOWED = FORBIDDEN "subject-not-allowed" "The user may not publish on this subject":
        "The lists `publish` of the user in the settings do not allow the subject; `line` names the message if there are \
         several, none of which was published.  Choose another subject, or have the lists changed.";
    MESSAGE_TOO_LARGE = PAYLOAD_TOO_LARGE "message-too-large" "The message is too large":
        "The headers and the payload of a message together are longer than the setting broker-max-payload allows; `line` \
         names the message if there are several.  Store the content and publish where it is, or raise the setting.";
    NO_RESPONDERS = SERVICE_UNAVAILABLE "no-responders" "Nobody answers requests on this subject":
        "Nobody is subscribed to the subject, or those who are cannot take more messages, so the request was sent to nobody. \
         Start a responder, or look whether the subject is spelled right: GET /subjects/{subject}/subscribers.";
    NO_ANSWER = GATEWAY_TIMEOUT "no-answer" "No answer came in time":
        "The request was sent to a subscriber, and no answer came within the time that the request allows.  Whether the \
         subscriber has acted on it is not known.  `?timeout=` sets the time in seconds.";
    TOO_MANY_FEEDS = SERVICE_UNAVAILABLE "too-many-feeds" "Too many feeds are open":
        "The server has reached its limit on feeds of messages and events, and on requests that wait for answers.  Try \
         again later, or use one feed for several subjects.";
    NO_SUCH_STREAM = NOT_FOUND "no-such-stream" "There is no such stream":
        "No stream has this name, or it was deleted meanwhile.  GET /streams lists all streams, and PUT /streams/{stream} makes \
         one.  A bucket is the stream KV_ and its name: PUT /kv/{bucket} makes one.";
    NO_SUCH_CONSUMER = NOT_FOUND "no-such-consumer" "There is no such consumer":
        "The stream has no consumer of this name, or it was deleted meanwhile.  GET /streams/{stream}/consumers lists them, and \
         PUT /streams/{stream}/consumers/{consumer} makes one.";
    NO_SUCH_MESSAGE = NOT_FOUND "no-such-message" "There is no such message":
        "The stream has no message with this sequence, or none on the subject: it never had one, or the message was removed.";
    STREAM_REFUSES = BAD_REQUEST "stream-refuses" "The stream cannot be or do that":
        "The definition of a stream or consumer, or what a message asks for in its headers, is not possible; the detail says \
         why, and `err_code` is the number of that error in the API of NATS.";
    STREAM_CONFLICT = CONFLICT "stream-conflict" "Another stream or consumer is in the way":
        "A stream or consumer of this name exists with another definition, another stream keeps messages on the same subjects, \
         or the consumers of the stream exclude one another.  The detail says which.";
    STREAM_FORBIDS = CONFLICT "stream-forbids" "The stream or consumer does not allow that":
        "The stream is sealed, or its definition forbids what was asked for; or the consumer pushes its messages, so they \
         cannot be requested.  The detail says which.";
    UNEXPECTED_SEQUENCE = PRECONDITION_FAILED "unexpected-sequence" "The stream is not as the publisher expects":
        "A header of the message says which stream, last sequence or last id its publisher expects, and that does not hold: \
         another client has published meanwhile.  Nothing was stored.  Read again and decide anew; the detail has the current state.";
    STREAM_FULL = INSUFFICIENT_STORAGE "stream-full" "The stream or the disk is full":
        "The stream has as many messages or bytes as its limits allow and refuses new ones, or the disk has no room.  Nothing was \
         stored.";
    STREAM_LIMIT = SERVICE_UNAVAILABLE "stream-limit" "A limit on streams is reached":
        "The server has as many streams as it may have, the stream as many consumers, or the consumer as many waiting requests; \
         the detail says which.";
    LEASE_LOST = CONFLICT "lease-lost" "A lease has ended":
        "A lease has expired and its message was delivered again or acknowledged meanwhile, or the consumer never delivered it.  \
         `lost` lists the tokens of such leases; the others of the request were settled.";
    INTERNAL = INTERNAL_SERVER_ERROR "internal" "The server failed":
        "An error occurred that is not the fault of the client.  The log has a line with the id of the request.";
    UNAVAILABLE = SERVICE_UNAVAILABLE "unavailable" "The server cannot do this now":
        "The server is stopping, has too many connections, or cannot write to its disk.  Try again later, or use \
         another server.";
    TOO_MUCH_IN_FLIGHT = SERVICE_UNAVAILABLE "too-much-in-flight" "Too many bytes are in flight":
        "The connection, or all connections together, have reached the limit of bytes in unread responses or \
         unanswered requests; `setting` names the limit.  Read the pending responses, and try again after the \
         seconds in Retry-After.";
    OUT_OF_MEMORY = INSUFFICIENT_STORAGE "out-of-memory" "The memory for data is used up":
        "The limit `maxmemory` is reached, and the policy does not allow evictions.";
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
