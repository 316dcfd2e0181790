//! A write that only the present holder of a lock can do, as FENCE.SET is over RESP.

use crate::http::endpoint::{Problem, Visit, on_disk, problems};
use crate::lock::operation::Check;
use crate::wait::Barrier;

/// The lock and the fence under which a client believes to hold it.
pub(super) struct Fencing<'a> {
    lock: &'a [u8],
    fence: u64,
}

impl<'a> Fencing<'a> {
    /// # Errors
    /// If one is named without the other.
    pub(super) fn new(lock: Option<&'a [u8]>, fence: Option<u64>) -> Result<Option<Fencing<'a>>, Problem> {
        match (lock, fence) {
            (Some(lock), Some(fence)) => Ok(Some(Fencing { lock, fence })),
            (None, None) => Ok(None),
            _ => Err(Problem::invalid("fence", "lock and fence, both or neither")),
        }
    }

    /// Is called while the key's shard is locked, so that the next holder of the lock finds this write.  Returns the barrier
    /// that the response waits for.
    ///
    /// # Errors
    /// If the lock is not held under the fence.
    pub(super) fn allow_writing(&self, visit: &mut Visit<'_, '_>) -> Result<Option<Barrier>, Problem> {
        let now = visit.now();
        let check = Check { resources: &[self.lock], fence: self.fence };
        let is_current = visit.services.run_lock(&check, now, visit.effects);
        let barrier = visit.effects.take_barrier();
        if is_current { Ok(barrier) } else { Err(Problem::new(problems::FENCED).with("field", "fence")) }
    }
}

/// Waits until the grant that a write depended on is on the disk.
///
/// # Errors
/// If it will never be.
pub(super) async fn synced(barrier: Option<Barrier>) -> Result<(), Problem> {
    match barrier {
        Some(barrier) => on_disk(&barrier).await,
        None => Ok(()),
    }
}
