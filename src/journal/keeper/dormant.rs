//! The records of a service that is not kept now: they stay as they are until it is kept again.

use super::{Interrupted, Persistent, Rest};
use crate::clock::Now;
use crate::journal::{Snapshot, Tag};
use crate::wait::Position;

/// Stands in for a service that is not kept for now.
pub struct Dormant {
    tag: Tag,
    former_folder: Option<&'static str>,
    records: Vec<Box<[u8]>>,
}

impl Dormant {
    /// In place of the service with this tag; see [`Persistent::former_folder`].
    pub fn new(tag: Tag, former_folder: Option<&'static str>) -> Dormant {
        Dormant { tag, former_folder, records: Vec::new() }
    }
}

impl Persistent for Dormant {
    fn tag(&self) -> Tag {
        self.tag
    }

    fn former_folder(&self) -> Option<&'static str> {
        self.former_folder
    }

    fn replay(&mut self, record: &[u8], _position: Position, _now: Now) -> Result<(), String> {
        self.records.push(record.into());
        Ok(())
    }

    fn resume(&mut self, _now: Now) -> bool {
        false
    }

    fn attach(&mut self, _is_new: bool) {}

    fn snapshot(&mut self, snapshot: &mut Snapshot) -> Result<Option<Rest>, Interrupted> {
        self.records.iter().for_each(|record| snapshot.append(self.tag, record));
        Ok(None)
    }
}
