//! The subjects on which clients of RESP, HTTP and the JSON form of WebSocket may publish.
//!
//! Hidden subjects belong to the talk between NATS clients and the server: requests to the server, answers to requests.
//! Clients of the other listeners see them if they name them, and publish nothing there.

use std::{fmt, io};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quartet_protocol::broker::subject;

use crate::random;

/// Bytes of the name of an inbox that cannot be guessed.
const INBOX_SECRET_LENGTH: usize = 16;

/// Why nothing is published.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubjectRefused {
    /// It is no subject, or has wildcards.
    Invalid,
    /// It is hidden, so only NATS clients publish there.
    Hidden,
}

impl fmt::Display for SubjectRefused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SubjectRefused::Invalid => {
                "a subject is tokens between full stops, without blanks and without the wildcards `*` and `>`"
            }
            SubjectRefused::Hidden => {
                "subjects that begin with `$` or `_INBOX.` are open to NATS clients only: choose another subject"
            }
        })
    }
}

/// A new inbox: the private reply subject of one request, on which only those who get the request can answer.
///
/// # Errors
/// If the system has no random bytes.
pub fn new_inbox() -> io::Result<String> {
    let prefix = std::str::from_utf8(subject::INBOX).expect("it is ASCII");
    let secret = random::secret::<INBOX_SECRET_LENGTH>()?;
    Ok(format!("{prefix}.{}", URL_SAFE_NO_PAD.encode(secret)))
}

/// Checks the channel of a PUBLISH, which may be any text.
///
/// # Errors
/// If it is hidden.
pub fn check_channel(channel: &[u8]) -> Result<(), SubjectRefused> {
    if subject::is_hidden(channel) { Err(SubjectRefused::Hidden) } else { Ok(()) }
}

/// Checks the subject of a message.
///
/// # Errors
/// If it is no subject, or is hidden.
pub fn check_subject(text: &[u8]) -> Result<(), SubjectRefused> {
    if !subject::is_literal(text) {
        return Err(SubjectRefused::Invalid);
    }
    check_channel(text)
}

/// Checks the reply subject of a message.  It may be an inbox; beyond that, an answer goes only where its asker could
/// publish.
///
/// # Errors
/// If it is no subject, or is hidden.
pub fn check_reply(text: &[u8]) -> Result<(), SubjectRefused> {
    match check_subject(text) {
        Err(SubjectRefused::Hidden) if subject::first_token(text) == subject::INBOX => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_subjects_are_closed() {
        use SubjectRefused::{Hidden, Invalid};
        for (text, channel, subject, reply) in [
            ("news", Ok(()), Ok(()), Ok(())),
            ("news.$eu", Ok(()), Ok(()), Ok(())),
            ("_INBOXES.x", Ok(()), Ok(()), Ok(())),
            ("two words", Ok(()), Err(Invalid), Err(Invalid)),
            ("", Ok(()), Err(Invalid), Err(Invalid)),
            ("news..eu", Ok(()), Err(Invalid), Err(Invalid)),
            ("news.*", Ok(()), Err(Invalid), Err(Invalid)),
            ("news.>", Ok(()), Err(Invalid), Err(Invalid)),
            ("news.x*", Ok(()), Ok(()), Ok(())),
            ("$SYS.REQ", Err(Hidden), Err(Hidden), Err(Hidden)),
            ("$", Err(Hidden), Err(Hidden), Err(Hidden)),
            ("$ x", Err(Hidden), Err(Invalid), Err(Invalid)),
            ("_INBOX.x", Err(Hidden), Err(Hidden), Ok(())),
        ] {
            let text = text.as_bytes();
            assert_eq!(
                (check_channel(text), check_subject(text), check_reply(text)),
                (channel, subject, reply)
            );
        }
    }
}
