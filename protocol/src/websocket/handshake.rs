//! The handshake's texts.  The rest of the handshake is HTTP's.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};

/// The version of the protocol, in `Sec-WebSocket-Version`.
pub const VERSION: &str = "13";

/// The subprotocol of JSON objects.
pub const JSON: &str = "quartet.json";

/// The compression that is agreed on, in `Sec-WebSocket-Extensions`.  Each message is compressed by itself: Safari fails to
/// read messages that refer to earlier ones.
pub const COMPRESSION: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The bytes of a key before its encoding.
const KEY_LENGTH: usize = 16;

/// What the answer mixes the key with, so that only a server that knows the protocol gives it (RFC 6455, section 1.3).
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The answer to the key of the client, for `Sec-WebSocket-Accept`; none if that is no key.
pub fn accept(key: &[u8]) -> Option<String> {
    let decoded = BASE64_STANDARD.decode(key).ok()?;
    if decoded.len() != KEY_LENGTH {
        return None;
    }
    Some(BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(ACCEPT_SUFFIX).finalize()))
}

/// The elements of a header's value that is a list.
fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Whether a list names this token, in any case.
pub fn has_token(list: &str, token: &str) -> bool {
    elements(list).any(|element| element.eq_ignore_ascii_case(token))
}

/// The form of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subprotocol {
    /// The bytes of NATS' protocol, in frames cut anywhere: what clients of NATS speak, who name no subprotocol.
    Bytes,
    /// One JSON object per frame: `quartet.json`.
    Json,
}

impl Subprotocol {
    /// The subprotocol among those that the client names, in the lists of all its headers; none if it names only others, whose
    /// clients would not understand the server.
    pub fn choose<'l>(lists: impl IntoIterator<Item = &'l str>) -> Option<Subprotocol> {
        let mut chosen = Some(Subprotocol::Bytes);
        for name in lists.into_iter().flat_map(elements) {
            if name == JSON {
                return Some(Subprotocol::Json);
            }
            chosen = None;
        }
        chosen
    }

    /// Its name, if it has one.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Subprotocol::Bytes => None,
            Subprotocol::Json => Some(JSON),
        }
    }
}

/// Whether one of the client's offers lets both sides compress each message by itself, see [`COMPRESSION`].
pub fn offers_compression<'l>(lists: impl IntoIterator<Item = &'l str>) -> bool {
    lists.into_iter().flat_map(elements).any(is_acceptable)
}

/// Whether an offer is of this compression and leaves the server its window.
fn is_acceptable(offer: &str) -> bool {
    let mut parts = offer.split(';').map(str::trim);
    if parts.next() != Some("permessage-deflate") {
        return false;
    }
    let mut seen: Vec<&str> = Vec::new();
    parts.all(|parameter| {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(value.trim().trim_matches('"'))),
            None => (parameter, None),
        };
        let is_new = !seen.contains(&name);
        seen.push(name);
        is_new
            && match name {
                "server_no_context_takeover" | "client_no_context_takeover" => value.is_none(),
                "client_max_window_bits" => value.is_none_or(is_window),
                _ => false,
            }
    })
}

/// Whether a parameter is the logarithm of a window.
fn is_window(bits: &str) -> bool {
    matches!(bits, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
}
