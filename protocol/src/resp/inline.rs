//! Inline requests: a line of words, as typed into a terminal, split and unquoted in place.

use crate::resp::arguments::Span;

/// The words of a line; none if its quotes are not balanced.
pub fn words_of(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut buffer, mut spans) = (line.to_vec(), Vec::new());
    if !split_words(&mut buffer, 0, line.len(), &mut spans) {
        return None;
    }
    let word = |span: &Span| buffer[span.start as usize..][..span.length as usize].to_vec();
    Some(spans.iter().map(word).collect())
}

/// Splits `buffer[start..end]` into words and appends their spans.  Quoted words are unescaped in place, which
/// never makes them longer.  Returns whether the quotes were balanced.
///
/// Double quotes know `\xHH`, `\n \r \t \b \a` and a backslash before any other byte; single quotes know `\'`
/// only.  A closing quote ends its word and must be followed by white space or the line's end.
pub(crate) fn split_words(buffer: &mut [u8], start: usize, end: usize, spans: &mut Vec<Span>) -> bool {
    let mut read = start;
    loop {
        while read < end && is_space(buffer[read]) {
            read += 1;
        }
        if read == end {
            return true;
        }
        let word = read;
        let mut write = read;
        loop {
            match buffer[..end].get(read) {
                None | Some(b' ' | b'\t' | b'\r' | b'\n') => break,
                Some(&quote @ (b'"' | b'\'')) => {
                    let Some((after, written)) = unquote(buffer, read + 1, end, write, quote) else {
                        return false;
                    };
                    read = after;
                    write = written;
                    break;
                }
                Some(&byte) => {
                    buffer[write] = byte;
                    write += 1;
                    read += 1;
                }
            }
        }
        spans.push(Span { start: word as u32, length: (write - word) as u32 });
    }
}

/// Copies the quoted text at `read` down to `write`.  Returns the places behind the closing quote and behind
/// the last byte written, or nothing when no proper closing quote follows.
fn unquote(
    buffer: &mut [u8],
    mut read: usize,
    end: usize,
    mut write: usize,
    quote: u8,
) -> Option<(usize, usize)> {
    loop {
        let (byte, length) = match (&buffer[read..end], quote) {
            (&[b'\\', b'x', high, low, ..], b'"') if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hexadecimal(high) << 4 | hexadecimal(low), 4)
            }
            (&[b'\\', escaped, ..], b'"') => (control(escaped), 2),
            (&[b'\\', b'\'', ..], b'\'') => (b'\'', 2),
            (&[closing, ref rest @ ..], _) if closing == quote => {
                let word_ends = rest.first().is_none_or(|&next| is_space(next));
                return word_ends.then_some((read + 1, write));
            }
            (&[byte, ..], _) => (byte, 1),
            (&[], _) => return None,
        };
        buffer[write] = byte;
        write += 1;
        read += length;
    }
}

fn control(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hexadecimal(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// White space as C's `isspace` knows it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::split_words;

    fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut buffer = line.to_vec();
        let mut spans = Vec::new();
        let end = buffer.len();
        split_words(&mut buffer, 0, end, &mut spans).then(|| {
            let word = |start: u32, length: u32| buffer[start as usize..(start + length) as usize].to_vec();
            spans.iter().map(|span| word(span.start, span.length)).collect()
        })
    }

    #[test]
    fn words_are_split_and_unquoted() {
        let table: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b" \t\x0b ", &[]),
            (b"PING", &[b"PING"]),
            (b"  SET  key value ", &[b"SET", b"key", b"value"]),
            (b"a\x0bb", &[b"a\x0bb"]),
            (b"a\rb", &[b"a", b"b"]),
            (br#"SET k "a b""#, &[b"SET", b"k", b"a b"]),
            (br#""" ''"#, &[b"", b""]),
            (br#"x"y z" w"#, &[b"xy z", b"w"]),
            (br#""\x41\x4a\x4B\xzz\n\r\t\b\a\"\\\q""#, &[b"AJKxzz\n\r\t\x08\x07\"\\q"]),
            (br"'a\'b\n' c", &[br"a'b\n", b"c"]),
            (br#"'"' "'""#, &[b"\"", b"'"]),
            (b"a\0b c", &[b"a\0b", b"c"]),
        ];
        for (line, words) in table {
            assert_eq!(
                split(line).as_deref(),
                Some(&words.iter().map(|w| w.to_vec()).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in [r#"""#, "'", r#"a "b"#, r#""a"b"#, "'a'b", r#""a\"#, r#""a\""#, r"'a\'", r#"x"y"z"#] {
            assert_eq!(split(line.as_bytes()), None, "{line}");
        }
    }
}
