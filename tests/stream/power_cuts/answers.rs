//! The answers that the client gets.

use serde_json::Value;

use super::model::Outcome;
use super::run::{Asked, Run};
use super::worlds::Memory;
use crate::support::broker::Delivered;

/// How an error begins whose operation may have been done or not.
const UNCERTAIN: &str = "the disk has failed";

/// The number of the error of a disk without room: nothing was done.
const NO_ROOM: u64 = 10047;

/// The number of the error of an expectation that was not met.
const WRONG_LAST_SEQUENCE: u64 = 10071;

/// What an answer says.
pub(in crate::stream) enum Answer {
    /// An outcome.
    Known(Outcome),
    /// Nothing was done.
    NotDone,
    /// Nobody knows.
    Unknown,
}

impl Answer {
    pub(in crate::stream) fn to_publication(answer: &Value) -> Answer {
        let number = &answer["error"]["err_code"];
        let description = answer["error"]["description"].as_str().unwrap_or_default();
        match number.as_u64() {
            _ if description.contains(UNCERTAIN) => Answer::Unknown,
            Some(NO_ROOM) => Answer::NotDone,
            Some(WRONG_LAST_SEQUENCE) => {
                let named = description.rsplit(' ').next().and_then(|named| named.parse().ok());
                Answer::Known(Outcome::Refused(WRONG_LAST_SEQUENCE, named))
            }
            Some(number) => Answer::Known(Outcome::Refused(number, None)),
            None => {
                let sequence = answer["seq"].as_u64().unwrap_or_default();
                let is_duplicate = answer["duplicate"] == true;
                Answer::Known(if is_duplicate {
                    Outcome::Duplicate(sequence)
                } else {
                    Outcome::Stored(sequence)
                })
            }
        }
    }

    pub(in crate::stream) fn to_change(answer: &Value) -> Answer {
        let description = answer["error"]["description"].as_str().unwrap_or_default();
        match answer["error"]["err_code"].as_u64() {
            _ if description.contains(UNCERTAIN) => Answer::Unknown,
            Some(NO_ROOM) => Answer::NotDone,
            Some(_) => Answer::Known(Outcome::Failed),
            None => Answer::Known(Outcome::Done),
        }
    }
}

impl Run {
    /// Handles everything that the client was sent.
    pub(super) fn listen(&mut self) {
        for delivered in self.server().received() {
            self.hear(delivered);
        }
    }

    /// The same, but for what was said to one subject.
    pub(super) fn listen_for(&mut self, reply: &str) -> Option<Delivered> {
        let mut found = None;
        for delivered in self.server().received() {
            if delivered.subject == reply {
                self.asked.remove(reply);
                found = Some(delivered);
            } else {
                self.hear(delivered);
            }
        }
        found
    }

    /// The same behind a publication, which the server may refuse at once without having done anything.
    pub(super) fn listen_after(&mut self, stream: usize, operation: usize, former: Vec<Memory>) {
        let mut former = Some(former);
        for delivered in self.server().received() {
            let is_it = matches!(
                self.asked.get(&delivered.subject),
                Some((_, Asked::Publication(other))) if *other == operation
            );
            let json = serde_json::from_slice(&delivered.payload).unwrap_or_default();
            if is_it && matches!(Answer::to_publication(&json), Answer::NotDone) {
                self.asked.remove(&delivered.subject);
                self.tell(format!("{operation} is refused: there is no room"));
                self.count("refused without room");
                former.take().into_iter().for_each(|former| self.streams[stream].worlds.take_back(former));
            } else {
                self.hear(delivered);
            }
        }
    }

    fn hear(&mut self, delivered: Delivered) {
        if delivered.reply.starts_with("$JS.ACK.") {
            return self.hear_message(&delivered);
        }
        let Some((stream, asked)) = self.asked.remove(&delivered.subject) else {
            return self.check(false, || format!("nobody has asked for {delivered:?}"));
        };
        let json = || serde_json::from_slice::<Value>(&delivered.payload).unwrap_or_default();
        match asked {
            Asked::Publication(operation) => {
                self.hear_outcome(stream, operation, Answer::to_publication(&json()), &json());
            }
            Asked::Change(operation) => {
                self.hear_outcome(stream, operation, Answer::to_change(&json()), &json());
            }
            Asked::Acknowledgement { consumer, sequence } => {
                self.tell(format!("{sequence} of {consumer} is acknowledged"));
                self.count("confirmed acknowledgements");
                // The consumer may have been asked to go meanwhile.
                if let Some(of) = self.streams[stream].consumers.get_mut(consumer) {
                    of.confirmed.insert(sequence);
                }
            }
            Asked::Pull => {}
            Asked::Look => self.check(false, || format!("{delivered:?} comes late")),
        }
    }

    fn hear_outcome(&mut self, stream: usize, operation: usize, answer: Answer, json: &Value) {
        self.tell(format!("{operation} is answered: {json}"));
        let known = &mut self.streams[stream];
        match answer {
            Answer::Unknown => {}
            Answer::NotDone => known.worlds.cancel(operation),
            Answer::Known(outcome) => {
                let before = known.worlds.describe();
                let fits = known.worlds.answer(operation, &outcome);
                let name = known.name;
                self.check(fits, || format!("{operation} on {name} cannot come to {outcome:?}:\n{before}"));
                self.count(match outcome {
                    Outcome::Stored(_) => "stored",
                    Outcome::Duplicate(_) => "duplicates",
                    Outcome::Refused(..) => "refused",
                    Outcome::Done => "changes",
                    _ => "failed changes",
                });
            }
        }
    }

    /// A consumer delivers a message.
    fn hear_message(&mut self, delivered: &Delivered) {
        let tokens: Vec<&str> = delivered.reply.split('.').collect();
        let sequence: u64 = tokens[5].parse().unwrap_or_default();
        self.tell(format!(
            "{} is delivered: {:?}",
            delivered.reply,
            String::from_utf8_lossy(&delivered.payload)
        ));
        self.count("deliveries");
        let stream = self.streams.iter().position(|known| known.name == tokens[2]).expect("it is there");
        let payload = String::from_utf8_lossy(&delivered.payload).into_owned();
        let known = &mut self.streams[stream];
        let before = known.worlds.describe();
        let fits = known.worlds.see_message(sequence, &delivered.subject, &payload);
        let consumer = super::run::consumer_named(tokens[3]);
        let of = known.consumers.entry(consumer).or_default();
        of.open.push((sequence, delivered.reply.clone()));
        let is_again = of.confirmed.contains(&sequence);
        self.check(fits, || format!("there can be no such message {sequence}:\n{before}"));
        self.check(!is_again, || format!("{sequence} was acknowledged and is delivered again"));
    }
}
