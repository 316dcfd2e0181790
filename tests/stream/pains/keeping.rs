//! What a stream has and knows, over losses of power: ids of messages, and the messages of a work queue.

use std::collections::{BTreeMap, BTreeSet};

use quartet::random::Random;

use crate::support::kept_streams::{Got, KeptStreams};
use crate::support::simulated_disk::Survival;

/// Publishes with an id; the sequence of the acknowledgement, and whether it is a duplicate.
fn publish(kept: &mut KeptStreams, subject: &str, id: &str) -> (u64, bool) {
    let got = kept.ask_on(subject, &[("Nats-Msg-Id", id)], "x");
    let [told] = &got[..] else { panic!("{got:?}") };
    let told: serde_json::Value = serde_json::from_str(&told.contents).expect("it is JSON");
    (told["seq"].as_u64().unwrap_or_else(|| panic!("{told}")), told["duplicate"] == true)
}

fn purge(kept: &mut KeptStreams, subject: &str) {
    let purged = kept.json("STREAM.PURGE.D", &format!(r#"{{"filter":"{subject}"}}"#));
    assert_eq!(purged["success"], true, "{purged}");
}

#[test]
fn ids_are_known_after_a_start_as_they_were_before() {
    for is_moved in [false, true] {
        let mut kept = KeptStreams::new();
        kept.create("D", r#""subjects":["d.*"]"#);
        assert_eq!(publish(&mut kept, "d.1", "m"), (1, false));
        assert_eq!(publish(&mut kept, "d.2", "n"), (2, false));
        purge(&mut kept, "d.1");
        // The id of a message that was purged may come again.
        assert_eq!(publish(&mut kept, "d.1", "m"), (3, false));
        if is_moved {
            kept.snapshot();
        }
        let mut kept = kept.after_power_loss(Survival::Nothing);
        assert_eq!(publish(&mut kept, "d.2", "n"), (2, true));
        assert_eq!(publish(&mut kept, "d.1", "m"), (3, true));
        purge(&mut kept, "d.2");
        let mut kept = kept.after_power_loss(Survival::Nothing);
        assert_eq!(publish(&mut kept, "d.2", "n"), (4, false));
        assert_eq!(publish(&mut kept, "d.1", "m"), (3, true));
    }
}

/// Asks for one message of the queue.
fn take(kept: &mut KeptStreams, consumer: &str) -> Option<Got> {
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.Q.{consumer}");
    let got = kept.ask_on(&subject, &[], r#"{"batch":1,"no_wait":true}"#);
    got.into_iter().find(|got| got.reply.starts_with("$JS.ACK."))
}

fn sequence_of(delivery: &Got) -> u64 {
    let token = delivery.reply.split('.').nth(5).expect("the sequence");
    token.parse().expect("a number")
}

#[test]
fn a_work_queue_has_what_is_to_be_done() {
    for seed in 0..4 {
        let mut random = Random::with_seed(seed);
        let mut kept = KeptStreams::new();
        kept.create("Q", r#""subjects":["q.*"],"retention":"workqueue""#);
        let (mut last, mut to_do, mut made) = (0, BTreeSet::new(), BTreeMap::<usize, Vec<Got>>::new());
        for _ in 0..150 {
            let place = random.below(3);
            let (subject, consumer) = (format!("q.{place}"), format!("c{place}"));
            match random.below(10) {
                0..4 => {
                    kept.put(&subject, &[], "x");
                    last += 1;
                    to_do.insert(last);
                }
                4 if !made.contains_key(&place) => {
                    let body = format!(
                        r#"{{"stream_name":"Q","config":{{"name":"{consumer}","durable_name":"{consumer}","ack_policy":"explicit","filter_subject":"{subject}"}}}}"#
                    );
                    let created = kept.json(&format!("CONSUMER.CREATE.Q.{consumer}"), &body);
                    assert!(created["error"].is_null(), "{created}");
                    made.insert(place, Vec::new());
                }
                5 if made.contains_key(&place) && random.below(3) == 0 => {
                    let deleted = kept.json(&format!("CONSUMER.DELETE.Q.{consumer}"), "");
                    assert_eq!(deleted["success"], true, "{deleted}");
                    made.remove(&place);
                }
                6..8 if made.contains_key(&place) => {
                    if let Some(delivery) = take(&mut kept, &consumer) {
                        assert!(to_do.contains(&sequence_of(&delivery)), "{delivery:?} was done before");
                        made.get_mut(&place).expect("it is there").push(delivery);
                    }
                }
                8 => {
                    if let Some(delivery) = made.get_mut(&place).and_then(Vec::pop) {
                        assert_eq!(kept.ask_on(&delivery.reply, &[], "+ACK").len(), 1);
                        to_do.remove(&sequence_of(&delivery));
                    }
                }
                _ if random.below(8) == 0 => kept = kept.after_power_loss(Survival::Nothing),
                _ if random.below(8) == 0 => kept.snapshot(),
                _ => {}
            }
            let info = kept.json("STREAM.INFO.Q", "");
            assert_eq!(info["state"]["messages"], to_do.len(), "seed {seed}: {info}");
        }
        assert_eq!(kept.sequences("Q"), to_do.into_iter().collect::<Vec<u64>>(), "seed {seed}");
    }
}
