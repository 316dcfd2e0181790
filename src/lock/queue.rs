//! The queue of a resource: most have none, and take no memory for it.

use std::collections::VecDeque;

use super::events::WaiterId;

/// Who waits, in the order of their turns.
#[expect(clippy::box_collection, reason = "a place for a queue has four times the size of a place for a box")]
#[derive(Default)]
pub(super) struct Queue(Option<Box<VecDeque<WaiterId>>>);

impl Queue {
    pub(super) fn push_back(&mut self, id: WaiterId) {
        self.0.get_or_insert_default().push_back(id);
    }

    pub(super) fn push_front(&mut self, id: WaiterId) {
        self.0.get_or_insert_default().push_front(id);
    }

    /// Takes one out that need not be there.
    pub(super) fn remove(&mut self, id: WaiterId) {
        let Some(queue) = &mut self.0 else { return };
        if let Some(place) = queue.iter().position(|&other| other == id) {
            queue.remove(place);
        }
        if queue.is_empty() {
            self.0 = None;
        }
    }

    pub(super) fn get(&self, place: usize) -> Option<WaiterId> {
        self.0.as_ref()?.get(place).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &WaiterId> + Clone {
        self.iter_from(0)
    }

    /// Those from a place on.
    pub(super) fn iter_from(&self, place: usize) -> impl Iterator<Item = &WaiterId> + Clone {
        self.0.iter().flat_map(move |queue| queue.range(place.min(queue.len())..))
    }
}
