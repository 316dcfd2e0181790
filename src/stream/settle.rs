//! Settling: changes that the disk has are applied, publishers get their acknowledgements, and consumers continue.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use quartet_protocol::resp::number::unsigned_text;

use super::api::error::ApiError;
use super::api::reply;
use super::segment::ReadError;
use super::shared::{State, Stream};
use super::state::{Gone, Missing};
use super::store::{Receipt, lost};
use super::unapplied::{Change, Entry, Then};
use crate::clock::Now;
use crate::delivery::{AfterBatch, Effects, Message};
use crate::wait::Lost;

/// The most changes that are applied before the lock of their stream is given up for a moment.
const CHANGES_PER_LOCK: usize = 512;

/// How often a thread takes the lock of a stream before it does something else, if others make changes all the time.
const LOCKS_PER_TURN: usize = 8;

/// The most bytes of an acknowledgement behind its beginning: a sequence, and the mark of a duplicate.
const ACKNOWLEDGEMENT_END_MAX: usize = 40;

impl AfterBatch for Stream {
    fn run(self: Arc<Self>, effects: &mut Effects) {
        self.settle(effects);
    }
}

impl Stream {
    /// Applies every change that the disk has.  If another thread is settling already, that thread continues with them.
    pub(super) fn settle(self: &Arc<Stream>, effects: &mut Effects) {
        {
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.is_settling, true) {
                state.is_wanted = true;
                return;
            }
        }
        for _ in 0..LOCKS_PER_TURN {
            let (mut then, mut gone) = (Vec::new(), Vec::new());
            // Changes are applied even if a file is damaged, since publishers wait for them.
            let is_over = self.with_readable(|state| self.apply_some(state, &mut then, &mut gone, effects))
                != Some(false);
            if !then.is_empty() {
                for then in then {
                    self.carry_out(then, Ok(()), effects);
                }
                // Whoever sees the stream settled must get its answers after these.
                effects.hand_over();
            }
            if is_over && self.end_settling() {
                return;
            }
        }
        // The thread has other things to do; it goes on when it has had a look at them.
        self.leave_settling();
        effects.after_batch(Arc::clone(self) as _);
    }

    /// Wakes the followers of the stream, and ends settling, unless another thread wants it done once more.  The thread that ends it
    /// lists the stream for what the disk does not have yet: one that came meanwhile has left that to it.
    fn end_settling(self: &Arc<Stream>) -> bool {
        let (is_over, left, followers) = {
            let mut state = self.state.lock();
            let is_over = !std::mem::take(&mut state.is_wanted);
            state.is_settling = !is_over;
            state.settled_until = state.taken_until;
            self.note_crowd(&state);
            let left = if is_over { state.unsettled() } else { None };
            (is_over, left, std::mem::take(&mut state.followers))
        };
        followers.into_values().for_each(Waker::wake);
        if let Some(end) = left {
            self.hub.list_until(self, end);
        }
        is_over
    }

    /// Ends settling although more can be applied.
    fn leave_settling(&self) {
        let mut state = self.state.lock();
        (state.is_settling, state.is_wanted) = (false, false);
        state.settled_until = state.taken_until;
    }

    /// Applies changes.  True if no more can be applied now.
    fn apply_some(
        self: &Arc<Stream>,
        state: &mut State,
        then: &mut Vec<Then>,
        gone: &mut Vec<Gone>,
        effects: &mut Effects,
    ) -> Result<bool, Missing> {
        let now = self.hub.clock.now();
        for _ in 0..CHANGES_PER_LOCK {
            let is_ready = state.unapplied.front().is_some_and(|entry| self.hub.is_synced(entry.end));
            let Some(mut entry) = is_ready.then(|| state.unapplied.pop()).flatten() else { break };
            state.taken_until = entry.end;
            if matches!(entry.then, Then::Decide(_)) && state.unapplied.has_decisive() {
                // It comes again after the changes that were made meanwhile.
                let end = state.unapplied.end().unwrap_or_default();
                state.unapplied.push(Entry { end, ..entry });
                continue;
            }
            if let Change::Define(_) = &entry.change {
                state.note_replaced(entry.end);
            }
            let part = entry.change.first_part();
            let applied = self.apply_change(state, part.as_ref().unwrap_or(&entry.change), gone, now);
            self.tell_gone(state, gone);
            if let Err(missing) = applied {
                state.unapplied.put_back(entry);
                return Err(missing);
            }
            if let Some(part) = part {
                entry.change.drop_part(&part);
                state.unapplied.put_back(entry);
                return Ok(false);
            }
            let Entry { change, then: next, .. } = entry;
            self.applied(state, &change, then, effects);
            // The caller that waits for a change sees the state right after it, and no later one.
            let is_awaited = matches!(next, Then::Call(_) | Then::Decide(_) | Then::Read(_));
            if !matches!(next, Then::Nothing) {
                then.push(next);
            }
            if is_awaited {
                return Ok(false);
            }
        }
        self.wake_consumers(state, effects);
        self.plan(state, effects);
        while state.unsynced.front().is_some_and(|(end, _)| self.hub.is_synced(*end)) {
            let unsynced = state.unsynced.pop_front();
            unsynced.into_iter().for_each(|(_, sequence)| drop(state.data.contents.memory.remove(&sequence)));
        }
        let is_ready = state.unapplied.front().is_some_and(|entry| self.hub.is_synced(entry.end));
        Ok(!is_ready)
    }

    /// Tells consumers which messages have left.
    pub(super) fn tell_gone(&self, state: &mut State, gone: &mut Vec<Gone>) {
        self.hub.totals.note_removed(gone.len() as u64);
        for Gone { sequence, subject } in gone.drain(..) {
            state.consumers.each(|consumer| consumer.removed(sequence, subject.as_deref()));
        }
    }

    /// Carries out what follows from a change that was applied.
    fn applied(
        self: &Arc<Stream>,
        state: &mut State,
        change: &Change,
        then: &mut Vec<Then>,
        effects: &mut Effects,
    ) {
        match change {
            Change::Nothing | Change::Remove(..) | Change::Skip(_) => {}
            Change::Store(storing) => {
                // It may have had to leave at once.
                if state.data.index.is_stored(storing.sequence) {
                    state.consumers.each(|consumer| consumer.published(storing.sequence, &storing.subject));
                }
                self.republish(state, storing, then);
            }
            Change::ClearBefore(_) => self.sweep_consumers(state),
            Change::Define(_) => self.defined(state),
            Change::DefineConsumer(defined) => {
                let slot = state.consumers.get_mut(defined.id);
                slot.into_iter().for_each(|slot| slot.queue(effects));
            }
            Change::DeleteConsumer(id) => self.consumer_deleted(state, *id, effects),
            Change::Delete => self.ended(state),
        }
        state.take_events(then);
    }

    /// Carries out what waited for a change.
    pub(super) fn carry_out(self: &Arc<Stream>, then: Then, synced: Result<(), Lost>, effects: &mut Effects) {
        match then {
            Then::Nothing => {}
            Then::Acknowledge { reply, sequence, is_duplicate } => match synced {
                Ok(()) => self.acknowledge(&reply, Receipt { sequence, is_duplicate }, effects),
                Err(Lost) => self.refuse(&reply, &lost(), effects),
            },
            // The refusal may name what is lost.
            Then::Refuse { reply, error } => match synced {
                Ok(()) => self.refuse(&reply, &error, effects),
                Err(Lost) => self.refuse(&reply, &lost(), effects),
            },
            Then::Call(call) | Then::Decide(call) | Then::Read(call) => call(self, synced, effects),
        }
    }

    pub(super) fn acknowledge(&self, reply: &[u8], receipt: Receipt, effects: &mut Effects) {
        let mut text = Vec::with_capacity(self.acknowledgement.len() + ACKNOWLEDGEMENT_END_MAX);
        text.extend_from_slice(&self.acknowledgement);
        text.extend_from_slice(&unsigned_text(receipt.sequence));
        text.extend_from_slice(reply::acknowledgement_end(receipt.is_duplicate).as_bytes());
        self.hub.fan_out.publish(&Message::new(reply, &text), effects);
    }

    pub(super) fn refuse(&self, reply: &[u8], error: &ApiError, effects: &mut Effects) {
        let text = reply::publish_refusal(&self.name, error);
        self.hub.fan_out.publish(&Message::new(reply, &text), effects);
    }

    /// Says in the log that a part of a file cannot be read.
    pub(super) fn log_unreadable(&self, error: &ReadError) {
        tracing::error!(stream = &*self.name, %error, "a file of a stream cannot be read");
    }

    /// The journal has failed: changes that the disk does not have are not applied, and their callers get an error.
    pub(super) fn give_up(self: &Arc<Stream>, effects: &mut Effects) {
        let mut lost_entries = Vec::new();
        {
            let mut state = self.state.lock();
            while let Some(entry) = state.unapplied.pop() {
                lost_entries.push(entry.then);
            }
            self.note_crowd(&state);
        }
        for then in lost_entries {
            self.carry_out(then, Err(Lost), effects);
        }
    }

    /// The disk has no room, perhaps for long: who wants to read sees what there is.
    fn read_anyway(self: &Arc<Stream>, effects: &mut Effects) {
        let reads = self.state.lock().unapplied.take_reads();
        for read in reads {
            self.carry_out(read, Err(Lost), effects);
        }
    }

    /// Applies a change.  Called again after an error it continues, and it does nothing if the change was applied before.
    pub(super) fn apply_change(
        self: &Arc<Stream>,
        state: &mut State,
        change: &Change,
        gone: &mut Vec<Gone>,
        now: Now,
    ) -> Result<(), Missing> {
        let data = &mut state.data;
        match change {
            Change::Store(storing) => state.store(storing, gone),
            Change::Remove(sequences, removal) => data.remove_all(sequences, *removal, gone),
            Change::ClearBefore(next) => data.clear_before(*next, gone),
            Change::Skip(last) => {
                data.index.skip(*last);
                Ok(())
            }
            Change::Define(definition) => data.define(definition, gone),
            Change::DefineConsumer(defined) => self.apply_consumer(state, defined, now),
            Change::Nothing | Change::DeleteConsumer(_) | Change::Delete => Ok(()),
        }
    }
}

/// Settles streams that wait for the disk, which were taken off the list.  Each settling lists its stream again if more of it
/// waits.
pub(super) fn settle_all(unsettled: Vec<Arc<Stream>>, hub: &super::hub::Hub, effects: &mut Effects) {
    for stream in unsettled {
        // What is appended from here on lists it anew.
        stream.is_listed.store(false, Ordering::Release);
        if hub.has_failed() {
            stream.give_up(effects);
            continue;
        }
        stream.settle(effects);
        if hub.is_stalled() {
            stream.read_anyway(effects);
        }
    }
}
