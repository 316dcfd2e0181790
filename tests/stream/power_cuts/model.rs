//! What a stream should be: a plain model, in which every change takes effect at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quartet::random::Random;
use quartet::stream::segment::message_size;
use serde_json::{Value, json};

/// The last tokens of subjects.
const SUBJECTS: [&str; 3] = ["a", "b", "c"];

/// What a full stream removes or refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::stream) enum Kind {
    /// Old messages.
    Limits,
    /// New messages.
    Refusing,
    /// Messages that were acknowledged.
    WorkQueue,
}

/// A definition, as far as it differs between the streams of the test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::stream) struct Definition {
    pub(in crate::stream) kind: Kind,
    pub(in crate::stream) max_messages: Option<u64>,
    pub(in crate::stream) max_bytes: Option<u64>,
    pub(in crate::stream) per_subject: Option<u64>,
}

impl Definition {
    pub(in crate::stream) fn random(random: &mut Random) -> Definition {
        let kind = [Kind::Limits, Kind::Limits, Kind::Refusing, Kind::WorkQueue][random.below(4)];
        Definition { kind, max_messages: None, max_bytes: None, per_subject: None }.with_limits(random)
    }

    /// The same with other limits.
    pub(in crate::stream) fn with_limits(&self, random: &mut Random) -> Definition {
        let mut limit = |from: u64, count: usize| {
            let limit = from + random.below(count) as u64;
            (random.below(2) == 0).then_some(limit)
        };
        match self.kind {
            Kind::Limits => Definition {
                kind: self.kind,
                max_messages: limit(4, 12),
                max_bytes: limit(300, 500),
                per_subject: limit(1, 4),
            },
            Kind::Refusing => Definition { max_messages: limit(4, 12), ..self.clone() },
            Kind::WorkQueue => self.clone(),
        }
    }

    pub(in crate::stream) fn json(&self, name: &str) -> String {
        let limit = |limit: Option<u64>| limit.map_or(-1, |limit| limit as i64);
        let (retention, discard) = match self.kind {
            Kind::Limits => ("limits", "old"),
            Kind::Refusing => ("limits", "new"),
            Kind::WorkQueue => ("workqueue", "old"),
        };
        json!({
            "name": name, "subjects": [format!("{name}.>")], "retention": retention, "discard": discard,
            "max_msgs": limit(self.max_messages), "max_bytes": limit(self.max_bytes),
            "max_msgs_per_subject": limit(self.per_subject), "allow_direct": true,
            "allow_rollup_hdrs": true, "storage": "file",
        })
        .to_string()
    }

    /// What a stream says of itself.
    pub(in crate::stream) fn read(config: &Value) -> Definition {
        let limit = |name: &str| config[name].as_i64().and_then(|limit| u64::try_from(limit).ok());
        let kind = match (config["retention"].as_str(), config["discard"].as_str()) {
            (Some("workqueue"), _) => Kind::WorkQueue,
            (_, Some("new")) => Kind::Refusing,
            _ => Kind::Limits,
        };
        Definition {
            kind,
            max_messages: limit("max_msgs"),
            max_bytes: limit("max_bytes"),
            per_subject: limit("max_msgs_per_subject"),
        }
    }
}

/// A stored message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::stream) struct Content {
    pub(in crate::stream) subject: String,
    pub(in crate::stream) payload: String,
    size: u64,
}

/// A message that is published, with what its publisher wishes.
#[derive(Clone, Debug)]
pub(in crate::stream) struct Publication {
    pub(in crate::stream) subject: String,
    pub(in crate::stream) payload: String,
    pub(in crate::stream) id: Option<String>,
    pub(in crate::stream) expected_last: Option<u64>,
    pub(in crate::stream) expected_on_subject: Option<u64>,
    pub(in crate::stream) rollup: Option<&'static str>,
}

impl Publication {
    /// A message without wishes, whose payload no other message has.
    pub(in crate::stream) fn random(stream: &str, number: usize, random: &mut Random) -> Publication {
        let padding = "x".repeat(random.below(40));
        Publication {
            subject: format!("{stream}.{}", SUBJECTS[random.below(SUBJECTS.len())]),
            payload: format!("{number} {padding}"),
            id: None,
            expected_last: None,
            expected_on_subject: None,
            rollup: None,
        }
    }

