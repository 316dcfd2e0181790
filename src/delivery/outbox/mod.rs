//! Messages for one receiver, a connection or a feed: they wait here until it takes them.
//!
//! A publisher hands its batch over under a short lock and wakes the receiver if nothing had waited.  The receiver takes as
//! much as its socket takes: the rest waits here, where the receiver's policy applies to it.  So a receiver that reads too
//! slowly harms neither publishers nor other receivers.

mod end;
mod giving_way;
mod latest;
mod queue;
mod requests;
#[cfg(test)]
mod twin;

use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use quartet_protocol::buffer::Buffer;
use smallvec::SmallVec;

use super::backlog::{Backlog, SlowReceiver};
use super::budget::Account;
use super::staging::Staged;
use super::traffic::SharedAmount;
use super::{AfterBatch, Amount, Encoding, Listener, Name};
use crate::lock_order::{Mutex, rank};
use crate::settings::{OutputLimit, SlowConsumer};
use end::{End, Ending};
use queue::{Queue, TAKEN_MAX, Taken};
use requests::Requests;

pub(super) use giving_way::GivenUp;
pub(super) use queue::{Bound, READY_MAX};

/// A receiver that reads takes about so many bytes at a time.
pub const ROOM: usize = 64 * 1024;

/// The outbox is not over its soft limit.
const NEVER: u64 = u64::MAX;

/// The receiver's policy is that of the settings.
const BY_SETTINGS: u8 = u8::MAX;

/// See the module's text.
pub struct Outbox {
    /// The number of the client, or of the feed among the feeds.
    id: u64,
    /// The client's address; none for a feed.
    address: Option<SocketAddr>,
    /// The listener that the receiver came by.
    listener: Listener,
    /// What the receiver calls itself, if it does.
    name: ArcSwapOption<String>,
    /// See [`Encoding`].
    encoding: AtomicU8,
    /// The place of its own policy among all, or [`BY_SETTINGS`].
    policy: AtomicU8,
    /// Most bytes that may wait; 0 for what the settings say.
    bytes_max: usize,
    queue: Mutex<Contents, { rank::OUTBOX }>,
    /// Bytes in the queue, about.
    waiting: AtomicUsize,
    /// Something waits besides bytes that are ready.
    is_behind: AtomicBool,
    /// There is something to be done once nothing waits.
    has_works: AtomicBool,
    /// Bytes that the connection's thread has taken but not written yet.
    unsent: AtomicUsize,
    /// The number of the last message that was kept when the first of these came.
    unsent_since: AtomicU64,
    /// The plain bytes that were taken since all was written.
    taken: AtomicUsize,
    /// The parts of the budget that the queue and the unsent bytes take.
    queue_account: Account,
    unsent_account: Account,
    /// Since when the outbox is over its soft limit, in milliseconds of the server's clock; [`NEVER`] if it is not.
    soft_since: AtomicU64,
    end: End,
    /// What it was sent.
    sent: SharedAmount,
    /// Wakes the receiver; it stays the same.
    waker: OnceLock<Waker>,
    /// Where its messages come from; known from the first on.
    backlog: OnceLock<Arc<Backlog>>,
    /// The requests among its messages; none if they are not noted.
    requests: OnceLock<Box<Requests>>,
}

/// What is behind the lock.
#[derive(Default)]
struct Contents {
    queue: Queue,
    /// It has met its policy since it last kept up.
    is_slow: bool,
    /// It can be found among those that are behind.
    is_noted: bool,
    /// What is to be done once nothing waits.
    works: Vec<Arc<dyn AfterBatch>>,
}

impl Outbox {
    /// An empty outbox for the client with this number and address, which speaks RESP2 so far.
    pub fn new(id: u64, address: SocketAddr) -> Outbox {
        Outbox::with(id, Some(address), Encoding::Resp2)
    }

    /// An empty outbox for a feed, with a bound of its own.
    pub(super) fn of_feed(id: u64, encoding: Encoding, bound: Bound) -> Outbox {
        let mut outbox = Outbox::with(id, None, encoding).of(Listener::Http);
        outbox.bytes_max = bound.bytes_max;
        outbox.set_policy(Some(bound.policy));
        outbox
    }

    fn with(id: u64, address: Option<SocketAddr>, encoding: Encoding) -> Outbox {
        Outbox {
            id,
            address,
            listener: Listener::Server,
            name: ArcSwapOption::empty(),
            encoding: AtomicU8::new(encoding as u8),
            policy: AtomicU8::new(BY_SETTINGS),
            bytes_max: 0,
            queue: Mutex::default(),
            waiting: AtomicUsize::new(0),
            is_behind: AtomicBool::new(false),
            has_works: AtomicBool::new(false),
            unsent: AtomicUsize::new(0),
            unsent_since: AtomicU64::new(0),
            taken: AtomicUsize::new(0),
            queue_account: Account::default(),
            unsent_account: Account::default(),
            soft_since: AtomicU64::new(NEVER),
            end: End::default(),
            sent: SharedAmount::default(),
            waker: OnceLock::new(),
            backlog: OnceLock::new(),
            requests: OnceLock::new(),
        }
    }

