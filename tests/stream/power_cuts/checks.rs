//! What the client reads, and checks of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::changes::ACKNOWLEDGED_WITHIN;
use super::model::{Definition, Kind};
use super::run::{Asked, Run};
use super::worlds::Seen;

/// The body of a question for everything that [`seen_in`] wants to know.
pub(in crate::stream) const INFO_BODY: &str = r#"{"deleted_details":true}"#;

/// What a stream says of itself; an error if that does not hold together.
pub(in crate::stream) fn seen_in(info: &Value) -> Result<Seen, ()> {
    if info["error"]["err_code"] == 10059 {
        return Ok(None);
    }
    let number = |of: &str| info["state"][of].as_u64().unwrap_or_default();
    let (first, last, messages) = (number("first_seq"), number("last_seq"), number("messages"));
    let deleted: BTreeSet<u64> =
        info["state"]["deleted"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let present: BTreeSet<u64> =
        (first.max(1)..=last).filter(|sequence| !deleted.contains(sequence)).collect();
    if present.len() as u64 == messages { Ok(Some((last, present))) } else { Err(()) }
}

impl Run {
    /// Looks at one stream, or at one message of it.
    pub(super) fn look(&mut self) {
        let stream = self.random.below(self.streams.len());
        let name = self.streams[stream].name;
        let (seen, _) = self.see(name);
        self.tell(format!("{name} is {seen:?}"));
        self.count("looks");
        let worlds = &mut self.streams[stream].worlds;
        let before = worlds.describe();
        let fits = worlds.see(&seen);
        self.check(fits, || format!("{name} cannot be {seen:?}:\n{before}"));
        let some = seen.and_then(|(_, at)| at.into_iter().nth(0));
        some.into_iter().for_each(|sequence| self.look_at_message(stream, sequence));
    }

    /// What a stream says of itself.
    fn see(&mut self, name: &str) -> (Seen, Value) {
        let info = self.json(&format!("STREAM.INFO.{name}"), INFO_BODY);
        let seen = seen_in(&info);
        self.check(seen.is_ok(), || format!("{name} counts wrongly: {info}"));
        (seen.unwrap_or_default(), info)
    }

    fn look_at_message(&mut self, stream: usize, sequence: u64) {
        let name = self.streams[stream].name;
        let (_, reply) = self.expect(stream, |_| Asked::Look);
        let body = json!({ "seq": sequence }).to_string();
        self.server().publish(&format!("$JS.API.DIRECT.GET.{name}"), &reply, "", &body);
        let Some(message) = self.listen_for(&reply) else {
            return self.check(false, || format!("nobody tells of {sequence} of {name}"));
        };
        let headers = String::from_utf8_lossy(&message.headers).into_owned();
        let header = |name: &str| {
            let mut lines = headers.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(found, _)| *found == name).map(|(_, value)| value).unwrap_or_default().to_owned()
        };
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        let worlds = &mut self.streams[stream].worlds;
        let before = worlds.describe();
        let fits = worlds.see_message(sequence, &header("Nats-Subject"), &payload);
        self.check(fits, || format!("{sequence} of {name} is {headers:?} {payload:?}:\n{before}"));
    }

    /// The server has started: it has what it may have.
    pub(super) fn look_at_everything(&mut self) {
        for stream in 0..self.streams.len() {
            let name = self.streams[stream].name;
            let (seen, info) = self.see(name);
            self.tell(format!("{name} is {seen:?} at the start"));
            let consumers = if seen.is_some() { self.consumers_of(name) } else { BTreeSet::new() };
            let definition = Definition::read(&info["config"]);
            let worlds = &mut self.streams[stream].worlds;
            let before = worlds.describe();
            let fits = worlds
                .start_again(&seen, |state| state.consumers == consumers && state.definition == definition);
            self.check(fits, || {
                format!(
                    "{name} cannot have come back as {seen:?} with {consumers:?}, {definition:?}:\n{before}"
                )
            });
            let Some((_, present)) = seen else {
                self.streams[stream].consumers.clear();
                continue;
            };
            self.streams[stream].consumers.retain(|name, _| consumers.contains(*name));
            present.iter().for_each(|sequence| self.look_at_message(stream, *sequence));
            consumers.iter().for_each(|consumer| self.look_at_consumer(stream, consumer, &present));
        }
    }

    fn consumers_of(&mut self, name: &str) -> BTreeSet<String> {
        let names = self.json(&format!("CONSUMER.NAMES.{name}"), "");
        let names = names["consumers"].as_array().into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// How far a consumer is fits what it was told, and what it has told.
    fn look_at_consumer(&mut self, stream: usize, consumer: &str, present: &BTreeSet<u64>) {
        let name = self.streams[stream].name;
        let info = self.json(&format!("CONSUMER.INFO.{name}.{consumer}"), "");
        let number = |of: &str| info[of]["stream_seq"].as_u64().unwrap_or_default();
        let (delivered, floor) = (number("delivered"), number("ack_floor"));
        let pending = info["num_pending"].as_u64().unwrap_or_default();
        let expected = present.range(delivered + 1..).count() as u64;
        self.check(pending == expected, || format!("{expected} are pending, not {pending}: {info}"));
        self.check(floor <= delivered, || format!("the floor is too high: {info}"));
        let state = self.streams[stream].worlds.guess();
        let last = state.as_ref().map_or(0, |state| state.last);
        self.check(delivered <= last, || format!("it has delivered what is not there: {info}"));
        let Some(of) = self.streams[stream].consumers.get(consumer) else { return };
        let (confirmed, said) = (of.confirmed.clone(), of.said.clone());
        let above = present.range(..=floor).find(|sequence| !said.contains(sequence));
        self.check(above.is_none(), || format!("nobody has acknowledged {above:?}: {info}"));
        let contiguous = present.iter().take_while(|sequence| confirmed.contains(sequence)).last();
        self.check(contiguous.is_none_or(|sequence| *sequence <= floor), || {
            format!("{contiguous:?} was acknowledged, and so were those before it: {info}")
        });
        if state.is_some_and(|state| state.definition.kind == Kind::WorkQueue) {
            let left = present.iter().find(|sequence| confirmed.contains(sequence));
            self.check(left.is_none(), || format!("{left:?} was acknowledged and is still there"));
        }
    }

    /// At the end every consumer delivers everything that was not acknowledged.
    pub(super) fn drain(&mut self) {
        self.clock.advance(ACKNOWLEDGED_WITHIN);
        self.clock.advance(ACKNOWLEDGED_WITHIN);
        self.server().advance();
        self.listen();
        for stream in 0..self.streams.len() {
            let name = self.streams[stream].name;
            let Some(state) = self.streams[stream].worlds.guess() else { continue };
            for consumer in &state.consumers {
                let of =
                    self.streams[stream].consumers.entry(super::run::consumer_named(consumer)).or_default();
                of.open.clear();
                let said = of.said.clone();
                let (_, reply) = self.expect(stream, |_| Asked::Pull);
                let body = json!({ "batch": 1000, "no_wait": true }).to_string();
                self.say(&format!("$JS.API.CONSUMER.MSG.NEXT.{name}.{consumer}"), &reply, "", &body);
                for _ in 0..4 {
                    self.server().step();
                    self.server().settle();
                    self.server().advance();
                    self.listen();
                }
                let info = self.json(&format!("CONSUMER.INFO.{name}.{consumer}"), "");
                let of = &self.streams[stream].consumers[consumer.as_str()];
                let got: BTreeSet<u64> = of.open.iter().map(|(sequence, _)| *sequence).collect();
                let missing: Vec<_> =
                    state.messages.keys().filter(|at| !got.contains(at) && !said.contains(at)).collect();
                self.check(missing.is_empty(), || {
                    format!("{consumer} of {name} does not deliver {missing:?}: {info}")
                });
            }
        }
    }
}
