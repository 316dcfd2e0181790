//! Reading arguments: words and the values behind them.

use quartet_protocol::resp::number::parse_integer;

use crate::refusal::Refusal;

/// The arguments behind the positions of a command.
pub(super) struct Words<'w>(Box<dyn Iterator<Item = &'w [u8]> + 'w>);

impl<'w> Words<'w> {
    pub(super) fn new(words: impl Iterator<Item = &'w [u8]> + 'w) -> Words<'w> {
        Words(Box::new(words))
    }

    /// The next word in capitals, and as it is written.
    pub(super) fn next(&mut self) -> Option<(Vec<u8>, &'w [u8])> {
        let word = self.0.next()?;
        Some((word.to_ascii_uppercase(), word))
    }

    /// The value behind a word.
    pub(super) fn value(&mut self) -> Result<&'w [u8], Refusal> {
        self.0.next().ok_or(Refusal::SYNTAX)
    }

    /// The value behind a word as a whole number that is not negative.
    pub(super) fn number(&mut self) -> Result<u64, Refusal> {
        number(self.value()?)
    }

    /// The value behind a word as text.
    pub(super) fn text(&mut self, what: &str) -> Result<&'w str, Refusal> {
        text(what, self.value()?)
    }
}

/// A whole number that is not negative.
pub(super) fn number(bytes: &[u8]) -> Result<u64, Refusal> {
    let number = parse_integer(bytes).ok_or(Refusal::NOT_AN_INTEGER)?;
    u64::try_from(number).map_err(|_| Refusal::NOT_AN_INTEGER)
}

/// A name or a pattern as text.
pub(super) fn text<'w>(what: &str, bytes: &'w [u8]) -> Result<&'w str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::new(format!("ERR {what} is not valid UTF-8")))
}
