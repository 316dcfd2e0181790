//! Resources and owners.  They are there while something is held or waited for.

use smallvec::SmallVec;

use super::load::Load;
use super::queue::Queue;
use crate::lock::identifiers::WaiterId;

/// Something that can be locked.
#[derive(Default)]
pub(in crate::lock) struct Resource {
    /// How much of it is taken.
    pub(in crate::lock) load: Load,
    pub(in crate::lock) holders: SmallVec<[usize; 2]>,
    /// The waiters in the order of their turns.
    pub(in crate::lock) queue: Queue,
    /// The total of permits, as the last request has named it.
    pub(in crate::lock) permits: u32,
    /// The largest total that one of its present users has named.
    pub(in crate::lock) most_permits: u32,
    pub(in crate::lock) permit_users: u32,
}

impl Resource {
    /// Whether nobody holds it or waits for it.
    #[inline]
    pub(in crate::lock) fn is_unused(&self) -> bool {
        self.holders.is_empty() && self.queue.is_empty()
    }
}

/// One thread of control that holds or waits.  It waits for one thing at a time.
#[derive(Default)]
pub(in crate::lock) struct Owner {
    pub(in crate::lock) leases: SmallVec<[usize; 2]>,
    pub(in crate::lock) wait: Option<WaiterId>,
}
