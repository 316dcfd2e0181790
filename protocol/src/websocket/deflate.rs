//! Compressed messages (permessage-deflate, RFC 7692).  No message refers to an earlier one, so a thread needs one of each for
//! all its connections, and a connection has no memory for it.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::violation::Violation;
use crate::buffer::Buffer;
use crate::limits::{COMPRESSED_LENGTH_MIN, INFLATED_LENGTH_KEPT};

/// The end that every compressed message would have; it is left out on the way.
const END: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Bytes of room that a result gets at once.
const ROOM: usize = 16 * 1024;

/// Decompresses messages of clients.
pub struct Inflater {
    state: Decompress,
    inflated: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Inflater {
        Inflater { state: Decompress::new(false), inflated: Vec::new() }
    }
}

impl Inflater {
    /// The message whose compressed form is `message`.
    ///
    /// # Errors
    /// If it would have more than `length_max` bytes, which is found before it has them, or if `message` is not compressed
    /// as agreed.
    pub fn inflate(&mut self, message: &[u8], length_max: usize) -> Result<&mut [u8], Violation> {
        self.state.reset(false);
        self.inflated.clear();
        self.inflated.shrink_to(INFLATED_LENGTH_KEPT);
        for input in [message, &END] {
            if self.feed(input, length_max)? {
                break;
            }
        }
        Ok(&mut self.inflated)
    }

    /// Decompresses a piece.  Whether the message has ended by itself, which it may instead of leaving its end out.
    fn feed(&mut self, input: &[u8], length_max: usize) -> Result<bool, Violation> {
        let start = self.state.total_in();
        loop {
            let done = (self.state.total_in() - start) as usize;
            // One byte more than is allowed tells a message that is too long from one that just fits.
            let room = ROOM.min(length_max.saturating_add(1) - self.inflated.len());
            self.inflated.reserve(room);
            let status = self.state.decompress_vec(&input[done..], &mut self.inflated, FlushDecompress::Sync);
            if self.inflated.len() > length_max {
                return Err(Violation::MessageTooLong);
            }
            let done = (self.state.total_in() - start) as usize;
            match status {
                // A byte of padding may follow such an end.
                Ok(Status::StreamEnd) if input.len() - done <= 1 => return Ok(true),
                Ok(Status::StreamEnd) | Err(_) => return Err(Violation::InvalidCompression),
                Ok(_) if done == input.len() && self.inflated.len() < self.inflated.capacity() => {
                    return Ok(false);
                }
                Ok(_) => {}
            }
        }
    }
}

/// Compresses messages for clients.
pub struct Deflater {
    state: Compress,
    deflated: Vec<u8>,
}

impl Default for Deflater {
    fn default() -> Deflater {
        Deflater { state: Compress::new(Compression::fast(), false), deflated: Vec::new() }
    }
}

impl Deflater {
    /// The compressed form of a message, unless it is too short to gain by it or would not become shorter.
    pub fn deflate(&mut self, message: &Buffer) -> Option<&[u8]> {
        if message.len() < COMPRESSED_LENGTH_MIN {
            return None;
        }
        self.state.reset();
        self.deflated.clear();
        self.deflated.shrink_to(INFLATED_LENGTH_KEPT);
        for part in message.parts() {
            self.feed(part, FlushCompress::None)?;
        }
        self.feed(&[], FlushCompress::Sync)?;
        let deflated = self.deflated.strip_suffix(&END)?;
        (deflated.len() < message.len()).then_some(deflated)
    }

    /// Compresses a piece; nothing if the compressor fails, which it does not for any input.
    fn feed(&mut self, input: &[u8], flush: FlushCompress) -> Option<()> {
        let start = self.state.total_in();
        loop {
            let done = (self.state.total_in() - start) as usize;
            self.deflated.reserve(ROOM);
            self.state.compress_vec(&input[done..], &mut self.deflated, flush).ok()?;
            let done = (self.state.total_in() - start) as usize;
            // With room left, nothing is kept back for want of it.
            if done == input.len() && self.deflated.len() < self.deflated.capacity() {
                return Some(());
            }
        }
    }
}
