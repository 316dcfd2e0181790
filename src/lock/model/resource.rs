//! Resources and owners, as long as something is held or waited for.

use smallvec::SmallVec;

use super::load::Load;
use super::queue::Queue;
use crate::lock::identifiers::WaiterId;

/// What can be locked, as long as it is held or waited for.
#[derive(Default)]
pub(in crate::lock) struct Resource {
    /// What is held.
    pub(in crate::lock) load: Load,
    pub(in crate::lock) holders: SmallVec<[usize; 2]>,
    /// Who waits, in the order of their turns.
    pub(in crate::lock) queue: Queue,
    /// How many permits there are, as the last request for some has said.
    pub(in crate::lock) permits: u32,
    /// The most that one of its users has said there are, while anybody uses any.
    pub(in crate::lock) most_permits: u32,
    pub(in crate::lock) permit_users: u32,
}

impl Resource {
    /// Whether it is neither held nor waited for.
    #[inline]
    pub(in crate::lock) fn is_unused(&self) -> bool {
        self.holders.is_empty() && self.queue.is_empty()
    }
}

/// Who holds or waits: one thread of control, which waits for one thing at a time.
#[derive(Default)]
pub(in crate::lock) struct Owner {
    pub(in crate::lock) leases: SmallVec<[usize; 2]>,
    pub(in crate::lock) wait: Option<WaiterId>,
}
