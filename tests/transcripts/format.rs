//! The transcript file: reading it, and writing golden replies back into it.
//!
//! ```text
//! # A comment.
//! a: SET greeting "hello world"
//! OK
//! b: SUBSCRIBE news
//! 1) "subscribe"
//! 2) "news"
//! 3) (integer) 1
//! a: PUBLISH news hi
//! (integer) 1
//! b< 1) "message"
//! b< 2) "news"
//! b< 3) "hi"
//! ```
//!
//! In the folders `frames` and `streams` clients speak to the broker's door instead:
//!
//! ```text
//! with --broker-max-payload 8
//! nats max_payload: 8
//! a: SUB news.> 1
//! b: PUB news.art 5 | hello
//! a< MSG news.art 1 5 | hello
//! b! "PUB news.art 9\r\n"
//! -ERR 'Maximum Payload Violation'
//! (closed)
//! ```
//!
//! A letter and a colon name the client that sends a command, a letter and `!` one that sends the raw bytes of its
//! quoted arguments.  Below stands what that client receives, and with `b< ` what others do; `(closed)` says that the
//! connection ended, the next command of that letter opens another.  The other lines are directives:
//!
//! | directive | meaning |
//! |---|---|
//! | `advance 100ms`, `advance 10s` | lets time pass |
//! | `disconnect a` | closes the connection of a client |
//! | `restart` | stops the server in order and starts it again on what it has kept |
//! | `crash` | cuts the power: the server starts again on what was synced |
//! | `unordered` | the next command's reply may come in any order; the golden one is sorted |
//! | `difference redis: reason` | the next command is answered otherwise by that peer, for this reason |
//! | `difference nats b: reason` | the same, and only client `b` receives something else: what others receive is compared |
//! | `since valkey 9.0` | the next command, or above the first command the whole file, is that new |
//! | `with --setting value` | above the first command: a setting of Quartet, quoted where it has spaces |
//! | `nats setting: value` | above the first command: a line of the configuration of nats-server |
//! | `connect a` | opens the connection of a client, which its first command does otherwise |
//! | `retire` | tells the broker that it is to end and should say so to its clients |
//!
//! What a broker sends unasked, INFO and PING, is received only in files that have such a line.

use std::ops::Range;
use std::time::Duration;

use super::{arguments, frames};

/// The words that start a directive.
pub(crate) const DIRECTIVES: &[&str] =
    &["advance", "connect", "disconnect", "restart", "crash", "retire", "unordered", "difference", "since"];

/// The folder of the files whose clients speak to the broker's door.
pub(crate) const FRAMES: &str = "frames/";

/// The same for those who do something with streams.
pub(crate) const STREAMS: &str = "streams/";

/// A server to compare with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Peer {
    /// Debian's redis-server.
    Redis,
    /// The newest Valkey.
    Valkey,
    /// The newest nats-server.
    Nats,
}

/// The server and version that brought a command.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Since {
    server: String,
    version: (u32, u32),
}

/// All of them.
const PEERS: [Peer; 3] = [Peer::Redis, Peer::Valkey, Peer::Nats];

impl Peer {
    /// The name directives use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Redis => "redis",
            Peer::Valkey => "valkey",
            Peer::Nats => "nats",
        }
    }

    /// Whether this peer has what that version brought.  Valkey began as Redis 7.2.
    pub(crate) fn knows(self, since: &Since) -> bool {
        match (self, since.server.as_str()) {
            (Peer::Redis, "redis") => since.version <= (7, 0),
            (Peer::Valkey, "redis") => since.version <= (7, 2),
            (Peer::Valkey, "valkey") => since.version <= (9, 1),
            _ => false,
        }
    }
}

/// The action of a step.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Action {
    /// A client sends bytes: a request, or whatever a raw line says.
    Send(char, Vec<u8>),
    /// Time passes.
    Advance(Duration),
    /// A client connects and sends nothing.
    Connect(char),
    /// A client goes away.
    Disconnect(char),
    /// The server ends and another starts on its data.
    Restart(Stop),
    /// The server tells its clients that it ends.
    Retire,
}

/// How a server ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// It closes its connections and writes down the rest.
    InOrder,
    /// Only what was synced to the disk remains.
    PowerLost,
}

/// One step: an action and the golden lines below it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The action.
    pub(crate) action: Action,
    /// Whether it is a command rather than raw bytes or something that happens.
    pub(crate) is_command: bool,
    /// The arguments of a command or of raw bytes; none for other actions.
    pub(crate) arguments: Vec<Vec<u8>>,
    /// The line of the action, counted from one.
    pub(crate) line: usize,
    /// The golden lines.
    pub(crate) golden: Vec<String>,
    /// Where they stand, as indices of lines.
    pub(crate) golden_place: Range<usize>,
    /// The reply comes in any order.
    pub(crate) unordered: bool,
    /// Peers that are known to answer otherwise.
    pub(crate) differs: Vec<Difference>,
    /// The version that brought the command, if it is newer than the file.
    pub(crate) since: Option<Since>,
}

