//! The keeper: opens the journal that the services share, gives each its records back, and takes snapshots of them all.
//!
//! A service is kept if it implements [`Persistent`] and appends its records through its [`ServiceJournal`].  There is no
//! journal before there is something to keep: the first record has the keeper make it, on a thread of its own, and the
//! reply waits for that as it waits for a sync.
//!
//! One snapshot is taken of all services at one go, from one place in the journal, so that one position says what it
//! replaces.  A service's part may have seen changes whose records come later: each service replays its own records over
//! that, as its text says.  A position for each service would let them be taken one by one,
//! but the journal would have to keep every segment that the slowest of them needs, and a start would have to pass over
//! records by their service.
//!
//! The keeper owns its services' ends, so that it shares no lock with a thread that serves clients, and it never waits
//! for a thread that waits for it.

mod dormant;
mod handle;
mod migration;
mod persistent;
mod thread;

pub use dormant::Dormant;
pub use handle::{JournalHandle, ServiceJournal};
pub use migration::FormerFolder;
pub use persistent::{Interrupted, Persistent, Rest};
pub use thread::KeeperThread;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;

use super::{Journal, OpenError, Options, Snapshot, Tag, Writer};
use crate::clock::{Clock, Now};
use crate::disk::{Disk, Folder, FolderError};
use migration::Takeover;

/// The folder of the journal, in the directory for data.
pub const FOLDER: &str = "journal";

/// The tag of the keeper's own records.
pub const TAG: Tag = Tag(0);

/// The keeper's record of a server that has stopped in order, behind all others.  [`migration`] has its other records.
const STOPPED: [u8; 1] = [3];

/// How often a snapshot is begun anew because a service was interrupted, before it is left for later.
const ATTEMPTS_MAX: usize = 3;

/// The least time between two attempts to make the journal.
const RETRY_MILLIS: u64 = 1_000;

/// See the module's text.
pub struct Keeper {
    handle: Arc<JournalHandle>,
    services: Vec<Box<dyn Persistent>>,
    /// Where the journal is made when there is something to keep.
    folder: PathBuf,
    journal: Option<Arc<Journal>>,
    clock: Clock,
    /// When making it has failed last, in milliseconds of the clock.
    tried_at: Option<u64>,
    /// Writes a snapshot.
    background: Option<JoinHandle<()>>,
    /// A service has changes that only a snapshot can record, and none with them has its name yet.
    lacks_snapshot: Arc<AtomicBool>,
}

/// A snapshot and the parts that are still to be written into it.
type Begun = (Snapshot, Vec<Rest>);

impl Keeper {
    /// Gives the services their records in `directory` back, and keeps them there from now on.  If nothing `is_wanted`, the
    /// services take their records over and nothing is kept from then on: there is no keeper.
    ///
    /// # Errors
    /// If the folder cannot be owned, or its contents are damaged.
    pub fn open(
        handle: &Arc<JournalHandle>,
        directory: Option<&Path>,
        is_wanted: bool,
        mut services: Vec<Box<dyn Persistent>>,
        now: Now,
    ) -> Result<Option<Keeper>, OpenError> {
        let former = directory.map(|directory| migration::former_folders(directory, &services));
        let former = former.transpose()?.unwrap_or_default();
        let folder = directory.map(|directory| directory.join(FOLDER)).unwrap_or_default();
        let exists = directory.is_some() && folder.exists();
        if !exists && former.is_empty() {
            services.iter_mut().for_each(|service| {
                service.note_last_stop(true);
                service.resume(now);
            });
            return Ok(is_wanted.then(|| Keeper::without_journal(handle, folder, services)));
        }
        let disk = open_folder(&folder)?;
        let (mut keeper, writer) = Keeper::open_on(handle, Arc::new(disk), former, services, now)?;
        keeper.folder = folder;
        if let Some(journal) = &keeper.journal {
            start(journal, writer)?;
        }
        if is_wanted {
            return Ok(Some(keeper));
        }
        keeper.close();
        Ok(None)
    }

