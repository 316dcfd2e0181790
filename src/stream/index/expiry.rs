//! When messages with a time to live of their own go.
//!
//! Each takes 12 bytes: the due time in milliseconds and the sequence, 48 bits each.  A message that goes earlier, because it
//! was deleted or its stream has limits, is not looked for: its entry is passed over when it is due, and all such entries
//! are dropped together once the list has become twice as long.
//!
//! A message may also have been published to stay whatever its age: it does not leave for the stream's `max_age`.

use std::cmp::Ordering;

use roaring::RoaringTreemap;

use super::chunks::SortedChunks;

/// In nanoseconds.
const MILLISECOND: i64 = 1_000_000;

/// The highest due time and the longest distance between two sequences.
const PART_MAX: u64 = (1 << 48) - 1;

/// A list of fewer entries is not searched for those of messages that have gone.
const SWEPT_LENGTH_MIN: usize = 1024;

/// Due time and sequence in such an order that they compare as they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry([u32; 3]);

impl Entry {
    fn new(due: u64, offset: u64) -> Entry {
        Entry([(due >> 16) as u32, ((due as u32 & 0xffff) << 16) | (offset >> 32) as u32, offset as u32])
    }

    fn due(self) -> u64 {
        (u64::from(self.0[0]) << 16) | u64::from(self.0[1] >> 16)
    }

    fn offset(self) -> u64 {
        (u64::from(self.0[1] & 0xffff) << 32) | u64::from(self.0[2])
    }
}

/// The messages that go at a time of their own.
#[derive(Clone, Debug, Default)]
pub struct Expiry {
    entries: SortedChunks<Entry>,
    /// The sequence that offsets count from.
    base: u64,
    /// The length at which entries of messages that have gone are dropped.
    swept_at: usize,
    /// Messages that were taken out and have not gone yet.
    taken: RoaringTreemap,
    /// The messages that stay whatever their age.
    lasting: RoaringTreemap,
}

impl Expiry {
    /// How many messages are noted.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        self.entries.memory()
    }

    /// A message goes at `due`, in nanoseconds since 1970, or up to a millisecond later.  `is_stored` says of any sequence
    /// whether that message is still stored.
    pub fn add(&mut self, sequence: u64, due: i64, is_stored: impl Fn(u64) -> bool) {
        if self.len() >= self.swept_at.max(SWEPT_LENGTH_MIN) {
            let base = self.base;
            self.entries.retain(|entry| is_stored(base + entry.offset()));
            self.swept_at = 2 * self.len();
        }
        if self.is_empty() {
            self.base = sequence;
        }
        if sequence < self.base || sequence - self.base > PART_MAX {
            self.move_base(sequence, &is_stored);
        }
        let due = (due.max(0) as u64).div_ceil(MILLISECOND as u64).min(PART_MAX);
        // Two hundred million million sequences lie between two stored messages only if somebody has skipped them.
        let entry = Entry::new(due, (sequence - self.base).min(PART_MAX));
        self.entries.insert(entry, |other| other.cmp(&entry));
    }

    /// All that are noted, in the order of their times: the sequence, and when it goes in nanoseconds since 1970.  Those that were
    /// taken out and have not gone are among them, since the change that removes them may be lost.
    pub fn entries(&self) -> impl Iterator<Item = (u64, i64)> {
        let noted =
            self.entries.from(|_| false).map(|entry| (self.base + entry.offset(), nanoseconds(entry.due())));
        self.taken.iter().map(|sequence| (sequence, 0)).chain(noted)
    }

    /// The messages that stay whatever their age.
    pub fn lasting(&self) -> &RoaringTreemap {
        &self.lasting
    }

    /// A message stays whatever its age.
    pub fn add_lasting(&mut self, sequence: u64) {
        self.lasting.insert(sequence);
    }

    /// Whether any message stays whatever its age.
    pub fn has_lasting(&self) -> bool {
        !self.lasting.is_empty()
    }

    /// Whether a message stays whatever its age.
    pub fn is_lasting(&self, sequence: u64) -> bool {
        self.lasting.contains(sequence)
    }

    /// A message has gone.
    pub fn forget(&mut self, sequence: u64) {
        self.lasting.remove(sequence);
        self.taken.remove(sequence);
    }

    /// Counts offsets from another sequence, the lowest of all.
    fn move_base(&mut self, sequence: u64, is_stored: &impl Fn(u64) -> bool) {
        let former = self.base;
        let all: Vec<(u64, u64)> =
            self.entries.from(|_| false).map(|entry| (entry.due(), former + entry.offset())).collect();
        let kept: Vec<_> = all.into_iter().filter(|(_, at)| is_stored(*at)).collect();
        self.base = kept.iter().map(|(_, at)| *at).min().unwrap_or(sequence).min(sequence);
        self.entries = SortedChunks::default();
        for (due, at) in kept {
            let entry = Entry::new(due, (at - self.base).min(PART_MAX));
            self.entries.insert(entry, |other| other.cmp(&entry));
        }
    }

    /// When the next message goes, in nanoseconds since 1970; it may have gone already.
    pub fn next_due(&self) -> Option<i64> {
        self.entries.first().map(|entry| nanoseconds(entry.due()))
    }

    /// Takes out a message that is due at `now` and still stored.  [`Expiry::forget`] is to follow when it has gone.
    pub fn take_due(&mut self, now: i64, is_stored: impl Fn(u64) -> bool) -> Option<u64> {
        while self.next_due()? <= now {
            let first = *self.entries.first()?;
            self.entries.remove(|entry| if *entry == first { Ordering::Equal } else { Ordering::Greater })?;
            let sequence = self.base + first.offset();
            if is_stored(sequence) {
                self.taken.insert(sequence);
                return Some(sequence);
            }
        }
        None
    }
}

