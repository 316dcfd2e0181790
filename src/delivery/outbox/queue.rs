//! What waits in an outbox, in order, and the choice of what is missed when it is too much.
//!
//! Bytes that are ready come first, entries behind them.  A message becomes an entry when its receiver has fallen behind: it
//! is formatted when the receiver takes it, so until then it can still be dropped.  Bytes that are formatted although their
//! receiver is behind wait among the entries, in chunks.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use quartet_protocol::buffer::Buffer;
use smallvec::SmallVec;

use super::latest::Latest;
use crate::delivery::{Encoding, SharedMessage, Subscription};
use crate::settings::SlowConsumer;

/// Messages that wait for a receiver that is to get the latest of each subject, before it misses the others: looking
/// through more would keep its publishers waiting.
pub(super) const LATEST_ENTRIES_MAX: usize = 16 * 1024;

/// When oldest messages are looked for behind others that may not be dropped, this share of the limit is freed at once, so
/// that they are not looked for each time.
const FREED_SHARE: usize = 8;

/// Room for so many entries is kept while there are fewer.
const ENTRIES_KEPT: usize = 64;

/// Ready bytes are moved with the memory that they lie in if they fill such a share of it, and copied otherwise.
const SWAPPED_SHARE: usize = 4;

/// Bytes that may be ready for a receiver before the entries, unread ones included: enough for all that one turn of a
/// publisher's connection brings, so that a receiver of the same thread does not fall behind before its own turn.  More of
/// them wait as chunks, which their receiver takes one by one.
pub(in crate::delivery) const READY_MAX: usize = 288 * 1024;

/// Formatted bytes are added to the last chunk until it has so many.
const CHUNK_MAX: usize = 64 * 1024;

/// Entries that are taken at once.
pub(super) const TAKEN_MAX: usize = 64;

/// Something that waits.
pub(super) enum Entry {
    /// A message, and the subscription by which the receiver gets it.
    Message(Arc<SharedMessage>, Arc<Subscription>),
    /// A chunk of formatted bytes.  They are not dropped.
    Ready(Box<Ready>),
}

/// Formatted messages.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) bytes: Buffer,
    /// The number of the last message that was kept when the first of them came.
    since: u64,
}

/// What was taken, to be formatted without the lock.
pub(super) enum Taken {
    /// An entry.
    Entry(Entry),
    /// So many messages of a subscription were missed at this place.
    Gap(u64, Arc<Subscription>),
}

impl Taken {
    /// Appends it in the receiver's form.
    pub(super) fn write(self, encoding: Encoding, buffer: &mut Buffer) {
        match self {
            Taken::Gap(missed, subscription) => encoding.write_gap(missed, &subscription, buffer),
            Taken::Entry(Entry::Ready(ready)) => move_bytes(ready.bytes, buffer),
            Taken::Entry(Entry::Message(message, subscription)) => {
                encoding.write(&message.as_message(), &subscription, buffer);
            }
        }
    }
}

/// How much may wait, and what happens beyond.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Bound {
    /// Most bytes.
    pub(in crate::delivery) bytes_max: usize,
    /// The policy of subscriptions that have none of their own.
    pub(in crate::delivery) policy: SlowConsumer,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Queue {
    /// What waits before the entries.
    pub(super) ready: Ready,
    entries: VecDeque<Entry>,
    /// The place of the first entry, counted from the first that there ever was.
    first: u64,
    /// The lengths of all entries.
    entry_bytes: usize,
    /// Bytes of memory of the chunks among them.
    chunk_memory: usize,
    /// An entry may have to give way to a later one of its subject.
    has_latest: bool,
    /// The last message of each subject: set while all others are missed.
    latest: Option<Box<Latest>>,
    /// No entry before this place may be dropped, as long as the policy is this one.
    undroppable: (u64, SlowConsumer),
    /// Subscriptions with a gap that its receiver was not told of.
    gaps: Vec<Arc<Subscription>>,
    /// Messages that were missed and not reported yet.
    pub(super) missed: u64,
    /// The policy by which the last of them was missed.
    pub(super) policy_met: SlowConsumer,
}