    /// The same on a disk, with a writer that is moved by hand.  Each of the disks in `former` has an untagged journal of
    /// the service with that tag.
    ///
    /// # Errors
    /// As [`Keeper::open`].
    pub fn open_on(
        handle: &Arc<JournalHandle>,
        disk: Arc<dyn Disk>,
        former: Vec<FormerFolder>,
        services: Vec<Box<dyn Persistent>>,
        now: Now,
    ) -> Result<(Keeper, Writer), OpenError> {
        let mut keeper = Keeper::without_journal(handle, PathBuf::new(), services);
        let mut takeover = Takeover::new(former)?;
        let place = disk.describe("");
        let mut was_in_order = true;
        let (journal, writer, recovered) =
            Journal::open_on(disk, keeper.options(), &mut |tag, record, position| {
                was_in_order = (tag, record) == (TAG, &STOPPED);
                match tag {
                    TAG if was_in_order => Ok(()),
                    TAG => takeover.replay(record),
                    tag => service_of(&mut keeper.services, tag)?.replay(record, position, now),
                }
            })?;
        let is_new = recovered.records == 0;
        takeover.read(is_new, &mut keeper.services, &place, now)?;
        let mut must_replace = takeover.is_read();
        for service in &mut keeper.services {
            service.end_replay(now).map_err(|reason| OpenError::Io {
                what: format!("take back what {place} has"),
                error: io::Error::other(reason),
            })?;
        }
        for service in &mut keeper.services {
            service.note_last_stop(was_in_order);
            must_replace |= service.resume(now);
        }
        // Before anything is appended, so that it stands for itself.
        let snapshot = if must_replace { journal.begin_snapshot() } else { None };
        keeper.publish(&journal, is_new && !takeover.is_read());
        if let Some(snapshot) = snapshot
            && let Err(error) = keeper.replace(snapshot, &takeover)
        {
            return Err(OpenError::Io { what: format!("write {place} anew"), error });
        }
        // Otherwise the old files go a little later, so that a start does not wait for that.
        keeper.lacks_snapshot.store(!is_new && !must_replace, Relaxed);
        takeover.finish(&journal)?;
        Ok((keeper, writer))
    }

    fn without_journal(
        handle: &Arc<JournalHandle>,
        folder: PathBuf,
        services: Vec<Box<dyn Persistent>>,
    ) -> Keeper {
        let tags: BTreeSet<Tag> = services.iter().map(|service| service.tag()).chain([TAG]).collect();
        assert_eq!(tags.len(), services.len() + 1, "every service has a tag of its own");
        Keeper {
            handle: Arc::clone(handle),
            services,
            folder,
            journal: None,
            clock: Clock::machine(),
            tried_at: None,
            background: None,
            lacks_snapshot: Arc::default(),
        }
    }

    fn options(&self) -> Options {
        Options { groups: Arc::clone(self.handle.groups()), ..Options::new("journal") }
    }

    /// Lets the services append to the journal.  The records of the time before are one group.
    fn publish(&mut self, journal: &Arc<Journal>, is_new: bool) {
        self.handle.publish(journal);
        self.journal = Some(Arc::clone(journal));
        let handle = Arc::clone(&self.handle);
        let group = handle.groups().open();
        self.services.iter_mut().for_each(|service| service.attach(is_new));
        drop(group);
        self.handle.set_ready(journal.appended());
    }

    /// Replaces all records that were taken back by a snapshot: old files go, and state that a change of the settings has made
    /// void.  No client uses the services yet.  A failure is logged.
    fn replace(&mut self, mut snapshot: Snapshot, takeover: &Takeover) -> io::Result<()> {
        let interrupted = |Interrupted| io::Error::other("a service was interrupted");
        takeover.mark(&mut snapshot);
        for service in &mut self.services {
            if let Some(rest) = service.snapshot(&mut snapshot).map_err(interrupted)? {
                rest(&mut snapshot).map_err(interrupted)?;
            }
        }
        snapshot.finish_alone()
    }

    /// Makes the journal, unless that has just failed; false if there is none.
    fn make(&mut self) -> bool {
        let now = self.clock.now().millis();
        if self.tried_at.is_some_and(|tried| now < tried + RETRY_MILLIS) {
            return false;
        }
        match self.try_to_make() {
            Ok(journal) => {
                if self.handle.failure().is_some() {
                    tracing::warn!("changes are kept on the disk again");
                }
                self.publish(&journal, true);
                true
            }
            Err(error) => {
                self.tried_at = Some(now);
                let reason = error.to_string();
                if self.handle.failure().is_none_or(|known| *known != reason) {
                    tracing::error!(
                        reason,
                        "changes cannot be kept on the disk, so they are refused; it is tried again every second"
                    );
                }
                self.handle.fail(reason);
                false
            }
        }
    }

