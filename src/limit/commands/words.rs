//! Reading arguments: words and the values after them.

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use crate::refusal::Refusal;

/// The arguments that are not read yet.
pub(super) struct Words<'w> {
    arguments: Arguments<'w>,
    next: usize,
}

impl<'w> Words<'w> {
    /// All of these arguments.
    pub(super) fn new(arguments: Arguments<'w>) -> Words<'w> {
        Words { arguments, next: 0 }
    }

    /// How many words are left.
    pub(super) fn len(&self) -> usize {
        self.arguments.len() - self.next
    }

    /// The next word, which must exist.
    pub(super) fn value(&mut self) -> Result<&'w [u8], Refusal> {
        self.next().ok_or(Refusal::SYNTAX)
    }

    /// The next word as a number.
    pub(super) fn integer(&mut self) -> Result<i64, Refusal> {
        parse_integer(self.value()?).ok_or(Refusal::NOT_AN_INTEGER)
    }

    /// The number after a word, which must be next.
    pub(super) fn integer_after(&mut self, word: &[u8]) -> Result<i64, Refusal> {
        if self.accept(word) { self.integer() } else { Err(Refusal::SYNTAX) }
    }

    /// Refuses further words.
    pub(super) fn end(&mut self) -> Result<(), Refusal> {
        self.next().map_or(Ok(()), |word| Err(Refusal::syntax_at(word)))
    }

    /// Skips a word if it is next.
    pub(super) fn accept(&mut self, word: &[u8]) -> bool {
        let is_next = self.arguments.get(self.next).is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.next += usize::from(is_next);
        is_next
    }
}

impl<'w> Iterator for Words<'w> {
    type Item = &'w [u8];

    fn next(&mut self) -> Option<&'w [u8]> {
        let word = self.arguments.get(self.next)?;
        self.next += 1;
        Some(word)
    }
}

/// A name or a pattern as text.
///
/// # Errors
/// If the bytes are not UTF-8.
pub(super) fn text<'w>(what: &str, bytes: &'w [u8]) -> Result<&'w str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::new(format!("ERR {what} is not valid UTF-8")))
}