    /// The same with wishes, which are often granted where a stream is in this state.
    pub(in crate::stream) fn wish(&mut self, state: &State, number: usize, random: &mut Random) {
        let last = state.last_on(&self.subject);
        match random.below(8) {
            0 => self.id = Some(format!("id-{}", number.saturating_sub(random.below(12)))),
            1 => self.id = state.ids.keys().nth(random.below(state.ids.len() + 1)).cloned(),
            2 => self.expected_last = Some(state.last.saturating_sub(random.below(2) as u64)),
            3 => self.expected_on_subject = Some(last.saturating_sub(random.below(2) as u64)),
            4 if state.definition.kind == Kind::Limits => {
                self.rollup = Some(["sub", "all"][usize::from(random.below(4) == 0)]);
            }
            _ => {}
        }
    }

    pub(in crate::stream) fn headers(&self) -> String {
        let numbers = [
            ("Nats-Expected-Last-Sequence", self.expected_last),
            ("Nats-Expected-Last-Subject-Sequence", self.expected_on_subject),
        ];
        let numbers = numbers.iter().filter_map(|(name, number)| Some((*name, (*number)?.to_string())));
        let id = self.id.iter().map(|id| ("Nats-Msg-Id", id.clone()));
        let rollup = self.rollup.iter().map(|rollup| ("Nats-Rollup", (*rollup).to_owned()));
        let lines: String =
            numbers.chain(id).chain(rollup).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        if lines.is_empty() { lines } else { format!("NATS/1.0\r\n{lines}\r\n") }
    }
}

/// The expected answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::stream) enum Outcome {
    /// Nothing.
    Silence,
    Stored(u64),
    Duplicate(u64),
    /// An error with this number, which names this sequence.
    Refused(u64, Option<u64>),
    /// That it is done.
    Done,
    /// That it cannot be done.
    Failed,
}

/// A change that is no message.
#[derive(Clone, Debug)]
pub(in crate::stream) enum Change {
    Create(Definition),
    Update(Definition),
    Delete,
    /// All messages, and the next one has this sequence at least.
    Clear(u64),
    /// The messages on a subject, but for the last so many.
    PurgeSubject(String, u64),
    /// The messages before a sequence.
    PurgeBefore(u64),
    /// Messages that were chosen before.
    Remove(BTreeSet<u64>),
    DeleteMessage(u64),
    CreateConsumer(String),
    DeleteConsumer(String),
}

/// A stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::stream) struct State {
    pub(in crate::stream) definition: Definition,
    pub(in crate::stream) last: u64,
    pub(in crate::stream) messages: BTreeMap<u64, Arc<Content>>,
    ids: BTreeMap<String, u64>,
    pub(in crate::stream) consumers: BTreeSet<String>,
}

impl State {
    fn new(definition: Definition) -> State {
        State {
            definition,
            last: 0,
            messages: BTreeMap::new(),
            ids: BTreeMap::new(),
            consumers: BTreeSet::new(),
        }
    }

    fn last_on(&self, subject: &str) -> u64 {
        let mut messages = self.messages.iter().rev();
        messages.find(|(_, content)| content.subject == subject).map_or(0, |(sequence, _)| *sequence)
    }

    /// The messages on a subject, but for the last `kept`.
    fn oldest_on(&self, subject: &str, kept: u64) -> Vec<u64> {
        let on = self.messages.iter().filter(|(_, content)| content.subject == subject);
        let mut on: Vec<u64> = on.map(|(sequence, _)| *sequence).collect();
        on.truncate(on.len().saturating_sub(kept as usize));
        on
    }

    fn remove_by_request(&mut self, sequence: u64) {
        self.messages.remove(&sequence);
        self.ids.retain(|_, of| *of != sequence);
    }

    fn trim(&mut self) {
        let subjects: BTreeSet<String> =
            self.messages.values().map(|content| content.subject.clone()).collect();
        for subject in &subjects {
            for sequence in self.oldest_on(subject, self.definition.per_subject.unwrap_or(u64::MAX)) {
                self.messages.remove(&sequence);
            }
        }
        let limits = (self.definition.max_messages, self.definition.max_bytes);
        let (most, bytes_most) = (limits.0.unwrap_or(u64::MAX), limits.1.unwrap_or(u64::MAX));
        while self.messages.len() as u64 > most
            || self.messages.values().map(|content| content.size).sum::<u64>() > bytes_most
        {
            self.messages.pop_first();
        }
    }

