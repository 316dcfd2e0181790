//! A hash some of whose fields expire: the table of fields, and beside it the deadlines of those that have one.
//!
//! A hash becomes one of these when its first field gets a deadline; all others pay nothing for what they do not use.  The entry
//! falls due with its soonest field (`Entry::settle_due`), so the index that knows when keys expire knows of fields too, and
//! whoever finds the entry due removes the fields whose deadlines have passed before anybody sees them.

use super::deadlines::Deadlines;
use super::fields::FieldTable;
use crate::store::value::Deadline;

/// See the head of the file.
#[derive(Clone)]
pub struct ExpiringHash {
    values: FieldTable,
    deadlines: Deadlines,
    /// When the whole key is gone, which the entry itself cannot tell any more: it has the soonest of all deadlines.
    pub(in crate::store) key_deadline: Option<Deadline>,
}

impl ExpiringHash {
    /// A hash whose fields have no deadlines yet.
    pub(in crate::store) fn new(values: FieldTable, key_deadline: Option<Deadline>) -> ExpiringHash {
        ExpiringHash { values, deadlines: Deadlines::default(), key_deadline }
    }

    /// The fields with their values.
    pub(in crate::store) fn values(&self) -> &FieldTable {
        &self.values
    }

    /// When a field is gone; none if it has no deadline, or is not there.
    pub(in crate::store) fn deadline(&self, field: &[u8]) -> Option<Deadline> {
        self.deadlines.get(field)
    }

    /// When the key or the soonest of its fields is gone.
    pub(in crate::store) fn due(&self) -> Option<Deadline> {
        self.deadlines.first().into_iter().chain(self.key_deadline).min()
    }

    /// Whether nothing of it is left at `now`.
    pub(in crate::store) fn is_gone(&self, now: Deadline) -> bool {
        self.key_deadline.is_some_and(|deadline| now > deadline)
            || self.deadlines.len() == self.values.len()
                && self.deadlines.last().is_none_or(|deadline| now > deadline)
    }

    /// Writes the value of a field, which keeps its deadline; true if the field is new.
    pub(in crate::store) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.values.set(field, value)
    }

    /// Removes a field; false if there is none.
    pub(in crate::store) fn remove(&mut self, field: &[u8]) -> bool {
        self.set_deadline(field, None);
        self.values.remove(field)
    }

    /// Changes or removes the deadline of a field, which there is.
    pub(in crate::store) fn set_deadline(&mut self, field: &[u8], deadline: Option<Deadline>) {
        self.deadlines.remove(field);
        if let Some(deadline) = deadline {
            self.deadlines.add(field, deadline, || self.values.empty());
        }
    }

    /// Removes up to `limit` fields whose deadlines have passed at `now`, and returns how many there were.
    pub(in crate::store) fn expire(&mut self, now: Deadline, limit: usize) -> usize {
        for removed in 0..limit {
            let Some(field) = self.deadlines.take_due(now) else { return removed };
            self.values.remove(&field);
        }
        limit
    }

    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        self.values.memory() + self.deadlines.memory()
    }
}
