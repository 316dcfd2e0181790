//! The queue of a resource.  Most resources have none, and use no memory for it.

use std::collections::VecDeque;

use crate::lock::identifiers::WaiterId;

/// Waiters in the order of their turns.
#[expect(clippy::box_collection, reason = "a queue has four times the size of a box")]
#[derive(Default)]
pub(in crate::lock) struct Queue(Option<Box<VecDeque<WaiterId>>>);

impl Queue {
    pub(in crate::lock) fn push_back(&mut self, id: WaiterId) {
        self.0.get_or_insert_default().push_back(id);
    }

    pub(in crate::lock) fn push_front(&mut self, id: WaiterId) {
        self.0.get_or_insert_default().push_front(id);
    }

    /// Removes a waiter, if it is there.
    pub(in crate::lock) fn remove(&mut self, id: WaiterId) {
        let Some(queue) = &mut self.0 else { return };
        if let Some(position) = queue.iter().position(|&other| other == id) {
            queue.remove(position);
        }
        if queue.is_empty() {
            self.0 = None;
        }
    }

    pub(in crate::lock) fn get(&self, position: usize) -> Option<WaiterId> {
        self.0.as_ref()?.get(position).copied()
    }

    pub(in crate::lock) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.len())
    }

    pub(in crate::lock) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(in crate::lock) fn iter(&self) -> impl Iterator<Item = &WaiterId> + Clone {
        self.iter_from(0)
    }

    /// The waiters from a position on.
    pub(in crate::lock) fn iter_from(&self, position: usize) -> impl Iterator<Item = &WaiterId> + Clone {
        self.0.iter().flat_map(move |queue| queue.range(position.min(queue.len())..))
    }
}
