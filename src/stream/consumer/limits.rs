//! What a consumer holds at most, and how much it does in one turn.

/// Messages that one consumer may have delivered without an acknowledgement, also if its definition sets no limit: some
/// 200 MB of what is known of them.
pub const PENDING_MAX: usize = 1 << 22;

/// Messages put off by a negative acknowledgement with a delay that give back their slots.  Beyond it they keep them, so
/// that a consumer which puts everything off does not walk through its whole stream.
pub const DELAYED_MAX: usize = 1 << 16;

/// Messages whose time for an acknowledgement has passed that one turn deals with; the rest follow in the next.
pub const EXPIRED_PER_TURN: usize = 10_000;

/// Bytes on their way to a push consumer with flow control, at most.
pub const FLOW_WINDOW_MAX: usize = 32 << 20;

/// Bytes on their way at first.  Every answer of the client doubles the window.
pub const FLOW_WINDOW_START: usize = FLOW_WINDOW_MAX / 16;

/// How much of the time of a push consumer with a rate limit is spent at once, in microseconds: it sends as much as the rate
/// allows in this time, then waits, instead of waking up for each message.
pub const RATE_BURST_MICROS: u64 = 100_000;

/// Requests that wait at one consumer, also if its definition allows more.
pub const WAITING_MAX: usize = 1 << 16;

/// How long a consumer waits before it tries again to read what the disk has refused, in microseconds.
pub const HOLD_MICROS: u64 = 1_000_000;

/// How often it waits so in vain.  Then it passes over what the disk refuses, so that bad sectors do not stop it for good; after a turn
/// that reads nothing it pauses as long as for a wait, so that a disk that reads nothing does not have it walk through its stream.
pub const HOLDS_MAX: u32 = 5;

/// After how long one such wait in vain is forgotten, in microseconds: bad sectors hold a consumer for a tenth of its time at most.
pub const HOLD_BACK_MICROS: u64 = 10 * HOLD_MICROS;