/// A peer that is known to answer a step otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Difference {
    /// Which peer.
    pub(crate) peer: Peer,
    /// The only client that receives something else; all do if none is named.
    pub(crate) client: Option<char>,
}

/// A file.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    /// Its name without the extension: `strings/get`.
    pub(crate) name: String,
    /// Its lines as they are.
    pub(crate) lines: Vec<String>,
    /// Its steps.
    pub(crate) steps: Vec<Step>,
    /// The version that brought the commands of the file.
    pub(crate) since: Option<Since>,
    /// Quartet's settings for the file.
    pub(crate) settings: Vec<String>,
    /// The configuration of nats-server for the file.
    pub(crate) nats_configuration: String,
}

/// Directives about the next step.
#[derive(Default)]
struct Notes {
    unordered: bool,
    differs: Vec<Difference>,
    since: Option<Since>,
}

impl Transcript {
    /// Reads a file's text.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Transcript, String> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut transcript = Transcript {
            name: name.to_owned(),
            lines,
            steps: Vec::new(),
            since: None,
            settings: Vec::new(),
            nats_configuration: String::new(),
        };
        let mut notes = Notes::default();
        for index in 0..transcript.lines.len() {
            let line = transcript.lines[index].clone();
            transcript
                .read_line(index, &line, &mut notes)
                .map_err(|error| format!("{name}:{}: {error}", index + 1))?;
        }
        Ok(transcript)
    }

    fn read_line(&mut self, index: usize, line: &str, notes: &mut Notes) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let [client @ b'a'..=b'z', mark @ (b':' | b'!'), b' ', ..] = line.as_bytes() {
            if *mark == b':' && self.is_of_frames() {
                let bytes = frames::encode(&line[3..])?;
                self.add_step(index, Action::Send(char::from(*client), bytes.clone()), vec![bytes], notes);
                return Ok(());
            }
            let arguments = arguments::split(&line[3..])?;
            let mut bytes = Vec::new();
            if *mark == b':' {
                arguments::encode(&arguments, &mut bytes);
            } else {
                bytes = arguments.concat();
            }
            self.add_step(index, Action::Send(char::from(*client), bytes), arguments, notes);
            return Ok(());
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "advance" => self.add_step(index, Action::Advance(duration(rest)?), Vec::new(), notes),
            "connect" | "disconnect" => {
                let client = rest.chars().next().ok_or("which client?")?;
                let action =
                    if word == "connect" { Action::Connect(client) } else { Action::Disconnect(client) };
                self.add_step(index, action, Vec::new(), notes);
            }
            "with" if self.steps.is_empty() => {
                let words = arguments::split(rest)?.into_iter().map(String::from_utf8);
                self.settings
                    .extend(words.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?);
            }
            "nats" if self.steps.is_empty() => self.nats_configuration += &format!("{rest}\n"),
            "unordered" => notes.unordered = true,
            "since" if self.steps.is_empty() => self.since = Some(since(rest)?),
            "since" => notes.since = Some(since(rest)?),
            "difference" => {
                let (whose, reason) = rest.split_once(": ").ok_or("a difference needs a reason")?;
                let (server, client) = whose.split_once(' ').unwrap_or((whose, ""));
                let peer = PEERS.into_iter().find(|peer| peer.name() == server).ok_or("no such peer")?;
                notes.differs.push(Difference { peer, client: client.chars().next() });
                if reason.len() < 5 {
                    return Err("a difference needs a reason".to_owned());
                }
            }
            "restart" => self.add_step(index, Action::Restart(Stop::InOrder), Vec::new(), notes),
            "retire" => self.add_step(index, Action::Retire, Vec::new(), notes),
            "crash" => self.add_step(index, Action::Restart(Stop::PowerLost), Vec::new(), notes),
            _ => {
                let step = self.steps.last_mut().ok_or("a reply without a command")?;
                if step.golden.is_empty() {
                    step.golden_place.start = index;
                }
                step.golden.push(line.to_owned());
                step.golden_place.end = index + 1;
            }
        }
        Ok(())
    }

    fn add_step(&mut self, index: usize, action: Action, arguments: Vec<Vec<u8>>, notes: &mut Notes) {
        let Notes { unordered, differs, since } = std::mem::take(notes);
        let golden_place = index + 1..index + 1;
        let (line, golden) = (index + 1, Vec::new());
        let is_command = self.lines[index].as_bytes().get(1) == Some(&b':');
        self.steps.push(Step {
            action,
            is_command,
            arguments,
            line,
            golden,
            golden_place,
            unordered,
            differs,
            since,
        });
    }

    /// Whether its clients speak to the broker's door.
    pub(crate) fn is_of_frames(&self) -> bool {
        self.name.starts_with(FRAMES) || self.is_of_streams()
    }

    /// Whether they do something with streams.
    pub(crate) fn is_of_streams(&self) -> bool {
        self.name.starts_with(STREAMS)
    }

    /// Whether a golden line is a frame that begins with this word.
    pub(crate) fn mentions(&self, word: &str) -> bool {
        let is_frame = |line: &String| {
            let line = split_client(line).map_or(line.as_str(), |(_, line)| line);
            line.split(' ').next() == Some(word)
        };
        self.steps.iter().flat_map(|step| &step.golden).any(is_frame)
    }

    /// Whether the server ends on the way.
    pub(crate) fn restarts(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Restart(_)))
    }

    /// The longest single wait the file asks for.
    pub(crate) fn longest_advance(&self) -> Duration {
        let advance = |step: &Step| match step.action {
            Action::Advance(duration) => duration,
            _ => Duration::ZERO,
        };
        self.steps.iter().map(advance).max().unwrap_or_default()
    }

    /// The text with other golden lines under some steps.
    pub(crate) fn with_golden(&self, replacements: &[(usize, Vec<String>)]) -> String {
        let mut lines = self.lines.clone();
        for (step, golden) in replacements.iter().rev() {
            lines.splice(self.steps[*step].golden_place.clone(), golden.iter().cloned());
        }
        lines.join("\n") + "\n"
    }
}

