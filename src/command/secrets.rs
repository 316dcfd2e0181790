//! Requests as SLOWLOG and MONITOR show them: with the arguments hidden that the command's row calls secret.
//!
//! A secret is found by its place, as the command itself reads it: a name or a value may spell like an option.

use quartet_protocol::resp::Arguments;

use super::Row;

/// Stands in the place of a secret.
pub const REDACTED: &[u8] = b"(redacted)";

/// The arguments of a request, among which a row hides the secrets.
pub struct ShownArguments<'a>(Vec<&'a [u8]>);

impl<'a> ShownArguments<'a> {
    /// The arguments of a command as others may see them.
    pub fn new(row: &Row, arguments: Arguments<'a>) -> ShownArguments<'a> {
        let mut shown = ShownArguments(arguments.iter().collect());
        (row.command.hide_secrets)(&mut shown);
        shown
    }

    /// The argument at `position`, argument 0 being the command's name.
    pub fn get(&self, position: usize) -> Option<&'a [u8]> {
        self.0.get(position).copied()
    }

    /// Hides the argument at `position`, if there is one.
    pub fn hide(&mut self, position: usize) {
        if let Some(argument) = self.0.get_mut(position) {
            *argument = REDACTED;
        }
    }

    /// Hides all arguments from a position on.
    pub fn hide_from(&mut self, position: usize) {
        for argument in self.0.get_mut(position..).unwrap_or_default() {
            *argument = REDACTED;
        }
    }
}

impl<'a> IntoIterator for ShownArguments<'a> {
    type Item = &'a [u8];
    type IntoIter = std::vec::IntoIter<&'a [u8]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
