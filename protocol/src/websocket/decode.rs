//! The decoder of one connection's frames.  It takes their payloads out in place and piece by piece, so a frame of any length
//! takes no memory.

use std::ops::Range;

use super::mask::unmask;
use super::text::Utf8Check;
use super::violation::Violation;
use super::{
    COMPRESSED, CloseCode, FINAL, LENGTH_IN_EIGHT_BYTES, LENGTH_IN_TWO_BYTES, MASKED, Opcode, RESERVED,
};
use crate::limits::WEBSOCKET_CONTROL_LENGTH_MAX;

/// The bytes of the longest head: two, a length in eight, the mask.
const HEAD_LENGTH_MAX: usize = 14;

/// The bytes of a mask.
const MASK_LENGTH: usize = 4;

/// The limits of what a client sends.  They are looked at when a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// The bytes of one frame's payload.
    pub frame_length: u64,
    /// The bytes of one message, before it is decompressed.
    pub message_length: u64,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What the decoder has found, and how far it has come.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'d> {
    /// The bytes of the input that are done with; the next call gets those behind them.
    pub consumed: usize,
    /// See [`Event`].
    pub event: Event<'d>,
}

/// What a client has sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'d> {
    /// Nothing more that is whole: all input is done with.
    NeedMore,
    /// A piece of a message.
    Data(Data),
    /// The client asks for a pong with this payload.
    Ping(&'d [u8]),
    /// A pong, which nobody has asked for.
    Pong(&'d [u8]),
    /// The client closes the connection, with its code if it gave one.  What it sends afterwards is ignored.
    Close(Option<CloseCode>),
}

/// A piece of a message, as long as the input has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Its place in the input, unmasked.
    pub range: Range<usize>,
    /// The kind of its message.
    pub kind: Kind,
    /// Its message is compressed, and if it is a text, nobody has checked it yet.
    pub is_compressed: bool,
    /// Its message ends with it.
    pub ends_message: bool,
}

/// A message that has begun.
#[derive(Clone, Copy, Debug)]
struct Message {
    kind: Kind,
    is_compressed: bool,
    length: u64,
}

/// Where the decoder is in its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    Payload,
    /// Behind the closing frame.
    Closed,
}

/// See the module's text.
#[derive(Debug)]
pub struct Decoder {
    takes_compression: bool,
    place: Place,
    /// The head of the frame, as far as it has come.
    head: [u8; HEAD_LENGTH_MAX],
    head_length: u8,
    /// The frame that has begun.
    opcode: Opcode,
    is_final: bool,
    /// The mask of its next byte.
    key: [u8; MASK_LENGTH],
    /// The bytes of its payload that are still to come.
    left: u64,
    /// The message that has begun and not ended.
    message: Option<Message>,
    text: Utf8Check,
    /// The payload of a control frame.
    control: Vec<u8>,
}

impl Decoder {
    /// The decoder of a new connection, on which compression was agreed or not.
    pub fn new(takes_compression: bool) -> Decoder {
        Decoder {
            takes_compression,
            place: Place::Head,
            head: [0; HEAD_LENGTH_MAX],
            head_length: 0,
            opcode: Opcode::Binary,
            is_final: true,
            key: [0; MASK_LENGTH],
            left: 0,
            message: None,
            text: Utf8Check::default(),
            control: Vec::new(),
        }
    }

