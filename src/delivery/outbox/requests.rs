//! The reply subjects of messages for one receiver that may answer requests and little else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::delivery::Name;
use crate::lock_order::{Mutex, rank};

/// Reply subjects that wait for the receiver's thread.  Beyond that the oldest are dropped.
const WAITING_MAX: usize = 4096;

/// See the module's text.
#[derive(Default)]
pub(in crate::delivery) struct Requests {
    are_noted: AtomicBool,
    replies: Mutex<VecDeque<Name>, { rank::OPEN_REQUESTS }>,
}

impl Requests {
    /// Begins or ends noting requests.
    pub(super) fn set_noted(&self, are_noted: bool) {
        self.are_noted.store(are_noted, Relaxed);
    }

    /// Whether requests are noted.
    #[inline]
    pub(super) fn are_noted(&self) -> bool {
        self.are_noted.load(Relaxed)
    }

    /// Notes a request that is answered on `reply`.
    #[cold]
    pub(in crate::delivery) fn note(&self, reply: &[u8]) {
        let mut replies = self.replies.lock();
        if replies.len() == WAITING_MAX {
            replies.pop_front();
        }
        replies.push_back(reply.into());
    }

    /// Takes the reply subjects, the oldest first.
    pub(super) fn take(&self) -> Vec<Name> {
        std::mem::take(&mut *self.replies.lock()).into()
    }
}
