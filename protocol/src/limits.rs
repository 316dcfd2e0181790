//! Every limit of the wire formats, by name and with its reason.

/// The arguments one request may announce: Redis counts them in a C `int`.
pub const MULTIBULK_LENGTH_MAX: usize = i32::MAX as usize;

/// The bytes one argument may have: Redis' default `proto-max-bulk-len`.
pub const BULK_LENGTH_MAX: usize = 512 * 1024 * 1024;

/// The bytes an inline request may have before its line end; also how far a length line is searched for its
/// end.  A peer that sends more without a line end speaks another protocol.
pub const INLINE_LENGTH_MAX: usize = 64 * 1024;

/// The arguments a client may announce before it has authenticated, so that an unknown client cannot fill the
/// server's memory.
pub const UNAUTHENTICATED_MULTIBULK_LENGTH_MAX: usize = 10;

/// The bytes of one argument before the client has authenticated, for the same reason.
pub const UNAUTHENTICATED_BULK_LENGTH_MAX: usize = 16 * 1024;

/// The unread bytes a connection may gather for one request: Redis' default `client-query-buffer-limit`.  The
/// parser does not enforce it; the owner of the buffer closes the connection beyond it.
pub const REQUEST_LENGTH_MAX: usize = 1024 * 1024 * 1024;

/// The bytes of a buffer the parser looks at: spans are 32 bits wide.  Far above [`REQUEST_LENGTH_MAX`].
pub(crate) const PARSED_LENGTH_MAX: usize = u32::MAX as usize;

/// The argument spans a batch keeps room for between reads (64 KiB), so that a worker does not keep the memory
/// of one enormous request.
pub const BATCH_SPANS_KEPT: usize = 8 * 1024;

/// The bytes a buffer keeps room for when it is cleared, for the same reason.
pub const BUFFER_CAPACITY_KEPT: usize = 1024 * 1024;

/// An argument from this size on may be kept as a part of the buffer it came in; shorter ones are copied.
pub const KEPT_LENGTH_MIN: usize = 32 * 1024;

/// From this size a shared payload is spliced into the buffer; below it, copying is cheaper than one more
/// slice in a vectored write.
pub const SPLICED_LENGTH_MIN: usize = 1024;

/// The bytes the arguments of a NATS operation may have unless a setting says otherwise: nats-server's default
/// `max_control_line`.
pub const CONTROL_LINE_LENGTH: usize = 4096;

/// The bytes a message's headers and payload may have unless a setting says otherwise: nats-server's default `max_payload`.
pub const PAYLOAD_LENGTH: usize = 1024 * 1024;

/// The digits a length in a NATS operation may have.  It is as many as nats-server reads.
pub const LENGTH_DIGITS: usize = 9;

/// The highest limit of a message's length that makes sense: the longest that [`LENGTH_DIGITS`] can say.
pub const PAYLOAD_LENGTH_MAX: usize = 999_999_999;

/// The bytes of the payload of a WebSocket control frame (RFC 6455, section 5.5).
pub const WEBSOCKET_CONTROL_LENGTH_MAX: usize = 125;

/// The bytes of one WebSocket frame of a stream.  Several clients refuse messages above 1 MiB or 4 MiB unless told
/// otherwise, and browsers gather a message whole before a page sees any of it; a head of four bytes does up to here.
pub const WEBSOCKET_FRAME_LENGTH_MAX: usize = 65_535;

/// Shorter messages are not compressed: hardly any becomes shorter.
pub const COMPRESSED_LENGTH_MIN: usize = 64;

/// The bytes a thread keeps room for between messages that it compresses or decompresses, for the reason of
/// [`BUFFER_CAPACITY_KEPT`].
pub const INFLATED_LENGTH_KEPT: usize = 256 * 1024;
