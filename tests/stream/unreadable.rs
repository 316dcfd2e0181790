//! Files that are damaged while a server runs, or before it starts: what cannot be read is told or passed over, and everything
//! else goes on.

use crate::support::kept_streams::{Got, KeptStreams};
use crate::support::simulated_disk::Survival;

/// When the second of three messages that are a second apart was stored, less half a second.
const BEFORE_SECOND: &str = "2027-01-15T08:00:00.5Z";

fn create_consumer(kept: &mut KeptStreams, members: &str) -> serde_json::Value {
    let config = format!(r#"{{"durable_name":"C","ack_policy":"explicit"{members}}}"#);
    kept.json("CONSUMER.CREATE.S.C", &format!(r#"{{"stream_name":"S","config":{config}}}"#))
}

/// The sequences of the messages that a pull of so many gets.
fn pull(kept: &mut KeptStreams, batch: usize) -> Vec<u64> {
    let got = next(kept, &format!(r#"{{"batch":{batch},"no_wait":true}}"#));
    got.iter().filter_map(sequence_of).collect()
}

/// What comes of a request for messages.
fn next(kept: &mut KeptStreams, body: &str) -> Vec<Got> {
    kept.ask_on("$JS.API.CONSUMER.MSG.NEXT.S.C", &[], body)
}

/// The sequences of what came, and the statuses.
fn told(got: &[Got]) -> Vec<String> {
    let status = |got: &Got| got.contents.trim_start_matches("NATS/1.0 ").trim_end().to_owned();
    got.iter()
        .map(|got| sequence_of(got).map_or_else(|| status(got), |sequence| sequence.to_string()))
        .collect()
}

/// `num_pending` and `num_ack_pending`.
fn counts(kept: &mut KeptStreams) -> (u64, u64) {
    let info = kept.json("CONSUMER.INFO.S.C", "");
    let number = |name: &str| info[name].as_u64().expect("a number");
    (number("num_pending"), number("num_ack_pending"))
}

const UNREADABLE: &str = "500 Cannot Read Message 2 of S";

fn sequence_of(got: &Got) -> Option<u64> {
    got.reply.strip_prefix("$JS.ACK.S.C.")?.split('.').nth(1)?.parse().ok()
}

/// Three messages in a file, a second apart.
fn three_messages() -> KeptStreams {
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
fn a_request_whose_message_is_damaged_gets_a_status_in_its_place() {
    let requests =
        [r#"{"batch":1}"#, r#"{"batch":1,"expires":5000000000}"#, r#"{"batch":1,"no_wait":true}"#, "1", ""];
    for body in requests {
        let mut kept = three_messages();
        kept.files().spoil(b"the second one");
        create_consumer(&mut kept, "");
        let got: Vec<_> = (0..3).map(|_| told(&next(&mut kept, body))).collect();
        assert_eq!(got, [["1"], [UNREADABLE], ["3"]], "{body}");
    }
    let mut kept = three_messages();
    kept.files().spoil(b"the second one");
    create_consumer(&mut kept, "");
    let got = next(&mut kept, r#"{"batch":5,"no_wait":true}"#);
    assert_eq!(told(&got), ["1", UNREADABLE, "3", "404 No Messages"]);
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
    let mut got = next(&mut kept, "1");
    got.extend(kept.advance());
    assert_eq!(told(&got)[0], UNREADABLE);
    let [_, advisory] = &got[..] else { panic!("{got:?}") };
    let advisory: serde_json::Value = serde_json::from_str(&advisory.contents).expect("JSON");
    assert_eq!((&advisory["stream_seq"], &advisory["deliveries"]), (&2.into(), &1.into()), "{advisory}");
    assert_eq!(advisory["reason"], "the message cannot be read");
    assert_eq!(
        told(&next(&mut kept, "1")),
        ["3"],
        "it takes no place among those without an acknowledgement"
    );
    let state = kept.json("STREAM.INFO.S", "")["state"].clone();
    assert_eq!((&state["messages"], &state["first_seq"]), (&2.into(), &2.into()), "{state}");
    let mut kept = kept.after_power_loss(Survival::Everything);
    assert_eq!(kept.after(60_000), [], "nothing more is told");
    assert_eq!(told(&next(&mut kept, "1")), ["3"]);
    assert_eq!(counts(&mut kept), (0, 1));
}

#[test]
fn a_message_that_the_disk_refuses_comes_again() {
    let mut kept = three_messages();
    create_consumer(&mut kept, r#","max_ack_pending":1,"max_deliver":3"#);
    kept.files().refuse_reads_after(Some(0));
    assert_eq!(told(&next(&mut kept, "1")), ["500 Cannot Read Message 1 of S"]);
    kept.files().refuse_reads_after(None);
    let second = next(&mut kept, "1");
    assert_eq!(told(&second), ["2"], "the first one takes no place");
    kept.ask_on(&second[0].reply, &[], "+ACK");
    assert_eq!(told(&next(&mut kept, r#"{"batch":1}"#)), ["3"]);
    kept.ask_on(&second[0].reply.replace(".1.2.", ".1.3."), &[], "+ACK");
    assert_eq!(told(&next(&mut kept, r#"{"batch":1,"no_wait":true}"#)), ["404 No Messages"]);
    kept.after(30_000);
    let again = next(&mut kept, "1");
    assert_eq!(told(&again), ["1"]);
    assert!(again[0].reply.starts_with("$JS.ACK.S.C.2."), "{again:?}");
}

#[test]
fn a_message_that_the_disk_refuses_is_delivered_no_more_often_than_others() {
    let mut kept = three_messages();
    create_consumer(&mut kept, r#","ack_wait":1000000000,"max_deliver":2,"filter_subject":"s""#);
    kept.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>");
    kept.files().refuse_reads_after(Some(0));
    assert_eq!(told(&next(&mut kept, "1")), ["500 Cannot Read Message 1 of S"]);
    kept.after(1_000);
    let mut got = next(&mut kept, "1");
    got.extend(kept.advance());
    assert_eq!(told(&got)[0], "500 Cannot Read Message 1 of S");
    assert!(got[1].subject.starts_with("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"), "{got:?}");
    kept.files().refuse_reads_after(None);
    assert_eq!(pull(&mut kept, 3), [2, 3]);
}

#[test]
fn a_damaged_message_leaves_no_hole_in_the_numbers_of_who_acknowledges_nothing() {
    let mut kept = three_messages();
    kept.files().spoil(b"the second one");
    let config = r#"{"deliver_subject":"_INBOX.push","ack_policy":"none"}"#;
    let mut got =
        kept.ask_on("$JS.API.CONSUMER.CREATE.S", &[], &format!(r#"{{"stream_name":"S","config":{config}}}"#));
    let pushed = |got: Vec<Got>| -> Vec<Vec<String>> {
        let numbers = |got: &Got| got.reply.split('.').skip(5).take(2).map(str::to_owned).collect();
        got.iter().filter(|got| got.subject == "s").map(numbers).collect()
    };
    // The other order would have an ordered consumer of a client begin anew, again and again.
    got.extend(kept.advance());
    assert_eq!(pushed(got), [["1", "1"], ["3", "2"]]);
    let got = kept.ask_on("s", &[], "the fourth one");
    assert_eq!(pushed(got), [["4", "3"]]);
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
