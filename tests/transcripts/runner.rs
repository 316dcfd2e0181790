//! Plays a transcript to a target and compares what comes back.

use std::collections::BTreeMap;

use super::format::{Action, Peer, Step, Transcript};
use super::pattern::{lines_match, reply_count};
use super::reply::Value;
use super::target::{Expected, Received, Target};

/// How bytes are cut into writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// Each command in a write of its own, its reply awaited.
    CommandPerWrite,
    /// A client's consecutive commands in one write.
    Pipelined,
    /// Each byte in a write of its own.
    BytePerWrite,
}

impl Way {
    /// All ways.
    pub(crate) const ALL: [Way; 3] = [Way::CommandPerWrite, Way::Pipelined, Way::BytePerWrite];
}

/// The replies and messages that one step caused, by client.
pub(crate) type Outcome = BTreeMap<char, Vec<Received>>;

/// Plays a transcript one way; each step's outcome, or none where the step was not played.
pub(crate) fn play(
    transcript: &Transcript,
    target: &mut Target,
    way: Way,
    peer: Option<Peer>,
) -> Vec<Option<Outcome>> {
    let mut outcomes = Vec::with_capacity(transcript.steps.len());
    while outcomes.len() < transcript.steps.len() {
        let rest = &transcript.steps[outcomes.len()..];
        if !is_known(&rest[0], peer) {
            outcomes.push(None);
            continue;
        }
        let together = if way == Way::Pipelined { pipeline_length(rest, peer) } else { 1 };
        let steps = &rest[..together];
        perform(steps, target, way);
        let expected = steps.iter().fold(Expected::new(), |sum, step| add(sum, expected(step, peer)));
        outcomes.extend(dealt(steps, target.receive(&expected)).into_iter().map(Some));
    }
    outcomes
}

/// Whether the server played to has the step's command.
pub(crate) fn is_known(step: &Step, peer: Option<Peer>) -> bool {
    step.since.as_ref().is_none_or(|since| peer.is_none_or(|peer| peer.knows(since)))
}

/// How many steps from the first can go out in one write: commands of one client, up to one whose reply is not known
/// beforehand or that ends the connection.
fn pipeline_length(steps: &[Step], peer: Option<Peer>) -> usize {
    let ends =
        |step: &Step| is_excused(step, peer) || step.golden.iter().any(|line| line.ends_with("(closed)"));
    let same = |step: &Step| {
        matches!(step.action, Action::Send(..)) && step.sender() == steps[0].sender() && is_known(step, peer)
    };
    let mut length = 1;
    while length < steps.len() && same(&steps[0]) && same(&steps[length]) && !ends(&steps[length - 1]) {
        length += 1;
    }
    if length > 1 && is_excused(&steps[length - 1], peer) { length - 1 } else { length }
}

/// Whether this peer is known to answer otherwise.
pub(crate) fn is_excused(step: &Step, peer: Option<Peer>) -> bool {
    peer.is_some_and(|peer| step.differs.iter().any(|difference| difference.peer == peer))
}

/// Whether a client of this peer is known to receive something else.
fn is_excused_for(step: &Step, peer: Option<Peer>, client: char) -> bool {
    let concerns = |of: Option<char>| of.is_none_or(|of| of == client);
    peer.is_some_and(|peer| step.differs.iter().any(|of| of.peer == peer && concerns(of.client)))
}

fn perform(steps: &[Step], target: &mut Target, way: Way) {
    match &steps[0].action {
        Action::Advance(duration) => target.advance(*duration),
        Action::Connect(client) => target.connect(*client),
        Action::Disconnect(client) => target.disconnect(*client),
        Action::Restart(stop) => target.restart(*stop),
        Action::Retire => target.retire(),
        Action::Send(client, first) => {
            let mut bytes = first.clone();
            for step in &steps[1..] {
                if let Action::Send(_, more) = &step.action {
                    bytes.extend_from_slice(more);
                }
            }
            let piece = if way == Way::BytePerWrite { 1 } else { bytes.len().max(1) };
            target.send(*client, &bytes.chunks(piece).collect::<Vec<_>>());
            if steps.iter().all(|step| step.is_command) {
                target.finish_frames(*client);
            }
        }
    }
}

