//! A message of a stream, as it is stored and read.

/// A stored message.  Sequences count from one, and a sequence never means another message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredMessage<'m> {
    /// Its place in its stream.
    pub sequence: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub time: i64,
    /// The subject that it was published on.
    pub subject: &'m [u8],
    /// A whole block of headers, `NATS/1.0` line and empty line included; empty if it has none.
    pub headers: &'m [u8],
    /// Its payload.
    pub payload: &'m [u8],
}
