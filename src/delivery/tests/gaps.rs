//! Where notices of missed messages stand when subscriptions of one receiver have different policies.

use super::*;

const PENDING_MAX: usize = 10_000;

/// What a receiver reads that did not read while messages of a thousand bytes were published on these subjects: the subjects
/// and numbers of messages, and the numbers of missed messages.
fn read(topics: &[Wanted<'_>], subjects: &[&str]) -> Vec<String> {
    let fan_out = fan_out(0, PENDING_MAX, SlowConsumer::DropNewest);
    let mut receiver = Receiver::new(&fan_out, 1, Encoding::Json, topics);
    let mut effects = Effects::default();
    for (number, subject) in subjects.iter().enumerate() {
        publish(&fan_out, subject, format!("{number:03}{}", "x".repeat(1000)).as_bytes(), &mut effects);
        deliver(&mut effects);
    }
    receiver.catch_up();
    let text = |line: serde_json::Value| match line["missed"].as_u64() {
        Some(missed) => format!("{} misses {missed}", topics[line["id"].as_str().map_or(0, index)].0),
        None => format!(
            "{}{}",
            line["subject"].as_str().unwrap_or_default(),
            &line["payload"].as_str().unwrap_or_default()[..3]
        ),
    };
    receiver.lines().into_iter().map(text).collect()
}

fn index(id: &str) -> usize {
    id.parse().expect("ids are numbers")
}

/// The line before the first of these lines.
fn before<'l>(lines: &'l [String], line: &str) -> &'l str {
    let at = lines.iter().position(|other| other == line).unwrap_or_else(|| panic!("{line} is in {lines:?}"));
    &lines[at - 1]
}

#[test]
fn a_notice_is_not_late_when_messages_before_it_give_way() {
    let topics = [("a", Some(SlowConsumer::DropNewest)), ("b", Some(SlowConsumer::DropOldest))];
    // So many are formatted; those behind them can be dropped.
    let formatted = ["a"; 9];
    let waiting = ["a", "b", "b", "b", "b", "b", "b", "b", "b"];
    // The first finds no room, the second has some of the `b` before it dropped, and the third finds what is left.
    let subjects = [&formatted[..], &waiting, &["a", "b", "a"]].concat();
    let lines = read(&topics, &subjects);
    assert_eq!(before(&lines, "a020"), "a misses 1", "{lines:?}");
    assert_eq!(before(&lines, "b012"), "b misses 2", "{lines:?}");
}

#[test]
fn a_notice_is_not_late_when_only_the_latest_before_it_stay() {
    let topics = [("a", Some(SlowConsumer::DropNewest)), ("b", Some(SlowConsumer::KeepLatest))];
    let formatted = ["a"; 9];
    let waiting = ["b", "b", "b", "b", "b", "b", "b", "b", "b"];
    let subjects = [&formatted[..], &waiting, &["a", "b", "a"]].concat();
    let lines = read(&topics, &subjects);
    assert_eq!(before(&lines, "a020"), "a misses 1", "{lines:?}");
}
