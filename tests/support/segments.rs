//! The files of a journal as bytes: where records end, and how earlier versions wrote them.

/// Bytes before the first record of a segment, and before the payload of a record.
pub(crate) const SEGMENT_HEAD: usize = 36;
pub(crate) const RECORD_HEAD: usize = 8;

/// The first segment.
pub(crate) const FIRST_SEGMENT: &str = "000000000001.segment";

const FIRST_OF_BATCH: u32 = 1 << 31;
const IS_CONTINUED: u32 = 1 << 30;

/// Where records end in a segment, beginning with the head's end.
pub(crate) fn boundaries(segment: &[u8]) -> Vec<usize> {
    let mut ends = vec![SEGMENT_HEAD];
    let mut at = SEGMENT_HEAD;
    while let Some(word) = segment.get(at..at + 4) {
        let length =
            (u32::from_le_bytes(word.try_into().expect("it has four bytes")) & (IS_CONTINUED - 1)) as usize;
        if length == 0 {
            // Zeros, laid out for records to come.
            break;
        }
        at += RECORD_HEAD + length;
        ends.push(at);
    }
    ends
}

/// The first segment of a journal in version 1 or 2 of the format, whose records have no tags.  In version 2 the last two
/// records belong together.
pub(crate) fn untagged_segment(version: u32, records: &[Vec<u8>]) -> Vec<u8> {
    let mut segment = b"QUARTETJ".to_vec();
    for number in [version, 2] {
        segment.extend_from_slice(&number.to_le_bytes());
    }
    for number in [1u64, 0] {
        segment.extend_from_slice(&number.to_le_bytes());
    }
    segment.extend_from_slice(&crc32c::crc32c(&segment).to_le_bytes());
    for (index, record) in records.iter().enumerate() {
        let position = (segment.len() - SEGMENT_HEAD) as u64;
        let is_linked = |index: usize| version == 2 && index + 2 == records.len();
        let first = if index > 0 && is_linked(index - 1) { 0 } else { FIRST_OF_BATCH };
        let links = first | if is_linked(index) { IS_CONTINUED } else { 0 };
        let word = (record.len() as u32 | links).to_le_bytes();
        let sum = crc32c::crc32c_append(
            crc32c::crc32c(&position.to_le_bytes()),
            &[&word, record.as_slice()].concat(),
        );
        segment.extend_from_slice(&word);
        segment.extend_from_slice(&sum.to_le_bytes());
        segment.extend_from_slice(record);
    }
    segment
}
