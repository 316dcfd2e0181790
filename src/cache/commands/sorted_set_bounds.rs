//! Numbers and bounds of ranges in the words of commands on sorted sets.

use quartet_protocol::resp::number::parse_integer;

use super::long_double::{LongDouble, Spelled};
use crate::refusal::Refusal;
use crate::store::{Bound, SortedSet};

/// A number as Redis reads a score or a weight: numbers too large or too small for a double are refused, and so is "nan".
pub(super) fn parse_double(text: &[u8]) -> Option<f64> {
    if is_hexadecimal(text) {
        let exact = parse_hexadecimal(text)?;
        let (value, is_zero) = (exact.nearest_double(), exact.compare(LongDouble::ZERO).is_eq());
        return (value.is_finite() && (value == 0.0) == is_zero).then_some(value);
    }
    let value = parse_any_double(text)?;
    let mantissa = text.split(|byte| byte.eq_ignore_ascii_case(&b'e')).next().unwrap_or_default();
    let has_digits = text.iter().any(u8::is_ascii_digit);
    let is_spelled_zero = !mantissa.iter().any(|byte| (b'1'..=b'9').contains(byte));
    let is_exact = if value.is_infinite() { !has_digits } else { value != 0.0 || is_spelled_zero };
    is_exact.then_some(value)
}

fn parse_any_double(text: &[u8]) -> Option<f64> {
    if is_hexadecimal(text) {
        return parse_hexadecimal(text).map(LongDouble::nearest_double);
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// Whether a number is spelled as C spells hexadecimal ones.
fn is_hexadecimal(text: &[u8]) -> bool {
    let magnitude = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    matches!(magnitude, [b'0', b'x' | b'X', ..])
}

fn parse_hexadecimal(text: &[u8]) -> Option<LongDouble> {
    match LongDouble::parse(text)? {
        Spelled::Finite(number) => Some(number),
        Spelled::Infinite => None,
    }
}

/// Places in the order of a sorted set, the first of which is the start of a range and the second its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Between<'a> {
    /// Ranks, counted from the end if negative; the end belongs to the range.
    Ranks(i64, i64),
    /// Scores.
    Scores(Bound<'a>, Bound<'a>),
    /// Members, of a sorted set whose members all have one score.
    Members(Bound<'a>, Bound<'a>),
}

impl<'a> Between<'a> {
    /// The range of two ranks.
    pub(super) fn ranks(start: &[u8], stop: &[u8]) -> Result<Between<'a>, Refusal> {
        let rank = |text| parse_integer(text).ok_or(Refusal::NOT_AN_INTEGER);
        Ok(Between::Ranks(rank(start)?, rank(stop)?))
    }

    /// The range of two scores, each of which `(` before it leaves out.
    pub(super) fn scores(min: &[u8], max: &[u8]) -> Result<Between<'a>, Refusal> {
        let bounds = score_bound(min).zip(score_bound(max));
        let (min, max) = bounds.ok_or_else(|| Refusal::new("ERR min or max is not a float"))?;
        let min = if min.is_left_out { Bound::UpToScore(min.score) } else { Bound::BelowScore(min.score) };
        let max = if max.is_left_out { Bound::BelowScore(max.score) } else { Bound::UpToScore(max.score) };
        Ok(Between::Scores(min, max))
    }

    /// The range of two members: `[` or `(` before each says whether it belongs to the range; `-` is the least of all, `+` the greatest.
    pub(super) fn members(min: &'a [u8], max: &'a [u8]) -> Result<Between<'a>, Refusal> {
        let bound = |text: &'a [u8], is_min: bool| match (text, is_min) {
            (b"-", _) => Some(Bound::Start),
            (b"+", _) => Some(Bound::End),
            ([b'[', member @ ..], true) | ([b'(', member @ ..], false) => Some(Bound::BelowMember(member)),
            ([b'(', member @ ..], true) | ([b'[', member @ ..], false) => Some(Bound::UpToMember(member)),
            _ => None,
        };
        let bounds = bound(min, true).zip(bound(max, false));
        let (min, max) = bounds.ok_or_else(|| Refusal::new("ERR min or max not valid string range item"))?;
        Ok(Between::Members(min, max))
    }

    /// The ranks of the members between the places; ranks are counted from the end if the order `is_reversed`.
    pub(super) fn within(self, sorted_set: SortedSet<'_>, is_reversed: bool) -> std::ops::Range<usize> {
        let length = sorted_set.len();
        match self {
            Between::Ranks(start, stop) => {
                let Some(ranks) = clipped(start, stop, length) else { return 0..0 };
                if is_reversed { length - ranks.end..length - ranks.start } else { ranks }
            }
            Between::Scores(min, max) => {
                let start = sorted_set.count(min);
                start..sorted_set.count(max).max(start)
            }
            Between::Members(min, max) => {
                let range = sorted_set.range_of_members(min, max, is_reversed);
                range.start..range.end.max(range.start)
            }
        }
    }
}

struct ScoreBound {
    score: f64,
    is_left_out: bool,
}

/// Unlike a score a bound may be too large for a double, and an empty text means zero.
fn score_bound(text: &[u8]) -> Option<ScoreBound> {
    let (is_left_out, text) = match text {
        [b'(', text @ ..] => (true, text),
        _ => (false, text),
    };
    let score = if text.is_empty() { 0.0 } else { parse_any_double(text)? };
    Some(ScoreBound { score, is_left_out })
}

/// The places from `start` to `stop`, counted from the end if negative, among so many; none if there are none.
fn clipped(start: i64, stop: i64, length: usize) -> Option<std::ops::Range<usize>> {
    let length = length as i64;
    let from_end = |place: i64| if place < 0 { place.saturating_add(length) } else { place };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(length - 1));
    (start <= stop).then(|| start as usize..stop as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_read_as_in_redis() {
        for (text, expected) in [
            ("1", Some(1.0)),
            ("-1.5e3", Some(-1500.0)),
            (".5", Some(0.5)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("0e5", Some(0.0)),
            ("", None),
            ("nan", None),
            (" 1", None),
            ("1 ", None),
            ("1e400", None),
            ("1e-400", None),
            ("one", None),
            ("0x10", Some(16.0)),
            ("-0Xa.8", Some(-10.5)),
            ("+0x1p-2", Some(0.25)),
            ("0x0p9", Some(0.0)),
            ("0x", None),
            ("0x1p", None),
            ("0x1p5000", None),
            ("0x1p-5000", None),
        ] {
            assert_eq!(parse_double(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(score_bound(b"").map(|bound| bound.score), Some(0.0));
        for infinite in [&b"(1e400"[..], b"(0x1p5000"] {
            assert_eq!(score_bound(infinite).map(|bound| bound.score), Some(f64::INFINITY));
        }
    }
}