fn nanoseconds(due: u64) -> i64 {
    i64::try_from(due).unwrap_or(i64::MAX).saturating_mul(MILLISECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use std::collections::BTreeSet;

    #[test]
    fn messages_go_in_the_order_of_their_times() {
        let mut random = Random::with_seed(3);
        let (mut expiry, mut twin) = (Expiry::default(), BTreeSet::new());
        for sequence in 1..5000 {
            let due = random.below(1_000_000) as i64 * MILLISECOND;
            expiry.add(sequence, due, |_| true);
            twin.insert((due, sequence));
            if random.below(3) == 0 {
                let now = twin.first().map_or(0, |(due, _)| *due);
                assert_eq!(expiry.next_due(), Some(now));
                assert_eq!(expiry.take_due(now - 1, |_| true), None);
                let taken = expiry.take_due(now, |_| true);
                assert_eq!(taken, twin.pop_first().map(|(_, sequence)| sequence));
                taken.into_iter().for_each(|sequence| expiry.forget(sequence));
            }
        }
        assert_eq!(expiry.len(), twin.len());
        let mut restored = Expiry::default();
        expiry.entries().for_each(|(sequence, due)| restored.add(sequence, due, |_| true));
        let expected: Vec<_> = twin.into_iter().map(|(due, sequence)| (sequence, due)).collect();
        assert_eq!(restored.entries().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_message_takes_less_than_sixteen_bytes() {
        let (mut same, mut mixed, mut random) = (Expiry::default(), Expiry::default(), Random::with_seed(4));
        for sequence in 1..=100_000_u64 {
            same.add(sequence, (sequence as i64 + 3600) * MILLISECOND, |_| true);
            mixed.add(sequence, random.below(1 << 50) as i64, |_| true);
        }
        for expiry in [same, mixed] {
            let each = expiry.memory() as f64 / 100_000.0;
            assert!(each <= 16.0, "{each} bytes");
        }
    }

    #[test]
    fn messages_that_have_gone_do_not_pile_up() {
        let mut expiry = Expiry::default();
        for sequence in 1..100_000 {
            expiry.add(sequence, i64::MAX, |other| other + 100 > sequence);
        }
        assert!(expiry.len() <= 2 * SWEPT_LENGTH_MIN, "{}", expiry.len());
    }

    #[test]
    fn what_was_taken_out_is_noted_until_it_has_gone() {
        let mut expiry = Expiry::default();
        (1..=3).for_each(|sequence| expiry.add(sequence, sequence as i64 * MILLISECOND, |_| true));
        assert_eq!(expiry.take_due(2 * MILLISECOND, |sequence| sequence != 1), Some(2));
        assert_eq!(expiry.take_due(2 * MILLISECOND, |_| true), None);
        assert_eq!(expiry.entries().collect::<Vec<_>>(), [(2, 0), (3, 3 * MILLISECOND)]);
        expiry.forget(2);
        assert_eq!(expiry.entries().collect::<Vec<_>>(), [(3, 3 * MILLISECOND)]);
    }

    #[test]
    fn lasting_messages_are_known() {
        let mut expiry = Expiry::default();
        expiry.add_lasting(5);
        assert!(expiry.is_lasting(5) && !expiry.is_lasting(6) && expiry.is_empty());
        assert_eq!(expiry.lasting().iter().collect::<Vec<_>>(), [5]);
        expiry.forget(5);
        assert!(!expiry.is_lasting(5));
    }

    #[test]
    fn times_and_sequences_are_exact_at_their_limits() {
        let mut expiry = Expiry::default();
        let far = 1 << 60;
        expiry.add(far, 1, |_| true);
        expiry.add(far + PART_MAX, 2, |_| true);
        expiry.add(far + PART_MAX + 1, i64::MAX, |sequence| sequence > far);
        expiry.add(far + 5, MILLISECOND + 1, |_| true);
        assert_eq!(expiry.take_due(0, |_| true), None);
        assert_eq!(expiry.take_due(MILLISECOND, |_| true), Some(far + PART_MAX));
        assert_eq!(expiry.take_due(i64::MAX - MILLISECOND, |_| true), Some(far + 5));
        assert_eq!(expiry.next_due(), Some((i64::MAX / MILLISECOND + 1).saturating_mul(MILLISECOND)));
        assert_eq!(expiry.take_due(i64::MAX, |_| true), Some(far + PART_MAX + 1));
        assert!(expiry.is_empty());
    }
}
