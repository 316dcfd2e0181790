//! Refusals that show a command's grammar.
//!
//! Commands that Redis has are refused in Redis' words.  Commands of this server's own have no words to keep to, and their
//! grammar is less known, so their refusals show it.

use super::Row;
use crate::refusal::Refusal;

/// The start of `since` in rows of this server's own commands.
const OWN: &str = "Quartet";

impl Row {
    /// The refusal, followed by the grammar of the command if the client got that wrong and the command is one of this
    /// server's own.
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
