//! Streams and consumers without messages: what requests do to definitions.

use std::collections::BTreeMap;

use quartet::stream::api::bodies::Action;
use quartet::stream::api::error::{self, ApiError};
use quartet::stream::api::{Refusal, Request, reply};
use quartet::stream::definition::{ConsumerDefinition, DeliverInterest, StreamDefinition};
use serde_json::{Value, json};

#[derive(Default)]
pub(super) struct Streams {
    streams: BTreeMap<String, Stream>,
    named: usize,
}

struct Stream {
    definition: StreamDefinition,
    consumers: BTreeMap<String, ConsumerDefinition>,
}

impl Streams {
    /// The answer to a request, of which only error and definition are right.
    pub(super) fn ask(&mut self, subject: &str, body: &str) -> Value {
        let asked = Request::parse(format!("$JS.API.{subject}").as_bytes(), None, body.as_bytes());
        let refused = |error: &ApiError| {
            serde_json::from_slice(&reply::refusal(asked.row, error)).expect("refusals are JSON")
        };
        match asked.request {
            Err(Refusal::Error(error)) => refused(&error),
            Err(other) => panic!("{subject}: no JSON: {other:?}"),
            Ok(request) => self.carry_out(request).unwrap_or_else(|error| refused(&error)),
        }
    }

    fn stream(&mut self, name: &str) -> Result<&mut Stream, ApiError> {
        self.streams.get_mut(name).ok_or_else(|| error::STREAM_NOT_FOUND.error())
    }

    fn carry_out(&mut self, request: Request) -> Result<Value, ApiError> {
        let config = match request {
            Request::StreamCreate { definition, pedantic } => json!(self.create(*definition, pedantic)?),
            Request::StreamUpdate { definition, pedantic } => json!(self.update(*definition, pedantic)?),
            Request::ConsumerCreate { stream, definition, action, pedantic } => {
                json!(self.create_consumer(&stream, *definition, action, pedantic)?)
            }
            Request::StreamDelete { stream } => {
                self.streams.remove(&stream).ok_or_else(|| error::STREAM_NOT_FOUND.error())?;
                Value::Null
            }
            Request::StreamInfo { stream, .. } => json!(self.stream(&stream)?.definition),
            Request::StreamPurge { stream, .. }
            | Request::ConsumerNames { stream, .. }
            | Request::ConsumerList { stream, .. } => {
                self.stream(&stream)?;
                Value::Null
            }
            Request::MessageGet { stream, .. } => {
                self.stream(&stream)?;
                return Err(error::NO_MESSAGE_FOUND.error());
            }
            Request::MessageDelete { stream, sequence } => {
                self.stream(&stream)?;
                let text = if sequence == 0 { "no message found" } else { "stream store EOF" };
                return Err(error::MESSAGE_DELETE_FAILED.with(text));
            }
            Request::ConsumerInfo { stream, consumer } => json!(self.consumer(&stream, &consumer)?),
            Request::ConsumerPause { stream, consumer, .. }
            | Request::ConsumerDelete { stream, consumer } => {
                self.consumer(&stream, &consumer)?;
                Value::Null
            }
            Request::AccountInfo | Request::StreamNames { .. } | Request::StreamList { .. } => Value::Null,
            other => panic!("no script asks for {other:?}"),
        };
        Ok(json!({ "config": config }))
    }

    fn consumer(&mut self, stream: &str, name: &str) -> Result<&ConsumerDefinition, ApiError> {
        self.stream(stream)?.consumers.get(name).ok_or_else(|| error::CONSUMER_NOT_FOUND.error())
    }

    fn create(&mut self, new: StreamDefinition, pedantic: bool) -> Result<StreamDefinition, ApiError> {
        let new = new.checked_for_creation(pedantic)?;
        if let Some(old) = self.streams.get(&new.name) {
            let is_same = old.definition.is_same_as(&new);
            return if is_same { Ok(old.definition.clone()) } else { Err(error::STREAM_NAME_IN_USE.error()) };
        }
        self.check_overlap(&new)?;
        let stream = Stream { definition: new.clone(), consumers: BTreeMap::new() };
        self.streams.insert(new.name.clone(), stream);
        Ok(new)
    }

    fn check_overlap(&self, new: &StreamDefinition) -> Result<(), ApiError> {
        let mut others = self.streams.iter().filter(|(name, _)| **name != new.name);
        match others.any(|(_, other)| other.definition.collides(new)) {
            true => Err(error::STREAM_SUBJECTS_OVERLAP.error()),
            false => Ok(()),
        }
    }

    fn update(&mut self, new: StreamDefinition, pedantic: bool) -> Result<StreamDefinition, ApiError> {
        // nats-server looks at the definition before it looks for the stream.
        new.clone().checked(pedantic)?;
        let old = self.stream(&new.name)?;
        let new = old.definition.updated(new, pedantic)?;
        let consumers = old.consumers.iter().map(|(name, consumer)| (name.as_str(), consumer));
        old.definition.check_consumers(&new, consumers)?;
        self.check_overlap(&new)?;
        self.stream(&new.name)?.definition = new.clone();
        Ok(new)
    }

    fn create_consumer(
        &mut self,
        stream: &str,
        new: ConsumerDefinition,
        action: Action,
        pedantic: bool,
    ) -> Result<ConsumerDefinition, ApiError> {
        self.named += 1;
        let made_up = format!("made-up-{}", self.named);
        let stream = self.stream(stream)?;
        let new = new.checked(&stream.definition, pedantic)?;
        let name = if new.name.is_empty() { made_up } else { new.name.clone() };
        let new = new.with_end(stream.consumers.get(&name));
        let others = stream.consumers.iter().filter(|(other, _)| **other != name).map(|(_, other)| other);
        let new = match stream.consumers.get(&name) {
            Some(old) if action == Action::Create && !old.is_same_as(&new) => {
                return Err(error::CONSUMER_ALREADY_EXISTS.error());
            }
            Some(old) => old.updated(new, DeliverInterest::Unbound, &stream.definition, others)?,
            None if action == Action::Update => return Err(error::CONSUMER_DOES_NOT_EXIST.error()),
            None => {
                new.check_beside(&stream.definition, others)?;
                new
            }
        };
        stream.consumers.insert(name, new.clone());
        Ok(new)
    }
}
