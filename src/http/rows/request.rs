//! The content of a request: commands in JSON or one command in the path, and the encoding of replies.

use std::fmt::Formatter;

use axum::http::HeaderMap;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use quartet_protocol::resp::OwnedArguments;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::refused::Refused;

/// Commands that one request may bring.
pub(super) const COMMANDS_MAX: usize = 10_000;

/// Words that the commands of a request may have together.  A word takes up to forty times the memory of its two bytes in
/// the body.
const WORDS_MAX: usize = 1 << 20;

/// The parameter by which clients of other servers send their password.  It would end up in logs and histories.
const TOKEN: &str = "_token";

/// Asks for strings in base64.
const ENCODING: &str = "upstash-encoding";

/// Asks for replies in another form than JSON; there is none.
const FORMAT: &str = "upstash-response-format";

/// How strings of replies are spelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    /// As text, which they must be.
    Text,
    /// In base64.
    Base64,
}

impl Encoding {
    /// The encoding that the headers ask for.
    pub(super) fn of(headers: &HeaderMap) -> Result<Encoding, Refused> {
        if headers.get(FORMAT).is_some_and(|format| format != "json") {
            return Err(Refused::new("ERR Upstash-Response-Format can only be json"));
        }
        match headers.get(ENCODING).map(|encoding| encoding.as_bytes()) {
            None | Some(b"") => Ok(Encoding::Text),
            Some(b"base64") => Ok(Encoding::Base64),
            Some(_) => Err(Refused::new("ERR Upstash-Encoding can only be base64")),
        }
    }
}

/// The one command of a body.
pub(super) fn command(body: &[u8]) -> Result<OwnedArguments, Refused> {
    let mut count = 0;
    let words = read(body, CommandReader { count: &mut count })
        .map_err(|error| Refused::new(format!("ERR the body must be a command as a JSON array: {error}")))?;
    check_words(count)?;
    arguments(&words)
}

/// The commands of a body.
pub(super) fn commands(body: &[u8]) -> Result<Vec<OwnedArguments>, Refused> {
    let mut count = 0;
    let commands = read(body, CommandsReader { count: &mut count }).map_err(|error| {
        Refused::new(format!("ERR the body must be commands as a JSON array of arrays: {error}"))
    })?;
    if commands.is_empty() {
        return Err(Refused::new("ERR there is no command"));
    }
    if commands.len() > COMMANDS_MAX {
        return Err(Refused::new(format!("ERR a request may bring at most {COMMANDS_MAX} commands")));
    }
    check_words(count)?;
    commands.iter().map(|words| arguments(words)).collect()
}

fn read<'b, S: DeserializeSeed<'b>>(body: &'b [u8], reader: S) -> serde_json::Result<S::Value> {
    let mut source = serde_json::Deserializer::from_slice(body);
    let value = reader.deserialize(&mut source)?;
    source.end()?;
    Ok(value)
}

fn check_words(count: usize) -> Result<(), Refused> {
    if count > WORDS_MAX {
        return Err(Refused::new(format!("ERR a request may bring at most {WORDS_MAX} words")));
    }
    Ok(())
}

/// Reads the words of a command, and counts them; words that are too many are not kept.
struct CommandReader<'n> {
    count: &'n mut usize,
}

impl<'b> DeserializeSeed<'b> for CommandReader<'_> {
    type Value = Vec<&'b RawValue>;

    fn deserialize<D: Deserializer<'b>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_seq(self)
    }
}

impl<'b> Visitor<'b> for CommandReader<'_> {
    type Value = Vec<&'b RawValue>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            *self.count += 1;
            if *self.count <= WORDS_MAX {
                words.push(word);
            }
        }
        Ok(words)
    }
}

/// Reads commands, and counts their words; commands that are too many are not kept, except the first.
struct CommandsReader<'n> {
    count: &'n mut usize,
}

impl<'b> DeserializeSeed<'b> for CommandsReader<'_> {
    type Value = Vec<Vec<&'b RawValue>>;

    fn deserialize<D: Deserializer<'b>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_seq(self)
    }
}

impl<'b> Visitor<'b> for CommandsReader<'_> {
    type Value = Vec<Vec<&'b RawValue>>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut commands = Vec::new();
        while let Some(words) = list.next_element_seed(CommandReader { count: &mut *self.count })? {
            if commands.len() <= COMMANDS_MAX {
                commands.push(words);
            }
        }
        Ok(commands)
    }
}

fn arguments(words: &[&RawValue]) -> Result<OwnedArguments, Refused> {
    let words: Vec<Vec<u8>> = words.iter().map(|word| argument(word.get())).collect::<Result<_, _>>()?;
    owned(&words)
}

/// The refusal of what is no argument.
const NO_ARGUMENT: &str =
    "ERR an argument must be a string, a number, a boolean, or {\"base64\": \"...\"} with bytes in base64";

/// An argument that is no text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Binary {
    base64: String,
}

