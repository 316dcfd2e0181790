//! Frames of the broker's protocol as an inbox gets them: `MSG subject sid [reply] length` or
//! `HMSG subject sid [reply] headers length`, a line end, headers and payload, a line end.

use bytes::{Buf, Bytes};

/// A message that came to an inbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Delivered {
    /// The subject that it was published on.
    pub(crate) subject: Bytes,
    /// Its reply subject; empty for none.
    pub(crate) reply: Bytes,
    /// Its header block; empty for none.
    pub(crate) headers: Bytes,
    /// Its payload.
    pub(crate) payload: Bytes,
}

impl Delivered {
    /// Takes the first message off some frames; none at their end.
    pub(crate) fn take(frames: &mut Bytes) -> Option<Delivered> {
        let end = frames.windows(2).position(|bytes| bytes == b"\r\n")?;
        let line = frames.slice(..end);
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        let has_headers = *fields.first()? == b"HMSG";
        let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse::<usize>().ok();
        let (reply, headers, length): (&[u8], usize, usize) = match (has_headers, &fields[1..]) {
            (false, [_, _, length]) => (b"", 0, number(length)?),
            (false, [_, _, reply, length]) => (reply, 0, number(length)?),
            (true, [_, _, headers, length]) => (b"", number(headers)?, number(length)?),
            (true, [_, _, reply, headers, length]) => (reply, number(headers)?, number(length)?),
            _ => return None,
        };
        let content = frames.get(end + 2..)?;
        if headers > length || length > content.len() {
            return None;
        }
        let delivered = Delivered {
            subject: line.slice_ref(fields[1]),
            reply: if reply.is_empty() { Bytes::new() } else { line.slice_ref(reply) },
            headers: frames.slice_ref(&content[..headers]),
            payload: frames.slice_ref(&content[headers..length]),
        };
        frames.advance((end + 2 + length + 2).min(frames.len()));
        Some(delivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_what_is_in_their_frames() {
        let take = |text: &'static str| {
            let mut frames = Bytes::from_static(text.as_bytes());
            (Delivered::take(&mut frames), frames)
        };
        for (text, subject, reply, headers, payload) in [
            ("MSG _INBOX.x 1 5\r\nhello\r\n", "_INBOX.x", "", "", "hello"),
            ("MSG _INBOX.x 1 next 0\r\n\r\n", "_INBOX.x", "next", "", ""),
            ("HMSG _INBOX.x 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", "_INBOX.x", "", "NATS/1.0\r\n\r\n", "hi"),
            (
                "HMSG a.b 1 next 12 12\r\nNATS/1.0\r\n\r\n\r\nMSG _INBOX.x 1 1\r\nx\r\n",
                "a.b",
                "next",
                "NATS/1.0\r\n\r\n",
                "",
            ),
        ] {
            let (found, rest) = take(text);
            let expected = Delivered {
                subject: Bytes::from_static(subject.as_bytes()),
                reply: Bytes::from_static(reply.as_bytes()),
                headers: Bytes::from_static(headers.as_bytes()),
                payload: Bytes::from_static(payload.as_bytes()),
            };
            assert_eq!(found, Some(expected), "{text}");
            assert!(rest.is_empty() || rest == "MSG _INBOX.x 1 1\r\nx\r\n", "{rest:?}");
        }
        for text in ["", "\r\n", "MSG _INBOX.x 1 9\r\nhello\r\n", "HMSG _INBOX.x 1 9 8\r\nhellohello\r\n"] {
            assert!(take(text).0.is_none(), "{text}");
        }
    }
}
