//! What a disk refuses to read, for a moment or for good, is lost to nobody who could read it later, and holds nobody for long.

use super::unreadable::{create_consumer, next, three_messages, told};
use crate::support::kept_streams::{Got, KeptStreams};

/// More than a disk reads at once, so that each message is in sectors of its own.
const LONG: usize = 10_000;

/// Pieces that fill what may wait for the disk.
const PIECE: usize = 1 << 20;
const PIECES: usize = 64;

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
