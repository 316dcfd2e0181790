//! The ids of a stream's recent messages, by which a message that is sent again is recognised.
//!
//! **How long.**  An id is known for the stream's window and not longer: a message sent again later is a new one, as with
//! nats-server.  The time of an id follows from its sequence, since messages are stored in the order of their times.  So an id takes
//! no room for a time: the list of [marks](IdMark) has one for every 256th part of the window in which ids came.  If more ids
//! come than that, an id is forgotten up to a 256th part of the window before its time, never after it.
//!
//! **Which removals free an id.**  A message that was deleted or purged by request frees its id ([`MessageIds::forget`],
//! [`MessageIds::clear`]): its publisher may store it again.  A message that left by a limit, by its age, by a rollup or by an
//! acknowledgement does not: it was stored, and a publisher that repeats it because it has missed the answer must
//! not bring it back.  nats-server 2.15.1 frees no id while it runs; after a restart it has freed all of messages that are gone,
//! however they went.  Here a restart changes nothing, since snapshots have the ids that are known.
//!
//! **Collisions.**  An id is kept as 88 bits of a SipHash, keyed by the stream's secret seed, so that nobody can make two ids
//! collide on purpose.  By chance a new id collides with one of sixteen million others once in 2^64 messages, which is less likely than
//! a flipped bit in memory.  One message would then count as a duplicate.  The seed and the hash are stored
//! with snapshots, so neither may change; a test pins the hash.
//!
//! **Limit.**  A stream knows [`IDS_MAX`] ids at most, some 300 MB.  The oldest are not given up for new ones, because then messages would
//! be stored twice unnoticed: a message with a new id is refused meanwhile, and messages without ids are still stored.

mod table;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use roaring::RoaringTreemap;
use siphasher::sip128::SipHasher13;

use table::{DISTANCE_MAX, Table};

/// The most ids that a stream knows.
pub const IDS_MAX: usize = 1 << 24;

/// The most marks of a window, less one.
const MARKS_A_WINDOW: i64 = 256;

/// All ids are looked at once in this part of the window, to drop those that are not known any more.
const ROUNDS_A_WINDOW: i64 = 8;

/// The most lists of ids that one call looks at, which takes about a millisecond.
const SWEPT_AT_ONCE: usize = 1 << 13;

/// Bits of a hash that are kept.
const HASH_BITS: u32 = 88;

/// From this time on, messages have this sequence at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdMark {
    /// The time in nanoseconds since 1970.
    pub time: i64,
    /// The first sequence that was stored at this time or later and came with an id.
    pub sequence: u64,
}

/// An id as a snapshot has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnownId {
    /// The hash of its text, below [`KnownId::HASH_END`].
    pub hash: u128,
    /// The message that came with it.
    pub sequence: u64,
}

impl KnownId {
    /// All hashes are below this number.
    pub const HASH_END: u128 = 1 << HASH_BITS;
}

/// See the module's text.
#[derive(Clone, Debug)]
pub struct MessageIds {
    hasher: SipHasher13,
    window: i64,
    table: Table,
    /// In the order of times and sequences.  All ids below the first mark are forgotten.
    marks: VecDeque<IdMark>,
    /// The last message that came with an id.
    last: u64,
    /// Messages whose ids were freed; the table drops them little by little.
    freed: RoaringTreemap,
    /// Up to when the table has been looked through, as far as the next list.
    swept: i64,
    next_list: usize,
    /// [`IDS_MAX`], but for tests.
    ids_max: usize,
}

impl MessageIds {
    /// No ids yet, where an id counts for a `window` in nanoseconds.
    pub fn new(seed: [u64; 2], window: i64) -> MessageIds {
        MessageIds {
            hasher: SipHasher13::new_with_keys(seed[0], seed[1]),
            window,
            table: Table::default(),
            marks: VecDeque::new(),
            last: 0,
            freed: RoaringTreemap::new(),
            swept: i64::MIN,
            next_list: 0,
            ids_max: IDS_MAX,
        }
    }

    /// The message that came with this id within the window before `now`, in nanoseconds since 1970.
    pub fn find(&self, id: &[u8], now: i64) -> Option<u64> {
        let sequence = self.table.find(self.hash(id))?;
        (sequence >= self.floor(now) && !self.freed.contains(sequence)).then_some(sequence)
    }

    /// A message with an id is stored, at a time in nanoseconds since 1970.  Its sequence is behind all others; that of a
    /// message that was told already changes nothing.
    pub fn insert(&mut self, id: &[u8], sequence: u64, time: i64) {
        if sequence <= self.last {
            return;
        }
        self.retire(time);
        if self.table.is_empty() {
            self.begin(sequence, time);
        }
        if sequence - self.table.base() > DISTANCE_MAX {
            // A million million sequences lie between two messages of a window only if somebody has skipped them.
            self.table.move_base(self.marks.front().map_or(sequence, |mark| mark.sequence), sequence);
        }
        let is_due = |mark: &IdMark| time >= mark.time.saturating_add(self.window / MARKS_A_WINDOW);
        if self.marks.back().is_none_or(is_due) {
            self.marks.push_back(IdMark { time, sequence });
        }
        self.table.insert(self.hash(id), sequence);
        self.last = sequence;
    }

    /// Whether a message with a new id has to be refused, because there are [`IDS_MAX`] already.
    pub fn is_full(&self) -> bool {
        self.table.len() >= self.ids_max
    }

