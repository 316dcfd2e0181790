//! Snapshots: a change that only a snapshot can record is not forgotten if the disk fails while one is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use quartet::clock::Now;
use quartet::disk::Disk;
use quartet::journal::keeper::{Interrupted, JournalHandle, Keeper, Persistent, Rest, ServiceJournal};
use quartet::journal::{Snapshot, Tag};
use quartet::wait::Position;

use crate::support::process::wait_for;
use crate::support::simulated_disk::{SimulatedDisk, Trouble};

const TAG: Tag = Tag(7);

/// A service whose contents were removed at once.
struct Flushed {
    journal: ServiceJournal,
    wants_snapshot: Arc<AtomicBool>,
}

impl Persistent for Flushed {
    fn tag(&self) -> Tag {
        TAG
    }

    fn replay(&mut self, _record: &[u8], _position: Position, _now: Now) -> Result<(), String> {
        Ok(())
    }

    fn resume(&mut self, _now: Now) -> bool {
        self.journal.turn_on();
        false
    }

    fn attach(&mut self, _is_new: bool) {
        self.journal.attach();
    }

    fn wants_snapshot(&self) -> bool {
        self.wants_snapshot.load(Relaxed)
    }

    fn snapshot(&mut self, snapshot: &mut Snapshot) -> Result<Option<Rest>, Interrupted> {
        self.wants_snapshot.store(false, Relaxed);
        snapshot.append(TAG, b"nothing is left");
        Ok(None)
    }
}

#[test]
fn a_snapshot_that_fails_is_written_again() {
    let (disk, wants_snapshot) = (SimulatedDisk::default(), Arc::new(AtomicBool::new(false)));
    let handle = Arc::<JournalHandle>::default();
    let journal = ServiceJournal::new(&handle, TAG);
    let service = Flushed { journal, wants_snapshot: Arc::clone(&wants_snapshot) };
    let now = Now::at(Duration::from_secs(1), Duration::from_secs(1_700_000_000));
    let services: Vec<Box<dyn Persistent>> = vec![Box::new(service)];
    let opened = Keeper::open_on(&handle, Arc::new(disk.clone()), Vec::new(), services, now);
    let (mut keeper, mut writer) = opened.expect("the disk works");
    let journal = Arc::clone(handle.journal().expect("it was opened"));
    journal.append(TAG, b"something");
    writer.step();
    wants_snapshot.store(true, Relaxed);
    keeper.tick();
    assert!(!wants_snapshot.load(Relaxed), "a snapshot is begun");
    // The segment behind the snapshot is made, and the snapshot itself finds no room.
    disk.expect_trouble(Trouble::Full(disk.operations() + 1, u64::MAX));
    let has_snapshot = || disk.list().expect("it works").iter().any(|name| name.ends_with(".snapshot"));
    let failed = || !has_snapshot() && journal.begin_snapshot().is_some();
    wait_for(|| {
        writer.step();
        failed().then_some(())
    });
    disk.expect_trouble(Trouble::Full(0, 0));
    wait_for(|| {
        keeper.tick();
        writer.step();
        has_snapshot().then_some(())
    });
}
