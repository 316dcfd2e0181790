//! The messages that were delivered and not acknowledged yet.
//!
//! They are first delivered in the order of their sequences, so a queue holds them in that order: adding is a push, the
//! first one is the front, and a message is found by its distance from the front or else by halving.  What leaves from the
//! middle stays as a gap until it is at the front or gaps are in the majority.  Deadlines are in a heap, where an outdated one
//! stays until it is on top or outdated ones are in the majority.  So each step costs a constant on average, or the
//! logarithm of how many messages are out, and nothing is allocated but for growth.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Gaps and outdated deadlines that are left alone however few messages there are.
const SLACK: usize = 64;

/// A message that is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    /// The number of its first delivery.
    pub(super) consumer: u64,
    /// When its state ends, if it ends by itself.
    pub(super) deadline: u64,
    pub(super) deliveries: u32,
    pub(super) state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// With a receiver, until the deadline.
    Out,
    /// Put off until the deadline.
    Delayed,
    /// To be delivered again as soon as somebody takes it.
    Again,
    /// No longer here.
    Gone,
}

impl State {
    fn has_deadline(self) -> bool {
        matches!(self, State::Out | State::Delayed)
    }
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Outstanding {
    /// In ascending order of sequence; the first is never gone.
    entries: VecDeque<Entry>,
    deadlines: BinaryHeap<Reverse<(u64, u64)>>,
    /// What is to be delivered again, in the order in which that was found; may name others besides.
    again: VecDeque<u64>,
    live: usize,
    delayed: usize,
    waiting: usize,
    redelivered: usize,
}

impl Outstanding {
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Messages that are put off.
    pub(super) fn delayed(&self) -> usize {
        self.delayed
    }

    /// Messages that wait to be delivered again.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Messages that were delivered more than once.
    pub(super) fn redelivered(&self) -> usize {
        self.redelivered
    }

    pub(super) fn first(&self) -> Option<&Entry> {
        self.entries.front()
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Entry> {
        self.place(sequence).map(|place| &self.entries[place])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.state != State::Gone)
    }

    /// Adds a message behind all others.
    pub(super) fn add(&mut self, entry: Entry) {
        debug_assert!(self.entries.back().is_none_or(|last| last.sequence < entry.sequence));
        self.entries.push_back(entry);
        self.live += 1;
        self.count(entry, true);
        self.queue(entry);
    }

    /// Changes the state of a message that is out.
    pub(super) fn change(&mut self, sequence: u64, change: impl FnOnce(&mut Entry)) {
        let Some(place) = self.place(sequence) else { return };
        let before = self.entries[place];
        let mut after = before;
        change(&mut after);
        self.count(before, false);
        self.entries[place] = after;
        self.count(after, true);
        if after.state != before.state || after.deadline != before.deadline {
            self.queue(after);
            self.tidy();
        }
    }

    /// A message that was just delivered is to be delivered again before all others.
    pub(super) fn put_back(&mut self, sequence: u64) {
        let Some(place) = self.place(sequence).filter(|place| self.entries[*place].state == State::Out)
        else {
            return;
        };
        self.count(self.entries[place], false);
        let entry = &mut self.entries[place];
        entry.state = State::Again;
        entry.deliveries -= 1;
        let entry = *entry;
        self.count(entry, true);
        self.again.push_front(sequence);
        self.tidy();
    }

    pub(super) fn remove(&mut self, sequence: u64) -> Option<Entry> {
        let place = self.place(sequence)?;
        let entry = self.entries[place];
        self.entries[place].state = State::Gone;
        self.live -= 1;
        self.count(entry, false);
        while self.entries.front().is_some_and(|first| first.state == State::Gone) {
            self.entries.pop_front();
        }
        self.tidy();
        Some(entry)
    }

    /// Removes the first message if its sequence is not above `sequence`.
    pub(super) fn remove_first_through(&mut self, sequence: u64) -> Option<Entry> {
        let first = self.first().filter(|first| first.sequence <= sequence)?.sequence;
        self.remove(first)
    }

    /// Removes all that `keep` does not want.
    pub(super) fn retain(&mut self, keep: impl Fn(u64) -> bool) {
        let gone: Vec<u64> =
            self.iter().map(|entry| entry.sequence).filter(|&sequence| !keep(sequence)).collect();
        for sequence in gone {
            self.remove(sequence);
        }
    }

    /// The next message whose state has ended by itself; the caller changes or removes it.
    pub(super) fn expired(&mut self, now: u64) -> Option<Entry> {
        let deadline = self.next_deadline().filter(|deadline| *deadline <= now)?;
        let Reverse((_, sequence)) = self.deadlines.peek()?;
        self.get(*sequence).filter(|entry| entry.deadline == deadline).copied()
    }

    /// The next time at which a state ends by itself.
    pub(super) fn next_deadline(&mut self) -> Option<u64> {
        while let Some(&Reverse((deadline, sequence))) = self.deadlines.peek() {
            if self
                .get(sequence)
                .is_some_and(|entry| entry.deadline == deadline && entry.state.has_deadline())
            {
                return Some(deadline);
            }
            self.deadlines.pop();
        }
        None
    }

