//! What a server still has after a clean stop, or after a power cut at one certain moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quartet::clock::{Clock, Now};
use quartet::disk::Disk;
use quartet::random::Random;
use serde_json::{Value, json};

use super::power_cuts::machine::Machine;
use super::power_cuts::server::Server;
use crate::support::simulated_disk::{SimulatedDisk, Survival};

/// A machine with a server.
struct Place {
    machine: Machine,
    clock: Arc<Clock>,
}

impl Place {
    fn new() -> Place {
        let start = Now::at(Duration::from_secs(1_000), Duration::from_secs(1_800_000_000));
        Place { machine: Machine::default(), clock: Arc::new(Clock::manual(start)) }
    }

    fn start(&self) -> Server {
        let mut server = Server::start(&self.machine, &self.clock).unwrap_or_else(|error| panic!("{error}"));
        server.advance();
        server.step();
        server.settle();
        server.advance();
        server.received();
        server
    }

    /// The power is lost, and of what was not synced so much is there afterwards.
    fn lose_power(&mut self, server: Server, survival: Survival) -> Server {
        drop(server);
        let mut random = Random::with_seed(0);
        let journal = self.machine.journal.after_power_loss(survival, &mut random);
        let streams = self.machine.streams.after_power_loss(survival, &mut random);
        self.machine = Machine::of(journal, streams);
        self.start()
    }

    fn restart(&self, server: Server) -> Server {
        server.stop();
        self.start()
    }
}

fn create(server: &mut Server, name: &str, further: Value) {
    let mut definition = json!({ "name": name, "subjects": [format!("{name}.>")], "allow_direct": true });
    further.as_object().into_iter().flatten().for_each(|(key, value)| definition[key] = value.clone());
    let created = server.ask(&format!("STREAM.CREATE.{name}"), &definition.to_string());
    assert_eq!(created["did_create"], true, "{created}");
}

/// The sequence of a message that is stored.
#[track_caller]
fn store(server: &mut Server, subject: &str, payload: &str) -> u64 {
    stored(&told(server, subject, "", payload))
}

fn told(server: &mut Server, subject: &str, id: &str, payload: &str) -> Value {
    let headers =
        if id.is_empty() { String::new() } else { format!("NATS/1.0\r\nNats-Msg-Id: {id}\r\n\r\n") };
    let told = server.send(subject, &headers, payload).unwrap_or_else(|| panic!("{subject} is not answered"));
    serde_json::from_slice(&told.payload).expect("it is JSON")
}

#[track_caller]
fn stored(told: &Value) -> u64 {
    told["seq"]
        .as_u64()
        .filter(|sequence| *sequence > 0)
        .unwrap_or_else(|| panic!("it is not stored: {told}"))
}

fn snapshot(server: &mut Server) {
    let begun = server.begin_snapshot().expect("there can be one");
    assert!(begun.write(|| (), || server.step()), "the snapshot counts");
}

/// What is said of a stream and a consumer, but for the time at which it is said.
fn described(server: &mut Server, stream: &str, consumer: &str) -> Value {
    let body = json!({ "deleted_details": true, "subjects_filter": ">" }).to_string();
    let mut of_stream = server.ask(&format!("STREAM.INFO.{stream}"), &body);
    let mut of_consumer = server.ask(&format!("CONSUMER.INFO.{stream}.{consumer}"), "");
    of_stream["ts"].take();
    of_consumer["ts"].take();
    // Nobody waits any more, and when it was used last is not kept.
    of_consumer["num_waiting"].take();
    for of in ["delivered", "ack_floor"] {
        of_consumer[of].as_object_mut().and_then(|pair| pair.remove("last_active"));
    }
    json!([of_stream, of_consumer])
}

