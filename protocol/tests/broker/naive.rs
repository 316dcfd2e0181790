//! The parser of operations once more, written to be plainly right: it has the whole stream and takes its time.

use quartet_protocol::broker::{Limits, Malformation, Operation, Publication};

use super::checks::Reading;

/// How the lines of each operation begin, in upper case.
const BEGINNINGS: &[&str] = &[
    "PUB ", "PUB\t", "HPUB ", "HPUB\t", "SUB ", "SUB\t", "UNSUB ", "UNSUB\t", "PING", "PONG", "CONNECT",
    "INFO", "+OK", "-ERR ", "-ERR\t",
];

/// The reading of the whole `stream`.
pub(crate) fn read<'a>(stream: &'a [u8], limits: &Limits) -> Reading<'a> {
    let mut reading = Reading::default();
    loop {
        match operation(&stream[reading.consumed..], limits) {
            Ok(Some((operation, length))) => {
                reading.operations.push(operation);
                reading.consumed += length;
            }
            Ok(None) => return reading,
            Err(malformation) => {
                reading.malformation = Some(malformation);
                return reading;
            }
        }
    }
}

/// The operation at the start of `rest` and its length, or nothing if it is not whole.
fn operation<'a>(rest: &'a [u8], limits: &Limits) -> Result<Option<(Operation<'a>, usize)>, Malformation> {
    let upper = rest.to_ascii_uppercase();
    let Some(line_feed) = rest.iter().position(|&byte| byte == b'\n') else {
        let begins = |beginning: &&&str| {
            upper.starts_with(beginning.as_bytes()) || beginning.as_bytes().starts_with(&upper)
        };
        let beginning = BEGINNINGS.iter().find(begins).ok_or(Malformation::UnknownOperation)?;
        return match rest.len() > beginning.trim().len() + 1 + limits.control_line + 1 {
            true => Err(Malformation::ControlLineTooLong),
            false => Ok(None),
        };
    };
    let beginning = BEGINNINGS.iter().find(|beginning| upper.starts_with(beginning.as_bytes()));
    let verb = beginning.ok_or(Malformation::UnknownOperation)?.trim();
    let line = &rest[verb.len()..line_feed];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > 1 + limits.control_line {
        return Err(Malformation::ControlLineTooLong);
    }
    let separated = line.split(|byte| b" \t\r".contains(byte)).filter(|word| !word.is_empty());
    let words: Vec<&[u8]> = separated.collect();
    let text = line.trim_ascii();
    let operation = match (verb, &words[..]) {
        ("PING", _) => Operation::Ping,
        ("PONG", _) => Operation::Pong,
        ("INFO", _) => Operation::Info,
        ("+OK", _) => Operation::Ok,
        ("CONNECT", _) => Operation::Connect(text),
        ("-ERR", _) => Operation::Error(text),
        ("SUB", &[subject, sid]) => Operation::Subscribe { subject, group: None, sid },
        ("SUB", &[subject, group, sid]) => Operation::Subscribe { subject, group: Some(group), sid },
        ("UNSUB", &[sid]) => Operation::Unsubscribe { sid, maximum: None },
        ("UNSUB", &[sid, maximum]) => {
            let maximum = number(maximum).map(|number| number as u64);
            Operation::Unsubscribe { sid, maximum: maximum.filter(|&maximum| maximum != 0) }
        }
        ("PUB", &[subject, total]) => return publication(rest, line_feed, subject, b"", b"", total, limits),
        ("PUB", &[subject, reply, total]) => {
            return publication(rest, line_feed, subject, reply, b"", total, limits);
        }
        ("HPUB", &[subject, headers, total]) => {
            return publication(rest, line_feed, subject, b"", headers, total, limits);
        }
        ("HPUB", &[subject, reply, headers, total]) => {
            return publication(rest, line_feed, subject, reply, headers, total, limits);
        }
        _ => return Err(Malformation::ArgumentCount),
    };
    Ok(Some((operation, line_feed + 1)))
}

fn publication<'a>(
    rest: &'a [u8],
    line_feed: usize,
    subject: &'a [u8],
    reply: &'a [u8],
    headers: &'a [u8],
    total: &'a [u8],
    limits: &Limits,
) -> Result<Option<(Operation<'a>, usize)>, Malformation> {
    let has_headers = !headers.is_empty();
    let headers = if has_headers { number(headers).ok_or(Malformation::InvalidLength)? } else { 0 };
    let total = number(total).ok_or(Malformation::InvalidLength)?;
    if headers > total {
        return Err(Malformation::HeadersTooLong);
    }
    if total > limits.payload {
        return Err(Malformation::PayloadTooLong);
    }
    let ends_line_with_return = rest[..line_feed].ends_with(b"\r");
    let rest = &rest[line_feed + 1..];
    let Some(behind) = rest.get(total..) else { return Ok(None) };
    let line_end = match behind {
        b"" | b"\r" => return Ok(None),
        _ if behind.starts_with(b"\n") && !(ends_line_with_return && rest[..total].ends_with(b"\r")) => 1,
        _ if behind.starts_with(b"\r\n") => 2,
        _ => return Err(Malformation::UnknownOperation),
    };
    let (headers, payload) = rest[..total].split_at(headers);
    let publication = Publication { subject, reply, headers, payload, has_headers };
    Ok(Some((Operation::Publish(publication), line_feed + 1 + total + line_end)))
}

fn number(digits: &[u8]) -> Option<usize> {
    let is_number = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}
