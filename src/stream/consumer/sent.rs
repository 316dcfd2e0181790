//! Messages that nobody is to acknowledge: a consumer is through with them once they were sent.
//!
//! Until then it counts them as not delivered in all that outlives the server, and has its stream keep them: the disk may refuse to
//! read one, and the server may be killed.  So such a message is rather sent twice than lost.
//!
//! One that cannot be read is passed over, and its stream keeps it.  That is written down together with the place that the
//! consumer has come to, in one append: after a kill between two, the message would be delivered and be kept for ever.

use super::Consumer;
use super::effect::Effect;
use super::record::Record;
use super::rules::Retention;

impl Consumer {
    /// Everything was sent that the latest turn delivers, but for what was told as unread.  The owner appends the records among the
    /// effects together.
    pub fn turn_sent(&mut self, effects: &mut Vec<Effect>) {
        if self.unsent.is_empty() && self.passed_over.is_empty() {
            return;
        }
        let mut sent = std::mem::take(&mut self.unsent);
        let passed_over = std::mem::take(&mut self.passed_over);
        if self.rules.is_kept {
            let exhausted = passed_over.iter().map(|sequence| Record::Exhausted { sequence: *sequence });
            let (sequence, consumer_sequence) = self.sent_through();
            let passed = Record::Passed { sequence, consumer_sequence };
            effects.extend(exhausted.chain([passed]).map(Effect::Keep));
        }
        passed_over.into_iter().for_each(|sequence| self.set_exhausted(sequence));
        if self.rules.retention == Retention::Consumed {
            effects.extend(sent.iter().map(|sequence| Effect::Done { sequence: *sequence }));
        }
        // Its memory is for the next turn.
        sent.clear();
        self.unsent = sent;
    }

    /// A message is delivered that nobody is to acknowledge.
    pub(super) fn note_unsent(&mut self, sequence: u64) {
        if self.rules.is_kept || self.rules.retention == Retention::Consumed {
            self.unsent.push_back(sequence);
        }
    }

    /// A message that nobody is to acknowledge cannot be read, and is not delivered any more.
    pub(super) fn pass_over(&mut self, sequence: u64) {
        self.delivered -= 1;
        self.unsent.retain(|unsent| *unsent != sequence);
        self.passed_over.push(sequence);
    }

    /// Whether a message was neither sent nor passed over for good that nobody is to acknowledge.
    pub(super) fn is_unsent(&self, sequence: u64) -> bool {
        self.unsent.contains(&sequence)
            || self.put_back.contains(&sequence)
            || self.passed_over.contains(&sequence)
    }

    /// The sequence up to which every message was sent or passed over for good, and the number of the last delivery up to there.
    pub(super) fn sent_through(&self) -> (u64, u64) {
        // What was put back and is delivered again comes before all others.
        let waiting = [self.unsent.front(), self.put_back.front(), self.passed_over.first()];
        let first = waiting.into_iter().flatten().min();
        let sequence = first.map_or(self.position, |first| first - 1);
        (sequence, self.delivered - self.unsent.len() as u64)
    }
}