    /// Sets another window, which also applies to the ids that are known already.
    pub fn set_window(&mut self, window: i64) {
        self.window = window;
    }

    /// Frees the id of this message.
    pub fn forget(&mut self, sequence: u64) {
        let first = self.marks.front().map_or(u64::MAX, |mark| mark.sequence);
        if (first..=self.last).contains(&sequence) {
            self.freed.insert(sequence);
        }
    }

    /// Frees the ids of all messages before a sequence.
    pub fn clear_before(&mut self, next: u64) {
        match self.marks.front() {
            Some(first) if next <= self.last => drop(self.freed.insert_range(first.sequence..next)),
            _ => self.clear(),
        }
    }

    /// Frees all ids.
    pub fn clear(&mut self) {
        self.table = Table::default();
        self.marks.clear();
        self.freed.clear();
    }

    /// Drops ids that are not known any more, some of them at a time.  [`MessageIds::insert`] does this as well.
    pub fn retire(&mut self, now: i64) {
        self.set_back(now);
        let floor = self.floor(now);
        while self.marks.front().is_some_and(|mark| mark.sequence < floor) {
            self.marks.pop_front();
        }
        if self.marks.is_empty() {
            if !self.table.is_empty() {
                self.clear();
            }
            return;
        }
        self.sweep(now, floor);
    }

    /// When to call [`MessageIds::retire`] if no message comes, in nanoseconds since 1970; never if it is none.
    pub fn next_retirement(&self) -> Option<i64> {
        let first = self.marks.front()?.time.saturating_add(self.window);
        Some(first.max(self.swept.saturating_add(self.round())))
    }

    /// How many ids are kept, those included that are not dropped yet.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The bytes of memory that the ids take.
    pub fn memory(&self) -> usize {
        let marks = self.marks.capacity() * size_of::<IdMark>();
        self.table.memory() + marks + self.freed.serialized_size()
    }

    /// The marks of the messages up to a sequence, for a snapshot.
    pub fn marks(&self, through: u64, now: i64) -> Vec<IdMark> {
        let floor = self.floor(now);
        let marks = self.marks.iter().filter(|mark| (floor..=through).contains(&mark.sequence));
        marks.copied().collect()
    }

    /// The ids of the messages up to a sequence, for a snapshot, in no order.
    pub fn known(&self, through: u64, now: i64) -> impl Iterator<Item = KnownId> {
        let (floor, freed) = (self.floor(now), &self.freed);
        let is_known =
            move |id: &KnownId| (floor..=through).contains(&id.sequence) && !freed.contains(id.sequence);
        self.table.iter().filter(is_known)
    }

    /// Restores the marks of a snapshot.  Its ids follow, before any message.
    pub fn restore_marks(&mut self, marks: &[IdMark]) {
        self.clear();
        self.marks.extend(marks);
        if let Some(first) = marks.first() {
            self.begin(first.sequence, first.time);
        }
    }

    /// Restores an id of a snapshot.
    pub fn restore(&mut self, id: KnownId) {
        let is_within = id.sequence.checked_sub(self.table.base()).is_some_and(|far| far <= DISTANCE_MAX);
        if is_within && !self.marks.is_empty() {
            self.table.insert(id.hash & (KnownId::HASH_END - 1), id.sequence);
            self.last = self.last.max(id.sequence);
        }
    }

    fn hash(&self, id: &[u8]) -> u128 {
        self.hasher.hash(id).as_u128() & (KnownId::HASH_END - 1)
    }

    /// The first message whose id is known at a time, or the next one to come.
    fn floor(&self, now: i64) -> u64 {
        let gone = self.marks.partition_point(|mark| mark.time.saturating_add(self.window) <= now);
        self.marks.get(gone).map_or(self.last + 1, |mark| mark.sequence)
    }

    /// The first id of an empty table comes.
    fn begin(&mut self, sequence: u64, time: i64) {
        self.table = Table::new(sequence);
        self.freed.clear();
        (self.swept, self.next_list) = (time, 0);
    }

    /// If the clock was set back, ids count from now on: otherwise they would be known until the clock has come to where it was.
    fn set_back(&mut self, now: i64) {
        if self.marks.back().is_some_and(|last| last.time > now) {
            self.marks.iter_mut().for_each(|mark| mark.time = mark.time.min(now));
        }
        self.swept = self.swept.min(now);
    }

    fn round(&self) -> i64 {
        (self.window / ROUNDS_A_WINDOW).max(1)
    }

    /// Looks through as much of the table as is due.
    fn sweep(&mut self, now: i64, floor: u64) {
        let (lists, round) = (self.table.lists() as i128, self.round());
        self.swept = self.swept.max(now.saturating_sub(round));
        let due = i128::from(now.saturating_sub(self.swept)) * lists / i128::from(round);
        let due = due.min(SWEPT_AT_ONCE as i128);
        // What is left of the time stands for a part of a list, or for lists that the next call looks at.
        self.swept = self.swept.saturating_add((due * i128::from(round) / lists) as i64);
        for _ in 0..due {
            let freed = &self.freed;
            self.table.retain(self.next_list, |sequence| sequence >= floor && !freed.contains(sequence));
            self.next_list += 1;
            if self.next_list >= self.table.lists() {
                self.next_list = 0;
                self.freed.remove_range(..floor);
            }
        }
    }
}
