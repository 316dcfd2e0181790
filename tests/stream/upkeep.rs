//! What streams do by themselves, over losses of power: once, and never what a publisher was not told of.

use std::time::Duration;

use crate::support::kept_streams::{Got, KeptStreams};
use crate::support::simulated_disk::Survival;

/// Asks a consumer for one message.
fn pull(kept: &mut KeptStreams, stream: &str, consumer: &str) -> Option<Got> {
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
    let got = kept.ask_on(&subject, &[], r#"{"batch":1,"no_wait":true}"#);
    got.into_iter().find(|got| got.reply.starts_with("$JS.ACK."))
}

fn consumer(kept: &mut KeptStreams, stream: &str, members: &str) {
    let body = format!(
        r#"{{"stream_name":"{stream}","config":{{"name":"c","durable_name":"c","ack_policy":"explicit"{members}}}}}"#
    );
    let created = kept.json(&format!("CONSUMER.CREATE.{stream}.c"), &body);
    assert!(created["error"].is_null(), "{created}");
}

/// Does something that is due, with the power lost before it is written, and loses the power once more behind it.
fn interrupted(mut kept: KeptStreams, millis: u64) -> KeptStreams {
    kept.clock.advance(std::time::Duration::from_millis(millis));
    kept.advance_unwritten();
    let mut kept = kept.after_power_loss(Survival::Nothing);
    kept.advance();
    kept.after_power_loss(Survival::Nothing)
}

#[test]
fn a_marker_is_stored_once_over_losses_of_power() {
    let mut kept = KeptStreams::new();
    let members = r#""subjects":["s.>"],"allow_msg_ttl":true,"allow_rollup_hdrs":true,"subject_delete_marker_ttl":60000000000"#;
    kept.create("S", members);
    kept.put("s.1", &[("Nats-TTL", "60s")], "x");
    let mut kept = interrupted(kept, 60_000);
    assert_eq!(kept.stored("S"), [(2, "s.1".to_owned(), String::new())]);
}

#[test]
fn a_scheduled_message_is_published_once_over_losses_of_power_and_not_early() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s.>"],"allow_msg_schedules":true,"allow_rollup_hdrs":true"#);
    kept.put("s.later", &[("Nats-Delay", "2s"), ("Nats-Schedule-Target", "s.target")], "x");
    let mut kept = interrupted(kept, 1999);
    assert_eq!(kept.sequences("S"), [1]);
    let mut kept = interrupted(kept, 1);
    assert_eq!(kept.stored("S"), [(2, "s.target".to_owned(), "eA==".to_owned())]);
    // The messages of a snapshot are due as well.
    kept.put("s.later", &[("Nats-Delay", "2s"), ("Nats-Schedule-Target", "s.target")], "y");
    kept.snapshot();
    let mut kept = interrupted(kept, 2000);
    assert_eq!(kept.sequences("S"), [2, 4]);
}

