//! The stream changes under its consumer: messages are published, and messages are removed.

use super::Consumer;
use super::effect::Turn;

impl Consumer {
    /// A message can be seen from now on.  The owner tells each once, in the order of their sequences, and may leave out
    /// those that do not match.
    pub fn published(&mut self, sequence: u64, subject: &[u8]) {
        if sequence <= self.position || !self.is_settled || !self.rules.filter.matches(subject) {
            return;
        }
        if self.ahead == 0 && self.newest.is_none() {
            // Nothing before it matches, so the search for the next message begins here.
            self.position = self.position.max(sequence - 1);
        }
        self.ahead += 1;
    }

    /// A message that was published before has become unknown, so it counts for every filter from now on.
    pub fn lost(&mut self, sequence: u64, subject: &[u8]) {
        let until = self.newest.as_ref().map_or(self.position, |newest| newest.until);
        if self.is_settled && sequence > until && !self.rules.filter.matches(subject) {
            self.ahead += 1;
        }
    }

    /// A message was removed from the stream, by a limit or by somebody; it has no subject if it was unknown.  The owner tells
    /// each once, but not those that could not be seen yet.
    pub fn removed(&mut self, sequence: u64, subject: Option<&[u8]>) {
        self.outstanding.remove(sequence);
        self.exhausted.remove(&sequence);
        self.put_back.retain(|put_back| *put_back != sequence);
        self.passed_over.retain(|passed_over| *passed_over != sequence);
        let is_ahead =
            sequence > self.position && self.newest.as_ref().is_none_or(|newest| newest.wants(sequence));
        if is_ahead && subject.is_none_or(|subject| self.rules.filter.matches(subject)) {
            self.ahead = self.ahead.saturating_sub(1);
        }
    }

    /// Many messages were removed at once: looks at all that it knows, instead of being told each.
    pub fn swept(&mut self, turn: &mut Turn<'_>) {
        if !self.is_settled {
            return;
        }
        let messages = turn.messages;
        self.outstanding.retain(|sequence| messages.holds(sequence));
        self.exhausted.retain(|sequence| messages.holds(*sequence));
        self.put_back.retain(|sequence| messages.holds(*sequence));
        self.passed_over.retain(|sequence| messages.holds(*sequence));
        let mut from = self.position + 1;
        let mut listed = 0;
        if let Some(newest) = &mut self.newest {
            newest.sequences.retain(|sequence| messages.holds(*sequence));
            listed = newest.sequences.len() as u64;
            from = newest.until + 1;
        }
        self.ahead = listed + messages.count(from, &self.rules.filter);
        self.end_newest_if_through();
    }
}