    /// Begins or ends noting the reply subjects of messages that are sent to the receiver.
    pub fn note_requests(&self, are_noted: bool) {
        if are_noted || self.requests.get().is_some() {
            self.requests.get_or_init(Box::default).set_noted(are_noted);
        }
    }

    /// Takes the reply subjects of messages that were sent to the receiver since the last call, the oldest first.
    pub fn take_requests(&self) -> Vec<Name> {
        self.requests.get().map_or_else(Vec::new, |requests| requests.take())
    }

    /// Where the reply subjects of messages for the receiver are noted, if they are.
    pub(super) fn noted_requests(&self) -> Option<&Requests> {
        self.requests.get().map(|requests| &**requests).filter(|requests| requests.are_noted())
    }

    /// The number of the client, or of the feed among the feeds.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The client's address; of no meaning for a feed.
    pub fn address(&self) -> SocketAddr {
        self.address.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// The client's number; none for a feed.
    pub fn client(&self) -> Option<u64> {
        self.address.map(|_| self.id)
    }

    /// The same, for a receiver that came by this listener.
    #[must_use]
    pub fn of(mut self, listener: Listener) -> Outbox {
        self.listener = listener;
        self
    }

    /// The listener that the receiver came by.
    pub fn listener(&self) -> Listener {
        self.listener
    }

    /// The messages that the receiver was sent, those included that it was too slow for.
    pub fn sent(&self) -> Amount {
        self.sent.get()
    }

    /// What the receiver calls itself, if it does.
    pub fn name(&self) -> Option<Arc<String>> {
        self.name.load_full()
    }

    /// Notes what the receiver calls itself; nothing for an empty name.
    pub fn set_name(&self, name: &str) {
        self.name.store((!name.is_empty()).then(|| Arc::new(name.to_owned())));
    }

    /// Whether it is the outbox of this client.
    pub(super) fn belongs_to(&self, client: Option<u64>) -> bool {
        self.address.is_some() && client == Some(self.id)
    }

    /// The form in which the receiver gets messages.
    pub fn encoding(&self) -> Encoding {
        Encoding::of(self.encoding.load(Relaxed))
    }

    /// Changes the form of messages that are formatted from here on.  The receiver should take those that are formatted
    /// already before it confirms the change.
    pub fn set_encoding(&self, encoding: Encoding) {
        self.encoding.store(encoding as u8, Relaxed);
    }

    /// Sets the policy for subscriptions that have none of their own; none for what the settings say.  A receiver that
    /// speaks RESP is always disconnected, as in Redis.
    pub fn set_policy(&self, policy: Option<SlowConsumer>) {
        self.policy.store(policy.map_or(BY_SETTINGS, |policy| policy as u8), Relaxed);
    }

    /// How much may wait here, and what happens beyond.
    pub(super) fn bound(&self, backlog: &Backlog) -> Bound {
        if matches!(self.encoding(), Encoding::Resp2 | Encoding::Resp3) {
            return backlog.bound_of_resp();
        }
        let mut bound = backlog.bound_of_broker();
        if self.bytes_max != 0 {
            bound.bytes_max = self.bytes_max;
        }
        if let Some(policy) = SlowConsumer::ALL.get(usize::from(self.policy.load(Relaxed))) {
            bound.policy = *policy;
        }
        bound
    }

    /// Whether the receiver has taken all its messages but some bytes.
    #[inline]
    pub(super) fn keeps_up(&self) -> bool {
        !self.is_behind.load(Relaxed)
    }

    /// Takes what a publisher's batch has for the receiver, as far as its policy allows it.  True if the receiver has to be
    /// woken.  What it does not take since it or a subscription has ended is given back.
    pub(super) fn take_over(self: &Arc<Outbox>, staged: &mut Staged, backlog: &Arc<Backlog>) -> bool {
        let mut contents = self.queue.lock();
        if self.is_closing() {
            staged.take_back_all();
            return false;
        }
        staged.take_back_silent();
        self.sent.add_alone(staged.amount());
        self.add(&mut contents, backlog, |queue, kept, limits| {
            let ready = &mut staged.ready;
            let fits = ready.is_empty() || queue.add_ready(ready, kept, limits);
            let mut entries = staged.entries.drain(..);
            fits && entries.all(|(message, subscription)| queue.add(message, subscription, limits))
        })
    }

    /// The same for a line that is no message.
    pub(super) fn take_line(self: &Arc<Outbox>, line: &Bytes, backlog: &Arc<Backlog>) -> bool {
        self.add(&mut self.queue.lock(), backlog, |queue, kept, limits| {
            let mut buffer = Buffer::new();
            buffer.extend_shared(line.clone());
            queue.add_ready(&mut buffer, kept, limits)
        })
    }

    /// Adds something.  If it does not fit the receiver has to be disconnected.  True if it has to be woken.
    fn add(
        self: &Arc<Outbox>,
        contents: &mut Contents,
        backlog: &Arc<Backlog>,
        add: impl FnOnce(&mut Queue, u64, (&Bound, usize)) -> bool,
    ) -> bool {
        if self.is_closing() {
            return false;
        }
        let was_empty = contents.queue.is_empty();
        let (bound, unsent) = (self.bound(backlog), self.unsent.load(Relaxed));
        let fits = add(&mut contents.queue, backlog.budget.kept(), (&bound, unsent));
        if !fits {
            self.cut_off();
        }
        self.note_missed(contents, (!fits).then_some(SlowConsumer::Disconnect), backlog);
        self.note_waiting(contents, backlog);
        if !contents.is_noted && self.holds_much() {
            contents.is_noted = true;
            backlog.note_behind(self);
        }
        // Others may have waited before: then the receiver is woken already, or waits for its socket.
        !fits || (was_empty && !contents.queue.is_empty())
    }

    /// Marks a subscription of this receiver as silent: from here on nothing is added for it.
    pub(super) fn silence(&self, is_silent: &AtomicBool) {
        let _contents = self.queue.lock();
        is_silent.store(true, Relaxed);
    }

    /// Reports that the receiver is too slow, if it has met its policy.  Each time that it falls behind, the log is told
    /// once.
    fn note_missed(&self, contents: &mut Contents, met: Option<SlowConsumer>, backlog: &Backlog) {
        let missed = mem::take(&mut contents.queue.missed);
        if missed == 0 && met.is_none() {
            return;
        }
        backlog.count_missed(missed);
        if !mem::replace(&mut contents.is_slow, true) || met.is_some() {
            let policy = met.unwrap_or(contents.queue.policy_met);
            backlog.report(SlowReceiver { id: self.id, address: self.address, policy, missed });
        }
    }

    /// Sets the figures that are read without the lock.
    fn note_waiting(&self, contents: &mut Contents, backlog: &Arc<Backlog>) {
        let queue = &contents.queue;
        self.waiting.store(queue.bytes(), Relaxed);
        self.is_behind.store(queue.is_behind(), Relaxed);
        self.queue_account.set(queue.memory(), &backlog.budget);
        self.backlog.get_or_init(|| Arc::clone(backlog));
    }

    /// Whether it holds enough for the budget to count it.
    fn holds_much(&self) -> bool {
        !self.keeps_up() || self.held() > 0
    }

    /// Appends messages to `buffer`, each of them whole, until nothing waits or the buffer has about `room` bytes: the rest
    /// waits here, where the receiver's policy applies to it.  To be called by the receiver's thread.
    pub fn collect(&self, buffer: &mut Buffer, room: usize) {
        let Some(backlog) = self.backlog.get() else { return };
        if self.is_empty() || buffer.len() >= room {
            return;
        }
        let (encoding, before) = (self.encoding(), buffer.plain_len());
        let mut taken = SmallVec::<[Taken; TAKEN_MAX]>::new();
        loop {
            self.take(buffer, room, &mut taken, backlog);
            if taken.is_empty() {
                break;
            }
            // Without the lock: a publisher does not wait for this.
            for taken in taken.drain(..) {
                taken.write(encoding, buffer);
            }
        }
        let added = buffer.plain_len().saturating_sub(before);
        self.taken.store(self.taken.load(Relaxed) + added, Relaxed);
    }

    /// Moves ready bytes into `buffer`, and some of the entries into `taken`, as far as there is room.
    fn take(
        &self,
        buffer: &mut Buffer,
        room: usize,
        taken: &mut SmallVec<[Taken; TAKEN_MAX]>,
        backlog: &Arc<Backlog>,
    ) {
        if buffer.len() >= room {
            return;
        }
        let mut contents = self.queue.lock();
        let queue = &mut contents.queue;
        if buffer.is_empty() {
            let oldest = queue.oldest().unwrap_or_else(|| backlog.budget.kept());
            self.unsent_since.store(oldest, Relaxed);
        }
        queue.move_ready(buffer);
        queue.take(room.saturating_sub(buffer.len()), taken);
        if queue.is_empty() {
            contents.is_slow = false;
        }
        self.note_waiting(&mut contents, backlog);
    }

    /// Appends everything that waits to `buffer`.
    pub fn drain_into(&self, buffer: &mut Buffer) {
        self.collect(buffer, usize::MAX);
    }

    /// Has the receiver do `work` once it has taken everything that waits for it: the work continues to send to it.  False if
    /// nothing waits, or never will again.
    pub fn once_taken(&self, work: &Arc<dyn AfterBatch>) -> bool {
        let mut contents = self.queue.lock();
        if contents.queue.is_empty() || self.is_closing() {
            return false;
        }
        if !contents.works.iter().any(|other| Arc::ptr_eq(other, work)) {
            contents.works.push(Arc::clone(work));
        }
        // The receiver sees it when it has taken what waits, since it does so under the lock.
        self.has_works.store(true, Relaxed);
        true
    }

    /// Takes the work that is to be done once nothing waits.  To be called by the receiver's thread, when it has taken and
    /// written everything, and when it ends.
    pub fn take_works(&self) -> Vec<Arc<dyn AfterBatch>> {
        if !self.has_works.load(Relaxed) {
            return Vec::new();
        }
        let mut contents = self.queue.lock();
        self.has_works.store(false, Relaxed);
        mem::take(&mut contents.works)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.load(Relaxed) == 0 && self.keeps_up()
    }

    /// Bytes that wait here and in the connection.
    pub fn bytes(&self) -> usize {
        self.waiting.load(Relaxed) + self.unsent.load(Relaxed)
    }

    /// Bytes that the connection holds.
    pub fn unsent(&self) -> usize {
        self.unsent.load(Relaxed)
    }

    /// Notes the bytes that the connection holds and that its client has not read yet.  To be called by the receiver's thread.
    pub fn set_unsent(&self, buffer: &Buffer) {
        let bytes = buffer.len();
        if self.unsent.load(Relaxed) != bytes {
            self.unsent.store(bytes, Relaxed);
        }
        let Some(backlog) = self.backlog.get() else { return };
        if bytes == 0 {
            self.taken.store(0, Relaxed);
        }
        // Replies to commands are no messages.
        let messages = buffer.plain_len().min(self.taken.load(Relaxed));
        self.unsent_account.set(messages, &backlog.budget);
    }

    /// Whether the limit is exceeded at `now` (milliseconds): over the hard one, or over the soft one for too long.  To be
    /// called by one thread.
    pub fn exceeds(&self, limit: OutputLimit, now: u64) -> bool {
        let bytes = self.bytes();
        if limit.hard != 0 && bytes >= limit.hard {
            return true;
        }
        if limit.soft == 0 || bytes < limit.soft {
            self.soft_since.store(NEVER, Relaxed);
            return false;
        }
        if self.soft_since.load(Relaxed) == NEVER {
            self.soft_since.store(now, Relaxed);
        }
        now.saturating_sub(self.soft_since.load(Relaxed)) >= limit.soft_seconds * 1000
    }

    /// Drops everything that waits and takes nothing more.  To be called when the receiver has ended: its subscriptions
    /// hold the outbox, and messages that wait in it hold them.
    pub fn discard(&self) {
        self.close();
        let dropped = {
            let mut contents = self.queue.lock();
            let dropped = mem::take(&mut contents.queue);
            if let Some(backlog) = self.backlog.get() {
                self.note_waiting(&mut contents, backlog);
            }
            dropped
        };
        drop(dropped);
        self.set_unsent(&Buffer::new());
    }

    /// Asks the receiver to end, whether or not the waiting messages are read.  Takes effect when it is woken.
    pub fn close(&self) {
        self.end.ask(Ending::Closing);
    }

    /// The same, since the receiver is too slow.
    pub fn cut_off(&self) {
        self.end.ask(Ending::CutOff);
    }

    /// Asks the connection to end once its client has read the waiting messages, since the server stops.
    pub fn finish(&self) {
        self.end.ask(Ending::Finishing);
    }

    /// Whether the receiver was asked to end without waiting for the reader.
    pub fn is_closing(&self) -> bool {
        self.end.is(Ending::Closing)
    }

    /// Whether the receiver is to end since it is too slow.
    pub fn is_cut_off(&self) -> bool {
        self.end.is(Ending::CutOff)
    }

    /// Whether the receiver was asked to end in either way.
    pub fn is_ending(&self) -> bool {
        self.end.is(Ending::Finishing)
    }

    /// Wakes the receiver, if it waits.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Sets the waker of the receiver: always the same, and before the receiver first takes messages.
    pub fn register(&self, waker: &Waker) {
        let registered = self.waker.get_or_init(|| waker.clone());
        debug_assert!(registered.will_wake(waker));
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if let Some(backlog) = self.backlog.get() {
            self.queue_account.set(0, &backlog.budget);
            self.unsent_account.set(0, &backlog.budget);
        }
    }
}
