//! What a disk refuses to read, for a moment or for good, is lost to nobody who could read it later, and holds nobody for long.

use super::unreadable::{counts, create_consumer, next, three_messages, told};
use crate::support::kept_streams::{Got, KeptStreams};
use crate::support::simulated_disk::Survival;

/// More than two sectors, so that each message has some of its own.
const LONG: usize = 10_000;

/// Pieces that fill what may wait for the disk.
const PIECE: usize = 1 << 20;
const PIECES: usize = 64;

fn messages(kept: &mut KeptStreams) -> u64 {
    kept.json("STREAM.INFO.S", "")["state"]["messages"].as_u64().expect("a number")
}

/// A stream of so many long messages, each with its number in its middle.
fn long_messages(count: usize) -> KeptStreams {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s"]"#);
    put_long(&mut kept, count);
    kept
}

fn put_long(kept: &mut KeptStreams, count: usize) {
    let half = "x".repeat(LONG / 2);
    (1..=count).for_each(|number| kept.put("s", &[], &format!("{half}{}{half}", middle(number))));
    kept.snapshot();
}

fn middle(number: usize) -> String {
    format!("message {number:03}")
}

/// Has the disk refuse these messages.
fn refuse(kept: &KeptStreams, numbers: &[usize]) {
    let middles: Vec<String> = numbers.iter().map(|number| middle(*number)).collect();
    let middles: Vec<&[u8]> = middles.iter().map(String::as_bytes).collect();
    kept.files().refuse_reads_of(&middles);
}

/// What comes within so many seconds, as the alarm rings.
fn within(kept: &mut KeptStreams, seconds: usize) -> Vec<Got> {
    let mut got = Vec::new();
    for _ in 0..seconds {
        kept.ring_after(1_000);
        kept.carry_on();
        got.extend(kept.got());
    }
    got
}