impl Entry {
    /// About how many bytes the receiver gets.
    fn length(&self) -> usize {
        match self {
            Entry::Message(message, _) => message.length(),
            Entry::Ready(ready) => ready.bytes.len(),
        }
    }

    /// The number of its message, or of the last one that was kept before it came.
    fn number(&self) -> u64 {
        match self {
            Entry::Message(message, _) => message.number(),
            Entry::Ready(ready) => ready.since,
        }
    }
}

impl Bound {
    /// The policy for messages of a subscription.
    fn policy_of(&self, subscription: &Subscription) -> SlowConsumer {
        subscription.options().slow_consumer.unwrap_or(self.policy)
    }

    /// Whether an entry may be dropped for a later one.
    fn allows_dropping(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Message(_, subscription) => {
                matches!(self.policy_of(subscription), SlowConsumer::DropOldest | SlowConsumer::KeepLatest)
            }
            Entry::Ready(_) => false,
        }
    }
}

impl Queue {
    /// Bytes that wait, about.
    pub(super) fn bytes(&self) -> usize {
        self.ready.bytes.len() + self.entry_bytes
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.bytes.is_empty() && !self.is_behind()
    }

    /// Whether something waits besides bytes that are ready.
    pub(super) fn is_behind(&self) -> bool {
        !self.entries.is_empty() || !self.gaps.is_empty()
    }

    /// Bytes of memory, without the messages.
    pub(super) fn memory(&self) -> usize {
        let latest = self.latest.as_ref().map_or(0, |latest| latest.memory());
        let entries = self.entries.capacity() * size_of::<Entry>();
        self.ready.bytes.plain_len() + self.chunk_memory + entries + latest
    }

    /// The number of the message that has waited longest, about.
    pub(super) fn oldest(&self) -> Option<u64> {
        if !self.ready.bytes.is_empty() {
            return Some(self.ready.since);
        }
        self.entries.front().map(Entry::number)
    }

    /// The number of the first entry, and the policy that it is subject to.
    pub(super) fn first_entry(&self, bound: &Bound) -> Option<(u64, SlowConsumer)> {
        self.entries.front().map(|entry| match entry {
            Entry::Message(_, subscription) => (entry.number(), bound.policy_of(subscription)),
            Entry::Ready(_) => (entry.number(), bound.policy),
        })
    }

    /// Adds bytes that are ready, and empties `bytes`, which may come back with other room.  `kept` is the number of the
    /// last message that was kept.  False if the receiver has to be disconnected.
    pub(super) fn add_ready(
        &mut self,
        bytes: &mut Buffer,
        kept: u64,
        (bound, unsent): (&Bound, usize),
    ) -> bool {
        if bound.policy == SlowConsumer::Disconnect && self.bytes() + unsent + bytes.len() > bound.bytes_max {
            return false;
        }
        let waiting = self.ready.bytes.len();
        if self.is_behind() || (waiting > 0 && waiting + bytes.len() > READY_MAX) {
            self.add_chunk(bytes, kept);
        } else if waiting == 0 && fills(bytes) {
            self.ready.since = kept;
            mem::swap(&mut self.ready.bytes, bytes);
        } else {
            self.ready.bytes.append(bytes);
        }
        true
    }

    /// Adds formatted bytes behind all others, and empties `bytes`.
    fn add_chunk(&mut self, bytes: &mut Buffer, kept: u64) {
        self.entry_bytes += bytes.len();
        if let Some(Entry::Ready(last)) = self.entries.back_mut()
            && last.bytes.len() + bytes.len() <= CHUNK_MAX
        {
            let before = last.bytes.plain_len();
            last.bytes.append(bytes);
            self.chunk_memory += last.bytes.plain_len() - before;
            return;
        }
        let mut chunk = Ready { since: kept, ..Ready::default() };
        if fills(bytes) {
            chunk.bytes = mem::take(bytes);
        } else {
            chunk.bytes.append(bytes);
        }
        self.chunk_memory += chunk.bytes.plain_len();
        self.entries.push_back(Entry::Ready(Box::new(chunk)));
    }

