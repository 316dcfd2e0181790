//! The frames of the server, which are never masked.  Each is a whole message.

use crate::buffer::Buffer;
use crate::limits::{WEBSOCKET_CONTROL_LENGTH_MAX, WEBSOCKET_FRAME_LENGTH_MAX};

use super::decode::Kind;
use super::deflate::Deflater;
use super::{COMPRESSED, CloseCode, FINAL, LENGTH_IN_EIGHT_BYTES, LENGTH_IN_TWO_BYTES, Opcode};

/// Appends the bytes of a stream to `output` and clears `stream`.  Where its frames begin and end means nothing, so they are
/// cut at a length that every client takes.
pub fn binary(stream: &mut Buffer, mut deflater: Option<&mut Deflater>, output: &mut Buffer) {
    while stream.len() > WEBSOCKET_FRAME_LENGTH_MAX {
        let mut front = stream.split_to(WEBSOCKET_FRAME_LENGTH_MAX);
        message(Kind::Binary, &mut front, deflater.as_deref_mut(), output);
    }
    if !stream.is_empty() {
        message(Kind::Binary, stream, deflater, output);
    }
}

/// Appends a message to `output` and clears `contents`.  With a deflater it is compressed if that makes it shorter.
pub fn message(kind: Kind, contents: &mut Buffer, deflater: Option<&mut Deflater>, output: &mut Buffer) {
    let opcode = match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    };
    if let Some(compressed) = deflater.and_then(|deflater| deflater.deflate(contents)) {
        head(opcode as u8 | FINAL | COMPRESSED, compressed.len(), output);
        output.extend(compressed);
        return contents.clear();
    }
    head(opcode as u8 | FINAL, contents.len(), output);
    output.append(contents);
}

/// Appends a ping.
pub fn ping(output: &mut Buffer) {
    control(Opcode::Ping, &[], output);
}

/// Appends the answer to a ping.
pub fn pong(payload: &[u8], output: &mut Buffer) {
    control(Opcode::Pong, payload, output);
}

/// Appends the last frame, with the reason for a person; what does not fit of it is left out.
pub fn close(code: CloseCode, reason: &str, output: &mut Buffer) {
    let code = code.number().to_be_bytes();
    let room = WEBSOCKET_CONTROL_LENGTH_MAX - code.len();
    let reason = &reason[..reason.floor_char_boundary(room)];
    control(Opcode::Close, &[&code, reason.as_bytes()].concat(), output);
}

fn control(opcode: Opcode, payload: &[u8], output: &mut Buffer) {
    debug_assert!(payload.len() <= WEBSOCKET_CONTROL_LENGTH_MAX);
    head(opcode as u8 | FINAL, payload.len(), output);
    output.extend(payload);
}

fn head(first: u8, length: usize, output: &mut Buffer) {
    if length < usize::from(LENGTH_IN_TWO_BYTES) {
        return output.extend(&[first, length as u8]);
    }
    match u16::try_from(length) {
        Ok(length) => {
            let [high, low] = length.to_be_bytes();
            output.extend(&[first, LENGTH_IN_TWO_BYTES, high, low]);
        }
        Err(_) => {
            output.extend(&[first, LENGTH_IN_EIGHT_BYTES]);
            output.extend(&(length as u64).to_be_bytes());
        }
    }
}
