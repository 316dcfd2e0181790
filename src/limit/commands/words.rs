//! Reading the arguments of the family: words and what follows them.

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use crate::refusal::Refusal;

/// What is left of a request.
pub(super) struct Words<'w> {
    arguments: Arguments<'w>,
    next: usize,
}

impl<'w> Words<'w> {
    /// All of these.
    pub(super) fn new(arguments: Arguments<'w>) -> Words<'w> {
        Words { arguments, next: 0 }
    }

    /// How many words are left.
    pub(super) fn len(&self) -> usize {
        self.arguments.len() - self.next
    }

    /// A word that must be there.
    pub(super) fn value(&mut self) -> Result<&'w [u8], Refusal> {
        self.next().ok_or(Refusal::SYNTAX)
    }

    /// A number that must be there.
    pub(super) fn integer(&mut self) -> Result<i64, Refusal> {
        parse_integer(self.value()?).ok_or(Refusal::NOT_AN_INTEGER)
    }

    /// A number that must be there behind a word.
    pub(super) fn integer_after(&mut self, word: &[u8]) -> Result<i64, Refusal> {
        if self.accept(word) { self.integer() } else { Err(Refusal::SYNTAX) }
    }

    /// Nothing may follow.
    pub(super) fn end(&mut self) -> Result<(), Refusal> {
        self.next().map_or(Ok(()), |word| Err(Refusal::syntax_at(word)))
    }

    /// Goes past a word if it is next.
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

/// A name or a pattern, which is text.
///
/// # Errors
/// If the bytes are none.
pub(super) fn text<'w>(what: &str, bytes: &'w [u8]) -> Result<&'w str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::new(format!("ERR {what} is not valid UTF-8")))
}
