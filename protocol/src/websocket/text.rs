//! UTF-8 that comes in pieces, cut anywhere.

use std::fmt;

/// The bytes of the longest character.
const CHARACTER_LENGTH_MAX: usize = 4;

/// The bytes are no UTF-8, whatever follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the text is not UTF-8")
    }
}

impl std::error::Error for InvalidUtf8 {}

/// Checks a text as it comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Check {
    /// The beginning of a character whose rest has not come.
    begun: [u8; CHARACTER_LENGTH_MAX],
    length: u8,
}

impl Utf8Check {
    /// Checks the next piece.
    ///
    /// # Errors
    /// As soon as no further piece can make it UTF-8.
    pub fn check(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.length > 0 {
            let Some((&next, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.begun[usize::from(self.length)] = next;
            self.length += 1;
            match std::str::from_utf8(&self.begun[..usize::from(self.length)]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(InvalidUtf8),
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let begun = &piece[error.valid_up_to()..];
                self.begun[..begun.len()].copy_from_slice(begun);
                self.length = begun.len() as u8;
                Ok(())
            }
            Err(_) => Err(InvalidUtf8),
        }
    }

    /// Ends the text; the next piece begins another one.
    ///
    /// # Errors
    /// If its last character is not whole.
    pub fn end(&mut self) -> Result<(), InvalidUtf8> {
        if std::mem::take(&mut self.length) == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }
}
