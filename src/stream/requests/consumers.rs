//! Requests about consumers, and to them.

use std::sync::Arc;
use std::time::Duration;

use super::Serving;
use super::answer::Asker;
use crate::delivery::Effects;
use crate::stream::Stream;
use crate::stream::api::Refusal;
use crate::stream::api::bodies::Action;
use crate::stream::api::error;
use crate::stream::api::pull::Pull;
use crate::stream::api::reply::{ConsumerList, ConsumerNames, Done, LIST_MAX, NAMES_MAX, Paused, Unpinned};
use crate::stream::consumer::effect::Target;
use crate::stream::consumer::pin::PinId;
use crate::stream::consumer::request::PullRequest;
use crate::stream::consuming::{ConsumerCreated, ConsumerDeleted};
use crate::stream::definition::ConsumerDefinition;
use crate::stream::describe::{ConsumerDescribed, ConsumerDescription};
use crate::stream::json::{Nanoseconds, Time};

impl Serving<'_> {
    pub(super) fn create_consumer(
        &mut self,
        stream: &str,
        definition: ConsumerDefinition,
        action: Action,
        pedantic: bool,
    ) {
        let Some(stream) = self.stream(stream) else { return };
        let asker = self.asker.clone();
        let created: ConsumerCreated = Box::new(move |stream, created, effects| match created {
            Ok(name) => describe(stream, &name, asker, effects),
            Err(error) => asker.refuse(error, effects),
        });
        stream.define_consumer(definition, action, pedantic, created, self.effects);
    }

    pub(super) fn consumer_info(&mut self, stream: &str, consumer: &str) {
        let Some(stream) = self.stream(stream) else { return };
        describe(&stream, consumer, self.asker.clone(), self.effects);
    }

    pub(super) fn consumer_names(&mut self, stream: &str, offset: usize) {
        let Some(stream) = self.stream(stream) else { return };
        let (page, names) = stream.consumer_names(offset, NAMES_MAX);
        let consumers = names.iter().map(|name| &**name).collect();
        self.asker.answer(&ConsumerNames { page, consumers }, self.effects);
    }

    pub(super) fn consumer_list(&mut self, stream: &str, offset: usize) {
        let Some(stream) = self.stream(stream) else { return };
        let (page, described) = stream.describe_consumers(offset, LIST_MAX, self.now);
        let consumers = described.iter().map(ConsumerDescription::info).collect();
        self.asker.answer(&ConsumerList { page, consumers }, self.effects);
    }

    pub(super) fn delete_consumer(&mut self, stream: &str, consumer: &str) {
        let Some(stream) = self.stream(stream) else { return };
        let id = stream.state.lock().consumers.named(consumer).map(|slot| slot.id);
        let Some(id) = id else { return self.refuse(error::CONSUMER_NOT_FOUND) };
        let asker = self.asker.clone();
        let deleted: ConsumerDeleted = Box::new(move |_, deleted, effects| match deleted {
            Ok(()) => asker.answer(&Done { success: true }, effects),
            Err(error) => asker.refuse(error, effects),
        });
        stream.delete_consumer(id, Some(deleted), self.effects);
    }

    pub(super) fn pause_consumer(&mut self, stream: &str, consumer: &str, until: Option<Time>) {
        let Some(stream) = self.stream(stream) else { return };
        let (asker, name) = (self.asker.clone(), consumer.to_owned());
        let paused: ConsumerCreated = Box::new(move |stream, paused, effects| {
            if let Err(error) = paused {
                return asker.refuse(error, effects);
            }
            let described = stream.describe_consumer(&name, stream.hub.clock.now());
            let pause_remaining =
                described.map_or(Nanoseconds::ZERO, |described| described.pause_remaining());
            let pause_until = until.map_or(Time::ZERO, Time::utc);
            let paused = pause_remaining > Nanoseconds::ZERO;
            asker.answer(&Paused { paused, pause_until, pause_remaining }, effects);
        });
        stream.pause_consumer(consumer, until, paused, self.effects);
    }

    pub(super) fn unpin(&mut self, stream: &str, consumer: &str, group: &str) {
        let Some(stream) = self.stream(stream) else { return };
        let has_group = {
            let state = stream.state.lock();
            let slot = state.consumers.named(consumer);
            slot.map(|slot| slot.definition.priority_groups.iter().any(|known| known == group))
        };
        match has_group {
            None => return self.refuse(error::CONSUMER_NOT_FOUND),
            Some(false) => return self.refuse(error::CONSUMER_INVALID_PRIORITY_GROUP),
            Some(true) => {}
        }
        let unpinned = stream.tell_consumer(consumer, self.effects, |slot, turn| slot.consumer.unpin(turn));
        match unpinned {
            Some(_) => self.asker.answer(&Unpinned {}, self.effects),
            None => self.refuse(error::CONSUMER_NOT_FOUND),
        }
    }

    pub(super) fn pull(&mut self, stream: &str, consumer: &str, pull: Pull) {
        let request = pull_request(pull, Arc::clone(self.asker.reply()));
        let does_wait = !request.no_wait;
        let stream = self.streams.find(stream);
        let is_heard = stream.as_ref().is_some_and(|stream| match request.target.is_empty() {
            true => stream.has_consumer(consumer),
            false => stream.request(consumer, request, self.effects),
        });
        if let Some(stream) = stream.filter(|_| is_heard && !does_wait) {
            // It gets what is there now, and nothing that its client publishes behind it.
            stream.run_queued(self.effects);
        }
        if !is_heard {
            self.refuse(Refusal::NoResponders);
        }
    }
}

/// What a pull asks a consumer for, and where.
pub(super) fn pull_request(pull: Pull, target: Target) -> PullRequest {
    let some = |span: Nanoseconds| {
        (span > Nanoseconds::ZERO).then(|| span.duration()).filter(|span| *span > Duration::ZERO)
    };
    PullRequest {
        target,
        batch: u32::try_from(pull.batch).unwrap_or(u32::MAX),
        expires: some(pull.expires).or((pull.expires < Nanoseconds::ZERO).then_some(Duration::ZERO)),
        no_wait: pull.no_wait,
        max_bytes: pull.max_bytes,
        idle_heartbeat: some(pull.idle_heartbeat),
        group: (!pull.group.is_empty()).then(|| pull.group.into_bytes().into()),
        min_pending: pull.min_pending,
        min_ack_pending: pull.min_ack_pending,
        pin: (!pull.pin.is_empty()).then(|| PinId::read(pull.pin.as_bytes())),
    }
}

/// Answers with a consumer.
fn describe(stream: &Stream, consumer: &str, asker: Asker, effects: &mut Effects) {
    let described: ConsumerDescribed = Box::new(move |described, effects| match described {
        Some(description) => asker.answer(&description.info(), effects),
        None => asker.refuse(error::CONSUMER_NOT_FOUND.error(), effects),
    });
    stream.once_described(consumer, described, effects);
}
