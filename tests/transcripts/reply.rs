//! Replies as values: decoded from either protocol version and written down without ambiguity.
//!
//! | on the wire | in a transcript |
//! |---|---|
//! | `+OK` | `OK`, or `(simple) "…"` where the bare word could be taken for something else |
//! | `-ERR …` | `(error) ERR …` |
//! | `:1` | `(integer) 1` |
//! | `$…` | `"…"` |
//! | `$-1`, `*-1`, `_` | `(nil)`, `(nil array)`, `(null)` |
//! | `*…` | `1) …`, `2) …`, nested ones indented; `(empty array)` |
//! | `%…` | `1# "key" => value`; `(empty map)` |
//! | `~…` | `1~ …`; `(empty set)` |
//! | `,` `#` `(` `=` | `(double) …`, `(true)`, `(false)`, `(number) …`, `(verbatim txt) "…"` |
//! | `>…` | `(push) "message" "channel" "payload"`, in one line |

use super::arguments::quote;
use super::format::DIRECTIVES;

/// Aggregates nested deeper than this are a broken stream.
const NESTING_MAX: usize = 32;

/// One reply or message.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    /// `+`
    Simple(Vec<u8>),
    /// `-`
    Error(Vec<u8>),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `$-1`
    Nil,
    /// `*-1`
    NilArray,
    /// `_`
    Null,
    /// `*`
    Array(Vec<Value>),
    /// `%`
    Map(Vec<(Value, Value)>),
    /// `~`
    Set(Vec<Value>),
    /// `>`
    Push(Vec<Value>),
    /// `,` as it was written
    Double(String),
    /// `#`
    Boolean(bool),
    /// `(`
    Number(String),
    /// `=`: its format and its text
    Verbatim(String, Vec<u8>),
    /// A frame of the broker's door, in the lines that a transcript writes for it
    Frame(Vec<String>),
}

/// Decodes the value that `bytes` start with, and tells its length; `None` if more bytes are needed.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Value, usize)>, String> {
    let mut reader = Reader { bytes, at: 0 };
    Ok(reader.value(0)?.map(|value| (value, reader.at)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Option<Value>, String> {
        if depth > NESTING_MAX {
            return Err("a reply is nested too deep".to_owned());
        }
        let Some(line) = self.line() else { return Ok(None) };
        let (Some(&kind), Some(text)) = (line.first(), line.get(1..)) else {
            return Err("a reply starts with an empty line".to_owned());
        };
        let value = match kind {
            b'+' => Value::Simple(text.to_vec()),
            b'-' => Value::Error(text.to_vec()),
            b':' => Value::Integer(number(text)?),
            b'_' => Value::Null,
            b',' => Value::Double(word(text)),
            b'(' => Value::Number(word(text)),
            b'#' => Value::Boolean(text == b"t"),
            b'$' if text == b"-1" => Value::Nil,
            b'*' if text == b"-1" => Value::NilArray,
            b'$' | b'=' | b'!' => {
                let Some(bytes) = self.exactly(count(text)?)? else { return Ok(None) };
                match kind {
                    b'$' => Value::Bulk(bytes.to_vec()),
                    b'!' => Value::Error(bytes.to_vec()),
                    _ if bytes.get(3) == Some(&b':') => {
                        Value::Verbatim(word(&bytes[..3]), bytes[4..].to_vec())
                    }
                    _ => return Err("a verbatim string has no format".to_owned()),
                }
            }
            b'*' | b'~' | b'>' | b'%' => {
                let elements = count(text)? * if kind == b'%' { 2 } else { 1 };
                let mut values = Vec::new();
                for _ in 0..elements {
                    let Some(value) = self.value(depth + 1)? else { return Ok(None) };
                    values.push(value);
                }
                match kind {
                    b'*' => Value::Array(values),
                    b'~' => Value::Set(values),
                    b'>' => Value::Push(values),
                    _ => {
                        Value::Map(values.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
                    }
                }
            }
            _ => return Err(format!("no reply starts with {}", quote(line))),
        };
        Ok(Some(value))
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = rest.windows(2).position(|pair| pair == b"\r\n")?;
        self.at += length + 2;
        Some(&rest[..length])
    }

    fn exactly(&mut self, length: usize) -> Result<Option<&'a [u8]>, String> {
        let rest = &self.bytes[self.at..];
        if rest.len() < length + 2 {
            return Ok(None);
        }
        self.at += length + 2;
        if &rest[length..length + 2] != b"\r\n" {
            return Err("a bulk string does not end where its length says".to_owned());
        }
        Ok(Some(&rest[..length]))
    }
}

fn word(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn number(text: &[u8]) -> Result<i64, String> {
    word(text).parse().map_err(|_| format!("{} is no number", quote(text)))
}

fn count(text: &[u8]) -> Result<usize, String> {
    word(text).parse().map_err(|_| format!("{} is no length", quote(text)))
}

impl Value {
    /// The lines a transcript writes for the value.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Value::Array(values) => numbered(values, ')', "(empty array)"),
            Value::Set(values) => numbered(values, '~', "(empty set)"),
            Value::Frame(lines) => lines.clone(),
            Value::Map(pairs) if pairs.is_empty() => vec!["(empty map)".to_owned()],
            Value::Map(pairs) => {
                let pair = |(index, (key, value)): (usize, &(Value, Value))| {
                    indented(&format!("{}# ", index + 1), &format!("{} => ", key.word()), value.lines())
                };
                pairs.iter().enumerate().flat_map(pair).collect()
            }
            _ => vec![self.word()],
        }
    }

    /// The value in one line.
    fn word(&self) -> String {
        let words = |values: &[Value]| values.iter().map(Value::word).collect::<Vec<_>>().join(" ");
        match self {
            Value::Simple(text) if is_bare(text) => word(text),
            Value::Simple(text) => format!("(simple) {}", quote(text)),
            Value::Error(text) => {
                let quoted = quote(text).replace("\\\"", "\"").replace("\\\\", "\\");
                format!("(error) {}", &quoted[1..quoted.len() - 1])
            }
            Value::Integer(value) => format!("(integer) {value}"),
            Value::Bulk(bytes) => quote(bytes),
            Value::Nil => "(nil)".to_owned(),
            Value::NilArray => "(nil array)".to_owned(),
            Value::Null => "(null)".to_owned(),
            Value::Double(text) => format!("(double) {text}"),
            Value::Boolean(true) => "(true)".to_owned(),
            Value::Boolean(false) => "(false)".to_owned(),
            Value::Number(text) => format!("(number) {text}"),
            Value::Verbatim(format, text) => format!("(verbatim {format}) {}", quote(text)),
            Value::Push(values) => format!("(push) {}", words(values)),
            Value::Frame(lines) => lines.join(""),
            Value::Array(values) => format!("[{}]", words(values)),
            Value::Set(values) => format!("~[{}]", words(values)),
            Value::Map(pairs) => {
                let pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| format!("{} => {}", key.word(), value.word())).collect();
                format!("{{{}}}", pairs.join(" "))
            }
        }
    }

    /// The value with its free order taken out: maps sorted by key, and aggregates that hold only scalars sorted.
    pub(crate) fn sorted(&self) -> Value {
        let flat = |values: &[Value]| {
            let mut values: Vec<Value> = values.iter().map(Value::sorted).collect();
            if !values.iter().any(|value| matches!(value, Value::Array(_) | Value::Map(_) | Value::Set(_))) {
                values.sort_by_cached_key(Value::word);
            }
            values
        };
        match self {
            Value::Array(values) => Value::Array(flat(values)),
            Value::Set(values) => Value::Set(flat(values)),
            Value::Map(pairs) => {
                let mut pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| (key.clone(), value.sorted())).collect();
                pairs.sort_by_cached_key(|(key, _)| key.word());
                Value::Map(pairs)
            }
            other => other.clone(),
        }
    }
}