    /// The message that is to be delivered again first.
    pub(super) fn next_again(&mut self) -> Option<Entry> {
        while let Some(&sequence) = self.again.front() {
            match self.get(sequence) {
                Some(entry) if entry.state == State::Again => return Some(*entry),
                _ => self.again.pop_front(),
            };
        }
        None
    }

    fn place(&self, sequence: u64) -> Option<usize> {
        let first = self.entries.front()?.sequence;
        let distance = usize::try_from(sequence.checked_sub(first)?).ok()?;
        let is_there = |place: usize| self.entries.get(place).is_some_and(|entry| entry.sequence == sequence);
        let place = if is_there(distance) {
            distance
        } else {
            self.entries.binary_search_by_key(&sequence, |entry| entry.sequence).ok()?
        };
        (self.entries[place].state != State::Gone).then_some(place)
    }

    /// Keeps the counts up to date.
    fn count(&mut self, entry: Entry, is_added: bool) {
        let step = |count: &mut usize, concerned: bool| match is_added {
            true => *count += usize::from(concerned),
            false => *count -= usize::from(concerned),
        };
        step(&mut self.delayed, entry.state == State::Delayed);
        step(&mut self.waiting, entry.state == State::Again);
        step(&mut self.redelivered, entry.deliveries > 1);
    }

    fn queue(&mut self, entry: Entry) {
        match entry.state {
            State::Out | State::Delayed => self.deadlines.push(Reverse((entry.deadline, entry.sequence))),
            State::Again => self.again.push_back(entry.sequence),
            State::Gone => {}
        }
    }

    /// Drops gaps and what is outdated where that is the majority.
    fn tidy(&mut self) {
        if self.live == 0 && self.entries.capacity() > 2 * SLACK {
            *self = Outstanding::default();
        }
        if self.entries.len() > 2 * self.live + SLACK {
            self.entries.retain(|entry| entry.state != State::Gone);
        }
        if self.deadlines.len() > 2 * self.live + SLACK {
            let live = self.entries.iter().filter(|entry| entry.state.has_deadline());
            self.deadlines = live.map(|entry| Reverse((entry.deadline, entry.sequence))).collect();
        }
        if self.again.len() > 2 * self.waiting + SLACK {
            let mut again = std::mem::take(&mut self.again);
            let mut seen = std::collections::HashSet::new();
            again.retain(|&sequence| {
                self.get(sequence).is_some_and(|entry| entry.state == State::Again) && seen.insert(sequence)
            });
            self.again = again;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(sequence: u64, deadline: u64) -> Entry {
        Entry { sequence, consumer: sequence, deadline, deliveries: 1, state: State::Out }
    }

    #[test]
    fn a_million_messages_leave_in_any_order_and_nothing_stays() {
        const MESSAGES: u64 = 1_000_000;
        let mut outstanding = Outstanding::default();
        for sequence in 1..=MESSAGES {
            outstanding.add(out(sequence * 2, sequence));
        }
        assert_eq!(outstanding.len(), MESSAGES as usize);
        // A step that shares no divisor with the count visits each message once.
        let visited = (0..MESSAGES).map(|step| (step * 7_919 % MESSAGES + 1) * 2);
        for (left, sequence) in (0..MESSAGES).rev().zip(visited) {
            assert_eq!(outstanding.remove(sequence).map(|entry| entry.sequence), Some(sequence));
            assert_eq!(outstanding.remove(sequence), None);
            assert_eq!(outstanding.len() as u64, left);
        }
        assert_eq!((outstanding.entries.len(), outstanding.deadlines.len()), (0, 0));
        assert!(outstanding.entries.capacity() <= 2 * SLACK, "its memory goes back");
    }

    #[test]
    fn gaps_and_outdated_deadlines_stay_the_minority() {
        let mut outstanding = Outstanding::default();
        outstanding.add(out(1, 1));
        for sequence in 2..=10_000 {
            outstanding.add(out(sequence, sequence));
            outstanding.change(sequence, |entry| entry.deadline += 1);
            outstanding.change(sequence, |entry| entry.state = State::Again);
            outstanding.remove(sequence);
        }
        assert_eq!(outstanding.len(), 1);
        let most = 2 + SLACK + 2;
        assert!(
            outstanding.entries.len() <= most
                && outstanding.deadlines.len() <= most
                && outstanding.again.len() <= most
        );
        assert_eq!(outstanding.first(), Some(&out(1, 1)));
    }

    #[test]
    fn states_end_in_the_order_of_their_deadlines() {
        let mut outstanding = Outstanding::default();
        for (sequence, deadline) in [(1, 30), (2, 10), (3, 20)] {
            outstanding.add(out(sequence, deadline));
        }
        outstanding.change(3, |entry| entry.deadline = 5);
        let mut order = Vec::new();
        while let Some(entry) = outstanding.expired(25) {
            outstanding.change(entry.sequence, |entry| entry.state = State::Again);
            order.push(entry.sequence);
        }
        assert_eq!(order, [3, 2]);
        assert_eq!(outstanding.next_deadline(), Some(30));
        assert_eq!(outstanding.next_again().map(|entry| entry.sequence), Some(3));
        assert_eq!((outstanding.waiting(), outstanding.delayed(), outstanding.redelivered()), (2, 0, 0));
    }
}
