//! Locks that a keeper keeps, without a server around them.

use std::path::Path;
use std::sync::Arc;

use quartet::clock::Now;
use quartet::journal::keeper::{JournalHandle, Keeper};
use quartet::journal::{OpenError, Writer};
use quartet::lock::{Durability, Locks};

use super::simulated_disk::SimulatedDisk;

/// The locks that a disk has; the test moves the writer.
pub(crate) fn open_on(
    disk: &SimulatedDisk,
    durability: Durability,
    now: Now,
) -> Result<(Locks, Writer), OpenError> {
    let KeptLocks { locks, writer, .. } = KeptLocks::open(disk, durability, now)?;
    Ok((locks, writer))
}

/// Locks with all that keeps them, which the test moves.
pub(crate) struct KeptLocks {
    pub(crate) locks: Locks,
    pub(crate) keeper: Keeper,
    pub(crate) writer: Writer,
    pub(crate) journal: Arc<JournalHandle>,
}

impl KeptLocks {
    pub(crate) fn open(
        disk: &SimulatedDisk,
        durability: Durability,
        now: Now,
    ) -> Result<KeptLocks, OpenError> {
        let journal = Arc::<JournalHandle>::default();
        let locks = Locks::new(&journal, durability);
        let services = vec![locks.persistent()];
        let (keeper, writer) = Keeper::open_on(&journal, Arc::new(disk.clone()), Vec::new(), services, now)?;
        Ok(KeptLocks { locks, keeper, writer, journal })
    }
}

/// The locks that a directory has.
pub(crate) fn open(
    directory: &Path,
    durability: Durability,
    now: Now,
) -> Result<(Locks, Option<Keeper>), OpenError> {
    let handle = Arc::<JournalHandle>::default();
    let locks = Locks::new(&handle, durability);
    let services = vec![locks.persistent()];
    let is_wanted = durability != Durability::None;
    let keeper = Keeper::open(&handle, Some(directory), is_wanted, services, now)?;
    Ok((locks, keeper))
}