/// Whether a simple string can stand in a transcript as it is.
fn is_bare(text: &[u8]) -> bool {
    let text = word(text);
    let first_word = text.split(' ').next().unwrap_or_default();
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte))
        && !text.ends_with(' ')
        && !DIRECTIVES.contains(&first_word)
}

fn numbered(values: &[Value], mark: char, empty: &str) -> Vec<String> {
    if values.is_empty() {
        return vec![empty.to_owned()];
    }
    let line =
        |(index, value): (usize, &Value)| indented(&format!("{}{mark} ", index + 1), "", value.lines());
    values.iter().enumerate().flat_map(line).collect()
}

/// The lines with `number` before the first and blanks of its width before the others.
fn indented(number: &str, label: &str, lines: Vec<String>) -> Vec<String> {
    let line = |(index, line): (usize, String)| match index {
        0 => format!("{number}{label}{line}"),
        _ => format!("{:width$}{line}", "", width = number.len()),
    };
    lines.into_iter().enumerate().map(line).collect()
}

#[test]
fn replies_are_written_down() {
    let cases: &[(&str, &[&str])] = &[
        ("+OK\r\n", &["OK"]),
        ("+advance\r\n", &["(simple) \"advance\""]),
        ("-ERR no \"such\" thing\r\n", &["(error) ERR no \"such\" thing"]),
        ("*-1\r\n", &["(nil array)"]),
        ("*2\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n", &["1) (integer) 1", "2) 1) \"a\"", "   2) (empty array)"]),
        ("%1\r\n$1\r\nk\r\n*2\r\n:1\r\n:2\r\n", &["1# \"k\" => 1) (integer) 1", "   2) (integer) 2"]),
        (">2\r\n$1\r\nm\r\n_\r\n", &["(push) \"m\" (null)"]),
        ("=6\r\ntxt:ab\r\n", &["(verbatim txt) \"ab\""]),
    ];
    for (bytes, lines) in cases {
        let (value, length) = decode(bytes.as_bytes()).expect("a valid reply").expect("a whole reply");
        assert_eq!(
            (value.lines(), length),
            (lines.iter().map(|&line| line.to_owned()).collect(), bytes.len())
        );
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes.as_bytes()[..cut]), Ok(None), "{bytes:?} cut at {cut}");
        }
    }
}
