//! What is asked, one request a line: a subject and a body.  `<40>` stands for forty letters.  A line `differs: <reason>` says
//! that the answers to the next request differ, and why.

mod consumers;
mod others;
mod streams;

/// The scripts; each begins without streams.
pub(super) const ALL: &[&str] = &[
    streams::CREATED_STREAMS,
    streams::UPDATED_STREAMS,
    consumers::CREATED_CONSUMERS,
    consumers::NAMED_CONSUMERS,
    consumers::UPDATED_CONSUMERS,
    consumers::WORK_QUEUES,
    others::ODD_BODIES,
    others::OTHERS,
];

/// The line with its letters.
pub(super) fn expanded(line: &str) -> String {
    let mut parts = line.split('<');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('>').and_then(|(number, rest)| Some((number.parse().ok()?, rest))) {
            Some((count, rest)) => {
                text.push_str(&"x".repeat(count));
                text.push_str(rest);
            }
            None => {
                text.push('<');
                text.push_str(part);
            }
        }
    }
    text
}
