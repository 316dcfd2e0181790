//! What the server says to a client besides messages: a JSON object per line.

use quartet_protocol::buffer::Buffer;
use serde::Serialize;

/// Makes [`ErrorCode`] with its names.
macro_rules! error_codes {
    ($($(#[$text:meta])* $code:ident = $name:literal,)*) => {
        /// The kind of an error.  Programs compare its name, so that never changes.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum ErrorCode { $($(#[$text])* $code,)* }

        impl ErrorCode {
            fn name(self) -> &'static str {
                match self { $(ErrorCode::$code => $name,)* }
            }
        }
    };
}

error_codes! {
    /// The frame has no JSON object, or a field is unknown or of another type.
    InvalidRequest = "invalid_request",
    /// The operation is unknown.
    UnknownOperation = "unknown_op",
    /// A field has a value that is not allowed, or is missing.
    InvalidField = "invalid_field",
    /// The client has to give its password first, or has given a wrong one.  The conversation ends.
    Unauthorized = "unauthorized",
    /// The client's permissions do not allow it.
    Forbidden = "forbidden",
    /// A subscription with this id exists already, or a request waits under it.
    IdInUse = "id_in_use",
    /// There is no subscription with this id.
    NoSuchSubscription = "no_such_subscription",
    /// There is no stream with this name.
    NoSuchStream = "no_such_stream",
    /// The client has as many subscriptions, or requests that wait, as it may have.
    TooMany = "too_many",
    /// The message is longer than the setting allows.
    TooLarge = "too_large",
    /// Nobody is subscribed to the subject of a request.
    NoResponders = "no_responders",
    /// No answer came in time.
    Timeout = "timeout",
    /// The client has answered no ping.  The conversation ends.
    Stale = "stale",
    /// The server has failed; its log says why.
    Internal = "internal",
}

/// Why an operation is refused or has failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }
}

/// Everything that an answer may have.
#[derive(Default, Serialize)]
#[serde(default)]
pub(super) struct Answer<'a> {
    pub(super) op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'a str>,
    /// The stream that is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<&'a str>,
    /// Which stream of its name it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) epoch: Option<&'a str>,
    /// The sequence at which it is read from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<u64>,
    /// Subscriptions that got a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receivers: Option<usize>,
    /// Messages that a subscription has missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<&'a str>,
}

impl<'a> Answer<'a> {
    /// The answer `op` to the operation with this id.
    pub(super) fn new(op: &'static str, id: Option<&'a str>) -> Answer<'a> {
        Answer { op, id, ..Answer::default() }
    }

    /// The answer to an operation that has failed.
    pub(super) fn error(failure: &'a Failure, id: Option<&'a str>) -> Answer<'a> {
        let Failure { code, message } = failure;
        Answer { code: Some(code.name()), message: Some(message), ..Answer::new("error", id) }
    }
}

/// What the server says of itself at the start, and again when it is about to stop.
#[derive(Serialize)]
pub(super) struct Info {
    pub(super) op: &'static str,
    pub(super) server: &'static str,
    pub(super) version: &'static str,
    /// The number of the client.
    pub(super) client: u64,
    /// Whether the first operation has to be `connect` with a password.
    pub(super) auth_required: bool,
    /// Bytes of a message's headers and payload.
    pub(super) max_payload: usize,
    /// The server is about to stop: connect to another one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_stopping: bool,
}

/// Appends a line.
pub(super) fn write(output: &mut Buffer, object: &impl Serialize) {
    output.extend(&serde_json::to_vec(object).expect("it holds nothing that JSON cannot say"));
    output.extend(b"\n");
}
