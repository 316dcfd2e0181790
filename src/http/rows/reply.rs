//! Replies as JSON, read back from RESP2.

use std::borrow::Cow;

use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::request::Encoding;

/// Bytes of replies that one request may have, before they become JSON.
pub(super) const REPLIES_LENGTH_MAX: usize = 16 * 1024 * 1024;

/// Arrays within arrays that a reply may have.
const NESTING_MAX: usize = 32;

/// One value of a reply.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Value<'r> {
    Status(&'r [u8]),
    Error(Cow<'r, [u8]>),
    Integer(i64),
    Bulk(&'r [u8]),
    Array(Vec<Value<'r>>),
    Null,
}

impl<'r> Value<'r> {
    /// An error of the door's own.
    pub(super) fn error(text: impl Into<String>) -> Value<'r> {
        Value::Error(text.into().into_bytes().into())
    }

    /// The value that the bytes of a reply begin with.
    pub(super) fn read(bytes: &'r [u8]) -> Option<Value<'r>> {
        Value::read_next(&mut { bytes }, NESTING_MAX)
    }

    fn read_next(bytes: &mut &'r [u8], depth: usize) -> Option<Value<'r>> {
        let (kind, line) = take_line(bytes)?.split_first()?;
        let number = || std::str::from_utf8(line).ok()?.parse::<i64>().ok();
        Some(match kind {
            b'+' => Value::Status(line),
            b'-' => Value::Error(line.into()),
            b':' => Value::Integer(number()?),
            b'$' | b'*' if line.starts_with(b"-") => Value::Null,
            b'$' => {
                let (text, rest) = bytes.split_at_checked(usize::try_from(number()?).ok()?)?;
                *bytes = rest.strip_prefix(b"\r\n")?;
                Value::Bulk(text)
            }
            b'*' => {
                let depth = depth.checked_sub(1)?;
                let count = usize::try_from(number()?).ok()?;
                Value::Array((0..count).map(|_| Value::read_next(bytes, depth)).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

fn take_line<'r>(bytes: &mut &'r [u8]) -> Option<&'r [u8]> {
    let end = memchr::memmem::find(bytes, b"\r\n")?;
    let line = &bytes[..end];
    *bytes = &bytes[end + 2..];
    Some(line)
}

/// The outcome of one command, as an object with `result` or `error`.
pub(super) struct Spelled<'r> {
    pub(super) value: &'r Value<'r>,
    pub(super) encoding: Encoding,
}

impl Spelled<'_> {
    /// The status of a response that carries nothing else.
    pub(super) fn status(&self) -> StatusCode {
        if matches!(self.value, Value::Error(_)) { StatusCode::BAD_REQUEST } else { StatusCode::OK }
    }
}

impl Serialize for Spelled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(1))?;
        match self.value {
            Value::Error(text) => object.serialize_entry("error", &String::from_utf8_lossy(text))?,
            // Clients leave this one word as it is, whatever they have asked for.
            Value::Status(b"OK") => object.serialize_entry("result", "OK")?,
            value => object.serialize_entry("result", &Inner { value, encoding: self.encoding })?,
        }
        object.end()
    }
}

/// A value within a result.
struct Inner<'r> {
    value: &'r Value<'r>,
    encoding: Encoding,
}

impl Serialize for Inner<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Null => serializer.serialize_none(),
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for value in items {
                    list.serialize_element(&Inner { value, encoding: self.encoding })?;
                }
                list.end()
            }
            Value::Error(text) => serializer.serialize_str(&String::from_utf8_lossy(text)),
            Value::Status(bytes) | Value::Bulk(bytes) => match self.encoding {
                Encoding::Base64 => serializer.serialize_str(&BASE64_STANDARD.encode(bytes)),
                Encoding::Text => match std::str::from_utf8(bytes) {
                    Ok(text) => serializer.serialize_str(text),
                    Err(_) => Err(S::Error::custom("the reply is not text")),
                },
            },
        }
    }
}

impl Value<'_> {
    /// Whether all of it can be spelled this way.
    pub(super) fn fits(&self, encoding: Encoding) -> bool {
        match self {
            Value::Array(items) => items.iter().all(|item| item.fits(encoding)),
            Value::Status(bytes) | Value::Bulk(bytes) => {
                encoding == Encoding::Base64 || std::str::from_utf8(bytes).is_ok()
            }
            Value::Error(_) | Value::Integer(_) | Value::Null => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reply: &[u8], encoding: Encoding, expected: &str) {
        let value = Value::read(reply).expect("it is a reply");
        let spelled = serde_json::to_string(&Spelled { value: &value, encoding });
        assert_eq!(spelled.ok().as_deref(), Some(expected));
    }

    #[test]
    fn replies_are_spelled_as_clients_read_them() {
        for (reply, text, base64) in [
            (&b"+OK\r\n"[..], r#"{"result":"OK"}"#, r#"{"result":"OK"}"#),
            (b"+PONG\r\n", r#"{"result":"PONG"}"#, r#"{"result":"UE9ORw=="}"#),
            (b"$2\r\nOK\r\n", r#"{"result":"OK"}"#, r#"{"result":"T0s="}"#),
            (b":-7\r\n", r#"{"result":-7}"#, r#"{"result":-7}"#),
            (b"$-1\r\n", r#"{"result":null}"#, r#"{"result":null}"#),
            (b"*-1\r\n", r#"{"result":null}"#, r#"{"result":null}"#),
            (b"$0\r\n\r\n", r#"{"result":""}"#, r#"{"result":""}"#),
            (b"-ERR \xffno\r\n", "{\"error\":\"ERR \u{fffd}no\"}", "{\"error\":\"ERR \u{fffd}no\"}"),
            (
                b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n+OK\r\n",
                r#"{"result":["a",[1,null],"OK"]}"#,
                r#"{"result":["YQ==",[1,null],"T0s="]}"#,
            ),
        ] {
            check(reply, Encoding::Text, text);
            check(reply, Encoding::Base64, base64);
        }
        check(b"$4\r\n\xff\r\n\0\r\n", Encoding::Base64, r#"{"result":"/w0KAA=="}"#);
        let binary = Value::read(b"*1\r\n$1\r\n\xff\r\n").expect("it is a reply");
        assert!(binary.fits(Encoding::Base64) && !binary.fits(Encoding::Text));
    }

    #[test]
    fn bytes_that_are_no_reply_are_none() {
        for bytes in
            [&b""[..], b"+OK", b"$5\r\nabc\r\n", b":x\r\n", b"*2\r\n:1\r\n", b"$1\r\nab\r\n", b"%1\r\n"]
        {
            assert_eq!(Value::read(bytes), None);
        }
        assert!(Value::read(&b"*1\r\n".repeat(NESTING_MAX + 1)).is_none());
    }
}
