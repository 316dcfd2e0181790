//! Transcripts: text files of commands and golden replies, the tests of nearly all features.
//!
//! `format` describes the files.  A reply is golden because a real server gave it: `differential` plays the same files
//! to redis-server, Valkey and nats-server, and rewrites them when `QUARTET_UPDATE_GOLDEN=1` is set.  `QUARTET_TRANSCRIPT=strings/`
//! plays only the files whose names contain that.

mod answers;
pub(crate) mod arguments;
mod coverage;
pub(crate) mod format;
mod frame_in_process;
pub(crate) mod frame_socket;
pub(crate) mod frames;
pub(crate) mod in_process;
pub(crate) mod pattern;
pub(crate) mod reply;
pub(crate) mod runner;
pub(crate) mod socket;
pub(crate) mod target;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use crate::support::peers::skip;
use crate::support::process::{Folder, Server};
use format::Transcript;
use frame_in_process::FrameInProcess;
use frame_socket::FrameTarget;
use in_process::InProcessTarget;
use runner::{Way, check, check_way};
use target::Target;

/// Transcripts that are played at a time where each has a server of its own: most of a play is waiting for time to pass.
const SIDE_BY_SIDE: usize = 4;

/// Where the files are.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

/// The transcripts of RESP clients that were asked for, by name.
pub(crate) fn load() -> Vec<Transcript> {
    wanted(|transcript| !transcript.is_of_frames())
}

/// The transcripts of the broker's clients that were asked for, by name, but for those about streams.
pub(crate) fn load_frames() -> Vec<Transcript> {
    wanted(|transcript| transcript.is_of_frames() && !transcript.is_of_streams())
}

/// The transcripts about streams that were asked for, by name.
pub(crate) fn load_streams() -> Vec<Transcript> {
    wanted(Transcript::is_of_streams)
}

fn wanted(is_of_kind: impl Fn(&Transcript) -> bool) -> Vec<Transcript> {
    let wanted = std::env::var("QUARTET_TRANSCRIPT").unwrap_or_default();
    let mut transcripts = load_all();
    transcripts.retain(|transcript| transcript.name.contains(&wanted));
    assert!(!transcripts.is_empty(), "no transcript has {wanted:?} in its name");
    transcripts.retain(is_of_kind);
    transcripts
}

/// All transcripts, by name.
pub(crate) fn load_all() -> Vec<Transcript> {
    let mut transcripts = Vec::new();
    for family in entries(&directory()).into_iter().filter(|path| path.is_dir()) {
        for path in entries(&family) {
            let name = path.with_extension("");
            let name = name.strip_prefix(directory()).expect("the files are below the directory");
            let text = std::fs::read_to_string(&path).expect("a transcript is readable text");
            let transcript = Transcript::parse(&name.to_string_lossy(), &text);
            transcripts.push(transcript.unwrap_or_else(|error| panic!("{error}")));
        }
    }
    transcripts
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the directory is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry is readable").path()).collect();
    paths.sort();
    paths
}

/// Plays transcripts to servers of their own, several at a time, and returns all failures.
pub(crate) fn play_side_by_side(
    transcripts: &[Transcript],
    play: impl Fn(&Transcript) -> Vec<String> + Sync,
) -> Vec<String> {
    let waiting = Mutex::new(transcripts.iter());
    let next = || waiting.lock().expect("nobody fails while holding it").next();
    let play_on = || std::iter::from_fn(next).flat_map(&play).collect::<Vec<_>>();
    // What is skipped is told under the name of the test.
    let name = thread::current().name().unwrap_or_default().to_owned();
    let player = || thread::Builder::new().name(name.clone());
    thread::scope(|scope| {
        let start = |()| player().spawn_scoped(scope, play_on).expect("a thread starts");
        let players = [(); SIDE_BY_SIDE].map(start);
        players.into_iter().flat_map(|player| player.join().expect("a play ends")).collect()
    })
}

