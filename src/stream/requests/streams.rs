//! Requests about streams.

use std::sync::Arc;

use super::Serving;
use crate::delivery::Effects;
use crate::stream::api::bodies::ListBody;
use crate::stream::api::error::{self, ApiError};
use crate::stream::api::reply::{
    Done, LIST_MAX, NAMES_MAX, Page, StreamCreated, StreamDescribed, StreamList, StreamNames,
};
use crate::stream::definition::{StreamDefinition, collides};
use crate::stream::describe::{Details, StreamDescription};
use crate::stream::shared::Stream;
use crate::stream::streams::Created;

impl Serving<'_> {
    pub(super) fn create_stream(&mut self, definition: StreamDefinition, pedantic: bool) {
        let asker = self.asker.clone();
        let created: Created = Box::new(move |created, effects| match created {
            Ok(stream) => {
                let description = stream.describe(Details::default(), stream.hub.clock.now());
                asker.answer(&StreamCreated { info: description.info(), did_create: true }, effects);
            }
            Err(error) => asker.refuse(error, effects),
        });
        self.streams.create(definition, pedantic, self.now, created, self.effects);
    }

    pub(super) fn update_stream(&mut self, definition: StreamDefinition, pedantic: bool) {
        // A definition that no stream can have is refused even if the stream does not exist.  Replicas, which one server does not have, are
        // refused only if the stream exists.
        match definition.clone().checked(pedantic) {
            Err(error) if error.err_code != error::REPLICAS_NOT_SUPPORTED.number => {
                return self.refuse(error);
            }
            _ => {}
        }
        let Some(stream) = self.stream(&definition.name) else { return };
        let asker = self.asker.clone();
        let updated: Created = Box::new(move |updated, effects| match updated {
            Ok(stream) => {
                let description = stream.describe(Details::default(), stream.hub.clock.now());
                asker.answer(&description.info(), effects);
            }
            Err(error) => asker.refuse(error, effects),
        });
        self.streams.update(&stream, definition, pedantic, updated, self.effects);
    }

    pub(super) fn stream_info(&mut self, name: &str, deleted: bool, subjects: Option<&(String, usize)>) {
        let Some(stream) = self.stream(name) else { return };
        let subjects = subjects.map(|(pattern, offset)| (&**pattern, *offset));
        let description = stream.describe(Details { deleted, subjects }, self.now);
        let described = StreamDescribed { page: description.page, info: description.info() };
        self.asker.answer(&described, self.effects);
    }

    pub(super) fn stream_names(&mut self, list: &ListBody) {
        let streams = self.listed(list);
        let (page, range) = Page::of(streams.len(), list.offset, NAMES_MAX);
        let streams = streams[range].iter().map(|stream| &**stream.name()).collect();
        self.asker.answer(&StreamNames { page, streams }, self.effects);
    }

    pub(super) fn stream_list(&mut self, list: &ListBody) {
        let streams = self.listed(list);
        let (page, range) = Page::of(streams.len(), list.offset, LIST_MAX);
        let now = self.now;
        let described: Vec<_> =
            streams[range].iter().map(|stream| stream.describe(Details::default(), now)).collect();
        let streams = described.iter().map(StreamDescription::info).collect();
        self.asker.answer(&StreamList { page, streams }, self.effects);
    }

    /// The streams that are asked for, in the order of their names.
    fn listed(&self, list: &ListBody) -> Vec<Arc<Stream>> {
        let mut streams = self.streams.all();
        if let Some(subject) = &list.subject {
            let takes = |stream: &Arc<Stream>| {
                let state = stream.state.lock();
                collides(&state.data.definition().subjects, std::slice::from_ref(subject))
            };
            streams.retain(takes);
        }
        streams
    }

    pub(super) fn delete_stream(&mut self, name: &str) {
        let Some(stream) = self.stream(name) else { return };
        let asker = self.asker.clone();
        let deleted = move |deleted: Result<(), ApiError>, effects: &mut Effects| match deleted {
            Ok(()) => asker.answer(&Done { success: true }, effects),
            Err(error) => asker.refuse(error, effects),
        };
        self.streams.delete(&stream, Box::new(deleted), self.effects);
    }
}