/// The bytes that a JSON value stands for: a string those of its text, a number or a boolean those it is written with, an
/// object with the member `base64` those that this spells.
fn argument(json: &str) -> Result<Vec<u8>, Refused> {
    match json.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(text) => Ok(text.into_bytes()),
            Err(error) => Err(Refused::new(format!("ERR a string is not valid JSON: {error}"))),
        },
        Some(b'n') => Err(Refused::new("ERR null args are not supported")),
        Some(b'{') => {
            let binary = serde_json::from_str::<Binary>(json).ok();
            let bytes = binary.and_then(|binary| BASE64_STANDARD.decode(binary.base64).ok());
            bytes.ok_or_else(|| Refused::new(NO_ARGUMENT))
        }
        Some(b'[') => Err(Refused::new(NO_ARGUMENT)),
        _ => Ok(json.as_bytes().to_vec()),
    }
}

/// The command of a path below `prefix`: each part is an argument, then the body, then the names and values of the query.
pub(super) fn path_command(path: &str, query: Option<&str>, body: &[u8]) -> Result<OwnedArguments, Refused> {
    let mut words: Vec<Vec<u8>> = path.split('/').map(|part| percent_decode_str(part).collect()).collect();
    if !body.is_empty() {
        words.push(body.to_vec());
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = match pair.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (pair, None),
        };
        if name == TOKEN {
            let text = "ERR _token is not taken: send the password as Authorization: Bearer PASSWORD";
            return Err(Refused::new(text));
        }
        let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).collect::<Vec<u8>>();
        words.push(decoded(name));
        words.extend(value.filter(|value| !value.is_empty()).map(decoded));
    }
    owned(&words)
}

fn owned(words: &[Vec<u8>]) -> Result<OwnedArguments, Refused> {
    if words.first().is_none_or(Vec::is_empty) {
        return Err(Refused::new("ERR empty command"));
    }
    Ok(OwnedArguments::from_slices(&words.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(arguments: &OwnedArguments) -> Vec<String> {
        arguments.as_arguments().iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn json_values_become_arguments() {
        let body = r#"["SET", "k\u00e9", 1.50, true, "", -1e21, {"base64": "eA=="}]"#;
        let read = command(body.as_bytes()).map_err(|refused| refused.text());
        assert_eq!(
            read.map(|read| words(&read)),
            Ok(["SET", "k\u{e9}", "1.50", "true", "", "-1e21", "x"].map(str::to_owned).into())
        );
        for (body, expected) in [
            ("", "ERR the body must be a command"),
            ("{}", "ERR the body must be a command"),
            (r#"["GET", "a"] x"#, "ERR the body must be a command"),
            ("[]", "ERR empty command"),
            (r#"[""]"#, "ERR empty command"),
            (r#"["GET", null]"#, "ERR null args are not supported"),
            (r#"["GET", ["a"]]"#, "ERR an argument must be"),
            (r#"["GET", "\ud800"]"#, "ERR a string is not valid JSON"),
            (r#"["SET", "k", {"a": 1}]"#, "ERR an argument must be"),
        ] {
            let refused = command(body.as_bytes()).err().map(|refused| refused.text()).unwrap_or_default();
            assert!(refused.starts_with(expected), "{body}: {refused}");
        }
    }

    #[test]
    fn pipelines_have_an_end() {
        let pipeline = |count: usize| format!("[{}]", vec![r#"["PING"]"#; count].join(","));
        assert_eq!(commands(pipeline(COMMANDS_MAX).as_bytes()).map(|all| all.len()).ok(), Some(COMMANDS_MAX));
        for refused in [pipeline(COMMANDS_MAX + 1).as_str(), "[]", r#"["PING"]"#, r#"[["PING"], []]"#] {
            assert!(commands(refused.as_bytes()).is_err());
        }
    }

    #[test]
    fn words_have_an_end() {
        let words = |count: usize| vec!["0"; count].join(",");
        let (most, more) = (format!("[{}]", words(WORDS_MAX)), format!("[{}]", words(WORDS_MAX + 1)));
        assert_eq!(command(most.as_bytes()).map(|read| read.as_arguments().len()).ok(), Some(WORDS_MAX));
        let several = format!("[[{}],[0]]", words(WORDS_MAX));
        for refused in [command(more.as_bytes()).err(), commands(several.as_bytes()).err()] {
            let text = refused.map(|refused| refused.text());
            assert_eq!(text.as_deref(), Some("ERR a request may bring at most 1048576 words"));
        }
    }

    #[test]
    fn a_path_is_a_command() {
        for (path, query, body, expected) in [
            ("get/k", None, "", vec!["get", "k"]),
            ("set/a%2Fb/%20", Some("EX=60&NX"), "", vec!["set", "a/b", " ", "EX", "60", "NX"]),
            ("set/k", Some("EX=60"), "a value", vec!["set", "k", "a value", "EX", "60"]),
            ("get/", Some("&"), "", vec!["get", ""]),
            ("set/k/a+b", Some("x=c+d%2B"), "", vec!["set", "k", "a+b", "x", "c d+"]),
        ] {
            let read = path_command(path, query, body.as_bytes()).map_err(|refused| refused.text());
            assert_eq!(read.map(|read| words(&read)), Ok(expected.into_iter().map(str::to_owned).collect()));
        }
        assert!(path_command("get/k", Some("_token=sesame"), b"").is_err());
        assert!(path_command("", None, b"").is_err());
    }
}
