//! Decompressing LZF, in which Redis writes strings of more than twenty bytes if they become shorter.
//!
//! Compressed bytes are a row of runs.  A first byte below 32 stands for that many literal bytes and one more, which
//! follow it.  Any other repeats bytes that came before: its three high bits are how many, less two, unless they are
//! seven, when the next byte is added to them; its five low bits and the byte after are how far back they begin, less one.

/// The most bytes that one compressed byte stands for, rounded up: three stand for 264.
const EXPANSION_MAX: usize = 88;

/// First bytes below this begin literal bytes.
const LITERALS: u8 = 32;

/// A repetition's count that a further byte is added to.
const LONG: usize = 7;

/// How many more bytes are repeated than is written.
const REPEATED_MIN: usize = 2;

/// Decompresses a string of `length` bytes; none if the input does not hold so many.
pub(super) fn decompress(mut compressed: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > compressed.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    let mut bytes = Vec::with_capacity(length);
    while let [first, rest @ ..] = compressed {
        compressed = if *first < LITERALS {
            let (literals, rest) = rest.split_at_checked(usize::from(*first) + 1)?;
            bytes.extend_from_slice((literals.len() <= length - bytes.len()).then_some(literals)?);
            rest
        } else {
            repeat(&mut bytes, *first, rest, length)?
        };
    }
    (bytes.len() == length).then_some(bytes)
}

/// Carries out a repetition and returns the compressed bytes behind it.
fn repeat<'c>(bytes: &mut Vec<u8>, first: u8, mut rest: &'c [u8], length: usize) -> Option<&'c [u8]> {
    let mut count = usize::from(first >> 5);
    if count == LONG {
        let (&more, behind) = rest.split_first()?;
        count += usize::from(more);
        rest = behind;
    }
    count += REPEATED_MIN;
    let (&low, rest) = rest.split_first()?;
    let distance = (usize::from(first & 0x1f) << 8 | usize::from(low)) + 1;
    let start = bytes.len().checked_sub(distance)?;
    if count > length - bytes.len() {
        return None;
    }
    // A repetition may repeat bytes of its own, so it is copied in pieces that are there.
    while count > 0 {
        let piece = count.min(bytes.len() - start);
        bytes.extend_from_within(start..start + piece);
        count -= piece;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, one byte at a time.
    fn decompress_naively(compressed: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut input = compressed.iter().map(|&byte| usize::from(byte));
        while let Some(first) = input.next() {
            if first < 32 {
                for _ in 0..=first {
                    bytes.push(input.next()? as u8);
                }
                continue;
            }
            let count = 2 + if first >= 224 { 7 + input.next()? } else { first / 32 };
            let distance = first % 32 * 256 + input.next()? + 1;
            for _ in 0..count {
                bytes.push(*bytes.get(bytes.len().checked_sub(distance)?)?);
            }
        }
        Some(bytes)
    }

    #[test]
    fn repetitions_may_overlap_themselves() {
        assert_eq!(decompress(b"\x00a\x20\x00", 4).as_deref(), Some(&b"aaaa"[..]));
        assert_eq!(decompress(b"\x01ab\xe0\xff\x01", 266), Some(b"ab".repeat(133)));
    }

    #[test]
    fn lengths_are_exact_and_honest() {
        for length in [0, 3, 5, 4 * EXPANSION_MAX, 4 * EXPANSION_MAX + 1, usize::MAX] {
            assert_eq!(decompress(b"\x00a\x20\x00", length), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decompressed_or_refused(
            compressed in proptest::collection::vec(prop_oneof![0_u8..3, 30_u8..40, 0xe0_u8..0xe3, any::<u8>()], 0..40),
            length in 0_usize..300,
        ) {
            let naive = decompress_naively(&compressed);
            let length = naive.as_ref().map_or(length, Vec::len);
            prop_assert_eq!(decompress(&compressed, length), naive);
            prop_assert_eq!(decompress(&compressed, length + 1), None);
        }
    }
}
