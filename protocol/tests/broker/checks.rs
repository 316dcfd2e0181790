//! Checks that hold for any bytes that a client may send.  Property tests and fuzz targets call the same functions.

use quartet_protocol::broker::{Limits, Malformation, Operation, Parser, Step};

use super::naive;

/// The result of reading a stream of operations.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading<'a> {
    pub(crate) operations: Vec<Operation<'a>>,
    /// The bytes of whole operations.
    pub(crate) consumed: usize,
    /// The violation of the protocol that ended the stream, if one did.
    pub(crate) malformation: Option<Malformation>,
}

/// Limits low enough to be met by short streams.
pub(crate) const LOW_LIMITS: Limits = Limits { control_line: 24, payload: 12 };

/// The reading of `stream`, of which the bytes up to each of `ends` have come when the parser is asked, and then all.
pub(crate) fn read<'a>(
    stream: &'a [u8],
    ends: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> Reading<'a> {
    let mut parser = Parser::new();
    let mut reading = Reading::default();
    // Before this place no operation can be whole.
    let mut needed = 0;
    for end in ends.into_iter().chain([stream.len()]) {
        loop {
            let input = &stream[reading.consumed..end];
            match parser.next(input, limits) {
                Step::Operation { operation, consumed } => {
                    assert!(0 < consumed && consumed <= input.len() && needed <= reading.consumed + consumed);
                    assert!(!parser.is_partial());
                    reading.operations.push(operation);
                    reading.consumed += consumed;
                }
                Step::NeedMore { at_least } => {
                    assert_eq!(parser.is_partial(), !input.is_empty());
                    needed = end + at_least;
                    break;
                }
                Step::Malformed(malformation) => {
                    reading.malformation = Some(malformation);
                    return reading;
                }
            }
        }
    }
    reading
}

/// The ends of pieces of `length` bytes together, whose lengths are taken in turn from `lengths` (plus one, so that none
/// is empty).
pub(crate) fn ends(length: usize, lengths: &[u8]) -> Vec<usize> {
    let pieces = lengths.iter().cycle().map(|&length| usize::from(length) + 1);
    let ends = pieces.scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    ends.take_while(|&end| end < length).collect()
}

/// A stream read at once gives the same as the naive reader, under every kind of limits.
pub(crate) fn operations(stream: &[u8]) {
    for limits in [Limits::default(), LOW_LIMITS] {
        assert_eq!(read(stream, [], &limits), naive::read(stream, &limits));
    }
}

/// A stream gives the same operations however it is cut.
pub(crate) fn operations_split(stream: &[u8], lengths: &[u8]) {
    for limits in [Limits::default(), LOW_LIMITS] {
        assert_eq!(read(stream, ends(stream.len(), lengths), &limits), read(stream, [], &limits));
    }
}

/// The same, with everything taken from one input: the number of piece lengths, the lengths and the stream.
pub(crate) fn operations_split_input(input: &[u8]) {
    let Some((&count, rest)) = input.split_first() else { return };
    let (lengths, stream) = rest.split_at(usize::from(count % 8).min(rest.len()));
    operations_split(stream, lengths);
}
