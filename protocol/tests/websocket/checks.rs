//! Checks of the WebSocket codec that hold for any bytes.  Property tests and fuzz targets call the same functions.

use quartet_protocol::buffer::Buffer;
use quartet_protocol::websocket::{
    CloseCode, Decoder, Deflater, Event, FrameLimits, Inflater, Kind, Violation,
};

use super::naive;

/// A message or control frame that has come whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A message and whether it is compressed.
    Message(Kind, bool, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>),
}

/// The result of reading a stream of frames.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) found: Vec<Found>,
    /// The bytes of a message that is not whole.
    pub(crate) begun: Option<Vec<u8>>,
    /// The violation that ended the stream, if one did.  Bytes of a message before it do not count.
    pub(crate) error: Option<Violation>,
}

impl Reading {
    pub(crate) fn failed(self, error: Violation) -> Reading {
        Reading { begun: None, error: Some(error), ..self }
    }
}

/// No limits that a test meets.
pub(crate) const HIGH_LIMITS: FrameLimits = FrameLimits { frame_length: u64::MAX, message_length: u64::MAX };

/// Limits low enough to be met by short streams.
pub(crate) const LOW_LIMITS: FrameLimits = FrameLimits { frame_length: 20, message_length: 30 };

/// The reading of `pieces`, received one after the other.
pub(crate) fn read<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    takes_compression: bool,
    limits: &FrameLimits,
) -> Reading {
    let mut decoder = Decoder::new(takes_compression);
    let (mut reading, mut message) = (Reading::default(), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        while !input.is_empty() {
            let step = match decoder.step(input, limits) {
                Ok(step) => step,
                Err(error) => return reading.failed(error),
            };
            assert!(0 < step.consumed && step.consumed <= input.len());
            match step.event {
                Event::NeedMore => assert_eq!(step.consumed, input.len()),
                Event::Data(data) => {
                    assert!(!data.range.is_empty() || data.ends_message);
                    message.extend_from_slice(&input[data.range]);
                    if data.ends_message {
                        let message = std::mem::take(&mut message);
                        reading.found.push(Found::Message(data.kind, data.is_compressed, message));
                    }
                }
                Event::Ping(payload) => reading.found.push(Found::Ping(payload.to_vec())),
                Event::Pong(payload) => reading.found.push(Found::Pong(payload.to_vec())),
                Event::Close(code) => {
                    // Nobody waits for the rest of a message.
                    message.clear();
                    reading.found.push(Found::Close(code));
                }
            }
            input = &mut input[step.consumed..];
        }
    }
    let begun = Some(message).filter(|bytes| !bytes.is_empty());
    Reading { begun, ..reading }
}

/// Cuts `stream` into pieces whose lengths are taken in turn from `lengths` (plus one, so that none is empty).
fn cut<'a>(mut stream: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut lengths = lengths.iter().cycle();
    while !stream.is_empty() {
        let length = lengths.next().map_or(stream.len(), |&length| usize::from(length) + 1);
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

/// A stream reads as by the naive twin, however it is cut.
pub(crate) fn frames(stream: &[u8], lengths: &[u8]) {
    for takes_compression in [false, true] {
        for limits in [HIGH_LIMITS, LOW_LIMITS] {
            let expected = naive::read(stream, takes_compression, &limits);
            for pieces in [vec![stream], cut(stream, lengths), cut(stream, &[0])] {
                assert_eq!(read(pieces, takes_compression, &limits), expected);
            }
        }
    }
}

/// The same, with everything taken from one input: the number of piece lengths, the lengths, and the stream.
pub(crate) fn frames_input(input: &[u8]) {
    let Some((&count, rest)) = input.split_first() else { return };
    let (lengths, stream) = rest.split_at(usize::from(count % 8).min(rest.len()));
    frames(stream, lengths);
}

/// Any bytes are decompressed or refused, and never to more than the limit.
pub(crate) fn inflate(message: &[u8], length_max: usize) {
    let mut inflater = Inflater::default();
    let Ok(once) = inflater.inflate(message, length_max) else { return };
    assert!(once.len() <= length_max);
    let once = once.to_vec();
    assert_eq!(inflater.inflate(message, length_max), Ok(&mut once.clone()[..]), "it remembers nothing");
    assert_eq!(inflater.inflate(message, once.len()), Ok(&mut once.clone()[..]));
    if let Some(less) = once.len().checked_sub(1) {
        assert_eq!(inflater.inflate(message, less), Err(Violation::MessageTooLong));
    }
}

/// Any message comes back as it was.
pub(crate) fn deflate(message: &[u8]) {
    let mut plain = Buffer::new();
    plain.extend(message);
    let mut deflater = Deflater::default();
    let Some(compressed) = deflater.deflate(&plain).map(<[u8]>::to_vec) else { return };
    assert!(compressed.len() < message.len());
    assert_eq!(deflater.deflate(&plain), Some(&compressed[..]), "it remembers nothing");
    assert_eq!(Inflater::default().inflate(&compressed, message.len()).as_deref(), Ok(message));
}
