//! A hash some of whose fields expire: the fields with their values, packed or as a table, and beside them the deadlines of those
//! that have one.
//!
//! A hash becomes one of these when its first field gets a deadline; all others pay nothing for what they do not use.  The entry
//! falls due with its soonest field (`Entry::settle_due`), so the index that knows when keys expire knows of fields too.
//! Whoever finds the entry due removes fields whose deadlines have passed before anybody sees them, but no more than a step of
//! them; the others are **hidden**: nobody sees them any more, and they are removed by later steps.

use super::deadlines::Deadlines;
use super::fields::FieldTable;
use super::item::Part;
use super::packed::Packed;
use super::packed_pairs::PackedPairs;
use super::pairs::Pairs;
use crate::allocator::block_size;
use crate::store::hash::KeyHasher;
use crate::store::value::Deadline;

/// See the head of the file.
#[derive(Clone)]
pub struct ExpiringHash {
    values: Values,
    deadlines: Deadlines,
    /// Fields whose deadlines lie before this are hidden; 0 while there are none.
    hidden_before: Deadline,
    /// When the whole key is gone, which the entry itself cannot tell any more: it has the soonest of all deadlines.
    pub(in crate::store) key_deadline: Option<Deadline>,
}

/// The fields with their values, the hidden ones too.
#[derive(Clone)]
enum Values {
    Packed(PackedPairs),
    Table(Box<FieldTable>),
}

/// What a step of expiry has done.
pub(in crate::store) struct ExpiredFields {
    /// Fields that were removed.
    pub(in crate::store) removed: usize,
    /// Whether fields were seen before that are not any more.
    pub(in crate::store) is_news: bool,
}

impl ExpiringHash {
    /// The pairs of a packed hash, whose fields have no deadlines yet.
    pub(in crate::store) fn of_packed(packed: Packed<'_>, key_deadline: Option<Deadline>) -> ExpiringHash {
        ExpiringHash::new(Values::Packed(PackedPairs::new(packed)), key_deadline)
    }

    /// The same of a table.
    pub(in crate::store) fn of_table(table: FieldTable, key_deadline: Option<Deadline>) -> ExpiringHash {
        ExpiringHash::new(Values::Table(Box::new(table)), key_deadline)
    }

    fn new(values: Values, key_deadline: Option<Deadline>) -> ExpiringHash {
        ExpiringHash { values, deadlines: Deadlines::default(), hidden_before: 0, key_deadline }
    }

