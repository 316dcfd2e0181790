//! Work that operations leave for the end of their batch, when their thread holds no lock: it may read from the disk or publish
//! many messages, and nobody should wait for that.

use std::mem;
use std::sync::Arc;

use super::{Effects, FanOut};
use crate::lock_order::{Mutex, assert_nothing_held, rank};

/// Work may ask for more work.  After so many rounds at the end of one batch the rest is left to another one, so that the clients
/// of the thread are not kept waiting.
pub(super) const ROUNDS_MAX: usize = 16;

/// See the module's text.
pub trait AfterBatch: Send + Sync {
    /// Does the work, on the thread of the batch, which holds no lock.  It may publish and ask for more work, for example for
    /// itself once more.
    fn run(self: Arc<Self>, effects: &mut Effects);
}

/// Work that is to be done, in the order in which it was asked for.
#[derive(Default)]
pub(super) struct Works(Vec<Arc<dyn AfterBatch>>);

/// Work that batches have left over.
#[derive(Default)]
pub(super) struct LeftWork(Mutex<Works, { rank::LEFT_WORK }>);

impl Works {
    /// Whether there is none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds work.  Repeated calls in a row cost nothing.
    pub(super) fn add(&mut self, work: Arc<dyn AfterBatch>) {
        if !self.0.last().is_some_and(|last| Arc::ptr_eq(last, &work)) {
            self.0.push(work);
        }
    }

    /// Takes all of it out, each object once.
    fn take(&mut self) -> Vec<Arc<dyn AfterBatch>> {
        let works = mem::take(&mut self.0);
        if works.len() < 2 {
            return works;
        }
        let mut places: Vec<usize> = (0..works.len()).collect();
        let address = |place: &usize| Arc::as_ptr(&works[*place]).cast::<()>();
        // The first of each object stays, since the sort keeps the order of equal ones.
        places.sort_by_key(address);
        places.dedup_by_key(|place| address(place));
        places.sort_unstable();
        places.into_iter().map(|place| Arc::clone(&works[place])).collect()
    }
}

impl Effects {
    /// Asks for `work` to be done at the end of the batch, once however often it is asked for in the batch.
    pub fn after_batch(&mut self, work: Arc<dyn AfterBatch>) {
        self.works.add(work);
    }

    /// Whether there is work that the last batch has left over: see [`FanOut::deliver`].
    pub fn has_work_left(&self) -> bool {
        !self.works.is_empty()
    }

    /// Does the work of the batch, up to so many rounds, and hands its messages over.
    pub(super) fn work(&mut self) {
        for _ in 0..ROUNDS_MAX {
            // The work of a round may make requests, too.
            self.put_requests_off();
            if self.works.is_empty() {
                return;
            }
            for work in self.works.take() {
                work.run(self);
            }
            self.hand_over_amid_batch();
        }
        self.put_requests_off();
    }
}

impl FanOut {
    /// Delivers the effects of a batch, as [`Effects::deliver`] does, with the server's alarm.  Work that is left over then goes
    /// to the thread that the alarm wakes, so effects may be dropped afterwards.  No lock may be held.
    pub fn deliver(&self, effects: &mut Effects) {
        assert_nothing_held("delivers effects");
        effects.deliver(&self.alarm);
        if effects.has_work_left() {
            self.leave_work(effects.works.take());
        }
    }

    /// Leaves work to the thread that the alarm wakes.
    pub(super) fn leave_work(&self, works: Vec<Arc<dyn AfterBatch>>) {
        if !works.is_empty() {
            let mut left = self.left_work.0.lock();
            works.into_iter().for_each(|work| left.add(work));
            drop(left);
            self.alarm.set(0);
        }
    }

    /// Takes over work that batches have left over, for the end of this one.  To be called when the alarm has rung.
    pub fn take_over_work(&self, effects: &mut Effects) {
        let works = self.left_work.0.lock().take();
        works.into_iter().for_each(|work| effects.after_batch(work));
    }
}
