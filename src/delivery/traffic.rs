//! How much is published and sent to receivers, by whatever door.
//!
//! Each thread counts for itself and tells the others at the end of its batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Messages and the bytes of their headers and payloads, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Messages that were published.
    pub messages_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Messages that receivers were sent: a message counts for each of them.
    pub messages_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
}

/// What all threads have told.
#[derive(Default)]
pub(super) struct Counts {
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_out: AtomicU64,
}

/// What a thread has counted and not told.
#[derive(Default)]
pub(super) struct Untold {
    counts: Option<Arc<Counts>>,
    traffic: Traffic,
}

impl Counts {
    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            messages_in: self.messages_in.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            messages_out: self.messages_out.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
        }
    }
}

impl Untold {
    /// Counts a message of so many bytes that so many receivers were sent.
    #[inline]
    pub(super) fn count(&mut self, counts: &Arc<Counts>, bytes: usize, receivers: usize) {
        self.counts.get_or_insert_with(|| Arc::clone(counts));
        self.traffic.messages_in += 1;
        self.traffic.bytes_in += bytes as u64;
        self.traffic.messages_out += receivers as u64;
        self.traffic.bytes_out += (bytes * receivers) as u64;
    }

    /// Tells the others.
    pub(super) fn tell(&mut self) {
        if self.traffic.messages_in > 0
            && let Some(counts) = &self.counts
        {
            let Traffic { messages_in, bytes_in, messages_out, bytes_out } =
                std::mem::take(&mut self.traffic);
            counts.messages_in.fetch_add(messages_in, Relaxed);
            counts.bytes_in.fetch_add(bytes_in, Relaxed);
            counts.messages_out.fetch_add(messages_out, Relaxed);
            counts.bytes_out.fetch_add(bytes_out, Relaxed);
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
        threads[0].count(&counts, 10, 3);
        threads[0].count(&counts, 5, 0);
        threads[1].count(&counts, 1, 1);
        assert_eq!(counts.traffic(), Traffic::default());
        for _ in 0..2 {
            threads.iter_mut().for_each(Untold::tell);
        }
        let expected = Traffic { messages_in: 3, bytes_in: 16, messages_out: 4, bytes_out: 31 };
        assert_eq!(counts.traffic(), expected);
    }
}