    /// A message is published.
    pub(in crate::stream) fn publish(&mut self, message: &Publication) -> Outcome {
        let expected = [
            (message.expected_on_subject, self.last_on(&message.subject)),
            (message.expected_last, self.last),
        ];
        for (expected, last) in expected {
            if expected.is_some_and(|expected| expected != last) {
                return Outcome::Refused(10071, Some(last));
            }
        }
        if let Some(sequence) = message.id.as_ref().and_then(|id| self.ids.get(id)) {
            return Outcome::Duplicate(*sequence);
        }
        let Definition { kind, max_messages, .. } = self.definition;
        if kind == Kind::Refusing && self.messages.len() as u64 >= max_messages.unwrap_or(u64::MAX) {
            return Outcome::Refused(10077, None);
        }
        self.last += 1;
        match message.rollup {
            Some("all") => self.messages.clear(),
            Some(_) => self.messages.retain(|_, content| content.subject != message.subject),
            None => {}
        }
        let lengths = [message.subject.len(), message.headers().len(), message.payload.len()];
        let size = message_size(lengths[0], lengths[1], lengths[2]);
        let content = Content { subject: message.subject.clone(), payload: message.payload.clone(), size };
        self.messages.insert(self.last, Arc::new(content));
        if let Some(id) = &message.id {
            self.ids.insert(id.clone(), self.last);
        }
        self.trim();
        Outcome::Stored(self.last)
    }

    /// Which messages a partial purge takes when it is decided.
    fn taken_by(&self, change: &Change) -> Option<BTreeSet<u64>> {
        match change {
            Change::PurgeSubject(subject, kept) => Some(self.oldest_on(subject, *kept).into_iter().collect()),
            Change::PurgeBefore(before) => Some(self.messages.range(..before).map(|(at, _)| *at).collect()),
            Change::DeleteMessage(at) => self.messages.contains_key(at).then(|| [*at].into()),
            _ => None,
        }
    }
}

/// What a change that is decided where a stream is in this state comes to.
pub(in crate::stream) fn decided(stream: Option<&State>, change: &Change) -> Change {
    let Some(state) = stream else { return change.clone() };
    state.taken_by(change).map_or_else(|| change.clone(), Change::Remove)
}

/// A change takes effect on a stream, which may not be there.
pub(in crate::stream) fn apply(stream: &mut Option<State>, change: &Change) -> Outcome {
    let Some(state) = stream else {
        let Change::Create(definition) = change else { return Outcome::Failed };
        *stream = Some(State::new(definition.clone()));
        return Outcome::Done;
    };
    match change {
        Change::Create(definition) if *definition == state.definition => {}
        Change::Create(_) => return Outcome::Failed,
        Change::Update(definition) => {
            state.definition = definition.clone();
            state.trim();
        }
        Change::Delete => *stream = None,
        Change::Clear(next) => {
            let next = (*next).max(state.last + 1);
            if !state.messages.is_empty() || next > state.last + 1 {
                state.messages.clear();
                state.ids.clear();
                state.last = next - 1;
            }
        }
        Change::PurgeSubject(..) | Change::PurgeBefore(_) => {
            let Change::Remove(taken) = decided(Some(state), change) else { return Outcome::Failed };
            taken.into_iter().for_each(|sequence| state.remove_by_request(sequence));
        }
        Change::Remove(taken) => taken.iter().for_each(|sequence| state.remove_by_request(*sequence)),
        Change::DeleteMessage(sequence) => {
            if !state.messages.contains_key(sequence) {
                return Outcome::Failed;
            }
            state.remove_by_request(*sequence);
        }
        Change::CreateConsumer(name) => drop(state.consumers.insert(name.clone())),
        Change::DeleteConsumer(name) => {
            if !state.consumers.remove(name) {
                return Outcome::Failed;
            }
        }
    }
    Outcome::Done
}
