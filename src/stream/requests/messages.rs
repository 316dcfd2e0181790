//! Requests about messages that are answered by JSON.

use super::Serving;
use crate::stream::api::bodies::Purge;
use crate::stream::api::error;
use crate::stream::api::get::MessageGet;
use crate::stream::api::reply::{Done, MessageBody, MessageGot, Purged};
use crate::stream::json::Time;
use crate::stream::removing::Removed;

impl Serving<'_> {
    pub(super) fn purge(&mut self, stream: &str, purge: Purge) {
        let Some(stream) = self.stream(stream) else { return };
        let asker = self.asker.clone();
        let removed: Removed = Box::new(move |_, removed, effects| match removed {
            Ok(purged) => asker.answer(&Purged { success: true, purged }, effects),
            Err(error) => asker.refuse(error, effects),
        });
        stream.purge(purge, removed, self.effects);
    }

    pub(super) fn delete_message(&mut self, stream: &str, sequence: u64) {
        let Some(stream) = self.stream(stream) else { return };
        let asker = self.asker.clone();
        let removed: Removed = Box::new(move |_, removed, effects| match removed {
            Ok(_) => asker.answer(&Done { success: true }, effects),
            Err(error) => asker.refuse(error, effects),
        });
        stream.delete_message(sequence, removed, self.effects);
    }

    pub(super) fn get_message(&mut self, stream: &str, wanted: &MessageGet, no_headers: bool) {
        let Some(stream) = self.stream(stream) else { return };
        let got = stream.get(wanted, |message| {
            let body = MessageBody {
                subject: &String::from_utf8_lossy(message.subject),
                seq: message.sequence,
                hdrs: if no_headers { b"" } else { message.headers },
                data: message.payload,
                time: Time::from_nanoseconds(message.time),
            };
            self.asker.answer(&MessageGot { message: body }, self.effects);
        });
        match got {
            Ok(Some(())) => {}
            Ok(None) => self.refuse(error::NO_MESSAGE_FOUND),
            Err(error) => self.refuse(error::STREAM_GENERAL.with(error)),
        }
    }
}
