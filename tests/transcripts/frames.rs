//! What the broker's door says, read and written down: one line for each frame.
//!
//! | on the wire | in a transcript |
//! |---|---|
//! | `PUB news 5␍␊hello␍␊` | `PUB news 5 \| hello`, likewise `HPUB`, `MSG` and `HMSG` |
//! | a payload that does not print, is empty or begins with a quote | `MSG news 1 2 \| "\r\n"` |
//! | an answer or an advisory about streams | a line for each member, see `answers` |
//! | `INFO {...}` | `INFO`, and a line ` name: value` for each field, by name |
//! | anything else | as it is |

use super::answers;
use super::arguments::{quote, split};
use super::reply::Value;

/// What stands between a frame's line and its payload.
const PAYLOAD_MARK: &str = " | ";

/// The words of frames that carry a payload, whose length is the last number of the line.
const WITH_PAYLOAD: &[&str] = &["MSG", "HMSG"];

/// The words of frames that a server may send at any time.
pub(crate) const UNASKED: &[&str] = &["INFO", "PING"];

/// The bytes of a line that a client sends.
pub(crate) fn encode(line: &str) -> Result<Vec<u8>, String> {
    let (control, payload) = match line.split_once(PAYLOAD_MARK) {
        Some((control, payload)) => (control, Some(payload)),
        None => (line, None),
    };
    let mut bytes = format!("{control}\r\n").into_bytes();
    if let Some(payload) = payload {
        match split(payload) {
            Ok(words) if payload.starts_with('"') && words.len() == 1 => bytes.extend(&words[0]),
            _ if payload.starts_with('"') => return Err(format!("{payload} is no quoted payload")),
            _ => bytes.extend_from_slice(payload.as_bytes()),
        }
        bytes.extend_from_slice(b"\r\n");
    }
    Ok(bytes)
}

/// Decodes the frame that `bytes` start with, and tells its length; `None` if more bytes are needed.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Value, usize)>, String> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| format!("{} is no text", quote(bytes)))?;
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let start = end + 2;
    if WITH_PAYLOAD.contains(&word) {
        let length = rest.rsplit(' ').next().and_then(|length| length.parse().ok());
        let length: usize = length.ok_or_else(|| format!("{line} has no length"))?;
        let Some(payload) = bytes.get(start..start + length + 2) else { return Ok(None) };
        let Some(payload) = payload.strip_suffix(b"\r\n") else {
            return Err(format!("the payload of {line} does not end where its length says"));
        };
        let lines = answers::lines(line, payload)
            .unwrap_or_else(|| vec![format!("{line}{PAYLOAD_MARK}{}", printed(payload))]);
        return Ok(Some((Value::Frame(lines), start + length + 2)));
    }
    match word {
        "INFO" => Ok(Some((Value::Frame(fields(rest)?), start))),
        "PING" | "PONG" | "+OK" | "-ERR" => Ok(Some((Value::Frame(vec![line.to_owned()]), start))),
        _ => Err(format!("no frame begins with {line:?}")),
    }
}

/// The first word of a frame.
pub(crate) fn word(frame: &Value) -> &str {
    let Value::Frame(lines) = frame else { return "" };
    lines[0].split(' ').next().unwrap_or_default()
}

/// A payload as transcripts write it.
fn printed(payload: &[u8]) -> String {
    let prints = |byte: &u8| matches!(byte, b' '..=b'~');
    match std::str::from_utf8(payload) {
        Ok(text) if payload.iter().all(prints) && text.trim() == text && !text.is_empty() => {
            if text.starts_with('"') { quote(payload) } else { text.to_owned() }
        }
        _ => quote(payload),
    }
}

/// The lines of INFO.
fn fields(json: &str) -> Result<Vec<String>, String> {
    let fields: serde_json::Value = serde_json::from_str(json).map_err(|error| format!("{error}: {json}"))?;
    let fields = fields.as_object().ok_or("INFO is no object")?;
    let mut lines: Vec<String> = fields.iter().map(|(name, value)| format!(" {name}: {value}")).collect();
    lines.sort();
    lines.insert(0, "INFO".to_owned());
    Ok(lines)
}

#[test]
fn frames_are_written_down() {
    let cases: &[(&str, &[&str])] = &[
        ("PONG\r\n", &["PONG"]),
        ("-ERR 'Invalid Subject'\r\n", &["-ERR 'Invalid Subject'"]),
        ("MSG news 1 2\r\nhi\r\n", &["MSG news 1 2 | hi"]),
        ("MSG news 1 reply 0\r\n\r\n", &["MSG news 1 reply 0 | \"\""]),
        (
            "HMSG news 1 12 13\r\nNATS/1.0\r\n\r\n\"\r\n",
            &["HMSG news 1 12 13 | \"NATS/1.0\\r\\n\\r\\n\\\"\""],
        ),
        ("INFO {\"b\":1,\"a\":\"x\"}\r\n", &["INFO", " a: \"x\"", " b: 1"]),
    ];
    for (bytes, lines) in cases {
        let (value, length) = decode(bytes.as_bytes()).expect("a valid frame").expect("a whole frame");
        assert_eq!(
            (value.lines(), length),
            (lines.iter().map(|&line| line.to_owned()).collect(), bytes.len())
        );
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes.as_bytes()[..cut]), Ok(None), "{bytes:?} cut at {cut}");
        }
    }
    assert_eq!(encode("PUB a 2 | hi"), Ok(b"PUB a 2\r\nhi\r\n".to_vec()));
    assert_eq!(encode("PUB a 2 | \"\\r\\n\""), Ok(b"PUB a 2\r\n\r\n\r\n".to_vec()));
    assert!(encode("PUB a 2 | \"hi").is_err());
    assert!(decode(b"MSG a 1 2\r\nhi, \r\n").is_err());
}
