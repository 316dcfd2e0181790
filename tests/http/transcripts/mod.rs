//! HTTP transcripts: text files of requests and of the responses they get, played to a server in this process.
//!
//! ```text
//! # A comment.
//! with --requirepass sesame
//! > PUT /cache/key {"value": "hello", "ttl": 10}
//! > Authorization: Bearer sesame
//! < 201 {"etag": "<any>"}
//! a: TTL key
//! (integer) 10
//! advance 10001ms
//! > GET /cache/key
//! < 404 /problems/no-such-key
//! < content-type: application/problem+json
//! < !etag
//! ```
//!
//! | line | meaning |
//! |---|---|
//! | `with FLAGS` | the flags of the server, above all else |
//! | `> METHOD PATH BODY` | a request; its headers follow as `> Name: value`, further lines of its body as `> | LINE` |
//! | `< STATUS BODY` | the response; headers follow that it must have (`< name: value`) or must not have (`< !name`) |
//! | `< waits` | the request is not answered yet |
//! | `1> ...`, `1< ...` | the same of another client: a response may stand below what others do meanwhile |
//! | `a: COMMAND` | a command of a RESP client, and below it the golden lines of its reply and of messages that came |
//! | `advance 10s` | lets time pass |
//!
//! A response's body is compared as JSON if both are JSON; `/problems/...` stands for the problem with this address, and
//! `{...} ...` for an object with more members than these; within it, a member `"..."` stands for any more.  No body stands
//! for an empty one.  In headers, text and strings of JSON, `<any>`, `<integer>` and `<1..5>` leave open what varies, as in
//! the transcripts of RESP.

mod json;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::http::Response;
use crate::support::in_process::{InProcess, UnderWay};
use crate::transcripts::arguments::split;
use crate::transcripts::format::duration;
use crate::transcripts::pattern::{line_matches, lines_match};
use crate::transcripts::reply::decode;

/// The client of lines without a digit.
const UNNAMED: char = '0';

/// One file that is played.
struct Player<'t> {
    name: &'t str,
    lines: Vec<&'t str>,
    at: usize,
    server: InProcess,
    waiting: BTreeMap<char, UnderWay>,
}

/// Plays a file.
#[track_caller]
pub(super) fn play(name: &str, text: &str) {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let flags = lines.iter().find_map(|line| line.strip_prefix("with ")).unwrap_or_default();
    let server = InProcess::start(&flags.split(' ').filter(|flag| !flag.is_empty()).collect::<Vec<_>>());
    let mut player = Player { name, lines, at: 0, server, waiting: BTreeMap::new() };
    while player.at < player.lines.len() {
        player.step();
    }
    assert!(player.waiting.is_empty(), "{name}: a request is not answered at the end");
}

/// The client and the rest of a line that begins with an optional digit and `mark`.
fn marked(line: &str, mark: char) -> Option<(char, &str)> {
    let digit = line.chars().next().filter(char::is_ascii_digit);
    let rest = line[digit.map_or(0, char::len_utf8)..].strip_prefix(mark)?.strip_prefix(' ')?;
    Some((digit.unwrap_or(UNNAMED), rest))
}

impl<'t> Player<'t> {
    fn fail(&self, line: usize, what: &str) -> ! {
        panic!("{}:{}: {}\n{what}", self.name, line + 1, self.lines[line]);
    }

    fn step(&mut self) {
        let (at, line) = (self.at, self.lines[self.at]);
        self.at += 1;
        if line.is_empty() || line.starts_with('#') || line.starts_with("with ") {
        } else if let Some((client, start)) = marked(line, '>') {
            self.ask(at, client, start);
        } else if let Some((client, start)) = marked(line, '<') {
            self.expect(at, client, start);
        } else if let Some(time) = line.strip_prefix("advance ") {
            self.server.advance(duration(time).unwrap_or_else(|error| self.fail(at, &error)));
        } else if let [letter @ b'a'..=b'z', b':', b' ', ..] = line.as_bytes() {
            self.call(at, char::from(*letter), &line[3..]);
        } else {
            self.fail(at, "what is this line?");
        }
    }

