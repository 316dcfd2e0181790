//! What a broker of NATS' protocol says to a client.

use memchr::{memchr, memchr_iter};
use quartet_protocol::resp::number::parse_integer;

/// The longest line in front of a message.
const LINE_LENGTH_MAX: usize = 64 * 1024;

/// Something that the broker said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'i> {
    /// A message.
    Message(Message<'i>),
    /// It asks whether the client is there.
    Ping,
    /// It has taken in what came before a ping.
    Pong,
    /// `INFO` and `+OK`.
    Other,
}

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'i> {
    pub(super) subject: &'i [u8],
    pub(super) reply: &'i [u8],
    /// The block of headers.
    pub(super) headers: &'i [u8],
    pub(super) payload: &'i [u8],
}

impl Message<'_> {
    /// Whether it is the status of a request and not a message.
    pub(super) fn is_status(&self) -> bool {
        self.headers.starts_with(b"NATS/1.0 ")
    }
}

/// The first frame of the input with its length, if it is whole.
///
/// # Errors
/// If the broker reports an error, or speaks another protocol.
pub(super) fn next(input: &[u8]) -> Result<Option<(usize, Frame<'_>)>, String> {
    let Some(end) = memchr(b'\n', input) else {
        return if input.len() > LINE_LENGTH_MAX { Err(unknown(input)) } else { Ok(None) };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    let plain = |frame| Ok(Some((end + 1, frame)));
    match line {
        [b'M', b'S', b'G', b' ', words @ ..] => message(input, end, words, false),
        [b'H', b'M', b'S', b'G', b' ', words @ ..] => message(input, end, words, true),
        b"PING" => plain(Frame::Ping),
        b"PONG" => plain(Frame::Pong),
        [b'-', b'E', b'R', b'R', text @ ..] => Err(String::from_utf8_lossy(text.trim_ascii()).into_owned()),
        line if line.starts_with(b"INFO ") || line == b"+OK" => plain(Frame::Other),
        line => Err(unknown(line)),
    }
}

#[cold]
fn unknown(line: &[u8]) -> String {
    let shown = &line[..line.len().min(60)];
    format!("it does not speak NATS' protocol but says \"{}\"", shown.escape_ascii())
}

fn message<'i>(
    input: &'i [u8],
    end: usize,
    words: &'i [u8],
    has_headers: bool,
) -> Result<Option<(usize, Frame<'i>)>, String> {
    // The subject, the subscription, perhaps where to reply, perhaps the length of the headers, the length.
    let mut parts: [&[u8]; 5] = [&[]; 5];
    let mut count = 0;
    let mut start = 0;
    for end in memchr_iter(b' ', words).chain([words.len()]).take(parts.len()) {
        parts[count] = &words[start..end];
        count += 1;
        start = end + 1;
    }
    let lengths = 1 + usize::from(has_headers);
    if count < 2 + lengths {
        return Err(unknown(&input[..end]));
    }
    let number = |word: &[u8]| {
        parse_integer(word)
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| unknown(&input[..end]))
    };
    let length = number(parts[count - 1])?;
    let headers = if has_headers { number(parts[count - 2])? } else { 0 };
    let whole = end.saturating_add(length).saturating_add(3);
    if headers > length {
        return Err(unknown(&input[..end]));
    }
    if whole > input.len() {
        return Ok(None);
    }
    let reply = if count > 2 + lengths { parts[2] } else { &[] };
    let (headers, payload) = input[end + 1..=end + length].split_at(headers);
    Ok(Some((whole, Frame::Message(Message { subject: parts[0], reply, headers, payload }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_where_they_end() {
        let frames: &[&[u8]] = &[
            b"INFO {}\r\n",
            b"+OK\r\n",
            b"PING\r\n",
            b"PONG\r\n",
            b"MSG a 1 0\r\n\r\n",
            b"MSG a 1 b 3\r\nx\r\n\r\n",
            b"HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
            b"HMSG a 1 b 12 12\r\nNATS/1.0\r\n\r\n\r\n",
        ];
        for frame in frames {
            let followed = [frame, &b"PING\r\n"[..]].concat();
            let (length, _) = next(&followed).expect("it is the protocol").expect("it is whole");
            assert_eq!(length, frame.len(), "{}", frame.escape_ascii());
            for cut in 0..frame.len() - 1 {
                assert_eq!(next(&frame[..cut]), Ok(None), "{}", frame[..cut].escape_ascii());
            }
        }
    }

    #[test]
    fn a_message_has_its_parts() {
        let (_, frame) = next(b"HMSG a 1 b 12 14\r\nNATS/1.0\r\n\r\nhi\r\n").expect("valid").expect("whole");
        let headers: &[u8] = b"NATS/1.0\r\n\r\n";
        assert_eq!(frame, Frame::Message(Message { subject: b"a", reply: b"b", headers, payload: b"hi" }));
        assert_eq!(next(b"-ERR 'Authorization Violation'\r\n"), Err("'Authorization Violation'".to_owned()));
        assert!(next(b"MSG a 1 x\r\n").is_err());
        assert!(next(b"HMSG a 1 9 3\r\nabc\r\n").is_err());
        assert!(next(b"-NOAUTH\r\n").is_err());
    }
}
