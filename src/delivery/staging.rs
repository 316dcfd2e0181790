//! What a thread's batch has for each receiver, in memory of that thread, until it is handed over at once.
//!
//! While a receiver keeps up, a message for it is formatted at once, straight into the bytes that its connection will write;
//! receivers with the same form share the work.  For one that has fallen behind, a reference to the message is staged: it is
//! formatted when the receiver takes it, if its policy has not dropped it by then.

use std::mem;
use std::sync::Arc;

use quartet_protocol::buffer::Buffer;

use super::backlog::Backlog;
use super::interest::Turns;
use super::outbox::READY_MAX;
use super::publication::{Form, Publication};
use super::relief;
use super::spares::{Returned, Spares};
use super::traffic::Untold;
use super::{Amount, Encoding, Interest, Outbox, SharedMessage, Subscription};
use crate::settings::SlowConsumer;

/// As [`READY_MAX`] while little of the budget is left: messages take less when they wait as entries.
const READY_MAX_TIGHT: usize = 16 * 1024;

/// Messages of up to so many bytes are formatted for a receiver that may not miss any, however much waits for it: the bytes
/// take about as much memory as a place among the entries and a share of the message would, and much less time.
const SHORT_LENGTH: usize = 128;

/// Bytes that may be staged for all receivers together before they are handed over, although the batch goes on: a client
/// with many subscriptions to one subject gets many times what it publishes.
const STAGED_MAX: usize = 16 * 1024 * 1024;

/// About how many bytes a staged message takes besides its text.
const STAGED_OVERHEAD: usize = size_of::<Run>();

/// Stages whose memory is kept for the next batch.
const STAGES_KEPT: usize = 64;

/// Slots of the smallest table, and of the largest that is kept.
const SLOTS_MIN: usize = 32;
const SLOTS_KEPT: usize = 4096;

/// Buffers that are kept for the next batch.
const BUFFERS_KEPT: usize = 16;

/// The room of buffers that are worth keeping and do not take too much memory.
const BUFFER_CAPACITY_MIN: usize = 4 * 1024;
const BUFFER_CAPACITY_MAX: usize = 512 * 1024;

/// The stages of one thread.  See the module's text.
#[derive(Default)]
pub(super) struct Stages {
    /// The stages in use, and behind them ones that keep their memory.
    stages: Vec<Stage>,
    used: usize,
    /// About how many bytes are staged.
    staged: usize,
    /// Bytes that were handed over in this turn, about.
    turn_bytes: usize,
    /// Where the stage of an outbox is: its index and one, at the first free place from the hash of the outbox on.
    slots: Vec<u32>,
    /// Whose messages these are; known from the first on.
    backlog: Option<Arc<Backlog>>,
    /// Buffers that have been written.
    buffers: Vec<Buffer>,
    /// Copies of what is staged for members of queue groups, who wants it, and whose turn it is to get what others did not
    /// take.
    pub(super) spares: Spares,
    interest: Option<Arc<Interest>>,
    turns: Turns,
}

/// Where a message is staged: the stage, and the run of messages there.
#[derive(Clone, Copy)]
pub(super) struct Place {
    stage: usize,
    run: usize,
}

/// What became of a message that was to be staged.
enum Put {
    /// The subscription does not take it.
    Refused,
    /// It is formatted in this stage.
    Formatted(usize),
    /// It is to be formatted later.
    Kept,
}

/// What there is for one receiver.
#[derive(Default)]
struct Stage {
    /// The address of the outbox, by which it is found.
    key: usize,
    /// Its place among the slots.
    slot: usize,
    outbox: Option<Arc<Outbox>>,
    /// Things as they are when the stage is opened.
    encoding: Encoding,
    is_closed: bool,
    notes_requests: bool,
    /// Bytes that may still be formatted.
    room: usize,
    /// Short messages are formatted even beyond that.
    formats_short: bool,
    contents: Staged,
}

/// Formatted messages, and messages behind them that are not.
#[derive(Default)]
pub(super) struct Staged {
    pub(super) ready: Buffer,
    /// The subscriptions by which the receiver gets the formatted messages, each with those in a row that are for it.
    runs: Vec<Run>,
    pub(super) entries: Vec<(Arc<SharedMessage>, Arc<Subscription>)>,
    /// Messages for members of queue groups that have ended, when this was handed over.
    returned: Vec<(Arc<SharedMessage>, Arc<Subscription>)>,
}

/// Formatted messages in a row for one subscription.
struct Run {
    subscription: Arc<Subscription>,
    /// The receiver did not take them when this was handed over.
    is_returned: bool,
    /// Where they begin.
    start: usize,
    /// Messages that the subscription has not counted yet.
    count: u64,
    amount: Amount,
}