    /// The lines below that begin with the mark of this client.
    fn below(&mut self, client: char, mark: char) -> Vec<&'t str> {
        let mut found = Vec::new();
        while let Some((_, rest)) =
            self.lines.get(self.at).and_then(|line| marked(line, mark)).filter(|(other, rest)| {
                *other == client && !rest.starts_with(|first: char| first.is_ascii_digit())
            })
        {
            found.push(rest);
            self.at += 1;
        }
        found
    }

    fn ask(&mut self, at: usize, client: char, start: &str) {
        let mut parts = start.splitn(3, ' ');
        let (Some(method), Some(path)) = (parts.next(), parts.next()) else { self.fail(at, "no path") };
        let mut body = parts.next().unwrap_or_default().to_owned();
        let mut headers: Vec<(&str, &str)> = Vec::new();
        for line in self.below(client, '>') {
            match line.strip_prefix('|') {
                Some(line) => body.extend(["\n", line.trim_start()]),
                None => headers.push(line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""))),
            }
        }
        let under_way = self.server.http().begin(method, path, &headers, body.as_bytes());
        if self.waiting.insert(client, under_way).is_some() {
            self.fail(at, "its last request is not answered");
        }
    }

    fn expect(&mut self, at: usize, client: char, start: &str) {
        let Some(mut under_way) = self.waiting.remove(&client) else { self.fail(at, "no request is open") };
        let answered = under_way.poll();
        let Some(response) = answered else {
            if start != "waits" {
                self.fail(at, "it waits");
            }
            self.waiting.insert(client, under_way);
            return;
        };
        let (status, body) = start.split_once(' ').unwrap_or((start, ""));
        if status != response.status.to_string() || !body_matches(body, &response) {
            self.fail(at, &format!("{} {}", response.status, String::from_utf8_lossy(&response.body)));
        }
        for line in self.below(client, '<') {
            let is_met = match line.strip_prefix('!') {
                Some(name) => !response.headers.iter().any(|(other, _)| other == name),
                None => response
                    .headers
                    .iter()
                    .any(|(name, value)| line_matches(line, &format!("{name}: {value}"))),
            };
            if !is_met {
                self.fail(at, &format!("{line}: {:?}", response.headers));
            }
        }
    }

    fn call(&mut self, at: usize, letter: char, command: &str) {
        let arguments = split(command).unwrap_or_else(|error| self.fail(at, &error));
        let bytes = self.server.send(letter, &arguments);
        let mut golden = Vec::new();
        while let Some(line) =
            self.lines.get(self.at).filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let is_next = marked(line, '>').is_some()
                || marked(line, '<').is_some()
                || line.starts_with("advance ")
                || matches!(line.as_bytes(), [b'a'..=b'z', b':', b' ', ..]);
            if is_next {
                break;
            }
            golden.push((*line).to_owned());
            self.at += 1;
        }
        let (mut rest, mut values) = (&bytes[..], Vec::new());
        while let Ok(Some((value, length))) = decode(rest) {
            values.extend(value.lines());
            rest = &rest[length..];
        }
        if !lines_match(&golden, &values) {
            self.fail(at, &values.join("\n"));
        }
    }
}

fn body_matches(golden: &str, response: &Response) -> bool {
    if let Some(problem) = golden.strip_prefix("/problems/") {
        return response.problem() == problem;
    }
    let (expected, is_part) = match golden.strip_suffix(" ...") {
        Some(start) => (start, true),
        None => (golden, false),
    };
    match (serde_json::from_str(expected), serde_json::from_slice(&response.body)) {
        (Ok(expected), Ok(body)) => json::matches(&expected, &body, is_part),
        _ => line_matches(golden, &String::from_utf8_lossy(&response.body)),
    }
}

#[test]
fn the_door_answers_as_the_transcripts_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/transcripts");
    let mut count = 0;
    for entry in fs::read_dir(directory).expect("the directory is there") {
        let path = entry.expect("an entry is readable").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let text = fs::read_to_string(&path).expect("a transcript is readable text");
            play(&path.file_name().expect("it is a file").to_string_lossy(), &text);
            count += 1;
        }
    }
    assert!(count > 0, "there are transcripts");
}

#[test]
fn a_transcript_is_played_and_its_faults_are_found() {
    let passes = "with --databases 2\n\n> PUT /cache/key {\"value\": \"hello\", \"ttl\": 10}\n> X-Request-Id: seven\n\
                  < 201 {\"etag\": \"<any>\"} ...\n< x-request-id: s<any>n\n< !retry-after\na: TTL key\n\
                  (integer) <9..10>\nadvance 10001ms\n> GET /cache/key\n< 404 /problems/no-such-key\n\
                  > POST /lock {\"resource\": \"x\", \"ttl\": 1, \"owner\": \"a\"}\n< 200 {} ...\n\
                  1> POST /lock {\"resource\": \"x\", \"ttl\": 9, \"owner\": \"b\", \"wait_ms\": 5000}\n1< waits\n\
                  advance 1s\n1< 200 {\"owner\": \"b\", \"waited_ms\": 1000} ...\n> DELETE /cache\n< 204\n";
    play("passes", passes);
    for (right, wrong) in [
        ("< 201", "< 200"),
        ("{} ...", "{}"),
        ("< !retry-after", "< !x-request-id"),
        ("s<any>n", "<integer>"),
        ("<9..10>", "<1..2>"),
        ("no-such-key", "not-found"),
        ("1000}", "1001}"),
        ("1< waits\n", "1< 200\n"),
        ("< 204", "< 204 x"),
    ] {
        assert!(passes.contains(right));
        let text = passes.replacen(right, wrong, 1);
        assert!(std::panic::catch_unwind(|| play("fails", &text)).is_err(), "{wrong} is not found");
    }
}