    /// Decodes up to the next event.  The input is changed in place.
    ///
    /// # Errors
    /// If the client breaks the protocol or exceeds a limit.  The decoder is of no use afterwards.
    pub fn step(&mut self, input: &mut [u8], limits: &FrameLimits) -> Result<Step<'_>, Violation> {
        let mut at = 0;
        loop {
            match self.place {
                Place::Closed => return Ok(Step { consumed: input.len(), event: Event::NeedMore }),
                Place::Head => {
                    at += self.take_head(&input[at..], limits)?;
                    if self.place == Place::Head {
                        return Ok(Step { consumed: at, event: Event::NeedMore });
                    }
                }
                Place::Payload => {}
            }
            let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len() - at);
            let piece = &mut input[at..at + length];
            self.key = unmask(piece, self.key);
            self.left -= length as u64;
            at += length;
            if self.left == 0 {
                (self.place, self.head_length) = (Place::Head, 0);
            }
            if self.opcode.is_control() {
                self.control.extend_from_slice(piece);
                if self.left > 0 {
                    return Ok(Step { consumed: at, event: Event::NeedMore });
                }
                return self.control_event().map(|event| Step { consumed: at, event });
            }
            if let Some(data) = self.data(piece, at)? {
                return Ok(Step { consumed: at, event: Event::Data(data) });
            }
            if self.left > 0 {
                return Ok(Step { consumed: at, event: Event::NeedMore });
            }
        }
    }

    /// Takes bytes of a head and returns their number.  The frame has begun once the head is whole.
    fn take_head(&mut self, input: &[u8], limits: &FrameLimits) -> Result<usize, Violation> {
        let mut taken = 0;
        loop {
            let have = usize::from(self.head_length);
            let want = if have < 2 { 2 } else { head_length(self.head[1]) };
            if have == want {
                self.begin(limits)?;
                return Ok(taken);
            }
            let count = (want - have).min(input.len() - taken);
            if count == 0 {
                return Ok(taken);
            }
            self.head[have..have + count].copy_from_slice(&input[taken..taken + count]);
            self.head_length += count as u8;
            taken += count;
            if have < 2 && self.head_length == 2 {
                self.check_start()?;
            }
        }
    }

    /// Checks the first two bytes of a head.
    fn check_start(&mut self) -> Result<(), Violation> {
        let [first, second, ..] = self.head;
        let opcode = Opcode::of(first & 0x0f).ok_or(Violation::UnknownOpcode)?;
        let begins_message = matches!(opcode, Opcode::Text | Opcode::Binary);
        let may_be_compressed = self.takes_compression && begins_message;
        if first & RESERVED != 0 || (first & COMPRESSED != 0 && !may_be_compressed) {
            return Err(Violation::ReservedBits);
        }
        if second & MASKED == 0 {
            return Err(Violation::Unmasked);
        }
        if opcode.is_control() {
            if first & FINAL == 0 {
                return Err(Violation::FragmentedControl);
            }
            if usize::from(second & !MASKED) > WEBSOCKET_CONTROL_LENGTH_MAX {
                return Err(Violation::ControlTooLong);
            }
        }
        match (opcode, &self.message) {
            (Opcode::Continuation, None) => return Err(Violation::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Violation::UnfinishedMessage),
            _ => {}
        }
        (self.opcode, self.is_final) = (opcode, first & FINAL != 0);
        Ok(())
    }

    /// Begins the frame whose head is whole.
    fn begin(&mut self, limits: &FrameLimits) -> Result<(), Violation> {
        let head = &self.head[..usize::from(self.head_length)];
        let (head, key) = head.split_last_chunk().expect("every frame is masked");
        self.key = *key;
        self.left = payload_length(head)?;
        self.place = Place::Payload;
        self.control.clear();
        if self.opcode.is_control() {
            return Ok(());
        }
        if self.left > limits.frame_length {
            return Err(Violation::FrameTooLong);
        }
        let message = self.message.get_or_insert(Message {
            kind: if self.opcode == Opcode::Text { Kind::Text } else { Kind::Binary },
            is_compressed: self.head[0] & COMPRESSED != 0,
            length: 0,
        });
        message.length = message.length.saturating_add(self.left);
        if message.length > limits.message_length {
            return Err(Violation::MessageTooLong);
        }
        Ok(())
    }

    /// The piece that ends at `end`; none if it is empty and ends nothing.
    fn data(&mut self, piece: &[u8], end: usize) -> Result<Option<Data>, Violation> {
        let Some(Message { kind, is_compressed, .. }) = self.message else { return Ok(None) };
        let ends_message = self.left == 0 && self.is_final;
        if kind == Kind::Text && !is_compressed {
            self.text.check(piece)?;
            if ends_message {
                self.text.end()?;
            }
        }
        if ends_message {
            self.message = None;
        }
        let range = end - piece.len()..end;
        let is_event = !piece.is_empty() || ends_message;
        Ok(is_event.then_some(Data { range, kind, is_compressed, ends_message }))
    }

    /// The control frame that is whole.
    fn control_event(&mut self) -> Result<Event<'_>, Violation> {
        match self.opcode {
            Opcode::Ping => return Ok(Event::Ping(&self.control)),
            Opcode::Close => {}
            _ => return Ok(Event::Pong(&self.control)),
        }
        self.place = Place::Closed;
        let Some((number, reason)) = self.control.split_first_chunk() else {
            return if self.control.is_empty() {
                Ok(Event::Close(None))
            } else {
                Err(Violation::InvalidClose)
            };
        };
        let code = CloseCode::of(u16::from_be_bytes(*number)).ok_or(Violation::InvalidClose)?;
        match std::str::from_utf8(reason) {
            Ok(_) => Ok(Event::Close(Some(code))),
            Err(_) => Err(Violation::InvalidUtf8),
        }
    }
}

/// The bytes of the head whose second byte this is.
fn head_length(second: u8) -> usize {
    let length = match second & !MASKED {
        LENGTH_IN_TWO_BYTES => 2,
        LENGTH_IN_EIGHT_BYTES => 8,
        _ => 0,
    };
    2 + length + MASK_LENGTH
}

/// The length of the payload behind this head, which comes without its mask.
fn payload_length(head: &[u8]) -> Result<u64, Violation> {
    let (length, least) = match *head {
        [_, second] => return Ok(u64::from(second & !MASKED)),
        [_, _, high, low] => (u64::from(u16::from_be_bytes([high, low])), u64::from(LENGTH_IN_TWO_BYTES)),
        [_, _, a, b, c, d, e, f, g, h] => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 1 << 16),
        _ => return Err(Violation::InvalidLength),
    };
    if length < least || length > i64::MAX as u64 {
        return Err(Violation::InvalidLength);
    }
    Ok(length)
}
