//! The output of one operation besides its result: answers to waiters, notices for listeners, records for the journal.

use crate::lock::durability::Durability;
use crate::lock::identifiers::WaiterId;
use crate::lock::notice::Notice;
use crate::lock::outcome::Outcome;
use crate::lock::records::Record;

/// The output of operations since it was last collected.
#[derive(Default, Debug)]
pub struct Events {
    /// Answers to waiters.
    pub answers: Vec<(WaiterId, Outcome)>,
    /// Notices, if there are listeners.
    pub notices: Vec<Notice>,
    /// Whether there are listeners.
    pub wants_notices: bool,
    /// Which records are kept.
    pub keeps: Durability,
    /// Records, one after the other.
    records: Vec<u8>,
    /// Where each record ends.
    record_ends: Vec<usize>,
}

impl Events {
    /// Notes an answer.
    pub(in crate::lock) fn answer(&mut self, waiter: WaiterId, outcome: Outcome) {
        self.answers.push((waiter, outcome));
    }

    /// Notes a record.
    pub(in crate::lock) fn record(&mut self, record: &Record<'_>) {
        let is_kept = match self.keeps {
            Durability::None => false,
            Durability::Fence => matches!(record, Record::FenceRange { .. }),
            Durability::Full => true,
        };
        if is_kept {
            record.write(&mut self.records);
            self.record_ends.push(self.records.len());
        }
    }

    /// Whether there are records.
    pub fn has_records(&self) -> bool {
        !self.record_ends.is_empty()
    }

    /// The records.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.record_ends.iter().copied());
        starts.zip(&self.record_ends).map(|(start, &end)| &self.records[start..end])
    }

    /// Forgets the records.
    pub fn clear_records(&mut self) {
        self.records.clear();
        self.record_ends.clear();
    }
}