    /// The pairs, unless some of them are hidden.
    pub(in crate::store) fn pairs(&self) -> Option<Pairs<'_>> {
        (self.hidden_len() == 0).then(|| self.values.read())
    }

    /// Number of fields that are not hidden.
    pub(in crate::store) fn len(&self) -> usize {
        self.values.read().len() - self.hidden_len()
    }

    /// Number of hidden fields.
    fn hidden_len(&self) -> usize {
        if self.hidden_before == 0 { 0 } else { self.deadlines.due_len(self.hidden_before) }
    }

    fn is_hidden(&self, field: &[u8]) -> bool {
        self.hidden_before > 0
            && self.deadlines.get(field).is_some_and(|deadline| deadline < self.hidden_before)
    }

    /// The value of a field.
    pub(in crate::store) fn get(&self, field: &[u8]) -> Option<Part<'_>> {
        if self.is_hidden(field) { None } else { self.values.read().get(field) }
    }

    /// Calls `visit` with each field that is not hidden and its value.
    pub(in crate::store) fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        self.values.read().for_each(|field, value| {
            if !self.is_hidden(field) {
                visit(field, value);
            }
        });
    }

    /// As [`Pairs::scan`]; hidden fields count too.
    pub(in crate::store) fn scan(
        &self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> u64 {
        self.values.read().scan(cursor, count, |field, value| {
            if !self.is_hidden(field) {
                visit(field, value);
            }
        })
    }

    /// Brings these fields closer.
    pub(in crate::store) fn prefetch(&self, fields: &[&[u8]]) {
        if let Values::Table(table) = &self.values {
            table.prefetch(fields);
        }
    }

    /// When a field is gone; none if it has no deadline, or is not there.
    pub(in crate::store) fn deadline(&self, field: &[u8]) -> Option<Deadline> {
        self.deadlines.get(field).filter(|&deadline| deadline >= self.hidden_before)
    }

    /// When the key or the soonest of its fields is gone.
    pub(in crate::store) fn due(&self) -> Option<Deadline> {
        self.deadlines.first().into_iter().chain(self.key_deadline).min()
    }

    /// Whether nothing of it is left at `now`.
    pub(in crate::store) fn is_gone(&self, now: Deadline) -> bool {
        self.key_deadline.is_some_and(|deadline| now > deadline)
            || self.deadlines.len() == self.values.read().len()
                && self.deadlines.last().is_none_or(|deadline| now > deadline)
    }

    /// Writes the value of a field, which keeps its deadline; true if the field is new.  The pairs stay packed, if they are, while
    /// there are no more than `packed_max`: 0 for a pair that is too long for that.
    pub(in crate::store) fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        packed_max: usize,
        hasher: &KeyHasher,
    ) -> bool {
        self.remove_hidden(field);
        let table = match &mut self.values {
            Values::Table(table) => table,
            Values::Packed(pairs) => {
                // A pair that is too long for a packed form is no item either.
                if packed_max > 0
                    && let Some(is_new) = pairs.set(field, value, packed_max)
                {
                    return is_new;
                }
                self.values.become_table(hasher)
            }
        };
        table.set(field, value)
    }

    /// Removes a field; false if there is none.
    pub(in crate::store) fn remove(&mut self, field: &[u8]) -> bool {
        let was_hidden = self.is_hidden(field);
        self.deadlines.remove(field);
        self.values.remove(field) && !was_hidden
    }

    /// Changes or removes the deadline of a field, which there is.
    pub(in crate::store) fn set_deadline(
        &mut self,
        field: &[u8],
        deadline: Option<Deadline>,
        hasher: &KeyHasher,
    ) {
        self.remove_hidden(field);
        self.deadlines.remove(field);
        if let Some(deadline) = deadline {
            self.deadlines.add(field, deadline, hasher);
        }
    }

    /// Removes up to `limit` fields whose deadlines have passed at `now`, and hides the others.
    pub(in crate::store) fn expire(&mut self, now: Deadline, limit: usize) -> ExpiredFields {
        let (hidden, due) = (self.hidden_len(), self.deadlines.due_len(now));
        let mut removed = 0;
        while removed < limit
            && let Some(field) = self.deadlines.take_due(now)
        {
            self.values.remove(&field);
            removed += 1;
        }
        self.hidden_before = if removed < due { now.max(self.hidden_before) } else { 0 };
        ExpiredFields { removed, is_news: due > hidden }
    }

    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        let values = match &self.values {
            Values::Packed(pairs) => pairs.memory(),
            Values::Table(table) => block_size(size_of::<FieldTable>()) + table.memory(),
        };
        values + self.deadlines.memory()
    }

    /// Removes a field if it is hidden, so that it can be written anew.
    fn remove_hidden(&mut self, field: &[u8]) {
        if self.is_hidden(field) {
            self.remove(field);
        }
    }
}

impl Values {
    fn read(&self) -> Pairs<'_> {
        match self {
            Values::Packed(pairs) => Pairs::Packed(pairs.packed()),
            Values::Table(table) => Pairs::Table(table),
        }
    }

    fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Values::Packed(pairs) => pairs.remove(field),
            Values::Table(table) => table.remove(field),
        }
    }

    fn become_table(&mut self, hasher: &KeyHasher) -> &mut FieldTable {
        let mut table = FieldTable::new(hasher.clone());
        self.read().for_each(|field, value| {
            table.set(field, value);
        });
        *self = Values::Table(Box::new(table));
        match self {
            Values::Table(table) => table,
            Values::Packed(_) => unreachable!("it was just made a table"),
        }
    }
}
