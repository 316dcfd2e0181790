//! What users of brokers complain of most, and the tests that show that they need not complain here.
//!
//! Those that no other place is right for are in this folder.  They assert order and counts; the times are measured by
//! `benches` and told in `docs/performance.md`.

mod bursts;
mod consuming;
mod counts;
mod keeping;

use std::fs;
use std::path::Path;

/// Tests: a file, and a function in it.
type Tests = &'static [(&'static str, &'static str)];

/// The number of a pain, the pain, and the tests that hold it down.
#[rustfmt::skip]
const PAINS: &[(u8, &str, Tests)] = &[
    (1, "what was acknowledged is lost with the power",
        &[("tests/stream/power_cuts/mod.rs", "nothing_that_was_told_or_seen_is_lost_or_differs")]),
    (2, "a consumer begins anew after a loss of power",
        &[("tests/stream/power_cuts/mod.rs", "nothing_that_was_told_or_seen_is_lost_or_differs"),
            ("src/stream/consumer/tests/restore.rs", "the_records_make_the_same_consumer_upon_any_snapshot")]),
    (3, "messages of a burst are dropped in silence",
        &[("tests/stream/pains/bursts.rs", "a_burst_without_acknowledgements_is_stored_whole")]),
    (4, "streams are gone after a kill or a full disk",
        &[("tests/stream/killed.rs", "what_was_told_outlives_a_server_that_is_killed"),
            ("tests/journal/crash.rs", "a_disk_that_is_full_for_a_while_is_written_once_it_has_room")]),
    (5, "a slow reader is cut off without a warning",
        &[("tests/http/broker/feeds.rs", "a_slow_reader_is_told_what_it_has_missed"),
            ("tests/websocket/json.rs", "who_reads_too_slowly_is_told_of_the_gap_and_may_acknowledge_it")]),
    (6, "a slow reader slows all others down",
        &[("src/delivery/tests.rs", "a_stalled_receiver_costs_the_others_nothing")]),
    (7, "each reader has a copy of a message",
        &[("src/delivery/tests.rs", "a_thousand_stalled_readers_stay_within_the_budget")]),
    (8, "subjects and message ids take much memory",
        &[("src/stream/index/tests.rs", "a_subject_takes_less_than_a_hundred_bytes"),
            ("src/stream/ingest/message_ids/tests.rs", "an_id_takes_at_most_twenty_four_bytes")]),
    (9, "a restart changes which ids are known",
        &[("tests/stream/pains/keeping.rs", "ids_are_known_after_a_start_as_they_were_before")]),
    (10, "a server with many streams starts slowly",
        &[("tests/stream/pains/counts.rs", "a_start_reads_files_once_and_not_message_by_message")]),
    (11, "many subjects make publishing slow",
        &[("tests/stream/pains/counts.rs", "messages_of_many_subjects_are_written_like_those_of_one")]),
    (12, "a consumer with many filters is slow to make and counts wrongly",
        &[("tests/stream/pains/consuming.rs", "consumers_with_many_filters_count_exactly")]),
    (13, "a watch of keys misses some of them or its end",
        &[("tests/stream/pains/consuming.rs", "a_watch_begins_with_the_last_entry_of_each_key"),
            ("src/stream/consumer/tests/newest.rs", "a_watch_sees_the_last_of_each_key_then_every_change")]),
    (14, "a watch of keys is dead after a restart",
        &[("tests/interop/python/stream_jobs/restart.py", "everything_outlives_the_server")]),
    (15, "consumers stay whose readers are gone",
        &[("src/stream/upkeep/tests/watchers.rs", "consumers_end_that_have_lost_their_receivers")]),
    (16, "a request waits although there are messages",
        &[("src/stream/consumer/tests/random.rs", "a_consumer_does_as_its_twin"),
            ("tests/stream/pains/consuming.rs", "no_request_waits_while_there_is_a_message_for_it")]),
    (17, "a message that is put off keeps its place",
        &[("tests/stream/pains/consuming.rs", "messages_that_are_put_off_let_others_pass")]),
    (18, "a work queue keeps what is done or loses what is not",
        &[("tests/stream/pains/keeping.rs", "a_work_queue_has_what_is_to_be_done")]),
    (19, "messages that cannot be worked on are in the way",
        &[("tests/stream/upkeep.rs", "a_dead_letter_is_stored_once_over_losses_of_power")]),
    (20, "a message cannot be published later",
        &[("tests/stream/upkeep.rs", "a_scheduled_message_is_published_once_over_losses_of_power_and_not_early")]),
    (21, "a message cannot have a lifetime of its own",
        &[("src/stream/upkeep/tests/age.rs", "a_short_life_ends_among_long_ones"),
            ("tests/stream/upkeep.rs", "a_marker_is_stored_once_over_losses_of_power")]),
    (22, "a page that comes again does not learn what it has missed",
        &[("tests/http/streams.rs", "an_event_source_that_is_cut_a_hundred_times_misses_nothing_in_silence")]),
    (23, "subscriptions that come and go make publishing slow",
        &[("src/delivery/interest/tests.rs", "churn_elsewhere_leaves_a_remembered_lookup_alone")]),
    (24, "nobody can tell who is subscribed",
        &[("tests/http/broker/presence.rs", "who_comes_and_goes_is_told_to_every_listener"),
            ("tests/http/broker/presence.rs", "a_client_that_is_gone_has_left")]),
    (25, "there is no HTTP, entries of workers that are gone stay, and Safari breaks on compression",
        &[("tests/http/broker/messages.rs", "a_request_without_an_answer_ends_in_time_and_leaves_nothing_behind"),
            ("src/stream/consumer/tests/redelivery.rs", "what_is_not_acknowledged_in_time_goes_to_who_asks_next"),
            ("tests/websocket/handshake.rs", "compression_is_agreed_on_if_the_setting_says_so")]),
];

/// A file of the project.
fn text_of(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn every_pain_has_its_row_and_its_tests() {
    let numbers: Vec<u8> = PAINS.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=25).collect::<Vec<u8>>());
    for (number, pain, tests) in PAINS {
        assert!(!tests.is_empty(), "{number}: {pain}");
        for (file, function) in *tests {
            let text = text_of(file);
            let is_there = ["fn ", "def "].iter().any(|word| text.contains(&format!("{word}{function}(")));
            assert!(is_there, "{number}, {pain}: {file} has no {function}");
        }
    }
}
