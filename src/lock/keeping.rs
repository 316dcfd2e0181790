//! What of the table of locks outlives the server, and what replies have to wait for so that it does.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::durability::Durability;
use super::model::events::Events;
use super::model::fences;
use super::refused::Refused;
use super::scheduler::Core;
use crate::clock::Now;
use crate::journal::disk::Disk;
use crate::journal::{Journal, NotAdmitted, OpenError, Options, Snapshot, Writer};
use crate::wait::{Barrier, Durable, Position};

/// The least time between two attempts to make the journal.
const RETRY_MICROS: u64 = 1_000_000;

/// Where records go.
#[derive(Default)]
pub(super) enum Keeping {
    /// Nowhere.
    #[default]
    Nowhere,
    /// Into a folder that is made for the first lock.
    Later(Unmade),
    /// Into a journal.
    Journal(Keeper),
}

/// A journal that is made for the first lock.
pub(super) struct Unmade {
    folder: PathBuf,
    durability: Durability,
    /// When making it has failed last, in microseconds, and why.
    failure: Option<(u64, String)>,
}

/// A journal and what is known of it.
pub(super) struct Keeper {
    journal: Arc<Journal>,
    durability: Durability,
    /// The end of the last record of this table.
    last: Position,
    /// Ends of ranges of fences, each with the position from which on its fences may be given out.
    ranges: VecDeque<(u64, Position)>,
    /// Fences up to this may be given out.
    confirmed: u64,
    /// The last fence after the last operation.
    last_fence: u64,
    /// A snapshot that was begun and is to be given the table in steps.
    begun: Option<Snapshot>,
    /// The operation that runs was refused because the disk takes nothing now.
    has_refused: bool,
}

fn options() -> Options {
    Options::new("locks")
}

impl Keeping {
    /// Keeps what `folder` has of earlier servers; without such a folder nothing is made before there is a lock.  Where
    /// leases are not kept, those of an earlier server are forgotten for good: somebody else may have held the resource
    /// by the time that they are kept again.
    pub(super) fn open(
        folder: &Path,
        durability: Durability,
        now: Now,
        core: &mut Core,
        events: &mut Events,
    ) -> Result<Keeping, OpenError> {
        match (durability, folder.exists()) {
            (Durability::None, false) => {
                core.skip_fences_to(fences::of_clock(now));
                Ok(Keeping::Nowhere)
            }
            (Durability::None, true) => {
                Keeper::open(folder, durability, now, core, events)?.journal.close();
                Ok(Keeping::Nowhere)
            }
            (Durability::Fence | Durability::Full, false) => {
                Ok(Keeping::Later(Unmade { folder: folder.to_owned(), durability, failure: None }))
            }
            (Durability::Fence | Durability::Full, true) => {
                Keeper::open(folder, durability, now, core, events).map(Keeping::Journal)
            }
        }
    }

    /// What is kept.
    pub(super) fn durability(&self) -> Durability {
        match self {
            Keeping::Nowhere => Durability::None,
            Keeping::Later(unmade) => unmade.durability,
            Keeping::Journal(keeper) => keeper.durability,
        }
    }

    /// The journal, if there is one.
    pub(super) fn journal(&self) -> Option<&Arc<Journal>> {
        match self {
            Keeping::Nowhere | Keeping::Later(..) => None,
            Keeping::Journal(keeper) => Some(&keeper.journal),
        }
    }

    /// Why there is no journal although there should be one.
    pub(super) fn failure(&self) -> Option<&str> {
        match self {
            Keeping::Later(Unmade { failure: Some((_, reason)), .. }) => Some(reason),
            _ => None,
        }
    }

    /// Whether something may be promised.  The first promise makes the folder.  If that fails it is not tried again at
    /// once: others wait while it is tried.
    pub(super) fn admit(&mut self, now: Now, core: &mut Core, events: &mut Events) -> Result<(), Refused> {
        match self {
            Keeping::Nowhere => Ok(()),
            Keeping::Journal(keeper) => keeper.journal.admit().map_err(|reason| {
                keeper.has_refused = true;
                match reason {
                    NotAdmitted::Behind => Refused::DiskBehind,
                    NotAdmitted::Stalled => Refused::DiskStalled,
                    NotAdmitted::Failed => Refused::DiskFailed,
                }
            }),
            Keeping::Later(Unmade { folder, durability, failure }) => {
                if let Some((tried_at, reason)) = failure
                    && now.micros() < *tried_at + RETRY_MICROS
                {
                    return Err(Refused::NoFolder(reason.clone()));
                }
                match Keeper::open(folder, *durability, now, core, events) {
                    Ok(keeper) => *self = Keeping::Journal(keeper),
                    Err(error) => {
                        let (_, reason) = failure.insert((now.micros(), error.to_string()));
                        return Err(Refused::NoFolder(reason.clone()));
                    }
                }
                Ok(())
            }
        }
    }

    /// A snapshot that was begun with the last operation, to be given the table in steps.
    pub(super) fn take_begun_snapshot(&mut self) -> Option<Snapshot> {
        match self {
            Keeping::Nowhere | Keeping::Later(..) => None,
            Keeping::Journal(keeper) => keeper.begun.take(),
        }
    }