#[test]
fn a_bad_sector_hides_neither_what_is_before_it_nor_what_is_behind() {
    let mut kept = long_messages(20);
    refuse(&kept, &[11]);
    create_consumer(&mut kept, "");
    let mut got = told(&next(&mut kept, r#"{"batch":100,"expires":60000000000}"#));
    assert_eq!(got, (1..11).map(|number| number.to_string()).collect::<Vec<_>>());
    got = told(&within(&mut kept, 6));
    assert_eq!(got, (12..=20).map(|number| number.to_string()).collect::<Vec<_>>());
    for (sequence, is_there) in [(10, true), (11, false), (12, true), (20, true)] {
        let answer = kept.json("STREAM.MSG.GET.S", &format!(r#"{{"seq":{sequence}}}"#));
        assert_eq!(answer["error"].is_null(), is_there, "{sequence}");
    }
}

/// The file that is written to last says at its end what is in it.
#[test]
fn a_bad_sector_stops_no_start() {
    let kept = long_messages(20);
    for bad in [1, 11, 20] {
        let bad_middle = middle(bad);
        let mut kept = kept.copy_with(|disk| disk.refuse_reads_of(&[bad_middle.as_bytes()]));
        assert_eq!(messages(&mut kept), 20);
        for sequence in 1..=20 {
            let answer = kept.json("STREAM.MSG.GET.S", &format!(r#"{{"seq":{sequence}}}"#));
            assert_eq!(answer["error"].is_null(), sequence != bad, "{bad}: {sequence}");
        }
    }
}

/// Each alone would be waited for.
#[test]
fn many_bad_sectors_together_hold_a_consumer_no_longer_than_one() {
    for policy in ["explicit", "none"] {
        let mut kept = long_messages(16);
        let bad = [2, 6, 10, 14];
        refuse(&kept, &bad);
        create_consumer(&mut kept, &format!(r#","ack_policy":"{policy}""#));
        let mut got = next(&mut kept, r#"{"batch":100,"expires":600000000000}"#);
        got.extend(within(&mut kept, 6));
        let good: Vec<String> =
            (1..=16).filter(|number| !bad.contains(number)).map(|number| number.to_string()).collect();
        assert_eq!(told(&got), good, "{policy}");
    }
}

#[test]
fn a_disk_that_works_again_is_waited_for_again() {
    let mut kept = long_messages(6);
    create_consumer(&mut kept, r#","ack_policy":"none""#);
    let mut bad: Vec<usize> = (1..=6).collect();
    for number in 1..=6 {
        refuse(&kept, &bad);
        assert_eq!(told(&next(&mut kept, r#"{"batch":1,"expires":60000000000}"#)), [""; 0]);
        assert_eq!(told(&within(&mut kept, 3)), [""; 0], "it waits for {number}");
        bad.remove(0);
        refuse(&kept, &bad);
        assert_eq!(told(&within(&mut kept, 1)), [number.to_string()]);
    }
}

/// Its alarm has rung when the disk takes nothing, and nothing else wakes it.
#[test]
fn a_pause_that_ends_while_the_disk_takes_nothing_is_no_end() {
    let mut kept = three_messages();
    kept.create("FULL", r#""subjects":["full"]"#);
    create_consumer(&mut kept, "");
    kept.files().refuse_reads_after(Some(0));
    assert_eq!(next(&mut kept, r#"{"batch":5,"expires":60000000000}"#), []);
    kept.files().refuse_reads_after(None);
    for _ in 0..PIECES {
        kept.publish("full", "", "", &"x".repeat(PIECE));
    }
    assert!(kept.ring_after(1_000), "the pause is over");
    assert!(kept.ring_after(1_000), "it is tried again");
    assert_eq!(told(&kept.got()), [""; 0], "what it delivers would have to be noted");
    kept.carry_on();
    assert!(kept.ring_after(1_000));
    kept.carry_on();
    assert_eq!(told(&kept.got()), ["1", "2", "3"]);
}

#[test]
fn what_is_waited_for_is_delivered_after_a_restart() {
    let survival = Survival::Everything;
    for has_snapshot in [false, true] {
        let mut kept = long_messages(3);
        refuse(&kept, &[2, 3]);
        create_consumer(&mut kept, r#","ack_policy":"none""#);
        assert_eq!(told(&next(&mut kept, r#"{"batch":5,"expires":60000000000}"#)), ["1"]);
        if has_snapshot {
            kept.snapshot();
        }
        let mut kept = kept.after_power_loss(survival);
        assert_eq!(counts(&mut kept), (2, 0));
        assert_eq!(told(&next(&mut kept, r#"{"batch":2,"no_wait":true}"#)), ["2", "3"]);
        let mut kept = kept.after_power_loss(survival);
        assert_eq!(counts(&mut kept), (0, 0), "what was delivered is not delivered again");
    }
}

/// Such a stream keeps a message until it is consumed, and one that nobody could read is not.
#[test]
fn what_is_waited_for_stays_in_a_stream_that_its_consumers_empty() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s"],"retention":"interest""#);
    create_consumer(&mut kept, r#","ack_policy":"none""#);
    put_long(&mut kept, 3);
    refuse(&kept, &[1, 2, 3]);
    assert_eq!(told(&next(&mut kept, r#"{"batch":9,"expires":600000000000}"#)), [""; 0]);
    assert_eq!(messages(&mut kept), 3, "the disk may read them later");
    refuse(&kept, &[2, 3]);
    assert_eq!(told(&within(&mut kept, 1)), ["1"]);
    assert_eq!(messages(&mut kept), 2);
    let mut kept = kept.after_power_loss(Survival::Everything);
    assert_eq!(messages(&mut kept), 2);
    refuse(&kept, &[2]);
    let mut got = told(&next(&mut kept, r#"{"batch":9,"expires":600000000000}"#));
    got.extend(told(&within(&mut kept, 6)));
    assert_eq!(got, ["3"], "what it has waited for in vain is passed over");
    refuse(&kept, &[]);
    assert_eq!(kept.sequences("S"), [2], "whoever reads it later gets it");
    let mut kept = kept.after_power_loss(Survival::Everything);
    kept.after(60_000);
    assert_eq!(kept.sequences("S"), [2]);
}

/// The letter says neither payload nor subject, so the message is all that there is.
#[test]
fn a_message_whose_letter_says_nothing_of_it_stays_in_a_work_queue() {
    for (said, rules) in [("+TERM", ""), ("-NAK", r#","max_deliver":1"#)] {
        let mut kept = KeptStreams::new();
        kept.create("S", r#""subjects":["s"],"retention":"workqueue""#);
        kept.create("D", r#""subjects":["dead"]"#);
        for payload in ["the first one", "the second one", "the third one"] {
            kept.put("s", &[], payload);
        }
        kept.snapshot();
        create_consumer(
            &mut kept,
            &format!(r#"{rules},"metadata":{{"quartet.dead-letter-subject":"dead"}}"#),
        );
        let got = next(&mut kept, r#"{"batch":3,"no_wait":true}"#);
        kept.files().spoil(b"the second one");
        for delivered in &got {
            kept.ask_on(&delivered.reply, &[], said);
        }
        kept.advance();
        let letters: Vec<String> = kept.stored("D").into_iter().map(|(_, _, payload)| payload).collect();
        assert_eq!(letters.iter().filter(|payload| payload.is_empty()).count(), 1, "{said}: {letters:?}");
        assert_eq!((letters.len(), messages(&mut kept)), (3, 1), "{said}: the others have left");
        assert_eq!(kept.files().spoil(b"uhe second one"), 1, "the bit is as it was");
        let mut kept = kept.after_power_loss(Survival::Everything);
        kept.after(60_000);
        assert_eq!((kept.sequences("D").len(), kept.sequences("S")), (3, vec![2]), "{said}");
        assert_eq!(told(&next(&mut kept, r#"{"batch":1,"no_wait":true}"#)), ["404 No Messages"], "{said}");
    }
}
