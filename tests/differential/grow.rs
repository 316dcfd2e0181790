//! Grows requests from the syntax strings of the command table: mostly valid ones, now and then a damaged one.

use quartet::command::Command;
use quartet::command::syntax::{Argument, ArgumentKind, parse};
use quartet::random::Random;

use crate::transcripts::format::Peer;

/// Few keys, so that commands meet.
const KEYS: &[&str] = &["a", "b", "c", "key", ""];

/// Values that commands take differently.
const VALUES: &[&str] =
    &["", "0", "1", "-1", "10", "3.5", "9223372036854775807", "text", "longer text", "\r\n\0\u{ff}", "1e3"];

/// Numbers at the edges of what commands take.
const EDGES: &[&str] =
    &["0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "ten", "", "1.5"];

/// Patterns of all kinds.
const PATTERNS: &[&str] = &["*", "a", "?", "k*y", "[ab]", "[^a]", "nothing"];

/// Bounds of ranges of scores and of members.
const BOUNDS: &[&str] = &["-inf", "+inf", "(1", "0", "3.5", "(20.5", "-", "+", "[1", "(a", "[text", "(", ""];

/// Words that redis-server 7.0 does not know, so that it would refuse what Quartet does.
const NEWER_WORDS: &[(&str, &str)] = &[
    ("IFEQ", "SET has it since Redis 8.4 and Valkey 8.1"),
    ("WITHSCORE", "ZRANK has it since Redis 7.2"),
    ("NOVALUES", "HSCAN has it since Redis 7.4 and Valkey 8.0"),
];

/// One in this many numbers is an edge, one in this many requests damaged.
const EDGE_ODDS: usize = 8;
const DAMAGE_ODDS: usize = 12;

/// Seconds of deadlines are drawn from this range: long enough that none comes while the test runs, and wide enough
/// that the same one is hardly drawn twice, since GT and LT would then depend on the milliseconds between.
const SECONDS: (usize, usize) = (1_000, 1_000_000_000);

/// Wall times start here, far in the future, for the same reason.
const FAR_SECONDS: usize = 30_000_000_000;

/// A key.
pub(crate) fn key(random: &mut Random) -> Vec<u8> {
    pick(KEYS, random).into_bytes()
}

/// A request of this command for a peer.
pub(crate) fn request(command: &Command, peer: Peer, random: &mut Random) -> Vec<Vec<u8>> {
    let mut words = vec![command.name.as_bytes().to_vec()];
    let mut counted = None;
    for mut argument in parse(command.syntax) {
        // As many keys or fields as the number before them says, unless that is damaged below.
        let times = counted.take();
        argument.multiple &= times.is_none();
        for _ in 0..times.unwrap_or(1) {
            grow(&argument, peer, random, &mut words);
        }
        if argument.name == "numkeys" || argument.name == "numfields" {
            let count = 1 + random.below(3);
            words.pop();
            words.push(count.to_string().into_bytes());
            counted = Some(count);
        }
    }
    if random.below(DAMAGE_ODDS) == 0 {
        damage(&mut words, random);
    }
    words
}

fn grow(argument: &Argument, peer: Peer, random: &mut Random, words: &mut Vec<Vec<u8>>) {
    let is_newer = |argument: &Argument| {
        peer == Peer::Redis && NEWER_WORDS.iter().any(|(word, _)| argument.token.as_deref() == Some(*word))
    };
    if is_newer(argument) || argument.optional && random.below(3) != 0 {
        return;
    }
    let times = if argument.multiple { 1 + random.below(3) } else { 1 };
    for time in 0..times {
        if let Some(token) = argument.token.as_ref().filter(|_| time == 0 || argument.multiple_token) {
            words.push(token.as_bytes().to_vec());
        }
        match argument.kind {
            ArgumentKind::PureToken => {}
            ArgumentKind::Block => argument.arguments.iter().for_each(|part| grow(part, peer, random, words)),
            ArgumentKind::OneOf => {
                let choices: Vec<_> = argument.arguments.iter().filter(|choice| !is_newer(choice)).collect();
                grow(choices[random.below(choices.len())], peer, random, words);
            }
            _ => words.push(value(argument, random).into_bytes()),
        }
    }
}

fn value(argument: &Argument, random: &mut Random) -> String {
    let is_number =
        matches!(argument.kind, ArgumentKind::Integer | ArgumentKind::Double | ArgumentKind::UnixTime);
    if is_number && random.below(EDGE_ODDS) == 0 {
        return pick(EDGES, random);
    }
    let seconds = SECONDS.0 + random.below(SECONDS.1 - SECONDS.0);
    let name = argument.name.as_str();
    match argument.kind {
        ArgumentKind::Key => pick(KEYS, random),
        ArgumentKind::String if name == "min" || name == "max" => pick(BOUNDS, random),
        ArgumentKind::Pattern => pick(PATTERNS, random),
        ArgumentKind::UnixTime if name.contains("milliseconds") => {
            ((FAR_SECONDS + seconds) * 1000).to_string()
        }
        ArgumentKind::UnixTime => (FAR_SECONDS + seconds).to_string(),
        ArgumentKind::Integer if name.contains("milliseconds") => (seconds * 1000).to_string(),
        ArgumentKind::Integer if name.contains("seconds") => seconds.to_string(),
        ArgumentKind::Integer if name.contains("db") || name == "index" => random.below(4).to_string(),
        ArgumentKind::Integer => (random.below(40) as i64 - 20).to_string(),
        ArgumentKind::Double => format!("{}.5", random.below(40)),
        _ if KEYS.contains(&name) || name.contains("key") => pick(KEYS, random),
        _ => pick(VALUES, random),
    }
}

/// Drops, doubles or exchanges a word, or adds one that means nothing.
fn damage(words: &mut Vec<Vec<u8>>, random: &mut Random) {
    let place = random.below(words.len());
    match random.below(4) {
        0 if words.len() > 1 => drop(words.pop()),
        1 if place > 0 => words.insert(place, words[place].clone()),
        2 if place > 0 => words[place] = b"nonsense".to_vec(),
        _ => words.push(b"nonsense".to_vec()),
    }
}

fn pick(words: &[&str], random: &mut Random) -> String {
    words[random.below(words.len())].to_owned()
}