/// How many values the step's golden lines promise each client.
fn expected(step: &Step, peer: Option<Peer>) -> Expected {
    let count = |client| {
        let golden = step.golden_of(client);
        reply_count(&golden) + golden.iter().filter(|line| *line == "(closed)").count()
    };
    let clients = ('a'..='z').filter(|client| !is_excused_for(step, peer, *client));
    clients.map(|client| (client, count(client))).filter(|(_, count)| *count > 0).collect()
}

fn add(mut sum: Expected, more: Expected) -> Expected {
    for (client, count) in more {
        *sum.entry(client).or_default() += count;
    }
    sum
}

/// Deals what a pipeline received to its steps, as many values to each as its golden lines ask for.
fn dealt(steps: &[Step], received: Outcome) -> Vec<Outcome> {
    let mut outcomes = vec![Outcome::new(); steps.len()];
    for (client, values) in received {
        let mut values = values.into_iter();
        for (step, outcome) in steps.iter().zip(&mut outcomes) {
            let count = reply_count(&step.golden_of(client));
            outcome.insert(client, values.by_ref().take(count).collect());
        }
        let last = outcomes.last_mut().expect("there is at least one step");
        last.entry(client).or_default().extend(values);
    }
    outcomes
}

/// The golden lines that would describe an outcome.
pub(crate) fn outcome_lines(step: &Step, outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(sender) = step.sender() {
        lines = client_lines(step, outcome, sender);
    }
    for &client in outcome.keys().filter(|&&client| step.sender() != Some(client)) {
        lines.extend(client_lines(step, outcome, client).into_iter().map(|line| format!("{client}< {line}")));
    }
    lines
}

fn client_lines(step: &Step, outcome: &Outcome, client: char) -> Vec<String> {
    let lines = |received: &Received| match received {
        Received::Value(value) if step.unordered => value.sorted().lines(),
        Received::Value(value) => value.lines(),
        Received::Closed => vec!["(closed)".to_owned()],
    };
    let mut received: Vec<Vec<String>> = outcome.get(&client).into_iter().flatten().map(lines).collect();
    let is_frame = |received: &Received| matches!(received, Received::Value(Value::Frame(_)));
    if step.unordered && outcome.values().flatten().any(is_frame) {
        received.sort();
    }
    received.concat()
}

/// Whether an outcome of this peer is what the golden lines ask for.
pub(crate) fn outcome_matches(step: &Step, outcome: &Outcome, peer: Option<Peer>) -> bool {
    let mut clients = ('a'..='z').filter(|client| !is_excused_for(step, peer, *client));
    clients.all(|client| lines_match(&step.golden_of(client), &client_lines(step, outcome, client)))
}

/// Plays a transcript all ways; describes each step that came out wrong.
pub(crate) fn check(
    transcript: &Transcript,
    mut fresh: impl FnMut() -> Target,
    peer: Option<Peer>,
) -> Vec<String> {
    let ways = Way::ALL.into_iter().map(|way| check_way(transcript, &mut fresh, peer, way));
    ways.into_iter().find(|failures| !failures.is_empty()).unwrap_or_default()
}

/// The same one way.
pub(crate) fn check_way(
    transcript: &Transcript,
    mut fresh: impl FnMut() -> Target,
    peer: Option<Peer>,
    way: Way,
) -> Vec<String> {
    let mut failures = Vec::new();
    let outcomes = play(transcript, &mut fresh(), way, peer);
    for (step, outcome) in transcript.steps.iter().zip(outcomes) {
        let Some(outcome) = outcome else { continue };
        if !outcome_matches(step, &outcome, peer) {
            failures.push(describe(transcript, step, &outcome, way));
        }
    }
    failures
}

fn describe(transcript: &Transcript, step: &Step, outcome: &Outcome, way: Way) -> String {
    let indent = |lines: &[String]| lines.iter().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "tests/transcripts/{}.txt:{} ({way:?}): {}\n  golden:\n{}  received:\n{}",
        transcript.name,
        step.line,
        transcript.lines[step.line - 1],
        indent(&step.golden),
        indent(&outcome_lines(step, outcome)),
    )
}
