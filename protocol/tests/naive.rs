//! The naive twin of the request parser: the same rules, written for reading only, from the whole stream.

use quartet_protocol::limits;
use quartet_protocol::resp::{ProtocolError, RequestLimits};

use crate::checks::Reading;

/// The reading of the whole `stream`.
pub(crate) fn read(stream: &[u8], limits: &RequestLimits) -> Reading {
    let mut reading = Reading::default();
    loop {
        let rest = &stream[reading.consumed..];
        let request = match rest.first() {
            None => return reading,
            Some(b'*') => multibulk(rest, limits),
            Some(_) => inline(rest, limits),
        };
        match request {
            Ok(Some((arguments, length))) => {
                reading.consumed += length;
                if !arguments.is_empty() {
                    reading.requests.push(arguments);
                }
            }
            Ok(None) => return reading,
            Err(error) => {
                reading.error = Some(error);
                return reading;
            }
        }
    }
}

/// A request and its length, or nothing if it is not whole.
type Found = Result<Option<(Vec<Vec<u8>>, usize)>, ProtocolError>;

fn multibulk(rest: &[u8], limits: &RequestLimits) -> Found {
    let Some((line, mut place)) = line(rest, limits, ProtocolError::MultibulkCountTooBig)? else {
        return Ok(None);
    };
    let count = number(&line[1..]).ok_or(ProtocolError::InvalidMultibulkLength)?;
    if count > limits.multibulk_length as i64 {
        return Err(ProtocolError::InvalidMultibulkLength);
    }
    if limits.unauthenticated && count > limits::UNAUTHENTICATED_MULTIBULK_LENGTH_MAX as i64 {
        return Err(ProtocolError::UnauthenticatedMultibulkLength);
    }
    let mut arguments = Vec::new();
    for _ in 0..count {
        let Some((line, after)) = self::line(&rest[place..], limits, ProtocolError::BulkCountTooBig)? else {
            return Ok(None);
        };
        if rest[place] != b'$' {
            return Err(ProtocolError::ExpectedBulk { found: rest[place] });
        }
        let length = number(&line[1..]).ok_or(ProtocolError::InvalidBulkLength)?;
        if length < 0 || length > limits.bulk_length as i64 {
            return Err(ProtocolError::InvalidBulkLength);
        }
        if limits.unauthenticated && length > limits::UNAUTHENTICATED_BULK_LENGTH_MAX as i64 {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        place += after;
        let end = place + length as usize;
        if rest.len() < end + 2 {
            return Ok(None);
        }
        arguments.push(rest[place..end].to_vec());
        place = end + 2;
    }
    Ok(Some((arguments, place)))
}

/// The line up to its `\r`, and the place behind its two end bytes.
fn line<'a>(
    rest: &'a [u8],
    limits: &RequestLimits,
    too_big: ProtocolError,
) -> Result<Option<(&'a [u8], usize)>, ProtocolError> {
    let end = rest.iter().position(|&byte| byte == b'\r');
    if end.unwrap_or(rest.len()) > limits.inline_length {
        return Err(too_big);
    }
    Ok(end.filter(|end| end + 2 <= rest.len()).map(|end| (&rest[..end], end + 2)))
}

/// The number that `text` is the only spelling of.
fn number(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}

fn inline(rest: &[u8], limits: &RequestLimits) -> Found {
    let end = rest.iter().position(|&byte| byte == b'\n');
    if end.unwrap_or(rest.len()) > limits.inline_length {
        return Err(ProtocolError::InlineTooBig);
    }
    let Some(end) = end else { return Ok(None) };
    let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
    Ok(Some((words(line).ok_or(ProtocolError::UnbalancedQuotes)?, end + 1)))
}

fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut bytes = line.iter().copied().peekable();
    let mut words = Vec::new();
    loop {
        while bytes.next_if(|&byte| is_space(byte)).is_some() {}
        if bytes.peek().is_none() {
            return Some(words);
        }
        let mut word = Vec::new();
        loop {
            match bytes.next() {
                None | Some(b' ' | b'\t' | b'\r' | b'\n') => break,
                Some(b'\'') => {
                    loop {
                        match bytes.next()? {
                            b'\'' => break,
                            b'\\' if bytes.peek() == Some(&b'\'') => word.extend(bytes.next()),
                            byte => word.push(byte),
                        }
                    }
                    if bytes.peek().is_some_and(|&byte| !is_space(byte)) {
                        return None;
                    }
                    break;
                }
                Some(b'"') => {
                    loop {
                        match bytes.next()? {
                            b'"' => break,
                            b'\\' => match bytes.next()? {
                                b'x' => {
                                    let digits: Vec<u8> = bytes.clone().take(2).collect();
                                    let text = String::from_utf8_lossy(&digits).into_owned();
                                    let hexadecimal = digits.len() == 2
                                        && digits.iter().all(|digit| digit.is_ascii_hexdigit());
                                    if hexadecimal {
                                        bytes.nth(1);
                                        word.push(
                                            u8::from_str_radix(&text, 16).expect("two hexadecimal digits"),
                                        );
                                    } else {
                                        word.push(b'x');
                                    }
                                }
                                b'n' => word.push(b'\n'),
                                b'r' => word.push(b'\r'),
                                b't' => word.push(b'\t'),
                                b'b' => word.push(8),
                                b'a' => word.push(7),
                                byte => word.push(byte),
                            },
                            byte => word.push(byte),
                        }
                    }
                    if bytes.peek().is_some_and(|&byte| !is_space(byte)) {
                        return None;
                    }
                    break;
                }
                Some(byte) => word.push(byte),
            }
        }
        words.push(word);
    }
}

/// White space as C's `isspace` knows it.
fn is_space(byte: u8) -> bool {
    b" \t\n\x0b\x0c\r".contains(&byte)
}
