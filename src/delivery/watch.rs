//! Watches: work of the server that is done when somebody subscribes to a subject or unsubscribes from it.  Consumers that push
//! their messages to a subject wait for their receivers this way.
//!
//! While nobody watches, a subscription costs one look at a number.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hashbrown::HashMap;
use quartet_protocol::broker::subject;

use super::{AfterBatch, Effects, FanOut, Name, Topic};
use crate::lock_order::{Mutex, rank};

/// The work that waits for a subject, by the numbers of its watches.
type Works = Vec<(usize, Arc<dyn AfterBatch>)>;

/// All watches.
#[derive(Default)]
pub(super) struct Watches {
    count: AtomicUsize,
    made: AtomicUsize,
    by_subject: Mutex<HashMap<Name, Works>, { rank::INTEREST_WATCHES }>,
}

/// A watch, which ends when it is dropped.
pub struct Watch {
    watches: Arc<Watches>,
    subject: Name,
    number: usize,
}

impl FanOut {
    /// Does `work` at the end of every batch in which somebody subscribes to, or unsubscribes from, `subject` or a pattern
    /// that may match it.  [`Interest::has_interest`](super::Interest::has_interest) says whether there is interest then.
    pub fn watch(&self, subject: &[u8], work: Arc<dyn AfterBatch>) -> Watch {
        let watches = Arc::clone(&self.watches);
        let (subject, number) = (Name::from(subject), watches.made.fetch_add(1, Relaxed));
        watches.by_subject.lock().entry(Arc::clone(&subject)).or_default().push((number, work));
        watches.count.fetch_add(1, Relaxed);
        Watch { watches, subject, number }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut by_subject = self.watches.by_subject.lock();
        let Some(works) = by_subject.get_mut(&self.subject) else { return };
        works.retain(|(number, _)| *number != self.number);
        if works.is_empty() {
            by_subject.remove(&self.subject);
        }
        self.watches.count.fetch_sub(1, Relaxed);
    }
}

impl Watches {
    /// Somebody has begun or ceased to subscribe to a topic.
    #[inline]
    pub(super) fn tell(&self, topic: &Topic, effects: &mut Effects) {
        if self.count.load(Relaxed) > 0 {
            self.tell_some(topic, effects);
        }
    }

    #[cold]
    fn tell_some(&self, topic: &Topic, effects: &mut Effects) {
        let by_subject = self.by_subject.lock();
        let mut add =
            |works: &Works| works.iter().for_each(|(_, work)| effects.after_batch(Arc::clone(work)));
        match topic {
            Topic::Exact(subject) => by_subject.get(subject).into_iter().for_each(add),
            Topic::Wildcard(pattern) => {
                let matching = by_subject.iter().filter(|(subject, _)| subject::matches(pattern, subject));
                matching.for_each(|(_, works)| add(works));
            }
            // Work that is done needlessly finds that nothing has changed.
            Topic::Glob(..) => by_subject.values().for_each(add),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::alarm::Alarm;
    use crate::delivery::{Outbox, Subscription, SubscriptionOptions};

    /// Counts how often it was done.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl AfterBatch for Count {
        fn run(self: Arc<Count>, _effects: &mut Effects) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn work_is_done_when_subscriptions_begin_and_end_until_its_watch_ends() {
        let (fan_out, mut effects) = (FanOut::default(), Effects::default());
        let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
        let count = Arc::<Count>::default();
        let watch = fan_out.watch(b"to.me", Arc::<Count>::clone(&count));
        let other = fan_out.watch(b"to.you", Arc::<Count>::default());
        let mut done = |fan_out: &FanOut, topic: Topic| {
            let subscription = Subscription::new(topic, SubscriptionOptions::default(), &outbox);
            let mut counts = [0; 2];
            fan_out.subscribe(Arc::clone(&subscription), &mut effects);
            effects.deliver(&Alarm::default());
            counts[0] = count.0.swap(0, Relaxed);
            fan_out.unsubscribe(&subscription, &mut effects);
            effects.deliver(&Alarm::default());
            counts[1] = count.0.swap(0, Relaxed);
            counts
        };
        assert_eq!(done(&fan_out, Topic::exact(b"to.me")), [1, 1]);
        assert_eq!(done(&fan_out, Topic::of_pattern(b"to.*")), [1, 1]);
        assert_eq!(done(&fan_out, Topic::glob(b"t*e").expect("a glob")), [1, 1]);
        assert_eq!(done(&fan_out, Topic::exact(b"to.you")), [0, 0]);
        assert_eq!(done(&fan_out, Topic::of_pattern(b"to.*.more")), [0, 0]);
        drop(watch);
        assert_eq!(done(&fan_out, Topic::exact(b"to.me")), [0, 0]);
        drop(other);
        assert!(fan_out.watches.by_subject.lock().is_empty());
        assert_eq!(fan_out.watches.count.load(Relaxed), 0);
    }
}
