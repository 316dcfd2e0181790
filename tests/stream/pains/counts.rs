//! What a start and a write cost, as counts of what the disk is asked for.

use crate::support::kept_streams::KeptStreams;
use crate::support::simulated_disk::Survival;

/// Streams that a server starts with.
const STREAMS: usize = 8;

/// The most reads for a stream whose messages lie in one file: of its head, its end and what lies between.
const READS_MAX: usize = 4;

/// Messages of a write.
const MESSAGES: usize = 500;

/// Bytes of a message.
const PAYLOAD: usize = 1024;

/// How many reads a start takes, and of how many bytes, with so many messages in each stream.
fn reads_of_a_start(messages: usize) -> (usize, usize) {
    let mut kept = KeptStreams::new();
    for stream in 0..STREAMS {
        kept.create(&format!("S{stream}"), &format!(r#""subjects":["s{stream}.*"]"#));
        for message in 0..messages {
            kept.publish(&format!("s{stream}.{}", message % 4), "", "", &"x".repeat(PAYLOAD));
        }
        kept.advance();
    }
    kept.snapshot();
    let mut kept = kept.after_power_loss(Survival::Nothing);
    let reads = kept.files().take_placed_reads();
    for stream in 0..STREAMS {
        assert_eq!(kept.json(&format!("STREAM.INFO.S{stream}"), "")["state"]["messages"], messages);
    }
    (reads.len(), reads.iter().sum())
}

/// The operations of a write of all messages, over so many subjects of which each keeps its last message.
fn operations_of_a_write(subjects: usize) -> u64 {
    let mut kept = KeptStreams::new();
    kept.create("D", r#""subjects":["d.*"],"max_msgs_per_subject":1"#);
    let before = kept.operations();
    for message in 0..MESSAGES {
        kept.publish(&format!("d.{}", message % subjects), "", "", "x");
    }
    kept.advance();
    let operations = kept.operations() - before;
    assert_eq!(kept.sequences("D").len(), subjects);
    operations
}

#[test]
fn a_start_reads_files_once_and_not_message_by_message() {
    let (reads, bytes) = reads_of_a_start(400);
    assert!(reads <= READS_MAX * STREAMS, "{reads} reads");
    // A message takes less than 64 bytes beside its payload.
    assert!(bytes <= STREAMS * 400 * (PAYLOAD + 64), "{bytes} bytes");
}

#[test]
fn messages_of_many_subjects_are_written_like_those_of_one() {
    assert_eq!(operations_of_a_write(MESSAGES), operations_of_a_write(1));
}
