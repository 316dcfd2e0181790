//! The queue of a resource: most have none, and take no memory for it.

use std::collections::VecDeque;

use crate::lock::identifiers::WaiterId;

/// Who waits, in the order of their turns.
#[expect(clippy::box_collection, reason = "a place for a queue has four times the size of a place for a box")]
#[derive(Default)]
pub(in crate::lock) struct Queue(Option<Box<VecDeque<WaiterId>>>);

impl Queue {
    pub(in crate::lock) fn push_back(&mut self, id: WaiterId) {
        self.0.get_or_insert_default().push_back(id);
    }

    pub(in crate::lock) fn push_front(&mut self, id: WaiterId) {
        self.0.get_or_insert_default().push_front(id);
    }

    /// Takes one out that need not be there.
    pub(in crate::lock) fn remove(&mut self, id: WaiterId) {
        let Some(queue) = &mut self.0 else { return };
        if let Some(place) = queue.iter().position(|&other| other == id) {
            queue.remove(place);
        }
        if queue.is_empty() {
            self.0 = None;
        }
    }

    pub(in crate::lock) fn get(&self, place: usize) -> Option<WaiterId> {
        self.0.as_ref()?.get(place).copied()
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

    /// Those from a place on.
    pub(in crate::lock) fn iter_from(&self, place: usize) -> impl Iterator<Item = &WaiterId> + Clone {
        self.0.iter().flat_map(move |queue| queue.range(place.min(queue.len())..))
    }
}
