//! Messages of which damage has left nothing but their sequences: they are told as errors wherever they may be what somebody
//! asks for, no message takes their place, and none is removed in their place.

use serde_json::Value;

use super::unreadable::{counts, create_consumer, next, told};
use crate::support::kept_streams::KeptStreams;
use crate::support::simulated_disk::Survival;

const MESSAGES: [(&str, &str); 3] =
    [("k.a", "the first one"), ("k.b", "the second one"), ("k.a", "the third one")];

fn filled(members: &str) -> KeptStreams {
    let mut kept = KeptStreams::new();
    kept.create("S", &format!(r#""subjects":["k.*"]{members}"#));
    for (subject, payload) in MESSAGES {
        kept.put(subject, &[], payload);
        kept.after(1000);
    }
    kept
}

/// A stream that has lost the end of its file with the third of its messages, after a restart.
fn without_third(members: &str) -> KeptStreams {
    let mut kept = filled(members);
    kept.snapshot();
    kept.after_power_loss_with(Survival::Everything, |files| {
        assert_eq!(files.erase_from(b"the third one"), 1)
    })
}

/// The same whose second message was damaged in the journal before it was moved.
fn without_second(members: &str) -> KeptStreams {
    let mut kept = filled(members);
    assert_eq!(kept.journal().spoil(b"the second one"), 1);
    kept.snapshot();
    kept
}

fn state(kept: &mut KeptStreams) -> (u64, u64, u64) {
    let state = kept.json("STREAM.INFO.S", "")["state"].clone();
    let number = |name: &str| state[name].as_u64().expect("a number");
    (number("messages"), number("first_seq"), number("last_seq"))
}

/// The code of the error, or the sequence of the message.
fn got(answer: &Value) -> u64 {
    answer["error"]["code"].as_u64().or_else(|| answer["message"]["seq"].as_u64()).expect("one of them")
}

fn get(kept: &mut KeptStreams, sequence: u64) -> u64 {
    got(&kept.json("STREAM.MSG.GET.S", &format!(r#"{{"seq":{sequence}}}"#)))
}

fn last(kept: &mut KeptStreams, subject: &str) -> u64 {
    got(&kept.json("STREAM.MSG.GET.S", &format!(r#"{{"last_by_subj":"{subject}"}}"#)))
}

/// Publishes if this is the last sequence of the subject.  Returns the message's sequence, or the text of the error.
fn put_after(kept: &mut KeptStreams, subject: &str, last: u64) -> Result<u64, String> {
    let last = last.to_string();
    let told = kept.ask_on(subject, &[("Nats-Expected-Last-Subject-Sequence", &last)], "x");
    let told: Value = serde_json::from_str(&told[0].contents).expect("JSON");
    match told["error"]["description"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(told["seq"].as_u64().expect("a sequence")),
    }
}

const DAMAGED: &str = "message 3 is damaged and may be the last one of the subject: delete it first";

#[test]
fn who_asks_for_an_unknown_message_gets_an_error() {
    let mut kept = without_third("");
    assert_eq!(state(&mut kept), (3, 1, 3));
    assert_eq!([1, 2, 3, 4].map(|sequence| get(&mut kept, sequence)), [1, 2, 500, 404]);
    // It may be on any subject, so nobody knows which message is the last one.
    assert_eq!(["k.a", "k.b", "k.c"].map(|subject| last(&mut kept, subject)), [500; 3]);
    for (subject, expected) in [("k.a", 1), ("k.a", 3), ("k.b", 2), ("k.c", 0)] {
        assert_eq!(put_after(&mut kept, subject, expected), Err(DAMAGED.to_owned()), "{subject} {expected}");
    }
    // A message behind it is the last one of its subject.
    kept.put("k.a", &[], "the fourth one");
    assert_eq!([last(&mut kept, "k.a"), last(&mut kept, "k.b")], [4, 500]);
    assert_eq!(put_after(&mut kept, "k.a", 4), Ok(5));
    let removed = kept.json("STREAM.MSG.DELETE.S", r#"{"seq":3}"#);
    assert_eq!(removed["success"], true, "{removed}");
    assert_eq!([get(&mut kept, 3), last(&mut kept, "k.b"), last(&mut kept, "k.c")], [404, 2, 404]);
    assert_eq!(state(&mut kept), (4, 1, 5));
    assert_eq!(put_after(&mut kept, "k.b", 2), Ok(6));
}

#[test]
fn an_unknown_message_may_be_removed_where_no_other_may() {
    let mut kept = without_third(r#","deny_delete":true"#);
    let mut delete = |sequence: u64| {
        let removed = kept.json("STREAM.MSG.DELETE.S", &format!(r#"{{"seq":{sequence}}}"#));
        removed["success"].as_bool().unwrap_or_default()
    };
    assert_eq!([2, 3, 3].map(&mut delete), [false, true, false]);
    assert_eq!((last(&mut kept, "k.a"), state(&mut kept)), (1, (2, 1, 3)));
    let mut kept = kept.after_power_loss(Survival::Everything);
    assert_eq!((last(&mut kept, "k.a"), state(&mut kept)), (1, (2, 1, 3)));
}

#[test]
fn what_was_damaged_in_the_journal_is_unknown_before_and_after_a_restart() {
    let mut kept = without_second("");
    for _ in 0..2 {
        assert_eq!(state(&mut kept), (3, 1, 3));
        assert_eq!([1, 2, 3].map(|sequence| get(&mut kept, sequence)), [1, 500, 3]);
        assert_eq!([last(&mut kept, "k.a"), last(&mut kept, "k.b")], [3, 500]);
        kept = kept.after_power_loss(Survival::Everything);
    }
    create_consumer(&mut kept, r#","filter_subject":"k.a""#);
    assert_eq!(told(&next(&mut kept, r#"{"batch":3,"no_wait":true}"#))[..2], ["1", "3"]);
}

#[test]
fn consumers_that_are_there_when_a_message_is_lost_get_all_others() {
    for (filter, expected) in [("k.a", vec!["1", "3"]), ("k.b", vec![]), ("k.*", vec!["1", "3"])] {
        let pending = expected.len() as u64;
        let mut kept = filled("");
        create_consumer(&mut kept, &format!(r#","filter_subject":"{filter}""#));
        kept.journal().spoil(b"the second one");
        kept.snapshot();
        assert_eq!(counts(&mut kept), (pending, 0), "{filter}");
        let came = told(&next(&mut kept, r#"{"batch":3,"no_wait":true}"#));
        assert_eq!(came[..expected.len()], expected, "{filter}");
        assert_eq!(counts(&mut kept), (0, pending), "{filter}");
    }
}

#[test]
fn the_removal_of_an_unknown_message_stalls_no_consumer() {
    let mut kept = without_third("");
    create_consumer(&mut kept, r#","filter_subject":"k.b""#);
    assert_eq!(counts(&mut kept), (1, 0));
    kept.json("STREAM.MSG.DELETE.S", r#"{"seq":3}"#);
    assert_eq!(counts(&mut kept), (1, 0));
    let came = next(&mut kept, r#"{"batch":2,"no_wait":true}"#);
    assert_eq!((told(&came)[0].as_str(), counts(&mut kept)), ("2", (0, 1)));
    kept.put("k.b", &[], "the fourth one");
    assert_eq!(told(&next(&mut kept, r#"{"batch":2,"no_wait":true}"#))[0], "4");
}

#[test]
fn all_messages_of_a_stream_may_be_unknown() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["k.*"]"#);
    kept.put("k.a", &[], "the only one");
    kept.journal().spoil(b"the only one");
    kept.snapshot();
    for _ in 0..2 {
        assert_eq!(state(&mut kept), (1, 1, 1));
        assert_eq!([get(&mut kept, 1), last(&mut kept, "k.a")], [500, 500]);
        kept = kept.after_power_loss(Survival::Everything);
    }
    create_consumer(&mut kept, r#","filter_subject":"k.a""#);
    assert_eq!(counts(&mut kept), (0, 0));
    assert_eq!(told(&next(&mut kept, r#"{"batch":1,"no_wait":true}"#)), ["404 No Messages"]);
    assert_eq!(counts(&mut kept), (0, 0));
    assert_eq!(state(&mut kept), (1, 1, 1));
}

#[test]
fn a_consumer_comes_to_unknown_messages_whatever_its_filter() {
    for (policy, expected) in [("all", &["2"][..]), ("last", &["2"]), ("last_per_subject", &["2"])] {
        let mut kept = without_third("");
        kept.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>");
        let created =
            create_consumer(&mut kept, &format!(r#","filter_subject":"k.b","deliver_policy":"{policy}""#));
        assert_eq!(created["num_pending"], 1, "{policy}");
        let came = next(&mut kept, r#"{"batch":2,"no_wait":true}"#);
        // A client that lists keys ends with the message behind which none is pending.
        assert!(came[0].reply.ends_with(".0"), "{policy}: {came:?}");
        let advisories = came.iter().filter(|got| got.subject.contains("MSG_TERMINATED")).count();
        let delivered: Vec<_> = told(&came).into_iter().filter(|told| told.len() == 1).collect();
        assert_eq!(
            (delivered, advisories),
            (expected.iter().map(|one| (*one).to_owned()).collect(), 1),
            "{policy}"
        );
        assert_eq!(counts(&mut kept), (0, 1), "{policy}");
        assert_eq!(state(&mut kept), (3, 1, 3), "it stays in its stream");
    }
}

#[test]
fn nothing_is_removed_because_its_subject_may_be_that_of_another_message() {
    for members in ["", r#","max_msgs_per_subject":1"#, r#","max_msgs_per_subject":2"#] {
        let mut kept = without_third(members);
        let before = state(&mut kept).0;
        kept.put("k.b", &[], "the fourth one");
        kept.put("k.c", &[], "the fifth one");
        assert_eq!(get(&mut kept, 3), 500, "{members}");
        let purged = kept.json("STREAM.PURGE.S", r#"{"filter":"k.*"}"#);
        let others = if members.ends_with(":1") { 2 } else { 4 };
        assert_eq!(
            (&purged["purged"], before),
            (&others.into(), if others == 2 { 2 } else { 3 }),
            "{members}"
        );
        assert_eq!((state(&mut kept).0, get(&mut kept, 3)), (1, 500), "{members}");
        let purged = kept.json("STREAM.PURGE.S", "");
        assert_eq!((&purged["purged"], get(&mut kept, 3)), (&1.into(), 404), "{members}");
    }
}

/// What the disk had when message 4 was stored, and what a start makes of it when message 3 is damaged meanwhile, is the same.
#[test]
fn an_unknown_message_takes_no_place_of_one_that_can_be_read() {
    for (members, refuses) in [("", false), (r#","discard":"new""#, true)] {
        let mut kept = without_third(&format!(r#","max_msgs":2,"max_msgs_per_subject":1{members}"#));
        assert_eq!(state(&mut kept), (2, 2, 3));
        kept.put("k.a", &[], "the fourth one");
        assert_eq!([2, 3, 4].map(|sequence| get(&mut kept, sequence)), [2, 500, 4]);
        assert_eq!(state(&mut kept), (3, 2, 4));
        let told = kept.ask_on("k.c", &[], "x");
        assert_eq!(told[0].contents.contains("error"), refuses, "{told:?}");
        kept.ask_on("k.d", &[], "x");
        let left = if refuses { (3, 2, 4) } else { (2, 5, 6) };
        assert_eq!(state(&mut kept), left, "unknown ones leave with those behind them");
    }
}

#[test]
fn a_request_for_several_last_messages_is_answered_if_they_are_known() {
    let mut kept = filled(r#","allow_direct":true"#);
    kept.journal().spoil(b"the first one");
    kept.snapshot();
    let mut ask = |subjects: &str| {
        let got = kept.ask_on("$JS.API.DIRECT.GET.S", &[], &format!(r#"{{"multi_last":[{subjects}]}}"#));
        let line = |contents: &str| contents.lines().next().unwrap_or_default().to_owned();
        got.iter().map(|got| line(&got.contents)).collect::<Vec<_>>()
    };
    assert_eq!(ask(r#""k.a","k.b""#), ["NATS/1.0", "NATS/1.0", "NATS/1.0 204 EOB"]);
    let doubtful = "NATS/1.0 500 message 1 is damaged, and nothing else is known of it";
    assert_eq!(ask(r#""k.a","k.c""#), [doubtful]);
    assert_eq!(ask(r#""k.*""#), [doubtful]);
}

#[test]
fn messages_expire_beside_a_damaged_one() {
    let mut kept = filled(r#","max_age":10000000000"#);
    kept.snapshot();
    assert_eq!(kept.files().spoil(b"the second one"), 1);
    // They were stored at 0, 1 and 2 seconds.
    kept.after(7500);
    assert_eq!(state(&mut kept), (2, 2, 3));
    let rings = (0..20).filter(|_| kept.ring_after(5)).count();
    assert!(rings <= 1, "nothing is due: {rings}");
    kept.after(2000);
    assert_eq!(state(&mut kept), (0, 4, 3));
}

#[test]
fn unknown_messages_stay_when_the_history_of_subjects_changes() {
    let mut kept = without_third("");
    let updated = kept.json("STREAM.UPDATE.S", r#"{"name":"S","subjects":["k.*"],"max_msgs_per_subject":5}"#);
    assert!(updated["error"].is_null(), "{updated}");
    assert_eq!((state(&mut kept), get(&mut kept, 3)), ((3, 1, 3), 500));
}

#[test]
fn an_unknown_message_leaves_by_age_with_the_next_known_one() {
    let mut kept = without_third(r#","max_age":10000000000"#);
    kept.after(6500);
    assert_eq!(state(&mut kept), (3, 1, 3));
    kept.after(60_000);
    assert_eq!(state(&mut kept), (1, 3, 3), "nobody knows how old it is");
    kept.put("k.a", &[], "the fourth one");
    kept.after(9000);
    assert_eq!(state(&mut kept), (2, 3, 4));
    kept.after(2000);
    assert_eq!(state(&mut kept), (0, 5, 4));
}

#[test]
fn a_file_of_which_nothing_can_be_read_is_not_too_old() {
    let mut kept = filled(r#","max_age":10000000000"#);
    kept.snapshot();
    let spoiled = |files: &crate::support::simulated_disk::SimulatedDisk| {
        assert_eq!(files.erase_from(b"k.a"), 1);
    };
    let mut kept = kept.after_power_loss_with(Survival::Everything, spoiled);
    kept.after(1000);
    assert_eq!(state(&mut kept), (3, 1, 3));
    kept.put("k.a", &[], "the fourth one");
    kept.after(11_000);
    assert_eq!(state(&mut kept), (0, 5, 4));
}

#[test]
fn a_work_queue_keeps_unknown_messages_for_whoever_repairs_it() {
    let mut kept = without_third(r#","retention":"workqueue""#);
    create_consumer(&mut kept, r#","filter_subject":"k.b""#);
    let came = next(&mut kept, r#"{"batch":2,"no_wait":true}"#);
    assert_eq!(told(&came)[0], "2");
    kept.ask_on(&came[0].reply, &[], "+ACK");
    assert_eq!((state(&mut kept), get(&mut kept, 1), get(&mut kept, 3)), ((2, 1, 3), 1, 500));
    let mut kept = kept.after_power_loss(Survival::Everything);
    assert_eq!((state(&mut kept), get(&mut kept, 3)), ((2, 1, 3), 500));
}