impl Step {
    /// The golden lines of what one client receives.
    pub(crate) fn golden_of(&self, client: char) -> Vec<String> {
        let line = |line: &String| match split_client(line) {
            Some((other, rest)) => (other == client).then(|| rest.to_owned()),
            None => (self.sender() == Some(client)).then(|| line.clone()),
        };
        self.golden.iter().filter_map(line).collect()
    }

    /// The client that acts.
    pub(crate) fn sender(&self) -> Option<char> {
        match self.action {
            Action::Send(client, _) | Action::Connect(client) | Action::Disconnect(client) => Some(client),
            Action::Advance(_) | Action::Restart(_) | Action::Retire => None,
        }
    }
}

/// The client and the line, of a golden line `b< …`.
fn split_client(line: &str) -> Option<(char, &str)> {
    let client = line.chars().next().filter(char::is_ascii_lowercase)?;
    Some((client, line[1..].strip_prefix("< ")?))
}

/// A time as directives write it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parse = |digits: &str| digits.parse().map_err(|_| format!("{text} is no duration"));
    match text.strip_suffix("ms") {
        Some(digits) => Ok(Duration::from_millis(parse(digits)?)),
        None => Ok(Duration::from_secs(parse(text.strip_suffix('s').unwrap_or("?"))?)),
    }
}

fn since(text: &str) -> Result<Since, String> {
    let wrong = || format!("{text} is no server and version");
    let (server, version) = text.split_once(' ').ok_or_else(wrong)?;
    let (major, minor) = version.split_once('.').ok_or_else(wrong)?;
    let number = |digits: &str| digits.parse().map_err(|_| wrong());
    Ok(Since { server: server.to_owned(), version: (number(major)?, number(minor)?) })
}

#[test]
fn a_transcript_is_read_and_rewritten() {
    let text =
        "since redis 7.2\n# why\na: GET k\n(nil)\nb< \"x\"\n\nunordered\nb! \"PING\\r\\n\"\nadvance 1s\n";
    let transcript = Transcript::parse("name", text).expect("a valid transcript");
    assert_eq!(transcript.steps.len(), 3);
    assert!(
        transcript.since.as_ref().is_some_and(|since| Peer::Valkey.knows(since) && !Peer::Redis.knows(since))
    );
    assert_eq!(transcript.steps[0].golden_of('b'), ["\"x\""]);
    assert_eq!(transcript.steps[1].action, Action::Send('b', b"PING\r\n".to_vec()));
    assert!(transcript.steps[1].unordered);
    assert_eq!(transcript.longest_advance(), Duration::from_secs(1));
    let rewritten = transcript.with_golden(&[(0, vec!["\"v\"".to_owned()]), (1, vec!["PONG".to_owned()])]);
    assert_eq!(
        rewritten,
        "since redis 7.2\n# why\na: GET k\n\"v\"\n\nunordered\nb! \"PING\\r\\n\"\nPONG\nadvance 1s\n"
    );
    assert!(Transcript::parse("name", "OK\n").is_err());
    let restarted = Transcript::parse("name", "a: GET k\n(nil)\nrestart\n").expect("a valid transcript");
    assert!(restarted.restarts() && !transcript.restarts());
}