    /// Writes down that such a snapshot has seen what was done until now and nothing that comes later; where that has to be
    /// on the disk before the snapshot counts.
    pub(super) fn end_snapshot(&mut self) -> Option<Position> {
        let Keeping::Journal(keeper) = self else { return None };
        Core::end_snapshot(|record| keeper.last = keeper.journal.append(record));
        Some(keeper.last)
    }

    /// Appends the records of an operation; what a reply that depends on it has to wait for.
    pub(super) fn keep(&mut self, core: &Core, events: &mut Events) -> Option<Barrier> {
        let Keeping::Journal(keeper) = self else {
            debug_assert!(!events.has_records(), "what is written down was admitted");
            return None;
        };
        keeper.keep(core, events)
    }
}

impl Keeper {
    fn open(
        folder: &Path,
        durability: Durability,
        now: Now,
        core: &mut Core,
        events: &mut Events,
    ) -> Result<Keeper, OpenError> {
        let (journal, recovered) = Journal::open(folder, options(), &mut |record| replay(core, record, now))?;
        let mut keeper = Keeper::new(journal, durability);
        keeper.take_over(core, now, events);
        // What is left of long ago goes, and with it what a change of the durability has made void.
        if recovered.records > 0
            && let Some(snapshot) = keeper.begin_snapshot(core)
            && let Err(error) = snapshot.finish()
            && durability != Durability::Full
        {
            // Otherwise that is in the log, and does no harm but the space.
            return Err(OpenError::Io {
                what: format!("end the leases kept in {}", folder.display()),
                error,
            });
        }
        Ok(keeper)
    }

    /// The same on a disk, with a writer that is moved by hand.
    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        durability: Durability,
        now: Now,
        core: &mut Core,
        events: &mut Events,
    ) -> Result<(Keeper, Writer), OpenError> {
        let (journal, writer, _) =
            Journal::open_on(disk, options(), &mut |record| replay(core, record, now))?;
        let mut keeper = Keeper::new(journal, durability);
        keeper.take_over(core, now, events);
        Ok((keeper, writer))
    }

    fn new(journal: Arc<Journal>, durability: Durability) -> Keeper {
        Keeper {
            journal,
            durability,
            last: Position(0),
            ranges: VecDeque::new(),
            confirmed: 0,
            last_fence: 0,
            begun: None,
            has_refused: false,
        }
    }

    /// After the last record was replayed: ends what ended with the server before.
    fn take_over(&mut self, core: &mut Core, now: Now, events: &mut Events) {
        if self.durability != Durability::Full {
            let last = core.model.fence_bound();
            let memory_limit = core.model.memory_limit;
            *core = Core::default();
            core.limit_memory(memory_limit);
            core.skip_fences_to(last);
        }
        core.skip_fences_to(fences::of_clock(now));
        if self.durability == Durability::Fence {
            core.reserve_fences();
        }
        events.keeps = self.durability;
        core.recovered(now.micros(), events);
        self.keep(core, events);
    }

    fn keep(&mut self, core: &Core, events: &mut Events) -> Option<Barrier> {
        let has_records = events.has_records();
        if has_records {
            // Together, so that a crash leaves no part of what was done at once.
            self.last = self.journal.append_all(events.records());
            events.clear_records();
            if self.durability == Durability::Fence {
                self.ranges.push_back((core.model.fence_bound(), self.last));
            } else if self.journal.is_snapshot_due() {
                self.begun = self.journal.begin_snapshot();
            }
        }
        if std::mem::take(&mut self.has_refused) {
            // That the disk takes nothing now depends on nothing that is to be on the disk, and would wait for it.
            return None;
        }
        // A grant whose fence was reserved before has no record.
        let has_granted =
            std::mem::replace(&mut self.last_fence, core.model.last_fence()) != core.model.last_fence();
        if !self.journal.can_write() && !has_records && !has_granted {
            // What is refused for that reason, or changes nothing, is said all the same.
            return None;
        }
        let position = match self.durability {
            Durability::None => return None,
            Durability::Fence => self.range_of(core.model.last_fence())?,
            // Whatever is said depends on what was done before, so that has to be on the disk too.
            Durability::Full => self.last,
        };
        (position > self.journal.synced())
            .then(|| Barrier { journal: Arc::clone(&self.journal) as Arc<dyn Durable>, position })
    }

    /// The position from which on a fence may be given out; none if it may be already.
    fn range_of(&mut self, fence: u64) -> Option<Position> {
        if fence <= self.confirmed {
            return None;
        }
        let synced = self.journal.synced();
        while let Some(&(upto, position)) = self.ranges.front()
            && position <= synced
        {
            self.confirmed = upto;
            self.ranges.pop_front();
        }
        let range = self.ranges.iter().find(|(upto, _)| fence <= *upto);
        range.map(|(_, position)| *position).filter(|_| fence > self.confirmed)
    }

    /// A snapshot of the table as it is, before anybody else uses it.
    fn begin_snapshot(&self, core: &Core) -> Option<Snapshot> {
        let mut snapshot = self.journal.begin_snapshot()?;
        core.snapshot(self.durability == Durability::Full, |record| snapshot.append(record));
        Some(snapshot)
    }
}

fn replay(core: &mut Core, record: &[u8], now: Now) -> Result<(), String> {
    let unfit = |_| "a record does not fit those before it".to_owned();
    core.replay(record, now.micros()).map_err(unfit)
}
