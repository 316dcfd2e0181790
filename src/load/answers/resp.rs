//! Replies of RESP2 and RESP3.

use memchr::memchr;
use quartet_protocol::resp::number::parse_integer;

use super::{Answer, Answers, not_of};

/// The most elements of one reply that are counted; replies are only counted through, so it bounds nothing but numbers.
const ELEMENTS_MAX: u64 = 1 << 32;

/// Replies of a RESP server.
pub(in crate::load) struct RespAnswers;

impl Answers for RespAnswers {
    #[inline]
    fn next(input: &[u8]) -> Result<Option<Answer>, String> {
        // Nearly all replies are one line or one string.
        match input {
            [b'+', b'O', b'K', b'\r', b'\n', ..] => Ok(Some(Answer { length: 5, is_error: false })),
            [b'$', ..] => Ok(element(input)?
                .filter(|(length, _)| *length <= input.len())
                .map(|(length, _)| Answer { length, is_error: false })),
            _ => any(input),
        }
    }

    #[inline]
    fn count_alike(input: &[u8], length: usize) -> usize {
        // Of lines and strings the first line says how long they are.
        let line = match input {
            [b'+', ..] => length,
            [b'$', ..] => memchr(b'\n', input).map_or(length, |end| end + 1),
            _ => return 0,
        };
        let (first, rest) = input.split_at(length);
        rest.chunks_exact(length).take_while(|next| next.starts_with(&first[..line])).count()
    }

    fn text(answer: &[u8]) -> Vec<u8> {
        let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
        line.strip_prefix(b"-").unwrap_or(line).to_vec()
    }
}

fn any(input: &[u8]) -> Result<Option<Answer>, String> {
    let (mut length, mut missing) = (0, 1);
    let is_error = matches!(input.first(), Some(b'-' | b'!'));
    while missing > 0 {
        let Some((taken, more)) = element(&input[length..])? else { return Ok(None) };
        length += taken;
        missing += more;
        missing -= 1;
        if length > input.len() {
            return Ok(None);
        }
        if missing > ELEMENTS_MAX {
            return Err(not_of("RESP", input));
        }
    }
    Ok(Some(Answer { length, is_error }))
}

/// The length of one element, which may be longer than the input, and how many elements follow as parts of it.
#[inline]
fn element(input: &[u8]) -> Result<Option<(usize, u64)>, String> {
    let Some(end) = memchr(b'\n', input) else {
        return match input.first() {
            None | Some(b'+' | b'-' | b':' | b'$' | b'*' | b'_' | b'#' | b',' | b'(' | b'!' | b'=') => {
                Ok(None)
            }
            Some(b'%' | b'~' | b'>' | b'|') => Ok(None),
            Some(_) => Err(not_of("RESP", input)),
        };
    };
    let line = end + 1;
    let number = || {
        let digits = input.get(1..end.saturating_sub(1)).and_then(parse_integer);
        digits.filter(|number| *number >= -1).ok_or_else(|| not_of("RESP", input))
    };
    let parts =
        |number: i64, each: u64| u64::try_from(number).map_or(0, |number| number.saturating_mul(each));
    match input[0] {
        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => Ok(Some((line, 0))),
        b'$' | b'!' | b'=' => {
            let length = number()?;
            Ok(Some((
                usize::try_from(length).map_or(line, |length| line.saturating_add(length).saturating_add(2)),
                0,
            )))
        }
        b'*' | b'~' | b'>' => Ok(Some((line, parts(number()?, 1)))),
        b'%' => Ok(Some((line, parts(number()?, 2)))),
        // Attributes come before the element that they belong to.
        b'|' => Ok(Some((line, parts(number()?, 2).saturating_add(1)))),
        _ => Err(not_of("RESP", input)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_ends_where_it_ends() {
        let replies: &[&[u8]] = &[
            b"+OK\r\n",
            b"+PONG\r\n",
            b":-5\r\n",
            b"$-1\r\n",
            b"$0\r\n\r\n",
            b"$5\r\na\r\nbc\r\n",
            b"*-1\r\n",
            b"*0\r\n",
            b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
            b"%1\r\n+a\r\n*1\r\n:1\r\n",
            b"_\r\n",
            b"#t\r\n",
            b",1.5\r\n",
            b"|1\r\n+a\r\n:1\r\n$1\r\nx\r\n",
            b"=5\r\ntxt:a\r\n",
            b"-ERR no\r\n",
        ];
        for reply in replies {
            let followed = [reply, &b"+OK\r\n"[..]].concat();
            let answer = RespAnswers::next(&followed).expect("it is RESP").expect("it is whole");
            assert_eq!(answer.length, reply.len(), "{}", reply.escape_ascii());
            assert_eq!(answer.is_error, reply[0] == b'-');
            for cut in 0..reply.len() {
                assert_eq!(RespAnswers::next(&reply[..cut]), Ok(None), "{}", reply[..cut].escape_ascii());
            }
        }
    }

    #[test]
    fn answers_that_are_alike_are_counted() {
        let long = [&b"$100\r\n"[..], &[b'x'; 100], b"\r\n"].concat();
        for reply in [&b"+OK\r\n"[..], b"$-1\r\n", b"$0\r\n\r\n", b"$3\r\nabc\r\n", &long] {
            // Behind the last one comes one that is not whole, and nothing, and others.
            for end in [&reply[..reply.len() - 1], b"", b":1\r\n", b"$10\r\n0123456789\r\n", b"-ERR no\r\n"] {
                let input = [reply, reply, reply, end].concat();
                assert_eq!(RespAnswers::count_alike(&input, reply.len()), 2, "{}", input.escape_ascii());
            }
        }
        // Each of these says something else.
        assert_eq!(RespAnswers::count_alike(b":1\r\n:1\r\n", 4), 0);
        assert_eq!(RespAnswers::count_alike(b"*1\r\n:1\r\n*1\r\n:1\r\n", 8), 0);
        assert_eq!(RespAnswers::count_alike(b"+OK\r\n+NO\r\n", 5), 0);
    }

    #[test]
    fn other_protocols_are_named() {
        for input in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"INFO {}\r\n", b"$x\r\n", b"*-2\r\n", b"x"] {
            let error = RespAnswers::next(input).expect_err("it is no RESP");
            assert!(error.starts_with("it does not answer in RESP but with \""), "{error}");
        }
        assert_eq!(RespAnswers::text(b"-ERR no such thing\r\n"), b"ERR no such thing");
    }
}
