//! What a disk refuses to read, for a moment or for good, is lost to nobody who could read it later, and holds nobody for long.

use super::unreadable::{create_consumer, next, three_messages, told};

/// Pieces that fill what may wait for the disk.
const PIECE: usize = 1 << 20;
const PIECES: usize = 64;

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
