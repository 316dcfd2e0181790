//! WebSocket (RFC 6455) as a server speaks it: frames of clients are decoded in place and as they come, frames for clients
//! are encoded, and the parts of the handshake that are mere texts are computed.
//!
//! | file | what it is |
//! |---|---|
//! | `handshake` | the answer to a key, the choice of a subprotocol, the negotiation of compression |
//! | `decode` | the decoder of one connection's frames |
//! | `mask` | takes the mask off |
//! | `text` | checks UTF-8 that comes in pieces |
//! | `encode` | the frames of the server |
//! | `deflate` | compressed messages (RFC 7692), each by itself |
//! | `close`, `violation` | the codes of closing, and why the server closes |

mod close;
mod decode;
mod deflate;
mod encode;
pub mod handshake;
mod mask;
mod text;
mod violation;

pub use close::CloseCode;
pub use decode::{Data, Decoder, Event, FrameLimits, Kind, Step};
pub use deflate::{Deflater, Inflater};
pub use encode::{binary, close, message, ping, pong};
pub use text::{InvalidUtf8, Utf8Check};
pub use violation::Violation;

/// The meaning of a frame, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

/// All of them.
const OPCODES: [Opcode; 6] =
    [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];

impl Opcode {
    /// The meaning of this number; the others are reserved.
    fn of(number: u8) -> Option<Opcode> {
        OPCODES.into_iter().find(|&opcode| opcode as u8 == number)
    }

    /// Whether the frame is about the connection and may stand between the frames of a message.
    fn is_control(self) -> bool {
        self as u8 >= Opcode::Close as u8
    }
}

/// The first byte of a frame: the frame is the last of its message.
const FINAL: u8 = 0x80;

/// The first byte of a frame: its message is compressed.
const COMPRESSED: u8 = 0x40;

/// The first byte of a frame: bits that no agreed extension gives a meaning.
const RESERVED: u8 = 0x30;

/// The second byte of a frame: its payload is masked.
const MASKED: u8 = 0x80;

/// The length in the second byte that says that the length follows in two bytes.
const LENGTH_IN_TWO_BYTES: u8 = 126;

/// The same for eight bytes.
const LENGTH_IN_EIGHT_BYTES: u8 = 127;