    /// Adds a message, as far as the receiver's policy allows it; `unsent` bytes wait elsewhere.  False if the receiver has
    /// to be disconnected.
    pub(super) fn add(
        &mut self,
        message: Arc<SharedMessage>,
        subscription: Arc<Subscription>,
        (bound, unsent): (&Bound, usize),
    ) -> bool {
        let policy = bound.policy_of(&subscription);
        if self.has_latest && self.entries.len() >= LATEST_ENTRIES_MAX {
            self.keep_latest(bound);
        }
        if let Some((message, subscription)) = self.replace(message, subscription, policy) {
            let elsewhere = match policy {
                // A receiver that may not miss anything is given up as soon as all that it has not read is too much.
                SlowConsumer::Disconnect => self.ready.bytes.len() + unsent,
                _ => 0,
            };
            let length = elsewhere + message.length();
            if !self.has_room(length, bound) && policy != SlowConsumer::DropNewest {
                self.make_room(length, bound);
                return match self.replace(message, subscription, policy) {
                    Some(rest) => self.append(rest, length, (bound, policy)),
                    None => true,
                };
            }
            return self.append((message, subscription), length, (bound, policy));
        }
        // The message may be longer than the one whose place it has taken.
        if !self.has_room(0, bound) {
            self.make_room(0, bound);
        }
        true
    }

    fn has_room(&self, length: usize, bound: &Bound) -> bool {
        self.entry_bytes + length <= bound.bytes_max
    }

    /// Adds a message behind all others, if it fits.
    fn append(
        &mut self,
        (message, subscription): (Arc<SharedMessage>, Arc<Subscription>),
        length: usize,
        (bound, policy): (&Bound, SlowConsumer),
    ) -> bool {
        let place = self.first + self.entries.len() as u64;
        if !self.has_room(length, bound) {
            if policy == SlowConsumer::Disconnect {
                return false;
            }
            self.miss(&subscription, place, policy);
            return true;
        }
        if policy == SlowConsumer::KeepLatest {
            self.has_latest = true;
            if let Some(latest) = &mut self.latest {
                latest.insert(&message, &subscription, place);
            }
        }
        self.entry_bytes += message.length();
        self.entries.push_back(Entry::Message(message, subscription));
        true
    }

    /// Puts a message in the place of an earlier one of its subject, if only the latest of each are kept; returns it
    /// otherwise.
    fn replace(
        &mut self,
        message: Arc<SharedMessage>,
        subscription: Arc<Subscription>,
        policy: SlowConsumer,
    ) -> Option<(Arc<SharedMessage>, Arc<Subscription>)> {
        let found = match &self.latest {
            Some(latest) if policy == SlowConsumer::KeepLatest => {
                latest.find(&message, &subscription, (&self.entries, self.first))
            }
            _ => None,
        };
        let Some(place) = found else { return Some((message, subscription)) };
        let Entry::Message(earlier, _) = &mut self.entries[(place - self.first) as usize] else {
            unreachable!("only places of messages are noted")
        };
        self.entry_bytes = self.entry_bytes + message.length() - earlier.length();
        *earlier = message;
        self.miss(&subscription, place, policy);
        None
    }

    /// Drops entries that may be dropped for one of `length` bytes, until it fits or none is left.
    fn make_room(&mut self, length: usize, bound: &Bound) {
        self.keep_latest_if_wanted(bound);
        while !self.has_room(length, bound)
            && self.entries.front().is_some_and(|first| bound.allows_dropping(first))
        {
            self.drop_first();
        }
        if !self.has_room(length, bound) {
            self.drop_within(length, bound);
        }
    }

    /// The same if there is a subscription that gets only those.
    pub(super) fn keep_latest_if_wanted(&mut self, bound: &Bound) {
        if self.has_latest {
            self.keep_latest(bound);
        }
    }

