//! The types of values, without how they are kept (see `entries`).

use bytes::Bytes;

use crate::refusal::Refusal;

/// Milliseconds on the server's own clock (see `clock`), after which a key or a field of a hash is gone.
pub type Deadline = u64;

/// The type of the value that a key holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ValueType {
    /// A string of bytes.
    String,
    /// Fields with values.
    Hash,
    /// Elements in an order.
    List,
    /// Members.
    Set,
    /// Members in the order of their scores.
    SortedSet,
    /// State of a service, which is not evicted and which that service alone understands.
    Pinned,
}

impl ValueType {
    /// The name of the type, as TYPE answers it; that of pinned entries is given.
    pub fn name(self, pinned: &'static str) -> &'static str {
        match self {
            ValueType::String => "string",
            ValueType::Hash => "hash",
            ValueType::List => "list",
            ValueType::Set => "set",
            ValueType::SortedSet => "zset",
            ValueType::Pinned => pinned,
        }
    }
}

/// The key holds a value of another type than was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongType;

impl From<WrongType> for Refusal {
    fn from(WrongType: WrongType) -> Refusal {
        Refusal::WRONG_TYPE
    }
}

/// The media type of a string, for example `text/html`: kept beside it for clients that fetch it over HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContentType<'a>(&'a str);

impl<'a> ContentType<'a> {
    /// The longest one, in bytes: its length is kept in one.
    pub const LENGTH_MAX: usize = u8::MAX as usize;

    /// None if the text is too long to be kept.
    pub fn new(text: &'a str) -> Option<ContentType<'a>> {
        (text.len() <= ContentType::LENGTH_MAX).then_some(ContentType(text))
    }

    /// The text.
    pub fn text(self) -> &'a str {
        self.0
    }
}

/// A string as it is kept.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// The bytes lie in the entry.
    Inline(&'a [u8]),
    /// The bytes are shared and can be handed out without a copy.
    Shared(&'a Bytes),
}

impl<'a> Value<'a> {
    /// The bytes, wherever they lie.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Value::Inline(bytes) => bytes,
            Value::Shared(bytes) => bytes,
        }
    }
}
