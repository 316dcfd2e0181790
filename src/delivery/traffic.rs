//! How much is published and sent to receivers, by listener.
//!
//! Nothing is shared per message: each thread counts for itself, what it publishes here and what it sends with the stage of
//! each receiver, and tells the others at the end of its batch.

use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Makes [`Listener`] with its names.
macro_rules! listeners {
    ($($(#[$text:meta])* $listener:ident = $name:literal,)*) => {
        /// Where messages come from and go to.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Listener { $($(#[$text])* $listener,)* }

        impl Listener {
            /// All of them.
            pub const ALL: &[Listener] = &[$(Listener::$listener),*];

            /// Its name in metrics and lists.
            pub fn name(self) -> &'static str {
                match self { $(Listener::$listener => $name,)* }
            }
        }
    };
}

listeners! {
    /// That of RESP.
    Resp = "resp",
    /// That of the broker's protocol.
    Broker = "broker",
    /// That of HTTP, for a WebSocket.
    WebSocket = "websocket",
    /// That of HTTP.
    Http = "http",
    /// None: the server publishes events of its own.
    Server = "server",
}

/// Messages and the bytes of their headers and payloads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amount {
    /// Messages.
    pub messages: u64,
    /// Bytes of their headers and payloads.
    pub bytes: u64,
}

/// What was published and sent since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// What clients of a listener have published.
    pub published: Amount,
    /// What receivers of a listener were sent, those messages included for which they were too slow.  A message counts for
    /// each receiver.
    pub sent: Amount,
}

/// An amount that other threads see.
#[derive(Default)]
pub(super) struct SharedAmount {
    messages: AtomicU64,
    bytes: AtomicU64,
}

/// What all threads have told.
#[derive(Default)]
pub(super) struct Counts {
    published: [SharedAmount; Listener::ALL.len()],
    sent: [SharedAmount; Listener::ALL.len()],
}

/// What a thread has counted and not told.
#[derive(Default)]
pub(super) struct Untold {
    counts: Option<Arc<Counts>>,
    /// There is something.
    has_news: bool,
    traffic: [Traffic; Listener::ALL.len()],
}

impl Amount {
    /// Adds a message of so many bytes.
    #[inline]
    pub(super) fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Amount) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Amount>>(amounts: I) -> Amount {
        amounts.fold(Amount::default(), |mut sum, amount| {
            sum += amount;
            sum
        })
    }
}

impl SharedAmount {
    pub(super) fn get(&self) -> Amount {
        Amount { messages: self.messages.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }

    pub(super) fn add(&self, amount: Amount) {
        if amount.messages > 0 {
            self.messages.fetch_add(amount.messages, Relaxed);
            self.bytes.fetch_add(amount.bytes, Relaxed);
        }
    }

    /// The same where nobody else adds meanwhile.
    pub(super) fn add_alone(&self, amount: Amount) {
        let sum = self.get();
        self.messages.store(sum.messages + amount.messages, Relaxed);
        self.bytes.store(sum.bytes + amount.bytes, Relaxed);
    }
}

impl Counts {
    /// What clients of a listener have published, and its receivers were sent.
    pub(super) fn of(&self, listener: Listener) -> Traffic {
        let place = listener as usize;
        Traffic { published: self.published[place].get(), sent: self.sent[place].get() }
    }
}

impl Untold {
    /// Counts a message of so many bytes that a client of a listener has published.
    #[inline]
    pub(super) fn count_published(&mut self, counts: &Arc<Counts>, listener: Listener, bytes: usize) {
        self.expect_sent(counts);
        self.traffic[listener as usize].published.add(bytes);
    }

    /// Notes that messages may be sent that were published earlier.
    #[inline]
    pub(super) fn expect_sent(&mut self, counts: &Arc<Counts>) {
        self.counts.get_or_insert_with(|| Arc::clone(counts));
        self.has_news = true;
    }

    /// Counts what a receiver of a listener is sent.
    pub(super) fn count_sent(&mut self, listener: Listener, amount: Amount) {
        self.traffic[listener as usize].sent += amount;
    }

    /// What clients of a listener have published since the others were told.
    pub(super) fn published(&self, listener: Listener) -> Amount {
        self.traffic[listener as usize].published
    }

    /// Tells the others.
    pub(super) fn tell(&mut self) {
        // Nothing is sent without being published or expected.
        if !std::mem::take(&mut self.has_news) {
            return;
        }
        let Some(counts) = &self.counts else { return };
        for (place, traffic) in std::mem::take(&mut self.traffic).into_iter().enumerate() {
            counts.published[place].add(traffic.published);
            counts.sent[place].add(traffic.sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_have_counted_is_told_once() {
        let counts = Arc::<Counts>::default();
        let mut threads = [Untold::default(), Untold::default()];
        threads[0].count_published(&counts, Listener::Http, 10);
        threads[0].count_published(&counts, Listener::Http, 5);
        threads[0].count_sent(Listener::Resp, Amount { messages: 3, bytes: 30 });
        threads[1].count_published(&counts, Listener::Server, 1);
        threads[1].count_sent(Listener::Resp, Amount { messages: 1, bytes: 1 });
        assert_eq!(counts.of(Listener::Resp), Traffic::default());
        assert_eq!(threads[0].published(Listener::Http), Amount { messages: 2, bytes: 15 });
        for _ in 0..2 {
            threads.iter_mut().for_each(Untold::tell);
        }
        let amounts = Listener::ALL.iter().map(|&listener| {
            let Traffic { published, sent } = counts.of(listener);
            (published.messages, published.bytes, sent.messages, sent.bytes)
        });
        assert!(amounts.eq([(0, 0, 4, 31), (0, 0, 0, 0), (0, 0, 0, 0), (2, 15, 0, 0), (1, 1, 0, 0)]));
    }
}