    /// Drops all messages but the last of each subject, of subscriptions that get only those, from here on.
    fn keep_latest(&mut self, bound: &Bound) {
        if self.latest.is_some() {
            return;
        }
        self.latest = Some(Box::default());
        self.undroppable.0 = self.first;
        let gaps = self.open_gaps();
        let mut gone = Vec::new();
        for (entry, place) in mem::take(&mut self.entries).into_iter().zip(self.first..) {
            match entry {
                Entry::Message(message, subscription) => {
                    let policy = bound.policy_of(&subscription);
                    self.entry_bytes -= message.length();
                    match self.replace(message, subscription, policy) {
                        Some(rest) => {
                            self.append(rest, 0, (&Bound { bytes_max: usize::MAX, ..*bound }, policy));
                        }
                        None => gone.push(place),
                    }
                }
                ready => self.entries.push_back(ready),
            }
        }
        bring_forward(&gaps, &gone);
    }

    /// The gaps that are not told of yet, with their places.
    fn open_gaps(&self) -> Vec<(Arc<Subscription>, u64)> {
        let with_place =
            |subscription: &Arc<Subscription>| Some((Arc::clone(subscription), subscription.gap().place()?));
        self.gaps.iter().filter_map(with_place).collect()
    }

    /// Whether the first message can give way to later ones; it is dropped then.
    pub(super) fn drop_first_of(&mut self, bound: &Bound) -> bool {
        let may_drop = self.entries.front().is_some_and(|first| bound.allows_dropping(first));
        if may_drop {
            self.drop_first();
        }
        may_drop
    }

    /// Notes that what is missing behind the last entry is so before the next one.  To be called after last messages were
    /// dropped: until then gaps may have places beyond the end.
    pub(super) fn end_gaps(&self) {
        let end = self.first + self.entries.len() as u64;
        self.gaps.iter().for_each(|subscription| subscription.gap().bring_forward(end));
    }

    /// Drops the last message; false if there is none.
    pub(super) fn drop_last(&mut self) -> bool {
        let Some(Entry::Message(..)) = self.entries.back() else { return false };
        let last = self.entries.pop_back();
        let place = self.first + self.entries.len() as u64;
        self.undroppable.0 = self.undroppable.0.min(place);
        self.forget(last.as_ref(), place);
        if let Some(Entry::Message(message, subscription)) = last {
            self.entry_bytes -= message.length();
            self.miss(&subscription, place, SlowConsumer::DropNewest);
        }
        self.shrink();
        true
    }

    fn drop_first(&mut self) {
        if let Some(Entry::Message(_, subscription)) = self.pop_first() {
            // The next message of the subscription comes behind this one, wherever it waits.
            self.miss(&subscription, 0, SlowConsumer::DropOldest);
        }
    }

    /// Drops entries behind ones that may not be dropped, the oldest first.
    fn drop_within(&mut self, length: usize, bound: &Bound) {
        if self.undroppable.1 != bound.policy || self.undroppable.0 < self.first {
            self.undroppable = (self.first, bound.policy);
        }
        let searched = (self.undroppable.0 - self.first) as usize;
        let found = self.entries.range(searched..).position(|entry| bound.allows_dropping(entry));
        let Some(found) = found.map(|index| searched + index) else {
            self.undroppable.0 = self.first + self.entries.len() as u64;
            return;
        };
        let lower = Bound { bytes_max: bound.bytes_max - bound.bytes_max / FREED_SHARE, ..*bound };
        let (gaps, mut gone) = (self.open_gaps(), Vec::new());
        let behind = self.entries.split_off(found);
        // Places change, so they are noted anew.
        let was_keeping_latest = self.latest.take().is_some();
        let mut kept = Vec::with_capacity(behind.len());
        for (entry, place) in behind.into_iter().zip(self.first + found as u64..) {
            if self.has_room(length, &lower) || !bound.allows_dropping(&entry) {
                kept.push(entry);
            } else if let Entry::Message(message, subscription) = entry {
                self.entry_bytes -= message.length();
                self.miss(&subscription, 0, SlowConsumer::DropOldest);
                gone.push(place);
            }
        }
        self.entries.extend(kept);
        bring_forward(&gaps, &gone);
        self.undroppable.0 = self.first + found as u64;
        if was_keeping_latest {
            self.keep_latest(bound);
        }
    }

