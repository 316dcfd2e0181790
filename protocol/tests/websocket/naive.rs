//! The naive twin of the decoder of WebSocket frames: the same rules, written for reading only, from the whole stream.

use quartet_protocol::websocket::{CloseCode, FrameLimits, Kind, Violation};

use super::checks::{Found, Reading};

/// One frame, as much of it as has come.
struct Frame<'s> {
    first: u8,
    length: u64,
    payload: Vec<u8>,
    rest: &'s [u8],
}

impl Frame<'_> {
    fn is_whole(&self) -> bool {
        self.payload.len() as u64 == self.length
    }
}

/// The reading of the whole `stream`.
pub(crate) fn read(mut stream: &[u8], takes_compression: bool, limits: &FrameLimits) -> Reading {
    let mut reading = Reading::default();
    // The first byte of the first frame, and the bytes.
    let mut message: Option<(u8, Vec<u8>)> = None;
    // The bytes that its frames have announced.
    let mut announced = 0;
    loop {
        let frame = match frame(stream, message.is_some(), takes_compression) {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(error) => return reading.failed(error),
        };
        let opcode = frame.first & 0x0f;
        if opcode >= 8 {
            if !frame.is_whole() {
                break;
            }
            stream = frame.rest;
            match opcode {
                9 => reading.found.push(Found::Ping(frame.payload)),
                10 => reading.found.push(Found::Pong(frame.payload)),
                _ => match close(&frame.payload) {
                    Ok(code) => {
                        reading.found.push(Found::Close(code));
                        return reading;
                    }
                    Err(error) => return reading.failed(error),
                },
            }
            continue;
        }
        let (first, bytes) = message.get_or_insert((frame.first, Vec::new()));
        if opcode != 0 {
            announced = 0;
        }
        announced += frame.length;
        if frame.length > limits.frame_length {
            return reading.failed(Violation::FrameTooLong);
        }
        if announced > limits.message_length {
            return reading.failed(Violation::MessageTooLong);
        }
        bytes.extend(&frame.payload);
        let ends = frame.is_whole() && frame.first & 0x80 != 0;
        let (kind, is_compressed) = (kind(*first), *first & 0x40 != 0);
        if kind == Kind::Text && !is_compressed && !is_text(bytes, ends) {
            return reading.failed(Violation::InvalidUtf8);
        }
        if !frame.is_whole() {
            break;
        }
        stream = frame.rest;
        if ends {
            reading.found.push(Found::Message(kind, is_compressed, std::mem::take(bytes)));
            message = None;
        }
    }
    reading.begun = message.map(|(_, bytes)| bytes).filter(|bytes| !bytes.is_empty());
    reading
}

fn kind(first: u8) -> Kind {
    if first & 0x0f == 1 { Kind::Text } else { Kind::Binary }
}

/// Whether the bytes are a text, or begin one.
fn is_text(bytes: &[u8], is_whole: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && !is_whole,
    }
}

/// The frame at the start of `stream`, or nothing if its head is not whole.
fn frame(
    stream: &[u8],
    is_inside_message: bool,
    takes_compression: bool,
) -> Result<Option<Frame<'_>>, Violation> {
    let &[first, second, ref rest @ ..] = stream else { return Ok(None) };
    let opcode = first & 0x0f;
    if !matches!(opcode, 0..=2 | 8..=10) {
        return Err(Violation::UnknownOpcode);
    }
    let is_compressed = first & 0x40 != 0;
    if first & 0x30 != 0 || (is_compressed && !(takes_compression && matches!(opcode, 1 | 2))) {
        return Err(Violation::ReservedBits);
    }
    if second & 0x80 == 0 {
        return Err(Violation::Unmasked);
    }
    if opcode >= 8 && first & 0x80 == 0 {
        return Err(Violation::FragmentedControl);
    }
    if opcode >= 8 && second & 0x7f > 125 {
        return Err(Violation::ControlTooLong);
    }
    if opcode == 0 && !is_inside_message {
        return Err(Violation::UnexpectedContinuation);
    }
    if matches!(opcode, 1 | 2) && is_inside_message {
        return Err(Violation::UnfinishedMessage);
    }
    let width = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if rest.len() < width + 4 {
        return Ok(None);
    }
    let (long, rest) = rest.split_at(width);
    let (mask, rest) = rest.split_at(4);
    let length = match width {
        0 => u64::from(second & 0x7f),
        _ => long.iter().fold(0, |length, &byte| length << 8 | u64::from(byte)),
    };
    let is_shortest = match width {
        0 => true,
        2 => length >= 126,
        _ => (65_536..1 << 63).contains(&length),
    };
    if !is_shortest {
        return Err(Violation::InvalidLength);
    }
    let have = rest.len().min(usize::try_from(length).unwrap_or(usize::MAX));
    let payload = rest[..have].iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
    Ok(Some(Frame { first, length, payload, rest: &rest[have..] }))
}

fn close(payload: &[u8]) -> Result<Option<CloseCode>, Violation> {
    let &[high, low, ref reason @ ..] = payload else {
        return if payload.is_empty() { Ok(None) } else { Err(Violation::InvalidClose) };
    };
    let code = CloseCode::of(u16::from(high) << 8 | u16::from(low)).ok_or(Violation::InvalidClose)?;
    if std::str::from_utf8(reason).is_err() {
        return Err(Violation::InvalidUtf8);
    }
    Ok(Some(code))
}