#[test]
fn quartet_answers_as_the_transcripts_say() {
    let mut failures = Vec::new();
    for transcript in load() {
        let fresh = || {
            Target::InProcess(if transcript.restarts() {
                InProcessTarget::keeping()
            } else {
                InProcessTarget::new()
            })
        };
        match fresh().refuses(&transcript) {
            Some(reason) => skip(&format!("{}: it {reason}", transcript.name)),
            None => failures.extend(check(&transcript, fresh, None)),
        }
    }
    assert!(failures.is_empty(), "Quartet answers otherwise:\n{}", failures.join("\n"));
}

#[test]
fn the_broker_answers_as_the_transcripts_say() {
    let failures = play_side_by_side(&load_frames(), |transcript| {
        let fresh = || {
            let settings = transcript.settings.iter().map(String::as_str);
            let arguments: Vec<&str> = ["--broker-port", "0"].into_iter().chain(settings).collect();
            let server = Server::quartet(&arguments);
            let address = server.broker_address();
            Target::Frames(FrameTarget::new(transcript, server, address))
        };
        match FrameTarget::refuses(transcript) {
            Some(reason) => {
                skip(&format!("{} over sockets: it {reason}", transcript.name));
                Vec::new()
            }
            None => check(transcript, fresh, None),
        }
    });
    assert!(failures.is_empty(), "Quartet answers otherwise:\n{}", failures.join("\n"));
}

#[test]
fn the_broker_keeps_streams_as_the_transcripts_say() {
    let failures = play_side_by_side(&load_streams(), |transcript| {
        let folder = Folder::new();
        let mut used = 0;
        let mut fresh = || {
            used += 1;
            let kept = folder.path().join(used.to_string());
            let kept = kept.to_str().expect("the folder's name is text");
            let server = Server::quartet(&["--broker-port", "0", "--dir", kept]);
            let address = server.broker_address();
            Target::Frames(FrameTarget::new(transcript, server, address))
        };
        // Deliveries come between the answers of a pipeline in no certain order: `stream/order` compares them by reply subject.
        let ways = [Way::CommandPerWrite, Way::BytePerWrite];
        ways.into_iter().flat_map(|way| check_way(transcript, &mut fresh, None, way)).collect()
    });
    assert!(failures.is_empty(), "Quartet answers otherwise:\n{}", failures.join("\n"));
}

#[test]
fn the_broker_answers_as_the_transcripts_say_in_process() {
    let mut failures = Vec::new();
    for transcript in load_frames() {
        let fresh = || Target::FramesInProcess(FrameInProcess::new(&transcript));
        failures.extend(check(&transcript, fresh, None));
    }
    assert!(failures.is_empty(), "Quartet answers otherwise:\n{}", failures.join("\n"));
}

#[test]
fn the_broker_keeps_streams_as_the_transcripts_say_in_process() {
    let mut failures = Vec::new();
    for transcript in load_streams() {
        let mut fresh = || Target::FramesInProcess(FrameInProcess::new(&transcript));
        let ways = [Way::CommandPerWrite, Way::BytePerWrite];
        failures.extend(ways.into_iter().flat_map(|way| check_way(&transcript, &mut fresh, None, way)));
    }
    assert!(failures.is_empty(), "Quartet answers otherwise:\n{}", failures.join("\n"));
}

#[test]
fn every_step_says_what_it_is_answered() {
    let silent = |arguments: &[Vec<u8>]| arguments.iter().any(|word| word.eq_ignore_ascii_case(b"REPLY"));
    for transcript in load_all().into_iter().filter(|transcript| !transcript.is_of_frames()) {
        let mut muted = false;
        for (index, step) in transcript.steps.iter().enumerate() {
            muted |= silent(&step.arguments);
            let unanswered = !step.arguments.is_empty() && step.golden.is_empty();
            // A client that waits is answered under another's step, or leaves.
            let sender = step.sender();
            let waits = || {
                transcript.steps[index + 1..].iter().any(|later| {
                    let is_gone = match later.action {
                        format::Action::Disconnect(_) => later.sender() == sender,
                        format::Action::Restart(_) => true,
                        _ => false,
                    };
                    let is_answered = later.sender() != sender
                        && sender.is_some_and(|sender| !later.golden_of(sender).is_empty());
                    is_gone || is_answered
                })
            };
            assert!(!unanswered || muted || waits(), "{}:{} has no golden reply", transcript.name, step.line);
        }
    }
}
