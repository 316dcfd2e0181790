//! Numbers at the start of a text, as C's `strtod` reads them.

/// The number that a text begins with, and how many bytes it has; none if it begins with no number.
pub(super) fn leading_double(text: &[u8]) -> Option<(f64, usize)> {
    let (is_negative, start) = match text.first()? {
        b'-' => (true, 1),
        b'+' => (false, 1),
        _ => (false, 0),
    };
    let rest = &text[start..];
    let (number, length) = word(rest).or_else(|| hexadecimal(rest)).or_else(|| decimal(rest))?;
    Some((if is_negative { -number } else { number }, start + length))
}

fn word(text: &[u8]) -> Option<(f64, usize)> {
    let starts = |word: &[u8]| text.len() >= word.len() && text[..word.len()].eq_ignore_ascii_case(word);
    if starts(b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if starts(b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if !starts(b"nan") {
        return None;
    }
    // Behind it C takes letters in parentheses.
    let inner = text[3..].strip_prefix(b"(").map_or(0, |rest| {
        let letters = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        if rest.get(letters) == Some(&b')') { letters + 2 } else { 0 }
    });
    Some((f64::NAN, 3 + inner))
}

fn digits(text: &[u8], at: usize, is_digit: fn(&u8) -> bool) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|byte| is_digit(byte)).count()
}

/// The end of an exponent that begins at `at`; `at` if there is none.
fn exponent_end(text: &[u8], at: usize, letter: u8) -> usize {
    if !text.get(at).is_some_and(|byte| byte.eq_ignore_ascii_case(&letter)) {
        return at;
    }
    let signed = at + 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
    match digits(text, signed, u8::is_ascii_digit) {
        0 => at,
        count => signed + count,
    }
}

fn decimal(text: &[u8]) -> Option<(f64, usize)> {
    let whole = digits(text, 0, u8::is_ascii_digit);
    let mut end = whole;
    if text.get(whole) == Some(&b'.') {
        let fraction = digits(text, whole + 1, u8::is_ascii_digit);
        if whole + fraction > 0 {
            end = whole + 1 + fraction;
        }
    }
    if end == 0 {
        return None;
    }
    end = exponent_end(text, end, b'e');
    let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, end))
}

fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let [b'0', b'x' | b'X', rest @ ..] = text else { return None };
    let whole = digits(rest, 0, u8::is_ascii_hexdigit);
    let fraction = match rest.get(whole) {
        Some(b'.') => digits(rest, whole + 1, u8::is_ascii_hexdigit),
        _ => 0,
    };
    if whole + fraction == 0 {
        return None;
    }
    let value = |range: &[u8]| {
        range.iter().fold(0.0, |number, &digit| {
            number * 16.0 + f64::from(char::from(digit).to_digit(16).unwrap_or_default())
        })
    };
    let mut number = value(&rest[..whole]);
    let mut end = whole;
    if rest.get(whole) == Some(&b'.') {
        end += 1 + fraction;
        number += value(&rest[whole + 1..end]) / 16_f64.powi(fraction as i32);
    }
    let past = exponent_end(rest, end, b'p');
    if past > end {
        let power = std::str::from_utf8(&rest[end + 1..past]).ok()?.parse::<i32>().unwrap_or(i32::MAX);
        number *= 2_f64.powi(power);
    }
    Some((number, 2 + past))
}

#[cfg(test)]
mod tests {
    use super::leading_double;

    #[test]
    fn numbers_are_read_as_in_c() {
        for (text, number, length) in [
            ("1", 1.0, 1),
            ("-1.5e3,", -1500.0, 6),
            ("1e", 1.0, 1),
            ("1.e2", 100.0, 4),
            (".5", 0.5, 2),
            ("0x10", 16.0, 4),
            ("0x1.8p1", 3.0, 7),
            ("0xg", 0.0, 1),
            ("+5", 5.0, 2),
            ("-inf", f64::NEG_INFINITY, 4),
            ("Infinity", f64::INFINITY, 8),
        ] {
            assert_eq!(leading_double(text.as_bytes()), Some((number, length)), "{text}");
        }
        assert!(leading_double(b"nan(1)x").is_some_and(|(number, length)| number.is_nan() && length == 6));
        for text in ["", "-", ".", "e5", "x"] {
            assert_eq!(leading_double(text.as_bytes()), None, "{text}");
        }
    }
}
