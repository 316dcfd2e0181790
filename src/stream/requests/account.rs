//! How much there is of everything.

use std::sync::atomic::Ordering::Relaxed;

use super::Serving;
use crate::stream::api::reply::{AccountInfo, ApiStatistics};
use crate::stream::definition::Storage;
use crate::stream::streams::Streams;

impl Serving<'_> {
    pub(super) fn account_info(&mut self) {
        let info = self.streams.account_info();
        self.asker.answer(&info, self.effects);
    }
}

impl Streams {
    /// How much there is of everything.
    pub fn account_info(&self) -> AccountInfo {
        let hub = self.hub();
        let mut info = AccountInfo {
            api: ApiStatistics {
                total: hub.requests.load(Relaxed),
                errors: hub.refusals.load(Relaxed),
                ..ApiStatistics::default()
            },
            ..AccountInfo::default()
        };
        for stream in self.all() {
            let state = stream.state.lock();
            let definition = state.data.definition();
            let (used, reserved) = match definition.storage {
                Storage::File => (&mut info.storage, &mut info.reserved_storage),
                Storage::Memory => (&mut info.memory, &mut info.reserved_memory),
            };
            *used += state.data.index().bytes();
            *reserved += u64::try_from(definition.max_bytes).unwrap_or(0);
            info.streams += 1;
            info.consumers += state.consumers.len();
        }
        info
    }
}
