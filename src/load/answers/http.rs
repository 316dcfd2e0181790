//! Responses of HTTP/1.1.

use memchr::{memchr, memmem};

use super::{Answer, Answers, not_of};

const PROTOCOL: &str = "HTTP/1.1";

/// The longest head that is waited for.
const HEAD_LENGTH_MAX: usize = 64 * 1024;

/// The most of an error's body that is shown.
const SHOWN_LENGTH_MAX: usize = 300;

/// Responses of an HTTP server.
pub(in crate::load) struct HttpAnswers;

impl Answers for HttpAnswers {
    fn next(input: &[u8]) -> Result<Option<Answer>, String> {
        let known = input.len().min(PROTOCOL.len());
        if input[..known] != PROTOCOL.as_bytes()[..known] {
            return Err(not_of(PROTOCOL, input));
        }
        let Some(end) = memmem::find(input, b"\r\n\r\n") else {
            return if input.len() > HEAD_LENGTH_MAX { Err(not_of(PROTOCOL, input)) } else { Ok(None) };
        };
        let (head, body) = (&input[..end], end + 4);
        let code = status(head).ok_or_else(|| not_of(PROTOCOL, input))?;
        let length = if code == 204 || code == 304 {
            Some(0)
        } else if let Some(length) = field(head, b"content-length") {
            let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
            Some(length.ok_or_else(|| not_of(PROTOCOL, input))?)
        } else if field(head, b"transfer-encoding").is_some() {
            chunks(&input[body..]).ok_or_else(|| not_of(PROTOCOL, input))?
        } else {
            return Err("it answers without a length, which one connection cannot carry on from".to_owned());
        };
        let whole = length.and_then(|length| body.checked_add(length)).filter(|whole| *whole <= input.len());
        Ok(whole.map(|length| Answer { length, is_error: code >= 400 }))
    }

    fn text(answer: &[u8]) -> Vec<u8> {
        let end = memmem::find(answer, b"\r\n\r\n").unwrap_or(answer.len());
        let line = answer[..end].split(|byte| *byte == b'\r').next().unwrap_or_default();
        let body = answer.get(end + 4..).unwrap_or_default();
        let mut text = line.to_vec();
        if !body.is_empty() {
            text.extend_from_slice(b": ");
            text.extend_from_slice(&body[..body.len().min(SHOWN_LENGTH_MAX)]);
        }
        text
    }
}

/// Whether a response has this code.
pub(in crate::load) fn is_http_status(response: &[u8], code: u16) -> bool {
    status(response) == Some(code)
}

/// The code of the status line.
fn status(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

/// The value of a header.
fn field<'h>(head: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let colon = memchr(b':', line)?;
        line[..colon].eq_ignore_ascii_case(name).then(|| line[colon + 1..].trim_ascii())
    })
}

/// The length of a body in chunks, or `Some(None)` if it is not whole yet.
fn chunks(body: &[u8]) -> Option<Option<usize>> {
    let mut at = 0;
    loop {
        let Some(end) = memchr(b'\n', &body[at..]) else { return Some(None) };
        let line = body[at..at + end].trim_ascii_end();
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let length = usize::from_str_radix(std::str::from_utf8(digits).ok()?.trim(), 16).ok()?;
        at = at.checked_add(end + 1)?.checked_add(length)?.checked_add(2)?;
        if at > body.len() {
            return Some(None);
        }
        if length == 0 {
            return Some(Some(at));
        }
    }
}

/// The value of a member of a JSON object that is a string without escapes.
pub(in crate::load) fn json_member<'a>(answer: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let wanted = format!("\"{name}\":\"");
    let start = memmem::find(answer, wanted.as_bytes())? + wanted.len();
    let end = memchr(b'"', &answer[start..])?;
    Some(&answer[start..start + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_end_where_they_say() {
        let responses: &[(&[u8], bool)] = &[
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab\r\nc", false),
            (b"HTTP/1.1 204 No Content\r\n\r\n", false),
            (b"HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n", true),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false),
        ];
        for (response, is_error) in responses {
            let followed = [response, &b"HTTP/1.1 200 OK\r\n"[..]].concat();
            let answer = HttpAnswers::next(&followed);
            assert_eq!(answer, Ok(Some(Answer { length: response.len(), is_error: *is_error })));
            for cut in 0..response.len() {
                assert_eq!(
                    HttpAnswers::next(&response[..cut]),
                    Ok(None),
                    "{}",
                    response[..cut].escape_ascii()
                );
            }
        }
        assert!(HttpAnswers::next(b"+PONG\r\n").is_err());
        assert!(HttpAnswers::next(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn errors_and_members_are_found() {
        let answer = b"HTTP/1.1 409 Conflict\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}";
        assert_eq!(HttpAnswers::text(answer), b"HTTP/1.1 409 Conflict: {\"a\":\"b\"}");
        assert_eq!(json_member(answer, "a"), Some(&b"b"[..]));
        assert_eq!(json_member(answer, "c"), None);
    }
}
