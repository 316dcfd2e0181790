//! The encodings of messages.  Each form of a message is made when the first receiver needs it, and all receivers share
//! it.

use std::sync::Arc;

use bytes::Bytes;
use quartet_protocol::resp::{Output, Version};

use super::Name;
use super::fan_out::{ChannelSpace, Message};

/// The form in which a receiver gets messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Encoding {
    /// An array of RESP2.
    Resp2,
    /// A push of RESP3.
    Resp3,
    /// A server-sent event.  Only messages with a kind have this form, which clients cannot publish.
    Event,
}

/// The number of encodings.
const ENCODINGS: usize = 3;

impl Encoding {
    /// The encoding with this number.
    pub(super) fn of(number: u8) -> Encoding {
        match number {
            number if number == Encoding::Resp2 as u8 => Encoding::Resp2,
            number if number == Encoding::Resp3 as u8 => Encoding::Resp3,
            _ => Encoding::Event,
        }
    }
}

impl From<Version> for Encoding {
    fn from(version: Version) -> Encoding {
        match version {
            Version::Resp2 => Encoding::Resp2,
            Version::Resp3 => Encoding::Resp3,
        }
    }
}

/// One message in all the forms that its receivers need.
pub(super) struct Encoded<'m> {
    message: &'m Message<'m>,
    /// For subscribers of the channel.
    exact: [Option<Bytes>; ENCODINGS],
    /// The pattern that the forms in `matched` name.
    pattern: Option<Name>,
    matched: [Option<Bytes>; ENCODINGS],
}

impl<'m> Encoded<'m> {
    pub(super) fn new(message: &'m Message<'m>) -> Encoded<'m> {
        Encoded { message, exact: Default::default(), pattern: None, matched: Default::default() }
    }

    /// The message for a subscriber of its channel, or else of a pattern; none if it does not have this form.
    pub(super) fn form(&mut self, encoding: Encoding, pattern: Option<&Name>) -> Option<Bytes> {
        let forms = match pattern {
            None => &mut self.exact,
            Some(pattern) => {
                if !self.pattern.as_ref().is_some_and(|last| Arc::ptr_eq(last, pattern)) {
                    self.pattern = Some(Arc::clone(pattern));
                    self.matched = Default::default();
                }
                &mut self.matched
            }
        };
        let form = &mut forms[encoding as usize];
        if form.is_none() {
            *form = self.message.encode(encoding, pattern.map(|pattern| &**pattern));
        }
        form.clone()
    }
}

impl Message<'_> {
    fn encode(&self, encoding: Encoding, pattern: Option<&[u8]>) -> Option<Bytes> {
        let version = match encoding {
            Encoding::Resp2 => Version::Resp2,
            Encoding::Resp3 => Version::Resp3,
            Encoding::Event => return Some(server_sent_event(self.kind?, self.payload)),
        };
        let word: &[u8] = match self.space {
            ChannelSpace::Channels => b"message",
            ChannelSpace::ShardChannels => b"smessage",
        };
        Some(match pattern {
            None => push(version, &[word, self.channel, self.payload]),
            Some(pattern) => push(version, &[b"pmessage", pattern, self.channel, self.payload]),
        })
    }
}

fn push(version: Version, parts: &[&[u8]]) -> Bytes {
    let mut output = Output::new();
    output.set_version(version);
    output.push(parts.len());
    for part in parts {
        output.bulk(part);
    }
    output.into_buffer().into_bytes()
}

/// A server-sent event: its kind, and JSON without line ends, so that one line of data is enough.
pub fn server_sent_event(kind: &str, json: &[u8]) -> Bytes {
    [b"event: ", kind.as_bytes(), b"\ndata: ", json, b"\n\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_has_its_number() {
        for encoding in [Encoding::Resp2, Encoding::Resp3, Encoding::Event] {
            assert_eq!(Encoding::of(encoding as u8), encoding);
        }
    }

    #[test]
    fn a_form_is_made_once() {
        let message = Message {
            space: ChannelSpace::Channels,
            channel: b"news",
            payload: b"{}",
            kind: None,
            sender: None,
        };
        let (first, second): (Name, Name) = (b"n*"[..].into(), b"*"[..].into());
        let mut encoded = Encoded::new(&message);
        let mut form = |encoding, pattern| encoded.form(encoding, pattern).expect("it has this form");
        let once = form(Encoding::Resp2, None);
        assert_eq!(once, &b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\n{}\r\n"[..]);
        assert_eq!(form(Encoding::Resp2, None).as_ptr(), once.as_ptr());
        assert_eq!(form(Encoding::Resp3, None), &b">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\n{}\r\n"[..]);
        let matched = form(Encoding::Resp2, Some(&first));
        assert_eq!(matched, &b"*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\n{}\r\n"[..]);
        assert_eq!(form(Encoding::Resp2, Some(&first)).as_ptr(), matched.as_ptr());
        assert!(form(Encoding::Resp2, Some(&second)).ends_with(b"$1\r\n*\r\n$4\r\nnews\r\n$2\r\n{}\r\n"));
    }

    #[test]
    fn only_a_message_with_a_kind_is_an_event() {
        let message = Message {
            space: ChannelSpace::Channels,
            channel: b"news",
            payload: b"{}",
            kind: None,
            sender: None,
        };
        assert_eq!(Encoded::new(&message).form(Encoding::Event, None), None);
        let message = Message { kind: Some("acquired"), ..message };
        let event = Encoded::new(&message).form(Encoding::Event, None);
        assert_eq!(event.as_deref(), Some(&b"event: acquired\ndata: {}\n\n"[..]));
    }
}
