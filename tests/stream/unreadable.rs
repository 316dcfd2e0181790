//! Files that are damaged while a server runs, or before it starts: what cannot be read is told or passed over, and everything
//! else goes on.

use crate::support::kept_streams::{Got, KeptStreams};
use crate::support::simulated_disk::Survival;

/// When the second of three messages that are a second apart was stored, less half a second.
const BEFORE_SECOND: &str = "2027-01-15T08:00:00.5Z";

pub(super) fn create_consumer(kept: &mut KeptStreams, members: &str) -> serde_json::Value {
    let config = format!(r#"{{"durable_name":"C","ack_policy":"explicit"{members}}}"#);
    kept.json("CONSUMER.CREATE.S.C", &format!(r#"{{"stream_name":"S","config":{config}}}"#))
}

/// The sequences of the messages that a pull of so many gets.
fn pull(kept: &mut KeptStreams, batch: usize) -> Vec<u64> {
    let got = next(kept, &format!(r#"{{"batch":{batch},"no_wait":true}}"#));
    got.iter().filter_map(sequence_of).collect()
}

/// What comes of a request for messages.
pub(super) fn next(kept: &mut KeptStreams, body: &str) -> Vec<Got> {
    kept.ask_on("$JS.API.CONSUMER.MSG.NEXT.S.C", &[], body)
}

/// The sequences of what came, and the statuses.
pub(super) fn told(got: &[Got]) -> Vec<String> {
    let status = |got: &Got| got.contents.trim_start_matches("NATS/1.0 ").trim_end().to_owned();
    got.iter()
        .map(|got| sequence_of(got).map_or_else(|| status(got), |sequence| sequence.to_string()))
        .collect()
}

/// `num_pending` and `num_ack_pending`.
pub(super) fn counts(kept: &mut KeptStreams) -> (u64, u64) {
    let info = kept.json("CONSUMER.INFO.S.C", "");
    let number = |name: &str| info[name].as_u64().expect("a number");
    (number("num_pending"), number("num_ack_pending"))
}

fn sequence_of(got: &Got) -> Option<u64> {
    got.reply.strip_prefix("$JS.ACK.S.C.")?.split('.').nth(1)?.parse().ok()
}

/// A consumer that pushes to the client and expects no acknowledgements.
fn push_without_acknowledgements(kept: &mut KeptStreams) -> Vec<Got> {
    let config = r#"{"deliver_subject":"_INBOX.push","ack_policy":"none"}"#;
    kept.ask_on("$JS.API.CONSUMER.CREATE.S", &[], &format!(r#"{{"stream_name":"S","config":{config}}}"#))
}

/// What was pushed: sequence, number of the delivery, and how many are left.
fn pushed(got: &[Got]) -> Vec<[String; 3]> {
    let numbers = |got: &Got| {
        let parts: Vec<&str> = got.reply.split('.').collect();
        [parts[5], parts[6], parts[8]].map(str::to_owned)
    };
    got.iter().filter(|got| got.subject == "s").map(numbers).collect()
}

/// Three messages in a file, a second apart.
pub(super) fn three_messages() -> KeptStreams {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s"]"#);
    for payload in ["the first one", "the second one", "the third one"] {
        kept.put("s", &[], payload);
        kept.after(1000);
    }
    kept.snapshot();
    kept
}

/// Twenty-one messages of a mebibyte in three files.
fn three_files() -> KeptStreams {
    let mut kept = KeptStreams::new();
    // By this limit files have eight mebibytes.  The last one has no footer, but a message that the consumer does not want.
    kept.create("S", r#""subjects":["s.*"],"max_bytes":40000000"#);
    let long = "x".repeat(1 << 20);
    for number in 1..=21 {
        kept.put(&format!("s.{}", number % 2), &[], &long);
    }
    kept.snapshot();
    kept
}

#[test]
fn a_damaged_footer_hides_no_message() {
    let mut kept = three_files();
    assert_eq!(kept.files().spoil_ends(), 3);
    let created = create_consumer(&mut kept, r#","filter_subject":"s.0""#);
    assert_eq!(created["num_pending"], 10, "{created}");
    let mut found = Vec::new();
    for _ in 0..10 {
        found.extend(pull(&mut kept, 1));
    }
    assert_eq!(found, (1..=10).map(|number| 2 * number).collect::<Vec<u64>>());
}

#[test]
fn a_message_that_cannot_be_read_is_passed_over() {
    let mut kept = three_messages();
    assert_eq!(kept.files().spoil(b"the second one"), 1);
    create_consumer(&mut kept, "");
    assert_eq!(pull(&mut kept, 3), [1, 3]);
    let told = kept.json("STREAM.MSG.GET.S", r#"{"seq":2}"#);
    assert!(told["error"]["description"].is_string(), "{told}");
    kept.put("s", &[], "the fourth one");
    assert_eq!(pull(&mut kept, 1), [4]);
    assert_eq!(counts(&mut kept), (0, 3), "nobody is to acknowledge the damaged one");
}

#[test]
fn a_request_whose_message_is_damaged_gets_the_next_one() {
    let requests =
        [r#"{"batch":1}"#, r#"{"batch":1,"expires":5000000000}"#, r#"{"batch":1,"no_wait":true}"#, "1", ""];
    for body in requests {
        let mut kept = three_messages();
        kept.files().spoil(b"the second one");
        create_consumer(&mut kept, "");
        let got: Vec<_> = (0..2).map(|_| told(&next(&mut kept, body))).collect();
        assert_eq!(got, [["1"], ["3"]], "{body}");
    }
}

/// A request that ends has what it was told: the messages that can be read, and how many more it may wait for.
#[test]
fn a_request_over_a_damaged_message_ends_as_it_would_without_that_message() {
    let at_once = [
        (r#"{"batch":5,"no_wait":true}"#, &["1", "3", "404 No Messages"][..]),
        (r#"{"batch":2,"no_wait":true}"#, &["1", "3"]),
        (
            r#"{"batch":2,"max_bytes":100000,"expires":5000000000}"#,
            &["1", "3", "409 Batch Completed\r\nNats-Pending-Messages: 0"],
        ),
        (r#"{"batch":3,"expires":5000000000}"#, &["1", "3"]),
    ];
    for (body, expected) in at_once {
        let mut kept = three_messages();
        kept.files().spoil(b"the second one");
        create_consumer(&mut kept, "");
        let got = told(&next(&mut kept, body));
        assert_eq!(got.len(), expected.len(), "{body}: {got:?}");
        let is_as = got.iter().zip(expected).all(|(got, expected)| got.starts_with(expected));
        assert!(is_as, "{body}: {got:?}");
    }
    let mut kept = three_messages();
    kept.files().spoil(b"the second one");
    create_consumer(&mut kept, "");
    next(&mut kept, r#"{"batch":3,"expires":5000000000}"#);
    let got = told(&kept.after(5_000));
    let [ended] = &got[..] else { panic!("{got:?}") };
    assert!(ended.starts_with("408 Request Timeout\r\nNats-Pending-Messages: 1\r\n"), "{ended}");
}

/// Two clients that take turns: each gets as many messages as it asked for.
#[test]
fn requests_of_two_clients_share_what_can_be_read() {
    let mut kept = three_messages();
    kept.put("s", &[], "the fourth one");
    kept.put("s", &[], "the fifth one");
    kept.files().spoil(b"the second one");
    create_consumer(&mut kept, "");
    let subject = "$JS.API.CONSUMER.MSG.NEXT.S.C";
    for reply in ["_INBOX.first", "_INBOX.second"] {
        kept.publish(subject, reply, "", r#"{"batch":2,"expires":5000000000}"#);
    }
    kept.carry_on();
    assert_eq!(told(&kept.got()), ["1", "3", "4", "5"]);
}

#[test]
fn a_damaged_message_is_told_once_and_stays_in_its_stream() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s"],"retention":"workqueue""#);
    for payload in ["the first one", "the second one", "the third one"] {
        kept.put("s", &[], payload);
    }
    kept.snapshot();
    kept.files().spoil(b"the second one");
    create_consumer(&mut kept, r#","max_ack_pending":1"#);
    kept.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>");
    let first = next(&mut kept, "1");
    kept.ask_on(&first[0].reply, &[], "+ACK");
    let got = next(&mut kept, "1");
    let [advisory, third] = &got[..] else { panic!("{got:?}") };
    assert_eq!(
        sequence_of(third),
        Some(3),
        "the damaged one takes no place among those without an acknowledgement"
    );
    let advisory: serde_json::Value = serde_json::from_str(&advisory.contents).expect("JSON");
    assert_eq!((&advisory["stream_seq"], &advisory["deliveries"]), (&2.into(), &1.into()), "{advisory}");
    assert_eq!(advisory["reason"], "the message cannot be read");
    let state = kept.json("STREAM.INFO.S", "")["state"].clone();
    assert_eq!((&state["messages"], &state["first_seq"]), (&2.into(), &2.into()), "{state}");
    assert_eq!(kept.streams.counted().unreadable, 1);
    let mut kept = kept.after_power_loss(Survival::Everything);
    assert_eq!(kept.after(60_000), [], "nothing more is told");
    assert_eq!(told(&next(&mut kept, "1")), ["3"]);
    assert_eq!(counts(&mut kept), (0, 1));
}

#[test]
fn a_consumer_waits_for_what_the_disk_refuses_for_a_moment() {
    for policy in ["explicit", "all", "none"] {
        let mut kept = three_messages();
        create_consumer(&mut kept, &format!(r#","ack_policy":"{policy}","max_deliver":2"#));
        kept.files().refuse_reads_after(Some(0));
        assert_eq!(told(&next(&mut kept, r#"{"batch":5,"no_wait":true}"#)), ["404 No Messages"], "{policy}");
        assert_eq!(next(&mut kept, r#"{"batch":5,"expires":60000000000}"#), [], "{policy}");
        for _ in 0..3 {
            assert_eq!(kept.after(1_000), [], "{policy}");
        }
        kept.files().refuse_reads_after(None);
        let got = kept.after(1_000);
        assert_eq!(told(&got), ["1", "2", "3"], "{policy}");
        let is_first = |got: &Got| got.reply.starts_with("$JS.ACK.S.C.1.");
        assert!(got.iter().all(is_first), "{policy}: no delivery is counted that nobody got: {got:?}");
        kept.put("s", &[], "the fourth one");
        assert_eq!(kept.streams.counted().unreadable, 0, "{policy}");
    }
}

#[test]
fn whoever_acknowledges_nothing_misses_nothing_that_the_disk_refuses_for_a_moment() {
    let mut kept = three_messages();
    kept.files().refuse_reads_after(Some(0));
    let mut got = push_without_acknowledgements(&mut kept);
    got.extend(kept.after(1_000));
    assert_eq!(pushed(&got), [[""; 3]; 0]);
    kept.files().refuse_reads_after(None);
    let got = kept.after(1_000);
    assert_eq!(pushed(&got), [["1", "1", "2"], ["2", "2", "1"], ["3", "3", "0"]]);
    let got = kept.ask_on("s", &[], "the fourth one");
    assert_eq!(pushed(&got), [["4", "4", "0"]]);
}

/// Five seconds of it are waited for.
fn out_wait(kept: &mut KeptStreams) -> Vec<Got> {
    (0..5).flat_map(|_| kept.after(1_000)).collect()
}

#[test]
fn what_the_disk_refuses_for_long_stops_nobody() {
    let mut kept = three_messages();
    create_consumer(&mut kept, "");
    kept.files().refuse_reads_after(Some(0));
    assert_eq!(next(&mut kept, r#"{"batch":5,"expires":600000000000}"#), []);
    assert_eq!(out_wait(&mut kept), []);
    assert_eq!(kept.streams.counted().unreadable, 3);
    kept.files().refuse_reads_after(None);
    kept.put("s", &[], "the fourth one");
    assert_eq!(told(&kept.after(1_000)), ["4"], "it is not behind the others");
    let again = kept.after(30_000);
    assert_eq!(told(&again), ["1", "2", "3", "4"], "they come again after the time of an acknowledgement");
    assert!(again.iter().all(|got| got.reply.starts_with("$JS.ACK.S.C.2.")), "{again:?}");
}

#[test]
fn what_the_disk_refuses_for_long_leaves_no_hole_in_the_numbers_of_who_acknowledges_nothing() {
    let mut kept = three_messages();
    kept.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>");
    kept.files().refuse_reads_after(Some(0));
    let mut got = push_without_acknowledgements(&mut kept);
    got.extend(out_wait(&mut kept));
    kept.files().refuse_reads_after(None);
    assert_eq!(pushed(&got), [[""; 3]; 0]);
    let advisories =
        got.iter().filter(|got| got.subject.starts_with("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED"));
    assert_eq!(advisories.count(), 3, "{got:?}");
    kept.put("s", &[], "the fourth one");
    assert_eq!(pushed(&kept.after(1_000)), [["4", "1", "0"]]);
}

#[test]
fn a_message_that_the_disk_refuses_is_delivered_no_more_often_than_others() {
    let mut kept = three_messages();
    create_consumer(&mut kept, r#","ack_wait":1000000000,"max_deliver":2,"filter_subject":"s""#);
    kept.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>");
    kept.files().refuse_reads_after(Some(0));
    next(&mut kept, r#"{"batch":3,"expires":600000000000}"#);
    assert_eq!(out_wait(&mut kept), []);
    let got: Vec<Got> = (0..3).flat_map(|_| kept.after(1_000)).collect();
    assert_eq!(got.len(), 3, "{got:?}");
    let is_advisory = |got: &Got| got.subject.starts_with("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES");
    assert!(got.iter().all(is_advisory), "{got:?}");
    kept.files().refuse_reads_after(None);
    kept.put("s", &[], "the fourth one");
    assert_eq!(told(&kept.after(1_000)), ["4"]);
}

/// What a start finds of a consumer that waits for the disk.
#[test]
fn a_start_goes_on_where_a_consumer_waited() {
    let mut kept = three_messages();
    create_consumer(&mut kept, "");
    kept.files().refuse_reads_after(Some(0));
    assert_eq!(next(&mut kept, r#"{"batch":3,"expires":60000000000}"#), []);
    kept.snapshot();
    let mut kept = kept.after_power_loss(Survival::Everything);
    let mut got = next(&mut kept, r#"{"batch":3,"expires":60000000000}"#);
    got.extend(kept.after(30_000));
    let mut sequences: Vec<u64> = got.iter().filter_map(sequence_of).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, [1, 2, 3], "{got:?}");
}

#[test]
fn a_damaged_message_leaves_no_hole_in_the_numbers_of_who_acknowledges_nothing() {
    let mut kept = three_messages();
    kept.files().spoil(b"the second one");
    let mut got = push_without_acknowledgements(&mut kept);
    // The other order would have an ordered consumer of a client begin anew, again and again.
    got.extend(kept.advance());
    assert_eq!(pushed(&got), [["1", "1", "2"], ["3", "2", "0"]]);
    let got = kept.ask_on("s", &[], "the fourth one");
    assert_eq!(pushed(&got), [["4", "3", "0"]]);
}

/// The reads of a start, the last of which is for a consumer.
fn reads_of_a_start(kept: KeptStreams) -> (KeptStreams, usize) {
    let kept = kept.after_power_loss(Survival::Everything);
    let reads = kept.files().take_placed_reads().len();
    (kept, reads)
}

#[test]
fn a_start_goes_on_while_the_disk_refuses_what_a_consumer_needs() {
    let mut kept = three_files();
    create_consumer(&mut kept, r#","filter_subject":"s.0""#);
    assert_eq!(pull(&mut kept, 1), [2]);
    let (kept, reads) = reads_of_a_start(kept);
    let mut kept =
        kept.after_power_loss_with(Survival::Everything, |disk| disk.refuse_reads_after(Some(reads - 1)));
    for body in ["1", r#"{"batch":1,"no_wait":true}"#] {
        assert_eq!(told(&next(&mut kept, body)), ["500 Cannot Read Messages of S"]);
    }
    assert_eq!(counts(&mut kept), (9, 1), "what it cannot deliver yet is pending");
    // Nothing of what comes meanwhile has it pass over what is there.
    kept.put("s.0", &[], "one more");
    kept.json("STREAM.PURGE.S", r#"{"seq":2}"#);
    kept.files().refuse_reads_after(None);
    kept.after(1_000);
    assert_eq!(counts(&mut kept), (10, 1));
    let expected: Vec<u64> = (2..=10).map(|number| 2 * number).chain([22]).collect();
    assert_eq!(pull(&mut kept, 20), expected);
}

#[test]
fn a_consumer_cannot_begin_at_a_time_that_damage_hides() {
    let mut kept = three_messages();
    kept.files().spoil(b"the second one");
    let start = format!(r#","deliver_policy":"by_start_time","opt_start_time":"{BEFORE_SECOND}""#);
    let refused = create_consumer(&mut kept, &start);
    let description = refused["error"]["description"].as_str().unwrap_or_default().to_owned();
    assert!(description.contains("damaged"), "{refused}");
    create_consumer(&mut kept, r#","deliver_policy":"new""#);
    kept.put("s", &[], "the fourth one");
    assert_eq!(pull(&mut kept, 1), [4]);
}

#[test]
fn a_start_over_such_damage_delivers_rather_too_much() {
    let mut kept = three_messages();
    let start = format!(r#","deliver_policy":"by_start_time","opt_start_time":"{BEFORE_SECOND}""#);
    let created = create_consumer(&mut kept, &start);
    assert_eq!(created["num_pending"], 2, "{created}");
    kept.files().spoil(b"the second one");
    let mut kept = kept.after_power_loss(Survival::Everything);
    assert_eq!(pull(&mut kept, 3), [1, 3]);
}

/// A letter without the message says which one it is about.
#[test]
fn the_dead_letter_of_a_damaged_message_names_it() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s"],"retention":"workqueue""#);
    kept.create("D", r#""subjects":["dead"],"allow_direct":true"#);
    for payload in ["the first one", "the second one", "the third one"] {
        kept.put("s", &[], payload);
    }
    kept.snapshot();
    kept.files().spoil(b"the second one");
    create_consumer(&mut kept, r#","metadata":{"quartet.dead-letter-subject":"dead"}"#);
    assert_eq!(pull(&mut kept, 3), [1, 3]);
    kept.advance();
    let state = kept.json("STREAM.INFO.S", "")["state"].clone();
    assert_eq!(state["messages"], 3, "the message stays in its stream: {state}");
    let mut kept = kept.after_power_loss(Survival::Everything);
    let letters = kept.stored("D");
    assert_eq!(letters, [(1, "dead".to_owned(), String::new())]);
    let letter = kept.ask_on("$JS.API.DIRECT.GET.D", &[], r#"{"seq":1}"#);
    let headers = &letter[0].contents;
    for expected in [
        "Nats-Stream: S\r\n",
        "Nats-Sequence: 2\r\n",
        "Nats-Consumer: C\r\n",
        "Nats-Deliveries: 1\r\n",
        "Nats-Dead-Letter-Cause: damaged\r\n",
        "Nats-Dead-Letter-Damage: ",
    ] {
        assert!(headers.contains(expected), "{expected}: {headers}");
    }
    assert_eq!(counts(&mut kept), (0, 2));
}

/// Damage that comes between the last delivery and the letter.
#[test]
fn a_message_that_is_given_up_and_damaged_by_then_is_named() {
    let mut kept = three_messages();
    kept.create("D", r#""subjects":["dead"]"#);
    create_consumer(&mut kept, r#","metadata":{"quartet.dead-letter-subject":"dead"}"#);
    let got = next(&mut kept, r#"{"batch":2,"no_wait":true}"#);
    kept.files().spoil(b"the second one");
    kept.ask_on(&got[1].reply, &[], "+TERM");
    kept.advance();
    assert_eq!(kept.stored("D"), [(1, "dead".to_owned(), String::new())]);
}

/// A message that was damaged in the file that is written to last, before a start.
#[test]
fn a_start_knows_what_is_damaged() {
    let texts = ["the first one", "the second one", "the third one", "the fourth one"];
    let subjects = ["s.a", "s.b", "s.a", "s.b"];
    let mut written = KeptStreams::new();
    written.create("S", r#""subjects":["s.*"]"#);
    for (subject, text) in subjects.into_iter().zip(texts) {
        written.put(subject, &[], text);
        written.snapshot();
    }
    for (bad, text) in (1..).zip(texts) {
        let mut kept = written.copy_with(|disk| assert_eq!(disk.spoil(text.as_bytes()), 1));
        let state = kept.json("STREAM.INFO.S", "")["state"].clone();
        assert_eq!((&state["messages"], &state["num_subjects"]), (&4.into(), &2.into()), "{bad}");
        let mut get = |wanted: &str| {
            let got = kept.json("STREAM.MSG.GET.S", wanted);
            (got["message"]["seq"].as_u64(), got["error"]["code"].as_u64())
        };
        for sequence in 1..=4 {
            let expected = if sequence == bad { (None, Some(500)) } else { (Some(sequence), None) };
            assert_eq!(get(&format!(r#"{{"seq":{sequence}}}"#)), expected, "{bad}");
        }
        for (sequence, subject) in [(3, "s.a"), (4, "s.b")] {
            let expected = if sequence == bad { (None, Some(500)) } else { (Some(sequence), None) };
            assert_eq!(get(&format!(r#"{{"last_by_subj":"{subject}"}}"#)), expected, "{bad}");
        }
        kept.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>");
        create_consumer(&mut kept, "");
        let got = next(&mut kept, r#"{"batch":4,"no_wait":true}"#);
        let sequences: Vec<u64> = got.iter().filter_map(sequence_of).collect();
        assert_eq!(sequences, (1..=4).filter(|sequence| *sequence != bad).collect::<Vec<_>>());
        let is_advisory = |got: &&Got| got.subject.starts_with("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED");
        assert_eq!(got.iter().filter(is_advisory).count(), 1, "{got:?}");
        // Nobody who has read it before takes it for overwritten.
        kept.put("s.a", &[("Nats-Expected-Last-Subject-Sequence", "3")], "the fifth one");
        kept.put("s.b", &[("Nats-Expected-Last-Subject-Sequence", "4")], "the sixth one");
    }
}