impl Stages {
    /// Stages a message for a subscription; false if it does not take it.
    #[inline]
    pub(super) fn put<'m>(
        &mut self,
        publication: &mut Publication<'m>,
        subscription: &'m Arc<Subscription>,
    ) -> bool {
        !matches!(self.stage(publication, subscription), Put::Refused)
    }

    /// The same for a member of a queue group.  If that ends before the message is handed over, another member gets it.
    pub(super) fn put_for_group<'m>(
        &mut self,
        publication: &mut Publication<'m>,
        member: &'m Arc<Subscription>,
    ) -> bool {
        match self.stage(publication, member) {
            Put::Refused => return false,
            Put::Kept => {}
            Put::Formatted(stage) => {
                let run = self.stages[stage].contents.runs.len() - 1;
                let long_payload = publication.is_long().then(|| publication.long_payload().clone());
                self.spares.add(publication, long_payload, Place { stage, run });
            }
        }
        true
    }

    #[inline]
    fn stage<'m>(&mut self, publication: &mut Publication<'m>, subscription: &'m Arc<Subscription>) -> Put {
        let place = self.find(subscription.outbox(), publication.backlog);
        let stage = &mut self.stages[place];
        if stage.is_closed || !stage.admit(subscription, publication.message.content_length()) {
            return Put::Refused;
        }
        if stage.notes_requests && !publication.message.reply.is_empty() {
            stage.note_request(publication.message.reply);
        }
        self.staged += STAGED_OVERHEAD;
        if publication.length <= stage.room || stage.formats(publication.length, subscription) {
            self.write(place, publication, subscription);
            Put::Formatted(place)
        } else {
            // All that comes after an entry is one, to keep the order.
            (stage.room, stage.formats_short) = (0, false);
            stage.contents.entries.push((publication.kept(), Arc::clone(subscription)));
            Put::Kept
        }
    }

    /// Remembers where other members of queue groups are found.
    #[inline]
    pub(super) fn know_interest(&mut self, interest: &Arc<Interest>) {
        if !self.interest.as_ref().is_some_and(|known| Arc::ptr_eq(known, interest)) {
            self.interest = Some(Arc::clone(interest));
        }
    }

    /// Whether so much is staged that it has to be handed over before more is.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.staged >= STAGED_MAX
    }

    /// Hands everything to its receivers, counts it, and adds those that have to be woken to `wakes`.
    pub(super) fn hand_over(&mut self, wakes: &mut Vec<Arc<Outbox>>, traffic: &mut Untold) {
        while self.used > 0 {
            self.hand_over_staged(wakes, traffic);
            let returned = self.take_returned();
            match self.interest.clone() {
                Some(interest) if !returned.is_empty() => self.pass_on(returned, &interest),
                _ => self.spares.clear(),
            }
        }
    }

    fn hand_over_staged(&mut self, wakes: &mut Vec<Arc<Outbox>>, traffic: &mut Untold) {
        self.count();
        self.turn_bytes += mem::take(&mut self.staged);
        let Stages { stages, used, slots, backlog, .. } = self;
        let backlog = backlog.as_ref().expect("it is known since the first stage was opened");
        let turn = (*used > 1).then(|| backlog.turn.lock());
        for stage in &mut stages[..*used] {
            slots[stage.slot] = 0;
            wakes.extend(stage.hand_over(backlog, traffic));
        }
        drop(turn);
    }

    /// Takes what members of groups did not take, since they have ended, and makes the stages ready for another batch.
    fn take_returned(&mut self) -> Vec<Returned> {
        let mut returned = Vec::new();
        if !self.spares.is_empty() {
            let runs = |place: Place| &self.stages[place.stage].contents.runs[place.run];
            for (number, run) in self.spares.places().map(runs).enumerate() {
                let group = run.subscription.options().group.as_ref().filter(|_| run.is_returned);
                returned.extend(group.map(|group| Returned::Formatted(number, Arc::clone(group))));
            }
        }
        for stage in &mut self.stages[..mem::take(&mut self.used)] {
            for (message, subscription) in stage.contents.returned.drain(..) {
                let group = subscription.options().group.as_ref();
                returned.extend(group.map(|group| Returned::Kept(message, Arc::clone(group))));
            }
            stage.contents.clear();
            if stage.contents.ready.capacity() > BUFFER_CAPACITY_MIN {
                keep(&mut self.buffers, mem::take(&mut stage.contents.ready));
            }
        }
        self.stages.truncate(STAGES_KEPT);
        if self.slots.len() > SLOTS_KEPT {
            self.slots.clear();
            self.slots.shrink_to(0);
        }
        returned
    }

    /// Whose messages are staged; known from the first on.
    pub(super) fn backlog(&self) -> Option<Arc<Backlog>> {
        self.backlog.clone()
    }

    /// The place of the member whose turn it is to get a message that another has not taken.
    pub(super) fn next_turn(&mut self, members: usize) -> usize {
        self.turns.next(members)
    }

    /// Has receivers give way if all waiting messages together are too much, and adds those that have to be woken to `wakes`.
    pub(super) fn relieve(&self, wakes: &mut Vec<Arc<Outbox>>) {
        if let Some(backlog) = &self.backlog
            && backlog.budget.is_exceeded()
        {
            relief::relieve(backlog, wakes);
        }
    }

    /// Says that a turn begins.
    pub(super) fn begin_turn(&mut self) {
        self.turn_bytes = 0;
    }

    /// Whether enough was staged in this turn.
    pub(super) fn is_turn_over(&self) -> bool {
        self.backlog
            .as_ref()
            .is_some_and(|backlog| self.turn_bytes + self.staged > backlog.budget.turn_share())
    }

    /// Counts all messages that were staged at their subscriptions.
    pub(super) fn count(&mut self) {
        self.stages[..self.used].iter_mut().for_each(|stage| stage.contents.count());
    }

    /// Takes back a buffer whose bytes are written.
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        keep(&mut self.buffers, buffer);
    }

    /// Formats a message for the receiver of a stage, or copies what was formatted for another.
    #[inline]
    fn write<'m>(
        &mut self,
        place: usize,
        publication: &mut Publication<'m>,
        subscription: &'m Arc<Subscription>,
    ) {
        let encoding = self.stages[place].encoding;
        if let Some(form) = &publication.last
            && form.encoding == encoding
            && encoding.has_one_form(form.subscription, subscription)
            && let Ok([from, to]) = self.stages.get_disjoint_mut([form.stage, place])
            && let Some(bytes) = from.contents.ready.plain_since(form.start)
        {
            to.contents.ready.extend(&bytes[..form.length]);
            to.room = to.room.saturating_sub(form.length);
            self.staged += form.length;
            return;
        }
        let stage = &mut self.stages[place];
        let ready = &mut stage.contents.ready;
        let (start, before) = (ready.mark(), ready.len());
        publication.write(encoding, subscription, ready);
        let length = ready.len() - before;
        stage.room = stage.room.saturating_sub(length);
        self.staged += length;
        publication.last = Some(Form { encoding, subscription, stage: place, start, length });
    }

    /// The place of the stage of an outbox, which is opened if there is none.
    #[inline]
    fn find(&mut self, outbox: &Arc<Outbox>, backlog: &Arc<Backlog>) -> usize {
        let key = Arc::as_ptr(outbox).addr();
        let mut slot = self.first_slot(key);
        loop {
            match self.slots.get(slot) {
                Some(0) | None => return self.open(outbox, backlog),
                Some(&place) if self.stages[place as usize - 1].key == key => return place as usize - 1,
                Some(_) => slot = (slot + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// The slot from which on the stage of an outbox is looked for.
    #[inline]
    fn first_slot(&self, key: usize) -> usize {
        // The upper bits of the product depend on all bits of the address.
        let hash = (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 32) as usize & self.slots.len().wrapping_sub(1)
    }

    #[cold]
    fn open(&mut self, outbox: &Arc<Outbox>, backlog: &Arc<Backlog>) -> usize {
        let key = Arc::as_ptr(outbox).addr();
        let place = self.used;
        self.used += 1;
        if self.stages.len() < self.used {
            self.stages.push(Stage::default());
        }
        if self.slots.len() < 2 * self.used {
            self.grow();
        }
        let slot = self.free_slot(key);
        self.slots[slot] = self.used as u32;
        let stage = &mut self.stages[place];
        (stage.key, stage.slot) = (key, slot);
        stage.open(outbox, backlog);
        if stage.contents.ready.capacity() == 0
            && let Some(buffer) = self.buffers.pop()
        {
            stage.contents.ready = buffer;
        }
        if !self.backlog.as_ref().is_some_and(|known| Arc::ptr_eq(known, backlog)) {
            self.backlog = Some(Arc::clone(backlog));
        }
        place
    }

    fn free_slot(&self, key: usize) -> usize {
        let mut slot = self.first_slot(key);
        while self.slots[slot] != 0 {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }

    /// Makes twice as many slots; the stage that is being opened has none yet.
    fn grow(&mut self) {
        let count = (2 * self.used).next_power_of_two().max(SLOTS_MIN);
        self.slots = vec![0; count];
        for place in 0..self.used - 1 {
            let slot = self.free_slot(self.stages[place].key);
            self.stages[place].slot = slot;
            self.slots[slot] = place as u32 + 1;
        }
    }
}

/// Keeps a buffer whose bytes are not needed any more, if it is worth it.
fn keep(buffers: &mut Vec<Buffer>, mut buffer: Buffer) {
    let is_fit = (BUFFER_CAPACITY_MIN..=BUFFER_CAPACITY_MAX).contains(&buffer.capacity());
    if is_fit && buffers.len() < BUFFERS_KEPT {
        buffer.clear();
        buffers.push(buffer);
    }
}

impl Stage {
    /// Takes in how things are with the receiver.
    fn open(&mut self, outbox: &Arc<Outbox>, backlog: &Backlog) {
        self.encoding = outbox.encoding();
        self.is_closed = outbox.is_closing();
        self.notes_requests = outbox.noted_requests().is_some();
        let bound = outbox.bound(backlog);
        self.formats_short = bound.policy == SlowConsumer::Disconnect;
        self.room = 0;
        if outbox.keeps_up() {
            let ready_max = if backlog.budget.is_tight() { READY_MAX_TIGHT } else { READY_MAX };
            self.room = ready_max.min(bound.bytes_max).saturating_sub(outbox.bytes());
        }
        self.outbox = Some(Arc::clone(outbox));
    }

    /// Whether a message of this length is formatted although there is no room for it.
    fn formats(&self, length: usize, subscription: &Subscription) -> bool {
        let may_drop =
            subscription.options().slow_consumer.is_some_and(|own| own != SlowConsumer::Disconnect);
        self.formats_short && length <= SHORT_LENGTH && !may_drop
    }

    /// Counts a message of so many bytes for a subscription; false if the subscription has had all of its messages.
    #[inline]
    fn admit(&mut self, subscription: &Arc<Subscription>, bytes: usize) -> bool {
        let count = if subscription.has_maximum() {
            // An exact count: the last message ends the subscription.
            if !subscription.admit() {
                return false;
            }
            0
        } else {
            1
        };
        match self.contents.runs.last_mut() {
            Some(run) if Arc::ptr_eq(&run.subscription, subscription) => {
                run.count += count;
                run.amount.add(bytes);
            }
            _ => {
                let (subscription, start) = (Arc::clone(subscription), self.contents.ready.len());
                let amount = Amount { messages: 1, bytes: bytes as u64 };
                self.contents.runs.push(Run { subscription, is_returned: false, start, count, amount });
            }
        }
        true
    }

    /// Notes a request that the receiver may answer.
    #[cold]
    fn note_request(&self, reply: &[u8]) {
        if let Some(requests) = self.outbox.as_ref().and_then(|outbox| outbox.noted_requests()) {
            requests.note(reply);
        }
    }

    /// Hands everything to the receiver.  True if that has to be woken.
    fn hand_over(&mut self, backlog: &Arc<Backlog>, traffic: &mut Untold) -> Option<Arc<Outbox>> {
        let outbox = self.outbox.take()?;
        let is_to_wake = outbox.take_over(&mut self.contents, backlog);
        traffic.count_sent(outbox.listener(), self.contents.amount());
        is_to_wake.then_some(outbox)
    }
}

impl Staged {
    /// Takes back what is there for subscriptions that are silent.  To be called under the lock of the receiver's outbox.
    pub(super) fn take_back_silent(&mut self) {
        let is_for_silent = |entry: &mut (_, Arc<Subscription>)| entry.1.is_silent();
        self.returned.extend(self.entries.extract_if(.., is_for_silent));
        if !self.runs.iter().any(|run| run.subscription.is_silent()) {
            return;
        }
        let mut all = mem::take(&mut self.ready);
        let ends: Vec<_> = self.runs.iter().skip(1).map(|run| run.start).chain([all.len()]).collect();
        for (run, end) in self.runs.iter_mut().zip(ends) {
            let mut part = all.split_to(end - run.start);
            run.is_returned = run.subscription.is_silent();
            if !run.is_returned {
                self.ready.append(&mut part);
            }
        }
    }

    /// Takes back everything, since the receiver takes nothing more.
    pub(super) fn take_back_all(&mut self) {
        self.returned.append(&mut self.entries);
        self.runs.iter_mut().for_each(|run| run.is_returned = true);
    }

    /// What is here, besides what was taken back.
    pub(super) fn amount(&self) -> Amount {
        self.runs.iter().filter(|run| !run.is_returned).map(|run| run.amount).sum()
    }

    /// Adds the messages that were counted here to the counts of their subscriptions.
    fn count(&mut self) {
        for run in self.runs.iter_mut().filter(|run| run.count > 0) {
            run.subscription.count_delivered(mem::take(&mut run.count));
        }
    }

    /// Forgets everything: a receiver that has ended takes nothing.
    fn clear(&mut self) {
        self.runs.clear();
        self.entries.clear();
        self.returned.clear();
        self.ready.clear();
    }
}
