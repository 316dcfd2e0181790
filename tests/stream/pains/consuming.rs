//! What consumers count, deliver and keep: many filters, watches of keys, requests that wait, and messages that are put off.

use std::collections::{BTreeMap, BTreeSet};

use quartet::random::Random;

use crate::support::kept_streams::{Got, KeptStreams};

/// Creates a consumer; the answer, and what it has delivered at once.
fn consumer(
    kept: &mut KeptStreams,
    stream: &str,
    name: &str,
    members: &str,
) -> (serde_json::Value, Vec<Got>) {
    let body = format!(r#"{{"stream_name":"{stream}","config":{{"name":"{name}",{members}}}}}"#);
    let mut got = kept.ask_on(&format!("$JS.API.CONSUMER.CREATE.{stream}.{name}"), &[], &body);
    let created = got.remove(0);
    let created: serde_json::Value = serde_json::from_str(&created.contents).expect("it is JSON");
    assert!(created["error"].is_null(), "{created}");
    (created, got)
}

/// The numbers in a reply subject: how often it was delivered, the sequence, the number of the delivery, the time, and how many
/// are pending.
fn numbers(delivery: &Got) -> [u64; 5] {
    let numbers: Vec<u64> =
        delivery.reply.split('.').skip(4).filter_map(|token| token.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{delivery:?}"))
}

#[test]
fn consumers_with_many_filters_count_exactly() {
    const SUBJECTS: usize = 40;
    for is_moved in [false, true] {
        let mut random = Random::with_seed(12);
        let mut kept = KeptStreams::new();
        kept.create("F", r#""subjects":["f.>"]"#);
        let mut published = Vec::new();
        for _ in 0..600 {
            let place = random.below(SUBJECTS);
            kept.publish(&format!("f.{place}.x"), "", "", "x");
            published.push(place);
        }
        kept.carry_on();
        if is_moved {
            kept.snapshot();
        }
        for number in 0..20 {
            let wanted: BTreeSet<usize> = (0..1 + random.below(30)).map(|_| random.below(SUBJECTS)).collect();
            let filters: Vec<String> = wanted.iter().map(|place| format!("\"f.{place}.*\"")).collect();
            let members = format!(r#""filter_subjects":[{}],"ack_policy":"none""#, filters.join(","));
            let (created, _) = consumer(&mut kept, "F", &format!("c{number}"), &members);
            let expected: Vec<u64> = (1..)
                .zip(&published)
                .filter_map(|(sequence, place)| wanted.contains(place).then_some(sequence))
                .collect();
            assert_eq!(created["num_pending"], expected.len(), "{filters:?}");
            let subject = format!("$JS.API.CONSUMER.MSG.NEXT.F.c{number}");
            let got = kept.ask_on(&subject, &[], r#"{"batch":1000,"no_wait":true}"#);
            let got: Vec<[u64; 5]> = got.iter().filter(|got| !got.reply.is_empty()).map(numbers).collect();
            assert_eq!(got.iter().map(|numbers| numbers[1]).collect::<Vec<u64>>(), expected, "{filters:?}");
            let left: Vec<u64> = got.iter().map(|numbers| numbers[4]).collect();
            assert_eq!(left, (0..expected.len() as u64).rev().collect::<Vec<u64>>(), "{filters:?}");
        }
    }
}

#[test]
fn a_watch_begins_with_the_last_entry_of_each_key() {
    // A `>` within a token is text.
    const KEYS: [&str; 8] = ["a", "b.c", "b.d", "x=y", "z/1", "deep.er.key", "a>b", "b.>c"];
    for seed in 0..4 {
        let mut random = Random::with_seed(seed);
        let mut kept = KeptStreams::new();
        let members = r#""subjects":["$KV.K.>"],"max_msgs_per_subject":5,"discard":"new","allow_rollup_hdrs":true,"deny_delete":true"#;
        kept.create("KV_K", members);
        kept.subscribe("watch.>");
        let (mut entries, mut last) = (BTreeMap::new(), 0);
        for step in 0..200 {
            let key = KEYS[random.below(KEYS.len())];
            let headers: &[(&str, &str)] = match random.below(10) {
                0..7 => &[],
                7..9 => &[("KV-Operation", "DEL")],
                _ => &[("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")],
            };
            let payload = if headers.is_empty() { step.to_string() } else { String::new() };
            kept.put(&format!("$KV.K.{key}"), headers, &payload);
            last += 1;
            entries.insert(last, key);
            if step % 40 != 39 {
                if step % 60 == 30 {
                    kept.snapshot();
                }
                continue;
            }
            let newest: BTreeMap<&str, u64> =
                entries.iter().map(|(sequence, key)| (*key, *sequence)).collect();
            let mut expected: Vec<(u64, &str)> = newest.into_iter().map(|(key, last)| (last, key)).collect();
            expected.sort_unstable();
            let members = format!(
                r#""deliver_subject":"watch.{step}","deliver_policy":"last_per_subject","ack_policy":"none","filter_subject":"$KV.K.>""#
            );
            let (created, mut got) = consumer(&mut kept, "KV_K", &format!("w{step}"), &members);
            assert_eq!(created["num_pending"], expected.len(), "{created}");
            kept.carry_on();
            got.extend(kept.got());
            let seen: Vec<(u64, &str)> = got
                .iter()
                .map(|got| (numbers(got)[1], got.subject.strip_prefix("$KV.K.").expect("a key")))
                .collect();
            assert_eq!(seen, expected, "seed {seed}, step {step}");
            // The watcher knows by the count that it has seen all keys.
            let left: Vec<u64> = got.iter().map(|got| numbers(got)[4]).collect();
            assert_eq!(left, (0..expected.len() as u64).rev().collect::<Vec<u64>>());
            let deleted = kept.json(&format!("CONSUMER.DELETE.KV_K.w{step}"), "");
            assert_eq!(deleted["success"], true, "{deleted}");
        }
    }
}

#[test]
fn no_request_waits_while_there_is_a_message_for_it() {
    const ROOM: u64 = 5;
    for seed in 0..4 {
        let mut random = Random::with_seed(seed);
        let mut kept = KeptStreams::new();
        kept.create("P", r#""subjects":["p"]"#);
        let members = format!(
            r#""durable_name":"w","ack_policy":"explicit","ack_wait":500000000,"max_ack_pending":{ROOM}"#
        );
        consumer(&mut kept, "P", "w", &members);
        let (mut out, mut done) = (Vec::<Got>::new(), BTreeSet::new());
        for step in 0..200 {
            let got = match random.below(6) {
                0 | 1 => {
                    kept.publish("p", "", "", "x");
                    kept.advance()
                }
                2 | 3 => kept.ask_on(
                    "$JS.API.CONSUMER.MSG.NEXT.P.w",
                    &[],
                    &format!(r#"{{"batch":{},"expires":100000000000}}"#, 1 + random.below(4)),
                ),
                4 if !out.is_empty() => {
                    let delivery = out.swap_remove(random.below(out.len()));
                    let said = ["+ACK", "+ACK", "-NAK", r#"-NAK {"delay":200000000}"#][random.below(4)];
                    if said == "+ACK" {
                        done.insert(numbers(&delivery)[1]);
                    }
                    kept.ask_on(&delivery.reply, &[], said)
                }
                _ => kept.after(100),
            };
            out.extend(got.into_iter().filter(|got| got.reply.starts_with("$JS.ACK.")));
            out.extend(kept.advance().into_iter().filter(|got| got.reply.starts_with("$JS.ACK.")));
            let info = kept.json("CONSUMER.INFO.P.w", "");
            let number = |name: &str| info[name].as_u64().expect("a number");
            let may_deliver = number("num_pending") > 0 && number("num_ack_pending") < ROOM;
            assert!(number("num_waiting") == 0 || !may_deliver, "seed {seed}, step {step}: {info}");
        }
        // All of them get done in the end.
        let stored = kept.json("STREAM.INFO.P", "")["state"]["messages"].as_u64().expect("a number");
        for _ in 0..stored * 3 {
            let body = r#"{"batch":10,"no_wait":true}"#;
            let mut got = kept.after(1000);
            got.extend(kept.ask_on("$JS.API.CONSUMER.MSG.NEXT.P.w", &[], body));
            for delivery in got.into_iter().filter(|got| got.reply.starts_with("$JS.ACK.")) {
                kept.ask_on(&delivery.reply, &[], "+ACK");
                done.insert(numbers(&delivery)[1]);
            }
        }
        assert_eq!(done, (1..=stored).collect(), "seed {seed}");
    }
}

#[test]
fn messages_that_are_put_off_let_others_pass() {
    let mut kept = KeptStreams::new();
    kept.create("N", r#""subjects":["n"]"#);
    for payload in ["a", "b", "c"] {
        kept.put("n", &[], payload);
    }
    consumer(&mut kept, "N", "w", r#""durable_name":"w","ack_policy":"explicit","max_ack_pending":2"#);
    let next = |kept: &mut KeptStreams| {
        let body = r#"{"batch":2,"no_wait":true}"#;
        let got = kept.ask_on("$JS.API.CONSUMER.MSG.NEXT.N.w", &[], body);
        got.into_iter().filter(|got| got.reply.starts_with("$JS.ACK.")).collect::<Vec<Got>>()
    };
    let first = next(&mut kept);
    assert_eq!(first.iter().map(|got| &*got.contents).collect::<Vec<_>>(), ["a", "b"]);
    let info = kept.json("CONSUMER.INFO.N.w", "");
    assert_eq!((&info["num_ack_pending"], &info["num_pending"]), (&2.into(), &1.into()), "{info}");
    for delivery in &first {
        assert_eq!(kept.ask_on(&delivery.reply, &[], r#"-NAK {"delay":60000000000}"#).len(), 1);
    }
    let second = next(&mut kept);
    assert_eq!(second.iter().map(|got| &*got.contents).collect::<Vec<_>>(), ["c"]);
    kept.ask_on(&second[0].reply, &[], "+ACK");
    kept.after(60_000);
    let third = next(&mut kept);
    assert_eq!(third.iter().map(|got| &*got.contents).collect::<Vec<_>>(), ["a", "b"]);
}
