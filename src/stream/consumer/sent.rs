//! Messages that nobody is to acknowledge: a consumer is through with them once they were sent.
//!
//! Until then it counts them as not delivered in all that outlives the server, and has its stream keep them: the disk may refuse to
//! read one, and the server may be killed.  So such a message is rather sent twice than lost.

use super::Consumer;
use super::effect::Effect;
use super::record::Record;
use super::rules::Retention;

impl Consumer {
    /// Everything was sent that the latest turn delivers, but for what was told as unread.
    pub fn turn_sent(&mut self, effects: &mut Vec<Effect>) {
        if self.unsent.is_empty() && !std::mem::take(&mut self.has_passed_over) {
            return;
        }
        self.has_passed_over = false;
        let sent = std::mem::take(&mut self.unsent);
        if self.rules.is_kept {
            let (sequence, consumer_sequence) = self.sent_through();
            effects.push(Effect::Keep(Record::Passed { sequence, consumer_sequence }));
        }
        if self.rules.retention == Retention::Consumed {
            effects.extend(sent.iter().map(|sequence| Effect::Done { sequence: *sequence }));
        }
        self.unsent = sent;
        self.unsent.clear();
    }

    /// A message is delivered that nobody is to acknowledge.
    pub(super) fn note_unsent(&mut self, sequence: u64) {
        if self.rules.is_kept || self.rules.retention == Retention::Consumed {
            self.unsent.push_back(sequence);
        }
    }

    /// Whether a message was not sent yet that nobody is to acknowledge.
    pub(super) fn is_unsent(&self, sequence: u64) -> bool {
        self.unsent.contains(&sequence) || self.put_back.contains(&sequence)
    }

    /// The sequence up to which every message was sent or passed over, and the number of the last delivery up to there.
    pub(super) fn sent_through(&self) -> (u64, u64) {
        // What was put back and is delivered again comes before all others.
        let first = self.unsent.front().into_iter().chain(self.put_back.front()).min();
        let sequence = first.map_or(self.position, |first| first - 1);
        (sequence, self.delivered - self.unsent.len() as u64)
    }
}