#[test]
fn a_dead_letter_is_stored_once_over_losses_of_power() {
    for is_written in [false, true] {
        let mut kept = KeptStreams::new();
        kept.create("S", r#""subjects":["s.>"],"retention":"workqueue""#);
        kept.create("D", r#""subjects":["dead"]"#);
        consumer(&mut kept, "S", r#","max_deliver":5,"metadata":{"quartet.dead-letter-subject":"dead"}"#);
        kept.put("s.1", &[], "x");
        let delivery = pull(&mut kept, "S", "c").expect("there is a message");
        kept.publish(&delivery.reply, "", "", "+TERM");
        if is_written {
            kept.carry_on();
            assert_eq!((kept.sequences("D"), kept.sequences("S")), (vec![1], vec![]));
        }
        let mut kept = kept.after_power_loss(Survival::Nothing);
        if !is_written {
            // Nobody was told that it was given up, so it is delivered again.
            kept.after(60_000);
            let delivery = pull(&mut kept, "S", "c").expect("there is a message");
            kept.ask_on(&delivery.reply, &[], "+TERM");
            kept.advance();
        }
        let mut kept = kept.after_power_loss(Survival::Nothing);
        assert_eq!((kept.sequences("D"), kept.sequences("S")), (vec![1], vec![]), "{is_written}");
        assert!(pull(&mut kept, "S", "c").is_none());
    }
}

#[test]
fn a_dead_letter_that_waits_for_room_is_stored_after_a_loss_of_power() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s.>"]"#);
    kept.create("D", r#""subjects":["dead"],"max_msgs":1,"discard":"new""#);
    consumer(&mut kept, "S", r#","max_deliver":1,"metadata":{"quartet.dead-letter-subject":"dead"}"#);
    kept.put("dead", &[], "in the way");
    kept.put("s.1", &[], "x");
    let delivery = pull(&mut kept, "S", "c").expect("there is a message");
    kept.ask_on(&delivery.reply, &[], "+TERM");
    let mut kept = kept.after_power_loss(Survival::Nothing);
    assert_eq!(kept.sequences("D"), [1]);
    assert_eq!(kept.json("STREAM.PURGE.D", "")["purged"], 1);
    kept.after(1000);
    kept.snapshot();
    let mut kept = kept.after_power_loss(Survival::Nothing);
    assert_eq!(kept.stored("D"), [(2, "dead".to_owned(), "eA==".to_owned())]);
}

/// A message that has gone by itself made room for another one; a start must not let that one leave for it.
#[test]
fn a_start_lets_no_other_message_leave_for_one_that_went_by_its_lifetime() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s.>"],"allow_msg_ttl":true,"max_msgs":2"#);
    kept.put("s.1", &[], "stays");
    kept.put("s.2", &[("Nats-TTL", "1s")], "goes");
    kept.after(1000);
    kept.put("s.3", &[], "comes");
    assert_eq!(kept.sequences("S"), [1, 3]);
    let mut kept = kept.after_power_loss(Survival::Nothing);
    assert_eq!(kept.sequences("S"), [1, 3]);
}

#[test]
fn a_start_lets_no_other_message_leave_for_one_that_was_worked_on() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s.>"],"retention":"workqueue","max_msgs":2"#);
    consumer(&mut kept, "S", "");
    kept.put("s.1", &[], "one");
    kept.put("s.2", &[], "two");
    pull(&mut kept, "S", "c").expect("there is a message");
    let second = pull(&mut kept, "S", "c").expect("there is another message");
    // The next one is on its way while the acknowledgement is.
    kept.publish(&second.reply, "", "", "+ACK");
    kept.publish("s.3", "", "", "three");
    kept.carry_on();
    assert_eq!(kept.sequences("S"), [1, 3]);
    let mut kept = kept.after_power_loss(Survival::Nothing);
    assert_eq!(kept.sequences("S"), [1, 3]);
}

#[test]
fn messages_that_were_moved_to_files_go_at_their_age() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s.>"],"max_age":1000000000"#);
    for payload in ["one", "two", "three"] {
        kept.put("s.1", &[], payload);
        kept.after(100);
    }
    kept.snapshot();
    let mut kept = kept.after_power_loss(Survival::Nothing);
    assert_eq!(kept.sequences("S"), [1, 2, 3]);
    kept.after(699);
    assert_eq!(kept.sequences("S"), [1, 2, 3]);
    kept.after(1);
    assert_eq!(kept.sequences("S"), [2, 3]);
    kept.after(100);
    assert_eq!(kept.sequences("S"), [3]);
    let mut kept = kept.after_power_loss(Survival::Nothing);
    assert_eq!(kept.sequences("S"), [3]);
    kept.after(100);
    assert_eq!(kept.sequences("S"), [0; 0]);
}

#[test]
fn the_id_of_a_message_that_went_is_known_after_a_start() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s.>"],"retention":"workqueue""#);
    consumer(&mut kept, "S", "");
    kept.put("s.1", &[("Nats-Msg-Id", "a")], "x");
    let delivery = pull(&mut kept, "S", "c").expect("there is a message");
    kept.ask_on(&delivery.reply, &[], "+ACK");
    assert_eq!(kept.sequences("S"), [0; 0]);
    let mut kept = kept.after_power_loss(Survival::Nothing);
    let again = kept.ask_on("s.1", &[("Nats-Msg-Id", "a")], "x");
    assert!(again[0].contents.contains("\"duplicate\": true"), "{again:?}");
    assert_eq!(kept.sequences("S"), [0; 0]);
}

#[test]
fn a_replay_with_the_original_pauses_has_them_for_messages_of_files_too() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s"]"#);
    for payload in ["one", "two", "three"] {
        kept.put("s", &[], payload);
        kept.after(1000);
    }
    kept.snapshot();
    let config = r#"{"name":"C","deliver_subject":"deliver","ack_policy":"none","replay_policy":"original"}"#;
    kept.subscribe("deliver");
    let body = format!(r#"{{"stream_name":"S","config":{config}}}"#);
    let got = kept.ask_on("$JS.API.CONSUMER.CREATE.S.C", &[], &body);
    assert_eq!(got.last().map(|got| &*got.contents), Some("one"));
    let payloads = |got: Vec<Got>| got.into_iter().map(|got| got.contents).collect::<Vec<_>>();
    assert_eq!(payloads(kept.advance()), [""; 0]);
    for payload in ["two", "three"] {
        assert_eq!(payloads(kept.after(999)), [""; 0]);
        assert_eq!(payloads(kept.after(1)), [payload]);
    }
}

#[test]
fn a_consumer_that_begins_at_a_time_passes_over_no_message_on_its_way() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s"]"#);
    kept.publish("s", "", "", "before");
    kept.clock.advance(Duration::from_millis(1000));
    let start = "2027-01-15T08:00:00.5Z";
    let config = format!(
        r#"{{"durable_name":"C","deliver_policy":"by_start_time","opt_start_time":"{start}","ack_policy":"explicit"}}"#
    );
    let body = format!(r#"{{"stream_name":"S","config":{config}}}"#);
    kept.publish("$JS.API.CONSUMER.CREATE.S.C", "", "", &body);
    kept.publish("s", "", "", "behind");
    kept.carry_on();
    assert_eq!(kept.json("CONSUMER.INFO.S.C", "")["num_pending"], 1);
}
