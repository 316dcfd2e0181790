//! What a client is told that got a command's grammar wrong.
//!
//! Of the commands that Redis has the words are Redis'.  Those of this server's own have no words to keep to, and nobody
//! knows their grammar by heart, so they show it.

use super::Row;
use crate::refusal::Refusal;

/// How the `since` of a row begins that is this server's own.
const OWN: &str = "Quartet";

impl Row {
    /// The refusal with the grammar of the command behind it, if that is what the client got wrong and the command is
    /// one of this server's own.
    pub fn explained(&self, refusal: Refusal) -> Refusal {
        if !refusal.is_about_grammar()
            || !self.command.since.starts_with(OWN)
            || self.command.syntax.is_empty()
        {
            return refusal;
        }
        let name = self.name.to_uppercase().replace('|', " ");
        let usage = format!("; usage: {name} {}", self.command.syntax);
        Refusal::new([refusal.text(), usage.as_bytes()].concat())
    }
}