    fn try_to_make(&self) -> Result<Arc<Journal>, OpenError> {
        let disk = open_folder(&self.folder)?;
        let (journal, writer, recovered) =
            Journal::open_on(Arc::new(disk), self.options(), &mut |_, _, _| Ok(()))?;
        if recovered.records > 0 {
            return Err(OpenError::Appeared { folder: self.folder.display().to_string() });
        }
        start(&journal, writer)?;
        Ok(journal)
    }

    /// Does everything that is due: makes the journal if there is something to keep, copies changes, begins a snapshot.
    pub fn tick(&mut self) {
        if let Some(journal) = self.tend()
            && (journal.is_snapshot_due() || self.lacks_snapshot.load(Relaxed))
        {
            self.snapshot();
        }
    }

    /// The same without a snapshot.  Returns the journal, if there is one that can be written.
    fn tend(&mut self) -> Option<Arc<Journal>> {
        let has_changes = self.services.iter().any(|service| service.has_changes());
        if self.journal.is_none() && !((has_changes || self.handle.is_awaited()) && self.make()) {
            return None;
        }
        let journal = self.journal.clone()?;
        if journal.admit().is_err() {
            // The changes stay noted; the journal has logged the reason.
            return None;
        }
        self.services.iter_mut().for_each(|service| service.copy_changes());
        journal.flush();
        if self.services.iter().any(|service| service.wants_snapshot()) {
            self.lacks_snapshot.store(true, Relaxed);
        }
        Some(journal)
    }

    /// Begins a snapshot and has it written on a thread of its own.
    pub fn snapshot(&mut self) {
        let Some((mut snapshot, rests)) = self.begin_snapshot() else { return };
        let lacks_snapshot = Arc::clone(&self.lacks_snapshot);
        let write = move || {
            // A failure is in the log.
            if rests.into_iter().all(|rest| rest(&mut snapshot).is_ok()) && snapshot.finish().is_ok() {
                lacks_snapshot.store(false, Relaxed);
            }
        };
        match std::thread::Builder::new().name("journal snapshot".to_owned()).spawn(write) {
            Ok(thread) => self.background = Some(thread),
            Err(error) => tracing::warn!(%error, "cannot start a thread for a snapshot"),
        }
    }

    /// Whether the thread of the last snapshot still runs.
    pub fn is_writing_snapshot(&self) -> bool {
        self.background.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// None if there can be no snapshot now; then it is tried again some time.
    fn begin_snapshot(&mut self) -> Option<Begun> {
        let journal = self.journal.as_ref()?;
        for _ in 0..ATTEMPTS_MAX {
            let mut snapshot = journal.begin_snapshot()?;
            let parts = self.services.iter_mut().map(|service| service.snapshot(&mut snapshot));
            if let Ok(rests) = parts.collect::<Result<Vec<Option<Rest>>, Interrupted>>() {
                return Some((snapshot, rests.into_iter().flatten().collect()));
            }
        }
        None
    }

    /// Writes the remaining changes, notes that nothing is behind them, and ends the journal: the server stops.
    pub fn close(mut self) {
        self.tried_at = None;
        self.tick();
        if let Some(thread) = self.background.take() {
            // A panic of the thread has been reported, and there is nothing left to do about it.
            let _ = thread.join();
        }
        self.end();
    }

    /// The same without a snapshot: all records that were taken back stay as they are.
    pub fn end(self) {
        if let Some(journal) = &self.journal {
            journal.append(TAG, &STOPPED);
            journal.close();
        }
    }
}

fn service_of(services: &mut [Box<dyn Persistent>], tag: Tag) -> Result<&mut Box<dyn Persistent>, String> {
    let service = services.iter_mut().find(|service| service.tag() == tag);
    service.ok_or_else(|| format!("it has the tag {} of a service that this version does not know", tag.0))
}

fn open_folder(path: &Path) -> Result<Folder, OpenError> {
    Folder::open(path).map_err(|error| match error {
        FolderError::Owned => OpenError::Owned { folder: path.display().to_string() },
        FolderError::Io(error) => OpenError::Io { what: format!("use {}", path.display()), error },
    })
}

fn start(journal: &Journal, writer: Writer) -> Result<(), OpenError> {
    journal.start(writer).map_err(|error| OpenError::Io { what: "start a thread".to_owned(), error })
}
