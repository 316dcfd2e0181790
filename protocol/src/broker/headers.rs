//! Header blocks: `NATS/1.0[ <status>[ <description>]]`, then lines of `Name: value`, then an empty line.
//!
//! Names keep their case and may occur more than once.  A block that was received is passed on as it is; reading one takes
//! what it finds and skips lines that are no pair, as nats-server and its clients do.

use memchr::{memchr, memchr2};

/// How each block begins.
const VERSION: &[u8] = b"NATS/1.0";

/// A header block, read where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    /// The rest of the first line.
    status_line: &'a [u8],
    /// The lines behind it.
    lines: &'a [u8],
}

impl<'a> Headers<'a> {
    /// The view of a block; nothing if it does not begin with a version.
    pub fn new(block: &'a [u8]) -> Option<Self> {
        let (first, lines) = split_line(block);
        let status_line = first.strip_prefix(VERSION)?;
        if status_line.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return None;
        }
        Some(Headers { status_line: status_line.trim_ascii(), lines })
    }

    /// The status, if the block has one: three digits, for example 503.
    pub fn status(&self) -> Option<u16> {
        match *self.status_line {
            [hundreds @ b'0'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => Some(
                [hundreds, tens, ones].iter().fold(0, |status, digit| 10 * status + u16::from(digit - b'0')),
            ),
            _ => None,
        }
    }

    /// The text behind the status; empty if there is none.
    pub fn description(&self) -> &'a [u8] {
        self.status().map_or(b"", |_| self.status_line[3..].trim_ascii())
    }

    /// Names and values in order, without the white space around values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut lines = self.lines;
        std::iter::from_fn(move || {
            while !lines.is_empty() {
                let line;
                (line, lines) = split_line(lines);
                if let Some(colon) = memchr(b':', line).filter(|&colon| colon > 0) {
                    return Some((&line[..colon], line[colon + 1..].trim_ascii()));
                }
            }
            None
        })
    }

    /// The first value of `name`, which is compared with its case.
    pub fn get(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter().find_map(|(found, value)| (found == name).then_some(value))
    }
}

/// A header block being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderBlock {
    bytes: Vec<u8>,
}

/// A name or value that cannot stand in a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHeader {
    /// The name is empty, or has a colon, a space or a control byte in it.
    Name,
    /// The value has a line end in it.
    Value,
}

impl std::fmt::Display for InvalidHeader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Name => "a header's name must not be empty, nor have colons, spaces or control bytes in it",
            Self::Value => "a header's value must not have line ends in it",
        })
    }
}

impl std::error::Error for InvalidHeader {}

impl Default for HeaderBlock {
    fn default() -> Self {
        Self::new()
    }
}

impl HeaderBlock {
    /// A block without pairs.
    pub fn new() -> Self {
        HeaderBlock { bytes: [VERSION, b"\r\n"].concat() }
    }

    /// Adds a pair behind the others.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidHeader> {
        if name.is_empty() || !name.iter().all(|&byte| byte.is_ascii_graphic() && byte != b':') {
            return Err(InvalidHeader::Name);
        }
        if memchr2(b'\r', b'\n', value).is_some() {
            return Err(InvalidHeader::Value);
        }
        for part in [name, b": ", value, b"\r\n"] {
            self.bytes.extend_from_slice(part);
        }
        Ok(())
    }

    /// Whether no pair was added.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == VERSION.len() + 2
    }

    /// The whole block.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes
    }
}

/// Returns the first line without its line end, and the text behind it.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr(b'\n', text) {
        Some(line_feed) => (&text[..line_feed], &text[line_feed + 1..]),
        None => (text, &[][..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}