    /// Moves the bytes that are ready to the end of `buffer`.
    pub(super) fn move_ready(&mut self, buffer: &mut Buffer) {
        move_bytes(mem::take(&mut self.ready.bytes), buffer);
    }

    /// Takes up to [`TAKEN_MAX`] entries, until about `length` bytes are taken, and at the end all gaps.
    pub(super) fn take(&mut self, length: usize, taken: &mut SmallVec<[Taken; TAKEN_MAX]>) {
        let mut left = length;
        while left > 0 && taken.len() < TAKEN_MAX {
            let place = self.first;
            let Some(entry) = self.pop_first() else { break };
            left = left.saturating_sub(entry.length());
            if let Entry::Message(_, subscription) = &entry {
                let missed = subscription.gap().take_before(place);
                if missed > 0 {
                    taken.push(Taken::Gap(missed, Arc::clone(subscription)));
                }
            }
            taken.push(Taken::Entry(entry));
        }
        if length > 0 && self.entries.is_empty() {
            self.take_gaps(taken);
        }
    }

    fn take_gaps(&mut self, taken: &mut SmallVec<[Taken; TAKEN_MAX]>) {
        for subscription in mem::take(&mut self.gaps) {
            let missed = subscription.gap().take_rest();
            if missed > 0 {
                taken.push(Taken::Gap(missed, subscription));
            }
        }
    }

    /// Takes out the first entry.
    fn pop_first(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.entry_bytes -= entry.length();
        if let Entry::Ready(chunk) = &entry {
            self.chunk_memory -= chunk.bytes.plain_len();
        }
        self.forget(Some(&entry), self.first);
        self.first += 1;
        self.shrink();
        Some(entry)
    }

    /// Gives memory back that many entries have left.
    fn shrink(&mut self) {
        let capacity = self.entries.capacity();
        if self.entries.is_empty() {
            (self.entries, self.has_latest, self.latest) = (VecDeque::new(), false, None);
        } else if capacity > 4 * self.entries.len().max(ENTRIES_KEPT) {
            self.entries.shrink_to(capacity / 2);
        }
    }

    /// Forgets the place of an entry that has left.
    fn forget(&mut self, entry: Option<&Entry>, place: u64) {
        if let (Some(latest), Some(Entry::Message(message, subscription))) = (&mut self.latest, entry) {
            latest.remove(message, subscription, place);
        }
    }

    /// Counts a message that was missed at `place`.
    fn miss(&mut self, subscription: &Arc<Subscription>, place: u64, policy: SlowConsumer) {
        (self.missed, self.policy_met) = (self.missed + 1, policy);
        subscription.count_missed();
        if subscription.gap().add(place) {
            self.gaps.push(Arc::clone(subscription));
        }
    }
}

/// Whether bytes fill enough of the memory that they lie in to be moved with it.
fn fills(bytes: &Buffer) -> bool {
    bytes.len() >= bytes.capacity() / SWAPPED_SHARE
}

/// Moves bytes to the end of `buffer`.  Memory moves with them, so that an outbox without messages has none, unless the
/// buffer has more.
fn move_bytes(mut bytes: Buffer, buffer: &mut Buffer) {
    if buffer.is_empty() && buffer.capacity() <= bytes.capacity() {
        *buffer = bytes;
    } else if !bytes.is_empty() {
        buffer.append(&mut bytes);
    }
}

/// Notes where gaps are once the entries at these places, in their order, have gone.
fn bring_forward(gaps: &[(Arc<Subscription>, u64)], gone: &[u64]) {
    for (subscription, place) in gaps {
        let before = gone.partition_point(|gone| gone < place) as u64;
        subscription.gap().bring_forward(place - before);
    }
}
