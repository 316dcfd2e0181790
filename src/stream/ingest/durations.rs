//! Durations as headers say them: as Go writes them, or in whole seconds.

use crate::stream::json::Nanoseconds;

/// Units and their lengths; a longer one stands before one that it ends in.
const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// What a text such as `10`, `1.5s` or `1h2m` says; nothing if it is no duration, or a negative one.  What is longer than some
/// 292 years is that long.
pub(in crate::stream) fn parse(text: &str) -> Option<Nanoseconds> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: i64 = text.parse().unwrap_or(i64::MAX);
        return Some(Nanoseconds(seconds.saturating_mul(1_000_000_000)));
    }
    let mut rest = text;
    let mut total: i64 = 0;
    loop {
        let number =
            rest.len() - rest.trim_start_matches(|next: char| next.is_ascii_digit() || next == '.').len();
        let (number, others) = rest.split_at(number);
        let unit = others.len()
            - others.trim_start_matches(|next: char| !next.is_ascii_digit() && next != '.').len();
        let (unit, others) = others.split_at(unit);
        let (_, length) = UNITS.iter().find(|(known, _)| *known == unit)?;
        total = total.saturating_add(nanoseconds(number, *length)?);
        if others.is_empty() {
            return Some(Nanoseconds(total));
        }
        rest = others;
    }
}

fn nanoseconds(number: &str, length: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(i64::MAX) };
    // Digits that make no nanosecond of an hour are passed over.
    let mut part = i128::from(length);
    let mut sum: i128 = 0;
    for digit in fraction.bytes().take(15) {
        sum = sum * 10 + i128::from(digit - b'0');
        part *= 10;
    }
    let scale = part / i128::from(length);
    let fraction = i64::try_from(sum * i128::from(length) / scale).unwrap_or(i64::MAX);
    Some(whole.saturating_mul(length).saturating_add(fraction))
}
