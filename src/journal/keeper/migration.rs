//! Taking over the data of earlier versions: each service had a journal of its own, in a folder of its own.
//!
//! The services take the records of their former folders back, then one snapshot of the new journal says all of it, and
//! then the former folders are removed.  A mark in the snapshot tells a start after a crash how far that came: as long as
//! there is no snapshot it begins anew, and from then on the rest of the former folders is superseded.

use std::path::Path;
use std::sync::Arc;

use super::{Persistent, TAG, open_folder};
use crate::clock::Now;
use crate::disk::Disk;
use crate::journal::segment::{self, FileId, UNTAGGED_VERSIONS};
use crate::journal::{Journal, OpenError, Snapshot, Tag, recovery};
use crate::wait::Position;

/// Records of the keeper: the former folders are taken over and to be removed, and they are removed.
const TAKEN_OVER: [u8; 1] = [1];
const REMOVED: [u8; 1] = [2];

/// The former folder of the service with this tag.
pub type FormerFolder = (Tag, Arc<dyn Disk>);

/// Former folders, and how far their takeover has come.
pub(super) struct Takeover {
    former: Vec<FormerFolder>,
    /// One of them has files of a journal.
    has_files: bool,
    /// An earlier start has taken them over.
    is_done: bool,
    /// This start does.
    is_read: bool,
}

/// The former folders of the services that are there, each owned from now on.
pub(super) fn former_folders(
    directory: &Path,
    services: &[Box<dyn Persistent>],
) -> Result<Vec<FormerFolder>, OpenError> {
    let named = services.iter().filter_map(|service| Some((service.tag(), service.former_folder()?)));
    let there = named
        .map(|(tag, name)| (tag, directory.join(name)))
        .filter(|(_, path)| path.symlink_metadata().is_ok());
    there.map(|(tag, path)| Ok((tag, Arc::new(open_folder(&path)?) as Arc<dyn Disk>))).collect()
}

impl Takeover {
    pub(super) fn new(former: Vec<FormerFolder>) -> Result<Takeover, OpenError> {
        let mut has_files = false;
        for (_, disk) in &former {
            let names = disk.list().map_err(|error| recovery::failed(&**disk, "read", "", error))?;
            has_files |= names.iter().any(|name| FileId::parse(name).is_some());
        }
        Ok(Takeover { former, has_files, is_done: false, is_read: false })
    }

    /// Follows one of these records.
    pub(super) fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        self.is_done = match record.try_into() {
            Ok(TAKEN_OVER) => true,
            Ok(REMOVED) => false,
            _ => return Err("it is no record of the keeper".to_owned()),
        };
        Ok(())
    }

    /// Gives the services the records of their former folders, unless the journal has them already.
    pub(super) fn read(
        &mut self,
        is_new: bool,
        services: &mut [Box<dyn Persistent>],
        place: &str,
        now: Now,
    ) -> Result<(), OpenError> {
        if !self.has_files || self.is_done {
            return Ok(());
        }
        if !is_new {
            let former = self.former.iter().map(|(_, disk)| disk.describe("")).collect();
            return Err(OpenError::TwoJournals { former, folder: place.to_owned() });
        }
        for (tag, disk) in &self.former {
            let Some(service) = services.iter_mut().find(|service| service.tag() == *tag) else { continue };
            let mut replay = |record: &[u8], _| service.replay(record, Position::default(), now);
            let recovered = recovery::recover(&**disk, UNTAGGED_VERSIONS, &mut replay)?;
            recovered.warn_of_torn_end(&disk.describe(""));
            tracing::info!(
                folder = disk.describe(""),
                records = recovered.records,
                "takes over a former directory"
            );
        }
        self.is_read = true;
        Ok(())
    }

    /// True if this start has read former folders, which are worth nothing if they cannot be replaced.
    pub(super) fn is_read(&self) -> bool {
        self.is_read
    }

    /// Has a snapshot say that it replaces the former folders.
    pub(super) fn mark(&self, snapshot: &mut Snapshot) {
        if self.is_read || self.is_done {
            snapshot.append(TAG, &TAKEN_OVER);
        }
    }

    /// Removes the former folders once the journal has their records.
    pub(super) fn finish(&self, journal: &Journal) -> Result<(), OpenError> {
        for (_, disk) in &self.former {
            remove(&**disk)?;
        }
        if self.is_read || self.is_done {
            journal.append(TAG, &REMOVED);
        }
        Ok(())
    }
}

fn remove(disk: &dyn Disk) -> Result<(), OpenError> {
    let failed = |name: &str, error| recovery::failed(disk, "remove", name, error);
    for name in disk.list().map_err(|error| failed("", error))? {
        if FileId::parse(&name).is_some() || segment::is_draft(&name) {
            disk.remove(&name).map_err(|error| failed(&name, error))?;
        }
    }
    disk.remove_folder().map_err(|error| failed("", error))
}
