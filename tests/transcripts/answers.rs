//! Answers and advisories about streams in transcripts: a line for each member instead of JSON in one line.
//!
//! ```text
//! MSG _INBOX.a 1 | io.nats.jetstream.api.v1.stream_msg_get_response
//!  message.data: "aGVsbG8="
//!  message.seq: 1
//!  message.subject: "orders.1"
//!  message.time: (time)
//! ```
//!
//! The length is left out, and so is what nats-server says about itself.  A time reads `(time)`, since it is another each
//! time, unless it lies a lifetime away.

use serde_json::Value;

/// What the types of answers and advisories begin with.
const TYPES: &str = "io.nats.jetstream.";

/// Members of nats-server that say nothing about streams, and why not.
const LEFT_OUT: &[(&str, &str)] = &[
    ("cluster", "a server by itself leads"),
    ("domain", "there is none"),
    ("_nats.ver", "its version"),
    ("_nats.level", "its version"),
    ("_nats.req.level", "its version"),
    ("server", "its name"),
    ("client", "who caused an advisory"),
];

/// The centuries whose times are not those of a test.
const FAR: &[&str] = &["00", "19", "29"];

/// The lines of a message with this payload, if it is an answer or an advisory.
pub(super) fn lines(control: &str, payload: &[u8]) -> Option<Vec<String>> {
    let mut members: Value = serde_json::from_slice(payload).ok()?;
    let Some(Value::String(kind)) = members.as_object_mut()?.remove("type") else { return None };
    kind.starts_with(TYPES).then_some(())?;
    let (words, _length) = control.rsplit_once(' ')?;
    let mut lines = Vec::new();
    flatten("", &members, &mut lines);
    lines.sort();
    lines.insert(0, format!("{words} | {kind}"));
    Some(lines)
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    let dotted = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members.iter().filter(|(name, _)| !is_left_out(name)) {
                flatten(&dotted(name), member, lines);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            for (index, value) in values.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), value, lines);
            }
        }
        Value::String(text) if is_near_time(text) => lines.push(format!(" {path}: (time)")),
        Value::Object(_) if path.is_empty() => {}
        value => lines.push(format!(" {path}: {value}")),
    }
}

fn is_left_out(name: &str) -> bool {
    LEFT_OUT.iter().any(|(member, _)| *member == name)
}

fn is_near_time(text: &str) -> bool {
    let mask: String =
        text.chars().take(19).map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    mask == "0000-00-00T00:00:00" && text.ends_with('Z') && !FAR.contains(&&text[..2])
}

#[test]
fn answers_are_written_down_member_by_member() {
    let payload = br#"{"type":"io.nats.jetstream.api.v1.x","a":{"b":1,"cluster":{"leader":"me"},"c":[1,"x"]},
        "e":[{"f":"2026-01-02T03:04:05.678Z"}],"d":"0001-01-01T00:00:00Z","g":{}}"#;
    let expected = [
        "MSG a 1 | io.nats.jetstream.api.v1.x",
        " a.b: 1",
        " a.c: [1,\"x\"]",
        " d: \"0001-01-01T00:00:00Z\"",
        " e[0].f: (time)",
        " g: {}",
    ];
    assert_eq!(lines("MSG a 1 200", payload).expect("it is an answer"), expected);
    assert_eq!(lines("MSG a 1 22", br#"{"stream":"S","seq":1}"#), None);
    assert_eq!(lines("MSG a 1 5", b"hello"), None);
}