#[test]
fn a_stop_in_order_changes_nothing() {
    for snapshots in 0..3 {
        let place = Place::new();
        let mut server = place.start();
        create(&mut server, "S", json!({ "max_msgs_per_subject": 3 }));
        let config = json!({ "durable_name": "c", "ack_policy": "explicit", "filter_subject": "S.*" });
        let body = json!({ "stream_name": "S", "config": config }).to_string();
        server.ask("CONSUMER.CREATE.S.c.S.*", &body);
        for number in 0..20 {
            let subject = format!("S.{}", number % 5);
            assert_eq!(stored(&told(&mut server, &subject, &format!("id-{number}"), "x")), number + 1);
            if snapshots > 0 && number == 9 {
                snapshot(&mut server);
            }
        }
        server.ask("STREAM.MSG.DELETE.S", r#"{"seq":12}"#);
        server.publish("$JS.API.CONSUMER.MSG.NEXT.S.c", "_INBOX.2", "", r#"{"batch":6,"no_wait":true}"#);
        let got = server.received();
        assert_eq!(got.len(), 6);
        for (message, said) in got.iter().zip(["+ACK", "+ACK", "-NAK {\"delay\":60000000000}", "+TERM"]) {
            server.publish(&message.reply, "", "", said);
        }
        server.step();
        server.settle();
        if snapshots > 1 {
            snapshot(&mut server);
        }
        let before = described(&mut server, "S", "c");
        let mut server = place.restart(server);
        assert_eq!(described(&mut server, "S", "c"), before, "{snapshots} snapshots");
        // An id is known unless somebody has deleted its message.
        for (id, is_known) in [("id-19", true), ("id-0", true), ("id-11", false)] {
            let again = told(&mut server, "S.0", id, "x");
            assert_eq!(again["duplicate"] == true, is_known, "{snapshots} snapshots, {id}: {again}");
        }
        // What was acknowledged does not come again, and what was put off comes later.
        place.clock.advance(Duration::from_secs(31));
        server.advance();
        server.publish("$JS.API.CONSUMER.MSG.NEXT.S.c", "_INBOX.2", "", r#"{"batch":2,"no_wait":true}"#);
        let again: Vec<_> = server.received().iter().map(|message| message.reply.clone()).collect();
        assert_eq!(again.len(), 2, "{again:?}");
        for (reply, message) in again.iter().zip(&got[4..]) {
            let sequence = |reply: &str| reply.split('.').nth(5).map(str::to_owned);
            assert_eq!(sequence(reply), sequence(&message.reply));
        }
    }
}

#[test]
fn a_stream_in_memory_begins_anew() {
    for has_snapshot in [false, true] {
        let place = Place::new();
        let mut server = place.start();
        create(&mut server, "M", json!({ "storage": "memory", "first_seq": 50 }));
        assert_eq!([store(&mut server, "M.a", "x"), store(&mut server, "M.a", "y")], [50, 51]);
        if has_snapshot {
            snapshot(&mut server);
        }
        let mut server = place.restart(server);
        let info = server.ask("STREAM.INFO.M", "");
        assert_eq!(
            (&info["state"]["messages"], &info["state"]["last_seq"]),
            (&json!(0), &json!(49)),
            "{info}"
        );
        assert_eq!(store(&mut server, "M.a", "x"), 50);
    }
}

#[test]
fn an_async_stream_gives_no_sequence_twice() {
    let mut place = Place::new();
    let mut server = place.start();
    create(&mut server, "A", json!({ "persist_mode": "async" }));
    assert_eq!([store(&mut server, "A.a", "1"), store(&mut server, "A.a", "2")], [1, 2]);
    // After a clean stop the next message has the next sequence.
    let mut server = place.restart(server);
    let mut last = store(&mut server, "A.a", "3");
    assert_eq!(last, 3);
    // Nothing that follows is written before the power is lost, even if the server before had stopped cleanly.
    for round in 0..4 {
        server.publish("A.a", "_INBOX.1", "", "lost");
        let told = server.received();
        let answer: Value = serde_json::from_slice(&told[0].payload).expect("it is JSON");
        assert_eq!(stored(&answer), last + 1, "it counts at once");
        server = place.lose_power(server, Survival::Nothing);
        let next = store(&mut server, "A.a", "next");
        assert!(next > last + 1, "round {round}: {next} was told of before");
        last = next;
        if round % 2 == 0 {
            server = place.restart(server);
            let next = store(&mut server, "A.a", "next");
            assert_eq!(next, last + 1, "round {round}");
            last = next;
        }
    }
}

#[test]
fn what_is_made_again_while_a_snapshot_is_written_is_there() {
    let config = json!({ "durable_name": "c", "ack_policy": "explicit" });
    let body = json!({ "stream_name": "T", "config": config }).to_string();
    for rounds in 1..4 {
        let mut place = Place::new();
        let mut server = place.start();
        create(&mut server, "S", json!({}));
        create(&mut server, "T", json!({}));
        store(&mut server, "S.a", "of the first");
        store(&mut server, "T.a", "delivered");
        server.ask("CONSUMER.CREATE.T.c", &body);
        let begun = server.begin_snapshot().expect("there can be one");
        // All of this is behind the snapshot's place, and its parts have seen it.
        for round in 0..rounds {
            server.ask("STREAM.DELETE.S", "");
            create(&mut server, "S", json!({ "max_msgs": 10 + round }));
            store(&mut server, "S.a", "of the last");
            server.ask("CONSUMER.DELETE.T.c", "");
            server.ask("CONSUMER.CREATE.T.c", &body);
        }
        server.publish("$JS.API.CONSUMER.MSG.NEXT.T.c", "_INBOX.2", "", r#"{"batch":1,"no_wait":true}"#);
        let got = server.received().pop().expect("a message is delivered");
        assert!(server.send(&got.reply, "", "+ACK").is_some());
        assert!(begun.write(|| (), || server.step()), "the snapshot counts");
        let mut server = place.lose_power(server, Survival::Nothing);
        let info = server.ask("STREAM.INFO.S", "");
        assert_eq!(info["config"]["max_msgs"], 9 + rounds, "{info}");
        let message = server.send("$JS.API.DIRECT.GET.S", "", r#"{"seq":1}"#).expect("it is answered");
        assert_eq!(String::from_utf8_lossy(&message.payload), "of the last");
        let info = server.ask("CONSUMER.INFO.T.c", "");
        assert_eq!(
            (&info["num_ack_pending"], &info["ack_floor"]["stream_seq"]),
            (&json!(0), &json!(1)),
            "{info}"
        );
    }
}

#[test]
fn a_limit_that_is_raised_while_a_snapshot_is_written_brings_nothing_back() {
    let mut place = Place::new();
    let mut server = place.start();
    create(&mut server, "S", json!({ "max_msgs": 2 }));
    for _ in 0..3 {
        store(&mut server, "S.a", "before");
    }
    let begun = server.begin_snapshot().expect("there can be one");
    // Behind the snapshot's place, by the lower limit, and its parts see the higher one.
    for _ in 0..3 {
        store(&mut server, "S.a", "by the lower limit");
    }
    let definition = json!({ "name": "S", "subjects": ["S.>"], "allow_direct": true, "max_msgs": 100 });
    let updated = server.ask("STREAM.UPDATE.S", &definition.to_string());
    assert_eq!(updated["config"]["max_msgs"], 100, "{updated}");
    store(&mut server, "S.a", "by the higher limit");
    assert!(begun.write(|| (), || server.step()), "the snapshot counts");
    for survival in [Survival::Everything, Survival::Nothing] {
        server = place.lose_power(server, survival);
        let info = server.ask("STREAM.INFO.S", "");
        assert_eq!(info["config"]["max_msgs"], 100, "{info}");
        let state = &info["state"];
        let numbers = ["first_seq", "last_seq", "messages"].map(|name| state[name].as_u64());
        assert_eq!(numbers, [Some(5), Some(7), Some(3)], "{info}");
    }
}

#[test]
fn a_stream_can_be_made_again_before_the_disk_knows_that_it_is_gone() {
    let place = Place::new();
    let mut server = place.start();
    create(&mut server, "S", json!({}));
    store(&mut server, "S.a", "x");
    let definition = json!({ "name": "S", "subjects": ["S.>"], "max_msgs": 5 }).to_string();
    server.publish("$JS.API.STREAM.DELETE.S", "_INBOX.1", "", "");
    server.publish("$JS.API.STREAM.CREATE.S", "_INBOX.2", "", &definition);
    for _ in 0..3 {
        server.step();
        server.settle();
    }
    let told: Vec<String> =
        server.received().iter().map(|told| String::from_utf8_lossy(&told.payload).into_owned()).collect();
    assert!(told.len() == 2 && told.iter().all(|told| !told.contains("error")), "{told:?}");
    let info = server.ask("STREAM.INFO.S", "");
    assert_eq!((&info["config"]["max_msgs"], &info["state"]["messages"]), (&json!(5), &json!(0)), "{info}");
}

/// A server that has messages in files and in the journal, has stopped in order, and what it had.
fn filled() -> (Place, BTreeMap<u64, String>) {
    let place = Place::new();
    let mut server = place.start();
    create(&mut server, "S", json!({}));
    let mut messages = BTreeMap::new();
    for number in 0..16 {
        let payload = format!("message {number}");
        messages.insert(store(&mut server, &format!("S.{}", number % 3), &payload), payload);
        if number == 9 {
            snapshot(&mut server);
        }
    }
    server.stop();
    (place, messages)
}

/// The messages that a server tells of; those that it tells nothing of are left out.
fn messages_of(server: &mut Server, last: u64) -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    for sequence in 1..=last {
        let body = json!({ "seq": sequence }).to_string();
        let got = server.ask("STREAM.MSG.GET.S", &body);
        if got["error"].is_null() {
            let message = server.send("$JS.API.DIRECT.GET.S", "", &body).expect("it is answered");
            found.insert(sequence, String::from_utf8_lossy(&message.payload).into_owned());
        }
    }
    found
}

/// The server on a disk of which one file has other contents: it has nothing that it had not before, and says what it lacks.
/// Returns how many messages it has, or none if it does not start and names the file.
fn start_on(place: &Place, messages: &BTreeMap<u64, String>, file: &str, damaged: Machine) -> Option<usize> {
    let mut server = match Server::start(&damaged, &place.clock) {
        Ok(server) => server,
        Err(error) => {
            assert!(error.contains("simulated/"), "{error} does not name a place, though {file} is damaged");
            return None;
        }
    };
    let found = messages_of(&mut server, messages.len() as u64 + 1);
    for (sequence, payload) in &found {
        assert_eq!(Some(payload), messages.get(sequence), "{sequence} has become another message");
    }
    // It goes on.
    let next = told(&mut server, "S.new", "", "new");
    assert!(
        next["seq"].as_u64().is_some_and(|next| next > found.keys().last().copied().unwrap_or(0)),
        "{next}"
    );
    Some(found.len())
}

fn names(disk: &SimulatedDisk) -> Vec<String> {
    disk.list().expect("it works")
}

#[test]
fn a_file_that_is_cut_anywhere_loses_what_was_cut_off_and_nothing_else() {
    let (place, messages) = filled();
    let Machine { journal, streams, .. } = &place.machine;
    for name in names(streams) {
        let whole = streams.contents(&name);
        let chapter = u64::from_le_bytes(*whole[whole.len() - 20..].first_chunk().expect("eight bytes"));
        for length in 0..whole.len() {
            let cut = streams.with(&name, Some(whole[..length].to_vec()));
            let damaged = Machine::of(journal.with(&name, None), cut);
            let found = start_on(&place, &messages, &name, damaged);
            let most = if (length as u64) < chapter { messages.len() - 1 } else { messages.len() };
            assert!(
                found.is_none_or(|found| (6..=most).contains(&found)),
                "{name} cut at {length}: {found:?}"
            );
        }
    }
    for name in names(journal) {
        let whole = journal.contents(&name);
        for length in 0..whole.len() {
            let cut = journal.with(&name, Some(whole[..length].to_vec()));
            let damaged = Machine::of(cut, streams.with(&name, None));
            start_on(&place, &messages, &name, damaged);
        }
    }
}

#[test]
fn a_flipped_bit_makes_no_other_message() {
    let (place, messages) = filled();
    let Machine { journal, streams, .. } = &place.machine;
    let mut random = Random::with_seed(1);
    for name in names(streams) {
        let whole = streams.contents(&name);
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << random.below(8);
            let streams = streams.with(&name, Some(flipped));
            let damaged = Machine::of(journal.with(&name, None), streams);
            let found = start_on(&place, &messages, &name, damaged);
            assert!(found.is_none_or(|found| found >= 6), "{name} flipped at {at}: {found:?}");
        }
    }
    for name in names(journal) {
        let whole = journal.contents(&name);
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << random.below(8);
            let journal = journal.with(&name, Some(flipped));
            let damaged = Machine::of(journal, streams.with(&name, None));
            start_on(&place, &messages, &name, damaged);
        }
    }
}

#[test]
fn a_file_that_is_missing_stops_the_start() {
    let (place, messages) = filled();
    let Machine { journal, streams, .. } = &place.machine;
    for name in names(streams) {
        let damaged = Machine::of(journal.with(&name, None), streams.with(&name, None));
        let error = Server::start(&damaged, &place.clock).err().expect("it does not start");
        assert!(error.contains(&name), "{error} does not name {name}");
        // Nothing was given up for that: with the file it has everything.
        let mended = Machine::of(damaged.journal, streams.with("", None));
        assert_eq!(start_on(&place, &messages, &name, mended), Some(messages.len()));
    }
}
