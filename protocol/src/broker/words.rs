//! The words of a control line, found in one pass together with the line's end.

use std::ops::Range;

use crate::limits;

/// The words of a line, of which the places of the first `N` are kept.
#[derive(Debug)]
pub(super) struct Words<const N: usize> {
    pub(super) places: [Range<usize>; N],
    /// How many words there are; perhaps more than `N`.
    pub(super) count: usize,
    /// Where the line ends, without the `\r` before its end.
    pub(super) end: usize,
    /// Where the line's `\n` is.
    pub(super) line_feed: usize,
}

impl<const N: usize> Words<N> {
    /// The words of the line that goes on at `start`; nothing if it does not end in `input`.
    #[inline]
    pub(super) fn of(input: &[u8], start: usize) -> Option<Self> {
        let mut places = [const { 0..0 }; N];
        let mut count = 0;
        let mut position = start;
        let line_feed = loop {
            match *input.get(position)? {
                b'\n' => break position,
                byte if is_space(byte) => position += 1,
                _ => {
                    let end = word_end(input, position)?;
                    if let Some(place) = places.get_mut(count) {
                        *place = position..end;
                    }
                    count += 1;
                    position = end;
                }
            }
        };
        let end = line_feed - usize::from(start < line_feed && input[line_feed - 1] == b'\r');
        Some(Words { places, count, end, line_feed })
    }
}

/// Where the word that begins at `start` ends; nothing if that is not in `input`.
#[inline]
fn word_end(input: &[u8], start: usize) -> Option<usize> {
    let mut position = start;
    loop {
        position = low_byte(input, position)?;
        if is_space(input[position]) || input[position] == b'\n' {
            return Some(position);
        }
        position += 1;
    }
}

/// Where the first byte up to the space is, from `start` on.  Eight bytes are looked at together.
#[inline]
fn low_byte(input: &[u8], start: usize) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let mut position = start;
    while let Some(bytes) = input.get(position..).and_then(<[u8]>::first_chunk) {
        let bytes = u64::from_le_bytes(*bytes);
        // The lowest byte whose high bit stays set is below 0x21; those above it may be there by a borrow.
        let low = bytes.wrapping_sub(0x21 * ONES) & !bytes & HIGHS;
        if low != 0 {
            return Some(position + low.trailing_zeros() as usize / 8);
        }
        position += size_of::<u64>();
    }
    input[position..].iter().position(|&byte| byte <= b' ').map(|found| position + found)
}

/// May follow a verb.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Separates words: as in nats-server also a `\r` that is not before the line's end.
#[inline]
fn is_space(byte: u8) -> bool {
    is_blank(byte) || byte == b'\r'
}

/// A length, as nats-server reads it: up to nine digits, leading zeros allowed.
#[inline]
pub(super) fn number(text: &[u8]) -> Option<usize> {
    if text.is_empty() || limits::LENGTH_DIGITS < text.len() {
        return None;
    }
    let mut number = 0;
    for &digit in text {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = 10 * number + usize::from(digit);
    }
    Some(number)
}
