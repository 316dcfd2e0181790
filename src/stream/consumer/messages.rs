//! What a consumer asks about the messages of its stream.

use crate::stream::filter::Filter;

/// The messages that everybody may see: those on the disk.  It must agree with what the consumer was told at every
/// call, so its owner holds the stream's lock across the change of messages and the consumer's `published`, `removed` or
/// `swept`.
pub trait Messages {
    /// The first sequence that is there; one more than [`Messages::last`] if there is none.
    fn first(&self) -> u64;

    /// The last sequence that was given and may be seen, whether or not its message is still there.
    fn last(&self) -> u64;

    /// The first message from `from` on, itself included, that matches.
    fn next(&self, from: u64, filter: &Filter) -> Option<u64>;

    /// How many messages from `from` on, itself included, match.
    fn count(&self, from: u64, filter: &Filter) -> u64;

    /// How many messages from `from` on, itself included, damage has made unknown.  They match every filter.
    fn unknown(&self, from: u64) -> u64;

    /// The last message that matches.
    fn last_matching(&self, filter: &Filter) -> Option<u64>;

    /// The last message of each subject that matches, in ascending order.
    fn last_per_subject(&self, filter: &Filter) -> Vec<u64>;

    /// The first sequence stored at or after a time in nanoseconds since 1970; one more than [`Messages::last`] if none
    /// was.
    fn since(&self, time: i64) -> u64;

    /// Whether the message is there.
    fn holds(&self, sequence: u64) -> bool;

    /// When a message was stored, in nanoseconds since 1970.  Asked only for a replay with the original pauses.
    fn time(&self, sequence: u64) -> i64;

    /// How long the parts of a message are.  Asked only where a limit in bytes needs it.
    fn size(&self, sequence: u64) -> Size;
}

/// Bytes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// Of its subject.
    pub subject: usize,
    /// Of its block of headers.
    pub headers: usize,
    /// Of its payload.
    pub payload: usize,
}
