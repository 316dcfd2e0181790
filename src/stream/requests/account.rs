//! The request for the account's figures: how many streams, consumers and bytes there are.

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
    /// The figures of the account.
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
